//! The configuration as checked: what the rest of the program works with.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use lettre::Address;
use lettre::message::Mailbox;
use url::Url;

use super::raw::{RawConfig, RawDkim, RawHttp, RawMail, RawRoute, RawSmtp, RawStore, RawWebhook};
use crate::classify::Phrase;
use crate::edgar::ids::FormType;
use crate::edgar::pace::{Pace, SEC_MAX_PER_SECOND};
use crate::mail::DkimKey;
use crate::store::{MOST_CONNECTIONS, StorePlace};
use crate::subscription::{CONFIGURED, IssuerKey, Subscription, Terms, WrittenSubscription, check_issuers};

/// Everything configured, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name and contact told to EDGAR.
    pub user_agent: String,
    /// Feeds, Archives, ticker map.
    pub www_url: Url,
    /// `submissions/`.
    pub data_url: Url,
    /// How fast EDGAR is asked.
    pub pace: Pace,
    /// What is watched.
    pub watch: WatchSettings,
    /// How often.
    pub poll: PollSettings,
    /// What is asked while all is well. Its path is a secret.
    pub heartbeat_url: Option<Url>,
    /// Where the store is.
    pub store: StorePlace,
    /// How mail goes out.
    pub mail: MailSettings,
    /// How people reach it with a browser, if they do.
    pub http: Option<HttpSettings>,
    /// Where metrics and health are served.
    pub admin_listen: Option<SocketAddr>,
    /// The file that metrics are written to.
    pub metrics_file: Option<PathBuf>,
    /// Where people reach it, for links in mails: `http.public_url`, without a slash at its end.
    pub public_url: Option<String>,
    /// How filings are read.
    pub reading: ReadingSettings,
    /// Least severe level logged, unless `RUST_LOG` says otherwise.
    pub log_level: tracing::Level,
    /// Issuers by the name of their group.
    pub groups: BTreeMap<String, Vec<IssuerKey>>,
    /// Who gets what by configuration. People subscribe as well: the store knows all.
    pub subscriptions: Vec<Subscription>,
    /// Who is told by JSON.
    pub webhooks: Vec<WebhookSettings>,
    /// Where secrets are kept, by their keys. An empty path stands for the configuration itself.
    pub secrets: Vec<(String, PathBuf)>,
    /// Secrets that no file is named for and that this process does not have as credentials: without them nothing can be
    /// sent. Each says which.
    pub missing_credentials: Vec<String>,
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchSettings {
    /// Whose filings are read.
    pub issuers: Vec<IssuerKey>,
    /// Which forms are read, exactly.
    pub forms: Vec<FormType>,
}

/// How often the feed is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollSettings {
    /// While EDGAR accepts filings.
    pub interval: Duration,
    /// At other times.
    pub off_hours_interval: Duration,
}

/// How filings are read.
#[derive(Debug, Clone)]
pub struct ReadingSettings {
    /// An alert less sure than this says that it wants checking. From 0 to 1.
    pub check_below: f64,
    /// The user's own phrases, their examples proven.
    pub patterns: Arc<[Phrase]>,
}

/// How mail goes out.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// The sender.
    pub from: Mailbox,
    /// Who is told when something needs a person.
    pub owner: Mailbox,
    /// The way out.
    pub transport: Transport,
    /// How long delivery is tried before a message is set aside.
    pub give_up_after: Duration,
    /// Where mail for `edgar-watch inbound` arrives, and for addresses of it with a detail (RFC 5233): `name+detail@domain`.
    pub inbound: Option<Address>,
    /// Relays for some domains.
    pub routes: Vec<Route>,
    /// The keys that each mail is signed with.
    pub dkim: Vec<DkimKey>,
}

/// A relay for the addresses of some domains.
#[derive(Debug, Clone)]
pub struct Route {
    /// In lower case. `.example.com` is every domain below example.com.
    pub domains: Vec<String>,
    /// The relay.
    pub smtp: SmtpSettings,
}

/// Alerts as JSON to an address of the user's.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// What it is called.
    pub name: String,
    /// Where alerts are posted. It may hold a secret.
    pub url: Url,
    /// What deliveries are signed with.
    pub secret: Option<Vec<u8>>,
    /// What the other side understands.
    pub format: WebhookFormat,
    /// Whether it may be in a private network.
    pub allow_private: bool,
    /// What it is for.
    pub terms: Terms,
}

