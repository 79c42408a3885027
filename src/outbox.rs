//! When a message is tried again, and when a person has to decide. Values only.

use chrono::{DateTime, TimeDelta, Utc};

const FIRST_DELAY_S: i64 = 30;
const LONGEST_DELAY_S: i64 = 60 * 60;

/// When to try a message again after `attempts` tries: doubling from half a minute to an hour, shortened by up to a
/// quarter by `chance`. `None` once the message is older than `give_up_after`: it is to be set aside.
pub fn next_try(
    attempts: u32,
    created_at: DateTime<Utc>,
    now: DateTime<Utc>,
    give_up_after: TimeDelta,
    chance: u64,
) -> Option<DateTime<Utc>> {
    let give_up_at = created_at + give_up_after;
    if now >= give_up_at {
        return None;
    }
    let delay = FIRST_DELAY_S.saturating_mul(1_i64 << attempts.min(20)).min(LONGEST_DELAY_S);
    let cut = i64::try_from(chance % (delay.unsigned_abs() / 4 + 1)).unwrap_or(0);
    // The last try comes at the limit itself, not an hour past it.
    Some((now + TimeDelta::seconds(delay - cut)).min(give_up_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    #[test]
    fn tries_grow_apart_and_end_at_the_age_limit() {
        let created = at("2026-11-22T12:00:00Z");
        let limit = TimeDelta::hours(2);
        let check = |attempts, now, expected: Option<&str>| {
            assert_eq!(next_try(attempts, created, at(now), limit, 0), expected.map(at));
        };
        check(0, "2026-11-22T12:00:00Z", Some("2026-11-22T12:00:30Z"));
        check(3, "2026-11-22T12:10:00Z", Some("2026-11-22T12:14:00Z"));
        check(30, "2026-11-22T12:30:00Z", Some("2026-11-22T13:30:00Z"));
        check(30, "2026-11-22T13:30:00Z", Some("2026-11-22T14:00:00Z"));
        check(31, "2026-11-22T14:00:00Z", None);
    }
}
