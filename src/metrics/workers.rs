//! Metrics of a worker of a cluster. A process that shares nothing has none of them.

use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use crate::metrics::{
    maker::{Maker, opts},
    series::set,
};

/// How the workers of a cluster stand, as one of them read it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkersSample {
    /// Workers with a lease.
    pub live: usize,
    /// Those of them that take nothing more.
    pub draining: usize,
    /// Units that run.
    pub held: u64,
    /// Units that are due and that nobody runs.
    pub due: u64,
    /// All units.
    pub units: u64,
    /// How long the longest of those that are due waits, in seconds.
    pub overdue_seconds: i64,
}

/// Metrics of a worker.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    lease_left: IntGauge,
    database_up: IntGauge,
    workers: IntGaugeVec,
    units: IntGaugeVec,
    overdue: IntGauge,
    lost: IntCounter,
}

impl WorkerMetrics {
    pub(crate) fn new(new: &Maker) -> Result<Self, prometheus::Error> {
        let lost = opts(
            "lost_runs_total",
            "Runs of units that were cut off because the lease was lost.",
        );
        Ok(Self {
            lease_left: new.gauge(
                "lease_left_seconds",
                "How long this worker may write if nothing renews its lease.",
            )?,
            database_up: new.gauge(
                "cluster_database_up",
                "Whether the database of the workers answered last.",
            )?,
            workers: new.gauges(
                "workers",
                "Workers of the cluster, by state: live, draining.",
                &["state"],
            )?,
            units: new.gauges(
                "units",
                "Units of the cluster, by state: held, due, waiting.",
                &["state"],
            )?,
            overdue: new.gauge(
                "units_overdue_seconds",
                "How long the longest of the units that are due waits.",
            )?,
            lost: new.add(IntCounter::with_opts(lost)?)?,
        })
    }

    pub(crate) fn lease(&self, left_seconds: i64, is_database_up: bool) {
        self.lease_left.set(left_seconds);
        self.database_up.set(is_database_up.into());
    }

    pub(crate) fn sample(&self, sample: WorkersSample) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let workers = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        set(
            &self.workers,
            &["live"],
            workers(sample.live - sample.draining),
        );
        set(&self.workers, &["draining"], workers(sample.draining));
        let waiting = sample.units.saturating_sub(sample.held + sample.due);
        set(&self.units, &["held"], signed(sample.held));
        set(&self.units, &["due"], signed(sample.due));
        set(&self.units, &["waiting"], signed(waiting));
        self.overdue.set(sample.overdue_seconds);
    }

    pub(crate) fn run_lost(&self) {
        self.lost.inc();
    }
}
