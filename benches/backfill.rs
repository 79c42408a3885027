//! How busy `backfill` keeps the allowed rate, and how fast it goes without one: `cargo bench --bench backfill`.
//!
//! The release program reads a quarter of filings from a loopback EDGAR: at five and at ten requests a second, 80 ms away, and with
//! the budget lifted, as for a mirror of one's own, answered at once. One filing in twenty is a staff determination, the others
//! name no exchange; each is some 40 KB. Of the time from the first to the last document, the first two seconds are left
//! out: the budget lets a second's worth of requests go at once.
//!
//! With `EDGAR_WATCH_TEST_STORE=postgres://user@host/database` also with the budget lifted and 1, 2 and 4 workers on one store
//! there, and who used the cores of this machine meanwhile.

#[path = "common/desk.rs"]
#[allow(dead_code)]
mod desk;

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use chrono::{Days, NaiveDate};
use edgar_watch::demo::edgar::{Archive, Filed, LoopbackEdgar, respond};
use edgar_watch::demo::{file_determination, invented_tickers};
use edgar_watch::edgar::daily_index::Quarter;
use edgar_watch::edgar::ids::{AccessionNumber, Cik};
use sqlx::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PROGRAM: &str = env!("CARGO_BIN_EXE_edgar-watch");
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2024, 1, 2).expect("a day");
const N_DAYS: u64 = 85;
/// One filing in so many is a determination.
const ONE_IN: usize = 20;
const FILING_BYTES: usize = 40_000;
const FIRST_CIK: usize = 9_000_000;
const BURST: Duration = Duration::from_secs(2);

/// When a filing was filed.
fn day_of(n: usize) -> NaiveDate {
    FIRST_DAY + Days::new(n as u64 % N_DAYS)
}

/// The filings of a quarter: their index, and what stands for each of them.
struct Past {
    archive: Archive,
    determination: String,
    ordinary: String,
}

impl Past {
    fn new(n_filings: usize) -> Self {
        let mut sample = Archive::default();
        let accepted_at = FIRST_DAY.and_hms_opt(21, 5, 12).expect("an instant").and_utc();
        file_determination(&mut sample, 1, accepted_at);
        let submission = sample.files.into_values().next().expect("a submission");
        let mut determination = String::from_utf8(submission).expect("text");
        let marks = [
            ("9990201", "{cik}"),
            ("0009990950-24-000001", "{accession}"),
            ("20240102", "{filed}"),
            ("January 2, 2024", "{day}"),
        ];
        for (value, mark) in marks {
            assert!(determination.contains(value), "{value} in {determination}");
            determination = determination.replace(value, mark);
        }
        let paragraph =
            "<p>The lease of the plant runs for ten years, and the rent rises with the prices of the region.</p>\n";
        let filler = paragraph.repeat((FILING_BYTES - determination.len()) / paragraph.len());
        let determination = determination.replacen("</body>", &format!("{filler}</body>"), 1);
        let ordinary = desk::with_document(&determination, &format!("<html><body>{filler}</body></html>\n"));

        let filed = |n: usize| Filed {
            form: "8-K".to_owned(),
            cik: Cik::from_number((FIRST_CIK + n) as u64).expect("in range"),
            name: format!("ISSUER {n}, INC."),
            accession: AccessionNumber::from_i64(999_095_024_000_000 + n as i64).expect("in range"),
            filing_date: day_of(n),
        };
        let mut archive = Archive { filed: (0..n_filings).map(filed).collect(), ..Archive::default() };
        archive.write_full_index(Quarter::of(FIRST_DAY));
        archive.files.insert("/files/company_tickers.json".to_owned(), invented_tickers().into_bytes());
        Self { archive, determination, ordinary }
    }

