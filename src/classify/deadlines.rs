//! Times by which something is due, as a notice states them.

use chrono::NaiveDate;

use super::dates::{head, tail};
use super::matcher::Matcher;
use super::sentences::{Reading, Role, RoleDate, names_nasdaq};
use super::{Deadline, DeadlineKind, EventKind};

pattern!(SUSPENSION, r"(?i)\b(?:suspen(?:d|ded|sion)|delist(?:ed|ing)?|removed|opening|open of)\b");
pattern!(
    HEARING,
    r"(?i)\b(?:requests? (?:for )?(?:an? )?(?:\w+ )?(?:hearing|appeal)|requesting|appeals?|appealed|appealing|(?:an?|the|its|such|hearings?) hearing(?: must| has to| is to| may| can| should)? be requested|(?:for|of) an? (?:oral |written )?hearing|hearing request)\b"
);
pattern!(PLAN, r"(?i)\bplan\b|\bsubmission of compliance");
pattern!(
    COMPLIANCE,
    r"(?i)\b(?:compliance|comply|exception|extension|extend\w*|to file|filed|cure|bid price|demonstrate|fill|vacanc\w+|evidence|stay listed|remain listed|continued listing|180|six months|meet|met|satisfy|wait|(?:must|shall|to|company|it) files?|files? (?:its|the|all|both|any|each|these|those))\b"
);
pattern!(ASKS_AFTER, r"(?i)^,? (?:[\w']+ ){0,6}(?:requests?|appeals?|an appeal)\b");
pattern!(
    PLAN_TO_COMPLY,
    r"(?i)\bplan (?:of compliance|\w+ ?(?:how|showing)?.{0,30}\b(?:regain|restor|return|comply))[^.;]{0,40}$"
);
pattern!(EXCEPTION, r"(?i)\b(?:exception|extension)\b");
pattern!(SUBMIT, r"(?i)\b(?:submit|provide|furnish|deliver|present|update)\b");
pattern!(TO_APPEAL, r"(?i)^ ?,? ?(?:to|in which to|for an?) (?:appeal|request|ask for a hearing|hearing)\b");
pattern!(
    WRITTEN,
    r"(?i)\b(?:in writing|written (?:submission|response|statement|materials?|comments|views)|writ(?:e|ing) to the panel|submission|comments?|views|address|supplement|information|findings|summary|(?:written|progress|status) reports?|report on (?:the|its) (?:progress|status)|provides? (?:to )?the (?:panel|staff)|respond|response|stay|lapse|monitor|update)\b"
);
// A period begins on such a day.
pattern!(
    STARTS,
    r"(?i)\b(?:counted|counting|running|calculated|measured|beginning|commencing|starting)(?: from| on)?\s$"
);
pattern!(STOPS, r"(?i)\bsuspen(?:d|ded|sion)\b");
pattern!(
    OPENS,
    r"(?i)\b(?:suspended|suspension|delisted|removed|cease|stop)\b[^.;]{0,60}\b(?:opening|open|start) of (?:business|trading|the market)\b[^.;]{0,12}$"
);
pattern!(
    OWN_PLAN,
    r"(?i)\b(?:expects?|intends?|plan(?:s|ned)? to|hopes?|aims?|anticipates?|believes?|estimates?|promised|proposed|proposes)\b[^.;]{0,60}\b(?:file|filing|filed|complete|finish|conclude|publish|release|issue|hold|report|announce|be filed|be completed)\b[^.;]{0,140}$"
);
pattern!(
    HEARING_DAY,
    r"(?i)\b(?:hearing|meeting|vote)\b[^.;]{0,60}(?:scheduled|set|held|take place|expected)[^.;,]{0,25}$|\bscheduled (?:a|the|its) [^.;,]{0,40}$|\b(?:scheduled|set) for\b|\bhearing (?:(?:before|of|with) [^.;]{0,60})?on (?:\w+day,? )?$"
);
// A step on the way to compliance.
pattern!(STEP, r"(?i)\b(?:effect (?:a|its|the)|obtain|convene|hold (?:a|its))\b");
// What others than the exchange set a day for.
pattern!(
    LENDERS,
    r"(?i)\b(?:lenders?|lender's|banks?|loans?|credit (?:agreement|facility)|agent|waives?|waiver|forbear\w*|indenture|notes|maturity|refinanced|noteholders|holders?|trustee|record date|transfer books|court|fdic|federal reserve|department of (?:education|justice|labor|defense)|tax authorit\w+)\b"
);
// The letter "E" behind a symbol comes and goes on days of its own.
pattern!(SYMBOL, r"(?i)\b(?:appended|(?:fifth|additional) character|trading symbol|ticker symbol)\b");
// The exchange's rule itself stands still, or changes.
pattern!(ENFORCES, r"(?i)\b(?:suspend\w*|suspension of) (?:the )?enforcement\b|\brule change\b");

