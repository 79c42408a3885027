//! The configuration as written: every key optional, unknown ones refused, nothing checked.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::classify::{PatternSource, Signal};
use crate::subscription::WrittenSubscription;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) edgar: RawEdgar,
    pub(super) watch: RawWatch,
    pub(super) poll: RawPoll,
    pub(super) store: RawStore,
    pub(super) mail: RawMail,
    pub(super) http: RawHttp,
    pub(super) reading: RawReading,
    pub(super) log: RawLog,
    pub(super) metrics: RawMetrics,
    pub(super) groups: BTreeMap<String, Vec<String>>,
    pub(super) subscription: Vec<WrittenSubscription>,
    pub(super) webhook: Vec<RawWebhook>,
    pub(super) pattern: Vec<PatternSource<Signal>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEdgar {
    pub(super) user_agent: Option<String>,
    pub(super) www_url: Option<String>,
    pub(super) data_url: Option<String>,
    pub(super) max_requests_per_second: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawWatch {
    pub(super) issuers: Option<Vec<String>>,
    pub(super) forms: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPoll {
    pub(super) interval: Option<String>,
    pub(super) off_hours_interval: Option<String>,
    pub(super) heartbeat_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStore {
    pub(super) url: Option<String>,
    pub(super) password_file: Option<String>,
    pub(super) max_connections: Option<i64>,
    pub(super) keys_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMail {
    pub(super) from: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) transport: Option<String>,
    pub(super) folder: Option<String>,
    pub(super) give_up_after: Option<String>,
    pub(super) inbound: Option<String>,
    pub(super) smtp: RawSmtp,
    pub(super) route: Vec<RawRoute>,
    pub(super) dkim: Vec<RawDkim>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDkim {
    pub(super) selector: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) key_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHttp {
    pub(super) listen: Option<String>,
    pub(super) admin_listen: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) public: Option<bool>,
    pub(super) trusted_proxies: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawWebhook {
    pub(super) name: Option<String>,
    pub(super) url: Option<String>,
    pub(super) url_file: Option<String>,
    pub(super) secret_file: Option<String>,
    pub(super) format: Option<String>,
    pub(super) allow_private: Option<bool>,
    pub(super) issuers: Option<Vec<String>>,
    pub(super) kinds: Option<Vec<String>>,
    pub(super) bases: Option<Vec<String>>,
    pub(super) exchanges: Option<Vec<String>>,
    pub(super) min_confidence: Option<f64>,
}

/// A relay for some domains: the keys of a relay, and which.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRoute {
    pub(super) domains: Option<Vec<String>>,
    pub(super) host: Option<String>,
    pub(super) port: Option<i64>,
    pub(super) tls: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password_file: Option<String>,
    pub(super) connections: Option<i64>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSmtp {
    pub(super) host: Option<String>,
    pub(super) port: Option<i64>,
    pub(super) tls: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password_file: Option<String>,
    pub(super) connections: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawReading {
    pub(super) check_below: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLog {
    pub(super) level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMetrics {
    pub(super) file: Option<String>,
}
