//! Single remembered values: when something last happened, and what was said about it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;

use super::{Store, from_micros, placeholders, shown, to_micros};

impl Store {
    /// A remembered value and when it was written.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn fact(&self, key: &str) -> anyhow::Result<Option<(String, DateTime<Utc>)>> {
        let row: Option<(String, i64)> = sqlx::query_as("SELECT value, at FROM facts WHERE key = $1")
            .bind(key.to_owned())
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read fact"))?;
        Ok(row.map(|(value, at)| (value, from_micros(at))))
    }

    /// Remembers a value.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn set_fact(&self, key: &str, value: &str, now: DateTime<Utc>) -> anyhow::Result<()> {
        let statement = sqlx::query(
            "INSERT INTO facts (key, value, at) VALUES ($1, $2, $3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, at = excluded.at",
        )
        .bind(key.to_owned())
        .bind(shown(value))
        .bind(to_micros(now));
        self.write(statement, "write fact").await?;
        Ok(())
    }

    /// The values remembered under every key that begins so, in the order of their keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn facts_below(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT value FROM facts WHERE key >= $1 AND key < $2 ORDER BY key")
            .bind(prefix.to_owned())
            .bind(format!("{prefix}\u{10ffff}"))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read facts"))?;
        Ok(rows.into_iter().map(|(value,)| value).collect())
    }

    /// Several remembered values at once; those not remembered are absent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn facts(&self, keys: &[&str]) -> anyhow::Result<HashMap<String, (String, DateTime<Utc>)>> {
        let statement = format!("SELECT key, value, at FROM facts WHERE key IN ({})", placeholders(keys.len()));
        // Only numbered placeholders were put together.
        let query =
            keys.iter().fold(sqlx::query_as(AssertSqlSafe(statement)), |query, key| query.bind((*key).to_owned()));
        let rows: Vec<(String, String, i64)> =
            query.fetch_all(&self.pool).await.map_err(|error| self.failed(&error, "read facts"))?;
        Ok(rows.into_iter().map(|(key, value, at)| (key, (value, from_micros(at)))).collect())
    }

    /// Remembers some values and forgets others, all at once.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn write_facts(
        &self,
        remember: &[(&str, &str)],
        forget: &[&str],
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        if remember.is_empty() && forget.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin_leading().await?;
        if !remember.is_empty() {
            let rows: Vec<String> =
                (0..remember.len()).map(|n| format!("(${}, ${}, $1)", 2 * n + 2, 2 * n + 3)).collect();
            let statement = format!(
                "INSERT INTO facts (key, value, at) VALUES {}
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value, at = excluded.at",
                rows.join(", ")
            );
            let query = sqlx::query(AssertSqlSafe(statement)).bind(to_micros(now));
            remember
                .iter()
                .fold(query, |query, (key, value)| query.bind((*key).to_owned()).bind(shown(value)))
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "write facts"))?;
        }
        if !forget.is_empty() {
            let statement = format!("DELETE FROM facts WHERE key IN ({})", placeholders(forget.len()));
            forget
                .iter()
                .fold(sqlx::query(AssertSqlSafe(statement)), |query, key| query.bind((*key).to_owned()))
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "forget facts"))?;
        }
        self.commit(transaction, "write facts").await
    }

    /// Forgets a value, if there is one.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn clear_fact(&self, key: &str) -> anyhow::Result<()> {
        let statement = sqlx::query("DELETE FROM facts WHERE key = $1").bind(key.to_owned());
        self.write(statement, "forget fact").await?;
        Ok(())
    }
}
