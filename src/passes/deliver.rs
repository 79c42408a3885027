//! Sends what is due. A row leaves the outbox only on the other side's final word or at its age limit.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

use super::{PassError, Watcher, notified};
use crate::alert::owner_message_id;
use crate::edgar::eastern::print_eastern;
use crate::mail::{Basics, DeliveryError, Envelope, Mailer, build_plain};
use crate::outbox::next_try;
use crate::store::{DueMessage, OnceMail, StoreError};

/// What delivery did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliverSummary {
    /// Mails taken.
    pub n_sent: usize,
    /// Mails put off.
    pub n_postponed: usize,
    /// Mails set aside for a person.
    pub n_set_aside: usize,
    /// Why the way out was closed, if it was.
    pub unreachable: Option<String>,
}

/// Mails under way at a time, each on a connection of its own and none to the same recipient: one that is slow holds up
/// those to its recipient and nobody else.
const LANES: usize = 4;
/// The first mail of a pass goes alone, to show whether the way out is open, for so long.
const FIRST_ALONE: Duration = Duration::from_secs(5);
/// Messages taken from the outbox at a time.
const BATCH: usize = 100;
/// Until when the last attempt of a message counts as under way.
const LAST_ATTEMPT: TimeDelta = TimeDelta::minutes(1);

/// How long a way out that was found closed is not tried again.
const CLOSED_FOR: TimeDelta = TimeDelta::seconds(5);

/// What became of one message.
enum Outcome {
    Sent,
    Postponed { closed: Option<Closed> },
    SetAside,
}

/// A way out that led nowhere.
struct Closed {
    reason: String,
    /// Nothing was said about the mail; otherwise the other side fell silent while it had it.
    at_once: bool,
}

impl Watcher {
    /// Sends every message that is due. With `wake`, messages that become due meanwhile are taken up when it is notified.
    ///
    /// # Errors
    /// [`PassError`] when the store fails, or the mailer cannot be set up. A mail that is not taken is put off or
    /// set aside and holds up no other.
    pub async fn deliver_pass(&self, wake: Option<&Notify>) -> Result<DeliverSummary, PassError> {
        let mut summary = DeliverSummary::default();
        if self.store.due_messages(self.clock.now(), 1).await?.is_empty() {
            return Ok(summary);
        }
        let new_lane = || Mailer::new(&self.settings.mail).map_err(|error| PassError::Config(format!("{error:#}")));
        let mut idle = vec![new_lane()?];
        let mut waiting: VecDeque<DueMessage> = VecDeque::new();
        let mut under_way: HashSet<String> = HashSet::new();
        let mut in_work = FuturesUnordered::new();
        let mut may_be_more = true;
        let mut closed_until = None;
        let mut n_lanes = 1;
        let mut failure: Option<PassError> = None;
        // A limit on the network, so it runs on the network's clock.
        let alone = tokio::time::sleep(FIRST_ALONE);
        tokio::pin!(alone);
        loop {
            // When the store fails, what is under way is brought to its end: the relay may be taking it.
            let mut has_room = failure.is_none() && !self.is_stopping() && in_work.len() < n_lanes;
            let next = waiting.iter().position(|message| !under_way.contains(&message.recipient));
            if let Some(message) = next.filter(|_| has_room).and_then(|next| waiting.remove(next)) {
                // The one used last may have a connection open.
                match idle.pop().map_or_else(new_lane, Ok) {
                    Ok(lane) => {
                        let is_closed = closed_until.is_some_and(|until| self.clock.now() < until);
                        let closed = summary.unreachable.clone().filter(|_| is_closed);
                        under_way.insert(message.recipient.clone());
                        in_work.push(self.deliver_on(lane, message, closed, summary.n_sent));
                    }
                    Err(error) => failure = Some(error),
                }
                continue;
            }
            has_room &= may_be_more;
            if in_work.is_empty() && !has_room {
                break;
            }
            // As in reading: work that waits for the store must go on while the outbox is looked at.
            let (lane, recipient, n_sent_before, outcome) = tokio::select! {
                Some(done) = in_work.next(), if !in_work.is_empty() => done,
                due = self.due_to_others(&under_way), if has_room => {
                    may_be_more = false;
                    match due {
                        // All that waited here are to recipients under way, so none of them is among these.
                        Ok(due) => waiting.extend(due),
                        Err(error) => failure = Some(error.into()),
                    }
                    continue;
                }
                () = notified(wake), if !in_work.is_empty() => {
                    may_be_more = true;
                    continue;
                }
                () = &mut alone, if n_lanes == 1 && !in_work.is_empty() => {
                    n_lanes = LANES;
                    may_be_more = true;
                    continue;
                }
            };
            idle.push(lane);
            under_way.remove(&recipient);
            may_be_more = true;
            match outcome {
                Err(error) => {
                    failure.get_or_insert(error.into());
                }
                Ok(Outcome::Sent) => {
                    summary.n_sent += 1;
                    n_lanes = LANES;
                }
                Ok(Outcome::SetAside) => summary.n_set_aside += 1,
                Ok(Outcome::Postponed { closed }) => {
                    summary.n_postponed += 1;
                    // A mail that fell into silence while others were taken says nothing of the way out.
                    if let Some(closed) = closed.filter(|closed| closed.at_once || summary.n_sent == n_sent_before) {
                        closed_until = Some(self.clock.now() + CLOSED_FOR);
                        summary.unreachable.get_or_insert(closed.reason);
                    }
                }
            }
        }
        for mut lane in idle {
            lane.close().await;
        }
        failure.map_or(Ok(summary), Err)
    }

