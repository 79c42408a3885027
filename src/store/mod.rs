//! The store: the only SQL in the program.
//!
//! One set of statements serves SQLite and PostgreSQL: `$n` placeholders, only 64-bit integers, text and bytes, `ON CONFLICT`
//! and `RETURNING`. What differs between the two is in `sqlite.rs` and `postgres.rs`; what several processes on one store need
//! is in `members.rs`.

mod backup;
mod budget;
mod connection;
mod counters;
mod facts;
mod feed_queries;
mod filings;
mod keys;
mod ledger;
mod letters;
mod members;
mod outbox;
mod place;
mod postgres;
mod prune;
mod sent;
mod sqlite;
mod subscriptions;
mod transfer;
mod watched;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use anyhow::Context;
use chrono::{DateTime, Utc};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection};

use crate::fail_points::{self, Moment};
use connection::{Pool, StoreConnection, Work};
use members::OwnMember;
use sent::SentMail;

pub use backup::{Backup, copy_keys, restore};
pub use budget::BudgetState;
pub use counters::OpenWork;
pub use feed_queries::FeedQueryState;
pub use filings::{
    FilingState, FilingSummary, NewFiling, Queue, QueuedFiling, ReadFiling, Sightings, Source, StoredDocument,
};
pub use ledger::{DayCounts, DayIndex, DayState, LedgerDay, LedgerSpan};
pub use letters::Linked;
pub use members::{MemberRow, NewMember, Superseded};
pub use outbox::{
    AlertRow, Attempt, CarriedNotice, Consequences, DigestMail, DueMessage, MessageRow, MessageState, MessageTotals,
    NewNotice, NoticeRow, OnceMail, Released, Withheld, Written,
};
pub use place::{MOST_CONNECTIONS, StorePlace};
pub use postgres::{Listener, News};
pub use sqlite::{StoreLock, foreign_owner, is_locked, try_lock};
pub use subscriptions::{
    NewSubscription, Silence, SilencedAddress, SubscriptionRow, SubscriptionState, Which, new_subscription_id,
};
pub use transfer::{Transferred, transfer};
pub use watched::{PinnedTicker, Watched, WatchedIssuers};

/// The fail-point of bringing the schema up to date.
const MIGRATE: &str = "bring the schema up to date";

/// A handle on the store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    place: StorePlace,
    /// For reading.
    pool: Pool,
    /// For writing. SQLite has one writer at a time and lets those that wait for another connection's sleep for milliseconds;
    /// and what one connection writes, all others read from the disk again.
    writer: Pool,
    /// For the word that this process lives, which waits for nobody's work.
    life: Pool,
    /// Mails that were taken, until the next commit.
    sent: Arc<Mutex<Vec<SentMail>>>,
    /// This process among those that share the store.
    member: Arc<OnceLock<OwnMember>>,
}

/// The store cannot be used, for a reason that a caller tells apart.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer program wrote it.
    #[error("{place} has schema {found}, this program knows up to {known}: not opened")]
    Newer {
        /// Where it is.
        place: StorePlace,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// It is damaged, no database, or not open to us: no restart mends that.
    #[error("store {place}: {reason}")]
    Broken {
        /// Where it is.
        place: StorePlace,
        /// How, and what to do.
        reason: String,
    },
    /// Nobody has made one.
    #[error("store {place}: there is none yet: `edgar-watch run` or `once` creates it")]
    Absent {
        /// Where it would be.
        place: StorePlace,
    },
    /// Anything else: missing rights, a full disk, a server that is down.
    #[error("store {place}: {reason}")]
    Unusable {
        /// Where it is.
        place: StorePlace,
        /// Why, and what to do where that is known.
        reason: String,
    },
}

/// Whether a store that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// And one of an older schema brought up to date.
    Make,
    /// Nothing is changed.
    Existing,
}

