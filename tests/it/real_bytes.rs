//! Real EDGAR files through every parser, compared with scans written here that share no code with the parsers.
//!
//! Files that are not the format must give their named error; files that were cut or altered before they came here
//! (the manifest beside them says which) are named with what is read of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use edgar_watch::classify::{DeadlineKind, EventKind, EventStatus, default_alert};
use edgar_watch::edgar::daily_index::{parse_listing, parse_master};
use edgar_watch::edgar::eastern::eastern_date;
use edgar_watch::edgar::feed::parse_feed;
use edgar_watch::edgar::filing::{Document, Filing, FilingHeader, FilingReader, looks_like_submission, parse_header};
use edgar_watch::edgar::ids::{DocumentType, FormType, ItemNumber};
use edgar_watch::edgar::index_page::parse_index_page;
use edgar_watch::edgar::items::item_number;
use edgar_watch::edgar::refusal::{Refusal, read_refusal};
use edgar_watch::edgar::submissions::parse_submissions;
use edgar_watch::edgar::tickers::{TickerMap, normalise_ticker};
use edgar_watch::reading::{FilingContext, FilingReading, read_document, read_filing};
use edgar_watch::text::to_text;
use regex::Regex;
use serde_json::Value;

use crate::support::{files_below, shared};

/// Every real file below a folder, by its path from there; none, and a word about it, when the files are not there.
fn real_files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let Some(path) = shared(&format!("edgar/{folder}")) else { return Vec::new() };
    let name = |file: &Path| file.strip_prefix(&path).expect("below the folder").display().to_string();
    let read = |file: &Path| std::fs::read(file).expect("a file that was just listed");
    files_below(&path).iter().map(|file| (name(file), read(file))).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What stands between `open` and the next `close`.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close).map(|(value, _)| value)
}

// ---------------------------------------------------------------- feeds

/// One entry as the naive scan sees it: form, accession, CIK, role, date, acceptance, items that are numbers.
type ScannedEntry = (String, String, String, String, String, String, Vec<String>);

fn scan_entries(page: &str) -> Vec<ScannedEntry> {
    let item = Regex::new(r"(?m)^&lt;br&gt;Item (\d+(?:\.\d\d)?): ").expect("a pattern");
    let party = Regex::new(r"\((\d{10})\) \(([A-Za-z ]+)\)</title>").expect("a pattern");
    page.split("<entry>")
        .skip(1)
        .map(|entry| {
            let party = party.captures(entry).expect("CIK and role in the title");
            (
                between(entry, "term=\"", "\"").expect("a term").to_owned(),
                between(entry, "accession-number=", "</id>").expect("an accession number").to_owned(),
                party[1].to_owned(),
                party[2].to_owned(),
                between(entry, "Filed:&lt;/b&gt; ", " ").expect("a date").to_owned(),
                between(entry, "<updated>", "</updated>").expect("a time").to_owned(),
                item.captures_iter(entry).map(|item| item[1].to_owned()).collect(),
            )
        })
        .collect()
}

#[test]
fn every_entry_of_the_current_feed_is_read() {
    let mut n_entries = 0;
    for (name, body) in real_files("feeds/getcurrent") {
        if !name.ends_with(".atom") {
            continue;
        }
        let page = parse_feed(&body).expect(&name);
        assert_eq!(page.problems, Vec::<String>::new(), "{name}");
        let body = text(&body);
        assert_eq!(page.n_entries(), body.matches("<entry>").count(), "{name}");
        let read: Vec<ScannedEntry> = page
            .entries
            .iter()
            .map(|entry| {
                let offset = between(&body, "<updated>", "</updated>").map_or("-05:00", |time| &time[19..]);
                let offset: chrono::FixedOffset = offset.parse().expect("an offset");
                (
                    entry.form.to_string(),
                    entry.accession.to_string(),
                    entry.filer.cik.to_string(),
                    entry.role.clone(),
                    entry.filing_date.to_string(),
                    entry.accepted_at.with_timezone(&offset).to_rfc3339(),
                    entry.items.iter().map(ToString::to_string).collect(),
                )
            })
            .collect();
        assert_eq!(read, scan_entries(&body), "{name}");
        for (entry, raw) in page.entries.iter().zip(body.split("<entry>").skip(1)) {
            let title = between(raw, "<title>", " (0").expect("a title");
            let name = title.split_once(" - ").expect("a form").1.replace("&amp;", "&").replace("&#39;", "'");
            assert!(entry.filer.name == name || title.contains(" (0"), "{} is not {name}", entry.filer.name);
            let is_8k = ["8-K", "8-K/A", "8-K12B"].contains(&entry.form.as_str());
            assert!(!is_8k || !entry.items.is_empty(), "{} has no item", entry.accession);
        }
        n_entries += page.entries.len();
    }
    println!("{n_entries} entries compared");
}

