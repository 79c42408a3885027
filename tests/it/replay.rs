//! Two real days of the feed, replayed: every page of a sweep through the whole list of filings, served by a loopback
//! EDGAR, so that what the store holds afterwards can be compared with a naive scan of the files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use edgar_watch::demo::edgar::{Archive, Asked, FeedLine, page, respond};
use edgar_watch::edgar::eastern::{eastern, eastern_to_utc};
use edgar_watch::edgar::ids::{AccessionNumber, FormType};
use edgar_watch::passes::PollSummary;

use crate::support::filings::TestFiling;
use crate::support::{Desk, DeskPlan, files_below, instant, shared};

/// A Friday and a Monday, with the moments just after the sweeps.
const FRIDAY: (&str, &str) = ("20251212T1803ET_full_sweep", "2025-12-12T23:04:30Z");
const MONDAY: (&str, &str) = ("20260112T1128ET_full_sweep", "2026-01-12T16:29:50Z");
/// Before anything in either sweep.
const EARLY: &str = "2025-12-01";

// ---------------------------------------------------------------- the files

/// The pages of a sweep, first page first.
fn pages(sweep: &str) -> Option<Vec<String>> {
    let folder = shared(&format!("edgar/feeds/getcurrent/{sweep}"))?;
    let files = files_below(&folder);
    let atoms = files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "atom"));
    Some(atoms.map(|file| std::fs::read_to_string(file).expect("a page")).collect())
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let (_, rest) = text.split_once(open).expect(open);
    rest.split_once(close).expect(close).0
}

/// A sweep as one list. Entries that arrived between two requests push the end of one page onto the next: what a page
/// repeats of the end of the one before is dropped. Exact duplicates within a page stay.
fn lines(sweep: &str) -> Option<Vec<FeedLine>> {
    let mut entries: Vec<String> = Vec::new();
    for page in pages(sweep)? {
        let of_page: Vec<String> =
            page.split("<entry>").skip(1).map(|rest| format!("<entry>{}", cut_after(rest, "</entry>\n"))).collect();
        let repeated = (0..=of_page.len().min(entries.len())).rev().find(|n| entries.ends_with(&of_page[..*n]));
        entries.extend_from_slice(&of_page[repeated.unwrap_or(0)..]);
    }
    let line =
        |xml: String| FeedLine { form: between(&xml, "term=\"", "\"").to_owned(), accepted_at: instant_of(&xml), xml };
    let lines: Vec<FeedLine> = entries.into_iter().map(line).collect();
    assert!(lines.is_sorted_by(|a, b| a.accepted_at >= b.accepted_at), "newest first");
    Some(lines)
}

fn cut_after<'a>(text: &'a str, end: &str) -> &'a str {
    &text[..text.find(end).expect("an end") + end.len()]
}

fn instant_of(xml: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(between(xml, "<updated>", "</updated>")).expect("a time").to_utc()
}

fn accession_of(line: &FeedLine) -> AccessionNumber {
    between(&line.xml, "accession-number=", "</id>").parse().expect("an accession number")
}

fn filed_of(line: &FeedLine) -> NaiveDate {
    between(&line.xml, "Filed:&lt;/b&gt; ", " ").parse().expect("a date")
}

/// Of the forms watched: accession -> the ten digits of every filer, by a scan of the lines alone.
fn scan<'a>(lines: impl IntoIterator<Item = &'a FeedLine>) -> BTreeMap<AccessionNumber, BTreeSet<String>> {
    let mut found: BTreeMap<AccessionNumber, BTreeSet<String>> = BTreeMap::new();
    for line in lines {
        if line.form == "8-K" || line.form == "8-K/A" {
            let title = between(&line.xml, "<title>", "</title>");
            let cik = title.rsplit_once(") (").and_then(|(rest, _)| rest.rsplit_once('(')).expect("a CIK").1;
            found.entry(accession_of(line)).or_default().insert(cik.to_owned());
        }
    }
    found
}

/// Distinct accessions whose form begins with `8-K`.
fn n_with_prefix(lines: &[FeedLine]) -> usize {
    lines.iter().filter(|line| line.form.starts_with("8-K")).map(accession_of).collect::<BTreeSet<_>>().len()
}

// ---------------------------------------------------------------- the desk

fn watched_forms() -> [FormType; 2] {
    [FormType::new("8-K"), FormType::new("8-K/A")]
}

