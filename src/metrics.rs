//! What is counted and measured, and how Prometheus reads it. Pure: the passes gather the values, see `passes::metrics`.
//!
//! Counts live in the store, so that they go on over restarts and that `once`, which ends every few minutes, has them too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

/// The media type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What every name begins with.
const PREFIX: &str = "edgar_watch_";
/// Upper bounds of the lag histogram's buckets, in milliseconds: from a poll at once to a filing found the next morning.
const LAG_BUCKETS_MS: [i64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
    3_600_000, 21_600_000, 86_400_000,
];
/// Counts wait so long before they are written.
const WRITTEN_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The way of an alert, from EDGAR's acceptance to the relay's: what each part of it ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The filing was seen, after EDGAR had accepted it.
    Seen,
    /// It was classified, after it had been seen.
    Classified,
    /// The relay had taken the mail, after the filing was classified.
    Sent,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Seen, Self::Classified, Self::Sent];

    fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Classified => "classified",
            Self::Sent => "sent",
        }
    }
}

/// Something counted. Its label says which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Walks over the feed, by how they ended: good or failed.
    Polls,
    /// Filings read, by how that ended: read, postponed or parked.
    Filings,
    /// New events, by kind.
    Findings,
    /// Alerts raised.
    Alerts,
    /// Mails, by what became of a delivery: sent, postponed or set_aside.
    Deliveries,
}

impl Count {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Polls, Self::Filings, Self::Findings, Self::Alerts, Self::Deliveries];

    /// Name, label and help.
    fn words(self) -> (&'static str, Option<&'static str>, &'static str) {
        match self {
            Self::Polls => ("polls", Some("outcome"), "Walks over EDGAR's feed."),
            Self::Filings => ("filings", Some("outcome"), "Attempts to read a filing."),
            Self::Findings => ("findings", Some("kind"), "New events in filings read."),
            Self::Alerts => ("alerts", None, "Alerts raised."),
            Self::Deliveries => ("deliveries", Some("outcome"), "Attempts to deliver a mail."),
        }
    }
}

/// What was counted and waits to be written to the store, by its name there.
#[derive(Debug, Default)]
pub struct Tally {
    pending: Mutex<BTreeMap<String, i64>>,
    written_at: Mutex<Option<DateTime<Utc>>>,
}

impl Tally {
    /// Counts `n` more; `label` is empty where a count has none.
    pub fn add(&self, count: Count, label: &str, n: usize) {
        if n > 0 {
            self.put(format!("{}|{label}", count.words().0), i64::try_from(n).unwrap_or(i64::MAX));
        }
    }

    /// Counts a lag. One below zero, from clocks that differ, counts as none.
    pub fn observe(&self, stage: Stage, lag: TimeDelta) {
        let (stage, ms) = (stage.as_str(), lag.num_milliseconds().max(0));
        let bucket = LAG_BUCKETS_MS.into_iter().find(|bound| ms <= *bound);
        self.put(format!("lag|{stage}|{}", bucket.map_or_else(|| "more".to_owned(), |bound| bound.to_string())), 1);
        self.put(format!("lag_sum|{stage}"), ms);
    }

    fn put(&self, name: String, n: i64) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let count = pending.entry(name).or_default();
        *count = count.saturating_add(n);
    }

    /// Whether it is time to write.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        let written_at = self.written_at.lock().unwrap_or_else(PoisonError::into_inner);
        written_at.is_none_or(|at| !(TimeDelta::zero()..WRITTEN_EVERY).contains(&(now - at)))
    }

    /// What waits, taken out of it.
    pub fn take(&self, now: DateTime<Utc>) -> BTreeMap<String, i64> {
        *self.written_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back what could not be written.
    pub fn put_back(&self, counts: BTreeMap<String, i64>) {
        counts.into_iter().for_each(|(name, n)| self.put(name, n));
    }
}

