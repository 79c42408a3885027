//! The store on bad days: another program's schema, a folder that may not be written, a full disk, garbage.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use edgar_watch::classify::{Basis, EventKind, EventStatus, Exchange, ListingEvent};
use edgar_watch::demo::edgar::{Archive, LoopbackEdgar};
use edgar_watch::store::{OpenError, Store, StorePlace};
use sqlx::Connection;

use crate::support::filings::{TestFiling, archive};
use crate::support::smtp::{Act, FakeSmtp, Step};
use crate::support::store::is_file;
use crate::support::{Desk, DeskPlan, accession, read_mails};

fn file(path: &Path) -> StorePlace {
    StorePlace::file(path).expect("a path")
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    Store::open(&file(&path)).await.expect("a store").close().await;
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", path.display())).await.expect("the file");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (900, 'from the future', 1, x'00', 0)";
    sqlx::query(newer).execute(&pool).await.expect("a row");
    pool.close().await;
    let error = Store::open(&file(&path)).await.expect_err("it is newer");
    assert_eq!(error.to_string(), format!("{} has schema 900, this program knows up to 8: not opened", path.display()));
}

/// A store as the first schema had it, with a filing that was read and told.
async fn write_store_of_schema_1(path: &Path, filing: &TestFiling) {
    let first = include_str!("../../src/store/migrations/sqlite/0001_spine.sql");
    let migrations = tempfile::tempdir().expect("a folder");
    std::fs::write(migrations.path().join("0001_spine.sql"), first).expect("a file");
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.expect("a file");
    let migrator = sqlx::migrate::Migrator::new(migrations.path()).await.expect("a migration");
    migrator.run(&pool).await.expect("the first schema");
    let mut told = ListingEvent::bare(EventKind::StaffDetermination, EventStatus::New, Exchange::Nasdaq);
    told.bases = vec![Basis::LateFiling];
    told.received = Some("2026-03-17".parse().expect("a date"));
    let accession = filing.accession();
    let (number, at) = (accession.as_i64(), filing.accepted_at.timestamp_micros());
    let details = serde_json::to_string(&told).expect("JSON");
    for row in [
        format!(
            "INSERT INTO filings (accession, form, filing_date, accepted_at, seen_at, items, state)
             VALUES ({number}, '8-K', '{}', {at}, {at}, '3.01', 'read')",
            filing.filing_date
        ),
        format!("INSERT INTO filers VALUES ({number}, {}, '{}')", filing.cik, filing.name),
        format!("INSERT INTO events VALUES ({number}, 0, 'staff_determination', 'new', 'nasdaq', NULL, '{details}')"),
        format!("INSERT INTO alerts VALUES ('{accession}', {number}, {at}, '{{}}')"),
        format!(
            "INSERT INTO messages (id, message_id, recipient, subject, created_at, state, next_try_at)
             VALUES (1, 'one', 'desk@example.com', 'told', {at}, 'sent', {at})"
        ),
        format!("INSERT INTO notices VALUES ('{accession}', 'desk@example.com', 'mail', '[\"desk\"]', {at}, 1)"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(row)).execute(&pool).await.expect("a row");
    }
    pool.close().await;
}

