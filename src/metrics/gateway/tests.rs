use std::collections::BTreeSet;

use prometheus::{Registry, proto::MetricFamily};

use super::*;

/// Every family with its type and labels. Dashboards and alerts of users read them: a name stays.
const FAMILIES: &str = "\
transship_gateway_budget_spent GAUGE
transship_gateway_bytes_total COUNTER side
transship_gateway_downloads_in_flight GAUGE
transship_gateway_first_byte_seconds HISTOGRAM outcome
transship_gateway_followers GAUGE
transship_gateway_refused_total COUNTER reason
transship_gateway_requests_total COUNTER kind,outcome
transship_gateway_tag_age_seconds HISTOGRAM outcome
transship_gateway_upstream_failing GAUGE registry
";

fn started() -> (Registry, GatewayMetrics) {
    let new = Maker(Registry::new());
    let metrics = GatewayMetrics::new(&new).unwrap();
    metrics.start(&["hit", "miss"], &["denied", "limit"]);
    (new.0, metrics)
}

/// Name, type and the names of the labels.
fn line(family: &MetricFamily) -> String {
    let metrics = family.get_metric().iter();
    let labels: BTreeSet<&str> = metrics
        .flat_map(|metric| metric.get_label())
        .map(|label| label.name())
        .collect();
    let labels = labels.into_iter().collect::<Vec<_>>().join(",");
    let line = format!("{} {:?} {labels}", family.name(), family.get_field_type());
    line.trim_end().to_owned() + "\n"
}

#[test]
fn families_keep_names_types_and_labels() {
    let (registry, metrics) = started();
    metrics.pulled("manifest", "hit", Duration::from_millis(2));
    metrics.tag_answered("hit", Duration::from_secs(90));
    metrics.failing(&[("quay.io", 3)]);
    let lines: String = registry.gather().iter().map(line).collect();
    assert_eq!(lines, FAMILIES);
}

#[test]
fn documents_name_every_family() {
    let text = include_str!("../../../docs/gateway.md");
    for line in FAMILIES.lines() {
        let (name, rest) = line.split_once(' ').unwrap();
        assert!(text.contains(&format!("`{name}`")), "{name}");
        let labels = rest.split(' ').nth(1).unwrap_or_default();
        let mut labels = labels.split(',').filter(|label| !label.is_empty());
        assert!(
            labels.all(|label| text.contains(&format!("`{label}`"))),
            "{line}"
        );
    }
}

#[test]
fn counters_start_at_zero() {
    let (registry, _) = started();
    let mut series = 0;
    for family in registry.gather() {
        let counters = family.get_metric().iter();
        let counters: Vec<f64> = counters
            .filter(|_| family.name().ends_with("_total"))
            .map(|metric| metric.get_counter().get_value())
            .collect();
        assert!(counters.iter().all(|value| *value == 0.0));
        series += counters.len();
    }
    // Two kinds with two outcomes, two reasons, two sides.
    assert_eq!(series, 8);
}
