//! Delivery: what each answer of the relay leads to, and that every attempt sends the same bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edgar_watch::config::{SmtpSettings, SmtpTls};
use edgar_watch::demo::edgar::Archive;
use edgar_watch::mail::{DeliveryError, Envelope, HandOver, SmtpTimeouts, SmtpTransport};
use edgar_watch::passes::{PassError, set_aside_fact};
use edgar_watch::store::MessageState;
use mail_parser::MessageParser;
use sqlx::Connection;

use crate::support::filings::TestFiling;
use crate::support::smtp::{Act, FakeSmtp, Step};
use crate::support::{Desk, DeskPlan};

const NOON: &str = "2026-03-19T16:00:00Z";
const TWO_DESKS: &str =
    "[[subscription]]\nemail = \"first@example.com\"\n[[subscription]]\nemail = \"second@example.com\"\n";

/// A desk with a relay and one alert waiting for each subscriber.
async fn desk_with_alert(relay: &FakeSmtp, subscriptions: &'static str) -> Desk {
    let plan = DeskPlan { smtp_port: Some(relay.port()), subscriptions, ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    desk.edgar.change(|archive| TestFiling::determination(1, "2026-03-19T16:00:05Z").publish(archive));
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
    desk
}

const ONE_DESK: &str = "[[subscription]]\nemail = \"desk@example.com\"\n";

#[tokio::test]
async fn the_mail_is_what_the_contract_says() {
    let relay = FakeSmtp::start().await;
    let desk = desk_with_alert(&relay, ONE_DESK).await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a delivery").n_sent, 1);
    let taken = relay.taken();
    assert_eq!((taken[0].from.as_str(), taken[0].to.as_str()), ("edgar-watch@example.com", "desk@example.com"));
    let mail = MessageParser::default().parse(&taken[0].bytes).expect("a mail");
    let header = |name: &str| mail.header_raw(name).unwrap_or_default().trim().to_owned();
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!(header("List-Id"), "EDGAR Watch alerts <edgar-watch.example.com>");
    assert_eq!(header("X-EDGAR-Accession"), "0009992000-26-000001");
    assert_eq!(header("X-EDGAR-CIK"), "0009991001");
    assert_eq!(header("X-EDGAR-Form"), "8-K");
    assert_eq!(header("X-EDGAR-Event"), "staff_determination");
    assert_eq!(header("Date"), "Thu, 19 Mar 2026 16:00:10 +0000");
    assert!(header("Message-ID").starts_with("<0009992000-26-000001."));
    let (text, html) = (mail.body_text(0).expect("a text part"), mail.body_html(0).expect("an HTML part"));
    for part in ["Rule", "5250(c)(1)", "17 Mar 2026", "GANTRY MICRO, INC.", "31 Dec 2025"] {
        assert!(text.contains(part) && html.contains(part), "{part} is in both parts");
    }
    assert!(!html.contains("<img") && !html.contains("http-equiv"), "nothing remote");
    let calendar = mail.attachment(0).and_then(|part| part.text_contents()).expect("the dates");
    for line in
        ["METHOD:PUBLISH", "SEQUENCE:0", "BEGIN:VALARM", "UID:0009992000-26-000001.0.", "DTSTART;VALUE=DATE:2026"]
    {
        assert!(calendar.contains(line), "{line} in\n{calendar}");
    }
    assert_eq!(header("In-Reply-To"), "<0009991001.issuer@alerts.edgar-watch>");
    assert_eq!(header("References"), header("In-Reply-To"));
    let kept = desk.watcher.store.message(1).await.expect("the message").expect("the message");
    assert_eq!((kept.0.state, kept.1), (MessageState::Sent, None), "its bytes are dropped");
    assert_eq!(kept.0.last_reply.as_deref(), Some("250 2.0.0 queued as 1"));
}

#[tokio::test]
async fn a_temporary_refusal_waits_and_is_sent_with_the_same_bytes() {
    for step in [Step::Mail, Step::Rcpt, Step::Data, Step::Dot] {
        let n = AtomicUsize::new(0);
        let relay = FakeSmtp::scripted(move |at, _| {
            if at == step && n.fetch_add(1, Ordering::SeqCst) == 0 { Act::Say("451 4.7.1 try later") } else { Act::Go }
        })
        .await;
        let desk = desk_with_alert(&relay, ONE_DESK).await;
        assert_eq!(desk.watcher.deliver(None).await.expect("a delivery").n_postponed, 1, "{step:?}");
        assert_eq!(desk.watcher.deliver(None).await.expect("not due").n_sent, 0);
        let (waiting, frozen) = desk.watcher.store.message(1).await.expect("the message").expect("the message");
        assert_eq!(waiting.last_reply.as_deref(), Some("relay answered 451 \"4.7.1 try later\""));
        desk.clock.advance(Duration::from_secs(60));
        assert_eq!(desk.watcher.deliver(None).await.expect("a delivery").n_sent, 1);
        // lettre ends every mail with one line end more.
        let frozen = frozen.expect("its bytes");
        assert!(relay.taken()[0].bytes.starts_with(&frozen), "what was frozen before the first attempt");
        assert!(relay.taken()[0].bytes.len() <= frozen.len() + 2);
    }
}

#[tokio::test]
async fn a_final_refusal_is_set_aside_and_costs_no_other() {
    let relay = FakeSmtp::scripted(|step, line| {
        if step == Step::Rcpt && line.contains("first@") { Act::Say("550 5.1.1 no such user") } else { Act::Go }
    })
    .await;
    let desk = desk_with_alert(&relay, TWO_DESKS).await;
    let summary = desk.watcher.deliver(None).await.expect("a delivery");
    assert_eq!((summary.n_set_aside, summary.n_sent), (1, 2), "the other recipient, and the owner is told");
    desk.clock.advance(Duration::from_secs(86_400));
    desk.watcher.deliver(None).await.expect("nothing but the word to the owner is due");
    let to: Vec<String> = relay.taken().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, ["second@example.com", "ops@example.com"], "a final refusal is not tried again, the owner is told");
    let aside = desk.watcher.store.open_messages().await.expect("the outbox");
    assert_eq!(aside[0].last_reply.as_deref(), Some("relay answered 550 \"5.1.1 no such user\""));

    assert!(
        desk.watcher
            .store
            .retry_message(aside[0].id, &set_aside_fact(aside[0].id), edgar_watch::clock::Clock::now(&desk.clock))
            .await
            .expect("a retry")
    );
    let again = desk.watcher.deliver(None).await.expect("a delivery");
    assert_eq!((again.n_set_aside, again.n_sent), (1, 1), "refused once more, and the owner is told once more");
    assert!(
        desk.watcher
            .store
            .drop_message(aside[0].id, edgar_watch::clock::Clock::now(&desk.clock))
            .await
            .expect("a drop")
    );
    assert_eq!(desk.watcher.store.open_messages().await.expect("the outbox").len(), 0);
}

