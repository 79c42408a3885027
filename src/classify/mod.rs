//! Reads the text of a filing's document and says what it reports about a listing: which letters and decisions of an
//! exchange, which of them are its own news and which are retold, with the sentences that show it.
//!
//! ```text
//! event      what is found: the vocabulary and the fields of an event
//! segment    paragraphs and sentences; cover pages, boilerplate and exhibit lists set apart
//! addressee  whom a letter went to
//! sentences  each sentence: exchange, dates with their roles, phrases, rules, reports
//! matcher    how one expression is run
//! sieve      which of many expressions to run
//! phrases    what a phrase signals; the phrases are data in patterns/phrases.toml
//! rules      citations of listing rules -> one form, basis; the rules are data in patterns/rules.toml
//! bases      what a letter is about where no rule is cited; patterns/bases.toml
//! reports    forms and fiscal periods
//! dates      dates in every spelling; years told from the report
//! acts       dated and undated acts of an exchange, new or retold
//! passages   a letter told in no phrase we know
//! assemble   acts -> events with their fields and evidence
//! deadlines  what is due when, as stated
//! timetable  what is due when by the rules, where nothing is stated
//! outlook    causes, next steps, hearings; patterns/outlook.toml
//! certainty  how sure a reading is, and what came second
//! merge      events of several documents of one filing
//! ```
//!
//! Pure and deterministic: text and context in, values out. Making text from HTML, and deciding who is told, is left to others.

/// A regular expression that is part of the program, compiled when it is first asked for.
macro_rules! pattern {
    ($name:ident, $regex:expr) => {
        static $name: std::sync::LazyLock<$crate::classify::matcher::Matcher> =
            std::sync::LazyLock::new(|| $crate::classify::matcher::Matcher::constant($regex));
    };
}

mod acts;
mod addressee;
mod assemble;
mod bases;
mod certainty;
mod dates;
mod deadlines;
mod event;
mod matcher;
mod merge;
mod outlook;
mod passages;
mod patterns;
mod phrases;
mod reports;
mod rules;
mod segment;
mod sentences;
mod sieve;
mod timetable;
mod words;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub use certainty::HIGHEST_CONFIDENCE;
pub use event::{
    Basis, Cause, Deadline, DeadlineKind, DeadlineSource, EventKind, EventStatus, Evidence, Exchange, Hearing,
    HearingStatus, ListingEvent, NextStep, OverdueReport, RunnerUp, WeighedSignal,
};
pub use merge::merge_documents;
pub use patterns::{Pattern, PatternSource};
pub use phrases::{Phrase, Signal};

/// Rises whenever the same text can give another result, so that stored filings can be read again.
pub const CLASSIFIER_VERSION: i64 = 3;

/// What is known of a document besides its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct DocumentContext<'a> {
    /// The form it was filed under.
    pub form: Option<&'a str>,
    /// Its type within the filing, `EX-99.1` ...
    pub document_type: Option<&'a str>,
    /// The day it was filed.
    pub filed: Option<NaiveDate>,
    /// Who filed it.
    pub issuer: Option<&'a str>,
    /// The user's own phrases, read beside those of the program.
    pub patterns: &'a [Phrase],
}

impl DocumentContext<'_> {
    /// It was filed under a form that amends another.
    pub fn is_amendment(&self) -> bool {
        self.form.is_some_and(|f| f.ends_with("/A"))
    }
}

/// A sentence that speaks of a letter but gives no news, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// First character.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// The words.
    pub text: String,
    /// Why.
    pub reason: String,
}

/// All that was found in one document.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// New events first, then history, each by date.
    pub events: Vec<ListingEvent>,
    /// Sentences that were weighed and left out.
    pub passed: Vec<Passed>,
}

/// Reads a document. `text` is normalised: paragraphs apart by an empty line, each on one line, ASCII quotes and dashes.
pub fn classify(text: &str, context: &DocumentContext) -> Reading {
    if !mentions_exchange(text) {
        return Reading::default();
    }
    let masked = segment::mask(text);
    let exchanges = sentences::find_exchanges(&masked);
    if exchanges.is_empty() {
        return Reading::default();
    }
    let reference = acts::reference_date(text, context);
    let segmented = segment::segment(text, masked);
    let exhibit_letter = sentences::is_exhibit_letter(&segmented);
    let sentences = sentences::read_sentences(text, &segmented, &exchanges, context, reference, exhibit_letter);
    let acts = acts::find_acts(text, &sentences, context, reference, exhibit_letter);
    if acts.is_empty() {
        return Reading::default();
    }
    assemble::assemble(text, &segmented, &sentences, &acts, context, reference)
}

/// The alert a subscription without filters asks for: a new Nasdaq staff determination on any basis, or a new Nasdaq
/// deficiency notice for late reports.
pub fn default_alert(events: &[ListingEvent]) -> bool {
    events.iter().any(|event| {
        event.status == EventStatus::New
            && event.exchange == Exchange::Nasdaq
            && match event.kind {
                EventKind::StaffDetermination => true,
                EventKind::DeficiencyNotice => event.bases.contains(&Basis::LateFiling),
                _ => false,
            }
    })
}

/// True if a text names an exchange or a listing at all; every text that can hold an event does.
pub fn mentions_exchange(text: &str) -> bool {
    pattern!(
        CUE,
        r"(?i)nasdaq|nyse|\bamex\b|stock exchange|delist|listing (?:rule|qualif|standard|council)|staff determination"
    );
    CUE.is_match(text)
}

#[cfg(test)]
mod tests;
