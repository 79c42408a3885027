//! What every request passes: limits, headers that keep browsers from mischief, and the proof that a form is ours.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;

use super::Site;
use super::clients::{Action, client_address};
use super::pages::trouble_page;
use crate::tokens::Purpose;

/// A request that takes longer is given up, its body included.
const LONGEST_REQUEST: Duration = Duration::from_secs(20);
/// A form is filled in within a day.
const FORM_WITHIN: TimeDelta = TimeDelta::hours(24);
const COOKIE_NAME: &str = "edgar_watch_form";
/// Our own style sheet and our own forms, and nothing else: no script, no frame, no picture.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who asks; put on each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub(super) IpAddr);

/// Counts, limits the time of, and puts the headers on every answer.
pub(super) async fn guard(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let forwarded: Vec<&str> =
        request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let unknown = IpAddr::from([0, 0, 0, 0]);
    let client = client_address(peer.unwrap_or(unknown), &forwarded, &site.trusted_proxies);
    // Those who click away a mail share few networks: their providers'.
    let is_form = request.method() == Method::POST && !request.uri().path().contains("/unsubscribe/");
    let action = if is_form { Action::Post } else { Action::Look };
    let mut response = if !site.allowances.take(client, action, site.clock.now()) {
        trouble_page(&site, StatusCode::TOO_MANY_REQUESTS, "Too many requests. Try again in a minute.")
    } else {
        request.extensions_mut().insert(Client(client));
        match tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await {
            Ok(response) => response,
            Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), "interest-cohort=()"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        // Pages hold tokens, and what a person asked for.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if site.is_https() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// The proof that a form came from a page of ours: a signed number in the form, and the same number in a cookie that a
/// browser sends with no form of another site. It does with a link in a mail, so that pages open already stay good.
#[derive(Debug, Clone)]
pub(super) struct FormProof {
    /// For the form's hidden field.
    pub(super) token: String,
    cookie: String,
}

impl FormProof {
    /// For a page that answers a request: a browser keeps its number, so that several pages may be open.
    pub(super) fn new(site: &Site, headers: &HeaderMap) -> Self {
        let number = form_numbers(headers).find(|number| is_number(number)).map_or_else(new_number, str::to_owned);
        let token = site.keys.sign(Purpose::Form, &number, Some(site.clock.now() + FORM_WITHIN));
        let secure = if site.is_https() { "; Secure" } else { "" };
        let cookie = format!("{COOKIE_NAME}={number}; Path={}; HttpOnly; SameSite=Lax{secure}", site.path("/"));
        Self { token, cookie }
    }

    /// The page with the cookie that its form needs.
    pub(super) fn with(&self, response: impl IntoResponse) -> Response {
        let mut response = response.into_response();
        if let Ok(cookie) = HeaderValue::from_str(&self.cookie) {
            response.headers_mut().insert(axum::http::header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Whether a posted form came from a page of ours.
pub(super) fn is_our_form(site: &Site, headers: &HeaderMap, token: &str) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // A browser that says where the form came from is believed (Fetch Metadata); Referrer-Policy makes the origin null.
    let is_foreign = header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let origin = header(ORIGIN.as_str()).filter(|origin| *origin != "null");
    if is_foreign || origin.is_some_and(|origin| origin != site.origin()) {
        return false;
    }
    let signed = site.keys.verify(Purpose::Form, token, site.clock.now());
    signed.is_ok_and(|number| form_numbers(headers).any(|own| own == number))
}

const NUMBER_CHARS: usize = 13;

fn new_number() -> String {
    let mut bytes = [0; 8];
    // Without randomness the number is nobody's secret any more, and SameSite stands alone.
    let _ = getrandom::fill(&mut bytes);
    data_encoding::BASE32_DNSSEC.encode(&bytes)
}

fn is_number(text: &str) -> bool {
    text.len() == NUMBER_CHARS && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The numbers in a browser's cookies.
fn form_numbers(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE_NAME).then_some(value)
    })
}
