//! Subscriptions and the addresses behind them.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};

use super::connection::{StoreConnection, Work};
use super::outbox::OnceMail;
use super::{Store, from_micros, shown, to_micros};
use crate::subscription::{Origin, WrittenSubscription};

const CONFIRM: &str =
    "UPDATE subscriptions SET state = 'active', confirmed_at = $2 WHERE id = $1 AND state = 'pending'";
const END: &str = "UPDATE subscriptions SET state = 'ended', ended_at = $2 WHERE id = $1 AND state <> 'ended'";
const PAUSE: &str = "UPDATE subscriptions SET paused_until = $2 WHERE id = $1";
/// Ends a pause.
const RESUME: &str = "UPDATE subscriptions SET paused_until = NULL WHERE id = $1 AND $2 = $2";
/// Takes back what an unsubscribe ended.
const REVIVE: &str = "UPDATE subscriptions SET state = 'active', ended_at = NULL
     WHERE id = $1 AND state = 'ended' AND confirmed_at IS NOT NULL AND $2 = $2
       AND ended_at = (SELECT silenced_at FROM addresses WHERE addresses.id = subscriptions.address)";
/// Lets the address of a subscription be written to again.
const LIFT_SILENCE_OF: &str = "UPDATE addresses SET silenced = NULL, silenced_at = NULL, silenced_why = NULL
     WHERE id = (SELECT address FROM subscriptions WHERE id = $1) AND silenced <> 'erased' AND $2 = $2";
const FORGET_BOUNCES_OF: &str =
    "DELETE FROM bounces WHERE address = (SELECT address FROM subscriptions WHERE id = $1) AND $2 = $2";
/// Ends what people subscribed to with an address. What a configuration subscribed it to stays there, and is outranked.
const END_ALL_OF: &str = "UPDATE subscriptions SET state = 'ended', ended_at = $2
     WHERE address = (SELECT id FROM addresses WHERE address = $1) AND state <> 'ended' AND origin <> 'config'";
const DROP_NOTICES_TO: &str = "UPDATE messages SET state = 'dropped', final_at = $2, bytes = NULL
     WHERE recipient = $1 AND state = 'waiting'
       AND (is_digest = 1 OR EXISTS (SELECT 1 FROM notices WHERE notices.message = messages.id))";
/// What waits for addresses that have no subscription left.
const DROP_NOTICES_TO_NOBODY: &str = "UPDATE messages SET state = 'dropped', final_at = $1, bytes = NULL
     WHERE state IN ('waiting', 'set_aside')
       AND (is_digest = 1 OR EXISTS (SELECT 1 FROM notices WHERE notices.message = messages.id))
       AND EXISTS (SELECT 1 FROM addresses WHERE addresses.address = messages.recipient)
       AND NOT EXISTS (SELECT 1 FROM subscriptions JOIN addresses ON addresses.id = subscriptions.address
                       WHERE addresses.address = messages.recipient AND subscriptions.state <> 'ended')";
/// $1 is the address, $2 what stands for it, $3 the time.
const ERASE: [&str; 7] = [
    "UPDATE addresses SET address = $2, silenced = 'erased', silenced_at = $3, silenced_why = '' WHERE address = $1",
    "UPDATE notices SET recipient = $2 WHERE recipient = $1 AND $3 = $3",
    "UPDATE bounces SET words = '' WHERE address = (SELECT id FROM addresses WHERE address = $2) AND $1 = $1 AND $3 = $3",
    "UPDATE withheld SET recipient = $2 WHERE recipient = $1 AND $3 = $3",
    // The owner may have been told of a mail to it.
    "UPDATE facts SET value = REPLACE(value, 'mail to ' || $1 || ' was', 'mail to ' || $2 || ' was')
     WHERE key LIKE 'told_owner:%' AND $3 = $3 AND value LIKE '%mail to ' || $1 || ' was%'",
    "UPDATE messages SET subject = REPLACE(subject, 'mail to ' || $1 || ' was', 'mail to ' || $2 || ' was'),
        bytes = NULL, last_reply = NULL, final_at = COALESCE(final_at, $3),
        state = CASE state WHEN 'waiting' THEN 'dropped' WHEN 'set_aside' THEN 'dropped' ELSE state END
     WHERE subject LIKE '%mail to ' || $1 || ' was%'",
    // Its identity was made from the address.
    "UPDATE messages SET recipient = $2, message_id = 'erased.' || id, bytes = NULL, last_reply = NULL,
        final_at = COALESCE(final_at, $3),
        state = CASE state WHEN 'waiting' THEN 'dropped' WHEN 'set_aside' THEN 'dropped' ELSE state END
     WHERE recipient = $1",
];

