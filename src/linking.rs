//! Which of an issuer's events are about one letter, and what a later telling changed. Values in, values out.
//!
//! A letter is told more than once: by the wire's 8-K, a second item, an 8-K/A. Events are linked in the order EDGAR
//! accepted their filings, over all that is known of the issuer, so that the outcome does not depend on the order in
//! which filings were read. What follows for a mail is decided by the same links.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::classify::{Basis, DeadlineKind, DeadlineSource, EventKind, ListingEvent, OverdueReport};
use crate::edgar::ids::{AccessionNumber, Cik};

/// One event of one filing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventRef {
    /// The filing.
    pub accession: AccessionNumber,
    /// Its place among the filing's events, history included.
    pub ordinal: usize,
    /// The date EDGAR gives the filing.
    pub filing_date: NaiveDate,
}

/// A new event as one filing tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Telling {
    /// Where it is told.
    pub event: EventRef,
    /// When EDGAR accepted the filing.
    pub accepted_at: DateTime<Utc>,
    /// The filing's filers: tellings of filings that share none are never linked.
    pub ciks: BTreeSet<Cik>,
    /// What is told.
    pub told: ListingEvent,
}

/// How an event stands to the earlier ones of its letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "relation", rename_all = "snake_case")]
pub enum Relation {
    /// No earlier filing tells of the letter.
    First,
    /// An earlier filing tells the same.
    Repeat,
    /// An earlier filing told otherwise.
    Correction {
        /// The earlier telling.
        of: EventRef,
        /// What it told otherwise.
        changes: Vec<Change>,
    },
    /// It stands as a letter of its own, but is perhaps one told before.
    MayRepeat {
        /// The telling it may repeat.
        of: EventRef,
    },
}

impl Relation {
    /// The word in the store and in lists.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Repeat => "repeat",
            Self::Correction { .. } => "correction",
            Self::MayRepeat { .. } => "may_repeat",
        }
    }
}

/// A field that two tellings of one letter give differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
pub enum Change {
    /// What was done.
    Kind {
        /// As told now.
        now: EventKind,
        /// As told before.
        was: EventKind,
    },
    /// What it is about: a basis is new.
    Bases {
        /// As told now.
        now: Vec<Basis>,
        /// As told before.
        was: Vec<Basis>,
    },
    /// The rules it rests on: none agrees.
    Rules {
        /// As told now.
        now: Vec<String>,
        /// As told before.
        was: Vec<String>,
    },
    /// The day the letter arrived.
    Received {
        /// As told now.
        now: NaiveDate,
        /// As told before.
        was: NaiveDate,
    },
    /// The day the letter bears.
    Dated {
        /// As told now.
        now: NaiveDate,
        /// As told before.
        was: NaiveDate,
    },
    /// The overdue reports: one is new, or of another period.
    Reports {
        /// As told now.
        now: Vec<OverdueReport>,
        /// As told before.
        was: Vec<OverdueReport>,
    },
    /// A stated deadline.
    Deadline {
        /// What is due.
        what: DeadlineKind,
        /// The dates told only now.
        now: Vec<NaiveDate>,
        /// The dates told only before, or all of them where none of them fell away.
        was: Vec<NaiveDate>,
    },
    /// The day of the hearing.
    Hearing {
        /// As told now.
        now: NaiveDate,
        /// As told before.
        was: NaiveDate,
    },
}

/// What is known of an event's place among all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The event.
    #[serde(flatten)]
    pub event: EventRef,
    /// The earliest event of its letter: it stands for the letter.
    pub letter: EventRef,
    /// How many corrections of the letter came up to this event, itself included.
    pub version: usize,
    /// How it stands to the earlier ones.
    #[serde(flatten)]
    pub relation: Relation,
    /// The next correction of the letter, where one was read before this event: its filing was accepted later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Corrected>,
}

/// A correction that was known already when the event it corrects was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// The later telling.
    pub by: EventRef,
    /// What it tells otherwise.
    pub changes: Vec<Change>,
}

/// By which alert a recipient was told of which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The alert.
    pub alert: String,
    /// Who was told.
    pub recipient: String,
    /// The alert's filing.
    pub accession: AccessionNumber,
    /// Those of its events that the recipient asked for.
    pub ordinals: Vec<usize>,
    /// Whether the mail went out, or still will; not when it was set aside or given up.
    pub is_live: bool,
}

