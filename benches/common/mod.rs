//! Invented documents that several benches read.

use edgar_watch::demo::edgar::Archive;
use edgar_watch::demo::{file_determination, invented_archive};

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