/// What a webhook's other side understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// The whole alert.
    Json,
    /// A line, as Slack's incoming webhooks take it.
    Slack,
    /// A line, as Discord's webhooks take it.
    Discord,
}

/// The HTTP listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where it listens, unless systemd hands it a socket.
    pub listen: SocketAddr,
    /// Whether notices are shown to everybody.
    pub is_public: bool,
    /// Networks whose word on who asked is taken.
    pub trusted_proxies: Vec<IpNet>,
}

/// The way mail leaves.
#[derive(Debug, Clone)]
pub enum Transport {
    /// To a relay.
    Smtp(SmtpSettings),
    /// Through the system's `sendmail` program.
    Sendmail,
    /// One `.eml` file per mail.
    Folder(FolderSettings),
}

/// A folder of mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderSettings {
    /// Created when missing.
    pub path: PathBuf,
}

/// A relay.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether and how the connection is encrypted.
    pub tls: SmtpTls,
    /// PEM file of the CA to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Name and file of the password.
    pub login: Option<(String, PathBuf)>,
    /// Connections at a time at most.
    pub connections: usize,
}

/// Encryption towards the relay. Never opportunistic: what is configured happens or no mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// In the clear.
    None,
    /// STARTTLS, required (RFC 3207).
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

impl Settings {
    /// The issuers that a key stands for: those of its group, or itself.
    pub fn ungrouped<'a>(&'a self, key: &'a IssuerKey) -> &'a [IssuerKey] {
        match key {
            IssuerKey::Group(name) => self.groups.get(name).map_or(&[], Vec::as_slice),
            other => std::slice::from_ref(other),
        }
    }

    /// The longest interval between two polls, after which a missing poll is worth a word.
    pub fn slowest_poll(&self) -> Duration {
        self.poll.interval.max(self.poll.off_hours_interval)
    }
}

/// Readings of labelled notices below this were wrong more often than once in ten.
const DEFAULT_CHECK_BELOW: f64 = 0.8;

/// Relays that limit connections at all allow about so many.
const DEFAULT_CONNECTIONS: i64 = 4;

/// Polls closer together than this help nobody; the request budget holds them back anyway.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Collects faults, so that one run shows all of them.
struct Checker<'a> {
    folder: &'a Path,
    faults: Vec<String>,
    secrets: Vec<(String, PathBuf)>,
    missing_credentials: Vec<String>,
}

impl<'a> Checker<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, faults: Vec::new(), secrets: Vec::new(), missing_credentials: Vec::new() }
    }

    fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// A secret that no file is named for. The service may have it as a credential: a command outside of it, which does not
    /// see those, does without where it can.
    fn lacks_credential(&mut self, fault: String) {
        // ExecReload= is told where they are and cannot look there (seen with systemd 252).
        let sees_credentials =
            std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| Path::new(&folder).is_dir());
        if sees_credentials { &mut self.faults } else { &mut self.missing_credentials }.push(fault);
    }

    fn keep<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|fault| self.fault(fault)).ok()
    }

    fn duration(&mut self, key: &str, text: Option<&str>, default: &str, least: Duration) -> Duration {
        let text = text.unwrap_or(default);
        match humantime::parse_duration(text) {
            Ok(duration) if duration >= least => duration,
            Ok(_) => {
                self.fault(format!("{key}: expected at least {}, found \"{text}\"", humantime::format_duration(least)));
                least
            }
            Err(_) => {
                self.fault(format!("{key}: expected a duration such as \"60s\", found \"{text}\""));
                least
            }
        }
    }

    fn url(&mut self, key: &str, text: &str) -> Option<Url> {
        let result = match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                Err(format!("{key}: expected a http or https URL, found \"{}\"", mask(text)))
            }
            Ok(url)
                if url.host().is_none()
                    || !url.username().is_empty()
                    || url.password().is_some()
                    || url.query().is_some() =>
            {
                Err(format!("{key}: expected a bare host such as \"https://www.sec.gov\", found \"{}\"", mask(text)))
            }
            Ok(url) => Ok(url),
            Err(error) => Err(format!("{key}: expected a URL, found \"{}\": {error}", mask(text))),
        };
        self.keep(result)
    }

    fn mailbox(&mut self, key: &str, text: Option<&str>, example: &str) -> Option<Mailbox> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            self.fault(format!("{key} is missing (example: \"{example}\")"));
            return None;
        };
        let result = Mailbox::from_str(text)
            .map_err(|error| format!("{key}: expected a mail address, found \"{text}\": {error}"));
        self.keep(result)
    }

    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }
}

