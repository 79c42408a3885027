//! Where a build for tests dies on request: around every commit, every rename and after every answer of a relay.
//!
//! Only the cargo feature `fail-points` gives these functions a body; what is shipped has none. A child process is told
//! by its environment what to do, because it is the real binary that is to die:
//!
//! - `EDGAR_WATCH_DIE_AT=after record a pass#3`: end by SIGKILL the third time that point is passed
//! - `EDGAR_WATCH_PASSED=FILE`: write a line to that file for every point passed
//! - `EDGAR_WATCH_STUCK=poll`: that loop (`poll`, `read` or `deliver`) does nothing any more
//! - `EDGAR_WATCH_LONGEST_STEP_MS=500`: how long any loop's step may take before it counts as stuck
//! - `EDGAR_WATCH_STARTED_AT=2026-11-17T15:00:00Z`: the time at which the program starts

/// On which side of a step a point lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of the step is done.
    Before,
    /// All of it is.
    After,
}

#[cfg(not(feature = "fail-points"))]
/// Nothing.
#[inline(always)]
pub fn pass(_: Moment, _: &'static str) {}

#[cfg(not(feature = "fail-points"))]
/// Nothing.
#[inline(always)]
pub async fn stay(_: &'static str) {}

#[cfg(feature = "fail-points")]
pub use enabled::{longest_step, pass, started_at, stay};

#[cfg(feature = "fail-points")]
mod enabled {
    use std::collections::HashMap;
    use std::io::Write;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use chrono::{DateTime, Utc};
    use rustix::process::{Signal, getpid, kill_process};

    use super::Moment;

    /// What the environment asks for.
    struct Plan {
        die_at: Option<(String, usize)>,
        passed: Option<Mutex<std::fs::File>>,
        counts: Mutex<HashMap<String, usize>>,
    }

    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let die_at = std::env::var("EDGAR_WATCH_DIE_AT").ok().and_then(|plan| {
            let (point, nth) = plan.rsplit_once('#')?;
            Some((point.to_owned(), nth.parse().ok()?))
        });
        let passed = std::env::var_os("EDGAR_WATCH_PASSED")
            .and_then(|path| std::fs::OpenOptions::new().create(true).append(true).open(path).ok())
            .map(Mutex::new);
        Plan { die_at, passed, counts: Mutex::default() }
    });

    /// Passes a point, or dies there.
    pub fn pass(moment: Moment, what: &'static str) {
        let side = match moment {
            Moment::Before => "before",
            Moment::After => "after",
        };
        let point = format!("{side} {what}");
        if let Some(passed) = &PLAN.passed {
            // A line that is lost shows as a point never passed.
            let _ = writeln!(passed.lock().unwrap_or_else(PoisonError::into_inner), "{point}");
        }
        let Some((die_at, nth)) = &PLAN.die_at else { return };
        if *die_at != point {
            return;
        }
        let mut counts = PLAN.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(point).or_default();
        *count += 1;
        if *count == *nth {
            let _ = kill_process(getpid(), Signal::KILL);
            // The signal ends every thread; until it does, nothing more is to happen on this one.
            loop {
                std::thread::park();
            }
        }
    }

    /// Never ends, if that loop is the one that is to be stuck.
    pub async fn stay(which: &'static str) {
        if std::env::var("EDGAR_WATCH_STUCK").is_ok_and(|stuck| stuck == which) {
            std::future::pending::<()>().await;
        }
    }

    /// How long a loop's step may take.
    pub fn longest_step() -> Option<std::time::Duration> {
        let ms = std::env::var("EDGAR_WATCH_LONGEST_STEP_MS").ok()?.parse().ok()?;
        Some(std::time::Duration::from_millis(ms))
    }

    /// The instant the program is to take for the one it started at.
    pub fn started_at() -> Option<DateTime<Utc>> {
        std::env::var("EDGAR_WATCH_STARTED_AT").ok()?.parse().ok()
    }
}
