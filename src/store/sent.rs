//! Mails that were taken. None counts as sent before that is on the disk; those that are taken at the same time share a
//! commit, so that a disk that needs a millisecond for one does not hold up all connections to a relay.

use std::sync::PoisonError;

use anyhow::Context;
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use super::connection::StoreConnection;
use super::{Store, cases_of_placeholders, first_placeholders, shown, to_micros};

/// A mail that was taken.
#[derive(Debug)]
pub(super) struct SentMail {
    message: i64,
    reply: String,
    at: DateTime<Utc>,
    /// Told once it is on the disk, or that it could not be brought there.
    recorded: Option<oneshot::Sender<Result<(), String>>>,
}

impl Store {
    /// Records that a message was taken. Its bytes are dropped.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_sent(&self, message: i64, reply: &str, now: DateTime<Utc>) -> anyhow::Result<()> {
        let (recorded, mut heard) = oneshot::channel();
        let mail = SentMail { message, reply: reply.to_owned(), at: now, recorded: Some(recorded) };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        // Whoever may write next does it for all that wait.
        let mut writer = tokio::select! {
            biased;
            heard = &mut heard => return told(heard),
            writer = self.writer.acquire() => writer.map_err(|error| self.failed(&error, "record mails that were taken"))?,
        };
        self.write_sent(&mut writer).await?;
        drop(writer);
        told(heard.await)
    }

    /// Records what was taken and could not be recorded at once: without that the same mails would leave again.
    ///
    /// # Errors
    /// When the store still cannot be written: then nothing is to be sent.
    pub async fn record_left_behind(&self) -> anyhow::Result<()> {
        if self.sent.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return Ok(());
        }
        let writer = self.writer.acquire().await;
        let mut writer = writer.map_err(|error| self.failed(&error, "record mails that were taken"))?;
        self.write_sent(&mut writer).await
    }

    async fn write_sent(&self, writer: &mut StoreConnection) -> anyhow::Result<()> {
        let mut mails = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
        if !mails.is_empty() {
            let statement = format!(
                "UPDATE messages SET state = 'sent', bytes = NULL, last_reply = CASE id{} END, final_at = CASE id{} END
                 WHERE id IN ({}) AND state = 'waiting'",
                cases_of_placeholders(mails.len(), 3, 2),
                cases_of_placeholders(mails.len(), 3, 3),
                first_placeholders(mails.len(), 3)
            );
            let statement = mails.iter().fold(sqlx::query(sqlx::AssertSqlSafe(statement)), |statement, mail| {
                statement.bind(mail.message).bind(shown(&mail.reply)).bind(to_micros(mail.at))
            });
            let written = self.write_on(writer, statement, "record mails that were taken").await;
            for recorded in mails.iter_mut().filter_map(|mail| mail.recorded.take()) {
                // Who no longer listens was let go of, and its mail is recorded all the same.
                let _ = recorded.send(written.as_ref().map(drop).map_err(|error| format!("{error:#}")));
            }
            if let Err(error) = written {
                self.sent.lock().unwrap_or_else(PoisonError::into_inner).extend(mails);
                return Err(error);
            }
        }
        Ok(())
    }
}

fn told(heard: Result<Result<(), String>, oneshot::error::RecvError>) -> anyhow::Result<()> {
    heard.context("a mail that was taken is not recorded")?.map_err(anyhow::Error::msg)
}
