//! Nothing is passed by: days are reconciled with EDGAR's own index.

use chrono::{NaiveDate, NaiveDateTime};
use edgar_watch::demo::edgar::{Archive, access_denied, page};
use edgar_watch::edgar::daily_index::Quarter;
use edgar_watch::edgar::eastern::eastern;
use edgar_watch::store::{DayState, LedgerDay};

use crate::support::filings::{TestFiling, archive};
use crate::support::{Desk, DeskPlan};

/// Noon of a Thursday in New York, when watching begins.
const NOON: &str = "2026-03-19T16:00:00Z";
/// Half past ten that evening.
const EVENING: &str = "2026-03-20T02:30:00Z";

fn date(text: &str) -> NaiveDate {
    text.parse().expect(text)
}

/// Lets the index of a day be written now.
fn write_index(desk: &Desk, day: &str) {
    let wall: NaiveDateTime = eastern(edgar_watch::clock::Clock::now(&desk.clock));
    desk.edgar.change(|archive| archive.write_index(date(day), wall));
}

async fn day(desk: &Desk, day: &str) -> LedgerDay {
    let days = desk.watcher.store.latest_days(1000).await.expect("the ledger");
    days.into_iter().find(|known| known.day == date(day)).unwrap_or_else(|| panic!("{day} is not in the ledger"))
}

async fn cycle_at(desk: &Desk, now: &str) {
    desk.clock.set(now);
    desk.watcher.cycle(None).await.expect("a cycle");
}

fn n_asked(desk: &Desk, part: &str) -> usize {
    desk.edgar.asked().iter().filter(|asked| asked.target.contains(part)).count()
}

#[tokio::test]
async fn what_the_feed_never_showed_is_found_in_the_index_of_the_day_and_alerted_late() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    let (shown, dropped) =
        (TestFiling::ordinary(2, "2026-03-19T18:00:00Z"), TestFiling::determination(3, "2026-03-19T19:00:00Z"));
    desk.edgar.change(|archive| {
        shown.publish(archive);
        dropped.file(archive);
        dropped.publish_index_page(archive);
    });
    cycle_at(&desk, "2026-03-19T20:00:00Z").await;
    assert_eq!(desk.subjects().len(), 0, "nobody knows of it yet");
    desk.clock.set(EVENING);
    write_index(&desk, "2026-03-19");
    cycle_at(&desk, EVENING).await;
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
    let closed = day(&desk, "2026-03-19").await;
    assert_eq!(closed.state, DayState::Closed);
    assert_eq!((closed.counts.n_listed, closed.counts.n_watched, closed.counts.n_missed), (3, 3, 1));
    let seen = desk.watcher.store.sightings(dropped.accession()).await.expect("sightings").expect("it is known");
    assert_eq!((seen.feed_at, seen.index_at.is_some()), (None, true));
    let lag = seen.lag().expect("its index page tells when it was accepted");
    assert_eq!(lag.num_minutes(), 7 * 60 + 30);
    // The feed shows it after all: that is no second filing.
    desk.edgar.change(|archive| dropped.announce(archive));
    cycle_at(&desk, "2026-03-20T14:00:00Z").await;
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
    let seen = desk.watcher.store.sightings(dropped.accession()).await.expect("sightings").expect("it is known");
    assert_eq!(seen.feed_at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-03-20T14:00:00+00:00"));
}

#[tokio::test]
async fn what_only_an_index_shows_is_told_in_the_order_of_acceptance() {
    let desk = Desk::open(Archive::default(), NOON).await;
    cycle_at(&desk, NOON).await;
    // The accession numbers run against the times.
    let late = TestFiling { name: "AARDVARK GLASS CORP", ..TestFiling::determination(4, "2026-03-19T20:00:00Z") };
    let early = TestFiling { name: "ZEPHYR MILLS INC", ..TestFiling::determination(5, "2026-03-19T17:00:00Z") };
    desk.edgar.change(|archive| {
        for filing in [&late, &early] {
            filing.file(archive);
            filing.publish_index_page(archive);
        }
    });
    desk.clock.set(EVENING);
    write_index(&desk, "2026-03-19");
    cycle_at(&desk, EVENING).await;
    let mut messages = Vec::new();
    for alert in desk.watcher.store.alerts_since(chrono::DateTime::UNIX_EPOCH).await.expect("alerts") {
        for notice in desk.watcher.store.notices_of(&alert.id).await.expect("notices") {
            messages.push((notice.message.id, alert.accession));
        }
    }
    messages.sort();
    let order: Vec<_> = messages.into_iter().map(|(_, accession)| accession).collect();
    assert_eq!(order, [early.accession(), late.accession()]);
}