#[test]
fn entries_of_a_company_feed_are_read_or_named() {
    let item = Regex::new(r"Item (\d\.\d\d): ").expect("a pattern");
    for (name, body) in real_files("feeds/getcompany") {
        if name == "aapl_10q_output_xml_old.xml" {
            // Altered by whoever stored it, and not Atom to begin with.
            let error = parse_feed(&body).expect_err(&name).to_string();
            assert!(error.starts_with("expected an Atom feed, found \"<?xml version=\"1.0\""), "{error}");
            continue;
        }
        let page = parse_feed(&body).expect(&name);
        let body = text(&body);
        let n_entries = body.matches("<entry>").count() + body.matches("<entry ").count();
        assert_eq!(page.n_entries(), n_entries, "{name}");
        let scanned: Vec<&str> = body.split("urn:tag:sec.gov,2008:accession-number=").skip(1).collect();
        let scanned: Vec<String> = scanned.iter().map(|rest| rest[..20].to_owned()).collect();
        let read: Vec<String> = page.entries.iter().map(|entry| entry.accession.to_string()).collect();
        assert_eq!(read, scanned, "{name}");
        // Transcribed: the answer of several matches names companies, no filings.
        let expected_problems = if name == "company_search_multimatch.atom" { n_entries } else { 0 };
        assert_eq!(page.problems.len(), expected_problems, "{name}: {:?}", page.problems);
        for problem in &page.problems {
            assert!(problem.contains(" skipped: no accession number in id \"urn:tag:"), "{problem}");
        }
        if name == "company_search_nomatch.atom" {
            assert_eq!(n_entries, 0, "a feed without entries is read as such");
        }
        for entry in &page.entries {
            let raw = body.split("<entry").find(|raw| raw.contains(&format!("accession-number={}", entry.accession)));
            let raw = raw.expect("the entry");
            assert_eq!(entry.form.as_str(), between(raw, "term=\"", "\"").expect("a term"), "{}", entry.accession);
            let company = between(&body, "<cik>", "</cik>").expect("the company's CIK");
            assert_eq!(entry.filer.cik.to_string(), company, "{}", entry.accession);
            assert_eq!(entry.filing_date.to_string(), between(raw, "<filing-date>", "</").expect("a date"));
            let summary = between(raw, "<summary", "</summary>").unwrap_or_default();
            let items: Vec<String> = item.captures_iter(summary).map(|item| item[1].to_owned()).collect();
            let read: Vec<String> = entry.items.iter().map(ToString::to_string).collect();
            assert_eq!(read, items, "{}", entry.accession);
        }
    }
}

#[test]
fn what_is_no_atom_feed_is_refused_by_name() {
    let mut others = real_files("feeds/rss");
    others.extend(real_files("feeds/html_old"));
    others.extend(real_files("errors"));
    others.extend(real_files("feeds/getcurrent").into_iter().filter(|(name, _)| name.ends_with(".html")));
    for (name, body) in others {
        let error = parse_feed(&body).expect_err(&name).to_string();
        let head: String = text(&body).split_whitespace().next().unwrap_or_default().to_owned();
        let head = head.trim_start_matches('\u{feff}');
        assert!(error.starts_with("expected an Atom feed, found \""), "{name}: {error}");
        assert!(error.contains(head), "{name}: {error} does not show {head}");
    }
}

// ---------------------------------------------------------------- submissions

/// The lines of a file, whatever ends them: two dissemination files end theirs with a lone CR.
fn lines(text: &str) -> Vec<&str> {
    text.split(['\n', '\r']).collect()
}

fn read_submission(bytes: &[u8], piece: usize) -> Filing {
    let mut reader = FilingReader::default();
    bytes.chunks(piece).for_each(|chunk| reader.feed(chunk));
    reader.finish().expect("a submission")
}

/// The header's values for one key of the text form or one of the tag form, in order.
fn values<'a>(header: &[&'a str], text_key: &str, tag: &str) -> Vec<&'a str> {
    let value = |line: &&'a str| {
        let line = line.trim();
        line.strip_prefix(text_key).and_then(|rest| rest.strip_prefix(':')).or_else(|| line.strip_prefix(tag))
    };
    header.iter().filter_map(value).map(str::trim).collect()
}

