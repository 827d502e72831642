//! The classes of errors: a closed set, for metrics, JSON and decisions.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// The class of an error. [`Self::as_str`] is its label in metrics, JSON and stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// The registry refuses the login, or none can be read.
    Auth,
    /// The target does not let a tag move or go.
    Blocked,
    /// The traffic budget is used up.
    Budget,
    /// The certificate of the registry is not trusted.
    Certificate,
    /// The account may not do this.
    Denied,
    /// Content does not match its digest.
    DigestMismatch,
    /// The target has no space left on its disk.
    DiskFull,
    /// The process was stopped.
    Interrupted,
    /// The target keeps corrupt bytes after a new upload.
    Kept,
    /// A limit of this process: what was sent needs more memory than there is for it.
    Limit,
    /// A manifest that cannot be copied.
    Manifest,
    /// No connection, or one that broke.
    Network,
    /// The thing does not exist.
    NotFound,
    /// An answer that makes no sense.
    Protocol,
    /// The pull quota is used up.
    Quota,
    /// The target accepts no writes for now.
    ReadOnly,
    /// The application refuses to do it.
    Refused,
    /// The registry rejects what it was sent.
    Rejected,
    /// The registry failed.
    Server,
    /// A connection that moved no byte.
    Stalled,
    /// The target's storage quota is used up.
    StorageQuota,
    /// The application's store failed.
    Store,
    /// The registry asks to slow down.
    Throttled,
    /// Content that is shorter or longer than announced.
    Truncated,
}

impl ErrorClass {
    /// Every class, in the order of their labels.
    pub const ALL: [Self; 24] = [
        Self::Auth,
        Self::Blocked,
        Self::Budget,
        Self::Certificate,
        Self::Denied,
        Self::DigestMismatch,
        Self::DiskFull,
        Self::Interrupted,
        Self::Kept,
        Self::Limit,
        Self::Manifest,
        Self::Network,
        Self::NotFound,
        Self::Protocol,
        Self::Quota,
        Self::ReadOnly,
        Self::Refused,
        Self::Rejected,
        Self::Server,
        Self::Stalled,
        Self::StorageQuota,
        Self::Store,
        Self::Throttled,
        Self::Truncated,
    ];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Blocked => "blocked",
            Self::Budget => "budget",
            Self::Certificate => "certificate",
            Self::Denied => "denied",
            Self::DigestMismatch => "digest_mismatch",
            Self::DiskFull => "disk_full",
            Self::Interrupted => "interrupted",
            Self::Kept => "kept",
            Self::Limit => "limit",
            Self::Manifest => "manifest",
            Self::Network => "network",
            Self::NotFound => "not_found",
            Self::Protocol => "protocol",
            Self::Quota => "quota",
            Self::ReadOnly => "read_only",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Server => "server",
            Self::Stalled => "stalled",
            Self::StorageQuota => "storage_quota",
            Self::Store => "store",
            Self::Throttled => "throttled",
            Self::Truncated => "truncated",
        }
    }

    /// Whether errors of this class are about a registry; the others are the application's own.
    pub const fn is_of_registry(self) -> bool {
        !matches!(self, Self::Interrupted | Self::Refused | Self::Store)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A label that is no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no class of errors has this name")]
pub struct UnknownClass;

impl FromStr for ErrorClass {
    type Err = UnknownClass;

    fn from_str(label: &str) -> Result<Self, UnknownClass> {
        let mut all = Self::ALL.into_iter();
        all.find(|class| class.as_str() == label)
            .ok_or(UnknownClass)
    }
}

impl Serialize for ErrorClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
