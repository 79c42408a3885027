//! A filing's index page (`<accession>-index.htm`): dates, items, parties and the list of documents.
//!
//! The way in when the full-submission text is late. Only names are taken from its links: addresses are built
//! from CIK, accession number and file name.

use std::sync::LazyLock;

use chrono::{NaiveDate, NaiveDateTime};
use regex::Regex;

use super::eastern::eastern_to_utc;
use super::filing::{FilingHeader, Party};
use super::ids::{AccessionNumber, DocumentType, FormType, ItemNumber};

/// A row of "Document Format Files".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedDocument {
    /// Its place in the submission; the row of the complete submission has none.
    pub sequence: u32,
    /// `8-K`, `EX-99.1` ...
    pub document_type: DocumentType,
    /// The bare file name, safe to put behind the filing's folder.
    pub filename: String,
}

/// What an index page tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPage {
    /// The same facts that a submission's header holds.
    pub header: FilingHeader,
    /// Its documents, data files left out.
    pub documents: Vec<IndexedDocument>,
}

/// The page is no filing index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a filing index page, found none of its parts")]
pub struct NotAnIndexPage;

// The patterns below are constants that a test compiles, so `expect` cannot fail at run time.
static FACT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?s)<div class="infoHead">([^<]*)</div>\s*<div class="info">(.*?)</div>"#).expect("constant pattern")
});
static FORM: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<strong>Form ([^<]+)</strong>").expect("constant pattern"));
static ACCESSION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b\d{10}-\d{2}-\d{6}\b").expect("constant pattern"));
static ITEM: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Item (\d{1,2}(?:\.\d\d)?):").expect("constant pattern"));
static ROW: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)<tr[^>]*>(.*?)</tr>").expect("constant pattern"));
static CELL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)<td[^>]*>(.*?)</td>").expect("constant pattern"));
static HREF: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"href="([^"]+)""#).expect("constant pattern"));
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<[^>]*>").expect("constant pattern"));
static COMPANY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?s)class="companyName">(.*?)\(((?:<a[^>]*>)?[A-Za-z ]+(?:</a>)?)\).*?CIK=0*(\d{1,10})"#)
        .expect("constant pattern")
});

/// Reads an index page of either design.
///
/// # Errors
/// [`NotAnIndexPage`] when it names no form and lists no documents.
pub fn parse_index_page(body: &[u8]) -> Result<IndexPage, NotAnIndexPage> {
    let html = String::from_utf8_lossy(body);
    let form = FORM.captures(&html).map(|found| FormType::new(&found[1]));
    let documents = parse_documents(&html);
    if form.is_none() && documents.is_empty() {
        return Err(NotAnIndexPage);
    }
    let mut header = FilingHeader { form, ..FilingHeader::default() };
    header.accession = ACCESSION.find(&html).and_then(|found| found.as_str().parse::<AccessionNumber>().ok());
    for fact in FACT.captures_iter(&html) {
        let value = fact[2].trim();
        match fact[1].trim() {
            "Filing Date" => header.filing_date = value.parse().ok(),
            "Period of Report" => header.period = value.parse::<NaiveDate>().ok(),
            "Accepted" => {
                let wall = NaiveDateTime::parse_from_str(value, "%Y-%m-%d %H:%M:%S");
                header.accepted_at = wall.ok().map(eastern_to_utc);
            }
            "Items" => {
                header.items = ITEM.captures_iter(value).filter_map(|item| ItemNumber::new(&item[1])).collect();
            }
            _ => {}
        }
    }
    header.parties = COMPANY
        .captures_iter(&html)
        .map(|found| Party {
            role: text_of(&found[2]).to_ascii_uppercase(),
            cik: found[3].parse().ok(),
            name: text_of(&found[1]),
            former_names: Vec::new(),
        })
        .collect();
    Ok(IndexPage { header, documents })
}