/// All that is told.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// The program's version.
    pub version: String,
    /// The classifier's.
    pub classifier_version: i64,
    /// Counts by their names in the store.
    pub counts: HashMap<String, i64>,
    /// The last good walk over the feed.
    pub last_poll_at: Option<DateTime<Utc>>,
    /// Whether the last walk failed.
    pub is_failing: bool,
    /// Age of the newest entry of the feed at the last walk, in seconds.
    pub feed_lag_s: Option<i64>,
    /// Requests to EDGAR today, Eastern.
    pub requests_today: i64,
    /// What the rate still allows until midnight, Eastern.
    pub requests_left_today: i64,
    /// Requests a second at most.
    pub requests_per_second: u32,
    /// Until when EDGAR has shut us out.
    pub blocked_until: Option<DateTime<Utc>>,
    /// Filings found and not read.
    pub filings_unread: i64,
    /// Filings given up, for a person.
    pub filings_parked: i64,
    /// Watched filings that the feed never showed.
    pub filings_missed: i64,
    /// Days that should be reconciled and are not.
    pub days_overdue: i64,
    /// Gaps in the feed that no index has closed yet.
    pub feed_gaps: i64,
    /// Mails that wait.
    pub mails_waiting: i64,
    /// How long the oldest of them has waited, in seconds.
    pub oldest_mail_s: i64,
    /// Mails set aside for a person.
    pub mails_set_aside: i64,
    /// Subscriptions in effect.
    pub subscriptions_in_effect: i64,
    /// Subscriptions that nobody has confirmed yet.
    pub subscriptions_unconfirmed: i64,
    /// Addresses that mail came back from.
    pub addresses_bounced: i64,
    /// The store on disk.
    pub store_bytes: u64,
    /// What the watch over itself looks at, and whether it is in trouble.
    pub troubles: Vec<(&'static str, bool)>,
}

impl Metrics {
    /// Prometheus' text format (exposition format 0.0.4).
    ///
    /// # Errors
    /// Never for values of ours: each family has a metric.
    pub fn encode(&self) -> anyhow::Result<String> {
        let mut families = vec![self.build_info()];
        families.extend(Count::ALL.into_iter().filter_map(|count| self.count(count)));
        families.push(self.lags());
        families.push(family(
            "feed_missed_filings",
            "Watched filings that only EDGAR\'s daily index has shown so far.",
            MetricType::GAUGE,
            vec![gauge(&[], whole(self.filings_missed))],
        ));
        for (name, help, value) in self.gauges() {
            families.push(family(name, help, MetricType::GAUGE, vec![gauge(&[], value)]));
        }
        let outbox = [("waiting", self.mails_waiting), ("set_aside", self.mails_set_aside)];
        families.push(by_label("outbox_messages", "Mails in the outbox, by their state.", "state", &outbox));
        let filings = [("unread", self.filings_unread), ("parked", self.filings_parked)];
        families.push(by_label("filings_open", "Filings found and not read, by their state.", "state", &filings));
        let subscriptions =
            [("in_effect", self.subscriptions_in_effect), ("unconfirmed", self.subscriptions_unconfirmed)];
        families.push(by_label("subscriptions", "Subscriptions, by their state.", "state", &subscriptions));
        let troubles: Vec<(&str, i64)> =
            self.troubles.iter().map(|(matter, is_in_trouble)| (*matter, i64::from(*is_in_trouble))).collect();
        families.push(by_label("trouble", "1 while the watch over itself finds this wrong.", "matter", &troubles));
        // One without a value is none.
        families.retain(|family| !family.get_metric().is_empty());
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8(text)?)
    }

    fn build_info(&self) -> MetricFamily {
        let classifier = self.classifier_version.to_string();
        let labels = [("version", self.version.as_str()), ("classifier_version", classifier.as_str())];
        family("build_info", "What is running.", MetricType::GAUGE, vec![gauge(&labels, 1.0)])
    }

    /// `None` while nothing of the kind was counted, unless it has no label.
    fn count(&self, count: Count) -> Option<MetricFamily> {
        let (name, label, help) = count.words();
        let mut counted: Vec<(&str, i64)> =
            self.counts.iter().filter_map(|(key, n)| Some((key.strip_prefix(name)?.strip_prefix('|')?, *n))).collect();
        counted.sort_unstable();
        let metrics: Vec<Metric> = match label {
            Some(label) => counted.into_iter().map(|(value, n)| counter(&[(label, value)], n)).collect(),
            None => vec![counter(&[], counted.iter().map(|(_, n)| n).sum())],
        };
        (!metrics.is_empty()).then(|| family(&format!("{name}_total"), help, MetricType::COUNTER, metrics))
    }

    fn lags(&self) -> MetricFamily {
        let known = |key: String| self.counts.get(&key).copied().unwrap_or_default();
        let metrics = Stage::ALL.into_iter().map(|stage| {
            let stage = stage.as_str();
            let mut n = 0;
            let mut buckets = Vec::new();
            for bound in LAG_BUCKETS_MS {
                n += known(format!("lag|{stage}|{bound}"));
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(seconds(bound));
                bucket.set_cumulative_count(u64::try_from(n).unwrap_or_default());
                buckets.push(bucket);
            }
            n += known(format!("lag|{stage}|more"));
            let mut histogram = Histogram::default();
            histogram.set_bucket(buckets);
            histogram.set_sample_count(u64::try_from(n).unwrap_or_default());
            histogram.set_sample_sum(seconds(known(format!("lag_sum|{stage}"))));
            let mut metric = Metric::from_label(pairs(&[("stage", stage)]));
            metric.set_histogram(histogram);
            metric
        });
        family(
            "lag_seconds",
            "From EDGAR's acceptance to seen, from there to classified, from there to taken by the relay.",
            MetricType::HISTOGRAM,
            metrics.collect(),
        )
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, f64)> {
        let at = |instant: Option<DateTime<Utc>>| instant.map_or(0.0, |at| seconds(at.timestamp_millis()));
        let mut gauges = vec![
            (
                "last_poll_timestamp_seconds",
                "When the last good walk over the feed ended; 0: never.",
                at(self.last_poll_at),
            ),
            ("poll_failing", "1 while walks over the feed fail.", f64::from(u8::from(self.is_failing))),
            ("requests_today", "Requests to EDGAR since midnight, Eastern.", whole(self.requests_today)),
            (
                "requests_left_today",
                "Requests that the rate allows until midnight, Eastern.",
                whole(self.requests_left_today),
            ),
            ("requests_per_second_limit", "Requests a second at most.", f64::from(self.requests_per_second)),
            (
                "blocked_until_timestamp_seconds",
                "Until when EDGAR asked us to wait; 0: it did not.",
                at(self.blocked_until),
            ),
            ("outbox_oldest_seconds", "How long the oldest mail has waited.", whole(self.oldest_mail_s)),
            (
                "ledger_overdue",
                "Days that should be reconciled with EDGAR's index and are not.",
                whole(self.days_overdue),
            ),
            ("feed_gaps", "Gaps in the feed that no index has closed yet.", whole(self.feed_gaps)),
            (
                "addresses_bounced",
                "Addresses that are not written to because mail came back.",
                whole(self.addresses_bounced),
            ),
            ("store_bytes", "Size of the store.", whole(i64::try_from(self.store_bytes).unwrap_or(i64::MAX))),
        ];
        if let Some(lag) = self.feed_lag_s {
            gauges.push(("feed_lag_seconds", "Age of the newest entry of the feed at the last walk.", whole(lag)));
        }
        gauges
    }
}

