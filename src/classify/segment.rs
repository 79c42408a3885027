//! Parts of a document: which paragraphs speak for the filing and which are cover page, boilerplate or exhibit list.

use std::ops::Range;

use memchr::memchr3_iter;

/// What a paragraph is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    Cover,
    Headline,
    Body,
    ForwardLooking,
    About,
    Contact,
    Signature,
    Exhibits,
}

/// A sentence by its byte range in the text.
#[derive(Debug, Clone)]
pub struct Sentence {
    pub range: Range<usize>,
    pub paragraph: usize,
    pub zone: Zone,
}

/// A document cut into sentences, with the text masked where words mislead.
#[derive(Debug)]
pub struct Segmented {
    pub sentences: Vec<Sentence>,
    /// As long as the text; item titles, tickers and registered-securities lines are blanked.
    pub masked: String,
}

/// A sentence longer than this is cut at a space, so that no later step depends on the length of a line.
const MAX_SENTENCE_BYTES: usize = 4000;

pattern!(ITEM, r"(?i)\bitems?\s{1,4}(?:no\.\s)?\d{1,2}(?:\.\d\d)?\b");
pattern!(COVER_ITEM, r"(?i)\bitems?\s{1,4}(?:no\.\s)?(?:\d\.\d\d\b|\d{1,2}[.:])");
pattern!(
    COVER_HINT,
    r"(?i)current\s{1,3}report\s{1,3}pursuant|date\s{1,3}of\s{1,3}(?:report|earliest\s{1,3}event)|exact\s{1,3}name\s{1,3}of|commission\s{1,3}file"
);
pattern!(
    TITLE_301,
    r"(?i)notice\s{1,2}of\s{1,2}delisting\s{1,2}or\s{1,2}failure\s{1,2}to\s{1,2}satisfy\s{1,2}(?:a\s{1,2})?(?:continued\s{1,2})?listing\s{1,2}(?:rule|standard)s?(?:\s{1,2}or\s{1,2}standards?)?(?:[;,:]?\s{0,2}(?:and\s{1,2})?transfer\s{1,2}of\s{1,2}listings?)?"
);
pattern!(
    TICKER,
    r#"(?i)\(\s{0,2}(?:formerly\s)?(?:the\s)?(?:nasdaq|nyse|amex|otc|pink)[^()]{0,80}\)|\b(?:nasdaq|nyse)(?:\s(?:gm|gs|cm|smallcap))?\s?:\s?[A-Z]{2,6}\b"#
);
pattern!(
    INDEX_NAME,
    r"(?i)\bnasdaq[\s-](?:biotechnology|composite|100|financial|internet|transportation)(?:\sindex)?(?:\(r\))?"
);
pattern!(
    LISTED_ON,
    r"(?i)\b(?:listed|traded|quoted|trades?|trading|registered)\s(?:on|under)\s(?:the\s)?nasdaq(?:\sstock\smarket)?(?:\s(?:global\sselect|global|capital|national|smallcap)\smarket)?"
);
// Apart from what follows: with it in front, every word of a text could be the first.
pattern!(BEFORE_LISTED_ON, r"(?i)\b(?:is|are|was|were|been|its)?\s?(?:currently\s|also\s)?$");
pattern!(
    FORWARD_HEADING,
    r"(?i)^[\s*_]*(?:(?:special |cautionary |important )?(?:note |notice |statement |information |language |disclosure )?(?:regarding |concerning |about |on |under the )?(?:forward[- ]+looking|safe harbor|private securities litigation)|cautionary (?:statement|note|language))[\w\s\-:'.,]{0,120}$"
);
pattern!(
    FORWARD_TEXT,
    r"(?i)^[\s*_]*(?:(?:cautionary|safe harbou?r|forward[- ]+looking)[\w\s'-]{0,60}[.:]|[^.]{0,320}\bforward[- ]+looking\b|(?:such|these|actual) [^.]{0,80}(?:results|statements)\b[^.]{0,80}(?:differ|vary))"
);
// One of these is in whatever the one above finds.
pattern!(FORWARD_WORD, r"(?i)forward|cautionary|safe harbo|results|statements");
pattern!(
    FORWARD_MORE,
    r"(?i)forward[- ]+looking|undertakes? no|obligation to (?:update|revise)|risk factors|could cause|risks (?:and|include)|uncertaint|differ materially|may not|no assurance"
);
pattern!(
    FORWARD_SENTENCE,
    r"(?i)\bforward[- ]looking\b|\bprivate securities litigation reform act\b|\bsafe harbou?r\b"
);
pattern!(ABOUT, r"^[\s*_]*(?:About|ABOUT)\s+(?:[Tt]he Company|THE COMPANY|[A-Z0-9])");
// A letter with its day is told here, whatever the heading above says.
pattern!(
    TELLS_LETTER,
    r"(?i)\b(?:nasdaq|nyse|listing qualifications|american stock exchange)\b[^\n]{0,600}?\b(?:received|(?:notified|informed|advised|told) (?:the company|us|it)|(?:was|were|been) (?:\w+ )?(?:notified|informed|advised)|letter (?:dated|of))\b|\b(?:received|(?:was|were|been) (?:\w+ )?(?:notified|informed|advised)|letter (?:dated|of))\b[^\n]{0,200}?\b(?:nasdaq|nyse|listing qualifications|american stock exchange)\b"
);
// One of these is in whatever the one above finds.
pattern!(EXCHANGE_NAME, r"(?i)nasdaq|nyse|listing qualifications|american stock exchange");
pattern!(LETTER_HEADING, r"(?i)\b(?:letters?|notices?|nasdaq|listing|determination|delisting)\b");
pattern!(MONTH_DAY, r"(?i)\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{0,6}\.? \d{1,2}\b");
pattern!(
    CONTACT,
    r"(?i)^[\s*_]*(?:for (?:more|further|additional) information|contacts?|investor (?:relations|contacts?)|media (?:relations|contacts?)|company contact|enquiries|inquiries)\b.{0,20}[:,]|^[\s*_]*contacts?:?\s*$"
);
pattern!(
    SIGNATURE,
    r"(?i)^[\s*_]*signatures?[\s*_]*$|^\s*pursuant to the requirements of the securities exchange act of 1934, (?:as amended, )?(?:the|each) registrant has (?:duly )?caused"
);
pattern!(EXHIBITS, r"(?i)^[\s*_]*(?:item\s+9\.01|exhibit index|index to exhibits|item\s+7\.?\s+financial statements)");
pattern!(NEW_DOCUMENT, r"(?i)^\s*(?:ex(?:hibit)?[\s.-]*99|item\s+\d{1,2}(?:\.\d\d\b|[.:]))");
pattern!(
    DATELINE,
    r"(?i)(?:^|\s|\()(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{0,6}\.? \d{1,2}.{0,60}?(?:--?|/|\)|,|\.)|^.{2,60}\bannounced\b|^.{2,120}\btoday\b"
);

