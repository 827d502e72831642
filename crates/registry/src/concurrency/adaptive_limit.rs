//! AIMD, additive increase and multiplicative decrease, for the number of concurrent transfers.
//! Congestion halves the limit. It grows by a quarter as long as that raises the throughput. So it
//! settles near the point where more transfers bring nothing.

use std::time::{Duration, Instant};

/// Minimum time between two cuts: transfers in flight meet the same congestion.
const SETTLING: Duration = Duration::from_secs(5);
/// How long bytes are counted before the throughput is compared.
const ROUND: Duration = Duration::from_secs(2);
/// Factor by which the throughput has to grow for the limit to grow on.
const GAIN: f64 = 1.03;
/// Rounds without a step after one that brought nothing.
const COOLDOWN_ROUNDS: u32 = 15;

/// The number of concurrent transfers, between 1 and a maximum.
#[derive(Debug)]
pub(crate) struct AdaptiveLimit {
    limit: usize,
    current: usize,
    cut_at: Option<Instant>,
    round_began: Option<Instant>,
    round_bytes: u64,
    /// Bytes per second before the last step up.
    rate_before: f64,
    /// Rounds before the next step up.
    cooldown_rounds: u32,
}

impl AdaptiveLimit {
    /// Starts at the maximum: a registry that cannot bear it asks to slow down.
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

    /// The limit now.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// Halves the limit: the registry asked to slow down, or a connection stalled.
    pub(crate) fn on_congestion(&mut self, at: Instant) {
        let has_settled = |cut_at| at.saturating_duration_since(cut_at) >= SETTLING;
        if self.cut_at.is_none_or(has_settled) {
            self.current = (self.current / 2).max(1);
            self.cut_at = Some(at);
            (self.rate_before, self.cooldown_rounds) = (0.0, 1);
            self.round_began = None;
        }
    }

    /// Counts bytes that a transfer moved while others waited for a permit.
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
