//! `check-config`: what is configured, what follows from it, and with `--online` whether it works.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;
use tracing::Level;

use super::{Common, Failure, complain, print, system_clock};
use crate::config::{Settings, doubts};
use crate::edgar::client::FetchFailure;
use crate::edgar::forms::feed_prefixes;
use crate::edgar::pace::{Priority, RequestBudget};
use crate::heartbeat;
use crate::mail::{Mailer, check_sandbox};
use crate::passes::{PassError, client_for};
use crate::store::{Store, StorePlace, foreign_owner};
use crate::subscription::{IssuerKey, Subscription};
use crate::tempo::requests_a_day;

/// Arguments of `check-config`.
#[derive(Debug, Args)]
pub(super) struct CheckConfigArgs {
    /// Also ask EDGAR once and greet the relay
    #[arg(long)]
    online: bool,

    /// Print only what is wrong or doubtful
    #[arg(short, long)]
    quiet: bool,
}

pub(super) async fn run(common: &Common, args: &CheckConfigArgs) -> Result<(), Failure> {
    let (settings, file) = common.load_from(Some(Level::WARN))?;
    let described = describe(&settings)?;
    if !args.quiet {
        print(&described)?;
    }
    check_sandbox(&settings.mail).map_err(Failure::config)?;
    // Where a service has credentials, the daemon sees them, and this command for its reload does not.
    let is_in_service = std::env::var_os("CREDENTIALS_DIRECTORY").is_some();
    for missing in settings.missing_credentials.iter().filter(|_| !is_in_service) {
        complain(format!("warning: {}: {missing}; as it is, this command sees none", file.display()));
    }
    for doubt in doubts(&settings, &file) {
        complain(format!("warning: {}: {doubt}", file.display()));
    }
    let mut mailer = Mailer::new(&settings.mail).map_err(|error| Failure::config(format!("{error:#}")))?;
    if !args.online {
        return Ok(());
    }
    try_edgar(&settings).await?;
    mailer.greet().await.map_err(Failure::out_of_reach)?;
    print(&format!("mail             {} answers\n", mailer.describe()))
}

/// The settings in effect; nothing in them is secret, since passwords stay in their files.
fn describe(settings: &Settings) -> Result<String, Failure> {
    let mut out = String::new();
    let mut line = |key: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{key:16} {value}");
    };
    line("user agent", settings.user_agent.clone());
    line("www", settings.www_url.to_string());
    line("data", settings.data_url.to_string());
    line("requests", format!("{} a second at most", settings.pace.per_second()));
    line("issuers", settings.watch.issuers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    line("forms", settings.watch.forms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let poll = settings.poll;
    line(
        "poll",
        format!(
            "every {} from 06:00 to 22:00 Eastern on business days, else every {}",
            humantime::format_duration(poll.interval),
            humantime::format_duration(poll.off_hours_interval)
        ),
    );
    let n_requests = requests_a_day(&poll, feed_prefixes(&settings.watch.forms).len());
    line("requests a day", format!("{n_requests} at most on a business day, and one or two for each filing read"));
    if let Some(url) = &settings.heartbeat_url {
        line("heartbeat", heartbeat::mask(url));
    }
    line("store", settings.store.to_string());
    line("from", settings.mail.from.to_string());
    line("owner", settings.mail.owner.to_string());
    line("mail", Mailer::new(&settings.mail).map_err(|error| Failure::config(format!("{error:#}")))?.describe());
    for route in &settings.mail.routes {
        let mailer = Mailer::for_relay(&route.smtp).map_err(|error| Failure::config(format!("{error:#}")))?;
        line("mail", format!("{} for {}", mailer.describe(), route.domains.join(", ")));
    }
    if let Some(inbound) = &settings.mail.inbound {
        line("inbound", inbound.to_string());
    }
    for key in &settings.mail.dkim {
        line("dkim", format!("{} ({})", key.record().0, key.algorithm()));
    }
    if let Some(url) = &settings.public_url {
        line("pages", format!("{url} (public address)"));
    }
    if let Some(http) = &settings.http {
        let shown = if http.is_public { ", notices shown to everybody" } else { "" };
        line("pages", format!("listen on {}{shown}", http.listen));
    }
    for webhook in &settings.webhooks {
        let signed = if webhook.secret.is_some() { "signed" } else { "not signed" };
        line("webhook", format!("{}: {} ({signed})", webhook.name, heartbeat::mask(&webhook.url)));
    }
    for (name, issuers) in &settings.groups {
        let issuers = issuers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        line("group", format!("{name}: {issuers}"));
    }
    line("check this", format!("said of alerts with a confidence below {:.2}", settings.reading.check_below));
    for pattern in settings.reading.patterns.iter() {
        let n_examples = pattern.source.matches.len() + pattern.source.near_misses.len();
        line("pattern", format!("{}: {n_examples} examples hold", pattern.source.name));
    }
    for subscription in &settings.subscriptions {
        let Subscription { id, address, written, .. } = subscription;
        line("subscription", format!("{id} {address}: {}", written.summary()));
    }
    if settings.subscriptions.is_empty() {
        line("subscription", "none here".to_owned());
    }
    Ok(out)
}

/// One feed page and one file of the data host. A User-Agent refused before is tried anew: this is a person asking.
async fn try_edgar(settings: &Settings) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let own = match foreign_owner(&settings.store) {
        Some(_) => None,
        None => Store::open_existing(&settings.store).await.ok(),
    };
    let store = match own {
        Some(store) => store,
        // A person who checks may have no right to the store; the budget is then this one's own.
        None => {
            let place = StorePlace::file(&folder.path().join("state.db"));
            Store::open(&place.ok_or_else(|| Failure::failed("no folder for temporary files"))?).await?
        }
    };
    store.refuse_user_agent(None).await?;
    let client = client_for(settings, Arc::new(store), Priority::Live, system_clock())?;
    for prefix in feed_prefixes(&settings.watch.forms) {
        let page = client.feed_page(&prefix, 0).await.map_err(PassError::from)?;
        print(&format!("edgar            feed \"{prefix}\": {} entries\n", page.n_entries()))?;
    }
    let mut unknown = None;
    let tickers = settings.watch.issuers.iter().filter_map(|key| match key {
        IssuerKey::Ticker(ticker) => Some(ticker),
        _ => None,
    });
    let tickers: Vec<&String> = tickers.collect();
    if !tickers.is_empty() {
        let map = client.ticker_map().await.map_err(PassError::from)?;
        for ticker in tickers {
            match map.find(ticker) {
                Some(listed) => print(&format!("edgar            {ticker} is {}, CIK {}\n", listed.name, listed.cik))?,
                None => unknown = Some(crate::passes::describe_unknown(ticker, map.nearest(ticker))),
            }
        }
    }
    for cik in
        settings.watch.issuers.iter().filter_map(|key| if let IssuerKey::Cik(cik) = key { Some(*cik) } else { None })
    {
        match client.company(cik).await {
            Ok(company) => print(&format!("edgar            CIK {cik} is {}\n", company.name))?,
            Err(error) if matches!(error.failure, FetchFailure::NotPublished) => {
                unknown = Some(format!("watch.issuers: EDGAR knows no CIK {cik}"));
            }
            Err(error) => return Err(PassError::from(error).into()),
        }
    }
    unknown.map_or(Ok(()), |words| Err(Failure::config(words)))
}
