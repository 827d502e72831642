//! The traffic budget of an egress, which its workers draw in grants.

use std::{ops::RangeInclusive, time::Duration};

use tokio::time::{Instant, timeout};
use transship_cluster::{BudgetKey, Draw, Error, grant_bytes};

use crate::coordination::{DATABASE_PATIENCE, DATABASE_RETRY, Membership};

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
    failed_at: Option<Instant>,
}

/// What is to be drawn before bytes may be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TrafficNeed {
    /// Nothing: they were granted.
    Nothing,
    /// The least and the most.
    Draw(RangeInclusive<u64>),
    /// Nothing is left to draw.
    Spent,
    /// The database did not answer just now.
    Unknown,
}

impl TrafficGrants {
    /// Begins with nothing where the period is another.
    fn enter(&mut self, budget: &PeriodBudget) {
        if self.period != budget.period {
            *self = Self {
                period: budget.period.clone(),
                ..Self::default()
            };
        }
    }

    /// Uses bytes. Returns how many to draw.
    fn use_up(&mut self, budget: &PeriodBudget, moved_bytes: u64) -> Option<RangeInclusive<u64>> {
        self.enter(budget);
        let moved = i64::try_from(moved_bytes).unwrap_or(i64::MAX);
        self.left_bytes = self.left_bytes.saturating_sub(moved);
        let lacking = self.left_bytes.min(0).unsigned_abs();
        let is_wanted = self.left_bytes <= 0 && !self.is_spent() && !self.is_failing();
        is_wanted.then(|| 0..=lacking.saturating_add(grant_bytes(budget.limit_bytes)))
    }

    /// What to draw before bytes may be moved.
    fn need(&mut self, budget: &PeriodBudget, bytes: u64) -> TrafficNeed {
        self.enter(budget);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let lacking = bytes.saturating_sub(self.left_bytes);
        match u64::try_from(lacking) {
            Err(_) | Ok(0) => TrafficNeed::Nothing,
            Ok(_) if self.is_spent() => TrafficNeed::Spent,
            Ok(_) if self.is_failing() => TrafficNeed::Unknown,
            Ok(lacking) => {
                let most = lacking.saturating_add(grant_bytes(budget.limit_bytes));
                TrafficNeed::Draw(lacking..=most)
            }
        }
    }

    /// Takes what is neither used nor wanted for transfers in flight, and more than a grant.
    fn take_surplus(&mut self, budget: &PeriodBudget, in_flight_bytes: u64) -> Option<u64> {
        let grant = grant_bytes(budget.limit_bytes);
        let left = u64::try_from(self.left_bytes).unwrap_or_default();
        let surplus = left.saturating_sub(in_flight_bytes).saturating_sub(grant);
        let surplus = Some(surplus).filter(|surplus| *surplus > grant)?;
        let signed = i64::try_from(surplus).unwrap_or(i64::MAX);
        self.left_bytes = self.left_bytes.saturating_sub(signed);
        self.drawn_bytes = self.drawn_bytes.saturating_sub(surplus);
        Some(surplus)
    }

    fn granted(&mut self, budget: &PeriodBudget, draw: Draw) {
        let granted = i64::try_from(draw.granted_bytes).unwrap_or(i64::MAX);
        self.left_bytes = self.left_bytes.saturating_add(granted);
        self.drawn_bytes = draw.drawn_bytes;
        let is_spent = draw.granted_bytes == 0 && draw.drawn_bytes >= budget.limit_bytes;
        self.spent_at = is_spent.then(Instant::now);
    }

    fn failed(&mut self) {
        self.failed_at = Some(Instant::now());
    }

    fn is_spent(&self) -> bool {
        self.spent_at.is_some_and(|at| at.elapsed() < SPENT)
    }

    fn is_failing(&self) -> bool {
        self.failed_at
            .is_some_and(|at| at.elapsed() < DATABASE_RETRY)
    }

    /// What was used of a budget by all workers: what others hold counts as used.
    fn used(&self, period: &str) -> Option<u64> {
        let left = u64::try_from(self.left_bytes).unwrap_or_default();
        let is_known = self.period == period && self.drawn_bytes > 0;
        is_known.then(|| self.drawn_bytes.saturating_sub(left))
    }
}

impl Membership {
    /// Takes note of bytes that moved. Draws more where the last grant is used up, and gives back
    /// what is more than transfers in flight may still move.
    pub async fn use_traffic(&self, budget: &PeriodBudget, moved_bytes: u64, in_flight_bytes: u64) {
        let wanted = self.grants().use_up(budget, moved_bytes);
        if let Some(wanted) = wanted {
            self.draw_traffic(budget, wanted).await;
            return;
        }
        let surplus = self.grants().take_surplus(budget, in_flight_bytes);
        if let (Some(surplus), Some(worker)) = (surplus, self.worker()) {
            let (limits, key) = (worker.limits(), self.budget_key(&budget.period));
            let returned = timeout(DATABASE_PATIENCE, limits.return_budget(&key, surplus)).await;
            if !matches!(returned, Ok(Ok(()))) {
                // Nobody knows whether it arrived: it counts as used until the end of the period.
                tracing::debug!(?returned, "a part of the traffic budget was not given back");
            }
        }
    }

    /// Draws what transfers in flight may move, unless it was granted before. Returns whether it is
    /// granted then; `None` if the database does not tell.
    pub async fn grant_traffic(&self, budget: &PeriodBudget, in_flight_bytes: u64) -> Option<bool> {
        let need = self.grants().need(budget, in_flight_bytes);
        match need {
            TrafficNeed::Nothing => Some(true),
            TrafficNeed::Spent => Some(false),
            TrafficNeed::Unknown => None,
            TrafficNeed::Draw(wanted) => {
                let granted_bytes = self.draw_traffic(budget, wanted).await?;
                Some(granted_bytes > 0)
            }
        }
    }

    /// Draws bytes; how many were granted, if the database tells.
    async fn draw_traffic(
        &self,
        budget: &PeriodBudget,
        wanted: RangeInclusive<u64>,
    ) -> Option<u64> {
        let limits = self.worker()?.limits();
        let key = self.budget_key(&budget.period);
        let draw = limits.draw_budget(&key, budget.limit_bytes, wanted);
        match timeout(DATABASE_PATIENCE, draw).await {
            Ok(Ok(draw)) => {
                self.grants().granted(budget, draw);
                Some(draw.granted_bytes)
            }
            failed => {
                tracing::debug!(?failed, "the traffic budget was not drawn on");
                self.grants().failed();
                None
            }
        }
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
