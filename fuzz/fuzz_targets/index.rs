//! Random bytes as each kind of index: nothing panics, and no row is made of more than was there.

#![no_main]

use edgar_watch::edgar::daily_index::{parse_listing, parse_master};
use edgar_watch::edgar::index_page::parse_index_page;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let n_lines = bytes.split(|byte| *byte == b'\n').count();
    if let Ok(file) = parse_master(bytes, |_| true) {
        assert!(file.rows.len() + file.n_bad <= n_lines);
    }
    let _ = parse_listing(bytes);
    let _ = parse_index_page(bytes);
});
