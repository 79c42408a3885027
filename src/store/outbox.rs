//! Alerts, notices and the messages that carry them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;

use super::connection::StoreConnection;
use super::{
    MOST_ROWS, News, Store, cases_of_placeholders, first_placeholders, from_micros, placeholders, rows_of_placeholders,
    shown, to_micros,
};
use crate::edgar::ids::AccessionNumber;
use crate::webhook::WEBHOOK;

/// An alert as stored: all that a mail is written from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Made from the accession number.
    pub id: String,
    /// The filing.
    pub accession: AccessionNumber,
    /// When it was raised.
    pub created_at: DateTime<Utc>,
    /// The alert as JSON.
    pub content: String,
}

/// One recipient's share of an alert, and the message that will carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// Who is told.
    pub recipient: String,
    /// The subscriptions that asked for it.
    pub subscriptions: Vec<String>,
    /// The events that they asked for, by their places in the filing.
    pub ordinals: Vec<usize>,
    /// The mail's identity, which depends only on alert and recipient.
    pub message_id: String,
    /// The mail's subject, for lists; a digest has one of its own.
    pub subject: String,
    /// When it is told.
    pub due_at: DateTime<Utc>,
    /// The digest that tells it, unless it has a mail of its own.
    pub digest: Option<DigestMail>,
}

/// The digest that a notice begins where there is none yet for it to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestMail {
    /// The mail's identity.
    pub message_id: String,
    /// The mail's subject, for lists.
    pub subject: String,
}

/// Someone who asked for an alert and is not told of it: other alerts have told him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// Who.
    pub recipient: String,
    /// The subscriptions that asked for it.
    pub subscriptions: Vec<String>,
    /// The events that they asked for, by their places in the filing.
    pub ordinals: Vec<usize>,
    /// The alerts that told him.
    pub told_by: Vec<String>,
}

/// A notice that was withheld and is told after all: the letters turned out to be two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Its alert, with what is known now.
    pub alert: AlertRow,
    /// The notice.
    pub notice: NewNotice,
}

/// What follows from a reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consequences {
    /// The alert.
    pub alert: Option<AlertRow>,
    /// Who is told.
    pub notices: Vec<NewNotice>,
    /// Who is not, being told already.
    pub withheld: Vec<Withheld>,
    /// What was withheld of other alerts and is told now.
    pub released: Vec<Released>,
    /// Other alerts that concern nobody, with what is known now.
    pub rewritten: Vec<AlertRow>,
}

/// A finished mail that carries no notice: it tells something once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceMail {
    /// The fact that remembers that it was told; while it is there, the mail is not put in the outbox again.
    pub fact: String,
    /// The mail's identity.
    pub message_id: String,
    /// Where it goes.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// The mail.
    pub bytes: Vec<u8>,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// To be sent, now or later.
    Waiting,
    /// The relay took it.
    Sent,
    /// Refused for good, or too old: a person decides.
    SetAside,
    /// A person gave it up.
    Dropped,
}

impl MessageState {
    /// The word in the store and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::SetAside => "set_aside",
            Self::Dropped => "dropped",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        match text {
            "sent" => Self::Sent,
            "set_aside" => Self::SetAside,
            "dropped" => Self::Dropped,
            _ => Self::Waiting,
        }
    }
}

/// A message whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMessage {
    /// Its number in the outbox.
    pub id: i64,
    /// The mail's identity.
    pub message_id: String,
    /// Where it goes.
    pub recipient: String,
    /// When it was put in the outbox.
    pub created_at: DateTime<Utc>,
    /// Tries so far.
    pub attempts: u32,
    /// The mail, once frozen.
    pub bytes: Option<Vec<u8>>,
    /// Whether it is a digest.
    pub is_digest: bool,
    /// Whether it tells an alert, and nobody wanted it held back.
    pub is_prompt: bool,
}

/// An attempt that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The message's number in the outbox.
    pub message: i64,
    /// When it is tried again if nothing is heard of this attempt.
    pub next_try_at: DateTime<Utc>,
    /// The mail, where it was written for this attempt.
    pub written: Option<Written>,
}

/// A mail as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The mail.
    pub bytes: Vec<u8>,
    /// How many notices it was written of.
    pub n_notices: usize,
}

/// A notice within a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedNotice {
    /// Its alert.
    pub alert: Arc<AlertRow>,
    /// The subscriptions that asked for it.
    pub subscriptions: Vec<String>,
    /// The events that they asked for, by their places in the filing.
    pub ordinals: Vec<usize>,
}

