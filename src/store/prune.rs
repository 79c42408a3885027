//! Letting go of old rows. Accession numbers, events, alerts and who was told of them are kept for good.

use chrono::{DateTime, NaiveDate, Utc};

use super::{Store, to_micros};

/// Rows deleted in one transaction: others wait for the lock no longer than that takes.
const AT_A_TIME: i64 = 2_000;

impl Store {
    /// Forgets who the filers were of filings that were recorded without being read and are dated from `from` on and before
    /// `to`. Returns how many rows that was.
    ///
    /// # Errors
    /// When the store cannot be written; what was deleted before stays deleted.
    pub async fn prune_filers(&self, from: NaiveDate, to: NaiveDate) -> anyhow::Result<u64> {
        let mut n_deleted = 0;
        loop {
            let statement = sqlx::query(
                "DELETE FROM filers WHERE accession IN (
                    SELECT filings.accession FROM filings
                    WHERE filing_date >= $1 AND filing_date < $2 AND state IN ('not_watched', 'baseline')
                      AND EXISTS (SELECT 1 FROM filers WHERE filers.accession = filings.accession)
                    LIMIT $3)",
            )
            .bind(from.to_string())
            .bind(to.to_string())
            .bind(AT_A_TIME);
            match self.write(statement, "let go of old filers").await? {
                0 => return Ok(n_deleted),
                n => n_deleted += n,
            }
        }
    }

    /// Forgets the facts written before an instant whose keys begin so. Returns how many that were.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn prune_facts(&self, prefix: &str, before: DateTime<Utc>) -> anyhow::Result<u64> {
        let statement = sqlx::query("DELETE FROM facts WHERE key >= $1 AND key < $2 AND at < $3")
            .bind(prefix.to_owned())
            .bind(format!("{prefix}\u{10ffff}"))
            .bind(to_micros(before));
        self.write(statement, "let go of old facts").await
    }
}
