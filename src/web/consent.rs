//! Subscribing, confirming, changing and ending: GET shows, POST does.
#![expect(clippy::result_large_err, reason = "the page that says why not is an answer like any other")]

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{NaiveDate, TimeDelta};
use maud::{Markup, html};

use super::clients::Action;
use super::forms::{Asked, Fields, KINDS, Suggestion, ZONES, read_subscription};
use super::guard::{Client, FormProof, is_our_form};
use super::pages::{bad_link_page, failure_page, message_page, page, trouble_page};
use super::{Site, Wish};
use crate::links::CONFIRM_WITHIN;
use crate::passes::{confirmation_mail, links_of, preferences_mail};
use crate::store::{NewSubscription, Silence, SubscriptionRow, SubscriptionState, Which, new_subscription_id};
use crate::subscription::{Origin, WrittenSubscription};
use crate::tokens::Purpose;

/// So many mails that nobody asked for again go to one address in this time.
const MOST_ASKED: usize = 3;
const ASKED_WITHIN: TimeDelta = TimeDelta::hours(24);
/// A field that people do not see and programs fill in.
const TRAP: &str = "website";

type Shared = State<Arc<Site>>;

/// A page, or the page that says why there is none.
type Shown = Result<Response, Response>;

// ---- Subscribing

pub(super) async fn show_subscribe(State(site): Shared, headers: HeaderMap) -> Response {
    let proof = FormProof::new(&site, &headers);
    proof.with(subscribe_page(&site, &proof, "", &Asked::default()))
}

fn subscribe_page(site: &Site, proof: &FormProof, email: &str, asked: &Asked) -> Markup {
    let content = html! {
        h1 { "Listing notices by mail" }
        p {
            "When a company on Nasdaq is told that it does not meet a listing rule, it files a report with the SEC. This \
             service reads those reports as they appear and mails you those you ask for. You are asked to confirm your \
             address first, and every mail lets you stop."
        }
        (faults(&asked.faults))
        form method="post" action=(site.path("/subscribe")) {
            input type="hidden" name="form" value=(proof.token);
            p.hp aria-hidden="true" {
                label for="website" { "Leave this empty" }
                input type="text" id="website" name=(TRAP) tabindex="-1" autocomplete="off";
            }
            fieldset {
                legend { "Your address" }
                label for="email" { "E-mail" }
                input type="email" id="email" name="email" required autocomplete="email" maxlength="254" value=(email);
            }
            (terms_fields(site, "new", &asked.written, &asked.suggestions))
            button type="submit" { "Subscribe" }
        }
    };
    page(site, "Subscribe", content)
}

fn faults(faults: &[String]) -> Markup {
    html! {
        @if !faults.is_empty() {
            div.fault role="alert" {
                @for fault in faults { p { (fault) } }
            }
        }
    }
}

