//! What is PostgreSQL's own: how a session is set up, what its errors ask a person to do, and the news it carries from one
//! process to the others.

use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgListener;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Error};
use url::Url;

use super::connection::{Pool, StoreConnection, no_answer};
use super::{EARLIER_VERSION, MIGRATE, OpenError, Opening, Store, StorePlace, explain, explain_migration, schema_of};
use crate::fail_points::{self, Moment};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// Opens a transaction in which each statement sees what others have committed before it.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The same, once no other transaction of this kind is open on this schema.
pub(super) const BEGIN_ALONE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED;
    SELECT pg_advisory_xact_lock(hashtextextended('edgar-watch ' || current_schema(), 0))";

/// Opens a transaction that is not waited for to be on the disk. Those after it that are bring it there as well.
pub(super) const BEGIN_UNHURRIED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off";

/// The same for one statement: what it begins with, and what its list of tables does.
pub(super) const UNHURRIED: (&str, &str) =
    ("WITH unhurried AS (SELECT set_config('synchronous_commit', 'off', true)) ", "FROM unhurried ");

/// Opens a transaction that reads, and sees everything as it is at its first statement. It may rest while another store is read
/// or written.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// The server's time in microseconds. Members of one store are compared by this clock alone.
pub(super) const NOW: &str = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

/// Oldest version that is tested: older ones have no maintenance any more.
const OLDEST_VERSION: i64 = 140_000;

/// How long opening a connection may take.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a statement may take. The server is told less: it has the first word, and says why.
const STATEMENT_LIMIT: Duration = Duration::from_secs(35);
/// What every session is told. A process that is frozen within a transaction must not keep its locks for longer than the shortest
/// lease: another could not take over. One that waits for a lock must not wait for ever.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '25s';
    SET idle_in_transaction_session_timeout = '2s'; SET client_min_messages = 'error'";

/// SQLSTATEs (PostgreSQL documentation, appendix A) that a person can do something about, or that are told apart.
pub(super) const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_COLUMN: &str = "42703";
const READ_ONLY: &str = "25006";
const TOO_MANY_CONNECTIONS: &str = "53300";
const DISK_FULL: &str = "53100";
const NO_RIGHT: &str = "42501";
const NO_DATABASE: &str = "3D000";
const BAD_PASSWORD: &str = "28P01";
const BAD_USER: &str = "28000";