fn archive(lines: Vec<FeedLine>) -> Archive {
    Archive { lines, ..Archive::default() }
}

/// The store holds exactly these accessions, each with all of its filers.
async fn assert_recorded(desk: &Desk, expected: &BTreeMap<AccessionNumber, BTreeSet<String>>) {
    let store = &desk.watcher.store;
    let recorded: BTreeSet<AccessionNumber> =
        store.accessions_of(&watched_forms()).await.expect("accessions").into_iter().collect();
    let expected_set: BTreeSet<AccessionNumber> = expected.keys().copied().collect();
    let missing: Vec<_> = expected_set.difference(&recorded).map(ToString::to_string).collect();
    let surplus: Vec<_> = recorded.difference(&expected_set).map(ToString::to_string).collect();
    assert_eq!((missing, surplus), (Vec::new(), Vec::new()), "missing, surplus");
    for (accession, filers) in expected {
        let ciks = store.ciks_of(*accession).await.expect("filers");
        let ciks: BTreeSet<String> = ciks.iter().map(ToString::to_string).collect();
        assert_eq!(ciks, *filers, "filers of {accession}");
    }
}

/// Polls and adds up.
async fn poll(desk: &Desk, total: &mut PollSummary, since: Option<&str>) {
    let since = since.map(|date| date.parse().expect("a date"));
    let summary = desk.watcher.poll_pass(since).await.expect("a pass");
    total.n_entries += summary.n_entries;
    total.n_recorded += summary.n_recorded;
    total.n_found += summary.n_found;
}

fn query(asked: &Asked, key: &str) -> Option<String> {
    let (_, query) = asked.target.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")));
    value.map(|value| value.replace("%2F", "/"))
}

fn start_of(asked: &Asked) -> usize {
    query(asked, "start").and_then(|start| start.parse().ok()).unwrap_or(0)
}

fn is_feed(asked: &Asked) -> bool {
    asked.target.starts_with("/cgi-bin/browse-edgar")
}

/// EDGAR's answer past the end of the feed, and in an outage.
fn maintenance() -> axum::response::Response {
    page(StatusCode::SERVICE_UNAVAILABLE, "<h1>SEC.gov is undergoing maintenance</h1>")
}

/// Answers 503 where the list for the form asked for has come to its end, as the real one does at its depth.
fn end_with_503(asked: &Asked, archive: &Archive) -> Option<axum::response::Response> {
    let prefix = query(asked, "type").unwrap_or_default();
    let n_lines = archive.lines.iter().filter(|line| line.form.starts_with(&prefix)).count();
    (is_feed(asked) && start_of(asked) >= n_lines).then(maintenance)
}

// ---------------------------------------------------------------- whole days

async fn check_whole_day((sweep, now): (&str, &str)) {
    let Some(lines) = lines(sweep) else { return };
    assert!(lines.len() > 5_000, "{} lines", lines.len());
    let expected = scan(&lines);
    let n_recorded = n_with_prefix(&lines);
    let desk = Desk::open(archive(lines), now).await;
    desk.edgar.script(|asked, archive| end_with_503(asked, archive));
    let mut total = PollSummary::default();
    poll(&desk, &mut total, Some(EARLY)).await;
    assert_eq!((total.n_recorded, total.n_found), (n_recorded, expected.len()));
    assert_recorded(&desk, &expected).await;

    // The same again, at once and after the end of the feed has been walked to a second time.
    for _ in 0..3 {
        poll(&desk, &mut total, Some(EARLY)).await;
        poll(&desk, &mut total, None).await;
        desk.clock.advance(Duration::from_secs(601));
    }
    assert_eq!((total.n_recorded, total.n_found), (n_recorded, expected.len()), "nothing twice");
    assert_recorded(&desk, &expected).await;
    let query = desk.watcher.store.feed_query("8-K").await.expect("the query's memory");
    assert_eq!((query.asked_as.as_deref(), query.gap_since), (Some("8-K"), None));
}

#[tokio::test]
async fn every_8k_of_a_friday_is_recorded_once() {
    check_whole_day(FRIDAY).await;
}

#[tokio::test]
async fn every_8k_of_a_monday_is_recorded_once() {
    check_whole_day(MONDAY).await;
}

