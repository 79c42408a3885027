//! EDGAR's indexes: every filing of a day (`daily-index`) or a quarter (`full-index`), written after the day has ended.
//!
//! What the feed may drop or hold back stands here. The pipe-separated `master` files are read: fixed-width columns have
//! moved over the years. An index has neither items nor acceptance times.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Utc};
use serde::Deserialize;

use super::eastern::eastern_to_utc;
use super::feed::Filer;
use super::ids::{AccessionNumber, Cik, FormType};

/// A calendar quarter, by which indexes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter {
    /// The year.
    pub year: i32,
    /// 1 to 4.
    pub number: u32,
}

impl Quarter {
    /// The quarter a day falls in.
    pub fn of(day: NaiveDate) -> Self {
        Self { year: day.year(), number: day.month0() / 3 + 1 }
    }

    /// Its first day.
    pub fn first_day(self) -> NaiveDate {
        NaiveDate::from_ymd_opt(self.year, self.number * 3 - 2, 1).unwrap_or(NaiveDate::MIN)
    }

    /// The quarter after it.
    pub fn next(self) -> Self {
        match self.number {
            4 => Self { year: self.year + 1, number: 1 },
            number => Self { year: self.year, number: number + 1 },
        }
    }
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Q{}", self.year, self.number)
    }
}

/// One filing by one of its filers: a filing of several has as many rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRow {
    /// The submission.
    pub accession: AccessionNumber,
    /// Its form, by its exact name.
    pub form: FormType,
    /// Who filed it.
    pub filer: Filer,
    /// The date EDGAR gives it.
    pub filing_date: NaiveDate,
}

/// What an index file holds of the rows that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexFile {
    /// The rows wanted, in the order of the file.
    pub rows: Vec<IndexRow>,
    /// Rows of every kind.
    pub n_rows: usize,
    /// Rows that could not be read.
    pub n_bad: usize,
    /// The last row is complete: a file cut on its way proves nothing of what it lacks.
    pub is_whole: bool,
}

/// The bytes are no index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an index, found no line of dashes under its column names")]
pub struct NotAnIndex;

/// Reads a `master` index, daily or of a quarter, and keeps the rows for which `is_wanted` holds.
///
/// # Errors
/// [`NotAnIndex`]. A row that cannot be read is counted and costs no other.
pub fn parse_master(body: &[u8], is_wanted: impl Fn(&IndexRow) -> bool) -> Result<IndexFile, NotAnIndex> {
    let mut lines = body.split_inclusive(|byte| *byte == b'\n');
    if !lines.by_ref().take(MAX_HEADER_LINES).any(is_rule) {
        return Err(NotAnIndex);
    }
    let mut file = IndexFile { is_whole: true, ..IndexFile::default() };
    for line in lines {
        let ends = line.ends_with(b"\n");
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() {
            continue;
        }
        file.n_rows += 1;
        let row = parse_row(text);
        // A last row that reads is whole, with or without its line end.
        file.is_whole = ends || row.is_some();
        match row {
            Some(row) if is_wanted(&row) => file.rows.push(row),
            Some(_) => {}
            None => file.n_bad += 1,
        }
    }
    Ok(file)
}

/// A header has ten lines or so; what has no rule among its first lines is an error page.
const MAX_HEADER_LINES: usize = 40;

fn is_rule(line: &[u8]) -> bool {
    line.trim_ascii().len() > 20 && line.trim_ascii().iter().all(|byte| *byte == b'-')
}

/// `CIK|Company Name|Form Type|Date Filed|File Name`; a name may hold the separator.
fn parse_row(line: &str) -> Option<IndexRow> {
    let (cik, rest) = line.split_once('|')?;
    let mut from_right = rest.rsplitn(4, '|');
    let (path, date, form, name) = (from_right.next()?, from_right.next()?, from_right.next()?, from_right.next()?);
    let stem = path.trim().rsplit('/').next()?.strip_suffix(".txt")?;
    Some(IndexRow {
        accession: stem.parse().ok()?,
        form: FormType::new(form.trim()),
        filer: Filer { cik: cik.trim().parse::<Cik>().ok()?, name: name.trim().to_owned() },
        filing_date: parse_date(date.trim())?,
    })
}

/// Daily files write `20181231`, those of a quarter `2018-12-31`.
fn parse_date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y%m%d").or_else(|_| text.parse()).ok()
}

/// A daily index that a quarter's folder lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDay {
    /// The day it is of.
    pub day: NaiveDate,
    /// When it was written, where the listing says so.
    pub written_at: Option<DateTime<Utc>>,
    /// Its size in words, `839 KB`: another one means that the file has grown.
    pub size: String,
}

#[derive(Deserialize)]
struct Listing {
    directory: Directory,
}

#[derive(Deserialize)]
struct Directory {
    #[serde(default)]
    item: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    #[serde(rename = "last-modified", default)]
    last_modified: String,
    #[serde(default)]
    size: String,
}

