//! Whose filings are watched since when, and which ticker was pinned to which CIK.

use chrono::{DateTime, NaiveDate, Utc};

use super::{Store, to_micros};
use crate::edgar::ids::Cik;

/// A watched issuer, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// `*`, or the CIK's ten digits.
    pub key: String,
    /// Filings dated before are no news.
    pub since_date: NaiveDate,
    /// Whether a whole pass has recorded what was in the feed when watching began.
    pub has_baseline: bool,
}

/// A ticker that was resolved once and keeps its CIK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedTicker {
    /// The ticker, normalised.
    pub ticker: String,
    /// The issuer it stood for when it was resolved.
    pub cik: Cik,
    /// The issuer's name then.
    pub name: String,
    /// What the map says now, where it disagrees.
    pub warning: Option<String>,
}

impl Store {
    /// Brings the list of watched issuers in line with the configuration. A new one is watched from `today` on, one
    /// that left is forgotten, so that it begins afresh if it comes back.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn sync_watched(&self, keys: &[String], today: NaiveDate) -> anyhow::Result<Vec<Watched>> {
        let mut transaction = self.begin_write().await?;
        let before: Vec<(String,)> = sqlx::query_as("SELECT key FROM watched")
            .fetch_all(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "read the watched issuers"))?;
        for (key,) in before.iter().filter(|(key,)| !keys.contains(key)) {
            sqlx::query("DELETE FROM watched WHERE key = $1")
                .bind(key.clone())
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "forget a watched issuer"))?;
        }
        for key in keys {
            sqlx::query("INSERT INTO watched (key, since_date) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
                .bind(key.clone())
                .bind(today.to_string())
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "add a watched issuer"))?;
        }
        self.commit(transaction).await?;
        self.watched().await
    }

    /// Watches from an earlier date: what is dated from `since` on counts as news, wherever it is first seen.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn watch_since(&self, since: NaiveDate, now: DateTime<Utc>) -> anyhow::Result<()> {
        sqlx::query(
            "UPDATE watched SET baseline_at = $2,
                since_date = CASE WHEN since_date < $1 THEN since_date ELSE $1 END",
        )
        .bind(since.to_string())
        .bind(to_micros(now))
        .execute(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "look back"))?;
        Ok(())
    }

    /// Marks that a whole pass has recorded what was in the feed.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn mark_baseline(&self, now: DateTime<Utc>) -> anyhow::Result<()> {
        sqlx::query("UPDATE watched SET baseline_at = $1 WHERE baseline_at IS NULL")
            .bind(to_micros(now))
            .execute(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "mark the baseline"))?;
        Ok(())
    }

    /// Every watched issuer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn watched(&self) -> anyhow::Result<Vec<Watched>> {
        let rows: Vec<(String, String, Option<i64>)> =
            sqlx::query_as("SELECT key, since_date, baseline_at FROM watched ORDER BY key")
                .fetch_all(&self.pool)
                .await
                .map_err(|error| self.failed(&error, "read the watched issuers"))?;
        Ok(rows
            .into_iter()
            .map(|(key, since_date, baseline_at)| Watched {
                key,
                since_date: since_date.parse().unwrap_or_default(),
                has_baseline: baseline_at.is_some(),
            })
            .collect())
    }

    /// Every pinned ticker.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn pinned_tickers(&self) -> anyhow::Result<Vec<PinnedTicker>> {
        let rows: Vec<(String, i64, String, Option<String>)> =
            sqlx::query_as("SELECT ticker, cik, name, warning FROM tickers ORDER BY ticker")
                .fetch_all(&self.pool)
                .await
                .map_err(|error| self.failed(&error, "read the tickers"))?;
        Ok(rows
            .into_iter()
            .filter_map(|(ticker, cik, name, warning)| {
                Some(PinnedTicker { ticker, cik: Cik::from_i64(cik)?, name, warning })
            })
            .collect())
    }

    /// Pins a ticker, or changes the warning of one that is pinned. A pinned CIK is never changed.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn pin_ticker(&self, pinned: &PinnedTicker, now: DateTime<Utc>) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO tickers (ticker, cik, name, resolved_at, warning) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (ticker) DO UPDATE SET warning = excluded.warning",
        )
        .bind(pinned.ticker.clone())
        .bind(pinned.cik.as_i64())
        .bind(pinned.name.clone())
        .bind(to_micros(now))
        .bind(pinned.warning.clone())
        .execute(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "pin a ticker"))?;
        Ok(())
    }
}
