//! Single remembered values: when something last happened, and what was said about it.

use chrono::{DateTime, Utc};

use super::{Store, from_micros, to_micros};

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
        .bind(value.to_owned())
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

    /// Forgets a value, if there is one.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn clear_fact(&self, key: &str) -> anyhow::Result<()> {
        self.clear_facts([key, key]).await
    }

    /// Forgets two values at once.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is forgotten then.
    pub async fn clear_facts(&self, keys: [&str; 2]) -> anyhow::Result<()> {
        let [first, second] = keys.map(str::to_owned);
        let statement = sqlx::query("DELETE FROM facts WHERE key = $1 OR key = $2").bind(first).bind(second);
        self.write(statement, "forget fact").await?;
        Ok(())
    }
}
