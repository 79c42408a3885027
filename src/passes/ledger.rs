//! The completeness ledger at work: each filing date is reconciled with EDGAR's index of the day, so that what the feed
//! dropped, or showed while nobody looked, is found and read all the same.
//!
//! Whether a day has an index is decided by the folder's own list. A file that is missing answers the same on a holiday
//! as before publication, so calendars only say when it is worth looking.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::{FEED_GAPS, PassError, Watcher, Watchlist};
use crate::edgar::client::{FetchError, FetchFailure};
use crate::edgar::daily_index::{IndexRow, ListedDay, Quarter};
use crate::edgar::eastern::{eastern_date, eastern_to_utc, is_edgar_business_day};
use crate::edgar::feed::Filer;
use crate::edgar::forms::feed_prefixes;
use crate::edgar::ids::AccessionNumber;
use crate::progress::Loop;
use crate::store::{
    DayCounts, DayIndex, DayState, FilingState, LedgerDay, LedgerSpan, NewFiling, Source, WatchedIssuers,
};

/// What reconciling did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerSummary {
    /// Days reconciled.
    pub n_days: usize,
    /// Filings of watched issuers that the feed had not shown.
    pub n_missed: usize,
    /// Filings that joined the queue.
    pub n_found: usize,
}

/// A day's index is looked for from here on; EDGAR writes most of them between 22:06 and 22:23 Eastern.
const INDEX_WRITTEN: (u32, u32) = (22, 10);
/// While a day's index is awaited, it is looked for this often in the first hours, and after them.
const LOOK_AGAIN: TimeDelta = TimeDelta::minutes(20);
const LOOK_AGAIN_LATER: TimeDelta = TimeDelta::hours(2);
const FIRST_HOURS: TimeDelta = TimeDelta::hours(4);
/// After an index could not be had.
const AFTER_OUTAGE: TimeDelta = TimeDelta::minutes(5);
/// Filings dated a day back arrive late: a closed day is looked at again after so long, counted from its first closing.
const RECHECKS: [TimeDelta; 2] = [TimeDelta::days(1), TimeDelta::days(7)];
/// A day without an index while a later one has had one for so long was a day on which EDGAR was closed.
const CLOSED_FOR_SURE: TimeDelta = TimeDelta::days(2);

impl Watcher {
    /// Reconciles every day that is due with its index.
    ///
    /// # Errors
    /// [`PassError`], the first of them; the other quarters are looked at all the same.
    pub async fn ledger_pass(&self) -> Result<LedgerSummary, PassError> {
        let now = self.clock.now();
        let span = self.store.ledger_span().await?;
        let is_new = self.open_new_days(&span, now).await?;
        if !is_new && span.next_check_at.is_none_or(|at| at > now) {
            return Ok(LedgerSummary::default());
        }
        let due = self.store.due_days(now).await?;
        if due.is_empty() {
            return Ok(LedgerSummary::default());
        }
        let watchlist = self.resolve_watchlist().await?;
        let mut work = Work {
            watched: self.sync_watched(&watchlist).await?,
            watchlist,
            summary: LedgerSummary::default(),
            outage: None,
        };
        let mut quarters: BTreeMap<Quarter, Vec<LedgerDay>> = BTreeMap::new();
        for day in due {
            quarters.entry(Quarter::of(day.day)).or_default().push(day);
        }
        for (quarter, days) in quarters {
            if self.is_stopping() {
                break;
            }
            self.progress.note(Loop::Poll);
            let looked = if takes_whole_quarter(quarter, days.len(), eastern_date(now)) {
                self.look_at_quarter(quarter, &days, &mut work).await
            } else {
                self.look_at_days(quarter, &days, &mut work).await
            };
            self.put_off_after_outage(looked, &days, &mut work).await?;
        }
        self.close_gaps().await?;
        work.outage.map_or(Ok(work.summary), Err)
    }

