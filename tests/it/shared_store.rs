//! Several processes on one PostgreSQL store, and a store that is copied from one database to the other. Members here are
//! handles of their own within this process; tests/cluster.rs has real ones.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::Archive;
use edgar_watch::edgar::daily_index::Quarter;
use edgar_watch::edgar::eastern::eastern;
use edgar_watch::edgar::ids::AccessionNumber;
use edgar_watch::edgar::pace::{Grant, Pace, Priority, RequestBudget};
use edgar_watch::passes::Watcher;
use edgar_watch::store::{
    DueMessage, FeedQueryState, NewMember, News, OpenError, Queue, Store, StorePlace, Superseded, transfer,
};

use crate::support::filings::{TestFiling, archive};
use crate::support::store::{ask, needs_server, new_schema, server_place};
use crate::support::{Desk, DeskPlan, edgar_watch, text};

const NOON: &str = "2026-03-19T16:00:00Z";
/// Long enough for a slow machine to say in time that it lives.
const LEASE: Duration = Duration::from_secs(3);

fn member(name: &str, lease: Duration) -> NewMember {
    NewMember { name: name.to_owned(), role: "run", version: "0", config: String::new(), lease }
}

/// Another process on a desk's store.
async fn another(desk: &Desk, name: &str, lease: Duration) -> Store {
    let store = Store::open(&desk.settings.store).await.expect("the store");
    store.join(member(name, lease)).await.expect("joined");
    store
}

/// The passes of another process.
fn watcher_on(desk: &Desk, store: &Store) -> Watcher {
    let clock = Arc::new(desk.clock.clone());
    Watcher::new(desk.settings.clone(), store.clone(), Arc::new(store.clone()), clock).expect("a watcher")
}

/// Waits until a process has become the one that polls.
async fn until_leading(store: &Store) {
    let led = async {
        while !store.lead().await.expect("the store") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), led).await.expect("somebody leads");
}

#[tokio::test]
async fn one_of_several_polls_and_whoever_comes_back_writes_nothing() {
    if needs_server().is_none() {
        return;
    }
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T15:00:00Z")]), NOON).await;
    let (first, second) =
        (another(&desk, "first", Duration::from_millis(500)).await, another(&desk, "second", LEASE).await);
    assert!(first.lead().await.expect("the store"));
    assert!(first.lead().await.expect("the store"), "it stays so");
    assert!(!second.lead().await.expect("the store"), "one at a time");
    let polling = watcher_on(&desk, &first);
    polling.poll(None).await.expect("a poll");
    // The first says nothing any more, as if it were frozen; before anybody has taken over it may go on.
    until_leading(&second).await;
    let members = second.members().await.expect("the members");
    assert_eq!(members.iter().map(|one| (one.name.as_str(), one.is_leader)).collect::<Vec<_>>(), [("second", true)]);
    // What it found before is stale by now.
    desk.edgar.change(|archive| TestFiling::determination(2, "2026-03-19T16:00:05Z").publish(archive));
    desk.clock.advance(Duration::from_secs(10));
    let refused = polling.poll_pass(None).await.expect_err("another polls");
    assert!(refused.to_string().contains("another process polls now"), "{refused}");
    for refused in [
        first.record_pass("8-K", &FeedQueryState::default(), &[], false).await.map(drop),
        first.write_facts(&[("last_poll", "stale")], &[], desk.clock.now()).await,
        first.add_days(&[("2026-03-19".parse().expect("a date"), desk.clock.now())]).await,
    ] {
        assert!(refused.expect_err("another polls").is::<Superseded>());
    }
    assert_ne!(second.fact("last_poll").await.expect("a fact").expect("one").0, "stale");
    assert_eq!(watcher_on(&desk, &second).poll(None).await.expect("a poll").n_found, 1);
    // It says that it lives again, and follows.
    first.renew().await.expect("the store");
    assert!(!first.lead().await.expect("the store"));
    second.leave().await;
    assert!(first.lead().await.expect("the store"), "at once, where the other has left");
    first.record_pass("8-K", &FeedQueryState::default(), &[], false).await.expect("its own term");
}

