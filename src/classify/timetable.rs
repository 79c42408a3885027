//! Dates that follow from the rules where a notice states none.
//!
//! The day of the letter is day 0, and a period that would end on a day without business ends on the next one
//! (Nasdaq Rule 5840(e)). Where practice counts from more than one day, a range is given: a late filer's limits count
//! from the due date of the first late report, by some with and by some without the days of Rule 12b-25.

use chrono::{Datelike, Days, Months, NaiveDate};

use super::{Basis, Deadline, DeadlineKind, DeadlineSource, EventKind, Exchange, OverdueReport};
use crate::calendar::{add_days_rolled, is_business_day, month_end, roll_forward};

/// What the dates of an event follow from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What was done.
    pub kind: EventKind,
    /// By whom.
    pub exchange: Exchange,
    /// What it is about.
    pub bases: &'a [Basis],
    /// The reports that are overdue.
    pub reports: &'a [OverdueReport],
    /// The day the letter bears, else the day it came.
    pub letter: NaiveDate,
    /// The letter adds to an earlier one, so that clocks already run.
    pub additional: bool,
    /// What the text states.
    pub stated: &'a [Deadline],
}

/// The deadlines that follow from `facts`. A kind of deadline that the text states is left to the text.
pub fn derive_deadlines(facts: &Facts) -> Vec<Deadline> {
    let mut table = Table { facts, found: Vec::new() };
    match (facts.exchange, facts.kind) {
        (Exchange::Nasdaq, EventKind::StaffDetermination) => table.determination(),
        (Exchange::Nasdaq, EventKind::DeficiencyNotice) => table.deficiency(),
        (Exchange::Nasdaq, EventKind::PanelDecision) if facts.letter >= listing_rules() => {
            table.count_from_letter(DeadlineKind::Other, 15, "5820(a)", "last day to appeal to the Listing Council");
        }
        (Exchange::Nyse, EventKind::DeficiencyNotice) if facts.bases.contains(&Basis::LateFiling) => table.nyse_late(),
        _ => {}
    }
    table.found
}

/// Before this day a late report brought a determination at once; from then on a notice that invites a plan comes first
/// (SR-NASDAQ-2008-084, filed 30 October 2008).
pub fn plan_stage() -> NaiveDate {
    day(2008, 11, 1)
}

/// The 4000 series of the Marketplace Rules became the 5000 series of the Listing Rules.
pub fn listing_rules() -> NaiveDate {
    day(2009, 4, 13)
}

/// Plans are due in 45 days instead of 15, market values have 180 days instead of 90.
fn longer_periods() -> NaiveDate {
    day(2010, 1, 29)
}

/// The clocks of bid price and float stood still in the spring of 2020 (SR-NASDAQ-2020-021).
const TOLLED: [(i32, u32, u32); 2] = [(2020, 4, 16), (2020, 6, 30)];

/// A letter follows the day a report was due by at most so many days, else the day is not the one meant.
const MAX_LATE_DAYS: i64 = 60;

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or(NaiveDate::MIN)
}

struct Table<'a> {
    facts: &'a Facts<'a>,
    found: Vec<Deadline>,
}

