//! The daemon as a service manager sees it: what it tells, what it does at a signal, what it serves to those who watch it.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use edgar_watch::demo::edgar::{Archive, LoopbackEdgar};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};

use crate::support::filings::{TestFiling, archive};
use crate::support::smtp::{Act, FakeSmtp, Step};
use crate::support::{DeskPlan, edgar_watch, read_mails, text};

const NOON: &str = "2026-03-19T16:00:00Z";
/// Whoever has not spoken by then will not.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon at work in a folder of its own, with the ear of a service manager.
struct Service {
    folder: tempfile::TempDir,
    edgar: LoopbackEdgar,
    /// All that was told, and how much of it was asked for.
    heard: watch::Receiver<Vec<String>>,
    n_asked: usize,
    log: watch::Receiver<String>,
    child: Child,
}

fn fast(plan: DeskPlan) -> DeskPlan {
    DeskPlan { poll: "interval = \"100ms\"\noff_hours_interval = \"100ms\"".to_owned(), ..plan }
}

impl Service {
    async fn start(plan: DeskPlan, archive: Archive, args: &[&str]) -> Self {
        let edgar = LoopbackEdgar::start(archive).await.expect("a port");
        let config = plan.text(&edgar.url());
        Self::start_with(edgar, &config, args)
    }

    fn start_with(edgar: LoopbackEdgar, config: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("desk.toml"), config).expect("a file");
        let ear = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        let mut child = Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
            .args(["--config", "desk.toml", "run"])
            .args(args)
            .current_dir(folder.path())
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .env("WATCHDOG_USEC", "400000")
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the daemon starts");
        let (hear, heard) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut bytes = [0; 1000];
            while let Ok(n) = ear.recv(&mut bytes).await {
                hear.send_modify(|heard: &mut Vec<String>| {
                    heard.push(String::from_utf8_lossy(&bytes[..n]).into_owned());
                });
            }
        });
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let (written, log) = watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                written.send_modify(|log| log.extend([line.as_str(), "\n"]));
            }
        });
        Self { folder, edgar, heard, n_asked: 0, log, child }
    }

    /// The next thing told that begins so; what was told before it is passed over.
    async fn told(&mut self, words: &str) -> String {
        let (n_asked, mut heard) = (self.n_asked, self.heard.clone());
        let place = |heard: &Vec<String>| heard.iter().skip(n_asked).position(|told| told.starts_with(words));
        let found = tokio::time::timeout(PATIENCE, heard.wait_for(|heard| place(heard).is_some())).await;
        let told = match found {
            Ok(Ok(heard)) => place(&heard).map(|place| (n_asked + place + 1, heard[n_asked + place].clone())),
            _ => None,
        };
        let (n_asked, told) = told.unwrap_or_else(|| panic!("{words} is not told; the log:\n{}", self.log()));
        self.n_asked = n_asked;
        told
    }

    fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until so many lines hold some words.
    async fn logged(&self, n: usize, words: &str) {
        let mut log = self.log.clone();
        let seen = tokio::time::timeout(PATIENCE, log.wait_for(|log| log.matches(words).count() >= n)).await;
        assert!(matches!(seen, Ok(Ok(_))), "\"{words}\" is not logged {n} times:\n{}", self.log());
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(std::process::Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
    }

    /// Its exit code and log, once it has ended.
    async fn end(&mut self) -> (Option<i32>, String) {
        let code = self.child.wait().await.expect("it ends").code();
        // The log is whole once nobody writes to it.
        let _ = self.log.wait_for(|_| false).await;
        (code, self.log())
    }

    async fn stop(&mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        self.end().await
    }

    fn file(&self, n: u32) {
        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let filing = TestFiling::determination(n, &now);
        self.edgar.change(|archive| filing.publish(archive));
    }
}

