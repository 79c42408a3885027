//! How many bytes 100,000 filings take that are recorded and not read: `cargo bench --bench store_size`.

use chrono::{DateTime, Duration, Utc};
use edgar_watch::edgar::feed::Filer;
use edgar_watch::edgar::ids::{AccessionNumber, Cik, FormType, ItemNumber};
use edgar_watch::store::{FeedQueryState, FilingState, NewFiling, Source, Store};

const N_FILINGS: u64 = 100_000;
/// A busy walk's worth.
const BATCH: u64 = 1_000;

fn filing(n: u64, first: DateTime<Utc>) -> NewFiling {
    let accepted_at = first + Duration::seconds(i64::try_from(n * 20).unwrap_or(0));
    NewFiling {
        accession: AccessionNumber::from_i64(i64::try_from(119_312_526_000_000 + n).unwrap_or(0)).expect("in range"),
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

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}/state.db", folder.path().display());
    let store = Store::open(&url.parse().expect("a URL")).await.expect("a store");
    let empty = store.size_bytes();
    let first: DateTime<Utc> = "2026-01-05T14:00:00Z".parse().expect("an instant");
    for batch in 0..N_FILINGS / BATCH {
        let filings: Vec<NewFiling> = (batch * BATCH..(batch + 1) * BATCH).map(|n| filing(n, first)).collect();
        store.record_pass("8-K", &FeedQueryState::default(), &filings, true).await.expect("a walk recorded");
    }
    let path = store.path().to_owned();
    store.close().await;
    let full = std::fs::metadata(path).expect("the store").len();
    println!("{N_FILINGS} filings: {} bytes, {} each", full - empty, (full - empty) / N_FILINGS);
}
