//! Whole texts in, events out. Companies are invented.

use super::*;

fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

fn read(text: &str, filed: &str) -> Reading {
    let context = DocumentContext {
        form: Some("8-K"),
        filed: date(filed),
        issuer: Some("Varlo Systems, Inc."),
        ..Default::default()
    };
    classify(text, &context)
}

fn new_events(reading: &Reading) -> Vec<&ListingEvent> {
    reading.events.iter().filter(|e| e.status == EventStatus::New).collect()
}

fn check(text: &str, filed: &str, expected: &[(EventKind, &str)]) {
    let reading = read(text, filed);
    let found: Vec<(EventKind, String)> = new_events(&reading)
        .iter()
        .map(|e| (e.kind, e.letter_date.map(|d| d.to_string()).unwrap_or_default()))
        .collect();
    let expected: Vec<(EventKind, String)> = expected.iter().map(|(k, d)| (*k, (*d).to_owned())).collect();
    assert_eq!(found, expected, "{text}\n{:#?}", reading.events);
}

const OPTION_REVIEW: &str = "VARLO SYSTEMS RECEIVES EXPECTED NASDAQ LETTER ABOUT ITS ANNUAL REPORT\n\n\
    SALEM, Ore., June 21 /PRNewswire/ -- Varlo Systems, Inc. (Nasdaq: VRLO) announced today that, as expected, it received a \
    Nasdaq Staff Determination letter on June 15, 2007, which states that the Company does not comply with Marketplace Rule \
    4310(c)(14). The letter concerns the late Form 10-K for the fiscal year ended March 31, 2007.\n\n\
    As previously announced, the Company received Staff Determination letters on November 14, 2006 and February 14, 2007 \
    about its Forms 10-Q for the quarters ended September 30, 2006 and December 31, 2006. On March 30, 2007, a Nasdaq Listing \
    Qualifications Panel granted the Company an exception until June 29, 2007. The delay of the Form 10-K is an additional \
    deficiency under Nasdaq's rules.\n\n\
    About Varlo\n\nVarlo makes pumps.\n\n-0- 06/21/2007";

#[test]
fn one_letter_is_new_and_the_older_ones_are_history() {
    let reading = read(OPTION_REVIEW, "2007-06-22");
    let new = new_events(&reading);
    assert_eq!(new.len(), 1, "{new:#?}");
    let event = new[0];
    assert_eq!(event.kind, EventKind::StaffDetermination);
    assert_eq!((event.received, event.dated, event.letter_date), (date("2007-06-15"), None, date("2007-06-15")));
    assert_eq!(event.rules, ["4310(c)(14)"]);
    assert_eq!(event.bases, [Basis::LateFiling]);
    assert_eq!(event.reports, [OverdueReport { form: "10-K".into(), period_end: date("2007-03-31") }]);
    assert!(event.additional && event.expected);
    let derived = Deadline {
        source: DeadlineSource::Derived,
        rule: Some("4805(a)".into()),
        anchor: date("2007-06-15"),
        ..Deadline::stated(DeadlineKind::HearingRequest, NaiveDate::from_ymd_opt(2007, 6, 22).unwrap_or_default())
    };
    assert_eq!(event.deadlines, [derived]);
    let told: Vec<Option<NaiveDate>> =
        reading.events.iter().filter(|e| e.status == EventStatus::History).map(|e| e.letter_date).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    for day in ["2006-11-14", "2007-02-14", "2007-03-30"] {
        assert!(told.contains(&date(day)), "{day} in {told:?}");
    }
    assert!(default_alert(&reading.events));
}

#[test]
fn evidence_is_a_slice_of_the_text_by_characters() {
    let text = OPTION_REVIEW.replace("Varlo Systems, Inc.", "Värlo Systèms, Inc.");
    for event in read(&text, "2007-06-22").events {
        assert!(!event.evidence.is_empty());
        for evidence in event.evidence {
            let slice: String = text.chars().skip(evidence.start).take(evidence.end - evidence.start).collect();
            assert_eq!(slice, evidence.text);
        }
    }
}

#[test]
fn names_in_json_are_those_of_the_interface() {
    let reading = read(OPTION_REVIEW, "2007-06-22");
    let value = serde_json::to_value(new_events(&reading)[0]).unwrap_or_default();
    assert_eq!(value["kind"], "staff_determination");
    assert_eq!(value["status"], "new");
    assert_eq!(value["exchange"], "nasdaq");
    assert_eq!(value["bases"][0], "late_filing");
    assert_eq!(value["deadlines"][0]["what"], "hearing_request");
    assert_eq!(value["deadlines"][0]["source"], "derived");
    assert_eq!(value["reports"][0]["period_end"], "2007-03-31");
}

#[test]
fn the_rule_of_2008_separates_determinations_from_notices() {
    let text = |day: &str, rule: &str| {
        format!(
            "On {day}, Varlo received a letter from Nasdaq stating that it does not comply with {rule} because its Form 10-Q for the quarter was not filed."
        )
    };
    check(
        &text("May 15, 2007", "Marketplace Rule 4310(c)(14)"),
        "2007-05-18",
        &[(EventKind::StaffDetermination, "2007-05-15")],
    );
    check(
        &text("May 18, 2012", "Listing Rule 5250(c)(1)"),
        "2012-05-22",
        &[(EventKind::DeficiencyNotice, "2012-05-18")],
    );
}

