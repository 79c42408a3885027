//! Business days: what counts as a day on which Nasdaq's offices and the courts of its rules are open.
//!
//! A period of the listing rules that ends on a Saturday, Sunday, federal or Nasdaq holiday ends on the next business day.
//! One-off closings (storms, days of mourning) are left out: they move a derived deadline by a day at most.

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// True on a day that is neither a weekend day nor a federal or Nasdaq holiday.
pub fn is_business_day(date: NaiveDate) -> bool {
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !is_holiday(date)
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

fn is_holiday(date: NaiveDate) -> bool {
    let (year, month, day) = (date.year(), date.month(), date.day());
    let monday = date.weekday() == Weekday::Mon;
    let nth = (day - 1) / 7 + 1;
    let last = day + 7 > days_in_month(date);
    observed(date, 1, 1)
        || observed(date, 7, 4)
        || observed(date, 11, 11)
        || observed(date, 12, 25)
        || (year >= 2022 && observed(date, 6, 19))
        || match month {
            1 => monday && nth == 3 && year >= 1986,
            2 => monday && nth == 3,
            5 => monday && last,
            9 => monday && nth == 1,
            10 => monday && nth == 2,
            11 => date.weekday() == Weekday::Thu && nth == 4,
            _ => false,
        }
        || easter(year).pred_opt().and_then(|d| d.pred_opt()) == Some(date)
}

/// A fixed holiday moves from Sunday to Monday and from Saturday to Friday.
fn observed(date: NaiveDate, month: u32, day: u32) -> bool {
    let on = |d: Option<NaiveDate>| d.is_some_and(|d| d.month() == month && d.day() == day);
    match date.weekday() {
        Weekday::Mon => on(Some(date)) || on(date.pred_opt()),
        // A New Year's Day on Saturday leaves the last Friday of the old year open on Nasdaq.
        Weekday::Fri => on(Some(date)) || (month != 1 && on(date.succ_opt())),
        _ => on(Some(date)),
    }
}

fn days_in_month(date: NaiveDate) -> u32 {
    month_end(date.year(), date.month()).map_or(31, |d| d.day())
}

/// Last day of a month, `None` outside the calendar.
pub fn month_end(year: i32, month: u32) -> Option<NaiveDate> {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    NaiveDate::from_ymd_opt(next_year, next, 1)?.pred_opt()
}

/// Easter Sunday of the Gregorian calendar (anonymous algorithm, Nature 1876).
fn easter(year: i32) -> NaiveDate {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let f = (b + 8) / 25;
    let g = (b - f + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let month = (h + l - 7 * m + 114) / 31;
    let day = (h + l - 7 * m + 114) % 31 + 1;
    NaiveDate::from_ymd_opt(year, month as u32, day as u32).unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        // Literals of this module are valid dates.
        text.parse().unwrap()
    }

    fn check(letter: &str, days: u64, expected: &str) {
        assert_eq!(add_days_rolled(date(letter), days), Some(date(expected)), "{letter} + {days}");
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
        for day in ["2007-04-06", "2024-05-27", "2025-01-20", "2022-06-20", "2021-07-05", "2007-01-01", "2024-11-28"] {
            assert!(!is_business_day(date(day)), "{day}");
        }
        assert!(is_business_day(date("2024-11-29")));
        assert!(is_business_day(date("2021-12-31")));
    }

    #[test]
    fn business_days_are_counted_from_the_day_after() {
        assert_eq!(business_days_between(date("2007-03-02"), date("2007-03-08"), 99), 4);
        assert_eq!(business_days_between(date("2007-03-08"), date("2007-03-02"), 99), 0);
    }
}
