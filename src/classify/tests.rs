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
    let own = [Phrase::compile(source).expect("a phrase")];
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

fn stated(reading: &Reading) -> Vec<(DeadlineKind, String)> {
    let events = new_events(reading);
    let all = events.iter().flat_map(|e| &e.deadlines).filter(|d| d.source == DeadlineSource::Stated);
    all.map(|d| (d.what, d.date.to_string())).collect()
}

fn check_stated(text: &str, filed: &str, expected: &[(DeadlineKind, &str)]) {
    let expected: Vec<(DeadlineKind, String)> = expected.iter().map(|(w, d)| (*w, (*d).to_owned())).collect();
    assert_eq!(stated(&read(text, filed)), expected, "{text}");
}

#[test]
fn conditions_of_a_panel_are_told_by_the_words_after_their_day() {
    let text = "On March 8, 2011, Varlo was informed that a Nasdaq Hearings Panel had decided to continue its listing under Rule \
        5250(c)(1), on the following conditions: on or before April 1, 2011, the Company must provide the Panel with the \
        findings of its committee, and on or before April 15, 2011, it must file its Form 10-K for the year ended June 30, 2010.";
    check_stated(text, "2011-03-10", &[(DeadlineKind::Other, "2011-04-01"), (DeadlineKind::Compliance, "2011-04-15")]);
    let listed = "On March 8, 2011, Varlo was informed that a Nasdaq Hearings Panel had decided to continue its listing under Rule \
        5250(c)(1), on the condition that the Company:\n\n1. on or before April 15, 2011, file its Form 10-K; and\n\n\
        2. on or before May 13, 2011, file its Form 10-Q.";
    let both = [(DeadlineKind::Compliance, "2011-04-15"), (DeadlineKind::Compliance, "2011-05-13")];
    check_stated(listed, "2011-03-10", &both);
}

#[test]
fn days_that_others_set_are_no_deadlines_of_the_letter() {
    let letter = "On May 17, 2010, Varlo received a letter from the Nasdaq staff stating that it does not comply with Listing Rule \
        5250(c)(1) because its Form 10-Q for the quarter ended March 31, 2010 is late, and that a plan is due by July 16, 2010.";
    for other in [
        "The credit agreement allows no further loans if it has not been refinanced by July 30, 2010.",
        "The Company intends to file its Quarterly Report on Form 10-Q for the quarter ended March 31, 2010 on or before July 9, 2010.",
        "The hearing before the Nasdaq Hearings Panel on August 5, 2010 concerns another matter.",
    ] {
        check_stated(&format!("{letter} {other}"), "2010-05-19", &[(DeadlineKind::Plan, "2010-07-16")]);
    }
}

#[test]
fn a_letter_alone_after_a_semicolon_keeps_its_own_days() {
    let text = "Nasdaq notified Varlo on April 19, 2023 that it did not comply with Listing Rule 5250(c)(1), and on July 7, 2023 it \
        granted it until October 16, 2023 to file its Form 10-K, as announced at that time; a like notice dated August 17, 2023 has \
        now come for the Form 10-Q for the quarter ended June 30, 2023, with a request that the plan be updated by September 1, 2023.";
    check_stated(text, "2023-08-22", &[(DeadlineKind::Plan, "2023-09-01")]);
}

fn check_reports(text: &str, filed: &str, expected: &[(&str, &str)]) {
    let reading = read(text, filed);
    let told: Vec<(String, String)> = new_events(&reading)
        .iter()
        .flat_map(|e| &e.reports)
        .map(|r| (r.form.clone(), r.period_end.map(|d| d.to_string()).unwrap_or_default()))
        .collect();
    let expected: Vec<(String, String)> = expected.iter().map(|(f, p)| ((*f).to_owned(), (*p).to_owned())).collect();
    assert_eq!(told, expected, "{text}");
}

#[test]
fn a_letter_is_on_the_report_that_fell_due_before_it() {
    let last_of = "The Company's late reports are its Forms 10-Q for the quarters ended September 30, 2006, March 31, 2007 and June 30, \
        2007. The last of these is the subject of a letter dated August 13, 2007 from the Nasdaq staff, which cites Marketplace Rule \
        4310(c)(14).";
    check_reports(last_of, "2007-08-16", &[("10-Q", "2007-06-30")]);
    let by_number = "Varlo was unable to file its Form 10-Q for the third quarter by November 9, as it had been unable to file its Form \
        10-Q for the second quarter. A Staff Determination in regard to the former reached the Company from Nasdaq on November 13, \
        2006. It cites Marketplace Rule 4310(c)(14).";
    check_reports(by_number, "2006-11-16", &[("10-Q", "2006-09-30")]);
}

#[test]
fn a_plan_refused_ends_the_case_of_every_letter_before() {
    let text = "On July 9, 2010 the Nasdaq staff informed Varlo that it has decided not to accept the plan of compliance which the \
        Company submitted and has determined to delist its stock.\n\nThe Company had been notified on April 16, 2010 that it was not \
        in compliance with Listing Rule 5250(c)(1) since it had not filed its Form 10-K for the year ended December 31, 2009. On May \
        18, 2010 a like notice followed with respect to the Form 10-Q for the quarter ended March 31, 2010.";
    check_reports(text, "2010-07-14", &[("10-K", "2009-12-31"), ("10-Q", "2010-03-31")]);
}
