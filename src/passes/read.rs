//! Reads what is due: fetches each filing, reads it on a blocking thread, and commits it with all that follows.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;

use super::{PassError, Watcher, Watchlist};
use crate::alert::{Alert, AlertDocument, Purpose, alert_id, message_id, recipients};
use crate::classify::{CLASSIFIER_VERSION, default_alert};
use crate::edgar::client::{FetchError, FetchFailure, SubmissionPath, document_url};
use crate::edgar::feed::Filer;
use crate::edgar::filing::Filing;
use crate::edgar::ids::Cik;
use crate::edgar::retry::{INDEX_PAGE_AFTER, PUBLICATION_PATIENCE, next_delay};
use crate::reading::{FilingContext, FilingReading, read_filing};
use crate::render::subject;
use crate::store::{AlertRow, NewNotice, QueuedFiling, ReadFiling, StoredDocument};

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

/// Filings in work at a time: enough to hide EDGAR's answer times, few enough for memory.
const CONCURRENT: usize = 4;
/// Filings taken from the queue at a time.
const BATCH: usize = 64;
/// After so long, subscribers are told that a listing notice was filed and cannot be read.
const UNREADABLE_AFTER: TimeDelta = TimeDelta::minutes(15);
/// Tries of a filing on which the reader itself fails: it would fail the same way every time.
const MAX_READER_FAILURES: u32 = 3;

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

impl Watcher {
    /// Reads every filing that is due.
    ///
    /// # Errors
    /// [`PassError`] when all asking has stopped or the store fails. A filing that cannot be read is put off or
    /// parked and holds up no other.
    pub async fn read_pass(&self) -> Result<ReadSummary, PassError> {
        let mut summary = ReadSummary::default();
        let now = self.clock.now();
        let mut queue = self.store.due_filings(now, BATCH).await?;
        if queue.is_empty() && self.store.unread_listing_notices(now - UNREADABLE_AFTER).await?.is_empty() {
            return Ok(summary);
        }
        let watchlist = self.resolve_watchlist().await?;
        while !queue.is_empty() {
            let watchlist = &watchlist;
            let mut outcomes = futures_util::stream::iter(queue)
                .map(|queued| async move { self.read_queued(watchlist, &queued).await })
                .buffer_unordered(CONCURRENT);
            let mut stopped = None;
            while let Some(outcome) = outcomes.next().await {
                match outcome? {
                    Outcome::Read { alerted, n_notices } => {
                        summary.n_read += 1;
                        summary.n_alerts += usize::from(alerted);
                        summary.n_notices += n_notices;
                    }
                    Outcome::Postponed => summary.n_postponed += 1,
                    Outcome::Parked => summary.n_parked += 1,
                    Outcome::Stopped(error) => stopped = Some(error),
                }
            }
            drop(outcomes);
            if let Some(error) = stopped {
                self.tell_unreadable(watchlist).await?;
                return Err(error);
            }
            queue = self.store.due_filings(now, BATCH).await?;
        }
        summary.n_notices += self.tell_unreadable(&watchlist).await?;
        Ok(summary)
    }

    async fn read_queued(&self, watchlist: &Watchlist, queued: &QueuedFiling) -> anyhow::Result<Outcome> {
        let read = match self.fetch_filing(queued).await {
            Ok(filing) => self.read_apart(queued, filing).await,
            Err(error) => Err(ReadFailure::Fetch(error)),
        };
        match read {
            Ok(reading) => self.commit_reading(watchlist, queued, &reading).await,
            Err(failure) => self.handle_failure(queued, failure).await,
        }
    }