#[tokio::test]
async fn a_lease_of_before_the_servers_clock_was_set_back_keeps_nobody_from_polling() {
    if needs_server().is_none() {
        return;
    }
    let desk = Desk::open(Archive::default(), NOON).await;
    let (first, second) = (another(&desk, "first", LEASE).await, another(&desk, "second", LEASE).await);
    assert!(first.lead().await.expect("the store"));
    // As if the server's clock had been an hour ahead when it said so, and it had died then.
    let server = desk.store.split('"').nth(1).expect("the store's URL");
    ask(server, "UPDATE members SET alive_until = alive_until + 3600000000 WHERE name = 'first'");
    assert!(second.lead().await.expect("the store"));
}

#[tokio::test]
async fn each_filing_is_in_one_hand_and_those_of_the_dead_are_free() {
    if needs_server().is_none() {
        return;
    }
    let filings: Vec<TestFiling> = (1..=40).map(|n| TestFiling::ordinary(n, "2026-03-19T16:00:05Z")).collect();
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    desk.edgar.change(|archive| filings.iter().for_each(|filing| filing.publish(archive)));
    desk.clock.advance(Duration::from_secs(10));
    assert_eq!(desk.watcher.poll(None).await.expect("a poll").n_found, 40);
    let (first, second) =
        (another(&desk, "first", Duration::from_millis(500)).await, another(&desk, "second", LEASE).await);
    let now = desk.clock.now();
    let claim = async |store: &Store| {
        let mut claimed = Vec::new();
        loop {
            let more = store.claim_filings(Queue::Live, now, 3, |_| now).await.expect("claimed");
            // Its own it may claim again.
            let new: Vec<AccessionNumber> =
                more.iter().map(|filing| filing.accession).filter(|one| !claimed.contains(one)).collect();
            if new.is_empty() {
                return claimed;
            }
            claimed.extend(new);
            // As if it were at work on them.
            for one in more {
                store
                    .postpone_filing(one.accession, "at work", now + Duration::from_secs(60), None)
                    .await
                    .expect("put off");
            }
        }
    };
    let (of_first, of_second) = tokio::join!(claim(&first), claim(&second));
    let all: BTreeSet<AccessionNumber> = of_first.iter().chain(&of_second).copied().collect();
    assert_eq!(all.len(), 40);
    assert_eq!(of_first.len() + of_second.len(), 40, "none is in both");

    // One claims and dies: within its lease nobody else has them.
    desk.clock.advance(Duration::from_secs(120));
    let now = desk.clock.now();
    first.renew().await.expect("it lives");
    assert_eq!(first.claim_filings(Queue::Live, now, 100, |_| now).await.expect("claimed").len(), 40);
    assert!(!second.has_due_filing(Queue::Live, now).await.expect("the queue"));
    let freed = async {
        loop {
            let claimed = second.claim_filings(Queue::Live, now, 100, |_| now).await.expect("claimed");
            if !claimed.is_empty() {
                return claimed;
            }
            second.renew().await.expect("it lives");
        }
    };
    let freed = tokio::time::timeout(Duration::from_secs(30), freed).await.expect("the lease ends");
    assert_eq!(freed.len(), 40);
    assert!(freed.iter().all(|filing| filing.attempts == 2), "each try is counted");
}

fn ids(due: &[DueMessage]) -> BTreeSet<i64> {
    due.iter().map(|message| message.id).collect()
}

