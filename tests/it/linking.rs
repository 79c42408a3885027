//! The same letter in more than one filing: told once to each, corrected where it was wrong, marked where it is unclear.

use std::process::Command;
use std::time::Duration;

use edgar_watch::classify::{Basis, EventKind, EventStatus, Exchange, ListingEvent};
use edgar_watch::config;
use edgar_watch::demo::edgar::Archive;
use edgar_watch::edgar::feed::Filer;
use edgar_watch::edgar::ids::FormType;
use edgar_watch::linking::{Link, Relation};
use edgar_watch::store::{Consequences, FeedQueryState, FilingState, NewFiling, ReadFiling, Source};
use mail_parser::Message;
use serde_json::Value;

use crate::support::filings::TestFiling;
use crate::support::{Desk, DeskPlan, accession};

/// A Thursday noon in New York.
const NOON: &str = "2026-03-19T16:00:00Z";
/// The wire's 8-K, and one an hour after it.
const WIRE: &str = "2026-03-19T16:00:20Z";
const LATER: &str = "2026-03-19T17:00:20Z";
const ISSUER: u64 = 9_991_500;

/// An 8-K of one issuer.
fn filing(number: u32, accepted_at: &str, body: String) -> TestFiling {
    TestFiling { cik: ISSUER, body, ..TestFiling::determination(number, accepted_at) }
}

/// A determination on a late report. `date` says since when the company knows; `rest` closes the paragraph.
fn determination(date: &str, rest: &str) -> String {
    format!(
        "Item 3.01 Notice of Delisting or Failure to Satisfy a Continued Listing Rule or Standard.\n\n\
         {date} a Staff Determination letter from The Nasdaq Stock Market stating that the Company's securities will \
         be delisted because it has not filed its Form 10-K for the fiscal year ended December 31, 2025, as required \
         by Listing Rule 5250(c)(1).{rest}\n"
    )
}

const RECEIVED: &str = "On March 17, 2026, the Company received";
const UNDATED: &str = "The Company announced that it has received";

/// A desk whose baseline is done.
async fn desk(subscriptions: &'static str) -> Desk {
    let plan = DeskPlan { subscriptions, ..DeskPlan::default() };
    let desk = plan.open(Archive::default(), NOON).await;
    desk.watcher.cycle(None).await.expect("the baseline");
    desk
}

const ONE: &str = "[[subscription]]\nemail = \"desk@example.com\"\n";

/// Publishes a filing and lets a cycle read it.
async fn file(desk: &Desk, filing: &TestFiling) {
    desk.edgar.change(|archive| filing.publish(archive));
    cycle(desk).await;
}

async fn cycle(desk: &Desk) {
    desk.clock.advance(Duration::from_secs(3600));
    desk.watcher.cycle(None).await.expect("a cycle");
}

/// Recipient and accession of each mail, sorted.
fn told(desk: &Desk) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = desk.mails().iter().map(|mail| (to(mail), accession(mail))).collect();
    told.sort();
    told
}

fn to(mail: &Message) -> String {
    mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default().to_owned()
}

/// The mail on a filing, of which there is one.
fn mail_on(desk: &Desk, filing: &TestFiling) -> Message<'static> {
    let name = filing.accession().to_string();
    let mut mails: Vec<_> = desk.mails().into_iter().filter(|mail| accession(mail) == name).collect();
    assert_eq!(mails.len(), 1, "mails on {name}");
    mails.remove(0)
}

async fn links(desk: &Desk, filing: &TestFiling) -> Vec<Link> {
    desk.watcher.store.links_of(filing.accession()).await.expect("links")
}

/// What `alerts` prints.
async fn alerts(desk: &Desk, args: &[&str]) -> String {
    let subscriptions = DeskPlan { subscriptions: ONE, ..DeskPlan::default() };
    std::fs::write(desk.folder.path().join("desk.toml"), desk.text(&subscriptions)).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgar-watch"));
    command.args(["--config", "desk.toml", "alerts"]).args(args);
    command.current_dir(desk.folder.path()).env_remove("EDGAR_WATCH_CONFIG").env_remove("RUST_LOG");
    let output = tokio::task::spawn_blocking(move || command.output().expect("the binary runs")).await;
    let output = output.expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test]