/// What the rules give, to tell stated days by.
#[derive(Debug, Default)]
pub struct ByRule {
    pub deadlines: Vec<Deadline>,
    /// A panel hears the case already: what is due then is a word to the panel, no request.
    pub is_before_panel: bool,
    /// The day of the report.
    pub today: Option<NaiveDate>,
}

/// The deadline a date of a sentence stands for, if it lies after the letter: the day itself tells where it is the one that
/// the rules give (`by_rule`), else the words around it do, and those of the sentence it depends on (`lead`).
pub fn stated_deadline(
    reading: &Reading,
    index: usize,
    lead: &str,
    kind: EventKind,
    letter: NaiveDate,
    by_rule: &ByRule,
) -> Option<Deadline> {
    let date = &reading.dates[index];
    let day = date.mention.date;
    let ahead = date.role == Role::Other && by_rule.today.is_none_or(|today| day > today);
    if !(date.role == Role::Deadline || ahead) || day <= letter {
        return None;
    }
    let before = &reading.text[..date.mention.start];
    let after = head(&reading.text[date.mention.end..], 90);
    let near = tail(before, 160);
    let closest = tail(near, 60);
    let suspends = SUSPENSION.is_match(closest) && !HEARING.is_match(closest);
    let hearing_day = HEARING_DAY.is_match(closest) && !suspends;
    let of_symbol = SYMBOL.is_match(statement(before)) || SYMBOL.is_match(after);
    let by_others = is_set_by_others(statement(before)) || of_symbol;
    if hearing_day || by_others || OWN_PLAN.is_match(tail(before, 220)) || STARTS.is_match(near) {
        return None;
    }
    let stops = kind == EventKind::StaffDetermination && (OPENS.is_match(near) || suspends && STOPS.is_match(closest));
    if stops {
        // "A request will hold off the suspension only until May 2".
        pattern!(HOLDS_OFF, r"(?i)\b(?:stays?|stayed|staying|holds? off|puts? off|postpones?|delay)\b");
        let what = if HOLDS_OFF.is_match(closest) { DeadlineKind::Other } else { DeadlineKind::Suspension };
        return Some(Deadline::stated(what, day));
    }
    // A letter names its days; "on or about" is how the company speaks of its own.
    let by_letter = matches!(kind, EventKind::StaffDetermination | EventKind::DeficiencyNotice);
    if by_letter && near.trim_end().ends_with("on or about") {
        return None;
    }
    // A panel's decision can be taken to the Listing Council.
    pattern!(TO_COUNCIL, r"(?i)\b(?:council|review|appeal)\b");
    let council = |d: &&Deadline| d.what == DeadlineKind::Other && is_day_of(d, day);
    if kind == EventKind::PanelDecision && by_rule.deadlines.iter().any(|d| council(&d)) && TO_COUNCIL.is_match(near) {
        return Some(Deadline::stated(DeadlineKind::Other, day));
    }
    if let Some(known) = by_rule.deadlines.iter().filter(|d| d.what != DeadlineKind::Other).find(|d| is_day_of(d, day))
    {
        let views = known.what == DeadlineKind::HearingRequest
            && (by_rule.is_before_panel || WRITTEN.is_match(near) || WRITTEN.is_match(clause(after)))
            && !HEARING.is_match(near)
            && !TO_APPEAL.is_match(after);
        let what = if views { DeadlineKind::Other } else { known.what };
        return Some(Deadline::stated(what, day));
    }
    let told = || what_of(tail(before, 320), after, kind).or_else(|| what_of(&format!("{lead} {before}"), after, kind));
    let what = (date.role == Role::Deadline).then(told).flatten()?;
    let never = [DeadlineKind::Compliance, DeadlineKind::Plan];
    // Time to comply is over once staff has determined or found compliance, or a panel has decided; what else is due is
    // due to the panel.
    let over = matches!(
        kind,
        EventKind::StaffDetermination | EventKind::ComplianceRegained | EventKind::PanelDecision | EventKind::Delisting
    );
    (!over || !never.contains(&what)).then(|| Deadline::stated(what, day))
}