/// Cuts `text` into paragraphs and sentences and says what each part is. `masked` is [`mask`]'s.
pub fn segment(text: &str, masked: String) -> Segmented {
    let cover_end = cover_end(&masked);
    let mut sentences = Vec::new();
    let mut zones = ZoneReader { carry: None, seen_dateline: cover_end > 0, after_signature: false };
    for (paragraph, range) in paragraphs(text).enumerate() {
        let start = range.start.max(cover_end.min(range.end));
        let cover = range.start < cover_end;
        if cover {
            let zone = if tells_letter(&masked[range.start..start]) { Zone::Body } else { Zone::Cover };
            push_sentences(&masked, range.start..start, paragraph, zone, &mut sentences);
        }
        if start < range.end {
            let zone = zones.read(&masked[start..range.end]);
            push_sentences(&masked, start..range.end, paragraph, zone, &mut sentences);
        }
    }
    Segmented { sentences, masked }
}

struct ZoneReader {
    carry: Option<Zone>,
    seen_dateline: bool,
    after_signature: bool,
}

impl ZoneReader {
    fn read(&mut self, paragraph: &str) -> Zone {
        let start = super::dates::head(paragraph, 600);
        let carried = self.carry.take();
        // A table of contents lists the signatures before all that they stand under.
        if NEW_DOCUMENT.is_match(start) || (self.after_signature && tells_letter(paragraph)) {
            self.after_signature = false;
        }
        if SIGNATURE.is_match(start) {
            self.after_signature = true;
        }
        if self.after_signature {
            return Zone::Signature;
        }
        if EXHIBITS.is_match(start) {
            self.carry = Some(Zone::Exhibits);
            return Zone::Exhibits;
        }
        if FORWARD_HEADING.is_match(start) {
            self.carry = Some(Zone::ForwardLooking);
            return Zone::ForwardLooking;
        }
        if FORWARD_WORD.is_match(start) && FORWARD_TEXT.is_match(start) {
            self.carry = Some(Zone::ForwardLooking);
            return Zone::ForwardLooking;
        }
        if ABOUT.is_match(start) && !(paragraph.len() < 120 && LETTER_HEADING.is_match(start)) {
            if paragraph.len() < 120 {
                self.carry = Some(Zone::About);
            }
            return Zone::About;
        }
        if CONTACT.is_match(start) {
            return Zone::Contact;
        }
        match carried {
            Some(_) if tells_letter(paragraph) => {}
            Some(Zone::About) => return Zone::About,
            Some(Zone::Exhibits) if !ITEM.is_match(start) => {
                self.carry = Some(Zone::Exhibits);
                return Zone::Exhibits;
            }
            // Real text can follow the block, so it goes on only while the words are its own.
            Some(Zone::ForwardLooking) if FORWARD_MORE.is_match(paragraph) => {
                self.carry = Some(Zone::ForwardLooking);
                return Zone::ForwardLooking;
            }
            _ => {}
        }
        if !self.seen_dateline {
            if paragraph.len() < 260 && !DATELINE.is_match(start) {
                return Zone::Headline;
            }
            self.seen_dateline = true;
        }
        Zone::Body
    }
}

