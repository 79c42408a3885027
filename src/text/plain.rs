//! Hard-wrapped plain text to paragraphs, by the layout of its lines.

use std::iter::Peekable;

use super::fold::{Folded, fold};
use super::paragraphs::{Paragraphs, is_page_number, is_ruler_char, is_sgml_marker};

pub(super) fn convert(text: &str) -> String {
    let mut out = Paragraphs::with_capacity(text.len());
    append(text, &mut out);
    out.finish()
}

/// Appends the paragraphs of a text.
pub(super) fn append(text: &str, out: &mut Paragraphs) {
    out.end_paragraph();
    let n_before = out.n_paragraphs();
    Reader { out, n_before, open: None, page_turned: false }.read(lines(text).map(Line::measure).peekable());
}

/// Lines ended by LF, CRLF or CR alone.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

struct Reader<'o> {
    out: &'o mut Paragraphs,
    /// Paragraphs that were there before this text.
    n_before: usize,
    open: Option<Open>,
    /// Whether a page ended since the last paragraph.
    page_turned: bool,
}

/// The lines of the open paragraph that decide whether the next one belongs to it.
struct Open {
    first: Line<'static>,
    last: Line<'static>,
    n_lines: usize,
}

impl Reader<'_> {
    fn read<'a>(&mut self, mut lines: Peekable<impl Iterator<Item = Line<'a>>>) {
        while let Some(line) = lines.next() {
            match line.kind {
                Kind::Blank | Kind::Ruler | Kind::Marker => self.end_paragraph(),
                Kind::PageEnd => self.end_page(),
                Kind::Words | Kind::Cells => {
                    let alone = lines.peek().is_none_or(|next| matches!(next.kind, Kind::Blank | Kind::PageEnd));
                    if self.page_turned && alone && is_page_number(line.text) {
                        continue;
                    }
                    self.line(line);
                }
            }
        }
        self.end_paragraph();
    }

    fn line(&mut self, line: Line) {
        let goes_on = self.open.as_ref().is_some_and(|open| open.takes(&line));
        if !goes_on {
            self.end_paragraph();
            if self.page_turned && self.goes_on_over_page(&line) {
                self.out.reopen();
            }
            self.page_turned = false;
        }
        self.out.push_blank();
        self.out.push_str(line.text);
        let last = line.layout();
        self.open = Some(match self.open.take() {
            Some(open) => Open { last, n_lines: open.n_lines + 1, ..open },
            None => Open { first: last, last, n_lines: 1 },
        });
    }

    fn end_paragraph(&mut self) {
        self.out.end_paragraph();
        self.open = None;
    }

    fn end_page(&mut self) {
        self.end_paragraph();
        if self.out.n_paragraphs() > self.n_before && is_page_number(self.out.last()) {
            self.out.drop_last();
        }
        self.page_turned = true;
    }

    /// Whether the first line of a page continues the paragraph at the end of the page before.
    fn goes_on_over_page(&self, line: &Line) -> bool {
        let last = self.out.last();
        self.out.n_paragraphs() > self.n_before
            && line.kind == Kind::Words
            && line.text.starts_with(char::is_lowercase)
            && last.len() >= MIN_BROKEN_BYTES
            && last.starts_with(char::is_alphanumeric)
            && !last.ends_with(['.', ':', ';', '!', '?', '"'])
    }
}

impl Open {
    /// Whether the paragraph goes on with this line.
    fn takes(&self, line: &Line) -> bool {
        let (first, last) = (&self.first, &self.last);
        if line.kind == Kind::Cells {
            return line.is_justified() && last.kind == Kind::Words && line.indent == last.indent;
        }
        if last.kind == Kind::Cells {
            return last.hang == Some(line.indent) || last.is_justified() && line.indent == last.indent;
        }
        // Nobody wraps that wide: here every line is a paragraph.
        if last.end.max(line.end) > MAX_WRAPPED {
            return false;
        }
        if is_centred(last, line) {
            return true;
        }
        if line.is_listed && first.is_listed && line.indent == first.indent {
            return false;
        }
        let deeper = line.indent > last.indent + 1;
        if self.n_lines > 1 {
            return !deeper && line.indent + 1 >= last.indent;
        }
        if deeper {
            let hangs = last.hang.is_some_and(|hang| hang.abs_diff(line.indent) <= 1);
            return hangs || last.is_listed && line.indent <= last.indent + TAB && !last.has_room_for(line);
        }
        last.indent < line.indent + MIN_DEDENT && !last.is_heading_before(line)
    }
}

