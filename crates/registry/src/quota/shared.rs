//! A pull quota that several processes share: pulls are drawn before they are made.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::{concurrency::rate_limit::RateSharers, oci::RegistryName, probe::Quota};

/// How long a process relies on its own count after nobody answered.
const AWAY: Duration = Duration::from_secs(30);
/// How soon more is drawn after less was granted than asked for.
pub(crate) const POLL: Duration = Duration::from_secs(5);

/// What several processes use of the same accounts and addresses, which registries count.
pub trait SharedAccounts: Debug + Send + Sync {
    /// Reports what a process holds, and draws more. `None` if nobody answers: it then relies on its own count.
    fn draw(&self, draw: PullDraw) -> BoxFuture<'_, Option<PullGrant>>;

    /// How many processes log in as this user, or without a user share the address: this one
    /// included, and so at least one.
    fn sharers(&self, user: Option<&str>) -> u32;
}

/// What a process holds of a quota, and asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullDraw {
    /// The registry.
    pub registry: RegistryName,
    /// The user whose pulls the registry counts; `None` where it counts those of the address.
    pub user: Option<Arc<str>>,
    /// The quota that the registry reported last to this process.
    pub quota: Quota,
    /// How long ago that was.
    pub reported_ago: Duration,
    /// Pulls that this process may make, or made since that report.
    pub held: u64,
    /// How many more it asks for.
    pub want: u64,
}

/// What a draw brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullGrant {
    /// How many more pulls the process may make.
    pub granted: u64,
    /// How many are left, as the registry reported last to any process.
    pub remaining: u64,
}

/// Who grants the pulls of a registry.
#[derive(Clone, Debug)]
pub(crate) struct PullSource {
    pub(crate) accounts: Arc<dyn SharedAccounts>,
    pub(crate) registry: RegistryName,
    pub(crate) user: Option<Arc<str>>,
}

impl PullSource {
    pub(crate) async fn draw(&self, held: Held, want: u64) -> Option<PullGrant> {
        let draw = PullDraw {
            registry: self.registry.clone(),
            user: self.user.clone(),
            quota: held.quota,
            reported_ago: held.reported_at.elapsed(),
            held: held.pulls,
            want,
        };
        self.accounts.draw(draw).await
    }
}

impl RateSharers for PullSource {
    fn count(&self) -> u32 {
        self.accounts.sharers(self.user.as_deref())
    }
}

/// What this process holds at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) quota: Quota,
    pub(crate) reported_at: Instant,
    pub(crate) pulls: u64,
}

/// The pulls that were granted.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    /// Those that were not begun.
    pub(crate) left: u64,
    /// Those that ended after the last report of the registry.
    pub(crate) unreported: u64,
    /// What this process held by its last draw, as the others know it.
    told: u64,
    is_drawing: bool,
    /// When more may be drawn.
    again_at: Option<Instant>,
    /// Until when this process relies on its own count.
    away_until: Option<Instant>,
}

impl Granted {
    /// Whether somebody grants pulls at the moment.
    pub(crate) fn is_in_force(&self, now: Instant) -> bool {
        self.away_until.is_none_or(|until| until <= now)
    }

    /// Begins a draw, if none runs and the last one is long enough ago.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let may = !self.is_drawing && self.again_at.is_none_or(|again_at| again_at <= now);
        self.is_drawing |= may;
        may
    }

    /// Pulls that this process may make, or made since the last report.
    pub(crate) fn held(&self, in_flight: u64) -> u64 {
        self.left + in_flight + self.unreported
    }

    /// Begins to report what is held now, if the others know of more and no draw runs.
    pub(crate) fn begin_settling(&mut self, in_flight: u64, is_idle: bool) -> bool {
        if self.is_drawing {
            return false;
        }
        if is_idle {
            self.left = 0;
        }
        self.is_drawing = self.told > self.held(in_flight);
        self.is_drawing
    }

    /// Takes what a draw brought.
    pub(crate) fn drawn(&mut self, held: u64, want: u64, grant: Option<PullGrant>, now: Instant) {
        match grant {
            Some(grant) => {
                self.left += grant.granted;
                self.told = held + grant.granted;
                self.again_at = (grant.granted < want).then(|| now + POLL);
                self.away_until = None;
            }
            None => self.away_until = Some(now + AWAY),
        }
    }

    /// Ends a draw, also one that nobody waited for.
    pub(crate) fn end(&mut self) {
        self.is_drawing = false;
    }
}

#[cfg(test)]
mod tests;
