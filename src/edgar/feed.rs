//! The `getcurrent` Atom feed: bytes in, feed entries out, together with what was wrong with the others.
//!
//! Layout: <https://www.sec.gov/cgi-bin/browse-edgar?action=getcurrent&output=atom>. Each entry is parsed on its
//! own, so one broken entry never costs its neighbours. Links in entries are not followed and not even read.

use chrono::{DateTime, NaiveDate, Utc};
use memchr::memmem;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde::{Deserialize, Serialize};

use super::ids::{AccessionNumber, Cik, FormType, ItemNumber};

/// One party named by a filing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filer {
    /// Who it is.
    pub cik: Cik,
    /// Its name as EDGAR prints it today.
    pub name: String,
}

/// One line of the feed. The same accession appears once per filer and role, and not always side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// The submission.
    pub accession: AccessionNumber,
    /// Its form type, exactly.
    pub form: FormType,
    /// The party this line is about.
    pub filer: Filer,
    /// The party's role: `Filer`, `Subject`, `Reporting` ...
    pub role: String,
    /// The date EDGAR gives the filing; after 17:30 Eastern the next business day's.
    pub filing_date: NaiveDate,
    /// When EDGAR accepted it, not when it appeared in the feed.
    pub accepted_at: DateTime<Utc>,
    /// The 8-K items reported, ascending; empty for forms without items.
    pub items: Vec<ItemNumber>,
}

/// One page of the feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedPage {
    /// What could be read, in the order of the page: newest acceptance first.
    pub entries: Vec<FeedEntry>,
    /// One sentence for each entry that could not.
    pub problems: Vec<String>,
    /// Whether the feed was closed, so that nothing after the last entry is missing.
    pub is_whole: bool,
}

impl FeedPage {
    /// How many entries the page held, readable or not: fewer than asked for is a short page.
    pub fn n_entries(&self) -> usize {
        self.entries.len() + self.problems.len()
    }
}

/// The answer was no Atom feed at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an Atom feed, found {found}")]
pub struct NotAFeed {
    found: String,
}

/// Reads one page.
///
/// # Errors
/// [`NotAFeed`] when the body does not hold a `<feed>` element, as with an HTML page served in its place.
pub fn parse_feed(body: &[u8]) -> Result<FeedPage, NotAFeed> {
    if memmem::find(body, b"<feed").is_none() {
        return Err(NotAFeed { found: describe_body(body) });
    }
    let subject = feed_subject(body);
    let mut page = FeedPage { is_whole: memmem::find(body, b"</feed>").is_some(), ..FeedPage::default() };
    for (index, chunk) in entry_chunks(body).enumerate() {
        let text = decode(chunk);
        match parse_entry(&text, subject.as_ref()) {
            Ok(entry) => page.entries.push(entry),
            Err(problem) => page.problems.push(format!("feed entry {} skipped: {problem}", index + 1)),
        }
    }
    Ok(page)
}

/// The one company that a `getcompany` feed is about; its entries do not repeat the name.
fn feed_subject(body: &[u8]) -> Option<Filer> {
    let start = memmem::find(body, b"<company-info>")?;
    let end = start + memmem::find(&body[start..], b"</company-info>")?;
    let text = decode(&body[start..end]);
    let field = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once("</").map(|(value, _)| value)
    };
    let name = quick_xml::escape::unescape(field("conformed-name")?).ok()?.trim().to_owned();
    Some(Filer { cik: field("cik")?.trim().parse().ok()?, name })
}

