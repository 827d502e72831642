//! What clients pull through the gateway, and what is known of a tag that they ask for.

mod demand;
mod pulls;

pub use demand::DemandRecord;
pub use pulls::{
    HourOfPulls, ImagePulls, PullCounts, PullResult, PullSums, RefusalReason, RefusedPulls,
};

use bytes::Bytes;
use futures::TryStreamExt as _;
use sqlx::{SqliteConnection, query};

use crate::{
    oci::{Digest, Manifest, Repository, Tag, Version},
    store::{Error, Store, digest},
};

/// How long, in seconds, a manifest is kept that was pulled through.
const PENDING: i64 = 7 * 24 * 3600;
/// Most manifests that are searched for a blob of one repository.
const SEARCHED: i64 = 64;
/// Most bytes of these.
const SEARCHED_BYTES: usize = 8 << 20;

/// What a client pulled.
#[derive(Clone, Debug)]
pub enum PulledContent {
    /// An image that no entry mirrors.
    Image {
        /// The source repository.
        repository: Repository,
        /// Its tag, or its digest where it was pulled by no tag.
        version: Version,
        /// How often.
        pulls: i64,
        /// When it was last.
        at: i64,
    },
    /// Such an image, of which nothing is left.
    Left {
        /// The source repository.
        repository: Repository,
        /// Its tag or digest.
        version: Version,
        /// When nobody had pulled it any more.
        since: i64,
    },
    /// What became of pulls of an image since the last time.
    Counted(ImagePulls),
    /// What became of pulls of a repository in an hour, since the last time.
    Hour(HourOfPulls),
    /// Pulls that a rule refused since the last time.
    Refused(RefusedPulls),
    /// A manifest that is not at the target yet.
    Manifest {
        /// The source repository.
        repository: Repository,
        /// The manifest.
        manifest: Manifest,
        /// When.
        at: i64,
    },
}

/// What is known of a tag at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagCheck {
    /// The source's digest when it was last looked at.
    pub seen: Option<Digest>,
    /// The source's digest that was mirrored last.
    pub source: Option<Digest>,
    /// What was written for it.
    pub written: Option<Digest>,
    /// When the source was last asked.
    pub checked_at: i64,
}

impl PulledContent {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Image {
                repository,
                version,
                pulls,
                at,
            } => demand::write(db, repository, version, *pulls, *at).await,
            Self::Left {
                repository,
                version,
                since,
            } => demand::forget(db, repository, version, *since).await,
            Self::Counted(pulls) => pulls.write(db).await,
            Self::Hour(pulls) => pulls.write(db).await,
            Self::Refused(pulls) => pulls.write(db).await,
            Self::Manifest {
                repository,
                manifest,
                at,
            } => {
                let oldest = at - PENDING;
                query!("DELETE FROM pending_manifests WHERE pulled_at < ?", oldest)
                    .execute(&mut *db)
                    .await?;
                let (repository, digest) = (repository.to_string(), manifest.digest.as_str());
                let (media_type, body) = (&manifest.media_type, manifest.bytes.as_ref());
                query!(
                    "INSERT OR REPLACE INTO pending_manifests
                         (repository, digest, media_type, body, pulled_at)
                     VALUES (?, ?, ?, ?, ?)",
                    repository,
                    digest,
                    media_type,
                    body,
                    at
                )
                .execute(db)
                .await?;
                Ok(())
            }
        }
    }
}

impl Store {
    /// A manifest that was pulled through, if it is kept.
    pub async fn pending_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Manifest>, Error> {
        let (repository, name) = (repository.to_string(), digest.as_str());
        let row = query!(
            "SELECT media_type, body FROM pending_manifests WHERE repository = ? AND digest = ?",
            repository,
            name
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| Manifest {
            media_type: row.media_type,
            bytes: Bytes::from(row.body),
            digest: digest.clone(),
        }))
    }

    /// The manifests of a repository that were pulled through, the latest first.
    pub async fn pending_manifests(&self, repository: &Repository) -> Result<Vec<Manifest>, Error> {
        let repository = repository.to_string();
        let mut rows = query!(
            "SELECT media_type, body, digest FROM pending_manifests WHERE repository = ?
             ORDER BY pulled_at DESC LIMIT ?",
            repository,
            SEARCHED
        )
        .fetch(&self.readers);
        let (mut manifests, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await.map_err(|e| self.read_error(e))? {
            bytes += row.body.len();
            if bytes > SEARCHED_BYTES {
                break;
            }
            let Ok(digest) = row.digest.parse() else {
                continue;
            };
            manifests.push(Manifest {
                media_type: row.media_type,
                bytes: Bytes::from(row.body),
                digest,
            });
        }
        Ok(manifests)
    }

    /// What is known of a tag at a target. A run that compared all of its mirror's source has looked
    /// at the tag, whether or not it had anything to write down.
    pub async fn tag_check(
        &self,
        target: &Repository,
        tag: &Tag,
    ) -> Result<Option<TagCheck>, Error> {
        let (registry, path, tag) = (target.registry().as_str(), target.path(), tag.as_str());
        let row = query!(
            r#"SELECT seen_digest, source_digest, written_digest,
                    MAX(checked_at, CASE WHEN is_released OR is_orphaned THEN 0 ELSE COALESCE((
                        SELECT MAX(started_at) FROM runs
                        WHERE runs.mirror = tags.mirror AND is_checked AND image IS NULL
                    ), 0) END) AS "checked_at!: i64"
             FROM tags JOIN repositories ON repositories.id = repository_id
             WHERE registry = ? AND path = ? AND tag = ? AND damaged_at IS NULL"#,
            registry,
            path,
            tag
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| TagCheck {
            seen: digest(Some(row.seen_digest)),
            source: digest(row.source_digest),
            written: digest(row.written_digest),
            checked_at: row.checked_at,
        }))
    }
}
