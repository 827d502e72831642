//! What clients pull through the gateway, and what is known of a tag that they ask for.

use bytes::Bytes;
use sqlx::{Row as _, SqliteConnection, query};

use crate::{
    oci::{Digest, Manifest, Repository, Tag},
    store::{Error, Store, digest},
};

/// How long, in seconds, a manifest is kept that was pulled through.
const PENDING: i64 = 7 * 24 * 3600;
/// Most manifests that are searched for a blob of one repository.
const SEARCHED: i64 = 64;

/// What a client pulled.
#[derive(Clone, Debug)]
pub enum PulledContent {
    /// An image that no entry mirrors.
    Image {
        /// The source repository.
        repository: Repository,
        /// Its tag.
        tag: Tag,
        /// How often.
        pulls: i64,
        /// When it was last.
        at: i64,
    },
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
                tag,
                pulls,
                at,
            } => {
                query(
                    "INSERT INTO demand (repository, tag, first_pull, last_pull, pulls)
                     VALUES (?1, ?2, ?3, ?3, ?4)
                     ON CONFLICT (repository, tag) DO UPDATE SET
                         last_pull = MAX(last_pull, excluded.last_pull),
                         pulls = pulls + excluded.pulls",
                )
                .bind(repository.to_string())
                .bind(tag.as_str())
                .bind(at)
                .bind(pulls)
                .execute(db)
                .await?;
            }
            Self::Manifest {
                repository,
                manifest,
                at,
            } => {
                query("DELETE FROM pending_manifests WHERE pulled_at < ?")
                    .bind(at - PENDING)
                    .execute(&mut *db)
                    .await?;
                query(
                    "INSERT OR REPLACE INTO pending_manifests
                         (repository, digest, media_type, body, pulled_at)
                     VALUES (?, ?, ?, ?, ?)",
                )
                .bind(repository.to_string())
                .bind(manifest.digest.as_str())
                .bind(&manifest.media_type)
                .bind(manifest.bytes.as_ref())
                .bind(at)
                .execute(db)
                .await?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Images that were pulled since then and that no entry mirrored at the time, the first pulled
    /// first.
    pub async fn demand(&self, since: i64) -> Result<Vec<(Repository, Tag)>, Error> {
        let rows = query(
            "SELECT repository, tag FROM demand WHERE last_pull >= ? ORDER BY first_pull, tag",
        )
        .bind(since)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let image = |row: &sqlx::sqlite::SqliteRow| {
            let (repository, tag): (String, String) = (row.get(0), row.get(1));
            Some((repository.parse().ok()?, tag.parse().ok()?))
        };
        Ok(rows.iter().filter_map(image).collect())
    }

    /// A manifest that was pulled through, if it is kept.
    pub async fn pending_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Manifest>, Error> {
        let row = query(
            "SELECT media_type, body FROM pending_manifests WHERE repository = ? AND digest = ?",
        )
        .bind(repository.to_string())
        .bind(digest.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| Manifest {
            media_type: row.get(0),
            bytes: Bytes::from(row.get::<Vec<u8>, _>(1)),
            digest: digest.clone(),
        }))
    }

    /// The manifests of a repository that were pulled through, the latest first.
    pub async fn pending_manifests(&self, repository: &Repository) -> Result<Vec<Manifest>, Error> {
        let rows = query(
            "SELECT media_type, body, digest FROM pending_manifests WHERE repository = ?
             ORDER BY pulled_at DESC LIMIT ?",
        )
        .bind(repository.to_string())
        .bind(SEARCHED)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let manifest = |row: &sqlx::sqlite::SqliteRow| {
            Some(Manifest {
                media_type: row.get(0),
                bytes: Bytes::from(row.get::<Vec<u8>, _>(1)),
                digest: row.get::<String, _>(2).parse().ok()?,
            })
        };
        Ok(rows.iter().filter_map(manifest).collect())
    }

    /// What is known of a tag at a target. A run that compared all of its mirror's source has looked
    /// at the tag, whether or not it had anything to write down.
    pub async fn tag_check(
        &self,
        target: &Repository,
        tag: &Tag,
    ) -> Result<Option<TagCheck>, Error> {
        let row = query(
            "SELECT seen_digest, source_digest, written_digest,
                    MAX(checked_at, CASE WHEN is_released OR is_orphaned THEN 0 ELSE COALESCE((
                        SELECT MAX(started_at) FROM runs
                        WHERE runs.mirror = tags.mirror AND is_checked AND image IS NULL
                    ), 0) END)
             FROM tags JOIN repositories ON repositories.id = repository_id
             WHERE registry = ? AND path = ? AND tag = ? AND damaged_at IS NULL",
        )
        .bind(target.registry().as_str())
        .bind(target.path())
        .bind(tag.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| TagCheck {
            seen: digest(Some(row.get(0))),
            source: digest(row.get(1)),
            written: digest(row.get(2)),
            checked_at: row.get(3),
        }))
    }
}
