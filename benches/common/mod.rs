//! What several benches read: real documents where `../shared` has them, else invented ones.

use std::path::{Path, PathBuf};

use edgar_watch::demo::edgar::Archive;
use edgar_watch::demo::{file_determination, invented_archive};

/// Files below a folder of `../shared/edgar`, in the order of their names; none where there is no such folder.
pub fn real_files(folder: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/edgar").join(folder), &mut paths);
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, paths) } else { paths.push(path) }
    }
}

/// The submissions of the invented archive.
pub fn invented_submissions() -> Vec<Vec<u8>> {
    let mut files: Vec<(String, Vec<u8>)> = invented_archive().files.into_iter().collect();
    files.retain(|(path, bytes)| path.contains("/data/") && bytes.starts_with(b"<SEC-DOCUMENT>"));
    // Each stands at two addresses.
    files.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    files.dedup_by(|a, b| a.1 == b.1);
    files.into_iter().map(|(_, bytes)| bytes).collect()
}

/// A page of the feed with this many invented entries.
pub fn feed_page(n_entries: usize) -> Vec<u8> {
    let mut archive = Archive::default();
    let first: chrono::DateTime<chrono::Utc> = "2026-03-18T14:00:00Z".parse().expect("an instant");
    for n in 0..n_entries as u64 {
        file_determination(&mut archive, n, first + chrono::Duration::seconds(n as i64));
    }
    archive.feed_page("8-K", 0, n_entries).expect("a page").into_bytes()
}

/// Bytes in all.
pub fn size(files: &[impl AsRef<[u8]>]) -> usize {
    files.iter().map(|file| file.as_ref().len()).sum()
}
