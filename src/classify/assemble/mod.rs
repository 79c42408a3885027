//! Acts become events: acts of one letter are joined, and the sentences around them give rules, reports and deadlines.
//!
//! ```text
//! groups     acts of one letter, joined
//! grounds    rules and bases
//! overdue    the reports that are late
//! company    what the company does or expects itself
//! evidence   the words that show an event, with their place in the text
//! ```

mod company;
mod evidence;
mod grounds;
mod groups;
mod overdue;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::acts::{Act, WEAK_PANEL, history_cue, kind_of, retells};
use super::certainty::{Observed, confidence, runner_up, weigh_history, weigh_news};
use super::deadlines::{ByRule, invites_appeal, stated_deadline};
use super::matcher::Matcher;
use super::outlook::{find_causes, find_hearing, find_steps};
use super::passages::PASSAGE;
use super::phrases::Signal;
use super::reports::{ReportMention, fiscal_year_end};
use super::segment::{Segmented, Zone};
use super::sentences::{MAX_LIST, Reading, find_known_reports, is_point};
use super::timetable::{Facts, derive_deadlines, plan_stage};
use super::{Basis, Cause, Deadline, DeadlineKind, DocumentContext, EventKind, EventStatus, Exchange, ListingEvent};
use crate::calendar::business_days_between;
use company::add_company_events;
use evidence::CharIndex;
use grounds::is_basis;
use groups::{Group, is_letter, join_dated, join_undated};

/// A letter is told in so many paragraphs after the one that names it.
const THREAD_PARAGRAPHS: usize = 3;

pattern!(
    EXPECTED,
    r"(?i)\b(?:as (?:was |had been )?(?:expected|anticipated)|(?:received?s?|receipt of|reports) (?:an? |the )?(?:expected|anticipated)|had (?:been )?(?:expected|anticipated)|expected (?:\w+ ){0,6}(?:letter|notice|notification|determination))\b"
);

pattern!(
    ADDITIONAL,
    r"(?i)\b(?:additional|second|third|fourth|fifth|sixth|further|another|like|similar)\b (?:\w+ ){0,5}?(?:letters?|notices?|notifications?|determinations?|deficienc\w+|basis|bases|ground|violation|failure|delinquenc\w+)|\b(?:additional|further|independent) (?:staff |filing )?(?:determination|deficiency)"
);

pattern!(
    ADDS,
    r"(?i)\b(?:constitut\w+|serves?|represents?|is) (?:as )?an? (?:additional|further|separate|second)\b (?:\w+ ){0,2}?(?:deficienc\w+|basis|ground|violation|failure)"
);

/// Builds the events of a document.
pub fn assemble(
    text: &str,
    segmented: &Segmented,
    sentences: &[Reading],
    acts: &[Act],
    context: &DocumentContext,
    reference: Option<NaiveDate>,
) -> super::Reading {
    let mut groups = join_dated(acts);
    let passed_acts = join_undated(sentences, acts, &mut groups);
    let known = find_known_reports(segmented, reference);
    let mut assembler = Assembler {
        sentences,
        acts,
        owner: BTreeMap::new(),
        single_letter: false,
        segmented,
        year_end: fiscal_year_end(&known, &segmented.masked),
        is_foreign: context.form.is_some_and(|f| f.starts_with("6-K") || f.starts_with("20-F")),
        all_reports: known,
        reference,
        causes: OnceCell::new(),
        chars: CharIndex::new(text),
        text,
    };
    assembler.index(&groups);
    let mut events = Vec::new();
    for group in &groups {
        if group.status == EventStatus::New {
            events.extend(assembler.new_event(group));
        }
    }
    add_company_events(&assembler, &mut events);
    for group in groups.iter().filter(|g| g.status == EventStatus::History) {
        events.extend(assembler.history_event(group));
    }
    events.sort_by_key(|e| (e.status, e.kind, e.letter_date));
    let passed = assembler.passed(&passed_acts);
    super::Reading { events, passed }
}

struct Assembler<'a> {
    text: &'a str,
    segmented: &'a Segmented,
    sentences: &'a [Reading<'a>],
    acts: &'a [Act<'a>],
    /// Sentence -> groups whose dated acts it holds, by position in the list of groups.
    owner: BTreeMap<usize, BTreeSet<(Option<NaiveDate>, EventKind)>>,
    /// The document tells one new letter or decision and no more.
    single_letter: bool,
    all_reports: Vec<(usize, ReportMention)>,
    /// The month in which the company's fiscal years end.
    year_end: u32,
    /// It reports on Forms 20-F and 6-K.
    is_foreign: bool,
    reference: Option<NaiveDate>,
    causes: OnceCell<Vec<Cause>>,
    chars: CharIndex,
}