pub(super) async fn open(place: &StorePlace, opening: Opening) -> Result<Store, OpenError> {
    let unusable = |reason: String| OpenError::Unusable { place: place.clone(), reason };
    let broken = |reason: String| OpenError::Broken { place: place.clone(), reason };
    let failed = |error: &Error| {
        let is_for_a_person = sqlstate(error)
            .is_some_and(|code| [NO_RIGHT, NO_DATABASE, BAD_PASSWORD, BAD_USER].contains(&code.as_str()))
            || matches!(error, Error::Configuration(_) | Error::Tls(_));
        if is_for_a_person { broken(explain(error)) } else { unusable(explain(error)) }
    };
    let url = place.connect_url().map_err(broken)?;
    let options: AnyConnectOptions =
        with_defaults(url).as_str().parse().map_err(|error: Error| broken(error.to_string()))?;
    // The first connection is made by hand: the pool would try again until its time is up and hide the reason.
    let first = tokio::time::timeout(CONNECT_LIMIT, AnyConnection::connect_with(&options)).await;
    let mut first = match first {
        Ok(first) => first.map_err(|error| failed(&error))?,
        Err(_) => return Err(unusable(format!("no answer within {} s", CONNECT_LIMIT.as_secs()))),
    };
    let (version, encoding): (i64, String) = sqlx::query_as(
        "SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('server_encoding')",
    )
    .fetch_one(&mut first)
    .await
    .map_err(|error| failed(&error))?;
    if version < OLDEST_VERSION {
        return Err(broken(format!(
            "the server is PostgreSQL {}, {} or newer is needed",
            version / 10_000,
            OLDEST_VERSION / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(broken(format!("the database is encoded in {encoding}: create one in UTF8")));
    }
    let known = newest_schema();
    match schema_of(&mut first).await.map_err(|error| failed(&error))? {
        Some(found) if found > known => return Err(OpenError::Newer { place: place.clone(), found, known }),
        None if opening == Opening::Existing => return Err(OpenError::Absent { place: place.clone() }),
        Some(found) if found == known => {}
        found if opening == Opening::Make => {
            if let Some(found) = found {
                tracing::info!("the store has schema {found} and is brought up to date");
            }
            fail_points::pass(Moment::Before, MIGRATE);
            // Of several processes that come at once, the first does it and the others wait.
            let patient = AnyPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
            MIGRATIONS.run(&patient).await.map_err(|error| unusable(explain_migration(&error)))?;
            patient.close().await;
            fail_points::pass(Moment::After, MIGRATE);
        }
        _ => {}
    }
    first.close().await.map_err(|error| failed(&error))?;
    // One connection is kept for the word that this process lives, and one for news: neither waits for others' work.
    let n_shared = place.max_connections().saturating_sub(2).max(2);
    let pool_of = |n_connections| {
        let pool = AnyPoolOptions::new()
            .max_connections(n_connections)
            .acquire_timeout(CONNECT_LIMIT)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
            })
            .connect_lazy_with(options.clone());
        Pool::new(pool, options.clone(), Some(STATEMENT_LIMIT))
    };
    let (pool, writer, life) = (pool_of(n_shared.div_ceil(2)), pool_of(n_shared / 2), pool_of(1));
    Ok(Store::of(place, pool, writer, life))
}

pub(super) fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// What is not said in a URL: never in the clear to another machine, unless it says so.
fn with_defaults(mut url: Url) -> Url {
    let has = |name: &str| url.query_pairs().any(|(key, _)| key == name);
    let is_here = url.host_str().is_none_or(|host| {
        host == "localhost"
            || host.starts_with("%2F")
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    let (has_tls, has_name) = (has("sslmode") || has("ssl-mode"), has("application_name"));
    let is_socket = url.query_pairs().any(|(key, value)| key == "host" && value.starts_with('/'));
    if !has_tls {
        url.query_pairs_mut().append_pair("sslmode", if is_here || is_socket { "prefer" } else { "verify-full" });
    }
    if !has_name {
        url.query_pairs_mut().append_pair("application_name", "edgar-watch");
    }
    url
}

fn sqlstate(error: &Error) -> Option<String> {
    match error {
        Error::Database(error) => error.code().map(std::borrow::Cow::into_owned),
        _ => None,
    }
}

/// Whether the server has become one that nothing is written on: another may be the primary by now, and a new connection may
/// lead there.
pub(super) fn is_read_only(error: &Error) -> bool {
    sqlstate(error).is_some_and(|code| code == READ_ONLY)
}

/// What a person can do about the server's words.
pub(super) fn advice(error: &Error) -> Option<&'static str> {
    if matches!(error, Error::PoolTimedOut) {
        return Some(": every connection is in use, see store.max_connections");
    }
    let advice = match sqlstate(error)?.as_str() {
        READ_ONLY => ": the server is read-only, as a standby is; this goes on by itself once it takes writes",
        TOO_MANY_CONNECTIONS => ": lower store.max_connections, or let the server take more",
        DISK_FULL => ": make room on the server's disk",
        BAD_PASSWORD | BAD_USER => ": check the user, and store.password_file",
        NO_DATABASE => ": create it, as `createdb` does",
        NO_RIGHT => ": the user needs a schema of its own, or CREATE on this one",
        UNDEFINED_TABLE | UNDEFINED_COLUMN => EARLIER_VERSION,
        _ => return None,
    };
    Some(advice)
}

/// What processes on one store tell one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// There is mail to be sent.
    Mail,
    /// There are filings to be read.
    Filings,
    /// Something may have been missed: look at everything.
    Unknown,
}

impl News {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Filings => "filings",
            Self::Unknown => "",
        }
    }
}

