//! How sure a reading is: what speaks for and against it, added up in log-odds, and the reading that came second.
//!
//! The weights are rounded from a logistic regression over the new events read in the labelled notices, where right is
//! an event that the label has too; `evaluate` prints how often readings of each confidence are right.

use super::{EventKind, EventStatus, RunnerUp, WeighedSignal};

/// What was seen around the words that show an event.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Business days from the letter to the report, where both are known.
    pub age: Option<u32>,
    /// The text gives the letter a day.
    pub is_dated: bool,
    /// A rule stands with the letter.
    pub is_cited: bool,
    /// Words say that somebody got something in writing.
    pub is_written: bool,
    /// Words say that it is announced now.
    pub is_news: bool,
    /// The headline tells it too.
    pub in_headline: bool,
    /// No phrase tells it, only a passage as a whole.
    pub by_passage: bool,
    /// Words of history beside it.
    pub history: Option<String>,
    /// No exchange is named where the act is told; it is taken from before.
    pub exchange_assumed: bool,
    /// Only what stands around the letter, or the rules of its day, make it a determination.
    pub kind_inferred: bool,
    /// The sentence speaks of a panel or council too.
    pub near_panel: bool,
    /// The company says or does it itself; no letter is needed.
    pub by_company: bool,
}

/// What speaks for and against an event with these marks being the document's own news of this kind.
pub fn weigh_news(seen: &Observed) -> Vec<WeighedSignal> {
    let mut signals = Vec::new();
    let mut add = |signal: &str, weight: f64| signals.push(WeighedSignal { signal: signal.to_owned(), weight });
    if seen.by_company {
        add("the company says so itself", 1.9);
    } else {
        add("an act of an exchange is told", 0.9);
        match (seen.is_dated, seen.age) {
            (true, Some(0..=5)) => add("the letter is at most five business days old", 0.5),
            (true, Some(_)) => add("the letter is older than five business days", -0.5),
            (true, None) => add("the letter bears a day, the report none", -0.8),
            (false, _) => add("no day is told", -0.2),
        }
        if seen.is_cited {
            add("a listing rule is cited with it", 0.1);
        } else {
            add("no listing rule is cited with it", -0.6);
        }
        if seen.is_written {
            add("it came in writing", 0.5);
        }
        if seen.by_passage {
            add("no phrase tells it, only the passage as a whole", -0.7);
        }
    }
    if seen.is_news {
        add("it is announced now", 0.5);
    }
    if seen.in_headline {
        add("the headline tells it", 1.2);
    }
    if let Some(words) = &seen.history {
        add(&format!("words of history beside it: \"{words}\""), -0.6);
    }
    if seen.exchange_assumed {
        add("the sentence names no exchange", -0.5);
    }
    if seen.kind_inferred {
        add("the kind follows from what stands around the letter", -0.5);
    }
    signals
}

/// What speaks for and against an event with these marks being retold.
pub fn weigh_history(seen: &Observed) -> Vec<WeighedSignal> {
    let mut signals = Vec::new();
    let mut add = |signal: &str, weight: f64| signals.push(WeighedSignal { signal: signal.to_owned(), weight });
    match seen.age {
        Some(0..=5) => add("the letter is at most five business days old", -0.5),
        Some(6..=12) => add("the letter is six to twelve business days old", 0.6),
        Some(_) => add("the letter is older than twelve business days", 2.4),
        None => add("no day is told", 0.3),
    }
    if let Some(words) = &seen.history {
        add(&format!("words of history beside it: \"{words}\""), 1.5);
    }
    if seen.is_news {
        add("it is announced now", -0.4);
    }
    signals
}

/// No reading is surer.
pub const HIGHEST_CONFIDENCE: f64 = 0.98;

/// The sum of `signals` as a probability, in hundredths, never quite sure.
pub fn confidence(signals: &[WeighedSignal]) -> f64 {
    let sum: f64 = signals.iter().map(|s| s.weight).sum();
    let probability = 1.0 / (1.0 + (-sum).exp());
    (probability.clamp(1.0 - HIGHEST_CONFIDENCE, HIGHEST_CONFIDENCE) * 100.0).round() / 100.0
}

/// The reading that came second, if anything speaks for one.
pub fn runner_up(kind: EventKind, status: EventStatus, seen: &Observed, confidence: f64) -> Option<RunnerUp> {
    let second = |kind: EventKind, status: EventStatus, reason: String| {
        let confidence = ((1.0 - confidence) * 100.0).round() / 100.0;
        Some(RunnerUp { kind, status, confidence, reason })
    };
    if status == EventStatus::History {
        let age = seen.age.filter(|age| *age <= 12)?;
        return second(kind, EventStatus::New, format!("the letter is only {age} business days old"));
    }
    if let Some(words) = &seen.history {
        return second(kind, EventStatus::History, format!("words of history stand beside it: \"{words}\""));
    }
    if kind == EventKind::StaffDetermination && seen.kind_inferred {
        let reason = "the letter itself says nothing of delisting".to_owned();
        return second(EventKind::DeficiencyNotice, EventStatus::New, reason);
    }
    if kind == EventKind::StaffDetermination && seen.near_panel {
        let reason = "a panel or council is named beside it".to_owned();
        return second(EventKind::PanelDecision, EventStatus::New, reason);
    }
    match seen.age {
        Some(age @ 6..) => second(kind, EventStatus::History, format!("the letter is {age} business days old")),
        _ if !seen.is_dated && !seen.by_company => second(kind, EventStatus::History, "no day is told".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear() -> Observed {
        Observed {
            age: Some(2),
            is_dated: true,
            is_cited: true,
            is_written: true,
            is_news: true,
            ..Observed::default()
        }
    }

    #[test]
    fn a_plain_case_is_surer_than_a_doubtful_one() {
        let doubtful = Observed { age: Some(9), history: Some("previously".into()), ..clear() };
        let (sure, unsure) = (confidence(&weigh_news(&clear())), confidence(&weigh_news(&doubtful)));
        assert!(sure > 0.9 && unsure < 0.9 && sure > unsure, "{sure} {unsure}");
        assert!(confidence(&weigh_history(&doubtful)) > confidence(&weigh_history(&clear())));
    }

    #[test]
    fn what_speaks_against_a_reading_names_the_one_that_came_second() {
        use EventKind::*;
        use EventStatus::*;
        let check = |kind, status, seen: Observed, expected: Option<(EventKind, EventStatus)>| {
            let found = runner_up(kind, status, &seen, 0.9).map(|second| (second.kind, second.status));
            assert_eq!(found, expected, "{seen:?}");
        };
        check(StaffDetermination, New, clear(), None);
        let told = Observed { history: Some("earlier".into()), ..clear() };
        check(DeficiencyNotice, New, told, Some((DeficiencyNotice, History)));
        let inferred = Observed { kind_inferred: true, ..clear() };
        check(StaffDetermination, New, inferred, Some((DeficiencyNotice, New)));
        check(StaffDetermination, History, clear(), Some((StaffDetermination, New)));
        check(StaffDetermination, History, Observed { age: Some(40), ..clear() }, None);
    }
}
