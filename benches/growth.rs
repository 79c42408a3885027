//! How the work grows: `cargo bench --bench growth`.
//!
//! First a cycle that brings a filing nobody watches, with 10 and 10,000 issuers watched and as many subscribers. Then, with 1,000 to
//! 1,000,000 filings in the store, the three passes of a filing that somebody is told of. Times are medians, EDGAR and the relay are
//! on loopback, and the store is on a disk.

#[path = "common/desk.rs"]
#[allow(dead_code)]
mod desk;
#[path = "common/relay.rs"]
mod relay;

use std::time::Instant;

use chrono::Utc;
use edgar_watch::demo::edgar::{Archive, LoopbackEdgar};
use edgar_watch::demo::file_determination;
use relay::Taken;

const N_CYCLES: u64 = 100;
const N_FEW: usize = 10;
const N_MANY: usize = 10_000;
/// Issuers that are watched and file nothing: no filing of the archive is theirs.
const QUIET_ISSUERS: u64 = 5_000_000;
const STORES: [u64; 4] = [1_000, 10_000, 100_000, desk::MOST_FILINGS];
const N_TOLD: u64 = 50;

/// The median time of a cycle in ms in which nothing matches.
async fn cycle_ms(n_issuers: usize, n_readers: usize) -> f64 {
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let issuers = (0..n_issuers as u64).map(|n| (QUIET_ISSUERS + n).to_string()).collect();
    let desk = desk::Desk { issuers, n_readers, ..desk::Desk::new(edgar.url(), 0) };
    let watcher = desk.watcher(folder.path()).await;
    watcher.take_subscriptions().await.expect("subscriptions");
    watcher.cycle(None).await.expect("the first cycle");
    let mut times = Vec::new();
    for n in 1..=N_CYCLES {
        edgar.change(|archive| {
            file_determination(archive, n, Utc::now());
        });
        let began = Instant::now();
        watcher.cycle(None).await.expect("a cycle");
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    desk::median(times)
}

/// The median times in ms of polling, reading and delivering one filing, with so many in the store as there are.
async fn told_ms(folder: &std::path::Path, first: u64) -> [f64; 3] {
    let taken = Taken::default();
    let relay = relay::start(taken.clone()).await;
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let issuers = (first..first + N_TOLD).map(|n| (9_990_200 + n).to_string()).collect();
    let desk = desk::Desk { relay, issuers, n_readers: 1, ..desk::Desk::new(edgar.url(), 0) };
    let watcher = desk.watcher(folder).await;
    watcher.take_subscriptions().await.expect("subscriptions");
    watcher.cycle(None).await.expect("the first cycle");
    let mut times: [Vec<f64>; 3] = Default::default();
    for n in first..first + N_TOLD {
        edgar.change(|archive| {
            file_determination(archive, n, Utc::now());
        });
        let mut began = Instant::now();
        let mut lap = |times: &mut Vec<f64>| {
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            began = Instant::now();
        };
        watcher.poll(None).await.expect("a poll");
        lap(&mut times[0]);
        watcher.read(None).await.expect("a reading");
        lap(&mut times[1]);
        watcher.deliver(None).await.expect("a delivery");
        lap(&mut times[2]);
    }
    let n_mails = taken.lock().expect("nobody panics with it").values().map(Vec::len).sum::<usize>();
    assert_eq!(n_mails as u64, N_TOLD, "a mail for each filing");
    times.map(desk::median)
}

#[tokio::main]
async fn main() {
    let mut few = None;
    for (n_issuers, n_readers) in [(N_FEW, N_FEW), (N_MANY, N_FEW), (N_FEW, N_MANY), (N_MANY, N_MANY)] {
        let ms = cycle_ms(n_issuers, n_readers).await;
        let ratio = ms / *few.get_or_insert(ms);
        println!("cycle, {n_issuers:>6} issuers, {n_readers:>6} subscribers: {ms:.2} ms, {ratio:.2} times the first");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut n_filled = 0;
    for (round, size) in (0..).zip(STORES) {
        desk::fill_store(folder.path(), n_filled..size).await;
        n_filled = size;
        let [polled, read, delivered] = told_ms(folder.path(), 1 + round * N_TOLD).await;
        let all = polled + read + delivered;
        // A mark for each millisecond.
        let bar: String = (1..).take_while(|ms| f64::from(*ms) <= all.round()).map(|_| '#').collect();
        println!(
            "{size:>9} filings: poll {polled:.2} ms, read {read:.2} ms, deliver {delivered:.2} ms, in all {all:.2} ms  {bar}"
        );
    }
}
