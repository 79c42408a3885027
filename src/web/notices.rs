//! Recent notices for everybody: a list with filters, a page for each with the evidence in its text, a feed (RFC 4287), and
//! JSON beside each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{Markup, html};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use serde_json::{Value, json};

use super::Site;
use super::pages::{failure_page, page, trouble_page};
use crate::alert::{Alert, Purpose};
use crate::classify::{Basis, EventKind, Evidence, Exchange, ListingEvent};
use crate::render::{Line, Setting, Style, alert_json, describe_alert, event_title, subject};
use crate::store::StoredDocument;

/// The list goes so far back, and is so long at most.
const SHOWN_FOR: TimeDelta = TimeDelta::days(90);
const MOST_SHOWN: usize = 100;
const MOST_IN_FEED: usize = 50;
/// The list is read from the store so often at most.
const KEPT_FOR: TimeDelta = TimeDelta::seconds(15);
/// More of a document's text is not shown: some are books.
const MOST_CHARS: usize = 200_000;

/// Alerts, and when they were read from the store.
type Known = (DateTime<Utc>, Arc<Vec<Alert>>);

/// The alerts of the last weeks, newest first.
#[derive(Debug, Default)]
pub(super) struct RecentNotices {
    known: Mutex<Option<Known>>,
}

type Shared = State<Arc<Site>>;
type Filters = Query<HashMap<String, String>>;

async fn recent(site: &Site) -> anyhow::Result<Arc<Vec<Alert>>> {
    let now = site.clock.now();
    let known = site.recent.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((at, alerts)) = known
        && (TimeDelta::zero()..KEPT_FOR).contains(&(now - at))
    {
        return Ok(alerts);
    }
    let rows = site.store.alerts_since(now - SHOWN_FOR).await?;
    // One that another version wrote in another form is not shown.
    let alerts = rows.iter().rev().filter_map(|row| serde_json::from_str::<Alert>(&row.content).ok());
    let alerts = Arc::new(alerts.filter(|alert| alert.purpose == Purpose::Reading).collect::<Vec<_>>());
    *site.recent.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, alerts.clone()));
    Ok(alerts)
}

/// The alerts that filters leave: `company` by name, ticker or CIK, `kind`, `exchange`, `basis`.
fn filtered<'a>(alerts: &'a [Alert], filters: &HashMap<String, String>) -> Vec<&'a Alert> {
    let filter =
        |name: &str| filters.get(name).map(|value| value.trim().to_lowercase()).filter(|value| !value.is_empty());
    let (company, kind, exchange, basis) = (filter("company"), filter("kind"), filter("exchange"), filter("basis"));
    let is_company = |alert: &Alert| {
        company.as_ref().is_none_or(|wanted| {
            let names = alert.filers.iter().flat_map(|filer| [filer.name.to_lowercase(), filer.cik.to_string()]);
            let is_named = names.into_iter().any(|name| name.contains(wanted.as_str()));
            is_named || alert.ticker.as_ref().is_some_and(|ticker| ticker.to_lowercase() == *wanted)
        })
    };
    let is_event = |event: &ListingEvent| {
        kind.as_ref().is_none_or(|kind| event.kind.as_str() == kind)
            && exchange.as_ref().is_none_or(|exchange| event.exchange.to_string() == *exchange)
            && basis.as_ref().is_none_or(|basis| event.bases.iter().any(|own| own.to_string() == *basis))
    };
    let left = alerts.iter().filter(|alert| is_company(alert) && alert.news().any(is_event));
    left.take(MOST_SHOWN).collect()
}