#[tokio::test]
async fn each_mail_is_in_one_hand_and_what_is_let_go_of_is_free() {
    if needs_server().is_none() {
        return;
    }
    let readers: String = (0..30).map(|n| format!("[[subscription]]\nemail = \"reader{n}@example.com\"\n")).collect();
    let plan = DeskPlan { subscriptions: readers.leak(), ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    desk.edgar.change(|archive| TestFiling::determination(1, "2026-03-19T16:00:05Z").publish(archive));
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.poll(None).await.expect("a poll");
    assert_eq!(desk.watcher.read(None).await.expect("a reading").n_notices, 30);
    let (first, second) = (another(&desk, "first", LEASE).await, another(&desk, "second", LEASE).await);
    let now = desk.clock.now();
    let of_first = ids(&first.due_messages(now, 10).await.expect("the outbox"));
    let of_second = ids(&second.due_messages(now, 100).await.expect("the outbox"));
    assert_eq!((of_first.len(), of_second.len()), (10, 20));
    assert!(of_first.is_disjoint(&of_second));
    assert_eq!(ids(&first.due_messages(now, 100).await.expect("the outbox")), of_first, "its own, again");
    first.let_go_of_messages(&of_first.iter().copied().collect::<Vec<_>>()).await.expect("let go");
    assert_eq!(ids(&second.due_messages(now, 100).await.expect("the outbox")).len(), 30);
    let sent = watcher_on(&desk, &second).deliver(None).await.expect("a delivery");
    assert_eq!(sent.n_sent, 30);
    assert_eq!(watcher_on(&desk, &first).deliver(None).await.expect("a delivery").n_sent, 0);
    assert_eq!(desk.mails().len(), 30);
}

#[tokio::test]
async fn two_that_deliver_at_once_send_each_mail_once() {
    if needs_server().is_none() {
        return;
    }
    let readers: String = (0..200).map(|n| format!("[[subscription]]\nemail = \"reader{n}@example.com\"\n")).collect();
    let relay = crate::support::smtp::FakeSmtp::start().await;
    let plan = DeskPlan { subscriptions: readers.leak(), smtp_port: Some(relay.port()), ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    desk.edgar.change(|archive| TestFiling::determination(1, "2026-03-19T16:00:05Z").publish(archive));
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.poll(None).await.expect("a poll");
    assert_eq!(desk.watcher.read(None).await.expect("a reading").n_notices, 200);
    let lease = Duration::from_secs(60);
    let (first, second) = (another(&desk, "first", lease).await, another(&desk, "second", lease).await);
    let (first, second) = (watcher_on(&desk, &first), watcher_on(&desk, &second));
    let (one, other) = tokio::join!(first.deliver(None), second.deliver(None));
    let (one, other) = (one.expect("a delivery").n_sent, other.expect("a delivery").n_sent);
    let to: BTreeSet<String> = relay.taken().into_iter().map(|taken| taken.to).collect();
    assert_eq!((one + other, relay.taken().len(), to.len()), (200, 200, 200), "{one} and {other}");
}

#[tokio::test]
async fn the_request_budget_is_one_for_all_and_kept_by_one_clock() {
    if needs_server().is_none() {
        return;
    }
    let desk = Desk::open(Archive::default(), NOON).await;
    let (first, second) = (another(&desk, "first", LEASE).await, another(&desk, "second", LEASE).await);
    let pace = Pace::new(1, true);
    let now = chrono::Utc::now();
    let reserve = async |store: &Store, now| {
        store.reserve(pace, Priority::Live, "Test Desk ops@example.com", now).await.expect("a token")
    };
    let waits = [
        reserve(&first, now).await,
        reserve(&second, now).await,
        reserve(&first, now).await,
        reserve(&second, now).await,
    ]
    .map(|grant| match grant {
        Grant::Go(wait) => wait,
        other => panic!("{other:?}"),
    });
    assert!(waits.windows(2).all(|two| two[1] > two[0]), "each waits for the one before it: {waits:?}");
    assert!(waits[3] >= Duration::from_secs(2), "{waits:?}");
    first.block(now + Duration::from_secs(600), "EDGAR said so", now).await.expect("a block");
    assert!(matches!(reserve(&second, now).await, Grant::Blocked { reason, .. } if reason == "EDGAR said so"));
}

#[tokio::test]
async fn what_one_finds_the_others_hear_of() {
    if needs_server().is_none() {
        return;
    }
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    let mut listener = desk.watcher.store.listen().await.expect("the server").expect("it is no file");
    desk.edgar.change(|archive| TestFiling::determination(1, "2026-03-19T16:00:05Z").publish(archive));
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.poll(None).await.expect("a poll");
    let patience = Duration::from_secs(30);
    let heard = tokio::time::timeout(patience, listener.next()).await.expect("in time").expect("news");
    assert_eq!(heard, News::Filings);
    desk.watcher.read(None).await.expect("a reading");
    let heard = tokio::time::timeout(patience, listener.next()).await.expect("in time").expect("news");
    assert_eq!(heard, News::Mail);
}

/// Letters of a few issuers, told again and corrected, in the indexes of their days.
fn past() -> Archive {
    let mut archive = Archive::default();
    for n in 1..=60 {
        let day = 2 + n / 6;
        let filing = TestFiling {
            cik: 9_991_100 + u64::from(n % 7),
            ..TestFiling::determination(n, &format!("2026-02-{day:02}T18:{:02}:00Z", n % 60))
        };
        filing.file(&mut archive);
    }
    archive.write_full_index(Quarter::of("2026-02-02".parse().expect("a date")));
    for day in 2..=12 {
        let day = chrono::NaiveDate::from_ymd_opt(2026, 2, day).expect("a date");
        archive.write_index(day, eastern(day.and_hms_opt(23, 0, 0).expect("a time").and_utc()));
    }
    archive
}

const LATER: &str = "2026-06-18T16:00:00Z";

/// What `alerts --json` prints after so many workers have read the past.
async fn alerts_after(n_workers: usize) -> String {
    let desk = Desk::open(past(), LATER).await;
    let mut workers = Vec::new();
    for n in 0..n_workers {
        let store = another(&desk, &format!("worker{n}"), Duration::from_secs(60)).await;
        workers.push(watcher_on(&desk, &store).recording_only());
    }
    let (from, to) = ("2026-02-01".parse().expect("a date"), "2026-02-28".parse().expect("a date"));
    let work = workers.iter().map(async |worker| {
        worker.queue_range(from, to, |_| ()).await.expect("queued");
        let mut n_read = 0;
        loop {
            n_read += worker.read(None).await.expect("read").n_read;
            let is_over = worker.store.n_queued(Queue::Past).await.expect("a count") == 0;
            if is_over && !worker.is_queued_by_others().await.expect("the store") {
                return n_read;
            }
            tokio::task::yield_now().await;
        }
    });
    let n_read: Vec<usize> = futures_util::future::join_all(work).await;
    assert_eq!(n_read.iter().sum::<usize>(), 60, "each once: {n_read:?}");
    std::fs::write(desk.folder.path().join("desk.toml"), desk.text(&DeskPlan::default())).expect("a file");
    let folder = desk.folder.path().to_owned();
    let output =
        tokio::task::spawn_blocking(move || edgar_watch(&folder, &["--config", "desk.toml", "alerts", "--json"]));
    let output = output.await.expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // Each archive has an address of its own.
    text(&output.stdout).replace(&desk.edgar.url(), "http://archive")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_leave_what_one_leaves() {
    if needs_server().is_none() {
        return;
    }
    let one = alerts_after(1).await;
    assert_eq!(one.lines().count(), 60);
    let many = alerts_after(3).await;
    assert!(one == many, "{}", first_difference(&one, &many));
}

fn first_difference(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    lines.map_or_else(String::new, |(one, other)| format!("{one}\n{other}"))
}

#[tokio::test]
async fn a_store_goes_to_a_server_and_back_and_is_the_same() {
    let Some(server) = needs_server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = StorePlace::file(&folder.path().join("there.db")).expect("a path");
    let back = StorePlace::file(&folder.path().join("back.db")).expect("a path");
    let there = server_place(&new_schema(&server), folder.path());
    // A store that has lived: letters told and withheld, mail that waits, an address that is gone for good.
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T15:00:00Z")]), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    for number in 2..=4 {
        let at = format!("2026-03-19T16:0{number}:00Z");
        let letter = TestFiling { cik: 9_991_100, ..TestFiling::determination(number, &at) };
        desk.edgar.change(|archive| letter.publish(archive));
        desk.clock.set(&format!("2026-03-19T16:0{number}:30Z"));
        desk.watcher.cycle(None).await.expect("a cycle");
    }
    let from = Store::open(&desk.settings.store).await.expect("the store");
    from.set_fact("words", "a NUL \0 and \u{1f4e8}", desk.clock.now()).await.expect("a fact");
    let to = Store::open_target(&file).await.expect("a store");
    let first = transfer(&from, &to, |_, _| ()).await.expect("copied");
    assert!(first.iter().any(|table| table.table == "messages" && table.n_rows > 0), "{first:?}");
    to.close().await;
    let (mut source, mut sums) = (file, first);
    for place in [there, back] {
        let (from, to) =
            (Store::open(&source).await.expect("whole"), Store::open_target(&place).await.expect("a store"));
        let copied = transfer(&from, &to, |_, _| ()).await.expect("copied");
        assert_eq!(copied, sums);
        from.close().await;
        to.close().await;
        (source, sums) = (place, copied);
    }
    let (before, after) = (&from, Store::open(&source).await.expect("whole"));
    assert_eq!(
        before.alerts_since(chrono::DateTime::UNIX_EPOCH).await.expect("alerts"),
        after.alerts_since(chrono::DateTime::UNIX_EPOCH).await.expect("alerts")
    );
    assert_eq!(before.count_messages().await.expect("counts"), after.count_messages().await.expect("counts"));
    // It goes on where it was: numbers that were given are not given again.
    let mail = edgar_watch::store::OnceMail {
        fact: "told".to_owned(),
        message_id: "one@example.com".to_owned(),
        recipient: "ops@example.com".to_owned(),
        subject: "one more".to_owned(),
        bytes: b"mail".to_vec(),
    };
    after.enqueue_once(&mail, desk.clock.now()).await.expect("a mail");
}

#[tokio::test]
async fn the_command_copies_a_store_with_its_keys_and_refuses_what_is_in_use() {
    let Some(server) = needs_server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let place = StorePlace::file(&folder.path().join("state.db")).expect("a path");
    let store = Store::open(&place).await.expect("a store");
    store.set_fact("words", "kept", chrono::Utc::now()).await.expect("a fact");
    let keys = store.token_keys().expect("keys").fingerprints();
    store.close().await;
    let url = new_schema(&server);
    let config = DeskPlan::default().text("http://127.0.0.1:9");
    let own = config.lines().find(|line| line.starts_with("url = ")).expect("the store's line").to_owned();
    std::fs::write(
        folder.path().join("desk.toml"),
        config.replace(&own, &format!("url = \"{url}\"")).replace("state.db.keys", "there.keys"),
    )
    .expect("a file");
    let migrate = async |from: &str, to: &str| {
        let words = ["--config", "desk.toml", "migrate-store", "--from", from, "--to", to].map(str::to_owned);
        let folder = folder.path().to_owned();
        let run = move || edgar_watch(&folder, &words.each_ref().map(String::as_str));
        tokio::task::spawn_blocking(run).await.expect("the binary runs")
    };
    let done = migrate("sqlite://state.db", &url).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("facts                         1 rows"), "{}", text(&done.stdout));
    let there = server_place(&url, folder.path());
    let copy = Store::open(&there).await.expect("a store");
    assert_eq!(copy.fact("words").await.expect("a fact").expect("one").0, "kept");
    let there_keys = std::fs::read_to_string(folder.path().join("there.keys")).expect("the keys went with it");
    assert_eq!(edgar_watch::tokens::Keys::parse(&there_keys).expect("keys").fingerprints(), keys);
    let again = migrate("sqlite://state.db", &url).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).ends_with("holds data already: name an empty one\n"), "{}", text(&again.stderr));
    copy.join(member("somebody", LEASE)).await.expect("joined");
    let busy = migrate(&url, "sqlite://back.db").await;
    assert!(text(&busy.stderr).contains("somebody works on postgres://"), "{}", text(&busy.stderr));
    copy.leave().await;
    let back = migrate(&url, "sqlite://back.db").await;
    assert_eq!(back.status.code(), Some(0), "{}", text(&back.stderr));
}

