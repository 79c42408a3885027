//! What a letter rests on: rules, bases and reports, from its own clauses first and from what stands around them after.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::super::bases::find_bases;
use super::super::phrases::Signal;
use super::super::reports::{ANNUAL, QUARTERLY, ReportMention, WEEK_SLACK, guess, is_first_of_form, resolve};
use super::super::rules::Citation;
use super::super::segment::Zone;
use super::super::timetable::{fell_due_before, late_period, listing_rules, plan_stage};
use super::super::{Basis, EventKind, Exchange, OverdueReport};
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

    /// The reports a letter is about: those its own clauses name, else those told around it, of which the one that fell due
    /// shortly before a letter is the one meant.
    pub(super) fn reports(&self, group: &Group, core: &BTreeSet<usize>, thread: &[usize]) -> Vec<OverdueReport> {
        let body = |i: &usize| self.sentences[*i].zone != Zone::Headline;
        let has_body = core.iter().any(body);
        let in_clause = |a: &&usize| {
            let act = &self.acts[**a];
            let within = move |r: &&ReportMention| r.start >= act.clause.start && r.start < act.clause.end;
            self.sentences[act.sentence].reports.iter().filter(within).map(move |r| (act.sentence, r))
        };
        // A headline speaks of more than the letter; it helps where nothing else does.
        let own = |a: &&usize| !has_body || body(&self.acts[**a].sentence);
        let mut found: Vec<(usize, &ReportMention)> =
            group.acts.iter().filter(own).flat_map(|a| in_clause(&a)).collect();
        let none_yet = found.is_empty();
        let told = thread.iter().filter(|i| !core.contains(i)).filter(|i| {
            let s = &self.sentences[**i];
            s.has(Signal::Breach) && (goes_on(&s.text) || s.has(Signal::Notice) || none_yet)
        });
        let told: Vec<(usize, &ReportMention)> = told.flat_map(|i| self.reports_of(i)).collect();
        let by_letter = told.iter().any(|(i, _)| goes_on(&self.sentences[*i].text));
        found.extend(told);
        let adds = || core.iter().chain(thread).any(|i| self.sentences[*i].has(Signal::Additional));
        let on_new_report = group.date().is_some_and(|day| is_first_letter(group.kind, day) || adds());
        let mut is_told_around = none_yet && !by_letter && on_new_report;
        if found.iter().all(|(i, r)| self.period_of(*i, r).is_none()) {
            let whole: Vec<_> = core.iter().filter(|i| body(i)).flat_map(|i| self.reports_of(i)).collect();
            if !whole.is_empty() {
                found = whole;
            }
        }
        if found.is_empty() {
            found = thread.iter().filter(|i| body(i)).flat_map(|i| self.reports_of(i)).collect();
        }
        // A plan refused, or an exception missed, ends the case of all letters told before.
        let ends_case = || {
            let refused = |i: &usize| self.sentences[*i].cues.iter().any(|c| c.name == "determination.plan_refused");
            group.kind == EventKind::StaffDetermination && core.iter().chain(thread).any(refused)
        };
        let on_case = !matches!(group.kind, EventKind::DeficiencyNotice | EventKind::Anticipated);
        if (found.is_empty() && on_case) || ends_case() {
            let on_letters = self.reports_of_letters();
            is_told_around &= on_letters.is_empty();
            found.extend(on_letters);
        }
        if found.is_empty() && group.kind == EventKind::Anticipated {
            found = self.reports_just_before(core);
        }
        if found.is_empty() {
            found = self.reports_before(core);
        }
        let is_bare = |form: &str| form == ANNUAL || form == QUARTERLY;
        if found.iter().any(|(_, r)| !is_bare(&r.form)) {
            found.retain(|(_, r)| !is_bare(&r.form));
        }
        let reports = self.periods(group, &found);
        let Some(letter) = group.date().filter(|_| is_told_around && is_letter(group.kind)) else { return reports };
        let around = self.periods(group, &self.reports_before(core));
        let due = |r: &&OverdueReport| r.period_end.is_some_and(|end| fell_due_before(&r.form, end, letter));
        let mut meant = Vec::new();
        reports.iter().chain(&around).filter(due).for_each(|report| add_report(&mut meant, report.clone()));
        if meant.is_empty() { reports } else { meant }
    }

    /// Mentions of reports with the end of the period of each; the same report is listed once.
    fn periods(&self, group: &Group, found: &[(usize, &ReportMention)]) -> Vec<OverdueReport> {
        // A letter, come or to come, is on a report that fell due lately.
        let expected = is_letter(group.kind) || group.kind == EventKind::Anticipated;
        let day = group.date().or(self.reference.filter(|_| group.kind == EventKind::Anticipated));
        let mut reports: Vec<OverdueReport> = Vec::new();
        for (i, mention) in found {
            let form = self.form_of(&mention.form);
            let by_letter = || day.filter(|_| expected).and_then(|d| late_period(&form, d, self.year_end));
            let is_first = is_first_of_form(mention, self.sentences[*i].range.start, &self.all_reports);
            let told = self.period_of(*i, mention);
            let told = if is_first { by_letter().or(told) } else { told };
            let by_name = || guess(mention, self.reference, self.year_end).filter(|_| expected);
            let period_end = told.or_else(by_name).or_else(by_letter);
            add_report(&mut reports, OverdueReport { form, period_end });
        }
        reports
    }

    /// The form that a report without one has: that of the company's other reports, else the usual one.
    fn form_of(&self, form: &str) -> String {
        let named = |forms: &[&str]| {
            self.sentences.iter().flat_map(|s| s.reports.iter().map(|r| r.form.as_str())).find(|f| forms.contains(f))
        };
        match form {
            ANNUAL => named(&["10-KSB", "20-F", "40-F"]).unwrap_or(if self.is_foreign { "20-F" } else { "10-K" }),
            QUARTERLY => named(&["10-QSB"]).unwrap_or("10-Q"),
            other => other,
        }
        .to_owned()
    }

    fn reports_of(&self, sentence: &usize) -> impl Iterator<Item = (usize, &ReportMention)> {
        let i = *sentence;
        self.sentences[i].reports.iter().map(move |r| (i, r))
    }

    /// The end of a report's period; "the Form 10-Q" is the one told last before.
    fn period_of(&self, sentence: usize, report: &ReportMention) -> Option<NaiveDate> {
        resolve(report, self.sentences[sentence].range.start, &self.all_reports)
            .or_else(|| guess(report, self.reference, 12).filter(|_| report.is_named_by_month()))
    }

    /// A determination or decision on the whole case is about the reports of its earlier letters.
    fn reports_of_letters(&self) -> Vec<(usize, &ReportMention)> {
        let letters = self.acts.iter().filter(|a| is_letter(a.kind) && a.date.is_some());
        let sentences: BTreeSet<usize> = letters.map(|a| a.sentence).collect();
        let late = |(i, r): &(usize, &ReportMention)| {
            let sentence = &self.sentences[*i];
            sentence.has(Signal::Breach) || CONCERNS.is_match(&sentence.text[..r.start])
        };
        sentences.iter().flat_map(|i| self.reports_of(i)).filter(late).collect()
    }

    /// What a company says of a report before it says what it expects for it, in the same paragraph or shortly before.
    fn reports_just_before(&self, core: &BTreeSet<usize>) -> Vec<(usize, &ReportMention)> {
        let Some(first) = core.first() else { return Vec::new() };
        let paragraph = self.sentences[*first].paragraph;
        let near = |i: &usize| paragraph - self.sentences[*i].paragraph <= 2;
        let told = (0..*first).rev().take_while(near).find(|i| !self.sentences[*i].reports.is_empty());
        told.map(|i| self.reports_of(&i).collect()).unwrap_or_default()
    }

    /// The late report can be told just before the letter: "the Form 10-Q was not filed. Nasdaq wrote on May 2 that...".
    fn reports_before(&self, core: &BTreeSet<usize>) -> Vec<(usize, &ReportMention)> {
        let Some(first) = core.iter().find(|i| self.sentences[**i].zone != Zone::Headline) else { return Vec::new() };
        let late = |i: &usize| self.sentences[*i].has(Signal::Breach) && !self.sentences[*i].reports.is_empty();
        let nearest = (0..*first).rev().find(late).or_else(|| (*first..self.sentences.len()).find(late));
        nearest.map(|i| self.reports_of(&i).collect()).unwrap_or_default()
    }
}

/// True if a letter of this kind and day is the exchange's first word on a late report: later ones can come months after.
fn is_first_letter(kind: EventKind, letter: NaiveDate) -> bool {
    kind == EventKind::DeficiencyNotice || (kind == EventKind::StaffDetermination && letter < plan_stage())
}

/// Adds a report that is not listed yet; one whose period is told takes the place of one whose period is not.
fn add_report(reports: &mut Vec<OverdueReport>, report: OverdueReport) {
    let known = |r: &OverdueReport| {
        let ends = r.period_end.zip(report.period_end);
        let near = ends.is_some_and(|(one, other)| (one - other).num_days().abs() <= WEEK_SLACK);
        r.form == report.form && (report.period_end.is_none() || near)
    };
    if !reports.iter().any(known) {
        reports.retain(|r| !(r.form == report.form && r.period_end.is_none()));
        reports.push(report);
    }
}

// "A like notice followed with respect to the Form 10-Q".
pattern!(
    CONCERNS,
    r"(?i)\b(?:with (?:respect|regard) to|regarding|relat(?:ing|ed) to|concern(?:ing|ed)|in respect of|as to|about|for) (?:the |its |our |both )?(?:\w+ ){0,3}(?:forms? )?$"
);

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
