//! A filing in, what it reports out: text, classification and merging of all its documents. Pure, and the same for
//! the daemon and for `explain`. A panic in here is caught by the blocking thread it runs on.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::classify::{DocumentContext, ListingEvent, Phrase, Reading, classify, mentions_exchange, merge_documents};
use crate::edgar::eastern::eastern_date;
use crate::edgar::filing::{Document, Filing, FilingHeader};
use crate::text::to_text;

/// A document as read.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentReading {
    /// Its place in the submission.
    pub sequence: u32,
    /// `8-K`, `EX-99.1` ...
    pub document_type: String,
    /// Absent before about 2001.
    pub filename: Option<String>,
    /// Of the bytes classified.
    pub sha256: [u8; 32],
    /// Size of the whole document.
    pub size_bytes: u64,
    /// How much of it was classified.
    pub held_bytes: u64,
    /// The normalised text.
    pub text: String,
    /// Whether the text speaks of an exchange at all.
    pub mentions_exchange: bool,
    /// What it reports.
    pub reading: Reading,
}

impl DocumentReading {
    /// The name to show: its type, and its file name where it has one.
    pub fn label(&self) -> String {
        match &self.filename {
            Some(filename) => format!("{} \"{filename}\"", self.document_type),
            None => self.document_type.clone(),
        }
    }
}

/// A filing as read.
#[derive(Debug, Clone, PartialEq)]
pub struct FilingReading {
    /// What the header says.
    pub header: FilingHeader,
    /// Every document that was read, in order.
    pub documents: Vec<DocumentReading>,
    /// The documents' events, merged into one story.
    pub events: Vec<ListingEvent>,
    /// What could change the reading, a sentence each.
    pub caveats: Vec<String>,
}

/// Facts about a filing that its documents are read against. What is `None` is taken from the header.
#[derive(Debug, Clone, Default)]
pub struct FilingContext {
    /// The form.
    pub form: Option<String>,
    /// The filing date.
    pub filed: Option<chrono::NaiveDate>,
    /// The issuer's name.
    pub issuer: Option<String>,
    /// The user's own phrases.
    pub patterns: Arc<[Phrase]>,
}

/// Reads a whole filing.
pub fn read_filing(filing: &Filing, given: &FilingContext) -> FilingReading {
    let header = &filing.header;
    let context = FilingContext {
        form: given.form.clone().or_else(|| header.form.as_ref().map(ToString::to_string)),
        filed: given.filed.or(header.filing_date).or_else(|| header.accepted_at.map(eastern_date)),
        issuer: given.issuer.clone().or_else(|| header.parties.first().map(|party| party.name.clone())),
        patterns: given.patterns.clone(),
    };
    let documents: Vec<DocumentReading> =
        filing.documents.iter().map(|document| read_document(document, &context)).collect();
    let per_document: Vec<Vec<ListingEvent>> =
        documents.iter().map(|document| document.reading.events.clone()).collect();
    let mut caveats: Vec<String> = filing.documents.iter().filter_map(describe_cut).collect();
    caveats.extend(filing.problems.iter().cloned());
    FilingReading { header: header.clone(), events: merge_documents(&per_document), documents, caveats }
}

/// Reads one document.
pub fn read_document(document: &Document, context: &FilingContext) -> DocumentReading {
    let text = to_text(&document.body);
    let document_type = document.document_type.to_string();
    let mut reading = classify(
        &text,
        &DocumentContext {
            form: context.form.as_deref(),
            document_type: Some(&document_type).filter(|name| !name.is_empty()).map(String::as_str),
            filed: context.filed,
            issuer: context.issuer.as_deref(),
            patterns: &context.patterns,
        },
    );
    for evidence in reading.events.iter_mut().flat_map(|event| &mut event.evidence) {
        evidence.document = Some(document_type.clone()).filter(|name| !name.is_empty());
    }
    DocumentReading {
        sequence: document.sequence,
        document_type,
        filename: document.filename.clone(),
        sha256: Sha256::digest(&document.body).into(),
        size_bytes: document.size_bytes,
        held_bytes: document.body.len() as u64,
        mentions_exchange: mentions_exchange(&text),
        text,
        reading,
    }
}

fn describe_cut(document: &Document) -> Option<String> {
    document.is_cut().then(|| {
        format!(
            "{} \"{}\" is {} bytes: only the first {} classified",
            document.document_type,
            document.label(),
            document.size_bytes,
            document.body.len()
        )
    })
}
