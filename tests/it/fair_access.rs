//! How EDGAR is asked: User-Agent, pace, refusals and what is remembered of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::{Archive, page, respond};
use edgar_watch::edgar::client::PAGE_ENTRIES;
use edgar_watch::edgar::pace::Priority;
use edgar_watch::passes::PassError;

use crate::support::filings::{TestFiling, archive};
use crate::support::{Desk, DeskPlan};

const NOON: &str = "2026-03-19T16:00:00Z";

async fn failure(desk: &Desk) -> String {
    desk.watcher.poll(None).await.expect_err("a refusal").to_string()
}

#[tokio::test]
async fn every_request_names_its_user_and_offers_gzip() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    desk.watcher.cycle(Some("2026-03-19".parse().expect("a date"))).await.expect("a cycle");
    let asked = desk.edgar.asked();
    assert!(asked.len() >= 2, "feed and filing: {asked:?}");
    for request in asked {
        assert_eq!(request.user_agent, "Test Desk ops@example.com");
        assert!(request.gzip);
    }
}

#[tokio::test]
async fn the_budget_is_one_for_all_processes_on_a_store() {
    let plan = DeskPlan { rate: 5, ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    let second = edgar_watch::passes::client_for(
        &desk.settings,
        Arc::new(desk.watcher.store.clone()),
        Priority::Live,
        Arc::new(desk.clock.clone()),
    )
    .expect("a client");
    let began_at = desk.clock.now();
    for _ in 0..10 {
        desk.watcher.client.feed_page("8-K", 0).await.expect("a page");
        second.feed_page("8-K", 0).await.expect("a page");
    }
    // Twenty requests at five a second, of which the first five may go at once: the twentieth starts after three seconds.
    assert_eq!((desk.clock.now() - began_at).num_milliseconds(), 3000);
}

#[tokio::test]
async fn a_block_page_stops_all_asking_for_ten_minutes_and_is_remembered() {
    let mut desk = Desk::open(Archive::default(), NOON).await;
    desk.edgar.script(|_, _| Some(page(StatusCode::FORBIDDEN, "<h1>You've Exceeded the SEC's Traffic Limit</h1>")));
    assert_eq!(
        failure(&desk).await,
        "fetch feed \"getcurrent 8-K\" from 0: EDGAR stopped answering (HTTP 403 block page): no request before 16:10:00Z"
    );
    desk.edgar.unscript();
    desk.restart().await;
    desk.clock.advance(Duration::from_secs(9 * 60));
    failure(&desk).await;
    assert_eq!(desk.edgar.asked().len(), 1, "nothing was asked in between");
    desk.clock.advance(Duration::from_secs(61));
    desk.watcher.poll(None).await.expect("after ten minutes");
}

#[tokio::test]
async fn an_undeclared_tool_is_a_configuration_fault_told_to_the_owner_once() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.edgar.script(|_, _| {
        Some(page(StatusCode::FORBIDDEN, "<h1>Your Request Originates from an Undeclared Automated Tool</h1>"))
    });
    let expected = "EDGAR refuses the User-Agent \"Test Desk ops@example.com\" as an undeclared automated tool: \
                    set edgar.user_agent to your name and e-mail address";
    for _ in 0..3 {
        let error = desk.watcher.cycle(None).await.expect_err("a refusal");
        assert!(matches!(error, PassError::Config(_)));
        assert_eq!(error.to_string(), expected);
        desk.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!(desk.edgar.asked().len(), 1, "asking stopped");
    assert_eq!(desk.subjects(), ["[edgar-watch] EDGAR refuses our User-Agent"]);
}

#[tokio::test]
async fn retry_after_is_obeyed_in_both_forms() {
    for (value, seconds) in [("120", 120), ("Thu, 19 Mar 2026 16:05:00 GMT", 300)] {
        let desk = Desk::open(Archive::default(), NOON).await;
        desk.edgar.script(move |_, _| {
            let mut response = page(StatusCode::TOO_MANY_REQUESTS, "slow down");
            response.headers_mut().insert(header::RETRY_AFTER, value.parse().expect("a header"));
            Some(response)
        });
        failure(&desk).await;
        desk.edgar.unscript();
        desk.clock.advance(Duration::from_secs(seconds - 1));
        failure(&desk).await;
        assert_eq!(desk.edgar.asked().len(), 1);
        desk.clock.advance(Duration::from_secs(1));
        desk.watcher.poll(None).await.expect(value);
    }
}

#[tokio::test]
async fn each_broken_answer_has_its_message() {
    let desk = Desk::open(Archive::default(), NOON).await;
    let what = "fetch feed \"getcurrent 8-K\" from 0";
    type Answer = fn() -> Response<Body>;
    let cases: Vec<(Answer, &str)> = vec![
        (|| page(StatusCode::SERVICE_UNAVAILABLE, "maintenance"), "HTTP 503"),
        (|| page(StatusCode::INTERNAL_SERVER_ERROR, ""), "HTTP 500"),
        (
            || page(StatusCode::OK, "<html>Maintenance</html>"),
            "expected an Atom feed, found \"<html>Maintenance</html>\"",
        ),
        (
            || {
                let mut response = page(StatusCode::FOUND, "");
                let to = "http://elsewhere.example/feed".parse().expect("a header");
                response.headers_mut().insert(header::LOCATION, to);
                response
            },
            "redirected to \"http://elsewhere.example/feed\": refused, only the configured hosts are asked",
        ),
        (truncated_gzip, "the answer broke off: unexpected end of file"),
    ];
    for (answer, expected) in cases {
        desk.edgar.script(move |_, _| Some(answer()));
        assert_eq!(failure(&desk).await, format!("{what}: {expected}"));
    }
    desk.edgar.unscript();
    desk.watcher.poll(None).await.expect("once the faults are over");
}

/// A feed whose gzip stream ends early, though the response is whole.
fn truncated_gzip() -> Response<Body> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all("<feed></feed>".repeat(1000).as_bytes()).expect("memory");
    let mut bytes = encoder.finish().expect("memory");
    bytes.truncate(bytes.len() / 2);
    let mut response = respond(StatusCode::OK, "application/atom+xml", bytes);
    response.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    response
}

