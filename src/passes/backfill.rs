//! What lies in the past: the filings of a range of days are put into a queue from EDGAR's indexes, and read from there.
//! Days done and the queue itself are in the store, so that a backfill goes on where it was stopped.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{Days, NaiveDate};

use super::ledger::{sort_rows, takes_whole_quarter};
use super::{PassError, Watcher, Watchlist, digits};
use crate::edgar::daily_index::{IndexRow, Quarter};
use crate::edgar::eastern::eastern_date;
use crate::edgar::ids::AccessionNumber;
use crate::store::{FilingState, NewFiling, Queue, WatchedIssuers};

/// What queueing a range did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackfillSummary {
    /// Days whose index was read now.
    pub n_days: usize,
    /// Days that were done before.
    pub n_done_before: usize,
    /// Filings that joined the queue.
    pub n_queued: usize,
}

impl Watcher {
    /// Puts the watched filings dated `from` to `to` into the queue that this watcher reads. `done` hears of each day.
    ///
    /// # Errors
    /// [`PassError`]. What was queued before an error stays so.
    pub async fn queue_range(
        &self,
        from: NaiveDate,
        to: NaiveDate,
        mut done: impl FnMut(usize),
    ) -> Result<BackfillSummary, PassError> {
        let watchlist = self.resolve_watchlist().await?;
        let watched = fingerprint(&watchlist, &self.settings.watch.forms);
        let before = self.store.backfilled_days(&watched).await?;
        let mut summary = BackfillSummary::default();
        let mut quarters: BTreeMap<Quarter, BTreeSet<NaiveDate>> = BTreeMap::new();
        let today = eastern_date(self.clock.now());
        for day in from.iter_days().take_while(|day| *day <= to.min(today)) {
            if before.contains(&day) {
                summary.n_done_before += 1;
                done(1);
            } else {
                quarters.entry(Quarter::of(day)).or_default().insert(day);
            }
        }
        for (quarter, days) in quarters {
            if self.is_stopping() {
                break;
            }
            let range = Range { watchlist: &watchlist, watched: &watched };
            if takes_whole_quarter(quarter, days.len(), today) {
                let mine = self.store.claim_days(&watched, &days).await?;
                if !mine.is_empty() {
                    summary.n_queued += self.queue_quarter(&range, quarter, &mine).await?;
                }
                summary.n_days += mine.len();
                done(days.len());
            } else {
                summary.n_queued += self.queue_days(&range, quarter, &days, &mut summary.n_days, &mut done).await?;
            }
        }
        Ok(summary)
    }

    /// Whether other workers are still putting filings of this watchlist into the queue.
    ///
    /// # Errors
    /// [`PassError`].
    pub async fn is_queued_by_others(&self) -> Result<bool, PassError> {
        let watchlist = self.known_watchlist().await?;
        Ok(self.store.is_queued_by_others(&fingerprint(&watchlist, &self.settings.watch.forms)).await?)
    }

    async fn queue_quarter(
        &self,
        range: &Range<'_>,
        quarter: Quarter,
        days: &BTreeSet<NaiveDate>,
    ) -> Result<usize, PassError> {
        let forms = &self.settings.watch.forms;
        let wanted = |row: &IndexRow| forms.contains(&row.form) && days.contains(&row.filing_date);
        let file = self.client.full_index(quarter, wanted).await?;
        if !file.is_whole {
            return Err(PassError::Outage(format!("the index of {quarter} is cut short: try again")));
        }
        Ok(self.record_rows(range, &file.rows, &days.iter().copied().collect::<Vec<_>>()).await?)
    }

    async fn queue_days(
        &self,
        range: &Range<'_>,
        quarter: Quarter,
        days: &BTreeSet<NaiveDate>,
        n_days: &mut usize,
        done: &mut impl FnMut(usize),
    ) -> Result<usize, PassError> {
        let listed = self.client.listed_days(quarter).await?;
        let forms = &self.settings.watch.forms;
        let mut n_queued = 0;
        for day in days {
            if self.is_stopping() {
                break;
            }
            if self.store.claim_days(range.watched, &BTreeSet::from([*day])).await?.is_empty() {
                // Another worker is at it.
                done(1);
                continue;
            }
            if listed.iter().any(|listed| listed.day == *day) {
                let file = self.client.daily_index(*day, |row| forms.contains(&row.form)).await?;
                if !file.is_whole {
                    return Err(PassError::Outage(format!("the index of {day} is cut short: try again")));
                }
                n_queued += self.record_rows(range, &file.rows, &[*day]).await?;
                *n_days += 1;
            } else if listed.iter().any(|listed| listed.day > *day) {
                // No index though later days have one: nothing was filed.
                self.record_rows(range, &[], &[*day]).await?;
            }
            done(1);
        }
        Ok(n_queued)
    }

    async fn record_rows(&self, range: &Range<'_>, rows: &[IndexRow], days: &[NaiveDate]) -> anyhow::Result<usize> {
        let now = self.clock.now();
        let (_, filings) = sort_rows(rows, range.watchlist, &WatchedIssuers::all(), now);
        let state = match self.queue {
            Queue::Live => FilingState::Found,
            Queue::Past => FilingState::Backfill,
        };
        let mut filings: Vec<NewFiling> = filings.into_iter().map(|filing| NewFiling { state, ..filing }).collect();
        if self.queue == Queue::Past {
            self.leave_news(&mut filings).await?;
        }
        self.store.record_backfill(range.watched, days, &filings, now).await
    }

    /// Leaves out what is no past but news that nobody has been told of: dated since its issuer is watched, and never seen. Recorded
    /// here, it would be told to nobody.
    async fn leave_news(&self, filings: &mut Vec<NewFiling>) -> anyhow::Result<()> {
        let watched = self.store.watched().await?;
        let is_watched_day =
            |filing: &NewFiling| watched.about(&filing.filers).any(|watched| filing.filing_date >= watched.since_date);
        let recent: Vec<AccessionNumber> =
            filings.iter().filter(|filing| is_watched_day(filing)).map(|filing| filing.accession).collect();
        let known = self.store.known_filings(&recent).await?;
        let news: HashSet<AccessionNumber> =
            recent.into_iter().filter(|accession| !known.contains_key(accession)).collect();
        filings.retain(|filing| !news.contains(&filing.accession));
        if !news.is_empty() {
            tracing::warn!("{} filings of watched days are news: run or once reads and tells them", news.len());
        }
        Ok(())
    }
}

struct Range<'a> {
    watchlist: &'a Watchlist,
    /// What days are noted as done for.
    watched: &'a str,
}

/// Tells one watchlist and its forms from another.
fn fingerprint(watchlist: &Watchlist, forms: &[crate::edgar::ids::FormType]) -> String {
    let mut names: Vec<&str> = forms.iter().map(crate::edgar::ids::FormType::as_str).collect();
    names.sort_unstable();
    let text = format!("{names:?} {:?}", watchlist.keys);
    digits(&text, 16)
}

/// Days of a range that can have filings: those up to today.
pub fn days_in(from: NaiveDate, to: NaiveDate, today: NaiveDate) -> u64 {
    let to = to.min(today).checked_add_days(Days::new(1)).unwrap_or(to);
    u64::try_from((to - from).num_days()).unwrap_or(0)
}
