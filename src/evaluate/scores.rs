//! The counts over many records: alerts, kinds, bases, fields; and the table that shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::AddAssign;

use chrono::NaiveDate;
use serde::Serialize;

use super::Comparison;
use super::measures::{Counts, Estimate, Share};
use crate::classify::{Basis, DeadlineSource, EventKind, EventStatus, ListingEvent, Reading, default_alert};
use crate::corpus::{LabelledDeadline, LabelledEvent};

/// How many of what were right, over any number of records.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Scores {
    /// How many records.
    pub n_records: usize,
    /// How many of them broke the reading off.
    pub n_unread: usize,
    /// The default alert, one case for each record.
    pub alerts: Counts,
    /// New events by kind. A found event is right if a labelled one of the same kind and exchange is left for it.
    pub kinds: BTreeMap<EventKind, Counts>,
    /// New events by basis; an event counts for each of its bases.
    pub bases: BTreeMap<Basis, Counts>,
    /// What is said of the events that were found.
    pub fields: Fields,
    /// The letter dates that a document retells.
    pub history_dates: Counts,
    /// How often new events of a confidence were right, by its lower bound in hundredths.
    pub calibration: BTreeMap<u8, Share>,
}

/// Lower bounds of the classes of confidence, in hundredths.
const CONFIDENCES: [u8; 6] = [95, 90, 80, 70, 50, 0];

/// Fields of matched events, as far as their labels give them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Fields {
    /// The letter's date.
    pub letter_date: Field,
    /// The day it arrived.
    pub received: Field,
    /// The day it bears.
    pub dated: Field,
    /// All bases and no other.
    pub bases: Field,
    /// All rules and no other.
    pub rules: Field,
    /// All reports and no other, each with its form and period.
    pub reports: Field,
    /// Stated deadlines.
    pub deadlines: Deadlines,
}

/// How often a field was right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Field {
    /// Over all matched events.
    pub all: Share,
    /// Over those that are a default alert by their label and whose label has something in this field.
    pub alerts: Share,
}

/// How well stated deadlines were found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Deadlines {
    /// Each pair of what is due and when.
    pub dates: Counts,
    /// Whether an event has all of them and no other.
    pub events: Field,
}

impl Scores {
    pub(super) fn add(&mut self, comparison: &Comparison) {
        let label = &comparison.labelled.label;
        self.n_records += 1;
        match (label.alert, default_alert(&comparison.reading.events)) {
            (true, true) => self.alerts.hit += 1,
            (true, false) => self.alerts.missed += 1,
            (false, true) => self.alerts.false_ += 1,
            (false, false) => {}
        }
        for (wanted, found) in &comparison.matched {
            self.kinds.entry(wanted.kind).or_default().hit += 1;
            self.add_bases(wanted.bases.as_ref(), &found.bases);
            self.fields.add(wanted, found);
            self.calibrate(found, true);
        }
        for wanted in &comparison.missed {
            self.kinds.entry(wanted.kind).or_default().missed += 1;
            self.add_bases(wanted.bases.as_ref(), &[]);
        }
        for found in &comparison.spurious {
            self.kinds.entry(found.kind).or_default().false_ += 1;
            self.add_bases(Some(&BTreeSet::new()), &found.bases);
            self.calibrate(found, false);
        }
        if let Some(wanted) = &label.history_dates {
            self.history_dates += compare_sets(wanted, &history_dates(comparison.reading));
        }
    }

    fn calibrate(&mut self, found: &ListingEvent, right: bool) {
        let class = CONFIDENCES.into_iter().find(|bound| found.confidence * 100.0 >= f64::from(*bound));
        self.calibration.entry(class.unwrap_or(0)).or_default().count(right);
    }

    fn add_bases(&mut self, wanted: Option<&BTreeSet<Basis>>, found: &[Basis]) {
        let Some(wanted) = wanted else { return };
        let found: BTreeSet<Basis> = found.iter().copied().collect();
        for basis in wanted.union(&found) {
            let counts = self.bases.entry(*basis).or_default();
            match (wanted.contains(basis), found.contains(basis)) {
                (true, true) => counts.hit += 1,
                (true, false) => counts.missed += 1,
                (false, _) => counts.false_ += 1,
            }
        }
    }
}

impl Fields {
    fn add(&mut self, wanted: &LabelledEvent, found: &ListingEvent) {
        let alerts = wanted.alerts();
        let dates = [
            (&mut self.letter_date, wanted.letter_date, found.letter_date),
            (&mut self.received, wanted.received, found.received),
            (&mut self.dated, wanted.dated, found.dated),
        ];
        for (field, wanted, found) in dates {
            if let Some(wanted) = wanted {
                field.count(wanted == found, alerts && wanted.is_some());
            }
        }
        if let Some(wanted) = &wanted.bases {
            self.bases.count(*wanted == set(&found.bases), alerts && !wanted.is_empty());
        }
        if let Some(wanted) = &wanted.rules {
            self.rules.count(*wanted == set(&found.rules), alerts && !wanted.is_empty());
        }
        if let Some(wanted) = &wanted.reports {
            self.reports.count(*wanted == set(&found.reports), alerts && !wanted.is_empty());
        }
        if let Some(wanted) = &wanted.deadlines {
            let found = stated_deadlines(found);
            self.deadlines.dates += compare_sets(wanted, &found);
            self.deadlines.events.count(*wanted == found, alerts && !wanted.is_empty());
        }
    }
}

