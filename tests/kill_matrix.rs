//! The kill matrix: the real binary against a loopback EDGAR and a relay, ended by SIGKILL around every commit and every
//! rename, after every answer of the relay and while it waits for one.
//!
//! `cargo test --features fail-points --test kill_matrix -- --nocapture` kills at every point once.
//! `KILL_RUNS=500` goes on until there were so many runs and every point was hit five times. `KILL_SEED=7` starts
//! elsewhere. docs/RELIABILITY.md says what is guaranteed.

#[path = "it/support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use edgar_watch::demo::edgar::{Archive, Asked, LoopbackEdgar, page, respond};
use edgar_watch::store::{MessageState, Store, StorePlace};
use mail_parser::MessageParser;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::Connection;
use support::filings::{TestFiling, archive};
use support::smtp::{Act, FakeSmtp, Step, Taken};
use support::{DeskPlan, accession, instant, read_mails};

/// Where the program is killed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    /// Its own word for it.
    Own(String),
    /// The relay has the client's line, and its answer is not sent.
    Relay(&'static str),
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own(name) => f.write_str(name),
            Self::Relay(name) => write!(f, "while the relay is at {name}"),
        }
    }
}

/// Steps of the program that commit or rename: it is killed before and after each.
const WRITES: [&str; 48] = [
    "add a subscription",
    "add days",
    "add to the counters",
    "begin attempts",
    "begin digests",
    "begin to read filings",
    "bring the schema up to date",
    "confirm a subscription",
    "copy",
    "delay a day",
    "drop a message",
    "end subscriptions",
    "enqueue a mail",
    "erase an address",
    "fold the log in",
    "forget fact",
    "forget unconfirmed subscriptions",
    "let go of old facts",
    "let go of old filers",
    "look back",
    "make the token keys",
    "note an acceptance time",
    "park a filing",
    "pause subscriptions",
    "pin a ticker",
    "postpone a filing",
    "postpone a message",
    "put filings back",
    "put off a day",
    "queue what was given up",
    "reconcile a day",
    "record a backfill",
    "record a pass",
    "record a reading",
    "record mails that were taken",
    "record whom to watch",
    "remember a block",
    "remember a refused User-Agent",
    "replace events",
    "reserve a request",
    "resume subscriptions",
    "retry a message",
    "set a message aside",
    "silence an address",
    "take the subscriptions from the configuration",
    "tell of an unreadable filing",
    "watch from an earlier day",
    "write the store anew",
];
const FACTS: [&str; 2] = ["write fact", "write facts"];
const RENAME: &str = "rename a mail";
/// Answers of the relay: the program is killed after each.
const ANSWERS: [&str; 7] = [
    "greeting and EHLO",
    "the answer to MAIL",
    "the answer to RCPT",
    "the answer to DATA",
    "the answer to the final dot",
    "a refusal",
    "the answer to QUIT",
];
const RELAY_STEPS: [(&str, Step); 7] = [
    ("its greeting", Step::Greeting),
    ("EHLO", Step::Ehlo),
    ("MAIL", Step::Mail),
    ("RCPT", Step::Rcpt),
    ("DATA", Step::Data),
    ("the final dot", Step::Dot),
    ("QUIT", Step::Quit),
];

/// Every point there is.
fn all_points() -> BTreeSet<Point> {
    let both = |what: &str| [Point::Own(format!("before {what}")), Point::Own(format!("after {what}"))];
    let writes = WRITES.into_iter().chain(FACTS).chain([RENAME]).flat_map(both);
    let answers = ANSWERS.into_iter().map(|what| Point::Own(format!("after {what}")));
    writes.chain(answers).chain(RELAY_STEPS.map(|(name, _)| Point::Relay(name))).collect()
}

/// What EDGAR answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Normal,
    /// 429 to everything under Archives.
    Busy,
    /// The page for undeclared tools.
    Refusing,
}

/// One command of the story, at its time, in its world.
struct Scene {
    args: &'static [&'static str],
    at: &'static str,
    mood: Mood,
    /// What happens in the world before.
    change: fn(&mut Archive),
}

