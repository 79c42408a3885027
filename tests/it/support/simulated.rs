//! A simulated EDGAR that lives through days by a driven clock, and the truth about what was filed, kept apart from it.
//!
//! It does as the real one does: what is accepted after 17:30 is shown from 06:00 of the next business day, entries move
//! down while pages are read, the filers of one filing are torn apart, a part never shows in the feed, texts are published
//! before or after that, a few filings bear yesterday's date, indexes are written at about 22:10, late on some days and
//! again when something was dated back. It answers 503 past its feed's depth and while it is down, 403 before a file is
//! there, and once in a while with a block page.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use edgar_watch::clock::Clock;
use edgar_watch::demo::edgar::{Archive, EntryFacts, Filed, LoopbackEdgar, feed_line, page};
use edgar_watch::edgar::eastern::{eastern_date, eastern_to_utc, is_edgar_business_day};
use edgar_watch::edgar::ids::{AccessionNumber, Cik};
use fastrand::Rng;

use super::DrivenClock;
use super::filings::TestFiling;

/// A time the world is not its usual self.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Span {
    pub fn hours(from: &str, hours: i64) -> Self {
        let from: DateTime<Utc> = from.parse().expect(from);
        Self { from, to: from + TimeDelta::hours(hours) }
    }

    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        (self.from..self.to).contains(&now)
    }
}

/// How the world is made.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// The first date with filings.
    pub first: NaiveDate,
    /// The first without again.
    pub end: NaiveDate,
    /// Filings of all forms on the largest days.
    pub largest_day: u32,
    /// EDGAR answers 503 to everything.
    pub outages: Vec<Span>,
    /// Days on which EDGAR is closed though no calendar says so.
    pub closed: Vec<NaiveDate>,
}

impl Plan {
    fn is_open(&self, day: NaiveDate) -> bool {
        is_edgar_business_day(day) && !self.closed.contains(&day)
    }
}

/// What was filed.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// 8-Ks and their amendments: the date each bears, and whether the feed was to show it.
    pub filings: BTreeMap<AccessionNumber, (NaiveDate, bool)>,
    /// Filings of all forms.
    pub n_all: usize,
    /// On the largest day.
    pub n_largest_day: usize,
    /// Those that report a new determination.
    pub letters: BTreeSet<AccessionNumber>,
    /// Filings that bore an earlier date.
    pub n_dated_back: usize,
    /// Requests by Eastern date: those for filings, and all others.
    pub requests: BTreeMap<NaiveDate, (usize, usize)>,
    pub n_block_pages: usize,
}

enum Happening {
    Show(AccessionNumber),
    Publish(AccessionNumber),
    WriteIndex(NaiveDate),
    /// Another day's filings are made up, and what is long past is thrown away.
    Dawn(NaiveDate),
}

struct World {
    plan: Plan,
    chance: Rng,
    schedule: BTreeMap<(DateTime<Utc>, u64), Happening>,
    n_scheduled: u64,
    filings: HashMap<AccessionNumber, TestFiling>,
    next_number: u32,
    truth: Truth,
}

/// Lines that EDGAR's feed holds of one form, and a few more.
const KEPT_LINES: usize = 6_000;
/// For how long filings and indexes can be asked for.
const KEPT: Days = Days::new(30);
/// One of so many is never shown by the feed.
const DROPPED: u32 = 60;
/// One of so many bears an earlier date.
const DATED_BACK: u32 = 300;
/// One of so many requests is answered with a block page.
const BLOCKED: u32 = 60_000;

impl World {
    fn at(&mut self, when: DateTime<Utc>, happening: Happening) {
        self.n_scheduled += 1;
        self.schedule.insert((when, self.n_scheduled), happening);
    }

