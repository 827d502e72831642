//! `transship cluster status`: who works, what each worker holds, and what is overdue.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    cli::{Exit, Global, output},
    coordination::database::{Cluster, ClusterStatus, MirrorStatus, OverdueUnit, WorkerStatus},
};

/// Overdue units that are named.
const NAMED: u32 = 10;

/// Arguments of `cluster status`.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterStatusArgs {}

impl ClusterStatusArgs {
    pub(crate) async fn run(self, cluster: &Cluster, global: &Global) -> anyhow::Result<Exit> {
        let status = cluster.status().await?;
        let overdue = cluster.overdue(NAMED).await?;
        if global.json {
            output::json(&as_json(&status, &overdue))?;
            return Ok(Exit::Ok);
        }
        match &status.newest_config {
            Some(version) => output::line(&format!("{}, version {version}", cluster.server()))?,
            None => output::line(&format!(
                "{}: nothing is published; run `transship cluster apply`",
                cluster.server()
            ))?,
        }
        for worker in status.present_workers() {
            output::line(&worker_line(worker, &status))?;
            for unit in cluster.held(worker.id).await? {
                let since = output::duration((status.now - unit.since).num_seconds());
                output::line(&format!("    {}, for {since}", unit.key))?;
            }
        }
        for mirror in &status.mirrors {
            output::line(&mirror_line(mirror, &status))?;
        }
        for unit in &overdue {
            let late = output::duration((status.now - unit.due_at).num_seconds());
            output::line(&format!("due for {late}: {}", unit.key))?;
        }
        Ok(Exit::Ok)
    }
}

fn worker_line(worker: &WorkerStatus, status: &ClusterStatus) -> String {
    let state = match (worker.is_live(), worker.is_draining) {
        (false, _) => "gone".to_owned(),
        (true, true) => "draining".to_owned(),
        (true, false) => format!("lease of {} s", worker.lease_left.as_secs()),
    };
    let version = match worker.config {
        Some(version) if status.newest_config == Some(version) => String::new(),
        Some(version) => format!(", runs version {version}"),
        None => ", runs no version yet".into(),
    };
    let WorkerStatus {
        name,
        egress,
        units_held,
        ..
    } = worker;
    let program = &worker.version;
    format!("{name}  {state}, {units_held} units, egress {egress}, transship {program}{version}")
}

fn mirror_line(mirror: &MirrorStatus, status: &ClusterStatus) -> String {
    let lag = lag_words(mirror, status.now);
    let checked = mirror.last_checked.map_or_else(
        || "not all was compared yet".to_owned(),
        |at| {
            let ago = output::duration((status.now - at).num_seconds());
            format!("all compared within {ago}")
        },
    );
    let MirrorStatus {
        mirror: name,
        units,
        held,
        due,
        ..
    } = mirror;
    format!("{name}  {lag}, {units} units ({held} run, {due} due), {checked}")
}

fn lag_words(mirror: &MirrorStatus, now: DateTime<Utc>) -> String {
    match (mirror.lagging_since, mirror.last_checked) {
        (Some(since), _) => {
            let lag = output::duration((now - since).num_seconds());
            format!("{} behind for {lag}", mirror.behind)
        }
        // A source that is not there was compared, too.
        (None, Some(_)) if mirror.last_in_sync.is_none() => "never in sync".to_owned(),
        (None, Some(_)) => "in sync".to_owned(),
        (None, None) => "nothing known to be behind".to_owned(),
    }
}

fn as_json(status: &ClusterStatus, overdue: &[OverdueUnit]) -> Value {
    let workers = status.workers.iter().map(|worker| {
        json!({
            "id": worker.id.to_string(), "name": worker.name, "egress": worker.egress,
            "version": worker.version, "config": worker.config.map(|version| version.to_string()),
            "started_at": worker.started_at.timestamp(),
            "lease_left_seconds": worker.lease_left.as_secs(), "is_draining": worker.is_draining,
            "units_held": worker.units_held,
        })
    });
    let at = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(|at| at.timestamp());
    let mirrors = status.mirrors.iter().map(|mirror| {
        json!({
            "name": mirror.mirror, "units": mirror.units, "held": mirror.held, "due": mirror.due,
            "tags": mirror.tags, "behind": mirror.behind, "failed": mirror.failed,
            "lagging_since": at(mirror.lagging_since), "last_in_sync": at(mirror.last_in_sync),
            "last_checked": at(mirror.last_checked), "overdue_since": at(mirror.overdue_since),
        })
    });
    let overdue = overdue.iter().map(|unit| {
        json!({
            "unit": unit.key, "mirror": unit.mirror, "due_at": unit.due_at.timestamp(),
            "last_worker": unit.last_worker,
        })
    });
    json!({
        "now": status.now.timestamp(),
        "version": status.newest_config.map(|version| version.to_string()),
        "workers": workers.collect::<Vec<_>>(),
        "mirrors": mirrors.collect::<Vec<_>>(),
        "overdue": overdue.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
