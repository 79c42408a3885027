//! Labelled notices: how well they are read, kept above the floors reached so far. A third of `written` was held out while
//! the classifier was made, and is scored apart; before it was opened, 2 of its 18 alerts were missed and 2 others raised.

use std::sync::Arc;

use edgar_watch::corpus::parse_labelled;
use edgar_watch::evaluate::{Evaluation, MistakeKind, Scores, Share};

use crate::support::shared;

/// What a set of notices must not fall below, a little under what the program has reached.
struct Floors {
    missed_alerts: usize,
    false_alerts: usize,
    /// Right letter dates, of all events found.
    letter_date: f64,
    /// Right rules, of all events found.
    rules: f64,
}

impl Floors {
    #[track_caller]
    fn hold(&self, scores: &Scores) {
        assert!(scores.alerts.missed <= self.missed_alerts, "missed {:?}", scores.alerts);
        assert!(scores.alerts.false_ <= self.false_alerts, "false {:?}", scores.alerts);
        let share = |share: Share| share.estimate().map_or(1.0, |estimate| estimate.value);
        let fields = &scores.fields;
        assert!(share(fields.letter_date.all) >= self.letter_date, "letter dates {:?}", fields.letter_date);
        assert!(share(fields.rules.all) >= self.rules, "rules {:?}", fields.rules);
    }
}

/// Scores the lines whose index, from 0, is to be kept; prints the table and which alerts are wrong, but no sentence:
/// some of these notices are held out.
fn score(name: &str, lines: &[u8], keep: impl Fn(usize) -> bool) -> Scores {
    let mut evaluation = Evaluation::default();
    for labelled in parse_labelled(name, lines) {
        let labelled = labelled.unwrap_or_else(|error| panic!("{error}"));
        if keep(labelled.line - 1) {
            evaluation.add(&labelled, Some(&labelled.record.read(&Arc::default()).reading));
        }
    }
    println!("== {name}: {} records\n{}", evaluation.scores.n_records, evaluation.scores);
    let alerts = [MistakeKind::MissedAlert, MistakeKind::FalseAlert];
    for mistake in evaluation.mistakes.into_iter().filter(|mistake| alerts.contains(&mistake.what)) {
        print!("{}", mistake.without_sentences());
    }
    evaluation.scores
}

/// The scores of a shared file; `None` where it is not there.
fn score_file(name: &str, keep: impl Fn(usize) -> bool) -> Option<Scores> {
    let bytes = std::fs::read(shared(&format!("corpus/{name}.jsonl"))?).expect("a file");
    Some(score(name, &bytes, keep))
}

#[test]
fn written_notices_seen_in_development() {
    if let Some(scores) = score_file("written", |index| index % 3 != 2) {
        Floors { missed_alerts: 0, false_alerts: 0, letter_date: 0.97, rules: 0.94 }.hold(&scores);
    }
}

#[test]
fn written_notices_held_out() {
    if let Some(scores) = score_file("written", |index| index % 3 == 2) {
        Floors { missed_alerts: 0, false_alerts: 0, letter_date: 0.94, rules: 0.90 }.hold(&scores);
    }
}

#[test]
fn real_documents() {
    if let Some(scores) = score_file("real", |_| true) {
        Floors { missed_alerts: 0, false_alerts: 0, letter_date: 0.75, rules: 0.75 }.hold(&scores);
    }
}

#[test]
fn retold_notices() {
    if let Some(scores) = score_file("retold", |_| true) {
        Floors { missed_alerts: 2, false_alerts: 2, letter_date: 0.85, rules: 0.75 }.hold(&scores);
    }
}

/// Our own notices, labelled before the program first read them. On the first run 2 + 2 of 36 alerts went wrong. One label has
/// changed since: an amendment that corrects what it told is news, which linking tells only to those it concerns.
#[test]
fn own_notices() {
    let scores = score("own", include_bytes!("../fixtures/notices.jsonl"), |_| true);
    Floors { missed_alerts: 0, false_alerts: 0, letter_date: 0.95, rules: 0.95 }.hold(&scores);
}

/// Notices of our own written to mislead, in words that no list of phrases foresees, labelled before the program first
/// read them. On that first run 38 of their 78 alerts were missed and 22 others raised; the classifier was widened after.
#[test]
fn hard_notices() {
    let scores = score("hard", include_bytes!("../fixtures/hard_notices.jsonl"), |_| true);
    Floors { missed_alerts: 13, false_alerts: 10, letter_date: 0.90, rules: 0.90 }.hold(&scores);
}

/// Notices of our own in the words that issuers and their counsel use, labelled before the program first read them. On
/// that first run none of their 39 alerts was missed and one other raised.
#[test]
fn natural_notices() {
    let scores = score("natural", include_bytes!("../fixtures/natural_notices.jsonl"), |_| true);
    Floors { missed_alerts: 0, false_alerts: 0, letter_date: 0.95, rules: 0.95 }.hold(&scores);
}

/// Notices of our own written to test which reports a letter is about and which days are its deadlines, labelled before the
/// program first read them. On that first run 2 of their 36 alerts were missed and 2 others raised; the reports were right in
/// 22 of 32 alerts.
#[test]
fn field_notices() {
    let scores = score("field", include_bytes!("../fixtures/field_notices.jsonl"), |_| true);
    Floors { missed_alerts: 0, false_alerts: 0, letter_date: 0.95, rules: 0.95 }.hold(&scores);
}

/// Notices of our own of the make of the shared corpus, written last and labelled before the program first read them. On
/// that first run 1 of their 21 alerts was missed and 1 other raised.
#[test]
fn fresh_notices() {
    let scores = score("fresh", include_bytes!("../fixtures/fresh_notices.jsonl"), |_| true);
    Floors { missed_alerts: 0, false_alerts: 0, letter_date: 0.95, rules: 0.95 }.hold(&scores);
}
