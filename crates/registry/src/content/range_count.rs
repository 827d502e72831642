//! How many ranges of a blob are pulled at a time: as many as raise the throughput.
//!
//! The number doubles as long as that pays, and goes back where it does not. Later it grows by a
//! quarter now and then, and is halved on congestion: additive increase, multiplicative decrease.

use std::time::Duration;

use tokio::time::Instant;

/// How long bytes are counted before throughputs are compared.
const ROUND: Duration = Duration::from_secs(1);
/// Time after a step that does not count: new connections have no bytes yet.
const SETTLING: Duration = Duration::from_millis(500);
/// Factor by which twice as many ranges have to raise the throughput.
const GAIN_OF_DOUBLING: f64 = 1.15;
/// Factor by which a quarter more have to raise it.
const GAIN: f64 = 1.03;
/// Rounds without a step after one that brought nothing.
const COOLDOWN_ROUNDS: u32 = 15;

/// The number of ranges, between 1 and a maximum.
#[derive(Debug)]
pub(crate) struct RangeCount {
    current: usize,
    most: usize,
    /// The number before the last step up, and the bytes per second that it had.
    before: (usize, f64),
    /// Whether the last step is not judged yet.
    is_trial: bool,
    /// Whether steps double the number.
    is_doubling: bool,
    cooldown_rounds: u32,
    /// When the round began, and the bytes received until then.
    round: Option<(Instant, u64)>,
    settled_at: Instant,
}

impl RangeCount {
    /// Starts with `first` ranges, after one connection had this rate in bytes per second.
    pub(crate) fn new(first: usize, most: usize, rate: f64, at: Instant) -> Self {
        Self {
            current: first.min(most),
            most,
            before: (1, rate),
            is_trial: true,
            is_doubling: true,
            cooldown_rounds: 0,
            round: None,
            settled_at: at + SETTLING,
        }
    }

    /// The number now. With 1, ranges bring nothing.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// Looks at the bytes received so far. `is_full` is whether as many ranges are in flight as may
    /// be: otherwise memory, permits or the reader are the limit, and more ranges would wait, too.
    pub(crate) fn on_progress(&mut self, received: u64, is_full: bool, at: Instant) {
        if at < self.settled_at {
            return;
        }
        let (began, before) = match self.round {
            Some(round) if is_full || !self.is_trial => round,
            _ => return self.round = Some((at, received)),
        };
        let took = at.saturating_duration_since(began);
        if took < ROUND {
            return;
        }
        let rate = received.saturating_sub(before) as f64 / took.as_secs_f64();
        self.round = Some((at, received));
        match self.is_trial {
            true => self.judge(rate, at),
            false if self.cooldown_rounds > 0 => self.cooldown_rounds -= 1,
            false if is_full => self.step(rate, at),
            false => {}
        }
    }

    /// Halves the number: a range failed.
    pub(crate) fn on_congestion(&mut self) {
        self.current = (self.current / 2).max(1);
        self.rest();
    }

    fn judge(&mut self, rate: f64, at: Instant) {
        let gain = match self.is_doubling {
            true => GAIN_OF_DOUBLING,
            false => GAIN,
        };
        if rate < self.before.1 * gain {
            self.current = self.before.0;
            self.rest();
        } else if self.is_doubling {
            self.step(rate, at);
        } else {
            self.rest();
        }
    }

    /// Tries more ranges.
    fn step(&mut self, rate: f64, at: Instant) {
        let more = match self.is_doubling {
            true => self.current,
            false => (self.current / 4).max(1),
        };
        let next = (self.current + more).min(self.most);
        if next == self.current {
            return self.rest();
        }
        self.before = (self.current, rate);
        (self.current, self.is_trial) = (next, true);
        (self.round, self.settled_at) = (None, at + SETTLING);
    }

    fn rest(&mut self) {
        (self.is_trial, self.is_doubling) = (false, false);
        self.cooldown_rounds = COOLDOWN_ROUNDS;
        self.round = None;
    }
}

/// What a registry's last blobs showed of ranges.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RangeMemory {
    /// The number that was best.
    best: Option<usize>,
    /// Until when ranges are not tried, as they brought nothing or were refused.
    rests_until: Option<Instant>,
}

/// The number of ranges to begin with, if nothing is known.
const FIRST: usize = 4;
/// How long ranges are not tried after they brought nothing.
const REST: Duration = Duration::from_secs(60);

impl RangeMemory {
    /// The number of ranges to begin with; `None` if they are not tried now.
    pub(crate) fn first(&self, at: Instant) -> Option<usize> {
        let is_resting = self.rests_until.is_some_and(|until| at < until);
        (!is_resting).then(|| self.best.map_or(FIRST, |best| (best / 2).max(FIRST)))
    }

    /// Ranges of a blob ended with this number.
    pub(crate) fn learn(&mut self, count: usize, at: Instant) {
        match count {
            ..=1 => {
                *self = Self {
                    best: None,
                    rests_until: Some(at + REST),
                }
            }
            count => self.best = Some(count),
        }
    }
}

/// How long the bytes of a connection are counted.
const METERED: Duration = Duration::from_secs(1);
/// Share of that time in which the connection was waited for, if it is what limits the transfer.
const WAITED: f64 = 0.7;

/// The throughput of one connection, where that is what limits the transfer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FlowMeter {
    began: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl FlowMeter {
    /// Counts a frame that was waited for since `asked`. Returns the bytes per second now and then,
    /// unless the reader is slower than the connection.
    pub(crate) fn on_frame(&mut self, bytes: u64, asked: Instant) -> Option<f64> {
        let began = *self.began.get_or_insert(asked);
        self.waited += asked.elapsed();
        self.bytes += bytes;
        let took = began.elapsed();
        if took < METERED {
            return None;
        }
        let is_limit = self.waited >= took.mul_f64(WAITED);
        let rate = self.bytes as f64 / took.as_secs_f64();
        *self = Self::default();
        is_limit.then_some(rate)
    }
}

#[cfg(test)]
mod tests;
