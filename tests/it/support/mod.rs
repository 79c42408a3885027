//! What the tests stand on: a desk with a loopback EDGAR, a store in a temporary folder and a clock that is driven.

pub mod browser;
pub mod filings;
pub mod simulated;
pub mod smtp;
pub mod store;
pub mod wire;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use edgar_watch::clock::Clock;
use edgar_watch::config::{self, Settings};
use edgar_watch::demo::edgar::{Archive, LoopbackEdgar};
use edgar_watch::passes::Watcher;
use edgar_watch::store::Store;
use mail_parser::{Message, MessageParser};
use tempfile::TempDir;

/// A clock that stands still until it is moved. Waiting on it moves it, so nothing waits for real.
#[derive(Debug, Clone)]
pub struct DrivenClock(Arc<Mutex<DateTime<Utc>>>);

impl DrivenClock {
    pub fn at(text: &str) -> Self {
        Self(Arc::new(Mutex::new(instant(text))))
    }

    pub fn set(&self, text: &str) {
        *self.0.lock().expect("no test panics while holding it") = instant(text);
    }

    /// As when somebody sets the machine's clock, by so many seconds.
    pub fn jump(&self, seconds: i64) {
        *self.0.lock().expect("no test panics while holding it") += chrono::TimeDelta::seconds(seconds);
    }

    pub fn advance(&self, duration: Duration) {
        *self.0.lock().expect("no test panics while holding it") += duration;
    }
}

impl Clock for DrivenClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("no test panics while holding it")
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.advance(duration);
            tokio::task::yield_now().await;
        })
    }
}

pub fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect(text)
}

/// One desk: everything the program needs, on loopback and in a folder of its own.
pub struct Desk {
    pub folder: TempDir,
    pub edgar: LoopbackEdgar,
    pub clock: DrivenClock,
    pub settings: Arc<Settings>,
    pub watcher: Watcher,
    /// The table `[store]` of its configuration.
    pub store: String,
}

/// The configuration of a desk, before it is set up. Text, so that tests read like a user's file.
pub struct DeskPlan {
    pub issuers: &'static str,
    pub forms: &'static str,
    pub subscriptions: &'static str,
    pub rate: u32,
    pub smtp_port: Option<u16>,
    /// Keys of `[poll]`.
    pub poll: String,
    /// More keys of `[mail]`.
    pub mail_keys: &'static str,
    /// More keys of `[mail.smtp]`.
    pub smtp_keys: &'static str,
}

impl Default for DeskPlan {
    fn default() -> Self {
        Self {
            issuers: "[\"*\"]",
            forms: "[\"8-K\", \"8-K/A\"]",
            subscriptions: "[[subscription]]\nemail = \"desk@example.com\"\n",
            rate: 1000,
            smtp_port: None,
            poll: String::new(),
            mail_keys: "",
            smtp_keys: "",
        }
    }
}

impl DeskPlan {
    /// With a store that is new.
    pub fn text(&self, edgar_url: &str) -> String {
        self.text_on(edgar_url, &store::section())
    }

    fn text_on(&self, edgar_url: &str, store: &str) -> String {
        let mail = match self.smtp_port {
            Some(port) => {
                format!("transport = \"smtp\"\n[mail.smtp]\nhost = \"127.0.0.1\"\nport = {port}\n{}\n", self.smtp_keys)
            }
            None => "transport = \"folder\"\n".to_owned(),
        };
        format!(
            "[edgar]\nuser_agent = \"Test Desk ops@example.com\"\nwww_url = \"{edgar_url}\"\ndata_url = \"{edgar_url}\"\n\
             max_requests_per_second = {}\n[watch]\nissuers = {}\nforms = {}\n[poll]\n{}\n{}\
             [mail]\nfrom = \"EDGAR Watch <edgar-watch@example.com>\"\nowner = \"ops@example.com\"\n{}{mail}{}",
            self.rate, self.issuers, self.forms, self.poll, store, self.mail_keys, self.subscriptions
        )
    }

    pub async fn open(self, archive: Archive, now: &str) -> Desk {
        self.open_at(archive, DrivenClock::at(now)).await
    }

    pub async fn open_at(self, archive: Archive, clock: DrivenClock) -> Desk {
        let edgar = LoopbackEdgar::start(archive).await.expect("a port");
        let url = edgar.url();
        self.open_on(edgar, &url, clock).await
    }

    /// The same for an EDGAR that is reached at another address.
    pub async fn open_on(self, edgar: LoopbackEdgar, url: &str, clock: DrivenClock) -> Desk {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = store::section();
        let settings = config::parse(&self.text_on(url, &store), "test", folder.path());
        let settings = Arc::new(settings.unwrap_or_else(|error| panic!("{error}")));
        let watcher = open_watcher(&settings, &clock).await;
        Desk { folder, edgar, clock, settings, watcher, store }
    }
}

async fn open_watcher(settings: &Arc<Settings>, clock: &DrivenClock) -> Watcher {
    let store = Store::open(&settings.store).await.expect("a store");
    Watcher::new(settings.clone(), store.clone(), Arc::new(store), Arc::new(clock.clone())).expect("a watcher")
}

impl Desk {
    /// A desk that watches everything, mails one address into a folder, and has not polled yet.
    pub async fn open(archive: Archive, now: &str) -> Self {
        DeskPlan::default().open(archive, now).await
    }

    /// The configuration of another plan, for the same EDGAR and the same store.
    pub fn text(&self, plan: &DeskPlan) -> String {
        plan.text_on(&self.edgar.url(), &self.store)
    }

    pub fn mail_folder(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// Every mail in the folder, in the order of their names.
    pub fn mails(&self) -> Vec<Message<'static>> {
        read_mails(&self.mail_folder())
    }

    pub fn subjects(&self) -> Vec<String> {
        self.mails().iter().map(|mail| mail.subject().unwrap_or_default().to_owned()).collect()
    }

    /// Ends this process's part, as far as a test can, and begins anew on the same store.
    pub async fn restart(&mut self) {
        self.watcher.store.close().await;
        self.watcher = open_watcher(&self.settings, &self.clock).await;
    }
}

pub fn read_mails(folder: &Path) -> Vec<Message<'static>> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.expect("a folder entry").path()).collect(),
        Err(_) => return Vec::new(),
    };
    // A mail that is being written has another name until it is whole.
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).expect("a mail");
            MessageParser::default().parse(&bytes).expect("a mail").into_owned()
        })
        .collect()
}

/// The filing that a mail is about; empty for a mail about none.
pub fn accession(mail: &Message) -> String {
    mail.header_raw("X-EDGAR-Accession").unwrap_or_default().trim().to_owned()
}

/// The binary, run in a folder to its end.
pub fn edgar_watch(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_edgar-watch"))
        .args(args)
        .current_dir(folder)
        .env_remove("EDGAR_WATCH_CONFIG")
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary runs")
}

/// What the binary printed.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The folder of real EDGAR files, when it lies beside the project. Says plainly when it does not.
pub fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(part);
    if path.exists() {
        Some(path)
    } else {
        eprintln!("skipped: {} is not there", path.display());
        None
    }
}

/// Every file below a folder, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("a folder entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Waits for something that another process does; it has no word for us when it is done.
pub async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let half_a_minute = std::time::Duration::from_secs(30);
    tokio::time::timeout(half_a_minute, seen).await.unwrap_or_else(|_| panic!("half a minute, and not yet: {what}"))
}
