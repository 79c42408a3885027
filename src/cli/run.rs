//! `run`: the daemon.

use chrono::NaiveDate;
use clap::Args;

use super::{Common, Failure, system_clock};
use crate::daemon;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Look back: alert about filings dated from this day on, as far as the feed reaches
    #[arg(long, value_name = "DATE")]
    since: Option<NaiveDate>,
}

pub(super) async fn run(common: &Common, args: &RunArgs) -> Result<(), Failure> {
    let settings = common.load(None)?;
    daemon::run(settings, system_clock(), args.since).await.map_err(Failure::from)
}
