//! Each single thing that went wrong, with the sentence that misled.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use chrono::{Datelike, NaiveDate};
use serde::Serialize;

use super::Comparison;
use super::scores::{history_dates, set, stated_deadlines};
use crate::classify::{EventKind, EventStatus, ListingEvent, OverdueReport, default_alert};
use crate::corpus::{LabelledDeadline, LabelledEvent, LabelledRecord};

/// In what way a reading differs from its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MistakeKind {
    /// Reading the document broke off.
    Unread,
    /// The default alert was due and not given.
    MissedAlert,
    /// The default alert was given and not due.
    FalseAlert,
    /// A labelled event was not found as new.
    MissedEvent,
    /// A new event that the label does not have.
    SpuriousEvent,
    /// An event was found, but this is not what the label says of it.
    WrongField,
}

impl MistakeKind {
    /// The words for a person.
    fn title(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::MissedAlert => "missed alert",
            Self::FalseAlert => "false alert",
            Self::MissedEvent => "missed event",
            Self::SpuriousEvent => "spurious event",
            Self::WrongField => "wrong field",
        }
    }
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// In what way.
    pub what: MistakeKind,
    /// The record.
    pub id: String,
    /// The line it stands on, from 1.
    pub line: usize,
    /// The kind of the event it is about, where it is about one.
    pub kind: Option<EventKind>,
    /// Which field, where it is one: `letter_date`, `rules` ...
    pub field: Option<&'static str>,
    /// What the label says.
    pub wanted: String,
    /// What the reading says.
    pub found: String,
    /// Why the reading says so, in its own words.
    pub reason: Option<String>,
    /// The document's words that it rests on.
    pub sentences: Vec<String>,
}

impl Mistake {
    /// The same without any of the document's words, for records that nobody should have seen. Reasons go as well: they
    /// quote.
    pub fn without_sentences(self) -> Self {
        Self { reason: None, sentences: Vec::new(), ..self }
    }

    pub(super) fn unread(labelled: &LabelledRecord) -> Self {
        Self {
            reason: Some("reading it broke off".to_owned()),
            ..Self::new(labelled, MistakeKind::Unread, "a reading".to_owned(), NONE.to_owned())
        }
    }

    fn new(labelled: &LabelledRecord, what: MistakeKind, wanted: String, found: String) -> Self {
        Self {
            what,
            id: labelled.record.id.clone(),
            line: labelled.line,
            kind: None,
            field: None,
            wanted,
            found,
            reason: None,
            sentences: Vec::new(),
        }
    }

    fn because(self, cause: Cause) -> Self {
        Self { reason: Some(cause.reason).filter(|reason| !reason.is_empty()), sentences: cause.sentences, ..self }
    }
}

/// A few lines; the first tells what, the others why.
impl Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {} (line {}): {}", self.id, self.line, self.what.title())?;
        if let Some(field) = self.field {
            write!(f, " {field}")?;
        }
        if let Some(kind) = self.kind.filter(|_| self.what == MistakeKind::WrongField) {
            write!(f, " of {kind}")?;
        }
        writeln!(f, ": wanted {}; found {}", self.wanted, self.found)?;
        if let Some(reason) = &self.reason {
            writeln!(f, "      because: {reason}")?;
        }
        for sentence in &self.sentences {
            writeln!(f, "      > {sentence}")?;
        }
        Ok(())
    }
}

/// What led to a reading.
#[derive(Default)]
struct Cause {
    reason: String,
    sentences: Vec<String>,
}

impl Cause {
    fn told(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), sentences: Vec::new() }
    }

    /// The sentence that an event was first seen in.
    fn first_of(event: &ListingEvent, reason: String) -> Self {
        Self { reason, sentences: event.evidence.iter().take(1).map(|evidence| evidence.text.clone()).collect() }
    }

    /// All sentences of an event.
    fn all_of(event: &ListingEvent) -> Self {
        let sentences = event.evidence.iter().map(|evidence| evidence.text.clone()).collect();
        Self { reason: event.reason.clone(), sentences }
    }
}

