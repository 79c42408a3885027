//! Filings: every accession of the configured forms, what became of it, and what was read in it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{Read, Write};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use sqlx::AssertSqlSafe;

use super::connection::StoreConnection;
use super::letters::Linked;
use super::outbox::{AlertRow, Consequences, NewNotice, OnceMail};
use super::{
    FeedQueryState, MOST_ROWS, News, Store, cases_of_placeholders, first_placeholders, from_micros, placeholders,
    rows_of_placeholders, shown, to_micros,
};
use crate::classify::{EventStatus, ListingEvent};
use crate::edgar::feed::Filer;
use crate::edgar::ids::{AccessionNumber, Cik, FormType, ItemNumber};

/// Where a filing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilingState {
    /// Waiting to be read: the work queue.
    Found,
    /// Read, its events and notices written in the same transaction.
    Read,
    /// Given up, with the reason kept.
    Parked,
    /// Of a watched issuer, but there before watching began.
    Baseline,
    /// Of another issuer, or of a form that is not read.
    NotWatched,
    /// Waiting to be read by a backfill, which tells nobody.
    Backfill,
}

/// Which of the two queues is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// What was found; it is told.
    Live,
    /// What a backfill put down; it is recorded.
    Past,
}

impl Queue {
    /// The state of the filings in it.
    fn state(self) -> FilingState {
        match self {
            Self::Live => FilingState::Found,
            Self::Past => FilingState::Backfill,
        }
    }
}

impl FilingState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Read => "read",
            Self::Parked => "parked",
            Self::Baseline => "baseline",
            Self::NotWatched => "not_watched",
            Self::Backfill => "backfill",
        }
    }
}

impl fmt::Display for FilingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a filing was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The live feed.
    Feed,
    /// A daily or quarterly index, which tells the day of a filing and no more.
    Index,
}

/// A filing as a source showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFiling {
    /// The submission.
    pub accession: AccessionNumber,
    /// Its form.
    pub form: FormType,
    /// Every filer that the pass saw, each once.
    pub filers: Vec<Filer>,
    /// The date EDGAR gives it.
    pub filing_date: NaiveDate,
    /// When EDGAR accepted it; by an index, no more than a moment of its day.
    pub accepted_at: DateTime<Utc>,
    /// When its page was read.
    pub seen_at: DateTime<Utc>,
    /// Which page that was.
    pub source: Source,
    /// 8-K items.
    pub items: Vec<ItemNumber>,
    /// What is to become of it.
    pub state: FilingState,
}

/// What the store knew of an accession before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownFiling {
    /// When the feed first showed it; `None` while only an index has.
    pub feed_at: Option<DateTime<Utc>>,
    /// The filers recorded for it.
    pub ciks: HashSet<Cik>,
}

/// A filing that is due to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedFiling {
    /// The submission.
    pub accession: AccessionNumber,
    /// Its form.
    pub form: FormType,
    /// Its filers.
    pub filers: Vec<Filer>,
    /// The date EDGAR gives it.
    pub filing_date: NaiveDate,
    /// When EDGAR accepted it.
    pub accepted_at: DateTime<Utc>,
    /// False while `accepted_at` is only a moment of the day that an index gives.
    pub accepted_known: bool,
    /// The feed has shown it; if not, an index has.
    pub in_feed: bool,
    /// When it was first seen.
    pub seen_at: DateTime<Utc>,
    /// 8-K items from the feed.
    pub items: Vec<ItemNumber>,
    /// Tries so far.
    pub attempts: u32,
    /// Since when EDGAR has answered every try without the filing.
    pub refused_since: Option<DateTime<Utc>>,
}

/// Which source showed a filing when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sightings {
    /// When EDGAR accepted it, where that is known to the second.
    pub accepted_at: Option<DateTime<Utc>>,
    /// When any of them first did.
    pub seen_at: DateTime<Utc>,
    /// The feed; `None` where it never has.
    pub feed_at: Option<DateTime<Utc>>,
    /// An index; `None` where none was read that holds it.
    pub index_at: Option<DateTime<Utc>>,
}

impl Sightings {
    /// How long after acceptance it was first seen.
    pub fn lag(&self) -> Option<TimeDelta> {
        self.accepted_at.map(|accepted_at| self.seen_at - accepted_at)
    }
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// Its place in the submission.
    pub sequence: u32,
    /// `8-K`, `EX-99.1` ...
    pub document_type: String,
    /// Absent before about 2001.
    pub filename: Option<String>,
    /// Of the bytes classified.
    pub sha256: Vec<u8>,
    /// Size of the whole document.
    pub size_bytes: u64,
    /// How much of it was classified.
    pub held_bytes: u64,
    /// Its normalised text, where it mentions an exchange.
    pub text: Option<String>,
}

