//! One test for each defect found, named after it; invented filings only, so that all of them run anywhere.

use std::time::Duration;

use axum::http::StatusCode;
use edgar_watch::demo::edgar::{Archive, Asked, page, respond};
use edgar_watch::passes::PassError;

use crate::support::filings::{TestFiling, archive};
use crate::support::{Desk, DeskPlan};

/// A Thursday noon in New York.
const NOON: &str = "2026-03-19T16:00:00Z";

fn start_of(asked: &Asked) -> usize {
    let (_, rest) = asked.target.split_once("start=").unwrap_or_default();
    rest.split('&').next().and_then(|start| start.parse().ok()).unwrap_or(0)
}

fn ordinary(numbers: std::ops::Range<u32>, accepted_at: &str) -> Vec<TestFiling> {
    numbers.map(|number| TestFiling::ordinary(number, accepted_at)).collect()
}

async fn state_counts(desk: &Desk) -> i64 {
    desk.watcher.store.count_filings().await.expect("counts").values().sum()
}

/// With no amendment among the first hundred filings, an exact `type` was taken for a prefix, and amendments missed.
#[tokio::test]
async fn a_type_taken_exactly_is_noticed_without_an_amendment_on_the_first_page() {
    let mut filings = ordinary(1..121, "2026-03-19T15:00:00Z");
    let mut amendment = TestFiling::ordinary(500, "2026-03-19T14:00:00Z");
    amendment.form = "8-K/A";
    filings.push(amendment);
    filings.extend(ordinary(121..161, "2026-03-19T13:00:00Z"));
    let desk = Desk::open(archive(&filings), NOON).await;
    desk.edgar.script(|asked, archive| {
        let (_, rest) = asked.target.split_once("type=")?;
        let form = rest.split('&').next().filter(|form| !form.is_empty())?.replace("%2F", "/");
        let lines = archive.lines.iter().filter(|line| line.form == form).cloned().collect();
        let feed = Archive { lines, ..Archive::default() }.feed_page("", start_of(asked), 100)?;
        Some(respond(StatusCode::OK, "application/atom+xml", feed.into_bytes()))
    });
    desk.watcher.poll_pass(None).await.expect("the baseline");
    assert_eq!(state_counts(&desk).await, 161);
}

/// Two walks ended by a 503 below the first page were taken for the end of the feed, and what lay between was lost.
#[tokio::test]
async fn a_503_that_comes_twice_in_the_middle_of_the_feed_is_not_its_end() {
    let desk = Desk::open(archive(&ordinary(1..3, "2026-03-19T13:00:00Z")), NOON).await;
    desk.watcher.poll_pass(None).await.expect("the baseline");
    desk.clock.set("2026-03-19T20:00:00Z");
    desk.edgar
        .change(|archive| ordinary(100..450, "2026-03-19T19:00:00Z").iter().for_each(|new| new.announce(archive)));
    desk.edgar.script(|asked, _| (start_of(asked) > 0).then(|| page(StatusCode::SERVICE_UNAVAILABLE, "")));
    for _ in 0..3 {
        desk.watcher.poll_pass(None).await.expect("a walk cut short");
        desk.clock.advance(Duration::from_secs(601));
    }
    desk.edgar.unscript();
    desk.watcher.poll_pass(None).await.expect("a whole walk");
    assert_eq!(state_counts(&desk).await, 352);
    // A Thursday's filings, so not even the next morning's walk would have come down to them from Friday on.
    let query = desk.watcher.store.feed_query("8-K").await.expect("the query's memory");
    assert_eq!(query.gap_since, None);
}

/// Evening filings that came to light after ten lay under a page of newer ones, where no walk went any more.
#[tokio::test]
async fn evening_filings_that_come_to_light_late_in_the_morning_are_found() {
    let desk = Desk::open(archive(&ordinary(1..3, "2026-03-18T20:00:00Z")), "2026-03-18T22:00:00Z").await;
    desk.watcher.poll_pass(None).await.expect("the baseline");
    desk.edgar
        .change(|archive| ordinary(100..300, "2026-03-19T13:00:00Z").iter().for_each(|new| new.announce(archive)));
    desk.clock.set("2026-03-19T14:30:00Z");
    desk.watcher.poll_pass(None).await.expect("the morning");
    let mut evening = TestFiling::ordinary(500, "2026-03-18T23:30:00Z");
    evening.filing_date = "2026-03-19".parse().expect("a date");
    desk.edgar.change(|archive| evening.announce(archive));
    desk.clock.set("2026-03-19T15:30:00Z");
    let summary = desk.watcher.poll_pass(None).await.expect("a pass within the hour");
    assert_eq!(summary.n_found, 1);
}

