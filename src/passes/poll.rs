//! One walk over the feed: every accession of the configured forms becomes a row, those that count join the queue.
//!
//! Known means known before the walk began. A page opens with entries seen a moment ago, because newer ones push
//! the rest down between two requests, and a filing's other filers may stand on the next page: so every page is
//! read whole, and the walk joins up only where a whole page holds nothing new.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use reqwest::StatusCode;

use super::{PassError, Watcher, Watchlist};
use crate::edgar::client::{FetchError, FetchFailure, PAGE_ENTRIES};
use crate::edgar::eastern::{eastern_date, filings_dated_from, is_morning, is_open, last_closing, print_eastern};
use crate::edgar::feed::{FeedEntry, FeedPage};
use crate::edgar::forms::feed_prefixes;
use crate::edgar::ids::AccessionNumber;
use crate::progress::Loop;
use crate::store::{FeedQueryState, FilingState, NewFiling, Source, Watched, WatchedIssuers};

/// What a walk over the feed did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollSummary {
    /// Feed entries read.
    pub n_entries: usize,
    /// Accessions recorded for the first time.
    pub n_recorded: usize,
    /// Of those, filings that are now to be read.
    pub n_found: usize,
    /// Configured tickers that were never resolved.
    pub unknown_tickers: Vec<String>,
    /// Why one of several queries was not answered.
    pub outage: Option<String>,
    /// How old the newest entry of the feed was.
    pub lag: Option<TimeDelta>,
}

/// How often a walk goes to full depth while EDGAR is open, and while a gap is.
const DEEP_INTERVAL: TimeDelta = TimeDelta::minutes(10);
/// The same for the rest of the day: each costs a few requests of the day's budget.
const DEEP_INTERVAL_BY_DAY: TimeDelta = TimeDelta::hours(1);
/// A walk this deep is a fault of the server: EDGAR's feed ends at about 5,100 entries.
const MAX_START: usize = 20_000;
/// From here on a 503 is EDGAR's way to say that the feed ends.
const FEED_DEPTH: i64 = 5_000;
/// How long a 503 above that depth counts as an outage of the deeper pages, however often it comes.
const OUTAGE_PATIENCE: TimeDelta = TimeDelta::hours(24);