/// True for a paragraph that tells of an exchange's letter and names a day.
fn tells_letter(paragraph: &str) -> bool {
    let start = super::dates::head(paragraph, 4000);
    EXCHANGE_NAME.is_match(start) && TELLS_LETTER.is_match(start) && MONTH_DAY.is_match(start)
}

/// Blanks words that name an exchange without saying anything about a letter. Byte offsets do not change.
pub fn mask(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let titles = TITLE_301.find_iter(text).chain(TICKER.find_iter(text)).map(|found| found.range());
    let listed = LISTED_ON.find_iter(text).map(|found| {
        let before = BEFORE_LISTED_ON.find(&text[..found.start()]);
        before.map_or(found.start(), |before| before.start())..found.end()
    });
    // The word index stays: it tells such notices apart.
    let indexes = INDEX_NAME.find_iter(text).map(|found| found.start()..found.start() + "nasdaq".len());
    for range in titles.chain(listed).chain(indexes) {
        bytes[range].fill(b' ');
    }
    // Whole characters were replaced by spaces, so the bytes still are UTF-8; the fallback is never taken.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// End of the cover page of a form: its first item heading, if the words of a cover page stand before it.
fn cover_end(text: &str) -> usize {
    let start = super::dates::head(text, 16_000);
    match COVER_ITEM.find_iter(start).find(|m| COVER_HINT.is_match(&start[..m.start()])) {
        Some(item) => item.start(),
        None => 0,
    }
}

fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let rest = &text[at..];
            let len = rest.find("\n\n").unwrap_or(rest.len());
            let range = at..at + len;
            at += (len + 2).min(rest.len());
            if !text[range.clone()].trim().is_empty() {
                return Some(range);
            }
        }
        None
    })
}

fn push_sentences(text: &str, range: Range<usize>, paragraph: usize, mut zone: Zone, out: &mut Vec<Sentence>) {
    let first = out.len();
    let mut at = range.start;
    for end in sentence_ends(&text[range.clone()]) {
        push_sentence(text, at..range.start + end, paragraph, zone, out);
        at = range.start + end;
    }
    push_sentence(text, at..range.end, paragraph, zone, out);
    // The legal words can start in the middle of a paragraph; what tells of a letter after them still counts.
    if zone != Zone::Body || !FORWARD_SENTENCE.is_match(&text[range]) {
        return;
    }
    for sentence in &mut out[first..] {
        let words = &text[sentence.range.clone()];
        if FORWARD_SENTENCE.is_match(words) {
            zone = Zone::ForwardLooking;
        }
        if zone != Zone::Body && !tells_letter(words) {
            sentence.zone = zone;
        }
    }
}

fn push_sentence(text: &str, range: Range<usize>, paragraph: usize, zone: Zone, out: &mut Vec<Sentence>) {
    let mut range = trim(text, range);
    while range.len() > MAX_SENTENCE_BYTES {
        let piece = super::dates::head(&text[range.clone()], MAX_SENTENCE_BYTES);
        let cut = piece.rfind(' ').filter(|c| *c > 0).unwrap_or(piece.len()).max(1);
        out.push(Sentence { range: trim(text, range.start..range.start + cut), paragraph, zone });
        range = trim(text, range.start + cut..range.end);
    }
    if !range.is_empty() {
        out.push(Sentence { range, paragraph, zone });
    }
}

fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..(start + part.trim().len())
}

/// Byte offsets after which a new sentence starts.
fn sentence_ends(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut ends = Vec::new();
    let mut last = 0;
    for i in memchr3_iter(b'.', b'?', b'!', bytes) {
        let mut after = i + 1;
        while after < bytes.len() && matches!(bytes[after], b'"' | b'\'' | b')' | b']') {
            after += 1;
        }
        let space = bytes.get(after).is_some_and(u8::is_ascii_whitespace);
        let mut next = after;
        while next < bytes.len() && bytes[next].is_ascii_whitespace() {
            next += 1;
        }
        let Some(start) = bytes.get(next) else { continue };
        let opens = start.is_ascii_uppercase()
            || start.is_ascii_digit()
            || matches!(start, b'"' | b'(' | b'*' | b'[' | b'$')
            || *start >= 0x80;
        if space && opens && !(bytes[i] == b'.' && is_abbreviation(&text[last..i], &text[next..])) {
            ends.push(after);
            last = after;
        }
    }
    ends
}