const ONCE: &[&str] = &["once"];
/// A subscription that somebody asked for on a page.
const ASKED: &str = "asked";
const ASK: &str = "INSERT INTO subscriptions (id, origin, address, state, terms, created_at)
     VALUES ('asked', 'web', (SELECT id FROM addresses WHERE address = 'desk@example.com'), 'pending', '{}', 0)
     ON CONFLICT (id) DO NOTHING RETURNING 'done'";

fn nothing(_: &mut Archive) {}

fn letter() -> TestFiling {
    TestFiling { cik: 9_991_101, ..TestFiling::determination(101, "2026-11-17T15:05:00Z") }
}
fn early_letter() -> TestFiling {
    TestFiling::determination(106, "2026-11-16T16:00:00Z")
}
fn slow_letter() -> TestFiling {
    TestFiling::determination(103, "2026-11-17T15:06:00Z")
}
fn unreadable() -> TestFiling {
    TestFiling::ordinary(104, "2026-11-17T15:07:00Z")
}
fn held_back() -> TestFiling {
    TestFiling::ordinary(108, "2026-11-17T15:34:00Z")
}
fn unshown_letter() -> TestFiling {
    TestFiling::determination(105, "2026-11-17T16:00:00Z")
}
fn past_letter() -> TestFiling {
    TestFiling::determination(107, "2026-11-10T16:00:00Z")
}

/// A week at a desk, so arranged that every write and every answer there is happens in it.
fn story() -> Vec<Scene> {
    let scene = |args, at, mood, change| Scene { args, at, mood, change };
    vec![
        scene(ONCE, "2026-11-17T15:00:00Z", Mood::Normal, nothing),
        scene(&["subscriptions", "add", "nobody@example.com"], "2026-11-17T15:02:00Z", Mood::Normal, nothing),
        scene(ONCE, "2026-11-17T15:10:00Z", Mood::Normal, |archive| {
            letter().publish(archive);
            TestFiling::ordinary(102, "2026-11-17T15:05:30Z").publish(archive);
            slow_letter().announce(archive);
            unreadable().announce(archive);
        }),
        scene(ONCE, "2026-11-17T15:30:00Z", Mood::Normal, nothing),
        scene(ONCE, "2026-11-17T15:35:00Z", Mood::Busy, |archive| held_back().publish(archive)),
        scene(ONCE, "2026-11-17T15:40:00Z", Mood::Normal, |archive| slow_letter().file(archive)),
        scene(ONCE, "2026-11-17T15:45:00Z", Mood::Refusing, nothing),
        scene(&["check-config", "--online"], "2026-11-17T15:50:00Z", Mood::Normal, nothing),
        scene(&["once", "--dry-run"], "2026-11-17T15:55:00Z", Mood::Normal, nothing),
        scene(&["once", "--since", "2026-11-16"], "2026-11-17T16:00:00Z", Mood::Normal, nothing),
        scene(&["outbox", "retry", "SET_ASIDE"], "2026-11-17T16:05:00Z", Mood::Normal, nothing),
        scene(&["outbox", "drop", "SET_ASIDE"], "2026-11-17T16:06:00Z", Mood::Normal, nothing),
        scene(ONCE, "2026-11-17T16:10:00Z", Mood::Normal, nothing),
        scene(ONCE, "2026-11-18T03:20:00Z", Mood::Busy, nothing),
        scene(ONCE, "2026-11-18T03:30:00Z", Mood::Normal, |archive| {
            unshown_letter().file(archive);
            for day in ["2026-11-16", "2026-11-17"] {
                let day: chrono::NaiveDate = day.parse().expect("a date");
                archive.write_index(day, day.and_hms_opt(22, 8, 0).expect("a time"));
            }
        }),
        scene(ONCE, "2026-11-18T16:00:00Z", Mood::Normal, nothing),
        // Whoever died before giving a filing up tries it once more first.
        scene(ONCE, "2026-11-18T16:08:00Z", Mood::Normal, nothing),
        scene(&["reread"], "2026-11-18T16:10:00Z", Mood::Normal, |archive| unreadable().file(archive)),
        scene(ONCE, "2026-11-18T16:20:00Z", Mood::Normal, nothing),
        scene(
            &["backfill", "--from", "2026-11-09", "--to", "2026-11-11", "--send"],
            "2026-11-18T16:30:00Z",
            Mood::Normal,
            |archive| {
                past_letter().file(archive);
                for day in ["2026-11-09", "2026-11-10", "2026-11-11"] {
                    let day: chrono::NaiveDate = day.parse().expect("a date");
                    archive.write_index(day, day.and_hms_opt(22, 8, 0).expect("a time"));
                }
            },
        ),
        scene(ONCE, "2026-11-19T04:00:00Z", Mood::Normal, nothing),
        scene(&["subscriptions", "confirm", ASKED], "2026-11-19T04:10:00Z", Mood::Normal, nothing),
        scene(&["subscriptions", "pause", ASKED], "2026-11-19T04:11:00Z", Mood::Normal, nothing),
        scene(&["subscriptions", "resume", ASKED], "2026-11-19T04:12:00Z", Mood::Normal, nothing),
        scene(&["subscriptions", "remove", ASKED], "2026-11-19T04:13:00Z", Mood::Normal, nothing),
        scene(&["subscriptions", "remove", "slow@example.com"], "2026-11-19T04:14:00Z", Mood::Normal, nothing),
        scene(&["subscriptions", "erase", "nobody@example.com"], "2026-11-19T04:15:00Z", Mood::Normal, nothing),
    ]
}