#[tokio::test]
async fn it_is_ready_while_edgar_is_not_and_says_how_it_goes() {
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let config = fast(DeskPlan::default()).text("http://127.0.0.1:9");
    let mut service = Service::start_with(edgar, &config, &[]);
    service.told("READY=1").await;
    let status = service.told("STATUS=no mail waits; no good poll yet; FAILING: ").await;
    assert!(status.contains("Connection refused"), "{status}");
    service.told("WATCHDOG=1").await;
    let (code, _) = service.stop().await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_new_configuration_is_taken_up_at_sighup_and_a_bad_one_is_refused() {
    let mut service =
        Service::start(fast(DeskPlan::default()), archive(&[TestFiling::determination(1, NOON)]), &[]).await;
    service.told("READY=1").await;
    service.told("STATUS=last poll ").await;
    service.file(2);
    service.logged(1, " sent: ").await;

    let path = service.folder.path().join("desk.toml");
    let good = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, good.replace("100ms", "soon")).expect("a file");
    service.signal("-HUP");
    service.told("RELOADING=1\nMONOTONIC_USEC=").await;
    service.told("STATUS=the new configuration is refused: desk.toml:").await;
    service.told("READY=1").await;
    assert!(service.log().contains("the old one stays in force"), "{}", service.log());

    std::fs::write(
        &path,
        good.replace("url = \"sqlite://state.db", "url = \"sqlite://other.db")
            .replace("?options=", "?application_name=other&options="),
    )
    .expect("a file");
    service.signal("-HUP");
    let refused = service.told("STATUS=the new configuration is refused: ").await;
    assert!(refused.contains("store.url cannot change while the daemon runs"), "{refused}");

    let more = format!("{good}[[subscription]]\nname = \"two\"\nemail = \"second@example.com\"\n");
    std::fs::write(&path, more).expect("a file");
    service.signal("-HUP");
    service.told("RELOADING=1").await;
    service.logged(1, "the new configuration is in force").await;
    service.told("READY=1").await;
    service.told("STATUS=last poll ").await;
    service.file(3);
    service.logged(3, " sent: ").await;
    let mails = read_mails(&service.folder.path().join("mail"));
    let to_second = mails.iter().filter(|mail| mail.header_raw("To").is_some_and(|to| to.contains("second"))).count();
    assert_eq!((mails.len(), to_second), (3, 1), "the old subscriber twice, the new one once");
    let (code, log) = service.stop().await;
    assert_eq!(code, Some(0), "{log}");
}

/// A daemon that was told to stop while its relay has a mail and has not answered, and does not until it is told to.
async fn stopping_past_the_dot() -> (FakeSmtp, Service) {
    let relay = FakeSmtp::scripted(|step, _| if step == Step::Dot { Act::GoWhenTold } else { Act::Go }).await;
    let plan = fast(DeskPlan { smtp_port: Some(relay.port()), ..DeskPlan::default() });
    let mut service =
        Service::start(plan, archive(&[TestFiling::determination(1, NOON)]), &["--since", "2026-01-01"]).await;
    relay.until_seen(1).await;
    service.signal("-TERM");
    service.told("STOPPING=1").await;
    (relay, service)
}

#[tokio::test]
async fn a_mail_past_its_final_dot_is_waited_for() {
    let (relay, mut service) = stopping_past_the_dot().await;
    service.told("EXTEND_TIMEOUT_USEC=65000000").await;
    service.logged(1, "a mail is past its final dot").await;
    relay.tell();
    let (code, log) = service.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("sent: 250 2.0.0 queued as 1"), "what the relay said at last is on record: {log}");
    assert_eq!(relay.taken().len(), 1);
}

#[tokio::test]
async fn a_mail_that_the_relay_does_not_have_yet_is_not_waited_for() {
    let is_asked = Arc::new(Notify::new());
    let asked = is_asked.clone();
    let relay = FakeSmtp::scripted(move |step, _| match step {
        Step::Rcpt => {
            asked.notify_one();
            Act::Hang
        }
        _ => Act::Go,
    })
    .await;
    let plan = fast(DeskPlan { smtp_port: Some(relay.port()), ..DeskPlan::default() });
    let mut service =
        Service::start(plan, archive(&[TestFiling::determination(1, NOON)]), &["--since", "2026-01-01"]).await;
    is_asked.notified().await;
    let (code, log) = service.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("final dot"), "{log}");
    assert!(relay.seen().is_empty(), "{:?}", relay.seen());
}

#[tokio::test]
async fn a_relay_that_answers_while_it_stops_is_all_that_is_waited_for() {
    let (relay, mut service) = stopping_past_the_dot().await;
    relay.tell();
    let (code, log) = service.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("sent: 250 2.0.0 queued as 1"), "{log}");
    assert!(!log.contains("past its final dot"), "its loop ends with the answer: {log}");
}