/// A list of exactly two pages ends with a 503 instead of a short page.
#[tokio::test]
async fn a_feed_that_ends_with_503_right_after_a_full_page_is_recorded_whole() {
    let Some(lines) = lines(FRIDAY.0) else { return };
    let of_form = |line: &FeedLine| line.form.starts_with("8-K");
    let lines: Vec<FeedLine> = lines.into_iter().filter(of_form).take(200).collect();
    let expected = scan(&lines);
    let desk = Desk::open(archive(lines), FRIDAY.1).await;
    desk.edgar.script(|asked, archive| end_with_503(asked, archive));
    let mut total = PollSummary::default();
    poll(&desk, &mut total, Some(EARLY)).await;
    assert_eq!(total.n_found, expected.len());
    assert_recorded(&desk, &expected).await;
}

/// Where `type` is no prefix the whole feed is asked for: 51 pages of all forms, and 503 at EDGAR's own depth.
#[tokio::test]
async fn where_type_is_taken_exactly_all_forms_are_walked() {
    let Some(lines) = lines(MONDAY.0) else { return };
    let (expected, n_lines) = (scan(&lines), lines.len());
    let desk = Desk::open(archive(lines), MONDAY.1).await;
    desk.edgar.script(|asked, archive| {
        let form = query(asked, "type").filter(|form| !form.is_empty())?;
        let exact: Vec<FeedLine> = archive.lines.iter().filter(|line| line.form == form).cloned().collect();
        let exact = Archive { lines: exact, ..Archive::default() };
        let feed = exact.feed_page("", start_of(asked), 100)?;
        Some(respond(StatusCode::OK, "application/atom+xml", feed.into_bytes()))
    });
    let mut total = PollSummary::default();
    poll(&desk, &mut total, Some(EARLY)).await;
    assert_eq!(total.n_entries, n_lines);
    assert_eq!(total.n_found, expected.len());
    assert_recorded(&desk, &expected).await;
    let query = desk.watcher.store.feed_query("8-K").await.expect("the query's memory");
    assert_eq!(query.asked_as.as_deref(), Some(""), "all forms");
}

// ---------------------------------------------------------------- arrivals between two requests

/// `n_per_request` filings more before each answer, and the clock after them.
async fn check_arrivals(n_per_request: usize) {
    let Some(lines) = lines(MONDAY.0) else { return };
    let lines: Vec<FeedLine> = lines.into_iter().filter(|line| line.form.starts_with("8-K")).collect();
    let (expected, n_recorded) = (scan(&lines), n_with_prefix(&lines));
    let (new, old) = lines.split_at(lines.len() * 2 / 3);
    let desk = Desk::open(archive(old.to_vec()), "2026-01-09T12:00:00Z").await;
    desk.clock.set(&(old[0].accepted_at + TimeDelta::seconds(30)).to_rfc3339());
    let mut total = PollSummary::default();
    poll(&desk, &mut total, Some(EARLY)).await;

    let arriving: Arc<Mutex<VecDeque<FeedLine>>> = Arc::new(Mutex::new(new.iter().rev().cloned().collect()));
    let (script_arriving, clock) = (arriving.clone(), desk.clock.clone());
    desk.edgar.script(move |asked, archive| {
        let mut arriving = script_arriving.lock().expect("a queue");
        let n_now = n_per_request.min(arriving.len());
        for line in arriving.drain(..n_now) {
            clock.set(&(line.accepted_at + TimeDelta::seconds(45)).to_rfc3339());
            archive.add_line(line);
        }
        end_with_503(asked, archive)
    });
    let mut n_passes = 0;
    while !arriving.lock().expect("a queue").is_empty() {
        poll(&desk, &mut total, None).await;
        desk.clock.advance(Duration::from_secs(1));
        n_passes += 1;
        assert!(n_passes <= new.len(), "the feed is never asked");
    }
    // The pass in which the last one arrived may have had its first page before.
    desk.clock.advance(Duration::from_secs(60));
    poll(&desk, &mut total, None).await;
    assert_recorded(&desk, &expected).await;
    assert_eq!((total.n_recorded, total.n_found), (n_recorded, expected.len()), "none twice");
}

#[tokio::test]
async fn filings_that_arrive_between_requests_are_recorded_once() {
    for n_per_request in [3, 49, 100, 101, 180] {
        check_arrivals(n_per_request).await;
    }
}

// ---------------------------------------------------------------- evenings

