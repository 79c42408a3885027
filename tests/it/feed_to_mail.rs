//! A feed in, one mail out: the whole path, and what must not be mailed.

use std::time::Duration;

use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::{Archive, access_denied};

use crate::support::filings::{TestFiling, archive};
use crate::support::{Desk, DeskPlan};

/// A Thursday noon in New York.
const NOON: &str = "2026-03-19T16:00:00Z";

#[tokio::test]
async fn a_new_determination_is_mailed_once() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.edgar.change(|archive| TestFiling::determination(2, "2026-03-19T16:00:20Z").publish(archive));
    desk.clock.advance(Duration::from_secs(60));
    desk.watcher.cycle(None).await.expect("a cycle");
    desk.watcher.cycle(None).await.expect("another cycle");
    assert_eq!(desk.subjects(), ["[GANTRY MICRO, INC.] NASDAQ staff determination: late 10-K (letter of 17 Mar 2026)"]);
}

#[tokio::test]
async fn what_was_there_before_the_first_start_is_not_mailed() {
    let desk = Desk::open(archive(&[TestFiling::determination(1, "2026-03-19T14:00:00Z")]), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects(), Vec::<String>::new());
}

#[tokio::test]
async fn since_looks_back() {
    let filings =
        [TestFiling::determination(1, "2026-03-19T14:00:00Z"), TestFiling::determination(2, "2026-03-12T14:00:00Z")];
    let desk = Desk::open(archive(&filings), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.watcher.cycle(Some("2026-03-16".parse().expect("a date"))).await.expect("a look back");
    desk.watcher.cycle(Some("2026-03-16".parse().expect("a date"))).await.expect("the same again");
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn a_first_start_at_eight_in_the_evening_loses_nothing_accepted_at_six() {
    let desk = Desk::open(archive(&[TestFiling::ordinary(1, "2026-03-19T20:00:00Z")]), "2026-03-20T00:00:00Z").await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let mut evening = TestFiling::determination(2, "2026-03-19T22:05:00Z");
    evening.filing_date = "2026-03-20".parse().expect("a date");
    desk.clock.set("2026-03-20T10:00:30Z");
    // It comes to light at six, deep under the morning's filings.
    desk.edgar.change(|archive| {
        evening.publish(archive);
        for number in 100..400 {
            TestFiling::ordinary(number, "2026-03-20T10:00:10Z").publish(archive);
        }
    });
    desk.watcher.cycle(None).await.expect("the morning");
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn a_filing_with_two_filers_is_one_alert() {
    let plan = DeskPlan { issuers: "[\"9993002\"]", ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let mut filing = TestFiling::determination(2, "2026-03-19T16:00:20Z");
    filing.co_filer = Some((9_993_002, "GANTRY FINANCE LLC"));
    desk.edgar.change(|archive| filing.publish(archive));
    desk.clock.advance(Duration::from_secs(60));
    desk.watcher.cycle(None).await.expect("a cycle");
    let subjects = desk.subjects();
    assert_eq!(subjects, ["[GANTRY FINANCE LLC] NASDAQ staff determination: late 10-K (letter of 17 Mar 2026)"]);
}

#[tokio::test]
async fn a_newly_watched_issuer_starts_with_its_own_baseline() {
    let plan = || DeskPlan { issuers: "[\"9993001\"]", ..DeskPlan::default() };
    let mut old = TestFiling::determination(1, "2026-03-19T14:00:00Z");
    old.cik = 9_993_002;
    let mut desk = plan().open(archive(&[old.clone()]), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");

    let widened = DeskPlan { issuers: "[\"9993001\", \"9993002\"]", ..DeskPlan::default() };
    let settings = edgar_watch::config::parse(&desk.text(&widened), "test", desk.folder.path());
    desk.settings = std::sync::Arc::new(settings.expect("a configuration"));
    desk.restart().await;
    desk.watcher.cycle(None).await.expect("the new issuer's baseline");
    assert_eq!(desk.subjects(), Vec::<String>::new(), "its old filing is no news");

    let mut new = TestFiling::determination(2, "2026-03-19T16:00:20Z");
    new.cik = 9_993_002;
    desk.edgar.change(|archive| new.publish(archive));
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1);
}

#[tokio::test]
async fn a_filing_not_published_yet_is_read_when_it_is_and_holds_up_no_other() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let late = TestFiling::determination(1, "2026-03-19T16:00:05Z");
    let prompt = TestFiling::determination(2, "2026-03-19T16:00:06Z");
    desk.edgar.change(|archive| {
        late.announce(archive);
        prompt.publish(archive);
    });
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1, "the prompt one");

    desk.edgar.change(|archive| archive.add_submission(late.cik(), late.accession(), late.submission().as_bytes()));
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 2);
}

#[tokio::test]
async fn a_listing_notice_unread_for_a_quarter_of_an_hour_is_told_and_the_reading_follows_in_its_thread() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let filing = TestFiling::determination(1, "2026-03-19T16:00:05Z");
    desk.edgar.change(|archive| filing.announce(archive));
    for _ in 0..20 {
        desk.clock.advance(Duration::from_secs(60));
        desk.watcher.cycle(None).await.expect("a cycle");
    }
    assert_eq!(desk.subjects(), ["[GANTRY MICRO, INC.] 8-K with Item 3.01 filed, not readable yet"]);

    desk.edgar
        .change(|archive| archive.add_submission(filing.cik(), filing.accession(), filing.submission().as_bytes()));
    desk.clock.advance(Duration::from_secs(900));
    desk.watcher.cycle(None).await.expect("a cycle");
    let mails = desk.mails();
    assert_eq!(mails.len(), 2);
    let threads: Vec<_> = mails.iter().map(|mail| mail.references().as_text().map(str::to_owned)).collect();
    assert!(threads[0].is_some() && threads[0] == threads[1], "{threads:?}");
}

