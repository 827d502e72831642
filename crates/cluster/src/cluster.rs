//! The database that the workers share.

use std::{sync::Arc, time::Duration};

use sqlx::query;

use crate::{
    Error, Settings,
    database::{Database, schema, values::seconds},
};

/// Connections for everything but renewals.
const CONNECTIONS: u32 = 4;

/// How long what nobody asks for any more is kept: workers that are gone, ended flights.
const KEEP_ENDED: Duration = Duration::from_secs(24 * 3600);

/// How long registries keep an upload session in which nothing happens.
const KEEP_UPLOADS: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a blob is remembered where it was sent to. It is a hint that saves bytes.
const KEEP_HELD: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long budgets, notices and older configurations are kept: a year, and a month to compare.
const KEEP_HISTORY: Duration = Duration::from_secs(400 * 24 * 3600);

/// The database that the workers share. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(crate) database: Database,
    /// A renewal never waits for other calls.
    pub(crate) renewals: Database,
    server: Arc<str>,
}

impl Cluster {
    /// Connects, and brings the schema `transship` up to date.
    ///
    /// Fails at once where the server cannot be reached: see [`Error::is_transient`].
    pub async fn open(settings: &Settings) -> Result<Self, Error> {
        let options = settings.options()?;
        let database = Database::new(options.clone(), CONNECTIONS);
        schema::open(&options, &database).await?;
        let server = database.server().into();
        Ok(Self {
            database,
            renewals: Database::new(options, 1),
            server,
        })
    }

    /// Host, port and database, without user and password.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Closes the connections. Workers leave before: see [`crate::Worker::leave`].
    pub async fn close(&self) {
        tokio::join!(self.database.close(), self.renewals.close());
    }

    /// Asks for a run of all units of a mirror, or of all units, as soon as a worker is free. A
    /// unit that runs at this moment runs again after that. Returns how many there are.
    pub async fn ask(&self, mirror: Option<&str>) -> Result<u64, Error> {
        let query = query!(
            "UPDATE transship.units
             SET asked_at = transship.clock(),
                 due_at = CASE WHEN worker IS NULL THEN least(due_at, transship.clock())
                               ELSE due_at END
             WHERE $1::text IS NULL OR mirror = $1",
            mirror
        );
        self.database.execute("ask for a run", query).await
    }

    /// Lets the live workers of a name end what they run and take nothing more. Returns how many
    /// there are. A worker that starts again under the name takes units again.
    pub async fn drain(&self, name: &str) -> Result<u64, Error> {
        let query = query!(
            "UPDATE transship.workers SET is_draining = true
             WHERE name = $1 AND transship.lives(lease_until)",
            name
        );
        self.database.execute("drain a worker", query).await
    }

    /// Deletes what nobody asks for any more. One worker an hour is enough.
    pub async fn sweep(&self, keep_runs: Duration) -> Result<(), Error> {
        let work = async {
            let mut transaction = self.database.begin().await?;
            query!(
                "WITH gone_runs AS (
                     DELETE FROM transship.runs
                     WHERE ended_at < transship.clock() - make_interval(secs => $1)
                 ), gone_workers AS (
                     DELETE FROM transship.workers w
                     WHERE w.lease_until < transship.clock() - make_interval(secs => $2)
                       AND NOT EXISTS (SELECT 1 FROM transship.units u WHERE u.worker = w.id)
                 ), gone_flights AS (
                     DELETE FROM transship.flights f
                     WHERE f.started_at < transship.clock() - make_interval(secs => $2)
                       AND NOT EXISTS (
                           SELECT 1 FROM transship.units u
                           WHERE u.id = f.unit AND u.fence = f.fence AND u.worker IS NOT NULL)
                 ), gone_uploads AS (
                     DELETE FROM transship.uploads
                     WHERE saved_at < transship.clock() - make_interval(secs => $3)
                 ), gone_held AS (
                     DELETE FROM transship.held
                     WHERE at < transship.clock() - make_interval(secs => $4)
                 )
                 DELETE FROM transship.quota_draws d
                 WHERE NOT EXISTS (
                     SELECT 1 FROM transship.workers w
                     WHERE w.id = d.worker AND transship.lives(w.lease_until))",
                seconds(keep_runs),
                seconds(KEEP_ENDED),
                seconds(KEEP_UPLOADS),
                seconds(KEEP_HELD)
            )
            .execute(transaction.run())
            .await?;
            query!(
                "WITH gone_budgets AS (
                     DELETE FROM transship.budgets
                     WHERE drawn_at < transship.clock() - make_interval(secs => $1)
                 ), gone_notices AS (
                     DELETE FROM transship.notices
                     WHERE kind = 'report'
                       AND sent_at < transship.clock() - make_interval(secs => $1)
                 )
                 DELETE FROM transship.configs c
                 WHERE c.published_at < transship.clock() - make_interval(secs => $1)
                   AND EXISTS (
                       SELECT 1 FROM transship.configs newer
                       WHERE newer.level = c.level AND newer.version > c.version)",
                seconds(KEEP_HISTORY)
            )
            .execute(transaction.run())
            .await?;
            transaction.commit().await
        };
        self.database.bounded("delete what has ended", work).await
    }
}
