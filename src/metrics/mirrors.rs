//! The gauges of mirrors. Ages are computed when they are read, so that they grow between runs.

use std::{collections::BTreeMap, sync::Arc};

use chrono::Utc;
use parking_lot::Mutex;
use prometheus::{
    IntGaugeVec,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::metrics::maker::opts;

/// How a mirror stands. Times are seconds since 1970; `None` is never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorSample {
    /// The start of the last run.
    pub last_check: Option<i64>,
    /// The start of the last run in which all of the source could be compared.
    pub last_check_success: Option<i64>,
    /// When the schedule has its next run.
    pub next_run: Option<i64>,
    /// Between two runs.
    pub interval_seconds: i64,
    /// How much lag is accepted.
    pub lag_objective_seconds: i64,
    /// Whether its schedule is off.
    pub is_paused: bool,
    /// The registries that it reads or writes.
    pub registries: Vec<String>,
    /// At each target registry.
    pub targets: Vec<TargetSample>,
}

/// How a mirror stands at one target registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSample {
    /// The target registry.
    pub target: String,
    /// The first check that saw a difference which is not mirrored yet.
    pub lagging_since: Option<i64>,
    /// The start of the last check that proved everything equal.
    pub last_in_sync: Option<i64>,
    /// The end of that run.
    pub last_success: Option<i64>,
    /// What the images that are behind hold.
    pub pending_bytes: i64,
    /// Runs in succession that left something failed.
    pub failures: i64,
    /// Tags by state: synced, pending, failed, orphaned.
    pub tags: [i64; 4],
}

/// The states of tags, in the order of [`TargetSample::tags`].
const STATES: [&str; 4] = ["synced", "pending", "failed", "orphaned"];

/// Every gauge that has a mirror as its label.
#[derive(Clone, Debug)]
pub(crate) struct MirrorGauges {
    samples: Arc<Mutex<BTreeMap<Arc<str>, MirrorSample>>>,
    of_mirror: [IntGaugeVec; 6],
    of_target: [IntGaugeVec; 5],
    tags: IntGaugeVec,
    registry: IntGaugeVec,
}

impl MirrorGauges {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let mirror = |name, help| IntGaugeVec::new(opts(name, help), &["mirror"]);
        let target = |name, help| IntGaugeVec::new(opts(name, help), &["mirror", "target"]);
        let tags = opts("tags", "Tags kept, by their state.");
        let registry = opts(
            "mirror_registry",
            "Always 1, for each registry that a mirror reads or writes.",
        );
        Ok(Self {
            samples: Arc::default(),
            of_mirror: [
                mirror(
                    "last_check_timestamp_seconds",
                    "Start of the last run; 0 before the first.",
                )?,
                mirror(
                    "last_check_success_timestamp_seconds",
                    "Start of the last run in which all of the source could be compared; 0 before the first.",
                )?,
                mirror(
                    "next_run_timestamp_seconds",
                    "When the schedule has its next run; 0 while it is paused.",
                )?,
                mirror("interval_seconds", "Time between two runs of the schedule.")?,
                mirror(
                    "lag_objective_seconds",
                    "Lag that is accepted: `max_lag` in mirror.toml.",
                )?,
                mirror("paused", "Whether the schedule is off.")?,
            ],
            of_target: [
                target(
                    "sync_lag_seconds",
                    "Age of the oldest difference from the source that is not mirrored yet; 0 in sync.",
                )?,
                target(
                    "last_in_sync_timestamp_seconds",
                    "Start of the last run that proved everything equal; 0 before the first.",
                )?,
                target(
                    "last_sync_success_timestamp_seconds",
                    "End of the last run that left everything equal; 0 before the first.",
                )?,
                target(
                    "pending_bytes",
                    "Unique bytes of the images that are behind, as far as they are known.",
                )?,
                target(
                    "consecutive_failures",
                    "Runs in succession that left something failed.",
                )?,
            ],
            tags: IntGaugeVec::new(tags, &["mirror", "target", "state"])?,
            registry: IntGaugeVec::new(registry, &["mirror", "registry"])?,
        })
    }

    /// Takes note of how a mirror stands.
    pub(crate) fn set(&self, mirror: &Arc<str>, sample: MirrorSample) {
        let mut samples = self.samples.lock();
        let before = samples.insert(mirror.clone(), sample);
        let names = |sample: &MirrorSample| {
            let targets = sample.targets.iter().map(|target| target.target.clone());
            (targets.collect::<Vec<_>>(), sample.registries.clone())
        };
        if before.is_some_and(|before| names(&before) != names(&samples[mirror])) {
            self.reset();
        }
    }

    /// Changes what is known of every mirror.
    pub(crate) fn update(&self, change: impl Fn(&str, &mut MirrorSample)) {
        for (mirror, sample) in self.samples.lock().iter_mut() {
            change(mirror, sample);
        }
    }

    /// Forgets every mirror that is not named.
    pub(crate) fn keep(&self, is_kept: impl Fn(&str) -> bool) {
        let mut samples = self.samples.lock();
        samples.retain(|mirror, _| is_kept(mirror));
        self.reset();
    }

    fn reset(&self) {
        self.all().for_each(|gauge| gauge.reset());
    }

    fn all(&self) -> impl Iterator<Item = &IntGaugeVec> {
        let of_mirror = self.of_mirror.iter().chain(&self.of_target);
        of_mirror.chain([&self.tags, &self.registry])
    }

    fn fill(&self, mirror: &str, sample: &MirrorSample, now: i64) {
        let values = [
            sample.last_check.unwrap_or(0),
            sample.last_check_success.unwrap_or(0),
            sample.next_run.unwrap_or(0),
            sample.interval_seconds,
            sample.lag_objective_seconds,
            i64::from(sample.is_paused),
        ];
        for (gauge, value) in self.of_mirror.iter().zip(values) {
            set(gauge, &[mirror], value);
        }
        for registry in &sample.registries {
            set(&self.registry, &[mirror, registry], 1);
        }
        for target in &sample.targets {
            let values = [
                target.lagging_since.map_or(0, |since| (now - since).max(0)),
                target.last_in_sync.unwrap_or(0),
                target.last_success.unwrap_or(0),
                target.pending_bytes,
                target.failures,
            ];
            for (gauge, value) in self.of_target.iter().zip(values) {
                set(gauge, &[mirror, &target.target], value);
            }
            for (state, count) in STATES.iter().zip(target.tags) {
                set(&self.tags, &[mirror, &target.target, state], count);
            }
        }
    }
}

impl Collector for MirrorGauges {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let samples = self.samples.lock();
        let now = Utc::now().timestamp();
        for (mirror, sample) in samples.iter() {
            self.fill(mirror, sample, now);
        }
        self.all().flat_map(Collector::collect).collect()
    }
}

fn set(gauge: &IntGaugeVec, labels: &[&str], value: i64) {
    if let Ok(gauge) = gauge.get_metric_with_label_values(labels) {
        gauge.set(value);
    }
}
