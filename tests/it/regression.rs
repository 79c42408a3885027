//! One test for each defect found, named after it; invented filings only, so that all of them run anywhere.

use std::time::Duration;

use axum::http::StatusCode;
use edgar_watch::demo::edgar::{Archive, Asked, page, respond};

use crate::support::Desk;
use crate::support::filings::{TestFiling, archive};

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
