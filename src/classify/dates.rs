//! Dates as filings write them: with and without a year, in lists, as weekdays told from the dateline.

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// A date found in a text, by byte offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateMention {
    pub start: usize,
    pub end: usize,
    pub date: NaiveDate,
    /// True if the text itself gives the year.
    pub has_year: bool,
}

/// Days by which two dates of one report may stand apart before they tell of different things.
const NEAR_DAYS: i64 = 3;

pattern!(
    DATE,
    r"(?ix)
        \b(?P<m1>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|(?-i:May|MAY)|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?
          \s{1,3}(?P<d1>\d{1,2})(?:st|nd|rd|th)?\b (?:,?\s{0,3}(?P<y1>(?:19|20)\d\d)\b)?
        | \b(?P<d2>\d{1,2})(?:st|nd|rd|th)?\s(?:of\s)?(?P<m2>january|february|march|april|(?-i:May|MAY)|june|july|august|sept|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sep|oct|nov|dec)\b\.?(?:,?\s(?P<y2>(?:19|20)\d\d)\b)?
        | \b(?P<y3>(?:19|20)\d\d)-(?P<m3>\d\d)-(?P<d3>\d\d)\b
        | \b(?P<m4>\d{1,2})/(?P<d4>\d{1,2})/(?P<y4>(?:19|20)?\d\d)\b
        | \b(?P<day>yesterday|(?:last|on|this\spast)\s(?:last\s)?(?P<wd>monday|tuesday|wednesday|thursday|friday))\b
        "
);

// Stands in every date without a number.
pattern!(DAY_WORD, r"(?i)yesterday|(?:mon|tues|wednes|thurs|fri)day");

// The day of the release itself, where words say that something came on it.
pattern!(
    TODAY,
    r"(?i)\b(?:was|were|received|notified|informed|advised|told|sent|arrived|came|delivered|reached (?:it|us|the company)) (?P<a>(?:earlier |late )?today|this morning)\b|\b(?P<b>today|this morning) (?:received|was|were|notified|informed)\b"
);

// One of these is in whatever the one above finds, and they are looked for in less time.
pattern!(TODAY_WORD, r"(?i)today|this morning");

pattern!(IN_YEAR, r"(?i)^\W*(?:in|during|back in) ((?:19|20)\d\d),? ");
pattern!(OF_THAT_YEAR, r"(?i)^,? of (?:that|the same) year\b");
pattern!(YEAR, r"\b(?:19|20)\d\d\b");

// ", Friday, December 15": the day itself follows.
pattern!(
    WEEKDAY_NEXT,
    r"(?i)^,? (?:mon|tues|wednes|thurs|fri|satur|sun)day,? (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
);

// Days told from the one named last.
pattern!(
    SAME_DAY,
    r"(?i)\b(?:(?P<same>(?:the|that) same (?:day|date|morning|afternoon|evening)|(?:opening|open|close) of (?:business|trading) on that (?:day|date))|(?P<next>(?:the|on the) (?:next|following) (?:business )?(?:day|morning)|the (?:day|morning) (?:after|following)|one day later|a day later))\b"
);

// As with the words of today.
pattern!(SAME_DAY_WORD, r"(?i)same|on that|next|following|after|later");

pattern!(
    DATE_NEXT,
    r"(?i)^,?(?:\s(?:morning|afternoon|evening|night),?)?\s{1,2}(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w{0,6}\.?\s\d"
);

// "The September 10-Q" and "its March 8-K" name forms.
pattern!(FORM_AFTER, r"(?i)^ ?- ?[kqf]\b");

pattern!(LIST_GAP, r"(?i)^(?:\s*,)?\s*(?:and|or|&|,)?\s*(?:on|of|dated|until)?\s*$");

pattern!(BARE_DAY, r"(?i)^ (?:and|or|&) (\d{1,2}), ((?:19|20)\d\d)\b");

/// Finds every date of `text` as [`find_dates`] does. "The same day" and "the day after" count from the date told last, in `text` or, as
/// `last`, before it.
pub fn find_dates_after(
    text: &str,
    reference: Option<NaiveDate>,
    told_on: Option<NaiveDate>,
    last: Option<NaiveDate>,
) -> Vec<DateMention> {
    let mut dates = find_dates(text, reference, told_on);
    let same_days = SAME_DAY_WORD.is_match(text).then(|| SAME_DAY.captures_iter(text));
    for captures in same_days.into_iter().flatten() {
        // Group 0 always takes part in a match.
        let whole = captures.get(0).expect("group 0 is the whole match");
        if DATE_NEXT.is_match(&text[whole.end()..]) || WEEKDAY_NEXT.is_match(&text[whole.end()..]) {
            continue;
        }
        let before = dates.iter().rfind(|d| d.end <= whole.start()).map(|d| d.date).or(last);
        let step = u64::from(captures.name("next").is_some());
        if let Some(date) = before.and_then(|d| d.checked_add_days(Days::new(step))) {
            dates.push(mention(whole.start(), whole.end(), date, true));
        }
    }
    dates.sort_by_key(|d| d.start);
    dates
}

/// Finds every date of `text`. A date without a year takes it from the list it stands in, from a date said just before,
/// or else is the last such day not after `reference` (the next one if a word like "until" stands before it).
/// Weekdays and "yesterday" count back from `told_on`.
pub fn find_dates(text: &str, reference: Option<NaiveDate>, told_on: Option<NaiveDate>) -> Vec<DateMention> {
    let mut found: Vec<(DateMention, Option<(u32, u32)>)> = Vec::new();
    // "In 2005, staff notified it on April 4 and again on May 18": the year is said once for all.
    let opening_year: Option<i32> = IN_YEAR.captures(text).and_then(|c| c[1].parse().ok());
    // All of them have a number or the name of a day.
    let can_be_there = text.bytes().any(|byte| byte.is_ascii_digit()) || DAY_WORD.is_match(text);
    for captures in can_be_there.then(|| DATE.captures_iter(text)).into_iter().flatten() {
        // Group 0 always takes part in a match.
        let whole = captures.get(0).expect("group 0 is the whole match");
        if FORM_AFTER.is_match(&text[whole.end()..]) {
            continue;
        }
        let named = |name: &str| captures.name(name).map(|m| m.as_str());
        let first = |names: [&str; 4]| names.iter().find_map(|n| captures.name(n)).map(|m| m.as_str());
        if named("day").is_some() {
            // "On Monday, August 17": the date that follows says it better.
            if DATE_NEXT.is_match(&text[whole.end()..]) {
                continue;
            }
            if let Some(date) = told_on.and_then(|r| relative_day(r, named("wd"))) {
                found.push((mention(whole.start(), whole.end(), date, true), None));
            }
            continue;
        }
        let month = first(["m1", "m2", "m3", "m4"]).and_then(month_number);
        let day = first(["d1", "d2", "d3", "d4"]).and_then(|d| d.parse::<u32>().ok());
        let (Some(month), Some(day)) = (month, day) else { continue };
        match first(["y1", "y2", "y3", "y4"]).and_then(full_year) {
            Some(year) => {
                let Some(date) = NaiveDate::from_ymd_opt(year, month, day) else { continue };
                found.push((mention(whole.start(), whole.end(), date, true), None));
            }
            None if OF_THAT_YEAR.is_match(&text[whole.end()..]) => {
                // "In 2018 it wrote to us, by letter of November 20 of that year".
                let year = YEAR.find_iter(&text[..whole.start()]).last().and_then(|y| y.as_str().parse().ok());
                let Some(date) = year.and_then(|year| NaiveDate::from_ymd_opt(year, month, day)) else { continue };
                found.push((mention(whole.start(), whole.end(), date, true), None));
            }
            None if opening_year.is_some() => {
                let date = opening_year.and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
                let Some(date) = date else { continue };
                found.push((mention(whole.start(), whole.end(), date, true), None));
            }
            None => {
                // The year 2000 is a leap year: it admits every day of every month.
                let Some(date) = NaiveDate::from_ymd_opt(2000, month, day) else { continue };
                found.push((mention(whole.start(), whole.end(), date, false), Some((month, day))));
            }
        }
        // "August 18 and 21, 2023": the second day borrows the month, the first one the year.
        if let Some(bare) = BARE_DAY.captures(&text[whole.end()..]) {
            let year = bare[2].parse().ok();
            let second = year.and_then(|y| NaiveDate::from_ymd_opt(y, month, bare[1].parse().ok()?));
            if let Some(date) = second {
                let end = whole.end() + bare[0].len();
                found.push((mention(end - bare[0].len() + 5, end, date, true), None));
            }
        }
    }
    for captures in TODAY_WORD.is_match(text).then(|| TODAY.captures_iter(text)).into_iter().flatten() {
        let word = captures.name("a").or(captures.name("b"));
        if let (Some(word), Some(date)) = (word, told_on) {
            found.push((mention(word.start(), word.end(), date, true), None));
        }
    }
    found.sort_by_key(|(m, _)| m.start);
    found.dedup_by(|later, earlier| later.0.start < earlier.0.end);
    resolve_years(text, found, reference)
}

fn mention(start: usize, end: usize, date: NaiveDate, has_year: bool) -> DateMention {
    DateMention { start, end, date, has_year }
}

fn resolve_years(
    text: &str,
    mut found: Vec<(DateMention, Option<(u32, u32)>)>,
    reference: Option<NaiveDate>,
) -> Vec<DateMention> {
    // From the back, so that a list takes the year its last member gives.
    for i in (0..found.len()).rev() {
        let Some((month, day)) = found[i].1 else { continue };
        let gap_is_list = found.get(i + 1).is_some_and(|(next, open)| {
            open.is_none() && LIST_GAP.is_match(&text[found[i].0.end..next.start.max(found[i].0.end)])
        });
        if gap_is_list {
            let next = found[i + 1].0.date;
            let same_year = NaiveDate::from_ymd_opt(next.year(), month, day);
            if let Some(date) = same_year.filter(|d| *d <= next) {
                found[i].0.date = date;
                found[i].1 = None;
            }
        }
    }
    let mut previous: Option<NaiveDate> = None;
    let mut resolved = Vec::with_capacity(found.len());
    for (mut mention, open) in found {
        if let Some((month, day)) = open {
            let direction = direction(&text[..mention.start]);
            let forward = direction == Ahead::Yes;
            let by_reference = reference.and_then(|r| nearest(r, month, day, direction));
            let by_previous = previous.and_then(|p| nearest(p, month, day, Ahead::Yes)).filter(|d| {
                let limit = reference.map_or(NaiveDate::MAX, |r| r + Days::new(400));
                previous.is_some_and(|p| (*d - p).num_days() < 300) && *d <= limit
            });
            // A year said shortly before rules, unless the day then lies after the report although the words look back.
            let date = match (by_previous, by_reference, reference) {
                (Some(p), Some(r), Some(limit)) if forward || p <= limit => {
                    if previous.is_some_and(|q| (limit - q).num_days().abs() < 330) { r } else { p }
                }
                (_, Some(r), _) => r,
                (Some(p), None, _) => p,
                _ => continue,
            };
            mention.date = date;
        }
        previous = Some(mention.date);
        resolved.push(mention);
    }
    resolved
}

/// Whether the words before a day look ahead, back, or neither way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ahead {
    Yes,
    No,
    Open,
}

