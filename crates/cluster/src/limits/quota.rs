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
    /// How long the window is.
    pub window: Duration,
    /// How long ago it was reported. An older report than the last one never raises what remains.
    pub age: Duration,
}

/// What a worker holds of a quota, and asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaDraw {
    /// Pulls that it may still make, or made after the report.
    pub held: u64,
    /// How many more it asks for.
    pub want: u64,
}

/// What a draw brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaGrant {
    /// How many more pulls the worker may make.
    pub granted: u64,
    /// Pulls that remain, as was reported last. Workers may hold some of them.
    pub remaining: u64,
}

impl SharedLimits {
    /// Records what a registry reports and what this worker holds, and draws pulls: as many as it
    /// asks for, remain, and are not held by it or by another living worker.
    pub async fn draw_quota(
        &self,
        quota: &QuotaKey,
        report: QuotaReport,
        draw: QuotaDraw,
    ) -> Result<QuotaGrant, Error> {
        let database = self.worker.database();
        let work = async {
            let mut transaction = database.begin().await?;
            // It locks the row: two draws at a time would both see what only one of them can have.
            let row = query!(
                "INSERT INTO transship.quotas AS q (registry, account, quota, remaining, window_ends)
                 VALUES ($1, $2, $3, $4, transship.clock() + make_interval(secs => $5))
                 ON CONFLICT (registry, account) DO UPDATE
                 SET quota = excluded.quota,
                     remaining = CASE WHEN excluded.window_ends >= q.window_ends
                         THEN excluded.remaining
                         ELSE least(excluded.remaining, q.remaining) END,
                     window_ends = greatest(excluded.window_ends, q.window_ends)
                 RETURNING remaining",
                quota.registry,
                quota.account,
                signed(report.limit),
                signed(report.remaining),
                seconds(report.window) - seconds(report.age)
            )
            .fetch_one(transaction.run())
            .await?;
            let others = query!(
                r#"SELECT coalesce(sum(d.drawn), 0)::bigint AS "held!"
                 FROM transship.quota_draws d JOIN transship.workers w ON w.id = d.worker
                 WHERE d.registry = $1 AND d.account = $2 AND d.worker <> $3
                   AND transship.lives(w.lease_until)"#,
                quota.registry,
                quota.account,
                self.worker.id
            )
            .fetch_one(transaction.run())
            .await?;
            let remaining = unsigned(row.remaining);
            let held = unsigned(others.held).saturating_add(draw.held);
            let granted = remaining.saturating_sub(held).min(draw.want);
            query!(
                "INSERT INTO transship.quota_draws (registry, account, worker, drawn)
                 VALUES ($1, $2, $3, $4)
                 ON CONFLICT (registry, account, worker) DO UPDATE SET drawn = excluded.drawn",
                quota.registry,
                quota.account,
                self.worker.id,
                signed(draw.held + granted)
            )
            .execute(transaction.run())
            .await?;
            transaction.commit().await?;
            Ok(QuotaGrant { granted, remaining })
        };
        database.bounded("draw on a quota", work).await
    }
}
