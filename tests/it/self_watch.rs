//! The owner is told once when something is wrong for a while, and once when it is well again.

use std::time::Duration;

use axum::http::StatusCode;
use edgar_watch::demo::edgar::{Archive, LoopbackEdgar, page};
use edgar_watch::passes::matters;

use crate::support::filings::{TestFiling, archive};
use crate::support::{Desk, DeskPlan, instant};

const NOON: &str = "2026-03-19T16:00:00Z";

async fn desk() -> Desk {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T15:55:00Z")]), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk
}

#[tokio::test]
async fn an_outage_is_told_once_after_half_an_hour_and_once_when_it_is_over() {
    let desk = desk().await;
    desk.edgar.script(|_, _| Some(page(StatusCode::BAD_GATEWAY, "down")));
    for expected in [0, 1, 1, 1] {
        desk.clock.advance(Duration::from_secs(20 * 60));
        desk.watcher.cycle(None).await.expect_err("EDGAR is down");
        assert_eq!(desk.subjects().len(), expected, "{:?}", desk.subjects());
    }
    desk.edgar.unscript();
    desk.edgar.change(|archive| TestFiling::ordinary(2, "2026-03-19T17:19:00Z").publish(archive));
    for _ in 0..2 {
        desk.clock.advance(Duration::from_secs(60));
        desk.watcher.cycle(None).await.expect("well again");
    }
    let mut subjects = desk.subjects();
    subjects.sort();
    assert_eq!(subjects, ["[edgar-watch] EDGAR is out of reach", "[edgar-watch] well again: EDGAR is out of reach"]);
}

#[tokio::test]
async fn a_feed_that_stands_still_by_day_is_told_and_one_at_night_is_not() {
    for (start, expected) in [
        ("2026-03-19T16:10:00Z", &["[edgar-watch] EDGAR's feed stands still"][..]),
        // What is accepted in the evening is shown the next morning.
        ("2026-03-20T00:10:00Z", &[]),
    ] {
        let desk = desk().await;
        desk.clock.set(start);
        for _ in 0..8 {
            desk.watcher.cycle(None).await.expect("a cycle");
            desk.clock.advance(Duration::from_secs(10 * 60));
        }
        assert_eq!(desk.subjects(), expected, "{start}");
    }
}

#[tokio::test]
async fn all_is_well_where_nothing_is_wrong() {
    let desk = desk().await;
    let matters = matters(&desk.watcher.store, desk.watcher.clock.now()).await.expect("a look");
    assert!(matters.iter().all(|matter| matter.trouble.is_none()), "{matters:?}");
    // Days later the indexes of none of them could be read.
    desk.clock.set("2026-03-25T15:00:00Z");
    let now = instant("2026-03-25T15:00:00Z");
    desk.edgar.change(|archive| {
        TestFiling { accepted_at: now, ..TestFiling::ordinary(3, "2026-03-25T14:59:00Z") }.publish(archive);
    });
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects(), ["[edgar-watch] days cannot be reconciled"]);
}

#[tokio::test]
async fn the_heartbeat_beats_while_all_is_well_and_no_faster_than_anyone_looks() {
    let watchdog = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let poll = format!("heartbeat_url = \"{}/ping/secret\"", watchdog.url());
    let edgar = archive(&[TestFiling::ordinary(1, "2026-03-19T15:55:00Z")]);
    let desk = DeskPlan { poll, ..DeskPlan::default() }.open(edgar, NOON).await;
    for _ in 0..7 {
        // That the watchdog answers with 403 changes nothing here.
        desk.watcher.cycle(None).await.expect("a cycle");
        desk.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(watchdog.asked().len(), 2, "at once, and after a minute");
    assert_eq!(watchdog.asked()[0].target, "/ping/secret");
    desk.edgar.script(|_, _| Some(page(StatusCode::BAD_GATEWAY, "down")));
    for _ in 0..3 {
        desk.clock.advance(Duration::from_secs(60));
        desk.watcher.cycle(None).await.expect_err("EDGAR is down");
    }
    assert_eq!(watchdog.asked().len(), 2, "silent while it is not well");
    desk.edgar.unscript();
    desk.clock.advance(Duration::from_secs(60));
    drop(watchdog);
    desk.watcher.cycle(None).await.expect("a watchdog that is gone harms nothing");
}
