//! What a page shows of the tags of a mirror.

use sqlx::{query, query_as};

use crate::store::{Error, Store};

/// A tag of a target that a mirror keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of `tags`")]
pub struct MirrorTag {
    pub reference: String,
    pub source: String,
    pub seen_digest: String,
    pub source_digest: Option<String>,
    pub written_digest: Option<String>,
    pub lagging_since: Option<i64>,
    pub mirrored_at: Option<i64>,
    pub is_orphaned: bool,
    pub error_message: Option<String>,
}

impl Store {
    /// The daily report that ends on a day, as JSON.
    pub async fn report(&self, day: &str) -> Result<Option<String>, Error> {
        let row = query!("SELECT body FROM reports WHERE day = ?", day)
            .fetch_optional(&self.readers)
            .await
            .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| row.body))
    }

    /// The days of the last daily reports, newest first.
    pub async fn report_days(&self, limit: i64) -> Result<Vec<String>, Error> {
        let rows = query!("SELECT day FROM reports ORDER BY day DESC LIMIT ?", limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|e| self.read_error(e))?;
        Ok(rows.into_iter().map(|row| row.day).collect())
    }

    /// The tags of a mirror at all targets: those behind first, longest first, then by name;
    /// `limit` at the most, after `offset` of them.
    pub async fn mirror_tags(
        &self,
        mirror: &str,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<MirrorTag>, Error> {
        query_as!(
            MirrorTag,
            r#"SELECT registry || '/' || path || ':' || tag AS "reference!: String", source,
                      seen_digest, source_digest, written_digest, lagging_since, mirrored_at,
                      is_orphaned AS "is_orphaned: bool", error_message
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE mirror = ?
               ORDER BY lagging_since IS NULL, lagging_since, registry, path, tag
               LIMIT ? OFFSET ?"#,
            mirror,
            limit,
            offset
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))
    }
}