/// The fields of a subscription's terms. `id` keeps the labels of several forms on one page apart.
fn terms_fields(site: &Site, id: &str, written: &WrittenSubscription, suggestions: &[Suggestion]) -> Markup {
    let issuers = written.issuers.as_deref().unwrap_or_default();
    let is_all = issuers.is_empty() || issuers.iter().any(|issuer| issuer == "*");
    let named: Vec<&str> =
        issuers.iter().map(String::as_str).filter(|one| *one != "*" && !one.starts_with("group:")).collect();
    let kinds = written.kinds.clone().unwrap_or_else(|| vec!["default".to_owned()]);
    let delivery = written.delivery.as_deref().unwrap_or("immediate");
    let (quiet_from, quiet_to) =
        written.quiet_hours.as_deref().and_then(|text| text.split_once('-')).unwrap_or_default();
    let zone = written.time_zone.as_deref().unwrap_or("America/New_York");
    let has_zone = ZONES.iter().any(|known| known.name() == zone);
    let dates = written.dates.as_deref().unwrap_or("en");
    html! {
        fieldset {
            legend { "Companies" }
            label.choice { input type="radio" name="scope" value="all" checked[is_all]; span { "All that are watched here" } }
            label.choice { input type="radio" name="scope" value="some" checked[!is_all]; span { "These:" } }
            label for={ (id) "-issuers" } { "Tickers or names, one to a line" }
            p.hint { "A name that fits more than one company brings a list to choose from." }
            textarea id={ (id) "-issuers" } name="issuers" rows="3" { (named.join("\n")) }
            @for suggestion in suggestions {
                label.choice {
                    input type="checkbox" name="pick" value=(suggestion.cik) checked[issuers.contains(&suggestion.cik.to_string())];
                    span { (suggestion.name) " (" (suggestion.ticker) ")" }
                }
            }
            @for group in site.settings.groups.keys() {
                label.choice {
                    input type="checkbox" name="group" value=(group) checked[issuers.contains(&format!("group:{group}"))];
                    span { "The group \"" (group) "\"" }
                }
            }
        }
        fieldset {
            legend { "What for" }
            @for (kind, name, words) in KINDS {
                label.choice {
                    input type="checkbox" name="kinds" value=(kind) checked[kinds.iter().any(|own| own == kind)];
                    span { strong { (name) } " " span.hint { (words) } }
                }
            }
        }
        fieldset {
            legend { "When" }
            div.row {
                div {
                    label for={ (id) "-delivery" } { "Mails" }
                    select id={ (id) "-delivery" } name="delivery" {
                        option value="immediate" selected[delivery == "immediate"] { "At once, one a filing" }
                        option value="daily" selected[delivery == "daily"] { "One a day" }
                        option value="weekly" selected[delivery == "weekly"] { "One a week" }
                    }
                }
                div {
                    label for={ (id) "-at" } { "Time of the daily or weekly mail" }
                    input type="time" id={ (id) "-at" } name="at" value=(written.at.as_deref().unwrap_or("08:00"));
                }
                div {
                    label for={ (id) "-on" } { "Day of the weekly mail" }
                    select id={ (id) "-on" } name="on" {
                        @for day in ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] {
                            option value=(day) selected[written.on.as_deref().unwrap_or("monday") == day] { (capitalised(day)) }
                        }
                    }
                }
                div {
                    label for={ (id) "-zone" } { "Your clock" }
                    select id={ (id) "-zone" } name="time_zone" {
                        @for known in ZONES {
                            option value=(known.name()) selected[known.name() == zone] { (known.name().replace('_', " ")) }
                        }
                        @if !has_zone { option value=(zone) selected { (zone) } }
                    }
                }
                div {
                    label for={ (id) "-from" } { "No mail from" }
                    input type="time" id={ (id) "-from" } name="quiet_from" value=(quiet_from);
                }
                div {
                    label for={ (id) "-to" } { "until" }
                    input type="time" id={ (id) "-to" } name="quiet_to" value=(quiet_to);
                }
                div {
                    label for={ (id) "-dates" } { "Dates" }
                    select id={ (id) "-dates" } name="dates" {
                        @for (code, example) in DATES {
                            option value=(code) selected[code == dates] { (example) }
                        }
                        @if !DATES.iter().any(|(code, _)| *code == dates) { option value=(dates) selected { (dates) } }
                    }
                }
            }
        }
    }
}

/// Ways to write dates that the form offers, each shown by an example.
const DATES: [(&str, &str); 6] = [
    ("en", "2 Mar 2026"),
    ("iso", "2026-03-02"),
    ("de_DE", "2 M\u{e4}r 2026 (Deutsch)"),
    ("fr_FR", "2 mars 2026 (Fran\u{e7}ais)"),
    ("es_ES", "2 mar 2026 (Espa\u{f1}ol)"),
    ("it_IT", "2 mar 2026 (Italiano)"),
];

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

