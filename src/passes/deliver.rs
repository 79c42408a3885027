//! Sends what is due. A row leaves the outbox only on the other side's final word or at its age limit.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use lettre::message::Mailbox;

use super::{PassError, Watcher};
use crate::alert::{Alert, thread_id};
use crate::edgar::eastern::print_eastern;
use crate::mail::{Basics, DeliveryError, Envelope, Mailer, NoticeHeaders, build_notice, build_plain};
use crate::outbox::next_try;
use crate::render::{describe_alert, render_html, render_text, subject};
use crate::store::{DueMessage, MessageState, StoreError};

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

/// Messages taken from the outbox at a time.
const BATCH: usize = 100;
/// Until when the last attempt of a message counts as under way.
const LAST_ATTEMPT: TimeDelta = TimeDelta::minutes(1);

impl Watcher {
    /// Sends every message that is due.
    ///
    /// # Errors
    /// [`PassError`] when the store fails, or the mailer cannot be set up. A mail that is not taken is put off or
    /// set aside and holds up no other.
    pub async fn deliver_pass(&self) -> Result<DeliverSummary, PassError> {
        let mut summary = DeliverSummary::default();
        let now = self.clock.now();
        let mut due = self.store.due_messages(now, BATCH).await?;
        if due.is_empty() {
            return Ok(summary);
        }
        let mut mailer = Mailer::new(&self.settings.mail).map_err(|error| PassError::Config(format!("{error:#}")))?;
        while !due.is_empty() && !self.is_stopping() {
            for message in due {
                if self.is_stopping() {
                    break;
                }
                self.deliver_message(&mut mailer, &message, &mut summary).await?;
            }
            due = self.store.due_messages(self.clock.now(), BATCH).await?;
        }
        mailer.close().await;
        Ok(summary)
    }

    async fn deliver_message(
        &self,
        mailer: &mut Mailer,
        message: &DueMessage,
        summary: &mut DeliverSummary,
    ) -> anyhow::Result<()> {
        let (id, attempt) = (message.id, message.attempts + 1);
        let bytes = match self.frozen_bytes(message).await {
            Ok(bytes) => bytes,
            // One message that cannot be written must not keep the others from leaving.
            Err(error) if error.is::<StoreError>() => return Err(error),
            Err(error) => {
                self.set_aside(message, &format!("the mail cannot be written: {error:#}")).await?;
                summary.n_set_aside += 1;
                return Ok(());
            }
        };
        let give_up_after = TimeDelta::from_std(self.settings.mail.give_up_after)?;
        let begins_at = self.clock.now();
        let next = next_try(message.attempts, message.created_at, begins_at, give_up_after, fastrand::u64(..));
        self.store.begin_attempt(id, next.unwrap_or(begins_at + LAST_ATTEMPT)).await?;
        let from = self.settings.mail.from.email.to_string();
        let envelope = Envelope { from: &from, to: &message.recipient, message_id: &message.message_id };
        let sent = match &summary.unreachable {
            // The way out is closed: asking once per pass is enough.
            Some(reason) => Err(DeliveryError::Unreachable(reason.clone())),
            None => mailer.send(envelope, &bytes).await,
        };
        let now = self.clock.now();
        match sent {
            Ok(reply) => {
                self.store.finish_message(id, MessageState::Sent, &reply, now).await?;
                tracing::info!(outbox_id = id, attempt, "outbox {id}: {} sent: {reply}", message.message_id);
                summary.n_sent += 1;
            }
            Err(DeliveryError::Permanent(reason)) => {
                self.set_aside(message, &reason).await?;
                summary.n_set_aside += 1;
            }
            Err(error) => {
                let reason = error.to_string();
                let is_closed = matches!(error, DeliveryError::Unreachable(_) | DeliveryError::NoAnswer(_));
                if is_closed && summary.unreachable.is_none() {
                    summary.unreachable = Some(reason.clone());
                }
                match next {
                    Some(next_try_at) => {
                        self.store.postpone_message(id, &reason, next_try_at).await?;
                        let at = next_try_at.format("%H:%M:%SZ");
                        tracing::warn!(outbox_id = id, attempt, "outbox {id}: {reason}: attempt {attempt}, next {at}");
                        summary.n_postponed += 1;
                    }
                    None => {
                        self.set_aside(message, &format!("{reason} (given up after {attempt} attempts)")).await?;
                        summary.n_set_aside += 1;
                    }
                }
            }
        }
        Ok(())
    }