async fn newest_migration(path: &Path) -> i64 {
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", path.display())).await.expect("a database");
    let (version,): (i64,) =
        sqlx::query_as("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(&pool).await.expect("a version");
    pool.close().await;
    version
}

#[tokio::test]
async fn a_store_of_the_first_schema_keeps_its_rows_and_its_events_are_linked() {
    if !is_file() {
        return;
    }
    let told = TestFiling { cik: 9_991_500, ..TestFiling::determination(1, "2026-03-19T14:00:00Z") };
    let mut desk = Desk::open(Archive::default(), "2026-03-19T16:00:00Z").await;
    desk.watcher.store.close().await;
    let path = desk.folder.path().join("state.db");
    std::fs::remove_file(&path).expect("the store");
    write_store_of_schema_1(&path, &told).await;
    // Commands that only look change nothing.
    let as_it_is = Store::open_existing(&file(&path)).await.expect("the store");
    let error = as_it_is.withheld_from("any").await.expect_err("the first schema").to_string();
    assert!(
        error.ends_with("an earlier version wrote it, `edgar-watch run` or `once` brings it up to date"),
        "{error}"
    );
    as_it_is.close().await;
    // Without a copy of what it was, nothing is brought up to date.
    let copy = desk.folder.path().join("state.db.before-upgrade");
    let passing = desk.folder.path().join("state.db.upgrading.tmp");
    std::fs::create_dir(&passing).expect("something in its place");
    let error = Store::open(&file(&path)).await.expect_err("no copy").to_string();
    assert!(error.contains("no copy of the store could be made, which an upgrade begins with"), "{error}");
    assert_eq!(newest_migration(&path).await, 1);
    std::fs::remove_dir(&passing).expect("an empty folder");
    desk.restart().await;
    assert_eq!((newest_migration(&copy).await, newest_migration(&path).await), (1, 8));
    let store = desk.watcher.store.clone();
    let notices = store.notices_of(&told.accession().to_string()).await.expect("notices");
    assert_eq!(
        (notices[0].recipient.as_str(), notices[0].subscriptions.as_slice()),
        ("desk@example.com", &["desk".to_owned()][..])
    );
    assert_eq!(store.events(told.accession()).await.expect("events").len(), 1);
    assert_eq!(store.links_of(told.accession()).await.expect("links"), Vec::new());

    desk.watcher.poll(None).await.expect("the baseline");
    let again = TestFiling { cik: 9_991_500, ..TestFiling::determination(2, "2026-03-19T16:00:20Z") };
    desk.edgar.change(|archive| again.publish(archive));
    desk.clock.advance(std::time::Duration::from_secs(60));
    desk.watcher.cycle(None).await.expect("a cycle");
    let links = store.links_of(again.accession()).await.expect("links");
    assert_eq!((links[0].letter.accession, links[0].relation.as_str()), (told.accession(), "repeat"));
    assert_eq!(store.links_of(told.accession()).await.expect("links").len(), 1);
    // The first schema did not keep what the recipient had asked for.
    assert_eq!(desk.subjects().len(), 1, "when unsure, it is sent");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    std::fs::write(&path, "This was a shopping list. ".repeat(100)).expect("a file");
    let error = Store::open(&file(&path)).await.expect_err("no database");
    assert_eq!(
        error.to_string(),
        format!("store {}: file is not a database: the file is damaged, restore it from a backup", path.display())
    );
    assert!(matches!(error, OpenError::Broken { .. }));
}

/// A desk on disk whose folder is prepared by `prepare`, and `once` run in it as nobody when this test is root.
async fn once_in(folder: &Path, edgar: &LoopbackEdgar) -> Output {
    let config = folder.join("desk.toml");
    std::fs::write(&config, DeskPlan::default().text(&edgar.url())).expect("a file");
    run_once(&config, None).await
}

async fn run_once(config: &Path, user: Option<u32>) -> Output {
    // Another user may not be allowed into the folder of the build.
    let bin = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(bin.path(), PermissionsExt::from_mode(0o755)).expect("rights");
    let program: PathBuf = bin.path().join("edgar-watch");
    std::fs::copy(env!("CARGO_BIN_EXE_edgar-watch"), &program).expect("a copy");
    let mut command = Command::new(&program);
    command.arg("--config").arg(config).args(["once", "--since", "2026-01-01"]).env_remove("RUST_LOG");
    if let Some(user) = user {
        command.uid(user);
    }
    tokio::task::spawn_blocking(move || command.output().expect("the binary runs")).await.expect("the binary runs")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_is_named_and_is_75() {
    if !is_file() {
        return;
    }
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("desk.toml");
    std::fs::write(&config, DeskPlan::default().text(&edgar.url())).expect("a file");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).expect("rights");
    let output = run_once(&config, is_root().then_some(65534)).await;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("rights");
    assert_eq!(output.status.code(), Some(75));
    let path = folder.path().join("state.db.lock");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("edgar-watch: lock file {}: Permission denied (os error 13)\n", path.display())
    );
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    if !is_file() {
        return;
    }
    if !is_root() {
        eprintln!("skipped: only root can mount a small disk");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(folder.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a small disk cannot be mounted here");
        return;
    }
    let edgar =
        LoopbackEdgar::start(archive(&[TestFiling::determination(1, "2026-03-19T14:00:00Z")])).await.expect("a port");
    let ballast = folder.path().join("ballast");
    let first = once_in(folder.path(), &edgar).await;
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));

    edgar.change(|archive| {
        for number in 2..150 {
            TestFiling::ordinary(number, "2026-03-19T14:30:00Z").announce(archive);
        }
        TestFiling::determination(700, "2026-03-19T15:00:00Z").publish(archive);
    });
    fill(&ballast);
    let full = once_in_kept(folder.path()).await;
    let said = String::from_utf8_lossy(&full.stderr).into_owned();
    assert_eq!(full.status.code(), Some(75), "{said}");
    assert!(said.contains("make room on its disk"), "{said}");

    std::fs::remove_file(&ballast).expect("room");
    let healed = once_in_kept(folder.path()).await;
    assert_eq!(healed.status.code(), Some(0), "{}", String::from_utf8_lossy(&healed.stderr));
    // The owner is told besides that so small a disk has little room.
    let mails = read_mails(&folder.path().join("mail"));
    let n_mails = mails.iter().filter(|mail| mail.subject().is_some_and(|subject| subject.contains("GANTRY"))).count();
    Command::new("umount").arg("-l").arg(folder.path()).status().expect("umount runs");
    assert_eq!(n_mails, 2, "both alerts, once the disk has room");
}

