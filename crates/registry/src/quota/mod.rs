//! The pulls that a registry gives out in a window of time, and who may still have one.

pub(crate) mod admission;
pub(crate) mod retry_after;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{Kind, probe::Quota};
use crate::{oci::Digest, quota::admission::ImageAdmission};

/// The window slides, so that pulls come back one by one: asked again is when this many may have
/// come back, for an image is several pulls.
const PULLS_WORTH: u32 = 10;
/// How soon it is asked again at the earliest, and where no window is told.
const SHORTEST: Duration = Duration::from_secs(60);
const UNTOLD: Duration = Duration::from_secs(3600);
/// A longer window is nonsense.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// What is left of a registry's pulls, by its own word. One that tells nothing limits nothing.
#[derive(Debug, Default)]
pub(crate) struct PullQuota {
    state: Mutex<QuotaState>,
    returned: Notify,
}

#[derive(Debug, Default)]
struct QuotaState {
    told: Option<Quota>,
    /// When that was heard.
    heard_at: Option<Instant>,
    in_flight: u64,
    /// When a spent quota is tried again.
    again_at: Option<Instant>,
    turns: ImageAdmission<ImagePermit>,
}

/// The right to pull one manifest, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pull<'a>(&'a PullQuota);

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
    pub(crate) async fn pull(&self) -> Result<Pull<'_>, Kind> {
        loop {
            let returned = self.returned.notified();
            match self.lock().admit(Instant::now()) {
                Admission::Go => return Ok(Pull(self)),
                Admission::Spent(kind) => return Err(kind),
                Admission::Wait => {}
            }
            returned.await;
        }
    }

    /// Takes note of what the registry tells in answer to what it was asked then. Answers overtake
    /// one another: one that was asked for before another was heard does not speak for more pulls.
    pub(crate) fn told(self: &Arc<Self>, quota: Quota, asked_at: Instant) {
        self.change(|state| state.told(quota, asked_at));
    }

    /// Takes note of a refusal for want of pulls, which may tell no number.
    pub(crate) fn refused(self: &Arc<Self>) {
        self.change(QuotaState::refused);
    }

    /// Takes note of a pull, asked for then, that was given without a word of how many are left: a
    /// refusal before it, which told none either, holds no longer.
    pub(crate) fn given(self: &Arc<Self>, asked_at: Instant) {
        self.change(|state| state.given(asked_at));
    }

    /// Waits until an image may be pulled that is awaited since `since`, in seconds since 1970.
    pub(crate) async fn turn(self: &Arc<Self>, image: &Digest, since: i64) -> Option<ImagePermit> {
        let (begin, begun) = oneshot::channel();
        self.change(|state| state.turns.wait(image.clone(), since, begin));
        // It waits for as long as somebody waits for it.
        begun.await.ok()
    }

    /// Changes what is known, and lets images begin that may now.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut QuotaState)) {
        let mut state = self.lock();
        change(&mut state);
        let left = state.told.map(|told| told.remaining);
        let beginning = state.turns.begin(left);
        drop(state);
        for waiting in beginning {
            let (quota, image) = (self.clone(), waiting.image);
            // Who has stopped waiting by now lets go of it.
            drop(waiting.begin.send(ImagePermit { quota, image }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, QuotaState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pull<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
        self.0.returned.notify_waiters();
    }
}

impl ImagePermit {
    /// Takes note of the manifests that are still to be pulled.
    pub fn needs<'a>(&self, parts: impl Iterator<Item = &'a Digest>) {
        let change = |state: &mut QuotaState| state.turns.needs(&self.image, parts);
        self.quota.change(change);
    }

    /// Takes note of a manifest that is not, or no longer.
    pub fn has(&self, part: &Digest) {
        let change = |state: &mut QuotaState| state.turns.has(&self.image, part);
        self.quota.change(change);
    }
}

impl Drop for ImagePermit {
    fn drop(&mut self) {
        self.quota.change(|state| state.turns.end(&self.image));
    }
}

impl QuotaState {
    fn told(&mut self, quota: Quota, asked_at: Instant) {
        let is_late = self.heard_at.is_some_and(|heard_at| asked_at < heard_at);
        let known = self.told.map(|told| told.remaining);
        if is_late && known.is_some_and(|known| known <= quota.remaining) {
            return;
        }
        if quota.remaining > 0 {
            self.again_at = None;
        }
        self.told = Some(quota);
        self.heard_at = Some(Instant::now());
    }

    fn refused(&mut self) {
        let told = self.told.unwrap_or(Quota {
            limit: None,
            remaining: 0,
            window: None,
        });
        self.told = Some(Quota {
            remaining: 0,
            ..told
        });
        self.heard_at = Some(Instant::now());
    }

    fn given(&mut self, asked_at: Instant) {
        let is_spent = self.told.is_some_and(|told| told.remaining == 0);
        if is_spent && self.heard_at.is_some_and(|heard_at| heard_at < asked_at) {
            (self.told, self.heard_at, self.again_at) = (None, None, None);
        }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        let Some(told) = self.told.filter(|told| told.remaining <= self.in_flight) else {
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
    let Some(window) = told.window.map(|window| window.min(LONGEST)) else {
        return UNTOLD;
    };
    let limit = told.limit.and_then(|limit| u32::try_from(limit).ok());
    let one = window / limit.unwrap_or(PULLS_WORTH).max(1);
    (one * PULLS_WORTH).clamp(SHORTEST, window.max(SHORTEST))
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
