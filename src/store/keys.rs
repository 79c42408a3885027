//! The keys of signed tokens: a systemd credential, or a file beside the store that is made on first need. Not in the
//! store: who has a copy of that must not be able to unsubscribe everyone in it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;

use super::Store;
use super::sqlite::prepare_folder;
use crate::fail_points::{self, Moment};
use crate::tokens::Keys;

/// The name of the credential (systemd.exec(5), LoadCredential=).
const CREDENTIAL: &str = "token-secret";
/// The fact that remembers the keys by what tells them from others.
const KNOWN_KEYS: &str = "token_keys";
const SECRET_BYTES: usize = 32;
const MAKE: &str = "make the token keys";

impl Store {
    /// Reads the keys, and makes a file with one where there is none.
    ///
    /// # Errors
    /// When they cannot be read or written, or are no keys.
    pub fn token_keys(&self) -> anyhow::Result<Keys> {
        let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(CREDENTIAL));
        match credential.filter(|file| file.is_file()) {
            Some(credential) => read(&credential),
            None => read_or_make(self.place.keys_file()),
        }
    }

    /// The same for a command beside the daemon: keys other than those the store was used with are refused, and none are
    /// made where there were some. A daemon may have them as a credential that the command does not see.
    ///
    /// # Errors
    /// When they cannot be read, or are others.
    pub async fn known_token_keys(&self, now: DateTime<Utc>) -> anyhow::Result<Keys> {
        let known = self.fact(KNOWN_KEYS).await?.map(|(known, _)| known);
        let is_here = std::env::var_os("CREDENTIALS_DIRECTORY").is_some() || self.place.keys_file().exists();
        if known.is_some() && !is_here {
            bail!(
                "{} is not there, and the service has other keys: give this command the same (docs/SUBSCRIPTIONS.md, Keys)",
                self.place.keys_file().display()
            );
        }
        let keys = self.token_keys()?;
        self.check_token_keys(&keys, now).await?;
        Ok(keys)
    }

    /// Lets the store be used with any keys: for a copy that nothing is sent from.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn forget_token_keys(&self) -> anyhow::Result<()> {
        self.clear_fact(KNOWN_KEYS).await
    }

    /// Refuses keys none of which the store was used with; remembers them.
    ///
    /// # Errors
    /// When they are others, or the store fails.
    pub async fn check_token_keys(&self, keys: &Keys, now: DateTime<Utc>) -> anyhow::Result<()> {
        let own = keys.fingerprints();
        let known = self.fact(KNOWN_KEYS).await?.map(|(known, _)| known);
        if let Some(known) = &known
            && !known.split(' ').any(|known| own.iter().any(|own| own == known))
        {
            bail!(
                "the token keys are none of those that links in mails were signed with so far: \
                 bring {} back, or the credential {CREDENTIAL}",
                self.place.keys_file().display()
            );
        }
        let own = own.join(" ");
        if known.as_ref() != Some(&own) {
            self.set_fact(KNOWN_KEYS, &own, now).await?;
        }
        Ok(())
    }
}

fn read_or_make(file: &Path) -> anyhow::Result<Keys> {
    if !file.exists() {
        make(file).with_context(|| format!("token keys {}", file.display()))?;
    }
    read(file)
}

fn read(file: &Path) -> anyhow::Result<Keys> {
    let text = std::fs::read_to_string(file).with_context(|| format!("token keys {}", file.display()))?;
    Keys::parse(&text).map_err(|fault| anyhow!("token keys {}: {fault}", file.display()))
}

/// Complete the moment it appears; of two processes the first wins.
fn make(file: &Path) -> anyhow::Result<()> {
    prepare_folder(file)?;
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|error| anyhow!("no randomness: {error}"))?;
    // Only its owner may read a temporary file.
    let mut new = tempfile::NamedTempFile::new_in(file.parent().unwrap_or_else(|| Path::new(".")))?;
    writeln!(
        new,
        "# Signs the links in mails. Keep it: without it the links in mails that were sent stop working.\n\
         # The first key signs. To change it, put a new line \"id key\" before the old one.\nk1 {}",
        HEXLOWER.encode(&secret)
    )?;
    new.as_file().sync_all()?;
    fail_points::pass(Moment::Before, MAKE);
    match new.persist_noclobber(file) {
        Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.error.into()),
        _ => {}
    }
    if let Some(folder) = file.parent() {
        // The name must outlive a loss of power as well.
        std::fs::File::open(folder)?.sync_all()?;
    }
    fail_points::pass(Moment::After, MAKE);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_for_their_owner_alone() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("state.db.keys");
        let first = read_or_make(&file).expect("keys").erased("a@example.com");
        assert_eq!(read_or_make(&file).expect("keys").erased("a@example.com"), first, "they stay the same");
        assert_eq!(std::fs::metadata(&file).expect("the file").mode() & 0o777, 0o600);
    }
}
