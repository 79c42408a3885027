//! Random text as a configuration: it is refused with words or taken, and what is taken can be used.

#![no_main]

use std::path::Path;

use edgar_watch::config::{EXAMPLE, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // Alone, and after a file that is good: most texts would be refused for what they lack.
    for text in [text.to_string(), format!("{EXAMPLE}\n{text}")] {
        match parse(&text, "config.toml", Path::new("/etc/edgar-watch")) {
            Ok(settings) => assert!(settings.pace.per_second() > 0),
            Err(error) => assert!(!error.faults().is_empty()),
        }
    }
});
