//! How a process shares the writing to its targets with others: who may write, and how long.

mod lease;

pub use lease::{Lease, LeaseClock, REQUEST_RESERVE};

/// With whom a process shares its targets.
#[derive(Debug, Default)]
pub enum Coordination {
    /// With nobody beside the processes of this machine, which the locks of the store keep apart.
    #[default]
    Alone,
}

impl Coordination {
    /// The right to write for work that no other process may have taken.
    pub fn lease(&self) -> Lease {
        match self {
            Self::Alone => Lease::unlimited(),
        }
    }
}
