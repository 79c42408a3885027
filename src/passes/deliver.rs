//! Sends what is due. A row leaves the outbox only on the other side's final word or at its age limit.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::compose::Outlook;
use super::prepare::{Prepared, ReadyMessage};
use super::ways::{Lane, Ways};
use super::{PassError, Watcher, notified};
use crate::alert::{is_consent, owner_message_id};
use crate::edgar::eastern::print_eastern;
use crate::mail::{Basics, DeliveryError, Envelope, HandOver, build_plain, sign};
use crate::metrics::{Count, Stage};
use crate::progress::Loop;
use crate::store::{DueMessage, OnceMail};

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

/// The first message to a way out goes alone, to show whether it is open, for so long.
const FIRST_ALONE: Duration = Duration::from_secs(5);
/// Messages taken from the outbox at a time; fewer where other processes are to have their share.
const BATCH: usize = 500;
const SHARED_BATCH: usize = 100;
/// With so many messages that wait here for their way out to have room, no more are taken.
const MOST_WAITING: usize = 20_000;
/// How soon the outbox is looked through again once all that was due has been seen, while mails leave.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A message that was ready for longer before its turn came may have been dropped: its recipient does not want it any more.
const READY_FOR: TimeDelta = TimeDelta::seconds(1);

/// What became of one message.
enum Outcome {
    Sent,
    /// Somebody dropped it meanwhile.
    Gone,
    Postponed {
        closed: Option<Closed>,
    },
    SetAside,
}

/// A message whose lane is free again.
struct Done {
    lane: Lane,
    recipient: String,
    n_sent_before: usize,
    outcome: anyhow::Result<Outcome>,
}

/// Messages that are due.
struct Due {
    others: Vec<DueMessage>,
    /// There are no more.
    is_whole: bool,
    /// There are some to recipients whom another is under way to.
    some_must_wait: bool,
}

/// A way out that led nowhere.
struct Closed {
    reason: String,
    /// Nothing was said about the mail; otherwise the other side fell silent while it had it.
    at_once: bool,
}

/// Takes messages that are to be made ready now, one at most for a recipient.
fn take_batch(
    waiting: &mut VecDeque<DueMessage>,
    under_way: &mut HashSet<String>,
    ways: &mut Ways<'_>,
) -> Vec<DueMessage> {
    let mut n_reserved = HashMap::new();
    let (mut batch, mut passed) = (Vec::new(), Vec::new());
    while let Some(message) = waiting.pop_front() {
        if !under_way.contains(&message.recipient) && ways.reserve(&message.recipient, &mut n_reserved) {
            under_way.insert(message.recipient.clone());
            batch.push(message);
            continue;
        }
        passed.push(message);
        if !ways.takes_more(&n_reserved) {
            break;
        }
    }
    passed.into_iter().rev().for_each(|message| waiting.push_front(message));
    batch
}

