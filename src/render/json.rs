//! An alert as JSON, without its events: what webhooks and the public pages have in common.

use serde_json::{Map, Value, json};

use super::{Style, subject};
use crate::alert::Alert;

/// What an alert is about. Who asks adds the events as far as they matter there.
pub fn alert_json(alert: &Alert) -> Map<String, Value> {
    let filer = alert.filers.first();
    let fields = [
        ("id", json!(alert.id)),
        ("title", json!(subject(alert, Style::default()))),
        ("issuer", json!(filer.map(|filer| &filer.name))),
        ("cik", json!(filer.map(|filer| filer.cik))),
        ("ticker", json!(alert.ticker)),
        ("accession", json!(alert.accession)),
        ("form", json!(alert.form.to_string())),
        ("filing_date", json!(alert.filing_date)),
        ("accepted_at", json!(alert.accepted_at)),
        ("read_at", json!(alert.read_at)),
        ("filing_url", json!(alert.index_url)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
