//! What a letter rests on: rules and bases, from its own clauses first and from what stands around them after.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::super::bases::find_bases;
use super::super::phrases::Signal;
use super::super::rules::Citation;
use super::super::segment::Zone;
use super::super::timetable::listing_rules;
use super::super::{Basis, EventKind, Exchange};
use super::groups::{Group, is_letter};
use super::{Assembler, distinct, goes_on};

/// Points of a list of grounds.
const MAX_POINTS: usize = 3;

impl Assembler<'_> {
    /// Rules of the clauses that tell the letter and of the sentences that go on from them, and what they are about.
    pub(super) fn rules_and_bases(
        &self,
        group: &Group,
        core: &BTreeSet<usize>,
        thread: &[usize],
    ) -> (Vec<Citation>, Vec<Basis>) {
        let clause = |a: &usize| {
            let act = &self.acts[*a];
            let within =
                move |c: &&Citation| c.start >= act.clause.start && c.start < act.clause.end.max(act.clause.start + 1);
            self.sentences[act.sentence].rules.iter().filter(within)
        };
        let mut cited: Vec<&Citation> = group.acts.iter().flat_map(clause).collect();
        if !cited.iter().any(|c| is_basis(c)) {
            cited = core.iter().flat_map(|i| self.sentences[*i].rules.iter()).collect();
        }
        let paragraphs: BTreeSet<usize> = core.iter().map(|i| self.sentences[*i].paragraph).collect();
        // "Nasdaq gave two grounds:" speaks for the points below it.
        let listed = |paragraph: usize| {
            let opens = |i: &&usize| self.sentences[**i].text.trim_end().ends_with(':');
            core.iter()
                .filter(opens)
                .any(|i| (1..=MAX_POINTS).contains(&paragraph.saturating_sub(self.sentences[*i].paragraph)))
        };
        let settled = !is_letter(group.kind) && cited.iter().any(|c| is_basis(c));
        for i in thread.iter().filter(|i| !core.contains(i) && !settled) {
            let sentence = &self.sentences[*i];
            let same =
                paragraphs.contains(&sentence.paragraph) || goes_on(&sentence.text) || listed(sentence.paragraph);
            if same
                || [Signal::Breach, Signal::Notice, Signal::Determination, Signal::Additional]
                    .iter()
                    .any(|s| sentence.has(*s))
            {
                cited.extend(sentence.rules.iter());
            }
        }
        let words = || {
            let clauses: String = group.acts.iter().map(|a| self.clause_text(*a)).collect::<Vec<_>>().join(" ");
            let sources = [clauses, self.join_text(core.iter()), self.join_text(thread.iter())];
            sources.iter().map(|t| find_bases(t)).find(|b| !b.is_empty()).unwrap_or_default()
        };
        let mut rules: Vec<Citation> = cited.iter().filter(|c| is_basis(c)).map(|c| (*c).clone()).collect();
        if rules.is_empty() && !core.is_empty() {
            let mut told = words();
            if told.is_empty() {
                told = self.document_bases(group.exchange);
            }
            rules = if is_letter(group.kind) || group.kind == EventKind::Anticipated {
                self.rules_nearby(core, &told)
            } else {
                self.document_rules(group.exchange)
            };
        }
        dedup_rules(&mut rules);
        if let Some(letter) = group.date() {
            keep_rules_of_the_day(&mut rules, letter);
        }
        let mut bases = distinct(rules.iter().map(|r| r.basis).filter(|b| *b != Basis::Other));
        if bases.is_empty() {
            bases = words();
        }
        if bases.is_empty() {
            bases = distinct(cited.iter().filter(|c| c.procedure && c.basis != Basis::Other).map(|c| c.basis));
        }
        if bases.is_empty() && !rules.is_empty() {
            bases.push(Basis::Other);
        }
        (rules, bases)
    }

    /// A decision on a listing is about whatever the document's letters are about.
    pub(super) fn document_rules(&self, exchange: Exchange) -> Vec<Citation> {
        let sentences = self.sentences.iter().filter(|s| s.zone != Zone::ForwardLooking && !s.foreign);
        sentences.flat_map(|s| s.rules.iter()).filter(|c| is_basis(c) && c.exchange == exchange).cloned().collect()
    }

    /// "The Rule" and "a like notice" point back: the nearest rule told before that fits the words of the letter.
    fn rules_nearby(&self, core: &BTreeSet<usize>, told: &[Basis]) -> Vec<Citation> {
        let Some(first) = core.iter().find(|i| self.sentences[**i].zone != Zone::Headline).or(core.first()) else {
            return Vec::new();
        };
        let fits = |c: &&Citation| is_basis(c) && told.contains(&c.basis);
        let of = |i: usize| -> Vec<Citation> {
            let sentence = &self.sentences[i];
            if sentence.zone == Zone::ForwardLooking || sentence.foreign {
                return Vec::new();
            }
            sentence.rules.iter().filter(fits).cloned().collect()
        };
        let before = (0..*first).rev().map(of).find(|r| !r.is_empty());
        before.or_else(|| (*first..self.sentences.len()).map(of).find(|r| !r.is_empty())).unwrap_or_default()
    }

    fn clause_text(&self, act: usize) -> &str {
        let act = &self.acts[act];
        self.sentences[act.sentence].text.get(act.clause.clone()).unwrap_or("")
    }

    fn join_text<'b>(&self, indexes: impl Iterator<Item = &'b usize>) -> String {
        indexes.map(|i| self.sentences[*i].text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// What all letters of the document are about, for events that cite nothing themselves.
    pub(super) fn document_bases(&self, exchange: Exchange) -> Vec<Basis> {
        let sentences = self.sentences.iter().filter(|s| s.zone != Zone::ForwardLooking && !s.foreign);
        let rules = sentences
            .clone()
            .flat_map(|s| s.rules.iter())
            .filter(|c| is_basis(c) && c.exchange == exchange && c.basis != Basis::Other);
        let bases = distinct(rules.map(|c| c.basis));
        if !bases.is_empty() {
            return bases;
        }
        sentences.map(|s| find_bases(&s.text)).find(|b| !b.is_empty()).unwrap_or_default()
    }
}

pub(super) fn is_basis(citation: &Citation) -> bool {
    !citation.procedure && !citation.aside
}

/// Of an old and a new rule on one ground, the one in force on the day of the letter: the other is quoted as its name
/// before or after.
fn keep_rules_of_the_day(rules: &mut Vec<Citation>, letter: NaiveDate) {
    let in_force = |rule: &str| rule.starts_with('5') == (letter >= listing_rules());
    let nasdaq = |rule: &str| rule.starts_with(['4', '5']);
    let grounds: Vec<Basis> = rules.iter().filter(|r| nasdaq(&r.rule) && in_force(&r.rule)).map(|r| r.basis).collect();
    rules.retain(|r| !nasdaq(&r.rule) || in_force(&r.rule) || !grounds.contains(&r.basis));
}

pub(super) fn dedup_rules(rules: &mut Vec<Citation>) {
    let mut seen = BTreeSet::new();
    rules.retain(|r| seen.insert(r.rule.clone()));
    // "Rule 5250(c)" beside "Rule 5250(c)(1)" names the same rule.
    let all: Vec<String> = rules.iter().map(|r| r.rule.clone()).collect();
    rules.retain(|r| !all.iter().any(|o| o.len() > r.rule.len() && o.starts_with(&format!("{}(", r.rule))));
}
