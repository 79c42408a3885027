//! The daemon: the same passes as `once`, each in a supervised task, until a signal.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::clock::SharedClock;
use crate::config::Settings;
use crate::edgar::retry::next_delay;
use crate::passes::{PassError, Watcher};
use crate::store::{Queue, Store, try_lock};
use crate::tempo::until_next_poll;
use crate::web::{self, listen};

/// How often a queue is looked at when nothing wakes its task: a retry may be due, or another process may have
/// put something in.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// The longest wait after a poll that failed: when EDGAR comes back, so does this.
const LONGEST_POLL_DELAY: Duration = Duration::from_secs(60);
/// How long the step in hand may take once asked to stop; a little less than the unit's TimeoutStopSec.
const STOP_PATIENCE: Duration = Duration::from_secs(12);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When the store cannot be opened, or a task ends unasked.
pub async fn run(settings: Arc<Settings>, clock: SharedClock, since: Option<NaiveDate>) -> Result<(), PassError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(anyhow::Error::from)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(anyhow::Error::from)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    run_until(settings, clock, since, stop).await
}

/// Runs until `stop` resolves.
///
/// # Errors
/// When the store cannot be opened, or a task ends unasked.
pub async fn run_until(
    settings: Arc<Settings>,
    clock: SharedClock,
    since: Option<NaiveDate>,
    stop: impl Future<Output = ()>,
) -> Result<(), PassError> {
    let mut stop = std::pin::pin!(stop);
    let _lock = loop {
        if let Some(lock) = try_lock(&settings.store_url)? {
            break lock;
        }
        tracing::warn!("another edgar-watch works on this store: waiting for it to end");
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = clock.sleep(Duration::from_secs(10)) => {}
        }
    };
    let store = Store::open(&settings.store_url).await.map_err(anyhow::Error::from)?;
    let watcher = Arc::new(Watcher::new(settings, store.clone(), Arc::new(store), clock)?);
    watcher.take_up_after_upgrade().await?;
    let pages = match &watcher.settings.http {
        Some(http) => Some(listen(http.listen).await.map_err(|error| PassError::Outage(error.to_string()))?),
        None => None,
    };
    let wake = Arc::new(Wake::default());
    let (stopping, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(poll_loop(watcher.clone(), wake.clone(), stopped.clone(), since));
    tasks.spawn(read_loop(watcher.clone(), wake.clone(), stopped.clone()));
    if let Some(listener) = pages {
        let (site, wishes) = watcher.site()?;
        if let Ok(address) = listener.local_addr() {
            tracing::info!("pages are served on {address}");
        }
        tasks.spawn(web::serve(listener, web::router(&site), site.trusted_proxies().to_vec(), stopped.clone()));
        let wake = wake.clone();
        tasks.spawn(web::fulfil(site, wishes, stopped.clone(), move || wake.mailer.notify_one()));
    }
    tasks.spawn(deliver_loop(watcher.clone(), wake.clone(), stopped));
    // Outside systemd there is nobody to notify.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!("watching, store {}", watcher.store.path().display());

    let ended = tokio::select! {
        () = &mut stop => None,
        ended = tasks.join_next() => ended,
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    watcher.stop();
    // Nobody listens only when every task has ended.
    let _ = stopping.send(true);
    wake.all();
    if ended.is_none() {
        tracing::info!("stopping");
    }
    // What is under way is on disk or will be done again: a task that does not stop soon is cut off.
    let finish = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_PATIENCE, finish).await.is_err() {
        tasks.abort_all();
    }
    watcher.store.close().await;
    match ended {
        None => Ok(()),
        Some(Ok(())) => Err(anyhow::anyhow!("a task ended unasked").into()),
        Some(Err(error)) => Err(anyhow::anyhow!("a task ended unasked: {error}").into()),
    }
}

/// What wakes the loops before their time.
#[derive(Default)]
struct Wake {
    reader: Notify,
    mailer: Notify,
    poller: Notify,
    /// The first poll is over, and days not reconciled yet were: reading may begin, in the order of acceptance.
    caught_up: Notify,
}

impl Wake {
    fn all(&self) {
        self.reader.notify_one();
        self.mailer.notify_one();
        self.poller.notify_one();
        self.caught_up.notify_one();
    }
}

