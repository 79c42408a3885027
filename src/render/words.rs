//! The words of an alert: titles, bases, dates, the subject line.

use chrono::NaiveDate;

use super::Style;
use crate::alert::{Alert, Purpose};
use crate::classify::{Basis, DeadlineKind, EventKind, Exchange, ListingEvent, OverdueReport};
use crate::linking::{Change, EventRef, Relation};

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
    format!("{} {}", exchange_name(event.exchange), kind_name(event.kind))
}

fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::StaffDetermination => "staff determination",
        EventKind::DeficiencyNotice => "deficiency notice",
        EventKind::HearingRequested => "hearing requested",
        EventKind::ExtensionGranted => "extension granted",
        EventKind::PanelDecision => "panel decision",
        EventKind::CouncilReview => "council review",
        EventKind::ComplianceRegained => "compliance regained",
        EventKind::Delisting => "delisting",
        EventKind::Anticipated => "notice expected, none received",
    }
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

/// The word of a vocabulary as prose: `submit_plan` is `submit plan`.
pub(super) fn spaced(word: &str) -> String {
    word.replace('_', " ")
}

/// `10-K for the period ended 31 Dec 2006`.
pub(super) fn report_name(report: &OverdueReport, style: Style) -> String {
    match report.period_end {
        Some(end) => format!("{} for the period ended {}", report.form, style.date(end)),
        None => report.form.clone(),
    }
}

/// The filing of an event, in words: `0001193125-25-120935 (filed 2 Mar 2007)`.
pub(super) fn filing_name(event: EventRef, style: Style) -> String {
    format!("{} (filed {})", event.accession, style.date(event.filing_date))
}

/// A change, in words: `compliance due: 9 May 2024, was 2 May 2024`.
pub(super) fn change_name(change: &Change, style: Style) -> String {
    let dates = |dates: &[NaiveDate]| dates.iter().map(|date| style.date(*date)).collect::<Vec<_>>().join(", ");
    let bases = |bases: &[Basis]| bases.iter().map(|basis| basis_name(*basis)).collect::<Vec<_>>().join(", ");
    let reports = |reports: &[OverdueReport]| {
        reports.iter().map(|report| report_name(report, style)).collect::<Vec<_>>().join("; ")
    };
    let (what, now, was) = match change {
        Change::Kind { now, was } => ("kind", kind_name(*now).to_owned(), kind_name(*was).to_owned()),
        Change::Bases { now, was } => ("basis", bases(now), bases(was)),
        Change::Rules { now, was } => ("rule", now.join(", "), was.join(", ")),
        Change::Received { now, was } => ("letter received", style.date(*now), style.date(*was)),
        Change::Dated { now, was } => ("letter dated", style.date(*now), style.date(*was)),
        Change::Reports { now, was } => ("reports", reports(now), reports(was)),
        Change::Deadline { what, now, was } => (deadline_name(*what), dates(now), dates(was)),
        Change::Hearing { now, was } => ("hearing", style.date(*now), style.date(*was)),
    };
    format!("{what}: {now}, was {was}")
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
pub fn subject(alert: &Alert, style: Style) -> String {
    let issuer = alert.issuer_mark();
    let news: Vec<&ListingEvent> = alert.news().collect();
    let Some(first) = news.first() else {
        return match alert.purpose {
            Purpose::NotReadable => format!("[{issuer}] {} with Item 3.01 filed, not readable yet", alert.form),
            Purpose::Reading => format!("[{issuer}] {} read: no new listing notice in it", alert.form),
        };
    };
    // A letter that nothing told of before is news, whatever else the filing tells.
    let is_news = alert.linked_news().any(|(_, link)| link.is_none_or(|link| link.relation == Relation::First));
    let is_correction = !is_news && alert.links.iter().any(|link| matches!(link.relation, Relation::Correction { .. }));
    let may_repeat = !is_news
        && !is_correction
        && alert.links.iter().any(|link| matches!(link.relation, Relation::MayRepeat { .. }));
    let correction = if is_correction { "correction: " } else { "" };
    let check = if alert.wants_checking() { "check this: " } else { "" };
    let mut subject = format!("[{issuer}] {check}{correction}{}", event_title(first));
    if let Some(grounds) = short_grounds(first) {
        subject.push_str(&format!(": {grounds}"));
    }
    if let Some(date) = first.letter_date {
        subject.push_str(&format!(" (letter of {})", style.date(date)));
    }
    if news.len() > 1 {
        subject.push_str(&format!(", and {} more", news.len() - 1));
    }
    if may_repeat {
        subject.push_str(" (may repeat an earlier alert)");
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: &Change, expected: &str) {
        assert_eq!(change_name(change, Style::default()), expected);
    }

    #[test]
    fn a_change_says_what_is_told_now_and_what_was() {
        let date = |text: &str| -> NaiveDate { text.parse().expect("a date") };
        let (now, was) = (date("2024-05-09"), date("2024-05-02"));
        let due = Change::Deadline { what: DeadlineKind::Compliance, now: vec![now], was: vec![was] };
        check(&due, "compliance due: 9 May 2024, was 2 May 2024");
        let rules = |rule: &str| vec![rule.to_owned()];
        check(
            &Change::Rules { now: rules("5250(c)(1)"), was: rules("5250(c)(2)") },
            "rule: 5250(c)(1), was 5250(c)(2)",
        );
        let (determination, notice) = (EventKind::StaffDetermination, EventKind::DeficiencyNotice);
        check(&Change::Kind { now: determination, was: notice }, "kind: staff determination, was deficiency notice");
        check(&Change::Dated { now, was }, "letter dated: 9 May 2024, was 2 May 2024");
        let annual = |period_end| vec![OverdueReport { form: "10-K".to_owned(), period_end }];
        check(
            &Change::Reports { now: annual(Some(date("2023-12-31"))), was: annual(None) },
            "reports: 10-K for the period ended 31 Dec 2023, was 10-K",
        );
        let (price, both) = (vec![Basis::BidPrice], vec![Basis::BidPrice, Basis::Equity]);
        check(&Change::Bases { now: both, was: price }, "basis: bid price, stockholders' equity, was bid price");
    }
}