/// How long after a filing another one that cannot be told apart counts as a possible repeat.
const MAY_REPEAT_WITHIN: TimeDelta = TimeDelta::days(30);
/// Letters whose dates are so close may be one: the day it was sent, the day it was seen.
const CLOSE_DAYS: u64 = 3;

/// Links tellings to letters. The result is in the order of acceptance, whatever the order of `tellings`.
pub fn link(tellings: &[Telling]) -> Vec<Link> {
    let mut sorted: Vec<&Telling> = tellings.iter().collect();
    sorted.sort_by_key(|telling| (telling.accepted_at, telling.event));
    let mut letters: Vec<Letter> = Vec::new();
    let mut links: Vec<Link> = Vec::with_capacity(sorted.len());
    for (begin, filing) in filings(&sorted) {
        let assigned = assign(filing, &letters);
        for (index, telling) in filing.iter().enumerate() {
            let link = match assigned.get(&index) {
                Some(letter) => letters[*letter].take(telling),
                None => {
                    let relation = match may_repeat(telling, &sorted[..begin]) {
                        Some(of) => Relation::MayRepeat { of },
                        None => Relation::First,
                    };
                    letters.push(Letter::new(telling));
                    Link { event: telling.event, letter: telling.event, version: 0, relation, corrected: None }
                }
            };
            links.push(link);
        }
    }
    links
}

/// What a mail about a filing has to say of its events. The filing may not be the last that was accepted: what was
/// read before it counts as told before it.
pub fn links_to_tell(links: &[Link], accession: AccessionNumber) -> Vec<Link> {
    let mut own: Vec<Link> = links.iter().filter(|link| link.event.accession == accession).cloned().collect();
    for link in &mut own {
        if link.relation == Relation::First {
            let later =
                links.iter().find(|later| matches!(later.relation, Relation::MayRepeat { of } if of == link.event));
            if let Some(later) = later {
                link.relation = Relation::MayRepeat { of: later.event };
            }
        }
        link.corrected = links.iter().find_map(|later| match &later.relation {
            Relation::Correction { changes, .. }
                if later.letter == link.letter && later.version == link.version + 1 =>
            {
                Some(Corrected { by: later.event, changes: changes.clone() })
            }
            _ => None,
        });
    }
    own
}

/// The alerts by which a recipient knows already all that he asked for in a filing, if he does. He knows an event when
/// he was told of its letter by a telling that no correction up to the event contradicts.
pub fn already_told(
    links: &[Link],
    told: &[Told],
    recipient: &str,
    accession: AccessionNumber,
    asked: &[usize],
) -> Option<Vec<String>> {
    let mut alerts: Vec<String> = Vec::new();
    for ordinal in asked {
        let link = links.iter().find(|link| link.event.accession == accession && link.event.ordinal == *ordinal)?;
        let alert = links
            .iter()
            .filter(|other| other.event.accession != accession && other.letter == link.letter)
            .filter(|other| other.version >= link.version)
            .find_map(|other| {
                told.iter().find(|told| {
                    told.recipient == recipient
                        && told.accession == other.event.accession
                        && told.ordinals.contains(&other.event.ordinal)
                })
            })?;
        if !alerts.contains(&alert.alert) {
            alerts.push(alert.alert.clone());
        }
    }
    // Who asked for nothing knows nothing.
    (!alerts.is_empty()).then_some(alerts)
}

/// Cuts sorted tellings into filings, each with the index of its first.
fn filings<'a, 'b>(sorted: &'b [&'a Telling]) -> impl Iterator<Item = (usize, &'b [&'a Telling])> {
    sorted.chunk_by(|one, other| one.event.accession == other.event.accession).scan(0, |begin, filing| {
        let at = *begin;
        *begin += filing.len();
        Some((at, filing))
    })
}