pub(super) async fn post_subscribe(
    State(site): Shared,
    Extension(Client(client)): Extension<Client>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fields = Fields::parse(&body);
    if let Err(page) = check_form(&site, &headers, &fields) {
        return page;
    }
    let map = if fields.text("scope") == "some" { site.ticker_map().await } else { None };
    let mut asked = read_subscription(&fields, map.as_deref(), &site.settings.groups);
    let email = fields.text("email").to_owned();
    let address = read_address(&email);
    if address.is_none() {
        asked.faults.insert(0, "That is no e-mail address.".to_owned());
    }
    let Some(address) = address.filter(|_| asked.faults.is_empty()) else {
        let proof = FormProof::new(&site, &headers);
        let page = subscribe_page(&site, &proof, &email, &asked);
        return proof.with((StatusCode::UNPROCESSABLE_ENTITY, page));
    };
    if !site.allowances.take(client, Action::Mail, site.clock.now()) {
        return too_many(&site);
    }
    let Ok(id) = new_subscription_id() else { return busy(&site) };
    let erased_as = site.keys.erased(&address);
    let (origin, state) = (Origin::Web, SubscriptionState::Pending);
    let new = NewSubscription { id, origin, address, erased_as, state, written: asked.written };
    let is_trapped = !fields.text(TRAP).is_empty();
    // Whoever it is, the answer is the same, and what follows happens after it.
    if !is_trapped && site.wishes.try_send(Wish::Subscribe(Box::new(new))).is_err() {
        return busy(&site);
    }
    let words = format!(
        "If this address takes our mail, a message is on its way to it. Open the link in it within {} days to confirm.",
        CONFIRM_WITHIN.num_days()
    );
    message_page(&site, StatusCode::OK, "Almost done", &words)
}

fn check_form(site: &Site, headers: &HeaderMap, fields: &Fields) -> Result<(), Response> {
    if is_our_form(site, headers, fields.text("form")) {
        return Ok(());
    }
    let words = "This form is too old, or did not come from this site. Go back, load the page again and send it once more. \
                 Cookies must be allowed for it.";
    Err(trouble_page(site, StatusCode::FORBIDDEN, words))
}

/// A bare address in lower case, of a shape that every mail server takes.
fn read_address(text: &str) -> Option<String> {
    let address: lettre::Address = text.parse().ok()?;
    let text = address.to_string().to_lowercase();
    let has_dot = address.domain().contains('.');
    (text.len() <= 254 && text.is_ascii() && has_dot && !text.contains(['"', '['])).then_some(text)
}

fn too_many(site: &Site) -> Response {
    trouble_page(site, StatusCode::TOO_MANY_REQUESTS, "Too many requests from your network. Try again in an hour.")
}

fn busy(site: &Site) -> Response {
    trouble_page(site, StatusCode::SERVICE_UNAVAILABLE, "Too much is asked for at once. Try again in a minute.")
}

/// Does what was asked for on a page. Whether a mail waits now.
pub(super) async fn fulfil(site: &Site, wish: Wish) -> anyhow::Result<bool> {
    let now = site.clock.now();
    let links = links_of(&site.settings, &site.keys);
    match wish {
        Wish::Subscribe(new) => {
            let rows = site.store.subscriptions(Which::Address(&new.address)).await?;
            let recent = rows.iter().filter(|row| now - row.created_at < ASKED_WITHIN && row.origin == Origin::Web);
            if recent.count() >= MOST_ASKED {
                return Ok(false);
            }
            if site.store.is_erased(&new.erased_as).await? {
                return Ok(false);
            }
            let Some(mail) = confirmation_mail(&site.settings, &links, &new, now) else { return Ok(false) };
            site.store.ask_to_subscribe(&new, &mail?, now).await?;
            Ok(true)
        }
        Wish::Preferences(address) => {
            let rows = site.store.subscriptions(Which::Address(&address)).await?;
            // Who has never confirmed has not shown to be behind the address.
            let confirmed = rows.iter().find(|row| row.confirmed_at.is_some());
            let Some(number) = confirmed.map(|row| row.address_id) else { return Ok(false) };
            // One mail a quarter of a day, whoever asks.
            let quarter = now.timestamp().div_euclid(6 * 3600);
            let matter = format!("preferences:{number}:{quarter}");
            let Some(mail) = preferences_mail(&site.settings, &links, (&address, number), &matter, now) else {
                return Ok(false);
            };
            site.store.enqueue_once(&mail?, now).await?;
            Ok(true)
        }
    }
}