/// Where and when a run's program is to die: at the nth time the point is passed in a scene.
#[derive(Debug, Clone)]
struct Death {
    point: Point,
    scene: usize,
    nth: usize,
}

/// What the relay does, and whom it kills.
struct RelayPlan {
    step: Option<(Step, usize)>,
    victim: AtomicU32,
    n_at_step: AtomicUsize,
    passed: Mutex<Vec<Step>>,
    /// How often `slow@` was refused for the moment.
    n_slow: AtomicUsize,
}

impl RelayPlan {
    fn act(&self, step: Step, text: &str) -> Act {
        self.passed.lock().expect("no test panics while holding it").push(step);
        if let Some((at, nth)) = self.step
            && at == step
            && self.victim.load(Ordering::SeqCst) != 0
            && self.n_at_step.fetch_add(1, Ordering::SeqCst) + 1 == nth
        {
            let pid = i32::try_from(self.victim.load(Ordering::SeqCst)).ok().and_then(Pid::from_raw);
            let _ = kill_process(pid.expect("a process"), Signal::KILL);
        }
        match step {
            Step::Rcpt if text.contains("gone@") => Act::Say("550 5.7.1 not from you"),
            Step::Rcpt if text.contains("nobody@") => Act::Say("550 5.1.1 no such user"),
            Step::Dot if text.contains("slow@") && self.n_slow.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => {
                Act::Say("451 4.3.0 come again")
            }
            _ => Act::Go,
        }
    }
}

/// One run of the story.
struct Run {
    folder: tempfile::TempDir,
    edgar: LoopbackEdgar,
    relay: FakeSmtp,
    plan: Arc<RelayPlan>,
    mood: Arc<AtomicU8>,
    place: StorePlace,
    /// What the relay had taken and the store had not noted when the program died.
    in_window: BTreeSet<(String, String)>,
    died: bool,
    /// The message that a command acts on, the same when it is repeated.
    acted_on: Option<i64>,
}

