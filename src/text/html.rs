//! HTML to paragraphs: a tokenizer for what filers send, not a parser of documents.
//!
//! It builds no tree: a tag ends a paragraph, separates words or does nothing. Whatever is not well formed is taken as text
//! or has no effect, so that it never costs the text beside it; every search is bounded or remembered, so that no
//! input takes more than linear time.

use memchr::{memchr, memchr2, memchr2_iter, memmem};

use super::entities::read_reference;
use super::paragraphs::Paragraphs;
use super::plain;

pub(super) fn convert(html: &str) -> String {
    Converter::new(html).run()
}

struct Converter<'a> {
    html: &'a str,
    out: Paragraphs,
    row: Row,
    /// Text of the `pre` element being read: its line ends have a meaning.
    pre: Option<String>,
    /// Where the text ended at the last `br`; a second one at the same place ends the paragraph.
    br_at: Option<usize>,
    comment_end: Closer,
    cdata_end: Closer,
    tag_end: Closer,
    n_unclosed: usize,
}

impl<'a> Converter<'a> {
    fn new(html: &'a str) -> Self {
        Self {
            html,
            out: Paragraphs::with_capacity(html.len() / 4),
            row: Row::default(),
            pre: None,
            br_at: None,
            comment_end: Closer::new("-->"),
            cdata_end: Closer::new("]]>"),
            tag_end: Closer::new(">"),
            n_unclosed: 0,
        }
    }

    fn run(mut self) -> String {
        let mut at = 0;
        while let Some(len) = memchr(b'<', &self.html.as_bytes()[at..]) {
            self.text(&self.html[at..at + len]);
            at = self.markup(at + len);
        }
        self.text(&self.html[at..]);
        self.close_pre();
        self.end_paragraph();
        self.out.finish()
    }

