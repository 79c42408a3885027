//! README and docs/: every command in a `sh` block is run, every `toml` block is loaded. Blocks marked `sh external` need a
//! service manager, root, the network or another program; the package's are played in tests/systemd.

use std::path::{Path, PathBuf};
use std::process::Command;

use edgar_watch::demo::edgar::LoopbackEdgar;
use rcgen::{KeyPair, PKCS_ED25519};

use crate::support::DeskPlan;
use crate::support::filings::{TestFiling, archive};
use crate::support::smtp::{Act, FakeSmtp, Step};

/// A fenced block: where it begins, what it is marked as, what it holds.
struct Block {
    place: String,
    mark: String,
    text: String,
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("docs"))
        .expect("docs")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.push(root.join("README.md"));
    files.sort();
    files
}

fn blocks(file: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(file).expect("a document");
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (number, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(mark) if !is_open => {
                let place = format!("{name}:{}", number + 1);
                blocks.push(Block { place, mark: mark.to_owned(), text: String::new() });
                is_open = true;
            }
            Some(_) => is_open = false,
            None if is_open => blocks.last_mut().expect("an open block").text.extend([line.trim_start(), "\n"]),
            None => {}
        }
    }
    assert!(!is_open, "{name}: a block is not closed");
    blocks
}

/// One table laid over another; what stands in both is the upper one's.
fn lay_over(lower: &mut toml::Table, upper: toml::Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(toml::Value::Table(lower)), toml::Value::Table(upper)) => lay_over(lower, upper),
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

/// Puts a file where a configuration names one.
fn make_files(folder: &Path, value: &toml::Value) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                match value {
                    // The program makes this one itself.
                    toml::Value::String(_) if key == "keys_file" => {}
                    toml::Value::String(name) if key.ends_with("_file") => {
                        let text = match key.as_str() {
                            "key_file" => KeyPair::generate_for(&PKCS_ED25519).expect("a key").serialize_pem(),
                            "url_file" => "https://hooks.example.com/alerts\n".to_owned(),
                            _ => "a secret of thirty characters.\n".to_owned(),
                        };
                        std::fs::write(folder.join(name), text).expect("a file");
                    }
                    value => make_files(folder, value),
                }
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| make_files(folder, item)),
        _ => {}
    }
}

#[test]
fn every_piece_of_configuration_loads() {
    let mut n_blocks = 0;
    for block in documents().iter().flat_map(|file| blocks(file)).filter(|block| block.mark == "toml") {
        n_blocks += 1;
        let folder = tempfile::tempdir().expect("a folder");
        let mut whole: toml::Table = DeskPlan::default().text("http://127.0.0.1:9").parse().expect("a configuration");
        let piece: toml::Table = block.text.parse().unwrap_or_else(|error| panic!("{}: {error}", block.place));
        make_files(folder.path(), &toml::Value::Table(piece.clone()));
        lay_over(&mut whole, piece);
        let output = {
            std::fs::write(folder.path().join("desk.toml"), whole.to_string()).expect("a file");
            Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
                .args(["--config", "desk.toml", "check-config"])
                .current_dir(folder.path())
                .output()
                .expect("the binary runs")
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}: {said}", block.place);
    }
    assert!(n_blocks > 10, "{n_blocks} blocks");
}

/// A desk as the documents assume it: one alert of filing 0009990901-26-000001, and mail number 2 set aside.
async fn desk(folder: &Path) -> (LoopbackEdgar, FakeSmtp) {
    let edgar =
        LoopbackEdgar::start(archive(&[TestFiling::determination(1, "2026-03-19T14:00:00Z")])).await.expect("a port");
    let relay = FakeSmtp::scripted(|step, line| match step {
        Step::Rcpt if line.contains("gone@example.com") => Act::Say("550 5.7.1 not from you"),
        _ => Act::Go,
    })
    .await;
    let subscriptions =
        "[[subscription]]\nemail = \"desk@example.com\"\n[[subscription]]\nemail = \"gone@example.com\"\n";
    let plan = DeskPlan { smtp_port: Some(relay.port()), subscriptions, ..DeskPlan::default() };
    std::fs::write(folder.join("config.toml"), plan.text(&edgar.url())).expect("a file");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::create_dir_all(folder.join("tests")).expect("a folder");
    std::os::unix::fs::symlink(&fixtures, folder.join("tests/fixtures")).expect("a link");
    std::os::unix::fs::symlink(fixtures.join("notices.jsonl"), folder.join("notices.jsonl")).expect("a link");
    let notice = "On March 17, 2026, Gantry Micro, Inc. received a Staff Determination letter from Nasdaq because it has not \
                  filed its Form 10-K for 2025, as Listing Rule 5250(c)(1) requires.\n";
    std::fs::write(folder.join("notice.txt"), notice).expect("a file");
    run(folder, "edgar-watch once --since 2026-03-01").await.unwrap_or_else(|said| panic!("the desk: {said}"));
    (edgar, relay)
}

/// A line of a shell, in a folder where the program is known. What it said, where it failed.
async fn run(folder: &Path, line: &str) -> Result<(), String> {
    let program = Path::new(env!("CARGO_BIN_EXE_edgar-watch"));
    let path = format!("{}:/usr/bin:/bin", program.parent().expect("its folder").display());
    let output = tokio::process::Command::new("bash")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path)
        .env("EDGAR_WATCH_CONFIG", folder.join("config.toml"))
        .env_remove("RUST_LOG")
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("ended with {:?}: {said}", output.status.code())) }
}

#[tokio::test]
async fn every_command_runs() {
    let (mut n_commands, mut faults) = (0, Vec::new());
    for file in documents() {
        let commands: Vec<Block> = blocks(&file).into_iter().filter(|block| block.mark == "sh").collect();
        if commands.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let _peers = desk(folder.path()).await;
        for block in commands {
            for line in block.text.replace("\\\n", "").lines().filter(|line| !line.trim().is_empty()) {
                n_commands += 1;
                if let Err(said) = run(folder.path(), line).await {
                    faults.push(format!("{}: {line}: {said}", block.place));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(n_commands > 20, "{n_commands} commands");
}

#[test]
fn every_block_says_what_it_is() {
    for block in documents().iter().flat_map(|file| blocks(file)) {
        assert!(
            ["sh", "sh external", "toml", "text", "json", "nginx"].contains(&block.mark.as_str()),
            "{}: marked \"{}\"",
            block.place,
            block.mark
        );
    }
}

/// Links between documents, and to files of the project.
#[test]
fn every_link_leads_somewhere() {
    for file in documents() {
        let text = std::fs::read_to_string(&file).expect("a document");
        let folder = file.parent().expect("its folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") {
                assert!(folder.join(path).exists(), "{}: {target}", file.display());
            }
        }
    }
}