/// So many soft bounces, old ones counting less, and an address is not written to any more.
const MOST_SOFT_BOUNCES: f64 = 5.0;
const SOFT_BOUNCES_HALVE_IN: TimeDelta = TimeDelta::days(7);

/// How much soft bounces weigh now: one of now counts for one, one of a week ago for half.
fn bounce_score(bounces: impl Iterator<Item = DateTime<Utc>>, now: DateTime<Utc>) -> f64 {
    let half_lives = |at: DateTime<Utc>| (now - at).as_seconds_f64().max(0.0) / SOFT_BOUNCES_HALVE_IN.as_seconds_f64();
    // One a day for a week makes 5.3.
    bounces.map(|at| 0.5_f64.powf(half_lives(at))).sum()
}

/// A name for a new subscription: letters and digits, not to be guessed.
///
/// # Errors
/// When the machine has no randomness.
pub fn new_subscription_id() -> anyhow::Result<String> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(data_encoding::BASE32_DNSSEC.encode(&bytes))
}

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

/// An address that no mail goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilencedAddress {
    /// The address; a keyed hash once erased.
    pub address: String,
    /// Why.
    pub silence: Silence,
    /// Since when.
    pub since: DateTime<Utc>,
    /// In whose words.
    pub why: String,
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
        let is_configured =
            |row: &&SubscriptionRow| row.origin == Origin::Config && row.state == SubscriptionState::Active;
        let active: Vec<&SubscriptionRow> = before.iter().filter(is_configured).collect();
        let by_id: HashMap<&str, &SubscriptionRow> = active.iter().map(|row| (row.id.as_str(), *row)).collect();
        let is_new = |new: &&NewSubscription| {
            by_id.get(new.id.as_str()).is_none_or(|row| {
                let is_same_address = row.address == new.address || new.erased_as.contains(&row.address);
                !is_same_address || row.written != new.written
            })
        };
        let begun: Vec<&NewSubscription> = configured.iter().filter(is_new).collect();
        let kept: HashSet<&str> = configured.iter().map(|subscription| subscription.id.as_str()).collect();
        let gone: Vec<&str> = active.iter().map(|row| row.id.as_str()).filter(|id| !kept.contains(id)).collect();
        if begun.is_empty() && gone.is_empty() {
            return Ok(false);
        }
        let mut transaction = self.begin_write().await?;
        self.check_term(&mut transaction).await?;
        for new in begun {
            self.insert_subscription(&mut transaction, new, now).await?;
        }
        self.end(&mut transaction, &gone, now).await?;
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

    /// Adds a subscription that waits to be confirmed, and puts the mail that asks for it in the outbox.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn ask_to_subscribe(
        &self,
        new: &NewSubscription,
        mail: &OnceMail,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.insert_subscription(&mut transaction, new, now).await?;
        self.insert_once(&mut transaction, mail, now).await?;
        self.finish(transaction, "ask to subscribe").await
    }

    /// Whether an address was erased, by what stands for it then.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn is_erased(&self, erased_as: &[String]) -> anyhow::Result<bool> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(&error, "look up an address"))?;
        Ok(!self.stored_address(&mut connection, "", erased_as).await?.is_empty())
    }

    async fn insert_subscription(
        &self,
        connection: &mut StoreConnection,
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
                paused_until = CASE WHEN subscriptions.address = excluded.address THEN subscriptions.paused_until END,
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
        connection: &mut StoreConnection,
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
        connection: &mut StoreConnection,
        statement: &'static str,
        values: &[&str],
        now: DateTime<Utc>,
    ) -> anyhow::Result<u64> {
        let mut n_changed = 0;
        for value in values {
            let done = sqlx::query(statement).bind((*value).to_owned()).bind(to_micros(now)).execute(&mut *connection);
            n_changed += done.await.map_err(|error| self.failed(&error, "change a subscription"))?.rows_affected();
        }
        Ok(n_changed)
    }

    pub(super) async fn finish(&self, mut transaction: Work, what: &'static str) -> anyhow::Result<()> {
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
            self.change(&mut transaction, FORGET_BOUNCES_OF, &[id], now).await?;
            self.finish(transaction, "confirm a subscription").await?;
        }
        Ok(n_changed > 0)
    }

    /// Tells nothing under some subscriptions until an instant.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn pause_subscriptions(&self, ids: &[&str], until: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.change(&mut transaction, PAUSE, ids, until).await?;
        self.finish(transaction, "pause subscriptions").await
    }

    /// Ends pauses of some subscriptions, and nothing else.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn end_pauses(&self, ids: &[&str], now: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.change(&mut transaction, RESUME, ids, now).await?;
        self.finish(transaction, "end pauses").await
    }

    /// Changes what a subscription asks for.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn change_terms(&self, id: &str, written: &WrittenSubscription) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        sqlx::query("UPDATE subscriptions SET terms = $2 WHERE id = $1")
            .bind(id.to_owned())
            .bind(serde_json::to_string(written)?)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.failed(&error, "change a subscription"))?;
        self.finish(transaction, "change a subscription").await
    }

    /// Ends pauses of some subscriptions, and lets their addresses be written to again unless they were erased: what an
    /// unsubscribe ended goes on, and bounces are forgotten.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn resume_subscriptions(&self, ids: &[&str], now: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.change(&mut transaction, RESUME, ids, now).await?;
        self.change(&mut transaction, REVIVE, ids, now).await?;
        self.change(&mut transaction, FORGET_BOUNCES_OF, ids, now).await?;
        self.change(&mut transaction, LIFT_SILENCE_OF, ids, now).await?;
        self.finish(transaction, "resume subscriptions").await
    }

    /// Ends some subscriptions.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn end_subscriptions(&self, ids: &[&str], now: DateTime<Utc>) -> anyhow::Result<()> {
        let mut transaction = self.begin_write().await?;
        self.end(&mut transaction, ids, now).await?;
        self.finish(transaction, "end subscriptions").await
    }

    /// What waits for an address goes with its last subscription.
    async fn end(&self, connection: &mut StoreConnection, ids: &[&str], now: DateTime<Utc>) -> anyhow::Result<()> {
        self.change(connection, END, ids, now).await?;
        sqlx::query(DROP_NOTICES_TO_NOBODY)
            .bind(to_micros(now))
            .execute(connection)
            .await
            .map_err(|error| self.failed(&error, "drop what waits for nobody"))?;
        Ok(())
    }

    /// Writes to an address no more, whatever its subscriptions say: those of people end if it wants no mail, those of a
    /// configuration are outranked, and notices that wait are dropped. `false` where it is silenced already or nobody
    /// subscribed with it.
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
        let is_new = self.silence(&mut transaction, address, silence, why, now).await?;
        if is_new {
            self.finish(transaction, "silence an address").await?;
        }
        Ok(is_new)
    }

    async fn silence(
        &self,
        connection: &mut StoreConnection,
        address: &str,
        silence: Silence,
        why: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<bool> {
        let done = sqlx::query(
            "UPDATE addresses SET silenced = $2, silenced_at = $3, silenced_why = $4
             WHERE address = $1 AND (silenced IS NULL OR (silenced = 'bounced' AND $2 = 'unsubscribed'))",
        )
        .bind(address.to_owned())
        .bind(silence.as_str().to_owned())
        .bind(to_micros(now))
        .bind(shown(why))
        .execute(&mut *connection)
        .await
        .map_err(|error| self.failed(&error, "silence an address"))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        if silence == Silence::Unsubscribed {
            self.change(connection, END_ALL_OF, &[address], now).await?;
        }
        self.change(connection, DROP_NOTICES_TO, &[address], now).await?;
        Ok(true)
    }

    /// Notes that a message came back. A hard bounce silences its address, and so do soft ones when they come often: each
    /// counts for half after a week. Whether the address is silenced now; `None` when nothing is known of the message or
    /// of who it went to. A message counts once.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn record_bounce(
        &self,
        message: i64,
        is_hard: bool,
        words: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<bool>> {
        let mut transaction = self.begin_write().await?;
        let noted = self.bounce(&mut transaction, message, is_hard, words, now).await?;
        if noted.is_some() {
            self.finish(transaction, "note a bounce").await?;
        }
        Ok(noted)
    }

    pub(super) async fn bounce(
        &self,
        connection: &mut StoreConnection,
        message: i64,
        is_hard: bool,
        words: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Option<bool>> {
        let found: Option<(i64, String)> = sqlx::query_as(
            "SELECT addresses.id, addresses.address FROM messages
             JOIN addresses ON addresses.address = messages.recipient
             WHERE messages.id = $1 AND COALESCE(addresses.silenced, '') <> 'erased'",
        )
        .bind(message)
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| self.failed(&error, "look up what bounced"))?;
        let Some((number, address)) = found else { return Ok(None) };
        sqlx::query(
            "INSERT INTO bounces (message, address, bounced_at, is_hard, words) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (message) DO UPDATE SET
                is_hard = CASE WHEN excluded.is_hard = 1 THEN 1 ELSE bounces.is_hard END",
        )
        .bind(message)
        .bind(number)
        .bind(to_micros(now))
        .bind(i64::from(is_hard))
        .bind(shown(words))
        .execute(&mut *connection)
        .await
        .map_err(|error| self.failed(&error, "note a bounce"))?;
        let soft: Vec<(i64,)> = sqlx::query_as("SELECT bounced_at FROM bounces WHERE address = $1 AND is_hard = 0")
            .bind(number)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| self.failed(&error, "count bounces"))?;
        let score = bounce_score(soft.into_iter().map(|(at,)| from_micros(at)), now);
        let is_silenced = is_hard || score >= MOST_SOFT_BOUNCES;
        if is_silenced {
            self.silence(connection, &address, Silence::Bounced, words, now).await?;
        }
        Ok(Some(is_silenced))
    }

    /// An address by its number; `None` where there is none, or it was erased.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn address_of(&self, number: i64) -> anyhow::Result<Option<String>> {
        let found: Option<(String,)> =
            sqlx::query_as("SELECT address FROM addresses WHERE id = $1 AND COALESCE(silenced, '') <> 'erased'")
                .bind(number)
                .fetch_optional(&self.pool)
                .await
                .map_err(|error| self.failed(&error, "look up an address"))?;
        Ok(found.map(|(address,)| address))
    }

    /// Addresses that no mail goes to, with why and since when, the last first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn silenced_addresses(&self) -> anyhow::Result<Vec<SilencedAddress>> {
        type Row = (String, String, Option<i64>, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT address, silenced, silenced_at, silenced_why FROM addresses WHERE silenced IS NOT NULL
             ORDER BY silenced_at DESC, id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "list silenced addresses"))?;
        let silenced = rows.into_iter().map(|(address, silence, at, why)| SilencedAddress {
            address,
            silence: Silence::parse(&silence),
            since: at.map(from_micros).unwrap_or_default(),
            why: why.unwrap_or_default(),
        });
        Ok(silenced.collect())
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
        let is_known = n_rows > 0;
        if is_known {
            self.finish(transaction, "erase an address").await?;
        } else {
            drop(transaction);
        }
        // Also where nothing is known any more: whoever erased it may have died before this.
        self.forget_old_bytes().await?;
        Ok(is_known)
    }

    /// Forgets subscriptions that nobody confirmed since an instant, and addresses that nothing else is known of. Returns how
    /// many rows that were.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is written then.
    pub async fn forget_unconfirmed(&self, before: DateTime<Utc>) -> anyhow::Result<u64> {
        let mut transaction = self.begin_write().await?;
        let mut n_rows = 0;
        for statement in [
            "DELETE FROM subscriptions WHERE state = 'pending' AND created_at < $1",
            "DELETE FROM messages WHERE message_id LIKE 'consent.%' AND final_at < $1",
            "DELETE FROM addresses WHERE silenced IS NULL AND $1 = $1
               AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE subscriptions.address = addresses.id)
               AND NOT EXISTS (SELECT 1 FROM bounces WHERE bounces.address = addresses.id)",
        ] {
            let done = sqlx::query(statement).bind(to_micros(before)).execute(&mut *transaction).await;
            n_rows += done.map_err(|error| self.failed(&error, "forget unconfirmed subscriptions"))?.rows_affected();
        }
        if n_rows > 0 {
            self.finish(transaction, "forget unconfirmed subscriptions").await?;
        }
        Ok(n_rows)
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
