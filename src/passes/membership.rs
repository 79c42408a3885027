//! This process among those that share a store on a server: it says that it lives for as long as its work moves, and leaves
//! when it ends.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::{Watcher, digits};
use crate::config::Settings;
use crate::store::{NewMember, Store};

/// A lease is one interval of polling, so that another takes over within two; within these bounds.
const SHORTEST_LEASE: Duration = Duration::from_secs(2);
const LONGEST_LEASE: Duration = Duration::from_secs(30);

/// A process that has joined. On a file it says nothing to nobody.
#[derive(Debug)]
pub struct Membership {
    store: Store,
    /// Whose loops must move.
    at_work: Arc<Mutex<Weak<Watcher>>>,
    saying: JoinHandle<()>,
}

impl Membership {
    /// Joins, and keeps saying that this process lives.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn join(store: &Store, settings: &Settings, role: &'static str) -> anyhow::Result<Self> {
        store.join(new_member(settings, role)).await?;
        let at_work = Arc::new(Mutex::new(Weak::new()));
        let saying = tokio::spawn(keep_saying(store.clone(), at_work.clone()));
        Ok(Self { store: store.clone(), at_work, saying })
    }

    /// From now on this process counts as alive only while the loops of this watcher move.
    pub fn depend_on(&self, watcher: &Arc<Watcher>) {
        *self.at_work.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(watcher);
    }

    /// Leaves: what was in this process's hands is free at once.
    pub async fn leave(self) {
        self.saying.abort();
        self.store.leave().await;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.saying.abort();
    }
}

async fn keep_saying(store: Store, at_work: Arc<Mutex<Weak<Watcher>>>) {
    let Some(interval) = store.renew_every() else { return };
    let mut is_failing = false;
    // The lease is the server's: it runs on the network's clock.
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let watcher = at_work.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        // What stands still is to be taken over by another.
        if watcher.is_some_and(|watcher| watcher.progress.stuck(Instant::now()).is_some()) {
            continue;
        }
        match store.renew().await {
            Ok(()) if is_failing => {
                is_failing = false;
                tracing::info!("the store is in reach again");
            }
            Ok(()) => {}
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::error!("the store is out of reach: {error:#}");
            }
            Err(_) => {}
        }
    }
}

fn new_member(settings: &Settings, role: &'static str) -> NewMember {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    NewMember {
        name: format!("{host}:{}", std::process::id()),
        role,
        version: env!("CARGO_PKG_VERSION"),
        config: fingerprint(settings),
        lease: settings.poll.interval.clamp(SHORTEST_LEASE, LONGEST_LEASE),
    }
}

/// Tells configurations apart in what must be the same for all: what is watched, and who is told.
fn fingerprint(settings: &Settings) -> String {
    let subscriptions: Vec<_> =
        settings.subscriptions.iter().map(|own| (&own.id, &own.address, own.written.summary())).collect();
    let webhooks: Vec<_> = settings.webhooks.iter().map(|webhook| (&webhook.name, webhook.url.as_str())).collect();
    let text = format!(
        "{:?} {:?} {:?} {subscriptions:?} {webhooks:?}",
        settings.watch.issuers, settings.watch.forms, settings.groups
    );
    digits(&text, 6)
}
