//! Whose wishes the passes follow: subscriptions of the configuration and of people, as the store has them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};

use super::Watcher;
use crate::calendar::wall_to_utc;
use crate::store::{NewSubscription, SubscriptionState, Which};
use crate::subscription::{Origin, Subscription};

/// The subscriptions whose addresses may be written to, paused ones included, as they were after so many changes.
#[derive(Debug)]
pub(super) struct SubscriptionBook {
    n_changes: i64,
    /// Each with the instant until which it is paused.
    entries: Vec<(Option<DateTime<Utc>>, Subscription)>,
    by_address: HashMap<String, Vec<usize>>,
}

impl SubscriptionBook {
    /// Those in effect at an instant.
    pub(super) fn live(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Subscription> {
        self.entries.iter().filter(move |entry| is_live(entry, now)).map(|(_, subscription)| subscription)
    }

    /// The time around an instant in which the same are in effect: no pause ends in it.
    pub(super) fn same_live_around(&self, now: DateTime<Utc>) -> Range<DateTime<Utc>> {
        let ends = || self.entries.iter().filter_map(|(paused_until, _)| *paused_until);
        let last = ends().filter(|until| *until <= now).max().unwrap_or(DateTime::<Utc>::MIN_UTC);
        last..ends().filter(|until| *until > now).min().unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Those of an address, paused ones included.
    pub(super) fn of(&self, address: &str) -> impl Iterator<Item = &Subscription> {
        let places = self.by_address.get(address).map_or(&[][..], Vec::as_slice);
        places.iter().map(|place| &self.entries[*place].1)
    }
}

fn is_live((paused_until, _): &(Option<DateTime<Utc>>, Subscription), now: DateTime<Utc>) -> bool {
    paused_until.is_none_or(|until| until <= now)
}

impl Watcher {
    /// Takes the subscriptions of the configuration into the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_subscriptions(&self) -> anyhow::Result<()> {
        self.store.check_token_keys(&self.keys, self.clock.now()).await?;
        let configured: Vec<NewSubscription> = self
            .settings
            .subscriptions
            .iter()
            .map(|subscription| NewSubscription {
                id: subscription.id.clone(),
                origin: Origin::Config,
                address: subscription.address.clone(),
                erased_as: self.keys.erased(&subscription.address),
                state: SubscriptionState::Active,
                written: subscription.written.clone(),
            })
            .collect();
        if self.store.sync_subscriptions(&configured, self.clock.now()).await? {
            tracing::info!("{} subscriptions taken from the configuration", configured.len());
        }
        Ok(())
    }

    /// The subscriptions as they stand; read again when they have changed.
    pub(super) async fn subscriptions(&self) -> anyhow::Result<Arc<SubscriptionBook>> {
        // Of several processes one takes them: their configurations may differ while they are changed.
        if self.subscriptions_taken.get().is_none() && self.store.decides().await? {
            self.subscriptions_taken.get_or_try_init(|| self.take_subscriptions()).await?;
        }
        let n_changes = self.store.subscription_changes().await?;
        let known = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(book) = known.filter(|book| book.n_changes == n_changes) {
            return Ok(book);
        }
        let book = Arc::new(self.read_subscriptions(n_changes).await?);
        // A book that was read is whole whoever panicked.
        *self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner) = Some(book.clone());
        Ok(book)
    }

    async fn read_subscriptions(&self, n_changes: i64) -> anyhow::Result<SubscriptionBook> {
        let mut book = SubscriptionBook { n_changes, entries: Vec::new(), by_address: HashMap::new() };
        for row in self.store.subscriptions(Which::Live).await? {
            // One that another version wrote must not silence the others.
            let terms = match row.written.check_again(&self.settings.groups) {
                Ok(terms) => terms,
                Err(faults) => {
                    tracing::error!("subscription {}: {}: passed over", row.id, faults.join("; "));
                    continue;
                }
            };
            let by_terms = terms.paused_until.map(|day| wall_to_utc(day.into(), terms.schedule.zone));
            let paused_until = row.paused_until.max(by_terms);
            book.by_address.entry(row.address.clone()).or_default().push(book.entries.len());
            let (address, address_id) = (row.address, row.address_id);
            let subscription = Subscription { id: row.id, address, address_id, written: row.written, terms };
            book.entries.push((paused_until, subscription));
        }
        Ok(book)
    }
}