/// The issuer was watched before the change and after it: what it filed in between is news.
#[tokio::test]
async fn a_watchlist_that_grows_to_everything_swallows_nothing() {
    let by_name = DeskPlan { issuers: "[\"9993001\"]", ..DeskPlan::default() };
    let mut desk = by_name.open(archive(&ordinary(1..3, "2026-03-19T13:00:00Z")), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let mut new = TestFiling::determination(9, "2026-03-19T16:05:00Z");
    new.cik = 9_993_001;
    desk.edgar.change(|archive| new.publish(archive));
    let everything = desk.text(&DeskPlan::default());
    let settings = edgar_watch::config::parse(&everything, "test", desk.folder.path());
    desk.settings = std::sync::Arc::new(settings.expect("a configuration"));
    desk.restart().await;
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn a_query_that_fails_from_the_start_silences_no_other() {
    let plan = DeskPlan { forms: "[\"8-K\", \"8-K/A\", \"6-K\"]", ..DeskPlan::default() };
    let desk = plan.open(archive(&ordinary(1..3, "2026-03-19T13:00:00Z")), NOON).await;
    desk.edgar.script(|asked, _| {
        asked.target.contains("type=6-K").then(|| page(StatusCode::INTERNAL_SERVER_ERROR, "not now"))
    });
    let summary = desk.watcher.poll(None).await.expect("the other query is well");
    assert_eq!(summary.outage.as_deref(), Some("fetch feed \"getcurrent 6-K\" from 0: HTTP 500"));
    desk.edgar.change(|archive| TestFiling::determination(9, "2026-03-19T16:05:00Z").publish(archive));
    let error = desk.watcher.cycle(None).await.expect_err("the exit code tells of the other query");
    assert!(matches!(error, PassError::Outage(_)));
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn an_outage_of_days_parks_nothing() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let filing = TestFiling::determination(9, "2026-03-19T16:05:00Z");
    desk.edgar.change(|archive| filing.announce(archive));
    desk.watcher.cycle(None).await.expect("not published yet");
    desk.edgar.script(|asked, _| {
        asked.target.starts_with("/Archives/edgar/data").then(|| page(StatusCode::BAD_GATEWAY, "down for the weekend"))
    });
    for _ in 0..3 {
        desk.clock.advance(Duration::from_secs(20 * 3600));
        desk.watcher.cycle(None).await.expect("a cycle");
    }
    desk.edgar.unscript();
    desk.edgar
        .change(|archive| archive.add_submission(filing.cik(), filing.accession(), filing.submission().as_bytes()));
    desk.clock.advance(Duration::from_secs(3600));
    desk.watcher.cycle(None).await.expect("well again");
    let subjects = desk.subjects();
    assert!(subjects.iter().any(|subject| subject.contains("staff determination")), "{subjects:?}");
}

#[tokio::test]
async fn a_submission_without_documents_is_tried_again() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let filing = TestFiling::determination(9, "2026-03-19T16:05:00Z");
    let whole = filing.submission();
    let header = whole.split("<DOCUMENT>").next().expect("a header").to_owned();
    desk.edgar.change(|archive| {
        filing.announce(archive);
        archive.add_submission(filing.cik(), filing.accession(), header.as_bytes());
    });
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    desk.edgar.change(|archive| archive.add_submission(filing.cik(), filing.accession(), whole.as_bytes()));
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn an_address_spelled_in_two_ways_gets_one_mail() {
    let twice = "[[subscription]]\nemail = \"desk@example.com\"\n[[subscription]]\nemail = \"Desk@example.com\"\n";
    let plan = DeskPlan { subscriptions: twice, ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.edgar.change(|archive| TestFiling::determination(9, "2026-03-19T16:05:00Z").publish(archive));
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.poll(None).await.expect("a poll");
    let summary = desk.watcher.read(None).await.expect("a reading");
    assert_eq!(summary.n_notices, 1);
}

#[test]
fn a_line_that_begins_with_begin_is_not_always_uuencode() {
    let text = TestFiling::determination(9, "2026-03-19T16:05:00Z").submission();
    let text = text.replace("On March", "begin 120\nbegin 644 letter.\n\nOn March");
    let mut reader = edgar_watch::edgar::filing::FilingReader::default();
    reader.feed(text.as_bytes());
    let filing = reader.finish().expect("a submission");
    let body = String::from_utf8_lossy(&filing.documents[0].body).into_owned();
    assert!(body.contains("begin 644 letter.\n\nOn March"), "{body}");
}

/// The first filing's text never ends; the second is found while it is being fetched.
#[tokio::test]
async fn a_filing_that_takes_long_holds_up_no_newer_one() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let slow = TestFiling::ordinary(8, "2026-03-19T16:05:00Z");
    let slow_file = format!("{}.txt", slow.accession());
    desk.edgar.change(|archive| slow.announce(archive));
    let endless = slow_file.clone();
    desk.edgar.script(move |asked, _| {
        asked.target.ends_with(&endless).then(|| {
            let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
            axum::http::Response::new(axum::body::Body::from_stream(never))
        })
    });
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.poll(None).await.expect("a poll");

    let wake = tokio::sync::Notify::new();
    let meanwhile = async {
        while !desk.edgar.asked().iter().any(|asked| asked.target.ends_with(&slow_file)) {
            tokio::task::yield_now().await;
        }
        desk.edgar.change(|archive| TestFiling::determination(9, "2026-03-19T16:05:10Z").publish(archive));
        desk.clock.advance(Duration::from_secs(10));
        desk.watcher.poll(None).await.expect("a poll");
        wake.notify_one();
        while desk.watcher.store.count_messages().await.expect("the outbox").waiting == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = desk.watcher.read_pass(Some(&wake)) => panic!("the slow filing has no end: {ended:?}"),
        () = meanwhile => {}
    }
}
