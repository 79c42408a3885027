//! What the program weighs: `cargo bench --bench footprint`. Runs the release program against a loopback EDGAR.
//!
//! Prints the size of the stripped program; for `once` with nothing new its CPU time and memory; for the daemon the time from
//! start to READY=1 with a store of a million filings, and its memory when it has nothing to do. Memory is the
//! most that /proc showed, anonymous (RssAnon) and resident (VmRSS); times are medians. To fill the store takes minutes.

#[path = "common/desk.rs"]
mod desk;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use edgar_watch::demo::edgar::LoopbackEdgar;
use edgar_watch::demo::invented_archive;

const PROGRAM: &str = env!("CARGO_BIN_EXE_edgar-watch");
const N_FILINGS: u64 = 1_000_000;
const ROUNDS: usize = 9;

/// Anonymous and resident memory of a process, in MB; zero once it has ended.
fn memory_mb(process: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_start_matches(':').split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0)
    };
    (of("RssAnon") / 1024.0, of("VmRSS") / 1024.0)
}

fn most(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.max(b.0), a.1.max(b.1))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
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

#[tokio::main]
async fn main() {
    let size = std::fs::metadata(PROGRAM).expect("the program").len();
    println!("program: {:.1} MB", size as f64 / 1e6);
    let edgar = LoopbackEdgar::start(invented_archive()).await.expect("a port");
    let small = tempfile::tempdir().expect("a folder");
    // Nothing is sent: no mail is due.
    let text = desk::configuration(&edgar.url(), 9, &[9_990_107], 10);
    std::fs::write(small.path().join("config.toml"), &text).expect("a configuration");
    watch(&mut program(small.path(), "once").spawn().expect("the program"));
    let highest = (0..ROUNDS).fold((0.0, 0.0), |highest, _| {
        most(highest, watch(&mut program(small.path(), "once").spawn().expect("the program")))
    });
    let cpu = median((0..ROUNDS).map(|_| cpu_ms(small.path())).collect());
    println!("once, nothing new: {cpu:.0} ms of CPU, {:.1} MB anonymous, {:.1} MB resident", highest.0, highest.1);

    let (mut child, _) = start(small.path());
    // It polls, reconciles days and looks after its store before it has nothing to do.
    std::thread::sleep(Duration::from_secs(20));
    let idle = memory_mb(child.id());
    println!("daemon, idle: {:.1} MB anonymous, {:.1} MB resident", idle.0, idle.1);
    end(&mut child);

    let large = tempfile::tempdir().expect("a folder");
    std::fs::write(large.path().join("config.toml"), &text).expect("a configuration");
    desk::fill_store(large.path(), N_FILINGS).await;
    let starts = (0..ROUNDS).map(|_| {
        let (mut child, after) = start(large.path());
        end(&mut child);
        after.as_secs_f64() * 1000.0
    });
    println!("daemon: READY after {:.0} ms with {N_FILINGS} filings in the store", median(starts.collect()));
}
