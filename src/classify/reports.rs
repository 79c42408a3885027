//! SEC reports a text names, and the end of the period each one covers.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};

use super::dates::{DateMention, head, month_number, tail};
use crate::calendar::month_end;

/// A mention of a periodic report, by byte offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportMention {
    pub start: usize,
    pub form: String,
    pub period_end: Option<NaiveDate>,
    hint: Hint,
}

impl ReportMention {
    /// "The June 10-Q": the month tells the period whatever the fiscal year is.
    pub fn is_named_by_month(&self) -> bool {
        matches!(self.hint, Hint::Month(_))
    }
}

/// Fiscal quarters of one number end at most so many days apart, with companies that count weeks.
pub const WEEK_SLACK: i64 = 10;

/// What is said of a period whose end is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    None,
    Year(i32),
    Quarter(u32, Option<i32>),
    Month(u32),
}

pattern!(FORM, r"(?i)\b(10-?KSB|10-?QSB|10-?KT|10-?K405|10-?K|10-?Q|20-?F|40-?F|6-?K|11-?K|N-?CSR)(?:/A|s)?\b");

pattern!(
    PERIOD_WORD,
    r"(?i)\b(?:(?:ended|ending)(?: on)?|end of|as of|(?:10-?[kq]\w*|20-f) (?:for|of|at)|(?:year|quarter|period|months|weeks)(?:s)?(?: of| to)?)\s*$"
);

pattern!(
    LIST_JOIN,
    r"(?i)^\s*(?:,|and|or|, and|,? respectively|;)*\s*(?:for the )?(?:(?:fiscal )?(?:quarter|year|period)s? ended )?$"
);

pattern!(
    QUARTER,
    r"(?i)\b(first|second|third|fourth)[\s-](?:fiscal )?quarter(?: of (?:fiscal (?:year )?)?((?:19|20)\d\d))?"
);

pattern!(YEAR, r"(?i)(?:\b(?:for|fiscal|year|fy|its|the)\s{1,2}|^\s*)((?:19|20)\d\d)\b");

pattern!(YEAR_BEFORE, r"(?i)\b((?:19|20)\d\d)\s(?:annual report on )?(?:form )?$");

pattern!(
    MONTH_BEFORE,
    r"(?i)\b(january|february|march|april|may|june|july|august|september|october|november|december)\s(?:form )?$"
);

/// Finds the reports named in one sentence; `dates` are the dates of that sentence.
pub fn find_reports(text: &str, dates: &[DateMention]) -> Vec<ReportMention> {
    let forms: Vec<(usize, usize, String)> = FORM
        .captures_iter(text)
        .map(|c| (c.get(1).map_or(0, |m| m.start()), c.get(0).map_or(0, |m| m.end()), canonical(&c[1])))
        .collect();
    let mut reports = Vec::new();
    for (i, (start, end, form)) in forms.iter().enumerate() {
        let until = forms.get(i + 1).map_or(text.len(), |next| next.0);
        let mut periods = periods_after(text, dates, *end, until);
        if periods.is_empty() && i == 0 {
            // "For the quarter ended June 30 the report on Form 10-Q": the period can stand before the form.
            periods = periods_before(text, dates, *start);
        }
        if periods.is_empty() {
            let hint = hint(text, *start, *end, until);
            reports.push(ReportMention { start: *start, form: form.clone(), period_end: None, hint });
        }
        for period in periods {
            reports.push(ReportMention {
                start: *start,
                form: form.clone(),
                period_end: Some(period),
                hint: Hint::None,
            });
        }
    }
    if forms.is_empty() {
        reports.extend(find_bare(text, dates));
    }
    reports
}

/// The form of a report that is called by no form: "our annual report is late".
pub const ANNUAL: &str = "annual report";
/// As [`ANNUAL`], for a quarter.
pub const QUARTERLY: &str = "quarterly report";

