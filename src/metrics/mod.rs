//! The metrics of the process: one struct that owns a Prometheus registry.

mod daemon;
mod gateway;
mod labels;
mod maker;
mod mirrors;
mod observer;
mod registries;
mod series;
mod syncs;
mod workers;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use prometheus::{
    Encoder as _, IntGauge, Registry, TextEncoder, process_collector::ProcessCollector,
};

pub use labels::{FindingClass, SyncLabel};
pub use mirrors::{MirrorSample, TargetSample};
pub use workers::WorkersSample;

use daemon::DaemonMetrics;
use gateway::GatewayMetrics;
use maker::Maker;
use mirrors::MirrorGauges;
use registries::RegistryMetrics;
use series::set;
use syncs::SyncMetrics;
use workers::WorkerMetrics;

/// Every metric of the process. Labels are names from `mirror.toml` and closed sets, never tags,
/// digests or texts, so that their number stays bounded.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    registries: RegistryMetrics,
    syncs: SyncMetrics,
    daemon: DaemonMetrics,
    gateway: GatewayMetrics,
    mirrors: MirrorGauges,
    workers: Option<WorkerMetrics>,
}

impl Metrics {
    /// Makes and registers every metric.
    pub fn new() -> Result<Self, prometheus::Error> {
        Self::in_registry(Registry::new())
    }

    /// The same for a worker of a cluster: every series has its name and its egress.
    pub fn of_worker(name: &str, egress: &str) -> Result<Self, prometheus::Error> {
        let labels = [("worker", name), ("egress", egress)];
        let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
        let registry = Registry::new_custom(None, Some(HashMap::from(labels)))?;
        let metrics = Self::in_registry(registry)?;
        let workers = WorkerMetrics::new(&Maker(metrics.registry.clone()))?;
        Ok(Self {
            workers: Some(workers),
            ..metrics
        })
    }

    fn in_registry(registry: Registry) -> Result<Self, prometheus::Error> {
        let new = Maker(registry);
        let mirrors = MirrorGauges::new()?;
        new.0.register(Box::new(mirrors.clone()))?;
        new.0.register(Box::new(ProcessCollector::for_self()))?;
        let build = new.gauges(
            "build_info",
            "Always 1; the labels have the version.",
            &["version", "revision"],
        )?;
        let revision = option_env!("TRANSSHIP_REVISION").unwrap_or("unknown");
        set(&build, &[env!("CARGO_PKG_VERSION"), revision], 1);
        Ok(Self {
            registries: RegistryMetrics::new(&new)?,
            syncs: SyncMetrics::new(&new)?,
            daemon: DaemonMetrics::new(&new)?,
            gateway: GatewayMetrics::new(&new)?,
            mirrors,
            workers: None,
            registry: new.0,
        })
    }

    /// Sets how long this worker may write, and whether the database answered.
    pub fn lease(&self, left_seconds: i64, is_database_up: bool) {
        if let Some(workers) = &self.workers {
            workers.lease(left_seconds, is_database_up);
        }
    }

    /// Sets how the workers of the cluster stand.
    pub fn workers(&self, sample: WorkersSample) {
        if let Some(workers) = &self.workers {
            workers.sample(sample);
        }
    }

    /// Counts a run that was cut off because the lease was lost.
    pub fn run_lost(&self) {
        if let Some(workers) = &self.workers {
            workers.run_lost();
        }
    }

    /// Every metric in Prometheus's text format.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Creates the series of these mirrors, each with its target registries, and of these registries.
    /// Removes those of others.
    pub fn keep(&self, mirrors: &[(Arc<str>, Vec<String>)], registries: &HashSet<String>) {
        self.mirrors
            .keep(|name| mirrors.iter().any(|(known, _)| **known == *name));
        self.syncs.keep(mirrors);
        self.registries.keep(registries);
    }

    /// Updates the gauges of a mirror.
    pub fn mirror(&self, name: &Arc<str>, sample: MirrorSample) {
        self.mirrors.set(name, sample);
    }

    /// Changes the gauges of every mirror.
    pub(crate) fn update_mirrors(&self, change: impl Fn(&str, &mut MirrorSample)) {
        self.mirrors.update(change);
    }

    /// Counts an answered request, or one without an answer (`code` is `None`).
    pub fn request(&self, registry: &str, method: &str, code: Option<u16>, took: Duration) {
        self.registries.request(registry, method, code, took);
    }

    /// Counts a second request beside a silent one.
    pub fn hedge(&self, registry: &str, outcome: crate::registry::HedgeOutcome) {
        self.registries.hedge(registry, outcome);
    }

    /// Counts a silent connection that was given up early.
    pub fn early_stall(&self, registry: &str) {
        self.registries.early_stall(registry);
    }

    /// Counts a manifest that was pulled from a registry.
    pub fn manifest_pulled(&self, registry: &str, cause: crate::registry::PullCause) {
        self.registries.manifest_pulled(registry, cause);
    }

    /// Sets what is left of a registry's quota.
    pub fn quota(&self, registry: &str, limit: Option<u64>, remaining: u64) {
        self.registries.quota(registry, limit, remaining);
    }

    /// Sets until when a registry gets no requests, in seconds since 1970.
    pub fn backoff(&self, registry: &str, until: i64) {
        self.registries.backoff(registry, until);
    }