async fn the_same_letter_in_a_second_filing_is_withheld_and_alerts_says_so() {
    let desk = desk(ONE).await;
    let wire = filing(1, WIRE, determination(RECEIVED, ""));
    let second = filing(2, LATER, determination(RECEIVED, " The Company will appeal."));
    file(&desk, &wire).await;
    file(&desk, &second).await;
    assert_eq!(told(&desk), [("desk@example.com".to_owned(), wire.accession().to_string())]);
    let listed = alerts(&desk, &[]).await;
    let expected = format!("    desk@example.com  withheld: already told by alert {}\n", wire.accession());
    assert!(listed.ends_with(&expected), "{listed}");

    let lines = alerts(&desk, &["--json"]).await;
    let alert: Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON");
    assert_eq!(alert["withheld"][0]["recipient"], "desk@example.com");
    assert_eq!(alert["withheld"][0]["told_by"][0], wire.accession().to_string());
    assert_eq!(alert["notices"], Value::Array(Vec::new()));
    assert_eq!(alert["letters"][0]["relation"], "repeat");
    assert_eq!(alert["letters"][0]["letter"]["accession"], wire.accession().to_string());
}

#[tokio::test]
async fn who_was_not_told_gets_the_repeat_and_reads_where_it_was_first_told() {
    let mut desk = desk(ONE).await;
    let wire = filing(1, WIRE, determination(RECEIVED, ""));
    let second = filing(2, LATER, determination(RECEIVED, ""));
    file(&desk, &wire).await;
    let late = "[[subscription]]\nemail = \"desk@example.com\"\n[[subscription]]\nemail = \"late@example.com\"\n";
    let plan = DeskPlan { subscriptions: late, ..DeskPlan::default() };
    let settings = config::parse(&desk.text(&plan), "test", desk.folder.path());
    desk.settings = std::sync::Arc::new(settings.expect("a configuration"));
    desk.restart().await;
    file(&desk, &second).await;

    let mail = mail_on(&desk, &second);
    assert_eq!(to(&mail), "late@example.com");
    let (text, html) = (mail.body_text(0).expect("text"), mail.body_html(0).expect("HTML"));
    let sentence = format!("First reported in {} (filed 19 Mar 2026).", wire.accession());
    assert!(text.contains(&sentence) && html.contains(&sentence), "{text}");
    let references = mail.references().as_text_list().map(<[_]>::len);
    assert_eq!(references, Some(1), "the issuer's thread");
}

#[tokio::test]
async fn whoever_asked_for_another_part_of_a_filing_is_told() {
    let bid = "[[subscription]]\nemail = \"bid@example.com\"\nbases = [\"bid_price\"]\n\
               [[subscription]]\nemail = \"desk@example.com\"\n";
    let desk = desk(bid).await;
    let wire = filing(1, WIRE, determination(RECEIVED, ""));
    let more = "\n\nOn March 18, 2026, the Company received a Staff Determination letter from The Nasdaq Stock Market \
                stating that the Company's securities will be delisted because the bid price of its common stock closed \
                below $1.00 per share, as required by Listing Rule 5550(a)(2).";
    let second = filing(2, LATER, determination(RECEIVED, more));
    file(&desk, &wire).await;
    file(&desk, &second).await;
    let (first, second) = (wire.accession().to_string(), second.accession().to_string());
    let expected = [("bid@example.com", &second), ("desk@example.com", &first), ("desk@example.com", &second)];
    assert_eq!(told(&desk), expected.map(|(to, accession)| (to.to_owned(), accession.clone())));
}

#[tokio::test]
async fn a_changed_deadline_is_told_to_everyone_with_what_changed() {
    let desk = desk(ONE).await;
    let due = |day: &str| format!(" Trading will be suspended at the opening of business on {day}.");
    let wire = filing(1, WIRE, determination(RECEIVED, &due("September 14, 2026")));
    let mut amended = filing(2, LATER, determination(RECEIVED, &due("September 21, 2026")));
    amended.form = "8-K/A";
    file(&desk, &wire).await;
    file(&desk, &amended).await;
    let mail = mail_on(&desk, &amended);
    let subject = mail.subject().expect("a subject");
    assert!(subject.starts_with("[GANTRY MICRO, INC.] correction: NASDAQ staff determination"), "{subject}");
    let (text, html) = (mail.body_text(0).expect("text"), mail.body_html(0).expect("HTML"));
    let corrects = format!("Corrects the alert of {} (filed 19 Mar 2026):", wire.accession());
    for part in [&corrects, "trading suspended: 21 Sep 2026, was 14 Sep 2026"] {
        assert!(text.contains(part) && html.contains(part), "{part}: {text}");
    }

    // A calendar moves the entry instead of adding another.
    let entry = |mail: &mail_parser::Message<'_>| {
        let calendar = mail.attachment(0).and_then(|part| part.text_contents()).expect("the dates").to_owned();
        let entries = calendar.split("BEGIN:VEVENT").filter(|entry| entry.contains(".suspension.")).map(str::to_owned);
        let entry = entries.last().expect("the suspension");
        let value = |key: &str| {
            let line = entry.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_else(|| panic!("no {key} in {entry}")).trim().to_owned()
        };
        (value("UID:"), value("SEQUENCE:").parse::<u32>().expect("a number"), value("DTSTART;VALUE=DATE:"))
    };
    let (first, second) = (entry(&mail_on(&desk, &wire)), entry(&mail));
    assert_eq!((&first.0, first.2.as_str(), second.2.as_str()), (&second.0, "20260914", "20260921"));
    assert!(first.1 == 0 && second.1 > 0, "{} {}", first.1, second.1);

    // Whoever knows the correction is not told it again.
    file(&desk, &filing(3, "2026-03-19T18:00:20Z", determination(RECEIVED, &due("September 21, 2026")))).await;
    assert_eq!(told(&desk).len(), 2);
}