    /// The messages that are due, less those to recipients whom one is under way to.
    async fn due_to_others(&self, under_way: &HashSet<String>) -> anyhow::Result<Vec<DueMessage>> {
        let mut limit = BATCH;
        loop {
            let due = self.store.due_messages(self.clock.now(), limit).await?;
            let is_all = due.len() < limit;
            let others: Vec<DueMessage> =
                due.into_iter().filter(|message| !under_way.contains(&message.recipient)).collect();
            if is_all || !others.is_empty() {
                return Ok(others);
            }
            limit *= 4;
        }
    }

    async fn deliver_on(
        &self,
        mut lane: Mailer,
        message: DueMessage,
        closed: Option<String>,
        n_sent_before: usize,
    ) -> (Mailer, String, usize, anyhow::Result<Outcome>) {
        let outcome = self.deliver_message(&mut lane, &message, closed).await;
        (lane, message.recipient, n_sent_before, outcome)
    }

    async fn deliver_message(
        &self,
        mailer: &mut Mailer,
        message: &DueMessage,
        closed: Option<String>,
    ) -> anyhow::Result<Outcome> {
        let (id, attempt) = (message.id, message.attempts + 1);
        let bytes = match self.frozen_bytes(message).await {
            Ok(bytes) => bytes,
            // One message that cannot be written must not keep the others from leaving.
            Err(error) if error.is::<StoreError>() => return Err(error),
            Err(error) => {
                self.set_aside(message, &format!("the mail cannot be written: {error:#}")).await?;
                return Ok(Outcome::SetAside);
            }
        };
        let give_up_after = TimeDelta::from_std(self.settings.mail.give_up_after)?;
        let begins_at = self.clock.now();
        let next = next_try(message.attempts, message.created_at, begins_at, give_up_after, fastrand::u64(..));
        self.store.begin_attempt(id, next.unwrap_or(begins_at + LAST_ATTEMPT)).await?;
        let from = self.settings.mail.from.email.to_string();
        let envelope = Envelope { from: &from, to: &message.recipient, message_id: &message.message_id };
        let is_asked = closed.is_none();
        let sent = match closed {
            // The way out is closed: asking once per pass is enough.
            Some(reason) => Err(DeliveryError::Unreachable(reason)),
            None => mailer.send(envelope, &bytes).await,
        };
        let error = match sent {
            Ok(reply) => {
                self.store.record_sent(id, &reply, self.clock.now()).await?;
                tracing::info!(outbox_id = id, attempt, "outbox {id}: {} sent: {reply}", message.message_id);
                return Ok(Outcome::Sent);
            }
            Err(error) => error,
        };
        let reason = error.to_string();
        if let DeliveryError::Permanent(_) = error {
            self.set_aside(message, &reason).await?;
            return Ok(Outcome::SetAside);
        }
        let Some(next_try_at) = next else {
            self.set_aside(message, &format!("{reason} (given up after {attempt} attempts)")).await?;
            return Ok(Outcome::SetAside);
        };
        self.store.postpone_message(id, &reason, next_try_at).await?;
        let at = next_try_at.format("%H:%M:%SZ");
        tracing::warn!(outbox_id = id, attempt, "outbox {id}: {reason}: attempt {attempt}, next {at}");
        let closed = match error {
            // What was not asked tells nothing new.
            _ if !is_asked => None,
            DeliveryError::Unreachable(_) => Some(Closed { reason, at_once: true }),
            DeliveryError::NoAnswer(_) => Some(Closed { reason, at_once: false }),
            _ => None,
        };
        Ok(Outcome::Postponed { closed })
    }

