//! The permits of small requests, whose number follows the latency of the answers.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::concurrency::latency_limit::LatencyLimit;

/// The permits of one registry for small requests. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct RequestPermits {
    permits: Arc<Semaphore>,
    state: Arc<Mutex<PermitState>>,
}

#[derive(Debug)]
struct PermitState {
    limit: LatencyLimit,
    /// Permits that there are, free or in use. More than the limit after a cut, until they come back.
    issued: usize,
}

/// A permit to send one small request, given back when dropped.
#[derive(Debug)]
pub(crate) struct RequestPermit {
    permits: RequestPermits,
    permit: Option<OwnedSemaphorePermit>,
    since: Instant,
}

impl RequestPermits {
    pub(crate) fn new(connections: usize) -> Self {
        let limit = LatencyLimit::new(connections);
        let issued = limit.current();
        Self {
            permits: Arc::new(Semaphore::new(issued)),
            state: Arc::new(Mutex::new(PermitState { limit, issued })),
        }
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(&self) -> RequestPermit {
        // The semaphore is never closed.
        let permit = self.permits.clone().acquire_owned().await.ok();
        RequestPermit {
            permits: self.clone(),
            permit,
            since: Instant::now(),
        }
    }

    /// Halves the number of requests in flight: the registry asked to slow down.
    pub(crate) fn on_refusal(&self) {
        let mut state = self.state.lock();
        state.limit.on_refusal(Instant::now());
        let excess = state.issued.saturating_sub(state.limit.current());
        state.issued -= self.permits.forget_permits(excess);
    }
}

impl RequestPermit {
    /// The request was answered.
    pub(crate) fn answered(&self) {
        // Where permits are free, more of them would change nothing.
        if self.permits.permits.available_permits() > 0 {
            return;
        }
        let mut state = self.permits.state.lock();
        state.limit.on_answer(self.since.elapsed(), Instant::now());
        let missing = state.limit.current().saturating_sub(state.issued);
        state.issued += missing;
        self.permits.permits.add_permits(missing);
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let mut state = self.permits.state.lock();
        if state.issued > state.limit.current()
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
            state.issued -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