    /// An EDGAR that holds them.
    async fn publish(self) -> LoopbackEdgar {
        let edgar = LoopbackEdgar::start(self.archive).await.expect("a port");
        edgar.script(move |asked, _| {
            let file = asked.target.strip_prefix("/Archives/edgar/data/")?;
            let (cik, name) = (file.split('/').next()?, file.rsplit('/').next()?);
            let accession = name.strip_suffix(".txt")?;
            let n = cik.parse::<usize>().ok()? - FIRST_CIK;
            let text = if n.is_multiple_of(ONE_IN) { &self.determination } else { &self.ordinary };
            let (filed, day) = (day_of(n).format("%Y%m%d").to_string(), day_of(n).format("%B %-d, %Y").to_string());
            let text = text.replace("{cik}", cik).replace("{accession}", accession).replace("{filed}", &filed);
            let text = text.replace("{day}", &day);
            Some(respond(StatusCode::OK, "text/plain", text.into_bytes()))
        });
        edgar
    }
}

/// When a document was asked for.
type Asked = Arc<Mutex<Vec<Instant>>>;

/// Stands before a server and hands on each piece of a request after a time. Returns its address.
async fn place_away(server: String, latency: Duration, asked: Asked) -> String {
    let server = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (server, asked) = (server.clone(), asked.clone());
            tokio::spawn(async move {
                let far = TcpStream::connect(server).await?;
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                let (mut from_near, mut to_near) = near.into_split();
                let (mut from_far, mut to_far) = far.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_far, &mut to_near).await });
                let mut piece = vec![0; 16 * 1024];
                loop {
                    let n = from_near.read(&mut piece).await?;
                    if n == 0 {
                        return to_far.shutdown().await;
                    }
                    if piece[..n].starts_with(b"GET /Archives/edgar/data/") {
                        asked.lock().expect("nobody panics with it").push(Instant::now());
                    }
                    if !latency.is_zero() {
                        tokio::time::sleep(latency).await;
                    }
                    to_far.write_all(&piece[..n]).await?;
                }
            });
        }
    });
    format!("http://{address}")
}

/// The table of a store that is new, on a server.
async fn shared_store(server: &str) -> String {
    let name = format!("bench{}", fastrand::u32(..));
    let mut connection = sqlx::PgConnection::connect(server).await.expect("the server");
    let statement = sqlx::AssertSqlSafe(format!("CREATE SCHEMA s{name}"));
    sqlx::raw_sql(statement).execute(&mut connection).await.expect("a schema");
    connection.close().await.expect("closed");
    let joint = if server.contains('?') { '&' } else { '?' };
    format!("[store]\nurl = \"{server}{joint}options=-csearch_path%3Ds{name}\"\nkeys_file = \"keys\"\n")
}

/// Seconds of a core that this machine has worked and has had, so far (proc_stat(5)).
fn cores() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/stat").expect("the kernel's counts");
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    // The fourth and fifth are times of rest.
    (ticks.iter().sum::<f64>() - ticks[3] - ticks[4], ticks.iter().sum())
}