impl Table<'_> {
    fn determination(&mut self) {
        let facts = self.facts;
        let new_rules = facts.letter >= listing_rules();
        let appeal = if new_rules { "5815(a)(1)" } else { "4805(a)" };
        let Some(seventh) = add_days_rolled(facts.letter, 7) else { return };
        self.count_from_letter(DeadlineKind::HearingRequest, 7, appeal, "");
        if facts.additional {
            // The panel that hears the case already takes this ground up with it.
            return;
        }
        let second = add_business_days(seventh, 2);
        let about = "trading stops at the opening if no hearing is asked for";
        self.on(DeadlineKind::Suspension, second, None, facts.letter, appeal, about);
        let late = facts.bases.contains(&Basis::LateFiling);
        if late && facts.letter >= plan_stage() {
            if let Some(end) = add_days_rolled(seventh, 15) {
                let about = "a late filer's automatic stay ends unless a panel extends it";
                self.on(DeadlineKind::Other, end, None, seventh, "5815(a)(1)(B)", about);
            }
            self.count_from_due(DeadlineKind::Other, 360, "5815(c)(1)(F)", "the longest a panel can give a late filer");
        } else {
            let rule = if new_rules { "5815(c)(1)(A)" } else { "4802(b)" };
            self.count_from_letter(DeadlineKind::Other, 180, rule, "the longest a panel can give");
        }
    }

    fn deficiency(&mut self) {
        let facts = self.facts;
        let new_rules = facts.letter >= listing_rules();
        match facts.bases.first() {
            Some(Basis::LateFiling) if facts.letter >= plan_stage() => {
                self.count_from_letter(DeadlineKind::Plan, 60, "5810(c)(2)(F)", "");
                if !facts.additional {
                    let about = "the longest exception staff can give";
                    self.count_from_due(DeadlineKind::Compliance, 180, "5810(c)(2)(F)", about);
                }
            }
            Some(Basis::BidPrice) if facts.letter >= day(2004, 1, 1) => {
                let rule = if new_rules { "5810(c)(3)(A)" } else { "4310(c)(8)(D)" };
                self.cure(180, rule);
            }
            Some(Basis::MarketValue) => match facts.letter {
                d if d >= longer_periods() => self.cure(180, "5810(c)(3)(C)"),
                d if d >= listing_rules() => self.cure(90, "5810(c)(3)(C)"),
                _ => self.cure(30, "4310(c)(8)(C)"),
            },
            Some(Basis::PublicFloat) => match facts.letter {
                d if d >= longer_periods() => self.cure(180, "5810(c)(3)(D)"),
                d if d >= listing_rules() => self.cure(90, "5810(c)(3)(D)"),
                _ => self.cure(90, "4450(e)(1)"),
            },
            Some(Basis::Equity | Basis::AnnualMeeting) if new_rules => {
                let days = if facts.letter >= longer_periods() { 45 } else { 15 };
                self.count_from_letter(DeadlineKind::Plan, days, "5810(c)(2)(C)", "");
                let about = "the longest extension staff can give";
                self.count_from_letter(DeadlineKind::Compliance, 180, "5810(c)(2)(B)", about);
            }
            Some(Basis::Equity) => self.count_from_letter(DeadlineKind::Plan, 15, "4803(a)", ""),
            _ => {}
        }
    }

    /// NYSE Listed Company Manual 802.01E: six months from the day the report was due.
    fn nyse_late(&mut self) {
        let (Some(from), Some(to)) = self.due_range() else { return };
        let six = |due: NaiveDate| due.checked_add_months(Months::new(6));
        if let Some(date) = six(from) {
            let latest = six(to).filter(|l| *l != date);
            let about = "the initial six months end";
            self.on(DeadlineKind::Compliance, date, latest, from, "802.01E", about);
        }
    }

    /// A period of grace that needs no plan; those that ran in the spring of 2020 may be longer by the days that did not count.
    fn cure(&mut self, days: u64, rule: &str) {
        let letter = self.facts.letter;
        let Some(end) = add_days_rolled(letter, days) else { return };
        let [from, to] = TOLLED.map(|(y, m, d)| day(y, m, d));
        let stopped = (to.min(end) - from.max(letter)).num_days() + 1;
        let latest = u64::try_from(stopped).ok().filter(|n| *n > 0).and_then(|n| add_days_rolled(end, n));
        self.on(DeadlineKind::Compliance, end, latest, letter, rule, "");
    }

    fn count_from_letter(&mut self, what: DeadlineKind, days: u64, rule: &str, about: &str) {
        if let Some(date) = add_days_rolled(self.facts.letter, days) {
            self.on(what, date, None, self.facts.letter, rule, about);
        }
    }

    fn count_from_due(&mut self, what: DeadlineKind, days: u64, rule: &str, about: &str) {
        let (Some(from), Some(to)) = self.due_range() else { return };
        if let (Some(date), Some(latest)) = (add_days_rolled(from, days), add_days_rolled(to, days)) {
            self.on(what, date, Some(latest).filter(|l| *l != date), from, rule, about);
        }
    }

    /// The first and the last day the first late report can have been due, told from the day of the letter.
    fn due_range(&self) -> (Option<NaiveDate>, Option<NaiveDate>) {
        let first = self.facts.reports.iter().filter(|r| r.period_end.is_some()).min_by_key(|r| r.period_end);
        let Some((form, end)) = first.and_then(|r| Some((r.form.as_str(), r.period_end?))) else { return (None, None) };
        let letter = self.facts.letter;
        let near = |d: &NaiveDate| *d < letter && (letter - *d).num_days() <= MAX_LATE_DAYS;
        let due: Vec<DueDate> = due_dates(form, end).into_iter().filter(|d| near(&d.due)).collect();
        let latest = due.iter().map(|d| if d.with_grace < letter { d.with_grace } else { d.due }).max();
        (due.iter().map(|d| d.due).min(), latest)
    }

    fn on(
        &mut self,
        what: DeadlineKind,
        date: NaiveDate,
        date_latest: Option<NaiveDate>,
        anchor: NaiveDate,
        rule: &str,
        about: &str,
    ) {
        if what != DeadlineKind::Other && self.facts.stated.iter().any(|d| d.what == what) {
            return;
        }
        self.found.push(Deadline {
            what,
            date,
            date_latest,
            source: DeadlineSource::Derived,
            rule: Some(rule.to_owned()),
            anchor: Some(anchor),
            about: Some(about.to_owned()).filter(|a| !a.is_empty()),
        });
    }
}