impl Watcher {
    /// Sends every message that is due. With `wake`, messages that become due meanwhile are taken up when it is notified.
    ///
    /// # Errors
    /// [`PassError`] when the store fails, or the mailer cannot be set up. A mail that is not taken is put off or
    /// set aside and holds up no other.
    pub async fn deliver_pass(&self, wake: Option<&Notify>) -> Result<DeliverSummary, PassError> {
        let mut summary = DeliverSummary::default();
        self.begin_empty_digests().await?;
        if !self.store.has_due_message(self.clock.now()).await? {
            return Ok(summary);
        }
        let mut ways = Ways::new(&self.settings);
        let mut waiting: VecDeque<DueMessage> = VecDeque::new();
        let mut ready: VecDeque<ReadyMessage> = VecDeque::new();
        // Recipients to whom a message is made ready, or is on its way.
        let mut under_way: HashSet<String> = HashSet::new();
        let outlook = Outlook::default();
        let mut preparing = FuturesUnordered::new();
        let mut in_work = FuturesUnordered::new();
        // Whether messages wait that were not looked at.
        let mut has_new = false;
        let mut may_be_more = true;
        // Where all that was due has been seen, the outbox is not looked through after every mail, nor while many wait here.
        let mut look_again_at: Option<Instant> = None;
        let mut failure: Option<PassError> = None;
        // A limit on the network, so it runs on the network's clock.
        let alone = tokio::time::sleep(FIRST_ALONE);
        tokio::pin!(alone);
        loop {
            // When the store fails, what is under way is brought to its end: the relay may be taking it.
            let is_open = failure.is_none() && !self.is_stopping();
            if is_open {
                while let Some(next) = ready.iter().position(|message| ways.has_room(&message.due.recipient))
                    && let Some(message) = ready.remove(next)
                {
                    let (lane, closed, n_sent_before) = ways.take(&message.due.recipient, self.clock.now());
                    in_work.push(self.deliver_on(lane, message, closed, n_sent_before));
                }
                if preparing.is_empty() && (has_new || ways.needs_more()) {
                    has_new = false;
                    let batch = take_batch(&mut waiting, &mut under_way, &mut ways);
                    if !batch.is_empty() {
                        let recipients: Vec<String> = batch.iter().map(|message| message.recipient.clone()).collect();
                        let prepared = self.prepare(batch, &outlook);
                        preparing.push(async { (recipients, prepared.await) });
                    }
                }
            }
            // While some are made ready, those that wait have not been looked through.
            let has_place = waiting.len() < MOST_WAITING && ways.may_have_room();
            let looks_for_more = is_open && may_be_more && preparing.is_empty() && has_place;
            if in_work.is_empty() && preparing.is_empty() && !looks_for_more {
                break;
            }
            // As in reading: work that waits for the store must go on while the outbox is looked at.
            let done = tokio::select! {
                Some(done) = in_work.next(), if !in_work.is_empty() => done,
                Some((recipients, prepared)) = preparing.next(), if !preparing.is_empty() => {
                    may_be_more = true;
                    match prepared {
                        Ok(Prepared { ready: more, gone, unwritable }) => {
                            ready.extend(more);
                            let rest = gone.iter().chain(unwritable.iter().map(|(message, _)| message));
                            for message in rest {
                                ways.release(&message.recipient);
                                under_way.remove(&message.recipient);
                            }
                            self.tally.add(Count::Deliveries, "set_aside", unwritable.len());
                            summary.n_set_aside += unwritable.len();
                        }
                        Err(error) => {
                            for recipient in recipients {
                                ways.release(&recipient);
                                under_way.remove(&recipient);
                            }
                            failure.get_or_insert(error.into());
                        }
                    }
                    continue;
                }
                due = self.due_to_others(&under_way, &waiting), if looks_for_more => {
                    match due {
                        Ok(Due { others, is_whole, some_must_wait }) => {
                            may_be_more = !is_whole;
                            look_again_at = (is_whole && !some_must_wait).then(|| Instant::now() + LOOK_AGAIN);
                            has_new = !others.is_empty();
                            others.iter().for_each(|message| ways.note(&message.recipient));
                            waiting.extend(others);
                        }
                        Err(error) => failure = Some(error.into()),
                    }
                    continue;
                }
                () = notified(wake), if !in_work.is_empty() => {
                    may_be_more = true;
                    continue;
                }
                () = &mut alone, if !in_work.is_empty() => {
                    // A way that was used later has its first message to itself for as long at most.
                    alone.as_mut().reset(Instant::now() + FIRST_ALONE);
                    may_be_more |= ways.open_all();
                    continue;
                }
            };
            let Done { lane, recipient, n_sent_before, outcome } = done;
            self.progress.note(Loop::Deliver);
            ways.give_back(&recipient, lane);
            under_way.remove(&recipient);
            may_be_more |= waiting.len() < BATCH && look_again_at.is_none_or(|at| Instant::now() >= at);
            match outcome {
                Err(error) => {
                    failure.get_or_insert(error.into());
                }
                Ok(Outcome::Sent) => {
                    self.tally.add(Count::Deliveries, "sent", 1);
                    summary.n_sent += 1;
                    ways.note_sent(&recipient);
                }
                Ok(Outcome::SetAside) => {
                    // The owner is told of it.
                    may_be_more = true;
                    self.tally.add(Count::Deliveries, "set_aside", 1);
                    summary.n_set_aside += 1;
                }
                Ok(Outcome::Gone) => {}
                Ok(Outcome::Postponed { closed }) => {
                    self.tally.add(Count::Deliveries, "postponed", 1);
                    summary.n_postponed += 1;
                    if let Some(Closed { reason, at_once }) = closed
                        && ways.note_closed(&recipient, &reason, at_once, n_sent_before, self.clock.now())
                    {
                        summary.unreachable.get_or_insert(reason);
                    }
                }
            }
        }
        if !ready.is_empty() {
            let left: Vec<i64> = ready.iter().map(|message| message.due.id).collect();
            if let Err(error) = self.store.take_back_attempts(&left, self.clock.now()).await {
                failure.get_or_insert(error.into());
            }
        }
        // Others may have a way out that is closed to us.
        let left: Vec<i64> = waiting.iter().map(|message| message.id).collect();
        if let Err(error) = self.store.let_go_of_messages(&left).await {
            failure.get_or_insert(error.into());
        }
        // A relay that does not say goodbye is left.
        let nothing_handed = HandOver::default();
        tokio::select! {
            () = ways.close() => {}
            () = self.let_go(&nothing_handed) => {}
        }
        failure.map_or(Ok(summary), Err)
    }