/// Hears what other processes tell. What it misses, queues that are looked at every half minute still show.
#[derive(Debug)]
pub struct Listener {
    inner: PgListener,
}

impl Listener {
    /// The next news.
    ///
    /// # Errors
    /// When the connection is lost: listen anew.
    pub async fn next(&mut self) -> anyhow::Result<News> {
        let heard = self.inner.recv().await.map_err(|error| anyhow::anyhow!(explain(&error)))?;
        Ok([News::Mail, News::Filings]
            .into_iter()
            .find(|news| news.as_str() == heard.payload())
            .unwrap_or(News::Unknown))
    }
}

impl Store {
    /// Listens to the other processes on this store; `None` where it is a file, which one process works on.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn listen(&self) -> anyhow::Result<Option<Listener>> {
        if !self.place.is_server() {
            return Ok(None);
        }
        let url = with_defaults(self.place.connect_url().map_err(anyhow::Error::msg)?);
        let connected = tokio::time::timeout(CONNECT_LIMIT, async {
            let mut inner = PgListener::connect(url.as_str()).await?;
            let (schema,): (String,) = sqlx::query_as("SELECT current_schema()::text").fetch_one(&mut inner).await?;
            inner.listen(&format!("edgar-watch {schema}")).await?;
            Ok::<_, Error>(inner)
        });
        let inner = connected.await.map_err(|_| self.failed(&no_answer(CONNECT_LIMIT), "listen"))?;
        Ok(Some(Listener { inner: inner.map_err(|error| self.failed(&error, "listen"))? }))
    }

    /// Tells the other processes, once the transaction is through.
    pub(super) async fn tell(&self, connection: &mut StoreConnection, news: News) -> anyhow::Result<()> {
        if self.place.is_server() {
            sqlx::query("SELECT pg_notify('edgar-watch ' || current_schema(), $1)")
                .bind(news.as_str())
                .execute(connection)
                .await
                .map_err(|error| self.failed(&error, "tell the other processes"))?;
        }
        Ok(())
    }

    pub(super) async fn database_bytes(&self) -> anyhow::Result<u64> {
        let (bytes,): (i64,) = sqlx::query_as("SELECT pg_database_size(current_database())")
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error, "measure the store"))?;
        Ok(bytes.unsigned_abs())
    }

    /// Lets the server clear what was overwritten in the tables that know people.
    pub(super) async fn vacuum(&self) -> anyhow::Result<()> {
        for table in ["addresses", "subscriptions", "messages", "notices", "withheld", "facts", "bounces"] {
            // Names of our own.
            let statement = sqlx::query(AssertSqlSafe(format!("VACUUM {table}"))).persistent(false);
            self.write(statement, "let go of overwritten rows").await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(url: &str) -> String {
        with_defaults(Url::parse(url).expect("a URL")).query().unwrap_or_default().to_owned()
    }

    #[test]
    fn another_machine_is_not_spoken_to_in_the_clear_unasked() {
        assert_eq!(completed("postgres://ew@db.example.com/e"), "sslmode=verify-full&application_name=edgar-watch");
        assert_eq!(completed("postgres://ew@127.0.0.1/e"), "sslmode=prefer&application_name=edgar-watch");
        assert_eq!(completed("postgres://ew@%2Frun%2Fpostgresql/e"), "sslmode=prefer&application_name=edgar-watch");
        assert_eq!(
            completed("postgres:///e?host=/run/postgresql"),
            "host=/run/postgresql&sslmode=prefer&application_name=edgar-watch"
        );
        assert_eq!(
            completed("postgres://db/e?sslmode=disable&application_name=x"),
            "sslmode=disable&application_name=x"
        );
    }
}
