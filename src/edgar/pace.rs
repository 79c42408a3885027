//! Fair access as a promise: how fast EDGAR may be asked, and what is remembered when it refuses.
//!
//! The budget is a token bucket that holds one second's worth. Its state is not kept here: every process that
//! shares a store takes from the same bucket, so [`RequestBudget`] is implemented by the store.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The most requests a second that EDGAR allows one user, whatever the number of machines
/// (<https://www.sec.gov/os/accessing-edgar-data>).
pub const SEC_MAX_PER_SECOND: u32 = 10;

/// How fast requests may follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    per_second: u32,
    burst: u32,
}

impl Pace {
    /// `per_second` requests, of which one second's worth may come at once. Where EDGAR's own ceiling binds, the
    /// burst is cut so that no second, wherever it begins, ever holds more than the ceiling.
    pub fn new(per_second: u32, ceiling_binds: bool) -> Self {
        let per_second = per_second.max(1);
        if ceiling_binds {
            let per_second = per_second.min(SEC_MAX_PER_SECOND);
            Self { per_second, burst: per_second.min(SEC_MAX_PER_SECOND - per_second).max(1) }
        } else {
            Self { per_second, burst: per_second }
        }
    }

    /// Requests per second, averaged.
    pub fn per_second(self) -> u32 {
        self.per_second
    }

    /// The time one request uses up.
    pub fn interval(self) -> TimeDelta {
        TimeDelta::microseconds(1_000_000 / i64::from(self.per_second))
    }

    /// How far ahead of its time a request may go: the burst less the request itself.
    pub fn tolerance(self) -> TimeDelta {
        self.interval() * i32::try_from(self.burst - 1).unwrap_or(0)
    }
}

/// Who goes first where several share one budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// What is new: a token is taken at once, and used in its turn.
    #[default]
    Live,
    /// What is past: a token is taken only while nobody waits for one, so that new things wait for one request at most.
    Backfill,
}

/// The answer to a request for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Go ahead after waiting so long. The token is taken, whether it is used or not.
    Go(Duration),
    /// Others go first: no token was taken, ask again after waiting so long.
    AskAgain(Duration),
    /// Nobody asks until then.
    Blocked {
        /// When asking may begin again.
        until: DateTime<Utc>,
        /// EDGAR's reason.
        reason: String,
    },
    /// EDGAR refused this very User-Agent: nobody asks until another is configured.
    UserAgentRefused,
}

/// A future that [`RequestBudget`] returns.
pub type BudgetFuture<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// The shared state behind the pace.
pub trait RequestBudget: Send + Sync {
    /// Takes one token.
    fn reserve<'a>(
        &'a self,
        pace: Pace,
        priority: Priority,
        user_agent: &'a str,
        now: DateTime<Utc>,
    ) -> BudgetFuture<'a, Grant>;

    /// Stops all asking until `until`.
    fn block<'a>(&'a self, until: DateTime<Utc>, reason: &'a str, now: DateTime<Utc>) -> BudgetFuture<'a, ()>;

    /// Remembers that EDGAR refuses this User-Agent, or with `None` that it does not any more.
    fn refuse_user_agent<'a>(&'a self, user_agent: Option<&'a str>) -> BudgetFuture<'a, ()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most requests that can start within any one second.
    fn most_in_a_second(pace: Pace) -> u32 {
        pace.burst + pace.per_second
    }

    #[test]
    fn the_bucket_holds_one_seconds_worth() {
        let pace = Pace::new(5, false);
        assert_eq!(pace.tolerance() + pace.interval(), TimeDelta::seconds(1));
    }

    #[test]
    fn no_second_holds_more_than_edgar_allows() {
        for per_second in 1..=9 {
            assert!(most_in_a_second(Pace::new(per_second, true)) <= SEC_MAX_PER_SECOND, "{per_second}");
        }
        assert_eq!(Pace::new(10, true).tolerance(), TimeDelta::zero(), "evenly, without a burst");
        assert_eq!(Pace::new(500, true).per_second(), SEC_MAX_PER_SECOND);
        assert_eq!(Pace::new(500, false).per_second(), 500);
    }
}
