//! Metrics of the gateway: pulls by outcome, bytes, and how long the first byte took.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

use crate::metrics::{maker::Maker, series::count};

const SECONDS: [f64; 10] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Metrics of the gateway.
#[derive(Debug)]
pub(crate) struct GatewayMetrics {
    requests: IntCounterVec,
    refused: IntCounterVec,
    bytes: IntCounterVec,
    first_byte: HistogramVec,
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
            downloads: new.gauge("gateway_downloads_in_flight", "Blobs that are being pulled through.")?,
            followers: new.gauge("gateway_followers", "Clients that read them.")?,
            upstream_failing: new.gauges("gateway_upstream_failing", "Requests of clients for which a registry failed, since it began to fail; no series where it does not.", &["registry"])?,
            budget_spent: new.gauge("gateway_budget_spent", "1 while the traffic budget stops pulls that need an upstream.")?,
        })
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
