//! The request budget: one row that every process on this store takes from, a single statement a token.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::AssertSqlSafe;

use super::postgres::UNHURRIED;
use super::{Store, from_micros, shown, to_micros};
use crate::edgar::eastern::eastern_date;
use crate::edgar::pace::{BudgetFuture, Grant, Pace, Priority, RequestBudget};
use crate::fail_points::{self, Moment};

/// The name of taking a token.
const RESERVE: &str = "reserve a request";

/// What the budget looks like now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetState {
    /// All asking has stopped until then.
    pub blocked_until: Option<DateTime<Utc>>,
    /// Why.
    pub block_reason: String,
    /// The User-Agent that EDGAR refused.
    pub refused_user_agent: Option<String>,
    /// Requests made today, Eastern.
    pub n_today: i64,
}

/// A bucket that claims to be full only far in the future was written under another clock.
const LONGEST_QUEUE: TimeDelta = TimeDelta::minutes(5);
/// No Retry-After that is believed is longer: a block beyond that was written under another clock.
const LONGEST_BLOCK: TimeDelta = TimeDelta::hours(25);

fn is_blocked(until_micros: i64, now: DateTime<Utc>) -> bool {
    until_micros > to_micros(now) && until_micros < to_micros(now + LONGEST_BLOCK)
}

impl RequestBudget for Store {
    /// The bucket is kept as the instant at which it is full again (the generic cell rate algorithm): a token
    /// moves it on by one interval, and may be used as soon as it lies no further ahead than the burst allows.
    /// What is past takes a token only if it may be used at once; a statement that changes nothing says so.
    fn reserve<'a>(
        &'a self,
        pace: Pace,
        priority: Priority,
        user_agent: &'a str,
        now: DateTime<Utc>,
    ) -> BudgetFuture<'a, Grant> {
        Box::pin(async move {
            let now = self.server_time(now);
            // A bucket that is full later than this has others waiting; the one at work fills one request's time.
            let latest = match priority {
                Priority::Live => i64::MAX,
                Priority::Backfill => to_micros(now),
            };
            fail_points::pass(Moment::Before, RESERVE);
            // A server that crashes may forget the last few: it takes longer to come back than they last.
            let (unhurried, from_unhurried) = if self.place.is_server() { UNHURRIED } else { ("", "") };
            let statement = format!(
                "{unhurried}UPDATE request_budget SET
                    next_free_at = CASE
                        WHEN (blocked_until > $1 AND blocked_until < $6) OR refused_user_agent = $2 THEN next_free_at
                        WHEN next_free_at < $1 OR next_free_at > $3 THEN $1 + $4
                        ELSE next_free_at + $4 END,
                    n_today = CASE
                        WHEN (blocked_until > $1 AND blocked_until < $6) OR refused_user_agent = $2 THEN n_today
                        WHEN day = $5 THEN n_today + 1
                        ELSE 1 END,
                    day = CASE
                        WHEN (blocked_until > $1 AND blocked_until < $6) OR refused_user_agent = $2 THEN day
                        ELSE $5 END
                 {from_unhurried}WHERE id = 1 AND (next_free_at <= $7 OR next_free_at > $3 OR refused_user_agent = $2
                     OR (blocked_until > $1 AND blocked_until < $6))
                 RETURNING next_free_at, blocked_until, block_reason, refused_user_agent"
            );
            let row: Option<(i64, i64, String, String)> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(to_micros(now))
                .bind(user_agent.to_owned())
                .bind(to_micros(now + LONGEST_QUEUE))
                .bind(pace.interval().num_microseconds().unwrap_or(0))
                .bind(eastern_date(now).to_string())
                .bind(to_micros(now + LONGEST_BLOCK))
                .bind(latest)
                .fetch_optional(&self.writer)
                .await
                .map_err(|error| self.failed(&error, RESERVE))?;
            fail_points::pass(Moment::After, RESERVE);
            let Some(row) = row else { return self.wait_for_room(now).await };
            let (next_free_at, blocked_until, block_reason, refused) = row;
            if refused == user_agent {
                return Ok(Grant::UserAgentRefused);
            }
            if is_blocked(blocked_until, now) {
                let until = self.own_time(from_micros(blocked_until));
                return Ok(Grant::Blocked { until, reason: block_reason });
            }
            let may_go_at = from_micros(next_free_at) - pace.interval() - pace.tolerance();
            Ok(Grant::Go((may_go_at - now).to_std().unwrap_or(Duration::ZERO)))
        })
    }

    fn block<'a>(&'a self, until: DateTime<Utc>, reason: &'a str, now: DateTime<Utc>) -> BudgetFuture<'a, ()> {
        Box::pin(async move {
            let (until, now) = (self.server_time(until), self.server_time(now));
            // A block that ends later stays, unless it was written under a clock that ran ahead.
            let statement = sqlx::query(
                "UPDATE request_budget SET block_reason = $2,
                    blocked_until = CASE WHEN blocked_until > $1 AND blocked_until < $3 THEN blocked_until ELSE $1 END
                 WHERE id = 1",
            )
            .bind(to_micros(until))
            .bind(shown(reason))
            .bind(to_micros(now + LONGEST_BLOCK));
            self.write(statement, "remember a block").await?;
            Ok(())
        })
    }

    fn refuse_user_agent<'a>(&'a self, user_agent: Option<&'a str>) -> BudgetFuture<'a, ()> {
        Box::pin(async move {
            let statement = sqlx::query("UPDATE request_budget SET refused_user_agent = $1 WHERE id = 1")
                .bind(user_agent.unwrap_or_default().to_owned());
            self.write(statement, "remember a refused User-Agent").await?;
            Ok(())
        })
    }
}

impl Store {
    /// How long until nobody waits for a token.
    async fn wait_for_room(&self, now: DateTime<Utc>) -> anyhow::Result<Grant> {
        let (next_free_at,): (i64,) = sqlx::query_as("SELECT next_free_at FROM request_budget WHERE id = 1")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "read the request budget"))?;
        let wait = (from_micros(next_free_at) - now).to_std().unwrap_or_default();
        Ok(Grant::AskAgain(wait.max(Duration::from_millis(1))))
    }

    /// What the budget looks like now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn budget_state(&self, now: DateTime<Utc>) -> anyhow::Result<BudgetState> {
        let now = self.server_time(now);
        let row: (i64, String, String, String, i64) = sqlx::query_as(
            "SELECT blocked_until, block_reason, refused_user_agent, day, n_today FROM request_budget WHERE id = 1",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.failed(&error, "read the request budget"))?;
        let (blocked_until, block_reason, refused, day, n_today) = row;
        Ok(BudgetState {
            blocked_until: is_blocked(blocked_until, now).then(|| self.own_time(from_micros(blocked_until))),
            block_reason,
            refused_user_agent: Some(refused).filter(|refused| !refused.is_empty()),
            n_today: if day == eastern_date(now).to_string() { n_today } else { 0 },
        })
    }
}
