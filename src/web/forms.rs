//! What a posted form says, and the subscription that it asks for.

use std::collections::{BTreeMap, HashMap};

use chrono_tz::Tz;

use crate::edgar::ids::Cik;
use crate::edgar::tickers::TickerMap;
use crate::subscription::{IssuerKey, WrittenSubscription};

/// The fields of a form, in the order they came.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(HashMap<String, Vec<String>>);

/// A field that is longer says nothing sensible.
const LONGEST_FIELD: usize = 4000;

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut fields: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            fields.entry(name.into_owned()).or_default().push(value.chars().take(LONGEST_FIELD).collect());
        }
        Self(fields)
    }

    /// The first value of a field, without blanks around it; empty when it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.first()).map_or("", |value| value.trim())
    }

    /// Every value of a field.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn written(&self, name: &str) -> Option<String> {
        Some(self.text(name).to_owned()).filter(|text| !text.is_empty())
    }
}

/// Kinds in plain words, as the form offers them.
pub(super) const KINDS: [(&str, &str, &str); 10] = [
    (
        "default",
        "New trouble",
        "Nasdaq staff decided to delist the company, for whatever reason, or told it that a report is late. This is what \
         most people want.",
    ),
    ("staff_determination", "Decisions to delist", "The exchange's staff decided to delist or suspend the company."),
    (
        "deficiency_notice",
        "Notices",
        "A listing rule is not met: a share price under a dollar, a late report, too little equity.",
    ),
    (
        "hearing_requested",
        "Hearings asked for",
        "The company appeals to a hearings panel, which usually halts delisting.",
    ),
    ("extension_granted", "More time", "Staff, a panel or the council gave the company more time."),
    ("panel_decision", "Panel decisions", "A hearings panel decided to keep the company or to delist it."),
    ("council_review", "Reviews", "The listing council called the matter for review, or stayed a decision."),
    ("compliance_regained", "Settled", "The company meets the rule again and the matter is closed."),
    ("delisting", "Delistings", "Trading is suspended or the shares leave the exchange."),
    ("anticipated", "Expected notices", "The company says that it expects a notice and has none yet."),
];

/// A company that a name may stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suggestion {
    /// Its ticker.
    pub(super) ticker: String,
    /// Its number.
    pub(super) cik: Cik,
    /// Its name.
    pub(super) name: String,
}

/// What a form for a new subscription asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// As a configuration would have it.
    pub(super) written: WrittenSubscription,
    /// What is wrong, in words for a person.
    pub(super) faults: Vec<String>,
    /// Companies to choose from where a name was given.
    pub(super) suggestions: Vec<Suggestion>,
}

const MOST_ISSUERS: usize = 200;
const MOST_SUGGESTIONS: usize = 8;

/// The subscription that a form asks for. `map` tells names and tickers; without it tickers are taken on trust.
pub(super) fn read_subscription(
    fields: &Fields,
    map: Option<&TickerMap>,
    groups: &BTreeMap<String, Vec<IssuerKey>>,
) -> Asked {
    let mut asked = Asked::default();
    let issuers = read_issuers(fields, map, groups, &mut asked);
    let delivery = fields.written("delivery");
    let is_digest = delivery.as_deref().is_some_and(|delivery| delivery != "immediate");
    let is_weekly = delivery.as_deref() == Some("weekly");
    let quiet = (fields.text("quiet_from"), fields.text("quiet_to"));
    asked.written = WrittenSubscription {
        issuers: Some(issuers),
        kinds: Some(fields.all("kinds").to_vec()).filter(|kinds| !kinds.is_empty()),
        delivery,
        at: fields.written("at").filter(|_| is_digest),
        on: fields.written("on").filter(|_| is_weekly),
        quiet_hours: match quiet {
            ("", "") => None,
            (from, to) => Some(format!("{from}-{to}")),
        },
        time_zone: fields.written("time_zone"),
        dates: fields.written("dates"),
        ..WrittenSubscription::default()
    };
    // What is wrong with the companies was said already, in better words.
    if asked.faults.is_empty()
        && let Err(faults) = asked.written.check(groups)
    {
        asked.faults.extend(faults);
    }
    asked
}

fn read_issuers(
    fields: &Fields,
    map: Option<&TickerMap>,
    groups: &BTreeMap<String, Vec<IssuerKey>>,
    asked: &mut Asked,
) -> Vec<String> {
    if fields.text("scope") != "some" {
        return vec!["*".to_owned()];
    }
    let mut found: Vec<String> = fields.all("pick").to_vec();
    for line in fields.text("issuers").lines().map(str::trim).filter(|line| !line.is_empty()) {
        match read_line(line, map) {
            Ok(issuers) => found.extend(issuers),
            Err(suggestions) if suggestions.is_empty() => {
                asked
                    .faults
                    .push(format!("No company called \"{line}\" is known to EDGAR. Try its ticker or its CIK."));
            }
            Err(suggestions) => {
                let is_picked = |one: &Suggestion| found.contains(&one.cik.to_string());
                if !suggestions.iter().any(is_picked) {
                    asked.faults.push(format!("More than one company may be meant by \"{line}\": choose below."));
                }
                asked.suggestions.extend(suggestions);
            }
        }
    }
    for group in fields.all("group").iter().filter(|group| groups.contains_key(*group)) {
        found.push(IssuerKey::Group(group.clone()).to_string());
    }
    found.sort();
    found.dedup();
    if found.is_empty() && asked.faults.is_empty() {
        asked.faults.push("Name at least one company, or choose all.".to_owned());
    }
    if found.len() > MOST_ISSUERS {
        asked.faults.push(format!("More than {MOST_ISSUERS} companies: choose all instead."));
    }
    found
}