    async fn set_aside(&self, message: &DueMessage, reason: &str) -> anyhow::Result<()> {
        let id = message.id;
        self.store.finish_message(id, MessageState::SetAside, reason, self.clock.now()).await?;
        tracing::error!(outbox_id = id, "outbox {id}: {reason}: set aside, see status");
        // A mail to the owner that is refused is not worth another.
        if message.recipient == self.settings.mail.owner.email.to_string() {
            return Ok(());
        }
        let text = format!(
            "A mail to {} was not taken and waits for you:\n\n  {reason}\n\nSee it:        edgar-watch outbox show {id}\n\
             Try it again:  edgar-watch outbox retry {id}\nGive it up:    edgar-watch outbox drop {id}\n",
            message.recipient
        );
        self.tell_owner(&format!("set_aside:{id}"), &format!("a mail to {} was set aside", message.recipient), &text)
            .await
    }

    /// The exact bytes to send: those of the first attempt, or now made and kept before anything is sent.
    async fn frozen_bytes(&self, message: &DueMessage) -> anyhow::Result<Vec<u8>> {
        if let Some(bytes) = &message.bytes {
            return Ok(bytes.clone());
        }
        let (alert_id, subscriptions) = message.notice.as_ref().context("a message without bytes and notice")?;
        let row = self.store.alert(alert_id).await?.with_context(|| format!("alert {alert_id} is missing"))?;
        let alert: Alert = serde_json::from_str(&row.content)?;
        let from = &self.settings.mail.from;
        let now = self.clock.now();
        let bytes = write_notice(from, &alert, &message.recipient, subscriptions, &message.message_id, now)?;
        self.store.freeze_message(message.id, &bytes).await?;
        Ok(bytes)
    }

    /// Mails the owner about something that needs a person, once until [`Self::owner_matter_settled`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tell_owner(&self, matter: &str, what: &str, text: &str) -> anyhow::Result<()> {
        let now = self.clock.now();
        let mail = &self.settings.mail;
        let recipient = mail.owner.email.to_string();
        let message_id = crate::alert::message_id(&format!("owner.{}", now.timestamp_micros()), &recipient);
        let subject = format!("[edgar-watch] {what}");
        let basics = Basics { from: &mail.from, to: &recipient, subject: &subject, message_id: &message_id, date: now };
        let bytes = build_plain(&basics, text.to_owned())?;
        self.store.enqueue_mail_once(&owner_key(matter), &message_id, &recipient, &subject, bytes, now).await
    }

    /// Tells the owner that a matter he was told of is over, once.
    ///
    /// # Errors
    /// When the store fails or the owner's address is none.
    pub async fn tell_owner_settled(&self, matter: &str, what: &str) -> anyhow::Result<()> {
        let Some((_, since)) = self.store.fact(&owner_key(matter)).await? else { return Ok(()) };
        let over = format!("{matter}.over");
        let text = format!("What was told on {} is over: {what}.\n", print_eastern(since));
        self.tell_owner(&over, &format!("well again: {what}"), &text).await?;
        self.owner_matter_settled(matter).await?;
        self.owner_matter_settled(&over).await
    }

    /// Forgets that the owner was told, so that the matter is told again when it comes back.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owner_matter_settled(&self, matter: &str) -> anyhow::Result<()> {
        self.store.clear_fact(&owner_key(matter)).await
    }
}

/// The mail that tells one recipient of an alert.
///
/// # Errors
/// When the recipient is no address.
pub fn write_notice(
    from: &Mailbox,
    alert: &Alert,
    recipient: &str,
    subscriptions: &[String],
    message_id: &str,
    written_at: DateTime<Utc>,
) -> anyhow::Result<Vec<u8>> {
    let body = describe_alert(alert, subscriptions, written_at);
    let kinds: Vec<&str> = alert.kinds().into_iter().map(super::super::classify::EventKind::as_str).collect();
    let letter = alert.links.first().map(|link| link.letter.accession);
    let headers = NoticeHeaders {
        accession: alert.accession.to_string(),
        cik: alert.filers.first().map(|filer| filer.cik.to_string()).unwrap_or_default(),
        form: alert.form.to_string(),
        kinds: kinds.join(","),
        thread_id: thread_id(alert.accession),
        letter_thread_id: letter.filter(|letter| *letter != alert.accession).map(thread_id),
    };
    let subject = subject(alert);
    let basics = Basics { from, to: recipient, subject: &subject, message_id, date: written_at };
    build_notice(&basics, &headers, render_text(&body), render_html(&body))
}

/// The matter of a message that was set aside; settled when a person tries it again.
pub fn set_aside_fact(id: i64) -> String {
    owner_key(&format!("set_aside:{id}"))
}

fn owner_key(matter: &str) -> String {
    format!("told_owner:{matter}")
}
