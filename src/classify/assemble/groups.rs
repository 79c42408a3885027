//! Acts of one letter or decision are joined to a group: same day, or the day it bears with the day it came.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::super::acts::{Act, WEAK_PANEL};
use super::super::phrases::Signal;
use super::super::segment::Zone;
use super::super::sentences::Reading;
use super::super::{EventKind, EventStatus, Exchange};

/// Acts of one letter or decision.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) kind: EventKind,
    pub(super) exchange: Exchange,
    pub(super) received: Option<NaiveDate>,
    pub(super) dated: Option<NaiveDate>,
    pub(super) status: EventStatus,
    pub(super) reason: &'static str,
    /// Indexes of acts.
    pub(super) acts: Vec<usize>,
}

impl Group {
    /// A group of one act without a date.
    pub(super) fn undated(index: usize, act: &Act) -> Self {
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

    pub(super) fn date(&self) -> Option<NaiveDate> {
        self.received.or(self.dated)
    }

    pub(super) fn is_letter(&self) -> bool {
        is_letter(self.kind)
    }
}

pub(super) fn is_letter(kind: EventKind) -> bool {
    matches!(kind, EventKind::StaffDetermination | EventKind::DeficiencyNotice)
}

/// A letter can take this long to arrive.
const POST_DAYS: i64 = 10;

/// Joins the dated acts of one letter: same day, or the day it bears with the day it came.
pub(super) fn join_dated(acts: &[Act]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut by_date: BTreeMap<NaiveDate, Vec<usize>> = BTreeMap::new();
    for (index, act) in acts.iter().enumerate() {
        let Some(date) = act.date else { continue };
        let weak = |g: usize| weak_panel(&groups[g], acts) && decides(act.kind);
        let joins_day = |g: &usize| {
            let decided = act.pattern == WEAK_PANEL && decides(groups[*g].kind);
            joins(groups[*g].kind, act.kind) || decided || weak(*g)
        };
        let same_day = by_date.get(&date).into_iter().flatten().copied().find(joins_day);
        let becomes = same_day.filter(|g| weak(*g)).map(|_| act.kind);
        let pair = groups.len().checked_sub(1).filter(|g| is_pair(&groups[*g], act, acts));
        match same_day.or(pair) {
            Some(g) => {
                let group = &mut groups[g];
                group.kind = becomes.unwrap_or_else(|| stronger(group.kind, act.kind));
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
pub(super) fn join_undated(sentences: &[Reading], acts: &[Act], groups: &mut Vec<Group>) -> Vec<usize> {
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
        let letter = is_letter(act.kind);
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
    group.kind == EventKind::PanelDecision && group.acts.iter().all(|a| acts[*a].pattern == WEAK_PANEL)
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