/// A message to be put in the outbox.
struct NewMessage<'a> {
    message_id: &'a str,
    recipient: &'a str,
    subject: &'a str,
    bytes: Option<&'a [u8]>,
    held_until: Option<DateTime<Utc>>,
    is_digest: bool,
}

fn digest_message<'a>(recipient: &'a str, mail: &'a DigestMail, due_at: DateTime<Utc>) -> NewMessage<'a> {
    NewMessage {
        message_id: &mail.message_id,
        recipient,
        subject: &mail.subject,
        bytes: None,
        held_until: Some(due_at),
        is_digest: true,
    }
}

/// A message in a list for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its number in the outbox.
    pub id: i64,
    /// The mail's identity.
    pub message_id: String,
    /// Where it goes.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// When it was put in the outbox.
    pub created_at: DateTime<Utc>,
    /// Where it stands.
    pub state: MessageState,
    /// When it is tried next, while it waits.
    pub next_try_at: DateTime<Utc>,
    /// Tries so far.
    pub attempts: u32,
    /// The relay's last words.
    pub last_reply: Option<String>,
    /// When the final word came.
    pub final_at: Option<DateTime<Utc>>,
}

/// Who was told of an alert, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    /// Who.
    pub recipient: String,
    /// By which way.
    pub channel: String,
    /// The subscriptions that asked for it.
    pub subscriptions: Vec<String>,
    /// The message that carries it.
    pub message: MessageRow,
}

/// How many messages stand in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageTotals {
    /// To be sent.
    pub waiting: i64,
    /// Taken by the relay.
    pub sent: i64,
    /// Awaiting a person.
    pub set_aside: i64,
    /// Given up by a person.
    pub dropped: i64,
}

type MessageColumns = (i64, String, String, String, i64, String, i64, i64, Option<String>, Option<i64>);

const MESSAGE_COLUMNS: &str = "id, message_id, recipient, subject, created_at, state, next_try_at, attempts, \
                               last_reply, final_at";

fn message_row(columns: MessageColumns) -> MessageRow {
    let (id, message_id, recipient, subject, created_at, state, next_try_at, attempts, last_reply, final_at) = columns;
    MessageRow {
        id,
        message_id,
        recipient,
        subject,
        created_at: from_micros(created_at),
        state: MessageState::parse(&state),
        next_try_at: from_micros(next_try_at),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        last_reply,
        final_at: final_at.map(from_micros),
    }
}

/// A message whose time has come. A next try hours ahead was written under a clock that ran ahead: no delay is that long, unless
/// the recipient wants it held back.
const DUE: &str = "state = 'waiting'
    AND (next_try_at <= $1 OR (next_try_at > $1 + 7200000000 AND COALESCE(held_until, $1) <= $1))";

