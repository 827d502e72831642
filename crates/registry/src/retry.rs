//! The retry policy: exponential backoff with jitter, and the loop that applies it.

use std::time::Duration;

use crate::Error;

/// Longest pause that a request waits for. A registry that asks for more fails its requests: a
/// quota that comes back in hours is left to a later run.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// Longest pause, in units of the first one.
const MAX_GROWTH: u32 = 100;

/// How often a transient failure is retried, and after what pauses.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Maximum attempts, the first one included. Default: 5.
    pub attempts: u32,
    /// The first pause. Each further pause is twice as long, up to a hundred times the first.
    /// Half of each pause is random, so that many failures at once are not retried at once.
    /// Default: 300 ms.
    pub first_pause: Duration,
}

/// The failed attempts of one operation, counted against its policy.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    policy: RetryPolicy,
    failed: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(300),
        }
    }
}

impl RetryPolicy {
    /// The state of an operation that has not failed yet.
    pub fn start(self) -> Retries {
        Retries {
            policy: self,
            failed: 0,
        }
    }

    /// Runs an operation until it succeeds, fails for good, or has no attempts left.
    pub(crate) async fn run<T, F>(self, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match attempt().await {
            Ok(done) => Ok(done),
            // Failures are few: their state is not part of every request's.
            Err(error) => Box::pin(self.start().resume(error, |_| true, attempt)).await,
        }
    }
}

impl Retries {
    /// How many attempts failed since the last [`Self::reset`].
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// Forgets failures after progress.
    pub fn reset(&mut self) {
        self.failed = 0;
    }

    /// Counts a failed attempt. Returns the pause before the next one, or `None` if it was the last.
    pub fn pause(&mut self) -> Option<Duration> {
        if self.failed + 1 >= self.policy.attempts {
            return None;
        }
        let growth = 2_u32.saturating_pow(self.failed).min(MAX_GROWTH);
        self.failed += 1;
        let full = self.policy.first_pause * growth;
        Some(full.mul_f64(0.5 + fastrand::f64() / 2.0))
    }

    /// The same for an attempt that failed in this way: `None` if the error is final, too.
    pub fn pause_after(&mut self, error: &Error) -> Option<Duration> {
        if error.is_transient() {
            self.pause()
        } else {
            None
        }
    }

    /// Repeats an operation after a failed attempt: pauses, tries again, and so on. Errors that
    /// `may_retry` rejects are final.
    pub(crate) async fn resume<T, F>(
        &mut self,
        mut error: Error,
        may_retry: impl Fn(&Error) -> bool,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            let pause = if may_retry(&error) {
                self.pause_after(&error)
            } else {
                None
            };
            let Some(pause) = pause else {
                return Err(error);
            };
            tracing::debug!(%error, attempt = self.failed, "retrying after a pause");
            tokio::time::sleep(pause).await;
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(again) => error = again,
            }
        }
    }
}

#[cfg(test)]
mod tests;