    /// Takes the markup that begins at this `<`, and returns where it ends.
    fn markup(&mut self, open: usize) -> usize {
        let bytes = self.html.as_bytes();
        let rest = &bytes[open..];
        let end = match rest.get(1) {
            Some(b'!') if rest.starts_with(b"<!--") => {
                // The search begins inside the opening because `<!-->` is a whole comment.
                self.comment_end.find(bytes, open + 2).or_else(|| self.tag_end.find(bytes, open))
            }
            Some(b'!') if rest.starts_with(b"<![CDATA[") => {
                self.cdata_end.find(bytes, open).or_else(|| self.tag_end.find(bytes, open))
            }
            // Declarations, processing instructions, and the conditional sections of word processors: `<![endif]>`.
            Some(b'!' | b'?') if rest.get(2).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'[') => {
                self.tag_end.find(bytes, open)
            }
            Some(b'/' | b'a'..=b'z' | b'A'..=b'Z') => match read_tag(bytes, open) {
                Ok(tag) => Some(self.tag(&tag)),
                Err(end) => {
                    self.text(&self.html[open..end]);
                    return end;
                }
            },
            _ => None,
        };
        end.unwrap_or_else(|| {
            self.text("<");
            open + 1
        })
    }

    /// Takes a tag, with its content where that is not shown, and returns where it ends.
    fn tag(&mut self, tag: &Tag) -> usize {
        let element = Element::of(tag.name);
        let hidden_end = if tag.closing || tag.empty { None } else { self.hidden_end(tag, element) };
        if self.pre.is_some() {
            self.tag_in_pre(tag, element);
        } else {
            self.apply(tag, element);
        }
        hidden_end.unwrap_or(tag.end)
    }

    fn apply(&mut self, tag: &Tag, element: Element) {
        match element {
            Element::Inline | Element::Raw | Element::Title | Element::Facts => {}
            Element::Blank => self.out.push_blank(),
            Element::LineBreak => {
                if self.br_at == Some(self.out.len()) {
                    self.end_block();
                }
                self.br_at = Some(self.out.len());
                self.out.push_blank();
            }
            Element::Block => self.end_block(),
            Element::Row => {
                self.end_paragraph();
                self.row.cell = None;
            }
            Element::Cell => {
                self.out.push_blank();
                self.row.end_cell(self.out.len());
                self.row.cell = (!tag.closing).then_some(self.out.len());
            }
            Element::Pre => {
                self.end_paragraph();
                self.pre = (!tag.closing).then(String::new);
            }
        }
    }

    /// Inside `pre`, tags become the line ends and blanks that [`plain`] understands.
    fn tag_in_pre(&mut self, tag: &Tag, element: Element) {
        let Some(pre) = &mut self.pre else { return };
        match element {
            Element::Inline | Element::Raw | Element::Title | Element::Facts => {}
            Element::Blank if tag.name.eq_ignore_ascii_case(b"page") => pre.push_str("\n<PAGE>\n"),
            Element::Blank => pre.push(' '),
            Element::LineBreak => pre.push('\n'),
            Element::Block | Element::Row => pre.push_str("\n\n"),
            Element::Cell => pre.push_str("   "),
            Element::Pre => self.close_pre(),
        }
    }

    fn close_pre(&mut self) {
        if let Some(pre) = self.pre.take() {
            plain::append(&pre, &mut self.out);
            self.row.move_to(self.out.len());
        }
    }

    /// Ends a block: a paragraph, or in a table cell perhaps only a line of the row's paragraph.
    fn end_block(&mut self) {
        if self.row.cell.is_some() {
            self.out.push_blank();
            self.row.end_line(self.out.len());
        } else {
            self.end_paragraph();
        }
    }

    fn end_paragraph(&mut self) {
        self.row.end_cell(self.out.len());
        let start = self.out.len() - self.out.last().len();
        let cuts = self.row.take_cuts(start);
        if cuts.is_empty() {
            self.out.end_paragraph();
        } else {
            self.out.end_paragraph_split(&cuts);
        }
        self.row.move_to(self.out.len());
    }

    fn text(&mut self, mut text: &str) {
        if text.is_empty() {
            return;
        }
        while let Some(at) = memchr(b'&', text.as_bytes()) {
            self.push_str(&text[..at]);
            text = &text[at..];
            let len = if let Some((c, len)) = read_reference(text) {
                self.push_char(c);
                len
            } else {
                self.push_char('&');
                1
            };
            text = &text[len..];
        }
        self.push_str(text);
    }

    fn push_str(&mut self, text: &str) {
        match &mut self.pre {
            Some(pre) => pre.push_str(text),
            None => self.out.push_str(text),
        }
    }

    fn push_char(&mut self, c: char) {
        match &mut self.pre {
            Some(pre) => pre.push(c),
            None => self.out.push_char(c),
        }
    }

    /// Where the content of this element ends, if it is not to be shown and does end.
    fn hidden_end(&mut self, tag: &Tag, element: Element) -> Option<usize> {
        let bytes = self.html.as_bytes();
        match element {
            Element::Raw => raw_end(bytes, tag),
            Element::Title => title_end(bytes, tag),
            Element::Facts => self.element_end(tag),
            _ if tag.is_void() || !is_display_none(tag.attributes) => None,
            // A hidden paragraph ends with the next block, because `</p>` is often left out.
            _ if tag.name.eq_ignore_ascii_case(b"p") => self.next_block(tag.end),
            _ => self.element_end(tag),
        }
    }

    /// The end of the element that begins with this tag, counting elements of the same name inside it.
    ///
    /// An element that never ends is not hidden: `None`. Its search has read the whole rest, so a file gets few of them;
    /// after that nothing in it is hidden any more.
    fn element_end(&mut self, tag: &Tag) -> Option<usize> {
        if self.n_unclosed == MAX_UNCLOSED {
            return None;
        }
        let mut depth = 1_usize;
        let mut at = tag.end;
        while let Some((_, inner)) = self.next_tag(at) {
            at = inner.end;
            if !inner.name.eq_ignore_ascii_case(tag.name) || inner.empty {
                continue;
            }
            depth = if inner.closing { depth - 1 } else { depth + 1 };
            if depth == 0 {
                return Some(at);
            }
        }
        self.n_unclosed += 1;
        None
    }

    fn next_block(&mut self, from: usize) -> Option<usize> {
        let mut at = from;
        while let Some((open, tag)) = self.next_tag(at) {
            if Element::of(tag.name).is_block() {
                return Some(open);
            }
            at = tag.end;
        }
        None
    }

    /// The next tag outside comments, and where it begins.
    fn next_tag(&mut self, from: usize) -> Option<(usize, Tag<'a>)> {
        let bytes = self.html.as_bytes();
        let mut at = from;
        loop {
            let open = at + memchr(b'<', &bytes[at..])?;
            at = if bytes[open..].starts_with(b"<!--") {
                self.comment_end.find(bytes, open + 2).unwrap_or(open + 1)
            } else {
                match read_tag(bytes, open) {
                    Ok(tag) => return Some((open, tag)),
                    Err(end) => end,
                }
            };
        }
    }
}

