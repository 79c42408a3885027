//! A folder of mail: one `.eml` file each, named by its Message-ID, complete the moment it appears.

use std::path::{Path, PathBuf};

use super::{DeliveryError, Envelope};
use crate::fail_points::{self, Moment};
use crate::files::write_whole_with;

/// The fail-point of a mail that appears in its folder.
const RENAME: &str = "rename a mail";

pub(super) async fn write(folder: &Path, envelope: Envelope<'_>, bytes: &[u8]) -> Result<String, DeliveryError> {
    let path = folder.join(file_name(envelope.message_id));
    let (folder, bytes) = (folder.to_owned(), bytes.to_owned());
    let written = tokio::task::spawn_blocking(move || persist(&folder, &path, &bytes).map(|()| path)).await;
    match written {
        Ok(Ok(path)) => Ok(format!("written to {}", path.display())),
        Ok(Err(error)) => Err(DeliveryError::Unreachable(format!("mail folder: {error}"))),
        Err(error) => Err(DeliveryError::Transient(format!("mail folder: {error}"))),
    }
}

/// Whether mail can be written here.
pub(super) fn look(folder: &Path) -> Result<(), DeliveryError> {
    std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::tempfile_in(folder).map(drop))
        .map_err(|error| DeliveryError::Unreachable(format!("mail folder {}: {error}", folder.display())))
}

/// The same mail written twice lands on the same names, the passing one too: a repeat after a crash replaces what was
/// left, and nothing else remains.
fn persist(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // For nobody else to read, as a mailbox is.
    write_whole_with(path, bytes, 0o600, || fail_points::pass(Moment::Before, RENAME))?;
    fail_points::pass(Moment::After, RENAME);
    std::fs::File::open(folder)?.sync_all()
}

fn file_name(message_id: &str) -> PathBuf {
    let safe: String = message_id
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@') { c } else { '_' })
        .collect();
    PathBuf::from(format!("{}.eml", safe.trim_start_matches('.')))
}