// ---- Confirming

/// The subscription that a confirmation is about.
async fn to_confirm(site: &Site, token: &str) -> Result<SubscriptionRow, Response> {
    let id = site.keys.verify(Purpose::Confirm, token, site.clock.now()).map_err(|error| bad_link_page(site, error))?;
    let rows = site.store.subscriptions(Which::Id(&id)).await.map_err(|error| failure_page(site, &error))?;
    rows.into_iter().next().ok_or_else(|| gone(site))
}

fn gone(site: &Site) -> Response {
    trouble_page(site, StatusCode::GONE, "There is no such subscription any more.")
}

pub(super) async fn show_confirm(State(site): Shared, Path(token): Path<String>) -> Shown {
    let row = to_confirm(&site, &token).await?;
    match row.state {
        SubscriptionState::Pending => {}
        SubscriptionState::Active => return Ok(confirmed(&site, &row)),
        SubscriptionState::Ended => return Err(gone(&site)),
    }
    let content = html! {
        h1 { "Confirm your subscription" }
        dl {
            dt { "Address" } dd { (row.address) }
            dt { "Wanted" } dd { (row.written.summary()) }
        }
        form method="post" action=(site.path(&format!("/confirm/{token}"))) {
            p { button type="submit" { "Confirm" } }
        }
    };
    Ok(page(&site, "Confirm", content).into_response())
}

pub(super) async fn post_confirm(State(site): Shared, Path(token): Path<String>) -> Shown {
    let row = to_confirm(&site, &token).await?;
    let now = site.clock.now();
    let done = site.store.confirm_subscription(&row.id, now).await.map_err(|error| failure_page(&site, &error))?;
    if done || row.state == SubscriptionState::Active { Ok(confirmed(&site, &row)) } else { Err(gone(&site)) }
}

fn confirmed(site: &Site, row: &SubscriptionRow) -> Response {
    let links = links_of(&site.settings, &site.keys);
    let content = html! {
        h1 { "You are subscribed" }
        p { "Mail will come to " strong { (row.address) } " for: " (row.written.summary()) "." }
        @if let Some(preferences) = links.preferences(row.address_id, site.clock.now()) {
            p { a href=(preferences) { "See or change your subscriptions" } }
        }
    };
    page(site, "You are subscribed", content).into_response()
}

// ---- Changing

pub(super) async fn show_ask(State(site): Shared, headers: HeaderMap) -> Response {
    let proof = FormProof::new(&site, &headers);
    proof.with(ask_page(&site, &proof, &[]))
}

fn ask_page(site: &Site, proof: &FormProof, found: &[String]) -> Markup {
    let content = html! {
        h1 { "Your subscriptions" }
        p { "Enter your address and a link to your subscriptions is mailed to it." }
        (faults(found))
        form method="post" action=(site.path("/preferences")) {
            input type="hidden" name="form" value=(proof.token);
            label for="email" { "E-mail" }
            input type="email" id="email" name="email" required autocomplete="email" maxlength="254";
            p { button type="submit" { "Mail me the link" } }
        }
    };
    page(site, "Your subscriptions", content)
}

pub(super) async fn post_ask(
    State(site): Shared,
    Extension(Client(client)): Extension<Client>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fields = Fields::parse(&body);
    if let Err(page) = check_form(&site, &headers, &fields) {
        return page;
    }
    let Some(address) = read_address(fields.text("email")) else {
        let proof = FormProof::new(&site, &headers);
        let page = ask_page(&site, &proof, &["That is no e-mail address.".to_owned()]);
        return proof.with((StatusCode::UNPROCESSABLE_ENTITY, page));
    };
    if !site.allowances.take(client, Action::Mail, site.clock.now()) {
        return too_many(&site);
    }
    if site.wishes.try_send(Wish::Preferences(address)).is_err() {
        return busy(&site);
    }
    let words = "If this address subscribes to anything, a message with a link is on its way to it.";
    message_page(&site, StatusCode::OK, "Look into your mail", words)
}

