//! The store: the only SQL in the program.
//!
//! One set of statements serves SQLite now and PostgreSQL later: `$n` placeholders, only 64-bit integers, text and
//! bytes, `ON CONFLICT` and `RETURNING`. What differs between the two is in this file.

mod backup;
mod budget;
mod counters;
mod facts;
mod feed_queries;
mod filings;
mod keys;
mod ledger;
mod letters;
mod outbox;
mod prune;
mod sent;
mod subscriptions;
mod watched;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Transaction};
use url::Url;

use crate::fail_points::{self, Moment};

pub use backup::{Backup, restore};
pub use budget::BudgetState;
pub use counters::OpenWork;
pub use feed_queries::FeedQueryState;
pub use filings::{
    FilingState, FilingSummary, NewFiling, Queue, QueuedFiling, ReadFiling, Sightings, Source, StoredDocument,
};
pub use ledger::{DayCounts, DayIndex, DayState, LedgerDay, LedgerSpan};
pub use letters::Linked;
pub use outbox::{
    AlertRow, Attempt, CarriedNotice, Consequences, DigestMail, DueMessage, MessageRow, MessageState, MessageTotals,
    NewNotice, NoticeRow, OnceMail, Released, Withheld, Written,
};
use sent::SentMail;
pub use subscriptions::{
    NewSubscription, Silence, SilencedAddress, SubscriptionRow, SubscriptionState, Which, new_subscription_id,
};
pub use watched::{PinnedTicker, Watched, WatchedIssuers};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations/sqlite");

/// Statement that opens a write transaction on SQLite: it takes the write lock at once, so that a transaction
/// which has read can never fail later for want of it.
const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// Connections that read.
const READERS: u32 = 3;

/// What is added to the store's name for the file with the keys.
const KEYS: &str = ".keys";

/// The fail-point of bringing the schema up to date.
const MIGRATE: &str = "bring the schema up to date";

/// A handle on the store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    /// For reading.
    pool: AnyPool,
    /// For writing. SQLite has one writer at a time and lets those that wait for another connection's sleep for milliseconds;
    /// and what one connection writes, all others read from the disk again.
    writer: AnyPool,
    path: PathBuf,
    /// Mails that were taken, until the next commit.
    sent: Arc<Mutex<Vec<SentMail>>>,
}

/// The store cannot be used, for a reason that a caller tells apart.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer program wrote it.
    #[error("{} has schema {found}, this program knows up to {known}: not opened", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// It is damaged, or no database.
    #[error("store {}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How, and what to do.
        reason: String,
    },
    /// Anything else: missing rights, a full disk.
    #[error("store {}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why, and what to do where that is known.
        reason: String,
    },
}

/// What is said of a file that no other try will open.
const DAMAGED: &str = ": the file is damaged, restore it from a backup";

impl OpenError {
    fn of(path: &Path, reason: String) -> Self {
        let path = path.to_owned();
        if reason.ends_with(DAMAGED) { Self::Damaged { path, reason } } else { Self::Unusable { path, reason } }
    }
}

