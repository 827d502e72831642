//! The pull quota of a registry, as Docker Hub has one: how many pulls are left, and who gets them.

pub(crate) mod admission;
pub(crate) mod retry_after;
pub(crate) mod shared;

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Notify, futures::Notified, oneshot},
    time::{Instant, timeout},
};

use super::{Kind, probe::Quota};
use crate::{
    oci::Digest,
    quota::{
        admission::ImageAdmission,
        shared::{Granted, Held, POLL, PullGrant, PullSource},
    },
};

/// Pulls that are drawn at a time of a quota that is shared: those of one image.
const GRANT: u64 = 10;

/// The window slides, so that pulls come back one by one. A used-up quota is tried again when this
/// many may have come back, because an image is several pulls.
const PULLS_PER_RETRY: u32 = 10;
/// Minimum pause before a used-up quota is tried again.
const MIN_PAUSE: Duration = Duration::from_secs(60);
const PAUSE_WITHOUT_WINDOW: Duration = Duration::from_secs(3600);
/// Longer windows are cut to this.
const MAX_WINDOW: Duration = Duration::from_secs(31 * 24 * 3600);

/// The pulls that are left, as the registry reports them. Without a report nothing is limited.
#[derive(Debug, Default)]
pub(crate) struct PullQuota {
    /// Who grants the pulls, where several processes share them.
    source: Option<PullSource>,
    state: Mutex<QuotaState>,
    returned: Notify,
}

#[derive(Debug, Default)]
struct QuotaState {
    reported: Option<Quota>,
    /// When it was reported.
    heard_at: Option<Instant>,
    in_flight: u64,
    /// When a used-up quota is tried again.
    again_at: Option<Instant>,
    images: ImageAdmission<ImagePermit>,
    /// What was granted, where several processes share the quota.
    granted: Option<Granted>,
}

/// The permit to pull one manifest, given back when dropped.
#[derive(Debug)]
pub(crate) struct PullPermit<'a> {
    quota: &'a PullQuota,
    begun_at: Instant,
}

/// A draw that runs, until this is dropped.
struct Drawing<'a>(&'a PullQuota);

/// The permit to pull the manifests of one image, given back when dropped.
#[derive(Debug)]
pub struct ImagePermit {
    quota: Arc<PullQuota>,
    image: Digest,
}

enum Admission {
    Go,
    Wait,
    Draw,
    Spent(Kind),
}

impl PullQuota {
    /// A quota that this process shares with others.
    pub(crate) fn shared(source: PullSource) -> Self {
        let state = QuotaState {
            granted: Some(Granted::default()),
            ..QuotaState::default()
        };
        Self {
            source: Some(source),
            state: Mutex::new(state),
            ..Self::default()
        }
    }

