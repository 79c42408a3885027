//! One filing to 10,000 subscribers over a relay on loopback, one mail after another on each connection:
//! `cargo bench --bench fanout`. Prints the rate, the memory, and whether everyone got it once; beside it, where Postfix is
//! installed, the rate of its `smtp-source`, which sends as many mails of that size to the same relay out of its memory.

#[path = "common/desk.rs"]
#[allow(dead_code)]
mod desk;
#[path = "common/relay.rs"]
mod relay;

use std::fmt::Write as _;
use std::time::Instant;

use edgar_watch::demo::edgar::LoopbackEdgar;
use edgar_watch::demo::invented_archive;
use relay::Taken;

const N_SUBSCRIBERS: usize = 10_000;
/// What a mail of this bench weighs.
const MAIL_BYTES: usize = 15_000;

async fn run(connections: usize, dkim_key: Option<&str>, has_webhook: bool) {
    let taken = Taken::default();
    let port = relay::start(taken.clone()).await;
    let edgar = LoopbackEdgar::start(invented_archive()).await.expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    // It ends within the relay's table.
    let mut text = desk::Desk { relay: port, ..desk::Desk::new(edgar.url(), 9_990_107) }.configuration();
    let _ = write!(text, "connections = {connections}\n[http]\npublic_url = \"https://alerts.example.com\"\n");
    if let Some(key) = dkim_key {
        let _ = write!(text, "[[mail.dkim]]\nselector = \"bench\"\nkey_file = \"{key}\"\n");
    }
    for n in 0..N_SUBSCRIBERS {
        let _ = write!(
            text,
            "[[subscription]]\nemail = \"reader{n}@example.net\"\nkinds = [\"default\", \"deficiency_notice\"]\n"
        );
    }
    if has_webhook {
        // A way that nothing leaves by: the others should not be the slower for it.
        text.push_str("[[webhook]]\nname = \"quiet\"\nurl = \"https://hooks.example.com/\"\nkinds = [\"delisting\"]\n");
    }
    let watcher = desk::watcher(&text, folder.path()).await;
    let began = Instant::now();
    watcher.take_subscriptions().await.expect("subscriptions");
    let subscribed = began.elapsed();
    watcher.poll(chrono::NaiveDate::from_ymd_opt(2007, 1, 1)).await.expect("a poll");
    let before_mb = desk::memory_mb("self", "VmRSS");
    let began = Instant::now();
    watcher.read(None).await.expect("a reading");
    let read = began.elapsed();
    let began = Instant::now();
    let sent = watcher.deliver(None).await.expect("a delivery").n_sent;
    let delivered = began.elapsed();
    let taken = taken.lock().expect("nobody panics with it");
    let n_once = taken.values().filter(|times| times.len() == 1).count();
    println!(
        "{connections:>3} connections, {:8}: {sent} mails in {:.2} s, {:.0} a second; {n_once} recipients once, {} more often; \
         subscribed in {:.2} s, read and put in the outbox in {:.2} s; resident {before_mb:.0} -> {:.0} MB, peak {:.0} MB",
        match (dkim_key, has_webhook) {
            (Some(_), _) => "Ed25519",
            (None, true) => "a quiet webhook",
            (None, false) => "unsigned",
        },
        delivered.as_secs_f64(),
        sent as f64 / delivered.as_secs_f64(),
        taken.len() - n_once,
        subscribed.as_secs_f64(),
        read.as_secs_f64(),
        desk::memory_mb("self", "VmRSS"),
        desk::memory_mb("self", "VmHWM"),
    );
    assert_eq!((sent, n_once, taken.len()), (N_SUBSCRIBERS, N_SUBSCRIBERS, N_SUBSCRIBERS));
}

/// The rate of Postfix's load generator, which writes no mail, signs none and keeps no outbox.
async fn run_smtp_source(connections: usize) {
    let taken = Taken::default();
    let port = relay::start(taken.clone()).await;
    let [connections, mails, bytes] = [connections, N_SUBSCRIBERS, MAIL_BYTES].map(|n| n.to_string());
    let relay = format!("inet:127.0.0.1:{port}");
    let mut program = tokio::process::Command::new("smtp-source");
    program.args(["-d", "-s", &connections, "-m", &mails, "-l", &bytes, "-t", "reader@example.net", &relay]);
    let began = Instant::now();
    match program.status().await {
        Ok(ended) if ended.success() => {
            let seconds = began.elapsed().as_secs_f64();
            let n_taken = taken.lock().expect("nobody panics with it").values().map(Vec::len).sum::<usize>();
            let rate = n_taken as f64 / seconds;
            println!(
                "{connections:>3} connections, smtp-source: {n_taken} mails in {seconds:.2} s, {rate:.0} a second"
            );
        }
        _ => println!("smtp-source of Postfix is not installed here: not run beside it"),
    }
}

#[tokio::main]
async fn main() {
    run(4, None, false).await;
    run_smtp_source(4).await;
    run(16, None, false).await;
    run_smtp_source(16).await;
    run(4, None, true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key.pem");
    let made =
        std::process::Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&key).status();
    if made.is_ok_and(|made| made.success()) {
        run(4, key.to_str(), false).await;
    } else {
        println!("not measured with a signature: openssl makes no key here");
    }
}
