//! Subscriptions and the addresses behind them.

use anyhow::Context;
use chrono::{DateTime, Utc};
use sqlx::{Any, AnyConnection, Transaction};

use super::{Store, from_micros, to_micros};
use crate::subscription::{Origin, WrittenSubscription};

const CONFIRM: &str =
    "UPDATE subscriptions SET state = 'active', confirmed_at = $2 WHERE id = $1 AND state = 'pending'";
const END: &str = "UPDATE subscriptions SET state = 'ended', ended_at = $2 WHERE id = $1 AND state <> 'ended'";
const PAUSE: &str = "UPDATE subscriptions SET paused_until = $2 WHERE id = $1";
const RESUME: &str = "UPDATE subscriptions SET paused_until = NULL WHERE id = $1 AND $2 = $2";
/// Lets the address of a subscription be written to again.
const LIFT_SILENCE_OF: &str = "UPDATE addresses SET silenced = NULL, silenced_at = NULL, silenced_why = NULL
     WHERE id = (SELECT address FROM subscriptions WHERE id = $1) AND silenced <> 'erased' AND $2 = $2";
/// Ends what people subscribed to with an address. What a configuration subscribed it to stays there, and is outranked.
const END_ALL_OF: &str = "UPDATE subscriptions SET state = 'ended', ended_at = $2
     WHERE address = (SELECT id FROM addresses WHERE address = $1) AND state <> 'ended' AND origin <> 'config'";
const DROP_NOTICES_TO: &str = "UPDATE messages SET state = 'dropped', final_at = $2, bytes = NULL
     WHERE recipient = $1 AND state IN ('waiting', 'set_aside')
       AND EXISTS (SELECT 1 FROM notices WHERE notices.message = messages.id)";
/// $1 is the address, $2 what stands for it, $3 the time.
const ERASE: [&str; 6] = [
    "UPDATE addresses SET address = $2, silenced = 'erased', silenced_at = $3, silenced_why = '' WHERE address = $1",
    "UPDATE notices SET recipient = $2 WHERE recipient = $1 AND $3 = $3",
    "UPDATE withheld SET recipient = $2 WHERE recipient = $1 AND $3 = $3",
    // The owner may have been told of a mail to it.
    "UPDATE facts SET value = REPLACE(value, $1, $2) WHERE key LIKE 'told_owner:%' AND $3 = $3
        AND value <> REPLACE(value, $1, $2)",
    "UPDATE messages SET subject = REPLACE(subject, $1, $2), bytes = NULL, last_reply = NULL, final_at = COALESCE(final_at, $3),
        state = CASE state WHEN 'waiting' THEN 'dropped' WHEN 'set_aside' THEN 'dropped' ELSE state END
     WHERE subject <> REPLACE(subject, $1, $2)",
    // Its identity was made from the address.
    "UPDATE messages SET recipient = $2, message_id = 'erased.' || id, bytes = NULL, last_reply = NULL,
        final_at = COALESCE(final_at, $3),
        state = CASE state WHEN 'waiting' THEN 'dropped' WHEN 'set_aside' THEN 'dropped' ELSE state END
     WHERE recipient = $1",
];

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Asked for, not confirmed.
    Pending,
    /// In effect.
    Active,
    /// Removed, or gone from the configuration.
    Ended,
}

impl SubscriptionState {
    /// The word in the store and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "pending" => Self::Pending,
            "active" => Self::Active,
            _ => Self::Ended,
        }
    }
}

/// Why no mail goes to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Its owner wants none.
    Unsubscribed,
    /// It takes none.
    Bounced,
    /// It was erased: nobody may write to it again unasked.
    Erased,
}

impl Silence {
    /// The word in the store and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Bounced => "bounced",
            Self::Erased => "erased",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "bounced" => Self::Bounced,
            "erased" => Self::Erased,
            _ => Self::Unsubscribed,
        }
    }
}

/// A subscription as stored, with what is known of its address.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionRow {
    /// Stands for it in mails.
    pub id: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Who is mailed, in lower case; a keyed hash once erased.
    pub address: String,
    /// The address's number.
    pub address_id: i64,
    /// Where it stands.
    pub state: SubscriptionState,
    /// What it asks for.
    pub written: WrittenSubscription,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was confirmed.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// No mail before.
    pub paused_until: Option<DateTime<Utc>>,
    /// Why no mail goes to the address, since when, and in whose words.
    pub silenced: Option<(Silence, DateTime<Utc>, String)>,
}

/// Which subscriptions are meant.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// All, ended ones included.
    All,
    /// Those in effect whose address may be written to.
    Live,
    /// One.
    Id(&'a str),
    /// Those of an address.
    Address(&'a str),
}

/// A subscription to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSubscription {
    /// Stands for it in mails.
    pub id: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Who is mailed, in lower case.
    pub address: String,
    /// What stands for the address on the list of those that were erased, under each key there has been.
    pub erased_as: Vec<String>,
    /// Pending or active.
    pub state: SubscriptionState,
    /// What it asks for.
    pub written: WrittenSubscription,
}

