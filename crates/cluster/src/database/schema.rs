//! The schema: what brings it up to date, and what refuses a newer one.

use sqlx::{
    ConnectOptions, Connection, PgConnection, migrate::Migrator, postgres::PgConnectOptions,
};
use tokio::time::timeout;

use crate::{
    Error,
    database::{CONNECT_TIMEOUT, Database, settings::label, unnamed::Unnamed},
};

/// One process migrates at a time. The number is arbitrary, and this program's own.
const LOCK: i64 = 0x7472_616e_7368_6970;

const OPERATION: &str = "open the schema";

/// What the schema goes through. sqlx's own way of running it takes a lock of the session, which a
/// pooler in transaction mode cannot give.
fn migrations() -> Migrator {
    sqlx::migrate!()
}

/// The version of the schema that this program reads and writes.
fn known() -> i64 {
    let versions = migrations().iter().map(|migration| migration.version).max();
    versions.unwrap_or(0)
}

/// Connects once, which shows what is wrong, and brings the schema up to date.
pub(crate) async fn open(options: &PgConnectOptions, database: &Database) -> Result<(), Error> {
    let server = label(options);
    let connected = match timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connected) => connected,
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    };
    let mut connection = connected.map_err(|error| Error::of_connect(&server, &error))?;
    let state = database.bounded(OPERATION, migrated(&mut connection)).await;
    // Whether it ends well changes nothing.
    let _ = timeout(CONNECT_TIMEOUT, connection.close()).await;
    match state? {
        State::UpToDate => Ok(()),
        State::Foreign => Err(Error::ForeignSchema { server }),
        State::Newer(found) => Err(Error::NewerSchema {
            server,
            found,
            known: known(),
        }),
    }
}

/// What a schema is, after all that can be done was done.
enum State {
    UpToDate,
    Newer(i64),
    Foreign,
}

/// Brings the schema up to date in one transaction. Readers that are up to date need no lock and no
/// right to change it.
async fn migrated(connection: &mut PgConnection) -> Result<State, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if version(&mut transaction).await? == Some(known()) {
        return Ok(State::UpToDate);
    }
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(Unnamed(&mut transaction))
        .await?;
    let found = match version(&mut transaction).await? {
        Some(found) if found > known() => return Ok(State::Newer(found)),
        Some(found) => found,
        None if !may_be_made(&mut transaction).await? => return Ok(State::Foreign),
        None => {
            make(&mut transaction).await?;
            0
        }
    };
    for migration in migrations()
        .iter()
        .filter(|migration| migration.version > found)
    {
        sqlx::raw_sql(migration.sql.clone())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO transship.migrations (version, name, applied_at) VALUES ($1, $2, now())",
        )
        .bind(migration.version)
        .bind(migration.description.as_ref())
        .execute(Unnamed(&mut transaction))
        .await?;
    }
    transaction.commit().await?;
    Ok(State::UpToDate)
}

/// The version of the schema. `None` if there is none.
async fn version(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    // The catalogs themselves: to_regclass() reads a cache, which may be as old as the transaction,
    // and so older than what another process has just made.
    let table = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_tables \
                 WHERE schemaname = 'transship' AND tablename = 'migrations')";
    let is_there: bool = sqlx::query_scalar(table)
        .fetch_one(Unnamed(&mut *connection))
        .await?;
    if !is_there {
        return Ok(None);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM transship.migrations";
    sqlx::query_scalar(newest)
        .fetch_one(Unnamed(connection))
        .await
        .map(Some)
}

/// Whether there is no schema of the name, or an empty one that an administrator made for it.
async fn may_be_made(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let tables = "SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class c \
                  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                  WHERE n.nspname = 'transship')";
    sqlx::query_scalar(tables)
        .fetch_one(Unnamed(connection))
        .await
}

async fn make(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // CREATE SCHEMA IF NOT EXISTS asks for the right to make one where there is one already.
    let schema = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace \
                  WHERE nspname = 'transship')";
    let is_there: bool = sqlx::query_scalar(schema)
        .fetch_one(Unnamed(&mut *connection))
        .await?;
    if !is_there {
        sqlx::raw_sql("CREATE SCHEMA transship")
            .execute(&mut *connection)
            .await?;
    }
    let table = "CREATE TABLE transship.migrations (version bigint PRIMARY KEY, \
                 name text NOT NULL, applied_at timestamptz NOT NULL)";
    sqlx::raw_sql(table).execute(connection).await?;
    Ok(())
}
