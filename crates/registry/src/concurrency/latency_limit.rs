//! A concurrency limit that follows latency, for small requests: on a far line they wait for round
//! trips, not for bandwidth.
//!
//! The limit doubles while answers take no longer for it. A registry whose answers take longer with
//! twice the requests has no more to give, and the step is taken back. A refusal halves the limit, and
//! it stays low for long: a registry that asked to slow down is not probed.

use std::time::{Duration, Instant};

/// Requests in flight at the start, for each transfer.
const START: usize = 4;
/// By how much the limit may grow.
const GROWTH: usize = 4;
/// Requests in flight to which no limit grows: each has a connection.
const MOST: usize = 256;
/// Answers per second from which on the limit does not grow: nobody waits long, and more would look
/// like an attack.
const ENOUGH: f64 = 1000.0;
/// By which factor answers may slow down when the limit doubles.
const MAX_SLOWDOWN: f64 = 1.5;
/// How long no step follows one that was taken back.
const REST_AFTER_STEP: Duration = Duration::from_secs(10);
/// How long no step follows a refusal.
const REST_AFTER_REFUSAL: Duration = Duration::from_secs(600);
/// Minimum time between two cuts: requests in flight meet the same refusal.
const SETTLING: Duration = Duration::from_secs(5);

/// The number of small requests in flight.
#[derive(Debug)]
pub(crate) struct LatencyLimit {
    least: usize,
    start: usize,
    most: usize,
    current: usize,
    /// Answers that are not counted, because their requests were sent before the last step, or opened
    /// a connection.
    unsettled: usize,
    latencies: Vec<Duration>,
    step: Option<LimitStep>,
    cut_at: Option<Instant>,
    rests_until: Option<Instant>,
}

/// A step up that is not yet judged.
#[derive(Clone, Copy, Debug)]
struct LimitStep {
    limit_before: usize,
    latency_before: Duration,
}

impl LatencyLimit {
    /// A limit for a registry with so many concurrent transfers.
    pub(crate) fn new(connections: usize) -> Self {
        let start = START * connections;
        Self {
            least: connections,
            start,
            most: Self::most(connections),
            current: start,
            unsettled: 2 * start,
            latencies: Vec::new(),
            step: None,
            cut_at: None,
            rests_until: None,
        }
    }

    /// The limit to which that of a registry with so many concurrent transfers grows.
    pub(crate) fn most(connections: usize) -> usize {
        let start = START * connections;
        (GROWTH * start).min(MOST).max(start)
    }

    /// The limit now.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// Halves the limit: the registry asked to slow down.
    pub(crate) fn on_refusal(&mut self, at: Instant) {
        let has_settled = |cut_at| at.saturating_duration_since(cut_at) >= SETTLING;
        if self.cut_at.is_none_or(has_settled) {
            self.cut_at = Some(at);
            self.change((self.current / 2).max(self.least));
        }
        self.step = None;
        self.rests_until = Some(at + REST_AFTER_REFUSAL);
    }

    /// Takes note of an answer that came while all permits were in use.
    pub(crate) fn on_answer(&mut self, latency: Duration, at: Instant) {
        let rests = self.rests_until.is_some_and(|until| at < until);
        let is_settled = self.step.is_none() && self.current == self.most;
        if rests || is_settled {
            return;
        }
        if self.unsettled > 0 {
            self.unsettled -= 1;
            return;
        }
        self.latencies.push(latency);
        if self.latencies.len() >= self.current {
            self.end_round(at);
        }
    }

    fn end_round(&mut self, at: Instant) {
        self.latencies.sort_unstable();
        // The slower ones may have waited for a connection or a token.
        let latency = self.latencies[self.latencies.len() / 4];
        self.latencies.clear();
        let limit_before = self.current;
        match self.step.take() {
            Some(step) if latency > step.latency_before.mul_f64(MAX_SLOWDOWN) => {
                self.change(step.limit_before);
                self.rests_until = Some(at + REST_AFTER_STEP);
            }
            _ if self.is_enough(latency) || self.current == self.most => {}
            _ => {
                self.change((2 * self.current).min(self.most));
                self.step = Some(LimitStep {
                    limit_before,
                    latency_before: latency,
                });
            }
        }
    }

    fn is_enough(&self, latency: Duration) -> bool {
        let per_second = self.current as f64 / latency.as_secs_f64();
        self.current >= self.start && per_second >= ENOUGH
    }

    fn change(&mut self, limit: usize) {
        self.current = limit;
        // Requests that open a connection take three round trips, the others one.
        self.unsettled = 2 * limit;
        self.latencies.clear();
    }
}

#[cfg(test)]
mod tests;
