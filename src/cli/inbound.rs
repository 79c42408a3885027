//! `inbound`: one mail on standard input, or a Maildir of them: unsubscribes and bounces.
//!
//! A mail that asks for nothing is no failure: a server would send it back. Only a store out of reach is, with the exit
//! code that makes the server try again.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{Common, Failure, complain, print, system_clock};
use crate::inbound::{BounceKind, Inbound, read_inbound};
use crate::store::{Silence, Store};
use crate::tokens::{Keys, Purpose};

/// Arguments of `inbound`.
#[derive(Debug, Args)]
pub(super) struct InboundArgs {
    /// Whom the mail was delivered to, where its headers do not say [default: $ORIGINAL_RECIPIENT, $RECIPIENT]
    #[arg(long)]
    recipient: Vec<String>,
    /// Read every new mail of a Maildir instead, and put it among those seen
    #[arg(long, value_name = "FOLDER")]
    maildir: Option<PathBuf>,
}

/// More of a mail is not read: what counts stands at its beginning.
const MAX_BYTES: u64 = 10_000_000;

pub(super) async fn run(common: &Common, args: &InboundArgs) -> Result<(), Failure> {
    let (_, store) = common.load_with_store().await?;
    let keys = store
        .known_token_keys(system_clock().now())
        .await
        .map_err(|error| Failure::out_of_reach(format!("{error:#}")))?;
    if let Some(folder) = &args.maildir {
        return take_maildir(&store, &keys, folder).await;
    }
    let mut mail = Vec::new();
    std::io::stdin().lock().take(MAX_BYTES).read_to_end(&mut mail).map_err(Failure::out_of_reach)?;
    let mut recipients = args.recipient.clone();
    // Postfix tells its commands (local(8)).
    recipients.extend(["ORIGINAL_RECIPIENT", "RECIPIENT"].into_iter().filter_map(|name| std::env::var(name).ok()));
    let done = take(&store, &keys, &mail, &recipients).await;
    print(&format!("{}\n", done.map_err(|error| Failure::out_of_reach(format!("{error:#}")))?))
}

async fn take_maildir(store: &Store, keys: &Keys, folder: &Path) -> Result<(), Failure> {
    let new = folder.join("new");
    let entries = std::fs::read_dir(&new).with_context(|| new.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut n_failed = 0;
    for file in files.iter().filter(|file| file.is_file()) {
        // One that cannot be read or moved must not keep the others waiting.
        if let Err(failure) = take_file(store, keys, folder, file).await {
            complain(format!("{}: {}", file.display(), failure.message));
            n_failed += 1;
            if failure.code == 75 {
                return Err(failure);
            }
        }
    }
    if n_failed == 0 { Ok(()) } else { Err(Failure::failed(format!("{n_failed} mails were not taken"))) }
}

async fn take_file(store: &Store, keys: &Keys, folder: &Path, file: &Path) -> Result<(), Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut mail = Vec::new();
    std::fs::File::open(file).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut mail)).map_err(Failure::failed)?;
    let done = take(store, keys, &mail, &[]).await;
    print(&format!("{name}: {}\n", done.map_err(|error| Failure::out_of_reach(format!("{error:#}")))?))?;
    // Seen, as mail programs mark it.
    std::fs::rename(file, folder.join("cur").join(format!("{name}:2,S"))).map_err(Failure::failed)
}

/// Does what one mail asks for, and says what that was.
async fn take(store: &Store, keys: &Keys, mail: &[u8], recipients: &[String]) -> anyhow::Result<String> {
    let now = system_clock().now();
    let number =
        |purpose, token: &str| keys.verify(purpose, token, now).ok().and_then(|subject| subject.parse::<i64>().ok());
    match read_inbound(mail, recipients) {
        Inbound::Other(what) => Ok(format!("nothing done: {what}")),
        Inbound::Unsubscribe { token } => {
            let Some(address) = number(Purpose::Unsubscribe, &token) else { return Ok(not_ours()) };
            let Some(address) = store.address_of(address).await? else { return Ok(unknown()) };
            store.silence_address(&address, Silence::Unsubscribed, "by mail", now).await?;
            Ok("unsubscribed".to_owned())
        }
        Inbound::Bounced { token, bounce } => {
            let Some(message) = number(Purpose::Bounce, &token) else { return Ok(not_ours()) };
            if bounce.kind == BounceKind::Pending {
                return Ok(format!("nothing done: {}", bounce.words));
            }
            let is_hard = bounce.kind == BounceKind::Hard;
            Ok(match store.record_bounce(message, is_hard, &bounce.words, now).await? {
                None => unknown(),
                Some(true) => format!("no more mail to that address: {}", bounce.words),
                Some(false) => format!("noted: {}", bounce.words),
            })
        }
    }
}

fn not_ours() -> String {
    "nothing done: its token is not valid".to_owned()
}

fn unknown() -> String {
    "nothing done: it is about nobody known here".to_owned()
}