pub(super) async fn list(State(site): Shared, Query(filters): Filters) -> Response {
    let alerts = match recent(&site).await {
        Ok(alerts) => alerts,
        Err(error) => return failure_page(&site, &error),
    };
    let shown = filtered(&alerts, &filters);
    let chosen = |name: &str| filters.get(name).map_or("", String::as_str);
    let choices = |name: &str, label: &str, words: Vec<String>| {
        let id = format!("f-{name}");
        html! {
            div {
                label for=(id) { (label) }
                select id=(id) name=(name) {
                    option value="" { "Any" }
                    @for word in words {
                        option value=(word) selected[word == chosen(name)] { (word.replace('_', " ")) }
                    }
                }
            }
        }
    };
    let content = html! {
        h1 { "Listing notices" }
        form method="get" action=(site.path("/")) role="search" {
            div.row {
                div {
                    label for="f-company" { "Company" }
                    input type="text" id="f-company" name="company" value=(chosen("company")) maxlength="100";
                }
                (choices("kind", "Kind", EventKind::ALL.iter().map(ToString::to_string).collect()))
                (choices("exchange", "Exchange", Exchange::ALL.iter().map(ToString::to_string).collect()))
                (choices("basis", "Basis", Basis::ALL.iter().map(ToString::to_string).collect()))
            }
            p { button.quiet type="submit" { "Filter" } }
        }
        @if shown.is_empty() { p { "None in the last " (SHOWN_FOR.num_days()) " days." } }
        ul.notices {
            @for alert in &shown {
                li {
                    a href=(site.path(&format!("/notices/{}", alert.id))) { (subject(alert, Style::default())) }
                    div.when {
                        @if let Some(filer) = alert.filers.first() { (filer.name) ", " }
                        (alert.form) " filed " (Style::default().date(alert.filing_date))
                    }
                }
            }
        }
        p { a href=(site.path("/feed.atom")) { "Atom feed" } ", " a href=(site.path("/notices.json")) { "JSON" } }
    };
    cached(page(&site, "Listing notices", content))
}

pub(super) async fn list_json(State(site): Shared, Query(filters): Filters) -> Response {
    match recent(&site).await {
        Ok(alerts) => {
            let notices: Vec<Value> =
                filtered(&alerts, &filters).into_iter().map(|alert| summary_json(&site, alert)).collect();
            cached(Json(json!({"schema": 1, "notices": notices})))
        }
        Err(error) => failure_page(&site, &error),
    }
}

/// Pages that are the same for everybody may be kept for a moment.
fn cached(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=15"));
    response
}

fn notice_url(site: &Site, alert: &Alert) -> String {
    format!("{}/notices/{}", site.public_url, alert.id)
}

fn summary_json(site: &Site, alert: &Alert) -> Value {
    let events: Vec<Value> = alert
        .news()
        .map(|event| {
            json!({
                "kind": event.kind, "exchange": event.exchange, "bases": event.bases, "rules": event.rules,
                "letter_date": event.letter_date, "confidence": event.confidence,
            })
        })
        .collect();
    let mut summary = alert_json(alert);
    summary.insert("url".to_owned(), json!(notice_url(site, alert)));
    summary.insert("events".to_owned(), json!(events));
    Value::Object(summary)
}

/// `/notices/ID` and `/notices/ID.json`.
pub(super) async fn show(State(site): Shared, Path(name): Path<String>) -> Response {
    let (id, is_json) = match name.strip_suffix(".json") {
        Some(id) => (id, true),
        None => (name.as_str(), false),
    };
    match find(&site, id).await {
        Ok(Some((alert, _))) if is_json => {
            let mut value = summary_json(&site, &alert);
            value["schema"] = json!(1);
            value["events"] = json!(alert.events);
            value["caveats"] = json!(alert.caveats);
            cached(Json(value))
        }
        Ok(Some((alert, documents))) => cached(notice_page(&site, &alert, &documents)),
        Ok(None) => trouble_page(&site, StatusCode::NOT_FOUND, "There is no such notice."),
        Err(error) => failure_page(&site, &error),
    }
}

async fn find(site: &Site, id: &str) -> anyhow::Result<Option<(Alert, Vec<StoredDocument>)>> {
    let Some(row) = site.store.alert(id).await? else { return Ok(None) };
    let Ok(alert) = serde_json::from_str::<Alert>(&row.content) else { return Ok(None) };
    let documents = site.store.documents(alert.accession).await?;
    Ok(Some((alert, documents)))
}