    /// The submission by one of its two addresses, turn about; after ten minutes also document by document.
    async fn fetch_filing(&self, queued: &QueuedFiling) -> Result<Filing, FetchError> {
        let cik = filing_cik(queued);
        let path = if queued.attempts.is_multiple_of(2) { SubmissionPath::Folder } else { SubmissionPath::Company };
        let fetched = self.client.submission(cik, queued.accession, path).await;
        let waited = self.clock.now() - queued.seen_at;
        match fetched {
            Err(FetchError { failure: FetchFailure::NotPublished, .. }) if waited >= INDEX_PAGE_AFTER => {
                self.fetch_by_index_page(cik, queued).await
            }
            Ok(filing) => check_accession(filing, queued),
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
                filing.documents.push(self.client.document(cik, queued.accession, indexed).await?);
            }
        }
        Ok(filing)
    }

    /// Reads on a blocking thread, which is also the boundary that a panic stops at.
    async fn read_apart(&self, queued: &QueuedFiling, filing: Filing) -> Result<FilingReading, ReadFailure> {
        let context = FilingContext {
            form: Some(queued.form.to_string()),
            filed: Some(queued.filing_date),
            issuer: queued.filers.first().map(|filer| filer.name.clone()),
        };
        tokio::task::spawn_blocking(move || read_filing(&filing, &context))
            .await
            .map_err(|error| ReadFailure::Reader(format!("reading it failed: {error}")))
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
        let alert = self.build_alert(watchlist, queued, reading, read_at).await;
        let told = recipients(&alert, &watchlist.subscriptions);
        let is_alert = default_alert(&alert.events) || !told.is_empty();
        let n_notices = told.len();
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
            documents,
            events: reading.events.clone(),
            alert: if is_alert { Some(rows(&alert, told)?) } else { None },
        };
        if !self.store.record_reading(&read).await? {
            tracing::debug!(%accession, "filing {accession} was read by another process");
            return Ok(Outcome::Read { alerted: false, n_notices: 0 });
        }
        if is_alert {
            let cik = filing_cik(queued);
            tracing::info!(%accession, %cik, form = %queued.form, "alert {}: {}", alert.id, subject(&alert));
        }
        Ok(Outcome::Read { alerted: is_alert, n_notices })
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

    fn bare_alert(&self, watchlist: &Watchlist, queued: &QueuedFiling, purpose: Purpose, now: DateTime<Utc>) -> Alert {
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
            documents: Vec::new(),
            index_url: self.client.index_url(cik, queued.accession),
            caveats: Vec::new(),
        }
    }

    async fn handle_failure(&self, queued: &QueuedFiling, failure: ReadFailure) -> anyhow::Result<Outcome> {
        let accession = queued.accession;
        let now = self.clock.now();
        let waited = now - queued.seen_at;
        let (reason, give_up) = match failure {
            ReadFailure::Fetch(FetchError { failure: FetchFailure::Budget(error), .. }) => return Err(error),
            ReadFailure::Fetch(error)
                if matches!(error.failure, FetchFailure::Blocked { .. } | FetchFailure::UserAgentRefused(_)) =>
            {
                return Ok(Outcome::Stopped(error.into()));
            }
            ReadFailure::Fetch(error) => {
                let give_up = waited >= PUBLICATION_PATIENCE || matches!(error.failure, FetchFailure::TooLarge(_));
                (error.to_string(), give_up)
            }
            ReadFailure::Reader(reason) => {
                (format!("filing {accession}: {reason}"), queued.attempts + 1 >= MAX_READER_FAILURES)
            }
        };
        if give_up {
            tracing::error!(%accession, "{reason}: given up after {} tries, see status", queued.attempts + 1);
            self.store.park_filing(accession, &reason).await?;
            let link = self.client.index_url(filing_cik(queued), accession);
            let text = format!("{reason}\n\nThe filing was not read. Open it yourself:\n{link}\n");
            self.tell_owner(&format!("parked:{accession}"), &format!("filing {accession} could not be read"), &text)
                .await?;
            return Ok(Outcome::Parked);
        }
        let next_try_at = now + next_delay(queued.attempts, fastrand::u64(..));
        tracing::debug!(%accession, attempt = queued.attempts + 1, "{reason}, next try {}", next_try_at.format("%H:%M:%SZ"));
        self.store.postpone_filing(accession, &reason, next_try_at).await?;
        Ok(Outcome::Postponed)
    }

    /// Tells subscribers of listing notices that have stayed unread too long. Returns how many mails that makes.
    async fn tell_unreadable(&self, watchlist: &Watchlist) -> anyhow::Result<usize> {
        let now = self.clock.now();
        let mut n_notices = 0;
        for queued in self.store.unread_listing_notices(now - UNREADABLE_AFTER).await? {
            let accession = queued.accession;
            let alert = self.bare_alert(watchlist, &queued, Purpose::NotReadable, now);
            let told = recipients(&alert, &watchlist.subscriptions);
            n_notices += told.len();
            let (row, notices) = rows(&alert, told)?;
            self.store.record_unreadable(&row, &notices).await?;
            tracing::warn!(%accession, "filing {accession} lists item 3.01 and is not readable yet: subscribers are told");
        }
        Ok(n_notices)
    }
}

/// EDGAR may serve the wrong file; its header tells.
fn check_accession(filing: Filing, queued: &QueuedFiling) -> Result<Filing, FetchError> {
    match filing.header.accession {
        Some(found) if found != queued.accession => Err(FetchError {
            what: format!("filing {}", queued.accession),
            failure: FetchFailure::Unexpected(format!("its header names {found}")),
        }),
        _ => Ok(filing),
    }
}

/// The filer whose folder the filing is asked for in: any of them serves.
fn filing_cik(queued: &QueuedFiling) -> Cik {
    let submitter = || Cik::from_i64(queued.accession.as_i64() / 100_000_000);
    let first = queued.filers.first().map(|filer| filer.cik);
    // Every recorded filing has a filer; were one lost, its submitter's folder is the best guess left.
    first.or_else(submitter).unwrap_or_else(|| unreachable!("an accession number begins with a CIK"))
}

fn rows(alert: &Alert, told: BTreeMap<String, Vec<String>>) -> anyhow::Result<(AlertRow, Vec<NewNotice>)> {
    let subject = subject(alert);
    let notices = told
        .into_iter()
        .map(|(recipient, subscriptions)| NewNotice {
            message_id: message_id(&alert.id, &recipient),
            subject: subject.clone(),
            recipient,
            subscriptions,
        })
        .collect();
    let row = AlertRow {
        id: alert.id.clone(),
        accession: alert.accession,
        created_at: alert.read_at,
        content: serde_json::to_string(alert)?,
    };
    Ok((row, notices))
}