/// A filing that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadFiling {
    /// The submission.
    pub accession: AccessionNumber,
    /// When it was read.
    pub read_at: DateTime<Utc>,
    /// Which classifier read it.
    pub classifier_version: i64,
    /// When EDGAR accepted it, as its header has it; used where no source has told.
    pub accepted_at: Option<DateTime<Utc>>,
    /// Its filers, also those that no page of the feed has shown.
    pub filers: Vec<Filer>,
    /// Its documents.
    pub documents: Vec<StoredDocument>,
    /// What they report.
    pub events: Vec<ListingEvent>,
    /// Whether somebody is told of it whatever it reports: he was told that it could not be read.
    pub is_awaited: bool,
}

/// A filing in a list for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilingSummary {
    /// The submission.
    pub accession: AccessionNumber,
    /// Its form.
    pub form: FormType,
    /// Its first filer's name.
    pub name: String,
    /// Tries so far.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it is tried next.
    pub next_try_at: Option<DateTime<Utc>>,
}

/// One row for each of a filing's filers, as the queue is read.
type QueueRow =
    (i64, String, String, i64, i64, String, i64, Option<i64>, i64, Option<i64>, Option<i64>, Option<String>);

/// A queued filing whose time has come. A next try more than ten minutes ahead was written under a clock that ran ahead: no delay is
/// that long.
const DUE: &str = "(next_try_at <= $1 OR next_try_at > $1 + 600000000)";

/// Accessions looked up in one statement: a page of the feed.
const LOOKUP: usize = 100;