/// The day a report is due, and that day with what a notice on Form 12b-25 adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DueDate {
    due: NaiveDate,
    with_grace: NaiveDate,
}

/// The days on which a report can have been due, one for each class of filer: which class a company is in, its
/// notices do not say. General instructions of Forms 10-K, 10-Q and 20-F, and Rule 12b-25(b)(2).
fn due_dates(form: &str, period_end: NaiveDate) -> Vec<DueDate> {
    let accelerated = period_end >= day(2003, 12, 15);
    let large = period_end >= day(2006, 12, 15);
    let after = |days: u64| period_end.checked_add_days(Days::new(days));
    let months = |n: u32| period_end.checked_add_months(Months::new(n));
    let mut due = Vec::new();
    let grace = match form {
        "10-K" | "10-KSB" | "10-KT" => {
            due.push(after(90));
            if accelerated && form != "10-KSB" {
                due.push(after(75));
            }
            if large && form != "10-KSB" {
                due.push(after(60));
            }
            15
        }
        "10-Q" | "10-QSB" => {
            due.push(after(45));
            if period_end >= day(2004, 12, 15) && form != "10-QSB" {
                due.push(after(40));
            }
            5
        }
        "20-F" => {
            due.push(months(if period_end >= day(2011, 12, 15) { 4 } else { 6 }));
            15
        }
        "6-K" => {
            due.push(months(6));
            0
        }
        _ => return Vec::new(),
    };
    due.into_iter()
        .flatten()
        .map(roll_forward)
        .filter_map(|due| Some(DueDate { due, with_grace: add_days_rolled(due, grace)? }))
        .collect()
}

/// True if the report on a period fell due shortly before a letter, so that the letter can be the first on it.
pub fn fell_due_before(form: &str, period_end: NaiveDate, letter: NaiveDate) -> bool {
    due_dates(form, period_end).iter().any(|d| (1..=MAX_LATE_DAYS).contains(&(letter - d.due).num_days()))
}

/// True if the report on a period was not due yet on the day of a letter, whoever the filer is.
pub fn is_due_after(form: &str, period_end: NaiveDate, letter: NaiveDate) -> bool {
    let due = due_dates(form, period_end);
    !due.is_empty() && due.iter().all(|d| d.due >= letter)
}

/// The period whose report fell due shortly before a letter: what a late report covers when nobody says.
pub fn late_period(form: &str, letter: NaiveDate, year_end: u32) -> Option<NaiveDate> {
    const RECENT_DAYS: i64 = 35;
    let step = |n: u32| (year_end + 3 * n - 1) % 12 + 1;
    let months: Vec<u32> = match form {
        "10-K" | "10-KSB" | "20-F" => vec![step(4)],
        "10-Q" | "10-QSB" => vec![step(1), step(2), step(3)],
        "6-K" => vec![step(2)],
        _ => return None,
    };
    let ends = months.iter().flat_map(|m| [letter.year() - 1, letter.year()].map(|y| month_end(y, *m)));
    let due = |end: &NaiveDate| {
        due_dates(form, *end).iter().any(|d| d.due < letter && (letter - d.due).num_days() <= RECENT_DAYS)
    };
    ends.flatten().filter(due).max()
}