    /// The messages that are due, less those that wait here already and those to recipients whom one is under way to.
    async fn due_to_others(&self, under_way: &HashSet<String>, waiting: &VecDeque<DueMessage>) -> anyhow::Result<Due> {
        let known: HashSet<i64> = waiting.iter().map(|message| message.id).collect();
        let mut limit = if self.store.is_shared() { SHARED_BATCH } else { BATCH };
        loop {
            let due = self.store.due_messages(self.clock.now(), limit).await?;
            let is_whole = due.len() < limit;
            let some_must_wait = due.iter().any(|message| under_way.contains(&message.recipient));
            let is_new = |message: &DueMessage| !under_way.contains(&message.recipient) && !known.contains(&message.id);
            let others: Vec<DueMessage> = due.into_iter().filter(is_new).collect();
            if is_whole || !others.is_empty() {
                return Ok(Due { others, is_whole, some_must_wait });
            }
            limit *= 4;
        }
    }

    async fn deliver_on(
        &self,
        mut lane: Lane,
        message: ReadyMessage,
        closed: Option<String>,
        n_sent_before: usize,
    ) -> Done {
        let outcome = self.deliver_message(&mut lane, &message, closed).await;
        Done { lane, recipient: message.due.recipient, n_sent_before, outcome }
    }

