//! What a mail says, before it is text or HTML.

use chrono::{DateTime, TimeDelta, Utc};

use super::Style;
use super::words::{
    basis_name, change_name, deadline_name, event_title, filing_name, report_name, short_grounds, spaced,
};
use crate::agenda::News;
use crate::alert::{Alert, Purpose};
use crate::classify::{Deadline, DeadlineSource, EventStatus, Evidence, ListingEvent};
use crate::linking::{Change, Link, Relation};
use crate::links::Unsubscribe;

/// The body of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The verdict, one line.
    pub headline: String,
    /// What lists of mails show after the subject: who, and what is next.
    pub preheader: String,
    /// The rest, in reading order.
    pub sections: Vec<Section>,
}

/// A titled part of the body; the first has no title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Empty for none.
    pub title: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A label and what it names.
    Fact(String, String),
    /// A label and an address.
    Link(String, String),
    /// Something that the reader may do, and where.
    Action(String, String),
    /// A sentence of the filing, and the document it stands in.
    Quote(String, String),
    /// A sentence of ours.
    Plain(String),
    /// A row of a table; all rows of a section have the same columns.
    Row(Vec<String>),
}

/// What a mail tells besides its alert.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Why its recipient gets it: the subscriptions, in words.
    pub reasons: &'a [String],
    /// Letters that the issuer told of before, in the order of their filings.
    pub earlier: &'a [News],
    /// Where the recipient changes subscriptions.
    pub preferences: Option<&'a str>,
    /// How the recipient stops the mail.
    pub unsubscribe: Option<&'a Unsubscribe>,
    /// When it is written.
    pub written_at: DateTime<Utc>,
    /// How its recipient likes dates and times.
    pub style: Style,
}

/// Sentences quoted for each event, so that a mail stays one to read.
const MAX_QUOTES: usize = 3;
/// A quoted sentence longer than this is cut, by characters: some filings are one line.
const MAX_QUOTE_CHARS: usize = 900;

/// Earlier letters that are told, the last ones.
const MAX_EARLIER: usize = 8;

/// Says what an alert has to say.
pub fn describe_alert(alert: &Alert, setting: &Setting<'_>) -> Body {
    let Setting { written_at, style, .. } = *setting;
    let mut sections = Vec::new();
    let news: Vec<(&ListingEvent, Option<&Link>)> = alert.linked_news().collect();
    let headline = match (news.first(), alert.purpose) {
        (Some((first, link)), _) => headline(first, *link),
        (None, Purpose::NotReadable) => {
            format!("Filed, not readable yet: {} with Item 3.01 (listing notice)", alert.form)
        }
        (None, Purpose::Reading) => "Read now: no new listing notice was found in it".to_owned(),
    };
    let told = news.first().and_then(|(_, link)| *link).map(|link| told_elsewhere(link, style)).unwrap_or_default();
    if !told.is_empty() {
        sections.push(Section { title: String::new(), lines: told });
    }
    if let Some(first) = alert.news().next().filter(|_| alert.wants_checking()) {
        sections.push(Section { title: "Check this".to_owned(), lines: doubts(first) });
    }
    sections
        .push(Section { title: String::new(), lines: overview(alert, news.first().map(|(event, _)| *event), style) });
    if alert.purpose == Purpose::NotReadable {
        let sentence = "EDGAR lists this filing but has not published its text. It is tried again until it can be \
                        read; the reading follows in this thread.";
        sections.push(Section { title: String::new(), lines: vec![Line::Plain(sentence.to_owned())] });
    }
    for (index, (event, link)) in news.iter().enumerate() {
        if index > 0 {
            let mut lines = link.map(|link| told_elsewhere(link, style)).unwrap_or_default();
            lines.extend(event_facts(event, style));
            sections.push(Section { title: format!("Also new: {}", event_title(event)), lines });
        }
        let dates = next_dates(event, style);
        if !dates.is_empty() {
            sections.push(Section { title: "Next dates".to_owned(), lines: dates });
        }
        let quotes = quotes(event);
        if !quotes.is_empty() {
            let title = if index == 0 { "What the filing says" } else { "" };
            sections.push(Section { title: title.to_owned(), lines: quotes });
        }
    }
    let history: Vec<Line> = alert.history().map(|event| history_line(event, style)).collect();
    if !history.is_empty() {
        sections.push(Section { title: "Retold, not new".to_owned(), lines: history });
    }
    if !alert.caveats.is_empty() {
        let lines = alert.caveats.iter().cloned().map(Line::Plain).collect();
        sections.push(Section { title: "Mind".to_owned(), lines });
    }
    let earlier = earlier_letters(setting.earlier, style);
    if !earlier.is_empty() {
        sections.push(Section { title: "Earlier letters of this issuer".to_owned(), lines: earlier });
    }
    sections.push(Section { title: "Links".to_owned(), lines: links(alert) });
    sections.push(Section { title: "Times".to_owned(), lines: times(alert, written_at, style) });
    sections.push(why(setting));
    let preheader = preheader(alert, news.first().map(|(event, _)| *event), style);
    Body { headline, preheader, sections }
}

