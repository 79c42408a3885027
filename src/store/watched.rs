//! Whose filings are watched since when, and which ticker was pinned to which CIK.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::connection::StoreConnection;
use super::{Store, shown, to_micros};
use crate::edgar::eastern::eastern_date;
use crate::edgar::feed::Filer;
use crate::edgar::ids::Cik;

/// A watched issuer, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// `*`, or the CIK's ten digits.
    pub key: String,
    /// Filings dated before are no news.
    pub since_date: NaiveDate,
    /// The queries of which a whole walk has recorded what was there when watching began.
    pub baselines: Vec<String>,
}

/// Every watched issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedIssuers {
    by_key: BTreeMap<String, Watched>,
    /// The queries that each of them has its baseline in.
    baselines: BTreeSet<String>,
}

impl WatchedIssuers {
    /// Everybody, from the beginning of time.
    pub fn all() -> Self {
        [Watched { key: "*".to_owned(), since_date: NaiveDate::MIN, baselines: Vec::new() }].into_iter().collect()
    }

    /// Those that stand for one of these filers.
    pub fn about(&self, filers: &[Filer]) -> impl Iterator<Item = &Watched> {
        let own = filers.iter().filter_map(|filer| self.by_key.get(&filer.cik.to_string()));
        self.by_key.get("*").into_iter().chain(own)
    }

    /// Whether a whole walk over a query has recorded what was there when watching each of them began.
    pub fn have_baseline(&self, prefix: &str) -> bool {
        self.by_key.is_empty() || self.baselines.contains(prefix)
    }

    /// Whether these and no others are watched; while all are, those watched by name before may be among them.
    fn are_those_of(&self, keys: &[String]) -> bool {
        let wanted: HashSet<&str> = keys.iter().map(String::as_str).collect();
        wanted.iter().all(|key| self.by_key.contains_key(*key))
            && (wanted.contains("*") || self.by_key.len() == wanted.len())
    }
}