impl Run {
    async fn new(to_folder: bool, death: Option<&Death>) -> Self {
        let folder = tempfile::tempdir_in(shm()).expect("a folder");
        let mut served = archive(&[TestFiling::ordinary(1, "2026-11-17T14:00:00Z"), early_letter()]);
        let map = "{\"0\":{\"cik_str\":9991101,\"ticker\":\"GNTR\",\"title\":\"GANTRY MICRO\"}}";
        served.files.insert("/files/company_tickers.json".to_owned(), map.as_bytes().to_vec());
        let edgar = LoopbackEdgar::start(served).await.expect("a port");
        let mood = Arc::new(AtomicU8::new(Mood::Normal as u8));
        let asked_mood = mood.clone();
        edgar.script(move |asked: &Asked, _| match asked_mood.load(Ordering::SeqCst) {
            mood if mood == Mood::Busy as u8 && asked.target.starts_with("/Archives") => {
                let mut answer = respond(axum::http::StatusCode::TOO_MANY_REQUESTS, "text/html", Vec::new());
                answer.headers_mut().insert("retry-after", "1".parse().expect("a header"));
                Some(answer)
            }
            mood if mood == Mood::Refusing as u8 => {
                let words = "<h1>Your Request Originates from an Undeclared Automated Tool</h1>";
                Some(page(axum::http::StatusCode::FORBIDDEN, words))
            }
            _ => None,
        });
        let step = death.and_then(|death| match death.point {
            Point::Relay(name) => {
                RELAY_STEPS.iter().find(|(other, _)| *other == name).map(|(_, step)| (*step, death.nth))
            }
            Point::Own(_) => None,
        });
        let plan = Arc::new(RelayPlan {
            step,
            victim: AtomicU32::new(0),
            n_at_step: AtomicUsize::new(0),
            passed: Mutex::default(),
            n_slow: AtomicUsize::new(0),
        });
        let acting = plan.clone();
        let relay = FakeSmtp::scripted(move |step, text| acting.act(step, text)).await;
        let desk = DeskPlan {
            smtp_port: (!to_folder).then_some(relay.port()),
            subscriptions: "[[subscription]]\nemail = \"desk@example.com\"\n\
                            [[subscription]]\nemail = \"slow@example.com\"\nissuers = [\"GNTR\"]\n\
                            [[subscription]]\nemail = \"gone@example.com\"\n\
                            [[subscription]]\nemail = \"digest@example.com\"\nissuers = [\"9999999\"]\n\
                            delivery = \"daily\"\nempty_digest = true\n",
            ..DeskPlan::default()
        };
        std::fs::write(folder.path().join("config.toml"), desk.text(&edgar.url())).expect("a file");
        let place = support::store::place_in(folder.path(), "config.toml");
        Self { folder, edgar, relay, plan, mood, place, in_window: BTreeSet::new(), died: false, acted_on: None }
    }

    async fn store(&self) -> Option<Store> {
        Store::open_existing(&self.place).await.ok()
    }

    /// One statement of SQL, past the program: the first value it returns.
    async fn ask_store(&self, statement: &'static str) -> String {
        let url = format!("sqlite://{}?mode=rw", self.place);
        let mut connection = sqlx::AnyConnection::connect(&url).await.expect("the store opens");
        let (answer,): (String,) = sqlx::query_as(statement).fetch_one(&mut connection).await.expect(statement);
        connection.close().await.expect("the store closes");
        answer
    }

    /// Tells the story; the program dies in it at most once, and is started again a minute later.
    async fn tell(&mut self, death: Option<&Death>) -> BTreeMap<usize, Vec<Point>> {
        let mut passed = BTreeMap::new();
        for (n, scene) in story().into_iter().enumerate() {
            self.edgar.change(scene.change);
            self.mood.store(scene.mood as u8, Ordering::SeqCst);
            if scene.args == ["reread"] {
                // As if an older version had read everything so far.
                self.ask_store("UPDATE filings SET classifier_version = 0 WHERE state = 'read' RETURNING 'done'").await;
            }
            // It is confirmed, or forgotten after a week.
            if scene.args.contains(&"confirm") || scene.at == "2026-11-18T16:00:00Z" {
                self.ask_store(ASK).await;
            }
            self.acted_on = None;
            let death = death.filter(|death| death.scene == n);
            let at = instant(scene.at);
            passed.insert(n, self.play(&scene, at, death).await);
            if death.is_some() && self.died {
                self.note_window().await;
                self.play(&scene, at + TimeDelta::minutes(1), None).await;
            }
        }
        // What was put off by a restart is due by now.
        self.mood.store(Mood::Normal as u8, Ordering::SeqCst);
        let end = Scene { args: ONCE, at: "", mood: Mood::Normal, change: nothing };
        for hour in 1..=3 {
            self.play(&end, instant("2026-11-19T04:00:00Z") + TimeDelta::hours(hour), None).await;
        }
        passed
    }

