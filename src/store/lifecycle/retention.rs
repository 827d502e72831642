//! An end to what the store keeps: history that nobody looks at, and what nothing names any more.

use sqlx::{SqliteConnection, query};

use crate::store::{
    contents, lag_changes,
    queries::{traffic, upload},
};

const DAY: i64 = 24 * 3600;
/// How long, in seconds, changes and the runs that did something are kept.
const HISTORY: i64 = 90 * DAY;
/// How many changes of a mirror are kept: a source may have new tags in each run.
const CHANGES: i64 = 20_000;
/// How long runs that found nothing to do are kept.
const UNEVENTFUL: i64 = 14 * DAY;
/// How long daily reports are kept.
const REPORTS: i64 = 400 * DAY;
/// How long is kept what nothing names.
const UNNAMED: i64 = 180 * DAY;
/// How old a note that something is named may be, so that few are written.
pub(crate) const NOTED: i64 = 30 * DAY;

/// Thins the store at the end of a run, unless that was done within a day: not every store has a
/// daemon.
pub(crate) async fn thin_daily(db: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let done = query!("SELECT at FROM thinnings")
        .fetch_one(&mut *db)
        .await?;
    // A clock that was wrong puts nothing off.
    match (now - done.at).abs() < DAY {
        true => Ok(()),
        false => thin(db, now).await,
    }
}

/// Thins the store.
pub(crate) async fn thin(db: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    history(db, now).await?;
    repositories(db, now).await?;
    images(db, now).await?;
    contents::thin(db).await?;
    upload::thinned(db, now).await?;
    traffic::thin(db, now).await?;
    lag_changes::thin(db, now).await?;
    query!("UPDATE thinnings SET at = ?", now)
        .execute(db)
        .await?;
    Ok(())
}

/// The last run of a mirror stays, however old, and so does the last that was good there.
async fn history(db: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let (history, uneventful, reports) = (now - HISTORY, now - UNEVENTFUL, now - REPORTS);
    query!(
        "DELETE FROM runs WHERE started_at < ?1
             AND (started_at < ?2 OR (result = 'ok' AND copied = 0))
             AND id NOT IN (SELECT MAX(id) FROM runs WHERE image IS NULL GROUP BY mirror, result)
             AND id NOT IN (SELECT MAX(id) FROM runs
                            WHERE image IS NULL AND is_checked GROUP BY mirror)
             AND id NOT IN (SELECT MAX(run_id) FROM run_targets JOIN runs ON runs.id = run_id
                            WHERE run_targets.failed = 0 AND image IS NULL
                              AND result <> 'interrupted' GROUP BY mirror, registry)",
        uneventful,
        history
    )
    .execute(&mut *db)
    .await?;
    query!("DELETE FROM changes WHERE at < ?", history)
        .execute(&mut *db)
        .await?;
    query!(
        "DELETE FROM changes WHERE id IN (
             SELECT id FROM (
                 SELECT id, ROW_NUMBER() OVER (PARTITION BY mirror ORDER BY id DESC) AS place
                 FROM changes
             ) WHERE place > ?
         )",
        CHANGES
    )
    .execute(&mut *db)
    .await?;
    query!("DELETE FROM reports WHERE made_at < ?", reports)
        .execute(&mut *db)
        .await?;
    let history_ms = history * 1000;
    query!("DELETE FROM blob_reads WHERE read_at < ?", history_ms)
        .execute(db)
        .await?;
    Ok(())
}

/// Forgets the blobs of repositories that no mirror writes to any more. The target is asked for them
/// if one does again: what is not known is no longer known to be missing. The blobs of the others
/// stay: nobody can tell which of them the tags still lead to, and one that is forgotten cannot be
/// mounted elsewhere. Doubts stay, too: the bytes are wrong however long ago that was found.
async fn repositories(db: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let (noted, history, unnamed) = (now - NOTED, now - HISTORY, now - UNNAMED);
    query!(
        "UPDATE repositories SET named_at = ? WHERE named_at < ? AND id IN (
             SELECT repository_id FROM tags WHERE mirror IN (
                 SELECT mirror FROM runs WHERE started_at >= ?
             )
         )",
        now,
        noted,
        history
    )
    .execute(&mut *db)
    .await?;
    query!(
        "DELETE FROM blobs WHERE repository_id IN (
             SELECT id FROM repositories WHERE named_at < ?
         )",
        unnamed
    )
    .execute(&mut *db)
    .await?;
    query!(
        "UPDATE repositories SET is_complete = 0 WHERE named_at < ? AND is_complete",
        unnamed
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets the ages of images that no tag stands for, and nobody asked for. Sizes stay: those of the
/// children of an index have no name but in the next one that has them.
async fn images(db: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let (noted, unnamed) = (now - NOTED, now - UNNAMED);
    query!(
        "UPDATE images SET named_at = ? WHERE named_at < ? AND digest IN (
             SELECT seen_digest FROM tags UNION SELECT source_digest FROM tags
         )",
        now,
        noted
    )
    .execute(&mut *db)
    .await?;
    query!("DELETE FROM images WHERE named_at < ?", unnamed)
        .execute(db)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