/// What stands before a date in its own statement.
fn statement(before: &str) -> &str {
    before.rsplit([';', ':']).next().unwrap_or(before)
}

/// True if a statement is about a day that lenders or other rules set, and names no exchange since.
fn is_set_by_others(statement: &str) -> bool {
    let named = LENDERS.find_iter(statement).last();
    named.is_some_and(|m| !names_nasdaq(&statement[m.end()..])) || ENFORCES.is_match(statement)
}

/// The first words of a text up to a stop or comma.
fn clause(after: &str) -> &str {
    after.split(['.', ';', ',']).find(|c| !c.trim().is_empty()).unwrap_or("")
}

/// True if `day` is the one a rule gives, or the day beside it: some count the day of the letter, and some forget a holiday.
fn is_day_of(by_rule: &Deadline, day: NaiveDate) -> bool {
    let latest = by_rule.date_latest.unwrap_or(by_rule.date);
    let slack = i64::from(matches!(by_rule.what, DeadlineKind::Plan | DeadlineKind::Compliance));
    (by_rule.date - day).num_days() <= slack && (day - latest).num_days() <= slack
}

/// A day named by a company that leaves: trading stops, or the delisting takes effect.
pub fn day_of_leaving(reading: &Reading, date: &RoleDate) -> Option<Deadline> {
    let before = tail(&reading.text[..date.mention.start], 120);
    if HEARING_DAY.is_match(tail(before, 60)) || is_set_by_others(statement(before)) {
        return None;
    }
    let stops = before.to_lowercase().contains("suspend");
    let what = if stops { DeadlineKind::Suspension } else { DeadlineKind::Other };
    Some(Deadline::stated(what, date.mention.date))
}

/// A day by which an appeal must be made: only a determination can be appealed.
pub fn invites_appeal(reading: &Reading, letter: NaiveDate) -> bool {
    (0..reading.dates.len()).any(|i| {
        let deadline = stated_deadline(reading, i, "", EventKind::StaffDetermination, letter, &ByRule::default());
        deadline
            .is_some_and(|d| d.what == DeadlineKind::HearingRequest && (d.date - letter).num_days() <= MAX_APPEAL_DAYS)
    })
}

/// Seven days by the rule; some letters leave a few more.
const MAX_APPEAL_DAYS: i64 = 16;

