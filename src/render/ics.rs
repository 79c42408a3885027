//! The next dates of a letter as a calendar (RFC 5545), for readers who keep one.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use icalendar::{Alarm, Calendar, Component, Event, EventLike};

use super::words::deadline_name;
use crate::alert::{Alert, MESSAGE_ID_DOMAIN};
use crate::classify::{Deadline, DeadlineKind, DeadlineSource};
use crate::linking::{EventRef, Relation};

/// Nobody needs reminding of more: a letter sets one or two dates.
const MAX_DATES: usize = 20;

/// The dates of an alert's news from the day of its filing on; `None` where there are none.
///
/// A date keeps its identity while it belongs to the same letter, so that a calendar moves it when a correction does.
pub fn render_calendar(alert: &Alert, written_at: DateTime<Utc>) -> Option<String> {
    let mut calendar = Calendar::empty();
    for property in [("VERSION", "2.0"), ("PRODID", "-//edgar-watch//alerts//EN"), ("METHOD", "PUBLISH")] {
        calendar.append_property(property);
    }
    let mut known: Vec<String> = Vec::new();
    for (event, link) in alert.linked_news() {
        let own = EventRef { accession: alert.accession, ordinal: 0, filing_date: alert.filing_date };
        let letter = link.map_or(own, |link| link.letter);
        let is_first = link.is_none_or(|link| link.relation == Relation::First);
        // Larger with every later telling of the letter (RFC 5545 3.8.7.4).
        let sequence = if is_first { 0 } else { minutes_since(letter.filing_date, alert.accepted_at) };
        for deadline in event.deadlines.iter().filter(|deadline| deadline.date >= alert.filing_date) {
            let n_before = event.deadlines.iter().take_while(|other| *other != deadline);
            let n_before = n_before.filter(|other| other.what == deadline.what).count();
            let what = word(deadline.what);
            let uid = format!("{}.{}.{what}.{n_before}@{MESSAGE_ID_DOMAIN}", letter.accession, letter.ordinal);
            if known.len() < MAX_DATES && !known.contains(&uid) {
                calendar.push(entry(alert, deadline, &uid, sequence, written_at));
                known.push(uid);
            }
        }
    }
    (!known.is_empty()).then(|| calendar.to_string())
}

fn entry(alert: &Alert, deadline: &Deadline, uid: &str, sequence: u32, written_at: DateTime<Utc>) -> Event {
    let what = deadline.about.as_deref().unwrap_or_else(|| deadline_name(deadline.what));
    let summary = format!("{}: {what}", alert.issuer_mark());
    let name = alert.filers.first().map_or("", |filer| filer.name.as_str());
    let source = match (deadline.source, &deadline.rule) {
        (DeadlineSource::Stated, _) => "Stated in the filing.".to_owned(),
        (DeadlineSource::Derived, Some(rule)) => format!("Derived from rule {rule}; not stated in the filing."),
        (DeadlineSource::Derived, None) => "Derived from the rules; not stated in the filing.".to_owned(),
    };
    let latest = deadline.date_latest.filter(|latest| *latest != deadline.date);
    let latest = latest.map(|latest| format!(" At the latest {latest}: practice varies.")).unwrap_or_default();
    let (form, filed, link) = (&alert.form, alert.filing_date, &alert.index_url);
    let description = format!("{name}, {form} of {filed}\n{source}{latest}\n{link}");
    Event::new()
        .uid(uid)
        .sequence(sequence)
        .timestamp(written_at)
        .starts(deadline.date)
        // The end of an event is the first day after it (RFC 5545, 3.6.1).
        .ends(deadline.date.succ_opt().unwrap_or(deadline.date))
        .summary(&summary)
        .description(&description)
        .url(alert.index_url.as_str())
        // It keeps nobody from a meeting.
        .append_property(("TRANSP", "TRANSPARENT"))
        .alarm(Alarm::display(&summary, -lead(deadline.what)))
        .done()
}

/// The kind of a date within an identity, which must not change with its name for people.
fn word(what: DeadlineKind) -> &'static str {
    match what {
        DeadlineKind::Plan => "plan",
        DeadlineKind::Compliance => "compliance",
        DeadlineKind::HearingRequest => "hearing_request",
        DeadlineKind::Suspension => "suspension",
        DeadlineKind::Other => "other",
    }
}

/// How long before its day a date is called to mind.
fn lead(what: DeadlineKind) -> Duration {
    match what {
        DeadlineKind::Plan | DeadlineKind::Compliance => Duration::days(7),
        DeadlineKind::HearingRequest | DeadlineKind::Suspension | DeadlineKind::Other => Duration::days(1),
    }
}

fn minutes_since(day: NaiveDate, instant: DateTime<Utc>) -> u32 {
    let minutes = (instant - day.and_time(chrono::NaiveTime::MIN).and_utc()).num_minutes();
    u32::try_from(minutes.max(1)).unwrap_or(u32::MAX)
}
