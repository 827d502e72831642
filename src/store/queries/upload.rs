//! Uploads that can be gone on with, and what registries taught about them.

use sqlx::{SqliteConnection, query};

use crate::{
    oci::{Digest, RegistryName, Repository},
    registry::{LearnedCapabilities, SavedUpload},
    store::{Error, Store, event::id, queries::view::unsigned},
};

/// How long, in seconds, registries keep a session in which nothing happens.
const SESSIONS: i64 = 7 * 24 * 3600;

/// What became of an upload in parts.
#[derive(Clone, Debug)]
pub struct UploadState {
    /// The repository that it goes to.
    pub repository: Repository,
    /// The blob.
    pub digest: Digest,
    /// Where it resumes. `None` once it is over.
    pub saved: Option<SavedUpload>,
    /// When.
    pub at: i64,
}

impl UploadState {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let (id, digest) = (id(db, &self.repository).await?, self.digest.as_str());
        let Some(saved) = &self.saved else {
            query!(
                "DELETE FROM uploads WHERE repository_id = ? AND digest = ?",
                id,
                digest
            )
            .execute(db)
            .await?;
            return Ok(());
        };
        let offset = i64::try_from(saved.offset).unwrap_or(i64::MAX);
        query!(
            "INSERT OR REPLACE INTO uploads
                 (repository_id, digest, location, offset, hash_state, names_next_byte, at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            id,
            digest,
            saved.location,
            offset,
            saved.hash_state,
            saved.names_next_byte,
            self.at
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Writes down what a registry taught.
pub(crate) async fn taught(
    db: &mut SqliteConnection,
    registry: &RegistryName,
    dialect: LearnedCapabilities,
) -> Result<(), sqlx::Error> {
    let registry = registry.as_str();
    let largest = dialect
        .largest_body
        .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    query!(
        "INSERT OR REPLACE INTO dialects (registry, takes_parts, largest_body, learned_at)
         VALUES (?, ?, ?, ?)",
        registry,
        dialect.takes_parts,
        largest,
        dialect.learned_at
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets sessions that no registry keeps for that time.
pub(crate) async fn thinned(db: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let before = now - SESSIONS;
    query!("DELETE FROM uploads WHERE at < ?", before)
        .execute(db)
        .await?;
    Ok(())
}

impl Store {
    /// Where the upload of a blob into a repository resumes, if one was begun.
    pub async fn upload(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<SavedUpload>, Error> {
        let (registry, path) = (repository.registry().as_str(), repository.path());
        let digest = digest.as_str();
        let row = query!(
            r#"SELECT location, offset, hash_state, names_next_byte AS "names_next_byte: bool"
             FROM uploads JOIN repositories ON repositories.id = repository_id
             WHERE registry = ? AND path = ? AND digest = ?"#,
            registry,
            path,
            digest
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| SavedUpload {
            location: row.location,
            offset: unsigned(row.offset),
            hash_state: row.hash_state,
            names_next_byte: row.names_next_byte,
        }))
    }

    /// What registries taught.
    pub async fn dialects(&self) -> Result<Vec<(RegistryName, LearnedCapabilities)>, Error> {
        let rows = query!(
            r#"SELECT registry, takes_parts AS "takes_parts: bool", largest_body, learned_at
             FROM dialects"#
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let dialects = rows.into_iter().filter_map(|row| {
            let dialect = LearnedCapabilities {
                takes_parts: row.takes_parts,
                largest_body: row.largest_body.map(unsigned),
                learned_at: row.learned_at,
            };
            Some((row.registry.parse().ok()?, dialect))
        });
        Ok(dialects.collect())
    }
}