/// Whether both lines are centred on the same column and visibly not wrapped prose.
fn is_centred(a: &Line, b: &Line) -> bool {
    let least = a.indent.min(b.indent);
    let apart = a.indent.abs_diff(b.indent);
    (a.indent + a.end).abs_diff(b.indent + b.end) <= MAX_OFF_CENTRE
        && least > 0
        && apart > 0
        && (least >= MIN_DEDENT || apart >= MIN_DEDENT || a.is_capitals() && b.is_capitals())
}

/// One line and its layout; columns count from zero.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    text: &'a str,
    kind: Kind,
    /// Column of the first character.
    indent: usize,
    /// Column after the last character.
    end: usize,
    /// Where following lines would begin if they hang under this one's text, its list sign left of it.
    hang: Option<usize>,
    /// Blanks between the words, where there are enough to separate cells.
    gaps: Gaps,
    has_lower: bool,
    has_upper: bool,
    /// Whether it begins with a list sign: a bullet, a number, a check box.
    is_listed: bool,
    is_item: bool,
    first_word: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Blank,
    Ruler,
    /// SGML of old filings, which marks up tables.
    Marker,
    PageEnd,
    /// A row of a table.
    Cells,
    Words,
}

#[derive(Clone, Copy, Debug, Default)]
struct Gaps {
    count: usize,
    widest: usize,
}

impl<'a> Line<'a> {
    fn measure(raw: &'a str) -> Self {
        let text = raw.trim();
        let mut line = Line {
            text,
            kind: Kind::Words,
            indent: 0,
            end: 0,
            hang: None,
            gaps: Gaps::default(),
            has_lower: false,
            has_upper: false,
            is_listed: is_list_sign(text.split_whitespace().next().unwrap_or_default()) || text.starts_with("[ ]"),
            is_item: text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("item ")),
            first_word: text.split_whitespace().next().unwrap_or_default().chars().count(),
        };
        let mut column = 0;
        let mut blanks = 0;
        let mut only_ruler = true;
        let mut previous = None;
        for c in raw.chars() {
            let c = match fold(c) {
                Folded::Nothing => continue,
                Folded::Blank => {
                    let width = if c == '\t' { TAB - column % TAB } else { 1 };
                    column += width;
                    blanks += width;
                    continue;
                }
                Folded::One(c) => c,
                Folded::Many(_) => 'f',
            };
            match previous {
                None => line.indent = column,
                Some(previous) => line.count_gap(column, blanks, previous),
            }
            only_ruler &= is_ruler_char(c);
            line.has_lower |= c.is_lowercase();
            line.has_upper |= c.is_uppercase();
            previous = Some(c);
            blanks = 0;
            column += 1;
            line.end = column;
        }
        line.kind = match previous {
            None => Kind::Blank,
            Some(_) if only_ruler => Kind::Ruler,
            Some('>' | '0'..='9' | '-') if is_sgml_marker(text) => {
                if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("<page")) {
                    Kind::PageEnd
                } else {
                    Kind::Marker
                }
            }
            Some(_) if line.gaps.count > 0 || text.contains(LEADER) => Kind::Cells,
            Some(_) => Kind::Words,
        };
        line
    }

    /// Takes notice of the blanks that end at this column.
    fn count_gap(&mut self, column: usize, blanks: usize, before: char) {
        if blanks >= 2 || blanks == 1 && self.is_listed && before != '[' {
            self.hang.get_or_insert(column);
        }
        // Some writers put three blanks after a sentence.
        let after_sentence = blanks == CELL_BLANKS && matches!(before, '.' | ':' | ';' | '?' | '!');
        if blanks >= CELL_BLANKS && !after_sentence {
            self.gaps.count += 1;
            self.gaps.widest = self.gaps.widest.max(blanks);
            self.hang = if self.gaps.count == 1 { Some(column) } else { None };
        }
    }

    /// The line without its text, to remember it by.
    fn layout(&self) -> Line<'static> {
        Line { text: "", ..*self }
    }

    fn is_capitals(&self) -> bool {
        self.has_upper && !self.has_lower
    }

    /// Whether the one gap looks like that of a justified line rather than of a table.
    fn is_justified(&self) -> bool {
        self.gaps.count == 1 && self.gaps.widest == CELL_BLANKS && self.end >= self.indent + MIN_JUSTIFIED
    }

    /// Whether this is a heading that the next line does not continue: it ends though there was room.
    fn is_heading_before(&self, next: &Line) -> bool {
        self.has_room_for(next) && (self.is_item || self.is_capitals() && !next.is_capitals())
    }

    /// Whether wrapping would have put the first word of the next line on this one.
    fn has_room_for(&self, next: &Line) -> bool {
        self.end + 1 + next.first_word + MIN_ROOM < WRAP
    }
}

