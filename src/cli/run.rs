//! `run`: the daemon.

use chrono::NaiveDate;
use clap::Args;

use super::{Common, Failure, own_store, system_clock};
use crate::config::doubts;
use crate::daemon::{self, Reloads};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Look back: alert about filings dated from this day on, as far as the feed reaches
    #[arg(long, value_name = "DATE")]
    since: Option<NaiveDate>,
}

pub(super) async fn run(common: &Common, args: &RunArgs) -> Result<(), Failure> {
    let (settings, path) = common.load_from(None)?;
    settings.require_credentials()?;
    own_store(&settings)?;
    let reloads = Reloads::of(path.clone()).map_err(Failure::failed)?;
    for doubt in doubts(&settings, &path) {
        tracing::warn!("{}: {doubt}", path.display());
    }
    daemon::run(settings, reloads, system_clock(), args.since).await.map_err(Failure::from)
}
