//! What verification learns of targets, and what it has to know to go on.

use sqlx::{SqliteConnection, query};

use crate::{
    oci::{Digest, RegistryName, Repository, Tag},
    store::{Error, Store, digest, event::id},
};

/// Something that verification learned.
#[derive(Clone, Debug)]
pub enum Check {
    /// All that a tag leads to was looked for.
    Examined {
        /// The target repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// When.
        at: i64,
        /// Whether something was missing or wrong.
        is_damaged: bool,
    },
    /// A manifest leads to something missing or wrong, though it stands itself.
    Suspect(Repository, Digest),
    /// A blob has wrong bytes; in every repository of the registry, for all that is known.
    Corrupt(Repository, Digest),
    /// Doubted content was written again, and what the target has now is right.
    Verified(Repository, Digest),
    /// All that a damaged tag leads to is there, and as far as its bytes were found wrong, they were
    /// read again and are right.
    Healed {
        /// The target repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// Its manifests and blobs.
        contents: Vec<Digest>,
    },
    /// Content was written again, and the target kept the wrong bytes that it had.
    RepairFailed {
        /// The target repository.
        repository: Repository,
        /// The content.
        digest: Digest,
        /// When.
        at: i64,
    },
    /// The bytes of a blob were read.
    Read {
        /// The target registry.
        registry: RegistryName,
        /// The blob.
        digest: Digest,
        /// When, in milliseconds.
        at_ms: i64,
        /// Whether they are wrong.
        is_wrong: bool,
    },
    /// The reading of all blobs of a mirror begins.
    RoundBegan {
        /// The mirror.
        mirror: std::sync::Arc<str>,
        /// When, in milliseconds.
        at_ms: i64,
    },
    /// Every blob of a mirror was read.
    RoundEnded(std::sync::Arc<str>),
}

/// A tag of a target that was mirrored, and what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenTag {
    /// The target repository.
    pub target: Repository,
    /// The source repository, as it is written.
    pub source: String,
    /// The tag.
    pub tag: Tag,
    /// The digest at the source.
    pub source_digest: Digest,
    /// The digest that was written.
    pub written: Digest,
    /// What of the image was written; empty for all of it.
    pub shape: String,
    /// Whether the source no longer has it.
    pub is_orphaned: bool,
    /// Whether no route asks for it any more.
    pub is_released: bool,
    /// Whether it is known to be damaged.
    pub is_damaged: bool,
}

/// When the bytes of a blob were last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When, in milliseconds.
    pub at_ms: i64,
    /// Whether they were wrong.
    pub is_wrong: bool,
}

impl Check {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Examined {
                repository,
                tag,
                at,
                is_damaged,
            } => examined(db, repository, tag, *at, is_damaged.then_some(*at)).await,
            Self::Suspect(repository, digest) => doubted(db, repository, digest).await,
            Self::Corrupt(repository, digest) => rotten(db, repository, digest).await,
            Self::Verified(repository, digest) => proven(db, repository, digest).await,
            Self::Healed {
                repository,
                tag,
                contents,
            } => healed(db, repository, tag, contents).await,
            Self::RepairFailed {
                repository,
                digest,
                at,
            } => unhealed(db, repository, digest, *at).await,
            Self::Read {
                registry,
                digest,
                at_ms,
                is_wrong,
            } => {
                let (registry, digest) = (registry.as_str(), digest.as_str());
                query!(
                    "INSERT OR REPLACE INTO blob_reads (registry, digest, read_at, is_wrong)
                     VALUES (?, ?, ?, ?)",
                    registry,
                    digest,
                    at_ms,
                    is_wrong
                )
                .execute(db)
                .await
                .map(drop)
            }
            Self::RoundBegan { mirror, at_ms } => {
                let mirror = &**mirror;
                query!(
                    "INSERT OR REPLACE INTO deep_verify_rounds (mirror, began_at) VALUES (?, ?)",
                    mirror,
                    at_ms
                )
                .execute(db)
                .await
                .map(drop)
            }
            Self::RoundEnded(mirror) => {
                let mirror = &**mirror;
                query!("DELETE FROM deep_verify_rounds WHERE mirror = ?", mirror)
                    .execute(db)
                    .await
                    .map(drop)
            }
        }
    }
}