/// When a line comes to light: 8-Ks that bear the next business day's date at 06:00 Eastern of that day or as much
/// later as `trickle` says, others as soon as they are accepted.
fn shown_at(line: &FeedLine, trickle: impl Fn(usize) -> TimeDelta, index: usize) -> DateTime<Utc> {
    let prompt = line.accepted_at + TimeDelta::seconds(30);
    if !is_evening(line) {
        return prompt;
    }
    let six = filed_of(line).and_hms_opt(6, 0, 0).expect("an hour");
    (eastern_to_utc(six) + trickle(index)).max(prompt)
}

fn is_evening(line: &FeedLine) -> bool {
    line.form.starts_with("8-K") && filed_of(line) > eastern(line.accepted_at).date()
}

/// Polls from Friday afternoon to Monday's sweep; `polls` says whether the desk is awake at a moment.
async fn check_evening(polls: impl Fn(DateTime<Utc>) -> bool, trickle: impl Fn(usize) -> TimeDelta) {
    let Some(lines) = lines(MONDAY.0) else { return };
    let lines: Vec<FeedLine> = lines.into_iter().filter(|line| line.form.starts_with("8-K")).collect();
    let start = instant("2026-01-09T21:00:00Z");
    let mut hidden: Vec<(DateTime<Utc>, FeedLine)> =
        lines.iter().enumerate().map(|(index, line)| (shown_at(line, &trickle, index), line.clone())).collect();
    hidden.sort_by_key(|(shown, _)| *shown);
    let evening: BTreeSet<AccessionNumber> = hidden
        .iter()
        .filter(|(shown, line)| is_evening(line) && *shown > start)
        .map(|(_, line)| accession_of(line))
        .collect();
    assert!(evening.len() > 5, "{} evening filings", evening.len());
    let n_before = hidden.partition_point(|(shown, _)| *shown <= start);
    let desk = Desk::open(Archive::default(), "2026-01-09T21:00:00Z").await;
    let mut coming: VecDeque<(DateTime<Utc>, FeedLine)> = hidden.split_off(n_before).into();
    desk.edgar.change(|archive| hidden.into_iter().for_each(|(_, line)| archive.add_line(line)));
    let mut baseline = PollSummary::default();
    poll(&desk, &mut baseline, None).await;
    assert_eq!(baseline.n_found, 0, "there before the first start");

    let news: BTreeSet<AccessionNumber> = scan(coming.iter().map(|(_, line)| line)).into_keys().collect();
    let mut total = PollSummary::default();
    let mut now = start;
    let mut evening_seen_at = None;
    while now < instant(MONDAY.1) {
        let wall = eastern(now);
        // A minute's rhythm around the opening, five minutes' after it, hours' over the weekend.
        let is_monday = wall.date() == filed_of(&lines[0]);
        now += match wall.hour() * 60 + wall.minute() {
            350..375 if is_monday => TimeDelta::minutes(1),
            300.. if is_monday => TimeDelta::minutes(5),
            1080.. | 0..240 => TimeDelta::hours(3),
            _ => TimeDelta::minutes(30),
        };
        desk.clock.set(&now.to_rfc3339());
        desk.edgar.change(|archive| {
            while coming.front().is_some_and(|(shown, _)| *shown <= now) {
                archive.add_line(coming.pop_front().expect("just seen").1);
            }
        });
        if !polls(now) {
            continue;
        }
        poll(&desk, &mut total, None).await;
        if evening_seen_at.is_none() {
            let recorded = desk.watcher.store.accessions_of(&watched_forms()).await.expect("accessions");
            evening_seen_at = evening.iter().all(|accession| recorded.contains(accession)).then_some(now);
        }
    }
    assert_recorded(&desk, &scan(&lines)).await;
    assert_eq!(total.n_found, news.len(), "every filing that came to light is to be read, once");
    let last_shown = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| evening.contains(&accession_of(line)))
        .map(|(index, line)| shown_at(line, &trickle, index))
        .max();
    let delay = evening_seen_at.expect("seen") - last_shown.expect("an evening filing");
    let first_awake = (0..).map(|n| last_shown.expect("one") + TimeDelta::minutes(n)).find(|at| polls(*at));
    // Walks go deep every ten minutes until ten, every hour after that; the desk polls every five minutes.
    let morning_ends = instant("2026-01-12T15:00:00Z");
    let between_walks = if last_shown >= Some(morning_ends) { 65 } else { 15 };
    let allowed = first_awake.expect("awake again") - last_shown.expect("one") + TimeDelta::minutes(between_walks);
    assert!(delay <= allowed, "seen {} min after they came to light", delay.num_minutes());
}