impl Store {
    /// Opens the store and brings its schema up to date, creating it where there is none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(place: &StorePlace) -> Result<Self, OpenError> {
        Self::open_with(place, Opening::Make).await
    }

    /// Opens an existing store without changing it.
    ///
    /// # Errors
    /// [`OpenError`], also when there is none.
    pub async fn open_existing(place: &StorePlace) -> Result<Self, OpenError> {
        Self::open_with(place, Opening::Existing).await
    }

    /// Opens a store to copy rows into.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_target(place: &StorePlace) -> Result<Self, OpenError> {
        Self::open_as_it_is(place, Opening::Make).await
    }

    async fn open_with(place: &StorePlace, opening: Opening) -> Result<Self, OpenError> {
        let store = Self::open_as_it_is(place, opening).await?;
        // One that cannot tell says so to whoever uses it.
        if let Ok(Some(from)) = store.unfinished().await {
            store.close().await;
            let reason = format!("it holds a part of {from} only: run `edgar-watch migrate-store` again");
            return Err(OpenError::Broken { place: place.clone(), reason });
        }
        Ok(store)
    }

    async fn open_as_it_is(place: &StorePlace, opening: Opening) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        if place.is_server() { postgres::open(place, opening).await } else { sqlite::open(place, opening).await }
    }

    fn of(place: &StorePlace, pool: Pool, writer: Pool, life: Pool) -> Self {
        Self { place: place.clone(), pool, writer, life, sent: Arc::default(), member: Arc::default() }
    }

    /// Where it is.
    pub fn place(&self) -> &StorePlace {
        &self.place
    }

    /// Closes every connection; SQLite's write-ahead log is folded in.
    pub async fn close(&self) {
        self.pool.close().await;
        self.writer.close().await;
        self.life.close().await;
    }

    /// The size of the store on disk, a write-ahead log of SQLite's included.
    ///
    /// # Errors
    /// When a server does not tell.
    pub async fn size_bytes(&self) -> anyhow::Result<u64> {
        match self.place.path() {
            Some(path) => Ok(sqlite::size_bytes(&path)),
            None => self.database_bytes().await,
        }
    }

    /// Writes a copy of the whole store to a file of SQLite's that does not exist yet.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub async fn copy_to(&self, path: &Path) -> anyhow::Result<()> {
        if !self.place.is_server() {
            return self.copy_file(path).await;
        }
        let place = StorePlace::file(&std::path::absolute(path)?);
        let place = place.with_context(|| format!("{} is no usable path", path.display()))?;
        // Boxed: opening a file may make a copy first.
        let copy = Box::pin(Self::open_target(&place)).await?;
        let copied = transfer(self, &copy, |_, _| {}).await;
        copy.close().await;
        copied.map(drop)
    }

    /// Lets go of what was overwritten: both databases leave old bytes where they were for a while.
    async fn forget_old_bytes(&self) -> anyhow::Result<()> {
        if self.place.is_server() { self.vacuum().await } else { self.write_anew().await }
    }

    /// A transaction beside which no other of its kind runs, in whatever process: what it reads stays so until it is over.
    async fn begin_write(&self) -> anyhow::Result<Work> {
        let statement = if self.place.is_server() { postgres::BEGIN_ALONE } else { sqlite::BEGIN };
        self.writer.begin(statement).await.map_err(|error| self.failed(&error, "begin"))
    }

    /// A transaction for statements that stay right whatever runs beside them: each row that they change says itself whether
    /// it still may be changed.
    async fn begin_beside(&self) -> anyhow::Result<Work> {
        let statement = if self.place.is_server() { postgres::BEGIN } else { sqlite::BEGIN };
        self.writer.begin(statement).await.map_err(|error| self.failed(&error, "begin"))
    }

    /// The same for what may be forgotten when the server crashes: a claim. A file is always waited for.
    async fn begin_unhurried(&self) -> anyhow::Result<Work> {
        let statement = if self.place.is_server() { postgres::BEGIN_UNHURRIED } else { sqlite::BEGIN };
        self.writer.begin(statement).await.map_err(|error| self.failed(&error, "begin"))
    }

    async fn commit(&self, transaction: Work, what: &'static str) -> anyhow::Result<()> {
        fail_points::pass(Moment::Before, what);
        transaction.commit().await.map_err(|error| self.failed(&error, what))?;
        fail_points::pass(Moment::After, what);
        Ok(())
    }

    /// One statement that is a transaction of its own. Returns how many rows it changed.
    async fn write(&self, statement: Query<'_, Any, AnyArguments>, what: &'static str) -> anyhow::Result<u64> {
        let mut writer = self.writer.acquire().await.map_err(|error| self.failed(&error, what))?;
        self.write_on(&mut writer, statement, what).await
    }

    /// The same on the connection for writing, where that is held already.
    async fn write_on(
        &self,
        writer: &mut StoreConnection,
        statement: Query<'_, Any, AnyArguments>,
        what: &'static str,
    ) -> anyhow::Result<u64> {
        fail_points::pass(Moment::Before, what);
        let done = statement.execute(writer).await.map_err(|error| self.failed(&error, what))?;
        fail_points::pass(Moment::After, what);
        Ok(done.rows_affected())
    }

    fn failed(&self, error: &sqlx::Error, what: &str) -> anyhow::Error {
        anyhow::Error::new(StoreError { place: self.place.clone(), what: what.to_owned(), reason: explain(error) })
    }
}