#[test]
fn a_notice_only_expected_is_anticipated() {
    check(
        "Varlo will be late with its Form 10-K and expects to receive a delinquency notice from Nasdaq under Listing Rule 5250(c)(1).",
        "2012-04-02",
        &[(EventKind::Anticipated, "")],
    );
    check("Varlo may receive a notice from Nasdaq if its Form 10-K is late.", "2012-04-02", &[]);
}

#[test]
fn the_title_of_item_3_01_is_no_evidence() {
    check(
        "Item 3.01 Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard; Transfer of Listing.\n\n\
         On May 2, 2012 the merger closed and Varlo asked Nasdaq to halt trading in its shares.",
        "2012-05-03",
        &[],
    );
}

#[test]
fn another_company_s_letter_is_no_event() {
    check(
        "SALEM, May 22, 2012 -- Varlo Systems, Inc. (Nasdaq: VRLO) said that its customer Dunnet Marine Corp. announced that it \
         received a letter from Nasdaq on May 18, 2012 stating that it does not comply with Listing Rule 5250(c)(1).",
        "2012-05-22",
        &[],
    );
}

#[test]
fn an_amendment_retells_its_report() {
    let text = "Varlo amends its Current Report on Form 8-K filed on May 22, 2012 to add an exhibit. On May 18, 2012 it received a \
                letter from Nasdaq stating that it does not comply with Listing Rule 5250(c)(1).";
    let context = DocumentContext { form: Some("8-K/A"), filed: date("2012-05-23"), ..Default::default() };
    let reading = classify(text, &context);
    assert!(new_events(&reading).is_empty(), "{:#?}", reading.events);
    assert_eq!(reading.events.len(), 1);
}

#[test]
fn letters_of_other_exchanges_never_alert() {
    let reading = read(
        "On May 18, 2012 Varlo was notified by the New York Stock Exchange that it does not comply with Section 802.01E of the \
         Listed Company Manual because its Form 10-Q is late.",
        "2012-05-22",
    );
    assert_eq!(new_events(&reading)[0].exchange, Exchange::Nyse);
    assert!(!default_alert(&reading.events));
}

#[test]
fn events_of_a_filing_s_documents_become_one() {
    let cover =
        read("On June 15, 2007 Varlo received a Staff Determination from Nasdaq. See Exhibit 99.1.", "2007-06-22");
    let release = read(OPTION_REVIEW, "2007-06-22");
    let merged = merge_documents(&[cover.events, release.events]);
    let new: Vec<&ListingEvent> = merged.iter().filter(|e| e.status == EventStatus::New).collect();
    assert_eq!(new.len(), 1, "{new:#?}");
    assert_eq!(new[0].rules, ["4310(c)(14)"]);
    assert!(new[0].evidence.len() >= 2);
}

#[test]
fn a_text_without_exchange_is_left_at_once() {
    assert!(!mentions_exchange("Varlo makes pumps and has 400 employees."));
    assert!(mentions_exchange("a Nasdaq letter") && mentions_exchange("notice of delisting"));
    assert_eq!(classify("", &DocumentContext::default()), Reading::default());
}

#[test]
fn a_phrase_of_the_users_own_is_read_beside_ours() {
    let text = "On May 18, 2012 Nasdaq pinged Varlo under Listing Rule 5550(a)(2).";
    let source = PatternSource {
        name: "house.ping".to_owned(),
        signal: Signal::Notice,
        regex: r"\bpinged\b".to_owned(),
        modal: false,
        matches: vec!["Nasdaq pinged us".to_owned()],
        near_misses: vec!["Nasdaq is open".to_owned()],
    };
    let own = [Phrase::compile(source, &std::collections::BTreeMap::new()).expect("a phrase")];
    let context = DocumentContext { filed: date("2012-05-22"), ..Default::default() };
    assert!(new_events(&classify(text, &context)).is_empty());
    let reading = classify(text, &DocumentContext { patterns: &own, ..context });
    let new = new_events(&reading);
    assert_eq!(new.len(), 1, "{new:#?}");
    assert_eq!((new[0].kind, &new[0].evidence[0].pattern[..]), (EventKind::DeficiencyNotice, "house.ping"));
}

#[test]
fn around_a_letter_causes_steps_and_hearings_are_told() {
    let reading = read(
        "On May 18, 2012 Varlo received a letter from the Nasdaq staff stating that it has determined to delist its stock, since \
         Varlo does not comply with Listing Rule 5250(c)(1). The report is late because the Audit Committee's investigation has \
         led to a restatement. Varlo has requested a hearing, which is scheduled for June 28, 2012, and expects to file the Form \
         10-K before then.",
        "2012-05-22",
    );
    let event = new_events(&reading)[0];
    assert_eq!(event.causes, [Cause::Restatement, Cause::Investigation]);
    assert_eq!(event.next_steps, [NextStep::RequestHearing, NextStep::FileReports]);
    assert_eq!(event.hearing, Some(Hearing { status: HearingStatus::Scheduled, date: date("2012-06-28") }));
    let sum: f64 = event.signals.iter().map(|signal| signal.weight).sum();
    assert!((1.0 / (1.0 + (-sum).exp()) - event.confidence).abs() < 0.01, "{sum} {}", event.confidence);
}
