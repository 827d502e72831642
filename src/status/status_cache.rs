//! Caches the status of every mirror: pages and scrapes do not read the store.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    config::{Config, Mirror},
    metrics::{Metrics, MirrorSample, TargetSample},
    status::clusters::ClusterCache,
    status::mirror_status::{MirrorStatus, Status, StoredStatus},
    status::shared_standing::SharedStanding,
    store::{self, Store, StoreWriter, TargetSize},
};

/// Sizes that take less time are read whenever they may have changed.
const CHEAP: Duration = Duration::from_millis(20);
/// One in how many parts of the time may be spent on reading sizes.
const SHARE: u32 = 20;
/// How old sizes may get, whatever runs there were: a run of one image changes them, too.
const SIZES_AGE: Duration = Duration::from_secs(600);

/// What is known of every mirror, and what is wrong with `mirror.toml`.
#[derive(Debug)]
pub struct StatusCache {
    store: Store,
    metrics: Arc<Metrics>,
    clusters: ClusterCache,
    state: Mutex<CacheState>,
}

/// When sizes were read. That costs most of a refresh where images are many, so that it happens
/// once a run, and for a small part of the time while one runs.
#[derive(Debug)]
struct SizeRead {
    /// The last run then, and its end.
    run: Option<(i64, Option<i64>)>,
    began: Instant,
    took: Duration,
}

#[derive(Debug, Default)]
struct CacheState {
    known: HashMap<Arc<str>, StoredStatus>,
    /// How mirrors stand over all workers; empty where there are none.
    shared: HashMap<Arc<str>, SharedStanding>,
    size_reads: HashMap<Arc<str>, SizeRead>,
    /// Unique bytes of all mirrors, when they were read, and whether a mirror has changed since.
    total_size: u64,
    total_read: Option<SizeRead>,
    is_total_old: bool,
    rejected: Option<RejectedConfig>,
    waiting_for_restart: Vec<&'static str>,
}

/// Why the edit of `mirror.toml` is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedConfig {
    /// The first error, in one line.
    pub summary: String,
    /// Every error, with file, line and caret.
    pub report: String,
}