/// What is served on the admin port.
async fn get(port: u16, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(edgar_watch::tls::client_config(false).expect("TLS"))
        .no_proxy()
        .build()
        .expect("a client");
    let answer = client.get(format!("http://127.0.0.1:{port}{path}")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

fn free_port() -> u16 {
    let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    probe.local_addr().expect("an address").port()
}

#[tokio::test]
async fn metrics_and_health_are_served_and_written() {
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let port = free_port();
    let admin = format!("[http]\nadmin_listen = \"{port}\"\n[metrics]\nfile = \"desk.prom\"\n");
    let config = format!("{}{admin}", fast(DeskPlan::default()).text(&edgar.url()));
    let mut service = Service::start_with(edgar, &config, &[]);
    service.told("READY=1").await;
    service.told("STATUS=last poll ").await;
    service.file(1);
    service.logged(1, " sent: ").await;
    assert_eq!(get(port, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(port, "/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(port, "/").await.0, 404, "the pages are not served here");
    let (code, metrics) = get(port, "/metrics").await;
    assert_eq!(code, 200);
    for line in [
        "edgar_watch_alerts_total 1",
        "edgar_watch_filings_total{outcome=\"read\"} 1",
        "edgar_watch_findings_total{kind=\"staff_determination\"} 1",
        "edgar_watch_lag_seconds_count{stage=\"seen\"} 1",
        "edgar_watch_lag_seconds_count{stage=\"classified\"} 1",
        "edgar_watch_outbox_messages{state=\"waiting\"} 0",
        "edgar_watch_trouble{matter=\"edgar_silent\"} 0",
        "edgar_watch_poll_failing 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
    assert!(!metrics.contains("desk@example.com"), "nobody is named");
    check_with_promtool(&metrics);
    let (_, log) = service.stop().await;
    assert!(!log.contains("counts are kept"), "{log}");
    let file = service.folder.path().join("desk.prom");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("the file").permissions());
    assert_eq!(mode & 0o777, 0o644, "node_exporter is another user");
    let written = std::fs::read_to_string(file).expect("the file");
    assert!(written.contains("edgar_watch_deliveries_total{outcome=\"sent\"} 1\n"), "the last counts: {written}");
}

/// `promtool check metrics`, where Prometheus is installed.
fn check_with_promtool(metrics: &str) {
    use std::io::Write;
    let started = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        eprintln!("skipped: there is no promtool");
        return;
    };
    promtool.stdin.take().expect("its input").write_all(metrics.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn the_alert_rules_and_the_dashboard_ask_for_what_is_told() {
    use edgar_watch::metrics::{Count, Metrics, Stage, Tally};
    let tally = Tally::default();
    for count in Count::ALL {
        tally.add(count, "any", 1);
    }
    tally.observe(Stage::Seen, chrono::TimeDelta::seconds(1));
    let counts = tally.take(chrono::Utc::now()).into_iter().collect();
    let metrics = Metrics { counts, feed_lag_s: Some(1), troubles: vec![("any", false)], ..Metrics::default() };
    let told = metrics.encode().expect("metrics");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    let mut n_names = 0;
    for file in ["alerts.yml", "grafana.json"] {
        let asking = std::fs::read_to_string(folder.join(file)).expect(file);
        for name in asking.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            if name.starts_with("edgar_watch_") {
                n_names += 1;
                assert!(
                    told.contains(&format!("\n{name}{{")) || told.contains(&format!("\n{name} ")),
                    "{file}: {name}"
                );
            }
        }
    }
    assert!(n_names > 30, "{n_names} names were looked for");
    let dashboard = std::fs::read(folder.join("grafana.json")).expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.iter().all(|panel| panel["title"].is_string())));
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/alerts_test.yml");
    match std::process::Command::new("promtool").args(["test", "rules"]).arg(rules).output() {
        Ok(output) => assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr)),
        Err(_) => eprintln!("skipped: there is no promtool"),
    }
}

#[tokio::test]
async fn a_store_of_another_user_is_refused_with_the_line_to_use() {
    if !crate::support::store::is_file() {
        return;
    }
    use std::os::unix::fs::{MetadataExt, chown};
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    if std::fs::metadata(folder.path()).expect("the folder").uid() != 0 {
        eprintln!("skipped: only root can give a file away");
        return;
    }
    std::fs::write(folder.path().join("a desk.toml"), DeskPlan::default().text(&edgar.url())).expect("a file");
    let run = |args: &'static [&'static str]| {
        let folder = folder.path().to_owned();
        tokio::task::spawn_blocking(move || edgar_watch(&folder, args))
    };
    let first = run(&["--config", "a desk.toml", "once"]).await.expect("the binary runs");
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let store = folder.path().join("state.db");
    chown(&store, Some(1), Some(1)).expect("it is given to daemon, whom every system has");
    let n_files = std::fs::read_dir(folder.path()).expect("the folder").count();
    for args in [
        &["--config", "a desk.toml", "status"][..],
        &["--config", "a desk.toml", "once"],
        &["--config", "a desk.toml", "run"],
        &["--config", "a desk.toml", "outbox", "list"],
        &["--config", "a desk.toml", "backup", "copy.db"],
        &["--config", "a desk.toml", "reread"],
    ] {
        let output = run(args).await.expect("the binary runs");
        let line = format!(
            "runuser -u daemon -- {} --config 'a desk.toml' {}\n",
            env!("CARGO_BIN_EXE_edgar-watch"),
            args[2..].join(" ")
        );
        let expected = format!("edgar-watch: the store {} belongs to the user daemon: {line}", store.display());
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), expected.as_str()));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), n_files, "nothing was left beside it");
    let checked = run(&["--config", "a desk.toml", "check-config"]).await.expect("the binary runs");
    assert_eq!(checked.status.code(), Some(0), "what needs no store works: {}", text(&checked.stderr));
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish"] {
        let output = edgar_watch(folder.path(), &["completions", shell]);
        let script = text(&output.stdout);
        for command in ["check-config", "subscriptions", "test-mail", "backfill"] {
            assert!(script.contains(command), "{shell} knows {command}");
        }
    }
    assert_eq!(edgar_watch(folder.path(), &["man", "--folder", "man"]).status.code(), Some(0));
    for page in ["edgar-watch.1", "edgar-watch-run.1", "edgar-watch-subscriptions-add.1", "edgar-watch-restore.1"] {
        let text = std::fs::read_to_string(folder.path().join("man").join(page)).expect(page);
        assert!(text.contains(".SH SYNOPSIS") || text.contains(".SH NAME"), "{page}: {text}");
    }
    let output = edgar_watch(folder.path(), &["man"]);
    assert!(text(&output.stdout).contains("Exit codes"), "the manual says what scripts rely on");
}

