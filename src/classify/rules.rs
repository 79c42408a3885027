//! Citations of listing rules: found in every damaged spelling, brought to one form, looked up in the rule table.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Basis, Exchange};

/// A citation of a listing rule, by byte offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    pub start: usize,
    pub end: usize,
    /// Lower case, no spaces, each part in its own parentheses.
    pub rule: String,
    pub basis: Basis,
    /// How letters and hearings work; never what a letter rests on.
    pub procedure: bool,
    pub exchange: Exchange,
    /// Quoted as an earlier name of another rule, or as another standard that would do.
    pub aside: bool,
}

#[derive(Deserialize)]
struct Table {
    rule: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    basis: Basis,
    #[serde(default)]
    class: Class,
    #[serde(default)]
    exchange: Exchange,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Class {
    #[default]
    Basis,
    Procedure,
}

static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    // The table is part of the program; a test reads it.
    let table: Table = toml::from_str(include_str!("patterns/rules.toml")).expect("a constant of this module");
    table.rule
});

pattern!(
    NUMBER,
    r"(?ix)
        (?P<prefix>\b(?:rules?|sections?|secs?\.|paragraphs?|material|(?:im|interpretive)) \s{0,3} (?:nos?\.\s)? )?
        \b (?P<im>im-?\s?)?
        (?P<number>\d{4}(?:-\d{1,2})?|\d{3}(?:\.\d\d[a-e]?)?|303a(?:\.\d\d)?)"
);

pattern!(
    FORMERLY,
    r"(?i)\b(?:formerly|previously|former)\b[^.;,]{0,60}$|\b(?:that|the|this) (?:requirement|rule|provision) (?:was|had been) (?:found|contained|set forth|codified|numbered) (?:in|as)\b[^.;]{0,40}$"
);

pattern!(
    CONTINUED,
    r"(?i)^\s{0,2}(?:,|and/or|and|or|,\s?and|,\s?or|&)\s{1,2}(?:rules?\s|sections?\s|paragraphs?\s)?\("
);

pattern!(PARAGRAPH_OF, r"(?i)\bparagraphs?\s{1,2}(\()");

pattern!(
    ASIDE_BEFORE,
    r"(?i)\b(?:alternatives?|alternatively|also (?:does|did|do) not|nor (?:does|did)|other standards?)\b[^.;]{0,110}$"
);

/// Finds the citations of listing rules in one sentence.
pub fn find_rules(text: &str) -> Vec<Citation> {
    let mut found: Vec<Citation> = Vec::new();
    let mut list_goes_on_at = usize::MAX;
    let mut at = 0;
    while let Some(captures) = NUMBER.captures_at(text, at) {
        // Group 0 and the number always take part in a match.
        let (whole, number) = (
            captures.get(0).expect("group 0 is the whole match"),
            captures.name("number").expect("a constant of this module"),
        );
        at = whole.end();
        let has_prefix = captures.name("prefix").is_some();
        let has_im = captures.name("im").is_some()
            || captures.name("prefix").is_some_and(|p| p.as_str().to_ascii_lowercase().starts_with("im"));
        let (parts, end) = read_parts(text, number.end());
        let in_list =
            list_goes_on_at != usize::MAX && only_joins(&text[list_goes_on_at.min(whole.start())..whole.start()]);
        if !has_prefix && !in_list && (parts.is_empty() && !has_im || !known_number(number.as_str())) {
            continue;
        }
        let mut base = number.as_str().to_ascii_lowercase();
        if has_im {
            base.insert_str(0, "im-");
        } else if base.contains('-') {
            continue;
        }
        at = end.max(whole.end());
        let before = super::dates::tail(&text[..whole.start()], 140);
        let aside = ASIDE_BEFORE.is_match(before) || (FORMERLY.is_match(before) && names_another(&found));
        let Some(citation) = cite(&base, &parts, whole.start(), end, aside) else { continue };
        found.push(citation);
        list_goes_on_at = end;
        at = read_continuations(text, end, &base, parts, aside, &mut found).max(at);
        if at > end {
            list_goes_on_at = at;
        }
    }
    read_paragraphs_of(text, &mut found);
    found
}

fn names_another(found: &[Citation]) -> bool {
    found.iter().any(|c| !c.procedure && !c.aside)
}

