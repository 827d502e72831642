//! How a process shares the writing to its targets with others: who may write, and how long.

mod lease;
mod membership;
mod pulls;
mod suspects;
mod traffic;
mod unit;

use std::{sync::Arc, time::Duration};

pub use lease::{Lease, LeaseClock, REQUEST_RESERVE};
#[cfg(test)]
pub(crate) use membership::tests::worker_status;
pub use membership::{DatabaseOutage, LEVEL, Membership, PublishedConfig};
pub use suspects::{SuspectComparison, SuspectContent, SuspectNews};
pub use traffic::PeriodBudget;
pub use transship_cluster as database;
pub use unit::{NOT_DUE, OwnedUnit, UnitOwner, units_of, units_of_routes};

/// How long transfers and pulls wait for the database: they can do without.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);
/// How soon the database is asked again after a call failed.
pub(crate) const DATABASE_RETRY: Duration = Duration::from_secs(3);

/// With whom a process shares its targets.
#[derive(Debug, Default)]
pub enum Coordination {
    /// With nobody beside the processes of this machine, which the locks of the store keep apart.
    #[default]
    Alone,
    /// With the other workers of a cluster.
    Cluster(Arc<Membership>),
}

impl Coordination {
    /// The right to write for work that no other process may have claimed.
    pub fn lease(&self) -> Lease {
        match self {
            Self::Alone => Lease::unlimited(),
            Self::Cluster(membership) => membership.lease(),
        }
    }

    /// This process among the workers, where there are several.
    pub fn membership(&self) -> Option<&Arc<Membership>> {
        match self {
            Self::Alone => None,
            Self::Cluster(membership) => Some(membership),
        }
    }
}
