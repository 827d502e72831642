//! What is known of single images at targets: for those who ask about one, and what is damaged.

use sqlx::query;

use crate::{
    oci::{Digest, Repository, Tag},
    store::{Error, Store, digest},
};

/// What is known of one tag of a target. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRecord {
    /// The source's digest that was mirrored last.
    pub source: Option<Digest>,
    /// Since when it differs from the source.
    pub lagging_since: Option<i64>,
    /// Whether the source no longer has it.
    pub is_orphaned: bool,
    /// When verification found it, or something that it leads to, missing or wrong.
    pub damaged_at: Option<i64>,
    /// Why the last attempt failed, if it did.
    pub error: Option<String>,
}

/// A tag that is known to be damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedTag {
    /// The tag at the target, written out.
    pub reference: String,
    /// When it was found, in seconds since 1970.
    pub damaged_at: i64,
}

impl Store {
    /// What is known of one tag of a target repository.
    pub async fn copy(&self, target: &Repository, tag: &Tag) -> Result<Option<CopyRecord>, Error> {
        let (registry, path, tag) = (target.registry().as_str(), target.path(), tag.as_str());
        let row = query!(
            r#"SELECT source_digest, lagging_since, is_orphaned AS "is_orphaned: bool",
                      CASE WHEN NOT is_released THEN damaged_at END AS "damaged_at: i64",
                      error_message
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE registry = ? AND path = ? AND tag = ?"#,
            registry,
            path,
            tag
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| CopyRecord {
            source: digest(row.source_digest),
            lagging_since: row.lagging_since,
            is_orphaned: row.is_orphaned,
            damaged_at: row.damaged_at,
            error: row.error_message,
        }))
    }

    /// The tags of targets that stand, or stood when last looked at, for a digest in a repository,
    /// be it the source's or the target's; in any repository if none is named. Target repository
    /// and tag there, last mirrored first.
    pub async fn tags_of_digest(
        &self,
        repository: Option<&Repository>,
        image: &Digest,
    ) -> Result<Vec<(Repository, Tag)>, Error> {
        let (name, image) = (repository.map(ToString::to_string), image.as_str());
        let rows = query!(
            r#"SELECT registry || '/' || path AS "target!: String", tag
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE ((?1 IS NULL OR source = ?1) AND ?2 IN (seen_digest, source_digest))
                  OR ((?1 IS NULL OR registry || '/' || path = ?1) AND written_digest = ?2)
               ORDER BY mirrored_at DESC, registry, path, tag"#,
            name,
            image
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|row| Some((row.target.parse().ok()?, row.tag.parse().ok()?)))
            .collect())
    }

    /// The tags of a mirror that are known to be damaged and that a run can write again, `limit` at
    /// the most.
    pub async fn damaged(&self, mirror: &str, limit: i64) -> Result<Vec<DamagedTag>, Error> {
        let rows = query!(
            r#"SELECT registry || '/' || path || ':' || tag AS "reference!: String",
                      damaged_at AS "damaged_at!"
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE mirror = ? AND damaged_at IS NOT NULL AND NOT is_orphaned AND NOT is_released
               ORDER BY damaged_at, registry, path, tag LIMIT ?"#,
            mirror,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| DamagedTag {
                reference: row.reference,
                damaged_at: row.damaged_at,
            })
            .collect())
    }
}
