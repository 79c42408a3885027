//! Real documents through both readers, compared with a crude reading written here.

use std::fs;

use edgar_watch::text::{html_to_text, plain_to_text, to_text};

use crate::support::shared;

/// Folder of real EDGAR files.
const EDGAR: &str = "edgar";

/// Documents left out: an unpaired quote in the doctype leads the crude reading astray; and lines broken after 1023 bytes,
/// inside words and tags, which our reading takes as written.
const NOT_COMPARED: [&str; 2] =
    ["submissions_txt/other/0000065873-05-000060.txt document 1", "submissions_txt/other/0001010412-10-000078.txt"];

#[test]
fn html_documents_lose_nothing() {
    for (name, bytes) in [files("html_8-K"), files("html_misc")].concat() {
        check_html(&name, &bytes);
        assert!(!html_to_text(&bytes).is_empty(), "{name} has no text");
    }
}

#[test]
fn documents_of_submissions_lose_nothing() {
    let (mut n_html, mut n_plain) = (0, 0);
    for (name, bytes) in [files("submissions_txt/8-K"), files("submissions_txt/other")].concat() {
        let submission = String::from_utf8_lossy(&bytes);
        for (number, document) in submission.split("<DOCUMENT>").skip(1).enumerate() {
            let document = document.split_once("</DOCUMENT>").map_or(document, |(document, _)| document);
            let document = format!("<DOCUMENT>{document}");
            let name = format!("{name} document {}", number + 1);
            let lower = document.to_ascii_lowercase();
            // Schemas, data and encoded binaries are no documents to read.
            if ["<xml>", "<pdf>", "\nbegin 644", "<type>ex-101", "<type>ex-104", "<type>xml"]
                .iter()
                .any(|sign| lower.contains(sign))
            {
                continue;
            }
            if ["<html", "<p>", "<p "].iter().any(|sign| lower.contains(sign)) {
                check_html(&name, document.as_bytes());
                n_html += 1;
            } else {
                check_plain(&name, &document);
                n_plain += 1;
            }
        }
    }
    println!("{n_html} HTML and {n_plain} plain documents read");
}

fn check_html(name: &str, bytes: &[u8]) {
    let text = html_to_text(bytes);
    assert_eq!(to_text(bytes), text, "{name} is not taken for HTML");
    assert_normal(name, &text);
    if NOT_COMPARED.iter().any(|left_out| name.starts_with(left_out)) {
        return;
    }
    for remnant in ["</", "<div", "<p", "<font", "&nbsp;", "&#", "&amp;"] {
        assert!(!text.contains(remnant), "{name} still has {remnant}");
    }
    assert_same_letters(name, &text, &strip_html(&String::from_utf8_lossy(bytes)));
}

fn check_plain(name: &str, document: &str) {
    let text = plain_to_text(document.as_bytes());
    assert_eq!(to_text(document.as_bytes()), text, "{name} is taken for HTML");
    assert_normal(name, &text);
    assert_same_letters(name, &text, &strip_plain(document));
}

/// Files of one folder with their names; none if the folder is not there.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let Some(path) = shared(&format!("{EDGAR}/{folder}")) else { return Vec::new() };
    let mut files: Vec<_> = fs::read_dir(path)
        .expect("a folder")
        .flatten()
        .map(|entry| {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            (name, fs::read(entry.path()).expect("a file that was just listed"))
        })
        .collect();
    files.sort();
    files
}

fn assert_normal(name: &str, text: &str) {
    for paragraph in text.split("\n\n").filter(|_| !text.is_empty()) {
        let single = !paragraph.contains("  ") && !paragraph.contains(['\n', '\t', '\u{a0}']);
        assert!(single && !paragraph.is_empty() && paragraph.trim() == paragraph, "{name}: {paragraph:?}");
    }
    assert!(plain_to_text(text.as_bytes()) == text, "{name} changes when read again");
}

/// Compares letters and digits in order.
fn assert_same_letters(name: &str, text: &str, crude: &str) {
    let kept = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<Vec<_>>();
    let (text, crude) = (kept(text), kept(crude));
    if text != crude {
        let at = text.iter().zip(&crude).take_while(|(a, b)| a == b).count();
        let around =
            |chars: &[char]| chars[at.saturating_sub(30)..(at + 60).min(chars.len())].iter().collect::<String>();
        panic!("{name} differs at {at}:\n  {}\n  {}", around(&text), around(&crude));
    }
}

