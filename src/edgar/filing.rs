//! One submission: the header and the documents of a full-submission text file.
//!
//! [`FilingReader`] is a push parser: it takes bytes as they arrive, from network, file or fuzzer, and holds only
//! what can be read later. Formats: EDGAR's Public Dissemination Service specification for the tag-form header;
//! the text-form header and the envelopes of 1993 to 2001 are known from the files themselves.

use chrono::{DateTime, NaiveDate, Utc};
use memchr::{memchr2, memmem};
use serde::{Deserialize, Serialize};

use super::eastern::parse_acceptance;
use super::ids::{AccessionNumber, Cik, DocumentType, FormType, ItemNumber};
use super::items::item_number;

/// How much of a document is held, and so classified. The rest is read past.
pub const MAX_DOCUMENT_BYTES: usize = 10 * 1024 * 1024;

/// What the header of a submission says. Every field a header may lack is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilingHeader {
    /// The submission's own name.
    pub accession: Option<AccessionNumber>,
    /// "Conformed submission type".
    pub form: Option<FormType>,
    /// Item numbers in header order; titles are turned into numbers.
    pub items: Vec<ItemNumber>,
    /// "Conformed period of report": for an 8-K the date of the earliest event reported.
    pub period: Option<NaiveDate>,
    /// "Filed as of date". The date on the first line of old files is another, and wrong.
    pub filing_date: Option<NaiveDate>,
    /// When EDGAR accepted it; absent before about 2001 and in the dissemination layout.
    pub accepted_at: Option<DateTime<Utc>>,
    /// Every party, in header order.
    pub parties: Vec<Party>,
}

/// A company or person named in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The header's section, as `FILER`, `SUBJECT COMPANY`, `FILED BY`.
    pub role: String,
    /// Absent only in damaged headers.
    pub cik: Option<Cik>,
    /// The name at the time of filing.
    pub name: String,
    /// Earlier names, newest first as EDGAR lists them.
    pub former_names: Vec<String>,
}

/// A document that is held for reading: the primary document or an `EX-99`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its place in the submission, from 1.
    pub sequence: u32,
    /// `8-K`, `EX-99.1` ...
    pub document_type: DocumentType,
    /// Absent before about 2001.
    pub filename: Option<String>,
    /// The first [`MAX_DOCUMENT_BYTES`] of its text, as submitted.
    pub body: Vec<u8>,
    /// The size of its whole text.
    pub size_bytes: u64,
}

impl Document {
    /// Whether only a part is held.
    pub fn is_cut(&self) -> bool {
        self.size_bytes > self.body.len() as u64
    }

    /// The name to show: its filename, or its type where old filings give none.
    pub fn label(&self) -> &str {
        self.filename.as_deref().unwrap_or(self.document_type.as_str())
    }
}

/// A document that was passed over: graphics, XBRL, PDF, other exhibits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedDocument {
    /// Its type.
    pub document_type: DocumentType,
    /// Absent before about 2001.
    pub filename: Option<String>,
}

/// A submission as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filing {
    /// What the header says.
    pub header: FilingHeader,
    /// The documents held, in order; the primary document first where there is one.
    pub documents: Vec<Document>,
    /// The documents passed over.
    pub skipped: Vec<SkippedDocument>,
    /// What was wrong without keeping the rest from being read.
    pub problems: Vec<String>,
    /// The file ended within a document.
    pub is_cut_short: bool,
}

/// The bytes are no submission: neither header nor document was found in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a full-submission text file, found {found}")]
pub struct NotASubmission {
    found: String,
}

/// Whether a file begins as one of the envelopes of a full submission.
pub fn looks_like_submission(head: &[u8]) -> bool {
    const MARKS: [&[u8]; 6] = [
        b"-----BEGIN PRIVACY-ENHANCED MESSAGE-----",
        b"<SEC-DOCUMENT>",
        b"<SEC-HEADER>",
        b"<IMS-DOCUMENT>",
        b"<SUBMISSION>",
        b"<ACCEPTANCE-DATETIME>",
    ];
    let head = head.trim_ascii_start();
    MARKS.iter().any(|mark| head.starts_with(mark))
}

