//! What counts as right, on readings made by hand.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde_json::json;

use super::*;
use crate::classify::{
    Basis, Deadline, DeadlineKind, DeadlineSource, EventKind, Evidence, Exchange, OverdueReport, Passed,
};

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, day).expect("a day of March")
}

fn labelled(label: serde_json::Value) -> LabelledRecord {
    let record = json!({"id": "a", "text": ""});
    LabelledRecord {
        line: 7,
        record: serde_json::from_value(record).expect("a record"),
        label: serde_json::from_value(label).expect("a label"),
    }
}

/// A new staff determination for a late 10-K.
fn found(letter_date: Option<NaiveDate>, rule: &str) -> ListingEvent {
    ListingEvent {
        bases: vec![Basis::LateFiling],
        letter_date,
        rules: vec![rule.to_owned()],
        evidence: vec![Evidence {
            start: 0,
            end: 1,
            text: format!("A sentence of {rule}."),
            pattern: "made.by.hand".to_owned(),
            document: None,
        }],
        reason: "told first".to_owned(),
        ..ListingEvent::bare(EventKind::StaffDetermination, EventStatus::New, Exchange::Nasdaq)
    }
}

fn history(letter_date: NaiveDate) -> ListingEvent {
    ListingEvent { status: EventStatus::History, ..found(Some(letter_date), "5250(c)(1)") }
}

fn wanted(letter_date: Option<NaiveDate>, rule: &str) -> serde_json::Value {
    json!({"kind": "staff_determination", "exchange": "nasdaq", "bases": ["late_filing"], "letter_date": letter_date,
        "rules": [rule], "reports": [], "deadlines": []})
}

fn evaluate(label: serde_json::Value, events: Vec<ListingEvent>, passed: Vec<Passed>) -> Evaluation {
    let mut evaluation = Evaluation::default();
    evaluation.add(&labelled(label), Some(&Reading { events, passed }));
    evaluation
}

fn counts(hit: usize, false_: usize, missed: usize) -> Counts {
    Counts { hit, false_, missed }
}

fn kinds(evaluation: &Evaluation) -> Vec<MistakeKind> {
    evaluation.mistakes.iter().map(|mistake| mistake.what).collect()
}

#[test]
fn events_are_paired_one_to_one_by_date_then_rule() {
    #[track_caller]
    fn check(wanted_events: &[(Option<u32>, &str)], found_events: &[(Option<u32>, &str)], expected: &[(usize, usize)]) {
        let wanted: Vec<LabelledEvent> = wanted_events
            .iter()
            .map(|(date, rule)| serde_json::from_value(wanted(date.map(day), rule)).expect("an event"))
            .collect();
        let found: Vec<ListingEvent> = found_events.iter().map(|(date, rule)| found(date.map(day), rule)).collect();
        assert_eq!(matching::match_events(&wanted, &found.iter().collect::<Vec<_>>()), expected);
    }
    check(&[(Some(2), "a")], &[(Some(3), "b")], &[(0, 0)]);
    check(&[(Some(2), "a")], &[(Some(3), "a"), (Some(2), "b")], &[(0, 1)]);
    check(&[(Some(2), "a")], &[(None, "b"), (Some(3), "a")], &[(0, 1)]);
    // The first wanted event does not take what answers the second better.
    check(&[(Some(2), "a"), (Some(3), "b")], &[(Some(3), "a")], &[(1, 0)]);
    check(&[(None, "a"), (None, "b")], &[(None, "b"), (None, "a")], &[(0, 1), (1, 0)]);
    check(&[(None, "a")], &[(None, "a"), (None, "a")], &[(0, 0)]);
}

