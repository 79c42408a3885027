//! Regular expressions as the classifier runs them: many, over every sentence, so each in little time.
//!
//! Three things make them dear when they are run as they are written. Words of all scripts: a single letter that is not
//! ASCII sends a search for `\b` to an engine fifty times slower, so words here are ASCII. Many alternatives: apart, each
//! skips to the words that it begins with. And gaps such as `.{0,150}?`: an automaton gets a state for every length of every
//! gap, at every text anew. So an alternative is cut at its gaps, and its parts are searched for one after the other, each as
//! far from the one before as its gap allows. What a part is at a place is decided by itself: it is not tried again in
//! another length because the next part does not follow.

use std::ops::{Range, RangeInclusive};
use std::sync::OnceLock;

use regex::{Captures, Regex, RegexBuilder};
use regex_automata::meta;
use regex_automata::{Input, Span};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition};

/// A compiled expression. `\w`, `\d`, `\s` and `\b` speak of ASCII; `.` and `[^...]` are any character.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The alternatives that it is at its top: each by itself is small, and skips most of a text by the words it begins with.
    branches: Vec<Branch>,
    /// As written, for its groups.
    source: String,
    case_insensitive: bool,
    whole: OnceLock<Regex>,
}

/// One alternative. It is compiled when it is searched for first: most are for words that a document does not hold.
#[derive(Debug, Clone)]
pub struct Branch {
    expression: Hir,
    parts: OnceLock<Parts>,
}

/// An alternative cut at its gaps.
#[derive(Debug, Clone)]
struct Parts {
    first: meta::Regex,
    rest: Vec<Part>,
}

/// What follows in an alternative after a gap.
#[derive(Debug, Clone)]
struct Part {
    gap: Gap,
    regex: meta::Regex,
    /// The most bytes that it is found in, where there is a limit.
    max_bytes: Option<usize>,
    ends_text: bool,
}

/// Single characters that may lie between two parts.
#[derive(Debug, Clone)]
struct Gap {
    chars: ClassUnicode,
    /// How many there are at least, and at most.
    reach: RangeInclusive<usize>,
    is_greedy: bool,
}

/// A place where an expression was found; offsets are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'h> {
    text: &'h str,
    span: Span,
}

/// A repetition of single characters up to so many or more is a gap.
const MIN_GAP: u32 = 12;

impl<'h> Found<'h> {
    /// The first byte.
    pub fn start(&self) -> usize {
        self.span.start
    }

    /// One past the last byte.
    pub fn end(&self) -> usize {
        self.span.end
    }

    /// From the first byte to one past the last.
    pub fn range(&self) -> Range<usize> {
        self.span.range()
    }

    /// The words.
    pub fn as_str(&self) -> &'h str {
        &self.text[self.range()]
    }
}

impl Matcher {
    /// Reads an expression that is part of the program.
    ///
    /// # Panics
    /// When it is none: the tests of its module match with each.
    pub fn constant(regex: &str) -> Self {
        Self::new(regex, false).unwrap_or_else(|error| panic!("a constant of this program: {error}"))
    }

    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(regex: &str, case_insensitive: bool) -> Result<Self, String> {
        let source = with_ascii_classes(regex);
        let parsed = ParserBuilder::new().case_insensitive(case_insensitive).build().parse(&source);
        let parsed = without_foreign_cases(&parsed.map_err(|error| error.to_string())?);
        let branch = |expression| Branch { expression, parts: OnceLock::new() };
        let branches = alternatives(&parsed).into_iter().map(branch).collect();
        Ok(Self { branches, source, case_insensitive, whole: OnceLock::new() })
    }

    /// The alternatives, in their order.
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// Whether it is found anywhere.
    pub fn is_match(&self, text: &str) -> bool {
        self.branches.iter().any(|branch| branch.is_match(text))
    }

