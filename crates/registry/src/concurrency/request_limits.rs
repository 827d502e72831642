//! The permits of one registry: how many requests and transfers run at a time, and the backoff that
//! it asked for.

use std::{
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use parking_lot::Mutex;

use crate::{
    BlobStream,
    concurrency::{
        priority_semaphore::{Permit, PrioritySemaphore, WaiterCount},
        request_permits::{RequestPermit, RequestPermits},
    },
    retry::MAX_RETRY_AFTER,
};

/// Upload sessions per transfer: the next ones are started while bytes move, which hides their round
/// trip.
const SESSIONS: usize = 2;
/// Blobs up to this size, in bytes, count as small: they mostly wait for round trips, as small
/// requests do.
const SMALL_BLOB_BYTES: u64 = 64 << 10;

/// The permits of one registry. Small requests have permits of their own, so that they never queue
/// behind layers. So do pulls and pushes: copies in both directions between two registries would
/// otherwise wait for each other.
#[derive(Debug)]
pub(crate) struct RequestLimits {
    /// Transfers at a time, in each direction.
    pub(crate) connections: usize,
    pulls: TransferLimits,
    pushes: TransferLimits,
    sessions: TransferLimits,
    requests: RequestPermits,
    paused_until: Mutex<Option<Instant>>,
}

/// A permit to move one blob, given back when dropped.
#[derive(Debug, Default)]
pub struct TransferPermit {
    _large: Option<Permit>,
    small: Option<RequestPermit>,
}

impl TransferPermit {
    /// Gives the permit back as soon as `length` bytes of a stream were read, or the stream ended or
    /// was dropped: what follows waits for round trips, not for bandwidth.
    pub fn until_read(self, length: u64, mut bytes: BlobStream) -> BlobStream {
        let (mut permit, mut left) = (Some(self), length);
        let next = move |context: &mut Context<'_>| {
            let frame = ready!(bytes.poll_next_unpin(context));
            match &frame {
                Some(Ok(frame)) => {
                    left = left.saturating_sub(frame.len() as u64);
                    if left == 0
                        && let Some(small) = permit.take().and_then(|permit| permit.small)
                    {
                        small.answered();
                    }
                }
                Some(Err(_)) | None => permit = None,
            }
            Poll::Ready(frame)
        };
        stream::poll_fn(next).boxed()
    }
}

impl RequestLimits {
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            connections,
            pulls: TransferLimits::new(connections),
            pushes: TransferLimits::new(connections),
            sessions: TransferLimits::new(SESSIONS * connections),
            requests: RequestPermits::new(connections),
            paused_until: Mutex::new(None),
        }
    }

    /// Waits for a permit to fetch a blob of this size. The semaphores are never closed.
    pub(crate) async fn pull(&self, size: u64) -> TransferPermit {
        self.pulls.acquire(size, WaiterCount::default()).await
    }

    /// A permit to fetch one more range of this size, if nobody else waits for one.
    pub(crate) fn try_pull_range(&self, size: u64) -> Option<TransferPermit> {
        Some(TransferPermit {
            _large: Some(self.pulls.large.try_acquire(size)?),
            ..TransferPermit::default()
        })
    }

    /// Waits for a permit to send a blob of this size.
    pub(crate) async fn push(&self, size: u64) -> TransferPermit {
        self.pushes.acquire(size, WaiterCount::default()).await
    }

    /// Waits for a permit for an upload session of a blob of this size.
    pub(crate) async fn session(&self, size: u64, waiters: WaiterCount) -> TransferPermit {
        self.sessions.acquire(size, waiters).await
    }

    /// Waits for a permit for a small request.
    pub(crate) async fn request(&self) -> RequestPermit {
        self.requests.acquire().await
    }

    /// Reduces concurrent requests and transfers for a while: the registry asked to slow down.
    pub(crate) fn on_refusal(&self) {
        self.requests.on_refusal();
        for transfers in [&self.pulls, &self.pushes, &self.sessions] {
            transfers.small.on_refusal();
        }
        self.on_congestion();
    }

    /// Reduces concurrent transfers for a while: a connection stalled, or the registry is overloaded.
    pub(crate) fn on_congestion(&self) {
        self.pulls.large.on_congestion();
        self.pushes.large.on_congestion();
    }

    /// Pauses all requests to the registry. Returns how long it is paused now.
    pub(crate) fn pause(&self, duration: Duration) -> Duration {
        let until = Instant::now() + duration;
        let mut paused = self.paused_until.lock();
        let until = paused.map_or(until, |earlier| earlier.max(until));
        *paused = Some(until);
        until.saturating_duration_since(Instant::now())
    }

    /// Waits for the end of a pause. The error is the time left, if it is too long to wait.
    pub(crate) async fn wait_for_backoff(&self) -> Result<(), Duration> {
        loop {
            let until = *self.paused_until.lock();
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None | Some(Duration::ZERO) => return Ok(()),
                Some(left) if left > MAX_RETRY_AFTER => return Err(left),
                Some(left) => tokio::time::sleep(left).await,
            }
        }
    }
}

/// The transfers of one direction: large ones, which need bandwidth, and small ones, which need round
/// trips.
#[derive(Debug)]
struct TransferLimits {
    large: PrioritySemaphore,
    small: RequestPermits,
}

impl TransferLimits {
    fn new(connections: usize) -> Self {
        Self {
            large: PrioritySemaphore::new(connections),
            small: RequestPermits::new(connections),
        }
    }

    async fn acquire(&self, size: u64, waiters: WaiterCount) -> TransferPermit {
        match is_large(size) {
            true => TransferPermit {
                _large: self.large.acquire(size, waiters).await,
                ..TransferPermit::default()
            },
            false => TransferPermit {
                small: Some(self.small.acquire().await),
                ..TransferPermit::default()
            },
        }
    }
}

/// Whether a blob of this size needs bandwidth more than round trips.
pub(crate) fn is_large(size: u64) -> bool {
    size > SMALL_BLOB_BYTES
}

#[cfg(test)]
mod tests;
