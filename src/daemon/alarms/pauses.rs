//! Pauses that registries asked for, remembered after their end.

use std::collections::BTreeMap;

use crate::registry::RegistryHealth;

/// The end of the last pause of each registry, in seconds since 1970. A registry's health forgets a
/// pause at its end, but an alarm lasts longer: many registries ask for the next pause at once.
#[derive(Debug, Default)]
pub(crate) struct RegistryPauses(BTreeMap<String, i64>);

impl RegistryPauses {
    /// Takes up the pauses of now, and returns the last one of each registry. Forgets registries that
    /// are not asked about.
    pub(crate) fn update(
        &mut self,
        health: &BTreeMap<String, RegistryHealth>,
    ) -> Vec<(String, i64)> {
        self.0.retain(|registry, _| health.contains_key(registry));
        for (registry, health) in health {
            if let Some(until) = health.paused_until {
                self.0.insert(registry.clone(), until.timestamp());
            }
        }
        self.0.clone().into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
