//! Random bytes as HTML and as plain text: what comes out is normalised, whatever went in.

#![no_main]

use edgar_watch::text::{html_to_text, plain_to_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for text in [html_to_text(bytes), plain_to_text(bytes)] {
        assert!(!text.contains(['\r', '\0', '\u{a0}']), "{text:?}");
    }
});
