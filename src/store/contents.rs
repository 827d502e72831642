//! What images are made of, and how large they are together: a blob that several share counts once.

use sqlx::{SqliteConnection, query};

use crate::{
    oci::Digest,
    store::{Error, Store, queries::view::unsigned},
};

/// What a manifest or an index names.
#[derive(Clone, Debug)]
pub struct ContentPart {
    /// The blob, or the child of an index.
    pub digest: Digest,
    /// How large a blob is; none for a child.
    pub bytes: Option<u64>,
}

/// The unique bytes of a mirror at one target registry, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSize {
    /// The target registry.
    pub registry: String,
    /// Of the images that are mirrored.
    pub size_bytes: u64,
    /// Of the images that are behind.
    pub pending_bytes: u64,
}

impl Store {
    /// The sizes of a mirror at each target registry. An image whose parts are not known counts
    /// with its own size.
    pub async fn sizes(&self, mirror: &str) -> Result<Vec<TargetSize>, Error> {
        // Sources report sizes, and may report nonsense: SUM fails where it overflows.
        let rows = query!(
            r#"WITH RECURSIVE wholes(registry, digest, is_pending) AS (
                   SELECT registry, written_digest, FALSE
                   FROM tags JOIN repositories ON repositories.id = repository_id
                   WHERE mirror = ?1 AND written_digest IS NOT NULL
                   UNION
                   SELECT registry,
                          CASE WHEN EXISTS (SELECT 1 FROM sizes WHERE digest = seen_digest)
                                 OR EXISTS (SELECT 1 FROM contents WHERE digest = seen_digest)
                               THEN seen_digest ELSE written_digest END,
                          TRUE
                   FROM tags JOIN repositories ON repositories.id = repository_id
                   WHERE mirror = ?1 AND lagging_since IS NOT NULL
               ), reached(registry, is_pending, id) AS (
                   SELECT registry, is_pending, contents.id
                   FROM wholes JOIN contents ON contents.digest = wholes.digest
                   UNION
                   SELECT registry, is_pending, part
                   FROM reached JOIN content_parts ON whole = reached.id
               ), counted(registry, is_pending, bytes) AS (
                   SELECT registry, is_pending, COALESCE(contents.bytes, (
                       SELECT sizes.bytes FROM sizes WHERE sizes.digest = contents.digest
                       AND NOT EXISTS (SELECT 1 FROM content_parts WHERE whole = contents.id)))
                   FROM reached JOIN contents ON contents.id = reached.id
                   UNION ALL
                   SELECT registry, is_pending,
                          (SELECT sizes.bytes FROM sizes WHERE sizes.digest = wholes.digest)
                   FROM wholes
                   WHERE NOT EXISTS (SELECT 1 FROM contents WHERE contents.digest = wholes.digest)
               )
               SELECT registry AS "registry!: String",
                      CAST(TOTAL(bytes) FILTER (WHERE NOT is_pending) AS INTEGER) AS "size!: i64",
                      CAST(TOTAL(bytes) FILTER (WHERE is_pending) AS INTEGER) AS "pending!: i64"
               FROM counted GROUP BY registry"#,
            mirror
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| TargetSize {
                registry: row.registry,
                size_bytes: unsigned(row.size),
                pending_bytes: unsigned(row.pending),
            })
            .collect())
    }

    /// What the images of these mirrors hold together, wherever they were mirrored to.
    pub async fn total_size(&self, mirrors: &[&str]) -> Result<u64, Error> {
        let mirrors = serde_json::json!(mirrors).to_string();
        let row = query!(
            r#"WITH RECURSIVE wholes(digest) AS (
                   SELECT DISTINCT written_digest FROM tags
                   WHERE written_digest IS NOT NULL
                     AND mirror IN (SELECT value FROM json_each(?1))
               ), reached(id) AS (
                   SELECT contents.id FROM wholes JOIN contents ON contents.digest = wholes.digest
                   UNION
                   SELECT part FROM reached JOIN content_parts ON whole = reached.id
               ), counted(bytes) AS (
                   SELECT COALESCE(contents.bytes, (
                       SELECT sizes.bytes FROM sizes WHERE sizes.digest = contents.digest
                       AND NOT EXISTS (SELECT 1 FROM content_parts WHERE whole = contents.id)))
                   FROM reached JOIN contents ON contents.id = reached.id
                   UNION ALL
                   SELECT (SELECT sizes.bytes FROM sizes WHERE sizes.digest = wholes.digest)
                   FROM wholes
                   WHERE NOT EXISTS (SELECT 1 FROM contents WHERE contents.digest = wholes.digest)
               )
               SELECT CAST(TOTAL(bytes) AS INTEGER) AS "size!: i64" FROM counted"#,
            mirrors
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(unsigned(row.size))
    }
}

/// Notes what a manifest or an index names, once: its digest stands for the same content forever.
pub(crate) async fn made(
    db: &mut SqliteConnection,
    whole: &Digest,
    parts: &[ContentPart],
) -> Result<(), sqlx::Error> {
    let whole = id(db, whole, None).await?;
    let is_known = query!(
        r#"SELECT EXISTS (SELECT 1 FROM content_parts WHERE whole = ?) AS "is_known!: bool""#,
        whole
    );
    if is_known.fetch_one(&mut *db).await?.is_known {
        return Ok(());
    }
    for ContentPart { digest, bytes } in parts {
        let part = id(db, digest, *bytes).await?;
        query!(
            "INSERT OR IGNORE INTO content_parts (whole, part) VALUES (?, ?)",
            whole,
            part
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// The row of some content, made if there is none.
async fn id(
    db: &mut SqliteConnection,
    digest: &Digest,
    bytes: Option<u64>,
) -> Result<i64, sqlx::Error> {
    let bytes = bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let digest = digest.as_str();
    let row = query!(
        r#"INSERT INTO contents (digest, bytes) VALUES (?, ?)
           ON CONFLICT (digest) DO UPDATE SET bytes = COALESCE(contents.bytes, excluded.bytes)
           RETURNING id AS "id!: i64""#,
        digest,
        bytes
    );
    Ok(row.fetch_one(db).await?.id)
}

/// Forgets content that no repository holds, as far as is known, and no tag stands for.
pub(crate) async fn thin(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    query!(
        "DELETE FROM contents WHERE NOT EXISTS (
             SELECT 1 FROM blobs WHERE blobs.digest = contents.digest
         ) AND digest NOT IN (
             SELECT seen_digest FROM tags
             UNION SELECT written_digest FROM tags WHERE written_digest IS NOT NULL
         )"
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