/// Which letter each telling of a filing belongs to, by index. A filing that tells two letters of one day means two:
/// each letter takes the telling that agrees best, and no second.
fn assign(filing: &[&Telling], letters: &[Letter]) -> BTreeMap<usize, usize> {
    let mut pairs: Vec<_> = Vec::new();
    for (index, telling) in filing.iter().enumerate() {
        for (number, letter) in letters.iter().enumerate().filter(|(_, letter)| letter.is_told_by(telling)) {
            pairs.push((Reverse(letter.known.agreement(&telling.told)), number, index));
        }
    }
    pairs.sort_unstable();
    let mut assigned = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (_, number, index) in pairs {
        if !assigned.contains_key(&index) && taken.insert(number) {
            assigned.insert(index, number);
        }
    }
    assigned
}

/// The nearest earlier telling that cannot be told apart from this one.
fn may_repeat(telling: &Telling, earlier: &[&Telling]) -> Option<EventRef> {
    earlier
        .iter()
        .rev()
        .take_while(|other| telling.accepted_at - other.accepted_at <= MAY_REPEAT_WITHIN)
        .find(|other| {
            telling.told.kind == other.told.kind
                && could_be_one(telling, other)
                && are_close(&letter_dates(&telling.told), &letter_dates(&other.told))
        })
        .map(|other| other.event)
}

/// Dates that do not agree but may mean the same; so may any with no date at all.
fn are_close(dates: &[NaiveDate], others: &[NaiveDate]) -> bool {
    let gaps = dates.iter().flat_map(|date| others.iter().map(|other| (*date - *other).num_days().unsigned_abs()));
    // The same day is no doubt: then it is another letter of that day.
    gaps.min().is_none_or(|gap| (1..=CLOSE_DAYS).contains(&gap))
}

/// Whether nothing but dates and kind speaks against one letter.
fn could_be_one(one: &Telling, other: &Telling) -> bool {
    let (bases, others) = (&one.told.bases, &other.told.bases);
    !one.ciks.is_disjoint(&other.ciks)
        && one.told.exchange == other.told.exchange
        && (bases.is_empty() || others.is_empty() || bases.iter().any(|basis| others.contains(basis)))
}

/// The days a letter is known by.
fn letter_dates(event: &ListingEvent) -> Vec<NaiveDate> {
    event.received.into_iter().chain(event.dated).collect()
}

/// Kinds that a correction may exchange for one another.
fn kinds_agree(one: EventKind, other: EventKind) -> bool {
    const LETTERS: [EventKind; 2] = [EventKind::StaffDetermination, EventKind::DeficiencyNotice];
    one == other || (LETTERS.contains(&one) && LETTERS.contains(&other))
}

/// Whether two citations name one rule, one of them perhaps without its last paragraphs.
fn rules_agree(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
}

fn reports_agree(one: &OverdueReport, other: &OverdueReport) -> bool {
    one.form == other.form
        && (one.period_end == other.period_end || one.period_end.is_none() || other.period_end.is_none())
}

fn same_set<T: Ord>(one: &[T], other: &[T]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
}

/// A letter while events are linked.
struct Letter<'a> {
    tellings: Vec<&'a Telling>,
    /// The telling that the following ones repeat: the first, or the last correction.
    head: EventRef,
    version: usize,
    known: Known,
}

impl<'a> Letter<'a> {
    fn new(telling: &'a Telling) -> Self {
        let known = Known::of(&telling.told);
        Self { tellings: vec![telling], head: telling.event, version: 0, known }
    }

    /// Whether a telling is about this letter, as any earlier telling shows.
    fn is_told_by(&self, telling: &Telling) -> bool {
        let dates = letter_dates(&telling.told);
        self.tellings.iter().any(|earlier| {
            kinds_agree(telling.told.kind, earlier.told.kind)
                && could_be_one(telling, earlier)
                && letter_dates(&earlier.told).iter().any(|date| dates.contains(date))
        })
    }

    fn take(&mut self, telling: &'a Telling) -> Link {
        let changes = self.known.changes(&telling.told);
        self.known.learn(&telling.told, &changes);
        let relation = if changes.is_empty() {
            Relation::Repeat
        } else {
            let of = std::mem::replace(&mut self.head, telling.event);
            self.version += 1;
            Relation::Correction { of, changes }
        };
        self.tellings.push(telling);
        Link { event: telling.event, letter: self.tellings[0].event, version: self.version, relation, corrected: None }
    }
}

