//! Targets that cannot store anything: after a few such answers a run skips them, so that
//! nothing is pulled from a metered source in vain.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::{oci::RegistryName, registry, sync::Error};

/// Answers that a target is full or read-only before it is skipped.
const ENOUGH: u32 = 3;

/// What the targets of one run answered to writes.
#[derive(Debug, Default)]
pub struct RefusingTargets(Mutex<HashMap<RegistryName, Refusals>>);

/// The refusals of one target.
#[derive(Debug)]
struct Refusals {
    count: u32,
    last: registry::Error,
}

impl RefusingTargets {
    /// Notes what a write failed with.
    pub(crate) fn note(&self, error: &Error) {
        let Error::Registry(error) = error else {
            return;
        };
        if !error.is_storage_refused() {
            return;
        }
        let mut targets = self.0.lock();
        let refusals = targets.entry(error.registry.clone()).or_insert(Refusals {
            count: 0,
            last: error.clone(),
        });
        refusals.count += 1;
        refusals.last = error.clone();
        if refusals.count == ENOUGH {
            tracing::warn!(
                "{} cannot store what it is sent: nothing more is sent there in this run",
                error.registry
            );
        }
    }

    /// Fails if a target is skipped.
    pub(crate) fn check(&self, target: &RegistryName) -> Result<(), Error> {
        let targets = self.0.lock();
        match targets.get(target) {
            Some(refusals) if refusals.count >= ENOUGH => Err(refusals.last.clone().into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
