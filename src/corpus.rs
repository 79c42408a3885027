//! Corpus records: documents with the answers a person gave, one JSON object a line. Lines in, values out; opening
//! files is left to the commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};

use crate::classify::{
    Basis, DeadlineKind, EventKind, EventStatus, Exchange, ListingEvent, OverdueReport, Phrase, default_alert,
};
use crate::edgar::filing::Document;
use crate::edgar::ids::DocumentType;
use crate::reading::{DocumentReading, FilingContext, read_document};

/// A document and what is known of it, without the answers.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Record {
    /// Names it among its neighbours.
    pub id: String,
    /// The form it was filed under.
    pub form: Option<String>,
    /// Its type within the filing.
    pub document_type: Option<String>,
    /// The day it was filed.
    pub filed: Option<NaiveDate>,
    /// Who filed it.
    pub issuer: Option<String>,
    /// The whole document, text or HTML.
    pub text: String,
}

impl Record {
    /// Reads the document as one of a filing is read, with the user's own phrases beside those of the program.
    pub fn read(&self, patterns: &Arc<[Phrase]>) -> DocumentReading {
        let context = FilingContext {
            form: self.form.clone(),
            filed: self.filed,
            issuer: self.issuer.clone(),
            patterns: patterns.clone(),
        };
        let document = Document {
            sequence: 1,
            document_type: DocumentType::new(self.document_type.as_deref().unwrap_or_default()),
            filename: None,
            size_bytes: self.text.len() as u64,
            body: self.text.clone().into_bytes(),
        };
        read_document(&document, &context)
    }
}

/// The right answers for a document.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
pub struct Label {
    /// Whether it gives cause for the default alert.
    pub alert: bool,
    /// Its own news.
    pub events: Vec<LabelledEvent>,
    /// The letter dates it retells; `None` where the label leaves the key out.
    pub history_dates: Option<BTreeSet<NaiveDate>>,
}

/// The right answer for one event. A field is `None` where the label leaves its key out: nobody looked, so it is not
/// scored. A date that was looked for and is not there is `Some(None)`, written `null`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct LabelledEvent {
    /// What was done.
    pub kind: EventKind,
    /// Whose listing.
    pub exchange: Exchange,
    /// What it is about.
    pub bases: Option<BTreeSet<Basis>>,
    /// The day the letter arrived, else the day it bears.
    #[serde(default, deserialize_with = "looked_for")]
    pub letter_date: Option<Option<NaiveDate>>,
    /// The day the letter arrived.
    #[serde(default, deserialize_with = "looked_for")]
    pub received: Option<Option<NaiveDate>>,
    /// The day the letter bears.
    #[serde(default, deserialize_with = "looked_for")]
    pub dated: Option<Option<NaiveDate>>,
    /// The rules it rests on.
    pub rules: Option<BTreeSet<String>>,
    /// The reports it is about.
    pub reports: Option<BTreeSet<OverdueReport>>,
    /// The dates that the text states.
    pub deadlines: Option<BTreeSet<LabelledDeadline>>,
}

impl LabelledEvent {
    /// Whether the event alone gives cause for the default alert, by the rule that readings go by.
    pub fn alerts(&self) -> bool {
        let bases = self.bases.iter().flatten().copied().collect();
        let bare = ListingEvent::bare(self.kind, EventStatus::New, self.exchange);
        default_alert(&[ListingEvent { bases, ..bare }])
    }
}

/// A stated date by which something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub struct LabelledDeadline {
    /// What is due.
    pub what: DeadlineKind,
    /// When.
    pub date: NaiveDate,
}

