//! What registries do, counted.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    metrics::Metrics,
    oci::RegistryName,
    registry::{Direction, HedgeOutcome, Observer, PullCause, Quota},
};

impl Observer for Metrics {
    fn on_request(
        &self,
        registry: &RegistryName,
        method: &str,
        status: Option<u16>,
        took: Duration,
    ) {
        self.request(registry.as_str(), method, status, took);
    }

    fn on_quota(&self, registry: &RegistryName, quota: Quota) {
        self.quota(registry.as_str(), quota.limit, quota.remaining);
    }

    fn on_manifest_pull(&self, registry: &RegistryName, cause: PullCause) {
        self.manifest_pulled(registry.as_str(), cause);
    }

    fn on_backoff(&self, registry: &RegistryName, until: DateTime<Utc>) {
        self.backoff(registry.as_str(), until.timestamp());
    }

    fn on_login(&self, registry: &RegistryName, is_accepted: bool) {
        self.auth(registry.as_str(), is_accepted);
    }

    fn on_hedge(&self, registry: &RegistryName, outcome: HedgeOutcome) {
        self.hedge(registry.as_str(), outcome);
    }

    fn on_early_stall(&self, registry: &RegistryName) {
        self.early_stall(registry.as_str());
    }

    fn on_transfer(&self, registry: &RegistryName, direction: Direction, bytes: u64) {
        let direction = match direction {
            Direction::Received => "downloaded",
            Direction::Sent => "uploaded",
        };
        self.transferred(registry.as_str(), direction, bytes);
    }
}
