//! Reads what is due: fetches each filing, reads it on a blocking thread, and commits it with all that follows.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::consequences::{alert_row, consequences, notices, relinked};
use super::{PassError, Watcher, Watchlist, notified};
use crate::alert::{Alert, AlertDocument, Purpose, alert_id};
use crate::classify::{CLASSIFIER_VERSION, EventKind, EventStatus};
use crate::edgar::client::{FetchError, FetchFailure, SubmissionPath, document_url};
use crate::edgar::feed::Filer;
use crate::edgar::filing::{Filing, FilingHeader};
use crate::edgar::ids::{AccessionNumber, Cik};
use crate::edgar::retry::{INDEX_PAGE_AFTER, PUBLICATION_PATIENCE, next_delay};
use crate::linking::links_to_tell;
use crate::metrics::{Count, Stage};
use crate::progress::Loop;
use crate::reading::{FilingContext, FilingReading, read_filing};
use crate::render::{Style, subject};
use crate::store::{Consequences, Queue, QueuedFiling, ReadFiling, StoredDocument};
use crate::subscription::{Asked, recipients};

/// What reading did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadSummary {
    /// Filings read.
    pub n_read: usize,
    /// Alerts raised.
    pub n_alerts: usize,
    /// Mails put in the outbox.
    pub n_notices: usize,
    /// Filings put off.
    pub n_postponed: usize,
    /// Filings given up.
    pub n_parked: usize,
}

impl AddAssign for ReadSummary {
    fn add_assign(&mut self, more: Self) {
        self.n_read += more.n_read;
        self.n_alerts += more.n_alerts;
        self.n_notices += more.n_notices;
        self.n_postponed += more.n_postponed;
        self.n_parked += more.n_parked;
    }
}

/// Filings in work at a time: enough to hide EDGAR's answer times, few enough for memory. So many more are claimed.
const CONCURRENT: usize = 8;
/// How soon the queue is looked at again while filings are in work.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Filings taken from the queue at a time.
const BATCH: usize = 64;
/// After so long, subscribers are told that a listing notice was filed and cannot be read.
const UNREADABLE_AFTER: TimeDelta = TimeDelta::minutes(15);
/// An answer that is larger than any filing may be a passing fault; each try costs as much again.
const LARGE_PATIENCE: TimeDelta = TimeDelta::hours(1);
/// Tries of a filing on which the reader itself fails: it would fail the same way every time.
const MAX_READER_FAILURES: u32 = 3;
/// What a reader is told of a filing that comes late.
const NOT_IN_FEED: &str =
    "EDGAR's live feed did not show this filing: it was found in the index of its day, and comes late";
/// How long a filing that reports news waits for those accepted before it.
const TURN_PATIENCE: Duration = Duration::from_secs(5);
/// Tries of a filing of the past that EDGAR answers without.
const MAX_TRIES_OF_THE_PAST: u32 = 4;
/// Tries of a file that ends within a document, before what there is of it is read.
const MAX_CUT_TRIES: u32 = 5;

/// What became of one filing.
enum Outcome {
    Read {
        alerted: bool,
        n_notices: usize,
    },
    Postponed,
    Parked,
    /// All asking has stopped; nothing was held against the filing.
    Stopped(PassError),
}

/// Why a filing was not read.
enum ReadFailure {
    Fetch(FetchError),
    /// The reader panicked.
    Reader(String),
}

/// The filings in work, by their place in the order of acceptance.
#[derive(Default)]
struct Turns {
    in_work: Mutex<BTreeSet<usize>>,
    ended: Notify,
}

/// A filing's place among those in work: what it reports is told after what came before it, unless that takes too long.
/// It ends when dropped.
struct Turn {
    place: usize,
    turns: Arc<Turns>,
}

impl Turn {
    fn begin(turns: &Arc<Turns>, place: usize) -> Self {
        turns.lock().insert(place);
        Self { place, turns: turns.clone() }
    }

    async fn come(&self) {
        let before = async {
            loop {
                let ended = self.turns.ended.notified();
                if self.turns.lock().first().is_none_or(|first| *first >= self.place) {
                    return;
                }
                ended.await;
            }
        };
        // A limit on the network, so it runs on the network's clock: one that takes too long holds up no other.
        let _ = tokio::time::timeout(TURN_PATIENCE, before).await;
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        // A set of numbers is whole whoever panicked.
        self.in_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.place);
        self.turns.ended.notify_waiters();
    }
}