    async fn set_aside(&self, message: &DueMessage, reason: &str) -> anyhow::Result<()> {
        let (id, now) = (message.id, self.clock.now());
        let text = format!(
            "A mail to {} was not taken and waits for you:\n\n  {reason}\n\nSee it:        edgar-watch outbox show {id}\n\
             Try it again:  edgar-watch outbox retry {id}\nGive it up:    edgar-watch outbox drop {id}\n",
            message.recipient
        );
        let what = format!("a mail to {} was set aside", message.recipient);
        let mail = self.owner_mail(&format!("set_aside:{id}"), &what, &text)?;
        // A mail to the owner that is refused is not worth another.
        let tell = Some(&mail).filter(|mail| mail.recipient != message.recipient);
        self.store.set_aside_message(id, reason, tell, now).await?;
        tracing::error!(outbox_id = id, "outbox {id}: {reason}: set aside, see status");
        Ok(())
    }

    /// Mails the owner about something that needs a person, once while the fact that remembers it is there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tell_owner(&self, matter: &str, what: &str, text: &str) -> anyhow::Result<()> {
        self.store.enqueue_once(&self.owner_mail(matter, what, text)?, self.clock.now()).await
    }

    /// A mail to the owner.
    pub(super) fn owner_mail(&self, matter: &str, what: &str, text: &str) -> anyhow::Result<OnceMail> {
        let now = self.clock.now();
        let mail = &self.settings.mail;
        let recipient = mail.owner.email.to_string();
        let message_id = owner_message_id(matter, now, &recipient);
        let subject = format!("[edgar-watch] {what}");
        let basics = Basics { from: &mail.from, to: &recipient, subject: &subject, message_id: &message_id, date: now };
        let bytes = build_plain(&basics, text.to_owned())?;
        Ok(OnceMail { fact: owner_key(matter), message_id, recipient, subject, bytes })
    }

    /// Tells the owner that a matter he was told of at `since` is over, once; if it comes back it is told again.
    ///
    /// # Errors
    /// When the store fails or the owner's address is none.
    pub(super) async fn tell_owner_settled(
        &self,
        matter: &str,
        what: &str,
        since: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let over = format!("{matter}.over");
        let text = format!("What was told on {} is over: {what}.\n", print_eastern(since));
        self.tell_owner(&over, &format!("well again: {what}"), &text).await?;
        self.store.write_facts(&[], &[&owner_key(matter), &owner_key(&over)], self.clock.now()).await
    }
}

/// The matter of a message that was set aside; settled when a person tries it again.
pub fn set_aside_fact(id: i64) -> String {
    owner_key(&format!("set_aside:{id}"))
}

pub(super) fn owner_key(matter: &str) -> String {
    format!("told_owner:{matter}")
}
