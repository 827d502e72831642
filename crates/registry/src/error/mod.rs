//! Errors of registries: messages for operators, classes for metrics and decisions.

pub(crate) mod class;
pub(crate) mod operation;
pub(crate) mod remedy;

pub use class::{ErrorClass, UnknownClass};
pub use operation::Operation;

use std::{error::Error as StdError, time::Duration};

use oci_client::errors::OciEnvelope;
use serde_json::Value;
use transship_text::one_line;

use crate::{
    oci::{Digest, ManifestError, RegistryName},
    redirect_policy::RefusedRedirect,
    retry::MAX_RETRY_AFTER,
    tls,
};

/// A failed operation on a registry.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} {subject}: {kind}{}", remedy_line(.remedy.as_deref()))]
pub struct Error {
    /// What was tried.
    pub operation: Operation,
    /// On what: a reference, or a digest in a repository.
    pub subject: String,
    /// On which registry.
    pub registry: RegistryName,
    /// What went wrong.
    pub kind: Box<Kind>,
    /// What to do, if there is more to recommend than the message of the kind.
    pub remedy: Option<Box<str>>,
}

/// What went wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Kind {
    /// No connection, or one that broke.
    #[error("{0}")]
    Network(String),
    /// No byte moved on the connection for this long.
    #[error("nothing moved on the connection for {}", humantime::format_duration(*.0))]
    Stalled(Duration),
    /// The registry refuses the login, or requires one.
    #[error("{0}; check the registry's login in mirror.toml")]
    Unauthorized(String),
    /// The login cannot be read from its helper for now.
    #[error("{0}; run the helper by hand, as this user, to see why")]
    NoLogin(String),
    /// A token ran out while it was in use; a new one is asked for.
    #[error("the token expired")]
    TokenExpired,
    /// The account may not do this.
    #[error("access denied ({0}); check the name, and what the account may do there")]
    Denied(String),
    /// The item does not exist.
    #[error("not found ({0})")]
    NotFound(String),
    /// The registry asks to slow down.
    #[error("the registry asks to slow down ({message}){}", wait(*.retry_after))]
    Throttled {
        /// The message of the registry.
        message: String,
        /// How long it asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The pull quota is used up.
    #[error("{0}")]
    Quota(String),
    /// The registry failed.
    #[error("the registry failed with status {status} ({message})")]
    Server {
        /// The HTTP status.
        status: u16,
        /// The message of the registry.
        message: String,
    },
    /// The target does not let a tag move to another digest or be deleted.
    #[error(
        "the target does not let this tag move or go ({0}); lift its rule or delete the tag there, or leave the tag as it is with `immutable` or `exclude`"
    )]
    Blocked(String),
    /// The target's storage quota is used up.
    #[error(
        "the target's storage quota is used up ({0}); raise the quota of the project or repository there, or prune"
    )]
    StorageQuota(String),
    /// The target's disk is full.
    #[error("the target's disk is full ({0}); make room on its storage, and sync again")]
    DiskFull(String),
    /// The target accepts no writes for now.
    #[error(
        "the target takes no writes ({0}); end its read-only mode or maintenance, and sync again"
    )]
    ReadOnly(String),
    /// A limit of this process is reached.
    #[error("{0}; a later run tries again")]
    Limit(String),
    /// The certificate of the server is not trusted, or it supports no usable TLS version.
    #[error("{0}")]
    Certificate(String),
    /// The registry rejected the request.
    #[error("refused with status {status} ({message})")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The message of the registry, error codes included.
        message: String,
    },
    /// The content does not match its digest.
    #[error("the content is {found}, not {expected}: the source serves wrong bytes")]
    Mismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The content is shorter or longer than announced.
    #[error("{found} bytes came where {expected} were announced")]
    Length {
        /// Bytes announced.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The manifest and the registry differ on how large a blob is.
    #[error("its manifest gives it {said} bytes, and the registry serves {served}")]
    Size {
        /// The size in the manifest.
        said: u64,
        /// The size that is served.
        served: u64,
    },
    /// The target still serves corrupt bytes after a re-upload.
    #[error(
        "the target still serves corrupt bytes after a re-upload; delete the blob from the target's storage and sync again"
    )]
    Kept,
    /// A response that violates the protocol.
    #[error("{0}")]
    Protocol(String),
    /// A manifest that cannot be copied.
    #[error("{0}")]
    Manifest(String),
    /// The error of another registry, whose blob was being streamed to this one.
    #[error("{0}")]
    Elsewhere(Box<Error>),
}

fn remedy_line(remedy: Option<&str>) -> String {
    remedy.map_or_else(String::new, |remedy| format!("; {remedy}"))
}

fn wait(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(wait) => {
            format!(
                "; it says to wait {}",
                humantime::format_duration(Duration::from_secs(wait.as_secs()))
            )
        }
        None => String::new(),
    }
}

