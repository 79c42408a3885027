//! Document bytes, HTML or plain text, to normalised text.
//!
//! The normal form, whatever the source: paragraphs separated by one empty line, each paragraph one line, words separated by
//! one ASCII space; one kind of quote and dash; nothing invisible. [`plain_to_text`] leaves text in this form as it is.
//! What the words mean is left to the classifier, which document is read and how much of it to the caller.

mod entities;
mod fold;
mod html;
mod paragraphs;
mod plain;

use std::borrow::Cow;

use memchr::memchr_iter;

/// Converts a document to normalised text, as HTML if its beginning looks like HTML.
pub fn to_text(bytes: &[u8]) -> String {
    let text = decode(bytes);
    let body = strip_wrapper(&text);
    if looks_like_html(body) { html::convert(body) } else { plain::convert(body) }
}

/// Converts an HTML document to normalised text.
pub fn html_to_text(bytes: &[u8]) -> String {
    html::convert(strip_wrapper(&decode(bytes)))
}

/// Converts a hard-wrapped plain-text document to normalised text.
pub fn plain_to_text(bytes: &[u8]) -> String {
    plain::convert(strip_wrapper(&decode(bytes)))
}

/// Reads UTF-8; bytes that are not become the Latin-1 character of the same number.
///
/// [`fold`] reads U+0080 to U+009F as windows-1252, so together a document in windows-1252 comes out right, whatever it declares.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().copied().map(char::from));
    }
    Cow::Owned(text)
}

/// Cuts the SGML lines `<DOCUMENT>`, `<TYPE>` ... `<TEXT>` that EDGAR puts before a document.
///
/// The closing tags at the end need no care: both readers drop them wherever they stand.
fn strip_wrapper(text: &str) -> &str {
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let head = head(start);
    // Two neighbouring lines are asked for because normalised text never has any: it must not lose its beginning here.
    let mut lines = head.split(['\n', '\r']).map(str::trim_end);
    let opens = lines.next().is_some_and(|line| starts_with_tag(line, "<DOCUMENT>") || starts_with_tag(line, "<TYPE>"));
    let mut second = lines.next();
    if second == Some("") && head.contains("\r\n") {
        second = lines.next();
    }
    if !opens || !second.is_some_and(|line| line.starts_with('<')) {
        return text;
    }
    let body = memchr_iter(b'<', head.as_bytes()).find(|&at| starts_with_tag(&head[at..], "<TEXT>"));
    body.map_or(text, |at| &start[at + "<TEXT>".len()..])
}

fn looks_like_html(text: &str) -> bool {
    let head = head(text);
    memchr_iter(b'<', head.as_bytes()).any(|at| {
        let rest = &head.as_bytes()[at + 1..];
        let name_len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'!')).count();
        let name = rest[..name_len].to_ascii_lowercase();
        let ends = rest.get(name_len).is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
        ends && (name.starts_with(b"xhtml:") || name.starts_with(b"ix:") || HTML_TAGS.contains(&name.as_slice()))
    })
}

/// The first characters, enough to see what kind of document it is.
fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(HEAD_BYTES)]
}

fn starts_with_tag(text: &str, tag: &str) -> bool {
    text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
}

const HEAD_BYTES: usize = 4096;

