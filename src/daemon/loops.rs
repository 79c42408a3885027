//! The three loops: each runs its pass, rests until something is due, and says all the while that it moves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::{Notify, watch};

use super::systemd;
use crate::edgar::retry::next_delay;
use crate::fail_points;
use crate::passes::{PassError, Watcher};
use crate::progress::Loop;
use crate::store::{Listener, News, Queue, Store, Superseded};
use crate::tempo::until_next_poll;

/// How often a queue is looked at when nothing wakes its task: a retry may be due, or another process may have
/// put something in.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// How long one connection is listened on, and how soon another is made.
const LISTEN_FOR: Duration = Duration::from_secs(120);
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// The longest wait after the store failed: whoever runs it is at work on it.
const LONGEST_STORE_DELAY: Duration = Duration::from_secs(10);

/// The longest wait after a poll that failed: when EDGAR comes back, so does this.
const LONGEST_POLL_DELAY: Duration = Duration::from_secs(60);

/// What wakes the loops before their time.
#[derive(Default)]
pub(super) struct Wake {
    reader: Notify,
    pub(super) mailer: Notify,
    poller: Notify,
    /// The first poll is over, and days not reconciled yet were: reading may begin, in the order of acceptance.
    caught_up: Notify,
}

impl Wake {
    pub(super) fn all(&self) {
        self.reader.notify_one();
        self.mailer.notify_one();
        self.poller.notify_one();
        self.caught_up.notify_one();
    }
}

pub(super) async fn poll_loop(
    watcher: Arc<Watcher>,
    wake: Arc<Wake>,
    mut stopped: watch::Receiver<bool>,
    since: Arc<Mutex<Option<NaiveDate>>>,
) {
    let mut troubles = Troubles::default();
    let mut role = RoleSaid::default();
    while !*stopped.borrow() {
        watcher.progress.note(Loop::Poll);
        fail_points::stay("poll").await;
        match watcher.store.lead().await {
            Ok(true) => role.set(Role::Polls),
            Ok(false) => {
                role.set(Role::Follows);
                troubles.end();
                // Who does not poll has nothing to wait for.
                wake.caught_up.notify_one();
                systemd::tell_status(&watcher).await;
                watcher.write_metrics(false).await;
                let wait = watcher.store.renew_every().unwrap_or(LONGEST_IDLE);
                pause(&watcher, Loop::Poll, wait, &wake.poller, &mut stopped).await;
                continue;
            }
            Err(error) => {
                let wait = troubles.note(&error.into());
                pause(&watcher, Loop::Poll, wait, &wake.poller, &mut stopped).await;
                continue;
            }
        }
        let mut is_good = false;
        let look_back = *since.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = match watcher.poll(look_back).await {
            Ok(summary) => {
                *since.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
            // Another has taken over: whatever this one found, that one finds.
            Err(error) if is_superseded(&error) => continue,
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
        systemd::tell_status(&watcher).await;
        watcher.write_metrics(false).await;
        // The owner may have to be told of what went wrong.
        wake.mailer.notify_one();
        let rest = pause(&watcher, Loop::Poll, wait, &wake.poller, &mut stopped);
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

/// What this process does of what one alone does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Polls,
    Follows,
}

/// The role as it was said last. Who works on a file has no other, and says nothing.
#[derive(Debug, Default)]
struct RoleSaid(Option<Role>);

impl RoleSaid {
    fn set(&mut self, role: Role) {
        match (self.0, role) {
            (before, role) if before == Some(role) => return,
            (None, Role::Polls) => {}
            (_, Role::Polls) => tracing::info!("this process polls now"),
            (_, Role::Follows) => tracing::info!("another process polls; this one reads and delivers with it"),
        }
        self.0 = Some(role);
    }
}

fn is_superseded(error: &PassError) -> bool {
    matches!(error, PassError::Store(error) if error.is::<Superseded>())
}

/// Passes on what other processes tell.
pub(super) async fn hear_loop(store: Store, wake: Arc<Wake>, mut stopped: watch::Receiver<bool>) {
    let hear = async {
        loop {
            match store.listen().await {
                Ok(None) => std::future::pending::<()>().await,
                Ok(Some(listener)) => hear(listener, &wake).await,
                // Whoever needs the store says so; until it is back there is nothing to hear.
                Err(error) => tracing::debug!("{error:#}"),
            }
            // A limit on the network, so it runs on the network's clock.
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    };
    tokio::select! {
        () = hear => {}
        _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
    }
}

async fn hear(mut listener: Listener, wake: &Wake) {
    let hear = async {
        loop {
            let news = listener.next().await.unwrap_or(News::Unknown);
            if news != News::Filings {
                wake.mailer.notify_one();
            }
            if news != News::Mail {
                wake.reader.notify_one();
            }
        }
    };
    // A connection that was cut does not say so: it is made anew before long. What was told meanwhile, the queues show.
    let _ = tokio::time::timeout(LISTEN_FOR, hear).await;
}

pub(super) async fn read_loop(watcher: Arc<Watcher>, wake: Arc<Wake>, mut stopped: watch::Receiver<bool>) {
    // As long as the first poll takes; that it moves, the poll loop says.
    watcher.progress.rest(Loop::Read, Duration::MAX);
    wake.caught_up.notified().await;
    let mut troubles = Troubles::default();
    while !*stopped.borrow() {
        watcher.progress.note(Loop::Read);
        fail_points::stay("read").await;
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
        pause(&watcher, Loop::Read, wait, &wake.reader, &mut stopped).await;
    }
}

pub(super) async fn deliver_loop(watcher: Arc<Watcher>, wake: Arc<Wake>, mut stopped: watch::Receiver<bool>) {
    let mut troubles = Troubles::default();
    while !*stopped.borrow() {
        watcher.progress.note(Loop::Deliver);
        fail_points::stay("deliver").await;
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
        pause(&watcher, Loop::Deliver, wait, &wake.mailer, &mut stopped).await;
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
        let delay = next_delay(self.n_failures, fastrand::u64(..)).to_std().unwrap_or_default();
        if matches!(error, PassError::Store(_)) { delay.min(LONGEST_STORE_DELAY) } else { delay }
    }

    fn end(&mut self) {
        if !self.said.is_empty() {
            tracing::info!("well again after: {}", self.said);
        }
        *self = Self::default();
    }
}

/// Rests until it is time, something comes, or it is to stop; also where that was said before.
async fn pause(watcher: &Watcher, of: Loop, wait: Duration, woken: &Notify, stopped: &mut watch::Receiver<bool>) {
    watcher.progress.rest(of, wait);
    tokio::select! {
        _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
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
