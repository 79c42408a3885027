//! What a subscription asks for: as written in the configuration, on the command line, in a form and in the store, and
//! as checked.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Delivery, IssuerKey, KindFilter, QuietHours, Schedule, SubscriptionFilter, check_issuers};
use crate::calendar::wall_to_utc;
use crate::classify::{Basis, EventKind, Exchange};
use crate::render::DateStyle;

/// A subscription as people write it: nothing checked, and what is left out is the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WrittenSubscription {
    /// What it is called in the configuration, where it is not called by its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who is mailed. Absent in the store, which keeps it apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Tickers, CIKs, `group:NAME`, or `*` for everything watched, which is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuers: Option<Vec<String>>,
    /// Kinds of events, or `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// Bases: at least one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bases: Option<Vec<String>>,
    /// Exchanges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchanges: Option<Vec<String>>,
    /// How sure a reading must be at least, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_confidence: Option<f64>,
    /// `immediate`, `daily` or `weekly`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// When a digest is due: `08:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The day of a weekly digest: `monday`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// A digest also when there is nothing to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_digest: Option<bool>,
    /// Hours without mail: `22:00-07:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<String>,
    /// The clock of all these, and of the times in mails: `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// How dates are written in mails: `en`, `iso`, or a locale such as `de_DE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dates: Option<String>,
    /// No mail before this day: `2026-12-24`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<String>,
}

/// What a subscription asks for, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Whose filings.
    pub issuers: Vec<IssuerKey>,
    /// Which news.
    pub filter: SubscriptionFilter,
    /// When it is told, and on which clock.
    pub schedule: Schedule,
    /// How dates are written.
    pub dates: DateStyle,
    /// The first day, on that clock, on which anything is told.
    pub paused_until: Option<NaiveDate>,
}

/// EDGAR's own clock.
const DEFAULT_ZONE: Tz = chrono_tz::America::New_York;
/// Before the market opens.
const DEFAULT_DIGEST_TIME: &str = "08:00";

impl WrittenSubscription {
    /// Checks what it asks for; `email` and `name` are left alone.
    ///
    /// # Errors
    /// Every fault found, each beginning with its key.
    pub fn check(&self, groups: &BTreeMap<String, Vec<IssuerKey>>) -> Result<Terms, Vec<String>> {
        let mut faults = Vec::new();
        let all = ["*".to_owned()];
        let issuers = check_issuers("issuers", self.issuers.as_deref().or(Some(&all)), groups);
        let issuers = issuers.unwrap_or_else(|found| {
            faults.extend(found);
            Vec::new()
        });
        let kinds = check_kinds(&mut faults, self.kinds.as_deref());
        let bases = check_words(&mut faults, "bases", self.bases.as_deref(), &Basis::ALL);
        let exchanges = check_words(&mut faults, "exchanges", self.exchanges.as_deref(), &Exchange::ALL);
        let kinds = match kinds {
            // Nothing asked for at all means the default alert.
            None if bases.is_none() && exchanges.is_none() => KindFilter::Default,
            None => KindFilter::Any,
            Some(kinds) => kinds,
        };
        let min_confidence = self.min_confidence.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&min_confidence) {
            faults.push(format!("min_confidence: expected 0 to 1, found {min_confidence}"));
        }
        let schedule = self.check_schedule(&mut faults);
        let paused_until = keep(&mut faults, self.paused_until.as_deref(), |text| {
            text.parse().map_err(|_| format!("paused_until: expected a date such as \"2026-12-24\", found \"{text}\""))
        });
        let dates = keep(&mut faults, self.dates.as_deref(), str::parse).unwrap_or_default();
        let filter = SubscriptionFilter { kinds, bases, exchanges, min_confidence };
        if faults.is_empty() { Ok(Terms { issuers, filter, schedule, dates, paused_until }) } else { Err(faults) }
    }

    /// The same for what was checked once: a group that has left the configuration since costs its own issuers alone.
    ///
    /// # Errors
    /// As above; another version may have written it.
    pub fn check_again(&self, groups: &BTreeMap<String, Vec<IssuerKey>>) -> Result<Terms, Vec<String>> {
        let mut groups = groups.clone();
        for issuer in self.issuers.iter().flatten() {
            if let Ok(IssuerKey::Group(name)) = issuer.parse() {
                groups.entry(name).or_default();
            }
        }
        self.check(&groups)
    }

    /// When a day begins on its subscriber's clock; on EDGAR's where another version wrote terms that cannot be read.
    pub fn start_of(&self, day: NaiveDate, groups: &BTreeMap<String, Vec<IssuerKey>>) -> DateTime<Utc> {
        let zone = self.check_again(groups).map_or(DEFAULT_ZONE, |terms| terms.schedule.zone);
        wall_to_utc(day.into(), zone)
    }

    /// Takes over what the pages do not offer: bases, exchanges, confidence, digests with nothing to tell, and the pause.
    pub fn keep_what_the_form_has_not(&mut self, before: &Self) {
        self.bases.clone_from(&before.bases);
        self.exchanges.clone_from(&before.exchanges);
        self.min_confidence = before.min_confidence;
        self.empty_digest =
            before.empty_digest.filter(|_| self.delivery.as_deref().is_some_and(|word| word != "immediate"));
        self.paused_until.clone_from(&before.paused_until);
    }

    /// What it asks for, for people: `RBBN, group:late: staff determination; daily digest`.
    pub fn summary(&self) -> String {
        let issuers = self.issuers.as_deref().unwrap_or_default();
        let issuers = match issuers {
            [] => "every issuer watched".to_owned(),
            more if more.iter().any(|issuer| issuer == "*") => "every issuer watched".to_owned(),
            [first, second, third, _, more @ ..] => format!("{first}, {second}, {third} and {} more", more.len() + 1),
            few => few.join(", "),
        };
        let words = |words: &Option<Vec<String>>| words.as_deref().unwrap_or_default().join(", ").replace('_', " ");
        let kinds = self.kinds.as_deref().unwrap_or_default();
        let kinds = Some(
            kinds
                .iter()
                .map(|kind| if kind == "default" { "default alert".to_owned() } else { kind.clone() })
                .collect(),
        );
        let asked: Vec<String> = [&kinds, &self.bases, &self.exchanges].into_iter().map(words).collect();
        let asked = asked.iter().filter(|asked| !asked.is_empty()).cloned().collect::<Vec<_>>().join("; ");
        let asked = if asked.is_empty() { "default alert".to_owned() } else { asked };
        let digest = match self.delivery.as_deref() {
            None | Some("immediate") => String::new(),
            Some(often) => format!("; {often} digest"),
        };
        format!("{issuers}: {asked}{digest}")
    }

    fn check_schedule(&self, faults: &mut Vec<String>) -> Schedule {
        let zone = keep(faults, self.time_zone.as_deref(), |text| {
            Tz::from_str(text)
                .map_err(|_| format!("time_zone: expected a zone such as \"Europe/Berlin\", found \"{text}\""))
        });
        let at = keep(faults, self.at.as_deref().or(Some(DEFAULT_DIGEST_TIME)), |text| parse_time("at", text));
        let on = keep(faults, self.on.as_deref().or(Some("monday")), |text| {
            Weekday::from_str(text).map_err(|_| format!("on: expected a day such as \"monday\", found \"{text}\""))
        });
        let quiet = keep(faults, self.quiet_hours.as_deref(), parse_quiet_hours);
        let word = self.delivery.as_deref().unwrap_or("immediate");
        let digest = |on| Delivery::Digest {
            on,
            at: at.unwrap_or_default(),
            even_when_empty: self.empty_digest.unwrap_or_default(),
        };
        let delivery = match word {
            "immediate" => Delivery::Immediate,
            "daily" => digest(None),
            "weekly" => digest(on),
            other => {
                faults.push(format!("delivery: expected immediate, daily or weekly, found \"{other}\""));
                Delivery::Immediate
            }
        };
        let without_meaning = [
            ("at", self.at.is_some() && delivery == Delivery::Immediate),
            ("on", self.on.is_some() && word != "weekly"),
            ("empty_digest", self.empty_digest == Some(true) && delivery == Delivery::Immediate),
        ];
        for (key, _) in without_meaning.into_iter().filter(|(_, is_without)| *is_without) {
            faults.push(format!("{key} means nothing with delivery = \"{word}\""));
        }
        Schedule { delivery, quiet, zone: zone.unwrap_or(DEFAULT_ZONE) }
    }
}

