//! Mail that comes back, and the command line over subscriptions: the real binary.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::Archive;
use edgar_watch::store::{Store, Which};
use serde_json::Value;

use crate::support::filings::TestFiling;
use crate::support::smtp::{Act, FakeSmtp, Step};
use crate::support::{Desk, DeskPlan, edgar_watch, text};

const NOON: &str = "2026-03-19T16:00:00Z";
const KEYS: &str = "inbound = \"edgar-watch@example.com\"\n";

/// A desk with one letter told to its subscriber over a relay that takes it, its configuration beside its store.
async fn desk_that_told(relay: &FakeSmtp) -> Desk {
    let plan = || DeskPlan { smtp_port: Some(relay.port()), mail_keys: KEYS, ..DeskPlan::default() };
    let desk = plan().open(Archive::default(), NOON).await;
    std::fs::write(desk.folder.path().join("desk.toml"), desk.text(&plan())).expect("a file");
    desk.watcher.poll(None).await.expect("the baseline");
    tell(&desk, 1, "2026-03-19T16:05:00Z").await;
    desk
}

async fn tell(desk: &Desk, number: u32, accepted_at: &str) {
    desk.clock.set(accepted_at);
    desk.edgar.change(|archive| TestFiling::determination(number, accepted_at).publish(archive));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
    desk.watcher.deliver(None).await.expect("a delivery");
}

/// The binary with a mail on its standard input.
async fn inbound(folder: &Path, mail: &str) -> Output {
    let (folder, mail) = (folder.to_owned(), mail.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
            .args(["--config", "desk.toml", "inbound"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        child.stdin.take().expect("its input").write_all(mail.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    })
    .await
    .expect("a thread")
}

async fn run(folder: &Path, args: &'static [&'static str]) -> Output {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || edgar_watch(&folder, args)).await.expect("the binary runs")
}

/// A notification (RFC 3464) to the sender of a mail.
fn notification(to: &str, action: &str, status: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example.net\nTo: {to}\nSubject: Undelivered Mail Returned to Sender\n\
         Auto-Submitted: auto-replied\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"xx\"\n\n\
         --xx\nContent-Type: text/plain\n\nIt could not be delivered.\n\n\
         --xx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n\
         Final-Recipient: rfc822; desk@example.com\nAction: {action}\nStatus: {status}\n\
         Diagnostic-Code: smtp; 550 {status} no such user\n\n\
         --xx\nContent-Type: text/rfc822-headers\n\nSubject: the mail\n\n--xx--\n"
    )
}

async fn silenced(store: &Store) -> Option<String> {
    let rows = store.subscriptions(Which::Address("desk@example.com")).await.expect("subscriptions");
    rows[0].silenced.as_ref().map(|(silence, _, _)| silence.as_str().to_owned())
}

#[tokio::test]
async fn a_hard_bounce_to_the_signed_sender_stops_the_mail() {
    let relay = FakeSmtp::start().await;
    let desk = desk_that_told(&relay).await;
    let folder = desk.folder.path();
    let sender = relay.taken()[0].from.clone();
    assert!(sender.starts_with("edgar-watch+b") && sender.ends_with("@example.com"), "{sender}");

    let forged = sender.replace("+b1.", "+b2.");
    let done = inbound(folder, &notification(&forged, "failed", "5.1.1")).await;
    assert_eq!(text(&done.stdout), "nothing done: its token is not valid\n");
    let done = inbound(folder, &notification(&sender, "delayed", "4.4.1")).await;
    assert!(text(&done.stdout).starts_with("nothing done: delayed"), "{}", text(&done.stdout));
    let done = inbound(folder, &notification("edgar-watch@example.com", "failed", "5.1.1")).await;
    assert!(text(&done.stdout).starts_with("nothing done: neither"), "unsigned");
    assert_eq!(silenced(&desk.watcher.store).await, None);

    let done = inbound(folder, &notification(&sender.to_uppercase(), "failed", "5.1.1")).await;
    assert_eq!(text(&done.stdout), "no more mail to that address: failed 5.1.1 550 5.1.1 no such user\n");
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(silenced(&desk.watcher.store).await.as_deref(), Some("bounced"));
    let status = run(folder, &["--config", "desk.toml", "status"]).await;
    assert!(text(&status.stdout).contains("BOUNCED        desk@example.com since "), "{}", text(&status.stdout));

    tell(&desk, 2, "2026-03-19T16:15:00Z").await;
    assert_eq!(relay.taken().len(), 1);
    let resumed = run(folder, &["--config", "desk.toml", "subscriptions", "resume", "desk@example.com"]).await;
    assert_eq!(text(&resumed.stdout), "subscription config:1: resumed\n");
    tell(&desk, 3, "2026-03-19T16:25:00Z").await;
    assert_eq!(relay.taken().len(), 2);
}