/// Why a mail was sent, and how that is changed.
pub(super) fn why(setting: &Setting<'_>) -> Section {
    let mut lines = Vec::new();
    match setting.reasons {
        [] => {}
        [one] => lines.push(Line::Plain(format!("You get this because of your subscription: {one}."))),
        more => lines.push(Line::Plain(format!("You get this because of your subscriptions: {}.", more.join("; ")))),
    }
    if let Some(preferences) = setting.preferences {
        lines.push(Line::Action("Change your subscriptions".to_owned(), preferences.to_owned()));
    }
    if let Some(unsubscribe) = setting.unsubscribe {
        let link = unsubscribe.page.clone().unwrap_or_else(|| unsubscribe.mailto.clone());
        lines.push(Line::Action("Unsubscribe".to_owned(), link));
    }
    Section { title: String::new(), lines }
}

fn preheader(alert: &Alert, event: Option<&ListingEvent>, style: Style) -> String {
    let mut words = vec![alert.filers.first().map(|filer| filer.name.clone()).unwrap_or_default()];
    let next = event.and_then(|event| event.deadlines.iter().find(|deadline| deadline.date >= alert.filing_date));
    if let Some(next) = next {
        let what = next.about.as_deref().unwrap_or_else(|| deadline_name(next.what));
        words.push(format!("{what} {}", style.date(next.date)));
    }
    words.push(format!("{} filed {}", alert.form, style.date(alert.filing_date)));
    words.join(" \u{b7} ")
}

fn earlier_letters(earlier: &[News], style: Style) -> Vec<Line> {
    let shown = &earlier[earlier.len().saturating_sub(MAX_EARLIER)..];
    let row = |news: &News| {
        let date = news.event.letter_date.unwrap_or(news.letter.filing_date);
        let grounds = short_grounds(&news.event).map(|grounds| format!(": {grounds}")).unwrap_or_default();
        let title = format!("{}{grounds}", event_title(&news.event));
        Line::Row(vec![style.date(date), title, news.letter.accession.to_string()])
    };
    shown.iter().map(row).collect()
}

/// Why a reading wants checking.
fn doubts(event: &ListingEvent) -> Vec<Line> {
    let sentence = "This reading is less sure than most. Open the filing before you act on it.";
    let mut lines = vec![Line::Plain(sentence.to_owned())];
    for signal in event.signals.iter().filter(|signal| signal.weight < 0.0) {
        lines.push(Line::Fact("Against it".to_owned(), signal.signal.clone()));
    }
    if let Some(second) = &event.runner_up {
        let kind = spaced(second.kind.as_str());
        let status = if second.status == EventStatus::New { "new" } else { "retold" };
        lines.push(Line::Fact("Or else".to_owned(), format!("{kind}, {status}: {}", second.reason)));
    }
    lines
}

fn headline(event: &ListingEvent, link: Option<&Link>) -> String {
    let mut marks = Vec::new();
    if event.additional {
        marks.push("additional");
    }
    if event.expected {
        marks.push("expected");
    }
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    let is_correction = link.is_some_and(|link| matches!(link.relation, Relation::Correction { .. }));
    let verdict = if is_correction { "Correction" } else { "New" };
    format!("{verdict}: {}{marks}, confidence {:.2}", event_title(event), event.confidence)
}

/// What other filings told of an event's letter.
pub(super) fn told_elsewhere(link: &Link, style: Style) -> Vec<Line> {
    let mut lines = match &link.relation {
        Relation::First => Vec::new(),
        Relation::Repeat => vec![Line::Plain(format!("First reported in {}.", filing_name(link.letter, style)))],
        Relation::Correction { of, changes } => {
            with_changes(format!("Corrects the alert of {}:", filing_name(*of, style)), changes, style)
        }
        Relation::MayRepeat { of } => {
            vec![Line::Plain(format!("This may repeat the alert of {}.", filing_name(*of, style)))]
        }
    };
    if let Some(corrected) = &link.corrected {
        let sentence = format!("Corrected since by {}, read before this filing:", filing_name(corrected.by, style));
        lines.extend(with_changes(sentence, &corrected.changes, style));
    }
    lines
}

fn with_changes(sentence: String, changes: &[Change], style: Style) -> Vec<Line> {
    std::iter::once(sentence).chain(changes.iter().map(|change| change_name(change, style))).map(Line::Plain).collect()
}

