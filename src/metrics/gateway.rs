//! Metrics of the gateway: pulls by outcome, bytes, and how long the first byte took.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

use crate::metrics::{maker::Maker, series::count};

const SECONDS: [f64; 10] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// From a second to a week, which is the default of `stale`.
const AGES: [f64; 9] = [
    1.0, 10.0, 60.0, 300.0, 600.0, 3600.0, 21_600.0, 86_400.0, 604_800.0,
];
/// What may be asked for that has bytes.
const KINDS: [&str; 2] = ["manifest", "blob"];
const SIDES: [&str; 2] = ["upstream", "client"];

/// Metrics of the gateway.
#[derive(Debug)]
pub(crate) struct GatewayMetrics {
    requests: IntCounterVec,
    refused: IntCounterVec,
    bytes: IntCounterVec,
    first_byte: HistogramVec,
    tag_age: HistogramVec,
    downloads: IntGauge,
    followers: IntGauge,
    upstream_failing: IntGaugeVec,
    budget_spent: IntGauge,
}

impl GatewayMetrics {
    pub(crate) fn new(new: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: new.counters("gateway_requests_total", "Requests of clients by what they asked for and what became of it.", &["kind", "outcome"])?,
            refused: new.counters("gateway_refused_total", "Requests that a rule refused, by the rule.", &["reason"])?,
            bytes: new.counters("gateway_bytes_total", "Blob bytes received from upstreams for pulls (`upstream`) and sent to clients (`client`); the difference was saved.", &["side"])?,
            first_byte: new.histograms("gateway_first_byte_seconds", "Time from a request's start to the head of its answer, with which the first bytes are there.", &["outcome"], &SECONDS)?,
            tag_age: new.histograms("gateway_tag_age_seconds", "Age of what a tag was answered from: time since the upstream was last asked for it.", &["outcome"], &AGES)?,
            downloads: new.gauge("gateway_downloads_in_flight", "Blobs that are being pulled through.")?,
            followers: new.gauge("gateway_followers", "Clients that read them.")?,
            upstream_failing: new.gauges("gateway_upstream_failing", "Requests of clients for which a registry failed, since it began to fail; no series where it does not.", &["registry"])?,
            budget_spent: new.gauge("gateway_budget_spent", "1 while the traffic budget stops pulls that need an upstream.")?,
        })
    }

    /// Creates the counters at 0: of pulls with these outcomes, and of refusals for these reasons.
    pub(crate) fn start(&self, outcomes: &[&str], reasons: &[&str]) {
        for kind in KINDS {
            for outcome in outcomes {
                count(&self.requests, &[kind, outcome], 0);
            }
        }
        for reason in reasons {
            count(&self.refused, &[reason], 0);
        }
        for side in SIDES {
            count(&self.bytes, &[side], 0);
        }
    }

    /// Takes note of the age of what a tag was answered from.
    pub(crate) fn tag_answered(&self, outcome: &str, age: Duration) {
        if let Ok(histogram) = self.tag_age.get_metric_with_label_values(&[outcome]) {
            histogram.observe(age.as_secs_f64());
        }
    }

    /// Counts a request.
    pub(crate) fn pulled(&self, kind: &str, outcome: &str, took: Duration) {
        count(&self.requests, &[kind, outcome], 1);
        if let Ok(histogram) = self.first_byte.get_metric_with_label_values(&[outcome]) {
            histogram.observe(took.as_secs_f64());
        }
    }

    /// Sets the registries that fail for pulls, with the requests that met that.
    pub(crate) fn failing(&self, upstreams: &[(&str, u64)]) {
        self.upstream_failing.reset();
        for (registry, requests) in upstreams {
            let requests = i64::try_from(*requests).unwrap_or(i64::MAX);
            if let Ok(gauge) = self
                .upstream_failing
                .get_metric_with_label_values(&[*registry])
            {
                gauge.set(requests);
            }
        }
    }

    /// Sets whether the traffic budget stops pulls.
    pub(crate) fn budget_spent(&self, is_spent: bool) {
        self.budget_spent.set(i64::from(is_spent));
    }

    /// Counts a request that a rule refused.
    pub(crate) fn refused(&self, reason: &str) {
        count(&self.refused, &[reason], 1);
    }

    /// Counts blob bytes.
    pub(crate) fn bytes(&self, side: &str, bytes: u64) {
        count(&self.bytes, &[side], bytes);
    }

    /// Sets how many downloads are in flight, and how many clients read them.
    pub(crate) fn in_flight(&self, downloads: usize, followers: usize) {
        self.downloads.set(downloads.try_into().unwrap_or(i64::MAX));
        self.followers.set(followers.try_into().unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests;
