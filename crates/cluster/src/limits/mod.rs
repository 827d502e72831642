//! Limits that count for several workers: traffic of an egress, pulls of an account.

pub(crate) mod budget;
pub(crate) mod quota;

use crate::Worker;

/// Budgets and quotas, as the workers share them. They belong to workers, not to units, and carry
/// no fence: what a worker used, it used, whoever runs the unit now.
#[derive(Clone, Debug)]
pub struct SharedLimits {
    worker: Worker,
}

impl SharedLimits {
    pub(crate) fn new(worker: Worker) -> Self {
        Self { worker }
    }
}