impl Watcher {
    /// Reads every filing that is due. With `wake`, filings that become due meanwhile are taken up when it is
    /// notified: one that takes long holds up no other.
    ///
    /// # Errors
    /// [`PassError`] when all asking has stopped or the store fails. A filing that cannot be read is put off or
    /// parked and holds up no other.
    pub async fn read_pass(&self, wake: Option<&Notify>) -> Result<ReadSummary, PassError> {
        let mut summary = ReadSummary::default();
        let began_at = self.clock.now();
        let is_live = self.queue == Queue::Live;
        let unread = match self.queue {
            Queue::Live => self.store.unread_listing_notices(began_at - UNREADABLE_AFTER).await?,
            Queue::Past => Vec::new(),
        };
        if unread.is_empty() && !self.store.has_due_filing(self.queue, began_at).await? {
            return Ok(summary);
        }
        // A ticker that is new is looked up before what its issuer files is read.
        self.resolve_watchlist().await?;
        self.look_up_acceptance().await?;
        let mut ready: VecDeque<QueuedFiling> = VecDeque::new();
        // One that was put off is due later, and each time later still, so that a pass ends.
        let mut in_hand: HashSet<AccessionNumber> = HashSet::new();
        let mut in_work = FuturesUnordered::new();
        // Once begun it is waited for: what it has claimed would lie about until its next try.
        let mut claiming = FuturesUnordered::new();
        let turns = Arc::new(Turns::default());
        let mut n_begun = 0;
        let mut stopped = None;
        let mut may_be_more = true;
        loop {
            let has_room = |n_in_work| stopped.is_none() && !self.is_stopping() && n_in_work < CONCURRENT;
            while has_room(in_work.len())
                && let Some(queued) = ready.pop_front()
            {
                in_hand.insert(queued.accession);
                let turn = Turn::begin(&turns, n_begun);
                n_begun += 1;
                in_work.push(async move { (queued.accession, self.read_queued(&queued, turn).await) });
            }
            if may_be_more && ready.is_empty() && claiming.is_empty() && has_room(in_work.len()) {
                may_be_more = false;
                claiming.push(self.claim_filings(CONCURRENT + in_hand.len()));
            }
            if in_work.is_empty() && claiming.is_empty() {
                break;
            }
            // The queue is looked at beside the work, not before it: work that waits for the store must go on meanwhile.
            let (accession, outcome) = tokio::select! {
                Some((accession, outcome)) = in_work.next(), if !in_work.is_empty() => (accession, outcome?),
                Some(claimed) = claiming.next(), if !claiming.is_empty() => {
                    // One that takes longer than its next try was put off for is claimed again, and is in hand already.
                    let claimed = claimed?.into_iter().filter(|queued| !in_hand.contains(&queued.accession));
                    ready.extend(claimed);
                    // The next look finds what came meanwhile, or nothing.
                    may_be_more |= !ready.is_empty();
                    continue;
                }
                () = notified(wake), if !in_work.is_empty() => {
                    may_be_more = true;
                    continue;
                }
                // One that takes long does not keep those waiting that were put off: on the network's clock, as it is.
                () = tokio::time::sleep(LOOK_AGAIN), if wake.is_some() && !in_work.is_empty() && !may_be_more => {
                    may_be_more = true;
                    continue;
                }
            };
            may_be_more = true;
            self.progress.note(Loop::Read);
            in_hand.remove(&accession);
            match outcome {
                Outcome::Read { alerted, n_notices } => {
                    self.tally.add(Count::Filings, "read", 1);
                    self.tally.add(Count::Alerts, "", usize::from(alerted));
                    summary.n_read += 1;
                    summary.n_alerts += usize::from(alerted);
                    summary.n_notices += n_notices;
                }
                Outcome::Postponed => {
                    self.tally.add(Count::Filings, "postponed", 1);
                    summary.n_postponed += 1;
                }
                Outcome::Parked => {
                    self.tally.add(Count::Filings, "parked", 1);
                    summary.n_parked += 1;
                }
                Outcome::Stopped(error) => stopped = Some(error),
            }
        }
        // Claimed, and not begun.
        let left: Vec<AccessionNumber> = ready.iter().map(|queued| queued.accession).collect();
        self.store.take_back_tries(&left, self.clock.now()).await?;
        if is_live {
            summary.n_notices += self.tell_unreadable().await?;
        }
        match stopped {
            Some(error) => Err(error),
            None => Ok(summary),
        }
    }

