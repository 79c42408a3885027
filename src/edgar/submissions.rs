//! `submissions/CIK##########.json` on the data host: a company's names, tickers and recent filings.
//!
//! Its `acceptanceDateTime` ends in `Z` and is Eastern time as often as not, so no time is taken from this file.

use chrono::NaiveDate;
use serde::Deserialize;

use super::ids::{AccessionNumber, Cik, FormType, ItemNumber};

/// What the file tells about one company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// Absent in the further files that hold only older filings.
    pub cik: Option<Cik>,
    /// Its name today.
    pub name: String,
    /// Its tickers; empty for many.
    pub tickers: Vec<String>,
    /// Recent filings, newest first.
    pub filings: Vec<ListedFiling>,
    /// One sentence for each row that could not be read.
    pub problems: Vec<String>,
}

/// One row of the list of filings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFiling {
    /// The submission.
    pub accession: AccessionNumber,
    /// Its form.
    pub form: FormType,
    /// The date EDGAR gives it.
    pub filing_date: Option<NaiveDate>,
    /// 8-K items.
    pub items: Vec<ItemNumber>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rows {
    accession_number: Vec<String>,
    #[serde(default)]
    filing_date: Vec<String>,
    #[serde(default)]
    form: Vec<String>,
    #[serde(default)]
    items: Vec<String>,
}

#[derive(Deserialize)]
struct Filings {
    recent: Option<Rows>,
}

#[derive(Deserialize)]
struct File {
    cik: Option<serde_json::Value>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    tickers: Option<Vec<Option<String>>>,
    filings: Option<Filings>,
}

/// Reads the file, or one of the further files that hold the bare arrays.
///
/// # Errors
/// serde's own words when it is not JSON or has neither shape.
pub fn parse_submissions(body: &[u8]) -> Result<Company, serde_json::Error> {
    let file: File = serde_json::from_slice(body)?;
    let rows = match file.filings {
        Some(filings) => filings.recent,
        None => Some(serde_json::from_slice::<Rows>(body)?),
    };
    let cik = file.cik.and_then(|cik| match cik {
        serde_json::Value::String(text) => text.parse().ok(),
        serde_json::Value::Number(number) => number.as_u64().and_then(Cik::from_number),
        _ => None,
    });
    let mut company = Company {
        cik,
        name: file.name.unwrap_or_default(),
        tickers: file.tickers.unwrap_or_default().into_iter().flatten().collect(),
        filings: Vec::new(),
        problems: Vec::new(),
    };
    for (index, accession) in rows.iter().flat_map(|rows| rows.accession_number.iter().enumerate()) {
        let cell = |column: fn(&Rows) -> &Vec<String>| {
            rows.as_ref().and_then(|rows| column(rows).get(index)).map_or("", String::as_str)
        };
        match accession.parse() {
            Ok(accession) => company.filings.push(ListedFiling {
                accession,
                form: FormType::new(cell(|rows| &rows.form)),
                filing_date: cell(|rows| &rows.filing_date).parse().ok(),
                items: cell(|rows| &rows.items).split(',').filter_map(ItemNumber::new).collect(),
            }),
            Err(error) => company.problems.push(format!("filing {} skipped: {error}", index + 1)),
        }
    }
    Ok(company)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_are_read() {
        let rows = r#"{"accessionNumber":["0009990001-26-000007","x"],"filingDate":["2026-04-09",""],"form":["8-K","4"],"items":["3.01,9.01",""]}"#;
        let whole = format!(
            r#"{{"cik":"0009990011","name":"Tidewell","tickers":["TDWL",null],"filings":{{"recent":{rows},"files":[]}}}}"#
        );
        let company = parse_submissions(whole.as_bytes()).expect("the file");
        assert_eq!((company.name.as_str(), company.tickers.len(), company.filings.len()), ("Tidewell", 1, 1));
        assert_eq!(company.filings[0].items.len(), 2);
        assert_eq!(company.problems.len(), 1);
        assert_eq!(parse_submissions(rows.as_bytes()).expect("the bare arrays").filings.len(), 1);
        assert!(parse_submissions(b"{}").is_err());
    }
}
