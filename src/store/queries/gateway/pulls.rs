//! What became of pulls: by image, by hour, and those that a rule refused. All of it is bounded, and
//! none of it says who pulled.

use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, query, query_as};

use super::demand::{version, version_text};
use crate::{
    oci::{Repository, Version},
    store::{Error, Store},
};

const HOUR: i64 = 3600;
/// How long, in seconds, the pulls of an hour are kept.
const HOURS_KEPT: i64 = 32 * 24 * HOUR;
/// Most images and refusals that are kept.
const IMAGES: i64 = 5000;
const REFUSALS: i64 = 500;

/// What became of a pull that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PullResult {
    /// From memory, the store or the target.
    Hit,
    /// From a download that another client began.
    Coalesced,
    /// From the upstream.
    Miss,
    /// From the copy, for the upstream failed.
    Stale,
}

/// Why a rule refused a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// `deny` names it.
    Denied,
    /// Nothing names it.
    NotListed,
    /// Nothing names its registry.
    UnknownRegistry,
}

impl PullResult {
    const ALL: [Self; 4] = [Self::Hit, Self::Coalesced, Self::Miss, Self::Stale];

    fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Coalesced => "coalesced",
            Self::Miss => "miss",
            Self::Stale => "stale",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

impl RefusalReason {
    const ALL: [Self; 3] = [Self::Denied, Self::NotListed, Self::UnknownRegistry];

    fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::NotListed => "not_listed",
            Self::UnknownRegistry => "unknown_registry",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// How many pulls ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullCounts {
    /// Answered from memory, the store or the target.
    pub hits: i64,
    /// Answered from a download that another client began.
    pub coalesced: i64,
    /// Answered from the upstream.
    pub misses: i64,
    /// Answered from the copy, for the upstream failed.
    pub stale: i64,
    /// Not answered, for the upstream or the target failed.
    pub failed: i64,
}

impl PullCounts {
    /// All that were answered.
    pub fn served(&self) -> i64 {
        self.hits + self.coalesced + self.misses + self.stale
    }
}

/// Pulls of one image. In an event those since the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePulls {
    /// The source repository.
    pub repository: Repository,
    /// Its tag, or its digest where it was pulled by no tag.
    pub version: Version,
    /// When it was pulled first and last, in seconds since 1970.
    pub first_pull: i64,
    /// See `first_pull`.
    pub last_pull: i64,
    /// What became of the pulls. Failures are counted by repository only.
    pub counts: PullCounts,
    /// What became of the last one.
    pub outcome: Option<PullResult>,
    /// Why the last stale copy was served.
    pub why: Option<String>,
}

/// Pulls of a repository in an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourOfPulls {
    /// The source repository.
    pub repository: Repository,
    /// A time in the hour, in seconds since 1970.
    pub at: i64,
    /// The pulls.
    pub counts: PullCounts,
    /// Blob bytes received from the upstream.
    pub upstream_bytes: i64,
    /// Blob bytes sent to clients.
    pub client_bytes: i64,
}

/// Pulls of a repository that a rule refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPulls {
    /// The source repository.
    pub repository: Repository,
    /// The rule.
    pub reason: RefusalReason,
    /// The first and the last of them, in seconds since 1970.
    pub first_at: i64,
    /// See `first_at`.
    pub last_at: i64,
    /// How many.
    pub refusals: i64,
}

/// Pulls of some time, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullSums {
    /// What became of them.
    #[serde(flatten)]
    pub counts: PullCounts,
    /// Blob bytes received from upstreams.
    pub upstream_bytes: i64,
    /// Blob bytes sent to clients.
    pub client_bytes: i64,
}

impl PullSums {
    /// Bytes that no upstream had to send.
    pub fn saved_bytes(&self) -> i64 {
        (self.client_bytes - self.upstream_bytes).max(0)
    }
}

