//! `demo`: the real client, store and mail path over an invented archive on this machine's loopback interface.

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, BufReader};
use tracing::Level;

use super::{Common, Failure, print};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::demo::edgar::LoopbackEdgar;
use crate::demo::{file_determination, invented_archive};
use crate::logging;
use crate::passes::Watcher;
use crate::store::{FilingState, Store};

/// A clock that runs from a fixed morning on, so that the archive is always fresh.
struct DemoClock {
    began_at: DateTime<Utc>,
    starts_at: DateTime<Utc>,
}

impl Clock for DemoClock {
    fn now(&self) -> DateTime<Utc> {
        self.starts_at + (Utc::now() - self.began_at)
    }

    fn sleep(&self, duration: std::time::Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // A future that owns nothing of the clock.
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Serve the archive for a configuration of yours instead, until stopped; each line on standard input, the Enter key
    /// for one, files a new staff determination
    #[arg(long, value_name = "ADDRESS")]
    serve: Option<SocketAddr>,
}

pub(super) async fn run(common: &Common, args: &DemoArgs) -> Result<(), Failure> {
    logging::start(Level::WARN, common.log_format);
    match args.serve {
        Some(address) => serve(address).await,
        None => show().await,
    }
}

/// An EDGAR to try a configuration on.
async fn serve(address: SocketAddr) -> Result<(), Failure> {
    let edgar = LoopbackEdgar::start_on(address, invented_archive())
        .await
        .map_err(|error| Failure::failed(format!("{address}: {error}")))?;
    let url = edgar.url();
    print(&format!(
        "An invented archive is served on {url}. Put into your configuration:\n\n\
         [edgar]\nwww_url = \"{url}\"\ndata_url = \"{url}\"\n\n\
         Enter files a new staff determination.\n"
    ))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut n_filed = 0;
    while let Ok(Some(_)) = lines.next_line().await {
        n_filed += 1;
        let mut name = String::new();
        edgar.change(|archive| name = file_determination(archive, n_filed, SystemClock.now()));
        print(&format!("filed by {name}\n"))?;
    }
    // Nobody types: it serves all the same.
    std::future::pending().await
}

async fn show() -> Result<(), Failure> {
    let folder = tempfile::Builder::new().prefix("edgar-watch-demo-").tempdir().map_err(Failure::failed)?.keep();
    let edgar = LoopbackEdgar::start(invented_archive()).await.map_err(Failure::failed)?;
    let text = format!(
        "[edgar]\nuser_agent = \"EDGAR Watch demo demo@example.com\"\nwww_url = \"{url}\"\ndata_url = \"{url}\"\n\
         max_requests_per_second = 100\n\
         [watch]\nissuers = [\"*\"]\n[store]\nurl = \"sqlite://state.db\"\n\
         [mail]\nfrom = \"EDGAR Watch <edgar-watch@example.com>\"\nowner = \"ops@example.com\"\ntransport = \"folder\"\n\
         [[subscription]]\nemail = \"desk@example.com\"\n",
        url = edgar.url()
    );
    let settings = Arc::new(config::parse(&text, "demo", &folder)?);
    let store = Store::open(&settings.store).await?;
    let starts_at = "2026-03-19T11:45:00Z".parse().map_err(Failure::failed)?;
    let clock = Arc::new(DemoClock { began_at: SystemClock.now(), starts_at });
    let watcher = Watcher::new(settings, store.clone(), Arc::new(store), clock)?;

    print("An invented archive is served on the loopback interface. First cycle:\n\n")?;
    // The oldest filing of the archive is of 2007.
    let since = NaiveDate::from_ymd_opt(2007, 1, 1);
    let polled = watcher.poll(since).await?;
    let read = watcher.read(None).await?;
    let delivered = watcher.deliver(None).await?;
    print(&format!(
        "  {} feed entries, {} filings, {} read, {} alerts, {} mails\n",
        polled.n_entries, polled.n_recorded, read.n_read, read.n_alerts, delivered.n_sent
    ))?;
    for filing in watcher.store.filings_in(FilingState::Found, 10).await? {
        let error = filing.last_error.unwrap_or_default();
        print(&format!("  not read, tried again later: {} {}: {error}\n", filing.accession, filing.name))?;
    }
    print_mails(&folder.join("mail"))?;

    let again = watcher.poll(None).await?;
    let delivered = watcher.deliver(None).await?;
    print(&format!(
        "Second cycle over the same feed: {} feed entries, {} new, {} mails.\n\nThe mails, HTML included, and the store are kept in {}\n",
        again.n_entries,
        again.n_recorded,
        delivered.n_sent,
        folder.display()
    ))?;
    watcher.store.close().await;
    Ok(())
}

/// Prints the text part of each mail in the folder, in the order of their names.
fn print_mails(folder: &std::path::Path) -> Result<(), Failure> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .map_err(Failure::failed)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths {
        let bytes = std::fs::read(&path).map_err(Failure::failed)?;
        let mail = print_mail(&bytes);
        print(&format!("\n{}\n{}\n{}\n", "-".repeat(78), mail, "-".repeat(78)))?;
    }
    print("\n")
}

/// The headers a reader sees and the text part.
fn print_mail(bytes: &[u8]) -> String {
    let Some(mail) = MessageParser::default().parse(bytes) else { return "an unreadable mail".to_owned() };
    let mut out = String::new();
    for name in ["From", "To", "Subject", "Message-ID", "X-EDGAR-Accession", "X-EDGAR-Event"] {
        if let Some(value) = mail.header_raw(name) {
            out.push_str(&format!("{name}: {}\n", value.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    out.push('\n');
    out.push_str(mail.body_text(0).unwrap_or_default().replace("\r\n", "\n").trim_end());
    out
}