    /// Reconciles days of a quarter that is long over with its one index. What it does not hold will not come any more.
    async fn look_at_quarter(&self, quarter: Quarter, days: &[LedgerDay], work: &mut Work) -> Result<(), PassError> {
        let forms = &self.settings.watch.forms;
        let (first, last) = (days.first().map(|day| day.day), days.last().map(|day| day.day));
        let is_wanted = |row: &IndexRow| {
            forms.contains(&row.form) && Some(row.filing_date) >= first && Some(row.filing_date) <= last
        };
        let file = match self.client.full_index(quarter, is_wanted).await {
            // A mirror may keep the indexes of days alone.
            Err(FetchError { failure: FetchFailure::NotPublished, .. }) => {
                return self.look_at_days(quarter, days, work).await;
            }
            file => file?,
        };
        if !file.is_whole {
            return Err(PassError::Outage(format!("the index of {quarter} is cut short: looked at again later")));
        }
        if file.n_bad > 0 {
            tracing::warn!("index of {quarter}: {} rows could not be read", file.n_bad);
        }
        let mut rows: HashMap<NaiveDate, Vec<IndexRow>> = HashMap::new();
        for row in file.rows {
            rows.entry(row.filing_date).or_default().push(row);
        }
        for day in days {
            if self.is_stopping() {
                break;
            }
            self.progress.note(Loop::Poll);
            let rows = rows.remove(&day.day).unwrap_or_default();
            self.reconcile_with(day.day, &rows, 0, None, None, work).await?;
        }
        Ok(())
    }

    /// Reconciles each of the days.
    async fn look_at_days(&self, quarter: Quarter, days: &[LedgerDay], work: &mut Work) -> Result<(), PassError> {
        let listed = self.client.listed_days(quarter).await?;
        for day in days {
            if self.is_stopping() {
                break;
            }
            self.progress.note(Loop::Poll);
            let looked = self.look_at_day(day, &listed, work).await;
            self.put_off_after_outage(looked, std::slice::from_ref(day), work).await?;
        }
        Ok(())
    }

    /// Keeps the first outage for later: an index that cannot be had keeps no other day from being closed, and is not
    /// asked for again with the next poll.
    async fn put_off_after_outage(
        &self,
        looked: Result<(), PassError>,
        days: &[LedgerDay],
        work: &mut Work,
    ) -> Result<(), PassError> {
        let Err(error @ PassError::Outage(_)) = looked else { return looked };
        let again_at = self.clock.now() + AFTER_OUTAGE;
        for day in days.iter().filter(|day| day.next_check_at.is_some_and(|at| at < again_at)) {
            self.store.delay_day(day.day, again_at).await?;
        }
        work.outage.get_or_insert(error);
        Ok(())
    }

    /// Notes what the index of a day shows, and queues what was never seen.
    async fn reconcile_with(
        &self,
        day: NaiveDate,
        rows: &[IndexRow],
        n_bad: usize,
        index: Option<&ListedDay>,
        next_check_at: Option<DateTime<Utc>>,
        work: &mut Work,
    ) -> anyhow::Result<()> {
        let now = self.clock.now();
        let (accessions, filings) = sort_rows(rows, &work.watchlist, &work.watched, now);
        let counts = self
            .store
            .reconcile_day(&DayIndex {
                day,
                listed: &accessions,
                watched: &filings,
                n_bad,
                size: index.map_or("", |index| &index.size),
                written_at: index.and_then(|index| index.written_at),
                read_at: now,
                next_check_at,
            })
            .await?;
        if counts.n_found > 0 {
            tracing::warn!(
                "daily index of {day}: {} of {} watched filings were not in the feed, {} are read now",
                counts.n_missed,
                counts.n_watched,
                counts.n_found
            );
        }
        work.summary.add(counts);
        Ok(())
    }

    /// A gap in the feed is closed once the index of every day up to its end was read.
    async fn close_gaps(&self) -> anyhow::Result<()> {
        let open = self.store.overdue_days(DateTime::<Utc>::MAX_UTC).await?;
        for prefix in feed_prefixes(&self.settings.watch.forms) {
            let key = format!("{FEED_GAPS}{prefix}");
            let Some((day, _)) = self.store.fact(&key).await? else { continue };
            let end: NaiveDate = day.parse().unwrap_or(NaiveDate::MAX);
            if open.iter().all(|open| *open > end) {
                tracing::info!("the gap in the feed up to {day} is closed from the indexes");
                self.store.clear_fact(&key).await?;
            }
        }
        Ok(())
    }

    /// Every date from the first watched one to today gets its row. `true` where one was missing.
    async fn open_new_days(&self, span: &LedgerSpan, now: DateTime<Utc>) -> anyhow::Result<bool> {
        let (Some(first), today) = (span.watched_since, eastern_date(now)) else { return Ok(false) };
        let newest = span.last.filter(|_| span.first.is_some_and(|known| known <= first));
        let from = newest.and_then(|newest| newest.succ_opt()).unwrap_or(first);
        // What lies in the past is looked for from now on.
        let days = from.iter_days().take_while(|day| *day <= today).map(|day| (day, index_expected_at(day).max(now)));
        let days: Vec<_> = days.collect();
        self.store.add_days(&days).await?;
        Ok(!days.is_empty())
    }

