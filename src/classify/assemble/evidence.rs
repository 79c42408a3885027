//! The words that show an event, with their place in the text.

use std::collections::BTreeSet;

use super::super::{Evidence, Passed};
use super::Assembler;

const MAX_EVIDENCE: usize = 6;
const MAX_PASSED: usize = 50;

impl Assembler<'_> {
    pub(super) fn evidence(&self, acts: &[usize]) -> Vec<Evidence> {
        let mut seen = BTreeSet::new();
        acts.iter()
            .filter(|a| seen.insert(self.acts[**a].sentence))
            .take(MAX_EVIDENCE)
            .map(|a| self.quote(self.acts[*a].sentence, self.acts[*a].pattern))
            .collect()
    }

    pub(super) fn quote(&self, sentence: usize, pattern: &str) -> Evidence {
        let range = self.sentences[sentence].range.clone();
        Evidence {
            start: self.chars.of(self.text, range.start),
            end: self.chars.of(self.text, range.end),
            text: self.text[range].to_owned(),
            pattern: pattern.to_owned(),
            document: None,
        }
    }

    pub(super) fn passed(&self, acts: &[usize]) -> Vec<Passed> {
        let mut seen = BTreeSet::new();
        let first = acts.iter().filter(|a| seen.insert(self.acts[**a].sentence)).take(MAX_PASSED);
        first
            .map(|a| {
                let quote = self.quote(self.acts[*a].sentence, "");
                Passed { start: quote.start, end: quote.end, text: quote.text, reason: self.acts[*a].reason.to_owned() }
            })
            .collect()
    }
}

/// Counts of characters at every so many bytes, so that an offset costs the same anywhere in a long text.
pub(super) struct CharIndex {
    counts: Vec<usize>,
}

const CHAR_STEP: usize = 4096;

impl CharIndex {
    pub(super) fn new(text: &str) -> Self {
        let mut counts = vec![0];
        let mut n = 0;
        for (i, byte) in text.bytes().enumerate() {
            if i > 0 && i % CHAR_STEP == 0 {
                counts.push(n);
            }
            n += usize::from(byte & 0xC0 != 0x80);
        }
        Self { counts }
    }

    /// Characters before the byte offset `at`.
    pub(super) fn of(&self, text: &str, at: usize) -> usize {
        let step = (at / CHAR_STEP).min(self.counts.len() - 1);
        let rest = &text.as_bytes()[step * CHAR_STEP..at.min(text.len())];
        self.counts[step] + rest.iter().filter(|b| **b & 0xC0 != 0x80).count()
    }
}