/// Reads a submission piece by piece. Memory is bounded by the documents held, whatever the size of the file.
#[derive(Debug)]
pub struct FilingReader {
    state: State,
    max_document_bytes: usize,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The line is the rest of one too long to hold, so it opens no tag.
    mid_line: bool,
    /// The last line ended in CR: a LF that follows belongs to it.
    after_cr: bool,
    header: Vec<u8>,
    parsed_header: Option<FilingHeader>,
    document: DocumentHead,
    body: Vec<u8>,
    body_bytes: u64,
    /// Inside a uuencoded part: its last line is `end`.
    in_uuencode: bool,
    /// A line that may begin a uuencoded part; the next line tells.
    uuencode_start: Option<Vec<u8>>,
    /// Bytes held so far, over all documents.
    n_held: usize,
    n_documents: u32,
    first_bytes: Vec<u8>,
    filing: Filing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    DocumentHead,
    Reading,
    /// The document's text is closed, the document not yet.
    AfterText,
    Skipping,
    Between,
}

#[derive(Debug, Default)]
struct DocumentHead {
    document_type: String,
    sequence: Option<u32>,
    filename: Option<String>,
}

/// How much is held of all documents together: a filing of many long exhibits must not fill the memory.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;
/// A header longer than this is damage: what follows in it is not read.
const MAX_HEADER_BYTES: usize = 4 * 1024 * 1024;
/// A line longer than this is passed on in pieces.
const MAX_LINE_BYTES: usize = 64 * 1024;

const DOCUMENT_OPEN: &[u8] = b"<DOCUMENT>";
const DOCUMENT_CLOSE: &[u8] = b"</DOCUMENT>";

impl Default for FilingReader {
    fn default() -> Self {
        Self::new(MAX_DOCUMENT_BYTES)
    }
}

impl FilingReader {
    /// A reader that holds at most `max_document_bytes` of each document.
    pub fn new(max_document_bytes: usize) -> Self {
        Self {
            state: State::Header,
            max_document_bytes,
            line: Vec::new(),
            mid_line: false,
            after_cr: false,
            header: Vec::new(),
            parsed_header: None,
            document: DocumentHead::default(),
            body: Vec::new(),
            body_bytes: 0,
            in_uuencode: false,
            uuencode_start: None,
            n_held: 0,
            n_documents: 0,
            first_bytes: Vec::new(),
            filing: Filing::default(),
        }
    }