/// True if the full stop after `before` ends a shortened word and not the sentence.
fn is_abbreviation(before: &str, after: &str) -> bool {
    let word =
        before.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '"' | '/' | '-')).next().unwrap_or(before);
    let lower = word.to_ascii_lowercase();
    const TITLES: [&str; 42] = [
        "no", "nos", "mr", "messrs", "mrs", "ms", "dr", "prof", "st", "vs", "v", "secs", "art", "jan", "feb", "mar",
        "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "approx", "fig", "dept", "rev", "gen", "hon",
        "ill", "calif", "mass", "minn", "conn", "fla", "ore", "pa", "tenn", "tex", "wis",
    ];
    const COMPANY: [&str; 13] =
        ["inc", "corp", "co", "ltd", "llc", "plc", "jr", "sr", "bros", "cos", "u.s", "u.k", "n.v"];
    // "Sec. 802.01E", but "filed with the SEC. We are".
    if lower == "sec" {
        return after.starts_with(|c: char| c.is_ascii_digit());
    }
    let initial = word.len() == 1 && word.as_bytes()[0].is_ascii_uppercase();
    if TITLES.contains(&lower.as_str()) || initial || lower == "p.m" || lower == "a.m" && !starts_sentence(after) {
        return true;
    }
    (COMPANY.contains(&lower.as_str()) || word.contains('.')) && !starts_sentence(after)
}

/// True if a text opens with a word that seldom stands anywhere but at the start of a sentence.
fn starts_sentence(after: &str) -> bool {
    const STARTS: [&str; 34] = [
        "The",
        "On",
        "In",
        "As",
        "It",
        "This",
        "That",
        "These",
        "Those",
        "We",
        "Our",
        "A",
        "An",
        "If",
        "Under",
        "There",
        "At",
        "By",
        "For",
        "When",
        "Unless",
        "Pursuant",
        "However",
        "Accordingly",
        "Following",
        "Nasdaq",
        "NASDAQ",
        "No",
        "To",
        "After",
        "Upon",
        "While",
        "Such",
        "Trading",
    ];
    let word = after.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    STARTS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_sentences(text: &str, expected: &[&str]) {
        let segmented = segment(text, mask(text));
        let found: Vec<&str> = segmented.sentences.iter().map(|s| &text[s.range.clone()]).collect();
        assert_eq!(found, expected);
    }

    fn check_zones(text: &str, expected: &[Zone]) {
        let found: Vec<Zone> = segment(text, mask(text)).sentences.iter().map(|s| s.zone).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn abbreviations_do_not_end_a_sentence() {
        check_sentences(
            "Varlo Inc. received, at 4:00 p.m. Eastern Time, a letter under Rule No. 5 from U.S. staff. It replied.",
            &[
                "Varlo Inc. received, at 4:00 p.m. Eastern Time, a letter under Rule No. 5 from U.S. staff.",
                "It replied.",
            ],
        );
        check_sentences(
            "It was told by Varlo, Inc. The matter is closed.",
            &["It was told by Varlo, Inc.", "The matter is closed."],
        );
    }

    #[test]
    fn boilerplate_has_its_own_zone() {
        use Zone::*;
        check_zones(
            "VARLO RECEIVES LETTER\n\nBOISE, March 3, 2007 -- Varlo, Inc. said that it will move its head office to a building that it has rented for ten years from the city.\n\nAbout Varlo\n\nVarlo makes pumps.\n\nForward-Looking Statements\n\nResults could differ materially.\n\nThe Company received a letter.",
            &[Headline, Body, About, About, ForwardLooking, ForwardLooking, Body],
        );
        check_zones(
            "FORM 8-K CURRENT REPORT\n\nDate of Report: May 5, 2007\n\nItem 3.01 Notice\n\nText here.\n\nSIGNATURE\n\nBy: X",
            &[Cover, Cover, Body, Body, Signature, Signature],
        );
    }

    #[test]
    fn the_title_of_item_3_01_is_masked() {
        let text = "Item 3.01 Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard; Transfer of Listing. Varlo (Nasdaq: VRLO)";
        let masked = segment(text, mask(text)).masked;
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("Delisting") && !masked.contains("Nasdaq"), "{masked}");
    }

    #[test]
    fn a_long_line_is_cut() {
        let text = "word ".repeat(5000);
        assert!(segment(&text, mask(&text)).sentences.iter().all(|s| s.range.len() <= MAX_SENTENCE_BYTES));
    }
}
