//! `once`: one cycle. Quiet when all is well, so that cron mails nothing on a good day.

use std::sync::Arc;

use chrono::NaiveDate;
use clap::Args;
use tracing::Level;

use super::{Common, Failure, print, system_clock};
use crate::config::Settings;
use crate::mail;
use crate::passes::{Membership, PassError, Watcher};
use crate::store::{MessageState, OpenError, Store, StorePlace, try_lock};

/// Arguments of `once`.
#[derive(Debug, Args)]
pub(super) struct OnceArgs {
    /// Show what would be mailed, and change and send nothing
    #[arg(long)]
    dry_run: bool,

    /// Look back: alert about filings dated from this day on, as far as the feed reaches
    #[arg(long, value_name = "DATE")]
    since: Option<NaiveDate>,
}

pub(super) async fn run(common: &Common, args: &OnceArgs) -> Result<(), Failure> {
    let settings = common.load_for_store(Some(Level::WARN))?;
    settings.require_credentials()?;
    if args.dry_run {
        return dry_run(settings, args.since).await;
    }
    mail::check_sandbox(&settings.mail).map_err(Failure::config)?;
    let Some(_lock) = try_lock(&settings.store).map_err(|error| Failure::out_of_reach(format!("{error:#}")))? else {
        tracing::info!("another edgar-watch works on this store: nothing to do");
        return Ok(());
    };
    let store = Store::open(&settings.store).await?;
    let membership = Membership::join(&store, &settings, "once").await?;
    if !store.lead().await? {
        tracing::info!("another edgar-watch polls on this store: nothing to do");
        membership.leave().await;
        return Ok(());
    }
    let result = cycle(settings, &store, args.since).await;
    membership.leave().await;
    store.close().await;
    result.map_err(Failure::from)
}

async fn cycle(settings: Arc<Settings>, store: &Store, since: Option<NaiveDate>) -> Result<(), PassError> {
    let watcher = Watcher::new(settings, store.clone(), Arc::new(store.clone()), system_clock())?;
    watcher.check_keys().await?;
    watcher.take_up_after_upgrade().await?;
    watcher.cycle(since).await
}

/// Works on a copy of the store that is thrown away; only the request budget is the real one's.
async fn dry_run(settings: Arc<Settings>, since: Option<NaiveDate>) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let path = folder.path().join("state.db");
    let real = match Store::open_existing(&settings.store).await {
        Ok(real) => {
            real.copy_to(&path).await?;
            Some(real)
        }
        Err(OpenError::Absent { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let place = StorePlace::file(&path).ok_or_else(|| Failure::failed("no folder for temporary files"))?;
    let copy = Store::open(&place).await?;
    copy.forget_token_keys().await?;
    let budget = Arc::new(real.unwrap_or_else(|| copy.clone()));
    let watcher = Watcher::new(settings, copy, budget, system_clock())?;
    let polled = watcher.poll_pass(since).await?;
    let read = watcher.read_pass(None).await;
    print(&format!("{} feed entries, {} filings to read\n", polled.n_entries, polled.n_found))?;
    for row in watcher.store.open_messages().await? {
        if row.state != MessageState::Waiting {
            continue;
        }
        print(&format!("would mail {}: {}\n", row.recipient, row.subject))?;
    }
    read?;
    polled.unknown_tickers.into_iter().next().map_or(Ok(()), |unknown| Err(Failure::config(unknown)))
}
