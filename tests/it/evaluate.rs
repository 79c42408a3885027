//! `evaluate` on a few labelled notices of our own: what it prints, and when it fails.

use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{edgar_watch, text};

/// A notice that alerts, and is read right.
fn determination() -> Value {
    json!({"id": "ferrous", "form": "8-K", "document_type": "8-K", "filed": "2026-03-06",
        "issuer": "Ferrous Lantern Corp.", "format": "text", "alert": true, "history_dates": [],
        "text": "Item 3.01 Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard.\n\n\
            On March 4, 2026, Ferrous Lantern Corp. (the \"Company\") received a letter from the Listing \
            Qualifications Staff of The Nasdaq Stock Market LLC stating that the Staff had determined to delist the \
            Company's common stock because the Company has not filed its Annual Report on Form 10-K for the year \
            ended December 31, 2024, as required by Nasdaq Listing Rule 5250(c)(1).",
        "events": [{"kind": "staff_determination", "exchange": "nasdaq", "bases": ["late_filing"],
            "letter_date": "2026-03-04", "rules": ["5250(c)(1)"],
            "reports": [{"form": "10-K", "period_end": "2024-12-31"}], "deadlines": []}]})
}

/// The same notice, labelled as something that must not alert.
fn mislabelled() -> Value {
    let mut record = determination();
    record["id"] = json!("wrong");
    record["alert"] = json!(false);
    record["events"] = json!([]);
    record
}

fn nothing() -> Value {
    json!({"id": "nothing", "form": "8-K", "document_type": "EX-99.1", "filed": "2026-03-06", "issuer": null,
        "format": "html", "text": "<p>Ferrous Lantern opens a second foundry.</p>", "alert": false, "events": [],
        "history_dates": []})
}

fn write(folder: &TempDir, name: &str, lines: &[String]) {
    std::fs::write(folder.path().join(name), lines.join("\n")).expect("a file");
}

/// A folder with `right.jsonl`, of which all is read right, and `wrong.jsonl`, whose second line is not.
fn corpora() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder, "right.jsonl", &[determination().to_string(), nothing().to_string()]);
    write(&folder, "wrong.jsonl", &[nothing().to_string(), mislabelled().to_string()]);
    folder
}

fn evaluate(folder: &TempDir, args: &[&str]) -> Output {
    edgar_watch(folder.path(), &[&["evaluate"], args].concat())
}