/// The stretches of the body that each begin with `<entry>` and reach to its end, or where that end is missing to
/// the next beginning.
fn entry_chunks(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> =
        memmem::find_iter(body, b"<entry").filter(|at| matches!(body.get(at + 6), Some(b'>' | b' '))).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([body.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| {
        let chunk = &body[start..end];
        memmem::find(chunk, b"</entry>").map_or(chunk, |at| &chunk[..at + 8])
    })
}

/// The feed declares ISO-8859-1 and has only ever been seen in ASCII. Bytes above that which are not UTF-8 are
/// taken as declared.
fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[derive(Default)]
struct RawEntry {
    title: String,
    summary: String,
    updated: String,
    id: String,
    term: Option<String>,
}

fn parse_entry(xml: &str, subject: Option<&Filer>) -> Result<FeedEntry, String> {
    let raw = read_entry(xml)?;
    let accession = raw
        .id
        .rsplit_once("accession-number=")
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| format!("no accession number in id \"{}\"", shorten(&raw.id)))?;
    let (form, filer, role) = match (parse_title(&raw.title), subject) {
        (Some(title), _) => (title.form, Filer { cik: title.cik, name: title.name.to_owned() }, title.role.to_owned()),
        (None, Some(subject)) => (raw.title.as_str(), subject.clone(), "Filer".to_owned()),
        (None, None) => return Err(format!("{accession}: no company in title \"{}\"", shorten(&raw.title))),
    };
    let accepted_at = DateTime::parse_from_rfc3339(raw.updated.trim())
        .map_err(|error| format!("{accession}: updated \"{}\": {error}", shorten(&raw.updated)))?
        .to_utc();
    let summary = parse_summary(&raw.summary);
    Ok(FeedEntry {
        accession,
        form: FormType::new(raw.term.as_deref().unwrap_or(form)),
        filer,
        role,
        filing_date: summary.filing_date.unwrap_or_else(|| super::eastern::eastern_date(accepted_at)),
        accepted_at,
        items: summary.items,
    })
}

