//! From bytes to a decision, each stage by itself, on one core: `cargo bench --bench reading`.
//!
//! Reads the documents of `../shared` where it is there, else invented ones. Bytes a second are bytes of input.

mod common;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::NaiveDate;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use edgar_watch::classify::{DocumentContext, Reading, classify};
use edgar_watch::corpus::parse_records;
use edgar_watch::edgar::feed::parse_feed;
use edgar_watch::edgar::filing::FilingReader;
use edgar_watch::text::{html_to_text, to_text};

/// As it comes from the network.
const PIECE_BYTES: usize = 16 * 1024;

/// A normalised text and the day it was filed.
struct Text {
    words: String,
    filed: Option<NaiveDate>,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.words.as_bytes()
    }
}

static SUBMISSIONS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let real = real_files("submissions_txt");
    if real.is_empty() { common::invented_submissions() } else { real }
});

static HTML: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let real = real_files("html_8-K");
    if !real.is_empty() {
        return real;
    }
    let submissions = common::invented_submissions();
    submissions.iter().flat_map(|bytes| read_submission(bytes)).collect()
});

/// What 8-Ks are: few of them have to do with a listing.
static ORDINARY: LazyLock<Vec<Text>> = LazyLock::new(|| {
    // Their days are not told; any will do.
    let filed = NaiveDate::from_ymd_opt(2012, 6, 1);
    HTML.iter().map(|html| Text { words: html_to_text(html), filed }).collect()
});

/// Notices and nothing else, from the labelled documents.
static NOTICES: LazyLock<Vec<Text>> = LazyLock::new(|| {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/written.jsonl");
    let bytes = std::fs::read(file).unwrap_or_else(|_| include_bytes!("../tests/fixtures/hard_notices.jsonl").to_vec());
    let records = parse_records(file, &bytes).flatten();
    records.map(|record| Text { words: to_text(record.text.as_bytes()), filed: record.filed }).collect()
});

fn main() {
    if real_files("html_8-K").is_empty() {
        println!("../shared is not there: invented documents are read");
    }
    println!(
        "{} submissions, {} bytes; {} HTML documents, {} bytes, {} bytes of text; {} notices, {} bytes",
        SUBMISSIONS.len(),
        size(&SUBMISSIONS),
        HTML.len(),
        size(&HTML),
        size(&ORDINARY),
        NOTICES.len(),
        size(&NOTICES),
    );
    divan::main();
}

/// Files below a folder of `../shared/edgar`, in the order of their names; none where there is no such folder.
fn real_files(folder: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/edgar").join(folder), &mut paths);
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, paths) } else { paths.push(path) }
    }
}

/// Bytes in all.
fn size(files: &[impl AsRef<[u8]>]) -> usize {
    files.iter().map(|file| file.as_ref().len()).sum()
}

fn read_submission(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = FilingReader::default();
    bytes.chunks(PIECE_BYTES).for_each(|piece| reader.feed(piece));
    reader
        .finish()
        .map(|filing| filing.documents.into_iter().map(|document| document.body).collect())
        .unwrap_or_default()
}

fn decide(text: &Text) -> Reading {
    classify(&text.words, &DocumentContext { form: Some("8-K"), filed: text.filed, ..DocumentContext::default() })
}

#[divan::bench]
fn submission_to_documents(bencher: Bencher) {
    bencher
        .counter(BytesCount::new(size(&SUBMISSIONS)))
        .bench(|| SUBMISSIONS.iter().map(|bytes| read_submission(bytes).len()).sum::<usize>());
}

#[divan::bench]
fn html_to_normalised_text(bencher: Bencher) {
    bencher
        .counter(BytesCount::new(size(&HTML)))
        .bench(|| HTML.iter().map(|html| html_to_text(html).len()).sum::<usize>());
}

#[divan::bench]
fn ordinary_text_to_decision(bencher: Bencher) {
    bencher
        .counter(BytesCount::new(size(&ORDINARY)))
        .bench(|| ORDINARY.iter().map(|text| decide(text).events.len()).sum::<usize>());
}

#[divan::bench]
fn notices_to_decision(bencher: Bencher) {
    bencher
        .counter(BytesCount::new(size(&NOTICES)))
        .bench(|| NOTICES.iter().map(|text| decide(text).events.len()).sum::<usize>());
}

#[divan::bench]
fn html_to_decision(bencher: Bencher) {
    bencher.counter(BytesCount::new(size(&HTML))).bench(|| {
        HTML.iter()
            .map(|html| decide(&Text { words: to_text(html), filed: NaiveDate::from_ymd_opt(2012, 6, 1) }).events.len())
            .sum::<usize>()
    });
}

#[divan::bench(args = [100, 5_000])]
fn feed_page(bencher: Bencher, n_entries: usize) {
    let page = common::feed_page(n_entries);
    bencher.counter(ItemsCount::new(n_entries)).bench(|| parse_feed(&page).map(|page| page.entries.len()));
}