    /// Reconciles a day if its index is listed and has changed since it was read.
    async fn look_at_day(&self, day: &LedgerDay, listed: &[ListedDay], work: &mut Work) -> Result<(), PassError> {
        let now = self.clock.now();
        let Some(index) = listed.iter().find(|listed| listed.day == day.day) else {
            let (state, next) = without_index(day, listed, now);
            self.store.put_off_day(day.day, state, next).await?;
            return Ok(());
        };
        let next_check_at = next_check(day, now);
        let same = day.index_size == index.size && day.written_at == index.written_at && day.reconciled_at.is_some();
        if same && !day.index_size.is_empty() {
            self.store.put_off_day(day.day, DayState::Closed, next_check_at).await?;
            return Ok(());
        }
        let forms = &self.settings.watch.forms;
        let file = self.client.daily_index(day.day, |row| forms.contains(&row.form)).await?;
        if !file.is_whole {
            tracing::warn!("daily index of {}: cut short, looked at again later", day.day);
            self.store.put_off_day(day.day, DayState::Open, Some(now + LOOK_AGAIN)).await?;
            return Ok(());
        }
        if file.n_bad > 0 {
            tracing::warn!("daily index of {}: {} rows could not be read", day.day, file.n_bad);
        }
        Ok(self.reconcile_with(day.day, &file.rows, file.n_bad, Some(index), next_check_at, work).await?)
    }
}

impl LedgerSummary {
    fn add(&mut self, counts: DayCounts) {
        self.n_days += 1;
        self.n_missed += counts.n_missed as usize;
        self.n_found += counts.n_found as usize;
    }
}

/// A pass at work.
struct Work {
    watchlist: Arc<Watchlist>,
    watched: Arc<WatchedIssuers>,
    summary: LedgerSummary,
    /// The first index that could not be had.
    outage: Option<PassError>,
}

/// From so many days of a quarter on, its own index costs less than those of the days.
const MANY_DAYS: usize = 20;
/// The index of a quarter is whole so long after its end: filings dated back come in late.
const QUARTER_SETTLED: TimeDelta = TimeDelta::days(10);
/// Daily indexes are kept under today's names since then; before, the index of the quarter serves.
const FIRST_DAILY_YEAR: i32 = 2000;

/// Whether so many days of a quarter are taken from its own index and not day by day.
pub(super) fn takes_whole_quarter(quarter: Quarter, n_days: usize, today: NaiveDate) -> bool {
    let is_settled = today - quarter.next().first_day() >= QUARTER_SETTLED;
    is_settled && (n_days >= MANY_DAYS || quarter.year < FIRST_DAILY_YEAR)
}

/// When the index of a day is worth looking for. One of a day without business, if there is any, can wait for the next.
fn index_expected_at(day: NaiveDate) -> DateTime<Utc> {
    let business = day.iter_days().take(15).find(|day| is_edgar_business_day(*day)).unwrap_or(day);
    let time = NaiveTime::from_hms_opt(INDEX_WRITTEN.0, INDEX_WRITTEN.1, 0).unwrap_or_default();
    eastern_to_utc(business.and_time(time))
}

/// What becomes of a day that the list of its quarter does not name.
fn without_index(day: &LedgerDay, listed: &[ListedDay], now: DateTime<Utc>) -> (DayState, Option<DateTime<Utc>>) {
    let expected = index_expected_at(day.day);
    // Where the calendar has no business either, the list needs no time to be believed.
    let patience = if is_edgar_business_day(day.day) { CLOSED_FOR_SURE } else { TimeDelta::zero() };
    let is_written = |listed: &ListedDay| {
        listed.day > day.day && now - listed.written_at.unwrap_or(expected).max(expected) >= patience
    };
    let is_past_quarter = Quarter::of(day.day).next().first_day() + Days::new(7) < eastern_date(now);
    if listed.iter().any(is_written) || (!listed.is_empty() && is_past_quarter) {
        return (DayState::Empty, next_check(day, now));
    }
    let patience = if now - expected < FIRST_HOURS { LOOK_AGAIN } else { LOOK_AGAIN_LATER };
    (DayState::Open, Some(now + patience))
}

/// When a day that is closed now is looked at again.
fn next_check(day: &LedgerDay, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let n = usize::try_from(day.n_checks).unwrap_or(usize::MAX);
    let closed_for = now - index_expected_at(day.day);
    RECHECKS.get(n).filter(|_| closed_for < RECHECKS[RECHECKS.len() - 1] * 2).map(|after| {
        // The second check counts from the first closing, of which the first check was a day after.
        if n == 0 { now + *after } else { now + (*after - RECHECKS[n - 1]) }
    })
}

