//! Caches the status of every mirror: pages and scrapes do not read the store.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    config::{Config, Mirror},
    metrics::{Metrics, MirrorSample, TargetSample},
    status::mirror_status::{MirrorStatus, Status, StoredStatus},
    store::{self, Store},
};

/// What is known of every mirror, and what is wrong with `mirror.toml`.
#[derive(Debug)]
pub struct StatusCache {
    store: Store,
    metrics: Arc<Metrics>,
    state: Mutex<CacheState>,
}

#[derive(Debug, Default)]
struct CacheState {
    known: HashMap<Arc<str>, StoredStatus>,
    config_error: Option<String>,
}

impl StatusCache {
    /// An empty cache.
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            state: Mutex::default(),
        }
    }

    /// Reads what the store knows of a mirror, for pages and metrics.
    pub async fn refresh(
        &self,
        config: &Config,
        mirror: &Mirror,
        now: i64,
    ) -> Result<(), store::Error> {
        let known = StoredStatus::read(&self.store, &mirror.name, now).await?;
        self.metrics
            .mirror(&mirror.name, sample(&known, config, mirror, now));
        self.lock().known.insert(mirror.name.clone(), known);
        Ok(())
    }

    /// Reads everything for a configuration, and forgets mirrors that it does not have.
    pub async fn keep(&self, config: &Config, now: i64) -> Result<(), store::Error> {
        let is_kept = |name: &Arc<str>| config.mirrors.iter().any(|mirror| mirror.name == *name);
        self.lock().known.retain(|name, _| is_kept(name));
        for mirror in &config.mirrors {
            self.refresh(config, mirror, now).await?;
        }
        Ok(())
    }

    /// The status of every mirror.
    pub fn status(&self, config: &Config, now: i64) -> Status {
        let state = self.lock();
        let mirrors = config
            .mirrors
            .iter()
            .map(|mirror| match state.known.get(&mirror.name) {
                Some(known) => known.at(config, mirror, now),
                None => StoredStatus::default().at(config, mirror, now),
            });
        Status {
            now,
            mirrors: mirrors.collect(),
        }
    }

    /// The status of one mirror.
    pub fn mirror(&self, config: &Config, name: &str, now: i64) -> Option<MirrorStatus> {
        let mirror = config.mirrors.iter().find(|mirror| *mirror.name == *name)?;
        let known = self.lock().known.get(name).cloned().unwrap_or_default();
        Some(known.at(config, mirror, now))
    }

    /// Why the edit of `mirror.toml` is not in force, if it is not.
    pub fn config_error(&self) -> Option<String> {
        self.lock().config_error.clone()
    }

    /// Sets the error of the edited `mirror.toml`, or that it has none.
    pub fn set_config_error(&self, error: Option<String>) {
        self.lock().config_error = error;
    }

    fn lock(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock()
    }
}

/// The gauges of a mirror. A target of which nothing is known yet has series, too.
fn sample(known: &StoredStatus, config: &Config, mirror: &Mirror, now: i64) -> MirrorSample {
    let standing = known.standing();
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let kept = mirror.target_registries();
    let standing_there = standing.targets.iter();
    let mut targets: Vec<TargetSample> = standing_there
        .filter(|target| kept.contains(&target.registry))
        .map(|target| TargetSample {
            target: target.registry.clone(),
            lagging_since: target.lagging_since,
            last_in_sync: target.last_in_sync,
            last_success: target.last_success,
            pending_bytes: signed(target.pending_bytes),
            failures: signed(target.failures),
            tags: [
                signed(target.tags.saturating_sub(target.behind + target.orphaned)),
                signed(target.behind - target.failed),
                signed(target.failed),
                signed(target.orphaned),
            ],
        })
        .collect();
    for registry in kept {
        if targets.iter().all(|target| target.target != registry) {
            targets.push(TargetSample {
                target: registry,
                ..TargetSample::default()
            });
        }
    }
    let registries: BTreeSet<String> = mirror.registries().collect();
    MirrorSample {
        last_check: standing.runs.first().map(|run| run.started_at.min(now)),
        last_check_success: standing.last_checked,
        next_run: mirror.next_run(config.timezone, now),
        interval_seconds: mirror.interval_seconds(config.timezone, now),
        lag_objective_seconds: signed(mirror.max_lag.as_secs()),
        is_paused: mirror.is_paused,
        registries: registries.into_iter().collect(),
        targets,
    }
}