type Columns = (
    String,
    String,
    String,
    i64,
    String,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
);

fn subscription_row(columns: Columns) -> anyhow::Result<SubscriptionRow> {
    let (id, origin, address, address_id, state, terms, created_at, confirmed_at, ended_at, paused_until, ..) = columns;
    let (.., silenced, silenced_at, silenced_why) = columns;
    let written = serde_json::from_str(&terms).with_context(|| format!("subscription {id}"))?;
    Ok(SubscriptionRow {
        origin: Origin::parse(&origin).with_context(|| format!("subscription {id}: origin {origin}"))?,
        id,
        address,
        address_id,
        state: SubscriptionState::parse(&state),
        written,
        created_at: from_micros(created_at),
        confirmed_at: confirmed_at.map(from_micros),
        ended_at: ended_at.map(from_micros),
        paused_until: paused_until.map(from_micros),
        silenced: silenced.map(|word| {
            let since = silenced_at.map(from_micros).unwrap_or_default();
            (Silence::parse(&word), since, silenced_why.unwrap_or_default())
        }),
    })
}

impl Store {
    /// Brings the subscriptions in line with the configuration: what is new in it begins, what left it ends. Pauses and
    /// silenced addresses stay. Returns whether anything changed.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn sync_subscriptions(&self, configured: &[NewSubscription], now: DateTime<Utc>) -> anyhow::Result<bool> {
        let before = self.subscriptions(Which::All).await?;
        let is_configured = |row: &&SubscriptionRow| {
            row.origin == Origin::Config && row.state == SubscriptionState::Active
        };
        let active: Vec<&SubscriptionRow> = before.iter().filter(is_configured).collect();
        let is_new = |new: &&NewSubscription| {
            !active.iter().any(|row| {
                let is_same_address = row.address == new.address || new.erased_as.contains(&row.address);
                row.id == new.id && is_same_address && row.written == new.written
            })
        };
        let begun: Vec<&NewSubscription> = configured.iter().filter(is_new).collect();
        let gone: Vec<&str> = active
            .iter()
            .map(|row| row.id.as_str())
            .filter(|id| !configured.iter().any(|subscription| subscription.id == *id))
            .collect();
        if begun.is_empty() && gone.is_empty() {
            return Ok(false);
        }
        let mut transaction = self.begin_write().await?;
        for new in begun {
            self.insert_subscription(&mut transaction, new, now).await?;
        }
        for id in gone {
            self.change(&mut transaction, END, &[id], now).await?;
        }
        self.finish(transaction, "take the subscriptions from the configuration").await?;
        Ok(true)
    }

    /// Adds a subscription.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn add_subscription(&self, new: &NewSubscription, now: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.insert_subscription(&mut transaction, new, now).await?;
        self.finish(transaction, "add a subscription").await
    }

    async fn insert_subscription(
        &self,
        connection: &mut AnyConnection,
        new: &NewSubscription,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let address = self.stored_address(connection, &new.address, &new.erased_as).await?;
        sqlx::query("INSERT INTO addresses (address) VALUES ($1) ON CONFLICT (address) DO NOTHING")
            .bind(address.clone())
            .execute(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "add an address"))?;
        let confirmed_at = (new.state == SubscriptionState::Active).then(|| to_micros(now));
        sqlx::query(
            "INSERT INTO subscriptions (id, origin, address, state, terms, created_at, confirmed_at)
             VALUES ($1, $2, (SELECT id FROM addresses WHERE address = $3), $4, $5, $6, $7)
             ON CONFLICT (id) DO UPDATE SET
                address = excluded.address, state = excluded.state, terms = excluded.terms,
                confirmed_at = excluded.confirmed_at, ended_at = NULL",
        )
        .bind(new.id.clone())
        .bind(new.origin.as_str().to_owned())
        .bind(address)
        .bind(new.state.as_str().to_owned())
        .bind(serde_json::to_string(&new.written)?)
        .bind(to_micros(now))
        .bind(confirmed_at)
        .execute(connection)
        .await
        .map_err(|error| self.failed(&error, "add a subscription"))?;
        Ok(())
    }

    /// An address as it stands in the store: once erased, by what stands for it.
    async fn stored_address(
        &self,
        connection: &mut AnyConnection,
        address: &str,
        erased_as: &[String],
    ) -> anyhow::Result<String> {
        for erased in erased_as {
            let found: Option<(i64,)> = sqlx::query_as("SELECT id FROM addresses WHERE address = $1")
                .bind(erased.clone())
                .fetch_optional(&mut *connection)
                .await
                .map_err(|error| self.failed(&error, "look up an address"))?;
            if found.is_some() {
                return Ok(erased.clone());
            }
        }
        Ok(address.to_owned())
    }

    /// Runs a statement on each of some values; its second placeholder is the time. Returns how many rows it changed.
    async fn change(
        &self,
        connection: &mut AnyConnection,
        statement: &'static str,
        values: &[&str],
        now: DateTime<Utc>,
    ) -> anyhow::Result<u64> {
        let mut n_changed = 0;
        for value in values {
            let done = sqlx::query(statement).bind((*value).to_owned()).bind(to_micros(now)).execute(&mut *connection);
            n_changed +=
                done.await.map_err(|error| self.failed(&error, "change a subscription"))?.rows_affected();
        }
        Ok(n_changed)
    }

    async fn finish(&self, mut transaction: Transaction<'static, Any>, what: &'static str) -> anyhow::Result<()> {
        sqlx::query("UPDATE subscription_changes SET n = n + 1")
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "count a change of the subscriptions"))?;
        self.commit(transaction, what).await
    }

    /// Confirms a subscription that was asked for: its address has agreed to be written to. `false` when none of that id is
    /// pending.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn confirm_subscription(&self, id: &str, now: DateTime<Utc>) -> anyhow::Result<bool> {
        let mut transaction = self.begin_write().await?;
        let n_changed = self.change(&mut transaction, CONFIRM, &[id], now).await?;
        if n_changed > 0 {
            self.change(&mut transaction, LIFT_SILENCE_OF, &[id], now).await?;
            self.finish(transaction, "confirm a subscription").await?;
        }
        Ok(n_changed > 0)
    }

    /// Holds back all mail of some subscriptions until an instant.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn pause_subscriptions(&self, ids: &[&str], until: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.change(&mut transaction, PAUSE, ids, until).await?;
        self.finish(transaction, "pause subscriptions").await
    }

    /// Ends pauses of some subscriptions, and lets their addresses be written to again unless they were erased.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn resume_subscriptions(&self, ids: &[&str], now: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.change(&mut transaction, RESUME, ids, now).await?;
        self.change(&mut transaction, LIFT_SILENCE_OF, ids, now).await?;
        self.finish(transaction, "resume subscriptions").await
    }

    /// Ends some subscriptions.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn end_subscriptions(&self, ids: &[&str], now: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.change(&mut transaction, END, ids, now).await?;
        self.finish(transaction, "end subscriptions").await
    }

    /// Writes to an address no more, whatever its subscriptions say: those of people end, those of a configuration are
    /// outranked, and notices that wait are dropped. `false` where it is silenced already or nobody subscribed with it.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn silence_address(
        &self,
        address: &str,
        silence: Silence,
        why: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<bool> {
        let mut transaction = self.begin_write().await?;
        let done = sqlx::query(
            "UPDATE addresses SET silenced = $2, silenced_at = $3, silenced_why = $4
             WHERE address = $1 AND silenced IS NULL",
        )
        .bind(address.to_owned())
        .bind(silence.as_str().to_owned())
        .bind(to_micros(now))
        .bind(why.to_owned())
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.failed(&error, "silence an address"))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.change(&mut transaction, END_ALL_OF, &[address], now).await?;
        self.change(&mut transaction, DROP_NOTICES_TO, &[address], now).await?;
        self.finish(transaction, "silence an address").await?;
        Ok(true)
    }

    /// Erases an address: what stands for it on the list of those that are never written to is all that stays of it.
    /// `false` where nothing is known of it.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn erase_address(&self, address: &str, erased: &str, now: DateTime<Utc>) -> anyhow::Result<bool> {
        let mut transaction = self.begin_write().await?;
        let mut n_rows = 0;
        self.change(&mut transaction, END_ALL_OF, &[address], now).await?;
        self.change(&mut transaction, DROP_NOTICES_TO, &[address], now).await?;
        for statement in ERASE {
            let done = sqlx::query(statement)
                .bind(address.to_owned())
                .bind(erased.to_owned())
                .bind(to_micros(now))
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.failed(&error, "erase an address"))?;
            n_rows += done.rows_affected();
        }
        if n_rows > 0 {
            self.finish(transaction, "erase an address").await?;
        }
        Ok(n_rows > 0)
    }

    /// How often subscriptions have changed: while it stays the same, so do they.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn subscription_changes(&self) -> anyhow::Result<i64> {
        let (n,): (i64,) = sqlx::query_as("SELECT n FROM subscription_changes")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the subscriptions"))?;
        Ok(n)
    }

    /// Subscriptions, in the order they were made.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn subscriptions(&self, which: Which<'_>) -> anyhow::Result<Vec<SubscriptionRow>> {
        let (condition, value) = match which {
            Which::All => ("$1 = $1", ""),
            Which::Live => ("$1 = $1 AND s.state = 'active' AND a.silenced IS NULL", ""),
            Which::Id(id) => ("s.id = $1", id),
            Which::Address(address) => ("a.address = $1", address),
        };
        let statement = format!(
            "SELECT s.id, s.origin, a.address, a.id, s.state, s.terms, s.created_at, s.confirmed_at, s.ended_at,
                    s.paused_until, a.silenced, a.silenced_at, a.silenced_why
             FROM subscriptions AS s JOIN addresses AS a ON a.id = s.address
             WHERE {condition} ORDER BY s.created_at, s.id"
        );
        // Only the conditions above were put in.
        let rows: Vec<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(value.to_owned())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the subscriptions"))?;
        rows.into_iter().map(subscription_row).collect()
    }
}
