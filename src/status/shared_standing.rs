//! How a mirror stands over all workers of a cluster: the store of each knows what it ran itself.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    coordination::database::{ClusterStatus as WorkersStatus, MirrorStatus as UnitsStatus},
    metrics::{MirrorSample, TargetSample},
    status::mirror_status::{MirrorStatus, State, TargetStatus},
    sync::Lag,
};

/// How a mirror stands over all workers. Times are seconds since 1970, by the clock of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedStanding {
    lagging_since: Option<i64>,
    last_in_sync: Option<i64>,
    last_checked: Option<i64>,
    behind: u64,
    /// Where tags are behind, by registry.
    targets: HashMap<String, SharedLag>,
}

/// What is behind at a target registry over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SharedLag {
    lagging_since: Option<i64>,
    behind: u64,
    failed: u64,
}

impl SharedStanding {
    /// Every mirror of a cluster, at `now`.
    pub fn all(status: &WorkersStatus, now: i64) -> HashMap<Arc<str>, Self> {
        let mirrors = status.mirrors.iter();
        mirrors
            .map(|units| {
                (
                    units.mirror.as_str().into(),
                    Self::of(units, status.now, now),
                )
            })
            .collect()
    }

    /// The clocks of the database and of this machine may differ: what counts is how long ago it was.
    fn of(units: &UnitsStatus, there: DateTime<Utc>, now: i64) -> Self {
        let at = |at: Option<DateTime<Utc>>| at.map(|at| now - (there - at).num_seconds());
        let targets = units.targets.iter().map(|target| {
            let standing = SharedLag {
                lagging_since: at(Some(target.since)),
                behind: target.behind,
                failed: target.failed,
            };
            (target.registry.clone(), standing)
        });
        Self {
            targets: targets.collect(),
            lagging_since: at(units.lagging_since),
            last_in_sync: at(units.last_in_sync),
            last_checked: at(units.last_checked),
            behind: units.behind,
        }
    }

    /// Shows it at each target of a mirror.
    pub(crate) fn apply(&self, status: &mut MirrorStatus, registries: &[String], now: i64) {
        for registry in registries {
            let known = status.targets.iter().any(|known| known.target == *registry);
            if !known {
                status.targets.push(TargetStatus::empty(registry));
            }
        }
        for target in &mut status.targets {
            let shared = self.at(&target.target);
            let lag = Lag::at(now, shared.lagging_since, self.last_in_sync);
            target.lag_seconds = lag.at_least;
            target.lag_upper_seconds = lag.at_most;
            target.behind = shared.behind;
            target.failed = shared.failed;
        }
        let lag = Lag::at(now, self.lagging_since, self.last_in_sync);
        status.lag_seconds = lag.at_least;
        status.last_checked = self.last_checked;
        status.last_success = self.last_in_sync;
        status.state = match (status.state, self.last_in_sync) {
            _ if self.behind > 0 => State::Behind,
            (State::Failing | State::Damaged, _) => status.state,
            (_, Some(_)) => State::InSync,
            (_, None) if self.last_checked.is_some() => State::Unfinished,
            (state, None) => state,
        };
    }

    fn at(&self, target: &str) -> SharedLag {
        self.targets.get(target).copied().unwrap_or_default()
    }

    /// Sets the gauges that are the same at every worker.
    pub(crate) fn apply_sample(&self, sample: &mut MirrorSample) {
        sample.last_check_success = self.last_checked;
        for target in &mut sample.targets {
            let shared = self.at(&target.target);
            let [synced, _, _, orphaned] = target.tags;
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let (behind, failed) = (count(shared.behind), count(shared.failed));
            *target = TargetSample {
                lagging_since: shared.lagging_since,
                tags: [synced, behind - failed, failed, orphaned],
                last_in_sync: self.last_in_sync,
                last_success: self.last_in_sync,
                ..std::mem::take(target)
            };
        }
    }
}

#[cfg(test)]
mod tests;
