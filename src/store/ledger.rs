//! The completeness ledger: filing dates, and what EDGAR's index of each showed that the feed had not.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::AssertSqlSafe;

use super::connection::StoreConnection;
use super::filings::NewFiling;
use super::members::ALIVE;
use super::{MOST_ROWS, News, Store, from_micros, placeholders, shown, to_micros};
use crate::edgar::ids::AccessionNumber;

/// Where a day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayState {
    /// Not reconciled yet, or to be reconciled again.
    Open,
    /// Its index was read, and what the feed lacked is in the queue.
    Closed,
    /// It has no index though later days have one: EDGAR was closed.
    Empty,
}

impl DayState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Empty => "empty",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "closed" => Self::Closed,
            "empty" => Self::Empty,
            _ => Self::Open,
        }
    }
}

impl fmt::Display for DayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One day of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerDay {
    /// The filing date.
    pub day: NaiveDate,
    /// Where it stands.
    pub state: DayState,
    /// When it is looked at next; `None` for never.
    pub next_check_at: Option<DateTime<Utc>>,
    /// How often it was closed.
    pub n_checks: u32,
    /// The size its index had, in EDGAR's words, when it was read last.
    pub index_size: String,
    /// When EDGAR wrote that index.
    pub written_at: Option<DateTime<Utc>>,
    /// When it was reconciled last.
    pub reconciled_at: Option<DateTime<Utc>>,
    /// What was counted then.
    pub counts: DayCounts,
}

/// From where to where the ledger goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerSpan {
    /// The earliest date from which an issuer is watched; `None` where nobody is.
    pub watched_since: Option<NaiveDate>,
    /// Its first day.
    pub first: Option<NaiveDate>,
    /// Its last day.
    pub last: Option<NaiveDate>,
    /// When the next day is due.
    pub next_check_at: Option<DateTime<Utc>>,
}

/// What reconciling a day counts, in filings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// Of the forms watched.
    pub n_listed: u32,
    /// Of them, those of watched issuers.
    pub n_watched: u32,
    /// Of those, what the feed had not shown when the index did.
    pub n_missed: u32,
    /// Rows that could not be read.
    pub n_bad: u32,
    /// What now joined the queue.
    pub n_found: u32,
}

/// A day's index, as far as it matters here.
#[derive(Debug, Clone)]
pub struct DayIndex<'a> {
    /// The filing date.
    pub day: NaiveDate,
    /// Every filing of the forms watched.
    pub listed: &'a [AccessionNumber],
    /// Those of watched issuers.
    pub watched: &'a [NewFiling],
    /// Rows that could not be read.
    pub n_bad: usize,
    /// Its size as listed.
    pub size: &'a str,
    /// When it was written.
    pub written_at: Option<DateTime<Utc>>,
    /// When it was read.
    pub read_at: DateTime<Utc>,
    /// When the day is looked at again.
    pub next_check_at: Option<DateTime<Utc>>,
}

type DayRow = (String, String, Option<i64>, i64, String, Option<i64>, Option<i64>, i64, i64, i64, i64);

const COLUMNS: &str =
    "day, state, next_check_at, n_checks, index_size, written_at, reconciled_at, n_listed, n_watched, n_missed, n_bad";

