//! How long what a worker holds is its own.

use std::time::{Duration, Instant};

/// How long a worker's lease lasts after a renewal.
pub const LEASE: Duration = Duration::from_secs(60);

/// How often a worker renews its lease.
pub const RENEW_EVERY: Duration = Duration::from_secs(15);

/// A lease with less left is not renewed, so that no renewal is committed while another worker
/// already takes over. A call to the database takes no longer.
pub(crate) const RENEWABLE_UNTIL: Duration = Duration::from_secs(10);

/// A lease, counted down by this machine's monotonic clock. A suspended process finds it over when
/// it continues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    sent_at: Instant,
}

impl Lease {
    /// One that is asked for now. Call it before the request is sent: the database counts from when
    /// it arrives, and so ends the lease later.
    pub(crate) fn ask() -> Self {
        Self {
            sent_at: Instant::now(),
        }
    }

    /// What is left of it.
    pub(crate) fn left(self) -> Duration {
        LEASE.saturating_sub(self.sent_at.elapsed())
    }
}
