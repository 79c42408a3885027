//! What a letter is about, told from words where no rule is cited.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::Basis;
use super::patterns::{PatternSource, Sifted};

#[derive(Deserialize)]
struct File {
    phrase: Vec<PatternSource<Basis>>,
}

static PHRASES: LazyLock<Sifted<Basis>> = LazyLock::new(|| {
    // The file is part of the program; a test reads it.
    let file: File = toml::from_str(include_str!("patterns/bases.toml")).expect("a constant of this module");
    Sifted::compile(file.phrase, &BTreeMap::new())
});

/// The bases whose words stand in `text`, in the order of their first words.
pub fn find_bases(text: &str) -> Vec<Basis> {
    let mut found: Vec<(usize, Basis)> =
        PHRASES.find_first_in(text).map(|(phrase, found)| (found.start(), phrase.source.signal)).collect();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, basis)| basis).collect()
}

#[cfg(test)]
mod tests {
    use super::super::patterns::assert_examples;
    use super::*;

    #[test]
    fn every_phrase_finds_its_examples_and_no_near_miss() {
        assert_examples(PHRASES.patterns());
    }
}
