//! The history of lag: each change of the time since which a mirror's oldest difference stands.

use sqlx::{SqliteConnection, query, query_as};

use crate::store::{Error, Store};

const DAY: i64 = 24 * 3600;
/// How long, in seconds, changes are kept.
const KEPT: i64 = 31 * DAY;
/// How long all of them are kept. Of older ones stay two an hour: the worst, and the last.
const WHOLE: i64 = 8 * DAY;

/// From `at` on, the oldest difference of a mirror stands since `lagging_since`. Times are seconds
/// since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LagChange {
    /// The mirror.
    pub mirror: String,
    /// When it changed.
    pub at: i64,
    /// Since when the oldest difference stands; `None` if there is none.
    pub lagging_since: Option<i64>,
    /// Whether the source was compared lately. If not, the lag is unknown.
    pub is_known: bool,
}

impl LagChange {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        query!(
            "INSERT OR REPLACE INTO lag_changes (mirror, at, lagging_since, is_known)
             VALUES (?, ?, ?, ?)",
            self.mirror,
            self.at,
            self.lagging_since,
            self.is_known
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Thins the history. What holds at the start of the time that is kept stays.
pub(crate) async fn thin(db: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let (oldest, whole) = (now - KEPT, now - WHOLE);
    query!(
        "DELETE FROM lag_changes WHERE at < ?1 AND (mirror, at) NOT IN (
             SELECT mirror, MAX(at) FROM lag_changes WHERE at < ?1 GROUP BY mirror
         )",
        oldest
    )
    .execute(&mut *db)
    .await?;
    query!(
        "DELETE FROM lag_changes WHERE at < ?1 AND (mirror, at) NOT IN (
             SELECT mirror, MAX(at) FROM lag_changes WHERE at < ?1 GROUP BY mirror, at / 3600
         ) AND (mirror, at) NOT IN (
             SELECT mirror, at FROM (
                 SELECT mirror, at, MIN(lagging_since) FROM lag_changes
                 WHERE at < ?1 AND lagging_since IS NOT NULL GROUP BY mirror, at / 3600
             )
         )",
        whole
    )
    .execute(db)
    .await?;
    Ok(())
}

impl Store {
    /// The changes of a mirror's lag from a time on, and the one that holds then; oldest first.
    pub async fn lag_changes(&self, mirror: &str, from: i64) -> Result<Vec<LagChange>, Error> {
        query_as!(
            LagChange,
            r#"SELECT mirror, at, lagging_since, is_known AS "is_known: bool" FROM lag_changes
               WHERE mirror = ?1 AND at >= COALESCE(
                   (SELECT MAX(at) FROM lag_changes WHERE mirror = ?1 AND at <= ?2), ?2)
               ORDER BY at"#,
            mirror,
            from
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))
    }

    /// The last change of each mirror's lag.
    pub async fn last_lag_changes(&self) -> Result<Vec<LagChange>, Error> {
        query_as!(
            LagChange,
            r#"SELECT mirror, at, lagging_since, is_known AS "is_known: bool" FROM lag_changes
               WHERE (mirror, at) IN (SELECT mirror, MAX(at) FROM lag_changes GROUP BY mirror)"#
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))
    }
}

#[cfg(test)]
mod tests;
