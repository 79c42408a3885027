//! Whose filings are read: the configured issuers by number, tickers resolved once and pinned.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::subscriptions::SubscriptionBook;
use super::{PassError, Watcher};
use crate::config::Settings;
use crate::edgar::eastern::eastern_date;
use crate::edgar::feed::Filer;
use crate::edgar::ids::Cik;
use crate::edgar::tickers::TickerMap;
use crate::store::{PinnedTicker, WatchedIssuers};
use crate::subscription::{IssuerKey, ResolvedSubscription, Subscription};
use crate::webhook::WEBHOOK;

/// The watchlist by number.
#[derive(Debug, Clone, PartialEq)]
pub struct Watchlist {
    /// Every issuer is watched.
    pub all: bool,
    /// The issuers watched by number.
    pub ciks: HashSet<Cik>,
    /// The keys under which the store remembers since when each is watched.
    pub keys: Vec<String>,
    /// Who gets what.
    pub subscriptions: Vec<ResolvedSubscription>,
    /// Tickers by the number they are pinned to.
    pub tickers: HashMap<Cik, String>,
    /// Every ticker that is named anywhere.
    named: BTreeSet<String>,
    /// Those of them that are pinned to no number.
    unpinned: Vec<String>,
    /// Those of these that the configuration names.
    unpinned_configured: Vec<String>,
}

impl Watchlist {
    /// Whether a filing of these filers is read.
    pub fn watches(&self, filers: &[Filer]) -> bool {
        self.all || filers.iter().any(|filer| self.ciks.contains(&filer.cik))
    }
}

/// The watchlist as it was put together last, and of what.
#[derive(Debug, Clone)]
pub(super) struct KnownWatchlist {
    book: Arc<SubscriptionBook>,
    n_changes: i64,
    /// While no pause begins or ends.
    holds: Range<DateTime<Utc>>,
    watchlist: Arc<Watchlist>,
}

/// Whom the store watches since when, as it was read last, and for what.
#[derive(Debug, Clone)]
pub(super) struct KnownWatched {
    watchlist: Arc<Watchlist>,
    n_changes: i64,
    day: NaiveDate,
    watched: Arc<WatchedIssuers>,
}

/// EDGAR's ticker map as it was asked for last.
#[derive(Debug)]
pub(super) struct KnownTickers {
    holds: Range<DateTime<Utc>>,
    /// `None` if it could not be had.
    map: Option<HashMap<Cik, String>>,
}

/// How often the map is compared with what is pinned.
const MAP_CHECK_INTERVAL: TimeDelta = TimeDelta::hours(24);
/// How long an alert waits to learn its issuer's ticker.
const TICKER_PATIENCE: Duration = Duration::from_secs(5);
/// How long a map is kept that was fetched for the tickers of filers that nobody watches by ticker.
const MAP_KEPT: TimeDelta = TimeDelta::hours(1);
/// How soon a map that could not be had is asked for again, when nothing waits for it.
const MAP_RETRY_INTERVAL: TimeDelta = TimeDelta::hours(1);
/// The same when a subscriber waits for it.
const MAP_ASKED_INTERVAL: TimeDelta = TimeDelta::minutes(1);
/// The facts that remember the last comparison, and the last try.
const MAP_CHECKED: &str = "ticker_map";
const MAP_TRIED: &str = "ticker_map_tried";

impl Watcher {
    /// Resolves the watchlist, asking EDGAR for its ticker map when a ticker is new or a day has passed.
    ///
    /// # Errors
    /// When a configured ticker was never resolved and the map cannot be had: going on would pass its filings by.
    pub async fn resolve_watchlist(&self) -> Result<Arc<Watchlist>, PassError> {
        let watchlist = self.known_watchlist().await?;
        let may_look = !watchlist.named.is_empty() && self.store.decides().await?;
        if !may_look || !self.look_up_tickers(&watchlist).await? {
            return Ok(watchlist);
        }
        Ok(self.known_watchlist().await?)
    }

