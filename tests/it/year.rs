//! Simulated time: a world with a truth of its own, lived through by a driven clock.
//!
//! `TMPDIR=/dev/shm cargo test --release --test it year:: -- --ignored --nocapture` lives through a year.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use edgar_watch::clock::Clock;
use edgar_watch::edgar::eastern::eastern_to_utc;
use edgar_watch::edgar::ids::AccessionNumber;
use edgar_watch::tempo::{requests_a_day, until_next_poll};
use mail_parser::MessageParser;

use crate::support::filings::{TestFiling, archive};
use crate::support::simulated::{Plan, SimulatedEdgar, Span, Truth};
use crate::support::smtp::{Act, FakeSmtp, Step};
use crate::support::{DeskPlan, DrivenClock, accession};

/// What a life showed.
struct Life {
    truth: Truth,
    /// How often each letter was told.
    told: BTreeMap<AccessionNumber, usize>,
    recorded: HashSet<AccessionNumber>,
    n_read: i64,
    n_unread: i64,
    store_bytes: u64,
    /// Resident bytes of the whole process at the end of each quarter of the time.
    resident: Vec<u64>,
    n_missed_by_feed: u64,
}

/// Times at which this machine sleeps.
type Sleeps = Vec<Span>;

/// Lives from the day before the plan's first to ten days after its end.
async fn live(plan: Plan, interval: &str, sleeps: Sleeps, relay_is_down: Vec<Span>) -> Life {
    let begins_at = eastern_to_utc(plan.first.and_hms_opt(12, 0, 0).expect("a time")) - TimeDelta::days(1);
    let ends_at = eastern_to_utc(plan.end.and_hms_opt(12, 0, 0).expect("a time")) + TimeDelta::days(10);
    let clock = DrivenClock::at(&begins_at.to_rfc3339());
    let relays_clock = clock.clone();
    let relay = FakeSmtp::scripted(move |step, _| {
        let now = relays_clock.now();
        let is_down = step == Step::Greeting && relay_is_down.iter().any(|span| span.holds(now));
        if is_down { Act::Say("421 4.3.2 shutting down") } else { Act::Go }
    })
    .await;
    let before = (begins_at - TimeDelta::days(2)).to_rfc3339();
    let desk_plan = DeskPlan {
        smtp_port: Some(relay.port()),
        poll: format!("interval = \"{interval}\"\noff_hours_interval = \"10m\""),
        rate: 5,
        ..DeskPlan::default()
    };
    let desk = desk_plan.open_at(archive(&[TestFiling::ordinary(1, &before)]), clock.clone()).await;
    let world = SimulatedEdgar::behind(&desk.edgar, plan, clock.clone());
    let mut chance = fastrand::Rng::with_seed(1);
    let mut resident = Vec::new();
    loop {
        let now = clock.now();
        let lived = (now - begins_at).num_seconds() * 4 / (ends_at - begins_at).num_seconds();
        if usize::try_from(lived).expect("time goes on") > resident.len() {
            resident.push(resident_bytes());
        }
        if now >= ends_at {
            break;
        }
        if let Some(sleep) = sleeps.iter().find(|sleep| sleep.holds(now)) {
            clock.advance((sleep.to - now).to_std().expect("a later time"));
            continue;
        }
        desk.edgar.forget_asked();
        // What is wrong for a while is part of the story; the end shows whether anything came of it.
        let _ = desk.watcher.cycle(None).await;
        clock.advance(until_next_poll(&desk.settings.poll, clock.now(), chance.u64(..)));
    }
    let mut told = BTreeMap::new();
    for taken in relay.taken() {
        let mail = MessageParser::default().parse(&taken.bytes).expect("a mail");
        // Mail to the owner is about none.
        let name = accession(&mail);
        if !name.is_empty() {
            *told.entry(name.parse().expect("an accession number")).or_default() += 1;
        }
    }
    let counts = desk.watcher.store.count_filings().await.expect("counts");
    let recorded = desk.watcher.store.accessions_of(&desk.settings.watch.forms).await.expect("accessions");
    let days = desk.watcher.store.latest_days(1000).await.expect("the ledger");
    Life {
        truth: world.truth(),
        told,
        recorded,
        n_read: counts.get("read").copied().unwrap_or(0),
        n_unread: counts.get("found").copied().unwrap_or(0),
        store_bytes: desk.watcher.store.size_bytes().await.expect("a size"),
        resident,
        n_missed_by_feed: days.iter().map(|day| u64::from(day.counts.n_missed)).sum(),
    }
}

/// What this process holds in memory; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

impl Life {
    fn n_dropped(&self) -> usize {
        self.truth.filings.values().filter(|(_, is_shown)| !is_shown).count()
    }

