//! More than one way out: webhooks, relays for some domains, and one of them dead.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::DateTime;
use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::Archive;
use edgar_watch::store::MessageState;
use edgar_watch::webhook::signature;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::filings::TestFiling;
use crate::support::smtp::{Act, FakeSmtp};
use crate::support::{Desk, DeskPlan};

const NOON: &str = "2026-03-19T16:00:00Z";
/// As the specification writes a key of 24 bytes.
const SECRET: &str = "whsec_hBTGSP+rrqLv5gVN0e3WgW+Qm6Mj4kN0";

/// What was posted.
type Posted = Arc<Mutex<Vec<(HeaderMap, Vec<u8>)>>>;

/// A server that keeps what is posted and answers with the next of some codes, the last of them for good.
async fn listen(codes: &'static [u16]) -> (u16, Posted) {
    let posted = Posted::default();
    let kept = posted.clone();
    let answer = move |headers: HeaderMap, body: Bytes| {
        let mut kept = kept.lock().expect("nobody panics with it");
        let code = codes[kept.len().min(codes.len() - 1)];
        kept.push((headers, body.to_vec()));
        let code = StatusCode::from_u16(code).expect("a code");
        async move { (code, "noted") }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let router = Router::new().route("/hook/secret-path", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, posted)
}

async fn open(subscriptions: String, smtp_port: Option<u16>) -> Desk {
    let plan = DeskPlan { subscriptions: subscriptions.leak(), smtp_port, ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    desk
}

async fn take_letter(desk: &Desk) {
    let at = "2026-03-19T16:05:00Z";
    desk.clock.set(at);
    desk.edgar.change(|archive| TestFiling::determination(1, at).publish(archive));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
}

fn webhook(port: u16, keys: &str) -> String {
    format!(
        "[[webhook]]\nname = \"bridge\"\nurl = \"http://127.0.0.1:{port}/hook/secret-path\"\nallow_private = true\n{keys}"
    )
}

#[tokio::test]
async fn a_webhook_gets_the_alert_signed_and_the_same_again_after_a_failure() {
    let (port, posted) = listen(&[503, 200]).await;
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), format!("{SECRET}\n")).expect("a file");
    let keys = format!("secret_file = \"{}\"\n", secret.path().display());
    let desk = open(webhook(port, &keys), None).await;
    take_letter(&desk).await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_postponed, 1);
    desk.clock.advance(Duration::from_secs(60));
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 1);
    let posted = posted.lock().expect("nobody panics with it").clone();
    assert_eq!(posted.len(), 2);
    let header = |n: usize, name: &str| posted[n].0.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(posted[0].1, posted[1].1, "the same bytes");
    assert_eq!(header(0, "idempotency-key"), header(1, "idempotency-key"));
    let id = header(1, "webhook-id");
    assert_eq!(id, header(1, "idempotency-key"));
    let at =
        header(1, "webhook-timestamp").parse().ok().and_then(|at| DateTime::from_timestamp(at, 0)).expect("a time");
    let key = data_encoding::BASE64.decode(&SECRET.as_bytes()[6..]).expect("base64");
    assert_eq!(header(1, "webhook-signature"), signature(&key, id, at, &posted[1].1));
    let body: Value = serde_json::from_slice(&posted[1].1).expect("JSON");
    assert_eq!((&body["schema"], &body["events"][0]["kind"]), (&1.into(), &"staff_determination".into()));
    assert_eq!(body["accession"], "0009992000-26-000001");
    let (row, _) = desk.watcher.store.message(1).await.expect("the store").expect("the message");
    assert_eq!((row.recipient.as_str(), row.last_reply.as_deref()), ("webhook:bridge", Some("200 noted")));
    let alert = desk.watcher.store.notices_of("0009992000-26-000001").await.expect("notices");
    assert_eq!(alert[0].channel, "webhook");
}