#[tokio::test]
async fn days_of_downtime_are_made_up_for_from_their_indexes() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    // Ten days pass; of what was filed meanwhile the feed shows the last day only.
    let days = ["2026-03-20", "2026-03-23", "2026-03-24", "2026-03-25", "2026-03-26", "2026-03-27"];
    for (n, day) in (10..).zip(days) {
        let filing = TestFiling::determination(n, &format!("{day}T18:00:00Z"));
        desk.edgar.change(|archive| {
            filing.file(archive);
            filing.publish_index_page(archive);
        });
        desk.clock.set(&format!("{day}T23:59:00Z"));
        write_index(&desk, day);
    }
    desk.clock.set(EVENING);
    write_index(&desk, "2026-03-19");
    let back = "2026-03-30T14:00:00Z";
    cycle_at(&desk, back).await;
    assert_eq!(desk.subjects().len(), days.len(), "{:?}", desk.subjects());
    for closed in days {
        assert_eq!(day(&desk, closed).await.state, DayState::Closed, "{closed}");
    }
    assert_eq!(day(&desk, "2026-03-21").await.state, DayState::Empty, "a Saturday, and Monday has had one for long");
    assert_eq!(day(&desk, "2026-03-28").await.state, DayState::Open, "a Saturday: Monday's evening decides");
    let before = n_asked(&desk, "daily-index");
    cycle_at(&desk, "2026-03-30T14:10:00Z").await;
    assert_eq!(n_asked(&desk, "daily-index"), before, "nothing is due: nothing is asked");
}

#[tokio::test]
async fn a_closed_day_that_grows_is_read_again_and_an_unchanged_one_is_not() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    desk.clock.set(EVENING);
    write_index(&desk, "2026-03-19");
    cycle_at(&desk, EVENING).await;
    assert_eq!(n_asked(&desk, "master.20260319"), 1);
    // A day later it is as it was.
    cycle_at(&desk, "2026-03-21T03:00:00Z").await;
    assert_eq!(n_asked(&desk, "master.20260319"), 1, "the list shows that nothing has changed");
    // A week after the first closing something dated back has come in.
    let dated_back =
        TestFiling { filing_date: date("2026-03-19"), ..TestFiling::determination(7, "2026-03-25T15:00:00Z") };
    desk.edgar.change(|archive| {
        dated_back.file(archive);
        dated_back.publish_index_page(archive);
    });
    desk.clock.set("2026-03-27T02:40:00Z");
    write_index(&desk, "2026-03-19");
    cycle_at(&desk, "2026-03-28T03:10:00Z").await;
    assert_eq!(n_asked(&desk, "master.20260319"), 2);
    assert_eq!(day(&desk, "2026-03-19").await.counts.n_missed, 1);
    let subjects = desk.subjects();
    // The days in between have no index here, of which the owner is told.
    assert_eq!(subjects.iter().filter(|subject| subject.contains("GANTRY")).count(), 1, "{subjects:?}");
}

#[tokio::test]
async fn an_index_cut_on_its_way_closes_nothing_and_loses_nothing() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    let dropped = TestFiling::determination(3, "2026-03-19T19:00:00Z");
    desk.edgar.change(|archive| dropped.file(archive));
    desk.clock.set(EVENING);
    write_index(&desk, "2026-03-19");
    let path = "/Archives/edgar/daily-index/2026/QTR1/master.20260319.idx";
    let mut whole = Vec::new();
    desk.edgar.change(|archive| {
        whole = archive.files[path].clone();
        archive.files.insert(path.to_owned(), whole[..whole.len() - 20].to_vec());
    });
    cycle_at(&desk, EVENING).await;
    assert_eq!(day(&desk, "2026-03-19").await.state, DayState::Open);
    desk.edgar.change(|archive| drop(archive.files.insert(path.to_owned(), whole.clone())));
    cycle_at(&desk, "2026-03-20T03:00:00Z").await;
    assert_eq!(day(&desk, "2026-03-19").await.state, DayState::Closed);
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
}

#[tokio::test]
async fn an_index_that_cannot_be_had_stops_neither_the_feed_nor_the_mail() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    desk.edgar.script(|asked, _| {
        asked
            .target
            .contains("daily-index")
            .then(|| edgar_watch::demo::edgar::page(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "<h1>down</h1>"))
    });
    desk.edgar.change(|archive| TestFiling::determination(2, "2026-03-20T02:20:00Z").publish(archive));
    desk.clock.set(EVENING);
    let cycle = desk.watcher.cycle(None).await;
    assert!(cycle.is_err_and(|error| error.to_string().contains("HTTP 500")));
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
}

