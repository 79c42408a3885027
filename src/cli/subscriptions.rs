//! `subscriptions`: who gets what.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Common, Failure, print, print_json, system_clock};
use crate::config::Settings;
use crate::edgar::eastern::print_eastern;
use crate::passes::{confirmation_mail, links_of};
use crate::store::{NewSubscription, Silence, Store, SubscriptionRow, SubscriptionState, Which, new_subscription_id};
use crate::subscription::{Origin, WrittenSubscription};

/// Arguments of `subscriptions`.
#[derive(Debug, Args)]
pub(super) struct SubscriptionsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List subscriptions, and why an address gets no mail
    List {
        /// Also those that ended
        #[arg(long)]
        all: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Subscribe an address
    Add(Box<AddArgs>),
    /// Confirm a subscription that was asked for, in its address's place
    Confirm {
        /// Its id
        id: String,
    },
    /// Tell nothing under some subscriptions for a while
    Pause {
        /// Ids or addresses
        #[arg(required = true)]
        whom: Vec<String>,
        /// The first day on which something is told again, on the subscription's clock [default: until resumed]
        #[arg(long, value_name = "DATE")]
        until: Option<NaiveDate>,
    },
    /// End pauses, and write again to addresses that unsubscribed or bounced
    Resume {
        /// Ids or addresses
        #[arg(required = true)]
        whom: Vec<String>,
    },
    /// End subscriptions; an address that the configuration names is silenced until it is resumed
    Remove {
        /// Ids or addresses
        #[arg(required = true)]
        whom: Vec<String>,
    },
    /// The subscriptions of an address and the mails to it, or all subscriptions: one JSON object a line
    Export {
        /// The address
        address: Option<String>,
    },
    /// Erase an address from subscriptions, alerts, messages and logs to come; a keyed hash stays, so that nobody writes
    /// to it again
    Erase {
        /// The address
        address: String,
    },
}

/// Arguments of `subscriptions add`, as in `[[subscription]]`.
#[derive(Debug, Args)]
struct AddArgs {
    /// Who is mailed
    address: String,
    /// Tickers, CIKs, group:NAME or * [default: *]
    #[arg(long, value_delimiter = ',')]
    issuers: Vec<String>,
    /// Kinds of events, or default
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
    /// Bases: at least one of them
    #[arg(long, value_delimiter = ',')]
    bases: Vec<String>,
    /// Exchanges
    #[arg(long, value_delimiter = ',')]
    exchanges: Vec<String>,
    /// How sure a reading must be at least, from 0 to 1
    #[arg(long)]
    min_confidence: Option<f64>,
    /// immediate, daily or weekly
    #[arg(long)]
    delivery: Option<String>,
    /// When a digest is due: 08:00
    #[arg(long)]
    at: Option<String>,
    /// The day of a weekly digest: monday
    #[arg(long)]
    on: Option<String>,
    /// A digest also when there is nothing to tell
    #[arg(long)]
    empty_digest: bool,
    /// Hours without mail: 22:00-07:00
    #[arg(long)]
    quiet_hours: Option<String>,
    /// The clock of all these: Europe/Berlin
    #[arg(long)]
    time_zone: Option<String>,
    /// How dates are written: en, iso or a locale such as de_DE
    #[arg(long)]
    dates: Option<String>,
    /// Nothing before this day
    #[arg(long)]
    paused_until: Option<String>,
    /// Ask the address first: it confirms by a link
    #[arg(long)]
    ask: bool,
}