/// The issuers of a line: tickers and CIKs with commas between, or a name. `Err` names those it may stand for.
fn read_line(line: &str, map: Option<&TickerMap>) -> Result<Vec<String>, Vec<Suggestion>> {
    let parts: Vec<IssuerKey> = line
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .filter_map(|part| part.parse().ok())
        .filter(|key| match (key, map) {
            (IssuerKey::Ticker(ticker), Some(map)) => map.find(ticker).is_some(),
            (IssuerKey::Ticker(_) | IssuerKey::Cik(_), _) => true,
            _ => false,
        })
        .collect();
    if parts.len() == line.split(',').filter(|part| !part.trim().is_empty()).count() {
        return Ok(parts.iter().map(ToString::to_string).collect());
    }
    let found = map.map(|map| map.search(line, MOST_SUGGESTIONS)).unwrap_or_default();
    let found = found.into_iter().map(|(ticker, listed)| Suggestion { ticker, cik: listed.cik, name: listed.name });
    let found: Vec<Suggestion> = found.collect();
    match found.as_slice() {
        [one] => Ok(vec![one.ticker.clone()]),
        _ => Err(found),
    }
}

/// The clocks that a form offers. A subscription may name any other on the command line.
pub(super) const ZONES: [Tz; 22] = [
    Tz::America__New_York,
    Tz::America__Chicago,
    Tz::America__Denver,
    Tz::America__Los_Angeles,
    Tz::America__Anchorage,
    Tz::Pacific__Honolulu,
    Tz::America__Toronto,
    Tz::America__Sao_Paulo,
    Tz::UTC,
    Tz::Europe__London,
    Tz::Europe__Dublin,
    Tz::Europe__Berlin,
    Tz::Europe__Paris,
    Tz::Europe__Zurich,
    Tz::Europe__Athens,
    Tz::Asia__Jerusalem,
    Tz::Asia__Dubai,
    Tz::Asia__Kolkata,
    Tz::Asia__Singapore,
    Tz::Asia__Hong_Kong,
    Tz::Asia__Tokyo,
    Tz::Australia__Sydney,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::EventKind;

    fn map() -> TickerMap {
        let rows = r#"{"0":{"cik_str":9991001,"ticker":"GNTR","title":"GANTRY MICRO, INC."},
            "1":{"cik_str":9991002,"ticker":"GNT","title":"GANTRY MARINE LTD"},
            "2":{"cik_str":9991003,"ticker":"OAK","title":"OAKUM HOLDINGS"}}"#;
        TickerMap::parse(rows.as_bytes()).expect("a map")
    }

    fn read(form: &str) -> Asked {
        read_subscription(&Fields::parse(form.as_bytes()), Some(&map()), &BTreeMap::new())
    }

    #[test]
    fn the_form_offers_every_kind() {
        let offered: Vec<&str> = KINDS.iter().map(|(kind, _, _)| *kind).collect();
        let known = EventKind::ALL.map(EventKind::as_str);
        assert_eq!((offered[0], &offered[1..]), ("default", known.as_slice()));
    }

    #[test]
    fn companies_are_named_by_ticker_number_or_name() {
        let issuers = |lines: &str| {
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("scope", "some"), ("issuers", lines)])
                .finish();
            let asked = read(&form);
            (asked.written.issuers.unwrap_or_default(), asked.faults.len(), asked.suggestions.len())
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(issuers("gntr, 9991003\n"), (words(&["0009991003", "GNTR"]), 0, 0));
        assert_eq!(issuers("oakum"), (words(&["OAK"]), 0, 0));
        assert_eq!(issuers("Gantry Micro, Inc."), (words(&["GNTR"]), 0, 0));
        assert_eq!(issuers("gantry"), (Vec::new(), 1, 2), "which of the two");
        assert_eq!(issuers("no such company"), (Vec::new(), 1, 0));
        assert_eq!(issuers(""), (Vec::new(), 1, 0));
        assert_eq!(read("scope=all").written.issuers, Some(words(&["*"])));
        let picked = read("scope=some&issuers=gantry&pick=0009991002");
        assert_eq!((picked.written.issuers, picked.faults.len()), (Some(words(&["0009991002"])), 0));
    }

    #[test]
    fn what_is_not_asked_for_is_left_out() {
        let asked = read("scope=all&delivery=immediate&at=08:00&on=monday&quiet_from=&quiet_to=&kinds=delisting");
        assert_eq!(asked.faults, Vec::<String>::new());
        let written = asked.written;
        assert_eq!((written.at, written.on, written.quiet_hours), (None, None, None));
        assert_eq!(written.kinds, Some(vec!["delisting".to_owned()]));
        assert_eq!(read("scope=all&quiet_from=22:00&quiet_to=").faults.len(), 1);
        assert_eq!(read("scope=all&kinds=%3Cscript%3E").faults.len(), 1);
    }
}