impl StatusCache {
    /// An empty cache.
    pub fn new(store: Store, writer: Arc<StoreWriter>, metrics: Arc<Metrics>) -> Self {
        Self {
            clusters: ClusterCache::new(store.clone(), writer, metrics.clone()),
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
        let known = StoredStatus::read_without_sizes(&self.store, &mirror.name, now).await?;
        let known = self.with_sizes(mirror, known).await?;
        let mut sample = sample(&known, config, mirror, now);
        if let Some(shared) = self.lock().shared.get(&mirror.name) {
            shared.apply_sample(&mut sample);
        }
        self.metrics.mirror(&mirror.name, sample);
        self.lock().known.insert(mirror.name.clone(), known);
        self.refresh_total(config).await
    }

    /// Adds the sizes that are known, or reads them.
    async fn with_sizes(
        &self,
        mirror: &Mirror,
        known: StoredStatus,
    ) -> Result<StoredStatus, store::Error> {
        let run = known.standing().runs.first();
        let run = run.map(|run| (run.id, run.finished_at));
        if let Some(sizes) = self.lock().sizes(&mirror.name, run) {
            return Ok(known.with_sizes(sizes));
        }
        let began = Instant::now();
        let sizes = self.store.sizes(&mirror.name).await?;
        let mut state = self.lock();
        let read = SizeRead::new(run, began);
        state.size_reads.insert(mirror.name.clone(), read);
        state.is_total_old = true;
        Ok(known.with_sizes(sizes))
    }

    async fn refresh_total(&self, config: &Config) -> Result<(), store::Error> {
        {
            let state = self.lock();
            let is_due = state.total_read.as_ref().is_none_or(SizeRead::is_due);
            if !(state.is_total_old && is_due) {
                return Ok(());
            }
        }
        let began = Instant::now();
        let names: Vec<&str> = config.mirrors.iter().map(|mirror| &*mirror.name).collect();
        let total = self.store.total_size(&names).await?;
        let mut state = self.lock();
        state.total_size = total;
        state.total_read = Some(SizeRead::new(None, began));
        state.is_total_old = false;
        Ok(())
    }

    /// Unique bytes of the images of all mirrors.
    pub fn total_size(&self) -> u64 {
        self.lock().total_size
    }

    /// Reads everything for a configuration, and forgets mirrors that it does not have.
    pub async fn keep(&self, config: &Config, now: i64) -> Result<(), store::Error> {
        let is_kept = |name: &Arc<str>| config.mirrors.iter().any(|mirror| mirror.name == *name);
        {
            let mut state = self.lock();
            state.known.retain(|name, _| is_kept(name));
            state.size_reads.clear();
            state.is_total_old = true;
        }
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
            .map(|mirror| state.at(config, mirror, now));
        Status {
            now,
            mirrors: mirrors.collect(),
            clusters: self.clusters.all(),
        }
    }

    /// What clusters use.
    pub fn clusters(&self) -> &ClusterCache {
        &self.clusters
    }

    /// The status of one mirror.
    pub fn mirror(&self, config: &Config, name: &str, now: i64) -> Option<MirrorStatus> {
        let mirror = config.mirrors.iter().find(|mirror| *mirror.name == *name)?;
        Some(self.lock().at(config, mirror, now))
    }

    /// Sets how mirrors stand over all workers.
    pub fn set_shared(&self, shared: HashMap<Arc<str>, SharedStanding>) {
        // This worker may run a mirror rarely, or never.
        self.metrics.update_mirrors(|name, sample| {
            if let Some(shared) = shared.get(name) {
                shared.apply_sample(sample);
            }
        });
        self.lock().shared = shared;
    }

    /// Why the edit of `mirror.toml` is not in force, if it is not.
    pub fn rejected_config(&self) -> Option<RejectedConfig> {
        self.lock().rejected.clone()
    }

    /// Sets why the edited `mirror.toml` is not in force, or that it is.
    pub fn set_rejected_config(&self, rejected: Option<RejectedConfig>) {
        self.lock().rejected = rejected;
    }

    /// Keys of `mirror.toml` that take effect at the next start.
    pub fn waiting_for_restart(&self) -> Vec<&'static str> {
        self.lock().waiting_for_restart.clone()
    }

    /// Sets the keys that take effect at the next start.
    pub fn set_waiting_for_restart(&self, keys: Vec<&'static str>) {
        self.lock().waiting_for_restart = keys;
    }

    fn lock(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock()
    }
}

impl SizeRead {
    fn new(run: Option<(i64, Option<i64>)>, began: Instant) -> Self {
        let took = began.elapsed();
        Self { run, began, took }
    }

    /// Whether sizes may be read again.
    fn is_due(&self) -> bool {
        self.took < CHEAP || self.began.elapsed() >= self.took * SHARE
    }

    /// Whether they are those of a run.
    fn is_of(&self, run: Option<(i64, Option<i64>)>) -> bool {
        let is_ended = run.is_none_or(|(_, ended)| ended.is_some());
        self.run == run && self.began.elapsed() < SIZES_AGE && (is_ended || !self.is_due())
    }
}

impl CacheState {
    /// How a mirror stands at `now`.
    fn at(&self, config: &Config, mirror: &Mirror, now: i64) -> MirrorStatus {
        let mut status = match self.known.get(&mirror.name) {
            Some(known) => known.at(config, mirror, now),
            None => StoredStatus::default().at(config, mirror, now),
        };
        if let Some(shared) = self.shared.get(&mirror.name) {
            shared.apply(&mut status, &mirror.target_registries(), now);
        }
        status
    }

    /// The sizes that are known of a mirror, unless they may have changed.
    fn sizes(&self, name: &str, run: Option<(i64, Option<i64>)>) -> Option<Vec<TargetSize>> {
        let read = self.size_reads.get(name)?;
        let known = self.known.get(name)?;
        read.is_of(run).then(|| known.sizes().to_vec())
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
            pending_bytes: signed(known.size_at(&target.registry).pending_bytes),
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