/// Everything in which a reading differs from its label: alerts first, then events, then fields.
pub(super) fn find(comparison: &Comparison) -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = find_alert(comparison).into_iter().collect();
    for wanted in &comparison.missed {
        let mistake =
            Mistake::new(comparison.labelled, MistakeKind::MissedEvent, describe_wanted(wanted), NONE.to_owned());
        let mistake = Mistake { kind: Some(wanted.kind), ..mistake };
        mistakes.push(mistake.because(why_missed(comparison, wanted)));
    }
    for found in &comparison.spurious {
        let mistake =
            Mistake::new(comparison.labelled, MistakeKind::SpuriousEvent, NONE.to_owned(), describe_found(found));
        let mistake = Mistake { kind: Some(found.kind), ..mistake };
        mistakes.push(mistake.because(Cause::first_of(found, found.reason.clone())));
    }
    for (wanted, found) in &comparison.matched {
        mistakes.extend(find_fields(comparison.labelled, wanted, found));
    }
    mistakes.extend(find_history(comparison));
    mistakes
}

fn find_alert(comparison: &Comparison) -> Option<Mistake> {
    let Comparison { labelled, reading, .. } = comparison;
    let alert = reading.events.iter().find(|event| default_alert(std::slice::from_ref(event)));
    match (labelled.label.alert, alert) {
        (true, None) => {
            let found = reading.events.iter().filter(|event| event.status == EventStatus::New).map(describe_found);
            let due = labelled.label.events.iter().find(|event| event.alerts());
            let cause = due.map_or_else(
                || Cause::told("no event of the label gives cause for one"),
                |due| why_missed(comparison, due),
            );
            let mistake = Mistake::new(labelled, MistakeKind::MissedAlert, "an alert".to_owned(), list(found));
            Some(mistake.because(cause))
        }
        (false, Some(event)) => {
            let mistake = Mistake::new(labelled, MistakeKind::FalseAlert, "no alert".to_owned(), describe_found(event));
            Some(mistake.because(Cause::first_of(event, event.reason.clone())))
        }
        _ => None,
    }
}

fn find_fields(labelled: &LabelledRecord, wanted: &LabelledEvent, found: &ListingEvent) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut compare = |field: &'static str, right: bool, wanted_text: String, found_text: String| {
        if right {
            return;
        }
        let mistake = Mistake::new(labelled, MistakeKind::WrongField, wanted_text, found_text);
        let mistake = Mistake { kind: Some(wanted.kind), field: Some(field), ..mistake };
        mistakes.push(mistake.because(Cause::all_of(found)));
    };
    let dates = [
        ("letter_date", wanted.letter_date, found.letter_date),
        ("received", wanted.received, found.received),
        ("dated", wanted.dated, found.dated),
    ];
    for (field, wanted, found) in dates {
        if let Some(wanted) = wanted {
            compare(field, wanted == found, list(wanted), list(found));
        }
    }
    if let Some(wanted) = &wanted.bases {
        compare("bases", *wanted == set(&found.bases), list(wanted), list(&found.bases));
    }
    if let Some(wanted) = &wanted.rules {
        compare("rules", *wanted == set(&found.rules), list(wanted), list(&found.rules));
    }
    if let Some(wanted) = &wanted.reports {
        let show = |reports: &BTreeSet<OverdueReport>| list(reports.iter().map(describe_report));
        let found = set(&found.reports);
        compare("reports", *wanted == found, show(wanted), show(&found));
    }
    if let Some(wanted) = &wanted.deadlines {
        let show = |deadlines: &BTreeSet<LabelledDeadline>| {
            list(deadlines.iter().map(|deadline| format!("{} {}", word(&deadline.what), deadline.date)))
        };
        let found = stated_deadlines(found);
        compare("deadlines", *wanted == found, show(wanted), show(&found));
    }
    mistakes
}

fn find_history(comparison: &Comparison) -> Vec<Mistake> {
    let Comparison { labelled, reading, .. } = comparison;
    let Some(wanted) = &labelled.label.history_dates else { return Vec::new() };
    let found = history_dates(reading);
    let wrong = |wanted: String, found: String, cause: Cause| {
        let mistake = Mistake::new(labelled, MistakeKind::WrongField, wanted, found);
        Mistake { field: Some("history_dates"), ..mistake }.because(cause)
    };
    let lacking = wanted.difference(&found).map(|date| {
        let new = reading.events.iter().find(|event| event.letter_date == Some(*date));
        let cause = new.map_or_else(|| why_unseen(comparison, Some(*date)), read_otherwise);
        wrong(date.to_string(), NONE.to_owned(), cause)
    });
    let unwanted = found.difference(wanted).map(|date| {
        let mut history = reading.events.iter().filter(|event| event.status == EventStatus::History);
        let event = history.find(|event| event.letter_date == Some(*date));
        let cause = event.map(|event| Cause::first_of(event, event.reason.clone())).unwrap_or_default();
        wrong(NONE.to_owned(), date.to_string(), cause)
    });
    lacking.chain(unwanted).collect()
}