/// "Rules 5250(c)(1) and (2)": parts alone stand for the same rule with its tail replaced.
fn read_continuations(
    text: &str,
    mut end: usize,
    base: &str,
    mut parts: Vec<String>,
    aside: bool,
    found: &mut Vec<Citation>,
) -> usize {
    while let Some(joint) = CONTINUED.find(&text[end..]) {
        let start = end + joint.end() - 1;
        let (next, next_end) = read_parts(text, start);
        if next.is_empty() || parts.is_empty() || next_end <= start {
            break;
        }
        let class = part_class(&next[0]);
        let Some(keep) = parts.iter().rposition(|p| part_class(p) == class) else { break };
        let mut joined = parts[..keep].to_vec();
        joined.extend(next);
        if let Some(citation) = cite(base, &joined, start, next_end, aside) {
            found.push(citation);
        }
        parts = joined;
        end = next_end;
    }
    end
}

/// "Rule 5605, in particular paragraph (c)(2)(A) of it": the parts belong to the rule named before.
fn read_paragraphs_of(text: &str, found: &mut [Citation]) {
    for captures in PARAGRAPH_OF.captures_iter(text) {
        // Group 1 always takes part in a match.
        let open = captures.get(1).expect("a constant of this module").start();
        let (parts, end) = read_parts(text, open);
        let before = found.iter().rposition(|c| c.end <= open && open - c.end < 60 && !c.rule.contains('('));
        if let (Some(i), false) = (before, parts.is_empty()) {
            let base = found[i].rule.clone();
            if let Some(citation) = cite(&base, &parts, found[i].start, end, found[i].aside) {
                found[i] = citation;
            }
        }
    }
}

fn only_joins(between: &str) -> bool {
    between.len() < 12
        && between.split(|c: char| c.is_whitespace() || c == ',').all(|w| matches!(w, "" | "and" | "or" | "&"))
}

fn known_number(number: &str) -> bool {
    let number = number.split('-').next().unwrap_or(number);
    number.len() == 4 && TABLE.iter().any(|e| e.rule.trim_start_matches("im-").starts_with(number))
}

fn part_class(part: &str) -> u8 {
    match part.bytes().next() {
        Some(b) if b.is_ascii_digit() => 0,
        _ => 1,
    }
}

/// Reads `(c) (14)`, `(c)14`, `(c)(l)` and returns the parts in lower case with the end of the last one.
fn read_parts(text: &str, start: usize) -> (Vec<String>, usize) {
    let bytes = text.as_bytes();
    let mut parts: Vec<String> = Vec::new();
    let (mut at, mut end) = (start, start);
    while parts.len() < 7 {
        let mut open = at;
        while open < bytes.len() && open - at < 3 && bytes[open].is_ascii_whitespace() {
            open += 1;
        }
        if bytes.get(open) == Some(&b'(') {
            let Some(len) = text[open..].bytes().take(9).position(|b| b == b')') else { break };
            let inner = text[open + 1..open + len].trim().to_ascii_lowercase();
            let plausible = (1..=4).contains(&inner.len()) && inner.bytes().all(|b| b.is_ascii_alphanumeric());
            if !plausible || (parts.is_empty() && inner.len() > 2) || matches!(inner.as_str(), "the") {
                break;
            }
            parts.push(inner);
            at = open + len + 1;
        } else if !parts.is_empty() && open == at && bytes.get(at).is_some_and(u8::is_ascii_digit) {
            let len = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
            if len > 2 {
                break;
            }
            parts.push(text[at..at + len].to_owned());
            at += len;
        } else {
            break;
        }
        end = at;
    }
    (parts, end)
}

