//! Is all well with the watch itself? One mail to the owner when something has been wrong for a while, one when it is well
//! again. What cannot be told, because the store or the way out is gone, `status` and the log still say.

use std::collections::HashMap;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::deliver::owner_key;
use super::{DAY_OVERDUE, LAST_POLL, LAST_POLL_ERROR, Watcher};
use crate::edgar::eastern::{eastern, is_open, print_eastern};
use crate::store::Store;

/// Something that a person should see to, by a name that stays the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matter {
    /// Its name in the store.
    pub key: &'static str,
    /// In a few words.
    pub what: &'static str,
    /// What is wrong, while it is.
    pub trouble: Option<String>,
}

/// EDGAR may be out of reach for so long.
const LONGEST_SILENCE: TimeDelta = TimeDelta::minutes(30);
/// From 10:00 to 17:30 Eastern of a business day no hour passes without a filing of the forms that matter here; earlier
/// ones are last evening's, and what is accepted later is shown the next morning.
const QUIETEST: TimeDelta = TimeDelta::minutes(60);
/// So many polls in a row must show it: one that runs once an hour cannot tell sooner.
const QUIET_ENOUGH: u32 = 6;
/// The fact that counts polls without anything new, and says since when.
pub(super) const QUIET_POLLS: &str = "quiet_polls";
/// A mail may wait for so long.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(2);
/// The store must have room for so many bytes.
const LEAST_ROOM: u64 = 200_000_000;

impl Watcher {
    /// Looks at itself and tells the owner what has changed. `true` where nothing is wrong.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn watch_self(&self) -> anyhow::Result<bool> {
        let matters = matters(&self.store, self.clock.now()).await?;
        let keys: Vec<String> = matters.iter().map(|matter| owner_key(matter.key)).collect();
        let told = self.store.facts(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let is_well = matters.iter().all(|matter| matter.trouble.is_none());
        for (Matter { key, what, trouble }, fact) in matters.into_iter().zip(&keys) {
            match (trouble, told.get(fact)) {
                (Some(trouble), None) => {
                    let text = format!(
                        "{trouble}\n\n`edgar-watch status` shows more. One more mail follows when this is over.\n"
                    );
                    self.tell_owner(key, what, &text).await?;
                }
                (None, Some((_, since))) => self.tell_owner_settled(key, what, *since).await?,
                _ => {}
            }
        }
        Ok(is_well)
    }
}

/// Everything that is looked at, well or not.
///
/// # Errors
/// When the store cannot be read.
pub async fn matters(store: &Store, now: DateTime<Utc>) -> anyhow::Result<Vec<Matter>> {
    let known = store.facts(&[LAST_POLL, LAST_POLL_ERROR, QUIET_POLLS]).await?;
    Ok(vec![
        Matter { key: "edgar_silent", what: "EDGAR is out of reach", trouble: silence(&known, now) },
        Matter { key: "feed_quiet", what: "EDGAR's feed stands still", trouble: quiet_feed(&known, now) },
        Matter { key: "mail_waits", what: "mail does not leave", trouble: waiting_mail(store, now).await? },
        Matter { key: "days_open", what: "days cannot be reconciled", trouble: open_days(store, now).await? },
        Matter { key: "disk_full", what: "the disk is nearly full", trouble: little_room(store) },
    ])
}

async fn waiting_mail(store: &Store, now: DateTime<Utc>) -> anyhow::Result<Option<String>> {
    let Some((n_waiting, oldest)) = store.waiting_mail().await? else { return Ok(None) };
    let told = || format!("{n_waiting} mails wait to be sent, the oldest since {}.", print_eastern(oldest));
    Ok((now - oldest >= LONGEST_WAIT).then(told))
}

async fn open_days(store: &Store, now: DateTime<Utc>) -> anyhow::Result<Option<String>> {
    let open = store.overdue_days(now - DAY_OVERDUE).await?;
    let days: Vec<String> = open.iter().map(ToString::to_string).collect();
    let told = || format!("EDGAR's index could not be read for {}: filings may have been missed.", days.join(", "));
    Ok((!days.is_empty()).then(told))
}

fn little_room(store: &Store) -> Option<String> {
    // Where the room cannot be told, as on a server, there is nothing to say.
    let room = rustix::fs::statvfs(store.place().path()?).ok()?;
    let bytes = room.f_bavail.saturating_mul(room.f_frsize);
    let folder = store.place();
    (bytes < LEAST_ROOM).then(|| format!("{} MB are left for the store at {folder}.", bytes / 1_000_000))
}

type Facts = HashMap<String, (String, DateTime<Utc>)>;

fn silence(known: &Facts, now: DateTime<Utc>) -> Option<String> {
    let (error, since) = known.get(LAST_POLL_ERROR)?;
    let silent_since = known.get(LAST_POLL).map_or(*since, |(_, at)| *at);
    let told = || format!("No poll has gone well since {}: {error}", print_eastern(silent_since));
    (now - silent_since >= LONGEST_SILENCE).then(told)
}

fn quiet_feed(known: &Facts, now: DateTime<Utc>) -> Option<String> {
    let (since, n_polls) = known.get(QUIET_POLLS).and_then(|(value, _)| parse_quiet(value))?;
    let told = || format!("EDGAR's feed has shown nothing new since {}.", print_eastern(since));
    (n_polls >= QUIET_ENOUGH && now - since >= QUIETEST).then(told)
}

/// Counts the polls of a business day that brought nothing new: the value of [`QUIET_POLLS`], `None` for none.
pub(super) fn quiet_polls(before: Option<&str>, n_recorded: usize, now: DateTime<Utc>) -> Option<String> {
    if n_recorded > 0 || !is_busy(now) {
        return None;
    }
    let (since, n_polls) = before.and_then(parse_quiet).unwrap_or((now, 0));
    Some(format!("{} {}", since.to_rfc3339(), n_polls + 1))
}

/// Whether filings come in without a pause now.
fn is_busy(now: DateTime<Utc>) -> bool {
    let by_day = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or_default();
    is_open(now) && (by_day(10, 0)..by_day(17, 30)).contains(&eastern(now).time())
}

fn parse_quiet(value: &str) -> Option<(DateTime<Utc>, u32)> {
    let (since, n_polls) = value.split_once(' ')?;
    Some((since.parse().ok()?, n_polls.parse().ok()?))
}