    async fn claim_filings(&self, limit: usize) -> anyhow::Result<Vec<QueuedFiling>> {
        let now = self.clock.now();
        let next_try_at = |attempts| now + next_delay(attempts, fastrand::u64(..));
        self.store.claim_filings(self.queue, now, limit, next_try_at).await
    }

    /// Asks the index page of each filing that only an index has shown when it was accepted: what is told is told in that
    /// order. Where the page does not say, the day has to do.
    async fn look_up_acceptance(&self) -> Result<(), PassError> {
        loop {
            let due = self.store.due_without_acceptance(self.clock.now(), BATCH).await?;
            if due.is_empty() || self.is_stopping() {
                return Ok(());
            }
            // Each asks and notes by itself: a future that is not polled may hold a connection to the store.
            let noted: Vec<Result<(), PassError>> = futures_util::stream::iter(due)
                .map(|queued| async move { self.look_up_one(&queued).await })
                .buffer_unordered(CONCURRENT)
                .collect()
                .await;
            noted.into_iter().collect::<Result<(), PassError>>()?;
        }
    }

    async fn look_up_one(&self, queued: &QueuedFiling) -> Result<(), PassError> {
        let accession = queued.accession;
        self.progress.note(Loop::Read);
        let header = match self.client.index_page(filing_cik(queued), accession).await {
            Ok(page) => page.header,
            Err(FetchError { failure: FetchFailure::NotPublished | FetchFailure::Unexpected(_), .. }) => {
                FilingHeader::default()
            }
            Err(error) => return Err(error.into()),
        };
        self.store.set_acceptance(accession, header.accepted_at, &header.items).await?;
        Ok(())
    }

    async fn read_queued(&self, queued: &QueuedFiling, turn: Turn) -> anyhow::Result<Outcome> {
        let read = match self.fetch_filing(queued).await {
            Ok(filing) => self.read_apart(queued, filing).await,
            Err(error) => Err(ReadFailure::Fetch(error)),
        };
        match read {
            Ok(reading) => {
                // As it stands now: a pass can last, and somebody may have subscribed meanwhile.
                let watchlist = &*self.known_watchlist().await?;
                if reading.events.iter().any(|event| event.status == EventStatus::New) {
                    turn.come().await;
                }
                self.commit_reading(watchlist, queued, &reading).await
            }
            Err(failure) => self.handle_failure(queued, failure).await,
        }
    }

    /// The submission by one of its two addresses, turn about; after ten minutes also document by document.
    async fn fetch_filing(&self, queued: &QueuedFiling) -> Result<Filing, FetchError> {
        let cik = filing_cik(queued);
        let path = if queued.attempts.is_multiple_of(2) { SubmissionPath::Folder } else { SubmissionPath::Company };
        let fetched = self.client.submission(cik, queued.accession, path).await;
        let waited = self.clock.now() - queued.seen_at;
        // What is past has been published long ago, if it ever was: nothing is gained by waiting.
        let waited = if self.queue == Queue::Past && queued.attempts > 0 { INDEX_PAGE_AFTER } else { waited };
        match fetched {
            Err(FetchError { failure: FetchFailure::NotPublished, .. }) if waited >= INDEX_PAGE_AFTER => {
                self.fetch_by_index_page(cik, queued).await.and_then(|filing| check_filing(filing, queued))
            }
            Ok(filing) => check_filing(filing, queued),
            Err(error) => Err(error),
        }
    }

    async fn fetch_by_index_page(&self, cik: Cik, queued: &QueuedFiling) -> Result<Filing, FetchError> {
        let page = self.client.index_page(cik, queued.accession).await?;
        let mut filing = Filing { header: page.header, ..Filing::default() };
        let form = filing.header.form.clone().unwrap_or_else(|| queued.form.clone());
        let mut has_primary = false;
        for (index, indexed) in page.documents.iter().enumerate() {
            let is_primary = !has_primary && (indexed.document_type.as_str() == form.as_str() || index == 0);
            has_primary |= indexed.document_type.as_str() == form.as_str();
            if is_primary || indexed.document_type.is_additional_exhibit() {
                self.progress.note(Loop::Read);
                filing.documents.push(self.client.document(cik, queued.accession, indexed).await?);
            }
        }
        Ok(filing)
    }