impl Field {
    fn count(&mut self, right: bool, in_alert: bool) {
        self.all.count(right);
        if in_alert {
            self.alerts.count(right);
        }
    }
}

/// The items of a field whose order says nothing.
pub(super) fn set<T: Ord + Clone>(items: &[T]) -> BTreeSet<T> {
    items.iter().cloned().collect()
}

/// The deadlines that labels list: those of the text, not those that follow from the rules.
pub(super) fn stated_deadlines(event: &ListingEvent) -> BTreeSet<LabelledDeadline> {
    let stated = event.deadlines.iter().filter(|deadline| deadline.source == DeadlineSource::Stated);
    stated.map(|deadline| LabelledDeadline { what: deadline.what, date: deadline.date }).collect()
}

/// The letter dates that a reading has as history.
pub(super) fn history_dates(reading: &Reading) -> BTreeSet<NaiveDate> {
    let history = reading.events.iter().filter(|event| event.status == EventStatus::History);
    history.filter_map(|event| event.letter_date).collect()
}

fn compare_sets<T: Ord>(wanted: &BTreeSet<T>, found: &BTreeSet<T>) -> Counts {
    let hit = wanted.intersection(found).count();
    Counts { hit, false_: found.len() - hit, missed: wanted.len() - hit }
}

impl AddAssign<&Self> for Scores {
    fn add_assign(&mut self, other: &Self) {
        self.n_records += other.n_records;
        self.n_unread += other.n_unread;
        self.alerts += other.alerts;
        for (kind, counts) in &other.kinds {
            *self.kinds.entry(*kind).or_default() += *counts;
        }
        for (basis, counts) in &other.bases {
            *self.bases.entry(*basis).or_default() += *counts;
        }
        self.fields += other.fields;
        self.history_dates += other.history_dates;
        for (bound, share) in &other.calibration {
            *self.calibration.entry(*bound).or_default() += *share;
        }
    }
}

impl AddAssign for Fields {
    fn add_assign(&mut self, other: Self) {
        self.letter_date += other.letter_date;
        self.received += other.received;
        self.dated += other.dated;
        self.bases += other.bases;
        self.rules += other.rules;
        self.reports += other.reports;
        self.deadlines.dates += other.deadlines.dates;
        self.deadlines.events += other.deadlines.events;
    }
}

impl AddAssign for Field {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.alerts += other.alerts;
    }
}

/// A table, each share with its 95% interval.
impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_head(f, "")?;
        write_counts(f, "default alert", self.alerts)?;
        write_head(f, "kinds")?;
        for (kind, counts) in &self.kinds {
            write_counts(f, kind.as_str(), *counts)?;
        }
        write_head(f, "bases")?;
        for (basis, counts) in &self.bases {
            write_counts(f, basis.as_str(), *counts)?;
        }
        write_head(f, "dates")?;
        write_counts(f, "stated deadlines", self.fields.deadlines.dates)?;
        write_counts(f, "history", self.history_dates)?;
        writeln!(f, "  {:22} {:>9}  {:19}  alerts that state it", "fields", "right/of", "share")?;
        let fields = &self.fields;
        write_field(f, "letter_date", &fields.letter_date)?;
        write_field(f, "received", &fields.received)?;
        write_field(f, "dated", &fields.dated)?;
        write_field(f, "bases", &fields.bases)?;
        write_field(f, "rules", &fields.rules)?;
        write_field(f, "reports", &fields.reports)?;
        write_field(f, "deadlines", &fields.deadlines.events)?;
        writeln!(f, "  {:22} {:>9}  share right", "confidence at least", "right/of")?;
        for (bound, share) in self.calibration.iter().rev() {
            let ratio = format!("{}/{}", share.right, share.of);
            writeln!(f, "  0.{bound:02} {:>26}  {}", ratio, show(share.estimate()).trim_end())?;
        }
        Ok(())
    }
}

fn write_head(f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
    let counts = format!("{:>4} {:>4} {:>5} {:>6}", "n", "hit", "false", "missed");
    writeln!(f, "  {what:22} {counts}  {:19}  {:19}  F1", "precision", "recall")
}

fn write_counts(f: &mut fmt::Formatter<'_>, what: &str, counts: Counts) -> fmt::Result {
    let Counts { hit, false_, missed } = counts;
    let [precision, recall, f1] = [counts.precision(), counts.recall(), counts.f1()].map(show);
    writeln!(
        f,
        "  {what:22} {:4} {hit:4} {false_:5} {missed:6}  {precision:19}  {recall:19}  {}",
        counts.n(),
        f1.trim_end()
    )
}

fn write_field(f: &mut fmt::Formatter<'_>, what: &str, field: &Field) -> fmt::Result {
    // No label gives it: a line of dashes would only hide those that have something to say.
    if field.all.of == 0 {
        return Ok(());
    }
    let ratio = |share: Share| format!("{}/{}", share.right, share.of);
    let (all, alerts) = (field.all, field.alerts);
    writeln!(
        f,
        "  {what:22} {:>9}  {:19}  {} {}",
        ratio(all),
        show(all.estimate()),
        ratio(alerts),
        show(alerts.estimate())
    )
}

fn show(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| "-".to_owned(), |estimate| estimate.to_string())
}