/// Whether the word is a bullet or a number such as `(a)`, `12.`, `[x]`.
fn is_list_sign(word: &str) -> bool {
    let inner = word.trim_matches(['(', ')', '[', ']', '.']);
    let is_number = inner.len() <= 3 && inner.bytes().all(|b| b.is_ascii_digit())
        || inner.len() == 1 && inner.bytes().all(|b| b.is_ascii_alphabetic())
        || inner.len() <= 4 && inner.bytes().all(|b| matches!(b, b'i' | b'v' | b'x'));
    BULLETS.contains(&word)
        || !inner.is_empty() && is_number && inner.len() < word.len() && word.len() <= inner.len() + 2
}

const BULLETS: [&str; 7] = ["-", "--", "*", "+", "o", "\u{2022}", "\u{b7}"];

const TAB: usize = 8;

/// Blanks that separate cells.
const CELL_BLANKS: usize = 3;

/// Dots that lead to a cell.
const LEADER: &str = "....";

/// Columns to the left that no first line of a paragraph is indented by, but a signature or a centred line is.
const MIN_DEDENT: usize = 12;

/// Twice the columns by which centred lines may miss each other's centre.
const MAX_OFF_CENTRE: usize = 4;

/// Columns that a justified line fills at least.
const MIN_JUSTIFIED: usize = 55;

/// The column that filers wrap at, or a little less.
const WRAP: usize = 72;

/// The widest line that may be a wrapped one.
const MAX_WRAPPED: usize = 250;

/// Columns left over, beyond the next word, that no wrapping leaves.
const MIN_ROOM: usize = 8;

