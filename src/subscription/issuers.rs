//! The issuers that a watchlist or a subscription names.

use std::collections::BTreeMap;
use std::fmt;

use crate::edgar::ids::{Cik, ParseIdError};
use crate::edgar::tickers::normalise_ticker;

/// A line of the watchlist, or of a subscription's issuers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IssuerKey {
    /// `*`: every issuer.
    All,
    /// One issuer by its number.
    Cik(Cik),
    /// One issuer by its ticker, normalised; resolved once and pinned to its CIK.
    Ticker(String),
    /// The issuers of a group of the configuration: `group:NAME`.
    Group(String),
}

const GROUP: &str = "group:";

impl std::str::FromStr for IssuerKey {
    type Err = String;

    /// A word that begins with a digit is meant as a CIK: no ticker does.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(name) = text.strip_prefix(GROUP) {
            return Ok(Self::Group(name.to_owned()));
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) || text.starts_with("CIK") {
            return text.parse().map(Self::Cik).map_err(|error: ParseIdError| error.to_string());
        }
        let ticker = normalise_ticker(text);
        let shaped = (1..=12).contains(&ticker.len()) && ticker.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if shaped {
            Ok(Self::Ticker(ticker))
        } else {
            Err(format!("expected a ticker, a CIK or \"*\", found \"{text}\""))
        }
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Cik(cik) => cik.fmt(f),
            Self::Ticker(ticker) => f.write_str(ticker),
            Self::Group(name) => write!(f, "{GROUP}{name}"),
        }
    }
}

/// Reads the issuers that stand under a key, where at least one must.
///
/// # Errors
/// Every fault found.
pub(crate) fn check_issuers(
    key: &str,
    issuers: Option<&[String]>,
    groups: &BTreeMap<String, Vec<IssuerKey>>,
) -> Result<Vec<IssuerKey>, Vec<String>> {
    let Some(issuers) = issuers.filter(|issuers| !issuers.is_empty()) else {
        return Err(vec![format!("{key} is missing: name tickers or CIKs, or \"*\" for every issuer")]);
    };
    let (mut keys, mut faults) = (Vec::new(), Vec::new());
    for (index, text) in issuers.iter().enumerate() {
        match text.parse() {
            Ok(IssuerKey::Group(name)) if !groups.contains_key(&name) => {
                let known: Vec<&str> = groups.keys().map(String::as_str).collect();
                let advice = match crate::suggest::nearest(&name, known.iter().copied()) {
                    Some(near) => format!("did you mean \"group:{near}\"?"),
                    None => "name it under [groups]".to_owned(),
                };
                faults.push(format!("{key}[{index}]: there is no group \"{name}\": {advice}"));
            }
            Ok(issuer) => keys.push(issuer),
            Err(fault) => faults.push(format!("{key}[{index}]: {fault}")),
        }
    }
    if faults.is_empty() { Ok(keys) } else { Err(faults) }
}