/// `table`, `caption`, `s` and `page` are missing on purpose: plain filings of before 2001 have tags of these names too.
const HTML_TAGS: [&[u8]; 26] = [
    b"html",
    b"!doctype",
    b"head",
    b"title",
    b"meta",
    b"body",
    b"p",
    b"div",
    b"tr",
    b"td",
    b"font",
    b"br",
    b"hr",
    b"center",
    b"span",
    b"b",
    b"i",
    b"u",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"ul",
    b"pre",
    b"a",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn html_is_told_from_plain_text() {
        fn check(text: &str, expected: bool) {
            assert_eq!(looks_like_html(text), expected, "{text:?}");
        }
        check("<html><body>", true);
        check("<!DOCTYPE html PUBLIC>", true);
        check("<?xml version='1.0'?>\n<html xmlns='x'>", true);
        check("<xhtml:p>", true);
        check("Notice<BR>", true);
        check("<P align=left>", true);
        check("<PAGE>\n<TABLE>\n<S>  <C>\n", false);
        check("income < costs, p > q", false);
        check("<partner>", false);
        check("", false);
        check(&format!("{}<p>", " ".repeat(HEAD_BYTES)), false);
    }

    #[test]
    fn sgml_wrapper_is_cut() {
        fn check(text: &str, expected: &str) {
            assert_eq!(strip_wrapper(text).trim(), expected, "{text:?}");
        }
        check("<DOCUMENT>\n<TYPE>8-K\n<TEXT>\nBody", "Body");
        check("\u{feff}<DOCUMENT>\r\n<TYPE>8-K\r\n<TEXT>\r\nBody", "Body");
        check("<DOCUMENT>\r<TYPE>8-K\r<TEXT>\rBody", "Body");
        check("<TYPE>EX-99.1\n<SEQUENCE>2\n<DESCRIPTION>A < B\n<text>Body", "Body");
        check("<DOCUMENT>\n<TYPE>8-K\nno text", "<DOCUMENT>\n<TYPE>8-K\nno text");
        check("<DOCUMENT>\n\n<TYPE>8-K\n\n<TEXT>\n\nx", "<DOCUMENT>\n\n<TYPE>8-K\n\n<TEXT>\n\nx");
        check("<DOCUMENT> <TYPE>8-K <TEXT> x", "<DOCUMENT> <TYPE>8-K <TEXT> x");
    }

    #[test]
    fn wrapped_documents_convert_without_their_wrapper() {
        let html = b"<DOCUMENT>\n<TYPE>8-K\n<TEXT>\n<html><body><p>Body</p></body></html>\n</TEXT>\n</DOCUMENT>\n";
        assert_eq!(to_text(html), "Body");
        let plain = b"<DOCUMENT>\n<TYPE>8-K\n<TEXT>\n<PAGE>\nBody\ngoes on\n</TEXT>\n</DOCUMENT>\n";
        assert_eq!(to_text(plain), "Body goes on");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_windows_1252() {
        fn check(bytes: &[u8], expected: &str) {
            assert_eq!(plain_to_text(bytes), expected);
            assert_eq!(html_to_text(bytes), expected);
        }
        check(b"the Company\x92s \x93notice\x94 \x96 \xa7 5", "the Company's \"notice\" - \u{a7} 5");
        check("caf\u{e9} \u{2019}s".as_bytes(), "caf\u{e9} 's");
        check(b"\xc3\xa9 and \xe9", "\u{e9} and \u{e9}");
        check(b"\xef\xbb\xbfText", "Text");
    }

    /// Pieces that the two readers treat specially, so that random input meets them.
    fn fragment() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "<p>",
            "</p>",
            "<br>",
            "<td>",
            "</td>",
            "<tr>",
            "</table>",
            "<table>",
            "<pre>",
            "</pre>",
            "<div style='display:none'>",
            "<div>",
            "</div>",
            "<ix:header>",
            "</ix:header>",
            "<style>",
            "</style>",
            "<title>",
            "<!--",
            "-->",
            "<![CDATA[",
            "<PAGE>",
            "<S>",
            "<C>",
            "&lt;PAGE&gt; 3",
            "&lt;S&gt;",
            "<",
            ">",
            "&",
            "\"",
            "'",
            "=",
            "&nbsp;",
            "&#8212;",
            "&#10;",
            "&#x;",
            "-----",
            "===",
            "* ",
            "-- ",
            "\n",
            "\n\n",
            "\r\n",
            "\r",
            "\t",
            "   ",
            "      ",
            "word",
            "Word",
            "WORD",
            "2",
            "12.",
            "(a)",
            "<DOCUMENT>",
            "<TYPE>",
            "<TEXT>",
            "</TEXT>",
            "<p a=\"",
            "<b",
            "\u{a0}",
            "\u{200b}",
            "\u{ad}",
            "\u{fb01}",
            "\u{2014}",
            "\u{85}",
            "\u{2028}",
            "ITEM 5.",
            "a rather long line of lower case words that fills the page up to its end",
        ]);
        prop_oneof![8 => pieces.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
    }

    fn document() -> impl Strategy<Value = String> {
        prop::collection::vec(fragment(), 0..60).prop_map(|pieces| pieces.concat())
    }

    fn assert_normal(text: &str) -> Result<(), TestCaseError> {
        for paragraph in text.split("\n\n").filter(|_| !text.is_empty()) {
            prop_assert!(!paragraph.is_empty() && paragraph.trim() == paragraph, "{text:?}");
            prop_assert!(!paragraph.contains(['\n', '\r', '\t', '\u{a0}']) && !paragraph.contains("  "), "{text:?}");
        }
        prop_assert_eq!(plain_to_text(text.as_bytes()), text);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn any_bytes_become_normal_text(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            assert_normal(&html_to_text(&bytes))?;
            assert_normal(&plain_to_text(&bytes))?;
            assert_normal(&to_text(&bytes))?;
        }

        #[test]
        fn any_document_becomes_normal_text(document in document()) {
            assert_normal(&html_to_text(document.as_bytes()))?;
            assert_normal(&plain_to_text(document.as_bytes()))?;
            assert_normal(&to_text(document.as_bytes()))?;
        }
    }
}
