//! The pages: people subscribe, confirm, change and end subscriptions, and, where that is wanted, read recent notices.
//!
//! Everything is rendered here, without scripts. GET changes nothing, since programs follow links in mails. Links are built
//! from the configured public address alone.

mod admin;
mod clients;
mod consent;
mod forms;
mod guard;
mod notices;
mod pages;
mod server;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use tokio::sync::{Mutex, mpsc, watch};

pub use admin::admin_router;
pub use server::{ListenError, listen, serve};

use crate::clock::SharedClock;
use crate::config::Settings;
use crate::edgar::client::EdgarClient;
use crate::edgar::tickers::TickerMap;
use crate::store::{NewSubscription, Store};
use crate::tokens::Keys;
use clients::Allowances;
use notices::RecentNotices;

/// A form of ours is a few hundred bytes.
const LARGEST_BODY: usize = 16 * 1024;
/// Requests for mail that wait to be looked at; more are turned away.
const MOST_WAITING: usize = 1000;
/// How long the ticker map is good for, and how soon it is asked for again when it could not be had.
const MAP_KEPT: TimeDelta = TimeDelta::hours(24);
const MAP_RETRY: TimeDelta = TimeDelta::minutes(5);
/// A page does not wait longer for the map.
const MAP_PATIENCE: Duration = Duration::from_secs(3);

/// Something asked for on a page that is done after the page is answered, so that the answer tells nothing of who is known.
#[derive(Debug)]
enum Wish {
    /// To subscribe; the address is asked.
    Subscribe(Box<NewSubscription>),
    /// A link to the subscriptions of an address.
    Preferences(String),
}

/// When the ticker map was asked for, and what came.
type KnownMap = (DateTime<Utc>, Option<Arc<TickerMap>>);

/// What the pages share.
pub struct Site {
    settings: Arc<Settings>,
    public_url: String,
    store: Store,
    keys: Keys,
    clock: SharedClock,
    client: EdgarClient,
    trusted_proxies: Vec<IpNet>,
    allowances: Allowances,
    wishes: mpsc::Sender<Wish>,
    tickers: Mutex<Option<KnownMap>>,
    recent: RecentNotices,
}

/// The other end of a site's wishes.
pub struct Wishes(mpsc::Receiver<Wish>);

impl Site {
    /// Puts the parts together. `client` is for EDGAR's ticker map alone.
    pub fn new(
        settings: Arc<Settings>,
        store: Store,
        keys: Keys,
        clock: SharedClock,
        client: EdgarClient,
    ) -> (Arc<Self>, Wishes) {
        let (wishes, waiting) = mpsc::channel(MOST_WAITING);
        let site = Self {
            public_url: settings.public_url.clone().unwrap_or_default(),
            trusted_proxies: settings.http.iter().flat_map(|http| http.trusted_proxies.clone()).collect(),
            settings,
            store,
            keys,
            clock,
            client,
            allowances: Allowances::default(),
            wishes,
            tickers: Mutex::new(None),
            recent: RecentNotices::default(),
        };
        (Arc::new(site), Wishes(waiting))
    }

    fn is_public(&self) -> bool {
        self.settings.http.as_ref().is_some_and(|http| http.is_public)
    }

    fn is_https(&self) -> bool {
        self.public_url.starts_with("https:")
    }

    /// Networks whose word on who asks is taken.
    pub fn trusted_proxies(&self) -> &[IpNet] {
        &self.trusted_proxies
    }

    /// `https://alerts.example.com`
    fn origin(&self) -> String {
        url::Url::parse(&self.public_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    /// The path of the public address: empty, or one without a slash at its end.
    fn prefix(&self) -> String {
        let path = url::Url::parse(&self.public_url).map(|url| url.path().to_owned()).unwrap_or_default();
        path.trim_end_matches('/').to_owned()
    }

    /// A path of ours as a browser sees it.
    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix())
    }

    /// EDGAR's ticker map, asked for once a day at most; `None` while it cannot be had.
    async fn ticker_map(&self) -> Option<Arc<TickerMap>> {
        let now = self.clock.now();
        // One asks, the others wait for what comes.
        let mut known = self.tickers.lock().await;
        if let Some((at, map)) = &*known {
            let kept = if map.is_some() { MAP_KEPT } else { MAP_RETRY };
            if (TimeDelta::zero()..kept).contains(&(now - *at)) {
                return map.clone();
            }
        }
        // A limit on the network, so it runs on the network's clock.
        let asked = tokio::time::timeout(MAP_PATIENCE, self.client.ticker_map()).await;
        let map = asked.ok().and_then(Result::ok).map(Arc::new);
        *known = Some((now, map.clone()));
        map
    }
}

/// All pages, below the path of the public address and, for proxies that take it away, without it.
pub fn router(site: &Arc<Site>) -> Router {
    let mut pages = Router::new()
        .route("/style.css", get(style_sheet))
        .route("/subscribe", get(consent::show_subscribe).post(consent::post_subscribe))
        .route("/confirm/{token}", get(consent::show_confirm).post(consent::post_confirm))
        .route("/preferences", get(consent::show_ask).post(consent::post_ask))
        .route("/preferences/{token}", get(consent::show_preferences).post(consent::post_preferences))
        .route("/unsubscribe/{token}", get(consent::show_unsubscribe).merge(post(consent::post_unsubscribe)));
    let home = if site.is_public() { get(notices::list) } else { get(consent::show_subscribe) };
    if site.is_public() {
        pages = pages
            .route("/notices.json", get(notices::list_json))
            .route("/notices/{name}", get(notices::show))
            .route("/feed.atom", get(notices::feed));
    }
    pages = pages.route("/", home.clone());
    let prefix = site.prefix();
    let all = if prefix.is_empty() {
        pages
    } else {
        // A nested router knows its own path without the slash alone.
        pages.clone().nest(&prefix, pages).route(&format!("{prefix}/"), home)
    };
    all.fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(site.clone(), guard::guard))
        .with_state(site.clone())
}

async fn style_sheet() -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, include_str!("style.css")).into_response()
}

async fn not_found(axum::extract::State(site): axum::extract::State<Arc<Site>>) -> Response {
    pages::trouble_page(&site, StatusCode::NOT_FOUND, "There is no such page.")
}

async fn wrong_method(axum::extract::State(site): axum::extract::State<Arc<Site>>) -> Response {
    pages::trouble_page(&site, StatusCode::METHOD_NOT_ALLOWED, "This page does not take that.")
}

/// Does what was asked for on pages, one after the other, until told to stop; what was promised by then is still done.
/// `wake` is called when mail waits.
pub async fn fulfil(site: Arc<Site>, mut wishes: Wishes, mut stopped: watch::Receiver<bool>, wake: impl Fn() + Send) {
    loop {
        let wish = tokio::select! {
            wish = wishes.0.recv() => wish,
            _ = stopped.changed(), if !wishes.0.is_closed() => {
                wishes.0.close();
                continue;
            }
        };
        let Some(wish) = wish else { return };
        match consent::fulfil(&site, wish).await {
            Ok(true) => wake(),
            Ok(false) => {}
            Err(error) => tracing::error!("what was asked for on a page could not be done: {error:#}"),
        }
    }
}
