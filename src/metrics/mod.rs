//! The metrics of the process: one struct that owns a Prometheus registry.

mod mirrors;
mod series;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder, core::Collector, process_collector::ProcessCollector,
};

pub use mirrors::{MirrorSample, TargetSample};

use mirrors::MirrorGauges;
use series::{count, forget, forget_if, set};

/// How a run of a mirror can end at a target; `skipped` runs did not start, because the one before
/// was still under way.
const RESULTS: [&str; 4] = ["ok", "partial", "failed", "skipped"];

/// The classes of errors that are about a registry.
pub(crate) const ERRORS: [&str; 16] = [
    "auth",
    "blocked",
    "budget",
    "denied",
    "digest_mismatch",
    "kept",
    "manifest",
    "network",
    "not_found",
    "protocol",
    "quota",
    "rejected",
    "server",
    "stalled",
    "throttled",
    "truncated",
];
/// Those that are about none.
pub(crate) const OWN_ERRORS: [&str; 3] = ["interrupted", "refused", "store"];

/// What verification can find at a target.
const FINDINGS: [&str; 9] = [
    "missing_tag",
    "wrong_digest",
    "behind",
    "missing_child",
    "wrong_manifest",
    "missing_blob",
    "wrong_size",
    "wrong_bytes",
    "unreachable",
];

/// Every metric that the process keeps. Labels are names from `mirror.toml` and closed sets, never
/// tags, digests or texts, so that their number stays bounded.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    throttled: IntCounterVec,
    quota_limit: IntGaugeVec,
    quota_remaining: IntGaugeVec,
    backoff_until: IntGaugeVec,
    auth_ok: IntGaugeVec,
    errors: IntCounterVec,
    transferred_bytes: IntCounterVec,
    blobs: IntCounterVec,
    tags_copied: IntCounterVec,
    tags_pruned: IntCounterVec,
    tags_verified: IntCounterVec,
    findings: IntCounterVec,
    mismatches: IntCounterVec,
    syncs: IntCounterVec,
    sync_seconds: HistogramVec,
    propagation: Histogram,
    transfers_in_flight: IntGauge,
    config_is_good: IntGauge,
    config_read_at: IntGauge,
    report_sent_at: IntGauge,
    disk_available: IntGauge,
    traffic_bytes: IntGaugeVec,
    traffic_budget: IntGauge,
    traffic_used: IntGauge,
    notifications: IntCounterVec,
    mirrors: MirrorGauges,
    /// Registries whose series are there from the start.
    known: Mutex<HashSet<String>>,
}

impl Metrics {
    /// Makes and registers every metric.
    pub fn new() -> Result<Self, prometheus::Error> {
        let new = Maker(Registry::new());
        let mirrors = MirrorGauges::new()?;
        new.0.register(Box::new(mirrors.clone()))?;
        new.0.register(Box::new(ProcessCollector::for_self()))?;
        let build = new.gauges(
            "build_info",
            "Always 1; the labels tell the version.",
            &["version", "revision"],
        )?;
        let revision = option_env!("TRANSSHIP_REVISION").unwrap_or("unknown");
        set(&build, &[env!("CARGO_PKG_VERSION"), revision], 1);
        let metrics = Self {
            requests: new.counters("registry_requests_total", "Requests by their answer's status code; `none` where none came.", &["registry", "method", "code"])?,
            request_seconds: new.histograms("registry_request_duration_seconds", "Time from a request's start to its answer's head.", &["registry", "method"], &REQUEST_SECONDS)?,
            throttled: new.counters("registry_throttled_total", "Answers that asked to slow down.", &["registry"])?,
            quota_limit: new.gauges("registry_ratelimit_limit", "Pulls that the registry gives out in a window, as it last told.", &["registry"])?,
            quota_remaining: new.gauges("registry_ratelimit_remaining", "Pulls left of them, as the registry last told.", &["registry"])?,
            backoff_until: new.gauges("registry_backoff_until_timestamp_seconds", "Until when nothing is asked, because the registry wanted a pause; 0 if it never did.", &["registry"])?,
            auth_ok: new.gauges("registry_auth_ok", "0 while the registry refuses the credentials.", &["registry"])?,
            errors: new.counters("errors_total", "Failed actions by the registry and class of their error.", &["registry", "class"])?,
            transferred_bytes: new.counters("transferred_bytes_total", "Blob bytes received from and sent to registries.", &["registry", "direction"])?,
            blobs: new.counters("blobs_total", "Blobs that a target was given, or held already.", &["registry", "outcome"])?,
            tags_copied: new.counters("tags_copied_total", "Tags written to a target.", &["mirror", "target"])?,
            tags_pruned: new.counters("pruned_tags_total", "Tags deleted at a target because they are no longer mirrored.", &["mirror", "target"])?,
            tags_verified: new.counters("verified_tags_total", "Tags of which all that they lead to was looked for at a target.", &["mirror"])?,
            findings: new.counters("verify_findings_total", "What verification found missing or wrong at targets.", &["class"])?,
            mismatches: new.counters("digest_mismatches_total", "Contents that were not what their digest says, and were refused.", &["mirror", "target"])?,
            syncs: new.counters("syncs_total", "Runs by their result.", &["mirror", "target", "result"])?,
            sync_seconds: new.histograms("sync_duration_seconds", "Duration of runs by their result.", &["result"], &SYNC_SECONDS)?,
            propagation: new.histogram("propagation_seconds", "From the first sight of a difference to its being mirrored.", &PROPAGATION_SECONDS)?,
            transfers_in_flight: new.gauge("transfers_in_flight", "Blob transfers under way.")?,
            config_is_good: new.gauge("config_last_reload_successful", "Whether mirror.toml was good when it was last read.")?,
            config_read_at: new.gauge("config_last_reload_success_timestamp_seconds", "When a good mirror.toml was last read.")?,
            report_sent_at: new.gauge("report_last_success_timestamp_seconds", "When the last daily report was made; 0 before the first.")?,
            disk_available: new.gauge("disk_available_bytes", "Space left where the store is.")?,
            traffic_bytes: new.gauges("traffic_bytes", "Blob bytes moved in the current period of the traffic budget; the month where there is none.", &["direction"])?,
            traffic_budget: new.gauge("traffic_budget_bytes", "The traffic budget of a period; 0 where there is none.")?,
            traffic_used: new.gauge("traffic_budget_used_bytes", "What of the moved bytes the traffic budget counts.")?,
            notifications: new.counters(
                "notifications_total",
                "Reports and alarms by what became of them at each channel.",
                &["channel", "result"],
            )?,
            mirrors,
            known: Mutex::default(),
            registry: new.0,
        };
        for class in OWN_ERRORS {
            count(&metrics.errors, &["", class], 0);
        }
        for class in FINDINGS {
            count(&metrics.findings, &[class], 0);
        }
        for result in &RESULTS[..3] {
            metrics
                .sync_seconds
                .get_metric_with_label_values(&[result])?;
        }
        Ok(metrics)
    }

