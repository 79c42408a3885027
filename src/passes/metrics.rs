//! What is counted goes to the store, and what is told of it to whoever measures.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

use super::self_watch::matters;
use super::{FEED_GAPS, FEED_LAG, LAST_POLL, LAST_POLL_ERROR, Watcher};
use crate::classify::CLASSIFIER_VERSION;
use crate::edgar::eastern::{eastern_date, eastern_to_utc};
use crate::files::write_whole;
use crate::metrics::Metrics;
use crate::store::OpenWork;

/// EDGAR writes the index of a business day the same evening: a day still open so long after is worth a look.
pub const DAY_OVERDUE: TimeDelta = TimeDelta::hours(36);

impl Watcher {
    /// Writes what was counted, and the file for node_exporter where there is one: about once a minute, or `now_or_never`.
    /// What cannot be written is kept for the next time and changes nothing else.
    pub async fn write_metrics(&self, now_or_never: bool) {
        let now = self.clock.now();
        if !now_or_never && !self.tally.is_due(now) {
            return;
        }
        self.write_counts().await;
        let Some(path) = &self.settings.metrics_file else { return };
        let written = match self.written_metrics().await.and_then(|metrics| metrics.encode()) {
            Ok(text) => write_whole(path, text.as_bytes(), 0o644).map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!("metrics.file {}: {error:#}", path.display());
        }
    }

    async fn write_counts(&self) {
        let counts = self.tally.take(self.clock.now());
        if let Err(error) = self.store.add_to_counters(&counts).await {
            tracing::warn!("counts are kept for later: {error:#}");
            self.tally.put_back(counts);
        }
    }

    /// All that is told of now. Counts are written first and told as written: told before, they could fall when the process
    /// is killed, and a counter that falls counts as one that began anew.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        self.write_counts().await;
        self.written_metrics().await
    }

    async fn written_metrics(&self) -> anyhow::Result<Metrics> {
        let now = self.clock.now();
        let counts = self.store.counters().await?;
        let facts = self.store.facts(&[LAST_POLL, LAST_POLL_ERROR, FEED_LAG]).await?;
        let budget = self.store.budget_state(now).await?;
        let open: OpenWork = self.store.open_work().await?;
        let waiting = self.store.waiting_mail().await?;
        let per_second = self.settings.pace.per_second();
        let troubles =
            matters(&self.store, now).await?.into_iter().map(|matter| (matter.key, matter.trouble.is_some())).collect();
        Ok(Metrics {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            classifier_version: CLASSIFIER_VERSION,
            counts,
            last_poll_at: facts.get(LAST_POLL).map(|(_, at)| *at),
            is_failing: facts.contains_key(LAST_POLL_ERROR),
            feed_lag_s: facts.get(FEED_LAG).and_then(|(seconds, _)| seconds.parse().ok()),
            requests_today: budget.n_today,
            requests_left_today: seconds_until_midnight(now) * i64::from(per_second),
            requests_per_second: per_second,
            blocked_until: budget.blocked_until,
            filings_unread: open.filings_unread,
            filings_parked: open.filings_parked,
            filings_missed: open.filings_missed,
            days_overdue: i64::try_from(self.store.overdue_days(now - DAY_OVERDUE).await?.len())?,
            feed_gaps: i64::try_from(self.store.facts_below(FEED_GAPS).await?.len())?,
            mails_waiting: waiting.map_or(0, |(n, _)| n),
            oldest_mail_s: waiting.map_or(0, |(_, since)| (now - since).num_seconds().max(0)),
            mails_set_aside: open.mails_set_aside,
            subscriptions_in_effect: open.subscriptions_in_effect,
            subscriptions_unconfirmed: open.subscriptions_unconfirmed,
            addresses_bounced: open.addresses_bounced,
            store_bytes: self.store.size_bytes().await?,
            troubles,
        })
    }
}

/// Until the Eastern day that requests are counted by ends.
fn seconds_until_midnight(now: DateTime<Utc>) -> i64 {
    let tomorrow = eastern_date(now).checked_add_days(Days::new(1)).map(|day| day.and_time(NaiveTime::MIN));
    tomorrow.map_or(0, |midnight| (eastern_to_utc(midnight) - now).num_seconds().max(0))
}