/// A URL's text without what stands for a user in it, for messages; it need not be a good URL.
fn mask(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}{}", &rest[authority.len()..]),
        None => text.to_owned(),
    }
}

pub(super) fn check(raw: &RawConfig, folder: &Path) -> Result<Settings, Vec<String>> {
    let mut checker = Checker::new(folder);
    let user_agent = check_user_agent(&mut checker, raw.edgar.user_agent.as_deref());
    let www_url = checker.url("edgar.www_url", raw.edgar.www_url.as_deref().unwrap_or("https://www.sec.gov"));
    let data_url = checker.url("edgar.data_url", raw.edgar.data_url.as_deref().unwrap_or("https://data.sec.gov"));
    let pace = check_pace(&mut checker, raw.edgar.max_requests_per_second, [www_url.as_ref(), data_url.as_ref()]);
    let groups = check_groups(&mut checker, &raw.groups);
    let watched = check_issuers("watch.issuers", raw.watch.issuers.as_deref(), &groups);
    let watch = WatchSettings {
        issuers: watched.unwrap_or_else(|faults| {
            checker.faults.extend(faults);
            Vec::new()
        }),
        forms: check_forms(&mut checker, raw.watch.forms.as_deref()),
    };
    let poll = PollSettings {
        interval: checker.duration("poll.interval", raw.poll.interval.as_deref(), "10s", SHORTEST_INTERVAL),
        off_hours_interval: checker.duration(
            "poll.off_hours_interval",
            raw.poll.off_hours_interval.as_deref(),
            "10m",
            SHORTEST_INTERVAL,
        ),
    };
    let heartbeat_url = raw.poll.heartbeat_url.as_deref().and_then(|text| check_heartbeat(&mut checker, text));
    if heartbeat_url.is_some() {
        checker.secrets.push(("poll.heartbeat_url".to_owned(), PathBuf::new()));
    }
    let store = check_store(&mut checker, &raw.store);
    let mail = check_mail(&mut checker, &raw.mail, store.as_ref());
    let public_url = raw.http.public_url.as_deref().and_then(|url| check_public_url(&mut checker, url));
    let http = check_http(&mut checker, &raw.http);
    let admin_listen = raw.http.admin_listen.as_deref().and_then(|text| check_admin_listen(&mut checker, text));
    let metrics_file = raw.metrics.file.as_deref().map(|text| checker.path(text));
    let reading = check_reading(&mut checker, raw);
    let log_level = raw.log.level.as_deref().map_or(Ok(tracing::Level::INFO), |level| {
        level
            .parse()
            .map_err(|_| format!("log.level: expected one of error, warn, info, debug, trace, found \"{level}\""))
    });
    let log_level = checker.keep(log_level);
    let subscriptions: Vec<Subscription> = raw
        .subscription
        .iter()
        .enumerate()
        .filter_map(|(index, written)| check_subscription(&mut checker, index, written, &groups))
        .collect();
    for (index, subscription) in subscriptions.iter().enumerate() {
        if subscriptions[..index].iter().any(|other| other.id == subscription.id) {
            let name = subscription.id.trim_start_matches(CONFIGURED);
            checker.fault(format!("subscription[{index}].name: \"{name}\" is used twice"));
        }
    }

    let webhooks: Vec<WebhookSettings> = raw
        .webhook
        .iter()
        .enumerate()
        .filter_map(|(index, raw)| check_webhook(&mut checker, index, raw, &groups))
        .collect();
    for (index, webhook) in webhooks.iter().enumerate() {
        if webhooks[..index].iter().any(|other| other.name == webhook.name) {
            checker.fault(format!("webhook[{index}].name: \"{}\" is used twice", webhook.name));
        }
    }

    match (user_agent, www_url, data_url, store, mail, log_level) {
        (Some(user_agent), Some(www_url), Some(data_url), Some(store), Some(mail), Some(log_level))
            if checker.faults.is_empty() =>
        {
            Ok(Settings {
                user_agent,
                www_url,
                data_url,
                pace,
                watch,
                poll,
                heartbeat_url,
                store,
                mail,
                http,
                admin_listen,
                metrics_file,
                public_url,
                reading,
                log_level,
                groups,
                subscriptions,
                webhooks,
                secrets: checker.secrets,
                missing_credentials: checker.missing_credentials,
            })
        }
        _ => Err(checker.faults),
    }
}

