//! Quotas of pulls: what registries report, and what workers have drawn of it.

use std::time::Duration;

use sqlx::query;

use crate::{
    Error, SharedLimits,
    database::values::{seconds, signed, unsigned},
};

/// A quota.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QuotaKey {
    /// The registry that counts.
    pub registry: String,
    /// Whose pulls it counts: a user, or an egress where it counts addresses.
    pub account: String,
}

/// What a registry reports of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaReport {
    /// Pulls in a window.
    pub limit: u64,
    /// Pulls that remain.
    pub remaining: u64,
    /// How long the window is. After one without a report, the quota counts as full again.
    pub window: Duration,
}

impl SharedLimits {
    /// Records what a registry reports. The last report counts.
    pub async fn report_quota(&self, quota: &QuotaKey, report: QuotaReport) -> Result<(), Error> {
        let query = query!(
            "INSERT INTO transship.quotas (registry, account, quota, remaining, window_ends)
             VALUES ($1, $2, $3, $4, transship.clock() + make_interval(secs => $5))
             ON CONFLICT (registry, account) DO UPDATE
             SET quota = excluded.quota, remaining = excluded.remaining,
                 window_ends = excluded.window_ends",
            quota.registry,
            quota.account,
            signed(report.limit),
            signed(report.remaining),
            seconds(report.window)
        );
        let database = self.worker.database();
        database.execute("record a quota", query).await.map(|_| ())
    }

    /// Draws pulls of a quota, as many as are wanted, remain, and were not drawn by a living
    /// worker. `None` where nothing is known of it yet.
    pub async fn draw_quota(&self, quota: &QuotaKey, want: u64) -> Result<Option<u64>, Error> {
        let database = self.worker.database();
        let work = async {
            let mut transaction = database.begin().await?;
            // Two draws at a time would both see what only one of them can have.
            let row = query!(
                r#"SELECT CASE WHEN window_ends > transship.clock() THEN remaining ELSE quota END
                     AS "remaining!"
                 FROM transship.quotas WHERE registry = $1 AND account = $2 FOR UPDATE"#,
                quota.registry,
                quota.account
            )
            .fetch_optional(transaction.run())
            .await?;
            let Some(row) = row else {
                return Ok(None);
            };
            let drawn = query!(
                r#"SELECT coalesce(sum(d.drawn), 0)::bigint AS "drawn!"
                 FROM transship.quota_draws d JOIN transship.workers w ON w.id = d.worker
                 WHERE d.registry = $1 AND d.account = $2 AND transship.lives(w.lease_until)"#,
                quota.registry,
                quota.account
            )
            .fetch_one(transaction.run())
            .await?;
            let granted = unsigned(row.remaining.saturating_sub(drawn.drawn)).min(want);
            query!(
                "INSERT INTO transship.quota_draws AS d (registry, account, worker, drawn)
                 VALUES ($1, $2, $3, $4)
                 ON CONFLICT (registry, account, worker) DO UPDATE
                 SET drawn = d.drawn + excluded.drawn",
                quota.registry,
                quota.account,
                self.worker.id,
                signed(granted)
            )
            .execute(transaction.run())
            .await?;
            transaction.commit().await?;
            Ok(Some(granted))
        };
        database.bounded("draw on a quota", work).await
    }

    /// Ends draws: pulls that were made, and whose report is recorded, or that are no longer
    /// wanted.
    pub async fn return_quota(&self, quota: &QuotaKey, pulls: u64) -> Result<(), Error> {
        let query = query!(
            "UPDATE transship.quota_draws SET drawn = greatest(drawn - $4::bigint, 0)
             WHERE registry = $1 AND account = $2 AND worker = $3",
            quota.registry,
            quota.account,
            self.worker.id,
            signed(pulls)
        );
        let database = self.worker.database();
        let returned = database.execute("end a draw on a quota", query).await;
        returned.map(|_| ())
    }
}
