//! Past days: recorded from the indexes, told only when asked for.

use std::sync::Arc;

use chrono::NaiveDate;
use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::Archive;
use edgar_watch::edgar::daily_index::Quarter;
use edgar_watch::edgar::eastern::eastern;
use edgar_watch::edgar::pace::Priority;
use edgar_watch::passes::Watcher;
use edgar_watch::store::{DueMessage, Queue};

use crate::support::filings::TestFiling;
use crate::support::{Desk, DeskPlan, edgar_watch, text};

const NOW: &str = "2026-06-18T16:00:00Z";

fn date(text: &str) -> NaiveDate {
    text.parse().expect(text)
}

/// Filings of February and May, with the indexes of their days and of the first quarter.
fn past() -> Archive {
    let mut archive = Archive::default();
    for (n, day) in (1..).zip(["2026-02-03", "2026-02-17", "2026-05-12", "2026-05-13"]) {
        let filing = TestFiling::determination(n, &format!("{day}T18:00:00Z"));
        filing.file(&mut archive);
        archive.write_index(date(day), eastern(filing.accepted_at));
    }
    archive.write_full_index(Quarter::of(date("2026-02-03")));
    archive
}

/// A watcher that fills in the past on a desk's store.
fn backfilling(desk: &Desk) -> Watcher {
    let store = desk.watcher.store.clone();
    let budget = Arc::new(store.clone());
    let clock = Arc::new(desk.clock.clone());
    Watcher::with_priority(desk.settings.clone(), store, budget, Priority::Backfill, clock).expect("a watcher")
}

async fn due_mail(desk: &Desk) -> Vec<DueMessage> {
    desk.watcher.store.due_messages(desk.clock.now(), 100).await.expect("the outbox")
}

#[tokio::test]
async fn past_days_are_recorded_and_nobody_is_told() {
    let desk = Desk::open(past(), NOW).await;
    let watcher = backfilling(&desk).recording_only();
    let mut n_days = 0;
    let summary = watcher.queue_range(date("2026-02-01"), date("2026-05-31"), |n| n_days += n).await.expect("queued");
    assert_eq!((summary.n_queued, n_days), (4, 120));
    let read = watcher.read(None).await.expect("read");
    assert_eq!((read.n_read, read.n_alerts, read.n_notices), (4, 4, 0));
    assert_eq!(due_mail(&desk).await.len(), 0);
    let asked: Vec<String> = desk.edgar.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(asked.iter().filter(|target| target.contains("full-index")).count(), 1, "the whole quarter at once");
    assert!(!asked.iter().any(|target| target.contains("master.20260203")), "{asked:?}");
    // Its own header says when a filing was accepted.
    let alerts = desk.watcher.store.alerts_since(chrono::DateTime::UNIX_EPOCH).await.expect("alerts");
    assert_eq!(alerts.len(), 4);
}

#[tokio::test]
async fn a_queue_of_many_is_read_in_the_order_of_acceptance_and_the_ticker_map_is_asked_for_once() {
    const N_FILINGS: u64 = 250;
    const N_DAYS: u64 = 25;
    let mut archive = Archive::default();
    // Filed in another order than that of their numbers.
    for (number, n) in (1..).zip(1..=N_FILINGS) {
        let accepted_at = format!("2026-02-{:02}T18:00:00Z", 1 + n * 7 % N_DAYS);
        TestFiling { cik: 9_995_000 + n, ..TestFiling::determination(number, &accepted_at) }.file(&mut archive);
    }
    archive.write_full_index(Quarter::of(date("2026-02-03")));
    let tickers = (1..=N_FILINGS).map(|n| {
        let row = serde_json::json!({"cik_str": 9_995_000 + n, "ticker": format!("T{n}"), "title": "ANY"});
        (n.to_string(), row)
    });
    let map = serde_json::Value::Object(tickers.collect()).to_string();
    archive.files.insert("/files/company_tickers.json".to_owned(), map.into_bytes());
    let desk = Desk::open(archive, NOW).await;
    let watcher = backfilling(&desk).recording_only();
    watcher.queue_range(date("2026-02-01"), date("2026-03-31"), |_| ()).await.expect("queued");
    assert_eq!(watcher.read(None).await.expect("read").n_read, usize::try_from(N_FILINGS).expect("few"));
    let asked: Vec<String> = desk.edgar.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(asked.iter().filter(|target| target.contains("company_tickers")).count(), 1);
    assert_eq!(watcher.store.n_queued(Queue::Past).await.expect("a count"), 0);
    let alerts = watcher.store.alerts_since(chrono::DateTime::UNIX_EPOCH).await.expect("alerts");
    assert!(alerts.iter().all(|alert| alert.content.contains("\"ticker\":\"T")), "each with its ticker");
    // Eight are under way at a time: the first that are asked for are all of the first day.
    let documents: Vec<&String> = asked.iter().filter(|target| target.contains("/data/")).collect();
    let is_of_first_day = |target: &&&String| {
        (1..=N_FILINGS).any(|n| n.is_multiple_of(N_DAYS) && target.contains(&format!("/{}/", 9_995_000 + n)))
    };
    assert_eq!(documents.iter().take(8).filter(is_of_first_day).count(), 8, "{documents:?}");
}

