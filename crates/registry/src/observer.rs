//! What happens at registries, reported to the application: for metrics, not for decisions.

use std::{fmt::Debug, time::Duration};

use chrono::{DateTime, Utc};

use crate::{Direction, HedgeOutcome, PullCause, oci::RegistryName, probe::Quota};

/// Receives what happens at registries. Each method does nothing unless it is implemented. Methods
/// are called from async code and must not block.
pub trait Observer: Debug + Send + Sync {
    /// A request was answered with a status, or failed without one (`None`). `took` ends at the
    /// response's headers.
    fn on_request(
        &self,
        _registry: &RegistryName,
        _method: &str,
        _status: Option<u16>,
        _took: Duration,
    ) {
    }

    /// The registry reported its pull quota.
    fn on_quota(&self, _registry: &RegistryName, _quota: Quota) {}

    /// A manifest was pulled: what pull quotas count.
    fn on_manifest_pull(&self, _registry: &RegistryName, _cause: PullCause) {}

    /// The registry asked for a pause, which ends at this time.
    fn on_backoff(&self, _registry: &RegistryName, _until: DateTime<Utc>) {}

    /// The registry accepted or refused the login.
    fn on_login(&self, _registry: &RegistryName, _is_accepted: bool) {}

    /// A second request was sent beside a silent one, and the race is over.
    fn on_hedge(&self, _registry: &RegistryName, _outcome: HedgeOutcome) {}

    /// A silent connection was given up before `stall`, because others moved.
    fn on_early_stall(&self, _registry: &RegistryName) {}

    /// Blob bytes moved.
    fn on_transfer(&self, _registry: &RegistryName, _direction: Direction, _bytes: u64) {}
}

/// Observes nothing.
impl Observer for () {}