/// Reads a quarter's `index.json`: the days that have a `master` index, in order.
///
/// # Errors
/// What is wrong with the JSON.
pub fn parse_listing(body: &[u8]) -> Result<Vec<ListedDay>, serde_json::Error> {
    let listing: Listing = serde_json::from_slice(body)?;
    let mut days: Vec<ListedDay> = listing.directory.item.iter().filter_map(listed_day).collect();
    days.sort_by_key(|listed| listed.day);
    days.dedup_by_key(|listed| listed.day);
    Ok(days)
}

fn listed_day(item: &Item) -> Option<ListedDay> {
    let digits = item.name.strip_prefix("master.")?.strip_suffix(".idx")?;
    let wall = NaiveDateTime::parse_from_str(&item.last_modified, "%m/%d/%Y %I:%M:%S %p");
    Some(ListedDay {
        day: NaiveDate::parse_from_str(digits, "%Y%m%d").ok()?,
        written_at: wall.ok().map(eastern_to_utc),
        size: item.size.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: &str = "Description:           Daily Index of EDGAR Dissemination Feed\n\
        Last Data Received:    Nov 20, 2026\n \n \nCIK|Company Name|Form Type|Date Filed|File Name\n\
        --------------------------------------------------------------------------------\n\
        4711|VARLO SYSTEMS INC|8-K|20261120|edgar/data/4711/0000004711-26-000012.txt\n\
        4712|PIPE|LINE CO|8-K|20261120|edgar/data/4712/0000004711-26-000012.txt\n\
        4713|Someone Else|4|20261120|edgar/data/4713/0000004713-26-000001.txt\n\
        not a row\n";

    fn date(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    #[test]
    fn rows_wanted_are_kept_and_bad_ones_cost_no_other() {
        let file = parse_master(MASTER.as_bytes(), |row| row.form.as_str() == "8-K").expect("an index");
        assert_eq!((file.n_rows, file.n_bad, file.is_whole), (4, 1, true));
        let names: Vec<&str> = file.rows.iter().map(|row| row.filer.name.as_str()).collect();
        assert_eq!(names, ["VARLO SYSTEMS INC", "PIPE|LINE CO"]);
        assert!(file.rows.iter().all(|row| row.accession.to_string() == "0000004711-26-000012"));
        assert_eq!(file.rows[0].filing_date, date("2026-11-20"));
    }

    #[test]
    fn the_index_of_a_quarter_writes_its_dates_with_dashes() {
        let text = MASTER.replace("|20261120|", "|2026-11-20|");
        let file = parse_master(text.as_bytes(), |_| true).expect("an index");
        assert_eq!(file.rows.len(), 3);
        assert_eq!(file.rows[2].filing_date, date("2026-11-20"));
    }

    #[test]
    fn a_cut_file_is_told_from_a_whole_one_and_an_error_page_from_both() {
        let cut = parse_master(&MASTER.as_bytes()[..MASTER.len() - 30], |_| true).expect("an index");
        assert!(!cut.is_whole);
        let unended = MASTER.replace("not a row\n", "");
        assert!(parse_master(unended.trim_end().as_bytes(), |_| true).expect("an index").is_whole);
        let empty = "CIK|Company Name|Form Type|Date Filed|File Name\n------------------------------\n";
        assert_eq!(parse_master(empty.as_bytes(), |_| true).expect("an index").n_rows, 0);
        assert_eq!(parse_master(b"<html>Access Denied</html>", |_| true), Err(NotAnIndex));
        assert_eq!(parse_master(b"", |_| true), Err(NotAnIndex));
    }

    #[test]
    fn a_listing_names_the_days_that_have_an_index() {
        let listing = r#"{"directory":{"item":[
            {"last-modified":"11\/20\/2026 10:07:43 PM","name":"master.20261120.idx","type":"file","href":"x","size":"839 KB"},
            {"last-modified":"","name":"master.20261119.idx"},
            {"last-modified":"11\/20\/2026 10:07:43 PM","name":"company.20261120.idx","size":"9 KB"},
            {"name":"master.zip"}],"name":"x","parent-dir":"..\/"}}"#;
        let days = parse_listing(listing.as_bytes()).expect("a listing");
        assert_eq!(days.iter().map(|d| d.day).collect::<Vec<_>>(), [date("2026-11-19"), date("2026-11-20")]);
        assert_eq!(days[0].written_at, None);
        assert_eq!(days[1].written_at, "2026-11-21T03:07:43Z".parse().ok());
        assert!(parse_listing(b"<html>").is_err());
    }

    #[test]
    fn a_day_knows_its_quarter() {
        let quarter = Quarter::of(date("2026-12-31"));
        assert_eq!((quarter.year, quarter.number), (2026, 4));
        assert_eq!(quarter.first_day(), date("2026-10-01"));
        assert_eq!(quarter.next().first_day(), date("2027-01-01"));
    }
}