#[tokio::test]
async fn after_ten_minutes_the_documents_of_the_index_page_are_read() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let filing = TestFiling::determination(1, "2026-03-19T16:00:05Z");
    let folder = format!("/Archives/edgar/data/{}/{}", filing.cik, filing.accession().without_dashes());
    let page = format!(
        "<strong>Form 8-K</strong><table class=\"tableFile\" summary=\"Document Format Files\">\
         <tr><td>1</td><td>8-K</td><td><a href=\"{folder}/body.txt\">body.txt</a></td><td>8-K</td><td>1</td></tr></table>"
    );
    desk.edgar.change(|archive| {
        filing.announce(archive);
        archive.files.insert(format!("{folder}/{}-index.htm", filing.accession()), page.into_bytes());
        archive.files.insert(format!("{folder}/body.txt"), filing.body.clone().into_bytes());
    });
    for _ in 0..9 {
        desk.clock.advance(Duration::from_secs(60));
        desk.watcher.cycle(None).await.expect("a cycle");
    }
    assert_eq!(desk.subjects().len(), 0);
    for _ in 0..6 {
        desk.clock.advance(Duration::from_secs(60));
        desk.watcher.cycle(None).await.expect("a cycle");
    }
    assert_eq!(desk.subjects(), ["[GANTRY MICRO, INC.] NASDAQ staff determination: late 10-K (letter of 17 Mar 2026)"]);
}

#[tokio::test]
async fn a_filing_never_published_is_parked_after_a_day_and_the_owner_is_told() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let filing = TestFiling::ordinary(1, "2026-03-19T16:00:05Z");
    desk.edgar.change(|archive| filing.announce(archive));
    desk.edgar.script(|asked, _| asked.target.starts_with("/Archives").then(access_denied));
    desk.watcher.cycle(None).await.expect("a cycle");
    desk.clock.advance(Duration::from_secs(25 * 3600));
    desk.watcher.cycle(None).await.expect("a day later");
    let subjects = desk.subjects();
    assert_eq!(subjects, [format!("[edgar-watch] filing {} could not be read", filing.accession())]);
    let before = desk.edgar.asked().len();
    desk.clock.advance(Duration::from_secs(3600));
    desk.watcher.read_pass(None).await.expect("nothing to read");
    assert_eq!(desk.edgar.asked().len(), before, "a parked filing is not asked for");
}

#[tokio::test]
async fn hrefs_in_the_feed_are_never_followed() {
    let desk = Desk::open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    let filing = TestFiling::determination(1, "2026-03-19T16:00:05Z");
    desk.edgar.change(|archive| {
        filing.publish(archive);
        for line in &mut archive.lines {
            line.xml = line.xml.replace("https://www.sec.gov/Archives", "http://127.0.0.1:9/elsewhere");
        }
    });
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    assert_eq!(desk.subjects().len(), 1);
    assert!(desk.edgar.asked().iter().all(|asked| !asked.target.contains("elsewhere")));
    assert!(desk.clock.now() > "2026-03-19T16:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().expect("an instant"));
}

#[tokio::test]
async fn a_reading_less_sure_than_asked_for_says_check_this() {
    const SURE: &str = "[reading]\ncheck_below = 1.0\n[[subscription]]\nemail = \"desk@example.com\"\n";
    let plan = DeskPlan { subscriptions: SURE, ..DeskPlan::default() };
    let desk = plan.open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk.edgar.change(|archive| TestFiling::determination(2, "2026-03-19T16:00:20Z").publish(archive));
    desk.clock.advance(Duration::from_secs(60));
    desk.watcher.cycle(None).await.expect("a cycle");
    let mails = desk.mails();
    let [mail] = &mails[..] else { panic!("{} mails", mails.len()) };
    let subject = mail.subject().expect("a subject");
    assert!(subject.starts_with("[GANTRY MICRO, INC.] check this: NASDAQ staff determination"), "{subject}");
    for body in [mail.body_text(0).expect("text"), mail.body_html(0).expect("HTML")] {
        assert!(body.contains("Check this") && body.contains("less sure than most"), "{body}");
    }
}
