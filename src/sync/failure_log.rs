//! What log lines report of failures: a registry that fails every request is logged once a
//! run of a mirror, and not once for each of its repositories.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

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

/// Maximum log lines of each kind that one run of one mirror writes: a source chooses how much fails,
/// and how many tags are new.
const LINES: u64 = 1000;
/// Maximum failed tags whose message the store keeps.
const MESSAGES: u64 = 1000;
/// Maximum changes that the store keeps.
const CHANGES: u64 = 10_000;

/// What one run of one mirror logs and writes to the store, and what it left out.
#[derive(Debug, Default)]
pub struct FailureLog {
    /// The registries that failed, the class, and how often.
    repeated: Mutex<BTreeMap<(String, ErrorClass), u64>>,
    failures: LogAllowance<LINES>,
    lines: LogAllowance<LINES>,
    messages: LogAllowance<MESSAGES>,
    changes: LogAllowance<CHANGES>,
}

/// How often something may happen in a run; what is beyond is counted.
#[derive(Debug, Default)]
struct LogAllowance<const MOST: u64>(AtomicU64);

impl<const MOST: u64> LogAllowance<MOST> {
    fn take(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) < MOST
    }

    fn left_out(&self) -> u64 {
        self.0.load(Ordering::Relaxed).saturating_sub(MOST)
    }
}

/// A failure to log.
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
    /// Logs that something failed, at level debug for a registry that was logged before. What a
    /// signal to end left undone is no failure: the signal was logged.
    pub(crate) fn failed(&self, what: &str, telling: Telling<'_>) {
        let Telling {
            mirror,
            registry,
            class,
            message,
        } = telling;
        if class == ErrorClass::Interrupted || !self.is_news(registry, class) {
            tracing::debug!(mirror, %class, "{what}: {message}");
        } else if self.failures.take() {
            tracing::warn!(mirror, %class, "{what} failed: {message}");
        }
    }

    /// Logs how many failures were not logged one by one.
    pub(crate) fn end(&self, mirror: &str) {
        for line in self.others() {
            tracing::warn!(mirror, "{line}");
        }
    }

    /// Whether one more line may be logged about something that is no failure.
    pub(crate) fn has_line(&self) -> bool {
        self.lines.take()
    }

    /// Whether one more change may be written to the store.
    pub(crate) fn has_change(&self) -> bool {
        self.changes.take()
    }

    /// The message of a failed tag, as the store keeps it.
    pub(crate) fn kept_message(&self, message: &str) -> String {
        match self.messages.take() {
            true => message.to_owned(),
            false => format!(
                "one of more than {MESSAGES} that failed in this run; the first are in the log"
            ),
        }
    }

    fn is_news(&self, registry: &str, class: ErrorClass) -> bool {
        if registry.is_empty() || !is_of_registry(class) {
            return true;
        }
        let mut counts = self.repeated.lock();
        let count = counts.entry((registry.to_owned(), class)).or_default();
        *count += 1;
        *count == 1
    }

    fn others(&self) -> Vec<String> {
        let counts = self.repeated.lock();
        let again = counts.iter().filter(|(_, count)| **count > 1);
        let line = |((registry, class), count): (&(String, ErrorClass), &u64)| {
            let others = count - 1;
            format!("{registry}: {others} more failed like that ({class})")
        };
        let mut lines: Vec<String> = again.map(line).collect();
        for (left_out, what) in [
            (
                self.failures.left_out(),
                "failures are not logged one by one",
            ),
            (self.lines.left_out(), "lines are left out of the log"),
            (
                self.messages.left_out(),
                "failed tags have no message of their own in the store",
            ),
            (
                self.changes.left_out(),
                "changes are not kept in the history",
            ),
        ] {
            if left_out > 0 {
                lines.push(format!("{left_out} more {what}"));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests;
