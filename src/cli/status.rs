//! `status`: is it working, what is stuck, what must a person do.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::{Common, Failure, print, print_json, system_clock};
use crate::calendar::print_span;
use crate::config::Settings;
use crate::edgar::eastern::print_eastern;
use crate::edgar::forms::feed_prefixes;
use crate::logging::use_colour;
use crate::passes::{DAY_OVERDUE, FEED_GAPS, FEED_LAG, LAST_POLL, LAST_POLL_ERROR, LEDGER_ERROR, matters};
use crate::store::{FilingState, FilingSummary, MemberRow, MessageState, Silence, SilencedAddress, Store, is_locked};
use crate::tempo::requests_a_day;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Filings and messages listed for a person.
const MOST_LISTED: usize = 10;

pub(super) async fn run(common: &Common, args: &StatusArgs) -> Result<(), Failure> {
    let (settings, store) = common.load_with_store().await?;
    let now = system_clock().now();
    let status = gather(&settings, &store, now).await?;
    if args.json {
        return print_json(&status);
    }
    print(&describe(&status, now, use_colour(std::io::stdout().is_terminal())))
}

async fn gather(settings: &Settings, store: &Store, now: DateTime<Utc>) -> anyhow::Result<Value> {
    let last_poll = store.fact(LAST_POLL).await?;
    let error = store.fact(LAST_POLL_ERROR).await?;
    let budget = store.budget_state(now).await?;
    let mail = store.count_messages().await?;
    let mut queries = Vec::new();
    for prefix in feed_prefixes(&settings.watch.forms) {
        let state = store.feed_query(&prefix).await?;
        queries.push(json!({
            "prefix": prefix,
            "asked_as": state.asked_as,
            "gap_since": state.gap_since,
            "deep_at": state.deep_at,
            "reaches_back_to": state.oldest_at,
        }));
    }
    let aside: Vec<Value> = store
        .open_messages()
        .await?
        .iter()
        .filter(|message| message.state == MessageState::SetAside)
        .map(super::outbox::describe)
        .collect();
    let tickers: Vec<Value> = store
        .pinned_tickers()
        .await?
        .iter()
        .map(|pin| json!({"ticker": pin.ticker, "cik": pin.cik, "name": pin.name, "warning": pin.warning}))
        .collect();
    let unknown: Vec<String> = store.facts_below("unknown_ticker:").await?;
    let open = store.open_work().await?;
    let silenced: Vec<Value> = store
        .silenced_addresses()
        .await?
        .iter()
        .filter(|silenced| silenced.silence != Silence::Erased)
        .take(MOST_LISTED)
        .map(|SilencedAddress { address, silence, since, why }| {
            json!({"address": address, "as": silence.as_str(), "since": since, "why": why})
        })
        .collect();
    let members = store.members().await?;
    let is_running = match settings.store.is_server() {
        true => Some(members.iter().any(|member| member.role != "backfill")),
        false => is_locked(&settings.store),
    };
    let patience = if is_running == Some(true) { overdue_after(settings) } else { overdue_after(settings).max(CRON) };
    let late = last_poll.as_ref().is_none_or(|(_, at)| now - *at > patience);
    let mut status = json!({
        "schema": 1,
        "now": now,
        "version": env!("CARGO_PKG_VERSION"),
        "running": is_running,
        "members": members.iter().map(describe_member).collect::<Vec<_>>(),
        "last_poll": last_poll.map(|(words, at)| json!({"at": at, "summary": words})),
        "last_poll_error": error.map(|(words, at)| json!({"at": at, "error": words})),
        "poll_is_late": late,
        "lag_s": store.fact(FEED_LAG).await?.and_then(|(seconds, _)| seconds.parse::<i64>().ok()),
        "unknown_tickers": unknown,
        "requests_today": budget.n_today,
        "requests_a_day": requests_a_day(&settings.poll, queries.len()),
        "blocked_until": budget.blocked_until,
        "block_reason": budget.blocked_until.map(|_| budget.block_reason),
        "refused_user_agent": budget.refused_user_agent,
        "queries": queries,
        "ledger": gather_ledger(store, now).await?,
        "filings": store.count_filings().await?,
        "unread": list(&store.filings_in(FilingState::Found, MOST_LISTED).await?),
        "parked": list(&store.filings_in(FilingState::Parked, MOST_LISTED).await?),
        "mail": {"waiting": mail.waiting, "sent": mail.sent, "set_aside": mail.set_aside, "dropped": mail.dropped},
        "set_aside": aside,
        "subscriptions": {"in_effect": open.subscriptions_in_effect, "unconfirmed": open.subscriptions_unconfirmed},
        "not_written_to": silenced,
        "tickers": tickers,
        "store": {"path": store.place().to_string(), "bytes": store.size_bytes().await?},
        "troubles": matters(store, now).await?.into_iter().filter_map(|matter| matter.trouble).collect::<Vec<_>>(),
    });
    let verdict = judge(&status);
    status["verdict"] = json!(verdict.as_str());
    status["to_do"] = json!(to_do(&status, verdict));
    Ok(status)
}

