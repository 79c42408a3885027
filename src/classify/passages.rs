//! A letter told in no phrase we know. Where no sentence tells one, a passage does that holds, all at once: the exchange, a
//! day of the last five business days, word that came, and either a lack that a rule or an overdue report names, or a
//! decision against the listing. What a panel, the council or a company itself decided is told apart by its author.

use std::collections::BTreeSet;
use std::ops::Range;

use chrono::NaiveDate;

use super::acts::{Act, FRESH_BUSINESS_DAYS, retells};
use super::dates::tail;
use super::phrases::Signal;
use super::segment::Zone;
use super::sentences::{Reading, Role, RoleDate};
use super::{EventKind, EventStatus, Exchange};
use crate::calendar::business_days_between;

/// Finds letters that no sentence tells, in paragraphs that tell none of `known`: each paragraph by itself, and where
/// nothing is known at all, runs of paragraphs too.
pub fn find_passage_acts<'p>(
    sentences: &[Reading<'p>],
    known: &[Act<'p>],
    reference: Option<NaiveDate>,
) -> Vec<Act<'p>> {
    let Some(reference) = reference else { return Vec::new() };
    let told: BTreeSet<usize> = known.iter().map(|act| sentences[act.sentence].paragraph).collect();
    let days: BTreeSet<NaiveDate> = known.iter().filter_map(|act| act.date).collect();
    let fresh = |act: &Act| act.date.is_none_or(|date| !days.contains(&date));
    let mut acts: Vec<Act> = split_runs(sentences, |one, next| one == next)
        .filter(|range| !told.contains(&sentences[range.start].paragraph))
        .filter_map(|range| read_passage(sentences, range, reference))
        .filter(fresh)
        .collect();
    if acts.is_empty() && known.is_empty() {
        let runs = split_runs(sentences, |one, next| next <= one + 1);
        // The weightier kind first, else the one told first.
        acts.extend(runs.filter_map(|range| read_passage(sentences, range, reference)).min_by_key(|act| act.kind));
    }
    acts
}

/// The letter of an exchange itself, filed as an exhibit: its head gives the day, what it says the kind.
pub fn find_exhibit_letter<'p>(
    sentences: &[Reading<'p>],
    acts: &[Act<'p>],
    reference: Option<NaiveDate>,
) -> Option<Act<'p>> {
    let reference = reference?;
    let is_head = |s: &Reading| s.text.len() < 40;
    let fresh = |d: &&RoleDate| is_fresh(d.mention.date, reference);
    let (sentence, date) = sentences
        .iter()
        .enumerate()
        .take(20)
        .filter(|(_, s)| is_head(s))
        .find_map(|(i, s)| s.dates.iter().find(fresh).map(|d| (i, d.mention.date)))?;
    let says = |kind: EventKind| acts.iter().any(|act| act.kind == kind && act.date.is_none());
    let has = |signal: Signal| sentences.iter().any(|s| s.zone == Zone::Body && s.has(signal));
    let threatened = sentences.iter().any(|s| s.has(Signal::Threat) && s.has(Signal::Decided));
    let kind = if says(EventKind::StaffDetermination) || threatened {
        EventKind::StaffDetermination
    } else if has(Signal::Lack) && (has(Signal::PlanInvited) || has(Signal::CurePeriod)) {
        EventKind::DeficiencyNotice
    } else if says(EventKind::ComplianceRegained) {
        EventKind::ComplianceRegained
    } else {
        return None;
    };
    let reason = "the letter itself, of the last five business days";
    Some(letter_act(sentences, sentence, kind, date, true, reason, "passage.exhibit"))
}

/// Runs of sentences whose paragraphs belong together.
fn split_runs<'s>(
    sentences: &'s [Reading],
    together: impl Fn(usize, usize) -> bool + 's,
) -> impl Iterator<Item = Range<usize>> + 's {
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = start;
        let last = sentences.len();
        if first == last {
            return None;
        }
        let breaks = |i: &usize| !together(sentences[i - 1].paragraph, sentences[*i].paragraph);
        start = (first + 1..last).find(breaks).unwrap_or(last);
        Some(first..start)
    })
}

