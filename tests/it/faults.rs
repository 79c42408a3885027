//! The fault matrix: every endpoint of EDGAR and every step of a relay goes wrong in every way for a while. After it, each
//! filing has been told once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use chrono::NaiveDate;
use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::{Archive, FeedLine, LoopbackEdgar, answer_from};
use edgar_watch::edgar::client::{ClientSettings, EdgarClient, Limits};
use edgar_watch::edgar::pace::Priority;
use edgar_watch::passes::{client_settings, set_aside_fact};
use edgar_watch::store::MessageState;

use crate::support::filings::{TestFiling, archive};
use crate::support::smtp::{Act, Authority, FakeSmtp, Step};
use crate::support::wire::{BOMB_BYTES, Fault, Wire};
use crate::support::{Desk, DeskPlan, DrivenClock, accession};

const NOON: &str = "2026-03-19T16:00:00Z";
const MINUTE: Duration = Duration::from_secs(60);

/// Whether a request is for an endpoint.
type IsFor = fn(&str) -> bool;

/// The endpoints, each by what its requests have in common.
const ENDPOINTS: [(&str, IsFor); 7] = [
    ("feed", |target| target.starts_with("/cgi-bin/browse-edgar")),
    ("submission in its folder", |target| target.ends_with(".txt") && target.matches('/').count() == 6),
    ("submission", |target| target.ends_with(".txt")),
    ("list of indexes", |target| target.ends_with("index.json")),
    ("daily index", |target| target.contains("/master.")),
    ("index page", |target| target.ends_with("-index.htm")),
    ("ticker map", |target| target.ends_with("company_tickers.json")),
];

fn letter(number: u32, minute: u32) -> TestFiling {
    TestFiling::determination(number, &format!("2026-03-19T16:{minute:02}:00Z"))
}

/// The letters of the day: what the feed shows, and what it does not.
fn letters() -> (Vec<TestFiling>, TestFiling) {
    ((11..14).map(|number| letter(number, number)).collect(), letter(14, 14))
}

fn with_map(mut archive: Archive) -> Archive {
    let map = "{\"0\":{\"cik_str\":9991011,\"ticker\":\"GNTR\",\"title\":\"GANTRY MICRO\"}}";
    archive.files.insert("/files/company_tickers.json".to_owned(), map.as_bytes().to_vec());
    archive
}

/// A desk that has its baseline and reaches EDGAR over a wire that can be broken.
async fn desk_on_a_wire() -> (Desk, Wire) {
    let served = with_map(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]));
    let edgar = LoopbackEdgar::start(served).await.expect("a port");
    let wire = Wire::to(&edgar.url()).await;
    let mut desk = DeskPlan::default().open_on(edgar, &wire.url(), DrivenClock::at(NOON)).await;
    let settings = ClientSettings {
        // Short, since the wire's clock is the real one.
        limits: Limits {
            small_answer: Duration::from_secs(1),
            large_answer: Duration::from_secs(1),
            small_bytes: BOMB_BYTES as u64 / 2,
            large_bytes: BOMB_BYTES as u64 / 2,
            ..Limits::default()
        },
        ..client_settings(&desk.settings, Priority::Live)
    };
    let budget = Arc::new(desk.watcher.store.clone());
    desk.watcher.client = EdgarClient::new(settings, budget, Arc::new(desk.clock.clone())).expect("a client");
    desk.watcher.cycle(None).await.expect("the baseline");
    (desk, wire)
}

/// How often each accession was told.
fn told(desk: &Desk) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for mail in desk.mails() {
        if mail.subject().unwrap_or_default().contains("determination") {
            *told.entry(accession(&mail)).or_default() += 1;
        }
    }
    told
}

async fn check_fault(name: &str, is_hit: IsFor, fault: Fault) -> Result<(), String> {
    let (desk, mut wire) = desk_on_a_wire().await;
    let (shown, unshown) = letters();
    desk.edgar.change(|archive| {
        shown.iter().for_each(|letter| letter.publish(archive));
        unshown.file(archive);
        unshown.publish_index_page(archive);
        let day: NaiveDate = "2026-03-19".parse().expect("a date");
        archive.write_index(day, day.and_hms_opt(22, 8, 0).expect("a time"));
    });
    // Half past ten in the evening: the day is reconciled as well.
    desk.clock.set("2026-03-20T02:30:00Z");
    wire.break_with(fault, is_hit).await;
    for _ in 0..3 {
        // How it fails is for other tests; here nothing is to be lost by it.
        let _ = desk.watcher.cycle(None).await;
        desk.clock.advance(MINUTE);
    }
    if wire.n_hits() == 0 {
        return Err(format!("{name}, {fault:?}: was never asked"));
    }
    wire.mend().await;
    for _ in 0..12 {
        let _ = desk.watcher.cycle(None).await;
        desk.clock.advance(5 * MINUTE);
    }
    let expected: BTreeMap<String, usize> =
        shown.iter().chain([&unshown]).map(|letter| (letter.accession().to_string(), 1)).collect();
    let found = told(&desk);
    if found != expected {
        return Err(format!("{name}, {fault:?}: told {found:?}"));
    }
    match desk.watcher.cycle(None).await {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("{name}, {fault:?}: not well after it: {error}")),
    }
}