    /// Lets everything happen that was due by now.
    fn live_until(&mut self, now: DateTime<Utc>, archive: &mut Archive) {
        while let Some(entry) = self.schedule.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let (when, happening) = (entry.key().0, entry.remove());
            match happening {
                Happening::Show(accession) => self.show(accession, archive),
                Happening::Publish(accession) => {
                    let filing = &self.filings[&accession];
                    archive.add_submission(filing.cik(), accession, filing.submission().as_bytes());
                    filing.publish_index_page(archive);
                }
                Happening::WriteIndex(day) => {
                    archive.write_index(day, edgar_watch::edgar::eastern::eastern(when));
                }
                Happening::Dawn(day) => {
                    self.throw_away(day, archive);
                    if day < self.plan.end {
                        self.make_day(day, archive);
                        let next = day.succ_opt().expect("a date");
                        self.at(eastern_to_utc(next.and_time(NaiveTime::MIN)), Happening::Dawn(next));
                    }
                }
            }
        }
    }

    fn show(&mut self, accession: AccessionNumber, archive: &mut Archive) {
        let filing = &self.filings[&accession];
        for (n, (cik, name)) in [(filing.cik, filing.name)].into_iter().chain(filing.co_filer).enumerate() {
            let mut line = feed_line(&EntryFacts {
                form: filing.form,
                name,
                cik: Cik::from_number(cik).expect("a CIK"),
                accession,
                accepted_at: filing.accepted_at,
                filing_date: filing.filing_date,
                items: filing.items,
            });
            // Others stand between the filers of one filing.
            line.accepted_at -= TimeDelta::seconds(7 * i64::try_from(n).expect("small"));
            archive.add_line(line);
        }
        archive.lines.truncate(KEPT_LINES);
    }

    fn throw_away(&mut self, day: NaiveDate, archive: &mut Archive) {
        let Some(before) = day.checked_sub_days(KEPT) else { return };
        archive.filed.retain(|row| row.filing_date >= before);
        let oldest = format!("master.{}.idx", before.format("%Y%m%d"));
        archive.files.retain(|path, _| {
            path.rsplit('/').next().is_none_or(|name| !name.starts_with("master.") || name >= oldest.as_str())
        });
        let old: Vec<AccessionNumber> =
            self.filings.values().filter(|filing| filing.filing_date < before).map(TestFiling::accession).collect();
        let folders: BTreeSet<String> = old.iter().flat_map(|old| [old.to_string(), old.without_dashes()]).collect();
        old.iter().for_each(|accession| drop(self.filings.remove(accession)));
        // `/Archives/edgar/data/CIK/FOLDER/...`, and the same without a folder.
        archive
            .files
            .retain(|path, _| !path.split('/').skip(5).any(|part| folders.contains(part.trim_end_matches(".txt"))));
    }

    /// Makes up the filings of a day, and when each comes to light.
    fn make_day(&mut self, day: NaiveDate, archive: &mut Archive) {
        if !self.plan.is_open(day) {
            return;
        }
        let open = |day: &NaiveDate| self.plan.is_open(*day);
        let next = day.iter_days().skip(1).find(open).expect("a business day");
        let before = day.iter_days().rev().skip(1).find(open).expect("a business day");
        let n_all = self.chance.u32(self.plan.largest_day / 3..=self.plan.largest_day);
        let n_filings = n_all / 15;
        for _ in 0..n_filings {
            self.make_filing(day, next, before, archive);
        }
        for n in 0..n_all - n_filings {
            // Of no interest, but for the size of the index.
            archive.filed.push(Filed {
                form: "4".to_owned(),
                cik: Cik::from_number(u64::from(8_000_000 + n)).expect("a CIK"),
                name: "THISTLEDOWN HOLDINGS".to_owned(),
                accession: format!("0008880000-26-{n:06}").parse().expect("an accession number"),
                filing_date: day,
            });
        }
        self.truth.n_all += n_all as usize;
        self.truth.n_largest_day = self.truth.n_largest_day.max(n_all as usize);
        let is_late = self.chance.u32(0..40) == 0;
        let minutes = i64::from(self.chance.u32(6..24));
        let evening = eastern_to_utc(day.and_hms_opt(22, 0, 0).expect("a time")) + TimeDelta::minutes(minutes);
        let written = if is_late { evening + TimeDelta::hours(i64::from(self.chance.u32(8..17))) } else { evening };
        self.at(written, Happening::WriteIndex(day));
        if next >= self.plan.end {
            // The last evening's filings bear a date that has no filings of its own, and an index all the same.
            let evening = eastern_to_utc(next.and_hms_opt(22, 10, 0).expect("a time"));
            self.at(evening, Happening::WriteIndex(next));
        }
    }

    fn make_filing(&mut self, day: NaiveDate, next: NaiveDate, before: NaiveDate, archive: &mut Archive) {
        self.next_number += 1;
        let number = self.next_number;
        let minute = match self.chance.u32(0..100) {
            // Half of a day's filings come after the market has closed.
            0..45 => self.chance.u32(16 * 60..17 * 60 + 30),
            45..55 => self.chance.u32(17 * 60 + 30..22 * 60),
            55..70 => self.chance.u32(6 * 60..9 * 60),
            _ => self.chance.u32(9 * 60..16 * 60),
        };
        let time =
            NaiveTime::from_num_seconds_from_midnight_opt(minute * 60 + self.chance.u32(0..60), 0).expect("a time");
        let accepted_at = eastern_to_utc(day.and_time(time));
        let is_evening = minute >= 17 * 60 + 30;
        let is_letter = self.chance.u32(0..90) == 0;
        let accepted = accepted_at.to_rfc3339();
        let mut filing = if is_letter {
            TestFiling { cik: 9_000_000 + u64::from(number), ..TestFiling::determination(number, &accepted) }
        } else {
            TestFiling::ordinary(number, &accepted)
        };
        if self.chance.u32(0..25) == 0 {
            filing.form = "8-K/A";
        }
        if self.chance.u32(0..20) == 0 {
            filing.co_filer = Some((filing.cik + 400_000, "WAYPOST FUNDING CORP"));
        }
        filing.filing_date = if is_evening { next } else { day };
        let is_dated_back = !is_evening && self.chance.u32(0..DATED_BACK) == 0;
        if is_dated_back {
            filing.filing_date = before;
            self.truth.n_dated_back += 1;
            let evening = eastern_to_utc(day.and_hms_opt(22, 5, 0).expect("a time"));
            self.at(evening, Happening::WriteIndex(before));
        }
        let lag = TimeDelta::seconds(i64::from(self.chance.u32(10..90)));
        let opening = eastern_to_utc(next.and_hms_opt(6, 0, 0).expect("a time"));
        let shown_at = if is_evening { opening + lag } else { accepted_at + lag };
        let published_at = shown_at + TimeDelta::seconds(i64::from(self.chance.u32(0..180)) - 20);
        let accession = filing.accession();
        let is_shown = self.chance.u32(0..DROPPED) > 0;
        if is_shown {
            self.at(shown_at, Happening::Show(accession));
        }
        self.at(published_at, Happening::Publish(accession));
        for (cik, name) in [(filing.cik, filing.name)].into_iter().chain(filing.co_filer) {
            archive.filed.push(Filed {
                form: filing.form.to_owned(),
                cik: Cik::from_number(cik).expect("a CIK"),
                name: name.to_owned(),
                accession,
                filing_date: filing.filing_date,
            });
        }
        self.truth.filings.insert(accession, (filing.filing_date, is_shown));
        if is_letter {
            self.truth.letters.insert(accession);
        }
        self.filings.insert(accession, filing);
    }
}

