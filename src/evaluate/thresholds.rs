//! What the scores must reach.

use std::str::FromStr;

use clap::Args;

use super::measures::{Counts, Estimate, Share};
use super::scores::Scores;
use crate::classify::EventKind;

/// What the scores must reach, as far as it was asked for. Shares are as measured, not the ends of their intervals. A
/// share of nothing reaches no threshold: what was not tried is not held.
#[derive(Debug, Clone, Default, PartialEq, Args)]
#[command(next_help_heading = "Thresholds, over all files: exit code 1 where one is not reached")]
pub struct Thresholds {
    /// Default alerts that may be missed
    #[arg(long, value_name = "N")]
    pub max_missed_alerts: Option<usize>,

    /// Default alerts that may be false
    #[arg(long, value_name = "N")]
    pub max_false_alerts: Option<usize>,

    /// Precision of the default alert
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub min_alert_precision: Option<f64>,

    /// Recall of the default alert
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub min_alert_recall: Option<f64>,

    /// F1 of a kind, as staff_determination=0.95; may be given for several
    #[arg(long, value_name = "KIND=SHARE")]
    pub min_f1: Vec<KindF1>,

    /// Errors (missed and spurious events) that each kind with fewer than 20 labelled cases may have
    #[arg(long, value_name = "N")]
    pub max_kind_errors: Option<usize>,

    /// Right letter dates, of the alerts whose label has one
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub min_letter_date: Option<f64>,

    /// Right sets of rules, of the alerts whose label has some
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub min_rules: Option<f64>,

    /// Right sets of reports, of the alerts whose label has some
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub min_reports: Option<f64>,

    /// F1 of stated deadlines, of all matched events
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub min_deadlines: Option<f64>,

    /// Right sets of bases, of the alerts whose label has some
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub min_bases: Option<f64>,
}

impl Thresholds {
    /// The thresholds that are not reached, a line each.
    pub fn failures(&self, scores: &Scores) -> Vec<String> {
        let Scores { alerts, fields, .. } = scores;
        let mut failures = Vec::new();
        let mut at_most = |what: &str, count: usize, limit: Option<usize>| {
            if let Some(limit) = limit.filter(|limit| count > *limit) {
                failures.push(format!("{what}: {count}, at most {limit} wanted"));
            }
        };
        at_most("missed alerts", alerts.missed, self.max_missed_alerts);
        at_most("false alerts", alerts.false_, self.max_false_alerts);
        for (kind, counts) in scores.kinds.iter().filter(|(_, counts)| counts.n() < FEW_CASES) {
            at_most(&format!("errors of {kind}"), counts.missed + counts.false_, self.max_kind_errors);
        }
        let mut at_least = |what: &str, share: Option<Estimate>, floor: Option<f64>| {
            let Some(floor) = floor else { return };
            match share {
                Some(share) if share.value >= floor => {}
                Some(share) => failures.push(format!("{what}: {:.4}, at least {floor} wanted", share.value)),
                None => failures.push(format!("{what}: no case to measure, at least {floor} wanted")),
            }
        };
        at_least("alert precision", alerts.precision(), self.min_alert_precision);
        at_least("alert recall", alerts.recall(), self.min_alert_recall);
        for KindF1 { kind, floor } in &self.min_f1 {
            let counts = scores.kinds.get(kind).copied().unwrap_or_default();
            at_least(&format!("F1 of {kind}"), Counts::f1(counts), Some(*floor));
        }
        at_least("letter dates of alerts", Share::estimate(fields.letter_date.alerts), self.min_letter_date);
        at_least("rules of alerts", Share::estimate(fields.rules.alerts), self.min_rules);
        at_least("reports of alerts", Share::estimate(fields.reports.alerts), self.min_reports);
        at_least("F1 of stated deadlines", Counts::f1(fields.deadlines.dates), self.min_deadlines);
        at_least("bases of alerts", Share::estimate(fields.bases.alerts), self.min_bases);
        failures
    }
}

/// The F1 that a kind must reach, `staff_determination=0.95`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KindF1 {
    /// The kind.
    pub kind: EventKind,
    /// What it must reach.
    pub floor: f64,
}

impl FromStr for KindF1 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, floor) = text.split_once('=').ok_or_else(|| format!("expected KIND=SHARE, found \"{text}\""))?;
        let kind = EventKind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
            let words = EventKind::ALL.map(EventKind::as_str).join(", ");
            format!("expected one of {words}, found \"{word}\"")
        })?;
        Ok(Self { kind, floor: parse_share(floor)? })
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("expected a number from 0 to 1, found \"{text}\""))
}

/// Of fewer cases than this, F1 says little, and errors are counted instead.
const FEW_CASES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> Scores {
        let mut scores = Scores { alerts: Counts { hit: 19, false_: 1, missed: 2 }, ..Scores::default() };
        scores.kinds.insert(EventKind::StaffDetermination, Counts { hit: 19, false_: 1, missed: 1 });
        scores.kinds.insert(EventKind::Delisting, Counts { hit: 3, false_: 1, missed: 1 });
        scores.fields.letter_date.alerts = Share { right: 97, of: 100 };
        scores
    }

    #[test]
    fn what_is_reached_exactly_is_reached() {
        let thresholds = Thresholds {
            max_missed_alerts: Some(2),
            max_false_alerts: Some(1),
            min_alert_precision: Some(0.95),
            min_f1: vec!["staff_determination=0.95".parse().expect("a floor")],
            max_kind_errors: Some(2),
            min_letter_date: Some(0.97),
            ..Thresholds::default()
        };
        assert_eq!(thresholds.failures(&scores()), Vec::<String>::new());
        assert_eq!(Thresholds::default().failures(&Scores::default()), Vec::<String>::new());
    }

    #[test]
    fn each_that_is_not_reached_is_named() {
        let thresholds = Thresholds {
            max_missed_alerts: Some(1),
            min_alert_recall: Some(0.95),
            min_f1: vec!["council_review=0.5".parse().expect("a floor")],
            // The 20 staff determinations have as many errors and are not meant.
            max_kind_errors: Some(1),
            min_rules: Some(0.0),
            ..Thresholds::default()
        };
        assert_eq!(
            thresholds.failures(&scores()),
            [
                "missed alerts: 2, at most 1 wanted",
                "errors of delisting: 2, at most 1 wanted",
                "alert recall: 0.9048, at least 0.95 wanted",
                "F1 of council_review: no case to measure, at least 0.5 wanted",
                "rules of alerts: no case to measure, at least 0 wanted",
            ]
        );
    }

    #[test]
    fn floors_are_shares_of_known_kinds() {
        assert!("letter=0.5".parse::<KindF1>().is_err_and(|error| error.ends_with("found \"letter\"")));
        assert!("delisting".parse::<KindF1>().is_err_and(|error| error.contains("KIND=SHARE")));
        for text in ["delisting=1.5", "delisting=-0.1", "delisting=NaN", "delisting="] {
            assert!(text.parse::<KindF1>().is_err_and(|error| error.contains("from 0 to 1")), "{text}");
        }
    }
}