fn add_business_days(from: NaiveDate, n: u32) -> NaiveDate {
    from.iter_days().skip(1).filter(|d| is_business_day(*d)).take(n as usize).last().unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    /// Checks the derived date of a kind; `range` is `2025-02-25` or `2025-02-25..2025-03-12`.
    fn check(kind: EventKind, basis: Basis, report: Option<(&str, &str)>, letter: &str, what: &str, range: &str) {
        let reports: Vec<OverdueReport> = report
            .map(|(form, end)| OverdueReport { form: form.to_owned(), period_end: Some(date(end)) })
            .into_iter()
            .collect();
        let facts = Facts {
            kind,
            exchange: Exchange::Nasdaq,
            bases: &[basis],
            reports: &reports,
            letter: date(letter),
            additional: false,
            stated: &[],
        };
        let found: Vec<String> = derive_deadlines(&facts)
            .iter()
            .filter(|d| serde_json::json!(d.what) == what)
            .map(|d| match d.date_latest {
                Some(latest) => format!("{}..{latest}", d.date),
                None => d.date.to_string(),
            })
            .collect();
        assert!(found.iter().any(|f| f == range), "{letter} {what}: {found:?}, not {range}");
    }

    #[test]
    fn dates_that_companies_stated_come_out_of_the_rules() {
        use Basis::{AnnualMeeting, BidPrice, Equity, LateFiling, MarketValue};
        use EventKind::{DeficiencyNotice, StaffDetermination};
        let k = |end| Some(("10-K", end));
        check(DeficiencyNotice, LateFiling, k("2024-06-30"), "2024-09-17", "plan", "2024-11-18");
        check(DeficiencyNotice, LateFiling, k("2024-06-30"), "2024-09-17", "compliance", "2025-02-25..2025-03-12");
        check(DeficiencyNotice, BidPrice, None, "2019-01-22", "compliance", "2019-07-22");
        check(DeficiencyNotice, BidPrice, None, "2023-09-12", "compliance", "2024-03-11");
        check(DeficiencyNotice, MarketValue, None, "2022-07-22", "compliance", "2023-01-18");
        check(DeficiencyNotice, Equity, None, "2016-05-02", "plan", "2016-06-16");
        check(StaffDetermination, Equity, None, "2009-07-17", "suspension", "2009-07-28");
        check(StaffDetermination, AnnualMeeting, None, "2016-01-06", "suspension", "2016-01-15");
        check(StaffDetermination, BidPrice, None, "2024-09-24", "hearing_request", "2024-10-01");
        check(StaffDetermination, LateFiling, None, "2006-09-14", "other", "2007-03-13");
        check(StaffDetermination, LateFiling, k("2017-06-30"), "2018-03-14", "hearing_request", "2018-03-21");
        check(StaffDetermination, LateFiling, k("2017-06-30"), "2018-03-14", "suspension", "2018-03-23");
        check(StaffDetermination, LateFiling, k("2017-06-30"), "2018-03-14", "other", "2018-04-05");
    }

    #[test]
    fn clocks_that_stood_still_give_a_range() {
        use EventKind::DeficiencyNotice;
        check(DeficiencyNotice, Basis::BidPrice, None, "2020-01-13", "compliance", "2020-07-13..2020-09-28");
    }

    #[test]
    fn what_the_text_states_is_not_derived() {
        let stated = [Deadline::stated(DeadlineKind::HearingRequest, date("2024-10-02"))];
        let facts = Facts {
            kind: EventKind::StaffDetermination,
            exchange: Exchange::Nasdaq,
            bases: &[Basis::BidPrice],
            reports: &[],
            letter: date("2024-09-24"),
            additional: false,
            stated: &stated,
        };
        assert!(derive_deadlines(&facts).iter().all(|d| d.what != DeadlineKind::HearingRequest));
    }

    #[test]
    fn a_letter_on_top_of_others_starts_no_clock_of_its_own_but_the_appeal() {
        let facts = Facts {
            kind: EventKind::StaffDetermination,
            exchange: Exchange::Nasdaq,
            bases: &[Basis::LateFiling],
            reports: &[],
            letter: date("2007-03-02"),
            additional: true,
            stated: &[],
        };
        let found: Vec<(DeadlineKind, NaiveDate)> = derive_deadlines(&facts).iter().map(|d| (d.what, d.date)).collect();
        assert_eq!(found, [(DeadlineKind::HearingRequest, date("2007-03-09"))]);
    }

    #[test]
    fn the_report_that_fell_due_before_a_letter_covers_its_period() {
        let check = |form, letter, year_end, expected: Option<&str>| {
            assert_eq!(late_period(form, date(letter), year_end), expected.map(date), "{form} {letter}");
        };
        check("10-Q", "2009-08-18", 12, Some("2009-06-30"));
        check("10-K", "2006-04-18", 12, Some("2005-12-31"));
        check("10-K", "2006-10-02", 6, Some("2006-06-30"));
        check("6-K", "2024-01-03", 12, Some("2023-06-30"));
        check("10-Q", "2009-07-20", 12, None);
        check("11-K", "2009-07-20", 12, None);
    }

    #[test]
    fn due_dates_follow_the_classes_of_filers() {
        let due = |form, end| -> Vec<String> {
            due_dates(form, date(end)).iter().map(|d| format!("{} {}", d.due, d.with_grace)).collect()
        };
        assert_eq!(due("10-K", "2002-12-31"), ["2003-03-31 2003-04-15"]);
        assert_eq!(
            due("10-K", "2006-12-31"),
            ["2007-04-02 2007-04-17", "2007-03-16 2007-04-02", "2007-03-01 2007-03-16"]
        );
        assert_eq!(due("10-Q", "2006-06-30"), ["2006-08-14 2006-08-21", "2006-08-09 2006-08-14"]);
        assert_eq!(due("20-F", "2022-12-31"), ["2023-05-01 2023-05-16"]);
        assert_eq!(due("11-K", "2022-12-31"), Vec::<String>::new());
    }
}