impl Store {
    /// What is known of each of these accessions; those not known are absent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn known_filings(
        &self,
        accessions: &[AccessionNumber],
    ) -> anyhow::Result<HashMap<AccessionNumber, KnownFiling>> {
        // Every call has the same text, so that the statement is prepared once.
        let statement = format!(
            "SELECT filings.accession, filings.feed_at, filers.cik FROM filings
             LEFT JOIN filers ON filers.accession = filings.accession
             WHERE filings.accession IN ({})",
            placeholders(LOOKUP)
        );
        let mut known: HashMap<AccessionNumber, KnownFiling> = HashMap::new();
        for chunk in accessions.chunks(LOOKUP) {
            let padding = std::iter::repeat_n(-1, LOOKUP - chunk.len());
            let keys = chunk.iter().map(|accession| accession.as_i64()).chain(padding);
            // Only numbered placeholders were put together above.
            let query = keys.fold(sqlx::query_as(AssertSqlSafe(statement.clone())), sqlx::query::QueryAs::bind);
            let rows: Vec<(i64, Option<i64>, Option<i64>)> =
                query.fetch_all(&self.pool).await.map_err(|error| self.failed(&error, "look up filings"))?;
            for (accession, feed_at, cik) in rows {
                let Some(accession) = AccessionNumber::from_i64(accession) else { continue };
                let filing = known.entry(accession).or_default();
                filing.feed_at = feed_at.map(from_micros);
                filing.ciks.extend(cik.and_then(Cik::from_i64));
            }
        }
        Ok(known)
    }

    /// Writes what a pass over one query found, all at once, with what is remembered of the query and, where
    /// `is_baseline`, that watched issuers have their baseline in it. A filing that is
    /// there already gains the filers it lacks; when that makes it a watched one it joins the queue.
    /// Returns how many were new and are to be read.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn record_pass(
        &self,
        prefix: &str,
        state: &FeedQueryState,
        filings: &[NewFiling],
        is_baseline: bool,
    ) -> anyhow::Result<usize> {
        let mut transaction = self.begin_leading().await?;
        let n_found = self.insert_filings(&mut transaction, filings).await?;
        self.write_feed_query(&mut transaction, prefix, state).await?;
        if is_baseline {
            self.mark_baseline(&mut transaction, prefix).await?;
        }
        if n_found > 0 {
            self.tell(&mut transaction, News::Filings).await?;
        }
        self.commit(transaction, "record a pass").await?;
        Ok(n_found)
    }

    /// Writes filings, each of them named once, many at a time. Returns how many are now to be read and were not before.
    pub(super) async fn insert_filings(
        &self,
        connection: &mut StoreConnection,
        filings: &[NewFiling],
    ) -> anyhow::Result<usize> {
        let mut n_found = 0;
        // In one order, whoever else writes the same ones at the same time.
        let mut filings: Vec<&NewFiling> = filings.iter().collect();
        filings.sort_by_key(|filing| filing.accession);
        for some in filings.chunks(MOST_ROWS) {
            let inserted = self.insert_new(connection, some).await?;
            let is_new = |filing: &NewFiling| inserted.contains(&filing.accession.as_i64());
            let filers: Vec<(AccessionNumber, &Filer)> = some
                .iter()
                .filter(|filing| is_new(filing))
                .flat_map(|filing| filers_of(filing.accession, &filing.filers))
                .collect();
            self.insert_filers(connection, &filers).await?;
            for filing in some.iter().copied() {
                let is_found = if is_new(filing) {
                    filing.state == FilingState::Found
                } else {
                    self.add_sighting(connection, filing).await?
                };
                n_found += usize::from(is_found);
            }
        }
        Ok(n_found)
    }

    /// The numbers of those that were not there.
    async fn insert_new(
        &self,
        connection: &mut StoreConnection,
        filings: &[&NewFiling],
    ) -> anyhow::Result<HashSet<i64>> {
        let statement = format!(
            "INSERT INTO filings (accession, form, filing_date, accepted_at, seen_at, items, state, next_try_at,
                                  accepted_known, feed_at, index_at)
             VALUES {} ON CONFLICT (accession) DO NOTHING RETURNING accession",
            rows_of_placeholders(filings.len(), 11)
        );
        let mut query = sqlx::query_as(AssertSqlSafe(statement)).persistent(false);
        for filing in filings {
            let is_queued = matches!(filing.state, FilingState::Found | FilingState::Backfill);
            let by_feed = filing.source == Source::Feed;
            let seen_at = to_micros(filing.seen_at);
            query = query
                .bind(filing.accession.as_i64())
                .bind(filing.form.as_str().to_owned())
                .bind(filing.filing_date.to_string())
                .bind(to_micros(filing.accepted_at))
                .bind(seen_at)
                .bind(join_items(&filing.items))
                .bind(filing.state.as_str().to_owned())
                .bind(is_queued.then_some(seen_at))
                .bind(i64::from(by_feed))
                .bind(by_feed.then_some(seen_at))
                .bind((!by_feed).then_some(seen_at));
        }
        let rows: Vec<(i64,)> =
            query.fetch_all(connection).await.map_err(|error| self.failed(&error, "record filings"))?;
        Ok(rows.into_iter().map(|(accession,)| accession).collect())
    }

    /// What another sighting tells of a filing that is there; whether it is now to be read and was not before.
    async fn add_sighting(&self, connection: &mut StoreConnection, filing: &NewFiling) -> anyhow::Result<bool> {
        if filing.source == Source::Feed {
            self.note_in_feed(connection, filing).await?;
        }
        let filers: Vec<(AccessionNumber, &Filer)> = filers_of(filing.accession, &filing.filers).collect();
        let filer_added = self.insert_filers(connection, &filers).await?;
        if !filer_added || filing.state != FilingState::Found {
            return Ok(false);
        }
        self.requeue(connection, filing.accession, filing.seen_at).await
    }

    /// What the feed tells of a filing that another source had shown first.
    async fn note_in_feed(&self, connection: &mut StoreConnection, filing: &NewFiling) -> anyhow::Result<()> {
        sqlx::query(
            "UPDATE filings SET feed_at = COALESCE(feed_at, $2),
                    accepted_at = CASE WHEN accepted_known = 0 THEN $3 ELSE accepted_at END,
                    items = CASE WHEN items = '' THEN $4 ELSE items END,
                    accepted_known = 1
             WHERE accession = $1",
        )
        .bind(filing.accession.as_i64())
        .bind(to_micros(filing.seen_at))
        .bind(to_micros(filing.accepted_at))
        .bind(join_items(&filing.items))
        .execute(connection)
        .await
        .map_err(|error| self.failed(&error, "note a sighting"))?;
        Ok(())
    }

    /// Notes when EDGAR accepted a filing that only an index had shown, and its items. With `None` nobody could tell, and
    /// the day stands for it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_acceptance(
        &self,
        accession: AccessionNumber,
        accepted_at: Option<DateTime<Utc>>,
        items: &[ItemNumber],
    ) -> anyhow::Result<()> {
        let statement = sqlx::query(
            "UPDATE filings SET accepted_at = COALESCE($2, accepted_at), accepted_known = 1,
                    items = CASE WHEN items = '' THEN $3 ELSE items END
             WHERE accession = $1 AND accepted_known = 0",
        )
        .bind(accession.as_i64())
        .bind(accepted_at.map(to_micros))
        .bind(join_items(items));
        self.write(statement, "note an acceptance time").await?;
        Ok(())
    }

    /// Whether one of them was not recorded before.
    async fn insert_filers(
        &self,
        connection: &mut StoreConnection,
        filers: &[(AccessionNumber, &Filer)],
    ) -> anyhow::Result<bool> {
        let mut filer_added = false;
        for some in filers.chunks(MOST_ROWS) {
            let statement = format!(
                "INSERT INTO filers (accession, cik, name) VALUES {} ON CONFLICT (accession, cik) DO NOTHING",
                rows_of_placeholders(some.len(), 3)
            );
            let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
            let query = some.iter().fold(query, |query, (accession, filer)| {
                query.bind(accession.as_i64()).bind(filer.cik.as_i64()).bind(shown(&filer.name))
            });
            let done = query.execute(&mut *connection).await.map_err(|error| self.failed(&error, "record filers"))?;
            filer_added |= done.rows_affected() > 0;
        }
        Ok(filer_added)
    }

    async fn requeue(
        &self,
        connection: &mut StoreConnection,
        accession: AccessionNumber,
        now: DateTime<Utc>,
    ) -> anyhow::Result<bool> {
        let done = sqlx::query(
            "UPDATE filings SET state = 'found', next_try_at = $2
             WHERE accession = $1 AND state IN ('not_watched', 'baseline', 'parked')",
        )
        .bind(accession.as_i64())
        .bind(to_micros(now))
        .execute(connection)
        .await
        .map_err(|error| self.failed(&error, "queue a filing"))?;
        Ok(done.rows_affected() > 0)
    }

    /// Queues filings that were recorded without being read, or given up, dated from `since` on, of these forms, for which
    /// `is_watched` holds. Returns how many.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn requeue_since(
        &self,
        since: NaiveDate,
        forms: &[FormType],
        is_watched: impl Fn(&[Cik]) -> bool,
        now: DateTime<Utc>,
    ) -> anyhow::Result<usize> {
        let mut transaction = self.begin_write().await?;
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT filings.accession, filings.form, filers.cik FROM filings
             JOIN filers ON filers.accession = filings.accession
             WHERE filings.filing_date >= $1 AND filings.state IN ('not_watched', 'baseline', 'parked')",
        )
        .bind(since.to_string())
        .fetch_all(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "look back"))?;
        let mut ciks: HashMap<i64, Vec<Cik>> = HashMap::new();
        for (accession, form, cik) in rows {
            if forms.contains(&FormType::new(&form)) {
                ciks.entry(accession).or_default().extend(Cik::from_i64(cik));
            }
        }
        let mut n_queued = 0;
        for accession in ciks.iter().filter(|(_, ciks)| is_watched(ciks)).map(|(accession, _)| *accession) {
            if let Some(accession) = AccessionNumber::from_i64(accession) {
                n_queued += usize::from(self.requeue(&mut transaction, accession, now).await?);
            }
        }
        if n_queued > 0 {
            self.tell(&mut transaction, News::Filings).await?;
        }
        self.commit(transaction, "look back").await?;
        Ok(n_queued)
    }

    /// Takes filings that are due into this process's hands, in the order EDGAR accepted them, and counts a try of each before it
    /// is made, so that a filing which kills the process is not the first one tried again. `next_try_at` tells from the tries so
    /// far when it is due again if nothing is heard of this one.
    ///
    /// # Errors
    /// When the store cannot be written: then nothing is to be tried.
    pub async fn claim_filings(
        &self,
        queue: Queue,
        now: DateTime<Utc>,
        limit: usize,
        next_try_at: impl Fn(u32) -> DateTime<Utc>,
    ) -> anyhow::Result<Vec<QueuedFiling>> {
        // Each queue has an index of its own, which only a statement that names the state can use.
        let statement = format!(
            "SELECT due.accession, due.form, due.filing_date, due.accepted_at, due.seen_at, due.items,
                    due.attempts, due.refused_since, due.accepted_known, due.feed_at, filers.cik, filers.name
             FROM (SELECT * FROM filings
                   WHERE state = '{}' AND {DUE}{}
                   ORDER BY accepted_at, accession LIMIT $2{}) AS due
             LEFT JOIN filers ON filers.accession = due.accession
             ORDER BY due.accepted_at, due.accession, filers.cik",
            queue.state(),
            self.is_free(),
            self.skip_locked()
        );
        let mut transaction = self.begin_unhurried().await?;
        let rows: Vec<QueueRow> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(to_micros(now))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "read the queue of filings"))?;
        let claimed = queued_filings(rows);
        for some in claimed.chunks(MOST_ROWS) {
            let statement = format!(
                "UPDATE filings SET attempts = attempts + 1, next_try_at = CASE accession{} END{} WHERE accession IN ({})",
                cases_of_placeholders(some.len(), 2, 2),
                self.claimant().map_or_else(String::new, |id| format!(", claimed_by = {id}")),
                first_placeholders(some.len(), 2)
            );
            some.iter()
                .fold(sqlx::query(AssertSqlSafe(statement)), |query, filing| {
                    query.bind(filing.accession.as_i64()).bind(to_micros(next_try_at(filing.attempts)))
                })
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "claim filings"))?;
        }
        if !claimed.is_empty() {
            self.commit(transaction, "begin to read filings").await?;
        }
        Ok(claimed)
    }

    /// Whether a filing is due to be read that nobody reads.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has_due_filing(&self, queue: Queue, now: DateTime<Utc>) -> anyhow::Result<bool> {
        let statement = format!(
            "SELECT accession FROM filings
             WHERE state = '{}' AND {DUE}{} LIMIT 1",
            queue.state(),
            self.is_free()
        );
        let found: Option<(i64,)> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(to_micros(now))
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the queue of filings"))?;
        Ok(found.is_some())
    }

    /// Filings first seen before `before`, still unread, whose items name a listing notice and whose subscribers
    /// were not told so.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unread_listing_notices(&self, before: DateTime<Utc>) -> anyhow::Result<Vec<QueuedFiling>> {
        // Each state has an index of its own: asked for both at once, SQLite would look at every filing there is.
        self.queued(
            "SELECT due.accession, due.form, due.filing_date, due.accepted_at, due.seen_at, due.items, due.attempts,
                    due.refused_since, due.accepted_known, due.feed_at, filers.cik, filers.name
             FROM (SELECT * FROM (SELECT * FROM filings WHERE state = 'found'
                                  UNION ALL SELECT * FROM filings WHERE state = 'parked') AS unread
                   WHERE seen_at <= $1 AND told_unreadable = 0 AND ',' || items || ',' LIKE '%,3.01,%'
                   ORDER BY accepted_at, accession LIMIT $2) AS due
             LEFT JOIN filers ON filers.accession = due.accession
             ORDER BY due.accepted_at, due.accession, filers.cik",
            before,
            1000,
        )
        .await
    }

    /// When each source first showed a filing, and when EDGAR accepted it. `None` for one not known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sightings(&self, accession: AccessionNumber) -> anyhow::Result<Option<Sightings>> {
        type Row = (i64, i64, i64, Option<i64>, Option<i64>);
        let row: Option<Row> = sqlx::query_as(
            "SELECT accepted_at, accepted_known, seen_at, feed_at, index_at FROM filings WHERE accession = $1",
        )
        .bind(accession.as_i64())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read sightings"))?;
        Ok(row.map(|(accepted_at, accepted_known, seen_at, feed_at, index_at)| Sightings {
            accepted_at: (accepted_known != 0).then(|| from_micros(accepted_at)),
            seen_at: from_micros(seen_at),
            feed_at: feed_at.map(from_micros),
            index_at: index_at.map(from_micros),
        }))
    }

    /// A filing that is recorded, whatever became of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn filing(&self, accession: AccessionNumber) -> anyhow::Result<Option<QueuedFiling>> {
        let found = self
            .rows(
                "SELECT due.accession, due.form, due.filing_date, due.accepted_at, due.seen_at, due.items, due.attempts,
                        due.refused_since, due.accepted_known, due.feed_at, filers.cik, filers.name
                 FROM (SELECT * FROM filings WHERE accession = $1 LIMIT $2) AS due
                 LEFT JOIN filers ON filers.accession = due.accession ORDER BY filers.cik",
                accession.as_i64(),
                1,
            )
            .await?;
        Ok(found.into_iter().next())
    }

    /// The filings that an older classifier has read, in the order of acceptance.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read_before(&self, version: i64) -> anyhow::Result<Vec<AccessionNumber>> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT accession FROM filings WHERE state = 'read' AND classifier_version < $1
             ORDER BY accepted_at, accession",
        )
        .bind(version)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "list filings read"))?;
        Ok(rows.into_iter().filter_map(|(accession,)| AccessionNumber::from_i64(accession)).collect())
    }

    /// Puts what was given up back into the queue: another version may be able to read it. Returns how many.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn requeue_parked(&self, now: DateTime<Utc>) -> anyhow::Result<u64> {
        let statement = sqlx::query(
            "UPDATE filings SET state = 'found', next_try_at = $1, attempts = 0, refused_since = NULL
             WHERE state = 'parked'",
        )
        .bind(to_micros(now));
        self.write(statement, "queue what was given up").await
    }

    /// Puts other events in the place of those of a filing that was read before, links them anew, and records an alert that
    /// nobody is told of where there was none: all or nothing.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn replace_events(
        &self,
        accession: AccessionNumber,
        events: &[ListingEvent],
        version: i64,
        alert: Option<&AlertRow>,
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        for statement in ["DELETE FROM letters WHERE accession = $1", "DELETE FROM events WHERE accession = $1"] {
            sqlx::query(statement)
                .bind(accession.as_i64())
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "replace events"))?;
        }
        for (ordinal, event) in events.iter().enumerate() {
            self.insert_event(&mut transaction, accession, ordinal, event).await?;
        }
        self.link_events(&mut transaction, accession).await?;
        sqlx::query("UPDATE filings SET classifier_version = $2 WHERE accession = $1")
            .bind(accession.as_i64())
            .bind(version)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "note who read a filing"))?;
        if let Some(alert) = alert
            && self.read_alert(&mut transaction, &alert.id).await?.is_none()
        {
            self.insert_alert(&mut transaction, alert, &[]).await?;
        }
        self.commit(transaction, "replace events").await
    }

    async fn queued(
        &self,
        statement: &'static str,
        instant: DateTime<Utc>,
        limit: usize,
    ) -> anyhow::Result<Vec<QueuedFiling>> {
        self.rows(statement, to_micros(instant), limit).await
    }

    /// Runs one of the statements above: a row for each of a filing's filers, side by side.
    async fn rows(&self, statement: &'static str, value: i64, limit: usize) -> anyhow::Result<Vec<QueuedFiling>> {
        let rows: Vec<QueueRow> = sqlx::query_as(statement)
            .bind(value)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the queue of filings"))?;
        Ok(queued_filings(rows))
    }

    /// Queued filings of which only the day is known, due by now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn due_without_acceptance(&self, now: DateTime<Utc>, limit: usize) -> anyhow::Result<Vec<QueuedFiling>> {
        self.queued(
            "SELECT due.accession, due.form, due.filing_date, due.accepted_at, due.seen_at, due.items, due.attempts,
                    due.refused_since, due.accepted_known, due.feed_at, filers.cik, filers.name
             FROM (SELECT * FROM filings WHERE state = 'found' AND accepted_known = 0 AND next_try_at <= $1
                   ORDER BY filing_date, accession LIMIT $2) AS due
             LEFT JOIN filers ON filers.accession = due.accession
             ORDER BY due.filing_date, due.accession, filers.cik",
            now,
            limit,
        )
        .await
    }

    /// How many filings a queue holds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn n_queued(&self, queue: Queue) -> anyhow::Result<u64> {
        let statement = format!("SELECT COUNT(*) FROM filings WHERE state = '{}'", queue.state());
        let (n,): (i64,) = sqlx::query_as(AssertSqlSafe(statement))
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "count the queue of filings"))?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// How many filings of a queue have been read and how many there are, over all workers: the same wherever it is asked. It
    /// begins anew once the queue has been empty.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn backfill_progress(&self, queue: Queue, now: DateTime<Utc>) -> anyhow::Result<(u64, u64)> {
        let key = format!("longest_queue:{}", queue.state());
        let n_left = self.n_queued(queue).await?;
        let longest = self.fact(&key).await?.and_then(|(n, _)| n.parse::<u64>().ok()).unwrap_or(0);
        if n_left > longest || (n_left == 0 && longest > 0) {
            self.set_fact(&key, &n_left.to_string(), now).await?;
        }
        let n_all = longest.max(n_left);
        Ok((n_all - n_left, n_all))
    }

    /// When the next queued filing is due, if any is queued.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next_filing_due(&self, queue: Queue) -> anyhow::Result<Option<DateTime<Utc>>> {
        let statement = format!("SELECT MIN(next_try_at) FROM filings WHERE state = '{}'", queue.state());
        let (next,): (Option<i64>,) = sqlx::query_as(AssertSqlSafe(statement))
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the queue of filings"))?;
        Ok(next.map(from_micros))
    }

    /// Takes back tries that were not made, since all asking has stopped: the filings are due, and free for all.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn take_back_tries(&self, accessions: &[AccessionNumber], now: DateTime<Utc>) -> anyhow::Result<()> {
        if accessions.is_empty() {
            return Ok(());
        }
        let statement = format!(
            "UPDATE filings SET attempts = attempts - 1, next_try_at = ${}, claimed_by = NULL
             WHERE accession IN ({}) AND state IN ('found', 'backfill')",
            accessions.len() + 1,
            placeholders(accessions.len())
        );
        let statement = accessions
            .iter()
            .fold(sqlx::query(AssertSqlSafe(statement)), |query, accession| query.bind(accession.as_i64()))
            .bind(to_micros(now));
        self.write(statement, "put filings back").await?;
        Ok(())
    }

    /// Notes why a filing could not be read. `refused_since` is when EDGAR first answered without it, `None` after an
    /// outage.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn postpone_filing(
        &self,
        accession: AccessionNumber,
        reason: &str,
        next_try_at: DateTime<Utc>,
        refused_since: Option<DateTime<Utc>>,
    ) -> anyhow::Result<()> {
        let statement = sqlx::query(
            "UPDATE filings SET last_error = $2, next_try_at = $3, refused_since = $4, claimed_by = NULL
             WHERE accession = $1 AND state IN ('found', 'backfill')",
        )
        .bind(accession.as_i64())
        .bind(shown(reason))
        .bind(to_micros(next_try_at))
        .bind(refused_since.map(to_micros));
        self.write(statement, "postpone a filing").await?;
        Ok(())
    }

    /// Gives a filing up and keeps the reason, together with the mail that tells of it.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn park_filing(
        &self,
        accession: AccessionNumber,
        reason: &str,
        tell: Option<&OnceMail>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin_beside().await?;
        sqlx::query(
            "UPDATE filings SET state = 'parked', last_error = $2, next_try_at = NULL, claimed_by = NULL
             WHERE accession = $1 AND state IN ('found', 'backfill')",
        )
        .bind(accession.as_i64())
        .bind(shown(reason))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "park a filing"))?;
        if let Some(tell) = tell {
            self.insert_once(&mut transaction, tell, now).await?;
        }
        self.commit(transaction, "park a filing").await
    }

    /// Marks a filing read together with its documents, events and what `decide` makes follow from them: all or
    /// nothing. `decide` is asked once the events are linked to those of the issuer's other filings, while no other
    /// process can write. `None` when another process had read the filing already; nothing is written then.
    ///
    /// # Errors
    /// When the store cannot be written, or `decide` fails.
    pub async fn record_reading(
        &self,
        reading: &ReadFiling,
        decide: impl FnOnce(&Linked) -> anyhow::Result<Consequences> + Send,
    ) -> anyhow::Result<Option<Consequences>> {
        // Most filings report nothing new, and what they retell is linked to nothing and told to nobody.
        let has_news = reading.events.iter().any(|event| event.status == EventStatus::New);
        let is_alone = has_news || reading.is_awaited;
        let mut transaction = if is_alone { self.begin_write().await? } else { self.begin_beside().await? };
        let done = sqlx::query(
            "UPDATE filings SET state = 'read', next_try_at = NULL, last_error = NULL, claimed_by = NULL,
                    read_at = $2, classifier_version = $3
             WHERE accession = $1 AND state IN ('found', 'backfill')",
        )
        .bind(reading.accession.as_i64())
        .bind(to_micros(reading.read_at))
        .bind(reading.classifier_version)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "mark a filing read"))?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        if let Some(accepted_at) = reading.accepted_at {
            sqlx::query(
                "UPDATE filings SET accepted_at = $2, accepted_known = 1 WHERE accession = $1 AND accepted_known = 0",
            )
            .bind(reading.accession.as_i64())
            .bind(to_micros(accepted_at))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "note an acceptance time"))?;
        }
        let filers: Vec<(AccessionNumber, &Filer)> = filers_of(reading.accession, &reading.filers).collect();
        self.insert_filers(&mut transaction, &filers).await?;
        for document in &reading.documents {
            self.insert_document(&mut transaction, reading.accession, document).await?;
        }
        for (ordinal, event) in reading.events.iter().enumerate() {
            self.insert_event(&mut transaction, reading.accession, ordinal, event).await?;
        }
        let linked =
            if has_news { self.link_events(&mut transaction, reading.accession).await? } else { Linked::default() };
        let follows = decide(&linked)?;
        if let Some(alert) = &follows.alert {
            self.insert_alert(&mut transaction, alert, &follows.notices).await?;
            self.insert_withheld(&mut transaction, &alert.id, &follows.withheld).await?;
        }
        for alert in &follows.rewritten {
            self.rewrite_alert(&mut transaction, alert).await?;
        }
        for released in &follows.released {
            self.release(&mut transaction, released, reading.read_at).await?;
        }
        self.commit(transaction, "record a reading").await?;
        Ok(Some(follows))
    }

    /// Notes that subscribers are told a filing cannot be read yet, with the notices that tell them.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_unreadable(&self, alert: &AlertRow, notices: &[NewNotice]) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        let done = sqlx::query(
            "UPDATE filings SET told_unreadable = 1 WHERE accession = $1 AND told_unreadable = 0 AND state IN ('found', 'parked')",
        )
        .bind(alert.accession.as_i64())
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "note an unreadable filing"))?;
        if done.rows_affected() > 0 {
            self.insert_alert(&mut transaction, alert, notices).await?;
        }
        self.commit(transaction, "tell of an unreadable filing").await
    }

    async fn insert_document(
        &self,
        connection: &mut StoreConnection,
        accession: AccessionNumber,
        document: &StoredDocument,
    ) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO documents
                (accession, sequence, document_type, filename, sha256, size_bytes, held_bytes, text)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (accession, sequence) DO NOTHING",
        )
        .bind(accession.as_i64())
        .bind(i64::from(document.sequence))
        .bind(shown(&document.document_type))
        .bind(document.filename.as_deref().map(shown))
        .bind(document.sha256.clone())
        .bind(i64::try_from(document.size_bytes).unwrap_or(i64::MAX))
        .bind(i64::try_from(document.held_bytes).unwrap_or(i64::MAX))
        .bind(document.text.as_deref().map(compress))
        .execute(connection)
        .await
        .map_err(|error| self.failed(&error, "record a document"))?;
        Ok(())
    }

    async fn insert_event(
        &self,
        connection: &mut StoreConnection,
        accession: AccessionNumber,
        ordinal: usize,
        event: &ListingEvent,
    ) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO events (accession, ordinal, kind, status, exchange, letter_date, details)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(accession.as_i64())
        .bind(i64::try_from(ordinal).unwrap_or(i64::MAX))
        .bind(event.kind.to_string())
        .bind(event.status.to_string())
        .bind(event.exchange.to_string())
        .bind(event.letter_date.map(|date| date.to_string()))
        .bind(serde_json::to_string(event)?)
        .execute(connection)
        .await
        .map_err(|error| self.failed(&error, "record an event"))?;
        Ok(())
    }

    /// The events found in a filing, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn events(&self, accession: AccessionNumber) -> anyhow::Result<Vec<ListingEvent>> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT details FROM events WHERE accession = $1 ORDER BY ordinal")
            .bind(accession.as_i64())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read events"))?;
        rows.iter().map(|(details,)| Ok(serde_json::from_str(details)?)).collect()
    }

    /// The documents read in a filing, in order.
    ///
    /// # Errors
    /// When the store cannot be read or a stored text is damaged.
    pub async fn documents(&self, accession: AccessionNumber) -> anyhow::Result<Vec<StoredDocument>> {
        type Row = (i64, String, Option<String>, Vec<u8>, i64, i64, Option<Vec<u8>>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT sequence, document_type, filename, sha256, size_bytes, held_bytes, text
             FROM documents WHERE accession = $1 ORDER BY sequence",
        )
        .bind(accession.as_i64())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read documents"))?;
        rows.into_iter()
            .map(|(sequence, document_type, filename, sha256, size_bytes, held_bytes, text)| {
                Ok(StoredDocument {
                    sequence: u32::try_from(sequence).unwrap_or(0),
                    document_type,
                    filename,
                    sha256,
                    size_bytes: size_bytes.unsigned_abs(),
                    held_bytes: held_bytes.unsigned_abs(),
                    text: text.as_deref().map(decompress).transpose()?,
                })
            })
            .collect()
    }

    /// How many filings stand in each state.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn count_filings(&self) -> anyhow::Result<HashMap<String, i64>> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT state, COUNT(*) FROM filings GROUP BY state")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "count filings"))?;
        Ok(rows.into_iter().collect())
    }

    /// The filings in one state, newest first, for people.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn filings_in(&self, state: FilingState, limit: usize) -> anyhow::Result<Vec<FilingSummary>> {
        type Row = (i64, String, i64, Option<String>, Option<i64>, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT accession, form, attempts, last_error, next_try_at,
                    (SELECT MIN(name) FROM filers WHERE filers.accession = filings.accession)
             FROM filings WHERE state = $1 ORDER BY accepted_at DESC, accession LIMIT $2",
        )
        .bind(state.as_str().to_owned())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "list filings"))?;
        Ok(rows
            .into_iter()
            .filter_map(|(accession, form, attempts, last_error, next_try_at, name)| {
                Some(FilingSummary {
                    accession: AccessionNumber::from_i64(accession)?,
                    form: FormType::new(&form),
                    name: name.unwrap_or_default(),
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                    last_error,
                    next_try_at: next_try_at.map(from_micros),
                })
            })
            .collect())
    }

    /// The filers recorded for a filing; empty for one not known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ciks_of(&self, accession: AccessionNumber) -> anyhow::Result<Vec<Cik>> {
        let known = self.known_filings(&[accession]).await?;
        let ciks = known.get(&accession).map(|filing| filing.ciks.iter().copied().collect());
        Ok(ciks.unwrap_or_default())
    }

    /// Every accession recorded of these forms; for comparing with another source.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn accessions_of(&self, forms: &[FormType]) -> anyhow::Result<HashSet<AccessionNumber>> {
        let rows: Vec<(i64, String)> = sqlx::query_as("SELECT accession, form FROM filings")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "list accessions"))?;
        Ok(rows
            .into_iter()
            .filter(|(_, form)| forms.contains(&FormType::new(form)))
            .filter_map(|(accession, _)| AccessionNumber::from_i64(accession))
            .collect())
    }
}

