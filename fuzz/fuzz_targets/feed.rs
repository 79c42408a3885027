//! Random bytes as a page of the feed: nothing panics, and a page that is read counts every entry it holds.

#![no_main]

use edgar_watch::edgar::feed::parse_feed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(page) = parse_feed(bytes) {
        assert!(page.n_entries() >= page.entries.len());
        assert!(page.entries.iter().all(|entry| !entry.form.as_str().is_empty()));
    }
});
