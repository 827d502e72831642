use std::{collections::BTreeMap, time::Duration};

use chrono::{TimeDelta, Utc};
use transship_cluster::{ClusterStatus, WorkerStatus};

use super::gone;

/// A worker that registered so many seconds ago, and whose lease has so many left.
pub(crate) fn worker_status(
    name: &str,
    started: i64,
    lease_left: u64,
    is_draining: bool,
) -> WorkerStatus {
    WorkerStatus {
        id: Default::default(),
        name: name.into(),
        egress: name.into(),
        version: "1.0.0".into(),
        level: 1,
        config: None,
        started_at: Utc::now() - TimeDelta::seconds(started),
        lease_left: Duration::from_secs(lease_left),
        is_draining,
        units_held: 3,
    }
}

fn ended(name: &str, started: i64, is_draining: bool) -> WorkerStatus {
    worker_status(name, started, 0, is_draining)
}

/// Those of the workers that are gone.
fn gone_of(workers: Vec<WorkerStatus>) -> Vec<String> {
    let status = ClusterStatus {
        now: Utc::now(),
        newest_config: None,
        workers,
        mirrors: Vec::new(),
    };
    let gone = gone(&status, &BTreeMap::new()).into_keys();
    gone.map(|name| name.to_string()).collect()
}

#[test]
fn worker_that_was_not_drained_is_gone() {
    let workers = vec![ended("a", 60, false), ended("b", 60, true)];
    assert_eq!(gone_of(workers), ["a"]);
}

#[test]
fn last_worker_of_a_name_shows_whether_it_is_gone() {
    let workers = vec![
        ended("a", 60, false),
        ended("a", 30, true),
        ended("b", 60, true),
        ended("b", 30, false),
    ];
    assert_eq!(gone_of(workers), ["b"]);
}