/// The accessions of an index, and the filings of watched issuers among them with all their filers.
pub(super) fn sort_rows(
    rows: &[IndexRow],
    watchlist: &Watchlist,
    watched: &WatchedIssuers,
    now: DateTime<Utc>,
) -> (Vec<AccessionNumber>, Vec<NewFiling>) {
    let mut filers: HashMap<AccessionNumber, Vec<Filer>> = HashMap::new();
    let mut order: Vec<&IndexRow> = Vec::new();
    for row in rows {
        let known = filers.entry(row.accession).or_default();
        if known.is_empty() {
            order.push(row);
        }
        if !known.contains(&row.filer) {
            known.push(row.filer.clone());
        }
    }
    let accessions = order.iter().map(|row| row.accession).collect();
    let filings = order.iter().filter_map(|row| {
        let filers = filers.remove(&row.accession)?;
        if !watchlist.watches(&filers) {
            return None;
        }
        Some(NewFiling {
            accession: row.accession,
            form: row.form.clone(),
            filing_date: row.filing_date,
            accepted_at: eastern_to_utc(row.filing_date.and_time(NaiveTime::MIN)),
            seen_at: now,
            source: Source::Index,
            items: Vec::new(),
            state: state_of(&filers, row.filing_date, watched),
            filers,
        })
    });
    let filings = filings.collect();
    (accessions, filings)
}

/// A filing dated before its issuer was watched is no news.
fn state_of(filers: &[Filer], filing_date: NaiveDate, watched: &WatchedIssuers) -> FilingState {
    let is_news = watched.about(filers).any(|watched| filing_date >= watched.since_date);
    if is_news { FilingState::Found } else { FilingState::Baseline }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    fn day(text: &str, n_checks: u32) -> LedgerDay {
        LedgerDay {
            day: date(text),
            state: DayState::Open,
            next_check_at: None,
            n_checks,
            index_size: String::new(),
            written_at: None,
            reconciled_at: None,
            counts: DayCounts::default(),
        }
    }

    fn listed(text: &str, written_at: &str) -> ListedDay {
        ListedDay { day: date(text), written_at: Some(utc(written_at)), size: "9 KB".to_owned() }
    }

    #[test]
    fn an_index_is_looked_for_after_ten_in_the_evening_of_a_business_day() {
        assert_eq!(index_expected_at(date("2026-11-20")), utc("2026-11-21T03:10:00Z"));
        assert_eq!(index_expected_at(date("2026-11-21")), utc("2026-11-24T03:10:00Z"), "Saturday waits for Monday");
        assert_eq!(index_expected_at(date("2026-11-26")), utc("2026-11-28T03:10:00Z"), "Thanksgiving for Friday");
    }

    #[test]
    fn a_day_without_index_is_empty_once_a_later_one_has_had_one_for_long() {
        let friday = day("2026-11-20", 0);
        let now = utc("2026-11-21T04:00:00Z");
        assert_eq!(without_index(&friday, &[], now), (DayState::Open, Some(now + LOOK_AGAIN)));
        let later = utc("2026-11-21T15:00:00Z");
        assert_eq!(without_index(&friday, &[], later), (DayState::Open, Some(later + LOOK_AGAIN_LATER)));
        let monday = [listed("2026-11-23", "2026-11-24T03:08:00Z")];
        let soon = utc("2026-11-24T03:30:00Z");
        assert_eq!(without_index(&friday, &monday, soon).0, DayState::Open, "the list may be late for Friday alone");
        let (state, next) = without_index(&friday, &monday, utc("2026-11-26T05:00:00Z"));
        assert_eq!((state, next.is_some()), (DayState::Empty, true), "looked at once more: a file may come late");
    }

    #[test]
    fn a_closed_day_is_looked_at_again_after_one_and_seven_days() {
        let now = utc("2026-11-21T04:00:00Z");
        assert_eq!(next_check(&day("2026-11-20", 0), now), Some(now + TimeDelta::days(1)));
        let second = now + TimeDelta::days(1);
        assert_eq!(next_check(&day("2026-11-20", 1), second), Some(now + TimeDelta::days(7)));
        assert_eq!(next_check(&day("2026-11-20", 2), now + TimeDelta::days(7)), None);
        assert_eq!(next_check(&day("2026-06-01", 0), now), None, "long past: nothing more comes");
    }
}
