use std::path::Path;

use chrono::{TimeDelta, Utc};

use super::*;
use crate::{config::Config, coordination::database::TargetLag, status::StoredStatus};

const NOW: i64 = 1_700_000_000;

/// Units whose database has a clock of its own.
fn units(lagging: Option<i64>, checked: Option<i64>) -> (UnitsStatus, DateTime<Utc>) {
    let there = Utc::now() + TimeDelta::hours(1);
    let ago = |seconds: i64| there - TimeDelta::seconds(seconds);
    let units = UnitsStatus {
        mirror: "app".into(),
        units: 2,
        held: 0,
        due: 0,
        tags: 10,
        behind: u64::from(lagging.is_some()),
        failed: 0,
        lagging_since: lagging.map(ago),
        last_in_sync: checked.filter(|_| lagging.is_none()).map(ago),
        last_checked: checked.map(ago),
        overdue_since: None,
        targets: lagging
            .map(|seconds| TargetLag {
                registry: "t.example".into(),
                behind: 1,
                failed: 1,
                since: ago(seconds),
            })
            .into_iter()
            .collect(),
    };
    (units, there)
}

/// How a mirror is shown of which this worker has run nothing.
fn shown(lagging: Option<i64>, checked: Option<i64>) -> MirrorStatus {
    let text = "[[mirror]]\nname = \"app\"\nfrom = \"s.example/app\"\ntarget = \"t.example/m\"\ntags = \"*\"\n";
    let config = Config::parse(Path::new("/nonexistent/mirror.toml"), text).unwrap();
    let mirror = &config.mirrors[0];
    let mut status = StoredStatus::default().at(&config, mirror, NOW);
    let (units, there) = units(lagging, checked);
    let shared = SharedStanding::of(&units, there, NOW);
    shared.apply(&mut status, &mirror.target_registries(), NOW);
    status
}

#[test]
fn lag_of_other_workers_is_shown() {
    let status = shown(Some(600), Some(30));
    assert_eq!(status.state, State::Behind);
    assert_eq!(status.lag_seconds, 600);
    assert_eq!(status.last_checked, Some(NOW - 30));
    assert_eq!(status.targets[0].target, "t.example");
    assert_eq!(status.targets[0].lag_seconds, 600);
    assert_eq!((status.targets[0].behind, status.targets[0].failed), (1, 1));
}

#[test]
fn lag_at_one_target_is_not_that_of_another() {
    let (units, there) = units(Some(600), Some(30));
    let shared = SharedStanding::of(&units, there, NOW);
    let target = |target: &str| TargetSample {
        target: target.into(),
        tags: [5, 4, 0, 1],
        ..TargetSample::default()
    };
    let mut sample = MirrorSample {
        targets: vec![target("t.example"), target("u.example")],
        ..MirrorSample::default()
    };
    shared.apply_sample(&mut sample);
    let [t, u] = &sample.targets[..] else {
        panic!("{sample:?}")
    };
    assert_eq!((t.lagging_since, t.tags), (Some(NOW - 600), [5, 0, 1, 1]));
    assert_eq!((u.lagging_since, u.tags), (None, [5, 0, 0, 1]));
}

#[test]
fn mirror_in_sync_elsewhere_is_in_sync() {
    let status = shown(None, Some(30));
    assert_eq!((status.state, status.lag_seconds), (State::InSync, 0));
    assert_eq!(status.last_success, Some(NOW - 30));
    assert_eq!(status.targets[0].lag_upper_seconds, Some(30));
}

#[test]
fn mirror_that_nobody_ran_was_never_synced() {
    assert_eq!(shown(None, None).state, State::NeverSynced);
}
