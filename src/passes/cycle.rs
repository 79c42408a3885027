//! The passes with what surrounds them: one summary line each, a note of how it went, and the owner told when a
//! person is needed. Both `once` and the daemon call these.

use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::Notify;

use super::deliver::owner_key;
use super::self_watch::{QUIET_POLLS, quiet_polls};
use crate::metrics::Count;

use super::{DeliverSummary, LedgerSummary, PassError, PollSummary, ReadSummary, Watcher};

/// The fact that notes the last good walk over the feed; its value is the summary.
pub const LAST_POLL: &str = "last_poll";
/// The fact that notes the failure of the last walk; absent after a good one.
pub const LAST_POLL_ERROR: &str = "last_poll_error";

/// The fact that notes how old the newest entry of the feed was, in seconds.
pub const FEED_LAG: &str = "feed_lag_s";

/// The fact that notes why days could not be reconciled; absent while they can.
pub const LEDGER_ERROR: &str = "ledger_error";

const USER_AGENT_MATTER: &str = "user_agent";

impl Watcher {
    /// [`Self::poll_pass`], noted and summed up.
    ///
    /// # Errors
    /// Those of the pass.
    pub async fn poll(&self, since: Option<NaiveDate>) -> Result<PollSummary, PassError> {
        let began_at = self.clock.now();
        let polled = self.poll_pass(since).await;
        let now = self.clock.now();
        let duration_ms = (now - began_at).num_milliseconds();
        self.tally.add(Count::Polls, if polled.is_ok() { "good" } else { "failed" }, 1);
        match &polled {
            Ok(summary) => {
                let words = format!(
                    "{} entries, {} new, {} to read in {duration_ms} ms",
                    summary.n_entries, summary.n_recorded, summary.n_found
                );
                if summary.n_recorded > 0 {
                    tracing::info!(duration_ms, "poll pass: {words}");
                }
                self.note_poll(&words, summary, now).await?;
                for unknown in &summary.unknown_tickers {
                    let text = format!("{unknown}\n\nIts filings are not watched until this is mended.\n");
                    self.tell_owner(unknown, "a ticker is not known", &text).await?;
                }
            }
            Err(PassError::Store(_)) => {}
            Err(error) => {
                self.store.set_fact(LAST_POLL_ERROR, &error.to_string(), now).await?;
                if let PassError::Config(words) = error {
                    let text = format!("{words}\n\nNothing is asked of EDGAR until this is mended.\n");
                    self.tell_owner(USER_AGENT_MATTER, "EDGAR refuses our User-Agent", &text).await?;
                }
            }
        }
        polled
    }

    /// Remembers a good poll, in one write.
    async fn note_poll(&self, words: &str, summary: &PollSummary, now: DateTime<Utc>) -> anyhow::Result<()> {
        let told = owner_key(USER_AGENT_MATTER);
        let known = self.store.facts(&[LAST_POLL_ERROR, QUIET_POLLS, &told]).await?;
        let quiet_before = known.get(QUIET_POLLS).map(|(value, _)| value.as_str());
        let quiet = quiet_polls(quiet_before, summary.n_recorded, now);
        let lag = summary.lag.map(|lag| lag.num_seconds().to_string());
        let remember = [
            Some((LAST_POLL, words)),
            lag.as_deref().map(|lag| (FEED_LAG, lag)),
            summary.outage.as_deref().map(|outage| (LAST_POLL_ERROR, outage)),
            quiet.as_deref().map(|quiet| (QUIET_POLLS, quiet)),
        ];
        let forget = [
            Some(LAST_POLL_ERROR).filter(|_| summary.outage.is_none()),
            Some(QUIET_POLLS).filter(|_| quiet.is_none()),
            Some(told.as_str()),
        ];
        let remember: Vec<(&str, &str)> = remember.into_iter().flatten().collect();
        let forget: Vec<&str> = forget.into_iter().flatten().filter(|key| known.contains_key(*key)).collect();
        self.store.write_facts(&remember, &forget, now).await
    }

    /// [`Self::ledger_pass`], noted and summed up.
    ///
    /// # Errors
    /// Those of the pass.
    pub async fn reconcile(&self) -> Result<LedgerSummary, PassError> {
        let reconciled = self.ledger_pass().await;
        let now = self.clock.now();
        match &reconciled {
            Ok(summary) => {
                if self.store.fact(LEDGER_ERROR).await?.is_some() {
                    self.store.clear_fact(LEDGER_ERROR).await?;
                }
                self.let_go_of_old_rows().await?;
                if summary.n_days > 0 {
                    tracing::info!(
                        "ledger pass: {} days reconciled, {} missed by the feed, {} to read",
                        summary.n_days,
                        summary.n_missed,
                        summary.n_found
                    );
                }
            }
            Err(PassError::Store(_)) => {}
            Err(error) => self.store.set_fact(LEDGER_ERROR, &error.to_string(), now).await?,
        }
        reconciled
    }

    /// [`Self::read_pass`], summed up.
    ///
    /// # Errors
    /// Those of the pass.
    pub async fn read(&self, wake: Option<&Notify>) -> Result<ReadSummary, PassError> {
        let began_at = self.clock.now();
        let read = self.read_pass(wake).await;
        if let Ok(summary) = &read
            && *summary != ReadSummary::default()
        {
            let duration_ms = (self.clock.now() - began_at).num_milliseconds();
            tracing::info!(
                duration_ms,
                "read pass: {} filings, {} alerts, {} put off, {} given up in {duration_ms} ms",
                summary.n_read,
                summary.n_alerts,
                summary.n_postponed,
                summary.n_parked
            );
        }
        read
    }

    /// [`Self::deliver_pass`], summed up.
    ///
    /// # Errors
    /// Those of the pass.
    pub async fn deliver(&self, wake: Option<&Notify>) -> Result<DeliverSummary, PassError> {
        let began_at = self.clock.now();
        let delivered = self.deliver_pass(wake).await;
        if let Ok(summary) = &delivered
            && *summary != DeliverSummary::default()
        {
            let duration_ms = (self.clock.now() - began_at).num_milliseconds();
            tracing::info!(
                duration_ms,
                "deliver pass: {} sent, {} put off, {} set aside in {duration_ms} ms",
                summary.n_sent,
                summary.n_postponed,
                summary.n_set_aside
            );
        }
        delivered
    }

    /// One cycle: the passes one after the other. Each goes ahead whatever became of the one before, so that an
    /// outage of EDGAR does not keep mail from leaving.
    ///
    /// # Errors
    /// The first failure, once all passes are done.
    pub async fn cycle(&self, since: Option<NaiveDate>) -> Result<(), PassError> {
        let polled = self.poll(since).await;
        // Before reading, so that what was missed is told in its turn.
        let reconciled = if polled.is_ok() { self.reconcile().await.map(drop) } else { Ok(()) };
        let read = self.read(None).await;
        let watched = self.watch_self().await;
        let delivered = self.deliver(None).await;
        self.write_metrics(true).await;
        let is_well = watched?;
        let summary = polled?;
        reconciled?;
        read?;
        let delivered = delivered?;
        if let Some(unknown) = summary.unknown_tickers.first() {
            return Err(PassError::Config(unknown.clone()));
        }
        match delivered.unreachable.or(summary.outage) {
            Some(reason) => Err(PassError::Outage(reason)),
            None => {
                if is_well {
                    self.beat().await;
                }
                Ok(())
            }
        }
    }
}
