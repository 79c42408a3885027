//! A configuration and a loopback EDGAR for benches that run the program or its passes.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use edgar_watch::clock::SystemClock;
use edgar_watch::config;
use edgar_watch::edgar::feed::Filer;
use edgar_watch::edgar::ids::{AccessionNumber, Cik, FormType, ItemNumber};
use edgar_watch::passes::Watcher;
use edgar_watch::store::{FeedQueryState, FilingState, NewFiling, Source, Store, StorePlace};

/// Who asks which EDGAR, for whom.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The address of the EDGAR.
    pub edgar: String,
    /// Requests a second.
    pub pace: u32,
    /// The port on loopback that takes the mail.
    pub relay: u16,
    /// CIKs, or `*`.
    pub issuers: Vec<String>,
    /// Subscribers who want what a subscription asks for by itself.
    pub n_readers: usize,
}

impl Desk {
    /// A desk for one issuer and nobody else.
    pub fn new(edgar: String, issuer: u64) -> Self {
        Self { edgar, pace: 1000, relay: 9, issuers: vec![issuer.to_string()], n_readers: 0 }
    }

    /// Its configuration. It ends within the table of the relay, or with a subscription.
    pub fn configuration(&self) -> String {
        let Self { edgar, pace, relay, issuers, n_readers } = self;
        let mut text = format!(
            "[edgar]\nuser_agent = \"EDGAR Watch bench@example.com\"\nwww_url = \"{edgar}\"\ndata_url = \"{edgar}\"\n\
             max_requests_per_second = {pace}\n[watch]\nissuers = {issuers:?}\n[store]\nurl = \"sqlite://state.db\"\n\
             [mail]\nfrom = \"EDGAR Watch <edgar-watch@example.com>\"\nowner = \"ops@example.com\"\n\
             [mail.smtp]\nhost = \"127.0.0.1\"\nport = {relay}\n",
        );
        for n in 0..*n_readers {
            let _ = write!(text, "[[subscription]]\nemail = \"reader{n}@example.net\"\nkinds = [\"default\"]\n");
        }
        text
    }

    /// The passes over a store in this folder.
    pub async fn watcher(&self, folder: &Path) -> Watcher {
        watcher(&self.configuration(), folder).await
    }
}

/// The passes of a configuration, over a store in this folder.
pub async fn watcher(configuration: &str, folder: &Path) -> Watcher {
    let settings = Arc::new(config::parse(configuration, "bench", folder).unwrap_or_else(|error| panic!("{error}")));
    let store = Store::open(&settings.store).await.expect("a store");
    Watcher::new(settings, store.clone(), Arc::new(store), Arc::new(SystemClock)).expect("a watcher")
}

/// A submission with another document in the place of its own.
pub fn with_document(submission: &str, html: &str) -> String {
    let (head, _) = submission.split_once("<TEXT>").expect("a document");
    format!("{head}<TEXT>\n{html}</TEXT>\n</DOCUMENT>\n</SEC-DOCUMENT>\n")
}

/// The middle one.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// A number of a process's /proc/PID/status, in MB; zero once it has ended.
pub fn memory_mb(process: &str, key: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim_start_matches(':').split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Filings in all that [`fill_store`] can put in one store.
pub const MOST_FILINGS: u64 = 1_000_000;

/// Puts filings that nobody watches into the store of this folder, twenty seconds apart, the last of all a week ago.
pub async fn fill_store(folder: &Path, numbers: Range<u64>) {
    let place = StorePlace::file(&folder.join("state.db")).expect("a path");
    let store = Store::open(&place).await.expect("a store");
    let last = Utc::now() - Duration::days(7);
    let mut at = numbers.start;
    while at < numbers.end {
        let batch = at..numbers.end.min(at + 10_000);
        at = batch.end;
        let filings: Vec<NewFiling> =
            batch.map(|n| filing(n, last - Duration::seconds(20 * (MOST_FILINGS - n) as i64))).collect();
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
