//! Which found event answers which labelled one.

use std::cmp::Reverse;

use crate::classify::ListingEvent;
use crate::corpus::LabelledEvent;

/// Pairs of labelled and found events, by index, one to one and in the label's order.
///
/// Only events of the same kind and exchange can be a pair. Where several can, those with the same letter date come
/// first, then those that share more rules, then more bases, then those that come first.
pub(super) fn match_events(wanted: &[LabelledEvent], found: &[&ListingEvent]) -> Vec<(usize, usize)> {
    let mut candidates: Vec<(usize, usize)> = (0..wanted.len())
        .flat_map(|w| (0..found.len()).map(move |f| (w, f)))
        .filter(|(w, f)| wanted[*w].kind == found[*f].kind && wanted[*w].exchange == found[*f].exchange)
        .collect();
    // Stable: what is alike keeps its order.
    candidates.sort_by_key(|(w, f)| Reverse(likeness(&wanted[*w], found[*f])));
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (w, f) in candidates {
        if pairs.iter().all(|(known_w, known_f)| *known_w != w && *known_f != f) {
            pairs.push((w, f));
        }
    }
    pairs.sort_unstable();
    pairs
}

fn likeness(wanted: &LabelledEvent, found: &ListingEvent) -> (bool, usize, usize) {
    let rules = wanted.rules.iter().flatten().filter(|rule| found.rules.contains(rule)).count();
    let bases = wanted.bases.iter().flatten().filter(|basis| found.bases.contains(basis)).count();
    (wanted.letter_date == Some(found.letter_date), rules, bases)
}