#[tokio::test]
async fn slack_and_discord_get_a_line() {
    for (format, key) in [("slack", "text"), ("discord", "content")] {
        let (port, posted) = listen(&[200]).await;
        let desk = open(webhook(port, &format!("format = \"{format}\"\n")), None).await;
        take_letter(&desk).await;
        desk.watcher.deliver(None).await.expect("a pass");
        let posted = posted.lock().expect("nobody panics with it");
        let body: Value = serde_json::from_slice(&posted[0].1).expect("JSON");
        assert!(
            body[key].as_str().is_some_and(|line| line.contains("staff determination") && line.contains("http")),
            "{body}"
        );
        assert!(posted[0].0.get("webhook-signature").is_none(), "nothing to sign with");
    }
}

#[tokio::test]
async fn a_webhook_in_a_private_network_is_not_asked_unless_that_is_allowed() {
    let (port, posted) = listen(&[200]).await;
    // A name that leads to this machine.
    let hook = format!("[[webhook]]\nname = \"bridge\"\nurl = \"https://localhost:{port}/hook/secret-path\"\n");
    let desk = open(hook, None).await;
    take_letter(&desk).await;
    let done = desk.watcher.deliver(None).await.expect("a pass");
    assert_eq!((done.n_set_aside, done.n_sent), (1, 1), "the owner is told");
    let (row, _) = desk.watcher.store.message(1).await.expect("the store").expect("the message");
    assert_eq!(row.state, MessageState::SetAside);
    assert!(row.last_reply.is_some_and(|words| words.contains("private network")));
    assert_eq!(posted.lock().expect("nobody panics with it").len(), 0);
}

#[tokio::test]
async fn a_webhook_that_says_no_or_leads_elsewhere_is_set_aside() {
    for code in [&[404][..], &[410], &[302]] {
        let (port, posted) = listen(code).await;
        let desk = open(webhook(port, ""), None).await;
        take_letter(&desk).await;
        assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_set_aside, 1, "{code:?}");
        assert_eq!(posted.lock().expect("nobody panics with it").len(), 1, "{code:?}");
    }
}

const READERS: &str = "[[subscription]]\nemail = \"a@slow.example\"\n[[subscription]]\nemail = \"b@mail.slow.example\"\n\
                       [[subscription]]\nemail = \"c@example.com\"\n[[subscription]]\nemail = \"d@example.com\"\n";

#[tokio::test]
async fn mail_takes_the_relay_of_its_domain() {
    let (usual, other) = (FakeSmtp::start().await, FakeSmtp::start().await);
    let route = format!(
        "[[mail.route]]\ndomains = [\"slow.example\", \".slow.example\"]\nhost = \"127.0.0.1\"\nport = {}\n{READERS}",
        other.port()
    );
    let desk = open(route, Some(usual.port())).await;
    take_letter(&desk).await;
    assert_eq!(desk.watcher.deliver(None).await.expect("a pass").n_sent, 4);
    let to = |relay: &FakeSmtp| {
        let mut to: Vec<String> = relay.taken().into_iter().map(|mail| mail.to).collect();
        to.sort();
        to
    };
    assert_eq!(to(&usual), ["c@example.com", "d@example.com"]);
    assert_eq!(to(&other), ["a@slow.example", "b@mail.slow.example"]);
}

#[tokio::test]
async fn a_relay_that_is_dead_or_silent_holds_up_nobody_elses_mail() {
    let silent = FakeSmtp::scripted(|_, _| Act::Hang).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed_port = closed.local_addr().expect("an address").port();
    drop(closed);
    for port in [closed_port, silent.port()] {
        let usual = FakeSmtp::start().await;
        // The dead one's mails come first.
        let route = format!(
            "[[mail.route]]\ndomains = [\"slow.example\", \".slow.example\"]\nhost = \"127.0.0.1\"\nport = {port}\n{READERS}"
        );
        let desk = open(route, Some(usual.port())).await;
        take_letter(&desk).await;
        // The silent one is waited for five minutes; the others' mail is out long before.
        let both_out = async {
            while usual.taken().len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            done = desk.watcher.deliver(None) => {
                let done = done.expect("a pass");
                assert_eq!((port, done.n_sent, done.n_postponed), (closed_port, 2, 2));
            }
            () = both_out => {}
        }
        assert_eq!(usual.taken().len(), 2, "port {port}");
        assert!(desk.clock.now() < crate::support::instant("2026-03-19T16:06:00Z"));
    }
}