#[tokio::test]
async fn a_reply_lost_after_the_final_dot_is_repeated_with_the_same_bytes() {
    let n = AtomicUsize::new(0);
    let relay = FakeSmtp::scripted(move |step, _| {
        if step == Step::Dot && n.fetch_add(1, Ordering::SeqCst) == 0 { Act::Close } else { Act::Go }
    })
    .await;
    let mut desk = desk_with_alert(&relay, ONE_DESK).await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a delivery").n_postponed, 1);
    desk.clock.advance(Duration::from_secs(60));
    desk.restart().await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a delivery").n_sent, 1);
    let seen = relay.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].bytes == seen[1].bytes, "the same bytes, so the same Message-ID");
}

#[tokio::test]
async fn a_dead_relay_is_asked_once_a_pass_and_the_mail_waits() {
    let relay =
        FakeSmtp::scripted(|step, _| if step == Step::Greeting { Act::Say("554 no service") } else { Act::Go }).await;
    let desk = desk_with_alert(&relay, TWO_DESKS).await;
    let summary = desk.watcher.deliver(None).await.expect("a pass");
    let expected = format!("relay 127.0.0.1:{} (in the clear) answered 554 \"no service\"", relay.port());
    assert_eq!((summary.n_postponed, summary.unreachable.as_deref()), (2, Some(expected.as_str())));
    assert_eq!(relay.n_connections(), 1);
    desk.clock.advance(Duration::from_secs(120));
    let error = desk.watcher.cycle(None).await.expect_err("the relay is out of reach");
    assert!(matches!(error, PassError::Outage(_)));
}

#[tokio::test]
async fn mail_too_old_is_set_aside_with_the_last_words() {
    let relay = FakeSmtp::scripted(|step, _| if step == Step::Rcpt { Act::Say("450 busy") } else { Act::Go }).await;
    let desk = desk_with_alert(&relay, ONE_DESK).await;
    desk.watcher.deliver(None).await.expect("a pass");
    desk.clock.advance(Duration::from_secs(6 * 86_400));
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_set_aside, 1);
    let aside = desk.watcher.store.open_messages().await.expect("the outbox");
    assert_eq!(aside[0].last_reply.as_deref(), Some("relay answered 450 \"busy\" (given up after 2 attempts)"));
}