#[tokio::test]
async fn soft_bounces_count_less_as_they_grow_old() {
    let relay = FakeSmtp::start().await;
    let desk = desk_that_told(&relay).await;
    let store = &desk.watcher.store;
    for n in 2..=6 {
        tell(&desk, n, &format!("2026-03-19T16:{:02}:00Z", n * 5)).await;
    }
    let now = desk.clock.now();
    let day = chrono::TimeDelta::days(1);
    // One a fortnight never adds up to five.
    for n in 1..=4 {
        assert_eq!(store.record_bounce(n, false, "full", now - day * 14 * 2).await.expect("noted"), Some(false));
    }
    assert_eq!(store.record_bounce(5, false, "full", now).await.expect("noted"), Some(false), "4 old ones and 1");
    for n in 1..=4 {
        // The same message again does not count again.
        assert_eq!(store.record_bounce(n, false, "full", now).await.expect("noted"), Some(false));
    }
    assert_eq!(silenced(store).await, None);
    assert_eq!(store.record_bounce(99, true, "?", now).await.expect("noted"), None, "no such message");
}

#[tokio::test]
async fn a_refusal_at_rcpt_counts_at_once() {
    let relay =
        FakeSmtp::scripted(|step, _| if step == Step::Rcpt { Act::Say("550 5.1.1 no such user") } else { Act::Go })
            .await;
    let desk = desk_that_told(&relay).await;
    assert_eq!(silenced(&desk.watcher.store).await.as_deref(), Some("bounced"));
    let relay =
        FakeSmtp::scripted(
            |step, _| if step == Step::Rcpt { Act::Say("554 5.7.1 relay access denied") } else { Act::Go },
        )
        .await;
    let desk = desk_that_told(&relay).await;
    assert_eq!(silenced(&desk.watcher.store).await, None, "that is about us");
}

#[tokio::test]
async fn a_mail_with_the_token_of_the_header_unsubscribes() {
    let relay = FakeSmtp::start().await;
    let desk = desk_that_told(&relay).await;
    let folder = desk.folder.path();
    let sent = String::from_utf8_lossy(&relay.taken()[0].bytes).into_owned();
    let unfolded = sent.replace("\r\n ", " ");
    let header = unfolded.lines().find_map(|line| line.strip_prefix("List-Unsubscribe: ")).expect("the header");
    assert!(!unfolded.contains("List-Unsubscribe-Post"), "one click needs a page");
    let url = header.trim_matches(['<', '>']).strip_prefix("mailto:").expect("a mailto");
    let (to, subject) = url.split_once("?subject=").expect("a subject");
    assert_eq!(to, "edgar-watch@example.com");
    let subject = subject.replace("%20", " ");
    // A reply quotes our links; that is no wish.
    let reply = format!("From: desk@example.com\nTo: {to}\nSubject: Re: a letter\n\n> {subject}\n");
    let done = inbound(folder, &reply).await;
    assert!(text(&done.stdout).starts_with("nothing done"), "{}", text(&done.stdout));
    let done = inbound(folder, &format!("From: desk@example.com\nTo: {to}\nSubject: {subject}\n\n")).await;
    assert_eq!(text(&done.stdout), "unsubscribed\n");
    assert_eq!(silenced(&desk.watcher.store).await.as_deref(), Some("unsubscribed"));
    tell(&desk, 2, "2026-03-19T16:15:00Z").await;
    assert_eq!(relay.taken().len(), 1);
    for garbage in ["", "\0\u{1}\u{2}", "Subject: unsubscribe\n\nplease"] {
        let done = inbound(folder, garbage).await;
        assert_eq!(done.status.code(), Some(0), "a server would send it back");
    }
}

