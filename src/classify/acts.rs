//! Acts of an exchange told in a document, each with its date, and whether it is the document's own news.

use std::ops::Range;

use chrono::NaiveDate;

use super::dates::{find_dates, head, tail};
use super::passages::{find_exhibit_letter, find_passage_acts};
use super::phrases::{Cue, Signal};
use super::segment::Zone;
use super::sentences::{Reading, Role, RoleDate};
use super::{DocumentContext, EventKind, EventStatus, Exchange};
use crate::calendar::business_days_between;

/// One act: an exchange wrote or decided, on a day or undated.
#[derive(Debug, Clone)]
pub struct Act<'p> {
    /// Index of the sentence.
    pub sentence: usize,
    /// Bytes of the sentence that tell of this act and no other.
    pub clause: Range<usize>,
    pub kind: EventKind,
    pub exchange: Exchange,
    pub date: Option<NaiveDate>,
    /// The date is the one the letter bears.
    pub dated: bool,
    pub status: EventStatus,
    pub reason: &'static str,
    pub pattern: &'p str,
}

/// An 8-K is due four business days after the letter; one more is allowed for a filing late in the evening.
pub const FRESH_BUSINESS_DAYS: u32 = 5;
/// Up to here an act that nothing marks as told before still counts as news, reported late.
const DOUBTFUL_BUSINESS_DAYS: u32 = 12;

pattern!(REPORT_DATE, r"(?i)date\s{1,3}of\s{1,3}(?:report|earliest)[^:]{0,60}:?\s{0,3}(.{0,60})");
pattern!(WIRE_FOOTER, r"-0-\s+(\d\d/\d\d/(?:\d{4}|\d\d))");
pattern!(
    RESTATES,
    r"(?i)\bfiled\s(?:only|solely)\b|\b(?:only|sole)\s(?:purpose|change)\b|\bset out again\b|\bnot been brought up to date\b|\bsolely (?:to|for)\b|\bonly in order to\b|\bno other changes?\b|\bdoes not (?:otherwise )?(?:amend|modify|update)\b"
);
// What an amendment sets right, unless it is only its own outer form.
pattern!(
    CORRECTS,
    r"(?i)\b(?:correct(?:s|ed|ing|ion)?|incorrect(?:ly)?|erroneous(?:ly)?|in error|misstated|misprint\w*|typographical)\b"
);
pattern!(
    OUTER_FORM,
    r"(?i)\b(?:signatures?|conformed|exhibit (?:index|list|number)|xbrl|inline|cover page|check ?box|formatting|hyperlinks?|consent|auditor's report)\b"
);
pattern!(
    ORIGINAL,
    r"(?i)(?:(?:amend\w*|supplement\w*|updat\w*|correct\w*)[^;]{0,200}?)?(?:current report on )?form 8-k\b[^;]{0,160}?\b(?:filed|dated|furnished|submitted)\b[^;.]{0,120}?\b(?:19|20)\d\d\b"
);
pattern!(PAST_FORM, r"(?i)^(?:10-?[kq]|20-?f|40-?f|s-\d|f-\d|424|def|pre|nt |ars|11-k)");
// Notes to financial statements, by themselves.
pattern!(
    NOTES,
    r"(?i)^\W*(?:notes? \d+\b|\(?\d{1,2}[.)])?\W*(?:subsequent events?\b|notes? \d+\b|notes to (?:the )?(?:consolidated )?financial statements)"
);
pattern!(STAFF_DECIDES, r"(?i)\b(?:staff|department)(?: (?:has|had|have|also|therefore|accordingly|now|thereupon))* $");
pattern!(
    CONTRACT,
    r"(?i)\b(?:shall|hereof|hereunder|hereby|thereof|means any|herein|set forth below|event of default|waiver period|waives?)\b"
);
pattern!(WITHDRAWN, r"(?i)\b(?:withdr[ae]w\w*|cancel\w*|discontinue) (?:[\w']+ ){0,6}?(?:hearing|appeal|request)");
pattern!(NO_PLAN, r"(?i)\bno (?:\w+ ){0,2}?(?:plans?|intention|intent)\b");
pattern!(
    PLANNED,
    r"(?i)\b(?:will|intends?|plans?|expects?|means|going|instructed|today|yesterday|has (?:already |now |also |since |timely |(?:\w+ )?(?:filed|requested|submitted|asked|appealed|lodged))|have (?:\w+ )?(?:filed|requested|submitted|asked|appealed)|is appealing|are appealing|(?:is|are) (?:\w+ )?(?:asking|requesting|applying|going|contesting|seeking)|as a result of the|notice of appeal|has been requested|and (?:will|shall)|enters? (?:into )?the|has (?:resolved|decided) to|has (?:applied|asked) for|to (?:seek|appeal|request))\b"
);

