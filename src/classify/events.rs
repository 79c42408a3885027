//! Acts become events: acts of one letter are joined, and the sentences around them give rules, reports and deadlines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use chrono::NaiveDate;
use regex::Regex;

use super::acts::{Act, history_cue, kind_of};
use super::bases::find_bases;
use super::dates::head;
use super::deadlines::{day_of_leaving, derived_deadlines, invites_appeal, stated_deadline};
use super::phrases::Signal;
use super::reports::{ReportMention, guess, resolve};
use super::rules::Citation;
use super::segment::Zone;
use super::sentences::{Reading, Role};
use super::{Basis, Deadline, EventKind, EventStatus, Evidence, Exchange, ListingEvent, OverdueReport, Passed};

/// Acts of one letter or decision.
#[derive(Debug, Clone)]
struct Group {
    kind: EventKind,
    exchange: Exchange,
    received: Option<NaiveDate>,
    dated: Option<NaiveDate>,
    status: EventStatus,
    reason: &'static str,
    /// Indexes of acts.
    acts: Vec<usize>,
}

impl Group {
    /// A group of one act without a date.
    fn undated(index: usize, act: &Act) -> Self {
        Self {
            kind: act.kind,
            exchange: act.exchange,
            received: None,
            dated: None,
            status: act.status,
            reason: act.reason,
            acts: vec![index],
        }
    }

    fn date(&self) -> Option<NaiveDate> {
        self.received.or(self.dated)
    }

    fn is_letter(&self) -> bool {
        is_letter(self.kind)
    }
}

fn is_letter(kind: EventKind) -> bool {
    matches!(kind, EventKind::StaffDetermination | EventKind::DeficiencyNotice)
}

/// A letter can take this long to arrive.
const POST_DAYS: i64 = 10;
/// A letter is told in so many paragraphs after the one that names it.
const THREAD_PARAGRAPHS: usize = 3;
const MAX_EVIDENCE: usize = 6;
const MAX_PASSED: usize = 50;

static EXPECTED: LazyLock<Regex> = LazyLock::new(|| {
    // A literal pattern: covered by the tests of this module's parent.
    Regex::new(r"(?i)\b(?:as (?:was |had been )?(?:expected|anticipated)|(?:received?s?|receipt of|reports) (?:an? |the )?(?:expected|anticipated)|had (?:been )?(?:expected|anticipated)|expected (?:\w+ ){0,6}(?:letter|notice|notification|determination))\b").expect("a constant of this module")
});

static ADDITIONAL: LazyLock<Regex> = LazyLock::new(|| {
    // A literal pattern: covered by the tests of this module's parent.
    Regex::new(r"(?i)\b(?:additional|second|third|fourth|fifth|sixth|further|another|like|similar)\b (?:\w+ ){0,5}?(?:letters?|notices?|notifications?|determinations?|deficienc\w+|basis|bases|ground|violation|failure|delinquenc\w+)|\b(?:additional|further|independent) (?:staff |filing )?(?:determination|deficiency)").expect("a constant of this module")
});

static ADDS: LazyLock<Regex> = LazyLock::new(|| {
    // A literal pattern: covered by the tests of this module's parent.
    Regex::new(r"(?i)\b(?:constitut\w+|serves?|represents?|is) (?:as )?an? (?:additional|further|separate|second)\b (?:\w+ ){0,2}?(?:deficienc\w+|basis|ground|violation|failure)").expect("a constant of this module")
});

/// Builds the events of a document.
pub fn assemble(
    text: &str,
    sentences: &[Reading],
    acts: &[Act],
    known_reports: Vec<(usize, ReportMention)>,
    reference: Option<NaiveDate>,
) -> super::Reading {
    let mut groups = join_dated(acts);
    let passed_acts = join_undated(sentences, acts, &mut groups);
    let mut builder = Builder {
        sentences,
        acts,
        owner: BTreeMap::new(),
        single_letter: false,
        all_reports: known_reports,
        reference,
        chars: CharIndex::new(text),
        text,
    };
    builder.index(&groups);
    let mut events = Vec::new();
    for group in &groups {
        if group.status == EventStatus::New {
            events.extend(builder.new_event(group));
        }
    }
    add_company_events(&builder, &mut events);
    for group in groups.iter().filter(|g| g.status == EventStatus::History) {
        events.extend(builder.history_event(group));
    }
    events.sort_by_key(|e| (e.status, e.kind, e.letter_date));
    let passed = builder.passed(&passed_acts);
    super::Reading { events, passed }
}

