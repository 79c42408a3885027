//! The invented filings behind `demo`: thirteen, of every kind that a reader must tell apart.

use chrono::{DateTime, NaiveDate, Utc};

use super::edgar::{Archive, EntryFacts, feed_line};
use crate::edgar::eastern::{eastern, eastern_to_utc};
use crate::edgar::ids::{AccessionNumber, Cik};

/// A filing of the archive. Everything in it is invented.
struct Invented<'a> {
    accession: &'a str,
    form: &'a str,
    /// CIK and name; co-registrants share one filing.
    filers: &'a [(u64, &'a str)],
    /// Eastern, as the header has it.
    accepted: &'a str,
    filing_date: &'a str,
    /// Number and title.
    items: &'a [(&'a str, &'a str)],
    /// Type, file name, text.
    documents: &'a [(&'a str, &'a str, &'a str)],
}

const LISTING: (&str, &str) =
    ("3.01", "Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard; Transfer of Listing");
const EXHIBITS: (&str, &str) = ("9.01", "Financial Statements and Exhibits");
const OTHER: (&str, &str) = ("8.01", "Other Events");

/// A logo, so that there is something to pass over.
const LOGO: &str = "begin 644 logo.gif\nM1TE&.#EA`0`!`(```````/___R'Y!`$`````+``````!``$```(\"1`$`.P``\n`\nend\n";

const FILINGS: &[Invented<'static>] = &[
    Invented {
        accession: "0009990901-07-000012",
        form: "8-K",
        filers: &[(9_990_101, "HALYARD NETWORKS, INC.")],
        accepted: "20070308160512",
        filing_date: "2007-03-08",
        items: &[LISTING, EXHIBITS],
        documents: &[
            ("8-K", "halyard-8k.txt", include_str!("archive/halyard-8k.txt")),
            ("EX-99.1", "halyard-ex991.txt", include_str!("archive/halyard-ex991.txt")),
        ],
    },
    Invented {
        accession: "0009990902-26-000041",
        form: "8-K",
        filers: &[(9_990_107, "BELLWETHER MARINE GROUP PLC")],
        accepted: "20260312161044",
        filing_date: "2026-03-12",
        items: &[LISTING],
        documents: &[("8-K", "bellwether-8k.htm", include_str!("archive/bellwether-8k.htm"))],
    },
    Invented {
        accession: "0009990903-26-000018",
        form: "8-K",
        filers: &[(9_990_105, "LODESTAR RAIL HOLDINGS")],
        accepted: "20260316084501",
        filing_date: "2026-03-16",
        items: &[(
            "5.02",
            "Departure of Directors or Certain Officers; Election of Directors; Appointment of Certain Officers: Compensatory Arrangements of Certain Officers",
        )],
        documents: &[("8-K", "lodestar-8k.htm", include_str!("archive/lodestar-8k.htm"))],
    },
    Invented {
        accession: "0009990904-26-000077",
        form: "8-K",
        filers: &[(9_990_111, "STEORRA DIAGNOSTICS, INC.")],
        accepted: "20260316090210",
        filing_date: "2026-03-16",
        items: &[("2.01", "Completion of Acquisition or Disposition of Assets"), LISTING],
        documents: &[("8-K", "steorra-8k.htm", include_str!("archive/steorra-8k.htm"))],
    },
    Invented {
        accession: "0009990905-26-000052",
        form: "8-K",
        filers: &[(9_990_102, "CORVANE THERAPEUTICS, INC.")],
        accepted: "20260316165933",
        filing_date: "2026-03-16",
        items: &[LISTING, EXHIBITS],
        documents: &[("8-K", "corvane-8k.htm", include_str!("archive/corvane-8k.htm")), ("GRAPHIC", "logo.gif", LOGO)],
    },
    Invented {
        accession: "0009990906-26-000009",
        form: "8-K",
        filers: &[(9_990_109, "VERDANCE PROPERTIES, INC."), (9_990_110, "VERDANCE OPERATING PARTNERSHIP, L.P.")],
        accepted: "20260317070015",
        filing_date: "2026-03-17",
        items: &[("1.01", "Entry into a Material Definitive Agreement")],
        documents: &[("8-K", "verdance-8k.htm", include_str!("archive/verdance-8k.htm"))],
    },
    Invented {
        accession: "0009990907-26-000120",
        form: "8-K",
        filers: &[(9_990_104, "TAMARISK FOODS, INC.")],
        accepted: "20260317083001",
        filing_date: "2026-03-17",
        items: &[OTHER],
        documents: &[("8-K", "tamarisk-8k.htm", include_str!("archive/tamarisk-8k.htm"))],
    },
    Invented {
        accession: "0009990908-26-000003",
        form: "8-K12B",
        filers: &[(9_990_112, "MERROW HOLDINGS, INC.")],
        accepted: "20260317093022",
        filing_date: "2026-03-17",
        items: &[OTHER],
        documents: &[("8-K12B", "merrow-8k12b.htm", include_str!("archive/merrow-8k12b.htm"))],
    },
    Invented {
        accession: "0009990909-26-000031",
        form: "8-K",
        filers: &[(9_990_108, "QUILLON ENERGY STORAGE, INC.")],
        accepted: "20260318080412",
        filing_date: "2026-03-18",
        items: &[LISTING],
        documents: &[("8-K", "quillon-8k.htm", include_str!("archive/quillon-8k.htm"))],
    },
    Invented {
        accession: "0009990910-26-000066",
        form: "8-K",
        filers: &[(9_990_106, "PINNACE SOFTWARE, INC.")],
        accepted: "20260318160230",
        filing_date: "2026-03-18",
        items: &[("2.02", "Results of Operations and Financial Condition"), EXHIBITS],
        documents: &[
            (
                "8-K",
                "pinnace-8k.htm",
                "<html><body><p>FORM 8-K</p><p>Item 2.02 Results of Operations and Financial Condition.</p><p>A press release is furnished as Exhibit 99.1.</p></body></html>\n",
            ),
            ("EX-99.1", "pinnace-ex991.htm", include_str!("archive/pinnace-ex991.htm")),
        ],
    },
    Invented {
        accession: "0009990905-26-000058",
        form: "8-K/A",
        filers: &[(9_990_102, "CORVANE THERAPEUTICS, INC.")],
        accepted: "20260318171501",
        filing_date: "2026-03-18",
        items: &[LISTING],
        documents: &[("8-K/A", "corvane-8ka.htm", include_str!("archive/corvane-8ka.htm"))],
    },
    Invented {
        // Accepted after 17:30, so dated the next business day and shown only then.
        accession: "0009990911-26-000014",
        form: "8-K",
        filers: &[(9_990_103, "ORRERY OPTICS CORP.")],
        accepted: "20260318184507",
        filing_date: "2026-03-19",
        items: &[LISTING],
        documents: &[("8-K", "orrery-8k.htm", include_str!("archive/orrery-8k.htm"))],
    },
];

