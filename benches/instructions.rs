//! Instructions of the hot paths, counted by callgrind: `cargo bench --profile test --bench instructions` (needs valgrind,
//! and `cargo install gungraun-runner` in the version that Cargo.lock names).
//!
//! Wall time on a shared machine lies; these counts hardly vary wherever the same compiler built the same code, and tell of
//! work that has grown as well in the tests' build, which is there already, as in a release. Each has a limit a quarter above
//! what was measured, and the bench fails above it. After a change that is worth its instructions, raise the limit in
//! the same commit; after one that saves some, lower it. Only invented documents are read.

// Its macros make modules without words.
#![allow(missing_docs)]

mod common;

use std::hint::black_box;

use chrono::NaiveDate;
use edgar_watch::classify::{DocumentContext, classify};
use edgar_watch::corpus::parse_records;
use edgar_watch::edgar::feed::parse_feed;
use edgar_watch::edgar::filing::FilingReader;
use edgar_watch::text::{html_to_text, to_text};
use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};

/// Fails above so many instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, instructions)]));
    config
}

fn documents() -> Vec<Vec<u8>> {
    let read = |bytes: Vec<u8>| {
        let mut reader = FilingReader::default();
        reader.feed(&bytes);
        reader.finish().map(|filing| filing.documents).unwrap_or_default()
    };
    let documents = common::invented_submissions().into_iter().flat_map(read);
    documents.map(|document| document.body).filter(|body| body.starts_with(b"<html>")).collect()
}

/// Twenty notices, and everything compiled that reading them needs.
fn notices() -> Vec<(String, Option<NaiveDate>)> {
    let file = include_bytes!("../tests/fixtures/hard_notices.jsonl");
    let records = parse_records("hard_notices.jsonl", file).flatten().take(20);
    let notices: Vec<_> = records.map(|record| (to_text(record.text.as_bytes()), record.filed)).collect();
    decide(&notices);
    notices
}

/// What an exchange's name stands in for other reasons than a letter.
fn ordinary() -> Vec<(String, Option<NaiveDate>)> {
    let lease = "The lease of the plant runs for ten years, and the rent rises with the prices of the region. It ends in May.\n\n";
    let listing = "Shares of the Company trade on Nasdaq under the symbol VRLO. Holders of record get one right for each share.\n\n";
    let looking =
        "Forward-looking statements are no promise: results may differ, and nobody has to bring them up to date.\n\n";
    let text = [lease.repeat(12), listing.to_owned(), lease.repeat(12), looking.to_owned()].concat();
    let ordinary = vec![(text, NaiveDate::from_ymd_opt(2012, 6, 1)); 10];
    decide(&ordinary);
    ordinary
}

fn decide(notices: &[(String, Option<NaiveDate>)]) -> usize {
    let read = |(text, filed): &(String, Option<NaiveDate>)| {
        classify(text, &DocumentContext { form: Some("8-K"), filed: *filed, ..DocumentContext::default() })
    };
    notices.iter().map(|notice| read(notice).events.len()).sum()
}

#[library_benchmark(config = at_most(2_700_000))]
#[bench::invented(setup = common::invented_submissions)]
fn submission_to_documents(submissions: Vec<Vec<u8>>) -> usize {
    let read = |bytes: &Vec<u8>| {
        let mut reader = FilingReader::default();
        bytes.chunks(16 * 1024).for_each(|piece| reader.feed(piece));
        reader.finish().map_or(0, |filing| filing.documents.len())
    };
    black_box(submissions.iter().map(read).sum())
}

#[library_benchmark(config = at_most(600_000))]
#[bench::invented(setup = documents)]
fn html_to_normalised_text(documents: Vec<Vec<u8>>) -> usize {
    black_box(documents.iter().map(|html| html_to_text(html).len()).sum())
}

#[library_benchmark(config = at_most(103_000_000))]
#[bench::hard_notices(setup = notices)]
fn notices_to_decision(notices: Vec<(String, Option<NaiveDate>)>) -> usize {
    black_box(decide(&notices))
}

#[library_benchmark(config = at_most(3_560_000))]
#[bench::ordinary(setup = ordinary)]
fn ordinary_text_to_decision(texts: Vec<(String, Option<NaiveDate>)>) -> usize {
    black_box(decide(&texts))
}

#[library_benchmark(config = at_most(7_750_000))]
#[bench::of_100(args = (100), setup = common::feed_page)]
fn feed_page(page: Vec<u8>) -> usize {
    black_box(parse_feed(&page).map_or(0, |page| page.entries.len()))
}

library_benchmark_group!(
    name = hot_paths,
    benchmarks =
        [submission_to_documents, html_to_normalised_text, ordinary_text_to_decision, notices_to_decision, feed_page]
);

main!(library_benchmark_groups = hot_paths);
