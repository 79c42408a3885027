//! The text of a configuration: what is in it, what is wrong with how it is written, and where its keys stand. All faults at
//! once: what is wrong is noted and left out, and the rest is read on.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::raw::RawConfig;

/// A configuration has about a hundred keys: whoever has so many wrong has sent something else.
const MOST_FAULTS: usize = 100;

/// A fault, and where in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The byte it begins at, where that is known.
    pub(super) at: Option<usize>,
    /// What is wrong.
    pub(super) words: String,
}

/// A text that was read.
pub(super) struct Document<'t> {
    text: &'t str,
    table: DeTable<'t>,
    /// What could be read.
    pub(super) raw: RawConfig,
    /// Whether the text is no TOML; then nothing of it was read.
    pub(super) is_garbled: bool,
    /// What could not.
    pub(super) faults: Vec<Fault>,
    /// The bytes of the text that were left out.
    left_out: Vec<Range<usize>>,
}

impl<'t> Document<'t> {
    /// Reads a text.
    pub(super) fn read(text: &'t str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let as_fault = |error: &toml::de::Error| Fault {
            at: Some(error.span().map_or(0, |span| span.start)),
            words: explain(error.message()),
        };
        let mut document = Self {
            text,
            table: table.get_ref().clone(),
            raw: RawConfig::default(),
            is_garbled: !errors.is_empty(),
            faults: errors.iter().map(as_fault).collect(),
            left_out: Vec::new(),
        };
        // What cannot be told apart is not worth guessing at.
        if document.is_garbled {
            return document;
        }
        let mut rest = table;
        while document.faults.len() < MOST_FAULTS {
            match RawConfig::deserialize(toml::de::Deserializer::from(rest.clone())) {
                Ok(raw) => {
                    document.raw = raw;
                    break;
                }
                Err(error) => {
                    let Some(span) = error.span() else {
                        document.faults.push(as_fault(&error));
                        break;
                    };
                    if !document.lacks_what_was_left_out(&error, &span) {
                        document.faults.push(as_fault(&error));
                    }
                    match leave_out(rest.get_mut(), &span) {
                        Some(left_out) => document.left_out.push(left_out),
                        None => break,
                    }
                }
            }
        }
        document
    }

    /// "missing field `signal`", where the signal is there and was left out for a fault of its own.
    fn lacks_what_was_left_out(&self, error: &toml::de::Error, within: &Range<usize>) -> bool {
        let field = error.message().strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        field.is_some_and(|field| {
            self.left_out.iter().any(|left_out| {
                left_out.start >= within.start
                    && self.text.get(left_out.clone()).is_some_and(|text| text.starts_with(field))
            })
        })
    }

    /// Whether a fault of the checked values follows from one that was found before: its key was left out.
    pub(super) fn is_known(&self, fault: &str) -> bool {
        // A pattern is told by its name; what was left out of it is told as that.
        let at = self.find(key_of(fault)).filter(|_| !fault.starts_with("pattern "));
        at.is_some_and(|(span, is_there)| {
            is_there && self.left_out.iter().any(|left_out| left_out.contains(&span.start))
        })
    }

    /// Where the key stands that a fault begins with, or else the table that it is missing in.
    pub(super) fn place_of(&self, fault: &str) -> Option<usize> {
        if let Some(name) = fault.strip_prefix("pattern ").and_then(|rest| rest.split(' ').next()) {
            return self.pattern_named(name.trim_end_matches(':'));
        }
        self.find(key_of(fault)).map(|(span, _)| span.start)
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub(super) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }

    /// The span of the value at a path such as `mail.route[0].host`, and whether it is there; if not, that of the last
    /// table on the way to it.
    fn find(&self, path: &str) -> Option<(Range<usize>, bool)> {
        let mut table = &self.table;
        let mut found: Option<Range<usize>> = None;
        for step in path.split('.') {
            let (name, index) = match step.split_once('[') {
                Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
                None => (step, None),
            };
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else {
                return found.map(|span| (span, false));
            };
            let item = match (value.get_ref(), index) {
                (DeValue::Array(items), Some(index)) => items.get(index).unwrap_or(value),
                _ => value,
            };
            match item.get_ref() {
                DeValue::Table(inner) => {
                    table = inner;
                    found = Some(item.span());
                }
                // A list of words: the word, if it is told which.
                _ if index.is_some() => return Some((item.span(), true)),
                _ => return Some((key.span(), true)),
            }
        }
        found.map(|span| (span, true))
    }

    fn pattern_named(&self, name: &str) -> Option<usize> {
        let (_, patterns) = self.table.iter().find(|(key, _)| key.get_ref() == "pattern")?;
        let DeValue::Array(items) = patterns.get_ref() else { return None };
        let of_name = |item: &&Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::Table(table) => table.iter().any(|(key, value)| {
                key.get_ref() == "name" && matches!(value.get_ref(), DeValue::String(text) if text == name)
            }),
            _ => false,
        };
        items.iter().find(of_name).map(|item| item.span().start)
    }
}