fn parse_documents(html: &str) -> Vec<IndexedDocument> {
    let Some(start) = html.find(r#"summary="Document Format Files""#) else { return Vec::new() };
    let table = &html[start..];
    let table = table.find("</table>").map_or(table, |end| &table[..end]);
    ROW.captures_iter(table).filter_map(|row| parse_row(&row[1])).collect()
}

/// Cells: sequence, description, link, type, size.
fn parse_row(row: &str) -> Option<IndexedDocument> {
    let cells: Vec<&str> = CELL.captures_iter(row).filter_map(|cell| cell.get(1)).map(|cell| cell.as_str()).collect();
    let sequence = text_of(cells.first()?).parse().ok()?;
    let href = HREF.captures(cells.get(2)?)?;
    // Inline-XBRL documents are linked through the viewer, `/ix?doc=/Archives/...`; the name is last in both.
    let filename = href[1].rsplit('/').next()?.to_owned();
    let safe = !filename.starts_with('.')
        && !filename.is_empty()
        && filename.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    safe.then(|| IndexedDocument { sequence, document_type: DocumentType::new(&text_of(cells[3])), filename })
}

fn text_of(html: &str) -> String {
    let text = TAG.replace_all(html, "").replace("&nbsp;", " ");
    quick_xml::escape::unescape(&text).map_or_else(|_| text.clone(), std::borrow::Cow::into_owned).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<html><div id="formName"><strong>Form 8-K</strong> - Current report</div>
<div id="secNum">No.</strong> 0009990001-26-000007</div>
<div class="infoHead">Filing Date</div>
<div class="info">2026-04-09</div>
<div class="infoHead">Accepted</div>
<div class="info">2026-04-09 07:00:50</div>
<div class="infoHead">Items</div><div class="info">Item 3.01: Notice of Delisting<br />Item 9.01: Exhibits<br /></div>
<table class="tableFile" summary="Document Format Files"><tr><th>Seq</th></tr>
<tr><td scope="row">1</td><td>8-K</td><td><a href="/ix?doc=/Archives/edgar/data/9990011/000999000126000007/a-8k.htm">a-8k.htm</a> &nbsp;<span>iXBRL</span></td><td>8-K</td><td>10</td></tr>
<tr class="evenRow"><td>2</td><td>RELEASE</td><td><a href="https://evil.example/..%2f/ex991.htm">ex991.htm</a></td><td>EX-99.1</td><td>10</td></tr>
<tr><td>3</td><td>X</td><td><a href="/a/b/../%2e%2e">x</a></td><td>EX-99.2</td><td>10</td></tr>
<tr><td>&nbsp;</td><td>Complete submission text file</td><td><a href="/x/0009990001-26-000007.txt">t</a></td><td>&nbsp;</td><td>1</td></tr></table>
<span class="companyName">Tidewell &amp; Moss Inc (Filer) <acronym>CIK</acronym>: <a href="/cgi-bin/browse-edgar?CIK=0009990011&amp;action=getcompany">0009990011</a></span>"#;

    #[test]
    fn page_is_read_whole() {
        let page = parse_index_page(PAGE.as_bytes()).expect("an index page");
        assert_eq!(page.header.accepted_at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-04-09T11:00:50+00:00"));
        assert_eq!(page.header.items.len(), 2);
        assert_eq!(page.header.parties[0].name, "Tidewell & Moss Inc");
        assert_eq!(page.header.parties[0].cik.map(super::super::ids::Cik::number), Some(9_990_011));
        let documents: Vec<_> =
            page.documents.iter().map(|d| (d.sequence, d.document_type.as_str(), d.filename.as_str())).collect();
        assert_eq!(documents, [(1, "8-K", "a-8k.htm"), (2, "EX-99.1", "ex991.htm")], "unsafe names are left out");
    }

    #[test]
    fn another_page_is_refused() {
        assert_eq!(parse_index_page(b"<html>Maintenance</html>"), Err(NotAnIndexPage));
    }
}