fn read_entry(xml: &str) -> Result<RawEntry, String> {
    let mut raw = RawEntry::default();
    let mut reader = Reader::from_str(xml);
    let mut field: Option<Field> = None;
    let mut closed = false;
    loop {
        match reader.read_event().map_err(|error| format!("malformed XML: {error}"))? {
            Event::Start(start) => field = Field::of(start.local_name().as_ref()),
            Event::Empty(empty) if empty.local_name().as_ref() == "category" => {
                let term = empty.try_get_attribute("term").map_err(|error| format!("malformed XML: {error}"))?;
                raw.term = term.map(|term| term.value.into_owned());
            }
            Event::Text(text) => {
                if let Some(field) = field {
                    field.of_entry(&mut raw).push_str(&text);
                }
            }
            Event::CData(data) => {
                if let Some(field) = field {
                    field.of_entry(&mut raw).push_str(&data);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(field) = field {
                    push_reference(field.of_entry(&mut raw), &reference);
                }
            }
            Event::End(end) => {
                field = None;
                closed |= end.local_name().as_ref() == "entry";
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if closed { Ok(raw) } else { Err("malformed XML: the entry is not closed".to_owned()) }
}

#[derive(Clone, Copy)]
enum Field {
    Title,
    Summary,
    Updated,
    Id,
}

impl Field {
    fn of(name: &str) -> Option<Self> {
        match name {
            "title" => Some(Self::Title),
            "summary" => Some(Self::Summary),
            "updated" => Some(Self::Updated),
            "id" => Some(Self::Id),
            _ => None,
        }
    }

    fn of_entry(self, raw: &mut RawEntry) -> &mut String {
        match self {
            Self::Title => &mut raw.title,
            Self::Summary => &mut raw.summary,
            Self::Updated => &mut raw.updated,
            Self::Id => &mut raw.id,
        }
    }
}

fn push_reference(out: &mut String, name: &str) {
    let decoded = match name.strip_prefix('#') {
        Some(number) => number
            .strip_prefix(['x', 'X'])
            .map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32),
        None => quick_xml::escape::resolve_predefined_entity(name).and_then(|text| text.chars().next()),
    };
    match decoded {
        Some(c) => out.push(c),
        None => {
            out.push('&');
            out.push_str(name);
            out.push(';');
        }
    }
}

struct Title<'a> {
    form: &'a str,
    name: &'a str,
    cik: Cik,
    role: &'a str,
}

/// `8-K - Sadot Group Inc. (0001701756) (Filer)`. Names hold dashes and parentheses of their own, so the form is
/// read from the front and role and CIK from the back.
fn parse_title(title: &str) -> Option<Title<'_>> {
    let (form, rest) = title.split_once(" - ")?;
    let (rest, role) = last_parenthesis(rest)?;
    let (name, cik) = last_parenthesis(rest)?;
    let cik = (cik.len() == 10).then(|| cik.parse().ok()).flatten()?;
    Some(Title { form: form.trim(), name: name.trim(), cik, role })
}

fn last_parenthesis(text: &str) -> Option<(&str, &str)> {
    let inner = text.trim_end().strip_suffix(')')?;
    let open = inner.rfind('(')?;
    Some((&inner[..open], &inner[open + 1..]))
}

struct Summary {
    filing_date: Option<NaiveDate>,
    items: Vec<ItemNumber>,
}

/// The summary is HTML escaped once: `<b>Filed:</b> 2026-01-12 ...<br>Item 3.01: ...`, an item a line.
fn parse_summary(summary: &str) -> Summary {
    let filing_date = summary
        .split_once("Filed:</b>")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .and_then(|date| date.split('<').next())
        .and_then(|date| date.parse().ok());
    let mut items = Vec::new();
    for line in summary.split(['\n', '>']) {
        let number = line.trim_start().strip_prefix("Item ").and_then(|rest| rest.split_once(':'));
        if let Some(item) = number.and_then(|(number, _)| ItemNumber::new(number))
            && !items.contains(&item)
        {
            items.push(item);
        }
    }
    Summary { filing_date, items }
}

fn describe_body(body: &[u8]) -> String {
    let head: String = decode(&body[..body.len().min(200)]).split_whitespace().collect::<Vec<_>>().join(" ");
    if head.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", shorten(&head)) }
}

fn shorten(text: &str) -> String {
    text.trim().chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENTRY: &str = r#"<entry>
<title>8-K - Harrow &amp; Vane - Foods Inc. (Del) (0001234567) (Filer)</title>
<link rel="alternate" type="text/html" href="https://evil.example/x-index.htm"/>
<summary type="html">
 &lt;b&gt;Filed:&lt;/b&gt; 2026-01-12 &lt;b&gt;AccNo:&lt;/b&gt; 0001234567-26-000046 &lt;b&gt;Size:&lt;/b&gt; 191 KB
&lt;br&gt;Item 3.01: Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard; Transfer of Listing
&lt;br&gt;Item 4.01: Changes in Registrant&#39;s Certifying Accountant
</summary>
<updated>2026-01-09T19:50:24-05:00</updated>
<category scheme="https://www.sec.gov/" label="form type" term="8-K"/>
<id>urn:tag:sec.gov,2008:accession-number=0001234567-26-000046</id>
</entry>
"#;

    fn feed(entries: &[&str]) -> String {
        let open = r#"<?xml version="1.0" encoding="ISO-8859-1" ?><feed xmlns="http://www.w3.org/2005/Atom"><title>Latest Filings</title>"#;
        format!("{open}{}</feed>", entries.concat())
    }

    #[test]
    fn entry_is_read_whole() {
        let page = parse_feed(feed(&[ENTRY]).as_bytes()).expect("a feed");
        assert_eq!(page.problems, Vec::<String>::new());
        let entry = &page.entries[0];
        assert_eq!(entry.accession.to_string(), "0001234567-26-000046");
        assert_eq!(entry.form.as_str(), "8-K");
        assert_eq!(entry.filer.name, "Harrow & Vane - Foods Inc. (Del)");
        assert_eq!(entry.filer.cik.number(), 1_234_567);
        assert_eq!(entry.role, "Filer");
        assert_eq!(entry.accepted_at.to_rfc3339(), "2026-01-10T00:50:24+00:00");
        assert_eq!(entry.filing_date.to_string(), "2026-01-12", "accepted on Friday evening, dated Monday");
        let items: Vec<_> = entry.items.iter().map(ItemNumber::as_str).collect();
        assert_eq!(items, ["3.01", "4.01"]);
    }

    #[test]
    fn form_d_items_are_not_8k_items() {
        let entry = ENTRY.replace("Item 3.01:", "Item 3C:").replace("Item 4.01:", "Item 3C.1:");
        let page = parse_feed(feed(&[&entry]).as_bytes()).expect("a feed");
        assert_eq!(page.entries[0].items, Vec::new());
    }

    #[test]
    fn items_joined_by_breaks_on_one_line_are_read() {
        let entry = ENTRY.replace("\n&lt;br&gt;Item 4.01", "&lt;br&gt;Item 4.01");
        let page = parse_feed(feed(&[&entry]).as_bytes()).expect("a feed");
        assert_eq!(page.entries[0].items.len(), 2);
    }

    #[test]
    fn broken_entries_are_named_and_cost_no_others() {
        let no_accession = ENTRY.replace("accession-number=0001234567-26-000046", "accession=x");
        let bad_tag = ENTRY.replace("</title>", "</titel>");
        let unclosed = ENTRY.replace("</entry>", "");
        let bad_time = ENTRY.replace("2026-01-09T19:50:24-05:00", "yesterday");
        let page = parse_feed(feed(&[ENTRY, &no_accession, &bad_tag, &unclosed, &bad_time, ENTRY]).as_bytes());
        let page = page.expect("a feed");
        assert_eq!(page.entries.len(), 2);
        assert_eq!(page.n_entries(), 6);
        assert_eq!(
            page.problems[0],
            "feed entry 2 skipped: no accession number in id \"urn:tag:sec.gov,2008:accession=x\""
        );
        assert!(page.problems[1].starts_with("feed entry 3 skipped: malformed XML: "), "{}", page.problems[1]);
        assert_eq!(page.problems[2], "feed entry 4 skipped: malformed XML: the entry is not closed");
        assert!(page.problems[3].contains("updated \"yesterday\""), "{}", page.problems[3]);
    }

    #[test]
    fn an_html_page_is_no_feed() {
        let error = parse_feed(b"<!DOCTYPE html>\n<html><title>Maintenance</title>").expect_err("no feed");
        assert_eq!(
            error.to_string(),
            "expected an Atom feed, found \"<!DOCTYPE html> <html><title>Maintenance</title>\""
        );
        assert_eq!(parse_feed(b"").expect_err("no feed").to_string(), "expected an Atom feed, found nothing");
    }

    #[test]
    fn high_bytes_are_latin_1_as_declared() {
        let bytes: Vec<u8> = feed(&[ENTRY]).replace("Vane", "Vané").chars().map(|c| c as u8).collect();
        let page = parse_feed(&bytes).expect("a feed");
        assert_eq!(page.entries[0].filer.name, "Harrow & Vané - Foods Inc. (Del)");
    }

    #[test]
    fn a_feed_without_entries_is_empty_and_no_error() {
        assert_eq!(parse_feed(feed(&[]).as_bytes()), Ok(FeedPage { is_whole: true, ..FeedPage::default() }));
        assert_eq!(parse_feed(b"<feed>"), Ok(FeedPage::default()), "cut short");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_feed_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut body = b"<feed><entry>".to_vec();
            body.extend(bytes);
            let _ = parse_feed(&body);
        }

        #[test]
        fn a_cut_feed_keeps_its_whole_entries(cut in 0usize..3000) {
            let whole = feed(&[ENTRY, ENTRY, ENTRY]);
            let body = &whole.as_bytes()[..cut.min(whole.len())];
            if let Ok(page) = parse_feed(body) {
                prop_assert_eq!(page.entries.len(), memmem::find_iter(body, b"</entry>").count());
            }
        }
    }
}