/// What a tag does to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    /// Nothing: words go on across it.
    Inline,
    /// Separates words.
    Blank,
    LineBreak,
    /// Ends a paragraph; in a table cell, a line.
    Block,
    /// Ends a paragraph, in a table cell too.
    Row,
    Cell,
    Pre,
    /// Content that is no HTML.
    Raw,
    Title,
    /// Inline XBRL facts that belong to no place in the text.
    Facts,
}

impl Element {
    fn of(name: &[u8]) -> Self {
        let mut lower = [0; LONGEST_NAME];
        let Some(lower) = lower.get_mut(..name.len()) else { return Self::Inline };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let name: &[u8] = lower;
        match name.strip_prefix(b"xhtml:").unwrap_or(name) {
            // Most tags are one of these: they are told at once.
            b"font" | b"b" | b"a" | b"i" | b"u" | b"span" => Self::Inline,
            b"br" => Self::LineBreak,
            b"td" | b"th" => Self::Cell,
            b"table" | b"thead" | b"tbody" | b"tfoot" | b"tr" | b"html" | b"body" => Self::Row,
            // The SGML tags around a document, in case several come in one file.
            b"document" | b"type" | b"sequence" | b"filename" | b"description" | b"text" => Self::Row,
            b"p" | b"div" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" | b"hr" | b"center" | b"blockquote" => {
                Self::Block
            }
            b"ul" | b"ol" | b"li" | b"dl" | b"dt" | b"dd" | b"dir" | b"menu" | b"caption" | b"address" => Self::Block,
            b"section" | b"article" | b"header" | b"footer" | b"main" | b"nav" | b"aside" => Self::Block,
            b"figure" | b"figcaption" | b"form" | b"fieldset" | b"legend" | b"option" => Self::Block,
            b"details" | b"summary" | b"head" | b"fn" => Self::Block,
            b"page" | b"c" => Self::Blank,
            b"pre" | b"xmp" | b"listing" => Self::Pre,
            b"script" | b"style" => Self::Raw,
            b"title" => Self::Title,
            b"ix:header" | b"ix:hidden" | b"ix:references" | b"ix:resources" => Self::Facts,
            _ => Self::Inline,
        }
    }

    fn is_block(self) -> bool {
        matches!(self, Self::Block | Self::Row | Self::Cell | Self::Pre)
    }
}

/// The table row being read, which is to become one paragraph.
///
/// Tables also lay out whole documents, and then paragraphs inside a cell are paragraphs. So the ends of lines in a cell
/// are noted, and the end of the row tells what they were.
#[derive(Debug, Default)]
struct Row {
    /// Where the text of the open cell begins.
    cell: Option<usize>,
    n_cells: usize,
    /// Where lines ended inside a cell.
    lines: Vec<usize>,
}

impl Row {
    fn end_line(&mut self, at: usize) {
        if self.cell.is_some_and(|start| start < at) && self.lines.last() != Some(&at) {
            self.lines.push(at);
        }
    }