fn check_user_agent(checker: &mut Checker, user_agent: Option<&str>) -> Option<String> {
    const EXAMPLE: &str = "(example: \"Example Research ops@example.com\")";
    let user_agent = user_agent.unwrap_or_default().trim();
    let result = if user_agent.is_empty() {
        Err(format!("edgar.user_agent is missing: EDGAR refuses clients that name no contact {EXAMPLE}"))
    } else if !user_agent
        .split_whitespace()
        .any(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).parse::<lettre::Address>().is_ok())
    {
        Err(format!("edgar.user_agent: expected a name and an e-mail address {EXAMPLE}, found \"{user_agent}\""))
    } else if !user_agent.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Err(format!("edgar.user_agent: expected printable ASCII only, found \"{user_agent}\""))
    } else {
        Ok(user_agent.to_owned())
    };
    checker.keep(result)
}

/// The ceiling binds when any configured host is under sec.gov; a mirror of one's own may be asked at any rate.
fn check_pace(checker: &mut Checker, rate: Option<i64>, urls: [Option<&Url>; 2]) -> Pace {
    const KEY: &str = "edgar.max_requests_per_second";
    let under_sec = urls
        .into_iter()
        .flatten()
        .filter_map(Url::host_str)
        .any(|host| host == "sec.gov" || host.ends_with(".sec.gov"));
    let rate = rate.unwrap_or(5);
    let per_second = match u32::try_from(rate) {
        Ok(per_second @ 1..=100_000) if !under_sec || per_second <= SEC_MAX_PER_SECOND => per_second,
        _ if under_sec => {
            checker.fault(format!("{KEY}: expected 1 to {SEC_MAX_PER_SECOND} under sec.gov, found {rate}"));
            1
        }
        _ => {
            checker.fault(format!("{KEY}: expected 1 to 100000, found {rate}"));
            1
        }
    };
    Pace::new(per_second, under_sec)
}

/// What is wrong with it is told without repeating it: all of it may be secret.
fn check_heartbeat(checker: &mut Checker, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    checker.keep(url.ok_or_else(|| "poll.heartbeat_url: expected a http or https URL".to_owned()))
}

/// Groups of issuers by name. A group holds no other.
fn check_groups(checker: &mut Checker, raw: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<IssuerKey>> {
    let mut groups = BTreeMap::new();
    for (name, issuers) in raw {
        match check_issuers(&format!("groups.{name}"), Some(issuers), &BTreeMap::new()) {
            Ok(issuers) => {
                groups.insert(name.clone(), issuers);
            }
            Err(faults) => checker.faults.extend(faults),
        }
    }
    groups
}

fn check_forms(checker: &mut Checker, forms: Option<&[String]>) -> Vec<FormType> {
    let Some(forms) = forms else { return vec![FormType::new("8-K"), FormType::new("8-K/A")] };
    if forms.is_empty() {
        checker.fault("watch.forms is empty: name at least one form, such as \"8-K\"");
    }
    for (index, form) in forms.iter().enumerate() {
        if form.trim().is_empty() || !form.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            checker.fault(format!("watch.forms[{index}]: expected a form such as \"8-K\", found \"{form}\""));
        }
    }
    forms.iter().map(|form| FormType::new(form)).collect()
}

fn check_store(checker: &mut Checker, raw: &RawStore) -> Option<StorePlace> {
    let text = raw.url.as_deref().unwrap_or("sqlite:///var/lib/edgar-watch/state.db");
    let max_connections = raw.max_connections.map_or(Some(MOST_CONNECTIONS), |n| u32::try_from(n).ok());
    let max_connections = max_connections.filter(|n| (4..=1000).contains(n)).or_else(|| {
        checker.fault(format!(
            "store.max_connections: expected 4 to 1000, found {}",
            raw.max_connections.unwrap_or_default()
        ));
        None
    });
    let is_server = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    if !is_server {
        for (key, is_set) in [
            ("password_file", raw.password_file.is_some()),
            ("max_connections", raw.max_connections.is_some()),
            ("keys_file", raw.keys_file.is_some()),
        ] {
            if is_set {
                checker.fault(format!("store.{key} is for a postgres:// URL, and store.url names a file"));
            }
        }
        return check_store_file(checker, text);
    }
    let password_file =
        secret_file(checker, "store.password_file".to_owned(), raw.password_file.as_deref(), "store-password");
    let keys_file = checker.path(raw.keys_file.as_deref().unwrap_or("/var/lib/edgar-watch/token.keys"));
    let url = checker.keep(check_server_url(text))?;
    if url.password().is_some() {
        // All of the configuration is a secret then.
        checker.secrets.push(("store.url".to_owned(), PathBuf::new()));
    }
    Some(StorePlace::server(url, password_file, max_connections?, keys_file))
}