#[tokio::test]
async fn whatever_goes_wrong_at_an_endpoint_every_filing_is_told_once_after_it() {
    let mut wrong = Vec::new();
    for (name, is_hit) in ENDPOINTS {
        for fault in Fault::ALL {
            wrong.extend(check_fault(name, is_hit, fault).await.err());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

type Spoil = fn(Vec<FeedLine>, u64) -> Vec<FeedLine>;

/// What the feed itself can have wrong.
const SPOILED_FEEDS: [(&str, Spoil); 5] = [
    ("out of order", |mut lines, chance| {
        fastrand::Rng::with_seed(chance).shuffle(&mut lines);
        lines
    }),
    ("duplicated", |lines, _| lines.into_iter().flat_map(|line| [line.clone(), line]).collect()),
    ("a quarter missing", |lines, chance| {
        let mut chance = fastrand::Rng::with_seed(chance);
        lines.into_iter().filter(|_| chance.u8(0..4) > 0).collect()
    }),
    ("its clock ahead", |lines, _| shift(lines, "-03:00")),
    ("its clock behind", |lines, _| shift(lines, "-05:00")),
];

/// The times as another zone would have them.
fn shift(lines: Vec<FeedLine>, zone: &str) -> Vec<FeedLine> {
    let moved =
        |line: FeedLine| FeedLine { xml: line.xml.replace("-04:00</updated>", &format!("{zone}</updated>")), ..line };
    lines.into_iter().map(moved).collect()
}

#[tokio::test]
async fn whatever_is_wrong_with_the_feed_every_filing_is_told_once_in_the_end() {
    for (name, spoil) in SPOILED_FEEDS {
        let mut others: Vec<TestFiling> =
            (0..150).map(|n| TestFiling::ordinary(100 + n, "2026-03-19T15:00:00Z")).collect();
        for (n, other) in others.iter_mut().enumerate() {
            other.accepted_at += chrono::TimeDelta::seconds(10 * i64::try_from(n).expect("small"));
        }
        let desk = Desk::open(with_map(archive(&others)), NOON).await;
        desk.watcher.cycle(None).await.expect("the baseline");
        let asked = AtomicU64::new(0);
        desk.edgar.script(move |request, archive| {
            if !request.target.starts_with("/cgi-bin") {
                return None;
            }
            let chance = asked.fetch_add(1, SeqCst);
            let lines = spoil(archive.lines.clone(), chance);
            Some(answer_from(&Archive { lines, ..Archive::default() }, request))
        });
        let letters: Vec<TestFiling> = (11..31).map(|number| letter(number, number)).collect();
        for letter in &letters {
            desk.edgar.change(|archive| letter.publish(archive));
            desk.clock.advance(MINUTE);
            let _ = desk.watcher.cycle(None).await;
        }
        desk.edgar.unscript();
        desk.edgar.change(|archive| {
            let day: NaiveDate = "2026-03-19".parse().expect("a date");
            archive.write_index(day, day.and_hms_opt(22, 8, 0).expect("a time"));
        });
        desk.clock.set("2026-03-20T02:30:00Z");
        for _ in 0..6 {
            desk.watcher.cycle(None).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            desk.clock.advance(5 * MINUTE);
        }
        let expected: BTreeMap<String, usize> =
            letters.iter().map(|letter| (letter.accession().to_string(), 1)).collect();
        assert_eq!(told(&desk), expected, "{name}");
    }
}

/// What a relay can do at a step, and whether the mail then waits or is set aside.
const RELAY_FAULTS: [(Act, bool); 5] = [
    (Act::Say("421 4.3.2 shutting down"), false),
    (Act::Say("451 4.3.0 come again"), false),
    (Act::Say("550 5.7.1 not here"), true),
    (Act::Say("not SMTP at all"), false),
    (Act::Close, false),
];

#[tokio::test]
async fn whatever_a_relay_says_at_any_step_every_mail_is_taken_once_after_it() {
    for step in [Step::Greeting, Step::Ehlo, Step::Mail, Step::Rcpt, Step::Data, Step::Dot] {
        for (act, is_final) in RELAY_FAULTS {
            let name = format!("{act:?} at {step:?}");
            let broken = Arc::new(AtomicBool::new(true));
            let (asked, at) = (broken.clone(), act.clone());
            let relay = FakeSmtp::scripted(move |now, _| match asked.load(SeqCst) {
                true if now == step => at.clone(),
                _ => Act::Go,
            })
            .await;
            let subscriptions =
                "[[subscription]]\nemail = \"first@example.com\"\n[[subscription]]\nemail = \"second@example.com\"\n";
            let plan = DeskPlan { smtp_port: Some(relay.port()), subscriptions, ..DeskPlan::default() };
            let desk = plan.open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
            desk.watcher.cycle(None).await.expect("the baseline");
            desk.edgar.change(|archive| letter(11, 1).publish(archive));
            desk.clock.advance(MINUTE);
            for _ in 0..2 {
                let _ = desk.watcher.cycle(None).await;
                desk.clock.advance(MINUTE);
            }
            assert!(relay.taken().is_empty(), "{name}: {:?}", relay.taken());
            broken.store(false, SeqCst);
            let store = &desk.watcher.store;
            // A refusal for good is about a mail only where the relay had heard of it.
            let about_mail = !matches!(step, Step::Greeting | Step::Ehlo);
            for row in store.open_messages().await.expect("the outbox") {
                let is_aside = row.state == MessageState::SetAside;
                assert_eq!(is_aside, is_final && about_mail, "{name}: {row:?}");
                if is_aside {
                    store.retry_message(row.id, &set_aside_fact(row.id), desk.clock.now()).await.expect("tried again");
                }
            }
            for _ in 0..4 {
                desk.clock.advance(5 * MINUTE);
                desk.watcher.cycle(None).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            for to in ["first@example.com", "second@example.com"] {
                let taken: Vec<_> = relay.taken().into_iter().filter(|mail| mail.to == to).collect();
                assert_eq!(taken.len(), 1, "{name}: {to}");
                let same =
                    relay.seen().into_iter().filter(|mail| mail.to == to).all(|mail| mail.bytes == taken[0].bytes);
                assert!(same, "{name}: every attempt has the same bytes");
            }
        }
    }
}

/// A fault of a relay that encrypts and wants a password, and how it is mended.
struct LoginFault {
    name: &'static str,
    act: fn(Step) -> Act,
    /// Whose certificate it shows at first, and for which host.
    by_stranger: bool,
    host: &'static str,
}

const LOGIN_FAULTS: [LoginFault; 7] = [
    LoginFault { name: "STARTTLS refused", act: |step| at(step, Step::Starttls, "454 4.7.0 not now"), ..SOUND },
    LoginFault { name: "STARTTLS cut", act: |step| if step == Step::Starttls { Act::Close } else { Act::Go }, ..SOUND },
    LoginFault { name: "a stranger's certificate", by_stranger: true, ..SOUND },
    LoginFault { name: "a certificate for another host", host: "elsewhere.example", ..SOUND },
    LoginFault { name: "AUTH refused", act: |step| at(step, Step::Auth, "535 5.7.8 wrong password"), ..SOUND },
    LoginFault { name: "AUTH put off", act: |step| at(step, Step::Auth, "454 4.7.0 come again"), ..SOUND },
    LoginFault { name: "AUTH cut", act: |step| if step == Step::Auth { Act::Close } else { Act::Go }, ..SOUND },
];
const SOUND: LoginFault = LoginFault { name: "", act: |_| Act::Go, by_stranger: false, host: "127.0.0.1" };

fn at(step: Step, wanted: Step, words: &'static str) -> Act {
    if step == wanted { Act::Say(words) } else { Act::Go }
}

#[tokio::test]
async fn whatever_keeps_it_from_logging_in_every_mail_is_taken_once_after_it() {
    let (ours, strange) = (Authority::new(), Authority::new());
    for fault in LOGIN_FAULTS {
        let broken = Arc::new(AtomicBool::new(true));
        let asked = broken.clone();
        let relay =
            FakeSmtp::scripted(move |step, _| if asked.load(SeqCst) { (fault.act)(step) } else { Act::Go }).await;
        relay.offer_tls(if fault.by_stranger { &strange } else { &ours }, fault.host);
        let keys = "tls = \"starttls\"\nca_file = \"ca.pem\"\nusername = \"desk\"\npassword_file = \"password\"";
        let plan = DeskPlan { smtp_port: Some(relay.port()), smtp_keys: keys, ..DeskPlan::default() };
        let desk = plan.open(archive(&[TestFiling::ordinary(1, "2026-03-19T14:00:00Z")]), NOON).await;
        std::fs::write(desk.folder.path().join("ca.pem"), ours.pem()).expect("a file");
        std::fs::write(desk.folder.path().join("password"), "wicket\n").expect("a file");
        desk.watcher.cycle(None).await.expect("the baseline");
        desk.edgar.change(|archive| letter(11, 1).publish(archive));
        desk.clock.advance(MINUTE);
        desk.watcher.cycle(None).await.expect_err(fault.name);
        assert!(relay.seen().is_empty(), "{}: {:?}", fault.name, relay.seen());
        let waiting = desk.watcher.store.open_messages().await.expect("the outbox");
        assert!(waiting.iter().all(|row| row.state == MessageState::Waiting), "{}: {waiting:?}", fault.name);
        broken.store(false, SeqCst);
        relay.offer_tls(&ours, "127.0.0.1");
        desk.clock.advance(MINUTE);
        desk.watcher.cycle(None).await.unwrap_or_else(|error| panic!("{}: {error}", fault.name));
        assert_eq!(relay.taken().len(), 1, "{}", fault.name);
    }
}