fn keep<T>(faults: &mut Vec<String>, text: Option<&str>, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
    match parse(text?) {
        Ok(value) => Some(value),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

fn parse_time(key: &str, text: &str) -> Result<NaiveTime, String> {
    let time = NaiveTime::parse_from_str(text.trim(), "%H:%M");
    time.map_err(|_| format!("{key}: expected a time such as \"08:00\", found \"{text}\""))
}

fn parse_quiet_hours(text: &str) -> Result<QuietHours, String> {
    let hours = text.split_once('-').and_then(|(from, to)| {
        let (from, to) = (parse_time("", from).ok()?, parse_time("", to).ok()?);
        (from != to).then_some(QuietHours { from, to })
    });
    hours.ok_or_else(|| format!("quiet_hours: expected hours such as \"22:00-07:00\", found \"{text}\""))
}

fn check_kinds(faults: &mut Vec<String>, kinds: Option<&[String]>) -> Option<KindFilter> {
    let kinds = kinds.filter(|kinds| !kinds.is_empty())?;
    let is_named = |(_, kind): &(usize, &String)| *kind != "default";
    let named: Vec<(usize, &String)> = kinds.iter().enumerate().filter(is_named).collect();
    let includes_default = named.len() < kinds.len();
    let named = find_words(faults, "kinds", named.into_iter(), &EventKind::ALL);
    Some(match (includes_default, named.is_empty()) {
        (true, true) => KindFilter::Default,
        (true, false) => KindFilter::DefaultOr(named),
        (false, _) => KindFilter::Of(named),
    })
}

/// Words of a fixed vocabulary; `None` when the key is left out or empty and so does not filter.
fn check_words<T: Copy + std::fmt::Display>(
    faults: &mut Vec<String>,
    key: &str,
    words: Option<&[String]>,
    vocabulary: &[T],
) -> Option<Vec<T>> {
    let words = words.filter(|words| !words.is_empty())?;
    Some(find_words(faults, key, words.iter().enumerate(), vocabulary))
}

/// Words with their places in the list.
fn find_words<'a, T: Copy + std::fmt::Display>(
    faults: &mut Vec<String>,
    key: &str,
    words: impl Iterator<Item = (usize, &'a String)>,
    vocabulary: &[T],
) -> Vec<T> {
    let known: Vec<String> = vocabulary.iter().map(ToString::to_string).collect();
    let mut found = Vec::new();
    for (index, word) in words {
        match known.iter().position(|known| known == word) {
            Some(at) => found.push(vocabulary[at]),
            None => faults.push(format!("{key}[{index}]: expected one of {}, found \"{word}\"", known.join(", "))),
        }
    }
    found
}
