//! Reports and alarms that one worker sends for all.

use sqlx::query;

use crate::{Error, Worker};

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NoticeKey {
    /// What it is: `report`, `alarm`.
    pub kind: String,
    /// Which one: a day, or the subject of an alarm.
    pub key: String,
}

/// Reports and alarms, as the workers share them.
#[derive(Clone, Debug)]
pub struct Notices {
    worker: Worker,
}

impl Notices {
    pub(crate) fn new(worker: Worker) -> Self {
        Self { worker }
    }

    /// Whether this worker is the one to send a notice. It calls [`Notices::sent`] after that. If
    /// it dies before, the next worker that asks is the one.
    pub async fn begin(&self, notice: &NoticeKey) -> Result<bool, Error> {
        let query = query!(
            "INSERT INTO transship.notices AS n (kind, key, worker, begun_at)
             VALUES ($1, $2, $3, transship.clock())
             ON CONFLICT (kind, key) DO UPDATE
             SET worker = excluded.worker, begun_at = excluded.begun_at
             WHERE n.sent_at IS NULL AND (n.worker = excluded.worker OR NOT EXISTS (
                 SELECT 1 FROM transship.workers w
                 WHERE w.id = n.worker AND transship.lives(w.lease_until)))",
            notice.kind,
            notice.key,
            self.worker.id
        );
        let begun = self
            .worker
            .database()
            .execute("begin a notice", query)
            .await?;
        Ok(begun > 0)
    }

    /// Records that a notice was sent. Nobody sends it again until it is cleared.
    pub async fn sent(&self, notice: &NoticeKey) -> Result<(), Error> {
        let query = query!(
            "UPDATE transship.notices SET sent_at = transship.clock()
             WHERE kind = $1 AND key = $2 AND worker = $3 AND sent_at IS NULL",
            notice.kind,
            notice.key,
            self.worker.id
        );
        let sent = self
            .worker
            .database()
            .execute("record a notice", query)
            .await;
        sent.map(|_| ())
    }

    /// Ends a notice, so that it can be sent again. True for the one caller that ends one that was
    /// sent: it announces the recovery.
    pub async fn clear(&self, notice: &NoticeKey) -> Result<bool, Error> {
        let query = query!(
            "DELETE FROM transship.notices WHERE kind = $1 AND key = $2 RETURNING sent_at",
            notice.kind,
            notice.key
        );
        let cleared = self
            .worker
            .database()
            .optional("end a notice", query)
            .await?;
        Ok(cleared.is_some_and(|row| row.sent_at.is_some()))
    }
}
