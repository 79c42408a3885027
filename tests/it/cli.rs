//! The binary itself: help, exit codes, what it prints, and that one cycle after another sends nothing twice.

use std::path::Path;
use std::process::{Command, Output};

use edgar_watch::demo::edgar::{Archive, LoopbackEdgar, page};
use serde_json::Value;

use crate::support::filings::{TestFiling, archive};
use crate::support::{DeskPlan, edgar_watch, files_below, read_mails, text};

/// The binary on a thread of its own, so that a loopback server of this test can answer it.
async fn run(folder: &Path, args: &'static [&'static str]) -> Output {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || edgar_watch(&folder, args)).await.expect("the binary runs")
}

struct Installed {
    folder: tempfile::TempDir,
    edgar: LoopbackEdgar,
}

async fn install(archive: Archive) -> Installed {
    let folder = tempfile::tempdir().expect("a folder");
    let edgar = LoopbackEdgar::start(archive).await.expect("a port");
    let config = DeskPlan::default().text(&edgar.url());
    std::fs::write(folder.path().join("desk.toml"), config).expect("a file");
    Installed { folder, edgar }
}

#[test]
fn help_and_version_need_no_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = edgar_watch(folder.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for command in [
        "run",
        "once",
        "demo",
        "check-config",
        "explain",
        "evaluate",
        "backfill",
        "alerts",
        "reread",
        "outbox",
        "status",
        "subscriptions",
        "inbound",
        "backup",
        "restore",
        "completions",
        "man",
        "test-mail",
    ] {
        assert!(text(&help.stdout).contains(command), "{command}");
    }
    assert_eq!(edgar_watch(folder.path(), &["--version"]).status.code(), Some(0));
    assert_eq!(edgar_watch(folder.path(), &["fly"]).status.code(), Some(2), "wrong usage");
}