#[test]
fn another_exchange_or_kind_is_no_match() {
    let mut nyse = found(Some(day(2)), "802.01e");
    nyse.exchange = Exchange::Nyse;
    let evaluation =
        evaluate(json!({"alert": true, "events": [wanted(Some(day(2)), "5250(c)(1)")]}), vec![nyse], vec![]);
    assert_eq!(evaluation.scores.kinds[&EventKind::StaffDetermination], counts(0, 1, 1));
    assert_eq!(evaluation.scores.bases[&Basis::LateFiling], counts(0, 1, 1));
    assert_eq!(evaluation.scores.alerts, counts(0, 0, 1));
    assert_eq!(evaluation.scores.fields, Fields::default(), "fields are of matched events");
    assert_eq!(kinds(&evaluation), [MistakeKind::MissedAlert, MistakeKind::MissedEvent, MistakeKind::SpuriousEvent]);
    let missed = &evaluation.mistakes[1];
    assert_eq!(missed.wanted, "staff_determination nasdaq (2026-03-02; late_filing; 5250(c)(1))");
    let reason = "read as new staff_determination nyse (2026-03-02; late_filing; 802.01e): told first";
    assert_eq!(
        (missed.reason.as_deref(), missed.sentences.as_slice()),
        (Some(reason), &["A sentence of 802.01e.".to_owned()][..])
    );
}

#[test]
fn fields_are_compared_as_sets_and_only_where_the_label_has_them() {
    let mut event = found(Some(day(2)), "5250(c)(1)");
    event.rules.push("5605(c)(2)(a)".to_owned());
    event.received = Some(day(2));
    event.reports = vec![OverdueReport { form: "10-K".to_owned(), period_end: Some(day(1)) }];
    event.deadlines = vec![
        Deadline::stated(DeadlineKind::Plan, day(20)),
        Deadline::stated(DeadlineKind::Compliance, day(21)),
        Deadline { source: DeadlineSource::Derived, ..Deadline::stated(DeadlineKind::HearingRequest, day(9)) },
    ];
    let label = json!({"alert": true, "events": [{
        "kind": "staff_determination", "exchange": "nasdaq", "bases": ["late_filing", "equity"],
        "letter_date": "2026-03-02", "received": null, "rules": ["5605(c)(2)(a)", "5250(c)(1)"],
        "reports": [{"form": "10-K", "period_end": "2026-03-01"}],
        "deadlines": [{"what": "plan", "date": "2026-03-20"}, {"what": "suspension", "date": "2026-03-25"}]}]});
    let evaluation = evaluate(label, vec![event], vec![]);
    let fields = evaluation.scores.fields;
    let right = Share { right: 1, of: 1 };
    let wrong = Share { right: 0, of: 1 };
    assert_eq!(fields.letter_date, Field { all: right, alerts: right });
    assert_eq!(fields.rules, Field { all: right, alerts: right });
    assert_eq!(fields.reports, Field { all: right, alerts: right });
    assert_eq!(fields.bases, Field { all: wrong, alerts: wrong });
    assert_eq!(fields.received, Field { all: wrong, alerts: Share::default() }, "the label has no such day");
    assert_eq!(fields.dated, Field::default(), "the label does not say");
    assert_eq!(fields.deadlines.dates, counts(1, 1, 1), "derived ones do not count");
    assert_eq!(fields.deadlines.events, Field { all: wrong, alerts: wrong });
    assert_eq!(evaluation.scores.bases[&Basis::Equity], counts(0, 0, 1));
    assert_eq!(evaluation.scores.bases[&Basis::LateFiling], counts(1, 0, 0));
    let wrong_fields: Vec<_> = evaluation.mistakes.iter().map(|m| (m.field, m.found.as_str())).collect();
    let expected = [
        (Some("received"), "2026-03-02"),
        (Some("bases"), "late_filing"),
        (Some("deadlines"), "plan 2026-03-20, compliance 2026-03-21"),
    ];
    assert_eq!(wrong_fields, expected);
    assert_eq!(evaluation.mistakes[0].sentences, ["A sentence of 5250(c)(1)."]);
}

