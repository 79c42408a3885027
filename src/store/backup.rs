//! Copies of the store: taken while others write, proven to be whole, and put back.
//!
//! The keys that links are signed with lie in a file beside the store, and so they do beside a copy: without them the links
//! in mails that were sent would stop working.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection};
use url::Url;

use super::place::{KEYS, beside};
use super::sqlite::{newest_schema, prepare_folder};
use super::{OpenError, Store, StorePlace, explain, schema_of};

/// A copy that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Size of the copy of the store.
    pub size_bytes: u64,
    /// Whether there were keys beside the store to be copied with it.
    pub has_keys: bool,
}

impl Store {
    /// Writes a copy of store and keys to a file that does not exist yet. The copy is of one moment, whoever writes
    /// meanwhile, and appears only once it has been found whole. Only its owner may read it.
    ///
    /// # Errors
    /// When the file exists or cannot be written, or the copy is damaged, as the store is then.
    pub async fn back_up(&self, to: &Path) -> anyhow::Result<Backup> {
        let to_keys = &beside(to, KEYS);
        if to.exists() || to_keys.exists() {
            bail!("{} exists already: name another file", to.display());
        }
        self.copy_whole(to).await?;
        let keys = self.place.keys_file();
        let has_keys = keys.exists();
        if has_keys {
            copy_private(keys, to_keys).with_context(|| format!("{}", to_keys.display()))?;
        }
        Ok(Backup { size_bytes: std::fs::metadata(to)?.len(), has_keys })
    }

    /// A copy of the store alone, in place of one of that name.
    pub(super) async fn copy_whole(&self, to: &Path) -> anyhow::Result<()> {
        let passing = beside(to, ".tmp");
        let copied = async {
            // SQLite writes into an empty file of ours, which others may not read.
            let empty = make_private(&passing)?;
            self.copy_to(&passing).await?;
            empty.sync_all()?;
            check_whole(&passing).await?;
            std::fs::rename(&passing, to)?;
            sync_folder(to)?;
            anyhow::Ok(())
        };
        let done = copied.await.with_context(|| format!("{}", to.display()));
        if done.is_err() {
            // What is half written is of no use to anybody.
            let _ = std::fs::remove_file(&passing);
        }
        done
    }
}

/// Puts a copy in the place of the store; what was there stays beside it, under the name returned. Nobody may work on the
/// store meanwhile.
///
/// # Errors
/// When the copy is damaged, no store, a newer program's or the store itself; nothing is changed then. When a file cannot be
/// written.
pub async fn restore(place: &StorePlace, from: &Path, now: DateTime<Utc>) -> anyhow::Result<Option<PathBuf>> {
    let Some(path) = place.path() else {
        bail!("{place} is on a server: migrate-store copies a file into an empty database")
    };
    check_whole(from).await.with_context(|| format!("{}", from.display()))?;
    if path.exists() && std::fs::canonicalize(from)? == std::fs::canonicalize(&path)? {
        bail!("{} is the store itself", from.display());
    }
    let mut copy = connect_to(from, "ro").await?;
    let known = newest_schema();
    match schema_of(&mut copy).await? {
        None => bail!("{} holds no store", from.display()),
        Some(found) if found > known => {
            let place = StorePlace::file(&std::path::absolute(from)?).context("no usable path")?;
            return Err(OpenError::Newer { place, found, known }.into());
        }
        Some(_) => {}
    }
    prepare_folder(&path)?;
    // All that comes is there before anything goes. SQLite copies what lies in a log beside the copy as well.
    let coming = beside(&path, ".restoring");
    make_private(&coming)?;
    sqlx::query("VACUUM INTO $1")
        .bind(coming.to_string_lossy().into_owned())
        .execute(&mut copy)
        .await
        .map_err(|error| anyhow::anyhow!("{}: {}", coming.display(), explain(&error)))?;
    copy.close().await?;
    std::fs::File::open(&coming)?.sync_all()?;
    let (keys, coming_keys) = (beside(from, KEYS), beside(&coming, KEYS));
    let has_keys = keys.exists();
    if has_keys {
        copy_private(&keys, &coming_keys).with_context(|| format!("{}", coming_keys.display()))?;
    }
    // A name of its own for each: none takes the place of what was there first.
    let replaced = path.exists().then(|| beside(&path, &format!(".replaced-{}", now.format("%Y%m%dT%H%M%S%.3fZ"))));
    if let Some(replaced) = &replaced {
        if replaced.exists() {
            bail!("{} exists already: try again in a second", replaced.display());
        }
        // The log belongs to the file it lies beside.
        for added in ["-wal", "-shm", ""] {
            move_away(&beside(&path, added), &beside(replaced, added))?;
        }
    }
    std::fs::rename(&coming, &path).with_context(|| format!("{}", path.display()))?;
    if has_keys {
        if let Some(replaced) = &replaced {
            move_away(&beside(&path, KEYS), &beside(replaced, KEYS))?;
        }
        std::fs::rename(&coming_keys, beside(&path, KEYS))?;
    }
    sync_folder(&path)?;
    Ok(replaced)
}

/// Puts a copy of the keys of one store where another has its own, unless there are some. Whether it did.
///
/// # Errors
/// When they cannot be copied.
pub fn copy_keys(from: &StorePlace, to: &StorePlace) -> anyhow::Result<bool> {
    let (keys, copy) = (from.keys_file(), to.keys_file());
    if !keys.exists() || copy.exists() {
        return Ok(keys == copy);
    }
    prepare_folder(copy)?;
    copy_private(keys, copy).with_context(|| format!("{}", copy.display()))?;
    Ok(true)
}

/// An empty file of ours, which others may not read, in place of whatever has that name.
fn make_private(path: &Path) -> io::Result<std::fs::File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn move_away(from: &Path, to: &Path) -> anyhow::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}", from.display()))
        }
        _ => Ok(()),
    }
}

/// Copies a file for its owner alone to read, and waits until it is on the disk.
fn copy_private(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = std::fs::File::open(from)?;
    let mut copy = make_private(to)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}

/// The new name must outlive a loss of power as well.
fn sync_folder(file: &Path) -> io::Result<()> {
    std::fs::File::open(file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
        .sync_all()
}

/// SQLite looks at every page.
async fn check_whole(path: &Path) -> anyhow::Result<()> {
    let mut connection = connect_to(path, "ro").await?;
    let answer: Result<Vec<(String,)>, _> = sqlx::query_as("PRAGMA quick_check").fetch_all(&mut connection).await;
    let faults = answer.map_err(|error| anyhow::anyhow!(explain(&error)))?;
    match faults.as_slice() {
        [(word,)] if word == "ok" => Ok(()),
        faults => bail!("damaged: {}", faults.first().map_or("no answer", |(fault,)| fault.as_str())),
    }
}

async fn connect_to(path: &Path, mode: &str) -> anyhow::Result<AnyConnection> {
    sqlx::any::install_default_drivers();
    let path = std::path::absolute(path)?;
    let url = Url::from_file_path(&path).map_err(|()| anyhow::anyhow!("{} is no usable path", path.display()))?;
    let options: AnyConnectOptions = format!("sqlite://{}?mode={mode}", url.path()).parse()?;
    AnyConnection::connect_with(&options).await.map_err(|error| anyhow::anyhow!(explain(&error)))
}
