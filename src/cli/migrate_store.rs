//! `migrate-store`: every row of one store into another, from a file to a server or back.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::Level;

use super::{Common, Failure, print};
use crate::config::{self, Settings};
use crate::logging;
use crate::store::{Store, StorePlace, copy_keys, foreign_owner, transfer, try_lock};

/// Arguments of `migrate-store`.
#[derive(Debug, Args)]
pub(super) struct MigrateStoreArgs {
    /// The store to copy: sqlite:///path or postgres://user@host/database. One that the configuration names is reached as it says
    #[arg(long, value_name = "URL")]
    from: String,

    /// Where to: a store that is not there yet, or that an earlier copy broke off in
    #[arg(long, value_name = "URL")]
    to: String,
}

pub(super) async fn run(common: &Common, args: &MigrateStoreArgs) -> Result<(), Failure> {
    logging::start(Level::WARN, common.log_format);
    // Passwords and keys of a server are where the configuration says; two files need none.
    let settings = match config::locate(common.config.as_deref()) {
        Ok(located) => Some(config::load(&located.path)?),
        Err(error) if common.config.is_some() => return Err(error.into()),
        Err(_) => None,
    };
    let (from, to) = (place(&args.from, settings.as_ref())?, place(&args.to, settings.as_ref())?);
    if from.is_same(&to) {
        return Err(Failure::usage("--from and --to name the same store"));
    }
    for place in [&from, &to] {
        if let Some(owner) = foreign_owner(place) {
            return Err(Failure::failed(format!("the store {place} belongs to the user {owner}: run this as {owner}")));
        }
    }
    let _locks = (hold(&from)?, hold(&to)?);
    let source = Store::open_existing(&from).await?;
    let target = Store::open_target(&to).await?;
    let done = copy(&source, &target).await;
    source.close().await;
    target.close().await;
    let done = done?;
    for transferred in &done {
        let checksum: String = transferred.checksum.chars().take(16).collect();
        print(&format!("{:20} {:>10} rows  {checksum}\n", transferred.table, transferred.n_rows))?;
    }
    let keys = match copy_keys(&from, &to)? {
        true => format!("keys copied to {}", to.keys_file().display()),
        false => format!("the keys that links are signed with belong to {}", to.keys_file().display()),
    };
    print(&format!("{from} is copied to {to}, and the same there; {keys}. Put it into store.url\n"))
}

async fn copy(from: &Store, to: &Store) -> anyhow::Result<Vec<crate::store::Transferred>> {
    for store in [from, to] {
        if let Some(member) = store.members().await?.first() {
            anyhow::bail!("{} works on {}: stop it first", member.name, store.place());
        }
    }
    // On a terminal only. The template is a constant.
    let style = ProgressStyle::with_template("{spinner} {msg}: {pos} rows")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    let copied = transfer(from, to, |table, n_rows| {
        bar.set_message(table);
        bar.set_position(n_rows);
    });
    let copied = copied.await;
    bar.finish_and_clear();
    copied
}

/// Nobody else may work on it meanwhile.
fn hold(place: &StorePlace) -> Result<crate::store::StoreLock, Failure> {
    let lock = try_lock(place).map_err(|error| Failure::out_of_reach(format!("{error:#}")))?;
    lock.ok_or_else(|| Failure::failed(format!("another edgar-watch works on {place}: stop it first")))
}

fn place(url: &str, settings: Option<&Settings>) -> Result<StorePlace, Failure> {
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let named = config::store_place(url, Path::new(&folder)).map_err(Failure::usage)?;
    let configured = settings.map(|settings| &settings.store);
    Ok(configured.filter(|configured| configured.is_same(&named)).cloned().unwrap_or(named))
}