/// The day the document speaks from: its filing date, else the date it bears.
pub fn reference_date(text: &str, context: &DocumentContext) -> Option<NaiveDate> {
    if context.filed.is_some() {
        return context.filed;
    }
    let start = head(text, 6000);
    let footer = WIRE_FOOTER.captures(text).and_then(|c| find_dates(&c[1], None, None).first().map(|d| d.date));
    let dateline = || {
        let early = head(start, 2500);
        find_dates(early, footer, None)
            .into_iter()
            .find(|d| {
                d.has_year && {
                    let after = head(&early[d.end..], 30).trim_start().to_owned();
                    let before = tail(&early[..d.start], 30).to_lowercase();
                    after.starts_with(['-', '/', '(', '\u{2013}', '\u{2014}']) && !before.contains("ended")
                }
            })
            .map(|d| d.date)
    };
    let report = || REPORT_DATE.captures(start).and_then(|c| find_dates(&c[1], None, None).first().map(|d| d.date));
    footer.or_else(dateline).or_else(report)
}

/// The day a release bears, at most a few days before the report that carries it.
pub fn dateline(text: &str, reference: Option<NaiveDate>) -> Option<NaiveDate> {
    let start = head(text, 3000);
    let near = |d: &NaiveDate| reference.is_none_or(|r| (0..=5).contains(&(r - *d).num_days()));
    let ends_line = |end: usize| {
        let after = head(&start[end..], 12).trim_start().to_owned();
        after.is_empty() || after.starts_with(['-', '/', '(', ':', '.'])
    };
    let dates = find_dates(start, reference, None);
    dates.iter().find(|d| near(&d.date) && ends_line(d.end)).map(|d| d.date).or(reference)
}

/// Acts weighed in one document. Real ones tell a few dozen at most; every act is compared with every other, so a
/// document made of nothing else must not take all day.
const MAX_ACTS: usize = 400;

/// Finds the acts of a document in the order they are told.
pub fn find_acts<'p>(
    text: &str,
    sentences: &[Reading<'p>],
    context: &DocumentContext,
    reference: Option<NaiveDate>,
    exhibit_letter: bool,
) -> Vec<Act<'p>> {
    let mut acts = Vec::new();
    for (index, sentence) in sentences.iter().enumerate() {
        if sentence.foreign || !sentence.in_context {
            continue;
        }
        let dated = dated_acts(index, sentence);
        if dated.is_empty() {
            acts.extend(undated_act(index, sentence).map(|act| dated_next(act, sentences)));
        }
        acts.extend(dated);
        acts.extend(company_acts(index, sentence, reference));
        if acts.len() >= MAX_ACTS {
            break;
        }
    }
    let amendment = Amendment::read(text, context, reference);
    judge(text, sentences, &mut acts, context, &amendment, reference);
    if !restates(context, &amendment) {
        let known: Vec<Act> = acts.iter().filter(|act| is_fresh_letter(act)).cloned().collect();
        let told = |act: &Act| amendment.original.is_some_and(|o| act.date.is_some_and(|d| d <= o));
        let letter = if exhibit_letter { find_exhibit_letter(sentences, &acts, reference) } else { None };
        match letter {
            Some(letter) if known.is_empty() => acts.push(letter),
            _ => acts.extend(find_passage_acts(sentences, &known, reference).into_iter().filter(|act| !told(act))),
        }
    }
    acts
}

fn is_fresh_letter(act: &Act) -> bool {
    let company = [EventKind::HearingRequested, EventKind::Anticipated, EventKind::Delisting];
    act.status == EventStatus::New && act.date.is_some() && !company.contains(&act.kind)
}

