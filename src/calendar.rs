//! Which days are business days, from rules alone. Pure: takes dates, knows no clock and no zone.

use chrono::{Datelike, NaiveDate, Weekday};

/// Whether `date` is a federal holiday as observed (5 U.S.C. 6103): a holiday on a Saturday is kept on the
/// Friday before, one on a Sunday on the Monday after. Juneteenth counts from 2021, Martin Luther King Day from 1986.
pub fn is_federal_holiday(date: NaiveDate) -> bool {
    let fixed = |month, day| NaiveDate::from_ymd_opt(date.year(), month, day).map(observed) == Some(date);
    // New Year's Day of the next year may be observed on 31 December.
    let next_new_year = NaiveDate::from_ymd_opt(date.year() + 1, 1, 1).map(observed) == Some(date);
    let nth = |month, weekday, n| NaiveDate::from_weekday_of_month_opt(date.year(), month, weekday, n) == Some(date);
    let last_monday_of_may = date.month() == 5 && date.weekday() == Weekday::Mon && date.day() > 24;

    fixed(1, 1)
        || next_new_year
        || (date.year() >= 1986 && nth(1, Weekday::Mon, 3))
        || nth(2, Weekday::Mon, 3)
        || last_monday_of_may
        || (date.year() >= 2021 && fixed(6, 19))
        || fixed(7, 4)
        || nth(9, Weekday::Mon, 1)
        || nth(10, Weekday::Mon, 2)
        || fixed(11, 11)
        || nth(11, Weekday::Thu, 4)
        || fixed(12, 25)
}

fn observed(holiday: NaiveDate) -> NaiveDate {
    match holiday.weekday() {
        Weekday::Sat => holiday.pred_opt().unwrap_or(holiday),
        Weekday::Sun => holiday.succ_opt().unwrap_or(holiday),
        _ => holiday,
    }
}