    /// Takes the next piece, of any size.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        if self.first_bytes.len() < 200 {
            self.first_bytes.extend(&bytes[..bytes.len().min(200)]);
        }
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Skipping => self.skip(bytes),
                _ => self.take_line(bytes),
            };
        }
    }

    /// Ends the submission. A document that was not closed is kept and reported.
    ///
    /// # Errors
    /// [`NotASubmission`] when neither a header nor a document was found.
    pub fn finish(mut self) -> Result<Filing, NotASubmission> {
        if self.state != State::Skipping && !self.line.is_empty() {
            self.end_line(false);
        }
        if matches!(self.state, State::DocumentHead | State::Reading | State::Skipping) {
            self.filing.problems.push(format!(
                "document {} {} ends without </DOCUMENT>: the file is cut short",
                self.n_documents, self.document.document_type
            ));
            self.filing.is_cut_short = true;
            self.close_document();
        }
        self.filing.header = self.parsed_header.take().unwrap_or_else(|| parse_header(&self.header));
        let found_header = self.filing.header != FilingHeader::default();
        if !found_header && self.n_documents == 0 {
            let head: String = self.first_bytes.iter().take(80).map(|byte| char::from(*byte)).collect();
            let head: String = head.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            return Err(NotASubmission { found: format!("\"{}\"", head.trim()) });
        }
        Ok(self.filing)
    }

    fn take_line<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        if std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        match memchr2(b'\n', b'\r', bytes) {
            Some(end) => {
                self.line.extend_from_slice(&bytes[..end]);
                self.after_cr = bytes[end] == b'\r';
                self.end_line(true);
                self.mid_line = false;
                &bytes[end + 1..]
            }
            None => {
                self.line.extend_from_slice(bytes);
                if self.line.len() > MAX_LINE_BYTES {
                    self.end_line(false);
                    self.mid_line = true;
                }
                &[]
            }
        }
    }

    /// Acts on the line held and empties it.
    fn end_line(&mut self, newline: bool) {
        let line = std::mem::take(&mut self.line);
        let tag = if self.mid_line { &[] as &[u8] } else { line.trim_ascii() };
        if tag == DOCUMENT_OPEN {
            self.open_document();
        } else {
            match self.state {
                State::Header => self.header_line(&line, newline),
                State::DocumentHead => self.document_head_line(tag),
                State::Reading => self.text_line(&line, tag, newline),
                State::AfterText | State::Between | State::Skipping => {
                    if tag == DOCUMENT_CLOSE {
                        self.close_document();
                    }
                }
            }
        }
        // The allocation is kept for the next line.
        self.line = line;
        self.line.clear();
        if self.state == State::Skipping {
            // What is skipped begins a line.
            self.line.push(b'\n');
        }
    }

    fn header_line(&mut self, line: &[u8], newline: bool) {
        if self.header.len() + line.len() < MAX_HEADER_BYTES {
            self.header.extend_from_slice(line);
            if newline {
                self.header.push(b'\n');
            }
        }
    }

    fn open_document(&mut self) {
        if self.parsed_header.is_none() {
            self.parsed_header = Some(parse_header(&self.header));
            self.header = Vec::new();
        }
        if matches!(self.state, State::DocumentHead | State::Reading | State::Skipping) {
            self.filing.problems.push(format!(
                "document {} {} ends without </DOCUMENT>: another begins",
                self.n_documents, self.document.document_type
            ));
        }
        self.close_document();
        self.n_documents += 1;
        self.document = DocumentHead::default();
        self.state = State::DocumentHead;
    }

    fn document_head_line(&mut self, tag: &[u8]) {
        let text = String::from_utf8_lossy(tag);
        if let Some(value) = text.strip_prefix("<TYPE>") {
            value.trim().clone_into(&mut self.document.document_type);
        } else if let Some(value) = text.strip_prefix("<SEQUENCE>") {
            self.document.sequence = value.trim().parse().ok();
        } else if let Some(value) = text.strip_prefix("<FILENAME>") {
            self.document.filename = Some(value.trim().to_owned()).filter(|name| !name.is_empty());
        } else if tag == b"<TEXT>" {
            self.state = if self.is_readable() { State::Reading } else { State::Skipping };
        } else if tag == DOCUMENT_CLOSE {
            self.close_document();
        }
    }

    /// The primary document is the first whose type is the form's; where none is, the first document stands in.
    fn is_readable(&self) -> bool {
        let document_type = DocumentType::new(&self.document.document_type);
        let form = self.parsed_header.as_ref().and_then(|header| header.form.as_ref());
        let is_form = |other: &DocumentType| form.is_some_and(|form| form.as_str() == other.as_str());
        let first_of_form =
            is_form(&document_type) && !self.filing.documents.iter().any(|held| is_form(&held.document_type));
        document_type.is_additional_exhibit() || first_of_form || self.n_documents == 1
    }

    fn text_line(&mut self, line: &[u8], tag: &[u8], newline: bool) {
        if tag == DOCUMENT_CLOSE {
            self.close_document();
            return;
        }
        if tag == b"</TEXT>" {
            self.state = State::AfterText;
            return;
        }
        if self.in_uuencode {
            self.in_uuencode = tag != b"end";
            return;
        }
        if let Some(start) = self.uuencode_start.take() {
            if is_uuencoded(line) {
                self.in_uuencode = true;
                return;
            }
            self.hold(&start, true);
        }
        if is_uuencode_start(tag) {
            self.uuencode_start = Some(line.to_owned());
            return;
        }
        self.hold(line, newline);
    }

    fn hold(&mut self, line: &[u8], newline: bool) {
        self.body_bytes += line.len() as u64 + u64::from(newline);
        let room = self.max_document_bytes.saturating_sub(self.body.len()).min(MAX_HELD_BYTES - self.n_held);
        let before = self.body.len();
        self.body.extend_from_slice(&line[..line.len().min(room)]);
        if newline && line.len() < room {
            self.body.push(b'\n');
        }
        self.n_held += self.body.len() - before;
    }

    /// Looks for the end of a document that is not held. Tags count at the beginning of a line only: uuencoded
    /// lines may hold their letters, but begin with a length.
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        // `line` holds the last few bytes seen, in which a tag may have begun.
        let n_tail = self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(DOCUMENT_CLOSE.len())]);
        let found = match find_document_tag(&self.line) {
            Some((end, opens)) if end >= n_tail => Some((end - n_tail, opens)),
            _ => find_document_tag(bytes),
        };
        if let Some((end, opens)) = found {
            self.line.clear();
            if opens {
                self.open_document();
            } else {
                self.close_document();
            }
            return &bytes[end..];
        }
        let kept = DOCUMENT_CLOSE.len() + 1;
        if bytes.len() >= kept {
            self.line.clear();
            self.line.extend_from_slice(&bytes[bytes.len() - kept..]);
        } else {
            let surplus = self.line.len().saturating_sub(kept);
            self.line.drain(..surplus);
        }
        &[]
    }

    fn close_document(&mut self) {
        if let Some(start) = self.uuencode_start.take() {
            self.hold(&start, true);
        }
        if self.in_uuencode {
            self.filing.problems.push(format!(
                "document {} {}: a uuencoded part has no end: what follows it is not read",
                self.n_documents, self.document.document_type
            ));
        }
        let head = std::mem::take(&mut self.document);
        let document_type = DocumentType::new(&head.document_type);
        match self.state {
            State::Reading | State::AfterText => self.filing.documents.push(Document {
                sequence: head.sequence.unwrap_or(self.n_documents),
                document_type,
                filename: head.filename,
                body: std::mem::take(&mut self.body),
                size_bytes: self.body_bytes,
            }),
            State::Skipping | State::DocumentHead => {
                self.filing.skipped.push(SkippedDocument { document_type, filename: head.filename });
            }
            State::Header | State::Between => {}
        }
        self.body = Vec::new();
        self.body_bytes = 0;
        self.in_uuencode = false;
        self.state = State::Between;
    }
}

