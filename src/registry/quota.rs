//! The pulls that a registry gives out in a window of time, and who may still have one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{Kind, probe::Quota};

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
pub(super) struct PullQuota {
    state: Mutex<State>,
    returned: Notify,
}

#[derive(Debug, Default)]
struct State {
    told: Option<Quota>,
    in_flight: u64,
    /// Pulls in all.
    begun: u64,
    /// When a spent quota is tried again.
    again_at: Option<Instant>,
}

/// The right to pull one manifest, until it is dropped.
#[derive(Debug)]
pub(super) struct Pull<'a>(&'a PullQuota);

/// How many pulls had begun when a request was sent; nothing where others were under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked(Option<u64>);

enum Admission {
    Go,
    Wait,
    Spent(Kind),
}

impl PullQuota {
    /// Waits until it is sure that a pull is left, and takes it; or says that none is.
    pub(super) async fn pull(&self) -> Result<Pull<'_>, Kind> {
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

    /// What was known when a request was sent, which may be a pull.
    pub(super) fn asked(&self, may_be_pull: bool) -> Asked {
        let state = self.lock();
        let is_alone = state.in_flight <= u64::from(may_be_pull);
        Asked(is_alone.then_some(state.begun))
    }

    /// Takes note of what the registry tells. An answer that a pull may have overtaken raises
    /// nothing: that pull is not counted in it.
    pub(super) fn told(&self, quota: Quota, asked: Asked) {
        let mut state = self.lock();
        let is_late = asked.0 != Some(state.begun);
        let is_more = |told: Quota| quota.remaining > told.remaining;
        if is_late && state.told.is_some_and(is_more) {
            return;
        }
        if quota.remaining > 0 {
            state.again_at = None;
        }
        state.told = Some(quota);
    }

    /// Takes note of a refusal for want of pulls, which may tell no number.
    pub(super) fn refused(&self) {
        let mut state = self.lock();
        let told = state.told.unwrap_or(Quota {
            limit: None,
            remaining: 0,
            window: None,
        });
        state.told = Some(Quota {
            remaining: 0,
            ..told
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pull<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
        self.0.returned.notify_waiters();
    }
}

impl State {
    fn go(&mut self) -> Admission {
        self.in_flight += 1;
        self.begun += 1;
        Admission::Go
    }

    fn admit(&mut self, now: Instant) -> Admission {
        let Some(told) = self.told.filter(|told| told.remaining <= self.in_flight) else {
            return self.go();
        };
        // What is under way may be counted already, or not yet: its answer tells.
        if self.in_flight > 0 {
            return Admission::Wait;
        }
        let pause = pause(told);
        let again_at = *self.again_at.get_or_insert(now + pause);
        if again_at <= now {
            self.again_at = Some(now + pause);
            return self.go();
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
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn docker_hub(remaining: u64) -> Quota {
        Quota {
            limit: Some(100),
            remaining,
            window: Some(6 * HOUR),
        }
    }

    fn is_waiting<T>(poll: &std::task::Poll<T>) -> bool {
        poll.is_pending()
    }

    fn tell(quota: &PullQuota, remaining: u64) {
        quota.told(docker_hub(remaining), quota.asked(true));
    }

    #[tokio::test]
    async fn an_answer_that_a_pull_overtook_raises_nothing() {
        let quota = PullQuota::default();
        tell(&quota, 2);
        let head = quota.asked(false);
        let first = quota.pull().await.unwrap();
        let second = quota.pull().await.unwrap();
        tell(&quota, 1);
        quota.told(docker_hub(2), head);
        drop(first);
        assert!(is_waiting(&futures::poll!(Box::pin(quota.pull()))));
        tell(&quota, 0);
        drop(second);
        assert!(quota.pull().await.is_err());
        quota.told(docker_hub(2), head);
        assert!(quota.pull().await.is_err());
        tell(&quota, 2);
        assert!(quota.pull().await.is_ok());
    }

    #[tokio::test]
    async fn a_registry_that_tells_nothing_limits_nothing() {
        let quota = PullQuota::default();
        let mut held = Vec::new();
        for _ in 0..1000 {
            held.push(quota.pull().await.unwrap());
        }
    }

    #[tokio::test]
    async fn the_last_pull_is_given_out_once_and_the_answer_is_waited_for() {
        let quota = PullQuota::default();
        tell(&quota, 1);
        let last = quota.pull().await.unwrap();
        let mut next = Box::pin(quota.pull());
        assert!(is_waiting(&futures::poll!(&mut next)));
        // The answer tells that there is one left after all.
        tell(&quota, 1);
        drop(last);
        drop(next.await.unwrap());
        tell(&quota, 0);
        match quota.pull().await {
            Err(Kind::Quota(text)) => {
                assert!(text.contains("100 pulls in 6h"), "{text}");
                assert!(text.contains("tried in 36m"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_spent_quota_is_tried_again_by_one_pull_at_a_time() {
        let quota = PullQuota::default();
        tell(&quota, 0);
        assert!(quota.pull().await.is_err());
        tokio::time::advance(Duration::from_secs(36 * 60)).await;
        let probe = quota.pull().await.unwrap();
        tell(&quota, 0);
        drop(probe);
        assert!(quota.pull().await.is_err());
        // Any answer may tell that there are pulls again, that to a HEAD too.
        tell(&quota, 7);
        assert!(quota.pull().await.is_ok());
    }

    #[tokio::test]
    async fn a_refusal_without_a_number_ends_the_pulls() {
        let quota = PullQuota::default();
        quota.refused();
        assert!(quota.pull().await.is_err());
    }
}
