//! Metrics of the daemon: its configuration, its reports, its disk, its traffic budget.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use crate::metrics::{
    maker::Maker,
    series::{count, forget, set},
};

/// Metrics of the daemon itself.
#[derive(Debug)]
pub(crate) struct DaemonMetrics {
    config_is_good: IntGauge,
    config_read_at: IntGauge,
    report_sent_at: IntGauge,
    disk_available: IntGauge,
    traffic_bytes: IntGaugeVec,
    traffic_budget: IntGauge,
    traffic_used: IntGauge,
    notifications: IntCounterVec,
    cluster_images: IntGaugeVec,
    cluster_report_at: IntGaugeVec,
}

impl DaemonMetrics {
    pub(crate) fn new(new: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            config_is_good: new.gauge("config_last_reload_successful", "Whether mirror.toml was valid when it was last read.")?,
            config_read_at: new.gauge("config_last_reload_success_timestamp_seconds", "When a valid mirror.toml was last read.")?,
            report_sent_at: new.gauge("report_last_success_timestamp_seconds", "When the last daily report was made; 0 before the first.")?,
            disk_available: new.gauge("disk_available_bytes", "Space left where the store is.")?,
            traffic_bytes: new.gauges("traffic_bytes", "Blob bytes moved in the current period of the traffic budget; the month where there is none.", &["direction"])?,
            traffic_budget: new.gauge("traffic_budget_bytes", "The traffic budget of a period; 0 where there is none.")?,
            traffic_used: new.gauge("traffic_budget_used_bytes", "What of the moved bytes the traffic budget counts.")?,
            cluster_images: new.gauges("cluster_images", "Images that a cluster uses, by their state at the mirror.", &["cluster", "state"])?,
            cluster_report_at: new.gauges("cluster_last_report_timestamp_seconds", "When the last list of a cluster's images arrived.", &["cluster"])?,
            notifications: new.counters(
                "notifications_total",
                "Reports and alarms by channel and result.",
                &["channel", "result"],
            )?,
        })
    }

    /// Sets that `mirror.toml` was read: at which time, if it is valid.
    pub(crate) fn config_read(&self, good_at: Option<i64>) {
        self.config_is_good.set(good_at.is_some().into());
        if let Some(at) = good_at {
            self.config_read_at.set(at);
        }
    }

    /// Sets when the last daily report was made, in seconds since 1970.
    pub(crate) fn report_made(&self, at: i64) {
        self.report_sent_at.set(at);
    }

    /// Sets the space left where the store is, in bytes.
    pub(crate) fn disk_available(&self, bytes: u64) {
        self.disk_available
            .set(bytes.try_into().unwrap_or(i64::MAX));
    }

    /// Sets the bytes moved in the current period, and the size and the use of its budget.
    pub(crate) fn traffic(&self, sent: u64, received: u64, budget: Option<(u64, u64)>) {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        set(&self.traffic_bytes, &["sent"], signed(sent));
        set(&self.traffic_bytes, &["received"], signed(received));
        let (bytes, used) = budget.unwrap_or_default();
        self.traffic_budget.set(signed(bytes));
        self.traffic_used.set(signed(used));
    }

    /// Counts a message that was delivered to a channel (`ok`) or could not be (`failed`).
    pub(crate) fn notification(&self, channel: &str, result: &str) {
        count(&self.notifications, &[channel, result], 1);
    }

    /// Sets how it stands with the images of a cluster, whose list arrived at a time.
    pub(crate) fn cluster(&self, cluster: &str, at: i64, counts: &[(&str, usize)]) {
        set(&self.cluster_report_at, &[cluster], at);
        for (state, count) in counts {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            set(&self.cluster_images, &[cluster, state], count);
        }
    }

    /// Removes the series of a cluster.
    pub(crate) fn forget_cluster(&self, cluster: &str) {
        forget(&self.cluster_report_at, "cluster", |name| name == cluster);
        forget(&self.cluster_images, "cluster", |name| name == cluster);
    }

    /// Counts deliveries to these channels from 0 on, and forgets those to any other.
    pub(crate) fn set_channels(&self, channels: &[&str]) {
        forget(&self.notifications, "channel", |name| {
            !channels.contains(&name)
        });
        for channel in channels {
            for result in ["ok", "failed"] {
                count(&self.notifications, &[channel, result], 0);
            }
        }
    }
}