/// Plain text without SGML lines and the page numbers beside `<PAGE>`.
fn strip_plain(document: &str) -> String {
    let body = document.split_once("<TEXT>").map_or(document, |(_, body)| body);
    let lines: Vec<&str> = body.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_page = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("<PAGE>"));
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        let number = line.trim_matches(['-', ' ']);
        let is_number = number.len() <= 3 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let beside_page = is_page(lines.get(at + 1)) || at > 0 && is_page(lines.get(at - 1));
        let is_markup = line.split_whitespace().all(|word| {
            let word = word.trim_matches('-');
            word.starts_with('<') && word.ends_with('>')
                || is_page(Some(line)) && word.parse::<u32>().is_ok()
                || word.is_empty()
        });
        if !(is_markup || is_number && beside_page) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// HTML without tags and hidden elements, one character after the other.
fn strip_html(html: &str) -> String {
    let html = html.split_once("<TEXT>").map_or(html, |(_, body)| body);
    let mut out = String::new();
    // Some filers wrote the page mark so that it shows.
    let html = html.replace("&lt;PAGE&gt;", "");
    let mut rest = html.as_str();
    let mut hidden: Option<(String, usize)> = None;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("<!--") {
            rest = rest.split_once("-->").map_or("", |(_, after)| after);
        } else if c == '<' && rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            let (tag, after) = split_tag(rest);
            rest = after;
            let lower = tag.to_ascii_lowercase();
            let closing = lower.starts_with("</");
            let name: String = lower[1 + usize::from(closing)..]
                .chars()
                .take_while(|c| !c.is_whitespace() && *c != '>' && *c != '/')
                .collect();
            // An unclosed hidden paragraph ends where the next block begins or the one around it ends.
            let ends_p = ["p", "div", "table", "hr", "center", "body", "h5"].contains(&name.as_str());
            if ends_p && hidden.as_ref().is_some_and(|(hidden_name, _)| hidden_name == "p") {
                hidden = None;
            } else if let Some((hidden_name, depth)) = &mut hidden {
                if *hidden_name == name && !lower.ends_with("/>") {
                    *depth = if closing { *depth - 1 } else { *depth + 1 };
                }
                if *depth == 0 {
                    hidden = None;
                }
            } else if !closing && !lower.ends_with("/>") {
                let style: String = lower.chars().filter(|c| !c.is_whitespace()).collect();
                if style.contains("display:none") || ["ix:header", "title", "style", "script"].contains(&name.as_str())
                {
                    hidden = Some((name, 1));
                }
            }
        } else if c == '&' && rest[..rest.floor_char_boundary(12)].contains(';') {
            let (reference, after) = rest.split_once(';').unwrap_or((rest, ""));
            match reference_text(&reference[1..]) {
                Some(text) => {
                    if hidden.is_none() {
                        out.push_str(&text);
                    }
                    rest = after;
                }
                None => rest = &rest[1..],
            }
        } else {
            if hidden.is_none() {
                out.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn split_tag(html: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, c) in html.char_indices() {
        match (quote, c) {
            (None, '>') => return html.split_at(at + 1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    (html, "")
}

/// The letters and digits of a reference; `None` if this reading does not know it.
fn reference_text(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        let number = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        // The letters of windows-1252 among these are not used in the files.
        return Some(if (128..160).contains(&number) { String::new() } else { char::from_u32(number)?.to_string() });
    }
    let letters = [
        ("eacute", "\u{e9}"),
        ("Eacute", "\u{c9}"),
        ("egrave", "\u{e8}"),
        ("aacute", "\u{e1}"),
        ("oacute", "\u{f3}"),
        ("uuml", "\u{fc}"),
    ];
    if let Some((_, letter)) = letters.iter().find(|(letter, _)| *letter == name) {
        return Some((*letter).to_owned());
    }
    let signs = "nbsp amp lt gt quot apos ldquo rdquo rsquo lsquo uml pound sect ndash mdash ge le bull reg copy para times \
                 trade euro cent dagger Dagger hellip middot deg minus divide emsp ensp thinsp shy yen frasl";
    signs.split_whitespace().any(|sign| sign == name).then(String::new)
}