/// The least that a paragraph broken by a page end measures; shorter ones are headings.
const MIN_BROKEN_BYTES: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(convert(text), expected, "{text}");
    }

    #[test]
    fn wrapped_lines_are_one_paragraph() {
        check(
            "The Company received\na letter.\n\nIt plans\nto appeal.\n",
            "The Company received a letter.\n\nIt plans to appeal.",
        );
        check("one\r\ntwo\r\n\r\nthree", "one two\n\nthree");
        check("one\rtwo\r\rthree", "one two\n\nthree");
        check("a well-\nknown rule", "a well- known rule");
        check("one\n \u{a0}\u{200b}\ntwo", "one\n\ntwo");
    }

    #[test]
    fn indented_line_begins_a_paragraph() {
        check(
            "    First one\nwraps here.\n    Second one\nwraps, too.",
            "First one wraps here.\n\nSecond one wraps, too.",
        );
        check("ITEM 5. OTHER EVENTS\n     The Company", "ITEM 5. OTHER EVENTS\n\nThe Company");
        check("\tFirst\nwraps\n\tSecond", "First wraps\n\nSecond");
    }

    #[test]
    fn text_hanging_under_its_list_sign_stays_with_it() {
        check("[ ] Written notice\n    under Rule 1\n[ ] Other", "[ ] Written notice under Rule 1\n\n[ ] Other");
        check("-- One item\n   wraps\n-- Two", "-- One item wraps\n\n-- Two");
        check("* One\n* Two\nwraps\n* Three", "* One\n\n* Two wraps\n\n* Three");
        let item = "* Incorporated by reference to the report of the Company dated November 7,";
        check(&format!("  {item}\n       2001, as filed"), &format!("{item} 2001, as filed"));
        check("(a) One\n    wraps\n(b) Two", "(a) One wraps\n\n(b) Two");
        check(
            "99.1      Press release of the\n          Company\n99.2      Letter",
            "99.1 Press release of the Company\n\n99.2 Letter",
        );
    }

    #[test]
    fn list_sign_inside_prose_begins_nothing() {
        check("as required by Rule 5250\n(c)(1) of the\n(a) rules", "as required by Rule 5250 (c)(1) of the (a) rules");
    }

    #[test]
    fn centred_lines_are_one_paragraph() {
        check(
            "  MERIDIAN LANTERN RECEIVES NASDAQ NOTICE OF LATE FILING\n                    AND PLANS TO APPEAL\n",
            "MERIDIAN LANTERN RECEIVES NASDAQ NOTICE OF LATE FILING AND PLANS TO APPEAL",
        );
        check(
            "                    Meridian Lantern, Inc.\n            (Exact name as in its charter, today)\n",
            "Meridian Lantern, Inc. (Exact name as in its charter, today)",
        );
    }

    #[test]
    fn heading_is_not_continued_by_the_text_below() {
        check("OTHER EVENTS\nThe Company has", "OTHER EVENTS\n\nThe Company has");
        check("Item 3.01 Notice of Delisting\nOn May 1, we", "Item 3.01 Notice of Delisting\n\nOn May 1, we");
        let heading = "Item 3.01 Notice of Delisting or Failure to Satisfy a Continued Listing";
        check(&format!("{heading}\nRule or Standard"), &format!("{heading} Rule or Standard"));
        check(
            "                              MERIDIAN LANTERN\nDate: May 1, 2001",
            "MERIDIAN LANTERN\n\nDate: May 1, 2001",
        );
    }

    #[test]
    fn table_row_is_a_paragraph() {
        check(
            "Net income     1,200     900\nPer share       0.12    0.10",
            "Net income 1,200 900\n\nPer share 0.12 0.10",
        );
        check("Closing....... 2\nCosts......... 3", "Closing....... 2\n\nCosts......... 3");
        check("<TABLE>\n<CAPTION>\n     2001    2000\n<S>   <C>  <C>\nNet   1     2\n</TABLE>", "2001 2000\n\nNet 1 2");
        check("Text before\nNet        1        2\ntext after", "Text before\n\nNet 1 2\n\ntext after");
    }

    #[test]
    fn line_too_long_to_be_wrapped_is_a_paragraph() {
        let long = "word ".repeat(60);
        let long = long.trim();
        check(&format!("About us\n{long}\n{long}\nContact"), &format!("About us\n\n{long}\n\n{long}\n\nContact"));
    }

    #[test]
    fn blanks_in_prose_make_no_table() {
        check("It ended.   The Company\nsaid so.", "It ended. The Company said so.");
        check(
            "The Company received a letter from the   staff of the exchange\nand plans to appeal.",
            "The Company received a letter from the staff of the exchange and plans to appeal.",
        );
    }

    #[test]
    fn rulers_and_markers_vanish() {
        check("One\n-------\nTwo\n==== ====\n\u{2014}\u{2014}\nThree\n_____", "One\n\nTwo\n\nThree");
        check("<TABLE>\nOne\n</TABLE>\n<FN>\n", "One");
        check("a <b> c < d <TABLE>", "a <b> c < d <TABLE>");
    }

    #[test]
    fn paragraph_goes_on_over_the_page() {
        let one = "The staff of the exchange has informed the Company that";
        check(&format!("{one}\n\n     2\n<PAGE>\n\nit does not comply."), &format!("{one} it does not comply."));
        check(&format!("{one}\n<PAGE>   3\n\n-3-\n\nit does not."), &format!("{one} it does not."));
        check(&format!("{one}.\n<PAGE>\nit"), &format!("{one}.\n\nit"));
        check(&format!("{one}\n<PAGE>\nIt"), &format!("{one}\n\nIt"));
    }

    #[test]
    fn number_away_from_a_page_end_stays() {
        check("One\n\n2\n\nThree", "One\n\n2\n\nThree");
        check("<PAGE>\n12\nmonths", "12 months");
        check("One\n\n2001\n<PAGE>", "One\n\n2001");
    }
}
