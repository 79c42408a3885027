//! `alerts`: what was found, who was told and when; and telling it again.

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::{Common, Failure, outbox, print, print_json, system_clock};
use crate::alert::{Alert, Purpose, message_id};
use crate::calendar::print_span;
use crate::config::Settings;
use crate::edgar::eastern::{eastern_to_utc, print_eastern};
use crate::linking::Link;
use crate::mail::{Envelope, HandOver, Mailer};
use crate::passes::{Recipient, relay_for, write_notice};
use crate::render::{Style, subject};
use crate::store::{AlertRow, NoticeRow, Sightings, SilencedAddress, Store, Withheld};

/// Arguments of `alerts`.
#[derive(Debug, Args)]
pub(super) struct AlertsArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,

    /// Only alerts raised from this day on (Eastern) [default: all]
    #[arg(long, value_name = "DATE")]
    since: Option<NaiveDate>,

    /// Mail this alert again, to one address
    #[arg(long, value_name = "ID", requires = "to")]
    resend: Option<String>,

    /// Where `--resend` goes
    #[arg(long, value_name = "ADDRESS", requires = "resend")]
    to: Option<String>,
}

pub(super) async fn run(common: &Common, args: &AlertsArgs) -> Result<(), Failure> {
    let (settings, store) = common.load_with_store().await?;
    if let (Some(id), Some(to)) = (&args.resend, &args.to) {
        return resend(&settings, &store, id, to).await;
    }
    let since = args.since.and_then(|date| date.and_hms_opt(0, 0, 0)).map_or(DateTime::<Utc>::MIN_UTC, eastern_to_utc);
    for row in store.alerts_since(since).await? {
        let alert = parse(&row)?;
        let notices = store.notices_of(&row.id).await?;
        let withheld = store.withheld_from(&row.id).await?;
        let sightings = store.sightings(row.accession).await?;
        if args.json {
            let links = store.links_of(row.accession).await?;
            print_json(&describe(&row, &alert, &notices, &withheld, &links, sightings))?;
        } else {
            print(&print_alert(&alert, &notices, &withheld, sightings))?;
        }
    }
    Ok(())
}

fn parse(row: &AlertRow) -> Result<Alert, Failure> {
    serde_json::from_str(&row.content).map_err(|error| Failure::failed(format!("alert {}: {error}", row.id)))
}

fn describe(
    row: &AlertRow,
    alert: &Alert,
    notices: &[NoticeRow],
    withheld: &[Withheld],
    links: &[Link],
    sightings: Option<Sightings>,
) -> Value {
    let mut value = json!(alert);
    value["schema"] = json!(1);
    value["subject"] = json!(subject(alert, Style::default()));
    value["created_at"] = json!(row.created_at);
    let told = notices.iter().map(|notice| {
        let mut told = outbox::describe(&notice.message);
        told["channel"] = json!(notice.channel);
        told["subscriptions"] = json!(notice.subscriptions);
        told
    });
    value["notices"] = told.collect();
    let withheld = withheld.iter().map(|withheld| {
        json!({
            "recipient": withheld.recipient,
            "subscriptions": withheld.subscriptions,
            "told_by": withheld.told_by,
        })
    });
    value["withheld"] = withheld.collect();
    // As it stands now; `links` is what was known when the alert was raised.
    value["letters"] = match alert.purpose {
        Purpose::Reading => json!(links),
        Purpose::NotReadable => json!([]),
    };
    value["sightings"] = json!({
        "feed": sightings.and_then(|seen| seen.feed_at),
        "index": sightings.and_then(|seen| seen.index_at),
    });
    value["missed_by_feed"] = json!(sightings.is_some_and(|seen| seen.feed_at.is_none()));
    value["lag_s"] = json!(sightings.and_then(|seen| seen.lag()).map(|lag| lag.num_seconds()));
    value
}

fn print_alert(alert: &Alert, notices: &[NoticeRow], withheld: &[Withheld], sightings: Option<Sightings>) -> String {
    let mut out =
        format!("{}  {}  {}\n", alert.id, Style::default().date(alert.filing_date), subject(alert, Style::default()));
    if let Some(seen) = sightings {
        let by = if seen.feed_at.is_none() { "missed by the feed, found in an index" } else { "in the feed" };
        let lag = seen.lag().map(|lag| format!(", seen {} after acceptance", print_span(lag))).unwrap_or_default();
        out.push_str(&format!("    {by}{lag}\n"));
    }
    for notice in notices {
        let message = &notice.message;
        let when = message.final_at.map(|at| at.format(" %Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
        out.push_str(&format!("    {}  {}{when}\n", notice.recipient, message.state.as_str()));
    }
    for withheld in withheld {
        let told_by = withheld.told_by.join(" and ");
        out.push_str(&format!("    {}  withheld: already told by alert {told_by}\n", withheld.recipient));
    }
    if notices.is_empty() && withheld.is_empty() {
        out.push_str("    nobody subscribed\n");
    }
    out
}

/// Sends at once, outside the outbox: a person waits for the answer.
async fn resend(settings: &Settings, store: &Store, id: &str, to: &str) -> Result<(), Failure> {
    settings.require_credentials()?;
    let address: lettre::Address =
        to.parse().map_err(|error| Failure::usage(format!("\"{to}\" is no mail address: {error}")))?;
    let to = address.to_string();
    // Who is on the list of those who are not written to is written to by nobody until resumed.
    let hashes = store.known_token_keys(system_clock().now()).await?.erased(&to.to_lowercase());
    let is_he =
        |silenced: &SilencedAddress| silenced.address == to.to_lowercase() || hashes.contains(&silenced.address);
    if let Some(silenced) = store.silenced_addresses().await?.into_iter().find(is_he) {
        let (silence, since) = (silenced.silence.as_str(), print_eastern(silenced.since));
        return Err(Failure::failed(format!("{to} is not written to: {silence} since {since}")));
    }
    let row = store.alert(id).await?.ok_or_else(|| Failure::failed(format!("there is no alert \"{id}\"")))?;
    let alert = parse(&row)?;
    let message_id = message_id(&alert.id, &to);
    let reasons = vec!["alerts --resend".to_owned()];
    let recipient = Recipient { address: to.clone(), reasons, ..Recipient::default() };
    let bytes = write_notice(&settings.mail, &alert, &recipient, &message_id, system_clock().now())?;
    let mailer = match relay_for(settings, &to) {
        Some(relay) => Mailer::for_relay(relay),
        None => Mailer::new(&settings.mail),
    };
    let mut mailer = mailer.map_err(|error| Failure::config(format!("{error:#}")))?;
    let from = settings.mail.from.email.to_string();
    let envelope = Envelope { from: &from, to: &to, message_id: &message_id, hand_over: &HandOver::default() };
    let reply = mailer.send(envelope, &bytes).await;
    mailer.close().await;
    print(&format!("{to}: {}\n", reply?))
}
