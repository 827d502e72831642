//! Images that clients pulled and no entry mirrors.

use sqlx::{SqliteConnection, query};

use crate::{
    oci::{Repository, Tag, Version},
    store::{Error, Store},
};

/// An image that was pulled, and that no entry mirrored at the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemandRecord {
    /// The source repository.
    pub repository: Repository,
    /// Its tag, or its digest where it was pulled by no tag.
    pub version: Version,
    /// When it was last pulled.
    pub last_pull: i64,
}

/// A tag or a digest, as the store has it.
pub(super) fn version_text(version: &Version) -> &str {
    match version {
        Version::Tag(tag) => tag.as_str(),
        Version::Digest(digest) => digest.as_str(),
    }
}

/// What [`version_text`] wrote. No tag has a colon.
pub(super) fn version(text: &str) -> Option<Version> {
    match text.contains(':') {
        true => Some(Version::Digest(text.parse().ok()?)),
        false => Some(Version::Tag(text.parse().ok()?)),
    }
}

pub(super) async fn write(
    db: &mut SqliteConnection,
    repository: &Repository,
    version: &Version,
    pulls: i64,
    at: i64,
) -> Result<(), sqlx::Error> {
    let (repository, version) = (repository.to_string(), version_text(version));
    query!(
        "INSERT INTO demand (repository, version, first_pull, last_pull, pulls)
         VALUES (?1, ?2, ?3, ?3, ?4)
         ON CONFLICT (repository, version) DO UPDATE SET
             last_pull = MAX(last_pull, excluded.last_pull),
             pulls = pulls + excluded.pulls",
        repository,
        version,
        at,
        pulls
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets an image, unless somebody pulled it meanwhile.
pub(super) async fn forget(
    db: &mut SqliteConnection,
    repository: &Repository,
    version: &Version,
    since: i64,
) -> Result<(), sqlx::Error> {
    let (repository, version) = (repository.to_string(), version_text(version));
    query!(
        "DELETE FROM demand WHERE repository = ? AND version = ? AND last_pull < ?",
        repository,
        version,
        since
    )
    .execute(db)
    .await?;
    Ok(())
}

impl Store {
    /// Images that were pulled and that no entry mirrored at the time, the first pulled first.
    pub async fn demand(&self) -> Result<Vec<DemandRecord>, Error> {
        let rows = query!(
            "SELECT repository, version, last_pull FROM demand ORDER BY first_pull, version"
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let images = rows.iter().filter_map(|row| {
            Some(DemandRecord {
                repository: row.repository.parse().ok()?,
                version: version(&row.version)?,
                last_pull: row.last_pull,
            })
        });
        Ok(images.collect())
    }

    /// The tags that a mirror keeps, with their target repositories.
    pub async fn kept_tags(&self, mirror: &str) -> Result<Vec<(Repository, Tag)>, Error> {
        let rows = query!(
            r#"SELECT registry || '/' || path AS "name!: String", tag
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE mirror = ?"#,
            mirror
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let tags = rows
            .iter()
            .filter_map(|row| Some((row.name.parse().ok()?, row.tag.parse().ok()?)));
        Ok(tags.collect())
    }
}