/// What a report amends and how.
#[derive(Debug, Default)]
struct Amendment {
    is_one: bool,
    /// The day the amended report was filed, where told and nothing of it is corrected: letters up to then were told in it.
    original: Option<NaiveDate>,
    /// It changes nothing of what was told.
    restates: bool,
}

impl Amendment {
    fn read(text: &str, context: &DocumentContext, reference: Option<NaiveDate>) -> Self {
        if !context.is_amendment() {
            return Self::default();
        }
        let start = head(text, 8000);
        // A letter told with a mistake is told anew: whoever was told of it learns what changed, or nothing if nothing did.
        let corrects = start
            .split("\n\n")
            .flat_map(|paragraph| paragraph.split(". "))
            .any(|sentence| CORRECTS.is_match(sentence) && !OUTER_FORM.is_match(sentence));
        if corrects {
            return Self { is_one: true, ..Self::default() };
        }
        Self { is_one: true, original: original_report(text, reference), restates: RESTATES.is_match(start) }
    }
}

/// True for a text that can only retell: a periodic report, or an amendment that changes nothing.
fn restates(context: &DocumentContext, amendment: &Amendment) -> bool {
    context.form.is_some_and(|f| PAST_FORM.is_match(f)) || amendment.restates
}

/// The pattern of a panel's decision of which no more is known than that it was made.
pub const WEAK_PANEL: &str = "panel.writes";

pattern!(PANELS, r"(?i)\bpanel's (?:\w+ )?$");

fn dated_acts<'p>(index: usize, sentence: &Reading<'p>) -> Vec<Act<'p>> {
    // In a block of boilerplate only a letter with its date speaks for the filing.
    let dates: Vec<_> = sentence.letter_dates().collect();
    let mut acts: Vec<Act> = Vec::new();
    for (i, date) in dates.iter().enumerate() {
        let start =
            if i == 0 { 0 } else { split_between(&sentence.text, dates[i - 1].mention.end, date.mention.start) };
        let end = match dates.get(i + 1) {
            Some(next) => split_between(&sentence.text, date.mention.end, next.mention.start),
            None => sentence.text.len(),
        };
        let clause = start..end.max(start);
        let whole = || kind_of(sentence, &(0..sentence.text.len()));
        let last = || acts.last().map(|a| (a.kind, a.pattern));
        let found = kind_of(sentence, &clause).or_else(last).or_else(whole);
        // "Letters of May 2 and June 3": the second date shares all that is said of the first.
        let listed = i > 0 && date.mention.start - dates[i - 1].mention.end < 16;
        let found = if listed { last().filter(|(k, _)| *k != EventKind::DeficiencyNotice).or(found) } else { found };
        let Some((kind, pattern)) = found else { continue };
        // "Called for review the Panel's December 28 decision": the day is that of the decision, not of the review.
        let of_panel = date.role == Role::Dated && PANELS.is_match(tail(&sentence.text[..date.mention.start], 30));
        let is_review = kind == EventKind::CouncilReview;
        let (kind, pattern) =
            if is_review && of_panel { (EventKind::PanelDecision, WEAK_PANEL) } else { (kind, pattern) };
        acts.push(Act {
            sentence: index,
            clause,
            kind,
            exchange: sentence.exchange,
            date: Some(date.mention.date),
            dated: date.role == Role::Dated,
            status: EventStatus::New,
            reason: "",
            pattern,
        });
    }
    acts
}

/// Where the telling of one date ends and that of the next one starts: the last clause end between them.
fn split_between(text: &str, from: usize, to: usize) -> usize {
    let between = &text[from..to.max(from)];
    for mark in ["; ", ", and ", ", which ", ". ", ", but ", " and on ", " and by ", " and in ", ", ", " and "] {
        if let Some(at) = between.rfind(mark) {
            return from + at;
        }
    }
    from
}

