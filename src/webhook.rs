//! Webhooks: an alert as JSON to an address of the user's, signed as the Standard Webhooks specification has it
//! (standardwebhooks.com, 1.0): `webhook-id`, `webhook-timestamp` and `webhook-signature`.
//!
//! Addresses within the user's own network are not asked unless that is allowed: whoever may write a configuration may not
//! be who runs the machines beside it. The name is looked up once and the connection goes to what was looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::alert::Alert;
use crate::config::{WebhookFormat, WebhookSettings};
use crate::edgar::client::is_loopback;
use crate::mail::DeliveryError;
use crate::render::{Style, alert_json, subject};

/// What stands before a webhook's name where a mail has its recipient.
pub const WEBHOOK: &str = "webhook:";

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// More of an answer is not kept.
const MOST_WORDS: usize = 200;

/// The body for an alert, in the form that the other side wants. `id` stands for the delivery.
///
/// # Errors
/// Never for alerts of ours: they are all text and numbers.
pub fn write_body(format: WebhookFormat, alert: &Alert, id: &str) -> anyhow::Result<Vec<u8>> {
    let line = format!("{} {}", subject(alert, Style::default()), alert.index_url);
    let body = match format {
        WebhookFormat::Slack => json!({ "text": line }),
        WebhookFormat::Discord => json!({ "content": line }),
        WebhookFormat::Json => full_body(alert, id),
    };
    Ok(serde_json::to_vec(&body)?)
}

fn full_body(alert: &Alert, id: &str) -> Value {
    let mut body = alert_json(alert);
    body.insert("schema".to_owned(), json!(1));
    body.insert("delivery".to_owned(), json!(id));
    body.insert("purpose".to_owned(), json!(alert.purpose));
    body.insert("check".to_owned(), json!(alert.wants_checking()));
    body.insert("events".to_owned(), json!(alert.news().collect::<Vec<_>>()));
    Value::Object(body)
}

/// `v1,` and the signature of a delivery, by the specification's scheme for shared secrets.
pub fn signature(secret: &[u8], id: &str, at: DateTime<Utc>, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    mac.update(format!("{id}.{}.", at.timestamp()).as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
}

/// The way to one webhook.
#[derive(Debug)]
pub struct WebhookSender {
    settings: WebhookSettings,
    http: Option<reqwest::Client>,
}

impl WebhookSender {
    /// Prepares it; nothing is asked.
    pub fn new(settings: &WebhookSettings) -> Self {
        Self { settings: settings.clone(), http: None }
    }

    /// Posts a body. `id` is the same at every attempt, so that the other side can tell a repeat.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn send(&mut self, id: &str, body: &[u8], at: DateTime<Utc>) -> Result<String, DeliveryError> {
        let name = format!("webhook {}", self.settings.name);
        let http = match self.http.take() {
            Some(http) => http,
            None => self.connect(&name).await?,
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut put = |name: &'static str, value: &str| {
            // Made of letters, digits and dots.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put("idempotency-key", id);
        put("webhook-id", id);
        put("webhook-timestamp", &at.timestamp().to_string());
        if let Some(secret) = &self.settings.secret {
            put("webhook-signature", &signature(secret, id, at, body));
        }
        let sent = http.post(self.settings.url.clone()).headers(headers).body(body.to_vec()).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                return Err(DeliveryError::Unreachable(format!(
                    "{name}: {:#}",
                    anyhow::Error::from(error.without_url())
                )));
            }
            Err(error) => {
                return Err(DeliveryError::NoAnswer(format!("{name}: {:#}", anyhow::Error::from(error.without_url()))));
            }
        };
        self.http = Some(http);
        let status = answer.status();
        let words = first_words(answer).await;
        let words = format!("{} {words}", status.as_u16()).trim().to_owned();
        match status.as_u16() {
            200..=299 => Ok(words),
            408 | 425 | 429 | 500..=599 => Err(DeliveryError::Transient(format!("{name} answered {words}"))),
            300..=399 => Err(DeliveryError::Permanent(format!("{name} answered {words}: redirects are not followed"))),
            _ => Err(DeliveryError::Permanent(format!("{name} answered {words}"))),
        }
    }

    async fn connect(&self, name: &str) -> Result<reqwest::Client, DeliveryError> {
        let unreachable = |reason: String| DeliveryError::Unreachable(format!("{name}: {reason}"));
        let url = &self.settings.url;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let found = tokio::time::timeout(CONNECT_WITHIN, tokio::net::lookup_host((host.as_str(), port))).await;
        let found = found.map_err(|_| unreachable("its name could not be looked up in time".to_owned()))?;
        let addresses: Vec<SocketAddr> = found.map_err(|error| unreachable(error.to_string()))?.collect();
        let allowed: Vec<SocketAddr> =
            addresses.into_iter().filter(|address| self.settings.allow_private || is_public(address.ip())).collect();
        if allowed.is_empty() {
            return Err(DeliveryError::Permanent(format!(
                "{name}: its address is in a private network: set allow_private = true if that is meant"
            )));
        }
        let tls =
            crate::tls::client_config(url.scheme() == "https").map_err(|error| unreachable(format!("{error:#}")))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("edgar-watch/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(tls)
            .resolve_to_addrs(&host, &allowed);
        // A proxy would look the name up again.
        if is_loopback(url) || !self.settings.allow_private {
            builder = builder.no_proxy();
        }
        builder.build().map_err(|error| unreachable(error.to_string()))
    }
}

async fn first_words(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MOST_WORDS * 4 {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend(chunk),
            _ => break,
        }
    }
    let words = String::from_utf8_lossy(&bytes);
    words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MOST_WORDS).collect()
}

/// Whether an address is one of the public internet's (IANA's special-purpose registries).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        // Carrier-grade NAT, IETF protocol assignments, benchmarks, reserved.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let embedded = match parts {
        // NAT64 and 6to4 lead to the address within.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = embedded {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Of the addresses given out so far all are in 2000::/3; of those, some are for documentation.
    parts[0] & 0xe000 == 0x2000
        && !(parts[0] == 0x2001 && parts[1] == 0xdb8)
        && !(parts[0] == 0x2001 && parts[1] < 0x200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
            "2001::1",
        ] {
            assert!(!is_public(private.parse().expect(private)), "{private}");
        }
        for public in ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2001:4860:4860::8888", "64:ff9b::808:808"] {
            assert!(is_public(public.parse().expect(public)), "{public}");
        }
    }

    #[test]
    fn a_signature_covers_id_time_and_body() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("an instant");
        let base = signature(b"secret", "msg_1", at(1_700_000_000), b"{}");
        assert!(base.starts_with("v1,") && base.len() == 47, "{base}");
        for other in [
            signature(b"other", "msg_1", at(1_700_000_000), b"{}"),
            signature(b"secret", "msg_2", at(1_700_000_000), b"{}"),
            signature(b"secret", "msg_1", at(1_700_000_001), b"{}"),
            signature(b"secret", "msg_1", at(1_700_000_000), b"{ }"),
        ] {
            assert_ne!(base, other);
        }
    }
}