#[test]
fn a_missed_event_names_what_its_date_was_taken_for() {
    #[track_caller]
    fn check(events: Vec<ListingEvent>, passed: &[&str], reason: &str, n_sentences: usize) {
        let passed = passed.iter().map(|text| Passed {
            start: 0,
            end: 1,
            text: (*text).to_owned(),
            reason: "a forecast".to_owned(),
        });
        let label = json!({"alert": true, "events": [wanted(Some(day(2)), "5250(c)(1)")]});
        let evaluation = evaluate(label, events, passed.collect());
        assert_eq!(kinds(&evaluation), [MistakeKind::MissedAlert, MistakeKind::MissedEvent]);
        for mistake in &evaluation.mistakes {
            assert_eq!((mistake.reason.as_deref(), mistake.sentences.len()), (Some(reason), n_sentences));
        }
    }
    let retold = "read as history staff_determination nasdaq (2026-03-02; late_filing; 5250(c)(1)): told first";
    check(vec![history(day(3)), history(day(2))], &[], retold, 1);
    check(vec![], &["On March 21, 2026", "On March 2, 2026"], "passed over: a forecast", 1);
    check(vec![], &["On March 21, 2026"], "none of the sentences passed over (1) names its date", 0);
    check(vec![], &[], "no sentence was weighed", 0);
}

#[test]
fn a_false_alert_names_its_sentence_unless_it_must_not_be_seen() {
    let evaluation = evaluate(json!({"alert": false, "events": []}), vec![found(None, "5250(c)(1)")], vec![]);
    assert_eq!(evaluation.scores.alerts, counts(0, 1, 0));
    assert_eq!(kinds(&evaluation), [MistakeKind::FalseAlert, MistakeKind::SpuriousEvent]);
    let mistake = evaluation.mistakes[0].clone();
    assert_eq!(
        mistake.to_string(),
        "  a (line 7): false alert: wanted no alert; found staff_determination nasdaq (late_filing; 5250(c)(1))\n      \
         because: told first\n      > A sentence of 5250(c)(1).\n"
    );
    let blind = mistake.without_sentences().to_string();
    assert!(!blind.contains("sentence of") && !blind.contains("told first"), "{blind}");
}

#[test]
fn retold_dates_are_counted_one_by_one() {
    let label = json!({"alert": false, "events": [], "history_dates": ["2026-03-02", "2026-03-03"]});
    let evaluation = evaluate(label, vec![history(day(3)), history(day(4))], vec![]);
    assert_eq!(evaluation.scores.history_dates, counts(1, 1, 1));
    let found: Vec<_> = evaluation.mistakes.iter().map(|m| (m.wanted.as_str(), m.found.as_str())).collect();
    assert_eq!(found, [("2026-03-02", "none"), ("none", "2026-03-04")]);
    let unsaid = evaluate(json!({"alert": false, "events": []}), vec![history(day(3))], vec![]);
    assert_eq!(unsaid, Evaluation { scores: Scores { n_records: 1, ..Scores::default() }, mistakes: vec![] });
}

#[test]
fn a_reading_that_broke_off_found_nothing_and_is_named() {
    let mut evaluation = Evaluation::default();
    evaluation.add(&labelled(json!({"alert": true, "events": [wanted(None, "5250(c)(1)")]})), None);
    assert_eq!((evaluation.scores.n_unread, evaluation.scores.alerts), (1, counts(0, 0, 1)));
    assert_eq!(kinds(&evaluation), [MistakeKind::Unread, MistakeKind::MissedAlert, MistakeKind::MissedEvent]);
}

#[test]
fn scores_of_two_files_add_up() {
    let label = || json!({"alert": true, "events": [wanted(Some(day(2)), "5250(c)(1)")], "history_dates": []});
    let right = evaluate(label(), vec![found(Some(day(2)), "5250(c)(1)")], vec![]);
    let wrong = evaluate(label(), vec![history(day(2))], vec![]);
    let mut sum = right.scores.clone();
    sum += &wrong.scores;
    let mut both = Evaluation::default();
    for events in [vec![found(Some(day(2)), "5250(c)(1)")], vec![history(day(2))]] {
        both.add(&labelled(label()), Some(&Reading { events, passed: vec![] }));
    }
    assert_eq!(sum, both.scores);
    assert_eq!(sum.kinds.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from([EventKind::StaffDetermination]));
    assert_eq!(sum.alerts, counts(1, 0, 1));
}
