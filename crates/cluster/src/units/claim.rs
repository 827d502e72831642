//! Claims: which worker runs which unit, and since which fence.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{query, query_file};

use crate::{
    ConfigVersion, Error, UnitId, Worker, database::values::unsigned, worker::lease::LEASE,
};

/// A unit that this worker runs, until it releases it or loses the fence.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The unit.
    pub unit: UnitId,
    /// Its name.
    pub key: String,
    /// The mirror that it belongs to.
    pub mirror: String,
    /// The configuration that named it.
    pub config: ConfigVersion,
    /// Since when it was due.
    pub due_at: DateTime<Utc>,
    /// The number of this claim. Later claims of the unit have larger ones.
    pub fence: i64,
    /// Whether its former owner died, or lost its lease, while it ran it.
    pub is_takeover: bool,
    /// Whether a worker of another name ran it last: what this worker's own cache has of it may be
    /// old.
    pub was_other: bool,
    /// How many tags are behind, as it was released last.
    pub behind: u64,
    /// Since when its oldest tag is behind.
    pub lagging_since: Option<DateTime<Utc>>,
    /// When the last check began that found nothing behind.
    pub last_in_sync: Option<DateTime<Utc>>,
    /// When the last check began that compared everything.
    pub last_checked: Option<DateTime<Utc>>,
    claimed_at: Instant,
}

impl Claim {
    /// How long to wait before the first tag is moved or deleted. A former owner that stalled in
    /// the middle of such a request is not stopped by a fence: registries know none. It is given
    /// one lease.
    pub fn tags_wait_left(&self) -> Duration {
        match self.is_takeover {
            true => LEASE.saturating_sub(self.claimed_at.elapsed()),
            false => Duration::ZERO,
        }
    }

    /// What comes first: the order in which units are claimed.
    fn rank(&self) -> (bool, bool, Option<DateTime<Utc>>, DateTime<Utc>) {
        let lag = self.lagging_since;
        (self.was_other, lag.is_none(), lag, self.due_at)
    }

    /// The error of a write that found the claim over.
    pub(crate) fn fenced(&self, is_owned: bool) -> Result<(), Error> {
        is_owned.then_some(()).ok_or_else(|| self.fence_lost())
    }

    pub(crate) fn fence_lost(&self) -> Error {
        Error::FenceLost {
            unit: self.key.clone(),
        }
    }
}

impl Worker {
    /// Takes at most so many due units: those that ran here last first, then what lags longest,
    /// then what is due longest. None while the worker drains, or after its lease.
    ///
    /// A unit stays with the name that ran it last, while a worker of that name lives and does not
    /// drain, until it is overdue by its `steal_after`.
    pub async fn claim(&self, most: u32) -> Result<Vec<Claim>, Error> {
        let Some(config) = self.config().filter(|_| !self.lease_left().is_zero()) else {
            return Ok(Vec::new());
        };
        let claimed_at = Instant::now();
        let running: Vec<i64> = self.running().keys().map(|unit| unit.0).collect();
        let query = query_file!(
            "queries/claim.sql",
            self.id,
            config.0,
            i64::from(most),
            &running[..]
        );
        let rows = self.cluster.database.all("claim units", query).await?;
        let mut claims: Vec<Claim> = Vec::with_capacity(rows.len());
        claims.extend(rows.into_iter().map(|row| Claim {
            unit: UnitId(row.id),
            key: row.key,
            mirror: row.mirror,
            config: ConfigVersion(row.config),
            due_at: row.due_at,
            fence: row.fence,
            is_takeover: row.is_takeover,
            was_other: row.was_other,
            behind: unsigned(row.behind),
            lagging_since: row.lagging_since,
            last_in_sync: row.last_in_sync,
            last_checked: row.last_checked,
            claimed_at,
        }));
        let claimed = claims.iter().map(|claim| (claim.unit, claim.fence));
        self.running().extend(claimed);
        // The database changes rows in an order of its own.
        claims.sort_by_key(Claim::rank);
        Ok(claims)
    }

    /// Asks the database whether a claim still holds, for steps that must not be done twice.
    pub async fn holds(&self, claim: &Claim) -> Result<(), Error> {
        let query = query!(
            r#"SELECT EXISTS (
                 SELECT 1 FROM transship.units u JOIN transship.workers w ON w.id = u.worker
                 WHERE u.id = $1 AND u.worker = $2 AND u.fence = $3
                   AND transship.lives(w.lease_until)) AS "holds!""#,
            claim.unit.0,
            self.id,
            claim.fence
        );
        let row = self.database().one("check a claim", query).await?;
        claim.fenced(row.holds)
    }
}
