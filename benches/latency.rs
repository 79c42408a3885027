//! From a filing's appearance in the feed to SMTP DATA, without the wait for the poll: `cargo bench --bench latency`.
//!
//! One new staff determination for each cycle of poll, reading and delivery, one subscriber, EDGAR and the relay on
//! loopback, answering at once; the store is on a disk. Prints a histogram and the times that half, nine tenths and 99 of 100
//! mails took. The first mail of a process, which compiles the expressions that it needs, is told apart.

#[path = "common/desk.rs"]
#[allow(dead_code)]
mod desk;
#[path = "common/relay.rs"]
mod relay;

use std::time::{Duration, Instant};

use chrono::Utc;
use edgar_watch::demo::edgar::{Archive, LoopbackEdgar};
use edgar_watch::demo::file_determination;
use edgar_watch::edgar::client::PAGE_ENTRIES;
use relay::Taken;

const N_FILINGS: u64 = 400;
const BAR_MS: u128 = 2;

#[tokio::main]
async fn main() {
    let taken = Taken::default();
    let port = relay::start(taken.clone()).await;
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let issuers = (1..=N_FILINGS).map(|n| (9_990_200 + n).to_string()).collect();
    let desk = desk::Desk { relay: port, issuers, n_readers: 1, ..desk::Desk::new(edgar.url(), 0) };
    let watcher = desk.watcher(folder.path()).await;
    watcher.take_subscriptions().await.expect("subscriptions");
    watcher.poll(None).await.expect("the first poll");

    let mut times: Vec<Duration> = Vec::new();
    for n in 1..=N_FILINGS {
        edgar.change(|archive| {
            // One page: EDGAR never accepts a hundred filings within a second, as this does.
            archive.lines.truncate(PAGE_ENTRIES - 1);
            file_determination(archive, n, Utc::now());
        });
        let filed = Instant::now();
        watcher.poll(None).await.expect("a poll");
        watcher.read(None).await.expect("a reading");
        watcher.deliver(None).await.expect("a delivery");
        let sent = taken.lock().expect("nobody panics with it").values().flatten().max().copied();
        times.push(sent.filter(|sent| *sent > filed).expect("a mail for each filing") - filed);
    }
    println!("first mail: {} ms", times[0].as_millis());
    let mut rest = times.split_off(1);
    rest.sort_unstable();
    let slowest = rest.last().map_or(0, Duration::as_millis) / BAR_MS;
    for bar in 0..=slowest {
        let n = rest.iter().filter(|time| time.as_millis() / BAR_MS == bar).count();
        if n > 0 {
            println!("{:>4} ms  {:>4}  {}", bar * BAR_MS, n, "#".repeat(n.div_ceil(4)));
        }
    }
    let of = |share: usize| rest[(rest.len() * share / 100).min(rest.len() - 1)].as_secs_f64() * 1000.0;
    println!("{} mails: median {:.1} ms, p90 {:.1} ms, p99 {:.1} ms", rest.len(), of(50), of(90), of(99));
}
