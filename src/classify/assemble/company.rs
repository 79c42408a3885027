//! What a company does or expects itself: hearings it asks for, exchanges it leaves, notices it expects.

use std::collections::BTreeSet;

use super::super::acts::Act;
use super::super::bases::find_bases;
use super::super::certainty::{Observed, confidence, runner_up, weigh_news};
use super::super::dates::head;
use super::super::deadlines::day_of_leaving;
use super::super::phrases::Signal;
use super::super::segment::Zone;
use super::super::sentences::Role;
use super::super::{Basis, Deadline, DeadlineKind, EventKind, EventStatus, Exchange, ListingEvent};
use super::grounds::dedup_rules;
use super::groups::{Group, is_letter};
use super::{Assembler, distinct};

/// What the company does or expects itself: at most one event of each kind.
pub(super) fn add_company_events(assembler: &Assembler, events: &mut Vec<ListingEvent>) {
    let company = |kind: EventKind| {
        assembler
            .acts
            .iter()
            .enumerate()
            .filter(move |(_, a)| a.kind == kind && a.date.is_none() && a.status == EventStatus::New)
    };
    let letter_exchange = events.iter().find(|e| is_letter(e.kind)).map(|e| e.exchange);
    let new_letter = letter_exchange.is_some();
    let event = |index: usize, kind: EventKind, bases: Vec<Basis>, rules: Vec<String>| {
        let act = &assembler.acts[index];
        let group = Group::undated(index, act);
        // "It will appeal" is about the letter told with it.
        let named = assembler.sentences[act.sentence].names_exchange;
        let exchange = letter_exchange.filter(|_| !named).unwrap_or(act.exchange);
        let seen = Observed { by_company: true, ..assembler.observe(&group, &BTreeSet::from([act.sentence])) };
        let signals = weigh_news(&seen);
        let confidence = confidence(&signals);
        ListingEvent {
            bases,
            rules,
            confidence,
            runner_up: runner_up(kind, EventStatus::New, &seen, confidence),
            signals,
            evidence: assembler.evidence(&[index]),
            reason: act.reason.to_owned(),
            ..ListingEvent::bare(kind, EventStatus::New, exchange)
        }
    };
    let determined: Vec<Basis> = distinct(
        events.iter().filter(|e| e.kind == EventKind::StaffDetermination).flat_map(|e| e.bases.iter().copied()),
    );

    let council = |i: usize| assembler.sentences[assembler.acts[i].sentence].text.to_lowercase().contains("council");
    if let Some((index, act)) = company(EventKind::HearingRequested).find(|(i, _)| !council(*i)) {
        let bases = if determined.is_empty() { assembler.document_bases(act.exchange) } else { determined };
        events.push(event(index, EventKind::HearingRequested, bases, Vec::new()));
    }
    // Beside a new letter only one more can be expected.
    pattern!(ONE_MORE, r"(?i)\b(?:further|another|additional|second|third|fourth|fifth|similar|like)\b");
    let expected = |a: &Act| !new_letter || ONE_MORE.is_match(&assembler.sentences[a.sentence].text);
    if let Some((index, act)) = company(EventKind::Anticipated).find(|(_, a)| expected(a)) {
        let core = BTreeSet::from([act.sentence]);
        let group = Group::undated(index, act);
        let (rules, mut bases) = assembler.rules_and_bases(&group, &core, &[]);
        if bases.is_empty() {
            bases = assembler.document_bases(act.exchange);
        }
        if bases.is_empty() && find_bases(head(assembler.text, 8000)).contains(&Basis::LateFiling) {
            bases.push(Basis::LateFiling);
        }
        if !bases.is_empty() {
            let mut found = event(index, EventKind::Anticipated, bases, rules.into_iter().map(|r| r.rule).collect());
            if found.bases.contains(&Basis::LateFiling) {
                found.reports = assembler.reports(&group, &core, &[act.sentence]);
            }
            events.push(found);
        }
    }
    let delisted = events.iter().find(|e| e.kind == EventKind::PanelDecision).cloned();
    if let Some(decision) = delisted {
        let deadlines = decision.deadlines.iter().filter(|d| d.what == DeadlineKind::Suspension).cloned().collect();
        events.push(ListingEvent { kind: EventKind::Delisting, reports: Vec::new(), deadlines, ..decision });
    } else if !new_letter
        && !events.iter().any(|e| {
            matches!(e.kind, EventKind::ExtensionGranted | EventKind::CouncilReview | EventKind::ComplianceRegained)
        })
    {
        let leaves = |i: usize, pattern: &str| {
            let sentence = &assembler.sentences[assembler.acts[i].sentence];
            pattern != "delisting.effective" || sentence.zone == Zone::Headline || sentence.has(Signal::News)
        };
        let recent = |act: &Act| {
            let sentence = &assembler.sentences[act.sentence];
            let chosen = act.pattern == "delisting.voluntary" && sentence.dates.is_empty();
            chosen
                || sentence.zone == Zone::Headline
                || sentence.has(Signal::News)
                || assembler
                    .reference
                    .is_some_and(|r| sentence.dates.iter().any(|d| (0..=7).contains(&(r - d.mention.date).num_days())))
        };
        if let Some((index, act)) = company(EventKind::Delisting).find(|(i, a)| leaves(*i, a.pattern) && recent(a)) {
            let sentence = &assembler.sentences[act.sentence].text;
            let chosen = act.pattern == "delisting.voluntary" && !GIVES_UP.is_match(sentence);
            let (bases, rules) = if chosen {
                (Vec::new(), Vec::new())
            } else {
                let mut rules = assembler.document_rules(act.exchange);
                dedup_rules(&mut rules);
                (assembler.document_bases(act.exchange), rules.into_iter().map(|r| r.rule).collect())
            };
            let mut left = event(index, EventKind::Delisting, bases, rules);
            left.exchange = left_exchange(sentence).unwrap_or(left.exchange);
            left.deadlines = assembler.days_of_leaving(act.sentence);
            events.push(left);
        }
    }
}

impl Assembler<'_> {
    /// Days to come that a company names when it leaves an exchange.
    pub(super) fn days_of_leaving(&self, sentence: usize) -> Vec<Deadline> {
        let Some(today) = self.reference else { return Vec::new() };
        let mut days: Vec<Deadline> = Vec::new();
        let paragraph = self.sentences[sentence].paragraph;
        for reading in self.sentences[sentence..].iter().take_while(|s| s.paragraph <= paragraph + 2) {
            for date in reading.dates.iter().filter(|d| d.role != Role::Period && d.mention.date >= today) {
                let Some(deadline) = day_of_leaving(reading, date) else { continue };
                // The day of the report itself is its own date.
                let is_today = deadline.date == today && deadline.what == DeadlineKind::Other;
                if !is_today && !days.iter().any(|d| d.date == deadline.date) {
                    days.push(deadline);
                }
            }
        }
        days
    }
}

pattern!(GIVES_UP, r"(?i)\b(?:appeal|hearing)\b");

/// The exchange a company leaves, where a sentence names two.
fn left_exchange(sentence: &str) -> Option<Exchange> {
    pattern!(
        FROM,
        r"(?i)\bfrom (?:the )?(nyse american|nyse mkt|nyse amex|american stock|amex|nyse|new york stock|nasdaq)"
    );
    let found = FROM.captures(sentence)?;
    Some(match found[1].to_lowercase().as_str() {
        "nasdaq" => Exchange::Nasdaq,
        "nyse" | "new york stock" => Exchange::Nyse,
        _ => Exchange::NyseAmerican,
    })
}