fn overview(alert: &Alert, event: Option<&ListingEvent>, style: Style) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, filer) in alert.filers.iter().enumerate() {
        let label = if index == 0 { "Issuer" } else { "With" };
        let ticker = alert.ticker.as_ref().filter(|_| index == 0).map(|ticker| format!(" ({ticker})"));
        let value = format!("{}{}, CIK {}", filer.name, ticker.unwrap_or_default(), filer.cik);
        lines.push(Line::Fact(label.to_owned(), value));
    }
    let items: Vec<&str> = alert.items.iter().map(super::super::edgar::ids::ItemNumber::as_str).collect();
    let items = if items.is_empty() { String::new() } else { format!(", items {}", items.join(", ")) };
    let filed = format!("{}{items}, filed {}", alert.form, style.date(alert.filing_date));
    lines.push(Line::Fact("Filing".to_owned(), filed));
    lines.extend(event.map(|event| event_facts(event, style)).unwrap_or_default());
    lines
}

fn event_facts(event: &ListingEvent, style: Style) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut fact = |label: &str, value: String| {
        if !value.is_empty() {
            lines.push(Line::Fact(label.to_owned(), value));
        }
    };
    let letter: Vec<String> = [("received", event.received), ("dated", event.dated)]
        .into_iter()
        .filter_map(|(word, date)| date.map(|date| format!("{word} {}", style.date(date))))
        .collect();
    fact("Letter", letter.join(", "));
    fact("Basis", event.bases.iter().map(|basis| basis_name(*basis)).collect::<Vec<_>>().join(", "));
    fact("Rule", event.rules.join(", "));
    fact("Reports", event.reports.iter().map(|report| report_name(report, style)).collect::<Vec<_>>().join("; "));
    if let Some(hearing) = event.hearing {
        let day = hearing.date.map(|date| format!(", {}", style.date(date))).unwrap_or_default();
        fact("Hearing", format!("{}{day}", spaced(hearing.status.as_str())));
    }
    fact("Next step", event.next_steps.iter().map(|step| spaced(step.as_str())).collect::<Vec<_>>().join(", "));
    fact("Cause", event.causes.iter().map(|cause| spaced(cause.as_str())).collect::<Vec<_>>().join(", "));
    lines
}

fn next_dates(event: &ListingEvent, style: Style) -> Vec<Line> {
    let row = |deadline: &Deadline| {
        let latest = deadline.date_latest.map(|date| format!(" to {}", style.date(date))).unwrap_or_default();
        let what = deadline.about.as_deref().unwrap_or_else(|| deadline_name(deadline.what));
        let source = match (deadline.source, &deadline.rule, deadline.anchor) {
            (DeadlineSource::Stated, _, _) => "stated".to_owned(),
            (DeadlineSource::Derived, Some(rule), Some(anchor)) => {
                format!("derived: rule {rule}, counted from {}", style.date(anchor))
            }
            (DeadlineSource::Derived, _, _) => "derived from the rules, not stated".to_owned(),
        };
        Line::Row(vec![format!("{}{latest}", style.date(deadline.date)), what.to_owned(), source])
    };
    event.deadlines.iter().map(row).collect()
}

fn quotes(event: &ListingEvent) -> Vec<Line> {
    let mut seen: Vec<&Evidence> = Vec::new();
    for evidence in &event.evidence {
        if !seen.iter().any(|other| other.text == evidence.text) {
            seen.push(evidence);
        }
    }
    seen.into_iter()
        .take(MAX_QUOTES)
        .map(|evidence| Line::Quote(shorten(&evidence.text), evidence.document.clone().unwrap_or_default()))
        .collect()
}

fn history_line(event: &ListingEvent, style: Style) -> Line {
    let date = event.letter_date.map_or_else(|| "no date".to_owned(), |date| style.date(date));
    Line::Fact(date, event_title(event))
}

fn links(alert: &Alert) -> Vec<Line> {
    let mut lines = vec![Line::Link("Filing".to_owned(), alert.index_url.to_string())];
    for document in &alert.documents {
        if let Some(url) = &document.url {
            lines.push(Line::Link(document.document_type.clone(), url.to_string()));
        }
    }
    lines
}

fn times(alert: &Alert, written_at: DateTime<Utc>, style: Style) -> Vec<Line> {
    let mut before = None;
    [("Accepted", alert.accepted_at), ("Seen", alert.seen_at), ("Read", alert.read_at), ("Written", written_at)]
        .into_iter()
        .filter(|(label, _)| *label != "Read" || alert.purpose == Purpose::Reading)
        .map(|(label, at)| {
            let lag = before.replace(at).map(|before| format!(" (+{})", print_lag(at - before))).unwrap_or_default();
            Line::Fact(label.to_owned(), format!("{}{lag}", style.instant(at)))
        })
        .collect()
}

/// `24 s`, `3 min`, `14 h`, `3 days`; a clock that ran backwards shows as nothing.
fn print_lag(lag: TimeDelta) -> String {
    match lag.num_seconds().max(0) {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= MAX_QUOTE_CHARS {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MAX_QUOTE_CHARS).collect();
    format!("{cut} [...]")
}
