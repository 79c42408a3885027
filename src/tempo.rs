//! How often EDGAR's feed is asked. Pure: takes the time and a chance, knows no clock.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::config::PollSettings;
use crate::edgar::eastern::{is_open, next_opening};

/// An interval is lengthened by up to a part of this size, so that no two programs keep in step.
const SPREAD_PARTS: u32 = 10;
/// Requests a day beside one for each poll: the deeper walks of one query, and the indexes.
const WALKS_AND_INDEXES: u64 = 150;

/// How long to wait after a poll. It is never the same twice, and does not end on the second at which EDGAR opens, when
/// everybody asks. `chance` is taken modulo its range.
pub fn until_next_poll(poll: &PollSettings, now: DateTime<Utc>, chance: u64) -> Duration {
    let wait = if is_open(now) {
        poll.interval
    } else {
        // Not past the opening, when last evening's filings come to light.
        let until_opening = (next_opening(now) - now).to_std().unwrap_or_default();
        poll.off_hours_interval.min(until_opening.max(poll.interval))
    };
    // The spread of a long wait must not carry it past the opening either.
    let spread = (wait / SPREAD_PARTS).min(poll.interval).as_micros();
    let added = u128::from(chance) % (spread + 1);
    wait + Duration::from_micros(u64::try_from(added).unwrap_or(0))
}

/// The most requests that go to EDGAR on a business day for this many queries of the feed, filings not counted.
pub fn requests_a_day(poll: &PollSettings, n_queries: usize) -> u64 {
    let polls = |hours: u64, interval: Duration| {
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
        hours * 3_600_000 / millis
    };
    let n_queries = n_queries as u64;
    n_queries * (polls(16, poll.interval) + polls(8, poll.off_hours_interval) + WALKS_AND_INDEXES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: PollSettings =
        PollSettings { interval: Duration::from_secs(10), off_hours_interval: Duration::from_secs(600) };

    fn wait(now: &str, chance: u64) -> f64 {
        until_next_poll(&POLL, now.parse().expect(now), chance).as_secs_f64()
    }

    #[test]
    fn the_tempo_follows_edgars_hours_and_is_never_in_step() {
        for chance in [0, 1, 999_983, u64::MAX] {
            assert!((10.0..=11.0).contains(&wait("2026-11-23T15:00:00Z", chance)), "a business day");
            assert!((600.0..=610.0).contains(&wait("2026-11-22T15:00:00Z", chance)), "a Sunday");
            assert!((120.0..=130.0).contains(&wait("2026-11-23T10:58:00Z", chance)), "two minutes before the opening");
        }
        assert!((wait("2026-11-23T15:00:00Z", 1) - wait("2026-11-23T15:00:00Z", 500_000)).abs() > 0.4);
    }

    #[test]
    fn a_day_at_the_default_interval_stays_below_six_thousand_requests() {
        assert_eq!(requests_a_day(&POLL, 1), 5_958);
        assert_eq!(requests_a_day(&POLL, 2), 2 * 5_958);
    }
}
