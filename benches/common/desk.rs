//! A configuration and a loopback EDGAR for benches that run the program or its passes.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use edgar_watch::edgar::feed::Filer;
use edgar_watch::edgar::ids::{AccessionNumber, Cik, FormType, ItemNumber};
use edgar_watch::store::{FeedQueryState, FilingState, NewFiling, Source, Store};

/// The configuration of a desk that asks an EDGAR at `url` and hands its mail to a relay at this port of the loopback.
pub fn configuration(url: &str, relay_port: u16, issuers: &[u64], readers: usize) -> String {
    let issuers: Vec<String> = issuers.iter().map(|cik| format!("\"{cik:010}\"")).collect();
    let mut text = format!(
        "[edgar]\nuser_agent = \"EDGAR Watch bench@example.com\"\nwww_url = \"{url}\"\ndata_url = \"{url}\"\n\
         max_requests_per_second = 1000\n[watch]\nissuers = [{}]\n[store]\nurl = \"sqlite://state.db\"\n\
         [mail]\nfrom = \"EDGAR Watch <edgar-watch@example.com>\"\nowner = \"ops@example.com\"\n\
         [mail.smtp]\nhost = \"127.0.0.1\"\nport = {relay_port}\n",
        issuers.join(", ")
    );
    for n in 0..readers {
        let _ = write!(text, "[[subscription]]\nemail = \"reader{n}@example.net\"\nkinds = [\"default\"]\n");
    }
    text
}

/// A store in this folder with so many filings that nobody watches, twenty seconds apart, the last of them a week ago.
pub async fn fill_store(folder: &Path, n_filings: u64) {
    let url = format!("sqlite://{}/state.db", folder.display());
    let store = Store::open(&url.parse().expect("a URL")).await.expect("a store");
    let last = Utc::now() - Duration::days(7);
    let mut n = 0;
    while n < n_filings {
        let batch = n..n_filings.min(n + 10_000);
        n = batch.end;
        let filings: Vec<NewFiling> =
            batch.map(|n| filing(n, last - Duration::seconds(20 * (n_filings - n) as i64))).collect();
        store.record_pass("8-K", &FeedQueryState::default(), &filings, true).await.expect("a walk recorded");
    }
    store.close().await;
}

fn filing(n: u64, accepted_at: DateTime<Utc>) -> NewFiling {
    NewFiling {
        accession: AccessionNumber::from_i64(119_312_500_000_000 + n as i64).expect("in range"),
        form: FormType::new("8-K"),
        filers: vec![Filer {
            cik: Cik::from_number(1_000_000 + n % 9_000).expect("in range"),
            name: "An Issuer of Average Name, Inc.".to_owned(),
        }],
        filing_date: accepted_at.date_naive(),
        accepted_at,
        seen_at: accepted_at,
        source: Source::Feed,
        items: ["8.01", "9.01"].into_iter().filter_map(ItemNumber::new).collect(),
        state: FilingState::NotWatched,
    }
}