    /// The first place.
    pub fn find<'h>(&self, text: &'h str) -> Option<Found<'h>> {
        self.find_iter(text).next()
    }

    /// All places that do not overlap, in order; an empty one that touches the last is none.
    pub fn find_iter<'h>(&self, text: &'h str) -> impl Iterator<Item = Found<'h>> {
        find_iter(self.branches.iter(), text)
    }

    /// The same, where only these alternatives can be found.
    pub fn find_iter_of<'h>(
        &self,
        branches: impl Iterator<Item = usize>,
        text: &'h str,
    ) -> impl Iterator<Item = Found<'h>> {
        find_iter(branches.map(|branch| &self.branches[branch]), text)
    }

    /// The first place with its groups.
    pub fn captures<'h>(&self, text: &'h str) -> Option<Captures<'h>> {
        self.captures_at(text, 0)
    }

    /// The first place from an offset on, with its groups.
    pub fn captures_at<'h>(&self, text: &'h str, at: usize) -> Option<Captures<'h>> {
        let starts = self.branches.iter().filter_map(|branch| Some(branch.find_at(text, at)?.start()));
        self.whole().captures_at(text, starts.min()?)
    }

    /// All places that do not overlap with their groups, in order.
    pub fn captures_iter<'r, 'h>(&'r self, text: &'h str) -> impl Iterator<Item = Captures<'h>> + use<'r, 'h> {
        self.is_match(text).then(|| self.whole().captures_iter(text)).into_iter().flatten()
    }

    fn whole(&self) -> &Regex {
        self.whole.get_or_init(|| {
            // Its alternatives were compiled.
            let built = RegexBuilder::new(&self.source).case_insensitive(self.case_insensitive).build();
            built.expect("an expression that was compiled before")
        })
    }
}

impl Branch {
    fn parts(&self) -> &Parts {
        self.parts.get_or_init(|| {
            // A user's own was compiled whole and is no larger in parts; those of the program its tests compile.
            let compile = |hir: &Hir| meta::Regex::builder().build_from_hir(hir).expect("a part of what was compiled");
            let (first, rest) = cut_at_gaps(&self.expression);
            let part = |(gap, hir): (Gap, Hir)| {
                let max_bytes = hir.properties().maximum_len();
                Part { gap, regex: compile(&hir), max_bytes, ends_text: ends_text(&hir) }
            };
            Parts { first: compile(&first), rest: rest.into_iter().map(part).collect() }
        })
    }

    /// The alternative as written.
    pub fn expression(&self) -> &Hir {
        &self.expression
    }

    fn is_match(&self, text: &str) -> bool {
        let Parts { first, rest } = self.parts();
        if rest.is_empty() { first.is_match(text) } else { self.find_at(text, 0).is_some() }
    }

    /// The first place from an offset on.
    fn find_at<'h>(&self, text: &'h str, mut at: usize) -> Option<Found<'h>> {
        let Parts { first, rest } = self.parts();
        let misses_end = |last: &Part| last.ends_text && !last.is_at_end(text, at);
        if at > text.len() || rest.last().is_some_and(misses_end) {
            return None;
        }
        while at <= text.len() {
            let first = first.find(Input::new(text).range(at..))?;
            if let Some(end) = find_rest(text, first.end(), rest) {
                return Some(Found { text, span: Span { start: first.start(), end } });
            }
            at = next_char(text, first.start());
        }
        None
    }
}

/// Where the last of some parts ends if they follow one after the other behind an offset.
fn find_rest(text: &str, after: usize, parts: &[Part]) -> Option<usize> {
    let Some((part, rest)) = parts.split_first() else { return Some(after) };
    let mut places = part.places(text, after);
    if part.gap.is_greedy {
        let places: Vec<Span> = places.collect();
        return places.into_iter().rev().find_map(|place| find_rest(text, place.end, rest));
    }
    places.find_map(|place| find_rest(text, place.end, rest))
}

impl Part {
    /// Whether a part that ends the text is found there. What must end so is told apart from most texts by that.
    fn is_at_end(&self, text: &str, after: usize) -> bool {
        let from = self.max_bytes.map_or(0, |bytes| text.len().saturating_sub(bytes)).max(after);
        let from = text.ceil_char_boundary(from);
        self.regex.is_match(Input::new(text).range(from..))
    }

    /// Where it is found as far behind an offset as the gap allows, the nearest place first.
    fn places<'h>(&'h self, text: &'h str, after: usize) -> impl Iterator<Item = Span> + 'h {
        let last_start = self.gap.last_end(text, after);
        // Of what lies behind the gap only so much can matter.
        let until = self.max_bytes.map_or(text.len(), |bytes| text.len().min(last_start + bytes));
        let until = text.ceil_char_boundary(until);
        let mut at = after;
        let all = std::iter::from_fn(move || {
            // A range hides nothing from boundaries.
            let found = (at <= last_start).then(|| self.regex.find(Input::new(text).range(at..until))).flatten()?;
            at = next_char(text, found.start());
            Some(found.span())
        });
        all.take_while(move |place| place.start <= last_start)
            .filter(move |place| text[after..place.start].chars().count() >= *self.gap.reach.start())
    }
}