/// A day without a year that is this near is the next one, not that of last year.
const SOON_DAYS: i64 = 60;

/// A day said to be a limit can lie so far back: "it could not file by March 31".
const PAST_LIMIT_DAYS: i64 = 45;

fn direction(before: &str) -> Ahead {
    pattern!(
        BACK,
        r"(?i)\b(?:ended|ending|since|received|dated|filed|announced|reported|disclosed|notified|informed|issued|held|wrote|told|letters?|notices?|was|were|had|after|from|last)\b[^.;]{0,30}$"
    );
    if looks_forward(before) {
        Ahead::Yes
    } else if BACK.is_match(tail(before, 60)) {
        Ahead::No
    } else {
        Ahead::Open
    }
}

/// True if the words before a date announce a time to come.
fn looks_forward(before: &str) -> bool {
    pattern!(
        FORWARD,
        r"(?i)\b(?:until|by|before|no later than|not later than|through|till|up to|set for|scheduled for|(?:open(?:ing)?|start|commencement)(?: of (?:business|trading|the market))?(?: on)?|take place(?: on)?|effective(?: on)?|or before)\s(?:today,?\s|tomorrow,?\s)?(?:\w+day,?\s)?$"
    );
    FORWARD.is_match(tail(before, 40))
}

/// At most `n` bytes from the end of `text`, cut at a character.
pub fn tail(text: &str, n: usize) -> &str {
    let mut from = text.len().saturating_sub(n);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// At most `n` bytes from the start of `text`, cut at a character.
pub fn head(text: &str, n: usize) -> &str {
    let mut to = n.min(text.len());
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    &text[..to]
}

fn nearest(reference: NaiveDate, month: u32, day: u32, direction: Ahead) -> Option<NaiveDate> {
    let years = [reference.year() - 1, reference.year(), reference.year() + 1];
    let mut days = years.iter().filter_map(|y| NaiveDate::from_ymd_opt(*y, month, day));
    let ahead = days.clone().find(|d| (0..=SOON_DAYS).contains(&(*d - reference).num_days()));
    if let (Ahead::Open, Some(soon)) = (direction, ahead) {
        return Some(soon);
    }
    if direction == Ahead::Yes {
        days.find(|d| (*d - reference).num_days() >= -PAST_LIMIT_DAYS)
    } else {
        days.rfind(|d| (*d - reference).num_days() <= NEAR_DAYS)
    }
}

fn relative_day(reference: NaiveDate, weekday: Option<&str>) -> Option<NaiveDate> {
    let Some(name) = weekday else { return reference.pred_opt() };
    let wanted: Weekday = name.parse().ok()?;
    // "On Friday" in a Friday's release is that day; "last Friday" is rare enough to follow the same rule.
    (0..7).map(|back| reference - Days::new(back)).find(|d| d.weekday() == wanted)
}

/// The number of a month by its number or the first letters of its name.
pub fn month_number(text: &str) -> Option<u32> {
    if let Ok(n) = text.parse() {
        return Some(n);
    }
    const NAMES: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let lower = text.get(..3)?.to_ascii_lowercase();
    NAMES.iter().zip(1..).find(|(n, _)| **n == lower).map(|(_, number)| number)
}

fn full_year(text: &str) -> Option<i32> {
    let n: i32 = text.parse().ok()?;
    Some(match n {
        0..=69 => 2000 + n,
        70..=99 => 1900 + n,
        _ => n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, reference: &str, expected: &[&str]) {
        let reference = reference.parse().ok();
        let found: Vec<String> = find_dates(text, reference, reference).iter().map(|m| m.date.to_string()).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn dates_are_read_in_every_spelling() {
        check("on March 2, 2007 and 14 June 2008", "", &["2007-03-02", "2008-06-14"]);
        check("Sept. 17, 2024; 03/08/2007; 2024-07-09", "", &["2024-09-17", "2007-03-08", "2024-07-09"]);
        check("May 3rd, 2024", "", &["2024-05-03"]);
        check("In 2005, staff wrote on April 4 and May 18", "2006-05-19", &["2005-04-04", "2005-05-18"]);
        check("February 30, 2024", "", &[]);
        check("in 2018 it wrote, by letter of May 3 of that year", "2023-11-27", &["2018-05-03"]);
    }

    #[test]
    fn a_year_comes_from_the_list_or_the_report() {
        check("on March 25 and April 8, 2011", "2011-05-04", &["2011-03-25", "2011-04-08"]);
        check("dated August 18 and 21, 2023", "2023-09-06", &["2023-08-18", "2023-08-21"]);
        check("on November 29", "2007-01-04", &["2006-11-29"]);
        check("until February 10", "2006-11-20", &["2007-02-10"]);
        check(
            "On March 14, 2011 it asked. The visit was made on March 18",
            "2011-05-04",
            &["2011-03-14", "2011-03-18"],
        );
    }

    #[test]
    fn weekdays_count_back_from_the_report() {
        check("was told on Friday that", "2007-02-05", &["2007-02-02"]);
        check("said yesterday", "2007-02-05", &["2007-02-04"]);
        check("on Monday, August 17 it", "2009-08-20", &["2009-08-17"]);
        check("on Friday", "", &[]);
        check("was today notified", "2007-02-05", &["2007-02-05"]);
        check("said today that", "2007-02-05", &[]);
    }

    #[test]
    fn words_that_only_look_like_dates_are_none() {
        check("it may 10 times; in March of the year; rule 12b-25; 52 weeks", "2009-08-20", &[]);
        check("the September 10-Q, its March 8-K and the June 20-F", "2009-08-20", &[]);
    }
}