#[test]
fn without_a_configuration_the_places_looked_at_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = edgar_watch(folder.path(), &["--config", "missing.toml", "status"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(text(&output.stderr), "edgar-watch: missing.toml: No such file or directory (os error 2)\n");
}

#[test]
fn a_configuration_in_the_working_directory_is_taken_unless_it_may_be_anothers() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    std::fs::copy(example, folder.path().join("config.toml")).expect("a copy");
    let output = edgar_watch(folder.path(), &["check-config"]);
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root && !Path::new("/etc/edgar-watch/config.toml").exists() {
        assert_eq!(output.status.code(), Some(78));
        let reason = "(./config.toml is not used: root takes no configuration from the working directory; name it with --config)";
        assert!(text(&output.stderr).contains(reason), "{}", text(&output.stderr));
    } else if !is_root {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

#[test]
fn the_example_passes_check_config() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    let folder = tempfile::tempdir().expect("a folder");
    let output = edgar_watch(folder.path(), &["--config", example.to_str().expect("UTF-8"), "check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("requests a day   5958 at most on a business day"),
        "{}",
        text(&output.stdout)
    );
}

#[tokio::test]
async fn once_twice_in_a_row_sends_nothing_the_second_time() {
    let desk = install(archive(&[TestFiling::determination(2, "2026-03-19T14:00:00Z")])).await;
    let args: &[&str] = &["--config", "desk.toml", "once", "--since", "2026-01-01"];
    for n_mails in [1, 1] {
        let output = run(desk.folder.path(), args).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!((text(&output.stdout), text(&output.stderr)), ("", ""), "quiet when all is well");
        assert_eq!(read_mails(&desk.folder.path().join("mail")).len(), n_mails);
    }
    let alerts = run(desk.folder.path(), &["--config", "desk.toml", "alerts", "--json"]).await;
    let alert: Value = serde_json::from_str(text(&alerts.stdout)).expect("one JSON object");
    assert_eq!((&alert["schema"], &alert["id"]), (&Value::from(1), &Value::from("0009992000-26-000002")));
    assert_eq!(alert["notices"][0]["state"], "sent");
    assert_eq!(alert["missed_by_feed"], false);
    assert!(alert["sightings"]["feed"].is_string() && alert["lag_s"].as_i64() > Some(0), "{alert}");
    let status = run(desk.folder.path(), &["--config", "desk.toml", "status", "--json"]).await;
    let status: Value = serde_json::from_str(text(&status.stdout)).expect("one JSON object");
    assert_eq!((&status["filings"]["read"], &status["mail"]["sent"]), (&Value::from(1), &Value::from(1)));
}

#[tokio::test]
async fn a_dry_run_changes_and_sends_nothing() {
    let desk = install(archive(&[TestFiling::determination(2, "2026-03-19T14:00:00Z")])).await;
    let output =
        run(desk.folder.path(), &["--config", "desk.toml", "once", "--dry-run", "--since", "2026-01-01"]).await;
    assert_eq!(
        text(&output.stdout),
        "1 feed entries, 1 filings to read\nwould mail desk@example.com: [GANTRY MICRO, INC.] NASDAQ staff \
         determination: late 10-K (letter of 17 Mar 2026)\n"
    );
    assert_eq!(files_below(desk.folder.path()).len(), 1, "only the configuration is there");
}

#[tokio::test]
async fn a_dry_run_works_on_a_copy_of_a_store_in_use() {
    let desk = install(archive(&[TestFiling::determination(2, "2026-03-19T14:00:00Z")])).await;
    let once = run(desk.folder.path(), &["--config", "desk.toml", "once"]).await;
    assert_eq!(once.status.code(), Some(0), "{}", text(&once.stderr));
    let dry = run(desk.folder.path(), &["--config", "desk.toml", "once", "--dry-run", "--since", "2026-01-01"]).await;
    assert_eq!(dry.status.code(), Some(0), "{}", text(&dry.stderr));
    assert!(text(&dry.stdout).contains("would mail desk@example.com"), "{}", text(&dry.stdout));
}

#[tokio::test]
async fn exit_codes_say_who_is_to_act() {
    let desk = install(Archive::default()).await;
    let once: &[&str] = &["--config", "desk.toml", "once"];
    desk.edgar.script(|_, _| Some(page(axum::http::StatusCode::SERVICE_UNAVAILABLE, "maintenance")));
    let output = run(desk.folder.path(), once).await;
    assert_eq!(output.status.code(), Some(75));
    assert_eq!(text(&output.stderr), "edgar-watch: fetch feed \"getcurrent 8-K\" from 0: HTTP 503\n", "one line");

    let tool = "Your Request Originates from an Undeclared Automated Tool";
    desk.edgar.script(move |_, _| Some(page(axum::http::StatusCode::FORBIDDEN, tool)));
    assert_eq!(run(desk.folder.path(), once).await.status.code(), Some(78));
}

#[tokio::test]
async fn edgar_out_of_reach_is_named_and_is_75() {
    let desk = install(Archive::default()).await;
    let config = DeskPlan::default().text("http://127.0.0.1:9");
    std::fs::write(desk.folder.path().join("desk.toml"), config).expect("a file");
    let output = run(desk.folder.path(), &["--config", "desk.toml", "once"]).await;
    assert_eq!(output.status.code(), Some(75));
    assert_eq!(
        text(&output.stderr),
        "edgar-watch: fetch feed \"getcurrent 8-K\" from 0: no connection: Connection refused (os error 111)\n"
    );
}

#[tokio::test]
async fn two_at_once_never_run() {
    let desk = install(Archive::default()).await;
    if !crate::support::store::is_file() {
        return;
    }
    let place = crate::support::store::place_in(desk.folder.path(), "desk.toml");
    let lock = edgar_watch::store::try_lock(&place).expect("a lock file").expect("the lock");
    let output = run(desk.folder.path(), &["--config", "desk.toml", "once"]).await;
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "said at info level only");
    assert_eq!(desk.edgar.asked().len(), 0);
    drop(lock);
    run(desk.folder.path(), &["--config", "desk.toml", "once"]).await;
    assert!(!desk.edgar.asked().is_empty());
}

#[test]
fn the_demo_needs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
        .arg("demo")
        .current_dir(folder.path())
        .env("TMPDIR", folder.path())
        .env("SSL_CERT_FILE", "/dev/null")
        .env("http_proxy", "http://127.0.0.1:9")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.contains("14 feed entries, 13 filings, 11 read, 3 alerts, 3 mails"), "{printed}");
    assert!(printed.contains("[HLYD] NASDAQ staff determination: late 10-K (letter of 5 Mar 2007)"), "{printed}");
    assert!(printed.contains("Second cycle over the same feed: 14 feed entries, 0 new, 0 mails."), "{printed}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn explain_prints_one_object_for_each_document_and_one_for_the_filing() {
    let folder = tempfile::tempdir().expect("a folder");
    let filing = TestFiling::determination(1, "2026-03-19T16:00:05Z");
    std::fs::write(folder.path().join("filing.txt"), filing.submission()).expect("a file");
    let output = edgar_watch(folder.path(), &["explain", "--json", "filing.txt"]);
    let objects: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ids: Vec<&str> = objects.iter().map(|object| object["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["body.txt", "filing"]);
    assert_eq!(objects[0]["document_type"], "8-K");
    assert_eq!(objects[1]["alert"], true);
    let event = &objects[1]["events"][0];
    assert_eq!((&event["kind"], &event["rules"][0]), (&Value::from("staff_determination"), &Value::from("5250(c)(1)")));

    // Positions count Unicode scalar values of what --text prints.
    let shown = edgar_watch(folder.path(), &["explain", "--text", "filing.txt"]);
    let evidence = &objects[0]["events"][0]["evidence"][0];
    let place = |key: &str| usize::try_from(evidence[key].as_u64().expect("a number")).expect("small");
    let cut: String = text(&shown.stdout).chars().skip(place("start")).take(place("end") - place("start")).collect();
    assert_eq!(evidence["text"], cut);
}

#[test]
fn explain_reads_corpus_records_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = |id: &str, text: &str| {
        serde_json::json!({"id": id, "form": "8-K", "document_type": "EX-99.1", "filed": null, "issuer": null,
            "format": "text", "text": text, "alert": false, "events": [], "history_dates": []})
    };
    let lines = format!("{}\n{}\n", record("b", "Nothing."), record("a", "<p>Nothing</p> <p>either.</p>"));
    std::fs::write(folder.path().join("records.jsonl"), lines).expect("a file");
    let output = edgar_watch(folder.path(), &["explain", "--json", "--jsonl", "records.jsonl"]);
    let ids: Vec<String> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids, ["b", "a"]);
}

