//! Single-flight between workers: a large blob is sent to a registry once.

use std::time::Duration;

use sqlx::query;

use crate::{BlobKey, Claim, Error, SharedBlobs};

/// The smallest blob that is worth asking for. Sending a smaller one twice costs less than the
/// question.
pub const FLIGHT_MIN_BYTES: u64 = 8 << 20;

/// How long to wait before asking again for a blob that another worker sends.
pub const FLIGHT_POLL: Duration = Duration::from_secs(2);

/// Who sends a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flight {
    /// This claim: send it, then call [`SharedBlobs::land`] or [`SharedBlobs::abort_flight`]. It
    /// lasts as long as the claim.
    Lead,
    /// Nobody: the registry holds it. Mount it.
    Held {
        /// The repository to mount it from.
        repository: String,
    },
    /// Another claim. Ask again in [`FLIGHT_POLL`].
    Busy,
}

impl SharedBlobs {
    /// Asks who sends a blob.
    pub async fn begin_flight(&self, claim: &Claim, blob: &BlobKey) -> Result<Flight, Error> {
        let query = query!(
            r#"WITH owned AS (
                 SELECT id, fence FROM transship.units
                 WHERE id = $1 AND worker = $2 AND fence = $3 FOR SHARE
             ), known AS (
                 SELECT repository FROM transship.held
                 WHERE registry = $4 AND digest = $5
                 ORDER BY repository = $6 DESC, at DESC LIMIT 1
             ), led AS (
                 INSERT INTO transship.flights AS f (registry, digest, unit, fence, started_at)
                 SELECT $4::text, $5::text, owned.id, owned.fence, transship.clock() FROM owned
                 WHERE NOT EXISTS (SELECT 1 FROM known)
                 ON CONFLICT (registry, digest) DO UPDATE
                 SET unit = excluded.unit, fence = excluded.fence, started_at = excluded.started_at
                 WHERE f.unit = excluded.unit OR NOT EXISTS (
                     SELECT 1 FROM transship.units o JOIN transship.workers w ON w.id = o.worker
                     WHERE o.id = f.unit AND o.fence = f.fence AND transship.lives(w.lease_until))
                 RETURNING 1
             )
             SELECT EXISTS (SELECT 1 FROM owned) AS "is_owned!",
                 EXISTS (SELECT 1 FROM led) AS "is_led!",
                 (SELECT repository FROM known) AS held"#,
            claim.unit.0,
            self.worker.id,
            claim.fence,
            blob.registry,
            blob.digest,
            blob.repository
        );
        let row = self.worker.database().one("ask for a blob", query).await?;
        match (row.is_owned, row.held, row.is_led) {
            (false, _, _) => Err(claim.fence_lost()),
            (true, Some(repository), _) => Ok(Flight::Held { repository }),
            (true, None, true) => Ok(Flight::Lead),
            (true, None, false) => Ok(Flight::Busy),
        }
    }

    /// Reports a blob that was sent: others mount it from there.
    pub async fn land(&self, claim: &Claim, blob: &BlobKey) -> Result<(), Error> {
        let query = query!(
            r#"WITH owned AS (
                 SELECT id, fence FROM transship.units
                 WHERE id = $1 AND worker = $2 AND fence = $3 FOR SHARE
             ), stands AS (
                 INSERT INTO transship.held (registry, digest, repository, at)
                 SELECT $4::text, $5::text, $6::text, transship.clock() FROM owned
                 ON CONFLICT (registry, digest, repository) DO UPDATE SET at = excluded.at
             ), landed AS (
                 DELETE FROM transship.flights f USING owned
                 WHERE f.registry = $4 AND f.digest = $5
                   AND f.unit = owned.id AND f.fence = owned.fence
             )
             SELECT EXISTS (SELECT 1 FROM owned) AS "is_owned!""#,
            claim.unit.0,
            self.worker.id,
            claim.fence,
            blob.registry,
            blob.digest,
            blob.repository
        );
        let row = self.worker.database().one("report a blob", query).await?;
        claim.fenced(row.is_owned)
    }

    /// Gives up sending a blob: the next who asks sends it.
    pub async fn abort_flight(&self, claim: &Claim, blob: &BlobKey) -> Result<(), Error> {
        // It names its claim. One that is over has no flight, which is what is wanted.
        let query = query!(
            "DELETE FROM transship.flights f USING transship.units u
             WHERE f.registry = $4 AND f.digest = $5 AND f.unit = u.id AND f.fence = u.fence
               AND u.id = $1 AND u.worker = $2 AND u.fence = $3",
            claim.unit.0,
            self.worker.id,
            claim.fence,
            blob.registry,
            blob.digest
        );
        let ended = self
            .worker
            .database()
            .execute("give a blob up", query)
            .await;
        ended.map(|_| ())
    }

    /// Forgets that a repository holds a blob: the registry does not find it there.
    pub async fn forget_held(&self, blob: &BlobKey) -> Result<(), Error> {
        // No claim: what a registry lacks, it lacks for everybody, and to forget costs bytes at
        // worst.
        let query = query!(
            "DELETE FROM transship.held WHERE registry = $1 AND digest = $2 AND repository = $3",
            blob.registry,
            blob.digest,
            blob.repository
        );
        let forgotten = self.worker.database().execute("forget a blob", query).await;
        forgotten.map(|_| ())
    }
}
