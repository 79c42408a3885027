//! A plain HTTP client that keeps cookies as a browser does, and the pages behind it.

use std::sync::Arc;

use edgar_watch::web;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Client, RequestBuilder, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use super::Desk;

/// The public address in the tests' configuration. Nothing listens there: a proxy would.
pub const PUBLIC_URL: &str = "https://alerts.example.com/edgar";
/// Keys of `[http]` that go with it.
pub const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://alerts.example.com/edgar\"\n\
                        public = true\ntrusted_proxies = [\"127.0.0.1\"]\n";

/// An answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The value of a form's hidden field.
    pub fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, after) = self.body.split_once(&start).unwrap_or_else(|| panic!("no field {name} in\n{}", self.body));
        after.split('"').next().unwrap_or_default().to_owned()
    }
}

/// Pages over a desk's store, and a browser in front of them.
pub struct Browser {
    pub base: String,
    client: Client,
    cookie: Option<String>,
    /// Notified when something that was asked for on a page has put a mail in the outbox.
    pub mail_waits: Arc<Notify>,
    _stop: watch::Sender<bool>,
}

impl Browser {
    pub async fn open(desk: &Desk) -> Self {
        let (site, wishes) = desk.watcher.site().expect("a site");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = watch::channel(false);
        let proxies = site.trusted_proxies().to_vec();
        tokio::spawn(web::serve(Arc::new(listener), web::router(&site), proxies, stopped.clone()));
        let mail_waits = Arc::new(Notify::new());
        let wake = mail_waits.clone();
        tokio::spawn(web::fulfil(site, wishes, stopped, move || wake.notify_one()));
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(edgar_watch::tls::client_config(false).expect("TLS"))
            .no_proxy()
            .build()
            .expect("a client");
        Self { base, client, cookie: None, mail_waits, _stop: stop }
    }

    /// Where a link of a mail leads here.
    pub fn local(&self, url: &str) -> String {
        let path = url.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{url} is none of ours"));
        format!("/edgar{path}")
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    /// A form to be posted.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = "application/x-www-form-urlencoded";
        self.request(reqwest::Method::POST, path).header(CONTENT_TYPE, kind).body(body)
    }

    pub async fn send(&mut self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(cookie) = headers.get(SET_COOKIE).and_then(|value| value.to_str().ok()) {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        Answer { status, headers, body: response.text().await.expect("a body") }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.form(path, fields)).await
    }

    /// Fills in the form for a new subscription and sends it.
    pub async fn subscribe(&mut self, email: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.get("/edgar/subscribe").await.field("form");
        let mut all = vec![("form", form.as_str()), ("email", email), ("scope", "all")];
        all.extend(fields);
        self.post("/edgar/subscribe", &all).await
    }
}