/// A filing whose file is noise.
const GARBAGE: Invented = Invented {
    accession: "0009990912-26-000001",
    form: "8-K",
    filers: &[(9_990_113, "GARBOARD SHIPPING LTD")],
    accepted: "20260319073000",
    filing_date: "2026-03-19",
    items: &[OTHER],
    documents: &[],
};

/// The whole archive, published.
pub fn invented_archive() -> Archive {
    let mut archive = Archive::default();
    for filing in FILINGS {
        add(&mut archive, filing, submission(filing).as_bytes());
    }
    add(&mut archive, &GARBAGE, b"\x00\x17\xfe this was a filing once \xff\x03");
    archive.files.insert("/files/company_tickers.json".to_owned(), invented_tickers().into_bytes());
    archive
}

/// The ticker map that goes with it.
pub fn invented_tickers() -> String {
    let rows = [
        (9_990_101, "HLYD", "HALYARD NETWORKS, INC."),
        (9_990_102, "CVNT", "CORVANE THERAPEUTICS, INC."),
        (9_990_103, "ORRY", "ORRERY OPTICS CORP."),
        (9_990_106, "PNCE", "PINNACE SOFTWARE, INC."),
    ];
    let rows = rows.iter().enumerate().map(|(index, (cik, ticker, title))| {
        (index.to_string(), serde_json::json!({"cik_str": cik, "ticker": ticker, "title": title}))
    });
    serde_json::Value::Object(rows.collect()).to_string()
}

/// Files the `n`th new staff determination of an invented company, accepted at `now`; returns the company's name.
pub fn file_determination(archive: &mut Archive, n: u64, now: DateTime<Utc>) -> String {
    let wall = eastern(now);
    let day = wall.date();
    let name = format!("SALTMARSH DEVICES {n}, INC.");
    let accession = format!("0009990950-{}-{n:06}", wall.format("%y"));
    let (letter_day, accepted) = (day.format("%B %-d, %Y").to_string(), wall.format("%Y%m%d%H%M%S").to_string());
    let filing_date = day.to_string();
    let text = include_str!("archive/saltmarsh-8k.htm").replace("{name}", &name).replace("{day}", &letter_day);
    let filing = Invented {
        accession: &accession,
        form: "8-K",
        filers: &[(9_990_200 + n, &name)],
        accepted: &accepted,
        filing_date: &filing_date,
        items: &[LISTING],
        documents: &[("8-K", "saltmarsh-8k.htm", &text)],
    };
    add(archive, &filing, submission(&filing).as_bytes());
    name
}