#[tokio::test]
async fn a_day_on_which_edgar_was_closed_ends_as_empty() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    // A closing that no calendar knows: Friday has no index, the days around it have.
    for (day, written) in [("2026-03-19", EVENING), ("2026-03-23", "2026-03-24T02:30:00Z")] {
        desk.clock.set(written);
        write_index(&desk, day);
    }
    cycle_at(&desk, "2026-03-24T02:40:00Z").await;
    assert_eq!(day(&desk, "2026-03-20").await.state, DayState::Open);
    cycle_at(&desk, "2026-03-26T14:00:00Z").await;
    for empty in ["2026-03-20", "2026-03-21", "2026-03-22"] {
        assert_eq!(day(&desk, empty).await.state, DayState::Empty, "{empty}");
    }
}

#[tokio::test]
async fn only_what_is_watched_joins_the_queue() {
    let plan = DeskPlan { issuers: "[\"0009991003\"]", ..DeskPlan::default() };
    let desk = plan.open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    desk.edgar.change(|archive| {
        TestFiling::determination(3, "2026-03-19T19:00:00Z").file(archive);
        TestFiling::determination(4, "2026-03-19T19:00:00Z").file(archive);
        TestFiling { form: "10-Q", ..TestFiling::determination(3, "2026-03-19T19:30:00Z") }.file(archive);
    });
    desk.clock.set(EVENING);
    write_index(&desk, "2026-03-19");
    cycle_at(&desk, EVENING).await;
    let counts = day(&desk, "2026-03-19").await.counts;
    assert_eq!((counts.n_listed, counts.n_watched, counts.n_missed), (3, 1, 1));
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
}

#[tokio::test]
async fn a_quarter_whose_folder_is_not_there_yet_is_no_failure() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    desk.edgar.script(|asked, _| asked.target.contains("index.json").then(access_denied));
    cycle_at(&desk, NOON).await;
    cycle_at(&desk, EVENING).await;
    assert_eq!(day(&desk, "2026-03-19").await.state, DayState::Open);
}

#[tokio::test]
async fn a_feed_that_no_longer_reaches_back_leaves_a_gap_that_the_indexes_close() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    // Two days on the feed begins anew: nothing that was known stands in it any more.
    let pushed_out = TestFiling::determination(3, "2026-03-19T19:00:00Z");
    desk.edgar.change(|archive| {
        archive.lines.clear();
        pushed_out.file(archive);
        for n in 100..400 {
            TestFiling::ordinary(n, "2026-03-20T15:00:00Z").publish(archive);
        }
    });
    cycle_at(&desk, "2026-03-20T16:00:00Z").await;
    cycle_at(&desk, "2026-03-20T16:11:00Z").await;
    let gaps = desk.watcher.store.facts_below(edgar_watch::passes::FEED_GAPS).await.expect("the gaps");
    assert_eq!(gaps, ["2026-03-20"], "one query, one gap");
    for (day, written) in [("2026-03-19", "2026-03-21T02:15:00Z"), ("2026-03-20", "2026-03-21T02:20:00Z")] {
        desk.clock.set(written);
        write_index(&desk, day);
    }
    cycle_at(&desk, "2026-03-21T02:30:00Z").await;
    assert_eq!(desk.watcher.store.facts_below(edgar_watch::passes::FEED_GAPS).await.expect("the gaps"), [""; 0]);
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
}

#[tokio::test]
async fn looking_back_further_opens_days_again_and_adds_earlier_ones() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    let earlier = TestFiling::determination(8, "2026-03-18T15:00:00Z");
    desk.edgar.change(|archive| {
        earlier.file(archive);
        earlier.publish_index_page(archive);
    });
    for (day, written) in [("2026-03-18", "2026-03-19T02:15:00Z"), ("2026-03-19", EVENING)] {
        desk.clock.set(written);
        write_index(&desk, day);
    }
    cycle_at(&desk, EVENING).await;
    assert_eq!(desk.subjects().len(), 0, "dated before watching began");
    assert_eq!(n_asked(&desk, "master.20260319"), 1);
    desk.clock.set("2026-03-20T03:00:00Z");
    desk.watcher.cycle(Some(date("2026-03-18"))).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1, "{:?}", desk.subjects());
    assert_eq!(n_asked(&desk, "master.20260319"), 2, "what counts now may have been passed over then");
    assert_eq!(day(&desk, "2026-03-18").await.state, DayState::Closed);
}