fn cite(base: &str, parts: &[String], start: usize, end: usize, aside: bool) -> Option<Citation> {
    let join = |parts: &[String]| parts.iter().fold(base.to_owned(), |rule, part| format!("{rule}({part})"));
    let mut parts = parts.to_vec();
    // A letter l or i where the table knows a digit is a misprint: 5250(c)(l).
    for i in 0..parts.len() {
        if matches!(parts[i].as_str(), "l" | "i" | "ll") {
            let digit = parts[i].replace(['l', 'i'], "1");
            let mut corrected = parts.clone();
            corrected[i] = digit;
            let known = |rule: &str| TABLE.iter().any(|e| e.rule.starts_with(rule));
            // A numeral i is right in 1003(a)(i); l is no part of any rule.
            let l_for_1 = parts[i].contains('l') && i > 0 && part_class(&parts[i - 1]) == 1;
            let i_for_1 =
                parts[i] == "i" && (known(&join(&corrected[..=i])) || base == "5250") && !known(&join(&parts[..=i]));
            if l_for_1 || (i_for_1 && base.len() == 4 && !base.starts_with("10")) {
                parts = corrected;
            }
        }
    }
    let rule = join(&parts);
    let entry = TABLE.iter().filter(|e| starts_rule(&rule, &e.rule)).max_by_key(|e| e.rule.len())?;
    Some(Citation {
        start,
        end,
        basis: entry.basis,
        procedure: entry.class == Class::Procedure,
        exchange: entry.exchange,
        rule,
        aside,
    })
}

/// True if `rule` is `prefix` or a part of it; a short numeric prefix such as "58" stands for a series.
fn starts_rule(rule: &str, prefix: &str) -> bool {
    let Some(rest) = rule.strip_prefix(prefix) else { return false };
    if prefix.len() == 2 {
        let number = rule.split('(').next().unwrap_or(rule);
        return match prefix {
            "80" => number.len() == 3 && !number.contains('.'),
            _ => number.len() == 4,
        };
    }
    rest.is_empty()
        || rest.starts_with(['(', '-', '.'])
        || prefix.ends_with(['0', '(', ')']) && prefix.contains(['.', '('])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> =
            find_rules(text).into_iter().filter(|c| !c.procedure && !c.aside).map(|c| c.rule).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn damaged_spellings_come_to_one_form() {
        check("Marketplace Rule 4310 (c) (14)", &["4310(c)(14)"]);
        check("Marketplace Rule 4310(c)14, which", &["4310(c)(14)"]);
        check("Listing Rule 5250(c)1.", &["5250(c)(1)"]);
        check("Rule 4310(C)(14)", &["4310(c)(14)"]);
        check("Nasdaq Listing Rule 5250(c)(l) requires", &["5250(c)(1)"]);
        check("Rule 5605(c)(2)(A)", &["5605(c)(2)(a)"]);
        check("Section 802.01E of the Manual", &["802.01e"]);
        check("Interpretative Material IM-5101-2", &["im-5101-2"]);
    }

    #[test]
    fn lists_go_on_with_parts_or_numbers() {
        check("Rules 5250(c)(1) and (2)", &["5250(c)(1)", "5250(c)(2)"]);
        check("Marketplace Rules 4310(c)(14), 4350(e) and 4350(g), for", &["4310(c)(14)", "4350(e)", "4350(g)"]);
        check("Sections 134 and 1101 of the Company Guide, Section 1003(d)", &["134", "1101", "1003(d)"]);
        check("Rules 5450(a)(1) and 5810(c)(3)(A)", &["5450(a)(1)"]);
        check("Listing Rule 5605, in particular paragraph (c)(2)(A) of that Rule", &["5605(c)(2)(a)"]);
    }

    #[test]
    fn procedure_and_foreign_rules_are_no_basis() {
        check("under Rule 5815(a)(1)(B) and Rule 4805", &[]);
        check("Rule 12b-25, Rule 10b5-1, in 2007, 4,310 shares (c)", &[]);
        check("Listing Rule 5810(b)", &[]);
        check("Section 1350 of the Code and Section 4.03 of the Indenture", &[]);
    }

    #[test]
    fn asides_are_set_apart() {
        check("Rule 5250(c)(1) (formerly Marketplace Rule 4310(c)(14)) that", &["5250(c)(1)"]);
        check("Rule 5550(b)(2); it also does not meet Rules 5550(b)(1) and 5550(b)(3)", &["5550(b)(2)"]);
    }

    #[test]
    fn every_entry_of_the_table_is_in_canonical_form() {
        for entry in TABLE.iter() {
            assert!(
                !entry.rule.contains(char::is_whitespace) && entry.rule == entry.rule.to_lowercase(),
                "{}",
                entry.rule
            );
        }
    }
}
