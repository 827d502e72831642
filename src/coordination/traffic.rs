//! The traffic budget of an egress, which its workers draw in grants.

use std::time::Duration;

use tokio::time::Instant;
use transship_cluster::{BudgetKey, Error, grant_bytes};

use crate::coordination::Membership;

/// How long a budget that was found spent is not asked about again: others may give back what they
/// did not use.
const SPENT: Duration = Duration::from_secs(30);

/// A traffic budget in one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodBudget {
    /// Which period.
    pub period: String,
    /// What may be moved in it.
    pub limit_bytes: u64,
}

/// What this worker drew of a budget.
#[derive(Debug, Default)]
pub(crate) struct TrafficGrants {
    period: String,
    /// Bytes that were granted and not used yet; negative where more was moved.
    left_bytes: i64,
    /// Bytes that all workers of the egress have drawn, as the last draw showed.
    drawn_bytes: u64,
    spent_at: Option<Instant>,
}

impl TrafficGrants {
    /// Uses bytes. Returns how many to draw.
    fn use_up(&mut self, budget: &PeriodBudget, moved_bytes: u64) -> Option<u64> {
        if self.period != budget.period {
            *self = Self {
                period: budget.period.clone(),
                ..Self::default()
            };
        }
        let moved = i64::try_from(moved_bytes).unwrap_or(i64::MAX);
        self.left_bytes = self.left_bytes.saturating_sub(moved);
        let is_spent = self.spent_at.is_some_and(|at| at.elapsed() < SPENT);
        let lacking = self.left_bytes.min(0).unsigned_abs();
        let grant = grant_bytes(budget.limit_bytes);
        (self.left_bytes <= 0 && !is_spent).then(|| lacking.saturating_add(grant))
    }

    fn granted(&mut self, granted_bytes: u64, drawn_bytes: u64) {
        let granted = i64::try_from(granted_bytes).unwrap_or(i64::MAX);
        self.left_bytes = self.left_bytes.saturating_add(granted);
        self.drawn_bytes = drawn_bytes;
        self.spent_at = (granted_bytes == 0).then(Instant::now);
    }

    /// What was used of a budget by all workers: what others hold counts as used.
    fn used(&self, period: &str) -> Option<u64> {
        let left = u64::try_from(self.left_bytes).unwrap_or_default();
        let is_known = self.period == period && self.drawn_bytes > 0;
        is_known.then(|| self.drawn_bytes.saturating_sub(left))
    }
}

impl Membership {
    /// Takes note of bytes that moved, and draws more where the last grant is used up.
    pub async fn use_traffic(&self, budget: &PeriodBudget, moved_bytes: u64) {
        let wanted = self.grants().use_up(budget, moved_bytes);
        let Some(wanted) = wanted else {
            return;
        };
        if let Err(error) = self.draw_traffic(budget, wanted).await {
            tracing::debug!(%error, "the traffic budget was not drawn on");
        }
    }

    async fn draw_traffic(&self, budget: &PeriodBudget, wanted: u64) -> Result<(), Error> {
        let Some(worker) = self.worker() else {
            return Ok(());
        };
        let limits = worker.limits();
        let key = self.budget_key(&budget.period);
        let draw = limits.draw_budget(&key, budget.limit_bytes, wanted).await?;
        self.grants().granted(draw.granted_bytes, draw.drawn_bytes);
        Ok(())
    }

    /// What all workers of this egress used of a budget; `None` before it was drawn on.
    pub fn traffic_used(&self, budget: &PeriodBudget) -> Option<u64> {
        self.grants().used(&budget.period)
    }

    /// Gives back what was drawn and not used.
    pub(crate) async fn return_traffic(&self) -> Result<(), Error> {
        let grants = std::mem::take(&mut *self.grants());
        let left = u64::try_from(grants.left_bytes).unwrap_or_default();
        match self.worker() {
            Some(worker) if left > 0 => {
                let key = self.budget_key(&grants.period);
                worker.limits().return_budget(&key, left).await
            }
            _ => Ok(()),
        }
    }

    fn budget_key(&self, period: &str) -> BudgetKey {
        BudgetKey {
            egress: self.settings().egress.clone(),
            period: period.into(),
        }
    }
}

#[cfg(test)]
mod tests;
