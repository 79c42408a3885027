//! Patterns as data: what a lawyer can read, compiled once, each with examples that it must find and near misses that it
//! must not. Those of the program lie in `patterns/`; a user can add some in the configuration.

use std::collections::BTreeMap;

use regex::RegexBuilder;
use serde::Deserialize;

use super::matcher::{Found, Matcher};
use super::sieve::Sieve;

/// A pattern as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternSource<S> {
    /// Stable, used in evidence and explanations.
    pub name: String,
    /// What it shows.
    pub signal: S,
    /// A regular expression; case does not matter, `~` is at most 70 characters of anything.
    pub regex: String,
    /// It counts even where "may" or "could" stands before it.
    #[serde(default)]
    pub modal: bool,
    /// Sentences that it must find.
    pub matches: Vec<String>,
    /// Sentences that it must not find.
    pub near_misses: Vec<String>,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern<S> {
    /// As written.
    pub source: PatternSource<S>,
    /// Compiled, without regard to case.
    pub regex: Matcher,
}

/// A pattern of this many bytes once compiled is refused: it would slow every sentence down.
const MAX_COMPILED_BYTES: usize = 2 << 20;

impl<S> Pattern<S> {
    /// Compiles a pattern of the user's own.
    ///
    /// # Errors
    /// What is wrong with the expression, naming the pattern.
    pub fn compile(source: PatternSource<S>) -> Result<Self, String> {
        let expanded = expand(&source.regex, &BTreeMap::new());
        // As a whole, and as it stands: so its faults are told in terms of what was written.
        let whole = RegexBuilder::new(&expanded).case_insensitive(true).size_limit(MAX_COMPILED_BYTES).build();
        match whole.map_err(|error| error.to_string()).and_then(|_| Matcher::new(&expanded, true)) {
            Ok(regex) => Ok(Self { source, regex }),
            Err(error) => Err(format!("pattern {}: {error}", source.name)),
        }
    }

    /// Compiles a pattern of the program.
    fn of_program(source: PatternSource<S>, macros: &BTreeMap<String, String>) -> Self {
        // The tests of its module search for each with its examples.
        let regex = Matcher::new(&expand(&source.regex, macros), true).expect("a constant of this program");
        Self { source, regex }
    }

    /// What is wrong with its examples: those it misses, the near misses it takes, or that there are none.
    pub fn check_examples(&self) -> Vec<String> {
        let PatternSource { name, matches, near_misses, .. } = &self.source;
        let mut wrong = Vec::new();
        if matches.is_empty() || near_misses.is_empty() {
            wrong.push(format!("pattern {name} needs at least one sentence in matches and one in near_misses"));
        }
        let missed = matches.iter().filter(|text| !self.regex.is_match(text));
        wrong.extend(missed.map(|text| format!("pattern {name} does not find {text:?}")));
        let taken = near_misses.iter().filter(|text| self.regex.is_match(text));
        wrong.extend(taken.map(|text| format!("pattern {name} also finds the near miss {text:?}")));
        wrong
    }
}

fn expand(regex: &str, macros: &BTreeMap<String, String>) -> String {
    let mut source = regex.replace('~', ".{0,70}?");
    for (name, value) in macros {
        source = source.replace(&format!("{{{name}}}"), value);
    }
    source
}

/// Patterns of the program, of which a text is searched for few.
#[derive(Debug)]
pub(super) struct Sifted<S> {
    patterns: Vec<Pattern<S>>,
    sieve: Sieve,
}

impl<S> Sifted<S> {
    /// Compiles patterns of the program.
    pub(super) fn compile(sources: Vec<PatternSource<S>>, macros: &BTreeMap<String, String>) -> Self {
        let patterns: Vec<Pattern<S>> = sources.into_iter().map(|source| Pattern::of_program(source, macros)).collect();
        let sieve = Sieve::new(patterns.iter().map(|pattern| &pattern.regex));
        Self { patterns, sieve }
    }

    /// Every place of every pattern: the patterns in their order, the places of each in theirs.
    pub(super) fn find_in<'p, 'h>(&'p self, text: &'h str) -> impl Iterator<Item = (&'p Pattern<S>, Found<'h>)> {
        self.sieve.candidates(text).into_iter().flat_map(move |(index, alternatives)| {
            let pattern = &self.patterns[index];
            pattern.regex.find_iter_of(alternatives.into_iter(), text).map(move |found| (pattern, found))
        })
    }

    /// The first place of every pattern that is found.
    pub(super) fn find_first_in<'p, 'h>(&'p self, text: &'h str) -> impl Iterator<Item = (&'p Pattern<S>, Found<'h>)> {
        self.sieve.candidates(text).into_iter().filter_map(move |(index, alternatives)| {
            let pattern = &self.patterns[index];
            Some((pattern, pattern.regex.find_iter_of(alternatives.into_iter(), text).next()?))
        })
    }

    /// The patterns.
    #[cfg(test)]
    pub(super) fn patterns(&self) -> &[Pattern<S>] {
        &self.patterns
    }
}

/// Fails where examples of a program's pattern are not read as they should be.
#[cfg(test)]
pub(super) fn assert_examples<S>(patterns: &[Pattern<S>]) {
    let wrong: Vec<String> = patterns.iter().flat_map(Pattern::check_examples).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut names: Vec<&str> = patterns.iter().map(|p| p.source.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two patterns have one name: {names:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(regex: &str, matches: &[&str], near_misses: &[&str]) -> PatternSource<()> {
        let own = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
        PatternSource {
            name: "own.example".to_owned(),
            signal: (),
            regex: regex.to_owned(),
            modal: false,
            matches: own(matches),
            near_misses: own(near_misses),
        }
    }

    #[test]
    fn examples_prove_a_pattern() {
        let check = |regex: &str, matches: &[&str], near_misses: &[&str]| {
            Pattern::compile(source(regex, matches, near_misses)).expect("compiles").check_examples()
        };
        assert_eq!(check("wrote~to us", &["The Staff WROTE at once to us"], &["we wrote"]), Vec::<String>::new());
        assert_eq!(check("wrote", &["no"], &["we wrote"]).len(), 2);
        assert_eq!(check("wrote", &[], &[]).len(), 1);
    }

    #[test]
    fn a_bad_or_huge_expression_is_refused_by_name() {
        for regex in ["(open", r"\w{1000}{1000}"] {
            let error = Pattern::compile(source(regex, &[], &[])).expect_err("no pattern");
            assert!(error.starts_with("pattern own.example: "), "{error}");
        }
    }
}
