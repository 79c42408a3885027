//! The only place that talks to EDGAR.
//!
//! Addresses are built here from CIK, accession number and the configured hosts. Every request takes a token from
//! the shared budget first; every refusal is read for what it means and, where it concerns all asking, remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::StreamExt;
use reqwest::StatusCode;
use reqwest::header::{IF_MODIFIED_SINCE, LAST_MODIFIED, LOCATION, RETRY_AFTER};
use url::Url;

use super::daily_index::{IndexFile, IndexRow, ListedDay, Quarter, parse_listing, parse_master};
use super::feed::{FeedPage, parse_feed};
use super::filing::{Document, Filing, FilingReader, MAX_DOCUMENT_BYTES};
use super::ids::{AccessionNumber, Cik, DocumentType};
use super::index_page::{IndexPage, IndexedDocument, parse_index_page};
use super::pace::{Grant, Pace, Priority, RequestBudget};
use super::refusal::{Refusal, read_refusal};
use super::retry::{BLOCK_PAUSE, parse_retry_after};
use super::submissions::{Company, parse_submissions};
use super::tickers::TickerMap;
use crate::clock::SharedClock;

/// How much of an error page is read to tell what it is.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Redirects within the same host that are followed, each with a token of its own.
const MAX_REDIRECTS: usize = 2;

/// Entries asked for per feed page, the most EDGAR gives.
pub const PAGE_ENTRIES: usize = 100;

/// A request that did not bring what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("fetch {what}: {failure}")]
pub struct FetchError {
    /// The thing asked for, in words.
    pub what: String,
    /// What went wrong.
    pub failure: FetchFailure,
}

/// What went wrong with a request, as far as a caller must choose.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailure {
    /// The file is not there, or not yet.
    #[error("not published yet")]
    NotPublished,
    /// All asking has stopped.
    #[error("EDGAR stopped answering ({reason}): no request before {}", until.format("%H:%M:%SZ"))]
    Blocked {
        /// When asking may begin again.
        until: DateTime<Utc>,
        /// EDGAR's reason.
        reason: String,
    },
    /// EDGAR does not accept the configured User-Agent.
    #[error(
        "EDGAR refuses the User-Agent \"{0}\" as an undeclared automated tool: set edgar.user_agent to your name and e-mail address"
    )]
    UserAgentRefused(String),
    /// An answer of another kind than 200.
    #[error("HTTP {}", .0.as_u16())]
    Status(StatusCode),
    /// A redirect to another host.
    #[error("redirected to \"{0}\": refused, only the configured hosts are asked")]
    Redirected(String),
    /// More bytes than a response may have.
    #[error("more than {0} bytes")]
    TooLarge(u64),
    /// No connection, or it broke, or took too long.
    #[error("{0}")]
    Network(String),
    /// 200, but not what was asked for.
    #[error("{0}")]
    Unexpected(String),
    /// It is what it was on the date asked about.
    #[error("unchanged")]
    Unchanged,
    /// The shared budget could not be read.
    #[error("request budget: {0:#}")]
    Budget(anyhow::Error),
}

/// What an answer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until connected.
    pub connect: Duration,
    /// The longest silence within an answer.
    pub silence: Duration,
    /// For a whole answer that others may wait for: a feed page, an index page, the ticker map.
    pub small_answer: Duration,
    /// For a whole submission or index.
    pub large_answer: Duration,
    /// Decoded bytes of an answer that is held in memory: any but a submission.
    pub small_bytes: u64,
    /// Decoded bytes of a submission.
    pub large_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            small_answer: Duration::from_secs(120),
            large_answer: Duration::from_secs(600),
            small_bytes: 64 * 1024 * 1024,
            large_bytes: 1024 * 1024 * 1024,
        }
    }
}

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Feeds, Archives and the ticker map.
    pub www_url: Url,
    /// `submissions/`.
    pub data_url: Url,
    /// Name and contact; EDGAR refuses clients without.
    pub user_agent: String,
    /// How fast to ask.
    pub pace: Pace,
    /// Who goes first where others share the budget.
    pub priority: Priority,
    /// What an answer may cost.
    pub limits: Limits,
}

/// The client.
pub struct EdgarClient {
    www: reqwest::Client,
    data: reqwest::Client,
    settings: ClientSettings,
    budget: Arc<dyn RequestBudget>,
    clock: SharedClock,
    /// The lists of daily indexes that were had, each with its date in EDGAR's words.
    listings: Mutex<HashMap<Quarter, (String, Vec<ListedDay>)>>,
}

