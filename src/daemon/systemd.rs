//! What the service manager is told ([sd_notify](https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html)).

use std::time::{Duration, Instant};

use chrono_tz::Tz;
use sd_notify::NotifyState;

use crate::status::{Status, format};

/// The service manager, where there is one.
#[derive(Debug)]
pub(crate) struct Service {
    /// How often it wants to hear of us; it is told three times as often.
    watchdog: Option<Duration>,
    told_at: Instant,
    /// How often it was told that the scheduler moves.
    pub(crate) fed: u64,
    status: String,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            told_at: Instant::now(),
            fed: 0,
            status: String::new(),
        }
    }

    /// A manager that wants to hear of us so often.
    #[cfg(test)]
    pub(crate) fn watched(every: Duration) -> Self {
        Self {
            watchdog: Some(every),
            ..Self::new()
        }
    }

    /// Everything is open.
    pub(crate) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// `mirror.toml` is read anew; [`Self::ready`] ends it. Both words go in one datagram.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "the monotonic clock cannot be read"),
        }
    }

    /// The daemon ends.
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// The scheduler moved: this alone feeds the watchdog.
    pub(crate) fn beat(&mut self) {
        if let Some(interval) = self.watchdog
            && self.told_at.elapsed() >= interval / 3
        {
            self.told_at = Instant::now();
            self.fed += 1;
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// How everything stands, for `systemctl status`.
    pub(crate) fn status(&mut self, status: &Status, zone: Tz) {
        let text = line(status, zone);
        if text != self.status {
            tell(&[NotifyState::Status(&text)]);
            self.status = text;
        }
    }
}

/// `12 of 214 behind, worst library/nginx 1h 12m, next 14:05`.
fn line(status: &Status, zone: Tz) -> String {
    let behind = status
        .mirrors
        .iter()
        .filter(|mirror| mirror.behind_tags() > 0);
    let mut parts = vec![format!(
        "{} of {} behind",
        behind.count(),
        status.mirrors.len()
    )];
    if let Some(worst) = status
        .worst_first()
        .first()
        .filter(|worst| worst.lag_seconds > 0)
    {
        parts.push(format!(
            "worst {} {}",
            worst.name,
            format::duration(worst.lag_seconds)
        ));
    }
    if let Some(next) = status
        .mirrors
        .iter()
        .filter_map(|mirror| mirror.next_run)
        .min()
    {
        parts.push(format!("next {}", format::clock(next, zone)));
    }
    parts.join(", ")
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
