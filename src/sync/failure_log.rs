//! What log lines tell of failures: a registry that fails whatever is asked of it is told once a
//! run of a mirror, and not once for each of its repositories.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::registry::ErrorClass;

/// Classes of failures that are the registry's own, whatever was asked of it.
const OF_REGISTRIES: [ErrorClass; 11] = [
    ErrorClass::Auth,
    ErrorClass::Budget,
    ErrorClass::Certificate,
    ErrorClass::DiskFull,
    ErrorClass::Network,
    ErrorClass::Quota,
    ErrorClass::ReadOnly,
    ErrorClass::Server,
    ErrorClass::Stalled,
    ErrorClass::StorageQuota,
    ErrorClass::Throttled,
];

/// What was told in one run of one mirror: the registries that failed, the class, and how often.
#[derive(Debug, Default)]
pub struct FailureLog(Mutex<BTreeMap<(String, ErrorClass), u64>>);

/// A failure that is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling<'a> {
    pub(crate) mirror: &'a str,
    pub(crate) registry: &'a str,
    pub(crate) class: ErrorClass,
    pub(crate) message: &'a str,
}

/// Whether a failure of this class is the registry's own, whatever was asked of it.
pub(crate) fn is_of_registry(class: ErrorClass) -> bool {
    OF_REGISTRIES.contains(&class)
}

impl FailureLog {
    /// Tells that something failed; of a registry that was told before only those hear who want to
    /// hear everything. What an order to end left undone is no failure: the order was told.
    pub(crate) fn failed(&self, what: &str, telling: Telling<'_>) {
        let Telling {
            mirror,
            registry,
            class,
            message,
        } = telling;
        if class == ErrorClass::Interrupted || !self.is_news(registry, class) {
            tracing::debug!(mirror, %class, "{what}: {message}");
        } else {
            tracing::warn!(mirror, %class, "{what} failed: {message}");
        }
    }

    /// Tells how many failures were not told one by one.
    pub(crate) fn end(&self, mirror: &str) {
        for line in self.others() {
            tracing::warn!(mirror, "{line}");
        }
    }

    fn is_news(&self, registry: &str, class: ErrorClass) -> bool {
        if registry.is_empty() || !is_of_registry(class) {
            return true;
        }
        let mut told = self.0.lock();
        let count = told.entry((registry.to_owned(), class)).or_default();
        *count += 1;
        *count == 1
    }

    fn others(&self) -> Vec<String> {
        let told = self.0.lock();
        let again = told.iter().filter(|(_, count)| **count > 1);
        let line = |((registry, class), count): (&(String, ErrorClass), &u64)| {
            let others = count - 1;
            format!("{registry}: {others} more failed like that ({class})")
        };
        again.map(line).collect()
    }
}

#[cfg(test)]
mod tests;
