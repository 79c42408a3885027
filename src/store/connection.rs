//! Connections to the store. A file answers or fails; a server may do neither: on a connection to one every statement has a
//! time limit, and a connection that did not keep it is thrown away.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use sqlx::any::{AnyConnectOptions, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Describe, Either, Error, Execute, Executor, SqlStr};

use super::postgres::{CONNECT_LIMIT, is_read_only};

type Outcome = Result<Either<AnyQueryResult, AnyRow>, Error>;

/// Connections that are used again.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pool: AnyPool,
    options: AnyConnectOptions,
    /// How long a statement may take; a file needs no limit.
    limit: Option<Duration>,
}

/// One connection, returned to its pool when dropped.
#[derive(Debug)]
pub(super) struct StoreConnection {
    /// Always there but while it is dropped.
    inner: Option<PoolConnection<Any>>,
    limit: Option<Duration>,
    is_lost: AtomicBool,
}

/// A transaction: undone when dropped.
#[derive(Debug)]
pub(super) struct Work {
    connection: StoreConnection,
    is_over: bool,
}

/// An error that says how long nobody answered.
pub(super) fn no_answer(limit: Duration) -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs())))
}

impl Pool {
    pub(super) fn new(pool: AnyPool, options: AnyConnectOptions, limit: Option<Duration>) -> Self {
        Self { pool, options, limit }
    }

    pub(super) async fn acquire(&self) -> Result<StoreConnection, Error> {
        match self.pool.acquire().await {
            Ok(inner) => Ok(StoreConnection { inner: Some(inner), limit: self.limit, is_lost: AtomicBool::new(false) }),
            Err(Error::PoolTimedOut) => Err(self.why_none().await),
            Err(error) => Err(error),
        }
    }

    /// The connections themselves, for what knows no limits: bringing a schema up to date.
    pub(super) fn unlimited(&self) -> &AnyPool {
        &self.pool
    }

    /// Opens a transaction with a statement of one's own.
    pub(super) async fn begin(&self, statement: &'static str) -> Result<Work, Error> {
        let connection = self.acquire().await?;
        // From here on: whoever gives up while it begins leaves nothing begun behind.
        let mut work = Work { connection, is_over: false };
        sqlx::raw_sql(statement).execute(&mut *work).await?;
        Ok(work)
    }

    /// A pool says that its patience is at an end, and not what kept it from connecting.
    async fn why_none(&self) -> Error {
        if self.limit.is_none() {
            return Error::PoolTimedOut;
        }
        let limit = CONNECT_LIMIT;
        match tokio::time::timeout(limit, AnyConnection::connect_with(&self.options)).await {
            Ok(Ok(connection)) => {
                // It was only asked for to hear the reason.
                drop(connection.close_hard().await);
                Error::PoolTimedOut
            }
            Ok(Err(error)) => error,
            Err(_) => no_answer(limit),
        }
    }

    pub(super) async fn close(&self) {
        let closed = self.pool.close();
        match self.limit {
            // Whoever does not answer is left.
            Some(limit) => drop(tokio::time::timeout(limit, closed).await),
            None => closed.await,
        }
    }
}

impl StoreConnection {
    fn inner(&mut self) -> &mut AnyConnection {
        let Some(inner) = self.inner.as_mut() else { unreachable!("it is taken out only when dropped") };
        inner
    }
}

impl Drop for StoreConnection {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take()
            && self.is_lost.load(Ordering::Relaxed)
        {
            // In the pool it would be waited for, and hold a place there.
            drop(inner.detach());
        }
    }
}

impl Work {
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        // Whether it is done is not known where no answer comes; it is not undone by us, in any case.
        self.is_over = true;
        let done = sqlx::raw_sql("COMMIT").execute(&mut *self).await;
        // One whose transaction may still be open is of no use to others.
        self.connection.is_lost.fetch_or(done.is_err(), Ordering::Relaxed);
        done.map(drop)
    }
}

impl Deref for Work {
    type Target = StoreConnection;

    fn deref(&self) -> &StoreConnection {
        &self.connection
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut StoreConnection {
        &mut self.connection
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.is_over || self.connection.is_lost.load(Ordering::Relaxed) {
            return;
        }
        let Some(inner) = self.connection.inner.take() else { return };
        let limit = self.connection.limit;
        let mut connection = StoreConnection { inner: Some(inner), limit, is_lost: AtomicBool::new(false) };
        let undo = async move {
            let done = sqlx::raw_sql("ROLLBACK").execute(&mut connection).await;
            connection.is_lost.fetch_or(done.is_err(), Ordering::Relaxed);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(undo)),
            // The program ends: what closes its connections undoes what they had begun.
            Err(_) => drop(undo),
        }
    }
}

impl<'c> Executor<'c> for &'c mut StoreConnection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Outcome>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let StoreConnection { inner, limit, is_lost } = self;
        let Some(inner) = inner.as_mut() else { unreachable!("it is taken out only when dropped") };
        let outcomes = (&mut **inner).fetch_many(query);
        let Some(limit) = *limit else { return outcomes };
        let is_lost: &AtomicBool = is_lost;
        let limited = stream::unfold(Some(outcomes), move |outcomes| async move {
            let mut outcomes = outcomes?;
            match tokio::time::timeout(limit, outcomes.next()).await {
                Ok(outcome) => {
                    let leads_astray = matches!(&outcome, Some(Err(error)) if is_read_only(error));
                    is_lost.fetch_or(leads_astray, Ordering::Relaxed);
                    outcome.map(|outcome| (outcome, Some(outcomes)))
                }
                Err(_) => {
                    is_lost.store(true, Ordering::Relaxed);
                    Some((Err(no_answer(limit)), None))
                }
            }
        });
        limited.boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let StoreConnection { inner, limit, is_lost } = self;
        let Some(inner) = inner.as_mut() else { unreachable!("it is taken out only when dropped") };
        let row = (&mut **inner).fetch_optional(query);
        let Some(limit) = *limit else { return row };
        let limited = async move {
            let row = tokio::time::timeout(limit, row).await;
            let is_of_no_use = row.as_ref().map_or(true, |row| row.as_ref().is_err_and(is_read_only));
            is_lost.fetch_or(is_of_no_use, Ordering::Relaxed);
            row.unwrap_or_else(|_| Err(no_answer(limit)))
        };
        limited.boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        self.inner().prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'c: 'e,
    {
        self.inner().describe(sql)
    }
}

/// For a statement that is all there is to do: it takes a connection for as long as it lasts.
impl<'p> Executor<'p> for &'p Pool {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Outcome>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let outcomes = async move {
            let outcomes: Vec<Outcome> = match self.acquire().await {
                Ok(mut connection) => connection.fetch_many(query).collect().await,
                Err(error) => vec![Err(error)],
            };
            stream::iter(outcomes)
        };
        outcomes.flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        async move { self.acquire().await?.fetch_optional(query).await }.boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.describe(sql).await }.boxed()
    }
}
