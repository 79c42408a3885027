//! Around a letter: why it came, what the company will do, how far a hearing has come. The words are data in
//! `patterns/outlook.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::NaiveDate;
use serde::Deserialize;

use super::acts::retells;
use super::patterns::{PatternSource, Sifted};
use super::segment::Zone;
use super::sentences::{Reading, Role};
use super::{Cause, Hearing, HearingStatus, NextStep};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    macros: BTreeMap<String, String>,
    cause: Vec<PatternSource<Cause>>,
    step: Vec<PatternSource<NextStep>>,
    hearing: Vec<PatternSource<HearingStatus>>,
}

struct Patterns {
    causes: Sifted<Cause>,
    steps: Sifted<NextStep>,
    hearings: Sifted<HearingStatus>,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    // The file is part of the program; a test reads it.
    let file: File = toml::from_str(include_str!("patterns/outlook.toml")).expect("a constant of this module");
    Patterns {
        causes: Sifted::compile(file.cause, &file.macros),
        steps: Sifted::compile(file.step, &file.macros),
        hearings: Sifted::compile(file.hearing, &file.macros),
    }
});

/// The causes told in `sentences`, each once, in the order of their first words.
pub fn find_causes<'t>(sentences: impl Iterator<Item = &'t str>) -> Vec<Cause> {
    let mut found = Vec::new();
    for sentence in sentences {
        for (pattern, _) in PATTERNS.causes.find_first_in(sentence) {
            if !found.contains(&pattern.source.signal) {
                found.push(pattern.source.signal);
            }
        }
    }
    found
}

/// What the company says it will do, each once, in the order it is told. What it did before, and what it would do if,
/// is left out.
pub fn find_steps<'t>(sentences: impl Iterator<Item = &'t Reading<'t>>) -> Vec<NextStep> {
    pattern!(CONDITION, r"(?i)^\W*(?:if|should|in the event|were|unless|upon|when|once)\b");
    let mut found = Vec::new();
    for sentence in sentences.filter(|s| is_current(s) && !CONDITION.is_match(&s.text)) {
        for (pattern, _) in PATTERNS.steps.find_first_in(&sentence.text) {
            if !found.contains(&pattern.source.signal) {
                found.push(pattern.source.signal);
            }
        }
    }
    // Who lets the delisting take its course asks for nothing: "will not request a hearing" holds both phrases.
    if found.contains(&NextStep::NotContest) {
        found.retain(|step| !matches!(step, NextStep::RequestHearing | NextStep::RequestTime));
    }
    found
}

/// How far the hearing has come that the sentences speak of: the furthest that any of them tells.
pub fn find_hearing<'t>(
    sentences: impl Iterator<Item = &'t Reading<'t>>,
    reference: Option<NaiveDate>,
) -> Option<Hearing> {
    let mut found: Option<Hearing> = None;
    for sentence in sentences.filter(|s| is_current(s)) {
        for (pattern, told) in PATTERNS.hearings.find_first_in(&sentence.text) {
            let status = pattern.source.signal;
            if found.is_none_or(|known| known.status < status) {
                found = Some(Hearing { status, date: day_of(sentence, status, told.start(), reference) });
            }
        }
    }
    found
}

fn is_current(sentence: &Reading) -> bool {
    sentence.zone == Zone::Body && !sentence.foreign && !retells(sentence)
}

/// The day nearest to the words: one to come for a hearing that is set, one gone by for one that was held.
fn day_of(sentence: &Reading, status: HearingStatus, at: usize, reference: Option<NaiveDate>) -> Option<NaiveDate> {
    let fits = |date: NaiveDate| match status {
        HearingStatus::Scheduled => reference.is_none_or(|r| date >= r),
        HearingStatus::Held => reference.is_none_or(|r| date <= r),
        _ => false,
    };
    let days = sentence.dates.iter().filter(|d| d.role != Role::Period && fits(d.mention.date));
    days.min_by_key(|d| d.mention.start.abs_diff(at)).map(|d| d.mention.date)
}

#[cfg(test)]
mod tests {
    use super::super::patterns::assert_examples;
    use super::*;

    #[test]
    fn every_phrase_finds_its_examples_and_no_near_miss() {
        assert_examples(PATTERNS.causes.patterns());
        assert_examples(PATTERNS.steps.patterns());
        assert_examples(PATTERNS.hearings.patterns());
    }
}