#[tokio::test]
async fn redirects_within_the_host_are_followed() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    let n = AtomicUsize::new(0);
    desk.edgar.script(move |asked, _| {
        (n.fetch_add(1, Ordering::SeqCst) == 0).then(|| {
            let mut response = page(StatusCode::MOVED_PERMANENTLY, "");
            response.headers_mut().insert(header::LOCATION, asked.target.parse().expect("a header"));
            response
        })
    });
    assert_eq!(desk.watcher.poll(None).await.expect("a poll").n_entries, 1);
}

#[tokio::test]
async fn a_feed_that_ignores_type_is_asked_for_all_forms() {
    let mut filings = vec![TestFiling::ordinary(1, "2026-03-19T14:00:00Z")];
    let mut other = TestFiling::ordinary(2, "2026-03-19T14:00:01Z");
    other.form = "424B2";
    filings.push(other);
    let desk = Desk::open(archive(&filings), NOON).await;
    desk.edgar.script(|asked, archive| {
        let all = archive.feed_page("", 0, PAGE_ENTRIES).expect("a page");
        asked.target.contains("browse-edgar").then(|| respond(StatusCode::OK, "application/atom+xml", all.into_bytes()))
    });
    let summary = desk.watcher.poll(None).await.expect("a poll");
    assert_eq!((summary.n_entries, summary.n_recorded), (2, 1), "the 424B2 is not recorded");
    let asked = desk.edgar.asked();
    assert!(asked.last().is_some_and(|asked| asked.target.contains("type=&")), "{asked:?}");
}

#[tokio::test]
async fn an_empty_feed_proves_nothing_about_type() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.poll(None).await.expect("a poll");
    assert_eq!(desk.watcher.store.feed_query("8-K").await.expect("its memory").asked_as, None);
    desk.edgar.change(|archive| TestFiling::ordinary(1, "2026-03-19T14:00:00Z").publish(archive));
    desk.watcher.poll(None).await.expect("a poll");
    assert_eq!(desk.watcher.store.feed_query("8-K").await.expect("its memory").asked_as.as_deref(), Some("8-K"));
}

#[tokio::test]
async fn a_type_that_is_no_prefix_is_noticed_on_first_contact() {
    let mut amendment = TestFiling::ordinary(2, "2026-03-19T14:00:01Z");
    amendment.form = "8-K/A";
    let filings =
        [TestFiling::ordinary(1, "2026-03-19T14:00:02Z"), amendment, TestFiling::ordinary(3, "2026-03-19T14:00:00Z")];
    let desk = Desk::open(archive(&filings), NOON).await;
    // A server that takes `type` as an exact name.
    desk.edgar.script(|asked, archive| {
        let form = if asked.target.contains("type=8-K%2FA") { "8-K/A" } else { "8-K" };
        if !asked.target.contains("type=8-K") {
            return None;
        }
        let mut exact = archive.clone();
        exact.lines.retain(|line| line.form == form);
        let page = exact.feed_page("", 0, PAGE_ENTRIES).expect("a page");
        Some(respond(StatusCode::OK, "application/atom+xml", page.into_bytes()))
    });
    assert_eq!(desk.watcher.poll(None).await.expect("a poll").n_recorded, 3, "the amendment is not missed");
}

#[tokio::test]
async fn forms_not_named_are_recorded_and_not_read() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let mut successor = TestFiling::determination(1, "2026-03-19T16:00:05Z");
    successor.form = "8-K12B";
    desk.edgar.change(|archive| successor.publish(archive));
    desk.clock.advance(Duration::from_secs(10));
    let summary = desk.watcher.poll(None).await.expect("a poll");
    assert_eq!((summary.n_recorded, summary.n_found), (1, 0));
}