    /// Waits until a pull is certainly left, and takes it. Fails if the quota is used up.
    pub(crate) async fn pull(self: &Arc<Self>) -> Result<PullPermit<'_>, Kind> {
        loop {
            let returned = self.returned.notified();
            let begun_at = Instant::now();
            let admission = self.lock().admit(begun_at);
            match admission {
                Admission::Go => {
                    return Ok(PullPermit {
                        quota: self,
                        begun_at,
                    });
                }
                Admission::Spent(kind) => return Err(kind),
                Admission::Draw => self.draw(GRANT).await,
                Admission::Wait => self.wait(returned).await,
            }
        }
    }

    /// Waits until something is given back, here or by another process.
    async fn wait(&self, returned: Notified<'_>) {
        match &self.source {
            None => returned.await,
            Some(_) => {
                let _ = timeout(POLL, returned).await;
            }
        }
    }

    /// Reports what this process holds, and draws pulls. The draw was begun.
    async fn draw(self: &Arc<Self>, want: u64) {
        let drawing = Drawing(self);
        let held = self.lock().held();
        if let Some((source, held)) = self.source.as_ref().zip(held) {
            let grant = source.draw(held, want).await;
            self.change(|state| state.drawn(held.pulls, want, grant));
        }
        drop(drawing);
    }

    /// Reports what was used of the grants, and gives the rest back if nobody uses it at the moment.
    pub(crate) async fn settle(self: &Arc<Self>) {
        if self.lock().begin_settling() {
            self.draw(0).await;
        }
    }

    /// Updates the quota from a response to a request that was sent at `asked_at`. Responses overtake
    /// one another: one to an older request never raises the number of pulls.
    pub(crate) fn update(self: &Arc<Self>, quota: Quota, asked_at: Instant) {
        self.change(|state| state.update(quota, asked_at));
    }

    /// The quota that the registry reported last.
    pub(crate) fn reported(&self) -> Option<Quota> {
        self.lock().reported
    }

    /// Learns from a refusal because the quota is used up, with or without a number.
    pub(crate) fn pull_refused(self: &Arc<Self>) {
        self.change(QuotaState::pull_refused);
    }

    /// Learns from a pull, asked for at `asked_at`, that succeeded without a report of the quota: an
    /// earlier refusal without a number no longer holds.
    pub(crate) fn pull_granted(self: &Arc<Self>, asked_at: Instant) {
        self.change(|state| state.pull_granted(asked_at));
    }

    /// Waits until an image may be pulled. It is awaited since `since`, in seconds since 1970.
    pub(crate) async fn admit_image(
        self: &Arc<Self>,
        image: &Digest,
        since: i64,
    ) -> Option<ImagePermit> {
        let (begin, mut begun) = oneshot::channel();
        self.change(|state| state.images.wait(image.clone(), since, begin));
        // It leaves the queue when this future is dropped.
        if self.source.is_none() {
            return begun.await.ok();
        }
        loop {
            let returned = self.returned.notified();
            let lacking = self.lock().begin_lacking(Instant::now());
            if let Some(want) = lacking {
                self.draw(want).await;
            }
            tokio::select! {
                biased;
                begun = &mut begun => return begun.ok(),
                () = self.wait(returned) => {}
            }
        }
    }

    /// Changes the state, and admits images that the quota covers now.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut QuotaState)) {
        let mut state = self.lock();
        change(&mut state);
        let cover = state.cover(Instant::now());
        let beginning = state.images.begin(cover);
        drop(state);
        for waiting in beginning {
            let (quota, image) = (self.clone(), waiting.image);
            // If nobody waits any more, the permit is given back at once.
            drop(waiting.begin.send(ImagePermit { quota, image }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, QuotaState> {
        self.state.lock()
    }
}

impl Drop for PullPermit<'_> {
    fn drop(&mut self) {
        self.quota.lock().pulled(self.begun_at);
        self.quota.returned.notify_waiters();
    }
}

impl Drop for Drawing<'_> {
    fn drop(&mut self) {
        if let Some(granted) = &mut self.0.lock().granted {
            granted.end();
        }
        self.0.returned.notify_waiters();
    }
}

impl ImagePermit {
    /// Reports manifests of the image that still have to be pulled.
    pub fn needs<'a>(&self, parts: impl Iterator<Item = &'a Digest>) {
        let change = |state: &mut QuotaState| state.images.needs(&self.image, parts);
        self.quota.change(change);
    }

    /// Reports a manifest of the image that needs no pull, or was pulled.
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
        let known = self.reported.map(|quota| quota.remaining);
        if is_late && known.is_some_and(|known| known <= quota.remaining) {
            return;
        }
        if quota.remaining > 0 {
            self.again_at = None;
        }
        self.reported = Some(quota);
        self.heard_at = Some(Instant::now());
        if let Some(granted) = &mut self.granted {
            granted.unreported = 0;
        }
    }

    fn pull_refused(&mut self) {
        let quota = self.reported.unwrap_or(Quota {
            limit: None,
            remaining: 0,
            window: None,
        });
        self.reported = Some(Quota {
            remaining: 0,
            ..quota
        });
        self.heard_at = Some(Instant::now());
    }

    fn pull_granted(&mut self, asked_at: Instant) {
        let is_spent = self.reported.is_some_and(|quota| quota.remaining == 0);
        if is_spent && self.heard_at.is_some_and(|heard_at| heard_at < asked_at) {
            (self.reported, self.heard_at, self.again_at) = (None, None, None);
        }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        let Some(quota) = self
            .reported
            .filter(|quota| quota.remaining <= self.in_flight)
        else {
            return self.take_granted(now);
        };
        // Pulls in flight may be counted already or not: their responses show it.
        if self.in_flight > 0 {
            return Admission::Wait;
        }
        let pause = pause(quota);
        let again_at = *self.again_at.get_or_insert(now + pause);
        if again_at <= now {
            self.again_at = Some(now + pause);
            self.in_flight += 1;
            return Admission::Go;
        }
        Admission::Spent(Kind::Quota(words(quota, again_at - now)))
    }
}