impl FromIterator<Watched> for WatchedIssuers {
    fn from_iter<I: IntoIterator<Item = Watched>>(watched: I) -> Self {
        let by_key: BTreeMap<String, Watched> =
            watched.into_iter().map(|watched| (watched.key.clone(), watched)).collect();
        let baselines = by_key.values().map(|watched| watched.baselines.iter().cloned().collect::<BTreeSet<String>>());
        let baselines = baselines.reduce(|some, own| &some & &own).unwrap_or_default();
        Self { by_key, baselines }
    }
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
    /// that left is forgotten, so that it begins afresh if it comes back. An issuer that goes from being watched with
    /// all others to being watched by name, or the other way, is not new.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn sync_watched(&self, keys: &[String], now: DateTime<Utc>) -> anyhow::Result<WatchedIssuers> {
        let today = eastern_date(now);
        let watched = self.watched().await?;
        if watched.are_those_of(keys) && watched.by_key.values().all(|watched| watched.since_date <= today) {
            return Ok(watched);
        }
        let all = keys.iter().any(|key| key == "*");
        let mut transaction = self.begin_write().await?;
        self.check_term(&mut transaction).await?;
        let rows: Vec<(String,)> = sqlx::query_as("SELECT key FROM watched")
            .fetch_all(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "read the watched issuers"))?;
        let before: HashSet<&str> = rows.iter().map(|(key,)| key.as_str()).collect();
        let kept: HashSet<&str> = keys.iter().map(String::as_str).collect();
        let is_known = |key: &str| before.contains(key);
        for key in keys.iter().filter(|key| !is_known(key)) {
            for statement in [
                "INSERT INTO watched (key, since_date)
                 VALUES ($1, COALESCE((SELECT since_date FROM watched WHERE key = '*'), $2))",
                "INSERT INTO baselines (key, prefix)
                 SELECT $1, prefix FROM baselines WHERE key = '*' AND $2 = $2",
            ] {
                sqlx::query(statement)
                    .bind(key.clone())
                    .bind(today.to_string())
                    .execute(&mut *transaction)
                    .await
                    .map_err(|error| self.failed(&error, "add a watched issuer"))?;
            }
        }
        if !is_known("*") && keys.iter().any(|key| !is_known(key)) {
            self.reopen_days(&mut transaction, today, now).await?;
        }
        // While all are watched, those watched by name before keep the earlier day they were watched from.
        for key in before.difference(&kept).filter(|_| !all) {
            sqlx::query("DELETE FROM watched WHERE key = $1")
                .bind((*key).to_owned())
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "forget a watched issuer"))?;
        }
        // A day that lies ahead was written under a clock that ran ahead.
        sqlx::query("UPDATE watched SET since_date = $1 WHERE since_date > $1")
            .bind(today.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "mend the watched issuers"))?;
        self.count_watch_change(&mut transaction).await?;
        self.commit(transaction, "record whom to watch").await?;
        self.watched().await
    }

    /// Watches from an earlier date: what is dated from `since` on counts as news, wherever it is first seen.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn watch_since(&self, since: NaiveDate, prefixes: &[String], now: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.check_term(&mut transaction).await?;
        let done = sqlx::query("UPDATE watched SET since_date = $1 WHERE since_date > $1")
            .bind(since.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "look back"))?;
        if done.rows_affected() > 0 {
            self.reopen_days(&mut transaction, since, now).await?;
            self.count_watch_change(&mut transaction).await?;
        }
        for prefix in prefixes {
            self.mark_baseline(&mut transaction, prefix).await?;
        }
        self.commit(transaction, "watch from an earlier day").await
    }

    /// Marks that a whole walk over a query has recorded what was there.
    pub(super) async fn mark_baseline(&self, connection: &mut StoreConnection, prefix: &str) -> anyhow::Result<()> {
        let done = sqlx::query(
            "INSERT INTO baselines (key, prefix) SELECT key, $1 FROM watched WHERE true ON CONFLICT DO NOTHING",
        )
        .bind(prefix.to_owned())
        .execute(&mut *connection)
        .await
        .map_err(|error| self.failed(&error, "mark the baseline"))?;
        if done.rows_affected() > 0 {
            self.count_watch_change(connection).await?;
        }
        Ok(())
    }

    /// Goes with every change to whom is watched since when, and to the tickers.
    async fn count_watch_change(&self, connection: &mut StoreConnection) -> anyhow::Result<()> {
        sqlx::query("UPDATE watch_changes SET n = n + 1")
            .execute(connection)
            .await
            .map_err(|error| self.failed(&error, "count a change of the watched issuers"))?;
        Ok(())
    }

    /// How often the watched issuers and the pinned tickers have changed: while it stays the same, so do they.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn watch_changes(&self) -> anyhow::Result<i64> {
        let (n,): (i64,) = sqlx::query_as("SELECT n FROM watch_changes")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the watched issuers"))?;
        Ok(n)
    }

    /// Every watched issuer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn watched(&self) -> anyhow::Result<WatchedIssuers> {
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT watched.key, watched.since_date, baselines.prefix FROM watched
             LEFT JOIN baselines ON baselines.key = watched.key ORDER BY watched.key",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read the watched issuers"))?;
        let mut watched: Vec<Watched> = Vec::new();
        for (key, since_date, prefix) in rows {
            if watched.last().is_none_or(|last| last.key != key) {
                let since_date = since_date.parse().unwrap_or_default();
                watched.push(Watched { key, since_date, baselines: Vec::new() });
            }
            if let Some(last) = watched.last_mut() {
                last.baselines.extend(prefix);
            }
        }
        Ok(watched.into_iter().collect())
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
        let mut transaction = self.begin_write().await?;
        sqlx::query(
            "INSERT INTO tickers (ticker, cik, name, resolved_at, warning) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (ticker) DO UPDATE SET warning = excluded.warning",
        )
        .bind(pinned.ticker.clone())
        .bind(pinned.cik.as_i64())
        .bind(shown(&pinned.name))
        .bind(to_micros(now))
        .bind(pinned.warning.as_deref().map(shown))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "pin a ticker"))?;
        self.count_watch_change(&mut transaction).await?;
        self.commit(transaction, "pin a ticker").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(key: &str, baselines: &[&str]) -> Watched {
        let baselines = baselines.iter().map(|prefix| (*prefix).to_owned()).collect();
        Watched { key: key.to_owned(), since_date: NaiveDate::MIN, baselines }
    }

    fn filer(cik: u64) -> Filer {
        Filer { cik: Cik::from_number(cik).expect("in range"), name: String::new() }
    }

    #[test]
    fn filers_are_found_by_number_and_with_all_others() {
        let some: WatchedIssuers = [watched("0000000007", &[]), watched("*", &[])].into_iter().collect();
        let keys = |filers: &[Filer]| some.about(filers).map(|watched| watched.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&[filer(7), filer(8)]), ["*", "0000000007"]);
        assert_eq!(keys(&[filer(8)]), ["*"]);
        assert_eq!(WatchedIssuers::default().about(&[filer(7)]).count(), 0);
    }

    #[test]
    fn a_query_has_its_baseline_once_each_issuer_has() {
        let some: WatchedIssuers =
            [watched("0000000007", &["8-K", "6-K"]), watched("0000000008", &["8-K"])].into_iter().collect();
        assert!(some.have_baseline("8-K") && !some.have_baseline("6-K"));
        assert!(WatchedIssuers::default().have_baseline("8-K"), "nobody lacks it");
    }

    #[test]
    fn who_is_watched_is_told_from_who_was() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<String>>();
        let some: WatchedIssuers = [watched("0000000007", &[]), watched("0000000008", &[])].into_iter().collect();
        assert!(some.are_those_of(&keys(&["0000000008", "0000000007"])));
        assert!(!some.are_those_of(&keys(&["0000000007"])), "one has left");
        assert!(!some.are_those_of(&keys(&["0000000007", "0000000009"])), "one is new");
        assert!(!some.are_those_of(&keys(&["*"])));
        let all: WatchedIssuers = [watched("0000000007", &[]), watched("*", &[])].into_iter().collect();
        assert!(all.are_those_of(&keys(&["*"])), "those watched by name before may stay");
    }
}