/// Joins the dated acts of one letter: same day, or the day it bears with the day it came.
fn join_dated(acts: &[Act]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut by_date: BTreeMap<NaiveDate, Vec<usize>> = BTreeMap::new();
    for (index, act) in acts.iter().enumerate() {
        let Some(date) = act.date else { continue };
        let same_day = by_date.get(&date).into_iter().flatten().copied().find(|g| joins(groups[*g].kind, act.kind));
        let pair = groups.len().checked_sub(1).filter(|g| is_pair(&groups[*g], act, acts));
        match same_day.or(pair) {
            Some(g) => {
                let group = &mut groups[g];
                group.kind = stronger(group.kind, act.kind);
                if act.status == EventStatus::New && group.status != EventStatus::New {
                    group.status = act.status;
                    group.reason = act.reason;
                }
                let slot = if act.dated { &mut group.dated } else { &mut group.received };
                slot.get_or_insert(date);
                group.acts.push(index);
                if same_day.is_none() {
                    by_date.entry(date).or_default().push(g);
                }
            }
            None => {
                by_date.entry(date).or_default().push(groups.len());
                groups.push(Group {
                    kind: act.kind,
                    exchange: act.exchange,
                    received: (!act.dated).then_some(date),
                    dated: act.dated.then_some(date),
                    status: act.status,
                    reason: act.reason,
                    acts: vec![index],
                });
            }
        }
    }
    groups
}

/// A plain notice is a notice of whatever else is told of its day.
fn joins(one: EventKind, other: EventKind) -> bool {
    one == other || one == EventKind::DeficiencyNotice || other == EventKind::DeficiencyNotice
}

fn stronger(one: EventKind, other: EventKind) -> EventKind {
    if one == EventKind::DeficiencyNotice { other } else { one }
}

fn is_pair(group: &Group, act: &Act, acts: &[Act]) -> bool {
    let Some(last) = group.acts.last().map(|i| &acts[*i]) else { return false };
    let Some(date) = act.date else { return false };
    if !joins(group.kind, act.kind) || act.sentence > last.sentence + 1 {
        return false;
    }
    // "On May 5 it was informed that the Panel on May 3 had granted": the notice only carries the decision.
    let carried = last.sentence == act.sentence && last.pattern.starts_with("letter.") && decides(act.kind);
    if carried
        && group.acts.len() == 1
        && group.date().is_some_and(|d| (0..=POST_DAYS).contains(&(d - date).num_days()))
    {
        return true;
    }
    let (bears, came) = match (group.dated, group.received, act.dated) {
        (Some(bears), None, false) => (bears, date),
        (None, Some(came), true) if act.sentence == last.sentence + 1 || act.sentence == last.sentence => (date, came),
        _ => return false,
    };
    (0..=POST_DAYS).contains(&(came - bears).num_days())
}

/// Lets undated acts join the letter they speak of, or stand alone if nothing dated is news. Returns those left out.
fn join_undated(sentences: &[Reading], acts: &[Act], groups: &mut Vec<Group>) -> Vec<usize> {
    let mut passed = Vec::new();
    for (index, act) in acts.iter().enumerate() {
        let company = matches!(act.kind, EventKind::HearingRequested | EventKind::Anticipated | EventKind::Delisting);
        if act.date.is_some() || company {
            continue;
        }
        if act.status == EventStatus::History {
            passed.push(index);
            continue;
        }
        let paragraph = sentences[act.sentence].paragraph;
        let headline = sentences[act.sentence].zone == Zone::Headline;
        let near = |g: &Group| {
            headline
                || g.acts.iter().any(|a| {
                    acts[*a].sentence.abs_diff(act.sentence) <= 2 || sentences[acts[*a].sentence].paragraph == paragraph
                })
        };
        let fresh = |g: &&mut Group| g.status == EventStatus::New;
        let letter = matches!(act.kind, EventKind::StaffDetermination | EventKind::DeficiencyNotice);
        let plain = |g: &Group| {
            g.kind == EventKind::DeficiencyNotice
                && !g.acts.iter().any(|a| sentences[acts[*a].sentence].has(Signal::Breach))
        };
        let target = groups.iter_mut().filter(fresh).find(|g| {
            g.kind == act.kind
                || (decides(act.kind) && plain(g) && near(g))
                || (weak_panel(g, acts) && decides(act.kind))
                || (letter && g.is_letter() && near(g))
                || (act.kind == EventKind::DeficiencyNotice && near(g))
        });
        match target {
            Some(group) => {
                let raised = group.kind == EventKind::DeficiencyNotice && act.kind == EventKind::StaffDetermination;
                let raised = raised || (decides(act.kind) && plain(group));
                if raised || (weak_panel(group, acts) && decides(act.kind)) {
                    group.kind = act.kind;
                }
                group.acts.push(index);
            }
            None => groups.push(Group::undated(index, act)),
        }
    }
    drop_weak_undated(sentences, acts, groups);
    passed
}