impl Store {
    /// Puts days into the ledger that are not in it, each with the instant from which its index is to be looked for.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn add_days(&self, days: &[(NaiveDate, DateTime<Utc>)]) -> anyhow::Result<()> {
        if days.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin_leading().await?;
        for (day, check_at) in days {
            sqlx::query(
                "INSERT INTO days (day, state, next_check_at, expected_at) VALUES ($1, 'open', $2, $2)
                 ON CONFLICT (day) DO NOTHING",
            )
            .bind(day.to_string())
            .bind(to_micros(*check_at))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "add a day to the ledger"))?;
        }
        self.commit(transaction, "add days").await
    }

    /// Opens days again from a date on: more is watched now than when they were reconciled.
    pub(super) async fn reopen_days(
        &self,
        connection: &mut StoreConnection,
        from: NaiveDate,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        sqlx::query(
            "UPDATE days SET state = 'open', next_check_at = $2, index_size = '' WHERE day >= $1 AND state <> 'open'",
        )
        .bind(from.to_string())
        .bind(to_micros(now))
        .execute(connection)
        .await
        .map_err(|error| self.failed(&error, "open days again"))?;
        Ok(())
    }

    /// What the ledger holds and when it is to be looked at.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ledger_span(&self) -> anyhow::Result<LedgerSpan> {
        type Row = (Option<String>, Option<String>, Option<String>, Option<i64>);
        let (watched_since, first, last, next_check_at): Row = sqlx::query_as(
            "SELECT (SELECT MIN(since_date) FROM watched), (SELECT MIN(day) FROM days), (SELECT MAX(day) FROM days),
                    (SELECT MIN(next_check_at) FROM days WHERE next_check_at IS NOT NULL)",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read the ledger"))?;
        let date = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Ok(LedgerSpan {
            watched_since: date(watched_since),
            first: date(first),
            last: date(last),
            next_check_at: next_check_at.map(from_micros),
        })
    }

    /// The days to be looked at by now, earliest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn due_days(&self, now: DateTime<Utc>) -> anyhow::Result<Vec<LedgerDay>> {
        self.days_where("next_check_at <= $1 ORDER BY day", to_micros(now)).await
    }

    /// The newest days of the ledger, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn latest_days(&self, limit: usize) -> anyhow::Result<Vec<LedgerDay>> {
        self.days_where("true ORDER BY day DESC LIMIT $1", i64::try_from(limit).unwrap_or(i64::MAX)).await
    }

    /// The days still open that were to be looked at first before an instant.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn overdue_days(&self, before: DateTime<Utc>) -> anyhow::Result<Vec<NaiveDate>> {
        let days = self.days_where("state = 'open' AND expected_at <= $1 ORDER BY day", to_micros(before)).await?;
        Ok(days.into_iter().map(|day| day.day).collect())
    }

    async fn days_where(&self, condition: &'static str, value: i64) -> anyhow::Result<Vec<LedgerDay>> {
        let statement = format!("SELECT {COLUMNS} FROM days WHERE {condition}");
        // Put together from constants of this file.
        let rows: Vec<DayRow> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(value)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the ledger"))?;
        Ok(rows.into_iter().filter_map(read_day).collect())
    }

    /// How long after acceptance the feed showed each filing of a day, in seconds, shortest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn feed_lags(&self, day: NaiveDate) -> anyhow::Result<Vec<i64>> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT (feed_at - accepted_at) / 1000000 FROM filings
             WHERE filing_date = $1 AND feed_at IS NOT NULL AND accepted_known = 1 AND state <> 'baseline' ORDER BY 1",
        )
        .bind(day.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read the lags of a day"))?;
        Ok(rows.into_iter().map(|(lag,)| lag).collect())
    }

    /// Reconciles a day: notes which filings its index shows, queues those of watched issuers that were never seen, and
    /// closes the day, all at once.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn reconcile_day(&self, index: &DayIndex<'_>) -> anyhow::Result<DayCounts> {
        let mut transaction = self.begin_leading().await?;
        let counts = self.take_index(&mut transaction, index).await?;
        sqlx::query(
            "UPDATE days SET state = 'closed', next_check_at = $2, n_checks = n_checks + 1, index_size = $3,
                    written_at = $4, reconciled_at = $5, n_listed = $6, n_watched = $7, n_missed = $8, n_bad = $9
             WHERE day = $1",
        )
        .bind(index.day.to_string())
        .bind(index.next_check_at.map(to_micros))
        .bind(shown(index.size))
        .bind(index.written_at.map(to_micros))
        .bind(to_micros(index.read_at))
        .bind(i64::from(counts.n_listed))
        .bind(i64::from(counts.n_watched))
        .bind(i64::from(counts.n_missed))
        .bind(i64::from(counts.n_bad))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "close a day"))?;
        if counts.n_found > 0 {
            self.tell(&mut transaction, News::Filings).await?;
        }
        self.commit(transaction, "reconcile a day").await?;
        Ok(counts)
    }

    /// Notes what an index shows and queues what was never seen. Missed is what the feed has not shown to this day, also
    /// where an index had shown it before.
    pub(super) async fn take_index(
        &self,
        connection: &mut StoreConnection,
        index: &DayIndex<'_>,
    ) -> anyhow::Result<DayCounts> {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut counts = DayCounts {
            n_listed: count(index.listed.len()),
            n_watched: count(index.watched.len()),
            n_bad: count(index.n_bad),
            ..DayCounts::default()
        };
        counts.n_found = count(self.insert_filings(connection, index.watched).await?);
        for some in index.listed.chunks(MOST_ROWS) {
            let statement = format!(
                "UPDATE filings SET index_at = ${} WHERE index_at IS NULL AND accession IN ({})",
                some.len() + 1,
                placeholders(some.len())
            );
            let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
            some.iter()
                .fold(query, |query, accession| query.bind(accession.as_i64()))
                .bind(to_micros(index.read_at))
                .execute(&mut *connection)
                .await
                .map_err(|error| self.failed(&error, "note sightings"))?;
        }
        for some in index.watched.chunks(MOST_ROWS) {
            let statement = format!(
                "SELECT COUNT(*) FROM filings WHERE feed_at IS NULL AND accession IN ({})",
                placeholders(some.len())
            );
            let query = sqlx::query_as(AssertSqlSafe(statement)).persistent(false);
            let (n_missed,): (i64,) = some
                .iter()
                .fold(query, |query, filing| query.bind(filing.accession.as_i64()))
                .fetch_one(&mut *connection)
                .await
                .map_err(|error| self.failed(&error, "look for sightings"))?;
            counts.n_missed += u32::try_from(n_missed).unwrap_or(u32::MAX);
        }
        Ok(counts)
    }

    /// The days that a backfill for this watchlist has put into its queue already.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn backfilled_days(&self, watched: &str) -> anyhow::Result<BTreeSet<NaiveDate>> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT day FROM backfilled WHERE watched = $1 AND at IS NOT NULL")
            .bind(watched.to_owned())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the days backfilled"))?;
        Ok(rows.into_iter().filter_map(|(day,)| day.parse().ok()).collect())
    }

    /// Takes days into this process's hands, to put their filings into the queue: those that no other has done or is at.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn claim_days(&self, watched: &str, days: &BTreeSet<NaiveDate>) -> anyhow::Result<BTreeSet<NaiveDate>> {
        let Some(id) = self.claimant() else { return Ok(days.clone()) };
        let statement = format!(
            "INSERT INTO backfilled (watched, day, claimed_by) VALUES ($1, $2, {id})
             ON CONFLICT (watched, day) DO UPDATE SET claimed_by = excluded.claimed_by
             WHERE backfilled.at IS NULL{}
             RETURNING day",
            self.is_free().replace("claimed_by", "backfilled.claimed_by")
        );
        let mut transaction = self.begin_beside().await?;
        let mut claimed = BTreeSet::new();
        for day in days {
            let row: Option<(String,)> = sqlx::query_as(AssertSqlSafe(statement.clone()))
                .bind(watched.to_owned())
                .bind(day.to_string())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "claim days"))?;
            claimed.extend(row.map(|_| *day));
        }
        self.commit(transaction, "claim days").await?;
        Ok(claimed)
    }

    /// Whether another process is putting days of a watchlist into the queue.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_queued_by_others(&self, watched: &str) -> anyhow::Result<bool> {
        let Some(id) = self.claimant() else { return Ok(false) };
        let statement = format!(
            "SELECT day FROM backfilled WHERE watched = $1 AND at IS NULL AND claimed_by <> {id}
                AND claimed_by IN (SELECT id FROM members WHERE {ALIVE}) LIMIT 1"
        );
        let found: Option<(String,)> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(watched.to_owned())
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the days backfilled"))?;
        Ok(found.is_some())
    }

    /// Puts filings into a queue and notes their days as done, all at once. What was recorded without being read joins it
    /// as well. Returns how many joined.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn record_backfill(
        &self,
        watched: &str,
        days: &[NaiveDate],
        filings: &[NewFiling],
        now: DateTime<Utc>,
    ) -> anyhow::Result<usize> {
        let mut transaction = self.begin_beside().await?;
        let mut n_queued = 0;
        self.insert_filings(&mut transaction, filings).await?;
        for filing in filings {
            let done = sqlx::query(
                "UPDATE filings SET state = $2, next_try_at = $3, index_at = COALESCE(index_at, $3)
                 WHERE accession = $1 AND state IN ('not_watched', 'baseline', $2)",
            )
            .bind(filing.accession.as_i64())
            .bind(filing.state.to_string())
            .bind(to_micros(now))
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "queue a filing of the past"))?;
            n_queued += usize::try_from(done.rows_affected()).unwrap_or(0);
        }
        for day in days {
            let statement = "INSERT INTO backfilled (watched, day, at) VALUES ($1, $2, $3)
                ON CONFLICT (watched, day) DO UPDATE SET at = excluded.at, claimed_by = NULL";
            sqlx::query(statement)
                .bind(watched.to_owned())
                .bind(day.to_string())
                .bind(to_micros(now))
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "note a day as backfilled"))?;
        }
        self.commit(transaction, "record a backfill").await?;
        Ok(n_queued)
    }

    /// Looks at a day later than was meant.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn delay_day(&self, day: NaiveDate, next_check_at: DateTime<Utc>) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE days SET next_check_at = $2 WHERE day = $1")
            .bind(day.to_string())
            .bind(to_micros(next_check_at));
        self.write_leading(statement, "delay a day").await
    }

    /// Leaves a day as it stands, to be looked at again at `next_check_at`.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn put_off_day(
        &self,
        day: NaiveDate,
        state: DayState,
        next_check_at: Option<DateTime<Utc>>,
    ) -> anyhow::Result<()> {
        let statement = sqlx::query(
            "UPDATE days SET state = $2, next_check_at = $3,
                    n_checks = n_checks + CASE WHEN $2 = 'open' THEN 0 ELSE 1 END
             WHERE day = $1",
        )
        .bind(day.to_string())
        .bind(state.as_str().to_owned())
        .bind(next_check_at.map(to_micros));
        self.write_leading(statement, "put off a day").await
    }
}

fn read_day(row: DayRow) -> Option<LedgerDay> {
    let (day, state, next, n_checks, index_size, written, reconciled, n_listed, n_watched, n_missed, n_bad) = row;
    let count = |n: i64| u32::try_from(n).unwrap_or(0);
    Some(LedgerDay {
        day: day.parse().ok()?,
        state: DayState::parse(&state),
        next_check_at: next.map(from_micros),
        n_checks: count(n_checks),
        index_size,
        written_at: written.map(from_micros),
        reconciled_at: reconciled.map(from_micros),
        counts: DayCounts {
            n_listed: count(n_listed),
            n_watched: count(n_watched),
            n_missed: count(n_missed),
            n_bad: count(n_bad),
            n_found: 0,
        },
    })
}
