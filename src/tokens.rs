//! Signed tokens: in links, in addresses that mail comes back to, and in forms. Values only; the keys come from outside.
//!
//! A token says what it is for and whom it concerns, when it expires and which key signed it, and ends in the first 128
//! bits of an HMAC-SHA256 (RFC 2104) over all that. It is lower-case letters, digits and dots alone, at most 64 characters
//! with a short mailbox before it, so that it also serves in the local part of an address (RFC 5321 4.5.3.1.1), which
//! programs on the way may fold to lower case.

use chrono::{DateTime, Utc};
use data_encoding::{BASE32_DNSSEC, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To confirm a subscription. The subject is its id.
    Confirm,
    /// To see and change the subscriptions of an address. The subject is the address's number.
    Preferences,
    /// To stop all mail to an address. The subject is the address's number.
    Unsubscribe,
    /// To tell that a mail could not be delivered. The subject is the message's number.
    Bounce,
    /// To post a form. The subject is a number that the browser keeps as well.
    Form,
}

impl Purpose {
    fn letter(self) -> char {
        match self {
            Self::Confirm => 'c',
            Self::Preferences => 'p',
            Self::Unsubscribe => 'u',
            Self::Bounce => 'b',
            Self::Form => 'f',
        }
    }
}

/// A key and its id.
#[derive(Clone)]
struct Key {
    id: String,
    secret: Vec<u8>,
}

/// The keys that tokens are signed with. The first signs; all verify, so that a new one can be put before the old.
#[derive(Clone)]
pub struct Keys {
    keys: Vec<Key>,
}

impl std::fmt::Debug for Keys {
    /// Names them, and leaves the secrets out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing here has signed it, or not for this purpose.
    #[error("this link is not valid")]
    Forged,
    /// It was good until a while ago.
    #[error("this link has expired")]
    Expired,
}

const SHORTEST_SECRET: usize = 16;
const MAC_BYTES: usize = 16;

impl Keys {
    /// Reads a list of keys: a line each, an id of letters and digits, a blank, and at least 16 bytes in hexadecimal.
    /// Lines that begin with # and empty ones say nothing.
    ///
    /// # Errors
    /// What is wrong with a line, without repeating it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = |words: &str| format!("line {}: {words}", index + 1);
            let (id, secret) = line.split_once(char::is_whitespace).ok_or_else(|| fault("expected an id and a key"))?;
            if !(1..=8).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
                return Err(fault("expected an id of one to eight lower-case letters and digits"));
            }
            if keys.iter().any(|key| key.id == id) {
                return Err(fault("its id is used twice"));
            }
            let secret = HEXLOWER_PERMISSIVE
                .decode(secret.trim().as_bytes())
                .ok()
                .filter(|secret| secret.len() >= SHORTEST_SECRET)
                .ok_or_else(|| fault("expected a key of at least 32 hexadecimal digits"))?;
            keys.push(Key { id: id.to_owned(), secret });
        }
        if keys.is_empty() { Err("it holds no key".to_owned()) } else { Ok(Self { keys }) }
    }

    /// A token. `expires_at` is kept to the second.
    pub fn sign(&self, purpose: Purpose, subject: &str, expires_at: Option<DateTime<Utc>>) -> String {
        let key = &self.keys[0];
        let expires = expires_at.map_or(0, |at| at.timestamp().max(1));
        let said = format!("{}{subject}.{expires:x}.{}", purpose.letter(), key.id);
        format!("{said}.{}", key.mac(&said))
    }

    /// Whom a token concerns. Letters in upper case are taken for lower case.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, purpose: Purpose, token: &str, now: DateTime<Utc>) -> Result<String, TokenError> {
        let token = token.to_ascii_lowercase();
        let (said, mac) = token.rsplit_once('.').ok_or(TokenError::Forged)?;
        let mut parts = said.splitn(3, '.');
        let (subject, expires, id) = (parts.next(), parts.next(), parts.next());
        let key = self.keys.iter().find(|key| Some(key.id.as_str()) == id).ok_or(TokenError::Forged)?;
        if !key.has_signed(said, mac) {
            return Err(TokenError::Forged);
        }
        let subject = subject.and_then(|subject| subject.strip_prefix(purpose.letter())).ok_or(TokenError::Forged)?;
        let expires = expires.and_then(|expires| i64::from_str_radix(expires, 16).ok()).ok_or(TokenError::Forged)?;
        if expires != 0 && now.timestamp() >= expires {
            return Err(TokenError::Expired);
        }
        Ok(subject.to_owned())
    }

    /// What tells these keys from others, and nobody what they are: a word for each.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.mac("fingerprint")[..8].to_owned()).collect()
    }

    /// What stands for an address that was erased, under each key, the signing one first: who knows the address and the
    /// keys can tell that it was, and nobody else.
    pub fn erased(&self, address: &str) -> Vec<String> {
        let address = address.to_lowercase();
        self.keys.iter().map(|key| format!("erased:{}:{}", key.id, key.mac(&format!("erased {address}")))).collect()
    }
}

impl Key {
    fn hmac(&self, said: &str) -> Hmac<Sha256> {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("any length");
        mac.update(said.as_bytes());
        mac
    }