    /// The watchlist as far as it is resolved: nothing is asked of EDGAR. It is put together again when something of it has
    /// changed.
    pub(super) async fn known_watchlist(&self) -> anyhow::Result<Arc<Watchlist>> {
        let book = self.subscriptions().await?;
        let n_changes = self.store.watch_changes().await?;
        let now = self.clock.now();
        let known = self.watchlist.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let holds = |known: &KnownWatchlist| {
            Arc::ptr_eq(&known.book, &book) && known.n_changes == n_changes && known.holds.contains(&now)
        };
        if let Some(known) = known.filter(holds) {
            return Ok(known.watchlist);
        }
        let pinned = self.store.pinned_tickers().await?;
        let subscriptions: Vec<&Subscription> = book.live(now).collect();
        let watchlist = Arc::new(build_watchlist(&self.settings, &subscriptions, &pinned));
        let holds = book.same_live_around(now);
        let known = KnownWatchlist { book, n_changes, holds, watchlist: watchlist.clone() };
        // What was put together is whole whoever panicked.
        *self.watchlist.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(watchlist)
    }

    /// Whom the store watches since when, brought in line with the watchlist; read again when either has changed, and each day.
    pub(super) async fn sync_watched(&self, watchlist: &Arc<Watchlist>) -> anyhow::Result<Arc<WatchedIssuers>> {
        let now = self.clock.now();
        let day = eastern_date(now);
        let n_changes = self.store.watch_changes().await?;
        let known = self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let holds = |known: &KnownWatched| {
            Arc::ptr_eq(&known.watchlist, watchlist) && known.n_changes == n_changes && known.day == day
        };
        if let Some(known) = known.filter(holds) {
            return Ok(known.watched);
        }
        let watched = Arc::new(self.store.sync_watched(&watchlist.keys, now).await?);
        let known = KnownWatched { watchlist: watchlist.clone(), n_changes, day, watched: watched.clone() };
        // As above.
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(watched)
    }

    /// Compares the tickers with EDGAR's map if that is due. Whether it was.
    async fn look_up_tickers(&self, watchlist: &Watchlist) -> Result<bool, PassError> {
        let now = self.clock.now();
        let is_old = |at: DateTime<Utc>, limit: TimeDelta| at > now || now - at >= limit;
        let checked = self.store.fact(MAP_CHECKED).await?;
        let tried_at = self.store.fact(MAP_TRIED).await?.map(|(_, at)| at);
        let (mut never_looked_up, mut is_asked_for) = (false, false);
        for ticker in &watchlist.unpinned {
            let is_new = self.store.fact(&unknown_key(ticker)).await?.is_none();
            never_looked_up |= is_new && watchlist.unpinned_configured.contains(ticker);
            is_asked_for |= is_new;
        }
        let is_tried = |limit| tried_at.is_some_and(|at| !is_old(at, limit));
        let is_stale =
            checked.as_ref().is_none_or(|(_, at)| is_old(*at, MAP_CHECK_INTERVAL)) && !is_tried(MAP_RETRY_INTERVAL);
        // What a subscriber names must not keep the feed of all others waiting.
        let is_due = is_stale || (is_asked_for && !is_tried(MAP_ASKED_INTERVAL));
        if !never_looked_up && !is_due {
            return Ok(false);
        }
        self.store.set_fact(MAP_TRIED, "", now).await?;
        // The fact's value is the date of the map that was compared last.
        let as_of = checked.map(|(as_of, _)| as_of).filter(|as_of| !is_asked_for && !as_of.is_empty());
        match self.client.changed_ticker_map(as_of.as_deref()).await {
            Ok(Some((map, date))) => {
                self.compare_tickers(&map, &watchlist.named).await?;
                self.store.set_fact(MAP_CHECKED, &date.unwrap_or_default(), now).await?;
            }
            Ok(None) => self.store.set_fact(MAP_CHECKED, &as_of.unwrap_or_default(), now).await?,
            // Going on would pass the filings of a ticker by that no map was ever asked for.
            Err(error) if never_looked_up => return Err(error.into()),
            Err(error) => tracing::warn!("{error}: pinned tickers are kept"),
        }
        Ok(true)
    }

    /// What is to be said of each configured ticker that EDGAR's map has never held. One that a subscriber names is in
    /// `status`, and is nobody's failure.
    pub(super) async fn unknown_tickers(&self, watchlist: &Watchlist) -> anyhow::Result<Vec<String>> {
        let mut unknown = Vec::new();
        for ticker in &watchlist.unpinned_configured {
            let words = self.store.fact(&unknown_key(ticker)).await?.map(|(words, _)| words);
            unknown.push(words.unwrap_or_else(|| describe_unknown(ticker, None)));
        }
        Ok(unknown)
    }

