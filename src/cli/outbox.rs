//! `outbox`: mail that waits or was set aside, with the relay's words.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Common, Failure, print, print_json, system_clock};
use crate::passes::set_aside_fact;
use crate::store::MessageRow;

/// Arguments of `outbox`.
#[derive(Debug, Args)]
pub(super) struct OutboxArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List mail that waits or was set aside
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one message, with its mail while that is kept
    Show {
        /// Its number
        id: i64,
    },
    /// Try messages again at the next delivery
    Retry {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Give messages up
    Drop {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<i64>,
    },
}

pub(super) async fn run(common: &Common, args: &OutboxArgs) -> Result<(), Failure> {
    let (_, store) = common.load_with_store().await?;
    let now = system_clock().now();
    match &args.action {
        Action::List { json } => {
            let rows = store.open_messages().await?;
            if rows.is_empty() && !json {
                return print("nothing waits and nothing was set aside\n");
            }
            for row in rows {
                if *json { print_json(&describe(&row))? } else { print(&print_row(&row))? }
            }
            Ok(())
        }
        Action::Show { id } => {
            let (row, bytes) = store.message(*id).await?.ok_or_else(|| no_message(*id))?;
            print(&print_row(&row))?;
            match bytes {
                Some(bytes) => print(&format!("\n{}", String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))),
                None => print("its mail is not kept: it was sent or dropped, or is written at the first attempt\n"),
            }
        }
        Action::Retry { ids } => {
            for id in ids {
                // If it is refused again, the owner is told again.
                if !store.retry_message(*id, &set_aside_fact(*id), now).await? {
                    let words = "no such message waits or was set aside, or its recipient has unsubscribed";
                    return Err(Failure::failed(format!("outbox {id}: {words}")));
                }
                print(&format!("outbox {id}: is tried again at the next delivery\n"))?;
            }
            Ok(())
        }
        Action::Drop { ids } => {
            for id in ids {
                if !store.drop_message(*id, now).await? {
                    return Err(no_message(*id));
                }
                print(&format!("outbox {id}: dropped\n"))?;
            }
            Ok(())
        }
    }
}

fn no_message(id: i64) -> Failure {
    Failure::failed(format!("outbox {id}: no such message waits or was set aside"))
}

/// A message as JSON, also within `alerts --json`.
pub(super) fn describe(row: &MessageRow) -> serde_json::Value {
    json!({
        "schema": 1,
        "id": row.id,
        "message_id": row.message_id,
        "recipient": row.recipient,
        "subject": row.subject,
        "created_at": row.created_at,
        "state": row.state.as_str(),
        "next_try_at": row.next_try_at,
        "attempts": row.attempts,
        "last_reply": row.last_reply,
        "final_at": row.final_at,
    })
}

fn print_row(row: &MessageRow) -> String {
    let reply = row.last_reply.as_deref().map(|reply| format!("\n    {reply}")).unwrap_or_default();
    format!(
        "{:>6}  {:9}  {} attempts  {}  {}{reply}\n",
        row.id,
        row.state.as_str(),
        row.attempts,
        row.recipient,
        row.subject
    )
}
