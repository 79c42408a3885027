//! Invented filings, as EDGAR would serve them.

use chrono::{DateTime, NaiveDate, Utc};
use edgar_watch::demo::edgar::{Archive, EntryFacts, Filed, feed_line};
use edgar_watch::edgar::eastern::{eastern, eastern_date};
use edgar_watch::edgar::ids::{AccessionNumber, Cik};

use super::instant;

/// An invented filing.
#[derive(Debug, Clone)]
pub struct TestFiling {
    pub number: u32,
    pub form: &'static str,
    pub cik: u64,
    pub name: &'static str,
    pub co_filer: Option<(u64, &'static str)>,
    pub accepted_at: DateTime<Utc>,
    pub filing_date: NaiveDate,
    pub items: &'static [&'static str],
    pub body: String,
}

const LISTING: &str =
    "3.01: Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard; Transfer of Listing";
const OTHER: &str = "8.01: Other Events";

impl TestFiling {
    /// An ordinary 8-K.
    pub fn ordinary(number: u32, accepted_at: &str) -> Self {
        let accepted_at = instant(accepted_at);
        Self {
            number,
            form: "8-K",
            cik: 9_991_000 + u64::from(number % 900),
            name: "WAYPOST LUMBER CO",
            co_filer: None,
            accepted_at,
            filing_date: eastern_date(accepted_at),
            items: &[OTHER],
            body: "Waypost Lumber Co. opened a second saw mill in Bend, Oregon.\n".to_owned(),
        }
    }

    /// An 8-K with a new staff determination received two days before.
    pub fn determination(number: u32, accepted_at: &str) -> Self {
        let ordinary = Self::ordinary(number, accepted_at);
        let received = (eastern(ordinary.accepted_at).date() - chrono::Days::new(2)).format("%B %-d, %Y");
        Self {
            name: "GANTRY MICRO, INC.",
            items: &[LISTING],
            body: format!(
                "Item 3.01 Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard.\n\n\
                 On {received}, Gantry Micro, Inc. (the \"Company\") received a Staff Determination letter from The \
                 Nasdaq Stock Market stating that the Company's securities will be delisted because it has not filed \
                 its Form 10-K for the fiscal year ended December 31, 2025, as required by Listing Rule 5250(c)(1).\n"
            ),
            ..ordinary
        }
    }

    pub fn accession(&self) -> AccessionNumber {
        format!("0009992000-26-{:06}", self.number).parse().expect("an accession number")
    }

    pub fn cik(&self) -> Cik {
        Cik::from_number(self.cik).expect("a CIK")
    }

    /// The full-submission text.
    pub fn submission(&self) -> String {
        let accepted = eastern(self.accepted_at).format("%Y%m%d%H%M%S");
        let filed = self.filing_date.format("%Y%m%d");
        format!(
            "<SEC-DOCUMENT>{accession}.txt : {filed}\n<SEC-HEADER>{accession}.hdr.sgml : {filed}\n\
             <ACCEPTANCE-DATETIME>{accepted}\nACCESSION NUMBER:\t\t{accession}\n\
             CONFORMED SUBMISSION TYPE:\t{form}\nFILED AS OF DATE:\t\t{filed}\n\nFILER:\n\n\tCOMPANY DATA:\n\
             \t\tCOMPANY CONFORMED NAME:\t\t\t{name}\n\t\tCENTRAL INDEX KEY:\t\t\t{cik}\n</SEC-HEADER>\n\
             <DOCUMENT>\n<TYPE>{form}\n<SEQUENCE>1\n<FILENAME>body.txt\n<TEXT>\n{body}</TEXT>\n</DOCUMENT>\n</SEC-DOCUMENT>\n",
            accession = self.accession(),
            form = self.form,
            name = self.name,
            cik = self.cik(),
            body = self.body,
        )
    }

    /// Puts the filing in the feed without publishing its text.
    pub fn announce(&self, archive: &mut Archive) {
        let filers = [(self.cik, self.name)].into_iter().chain(self.co_filer);
        for (cik, name) in filers {
            archive.add_line(feed_line(&EntryFacts {
                form: self.form,
                name,
                cik: Cik::from_number(cik).expect("a CIK"),
                accession: self.accession(),
                accepted_at: self.accepted_at,
                filing_date: self.filing_date,
                items: self.items,
            }));
        }
    }

    /// Puts the filing in the feed and publishes its text.
    pub fn publish(&self, archive: &mut Archive) {
        self.announce(archive);
        self.file(archive);
    }

    /// Publishes the filing for whoever knows of it, and for the index of its day: the feed does not show it.
    pub fn file(&self, archive: &mut Archive) {
        archive.add_submission(self.cik(), self.accession(), self.submission().as_bytes());
        for (cik, name) in [(self.cik, self.name)].into_iter().chain(self.co_filer) {
            archive.filed.push(Filed {
                form: self.form.to_owned(),
                cik: Cik::from_number(cik).expect("a CIK"),
                name: name.to_owned(),
                accession: self.accession(),
                filing_date: self.filing_date,
            });
        }
    }

    /// Publishes the filing's index page.
    pub fn publish_index_page(&self, archive: &mut Archive) {
        let (cik, accession) = (self.cik(), self.accession());
        let accepted = eastern(self.accepted_at).format("%Y-%m-%d %H:%M:%S");
        let page = format!(
            "<div id=\"formName\"><strong>Form {form}</strong></div><div id=\"secNum\">SEC Accession No. {accession}</div>\n\
             <div class=\"infoHead\">Filing Date</div>\n<div class=\"info\">{filed}</div>\n\
             <div class=\"infoHead\">Accepted</div>\n<div class=\"info\">{accepted}</div>\n",
            form = self.form,
            filed = self.filing_date,
        );
        let path =
            format!("/Archives/edgar/data/{}/{}/{accession}-index.htm", cik.number(), accession.without_dashes());
        archive.files.insert(path, page.into_bytes());
    }
}

/// An archive of these filings, all published.
pub fn archive(filings: &[TestFiling]) -> Archive {
    let mut archive = Archive::default();
    filings.iter().for_each(|filing| filing.publish(&mut archive));
    archive
}
