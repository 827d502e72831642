//! The connections: every call is one short transaction, bounded in time, that needs no session.

pub(crate) mod schema;
pub(crate) mod settings;
mod unnamed;
pub(crate) mod values;

use std::{future::Future, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool, Postgres, Transaction,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
    query::{Map, Query},
};
use tokio::time::timeout;

use crate::{Error, database::unnamed::Unnamed, error::is_away};

/// What a call may take, from the wait for a connection to the commit.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection is kept. After a failover, one to a server that only stands by ends with
/// it.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(600);

/// A pool of connections to one database.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    server: String,
    pool: PgPool,
}

/// A transaction whose statements have no name. Dropped without [`ShortTransaction::commit`],
/// nothing of it holds.
pub(crate) struct ShortTransaction(Transaction<'static, Postgres>);

impl ShortTransaction {
    /// Runs one statement.
    pub(crate) fn run(&mut self) -> Unnamed<'_> {
        Unnamed(&mut self.0)
    }

    /// Ends it. What it wrote holds.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        self.0.commit().await
    }
}

impl Database {
    /// A pool that connects once it is used.
    pub(crate) fn new(options: PgConnectOptions, connections: u32) -> Self {
        let server = settings::label(&options);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            // BEGIN finds out as well, and saves a round trip.
            .test_before_acquire(false)
            .max_lifetime(CONNECTION_LIFETIME)
            // A link that swallows everything must not keep a place of the pool.
            .after_release(|connection, _| Box::pin(answers(connection)))
            .connect_lazy_with(options);
        Self { server, pool }
    }

    /// Host, port and database.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    pub(crate) async fn close(&self) {
        // A peer that no longer answers is not waited for.
        let _ = timeout(CONNECT_TIMEOUT, self.pool.close()).await;
    }

    /// Begins a transaction. A connection that broke while it was idle is replaced.
    pub(crate) async fn begin(&self) -> Result<ShortTransaction, sqlx::Error> {
        // Only connections that were idle can have broken unseen, and no more of them.
        let mut spare = self.pool.options().get_max_connections();
        loop {
            match self.pool.begin().await {
                Err(sqlx::Error::PoolTimedOut) => return Err(sqlx::Error::PoolTimedOut),
                Err(error) if is_away(&error) && spare > 0 => spare -= 1,
                begun => return begun.map(ShortTransaction),
            }
        }
    }

    /// Bounds a piece of work in time, and names it in its errors.
    pub(crate) async fn bounded<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        match timeout(CALL_TIMEOUT, work).await {
            Ok(result) => result.map_err(|error| Error::of_use(operation, &self.server, &error)),
            Err(_) => {
                let seconds = CALL_TIMEOUT.as_secs();
                Err(Error::of_timeout(operation, &self.server, seconds))
            }
        }
    }

    /// All rows of a statement in a transaction of its own.
    pub(crate) async fn all<O, F>(
        &self,
        operation: &'static str,
        query: Map<'_, Postgres, F, PgArguments>,
    ) -> Result<Vec<O>, Error>
    where
        F: FnMut(PgRow) -> Result<O, sqlx::Error> + Send,
        O: Send + Unpin,
    {
        let work = async {
            let mut transaction = self.begin().await?;
            let rows = query.fetch_all(transaction.run()).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        self.bounded(operation, work).await
    }

    /// The row of a statement that has at most one, in a transaction of its own.
    pub(crate) async fn optional<O, F>(
        &self,
        operation: &'static str,
        query: Map<'_, Postgres, F, PgArguments>,
    ) -> Result<Option<O>, Error>
    where
        F: FnMut(PgRow) -> Result<O, sqlx::Error> + Send,
        O: Send + Unpin,
    {
        let work = async {
            let mut transaction = self.begin().await?;
            let row = query.fetch_optional(transaction.run()).await?;
            transaction.commit().await?;
            Ok(row)
        };
        self.bounded(operation, work).await
    }

    /// The one row of a statement in a transaction of its own.
    pub(crate) async fn one<O, F>(
        &self,
        operation: &'static str,
        query: Map<'_, Postgres, F, PgArguments>,
    ) -> Result<O, Error>
    where
        F: FnMut(PgRow) -> Result<O, sqlx::Error> + Send,
        O: Send + Unpin,
    {
        let row = self.optional(operation, query).await?;
        row.ok_or_else(|| Error::of_use(operation, &self.server, &sqlx::Error::RowNotFound))
    }

    /// Runs a statement in a transaction of its own, and counts the rows that it changed.
    pub(crate) async fn execute(
        &self,
        operation: &'static str,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, Error> {
        let work = async {
            let mut transaction = self.begin().await?;
            let done = query.execute(transaction.run()).await?;
            transaction.commit().await?;
            Ok(done.rows_affected())
        };
        self.bounded(operation, work).await
    }
}

/// Whether a connection that comes back to the pool still answers.
async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match timeout(CONNECT_TIMEOUT, connection.ping()).await {
        Ok(answer) => Ok(answer.is_ok()),
        Err(_) => Ok(false),
    }
}
