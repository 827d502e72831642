//! The pulls that a registry gives out in a window of time, and who may still have one.

pub(crate) mod admission;
pub(crate) mod retry_after;

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{Kind, probe::Quota};
use crate::{oci::Digest, quota::admission::ImageAdmission};

/// The window slides, so that pulls come back one by one: asked again is when this many may have
/// come back, for an image is several pulls.
const PULLS_PER_RETRY: u32 = 10;
/// How soon it is asked again at the earliest, and where no window is told.
const MIN_PAUSE: Duration = Duration::from_secs(60);
const PAUSE_WITHOUT_WINDOW: Duration = Duration::from_secs(3600);
/// A longer window is nonsense.
const MAX_WINDOW: Duration = Duration::from_secs(31 * 24 * 3600);

/// What is left of a registry's pulls, by its own word. One that tells nothing limits nothing.
#[derive(Debug, Default)]
pub(crate) struct PullQuota {
    state: Mutex<QuotaState>,
    returned: Notify,
}

#[derive(Debug, Default)]
struct QuotaState {
    reported: Option<Quota>,
    /// When that was heard.
    heard_at: Option<Instant>,
    in_flight: u64,
    /// When a spent quota is tried again.
    again_at: Option<Instant>,
    images: ImageAdmission<ImagePermit>,
}

/// The right to pull one manifest, until it is dropped.
#[derive(Debug)]
pub(crate) struct PullPermit<'a>(&'a PullQuota);

/// The right to pull the manifests of one image, until it is dropped.
#[derive(Debug)]
pub struct ImagePermit {
    quota: Arc<PullQuota>,
    image: Digest,
}

enum Admission {
    Go,
    Wait,
    Spent(Kind),
}

impl PullQuota {
    /// Waits until it is sure that a pull is left, and takes it; or says that none is.
    pub(crate) async fn pull(&self) -> Result<PullPermit<'_>, Kind> {
        loop {
            let returned = self.returned.notified();
            match self.lock().admit(Instant::now()) {
                Admission::Go => return Ok(PullPermit(self)),
                Admission::Spent(kind) => return Err(kind),
                Admission::Wait => {}
            }
            returned.await;
        }
    }

    /// Takes note of what the registry tells in answer to what it was asked then. Answers overtake
    /// one another: one that was asked for before another was heard does not speak for more pulls.
    pub(crate) fn update(self: &Arc<Self>, quota: Quota, asked_at: Instant) {
        self.change(|state| state.update(quota, asked_at));
    }

    /// The quota that the registry reported last.
    pub(crate) fn reported(&self) -> Option<Quota> {
        self.lock().reported
    }

    /// Takes note of a refusal for want of pulls, which may tell no number.
    pub(crate) fn pull_refused(self: &Arc<Self>) {
        self.change(QuotaState::pull_refused);
    }

    /// Takes note of a pull, asked for then, that was given without a word of how many are left: a
    /// refusal before it, which told none either, holds no longer.
    pub(crate) fn pull_granted(self: &Arc<Self>, asked_at: Instant) {
        self.change(|state| state.pull_granted(asked_at));
    }

    /// Waits until an image may be pulled that is awaited since `since`, in seconds since 1970.
    pub(crate) async fn admit_image(
        self: &Arc<Self>,
        image: &Digest,
        since: i64,
    ) -> Option<ImagePermit> {
        let (begin, begun) = oneshot::channel();
        self.change(|state| state.images.wait(image.clone(), since, begin));
        // It waits for as long as somebody waits for it.
        begun.await.ok()
    }

    /// Changes what is known, and lets images begin that may now.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut QuotaState)) {
        let mut state = self.lock();
        change(&mut state);
        let left = state.reported.map(|told| told.remaining);
        let beginning = state.images.begin(left);
        drop(state);
        for waiting in beginning {
            let (quota, image) = (self.clone(), waiting.image);
            // Who has stopped waiting by now lets go of it.
            drop(waiting.begin.send(ImagePermit { quota, image }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, QuotaState> {
        self.state.lock()
    }
}

impl Drop for PullPermit<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
        self.0.returned.notify_waiters();
    }
}

impl ImagePermit {
    /// Takes note of the manifests that are still to be pulled.
    pub fn needs<'a>(&self, parts: impl Iterator<Item = &'a Digest>) {
        let change = |state: &mut QuotaState| state.images.needs(&self.image, parts);
        self.quota.change(change);
    }

    /// Takes note of a manifest that is not, or no longer.
    pub fn has(&self, part: &Digest) {
        let change = |state: &mut QuotaState| state.images.has(&self.image, part);
        self.quota.change(change);
    }
}

impl Drop for ImagePermit {
    fn drop(&mut self) {
        self.quota.change(|state| state.images.end(&self.image));
    }
}

impl QuotaState {
    fn update(&mut self, quota: Quota, asked_at: Instant) {
        let is_late = self.heard_at.is_some_and(|heard_at| asked_at < heard_at);
        let known = self.reported.map(|told| told.remaining);
        if is_late && known.is_some_and(|known| known <= quota.remaining) {
            return;
        }
        if quota.remaining > 0 {
            self.again_at = None;
        }
        self.reported = Some(quota);
        self.heard_at = Some(Instant::now());
    }

    fn pull_refused(&mut self) {
        let told = self.reported.unwrap_or(Quota {
            limit: None,
            remaining: 0,
            window: None,
        });
        self.reported = Some(Quota {
            remaining: 0,
            ..told
        });
        self.heard_at = Some(Instant::now());
    }

    fn pull_granted(&mut self, asked_at: Instant) {
        let is_spent = self.reported.is_some_and(|told| told.remaining == 0);
        if is_spent && self.heard_at.is_some_and(|heard_at| heard_at < asked_at) {
            (self.reported, self.heard_at, self.again_at) = (None, None, None);
        }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        let Some(told) = self
            .reported
            .filter(|told| told.remaining <= self.in_flight)
        else {
            self.in_flight += 1;
            return Admission::Go;
        };
        // What is under way may be counted already, or not yet: its answer tells.
        if self.in_flight > 0 {
            return Admission::Wait;
        }
        let pause = pause(told);
        let again_at = *self.again_at.get_or_insert(now + pause);
        if again_at <= now {
            self.again_at = Some(now + pause);
            self.in_flight += 1;
            return Admission::Go;
        }
        Admission::Spent(Kind::Quota(words(told, again_at - now)))
    }
}

fn pause(told: Quota) -> Duration {
    let Some(window) = told.window.map(|window| window.min(MAX_WINDOW)) else {
        return PAUSE_WITHOUT_WINDOW;
    };
    let limit = told.limit.and_then(|limit| u32::try_from(limit).ok());
    let one = window / limit.unwrap_or(PULLS_PER_RETRY).max(1);
    (one * PULLS_PER_RETRY).clamp(MIN_PAUSE, window.max(MIN_PAUSE))
}

fn words(told: Quota, left: Duration) -> String {
    let round = |time: Duration| humantime::format_duration(Duration::from_secs(time.as_secs()));
    let rule = match (told.limit, told.window) {
        (Some(limit), Some(window)) => format!("{limit} pulls in {}", round(window)),
        (Some(limit), None) => format!("{limit} pulls"),
        (None, _) => "no more pulls for now".to_owned(),
    };
    format!(
        "the registry allows {rule}, and they are used up; the rest is copied when they come back, \
         which is tried in {}; a login may have more",
        round(left.max(Duration::from_secs(1)))
    )
}

#[cfg(test)]
mod tests;