/// A store by its URL alone; a relative path of a file starts from a folder.
///
/// # Errors
/// What is wrong with the URL.
pub fn store_place(url: &str, folder: &Path) -> Result<StorePlace, String> {
    let mut checker = Checker::new(folder);
    let place = check_store(&mut checker, &RawStore { url: Some(url.to_owned()), ..RawStore::default() });
    place.ok_or_else(|| checker.faults.join("; "))
}

fn check_store_file(checker: &mut Checker, text: &str) -> Option<StorePlace> {
    // `sqlite://state.db` is relative to the file: the URL syntax has no other way to say it.
    let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) else {
        checker.fault(format!(
            "store.url: expected sqlite:///path/to/state.db or postgres://user@host/database, found \"{}\"",
            mask(text)
        ));
        return None;
    };
    if path.is_empty() || path.ends_with('/') || path.contains(['?', '#']) {
        checker.fault(format!("store.url: expected sqlite:///path/to/state.db, found \"{text}\""));
        return None;
    }
    let path = checker.path(path);
    checker.keep(StorePlace::file(&path).ok_or_else(|| format!("store.url: \"{}\" is no usable path", path.display())))
}

/// What a URL of a server may say (PostgreSQL documentation, 34.1.2); a word that is not known would be passed over.
const SERVER_PARAMETERS: [&str; 8] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "application_name", "options"];

fn check_server_url(text: &str) -> Result<Url, String> {
    let expected = || format!("store.url: expected postgres://user@host/database, found \"{}\"", mask(text));
    let url = Url::parse(text).map_err(|_| expected())?;
    if url.path().trim_matches('/').is_empty() || url.fragment().is_some() {
        return Err(expected());
    }
    match url.query_pairs().find(|(key, _)| !SERVER_PARAMETERS.contains(&key.as_ref())) {
        Some((key, _)) => {
            Err(format!("store.url: \"{key}\" is none of the parameters {}", SERVER_PARAMETERS.join(", ")))
        }
        None => Ok(url),
    }
}

/// A pattern that does not do what its examples say is refused: it would stay silent, or cry wolf, unseen.
fn check_reading(checker: &mut Checker, raw: &RawConfig) -> ReadingSettings {
    let check_below = raw.reading.check_below.unwrap_or(DEFAULT_CHECK_BELOW);
    if !(0.0..=1.0).contains(&check_below) {
        checker.fault(format!("reading.check_below: expected 0 to 1, found {check_below}"));
    }
    let mut patterns: Vec<Phrase> = Vec::new();
    for (index, source) in raw.pattern.iter().enumerate() {
        if raw.pattern[..index].iter().any(|other| other.name == source.name) {
            checker.fault(format!("pattern[{index}].name: \"{}\" is used twice", source.name));
        }
        match Phrase::compile(source.clone()) {
            Ok(pattern) => {
                checker.faults.extend(pattern.check_examples());
                patterns.push(pattern);
            }
            Err(fault) => checker.fault(fault),
        }
    }
    ReadingSettings { check_below, patterns: patterns.into() }
}

