//! A semaphore with priorities: blobs with the most waiters first, then the largest.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::concurrency::adaptive_limit::AdaptiveLimit;

/// Blobs from this size on, in bytes, leave a quarter of the permits to smaller ones.
const HUGE: u64 = 64 << 20;

/// How many images wait for a blob. It may grow while the blob waits for a permit.
#[derive(Clone, Debug, Default)]
pub struct WaiterCount(Arc<AtomicUsize>);

impl WaiterCount {
    /// Adds a waiter.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The permits of one direction.
#[derive(Clone, Debug)]
pub(crate) struct PrioritySemaphore(Arc<Mutex<SemaphoreState>>);

#[derive(Debug)]
struct SemaphoreState {
    limit: AdaptiveLimit,
    in_use: usize,
    huge_in_use: usize,
    waiting: Vec<Waiter>,
    next: u64,
}

struct Waiter {
    size: u64,
    waiters: WaiterCount,
    ticket: u64,
    grant: oneshot::Sender<Permit>,
}

/// A permit, given back when dropped.
pub(crate) struct Permit {
    semaphore: PrioritySemaphore,
    size: u64,
}

impl PrioritySemaphore {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(SemaphoreState {
            limit: AdaptiveLimit::new(limit),
            in_use: 0,
            huge_in_use: 0,
            waiting: Vec::new(),
            next: 0,
        })))
    }

    /// Waits for a permit for a blob of this size, in bytes.
    pub(crate) async fn acquire(&self, size: u64, waiters: WaiterCount) -> Option<Permit> {
        let granted = {
            let mut state = self.lock();
            let (grant, granted) = oneshot::channel();
            let ticket = state.next;
            state.next += 1;
            state.waiting.push(Waiter {
                size,
                waiters,
                ticket,
                grant,
            });
            granted
        };
        self.grant();
        // The sender stays in the queue until it is granted.
        granted.await.ok()
    }

    /// A permit for a transfer of this size, in bytes, if one is free and nobody waits for it.
    pub(crate) fn try_acquire(&self, size: u64) -> Option<Permit> {
        let mut state = self.lock();
        if !state.waiting.is_empty() || state.in_use >= state.limit.current() {
            return None;
        }
        state.in_use += 1;
        state.huge_in_use += usize::from(size >= HUGE);
        Some(Permit {
            semaphore: self.clone(),
            size,
        })
    }

    /// Reduces the limit: the registry asked to slow down, or a connection stalled.
    pub(crate) fn on_congestion(&self) {
        self.lock().limit.on_congestion(Instant::now());
    }

    /// Grants free permits.
    fn grant(&self) {
        loop {
            let Some(waiter) = self.lock().next() else {
                return;
            };
            // If nobody waits any more, the permit is given back at once.
            let _ = waiter.grant.send(Permit {
                semaphore: self.clone(),
                size: waiter.size,
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, SemaphoreState> {
        self.0.lock()
    }
}

impl SemaphoreState {
    /// The next waiter. Its permit counts as in use from here on.
    fn next(&mut self) -> Option<Waiter> {
        if self.in_use >= self.limit.current() {
            return None;
        }
        let limit = self.limit.current();
        let takes_huge = self.huge_in_use < (limit - limit / 4);
        self.waiting.retain(|waiter| !waiter.grant.is_closed());
        let waiting = self.waiting.iter().enumerate();
        let (first, _) = waiting
            .filter(|(_, waiter)| waiter.size < HUGE || takes_huge)
            .max_by_key(|(_, waiter)| waiter.rank())?;
        let waiter = self.waiting.swap_remove(first);
        self.in_use += 1;
        self.huge_in_use += usize::from(waiter.size >= HUGE);
        Some(waiter)
    }
}

impl Waiter {
    fn rank(&self) -> impl Ord {
        (
            self.waiters.count(),
            self.size,
            std::cmp::Reverse(self.ticket),
        )
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.semaphore.lock();
            state.in_use -= 1;
            state.huge_in_use -= usize::from(self.size >= HUGE);
            if !state.waiting.is_empty() {
                state.limit.on_progress(self.size, Instant::now());
            }
        }
        self.semaphore.grant();
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiter({} bytes)", self.size)
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Granted({} bytes)", self.size)
    }
}

#[cfg(test)]
mod tests;