/// What a clause tells an exchange did, with the phrase that shows it.
pub fn kind_of<'p>(sentence: &Reading<'p>, clause: &Range<usize>) -> Option<(EventKind, &'p str)> {
    let within = |c: &&Cue| c.start < clause.end && c.end > clause.start || (c.start == 0 && c.end == 0);
    if sentence.has(Signal::Negated) && sentence.letter_dates().count() <= 1 {
        return None;
    }
    let find = |signal: Signal| sentence.cues.iter().filter(within).find(|c| c.signal == signal).map(|c| c.name);
    if find(Signal::Negated).is_some() {
        return None;
    }
    if let Some(name) = find(Signal::CouncilGrant) {
        return Some((EventKind::ExtensionGranted, name));
    }
    if let Some(name) = find(Signal::CouncilReview) {
        return Some((EventKind::CouncilReview, name));
    }
    let strong = sentence.cues.iter().filter(within).find(|c| {
        c.signal == Signal::Additional || (c.signal == Signal::Determination && c.name != "determination.named")
    });
    let by_staff = strong.is_some_and(|c| STAFF_DECIDES.is_match(tail(&sentence.text[..c.start], 50)));
    if let Some(name) = find(Signal::PanelDelist)
        && !by_staff
    {
        return Some((EventKind::PanelDecision, name));
    }
    let panel = find(Signal::Panel);
    let regained = find(Signal::Regained);
    if let Some(name) = find(Signal::PanelGrant)
        && !by_staff
        && regained.is_none_or(|name| name == "regained.closed")
        && find(Signal::Additional).is_none()
    {
        return Some((EventKind::ExtensionGranted, name));
    }
    if let Some(name) = regained
        && strong.is_none()
    {
        return Some((EventKind::ComplianceRegained, name));
    }
    if let (Some(name), Some(_)) = (panel, strong)
        && !by_staff
        && find(Signal::Additional).is_none()
    {
        return Some((EventKind::PanelDecision, name));
    }
    if let Some(cue) = strong {
        return Some((EventKind::StaffDetermination, cue.name));
    }
    if let Some(name) = find(Signal::Extension) {
        return Some((EventKind::ExtensionGranted, name));
    }
    if let Some(name) = panel {
        return Some((EventKind::PanelDecision, name));
    }
    if let Some(name) = find(Signal::Determination) {
        return Some((EventKind::StaffDetermination, name));
    }
    find(Signal::Notice).map(|name| (EventKind::DeficiencyNotice, name))
}

/// A sentence that tells of an act without a day.
fn undated_act<'p>(index: usize, sentence: &Reading<'p>) -> Option<Act<'p>> {
    if sentence.zone == Zone::ForwardLooking {
        return None;
    }
    let clause = 0..sentence.text.len();
    let (kind, pattern) = kind_of(sentence, &clause)?;
    Some(without_date(index, sentence, clause, kind, pattern))
}

/// An act that bears no day; whether it is new is judged later, with the others.
fn without_date<'p>(
    index: usize,
    sentence: &Reading,
    clause: Range<usize>,
    kind: EventKind,
    pattern: &'p str,
) -> Act<'p> {
    Act {
        sentence: index,
        clause,
        kind,
        exchange: sentence.exchange,
        date: None,
        dated: false,
        status: EventStatus::New,
        reason: "",
        pattern,
    }
}

/// What the company itself does or expects: hearing requests, withdrawals, expected notices.
fn company_acts<'p>(index: usize, sentence: &Reading<'p>, reference: Option<NaiveDate>) -> Vec<Act<'p>> {
    if sentence.zone == Zone::ForwardLooking || sentence.has(Signal::Negated) {
        return Vec::new();
    }
    let act = |kind: EventKind, cue: &Cue<'p>| without_date(index, sentence, cue.start..cue.end, kind, cue.name);
    let find = |signal: Signal| sentence.cues.iter().find(|c| c.signal == signal);
    let mut acts = Vec::new();
    if let Some(cue) =
        sentence.cues.iter().filter(|c| c.signal == Signal::Hearing).min_by_key(|c| c.name != "hearing.planned")
    {
        let recent = |d: NaiveDate| reference.is_none_or(|r| business_days_between(d, r, 60) <= FRESH_BUSINESS_DAYS);
        let fresh_day = sentence.dates.iter().any(|d| {
            matches!(d.role, Role::Other | Role::Received)
                && recent(d.mention.date)
                && reference.is_none_or(|r| d.mention.date <= r)
        });
        let stale_day = sentence
            .dates
            .iter()
            .any(|d| matches!(d.role, Role::Other | Role::Received | Role::Dated) && !recent(d.mention.date));
        let planned = sentence.zone == Zone::Headline || {
            let from = cue.start - tail(&sentence.text[..cue.start], 30).len();
            PLANNED.is_match(&sentence.text[from..cue.end])
        };
        let withdrawn = WITHDRAWN.is_match(&sentence.text) || NO_PLAN.is_match(&sentence.text);
        // "Will request a hearing by May 2", told after that day, restates.
        let passed = |d: &RoleDate| d.role == Role::Deadline && reference.is_some_and(|r| d.mention.date < r);
        let stale_day = stale_day || sentence.dates.iter().any(passed);
        if withdrawn {
            // Nothing is asked for any longer.
        } else if fresh_day || (planned && !stale_day && !sentence.has(Signal::History)) {
            acts.push(act(EventKind::HearingRequested, cue));
        }
    }
    if let Some(cue) = find(Signal::Anticipated) {
        acts.push(act(EventKind::Anticipated, cue));
    }
    if let Some(cue) = find(Signal::Delisting) {
        acts.push(act(EventKind::Delisting, cue));
    }
    acts
}

