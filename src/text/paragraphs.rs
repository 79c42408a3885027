//! The text under construction: keeps the normal form, whatever is pushed in whatever order.

use super::fold::{Folded, fold};

/// Normalised paragraphs, the last of which may still be open.
#[derive(Debug, Default)]
pub(super) struct Paragraphs {
    out: String,
    /// Where each paragraph begins in `out`.
    starts: Vec<usize>,
    /// Whether the last paragraph takes more words.
    open: bool,
    /// Whether a blank was pushed since the last word.
    blank: bool,
}

impl Paragraphs {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), ..Self::default() }
    }

    /// Appends text to the open paragraph, or begins one with it.
    pub(super) fn push_str(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let run = plain_run(&bytes[at..]);
            if run > 0 {
                self.append(&text[at..at + run]);
                at += run;
            } else if bytes[at] == b' ' || bytes[at] == b'\n' {
                self.blank = true;
                at += 1;
            } else {
                // Runs end before an ASCII byte or after one, so this is a character boundary inside the text.
                let c = text[at..].chars().next().unwrap_or_default();
                self.push_char(c);
                at += c.len_utf8();
            }
        }
    }

    pub(super) fn push_char(&mut self, c: char) {
        match fold(c) {
            Folded::Nothing => {}
            Folded::Blank => self.blank = true,
            Folded::One(c) => self.append(c.encode_utf8(&mut [0; 4])),
            Folded::Many(text) => self.append(text),
        }
    }

    pub(super) fn push_blank(&mut self) {
        self.blank = true;
    }

    /// Ends the open paragraph; one that says nothing is dropped.
    pub(super) fn end_paragraph(&mut self) {
        if self.open && is_noise(self.last()) {
            self.drop_last();
        }
        self.open = false;
        self.blank = false;
    }

    /// Ends the open paragraph and makes it several, cut at these offsets of [`Paragraphs::len`].
    pub(super) fn end_paragraph_split(&mut self, cuts: &[usize]) {
        let Some(&start) = self.starts.last().filter(|_| self.open) else { return };
        let whole = self.out[start..].to_owned();
        self.drop_last();
        let mut from = 0;
        for cut in cuts.iter().map(|cut| cut - start).chain([whole.len()]) {
            self.end_paragraph();
            self.push_str(&whole[from..cut]);
            from = cut;
        }
        self.end_paragraph();
    }

    /// Opens the last paragraph again: what follows continues it after a blank.
    pub(super) fn reopen(&mut self) {
        self.open = !self.starts.is_empty();
        self.blank = true;
    }

    /// Removes the last paragraph.
    pub(super) fn drop_last(&mut self) {
        let start = self.starts.pop().unwrap_or(0);
        self.out.truncate(start.saturating_sub(SEPARATOR.len()));
        self.open = false;
        self.blank = false;
    }

    /// The last paragraph, empty if there is none.
    pub(super) fn last(&self) -> &str {
        self.starts.last().map_or("", |&start| &self.out[start..])
    }

    pub(super) fn n_paragraphs(&self) -> usize {
        self.starts.len()
    }

    /// Bytes so far; does not change while only blanks are pushed.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    pub(super) fn finish(mut self) -> String {
        self.end_paragraph();
        self.out
    }

    /// Appends folded text without blanks at its ends.
    fn append(&mut self, text: &str) {
        if !self.open {
            if !self.out.is_empty() {
                self.out.push_str(SEPARATOR);
            }
            self.starts.push(self.out.len());
            self.open = true;
        } else if self.blank {
            self.out.push(' ');
        }
        self.blank = false;
        self.out.push_str(text);
    }
}

/// Length of the beginning that can be copied as it is: visible ASCII with single spaces inside.
fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii_graphic() {
            at += 1;
        } else if byte == b' ' && at > 0 && bytes.get(at + 1).is_some_and(u8::is_ascii_graphic) {
            at += 2;
        } else {
            break;
        }
    }
    at
}

