//! Who asked for an alert, and when each is to be told.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Due, Schedule, SubscriptionFilter};
use crate::alert::{Alert, Purpose};
use crate::edgar::feed::Filer;
use crate::edgar::ids::Cik;

/// A subscription whose issuers are known by number.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedSubscription {
    /// Stands for it in store and mail.
    pub id: String,
    /// Who is mailed, in lower case.
    pub recipient: String,
    /// Whose filings; `None` is every issuer's.
    pub issuers: Option<Vec<Cik>>,
    /// Which news.
    pub filter: SubscriptionFilter,
    /// When.
    pub schedule: Schedule,
}

impl ResolvedSubscription {
    /// Whether it asks for the filings of one of these filers.
    pub fn covers(&self, filers: &[Filer]) -> bool {
        self.issuers.as_ref().is_none_or(|issuers| filers.iter().any(|filer| issuers.contains(&filer.cik)))
    }
}

/// What a recipient asked for in an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// All subscriptions that ask for it.
    pub subscriptions: Vec<String>,
    /// The events they ask for, by their places in [`Alert::events`]; none of a filing that cannot be read yet.
    pub ordinals: Vec<usize>,
    /// When the first of the subscriptions wants it told.
    pub due: Due,
}

/// Who asked for an alert, each recipient once. That a filing cannot be read yet is told to everyone who would be told of
/// its issuer.
pub fn recipients(
    alert: &Alert,
    subscriptions: &[ResolvedSubscription],
    now: DateTime<Utc>,
) -> BTreeMap<String, Asked> {
    let mut told: BTreeMap<String, Asked> = BTreeMap::new();
    for subscription in subscriptions.iter().filter(|subscription| subscription.covers(&alert.filers)) {
        let matches = alert.events.iter().enumerate().filter(|(_, event)| subscription.filter.matches(event));
        let ordinals: Vec<usize> = matches.map(|(ordinal, _)| ordinal).collect();
        if alert.purpose == Purpose::NotReadable || !ordinals.is_empty() {
            let due = subscription.schedule.due(now);
            let asked = told.entry(subscription.recipient.clone()).or_insert_with(|| Asked {
                subscriptions: Vec::new(),
                ordinals: Vec::new(),
                due,
            });
            asked.subscriptions.push(subscription.id.clone());
            asked.ordinals.extend(ordinals);
            asked.ordinals.sort_unstable();
            asked.ordinals.dedup();
            asked.due = asked.due.min(due);
        }
    }
    told
}