/// "Our annual report, which covers the year that ended on September 30": a report without its form.
fn find_bare(text: &str, dates: &[DateMention]) -> Option<ReportMention> {
    pattern!(
        BARE,
        r"(?i)\b(?:(?P<year>annual report)|(?P<quarter>quarterly report|(?:first|second|third)[- ]quarter report|report for the (?:first|second|third) quarter))s?\b"
    );
    let found = BARE.captures(text)?;
    // Group 0 always takes part in a match.
    let whole = found.get(0).expect("group 0 is the whole match");
    let form = if found.name("year").is_some() { ANNUAL } else { QUARTERLY };
    let near = dates.iter().find(|d| d.start >= whole.end() && d.start - whole.end() < 90 && is_period_end(text, d));
    let hint = if near.is_some() { Hint::None } else { hint(text, whole.start(), whole.start(), text.len()) };
    Some(ReportMention { start: whole.start(), form: form.to_owned(), period_end: near.map(|d| d.date), hint })
}

/// The month in which fiscal years end, as the known reports show it or the text says it; December where neither does.
pub fn fiscal_year_end(known: &[(usize, ReportMention)], text: &str) -> u32 {
    pattern!(
        ENDS,
        r"(?i)\bfiscal year(?: \d{4})?(?: of [^;]{1,80}?)? (?:ends|ending|ended)(?: on)?(?: the (?:last|first) \w+ (?:of|in))? (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*(?:\.? (\d{1,2}))?"
    );
    let annual = |form: &str| matches!(form, "10-K" | "10-KSB" | "20-F" | "40-F" | "10-K405");
    let mut ends = known.iter().filter(|(_, k)| annual(&k.form)).filter_map(|(_, k)| k.period_end);
    let told = || {
        let found = ENDS.captures_iter(text).last()?;
        let day = found.get(2).and_then(|day| day.as_str().parse().ok()).unwrap_or(28);
        Some(month_meant(month_number(&found[1])?, day))
    };
    ends.next_back().map(end_month).or_else(told).unwrap_or(12)
}

/// The month in which a fiscal quarter ends.
fn quarter_month(quarter: u32, year_end: u32) -> u32 {
    (year_end + 3 * quarter - 1) % 12 + 1
}

/// The month a period belongs to: one that ends in the first days of a month belongs to the month before.
fn end_month(end: NaiveDate) -> u32 {
    month_meant(end.month(), end.day())
}

fn month_meant(month: u32, day: u32) -> u32 {
    if day <= WEEK_OVER { (month + 10) % 12 + 1 } else { month }
}

/// A fiscal year of whole weeks ends up to so many days into the next month.
const WEEK_OVER: u32 = 7;

/// The known period of a form that ends within days of a guessed one: companies that count weeks end elsewhere.
pub fn nearest_known(form: &str, end: NaiveDate, known: &[(usize, ReportMention)]) -> NaiveDate {
    let of_form = known.iter().filter(|(_, k)| k.form == form).filter_map(|(_, k)| k.period_end);
    let near = of_form.filter(|k| (*k - end).num_days().abs() <= WEEK_SLACK);
    near.min_by_key(|k| (*k - end).num_days().abs()).unwrap_or(end)
}

/// True if a text can name a fiscal period.
pub fn names_period(text: &str) -> bool {
    pattern!(PERIOD, r"(?i)\b(?:quarter|year|months|weeks|period)s?\b");
    PERIOD.is_match(text)
}

/// Periods told without a form: a quarter belongs to a 10-Q, a year to an annual report.
pub fn find_periods(text: &str, dates: &[DateMention]) -> Vec<ReportMention> {
    pattern!(
        UNIT,
        r"(?i)\b(quarter|three months|thirteen weeks|(?:fiscal |financial )?year|twelve months)(?:\sof(?: \w+){1,4})?(?:,? (?:which|that))?,?\s(?:period )?(?:ended|ending)\s(?:on )?$"
    );
    let mut found = Vec::new();
    for date in dates {
        let Some(unit) = UNIT.captures(tail(&text[..date.start], 70)) else { continue };
        let year = unit[1].to_ascii_lowercase().ends_with("year") || unit[1].eq_ignore_ascii_case("twelve months");
        let forms: &[&str] = if year { &["10-K", "20-F"] } else { &["10-Q"] };
        found.extend(forms.iter().map(|form| ReportMention {
            start: date.start,
            form: (*form).to_owned(),
            period_end: Some(date.date),
            hint: Hint::None,
        }));
    }
    found
}