impl ImagePulls {
    pub(super) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let (repository, version) = (self.repository.to_string(), version_text(&self.version));
        let PullCounts {
            hits,
            coalesced,
            misses,
            stale,
            ..
        } = self.counts;
        let outcome = self.outcome.map_or("", PullResult::as_str);
        query!(
            "INSERT INTO pulled_images (repository, version, first_pull, last_pull,
                 hits, coalesced, misses, stale, outcome, why)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (repository, version) DO UPDATE SET
                 last_pull = MAX(last_pull, excluded.last_pull),
                 hits = hits + excluded.hits, coalesced = coalesced + excluded.coalesced,
                 misses = misses + excluded.misses, stale = stale + excluded.stale,
                 outcome = excluded.outcome, why = COALESCE(excluded.why, why)",
            repository,
            version,
            self.first_pull,
            self.last_pull,
            hits,
            coalesced,
            misses,
            stale,
            outcome,
            self.why
        )
        .execute(&mut *db)
        .await?;
        query!(
            "DELETE FROM pulled_images WHERE last_pull <
                 (SELECT last_pull FROM pulled_images ORDER BY last_pull DESC LIMIT 1 OFFSET ?)",
            IMAGES
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

impl HourOfPulls {
    pub(super) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let (hour, oldest) = (self.at - self.at.rem_euclid(HOUR), self.at - HOURS_KEPT);
        let repository = self.repository.to_string();
        let PullCounts {
            hits,
            coalesced,
            misses,
            stale,
            failed,
        } = self.counts;
        query!("DELETE FROM pull_hours WHERE hour < ?", oldest)
            .execute(&mut *db)
            .await?;
        query!(
            "INSERT INTO pull_hours (hour, repository, hits, coalesced, misses, stale, failed,
                 upstream_bytes, client_bytes)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (hour, repository) DO UPDATE SET
                 hits = hits + excluded.hits, coalesced = coalesced + excluded.coalesced,
                 misses = misses + excluded.misses, stale = stale + excluded.stale,
                 failed = failed + excluded.failed,
                 upstream_bytes = upstream_bytes + excluded.upstream_bytes,
                 client_bytes = client_bytes + excluded.client_bytes",
            hour,
            repository,
            hits,
            coalesced,
            misses,
            stale,
            failed,
            self.upstream_bytes,
            self.client_bytes
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

impl RefusedPulls {
    pub(super) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let (repository, reason) = (self.repository.to_string(), self.reason.as_str());
        query!(
            "INSERT INTO refused_pulls (repository, reason, first_at, last_at, refusals)
             VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (repository, reason) DO UPDATE SET
                 last_at = MAX(last_at, excluded.last_at), refusals = refusals + excluded.refusals",
            repository,
            reason,
            self.first_at,
            self.last_at,
            self.refusals
        )
        .execute(&mut *db)
        .await?;
        query!(
            "DELETE FROM refused_pulls WHERE last_at <
                 (SELECT last_at FROM refused_pulls ORDER BY last_at DESC LIMIT 1 OFFSET ?)",
            REFUSALS
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// A row of `pulled_images`.
struct PulledImageRow {
    repository: String,
    version: String,
    first_pull: i64,
    last_pull: i64,
    hits: i64,
    coalesced: i64,
    misses: i64,
    stale: i64,
    outcome: String,
    why: Option<String>,
}

impl PulledImageRow {
    /// What it says; none where a name in it cannot be read.
    fn read(self) -> Option<ImagePulls> {
        Some(ImagePulls {
            repository: self.repository.parse().ok()?,
            version: version(&self.version)?,
            first_pull: self.first_pull,
            last_pull: self.last_pull,
            counts: PullCounts {
                hits: self.hits,
                coalesced: self.coalesced,
                misses: self.misses,
                stale: self.stale,
                failed: 0,
            },
            outcome: PullResult::parse(&self.outcome),
            why: self.why,
        })
    }
}

impl Store {
    /// What became of pulls of an image.
    pub async fn image_pulls(
        &self,
        repository: &Repository,
        tag: &Version,
    ) -> Result<Option<ImagePulls>, Error> {
        let (name, tag) = (repository.to_string(), version_text(tag));
        let row = query_as!(
            PulledImageRow,
            "SELECT * FROM pulled_images WHERE repository = ? AND version = ?",
            name,
            tag
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.and_then(PulledImageRow::read))
    }

    /// The images that were pulled most since then, and how many there are in all.
    pub async fn top_pulls(&self, since: i64, most: i64) -> Result<(Vec<ImagePulls>, i64), Error> {
        let all = query!(
            r#"SELECT COUNT(*) AS "count!: i64" FROM pulled_images WHERE last_pull >= ?"#,
            since
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = query_as!(
            PulledImageRow,
            "SELECT * FROM pulled_images WHERE last_pull >= ?
             ORDER BY hits + coalesced + misses + stale DESC, repository, version LIMIT ?",
            since,
            most
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let images = rows.into_iter().filter_map(PulledImageRow::read);
        Ok((images.collect(), all.count))
    }

    /// All pulls since then, of one repository or of all.
    pub async fn pull_sums(
        &self,
        since: i64,
        repository: Option<&Repository>,
    ) -> Result<PullSums, Error> {
        let hour = since - since.rem_euclid(HOUR);
        let repository = repository.map(ToString::to_string);
        let row = query!(
            r#"SELECT COALESCE(SUM(hits), 0) AS "hits!: i64",
                   COALESCE(SUM(coalesced), 0) AS "coalesced!: i64",
                   COALESCE(SUM(misses), 0) AS "misses!: i64",
                   COALESCE(SUM(stale), 0) AS "stale!: i64",
                   COALESCE(SUM(failed), 0) AS "failed!: i64",
                   COALESCE(SUM(upstream_bytes), 0) AS "upstream_bytes!: i64",
                   COALESCE(SUM(client_bytes), 0) AS "client_bytes!: i64"
               FROM pull_hours WHERE hour >= ?1 AND (?2 IS NULL OR repository = ?2)"#,
            hour,
            repository
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(PullSums {
            counts: PullCounts {
                hits: row.hits,
                coalesced: row.coalesced,
                misses: row.misses,
                stale: row.stale,
                failed: row.failed,
            },
            upstream_bytes: row.upstream_bytes,
            client_bytes: row.client_bytes,
        })
    }

    /// Refused pulls since then, of one repository or of all, the most refused first, and how many
    /// rows there are in all.
    pub async fn refused_pulls(
        &self,
        since: i64,
        repository: Option<&Repository>,
        most: i64,
    ) -> Result<(Vec<RefusedPulls>, i64), Error> {
        let repository = repository.map(ToString::to_string);
        let all = query!(
            r#"SELECT COUNT(*) AS "count!: i64" FROM refused_pulls
               WHERE last_at >= ?1 AND (?2 IS NULL OR repository = ?2)"#,
            since,
            repository
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = query!(
            "SELECT * FROM refused_pulls WHERE last_at >= ?1 AND (?2 IS NULL OR repository = ?2)
             ORDER BY refusals DESC, repository LIMIT ?3",
            since,
            repository,
            most
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let refused = rows.into_iter().filter_map(|row| {
            Some(RefusedPulls {
                repository: row.repository.parse().ok()?,
                reason: RefusalReason::parse(&row.reason)?,
                first_at: row.first_at,
                last_at: row.last_at,
                refusals: row.refusals,
            })
        });
        Ok((refused.collect(), all.count))
    }
}