    /// Runs one command to its end, or to its death.
    async fn play(&mut self, scene: &Scene, at: DateTime<Utc>, death: Option<&Death>) -> Vec<Point> {
        let mut args: Vec<String> = scene.args.iter().map(ToString::to_string).collect();
        if let Some(place) = args.iter().position(|arg| arg == "SET_ASIDE") {
            if self.acted_on.is_none() {
                self.acted_on = self.set_aside().await;
            }
            let Some(id) = self.acted_on else { return Vec::new() };
            args[place] = id.to_string();
        }
        let trace = self.folder.path().join("passed");
        let _ = std::fs::remove_file(&trace);
        self.plan.passed.lock().expect("no test panics while holding it").clear();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_edgar-watch"));
        command
            .args(&args)
            .current_dir(self.folder.path())
            .args(["--config", "config.toml"])
            .env("EDGAR_WATCH_STARTED_AT", at.to_rfc3339())
            .env("EDGAR_WATCH_PASSED", &trace)
            .env_remove("RUST_LOG")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.folder.path().join("said")).expect("a file"));
        let by_relay = match death {
            Some(Death { point: Point::Own(name), nth, .. }) => {
                command.env("EDGAR_WATCH_DIE_AT", format!("{name}#{nth}"));
                false
            }
            Some(_) => true,
            None => false,
        };
        let mut child = command.spawn().expect("the program starts");
        if by_relay {
            self.plan.victim.store(child.id().unwrap_or(0), Ordering::SeqCst);
        }
        let status = child.wait().await.expect("the program ends");
        self.plan.victim.store(0, Ordering::SeqCst);
        let was_killed = status.signal() == Some(9);
        let said = std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default();
        assert!(status.code().is_some() || (was_killed && death.is_some()), "{args:?} ended with {status}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        self.died |= was_killed;
        let own = std::fs::read_to_string(&trace).unwrap_or_default();
        let own = own.lines().map(|line| Point::Own(line.to_owned()));
        let steps = self.plan.passed.lock().expect("no test panics while holding it").clone();
        let name = |step: Step| RELAY_STEPS.iter().find(|(_, other)| *other == step).map(|(name, _)| *name);
        own.chain(steps.into_iter().filter_map(name).map(Point::Relay)).collect()
    }

    async fn set_aside(&self) -> Option<i64> {
        let store = self.store().await?;
        let rows = store.open_messages().await.expect("the outbox");
        store.close().await;
        rows.into_iter().find(|row| row.state == MessageState::SetAside).map(|row| row.id)
    }

    /// Notes for which mails the relay said yes, and the program died before it had written that down.
    async fn note_window(&mut self) {
        let Some(store) = self.store().await else { return };
        let taken: BTreeSet<(String, String)> = self.relay.taken().iter().map(identity).collect();
        for row in store.open_messages().await.unwrap_or_default() {
            let mail = (row.recipient, row.message_id);
            if row.state == MessageState::Waiting && taken.contains(&mail) {
                self.in_window.insert(mail);
            }
        }
        store.close().await;
    }

    /// Every mail that arrived: its recipient, and what it tells.
    fn arrived(&self) -> BTreeMap<(String, String), usize> {
        let mut arrived = BTreeMap::new();
        for taken in self.relay.taken() {
            *arrived.entry((taken.to.clone(), told(&taken.bytes))).or_default() += 1;
        }
        for mail in read_mails(&self.folder.path().join("mail")) {
            let to = mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default().to_owned();
            *arrived.entry((to, told(mail.raw_message()))).or_default() += 1;
        }
        arrived
    }

    /// Holds what arrived against what a run without a death brings.
    async fn judge(&self, expected: &BTreeMap<(String, String), usize>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut by_identity: BTreeMap<(String, String), Vec<Taken>> = BTreeMap::new();
        for taken in self.relay.taken() {
            by_identity.entry(identity(&taken)).or_default().push(taken);
        }
        let mut arrived = self.arrived();
        for (mail, copies) in &by_identity {
            if copies.len() == 1 {
                continue;
            }
            if copies.len() > 2 || !self.in_window.contains(mail) {
                faults.push(format!("{} copies of {mail:?}", copies.len()));
            }
            if copies.iter().any(|copy| copy.bytes != copies[0].bytes) {
                faults.push(format!("copies of {mail:?} differ"));
            }
            // The second copy is the first one's: it counts as one telling.
            let key = (mail.0.clone(), told(&copies[0].bytes));
            *arrived.entry(key).or_default() -= copies.len() - 1;
        }
        for (key, n) in expected {
            let found = arrived.get(key).copied().unwrap_or(0);
            if found < *n {
                faults.push(format!("lost: {key:?} came {found} of {n} times"));
            }
        }
        for (key, n) in &arrived {
            if *n > expected.get(key).copied().unwrap_or(0) {
                faults.push(format!("too many: {key:?} came {n} times"));
            }
        }
        let Some(store) = self.store().await else { return vec!["the store cannot be opened".to_owned()] };
        let waiting = store.open_messages().await.expect("the outbox");
        // The next digest is for the morning after.
        if waiting.iter().any(|row| row.state == MessageState::Waiting && row.recipient != "digest@example.com") {
            faults.push("mail still waits".to_owned());
        }
        let found = store.count_filings().await.expect("counts").get("found").copied().unwrap_or(0);
        if found > 0 {
            faults.push(format!("{found} filings were never read"));
        }
        store.close().await;
        let damage = self.ask_store("PRAGMA integrity_check").await;
        if damage != "ok" {
            faults.push(format!("the store is damaged: {damage}"));
        }
        faults
    }
}

