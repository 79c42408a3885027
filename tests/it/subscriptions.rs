//! Who gets what, and when: digests, quiet hours, pauses, and the wish of an address against a configuration.

use std::time::Duration;

use chrono::{DateTime, Utc};
use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::Archive;
use edgar_watch::passes::PassError;
use edgar_watch::store::{Attempt, MessageState, NewSubscription, OnceMail, Silence, Store, SubscriptionState, Which};
use edgar_watch::subscription::{Origin, WrittenSubscription};

use crate::support::filings::TestFiling;
use crate::support::{Desk, DeskPlan, instant};

/// A Thursday, noon in New York.
const NOON: &str = "2026-03-19T16:00:00Z";

/// A desk whose first look at EDGAR is behind it.
async fn desk(subscriptions: &'static str) -> Desk {
    let desk = DeskPlan { subscriptions, ..DeskPlan::default() }.open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    desk
}

/// A determination comes in and is read; the clock stands at its acceptance.
async fn take_letter(desk: &Desk, number: u32, accepted_at: &str) {
    desk.clock.set(accepted_at);
    desk.edgar.change(|archive| TestFiling::determination(number, accepted_at).publish(archive));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
}

async fn deliver_at(desk: &Desk, at: &str) -> Result<usize, PassError> {
    desk.clock.set(at);
    desk.watcher.deliver(None).await.map(|done| done.n_sent)
}

fn now(desk: &Desk) -> DateTime<Utc> {
    desk.clock.now()
}

fn asked_for(id: &str, address: &str, written: WrittenSubscription) -> NewSubscription {
    NewSubscription {
        id: id.to_owned(),
        origin: Origin::Cli,
        address: address.to_owned(),
        erased_as: Vec::new(),
        state: SubscriptionState::Active,
        written,
    }
}

#[tokio::test]
async fn a_digest_is_one_mail_a_day_with_all_that_came() {
    let desk = desk("[[subscription]]\nemail = \"desk@example.com\"\ndelivery = \"daily\"\nat = \"08:00\"\n").await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    take_letter(&desk, 2, "2026-03-19T20:05:00Z").await;
    assert_eq!(deliver_at(&desk, "2026-03-20T11:59:59Z").await.expect("a pass"), 0, "before its hour");
    assert_eq!(deliver_at(&desk, "2026-03-20T12:00:00Z").await.expect("a pass"), 1);
    assert_eq!(desk.subjects(), ["[edgar-watch] 2 listing notices of one issuer"]);
    let mails = desk.mails();
    let text = mails[0].body_text(0).expect("a text part").into_owned();
    for part in ["0009992000-26-000001", "0009992000-26-000002", "staff determination", "config:1"] {
        assert!(text.contains(part), "{part} is in\n{text}");
    }
    assert_eq!(deliver_at(&desk, "2026-03-21T12:00:00Z").await.expect("a pass"), 0, "nothing came since");
}

#[tokio::test]
async fn a_notice_that_comes_after_a_digest_was_written_goes_into_the_next() {
    let desk = desk("[[subscription]]\nemail = \"desk@example.com\"\ndelivery = \"weekly\"\non = \"friday\"\n").await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    assert_eq!(deliver_at(&desk, "2026-03-20T12:00:00Z").await.expect("a pass"), 1);
    take_letter(&desk, 2, "2026-03-20T16:05:00Z").await;
    assert_eq!(deliver_at(&desk, "2026-03-27T11:59:59Z").await.expect("a pass"), 0);
    assert_eq!(deliver_at(&desk, "2026-03-27T12:00:00Z").await.expect("a pass"), 1);
    assert_eq!(desk.subjects(), ["[edgar-watch] 1 listing notice"; 2]);
}

#[tokio::test]
async fn a_digest_with_nothing_in_it_is_sent_to_who_asked_for_it() {
    let desk = desk(
        "[[subscription]]\nemail = \"desk@example.com\"\ndelivery = \"daily\"\nempty_digest = true\n\
         [[subscription]]\nemail = \"other@example.com\"\ndelivery = \"daily\"\n",
    )
    .await;
    desk.watcher.deliver(None).await.expect("a pass");
    assert_eq!(deliver_at(&desk, "2026-03-20T12:00:00Z").await.expect("a pass"), 1);
    assert_eq!(desk.subjects(), ["[edgar-watch] No new listing notices"]);
    assert_eq!(deliver_at(&desk, "2026-03-20T12:00:01Z").await.expect("a pass"), 0, "once a day");
    assert_eq!(deliver_at(&desk, "2026-03-21T12:00:00Z").await.expect("a pass"), 1);
}