#[tokio::test]
async fn a_copy_is_taken_while_the_daemon_writes_and_put_back() {
    if !crate::support::store::is_file() {
        return;
    }
    let mut service = Service::start(fast(DeskPlan::default()), Archive::default(), &[]).await;
    service.told("READY=1").await;
    service.told("STATUS=last poll ").await;
    service.file(1);
    service.logged(1, " sent: ").await;
    let folder = service.folder.path().to_owned();
    let run = |args: Vec<String>| {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || {
            let args: Vec<&str> =
                ["--config", "desk.toml"].into_iter().chain(args.iter().map(String::as_str)).collect();
            edgar_watch(&folder, &args)
        })
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<String>>();
    // Copies of moments between which it reads and writes.
    for n in 2..6 {
        service.file(n);
        let output = run(words(&format!("backup copy{n}.db"))).await.expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    service.logged(5, " sent: ").await;
    let again = run(words("backup copy2.db")).await.expect("the binary runs");
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(text(&again.stderr), "edgar-watch: copy2.db exists already: name another file\n");
    let busy = run(words("restore copy2.db")).await.expect("the binary runs");
    assert_eq!(text(&busy.stderr), "edgar-watch: another edgar-watch works on this store: stop it first\n");
    assert_eq!(service.stop().await.0, Some(0));

    // A copy that is cut short is refused, and nothing is changed.
    let whole = std::fs::read(folder.join("copy3.db")).expect("a copy");
    std::fs::write(folder.join("cut.db"), &whole[..whole.len() / 2]).expect("a file");
    let refused = run(words("restore cut.db")).await.expect("the binary runs");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).starts_with("edgar-watch: cut.db: "), "{}", text(&refused.stderr));
    let before = run(words("alerts --json")).await.expect("the binary runs");
    assert_eq!(text(&before.stdout).lines().count(), 5);

    let keys = std::fs::read(folder.join("state.db.keys")).expect("the keys");
    std::fs::remove_file(folder.join("state.db.keys")).expect("they are lost");
    let restored = run(words("restore copy2.db")).await.expect("the binary runs");
    assert_eq!(restored.status.code(), Some(0), "{}", text(&restored.stderr));
    let replaced = text(&restored.stdout).trim_end().rsplit('/').next().unwrap_or_default().to_owned();
    assert!(replaced.starts_with("state.db.replaced-"), "{}", text(&restored.stdout));
    assert_eq!(std::fs::read(folder.join("state.db.keys")).expect("the keys"), keys);
    let alerts = run(words("alerts --json")).await.expect("the binary runs");
    let n_alerts = text(&alerts.stdout).lines().count();
    assert!((1..=2).contains(&n_alerts), "as of the moment of the copy: {}", text(&alerts.stdout));

    // What came after the copy is found anew, and goes out under the same Message-IDs: the folder holds each once.
    let caught_up = run(words("once")).await.expect("the binary runs");
    assert_eq!(caught_up.status.code(), Some(0), "{}", text(&caught_up.stderr));
    let alerts = run(words("alerts --json")).await.expect("the binary runs");
    // One that was being read at the moment of the copy is read anew after a while, as after a crash.
    let status = run(words("status --json")).await.expect("the binary runs");
    let status: serde_json::Value = serde_json::from_str(text(&status.stdout)).expect("JSON");
    let n_unread = status["unread"].as_array().map_or(0, Vec::len);
    assert_eq!(text(&alerts.stdout).lines().count() + n_unread, 5, "{status}");
    assert_eq!(read_mails(&folder.join("mail")).len(), 5);

    let itself = run(words("restore state.db")).await.expect("the binary runs");
    assert_eq!(text(&itself.stderr), "edgar-watch: state.db is the store itself\n");
    // What was replaced first is still there as it was.
    let back = run(words(&format!("restore {replaced}"))).await.expect("the binary runs");
    assert_eq!(back.status.code(), Some(0), "{}", text(&back.stderr));
    let alerts = run(words("alerts --json")).await.expect("the binary runs");
    assert_eq!(text(&alerts.stdout).lines().count(), 5);
}