fn notice_page(site: &Site, alert: &Alert, documents: &[StoredDocument]) -> Markup {
    let setting = Setting {
        reasons: &[],
        earlier: &[],
        preferences: None,
        unsubscribe: None,
        written_at: alert.read_at,
        style: Style::default(),
    };
    let body = describe_alert(alert, &setting);
    let title = subject(alert, Style::default());
    let content = html! {
        h1 { (title) }
        p { (body.headline) }
        @for section in body.sections.iter().filter(|section| section.title != "Times" && !section.lines.is_empty()) {
            @if !section.title.is_empty() { h2 { (section.title) } }
            (lines(&section.lines))
        }
        @for document in documents {
            @if let Some(text) = &document.text {
                @let parts = highlighted(text, &evidence_in(alert, document));
                @if parts.iter().any(|(_, is_marked)| *is_marked) {
                    h2 { "In " (document.document_type) }
                    div.text tabindex="0" role="region" aria-label={ "Text of " (document.document_type) } {
                        @for (part, is_marked) in parts {
                            @if is_marked { mark { (part) } } @else { (part) }
                        }
                    }
                }
            }
        }
        p { a href=(site.path(&format!("/notices/{}.json", alert.id))) { "JSON" } }
    };
    page(site, &title, content)
}

fn lines(lines: &[Line]) -> Markup {
    let groups = lines.chunk_by(|one, other| std::mem::discriminant(one) == std::mem::discriminant(other));
    html! {
        @for group in groups {
            @match group.first() {
                Some(Line::Fact(..) | Line::Link(..) | Line::Action(..)) => dl {
                    @for line in group {
                        @match line {
                            Line::Fact(label, value) => { dt { (label) } dd { (value) } }
                            Line::Link(label, url) | Line::Action(label, url) => { dt { (label) } dd { a href=(url) rel="noreferrer" { (url) } } }
                            _ => {}
                        }
                    }
                },
                Some(Line::Row(_)) => div.scroll { table {
                    @for line in group {
                        @if let Line::Row(cells) = line { tr { @for cell in cells { td { (cell) } } } }
                    }
                } },
                _ => {
                    @for line in group {
                        @match line {
                            Line::Quote(sentence, source) => {
                                blockquote { mark { (sentence) } @if !source.is_empty() { p.hint { (source) } } }
                            }
                            Line::Plain(sentence) => p { (sentence) },
                            _ => {}
                        }
                    }
                }
            }
        }
    }
}

/// The evidence that stands in a document.
fn evidence_in<'a>(alert: &'a Alert, document: &StoredDocument) -> Vec<&'a Evidence> {
    let is_here = |evidence: &&Evidence| evidence.document.as_ref().is_none_or(|kind| *kind == document.document_type);
    alert.news().flat_map(|event| &event.evidence).filter(is_here).collect()
}

/// A text in parts, with those marked that are evidence. Places count characters; where the words do not stand there, as in
/// another document of the same type, they are looked for.
fn highlighted<'a>(text: &'a str, evidence: &[&Evidence]) -> Vec<(&'a str, bool)> {
    let byte_of = |place: usize| text.char_indices().nth(place).map_or(text.len(), |(at, _)| at);
    let mut marks: Vec<(usize, usize)> = evidence
        .iter()
        .filter_map(|evidence| {
            let (start, end) = (byte_of(evidence.start), byte_of(evidence.end));
            if text.get(start..end) == Some(evidence.text.as_str()) {
                return Some((start, end));
            }
            let start = text.find(&evidence.text).filter(|_| !evidence.text.is_empty())?;
            Some((start, start + evidence.text.len()))
        })
        .collect();
    marks.sort_unstable();
    let end_of_text = byte_of(MOST_CHARS);
    let (mut parts, mut at) = (Vec::new(), 0);
    for (start, end) in marks {
        let (start, end) = (start.max(at), end.min(end_of_text));
        if start < end {
            parts.push((&text[at..start], false));
            parts.push((&text[start..end], true));
            at = end;
        }
    }
    parts.push((&text[at..end_of_text.max(at)], false));
    parts.retain(|(part, _)| !part.is_empty());
    parts
}