/// What the tellings of a letter have said so far, the last word on each field.
struct Known {
    kind: EventKind,
    bases: Vec<Basis>,
    rules: Vec<String>,
    received: Option<NaiveDate>,
    dated: Option<NaiveDate>,
    reports: Vec<OverdueReport>,
    deadlines: BTreeMap<DeadlineKind, Vec<NaiveDate>>,
    hearing: Option<NaiveDate>,
}

impl Known {
    fn of(event: &ListingEvent) -> Self {
        Self {
            kind: event.kind,
            bases: event.bases.clone(),
            rules: event.rules.clone(),
            received: event.received,
            dated: event.dated,
            reports: event.reports.clone(),
            deadlines: stated_deadlines(event),
            hearing: hearing_date(event),
        }
    }

    /// How well an event fits, the greater the better: kind, then rules, then bases, then all the rest.
    fn agreement(&self, event: &ListingEvent) -> (bool, bool, bool, Reverse<usize>) {
        (
            self.kind == event.kind,
            same_set(&self.rules, &event.rules),
            same_set(&self.bases, &event.bases),
            Reverse(self.changes(event).len()),
        )
    }

    /// The fields in which an event contradicts what was said. What it adds to an empty field or leaves out is no
    /// contradiction.
    fn changes(&self, event: &ListingEvent) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.kind != event.kind {
            changes.push(Change::Kind { now: event.kind, was: self.kind });
        }
        // Another basis is another reason to be delisted; "other" is what the reading says for want of a word.
        let is_new = |basis: &&Basis| **basis != Basis::Other && !self.bases.contains(basis);
        if !self.bases.is_empty() && event.bases.iter().any(|basis| is_new(&basis)) {
            changes.push(Change::Bases { now: event.bases.clone(), was: self.bases.clone() });
        }
        // Where one rule agrees, the others are detail: procedure, a paragraph more.
        let agrees = |rule: &String| self.rules.iter().any(|known| rules_agree(known, rule));
        if !self.rules.is_empty() && !event.rules.is_empty() && !event.rules.iter().any(agrees) {
            changes.push(Change::Rules { now: event.rules.clone(), was: self.rules.clone() });
        }
        changes.extend(differing(event.received, self.received).map(|(now, was)| Change::Received { now, was }));
        changes.extend(differing(event.dated, self.dated).map(|(now, was)| Change::Dated { now, was }));
        let is_told = |report: &OverdueReport| self.reports.iter().any(|known| reports_agree(known, report));
        if !self.reports.is_empty() && !event.reports.iter().all(is_told) {
            changes.push(Change::Reports { now: event.reports.clone(), was: self.reports.clone() });
        }
        for (what, dates) in stated_deadlines(event) {
            let known = self.deadlines.get(&what).cloned().unwrap_or_default();
            let now: Vec<NaiveDate> = dates.iter().copied().filter(|date| !known.contains(date)).collect();
            if known.is_empty() || now.is_empty() {
                continue;
            }
            let gone: Vec<NaiveDate> = known.iter().copied().filter(|date| !dates.contains(date)).collect();
            let was = if gone.is_empty() { known } else { gone };
            changes.push(Change::Deadline { what, now, was });
        }
        changes.extend(differing(hearing_date(event), self.hearing).map(|(now, was)| Change::Hearing { now, was }));
        changes
    }

    /// Takes the last word: a changed field becomes what is told now, any other gains what is new.
    fn learn(&mut self, event: &ListingEvent, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Kind { .. } => self.kind = event.kind,
                Change::Bases { .. } => self.bases.clear(),
                Change::Rules { .. } => self.rules.clear(),
                Change::Reports { .. } => self.reports.clear(),
                Change::Deadline { what, .. } => {
                    self.deadlines.remove(what);
                }
                Change::Received { .. } | Change::Dated { .. } | Change::Hearing { .. } => {}
            }
        }
        add(&mut self.bases, &event.bases);
        add(&mut self.rules, &event.rules);
        // A report whose period is told at last takes the place of the one without.
        self.reports.retain(|known| {
            known.period_end.is_some()
                || !event.reports.iter().any(|report| report.form == known.form && report.period_end.is_some())
        });
        let new: Vec<OverdueReport> = event
            .reports
            .iter()
            .filter(|report| !self.reports.iter().any(|known| reports_agree(known, report)))
            .cloned()
            .collect();
        add(&mut self.reports, &new);
        for (what, dates) in stated_deadlines(event) {
            add(self.deadlines.entry(what).or_default(), &dates);
        }
        self.received = event.received.or(self.received);
        self.dated = event.dated.or(self.dated);
        self.hearing = hearing_date(event).or(self.hearing);
    }
}

