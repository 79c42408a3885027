//! The work of the program, as passes over what is due: `poll` walks the feed, `read` reads what was found,
//! `deliver` sends what follows. `once` runs them one after the other, `run` gives each a task of its own; they
//! meet only in the store.

mod backfill;
mod compose;
mod consent;
mod consequences;
mod cycle;
mod deliver;
mod ledger;
mod membership;
mod metrics;
mod poll;
mod prepare;
mod read;
mod reread;
mod self_watch;
mod subscriptions;
mod upkeep;
mod watchlist;
mod ways;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, OnceCell, watch};

use crate::clock::SharedClock;
use crate::config::Settings;
use crate::edgar::client::{ClientSettings, EdgarClient, FetchError, FetchFailure, Limits};
use crate::edgar::pace::{Priority, RequestBudget};
use crate::heartbeat::Heartbeat;
use crate::links::Links;
use crate::mail::HandOver;
use crate::metrics::Tally;
use crate::progress::Progress;
use crate::store::{Queue, Store, StoreError};
use crate::tokens::Keys;
use crate::web::{Site, Wishes};
use subscriptions::SubscriptionBook;
use watchlist::{KnownTickers, KnownWatched, KnownWatchlist};

pub use backfill::{BackfillSummary, days_in};
pub use compose::{Recipient, write_notice};
pub use consent::{confirmation_mail, preferences_mail};
pub use cycle::{FEED_LAG, LAST_POLL, LAST_POLL_ERROR, LEDGER_ERROR};
pub use deliver::{DeliverSummary, set_aside_fact};
pub use ledger::LedgerSummary;
pub use membership::Membership;
pub use metrics::DAY_OVERDUE;
pub use poll::{FEED_GAPS, PollSummary};
pub use read::ReadSummary;
pub use reread::{Reread, describe_news};
pub use self_watch::{Matter, matters};
pub use watchlist::{Watchlist, describe_unknown};
pub use ways::relay_for;

/// What the passes share.
pub struct Watcher {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The store.
    pub store: Store,
    /// The way to EDGAR.
    pub client: EdgarClient,
    /// The time.
    pub clock: SharedClock,
    /// Which queue is read: what is in the past is recorded and told nobody.
    queue: Queue,
    /// The threads on which filings are read. Always the same few: each pattern keeps a scratch memory for every thread it
    /// has seen.
    readers: rayon::ThreadPool,
    heartbeat: Option<Heartbeat>,
    /// What links are signed with.
    keys: Keys,
    /// Whether the configuration's subscriptions are in the store.
    subscriptions_taken: OnceCell<()>,
    /// As they were read last.
    subscriptions: Mutex<Option<Arc<SubscriptionBook>>>,
    /// As it was put together last.
    watchlist: Mutex<Option<KnownWatchlist>>,
    /// As they were read last.
    watched: Mutex<Option<KnownWatched>>,
    /// EDGAR's map as it was asked for last.
    ticker_map: tokio::sync::Mutex<Option<KnownTickers>>,
    /// Digests that are in the outbox already though they may have nothing to tell: to whom, and for when.
    digests_begun: Mutex<BTreeSet<(String, DateTime<Utc>)>>,
    stage: watch::Sender<Stage>,
    /// What was counted.
    pub tally: Tally,
    /// Where the passes say that they move.
    pub progress: Progress,
}

/// How far a watcher is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    Working,
    Stopping,
    /// Nothing is waited for any more but what would be sent twice.
    CutShort,
}

/// Reading takes milliseconds: two threads keep up with EDGAR at its busiest.
const READERS: usize = 2;

/// Why a pass ended early, as far as the exit code must tell.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// EDGAR refuses the configured User-Agent, or the watchlist names an unknown ticker.
    #[error("{0}")]
    Config(String),
    /// EDGAR or the relay was out of reach.
    #[error("{0}")]
    Outage(String),
    /// What was asked for is not there.
    #[error("{0}")]
    Unknown(String),
    /// The store failed.
    #[error("{0:#}")]
    Store(#[from] anyhow::Error),
}

impl From<FetchError> for PassError {
    fn from(error: FetchError) -> Self {
        match error.failure {
            FetchFailure::Budget(error) => Self::Store(error),
            FetchFailure::UserAgentRefused(_) => Self::Config(error.failure.to_string()),
            _ => Self::Outage(error.to_string()),
        }
    }
}