impl Store {
    /// Writes an alert, its notices and one message for each. What is there already stays as it is.
    pub(super) async fn insert_alert(
        &self,
        connection: &mut StoreConnection,
        alert: &AlertRow,
        notices: &[NewNotice],
    ) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO alerts (id, accession, created_at, content) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(alert.id.clone())
        .bind(alert.accession.as_i64())
        .bind(to_micros(alert.created_at))
        .bind(alert.content.clone())
        .execute(&mut *connection)
        .await
        .map_err(|error| self.failed(&error, "record an alert"))?;
        self.insert_notices(connection, &alert.id, notices, alert.created_at).await
    }

    /// Writes the notices of an alert and the messages that carry them, many at a time. Who has a notice of it already gets
    /// no other, nor who unsubscribed, bounced or was erased since the subscriptions were read.
    async fn insert_notices(
        &self,
        connection: &mut StoreConnection,
        alert: &str,
        notices: &[NewNotice],
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let told: Vec<(String,)> = sqlx::query_as("SELECT recipient FROM notices WHERE alert = $1")
            .bind(alert.to_owned())
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "look up notices"))?;
        let told: HashSet<String> = told.into_iter().map(|(recipient,)| recipient).collect();
        for some in notices.chunks(MOST_ROWS) {
            let reachable = self.reachable(connection, some).await?;
            let is_to_be_told = |notice: &&NewNotice| {
                let recipient = &notice.recipient;
                !told.contains(recipient) && (recipient.starts_with(WEBHOOK) || reachable.contains(recipient))
            };
            let (in_digests, alone): (Vec<&NewNotice>, Vec<&NewNotice>) =
                some.iter().filter(is_to_be_told).partition(|notice| notice.digest.is_some());
            let messages: Vec<NewMessage<'_>> = alone
                .iter()
                .map(|notice| NewMessage {
                    message_id: &notice.message_id,
                    recipient: &notice.recipient,
                    subject: &notice.subject,
                    bytes: None,
                    held_until: Some(notice.due_at).filter(|due| *due > now),
                    is_digest: false,
                })
                .collect();
            let mut carried: Vec<(&NewNotice, i64)> = Vec::with_capacity(some.len());
            let numbers = self.insert_messages(connection, &messages, now).await?;
            carried.extend(alone.iter().copied().zip(numbers));
            for notice in in_digests {
                if let Some(digest) = &notice.digest {
                    carried.push((notice, self.digest_for(connection, notice, digest).await?));
                }
            }
            self.link_notices(connection, alert, &carried).await?;
        }
        Ok(())
    }

    /// The recipients of notices whose addresses may be written to.
    async fn reachable(
        &self,
        connection: &mut StoreConnection,
        notices: &[NewNotice],
    ) -> anyhow::Result<HashSet<String>> {
        let statement = format!(
            "SELECT address FROM addresses WHERE silenced IS NULL AND address IN ({})",
            placeholders(notices.len())
        );
        let query = sqlx::query_as(AssertSqlSafe(statement)).persistent(false);
        let rows: Vec<(String,)> = notices
            .iter()
            .fold(query, |query, notice| query.bind(notice.recipient.clone()))
            .fetch_all(connection)
            .await
            .map_err(|error| self.failed(&error, "look up addresses"))?;
        Ok(rows.into_iter().map(|(address,)| address).collect())
    }

    /// Writes notices that messages carry, by the messages' numbers.
    async fn link_notices(
        &self,
        connection: &mut StoreConnection,
        alert: &str,
        carried: &[(&NewNotice, i64)],
    ) -> anyhow::Result<()> {
        if carried.is_empty() {
            return Ok(());
        }
        let statement = format!(
            "INSERT INTO notices (alert, recipient, channel, subscriptions, due_at, message, events) VALUES {}",
            rows_of_placeholders(carried.len(), 7)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
        for (notice, message) in carried {
            query = query
                .bind(alert.to_owned())
                .bind(notice.recipient.clone())
                .bind(if notice.recipient.starts_with(WEBHOOK) { "webhook" } else { "mail" })
                .bind(serde_json::to_string(&notice.subscriptions)?)
                .bind(to_micros(notice.due_at))
                .bind(*message)
                .bind(serde_json::to_string(&notice.ordinals)?);
        }
        query.execute(connection).await.map_err(|error| self.failed(&error, "record notices"))?;
        Ok(())
    }

    pub(super) async fn insert_withheld(
        &self,
        connection: &mut StoreConnection,
        alert: &str,
        withheld: &[Withheld],
    ) -> anyhow::Result<()> {
        for withheld in withheld {
            sqlx::query(
                "INSERT INTO withheld (alert, recipient, subscriptions, events, told_by) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(alert.to_owned())
            .bind(withheld.recipient.clone())
            .bind(serde_json::to_string(&withheld.subscriptions)?)
            .bind(serde_json::to_string(&withheld.ordinals)?)
            .bind(serde_json::to_string(&withheld.told_by)?)
            .execute(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "record a withheld notice"))?;
        }
        Ok(())
    }

    /// Tells what was withheld. The mail's age counts from now.
    pub(super) async fn release(
        &self,
        connection: &mut StoreConnection,
        released: &Released,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let Released { alert, notice } = released;
        self.rewrite_alert(connection, alert).await?;
        sqlx::query("DELETE FROM withheld WHERE alert = $1 AND recipient = $2")
            .bind(alert.id.clone())
            .bind(notice.recipient.clone())
            .execute(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "release a withheld notice"))?;
        self.insert_notices(connection, &alert.id, std::slice::from_ref(notice), now).await
    }

    pub(super) async fn rewrite_alert(&self, connection: &mut StoreConnection, alert: &AlertRow) -> anyhow::Result<()> {
        sqlx::query("UPDATE alerts SET content = $2 WHERE id = $1")
            .bind(alert.id.clone())
            .bind(alert.content.clone())
            .execute(connection)
            .await
            .map_err(|error| self.failed(&error, "write an alert anew"))?;
        Ok(())
    }

    /// The digest that a notice goes into: the one that waits for the same instant, or a new one. One that has been written
    /// takes no more.
    async fn digest_for(
        &self,
        connection: &mut StoreConnection,
        notice: &NewNotice,
        digest: &DigestMail,
    ) -> anyhow::Result<i64> {
        let waiting: Option<(i64,)> = sqlx::query_as(
            "SELECT id FROM messages
             WHERE recipient = $1 AND held_until = $2 AND is_digest = 1 AND state = 'waiting' AND bytes IS NULL",
        )
        .bind(notice.recipient.clone())
        .bind(to_micros(notice.due_at))
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| self.failed(&error, "look up a digest"))?;
        if let Some((id,)) = waiting {
            return Ok(id);
        }
        let new = digest_message(&notice.recipient, digest, notice.due_at);
        self.insert_message(connection, new, notice.due_at).await
    }

    /// Puts digests in the outbox that are to leave even with nothing in them, each unless the same recipient has one for
    /// that instant. A notice that comes joins it.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn begin_digests(&self, digests: &[(String, DateTime<Utc>, DigestMail)]) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        for (recipient, due_at, mail) in digests {
            let begun: Option<(i64,)> = sqlx::query_as(
                "SELECT id FROM messages WHERE recipient = $1 AND held_until = $2 AND is_digest = 1 LIMIT 1",
            )
            .bind(recipient.clone())
            .bind(to_micros(*due_at))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "look up a digest"))?;
            if begun.is_none() {
                self.insert_message(&mut transaction, digest_message(recipient, mail, *due_at), *due_at).await?;
            }
        }
        self.commit(transaction, "begin digests").await
    }

    /// Puts messages in the outbox and returns their numbers, in their order. One that is held back counts its age from when
    /// it is due.
    async fn insert_messages(
        &self,
        connection: &mut StoreConnection,
        messages: &[NewMessage<'_>],
        now: DateTime<Utc>,
    ) -> anyhow::Result<Vec<i64>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let statement = format!(
            "INSERT INTO messages (message_id, recipient, subject, created_at, next_try_at, bytes, held_until, is_digest, state)
             VALUES {} RETURNING id, message_id",
            rows_of_placeholders(messages.len(), 9)
        );
        let mut query = sqlx::query_as(AssertSqlSafe(statement)).persistent(false);
        for new in messages {
            let due_at = to_micros(new.held_until.unwrap_or(now));
            query = query
                .bind(new.message_id.to_owned())
                .bind(new.recipient.to_owned())
                .bind(shown(new.subject))
                .bind(due_at)
                .bind(due_at)
                .bind(new.bytes.map(<[u8]>::to_vec))
                .bind(new.held_until.map(to_micros))
                .bind(i64::from(new.is_digest))
                .bind(MessageState::Waiting.as_str());
        }
        let rows: Vec<(i64, String)> =
            query.fetch_all(&mut *connection).await.map_err(|error| self.failed(&error, "record messages"))?;
        self.tell(connection, News::Mail).await?;
        // Nobody promises their order.
        let numbers: HashMap<&str, i64> = rows.iter().map(|(id, message_id)| (message_id.as_str(), *id)).collect();
        Ok(messages.iter().filter_map(|new| numbers.get(new.message_id).copied()).collect())
    }

    /// Puts one message in the outbox and returns its number.
    async fn insert_message(
        &self,
        connection: &mut StoreConnection,
        new: NewMessage<'_>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<i64> {
        let numbers = self.insert_messages(connection, &[new], now).await?;
        numbers.first().copied().context("a message that was put in the outbox has no number")
    }

    /// Puts a mail in the outbox, unless what it tells was told before.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn enqueue_once(&self, mail: &OnceMail, now: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_beside().await?;
        self.insert_once(&mut transaction, mail, now).await?;
        self.commit(transaction, "enqueue a mail").await
    }

    pub(super) async fn insert_once(
        &self,
        connection: &mut StoreConnection,
        mail: &OnceMail,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let OnceMail { fact, message_id, recipient, subject, bytes } = mail;
        let done = sqlx::query("INSERT INTO facts (key, value, at) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING")
            .bind(fact.clone())
            .bind(shown(subject))
            .bind(to_micros(now))
            .execute(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "remember that the owner was told"))?;
        if done.rows_affected() > 0 {
            let bytes = Some(bytes.as_slice());
            let new = NewMessage { message_id, recipient, subject, bytes, held_until: None, is_digest: false };
            self.insert_message(connection, new, now).await?;
        }
        Ok(())
    }

    /// How many messages wait, and since when the oldest does; `None` where none waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn waiting_mail(&self) -> anyhow::Result<Option<(i64, DateTime<Utc>)>> {
        let (n, oldest): (i64, Option<i64>) =
            sqlx::query_as("SELECT COUNT(*), MIN(created_at) FROM messages WHERE state = 'waiting'")
                .fetch_one(&self.pool)
                .await
                .map_err(|error| self.failed(&error, "count waiting mail"))?;
        Ok(oldest.map(|oldest| (n, from_micros(oldest))))
    }

    /// Messages whose time has come and that no other process has in hand, in the order they were put in.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn due_messages(&self, now: DateTime<Utc>, limit: usize) -> anyhow::Result<Vec<DueMessage>> {
        type Row = (i64, String, String, i64, i64, Option<Vec<u8>>, i64, i64);
        self.claim_messages(now, limit).await?;
        let statement = format!(
            "SELECT id, message_id, recipient, created_at, attempts, bytes, is_digest,
                    CASE WHEN held_until IS NULL AND EXISTS (SELECT 1 FROM notices WHERE message = messages.id)
                        THEN 1 ELSE 0 END
             FROM messages WHERE {DUE}{} ORDER BY id LIMIT $2",
            self.is_ours()
        );
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(to_micros(now))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the outbox"))?;
        let due =
            rows.into_iter().map(|(id, message_id, recipient, created_at, attempts, bytes, is_digest, is_prompt)| {
                DueMessage {
                    id,
                    message_id,
                    recipient,
                    created_at: from_micros(created_at),
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                    bytes,
                    is_digest: is_digest != 0,
                    is_prompt: is_prompt != 0 && is_digest == 0,
                }
            });
        Ok(due.collect())
    }

    /// Takes messages that are due into this process's hands, so that no other sends them.
    async fn claim_messages(&self, now: DateTime<Utc>, limit: usize) -> anyhow::Result<()> {
        let Some(id) = self.claimant() else { return Ok(()) };
        let statement = format!(
            "WITH due AS MATERIALIZED (SELECT id FROM messages WHERE {DUE}{} ORDER BY id LIMIT $2{})
             UPDATE messages SET claimed_by = {id} FROM due
             WHERE messages.id = due.id AND messages.claimed_by IS DISTINCT FROM {id}",
            self.is_free(),
            self.skip_locked()
        );
        let statement = sqlx::query(AssertSqlSafe(statement)).bind(to_micros(now));
        self.write(statement.bind(i64::try_from(limit).unwrap_or(i64::MAX)), "claim messages").await?;
        Ok(())
    }

    /// Whether a message is due that nobody has in hand.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has_due_message(&self, now: DateTime<Utc>) -> anyhow::Result<bool> {
        let statement = format!("SELECT id FROM messages WHERE {DUE}{} LIMIT 1", self.is_free());
        let found: Option<(i64,)> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(to_micros(now))
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the outbox"))?;
        Ok(found.is_some())
    }

    /// Lets go of messages that were claimed and are not to be sent from here now.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn let_go_of_messages(&self, messages: &[i64]) -> anyhow::Result<()> {
        if self.claimant().is_none() {
            return Ok(());
        }
        for some in messages.chunks(MOST_ROWS) {
            let statement = format!(
                "UPDATE messages SET claimed_by = NULL WHERE id IN ({}){}",
                placeholders(some.len()),
                self.is_ours()
            );
            let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
            self.write(some.iter().fold(query, |query, id| query.bind(*id)), "let go of messages").await?;
        }
        Ok(())
    }

    /// The notices that messages carry, by message, in the order their alerts were raised. An alert that several of them
    /// tell is the same for all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn notices_in(&self, messages: &[i64]) -> anyhow::Result<HashMap<i64, Vec<CarriedNotice>>> {
        type Row = (i64, String, String, Option<String>);
        if messages.is_empty() {
            return Ok(HashMap::new());
        }
        let statement = format!(
            "SELECT message, alert, subscriptions, events FROM notices WHERE message IN ({})",
            placeholders(messages.len())
        );
        let query = sqlx::query_as(AssertSqlSafe(statement)).persistent(false);
        let query = messages.iter().fold(query, |query, id| query.bind(*id));
        let rows: Vec<Row> =
            query.fetch_all(&self.pool).await.map_err(|error| self.failed(&error, "read what messages carry"))?;
        let mut alerts: HashMap<String, Arc<AlertRow>> = HashMap::new();
        let mut carried: HashMap<i64, Vec<CarriedNotice>> = HashMap::new();
        for (message, id, subscriptions, ordinals) in rows {
            let alert = match alerts.get(&id) {
                Some(alert) => alert.clone(),
                None => {
                    let Some(alert) = self.alert(&id).await? else { continue };
                    alerts.entry(id).or_insert(Arc::new(alert)).clone()
                }
            };
            carried.entry(message).or_default().push(CarriedNotice {
                alert,
                // Names that cannot be read cost the mail its last line, not the mail.
                subscriptions: serde_json::from_str(&subscriptions).unwrap_or_default(),
                ordinals: ordinals.and_then(|list| serde_json::from_str(&list).ok()).unwrap_or_default(),
            });
        }
        for notices in carried.values_mut() {
            notices.sort_by(|a, b| (a.alert.created_at, &a.alert.id).cmp(&(b.alert.created_at, &b.alert.id)));
        }
        Ok(carried)
    }

    /// When the next waiting message is due, if any waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next_message_due(&self) -> anyhow::Result<Option<DateTime<Utc>>> {
        let (next,): (Option<i64>,) = sqlx::query_as("SELECT MIN(next_try_at) FROM messages WHERE state = 'waiting'")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the outbox"))?;
        Ok(next.map(from_micros))
    }

    /// Counts attempts before they are made, sets the time of the next, and keeps the exact bytes of the mails, so that
    /// every attempt sends the same. A mail goes out only when this is on disk: a store that cannot be written must not send
    /// the same mail again and again. Tells for each whether it may leave: not if somebody dropped it since it was found
    /// due, nor if it carries other notices by now than those it was written of; then it is to be written again.
    ///
    /// # Errors
    /// When the store cannot be written: then nothing is to be sent.
    pub async fn begin_attempts(&self, attempts: &[Attempt]) -> anyhow::Result<Vec<bool>> {
        let mut may_leave: HashSet<i64> = HashSet::new();
        let mut transaction = self.begin_beside().await?;
        for some in attempts.chunks(MOST_ROWS) {
            let of_each = |column| cases_of_placeholders(some.len(), 4, column);
            let statement = format!(
                "UPDATE messages SET attempts = attempts + 1, next_try_at = CASE id{next_try_at} END,
                        bytes = COALESCE(bytes, CASE id{bytes} END)
                 WHERE id IN ({numbers}) AND state = 'waiting'
                   AND (bytes IS NULL) = (CASE id{bytes} END IS NOT NULL)
                   AND (bytes IS NOT NULL
                        OR (SELECT COUNT(*) FROM notices WHERE message = messages.id) = CASE id{n_notices} END)
                   {is_ours}
                 RETURNING id",
                is_ours = self.is_ours(),
                next_try_at = of_each(2),
                bytes = of_each(3),
                n_notices = of_each(4),
                numbers = first_placeholders(some.len(), 4),
            );
            let query = sqlx::query_as(AssertSqlSafe(statement)).persistent(false);
            let query = some.iter().fold(query, |query, attempt| {
                let written = attempt.written.as_ref();
                let n_notices = written.map_or(0, |written| written.n_notices);
                query
                    .bind(attempt.message)
                    .bind(to_micros(attempt.next_try_at))
                    .bind(written.map(|written| written.bytes.clone()))
                    .bind(i64::try_from(n_notices).unwrap_or(i64::MAX))
            });
            let rows: Vec<(i64,)> =
                query.fetch_all(&mut *transaction).await.map_err(|error| self.failed(&error, "begin attempts"))?;
            may_leave.extend(rows.into_iter().map(|(id,)| id));
        }
        self.commit(transaction, "begin attempts").await?;
        Ok(attempts.iter().map(|attempt| may_leave.contains(&attempt.message)).collect())
    }

    /// Takes attempts back that were not made: the messages are due at once.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn take_back_attempts(&self, messages: &[i64], now: DateTime<Utc>) -> anyhow::Result<()> {
        for some in messages.chunks(MOST_ROWS) {
            let statement = format!(
                "UPDATE messages SET attempts = attempts - 1, next_try_at = ${}, claimed_by = NULL WHERE state = 'waiting' AND id IN ({})",
                some.len() + 1,
                placeholders(some.len())
            );
            let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
            let query = some.iter().fold(query, |query, id| query.bind(*id)).bind(to_micros(now));
            self.write(query, "postpone a message").await?;
        }
        Ok(())
    }

    /// Whether a message is still to be sent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_waiting(&self, message: i64) -> anyhow::Result<bool> {
        let found: Option<(String,)> = sqlx::query_as("SELECT state FROM messages WHERE id = $1")
            .bind(message)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read a message"))?;
        Ok(found.is_some_and(|(state,)| MessageState::parse(&state) == MessageState::Waiting))
    }

    /// Notes the reason of a temporary failure and when the message is tried next.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn postpone_message(&self, id: i64, reply: &str, next_try_at: DateTime<Utc>) -> anyhow::Result<()> {
        let statement = sqlx::query(
            "UPDATE messages SET last_reply = $2, next_try_at = $3, claimed_by = NULL
             WHERE id = $1 AND state = 'waiting'",
        )
        .bind(id)
        .bind(shown(reply))
        .bind(to_micros(next_try_at));
        self.write(statement, "postpone a message").await?;
        Ok(())
    }

    /// Sets a message aside together with the mail that tells of it, and where its address is to blame, silences that. Its bytes are kept, since a person may send it again.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn set_aside_message(
        &self,
        id: i64,
        reason: &str,
        tell: Option<&OnceMail>,
        is_bad_address: bool,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        let done = sqlx::query(
            "UPDATE messages SET state = 'set_aside', last_reply = $2, final_at = $3
             WHERE id = $1 AND state = 'waiting'",
        )
        .bind(id)
        .bind(shown(reason))
        .bind(to_micros(now))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "set a message aside"))?;
        // One that was dropped meanwhile waits for nobody.
        if let Some(tell) = tell.filter(|_| done.rows_affected() > 0) {
            self.insert_once(&mut transaction, tell, now).await?;
        }
        if is_bad_address {
            self.bounce(&mut transaction, id, true, reason, now).await?;
        }
        self.finish(transaction, "set a message aside").await
    }

    /// Lets a message that was set aside, or waits, be tried now, and forgets the fact that its setting aside was told.
    /// `false` when there is no such message, or its recipient wants no mail.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn retry_message(&self, id: i64, told: &str, now: DateTime<Utc>) -> anyhow::Result<bool> {
        let mut transaction = self.begin_write().await?;
        // Its age counts anew, or it would be set aside again at once.
        let done = sqlx::query(
            "UPDATE messages SET state = 'waiting', next_try_at = $2, created_at = $2, final_at = NULL
             WHERE id = $1 AND state IN ('waiting', 'set_aside')
               AND NOT EXISTS (SELECT 1 FROM addresses WHERE addresses.address = messages.recipient
                               AND addresses.silenced = 'unsubscribed')",
        )
        .bind(id)
        .bind(to_micros(now))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "retry a message"))?;
        sqlx::query("DELETE FROM facts WHERE key = $1")
            .bind(told.to_owned())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "forget fact"))?;
        self.commit(transaction, "retry a message").await?;
        Ok(done.rows_affected() > 0)
    }

    /// Gives a message up. `false` when there is no such message, or it was sent.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn drop_message(&self, id: i64, now: DateTime<Utc>) -> anyhow::Result<bool> {
        let statement = sqlx::query(
            "UPDATE messages SET state = 'dropped', final_at = $2, bytes = NULL
             WHERE id = $1 AND state IN ('waiting', 'set_aside')",
        )
        .bind(id)
        .bind(to_micros(now));
        let n_changed = self.write(statement, "drop a message").await?;
        Ok(n_changed > 0)
    }

    /// One message and, while they are kept, its bytes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn message(&self, id: i64) -> anyhow::Result<Option<(MessageRow, Option<Vec<u8>>)>> {
        let bytes: Option<(Option<Vec<u8>>,)> = sqlx::query_as("SELECT bytes FROM messages WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read a message"))?;
        let Some((bytes,)) = bytes else { return Ok(None) };
        let statement = format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = $1");
        let columns: MessageColumns = sqlx::query_as(AssertSqlSafe(statement))
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read a message"))?;
        Ok(Some((message_row(columns), bytes)))
    }

    /// Messages that wait or were set aside, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_messages(&self) -> anyhow::Result<Vec<MessageRow>> {
        let statement =
            format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE state IN ('waiting', 'set_aside') ORDER BY id");
        let rows: Vec<MessageColumns> = sqlx::query_as(AssertSqlSafe(statement))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "list the outbox"))?;
        Ok(rows.into_iter().map(message_row).collect())
    }

    /// Every message to an address, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn messages_to(&self, recipient: &str) -> anyhow::Result<Vec<MessageRow>> {
        let statement = format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE recipient = $1 ORDER BY id");
        let rows: Vec<MessageColumns> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(recipient.to_owned())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "list the mails to an address"))?;
        Ok(rows.into_iter().map(message_row).collect())
    }

    /// How many messages stand in each state.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn count_messages(&self) -> anyhow::Result<MessageTotals> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT state, COUNT(*) FROM messages GROUP BY state")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "count the outbox"))?;
        let mut totals = MessageTotals::default();
        for (state, n) in rows {
            match MessageState::parse(&state) {
                MessageState::Waiting => totals.waiting += n,
                MessageState::Sent => totals.sent += n,
                MessageState::SetAside => totals.set_aside += n,
                MessageState::Dropped => totals.dropped += n,
            }
        }
        Ok(totals)
    }

    /// One alert.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn alert(&self, id: &str) -> anyhow::Result<Option<AlertRow>> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(&error, "read an alert"))?;
        self.read_alert(&mut connection, id).await
    }

    /// Alerts raised since an instant, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn alerts_since(&self, since: DateTime<Utc>) -> anyhow::Result<Vec<AlertRow>> {
        let rows: Vec<(String, i64, i64, String)> = sqlx::query_as(
            "SELECT id, accession, created_at, content FROM alerts WHERE created_at >= $1 ORDER BY created_at, id",
        )
        .bind(to_micros(since))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "list alerts"))?;
        Ok(rows.into_iter().filter_map(alert_row).collect())
    }

    /// Who was told of an alert.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn notices_of(&self, alert: &str) -> anyhow::Result<Vec<NoticeRow>> {
        let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
            "SELECT recipient, channel, subscriptions, message FROM notices WHERE alert = $1 ORDER BY recipient",
        )
        .bind(alert.to_owned())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "list notices"))?;
        let mut notices = Vec::with_capacity(rows.len());
        for (recipient, channel, subscriptions, message) in rows {
            if let Some((message, _)) = self.message(message).await? {
                let subscriptions = serde_json::from_str(&subscriptions)?;
                notices.push(NoticeRow { recipient, channel, subscriptions, message });
            }
        }
        Ok(notices)
    }

    /// Who asked for an alert and was not told of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn withheld_from(&self, alert: &str) -> anyhow::Result<Vec<Withheld>> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(&error, "list withheld notices"))?;
        self.read_withheld(&mut connection, alert).await
    }

    pub(super) async fn read_withheld(
        &self,
        connection: &mut StoreConnection,
        alert: &str,
    ) -> anyhow::Result<Vec<Withheld>> {
        let rows: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT recipient, subscriptions, events, told_by FROM withheld WHERE alert = $1 ORDER BY recipient",
        )
        .bind(alert.to_owned())
        .fetch_all(connection)
        .await
        .map_err(|error| self.failed(&error, "list withheld notices"))?;
        rows.into_iter()
            .map(|(recipient, subscriptions, ordinals, told_by)| {
                Ok(Withheld {
                    recipient,
                    subscriptions: serde_json::from_str(&subscriptions)?,
                    ordinals: serde_json::from_str(&ordinals)?,
                    told_by: serde_json::from_str(&told_by)?,
                })
            })
            .collect()
    }

    pub(super) async fn read_alert(
        &self,
        connection: &mut StoreConnection,
        id: &str,
    ) -> anyhow::Result<Option<AlertRow>> {
        let row: Option<(String, i64, i64, String)> =
            sqlx::query_as("SELECT id, accession, created_at, content FROM alerts WHERE id = $1")
                .bind(id.to_owned())
                .fetch_optional(connection)
                .await
                .map_err(|error| self.failed(&error, "read an alert"))?;
        Ok(row.and_then(alert_row))
    }
}

fn alert_row((id, accession, created_at, content): (String, i64, i64, String)) -> Option<AlertRow> {
    let accession = AccessionNumber::from_i64(accession)?;
    Some(AlertRow { id, accession, created_at: from_micros(created_at), content })
}
