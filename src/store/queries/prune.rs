//! What pruning learns of the tags of targets.

use sqlx::{SqliteConnection, query};

use crate::{
    oci::{Repository, Tag},
    store::event::id,
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
                    "UPDATE tags SET prunable_since = ? WHERE repository_id = ? AND tag = ?",
                    since,
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
        }
        Ok(())
    }
}