pub(super) async fn run(common: &Common, args: &SubscriptionsArgs) -> Result<(), Failure> {
    let (settings, store) = common.load_with_store().await?;
    let now = system_clock().now();
    match &args.action {
        Action::List { all, json } => list(&store, *all, *json).await,
        Action::Add(args) => add(&settings, &store, args).await,
        Action::Confirm { id } => {
            if !store.confirm_subscription(id, now).await? {
                return Err(Failure::failed(format!("subscription {id}: none of that id waits to be confirmed")));
            }
            print(&format!("subscription {id}: confirmed\n"))
        }
        Action::Pause { whom, until } => {
            for row in find(&store, whom).await? {
                let until = until.unwrap_or(NaiveDate::from_ymd_opt(9999, 1, 1).unwrap_or(NaiveDate::MAX));
                store.pause_subscriptions(&[&row.id], row.written.start_of(until, &settings.groups)).await?;
                print(&format!("subscription {}: paused\n", row.id))?;
            }
            Ok(())
        }
        Action::Resume { whom } => {
            let rows = find(&store, whom).await?;
            if let Some(row) = rows.iter().find(|row| is_erased(row)) {
                return Err(Failure::failed(format!("subscription {}: its address was erased", row.id)));
            }
            store.resume_subscriptions(&ids(&rows), now).await?;
            print_each(&rows, "resumed")
        }
        Action::Remove { whom } => {
            let rows = find(&store, whom).await?;
            let configured = rows.iter().filter(|row| row.origin == Origin::Config);
            let addresses: BTreeSet<&str> = configured.map(|row| row.address.as_str()).collect();
            let of_people: Vec<&str> =
                rows.iter().filter(|row| row.origin != Origin::Config).map(|row| row.id.as_str()).collect();
            store.end_subscriptions(&of_people, now).await?;
            // What a configuration asks for would begin anew with the next reading of it.
            for address in &addresses {
                store.silence_address(address, Silence::Unsubscribed, "removed by hand", now).await?;
            }
            print_each(&rows, "removed")?;
            for address in addresses {
                print(&format!("{address} is in the configuration: it gets no mail until it is resumed\n"))?;
            }
            Ok(())
        }
        Action::Export { address } => export(&store, address.as_deref()).await,
        Action::Erase { address } => {
            let address = parse_address(address)?;
            let erased = store.known_token_keys(now).await?.erased(&address).into_iter().next().unwrap_or_default();
            if !store.erase_address(&address, &erased, now).await? {
                return Err(Failure::failed("nothing is known of that address"));
            }
            print("erased\n")?;
            let is_configured = settings.subscriptions.iter().any(|own| own.address == address);
            if is_configured {
                print("it still stands in the configuration: take it out there as well\n")?;
            }
            Ok(())
        }
    }
}

async fn list(store: &Store, all: bool, json: bool) -> Result<(), Failure> {
    let rows = store.subscriptions(Which::All).await?;
    let shown: Vec<SubscriptionRow> =
        rows.into_iter().filter(|row| all || row.state != SubscriptionState::Ended).collect();
    if shown.is_empty() && !json {
        return print("nobody subscribes\n");
    }
    for row in shown {
        if json { print_json(&describe(&row))? } else { print(&print_row(&row))? }
    }
    Ok(())
}

async fn add(settings: &Settings, store: &Store, args: &AddArgs) -> Result<(), Failure> {
    let address = parse_address(&args.address)?;
    let list = |words: &[String]| Some(words.to_vec()).filter(|words| !words.is_empty());
    let written = WrittenSubscription {
        name: None,
        email: None,
        issuers: list(&args.issuers),
        kinds: list(&args.kinds),
        bases: list(&args.bases),
        exchanges: list(&args.exchanges),
        min_confidence: args.min_confidence,
        delivery: args.delivery.clone(),
        at: args.at.clone(),
        on: args.on.clone(),
        empty_digest: args.empty_digest.then_some(true),
        quiet_hours: args.quiet_hours.clone(),
        time_zone: args.time_zone.clone(),
        dates: args.dates.clone(),
        paused_until: args.paused_until.clone(),
    };
    written.check(&settings.groups).map_err(|faults| Failure::usage(faults.join("\n")))?;
    let now = system_clock().now();
    let keys = store.known_token_keys(now).await?;
    let state = if args.ask { SubscriptionState::Pending } else { SubscriptionState::Active };
    let erased_as = keys.erased(&address);
    let new = NewSubscription { id: new_subscription_id()?, origin: Origin::Cli, address, erased_as, state, written };
    let mail = match args.ask {
        true => Some(
            confirmation_mail(settings, &links_of(settings, &keys), &new, now)
                .ok_or_else(|| Failure::config("--ask needs http.public_url: an address confirms by a link"))??,
        ),
        false => None,
    };
    if store.is_erased(&new.erased_as).await? {
        return Err(Failure::failed("that address was erased: nobody may write to it"));
    }
    if let Some(mail) = mail {
        store.ask_to_subscribe(&new, &mail, now).await?;
        return print(&format!("subscription {}: waits for {} to confirm\n", new.id, new.address));
    }
    store.add_subscription(&new, now).await?;
    let rows = store.subscriptions(Which::Id(&new.id)).await?;
    print(&format!("subscription {}: {}\n", new.id, new.written.summary()))?;
    match rows.first().and_then(|row| row.silenced.as_ref()) {
        Some((silence, _, _)) => print(&format!(
            "{} gets no mail ({}) until: edgar-watch subscriptions resume {}\n",
            new.address,
            silence.as_str(),
            new.id
        )),
        None => Ok(()),
    }
}

