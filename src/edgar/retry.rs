//! When to ask EDGAR again. Values only: who waits, and on which clock, is the caller's.

use chrono::{DateTime, TimeDelta, Utc};

/// How long a filing that is not published yet is asked for before it is parked.
pub const PUBLICATION_PATIENCE: TimeDelta = TimeDelta::hours(24);
/// After this long without the full submission, the documents named by the index page are tried.
pub const INDEX_PAGE_AFTER: TimeDelta = TimeDelta::minutes(10);
/// How long all asking stops after a block page (the page itself names ten minutes).
pub const BLOCK_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// The longest Retry-After that is believed.
const LONGEST_RETRY_AFTER: TimeDelta = TimeDelta::hours(24);

const FIRST_DELAY_MS: i64 = 2_000;
const LONGEST_DELAY_MS: i64 = 5 * 60 * 1_000;

/// The delay before try `attempt + 1`: doubling from two seconds to five minutes, shortened by up to a quarter
/// so that what failed together does not come back together. `chance` is taken modulo its range.
pub fn next_delay(attempt: u32, chance: u64) -> TimeDelta {
    let doubled = FIRST_DELAY_MS.saturating_mul(1_i64 << attempt.min(20)).min(LONGEST_DELAY_MS);
    let spread = doubled / 4;
    let cut = i64::try_from(chance % (spread.unsigned_abs() + 1)).unwrap_or(0);
    TimeDelta::milliseconds(doubled - cut)
}

/// Reads a Retry-After header in both of its forms (RFC 9110 10.2.3): seconds, or a date.
pub fn parse_retry_after(value: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let value = value.trim();
    let until = match value.parse::<u32>() {
        Ok(seconds) => now + TimeDelta::seconds(i64::from(seconds)),
        Err(_) => DateTime::parse_from_rfc2822(value).ok()?.to_utc(),
    };
    Some(until.clamp(now, now + LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_five_minutes_and_no_further() {
        let delays: Vec<i64> = (0..12).map(|attempt| next_delay(attempt, 0).num_seconds()).collect();
        assert_eq!(delays, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]);
        assert_eq!(next_delay(u32::MAX, 0).num_seconds(), 300);
    }

    #[test]
    fn chance_shortens_a_delay_by_a_quarter_at_most() {
        for chance in [0, 1, 12_345, u64::MAX] {
            let delay = next_delay(5, chance).num_milliseconds();
            assert!((48_000..=64_000).contains(&delay), "{delay}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().expect("an instant");
        let check = |value: &str, expected: Option<&str>| {
            assert_eq!(parse_retry_after(value, now).map(|at| at.to_rfc3339()).as_deref(), expected, "{value}");
        };
        check("120", Some("2026-11-22T12:02:00+00:00"));
        check("Sun, 22 Nov 2026 12:05:00 GMT", Some("2026-11-22T12:05:00+00:00"));
        check("Sun, 22 Nov 2020 12:05:00 GMT", Some("2026-11-22T12:00:00+00:00"));
        check("99999999", Some("2026-11-23T12:00:00+00:00"));
        check("soon", None);
    }
}