fn parse(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

#[test]
fn json_holds_each_file_and_the_total() {
    let output = evaluate(&corpora(), &["--json", "right.jsonl", "wrong.jsonl"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "mistakes alone fail nothing");
    let value = parse(&output);
    assert_eq!((&value["schema"], &value["failures"]), (&json!(1), &json!([])));
    let [right, wrong] = [&value["files"][0], &value["files"][1]];
    assert_eq!(
        (&right["file"], &right["n_records"], &right["mistakes"]),
        (&json!("right.jsonl"), &json!(2), &json!([]))
    );
    assert_eq!(right["kinds"]["staff_determination"]["f1"]["value"], 1.0);
    assert_eq!(right["bases"]["late_filing"]["hit"], 1);
    assert_eq!(right["fields"]["letter_date"]["alerts"]["right"], 1);
    assert_eq!(right["fields"]["received"]["all"], json!({"right": 0, "of": 0, "share": null}), "no label says");
    assert_eq!(wrong["alerts"]["false"], 1);
    assert!(wrong["alerts"]["recall"].is_null(), "no alert was wanted");
    let mistake = &wrong["mistakes"][0];
    assert_eq!(
        (&mistake["what"], &mistake["id"], &mistake["line"]),
        (&json!("false_alert"), &json!("wrong"), &json!(2))
    );
    assert!(mistake["sentences"][0].as_str().is_some_and(|sentence| sentence.contains("determined to delist")));
    assert_eq!((&value["total"]["n_records"], &value["total"]["alerts"]["hit"]), (&json!(4), &json!(1)));
    assert_eq!(value["total"]["alerts"]["precision"]["value"], 0.5);
}

#[test]
fn a_person_gets_a_table_and_each_mistake_with_its_sentence() {
    let folder = corpora();
    let output = evaluate(&folder, &["right.jsonl", "wrong.jsonl"]);
    let printed = text(&output.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "right.jsonl: 2 records");
    assert_eq!(
        lines[2],
        "  default alert             1    1     0      0  1.000 (0.207-1.000)  1.000 (0.207-1.000)  1.000 (0.342-1.000)"
    );
    assert!(
        printed.contains("  wrong (line 2): false alert: wanted no alert; found staff_determination nasdaq"),
        "{printed}"
    );
    assert!(printed.contains("      > On March 4, 2026, Ferrous Lantern Corp."), "{printed}");
    assert!(printed.contains("total: 4 records"), "{printed}");

    let blind = evaluate(&folder, &["--no-sentences", "wrong.jsonl"]);
    let printed = text(&blind.stdout);
    assert!(printed.contains("wrong (line 2): false alert"), "{printed}");
    assert!(!printed.contains("Ferrous") && !printed.contains("total:"), "{printed}");
}

#[test]
fn thresholds_that_are_not_reached_are_named_and_fail() {
    let folder = corpora();
    let reached = [
        "--max-missed-alerts=0",
        "--max-false-alerts=1",
        "--min-alert-precision=0.5",
        "--min-alert-recall=1",
        "--min-f1=staff_determination=0.6",
        "--max-kind-errors=1",
        "--min-letter-date=1",
        "--min-rules=1",
        "--min-reports=1",
        "--min-bases=1",
        "right.jsonl",
        "wrong.jsonl",
    ];
    let output = evaluate(&folder, &reached);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));

    let args = ["--json", "--max-false-alerts=0", "--min-f1=staff_determination=0.7", "right.jsonl", "wrong.jsonl"];
    let output = evaluate(&folder, &args);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "edgar-watch: false alerts: 1, at most 0 wanted\n\
         edgar-watch: F1 of staff_determination: 0.6667, at least 0.7 wanted\n"
    );
    let failures = ["false alerts: 1, at most 0 wanted", "F1 of staff_determination: 0.6667, at least 0.7 wanted"];
    assert_eq!(parse(&output)["failures"], json!(failures), "the scores are printed all the same");

    let unmeasured = evaluate(&folder, &["--min-deadlines=0.9", "right.jsonl"]);
    assert_eq!(unmeasured.status.code(), Some(1), "no label states a deadline");
}

#[test]
fn each_bad_line_is_named_and_nothing_is_scored() {
    let folder = corpora();
    let unlabelled = r#"{"id": "a", "text": "Nothing."}"#.to_owned();
    write(&folder, "bad.jsonl", &[nothing().to_string(), "{".to_owned(), String::new(), unlabelled]);
    let output = evaluate(&folder, &["right.jsonl", "bad.jsonl", "missing.jsonl"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""));
    assert_eq!(
        text(&output.stderr),
        "edgar-watch: bad.jsonl:2: EOF while parsing an object at column 1\n\
         edgar-watch: bad.jsonl:4: missing field `alert` at column 31\n\
         edgar-watch: missing.jsonl: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_part_of_the_lines_can_be_held_out() {
    let folder = corpora();
    let ids = |args: &[&str]| {
        let value = parse(&evaluate(&folder, &[&["--json", "wrong.jsonl"], args].concat()));
        (value["total"]["n_records"].as_u64(), value["total"]["alerts"]["false"].as_u64())
    };
    assert_eq!(ids(&["--lines=1/2"]), (Some(1), Some(1)));
    assert_eq!(ids(&["--skip-lines=1/2"]), (Some(1), Some(0)));

    let none = evaluate(&folder, &["--lines=8/9", "wrong.jsonl"]);
    assert_eq!((none.status.code(), text(&none.stderr)), (Some(1), "edgar-watch: no record was evaluated\n"));
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let folder = corpora();
    let usages: [&[&str]; 5] = [
        &[],
        &["--min-alert-recall=95", "right.jsonl"],
        &["--min-f1=letter=0.9", "right.jsonl"],
        &["--lines=3/3", "right.jsonl"],
        &["--lines=0/3", "--skip-lines=0/3", "right.jsonl"],
    ];
    for args in usages {
        assert_eq!(evaluate(&folder, args).status.code(), Some(2), "{args:?}");
    }
}
