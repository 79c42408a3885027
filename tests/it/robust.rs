//! No text makes the reading panic, and long ones end: quadratic work on these sizes would take hours.

use edgar_watch::classify::{DocumentContext, classify, default_alert, merge_documents};
use edgar_watch::text::to_text;
use proptest::prelude::*;

fn context() -> DocumentContext<'static> {
    DocumentContext {
        form: Some("8-K"),
        document_type: None,
        filed: "2007-03-08".parse().ok(),
        issuer: Some("Varlo, Inc."),
        ..DocumentContext::default()
    }
}

fn check_ends(text: &str) {
    let reading = classify(text, &context());
    assert!(reading.events.len() < 100_000);
}

#[test]
fn one_line_of_ten_megabytes_ends() {
    let words = "On March 2, 2007 Nasdaq notified the Company that it does not comply with Rule 4310(c)(14) ";
    check_ends(&words.repeat(10_000_000 / words.len()));
}

#[test]
fn a_million_dates_end() {
    let dates = "Nasdaq letter of May 3, 2006, ";
    check_ends(&dates.repeat(1_000_000 / dates.len()));
    check_ends(&format!("Nasdaq {}", "May 3, ".repeat(1_000_000)));
}

#[test]
fn a_hundred_thousand_nested_tags_end() {
    let notice = "On March 2, 2007 Nasdaq notified us that we do not comply with Rule 4310(c)(14).";
    for tag in ["div", "table", "b", "ul"] {
        let nested = format!("{}{notice}{}", format!("<{tag}>").repeat(100_000), format!("</{tag}>").repeat(100_000));
        let reading = classify(&to_text(nested.as_bytes()), &context());
        assert_eq!(reading.events.len(), 1, "{tag}");
    }
}

#[test]
fn many_letters_with_their_reasons_end() {
    let letter = "On March 2, 2007 Nasdaq notified us that we do not comply with Rule 4310(c)(14) since our annual report is late.\n\n";
    check_ends(&letter.repeat(20_000));
}

#[test]
fn many_short_paragraphs_and_odd_runs_end() {
    check_ends(&"Nasdaq letter.\n\n".repeat(60_000));
    check_ends(&format!("nasdaq{}", "(".repeat(1_000_000)));
    check_ends(&format!("nasdaq {}", "A.".repeat(500_000)));
    check_ends(&format!("nasdaq Rule 5250{}", "(c)".repeat(300_000)));
}

/// Words of the genre in any order, with odd characters between them.
fn genre() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "Nasdaq",
        "received",
        "a Staff Determination",
        "letter",
        "on",
        "March 2, 2007",
        "Form 10-K",
        "for the year ended",
        "December 31, 2006",
        "Rule 4310(c)(14)",
        "5250(c)(l)",
        "(",
        ")",
        "unless",
        "Panel",
        "granted",
        "until",
        ".",
        ";",
        "\n\n",
        "regained compliance",
        "Item 3.01",
        "é",
        "\u{2022}",
        "yesterday",
        "on Friday",
        "The Company",
        "Dunnet Corp.",
        "not",
        "Feb 30",
        "dated",
        "and",
        "99/99/9999",
        "8-K",
        "hearing",
        "delisting",
        "Exhibit 99.1",
        "SIGNATURE",
        "About X",
        "\"",
        "--",
        "2007",
    ]);
    prop::collection::vec(words, 0..80).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_panics(text in "\\PC{0,400}") {
        classify(&format!("Nasdaq {text}"), &context());
        classify(&text, &DocumentContext::default());
    }

    #[test]
    fn words_of_the_genre_never_panic(text in genre(), filed in any::<bool>()) {
        let context = if filed { context() } else { DocumentContext::default() };
        let reading = classify(&text, &context);
        for event in &reading.events {
            for evidence in &event.evidence {
                let slice: String = text.chars().skip(evidence.start).take(evidence.end - evidence.start).collect();
                prop_assert_eq!(&slice, &evidence.text);
            }
            prop_assert!((0.0..=1.0).contains(&event.confidence));
        }
        prop_assert_eq!(&classify(&text, &context), &reading);
    }

    #[test]
    fn merging_a_document_with_itself_adds_no_alert(text in genre()) {
        let events = classify(&text, &context()).events;
        let merged = merge_documents(&[events.clone(), events.clone()]);
        prop_assert_eq!(default_alert(&merged), default_alert(&events));
        prop_assert!(merged.len() <= events.len());
    }
}