/// Says of each act whether it is news, by its date first and by the words around it second.
fn judge(
    text: &str,
    sentences: &[Reading],
    acts: &mut [Act],
    context: &DocumentContext,
    amendment: &Amendment,
    reference: Option<NaiveDate>,
) {
    let told_late = context.form.map_or_else(|| NOTES.is_match(head(text, 200)), |f| PAST_FORM.is_match(f));
    let lead = sentences.iter().position(|s| s.zone == Zone::Body);
    let reference = reference.or_else(|| latest_act(sentences, acts));
    for act in acts.iter_mut() {
        let sentence = &sentences[act.sentence];
        let reported = matches!((act.date, amendment.original), (Some(date), Some(original)) if date <= original);
        let (status, reason) = if told_late && context.filed.is_none() && act.kind != EventKind::Anticipated {
            (EventStatus::History, "a periodic report retells")
        } else if amendment.restates || reported {
            (EventStatus::History, "an amendment restates an earlier report")
        } else {
            match (act.date, reference) {
                (Some(date), Some(reference)) => {
                    judge_dated(sentence, act, date, reference, amendment.is_one || told_late)
                }
                _ => judge_undated(sentence, act, told_late, lead == Some(act.sentence)),
            }
        };
        act.status = status;
        act.reason = reason;
    }
    if amendment.is_one {
        keep_latest(acts);
    }
}

/// An amendment reports what came since the report it amends: of several letters only the last can be that.
fn keep_latest(acts: &mut [Act]) {
    let latest = acts.iter().filter(|act| act.status == EventStatus::New).filter_map(|act| act.date).max();
    let Some(latest) = latest else { return };
    for act in acts.iter_mut().filter(|act| act.status == EventStatus::New) {
        // The day a letter bears and the day it came are one letter.
        if act.date.is_some_and(|date| (latest - date).num_days() > 2) {
            act.status = EventStatus::History;
            act.reason = "an amendment tells a later letter";
        }
    }
}

/// The day the report was filed that this one amends: letters up to that day were told in it.
fn original_report(text: &str, reference: Option<NaiveDate>) -> Option<NaiveDate> {
    let start = head(text, 8000);
    let found = ORIGINAL.find(start)?;
    let dates = find_dates(found.as_str(), reference, None);
    dates.last().map(|d| d.date).filter(|d| reference.is_none_or(|r| *d < r))
}

/// Without a filing date the latest letter that nothing marks as old sets the day.
fn latest_act(sentences: &[Reading], acts: &[Act]) -> Option<NaiveDate> {
    let fresh = |a: &&Act| history_cue(&sentences[a.sentence], &a.clause).is_none();
    acts.iter().filter(fresh).filter_map(|a| a.date).max()
}

fn judge_dated(
    sentence: &Reading,
    act: &Act,
    date: NaiveDate,
    reference: NaiveDate,
    strict: bool,
) -> (EventStatus, &'static str) {
    let age = business_days_between(date, reference, 60);
    if date > reference && (date - reference).num_days() > 1 {
        return (EventStatus::History, "dated after the report: no letter yet");
    }
    let cue = history_cue(sentence, &act.clause);
    if age <= FRESH_BUSINESS_DAYS {
        return match cue {
            Some(_) if filed_before(sentence, date, reference) => (EventStatus::History, "told in an earlier filing"),
            _ => (EventStatus::New, "dated within five business days of the report"),
        };
    }
    if age <= DOUBTFUL_BUSINESS_DAYS && cue.is_none() && !strict && sentence.has(Signal::News) {
        return (EventStatus::New, "announced late");
    }
    match cue {
        Some(_) => (EventStatus::History, "told as known before"),
        None => (EventStatus::History, "dated long before the report"),
    }
}