/// A request.
struct Ask<'a> {
    http: &'a reqwest::Client,
    url: Url,
    time: Duration,
    /// Only what has changed since is wanted (RFC 9110 13.1.3).
    unless_as_of: Option<&'a str>,
}

/// What it brought.
struct Answer {
    body: Vec<u8>,
    last_modified: Option<String>,
}

/// One of the two addresses of a submission. Both lead to the same file; either may be published first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmissionPath {
    /// In the filing's own folder, as index pages link it.
    Folder,
    /// In the company's folder, as the daily index lists it.
    Company,
}

impl EdgarClient {
    /// Builds the client; no request is made. TLS roots are loaded only when a URL is https.
    ///
    /// # Errors
    /// When a URL is https and the system has no CA certificates.
    pub fn new(settings: ClientSettings, budget: Arc<dyn RequestBudget>, clock: SharedClock) -> anyhow::Result<Self> {
        let https = [&settings.www_url, &settings.data_url].iter().any(|url| url.scheme() == "https");
        let tls = crate::tls::client_config(https)?;
        let build = |url: &Url| {
            let mut builder = reqwest::Client::builder()
                .user_agent(&settings.user_agent)
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(settings.limits.connect)
                .read_timeout(settings.limits.silence)
                .tls_backend_preconfigured(tls.clone());
            if is_loopback(url) {
                builder = builder.no_proxy();
            }
            builder.build()
        };
        let (www, data) = (build(&settings.www_url)?, build(&settings.data_url)?);
        Ok(Self { www, data, settings, budget, clock, listings: Mutex::default() })
    }

    /// One page of the feed: `count` entries from `start` on whose form begins with `prefix` (empty: all forms).
    ///
    /// # Errors
    /// [`FetchError`]. Past the feed's depth EDGAR answers 503, as it does in an outage.
    pub async fn feed_page(&self, prefix: &str, start: usize) -> Result<FeedPage, FetchError> {
        let mut url = self.www_url("cgi-bin/browse-edgar");
        url.query_pairs_mut()
            .append_pair("action", "getcurrent")
            .append_pair("type", prefix)
            .append_pair("owner", "include")
            .append_pair("start", &start.to_string())
            .append_pair("count", &PAGE_ENTRIES.to_string())
            .append_pair("output", "atom");
        let what = format!("feed \"getcurrent {prefix}\" from {start}");
        let body = self.get_small(&what, &self.www, url).await?;
        parse_feed(&body).map_err(|error| FetchError { what, failure: FetchFailure::Unexpected(error.to_string()) })
    }

    /// The full submission. Its bytes go through the parser as they arrive and are parsed on a blocking thread.
    ///
    /// # Errors
    /// [`FetchError`]; a body that is no submission is [`FetchFailure::Unexpected`].
    pub async fn submission(
        &self,
        cik: Cik,
        accession: AccessionNumber,
        path: SubmissionPath,
    ) -> Result<Filing, FetchError> {
        let what = format!("filing {accession}");
        let url = match path {
            SubmissionPath::Folder => self.archive_url(cik, accession, &format!("{accession}.txt")),
            SubmissionPath::Company => self.www_url(&format!("Archives/edgar/data/{}/{accession}.txt", cik.number())),
        };
        // A few pieces in flight: the network is read on while the parser works, and memory stays bounded.
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<bytes::Bytes>(8);
        let parser = tokio::task::spawn_blocking(move || {
            let mut reader = FilingReader::new(MAX_DOCUMENT_BYTES);
            while let Some(piece) = receiver.blocking_recv() {
                reader.feed(&piece);
            }
            reader.finish()
        });
        let ask = Ask { http: &self.www, url, time: self.settings.limits.large_answer, unless_as_of: None };
        let fetched = self.get(&what, ask, Some(&sender)).await;
        drop(sender);
        let parsed = parser.await;
        fetched?;
        let unexpected = |reason: String| FetchError { what: what.clone(), failure: FetchFailure::Unexpected(reason) };
        match parsed {
            Ok(Ok(filing)) => Ok(filing),
            Ok(Err(error)) => Err(unexpected(error.to_string())),
            Err(error) => Err(unexpected(format!("the parser stopped: {error}"))),
        }
    }

