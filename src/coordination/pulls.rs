//! Pull quotas and request rates of registries, which the workers behind one address or of one account share.

use std::time::Duration;

use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::timeout;
use transship_cluster::{ClusterStatus, QuotaDraw, QuotaKey, QuotaReport};

use crate::{
    coordination::{DATABASE_PATIENCE, Membership},
    registry::{PullDraw, PullGrant, SharedAccounts},
};

/// The window of a quota whose registry reports none.
const WINDOW: Duration = Duration::from_secs(3600);

impl SharedAccounts for Membership {
    fn draw(&self, draw: PullDraw) -> BoxFuture<'_, Option<PullGrant>> {
        self.draw_pulls(draw).boxed()
    }

    fn sharers(&self, user: Option<&str>) -> u32 {
        let status = self.status();
        let count = status.map_or(1, |status| sharers(&status, user, &self.settings().egress));
        count.max(1)
    }
}

impl Membership {
    async fn draw_pulls(&self, draw: PullDraw) -> Option<PullGrant> {
        let limits = self.worker()?.limits();
        let key = QuotaKey {
            registry: draw.registry.to_string(),
            account: account(draw.user.as_deref(), &self.settings().egress),
        };
        let report = QuotaReport {
            limit: draw.quota.limit.unwrap_or(draw.quota.remaining),
            remaining: draw.quota.remaining,
            window: draw.quota.window.unwrap_or(WINDOW),
            age: draw.reported_ago,
        };
        let wanted = QuotaDraw {
            held: draw.held,
            want: draw.want,
        };
        let drawn = timeout(DATABASE_PATIENCE, limits.draw_quota(&key, report, wanted)).await;
        let drawn = drawn.ok()?.inspect_err(|error| {
            tracing::debug!(%error, registry = key.registry, "the pull quota was not drawn on");
        });
        let grant = drawn.ok()?;
        Some(PullGrant {
            granted: grant.granted,
            remaining: grant.remaining,
        })
    }
}

/// How many workers a registry may count as one. Which login the others have is not known: all are
/// taken to have the same.
fn sharers(status: &ClusterStatus, user: Option<&str>, egress: &str) -> u32 {
    let workers = status.workers.iter().filter(|worker| worker.is_live());
    let sharing = workers.filter(|worker| user.is_some() || worker.egress == egress);
    u32::try_from(sharing.count()).unwrap_or(u32::MAX)
}

/// Whose pulls a registry counts: those of a user, or else those of the address.
fn account(user: Option<&str>, egress: &str) -> String {
    match user {
        Some(user) => format!("user {user}"),
        None => format!("egress {egress}"),
    }
}

#[cfg(test)]
mod tests;
