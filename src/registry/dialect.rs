//! How a registry takes large blobs, as far as that is known.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Error, Kind};
use crate::oci::RegistryName;

/// Parts never become smaller than this, in bytes: each costs a round trip.
const SMALLEST: u64 = 1 << 20;

/// What a registry taught. It stays true from one process to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Whether it takes a blob in parts.
    pub takes_parts: Option<bool>,
    /// The largest body that it takes, in bytes, where it refused a larger one.
    pub largest_body: Option<u64>,
}

/// A registry's dialect, shared by all who talk to it.
#[derive(Debug)]
pub(super) struct Dialects {
    learned: Mutex<Dialect>,
}

impl Dialects {
    /// What is known of a registry before anything was sent.
    pub(super) fn new(name: &RegistryName, learned: Dialect) -> Self {
        Self {
            learned: Mutex::new(Dialect {
                takes_parts: learned.takes_parts.or(takes_parts(name.as_str())),
                ..learned
            }),
        }
    }

    /// What is known now.
    pub(super) fn known(&self) -> Dialect {
        *self.lock()
    }

    /// The size of the parts in which a blob is sent, if it is, in bytes. `wished` is what the
    /// config says, and `least` what the registry says that it takes.
    pub(super) fn part(&self, size: u64, wished: u64, least: u64) -> Option<u64> {
        let known = self.known();
        let part = wished
            .min(known.largest_body.unwrap_or(u64::MAX))
            .max(least);
        (known.takes_parts != Some(false) && size > part).then_some(part)
    }

    /// Takes note that a blob arrived in parts.
    pub(super) fn took_parts(&self) {
        self.lock().takes_parts = Some(true);
    }

    /// Learns from a refusal of a body of `sent` bytes; whether another try will be different.
    pub(super) fn learn(&self, error: &Error, sent: u64, in_parts: bool) -> bool {
        let mut known = self.lock();
        match &*error.kind {
            // Cloudflare takes 100 MB, and says so with a page of HTML.
            Kind::Rejected { status: 413, .. } if known.takes_parts != Some(false) => {
                let body = (sent / 2).max(SMALLEST);
                let is_smaller = body < sent;
                if is_smaller {
                    known.largest_body = Some(known.largest_body.unwrap_or(body).min(body));
                }
                is_smaller
            }
            // A registry that has taken parts before refuses something else.
            kind if in_parts && known.takes_parts.is_none() && is_about_parts(kind) => {
                known.takes_parts = Some(false);
                true
            }
            _ => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Dialect> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a refusal may be one of parts. A quota, a login or an immutable tag is refused in other
/// words.
fn is_about_parts(kind: &Kind) -> bool {
    match kind {
        Kind::NotFound(_) | Kind::Protocol(_) => true,
        Kind::Rejected { status, .. } => [400, 405, 411, 415, 416].contains(status),
        _ => false,
    }
}

/// Registries whose ways are known: Artifact Registry takes blobs whole, and on ghcr.io the last
/// of several parts wins.
fn takes_parts(host: &str) -> Option<bool> {
    let is_whole = host == "ghcr.io"
        || host == "gcr.io"
        || host.ends_with(".gcr.io")
        || host.ends_with(".pkg.dev");
    is_whole.then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialects(host: &str) -> Dialects {
        Dialects::new(&host.parse().unwrap(), Dialect::default())
    }

    fn refused(status: u16) -> Error {
        let message = String::new();
        let kind = Kind::Rejected { status, message };
        Error::new("upload", "a blob", &"r.example.com".parse().unwrap(), kind)
    }

    #[test]
    fn a_blob_goes_in_parts_where_it_is_larger_than_one() {
        let dialects = dialects("r.example.com");
        assert_eq!(dialects.part(32, 32, 0), None);
        assert_eq!(dialects.part(33, 32, 0), Some(32));
        assert_eq!(dialects.part(100, 32, 64), Some(64));
        for host in ["ghcr.io", "eu.gcr.io", "europe-docker.pkg.dev"] {
            assert_eq!(self::dialects(host).part(33, 32, 0), None);
        }
    }

    #[test]
    fn a_body_that_was_too_large_is_halved_down_to_a_limit() {
        let dialects = dialects("r.example.com");
        assert!(dialects.learn(&refused(413), 64 << 20, false));
        assert_eq!(dialects.part(64 << 20, 32 << 20, 0), Some(32 << 20));
        assert!(dialects.learn(&refused(413), 32 << 20, true));
        assert_eq!(dialects.part(64 << 20, 32 << 20, 0), Some(16 << 20));
        assert!(!dialects.learn(&refused(413), 1 << 20, true));
        assert_eq!(dialects.known().takes_parts, None);
    }

    #[test]
    fn a_registry_that_refuses_parts_gets_blobs_whole() {
        let dialects = dialects("r.example.com");
        assert!(!dialects.learn(&refused(400), 10, false));
        assert!(!dialects.learn(&refused(412), 10, true));
        assert!(dialects.learn(&refused(400), 10, true));
        assert_eq!(dialects.part(64, 32, 0), None);
        assert!(!dialects.learn(&refused(400), 10, true));
    }

    #[test]
    fn a_registry_that_took_parts_before_goes_on_getting_them() {
        let dialects = dialects("r.example.com");
        dialects.took_parts();
        assert!(!dialects.learn(&refused(400), 10, true));
        assert_eq!(dialects.part(64, 32, 0), Some(32));
    }
}