/// A process that shares the store.
fn describe_member(member: &MemberRow) -> Value {
    json!({
        "name": member.name,
        "role": member.role,
        "polls": member.is_leader,
        "version": member.version,
        "configuration": member.config,
        "since": member.started_at,
    })
}

/// Is it working?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Working,
    /// It polls, and something else is wrong.
    Troubled,
    /// It polls, and EDGAR does not answer as it should.
    Failing,
    /// A process is there and does not poll.
    Late,
    /// Nobody polls.
    Stopped,
    /// Nobody has polled yet.
    New,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Troubled => "troubled",
            Self::Failing => "failing",
            Self::Late => "late",
            Self::Stopped => "stopped",
            Self::New => "new",
        }
    }
}

fn judge(status: &Value) -> Verdict {
    let is_late = status["poll_is_late"] == json!(true);
    let is_running = status["running"] == json!(true);
    let has_troubles = status["troubles"].as_array().is_some_and(|troubles| !troubles.is_empty());
    match (&status["last_poll"], &status["last_poll_error"]) {
        (Value::Object(_), _) if is_late && !is_running => Verdict::Stopped,
        (_, Value::Object(_)) => Verdict::Failing,
        (Value::Null, _) => Verdict::New,
        _ if is_late => Verdict::Late,
        _ if has_troubles => Verdict::Troubled,
        _ => Verdict::Working,
    }
}

/// What a person must do, the most urgent first.
fn to_do(status: &Value, verdict: Verdict) -> Vec<String> {
    let mut to_do = Vec::new();
    let n_of = |key: &str| status[key].as_array().map_or(0, Vec::len);
    match verdict {
        Verdict::Stopped => to_do.push(
            "start it (`systemctl start edgar-watch`), or see why it ended (`journalctl -u edgar-watch`); from cron or a \
             timer, see why that does not run"
                .to_owned(),
        ),
        Verdict::Late => to_do.push("see what it waits for: `journalctl -u edgar-watch`".to_owned()),
        Verdict::New if status["running"] != json!(true) => {
            to_do.push("start it: `systemctl enable --now edgar-watch`, or `edgar-watch once` from cron".to_owned());
        }
        _ => {}
    }
    if !status["refused_user_agent"].is_null() {
        to_do.push(
            "set edgar.user_agent to a name and an address that EDGAR takes: `edgar-watch check-config --online` \
             tries it"
                .to_owned(),
        );
    }
    let daemons = status["members"].as_array().into_iter().flatten().filter(|member| member["role"] == json!("run"));
    let of_daemons = |key: &str| daemons.clone().map(|member| member[key].to_string()).collect::<BTreeSet<_>>();
    if of_daemons("configuration").len() > 1 {
        to_do.push("give every machine the same configuration: what is watched, and who is told, differs".to_owned());
    }
    if of_daemons("version").len() > 1 {
        to_do.push("give every machine the same version".to_owned());
    }
    if n_of("unknown_tickers") > 0 {
        to_do.push("mend the tickers in watch.issuers that EDGAR does not know".to_owned());
    }
    match status["mail"]["set_aside"].as_i64() {
        Some(n) if n > 0 => to_do.push(format!(
            "look at {n} mails that were not taken (`edgar-watch outbox list`): `outbox retry ID` or `outbox drop ID`"
        )),
        _ => {}
    }
    for filing in status["parked"].as_array().into_iter().flatten() {
        let accession = filing["accession"].as_str().unwrap_or_default();
        to_do.push(format!("read filing {accession} yourself, or try again: `edgar-watch reread {accession}`"));
    }
    for trouble in status["troubles"].as_array().into_iter().flatten() {
        to_do.extend(trouble.as_str().map(str::to_owned));
    }
    for silenced in status["not_written_to"].as_array().into_iter().flatten() {
        if silenced["as"] == json!("bounced") {
            let address = silenced["address"].as_str().unwrap_or_default();
            to_do.push(format!(
                "ask {address} in another way, since mail comes back: `edgar-watch subscriptions resume {address}`"
            ));
        }
    }
    to_do
}

