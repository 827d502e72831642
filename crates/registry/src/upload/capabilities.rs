//! How a registry takes large blobs, as far as that is known.

use chrono::Utc;
use parking_lot::{Mutex, MutexGuard};

use crate::{Error, Kind, oci::RegistryName, vendor::Vendor};

/// Parts never become smaller than this, in bytes: each costs a round trip.
const MIN_CHUNK: u64 = 1 << 20;

/// How long a lesson counts, in seconds: registries change, and some words are misunderstood.
const LESSON_LIFETIME_SECS: i64 = 7 * 24 * 3600;

/// What a registry taught. It stays true from one process to the next, for a week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedCapabilities {
    /// Whether it takes a blob in parts.
    pub takes_parts: Option<bool>,
    /// The largest body that it takes, in bytes, where it refused a larger one.
    pub largest_body: Option<u64>,
    /// When it last taught something, in seconds since 1970.
    pub learned_at: i64,
}

/// How bytes were sent that a registry refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadAttempt {
    /// The length of the request's body, in bytes.
    pub(crate) length: u64,
    /// Whether it was a part of a blob, or the end of one that came in parts.
    pub(crate) in_parts: bool,
    /// Whether the session had parts before.
    pub(crate) had_parts: bool,
    /// The least bytes that the registry takes in one part.
    pub(crate) least: u64,
}

/// A registry's dialect, shared by all who talk to it.
#[derive(Debug)]
pub(crate) struct UploadCapabilities {
    /// What is known of the host before anything was sent.
    takes_parts: Option<bool>,
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    capabilities: LearnedCapabilities,
    /// Whether something was learned since it was last told.
    has_changed: bool,
    /// Whether it names the byte that comes next when it is asked how far an upload is, where others
    /// name the last; nothing where nobody asked, or where that was no help.
    counting: Option<Option<bool>>,
}

impl UploadCapabilities {
    /// What is known of a registry before anything was sent.
    pub(crate) fn new(name: &RegistryName, learned: LearnedCapabilities) -> Self {
        Self {
            takes_parts: Vendor::of(name).takes_chunks(),
            learned: Mutex::new(Learned {
                capabilities: learned,
                ..Learned::default()
            }),
        }
    }

    /// What is known now.
    fn known(&self) -> LearnedCapabilities {
        self.lock().known(Utc::now().timestamp(), self.takes_parts)
    }

    /// What was learned since this was last asked.
    pub(crate) fn take_changes(&self) -> Option<LearnedCapabilities> {
        let mut learned = self.lock();
        std::mem::take(&mut learned.has_changed).then_some(learned.capabilities)
    }

    /// The size of the parts in which a blob is sent, if it is, in bytes. `wished` is what the
    /// config says, and `least` what the registry says that it takes.
    pub(crate) fn part(&self, size: u64, wished: u64, least: u64) -> Option<u64> {
        let known = self.known();
        let part = wished
            .min(known.largest_body.unwrap_or(u64::MAX))
            .max(least);
        (known.takes_parts != Some(false) && size > part).then_some(part)
    }

    /// How it counts the bytes of an upload, if it was asked.
    pub(crate) fn counting(&self) -> Option<Option<bool>> {
        self.lock().counting
    }

    /// Takes note of how it counts.
    pub(crate) fn counts(&self, names_next_byte: Option<bool>) -> Option<bool> {
        self.lock().counting = Some(names_next_byte);
        names_next_byte
    }

    /// Takes note that a blob arrived in parts.
    pub(crate) fn took_parts(&self) {
        if self.known().takes_parts != Some(true) {
            self.lock()
                .learn(|capabilities| capabilities.takes_parts = Some(true));
        }
    }

    /// Learns from a refusal; whether another try will be different.
    pub(crate) fn learn(&self, error: &Error, refused: UploadAttempt) -> bool {
        let known = self.known();
        match &*error.kind {
            // Cloudflare takes 100 MB, and says so with a page of HTML.
            Kind::Rejected { status: 413, .. } if self.takes_parts != Some(false) => {
                let body = (refused.length / 2).max(MIN_CHUNK).max(refused.least);
                let is_less = body < known.largest_body.unwrap_or(u64::MAX);
                let is_whole = known.takes_parts == Some(false);
                if body < refused.length && (is_less || is_whole) {
                    self.lock().learn(|capabilities| {
                        capabilities.largest_body = Some(body);
                        // Whole it goes no better, so that parts are tried once more.
                        capabilities.takes_parts = capabilities.takes_parts.filter(|takes| *takes);
                    });
                }
                body < refused.length
            }
            kind if refused.in_parts && is_about_parts(kind) => {
                // A registry that has taken parts before refuses something else.
                if known.takes_parts.is_none() {
                    self.lock()
                        .learn(|capabilities| capabilities.takes_parts = Some(false));
                }
                // Others may have learned it in the meantime.
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

/// Whether a refusal may be one of parts. A quota, a login or an immutable tag is refused in other
/// words.
fn is_about_parts(kind: &Kind) -> bool {
    match kind {
        Kind::NotFound(_) | Kind::Protocol(_) => true,
        Kind::Rejected { status, .. } => [400, 405, 411, 415, 416, 501].contains(status),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