    async fn deliver_message(
        &self,
        lane: &mut Lane,
        ready: &ReadyMessage,
        closed: Option<String>,
    ) -> anyhow::Result<Outcome> {
        let ReadyMessage { due: message, bytes, ready_at } = ready;
        let (id, attempt) = (message.id, message.attempts + 1);
        let begins_at = self.clock.now();
        // One that was taken for dead has lost what it held to another.
        if !self.store.is_alive() || (begins_at - ready_at > READY_FOR && !self.store.is_waiting(id).await?) {
            return Ok(Outcome::Gone);
        }
        let from = self.links().return_address(id);
        let from = from.as_ref().unwrap_or(&self.settings.mail.from.email).to_string();
        let hand_over = &HandOver::default();
        let envelope = Envelope { from: &from, to: &message.recipient, message_id: &message.message_id, hand_over };
        let is_asked = closed.is_none();
        let sent = match closed {
            // The way out is closed for a while: asking at its end is enough.
            Some(reason) => Err(DeliveryError::Unreachable(reason)),
            None => tokio::select! {
                sent = lane.send(envelope, bytes, begins_at) => sent,
                () = self.let_go(hand_over) => {
                    // It is due again at once, whoever starts next.
                    self.store.postpone_message(id, "stopped before the other side had it", begins_at).await?;
                    return Ok(Outcome::Postponed { closed: None });
                }
            },
        };
        let error = match sent {
            Ok(reply) => {
                let sent_at = self.clock.now();
                self.store.record_sent(id, &reply, sent_at).await?;
                if message.is_prompt {
                    self.tally.observe(Stage::Sent, sent_at - message.created_at);
                }
                let reply = masked(&reply, &message.recipient);
                tracing::info!(outbox_id = id, attempt, "outbox {id}: {} sent: {reply}", message.message_id);
                return Ok(Outcome::Sent);
            }
            Err(error) => error,
        };
        let reason = error.to_string();
        if let DeliveryError::Permanent(_) | DeliveryError::BadAddress(_) = error {
            let is_bad_address = matches!(error, DeliveryError::BadAddress(_));
            self.set_aside(message, &reason, is_bad_address).await?;
            return Ok(Outcome::SetAside);
        }
        let Some(next_try_at) = self.next_try(message, self.clock.now()) else {
            self.set_aside(message, &format!("{reason} (given up after {attempt} attempts)"), false).await?;
            return Ok(Outcome::SetAside);
        };
        self.store.postpone_message(id, &reason, next_try_at).await?;
        let at = next_try_at.format("%H:%M:%SZ");
        let words = masked(&reason, &message.recipient);
        tracing::warn!(outbox_id = id, attempt, "outbox {id}: {words}: attempt {attempt}, next {at}");
        let closed = match error {
            // What was not asked tells nothing new.
            _ if !is_asked => None,
            DeliveryError::Unreachable(_) => Some(Closed { reason, at_once: true }),
            DeliveryError::NoAnswer(_) => Some(Closed { reason, at_once: false }),
            _ => None,
        };
        Ok(Outcome::Postponed { closed })
    }

    pub(super) async fn set_aside(
        &self,
        message: &DueMessage,
        reason: &str,
        is_bad_address: bool,
    ) -> anyhow::Result<()> {
        let (id, now) = (message.id, self.clock.now());
        if is_consent(&message.message_id) {
            // Anybody may ask for these to any address: nobody is to be bothered with what becomes of them.
            self.store.drop_message(id, now).await?;
            tracing::info!(outbox_id = id, "outbox {id}: {}: dropped", masked(reason, &message.recipient));
            return Ok(());
        }
        let text = format!(
            "A mail to {} was not taken and waits for you:\n\n  {reason}\n\nSee it:        edgar-watch outbox show {id}\n\
             Try it again:  edgar-watch outbox retry {id}\nGive it up:    edgar-watch outbox drop {id}\n",
            message.recipient
        );
        let what = format!("a mail to {} was set aside", message.recipient);
        let mail = self.owner_mail(&format!("set_aside:{id}"), &what, &text)?;
        // A mail to the owner that is refused is not worth another.
        let tell = Some(&mail).filter(|mail| mail.recipient != message.recipient);
        self.store.set_aside_message(id, reason, tell, is_bad_address, now).await?;
        let reason = masked(reason, &message.recipient);
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
        let bytes = sign(&build_plain(&basics, text.to_owned())?, &mail.dkim, now)?;
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

/// The other side's words without the recipient: logs are kept longer than an address may ask for.
fn masked(words: &str, recipient: &str) -> String {
    words.replace(recipient, "<recipient>")
}

/// The matter of a message that was set aside; settled when a person tries it again.
pub fn set_aside_fact(id: i64) -> String {
    owner_key(&format!("set_aside:{id}"))
}

pub(super) fn owner_key(matter: &str) -> String {
    format!("told_owner:{matter}")
}