/// The address behind a link to preferences, and its subscriptions that have not ended.
async fn whose(site: &Site, token: &str) -> Result<(String, Vec<SubscriptionRow>), Response> {
    let number = site.keys.verify(Purpose::Preferences, token, site.clock.now());
    let number = number.map_err(|error| bad_link_page(site, error))?.parse().unwrap_or(0);
    let failed = |error: anyhow::Error| failure_page(site, &error);
    let address = site.store.address_of(number).await.map_err(failed)?.ok_or_else(|| gone(site))?;
    let mut rows = site.store.subscriptions(Which::Address(&address)).await.map_err(failed)?;
    rows.retain(|row| row.state != SubscriptionState::Ended);
    Ok((address, rows))
}

pub(super) async fn show_preferences(State(site): Shared, Path(token): Path<String>, headers: HeaderMap) -> Shown {
    let (address, rows) = whose(&site, &token).await?;
    let proof = FormProof::new(&site, &headers);
    Ok(proof.with(preferences_page(&site, &proof, &token, &address, &rows, &Asked::default())))
}

fn preferences_page(
    site: &Site,
    proof: &FormProof,
    token: &str,
    address: &str,
    rows: &[SubscriptionRow],
    asked: &Asked,
) -> Markup {
    let action = site.path(&format!("/preferences/{token}"));
    let silenced = rows.iter().find_map(|row| row.silenced.as_ref());
    let content = html! {
        h1 { "Your subscriptions" }
        p { "For " strong { (address) } "." }
        (faults(&asked.faults))
        @if let Some((silence, since, _)) = silenced {
            div.fault role="status" {
                p {
                    @match silence {
                        Silence::Bounced => { "Mail to this address came back on " (since.date_naive()) ", so none is sent now." }
                        _ => { "You unsubscribed on " (since.date_naive()) ": no mail is sent to you." }
                    }
                    " Subscribe again to get mail."
                }
            }
        }
        @if rows.is_empty() { p { "There are none." } }
        @for row in rows {
            section.card aria-labelledby={ "s-" (row.id) } {
                h2 id={ "s-" (row.id) } { (row.written.summary()) }
                p.hint {
                    @if row.state == SubscriptionState::Pending { "Not confirmed yet. " }
                    @if let Some(until) = row.paused_until.filter(|until| *until > site.clock.now()) {
                        "Paused until " (until.date_naive()) ". "
                    }
                    @if row.origin == Origin::Config { "Set up by whoever runs this service; ask there to change it." }
                }
                form method="post" action=(action) {
                    input type="hidden" name="form" value=(proof.token);
                    input type="hidden" name="id" value=(row.id);
                    label for={ "u-" (row.id) } { "Pause until" }
                    input type="date" id={ "u-" (row.id) } name="until";
                    p {
                        button.quiet type="submit" name="do" value="pause" { "Pause" } " "
                        @if row.paused_until.is_some() {
                            button.quiet type="submit" name="do" value="resume" { "End the pause" } " "
                        }
                        @if row.origin != Origin::Config {
                            button.quiet type="submit" name="do" value="end" { "End this subscription" }
                        }
                    }
                }
                @if row.origin != Origin::Config {
                    details {
                        summary { "Change it" }
                        form method="post" action=(action) {
                            input type="hidden" name="form" value=(proof.token);
                            input type="hidden" name="id" value=(row.id);
                            (terms_fields(site, &row.id, &row.written, &[]))
                            button type="submit" name="do" value="change" { "Save" }
                        }
                    }
                }
            }
        }
        @if silenced.is_none() && !rows.is_empty() {
            form method="post" action=(action) {
                input type="hidden" name="form" value=(proof.token);
                p { button type="submit" name="do" value="stop" { "Stop all mail to me" } }
            }
        }
        p { a href=(site.path("/subscribe")) { "Add a subscription" } }
    };
    page(site, "Your subscriptions", content)
}