/// True if a sentence names a filing made between a letter and this report.
fn filed_before(sentence: &Reading, letter: NaiveDate, reference: NaiveDate) -> bool {
    sentence.dates.iter().any(|d| d.role == Role::Other && d.mention.date >= letter && d.mention.date < reference)
        && sentence.cues.iter().any(|c| c.name == "history.previously")
}

fn judge_undated(sentence: &Reading, act: &Act, told_late: bool, is_lead: bool) -> (EventStatus, &'static str) {
    if told_late && act.kind != EventKind::Anticipated {
        return (EventStatus::History, "a periodic report retells");
    }
    if history_cue(sentence, &act.clause).is_some() {
        return (EventStatus::History, "told as known before");
    }
    if CONTRACT.is_match(&sentence.text) {
        return (EventStatus::History, "words of a contract");
    }
    match act.kind {
        EventKind::HearingRequested | EventKind::Anticipated | EventKind::Delisting => {
            (EventStatus::New, "the company says so now")
        }
        _ if sentence.zone == Zone::Headline => (EventStatus::New, "the headline says so"),
        _ if sentence.has(Signal::News) => (EventStatus::New, "announced now, without a date"),
        EventKind::StaffDetermination | EventKind::DeficiencyNotice
            if is_lead && sentence.has(Signal::Notice) && sentence.has(Signal::Breach) =>
        {
            (EventStatus::New, "the lead says so")
        }
        _ => (EventStatus::History, "neither dated nor announced now"),
    }
}

/// A cue of history that reaches a clause: inside it, or at the head of its sentence.
pub fn history_cue<'a, 'p>(sentence: &'a Reading<'p>, clause: &Range<usize>) -> Option<&'a Cue<'p>> {
    sentence.cues.iter().find(|c| {
        c.signal == Signal::History
            && ((c.start < clause.end && c.end > clause.start) || (c.start < 40 && clause.start < 200))
    })
}

/// "Staff has issued a letter. It bears the date of May 2": the next sentence tells the day of what came without one.
fn dated_next<'p>(act: Act<'p>, sentences: &[Reading<'p>]) -> Act<'p> {
    pattern!(
        OF_IT,
        r"(?i)^\W*(?:it|the (?:letter|notice|notification|determination|decision))(?:,? which)? (?:bears?|is dated|was dated|was received|was delivered|reached|arrived|came)\b"
    );
    let told = &sentences[act.sentence];
    let letter = !matches!(act.kind, EventKind::HearingRequested | EventKind::Anticipated | EventKind::Delisting);
    let next = sentences.get(act.sentence + 1).filter(|next| {
        letter && act.date.is_none() && next.paragraph == told.paragraph && OF_IT.is_match(&next.text) && !retells(next)
    });
    match next.and_then(|next| next.letter_dates().next()) {
        Some(day) => Act { date: Some(day.mention.date), dated: day.role == Role::Dated, ..act },
        None => act,
    }
}

/// True if a whole sentence tells what was known before.
pub fn retells(sentence: &Reading) -> bool {
    history_cue(sentence, &(0..sentence.text.len())).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let found = reference_date(text, &DocumentContext::default());
        assert_eq!(found.map(|d| d.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_document_without_filing_date_speaks_from_the_date_it_bears() {
        check("BOISE, Idaho, March 8 /PRNewswire/ -- Varlo\n\nSOURCE Varlo\n\n-0- 03/08/2007", Some("2007-03-08"));
        check("BOISE, Idaho, May 5, 2009 (GLOBE NEWSWIRE) -- Varlo", Some("2009-05-05"));
        check("Date of Report (Date of earliest event reported): May 6, 2009", Some("2009-05-06"));
        check("Varlo received a letter on May 6, 2009.", None);
    }
}