fn check_header(name: &str, header: &FilingHeader, raw: &[&str]) {
    let one = |text_key, tag| values(raw, text_key, tag).first().copied().unwrap_or_default().to_owned();
    let digits = |date: chrono::NaiveDate| date.format("%Y%m%d").to_string();
    let accession = header.accession.map(|accession| accession.to_string()).unwrap_or_default();
    assert_eq!(accession, one("ACCESSION NUMBER", "<ACCESSION-NUMBER>"), "{name}");
    let form = header.form.as_ref().map(ToString::to_string).unwrap_or_default();
    assert_eq!(form, one("CONFORMED SUBMISSION TYPE", "<TYPE>"), "{name}");
    let filed = header.filing_date.map(digits).unwrap_or_default();
    assert_eq!(filed, one("FILED AS OF DATE", "<FILING-DATE>"), "{name}");
    let period = header.period.map(digits).unwrap_or_default();
    assert_eq!(period, one("CONFORMED PERIOD OF REPORT", "<PERIOD>"), "{name}");
    let accepted =
        header.accepted_at.map(|at| at.with_timezone(&chrono_tz::America::New_York).format("%Y%m%d%H%M%S").to_string());
    assert_eq!(accepted.unwrap_or_default(), one("<no text form>", "<ACCEPTANCE-DATETIME>"), "{name}");
    let ciks: Vec<String> = header.parties.iter().filter_map(|party| party.cik).map(|cik| cik.to_string()).collect();
    assert_eq!(ciks, values(raw, "CENTRAL INDEX KEY", "<CIK>"), "{name}");
    let names: Vec<&str> = header.parties.iter().map(|party| party.name.as_str()).collect();
    let scanned = values(raw, "COMPANY CONFORMED NAME", "<CONFORMED-NAME>");
    let scanned: Vec<String> = scanned.iter().map(|name| name.replace("&amp;", "&")).collect();
    assert_eq!(names, scanned, "{name}");
    let former: Vec<&str> = header.parties.iter().flat_map(|party| &party.former_names).map(String::as_str).collect();
    let scanned = values(raw, "FORMER CONFORMED NAME", "<FORMER-CONFORMED-NAME>");
    let scanned: Vec<String> = scanned.iter().map(|name| name.replace("&amp;", "&")).collect();
    assert_eq!(former, scanned, "{name}");
}

/// A document as the naive scan sees it.
#[derive(Debug, Default, PartialEq, Eq)]
struct ScannedDocument {
    document_type: String,
    filename: Option<String>,
    body: String,
}

fn scan_documents(lines: &[&str]) -> Vec<ScannedDocument> {
    let starts: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].trim() == "<DOCUMENT>").collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    starts.iter().zip(ends).map(|(start, end)| scan_document(&lines[*start..end])).collect()
}

fn scan_document(lines: &[&str]) -> ScannedDocument {
    let text_at = lines.iter().position(|line| line.trim() == "<TEXT>").unwrap_or(lines.len());
    let field = |tag: &str| lines[..text_at].iter().find_map(|line| line.strip_prefix(tag)).map(str::trim);
    let mut body = String::new();
    let mut in_binary = false;
    for line in lines.iter().skip(text_at + 1).take_while(|line| line.trim() != "</TEXT>") {
        if in_binary {
            in_binary = line.trim() != "end";
        } else if line.starts_with("begin 644 ") {
            in_binary = true;
        } else {
            body.push_str(line);
            body.push('\n');
        }
    }
    ScannedDocument {
        document_type: field("<TYPE>").unwrap_or_default().to_owned(),
        filename: field("<FILENAME>").map(str::to_owned),
        body,
    }
}