impl Assembler<'_> {
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
        for first in core.iter().filter(|s| self.sentences[**s].zone != Zone::Headline) {
            let paragraph = self.sentences[*first].paragraph;
            for i in (0..*first).rev().take_while(|i| self.sentences[*i].paragraph == paragraph) {
                let before = &self.sentences[i];
                let told = retells(before);
                if told || before.foreign || self.owner.contains_key(&i) {
                    break;
                }
                thread.insert(i);
            }
        }
        for start in core.iter().filter(|s| self.sentences[**s].zone != Zone::Headline || core.len() == 1) {
            let mut paragraph = self.sentences[*start].paragraph;
            for (i, next) in self.sentences.iter().enumerate().skip(start + 1) {
                let others = self.owner.get(&i).is_some_and(|owners| !owners.contains(&mine)) && !goes_on(&next.text);
                if opens_item(&next.text) {
                    break;
                }
                if !next.in_context && next.paragraph != paragraph {
                    continue;
                }
                if others
                    || next.zone == Zone::ForwardLooking
                    || next.paragraph > paragraph + THREAD_PARAGRAPHS
                    || next.foreign
                {
                    break;
                }
                // "The letter adds that its bid price, of which it had been told in April, is a further reason".
                let adds = goes_on(&next.text) && next.has(Signal::Additional);
                if retells(next) && !core.contains(&i) && !adds {
                    // "The letter concerns the resignation that was reported": its next sentence goes on.
                    if goes_on(&next.text) && next.paragraph == paragraph {
                        continue;
                    }
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
            let told = retells(next);
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
        } else if kind == EventKind::DeficiencyNotice && self.only_topic(&core) {
            let after: Vec<usize> = thread.iter().copied().filter(|i| !core.contains(i)).collect();
            kind = self.settle_plain(&after);
        }
        if kind == EventKind::DeficiencyNotice
            && (thread.iter().any(|i| self.near(&core, *i) && self.shows_determination(*i))
                || group.date().is_some_and(|d| reach.iter().any(|i| invites_appeal(&self.sentences[*i], d)))
                || (self.single_letter && self.hearing_without_other_cause()))
        {
            kind = EventKind::StaffDetermination;
        }
        let of_index = |i: &usize| self.sentences[*i].cues.iter().any(|c| c.name == "unreal.index");
        if is_letter(kind) && reach.iter().any(of_index) && reach.iter().all(|i| self.sentences[*i].rules.is_empty()) {
            return None;
        }
        // "It had not complied ... The letter acknowledges that it has regained compliance."
        let acknowledged = |i: &usize| {
            let sentence = &self.sentences[*i];
            !core.contains(i) && goes_on(&sentence.text) && sentence.has(Signal::Regained)
        };
        let asks =
            |i: &usize| self.sentences[*i].has(Signal::PlanInvited) || self.sentences[*i].has(Signal::CurePeriod);
        pattern!(WAS_IN_BREACH, r"(?i)\bhad (?:not|been|failed|fallen)\b");
        let over = core.iter().any(|i| WAS_IN_BREACH.is_match(&self.sentences[*i].text));
        if kind == EventKind::DeficiencyNotice && over && thread.iter().any(acknowledged) && !thread.iter().any(asks) {
            kind = EventKind::ComplianceRegained;
        }
        // Who is given time asks for no hearing: what is told of time then was given before, or refused.
        let refused = |i: &usize| {
            let cues = &self.sentences[*i].cues;
            cues.iter().any(|c| c.signal == Signal::Determination && c.name != "determination.named")
        };
        let by_staff = group.acts.iter().all(|a| self.acts[*a].pattern.starts_with("extension."));
        if kind == EventKind::ExtensionGranted
            && by_staff
            && (core.iter().any(refused) || (self.single_letter && self.hearing_without_other_cause()))
        {
            kind = EventKind::StaffDetermination;
        }
        if is_letter(kind)
            && let Some(decided) = self.decided_elsewhere(group, &core, &reach)
        {
            kind = decided;
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
        let named = core.iter().chain(&thread).any(|i| self.sentences[*i].names_exchange);
        if !named && rules.is_empty() && is_letter(kind) {
            // Somebody else's letter, told where an exchange happens to be named before.
            return None;
        }
        let exchange = rules.first().map_or(group.exchange, |r| r.exchange);
        let late = bases.contains(&Basis::LateFiling);
        let settled = Group { kind, ..group.clone() };
        let reports = if late { self.reports(&settled, &core, &thread) } else { Vec::new() };
        let by_rule = group.dated.or(group.received).map_or_else(Vec::new, |letter| {
            let stated: &[Deadline] = &[];
            derive_deadlines(&Facts {
                kind,
                exchange,
                bases: &bases,
                reports: &reports,
                letter,
                additional: false,
                stated,
            })
        });
        let by_rule = ByRule {
            deadlines: by_rule,
            is_before_panel: core.iter().any(|i| self.sentences[*i].has(Signal::Additional)),
            today: self.reference,
        };
        let mut deadlines = self.stated_deadlines(group, kind, &reach, &by_rule);
        let headline: Vec<&str> =
            self.sentences.iter().filter(|s| s.zone == Zone::Headline).map(|s| s.text.as_str()).collect();
        let flag = |regex: &Matcher| {
            core.iter().any(|i| regex.is_match(&self.sentences[*i].text)) || headline.iter().any(|h| regex.is_match(h))
        };
        let letter = is_letter(kind);
        let adds = |s: &Reading| ADDS.is_match(&s.text) && s.letter_dates().next().is_none() && !retells(s);
        let additional = letter
            && (flag(&ADDITIONAL)
                || self.sentences.iter().any(|s| s.zone == Zone::Body && adds(s))
                || thread.iter().any(|i| {
                    self.sentences[*i].has(Signal::Additional) || ADDITIONAL.is_match(&self.sentences[*i].text)
                }));
        let seen = Observed {
            is_cited: !rules.is_empty(),
            kind_inferred: kind == EventKind::StaffDetermination && group.kind != kind,
            ..self.observe(group, &core)
        };
        let signals = weigh_news(&seen);
        let confidence = confidence(&signals);
        let spoken = || reach.iter().map(|i| &self.sentences[*i]);
        if let Some(letter) = group.dated.or(group.received) {
            let facts =
                Facts { kind, exchange, bases: &bases, reports: &reports, letter, additional, stated: &deadlines };
            let derived = derive_deadlines(&facts);
            deadlines.extend(derived);
        }
        Some(ListingEvent {
            bases,
            letter_date: group.date(),
            received: group.received,
            dated: group.dated,
            hearing: find_hearing(spoken(), self.reference).filter(|_| letter),
            next_steps: if letter { find_steps(spoken()) } else { Vec::new() },
            causes: if letter && late { self.causes() } else { Vec::new() },
            confidence,
            runner_up: runner_up(kind, EventStatus::New, &seen, confidence),
            signals,
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
        let seen = Observed { is_cited: !rules.is_empty(), ..self.observe(group, &core) };
        let signals = weigh_history(&seen);
        let confidence = confidence(&signals);
        Some(ListingEvent {
            bases,
            letter_date: group.date(),
            received: group.received,
            dated: group.dated,
            rules: rules.into_iter().map(|r| r.rule).collect(),
            confidence,
            runner_up: runner_up(group.kind, EventStatus::History, &seen, confidence),
            signals,
            evidence: self.evidence(&group.acts),
            reason: match &seen.history {
                Some(words) => format!("{}: \"{words}\"", group.reason),
                None => group.reason.to_owned(),
            },
            ..ListingEvent::bare(group.kind, EventStatus::History, group.exchange)
        })
    }

    /// A decision of a panel that delists nothing gives time, or finds compliance; else it is no event.
    fn settle_panel(&self, group: &Group, thread: &[usize]) -> Option<EventKind> {
        let has = |signal: Signal| thread.iter().any(|i| self.sentences[*i].has(signal));
        let weak = group
            .acts
            .iter()
            .all(|a| self.acts[*a].kind != EventKind::PanelDecision || self.acts[*a].pattern == WEAK_PANEL);
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

    /// What a letter from "Nasdaq" is if a panel or the council wrote it: only the sentences around it may say so.
    fn decided_elsewhere(&self, group: &Group, core: &BTreeSet<usize>, reach: &[usize]) -> Option<EventKind> {
        pattern!(BY_STAFF, r"(?i)\b(?:staff|listings? qualifications (?:department|staff))\b");
        let is_dated = group.date().is_some();
        let dated = group.acts.iter().map(|a| &self.acts[*a]).filter(|a| a.date.is_some() == is_dated);
        let by_staff = |text: &str| BY_STAFF.is_match(&text.replace("Listing Qualifications Panel", ""));
        if dated.clone().any(|a| by_staff(&self.sentences[a.sentence].text)) {
            return None;
        }
        let older = |s: &Reading| {
            s.letter_dates().any(|d| group.date().is_some_and(|letter| (letter - d.mention.date).num_days() > 1))
        };
        let told = || reach.iter().map(|i| &self.sentences[*i]).filter(|s| s.zone != Zone::ForwardLooking && !older(s));
        let has = |signal: Signal| told().any(|s| s.has(signal));
        if has(Signal::ByCouncil) {
            return Some(if has(Signal::CouncilGrant) {
                EventKind::ExtensionGranted
            } else {
                EventKind::CouncilReview
            });
        }
        if !has(Signal::ByPanel) || core.iter().any(|i| self.sentences[*i].has(Signal::Additional)) {
            return None;
        }
        let threatened = dated.map(|a| &self.sentences[a.sentence]).any(|s| s.has(Signal::Threat));
        if has(Signal::PanelDelist) || threatened {
            Some(EventKind::PanelDecision)
        } else if has(Signal::PanelGrant) || has(Signal::Extension) {
            Some(EventKind::ExtensionGranted)
        } else if has(Signal::Regained) {
            Some(EventKind::ComplianceRegained)
        } else {
            None
        }
    }

    /// "A letter concerning its failure to comply": the breach is what the letter is about, not yet what it says.
    fn only_topic(&self, core: &BTreeSet<usize>) -> bool {
        pattern!(
            TOPIC,
            r"(?i)\b(?:concerning|regarding|relating to|with respect to|in respect of|as to|about|in the matter of)\b[^.;]{0,80}$"
        );
        core.iter().all(|i| {
            let sentence = &self.sentences[*i];
            let breaches = sentence.cues.iter().filter(|c| c.signal == Signal::Breach);
            breaches.clone().all(|c| TOPIC.is_match(&sentence.text[..c.start]))
        })
    }

    /// A letter of which only the next sentences say what it does.
    fn settle_plain(&self, thread: &[usize]) -> EventKind {
        let settled = thread.iter().find_map(|i| {
            let sentence = &self.sentences[*i];
            if retells(sentence) || sentence.zone == Zone::Headline {
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
        // Before the plan stage every letter on a late report was a determination.
        let early = |a: &Act| is_letter(a.kind) && a.date.is_some_and(|d| d < plan_stage());
        let older = |a: &Act| a.status == EventStatus::History && (a.kind == EventKind::StaffDetermination || early(a));
        self.acts.iter().any(asked) && !self.acts.iter().any(older)
    }

    /// Within two paragraphs after one that tells the letter: what stands further off speaks of other things.
    fn near(&self, core: &BTreeSet<usize>, index: usize) -> bool {
        let paragraph = self.sentences[index].paragraph;
        core.iter().any(|i| {
            let told = self.sentences[*i].paragraph;
            (told..=told + 2).contains(&paragraph)
        })
    }

    fn shows_determination(&self, index: usize) -> bool {
        let sentence = &self.sentences[index];
        !retells(sentence)
            && (sentence.has(Signal::Threat) && sentence.has(Signal::Decided)
                || sentence.cues.iter().any(|c| {
                    matches!(c.signal, Signal::Additional)
                        || (c.signal == Signal::Determination && c.name != "determination.named")
                }))
    }

    fn stated_deadlines(&self, group: &Group, kind: EventKind, thread: &[usize], by_rule: &ByRule) -> Vec<Deadline> {
        // What is due by the day of the report itself counts where the letter's own day is not told.
        let yesterday = || self.reference.and_then(|d| d.pred_opt());
        let Some(letter) = group.date().or_else(yesterday) else { return Vec::new() };
        let mut stated: Vec<Deadline> = Vec::new();
        for i in thread {
            let sentence = &self.sentences[*i];
            for index in 0..sentence.dates.len() {
                if self.is_of_another(group, *i, sentence.dates[index].mention.start) {
                    continue;
                }
                let told = stated_deadline(sentence, index, self.lead(*i), kind, letter, by_rule).map(|mut due| {
                    // "Until May 2 to submit a plan that shows compliance by June 3": the second day is the aim of the plan.
                    let plan_told = stated.iter().any(|d| d.what == DeadlineKind::Plan && d.date < due.date);
                    if due.what == DeadlineKind::Plan && plan_told {
                        due.what = DeadlineKind::Compliance;
                    }
                    due
                });
                if let Some(deadline) = told
                    && !stated.iter().any(|d| d.what == deadline.what && d.date == deadline.date)
                {
                    stated.push(deadline);
                }
            }
        }
        // One day told twice: time to comply is the surer reading than a word to the panel, and that than a request by the rule.
        let times: Vec<NaiveDate> =
            stated.iter().filter(|d| d.what == DeadlineKind::Compliance).map(|d| d.date).collect();
        stated.retain(|d| d.what != DeadlineKind::Other || !times.contains(&d.date));
        let others: Vec<NaiveDate> = stated.iter().filter(|d| d.what == DeadlineKind::Other).map(|d| d.date).collect();
        stated.retain(|d| d.what != DeadlineKind::HearingRequest || !others.contains(&d.date));
        stated
    }

    /// The sentence that another depends on: the one a list hangs from, or the one that tells what "it" is.
    fn lead(&self, sentence: usize) -> &str {
        pattern!(PRONOUN, r"(?i)^\s*(?:it|they|this|these|both|such)\b");
        let text = &self.sentences[sentence].text;
        let mut before = self.sentences[..sentence].iter().rev().map(|s| s.text.trim_end());
        let lead = if is_point(text) {
            before.take(MAX_LIST).find(|t| t.ends_with(':'))
        } else if PRONOUN.is_match(text) {
            before.next()
        } else {
            None
        };
        lead.unwrap_or("")
    }

    /// True if a place in a sentence stands between semicolons with letters that are not the group's.
    fn is_of_another(&self, group: &Group, sentence: usize, at: usize) -> bool {
        let text = &self.sentences[sentence].text;
        let from = text[..at].rfind(';').unwrap_or(0);
        let until = text[at..].find(';').map_or(text.len(), |end| at + end);
        let tells = |a: &usize| {
            let act = &self.acts[*a];
            act.sentence == sentence && act.date.is_some() && (from..until).contains(&act.clause.start)
        };
        let mut told = (0..self.acts.len()).filter(tells).peekable();
        told.peek().is_some() && told.all(|a| !group.acts.contains(&a))
    }

    /// What bears on how sure the reading of a group is.
    fn observe(&self, group: &Group, core: &BTreeSet<usize>) -> Observed {
        let has = |signal: Signal| core.iter().any(|i| self.sentences[*i].has(signal));
        let age = group.date().zip(self.reference).map(|(date, today)| business_days_between(date, today, 60));
        let history = group.acts.iter().find_map(|a| {
            let act = &self.acts[*a];
            let sentence = &self.sentences[act.sentence];
            history_cue(sentence, &act.clause).map(|c| sentence.text[c.start..c.end].trim().to_owned())
        });
        let in_headline = group.acts.iter().any(|a| self.sentences[self.acts[*a].sentence].zone == Zone::Headline);
        Observed {
            age,
            is_dated: group.date().is_some(),
            is_written: has(Signal::Notice),
            is_news: has(Signal::News),
            in_headline,
            by_passage: group.acts.iter().any(|a| self.acts[*a].pattern == PASSAGE),
            history,
            exchange_assumed: core.iter().all(|i| !self.sentences[*i].names_exchange),
            near_panel: [Signal::Panel, Signal::PanelGrant, Signal::CouncilReview].into_iter().any(has),
            ..Observed::default()
        }
    }

    /// Why reports are late, as any spoken sentence of the document tells it.
    fn causes(&self) -> Vec<Cause> {
        // All letters of a document share them, and a document can tell hundreds of letters.
        let read = || {
            let spoken = self.segmented.sentences.iter().filter(|s| matches!(s.zone, Zone::Headline | Zone::Body));
            find_causes(spoken.map(|s| &self.segmented.masked[s.range.clone()]))
        };
        self.causes.get_or_init(read).clone()
    }
}

/// True for the heading of another item of the report.
fn opens_item(sentence: &str) -> bool {
    pattern!(ITEM, r"(?i)^\W*item\s{1,3}\d{1,2}(?:\.\d\d|[.:])");
    ITEM.is_match(sentence)
}

/// True for a sentence that goes on about the letter named before it.
fn goes_on(sentence: &str) -> bool {
    pattern!(
        GOES_ON,
        r"(?i)^\W*(?:it|in (?:its|the|that) (?:letter|notice)|(?:the|this|that|such)(?: \w+){0,2} (?:letter|notice|notification|determination)|the (?:second|first|last|latter)|second|first|the staff (?:gave|noted|based|also)|(?:by virtue of|under|pursuant to|according to|by) (?:the|this|that|its)(?: \w+){0,3} (?:exception|extension|letter|notice|decision|determination|terms))\b"
    );
    GOES_ON.is_match(sentence)
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

fn is_early_late_filing(group: &Group, bases: &[Basis]) -> bool {
    group.exchange == Exchange::Nasdaq
        && bases.first() == Some(&Basis::LateFiling)
        && group.date().is_some_and(|d| d < plan_stage())
}