fn family(name: &str, help: &str, of: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("{PREFIX}{name}"));
    family.set_help(help.to_owned());
    family.set_field_type(of);
    family.set_metric(metrics);
    family
}

fn by_label(name: &str, help: &str, label: &str, values: &[(&str, i64)]) -> MetricFamily {
    let metrics = values.iter().map(|(value, n)| gauge(&[(label, value)], whole(*n))).collect();
    family(name, help, MetricType::GAUGE, metrics)
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_gauge(gauge);
    metric
}

fn counter(labels: &[(&str, &str)], n: i64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(whole(n));
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_counter(counter);
    metric
}

/// Prometheus knows only floating numbers; ours are far from where those lose units.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn whole(n: i64) -> f64 {
    n as f64
}

fn seconds(ms: i64) -> f64 {
    whole(ms) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_become_a_cumulative_histogram() {
        let tally = Tally::default();
        for ms in [-5, 90, 100, 2_000, 100_000_000] {
            tally.observe(Stage::Seen, TimeDelta::milliseconds(ms));
        }
        let counts = tally.take(DateTime::UNIX_EPOCH).into_iter().collect();
        let metrics = Metrics { counts, ..Metrics::default() };
        let text = metrics.encode().expect("metrics");
        for line in [
            "edgar_watch_lag_seconds_bucket{stage=\"seen\",le=\"0.1\"} 3",
            "edgar_watch_lag_seconds_bucket{stage=\"seen\",le=\"1\"} 3",
            "edgar_watch_lag_seconds_bucket{stage=\"seen\",le=\"2.5\"} 4",
            "edgar_watch_lag_seconds_bucket{stage=\"seen\",le=\"86400\"} 4",
            "edgar_watch_lag_seconds_bucket{stage=\"seen\",le=\"+Inf\"} 5",
            "edgar_watch_lag_seconds_sum{stage=\"seen\"} 100002.19",
            "edgar_watch_lag_seconds_count{stage=\"seen\"} 5",
            "edgar_watch_lag_seconds_count{stage=\"sent\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_could_not_be_written_is_counted_all_the_same() {
        let tally = Tally::default();
        tally.add(Count::Polls, "good", 2);
        let now = DateTime::UNIX_EPOCH;
        assert!(tally.is_due(now));
        let taken = tally.take(now);
        assert!(!tally.is_due(now) && tally.is_due(now + WRITTEN_EVERY) && tally.is_due(now - WRITTEN_EVERY));
        tally.add(Count::Polls, "good", 1);
        tally.put_back(taken);
        assert_eq!(tally.take(now), BTreeMap::from([("polls|good".to_owned(), 3)]));
        assert_eq!(tally.take(now), BTreeMap::new());
    }
}
