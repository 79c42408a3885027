//! Where a store is, and how it is reached.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

/// What is added to a store's name for the file with the keys.
pub(super) const KEYS: &str = ".keys";

/// Connections to a server at most, unless a configuration says otherwise.
pub const MOST_CONNECTIONS: u32 = 12;

/// A file of SQLite's, or a database on a PostgreSQL server. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct StorePlace {
    url: Url,
    password_file: Option<PathBuf>,
    max_connections: u32,
    keys_file: PathBuf,
}

impl StorePlace {
    /// A file, by its absolute path; `None` for one that no URL can name.
    pub fn file(path: &Path) -> Option<Self> {
        let url =
            Url::from_file_path(path).ok().and_then(|file| Url::parse(&format!("sqlite://{}", file.path())).ok())?;
        Some(Self { url, password_file: None, max_connections: 1, keys_file: beside(path, KEYS) })
    }

    /// A database on a server, by its `postgres://` URL. The password may lie in a file, and the keys that links are signed with
    /// do.
    pub fn server(url: Url, password_file: Option<PathBuf>, max_connections: u32, keys_file: PathBuf) -> Self {
        Self { url, password_file, max_connections, keys_file }
    }

    /// Whether both are the same, whatever is said of how to get in.
    pub fn is_same(&self, other: &Self) -> bool {
        let bare = |place: &Self| {
            let mut url = place.url.clone();
            // One without a host has none.
            let _ = url.set_password(None);
            url
        };
        bare(self) == bare(other)
    }

    /// The database file, where it is one.
    pub fn path(&self) -> Option<PathBuf> {
        (!self.is_server()).then(|| {
            // The URL was made from a file path, so it converts back.
            let file = Url::parse(&format!("file://{}", self.url.path())).ok();
            file.and_then(|url| url.to_file_path().ok()).unwrap_or_else(|| PathBuf::from(self.url.path()))
        })
    }

    /// Whether several machines can share it.
    pub fn is_server(&self) -> bool {
        self.url.scheme() != "sqlite"
    }

    /// The file with the keys that links are signed with.
    pub fn keys_file(&self) -> &Path {
        &self.keys_file
    }

    /// Connections at most.
    pub(super) fn max_connections(&self) -> u32 {
        self.max_connections
    }

    /// The URL to connect with, its password put in.
    ///
    /// # Errors
    /// When the file with the password cannot be read.
    pub(super) fn connect_url(&self) -> Result<Url, String> {
        let mut url = self.url.clone();
        if let Some(file) = &self.password_file {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let password = text.lines().next().unwrap_or_default();
            // It has a host, so it takes a password.
            let _ = url.set_password(Some(password));
        }
        Ok(url)
    }
}

/// The path of a file; of a server no password and no parameters.
impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{}", path.display()),
            None => {
                let mut shown = self.url.clone();
                let _ = shown.set_password(None);
                shown.set_query(None);
                write!(f, "{shown}")
            }
        }
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePlace({self})")
    }
}

/// The file's name with something added.
pub(super) fn beside(path: &Path, added: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(added);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_shown_without_password_and_parameters() {
        let url = Url::parse("postgres://ew:secret@db.example.com:5433/edgar?sslmode=verify-full").expect("a URL");
        let place = StorePlace::server(url, None, 4, PathBuf::from("/etc/keys"));
        assert_eq!(place.to_string(), "postgres://ew@db.example.com:5433/edgar");
        assert_eq!(format!("{place:?}"), "StorePlace(postgres://ew@db.example.com:5433/edgar)");
        assert_eq!((place.path(), place.is_server()), (None, true));
    }

    #[test]
    fn a_file_keeps_its_path_whatever_is_in_it() {
        let place = StorePlace::file(Path::new("/var/lib/a b#c/state.db")).expect("a path");
        assert_eq!(place.path(), Some(PathBuf::from("/var/lib/a b#c/state.db")));
        assert_eq!(place.to_string(), "/var/lib/a b#c/state.db");
        assert_eq!(place.keys_file(), Path::new("/var/lib/a b#c/state.db.keys"));
    }
}
