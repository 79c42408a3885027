//! The words of an alert: titles, bases, dates, the subject line.

use chrono::NaiveDate;

use crate::alert::{Alert, Purpose};
use crate::classify::{Basis, DeadlineKind, EventKind, Exchange, ListingEvent, OverdueReport};

/// `2 Mar 2007`: no reader mistakes day for month.
pub fn print_date(date: NaiveDate) -> String {
    date.format("%-d %b %Y").to_string()
}

/// The exchange by name.
pub(super) fn exchange_name(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::Nasdaq => "NASDAQ",
        Exchange::Nyse => "NYSE",
        Exchange::NyseAmerican => "NYSE American",
        Exchange::Other => "exchange",
    }
}

/// What happened, in words: `NASDAQ staff determination`.
pub fn event_title(event: &ListingEvent) -> String {
    let what = match event.kind {
        EventKind::StaffDetermination => "staff determination",
        EventKind::DeficiencyNotice => "deficiency notice",
        EventKind::HearingRequested => "hearing requested",
        EventKind::ExtensionGranted => "extension granted",
        EventKind::PanelDecision => "panel decision",
        EventKind::CouncilReview => "council review",
        EventKind::ComplianceRegained => "compliance regained",
        EventKind::Delisting => "delisting",
        EventKind::Anticipated => "notice expected, none received",
    };
    format!("{} {what}", exchange_name(event.exchange))
}

pub(super) fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::LateFiling => "late filing",
        Basis::BidPrice => "bid price",
        Basis::Equity => "stockholders' equity",
        Basis::MarketValue => "market value",
        Basis::PublicFloat => "public float",
        Basis::Governance => "governance",
        Basis::AnnualMeeting => "annual meeting",
        Basis::PublicInterest => "public interest",
        Basis::Fees => "fees",
        Basis::Other => "other grounds",
    }
}

pub(super) fn deadline_name(what: DeadlineKind) -> &'static str {
    match what {
        DeadlineKind::Plan => "plan to regain compliance due",
        DeadlineKind::Compliance => "compliance due",
        DeadlineKind::HearingRequest => "last day to request a hearing",
        DeadlineKind::Suspension => "trading suspended",
        DeadlineKind::Other => "other date",
    }
}

/// `10-K for the period ended 31 Dec 2006`.
pub(super) fn report_name(report: &OverdueReport) -> String {
    match report.period_end {
        Some(end) => format!("{} for the period ended {}", report.form, print_date(end)),
        None => report.form.clone(),
    }
}

/// What an event is about, short enough for a subject: `late 10-K`, `bid price, equity`.
pub(super) fn short_grounds(event: &ListingEvent) -> Option<String> {
    let mut grounds: Vec<String> = Vec::new();
    for basis in &event.bases {
        let mut forms: Vec<&str> = event.reports.iter().map(|report| report.form.as_str()).collect();
        forms.dedup();
        grounds.push(match basis {
            Basis::LateFiling if !forms.is_empty() => format!("late {}", join_and(&forms)),
            other => basis_name(*other).to_owned(),
        });
    }
    (!grounds.is_empty()).then(|| grounds.join(", "))
}

pub(super) fn join_and(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The subject: `[TICK] NASDAQ staff determination: late 10-K (letter of 2 Mar 2007)`.
pub fn subject(alert: &Alert) -> String {
    let issuer = alert
        .ticker
        .clone()
        .or_else(|| alert.filers.first().map(|filer| filer.name.clone()))
        .unwrap_or_else(|| alert.accession.to_string());
    let news: Vec<&ListingEvent> = alert.news().collect();
    let Some(first) = news.first() else {
        return match alert.purpose {
            Purpose::NotReadable => format!("[{issuer}] {} with Item 3.01 filed, not readable yet", alert.form),
            Purpose::Reading => format!("[{issuer}] {} read: no new listing notice in it", alert.form),
        };
    };
    let mut subject = format!("[{issuer}] {}", event_title(first));
    if let Some(grounds) = short_grounds(first) {
        subject.push_str(&format!(": {grounds}"));
    }
    if let Some(date) = first.letter_date {
        subject.push_str(&format!(" (letter of {})", print_date(date)));
    }
    if news.len() > 1 {
        subject.push_str(&format!(", and {} more", news.len() - 1));
    }
    subject
}