#[tokio::test]
async fn one_connection_serves_a_pass() {
    let relay = FakeSmtp::start().await;
    let desk = desk_with_alert(&relay, TWO_DESKS).await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a delivery").n_sent, 2);
    assert_eq!(relay.n_connections(), 1);
}

#[tokio::test]
async fn a_recipient_whom_the_relay_is_slow_with_holds_up_nobody_else() {
    let relay = FakeSmtp::scripted(|step, line| match step {
        Step::Rcpt if line.contains("second@") => Act::GoAfterMailTo("third@example.com"),
        _ => Act::Go,
    })
    .await;
    let three = "[[subscription]]\nemail = \"first@example.com\"\n[[subscription]]\nemail = \"second@example.com\"\n\
                 [[subscription]]\nemail = \"third@example.com\"\n";
    let desk = desk_with_alert(&relay, three).await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a delivery").n_sent, 3);
    let order: Vec<String> = relay.taken().into_iter().map(|mail| mail.to).collect();
    assert_eq!(order, ["first@example.com", "third@example.com", "second@example.com"]);
}

#[tokio::test]
async fn one_address_with_two_subscriptions_gets_one_mail_that_names_both() {
    let relay = FakeSmtp::start().await;
    let twice = "[[subscription]]\nemail = \"desk@example.com\"\n[[subscription]]\nemail = \"desk@example.com\"\nkinds = [\"staff_determination\"]\n";
    let desk = desk_with_alert(&relay, twice).await;
    desk.watcher.deliver(None).await.expect("a delivery");
    let taken = relay.taken();
    assert_eq!(taken.len(), 1);
    let mail = MessageParser::default().parse(&taken[0].bytes).expect("a mail");
    let text = mail.body_text(0).expect("a text part").into_owned();
    assert!(text.contains("because of your subscriptions: config:1 (") && text.contains("config:2 ("), "{text}");
}

fn in_the_clear(relay: &FakeSmtp) -> SmtpSettings {
    SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: relay.port(),
        tls: SmtpTls::None,
        ca_file: None,
        login: None,
        connections: 4,
    }
}

async fn send_to(transport: &mut SmtpTransport, to: &str) -> Result<String, DeliveryError> {
    let envelope = Envelope { from: "a@example.com", to, message_id: "x@y", hand_over: &HandOver::default() };
    transport.send(envelope, b"Subject: x\r\n\r\nx\r\n").await
}

#[tokio::test]
async fn a_relay_that_offers_it_gets_the_commands_of_further_mails_in_one_piece() {
    let relay = FakeSmtp::start().await;
    relay.offer_pipelining();
    let mut transport = SmtpTransport::new(&in_the_clear(&relay), SmtpTimeouts::default()).expect("a transport");
    for n in 0..3 {
        send_to(&mut transport, &format!("reader{n}@example.com")).await.expect("it is taken");
    }
    let to: Vec<String> = relay.taken().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, ["reader0@example.com", "reader1@example.com", "reader2@example.com"]);
    assert_eq!((relay.n_pipelined(), relay.n_connections()), (2, 1), "the first is sent before it is known");

    let plain = FakeSmtp::start().await;
    let mut transport = SmtpTransport::new(&in_the_clear(&plain), SmtpTimeouts::default()).expect("a transport");
    for n in 0..3 {
        send_to(&mut transport, &format!("reader{n}@example.com")).await.expect("it is taken");
    }
    assert_eq!((plain.taken().len(), plain.n_pipelined()), (3, 0), "nothing is sent ahead unless it is offered");
}

#[tokio::test]
async fn a_relay_that_has_had_enough_of_a_connection_is_connected_to_anew() {
    for has_pipelining in [false, true] {
        let n = AtomicUsize::new(0);
        let relay = FakeSmtp::scripted(move |step, _| {
            if step == Step::Mail && n.fetch_add(1, Ordering::SeqCst) == 1 {
                Act::Say("421 4.7.0 too many messages in this connection")
            } else {
                Act::Go
            }
        })
        .await;
        if has_pipelining {
            relay.offer_pipelining();
        }
        let mut transport = SmtpTransport::new(&in_the_clear(&relay), SmtpTimeouts::default()).expect("a transport");
        for n in 0..2 {
            send_to(&mut transport, &format!("reader{n}@example.com")).await.expect("it is taken");
        }
        assert_eq!((relay.taken().len(), relay.n_connections()), (2, 2));
    }
    // On a new connection it speaks of the relay, and is waited for.
    let relay =
        FakeSmtp::scripted(|step, _| if step == Step::Mail { Act::Say("421 4.3.2 later") } else { Act::Go }).await;
    let mut transport = SmtpTransport::new(&in_the_clear(&relay), SmtpTimeouts::default()).expect("a transport");
    let error = send_to(&mut transport, "reader@example.com").await.expect_err("it is not taken");
    assert!(matches!(error, DeliveryError::Transient(_)), "{error:?}");
}