    fn end_cell(&mut self, at: usize) {
        if self.cell.is_some_and(|start| start < at) {
            self.n_cells += 1;
            self.cell = Some(at);
        }
        // The last line of a cell ends with the cell.
        self.lines.pop_if(|line| *line == at);
    }

    /// Lets the rest of an open cell begin here, after paragraphs that ended inside it.
    fn move_to(&mut self, at: usize) {
        self.cell = self.cell.map(|_| at);
    }

    /// Ends the row whose text begins here: the ends of lines that are ends of paragraphs.
    fn take_cuts(&mut self, start: usize) -> Vec<usize> {
        let only_cell = self.n_cells <= 1;
        self.n_cells = 0;
        let mut cuts = std::mem::take(&mut self.lines);
        let mut from = start;
        cuts.retain(|&line| {
            let is_paragraph = only_cell || line - from >= LONG_LINE;
            from = line;
            is_paragraph
        });
        cuts
    }
}

/// One tag of the input.
#[derive(Debug)]
struct Tag<'a> {
    name: &'a [u8],
    attributes: &'a [u8],
    closing: bool,
    /// Whether it is its own end, as `<div/>` in XHTML.
    empty: bool,
    /// Offset after the tag.
    end: usize,
}

impl Tag<'_> {
    fn is_void(&self) -> bool {
        VOID_ELEMENTS.iter().any(|name| name.eq_ignore_ascii_case(self.name))
    }
}

/// Reads the tag at this `<`; if there is none, `Err` says up to where the input is text.
fn read_tag(bytes: &[u8], open: usize) -> Result<Tag<'_>, usize> {
    let closing = bytes.get(open + 1) == Some(&b'/');
    let start = open + 1 + usize::from(closing);
    let name_len = bytes[start..].iter().take_while(|b| is_name_byte(**b)).count();
    let name = &bytes[start..start + name_len];
    let after = start + name_len;
    if !name.first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(open + 1);
    }
    // A mail address in angle brackets is text.
    if bytes.get(after).is_some_and(|b| !b.is_ascii_whitespace() && !matches!(b, b'>' | b'/')) {
        return Err(after);
    }
    let close = find_tag_close(bytes, after)?;
    let attributes = &bytes[after..close];
    Ok(Tag { name, attributes, closing, empty: attributes.ends_with(b"/"), end: close + 1 })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_' | b'.')
}

/// The `>` of a tag. A tag that another `<` or the end of the input cuts short has none: `Err` says where that is.
fn find_tag_close(bytes: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    // A `>` inside a value ends the tag after all if nothing else does: then a quote was forgotten.
    let mut quoted_close = None;
    loop {
        let len = bytes[at..].iter().position(|b| matches!(b, b'>' | b'<' | b'"' | b'\''));
        at = len.map_or(bytes.len(), |len| at + len);
        match bytes.get(at) {
            Some(b'>') => return Ok(at),
            None | Some(b'<') => return quoted_close.filter(|_| at - from <= MAX_REREAD).ok_or(at),
            Some(&quote) => {
                let is_value = bytes[from..at].trim_ascii_end().last() == Some(&b'=');
                let value = if is_value { find_value_end(bytes, at, quote) } else { None };
                at = value.as_ref().map_or(at + 1, |value| value.end);
                quoted_close = quoted_close.or(value.and_then(|value| value.bracket));
            }
        }
    }
}

/// Where a quoted attribute value ends, and the first `>` inside it.
struct ValueEnd {
    end: usize,
    bracket: Option<usize>,
}

