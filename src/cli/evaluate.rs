//! `evaluate`: how often labelled documents are read right, and each case where not.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::thread::available_parallelism;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{Common, Failure, complain, print, print_json};
use crate::classify::Phrase;
use crate::corpus::{LabelledRecord, parse_labelled};
use crate::evaluate::{Evaluation, Mistake, Scores, Thresholds};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// One JSON value
    #[arg(long)]
    json: bool,

    /// Leave the documents' own words out, so that held-out records can be scored unseen
    #[arg(long)]
    no_sentences: bool,

    /// Only every Nth line from line K on, lines counted from 0: 2/3 is the third, the sixth ...
    #[arg(long, value_name = "K/N", conflicts_with = "skip_lines")]
    lines: Option<EveryNth>,

    /// Only the lines that `--lines K/N` leaves out
    #[arg(long, value_name = "K/N")]
    skip_lines: Option<EveryNth>,

    /// Labelled documents, a JSON object a line
    #[arg(value_name = "FILE.jsonl", required = true)]
    files: Vec<PathBuf>,

    // Last: its heading holds for all that follows.
    #[command(flatten)]
    thresholds: Thresholds,
}

impl EvaluateArgs {
    fn takes(&self, record: &LabelledRecord) -> bool {
        self.lines.is_none_or(|lines| lines.has(record.line - 1))
            && self.skip_lines.is_none_or(|lines| !lines.has(record.line - 1))
    }
}

/// Every Nth line from line K on, counted from 0: `K/N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EveryNth {
    first: usize,
    step: usize,
}

impl EveryNth {
    fn has(self, index: usize) -> bool {
        index % self.step == self.first
    }
}

impl FromStr for EveryNth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('/')
            .and_then(|(first, step)| Some(Self { first: first.parse().ok()?, step: step.parse().ok()? }))
            .filter(|lines| lines.first < lines.step)
            .ok_or_else(|| format!("expected K/N with K less than N, found \"{text}\""))
    }
}

pub(super) async fn run(common: &Common, args: &EvaluateArgs) -> Result<(), Failure> {
    let patterns = common.own_patterns()?;
    let mut evaluations = Vec::new();
    for (name, records) in read_files(&args.files)? {
        let taken = records.into_iter().filter(|record| args.takes(record)).collect();
        let mut evaluation = evaluate(taken, &patterns).await;
        if args.no_sentences {
            evaluation.mistakes = evaluation.mistakes.into_iter().map(Mistake::without_sentences).collect();
        }
        evaluations.push((name, evaluation));
    }
    let mut total = Scores::default();
    for (_, evaluation) in &evaluations {
        total += &evaluation.scores;
    }
    let failures = find_failures(&args.thresholds, &total);
    if args.json {
        print_json(&to_json(&evaluations, &total, &failures))?;
    } else {
        print(&to_text(&evaluations, &total))?;
    }
    failures.iter().for_each(complain);
    if failures.is_empty() { Ok(()) } else { Err(Failure::failed("")) }
}

/// Every file's name and records. Where one cannot be scored whole, none is scored, and each bad line is named.
fn read_files(paths: &[PathBuf]) -> Result<Vec<(String, Vec<LabelledRecord>)>, Failure> {
    let mut files = Vec::new();
    let mut is_bad = false;
    for path in paths {
        match read_file(path) {
            Ok(file) => files.push(file),
            Err(reasons) => {
                is_bad = true;
                reasons.iter().for_each(complain);
            }
        }
    }
    if is_bad { Err(Failure::failed("")) } else { Ok(files) }
}

fn read_file(path: &Path) -> Result<(String, Vec<LabelledRecord>), Vec<String>> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| vec![format!("{name}: {error}")])?;
    let mut records = Vec::new();
    let mut reasons = Vec::new();
    for record in parse_labelled(&name, &bytes) {
        match record {
            Ok(record) => records.push(record),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if reasons.is_empty() { Ok((name, records)) } else { Err(reasons) }
}

/// Reads on blocking threads, as many at once as there are cores: a panic there ends one reading only.
async fn evaluate(records: Vec<LabelledRecord>, patterns: &Arc<[Phrase]>) -> Evaluation {
    let n_threads = available_parallelism().map_or(1, NonZero::get);
    let mut readings = stream::iter(records)
        .map(|labelled| async move {
            let (record, patterns) = (labelled.record.clone(), patterns.clone());
            let reading = tokio::task::spawn_blocking(move || record.read(&patterns).reading).await;
            (labelled, reading.ok())
        })
        .buffered(n_threads);
    let mut evaluation = Evaluation::default();
    while let Some((labelled, reading)) = readings.next().await {
        evaluation.add(&labelled, reading.as_ref());
    }
    evaluation
}

/// The thresholds that are not reached, and what fails without any.
fn find_failures(thresholds: &Thresholds, total: &Scores) -> Vec<String> {
    let mut failures = Vec::new();
    if total.n_records == 0 {
        failures.push("no record was evaluated".to_owned());
    }
    if total.n_unread > 0 {
        failures.push(format!("reading broke off: {} of {} records", total.n_unread, total.n_records));
    }
    failures.extend(thresholds.failures(total));
    failures
}

fn to_json(evaluations: &[(String, Evaluation)], total: &Scores, failures: &[String]) -> Value {
    let files = evaluations.iter().map(|(name, evaluation)| {
        let mut file = json!(evaluation.scores);
        file["file"] = json!(name);
        file["mistakes"] = json!(evaluation.mistakes);
        file
    });
    json!({"schema": 1, "files": files.collect::<Vec<_>>(), "total": total, "failures": failures})
}

fn to_text(evaluations: &[(String, Evaluation)], total: &Scores) -> String {
    let mut out = String::new();
    for (name, evaluation) in evaluations {
        out.push_str(&format!("{name}: {} records\n{}", evaluation.scores.n_records, evaluation.scores));
        out.push_str(&format!("  mistakes: {}\n", evaluation.mistakes.len()));
        out.extend(evaluation.mistakes.iter().map(|mistake| format!("  {mistake}")));
        out.push('\n');
    }
    if evaluations.len() > 1 {
        out.push_str(&format!("total: {} records\n{total}", total.n_records));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_line_is_counted_from_zero() {
        let lines: EveryNth = "2/3".parse().expect("lines");
        assert_eq!((0..9).filter(|index| lines.has(*index)).collect::<Vec<_>>(), [2, 5, 8]);
        for text in ["3/3", "0/0", "2", "-1/3", "a/b"] {
            assert_eq!(text.parse::<EveryNth>(), Err(format!("expected K/N with K less than N, found \"{text}\"")));
        }
    }
}