impl Watcher {
    /// Puts the parts together. The request budget is the store's own unless another store is given to share it.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        settings: Arc<Settings>,
        store: Store,
        budget: Arc<dyn RequestBudget>,
        clock: SharedClock,
    ) -> anyhow::Result<Self> {
        Self::with_priority(settings, store, budget, Priority::Live, clock)
    }

    /// The same for what is past: it gives way to whoever looks for what is new.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_priority(
        settings: Arc<Settings>,
        store: Store,
        budget: Arc<dyn RequestBudget>,
        priority: Priority,
        clock: SharedClock,
    ) -> anyhow::Result<Self> {
        let client = client_for(&settings, budget, priority, clock.clone())?;
        let heartbeat = settings.heartbeat_url.as_ref().map(Heartbeat::new).transpose()?;
        let readers = rayon::ThreadPoolBuilder::new()
            .num_threads(READERS)
            .thread_name(|n| format!("reader-{n}"))
            // One filing's panic is that filing's failure.
            .panic_handler(|_| {})
            .build()?;
        let keys = store.token_keys()?;
        Ok(Self {
            settings,
            store,
            client,
            clock,
            queue: Queue::Live,
            readers,
            heartbeat,
            keys,
            subscriptions_taken: OnceCell::new(),
            subscriptions: Mutex::new(None),
            watchlist: Mutex::new(None),
            watched: Mutex::new(None),
            ticker_map: tokio::sync::Mutex::default(),
            digests_begun: Mutex::new(BTreeSet::new()),
            stage: watch::Sender::new(Stage::Working),
            tally: Tally::default(),
            progress: Progress::default(),
        })
    }

    /// The same watcher at work on what a backfill put down: it is recorded and nobody is told.
    #[must_use]
    pub fn recording_only(self) -> Self {
        Self { queue: Queue::Past, ..self }
    }

    /// Refuses keys that no link in a mail was signed with so far.
    ///
    /// # Errors
    /// [`PassError::Config`], naming what to bring back.
    pub async fn check_keys(&self) -> Result<(), PassError> {
        let checked = self.store.check_token_keys(&self.keys, self.clock.now()).await;
        checked
            .map_err(|error| if error.is::<StoreError>() { error.into() } else { PassError::Config(error.to_string()) })
    }

    /// Asks passes under way to finish the step in hand and begin no other.
    pub fn stop(&self) {
        self.stage.send_replace(Stage::Stopping);
    }

    /// Asks them to let go of the step in hand as well, unless that would send a mail twice.
    pub fn cut_short(&self) {
        self.stage.send_replace(Stage::CutShort);
    }

    /// Resolves once a delivery is to be let go of: never after its hand-over has begun.
    async fn let_go(&self, hand_over: &HandOver) {
        // The sender lives as long as this watcher.
        let _ = self.stage.subscribe().wait_for(|stage| *stage == Stage::CutShort).await;
        if hand_over.has_begun() {
            std::future::pending::<()>().await;
        }
    }

    /// Tells the watchdog, if there is one, that all is well.
    pub async fn beat(&self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.beat(self.clock.now()).await;
        }
    }

    /// The addresses that lead back here.
    pub fn links(&self) -> Links<'_> {
        links_of(&self.settings, &self.keys)
    }

    /// The pages over the same store, and what is asked for on them.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn site(&self) -> anyhow::Result<(Arc<Site>, Wishes)> {
        let Self { settings, store, keys, clock, .. } = self;
        let client = client_for(settings, Arc::new(store.clone()), Priority::Live, clock.clone())?;
        Ok(Site::new(settings.clone(), store.clone(), keys.clone(), clock.clone(), client))
    }

    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stage.borrow() >= Stage::Stopping
    }
}

/// The client that a configuration describes.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client_for(
    settings: &Settings,
    budget: Arc<dyn RequestBudget>,
    priority: Priority,
    clock: SharedClock,
) -> anyhow::Result<EdgarClient> {
    EdgarClient::new(client_settings(settings, priority), budget, clock)
}

/// The addresses that lead back, as a configuration has them.
pub fn links_of<'a>(settings: &'a Settings, keys: &'a Keys) -> Links<'a> {
    Links {
        public_url: settings.public_url.as_deref(),
        inbound: settings.mail.inbound.as_ref().unwrap_or(&settings.mail.from.email),
        takes_details: settings.mail.inbound.is_some(),
        keys,
    }
}

/// What a client is told of a configuration.
pub fn client_settings(settings: &Settings, priority: Priority) -> ClientSettings {
    ClientSettings {
        www_url: settings.www_url.clone(),
        data_url: settings.data_url.clone(),
        user_agent: settings.user_agent.clone(),
        pace: settings.pace,
        priority,
        limits: Limits::default(),
    }
}

/// The first bytes of a text's SHA-256 in hexadecimal digits: they tell it from others.
fn digits(text: &str, n_bytes: usize) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..n_bytes])
}

/// Resolves when `wake` is notified; never where there is none.
async fn notified(wake: Option<&Notify>) {
    match wake {
        Some(wake) => wake.notified().await,
        None => std::future::pending().await,
    }
}
