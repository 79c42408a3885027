//! Mail that comes back: somebody unsubscribes, or a mail could not be delivered. Bytes in, a verdict out.

mod dsn;

use mail_parser::{Address, HeaderName, HeaderValue, Message, MessageParser};

pub use dsn::{Bounce, BounceKind, is_about_the_address};

use crate::tokens::{Purpose, find_token};

/// What a mail is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// Whoever holds the token wants no more mail.
    Unsubscribe {
        /// To be verified.
        token: String,
    },
    /// The mail that the token stands for was not delivered, or not yet.
    Bounced {
        /// To be verified.
        token: String,
        /// What became of it.
        bounce: Bounce,
    },
    /// Something else, in words.
    Other(&'static str),
}

/// Headers that say whom a mail was delivered to, besides To and Cc: servers write them.
const DELIVERED_TO: [&str; 4] = ["Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To"];

/// Says what a mail is about. `recipients` are those that the server names besides those in its headers.
///
/// A token counts in the subject and in the addresses alone: replies quote our own links.
pub fn read_inbound(mail: &[u8], recipients: &[String]) -> Inbound {
    let Some(mail) = MessageParser::default().parse(mail) else { return Inbound::Other("it is no mail") };
    let addresses = addresses(&mail, recipients);
    let in_addresses = |purpose| addresses.iter().find_map(|address| find_token(address, purpose));
    if let Some(token) = in_addresses(Purpose::Bounce) {
        let token = token.to_owned();
        return match dsn::find_bounce(&mail) {
            Some(bounce) => Inbound::Bounced { token, bounce },
            None => Inbound::Other("it came to the address for bounces and is none (RFC 3464)"),
        };
    }
    let subject = mail.subject().unwrap_or_default();
    match find_token(subject, Purpose::Unsubscribe).or_else(|| in_addresses(Purpose::Unsubscribe)) {
        Some(token) => Inbound::Unsubscribe { token: token.to_owned() },
        None => Inbound::Other("neither its subject nor its addresses hold a token"),
    }
}

fn addresses(mail: &Message<'_>, recipients: &[String]) -> Vec<String> {
    let listed = [mail.to(), mail.cc()].into_iter().flatten().flat_map(Address::iter);
    let mut found: Vec<String> = recipients.to_vec();
    found.extend(listed.filter_map(|address| address.address().map(str::to_owned)));
    for name in DELIVERED_TO {
        for value in mail.header_values(HeaderName::Other(name.into())) {
            match value {
                HeaderValue::Text(text) => found.push(text.to_string()),
                HeaderValue::Address(address) => {
                    found.extend(address.iter().filter_map(|address| address.address().map(str::to_owned)));
                }
                _ => {}
            }
        }
    }
    found
}
