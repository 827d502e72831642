//! Whether registries can be used now: for alarms.

use chrono::{DateTime, Utc};
use parking_lot::{Mutex, MutexGuard};

/// Whether a registry can be used now, as its latest answers showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryHealth {
    /// Whether it refuses the login.
    pub login_refused: bool,
    /// The end of the pause that it asked for; `None` when there is none, or it is over.
    pub paused_until: Option<DateTime<Utc>>,
}

/// The health of one registry, updated by its client.
#[derive(Debug, Default)]
pub(crate) struct HealthState(Mutex<RegistryHealth>);

impl HealthState {
    pub(crate) fn set_login_refused(&self, is_refused: bool) {
        self.lock().login_refused = is_refused;
    }

    pub(crate) fn pause_until(&self, until: DateTime<Utc>) {
        self.lock().paused_until = Some(until);
    }

    pub(crate) fn now(&self) -> RegistryHealth {
        let health = *self.lock();
        let paused_until = health.paused_until.filter(|until| *until > Utc::now());
        RegistryHealth {
            paused_until,
            ..health
        }
    }

    fn lock(&self) -> MutexGuard<'_, RegistryHealth> {
        self.0.lock()
    }
}
