//! A loopback EDGAR: answers as the real one does, from memory. `demo` runs on it, and the tests script it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::America::New_York;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::edgar::daily_index::Quarter;
use crate::edgar::eastern::eastern_to_utc;
use crate::edgar::ids::{AccessionNumber, Cik};

/// EDGAR's feed ends here: what lies deeper is answered with 503.
const FEED_DEPTH: usize = 5_100;

/// A line of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedLine {
    /// Its form, which `type` is compared with.
    pub form: String,
    /// Its place in the feed: newest first.
    pub accepted_at: DateTime<Utc>,
    /// The whole `<entry>` element.
    pub xml: String,
}

/// What a loopback EDGAR serves. May be changed while it runs.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    /// The feed; kept newest first by [`Archive::add_line`].
    pub lines: Vec<FeedLine>,
    /// Files by path, from the slash on.
    pub files: HashMap<String, Vec<u8>>,
    /// What the indexes hold, in the order of filing.
    pub filed: Vec<Filed>,
    /// When files were written that tell it: Last-Modified, in HTTP's form.
    pub modified: HashMap<String, String>,
    /// The days that have an index: when it was written, in EDGAR's words, and its size in bytes.
    pub listed: BTreeMap<NaiveDate, (String, usize)>,
}

/// A row of the indexes: one filing by one of its filers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// `8-K` ...
    pub form: String,
    /// The filer.
    pub cik: Cik,
    /// Its name.
    pub name: String,
    /// The submission.
    pub accession: AccessionNumber,
    /// The date it bears.
    pub filing_date: NaiveDate,
}

impl Archive {
    /// Puts a line at its place in the feed, behind those of the same instant.
    pub fn add_line(&mut self, line: FeedLine) {
        let at = self.lines.partition_point(|other| other.accepted_at >= line.accepted_at);
        self.lines.insert(at, line);
    }

    /// Publishes the full submission at both of its addresses.
    pub fn add_submission(&mut self, cik: Cik, accession: AccessionNumber, bytes: &[u8]) {
        let (number, folder) = (cik.number(), accession.without_dashes());
        for path in [format!("{number}/{folder}/{accession}.txt"), format!("{number}/{accession}.txt")] {
            self.files.insert(format!("/Archives/edgar/data/{path}"), bytes.to_vec());
        }
    }

    /// Writes the index of a day as of now, and lists it in its quarter's folder as written at an Eastern time.
    pub fn write_index(&mut self, day: NaiveDate, written_at: NaiveDateTime) {
        let rows = self.filed.iter().filter(|row| row.filing_date == day);
        let body = master_index(rows, "%Y%m%d");
        let Quarter { year, number } = Quarter::of(day);
        let folder = format!("/Archives/edgar/daily-index/{year}/QTR{number}");
        self.listed.insert(day, (written_at.format("%m/%d/%Y %I:%M:%S %p").to_string(), body.len()));
        self.files.insert(format!("{folder}/master.{}.idx", day.format("%Y%m%d")), body.into_bytes());
        let listed = self.listed.iter().filter(|(listed, _)| Quarter::of(**listed) == Quarter::of(day));
        let items: Vec<serde_json::Value> = listed
            .map(|(day, (modified, size))| {
                let name = format!("master.{}.idx", day.format("%Y%m%d"));
                json!({"last-modified": modified, "name": name, "type": "file", "href": name, "size": format!("{size} B")})
            })
            .collect();
        let listing = json!({"directory": {"item": items, "name": folder, "parent-dir": "../"}});
        let path = format!("{folder}/index.json");
        let modified = eastern_to_utc(written_at).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        self.modified.insert(path.clone(), modified);
        self.files.insert(path, listing.to_string().into_bytes());
    }

    /// Writes the index of a whole quarter.
    pub fn write_full_index(&mut self, quarter: Quarter) {
        let rows = self.filed.iter().filter(|row| Quarter::of(row.filing_date) == quarter);
        let body = master_index(rows, "%Y-%m-%d");
        let path = format!("/Archives/edgar/full-index/{}/QTR{}/master.idx", quarter.year, quarter.number);
        self.files.insert(path, body.into_bytes());
    }