/// Filings as the queue is read: a row for each of a filing's filers, side by side.
fn queued_filings(rows: Vec<QueueRow>) -> Vec<QueuedFiling> {
    let mut queue: Vec<QueuedFiling> = Vec::new();
    for row in rows {
        let (accession, form, filing_date, accepted_at, seen_at, items, attempts, refused, known, feed_at, cik, name) =
            row;
        let Some(accession) = AccessionNumber::from_i64(accession) else { continue };
        let filer = cik.and_then(Cik::from_i64).map(|cik| Filer { cik, name: name.unwrap_or_default() });
        if let Some(last) = queue.last_mut().filter(|last| last.accession == accession) {
            last.filers.extend(filer);
            continue;
        }
        queue.push(QueuedFiling {
            accession,
            form: FormType::new(&form),
            filers: filer.into_iter().collect(),
            filing_date: filing_date.parse().unwrap_or_default(),
            accepted_at: from_micros(accepted_at),
            seen_at: from_micros(seen_at),
            items: items.split(',').filter_map(ItemNumber::new).collect(),
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            refused_since: refused.map(from_micros),
            accepted_known: known != 0,
            in_feed: feed_at.is_some(),
        });
    }
    queue
}

/// Each filer beside the filing.
fn filers_of(accession: AccessionNumber, filers: &[Filer]) -> impl Iterator<Item = (AccessionNumber, &Filer)> {
    filers.iter().map(move |filer| (accession, filer))
}

fn join_items(items: &[ItemNumber]) -> String {
    items.iter().map(ItemNumber::as_str).collect::<Vec<_>>().join(",")
}

fn compress(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing into memory does not fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default()
}

fn decompress(bytes: &[u8]) -> anyhow::Result<String> {
    let mut text = String::new();
    ZlibDecoder::new(bytes).read_to_string(&mut text)?;
    Ok(text)
}
