//! The metrics of the process: one struct that owns a Prometheus registry.

use std::time::Duration;

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

/// Every metric that the process keeps. Labels are names from `mirror.toml` and closed sets, never
/// tags, digests or texts, so that their number stays bounded.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    throttled: IntCounterVec,
    errors: IntCounterVec,
    transferred_bytes: IntCounterVec,
    blobs: IntCounterVec,
    tags_copied: IntCounterVec,
    syncs: IntCounterVec,
    transfers_in_flight: IntGauge,
    notifications: IntCounterVec,
}

impl Metrics {
    /// Makes and registers every metric.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(opts(name, help), labels)?)
        };
        let in_flight = opts("transfers_in_flight", "Blob transfers under way.");
        let build = opts("build_info", "Always 1; the labels tell the version.");
        let build = register(&registry, IntGaugeVec::new(build, &["version"])?)?;
        build
            .get_metric_with_label_values(&[env!("CARGO_PKG_VERSION")])?
            .set(1);
        Ok(Self {
            requests: counter(
                "registry_requests_total",
                "Requests by their answer's status code; `none` where none came.",
                &["registry", "method", "code"],
            )?,
            request_seconds: register(
                &registry,
                HistogramVec::new(request_seconds(), &["registry", "method"])?,
            )?,
            throttled: counter(
                "registry_throttled_total",
                "Answers that asked to slow down.",
                &["registry"],
            )?,
            errors: counter(
                "errors_total",
                "Failed actions by the registry and class of their error.",
                &["registry", "class"],
            )?,
            transferred_bytes: counter(
                "transferred_bytes_total",
                "Blob bytes received from and sent to registries.",
                &["registry", "direction"],
            )?,
            blobs: counter(
                "blobs_total",
                "Blobs that a target was given, or held already.",
                &["registry", "outcome"],
            )?,
            tags_copied: counter(
                "tags_copied_total",
                "Tags written to a target.",
                &["mirror", "target"],
            )?,
            syncs: counter(
                "syncs_total",
                "Runs by their result.",
                &["mirror", "result"],
            )?,
            transfers_in_flight: register(&registry, IntGauge::with_opts(in_flight)?)?,
            notifications: counter(
                "notifications_total",
                "Reports and alarms by what became of them at each channel.",
                &["channel", "result"],
            )?,
            registry,
        })
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

    /// Notes a tag that was written.
    pub fn tag_copied(&self, mirror: &str, target: &str) {
        count(&self.tags_copied, &[mirror, target], 1);
    }

    /// Notes the end of a run of a mirror.
    pub fn sync(&self, mirror: &str, result: &str) {
        count(&self.syncs, &[mirror, result], 1);
    }

    /// Notes a message that was delivered to a channel (`ok`) or could not be (`failed`).
    pub fn notification(&self, channel: &str, result: &str) {
        count(&self.notifications, &[channel, result], 1);
    }

    /// Counts deliveries to these channels from 0 on, and forgets those to any other.
    pub fn set_channels(&self, channels: &[&str]) {
        for family in self.notifications.collect() {
            for metric in family.get_metric() {
                let labels: Vec<&str> = metric.get_label().iter().map(|l| l.value()).collect();
                if !labels.iter().any(|label| channels.contains(label)) {
                    // It was there a moment ago; if it is gone, so much the better.
                    let _ = self.notifications.remove_label_values(&labels);
                }
            }
        }
        for channel in channels {
            for result in ["ok", "failed"] {
                count(&self.notifications, &[channel, result], 0);
            }
        }
    }

    /// The gauge of blob transfers under way.
    pub fn transfers_in_flight(&self) -> &IntGauge {
        &self.transfers_in_flight
    }

    /// Every metric in Prometheus's text format.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn request_seconds() -> HistogramOpts {
    HistogramOpts::from(opts(
        "registry_request_duration_seconds",
        "Time from a request's start to its answer's head.",
    ))
    .buckets(vec![
        0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
    ])
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("transship")
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn count(counter: &IntCounterVec, labels: &[&str], by: u64) {
    if let Ok(counter) = counter.get_metric_with_label_values(labels) {
        counter.inc_by(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.encode().unwrap()).unwrap()
    }

    #[test]
    fn what_was_noted_is_told() {
        let metrics = Metrics::new().unwrap();
        metrics.request("quay.io", "GET", Some(429), Duration::from_millis(20));
        metrics.transferred("quay.io", "downloaded", 7);
        metrics.set_channels(&["ops", "old"]);
        metrics.set_channels(&["ops"]);
        assert!(!text(&metrics).contains("old"));
        metrics.notification("ops", "ok");
        let text = text(&metrics);
        for line in [
            r#"transship_notifications_total{channel="ops",result="failed"} 0"#,
            r#"transship_notifications_total{channel="ops",result="ok"} 1"#,
            r#"transship_registry_requests_total{code="429",method="GET",registry="quay.io"} 1"#,
            r#"transship_registry_throttled_total{registry="quay.io"} 1"#,
            r#"transship_transferred_bytes_total{direction="downloaded",registry="quay.io"} 7"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
