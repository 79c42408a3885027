//! `reread`: what an older version read is read again, and what changed is told.

use std::sync::Arc;

use clap::Args;
use tracing::Level;

use super::{Common, Failure, print, system_clock};
use crate::classify::CLASSIFIER_VERSION;
use crate::edgar::ids::AccessionNumber;
use crate::passes::{Watcher, describe_news};
use crate::store::Store;

/// Arguments of `reread`.
#[derive(Debug, Args)]
pub(super) struct RereadArgs {
    /// Filings to read again [default: those that an older version has read]
    #[arg(value_name = "ACCESSION")]
    accessions: Vec<AccessionNumber>,
}

pub(super) async fn run(common: &Common, args: &RereadArgs) -> Result<(), Failure> {
    let settings = common.load_for_store(Some(Level::WARN))?;
    Store::open_existing(&settings.store).await?.close().await;
    let store = Store::open(&settings.store).await?;
    let clock = system_clock();
    let n_requeued = if args.accessions.is_empty() { store.requeue_parked(clock.now()).await? } else { 0 };
    let accessions = match args.accessions.as_slice() {
        [] => store.read_before(CLASSIFIER_VERSION).await?,
        named => named.to_vec(),
    };
    let watcher = Watcher::new(settings, store.clone(), Arc::new(store), clock)?;
    let mut n_changed = 0;
    for accession in &accessions {
        let Some(changed) = watcher.reread(*accession).await? else { continue };
        n_changed += 1;
        let (before, after) = (describe_news(&changed.before), describe_news(&changed.after));
        let news = if before == after { format!("{after}, in its details") } else { format!("{before} -> {after}") };
        print(&format!("{accession} {}: {news}\n", changed.name))?;
        if let Some(alert) = changed.alert {
            print(&format!("    nobody was mailed: edgar-watch alerts --resend {alert} --to ADDRESS\n"))?;
        }
    }
    watcher.store.close().await;
    print(&format!(
        "{} filings read again, {n_changed} changed; {n_requeued} that had been given up are tried again\n",
        accessions.len()
    ))
}