pub(super) async fn feed(State(site): Shared, Query(filters): Filters) -> Response {
    let alerts = match recent(&site).await {
        Ok(alerts) => alerts,
        Err(error) => return failure_page(&site, &error),
    };
    let shown: Vec<&Alert> = filtered(&alerts, &filters).into_iter().take(MOST_IN_FEED).collect();
    match write_feed(&site, &shown) {
        Ok(feed) => {
            let kind = HeaderValue::from_static("application/atom+xml; charset=utf-8");
            cached(([(CONTENT_TYPE, kind)], feed))
        }
        Err(error) => failure_page(&site, &error.into()),
    }
}

fn write_feed(site: &Site, alerts: &[&Alert]) -> std::io::Result<Vec<u8>> {
    let mut out = Writer::new(Vec::new());
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    // A feed without entries has not changed since the epoch.
    let updated = alerts.iter().map(|alert| alert.read_at).max().unwrap_or_default();
    out.create_element("feed").with_attribute(("xmlns", "http://www.w3.org/2005/Atom")).write_inner_content(|out| {
        let text = |out: &mut Writer<Vec<u8>>, name: &str, words: &str| {
            out.create_element(name).write_text_content(BytesText::new(&printable(words))).map(drop)
        };
        text(out, "id", &format!("{}/feed.atom", site.public_url))?;
        text(out, "title", "EDGAR Watch: listing notices")?;
        text(out, "updated", &time(updated))?;
        out.create_element("link")
            .with_attributes([("rel", "self"), ("href", format!("{}/feed.atom", site.public_url).as_str())])
            .write_empty()?;
        out.create_element("author").write_inner_content(|out| text(out, "name", "EDGAR Watch"))?;
        for alert in alerts {
            out.create_element("entry").write_inner_content(|out| {
                text(out, "id", &notice_url(site, alert))?;
                text(out, "title", &subject(alert, Style::default()))?;
                text(out, "updated", &time(alert.read_at))?;
                text(out, "published", &time(alert.accepted_at))?;
                out.create_element("link").with_attribute(("href", notice_url(site, alert).as_str())).write_empty()?;
                for event in alert.news() {
                    out.create_element("category").with_attribute(("term", event.kind.as_str())).write_empty()?;
                }
                let titles: Vec<String> = alert.news().map(event_title).collect();
                let name = alert.filers.first().map_or("", |filer| filer.name.as_str());
                let quote = alert.news().find_map(|event| event.evidence.first()).map_or("", |one| one.text.as_str());
                text(out, "summary", &format!("{name}: {}. {quote}", titles.join(", ")))
            })?;
        }
        Ok(())
    })?;
    Ok(out.into_inner())
}

/// Text without the characters that XML cannot hold (XML 1.0, 2.2).
fn printable(text: &str) -> String {
    text.chars().filter(|c| *c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(start: usize, end: usize, text: &str) -> Evidence {
        Evidence { start, end, text: text.to_owned(), pattern: String::new(), document: None }
    }

    #[test]
    fn evidence_is_marked_where_it_stands() {
        let text = "\u{e4}b cd ef";
        let parts = |evidence: &[&Evidence]| -> Vec<(String, bool)> {
            highlighted(text, evidence).into_iter().map(|(part, is_marked)| (part.to_owned(), is_marked)).collect()
        };
        let expected = |parts: &[(&str, bool)]| -> Vec<(String, bool)> {
            parts.iter().map(|(part, is_marked)| ((*part).to_owned(), *is_marked)).collect()
        };
        assert_eq!(parts(&[&evidence(3, 5, "cd")]), expected(&[("\u{e4}b ", false), ("cd", true), (" ef", false)]));
        assert_eq!(parts(&[&evidence(0, 2, "ef")]), expected(&[("\u{e4}b cd ", false), ("ef", true)]));
        assert_eq!(parts(&[&evidence(0, 2, "none")]), expected(&[(text, false)]));
        let overlapping = [&evidence(0, 5, "\u{e4}b cd"), &evidence(3, 8, "cd ef")];
        assert_eq!(parts(&overlapping), expected(&[("\u{e4}b cd", true), (" ef", true)]));
        assert_eq!(highlighted("", &[&evidence(5, 9, "")]), Vec::new());
    }

    #[test]
    fn a_feed_holds_no_character_that_xml_cannot() {
        assert_eq!(printable("a\u{1}b\u{fffe}\n<"), "ab\n<");
    }
}
