//! Which days are business days, from rules alone, and wall-clock times as instants. Pure: knows no clock.
//!
//! One-off closings (storms, days of mourning, executive orders) are left out: no rule tells them.

use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

/// A wall-clock time as an instant. The hour repeated in autumn counts as its first pass, the hour skipped in spring as
/// the one after it.
pub fn wall_to_utc(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.to_utc(),
        LocalResult::None => {
            let later = zone.from_local_datetime(&(wall + TimeDelta::hours(1))).earliest();
            later.map_or_else(|| wall.and_utc(), |time| time.to_utc())
        }
    }
}

/// Whether `date` is a federal holiday as observed (5 U.S.C. 6103): a holiday on a Saturday is kept on the
/// Friday before, one on a Sunday on the Monday after. Juneteenth counts from 2021, Martin Luther King Day from 1986.
pub fn is_federal_holiday(date: NaiveDate) -> bool {
    let year = date.year();
    let fixed = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).map(observed) == Some(date);
    let nth = |month, weekday, n| NaiveDate::from_weekday_of_month_opt(year, month, weekday, n) == Some(date);
    let last_monday_of_may = date.month() == 5 && date.weekday() == Weekday::Mon && date.day() > 24;

    fixed(year, 1, 1)
        // New Year's Day of the next year may be observed on 31 December.
        || fixed(year + 1, 1, 1)
        || (year >= 1986 && nth(1, Weekday::Mon, 3))
        || nth(2, Weekday::Mon, 3)
        || last_monday_of_may
        || (year >= 2021 && fixed(year, 6, 19))
        || fixed(year, 7, 4)
        || nth(9, Weekday::Mon, 1)
        || nth(10, Weekday::Mon, 2)
        || fixed(year, 11, 11)
        || nth(11, Weekday::Thu, 4)
        || fixed(year, 12, 25)
}

fn observed(holiday: NaiveDate) -> NaiveDate {
    match holiday.weekday() {
        Weekday::Sat => holiday.pred_opt().unwrap_or(holiday),
        Weekday::Sun => holiday.succ_opt().unwrap_or(holiday),
        _ => holiday,
    }
}

/// Whether a period of the listing rules may end on `date`: not on a Saturday, Sunday, federal or Nasdaq holiday
/// (Rule 5840(e)). Good Friday is Nasdaq's only holiday that is no federal one.
pub fn is_business_day(date: NaiveDate) -> bool {
    let good_friday = easter(date.year()).and_then(|easter| easter.checked_sub_days(Days::new(2)));
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !is_federal_holiday(date) && good_friday != Some(date)
}

/// The date itself if it is a business day, else the next one.
pub fn roll_forward(mut date: NaiveDate) -> NaiveDate {
    while !is_business_day(date) {
        match date.succ_opt() {
            Some(next) => date = next,
            None => return date,
        }
    }
    date
}

/// `days` calendar days after `date`, which is day 0, rolled to a business day.
pub fn add_days_rolled(date: NaiveDate, days: u64) -> Option<NaiveDate> {
    date.checked_add_days(Days::new(days)).map(roll_forward)
}

/// Business days after `from` up to and including `to`; counting stops at `limit`, negative spans count as zero.
pub fn business_days_between(from: NaiveDate, to: NaiveDate, limit: u32) -> u32 {
    let mut n = 0;
    let mut day = from;
    while day < to && n < limit {
        match day.succ_opt() {
            Some(next) => day = next,
            None => break,
        }
        if is_business_day(day) {
            n += 1;
        }
    }
    n
}

/// Last day of a month, `None` outside the calendar.
pub fn month_end(year: i32, month: u32) -> Option<NaiveDate> {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    NaiveDate::from_ymd_opt(next_year, next, 1)?.pred_opt()
}

/// Easter Sunday of the Gregorian calendar (anonymous algorithm, Nature 1876).
fn easter(year: i32) -> Option<NaiveDate> {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let f = (b + 8) / 25;
    let g = (b - f + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let days_from_march = h + l - 7 * m + 114;
    let (month, day) = (days_from_march / 31, days_from_march % 31 + 1);
    NaiveDate::from_ymd_opt(year, month.unsigned_abs(), day.unsigned_abs())
}

/// A span in its two largest units, as `2 m 5 s` or `3 d 4 h`; one below zero is none.
pub fn print_span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    let units = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let words: Vec<String> = units.iter().skip(first).take(2).map(|(n, unit)| format!("{n} {unit}")).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn check(letter: &str, days: u64, expected: &str) {
        assert_eq!(add_days_rolled(date(letter), days), Some(date(expected)), "{letter} + {days}");
    }

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (seconds, expected) in
            [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (125, "2 m 5 s"), (3_600, "1 h 0 m"), (273_600, "3 d 4 h")]
        {
            assert_eq!(print_span(TimeDelta::seconds(seconds)), expected);
        }
    }

    #[test]
    fn periods_roll_to_the_next_business_day() {
        check("2007-03-02", 7, "2007-03-09");
        check("2024-09-17", 60, "2024-11-18");
        check("2020-07-27", 180, "2021-01-25");
        check("2019-01-22", 180, "2019-07-22");
        check("2023-11-27", 60, "2024-01-26");
        check("2023-09-12", 180, "2024-03-11");
    }

    #[test]
    fn holidays_are_no_business_days() {
        for day in [
            "2007-04-06",
            "2024-05-27",
            "2025-01-20",
            "2022-06-20",
            "2021-07-05",
            "2007-01-01",
            "2024-11-28",
            "2021-12-31",
        ] {
            assert!(!is_business_day(date(day)), "{day}");
        }
        assert!(is_business_day(date("2024-11-29")));
    }

    #[test]
    fn business_days_are_counted_from_the_day_after() {
        assert_eq!(business_days_between(date("2007-03-02"), date("2007-03-08"), 99), 4);
        assert_eq!(business_days_between(date("2007-03-08"), date("2007-03-02"), 99), 0);
    }
}