/// The end of the attribute value that begins with this quote; `None` if the quote looks like a stray one.
///
/// A value may hold `>`. So may the text behind a forgotten quote: there the next quote belongs to something else, which
/// shows in what follows it, or there is a tag between.
fn find_value_end(bytes: &[u8], open: usize, quote: u8) -> Option<ValueEnd> {
    let start = open + 1;
    let first = start + memchr2(quote, b'>', &bytes[start..])?;
    if bytes[first] == quote {
        return Some(ValueEnd { end: first + 1, bracket: None });
    }
    let close = first + memchr(quote, &bytes[first..])?;
    let follows = bytes.get(close + 1).is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/' | b'?'));
    let is_value = follows && memchr(b'<', &bytes[start..close]).is_none();
    is_value.then_some(ValueEnd { end: close + 1, bracket: Some(first) })
}

/// The end of a `script` or `style` element, unless another one begins first: then this one was never closed.
fn raw_end(bytes: &[u8], tag: &Tag) -> Option<usize> {
    let mut at = tag.end;
    loop {
        let open = at + memchr(b'<', &bytes[at..])?;
        at = open + 1;
        let closing = bytes.get(at) == Some(&b'/');
        let name = bytes[at + usize::from(closing)..].get(..tag.name.len());
        if name.is_some_and(|name| name.eq_ignore_ascii_case(tag.name)) {
            return read_tag(bytes, open).ok().filter(|tag| tag.closing).map(|tag| tag.end);
        }
    }
}

/// The end of a title, which holds no tags; a title that does was never closed.
fn title_end(bytes: &[u8], tag: &Tag) -> Option<usize> {
    let open = tag.end + memchr(b'<', &bytes[tag.end..])?;
    let end = read_tag(bytes, open).ok()?;
    (end.closing && end.name.eq_ignore_ascii_case(tag.name)).then_some(end.end)
}

/// Whether the attributes hold the style `display: none`.
fn is_display_none(attributes: &[u8]) -> bool {
    if attributes.len() < b"style=display:none".len() {
        return false;
    }
    // The letter `y` is the rarest one of "display" in style sheets.
    memchr2_iter(b'y', b'Y', attributes).any(|y| {
        let (before, after) = attributes.split_at(y + 1);
        let value = || after.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        before.len() >= b"display".len()
            && before[before.len() - b"display".len()..].eq_ignore_ascii_case(b"display")
            && value().and_then(|value| value.get(..b"none".len())).is_some_and(|v| v.eq_ignore_ascii_case(b"none"))
    })
}

/// A closing string, and from where on the input holds no more of it.
struct Closer {
    finder: memmem::Finder<'static>,
    none_from: usize,
}

impl Closer {
    fn new(text: &'static str) -> Self {
        Self { finder: memmem::Finder::new(text), none_from: usize::MAX }
    }

    /// Where the next one ends.
    fn find(&mut self, bytes: &[u8], from: usize) -> Option<usize> {
        if from >= self.none_from {
            return None;
        }
        let found = self.finder.find(&bytes[from..]);
        if found.is_none() {
            self.none_from = from;
        }
        found.map(|len| from + len + self.finder.needle().len())
    }
}

const LONGEST_NAME: usize = 16;

/// Elements without content, which a style cannot hide.
const VOID_ELEMENTS: [&[u8]; 10] = [b"br", b"hr", b"img", b"input", b"meta", b"link", b"col", b"area", b"base", b"wbr"];

/// Bytes of a tag that are read once more after its quotes turned out wrong.
const MAX_REREAD: usize = 1024;

/// How many hidden elements without an end are searched to the end of the input.
const MAX_UNCLOSED: usize = 8;