    /// Notes an answered request, or one that got no answer (`code` `None`).
    pub fn request(&self, registry: &str, method: &str, code: Option<u16>, took: Duration) {
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

    /// Notes what is left of a registry's quota.
    pub fn quota(&self, registry: &str, limit: Option<u64>, remaining: u64) {
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

    /// Notes until when a registry is left alone, in seconds since 1970.
    pub fn backoff(&self, registry: &str, until: i64) {
        set(&self.backoff_until, &[registry], until);
    }

    /// Until when a registry is left alone; 0 if it never wanted that.
    pub fn backoff_until(&self, registry: &str) -> i64 {
        let gauge = self.backoff_until.get_metric_with_label_values(&[registry]);
        gauge.map_or(0, |gauge| gauge.get())
    }

    /// Notes whether a registry takes the credentials.
    pub fn auth(&self, registry: &str, is_good: bool) {
        set(&self.auth_ok, &[registry], is_good.into());
    }

    /// Notes that a registry refused the credentials before this process began.
    pub fn refused_before(&self, registry: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(registry.to_owned());
        drop(known);
        self.auth(registry, false);
        self.backoff(registry, 0);
    }

    /// Whether a registry refuses the credentials now.
    pub fn is_refused(&self, registry: &str) -> bool {
        let gauge = self.auth_ok.get_metric_with_label_values(&[registry]);
        gauge.is_ok_and(|gauge| gauge.get() == 0)
    }

    /// Notes a failed action.
    pub fn error(&self, registry: &str, class: &str) {
        count(&self.errors, &[registry, class], 1);
    }

    /// Notes blob bytes; `direction` is `downloaded` or `uploaded`.
    pub fn transferred(&self, registry: &str, direction: &str, bytes: u64) {
        count(&self.transferred_bytes, &[registry, direction], bytes);
    }

    /// Notes what became of a wanted blob: `copied`, `mounted` or `present`.
    pub fn blob(&self, registry: &str, outcome: &str) {
        count(&self.blobs, &[registry, outcome], 1);
    }

    /// Notes a tag that was written, and how long after the first sight of a difference.
    pub fn tag_copied(&self, mirror: &str, target: &str, after_seconds: i64) {
        count(&self.tags_copied, &[mirror, target], 1);
        self.propagation.observe(after_seconds.max(0) as f64);
    }

    /// Notes content that was not what its digest says.
    pub fn digest_mismatch(&self, mirror: &str, target: &str) {
        count(&self.mismatches, &[mirror, target], 1);
    }

    /// Contents of a mirror that were not what their digest says, at all targets.
    pub fn digest_mismatches(&self, mirror: &str) -> u64 {
        series::sum(&self.mismatches, "mirror", mirror)
    }

    /// Notes a tag that was deleted at a target.
    pub fn tag_pruned(&self, mirror: &str, target: &str) {
        count(&self.tags_pruned, &[mirror, target], 1);
    }

    /// Notes that all of a tag was looked for.
    pub fn tag_verified(&self, mirror: &str) {
        count(&self.tags_verified, &[mirror], 1);
    }

    /// Notes what verification found.
    pub fn finding(&self, class: &str) {
        count(&self.findings, &[class], 1);
    }

    /// Notes the result of a run of a mirror at one target.
    pub fn sync(&self, mirror: &str, target: &str, result: &str) {
        count(&self.syncs, &[mirror, target, result], 1);
    }

    /// Notes how long a run took.
    pub fn sync_took(&self, result: &str, took: Duration) {
        if let Ok(seconds) = self.sync_seconds.get_metric_with_label_values(&[result]) {
            seconds.observe(took.as_secs_f64());
        }
    }

    /// The gauge of blob transfers under way.
    pub fn transfers_in_flight(&self) -> &IntGauge {
        &self.transfers_in_flight
    }

    /// Notes that `mirror.toml` was read: at which time, if it was good.
    pub fn config_read(&self, good_at: Option<i64>) {
        self.config_is_good.set(good_at.is_some().into());
        if let Some(at) = good_at {
            self.config_read_at.set(at);
        }
    }

    /// Notes when the last daily report was made.
    pub fn report_made(&self, at: i64) {
        self.report_sent_at.set(at);
    }

    /// Notes the space left where the store is.
    pub fn disk_available(&self, bytes: u64) {
        self.disk_available
            .set(bytes.try_into().unwrap_or(i64::MAX));
    }

    /// Notes what was moved in the current period; of a budget, all of it and what is used.
    pub fn traffic(&self, sent: u64, received: u64, budget: Option<(u64, u64)>) {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        set(&self.traffic_bytes, &["sent"], signed(sent));
        set(&self.traffic_bytes, &["received"], signed(received));
        let (bytes, used) = budget.unwrap_or_default();
        self.traffic_budget.set(signed(bytes));
        self.traffic_used.set(signed(used));
    }

    /// Notes a message that was delivered to a channel (`ok`) or could not be (`failed`).
    pub fn notification(&self, channel: &str, result: &str) {
        count(&self.notifications, &[channel, result], 1);
    }

    /// Counts deliveries to these channels from 0 on, and forgets those to any other.
    pub fn set_channels(&self, channels: &[&str]) {
        forget(&self.notifications, "channel", |name| {
            !channels.contains(&name)
        });
        for channel in channels {
            for result in ["ok", "failed"] {
                count(&self.notifications, &[channel, result], 0);
            }
        }
    }

    /// Notes how a mirror stands.
    pub fn mirror(&self, name: &Arc<str>, sample: MirrorSample) {
        self.mirrors.set(name, sample);
    }

    /// Counters of these mirrors (each with its target registries) and registries are there from
    /// now on; those of others go.
    pub fn keep(&self, mirrors: &[(Arc<str>, Vec<String>)], registries: &HashSet<String>) {
        self.keep_mirrors(mirrors);
        self.keep_registries(registries);
    }

    fn keep_mirrors(&self, mirrors: &[(Arc<str>, Vec<String>)]) {
        let names: HashMap<&str, &Vec<String>> = mirrors
            .iter()
            .map(|(name, targets)| (&**name, targets))
            .collect();
        self.mirrors.keep(|name| names.contains_key(name));
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
                for result in RESULTS {
                    count(&self.syncs, &[mirror, target, result], 0);
                }
            }
        }
    }

