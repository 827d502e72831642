//! The end of what the store keeps of a tag for a route.

use std::sync::Arc;

use sqlx::{SqliteConnection, query};

use crate::{
    oci::{Repository, Tag},
    store::event::id,
};

/// The end of a tag's lag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The target repository.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
    /// The mirror that the tag belongs to from now on.
    pub mirror: Arc<str>,
    /// Whether the source no longer has it.
    pub is_orphaned: bool,
    /// Whether a route still asks for it.
    pub is_asked_for: bool,
}

impl Release {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let id = id(db, &self.repository).await?;
        let (tag, mirror) = (self.tag.as_str(), &*self.mirror);
        query!(
            "DELETE FROM tags WHERE repository_id = ? AND tag = ? AND source_digest IS NULL",
            id,
            tag
        )
        .execute(&mut *db)
        .await?;
        let is_released = !self.is_asked_for;
        query!(
            "UPDATE tags SET mirror = ?, lagging_since = NULL, is_orphaned = ?, is_released = ?,
                             error_class = NULL, error_message = NULL
             WHERE repository_id = ? AND tag = ?",
            mirror,
            self.is_orphaned,
            is_released,
            id,
            tag
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

pub(crate) async fn detached(
    db: &mut SqliteConnection,
    mirror: &str,
    repository: &Repository,
) -> Result<(), sqlx::Error> {
    let id = id(db, repository).await?;
    query!(
        "DELETE FROM tags WHERE repository_id = ? AND mirror = ? AND source_digest IS NULL",
        id,
        mirror
    )
    .execute(&mut *db)
    .await?;
    query!(
        "UPDATE tags SET mirror = '', lagging_since = NULL, is_released = 1, error_class = NULL,
                         error_message = NULL
         WHERE repository_id = ? AND mirror = ?",
        id,
        mirror
    )
    .execute(db)
    .await?;
    Ok(())
}