/// Runs so many workers on one store of a server; returns the filings read in a second, and how busy the cores of this machine
/// were: with the workers, the server, and the EDGAR of this bench.
async fn shared_rate(server: &str, n_workers: usize, n_filings: usize, latency: Duration) -> (f64, f64) {
    let edgar = Past::new(n_filings).publish().await;
    let asked = Asked::default();
    let url = place_away(edgar.url(), latency, asked.clone()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let desk = desk::Desk { pace: 100_000, issuers: vec!["*".to_owned()], ..desk::Desk::new(url, 0) };
    let own = shared_store(server).await;
    let configuration = desk.configuration().replace("[store]\nurl = \"sqlite://state.db\"\n", &own);
    std::fs::write(folder.path().join("config.toml"), configuration).expect("a configuration");
    let (from, to) = (FIRST_DAY.to_string(), (FIRST_DAY + Days::new(N_DAYS)).to_string());
    let (worked, had) = cores();
    let workers: Vec<_> = (0..n_workers)
        .map(|_| {
            let mut program = Command::new(PROGRAM);
            program.args(["--config", "config.toml", "backfill", "--from", &from, "--to", &to]);
            program.current_dir(folder.path()).stdin(Stdio::null());
            tokio::task::spawn_blocking(move || program.output().expect("the program"))
        })
        .collect();
    let mut n_read = 0;
    for worker in workers {
        let out = worker.await.expect("a thread");
        let words = String::from_utf8_lossy(&out.stdout).into_owned();
        let count =
            words.split("; ").nth(1).and_then(|part| part.split(' ').next()).and_then(|n| n.parse::<usize>().ok());
        n_read += count.unwrap_or_else(|| panic!("{words}{}", String::from_utf8_lossy(&out.stderr)));
    }
    assert_eq!(n_read, n_filings, "each once");
    let mut asked = std::mem::take(&mut *asked.lock().expect("nobody panics with it"));
    asked.sort_unstable();
    let seconds = (asked[asked.len() - 1] - asked[0]).as_secs_f64();
    let (worked, had) = (cores().0 - worked, cores().1 - had);
    ((asked.len() - 1) as f64 / seconds, worked / had)
}

/// Runs `backfill` over so many filings; returns the documents asked for in a second.
async fn rate(n_filings: usize, pace: u32, latency: Duration, leave_out: Duration) -> f64 {
    let edgar = Past::new(n_filings).publish().await;
    let asked = Asked::default();
    let url = place_away(edgar.url(), latency, asked.clone()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let desk = desk::Desk { pace, issuers: vec!["*".to_owned()], ..desk::Desk::new(url, 0) };
    std::fs::write(folder.path().join("config.toml"), desk.configuration()).expect("a configuration");
    let (from, to) = (FIRST_DAY.to_string(), (FIRST_DAY + Days::new(N_DAYS)).to_string());
    let mut program = Command::new(PROGRAM);
    program.args(["--config", "config.toml", "backfill", "--from", &from, "--to", &to]).current_dir(folder.path());
    let out = tokio::task::spawn_blocking(move || program.stdin(Stdio::null()).output()).await.expect("a thread");
    let out = out.expect("the program");
    let words = String::from_utf8_lossy(&out.stdout);
    let expected = format!("{n_filings} filings read, {} with news, 0 given up, 0 left", n_filings.div_ceil(ONE_IN));
    assert!(words.contains(&expected), "{words}{}", String::from_utf8_lossy(&out.stderr));
    let mut asked = std::mem::take(&mut *asked.lock().expect("nobody panics with it"));
    asked.sort_unstable();
    let first = asked[0] + leave_out;
    asked.retain(|at| *at >= first);
    let seconds = (asked[asked.len() - 1] - asked[0]).as_secs_f64();
    (asked.len() - 1) as f64 / seconds
}

#[tokio::main]
async fn main() {
    for (pace, n_filings) in [(5, 200), (10, 400)] {
        let rate = rate(n_filings, pace, Duration::from_millis(80), BURST).await;
        let share = rate / f64::from(pace) * 100.0;
        println!("{pace} requests a second allowed, 80 ms away: {rate:.2} documents a second, {share:.1} %");
    }
    let rate = rate(10_000, 100_000, Duration::ZERO, Duration::ZERO).await;
    println!("budget lifted, answered at once: {rate:.0} filings a second");
    let Ok(server) = std::env::var("EDGAR_WATCH_TEST_STORE") else {
        println!("skipped: EDGAR_WATCH_TEST_STORE names no PostgreSQL server for several workers");
        return;
    };
    for (latency, n_filings) in [(80, 2_000), (0, 10_000)] {
        for n_workers in [1, 2, 4] {
            let (rate, busy) = shared_rate(&server, n_workers, n_filings, Duration::from_millis(latency)).await;
            let busy = busy * 100.0;
            println!(
                "{n_workers} workers on one server, EDGAR {latency} ms away: {rate:.0} filings a second, cores {busy:.0} % busy"
            );
        }
    }
}