#[tokio::test]
async fn a_maildir_is_read_once() {
    let relay = FakeSmtp::start().await;
    let desk = desk_that_told(&relay).await;
    let maildir = desk.folder.path().join("Maildir");
    for part in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(maildir.join(part)).expect("a folder");
    }
    let mail = notification(&relay.taken()[0].from, "failed", "5.1.1");
    std::fs::write(maildir.join("new/1.example"), mail).expect("a mail");
    let args: &[&str] = &["--config", "desk.toml", "inbound", "--maildir", "Maildir"];
    let done = run(desk.folder.path(), args).await;
    assert!(text(&done.stdout).starts_with("1.example: no more mail"), "{}", text(&done.stdout));
    assert!(maildir.join("cur/1.example:2,S").exists());
    assert_eq!(text(&run(desk.folder.path(), args).await.stdout), "");
}

#[tokio::test]
async fn subscriptions_from_the_command_line() {
    let relay = FakeSmtp::start().await;
    let desk = desk_that_told(&relay).await;
    let folder = desk.folder.path();
    let added = run(
        folder,
        &[
            "--config",
            "desk.toml",
            "subscriptions",
            "add",
            "Reader@Example.net",
            "--issuers",
            "RBBN,9991001",
            "--kinds",
            "delisting",
            "--delivery",
            "weekly",
            "--on",
            "friday",
        ],
    )
    .await;
    assert!(text(&added.stdout).ends_with(": RBBN, 9991001: delisting; weekly digest\n"), "{}", text(&added.stdout));
    let listed = run(folder, &["--config", "desk.toml", "subscriptions", "list", "--json"]).await;
    let rows: Vec<Value> =
        text(&listed.stdout).lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let own = rows.iter().find(|row| row["origin"] == "cli").expect("the new one");
    assert_eq!(
        (&own["address"], &own["state"], &own["terms"]["on"]),
        (&"reader@example.net".into(), &"active".into(), &"friday".into())
    );

    for (args, code) in [
        (&["--config", "desk.toml", "subscriptions", "add", "nobody"][..], 2),
        (&["--config", "desk.toml", "subscriptions", "add", "a@example.com", "--kinds", "flood"], 2),
        (&["--config", "desk.toml", "subscriptions", "add", "a@example.com", "--ask"], 78),
        (&["--config", "desk.toml", "subscriptions", "remove", "nosuch"], 1),
        (&["--config", "desk.toml", "subscriptions", "confirm", "nosuch"], 1),
    ] {
        assert_eq!(run(folder, args).await.status.code(), Some(code), "{args:?}");
    }
    let removed = run(folder, &["--config", "desk.toml", "subscriptions", "remove", "desk@example.com"]).await;
    assert!(text(&removed.stdout).contains("it gets no mail until it is resumed"), "{}", text(&removed.stdout));
    assert_eq!(silenced(&desk.watcher.store).await.as_deref(), Some("unsubscribed"));

    let export: &[&str] = &["--config", "desk.toml", "subscriptions", "export", "desk@example.com"];
    assert_eq!(text(&run(folder, export).await.stdout).lines().count(), 2, "one subscription, one mail");
    let erased = run(folder, &["--config", "desk.toml", "subscriptions", "erase", "desk@example.com"]).await;
    assert_eq!(text(&erased.stdout), "erased\nit still stands in the configuration: take it out there as well\n");
    assert_eq!(text(&run(folder, export).await.stdout), "");
    let again = run(folder, &["--config", "desk.toml", "subscriptions", "add", "desk@example.com"]).await;
    assert_eq!(again.status.code(), Some(1), "nobody may write to it");
    let mut desk = desk;
    desk.restart().await;
    tell(&desk, 2, "2026-03-19T16:15:00Z").await;
    let n_to_desk = relay.taken().iter().filter(|mail| mail.to == "desk@example.com").count();
    assert_eq!(n_to_desk, 1, "also not because the configuration says so");
}