    async fn compare_tickers(&self, map: &TickerMap, named: &BTreeSet<String>) -> anyhow::Result<()> {
        let now = self.clock.now();
        let pinned = self.store.pinned_tickers().await?;
        let pinned: HashMap<&str, &PinnedTicker> = pinned.iter().map(|pin| (pin.ticker.as_str(), pin)).collect();
        for ticker in named {
            let listed = map.find(ticker);
            match (pinned.get(ticker.as_str()).copied(), listed) {
                (Some(pin), listed) => {
                    let warning = match listed {
                        Some(listed) if listed.cik == pin.cik => None,
                        Some(listed) => Some(format!(
                            "ticker {ticker} now belongs to {} (CIK {}): still watching CIK {} ({})",
                            listed.name, listed.cik, pin.cik, pin.name
                        )),
                        None => Some(format!(
                            "ticker {ticker} is no longer in EDGAR's ticker map: still watching CIK {} ({})",
                            pin.cik, pin.name
                        )),
                    };
                    if warning != pin.warning {
                        if let Some(warning) = &warning {
                            tracing::warn!(cik = %pin.cik, "{warning}");
                        }
                        self.store.pin_ticker(&PinnedTicker { warning, ..pin.clone() }, now).await?;
                    }
                }
                (None, Some(listed)) => {
                    tracing::info!(cik = %listed.cik, "ticker {ticker} is {} (CIK {})", listed.name, listed.cik);
                    let pin = PinnedTicker {
                        ticker: ticker.clone(),
                        cik: listed.cik,
                        name: listed.name.clone(),
                        warning: None,
                    };
                    self.store.pin_ticker(&pin, now).await?;
                    self.store.clear_fact(&unknown_key(ticker)).await?;
                }
                (None, None) => {
                    let words = describe_unknown(ticker, map.nearest(ticker));
                    self.store.set_fact(&unknown_key(ticker), &words, now).await?;
                }
            }
        }
        Ok(())
    }

    /// A ticker for a filer that is not on the watchlist by ticker: asked of the map once a day at most for each filer,
    /// and never worth waiting for.
    pub(super) async fn ticker_of(&self, watchlist: &Watchlist, cik: Cik) -> Option<String> {
        if let Some(ticker) = watchlist.tickers.get(&cik) {
            return Some(ticker.clone());
        }
        let key = format!("ticker_of:{cik}");
        let now = self.clock.now();
        if let Ok(Some((ticker, at))) = self.store.fact(&key).await
            && now - at < MAP_CHECK_INTERVAL
        {
            return Some(ticker).filter(|ticker| !ticker.is_empty());
        }
        // A limit on the network, not a wait: it runs on the network's clock.
        let ticker = tokio::time::timeout(TICKER_PATIENCE, self.look_up_ticker(cik)).await.ok()??;
        // Without the note the map is looked at again with the next alert, no more.
        let _ = self.store.set_fact(&key, ticker.as_deref().unwrap_or_default(), now).await;
        ticker
    }

    /// What the map says of a filer. A map that was fetched does for an hour, and one that could not be had is let be for a
    /// minute: a backfill asks of thousands.
    async fn look_up_ticker(&self, cik: Cik) -> Option<Option<String>> {
        let now = self.clock.now();
        // Held while it is fetched, so that it is fetched once for all who wait.
        let mut known = self.ticker_map.lock().await;
        if let Some(KnownTickers { map, .. }) = known.as_ref().filter(|known| known.holds.contains(&now)) {
            return map.as_ref().map(|map| map.get(&cik).cloned());
        }
        let map = self.client.ticker_map().await.ok().map(|map| map.by_cik());
        let ticker = map.as_ref().map(|map| map.get(&cik).cloned());
        let kept_for = if map.is_some() { MAP_KEPT } else { MAP_ASKED_INTERVAL };
        *known = Some(KnownTickers { holds: now..now + kept_for, map });
        ticker
    }
}

/// The fact that remembers what is to be said of a ticker that a map did not hold.
fn unknown_key(ticker: &str) -> String {
    format!("unknown_ticker:{ticker}")
}