    /// Reads on a thread apart, which is also the boundary that a panic stops at.
    async fn read_apart(&self, queued: &QueuedFiling, filing: Filing) -> Result<FilingReading, ReadFailure> {
        let context = FilingContext {
            form: Some(queued.form.to_string()),
            filed: Some(queued.filing_date),
            issuer: queued.filers.first().map(|filer| filer.name.clone()),
            patterns: self.settings.reading.patterns.clone(),
        };
        let (sender, reading) = tokio::sync::oneshot::channel();
        self.readers.spawn(move || {
            // Nobody waits any more when the program is about to end.
            let _ = sender.send(read_filing(&filing, &context));
        });
        // A reader that panics drops its end; the log has its words.
        reading.await.map_err(|_| ReadFailure::Reader("reading it failed".to_owned()))
    }

    async fn commit_reading(
        &self,
        watchlist: &Watchlist,
        queued: &QueuedFiling,
        reading: &FilingReading,
    ) -> anyhow::Result<Outcome> {
        let accession = queued.accession;
        for caveat in &reading.caveats {
            tracing::warn!(%accession, "filing {accession}: {caveat}");
        }
        let read_at = self.clock.now();
        let known = with_header(queued, reading);
        let accepted_at = known.accepted_at;
        let alert = self.build_alert(watchlist, &known, reading, read_at).await;
        let mut asked = recipients(&alert, &watchlist.subscriptions, read_at);
        // Whoever was told that it could not be read is told what it says.
        let mut promised = BTreeSet::new();
        for notice in self.store.notices_of(&alert_id(accession, Purpose::NotReadable)).await? {
            let own = watchlist.subscriptions.iter().filter(|own| own.recipient == notice.recipient);
            // Who has unsubscribed since is not written to.
            let Some(due) = own.map(|own| own.schedule.due(read_at)).min() else { continue };
            promised.insert(notice.recipient.clone());
            let subscriptions = notice.subscriptions;
            asked.entry(notice.recipient).or_insert(Asked { subscriptions, ordinals: Vec::new(), due });
        }
        let documents = reading
            .documents
            .iter()
            .map(|document| StoredDocument {
                sequence: document.sequence,
                document_type: document.document_type.clone(),
                filename: document.filename.clone(),
                sha256: document.sha256.to_vec(),
                size_bytes: document.size_bytes,
                held_bytes: document.held_bytes,
                text: document.mentions_exchange.then(|| document.text.clone()),
            })
            .collect();
        let read = ReadFiling {
            accession,
            read_at,
            classifier_version: CLASSIFIER_VERSION,
            accepted_at: reading.header.accepted_at,
            filers: known.filers,
            documents,
            events: reading.events.clone(),
            is_awaited: !promised.is_empty(),
        };
        let is_live = self.queue == Queue::Live;
        let mut title = String::new();
        let kinds: Vec<&str> = alert.kinds().into_iter().map(EventKind::as_str).collect();
        let follows = self
            .store
            .record_reading(&read, |linked| {
                let alert = Alert { links: links_to_tell(&linked.links, accession), ..alert };
                title = subject(&alert, Style::default());
                let follows = consequences(&alert, asked, &promised, linked, &watchlist.subscriptions)?;
                if is_live {
                    return Ok(follows);
                }
                Ok(Consequences { alert: follows.alert, rewritten: relinked(linked)?, ..Consequences::default() })
            })
            .await?;
        let Some(follows) = follows else {
            tracing::debug!(%accession, "filing {accession} was read by another process");
            return Ok(Outcome::Read { alerted: false, n_notices: 0 });
        };
        if is_live {
            self.tally.observe(Stage::Seen, queued.seen_at - accepted_at);
            self.tally.observe(Stage::Classified, read_at - queued.seen_at);
            for event in reading.events.iter().filter(|event| event.status == EventStatus::New) {
                self.tally.add(Count::Findings, event.kind.as_str(), 1);
            }
        }
        if let Some(alert) = &follows.alert {
            let cik = filing_cik(queued);
            let (kind, kinds) = (kinds.first().copied().unwrap_or_default(), kinds.join(","));
            let withheld = match follows.withheld.len() {
                0 => String::new(),
                n => format!(", withheld from {n} told before"),
            };
            tracing::info!(%accession, %cik, form = %queued.form, kind, kinds, "alert {}: {title}{withheld}", alert.id);
        }
        for released in &follows.released {
            let alert = &released.alert;
            tracing::info!(accession = %alert.accession, "alert {}: told to one from whom it was withheld", alert.id);
        }
        let n_notices = follows.notices.len() + follows.released.len();
        Ok(Outcome::Read { alerted: follows.alert.is_some(), n_notices })
    }

