//! Random bytes as a document: it becomes text and is classified, and what is quoted stands in the text.
//!
//! `cargo +nightly fuzz run classify CORPUS src/demo/archive -- -max_len=8000 -timeout=60` from the repository.

#![no_main]

use edgar_watch::classify::{DocumentContext, classify};
use edgar_watch::text::to_text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = to_text(bytes);
    let context = DocumentContext { form: Some("8-K"), filed: "2007-03-08".parse().ok(), ..DocumentContext::default() };
    for event in classify(&text, &context).events {
        assert!((0.0..=1.0).contains(&event.confidence));
        for evidence in event.evidence {
            let words: String = text.chars().skip(evidence.start).take(evidence.end - evidence.start).collect();
            assert_eq!(words, evidence.text);
        }
    }
});
