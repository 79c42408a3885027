//! A letter told in no phrase we know. Where no sentence tells one, a passage does that holds, all at once: the exchange, a
//! day of the last five business days, word that came, and either a lack that a rule or an overdue report names, or a
//! decision against the listing. What a panel, the council or a company itself decided is told apart by its author.

use std::ops::Range;

use chrono::NaiveDate;

use super::acts::{Act, FRESH_BUSINESS_DAYS, history_cue};
use super::dates::tail;
use super::phrases::Signal;
use super::segment::Zone;
use super::sentences::{Reading, Role, RoleDate};
use super::{EventKind, EventStatus, Exchange};
use crate::calendar::business_days_between;

/// Finds the letter of a document in which no sentence tells one.
pub fn find_passage_act<'p>(sentences: &[Reading<'p>], reference: Option<NaiveDate>) -> Option<Act<'p>> {
    let reference = reference?;
    let mut passages = passages(sentences);
    passages.retain(|p| !p.is_empty());
    let acts = passages.into_iter().filter_map(|range| read_passage(sentences, range, reference));
    // The weightier kind first, else the one told first.
    acts.min_by_key(|act| act.kind)
}

/// Runs of sentences whose paragraphs follow one another.
fn passages(sentences: &[Reading]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (i, sentence) in sentences.iter().enumerate() {
        let joins = i > 0 && sentence.paragraph <= sentences[i - 1].paragraph + 1;
        match found.last_mut().filter(|_| joins) {
            Some(range) => range.end = i + 1,
            None => found.push(i..i + 1),
        }
    }
    found
}

fn read_passage<'p>(sentences: &[Reading<'p>], range: Range<usize>, reference: NaiveDate) -> Option<Act<'p>> {
    let told: Vec<usize> = range.filter(|i| speaks(&sentences[*i])).collect();
    let has = |signal: Signal| told.iter().any(|i| sentences[*i].has(signal));
    let exchange = told.iter().find(|i| sentences[**i].names_exchange).map(|i| sentences[*i].exchange)?;
    if exchange != Exchange::Nasdaq || !has(Signal::Contact) || has(Signal::Negated) {
        return None;
    }
    let (sentence, date) = told.iter().find_map(|i| {
        let fresh = |d: &&RoleDate| is_letter_day(&sentences[*i], d, reference);
        let about = sentences[*i].has(Signal::Contact) || sentences[*i].names_exchange || follows_word(sentences, *i);
        sentences[*i].dates.iter().find(fresh).filter(|_| about).map(|d| (*i, d))
    })?;
    let threatened = told.iter().any(|i| sentences[*i].has(Signal::Threat) && sentences[*i].has(Signal::Decided));
    let cited = told.iter().any(|i| sentences[*i].rules.iter().any(|r| !r.procedure && !r.aside));
    let overdue = told.iter().any(|i| !sentences[*i].reports.is_empty() && sentences[*i].has(Signal::Lack));
    let kind = if has(Signal::ByCouncil) || has(Signal::ByPanel) || has(Signal::Regained) || has(Signal::PanelGrant) {
        // Decisions have phrases of their own; guessing at one would tell of a letter that is none.
        return None;
    } else if (cited || overdue)
        && (threatened || (has(Signal::AppealRight) && !has(Signal::PlanInvited) && !has(Signal::CurePeriod)))
    {
        EventKind::StaffDetermination
    } else if (cited && has(Signal::Lack) || overdue) && (has(Signal::PlanInvited) || has(Signal::CurePeriod)) {
        EventKind::DeficiencyNotice
    } else {
        return None;
    };
    Some(Act {
        sentence,
        clause: 0..sentences[sentence].text.len(),
        kind,
        exchange,
        date: Some(date.mention.date),
        dated: date.role == Role::Dated,
        status: EventStatus::New,
        reason: "a fresh day beside the exchange, with a breach or a threat",
        pattern: "passage.letter",
    })
}

fn speaks(sentence: &Reading) -> bool {
    matches!(sentence.zone, Zone::Headline | Zone::Body)
        && !sentence.foreign
        && history_cue(sentence, &(0..sentence.text.len())).is_none()
}

/// "It is dated April 16": a short sentence after one that tells of word.
fn follows_word(sentences: &[Reading], index: usize) -> bool {
    let sentence = &sentences[index];
    let before = index.checked_sub(1).map(|i| &sentences[i]);
    sentence.text.len() < 160
        && !sentence.has(Signal::OwnAct)
        && before.is_none_or(|b| b.paragraph + 1 >= sentence.paragraph && (b.has(Signal::Contact) || b.names_exchange))
}

/// A day of the last five business days that is no period's end, no time limit and no paper of the company's own.
fn is_letter_day(sentence: &Reading, date: &RoleDate, reference: NaiveDate) -> bool {
    pattern!(
        OWN,
        r"(?i)\b(?:filed|submitted|announced|reported|released|dated|held|appealed|objected|requested|asked|lodged|replied|resigned|appointed|entered into|closed|signed|requests?|due|press release)\b[^.;]{0,40}$"
    );
    let day = date.mention.date;
    let fresh = day <= reference && business_days_between(day, reference, 60) <= FRESH_BUSINESS_DAYS;
    match date.role {
        Role::Received | Role::Dated => fresh,
        Role::Period | Role::Deadline => false,
        Role::Other => {
            let opens = date.mention.start < 200 && sentence.has(Signal::News) && sentence.zone == Zone::Body;
            fresh && day < reference && !opens && !OWN.is_match(tail(&sentence.text[..date.mention.start], 60))
        }
    }
}