    /// The days of a quarter that have a daily index. A folder that is not there yet lists none.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn listed_days(&self, quarter: Quarter) -> Result<Vec<ListedDay>, FetchError> {
        let Quarter { year, number } = quarter;
        let what = format!("list of daily indexes of {quarter}");
        let path = format!("Archives/edgar/daily-index/{year}/QTR{number}/index.json");
        let known = self.listings.lock().unwrap_or_else(PoisonError::into_inner).get(&quarter).cloned();
        let as_of = known.as_ref().map(|(as_of, _)| as_of.as_str());
        let answer = match self.get_changed(&what, &path, as_of).await {
            Err(FetchError { failure: FetchFailure::NotPublished, .. }) => return Ok(Vec::new()),
            answer => answer?,
        };
        let Some(Answer { body, last_modified }) = answer else {
            return Ok(known.map(|(_, days)| days).unwrap_or_default());
        };
        let days = parse_listing(&body)
            .map_err(|error| FetchError { what, failure: FetchFailure::Unexpected(error.to_string()) })?;
        if let Some(as_of) = last_modified {
            self.listings.lock().unwrap_or_else(PoisonError::into_inner).insert(quarter, (as_of, days.clone()));
        }
        Ok(days)
    }

    /// The index of one day, as far as its rows are wanted.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn daily_index(
        &self,
        day: NaiveDate,
        is_wanted: impl Fn(&IndexRow) -> bool,
    ) -> Result<IndexFile, FetchError> {
        let Quarter { year, number } = Quarter::of(day);
        let path = format!("Archives/edgar/daily-index/{year}/QTR{number}/master.{}.idx", day.format("%Y%m%d"));
        self.index_file(format!("daily index of {day}"), &path, is_wanted).await
    }

    /// The index of a quarter, as far as its rows are wanted.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn full_index(
        &self,
        quarter: Quarter,
        is_wanted: impl Fn(&IndexRow) -> bool,
    ) -> Result<IndexFile, FetchError> {
        let Quarter { year, number } = quarter;
        let path = format!("Archives/edgar/full-index/{year}/QTR{number}/master.idx");
        self.index_file(format!("index of {quarter}"), &path, is_wanted).await
    }

    async fn index_file(
        &self,
        what: String,
        path: &str,
        is_wanted: impl Fn(&IndexRow) -> bool,
    ) -> Result<IndexFile, FetchError> {
        // That of a quarter has some thirty megabytes.
        let time = self.settings.limits.large_answer;
        let ask = Ask { http: &self.www, url: self.www_url(path), time, unless_as_of: None };
        let answer = self.get(&what, ask, None).await?;
        parse_master(&answer.body, is_wanted)
            .map_err(|error| FetchError { what, failure: FetchFailure::Unexpected(error.to_string()) })
    }

    /// The filing's index page.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn index_page(&self, cik: Cik, accession: AccessionNumber) -> Result<IndexPage, FetchError> {
        let what = format!("index page of {accession}");
        let url = self.archive_url(cik, accession, &format!("{accession}-index.htm"));
        let body = self.get_small(&what, &self.www, url).await?;
        parse_index_page(&body)
            .map_err(|error| FetchError { what, failure: FetchFailure::Unexpected(error.to_string()) })
    }

    /// One document of a filing, as the index page names it.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn document(
        &self,
        cik: Cik,
        accession: AccessionNumber,
        indexed: &IndexedDocument,
    ) -> Result<Document, FetchError> {
        let what = format!("document \"{}\" of {accession}", indexed.filename);
        let url = self.archive_url(cik, accession, &indexed.filename);
        let mut body = self.get_small(&what, &self.www, url).await?;
        let size_bytes = body.len() as u64;
        body.truncate(MAX_DOCUMENT_BYTES);
        Ok(Document {
            sequence: indexed.sequence,
            document_type: DocumentType::new(indexed.document_type.as_str()),
            filename: Some(indexed.filename.clone()),
            body,
            size_bytes,
        })
    }

    /// The ticker map.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn ticker_map(&self) -> Result<TickerMap, FetchError> {
        // Asked without a date, it is always there.
        Ok(self.changed_ticker_map(None).await?.map(|(map, _)| map).unwrap_or_default())
    }

    /// The ticker map and its date, in EDGAR's words; `None` where it is still the one of `as_of`.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn changed_ticker_map(
        &self,
        as_of: Option<&str>,
    ) -> Result<Option<(TickerMap, Option<String>)>, FetchError> {
        const PATH: &str = "files/company_tickers.json";
        let Some(Answer { body, last_modified }) = self.get_changed(PATH, PATH, as_of).await? else { return Ok(None) };
        let map = TickerMap::parse(&body).map_err(|error| FetchError {
            what: PATH.to_owned(),
            failure: FetchFailure::Unexpected(error.to_string()),
        })?;
        Ok(Some((map, last_modified)))
    }

    /// What the data host knows of a company.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn company(&self, cik: Cik) -> Result<Company, FetchError> {
        let what = format!("submissions of CIK {cik}");
        let url = join(&self.settings.data_url, &format!("submissions/CIK{cik}.json"));
        let body = self.get_small(&what, &self.data, url).await?;
        parse_submissions(&body)
            .map_err(|error| FetchError { what, failure: FetchFailure::Unexpected(error.to_string()) })
    }

    /// The page a person opens to see the filing.
    pub fn index_url(&self, cik: Cik, accession: AccessionNumber) -> Url {
        index_url(&self.settings.www_url, cik, accession)
    }

    fn www_url(&self, path: &str) -> Url {
        join(&self.settings.www_url, path)
    }

    fn archive_url(&self, cik: Cik, accession: AccessionNumber, filename: &str) -> Url {
        self.www_url(&archive_path(cik, accession, filename))
    }

    async fn get_small(&self, what: &str, http: &reqwest::Client, url: Url) -> Result<Vec<u8>, FetchError> {
        let ask = Ask { http, url, time: self.settings.limits.small_answer, unless_as_of: None };
        Ok(self.get(what, ask, None).await?.body)
    }

    /// A small file of the www host; `None` where it is still the one of `as_of`.
    async fn get_changed(&self, what: &str, path: &str, as_of: Option<&str>) -> Result<Option<Answer>, FetchError> {
        let (url, time) = (self.www_url(path), self.settings.limits.small_answer);
        match self.get(what, Ask { http: &self.www, url, time, unless_as_of: as_of }, None).await {
            Ok(answer) => Ok(Some(answer)),
            Err(FetchError { failure: FetchFailure::Unchanged, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One request and, within the same host, what it redirects to. The body goes to `sink`, or is returned.
    async fn get(
        &self,
        what: &str,
        ask: Ask<'_>,
        sink: Option<&tokio::sync::mpsc::Sender<bytes::Bytes>>,
    ) -> Result<Answer, FetchError> {
        let fail = |failure| FetchError { what: what.to_owned(), failure };
        let limits = &self.settings.limits;
        let max_bytes = if sink.is_some() { limits.large_bytes } else { limits.small_bytes };
        let Ask { http, mut url, time, unless_as_of } = ask;
        for _ in 0..=MAX_REDIRECTS {
            self.take_token().await.map_err(fail)?;
            let mut request = http.get(url.clone()).timeout(time);
            if let Some(as_of) = unless_as_of {
                request = request.header(IF_MODIFIED_SINCE, as_of);
            }
            let response = request.send().await.map_err(|error| fail(network(&error)))?;
            let status = response.status();
            if status == StatusCode::OK {
                let header = response.headers().get(LAST_MODIFIED).and_then(|value| value.to_str().ok());
                let last_modified = header.map(str::to_owned);
                let body = read_body(response, max_bytes, sink).await.map_err(fail)?;
                return Ok(Answer { body, last_modified });
            }
            if status == StatusCode::NOT_MODIFIED && unless_as_of.is_some() {
                return Err(fail(FetchFailure::Unchanged));
            }
            if status.is_redirection() {
                url = redirect_target(&url, &response).map_err(fail)?;
                continue;
            }
            return Err(fail(self.read_refused(response).await));
        }
        Err(fail(FetchFailure::Redirected(url.to_string())))
    }

    async fn take_token(&self) -> Result<(), FetchFailure> {
        let ClientSettings { user_agent, pace, priority, .. } = &self.settings;
        loop {
            let grant = self.budget.reserve(*pace, *priority, user_agent, self.clock.now()).await;
            match grant.map_err(FetchFailure::Budget)? {
                Grant::Go(wait) => {
                    if !wait.is_zero() {
                        self.clock.sleep(wait).await;
                    }
                    return Ok(());
                }
                Grant::AskAgain(wait) => self.clock.sleep(wait).await,
                Grant::Blocked { until, reason } => return Err(FetchFailure::Blocked { until, reason }),
                Grant::UserAgentRefused => return Err(FetchFailure::UserAgentRefused(user_agent.clone())),
            }
        }
    }

    /// Reads an answer other than 200 and remembers what concerns all asking.
    async fn read_refused(&self, response: reqwest::Response) -> FetchFailure {
        let status = response.status();
        let now = self.clock.now();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| parse_retry_after(value, now));
        let body = read_head(response).await;
        match status {
            StatusCode::FORBIDDEN => match read_refusal(&body) {
                Refusal::NotPublished => FetchFailure::NotPublished,
                Refusal::UndeclaredTool => self.refuse_user_agent().await,
                Refusal::Blocked => {
                    let until = retry_after.unwrap_or(now).max(now + BLOCK_PAUSE);
                    self.block(until, "HTTP 403 block page".to_owned()).await
                }
            },
            StatusCode::NOT_FOUND => FetchFailure::NotPublished,
            StatusCode::TOO_MANY_REQUESTS => {
                self.block(retry_after.unwrap_or(now + BLOCK_PAUSE), "HTTP 429".to_owned()).await
            }
            _ => match retry_after {
                Some(until) => self.block(until, format!("HTTP {} with Retry-After", status.as_u16())).await,
                None => FetchFailure::Status(status),
            },
        }
    }

    async fn block(&self, until: DateTime<Utc>, reason: String) -> FetchFailure {
        match self.budget.block(until, &reason, self.clock.now()).await {
            Ok(()) => FetchFailure::Blocked { until, reason },
            Err(error) => FetchFailure::Budget(error),
        }
    }

    async fn refuse_user_agent(&self) -> FetchFailure {
        let user_agent = self.settings.user_agent.clone();
        match self.budget.refuse_user_agent(Some(&user_agent)).await {
            Ok(()) => FetchFailure::UserAgentRefused(user_agent),
            Err(error) => FetchFailure::Budget(error),
        }
    }
}

/// The page a person opens to see a filing.
pub fn index_url(www_url: &Url, cik: Cik, accession: AccessionNumber) -> Url {
    join(www_url, &archive_path(cik, accession, &format!("{accession}-index.htm")))
}

/// The address of one document, for people.
pub fn document_url(www_url: &Url, cik: Cik, accession: AccessionNumber, filename: &str) -> Url {
    join(www_url, &archive_path(cik, accession, filename))
}

fn archive_path(cik: Cik, accession: AccessionNumber, filename: &str) -> String {
    format!("Archives/edgar/data/{}/{}/{filename}", cik.number(), accession.without_dashes())
}

/// Whether a URL's host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}/{path}"));
    url
}

fn redirect_target(from: &Url, response: &reqwest::Response) -> Result<Url, FetchFailure> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match from.join(location) {
        Ok(to) if !location.is_empty() && to.origin() == from.origin() => Ok(to),
        _ => Err(FetchFailure::Redirected(location.chars().take(200).collect())),
    }
}