/// Whether a document must be held: the first one, the first of the form, or an EX-99.
fn must_be_held(index: usize, document: &ScannedDocument, form: &str, all: &[ScannedDocument]) -> bool {
    let rest = document.document_type.strip_prefix("EX-99");
    let is_first_of_form = all.iter().position(|other| other.document_type == form) == Some(index);
    index == 0 || is_first_of_form || rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Begins with its first document.
const NO_HEADER: &str = "other/0000899681-95-000096.txt";

/// Cut before they came here: a 10-K with two of its documents, and a header alone. Both are read as far as they go.
const CUT: [(&str, usize, &[&str]); 2] = [
    ("other/0001564590-20-004475-minimal.txt", 2, &[]),
    ("other/ABS-15G_0001140361-25-045534_header_only.txt", 0, &[]),
];

#[test]
fn submissions_are_read_whole() {
    let (mut n_documents, mut n_skipped) = (0, 0);
    for (name, bytes) in real_files("submissions_txt") {
        // One file was stored without its header.
        assert_eq!(looks_like_submission(&bytes), name != NO_HEADER, "{name}");
        let filing = read_submission(&bytes, bytes.len());
        let raw = text(&bytes);
        let lines = lines(&raw);
        let header_end = lines.iter().position(|line| line.trim() == "<DOCUMENT>").unwrap_or(lines.len());
        check_header(&name, &filing.header, &lines[..header_end]);

        let scanned = scan_documents(&lines);
        assert_eq!(filing.documents.len() + filing.skipped.len(), scanned.len(), "{name}");
        let form = filing.header.form.as_ref().map(FormType::as_str).unwrap_or_default();
        let held: Vec<&ScannedDocument> = scanned
            .iter()
            .enumerate()
            .filter(|(index, document)| must_be_held(*index, document, form, &scanned))
            .map(|(_, document)| document)
            .collect();
        assert_eq!(filing.documents.len(), held.len(), "{name}");
        for (document, scanned) in filing.documents.iter().zip(held) {
            assert_eq!(document.document_type.as_str(), scanned.document_type.to_uppercase(), "{name}");
            assert_eq!(document.filename, scanned.filename, "{name}");
            assert!(text(&document.body) == scanned.body, "{name}: {} differs", document.label());
            assert!(!document.is_cut(), "{name}: {} is below the limit", document.label());
            let has_binary = document.body.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"begin 644 "));
            assert!(!has_binary, "{name}: {} holds an encoded part", document.label());
        }
        let (n_cut, problems) = CUT
            .iter()
            .find(|(cut, ..)| *cut == name)
            .map_or((None, &[] as &[&str]), |(_, n_documents, problems)| (Some(*n_documents), problems));
        assert_eq!(filing.problems, problems, "{name}");
        assert!(n_cut.is_none_or(|n_cut| n_cut == scanned.len()), "{name} has {} documents", scanned.len());
        n_documents += filing.documents.len();
        n_skipped += filing.skipped.len();
    }
    println!("{n_documents} documents read, {n_skipped} passed over");
}

#[test]
fn the_size_of_the_pieces_does_not_matter() {
    for (name, bytes) in real_files("submissions_txt") {
        let whole = read_submission(&bytes, bytes.len());
        let pieces: &[usize] = match bytes.len() {
            ..8_000 => &[1, 2, 7, 61, 4096],
            8_000..60_000 => &[7, 61, 4096],
            _ => &[1021, 4096],
        };
        for piece in pieces {
            assert!(read_submission(&bytes, *piece) == whole, "{name} in pieces of {piece} bytes");
        }
    }
}

#[test]
fn a_submission_that_breaks_off_anywhere_keeps_what_arrived() {
    for (name, bytes) in real_files("submissions_txt/8-K").into_iter().take(30) {
        let whole = read_submission(&bytes, bytes.len());
        for tenth in 1..10 {
            let mut reader = FilingReader::default();
            reader.feed(&bytes[..bytes.len() * tenth / 10]);
            let filing = reader.finish().expect(&name);
            assert!(filing.documents.len() <= whole.documents.len(), "{name} at {tenth}");
            for (document, whole) in filing.documents.iter().zip(&whole.documents) {
                // The last line may break off within a tag.
                let n_certain = document.body.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
                assert!(whole.body.starts_with(&document.body[..n_certain]), "{name} at {tenth}: {}", document.label());
            }
        }
    }
}

/// Every item line of a header here that has a number, whether it is from before 23 August 2004, and its number.
const ITEM_LINES: &[(&str, bool, &str)] = &[
    ("2", true, "2"),
    ("5", true, "5"),
    ("7", true, "7"),
    ("Acquisition or disposition of assets", true, "2"),
    ("Changes in control of registrant", true, "1"),
    ("Financial statements and exhibits", true, "7"),
    ("Other events", true, "5"),
    ("Regulation FD Disclosure", true, "9"),
    ("2.01", false, "2.01"),
    ("5.02", false, "5.02"),
    ("9.01", false, "9.01"),
    ("Cost Associated with Exit or Disposal Activities", false, "2.05"),
    (
        "Creation of a Direct Financial Obligation or an Obligation under an Off-Balance Sheet Arrangement of a Registrant",
        false,
        "2.03",
    ),
    (
        "Departure of Directors or Certain Officers; Election of Directors; Appointment of Certain Officers: \
         Compensatory Arrangements of Certain Officers",
        false,
        "5.02",
    ),
    (
        "Departure of Directors or Principal Officers; Election of Directors; Appointment of Principal Officers",
        false,
        "5.02",
    ),
    ("Entry into a Material Definitive Agreement", false, "1.01"),
    ("Financial Statements and Exhibits", false, "9.01"),
    (
        "Non-Reliance on Previously Issued Financial Statements or a Related Audit Report or Completed Interim Review",
        false,
        "4.02",
    ),
    ("Other Events", false, "8.01"),
    ("Regulation FD Disclosure", false, "7.01"),
    ("Results of Operations and Financial Condition", false, "2.02"),
];