/// The newest days of the ledger, with what was missed and how long the feed took; and days that should be closed but are not.
async fn gather_ledger(store: &Store, now: DateTime<Utc>) -> anyhow::Result<Value> {
    let mut days = Vec::new();
    for day in store.latest_days(MOST_DAYS).await? {
        let lags = store.feed_lags(day.day).await?;
        days.push(json!({
            "day": day.day,
            "state": day.state.to_string(),
            "reconciled_at": day.reconciled_at,
            "next_check_at": day.next_check_at,
            "listed": day.counts.n_listed,
            "watched": day.counts.n_watched,
            "missed": day.counts.n_missed,
            "unreadable_rows": day.counts.n_bad,
            "feed_lag_s": {"median": lags.get(lags.len() / 2), "longest": lags.last()},
        }));
    }
    let overdue: Vec<NaiveDate> = store.overdue_days(now - DAY_OVERDUE).await?;
    let error = store.fact(LEDGER_ERROR).await?.map(|(words, at)| json!({"at": at, "error": words}));
    let gaps: Vec<String> = store.facts_below(FEED_GAPS).await?;
    Ok(json!({"days": days, "overdue": overdue, "feed_gaps_up_to": gaps, "error": error}))
}

/// Days of the ledger that are shown.
const MOST_DAYS: usize = 10;

/// Cron and timers have intervals of their own, which nobody tells us: an hour is usual.
const CRON: TimeDelta = TimeDelta::hours(2);

/// A poll is late once it is missing for three of the longer intervals.
fn overdue_after(settings: &Settings) -> TimeDelta {
    TimeDelta::from_std(settings.slowest_poll() * 3).unwrap_or(TimeDelta::days(1))
}

fn list(filings: &[FilingSummary]) -> Vec<Value> {
    filings
        .iter()
        .map(|filing| {
            json!({
                "accession": filing.accession,
                "form": filing.form,
                "name": filing.name,
                "attempts": filing.attempts,
                "last_error": filing.last_error,
                "next_try_at": filing.next_try_at,
            })
        })
        .collect()
}