async fn read_body(
    response: reqwest::Response,
    max_bytes: u64,
    sink: Option<&tokio::sync::mpsc::Sender<bytes::Bytes>>,
) -> Result<Vec<u8>, FetchFailure> {
    let mut body = Vec::new();
    let mut n_bytes = 0_u64;
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| network(&error))?;
        n_bytes += piece.len() as u64;
        if n_bytes > max_bytes {
            return Err(FetchFailure::TooLarge(max_bytes));
        }
        match sink {
            // The parser only goes away by panicking; its own result tells.
            Some(sink) => drop(sink.send(piece).await),
            None => body.extend_from_slice(&piece),
        }
    }
    Ok(body)
}

/// The beginning of an error page. What cannot be read counts as empty: the status is known already.
async fn read_head(response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(Ok(piece)) = stream.next().await {
        body.extend_from_slice(&piece);
        if body.len() >= MAX_ERROR_BYTES {
            break;
        }
    }
    body
}

/// The error with its causes, less the address, which `what` already says.
fn network(error: &reqwest::Error) -> FetchFailure {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_decode() || error.is_body() {
        "the answer broke off"
    } else {
        "request failed"
    };
    // The outer causes repeat the inner ones; the innermost is the one a person can act on.
    FetchFailure::Network(causes.pop().map_or_else(|| kind.to_owned(), |cause| format!("{kind}: {cause}")))
}
