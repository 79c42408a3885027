//! The addresses that a mail carries back to this program: pages, and mailboxes. Values in, values out.
//!
//! They are built from the configuration alone, never from what a request says of itself.

use chrono::{DateTime, TimeDelta, Utc};
use lettre::Address;
use url::Url;

use crate::tokens::{Keys, Purpose};

/// A confirmation is asked for now, not next month.
pub const CONFIRM_WITHIN: TimeDelta = TimeDelta::days(3);
/// A link to preferences lets whoever has it change them, so an old mail that is passed on must not.
pub const PREFERENCES_WITHIN: TimeDelta = TimeDelta::days(30);

/// What links are built from.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    /// Where people reach the pages; without a slash at its end.
    pub public_url: Option<&'a str>,
    /// Where mail for `inbound` arrives.
    pub inbound: &'a Address,
    /// Whether it also arrives there with a detail in the address (RFC 5233).
    pub takes_details: bool,
    /// What they are signed with.
    pub keys: &'a Keys,
}

/// How an address stops all mail to it (RFC 2369 3.2, RFC 8058).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// A page: GET asks, POST does it.
    pub page: Option<String>,
    /// A mail that does it.
    pub mailto: String,
}

impl Links<'_> {
    fn page(&self, path: &str, token: &str) -> Option<String> {
        Some(format!("{}/{path}/{token}", self.public_url?))
    }

    /// How an address, by its number, stops all mail to it. It never expires.
    pub fn unsubscribe(&self, address: i64) -> Unsubscribe {
        let token = self.keys.sign(Purpose::Unsubscribe, &address.to_string(), None);
        let mailto = format!("mailto:{}?subject=unsubscribe%20{token}", self.inbound);
        Unsubscribe { page: self.page("unsubscribe", &token), mailto }
    }

    /// Where the subscriptions of an address, by its number, are seen and changed for a while.
    pub fn preferences(&self, address: i64, now: DateTime<Utc>) -> Option<String> {
        let expires_at = now + PREFERENCES_WITHIN;
        self.page("preferences", &self.keys.sign(Purpose::Preferences, &address.to_string(), Some(expires_at)))
    }

    /// Where a subscription is confirmed.
    pub fn confirm(&self, subscription: &str, now: DateTime<Utc>) -> Option<String> {
        self.page("confirm", &self.keys.sign(Purpose::Confirm, subscription, Some(now + CONFIRM_WITHIN)))
    }

    /// The envelope sender of a message, by its number: what comes back to it tells which mail bounced, and is signed.
    pub fn return_address(&self, message: i64) -> Option<Address> {
        let token = self.keys.sign(Purpose::Bounce, &message.to_string(), None);
        let local = format!("{}+{token}", self.inbound.user());
        Address::new(local, self.inbound.domain()).ok().filter(|_| self.takes_details)
    }
}

impl Unsubscribe {
    /// The value of List-Unsubscribe. The page first: programs take what they like best of what comes first.
    pub fn header(&self) -> String {
        match &self.page {
            Some(page) => format!("<{page}>, <{}>", self.mailto),
            None => format!("<{}>", self.mailto),
        }
    }

    /// Whether one click may do it: RFC 8058 3.1 asks for HTTPS.
    pub fn is_one_click(&self) -> bool {
        self.page.as_ref().and_then(|page| Url::parse(page).ok()).is_some_and(|page| page.scheme() == "https")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::find_token;

    #[test]
    fn links_follow_the_configuration() {
        let keys = Keys::parse("k1 000102030405060708090a0b0c0d0e0f").expect("keys");
        let inbound: Address = "watch@example.com".parse().expect("an address");
        let now = "2026-11-23T12:00:00Z".parse().expect("an instant");
        let with_page = Links {
            public_url: Some("https://example.com/edgar"),
            inbound: &inbound,
            takes_details: true,
            keys: &keys,
        };
        let unsubscribe = with_page.unsubscribe(7);
        let page = unsubscribe.page.clone().expect("a page");
        let token = find_token(&page, Purpose::Unsubscribe).expect("a token");
        assert_eq!(page, format!("https://example.com/edgar/unsubscribe/{token}"));
        assert_eq!(unsubscribe.mailto, format!("mailto:watch@example.com?subject=unsubscribe%20{token}"));
        assert_eq!(unsubscribe.header(), format!("<{page}>, <{}>", unsubscribe.mailto));
        assert!(unsubscribe.is_one_click());
        assert!(with_page.confirm("abc", now).expect("a page").starts_with("https://example.com/edgar/confirm/cabc."));
        let back = with_page.return_address(12).expect("an address");
        assert!(back.user().starts_with("watch+b12.") && back.user().len() <= 64, "{back}");

        let without = Links { public_url: None, takes_details: false, ..with_page };
        assert_eq!(without.unsubscribe(7).header(), format!("<{}>", unsubscribe.mailto));
        assert!(!without.unsubscribe(7).is_one_click());
        assert_eq!((without.preferences(7, now), without.return_address(12)), (None, None));
    }
}
