//! Metrics of runs: tags, results, findings of verification.

use std::{collections::HashMap, sync::Arc, time::Duration};

use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGauge};

use crate::metrics::{
    labels::{FindingClass, SyncLabel},
    maker::Maker,
    series::{count, forget_if},
};

/// From a run that finds nothing to do to the first one of a large mirror.
const SYNC_SECONDS: [f64; 11] = [
    0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10800.0, 43200.0, 86400.0,
];
/// From a minute to a week.
const PROPAGATION_SECONDS: [f64; 12] = [
    10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0, 604_800.0,
];

/// Metrics of runs.
#[derive(Debug)]
pub(crate) struct SyncMetrics {
    tags_copied: IntCounterVec,
    tags_pruned: IntCounterVec,
    tags_verified: IntCounterVec,
    findings: IntCounterVec,
    mismatches: IntCounterVec,
    syncs: IntCounterVec,
    sync_seconds: HistogramVec,
    propagation: Histogram,
    transfers_in_flight: IntGauge,
}

impl SyncMetrics {
    pub(crate) fn new(new: &Maker) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            tags_copied: new.counters(
                "tags_copied_total",
                "Tags written to a target.",
                &["mirror", "target"],
            )?,
            tags_pruned: new.counters(
                "pruned_tags_total",
                "Tags deleted at a target because they are no longer mirrored.",
                &["mirror", "target"],
            )?,
            tags_verified: new.counters(
                "verified_tags_total",
                "Tags of which everything was looked for at a target.",
                &["mirror"],
            )?,
            findings: new.counters(
                "verify_findings_total",
                "What verification found missing or wrong at targets.",
                &["class"],
            )?,
            mismatches: new.counters(
                "digest_mismatches_total",
                "Contents that did not match their digest and were refused.",
                &["mirror", "target"],
            )?,
            syncs: new.counters(
                "syncs_total",
                "Runs by their result.",
                &["mirror", "target", "result"],
            )?,
            sync_seconds: new.histograms(
                "sync_duration_seconds",
                "Duration of runs by their result.",
                &["result"],
                &SYNC_SECONDS,
            )?,
            propagation: new.histogram(
                "propagation_seconds",
                "Time from the first sight of a difference until it is mirrored.",
                &PROPAGATION_SECONDS,
            )?,
            transfers_in_flight: new.gauge("transfers_in_flight", "Blob transfers in flight.")?,
        };
        for class in FindingClass::ALL {
            count(&metrics.findings, &[class.as_str()], 0);
        }
        for result in SyncLabel::ENDED {
            let labels = [result.as_str()];
            metrics.sync_seconds.get_metric_with_label_values(&labels)?;
        }
        Ok(metrics)
    }

    /// Counts a tag that was written, and observes the time since the difference was first seen.
    pub(crate) fn tag_copied(&self, mirror: &str, target: &str, after_seconds: i64) {
        count(&self.tags_copied, &[mirror, target], 1);
        self.propagation.observe(after_seconds.max(0) as f64);
    }

    /// Counts content that did not match its digest.
    pub(crate) fn digest_mismatch(&self, mirror: &str, target: &str) {
        count(&self.mismatches, &[mirror, target], 1);
    }

    /// Counts a tag that was deleted at a target.
    pub(crate) fn tag_pruned(&self, mirror: &str, target: &str) {
        count(&self.tags_pruned, &[mirror, target], 1);
    }

    /// Counts a tag that was verified.
    pub(crate) fn tag_verified(&self, mirror: &str) {
        count(&self.tags_verified, &[mirror], 1);
    }

    /// Counts what verification found.
    pub(crate) fn finding(&self, class: FindingClass) {
        count(&self.findings, &[class.as_str()], 1);
    }

    /// Counts a run of a mirror by its result at one target.
    pub(crate) fn sync(&self, mirror: &str, target: &str, result: SyncLabel) {
        count(&self.syncs, &[mirror, target, result.as_str()], 1);
    }

    /// Observes how long a run took.
    pub(crate) fn sync_took(&self, result: SyncLabel, took: Duration) {
        let labels = [result.as_str()];
        if let Ok(seconds) = self.sync_seconds.get_metric_with_label_values(&labels) {
            seconds.observe(took.as_secs_f64());
        }
    }

    /// The gauge of blob transfers in flight.
    pub(crate) fn transfers_in_flight(&self) -> &IntGauge {
        &self.transfers_in_flight
    }

    /// Creates the series of these mirrors, each with its target registries, and removes others.
    pub(crate) fn keep(&self, mirrors: &[(Arc<str>, Vec<String>)]) {
        let names: HashMap<&str, &Vec<String>> = mirrors
            .iter()
            .map(|(name, targets)| (&**name, targets))
            .collect();
        let is_left = |labels: &HashMap<&str, &str>| {
            let targets = labels.get("mirror").and_then(|name| names.get(name));
            let goes = |target: &&str| targets.is_some_and(|all| all.iter().any(|t| t == target));
            targets.is_none() || labels.get("target").is_some_and(|target| !goes(target))
        };
        for vec in [
            &self.tags_copied,
            &self.tags_pruned,
            &self.tags_verified,
            &self.mismatches,
            &self.syncs,
        ] {
            forget_if(vec, is_left);
        }
        for (mirror, targets) in mirrors {
            count(&self.tags_verified, &[mirror], 0);
            for target in targets {
                count(&self.tags_copied, &[mirror, target], 0);
                count(&self.mismatches, &[mirror, target], 0);
                count(&self.tags_pruned, &[mirror, target], 0);
                for result in SyncLabel::ENDED.into_iter().chain([SyncLabel::Skipped]) {
                    count(&self.syncs, &[mirror, target, result.as_str()], 0);
                }
            }
        }
    }
}
