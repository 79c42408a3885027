//! What a letter is about, told from words where no rule is cited.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::Basis;

#[derive(Deserialize)]
struct File {
    phrase: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[cfg_attr(not(test), expect(dead_code))]
    name: String,
    signal: Basis,
    regex: String,
    #[cfg_attr(not(test), expect(dead_code))]
    matches: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code))]
    near_misses: Vec<String>,
}

static PHRASES: LazyLock<Vec<(Entry, Regex)>> = LazyLock::new(|| {
    // The file is part of the program; a test reads it.
    let file: File = toml::from_str(include_str!("patterns/bases.toml")).expect("a constant of this module");
    let compile = |entry: Entry| {
        // Every phrase is compiled by a test.
        let regex = Regex::new(&format!("(?i){}", entry.regex)).expect("a constant of this module");
        (entry, regex)
    };
    file.phrase.into_iter().map(compile).collect()
});

/// The bases whose words stand in `text`, in the order of their first words.
pub fn find_bases(text: &str) -> Vec<Basis> {
    let mut found: Vec<(usize, Basis)> =
        PHRASES.iter().filter_map(|(entry, regex)| regex.find(text).map(|m| (m.start(), entry.signal))).collect();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, basis)| basis).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrase_finds_its_examples_and_no_near_miss() {
        for (entry, regex) in PHRASES.iter() {
            assert!(!entry.matches.is_empty() && !entry.near_misses.is_empty(), "{} has no examples", entry.name);
            for text in &entry.matches {
                assert!(regex.is_match(text), "{} misses {text:?}", entry.name);
            }
            for text in &entry.near_misses {
                assert!(!regex.is_match(text), "{} takes {text:?}", entry.name);
            }
        }
    }
}
