//! The right of a run to write to its targets, and when that right ends.

use std::{
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::coordination::UnitOwner;

/// How long before the end of a lease all work under it is cut off. A request that was sent by then may still be on its
/// way. No request begins that has less than twice as long.
pub const REQUEST_RESERVE: Duration = Duration::from_secs(10);

/// The right of a run to write. Every part of the run shares it.
#[derive(Clone, Debug, Default)]
pub struct Lease(Option<Arc<LimitedLease>>);

/// A lease that ends.
#[derive(Debug)]
struct LimitedLease {
    clock: Arc<LeaseClock>,
    /// Cancelled once another process has the right.
    revoked: CancellationToken,
    /// Before this, no tag is written.
    tags_from: Instant,
    /// Cancelled once the run has compared all of its source.
    compared: CancellationToken,
    owner: Option<UnitOwner>,
}

/// Until when this process may write. Every lease of a registration shares it.
#[derive(Debug)]
pub struct LeaseClock(watch::Sender<LeaseEnd>);

/// The end of a lease by both clocks. The monotonic clock stands still while a machine is suspended, and the clock of the
/// day may be set: the earlier end counts.
#[derive(Clone, Copy, Debug)]
struct LeaseEnd {
    monotonic: Instant,
    of_day: SystemTime,
}

impl LeaseEnd {
    fn after(left: Duration) -> Self {
        Self {
            monotonic: Instant::now() + left,
            of_day: SystemTime::now() + left,
        }
    }

    fn left(self) -> Duration {
        let by_day = self.of_day.duration_since(SystemTime::now());
        let monotonic = self.monotonic.saturating_duration_since(Instant::now());
        monotonic.min(by_day.unwrap_or_default())
    }
}

impl LeaseClock {
    /// A clock with this time left.
    pub fn new(left: Duration) -> Self {
        Self(watch::channel(LeaseEnd::after(left)).0)
    }

    /// Sets the time that is left.
    pub fn set(&self, left: Duration) {
        self.0.send_replace(LeaseEnd::after(left));
    }

    /// The time that is left.
    pub fn left(&self) -> Duration {
        self.0.borrow().left()
    }
}

impl Lease {
    /// The lease of a process that shares its targets with no other.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// A lease that ends with the clock, or when it is revoked.
    pub fn limited(clock: Arc<LeaseClock>, revoked: CancellationToken) -> Self {
        Self::new(clock, revoked, Duration::ZERO, None)
    }

    /// The lease of a claimed unit. No tag is written before `tags_wait` is over.
    pub(crate) fn of_unit(
        clock: Arc<LeaseClock>,
        revoked: CancellationToken,
        tags_wait: Duration,
        owner: UnitOwner,
    ) -> Self {
        Self::new(clock, revoked, tags_wait, Some(owner))
    }

    fn new(
        clock: Arc<LeaseClock>,
        revoked: CancellationToken,
        tags_wait: Duration,
        owner: Option<UnitOwner>,
    ) -> Self {
        Self(Some(Arc::new(LimitedLease {
            clock,
            revoked,
            tags_from: Instant::now() + tags_wait,
            compared: CancellationToken::new(),
            owner,
        })))
    }

    /// Whether there is time for one more request.
    pub fn covers_request(&self) -> bool {
        let held = self.0.as_ref();
        held.is_none_or(|held| held.has_left(REQUEST_RESERVE * 2))
    }

    /// Waits until tags may be written. Returns whether there is time for the request then.
    pub async fn admits_tag(&self) -> bool {
        if let Some(held) = &self.0 {
            tokio::time::sleep_until(held.tags_from).await;
        }
        self.covers_request()
    }

    /// The owner of the unit that is run, where it is one.
    pub(crate) fn owner(&self) -> Option<&UnitOwner> {
        self.0.as_ref()?.owner.as_ref()
    }

    /// Notes that the run has compared all of its source, and recorded what it saw.
    pub fn note_compared(&self) {
        if let Some(held) = &self.0 {
            held.compared.cancel();
        }
    }

    /// Whether the run noted that. Always false for a lease without an end.
    pub fn is_compared(&self) -> bool {
        let held = self.0.as_ref();
        held.is_some_and(|held| held.compared.is_cancelled())
    }

    /// Waits until the run noted that. Never ends for a lease without an end.
    pub async fn compared(&self) {
        match &self.0 {
            Some(held) => held.compared.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Runs some work until its end, or until the lease is lost. `None` if it was lost.
    pub async fn run_until_lost<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let Some(held) = &self.0 else {
            return Some(work.await);
        };
        let mut work = pin!(work);
        let mut lost = pin!(held.lost());
        std::future::poll_fn(|context| {
            // A stopped process that continues may poll its work before its timers.
            if held.is_lost() || lost.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

impl LimitedLease {
    fn has_left(&self, time: Duration) -> bool {
        !self.revoked.is_cancelled() && self.clock.left() >= time
    }

    /// Nothing is left beside the reserve: whoever slept until then would sleep for no time at all.
    fn is_lost(&self) -> bool {
        self.revoked.is_cancelled() || self.clock.left() <= REQUEST_RESERVE
    }

    /// Ends when the lease is lost.
    async fn lost(&self) {
        let mut end = self.clock.0.subscribe();
        while !self.is_lost() {
            let left = end.borrow_and_update().left();
            let rest = left.saturating_sub(REQUEST_RESERVE);
            tokio::select! {
                () = self.revoked.cancelled() => {}
                // The sender lives as long as the clock.
                _ = end.changed() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