/// A statement that failed on an open store.
#[derive(Debug, thiserror::Error)]
#[error("store {place}: {what}: {reason}")]
pub struct StoreError {
    place: StorePlace,
    what: String,
    reason: String,
}

/// The schema of a store; `None` where there is no table of migrations, as in a new one.
async fn schema_of(connection: &mut AnyConnection) -> Result<Option<i64>, sqlx::Error> {
    let found: Result<(Option<i64>,), _> =
        sqlx::query_as("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await;
    match found {
        Ok((found,)) => Ok(found),
        Err(sqlx::Error::Database(error)) if is_missing_table(error.as_ref()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_missing_table(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.message().contains("no such table") || error.code().as_deref() == Some(postgres::UNDEFINED_TABLE)
}

/// The database's words, with what to do where a person can do something.
fn explain(error: &sqlx::Error) -> String {
    let words = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    let advice = postgres::advice(error).or_else(|| sqlite::advice(&words)).unwrap_or_default();
    format!("{words}{advice}")
}

const EARLIER_VERSION: &str = ": an earlier version wrote it, `edgar-watch run` or `once` brings it up to date";

fn explain_migration(error: &sqlx::migrate::MigrateError) -> String {
    match error {
        sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
            explain(error)
        }
        other => other.to_string(),
    }
}

fn to_micros(instant: DateTime<Utc>) -> i64 {
    instant.timestamp_micros()
}

fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

/// Somebody else's words as a text can hold them: PostgreSQL's holds no NUL.
fn shown(words: &str) -> String {
    words.replace('\0', "\u{fffd}")
}

/// Rows in one statement, where there are many. A statement for as many rows as there happen to be is
/// not kept prepared, unless they are always few.
const MOST_ROWS: usize = 200;

/// `($1, $2), ($3, $4)`
fn rows_of_placeholders(n_rows: usize, n_columns: usize) -> String {
    let row = |row: usize| (1..=n_columns).map(|n| format!("${}", row * n_columns + n)).collect::<Vec<_>>().join(", ");
    (0..n_rows).map(|n| format!("({})", row(n))).collect::<Vec<_>>().join(", ")
}

/// ` WHEN $1 THEN $2 WHEN $3 THEN $4`: a value of each row, by the first of its columns, from 1 on. A list of values to join with
/// would be walked for every row that an update looks at.
fn cases_of_placeholders(n_rows: usize, n_columns: usize, column: usize) -> String {
    let case = |row: usize| format!(" WHEN ${} THEN ${}", row * n_columns + 1, row * n_columns + column);
    (0..n_rows).map(case).collect()
}

/// `$1, $3`: the first column of each row.
fn first_placeholders(n_rows: usize, n_columns: usize) -> String {
    (0..n_rows).map(|row| format!("${}", row * n_columns + 1)).collect::<Vec<_>>().join(", ")
}

/// `$1, $2, $3`
fn placeholders(n: usize) -> String {
    (1..=n).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}