async fn export(store: &Store, address: Option<&str>) -> Result<(), Failure> {
    let Some(address) = address else {
        for row in store.subscriptions(Which::All).await? {
            print_json(&describe(&row))?;
        }
        return Ok(());
    };
    let address = parse_address(address)?;
    for row in store.subscriptions(Which::Address(&address)).await? {
        print_json(&describe(&row))?;
    }
    for message in store.messages_to(&address).await? {
        print_json(&super::outbox::describe(&message))?;
    }
    Ok(())
}

/// Those that some ids and addresses stand for.
async fn find(store: &Store, whom: &[String]) -> Result<Vec<SubscriptionRow>, Failure> {
    let mut found = Vec::new();
    for name in whom {
        let lower = name.to_lowercase();
        let which = if name.contains('@') { Which::Address(&lower) } else { Which::Id(name) };
        let mut rows = store.subscriptions(which).await?;
        rows.retain(|row| row.state != SubscriptionState::Ended || row.silenced.is_some());
        if rows.is_empty() {
            return Err(Failure::failed(format!("no subscription of \"{name}\"")));
        }
        found.extend(rows);
    }
    Ok(found)
}

fn ids(rows: &[SubscriptionRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

fn print_each(rows: &[SubscriptionRow], what: &str) -> Result<(), Failure> {
    for row in rows {
        print(&format!("subscription {}: {what}\n", row.id))?;
    }
    Ok(())
}

fn is_erased(row: &SubscriptionRow) -> bool {
    row.silenced.as_ref().is_some_and(|(silence, _, _)| *silence == Silence::Erased)
}

fn parse_address(text: &str) -> Result<String, Failure> {
    let address: Result<lettre::Address, _> = text.parse();
    let address = address.map_err(|error| Failure::usage(format!("\"{text}\" is no mail address: {error}")))?;
    Ok(address.to_string().to_lowercase())
}

fn describe(row: &SubscriptionRow) -> serde_json::Value {
    let silenced = row.silenced.as_ref();
    json!({
        "schema": 1,
        "id": row.id,
        "origin": row.origin.as_str(),
        "address": row.address,
        "state": row.state.as_str(),
        "terms": row.written,
        "created_at": row.created_at,
        "confirmed_at": row.confirmed_at,
        "ended_at": row.ended_at,
        "paused_until": row.paused_until,
        "silenced": silenced.map(|(silence, since, why)| json!({"as": silence.as_str(), "since": since, "why": why})),
    })
}

fn print_row(row: &SubscriptionRow) -> String {
    let state = match (&row.silenced, row.paused_until) {
        (Some((silence, since, _)), _) => format!("{} {}", silence.as_str(), print_eastern(*since)),
        (None, Some(until)) => format!("{}, paused until {}", row.state.as_str(), until.date_naive()),
        (None, None) => row.state.as_str().to_owned(),
    };
    format!("{:18}  {:30}  {state}\n    {}\n", row.id, row.address, row.written.summary())
}
