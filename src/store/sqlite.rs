//! What is SQLite's own: the file, its lock, and the copy that is kept before its schema is changed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, Connection};

use super::connection::Pool;
use super::place::beside;
use super::{EARLIER_VERSION, MIGRATE, OpenError, Opening, Store, StorePlace, explain, explain_migration, schema_of};
use crate::fail_points::{self, Moment};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations/sqlite");

/// Opens a write transaction: it takes the write lock at once, so that one which has read can never fail later for want of it.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Opens a transaction that reads: from its first statement on it sees the file as it was then.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN";

/// Connections that read.
const READERS: u32 = 3;

/// What is said of a file that no other try will open.
const DAMAGED: &str = ": the file is damaged, restore it from a backup";

pub(super) async fn open(place: &StorePlace, opening: Opening) -> Result<Store, OpenError> {
    let Some(path) = place.path() else { return Err(fault(place, "is no file".to_owned())) };
    let unusable = |reason: String| fault(place, reason);
    match opening {
        Opening::Make => prepare_folder(&path).map_err(|error| unusable(format!("{error:#}")))?,
        Opening::Existing if !path.exists() => return Err(OpenError::Absent { place: place.clone() }),
        Opening::Existing => {}
    }
    let mut connect = place.connect_url().map_err(unusable)?;
    connect.set_query(Some(if opening == Opening::Make { "mode=rwc" } else { "mode=rw" }));
    let options: AnyConnectOptions =
        connect.as_str().parse().map_err(|error: sqlx::Error| unusable(error.to_string()))?;
    // The first connection is made by hand: the pool would try again until its time is up and hide the reason.
    let mut first = AnyConnection::connect_with(&options).await.map_err(|error| unusable(explain(&error)))?;
    prepare_connection(&mut first).await.map_err(|error| unusable(explain(&error)))?;
    let found = schema_of(&mut first).await.map_err(|error| unusable(explain(&error)))?;
    first.close().await.map_err(|error| unusable(explain(&error)))?;
    let known = newest_schema();
    if let Some(found) = found.filter(|found| *found > known) {
        return Err(OpenError::Newer { place: place.clone(), found, known });
    }
    let pool_of = async |n_connections| {
        let pool = AnyPoolOptions::new()
            .max_connections(n_connections)
            .acquire_timeout(Duration::from_secs(30))
            // A connection that works is kept: on a full disk a new one could not be prepared.
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|connection, _| Box::pin(prepare_connection(connection)))
            .connect_with(options.clone());
        let pool = pool.await.map_err(|error| unusable(explain(&error)))?;
        Ok::<_, OpenError>(Pool::new(pool, options.clone(), None))
    };
    let (pool, writer) = (pool_of(READERS).await?, pool_of(1).await?);
    let store = Store::of(place, pool, writer.clone(), writer);
    if opening == Opening::Make {
        if let Some(found) = found.filter(|found| *found < known) {
            store.keep_before_upgrade(&path, found).await.map_err(|error| unusable(format!("{error:#}")))?;
        }
        fail_points::pass(Moment::Before, MIGRATE);
        MIGRATIONS.run(store.writer.unlimited()).await.map_err(|error| unusable(explain_migration(&error)))?;
        fail_points::pass(Moment::After, MIGRATE);
        settle_upgrade(&path).map_err(|error| unusable(error.to_string()))?;
    }
    Ok(store)
}

fn fault(place: &StorePlace, reason: String) -> OpenError {
    let place = place.clone();
    if reason.ends_with(DAMAGED) { OpenError::Broken { place, reason } } else { OpenError::Unusable { place, reason } }
}

impl Store {
    /// Writes a copy of the whole store to a file that does not exist yet.
    pub(super) async fn copy_file(&self, path: &Path) -> anyhow::Result<()> {
        let statement = sqlx::query("VACUUM INTO $1").bind(path.to_string_lossy().into_owned());
        self.write(statement, "copy").await?;
        Ok(())
    }

    /// Writes the whole store anew: SQLite leaves old bytes in the pages it lets go of, and in its log.
    pub(super) async fn write_anew(&self) -> anyhow::Result<()> {
        self.write(sqlx::query("VACUUM"), "write the store anew").await?;
        self.write(sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)"), "fold the log in").await?;
        Ok(())
    }

    /// Keeps the one copy of the store as the version before left it, so that there is a way back.
    async fn keep_before_upgrade(&self, path: &Path, schema: i64) -> anyhow::Result<()> {
        let (copy, kept) = (beside(path, ".upgrading"), beside(path, ".before-upgrade"));
        // One that is there already is of an upgrade that broke off: it shows the store as it was before.
        if !copy.exists() {
            let made = self.copy_whole(&copy).await;
            made.context("no copy of the store could be made, which an upgrade begins with")?;
        }
        tracing::info!("the store has schema {schema} and is brought up to date; a copy is kept as {}", kept.display());
        Ok(())
    }
}

/// The copy gets its lasting name once the upgrade is through.
fn settle_upgrade(path: &Path) -> std::io::Result<()> {
    match std::fs::rename(beside(path, ".upgrading"), beside(path, ".before-upgrade")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The size of the file, its write-ahead log included.
pub(super) fn size_bytes(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    size(path) + size(&beside(path, "-wal"))
}

pub(super) fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// A lock that says "one process polls and delivers on this store". It goes with the process, however that ends.
#[derive(Debug)]
pub struct StoreLock {
    _file: Option<std::fs::File>,
}

/// Takes the lock; `None` when another process holds it.
///
/// # Errors
/// When the lock file cannot be made.
pub fn try_lock(place: &StorePlace) -> anyhow::Result<Option<StoreLock>> {
    // Of several on a server, its members agree who polls.
    let Some(path) = place.path() else { return Ok(Some(StoreLock { _file: None })) };
    let path = beside(&path, ".lock");
    prepare_folder(&path)?;
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("lock file {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(StoreLock { _file: Some(file) })),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => bail!("lock file {}: {error}", path.display()),
    }
}

/// Whether a process holds the lock, as the kernel lists it (proc_locks(5)): nobody is kept from taking it meanwhile. `None`
/// where that cannot be seen.
pub fn is_locked(place: &StorePlace) -> Option<bool> {
    use std::os::unix::fs::MetadataExt;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let Ok(file) = std::fs::metadata(beside(&place.path()?, ".lock")) else { return Some(false) };
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

/// The name of the user whom the store belongs to, where that is another than this process's. A store that is yet to be made
/// belongs to whom its folder does, if root would make it: others may share a folder.
pub fn foreign_owner(place: &StorePlace) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let path = place.path()?;
    let me = rustix::process::geteuid().as_raw();
    let owner = match std::fs::metadata(&path) {
        Ok(file) => file.uid(),
        Err(_) if me == 0 => std::fs::metadata(path.parent()?).ok()?.uid(),
        Err(_) => return None,
    };
    let name = || uzers::get_user_by_uid(owner).map(|user| user.name().to_string_lossy().into_owned());
    (owner != me).then(|| name().unwrap_or_else(|| format!("#{owner}")))
}

pub(super) fn prepare_folder(file: &Path) -> anyhow::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}

/// What a person can do about SQLite's words.
pub(super) fn advice(words: &str) -> Option<&'static str> {
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
        EARLIER_VERSION
    } else {
        return None;
    };
    Some(advice)
}