/// True for a decision of a panel of which no more is known than that it was written.
fn weak_panel(group: &Group, acts: &[Act]) -> bool {
    group.kind == EventKind::PanelDecision && group.acts.iter().all(|a| acts[*a].pattern == "panel.writes")
}

fn decides(kind: EventKind) -> bool {
    matches!(kind, EventKind::ExtensionGranted | EventKind::PanelDecision | EventKind::ComplianceRegained)
}

/// An undated act is news only if nothing dated tells the same better and its words carry it alone.
fn drop_weak_undated(sentences: &[Reading], acts: &[Act], groups: &mut Vec<Group>) {
    let dated_new: BTreeSet<EventKind> =
        groups.iter().filter(|g| g.status == EventStatus::New && g.date().is_some()).map(|g| g.kind).collect();
    let any_dated_new = !dated_new.is_empty();
    let dated_letter = dated_new.iter().any(|k| is_letter(*k));
    groups.retain(|g| {
        if g.date().is_some() || g.status == EventStatus::History {
            return true;
        }
        let has = |signal: Signal| g.acts.iter().any(|a| sentences[acts[*a].sentence].has(signal));
        let headline_only = g.acts.iter().all(|a| sentences[acts[*a].sentence].zone == Zone::Headline);
        match g.kind {
            EventKind::DeficiencyNotice => {
                !dated_letter && !any_dated_new && !headline_only && (has(Signal::Breach) || has(Signal::News))
            }
            EventKind::StaffDetermination => {
                let decided =
                    [Signal::Panel, Signal::PanelGrant, Signal::PanelDelist, Signal::CouncilReview, Signal::Hearing];
                let by_panel = dated_new.contains(&EventKind::PanelDecision) && !has(Signal::Additional);
                let aside = any_dated_new && decided.iter().any(|s| has(*s));
                !(dated_letter || by_panel || headline_only || aside)
            }
            EventKind::ExtensionGranted | EventKind::CouncilReview | EventKind::PanelDecision => !any_dated_new,
            EventKind::ComplianceRegained => !dated_new.contains(&EventKind::ExtensionGranted),
            _ => true,
        }
    });
}

struct Builder<'a> {
    text: &'a str,
    sentences: &'a [Reading],
    acts: &'a [Act],
    /// Sentence -> groups whose dated acts it holds, by position in the list of groups.
    owner: BTreeMap<usize, BTreeSet<(Option<NaiveDate>, EventKind)>>,
    /// The document tells one new letter or decision and no more.
    single_letter: bool,
    all_reports: Vec<(usize, ReportMention)>,
    reference: Option<NaiveDate>,
    chars: CharIndex,
}

