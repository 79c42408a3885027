//! What the program weighs: `cargo bench --bench footprint`. Runs the release program against a loopback EDGAR.
//!
//! Prints the size of the stripped program; for `once` with nothing new its CPU time and memory, and its memory with a new filing
//! of 200 MB; for the daemon its memory when it has nothing to do, and the time from start to READY=1 with a store of a million
//! filings. Memory is the most that /proc showed, anonymous (RssAnon) and resident (VmRSS); times are medians. It takes
//! some minutes.

#[path = "common/desk.rs"]
#[allow(dead_code)]
mod desk;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use chrono::Utc;
use edgar_watch::demo::edgar::{Archive, LoopbackEdgar, respond};
use edgar_watch::demo::{file_determination, invented_archive};

const PROGRAM: &str = env!("CARGO_BIN_EXE_edgar-watch");
const ROUNDS: usize = 9;

/// Anonymous and resident memory of a process, in MB.
fn memory_mb(process: u32) -> (f64, f64) {
    let process = process.to_string();
    (desk::memory_mb(&process, "RssAnon"), desk::memory_mb(&process, "VmRSS"))
}

fn most(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.max(b.0), a.1.max(b.1))
}

fn program(folder: &Path, command: &str) -> Command {
    let mut program = Command::new(PROGRAM);
    program.args(["--config", "config.toml", command]).current_dir(folder);
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program
}

/// The most memory of a process until it ends.
fn watch(child: &mut Child) -> (f64, f64) {
    let mut highest = (0.0, 0.0);
    while child.try_wait().expect("a child").is_none() {
        highest = most(highest, memory_mb(child.id()));
        std::thread::sleep(Duration::from_millis(1));
    }
    highest
}

/// The CPU time of a run, in ms: user and system.
fn cpu_ms(folder: &Path) -> f64 {
    let line = format!("TIMEFORMAT='%U %S'; time {PROGRAM} --config config.toml once >/dev/null 2>&1");
    let out = Command::new("bash").args(["-c", &line]).current_dir(folder).output().expect("bash");
    let words = String::from_utf8_lossy(&out.stderr);
    words.split_whitespace().filter_map(|seconds| seconds.parse::<f64>().ok()).sum::<f64>() * 1000.0
}

/// Starts the daemon and tells how long it took to say READY=1.
fn start(folder: &Path) -> (Child, Duration) {
    let path = folder.join("notify");
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let began = Instant::now();
    let child = program(folder, "run").env("NOTIFY_SOCKET", &path).spawn().expect("the program");
    let mut words = [0; 4096];
    let mut is_ready = false;
    while !is_ready {
        let n = socket.recv(&mut words).expect("a word of the program");
        is_ready = String::from_utf8_lossy(&words[..n]).contains("READY=1");
    }
    (child, began.elapsed())
}

fn end(child: &mut Child) {
    child.kill().expect("a child");
    child.wait().expect("a child");
}

/// The most memory of `once` while it reads a new submission that is a picture almost whole.
async fn read_submission(n_bytes: usize) -> (f64, f64) {
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let text = desk::Desk::new(edgar.url(), 9_990_201).configuration();
    std::fs::write(folder.path().join("config.toml"), text).expect("a configuration");
    // What is there at the first contact is no news.
    watch(&mut program(folder.path(), "once").spawn().expect("the program"));
    edgar.change(|archive| {
        file_determination(archive, 1, Utc::now());
    });
    edgar.script(move |asked, archive| {
        let path = asked.target.split('?').next().unwrap_or_default();
        let file = archive.files.get(path).filter(|_| path.contains("/data/") && path.ends_with(".txt"))?;
        // An ordinary filing: one that names no exchange.
        let html = "<html><body><p>The lease of the plant runs for ten years.</p></body></html>\n";
        let text = desk::with_document(&String::from_utf8_lossy(file), html);
        let (documents, end) = text.split_at(text.rfind("</SEC-DOCUMENT>")?);
        let line = format!("M{}\n", "'".repeat(60));
        let picture = line.repeat(n_bytes / line.len());
        let body = format!(
            "{documents}<DOCUMENT>\n<TYPE>GRAPHIC\n<SEQUENCE>9\n<FILENAME>plant.jpg\n<TEXT>\nbegin 644 plant.jpg\n{picture}\
             `\nend\n</TEXT>\n</DOCUMENT>\n{end}"
        );
        Some(respond(StatusCode::OK, "text/plain", body.into_bytes()))
    });
    let highest = watch(&mut program(folder.path(), "once").spawn().expect("the program"));
    let n_fetched = edgar.asked().iter().filter(|asked| asked.target.ends_with(".txt")).count();
    assert_eq!(n_fetched, 1, "it is fetched once");
    highest
}

#[tokio::main]
async fn main() {
    let size = std::fs::metadata(PROGRAM).expect("the program").len();
    println!("program: {:.1} MB", size as f64 / 1e6);
    let edgar = LoopbackEdgar::start(invented_archive()).await.expect("a port");
    let small = tempfile::tempdir().expect("a folder");
    // Nothing is sent: no mail is due.
    let text = desk::Desk { n_readers: 10, ..desk::Desk::new(edgar.url(), 9_990_107) }.configuration();
    std::fs::write(small.path().join("config.toml"), &text).expect("a configuration");
    watch(&mut program(small.path(), "once").spawn().expect("the program"));
    let highest = (0..ROUNDS).fold((0.0, 0.0), |highest, _| {
        most(highest, watch(&mut program(small.path(), "once").spawn().expect("the program")))
    });
    let cpu = desk::median((0..ROUNDS).map(|_| cpu_ms(small.path())).collect());
    println!("once, nothing new: {cpu:.0} ms of CPU, {:.1} MB anonymous, {:.1} MB resident", highest.0, highest.1);

    for n_bytes in [1_000_000, 200_000_000] {
        let (anonymous, resident) = read_submission(n_bytes).await;
        let size = n_bytes / 1_000_000;
        println!("once, a new filing of {size} MB: {anonymous:.1} MB anonymous, {resident:.1} MB resident");
    }

    let (mut child, _) = start(small.path());
    // It polls, reconciles days and looks after its store before it has nothing to do.
    std::thread::sleep(Duration::from_secs(20));
    let idle = memory_mb(child.id());
    println!("daemon, idle: {:.1} MB anonymous, {:.1} MB resident", idle.0, idle.1);
    end(&mut child);

    let large = tempfile::tempdir().expect("a folder");
    std::fs::write(large.path().join("config.toml"), &text).expect("a configuration");
    desk::fill_store(large.path(), 0..desk::MOST_FILINGS).await;
    let starts = (0..ROUNDS).map(|_| {
        let (mut child, after) = start(large.path());
        end(&mut child);
        after.as_secs_f64() * 1000.0
    });
    println!(
        "daemon: READY after {:.0} ms with {} filings in the store",
        desk::median(starts.collect()),
        desk::MOST_FILINGS
    );
}