#[tokio::test]
async fn quiet_hours_hold_the_mail_and_not_the_reading() {
    let desk = desk(
        "[[subscription]]\nemail = \"desk@example.com\"\nquiet_hours = \"18:00-07:00\"\ntime_zone = \"Europe/Berlin\"\n",
    )
    .await;
    // 21:05 in Berlin.
    take_letter(&desk, 1, "2026-03-19T20:05:00Z").await;
    assert_eq!(desk.watcher.store.alerts_since(instant(NOON)).await.expect("alerts").len(), 1, "read at once");
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 0);
    let due = desk.watcher.store.next_message_due().await.expect("the outbox");
    assert_eq!(due, Some(instant("2026-03-20T06:00:00Z")), "the daemon knows when to wake");
    assert_eq!(deliver_at(&desk, "2026-03-20T06:00:00Z").await.expect("a pass"), 1);
    let mails = desk.mails();
    assert!(mails[0].body_text(0).expect("a text part").contains("21:05:00 CET"), "times on the reader's clock");
}

#[tokio::test]
async fn one_address_gets_one_mail_that_names_all_its_subscriptions() {
    let desk = desk(
        "[[subscription]]\nname = \"all\"\nemail = \"desk@example.com\"\ndelivery = \"daily\"\n\
         [[subscription]]\nname = \"late\"\nemail = \"Desk@Example.com\"\nbases = [\"late_filing\"]\n\
         [[subscription]]\nname = \"nyse\"\nemail = \"desk@example.com\"\nexchanges = [\"nyse\"]\n",
    )
    .await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 1, "at once: one of them asks for that");
    let mails = desk.mails();
    let text = mails[0].body_text(0).expect("a text part").into_owned();
    assert!(text.contains("config:all (") && text.contains("config:late (") && !text.contains("nyse"), "{text}");
    assert_eq!(deliver_at(&desk, "2026-03-20T12:00:00Z").await.expect("a pass"), 0, "and not in a digest as well");
}

#[tokio::test]
async fn what_is_less_sure_than_asked_for_is_not_told() {
    let desk = desk(
        "[[subscription]]\nemail = \"strict@example.com\"\nmin_confidence = 1.0\n\
         [[subscription]]\nemail = \"desk@example.com\"\n",
    )
    .await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 1);
    assert_eq!(desk.mails()[0].to().and_then(|to| to.first()?.address()), Some("desk@example.com"));
}

#[tokio::test]
async fn nothing_is_told_before_the_end_of_a_pause() {
    let desk = desk("[[subscription]]\nemail = \"desk@example.com\"\npaused_until = \"2026-03-20\"\n").await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    // Midnight in New York.
    take_letter(&desk, 2, "2026-03-20T04:00:00Z").await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 1);
    assert!(desk.subjects()[0].starts_with('['), "{:?}", desk.subjects());
    let store = &desk.watcher.store;
    store.pause_subscriptions(&["config:1"], instant("2026-03-22T00:00:00Z")).await.expect("a pause");
    take_letter(&desk, 3, "2026-03-20T16:00:00Z").await;
    store.resume_subscriptions(&["config:1"], now(&desk)).await.expect("an end of it");
    take_letter(&desk, 4, "2026-03-20T16:10:00Z").await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 1);
}

#[tokio::test]
async fn an_address_that_wants_no_mail_outranks_the_configuration_until_it_is_resumed() {
    let mut desk = desk("[[subscription]]\nemail = \"desk@example.com\"\n").await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    let silenced = desk.watcher.store.silence_address("desk@example.com", Silence::Unsubscribed, "by mail", now(&desk));
    assert!(silenced.await.expect("a silence"));
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 0, "what waited is dropped");
    desk.restart().await;
    take_letter(&desk, 2, "2026-03-19T17:05:00Z").await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 0, "also after the file was read again");
    desk.watcher.store.resume_subscriptions(&["config:1"], now(&desk)).await.expect("a person's word");
    take_letter(&desk, 3, "2026-03-19T18:05:00Z").await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 1);
}