    fn keep_registries(&self, registries: &HashSet<String>) {
        let is_gone = |name: &str| !name.is_empty() && !registries.contains(name);
        for vec in [
            &self.requests,
            &self.throttled,
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
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for registry in registries.difference(&known) {
            self.auth(registry, true);
            self.backoff(registry, 0);
        }
        known.clone_from(registries);
        for registry in registries {
            count(&self.throttled, &[registry], 0);
            for class in ERRORS {
                count(&self.errors, &[registry, class], 0);
            }
            for direction in ["downloaded", "uploaded"] {
                self.transferred(registry, direction, 0);
            }
            for outcome in ["copied", "mounted", "present"] {
                count(&self.blobs, &[registry, outcome], 0);
            }
        }
    }

    /// Every metric in Prometheus's text format.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

const REQUEST_SECONDS: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
/// From a run that finds nothing to do to the first one of a large mirror.
const SYNC_SECONDS: [f64; 11] = [
    0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10800.0, 43200.0, 86400.0,
];
/// From a minute to a week.
const PROPAGATION_SECONDS: [f64; 12] = [
    10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0, 604_800.0,
];

/// Makes metrics and registers them.
struct Maker(Registry);

impl Maker {
    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(opts(name, help), labels)?)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(opts(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::with_opts(opts(name, help))?)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        self.add(Histogram::with_opts(opts)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        self.add(HistogramVec::new(opts, labels)?)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("transship")
}

#[cfg(test)]
mod tests;