    /// Nothing missed and nothing twice.
    fn check(&self) {
        let expected: BTreeMap<AccessionNumber, usize> = self.truth.letters.iter().map(|letter| (*letter, 1)).collect();
        let missed: Vec<_> = expected.keys().filter(|letter| !self.told.contains_key(letter)).collect();
        let doubled: Vec<_> = self.told.iter().filter(|(_, n)| **n > 1).collect();
        assert_eq!((missed, doubled), (Vec::new(), Vec::new()));
        assert_eq!(self.told, expected, "and nothing was made up");
        let unseen: Vec<_> =
            self.truth.filings.iter().filter(|(accession, _)| !self.recorded.contains(accession)).collect();
        assert_eq!(unseen, Vec::new(), "by accession: the date it bears, and whether the feed showed it");
        assert_eq!(self.n_unread, 0);
        assert_eq!(usize::try_from(self.n_read).expect("a count"), self.truth.filings.len());
    }

    fn print(&self) {
        let Truth { filings, n_all, n_largest_day, letters, n_dated_back, requests, n_block_pages } = &self.truth;
        let (n_filings, n_dropped) = (filings.len(), self.n_dropped());
        println!(
            "{n_all} filings in the indexes, {n_largest_day} on the largest day; {n_filings} 8-Ks, {} letters",
            letters.len()
        );
        println!(
            "{n_dropped} never in the feed ({} found in indexes first), {n_dated_back} dated back",
            self.n_missed_by_feed
        );
        let mut per_day: Vec<usize> = requests.values().map(|(_, others)| *others).collect();
        per_day.sort_unstable();
        let (median, most) = (per_day[per_day.len() / 2], per_day[per_day.len() - 1]);
        println!("requests a day without those for filings: median {median}, most {most}; {n_block_pages} block pages");
        let per_100_000 = self.store_bytes * 100_000 / u64::try_from(n_filings).expect("a count").max(1);
        println!("store {} bytes, {per_100_000} for 100,000 filings read", self.store_bytes);
        let resident: Vec<u64> = self.resident.iter().map(|bytes| bytes / 1_000_000).collect();
        println!("resident at the quarters of the time, world and relay included: {resident:?} MB");
    }
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect(text)
}

/// Two weeks with the change to summer time, an evening without EDGAR, a night without this machine and a relay that is
/// down for six hours.
#[tokio::test]
async fn in_two_weeks_nothing_is_missed_and_nothing_told_twice() {
    let plan = Plan {
        seed: 3,
        first: date("2026-03-02"),
        end: date("2026-03-14"),
        largest_day: 1_500,
        outages: vec![Span::hours("2026-03-04T20:30:00Z", 9)],
        closed: vec![date("2026-03-06")],
    };
    let sleeps = vec![Span::hours("2026-03-10T21:30:00Z", 20)];
    let life = live(plan, "2m", sleeps, vec![Span::hours("2026-03-12T15:00:00Z", 6)]).await;
    life.print();
    life.check();
    assert!(life.truth.letters.len() > 3 && life.n_dropped() > 3 && life.n_missed_by_feed > 0);
}

/// One day of full size at the default tempo.
#[tokio::test]
async fn a_day_at_the_default_tempo_costs_less_than_6000_requests() {
    let plan = Plan {
        seed: 5,
        first: date("2026-05-12"),
        end: date("2026-05-13"),
        largest_day: 7_000,
        outages: Vec::new(),
        closed: Vec::new(),
    };
    let life = live(plan, "10s", vec![Span::hours("2026-05-13T04:00:00Z", 24 * 9)], Vec::new()).await;
    life.print();
    life.check();
    let n_requests = life.truth.requests[&date("2026-05-12")].1;
    let poll = edgar_watch::config::PollSettings {
        interval: Duration::from_secs(10),
        off_hours_interval: Duration::from_secs(600),
    };
    let promised = requests_a_day(&poll, 1);
    assert!(n_requests as u64 <= promised && promised <= 6_000, "{n_requests} requests, {promised} promised");
}

/// 250 business days of full size.
#[tokio::test]
#[ignore = "takes a quarter of an hour in a release build"]
async fn in_a_year_nothing_is_missed_and_nothing_told_twice() {
    let plan = Plan {
        seed: 11,
        first: date("2026-01-05"),
        end: date("2027-01-04"),
        largest_day: 7_000,
        outages: vec![
            Span::hours("2026-01-20T14:00:00Z", 3),
            Span::hours("2026-03-07T05:00:00Z", 30),
            Span::hours("2026-05-15T20:05:00Z", 2),
            Span::hours("2026-08-14T19:00:00Z", 70),
            Span::hours("2026-11-12T02:00:00Z", 12),
        ],
        closed: vec![date("2026-01-26"), date("2026-12-24")],
    };
    let sleeps = vec![
        Span::hours("2026-02-10T20:55:00Z", 1),
        Span::hours("2026-04-01T10:30:00Z", 26),
        Span::hours("2026-06-24T21:00:00Z", 14 * 24),
        Span::hours("2026-09-30T20:00:00Z", 5 * 24),
        Span::hours("2026-10-31T03:00:00Z", 60),
    ];
    let life = live(plan, "5m", sleeps, vec![Span::hours("2026-07-20T13:00:00Z", 30)]).await;
    life.print();
    life.check();
    let [first, .., last] = life.resident[..] else { panic!("no quarters") };
    assert!(last < first + first / 2, "memory grows: {:?}", life.resident);
}