fn read_passage<'p>(sentences: &[Reading<'p>], range: Range<usize>, reference: NaiveDate) -> Option<Act<'p>> {
    let told: Vec<usize> = range.filter(|i| speaks(&sentences[*i])).collect();
    let has = |signal: Signal| told.iter().any(|i| sentences[*i].has(signal));
    let named = told.iter().find(|i| sentences[**i].names_exchange).map(|i| sentences[*i].exchange);
    let exchange = named.or_else(|| headline_exchange(sentences))?;
    // A company that wrote to the exchange itself has no letter to tell of, unless the exchange is said to have written.
    let named_cue = |name: &str| told.iter().any(|i| sentences[*i].cues.iter().any(|c| c.name == name));
    let by_itself = named_cue("own.tells_exchange") && !named_cue("letter.tells") && !named_cue("letter.received");
    if !has(Signal::Contact) || has(Signal::Negated) || by_itself {
        return None;
    }
    let (sentence, date) = told.iter().find_map(|i| {
        let fresh = |d: &&RoleDate| is_letter_day(&sentences[*i], d, reference);
        let about = sentences[*i].has(Signal::Contact) || sentences[*i].names_exchange || follows_word(sentences, *i);
        sentences[*i].dates.iter().find(|d| fresh(d) && (about || d.role == Role::Dated)).map(|d| (*i, d))
    })?;
    let threatened = told.iter().any(|i| sentences[*i].has(Signal::Threat) && sentences[*i].has(Signal::Decided));
    let cited = told.iter().any(|i| sentences[*i].rules.iter().any(|r| !r.procedure && !r.aside));
    let invited = has(Signal::PlanInvited) || has(Signal::CurePeriod);
    let overdue = told
        .iter()
        .any(|i| !sentences[*i].reports.is_empty() && (sentences[*i].has(Signal::Lack) || has(Signal::PlanInvited)));
    let decided = [Signal::ByCouncil, Signal::ByPanel, Signal::Regained, Signal::PanelGrant];
    let breached = cited
        && has(Signal::Lack)
        && !named_cue("own.tells_exchange")
        && sentences[sentence].names_exchange
        && sentences[sentence].has(Signal::Contact);
    let kind = if decided.into_iter().any(has) {
        // Decisions have phrases of their own; guessing at one would tell of a letter that is none.
        return None;
    } else if exchange == Exchange::Nasdaq
        && (cited || overdue)
        && (threatened || (has(Signal::AppealRight) && !invited))
    {
        EventKind::StaffDetermination
    } else if (cited && has(Signal::Lack) || overdue) && invited || breached {
        EventKind::DeficiencyNotice
    } else {
        return None;
    };
    let reason = "a fresh day beside the exchange, with a breach or a threat";
    Some(Act {
        exchange,
        ..letter_act(sentences, sentence, kind, date.mention.date, date.role == Role::Dated, reason, PASSAGE)
    })
}

/// The pattern that stands for a passage as a whole.
pub const PASSAGE: &str = "passage.letter";

fn letter_act<'p>(
    sentences: &[Reading<'p>],
    sentence: usize,
    kind: EventKind,
    date: NaiveDate,
    dated: bool,
    reason: &'static str,
    pattern: &'static str,
) -> Act<'p> {
    Act {
        sentence,
        clause: 0..sentences[sentence].text.len(),
        kind,
        exchange: Exchange::Nasdaq,
        date: Some(date),
        dated,
        status: EventStatus::New,
        reason,
        pattern,
    }
}

/// The exchange whose letter the headline names, for a body that does not name it again.
fn headline_exchange(sentences: &[Reading]) -> Option<Exchange> {
    let named = |s: &&Reading| s.zone == Zone::Headline && s.names_exchange && s.has(Signal::Contact);
    sentences.iter().find(named).map(|s| s.exchange)
}

fn speaks(sentence: &Reading) -> bool {
    matches!(sentence.zone, Zone::Headline | Zone::Body) && !sentence.foreign && !retells(sentence)
}

/// "It is dated April 16": a short sentence after one that tells of word.
fn follows_word(sentences: &[Reading], index: usize) -> bool {
    let sentence = &sentences[index];
    let before = index.checked_sub(1).map(|i| &sentences[i]);
    // A line that is a date and no more: the head of a letter.
    if sentence.text.len() < 30 {
        return true;
    }
    sentence.text.len() < 160
        && !sentence.has(Signal::OwnAct)
        && before.is_none_or(|b| b.paragraph + 1 >= sentence.paragraph && (b.has(Signal::Contact) || b.names_exchange))
}

/// A day on which a letter told in a report of `reference` can have come.
fn is_fresh(day: NaiveDate, reference: NaiveDate) -> bool {
    day <= reference && business_days_between(day, reference, 60) <= FRESH_BUSINESS_DAYS
}

/// A day of the last five business days that is no period's end, no time limit and no paper of the company's own.
fn is_letter_day(sentence: &Reading, date: &RoleDate, reference: NaiveDate) -> bool {
    pattern!(
        BOARD_ACTS,
        r"(?i)\b(?:board of (?:directors|trustees|managers)|board|shareholders|stockholders)\b.{0,90}?\b(?:decided|determined|resolved|voted|approved|concluded)\b|\b(?:entered into|closed on|completed|sold)\b"
    );
    let tells_exchange = sentence.cues.iter().any(|c| c.name == "own.tells_exchange");
    if tells_exchange || BOARD_ACTS.is_match(&sentence.text) {
        return false;
    }
    pattern!(
        OWN,
        r"(?i)\b(?:filed|submitted|announced|reported|released|dated|held|appealed|objected|requested|asked|lodged|replied|resigned|appointed|departure|departed|death|died|left|vacancy|joined|entered into|closed|signed|requests?|due|press release)\b[^.;]{0,40}$"
    );
    let day = date.mention.date;
    let fresh = is_fresh(day, reference);
    match date.role {
        Role::Received | Role::Dated => fresh,
        Role::Period | Role::Deadline => false,
        Role::Other => {
            let opens = date.mention.start < 200 && sentence.has(Signal::News) && sentence.zone == Zone::Body;
            fresh && day < reference && !opens && !OWN.is_match(tail(&sentence.text[..date.mention.start], 60))
        }
    }
}
