//! Series of one metric: counting, setting, and letting go of those whose entry has gone.

use std::collections::HashMap;

use prometheus::{
    IntCounterVec, IntGaugeVec,
    core::{Collector as _, MetricVec, MetricVecBuilder},
};

/// Adds to a counter, and makes it if there is none.
pub(crate) fn count(counter: &IntCounterVec, labels: &[&str], by: u64) {
    if let Ok(counter) = counter.get_metric_with_label_values(labels) {
        counter.inc_by(by);
    }
}

/// Sets a gauge, and makes it if there is none.
pub(crate) fn set(gauge: &IntGaugeVec, labels: &[&str], value: i64) {
    if let Ok(gauge) = gauge.get_metric_with_label_values(labels) {
        gauge.set(value);
    }
}

/// Lets go of the series that have a label of which `is_gone` holds.
pub(crate) fn forget<T: MetricVecBuilder>(
    vec: &MetricVec<T>,
    label: &str,
    is_gone: impl Fn(&str) -> bool,
) {
    forget_if(vec, |labels| {
        labels.get(label).is_some_and(|value| is_gone(value))
    });
}

/// Lets go of the series of whose labels `is_gone` holds.
pub(crate) fn forget_if<T: MetricVecBuilder>(
    vec: &MetricVec<T>,
    is_gone: impl Fn(&HashMap<&str, &str>) -> bool,
) {
    for family in vec.collect() {
        for metric in family.get_metric() {
            let pairs = metric.get_label().iter();
            let labels: HashMap<&str, &str> =
                pairs.map(|pair| (pair.name(), pair.value())).collect();
            if is_gone(&labels) {
                // Somebody else may have removed it just now.
                let _ = vec.remove(&labels);
            }
        }
    }
}