impl Gap {
    /// How far a gap that begins at an offset can reach in a text.
    fn last_end(&self, text: &str, from: usize) -> usize {
        let is_inside = |c: &char| self.chars.ranges().iter().any(|range| (range.start()..=range.end()).contains(c));
        from + text[from..].chars().take(*self.reach.end()).take_while(is_inside).map(char::len_utf8).sum::<usize>()
    }
}

/// All places of alternatives that do not overlap: of two the one that begins first, else the one of the earlier alternative.
fn find_iter<'b, 'h, I: Iterator<Item = &'b Branch>>(
    branches: I,
    text: &'h str,
) -> impl Iterator<Item = Found<'h>> + use<'b, 'h, I> {
    let mut ahead: Vec<(&Branch, Found)> =
        branches.filter_map(|branch| Some((branch, branch.find_at(text, 0)?))).collect();
    let mut last_end = None;
    std::iter::from_fn(move || {
        loop {
            let (_, found) = *ahead.iter().min_by_key(|(_, found)| found.start())?;
            let Range { start, end } = found.range();
            let at = if start == end { next_char(text, end) } else { end };
            ahead.retain_mut(|(branch, found)| {
                let next = if found.start() >= at {
                    Some(*found)
                } else {
                    (at <= text.len()).then(|| branch.find_at(text, at)).flatten()
                };
                next.is_some_and(|next| {
                    *found = next;
                    true
                })
            });
            if start != end || last_end != Some(end) {
                last_end = Some(end);
                return Some(found);
            }
        }
    })
}

/// Where the next character begins, or one past the end.
fn next_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

/// Writes the classes and boundaries of words out in ASCII.
fn with_ascii_classes(regex: &str) -> String {
    let mut ascii = String::with_capacity(regex.len() * 2);
    let mut chars = regex.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            ascii.push(c);
            continue;
        }
        match chars.next() {
            Some('w') => ascii.push_str("[0-9A-Za-z_]"),
            Some('W') => ascii.push_str("[^0-9A-Za-z_]"),
            Some('d') => ascii.push_str("[0-9]"),
            Some('s') => ascii.push_str("[\\x20\\t\\n\\x0b\\x0c\\r]"),
            Some('b') => ascii.push_str("(?-u:\\b)"),
            Some(other) => ascii.extend(['\\', other]),
            None => ascii.push('\\'),
        }
    }
    ascii
}

/// Without the two letters of other scripts that fold to ASCII: the long s and the sign for Kelvin.
fn without_foreign_cases(hir: &Hir) -> Hir {
    map(hir, &mut |hir| match hir.kind() {
        HirKind::Class(Class::Unicode(class)) if class.ranges().len() <= 4 => {
            let foreign = ['\u{17f}', '\u{212a}'].map(|c| ClassUnicodeRange::new(c, c));
            let kept = class.ranges().iter().filter(|range| !foreign.contains(range)).copied();
            Some(Hir::class(Class::Unicode(ClassUnicode::new(kept))))
        }
        _ => None,
    })
}

/// The alternatives that an expression is at its top, also behind boundaries that they share, and before what they share
/// where one of them has a gap to be cut at; else itself alone.
fn alternatives(hir: &Hir) -> Vec<Hir> {
    match hir.kind() {
        HirKind::Alternation(branches) => branches.clone(),
        HirKind::Concat(parts) => {
            let n_looks = parts.iter().take_while(|part| matches!(part.kind(), HirKind::Look(_))).count();
            let (looks, rest) = parts.split_at(n_looks);
            let Some((first, shared)) = rest.split_first() else { return vec![hir.clone()] };
            let branches = alternatives(first);
            if !shared.is_empty() && !branches.iter().any(has_gap) {
                return vec![hir.clone()];
            }
            let whole = |branch: Hir| {
                Hir::concat(looks.iter().cloned().chain([branch]).chain(shared.iter().cloned()).collect())
            };
            branches.into_iter().map(whole).collect()
        }
        _ => vec![hir.clone()],
    }
}

fn has_gap(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Concat(parts) if parts.iter().any(|part| gap_of(part).is_some()))
}