    fn mac(&self, said: &str) -> String {
        BASE32_DNSSEC.encode(&self.hmac(said).finalize().into_bytes()[..MAC_BYTES])
    }

    fn has_signed(&self, said: &str, mac: &str) -> bool {
        let mac = BASE32_DNSSEC.decode(mac.as_bytes()).ok().filter(|mac| mac.len() == MAC_BYTES);
        // In constant time.
        mac.is_some_and(|mac| self.hmac(said).verify_truncated_left(&mac).is_ok())
    }
}

/// The first word of a text that has the shape of a token for a purpose: a mail's subject, or the detail of an address.
pub fn find_token(text: &str, purpose: Purpose) -> Option<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    text.split(|c| !is_part(c)).find(|word| {
        let is_for_it = word.chars().next().is_some_and(|first| first.eq_ignore_ascii_case(&purpose.letter()));
        is_for_it && word.split('.').count() == 4 && word.len() >= 30
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "k1 000102030405060708090a0b0c0d0e0f\n";
    const NEW: &str = "# since May\nk2 101112131415161718191a1b1c1d1e1f\n\n";

    fn keys(text: &str) -> Keys {
        Keys::parse(text).expect("keys")
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    #[test]
    fn a_token_names_its_subject_to_who_has_the_key() {
        let (now, keys) = (at("2026-11-23T12:00:00Z"), keys(OLD));
        let token = keys.sign(Purpose::Unsubscribe, "123", None);
        assert_eq!(keys.verify(Purpose::Unsubscribe, &token, now), Ok("123".to_owned()));
        assert_eq!(keys.verify(Purpose::Unsubscribe, &token.to_uppercase(), now), Ok("123".to_owned()));
        assert!(format!("edgar-watch+{token}").len() <= 64, "{token} fits a local part");
        assert_eq!(find_token(&format!("edgar-watch+{token}@example.com"), Purpose::Unsubscribe), Some(token.as_str()));
        assert_eq!(find_token("unsubscribe me please", Purpose::Unsubscribe), None);
    }

    #[test]
    fn nothing_else_is_taken() {
        let (now, keys) = (at("2026-11-23T12:00:00Z"), keys(OLD));
        let token = keys.sign(Purpose::Unsubscribe, "123", None);
        assert_eq!(keys.verify(Purpose::Preferences, &token, now), Err(TokenError::Forged), "another purpose");
        let other = Keys::parse("k1 ff0102030405060708090a0b0c0d0e0f").expect("keys");
        assert_eq!(other.verify(Purpose::Unsubscribe, &token, now), Err(TokenError::Forged), "another key");
        // Every character counts.
        for place in 0..token.len() {
            for put in ["0", "z", "."] {
                let mut changed = token.clone();
                changed.replace_range(place..=place, put);
                if changed != token {
                    assert_eq!(keys.verify(Purpose::Unsubscribe, &changed, now), Err(TokenError::Forged), "{changed}");
                }
            }
        }
        for garbage in ["", ".", "...", "u1.0.k1.", "\u{1f600}", "u.0.k1.aaaa"] {
            assert_eq!(keys.verify(Purpose::Unsubscribe, garbage, now), Err(TokenError::Forged), "{garbage}");
        }
    }

    #[test]
    fn a_token_expires() {
        let keys = keys(OLD);
        let token = keys.sign(Purpose::Confirm, "abc", Some(at("2026-11-23T12:00:00Z")));
        assert_eq!(keys.verify(Purpose::Confirm, &token, at("2026-11-23T11:59:59Z")), Ok("abc".to_owned()));
        assert_eq!(keys.verify(Purpose::Confirm, &token, at("2026-11-23T12:00:00Z")), Err(TokenError::Expired));
    }

    #[test]
    fn an_old_key_verifies_and_a_new_one_signs() {
        let both = keys(&format!("{NEW}{OLD}"));
        let now = at("2026-11-23T12:00:00Z");
        let old = keys(OLD).sign(Purpose::Unsubscribe, "1", None);
        assert_eq!(both.verify(Purpose::Unsubscribe, &old, now), Ok("1".to_owned()));
        let new = both.sign(Purpose::Unsubscribe, "1", None);
        assert_eq!(keys(OLD).verify(Purpose::Unsubscribe, &new, now), Err(TokenError::Forged));
        assert!(both.erased("A@example.com").contains(&keys(OLD).erased("a@example.com")[0]));
    }

    #[test]
    fn a_bad_list_of_keys_is_refused_without_its_secrets() {
        for (text, fault) in [
            ("", "it holds no key"),
            ("k1", "line 1: expected an id and a key"),
            (
                "K-1 000102030405060708090a0b0c0d0e0f",
                "line 1: expected an id of one to eight lower-case letters and digits",
            ),
            ("\nk1 0001", "line 2: expected a key of at least 32 hexadecimal digits"),
            (&format!("{OLD}{OLD}"), "line 2: its id is used twice"),
        ] {
            assert_eq!(Keys::parse(text).expect_err(text), fault);
        }
        assert_eq!(format!("{:?}", keys(OLD)), "[\"k1\"]");
    }
}