#[tokio::test]
async fn evening_filings_are_found_at_six() {
    check_evening(|_| true, |_| TimeDelta::zero()).await;
}

#[tokio::test]
async fn evening_filings_that_trickle_in_until_nine_are_found() {
    check_evening(|_| true, |index| TimeDelta::minutes(i64::try_from(index * 37 % 180).expect("small"))).await;
}

/// As after a fault of EDGAR's own: a good hundred filings lie above them by then.
#[tokio::test]
async fn evening_filings_that_come_to_light_at_half_past_ten_are_found() {
    check_evening(|_| true, |_| TimeDelta::minutes(270)).await;
}

#[tokio::test]
async fn evening_filings_are_found_by_a_desk_that_slept_until_half_past_nine() {
    check_evening(|now| now > instant("2026-01-12T14:30:00Z"), |_| TimeDelta::zero()).await;
}

// ---------------------------------------------------------------- outages in the middle

/// A desk that knows Friday, and a Monday's worth of filings that it has not seen.
async fn desk_after_a_weekend() -> Option<(Desk, BTreeMap<AccessionNumber, BTreeSet<String>>)> {
    let lines: Vec<FeedLine> = lines(MONDAY.0)?.into_iter().filter(|line| line.form.starts_with("8-K")).collect();
    let expected = scan(&lines);
    let (new, old) = lines.split_at(lines.partition_point(|line| line.accepted_at > instant("2026-01-09T16:00:00Z")));
    assert!(new.len() > 250, "{} lines are new", new.len());
    let desk = Desk::open(archive(old.to_vec()), "2026-01-09T16:01:00Z").await;
    let mut total = PollSummary::default();
    poll(&desk, &mut total, Some(EARLY)).await;
    // The end of the feed is walked to twice, so that nothing is left open.
    desk.clock.set("2026-01-09T16:12:00Z");
    poll(&desk, &mut total, None).await;
    let new = new.to_vec();
    desk.edgar.change(|archive| new.into_iter().rev().for_each(|line| archive.add_line(line)));
    // Lines of one instant stand in the order they had.
    desk.clock.set(MONDAY.1);
    Some((desk, expected))
}

/// Answers 503 from `from` on for as long as `minutes` passes a minute apart, then recovers.
async fn check_outage(from: usize, minutes: u32) {
    let Some((desk, expected)) = desk_after_a_weekend().await else { return };
    desk.edgar.script(move |asked, _| (is_feed(asked) && start_of(asked) >= from).then(maintenance));
    for _ in 0..minutes {
        // At the first page a 503 is an outage and says so.
        let _ = desk.watcher.poll_pass(None).await;
        desk.clock.advance(Duration::from_secs(60));
    }
    desk.edgar.unscript();
    let mut total = PollSummary::default();
    for _ in 0..12 {
        poll(&desk, &mut total, None).await;
        desk.clock.advance(Duration::from_secs(60));
    }
    assert_recorded(&desk, &expected).await;
}

#[tokio::test]
async fn an_outage_in_the_middle_of_a_walk_costs_nothing() {
    for from in [0, 100, 200] {
        check_outage(from, 1).await;
    }
}

#[tokio::test]
async fn an_outage_of_nine_minutes_in_the_middle_of_a_walk_costs_nothing() {
    check_outage(100, 9).await;
}

/// It answers the first page and nothing below, again and again: that is no proof of the feed's end.
#[tokio::test]
async fn an_outage_of_half_an_hour_below_the_first_page_costs_nothing() {
    check_outage(100, 30).await;
}

/// EDGAR fails now and then: two walks that break off, at a quarter of an hour's distance, prove no end either.
#[tokio::test]
async fn two_short_outages_below_the_first_page_cost_nothing() {
    let Some((desk, expected)) = desk_after_a_weekend().await else { return };
    let mut total = PollSummary::default();
    for (minute, from) in [(0, 100), (15, 200)] {
        desk.clock.set(&(instant(MONDAY.1) + TimeDelta::minutes(minute)).to_rfc3339());
        desk.edgar.script(move |asked, _| (is_feed(asked) && start_of(asked) >= from).then(maintenance));
        poll(&desk, &mut total, None).await;
        desk.edgar.unscript();
    }
    for _ in 0..12 {
        desk.clock.advance(Duration::from_secs(60));
        poll(&desk, &mut total, None).await;
    }
    assert_recorded(&desk, &expected).await;
}