/// A record with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledRecord {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The document.
    pub record: Record,
    /// The right answers.
    pub label: Label,
}

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct BadLine {
    /// The name of the file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads records, with or without labels, in order. `file` is the name that errors give.
pub fn parse_records<'a>(file: &'a str, bytes: &'a [u8]) -> impl Iterator<Item = Result<Record, BadLine>> + 'a {
    lines(bytes).map(move |(line, text)| parse_line(file, line, text))
}

/// Reads records with their labels, in order. `file` is the name that errors give.
pub fn parse_labelled<'a>(
    file: &'a str,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<LabelledRecord, BadLine>> + 'a {
    lines(bytes).map(move |(line, text)| {
        // Read twice: a flattened struct would lose the column of what is wrong.
        Ok(LabelledRecord { line, record: parse_line(file, line, text)?, label: parse_line(file, line, text)? })
    })
}

/// The lines that are not blank, each with its number. Bytes, so that a stray one costs its line and not the file.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes
        .split(|byte| *byte == b'\n')
        .zip(1..)
        .map(|(text, line)| (line, text))
        .filter(|(_, t)| !t.trim_ascii().is_empty())
}

fn parse_line<T: DeserializeOwned>(file: &str, line: usize, text: &[u8]) -> Result<T, BadLine> {
    serde_json::from_slice(text).map_err(|error| {
        // serde_json counts lines within what it was given, here always the first.
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.strip_suffix(&place).unwrap_or(&reason);
        BadLine { file: file.to_owned(), line, reason: format!("{reason} at column {}", error.column()) }
    })
}

/// Tells a key that is `null` from one that is left out; the latter never gets here.
fn looked_for<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<NaiveDate>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELLED: &str = r#"{"id": "a", "text": "Nothing.", "alert": false, "events": []}"#;

    #[test]
    fn blank_lines_count_but_are_no_records() {
        let text = format!("\u{feff}{LABELLED}\r\n\n  \n{LABELLED}");
        let lines: Vec<usize> = parse_labelled("f", text.as_bytes()).map(|r| r.expect("a record").line).collect();
        assert_eq!(lines, [1, 4]);
    }

    #[test]
    fn a_bad_line_says_where_and_why_and_costs_no_other() {
        fn check(line: &[u8], expected: &str) {
            let bytes = [LABELLED.as_bytes(), line, LABELLED.as_bytes()].join(&b'\n');
            let mut records = parse_labelled("some.jsonl", &bytes);
            assert!(records.next().is_some_and(|r| r.is_ok()));
            let error = records.next().expect("a line").expect_err("a bad line").to_string();
            assert_eq!(error, format!("some.jsonl:2: {expected}"));
            assert!(records.next().is_some_and(|r| r.is_ok()));
        }
        check(b"{\"id\": \"b\"", "EOF while parsing an object at column 10");
        check(b"{\"id\": \"b\", \"text\": \"\"}", "missing field `alert` at column 23");
        check(b"{\"id\": \"b\", \"text\": \"\xff\"}", "invalid unicode code point at column 22");
        let kind = br#"{"id": "b", "text": "", "alert": true, "events": [{"kind": "letter", "exchange": "nasdaq"}]}"#;
        check(
            kind,
            "unknown variant `letter`, expected one of `staff_determination`, `deficiency_notice`, \
             `hearing_requested`, `extension_granted`, `panel_decision`, `council_review`, `compliance_regained`, \
             `delisting`, `anticipated` at column 67",
        );
    }

    #[test]
    fn a_record_needs_no_label_to_be_read() {
        let records: Vec<_> = parse_records("f", br#"{"id": "a", "text": "Nothing."}"#).collect();
        assert!(records[0].as_ref().is_ok_and(|record| record.read(&Arc::default()).reading.events.is_empty()));
    }

    #[test]
    fn a_date_left_out_is_told_from_one_that_is_not_there() {
        let text = r#"{"kind": "delisting", "exchange": "nyse", "letter_date": null, "dated": "2026-03-02"}"#;
        let event: LabelledEvent = serde_json::from_str(text).expect("an event");
        assert_eq!(event.letter_date, Some(None));
        assert_eq!(event.dated, Some(NaiveDate::from_ymd_opt(2026, 3, 2)));
        assert_eq!((event.received, event.rules), (None, None));
    }
}
