//! Rate limiters for requests and bandwidth, and the count of bytes moved.

use std::{
    fmt::Debug,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::Utc;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::{BlobStream, concurrency::memory_budget::MemoryBudgets, settings::Bandwidth};

/// Delay that a bandwidth limiter makes up for: timers are late by a millisecond or more, and each
/// frame waits for one.
const MAX_CATCH_UP: Duration = Duration::from_millis(100);
/// Slices per second of a bandwidth that one transfer takes at a time. With more slices, timers cost
/// more. With fewer, other transfers wait longer, and a change of the rate takes effect later.
const SLICES_PER_SECOND: u64 = 4;

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a source.
    Received,
    /// To a target.
    Sent,
}

/// Blob bytes moved over all connections since they were last taken.
#[derive(Debug, Default)]
pub struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// Returns the bytes sent and received since the last call.
    pub fn take(&self) -> (u64, u64) {
        (
            self.sent.swap(0, Ordering::Relaxed),
            self.received.swap(0, Ordering::Relaxed),
        )
    }

    fn count(&self, direction: Direction, bytes: usize) {
        let counter = match direction {
            Direction::Sent => &self.sent,
            Direction::Received => &self.received,
        };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The limits of all registries together.
#[derive(Debug, Default)]
pub(crate) struct ProcessLimits {
    pub(crate) bandwidth_limiter: BandwidthLimiter,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) memory: Arc<MemoryBudgets>,
}

/// Who shares the request rate of a registry that counts accounts or addresses.
pub(crate) trait RateSharers: Debug + Send + Sync {
    /// How many processes do, this one included: at least one. Each takes an equal part.
    fn count(&self) -> u32;
}

/// The rate limits of one registry, within those of all.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    requests: Option<(FairQueue, Duration)>,
    /// `None` where no other process shares the rate.
    sharers: Option<Box<dyn RateSharers>>,
    bandwidth_limiter: BandwidthLimiter,
    process_limits: Arc<ProcessLimits>,
}

impl RateLimiter {
    /// The memory that all registries share.
    pub(crate) fn memory(&self) -> Arc<MemoryBudgets> {
        self.process_limits.memory.clone()
    }

    pub(crate) fn new(
        requests_per_second: Option<f64>,
        bandwidth: Option<Bandwidth>,
        process_limits: Arc<ProcessLimits>,
    ) -> Self {
        let requests = requests_per_second.map(|rate| {
            let apart = Duration::from_secs_f64(rate.recip());
            (FairQueue::new(Duration::ZERO), apart)
        });
        let bandwidth_limiter = BandwidthLimiter::default();
        bandwidth_limiter.set(bandwidth);
        Self {
            requests,
            sharers: None,
            bandwidth_limiter,
            process_limits,
        }
    }

    /// The same, with a request rate that other processes share.
    pub(crate) fn shared_by(self, sharers: Option<impl RateSharers + 'static>) -> Self {
        let sharers = sharers.map(|sharers| Box::new(sharers) as Box<dyn RateSharers>);
        Self { sharers, ..self }
    }

    /// Waits until one more request may be sent.
    pub(crate) async fn request(&self) {
        if let Some((queue, apart)) = &self.requests {
            let now = Instant::now();
            let sharers = self.sharers.as_ref().map_or(1, |sharers| sharers.count());
            wait(now, queue.reserve(now, *apart * sharers)).await;
        }
    }

    /// The same bytes, counted and limited. A reader sees a stream that is not ready. The stall
    /// watchdog of the source must be inside `bytes`, so that this wait is no stall.
    pub(crate) fn throttle(
        self: &Arc<Self>,
        direction: Direction,
        bytes: BlobStream,
    ) -> BlobStream {
        let process_limits = self.process_limits.clone();
        let counted =
            bytes.inspect_ok(move |frame| process_limits.traffic.count(direction, frame.len()));
        if !self.bandwidth_limiter.is_limited()
            && !self.process_limits.bandwidth_limiter.is_limited()
        {
            return counted.boxed();
        }
        let state = (self.clone(), counted, Bytes::new());
        let throttled_frames =
            stream::try_unfold(state, |(rate_limiter, mut frames, mut rest)| async move {
                while rest.is_empty() {
                    match frames.try_next().await? {
                        Some(frame) => rest = frame,
                        None => return Ok(None),
                    }
                }
                let slice = rate_limiter.slice(&mut rest).await;
                Ok(Some((slice, (rate_limiter, frames, rest))))
            });
        throttled_frames.boxed()
    }

    /// Takes a slice of a frame, and waits until it may be sent.
    async fn slice(&self, frame: &mut Bytes) -> Bytes {
        let limiters = [
            &self.bandwidth_limiter,
            &self.process_limits.bandwidth_limiter,
        ];
        let rates = limiters.map(BandwidthLimiter::rate);
        let least = rates.into_iter().flatten().min();
        let max_bytes = least.map_or(usize::MAX, |rate| {
            usize::try_from(rate.get() / SLICES_PER_SECOND).unwrap_or(usize::MAX)
        });
        let slice = frame.split_to(frame.len().min(max_bytes.max(1)));
        let now = Instant::now();
        let reserved = limiters
            .into_iter()
            .zip(rates)
            .filter_map(|(bandwidth_limiter, rate)| {
                let time = time_for(slice.len(), rate?);
                Some(bandwidth_limiter.queue.reserve(now, time))
            });
        // Every limiter is reserved, and the longest delay is waited for.
        let delay = reserved.fold(Duration::ZERO, Duration::max);
        wait(now, delay).await;
        slice
    }
}

async fn wait(now: Instant, delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep_until(now + delay).await;
    }
}

fn time_for(bytes: usize, rate: NonZeroU64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / rate.get() as f64)
}

/// A bandwidth that transfers share.
#[derive(Debug)]
pub(crate) struct BandwidthLimiter {
    bandwidth: Mutex<Option<Bandwidth>>,
    queue: FairQueue,
}

impl Default for BandwidthLimiter {
    fn default() -> Self {
        Self {
            bandwidth: Mutex::default(),
            queue: FairQueue::new(MAX_CATCH_UP),
        }
    }
}

impl BandwidthLimiter {
    /// Applies a bandwidth. Transfers that started without any limit stay unlimited.
    pub(crate) fn set(&self, bandwidth: Option<Bandwidth>) {
        *self.lock() = bandwidth;
    }

    fn is_limited(&self) -> bool {
        self.lock().is_some()
    }

    fn rate(&self) -> Option<NonZeroU64> {
        self.lock().as_ref()?.at(Utc::now())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Bandwidth>> {
        self.bandwidth.lock()
    }
}

/// Reserves time slots one after the other, in order of arrival.
#[derive(Debug)]
struct FairQueue {
    /// How far in the past a slot may start, so that delays are made up for.
    max_catch_up: Duration,
    free_at: Mutex<Option<Instant>>,
}

impl FairQueue {
    fn new(max_catch_up: Duration) -> Self {
        let free_at = Mutex::default();
        Self {
            max_catch_up,
            free_at,
        }
    }

    /// Reserves a slot of some length. Returns the delay until it starts.
    fn reserve(&self, now: Instant, length: Duration) -> Duration {
        let mut free_at = self.free_at.lock();
        let earliest = now.checked_sub(self.max_catch_up).unwrap_or(now);
        let at = free_at.map_or(now, |free| free.max(earliest));
        *free_at = Some(at + length);
        at.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests;