#[tokio::test]
async fn an_undated_telling_is_sent_and_marked() {
    let desk = desk(ONE).await;
    let wire = filing(1, WIRE, determination(RECEIVED, ""));
    let undated = filing(2, LATER, determination(UNDATED, ""));
    file(&desk, &wire).await;
    file(&desk, &undated).await;
    let mail = mail_on(&desk, &undated);
    let subject = mail.subject().expect("a subject");
    assert!(subject.ends_with(" (may repeat an earlier alert)"), "{subject}");
    let sentence = format!("This may repeat the alert of {} (filed 19 Mar 2026).", wire.accession());
    assert!(mail.body_text(0).expect("text").contains(&sentence));
    assert!(mail.body_html(0).expect("HTML").contains(&sentence));
}

/// Has the later filing read before the wire, which EDGAR publishes late.
async fn read_in_reverse(desk: &Desk, wire: &TestFiling, later: &TestFiling) {
    desk.edgar.change(|archive| {
        wire.announce(archive);
        later.publish(archive);
    });
    desk.clock.advance(Duration::from_secs(10));
    desk.watcher.cycle(None).await.expect("a cycle");
    let mails = desk.mails();
    assert_eq!(mails.iter().map(accession).collect::<Vec<_>>(), [later.accession().to_string()]);
    desk.edgar.change(|archive| archive.add_submission(wire.cik(), wire.accession(), wire.submission().as_bytes()));
    desk.clock.advance(Duration::from_secs(600));
    desk.watcher.cycle(None).await.expect("a cycle");
}

#[tokio::test]
async fn the_order_of_reading_changes_no_link_and_nobody_is_told_twice() {
    let (wire, later) = (filing(1, WIRE, determination(RECEIVED, "")), filing(2, LATER, determination(RECEIVED, "")));
    let in_order = desk(ONE).await;
    file(&in_order, &wire).await;
    file(&in_order, &later).await;
    let reversed = desk(ONE).await;
    read_in_reverse(&reversed, &wire, &later).await;
    for filing in [&wire, &later] {
        let expected = links(&in_order, filing).await;
        assert_eq!(expected.len(), 1);
        assert_eq!(links(&reversed, filing).await, expected);
    }
    assert_eq!(told(&in_order), [("desk@example.com".to_owned(), wire.accession().to_string())]);
    assert_eq!(told(&reversed), [("desk@example.com".to_owned(), later.accession().to_string())]);
}

#[tokio::test]
async fn a_doubt_is_marked_in_either_order_of_reading() {
    let (wire, later) = (filing(1, WIRE, determination(RECEIVED, "")), filing(2, LATER, determination(UNDATED, "")));
    let desk = desk(ONE).await;
    read_in_reverse(&desk, &wire, &later).await;
    let mail = mail_on(&desk, &wire);
    assert!(mail.subject().expect("a subject").ends_with(" (may repeat an earlier alert)"));
    assert_eq!(links(&desk, &wire).await[0].relation, Relation::First);
}

#[tokio::test]
async fn a_correction_that_comes_to_light_in_between_releases_what_was_withheld() {
    let due = |day: &str| {
        let rest = format!(" Trading will be suspended at the opening of business on {day}.");
        determination(RECEIVED, &rest)
    };
    let desk = desk(ONE).await;
    let first = filing(1, WIRE, due("September 14, 2026"));
    let between = filing(2, LATER, due("September 21, 2026"));
    let last = filing(3, "2026-03-19T18:00:20Z", due("September 14, 2026"));
    file(&desk, &first).await;
    file(&desk, &last).await;
    assert_eq!(told(&desk).len(), 1, "the last says what the first said");
    // It comes to light late, under its own acceptance time.
    file(&desk, &between).await;
    let by = |filing: &TestFiling| ("desk@example.com".to_owned(), filing.accession().to_string());
    assert_eq!(told(&desk), [by(&first), by(&between), by(&last)]);
    let mail = mail_on(&desk, &last);
    let text = mail.body_text(0).expect("text");
    assert!(text.contains("trading suspended: 14 Sep 2026, was 21 Sep 2026"), "{text}");
    assert!(!alerts(&desk, &[]).await.contains("withheld"), "released");
    cycle(&desk).await;
    assert_eq!(told(&desk).len(), 3, "once");
}

