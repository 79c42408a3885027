//! The heartbeat: an address at a watchdog elsewhere that is asked while all is well. What can tell nobody any more, it
//! tells by falling silent.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

use crate::edgar::client::is_loopback;

/// For the whole request; less than the usual time between two polls.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Watchdogs count minutes: more often than this nobody looks.
const LEAST_INTERVAL: TimeDelta = TimeDelta::seconds(50);

/// The way to the watchdog.
#[derive(Debug)]
pub struct Heartbeat {
    http: reqwest::Client,
    url: Url,
    last_at: Mutex<Option<DateTime<Utc>>>,
    is_failing: AtomicBool,
}

impl Heartbeat {
    /// Prepares it; nothing is asked.
    ///
    /// # Errors
    /// When the URL is https and the system has no CA certificates.
    pub fn new(url: &Url) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(crate::tls::client_config(url.scheme() == "https")?);
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        let http = builder.build()?;
        Ok(Self { http, url: url.clone(), last_at: Mutex::default(), is_failing: AtomicBool::new(false) })
    }

    /// Says that all is well, at most about once a minute. A watchdog that cannot be reached is logged once and changes
    /// nothing else.
    pub async fn beat(&self, now: DateTime<Utc>) {
        {
            let mut last_at = self.last_at.lock().unwrap_or_else(PoisonError::into_inner);
            if last_at.is_some_and(|at| (TimeDelta::zero()..LEAST_INTERVAL).contains(&(now - at))) {
                return;
            }
            *last_at = Some(now);
        }
        let answered = self.http.get(self.url.clone()).send().await.and_then(reqwest::Response::error_for_status);
        let was_failing = self.is_failing.swap(answered.is_err(), Ordering::Relaxed);
        match answered {
            Ok(_) if was_failing => tracing::info!("heartbeat {}: reached again", mask(&self.url)),
            Err(error) if !was_failing => {
                tracing::warn!("heartbeat {}: {}", mask(&self.url), error.without_url());
            }
            _ => {}
        }
    }
}

/// The address without its path, which is its secret.
pub fn mask(url: &Url) -> String {
    format!("{}://{}/***", url.scheme(), url.host_str().unwrap_or_default())
}