/// True if the date at `date` ends a fiscal period.
pub fn is_period_end(text: &str, date: &DateMention) -> bool {
    // A "compliance period ending on" a day is none of the company's books.
    pattern!(
        OF_GRACE,
        r"(?i)\b(?:compliance|cure|grace|exception|extension|notice|waiver|stay) period\b[^.;,]{0,20}$|\b(?:days|stay|suspension|delisting),? (?:ending|ended)(?: on)? (?:\w+day,? )?$|\b(?:12b-25|extension|extended|grace)\b[^.;,]{0,30}(?:ended|ending|expired)(?: on)? (?:\w+day,? )?$"
    );
    // "The third quarter of its fiscal year ending on" a day: the quarter ends on another.
    pattern!(
        OF_YEAR,
        r"(?i)\bquarter of (?:its|the|our|that) (?:\w+ )?(?:fiscal |financial )?year (?:ended|ending)(?: on)?\s$"
    );
    let before = &text[..date.start];
    if OF_YEAR.is_match(tail(before, 70)) {
        return false;
    }
    PERIOD_WORD.is_match(tail(before, 30)) && !OF_GRACE.is_match(tail(before, 70))
}

/// Fills in the periods of short mentions from the full ones of the same document.
///
/// `known` are the full mentions with the position of their sentence, `at` is the position of the short one.
/// `year_end` is the month in which fiscal years end.
pub fn resolve(
    report: &ReportMention,
    at: usize,
    known: &[(usize, ReportMention)],
    year_end: u32,
) -> Option<NaiveDate> {
    if report.period_end.is_some() {
        return report.period_end;
    }
    let same: BTreeSet<NaiveDate> =
        known.iter().filter(|(_, k)| k.form == report.form).filter_map(|(_, k)| k.period_end).collect();
    match report.hint {
        // A fiscal year is named after the calendar year in which most of it falls.
        Hint::Year(year) => {
            same.iter().rev().find(|d| d.year() == year || (d.year() == year + 1 && d.month() <= 2)).copied()
        }
        Hint::Quarter(quarter, year) => {
            let month = quarter_month(quarter, year_end);
            let fits = |d: &&NaiveDate| {
                let year_named = if month > year_end { d.year() + 1 } else { d.year() };
                year.is_none_or(|y| y == year_named) && end_month(**d) == month
            };
            same.iter().rev().find(fits).copied()
        }
        Hint::Month(month) => same.iter().rev().find(|d| d.month() == month).copied(),
        Hint::None => {
            let mut told = known.iter().filter(|(i, k)| *i <= at && k.form == report.form);
            let next = known.iter().find(|(i, k)| *i > at && k.form == report.form);
            told.next_back().or(next.filter(|_| same.len() == 1)).and_then(|(_, k)| k.period_end)
        }
    }
}

/// True if a mention says nothing of its period and none of its form was told before: one told later may be another.
pub fn is_first_of_form(report: &ReportMention, at: usize, known: &[(usize, ReportMention)]) -> bool {
    report.hint == Hint::None
        && report.period_end.is_none()
        && !known.iter().any(|(i, k)| *i <= at && k.form == report.form)
}

/// End of a period named only by its month ("the June 10-Q"), its number or its year, told from the day of the report itself and
/// the month in which fiscal years end.
pub fn guess(report: &ReportMention, reference: Option<NaiveDate>, year_end: u32) -> Option<NaiveDate> {
    let reference = reference?;
    let last = |month: u32| {
        let this = month_end(reference.year(), month)?;
        if this < reference { Some(this) } else { month_end(reference.year() - 1, month) }
    };
    // The end of the fiscal quarter of this number that came last.
    let quarter = |quarter: u32| last(quarter_month(quarter, year_end));
    match report.hint {
        Hint::Month(month) => last(month),
        Hint::Quarter(number @ 1..=3, None) => quarter(number),
        Hint::Quarter(number @ 1..=3, Some(year)) => {
            let month = quarter_month(number, year_end);
            month_end(if month > year_end { year - 1 } else { year }, month)
        }
        Hint::Year(year) if report.form.starts_with("10-K") || matches!(report.form.as_str(), "20-F" | "40-F") => {
            month_end(year, year_end).filter(|end| *end < reference)
        }
        _ => None,
    }
}