    async fn build_alert(
        &self,
        watchlist: &Watchlist,
        queued: &QueuedFiling,
        reading: &FilingReading,
        read_at: DateTime<Utc>,
    ) -> Alert {
        let mut alert = self.bare_alert(watchlist, queued, Purpose::Reading, read_at);
        alert.events.clone_from(&reading.events);
        alert.caveats.clone_from(&reading.caveats);
        if !queued.in_feed {
            alert.caveats.push(NOT_IN_FEED.to_owned());
        }
        if alert.items.is_empty() {
            alert.items.clone_from(&reading.header.items);
        }
        let cik = alert.filers.first().map_or_else(|| filing_cik(queued), |filer| filer.cik);
        alert.documents = reading
            .documents
            .iter()
            .map(|document| AlertDocument {
                document_type: document.document_type.clone(),
                url: document
                    .filename
                    .as_deref()
                    .map(|name| document_url(&self.settings.www_url, cik, queued.accession, name)),
            })
            .collect();
        if alert.news().next().is_some() {
            alert.ticker = self.ticker_of(watchlist, cik).await;
        }
        alert
    }

    pub(super) fn bare_alert(
        &self,
        watchlist: &Watchlist,
        queued: &QueuedFiling,
        purpose: Purpose,
        now: DateTime<Utc>,
    ) -> Alert {
        let mut filers: Vec<Filer> = queued.filers.clone();
        // The watched one first: it is the one the reader knows.
        filers.sort_by_key(|filer| !watchlist.ciks.contains(&filer.cik));
        let cik = filers.first().map_or_else(|| filing_cik(queued), |filer| filer.cik);
        Alert {
            id: alert_id(queued.accession, purpose),
            purpose,
            accession: queued.accession,
            form: queued.form.clone(),
            ticker: watchlist.tickers.get(&cik).cloned(),
            filers,
            items: queued.items.clone(),
            filing_date: queued.filing_date,
            accepted_at: queued.accepted_at,
            seen_at: queued.seen_at,
            read_at: now,
            events: Vec::new(),
            links: Vec::new(),
            documents: Vec::new(),
            index_url: self.client.index_url(cik, queued.accession),
            caveats: Vec::new(),
            check_below: self.settings.reading.check_below,
        }
    }

