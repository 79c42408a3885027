//! Several processes on one store: who is alive, which of them polls, and in whose hands a filing or a mail is.
//!
//! A member says every few seconds that it lives, by the server's clock. One that has not for its lease counts as dead: what it
//! held is free, and another may poll in its place. It may be frozen and come back: each write of a poll asks for the term that
//! the poll began in, in the same transaction, and a mail leaves only while its holder knows itself alive.
//!
//! A file has one daemon, which its lock sees to; there nobody joins, and everything here lets everything pass.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

use super::connection::{StoreConnection, Work, no_answer};
use super::postgres::NOW;
use super::{Store, from_micros, to_micros};

/// A process that is about to share the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMember {
    /// Host and process number, for people.
    pub name: String,
    /// What it does: `run`, `once` or `backfill`.
    pub role: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// Tells configurations apart.
    pub config: String,
    /// After how long without a word it counts as dead.
    pub lease: Duration,
}

/// A process that shares the store, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Host and process number.
    pub name: String,
    /// What it does.
    pub role: String,
    /// The program's version.
    pub version: String,
    /// Tells configurations apart.
    pub config: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Whether it is the one that polls.
    pub is_leader: bool,
}

/// Another process polls by now: what this one found may be stale, and nothing of it was written.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("another process polls now: nothing was written")]
pub struct Superseded;

/// This process among the others.
#[derive(Debug)]
pub(super) struct OwnMember {
    id: i64,
    new: NewMember,
    /// The term it polls in; [`NEVER_LED`] and [`LED_BEFORE`] else.
    term: AtomicI64,
    heard: Mutex<Heard>,
    /// By how many microseconds the server's clock is ahead of ours.
    skew: AtomicI64,
}

/// When this process last said that it lives, by both clocks of the machine: the steady one stands still while a virtual machine
/// does, the other can be set.
#[derive(Debug, Clone, Copy)]
struct Heard {
    steady: Instant,
    wall: SystemTime,
}

/// It has not polled, and its writes are nobody's replacement.
const NEVER_LED: i64 = 0;
/// It polled and no longer does: whatever is under way of that is stale.
const LED_BEFORE: i64 = -1;

/// The condition that a member has said lately that it lives. A lease that ends later than any can was given before the server's
/// clock was set back.
pub(super) const ALIVE: &str = "alive_until - CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)
    BETWEEN 1 AND 60000000";

/// The dead are remembered for a day, for whoever asks what happened.
const DEAD_KEPT: TimeDelta = TimeDelta::days(1);

impl Heard {
    fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// Whether that was so lately that nobody has taken this process for dead.
    fn is_within(&self, lease: Duration) -> bool {
        // A clock that was set back tells nothing.
        self.steady.elapsed() < lease && self.wall.elapsed().unwrap_or_default() < lease
    }
}

impl OwnMember {
    fn hear(&self, said: Heard, server_now: i64) {
        let ahead = server_now.saturating_sub(to_micros(DateTime::<Utc>::from(said.wall)));
        self.skew.store(ahead, Ordering::Relaxed);
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = said;
    }
}

