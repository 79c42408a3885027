//! EDGAR's clock: Eastern time, its hours and its business days.
//!
//! EDGAR writes acceptance times without a zone and means New York. It accepts filings from 06:00 to 22:00 on
//! business days (17 CFR 240.0-2(c)); a filing begun after 17:30 bears the next business day's date and an 8-K
//! among them is shown only from 06:00 of that day.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::America::New_York;

use crate::calendar::{is_federal_holiday, wall_to_utc};

const OPENS: NaiveTime = hour(6, 0);
const CLOSES: NaiveTime = hour(22, 0);
const DATE_LINE: NaiveTime = hour(17, 30);
const MORNING_ENDS: NaiveTime = hour(10, 0);

const fn hour(hour: u32, minute: u32) -> NaiveTime {
    match NaiveTime::from_hms_opt(hour, minute, 0) {
        Some(time) => time,
        None => panic!("an hour of the day"),
    }
}

/// An Eastern wall-clock time as an instant.
pub fn eastern_to_utc(wall: NaiveDateTime) -> DateTime<Utc> {
    wall_to_utc(wall, New_York)
}

/// The wall-clock time in New York.
pub fn eastern(instant: DateTime<Utc>) -> NaiveDateTime {
    instant.with_timezone(&New_York).naive_local()
}

/// `2025-12-12 17:30:03 EST`, for people.
pub fn print_eastern(instant: DateTime<Utc>) -> String {
    instant.with_timezone(&New_York).format("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// The date in New York.
pub fn eastern_date(instant: DateTime<Utc>) -> NaiveDate {
    eastern(instant).date()
}

/// Monday to Friday, federal holidays excepted. EDGAR also closes by executive order, which no calendar knows:
/// use this for tempo and alarms, never to decide that a day has no filings.
pub fn is_edgar_business_day(date: NaiveDate) -> bool {
    date.weekday().num_days_from_monday() < 5 && !is_federal_holiday(date)
}

/// The last business day before `date`.
pub fn previous_business_day(date: NaiveDate) -> NaiveDate {
    date.iter_days().rev().skip(1).find(|day| is_edgar_business_day(*day)).unwrap_or(date)
}

/// Whether EDGAR accepts filings now.
pub fn is_open(now: DateTime<Utc>) -> bool {
    let wall = eastern(now);
    is_edgar_business_day(wall.date()) && (OPENS..CLOSES).contains(&wall.time())
}

/// Whether last evening's filings are coming to light now: 06:00 to 10:00 on a business day.
pub fn is_morning(now: DateTime<Utc>) -> bool {
    let wall = eastern(now);
    is_edgar_business_day(wall.date()) && (OPENS..MORNING_ENDS).contains(&wall.time())
}

/// When EDGAR last closed: 22:00 of a business day.
pub fn last_closing(now: DateTime<Utc>) -> DateTime<Utc> {
    let wall = eastern(now);
    let today = eastern_to_utc(wall.date().and_time(CLOSES));
    if is_edgar_business_day(wall.date()) && today <= now {
        today
    } else {
        eastern_to_utc(previous_business_day(wall.date()).and_time(CLOSES))
    }
}

/// The instant at or before which everything dated `date` or later was not yet accepted: 17:30 Eastern of the
/// business day before. A sweep that goes below it has passed all filings of that date.
pub fn filings_dated_from(date: NaiveDate) -> DateTime<Utc> {
    eastern_to_utc(previous_business_day(date).and_time(DATE_LINE))
}

/// When EDGAR opens next: 06:00 of a business day.
pub fn next_opening(now: DateTime<Utc>) -> DateTime<Utc> {
    let opens_at = |date: NaiveDate| eastern_to_utc(date.and_time(OPENS));
    let mut days = eastern_date(now).iter_days().take(15).filter(|day| is_edgar_business_day(*day)).map(opens_at);
    days.find(|opening| *opening > now).unwrap_or(now)
}

/// Parses EDGAR's fourteen digits `YYYYMMDDHHMMSS`, Eastern.
pub fn parse_acceptance(digits: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(digits.trim(), "%Y%m%d%H%M%S").ok().map(eastern_to_utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    #[test]
    fn acceptance_time_is_eastern_in_winter_and_summer() {
        assert_eq!(parse_acceptance("20260409070050"), Some(utc("2026-04-09T11:00:50Z")));
        assert_eq!(parse_acceptance("20251212173003"), Some(utc("2025-12-12T22:30:03Z")));
        assert_eq!(parse_acceptance("20251312173003"), None);
    }

    #[test]
    fn both_clock_changes_have_an_instant() {
        assert_eq!(parse_acceptance("20260308023000"), Some(utc("2026-03-08T07:30:00Z")), "skipped hour");
        assert_eq!(parse_acceptance("20261101013000"), Some(utc("2026-11-01T05:30:00Z")), "repeated hour");
    }

    #[test]
    fn edgar_is_open_on_business_days_from_six_to_ten() {
        for (now, expected) in [
            ("2026-11-23T10:59:59Z", false),
            ("2026-11-23T11:00:00Z", true),
            ("2026-11-24T02:59:59Z", true),
            ("2026-11-24T03:00:00Z", false),
            ("2026-11-22T15:00:00Z", false),
            ("2026-11-26T15:00:00Z", false),
        ] {
            assert_eq!(is_open(utc(now)), expected, "{now}");
        }
    }

    #[test]
    fn the_next_opening_is_at_six_on_a_business_day() {
        assert_eq!(next_opening(utc("2026-11-23T10:59:00Z")), utc("2026-11-23T11:00:00Z"), "the same morning");
        assert_eq!(next_opening(utc("2026-11-25T23:00:00Z")), utc("2026-11-27T11:00:00Z"), "past Thanksgiving");
    }

    #[test]
    fn filings_dated_monday_may_be_accepted_from_friday_evening() {
        let monday = NaiveDate::from_ymd_opt(2026, 1, 12).expect("a date");
        assert_eq!(filings_dated_from(monday), utc("2026-01-09T22:30:00Z"));
    }
}
