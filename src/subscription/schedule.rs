//! When a subscriber is told: at once, or in a digest, and not in quiet hours.

use chrono::{DateTime, Datelike, Days, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;

use crate::calendar::wall_to_utc;

/// How notices are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// A mail for each filing, as soon as it is read.
    Immediate,
    /// One mail, every day or on one day of the week.
    Digest {
        /// The day of the week; `None` is every day.
        on: Option<Weekday>,
        /// When, on the subscriber's clock.
        at: NaiveTime,
        /// Also when there is nothing to tell.
        even_when_empty: bool,
    },
}

/// Hours of the day without mail, on the subscriber's clock. They may run over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// The first moment without.
    pub from: NaiveTime,
    /// The first moment with mail again.
    pub to: NaiveTime,
}

/// When a subscriber is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How notices are gathered.
    pub delivery: Delivery,
    /// When no mail is sent. What is read meanwhile waits for their end.
    pub quiet: Option<QuietHours>,
    /// The subscriber's clock.
    pub zone: Tz,
}

/// When a notice is due. The earlier, the smaller; a mail of its own comes before a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When.
    pub at: DateTime<Utc>,
    /// With others in one mail.
    pub in_digest: bool,
}

impl Schedule {
    /// Whether a digest is sent even when there is nothing to tell.
    pub fn sends_empty_digests(&self) -> bool {
        matches!(self.delivery, Delivery::Digest { even_when_empty: true, .. })
    }

    /// When what is known at `now` is due.
    pub fn due(&self, now: DateTime<Utc>) -> Due {
        match self.delivery {
            Delivery::Immediate => Due { at: self.after_quiet_hours(now), in_digest: false },
            Delivery::Digest { on, at, .. } => {
                Due { at: self.after_quiet_hours(self.next(on, at, now)), in_digest: true }
            }
        }
    }

    /// The next time that the clock shows `at`, later than `now`.
    fn next(&self, on: Option<Weekday>, at: NaiveTime, now: DateTime<Utc>) -> DateTime<Utc> {
        let today = now.with_timezone(&self.zone).date_naive();
        // A week and a day: today's hour may be past.
        let days = today.iter_days().take(9).filter(|day| on.is_none_or(|on| day.weekday() == on));
        days.map(|day| wall_to_utc(day.and_time(at), self.zone)).find(|due| *due > now).unwrap_or(now)
    }

    fn after_quiet_hours(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        let wall = instant.with_timezone(&self.zone).naive_local();
        match self.quiet {
            Some(quiet) if quiet.contain(wall.time()) => {
                let day =
                    if wall.time() < quiet.to { Some(wall.date()) } else { wall.date().checked_add_days(Days::new(1)) };
                day.map_or(instant, |day| wall_to_utc(day.and_time(quiet.to), self.zone))
            }
            _ => instant,
        }
    }
}

impl QuietHours {
    fn contain(self, time: NaiveTime) -> bool {
        if self.from <= self.to { (self.from..self.to).contains(&time) } else { time >= self.from || time < self.to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> NaiveTime {
        text.parse().expect(text)
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    fn schedule(delivery: Delivery, quiet: Option<(&str, &str)>, zone: Tz) -> Schedule {
        let quiet = quiet.map(|(from, to)| QuietHours { from: time(from), to: time(to) });
        Schedule { delivery, quiet, zone }
    }

    fn digest(on: Option<Weekday>, at: &str) -> Delivery {
        Delivery::Digest { on, at: time(at), even_when_empty: false }
    }

    #[test]
    fn what_comes_in_quiet_hours_waits_for_their_end() {
        let night = schedule(Delivery::Immediate, Some(("22:00:00", "07:00:00")), chrono_tz::Europe::Berlin);
        for (now, due) in [
            ("2026-01-14T20:59:59Z", "2026-01-14T20:59:59Z"),
            ("2026-01-14T21:00:00Z", "2026-01-15T06:00:00Z"),
            ("2026-01-15T05:59:59Z", "2026-01-15T06:00:00Z"),
            ("2026-01-15T06:00:00Z", "2026-01-15T06:00:00Z"),
        ] {
            assert_eq!(night.due(utc(now)), Due { at: utc(due), in_digest: false }, "{now}");
        }
        let lunch = schedule(Delivery::Immediate, Some(("12:00:00", "13:00:00")), chrono_tz::UTC);
        assert_eq!(lunch.due(utc("2026-01-14T12:30:00Z")).at, utc("2026-01-14T13:00:00Z"));
        assert_eq!(lunch.due(utc("2026-01-14T13:00:00Z")).at, utc("2026-01-14T13:00:00Z"));
    }

    #[test]
    fn a_digest_is_due_at_its_hour_on_the_subscribers_clock() {
        let new_york = chrono_tz::America::New_York;
        let daily = schedule(digest(None, "08:00:00"), None, new_york);
        let due = |now: &str| daily.due(utc(now)).at;
        assert_eq!(due("2026-03-06T12:59:59Z"), utc("2026-03-06T13:00:00Z"), "the same morning");
        assert_eq!(due("2026-03-06T13:00:00Z"), utc("2026-03-07T13:00:00Z"), "never the moment itself");
        assert_eq!(due("2026-03-07T13:00:00Z"), utc("2026-03-08T12:00:00Z"), "across the change of the clock");
        let weekly = schedule(digest(Some(Weekday::Mon), "08:00:00"), None, new_york);
        assert_eq!(weekly.due(utc("2026-01-12T13:00:00Z")).at, utc("2026-01-19T13:00:00Z"));
        assert_eq!(weekly.due(utc("2026-01-13T13:00:00Z")).at, utc("2026-01-19T13:00:00Z"));
        let skipped = schedule(digest(None, "02:30:00"), None, new_york);
        assert_eq!(skipped.due(utc("2026-03-08T05:00:00Z")).at, utc("2026-03-08T07:30:00Z"), "an hour that is skipped");
    }

    #[test]
    fn a_digest_due_in_quiet_hours_waits_too() {
        let early = schedule(digest(None, "05:00:00"), Some(("22:00:00", "07:00:00")), chrono_tz::UTC);
        assert_eq!(early.due(utc("2026-01-14T12:00:00Z")), Due { at: utc("2026-01-15T07:00:00Z"), in_digest: true });
    }
}