/// Cuts an alternative at its gaps; one that has nothing but boundaries on a side stays with the other. The end of the text is
/// something to find.
fn cut_at_gaps(hir: &Hir) -> (Hir, Vec<(Gap, Hir)>) {
    let HirKind::Concat(parts) = hir.kind() else { return (hir.clone(), Vec::new()) };
    let says = |parts: &[Hir]| parts.iter().any(|part| part.properties().minimum_len().is_some_and(|bytes| bytes > 0));
    let ends = |parts: &[Hir]| parts.iter().any(ends_text);
    let is_cut = |at: &usize| {
        let (before, after) = (&parts[..*at], &parts[*at + 1..]);
        gap_of(&parts[*at]).is_some() && says(before) && (says(after) || ends(after))
    };
    let mut cuts: Vec<usize> = Vec::new();
    for at in (0..parts.len()).filter(is_cut) {
        // Between two gaps, too, there must be something to find.
        if cuts.last().is_none_or(|last| says(&parts[last + 1..at])) {
            cuts.push(at);
        }
    }
    let part = |from: usize, until: usize| Hir::concat(parts[from..until].to_vec());
    let first = part(0, cuts.first().copied().unwrap_or(parts.len()));
    let ends = cuts.iter().skip(1).copied().chain([parts.len()]);
    let rest = cuts.iter().zip(ends).filter_map(|(at, end)| Some((gap_of(&parts[*at])?, part(at + 1, end))));
    (first, rest.collect())
}

/// Whether all that it stands for ends the text.
fn ends_text(hir: &Hir) -> bool {
    hir.properties().look_set_suffix().contains(Look::End)
}

fn gap_of(hir: &Hir) -> Option<Gap> {
    let HirKind::Repetition(repetition) = hir.kind() else { return None };
    let HirKind::Class(Class::Unicode(chars)) = repetition.sub.kind() else { return None };
    let max = repetition.max.filter(|max| *max >= MIN_GAP)?;
    let reach = repetition.min as usize..=max as usize;
    Some(Gap { chars: chars.clone(), reach, is_greedy: repetition.greedy })
}

/// Rebuilds an expression, with `change` where it has something to say.
fn map(hir: &Hir, change: &mut impl FnMut(&Hir) -> Option<Hir>) -> Hir {
    if let Some(changed) = change(hir) {
        return changed;
    }
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(map(&repetition.sub, change)), ..repetition.clone() })
        }
        HirKind::Capture(capture) => {
            let mut capture = capture.clone();
            capture.sub = Box::new(map(&capture.sub, change));
            Hir::capture(capture)
        }
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(|part| map(part, change)).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(|part| map(part, change)).collect()),
        _ => hir.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_ascii_and_gaps_are_any_character() {
        let check = |regex: &str, text: &str, expected: Option<&str>| {
            let matcher = Matcher::new(regex, true).expect("an expression");
            assert_eq!(matcher.find(text).map(|found| found.as_str()), expected, "{regex} in {text}");
        };
        check(r"\w+", "\u{e9}t\u{e9}", Some("t"));
        check(r"a.{0,20}?\bletter\b", "a caf\u{e9} \u{2022} LETTER", Some("a caf\u{e9} \u{2022} LETTER"));
        check(r"[^.;]{0,40}x", "\u{2014}x", Some("\u{2014}x"));
        check(r"[\s\d-]+$", "a 1-2", Some(" 1-2"));
        check(r"\W+", "a\u{a7} b", Some("\u{a7} "));
        check("kiss", "\u{212a}iss kis\u{17f} KISS", Some("KISS"));
        check(r"\\w", r"a\w", Some(r"\w"));
    }

    #[test]
    fn a_gap_holds_no_more_than_is_written() {
        let matcher = Matcher::new(r"wrote.{0,20}?to us|told.{0,30}?him", true).expect("an expression");
        let found: Vec<String> = matcher
            .find_iter("wrote at a length that is more than that to us, wrote at once to us, told him")
            .map(|found| found.as_str().to_owned())
            .collect();
        assert_eq!(found, ["wrote at once to us", "told him"]);
        assert!(!matcher.is_match("wrote at a length that is more than that to us"));
    }

    /// Texts and expressions of few letters, so that they meet.
    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c", " ", ".", "\u{e9}", "ab", "bc"]), 0..60)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn finds_what_the_expression_finds_as_written(text in text()) {
            for regex in [
                r"a.{0,12}?b", r"\ba\b[^.]{0,14}c|b.{2,13}?c", r"(?:ab|a).{0,12}(?:bc|c)", r"a.{0,13}?b.{0,15}?c", r"[ab]*",
                r"b[^ ]{0,12}$", r"^.{0,16}?c",
            ] {
                let matcher = Matcher::new(regex, false).expect("an expression");
                let plain = Regex::new(&with_ascii_classes(regex)).expect("an expression");
                let expected: Vec<_> = plain.find_iter(&text).map(|found| found.range()).collect();
                let found: Vec<_> = matcher.find_iter(&text).map(|found| found.range()).collect();
                prop_assert_eq!(&found, &expected, "{} in {:?}", regex, &text);
                prop_assert_eq!(matcher.is_match(&text), !expected.is_empty());
            }
        }
    }
}
