//! What an older version read is read again from the store.

use edgar_watch::classify::CLASSIFIER_VERSION;

use crate::support::Desk;
use crate::support::filings::{TestFiling, archive};

const NOON: &str = "2026-03-19T16:00:00Z";

/// A desk that has read one filing with news.
async fn desk_with_news(filing: &TestFiling) -> Desk {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.edgar.change(|archive| filing.publish(archive));
    desk.watcher.cycle(None).await.expect("a cycle");
    desk
}

/// A desk that has found a filing and not read it.
async fn desk_with_unread() -> (Desk, TestFiling) {
    let filing = TestFiling::determination(5, "2026-03-19T15:59:00Z");
    let desk = desk_with_news(&TestFiling::ordinary(4, "2026-03-19T15:58:00Z")).await;
    desk.edgar.change(|archive| filing.announce(archive));
    desk.watcher.poll(None).await.expect("a poll");
    (desk, filing)
}

#[tokio::test]
async fn a_reading_that_stays_the_same_is_no_change_and_mails_nobody() {
    let filing = TestFiling::determination(5, "2026-03-19T15:59:00Z");
    let desk = desk_with_news(&filing).await;
    assert_eq!(desk.watcher.reread(filing.accession()).await.expect("read again"), None);
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
}

#[tokio::test]
async fn what_an_older_version_missed_is_kept_and_named_and_nobody_is_mailed() {
    let filing = TestFiling::determination(5, "2026-03-19T15:59:00Z");
    let desk = desk_with_news(&filing).await;
    let store = &desk.watcher.store;
    let found = store.events(filing.accession()).await.expect("events");
    // As if an older version had seen nothing in it.
    store.replace_events(filing.accession(), &[], CLASSIFIER_VERSION - 1, None).await.expect("replaced");
    assert_eq!(store.read_before(CLASSIFIER_VERSION).await.expect("a list"), [filing.accession()]);
    let changed = desk.watcher.reread(filing.accession()).await.expect("read again").expect("a change");
    assert_eq!((changed.before.len(), &changed.after), (0, &found));
    assert_eq!(changed.alert, None, "its alert was told before");
    assert_eq!(store.events(filing.accession()).await.expect("events"), found);
    assert_eq!(store.read_before(CLASSIFIER_VERSION).await.expect("a list"), []);
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
}

#[tokio::test]
async fn what_was_given_up_is_tried_again() {
    let (desk, filing) = desk_with_unread().await;
    let now = edgar_watch::clock::Clock::now(&desk.clock);
    desk.watcher.store.park_filing(filing.accession(), "the reader failed", None, now).await.expect("parked");
    desk.edgar.change(|archive| filing.publish(archive));
    assert_eq!(desk.watcher.store.requeue_parked(now).await.expect("queued"), 1);
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
}

#[tokio::test]
async fn what_an_older_version_gave_up_is_tried_again_once_by_a_newer_one() {
    let (desk, filing) = desk_with_unread().await;
    let (store, now) = (&desk.watcher.store, edgar_watch::clock::Clock::now(&desk.clock));
    let park = || store.park_filing(filing.accession(), "the reader failed", None, now);
    park().await.expect("parked");
    for n_found in [Some(1), None] {
        desk.watcher.take_up_after_upgrade().await.expect("taken up");
        assert_eq!(store.count_filings().await.expect("counts").get("found").copied(), n_found);
        park().await.expect("parked again");
    }
}