impl Store {
    /// Opens the store and brings its schema up to date, creating it where there is none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(url: &Url) -> Result<Self, OpenError> {
        Self::open_with(url, true).await
    }

    /// Opens an existing store without changing it.
    ///
    /// # Errors
    /// [`OpenError`], also when there is none.
    pub async fn open_existing(url: &Url) -> Result<Self, OpenError> {
        Self::open_with(url, false).await
    }

    async fn open_with(url: &Url, create: bool) -> Result<Self, OpenError> {
        let path = store_path(url);
        let unusable = |reason: String| OpenError::of(&path, reason);
        if create {
            prepare_folder(&path).map_err(|error| unusable(format!("{error:#}")))?;
        } else if !path.exists() {
            return Err(unusable("there is none yet: `edgar-watch run` or `once` creates it".to_owned()));
        }
        sqlx::any::install_default_drivers();
        let mut connect = url.clone();
        connect.set_query(Some(if create { "mode=rwc" } else { "mode=rw" }));
        let options: AnyConnectOptions =
            connect.as_str().parse().map_err(|error: sqlx::Error| unusable(error.to_string()))?;
        // The first connection is made by hand: the pool would try again until its time is up and hide the reason.
        let mut first = AnyConnection::connect_with(&options).await.map_err(|error| unusable(explain(&error)))?;
        prepare_connection(&mut first).await.map_err(|error| unusable(explain(&error)))?;
        first.close().await.map_err(|error| unusable(explain(&error)))?;
        let pool_of = async |n_connections| {
            let pool = AnyPoolOptions::new()
                .max_connections(n_connections)
                .acquire_timeout(Duration::from_secs(30))
                // A connection that works is kept: on a full disk a new one could not be prepared.
                .idle_timeout(None)
                .max_lifetime(None)
                .after_connect(|connection, _| Box::pin(prepare_connection(connection)))
                .connect_with(options.clone());
            pool.await.map_err(|error| unusable(explain(&error)))
        };
        let (pool, writer) = (pool_of(READERS).await?, pool_of(1).await?);
        let store = Self { pool, writer, path: path.clone(), sent: Arc::default() };
        let found = store.refuse_newer().await?;
        if create {
            if let Some(found) = found.filter(|found| *found < newest_schema()) {
                store.keep_before_upgrade(found).await.map_err(|error| unusable(format!("{error:#}")))?;
            }
            fail_points::pass(Moment::Before, MIGRATE);
            SQLITE_MIGRATIONS.run(&store.writer).await.map_err(|error| unusable(explain_migration(&error)))?;
            fail_points::pass(Moment::After, MIGRATE);
            store.settle_upgrade().map_err(|error| unusable(error.to_string()))?;
        }
        Ok(store)
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes every connection; the write-ahead log is folded in.
    pub async fn close(&self) {
        self.pool.close().await;
        self.writer.close().await;
    }

    /// The size of the store on disk, the write-ahead log included.
    pub fn size_bytes(&self) -> u64 {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        size(&self.path) + size(&beside(&self.path, "-wal"))
    }

    /// Writes a copy of the whole store to a file that does not exist yet.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub async fn copy_to(&self, path: &Path) -> anyhow::Result<()> {
        let statement = sqlx::query("VACUUM INTO $1").bind(path.to_string_lossy().into_owned());
        self.write(statement, "copy").await?;
        Ok(())
    }

    /// Writes the whole store anew: SQLite leaves old bytes in the pages it lets go of, and in its log.
    async fn forget_old_bytes(&self) -> anyhow::Result<()> {
        self.write(sqlx::query("VACUUM"), "write the store anew").await?;
        self.write(sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)"), "fold the log in").await?;
        Ok(())
    }

    /// The schema found; `None` in a new store.
    async fn refuse_newer(&self) -> Result<Option<i64>, OpenError> {
        let unusable = |reason: String| OpenError::of(&self.path, reason);
        let mut connection = self.pool.acquire().await.map_err(|error| unusable(explain(&error)))?;
        let found = schema_of(&mut connection).await.map_err(|error| unusable(error.to_string()))?;
        let known = newest_schema();
        match found {
            Some(found) if found > known => Err(OpenError::Newer { path: self.path.clone(), found, known }),
            found => Ok(found),
        }
    }

    /// Keeps the one copy of the store as the version before left it, so that there is a way back.
    async fn keep_before_upgrade(&self, schema: i64) -> anyhow::Result<()> {
        let (copy, kept) = (beside(&self.path, ".upgrading"), beside(&self.path, ".before-upgrade"));
        // One that is there already is of an upgrade that broke off: it shows the store as it was before.
        if !copy.exists() {
            let made = self.copy_whole(&copy).await;
            made.context("no copy of the store could be made, which an upgrade begins with")?;
        }
        tracing::info!("the store has schema {schema} and is brought up to date; a copy is kept as {}", kept.display());
        Ok(())
    }

    /// The copy gets its lasting name once the upgrade is through.
    fn settle_upgrade(&self) -> std::io::Result<()> {
        match std::fs::rename(beside(&self.path, ".upgrading"), beside(&self.path, ".before-upgrade")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn begin_write(&self) -> anyhow::Result<Transaction<'static, Any>> {
        self.writer.begin_with(BEGIN_WRITE).await.map_err(|error| self.failed(&error, "begin"))
    }

    async fn commit(&self, transaction: Transaction<'static, Any>, what: &'static str) -> anyhow::Result<()> {
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
        writer: &mut AnyConnection,
        statement: Query<'_, Any, AnyArguments>,
        what: &'static str,
    ) -> anyhow::Result<u64> {
        fail_points::pass(Moment::Before, what);
        let done = statement.execute(writer).await.map_err(|error| self.failed(&error, what))?;
        fail_points::pass(Moment::After, what);
        Ok(done.rows_affected())
    }

    fn failed(&self, error: &sqlx::Error, what: &str) -> anyhow::Error {
        anyhow::Error::new(StoreError { path: self.path.clone(), what: what.to_owned(), reason: explain(error) })
    }
}