fn what_of(before: &str, after: &str, kind: EventKind) -> Option<DeadlineKind> {
    let near = tail(before, 60);
    if HEARING_DAY.is_match(near) {
        return None;
    }
    let last = |regex: &Matcher| regex.find_iter(before).last().map(|m| m.end());
    // The word nearest before the date decides; words after it help when none stands before.
    let mut candidates: Vec<(usize, DeadlineKind)> = [
        (last(&SUSPENSION), DeadlineKind::Suspension),
        (last(&HEARING), DeadlineKind::HearingRequest),
        (last(&PLAN), DeadlineKind::Plan),
        (last(&COMPLIANCE), DeadlineKind::Compliance),
        (last(&WRITTEN), DeadlineKind::Other),
    ]
    .into_iter()
    .filter_map(|(at, what)| at.map(|at| (at, what)))
    .collect();
    candidates.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    // "..., and on or before May 2 it must file its report": the day opens its statement, and what is due follows.
    pattern!(
        OPENS_STATEMENT,
        r"(?i)(?:^|[,;:)*.] ?(?:\d[.)] )?(?:and )?)\W*(?:on or before|on or prior to|by|no later than|not later than) (?:\w+day,? )?$"
    );
    let near_end = near.trim_end();
    let until = ["until", "by", "than"].iter().any(|word| near_end.ends_with(word)) || OPENS_STATEMENT.is_match(near);
    let nearest_after = after_word(after);
    let mut what = match (candidates.first(), nearest_after) {
        (_, Some(what)) if until => what,
        (Some((_, what)), _) => *what,
        (None, Some(what)) => what,
        (None, None) => return None,
    };
    if near.trim_end().to_lowercase().ends_with("by") && ASKS_AFTER.is_match(after) {
        what = DeadlineKind::HearingRequest;
    }
    if what == DeadlineKind::Compliance && PLAN_TO_COMPLY.is_match(before) {
        what = DeadlineKind::Plan;
    } else if what == DeadlineKind::Plan && EXCEPTION.is_match(before) && !SUBMIT.is_match(near) {
        what = DeadlineKind::Compliance;
    }
    if kind == EventKind::CouncilReview {
        return (what == DeadlineKind::Other || SUBMIT.is_match(before)).then_some(DeadlineKind::Other);
    }
    if what == DeadlineKind::Plan && kind != EventKind::DeficiencyNotice && kind != EventKind::StaffDetermination {
        what = DeadlineKind::Compliance;
    }
    if what == DeadlineKind::HearingRequest && kind != EventKind::StaffDetermination {
        return None;
    }
    if what == DeadlineKind::Suspension
        && !matches!(kind, EventKind::StaffDetermination | EventKind::PanelDecision | EventKind::Delisting)
    {
        return None;
    }
    Some(what)
}

fn after_word(after: &str) -> Option<DeadlineKind> {
    let clause = clause(after);
    let at = |regex: &Matcher| regex.find(clause).map(|m| m.start());
    let mut found: Vec<(usize, DeadlineKind)> = [
        (at(&PLAN), DeadlineKind::Plan),
        (at(&TO_APPEAL), DeadlineKind::HearingRequest),
        (at(&COMPLIANCE), DeadlineKind::Compliance),
        (at(&WRITTEN), DeadlineKind::Other),
        (at(&STEP), DeadlineKind::Other),
    ]
    .into_iter()
    .filter_map(|(at, what)| at.map(|at| (at, what)))
    .collect();
    found.sort_by_key(|(at, _)| *at);
    let first = found.first().map(|(_, what)| *what)?;
    // "Until May 1 to submit a plan to regain compliance" is about the plan.
    Some(if found.iter().any(|(_, w)| *w == DeadlineKind::Plan) { DeadlineKind::Plan } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, kind: EventKind, expected: Option<DeadlineKind>) {
        assert_eq!(what_of(before, after, kind), expected, "{before}|{after}");
    }

    #[test]
    fn the_nearest_words_say_what_is_due() {
        use DeadlineKind::*;
        use EventKind::*;
        check("Varlo has 60 days, or until ", ", to submit a plan to regain compliance", DeficiencyNotice, Some(Plan));
        check("may grant an exception until ", ".", DeficiencyNotice, Some(Compliance));
        check("unless it requests a hearing by ", ", the stock", StaffDetermination, Some(HearingRequest));
        check("will be suspended at the opening of business on ", "", StaffDetermination, Some(Suspension));
        check("may present its views to the Panel in writing by ", "", StaffDetermination, Some(Other));
        check("The hearing is scheduled for ", "", StaffDetermination, None);
    }
}