fn check_mail(checker: &mut Checker, raw: &RawMail, store: Option<&StorePlace>) -> Option<MailSettings> {
    let from = checker.mailbox("mail.from", raw.from.as_deref(), "EDGAR Watch <edgar-watch@example.com>");
    let owner = checker.mailbox("mail.owner", raw.owner.as_deref(), "ops@example.com");
    let give_up_after =
        checker.duration("mail.give_up_after", raw.give_up_after.as_deref(), "5d", Duration::from_secs(60));
    let transport = match raw.transport.as_deref().unwrap_or("smtp") {
        "smtp" => check_smtp(checker, "mail.smtp", "smtp-password", &raw.smtp).map(Transport::Smtp),
        "sendmail" => Some(Transport::Sendmail),
        "folder" => {
            // Beside the store, where a service in its sandbox may write.
            let beside_store = || store.map(|store| store.keys_file().with_file_name("mail"));
            let path = raw.folder.as_deref().map(|folder| checker.path(folder)).or_else(beside_store);
            let path = path.unwrap_or_else(|| checker.path("mail"));
            Some(Transport::Folder(FolderSettings { path }))
        }
        other => {
            checker.fault(format!("mail.transport: expected smtp, sendmail or folder, found \"{other}\""));
            None
        }
    };
    let inbound = raw.inbound.as_deref().map(|text| {
        let plain = |address: &Address| !address.user().contains(['+', '"']);
        text.parse::<Address>().ok().filter(plain).ok_or_else(|| {
            format!("mail.inbound: expected a bare address such as \"edgar-watch@example.com\", found \"{text}\"")
        })
    });
    let inbound = inbound.and_then(|inbound| checker.keep(inbound));
    let routes = raw.route.iter().enumerate();
    let routes = routes.filter_map(|(index, raw)| check_route(checker, index, raw)).collect();
    let dkim: Vec<DkimKey> = from.as_ref().map_or_else(Vec::new, |from| {
        let keys = raw.dkim.iter().enumerate();
        keys.filter_map(|(index, raw)| check_dkim(checker, index, raw, from.email.domain())).collect()
    });
    Some(MailSettings { from: from?, owner: owner?, transport: transport?, give_up_after, inbound, routes, dkim })
}

/// Keys are read here: a daemon that finds out at its first mail that it cannot sign is of no use.
fn check_dkim(checker: &mut Checker, index: usize, raw: &RawDkim, from_domain: &str) -> Option<DkimKey> {
    let key = format!("mail.dkim[{index}]");
    let Some(selector) = raw.selector.as_deref().filter(|selector| is_plain_name(selector)) else {
        checker.fault(format!("{key}.selector is missing or no name (example: \"ew2026\")"));
        return None;
    };
    let domain = raw.domain.as_deref().unwrap_or(from_domain);
    if !is_plain_name(domain) {
        checker.fault(format!("{key}.domain: expected a domain such as \"example.com\", found \"{domain}\""));
    }
    let Some(file) =
        secret_file(checker, format!("{key}.key_file"), raw.key_file.as_deref(), &format!("dkim-{selector}"))
    else {
        let fault = format!("{key}.key_file is missing, and the service has no credential dkim-{selector}");
        checker.lacks_credential(fault);
        return None;
    };
    let pem = std::fs::read(&file).map_err(|error| format!("{key}.key_file: {}: {error}", file.display()));
    let pem = checker.keep(pem)?;
    checker.keep(DkimKey::from_pem(domain, selector, &pem, &file).map_err(|fault| format!("{key}.key_file: {fault}")))
}

fn check_public_url(checker: &mut Checker, text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| {
        let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none() && is_bare
    });
    const OWN: [&str; 8] =
        ["subscribe", "confirm", "preferences", "unsubscribe", "notices", "notices.json", "feed.atom", "style.css"];
    let first = url.as_ref().and_then(|url| url.path_segments()?.next().map(str::to_owned)).unwrap_or_default();
    if OWN.contains(&first.as_str()) {
        checker.fault(format!("http.public_url: its path must not begin with /{first}, which is a page"));
    }
    let url = url.ok_or_else(|| {
        format!("http.public_url: expected a URL such as \"https://alerts.example.com\", found \"{}\"", mask(text))
    });
    checker.keep(url).map(|url| url.as_str().trim_end_matches('/').to_owned())
}

fn check_http(checker: &mut Checker, raw: &RawHttp) -> Option<HttpSettings> {
    let Some(listen) = &raw.listen else {
        if raw.public == Some(true) {
            checker.fault("http.public is true and http.listen is not set: nothing would be served");
        }
        return None;
    };
    if raw.public_url.is_none() {
        checker.fault("http.public_url is missing: links are built from it (example: \"https://alerts.example.com\")");
    }
    let listen = listen
        .parse()
        .map_err(|_| format!("http.listen: expected an address such as \"127.0.0.1:8080\", found \"{listen}\""));
    let listen = checker.keep(listen);
    let mut trusted_proxies = Vec::new();
    for (index, text) in raw.trusted_proxies.iter().flatten().enumerate() {
        match text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) => trusted_proxies.push(network),
            Err(_) => checker.fault(format!(
                "http.trusted_proxies[{index}]: expected an address or a network such as \"127.0.0.1\" or \
                 \"10.0.0.0/8\", found \"{text}\""
            )),
        }
    }
    Some(HttpSettings { listen: listen?, is_public: raw.public.unwrap_or_default(), trusted_proxies })
}

