//! The one clock. `now` and waiting go through it, so that a test can drive time instead of sleeping.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Tells the time and waits. Handed in at the edges; pure code takes `now` as an argument instead.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;

    /// Resolves once `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A clock that several tasks share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The machine's clock, set to another time when the program started: builds for tests alone have it.
#[cfg(feature = "fail-points")]
#[derive(Debug, Clone, Copy)]
pub struct SetClock {
    set_to: DateTime<Utc>,
    at: std::time::Instant,
}

#[cfg(feature = "fail-points")]
impl SetClock {
    /// A clock that shows `now` now.
    pub fn set_to(now: DateTime<Utc>) -> Self {
        Self { set_to: now, at: std::time::Instant::now() }
    }
}

#[cfg(feature = "fail-points")]
impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        self.set_to + self.at.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
