//! `backfill`: the same path over past days. It records, and mails only when told to; it gives way to live work and goes
//! on where it was stopped.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::Level;

use super::{Common, Failure, print, system_clock};
use crate::edgar::eastern::eastern_date;
use crate::edgar::pace::Priority;
use crate::passes::{Membership, PassError, ReadSummary, Watcher, days_in};
use crate::store::{Queue, Store, try_lock};

/// Arguments of `backfill`.
#[derive(Debug, Args)]
pub(super) struct BackfillArgs {
    /// First filing date
    #[arg(long, value_name = "DATE")]
    from: NaiveDate,

    /// Last filing date
    #[arg(long, value_name = "DATE")]
    to: NaiveDate,

    /// Mail what is found, as if it were new
    #[arg(long)]
    send: bool,
}

/// How often the bar looks at the queue.
const TICK: Duration = Duration::from_millis(500);
/// How soon the queue is looked at again that holds only what is in other hands.
const LEAST_WAIT: Duration = Duration::from_millis(100);

pub(super) async fn run(common: &Common, args: &BackfillArgs) -> Result<(), Failure> {
    if args.from > args.to {
        return Err(Failure::usage(format!("--from {} lies after --to {}", args.from, args.to)));
    }
    let settings = common.load_for_store(Some(Level::WARN))?;
    if args.send {
        settings.require_credentials()?;
    }
    let store = Store::open(&settings.store).await?;
    // What is mailed goes through the queue of what is live: a daemon on this store reads it as well as this process.
    let lock = try_lock(&settings.store).map_err(|error| Failure::out_of_reach(format!("{error:#}")))?;
    let clock = system_clock();
    let membership = Membership::join(&store, &settings, "backfill").await?;
    let watcher = Watcher::with_priority(settings, store.clone(), Arc::new(store), Priority::Backfill, clock.clone())?;
    let watcher = Arc::new(if args.send { watcher } else { watcher.recording_only() });
    let stopper = watcher.clone();
    let interrupted = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopper.stop();
        }
    });

    let n_days = days_in(args.from, args.to, eastern_date(clock.now()));
    let bar = bar(n_days, "days");
    let queued = watcher.queue_range(args.from, args.to, |n| bar.inc(n as u64)).await;
    bar.finish_and_clear();
    let read = match &queued {
        Ok(_) => read_all(&watcher, queue_of(args)).await,
        Err(_) => Ok(ReadSummary::default()),
    };
    if args.send && lock.is_some() {
        watcher.deliver(None).await?;
    }
    interrupted.abort();
    let waiting = watcher.store.n_queued(queue_of(args)).await;
    membership.leave().await;
    watcher.store.close().await;
    let waiting = waiting?;
    let (queued, read) = (queued?, read?);
    print(&format!(
        "{} days indexed, {} done before; {} filings read, {} with news, {} given up, {waiting} left\n",
        queued.n_days, queued.n_done_before, read.n_read, read.n_alerts, read.n_parked
    ))?;
    if watcher.is_stopping() { Err(Failure::out_of_reach("stopped: run it again to go on")) } else { Ok(()) }
}

fn queue_of(args: &BackfillArgs) -> Queue {
    if args.send { Queue::Live } else { Queue::Past }
}

/// Reads until nothing is left that can be read, by this worker and all others.
async fn read_all(watcher: &Arc<Watcher>, queue: Queue) -> Result<ReadSummary, PassError> {
    let bar = bar(0, "filings");
    let ticking = {
        let (bar, watcher) = (bar.clone(), watcher.clone());
        tokio::spawn(async move {
            loop {
                if let Ok((n_done, n_all)) = watcher.store.backfill_progress(queue, watcher.clock.now()).await {
                    bar.set_length(n_all);
                    bar.set_position(n_done);
                }
                tokio::time::sleep(TICK).await;
            }
        })
    };
    let mut all = ReadSummary::default();
    let result = loop {
        match watcher.read(None).await {
            Ok(summary) => all += summary,
            Err(error) => break Err(error),
        }
        if watcher.is_stopping() {
            break Ok(());
        }
        // What was put off is tried again when it is due, and what others hold when they let go of it.
        let now = watcher.clock.now();
        let wait = match watcher.store.next_filing_due(queue).await? {
            Some(due) => (due - now).to_std().unwrap_or_default().max(LEAST_WAIT),
            None if watcher.is_queued_by_others().await? => TICK,
            None => break Ok(()),
        };
        watcher.clock.sleep(wait).await;
    };
    ticking.abort();
    bar.finish_and_clear();
    result.map(|()| all)
}

/// A bar with rate and time left, on a terminal only.
fn bar(length: u64, unit: &str) -> ProgressBar {
    // A constant template, which a test draws.
    let style = ProgressStyle::with_template(&format!("{{bar:30}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left"))
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(TICK);
    bar
}