#[tokio::test]
async fn what_leaves_the_file_ends_and_what_waited_for_it_is_dropped() {
    let mut desk = desk("[[subscription]]\nemail = \"desk@example.com\"\nquiet_hours = \"11:00-16:00\"\n").await;
    let other = asked_for("abc", "other@example.com", WrittenSubscription::default());
    desk.watcher.store.add_subscription(&other, now(&desk)).await.expect("a subscription");
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    let mut settings = (*desk.settings).clone();
    settings.subscriptions.clear();
    desk.settings = settings.into();
    desk.restart().await;
    assert_eq!(deliver_at(&desk, "2026-03-19T21:00:00Z").await.expect("a pass"), 1, "the other's alone");
    let message = desk.watcher.store.message(1).await.expect("the store").expect("the first message");
    assert_eq!(message.0.state, MessageState::Dropped, "nobody asks for it any more");
}

#[tokio::test]
async fn an_erased_address_leaves_nothing_but_what_stands_for_it() {
    if !crate::support::store::is_file() {
        return;
    }
    let desk = desk("[[subscription]]\nemail = \"desk@example.com\"\n").await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    desk.watcher.deliver(None).await.expect("a pass");
    take_letter(&desk, 2, "2026-03-19T16:15:00Z").await;
    let store = &desk.watcher.store;
    assert!(store.erase_address("desk@example.com", "erased:1234", now(&desk)).await.expect("erased"));
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 0);
    store.close().await;
    let bytes: Vec<u8> = ["state.db", "state.db-wal"]
        .iter()
        .filter_map(|name| std::fs::read(desk.folder.path().join(name)).ok())
        .flatten()
        .collect();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("erased:1234"));
    assert!(!holds("desk@example.com"), "also not in pages that were let go of");
}

#[tokio::test]
async fn an_issuer_that_somebody_asks_for_is_read() {
    let plan = DeskPlan { issuers: "[\"0009991099\"]", subscriptions: "", ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    let issuers = Some(vec![TestFiling::determination(1, NOON).cik().to_string()]);
    let new = asked_for("abc", "other@example.com", WrittenSubscription { issuers, ..WrittenSubscription::default() });
    desk.watcher.store.add_subscription(&new, now(&desk)).await.expect("a subscription");
    desk.watcher.poll(None).await.expect("the first look with it");
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 1);
}

#[tokio::test]
async fn a_mail_dropped_after_it_was_found_due_is_not_sent() {
    let desk = desk("[[subscription]]\nemail = \"desk@example.com\"\n").await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    let store: &Store = &desk.watcher.store;
    assert_eq!(store.due_messages(now(&desk), 10).await.expect("the outbox").len(), 1);
    assert!(store.drop_message(1, now(&desk)).await.expect("dropped"));
    let next = now(&desk) + Duration::from_secs(30);
    let attempt = Attempt { message: 1, next_try_at: next, written: None };
    assert_eq!(store.begin_attempts(&[attempt]).await.expect("an attempt"), [false], "it no longer waits");
    let ended = store.subscriptions(Which::Live).await.expect("subscriptions");
    assert_eq!(ended.len(), 1, "and its recipient keeps the subscription");
}

#[tokio::test]
async fn what_was_never_confirmed_does_not_begin_with_a_resumption() {
    let desk = desk("").await;
    let store = &desk.watcher.store;
    let (confirmed, pending) = (
        asked_for("confirmed", "victim@example.net", WrittenSubscription::default()),
        NewSubscription {
            state: SubscriptionState::Pending,
            ..asked_for("pending", "victim@example.net", WrittenSubscription::default())
        },
    );
    store.add_subscription(&confirmed, now(&desk)).await.expect("a subscription");
    store.add_subscription(&pending, now(&desk)).await.expect("a subscription that somebody else asked for");
    let silenced = store.silence_address("victim@example.net", Silence::Unsubscribed, "by mail", now(&desk)).await;
    assert!(silenced.expect("a silence"));
    store.resume_subscriptions(&["confirmed", "pending"], now(&desk)).await.expect("a person's word");
    let rows = store.subscriptions(Which::Address("victim@example.net")).await.expect("subscriptions");
    let states: Vec<(&str, SubscriptionState)> = rows.iter().map(|row| (row.id.as_str(), row.state)).collect();
    assert_eq!(states, [("confirmed", SubscriptionState::Active), ("pending", SubscriptionState::Ended)]);
}