/// Where the first `</DOCUMENT>` or `<DOCUMENT>` after a line end ends, and whether it opens.
fn find_document_tag(bytes: &[u8]) -> Option<(usize, bool)> {
    memmem::find_iter(bytes, b"DOCUMENT>").find_map(|at| {
        let (opens, line) = match &bytes[..at] {
            [line @ .., b'<', b'/'] => (false, line),
            [line @ .., b'<'] => (true, line),
            _ => return None,
        };
        matches!(line.last(), Some(b'\n' | b'\r')).then_some((at + b"DOCUMENT>".len(), opens))
    })
}

/// `begin 644 name`: the first line of a uuencoded part, if the next is one of its lines.
fn is_uuencode_start(line: &[u8]) -> bool {
    line.strip_prefix(b"begin ").is_some_and(|rest| {
        rest.len() > 4
            && rest[..3].iter().all(|b| (b'0'..=b'7').contains(b))
            && rest[3] == b' '
            && !rest[4..].contains(&b' ')
    })
}

/// A uuencoded line begins with the number of bytes it holds, as a character, and is as long as that needs; some
/// encoders leave blanks at its end away.
fn is_uuencoded(line: &[u8]) -> bool {
    let Some((first, rest)) = line.split_first() else { return false };
    let n_bytes = usize::from(first.wrapping_sub(b' ') & 63);
    let needed = n_bytes.div_ceil(3) * 4;
    (b' '..=b'`').contains(first) && rest.len() <= needed + 1 && rest.len() + 3 >= needed
}

/// Reads a header in either form, `KEY:   value` or `<KEY>value`.
pub fn parse_header(bytes: &[u8]) -> FilingHeader {
    let text = String::from_utf8_lossy(bytes);
    let mut header = FilingHeader::default();
    let mut item_lines: Vec<&str> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = header_field(line) else { continue };
        match key {
            "SEC-DOCUMENT" | "IMS-DOCUMENT" | "SEC-HEADER" | "IMS-HEADER" => {
                header.accession = header.accession.or_else(|| value.get(..20)?.parse().ok());
            }
            "ACCESSION NUMBER" | "ACCESSION-NUMBER" => header.accession = value.parse().ok().or(header.accession),
            "CONFORMED SUBMISSION TYPE" | "TYPE" => header.form = Some(FormType::new(value)),
            "CONFORMED PERIOD OF REPORT" | "PERIOD" => header.period = parse_date(value),
            "FILED AS OF DATE" | "FILING-DATE" => header.filing_date = parse_date(value),
            "ACCEPTANCE-DATETIME" => header.accepted_at = parse_acceptance(value),
            "ITEM INFORMATION" | "ITEMS" if !value.is_empty() => item_lines.push(value),
            "COMPANY CONFORMED NAME" | "CONFORMED-NAME" => {
                last_party(&mut header).name = unescape_name(value);
            }
            "CENTRAL INDEX KEY" | "CIK" => {
                let party = last_party(&mut header);
                party.cik = party.cik.or_else(|| value.parse().ok());
            }
            "FORMER CONFORMED NAME" | "FORMER-CONFORMED-NAME" => {
                let name = unescape_name(value);
                last_party(&mut header).former_names.push(name);
            }
            _ if value.is_empty() => {
                if let Some(role) = party_role(key) {
                    header.parties.push(Party {
                        role: role.to_owned(),
                        cik: None,
                        name: String::new(),
                        former_names: Vec::new(),
                    });
                }
            }
            _ => {}
        }
    }
    header.items = number_items(&item_lines, header.filing_date);
    header
}