#[tokio::test]
async fn a_backfill_goes_on_where_it_was_stopped() {
    let desk = Desk::open(past(), NOW).await;
    let first = backfilling(&desk).recording_only();
    let (from, to) = (date("2026-05-11"), date("2026-05-13"));
    let mut seen = 0;
    first
        .queue_range(from, to, |_| {
            seen += 1;
            if seen == 2 {
                first.stop();
            }
        })
        .await
        .expect("two days");
    let asked = desk.edgar.asked().len();
    let second = backfilling(&desk).recording_only();
    let summary = second.queue_range(from, to, |_| {}).await.expect("the rest");
    assert_eq!((summary.n_done_before, summary.n_days, summary.n_queued), (2, 1, 1));
    assert_eq!(desk.edgar.asked().len() - asked, 2, "the list and one index");
    assert_eq!(second.read(None).await.expect("read").n_read, 2, "the queue is in the store");
    assert_eq!(second.read(None).await.expect("read").n_read, 0);
}

#[tokio::test]
async fn what_was_backfilled_is_no_news_later_and_live_work_does_not_read_it() {
    let desk = Desk::open(past(), NOW).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let watcher = backfilling(&desk).recording_only();
    watcher.queue_range(date("2026-05-11"), date("2026-05-13"), |_| {}).await.expect("queued");
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 0, "the daemon leaves that queue alone");
    watcher.read(None).await.expect("read");
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 0);
}

/// The daemon was down for a day; a backfill over that day must not make its letters old news.
#[tokio::test]
async fn what_nobody_was_told_of_since_watching_began_is_left_to_the_live_side() {
    let mut desk = Desk::open(past(), NOW).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let missed = TestFiling::determination(7, "2026-06-18T19:00:00Z");
    desk.edgar.change(|archive| {
        missed.file(archive);
        // It has left the feed.
        archive.lines.retain(|line| !line.xml.contains(&missed.accession().to_string()));
        archive.write_index(date("2026-06-18"), eastern("2026-06-19T02:10:00Z".parse().expect("an instant")));
    });
    desk.clock.advance(std::time::Duration::from_secs(20 * 3600));
    desk.restart().await;
    let watcher = backfilling(&desk).recording_only();
    let queued = watcher.queue_range(date("2026-06-17"), date("2026-06-18"), |_| {}).await.expect("queued");
    assert_eq!(queued.n_queued, 0, "it is no past");
    watcher.read(None).await.expect("read");
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1, "the ledger finds it, and it is told");
}

#[tokio::test]
async fn with_send_what_is_found_is_mailed() {
    let desk = Desk::open(past(), NOW).await;
    let watcher = backfilling(&desk);
    watcher.queue_range(date("2026-05-12"), date("2026-05-12"), |_| {}).await.expect("queued");
    watcher.read(None).await.expect("read");
    watcher.deliver(None).await.expect("sent");
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
}

#[tokio::test]
async fn live_work_goes_before_a_backfill() {
    let plan = DeskPlan { rate: 5, ..DeskPlan::default() };
    let desk = plan.open(past(), NOW).await;
    let watcher = backfilling(&desk);
    // Live work has taken what there was for a second and a half.
    for _ in 0..10 {
        desk.watcher.client.feed_page("8-K", 0).await.expect("a page");
    }
    let before = desk.clock.now();
    watcher.client.feed_page("8-K", 0).await.expect("a page");
    assert_eq!((desk.clock.now() - before).num_milliseconds(), 1000, "only once nobody else waits");
}

#[tokio::test]
async fn the_command_tells_what_it_did_and_what_is_wrong_with_its_range() {
    let desk = Desk::open(past(), NOW).await;
    std::fs::write(desk.folder.path().join("config.toml"), desk.text(&DeskPlan::default())).expect("a file");
    let folder = desk.folder.path().to_owned();
    let run = |from: &'static str, to: &'static str| {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || {
            let config = folder.join("config.toml");
            let config = config.to_str().expect("UTF-8");
            edgar_watch(&folder, &["--config", config, "backfill", "--from", from, "--to", to])
        })
    };
    let wrong = run("2026-05-13", "2026-05-12").await.expect("a run");
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    let done = run("2026-05-11", "2026-05-13").await.expect("a run");
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "2 days indexed, 0 done before; 2 filings read, 2 with news, 0 given up, 0 left\n");
    let again = run("2026-05-11", "2026-05-13").await.expect("a run");
    assert_eq!(text(&again.stdout), "0 days indexed, 3 done before; 0 filings read, 0 with news, 0 given up, 0 left\n");
}