impl Store {
    /// Joins the processes on this store; whoever has not cannot claim anything. On a file nothing is to be joined.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn join(&self, new: NewMember) -> anyhow::Result<()> {
        if !self.place.is_server() || self.member.get().is_some() {
            return Ok(());
        }
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let member = OwnMember {
            // Positive, as numbers of rows are.
            id: i64::from_le_bytes(id) & i64::MAX,
            new,
            term: AtomicI64::new(NEVER_LED),
            heard: Mutex::new(Heard::now()),
            skew: AtomicI64::new(0),
        };
        self.say_alive(&member).await?;
        let statement = format!("DELETE FROM members WHERE alive_until < {NOW} - $1");
        let statement = sqlx::query(AssertSqlSafe(statement)).bind(DEAD_KEPT.num_microseconds().unwrap_or(i64::MAX));
        self.write(statement, "forget members").await?;
        // Set only here, and not twice.
        let _ = self.member.set(member);
        Ok(())
    }

    /// Whether this process has joined others.
    pub fn is_shared(&self) -> bool {
        self.member.get().is_some()
    }

    /// How often [`Store::renew`] is to be called; `None` where nobody joined.
    pub fn renew_every(&self) -> Option<Duration> {
        self.member.get().map(|member| member.new.lease / 4)
    }

    /// Says that this process lives.
    ///
    /// # Errors
    /// When the store cannot be written, or does not answer within the lease.
    pub async fn renew(&self) -> anyhow::Result<()> {
        let Some(member) = self.member.get() else { return Ok(()) };
        self.say_alive(member).await
    }

    async fn say_alive(&self, member: &OwnMember) -> anyhow::Result<()> {
        let OwnMember { id, new, .. } = member;
        let statement = format!(
            "INSERT INTO members (id, name, role, version, config, started_at, alive_until)
             VALUES ($1, $2, $3, $4, $5, {NOW}, {NOW} + $6)
             ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
             RETURNING alive_until - $6"
        );
        // Before it is sent: it counts from then on at the latest.
        let said = Heard::now();
        let row = sqlx::query_as(AssertSqlSafe(statement))
            .bind(*id)
            .bind(new.name.clone())
            .bind(new.role)
            .bind(new.version)
            .bind(new.config.clone())
            .bind(i64::try_from(new.lease.as_micros()).unwrap_or(i64::MAX))
            .fetch_one(&self.life);
        let row = tokio::time::timeout(new.lease, row).await;
        let (server_now,): (i64,) = row
            .map_err(|_| self.failed(&no_answer(new.lease), "say that this process lives"))?
            .map_err(|error| self.failed(&error, "say that this process lives"))?;
        member.hear(said, server_now);
        Ok(())
    }

    /// Whether nobody can have taken this process for dead: what it holds is still its own.
    pub fn is_alive(&self) -> bool {
        self.member.get().is_none_or(|member| {
            member.heard.lock().unwrap_or_else(PoisonError::into_inner).is_within(member.new.lease)
        })
    }

    /// Leaves the others: what this process held is free at once. Where that cannot be said, the lease says it soon.
    pub async fn leave(&self) {
        let Some(member) = self.member.get() else { return };
        member.term.store(LED_BEFORE, Ordering::Relaxed);
        for statement in [
            "UPDATE leader SET member = NULL WHERE member = $1",
            "UPDATE members SET alive_until = started_at WHERE id = $1",
        ] {
            if let Err(error) = self.write(sqlx::query(statement).bind(member.id), "leave").await {
                tracing::warn!("{error:#}");
                return;
            }
        }
    }

    /// Whether this process is the one that polls: it is, or nobody alive is and it now becomes the one.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn lead(&self) -> anyhow::Result<bool> {
        let Some(member) = self.member.get() else { return Ok(true) };
        let statement = format!(
            "UPDATE leader SET term = CASE WHEN member = $1 THEN term ELSE term + 1 END,
                    since = CASE WHEN member = $1 THEN since ELSE {NOW} END, member = $1
             WHERE member IS NULL OR member = $1 OR member NOT IN (SELECT id FROM members WHERE {ALIVE})
             RETURNING term"
        );
        let won: Option<(i64,)> = sqlx::query_as(AssertSqlSafe(statement))
            .bind(member.id)
            .fetch_optional(&self.writer)
            .await
            .map_err(|error| self.failed(&error, "become the one that polls"))?;
        let before = member.term.load(Ordering::Relaxed);
        let term = match won {
            Some((term,)) => term,
            None if before == NEVER_LED => NEVER_LED,
            None => LED_BEFORE,
        };
        member.term.store(term, Ordering::Relaxed);
        Ok(won.is_some())
    }

    /// Whether this process takes whom to watch and who is told from its configuration: the one that polls does, and each where
    /// nobody does.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn decides(&self) -> anyhow::Result<bool> {
        let Some(member) = self.member.get() else { return Ok(true) };
        if member.term.load(Ordering::Relaxed) > NEVER_LED {
            return Ok(true);
        }
        Ok(!self.members().await?.iter().any(|other| other.is_leader))
    }

    /// A transaction of the one that polls.
    ///
    /// # Errors
    /// [`Superseded`] when another has taken over; when the store cannot be written.
    pub(super) async fn begin_leading(&self) -> anyhow::Result<Work> {
        let mut work = self.begin_beside().await?;
        self.check_term(&mut work).await?;
        Ok(work)
    }

    /// One statement of the one that polls.
    pub(super) async fn write_leading(
        &self,
        statement: Query<'_, Any, AnyArguments>,
        what: &'static str,
    ) -> anyhow::Result<()> {
        let mut work = self.begin_leading().await?;
        statement.execute(&mut *work).await.map_err(|error| self.failed(&error, what))?;
        self.commit(work, what).await
    }

    /// Fails where this process led and another does now. Until the transaction ends nobody else can take over.
    pub(super) async fn check_term(&self, connection: &mut StoreConnection) -> anyhow::Result<()> {
        let Some(member) = self.member.get() else { return Ok(()) };
        let term = member.term.load(Ordering::Relaxed);
        if term == NEVER_LED {
            return Ok(());
        }
        let found: Option<(i64,)> =
            sqlx::query_as("SELECT term FROM leader WHERE id = 1 AND term = $1 AND member = $2 FOR SHARE")
                .bind(term)
                .bind(member.id)
                .fetch_optional(connection)
                .await
                .map_err(|error| self.failed(&error, "ask who polls"))?;
        if found.is_none() {
            member.term.store(LED_BEFORE, Ordering::Relaxed);
            return Err(Superseded.into());
        }
        Ok(())
    }

    /// Those alive, in the order in which they came.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn members(&self) -> anyhow::Result<Vec<MemberRow>> {
        if !self.place.is_server() {
            return Ok(Vec::new());
        }
        type Row = (String, String, String, String, i64, i64);
        let statement = format!(
            "SELECT name, role, version, config, started_at,
                    CASE WHEN EXISTS (SELECT 1 FROM leader WHERE member = members.id) THEN 1 ELSE 0 END
             FROM members WHERE {ALIVE} ORDER BY started_at, id"
        );
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(statement))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read who shares the store"))?;
        let members = rows.into_iter().map(|(name, role, version, config, started_at, is_leader)| MemberRow {
            name,
            role,
            version,
            config,
            started_at: from_micros(started_at),
            is_leader: is_leader != 0,
        });
        Ok(members.collect())
    }

    /// The number under which this process claims rows; `None` where it need not.
    pub(super) fn claimant(&self) -> Option<i64> {
        self.member.get().map(|member| member.id)
    }

    /// The condition that a row is in nobody's hands but ours; empty where nobody claims. Begins with ` AND`.
    pub(super) fn is_free(&self) -> String {
        self.claimant().map_or_else(String::new, |id| {
            format!(
                " AND (claimed_by IS NULL OR claimed_by = {id}
                       OR claimed_by NOT IN (SELECT id FROM members WHERE {ALIVE}))"
            )
        })
    }

    /// The condition that a row is in our hands; empty where nobody claims. Begins with ` AND`.
    pub(super) fn is_ours(&self) -> String {
        self.claimant().map_or_else(String::new, |id| format!(" AND claimed_by = {id}"))
    }

    /// What passes rows over that another is about to claim; empty where nobody claims.
    pub(super) fn skip_locked(&self) -> &'static str {
        if self.is_shared() { " FOR UPDATE SKIP LOCKED" } else { "" }
    }

    /// An instant of this machine's clock as the server would have it. The request budget is kept by one clock.
    pub(super) fn server_time(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let skew = self.member.get().map_or(0, |member| member.skew.load(Ordering::Relaxed));
        now + TimeDelta::microseconds(skew)
    }

    /// The other way.
    pub(super) fn own_time(&self, server: DateTime<Utc>) -> DateTime<Utc> {
        server - (self.server_time(server) - server)
    }
}