    async fn handle_failure(&self, queued: &QueuedFiling, failure: ReadFailure) -> anyhow::Result<Outcome> {
        let accession = queued.accession;
        let now = self.clock.now();
        // Only EDGAR's own answers count towards giving up: an outage says nothing of the filing.
        let mut refused_since = Some(queued.refused_since.unwrap_or(now));
        let is_refused_long = refused_since.is_some_and(|since| now - since >= PUBLICATION_PATIENCE);
        let (reason, give_up) = match failure {
            ReadFailure::Fetch(FetchError { failure: FetchFailure::Budget(error), .. }) => return Err(error),
            ReadFailure::Fetch(error) => match error.failure {
                FetchFailure::Blocked { .. } | FetchFailure::UserAgentRefused(_) => {
                    self.store.take_back_tries(&[accession], now).await?;
                    return Ok(Outcome::Stopped(error.into()));
                }
                FetchFailure::TooLarge(_) => {
                    let is_large_for_long = refused_since.is_some_and(|since| now - since >= LARGE_PATIENCE);
                    (error.to_string(), is_large_for_long)
                }
                FetchFailure::NotPublished | FetchFailure::Unexpected(_) => {
                    let is_past = self.queue == Queue::Past && queued.attempts + 1 >= MAX_TRIES_OF_THE_PAST;
                    (error.to_string(), is_refused_long || is_past)
                }
                _ => {
                    refused_since = None;
                    (error.to_string(), false)
                }
            },
            ReadFailure::Reader(reason) => {
                (format!("filing {accession}: {reason}"), queued.attempts + 1 >= MAX_READER_FAILURES)
            }
        };
        if give_up {
            tracing::error!(%accession, "{reason}: given up after {} tries, see status", queued.attempts + 1);
            let link = self.client.index_url(filing_cik(queued), accession);
            let text = format!("{reason}\n\nThe filing was not read. Open it yourself:\n{link}\n");
            let what = format!("filing {accession} could not be read");
            let mail = self.owner_mail(&format!("parked:{accession}"), &what, &text)?;
            let tell = Some(&mail).filter(|_| self.queue == Queue::Live);
            self.store.park_filing(accession, &reason, tell, now).await?;
            return Ok(Outcome::Parked);
        }
        let next_try_at = now + next_delay(queued.attempts, fastrand::u64(..));
        tracing::debug!(%accession, attempt = queued.attempts + 1, "{reason}, next try {}", next_try_at.format("%H:%M:%SZ"));
        self.store.postpone_filing(accession, &reason, next_try_at, refused_since).await?;
        Ok(Outcome::Postponed)
    }

    /// Tells subscribers of listing notices that have stayed unread too long. Returns how many mails that makes.
    async fn tell_unreadable(&self) -> anyhow::Result<usize> {
        let watchlist = &*self.known_watchlist().await?;
        let now = self.clock.now();
        let mut n_notices = 0;
        for queued in self.store.unread_listing_notices(now - UNREADABLE_AFTER).await? {
            let accession = queued.accession;
            let alert = self.bare_alert(watchlist, &queued, Purpose::NotReadable, now);
            let notices = notices(&alert, recipients(&alert, &watchlist.subscriptions, now));
            n_notices += notices.len();
            self.store.record_unreadable(&alert_row(&alert)?, &notices).await?;
            tracing::warn!(%accession, "filing {accession} lists item 3.01 and is not readable yet: subscribers are told");
        }
        Ok(n_notices)
    }
}

/// EDGAR may serve the wrong file, or one that is not all there yet.
fn check_filing(filing: Filing, queued: &QueuedFiling) -> Result<Filing, FetchError> {
    let wrong = match filing.header.accession {
        Some(found) if found != queued.accession => Some(format!("its header names {found}")),
        _ if filing.documents.is_empty() => Some("it holds no document that can be read".to_owned()),
        // What is cut again and again is read as far as it goes; the mail says that it was cut.
        _ if filing.is_cut_short && queued.attempts < MAX_CUT_TRIES => Some(filing.problems.join("; ")),
        _ => None,
    };
    match wrong {
        None => Ok(filing),
        Some(reason) => {
            Err(FetchError { what: format!("filing {}", queued.accession), failure: FetchFailure::Unexpected(reason) })
        }
    }
}

/// The filer whose folder the filing is asked for in: any of them serves.
fn filing_cik(queued: &QueuedFiling) -> Cik {
    let submitter = || Cik::from_i64(queued.accession.as_i64() / 100_000_000);
    let first = queued.filers.first().map(|filer| filer.cik);
    // Every recorded filing has a filer; were one lost, its submitter's folder is the best guess left.
    first.or_else(submitter).unwrap_or_else(|| unreachable!("an accession number begins with a CIK"))
}

/// The filing with what its header adds: parties that the feed did not show, and when it was accepted where an index told no
/// more than the day.
fn with_header(queued: &QueuedFiling, reading: &FilingReading) -> QueuedFiling {
    let mut queued = queued.clone();
    if let Some(accepted_at) = reading.header.accepted_at.filter(|_| !queued.accepted_known) {
        queued.accepted_at = accepted_at;
        queued.accepted_known = true;
    }
    for party in &reading.header.parties {
        if let Some(cik) = party.cik
            && !queued.filers.iter().any(|filer| filer.cik == cik)
        {
            queued.filers.push(Filer { cik, name: party.name.clone() });
        }
    }
    queued
}
