//! Budgets of traffic: drawn in grants before they are used.

use std::ops::RangeInclusive;

use sqlx::query;

use crate::{
    Error, SharedLimits,
    database::values::{signed, unsigned},
};

/// The largest grant, in bytes.
const LARGEST_GRANT: u64 = 64 << 20;

/// How many bytes to draw at a time: 64 MiB, or one percent of the budget if that is less. A crash
/// loses one grant.
pub fn grant_bytes(limit_bytes: u64) -> u64 {
    LARGEST_GRANT.min(limit_bytes / 100).max(1)
}

/// A budget in one period.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BudgetKey {
    /// The egress that it counts for.
    pub egress: String,
    /// The period, as in `2026-12`.
    pub period: String,
}

/// What a draw brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Bytes that may be moved. 0: the budget is spent.
    pub granted_bytes: u64,
    /// Bytes that all workers have drawn in the period, these included.
    pub drawn_bytes: u64,
}

impl SharedLimits {
    /// Draws bytes of a budget: as many as are left, up to the most that are wanted. Where fewer are
    /// left than the least that is wanted, none.
    pub async fn draw_budget(
        &self,
        budget: &BudgetKey,
        limit_bytes: u64,
        want_bytes: RangeInclusive<u64>,
    ) -> Result<Draw, Error> {
        // RETURNING sees the row as it is after the change: the grant has a column of its own.
        let query = query!(
            "INSERT INTO transship.budgets AS b (egress, period, drawn, last_grant, drawn_at)
             SELECT $1, $2, given, given, transship.clock()
             FROM (SELECT CASE WHEN $3::bigint >= $4::bigint THEN least($3::bigint, $5::bigint)
                               ELSE 0 END AS given) AS first
             ON CONFLICT (egress, period) DO UPDATE
             SET (drawn, last_grant, drawn_at) = (
                 SELECT b.drawn + given, given, excluded.drawn_at
                 FROM (SELECT CASE WHEN $3::bigint - b.drawn >= $4::bigint
                                   THEN greatest(least($3::bigint - b.drawn, $5::bigint), 0)
                                   ELSE 0 END AS given) AS next)
             RETURNING drawn, last_grant",
            budget.egress,
            budget.period,
            signed(limit_bytes),
            signed(*want_bytes.start()),
            signed(*want_bytes.end())
        );
        let row = self
            .worker
            .database()
            .one("draw on a budget", query)
            .await?;
        Ok(Draw {
            granted_bytes: unsigned(row.last_grant),
            drawn_bytes: unsigned(row.drawn),
        })
    }

    /// Gives back what was drawn and not used.
    pub async fn return_budget(&self, budget: &BudgetKey, unused_bytes: u64) -> Result<(), Error> {
        let query = query!(
            "UPDATE transship.budgets SET drawn = greatest(drawn - $3::bigint, 0)
             WHERE egress = $1 AND period = $2",
            budget.egress,
            budget.period,
            signed(unused_bytes)
        );
        let database = self.worker.database();
        let returned = database
            .execute("give back what a budget granted", query)
            .await;
        returned.map(|_| ())
    }

    /// Bytes that all workers have drawn of a budget.
    pub async fn budget_drawn(&self, budget: &BudgetKey) -> Result<u64, Error> {
        let query = query!(
            "SELECT drawn FROM transship.budgets WHERE egress = $1 AND period = $2",
            budget.egress,
            budget.period
        );
        let row = self
            .worker
            .database()
            .optional("read a budget", query)
            .await?;
        Ok(row.map_or(0, |row| unsigned(row.drawn)))
    }
}

#[cfg(test)]
mod tests;
