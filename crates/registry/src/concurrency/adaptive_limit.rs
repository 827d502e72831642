//! How many flows a registry gets: fewer after trouble, more while that moves more bytes.

use std::time::{Duration, Instant};

/// How long after a cut the next trouble cuts again: what was under way meets the same trouble.
const SETTLING: Duration = Duration::from_secs(5);
/// How long bytes are counted before two widths are compared.
const ROUND: Duration = Duration::from_secs(2);
/// By how much a wider pipe has to move more for the width to grow on.
const GAIN: f64 = 1.03;
/// Rounds that a width is kept for when the last step brought nothing.
const COOLDOWN_ROUNDS: u32 = 15;

/// The number of flows, between 1 and a limit.
#[derive(Debug)]
pub(crate) struct AdaptiveLimit {
    limit: usize,
    current: usize,
    cut_at: Option<Instant>,
    round_began: Option<Instant>,
    round_bytes: u64,
    /// Bytes a second before the last step up.
    rate_before: f64,
    /// Rounds to wait for before the next step up.
    cooldown_rounds: u32,
}

impl AdaptiveLimit {
    /// As wide as allowed: a registry that cannot bear it says so.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            current: limit,
            cut_at: None,
            round_began: None,
            round_bytes: 0,
            rate_before: 0.0,
            cooldown_rounds: 0,
        }
    }

    /// Flows that there may be now.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// Takes note of a registry that asks to slow down, or of a connection that went silent.
    pub(crate) fn on_congestion(&mut self, at: Instant) {
        let has_settled = |cut_at| at.saturating_duration_since(cut_at) >= SETTLING;
        if self.cut_at.is_none_or(has_settled) {
            self.current = (self.current / 2).max(1);
            self.cut_at = Some(at);
            (self.rate_before, self.cooldown_rounds) = (0.0, 1);
            self.round_began = None;
        }
    }

    /// Takes note of bytes that a flow moved while others waited for one.
    pub(crate) fn on_progress(&mut self, bytes: u64, at: Instant) {
        if self.current == self.limit {
            return;
        }
        self.round_bytes += bytes;
        let began = *self.round_began.get_or_insert(at);
        let took = at.saturating_duration_since(began);
        if took < ROUND {
            return;
        }
        let rate = self.round_bytes as f64 / took.as_secs_f64();
        (self.round_began, self.round_bytes) = (Some(at), 0);
        if self.cooldown_rounds > 0 {
            self.cooldown_rounds -= 1;
        } else if rate >= self.rate_before * GAIN {
            self.rate_before = rate;
            self.current = (self.current + (self.current / 4).max(1)).min(self.limit);
        } else {
            (self.rate_before, self.cooldown_rounds) = (0.0, COOLDOWN_ROUNDS);
        }
    }
}

#[cfg(test)]
mod tests;
