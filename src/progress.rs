//! Proof that the loops of the daemon move: each says by when it will be heard of again, and whoever watches over them sees
//! which broke its word. systemd's watchdog and `/healthz` ask this.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A loop of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    /// Walks the feed.
    Poll,
    /// Reads filings.
    Read,
    /// Sends mail.
    Deliver,
}

impl Loop {
    const ALL: [Self; 3] = [Self::Poll, Self::Read, Self::Deliver];

    /// The longest step of a loop, every time limit within it run out: a query of the feed or the index of a day, a filing
    /// with its documents, a mail to a relay that takes all that RFC 5321 4.5.3.2 allows it.
    fn longest_step(self) -> Duration {
        #[cfg(feature = "fail-points")]
        if let Some(limit) = crate::fail_points::longest_step() {
            return limit;
        }
        let minutes = match self {
            Self::Poll | Self::Read => 15,
            Self::Deliver => 45,
        };
        Duration::from_secs(60 * minutes)
    }
}

impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poll => "polling",
            Self::Read => "reading",
            Self::Deliver => "delivering",
        })
    }
}

/// By when each loop will be heard of again. On the machine's steady clock: no change of the time breaks a word.
#[derive(Debug)]
pub struct Progress {
    until: Mutex<[Instant; Loop::ALL.len()]>,
}

impl Default for Progress {
    /// Every loop has just begun a step.
    fn default() -> Self {
        let now = Instant::now();
        Self { until: Mutex::new(Loop::ALL.map(|each| now + each.longest_step())) }
    }
}

impl Progress {
    /// A loop begins a step.
    pub fn note(&self, of: Loop) {
        self.rest(of, Duration::ZERO);
    }

    /// A loop rests, at most so long, and then begins a step.
    pub fn rest(&self, of: Loop, wait: Duration) {
        let until = Instant::now().checked_add(wait).map(|until| until + of.longest_step());
        let mut all = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // A rest too long for any clock ends later than anyone asks.
        all[of as usize] = until.unwrap_or_else(|| Instant::now() + Duration::from_secs(1 << 30));
    }

    /// The first loop that should have been heard of by `now`.
    pub fn stuck(&self, now: Instant) -> Option<Loop> {
        let all = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        Loop::ALL.into_iter().find(|each| all[*each as usize] < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_stuck_once_its_step_takes_longer_than_any_can() {
        let progress = Progress::default();
        let after = |minutes: u64| Instant::now() + Duration::from_secs(60 * minutes);
        assert_eq!(progress.stuck(after(14)), None);
        assert_eq!(progress.stuck(after(16)), Some(Loop::Poll));
        progress.rest(Loop::Poll, Duration::from_secs(3600));
        assert_eq!(progress.stuck(after(16)), Some(Loop::Read), "the poll loop rests for an hour");
        progress.rest(Loop::Read, Duration::from_secs(3600));
        assert_eq!(progress.stuck(after(44)), None);
        assert_eq!(progress.stuck(after(46)), Some(Loop::Deliver));
        progress.rest(Loop::Deliver, Duration::MAX);
        assert_eq!(progress.stuck(after(74)), None);
        assert_eq!(progress.stuck(after(76)), Some(Loop::Poll));
    }
}