fn add(archive: &mut Archive, filing: &Invented<'_>, bytes: &[u8]) {
    let accession = accession(filing);
    let items: Vec<String> = filing.items.iter().map(|(number, title)| format!("{number}: {title}")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    for (number, name) in filing.filers {
        let Some(cik) = Cik::from_number(*number) else { continue };
        archive.add_line(feed_line(&EntryFacts {
            form: filing.form,
            name,
            cik,
            accession,
            accepted_at: accepted_at(filing),
            filing_date: filing.filing_date.parse().unwrap_or_default(),
            items: &items,
        }));
        archive.add_submission(cik, accession, bytes);
    }
}

fn accession(filing: &Invented<'_>) -> AccessionNumber {
    // The constants above are well-formed; a test reads each of them back.
    filing.accession.parse().unwrap_or_else(|error| unreachable!("{error}"))
}

fn accepted_at(filing: &Invented<'_>) -> DateTime<Utc> {
    chrono::NaiveDateTime::parse_from_str(filing.accepted, "%Y%m%d%H%M%S").map(eastern_to_utc).unwrap_or_default()
}

/// The full-submission text file, as EDGAR writes it.
fn submission(filing: &Invented<'_>) -> String {
    let Invented { accession, form, filers, accepted, items, documents, .. } = filing;
    let filing_date: NaiveDate = filing.filing_date.parse().unwrap_or_else(|_| eastern(accepted_at(filing)).date());
    let filed = filing_date.format("%Y%m%d");
    let items: String = items.iter().map(|(_, title)| format!("ITEM INFORMATION:\t\t{title}\n")).collect();
    let filers: String = filers
        .iter()
        .map(|(cik, name)| {
            format!(
                "\nFILER:\n\n\tCOMPANY DATA:\t\n\t\tCOMPANY CONFORMED NAME:\t\t\t{name}\n\
                 \t\tCENTRAL INDEX KEY:\t\t\t{cik:010}\n\n\tFILING VALUES:\n\t\tFORM TYPE:\t\t{form}\n\t\tSEC ACT:\t\t1934 Act\n"
            )
        })
        .collect();
    let documents: String = documents
        .iter()
        .zip(1..)
        .map(|((document_type, name, text), sequence)| {
            format!(
                "<DOCUMENT>\n<TYPE>{document_type}\n<SEQUENCE>{sequence}\n<FILENAME>{name}\n<TEXT>\n{text}</TEXT>\n</DOCUMENT>\n"
            )
        })
        .collect();
    format!(
        "<SEC-DOCUMENT>{accession}.txt : {filed}\n<SEC-HEADER>{accession}.hdr.sgml : {filed}\n\
         <ACCEPTANCE-DATETIME>{accepted}\nACCESSION NUMBER:\t\t{accession}\nCONFORMED SUBMISSION TYPE:\t{form}\n\
         PUBLIC DOCUMENT COUNT:\t\t{n}\n{items}FILED AS OF DATE:\t\t{filed}\n{filers}</SEC-HEADER>\n\
         {documents}</SEC-DOCUMENT>\n",
        n = filing.documents.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edgar::feed::parse_feed;
    use crate::edgar::filing::FilingReader;

    #[test]
    fn every_invented_filing_reads_back() {
        let archive = invented_archive();
        let page = archive.feed_page("8-K", 0, 100).expect("a page");
        let page = parse_feed(page.as_bytes()).expect("a feed");
        assert_eq!(page.problems, Vec::<String>::new());
        assert_eq!(page.entries.len(), 14, "thirteen filings, one with two filers");
        for filing in FILINGS {
            let mut reader = FilingReader::default();
            reader.feed(submission(filing).as_bytes());
            let read = reader.finish().expect("a submission");
            assert_eq!(read.header.accession, Some(accession(filing)));
            assert_eq!(read.header.accepted_at, Some(accepted_at(filing)));
            assert_eq!(read.header.items.len(), filing.items.len(), "{}", filing.accession);
            assert_eq!(read.header.parties.len(), filing.filers.len());
            assert_eq!(read.problems, Vec::<String>::new());
        }
    }
}