#[test]
fn every_item_line_has_its_number() {
    let mut seen: BTreeMap<(bool, String), String> = BTreeMap::new();
    let mut exceptions = BTreeSet::new();
    for (name, bytes) in real_files("submissions_txt") {
        let filing = read_submission(&bytes, bytes.len());
        let raw = text(&bytes);
        let lines = lines(&raw);
        let header_end = lines.iter().position(|line| line.trim() == "<DOCUMENT>").unwrap_or(lines.len());
        let filed = filing.header.filing_date.map(|date| date.to_string());
        let is_old = filed.is_some_and(|date| date.as_str() < "2004-08-23");
        let mut numbers: Vec<String> = Vec::new();
        for line in values(&lines[..header_end], "ITEM INFORMATION", "<ITEMS>") {
            if line.is_empty() {
                continue;
            }
            let is_8k = filing.header.form.as_ref().is_some_and(|form| form.as_str().starts_with("8-K"));
            match item_number(line, is_old) {
                Some(number) => {
                    seen.insert((is_old, line.to_owned()), number.to_string());
                    numbers.push(number.to_string());
                }
                // Form D and Form ABS-15G have items of their own; an 8-K has none that is not known.
                None => {
                    assert!(!is_8k, "{name}: no number for \"{line}\"");
                    exceptions.insert(line.to_owned());
                }
            }
        }
        let read: Vec<String> = filing.header.items.iter().map(ToString::to_string).collect();
        numbers.dedup();
        let distinct: BTreeSet<&String> = numbers.iter().collect();
        assert_eq!(read.iter().collect::<BTreeSet<_>>(), distinct, "{name}");
        assert_eq!(read.len(), distinct.len(), "{name}: an item twice");
    }
    if seen.is_empty() {
        return;
    }
    let expected =
        ["06b", "3C", "3C.1", "3C.7", "Periodic Filing of Rule 15Ga-1 Representations and Warranties Disclosure"];
    assert_eq!(exceptions.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    for (line, old, number) in ITEM_LINES {
        assert_eq!(seen.remove(&(*old, (*line).to_owned())).as_deref(), Some(*number), "{line}");
    }
    assert_eq!(seen, BTreeMap::new(), "say here which number each has");
}

#[test]
fn headers_alone_are_read() {
    for (name, bytes) in real_files("filing_index/sec_header_text") {
        let raw = text(&bytes);
        check_header(&name, &parse_header(&bytes), &lines(&raw));
        let filing = read_submission(&bytes, 61);
        assert_eq!(filing.header, parse_header(&bytes), "{name}");
        assert_eq!((filing.documents.len(), filing.skipped.len()), (0, 0), "{name}");
    }
}

// ---------------------------------------------------------------- JSON

#[test]
fn every_row_of_the_submissions_is_read() {
    for (name, body) in real_files("submissions") {
        let value: Value = serde_json::from_slice(&body).expect(&name);
        let rows = value.pointer("/filings/recent").unwrap_or(&value);
        let column = |key: &str| -> Vec<String> {
            let cells = rows[key].as_array().unwrap_or_else(|| panic!("{name}: no column {key}"));
            cells.iter().map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()
        };
        let company = parse_submissions(&body).expect(&name);
        assert_eq!(company.problems, Vec::<String>::new(), "{name}");
        let accessions: Vec<String> = company.filings.iter().map(|filing| filing.accession.to_string()).collect();
        assert_eq!(accessions, column("accessionNumber"), "{name}");
        let forms: Vec<String> = company.filings.iter().map(|filing| filing.form.to_string()).collect();
        assert_eq!(forms, column("form"), "{name}");
        let dates = company.filings.iter().map(|filing| filing.filing_date.map(|date| date.to_string()));
        assert_eq!(dates.map(Option::unwrap_or_default).collect::<Vec<_>>(), column("filingDate"), "{name}");
        let items = company
            .filings
            .iter()
            .map(|filing| filing.items.iter().map(ItemNumber::as_str).collect::<Vec<_>>().join(","));
        for (index, (read, cell)) in items.zip(column("items")).enumerate() {
            // Old 8-Ks and Form D have other items: no number is made up for those of Form D.
            let form = company.filings[index].form.as_str();
            assert!(read == cell || !form.starts_with("8-K"), "{name} row {index} {form}: {cell} read as {read}");
        }
        if value.get("filings").is_some() {
            assert_eq!(company.name, value["name"].as_str().expect("a name"), "{name}");
            let cik = value["cik"].as_str().expect("a CIK").trim_start_matches('0').to_owned();
            assert_eq!(company.cik.map(|cik| cik.number().to_string()), Some(cik), "{name}");
            assert_eq!(company.tickers.len(), value["tickers"].as_array().map_or(0, Vec::len), "{name}");
        }
    }
}

#[test]
fn every_row_of_the_ticker_map_is_read() {
    for (name, body) in real_files("tickers") {
        match name.as_str() {
            "company_tickers.json" => {
                let map = TickerMap::parse(&body).expect(&name);
                let value: Value = serde_json::from_slice(&body).expect(&name);
                let rows = value.as_object().expect("an object");
                for row in rows.values() {
                    let ticker = row["ticker"].as_str().expect("a ticker");
                    let found = map.find(ticker).unwrap_or_else(|| panic!("{ticker} is lost"));
                    assert_eq!(Some(found.cik.number()), row["cik_str"].as_u64(), "{ticker}");
                    assert_eq!(Some(found.name.as_str()), row["title"].as_str(), "{ticker}");
                }
                let tickers: BTreeSet<String> =
                    rows.values().filter_map(|row| row["ticker"].as_str()).map(normalise_ticker).collect();
                assert_eq!((map.len(), tickers.len()), (rows.len(), rows.len()), "no two rows share a ticker");
            }
            // Another file of the same folder, of another shape; and one cut after 200,000 bytes.
            _ => {
                let error = TickerMap::parse(&body).expect_err(&name).to_string();
                assert!(error.starts_with("expected an object of {cik_str, ticker, title}: "), "{name}: {error}");
            }
        }
    }
}

// ---------------------------------------------------------------- index pages

#[test]
fn index_pages_list_every_document() {
    let accession = Regex::new(r"(\d{10}-\d{2}-\d{6})").expect("a pattern");
    let mut pages = real_files("filing_index/index_html");
    pages.extend(real_files("filing_index/index_html_old"));
    for (name, body) in pages {
        let page = parse_index_page(&body).expect(&name);
        let html = text(&body);
        let table = between(&html, "summary=\"Document Format Files\"", "</table>").unwrap_or_default();
        let rows = table.split("<tr").skip(1).filter(|row| row.contains("href=") && row.contains("<td"));
        // The row of the complete submission has no number.
        // Documents of before about 2001 have no name, and so no address: their rows link to the folder.
        let rows = rows.filter(|row| !row.contains("/\"></a>"));
        let rows: Vec<&str> = rows.filter(|row| !row.contains("Complete submission text file")).collect();
        let scanned: Vec<String> = rows
            .iter()
            .map(|row| {
                let href = between(row, "href=\"", "\"").expect("a link");
                href.rsplit('/').next().unwrap_or_default().to_owned()
            })
            .collect();
        let read: Vec<&str> = page.documents.iter().map(|document| document.filename.as_str()).collect();
        assert_eq!(read, scanned, "{name}");
        for (document, row) in page.documents.iter().zip(&rows) {
            assert!(row.contains(&format!(">{}</td>", document.document_type)), "{name}: {row}");
        }
        let fact = |label: &str| {
            let (_, rest) = html.split_once(&format!("<div class=\"infoHead\">{label}</div>"))?;
            between(rest, "<div class=\"info\">", "</div>").map(|value| value.trim().to_owned())
        };
        let header = &page.header;
        assert_eq!(header.filing_date.map(|date| date.to_string()), fact("Filing Date"), "{name}");
        assert_eq!(header.period.map(|date| date.to_string()), fact("Period of Report"), "{name}");
        let accepted = header
            .accepted_at
            .map(|at| at.with_timezone(&chrono_tz::America::New_York).format("%Y-%m-%d %H:%M:%S").to_string());
        assert_eq!(accepted, fact("Accepted"), "{name}");
        assert!(accepted.is_some() && header.filing_date.is_some(), "{name}");
        let items = fact("Items").unwrap_or_default().matches("Item ").count();
        assert_eq!(header.items.len(), items, "{name}");
        assert_eq!(header.parties.len(), html.matches("class=\"companyName\"").count(), "{name}");
        assert!(header.parties.iter().all(|party| party.cik.is_some() && !party.name.is_empty()), "{name}");
        assert!(header.form.is_some(), "{name}");
        let first = accession.captures(&name).map(|found| found[1].to_owned());
        assert_eq!(header.accession.map(|accession| accession.to_string()), first, "{name}");
    }
}

// ---------------------------------------------------------------- error pages

#[test]
fn error_pages_are_told_apart_and_taken_for_nothing_else() {
    for (name, body) in real_files("errors") {
        let expected = match name.as_str() {
            "403_undeclared_automated_tool.html" => Refusal::UndeclaredTool,
            "403_access_denied_1.xml" | "403_access_denied_2.xml" => Refusal::NotPublished,
            "403_request_rate_threshold_exceeded.html" => Refusal::Blocked,
            // Not answers of 403; a page not known must count as a block.
            "404_nosuchkey_data.sec.gov.xml" | "503_maintenance_1.html" | "503_maintenance_2.html" => Refusal::Blocked,
            other => panic!("{other}: say here what it is"),
        };
        assert_eq!(read_refusal(&body), expected, "{name}");

        let error = parse_index_page(&body).expect_err(&name).to_string();
        assert_eq!(error, "expected a filing index page, found none of its parts", "{name}");
        assert!(parse_submissions(&body).expect_err(&name).is_syntax(), "{name}");
        let error = TickerMap::parse(&body).expect_err(&name).to_string();
        assert!(error.starts_with("expected an object of {cik_str, ticker, title}: "), "{name}: {error}");
        assert!(!looks_like_submission(&body), "{name}");
        let mut reader = FilingReader::default();
        reader.feed(&body);
        let error = reader.finish().expect_err(&name).to_string();
        assert!(error.starts_with("expected a full-submission text file, found \""), "{name}: {error}");
    }
}

// ---------------------------------------------------------------- readings

/// One line for each event that would alert, with its sentences.
fn alerts(reading: &FilingReading) -> Vec<String> {
    if !default_alert(&reading.events) {
        return Vec::new();
    }
    let news = reading.events.iter().filter(|event| event.status == EventStatus::New);
    news.map(|event| {
        let sentences: Vec<&str> = event.evidence.iter().map(|evidence| evidence.text.as_str()).collect();
        format!("{:?} {:?}: {}", event.kind, event.exchange, sentences.join(" | "))
    })
    .collect()
}

/// A document alone, as the 8-K it is.
fn document_of(name: &str, body: Vec<u8>) -> Document {
    Document {
        sequence: 1,
        document_type: DocumentType::new("8-K"),
        filename: Some(name.to_owned()),
        size_bytes: body.len() as u64,
        body,
    }
}

#[test]
fn html_documents_become_text_and_alert_nobody() {
    let mut alerting = Vec::new();
    let mut n_read = 0;
    let mut files = real_files("html_8-K");
    files.extend(real_files("html_misc"));
    for (name, bytes) in files {
        let plain = to_text(&bytes);
        assert!(plain.split_whitespace().count() > 20, "{name} has no text");
        for remnant in ["</", "<div", "<p>", "<font", "<ix:", "<TYPE>", "&nbsp;", "&#", "&amp;"] {
            assert!(!plain.contains(remnant), "{name} still has {remnant}");
        }
        let document = document_of(&name, bytes);
        // The names tell the year of the filing at most: the reading takes its date from the text.
        let context = FilingContext { form: Some("8-K".to_owned()), ..FilingContext::default() };
        let document = read_document(&document, &context);
        let reading = FilingReading {
            header: FilingHeader::default(),
            events: document.reading.events,
            documents: Vec::new(),
            caveats: Vec::new(),
        };
        alerting.extend(alerts(&reading).into_iter().map(|alert| format!("{name}: {alert}")));
        n_read += 1;
    }
    assert_eq!(alerting, Vec::<String>::new());
    println!("{n_read} documents read");
}

/// Texts under Item 3.01, their tags stripped and white space folded by whoever stored them. One reports what the
/// program is for: SunPower's letter from Nasdaq of 2024. The others are of NYSE, transfers and mergers.
#[test]
fn of_the_texts_under_item_301_one_alerts() {
    let mut alerting = Vec::new();
    let files = real_files("item301_text");
    for (name, bytes) in &files {
        let document = document_of(name, bytes.clone());
        let context = FilingContext { form: Some("8-K".to_owned()), ..FilingContext::default() };
        if default_alert(&read_document(&document, &context).reading.events) {
            alerting.push(name.as_str());
        }
    }
    assert!(files.is_empty() || alerting == ["867773_0000867773-24-000093.txt"], "{alerting:?}");
}

#[test]
fn submissions_alert_nobody() {
    let mut alerting = Vec::new();
    for (name, bytes) in real_files("submissions_txt") {
        let reading = read_filing(&read_submission(&bytes, 4096), &FilingContext::default());
        alerting.extend(alerts(&reading).into_iter().map(|alert| format!("{name}: {alert}")));
    }
    assert_eq!(alerting, Vec::<String>::new());
}

/// A notice of our own, to be told from whatever stands around it.
const SPLICED: &str = "<p>On March 5, 2024, the Company received a letter from the Listing Qualifications Department of The \
    Nasdaq Stock Market stating that, because it has not yet filed its Annual Report on Form 10-K for the fiscal year ended \
    November 30, 2023, it does not comply with Nasdaq Listing Rule 5250(c)(1). The Company has until May 6, 2024 to submit a \
    plan to regain compliance.</p>";

/// Where a paragraph can be put into a document: after one that ends outside tables, between the first item and the
/// signature, in the middle of all there are.
fn body_position(html: &str) -> Option<usize> {
    let lower = html.to_ascii_lowercase();
    let from =
        Regex::new(r"item(?:\s|&nbsp;|&#160;|<[^>]*>)*\d").expect("a pattern").find(&lower).map_or(0, |m| m.end());
    let until = lower.rfind("signature").filter(|end| *end > from).unwrap_or(lower.len());
    let ends = Regex::new("</(?:p|div)>").expect("a pattern");
    let in_table = |at: usize| lower[..at].matches("<table").count() > lower[..at].matches("</table").count();
    let positions: Vec<usize> =
        ends.find_iter(&lower).map(|m| m.end()).filter(|at| (from..until).contains(at) && !in_table(*at)).collect();
    positions.get(positions.len() / 2).copied()
}

/// The silence above is no deafness: the same documents alert once a notice stands in them.
#[test]
fn a_notice_put_into_an_ordinary_report_is_heard() {
    let (mut deaf, mut misread, mut n_read) = (Vec::new(), Vec::new(), 0);
    for (name, bytes) in real_files("html_8-K") {
        let html = String::from_utf8_lossy(&bytes).into_owned();
        let Some(at) = body_position(&html) else { continue };
        let spliced = format!("{}{SPLICED}{}", &html[..at], &html[at..]);
        let context = FilingContext {
            form: Some("8-K".to_owned()),
            filed: "2024-03-08".parse().ok(),
            ..FilingContext::default()
        };
        let reading = read_document(&document_of(&name, spliced.into_bytes()), &context).reading;
        n_read += 1;
        let letter = reading
            .events
            .iter()
            .find(|event| event.status == EventStatus::New && default_alert(std::slice::from_ref(event)));
        let Some(letter) = letter else {
            deaf.push(name);
            continue;
        };
        let plan =
            letter.deadlines.iter().any(|due| due.what == DeadlineKind::Plan && due.date.to_string() == "2024-05-06");
        let right = letter.kind == EventKind::DeficiencyNotice
            && letter.received.map(|day| day.to_string()).as_deref() == Some("2024-03-05")
            && letter.rules == ["5250(c)(1)"]
            && letter
                .reports
                .iter()
                .any(|r| r.form == "10-K" && r.period_end.is_some_and(|end| end.to_string() == "2023-11-30"))
            && plan;
        if !right {
            misread.push(format!(
                "{name}: {:?} {:?} {:?} {:?}",
                letter.kind, letter.received, letter.rules, letter.reports
            ));
        }
    }
    println!("{n_read} documents with a notice in them");
    assert!(deaf.is_empty(), "{} of {n_read} deaf: {deaf:?}", deaf.len());
    assert!(misread.is_empty(), "{} of {n_read} misread: {misread:#?}", misread.len());
}

// ---------------------------------------------------------------- indexes

#[test]
fn master_indexes_are_read_row_by_row_and_other_layouts_give_no_rows() {
    for (name, bytes) in real_files("indexes/daily").into_iter().chain(real_files("indexes/full")) {
        let file = parse_master(&bytes, |_| true).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = text(&bytes).lines().filter(|line| line.contains("edgar/data/")).count();
        assert_eq!(file.n_rows, lines, "{name}");
        if name.contains("master") || name.contains("xbrl") {
            assert_eq!((file.rows.len(), file.n_bad), (lines, 0), "{name}");
        } else {
            assert_eq!((file.rows.len(), file.n_bad), (0, lines), "{name}: fixed width, which is not asked for");
        }
    }
}

#[test]
fn the_list_of_a_quarter_names_every_day_with_its_hour() {
    let master = Regex::new(r#""name":"master\.\d{8}\.idx""#).expect("a pattern");
    let listings = real_files("indexes/directory_json");
    for (name, bytes) in &listings {
        let days = parse_listing(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(days.len(), master.find_iter(&text(bytes)).count(), "{name}");
        assert!(days.iter().all(|day| day.written_at.is_some() && !day.size.is_empty()), "{name}");
    }
    if let Some((_, bytes)) = listings.iter().find(|(name, _)| name.contains("daily-index-qtr")) {
        let days = parse_listing(bytes).expect("a listing");
        assert_eq!(days.len(), 62, "the first quarter of 2023");
        // Each was written the same evening, or after midnight at the latest.
        assert!(days.iter().all(|day| eastern_date(day.written_at.expect("a time")) >= day.day));
    }
}