/// `watch.issuers[0]` of `watch.issuers[0]: expected a ticker`.
fn key_of(fault: &str) -> &str {
    fault.split([' ', ':']).next().unwrap_or_default()
}

/// Takes out the smallest entry that holds a span; `None` where there is none. Returns the span of its key and value.
fn leave_out(table: &mut DeTable<'_>, at: &Range<usize>) -> Option<Range<usize>> {
    let holds = |span: &Range<usize>| span.start <= at.start && at.start < span.end.max(span.start + 1);
    for (_, value) in table.iter_mut() {
        let within = match value.get_mut() {
            DeValue::Table(inner) => leave_out(inner, at),
            DeValue::Array(items) => {
                let within = items.iter_mut().find_map(|item| match item.get_mut() {
                    DeValue::Table(inner) => leave_out(inner, at),
                    _ => None,
                });
                within.or_else(|| leave_out_item(items, at))
            }
            _ => None,
        };
        if within.is_some() {
            return within;
        }
    }
    let (key, span) = table.iter().find_map(|(key, value)| {
        let is_in_items =
            matches!(value.get_ref(), DeValue::Array(items) if items.iter().any(|item| holds(&item.span())));
        let is_it = holds(&key.span()) || holds(&value.span()) || is_in_items;
        is_it.then(|| (key.get_ref().to_string(), key.span().start..value.span().end.max(key.span().end)))
    })?;
    table.remove(key.as_str()).map(|_| span)
}

/// Takes a table that lacks something out of an array of tables; the others are read on.
fn leave_out_item(items: &mut DeArray<'_>, at: &Range<usize>) -> Option<Range<usize>> {
    let is_it = |item: &Spanned<DeValue<'_>>| matches!(item.get_ref(), DeValue::Table(_)) && item.span() == *at;
    let place = items.iter().position(is_it)?;
    let mut rest = DeArray::new();
    for (_, item) in
        std::mem::replace(items, DeArray::new()).into_iter().enumerate().filter(|(index, _)| *index != place)
    {
        rest.push(item);
    }
    *items = rest;
    Some(at.clone())
}

/// serde's "unknown field `a`, expected one of `b`, `c`", and the same of variants, in this program's words with the nearest.
fn explain(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let what = if message.starts_with("unknown field") {
        "key"
    } else if message.starts_with("unknown variant") {
        "word"
    } else {
        return message.to_owned();
    };
    let Some((unknown, known)) = quoted.split_first() else { return message.to_owned() };
    match crate::suggest::nearest(unknown, known.iter().copied()) {
        Some(near) => format!("unknown {what} \"{unknown}\", did you mean \"{near}\"?"),
        None => format!("unknown {what} \"{unknown}\", expected one of {}", known.join(", ")),
    }
}
