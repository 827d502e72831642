//! What the store tells: of a repository, its tags and blobs, and of mirrors.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use sqlx::{query, query_as};

use crate::{
    oci::{Digest, RegistryName, Repository, Tag},
    store::{Error, Store, digest, lifecycle::retention::NOTED},
};

/// What is known of a tag of a target repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRecord {
    /// The mirror that keeps it.
    pub mirror: String,
    /// The source repository.
    pub source_repository: String,
    /// The source's digest when it was last written down.
    pub seen: Option<Digest>,
    /// The source's digest that was mirrored last.
    pub source: Option<Digest>,
    /// What was written for it.
    pub written: Option<Digest>,
    /// What of the image was written; empty for all of it.
    pub shape: String,
    /// Since when it differs from the source.
    pub lagging_since: Option<i64>,
    /// When the target itself was last asked.
    pub verified_at: Option<i64>,
    /// When its referrers were last looked for.
    pub referrers_at: Option<i64>,
    /// Whether the source no longer has it.
    pub is_orphaned: bool,
    /// When it was last written.
    pub mirrored_at: Option<i64>,
    /// Whether verification found it, or something that it leads to, missing or wrong.
    pub is_damaged: bool,
    /// Since when it is to be pruned.
    pub prunable_since: Option<i64>,
    /// Whether no route asks for it any more.
    pub is_released: bool,
    /// Why it could not be pruned though it was due.
    pub kept_for: Option<KeptFor>,
}

/// What keeps a tag that is due to be pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptFor {
    /// The registry deletes only digests, and this tag needs the digest.
    Tag(Tag),
    /// The registry deletes nothing.
    NoDeletion,
}

impl KeptFor {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::NoDeletion),
            tag => tag.parse().ok().map(Self::Tag),
        }
    }
}

/// What is known of a target repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepositoryState {
    /// Whether every blob that it holds is known.
    pub is_complete: bool,
    /// Whether any blob in it is known.
    pub has_blobs: bool,
}

/// What is known of the age of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageAge {
    /// When it was made; nothing where it does not say.
    pub created: Option<i64>,
    /// Whether it is forgotten before long, unless it is recorded again.
    pub is_fading: bool,
}

/// A tag that differs from its source, and why if that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of `tags`")]
pub struct BehindTag {
    pub reference: String,
    pub source: String,
    pub lagging_since: i64,
    pub error_class: Option<String>,
    pub error_message: Option<String>,
}

impl Store {
    /// Every tag of a target repository that is known.
    pub async fn tags(&self, target: &Repository) -> Result<HashMap<Tag, TagRecord>, Error> {
        let (registry, path) = (target.registry().as_str(), target.path());
        let mut rows = query!(
            r#"SELECT tag, mirror, source, seen_digest, source_digest, written_digest, shape,
                      lagging_since, verified_at, referrers_at,
                      is_orphaned AS "is_orphaned: bool", mirrored_at, prunable_since,
                      is_released AS "is_released: bool", kept_for,
                      damaged_at IS NOT NULL AS "is_damaged: bool"
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE registry = ? AND path = ?"#,
            registry,
            path
        )
        .fetch(&self.readers);
        let mut tags = HashMap::new();
        while let Some(row) = rows.try_next().await.map_err(|e| self.read_error(e))? {
            let Ok(tag) = row.tag.parse() else { continue };
            let record = TagRecord {
                mirror: row.mirror,
                source_repository: row.source,
                seen: digest(Some(row.seen_digest)),
                source: digest(row.source_digest),
                written: digest(row.written_digest),
                shape: row.shape,
                lagging_since: row.lagging_since,
                verified_at: row.verified_at,
                referrers_at: row.referrers_at,
                is_orphaned: row.is_orphaned,
                mirrored_at: row.mirrored_at,
                is_damaged: row.is_damaged,
                prunable_since: row.prunable_since,
                is_released: row.is_released,
                kept_for: row.kept_for.as_deref().and_then(KeptFor::parse),
            };
            tags.insert(tag, record);
        }
        Ok(tags)
    }