fn periods_after(text: &str, dates: &[DateMention], from: usize, until: usize) -> Vec<NaiveDate> {
    let mut periods = Vec::new();
    let mut last_end = None;
    for date in dates.iter().filter(|d| d.start >= from && d.end <= until) {
        let listed = last_end.is_some_and(|end: usize| LIST_JOIN.is_match(&text[end.min(date.start)..date.start]));
        if listed || (periods.is_empty() && date.start - from < 110 && is_period_end(text, date)) {
            periods.push(date.date);
            last_end = Some(date.end);
        } else if !periods.is_empty() {
            break;
        }
    }
    periods
}

fn periods_before(text: &str, dates: &[DateMention], start: usize) -> Vec<NaiveDate> {
    let near = dates.iter().filter(|d| d.end <= start && start - d.end < 60 && is_period_end(text, d));
    near.filter(|d| !text[d.end..start].contains(['.', ';', ','])).map(|d| d.date).collect()
}

fn hint(text: &str, start: usize, end: usize, until: usize) -> Hint {
    let (before, after) = (tail(&text[..start], 30), head(&text[end..until.max(end)], 60));
    if let Some(number) = MONTH_BEFORE.captures(before).and_then(|c| month_number(&c[1])) {
        return Hint::Month(number);
    }
    if let Some(c) = QUARTER.captures(after).or_else(|| QUARTER.captures(before)) {
        let number = match c[1].to_ascii_lowercase().as_str() {
            "first" => 1,
            "second" => 2,
            "third" => 3,
            _ => 4,
        };
        return Hint::Quarter(number, c.get(2).and_then(|y| y.as_str().parse().ok()));
    }
    let year = YEAR_BEFORE.captures(before).or_else(|| YEAR.captures(after));
    match year.and_then(|c| c[1].parse().ok()) {
        Some(year) => Hint::Year(year),
        None => Hint::None,
    }
}

fn canonical(form: &str) -> String {
    let upper = form.to_ascii_uppercase();
    match upper.strip_prefix("10").or_else(|| upper.strip_prefix("11")) {
        Some(rest) => format!("{}-{}", &upper[..2], rest.trim_start_matches('-')),
        None => match upper.as_str() {
            "20F" => "20-F".to_owned(),
            "40F" => "40-F".to_owned(),
            "6K" => "6-K".to_owned(),
            "NCSR" => "N-CSR".to_owned(),
            _ => upper,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::dates::find_dates;

    fn check(text: &str, expected: &[&str]) {
        let dates = find_dates(text, None, None);
        let found: Vec<String> = find_reports(text, &dates)
            .iter()
            .map(|r| r.period_end.map_or_else(|| r.form.clone(), |d| format!("{} {d}", r.form)))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn periods_follow_their_form() {
        check("its Form 10-K for the fiscal year ended December 31, 2006.", &["10-K 2006-12-31"]);
        check(
            "Forms 10-Q for the fiscal quarters ended June 30, 2006 and September 30, 2006 and the 10-K for 2006",
            &["10-Q 2006-06-30", "10-Q 2006-09-30", "10-K"],
        );
        check("for the quarter ended June 30, 2009 on Form 10-Q", &["10-Q 2009-06-30"]);
        check("Form 6-K for the six months ended June 30, 2023", &["6-K 2023-06-30"]);
    }

    #[test]
    fn a_filing_date_is_no_period() {
        check("the Form 10-Q dated May 8, 2006", &["10-Q"]);
        check("the Form 10-K filed on March 14, 2007", &["10-K"]);
    }

    #[test]
    fn short_mentions_take_the_period_of_full_ones() {
        let text = "the Form 10-K for the year ended December 31, 2006; the 2006 Form 10-K; the Form 10-Q for the first quarter";
        let reports = find_reports(text, &find_dates(text, None, None));
        let known: Vec<(usize, ReportMention)> = vec![(0, reports[0].clone())];
        assert_eq!(resolve(&reports[1], 0, &known, 12), "2006-12-31".parse().ok());
        assert_eq!(resolve(&reports[2], 0, &known, 12), None);
    }
}
