//! Real peers: dkimpy and Python's own mail parser read what we write, Postfix takes it and sends back what it cannot
//! deliver. Debian packages: python3-dkim, python3-nacl, postfix, sasl2-bin, libsasl2-modules, openssl.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use edgar_watch::demo::edgar::{Archive, LoopbackEdgar};
use edgar_watch::store::{Store, Which};
use mail_parser::Message;
use serde_json::{Value, json};

use crate::support::browser::PUBLIC_URL;
use crate::support::filings::TestFiling;
use crate::support::smtp::{Act, FakeSmtp, Step};
use crate::support::{Desk, DeskPlan, edgar_watch, files_below, read_mails, text, until};

const NOON: &str = "2026-03-19T16:00:00Z";

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// Whether a command is there and works. Says plainly what is skipped where it is not.
fn is_there(program: &str, args: &[&str], skipped: &str) -> bool {
    let works = Command::new(program).args(args).output().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("SKIPPED: {skipped}: {program} {} does not work here", args.join(" "));
    }
    works
}

const PYTHON: &str = "/usr/bin/python3";

fn has_dkimpy(skipped: &str) -> bool {
    is_there(PYTHON, &["-c", "import dkim, nacl"], skipped) && is_there("openssl", &["version"], skipped)
}

fn openssl(folder: &Path, args: &[&str]) {
    let done = Command::new("openssl").args(args).current_dir(folder).output().expect("openssl runs");
    assert!(done.status.success(), "{}", text(&done.stderr));
}

