//! One filing to 10,000 subscribers over a relay on loopback, each mail with its durable commits:
//! `cargo bench --bench fanout`. Prints the rate, the memory, and whether everyone got it once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use edgar_watch::clock::SystemClock;
use edgar_watch::config;
use edgar_watch::demo::edgar::LoopbackEdgar;
use edgar_watch::demo::invented_archive;
use edgar_watch::passes::Watcher;
use edgar_watch::store::Store;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};

const N_SUBSCRIBERS: usize = 10_000;

type Taken = Arc<Mutex<HashMap<String, usize>>>;

/// A relay that takes everything and keeps nothing but who it was for.
async fn serve(stream: TcpStream, taken: Taken) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    let mut line = String::new();
    let mut recipient = String::new();
    let mut answer: &[u8] = b"220 sink\r\n";
    loop {
        stream.write_all(answer).await?;
        stream.flush().await?;
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        answer = match line.get(..4).unwrap_or_default() {
            "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
            "RCPT" => {
                line.trim_end().clone_into(&mut recipient);
                b"250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go\r\n").await?;
                stream.flush().await?;
                let mut body = Vec::new();
                loop {
                    let start = body.len();
                    if stream.read_until(b'\n', &mut body).await? == 0 {
                        return Ok(());
                    }
                    if &body[start..] == b".\r\n" {
                        break;
                    }
                }
                *taken.lock().expect("nobody panics with it").entry(recipient.clone()).or_default() += 1;
                b"250 taken\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return stream.flush().await;
            }
            _ => b"250 ok\r\n",
        };
    }
}

/// A number of /proc/self/status, in MB.
fn memory_mb(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim_start_matches(':').split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

async fn run(connections: usize, dkim_key: Option<&str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let taken = Taken::default();
    let (for_sink, folder) = (taken.clone(), tempfile::tempdir().expect("a folder"));
    // The sink has a thread of its own, as a relay has a machine of its own.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = listener.into_std().expect("a listener");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, for_sink.clone()));
            }
        });
    });
    let edgar = LoopbackEdgar::start(invented_archive()).await.expect("a port");
    let mut text = format!(
        "[edgar]\nuser_agent = \"EDGAR Watch bench@example.com\"\nwww_url = \"{url}\"\ndata_url = \"{url}\"\n\
         max_requests_per_second = 1000\n[watch]\nissuers = [\"0009990107\"]\n[store]\nurl = \"sqlite://state.db\"\n\
         [mail]\nfrom = \"EDGAR Watch <edgar-watch@example.com>\"\nowner = \"ops@example.com\"\n\
         [mail.smtp]\nhost = \"127.0.0.1\"\nport = {port}\nconnections = {connections}\n\
         [http]\npublic_url = \"https://alerts.example.com\"\n",
        url = edgar.url()
    );
    if let Some(key) = dkim_key {
        let _ = write!(text, "[[mail.dkim]]\nselector = \"bench\"\nkey_file = \"{key}\"\n");
    }
    for n in 0..N_SUBSCRIBERS {
        let _ = write!(
            text,
            "[[subscription]]\nemail = \"reader{n}@example.net\"\nkinds = [\"default\", \"deficiency_notice\"]\n"
        );
    }
    let settings = Arc::new(config::parse(&text, "bench", folder.path()).unwrap_or_else(|error| panic!("{error}")));
    let store = Store::open(&settings.store_url).await.expect("a store");
    let watcher = Watcher::new(settings, store.clone(), Arc::new(store), Arc::new(SystemClock)).expect("a watcher");
    let began = Instant::now();
    watcher.take_subscriptions().await.expect("subscriptions");
    let subscribed = began.elapsed();
    watcher.poll(chrono::NaiveDate::from_ymd_opt(2007, 1, 1)).await.expect("a poll");
    let before_mb = memory_mb("VmRSS");
    let began = Instant::now();
    watcher.read(None).await.expect("a reading");
    let read = began.elapsed();
    let began = Instant::now();
    let sent = watcher.deliver(None).await.expect("a delivery").n_sent;
    let delivered = began.elapsed();
    let taken = taken.lock().expect("nobody panics with it");
    let n_once = taken.values().filter(|n| **n == 1).count();
    println!(
        "{connections:>3} connections, {:8}: {sent} mails in {:.2} s, {:.0} a second; {n_once} recipients once, {} more often; \
         subscribed in {:.2} s, read and put in the outbox in {:.2} s; resident {before_mb:.0} -> {:.0} MB, peak {:.0} MB",
        if dkim_key.is_some() { "Ed25519" } else { "unsigned" },
        delivered.as_secs_f64(),
        sent as f64 / delivered.as_secs_f64(),
        taken.len() - n_once,
        subscribed.as_secs_f64(),
        read.as_secs_f64(),
        memory_mb("VmRSS"),
        memory_mb("VmHWM"),
    );
    assert_eq!((sent, n_once, taken.len()), (N_SUBSCRIBERS, N_SUBSCRIBERS, N_SUBSCRIBERS));
}

#[tokio::main]
async fn main() {
    run(4, None).await;
    run(16, None).await;
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key.pem");
    let made =
        std::process::Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&key).status();
    if made.is_ok_and(|made| made.success()) {
        run(4, key.to_str()).await;
    } else {
        println!("not measured with a signature: openssl makes no key here");
    }
}