fn shm() -> &'static Path {
    // Memory keeps what a killed process wrote, as a disk does, and is quicker to flush.
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { shm } else { Path::new("/tmp") }
}

fn identity(taken: &Taken) -> (String, String) {
    let mail = MessageParser::default().parse(&taken.bytes).expect("a mail");
    (taken.to.clone(), mail.message_id().unwrap_or_default().to_owned())
}

/// What a mail tells: of which filing and what for, or its subject.
fn told(bytes: &[u8]) -> String {
    let mail = MessageParser::default().parse(bytes).expect("a mail");
    format!("{} {}", accession(&mail), mail.subject().unwrap_or_default()).trim().to_owned()
}

/// Which points a story passes, and how often in each scene.
type Passages = BTreeMap<Point, Vec<(usize, usize)>>;

fn count_passages(passed: &BTreeMap<usize, Vec<Point>>, passages: &mut Passages) {
    for (scene, points) in passed {
        let mut counts: BTreeMap<&Point, usize> = BTreeMap::new();
        for point in points {
            *counts.entry(point).or_default() += 1;
        }
        for (point, n) in counts {
            passages.entry(point.clone()).or_default().push((*scene, n));
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    deaths: usize,
    doubles: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_it_loses_nothing_and_tells_nothing_twice() {
    let wanted_runs: usize = std::env::var("KILL_RUNS").ok().map_or(0, |n| n.parse().expect("KILL_RUNS is a number"));
    let seed: u64 = std::env::var("KILL_SEED").ok().map_or(1, |n| n.parse().expect("KILL_SEED is a number"));
    let least = if wanted_runs == 0 { 1 } else { 5 };

    // Twice without a death: by relay and by folder.
    let mut worlds = Vec::new();
    for to_folder in [false, true] {
        let mut passages = Passages::new();
        let mut run = Run::new(to_folder, None).await;
        count_passages(&run.tell(None).await, &mut passages);
        let expected = run.arrived();
        let n_to_desk = expected.iter().filter(|((to, _), _)| to == "desk@example.com").map(|(_, n)| n).sum::<usize>();
        // Three letters of the feed (one of them first as not readable), one of an index, one of the past.
        assert_eq!(n_to_desk, 6, "{expected:#?}");
        let n_to_slow = expected.iter().filter(|((to, _), _)| to == "slow@example.com").count();
        assert_eq!(n_to_slow, 1, "{expected:#?}");
        let faults = run.judge(&expected).await;
        assert!(faults.is_empty(), "{faults:?}");
        worlds.push((to_folder, passages, expected));
    }
    let passed: BTreeSet<Point> = worlds.iter().flat_map(|(_, passages, _)| passages.keys().cloned()).collect();
    let points = all_points();
    assert_eq!(passed, points, "the points of the program and those of this list");

    let worlds = Arc::new(worlds);
    let queue = Arc::new(Mutex::new((0_usize, BTreeMap::<Point, Tally>::new(), Vec::<String>::new())));
    let most = points.len() * 5 * 4 + wanted_runs * 2;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (worlds, queue, points) = (worlds.clone(), queue.clone(), points.clone());
        workers.spawn(async move {
            loop {
                let (n, point) = {
                    let mut state = queue.lock().expect("no test panics while holding it");
                    let n = state.0;
                    let deaths = |point: &Point| state.1.get(point).map_or(0, |tally| tally.deaths);
                    // The point hit least so far.
                    let (Some(point), total) = (
                        points.iter().min_by_key(|point| deaths(point)).cloned(),
                        points.iter().map(deaths).sum::<usize>(),
                    ) else {
                        return;
                    };
                    let enough = deaths(&point) >= least && total >= wanted_runs;
                    if enough || n >= most || state.2.len() >= 10 {
                        return;
                    }
                    state.0 += 1;
                    // Counted before it is hit, so that two workers do not take the same.
                    state.1.entry(point.clone()).or_default().deaths += 1;
                    (n, point)
                };
                let mut chance = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(n as u64));
                let able: Vec<_> = worlds.iter().filter(|(_, passages, _)| passages.contains_key(&point)).collect();
                let (to_folder, passages, expected) = able[chance.usize(0..able.len())];
                let scenes = &passages[&point];
                let (scene, n_passed) = scenes[chance.usize(0..scenes.len())];
                let death = Death { point: point.clone(), scene, nth: chance.usize(1..=n_passed) };
                let mut run = Run::new(*to_folder, Some(&death)).await;
                run.tell(Some(&death)).await;
                let faults = run.judge(expected).await;
                let mut state = queue.lock().expect("no test panics while holding it");
                let tally = state.1.entry(point).or_default();
                tally.doubles += run.in_window.len();
                if !run.died {
                    tally.deaths -= 1;
                }
                let way = if *to_folder { "folder" } else { "relay" };
                state.2.extend(faults.into_iter().map(|fault| format!("run {n}, {way}, {death:?}: {fault}")));
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("a worker ends well");
    }
    let state = queue.lock().expect("no test panics while holding it");
    println!("{:>6} {:>8}  point", "deaths", "in doubt");
    for (point, tally) in &state.1 {
        println!("{:>6} {:>8}  {point}", tally.deaths, tally.doubles);
    }
    let total: usize = state.1.values().map(|tally| tally.deaths).sum();
    println!("{total} deaths at {} points in {} runs, {} faults", points.len(), state.0, state.2.len());
    assert!(state.2.is_empty(), "{:#?}", state.2);
    for point in &points {
        let deaths = state.1.get(point).map_or(0, |tally| tally.deaths);
        assert!(deaths >= least, "{point}: hit {deaths} times of {least}");
    }
}