/// What became of a labelled event: an event of its date that was read otherwise, else a sentence with its date that
/// was passed over.
fn why_missed(comparison: &Comparison, wanted: &LabelledEvent) -> Cause {
    let date = wanted.letter_date.flatten();
    let retold = |event: &&ListingEvent| event.status == EventStatus::History;
    let same_date = |event: &&ListingEvent| event.letter_date == date;
    let same_kind = |event: &&ListingEvent| event.kind == wanted.kind;
    let history = || comparison.reading.events.iter().filter(retold).filter(same_date);
    let otherwise = || comparison.spurious.iter().copied().filter(same_date);
    let rival = history().find(same_kind).or_else(|| otherwise().next());
    // Without a date, another kind of event is no sign of this one.
    let rival = rival.or_else(|| history().next().filter(|_| date.is_some()));
    rival.map_or_else(|| why_unseen(comparison, date), read_otherwise)
}

/// What an event was read as instead.
fn read_otherwise(event: &ListingEvent) -> Cause {
    let reason = Some(&event.reason).filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Cause::first_of(event, format!("read as {} {}{reason}", event.status, describe_found(event)))
}

/// Why nothing of a date was found.
fn why_unseen(comparison: &Comparison, date: Option<NaiveDate>) -> Cause {
    let passed = &comparison.reading.passed;
    let named = date.and_then(|date| passed.iter().find(|passed| names_date(&passed.text, date)));
    match (named, passed.len()) {
        (Some(passed), _) => {
            Cause { reason: format!("passed over: {}", passed.reason), sentences: vec![passed.text.clone()] }
        }
        (None, 0) => Cause::told("no sentence was weighed"),
        (None, n) => Cause::told(format!("none of the sentences passed over ({n}) names its date")),
    }
}

/// True if a text gives a date in one of the common spellings; a year may be missing but not differ.
fn names_date(text: &str, date: NaiveDate) -> bool {
    let iso = date.to_string();
    let spellings = ["%B %-d", "%b %-d", "%b. %-d", "%-d %B", "%-m/%-d"].map(|form| date.format(form).to_string());
    text.contains(&iso)
        || spellings.iter().any(|spelling| {
            text.match_indices(spelling.as_str()).any(|(start, _)| {
                let (before, after) = (&text[..start], &text[start + spelling.len()..]);
                let cut = before.ends_with(|c: char| c.is_ascii_alphanumeric())
                    || after.starts_with(|c: char| c.is_ascii_alphanumeric());
                !cut && year_at(after).is_none_or(|year| year == date.year())
            })
        })
}

/// The year that a text begins with.
fn year_at(text: &str) -> Option<i32> {
    text.trim_start_matches([',', ' ', '/'])
        .get(..4)
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?
        .parse()
        .ok()
}

fn describe_wanted(event: &LabelledEvent) -> String {
    let date = event.letter_date.map(list);
    let details = [date, event.bases.as_ref().map(list), event.rules.as_ref().map(list)];
    describe(&event.kind, &event.exchange, details.into_iter().flatten())
}

fn describe_found(event: &ListingEvent) -> String {
    describe(&event.kind, &event.exchange, [list(event.letter_date), list(&event.bases), list(&event.rules)])
}

fn describe(kind: &impl Display, exchange: &impl Display, details: impl IntoIterator<Item = String>) -> String {
    let details: Vec<String> = details.into_iter().filter(|detail| detail != NONE).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join("; ")) };
    format!("{kind} {exchange}{details}")
}

fn describe_report(report: &OverdueReport) -> String {
    report.period_end.map_or_else(|| report.form.clone(), |end| format!("{} {end}", report.form))
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { NONE.to_owned() } else { items.join(", ") }
}

/// The word that JSON has for a value of the vocabulary.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_known_in_its_spellings_and_not_in_its_neighbours() {
        #[track_caller]
        fn check(text: &str, expected: bool) {
            let date = NaiveDate::from_ymd_opt(2026, 3, 2).expect("a day");
            assert_eq!(names_date(text, date), expected, "{text}");
        }
        check("On March 2, 2026, it received a letter.", true);
        check("On March 2 it received a letter.", true);
        check("on 2 March 2026", true);
        check("Mar. 2, 2026", true);
        check("a letter of 3/2/2026", true);
        check("on 2026-03-02", true);
        check("On March 2, 2025, it received a letter.", false);
        check("On March 21, 2026, it received a letter.", false);
        check("on 12 March 2026", false);
        check("It received a letter.", false);
        check("March 2, 20\u{e9}6", true);
    }
}