/// The truth of a running world.
#[derive(Clone)]
pub struct SimulatedEdgar(Arc<Mutex<World>>);

impl SimulatedEdgar {
    /// Puts the world behind a loopback EDGAR. Each request takes a fifth of a second of its time.
    pub fn behind(edgar: &LoopbackEdgar, plan: Plan, clock: DrivenClock) -> Self {
        let mut world = World {
            chance: Rng::with_seed(plan.seed),
            schedule: BTreeMap::new(),
            n_scheduled: 0,
            filings: HashMap::new(),
            next_number: 100,
            truth: Truth::default(),
            plan: plan.clone(),
        };
        world.at(eastern_to_utc(plan.first.and_time(NaiveTime::MIN)), Happening::Dawn(plan.first));
        let world = Arc::new(Mutex::new(world));
        let lived = world.clone();
        edgar.script(move |asked, archive| {
            clock.advance(std::time::Duration::from_millis(200));
            let now = clock.now();
            let mut world = lived.lock().expect("no test panics while holding it");
            world.live_until(now, archive);
            let requests = world.truth.requests.entry(eastern_date(now)).or_default();
            if asked.target.contains("/edgar/data/") {
                requests.0 += 1;
            } else {
                requests.1 += 1;
            }
            if world.plan.outages.iter().any(|span| span.holds(now)) {
                return Some(page(StatusCode::SERVICE_UNAVAILABLE, "<h1>SEC.gov is undergoing maintenance</h1>"));
            }
            if world.chance.u32(0..BLOCKED) == 0 {
                world.truth.n_block_pages += 1;
                return Some(page(StatusCode::FORBIDDEN, "<h1>Request Rate Threshold Exceeded</h1>"));
            }
            None
        });
        Self(world)
    }

    pub fn truth(&self) -> Truth {
        self.0.lock().expect("no test panics while holding it").truth.clone()
    }
}
