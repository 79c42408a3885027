//! What falls due when, from all that is known of the issuers' letters. Values in, values out.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::classify::{DeadlineKind, EventKind, ListingEvent};
use crate::edgar::feed::Filer;
use crate::linking::EventRef;

/// A new event and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// The event that stands for its letter.
    pub letter: EventRef,
    /// The filing's filers.
    pub filers: Vec<Filer>,
    /// What is told.
    pub event: ListingEvent,
}

/// A day on which something falls due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueDate {
    /// When.
    pub date: NaiveDate,
    /// Whose, by name.
    pub issuer: String,
    /// What.
    pub what: DeadlineKind,
}

/// What falls due from a day on and before another, in order. `news` is in the order of acceptance: of several tellings of
/// one letter the last counts, and what an issuer has settled since is due no more.
pub fn falling_due(news: &[&News], from: NaiveDate, before: NaiveDate) -> Vec<DueDate> {
    let mut open: BTreeMap<EventRef, &News> = BTreeMap::new();
    for &telling in news {
        if matches!(telling.event.kind, EventKind::ComplianceRegained | EventKind::Delisting) {
            open.retain(|_, other| !settles(telling, other));
        }
        open.insert(telling.letter, telling);
    }
    let mut due: Vec<DueDate> = open
        .into_values()
        .flat_map(|telling| telling.event.deadlines.iter().map(move |deadline| (telling, deadline)))
        .filter(|(_, deadline)| (from..before).contains(&deadline.date))
        .map(|(telling, deadline)| DueDate {
            date: deadline.date,
            issuer: telling.filers.first().map(|filer| filer.name.clone()).unwrap_or_default(),
            what: deadline.what,
        })
        .collect();
    due.sort();
    due.dedup();
    due
}

/// Whether an issuer's later news ends what an earlier one set a date for.
fn settles(later: &News, earlier: &News) -> bool {
    let is_same_issuer = later.filers.iter().any(|filer| earlier.filers.iter().any(|other| other.cik == filer.cik));
    let bases = &later.event.bases;
    let is_same_matter = bases.is_empty() || bases.iter().any(|basis| earlier.event.bases.contains(basis));
    is_same_issuer && is_same_matter
}
