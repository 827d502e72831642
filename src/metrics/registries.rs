//! Metrics of registries: requests, limits, logins, traffic.

use crate::registry::{ErrorClass, HedgeOutcome, PullCause};
use std::{collections::HashSet, time::Duration};

use parking_lot::Mutex;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use crate::metrics::{
    maker::Maker,
    series::{count, forget, set},
};

const REQUEST_SECONDS: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// Metrics that have a registry as their label.
#[derive(Debug)]
pub(crate) struct RegistryMetrics {
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    throttled: IntCounterVec,
    hedges: IntCounterVec,
    early_stalls: IntCounterVec,
    manifest_pulls: IntCounterVec,
    quota_limit: IntGaugeVec,
    quota_remaining: IntGaugeVec,
    backoff_until: IntGaugeVec,
    auth_ok: IntGaugeVec,
    errors: IntCounterVec,
    transferred_bytes: IntCounterVec,
    blobs: IntCounterVec,
    /// Registries whose login has a value. The others start as accepted.
    logins_reported: Mutex<HashSet<String>>,
}

impl RegistryMetrics {
    pub(crate) fn new(new: &Maker) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: new.counters("registry_requests_total", "Requests by their answer's status code; `none` where none came.", &["registry", "method", "code"])?,
            request_seconds: new.histograms("registry_request_duration_seconds", "Time from a request's start to its answer's head.", &["registry", "method"], &REQUEST_SECONDS)?,
            throttled: new.counters("registry_throttled_total", "Answers that asked to slow down.", &["registry"])?,
            hedges: new.counters("registry_hedges_total", "Second requests beside silent ones: `won` if the second was answered first, else `lost`.", &["registry", "outcome"])?,
            early_stalls: new.counters("registry_early_stalls_total", "Silent connections that were given up before `stall`, because others moved.", &["registry"])?,
            manifest_pulls: new.counters("registry_manifest_pulls_total", "Manifests pulled, which is what pull quotas count: for runs and commands (`sync`), or for clients of the gateway (`pull`).", &["registry", "cause"])?,
            quota_limit: new.gauges("registry_ratelimit_limit", "Pulls that the registry gives out in a window, as it last reported.", &["registry"])?,
            quota_remaining: new.gauges("registry_ratelimit_remaining", "Pulls left of them, as the registry last reported.", &["registry"])?,
            backoff_until: new.gauges("registry_backoff_until_timestamp_seconds", "Until when no requests are sent, because the registry asked for a pause; 0 if it never did.", &["registry"])?,
            auth_ok: new.gauges("registry_auth_ok", "0 while the registry refuses the credentials.", &["registry"])?,
            errors: new.counters("errors_total", "Failed actions by the registry and class of their error.", &["registry", "class"])?,
            transferred_bytes: new.counters("transferred_bytes_total", "Blob bytes received from and sent to registries.", &["registry", "direction"])?,
            blobs: new.counters("blobs_total", "Blobs that were copied or mounted to a target, or that it had.", &["registry", "outcome"])?,
            logins_reported: Mutex::default(),
        };
        for class in ErrorClass::ALL
            .into_iter()
            .filter(|class| !class.is_of_registry())
        {
            count(&metrics.errors, &["", class.as_str()], 0);
        }
        Ok(metrics)
    }

    /// Counts an answered request, or one without an answer (`code` is `None`).
    pub(crate) fn request(&self, registry: &str, method: &str, code: Option<u16>, took: Duration) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        count(&self.requests, &[registry, method, &code], 1);
        if let Ok(seconds) = self
            .request_seconds
            .get_metric_with_label_values(&[registry, method])
        {
            seconds.observe(took.as_secs_f64());
        }
        if code == "429" {
            count(&self.throttled, &[registry], 1);
        }
    }

    /// Counts a second request beside a silent one.
    pub(crate) fn hedge(&self, registry: &str, outcome: HedgeOutcome) {
        count(&self.hedges, &[registry, outcome_label(outcome)], 1);
    }

    /// Counts a silent connection that was given up early.
    pub(crate) fn early_stall(&self, registry: &str) {
        count(&self.early_stalls, &[registry], 1);
    }

    /// Counts a manifest that was pulled.
    pub(crate) fn manifest_pulled(&self, registry: &str, cause: PullCause) {
        count(&self.manifest_pulls, &[registry, cause_label(cause)], 1);
    }

    /// Sets what is left of a registry's quota.
    pub(crate) fn quota(&self, registry: &str, limit: Option<u64>, remaining: u64) {
        set(
            &self.quota_remaining,
            &[registry],
            remaining.try_into().unwrap_or(i64::MAX),
        );
        if let Some(limit) = limit {
            set(
                &self.quota_limit,
                &[registry],
                limit.try_into().unwrap_or(i64::MAX),
            );
        }
    }

    /// Sets until when a registry gets no requests, in seconds since 1970.
    pub(crate) fn backoff(&self, registry: &str, until: i64) {
        set(&self.backoff_until, &[registry], until);
    }

    /// Sets whether a registry accepts the credentials.
    pub(crate) fn auth(&self, registry: &str, is_good: bool) {
        let mut reported = self.logins_reported.lock();
        reported.insert(registry.to_owned());
        set(&self.auth_ok, &[registry], is_good.into());
    }

    /// Counts a failed action.
    pub(crate) fn error(&self, registry: &str, class: ErrorClass) {
        count(&self.errors, &[registry, class.as_str()], 1);
    }

    /// Counts blob bytes; `direction` is `downloaded` or `uploaded`.
    pub(crate) fn transferred(&self, registry: &str, direction: &str, bytes: u64) {
        count(&self.transferred_bytes, &[registry, direction], bytes);
    }

    /// Counts the outcome of a blob: `copied`, `mounted` or `present`.
    pub(crate) fn blob(&self, registry: &str, outcome: &str) {
        count(&self.blobs, &[registry, outcome], 1);
    }

    /// Creates the series of these registries, and removes those of others.
    pub(crate) fn keep(&self, registries: &HashSet<String>) {
        let is_gone = |name: &str| !name.is_empty() && !registries.contains(name);
        for vec in [
            &self.requests,
            &self.throttled,
            &self.hedges,
            &self.early_stalls,
            &self.manifest_pulls,
            &self.errors,
            &self.transferred_bytes,
            &self.blobs,
        ] {
            forget(vec, "registry", is_gone);
        }
        forget(&self.request_seconds, "registry", is_gone);
        for vec in [
            &self.quota_limit,
            &self.quota_remaining,
            &self.backoff_until,
            &self.auth_ok,
        ] {
            forget(vec, "registry", is_gone);
        }
        let mut reported = self.logins_reported.lock();
        for registry in registries.difference(&reported) {
            set(&self.auth_ok, &[registry], 1);
        }
        reported.clone_from(registries);
        for registry in registries {
            // Creates the series at 0. One that exists keeps its value.
            let _ = self.backoff_until.get_metric_with_label_values(&[registry]);
            count(&self.throttled, &[registry], 0);
            count(&self.early_stalls, &[registry], 0);
            for outcome in [HedgeOutcome::Won, HedgeOutcome::Lost] {
                count(&self.hedges, &[registry, outcome_label(outcome)], 0);
            }
            for cause in [PullCause::Sync, PullCause::Pull] {
                count(&self.manifest_pulls, &[registry, cause_label(cause)], 0);
            }
            for class in ErrorClass::ALL
                .into_iter()
                .filter(|class| class.is_of_registry())
            {
                count(&self.errors, &[registry, class.as_str()], 0);
            }
            for direction in ["downloaded", "uploaded"] {
                self.transferred(registry, direction, 0);
            }
            for outcome in ["copied", "mounted", "present"] {
                count(&self.blobs, &[registry, outcome], 0);
            }
        }
    }
}

fn outcome_label(outcome: HedgeOutcome) -> &'static str {
    match outcome {
        HedgeOutcome::Won => "won",
        HedgeOutcome::Lost => "lost",
    }
}

fn cause_label(cause: PullCause) -> &'static str {
    match cause {
        PullCause::Sync => "sync",
        PullCause::Pull => "pull",
    }
}
