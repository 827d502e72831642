//! How many bytes of blobs were moved, by day.

use chrono::NaiveDate;
use sqlx::{SqliteConnection, query};

use crate::store::{Error, Store, queries::view::unsigned};

/// How long, in seconds, days are kept.
const DAYS: i64 = 400 * 24 * 3600;

/// Bytes of blobs that were moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// To targets.
    pub sent: u64,
    /// From sources.
    pub received: u64,
}

/// Adds to what was moved on a day.
pub(crate) async fn add(
    db: &mut SqliteConnection,
    day: NaiveDate,
    moved: Moved,
) -> Result<(), sqlx::Error> {
    let day = day.to_string();
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let (sent, received) = (signed(moved.sent), signed(moved.received));
    query!(
        "INSERT INTO traffic (day, sent, received) VALUES (?, ?, ?)
         ON CONFLICT (day) DO UPDATE SET sent = sent + excluded.sent,
                                         received = received + excluded.received",
        day,
        sent,
        received
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets the days that no budget asks for any more.
pub(crate) async fn thin(db: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
    let oldest = now - DAYS;
    query!(
        "DELETE FROM traffic WHERE day < date(?, 'unixepoch')",
        oldest
    )
    .execute(db)
    .await?;
    Ok(())
}

impl Store {
    /// What was moved on a day and since.
    pub async fn moved_since(&self, day: NaiveDate) -> Result<Moved, Error> {
        let day = day.to_string();
        let row = query!(
            r#"SELECT COALESCE(SUM(sent), 0) AS "sent!: i64",
                      COALESCE(SUM(received), 0) AS "received!: i64"
               FROM traffic WHERE day >= ?"#,
            day
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(Moved {
            sent: unsigned(row.sent),
            received: unsigned(row.received),
        })
    }
}