#[tokio::test]
async fn a_ticker_is_pinned_and_kept_when_the_map_drops_it() {
    let mut served = Archive::default();
    let map =
        |ticker: &str| format!("{{\"0\":{{\"cik_str\":9993001,\"ticker\":\"{ticker}\",\"title\":\"GANTRY MICRO\"}}}}");
    served.files.insert("/files/company_tickers.json".to_owned(), map("GNT-B").into_bytes());
    let plan = DeskPlan { issuers: "[\"GNT.B\", \"ZZZZ\"]", ..DeskPlan::default() };
    let desk = plan.open(served, NOON).await;
    let summary = desk.watcher.poll(None).await.expect("a poll");
    assert_eq!(
        summary.unknown_tickers,
        ["watch.issuers: ticker \"ZZZZ\" is not in EDGAR's ticker map: name the issuer by its CIK"]
    );
    desk.edgar.change(|archive| {
        drop(archive.files.insert("/files/company_tickers.json".to_owned(), map("OTHR").into_bytes()));
    });
    desk.clock.advance(Duration::from_secs(25 * 3600));
    let watchlist = desk.watcher.resolve_watchlist().await.expect("a watchlist");
    assert_eq!(watchlist.keys, ["0009993001"], "still watched");
    let pinned = desk.watcher.store.pinned_tickers().await.expect("the tickers");
    assert_eq!(
        pinned[0].warning.as_deref(),
        Some("ticker GNT-B is no longer in EDGAR's ticker map: still watching CIK 0009993001 (GANTRY MICRO)")
    );
}

#[tokio::test]
async fn the_cost_of_a_cycle_does_not_depend_on_the_watchlist() {
    let mut costs = Vec::new();
    for n_issuers in [1, 500] {
        let issuers: Vec<String> = (0..n_issuers).map(|n| format!("\"{}\"", 9_000_000 + n)).collect();
        let issuers: &'static str = format!("[{}]", issuers.join(",")).leak();
        let filings = archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]);
        let desk = DeskPlan { issuers, ..DeskPlan::default() }.open(filings, NOON).await;
        desk.watcher.cycle(None).await.expect("the baseline");
        let before = desk.edgar.asked().len();
        desk.watcher.cycle(None).await.expect("a cycle");
        costs.push(desk.edgar.asked().len() - before);
    }
    assert_eq!(costs, [1, 1]);
}

#[tokio::test]
async fn a_submission_of_300_megabytes_is_read_and_its_graphics_passed_over() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let filing = TestFiling::determination(1, "2026-03-19T16:00:05Z");
    let submission = filing.submission();
    let (head, tail) = submission.split_once("</SEC-DOCUMENT>").expect("its end");
    let line = format!("M{}\n", "0".repeat(60));
    let mut bytes =
        format!("{head}<DOCUMENT>\n<TYPE>GRAPHIC\n<SEQUENCE>2\n<FILENAME>map.jpg\n<TEXT>\nbegin 644 map.jpg\n")
            .into_bytes();
    while bytes.len() < 300 << 20 {
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes.extend_from_slice(format!("end\n</TEXT>\n</DOCUMENT>\n{tail}").as_bytes());
    desk.edgar.change(|archive| {
        filing.announce(archive);
        archive.add_submission(filing.cik(), filing.accession(), &bytes);
    });
    drop(bytes);
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn a_document_over_ten_megabytes_is_cut_and_the_mail_says_so() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let mut filing = TestFiling::determination(1, "2026-03-19T16:00:05Z");
    filing.body.push_str(&"\nThe saw mill ran through the night without rest.\n".repeat(230_000));
    desk.edgar.change(|archive| filing.publish(archive));
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    let mails = desk.mails();
    let text: String = mails[0].body_text(0).expect("a text part").split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = format!("8-K \"body.txt\" is {} bytes: only the first 10485760 classified", filing.body.len());
    assert!(text.contains(&expected), "{text}");
}

#[tokio::test]
async fn a_filing_that_is_garbage_is_put_off_and_costs_no_other() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let (garbage, good) =
        (TestFiling::ordinary(1, "2026-03-19T16:00:05Z"), TestFiling::determination(2, "2026-03-19T16:00:06Z"));
    desk.edgar.change(|archive| {
        garbage.announce(archive);
        archive.add_submission(garbage.cik(), garbage.accession(), b"\x00\x01\x02");
        good.publish(archive);
    });
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1);
    let waiting = desk.watcher.store.filings_in(edgar_watch::store::FilingState::Found, 10).await.expect("the queue");
    assert_eq!(
        waiting[0].last_error.as_deref(),
        Some("fetch filing 0009992000-26-000001: expected a full-submission text file, found \"\"")
    );
}