pub(super) async fn post_preferences(
    State(site): Shared,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Shown {
    let fields = Fields::parse(&body);
    let (address, rows) = whose(&site, &token).await?;
    check_form(&site, &headers, &fields)?;
    let now = site.clock.now();
    let again = || Ok(Redirect::to(&site.path(&format!("/preferences/{token}"))).into_response());
    let refuse = |asked: &Asked| {
        let proof = FormProof::new(&site, &headers);
        let page = preferences_page(&site, &proof, &token, &address, &rows, asked);
        Ok(proof.with((StatusCode::UNPROCESSABLE_ENTITY, page)))
    };
    if fields.text("do") == "stop" {
        let done = site.store.silence_address(&address, Silence::Unsubscribed, "on the page", now).await;
        done.map_err(|error| failure_page(&site, &error))?;
        return again();
    }
    // Only one's own.
    let Some(row) = rows.iter().find(|row| row.id == fields.text("id")) else { return Err(gone(&site)) };
    let is_own = row.origin != Origin::Config;
    let done = match fields.text("do") {
        "pause" => {
            let Ok(until) = fields.text("until").parse::<NaiveDate>() else {
                return refuse(&Asked { faults: vec!["Choose a day to pause until.".to_owned()], ..Asked::default() });
            };
            let until = row.written.start_of(until, &site.settings.groups);
            site.store.pause_subscriptions(&[&row.id], until).await
        }
        "resume" => site.store.end_pauses(&[&row.id], now).await,
        "end" if is_own => site.store.end_subscriptions(&[&row.id], now).await,
        "change" if is_own => {
            let map = if fields.text("scope") == "some" { site.ticker_map().await } else { None };
            let mut asked = read_subscription(&fields, map.as_deref(), &site.settings.groups);
            if !asked.faults.is_empty() {
                return refuse(&asked);
            }
            asked.written.keep_what_the_form_has_not(&row.written);
            site.store.change_terms(&row.id, &asked.written).await
        }
        _ => return Err(trouble_page(&site, StatusCode::BAD_REQUEST, "That cannot be done here.")),
    };
    done.map_err(|error| failure_page(&site, &error))?;
    again()
}

// ---- Ending

/// The address behind a link that stops all mail.
async fn to_unsubscribe(site: &Site, token: &str) -> Result<String, Response> {
    let number = site.keys.verify(Purpose::Unsubscribe, token, site.clock.now());
    let number = number.map_err(|error| bad_link_page(site, error))?.parse().unwrap_or(0);
    let address = site.store.address_of(number).await.map_err(|error| failure_page(site, &error))?;
    // Erased: there is nothing left to stop.
    address.ok_or_else(|| unsubscribed(site))
}

pub(super) async fn show_unsubscribe(State(site): Shared, Path(token): Path<String>) -> Shown {
    let address = to_unsubscribe(&site, &token).await?;
    let content = html! {
        h1 { "Stop all mail?" }
        p { "No more listing notices are sent to " strong { (address) } "." }
        form method="post" action=(site.path(&format!("/unsubscribe/{token}"))) {
            p { button type="submit" { "Unsubscribe" } }
        }
    };
    Ok(page(&site, "Unsubscribe", content).into_response())
}

/// The button of the page, or one click in a mail program (RFC 8058): the token is all that it needs.
pub(super) async fn post_unsubscribe(State(site): Shared, Path(token): Path<String>, body: Bytes) -> Shown {
    let address = to_unsubscribe(&site, &token).await?;
    let is_one_click = Fields::parse(&body).text("List-Unsubscribe") == "One-Click";
    let why = if is_one_click { "by one click in a mail" } else { "on the page" };
    let done = site.store.silence_address(&address, Silence::Unsubscribed, why, site.clock.now()).await;
    done.map_err(|error| failure_page(&site, &error))?;
    Ok(unsubscribed(&site))
}

fn unsubscribed(site: &Site) -> Response {
    message_page(site, StatusCode::OK, "You are unsubscribed", "No more listing notices are sent to you.")
}
