//! Counts that go on over restarts, and how much is open now.

use std::collections::{BTreeMap, HashMap};

use sqlx::AssertSqlSafe;

use super::Store;

/// What is open, by numbers: each is had from an index.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct OpenWork {
    /// Filings found and not read.
    pub filings_unread: i64,
    /// Filings given up, for a person.
    pub filings_parked: i64,
    /// Watched filings that only an index showed, over all days.
    pub filings_missed: i64,
    /// Mails set aside for a person.
    pub mails_set_aside: i64,
    /// Subscriptions in effect.
    pub subscriptions_in_effect: i64,
    /// Subscriptions that nobody has confirmed yet.
    pub subscriptions_unconfirmed: i64,
    /// Addresses that mail came back from.
    pub addresses_bounced: i64,
}

impl Store {
    /// Adds to counts, all at once. Those never counted begin at 0.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is added then.
    pub async fn add_to_counters(&self, counts: &BTreeMap<String, i64>) -> anyhow::Result<()> {
        if counts.is_empty() {
            return Ok(());
        }
        let rows: Vec<String> = (0..counts.len()).map(|n| format!("(${}, ${})", 2 * n + 1, 2 * n + 2)).collect();
        // Only numbered placeholders were put together.
        let statement = AssertSqlSafe(format!(
            "INSERT INTO counters (name, n) VALUES {} ON CONFLICT (name) DO UPDATE SET n = counters.n + excluded.n",
            rows.join(", ")
        ));
        let statement =
            counts.iter().fold(sqlx::query(statement), |query, (name, n)| query.bind(name.clone()).bind(*n));
        self.write(statement, "add to the counters").await?;
        Ok(())
    }

    /// Every count by its name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn counters(&self) -> anyhow::Result<HashMap<String, i64>> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT name, n FROM counters")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the counters"))?;
        Ok(rows.into_iter().collect())
    }

    /// How much is open.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_work(&self) -> anyhow::Result<OpenWork> {
        sqlx::query_as(
            "SELECT
                (SELECT COUNT(*) FROM filings WHERE state = 'found') AS filings_unread,
                (SELECT COUNT(*) FROM filings WHERE state = 'parked') AS filings_parked,
                (SELECT CAST(COALESCE(SUM(n_missed), 0) AS BIGINT) FROM days) AS filings_missed,
                (SELECT COUNT(*) FROM messages WHERE state = 'set_aside') AS mails_set_aside,
                (SELECT COUNT(*) FROM subscriptions AS s JOIN addresses AS a ON a.id = s.address
                    WHERE s.state = 'active' AND a.silenced IS NULL) AS subscriptions_in_effect,
                (SELECT COUNT(*) FROM subscriptions WHERE state = 'pending') AS subscriptions_unconfirmed,
                (SELECT COUNT(*) FROM addresses WHERE silenced = 'bounced') AS addresses_bounced",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "count what is open"))
    }
}
