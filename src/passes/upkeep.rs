//! What keeps the store in shape: old rows are let go of, and a newer version tries again what an older one gave up.

use chrono::{Days, NaiveDate, TimeDelta};

use super::Watcher;
use crate::classify::CLASSIFIER_VERSION;
use crate::edgar::eastern::eastern_date;

/// The fact that remembers when old rows were last looked for, and up to which filing date.
const LOOKED: &str = "upkeep";
const INTERVAL: TimeDelta = TimeDelta::days(1);
/// A look back with `--since` within this time finds what was recorded; beyond it, EDGAR's indexes tell it anew.
const FILERS_KEPT: Days = Days::new(400);
/// Tickers of issuers that are not on the watchlist by ticker are asked for again after a day.
const TICKERS_KEPT: TimeDelta = TimeDelta::days(2);
const TICKERS: &str = "ticker_of:";
/// What the owner was told of one filing or one mail, and that an address was asked something.
const TOLD_KEPT: TimeDelta = TimeDelta::days(400);
const TOLD: [&str; 4] = ["told_owner:parked:", "told_owner:set_aside:", "confirm:", "preferences:"];
/// A link to confirm is good for three days.
const UNCONFIRMED_KEPT: TimeDelta = TimeDelta::days(7);

/// The fact that remembers which version of the reading has had its try at what was given up.
const TRIED_BY: &str = "parked_tried_by";

impl Watcher {
    /// Puts what was given up back into the queue, once for each version of the reading: a newer one may be able to read it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_up_after_upgrade(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let version = CLASSIFIER_VERSION.to_string();
        let before = self.store.fact(TRIED_BY).await?.map(|(version, _)| version);
        if before.as_ref() == Some(&version) {
            return Ok(());
        }
        let n_filings = self.store.requeue_parked(now).await?;
        if n_filings > 0 {
            tracing::info!("{n_filings} filings that an older version gave up are tried again");
        }
        self.store.set_fact(TRIED_BY, &version, now).await
    }

    /// Lets go of old rows, once a day.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn let_go_of_old_rows(&self) -> anyhow::Result<()> {
        let now = self.clock.now();
        let before = self.store.fact(LOOKED).await?;
        if before.as_ref().is_some_and(|(_, at)| (TimeDelta::zero()..INTERVAL).contains(&(now - *at))) {
            return Ok(());
        }
        let today = eastern_date(now);
        let keep_from = today.checked_sub_days(FILERS_KEPT).unwrap_or(today);
        let done_to = before.and_then(|(day, _)| day.parse().ok()).unwrap_or(NaiveDate::MIN);
        let mut n_rows = self.store.prune_filers(done_to, keep_from).await?;
        n_rows += self.store.prune_facts(TICKERS, now - TICKERS_KEPT).await?;
        for told in TOLD {
            n_rows += self.store.prune_facts(told, now - TOLD_KEPT).await?;
        }
        n_rows += self.store.forget_unconfirmed(now - UNCONFIRMED_KEPT).await?;
        if n_rows > 0 {
            tracing::info!("{n_rows} old rows let go of");
        }
        self.store.set_fact(LOOKED, &keep_from.to_string(), now).await
    }
}