/// A statement that failed on an open store.
#[derive(Debug, thiserror::Error)]
#[error("store {}: {what}: {reason}", path.display())]
pub struct StoreError {
    path: PathBuf,
    what: String,
    reason: String,
}

/// A lock that says "one process polls and delivers on this store". It goes with the process, however that ends.
#[derive(Debug)]
pub struct StoreLock {
    _file: std::fs::File,
}

/// Takes the lock; `None` when another process holds it.
///
/// # Errors
/// When the lock file cannot be made.
pub fn try_lock(store_url: &Url) -> anyhow::Result<Option<StoreLock>> {
    let path = beside(&store_path(store_url), ".lock");
    prepare_folder(&path)?;
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("lock file {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(StoreLock { _file: file })),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => bail!("lock file {}: {error}", path.display()),
    }
}

fn newest_schema() -> i64 {
    SQLITE_MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The schema of a store; `None` where there is no table of migrations, as in a new one.
async fn schema_of(connection: &mut AnyConnection) -> anyhow::Result<Option<i64>> {
    let found: Result<(Option<i64>,), _> =
        sqlx::query_as("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await;
    match found {
        Ok((found,)) => Ok(found),
        Err(error) if error.to_string().contains("no such table") => Ok(None),
        Err(error) => bail!("{}", explain(&error)),
    }
}

/// Whether a process holds the lock, as the kernel lists it (proc_locks(5)): nobody is kept from taking it meanwhile. `None`
/// where that cannot be seen.
pub fn is_locked(store_url: &Url) -> Option<bool> {
    use std::os::unix::fs::MetadataExt;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let Ok(file) = std::fs::metadata(beside(&store_path(store_url), ".lock")) else { return Some(false) };
    // Some file systems tell the kernel another device than they tell us: the file's number has to do.
    let number = format!(":{}", file.ino());
    let is_ours = |line: &str| line.contains("FLOCK") && line.split_whitespace().any(|word| word.ends_with(&number));
    Some(locks.lines().any(is_ours))
}

/// What every SQLite connection needs: waiting for locks, a write-ahead log, and every commit on the disk.
async fn prepare_connection(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for pragma in [
        "PRAGMA busy_timeout = 10000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ] {
        sqlx::raw_sql(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The file's name with something added.
fn beside(path: &Path, added: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(added);
    PathBuf::from(name)
}

fn store_path(url: &Url) -> PathBuf {
    // The path was made from a file path, so it converts back.
    Url::parse(&format!("file://{}", url.path()))
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .unwrap_or_else(|| PathBuf::from(url.path()))
}

/// The name of the user whom the store belongs to, where that is another than this process's. A store that is yet to be made
/// belongs to whom its folder does, if root would make it: others may share a folder.
pub fn foreign_owner(url: &Url) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let path = store_path(url);
    let me = rustix::process::geteuid().as_raw();
    let owner = match std::fs::metadata(&path) {
        Ok(file) => file.uid(),
        Err(_) if me == 0 => std::fs::metadata(path.parent()?).ok()?.uid(),
        Err(_) => return None,
    };
    let name = || uzers::get_user_by_uid(owner).map(|user| user.name().to_string_lossy().into_owned());
    (owner != me).then(|| name().unwrap_or_else(|| format!("#{owner}")))
}

fn prepare_folder(file: &Path) -> anyhow::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}

/// SQLite's words, with what to do where a person can do something.
fn explain(error: &sqlx::Error) -> String {
    let words = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    let advice = if words.contains("readonly") {
        ": the file or its folder may not be written by this user"
    } else if words.contains("unable to open database file") {
        ": its folder is missing or may not be written by this user"
    } else if words.contains("disk is full") || words.contains("disk I/O") {
        ": make room on its disk"
    } else if words.contains("is locked") {
        ": another program holds it"
    } else if words.contains("malformed") || words.contains("not a database") {
        DAMAGED
    } else if words.contains("no such table") || words.contains("no such column") {
        ": an earlier version wrote it, `edgar-watch run` or `once` brings it up to date"
    } else {
        ""
    };
    format!("{words}{advice}")
}

fn explain_migration(error: &sqlx::migrate::MigrateError) -> String {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => explain(error),
        other => other.to_string(),
    }
}

fn to_micros(instant: DateTime<Utc>) -> i64 {
    instant.timestamp_micros()
}

fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
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