#[tokio::test]
async fn a_copy_that_broke_off_goes_on_and_is_no_store_before() {
    let Some(server) = needs_server() else { return };
    let desk = Desk::open(archive(&[TestFiling::determination(1, "2026-03-19T15:00:00Z")]), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let from = desk.watcher.store.clone();
    let folder = tempfile::tempdir().expect("a folder");
    let place = server_place(&new_schema(&server), folder.path());
    let to = Store::open_target(&place).await.expect("a store");
    // It ends in the middle, as when the process is killed: whoever polls it lets go.
    let seen = std::cell::Cell::new(false);
    {
        let mut copying = std::pin::pin!(transfer(&from, &to, |table, _| seen.set(seen.get() || table == "days")));
        let broken = std::future::poll_fn(|context| match copying.as_mut().poll(context) {
            std::task::Poll::Pending if seen.get() => std::task::Poll::Ready(()),
            std::task::Poll::Pending => std::task::Poll::Pending,
            std::task::Poll::Ready(done) => panic!("it came to its end: {done:?}"),
        });
        broken.await;
    }
    let refused = Store::open(&place).await.expect_err("it is no store yet");
    assert!(refused.to_string().ends_with("only: run `edgar-watch migrate-store` again"), "{refused}");
    let again = transfer(&from, &to, |_, _| ()).await.expect("it goes on");
    assert!(again.iter().any(|table| table.table == "filings" && table.n_rows == 1), "{again:?}");
    Store::open(&place).await.expect("a store").close().await;
    to.close().await;
}

#[tokio::test]
async fn a_store_that_holds_something_else_is_not_copied_into() {
    let Some(server) = needs_server() else { return };
    let one = Desk::open(archive(&[TestFiling::determination(1, "2026-03-19T15:00:00Z")]), NOON).await;
    let other = Desk::open(archive(&[TestFiling::determination(2, "2026-03-19T15:00:00Z")]), NOON).await;
    for desk in [&one, &other] {
        desk.watcher.cycle(None).await.expect("a cycle");
    }
    let refused = transfer(&one.watcher.store, &other.watcher.store, |_, _| ()).await.expect_err("it is in use");
    assert!(refused.to_string().ends_with("holds data already: name an empty one"), "{refused}");
    // One that a copy of another store broke off in.
    let folder = tempfile::tempdir().expect("a folder");
    let place = server_place(&new_schema(&server), folder.path());
    let target = Store::open_target(&place).await.expect("a store");
    target.set_fact("migrate_store", "/elsewhere/state.db", one.clock.now()).await.expect("a fact");
    let refused = transfer(&one.watcher.store, &target, |_, _| ()).await.expect_err("it is another's");
    assert!(refused.to_string().contains("holds a part of /elsewhere/state.db"), "{refused}");
    let refused = Store::open(&place).await.expect_err("it is no store");
    assert!(matches!(&refused, OpenError::Broken { .. }), "{refused}");
    assert!(
        refused
            .to_string()
            .ends_with("it holds a part of /elsewhere/state.db only: run `edgar-watch migrate-store` again")
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_said_in_one_line() {
    let Some(server) = needs_server() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let base = server.split('?').next().expect("a URL").rsplit_once('/').expect("a database").0.to_owned();
    let failed =
        async |url: &str| Store::open(&server_place(url, folder.path())).await.expect_err("it cannot be opened");
    let missing = failed(&format!("{base}/no_such_database")).await;
    assert!(matches!(missing, OpenError::Broken { .. }));
    assert!(
        missing.to_string().ends_with("database \"no_such_database\" does not exist: create it, as `createdb` does"),
        "{missing}"
    );
    let down = failed("postgres://nobody@127.0.0.1:9/any").await;
    assert!(matches!(down, OpenError::Unusable { .. }));
    assert_eq!(down.to_string(), "store postgres://nobody@127.0.0.1:9/any: Connection refused (os error 111)");
    let url = new_schema(&server);
    let absent = Store::open_existing(&server_place(&url, folder.path())).await.expect_err("nobody made one");
    assert!(matches!(absent, OpenError::Absent { .. }), "{absent}");
    // A server that is down is tried again; what a person must see to is not.
    for (url, code) in [("postgres://nobody@127.0.0.1:9/any", 75), (&format!("{base}/no_such_database"), 78)] {
        let config = format!(
            "[edgar]\nuser_agent = \"Test Desk ops@example.com\"\n[watch]\nissuers = [\"*\"]\n[store]\nurl = \"{url}\"\n\
             [mail]\nfrom = \"ew@example.com\"\nowner = \"ops@example.com\"\ntransport = \"folder\"\n"
        );
        std::fs::write(folder.path().join("desk.toml"), config).expect("a file");
        for command in ["once", "run", "status"] {
            let output = edgar_watch(folder.path(), &["--config", "desk.toml", command]);
            assert_eq!(output.status.code(), Some(code), "{command}: {}", text(&output.stderr));
            assert_eq!(text(&output.stderr).lines().count(), 1, "{command}: {}", text(&output.stderr));
        }
    }
}
