//! What systemd is told (sd_notify(3)); without systemd, nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sd_notify::NotifyState;

use crate::calendar::print_span;
use crate::edgar::eastern::print_eastern;
use crate::passes::{FEED_LAG, LAST_POLL, LAST_POLL_ERROR, Watcher};
use crate::progress::{Loop, Progress};

/// Longest `STATUS=` line: systemd shows it on one.
const MOST_STATUS: usize = 200;

/// So many words may wait for systemd to listen; beyond that, those that would come again anyhow are left out.
const MOST_WAITING: usize = 8;

/// Where words for systemd go. A thread of its own hands them over: the socket may keep its writer waiting, and no loop is to
/// stand still because systemd does.
struct Mouth {
    words: Sender<String>,
    n_waiting: Arc<AtomicUsize>,
}

static MOUTH: LazyLock<Mouth> = LazyLock::new(|| {
    let (words, waiting) = channel::<String>();
    let n_waiting = Arc::new(AtomicUsize::new(0));
    let n_left = n_waiting.clone();
    std::thread::spawn(move || {
        for lines in waiting {
            // Outside systemd there is nobody to notify.
            let _ = sd_notify::notify(&[NotifyState::Custom(&lines)]);
            n_left.fetch_sub(1, Ordering::Relaxed);
        }
    });
    Mouth { words, n_waiting }
});

fn notify(states: &[NotifyState<'_>]) {
    let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
    MOUTH.n_waiting.fetch_add(1, Ordering::Relaxed);
    // The thread lives as long as the process.
    let _ = MOUTH.words.send(lines.join("\n"));
}

fn notify_if_heard(state: NotifyState<'_>) {
    if MOUTH.n_waiting.load(Ordering::Relaxed) < MOST_WAITING {
        notify(&[state]);
    }
}

/// Configuration and store are open.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The configuration is read again; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Asks for so much more time to stop.
pub(super) fn extend_timeout(by: Duration) {
    notify(&[NotifyState::ExtendTimeoutUsec(u32::try_from(by.as_micros()).unwrap_or(u32::MAX))]);
}

/// The line that `systemctl status` shows.
pub(super) fn status(words: &str) {
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_STATUS).collect();
    notify_if_heard(NotifyState::Status(&line));
}

/// Tells the last poll, the feed's lag and the mail that waits. What the store does not tell is left for the next time.
pub(super) async fn tell_status(watcher: &Watcher) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    match describe(watcher).await {
        Ok(words) => status(&words),
        Err(error) => status(&format!("{error:#}")),
    }
}

async fn describe(watcher: &Watcher) -> anyhow::Result<String> {
    let facts = watcher.store.facts(&[LAST_POLL, LAST_POLL_ERROR, FEED_LAG]).await?;
    let polled = facts.get(LAST_POLL).map_or_else(
        || "no good poll yet".to_owned(),
        |(_, at)| {
            let lag = facts.get(FEED_LAG).and_then(|(seconds, _)| seconds.parse().ok()).map(TimeDelta::seconds);
            let lag = lag.map(|lag| format!(", newest entry {} old", print_span(lag))).unwrap_or_default();
            format!("last poll {}{lag}", print_eastern(*at))
        },
    );
    let waiting = match watcher.store.waiting_mail().await? {
        Some((n_waiting, _)) => format!("{n_waiting} mails wait"),
        None => "no mail waits".to_owned(),
    };
    // What fails comes first: the line may be cut short.
    Ok(match facts.get(LAST_POLL_ERROR) {
        Some((error, _)) => format!("{waiting}; {polled}; FAILING: {error}"),
        None => format!("{polled}; {waiting}"),
    })
}

/// Feeds the watchdog while every loop keeps its word, and says which does not. Never ends.
pub(super) async fn feed_watchdog(progress: &Progress) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut said: Option<Loop> = None;
    // A limit of systemd's, so it runs on the machine's clock.
    let mut ticks = tokio::time::interval(interval / 4);
    loop {
        ticks.tick().await;
        let stuck = progress.stuck(Instant::now());
        match stuck {
            None => notify_if_heard(NotifyState::Watchdog),
            Some(which) if said != stuck => {
                tracing::error!("{which} is stuck: the watchdog of systemd will start this service anew");
                status(&format!("{which} is stuck"));
            }
            Some(_) => {}
        }
        said = stuck;
    }
}
