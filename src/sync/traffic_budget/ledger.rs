//! What a period's budget of traffic is used for: bytes that moved, and bytes that transfers in flight may move.

use std::sync::Arc;

use chrono::NaiveDate;
use parking_lot::Mutex;
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::config::TrafficBudget;

/// A budget in one of its periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BudgetPeriod {
    pub(super) budget: TrafficBudget,
    /// Its first day.
    pub(super) start: NaiveDate,
}

/// What the budget of the present period is used for.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<LedgerState>,
    freed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct LedgerState {
    /// The period that `used_bytes` counts; `None` before the store was asked.
    period: Option<BudgetPeriod>,
    used_bytes: u64,
    in_flight_bytes: u64,
}

/// Whether bytes fit into what is left.
#[derive(Debug)]
pub(super) enum Fit {
    Reserved(Reservation),
    /// Not beside what is in flight.
    Busy,
    /// Not at all.
    Spent,
    /// The database that the workers share does not tell.
    Unknown,
}

/// Bytes of the budget that a transfer in flight may move, until this is dropped. What it has moved is
/// counted as used, too: what is reserved at a time may be more than is needed, and never less.
#[derive(Debug)]
pub(crate) struct Reservation {
    ledger: Option<Arc<Ledger>>,
    bytes: u64,
}

impl Ledger {
    /// Takes note of what the store has for a period. Returns what is used: bytes that were counted
    /// since are not in the store yet.
    pub(super) fn read(&self, period: BudgetPeriod, stored_bytes: u64) -> u64 {
        let mut state = self.state.lock();
        if state.period.map(BudgetPeriod::counting) != Some(period.counting()) {
            state.used_bytes = 0;
        }
        state.period = Some(period);
        state.used_bytes = state.used_bytes.max(stored_bytes);
        state.used_bytes
    }

    /// Adds bytes that moved.
    pub(super) fn add(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.used_bytes = state.used_bytes.saturating_add(bytes);
    }

    /// Whether what is used is known.
    pub(super) fn knows(&self, period: BudgetPeriod) -> bool {
        self.state.lock().period == Some(period)
    }

    /// Bytes that transfers in flight may move.
    pub(super) fn in_flight(&self) -> u64 {
        self.state.lock().in_flight_bytes
    }

    /// Reserves bytes, if they fit.
    pub(super) fn reserve(self: &Arc<Self>, limit_bytes: u64, bytes: u64) -> Fit {
        let mut state = self.state.lock();
        let with_used = state.used_bytes.saturating_add(bytes);
        if with_used > limit_bytes {
            return Fit::Spent;
        }
        if with_used.saturating_add(state.in_flight_bytes) > limit_bytes {
            return Fit::Busy;
        }
        state.in_flight_bytes += bytes;
        Fit::Reserved(Reservation {
            ledger: Some(self.clone()),
            bytes,
        })
    }

    /// The next end of a transfer in flight, from now on.
    pub(super) fn freed(&self) -> OwnedNotified {
        self.freed.clone().notified_owned()
    }
}

impl BudgetPeriod {
    /// What makes a count another: not how much may be moved.
    fn counting(self) -> (NaiveDate, TrafficBudget) {
        let budget = TrafficBudget {
            bytes: 0,
            ..self.budget
        };
        (self.start, budget)
    }
}

impl Reservation {
    /// None is needed.
    pub(super) fn none() -> Self {
        Self {
            ledger: None,
            bytes: 0,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(ledger) = &self.ledger {
            ledger.state.lock().in_flight_bytes -= self.bytes;
            ledger.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
