//! Which of many expressions can be found in a text at all, told in one pass by the words that each of them needs: out of
//! fifty, a sentence leaves a handful to search for. RE2 does the same for its filtered sets.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::matcher::Matcher;

/// Words that expressions need.
#[derive(Debug)]
pub struct Sieve {
    words: AhoCorasick,
    /// Of each alternative of each expression; one that needs nothing may always be found.
    needs: Vec<Needs>,
}

/// What an alternative of an expression needs: of each list one word.
#[derive(Debug)]
struct Needs {
    expression: usize,
    alternative: usize,
    words: Vec<Vec<usize>>,
}

/// Room for the words of all expressions.
const MOST_WORDS: usize = 2048;
/// Shorter words are in every sentence.
const MIN_WORD: usize = 3;

impl Sieve {
    /// Learns what expressions need.
    pub fn new<'m>(matchers: impl Iterator<Item = &'m Matcher>) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut needs = Vec::new();
        for (expression, matcher) in matchers.enumerate() {
            for (alternative, branch) in matcher.branches().iter().enumerate() {
                let mut number_all =
                    |any_of: Vec<String>| any_of.into_iter().map(|word| number(word, &mut words)).collect();
                let words = needed_words(branch.expression()).into_iter().map(&mut number_all).collect();
                needs.push(Needs { expression, alternative, words });
            }
        }
        let words = AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(words);
        // It fails only for more words than memory holds.
        Self { words: words.expect("some hundred words"), needs }
    }

    /// The expressions that may be found in a text, in their order, each with its alternatives that may be.
    pub fn candidates(&self, text: &str) -> Vec<(usize, Vec<usize>)> {
        let mut is_there = [false; MOST_WORDS];
        for found in self.words.find_overlapping_iter(text) {
            is_there[found.pattern().as_usize()] = true;
        }
        let is_met = |any_of: &Vec<usize>| any_of.iter().any(|word| is_there[*word]);
        let mut candidates: Vec<(usize, Vec<usize>)> = Vec::new();
        for Needs { expression, alternative, .. } in self.needs.iter().filter(|needs| needs.words.iter().all(is_met)) {
            match candidates.last_mut().filter(|(last, _)| last == expression) {
                Some((_, alternatives)) => alternatives.push(*alternative),
                None => candidates.push((*expression, vec![*alternative])),
            }
        }
        candidates
    }
}

/// The word's place in the list, at its end if it is new.
fn number(word: String, words: &mut Vec<String>) -> usize {
    let known = words.iter().position(|known| *known == word);
    known.unwrap_or_else(|| {
        assert!(words.len() < MOST_WORDS, "more words than there is room for");
        words.push(word);
        words.len() - 1
    })
}

/// What a text must hold for an expression to be found in it: of each list one word at least, in any case. Nothing if
/// nothing is sure.
fn needed_words(hir: &Hir) -> Vec<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => needed_words(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed_words(&repetition.sub),
        HirKind::Alternation(branches) => {
            // One of them is found, so one of what each needs most is there.
            let best = |branch: &Hir| needed_words(branch).into_iter().max_by_key(|any_of| selectivity(any_of));
            let any_of: Option<Vec<Vec<String>>> = branches.iter().map(best).collect();
            any_of.map(|any_of| any_of.concat()).into_iter().collect()
        }
        HirKind::Concat(parts) => {
            let mut needed = Vec::new();
            let mut word = String::new();
            for part in parts.iter().map(Some).chain([None]) {
                if let Some(letters) = part.and_then(letters) {
                    word.push_str(&letters);
                    continue;
                }
                // A boundary takes no room, but what it divides need not stand together in every branch beside it.
                let whole = std::mem::take(&mut word);
                needed.extend((whole.len() >= MIN_WORD).then(|| vec![whole]));
                needed.extend(part.map(needed_words).unwrap_or_default());
            }
            needed
        }
        _ => letters(hir).filter(|word| word.len() >= MIN_WORD).map(|word| vec![vec![word]]).unwrap_or_default(),
    }
}

/// The longer its shortest word, the less often is one of the list there.
fn selectivity(any_of: &[String]) -> (usize, std::cmp::Reverse<usize>) {
    (any_of.iter().map(String::len).min().unwrap_or(0), std::cmp::Reverse(any_of.len()))
}

/// The ASCII letters that an expression stands for, in lower case, if it is one word in any case.
fn letters(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok().filter(|text| text.is_ascii())?;
            Some(text.to_ascii_lowercase())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let mut chars = class.iter().flat_map(|range| [range.start(), range.end()]);
            let first = chars.next().filter(char::is_ascii_alphabetic)?.to_ascii_lowercase();
            let same = class.iter().count() <= 2 && chars.all(|c| c.is_ascii() && c.to_ascii_lowercase() == first);
            same.then(|| first.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(regex: &str) -> Vec<Vec<String>> {
        let matcher = Matcher::new(regex, true).expect("an expression");
        matcher.branches().iter().flat_map(|branch| needed_words(branch.expression())).collect()
    }

    #[test]
    fn what_every_match_holds_is_needed() {
        let check = |regex: &str, expected: &[&[&str]]| assert_eq!(needs(regex), expected, "{regex}");
        check(r"\bnotices?\b", &[&["notice"]]);
        check(r"\b(?:received|got a)\b.{0,50}?\bletters?\b", &[&["received", "got a"], &["letter"]]);
        check(r"(?:e-?mail|fax)(?:ed)?", &[&["mail", "fax"]]);
        check(r"(?:the |a )?plan|\d+ days", &[&["plan"], &[" days"]]);
        check(r"[a-z]+ing to us", &[&["ing to us"]]);
        check(r"of|\d+", &[]);
        check(r"(?:board)?", &[]);
        check(r"(?:board){2}", &[&["board"]]);
    }

    #[test]
    fn only_what_can_be_found_is_left() {
        let matchers = [r"received.{0,50}?letter", r"\d+", "appeal|hearing"]
            .map(|regex| Matcher::new(regex, true).expect("an expression"));
        let sieve = Sieve::new(matchers.iter());
        assert_eq!(sieve.candidates("RECEIVED a Letter"), [(0, vec![0]), (1, vec![0])]);
        assert_eq!(sieve.candidates("a letter before the hearing"), [(1, vec![0]), (2, vec![1])]);
        assert_eq!(sieve.candidates(""), [(1, vec![0])]);
    }
}