    /// A page of the feed: `count` lines from `start` on whose form begins with `prefix`; `None` past its depth.
    pub fn feed_page(&self, prefix: &str, start: usize, count: usize) -> Option<String> {
        if start >= FEED_DEPTH {
            return None;
        }
        let lines = self.lines.iter().filter(|line| line.form.starts_with(prefix));
        let entries: String = lines.skip(start).take(count).map(|line| line.xml.as_str()).collect();
        Some(format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n\
             <title>Latest Filings</title>\n{entries}</feed>\n"
        ))
    }
}

fn master_index<'a>(rows: impl Iterator<Item = &'a Filed>, date: &str) -> String {
    let lines: String = rows
        .map(|row| {
            let Filed { form, cik, name, accession, filing_date } = row;
            let (number, day) = (cik.number(), filing_date.format(date));
            format!("{number}|{name}|{form}|{day}|edgar/data/{number}/{accession}.txt\n")
        })
        .collect();
    format!(
        "Description:           Daily Index of EDGAR Dissemination Feed\nComments:              webmaster@sec.gov\n \n\n\
         CIK|Company Name|Form Type|Date Filed|File Name\n{}\n{lines}",
        "-".repeat(80)
    )
}

/// The facts of one feed entry.
#[derive(Debug, Clone)]
pub struct EntryFacts<'a> {
    /// `8-K` ...
    pub form: &'a str,
    /// The filer's name.
    pub name: &'a str,
    /// The filer.
    pub cik: Cik,
    /// The submission.
    pub accession: AccessionNumber,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// The date it bears.
    pub filing_date: NaiveDate,
    /// `3.01: Notice of Delisting ...`
    pub items: &'a [&'a str],
}

/// Writes a feed line as EDGAR does, HTML escaped once within the XML.
pub fn feed_line(facts: &EntryFacts<'_>) -> FeedLine {
    let EntryFacts { form, name, cik, accession, accepted_at, filing_date, items } = facts;
    let name = quick_xml::escape::escape(*name);
    let items: String =
        items.iter().map(|item| format!("&lt;br&gt;Item {}\n", quick_xml::escape::escape(*item))).collect();
    let updated = accepted_at.with_timezone(&New_York).to_rfc3339();
    let folder = accession.without_dashes();
    let number = cik.number();
    let xml = format!(
        "<entry>\n<title>{form} - {name} ({cik}) (Filer)</title>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"https://www.sec.gov/Archives/edgar/data/{number}/{folder}/{accession}-index.htm\"/>\n\
         <summary type=\"html\">\n &lt;b&gt;Filed:&lt;/b&gt; {filing_date} &lt;b&gt;AccNo:&lt;/b&gt; {accession} \
         &lt;b&gt;Size:&lt;/b&gt; 20 KB\n{items}</summary>\n<updated>{updated}</updated>\n\
         <category scheme=\"https://www.sec.gov/\" label=\"form type\" term=\"{form}\"/>\n\
         <id>urn:tag:sec.gov,2008:accession-number={accession}</id>\n</entry>\n"
    );
    FeedLine { form: (*form).to_owned(), accepted_at: *accepted_at, xml }
}

/// One request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Path and query.
    pub target: String,
    /// The User-Agent header.
    pub user_agent: String,
    /// Whether gzip was offered.
    pub gzip: bool,
    /// If-Modified-Since, as sent.
    pub unless_as_of: Option<String>,
}

/// An answer in place of the archive's, or `None` to let the archive answer.
pub type Script = Box<dyn Fn(&Asked, &mut Archive) -> Option<Response<Body>> + Send + Sync>;

struct Shared {
    archive: Mutex<Archive>,
    script: Mutex<Option<Arc<Script>>>,
    asked: Mutex<Vec<Asked>>,
}