    /// What is known of a target repository as a whole.
    pub async fn repository(&self, target: &Repository) -> Result<RepositoryState, Error> {
        let (registry, path) = (target.registry().as_str(), target.path());
        let row = query!(
            r#"SELECT is_complete AS "is_complete: bool",
                      EXISTS (SELECT 1 FROM blobs WHERE repository_id = id) AS "has_blobs: bool"
               FROM repositories WHERE registry = ? AND path = ?"#,
            registry,
            path
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(
            row.map_or_else(RepositoryState::default, |row| RepositoryState {
                is_complete: row.is_complete,
                has_blobs: row.has_blobs,
            }),
        )
    }

    /// When an image was made, if that was ever asked.
    pub async fn created(&self, image: &Digest) -> Result<Option<ImageAge>, Error> {
        let image = image.as_str();
        let row = query!(
            r#"SELECT created_at, named_at < unixepoch() - ? AS "is_fading: bool"
               FROM images WHERE digest = ?"#,
            NOTED,
            image
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| ImageAge {
            created: row.created_at,
            is_fading: row.is_fading,
        }))
    }

    /// Repositories of a registry that are believed to hold a blob, and not in doubt of it: a few
    /// of them, `preferred` first if it is one.
    pub async fn holders(
        &self,
        registry: &RegistryName,
        blob: &Digest,
        preferred: &Repository,
    ) -> Result<Vec<Repository>, Error> {
        let (registry, blob, preferred) = (registry.as_str(), blob.as_str(), preferred.path());
        let rows = query!(
            "SELECT path FROM blobs JOIN repositories ON repositories.id = repository_id
             WHERE digest = ? AND registry = ? AND NOT EXISTS (
                 SELECT 1 FROM suspect_content WHERE suspect_content.digest = blobs.digest
                 AND suspect_content.repository_id = blobs.repository_id
             )
             ORDER BY path = ? DESC LIMIT 4",
            blob,
            registry,
            preferred
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(rows
            .iter()
            .filter_map(|row| format!("{registry}/{}", row.path).parse().ok())
            .collect())
    }

    /// The tags of a mirror that are behind, longest first, `limit` at the most.
    pub async fn behind(&self, mirror: &str, limit: i64) -> Result<Vec<BehindTag>, Error> {
        let rows = query_as!(
            BehindTag,
            r#"SELECT registry || '/' || path || ':' || tag AS "reference!: String",
                      source || ':' || COALESCE(source_tag, tag) AS "source!: String",
                      lagging_since AS "lagging_since!", error_class, error_message
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE mirror = ? AND lagging_since IS NOT NULL
               ORDER BY lagging_since, tag LIMIT ?"#,
            mirror,
            limit
        );
        let rows = rows.fetch_all(&self.readers).await;
        rows.map_err(|e| self.read_error(e))
    }

    /// The tags of a mirror that are behind one source repository.
    pub async fn behind_source(
        &self,
        mirror: &str,
        source: &Repository,
    ) -> Result<Vec<BehindTag>, Error> {
        let source = source.to_string();
        let rows = query_as!(
            BehindTag,
            r#"SELECT registry || '/' || path || ':' || tag AS "reference!: String",
                      source || ':' || COALESCE(source_tag, tag) AS "source!: String",
                      lagging_since AS "lagging_since!", error_class, error_message
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE mirror = ? AND source = ? AND lagging_since IS NOT NULL"#,
            mirror,
            source
        );
        let rows = rows.fetch_all(&self.readers).await;
        rows.map_err(|e| self.read_error(e))
    }

    /// The source of a tag that is behind because its last attempt failed with a class of error: the
    /// one that is longest behind.
    pub async fn failed_with(&self, mirror: &str, class: &str) -> Result<Option<String>, Error> {
        let row = query!(
            r#"SELECT source || ':' || COALESCE(source_tag, tag) AS "source!: String" FROM tags
               WHERE mirror = ? AND lagging_since IS NOT NULL AND error_class = ?
               ORDER BY lagging_since, tag LIMIT 1"#,
            mirror,
            class
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| row.source))
    }

    /// How large an image is, if that is known.
    pub async fn size(&self, image: &Digest) -> Result<Option<u64>, Error> {
        let image = image.as_str();
        let row = query!("SELECT bytes FROM sizes WHERE digest = ?", image)
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| unsigned(row.bytes)))
    }
}

pub(crate) fn unsigned(count: i64) -> u64 {
    count.try_into().unwrap_or_default()
}