#[tokio::test]
async fn a_walk_broken_off_by_a_block_page_costs_nothing() {
    let Some((desk, expected)) = desk_after_a_weekend().await else { return };
    desk.edgar.script(|asked, _| {
        (is_feed(asked) && start_of(asked) >= 200).then(|| page(StatusCode::FORBIDDEN, "<h1>Traffic Limit</h1>"))
    });
    desk.watcher.poll_pass(None).await.expect_err("blocked");
    desk.edgar.unscript();
    let before = desk.edgar.asked().len();
    desk.watcher.poll_pass(None).await.expect_err("still blocked");
    assert_eq!(desk.edgar.asked().len(), before, "nobody asks while blocked");
    desk.clock.advance(Duration::from_secs(601));
    let mut total = PollSummary::default();
    poll(&desk, &mut total, None).await;
    assert_recorded(&desk, &expected).await;
}

// ---------------------------------------------------------------- co-filers

/// The four entries of one real filing, `n_above` of them on the first page and the others on the next.
async fn check_straddling(issuers: &'static str, n_above: usize, with_arrival: bool) {
    let Some(lines) = lines(FRIDAY.0) else { return };
    let lines: Vec<FeedLine> = lines.into_iter().filter(|line| line.form.starts_with("8-K")).collect();
    let ferrellgas: AccessionNumber = "0001104659-25-120461".parse().expect("an accession number");
    let at = lines.iter().position(|line| accession_of(line) == ferrellgas).expect("in the sweep");
    let filers = scan(&lines)[&ferrellgas].clone();
    assert_eq!(filers.len(), 4);
    // What is old lies below; above, so many that the page ends within the filing.
    let rest = lines[at..].to_vec();
    let accepted_at = rest[0].accepted_at;
    let n_own = rest.iter().take_while(|line| accession_of(line) == ferrellgas).count();
    assert_eq!(n_own, 4, "side by side");
    let desk = DeskPlan { issuers, ..DeskPlan::default() }
        .open(archive(rest[n_own..].to_vec()), &(accepted_at - TimeDelta::minutes(1)).to_rfc3339())
        .await;
    let mut total = PollSummary::default();
    poll(&desk, &mut total, None).await;
    desk.edgar.change(|archive| {
        rest[..n_own].iter().cloned().for_each(|line| archive.add_line(line));
        let newer = (accepted_at + TimeDelta::seconds(1)).to_rfc3339();
        for number in 0..100 - n_above {
            TestFiling::ordinary(u32::try_from(number).expect("small"), &newer).announce(archive);
        }
    });
    desk.clock.set(&(accepted_at + TimeDelta::minutes(1)).to_rfc3339());
    if with_arrival {
        let newest = (accepted_at + TimeDelta::seconds(2)).to_rfc3339();
        let n_asked = Mutex::new(500);
        desk.edgar.script(move |_, archive| {
            let mut number = n_asked.lock().expect("a number");
            *number += 1;
            TestFiling::ordinary(*number, &newest).announce(archive);
            None
        });
    }
    let mut total = PollSummary::default();
    poll(&desk, &mut total, None).await;
    let ciks = desk.watcher.store.ciks_of(ferrellgas).await.expect("filers");
    let ciks: BTreeSet<String> = ciks.iter().map(ToString::to_string).collect();
    assert_eq!(ciks, filers, "with {n_above} of 4 on the first page");
    let due = desk
        .watcher
        .store
        .claim_filings(edgar_watch::store::Queue::Live, instant("2026-01-01T00:00:00Z"), 1000, |_| accepted_at)
        .await
        .expect("the queue");
    let queued: Vec<_> = due.iter().filter(|filing| filing.accession == ferrellgas).collect();
    assert_eq!(queued.len(), 1, "to be read once");
    assert_eq!(queued[0].filers.len(), 4);
}

#[tokio::test]
async fn co_filers_on_two_pages_are_one_filing() {
    for n_above in 0..=4 {
        check_straddling("[\"*\"]", n_above, false).await;
        check_straddling("[\"*\"]", n_above, true).await;
    }
}

/// The one watched stands last, so on the second page.
#[tokio::test]
async fn a_watched_co_filer_on_the_next_page_is_found() {
    for issuers in ["[\"922358\"]", "[\"922359\"]", "[\"922360\"]", "[\"1012493\"]"] {
        check_straddling(issuers, 1, false).await;
        check_straddling(issuers, 3, true).await;
    }
}
