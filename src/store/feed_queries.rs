//! What is remembered of each query of the feed between passes.

use chrono::{DateTime, Utc};

use super::connection::StoreConnection;
use super::{Store, from_micros, to_micros};

/// The memory of one query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedQueryState {
    /// The `type` that brings what is wanted; `None` before first contact.
    pub asked_as: Option<String>,
    /// A pass that began then ended without joining what was known: rows seen from then on prove nothing.
    pub gap_since: Option<DateTime<Utc>>,
    /// The `start` at which the feed ended when it last ended without joining.
    pub deep_end: Option<i64>,
    /// When a pass last went to its full depth.
    pub deep_at: Option<DateTime<Utc>>,
    /// The oldest acceptance time that pass saw.
    pub oldest_at: Option<DateTime<Utc>>,
}

impl Store {
    /// The memory of one query; the default for one never asked.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn feed_query(&self, prefix: &str) -> anyhow::Result<FeedQueryState> {
        type Row = (Option<String>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
        let row: Option<Row> = sqlx::query_as(
            "SELECT asked_as, gap_since, deep_end, deep_at, oldest_at FROM feed_queries WHERE prefix = $1",
        )
        .bind(prefix.to_owned())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read a feed query"))?;
        Ok(row.map_or_else(FeedQueryState::default, |(asked_as, gap_since, deep_end, deep_at, oldest_at)| {
            FeedQueryState {
                asked_as,
                gap_since: gap_since.map(from_micros),
                deep_end,
                deep_at: deep_at.map(from_micros),
                oldest_at: oldest_at.map(from_micros),
            }
        }))
    }

    pub(super) async fn write_feed_query(
        &self,
        connection: &mut StoreConnection,
        prefix: &str,
        state: &FeedQueryState,
    ) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO feed_queries (prefix, asked_as, gap_since, deep_end, deep_at, oldest_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (prefix) DO UPDATE SET asked_as = excluded.asked_as, gap_since = excluded.gap_since,
                deep_end = excluded.deep_end, deep_at = excluded.deep_at, oldest_at = excluded.oldest_at",
        )
        .bind(prefix.to_owned())
        .bind(state.asked_as.clone())
        .bind(state.gap_since.map(to_micros))
        .bind(state.deep_end)
        .bind(state.deep_at.map(to_micros))
        .bind(state.oldest_at.map(to_micros))
        .execute(connection)
        .await
        .map_err(|error| self.failed(&error, "remember a feed query"))?;
        Ok(())
    }
}