#[tokio::test]
async fn a_mail_that_was_taken_while_the_store_was_held_is_not_sent_again() {
    if !crate::support::store::is_file() {
        return;
    }
    let relay = FakeSmtp::scripted(|step, _| if step == Step::Dot { Act::GoWhenTold } else { Act::Go }).await;
    let desk = desk_with_alert(&relay, ONE_DESK).await;
    let url = format!("sqlite://{}?mode=rw", desk.settings.store);
    let mut other = sqlx::AnyConnection::connect(&url).await.expect("a connection");
    let hold = async {
        relay.until_seen(1).await;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
        relay.tell();
    };
    let (delivered, ()) = tokio::join!(desk.watcher.deliver(None), hold);
    let error = delivered.expect_err("SQLite waits for ten seconds before it says so");
    assert!(error.to_string().contains("database is locked"), "{error}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("the lock is let go");
    desk.clock.advance(Duration::from_secs(3600));
    assert_eq!(desk.watcher.deliver(None).await.expect("a delivery").n_sent, 0);
    assert_eq!(relay.seen().len(), 1, "it is known to be taken");
    let (kept, _) = desk.watcher.store.message(1).await.expect("the message").expect("the message");
    assert_eq!((kept.state, kept.last_reply.as_deref()), (MessageState::Sent, Some("250 2.0.0 queued as 1")));
}

/// RFC 2920 lets a relay answer DATA with 354 though it refused the one recipient.
#[tokio::test]
async fn what_is_refused_in_one_piece_leaves_no_mail_behind_and_costs_no_other() {
    for (step, answer_to_data) in [
        (Step::Mail, "354 go ahead"),
        (Step::Rcpt, "354 go ahead"),
        (Step::Mail, "503 5.5.1 no mail"),
        (Step::Rcpt, "554 5.5.1 no valid recipients"),
    ] {
        let is_refused = Arc::new(AtomicBool::new(false));
        let relay = FakeSmtp::scripted(move |at, line| {
            let is_other = at == step && line.contains("other");
            if is_other {
                is_refused.store(true, Ordering::SeqCst);
            }
            match at {
                _ if is_other => Act::Say("550 5.1.1 no such user"),
                Step::Data if is_refused.swap(false, Ordering::SeqCst) => Act::Say(answer_to_data),
                _ => Act::Go,
            }
        })
        .await;
        relay.offer_pipelining();
        let mut transport = SmtpTransport::new(&in_the_clear(&relay), SmtpTimeouts::default()).expect("a transport");
        send_to(&mut transport, "reader@example.com").await.expect("it is taken");
        let from = if step == Step::Mail { "other@example.com" } else { "a@example.com" };
        let envelope = Envelope { from, to: "other@example.com", message_id: "x@y", hand_over: &HandOver::default() };
        let error = transport.send(envelope, b"Subject: y\r\n\r\ny\r\n").await.expect_err("it is refused");
        assert_eq!(error.to_string(), "relay answered 550 \"5.1.1 no such user\"");
        assert_eq!(matches!(error, DeliveryError::BadAddress(_)), step == Step::Rcpt, "{step:?}: {error:?}");
        send_to(&mut transport, "second@example.com").await.expect("it is taken");
        let to: Vec<String> = relay.seen().into_iter().map(|mail| mail.to).collect();
        assert_eq!(to, ["reader@example.com", "second@example.com"], "{step:?}, {answer_to_data}");
        assert_eq!((relay.n_pipelined(), relay.n_connections()), (1, 2));
    }
}

/// A relay that hangs costs its step's time limit, not the process.
#[tokio::test]
async fn a_relay_that_hangs_is_given_up_at_each_step() {
    for (step, had_mail) in [
        (Step::Greeting, false),
        (Step::Ehlo, false),
        (Step::Mail, false),
        (Step::Rcpt, true),
        (Step::Data, true),
        (Step::Dot, true),
    ] {
        let relay = FakeSmtp::scripted(move |at, _| if at == step { Act::Hang } else { Act::Go }).await;
        let limit = Duration::from_millis(200);
        let timeouts = SmtpTimeouts { connect: limit, command: limit, data_start: limit, data: limit };
        let mut transport = SmtpTransport::new(&in_the_clear(&relay), timeouts).expect("a transport");
        let error = send_to(&mut transport, "b@example.com").await.expect_err("no answer");
        assert_eq!(matches!(error, DeliveryError::NoAnswer(_)), had_mail, "{step:?}: {error:?}");
        assert!(error.to_string().ends_with("no answer in 0.2 s"), "{error}");
    }
}

#[tokio::test]
async fn starttls_is_required_and_never_opportunistic() {
    let relay = FakeSmtp::start().await;
    let settings = SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: relay.port(),
        tls: SmtpTls::Starttls,
        ca_file: None,
        login: None,
        connections: 4,
    };
    let mut transport = SmtpTransport::new(&settings, SmtpTimeouts::default()).expect("a transport");
    let envelope =
        Envelope { from: "a@example.com", to: "b@example.com", message_id: "x@y", hand_over: &HandOver::default() };
    let error = transport.send(envelope, b"Subject: x\r\n\r\nx\r\n").await.expect_err("no STARTTLS there");
    assert_eq!(
        error,
        DeliveryError::Unreachable(format!(
            "relay 127.0.0.1:{} (STARTTLS): STARTTLS is not supported on this server",
            relay.port()
        ))
    );
    assert_eq!(relay.seen().len(), 0);
}