impl Error {
    /// Creates an error. Texts of others are bounded and made printable.
    pub fn new(
        operation: Operation,
        subject: impl ToString,
        registry: &RegistryName,
        kind: Kind,
    ) -> Self {
        let (subject, registry) = (subject.to_string(), registry.clone());
        Self {
            operation,
            subject,
            registry,
            kind: Box::new(kind.bounded()),
            remedy: None,
        }
    }

    /// The same, with what helps.
    pub(crate) fn with_remedy(self, remedy: Option<String>) -> Self {
        Self {
            remedy: remedy.map(|text| one_line(&text).into()).or(self.remedy),
            ..self
        }
    }

    /// Whether the same thing tried again may succeed.
    pub fn is_transient(&self) -> bool {
        match &*self.kind {
            Kind::Network(_)
            | Kind::Stalled(_)
            | Kind::NoLogin(_)
            | Kind::TokenExpired
            | Kind::Server { .. } => true,
            Kind::Throttled { retry_after, .. } => {
                retry_after.is_none_or(|wait| wait <= MAX_RETRY_AFTER)
            }
            Kind::Length { expected, found } => found < expected,
            Kind::Elsewhere(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether bytes sent before this error still count: the transfer was interrupted, not refused.
    pub fn is_interruption(&self) -> bool {
        match &*self.kind {
            Kind::Throttled { .. } | Kind::Quota(_) | Kind::Unauthorized(_) | Kind::Denied(_) => {
                true
            }
            Kind::Elsewhere(error) => error.is_interruption(),
            _ => self.is_transient(),
        }
    }

    /// Whether the error may concern this item only, and no other item of the registry.
    pub fn is_of_one_thing(&self) -> bool {
        matches!(
            &*self.kind,
            Kind::Server { .. }
                | Kind::Rejected { .. }
                | Kind::Mismatch { .. }
                | Kind::Length { .. }
                | Kind::Size { .. }
                | Kind::Protocol(_)
                | Kind::Manifest(_)
        )
    }

    /// Whether the content is not what its digest says.
    pub fn is_mismatch(&self) -> bool {
        match &*self.kind {
            Kind::Mismatch { .. } => true,
            Kind::Elsewhere(error) => error.is_mismatch(),
            _ => false,
        }
    }

    /// The error's class.
    pub fn class(&self) -> ErrorClass {
        match &*self.kind {
            Kind::Network(_) => ErrorClass::Network,
            Kind::Stalled(_) => ErrorClass::Stalled,
            Kind::Unauthorized(_) | Kind::NoLogin(_) | Kind::TokenExpired => ErrorClass::Auth,
            Kind::Denied(_) => ErrorClass::Denied,
            Kind::NotFound(_) => ErrorClass::NotFound,
            Kind::Throttled { .. } => ErrorClass::Throttled,
            Kind::Quota(_) => ErrorClass::Quota,
            Kind::Server { .. } => ErrorClass::Server,
            Kind::Blocked(_) => ErrorClass::Blocked,
            Kind::Rejected { .. } => ErrorClass::Rejected,
            Kind::Mismatch { .. } => ErrorClass::DigestMismatch,
            Kind::Length { .. } | Kind::Size { .. } => ErrorClass::Truncated,
            Kind::Kept => ErrorClass::Kept,
            Kind::Limit(_) => ErrorClass::Limit,
            Kind::StorageQuota(_) => ErrorClass::StorageQuota,
            Kind::DiskFull(_) => ErrorClass::DiskFull,
            Kind::ReadOnly(_) => ErrorClass::ReadOnly,
            Kind::Certificate(_) => ErrorClass::Certificate,
            Kind::Protocol(_) => ErrorClass::Protocol,
            Kind::Manifest(_) => ErrorClass::Manifest,
            Kind::Elsewhere(error) => error.class(),
        }
    }

    /// Whether the target can store nothing for now, whatever it is sent.
    pub fn is_storage_refused(&self) -> bool {
        matches!(
            &*self.kind,
            Kind::StorageQuota(_) | Kind::DiskFull(_) | Kind::ReadOnly(_)
        )
    }

    /// Whether the registry reports that the item does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(&*self.kind, Kind::NotFound(_))
    }

    /// Whether the registry forbids reading an item that may exist. Harbor answers 412 for an image
    /// that a policy forbids to pull, Artifactory 403 for one that does not exist.
    pub fn is_read_forbidden(&self) -> bool {
        matches!(
            &*self.kind,
            Kind::Denied(_) | Kind::Rejected { status: 412, .. }
        )
    }

    /// Whether a policy of the registry forbids to pull an item that exists.
    pub fn is_policy(&self) -> bool {
        matches!(&*self.kind, Kind::Rejected { status: 412, .. })
    }

    /// Whether the target does not let a tag move or be deleted.
    pub fn is_blocked(&self) -> bool {
        matches!(&*self.kind, Kind::Blocked(_))
    }

    /// Whether the target refused a manifest because it is an attestation. Aliyun ACR refuses the
    /// empty config that builders give to attestations.
    pub fn is_attestation_refused(&self) -> bool {
        match &*self.kind {
            Kind::Denied(message) | Kind::Rejected { message, .. } => message
                .to_ascii_lowercase()
                .contains("unknown manifest class"),
            _ => false,
        }
    }

    /// Whether the target refused a manifest because it lacks content that the manifest names.
    /// distribution answers 404 to a missing blob or child, most other registries 400.
    pub fn is_missing_content(&self) -> bool {
        match &*self.kind {
            Kind::NotFound(message) | Kind::Rejected { message, .. } => {
                let message = message.to_ascii_uppercase();
                [
                    "BLOB_UNKNOWN",
                    "MANIFEST_UNKNOWN",
                    "BLOB UNKNOWN",
                    "MANIFEST UNKNOWN",
                ]
                .iter()
                .any(|code| message.contains(code))
            }
            _ => false,
        }
    }
}

impl Kind {
    /// Whether a silent connection was given up before `stall`: it was dead, and others moved.
    pub(crate) fn is_early_stall(&self, stall: Duration) -> bool {
        matches!(self, Self::Stalled(lasted) if *lasted < stall)
    }

    /// The same with texts of others cut to a screen and without control characters: errors end in
    /// logs, terminals and web pages.
    fn bounded(self) -> Self {
        match self {
            Self::Network(text) => Self::Network(one_line(&text)),
            Self::Unauthorized(text) => Self::Unauthorized(one_line(&text)),
            Self::Denied(text) => Self::Denied(one_line(&text)),
            Self::NotFound(text) => Self::NotFound(one_line(&text)),
            Self::Blocked(text) => Self::Blocked(one_line(&text)),
            Self::Protocol(text) => Self::Protocol(one_line(&text)),
            Self::Manifest(text) => Self::Manifest(one_line(&text)),
            Self::StorageQuota(text) => Self::StorageQuota(one_line(&text)),
            Self::DiskFull(text) => Self::DiskFull(one_line(&text)),
            Self::ReadOnly(text) => Self::ReadOnly(one_line(&text)),
            Self::Certificate(text) => Self::Certificate(one_line(&text)),
            other => other,
        }
    }
}

impl From<ManifestError> for Kind {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error.to_string())
    }
}

