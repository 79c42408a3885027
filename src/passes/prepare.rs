//! Makes due messages ready to leave: their mails are written, and bytes and attempts are on the disk, for many messages in
//! one commit. What becomes of each is a commit of its own.

use chrono::{DateTime, TimeDelta, Utc};

use super::Watcher;
use super::compose::{Draft, Outlook};
use crate::outbox::next_try;
use crate::store::{Attempt, DueMessage, StoreError, Written};

/// Until when the last attempt of a message counts as under way.
const LAST_ATTEMPT: TimeDelta = TimeDelta::minutes(1);

/// A message that may leave: its attempt is counted.
#[derive(Debug)]
pub(super) struct ReadyMessage {
    pub(super) due: DueMessage,
    pub(super) bytes: Vec<u8>,
    pub(super) ready_at: DateTime<Utc>,
}

/// What became of messages that were to be made ready.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) ready: Vec<ReadyMessage>,
    /// Somebody dropped them meanwhile, or they changed while they were written and are due again.
    pub(super) gone: Vec<DueMessage>,
    /// They cannot be written, and why; they are set aside.
    pub(super) unwritable: Vec<(DueMessage, String)>,
}

fn unwritable(error: &anyhow::Error) -> String {
    format!("the mail cannot be written: {error:#}")
}

impl Watcher {
    /// Makes messages ready.
    ///
    /// # Errors
    /// When the store fails: then none may leave.
    pub(super) async fn prepare(&self, due: Vec<DueMessage>, outlook: &Outlook) -> anyhow::Result<Prepared> {
        self.store.record_left_behind().await?;
        outlook.refresh();
        let unwritten: Vec<i64> = due.iter().filter(|own| own.bytes.is_none()).map(|own| own.id).collect();
        let mut carried = self.store.notices_in(&unwritten).await?;
        let begins_at = self.clock.now();
        let mut prepared = Prepared::default();
        let mut drafts = Vec::new();
        for message in due {
            if message.bytes.is_some() {
                drafts.push((message, None));
                continue;
            }
            let carried = carried.remove(&message.id).unwrap_or_default();
            match self.draft(&message, &carried, outlook).await {
                Ok(Some(draft)) => drafts.push((message, Some((draft, carried.len())))),
                Ok(None) => {
                    self.store.drop_message(message.id, begins_at).await?;
                    prepared.gone.push(message);
                }
                Err(error) if error.is::<StoreError>() => return Err(error),
                Err(error) => prepared.unwritable.push((message, unwritable(&error))),
            }
        }
        let settings = self.settings.clone();
        let write = move |(message, draft): (DueMessage, Option<(Draft, usize)>)| {
            let written = draft.map(|(draft, n_notices)| {
                draft.write(&settings.mail, begins_at).map(|bytes| Written { bytes, n_notices })
            });
            (message, written.transpose())
        };
        // It takes a core's time, and the connections must not stand still meanwhile.
        let written = tokio::task::spawn_blocking(move || drafts.into_iter().map(write).collect::<Vec<_>>()).await?;
        let (mut attempts, mut rest) = (Vec::with_capacity(written.len()), Vec::with_capacity(written.len()));
        for (message, written) in written {
            // One message that cannot be written must not keep the others from leaving.
            let written = match written {
                Ok(written) => written,
                Err(error) => {
                    prepared.unwritable.push((message, unwritable(&error)));
                    continue;
                }
            };
            // Unless this process dies, it is counted from the end of the attempt.
            let next_try_at = self.next_try(&message, begins_at).unwrap_or(begins_at + LAST_ATTEMPT);
            attempts.push(Attempt { message: message.id, next_try_at, written });
            rest.push(message);
        }
        // Here, where nobody waits: whoever is told of a delivery's end must not wait for the store.
        for (message, reason) in &prepared.unwritable {
            self.set_aside(message, reason, false).await?;
        }
        let may_leave = self.store.begin_attempts(&attempts).await?;
        for ((attempt, mut due), may_leave) in attempts.into_iter().zip(rest).zip(may_leave) {
            let bytes = attempt.written.map(|written| written.bytes).or_else(|| due.bytes.take());
            match bytes.filter(|_| may_leave) {
                Some(bytes) => prepared.ready.push(ReadyMessage { due, bytes, ready_at: begins_at }),
                None => prepared.gone.push(due),
            }
        }
        Ok(prepared)
    }

    /// When a message is tried next whose attempt ended at an instant; `None` if that was the last.
    pub(super) fn next_try(&self, message: &DueMessage, ended_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let give_up_after = TimeDelta::from_std(self.settings.mail.give_up_after).unwrap_or(TimeDelta::MAX);
        next_try(message.attempts, message.created_at, ended_at, give_up_after, fastrand::u64(..))
    }
}
