//! What pruning learns of the tags of targets.

use sqlx::{SqliteConnection, query, query_scalar};

use crate::{
    oci::{Repository, Tag},
    store::{Error, Store, event::id},
};

/// Something that pruning learned of a tag of a target.
#[derive(Clone, Debug)]
pub enum Pruning {
    /// It is no longer at the source or no longer selected, since then; or (`None`) it is again.
    Prunable {
        /// The target repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// Since when.
        since: Option<i64>,
    },
    /// It was deleted, and is known no more.
    Pruned(Repository, Tag),
    /// A mirror was compared by an order of `latest`.
    Ordered {
        /// The mirror.
        mirror: String,
        /// Which order.
        version: i64,
    },
    /// It was due, and stays because a registry that deletes only digests has another tag that needs
    /// its digest; without a tag, because the registry deletes nothing.
    Kept {
        /// The target repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// The tag that needs the digest.
        needed_by: Option<Tag>,
    },
}

impl Pruning {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Prunable {
                repository,
                tag,
                since,
            } => {
                let (id, tag) = (id(db, repository).await?, tag.as_str());
                query!(
                    "UPDATE tags SET prunable_since = ?, kept_for = NULL
                     WHERE repository_id = ? AND tag = ?",
                    since,
                    id,
                    tag
                )
                .execute(db)
                .await?;
            }
            Self::Kept {
                repository,
                tag,
                needed_by,
            } => {
                let (id, tag) = (id(db, repository).await?, tag.as_str());
                let needed_by = needed_by.as_ref().map_or("", Tag::as_str);
                query!(
                    "UPDATE tags SET kept_for = ? WHERE repository_id = ? AND tag = ?",
                    needed_by,
                    id,
                    tag
                )
                .execute(db)
                .await?;
            }
            Self::Pruned(repository, tag) => {
                let (id, tag) = (id(db, repository).await?, tag.as_str());
                query!(
                    "DELETE FROM tags WHERE repository_id = ? AND tag = ?",
                    id,
                    tag
                )
                .execute(db)
                .await?;
            }
            Self::Ordered { mirror, version } => {
                query("INSERT OR REPLACE INTO tag_orders (mirror, version) VALUES (?, ?)")
                    .bind(mirror)
                    .bind(version)
                    .execute(db)
                    .await?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// The order of `latest` by which a mirror was compared last.
    pub async fn tag_order(&self, mirror: &str) -> Result<Option<i64>, Error> {
        query_scalar("SELECT version FROM tag_orders WHERE mirror = ?")
            .bind(mirror)
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| self.read_error(e))
    }

    /// The mirrors that keep tags and were not compared by an order of `latest`.
    pub async fn keepers_without_order(&self, version: i64) -> Result<Vec<String>, Error> {
        query_scalar(
            "SELECT DISTINCT mirror FROM tags WHERE mirror <> ''
             AND mirror NOT IN (SELECT mirror FROM tag_orders WHERE version = ?)",
        )
        .bind(version)
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))
    }
}