/// The date from which Form 8-K has its two-part item numbers (Release 33-8400).
fn uses_old_items(filing_date: Option<NaiveDate>) -> bool {
    let change = NaiveDate::from_ymd_opt(2004, 8, 23);
    matches!((filing_date, change), (Some(date), Some(change)) if date < change)
}

fn number_items(lines: &[&str], filing_date: Option<NaiveDate>) -> Vec<ItemNumber> {
    let old = uses_old_items(filing_date);
    let mut items = Vec::new();
    for item in lines.iter().filter_map(|line| item_number(line, old)) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items
}

fn header_field(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if let Some(tag) = line.strip_prefix('<') {
        return tag.split_once('>').map(|(key, value)| (key, value.trim()));
    }
    line.split_once(':').map(|(key, value)| (key.trim(), value.trim()))
}

/// The section a party stands in. Its words are joined by blanks, dashes or underscores, each in some header.
fn party_role(key: &str) -> Option<&'static str> {
    Some(match key.replace(['-', '_'], " ").as_str() {
        "FILER" => "FILER",
        "SUBJECT COMPANY" => "SUBJECT COMPANY",
        "FILED BY" => "FILED BY",
        "FILED FOR" => "FILED FOR",
        "REPORTING OWNER" => "REPORTING-OWNER",
        "ISSUER" => "ISSUER",
        "DEPOSITOR" => "DEPOSITOR",
        "SECURITIZER" => "SECURITIZER",
        "ISSUING ENTITY" => "ISSUING ENTITY",
        "SERIAL COMPANY" => "SERIAL COMPANY",
        _ => return None,
    })
}

fn last_party(header: &mut FilingHeader) -> &mut Party {
    if header.parties.is_empty() {
        header.parties.push(Party {
            role: "FILER".to_owned(),
            cik: None,
            name: String::new(),
            former_names: Vec::new(),
        });
    }
    let last = header.parties.len() - 1;
    &mut header.parties[last]
}

fn unescape_name(value: &str) -> String {
    value.replace("&amp;", "&")
}