/// Records a filing as read, with these events.
async fn record(desk: &Desk, filing: &TestFiling, events: Vec<ListingEvent>) {
    let filers = vec![Filer { cik: filing.cik(), name: filing.name.to_owned() }];
    let found = NewFiling {
        accession: filing.accession(),
        form: FormType::new(filing.form),
        filers: filers.clone(),
        filing_date: filing.filing_date,
        accepted_at: filing.accepted_at,
        seen_at: filing.accepted_at,
        source: Source::Feed,
        items: Vec::new(),
        state: FilingState::Found,
    };
    let store = &desk.watcher.store;
    store.record_pass("8-K", &FeedQueryState::default(), &[found], false).await.expect("a walk recorded");
    let read = ReadFiling {
        accession: filing.accession(),
        read_at: filing.accepted_at,
        classifier_version: 1,
        accepted_at: None,
        filers,
        documents: Vec::new(),
        events,
        is_awaited: false,
    };
    let recorded = store.record_reading(&read, |_| Ok(Consequences::default())).await.expect("a reading recorded");
    assert!(recorded.is_some());
}

#[tokio::test]
async fn two_letters_of_one_day_in_one_filing_stay_two() {
    let desk = desk(ONE).await;
    let letter = |basis| {
        let mut event = ListingEvent::bare(EventKind::StaffDetermination, EventStatus::New, Exchange::Nasdaq);
        event.received = Some("2026-03-17".parse().expect("a date"));
        event.bases = vec![basis];
        event
    };
    let (late, price) = (letter(Basis::LateFiling), letter(Basis::BidPrice));
    let (wire, again) = (filing(1, WIRE, String::new()), filing(2, LATER, String::new()));
    // The later filing is recorded first and tells them the other way round.
    record(&desk, &again, vec![price.clone(), late.clone()]).await;
    record(&desk, &wire, vec![late, price]).await;
    let (first, second) = (links(&desk, &wire).await, links(&desk, &again).await);
    assert!(first.iter().all(|link| link.letter == link.event && link.relation == Relation::First), "{first:#?}");
    let letters: Vec<_> = second.iter().map(|link| (link.letter, &link.relation)).collect();
    assert_eq!(letters, [(first[1].event, &Relation::Repeat), (first[0].event, &Relation::Repeat)]);
}

#[tokio::test]
async fn another_issuers_letter_of_the_same_day_is_told() {
    let desk = desk(ONE).await;
    let wire = filing(1, WIRE, determination(RECEIVED, ""));
    let mut other = filing(2, LATER, determination(RECEIVED, ""));
    other.cik = ISSUER + 1;
    file(&desk, &wire).await;
    file(&desk, &other).await;
    assert_eq!(told(&desk).len(), 2);
    assert_eq!(links(&desk, &other).await[0].relation, Relation::First);
}

#[tokio::test]
async fn whoever_was_promised_the_reading_gets_it_though_it_repeats() {
    let desk = desk(ONE).await;
    let wire = filing(1, WIRE, determination(RECEIVED, ""));
    let second = filing(2, LATER, determination(RECEIVED, ""));
    file(&desk, &wire).await;
    desk.edgar.change(|archive| second.announce(archive));
    cycle(&desk).await;
    cycle(&desk).await;
    assert_eq!(told(&desk).len(), 2, "told that it cannot be read yet");
    desk.edgar
        .change(|archive| archive.add_submission(second.cik(), second.accession(), second.submission().as_bytes()));
    cycle(&desk).await;
    assert_eq!(told(&desk).len(), 3);
}

#[tokio::test]
async fn a_mail_that_was_given_up_has_told_nobody() {
    let desk = desk(ONE).await;
    let wire = filing(1, WIRE, determination(RECEIVED, ""));
    desk.edgar.change(|archive| wire.publish(archive));
    desk.clock.advance(Duration::from_secs(60));
    desk.watcher.poll(None).await.expect("a poll");
    desk.watcher.read(None).await.expect("a reading");
    let now = edgar_watch::clock::Clock::now(&desk.clock);
    assert!(desk.watcher.store.drop_message(1, now).await.expect("the outbox"));
    let second = filing(2, LATER, determination(RECEIVED, ""));
    file(&desk, &second).await;
    assert_eq!(told(&desk), [("desk@example.com".to_owned(), second.accession().to_string())]);
}
