//! Whose wishes the passes follow: subscriptions of the configuration and of people, as the store has them.

use std::sync::{Arc, PoisonError};

use super::Watcher;
use crate::calendar::wall_to_utc;
use crate::store::{NewSubscription, SubscriptionState, Which};
use crate::subscription::{Origin, Subscription};

impl Watcher {
    /// Takes the subscriptions of the configuration into the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_subscriptions(&self) -> anyhow::Result<()> {
        let configured: Vec<NewSubscription> = self
            .settings
            .subscriptions
            .iter()
            .map(|subscription| NewSubscription {
                id: subscription.id.clone(),
                origin: Origin::Config,
                address: subscription.address.clone(),
                erased_as: Vec::new(),
                state: SubscriptionState::Active,
                written: subscription.written.clone(),
            })
            .collect();
        if self.store.sync_subscriptions(&configured, self.clock.now()).await? {
            tracing::info!("{} subscriptions taken from the configuration", configured.len());
        }
        Ok(())
    }

    /// The subscriptions that are in effect now.
    pub(super) async fn live_subscriptions(&self) -> anyhow::Result<Vec<Subscription>> {
        self.subscriptions_taken.get_or_try_init(|| self.take_subscriptions()).await?;
        let n_changes = self.store.subscription_changes().await?;
        let known = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = match known.filter(|(n, _)| *n == n_changes) {
            Some((_, all)) => all,
            None => {
                let all = Arc::new(self.read_subscriptions().await?);
                // A list of what was read is whole whoever panicked.
                let mut known = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Some((n_changes, all.clone()));
                all
            }
        };
        let now = self.clock.now();
        Ok(all.iter().filter(|(paused_until, _)| paused_until.is_none_or(|until| until <= now)).map(|(_, s)| s.clone()).collect())
    }

    /// Each with the instant until which it is paused.
    async fn read_subscriptions(&self) -> anyhow::Result<Vec<Paused>> {
        let mut read = Vec::new();
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
            let subscription = Subscription { id: row.id, address: row.address, written: row.written, terms };
            read.push((paused_until, subscription));
        }
        Ok(read)
    }
}

/// A subscription and the instant until which it is paused.
pub(super) type Paused = (Option<chrono::DateTime<chrono::Utc>>, Subscription);