/// What several processes share.
impl QuotaState {
    /// What was granted, if pulls have to be.
    fn granted(&mut self, now: Instant) -> Option<&mut Granted> {
        let is_limited = self.reported.is_some_and(|quota| quota.remaining > 0);
        let granted = self.granted.as_mut();
        granted.filter(|granted| is_limited && granted.is_in_force(now))
    }

    fn take_granted(&mut self, now: Instant) -> Admission {
        if let Some(granted) = self.granted(now) {
            match granted.left.checked_sub(1) {
                Some(left) => granted.left = left,
                None if granted.begin(now) => return Admission::Draw,
                None => return Admission::Wait,
            }
        }
        self.in_flight += 1;
        Admission::Go
    }

    /// How many pulls images may count on; `None` for as many as they need. Where none is left they
    /// begin, too: each pull then fails with the reason.
    fn cover(&mut self, now: Instant) -> Option<u64> {
        let remaining = self.reported?.remaining;
        let in_flight = self.in_flight;
        match self.granted(now) {
            Some(granted) => Some(remaining.min(granted.left + in_flight)),
            None => Some(remaining).filter(|remaining| *remaining > 0),
        }
    }

    /// Begins to draw what the next image that waits lacks.
    fn begin_lacking(&mut self, now: Instant) -> Option<u64> {
        let cover = self.cover(now);
        let lacking = self.images.lacking(cover?)?;
        let is_begun = self.granted(now)?.begin(now);
        is_begun.then_some(lacking)
    }

    /// Begins to report what was used, if the others know of more. What nobody uses is given back.
    fn begin_settling(&mut self) -> bool {
        let is_idle = self.in_flight == 0 && self.images.is_idle();
        let in_flight = self.in_flight;
        let granted = self.granted.as_mut();
        granted.is_some_and(|granted| granted.begin_settling(in_flight, is_idle))
    }

    fn held(&self) -> Option<Held> {
        let granted = self.granted.as_ref()?;
        Some(Held {
            quota: self.reported?,
            reported_at: self.heard_at?,
            pulls: granted.held(self.in_flight),
        })
    }

    fn drawn(&mut self, held: u64, want: u64, grant: Option<PullGrant>) {
        let now = Instant::now();
        if let Some(granted) = &mut self.granted {
            granted.drawn(held, want, grant, now);
        }
        // Another process may have heard of fewer.
        if let Some((quota, grant)) = self.reported.as_mut().zip(grant)
            && grant.remaining < quota.remaining
        {
            quota.remaining = grant.remaining;
            self.heard_at = Some(now);
        }
    }

    /// A pull has ended.
    fn pulled(&mut self, begun_at: Instant) {
        self.in_flight -= 1;
        let is_reported = self.heard_at.is_some_and(|heard_at| heard_at >= begun_at);
        if let Some(granted) = self.granted.as_mut().filter(|_| !is_reported) {
            granted.unreported += 1;
        }
    }
}

fn pause(quota: Quota) -> Duration {
    let Some(window) = quota.window.map(|window| window.min(MAX_WINDOW)) else {
        return PAUSE_WITHOUT_WINDOW;
    };
    let limit = quota.limit.and_then(|limit| u32::try_from(limit).ok());
    let one = window / limit.unwrap_or(PULLS_PER_RETRY).max(1);
    (one * PULLS_PER_RETRY).clamp(MIN_PAUSE, window.max(MIN_PAUSE))
}

fn words(quota: Quota, left: Duration) -> String {
    let round = |time: Duration| humantime::format_duration(Duration::from_secs(time.as_secs()));
    let rule = match (quota.limit, quota.window) {
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