fn parse_date(digits: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(digits.trim(), "%Y%m%d").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODERN: &str = "<SEC-DOCUMENT>0009990001-26-000007.txt : 20260409
<SEC-HEADER>0009990001-26-000007.hdr.sgml : 20260409
<ACCEPTANCE-DATETIME>20260409070050
ACCESSION NUMBER:\t\t0009990001-26-000007
CONFORMED SUBMISSION TYPE:\t8-K
PUBLIC DOCUMENT COUNT:\t\t4
CONFORMED PERIOD OF REPORT:\t20260407
ITEM INFORMATION:\t\tNotice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard; Transfer of Listing
ITEM INFORMATION:\t\tFinancial Statements and Exhibits
FILED AS OF DATE:\t\t20260409

FILER:

\tCOMPANY DATA:\t
\t\tCOMPANY CONFORMED NAME:\t\t\tTidewell & Moss Inc
\t\tCENTRAL INDEX KEY:\t\t\t0009990011

\tFORMER COMPANY:\t
\t\tFORMER CONFORMED NAME:\tTidewell Corp
\t\tDATE OF NAME CHANGE:\t20190304

FILER:

\tCOMPANY DATA:\t
\t\tCOMPANY CONFORMED NAME:\t\t\tTidewell Finance LLC
\t\tCENTRAL INDEX KEY:\t\t\t0009990012
</SEC-HEADER>
<DOCUMENT>
<TYPE>8-K
<SEQUENCE>1
<FILENAME>tidewell-8k.htm
<DESCRIPTION>8-K
<TEXT>
<html><body>Body one</body></html>
</TEXT>
</DOCUMENT>
<DOCUMENT>
<TYPE>GRAPHIC
<SEQUENCE>2
<FILENAME>logo.jpg
<TEXT>
begin 644 logo.jpg
M</DOCUMENT> inside
`
end
</TEXT>
</DOCUMENT>
<DOCUMENT>
<TYPE>EX-99.1
<SEQUENCE>3
<FILENAME>ex991.htm
<TEXT>
Release text
begin 644 chart.gif
$_____P``
`
end
begin 120 days
after chart
</TEXT>
</DOCUMENT>
</SEC-DOCUMENT>
";

    fn read(bytes: &[u8], piece: usize) -> Result<Filing, NotASubmission> {
        let mut reader = FilingReader::default();
        bytes.chunks(piece.max(1)).for_each(|chunk| reader.feed(chunk));
        reader.finish()
    }

    fn items(filing: &Filing) -> Vec<&str> {
        filing.header.items.iter().map(ItemNumber::as_str).collect()
    }

    #[test]
    fn modern_submission_is_read_whole() {
        let filing = read(MODERN.as_bytes(), usize::MAX).expect("a submission");
        let header = &filing.header;
        assert_eq!(header.accession.map(|number| number.to_string()).as_deref(), Some("0009990001-26-000007"));
        assert_eq!(header.form.as_ref().map(FormType::as_str), Some("8-K"));
        assert_eq!(items(&filing), ["3.01", "9.01"]);
        assert_eq!(header.period.map(|date| date.to_string()).as_deref(), Some("2026-04-07"));
        assert_eq!(header.accepted_at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-04-09T11:00:50+00:00"));
        let names: Vec<_> = header.parties.iter().map(|party| party.name.as_str()).collect();
        assert_eq!(names, ["Tidewell & Moss Inc", "Tidewell Finance LLC"]);
        assert_eq!(header.parties[0].former_names, ["Tidewell Corp"]);

        let labels: Vec<_> = filing.documents.iter().map(Document::label).collect();
        assert_eq!(labels, ["tidewell-8k.htm", "ex991.htm"]);
        assert_eq!(filing.documents[0].body, b"<html><body>Body one</body></html>\n");
        assert_eq!(filing.documents[1].body, b"Release text\nbegin 120 days\nafter chart\n", "the chart is dropped");
        assert_eq!(filing.skipped.len(), 1);
        assert_eq!(filing.problems, Vec::<String>::new());
    }

    #[test]
    fn line_ends_do_not_matter() {
        let expected = read(MODERN.as_bytes(), usize::MAX);
        assert_eq!(read(MODERN.replace('\n', "\r\n").as_bytes(), 7), expected);
        assert_eq!(read(MODERN.replace('\n', "\r").as_bytes(), 7), expected);
    }

    #[test]
    fn dissemination_layout_is_read() {
        let text = "<SUBMISSION>\n<ACCESSION-NUMBER>0009990001-25-000001\n<TYPE>8-K\n<PERIOD>20250106\n<ITEMS>5.02\n\
                    <ITEMS>9.01\n<FILING-DATE>20250108\n<FILER>\n<COMPANY-DATA>\n<CONFORMED-NAME>OAKUM, INC.\n\
                    <CIK>0009990013\n</COMPANY-DATA>\n<FORMER-COMPANY>\n<FORMER-CONFORMED-NAME>OAKUM LTD\n</FORMER-COMPANY>\n\
                    </FILER>\n<DOCUMENT>\n<TYPE>8-K\n<TEXT>\nx\n</TEXT>\n</DOCUMENT>\n";
        let filing = read(text.as_bytes(), 5).expect("a submission");
        assert_eq!(items(&filing), ["5.02", "9.01"]);
        assert_eq!(filing.header.parties[0].name, "OAKUM, INC.");
        assert_eq!(filing.header.parties[0].former_names, ["OAKUM LTD"]);
        assert_eq!(filing.documents.len(), 1);
    }

    #[test]
    fn every_section_is_a_party_however_its_words_are_joined() {
        let header = parse_header(
            b"FILER:\n\tCOMPANY DATA:\n\t\tCOMPANY CONFORMED NAME:\tOAKUM FUNDING\n\t\tCENTRAL INDEX KEY:\t0009990013\n\
              SERIAL COMPANY:\nCOMPANY DATA:\n\tCOMPANY CONFORMED NAME:\tOAKUM SER 8\n\tCENTRAL INDEX KEY:\t0009990014\n\
              <ISSUING_ENTITY>\n<COMPANY-DATA>\n<CONFORMED-NAME>OAKUM TRUST\n<CIK>0009990015\n",
        );
        let parties: Vec<_> = header
            .parties
            .iter()
            .map(|party| (party.role.as_str(), party.name.as_str(), party.cik.map_or(0, Cik::number)))
            .collect();
        assert_eq!(
            parties,
            [
                ("FILER", "OAKUM FUNDING", 9_990_013),
                ("SERIAL COMPANY", "OAKUM SER 8", 9_990_014),
                ("ISSUING ENTITY", "OAKUM TRUST", 9_990_015),
            ]
        );
    }

    #[test]
    fn old_envelope_with_a_bare_item_and_no_filename_is_read() {
        let text = "-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nProc-Type: 2001,MIC-CLEAR\n\n\
                    <IMS-DOCUMENT>0009990001-94-000005.txt : 19940323\nACCESSION NUMBER:\t\t0009990001-94-000005\n\
                    CONFORMED SUBMISSION TYPE:\t8-K\nITEM INFORMATION:\t\t5\nITEM INFORMATION:\t\t\nFILED AS OF DATE:\t\t19940322\n\
                    <DOCUMENT>\n<TYPE>8-K\n<SEQUENCE>1\n<TEXT>\nOld text\n</TEXT>\n</DOCUMENT>\n";
        let filing = read(text.as_bytes(), 64).expect("a submission");
        assert_eq!(items(&filing), ["5"]);
        assert_eq!(filing.header.accepted_at, None);
        assert_eq!(filing.documents[0].label(), "8-K");
    }

    #[test]
    fn a_long_document_is_cut_at_the_limit_and_the_next_is_whole() {
        let text = MODERN.replace("Body one", &"x".repeat(500));
        let mut reader = FilingReader::new(100);
        text.as_bytes().chunks(33).for_each(|chunk| reader.feed(chunk));
        let filing = reader.finish().expect("a submission");
        assert!(filing.documents[0].is_cut());
        assert_eq!(filing.documents[0].body.len(), 100);
        assert_eq!(filing.documents[0].size_bytes, 527);
        assert!(!filing.documents[1].is_cut());
    }

    #[test]
    fn a_file_cut_short_keeps_what_arrived_and_says_so() {
        let cut = &MODERN[..MODERN.find("after chart").expect("in the text")];
        let filing = read(cut.as_bytes(), 9).expect("a submission");
        assert_eq!(filing.documents.len(), 2);
        assert_eq!(filing.documents[1].body, b"Release text\nbegin 120 days\n");
        assert!(filing.is_cut_short);
        assert_eq!(filing.problems, ["document 3 EX-99.1 ends without </DOCUMENT>: the file is cut short"]);
    }

    #[test]
    fn a_document_never_closed_does_not_swallow_the_next() {
        let text = MODERN.replacen("</TEXT>\n</DOCUMENT>\n", "", 1);
        let filing = read(text.as_bytes(), 11).expect("a submission");
        assert_eq!(filing.documents.len(), 2);
        assert_eq!(filing.problems, ["document 1 8-K ends without </DOCUMENT>: another begins"]);
    }

    #[test]
    fn a_skipped_document_never_closed_does_not_swallow_the_next() {
        let text = MODERN.replace("`\nend\n</TEXT>\n</DOCUMENT>\n", "`\n");
        for piece in [1, 2, 13, usize::MAX] {
            let filing = read(text.as_bytes(), piece).expect("a submission");
            assert_eq!(filing.documents.len(), 2);
            assert_eq!(filing.problems, ["document 2 GRAPHIC ends without </DOCUMENT>: another begins"]);
        }
    }

    #[test]
    fn garbage_is_no_submission() {
        let error = read(b"\x00\x01\xffnot a filing", 3).expect_err("garbage");
        assert_eq!(error.to_string(), "expected a full-submission text file, found \"ÿnot a filing\"");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(piece in 1usize..400) {
            prop_assert_eq!(read(MODERN.as_bytes(), piece), read(MODERN.as_bytes(), usize::MAX));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), piece in 1usize..64) {
            let _ = read(&bytes, piece);
            let mut text = MODERN.as_bytes()[..MODERN.len() / 2].to_vec();
            text.extend(bytes);
            let _ = read(&text, piece);
        }
    }
}
