//! The permits of one registry: how many requests and transfers run at a time, and the backoff that
//! it asked for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    concurrency::priority_semaphore::{Permit, PrioritySemaphore, WaiterCount},
    retry::MAX_RETRY_AFTER,
};

/// Upload sessions that are open or about to be, for each flow: the next ones are begun while
/// bytes move, so that no round trip is waited for.
const SESSIONS: usize = 2;
/// Small requests at a time, for each flow: they wait for round trips, and move next to nothing.
const REQUESTS: usize = 4;
/// Small blobs at a time, for each flow: they wait for round trips, too, but each holds a pair of
/// connections with what they buffer.
const SMALL_BLOBS: usize = 2;
/// Blobs up to this size move like small requests: a flow would mostly wait.
const SMALL_BLOB_BYTES: u64 = 64 << 10;

/// The permits of one registry. Small requests have permits of their own, so that they never
/// queue behind layers. What pulls and what pushes never wait for each other either: mirrors that
/// go both ways between two registries would otherwise hold what the other waits for.
#[derive(Debug)]
pub(crate) struct RequestLimits {
    pulls: TransferLimits,
    pushes: TransferLimits,
    sessions: TransferLimits,
    requests: Arc<Semaphore>,
    paused_until: Mutex<Option<Instant>>,
}

/// The right to move one blob from or to a registry, or to make one request, given back when
/// dropped.
#[derive(Debug, Default)]
pub struct TransferPermit {
    _large: Option<Permit>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl RequestLimits {
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            pulls: TransferLimits::new(connections),
            pushes: TransferLimits::new(connections),
            sessions: TransferLimits::new(SESSIONS * connections),
            requests: Arc::new(Semaphore::new(REQUESTS * connections)),
            paused_until: Mutex::new(None),
        }
    }

    /// Waits for the right to fetch a blob of this size. The semaphores are never closed.
    pub(crate) async fn pull(&self, size: u64) -> TransferPermit {
        self.pulls.acquire(size, WaiterCount::default()).await
    }

    /// Waits for the right to send a blob of this size.
    pub(crate) async fn push(&self, size: u64) -> TransferPermit {
        self.pushes.acquire(size, WaiterCount::default()).await
    }

    /// Waits for the right to have an upload session for a blob of this size.
    pub(crate) async fn session(&self, size: u64, waiters: WaiterCount) -> TransferPermit {
        self.sessions.acquire(size, waiters).await
    }

    /// Waits for the right to make a small request.
    pub(crate) async fn request(&self) -> TransferPermit {
        acquire(&self.requests).await
    }

    /// Takes note of a registry that asks to slow down, or of a connection that went silent: there
    /// are fewer flows for a while.
    pub(crate) fn on_congestion(&self) {
        self.pulls.large.on_congestion();
        self.pushes.large.on_congestion();
    }

    /// Stops every request to the registry for a while; how long it is stopped now.
    pub(crate) fn pause(&self, duration: Duration) -> Duration {
        let until = Instant::now() + duration;
        let mut paused = self.paused_until.lock();
        let until = paused.map_or(until, |earlier| earlier.max(until));
        *paused = Some(until);
        until.saturating_duration_since(Instant::now())
    }

    /// Waits until the registry may be asked, or says how long it may not.
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

/// Blobs on their way in one direction: those that want a flow's bandwidth, and small ones, which
/// want its round trips.
#[derive(Debug)]
struct TransferLimits {
    large: PrioritySemaphore,
    small: Arc<Semaphore>,
}

impl TransferLimits {
    fn new(connections: usize) -> Self {
        Self {
            large: PrioritySemaphore::new(connections),
            small: Arc::new(Semaphore::new(SMALL_BLOBS * connections)),
        }
    }

    async fn acquire(&self, size: u64, waiters: WaiterCount) -> TransferPermit {
        match is_large(size) {
            true => TransferPermit {
                _large: self.large.acquire(size, waiters).await,
                ..TransferPermit::default()
            },
            false => acquire(&self.small).await,
        }
    }
}

/// Whether a blob of this size wants a flow's bandwidth.
pub(crate) fn is_large(size: u64) -> bool {
    size > SMALL_BLOB_BYTES
}

async fn acquire(permits: &Arc<Semaphore>) -> TransferPermit {
    TransferPermit {
        _permit: permits.clone().acquire_owned().await.ok(),
        ..TransferPermit::default()
    }
}