/// A port alone is one of this machine's own: what is served there is for those who run it.
fn check_admin_listen(checker: &mut Checker, text: &str) -> Option<SocketAddr> {
    let port = text.trim_start_matches(':').parse().ok().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let address = text.parse().ok().or(port);
    checker.keep(address.ok_or_else(|| {
        format!("http.admin_listen: expected an address or a port such as \"127.0.0.1:9464\", found \"{text}\"")
    }))
}

fn check_smtp(checker: &mut Checker, table: &str, credential: &str, raw: &RawSmtp) -> Option<SmtpSettings> {
    let host = raw.host.clone().unwrap_or_else(|| "localhost".to_owned());
    let (tls, default_port) = match raw.tls.as_deref().unwrap_or("none") {
        "none" => (SmtpTls::None, 25),
        "starttls" => (SmtpTls::Starttls, 587),
        "implicit" => (SmtpTls::Implicit, 465),
        other => {
            checker.fault(format!("{table}.tls: expected none, starttls or implicit, found \"{other}\""));
            return None;
        }
    };
    let port = raw.port.unwrap_or(default_port);
    let port = u16::try_from(port).ok().filter(|port| *port > 0).or_else(|| {
        checker.fault(format!("{table}.port: expected 1 to 65535, found {port}"));
        None
    })?;
    let password = secret_file(checker, format!("{table}.password_file"), raw.password_file.as_deref(), credential);
    let login = match (&raw.username, password) {
        (Some(username), Some(file)) => Some((username.clone(), file)),
        (Some(_), None) => {
            checker.lacks_credential(format!(
                "{table}.username is set without a password: set {table}.password_file, or give the service the \
                 credential {credential}"
            ));
            None
        }
        (None, _) if raw.password_file.is_some() => {
            checker.fault(format!("{table}.password_file is set without {table}.username"));
            None
        }
        (None, _) => None,
    };
    if login.is_some() && tls == SmtpTls::None && !is_this_machine(&host) {
        checker.fault(format!(
            "{table}.tls is \"none\" and a password would go to \"{host}\" in the clear: set starttls or implicit"
        ));
    }
    let ca_file = raw.ca_file.as_deref().map(|file| checker.path(file));
    let connections = raw.connections.unwrap_or(DEFAULT_CONNECTIONS);
    let connections = usize::try_from(connections).ok().filter(|n| (1..=100).contains(n)).or_else(|| {
        checker.fault(format!("{table}.connections: expected 1 to 100, found {connections}"));
        None
    })?;
    Some(SmtpSettings { host, port, tls, ca_file, login, connections })
}

fn check_route(checker: &mut Checker, index: usize, raw: &RawRoute) -> Option<Route> {
    let table = format!("mail.route[{index}]");
    let domains: Vec<String> = raw.domains.iter().flatten().map(|domain| domain.to_lowercase()).collect();
    if domains.is_empty() || domains.iter().any(|domain| domain.contains('@') || domain.trim().is_empty()) {
        checker.fault(format!("{table}.domains: expected domains such as [\"example.com\", \".example.net\"]"));
    }
    if raw.host.is_none() {
        checker.fault(format!("{table}.host is missing (example: \"relay.example.com\")"));
    }
    let smtp = RawSmtp {
        host: raw.host.clone(),
        port: raw.port,
        tls: raw.tls.clone(),
        ca_file: raw.ca_file.clone(),
        username: raw.username.clone(),
        password_file: raw.password_file.clone(),
        connections: raw.connections,
    };
    Some(Route { domains, smtp: check_smtp(checker, &table, &format!("route-{}-password", index + 1), &smtp)? })
}

