//! What one filing gives cause for. Values in, values out.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::classify::{EventKind, EventStatus, ListingEvent};
use crate::edgar::feed::Filer;
use crate::edgar::ids::{AccessionNumber, Cik, FormType, ItemNumber};
use crate::linking::Link;

/// Why subscribers are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The filing was read and reports something new.
    Reading,
    /// Its items name a listing notice and it cannot be read yet.
    NotReadable,
}

/// All that a mail is written from, kept in the store until every mail is out and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Made from the accession number, never from a row.
    pub id: String,
    /// Why it was raised.
    pub purpose: Purpose,
    /// The filing.
    pub accession: AccessionNumber,
    /// Its form.
    pub form: FormType,
    /// Its filers, the watched one first.
    pub filers: Vec<Filer>,
    /// The first filer's ticker, where it is known.
    pub ticker: Option<String>,
    /// 8-K items.
    pub items: Vec<ItemNumber>,
    /// The date EDGAR gives it.
    pub filing_date: NaiveDate,
    /// When EDGAR accepted it.
    pub accepted_at: DateTime<Utc>,
    /// When it was first seen here.
    pub seen_at: DateTime<Utc>,
    /// When it was read, or given this notice.
    pub read_at: DateTime<Utc>,
    /// What it reports, new and history.
    pub events: Vec<ListingEvent>,
    /// For each new event, what other filings told of its letter when this one was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// The documents that were read, with the name of each and the address for people.
    pub documents: Vec<AlertDocument>,
    /// The filing's index page.
    pub index_url: Url,
    /// Anything that could change the reading: documents cut at the limit, a file cut short.
    pub caveats: Vec<String>,
    /// A reading less sure than this wants checking.
    #[serde(default)]
    pub check_below: f64,
}

/// A document behind an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertDocument {
    /// `EX-99.1` ...
    pub document_type: String,
    /// Where a person can read it; absent for filings without file names.
    pub url: Option<Url>,
}

impl Alert {
    /// The events that are the filing's own news.
    pub fn news(&self) -> impl Iterator<Item = &ListingEvent> {
        self.events.iter().filter(|event| event.status == EventStatus::New)
    }

    /// Its news, each with what other filings told of the letter; an alert of an earlier version knows nothing of that.
    pub fn linked_news(&self) -> impl Iterator<Item = (&ListingEvent, Option<&Link>)> {
        let is_news = |(_, event): &(usize, &ListingEvent)| event.status == EventStatus::New;
        let link_of = |ordinal| self.links.iter().find(move |link| link.event.ordinal == ordinal);
        self.events.iter().enumerate().filter(is_news).map(move |(ordinal, event)| (event, link_of(ordinal)))
    }

    /// Whether the reading of the news it leads with is less sure than asked for.
    pub fn wants_checking(&self) -> bool {
        self.news().next().is_some_and(|event| event.confidence < self.check_below)
    }

    /// The issuer in short: its ticker, or its name.
    pub fn issuer_mark(&self) -> String {
        let name = || self.filers.first().map(|filer| filer.name.clone());
        self.ticker.clone().or_else(name).unwrap_or_else(|| self.accession.to_string())
    }

    /// What it retells.
    pub fn history(&self) -> impl Iterator<Item = &ListingEvent> {
        self.events.iter().filter(|event| event.status == EventStatus::History)
    }

    /// The kinds of its news, each once, in the order of the vocabulary.
    pub fn kinds(&self) -> Vec<EventKind> {
        EventKind::ALL.into_iter().filter(|kind| self.news().any(|event| event.kind == *kind)).collect()
    }
}

/// The id of a filing's alert.
pub fn alert_id(accession: AccessionNumber, purpose: Purpose) -> String {
    match purpose {
        Purpose::Reading => accession.to_string(),
        Purpose::NotReadable => format!("{accession}.unread"),
    }
}

/// A mail's identity without its angle brackets: made from alert and recipient alone, so that a repeat is recognised.
pub fn message_id(alert_id: &str, recipient: &str) -> String {
    format!("{alert_id}.{}@{MESSAGE_ID_DOMAIN}", fingerprint(&[alert_id, &recipient.to_lowercase()]))
}

/// The identity of a digest that is due at an instant and begun by an alert, without angle brackets.
pub fn digest_message_id(alert_id: &str, recipient: &str, due_at: DateTime<Utc>) -> String {
    let at = due_at.timestamp_micros().to_string();
    format!("digest.{}@{MESSAGE_ID_DOMAIN}", fingerprint(&[alert_id, &at, &recipient.to_lowercase()]))
}

/// The identity of a mail to the owner about a matter that came up at an instant, without angle brackets.
pub fn owner_message_id(matter: &str, at: DateTime<Utc>, recipient: &str) -> String {
    let at = at.timestamp_micros().to_string();
    format!("owner.{}@{MESSAGE_ID_DOMAIN}", fingerprint(&[matter, &at, &recipient.to_lowercase()]))
}

/// The identity of a mail by which an address agrees to something, without angle brackets.
pub fn consent_message_id(matter: &str, recipient: &str) -> String {
    format!("{CONSENT}{}@{MESSAGE_ID_DOMAIN}", fingerprint(&[matter, &recipient.to_lowercase()]))
}

/// Whether a mail of this identity asks an address to agree to something.
pub fn is_consent(message_id: &str) -> bool {
    message_id.starts_with(CONSENT)
}

/// What their identities begin with; the store lets go of them by it.
const CONSENT: &str = "consent.";

fn fingerprint(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\n"));
    digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// What all mails on one issuer's matters answer to, without angle brackets. No mail bears that name; it is there for
/// programs to sort by.
pub fn thread_id(issuer: Cik) -> String {
    format!("{issuer}.issuer@{MESSAGE_ID_DOMAIN}")
}

/// Not a host: identity must not change with the relay or the sender's address.
pub(crate) const MESSAGE_ID_DOMAIN: &str = "alerts.edgar-watch";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_id_depends_on_alert_and_recipient_only() {
        let accession: AccessionNumber = "0009990001-26-000007".parse().expect("an accession number");
        let id = alert_id(accession, Purpose::Reading);
        assert_eq!(message_id(&id, "Desk@example.com"), message_id(&id, "desk@example.com"));
        assert_ne!(message_id(&id, "desk@example.com"), message_id(&id, "ops@example.com"));
        assert_ne!(message_id(&id, "a@b"), message_id(&alert_id(accession, Purpose::NotReadable), "a@b"));
    }
}