impl Watcher {
    /// Walks the feed once. With `since`, filings dated from then on count however long they have been there.
    ///
    /// # Errors
    /// [`PassError`]. What was read before an error is kept, and the next walk goes deep enough to make up for it.
    pub async fn poll_pass(&self, since: Option<NaiveDate>) -> Result<PollSummary, PassError> {
        let watchlist = self.resolve_watchlist().await?;
        let now = self.clock.now();
        let mut watched = self.sync_watched(&watchlist).await?;
        if let Some(since) = since {
            self.store.watch_since(since, &feed_prefixes(&self.settings.watch.forms), now).await?;
            watched = self.sync_watched(&watchlist).await?;
        }
        let mut summary =
            PollSummary { unknown_tickers: self.unknown_tickers(&watchlist).await?, ..PollSummary::default() };
        let mut failure = None;
        let mut n_well = 0;
        for prefix in feed_prefixes(&self.settings.watch.forms) {
            self.progress.note(Loop::Poll);
            let walk = Walk { watcher: self, watchlist: &watchlist, watched: &watched, prefix: &prefix, since };
            match walk.run(&mut summary).await {
                Ok(()) => n_well += 1,
                // One query's outage says nothing of the next.
                Err(error @ PassError::Outage(_)) => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        match failure {
            Some(failure) if n_well == 0 => return Err(failure),
            failure => summary.outage = failure.map(|failure| failure.to_string()),
        }
        if let Some(since) = since {
            let forms = &self.settings.watch.forms;
            let watches =
                |ciks: &[crate::edgar::ids::Cik]| watchlist.all || ciks.iter().any(|cik| watchlist.ciks.contains(cik));
            summary.n_found += self.store.requeue_since(since, forms, watches, now).await?;
        }
        Ok(summary)
    }
}

/// The facts that name the day a query's feed reached back to when it did not join up with what was known: what lies
/// before is for the indexes to show.
pub const FEED_GAPS: &str = "feed_gap:";

fn gap_fact(prefix: &str) -> String {
    format!("{FEED_GAPS}{prefix}")
}

/// How a walk over one query ended.
enum End {
    /// At a page that holds nothing new, or at the depth that was asked for.
    Joined,
    /// At the end of the feed, or at what looks like it: a 503 (`refused`), or a short page.
    OutOfFeed { start: usize, refused: bool },
    /// At a failure.
    Broken(FetchError),
}

struct Walk<'a> {
    watcher: &'a Watcher,
    watchlist: &'a Watchlist,
    watched: &'a WatchedIssuers,
    prefix: &'a str,
    since: Option<NaiveDate>,
}

/// What a walk is to reach, decided before it begins.
struct Aim {
    /// Go on until older entries than this were seen.
    depth: Option<DateTime<Utc>>,
    /// Only rows first seen before this instant count as known.
    known_before: DateTime<Utc>,
    /// Whether there is anything to join up with.
    must_join: bool,
}

impl Walk<'_> {
    async fn run(&self, summary: &mut PollSummary) -> Result<(), PassError> {
        let store = &self.watcher.store;
        let began_at = self.watcher.clock.now();
        let mut state = store.feed_query(self.prefix).await?;
        let before = state.clone();
        if state.asked_as.is_none() {
            state.asked_as = self.first_contact().await?;
        }
        let aim = self.aim(&state, began_at);
        let mut seen: BTreeMap<AccessionNumber, NewFiling> = BTreeMap::new();
        let mut oldest = None;
        let end = self.walk(&state, &aim, &mut seen, &mut oldest, summary).await?;
        if let (Some(since), End::OutOfFeed { .. }) = (self.since, &end) {
            let back_to = oldest.map(print_eastern).unwrap_or_default();
            tracing::warn!("the feed reaches back to {back_to}: what was filed from {since} until then is not covered");
        }
        let is_whole = !matches!(end, End::Broken(_));
        let ran_out = matches!(end, End::OutOfFeed { .. }) && aim.must_join;
        let failure = remember(&mut state, &aim, end, began_at, oldest);
        let filings: Vec<NewFiling> = seen.into_values().collect();
        summary.n_recorded += filings.len();
        let is_baseline = is_whole && !self.watched.have_baseline(self.prefix);
        // Most walks find everything as it was.
        if !filings.is_empty() || state != before || is_baseline {
            summary.n_found += store.record_pass(self.prefix, &state, &filings, is_baseline).await?;
        }
        if let Some(oldest) = oldest.filter(|_| ran_out && state.gap_since.is_none()) {
            let day = eastern_date(oldest);
            tracing::warn!("the feed reaches back to {} only: the indexes close the gap", print_eastern(oldest));
            store.set_fact(&gap_fact(self.prefix), &day.to_string(), began_at).await?;
        }
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// The `type` to ask for. EDGAR takes it as a prefix, so that `8-K` brings `8-K/A` too; where an answer shows
    /// otherwise, all forms are asked for and sorted out here. `None` where there is nothing to tell it by yet.
    async fn first_contact(&self) -> Result<Option<String>, PassError> {
        let client = &self.watcher.client;
        let is_wanted = |entry: &FeedEntry| entry.form.as_str().starts_with(self.prefix);
        let mut page = client.feed_page(self.prefix, 0).await?;
        if page.entries.is_empty() && !client.feed_page("", 0).await?.entries.iter().any(is_wanted) {
            return Ok(None);
        }
        let honoured = page.entries.iter().all(is_wanted);
        let mut complete = !page.entries.is_empty();
        for form in &self.watcher.settings.watch.forms {
            if !complete || form.as_str() == self.prefix || !form.as_str().starts_with(self.prefix) {
                continue;
            }
            let exact = client.feed_page(form.as_str(), 0).await?;
            self.extend_to(&mut page, &exact).await?;
            complete = holds_all_of(&page, &exact);
            if !complete {
                // What was accepted between the two requests stands in the second only.
                page = client.feed_page(self.prefix, 0).await?;
                self.extend_to(&mut page, &exact).await?;
                complete = holds_all_of(&page, &exact);
            }
        }
        if honoured && complete {
            return Ok(Some(self.prefix.to_owned()));
        }
        tracing::warn!(
            form = self.prefix,
            "the feed does not answer type={} as a prefix: asking for all forms instead",
            self.prefix
        );
        Ok(Some(String::new()))
    }

    /// Adds pages of the prefix until the newest of `exact` falls within: above it they show nothing either way.
    async fn extend_to(&self, page: &mut FeedPage, exact: &FeedPage) -> Result<(), PassError> {
        let Some(newest) = exact.entries.iter().map(|entry| entry.accepted_at).max() else { return Ok(()) };
        let mut start = PAGE_ENTRIES;
        while page.n_entries() >= start
            && start < MAX_START
            && page.entries.iter().all(|entry| entry.accepted_at >= newest)
        {
            self.watcher.progress.note(Loop::Poll);
            match self.watcher.client.feed_page(self.prefix, start).await {
                Ok(more) => {
                    page.entries.extend(more.entries);
                    page.problems.extend(more.problems);
                }
                Err(FetchError { failure: FetchFailure::Status(StatusCode::SERVICE_UNAVAILABLE), .. }) => break,
                Err(error) => return Err(error.into()),
            }
            start += PAGE_ENTRIES;
        }
        Ok(())
    }

    fn aim(&self, state: &FeedQueryState, began_at: DateTime<Utc>) -> Aim {
        let today = eastern_date(began_at);
        let gap = state.gap_since.filter(|_| deep_is_due(state, began_at));
        let depth = match self.since {
            Some(since) => Some(filings_dated_from(since.min(today))),
            None if deep_is_due(state, began_at) => Some(filings_dated_from(today)),
            None => None,
        };
        Aim { depth, known_before: gap.unwrap_or(began_at), must_join: state.deep_at.is_some() }
    }

    async fn walk(
        &self,
        state: &FeedQueryState,
        aim: &Aim,
        seen: &mut BTreeMap<AccessionNumber, NewFiling>,
        oldest: &mut Option<DateTime<Utc>>,
        summary: &mut PollSummary,
    ) -> Result<End, PassError> {
        let asked_as = state.asked_as.as_deref().unwrap_or(self.prefix);
        let mut start = 0;
        loop {
            self.watcher.progress.note(Loop::Poll);
            let page = match self.watcher.client.feed_page(asked_as, start).await {
                Ok(page) => page,
                Err(FetchError { failure: FetchFailure::Status(StatusCode::SERVICE_UNAVAILABLE), .. }) if start > 0 => {
                    return Ok(End::OutOfFeed { start, refused: true });
                }
                Err(error) => return Ok(End::Broken(error)),
            };
            for problem in &page.problems {
                tracing::warn!("{problem}");
            }
            summary.n_entries += page.n_entries();
            if start == 0 {
                let newest = page.entries.iter().map(|entry| entry.accepted_at).max();
                summary.lag = newest.map(|newest| self.watcher.clock.now() - newest);
            }
            let nothing_new = self.take_page(&page, aim, seen).await?;
            *oldest = (*oldest).into_iter().chain(page.entries.iter().map(|entry| entry.accepted_at)).min();
            let deep_enough = aim.depth.is_none_or(|depth| oldest.is_some_and(|oldest| oldest < depth));
            if deep_enough && (nothing_new || !aim.must_join) {
                return Ok(End::Joined);
            }
            if !page.is_whole {
                let failure = FetchFailure::Unexpected("the feed is cut short".to_owned());
                return Ok(End::Broken(FetchError {
                    what: format!("feed \"getcurrent {asked_as}\" from {start}"),
                    failure,
                }));
            }
            if page.n_entries() < PAGE_ENTRIES {
                // A first page that is not full is the whole feed.
                return Ok(if start == 0 { End::Joined } else { End::OutOfFeed { start, refused: false } });
            }
            start += PAGE_ENTRIES;
            if start >= MAX_START {
                return Ok(End::OutOfFeed { start, refused: false });
            }
        }
    }

    /// Takes what is new from a page; `true` when it holds entries of the forms wanted and all were known before.
    async fn take_page(
        &self,
        page: &FeedPage,
        aim: &Aim,
        seen: &mut BTreeMap<AccessionNumber, NewFiling>,
    ) -> anyhow::Result<bool> {
        let wanted: Vec<&FeedEntry> =
            page.entries.iter().filter(|entry| entry.form.as_str().starts_with(self.prefix)).collect();
        let mut accessions: Vec<AccessionNumber> = wanted.iter().map(|entry| entry.accession).collect();
        accessions.sort_unstable();
        accessions.dedup();
        let known = self.watcher.store.known_filings(&accessions).await?;
        let seen_at = self.watcher.clock.now();
        let mut all_known = !wanted.is_empty();
        for entry in wanted {
            // What only an index has shown says nothing of the feed.
            let before = known.get(&entry.accession).filter(|before| before.feed_at.is_some());
            all_known &= before.is_some_and(|before| before.feed_at.is_some_and(|at| at < aim.known_before));
            if before.is_some_and(|before| before.ciks.contains(&entry.filer.cik)) {
                continue;
            }
            let filing = seen.entry(entry.accession).or_insert_with(|| NewFiling {
                accession: entry.accession,
                form: entry.form.clone(),
                filers: Vec::new(),
                filing_date: entry.filing_date,
                accepted_at: entry.accepted_at,
                seen_at,
                source: Source::Feed,
                items: entry.items.clone(),
                state: FilingState::NotWatched,
            });
            if !filing.filers.contains(&entry.filer) {
                filing.filers.push(entry.filer.clone());
            }
            filing.state = self.state_of(filing);
        }
        Ok(all_known)
    }

    /// What is to become of a filing seen for the first time.
    fn state_of(&self, filing: &NewFiling) -> FilingState {
        if !self.watcher.settings.watch.forms.contains(&filing.form) || !self.watchlist.watches(&filing.filers) {
            return FilingState::NotWatched;
        }
        let is_news = |watched: &Watched| {
            watched.baselines.iter().any(|prefix| prefix == self.prefix) && filing.filing_date >= watched.since_date
        };
        if self.watched.about(&filing.filers).any(is_news) { FilingState::Found } else { FilingState::Baseline }
    }
}

/// Whether every entry of `exact` that falls within the time span of `page` stands in `page`.
fn holds_all_of(page: &FeedPage, exact: &FeedPage) -> bool {
    let newest = page.entries.iter().map(|entry| entry.accepted_at).max();
    // The last moment of a full page may be cut in the middle.
    let oldest = page.entries.iter().map(|entry| entry.accepted_at).min();
    let is_full = page.n_entries() >= PAGE_ENTRIES;
    exact
        .entries
        .iter()
        .filter(|entry| Some(entry.accepted_at) <= newest && (!is_full || Some(entry.accepted_at) > oldest))
        .all(|entry| page.entries.iter().any(|other| other.accession == entry.accession))
}

/// Whether a walk is to go down past the previous business day's 17:30: on first contact; while a gap is open; often
/// while last evening's filings come to light, at six as a rule; at times for the rest of the day, since after a fault
/// they may come later; and once after EDGAR has closed, so that nothing of the day is left behind.
fn deep_is_due(state: &FeedQueryState, now: DateTime<Utc>) -> bool {
    let Some(deep_at) = state.deep_at else { return true };
    let interval = if is_morning(now) || state.gap_since.is_some() {
        DEEP_INTERVAL
    } else if is_open(now) {
        DEEP_INTERVAL_BY_DAY
    } else {
        return deep_at < last_closing(now);
    };
    let waited = now - deep_at;
    // A depth reached in the future was written under another clock.
    waited >= interval || waited < TimeDelta::zero()
}

/// Notes in `state` what a walk proved, and returns the failure that ended it, if one did.
fn remember(
    state: &mut FeedQueryState,
    aim: &Aim,
    end: End,
    began_at: DateTime<Utc>,
    oldest: Option<DateTime<Utc>>,
) -> Option<FetchError> {
    let was_deep = aim.depth.is_some();
    let open_gap = |state: &mut FeedQueryState| {
        state.gap_since = state.gap_since.or(Some(began_at));
    };
    match end {
        End::Joined => {
            if state.gap_since.is_some_and(|gap| aim.known_before <= gap) || !aim.must_join {
                state.gap_since = None;
                state.deep_end = None;
            }
            if was_deep {
                state.deep_at = Some(began_at);
                state.oldest_at = oldest;
            }
            None
        }
        End::OutOfFeed { start, refused } => {
            // Once may be an outage that looks like the end; a second walk that ends no earlier shows it is the end,
            // unless it ends with a 503 where EDGAR's feed goes on: a part of it may fail for longer than that.
            let start = i64::try_from(start).unwrap_or(i64::MAX);
            let patience = if refused && start < FEED_DEPTH { OUTAGE_PATIENCE } else { TimeDelta::zero() };
            let confirmed = state.gap_since.is_some_and(|gap| aim.known_before <= gap && began_at - gap >= patience)
                && state.deep_end.is_some_and(|before| start >= before);
            if confirmed {
                state.gap_since = None;
                state.deep_end = None;
            } else {
                open_gap(state);
                state.deep_end = Some(start);
            }
            state.deep_at = Some(began_at);
            state.oldest_at = oldest;
            None
        }
        End::Broken(error) => {
            // Rows of this walk are kept, so the next must not take them for proof of what lies below.
            if oldest.is_some() {
                open_gap(state);
                state.deep_at = state.deep_at.map(|at| at.min(began_at - DEEP_INTERVAL));
            }
            Some(error)
        }
    }
}