async fn poll_loop(
    watcher: Arc<Watcher>,
    wake: Arc<Wake>,
    stopped: watch::Receiver<bool>,
    mut since: Option<NaiveDate>,
) {
    let mut troubles = Troubles::default();
    while !*stopped.borrow() {
        let mut is_good = false;
        let wait = match watcher.poll(since).await {
            Ok(summary) => {
                since = None;
                is_good = summary.outage.is_none();
                match summary.outage.or_else(|| summary.unknown_tickers.into_iter().next()) {
                    // One of several queries; the others keep their pace.
                    Some(words) => drop(troubles.note(&PassError::Outage(words))),
                    None => troubles.end(),
                }
                let n_missed = match watcher.reconcile().await {
                    Ok(reconciled) => reconciled.n_found,
                    // `status` tells it; the feed goes on.
                    Err(error) => {
                        tracing::warn!("the days could not be reconciled: {error}");
                        is_good = false;
                        0
                    }
                };
                if summary.n_found + n_missed > 0 {
                    wake.reader.notify_one();
                }
                poll_interval(&watcher)
            }
            Err(error) => {
                let delay = troubles.note(&error).min(LONGEST_POLL_DELAY);
                poll_interval(&watcher).max(delay).max(blocked_for(&watcher).await)
            }
        };
        wake.caught_up.notify_one();
        match watcher.watch_self().await {
            Ok(is_well) => is_good &= is_well,
            Err(error) => {
                tracing::error!("the watch over itself failed: {error:#}");
                is_good = false;
            }
        }
        // The owner may have to be told of what went wrong.
        wake.mailer.notify_one();
        let rest = pause(&watcher, wait, &wake.poller);
        let beat = async {
            if is_good {
                watcher.beat().await;
            }
            std::future::pending::<()>().await;
        };
        // A watchdog that is slow does not slow the loop down.
        tokio::select! {
            () = rest => {}
            () = beat => {}
        }
    }
}

async fn read_loop(watcher: Arc<Watcher>, wake: Arc<Wake>, stopped: watch::Receiver<bool>) {
    wake.caught_up.notified().await;
    let mut troubles = Troubles::default();
    while !*stopped.borrow() {
        let read = watcher.read(Some(&wake.reader)).await;
        // What was told before a failure is told all the same.
        wake.mailer.notify_one();
        let next = match read {
            Ok(_) => watcher.store.next_filing_due(Queue::Live).await.map_err(PassError::from),
            Err(error) => Err(error),
        };
        let wait = match next {
            Ok(due) => {
                troubles.end();
                until(&watcher, due)
            }
            // That EDGAR does not answer is said by the polling loop.
            Err(PassError::Outage(_) | PassError::Config(_)) => LONGEST_IDLE.max(blocked_for(&watcher).await),
            Err(error) => troubles.note(&error),
        };
        pause(&watcher, wait, &wake.reader).await;
    }
}

async fn deliver_loop(watcher: Arc<Watcher>, wake: Arc<Wake>, stopped: watch::Receiver<bool>) {
    let mut troubles = Troubles::default();
    while !*stopped.borrow() {
        let next = match watcher.deliver(Some(&wake.mailer)).await {
            Ok(_) => watcher.store.next_message_due().await.map_err(PassError::from),
            Err(error) => Err(error),
        };
        let wait = match next {
            Ok(due) => {
                troubles.end();
                until(&watcher, due)
            }
            Err(error) => troubles.note(&error),
        };
        pause(&watcher, wait, &wake.mailer).await;
    }
}

/// The failures of one loop in a row. They end no loop, they slow it down: EDGAR comes back, a disk gets room.
#[derive(Default)]
struct Troubles {
    n_failures: u32,
    said: String,
}

impl Troubles {
    /// Says a failure that differs from the last, and returns how long to wait.
    fn note(&mut self, error: &PassError) -> Duration {
        // The instant at which asking may begin again makes no other failure of it.
        let words = error.to_string();
        let kind = words.split(": no request before").next().unwrap_or_default();
        if kind != self.said {
            tracing::error!("{words}");
            kind.clone_into(&mut self.said);
        }
        self.n_failures += 1;
        next_delay(self.n_failures, fastrand::u64(..)).to_std().unwrap_or_default()
    }

    fn end(&mut self) {
        if !self.said.is_empty() {
            tracing::info!("well again after: {}", self.said);
        }
        *self = Self::default();
    }
}

async fn pause(watcher: &Watcher, wait: Duration, woken: &Notify) {
    tokio::select! {
        () = watcher.clock.sleep(wait) => {}
        () = woken.notified() => {}
    }
}

fn poll_interval(watcher: &Watcher) -> Duration {
    until_next_poll(&watcher.settings.poll, watcher.clock.now(), fastrand::u64(..))
}

/// How long until `due`, at most the longest idle time.
fn until(watcher: &Watcher, due: Option<DateTime<Utc>>) -> Duration {
    due.map_or(LONGEST_IDLE, |due| {
        let wait = (due - watcher.clock.now()).to_std().unwrap_or_default();
        // A queue that stays due without getting shorter must not spin.
        wait.clamp(Duration::from_millis(250), LONGEST_IDLE)
    })
}

async fn blocked_for(watcher: &Watcher) -> Duration {
    let now = watcher.clock.now();
    let state = watcher.store.budget_state(now).await.ok();
    state
        .and_then(|state| state.blocked_until)
        .map_or(Duration::ZERO, |until| (until - now).to_std().unwrap_or_default())
}
