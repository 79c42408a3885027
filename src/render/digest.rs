//! What a digest says: the notices of a day or a week, by issuer, the most severe first, and what falls due next.

use super::body::{Body, Line, Section, Setting, told_elsewhere, why};
use super::words::{deadline_name, event_title, short_grounds};
use super::{Style, subject};
use crate::agenda::DueDate;
use crate::alert::{Alert, Purpose};
use crate::classify::{DeadlineSource, EventKind, ListingEvent};
use crate::linking::Link;

/// A digest's subject in lists, before it is written.
pub const DIGEST_SUBJECT: &str = "digest";

/// A notice in a digest.
#[derive(Debug, Clone, PartialEq)]
pub struct DigestEntry {
    /// Its alert.
    pub alert: Alert,
    /// The events that were asked for, by their places in the alert; none means all that is new.
    pub ordinals: Vec<usize>,
}

/// All that a digest tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// The notices.
    pub entries: Vec<DigestEntry>,
    /// What falls due in the week from the digest on, in order.
    pub due: Vec<DueDate>,
}

impl DigestEntry {
    /// With what other filings told of each.
    fn linked_events(&self) -> Vec<(&ListingEvent, Option<&Link>)> {
        if self.ordinals.is_empty() {
            return self.alert.linked_news().collect();
        }
        let link_of = |ordinal: usize| self.alert.links.iter().find(|link| link.event.ordinal == ordinal);
        let asked = self.ordinals.iter();
        asked.filter_map(|ordinal| Some((self.alert.events.get(*ordinal)?, link_of(*ordinal)))).collect()
    }

    fn events(&self) -> impl Iterator<Item = &ListingEvent> {
        self.linked_events().into_iter().map(|(event, _)| event)
    }

    fn severity(&self) -> u8 {
        self.events().map(|event| severity(event.kind)).max().unwrap_or(0)
    }

    fn issuer(&self) -> String {
        let name =
            self.alert.filers.first().map_or_else(|| self.alert.accession.to_string(), |filer| filer.name.clone());
        match &self.alert.ticker {
            Some(ticker) => format!("{name} ({ticker})"),
            None => name,
        }
    }
}

/// How much it matters to a holder of the shares; the larger, the more.
fn severity(kind: EventKind) -> u8 {
    match kind {
        EventKind::Delisting => 9,
        EventKind::StaffDetermination => 8,
        EventKind::PanelDecision => 7,
        EventKind::DeficiencyNotice => 6,
        EventKind::CouncilReview => 5,
        EventKind::HearingRequested => 4,
        EventKind::ExtensionGranted => 3,
        EventKind::ComplianceRegained => 2,
        EventKind::Anticipated => 1,
    }
}

/// `3 listing notices of 2 issuers`
pub fn digest_subject(digest: &Digest) -> String {
    let issuers: std::collections::BTreeSet<String> = digest.entries.iter().map(DigestEntry::issuer).collect();
    match (digest.entries.len(), issuers.len()) {
        (0, _) => "No new listing notices".to_owned(),
        (1, _) => "1 listing notice".to_owned(),
        (n, 1) => format!("{n} listing notices of one issuer"),
        (n, m) => format!("{n} listing notices of {m} issuers"),
    }
}

/// Says what a digest has to say.
pub fn describe_digest(digest: &Digest, setting: &Setting<'_>) -> Body {
    let style = setting.style;
    let mut groups: Vec<(String, Vec<&DigestEntry>)> = Vec::new();
    for entry in &digest.entries {
        let issuer = entry.issuer();
        match groups.iter_mut().find(|(name, _)| *name == issuer) {
            Some((_, entries)) => entries.push(entry),
            None => groups.push((issuer, vec![entry])),
        }
    }
    groups.sort_by_key(|(name, entries)| {
        (std::cmp::Reverse(entries.iter().map(|entry| entry.severity()).max().unwrap_or(0)), name.clone())
    });
    let mut sections: Vec<Section> = Vec::new();
    for (issuer, mut entries) in groups {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.severity()));
        let lines = entries.into_iter().flat_map(|entry| entry_lines(entry, style)).collect();
        sections.push(Section { title: issuer, lines });
    }
    let issuers: Vec<&str> = sections.iter().map(|section| section.title.as_str()).collect();
    let preheader = issuers.join(" \u{b7} ");
    if !digest.due.is_empty() {
        let due = digest
            .due
            .iter()
            .map(|due| Line::Row(vec![style.date(due.date), due.issuer.clone(), deadline_name(due.what).to_owned()]));
        sections.push(Section { title: "Due this week".to_owned(), lines: due.collect() });
    }
    sections.push(why(setting));
    Body { headline: digest_subject(digest), preheader, sections }
}

fn entry_lines(entry: &DigestEntry, style: Style) -> Vec<Line> {
    let alert = &entry.alert;
    let mut lines = Vec::new();
    let events = entry.linked_events();
    if events.is_empty() && alert.purpose == Purpose::NotReadable {
        lines.push(Line::Plain(subject(alert, style)));
    }
    for (event, link) in events {
        let grounds = short_grounds(event).map(|grounds| format!(": {grounds}")).unwrap_or_default();
        let letter = event.letter_date.map(|date| format!(", letter of {}", style.date(date))).unwrap_or_default();
        let check = if event.confidence < alert.check_below { " (check this)" } else { "" };
        lines.push(Line::Plain(format!("{}{grounds}{letter}{check}", event_title(event))));
        lines.extend(link.map(|link| told_elsewhere(link, style)).unwrap_or_default());
        for deadline in &event.deadlines {
            let what = deadline.about.as_deref().unwrap_or_else(|| deadline_name(deadline.what));
            let latest =
                deadline.date_latest.map(|date| format!(", or until {}", style.date(date))).unwrap_or_default();
            let source = if deadline.source == DeadlineSource::Derived { " (derived)" } else { "" };
            lines.push(Line::Fact(style.date(deadline.date), format!("{what}{latest}{source}")));
        }
    }
    let filed = format!("{} filed {}", alert.form, style.date(alert.filing_date));
    lines.push(Line::Link(filed, alert.index_url.to_string()));
    lines
}