#[test]
fn explain_of_nothing_known_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = edgar_watch(folder.path(), &["explain", "nowhere.txt"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "edgar-watch: nowhere.txt: no such file, and neither an accession number nor a filing's URL\n"
    );
}

#[tokio::test]
async fn test_mail_prints_the_other_sides_words() {
    let desk = install(Archive::default()).await;
    let output = run(desk.folder.path(), &["--config", "desk.toml", "test-mail", "me@example.com"]).await;
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("sent: written to "), "{}", text(&output.stdout));
    assert_eq!(read_mails(&desk.folder.path().join("mail")).len(), 1);
}

#[tokio::test]
async fn the_daemon_mails_and_stops_on_sigterm() {
    let desk = install(archive(&[TestFiling::determination(2, "2026-03-19T14:00:00Z")])).await;
    let mut daemon = tokio::process::Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
        .args(["--config", "desk.toml", "run", "--since", "2026-01-01"])
        .current_dir(desk.folder.path())
        .kill_on_drop(true)
        .spawn()
        .expect("the daemon starts");
    let mail = desk.folder.path().join("mail");
    let arrived = async {
        while read_mails(&mail).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), arrived).await.expect("a mail arrives");
    let pid = daemon.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    assert_eq!(daemon.wait().await.expect("it ends").code(), Some(0));
}

/// Only a build for tests dies on request.
#[cfg(not(feature = "fail-points"))]
#[test]
fn the_shipped_program_has_no_fail_points() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[edgar]\nuser_agent = \"Test Desk ops@example.com\"\nwww_url = \"http://127.0.0.1:9\"\n\
                  data_url = \"http://127.0.0.1:9\"\n[watch]\nissuers = [\"*\"]\n[store]\nurl = \"sqlite://state.db\"\n\
                  [mail]\nfrom = \"a@example.com\"\nowner = \"ops@example.com\"\ntransport = \"folder\"\n";
    std::fs::write(folder.path().join("config.toml"), config).expect("a file");
    let trace = folder.path().join("passed");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
        .args(["once", "--config", "config.toml"])
        .current_dir(folder.path())
        .env("EDGAR_WATCH_DIE_AT", "before bring the schema up to date#1")
        .env("EDGAR_WATCH_PASSED", &trace)
        .env("EDGAR_WATCH_STARTED_AT", "2001-01-01T00:00:00Z")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(75), "EDGAR is out of reach, and nothing else ended it");
    assert!(!trace.exists(), "no point was passed");
    let binary = std::fs::read(env!("CARGO_BIN_EXE_edgar-watch")).expect("the binary");
    for name in ["EDGAR_WATCH_DIE_AT", "EDGAR_WATCH_PASSED", "EDGAR_WATCH_STARTED_AT"] {
        assert!(memchr::memmem::find(&binary, name.as_bytes()).is_none(), "{name} is in the binary");
    }
}