/// A running loopback EDGAR; it stops when dropped.
pub struct LoopbackEdgar {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Drop for LoopbackEdgar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl LoopbackEdgar {
    /// Starts serving on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(archive: Archive) -> std::io::Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), archive).await
    }

    /// Starts serving on an address.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn start_on(address: SocketAddr, archive: Archive) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { archive: Mutex::new(archive), script: Mutex::new(None), asked: Mutex::new(Vec::new()) });
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move {
            // Serving ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, shared, server })
    }

    /// Its base URL, for `edgar.www_url` and `edgar.data_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what is served.
    pub fn change(&self, change: impl FnOnce(&mut Archive)) {
        change(&mut lock(&self.shared.archive));
    }

    /// Lets `script` answer first from now on.
    pub fn script(&self, script: impl Fn(&Asked, &mut Archive) -> Option<Response<Body>> + Send + Sync + 'static) {
        *lock(&self.shared.script) = Some(Arc::new(Box::new(script)));
    }

    /// Lets the archive answer again.
    pub fn unscript(&self) {
        *lock(&self.shared.script) = None;
    }

    /// Forgets the requests so far.
    pub fn forget_asked(&self) {
        lock(&self.shared.asked).clear();
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is behind the lock is whole even if a script panicked while holding it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = Asked {
        target: request.uri().to_string(),
        user_agent: header(header::USER_AGENT).to_owned(),
        gzip: header(header::ACCEPT_ENCODING).contains("gzip"),
        unless_as_of: Some(header(header::IF_MODIFIED_SINCE).to_owned()).filter(|date| !date.is_empty()),
    };
    lock(&shared.asked).push(asked.clone());
    let script = lock(&shared.script).clone();
    let mut archive = lock(&shared.archive);
    if let Some(response) = script.and_then(|script| script(&asked, &mut archive)) {
        return response;
    }
    answer_from(&archive, &asked)
}

/// What EDGAR would answer.
pub fn answer_from(archive: &Archive, asked: &Asked) -> Response<Body> {
    if !asked.user_agent.contains('@') {
        return page(StatusCode::FORBIDDEN, "<h1>Your Request Originates from an Undeclared Automated Tool</h1>");
    }
    let Ok(url) = Url::parse(&format!("http://loopback{}", asked.target)) else {
        return page(StatusCode::BAD_REQUEST, "");
    };
    if url.path() == "/cgi-bin/browse-edgar" {
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let number = |key: &str, default| query.get(key).and_then(|value| value.parse().ok()).unwrap_or(default);
        let prefix = query.get("type").map_or("", String::as_str);
        return match archive.feed_page(prefix, number("start", 0), number("count", 40).min(100)) {
            Some(feed) => respond(StatusCode::OK, "application/atom+xml", feed.into_bytes()),
            None => page(StatusCode::SERVICE_UNAVAILABLE, "<h1>SEC.gov is undergoing maintenance</h1>"),
        };
    }
    let modified = archive.modified.get(url.path());
    if modified.is_some() && modified == asked.unless_as_of.as_ref() {
        return respond(StatusCode::NOT_MODIFIED, "text/plain", Vec::new());
    }
    let Some(bytes) = archive.files.get(url.path()) else { return access_denied() };
    let mut response = respond(StatusCode::OK, "text/plain", bytes.clone());
    if let Some(modified) = modified.and_then(|modified| modified.parse().ok()) {
        response.headers_mut().insert(header::LAST_MODIFIED, modified);
    }
    response
}

/// EDGAR's answer for a file that does not exist, or not yet.
pub fn access_denied() -> Response<Body> {
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code>\
               <Message>Access Denied</Message></Error>";
    respond(StatusCode::FORBIDDEN, "application/xml", xml.as_bytes().to_vec())
}

/// An HTML answer.
pub fn page(status: StatusCode, html: &str) -> Response<Body> {
    respond(status, "text/html", html.as_bytes().to_vec())
}

/// An answer of any type.
pub fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
