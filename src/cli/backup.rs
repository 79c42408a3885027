//! `backup` and `restore`: a copy of the store, and back.

use std::path::PathBuf;

use clap::Args;
use tracing::Level;

use super::{Common, Failure, print, system_clock};
use crate::store::{restore, try_lock};

/// Arguments of `backup` and of `restore`.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The copy; its keys lie beside it, as FILE.keys
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) async fn run(common: &Common, args: &BackupArgs) -> Result<(), Failure> {
    let (_, store) = common.load_with_store().await?;
    let done = store.back_up(&args.file).await;
    store.close().await;
    let done = done?;
    let keys =
        if done.has_keys { "" } else { "; there are no keys beside the store: keep the credential token-secret too" };
    print(&format!("{}: {} bytes{keys}\n", args.file.display(), done.size_bytes))
}

pub(super) async fn put_back(common: &Common, args: &BackupArgs) -> Result<(), Failure> {
    let settings = common.load_for_store(Some(Level::WARN))?;
    let lock = try_lock(&settings.store).map_err(|error| Failure::out_of_reach(format!("{error:#}")))?;
    let Some(_lock) = lock else {
        return Err(Failure::failed("another edgar-watch works on this store: stop it first"));
    };
    let replaced = restore(&settings.store, &args.file, system_clock().now()).await?;
    let path = &settings.store;
    let before = replaced.map_or_else(String::new, |replaced| format!("; what was there is {}", replaced.display()));
    print(&format!("{path}: restored from {}{before}\n", args.file.display()))
}
