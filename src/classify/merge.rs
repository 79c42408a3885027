//! Events of several documents of one filing: the cover report and its exhibits tell of the same letters.

use super::{Deadline, DeadlineKind, EventStatus, ListingEvent};

/// Joins the events of the documents of one filing: one event for each letter, with the evidence of every document.
///
/// Two events are one if kind, status and exchange agree and their letter dates are the same, a few days apart (the day a
/// letter bears and the day it came), or missing in one of them.
pub fn merge_documents(documents: &[Vec<ListingEvent>]) -> Vec<ListingEvent> {
    let mut merged: Vec<ListingEvent> = Vec::new();
    for event in documents.iter().flatten() {
        match merged.iter_mut().find(|m| is_same(m, event)) {
            Some(known) => join(known, event),
            None => merged.push(event.clone()),
        }
    }
    merged.sort_by_key(|e| (e.status, e.kind, e.letter_date));
    merged
}

/// A letter can take this long to arrive.
const POST_DAYS: i64 = 5;

fn is_same(one: &ListingEvent, other: &ListingEvent) -> bool {
    let dates = match (one.letter_date, other.letter_date) {
        (Some(a), Some(b)) if one.status == EventStatus::History => a == b,
        (Some(a), Some(b)) => {
            a == b || (share_basis(one, other) && (a - b).num_days().abs() <= POST_DAYS && one_bears(one, other))
        }
        _ => true,
    };
    one.kind == other.kind && one.status == other.status && one.exchange == other.exchange && dates
}

fn share_basis(one: &ListingEvent, other: &ListingEvent) -> bool {
    one.bases.is_empty() || other.bases.is_empty() || one.bases.iter().any(|b| other.bases.contains(b))
}

/// True if one document gives only the day on the letter and the other only the day it came.
fn one_bears(one: &ListingEvent, other: &ListingEvent) -> bool {
    one.received.is_none() != other.received.is_none() || one.dated.is_none() != other.dated.is_none()
}

fn join(known: &mut ListingEvent, other: &ListingEvent) {
    known.received = known.received.or(other.received);
    known.dated = known.dated.or(other.dated);
    known.letter_date = known.received.or(known.dated).or(known.letter_date).or(other.letter_date);
    extend(&mut known.bases, &other.bases);
    extend(&mut known.rules, &other.rules);
    for report in &other.reports {
        if !known
            .reports
            .iter()
            .any(|r| r.form == report.form && (r.period_end == report.period_end || report.period_end.is_none()))
        {
            known.reports.retain(|r| r.form != report.form || r.period_end.is_some());
            known.reports.push(report.clone());
        }
    }
    for deadline in &other.deadlines {
        // What other rules give beside is no other word for the same.
        let same = |d: &Deadline| d.what == deadline.what && (d.what != DeadlineKind::Other || d.rule == deadline.rule);
        if !known.deadlines.iter().any(|d| same(d) && (d.date == deadline.date || d.source <= deadline.source)) {
            known.deadlines.retain(|d| !same(d) || d.source <= deadline.source);
            known.deadlines.push(deadline.clone());
        }
    }
    known.hearing = match (known.hearing, other.hearing) {
        (Some(one), Some(two)) if two.status > one.status => Some(two),
        (one, two) => one.or(two),
    };
    extend(&mut known.next_steps, &other.next_steps);
    extend(&mut known.causes, &other.causes);
    known.additional |= other.additional;
    known.expected |= other.expected;
    if other.confidence > known.confidence {
        known.confidence = other.confidence;
        known.signals.clone_from(&other.signals);
        known.runner_up.clone_from(&other.runner_up);
    }
    extend(&mut known.evidence, &other.evidence);
}

fn extend<T: PartialEq + Clone>(known: &mut Vec<T>, others: &[T]) {
    for other in others {
        if !known.contains(other) {
            known.push(other.clone());
        }
    }
}
