//! Files that are there whole or not at all.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes a file under a passing name beside its own, and gives it its name once it is on the disk: whoever reads it sees
/// the old one or the new one. The same file written twice leaves nothing else behind.
///
/// # Errors
/// When the folder is missing or full, or may not be written.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    write_whole_with(path, bytes, mode, || {})
}

/// The same; `before_naming` is called when the bytes are on the disk under the passing name.
///
/// # Errors
/// Those of [`write_whole`].
pub fn write_whole_with(path: &Path, bytes: &[u8], mode: u32, before_naming: impl FnOnce()) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let passing = folder.join(format!(".{name}.tmp"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&passing)?;
    // Whatever the umask is.
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    before_naming();
    std::fs::rename(&passing, path)
}