#[tokio::test]
async fn status_says_whether_it_works_and_what_to_do() {
    let plan = DeskPlan { poll: "interval = \"100ms\"".to_owned(), ..DeskPlan::default() };
    let mut service = Service::start(plan, Archive::default(), &[]).await;
    service.told("STATUS=last poll ").await;
    let folder = service.folder.path().to_owned();
    let status = |args: &'static [&'static str]| {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || edgar_watch(&folder, args))
    };
    let running = status(&["--config", "desk.toml", "status"]).await.expect("the binary runs");
    assert!(text(&running.stdout).starts_with("WORKING\n\nlast poll "), "{}", text(&running.stdout));
    service.signal("-KILL");
    service.end().await;
    let told = |output: std::process::Output| -> serde_json::Value {
        serde_json::from_str(text(&output.stdout)).expect("JSON")
    };
    // On a server its lease says that it is dead, a moment later.
    let fresh = async {
        loop {
            let fresh = told(status(&["--config", "desk.toml", "status", "--json"]).await.expect("the binary runs"));
            if fresh["running"] == serde_json::json!(false) {
                return fresh;
            }
        }
    };
    let fresh = tokio::time::timeout(PATIENCE, fresh).await.expect("nobody runs");
    assert_eq!(fresh["verdict"], serde_json::json!("working"), "cron may poll: {fresh}");
    // As if nobody had polled for three hours, and the last poll had failed.
    let place = crate::support::store::place_in(&folder, "desk.toml");
    let store = edgar_watch::store::Store::open_existing(&place).await.expect("the store");
    let before = chrono::Utc::now() - chrono::TimeDelta::hours(3);
    for fact in [edgar_watch::passes::LAST_POLL, edgar_watch::passes::LAST_POLL_ERROR] {
        store.set_fact(fact, "words", before).await.expect("a fact");
    }
    store.close().await;
    let dead = told(status(&["--config", "desk.toml", "status", "--json"]).await.expect("the binary runs"));
    assert_eq!(dead["verdict"], serde_json::json!("stopped"), "{dead}");
    assert!(dead["to_do"][0].as_str().is_some_and(|words| words.starts_with("start it")), "{dead}");
}