const EIGHT_DESKS: &str = "[[subscription]]\nemail = \"a@example.com\"\n\
     [[subscription]]\nemail = \"b@example.com\"\n\
     [[subscription]]\nemail = \"c@example.com\"\n\
     [[subscription]]\nemail = \"d@example.com\"\n\
     [[subscription]]\nemail = \"e@example.com\"\n\
     [[subscription]]\nemail = \"f@example.com\"\n\
     [[subscription]]\nemail = \"g@example.com\"\n\
     [[subscription]]\nemail = \"h@example.com\"\n";

/// A desk of eight and a relay that takes the first mail, which goes alone, and then says nothing until it is told.
async fn desk_with_slow_relay() -> (FakeSmtp, Desk) {
    let n_mails = AtomicUsize::new(0);
    let relay = FakeSmtp::scripted(move |step, _| {
        let is_later = step == Step::Dot && n_mails.fetch_add(1, Ordering::SeqCst) > 0;
        if is_later { Act::GoWhenTold } else { Act::Go }
    })
    .await;
    let desk = desk_with_alert(&relay, EIGHT_DESKS).await;
    (relay, desk)
}

#[tokio::test]
async fn what_was_made_ready_and_did_not_leave_before_a_stop_is_due_at_once() {
    let (relay, desk) = desk_with_slow_relay().await;
    let stop = async {
        // One was taken, each of four connections has one, and three are ready.
        relay.until_seen(5).await;
        desk.watcher.stop();
        relay.tell();
    };
    let (delivered, ()) = tokio::join!(desk.watcher.deliver(None), stop);
    assert_eq!(delivered.expect("a delivery").n_sent, 5);
    let left = desk.watcher.store.open_messages().await.expect("the outbox");
    assert_eq!(left.len(), 3);
    for message in left {
        assert_eq!((message.attempts, message.state), (0, MessageState::Waiting));
        assert!(message.next_try_at <= desk.watcher.clock.now());
    }
}

#[tokio::test]
async fn what_is_dropped_while_it_waits_for_a_slow_relay_is_not_sent() {
    let (relay, desk) = desk_with_slow_relay().await;
    let drop_one = async {
        relay.until_seen(5).await;
        let seen: Vec<String> = relay.seen().into_iter().map(|mail| mail.to).collect();
        let open = desk.watcher.store.open_messages().await.expect("the outbox");
        let ready = open.iter().find(|message| !seen.contains(&message.recipient)).expect("one that is ready");
        assert!(desk.watcher.store.drop_message(ready.id, desk.watcher.clock.now()).await.expect("dropped"));
        desk.clock.advance(Duration::from_secs(2));
        relay.tell();
    };
    let (delivered, ()) = tokio::join!(desk.watcher.deliver(None), drop_one);
    assert_eq!(delivered.expect("a delivery").n_sent, 7);
    assert_eq!(relay.taken().len(), 7);
}