/// What to say of a ticker that EDGAR's map does not hold.
pub fn describe_unknown(ticker: &str, nearest: Option<&str>) -> String {
    let advice = match nearest {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "name the issuer by its CIK".to_owned(),
    };
    format!("watch.issuers: ticker \"{ticker}\" is not in EDGAR's ticker map: {advice}")
}

/// Every ticker that the watchlist, a group, a subscription or a webhook of the configuration names.
fn configured_tickers(settings: &Settings) -> BTreeSet<String> {
    let subscribed = settings.subscriptions.iter().flat_map(|subscription| &subscription.terms.issuers);
    let hooked = settings.webhooks.iter().flat_map(|webhook| &webhook.terms.issuers);
    tickers_in(settings, settings.watch.issuers.iter().chain(subscribed).chain(hooked))
}

fn tickers_in<'a>(settings: &'a Settings, keys: impl Iterator<Item = &'a IssuerKey>) -> BTreeSet<String> {
    keys.flat_map(|key| settings.ungrouped(key))
        .filter_map(|key| match key {
            IssuerKey::Ticker(ticker) => Some(ticker.clone()),
            _ => None,
        })
        .collect()
}

/// A subscription to `*` is one to everything watched; the issuers it names are watched with the others.
fn build_watchlist(settings: &Settings, subscriptions: &[&Subscription], pinned: &[PinnedTicker]) -> Watchlist {
    let configured = configured_tickers(settings);
    let mut named = tickers_in(settings, subscriptions.iter().flat_map(|subscription| &subscription.terms.issuers));
    named.extend(configured.iter().cloned());
    let by_ticker: HashMap<&str, Cik> = pinned.iter().map(|pin| (pin.ticker.as_str(), pin.cik)).collect();
    let resolve = |key: &IssuerKey| match key {
        IssuerKey::All | IssuerKey::Group(_) => None,
        IssuerKey::Cik(cik) => Some(*cik),
        IssuerKey::Ticker(ticker) => by_ticker.get(ticker.as_str()).copied(),
    };
    let ciks = |keys: &[IssuerKey]| -> Vec<Cik> {
        keys.iter().flat_map(|key| settings.ungrouped(key)).filter_map(resolve).collect()
    };
    let is_all =
        |keys: &[IssuerKey]| keys.iter().flat_map(|key| settings.ungrouped(key)).any(|key| *key == IssuerKey::All);
    let subscriptions: Vec<ResolvedSubscription> = subscriptions
        .iter()
        .map(|Subscription { id, address, terms, .. }| ResolvedSubscription {
            id: id.clone(),
            recipient: address.clone(),
            issuers: (!is_all(&terms.issuers)).then(|| ciks(&terms.issuers)),
            filter: terms.filter.clone(),
            schedule: terms.schedule,
        })
        .collect();
    let webhooks = settings.webhooks.iter().map(|webhook| ResolvedSubscription {
        id: format!("{WEBHOOK}{}", webhook.name),
        recipient: format!("{WEBHOOK}{}", webhook.name),
        issuers: (!is_all(&webhook.terms.issuers)).then(|| ciks(&webhook.terms.issuers)),
        filter: webhook.terms.filter.clone(),
        schedule: webhook.terms.schedule,
    });
    let subscriptions: Vec<ResolvedSubscription> = subscriptions.into_iter().chain(webhooks).collect();
    let followed = subscriptions.iter().filter_map(|subscription| subscription.issuers.as_ref()).flatten().copied();
    let all = is_all(&settings.watch.issuers);
    let ciks: HashSet<Cik> = ciks(&settings.watch.issuers).into_iter().chain(followed).collect();
    let sorted: BTreeSet<Cik> = ciks.iter().copied().collect();
    let is_unpinned = |ticker: &&String| !by_ticker.contains_key(ticker.as_str());
    Watchlist {
        all,
        keys: if all { vec!["*".to_owned()] } else { sorted.iter().map(Cik::to_string).collect() },
        ciks,
        tickers: pinned.iter().map(|pin| (pin.cik, pin.ticker.clone())).collect(),
        unpinned: named.iter().filter(is_unpinned).cloned().collect(),
        unpinned_configured: configured.iter().filter(is_unpinned).cloned().collect(),
        named,
        subscriptions,
    }
}