#[tokio::test]
async fn a_list_of_indexes_that_has_not_changed_is_not_sent_again() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-18T15:00:00Z")]), "2026-03-18T16:00:00Z").await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.clock.set("2026-03-19T02:08:00Z");
    write_index(&desk, "2026-03-18");
    cycle_at(&desk, "2026-03-19T02:30:00Z").await;
    // The index of the nineteenth is late: the list is the same twice, then it is not.
    cycle_at(&desk, "2026-03-20T02:30:00Z").await;
    cycle_at(&desk, "2026-03-20T02:55:00Z").await;
    write_index(&desk, "2026-03-19");
    cycle_at(&desk, "2026-03-20T03:20:00Z").await;
    let asked: Vec<Option<String>> = desk
        .edgar
        .asked()
        .into_iter()
        .filter(|asked| asked.target.ends_with("index.json"))
        .map(|asked| asked.unless_as_of)
        .collect();
    let as_of = Some("Thu, 19 Mar 2026 02:08:00 GMT".to_owned());
    assert_eq!(asked, [None, as_of.clone(), as_of.clone(), as_of]);
    assert_eq!(day(&desk, "2026-03-19").await.state, DayState::Closed);
}

#[tokio::test]
async fn who_filed_what_nobody_read_is_forgotten_after_400_days_and_nothing_else() {
    let letter = TestFiling::determination(2, "2025-01-15T16:10:00Z");
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2025-01-15T15:00:00Z")]), "2025-01-15T16:00:00Z").await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.edgar.change(|archive| letter.publish(archive));
    desk.clock.set("2025-01-15T16:20:00Z");
    desk.watcher.cycle(None).await.expect("a cycle");
    let store = &desk.watcher.store;
    let unread = TestFiling::ordinary(1, "2025-01-15T15:00:00Z").accession();
    for (now, n_filers) in [("2026-02-19T16:00:00Z", 1), ("2026-02-20T16:00:00Z", 0)] {
        cycle_at(&desk, now).await;
        assert_eq!(store.ciks_of(unread).await.expect("filers").len(), n_filers, "{now}");
        assert_eq!(store.ciks_of(letter.accession()).await.expect("filers").len(), 1, "{now}");
    }
    assert_eq!(store.count_filings().await.expect("counts")["baseline"], 1, "its accession number is kept");
    assert_eq!(store.events(letter.accession()).await.expect("events").len(), 1);
}

#[tokio::test]
async fn a_look_back_over_years_takes_the_indexes_of_quarters_and_one_that_fails_stops_no_other() {
    let letter = TestFiling { filing_date: date("2024-02-07"), ..TestFiling::determination(3, "2024-02-07T16:00:00Z") };
    let lost = TestFiling { filing_date: date("2024-05-08"), ..TestFiling::determination(4, "2024-05-08T16:00:00Z") };
    let late = TestFiling::determination(5, "2026-03-18T16:00:00Z");
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    cycle_at(&desk, NOON).await;
    desk.edgar.change(|archive| {
        for filing in [&letter, &lost, &late] {
            filing.file(archive);
            filing.publish_index_page(archive);
        }
        let mut quarter = Quarter::of(date("2024-01-01"));
        while quarter < Quarter::of(date("2026-01-01")) {
            archive.write_full_index(quarter);
            quarter = quarter.next();
        }
    });
    desk.clock.set(EVENING);
    for day in ["2026-03-18", "2026-03-19"] {
        write_index(&desk, day);
    }
    let second = "/full-index/2024/QTR2/";
    desk.edgar.script(move |asked, _| {
        asked.target.contains(second).then(|| page(axum::http::StatusCode::BAD_GATEWAY, "down"))
    });
    let _ = desk.watcher.cycle(Some(date("2024-01-01"))).await;
    assert_eq!(n_asked(&desk, "/full-index/"), 8);
    assert_eq!(n_asked(&desk, "/daily-index/"), 3, "the list of this quarter, and two indexes");
    assert_eq!(desk.subjects().len(), 2, "{:?}", desk.subjects());
    assert_eq!(day(&desk, "2024-02-07").await.state, DayState::Closed);
    assert_eq!(day(&desk, "2024-05-08").await.state, DayState::Open);
    desk.edgar.unscript();
    assert_eq!(n_asked(&desk, second), 1, "not asked for again with every poll");
    cycle_at(&desk, "2026-03-20T02:33:00Z").await;
    assert_eq!(n_asked(&desk, second), 1);
    cycle_at(&desk, "2026-03-20T02:36:00Z").await;
    assert_eq!(desk.subjects().len(), 3, "{:?}", desk.subjects());
    assert_eq!(day(&desk, "2024-05-08").await.state, DayState::Closed);
}