fn check_webhook(
    checker: &mut Checker,
    index: usize,
    raw: &RawWebhook,
    groups: &BTreeMap<String, Vec<IssuerKey>>,
) -> Option<WebhookSettings> {
    let table = format!("webhook[{index}]");
    let name = raw.name.clone().unwrap_or_else(|| (index + 1).to_string());
    if !is_plain_name(&name) {
        checker.fault(format!("{table}.name: expected letters, digits, - _ and ., found \"{name}\""));
    }
    let allow_private = raw.allow_private.unwrap_or_default();
    let text = match (&raw.url, &raw.url_file) {
        (Some(url), None) => {
            checker.secrets.push((format!("{table}.url"), PathBuf::new()));
            Some(url.clone())
        }
        (None, file) => {
            match secret_file(checker, format!("{table}.url_file"), file.as_deref(), &format!("webhook-{name}-url")) {
                Some(file) => {
                    let read = std::fs::read_to_string(&file);
                    checker.keep(read.map_err(|error| format!("{table}.url_file: {}: {error}", file.display())))
                }
                None => {
                    checker.fault(format!("{table}.url is missing (example: \"https://hooks.example.com/alerts\")"));
                    None
                }
            }
        }
        (Some(_), Some(_)) => {
            checker.fault(format!("{table}.url and {table}.url_file are both set"));
            None
        }
    };
    // What is wrong with it is told without repeating it: its path is often a secret.
    let url = text.and_then(|text| {
        let url = Url::parse(text.trim())
            .ok()
            .filter(|url| url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && allow_private)));
        checker.keep(url.ok_or_else(|| format!("{table}.url: expected a https URL")))
    });
    let secret = raw.secret_file.as_deref();
    let secret = secret_file(checker, format!("{table}.secret_file"), secret, &format!("webhook-{name}-secret"));
    let secret = secret.and_then(|file| {
        let read = std::fs::read(&file).map_err(|error| format!("{table}.secret_file: {}: {error}", file.display()));
        checker.keep(read).and_then(|text| checker.keep(webhook_secret(&table, &text)))
    });
    let format = match raw.format.as_deref().unwrap_or("json") {
        "json" => WebhookFormat::Json,
        "slack" => WebhookFormat::Slack,
        "discord" => WebhookFormat::Discord,
        other => {
            checker.fault(format!("{table}.format: expected json, slack or discord, found \"{other}\""));
            WebhookFormat::Json
        }
    };
    let written = WrittenSubscription {
        issuers: raw.issuers.clone(),
        kinds: raw.kinds.clone(),
        bases: raw.bases.clone(),
        exchanges: raw.exchanges.clone(),
        min_confidence: raw.min_confidence,
        ..WrittenSubscription::default()
    };
    let terms = written.check(groups).map_err(|faults| {
        checker.faults.extend(faults.into_iter().map(|fault| format!("{table}.{fault}")));
    });
    Some(WebhookSettings { name, url: url?, secret, format, allow_private, terms: terms.ok()? })
}

/// The key of a webhook: as Standard Webhooks writes it, `whsec_` and base64, or the text itself.
fn webhook_secret(table: &str, text: &[u8]) -> Result<Vec<u8>, String> {
    let text = text.trim_ascii();
    let secret = match text.strip_prefix(b"whsec_") {
        Some(encoded) => data_encoding::BASE64.decode(encoded).unwrap_or_default(),
        None => text.to_vec(),
    };
    if secret.len() < 16 {
        return Err(format!("{table}.secret_file: expected whsec_ and base64, or 16 characters at least"));
    }
    Ok(secret)
}

/// What may stand in ids, and in names of credentials.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The file named, or else a credential of systemd's (systemd.exec(5), LoadCredential=).
fn secret_file(checker: &mut Checker, key: String, named: Option<&str>, credential: &str) -> Option<PathBuf> {
    if let Some(named) = named {
        let file = checker.path(named);
        checker.secrets.push((key, file.clone()));
        return Some(file);
    }
    let credential = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?).join(credential);
    credential.is_file().then_some(credential)
}

fn check_subscription(
    checker: &mut Checker,
    index: usize,
    written: &WrittenSubscription,
    groups: &BTreeMap<String, Vec<IssuerKey>>,
) -> Option<Subscription> {
    let key = format!("subscription[{index}]");
    let email = checker.mailbox(&format!("{key}.email"), written.email.as_deref(), "desk@example.com");
    let terms = written.check(groups).map_err(|faults| {
        checker.faults.extend(faults.into_iter().map(|fault| format!("{key}.{fault}")));
    });
    let name = written.name.clone().unwrap_or_else(|| (index + 1).to_string());
    if !is_plain_name(&name) {
        checker.fault(format!("{key}.name: expected letters, digits, - _ and ., found \"{name}\""));
    }
    let written = WrittenSubscription { name: None, email: None, ..written.clone() };
    Some(Subscription {
        id: format!("{CONFIGURED}{name}"),
        address: email?.email.to_string().to_lowercase(),
        address_id: 0,
        written,
        terms: terms.ok()?,
    })
}