/// Reads mails with other people's programs.
fn check_mails(records: &Value, mails: &[PathBuf]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("records.json");
    std::fs::write(&file, records.to_string()).expect("a file");
    let done = Command::new(PYTHON).arg(peers().join("check_mail.py")).arg(&file).args(mails).output();
    let done: Output = done.expect("Python runs");
    assert!(done.status.success(), "{}", text(&done.stderr));
    text(&done.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn take(desk: &Desk, filing: &TestFiling) {
    desk.clock.set(&filing.accepted_at.to_rfc3339());
    desk.edgar.change(|archive| filing.publish(archive));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
    desk.watcher.deliver(None).await.expect("a delivery");
}

/// A name with everything that does not belong in a header.
const HOSTILE: &str = "GANTRY\r\nBcc: evil@example.com\r\n\r\nM\u{fc}ller & S\u{f8}n \u{1f600} \"A/S\" <b>";

#[tokio::test]
async fn others_find_our_mails_in_order_and_both_signatures_good() {
    if !has_dkimpy("DKIM and MIME against dkimpy and Python") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    openssl(folder.path(), &["genpkey", "-algorithm", "ed25519", "-out", "ed.pem"]);
    openssl(folder.path(), &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"]);
    let keys: String = ["ed", "rsa"]
        .iter()
        .map(|key| {
            let file = folder.path().join(format!("{key}.pem"));
            format!("[[mail.dkim]]\nselector = \"{key}2026\"\nkey_file = \"{}\"\n", file.display())
        })
        .collect();
    let pages = format!("[http]\npublic_url = \"{PUBLIC_URL}\"\n");
    let subscriptions = "[[subscription]]\nemail = \"desk@example.com\"\n[[subscription]]\nemail = \"digest@example.com\"\n\
                         delivery = \"daily\"\ndates = \"de_DE\"\n";
    let plan = DeskPlan { subscriptions: format!("{keys}{pages}{subscriptions}").leak(), ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("the baseline");
    let filing = TestFiling { name: HOSTILE, ..TestFiling::determination(1, "2026-03-19T16:05:00Z") };
    take(&desk, &filing).await;
    desk.clock.set("2026-03-20T12:00:00Z");
    desk.watcher.deliver(None).await.expect("a delivery");

    let records: serde_json::Map<String, Value> = desk
        .settings
        .mail
        .dkim
        .iter()
        .map(|key| {
            let (name, value) = key.record();
            (name, json!(value))
        })
        .collect();
    assert_eq!(records.len(), 2);
    let mails = files_below(&desk.mail_folder());
    let found = check_mails(&json!(records), &mails);
    assert_eq!(found.len(), 2, "a notice and a digest");
    for mail in &found {
        assert_eq!(mail["faults"], json!([]), "{mail:#}");
        let signatures = mail["signatures"].as_array().expect("signatures");
        let algorithms: Vec<&Value> = signatures.iter().map(|signature| &signature["a"]).collect();
        assert_eq!(algorithms, ["ed25519-sha256", "rsa-sha256"]);
        for signature in signatures {
            assert_eq!(signature["verified"], true, "{mail:#}");
            let oversigned = signature["oversigned"].to_string();
            for name in ["from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post"] {
                assert!(oversigned.contains(&format!("\"{name}\"")), "{name} in {oversigned}");
            }
        }
        assert!(mail["headers"].get("Bcc").is_none(), "{mail:#}");
        assert_eq!(mail["headers"]["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
        assert!(mail["html_bytes"].as_i64().is_some_and(|n| (1000..100_000).contains(&n)), "{mail:#}");
    }
    let notice = found.iter().find(|mail| mail["headers"]["X-EDGAR-CIK"].is_string()).expect("the notice");
    assert!(
        notice["headers"]["Subject"]
            .as_str()
            .is_some_and(|subject| subject.contains("M\u{fc}ller & S\u{f8}n \u{1f600}"))
    );
    assert_eq!(
        notice["parts"],
        json!(["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar"])
    );
    assert_eq!(notice["date"], "2026-03-19T16:05:00+00:00");

    // One letter changed anywhere, and no signature holds.
    let mail = std::fs::read(&mails[0]).expect("a mail");
    for (from, to) in [("Subject: ", "Subject: x"), ("charset", "Charset"), ("EDGAR lists", "EDGAR  lists")] {
        let changed = String::from_utf8_lossy(&mail).replacen(from, to, 1);
        if changed.as_bytes() != mail && from != "EDGAR lists" && from != "charset" {
            let file = folder.path().join("changed.eml");
            std::fs::write(&file, changed).expect("a file");
            let found = check_mails(&json!(records), &[file]);
            assert!(found[0]["signatures"].as_array().expect("signatures").iter().all(|one| one["verified"] == false));
        }
    }
}

/// A Postfix that is stopped in the end.
struct Postfix {
    folder: tempfile::TempDir,
    port: u16,
}

impl Postfix {
    fn start(next: &FakeSmtp) -> Option<Self> {
        const SKIPPED: &str = "delivery through a real Postfix";
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        if !is_root {
            eprintln!("SKIPPED: {SKIPPED}: Postfix is started by root alone");
            return None;
        }
        let is_installed = ["/usr/sbin/postfix", "/usr/sbin/saslpasswd2", "/usr/bin/openssl"]
            .iter()
            .all(|file| Path::new(file).exists());
        if !is_installed {
            eprintln!("SKIPPED: {SKIPPED}: postfix, sasl2-bin or openssl is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let done = Command::new(peers().join("postfix"))
            .arg("start")
            .arg(folder.path())
            .args([port.to_string(), next.port().to_string()])
            .output()
            .expect("the script runs");
        assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
        Some(Self { folder, port })
    }

    /// The mails of a user, once there are so many.
    async fn mails(&self, user: &str, n: usize) -> Vec<PathBuf> {
        let new = self.folder.path().join("mail").join(user).join("new");
        let look = || {
            let mut files = if new.exists() { files_below(&new) } else { Vec::new() };
            files.sort();
            (files.len() >= n).then_some(files)
        };
        until(&format!("{n} mails for {user}, see {}/maillog", self.folder.path().display()), look).await
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = Command::new(peers().join("postfix")).arg("stop").arg(self.folder.path()).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_takes_mail_over_tls_and_sends_back_what_it_cannot_deliver() {
    // Postfix takes this one's mail and finds out later that nobody wants it.
    let next = FakeSmtp::scripted(|step, _| match step {
        Step::Rcpt => Act::Say("550 5.1.1 this mailbox is gone"),
        _ => Act::Go,
    })
    .await;
    let Some(postfix) = Postfix::start(&next) else { return };
    let smtp_keys = format!(
        "tls = \"starttls\"\nca_file = \"{0}/ca.pem\"\nusername = \"edgar-watch@example.test\"\n\
         password_file = \"{0}/password\"\n",
        postfix.folder.path().display()
    );
    let plan = || DeskPlan {
        smtp_port: Some(postfix.port),
        mail_keys: "inbound = \"edgar-watch@example.test\"\n",
        smtp_keys: smtp_keys.clone().leak(),
        subscriptions: "[[subscription]]\nemail = \"desk@example.test\"\n[[subscription]]\nemail = \"gone@example.test\"\n\
                        [[subscription]]\nemail = \"unknown@example.test\"\n",
        ..DeskPlan::default()
    };
    let desk = plan().open(Archive::default(), NOON).await;
    std::fs::write(desk.folder.path().join("desk.toml"), desk.text(&plan())).expect("a file");
    desk.watcher.poll(None).await.expect("the baseline");
    take(&desk, &TestFiling::determination(1, "2026-03-19T16:05:00Z")).await;

    let silenced = |address: &'static str| {
        let store = desk.watcher.store.clone();
        async move {
            let rows = store.subscriptions(Which::Address(address)).await.expect("subscriptions");
            rows[0].silenced.as_ref().map(|(silence, _, _)| silence.as_str())
        }
    };
    let mails = postfix.mails("desk", 1).await;
    if has_dkimpy("what Postfix delivered, read by Python") {
        let found = check_mails(&json!({}), &mails);
        assert_eq!(found[0]["faults"], json!([]), "{:#}", found[0]);
        assert!(found[0]["headers"]["Return-Path"].as_str().is_some_and(|path| path.starts_with("<edgar-watch+b")));
    }
    assert_eq!(silenced("unknown@example.test").await, Some("bounced"), "refused at RCPT");
    assert_eq!(silenced("gone@example.test").await, None, "taken, so far");

    // The bounce is Postfix's own, to the signed sender; it lies in our mailbox.
    let bounces = postfix.mails("edgar-watch", 1).await;
    assert!(bounces[0].exists());
    let maildir = postfix.folder.path().join("mail/edgar-watch");
    let folder = desk.folder.path().to_owned();
    let taken = tokio::task::spawn_blocking(move || {
        edgar_watch(&folder, &["--config", "desk.toml", "inbound", "--maildir", &maildir.display().to_string()])
    });
    let taken = taken.await.expect("the binary runs");
    assert!(
        text(&taken.stdout).contains("no more mail to that address: failed 5.1.1"),
        "{}{}",
        text(&taken.stdout),
        text(&taken.stderr)
    );
    assert_eq!(silenced("gone@example.test").await, Some("bounced"));

    let folder = desk.folder.path().to_owned();
    let tested = tokio::task::spawn_blocking(move || {
        edgar_watch(&folder, &["--config", "desk.toml", "test-mail", "other@example.test"])
    });
    let tested = tested.await.expect("the binary runs");
    let said = text(&tested.stdout);
    assert_eq!(tested.status.code(), Some(0), "{said}{}", text(&tested.stderr));
    for words in ["STARTTLS", "TLSv1_3", "AUTH", "RCPT", "250 2.0.0 Ok: queued as"] {
        assert!(said.contains(words), "{words} in\n{said}");
    }
    postfix.mails("other", 1).await;
}

/// The daemon itself with pages on a port of its own, mailing into a folder, and a Chromium in front of it.
struct Daemon {
    folder: tempfile::TempDir,
    edgar: LoopbackEdgar,
    base: String,
    child: std::process::Child,
}

impl Daemon {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let base = format!("http://127.0.0.1:{port}/edgar");
        let plan = DeskPlan {
            poll: "interval = \"200ms\"\noff_hours_interval = \"200ms\"".to_owned(),
            subscriptions: "",
            ..DeskPlan::default()
        };
        let pages = format!("[http]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"{base}\"\npublic = true\n");
        let config = format!("{}{pages}", plan.text(&edgar.url()));
        std::fs::write(folder.path().join("desk.toml"), config).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
            .args(["--config", "desk.toml", "run"])
            .current_dir(folder.path())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the daemon starts");
        let daemon = Self { folder, edgar, base, child };
        until("the pages are served", || std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)).await;
        daemon
    }

    /// The mail whose subject holds some words, once it is there.
    async fn mail(&self, words: &str) -> Message<'static> {
        let folder = self.folder.path().join("mail");
        let find = || {
            let mails = if folder.exists() { read_mails(&folder) } else { Vec::new() };
            mails.into_iter().find(|mail| mail.subject().unwrap_or_default().contains(words))
        };
        until(words, find).await
    }

    async fn browse(&self, args: &[&str]) {
        let mut command = tokio::process::Command::new(PYTHON);
        let done = command.arg(peers().join("browse.py")).args(args).output().await.expect("Python runs");
        assert!(done.status.success(), "{args:?}: {}{}", text(&done.stdout), text(&done.stderr));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn link(mail: &Message<'_>, part: &str) -> String {
    let text = mail.body_text(0).unwrap_or_default().into_owned();
    let found = text.split_whitespace().find(|word| word.starts_with("http") && word.contains(part));
    found.unwrap_or_else(|| panic!("no link with {part} in\n{text}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_browser_subscribes_and_leaves() {
    let skipped = "the pages in a real Chromium";
    let is_installed = is_there(PYTHON, &["-c", "import selenium"], skipped)
        && is_there("/usr/bin/chromium", &["--version"], skipped)
        && is_there("/usr/bin/chromedriver", &["--version"], skipped);
    if !is_installed {
        return;
    }
    let daemon = Daemon::start().await;
    let pictures = std::env::var("PICTURES").map_or_else(|_| daemon.folder.path().join("pictures"), PathBuf::from);
    std::fs::create_dir_all(&pictures).expect("a folder");
    let out = pictures.to_str().expect("a path");
    daemon.browse(&["subscribe", &daemon.base, "reader@example.net", out]).await;
    let asked = daemon.mail("Confirm").await;
    daemon.browse(&["confirm", &link(&asked, "/confirm/"), out]).await;

    let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    daemon.edgar.change(|archive| TestFiling::determination(1, &now).publish(archive));
    let notice = daemon.mail("staff determination").await;
    daemon.browse(&["manage", &link(&notice, "/preferences/"), "2099-01-01", out]).await;
    let (list, page) = (format!("{}/", daemon.base), format!("{}/notices/0009992000-26-000001", daemon.base));
    daemon.browse(&["look", out, &list, &page, &format!("{}/preferences", daemon.base)]).await;
    for (name, mail) in [("mail-notice", &notice), ("mail-confirm", &asked)] {
        let file = daemon.folder.path().join(format!("{name}.html"));
        std::fs::write(&file, mail.body_html(0).expect("an HTML part").as_bytes()).expect("a file");
        daemon.browse(&["mails", out, file.to_str().expect("a path")]).await;
    }
    daemon.browse(&["unsubscribe", &link(&notice, "/unsubscribe/"), out]).await;
    let place = crate::support::store::place_in(daemon.folder.path(), "desk.toml");
    let store = Store::open_existing(&place).await.expect("the store");
    let rows = store.subscriptions(Which::Address("reader@example.net")).await.expect("subscriptions");
    assert!(rows[0].silenced.is_some());
}