#[tokio::test]
async fn the_number_of_an_address_is_never_given_again() {
    let desk = desk("").await;
    let store = &desk.watcher.store;
    let ask = |id: &str, address: &str| NewSubscription {
        state: SubscriptionState::Pending,
        ..asked_for(id, address, WrittenSubscription::default())
    };
    store.add_subscription(&ask("first", "first@example.net"), now(&desk)).await.expect("a subscription");
    let number = store.subscriptions(Which::Id("first")).await.expect("rows")[0].address_id;
    desk.clock.jump(86_400);
    assert_eq!(store.forget_unconfirmed(now(&desk)).await.expect("forgotten"), 2, "subscription and address");
    assert_eq!(store.address_of(number).await.expect("the store"), None);
    store.add_subscription(&ask("second", "second@example.net"), now(&desk)).await.expect("a subscription");
    assert!(store.subscriptions(Which::Id("second")).await.expect("rows")[0].address_id > number, "it stands in links");
}

#[tokio::test]
async fn erasing_an_address_leaves_those_alone_that_end_like_it() {
    let desk = desk("").await;
    let store = &desk.watcher.store;
    for (id, address) in [("a", "ann@example.net"), ("b", "joann@example.net")] {
        let new = asked_for(id, address, WrittenSubscription::default());
        store.add_subscription(&new, now(&desk)).await.expect("a subscription");
        let mail = OnceMail {
            fact: format!("told_owner:{id}"),
            message_id: format!("owner.{id}@example.com"),
            recipient: "ops@example.com".to_owned(),
            subject: format!("[edgar-watch] a mail to {address} was set aside"),
            bytes: b"bytes".to_vec(),
        };
        store.enqueue_once(&mail, now(&desk)).await.expect("a word to the owner");
    }
    assert!(store.erase_address("ann@example.net", "erased:1", now(&desk)).await.expect("erased"));
    let open = store.open_messages().await.expect("the outbox");
    let subjects: Vec<&str> = open.iter().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["[edgar-watch] a mail to joann@example.net was set aside"]);
}

#[tokio::test]
async fn keys_that_are_others_are_refused() {
    let mut desk = desk("[[subscription]]\nemail = \"desk@example.com\"\n").await;
    desk.watcher.deliver(None).await.expect("a pass takes the configuration");
    let file = desk.folder.path().join("state.db.keys");
    let first = std::fs::read_to_string(&file).expect("the keys");
    let second = "k2 000102030405060708090a0b0c0d0e0f\n";
    std::fs::write(&file, second).expect("a file");
    desk.restart().await;
    let refused = desk.watcher.deliver(None).await.expect_err("links in mails would stop working");
    assert!(refused.to_string().contains("the token keys are none of those"), "{refused}");
    std::fs::write(&file, format!("{second}{first}")).expect("a file");
    desk.restart().await;
    desk.watcher.deliver(None).await.expect("a new key before the old one");
    std::fs::remove_file(&file).expect("gone");
    let refused = desk.watcher.store.known_token_keys(now(&desk)).await.expect_err("none are made beside others");
    assert!(refused.to_string().contains("state.db.keys is not there"), "{refused:#}");
}

#[tokio::test]
async fn a_mail_tells_the_earlier_letters_of_its_issuer() {
    let desk = desk("[[subscription]]\nemail = \"desk@example.com\"\n").await;
    take_letter(&desk, 1, "2026-03-19T16:05:00Z").await;
    desk.watcher.deliver(None).await.expect("a pass");
    let first = desk.mails()[0].body_text(0).expect("a text part").into_owned();
    assert!(!first.contains("Earlier letters"), "{first}");
    // Another letter to the same issuer, five days later.
    let at = "2026-03-24T16:05:00Z";
    let again = TestFiling { cik: 9_991_001, ..TestFiling::determination(2, at) };
    desk.clock.set(at);
    desk.edgar.change(|archive| again.publish(archive));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
    desk.watcher.deliver(None).await.expect("a pass");
    let mails = desk.mails();
    let mut second = mails.iter().map(|mail| mail.body_text(0).expect("a text part").into_owned());
    let second = second.find(|text| text.contains("Earlier letters of this issuer")).expect("the second mail");
    let (_, earlier) = second.split_once("Earlier letters of this issuer").expect("the section");
    let (earlier, _) = earlier.split_once("Links").expect("the next section");
    assert!(earlier.contains("17 Mar 2026") && earlier.contains("0009992000-26-000001"), "{second}");
    assert!(!earlier.contains("0009992000-26-000002"), "not its own");
}