fn add<T: Clone + PartialEq>(known: &mut Vec<T>, told: &[T]) {
    for value in told {
        if !known.contains(value) {
            known.push(value.clone());
        }
    }
}

/// Both, where both are told and differ.
fn differing(now: Option<NaiveDate>, was: Option<NaiveDate>) -> Option<(NaiveDate, NaiveDate)> {
    now.zip(was).filter(|(now, was)| now != was)
}

/// A derived date follows from the letter's; it changes nothing by itself.
fn stated_deadlines(event: &ListingEvent) -> BTreeMap<DeadlineKind, Vec<NaiveDate>> {
    let mut deadlines: BTreeMap<DeadlineKind, Vec<NaiveDate>> = BTreeMap::new();
    for deadline in event.deadlines.iter().filter(|deadline| deadline.source == DeadlineSource::Stated) {
        add(deadlines.entry(deadline.what).or_default(), &[deadline.date]);
    }
    deadlines
}

fn hearing_date(event: &ListingEvent) -> Option<NaiveDate> {
    event.hearing.and_then(|hearing| hearing.date)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::classify::{Deadline, EventStatus, Exchange};

    fn date(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    /// A determination on a late report, received on `received`, told by filing `number` accepted on `accepted`.
    fn telling(number: u64, accepted: &str, received: Option<&str>) -> Telling {
        let mut told = ListingEvent::bare(EventKind::StaffDetermination, EventStatus::New, Exchange::Nasdaq);
        told.bases = vec![Basis::LateFiling];
        told.received = received.map(date);
        Telling {
            event: EventRef {
                accession: format!("0009992000-26-{number:06}").parse().expect("an accession number"),
                ordinal: 0,
                filing_date: date(accepted),
            },
            accepted_at: format!("{accepted}T16:00:00Z").parse().expect("an instant"),
            ciks: BTreeSet::from([Cik::from_number(9_991_001).expect("a CIK")]),
            told,
        }
    }

    fn with(mut telling: Telling, change: impl FnOnce(&mut ListingEvent)) -> Telling {
        change(&mut telling.told);
        telling
    }

    /// The same filing's next event.
    fn second(telling: &Telling) -> Telling {
        let mut second = telling.clone();
        second.event.ordinal += 1;
        second
    }

    fn relations(tellings: &[Telling]) -> Vec<&'static str> {
        link(tellings).iter().map(|link| link.relation.as_str()).collect()
    }

    fn changes(tellings: &[Telling]) -> Vec<Change> {
        match &link(tellings).last().expect("a link").relation {
            Relation::Correction { changes, .. } => changes.clone(),
            _ => Vec::new(),
        }
    }

    const WIRE: &str = "2026-03-19";
    const NEXT: &str = "2026-03-20";
    const DAY: Option<&str> = Some("2026-03-17");

    #[test]
    fn the_same_letter_in_a_later_filing_is_a_repeat() {
        let tellings = [telling(1, WIRE, DAY), telling(2, NEXT, DAY)];
        let links = link(&tellings);
        assert_eq!((links[1].letter, &links[1].relation), (tellings[0].event, &Relation::Repeat));
    }

    #[test]
    fn dates_match_when_any_of_received_and_dated_agree() {
        let dated = |telling: Telling, day: &str| with(telling, |told| told.dated = Some(date(day)));
        assert_eq!(relations(&[telling(1, WIRE, DAY), dated(telling(2, NEXT, None), "2026-03-17")])[1], "repeat");
        let both = dated(telling(1, WIRE, DAY), "2026-03-16");
        assert_eq!(relations(&[both.clone(), dated(telling(2, NEXT, None), "2026-03-16")])[1], "repeat");
        assert_eq!(relations(&[both, dated(telling(2, NEXT, None), "2026-02-16")])[1], "first");
    }

    #[test]
    fn no_date_matches_no_date() {
        let tellings = [telling(1, WIRE, None), telling(2, NEXT, None)];
        let links = link(&tellings);
        assert_eq!(links[1].relation, Relation::MayRepeat { of: tellings[0].event });
        assert_eq!(links[1].letter, tellings[1].event);
    }

    #[test]
    fn a_doubt_is_about_the_nearest_filing_of_the_last_thirty_days() {
        let tellings = [telling(1, "2026-03-01", DAY), telling(2, WIRE, DAY), telling(3, NEXT, None)];
        assert_eq!(link(&tellings)[2].relation, Relation::MayRepeat { of: tellings[1].event });
        assert_eq!(relations(&[telling(1, "2026-02-18", DAY), telling(2, NEXT, None)])[1], "may_repeat");
        assert_eq!(relations(&[telling(1, "2026-02-17", DAY), telling(2, NEXT, None)])[1], "first");
    }

    #[test]
    fn dates_up_to_three_days_apart_leave_a_doubt() {
        for (day, expected) in [("2026-03-20", "may_repeat"), ("2026-03-14", "may_repeat"), ("2026-03-21", "first")] {
            assert_eq!(relations(&[telling(1, WIRE, DAY), telling(2, NEXT, Some(day))])[1], expected, "{day}");
        }
    }

    #[test]
    fn another_issuer_exchange_basis_or_kind_is_another_letter() {
        let wire = telling(1, WIRE, DAY);
        let mut other = telling(2, NEXT, DAY);
        other.ciks = BTreeSet::from([Cik::from_number(9_991_002).expect("a CIK")]);
        assert_eq!(relations(&[wire.clone(), other])[1], "first");
        let changes: [fn(&mut ListingEvent); 3] = [
            |told| told.exchange = Exchange::Nyse,
            |told| told.bases = vec![Basis::BidPrice],
            |told| told.kind = EventKind::ExtensionGranted,
        ];
        for change in changes {
            assert_eq!(relations(&[wire.clone(), with(telling(2, NEXT, DAY), change)])[1], "first");
        }
        assert_eq!(relations(&[wire, with(telling(2, NEXT, DAY), |told| told.bases.clear())])[1], "repeat");
    }

    #[test]
    fn a_filing_of_two_issuers_joins_the_letters_of_both() {
        let (one, other) = (Cik::from_number(1).expect("a CIK"), Cik::from_number(2).expect("a CIK"));
        let of = |number, ciks: &[Cik]| {
            let mut telling = telling(number, WIRE, DAY);
            telling.ciks = ciks.iter().copied().collect();
            telling
        };
        assert_eq!(relations(&[of(1, &[one]), of(2, &[one, other]), of(3, &[other])]), ["first", "repeat", "repeat"]);
        assert_eq!(relations(&[of(1, &[one]), of(2, &[other])]), ["first", "first"]);
    }

    #[test]
    fn two_letters_of_one_day_stay_two_and_each_is_found_again() {
        let ruled = |telling: Telling, rule: &str| with(telling, |told| told.rules = vec![rule.to_owned()]);
        let wire = telling(1, WIRE, DAY);
        let both = [ruled(wire.clone(), "5250(c)(1)"), ruled(second(&wire), "5250(c)(2)")];
        assert_eq!(relations(&both), ["first", "first"]);
        let later = telling(2, NEXT, DAY);
        // Told the other way round.
        let again = [ruled(later.clone(), "5250(c)(2)"), ruled(second(&later), "5250(c)(1)")];
        let all = [&both[..], &again[..]].concat();
        let links = link(&all);
        assert_eq!((links[2].letter, links[3].letter), (both[1].event, both[0].event));
        assert_eq!(relations(&all), ["first", "first", "repeat", "repeat"]);
    }

    #[test]
    fn what_contradicts_is_a_correction_that_says_what_changed() {
        let due = |telling: Telling, day: &str| {
            with(telling, |told| told.deadlines = vec![Deadline::stated(DeadlineKind::Compliance, date(day))])
        };
        let tellings = [due(telling(1, WIRE, DAY), "2026-05-02"), due(telling(2, NEXT, DAY), "2026-05-09")];
        let change = Change::Deadline {
            what: DeadlineKind::Compliance,
            now: vec![date("2026-05-09")],
            was: vec![date("2026-05-02")],
        };
        assert_eq!(changes(&tellings), [change]);

        let report = |telling: Telling, form: &str, period_end: Option<&str>| {
            let report = OverdueReport { form: form.to_owned(), period_end: period_end.map(date) };
            with(telling, |told| told.reports.push(report))
        };
        let annual = |telling| report(telling, "10-K", Some("2025-12-31"));
        let two = report(annual(telling(2, NEXT, DAY)), "10-Q", None);
        assert_eq!(changes(&[annual(telling(1, WIRE, DAY)), two.clone()]).len(), 1, "one report more");
        assert_eq!(relations(&[two, annual(telling(3, NEXT, DAY))])[1], "repeat", "one report less");
        let undated = report(telling(1, WIRE, DAY), "10-K", None);
        assert_eq!(relations(&[undated, annual(telling(2, NEXT, DAY))])[1], "repeat", "a period told at last");
        assert_eq!(
            changes(&[annual(telling(1, WIRE, DAY)), report(telling(2, NEXT, DAY), "10-K", Some("2024-12-31"))]).len(),
            1
        );

        let kinds =
            [telling(1, WIRE, DAY), with(telling(2, NEXT, DAY), |told| told.kind = EventKind::DeficiencyNotice)];
        let (now, was) = (EventKind::DeficiencyNotice, EventKind::StaffDetermination);
        assert_eq!(changes(&kinds), [Change::Kind { now, was }]);

        let dated = |telling: Telling, day: &str| with(telling, |told| told.dated = Some(date(day)));
        let tellings = [dated(telling(1, WIRE, DAY), "2026-03-15"), dated(telling(2, NEXT, DAY), "2026-03-16")];
        assert_eq!(changes(&tellings), [Change::Dated { now: date("2026-03-16"), was: date("2026-03-15") }]);
    }

    #[test]
    fn a_rule_cited_more_closely_is_no_correction() {
        let ruled = |telling: Telling, rules: &[&str]| {
            with(telling, |told| told.rules = rules.iter().map(ToString::to_string).collect())
        };
        let wire = ruled(telling(1, WIRE, DAY), &["5250(c)"]);
        assert_eq!(relations(&[wire.clone(), ruled(telling(2, NEXT, DAY), &["5250(c)(1)", "5810(c)"])])[1], "repeat");
        assert_eq!(relations(&[wire, ruled(telling(2, NEXT, DAY), &["5250(e)"])])[1], "correction");
    }

    #[test]
    fn a_basis_more_is_a_correction_unless_it_has_no_name() {
        let based = |bases: &[Basis]| with(telling(2, NEXT, DAY), |told| told.bases = bases.to_vec());
        let wire = telling(1, WIRE, DAY);
        assert_eq!(relations(&[wire.clone(), based(&[Basis::LateFiling, Basis::Equity])])[1], "correction");
        assert_eq!(relations(&[wire, based(&[Basis::LateFiling, Basis::Other])])[1], "repeat");
    }

    #[test]
    fn a_field_left_out_in_between_is_still_known() {
        let due = |telling: Telling, day: &str| {
            with(telling, |told| told.deadlines = vec![Deadline::stated(DeadlineKind::Compliance, date(day))])
        };
        let tellings = [
            due(telling(1, WIRE, DAY), "2026-05-02"),
            telling(2, NEXT, DAY),
            due(telling(3, "2026-03-23", DAY), "2026-05-09"),
            due(telling(4, "2026-03-24", DAY), "2026-05-09"),
        ];
        let links = link(&tellings);
        assert_eq!(relations(&tellings), ["first", "repeat", "correction", "repeat"]);
        assert!(matches!(links[2].relation, Relation::Correction { of, .. } if of == tellings[0].event));
    }

    fn told(number: u64, recipient: &str) -> Told {
        let accession = telling(number, WIRE, None).event.accession;
        Told {
            alert: accession.to_string(),
            recipient: recipient.to_owned(),
            accession,
            ordinals: vec![0],
            is_live: true,
        }
    }

    #[test]
    fn who_was_told_knows_until_a_correction() {
        let due = |telling: Telling, day: &str| {
            with(telling, |told| told.deadlines = vec![Deadline::stated(DeadlineKind::Compliance, date(day))])
        };
        let links = link(&[
            due(telling(1, WIRE, DAY), "2026-05-02"),
            telling(2, NEXT, DAY),
            due(telling(3, "2026-03-23", DAY), "2026-05-09"),
            telling(4, "2026-03-24", DAY),
        ]);
        let knows = |number: u64, told: &Told| {
            let accession = telling(number, WIRE, None).event.accession;
            already_told(&links, std::slice::from_ref(told), "desk@example.com", accession, &[0]).is_some()
        };
        let early = told(1, "desk@example.com");
        assert_eq!([2, 3, 4].map(|number| knows(number, &early)), [true, false, false]);
        let late = told(3, "desk@example.com");
        assert_eq!([1, 2, 4].map(|number| knows(number, &late)), [true, true, true]);
        assert!(!knows(2, &told(1, "other@example.com")), "another was told");
        assert!(already_told(&links, &[early], "desk@example.com", late.accession, &[]).is_none());
    }

    #[test]
    fn a_filing_read_after_a_later_one_says_what_the_later_one_says() {
        let wire = telling(1, WIRE, DAY);
        let links = link(&[wire.clone(), telling(2, NEXT, None)]);
        let own = links_to_tell(&links, wire.event.accession);
        assert_eq!(own[0].relation, Relation::MayRepeat { of: links[1].event });

        let links = link(&[wire.clone(), with(telling(2, NEXT, DAY), |told| told.kind = EventKind::DeficiencyNotice)]);
        let own = links_to_tell(&links, wire.event.accession);
        assert_eq!(own[0].corrected.as_ref().map(|corrected| corrected.by), Some(links[1].event));
    }

    /// Tellings by a few filings of two issuers, in which letters are likely to meet.
    pub(crate) fn any_tellings() -> impl Strategy<Value = Vec<Telling>> {
        let day = || proptest::option::of(14u32..20);
        let one = (1u64..6, 1u64..3, 0usize..3, 0usize..2, day(), day(), proptest::option::of(1u32..3));
        proptest::collection::vec(one, 0..12).prop_map(|parts| {
            let mut tellings: BTreeMap<EventRef, Telling> = BTreeMap::new();
            for (number, cik, basis, kind, received, dated, due) in parts {
                let day = |day: u32| NaiveDate::from_ymd_opt(2026, 3, day);
                let mut telling = telling(number, &format!("2026-03-{}", 24 - number), None);
                telling.ciks = (1..=cik).filter_map(Cik::from_number).collect();
                telling.told.kind = EventKind::ALL[kind];
                telling.told.bases =
                    [vec![], vec![Basis::BidPrice], vec![Basis::BidPrice, Basis::Equity]][basis].clone();
                (telling.told.received, telling.told.dated) = (received.and_then(day), dated.and_then(day));
                telling.told.deadlines =
                    due.and_then(day).map(|due| Deadline::stated(DeadlineKind::Plan, due)).into_iter().collect();
                while tellings.contains_key(&telling.event) {
                    telling.event.ordinal += 1;
                }
                tellings.insert(telling.event, telling);
            }
            tellings.into_values().collect()
        })
    }

    proptest! {
        #[test]
        fn the_order_of_tellings_changes_nothing(
            (tellings, shuffled) in any_tellings().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
        ) {
            prop_assert_eq!(link(&tellings), link(&shuffled));
        }

        #[test]
        fn a_letter_is_named_by_its_first_event_and_takes_one_from_a_filing(tellings in any_tellings()) {
            let links = link(&tellings);
            prop_assert_eq!(links.len(), tellings.len());
            let mut seen = BTreeSet::new();
            for (index, link) in links.iter().enumerate() {
                let is_first = !links[..index].iter().any(|earlier| earlier.letter == link.letter);
                prop_assert_eq!(is_first, link.letter == link.event);
                prop_assert!(seen.insert((link.letter, link.event.accession)));
            }
        }
    }
}