/// The same facts for a person: is it working, what must I do, and then the rest.
fn describe(status: &Value, now: DateTime<Utc>, in_colour: bool) -> String {
    let mut out = String::new();
    let verdict = judge(status);
    let headline = match verdict {
        Verdict::Working if status["running"] == json!(true) => "WORKING",
        Verdict::Working => "WORKING (no daemon runs: polled by `once`)",
        Verdict::Troubled => "TROUBLED: it polls, and something else is wrong",
        Verdict::Failing => "FAILING: EDGAR does not answer as it should",
        Verdict::Late => "LATE: a process holds the store and does not poll",
        Verdict::Stopped => "STOPPED: nobody polls",
        Verdict::New => "NEW: nobody has polled yet",
    };
    let colour = if verdict == Verdict::Working { GREEN } else { RED };
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", paint(headline, colour, in_colour));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (n, line) in status["to_do"].as_array().into_iter().flatten().enumerate() {
        if n == 0 {
            let _ = writeln!(out, "\n{}", paint("To do", YELLOW, in_colour));
        }
        let _ = writeln!(out, "  {}. {}", n + 1, text(line));
    }
    out.push('\n');
    let instant = |value: &Value| {
        value.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok()).map(print_eastern).unwrap_or_default()
    };
    let mut line = |label: &str, value: String| {
        let is_trouble = label.chars().all(|c| c.is_uppercase() || c == ' ');
        let label = format!("{label:14}");
        let label = if is_trouble { paint(&label, RED, in_colour) } else { label };
        let _ = writeln!(out, "{label} {value}");
    };
    match status["last_poll"].as_object() {
        Some(poll) => {
            let late = if status["poll_is_late"] == json!(true) { "  LATE" } else { "" };
            let ago = ago(&poll["at"], now);
            line("last poll", format!("{}{ago}, {}{late}", instant(&poll["at"]), text(&poll["summary"])));
        }
        None => line("last poll", "never".to_owned()),
    }
    if let Some(error) = status["last_poll_error"].as_object() {
        line("FAILING", format!("at {}: {}", instant(&error["at"]), text(&error["error"])));
    }
    if !status["blocked_until"].is_null() {
        line("BLOCKED", format!("until {}: {}", instant(&status["blocked_until"]), text(&status["block_reason"])));
    }
    if !status["refused_user_agent"].is_null() {
        line("REFUSED", format!("EDGAR refuses the User-Agent \"{}\"", text(&status["refused_user_agent"])));
    }
    for member in status["members"].as_array().into_iter().flatten() {
        let does = if member["polls"] == json!(true) { ", polls" } else { "" };
        let (role, version) = (text(&member["role"]), text(&member["version"]));
        line(
            "process",
            format!("{}: {role} {version} since {}{does}", text(&member["name"]), instant(&member["since"])),
        );
    }
    for query in status["queries"].as_array().into_iter().flatten() {
        if !query["gap_since"].is_null() {
            let gap = format!("{}: open since {}", text(&query["prefix"]), instant(&query["gap_since"]));
            line("feed gap", gap);
        }
    }
    if let Some(lag) = status["lag_s"].as_i64() {
        line("feed lag", format!("the newest entry was {lag} s old"));
    }
    for unknown in status["unknown_tickers"].as_array().into_iter().flatten() {
        line("UNKNOWN", text(unknown));
    }
    let (today, usual) = (&status["requests_today"], &status["requests_a_day"]);
    line("requests", format!("{today} today, those for filings included; the rest is at most {usual} a day"));
    let ledger = &status["ledger"];
    if let Some(error) = ledger["error"].as_object() {
        line("LEDGER", format!("at {}: {}", instant(&error["at"]), text(&error["error"])));
    }
    for day in ledger["feed_gaps_up_to"].as_array().into_iter().flatten() {
        line("FEED GAP", format!("up to {}: closed when the indexes of its days are read", text(day)));
    }
    for day in ledger["overdue"].as_array().into_iter().flatten() {
        line("NOT CLOSED", format!("{}: its index has not been read", text(day)));
    }
    for day in ledger["days"].as_array().into_iter().flatten().filter(|day| !day["reconciled_at"].is_null()) {
        let lag = day["feed_lag_s"]["median"].as_i64().map(|lag| format!(", feed lag {lag} s")).unwrap_or_default();
        let (listed, watched, missed) = (&day["listed"], &day["watched"], &day["missed"]);
        let counts = format!("{listed} filings, {watched} watched, {missed} missed by the feed{lag}");
        line("day", format!("{} {}: {counts}", text(&day["day"]), text(&day["state"])));
    }
    let counts = status["filings"].as_object().into_iter().flatten().map(|(state, n)| format!("{n} {state}"));
    line("filings", counts.collect::<Vec<_>>().join(", "));
    for (label, key) in [("unread", "unread"), ("PARKED", "parked")] {
        for filing in status[key].as_array().into_iter().flatten() {
            let error = filing["last_error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
            let attempts = &filing["attempts"];
            let (accession, name) = (text(&filing["accession"]), text(&filing["name"]));
            line(label, format!("{accession} {name}, {attempts} tries{error}"));
        }
    }
    let mail = &status["mail"];
    line("mail", format!("{} waiting, {} sent, {} set aside", mail["waiting"], mail["sent"], mail["set_aside"]));
    for message in status["set_aside"].as_array().into_iter().flatten() {
        let reply = text(&message["last_reply"]);
        line("SET ASIDE", format!("{} {}: {reply}", message["id"], text(&message["recipient"])));
    }
    let subscriptions = &status["subscriptions"];
    let unconfirmed = subscriptions["unconfirmed"].as_i64().filter(|n| *n > 0);
    let unconfirmed = unconfirmed.map(|n| format!(", {n} not confirmed yet")).unwrap_or_default();
    line("subscriptions", format!("{} in effect{unconfirmed}", subscriptions["in_effect"]));
    for silenced in status["not_written_to"].as_array().into_iter().flatten() {
        let label = if silenced["as"] == json!("bounced") { "BOUNCED" } else { "unsubscribed" };
        let (address, why) = (text(&silenced["address"]), text(&silenced["why"]));
        line(label, format!("{address} since {}: {why}", instant(&silenced["since"])));
    }
    for ticker in status["tickers"].as_array().into_iter().flatten() {
        if let Some(warning) = ticker["warning"].as_str() {
            line("ticker", warning.to_owned());
        }
    }
    line("store", format!("{}, {} bytes", text(&status["store"]["path"]), status["store"]["bytes"]));
    out
}

const GREEN: &str = "\x1b[1;32m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";

fn paint(words: &str, colour: &str, in_colour: bool) -> String {
    if in_colour { format!("{colour}{words}\x1b[0m") } else { words.to_owned() }
}

/// `, 8 s ago`
fn ago(at: &Value, now: DateTime<Utc>) -> String {
    let at = at.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    at.map_or_else(String::new, |at| format!(", {} ago", print_span(now - at)))
}