impl From<&reqwest::Error> for Kind {
    /// The innermost causes are what an operator can act on: "Connection refused", "dns error".
    fn from(error: &reqwest::Error) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut cause: Option<&(dyn StdError + 'static)> = error.source();
        while let Some(error) = cause {
            if let Some(refusal) = error.downcast_ref::<RefusedRedirect>() {
                return Self::Protocol(refusal.to_string());
            }
            if let Some(text) = tls_cause(error).and_then(tls::explain) {
                return Self::Certificate(text);
            }
            if let Some(inner) = error.downcast_ref::<Error>() {
                return Self::Elsewhere(Box::new(inner.clone()));
            }
            let text = error.to_string();
            if !causes.iter().any(|known| known.contains(&text)) {
                causes.push(text);
            }
            cause = error.source();
        }
        match causes.is_empty() {
            true => Self::Network(error.to_string()),
            false => Self::Network(causes.join(": ")),
        }
    }
}

/// A failure of TLS; an I/O error that wraps one does not show it among its causes.
fn tls_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let inner: &(dyn StdError + 'static) = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    tls_cause(inner)
}

/// The message in the body of a failed response: the codes and messages of the specification's
/// envelope, or else the first words of the body.
pub(crate) fn words(status: u16, body: &[u8]) -> String {
    if let Ok(envelope) = serde_json::from_slice::<OciEnvelope>(body) {
        let said: Vec<String> = envelope
            .errors
            .iter()
            .map(|error| {
                let code = serde_json::to_value(&error.code).unwrap_or_default();
                let text = format!("{}: {}", code.as_str().unwrap_or_default(), error.message);
                // Only the detail holds the reason of a 5xx.
                match &error.detail {
                    Value::Null => text,
                    detail if status >= 500 => format!("{text} {detail}"),
                    _ => text,
                }
            })
            .collect();
        if !said.is_empty() {
            return one_line(&said.join("; "));
        }
    }
    let text = String::from_utf8_lossy(body);
    match text.trim() {
        "" | "{}" | "null" => format!("status {status}"),
        text if text.starts_with('<') => format!("status {status} with an HTML page"),
        text => one_line(text),
    }
}

#[cfg(test)]
mod tests;