    /// Sets whether a registry accepts the credentials.
    pub fn auth(&self, registry: &str, is_good: bool) {
        self.registries.auth(registry, is_good);
    }

    /// Counts a failed action.
    pub fn error(&self, registry: &str, class: crate::registry::ErrorClass) {
        self.registries.error(registry, class);
    }

    /// Counts blob bytes; `direction` is `downloaded` or `uploaded`.
    pub fn transferred(&self, registry: &str, direction: &str, bytes: u64) {
        self.registries.transferred(registry, direction, bytes);
    }

    /// Counts the outcome of a blob: `copied`, `mounted` or `present`.
    pub fn blob(&self, registry: &str, outcome: &str) {
        self.registries.blob(registry, outcome);
    }

    /// Counts a tag that was written, and observes the time since the difference was first seen.
    pub fn tag_copied(&self, mirror: &str, target: &str, after_seconds: i64) {
        self.syncs.tag_copied(mirror, target, after_seconds);
    }

    /// Counts content that did not match its digest.
    pub fn digest_mismatch(&self, mirror: &str, target: &str) {
        self.syncs.digest_mismatch(mirror, target);
    }

    /// Counts a tag that was deleted at a target.
    pub fn tag_pruned(&self, mirror: &str, target: &str) {
        self.syncs.tag_pruned(mirror, target);
    }

    /// Counts a tag that was verified.
    pub fn tag_verified(&self, mirror: &str) {
        self.syncs.tag_verified(mirror);
    }

    /// Counts what verification found.
    pub fn finding(&self, class: FindingClass) {
        self.syncs.finding(class);
    }

    /// Counts a run of a mirror by its result at one target.
    pub fn sync(&self, mirror: &str, target: &str, result: SyncLabel) {
        self.syncs.sync(mirror, target, result);
    }

    /// Observes how long a run took.
    pub fn sync_took(&self, result: SyncLabel, took: Duration) {
        self.syncs.sync_took(result, took);
    }

    /// The gauge of blob transfers in flight.
    pub fn transfers_in_flight(&self) -> &IntGauge {
        self.syncs.transfers_in_flight()
    }

    /// Sets that `mirror.toml` was read: at which time, if it is valid.
    pub fn config_read(&self, good_at: Option<i64>) {
        self.daemon.config_read(good_at);
    }

    /// Sets when the last daily report was made, in seconds since 1970.
    pub fn report_made(&self, at: i64) {
        self.daemon.report_made(at);
    }

    /// Sets the space left where the store is, in bytes.
    pub fn disk_available(&self, bytes: u64) {
        self.daemon.disk_available(bytes);
    }

    /// Sets the bytes moved in the current period, and the size and the use of its budget.
    pub fn traffic(&self, sent: u64, received: u64, budget: Option<(u64, u64)>) {
        self.daemon.traffic(sent, received, budget);
    }

    /// Counts a message that was delivered to a channel (`ok`) or could not be (`failed`).
    pub fn notification(&self, channel: &str, result: &str) {
        self.daemon.notification(channel, result);
    }

    /// Creates the counters of the gateway at 0, for pulls with these outcomes and refusals for these reasons.
    pub fn start_gateway(&self, outcomes: &[&str], reasons: &[&str]) {
        self.gateway.start(outcomes, reasons);
    }

    /// Takes note of the time since an upstream was asked for a tag that a client was answered.
    pub fn tag_answered(&self, outcome: &str, age: Duration) {
        self.gateway.tag_answered(outcome, age);
    }

    /// Counts a client's request, and how long the head of its answer took.
    pub fn pulled(&self, kind: &str, outcome: &str, took: Duration) {
        self.gateway.pulled(kind, outcome, took);
    }

    /// Sets what keeps clients from their images: registries that fail, with the requests that met that,
    /// and whether the traffic budget is spent.
    pub fn pull_troubles(&self, upstreams: &[(&str, u64)], is_budget_spent: bool) {
        self.gateway.failing(upstreams);
        self.gateway.budget_spent(is_budget_spent);
    }

    /// Counts a client's request that a rule refused.
    pub fn pull_refused(&self, reason: &str) {
        self.gateway.refused(reason);
    }

    /// Counts blob bytes received from an `upstream` for clients, or sent to a `client`.
    pub fn pulled_bytes(&self, side: &str, bytes: u64) {
        self.gateway.bytes(side, bytes);
    }

    /// Sets how many blobs are being pulled through, and how many clients read them.
    pub fn pulls_in_flight(&self, downloads: usize, followers: usize) {
        self.gateway.in_flight(downloads, followers);
    }

    /// Sets how many images of a cluster are in each state, by the list that arrived at a time.
    pub fn cluster(&self, cluster: &str, at: i64, counts: &[(&str, usize)]) {
        self.daemon.cluster(cluster, at, counts);
    }

    /// Removes the series of a cluster.
    pub fn forget_cluster(&self, cluster: &str) {
        self.daemon.forget_cluster(cluster);
    }

    /// Counts deliveries to these channels from 0 on, and forgets those to any other.
    pub fn set_channels(&self, channels: &[&str]) {
        self.daemon.set_channels(channels);
    }
}

#[cfg(test)]
mod tests;