/// Whether a paragraph is only a ruler or left-over SGML. Both readers ask this, so that reading again changes nothing.
fn is_noise(paragraph: &str) -> bool {
    paragraph.chars().all(|c| c == ' ' || is_ruler_char(c)) || is_sgml_marker(paragraph)
}

pub(super) fn is_ruler_char(c: char) -> bool {
    matches!(c, '-' | '=' | '_' | '*')
}

/// Whether the text is nothing but SGML markers of old filings, such as `<S>   <C>` or `<PAGE> 3`.
pub(super) fn is_sgml_marker(text: &str) -> bool {
    let mut rest = text.trim();
    if !rest.starts_with('<') {
        return false;
    }
    while let Some((name, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        if !SGML_MARKERS.iter().any(|marker| marker.eq_ignore_ascii_case(name)) {
            return false;
        }
        rest = after.trim_start();
        if name.eq_ignore_ascii_case("PAGE") && is_page_number(rest) {
            return true;
        }
    }
    rest.is_empty()
}

/// Whether the text is a bare page number, such as `2` or `- 2 -`.
pub(super) fn is_page_number(text: &str) -> bool {
    let digits = text.trim_matches(|c: char| c == '-' || c.is_whitespace());
    (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

const SEPARATOR: &str = "\n\n";

const SGML_MARKERS: [&str; 15] = [
    "PAGE",
    "/PAGE",
    "TABLE",
    "/TABLE",
    "CAPTION",
    "/CAPTION",
    "S",
    "C",
    "FN",
    "/FN",
    "TEXT",
    "/TEXT",
    "DOCUMENT",
    "/DOCUMENT",
    "/SUBMISSION",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_become_one_space_inside_a_paragraph() {
        fn check(text: &str, expected: &str) {
            let mut paragraphs = Paragraphs::default();
            paragraphs.push_str(text);
            assert_eq!(paragraphs.finish(), expected, "{text:?}");
        }
        check("  a  b \t\r\n\u{a0} c ", "a b c");
        check("a b", "a b");
        check("a\u{200b}b", "ab");
        check("\u{201c}of\u{fb01}ce\u{201d}", "\"office\"");
        check(" \u{a0}\u{200b} ", "");
    }

    #[test]
    fn pieces_join_as_they_were_written() {
        let mut paragraphs = Paragraphs::default();
        paragraphs.push_str("5250");
        paragraphs.push_str("(c)");
        paragraphs.push_blank();
        paragraphs.push_char('1');
        paragraphs.end_paragraph();
        paragraphs.end_paragraph();
        paragraphs.push_blank();
        paragraphs.push_str("next");
        assert_eq!(paragraphs.finish(), "5250(c) 1\n\nnext");
    }

    #[test]
    fn rulers_and_markers_are_not_paragraphs() {
        fn check(text: &str, expected: &str) {
            let mut paragraphs = Paragraphs::default();
            paragraphs.push_str("a");
            paragraphs.end_paragraph();
            paragraphs.push_str(text);
            assert_eq!(paragraphs.finish(), expected, "{text:?}");
        }
        check("---- ====", "a");
        check("\u{2014}\u{2014}", "a");
        check("<S>   <C>", "a");
        check("<page> 12", "a");
        check("<PAGE> 12 months", "a\n\n<PAGE> 12 months");
        check("<X>", "a\n\n<X>");
        check("--- x", "a\n\n--- x");
    }

    #[test]
    fn split_paragraph_drops_its_noise() {
        let mut paragraphs = Paragraphs::default();
        paragraphs.push_str("a");
        paragraphs.push_blank();
        let first = paragraphs.len();
        paragraphs.push_str("---");
        paragraphs.push_blank();
        let second = paragraphs.len();
        paragraphs.push_str("b");
        paragraphs.end_paragraph_split(&[first, second]);
        assert_eq!(paragraphs.finish(), "a\n\nb");
    }
}