async fn examined(
    db: &mut SqliteConnection,
    repository: &Repository,
    tag: &Tag,
    at: i64,
    damaged_at: Option<i64>,
) -> Result<(), sqlx::Error> {
    let (id, tag) = (id(db, repository).await?, tag.as_str());
    // What was damaged stays so until it is copied again; the target itself is asked before that.
    query!(
        "UPDATE tags SET examined_at = ?1, damaged_at = COALESCE(damaged_at, ?2),
                         verified_at = CASE WHEN ?2 IS NULL THEN verified_at END
         WHERE repository_id = ?3 AND tag = ?4",
        at,
        damaged_at,
        id,
        tag
    )
    .execute(&mut *db)
    .await?;
    if damaged_at.is_some() {
        // A signature's tag is looked for again by the tag that it belongs to.
        query!(
            "UPDATE tags SET referrers_at = NULL WHERE repository_id = ? AND ? LIKE 'sha256-%'",
            id,
            tag
        )
        .execute(db)
        .await?;
    }
    Ok(())
}

async fn doubted(
    db: &mut SqliteConnection,
    repository: &Repository,
    digest: &Digest,
) -> Result<(), sqlx::Error> {
    let (id, digest) = (id(db, repository).await?, digest.as_str());
    query!(
        "INSERT OR IGNORE INTO suspect_content (digest, repository_id) VALUES (?, ?)",
        digest,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn rotten(
    db: &mut SqliteConnection,
    repository: &Repository,
    digest: &Digest,
) -> Result<(), sqlx::Error> {
    doubted(db, repository, digest).await?;
    let (registry, digest) = (repository.registry().as_str(), digest.as_str());
    query!(
        "INSERT OR IGNORE INTO suspect_content (digest, repository_id)
         SELECT digest, repository_id FROM blobs JOIN repositories ON id = repository_id
         WHERE digest = ? AND registry = ?",
        digest,
        registry
    )
    .execute(&mut *db)
    .await?;
    query!(
        "DELETE FROM blobs WHERE digest = ? AND repository_id IN
             (SELECT id FROM repositories WHERE registry = ?)",
        digest,
        registry
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn proven(
    db: &mut SqliteConnection,
    repository: &Repository,
    digest: &Digest,
) -> Result<(), sqlx::Error> {
    let (id, digest) = (id(db, repository).await?, digest.as_str());
    query!(
        "DELETE FROM suspect_content WHERE digest = ? AND repository_id = ?",
        digest,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What has wrong bytes by its last reading stays in doubt: a target says of what it holds that it
/// is there, and not that it is right.
async fn healed(
    db: &mut SqliteConnection,
    repository: &Repository,
    tag: &Tag,
    contents: &[Digest],
) -> Result<(), sqlx::Error> {
    let (id, registry) = (id(db, repository).await?, repository.registry().as_str());
    for digest in contents {
        let digest = digest.as_str();
        query!(
            "DELETE FROM suspect_content WHERE digest = ?1 AND repository_id = ?2 AND NOT EXISTS (
                 SELECT 1 FROM blob_reads WHERE digest = ?1 AND registry = ?3 AND is_wrong
             )",
            digest,
            id,
            registry
        )
        .execute(&mut *db)
        .await?;
    }
    let contents = serde_json::json!(contents.iter().map(Digest::as_str).collect::<Vec<_>>());
    let (tag, contents) = (tag.as_str(), contents.to_string());
    query!(
        "UPDATE tags SET damaged_at = NULL
         WHERE repository_id = ?1 AND tag = ?2 AND NOT EXISTS (
             SELECT 1 FROM suspect_content
             WHERE repository_id = ?1 AND digest IN (SELECT value FROM json_each(?3))
         )",
        id,
        tag,
        contents
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn unhealed(
    db: &mut SqliteConnection,
    repository: &Repository,
    digest: &Digest,
    at: i64,
) -> Result<(), sqlx::Error> {
    let (id, digest) = (id(db, repository).await?, digest.as_str());
    query!(
        "UPDATE suspect_content SET refused_at = ? WHERE digest = ? AND repository_id = ?",
        at,
        digest,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

impl Store {
    /// The target repositories with tags that are a mirror's.
    pub async fn kept_repositories(&self, mirror: &str) -> Result<Vec<Repository>, Error> {
        let rows = query!(
            r#"SELECT DISTINCT registry || '/' || path AS "name!: String"
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE mirror = ? ORDER BY 1"#,
            mirror
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(rows
            .iter()
            .filter_map(|row| row.name.parse().ok())
            .collect())
    }

    /// The target repositories with tags that a mirror wrote.
    pub async fn written_repositories(&self, mirror: &str) -> Result<Vec<Repository>, Error> {
        let rows = query!(
            r#"SELECT DISTINCT registry || '/' || path AS "name!: String"
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE mirror = ? AND written_digest IS NOT NULL ORDER BY 1"#,
            mirror
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(rows
            .iter()
            .filter_map(|row| row.name.parse().ok())
            .collect())
    }

    /// The tags of a mirror that were written, in one target repository or in all: those last
    /// examined at or before `due`, longest ago first, `limit` at the most.
    pub async fn written_tags(
        &self,
        mirror: &str,
        target: Option<&Repository>,
        due: i64,
        limit: i64,
    ) -> Result<Vec<WrittenTag>, Error> {
        let target = target.map(ToString::to_string);
        let rows = query!(
            r#"SELECT registry || '/' || path AS "target!: String", source, tag,
                      source_digest AS "source_digest!", written_digest AS "written!", shape,
                      is_orphaned AS "is_orphaned: bool",
                      is_released AS "is_released: bool",
                      damaged_at IS NOT NULL AS "is_damaged: bool"
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE mirror = ?1 AND source_digest IS NOT NULL AND written_digest IS NOT NULL
                 AND (?2 IS NULL OR registry || '/' || path = ?2)
                 AND COALESCE(examined_at, mirrored_at, 0) <= ?3
               ORDER BY COALESCE(examined_at, mirrored_at, 0), registry, path, tag LIMIT ?4"#,
            mirror,
            target,
            due,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let tags = rows.into_iter().filter_map(|row| {
            Some(WrittenTag {
                target: row.target.parse().ok()?,
                source: row.source,
                tag: row.tag.parse().ok()?,
                source_digest: digest(Some(row.source_digest))?,
                written: digest(Some(row.written))?,
                shape: row.shape,
                is_orphaned: row.is_orphaned,
                is_released: row.is_released,
                is_damaged: row.is_damaged,
            })
        });
        Ok(tags.collect())
    }

    /// What a repository is not taken to hold until it was written again, and when writing it was
    /// in vain.
    pub async fn doubts(
        &self,
        repository: &Repository,
    ) -> Result<Vec<(Digest, Option<i64>)>, Error> {
        let (registry, path) = (repository.registry().as_str(), repository.path());
        let rows = query!(
            "SELECT digest, refused_at FROM suspect_content JOIN repositories ON id = repository_id
             WHERE registry = ? AND path = ?",
            registry,
            path
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|row| Some((digest(Some(row.digest))?, row.refused_at)))
            .collect())
    }

    /// What no repository is taken to hold until it was written again: repository and digest.
    pub async fn suspects(&self) -> Result<Vec<(Repository, Digest)>, Error> {
        let rows = query!(
            r#"SELECT registry || '/' || path AS "repository!: String", digest
               FROM suspect_content JOIN repositories ON id = repository_id"#
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|row| Some((row.repository.parse().ok()?, digest(Some(row.digest))?)))
            .collect())
    }

    /// When the bytes of a blob of a registry were last read.
    pub async fn reading(
        &self,
        registry: &RegistryName,
        blob: &Digest,
    ) -> Result<Option<Reading>, Error> {
        let (registry, blob) = (registry.as_str(), blob.as_str());
        let row = query!(
            r#"SELECT read_at, is_wrong AS "is_wrong: bool" FROM blob_reads
               WHERE registry = ? AND digest = ?"#,
            registry,
            blob
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| Reading {
            at_ms: row.read_at,
            is_wrong: row.is_wrong,
        }))
    }

    /// When the reading of all blobs of a mirror began that is not complete.
    pub async fn round(&self, mirror: &str) -> Result<Option<i64>, Error> {
        let row = query!(
            "SELECT began_at FROM deep_verify_rounds WHERE mirror = ?",
            mirror
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| row.began_at))
    }
}

#[cfg(test)]
mod tests;