/// Bytes from which a line in a cell of a row with several cells is a paragraph of its own.
const LONG_LINE: usize = 200;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn check(html: &str, expected: &str) {
        assert_eq!(convert(html), expected, "{html:?}");
    }

    #[test]
    fn inline_tags_leave_words_and_numbers_whole() {
        check("Rule 5250<b>(c)</b>(1)", "Rule 5250(c)(1)");
        check("warrant<font size=2>s</font> and <i>more</i>", "warrants and more");
        check("a<unknown:tag x='1'>b</unknown:tag>c", "abc");
        check("a<b> b </b>c", "a b c");
    }

    #[test]
    fn block_tags_end_paragraphs() {
        check("<p>one\n two<p>three</p>four<div>five</div>", "one two\n\nthree\n\nfour\n\nfive");
        check("<h1>Item</h1><ul><li>one<li>two</ul>end<hr>x", "Item\n\none\n\ntwo\n\nend\n\nx");
        check("<P>a</P ><XHTML:P>b</XHTML:P>", "a\n\nb");
        check("<p></p><p> &nbsp; </p>", "");
        check("<p>a</p><p>----</p><p>&lt;PAGE&gt; 2</p><p>b</p>", "a\n\nb");
    }

    #[test]
    fn one_line_break_is_a_blank_and_two_end_the_paragraph() {
        check("one<br>two", "one two");
        check("one<br/>\n <br />two", "one\n\ntwo");
        check("one<br></b><b>&nbsp;<br>two", "one\n\ntwo");
        check("<br><br>one<br>a<br>", "one a");
    }

    #[test]
    fn table_row_is_one_paragraph() {
        check(
            "<table><tr><td>Item 3.01</td><td>Notice</td></tr><tr><th>a<th>b</table>c",
            "Item 3.01 Notice\n\na b\n\nc",
        );
        check("<tr><td><p>Item 3.01</p></td><td><p>Notice</p></td></tr>", "Item 3.01 Notice");
        check("<tr><td><p>Ohio</p><p>(State)</p></td><td>1-2</td></tr>", "Ohio (State) 1-2");
        check("<tr><td>a<br><br>b</td><td>1</td></tr>", "a b 1");
    }

    #[test]
    fn table_that_lays_out_the_page_keeps_its_paragraphs() {
        check("<tr><td></td><td><p>HEADLINE</p><p>Text</p><p>---</p></td></tr>", "HEADLINE\n\nText");
        check(
            "<td><p>One</p><table><tr><td>a</td><td>b</td></tr></table><p>Two</p>Three",
            "One\n\na b\n\nTwo\n\nThree",
        );
        let long = "word ".repeat(50);
        check(
            &format!("<tr><td>&bull;</td><td><p>{long}</p><p>Second</p></td></tr>"),
            &format!("\u{2022} {}\n\nSecond", long.trim()),
        );
        check(&format!("<tr><td><p>{long}</p></td><td>5</td></tr>"), &format!("{} 5", long.trim()));
    }

    #[test]
    fn references_are_decoded_once() {
        check("a&nbsp;b&#160;&#xA0;c", "a b c");
        check("&amp;nbsp; &amp;lt;", "&nbsp; &lt;");
        check("Company&#146;s &#8220;A&rdquo; &sect;&nbsp5 R&D AT&T &", "Company's \"A\" \u{a7} 5 R&D AT&T &");
        check("&#9746; &#168; &eacute;", "\u{2612} \u{a8} \u{e9}");
        check("a &lt;b&gt; c", "a <b> c");
        check("a&#0;b&#7;c", "a\u{fffd}bc");
    }

    #[test]
    fn markup_that_is_no_text_is_skipped() {
        check("<!DOCTYPE html><?xml version='1.0'?>a<!-- <p>x --><![CDATA[ <p>y ]]>b<!---->c<!-->d", "abcd");
        check("<![if !lists]>a<![endif]>", "a");
        check("<head><title>x</title><style>p > b { }</style><script>if (a < b) '</b>'</SCRIPT></head>a", "a");
        check("a<PAGE>b", "a b");
        check("<document><type>8-K<text>a</text></document>", "8-K\n\na");
    }

    #[test]
    fn attributes_may_hold_brackets_and_quotes() {
        check("<p title=\"a > b\">x</p>", "x");
        check("<p title='say \"a > b\"' class=c>x</p>", "x");
        check("<p title=it's>x</p><p a=\"b\"c=\"d\">y</p>", "x\n\ny");
        check("<a title=\"<none>\">x</a>", "<a title=\"\">x");
        check("<p align=\"left>He said \"stop\"</p><p class=\"a\">y</p>", "He said \"stop\"\n\ny");
        check("<p align='left>the holders' notice</p>", "the holders' notice");
        check("<p align=\"left>x</p>", "x");
    }

    #[test]
    fn what_is_no_tag_is_text() {
        check("a < b > c <3 <> </ p>", "a < b > c <3 <> </ p>");
        check("<mail@example.com> a", "<mail@example.com> a");
        check("a <b", "a <b");
        check("a <p align=\"x\" & no end", "a <p align=\"x\" & no end");
        check("x <y and <b>bold</b>", "x <y and bold");
        check("<!- a <! b <? c", "<!- a <! b <? c");
    }

    #[test]
    fn hidden_parts_are_skipped() {
        check("a<ix:header><ix:hidden>x<p>y</ix:hidden>z</ix:header>b", "ab");
        check("a<span style='display:none'>x<span>y</span>z</span>b", "ab");
        check("<p>a<div style=\"color:red; DISPLAY : None\">x<div/><div>y</div></div>b", "a\n\nb");
        check("<p style='display:none'>1<p>a</p>b</p>", "a\n\nb");
        check("<div style='display:none'><!-- </div> -->x</div>a", "a");
        check("<td style='display:none'></td><td>a</td>", "a");
        check("a<br style='display:none'>b<div style='display:none'/>c", "a b\n\nc");
        check("<p style='display:inline'>a<p class='playdisplay'>b", "a\n\nb");
    }

    #[test]
    fn hidden_parts_without_an_end_are_shown() {
        check("a<ix:header>b<p>c", "ab\n\nc");
        check("<div style='display:none'>a<div>b</div>c", "a\n\nb\n\nc");
        check("<p style='display:none'>a", "a");
        check("<title>a<p>b</p><style>c<p>d<style>e</style>", "a\n\nb\n\nc\n\nd");
        check("<script>a", "a");
        check("<!-- a > b <p>c", "b\n\nc");
        check("<![CDATA[ a > b", "b");
        check(&format!("{}a<!-- x -->b", "<i style='display:none'>".repeat(20)), "ab");
    }

    #[test]
    fn preformatted_text_is_read_as_plain_text() {
        check("<pre>one\ntwo\n\nthree <b>x</b>&amp;\n<PAGE>\n</pre>four\nfive", "one two\n\nthree x&\n\nfour five");
        check("a<pre>b\nc", "a\n\nb c");
        check(
            "<PRE>Net income      1,200     900\nPer share       0.12    0.10</PRE>",
            "Net income 1,200 900\n\nPer share 0.12 0.10",
        );
    }

    /// Input of these sizes takes minutes in quadratic time, and milliseconds in linear time.
    #[test]
    fn no_input_takes_more_than_linear_time() {
        fn check(unit: &str, times: usize, end: &str) {
            let input = unit.repeat(times) + end;
            let start = Instant::now();
            convert(&input);
            assert!(start.elapsed() < LIMIT, "{unit:?} took {:?}", start.elapsed());
        }
        const LIMIT: Duration = Duration::from_secs(10);
        for unit in
            ["<", "&", "<a ", "<!--", "<![CDATA[", "<?a", "</", "&#1", "<br>", "<td><p>a", "<pre>a", "\n", "a\n"]
        {
            check(unit, 200_000, "");
        }
        for unit in ["<div>", "<div style='display:none'>", "<p style='display:none'>", "<ix:header>", "<style>"] {
            check(unit, 50_000, "");
        }
        for unit in [
            "<a b=\"<a\" c=\"",
            "<a b=\"",
            "<a b='x>",
            "<a b=\"'>",
            "<title>",
            "<style",
            "<a b =  'c>\" ",
            "<a ' d='>' c='",
        ] {
            check(unit, 100_000, "");
            check(unit, 100_000, "<>");
        }
        check("<pre>\n<PAGE>\nlower case words that go on over the page", 50_000, "");
        check("<pre>a</pre><td>", 100_000, "");
        check("a word ", 1_500_000, "");
    }
}