/// Writes until the disk is full.
fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(ballast).expect("a file");
    while file.write_all(&[0; 512]).is_ok() {}
}

async fn once_in_kept(folder: &Path) -> Output {
    run_once(&folder.join("desk.toml"), None).await
}

#[tokio::test]
async fn state_survives_a_restart() {
    let mut desk = Desk::open(Archive::default(), "2026-03-19T16:00:00Z").await;
    desk.watcher.poll(None).await.expect("the baseline");
    desk.edgar.change(|archive| TestFiling::determination(1, "2026-03-19T16:00:05Z").publish(archive));
    desk.clock.advance(std::time::Duration::from_secs(10));
    desk.watcher.poll(None).await.expect("a poll");
    desk.restart().await;
    desk.watcher.read(None).await.expect("a reading");
    desk.restart().await;
    desk.watcher.deliver(None).await.expect("a delivery");
    desk.restart().await;
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn a_store_that_another_program_holds_costs_a_cycle_and_nothing_else() {
    if !is_file() {
        return;
    }
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T15:00:00Z")]), "2026-03-19T16:00:00Z").await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.edgar.change(|archive| TestFiling::determination(2, "2026-03-19T16:00:05Z").publish(archive));
    desk.clock.advance(std::time::Duration::from_secs(10));
    let url = format!("sqlite://{}?mode=rw", desk.settings.store);
    let mut other = sqlx::AnyConnection::connect(&url).await.expect("a connection");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
    // SQLite waits for ten seconds before it says so.
    let error = desk.watcher.poll(None).await.expect_err("the store is held");
    assert!(error.to_string().ends_with("database is locked: another program holds it"), "{error}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("the lock is let go");
    desk.watcher.cycle(None).await.expect("a cycle");
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn a_damaged_page_is_named_and_what_lies_elsewhere_is_still_told() {
    if !is_file() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let edgar = LoopbackEdgar::start(Archive::default()).await.expect("a port");
    let first = once_in(folder.path(), &edgar).await;
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    edgar.change(|archive| {
        for number in 2..400 {
            TestFiling::ordinary(number, "2026-03-19T14:30:00Z").announce(archive);
        }
    });
    once_in_kept(folder.path()).await;
    let path = folder.path().join("state.db");
    let (whole, page) = (std::fs::read(&path).expect("the store"), root_page_of_filings(&path).await);
    let mut damaged = whole.clone();
    damaged[page * PAGE_BYTES..][..PAGE_BYTES].fill(0xA5);
    std::fs::write(&path, &damaged).expect("damaged");
    edgar.change(|archive| TestFiling::determination(700, "2026-03-19T15:00:00Z").publish(archive));
    let output = once_in_kept(folder.path()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("the file is damaged, restore it from a backup") && said.contains("state.db"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    // A backup put back goes on where it was.
    std::fs::write(&path, &whole).expect("restored");
    let output = once_in_kept(folder.path()).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(read_mails(&folder.path().join("mail")).len(), 1);
}

const PAGE_BYTES: usize = 4096;

/// Where the table of filings begins in the file, in pages from 0.
async fn root_page_of_filings(path: &Path) -> usize {
    let mut store =
        sqlx::AnyConnection::connect(&format!("sqlite://{}?mode=rw", path.display())).await.expect("a store");
    // What stands in the log is folded in, so that the file is all there is.
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut store).await.expect("folded in");
    let (page,): (i64,) = sqlx::query_as("SELECT rootpage FROM sqlite_schema WHERE name = 'filings'")
        .fetch_one(&mut store)
        .await
        .expect("the table");
    store.close().await.expect("closed");
    usize::try_from(page).expect("a page") - 1
}

#[tokio::test]
async fn a_clock_that_jumps_back_an_hour_or_ahead_a_day_loses_nothing_and_repeats_nothing() {
    for jumps in [[-3600, 3600], [86_400, -86_400], [-3600, 90_000]] {
        let relay = FakeSmtp::scripted({
            let n_asked = std::sync::atomic::AtomicUsize::new(0);
            // Every second mail is to come again, so that there is always one to be tried later.
            move |step, _| match step {
                Step::Dot if n_asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst).is_multiple_of(2) => {
                    Act::Say("451 4.3.0 come again")
                }
                _ => Act::Go,
            }
        })
        .await;
        let plan = DeskPlan { smtp_port: Some(relay.port()), ..DeskPlan::default() };
        let desk = plan.open(archive(&[TestFiling::ordinary(1, "2026-03-19T15:00:00Z")]), "2026-03-19T16:00:00Z").await;
        desk.watcher.cycle(None).await.expect("the baseline");
        let mut letters = Vec::new();
        for (number, jump) in (2..).zip([0].into_iter().chain(jumps).chain([0])) {
            desk.clock.jump(jump);
            let letter = TestFiling::determination(number, &format!("2026-03-19T16:{number:02}:00Z"));
            desk.edgar.change(|archive| {
                letter.announce(archive);
                if number % 2 == 0 {
                    letter.file(archive);
                }
            });
            let _ = desk.watcher.cycle(None).await;
            // A text that comes late is asked for again.
            desk.edgar.change(|archive| letter.file(archive));
            desk.clock.advance(std::time::Duration::from_secs(60));
            let _ = desk.watcher.cycle(None).await;
            letters.push(letter.accession().to_string());
        }
        for _ in 0..20 {
            desk.clock.advance(std::time::Duration::from_secs(600));
            let _ = desk.watcher.cycle(None).await;
        }
        let mut told: Vec<String> = relay
            .taken()
            .iter()
            .map(|taken| accession(&mail_parser::MessageParser::default().parse(&taken.bytes).expect("a mail")))
            .filter(|accession| !accession.is_empty())
            .collect();
        told.sort();
        assert_eq!(told, letters, "{jumps:?}");
    }
}
