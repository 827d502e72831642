//! Counts what handles of registries ask for, and on whose behalf.

use std::sync::atomic::{AtomicU64, Ordering};

/// For whom manifests are pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullCause {
    /// A run or a command.
    #[default]
    Sync,
    /// A client that waits for an image.
    Pull,
}

/// Counts the requests and blob bytes of one or more handles.
#[derive(Debug, Default)]
pub struct RequestCounter {
    cause: PullCause,
    pub(super) requests: AtomicU64,
    pub(super) throttled: AtomicU64,
    bytes: AtomicU64,
}

impl RequestCounter {
    /// A counter of handles that pull for this cause.
    pub fn caused_by(cause: PullCause) -> Self {
        let none = Self::default();
        Self { cause, ..none }
    }

    /// For whom its handles pull.
    pub(crate) fn cause(&self) -> PullCause {
        self.cause
    }

    /// Requests sent so far, including those for tokens and retries.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Responses with status 429 so far.
    pub fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }

    /// Blob bytes moved so far, including those that were sent in vain.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