impl Builder<'_> {
    fn index(&mut self, groups: &[Group]) {
        for group in groups {
            for act in &group.acts {
                if self.acts[*act].date.is_some() {
                    self.owner.entry(self.acts[*act].sentence).or_default().insert((group.date(), group.kind));
                }
            }
        }
        self.single_letter = groups.iter().filter(|g| g.status == EventStatus::New).count() == 1;
    }

    fn core(&self, group: &Group) -> BTreeSet<usize> {
        group.acts.iter().map(|a| self.acts[*a].sentence).collect()
    }

    /// Core sentences and those that go on from them until another letter is told.
    fn thread(&self, group: &Group) -> Vec<usize> {
        let core = self.core(group);
        let mine = (group.date(), group.kind);
        let mut thread: BTreeSet<usize> = core.clone();
        for start in core.iter().filter(|s| self.sentences[**s].zone != Zone::Headline || core.len() == 1) {
            let mut paragraph = self.sentences[*start].paragraph;
            for (i, next) in self.sentences.iter().enumerate().skip(start + 1) {
                let others = self.owner.get(&i).is_some_and(|owners| !owners.contains(&mine)) && !goes_on(&next.text);
                if others
                    || next.zone == Zone::ForwardLooking
                    || next.paragraph > paragraph + THREAD_PARAGRAPHS
                    || next.foreign
                {
                    break;
                }
                if history_cue(next, &(0..next.text.len())).is_some() && !core.contains(&i) {
                    break;
                }
                paragraph = next.paragraph;
                thread.insert(i);
            }
        }
        thread.into_iter().collect()
    }

    /// All that the document says about its only new letter, history left out.
    fn reach(&self, group: &Group, thread: &[usize]) -> Vec<usize> {
        if !self.single_letter {
            return thread.to_vec();
        }
        let mine = (group.date(), group.kind);
        let mut reach: BTreeSet<usize> = thread.iter().copied().collect();
        for (i, next) in self.sentences.iter().enumerate() {
            let others = self.owner.get(&i).is_some_and(|owners| !owners.contains(&mine)) && !goes_on(&next.text);
            let told = history_cue(next, &(0..next.text.len())).is_some();
            if !others && !told && !next.foreign && next.zone == Zone::Body {
                reach.insert(i);
            }
        }
        reach.into_iter().collect()
    }

    fn new_event(&self, group: &Group) -> Option<ListingEvent> {
        let thread = self.thread(group);
        let core = self.core(group);
        let reach = self.reach(group, &thread);
        let mut kind = self.settle_panel(group, &thread)?;
        if kind == EventKind::DeficiencyNotice && !core.iter().any(|i| self.sentences[*i].has(Signal::Breach)) {
            kind = self.settle_plain(&thread);
        }
        if kind == EventKind::DeficiencyNotice
            && (reach.iter().any(|i| self.shows_determination(*i))
                || group.date().is_some_and(|d| reach.iter().any(|i| invites_appeal(&self.sentences[*i], d)))
                || (self.single_letter && self.hearing_without_other_cause()))
        {
            kind = EventKind::StaffDetermination;
        }
        let (rules, mut bases) = self.rules_and_bases(group, &core, &thread);
        if kind == EventKind::DeficiencyNotice {
            let breach = thread.iter().any(|i| self.sentences[*i].has(Signal::Breach));
            let cited =
                thread.iter().any(|i| self.sentences[*i].rules.iter().any(|c| is_basis(c) && c.basis != Basis::Other));
            if bases.is_empty() || !(breach || cited) {
                return None;
            }
            if is_early_late_filing(group, &bases) {
                kind = EventKind::StaffDetermination;
            }
        }
        if bases.is_empty() && kind != EventKind::DeficiencyNotice {
            bases = self.document_bases(group.exchange);
        }
        let exchange = rules.first().map_or(group.exchange, |r| r.exchange);
        let reports = if bases.contains(&Basis::LateFiling) { self.reports(group, &core, &thread) } else { Vec::new() };
        let deadlines = self.deadlines(group, kind, &reach, &bases);
        let headline: Vec<&str> =
            self.sentences.iter().filter(|s| s.zone == Zone::Headline).map(|s| s.text.as_str()).collect();
        let flag = |regex: &Regex| {
            core.iter().any(|i| regex.is_match(&self.sentences[*i].text)) || headline.iter().any(|h| regex.is_match(h))
        };
        let letter = matches!(kind, EventKind::StaffDetermination | EventKind::DeficiencyNotice);
        let adds = |s: &Reading| {
            ADDS.is_match(&s.text) && s.letter_dates().next().is_none() && history_cue(s, &(0..s.text.len())).is_none()
        };
        let additional = letter
            && (flag(&ADDITIONAL)
                || self.sentences.iter().any(|s| s.zone == Zone::Body && adds(s))
                || thread.iter().any(|i| {
                    self.sentences[*i].has(Signal::Additional) || ADDITIONAL.is_match(&self.sentences[*i].text)
                }));
        Some(ListingEvent {
            bases,
            letter_date: group.date(),
            received: group.received,
            dated: group.dated,
            confidence: self.confidence(group, &core, !rules.is_empty()),
            rules: rules.into_iter().map(|r| r.rule).collect(),
            reports,
            deadlines,
            additional,
            expected: letter && flag(&EXPECTED),
            evidence: self.evidence(&group.acts),
            reason: group.reason.to_owned(),
            ..ListingEvent::bare(kind, EventStatus::New, exchange)
        })
    }

    fn history_event(&self, group: &Group) -> Option<ListingEvent> {
        let core = self.core(group);
        let (rules, bases) = self.rules_and_bases(group, &core, &[]);
        group.date()?;
        Some(ListingEvent {
            bases,
            letter_date: group.date(),
            received: group.received,
            dated: group.dated,
            rules: rules.into_iter().map(|r| r.rule).collect(),
            confidence: 0.8,
            evidence: self.evidence(&group.acts),
            reason: self.history_reason(group),
            ..ListingEvent::bare(group.kind, EventStatus::History, group.exchange)
        })
    }

    fn history_reason(&self, group: &Group) -> String {
        let cue = group.acts.iter().find_map(|a| {
            let act = &self.acts[*a];
            let sentence = &self.sentences[act.sentence];
            history_cue(sentence, &act.clause).map(|c| sentence.text[c.start..c.end].trim().to_owned())
        });
        match cue {
            Some(words) => format!("{}: \"{words}\"", group.reason),
            None => group.reason.to_owned(),
        }
    }

    /// A decision of a panel that delists nothing gives time, or finds compliance; else it is no event.
    fn settle_panel(&self, group: &Group, thread: &[usize]) -> Option<EventKind> {
        let has = |signal: Signal| thread.iter().any(|i| self.sentences[*i].has(signal));
        let weak = group
            .acts
            .iter()
            .all(|a| self.acts[*a].kind != EventKind::PanelDecision || self.acts[*a].pattern == "panel.writes");
        if group.kind != EventKind::PanelDecision || !weak || has(Signal::PanelDelist) {
            return Some(group.kind);
        }
        if has(Signal::PanelGrant) || has(Signal::Extension) {
            Some(EventKind::ExtensionGranted)
        } else if has(Signal::Regained) {
            Some(EventKind::ComplianceRegained)
        } else if has(Signal::Delisting) || has(Signal::Determination) {
            Some(EventKind::PanelDecision)
        } else {
            None
        }
    }

    /// A letter of which only the next sentences say what it does.
    fn settle_plain(&self, thread: &[usize]) -> EventKind {
        let settled = thread.iter().find_map(|i| {
            let sentence = &self.sentences[*i];
            if history_cue(sentence, &(0..sentence.text.len())).is_some() || sentence.zone == Zone::Headline {
                return None;
            }
            match kind_of(sentence, &(0..sentence.text.len())) {
                Some((kind, _)) if matches!(kind, EventKind::ExtensionGranted | EventKind::ComplianceRegained) => {
                    Some(kind)
                }
                Some((EventKind::StaffDetermination, _)) => Some(EventKind::DeficiencyNotice),
                _ if sentence.has(Signal::Breach) => Some(EventKind::DeficiencyNotice),
                _ => None,
            }
        });
        settled.unwrap_or(EventKind::DeficiencyNotice)
    }

    /// Panels hear no plan-stage notices: a hearing asked for now, with no older determination told, shows a determination.
    fn hearing_without_other_cause(&self) -> bool {
        let asked = |a: &Act| a.kind == EventKind::HearingRequested && a.status == EventStatus::New;
        let older = |a: &Act| a.kind == EventKind::StaffDetermination && a.status == EventStatus::History;
        self.acts.iter().any(asked) && !self.acts.iter().any(older)
    }

    fn shows_determination(&self, index: usize) -> bool {
        let sentence = &self.sentences[index];
        history_cue(sentence, &(0..sentence.text.len())).is_none()
            && sentence.cues.iter().any(|c| {
                matches!(c.signal, Signal::Additional)
                    || (c.signal == Signal::Determination && c.name != "determination.named")
            })
    }

    /// Rules of the clauses that tell the letter and of the sentences that go on from them, and what they are about.
    fn rules_and_bases(&self, group: &Group, core: &BTreeSet<usize>, thread: &[usize]) -> (Vec<Citation>, Vec<Basis>) {
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
        let settled = !is_letter(group.kind) && cited.iter().any(|c| is_basis(c));
        for i in thread.iter().filter(|i| !core.contains(i) && !settled) {
            let sentence = &self.sentences[*i];
            let same = paragraphs.contains(&sentence.paragraph) || goes_on(&sentence.text);
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
    fn document_rules(&self, exchange: Exchange) -> Vec<Citation> {
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
    fn document_bases(&self, exchange: Exchange) -> Vec<Basis> {
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

    fn reports(&self, group: &Group, core: &BTreeSet<usize>, thread: &[usize]) -> Vec<OverdueReport> {
        let in_clause = |a: &usize| {
            let act = &self.acts[*a];
            let within = move |r: &&ReportMention| r.start >= act.clause.start && r.start < act.clause.end;
            self.sentences[act.sentence].reports.iter().filter(within).map(move |r| (act.sentence, r))
        };
        let body = |i: &&usize| self.sentences[**i].zone != Zone::Headline;
        let mut found: Vec<(usize, &ReportMention)> = group.acts.iter().flat_map(in_clause).collect();
        let none_yet = found.is_empty();
        let told = thread.iter().filter(|i| !core.contains(i)).filter(|i| {
            let s = &self.sentences[**i];
            s.has(Signal::Breach) && (goes_on(&s.text) || s.has(Signal::Notice) || none_yet)
        });
        found.extend(told.flat_map(|i| self.reports_of(i)));
        if found.iter().all(|(i, r)| self.period_of(*i, r).is_none()) {
            let whole: Vec<_> = core.iter().filter(body).flat_map(|i| self.reports_of(i)).collect();
            if !whole.is_empty() {
                found = whole;
            }
        }
        if found.is_empty() {
            found = thread.iter().filter(body).flat_map(|i| self.reports_of(i)).collect();
        }
        if found.is_empty() && group.kind != EventKind::DeficiencyNotice {
            found = self.reports_of_letters();
        }
        if found.is_empty() {
            found = self.reports_before(core);
        }
        let mut reports: Vec<OverdueReport> = Vec::new();
        for (i, mention) in found {
            let report = OverdueReport { form: mention.form.clone(), period_end: self.period_of(i, mention) };
            let known = |r: &OverdueReport| {
                r.form == report.form && (r.period_end == report.period_end || report.period_end.is_none())
            };
            if !reports.iter().any(known) {
                reports.retain(|r| !(r.form == report.form && r.period_end.is_none()));
                reports.push(report);
            }
        }
        reports
    }

    fn reports_of(&self, sentence: &usize) -> impl Iterator<Item = (usize, &ReportMention)> {
        let i = *sentence;
        self.sentences[i].reports.iter().map(move |r| (i, r))
    }

    /// The end of a report's period; "the Form 10-Q" is the one told last before.
    fn period_of(&self, sentence: usize, report: &ReportMention) -> Option<NaiveDate> {
        resolve(report, self.sentences[sentence].range.start, &self.all_reports)
            .or_else(|| guess(report, self.reference))
    }

    /// A determination or decision on the whole case is about the reports of its earlier letters.
    fn reports_of_letters(&self) -> Vec<(usize, &ReportMention)> {
        let letters = self.acts.iter().filter(|a| is_letter(a.kind) && a.date.is_some());
        let sentences: BTreeSet<usize> = letters.map(|a| a.sentence).collect();
        let late = sentences.iter().filter(|i| self.sentences[**i].has(Signal::Breach));
        late.flat_map(|i| self.reports_of(i)).collect()
    }

    /// The late report can be told just before the letter: "the Form 10-Q was not filed. Nasdaq wrote on May 2 that...".
    fn reports_before(&self, core: &BTreeSet<usize>) -> Vec<(usize, &ReportMention)> {
        let Some(first) = core.iter().find(|i| self.sentences[**i].zone != Zone::Headline) else { return Vec::new() };
        let late = |i: &usize| self.sentences[*i].has(Signal::Breach) && !self.sentences[*i].reports.is_empty();
        let nearest = (0..*first).rev().find(late).or_else(|| (*first..self.sentences.len()).find(late));
        nearest.map(|i| self.reports_of(&i).collect()).unwrap_or_default()
    }

    fn deadlines(&self, group: &Group, kind: EventKind, thread: &[usize], bases: &[Basis]) -> Vec<Deadline> {
        let Some(letter) = group.date().or(self.reference) else { return Vec::new() };
        let mut stated: Vec<Deadline> = Vec::new();
        for i in thread {
            let sentence = &self.sentences[*i];
            for index in 0..sentence.dates.len() {
                if let Some(deadline) = stated_deadline(sentence, index, kind, letter)
                    && !stated.iter().any(|d| d.what == deadline.what && d.date == deadline.date)
                {
                    stated.push(deadline);
                }
            }
        }
        if let Some(letter) = group.dated.or(group.received).filter(|_| group.exchange == Exchange::Nasdaq) {
            let derived = derived_deadlines(kind, bases, letter, plan_stage(), &stated);
            stated.extend(derived);
        }
        stated
    }

    /// Days to come that a company names when it leaves an exchange.
    fn days_of_leaving(&self, sentence: usize) -> Vec<Deadline> {
        let Some(today) = self.reference else { return Vec::new() };
        let mut days: Vec<Deadline> = Vec::new();
        let paragraph = self.sentences[sentence].paragraph;
        for reading in self.sentences[sentence..].iter().take_while(|s| s.paragraph <= paragraph + 2) {
            for date in reading.dates.iter().filter(|d| d.role != Role::Period && d.mention.date >= today) {
                let deadline = day_of_leaving(reading, date);
                if !days.iter().any(|d| d.date == deadline.date) {
                    days.push(deadline);
                }
            }
        }
        days
    }

    fn confidence(&self, group: &Group, core: &BTreeSet<usize>, has_rule: bool) -> f64 {
        let mut score: f64 = 0.6;
        if group.date().is_some() {
            score += 0.15;
        }
        if has_rule {
            score += 0.1;
        }
        if core.iter().any(|i| self.sentences[*i].has(Signal::Notice)) {
            score += 0.08;
        }
        if core.iter().any(|i| self.sentences[*i].has(Signal::News)) {
            score += 0.05;
        }
        if core.iter().all(|i| self.sentences[*i].has(Signal::History)) {
            score -= 0.2;
        }
        (score.clamp(0.05, 0.98) * 100.0).round() / 100.0
    }

    fn evidence(&self, acts: &[usize]) -> Vec<Evidence> {
        let mut seen = BTreeSet::new();
        acts.iter()
            .filter(|a| seen.insert(self.acts[**a].sentence))
            .take(MAX_EVIDENCE)
            .map(|a| self.quote(self.acts[*a].sentence, self.acts[*a].pattern))
            .collect()
    }

    fn quote(&self, sentence: usize, pattern: &str) -> Evidence {
        let range = self.sentences[sentence].range.clone();
        Evidence {
            start: self.chars.of(self.text, range.start),
            end: self.chars.of(self.text, range.end),
            text: self.text[range].to_owned(),
            pattern: pattern.to_owned(),
            document: None,
        }
    }

    fn passed(&self, acts: &[usize]) -> Vec<Passed> {
        let mut seen = BTreeSet::new();
        let first = acts.iter().filter(|a| seen.insert(self.acts[**a].sentence)).take(MAX_PASSED);
        first
            .map(|a| {
                let quote = self.quote(self.acts[*a].sentence, "");
                Passed { start: quote.start, end: quote.end, text: quote.text, reason: self.acts[*a].reason.to_owned() }
            })
            .collect()
    }
}

/// What the company does or expects itself: at most one event of each kind.
fn add_company_events(builder: &Builder, events: &mut Vec<ListingEvent>) {
    let new_letter =
        events.iter().any(|e| matches!(e.kind, EventKind::StaffDetermination | EventKind::DeficiencyNotice));
    let company = |kind: EventKind| {
        builder
            .acts
            .iter()
            .enumerate()
            .filter(move |(_, a)| a.kind == kind && a.date.is_none() && a.status == EventStatus::New)
    };
    let event = |index: usize, kind: EventKind, bases: Vec<Basis>, rules: Vec<String>| ListingEvent {
        bases,
        rules,
        confidence: 0.85,
        evidence: builder.evidence(&[index]),
        reason: builder.acts[index].reason.to_owned(),
        ..ListingEvent::bare(kind, EventStatus::New, builder.acts[index].exchange)
    };
    let determined: Vec<Basis> = distinct(
        events.iter().filter(|e| e.kind == EventKind::StaffDetermination).flat_map(|e| e.bases.iter().copied()),
    );

    let council = |i: usize| builder.sentences[builder.acts[i].sentence].text.to_lowercase().contains("council");
    if let Some((index, act)) = company(EventKind::HearingRequested).find(|(i, _)| !council(*i)) {
        let bases = if determined.is_empty() { builder.document_bases(act.exchange) } else { determined };
        events.push(event(index, EventKind::HearingRequested, bases, Vec::new()));
    }
    if let Some((index, act)) = company(EventKind::Anticipated).next().filter(|_| !new_letter) {
        let core = BTreeSet::from([act.sentence]);
        let group = Group::undated(index, act);
        let (rules, mut bases) = builder.rules_and_bases(&group, &core, &[]);
        if bases.is_empty() {
            bases = builder.document_bases(act.exchange);
        }
        if bases.is_empty() && find_bases(head(builder.text, 8000)).contains(&Basis::LateFiling) {
            bases.push(Basis::LateFiling);
        }
        if !bases.is_empty() {
            let mut found = event(index, EventKind::Anticipated, bases, rules.into_iter().map(|r| r.rule).collect());
            if found.bases.contains(&Basis::LateFiling) {
                found.reports = builder.reports(&group, &core, &[act.sentence]);
            }
            events.push(found);
        }
    }
    let delisted = events.iter().find(|e| e.kind == EventKind::PanelDecision).cloned();
    if let Some(decision) = delisted {
        events.push(ListingEvent { kind: EventKind::Delisting, reports: Vec::new(), ..decision });
    } else if !new_letter
        && !events.iter().any(|e| {
            matches!(e.kind, EventKind::ExtensionGranted | EventKind::CouncilReview | EventKind::ComplianceRegained)
        })
    {
        let leaves = |i: usize, pattern: &str| {
            let sentence = &builder.sentences[builder.acts[i].sentence];
            pattern != "delisting.effective" || sentence.zone == Zone::Headline || sentence.has(Signal::News)
        };
        let recent = |act: &Act| {
            let sentence = &builder.sentences[act.sentence];
            sentence.zone == Zone::Headline
                || sentence.has(Signal::News)
                || builder
                    .reference
                    .is_some_and(|r| sentence.dates.iter().any(|d| (0..=7).contains(&(r - d.mention.date).num_days())))
        };
        if let Some((index, act)) = company(EventKind::Delisting).find(|(i, a)| leaves(*i, a.pattern) && recent(a)) {
            let sentence = &builder.sentences[act.sentence].text;
            let chosen = act.pattern == "delisting.voluntary" && !GIVES_UP.is_match(sentence);
            let (bases, rules) = if chosen {
                (Vec::new(), Vec::new())
            } else {
                let mut rules = builder.document_rules(act.exchange);
                dedup_rules(&mut rules);
                (builder.document_bases(act.exchange), rules.into_iter().map(|r| r.rule).collect())
            };
            let mut left = event(index, EventKind::Delisting, bases, rules);
            left.exchange = left_exchange(sentence).unwrap_or(left.exchange);
            left.deadlines = builder.days_of_leaving(act.sentence);
            events.push(left);
        }
    }
}

static GIVES_UP: LazyLock<Regex> = LazyLock::new(|| {
    // A literal pattern: covered by the tests of this module's parent.
    Regex::new(r"(?i)\b(?:appeal|hearing)\b").expect("a constant of this module")
});

/// The exchange a company leaves, where a sentence names two.
fn left_exchange(sentence: &str) -> Option<Exchange> {
    static FROM: LazyLock<Regex> = LazyLock::new(|| {
        // A literal pattern: covered by the tests of this module's parent.
        Regex::new(
            r"(?i)\bfrom (?:the )?(nyse american|nyse mkt|nyse amex|american stock|amex|nyse|new york stock|nasdaq)",
        )
        .expect("a constant of this module")
    });
    let found = FROM.captures(sentence)?;
    Some(match found[1].to_lowercase().as_str() {
        "nasdaq" => Exchange::Nasdaq,
        "nyse" | "new york stock" => Exchange::Nyse,
        _ => Exchange::NyseAmerican,
    })
}

/// True for a sentence that goes on about the letter named before it.
fn goes_on(sentence: &str) -> bool {
    static GOES_ON: LazyLock<Regex> = LazyLock::new(|| {
        // A literal pattern: covered by the tests of this module's parent.
        Regex::new(r"(?i)^\W*(?:it|in (?:its|the|that) (?:letter|notice)|(?:the|this|that|such)(?: \w+){0,2} (?:letter|notice|notification|determination)|the (?:second|first|last|latter)|second|first|the staff (?:gave|noted|based|also))\b").expect("a constant of this module")
    });
    GOES_ON.is_match(sentence)
}

fn is_basis(citation: &Citation) -> bool {
    !citation.procedure && !citation.aside
}

fn dedup_rules(rules: &mut Vec<Citation>) {
    let mut seen = BTreeSet::new();
    rules.retain(|r| seen.insert(r.rule.clone()));
    // "Rule 5250(c)" beside "Rule 5250(c)(1)" names the same rule.
    let all: Vec<String> = rules.iter().map(|r| r.rule.clone()).collect();
    rules.retain(|r| !all.iter().any(|o| o.len() > r.rule.len() && o.starts_with(&format!("{}(", r.rule))));
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for item in items {
        if !found.contains(&item) {
            found.push(item);
        }
    }
    found
}

/// Before this day a late report brought a determination at once; from then on a notice that invites a plan comes first.
fn plan_stage() -> NaiveDate {
    NaiveDate::from_ymd_opt(2008, 11, 1).unwrap_or(NaiveDate::MIN)
}

fn is_early_late_filing(group: &Group, bases: &[Basis]) -> bool {
    group.exchange == Exchange::Nasdaq
        && bases.contains(&Basis::LateFiling)
        && group.date().is_some_and(|d| d < plan_stage())
}

/// Counts of characters at every so many bytes, so that an offset costs the same anywhere in a long text.
struct CharIndex {
    counts: Vec<usize>,
}

const CHAR_STEP: usize = 4096;

impl CharIndex {
    fn new(text: &str) -> Self {
        let mut counts = vec![0];
        let mut n = 0;
        for (i, byte) in text.bytes().enumerate() {
            if i > 0 && i % CHAR_STEP == 0 {
                counts.push(n);
            }
            n += usize::from(byte & 0xC0 != 0x80);
        }
        Self { counts }
    }

    /// Characters before the byte offset `at`.
    fn of(&self, text: &str, at: usize) -> usize {
        let step = (at / CHAR_STEP).min(self.counts.len() - 1);
        let rest = &text.as_bytes()[step * CHAR_STEP..at.min(text.len())];
        self.counts[step] + rest.iter().filter(|b| **b & 0xC0 != 0x80).count()
    }
}
