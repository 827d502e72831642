//! Upload capabilities: how a registry takes large blobs, as learned from its refusals.

use chrono::Utc;
use parking_lot::{Mutex, MutexGuard};

use crate::{Error, Kind, oci::RegistryName, vendor::Vendor};

/// Minimum chunk in bytes: each costs a round trip.
const MIN_CHUNK: u64 = 1 << 20;

/// How long something learned is valid, in seconds: registries change, and some refusals are
/// misunderstood.
const LESSON_LIFETIME_SECS: i64 = 7 * 24 * 3600;

/// What was learned of a registry. It is valid for a week, in other processes, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedCapabilities {
    /// Whether it takes a blob in chunks.
    pub takes_parts: Option<bool>,
    /// The largest body to send, in bytes, after a larger one was refused.
    pub largest_body: Option<u64>,
    /// When something was last learned, in seconds since 1970.
    pub learned_at: i64,
}

/// How bytes were sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadAttempt {
    /// The length of the request's body, in bytes.
    pub(crate) length: u64,
    /// Whether it was a chunk, or the end of a blob in chunks.
    pub(crate) in_parts: bool,
    /// Whether the session had chunks before.
    pub(crate) had_parts: bool,
    /// Minimum chunk that the registry takes, in bytes.
    pub(crate) least: u64,
}

/// The upload capabilities of a registry, shared by all of its handles.
#[derive(Debug)]
pub(crate) struct UploadCapabilities {
    /// What is known of the vendor.
    takes_parts: Option<bool>,
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    capabilities: LearnedCapabilities,
    /// Whether something was learned since [`UploadCapabilities::take_changes`].
    has_changed: bool,
    /// Whether it reports the next byte when it is asked for the offset of an upload. Other registries
    /// report the last byte. The outer `None`: not asked yet; the inner: the response was no help.
    counting: Option<Option<bool>>,
}

impl UploadCapabilities {
    /// The capabilities of a registry, as known of its vendor and as learned before.
    pub(crate) fn new(name: &RegistryName, learned: LearnedCapabilities) -> Self {
        Self {
            takes_parts: Vendor::of(name).takes_chunks(),
            learned: Mutex::new(Learned {
                capabilities: learned,
                ..Learned::default()
            }),
        }
    }

    /// What is valid now.
    fn known(&self) -> LearnedCapabilities {
        self.lock().known(Utc::now().timestamp(), self.takes_parts)
    }

    /// What was learned since the last call.
    pub(crate) fn take_changes(&self) -> Option<LearnedCapabilities> {
        let mut learned = self.lock();
        std::mem::take(&mut learned.has_changed).then_some(learned.capabilities)
    }

    /// The size of chunks for a blob, in bytes; `None` if it is sent in one request. `wished` is the
    /// configured size, `least` the minimum of the registry.
    pub(crate) fn part(&self, size: u64, wished: u64, least: u64) -> Option<u64> {
        let known = self.known();
        let part = wished
            .min(known.largest_body.unwrap_or(u64::MAX))
            .max(least);
        (known.takes_parts != Some(false) && size > part).then_some(part)
    }

    /// How it reports the offset of an upload, if it was asked.
    pub(crate) fn counting(&self) -> Option<Option<bool>> {
        self.lock().counting
    }

    /// Remembers how it reports the offset.
    pub(crate) fn counts(&self, names_next_byte: Option<bool>) -> Option<bool> {
        self.lock().counting = Some(names_next_byte);
        names_next_byte
    }

    /// Learns that a blob arrived in chunks.
    pub(crate) fn took_parts(&self) {
        if self.known().takes_parts != Some(true) {
            self.lock()
                .learn(|capabilities| capabilities.takes_parts = Some(true));
        }
    }

    /// Learns from a refusal. Returns whether another attempt will be sent differently.
    pub(crate) fn learn(&self, error: &Error, refused: UploadAttempt) -> bool {
        let known = self.known();
        match &*error.kind {
            // Cloudflare takes 100 MB, and refuses more with an HTML page.
            Kind::Rejected { status: 413, .. } if self.takes_parts != Some(false) => {
                let body = (refused.length / 2).max(MIN_CHUNK).max(refused.least);
                let is_less = body < known.largest_body.unwrap_or(u64::MAX);
                let is_whole = known.takes_parts == Some(false);
                if body < refused.length && (is_less || is_whole) {
                    self.lock().learn(|capabilities| {
                        capabilities.largest_body = Some(body);
                        // A whole blob would not fit, so that chunks are tried once more.
                        capabilities.takes_parts = capabilities.takes_parts.filter(|takes| *takes);
                    });
                }
                body < refused.length
            }
            kind if refused.in_parts && is_about_parts(kind) => {
                // A registry that took chunks before refuses something else.
                if known.takes_parts.is_none() {
                    self.lock()
                        .learn(|capabilities| capabilities.takes_parts = Some(false));
                }
                // Another upload may have learned it meanwhile.
                known.takes_parts != Some(true)
            }
            _ => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock()
    }
}

impl Learned {
    fn known(&self, now: i64, takes_parts: Option<bool>) -> LearnedCapabilities {
        let is_old = now - self.capabilities.learned_at > LESSON_LIFETIME_SECS;
        let learned = if is_old {
            LearnedCapabilities::default()
        } else {
            self.capabilities
        };
        LearnedCapabilities {
            takes_parts: learned.takes_parts.or(takes_parts),
            ..learned
        }
    }

    fn learn(&mut self, lesson: impl FnOnce(&mut LearnedCapabilities)) {
        let now = Utc::now().timestamp();
        self.capabilities = self.known(now, None);
        lesson(&mut self.capabilities);
        self.capabilities.learned_at = now;
        self.has_changed = true;
    }
}

/// Whether a refusal may be about chunks. Quotas, logins and immutable tags are refused with other
/// statuses.
fn is_about_parts(kind: &Kind) -> bool {
    match kind {
        Kind::NotFound(_) | Kind::Protocol(_) => true,
        Kind::Rejected { status, .. } => [400, 405, 411, 415, 416, 501].contains(status),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
