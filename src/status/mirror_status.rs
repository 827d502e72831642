//! The status of every mirror, for the command line, the pages, the API and the daily report.

use crate::registry::ErrorClass;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    config::{Config, Mirror},
    locales::Language,
    status::clusters::ClusterStatus,
    store::{BehindTag, DamagedTag, RunRecord, RunResult, Standing, Store, TargetSize},
    sync::Lag,
};

/// Runs that the strip of a mirror shows.
pub const RUNS: i64 = 30;
/// Intervals of a schedule without a check that make a mirror stale.
const STALE_INTERVALS: i64 = 3;
/// Tags that are behind, and damaged, and named, for each mirror.
const NAMED: i64 = 10;

/// Every mirror, as it stands.
#[derive(Debug, Serialize)]
pub struct Status {
    /// When, in seconds since 1970.
    pub now: i64,
    /// In the order of the config.
    pub mirrors: Vec<MirrorStatus>,
    /// The clusters that sent a list of their images, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<Arc<ClusterStatus>>,
}

/// One mirror, as it stands. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub struct MirrorStatus {
    /// The mirror.
    pub name: Arc<str>,
    /// In a word.
    pub state: State,
    /// Whether the last run has not ended: it runs, or its process was killed.
    pub running: bool,
    /// Whether its last run is running; false if its process was killed.
    #[serde(skip)]
    pub is_under_way: bool,
    /// Whether its schedule is off.
    pub paused: bool,
    /// Its worst lag at any target.
    pub lag_seconds: i64,
    /// The lag that is accepted.
    pub max_lag_seconds: i64,
    /// Between two runs of its schedule.
    pub interval_seconds: i64,
    /// When the schedule has its next run.
    pub next_run: Option<i64>,
    /// Unique bytes of the images that are mirrored, at the target that has most.
    pub size_bytes: u64,
    /// At each target.
    pub targets: Vec<TargetStatus>,
    /// The end of the last run that left everything equal.
    pub last_success: Option<i64>,
    /// The start of the last run.
    pub last_attempt: Option<i64>,
    /// How it ended, or that it did not.
    pub last_result: Option<RunState>,
    /// The first error of the last run that ended.
    pub last_error: Option<String>,
    /// Its class, as in the metric `errors_total`.
    pub last_error_class: Option<String>,
    /// The registry that gave it; empty for errors of this host.
    pub last_error_registry: Option<String>,
    /// The start of the last run in which all of the source could be compared.
    pub last_checked: Option<i64>,
    /// Tags that are behind, longest first: some of them.
    pub behind: Vec<Behind>,
    /// The source of a tag that is behind because it was served with wrong bytes, however many others
    /// are behind for longer.
    #[serde(skip)]
    pub mismatched: Option<String>,
    /// Tags that verification found damaged, and that no run has brought again: some of them.
    pub damaged: Vec<Damaged>,
    /// The results of the last runs, oldest first.
    pub runs: Vec<RunMark>,
}

/// How a mirror stands, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Everything was proved equal, and nothing was seen to differ since.
    #[serde(rename = "in sync")]
    InSync,
    /// Something differs from the source.
    #[serde(rename = "behind")]
    Behind,
    /// Nothing differs from the source, and verification found something missing or wrong.
    #[serde(rename = "damaged")]
    Damaged,
    /// The last run failed in part or in whole.
    #[serde(rename = "failing")]
    Failing,
    /// No run came to an end yet, or the last one was cut off.
    #[serde(rename = "unfinished")]
    Unfinished,
    /// No run was ever begun.
    #[serde(rename = "never synced")]
    NeverSynced,
}

/// One mirror at one target registry.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names are enough")]
pub struct TargetStatus {
    pub target: String,
    pub tags: u64,
    pub behind: u64,
    pub failed: u64,
    pub orphaned: u64,
    pub damaged: u64,
    pub lag_seconds: i64,
    pub lag_upper_seconds: Option<i64>,
    pub consecutive_failures: u64,
    pub size_bytes: u64,
    pub pending_bytes: u64,
}

impl TargetStatus {
    /// A target of which nothing is known here.
    pub(crate) fn empty(target: &str) -> Self {
        Self {
            target: target.into(),
            tags: 0,
            behind: 0,
            failed: 0,
            orphaned: 0,
            damaged: 0,
            lag_seconds: 0,
            lag_upper_seconds: None,
            consecutive_failures: 0,
            size_bytes: 0,
            pending_bytes: 0,
        }
    }
}

/// A tag that is behind, and why if that is known.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names are enough")]
pub struct Behind {
    pub source: String,
    pub reference: String,
    pub lag_seconds: i64,
    pub class: Option<String>,
    pub message: Option<String>,
}

/// A tag that is damaged.
#[derive(Clone, Debug, Serialize)]
pub struct Damaged {
    /// The tag at the target, written out.
    pub reference: String,
    /// When verification found it, in seconds since 1970.
    pub damaged_at: i64,
}

/// A run in the strip.
#[derive(Clone, Debug, Serialize)]
pub struct RunMark {
    /// When it started.
    pub started_at: i64,
    /// When it ended, if it did.
    pub finished_at: Option<i64>,
    /// How it ended, or that it did not.
    pub result: RunState,
    /// Tags that it wrote.
    pub copied: i64,
    /// What failed.
    pub failed: i64,
}

/// How far a run came. Serialises as its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It ended like this.
    Ended(RunResult),
    /// It runs, or its process was killed.
    Unfinished,
    /// It runs: `transship status` asks the system for its process.
    Running,
}

/// What the store knows of a mirror. A status can be computed from it at any time.
#[derive(Clone, Debug, Default)]
pub struct StoredStatus {
    standing: Standing,
    sizes: Vec<TargetSize>,
    behind: Vec<BehindTag>,
    mismatched: Option<String>,
    damaged: Vec<DamagedTag>,
}

impl StoredStatus {
    /// Reads what the store knows of a mirror at `now`, in seconds since 1970.
    pub async fn read(store: &Store, mirror: &str, now: i64) -> Result<Self, crate::store::Error> {
        let known = Self::read_without_sizes(store, mirror, now).await?;
        Ok(known.with_sizes(store.sizes(mirror).await?))
    }

    /// The same with the sizes of an earlier reading.
    pub(crate) fn with_sizes(self, sizes: Vec<TargetSize>) -> Self {
        Self { sizes, ..self }
    }

    /// Reads all but the sizes: these cost most to read.
    pub(crate) async fn read_without_sizes(
        store: &Store,
        mirror: &str,
        now: i64,
    ) -> Result<Self, crate::store::Error> {
        Ok(Self {
            sizes: Vec::new(),
            standing: store.standing(mirror, RUNS, now).await?,
            behind: store.behind(mirror, NAMED).await?,
            mismatched: store
                .failed_with(mirror, ErrorClass::DigestMismatch.as_str())
                .await?,
            damaged: store.damaged(mirror, NAMED).await?,
        })
    }

    /// How the mirror stands by the store.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Its sizes at each target registry.
    pub(crate) fn sizes(&self) -> &[TargetSize] {
        &self.sizes
    }

    /// Its sizes at a target registry.
    pub fn size_at(&self, registry: &str) -> TargetSize {
        let mut sizes = self.sizes.iter();
        let size = sizes.find(|size| size.registry == registry);
        size.cloned().unwrap_or_default()
    }

    /// How the mirror stands at `now`.
    pub fn at(&self, config: &Config, mirror: &Mirror, now: i64) -> MirrorStatus {
        let Standing {
            targets,
            runs,
            last_checked,
            last_success,
        } = &self.standing;
        let kept = mirror.target_registries();
        let targets: Vec<TargetStatus> = targets
            .iter()
            .filter(|target| kept.contains(&target.registry))
            .map(|target| {
                let lag = Lag::at(now, target.lagging_since, target.last_in_sync);
                let size = self.size_at(&target.registry);
                TargetStatus {
                    target: target.registry.clone(),
                    tags: target.tags,
                    behind: target.behind,
                    failed: target.failed,
                    orphaned: target.orphaned,
                    damaged: target.damaged,
                    lag_seconds: lag.at_least,
                    lag_upper_seconds: lag.at_most,
                    consecutive_failures: target.failures,
                    size_bytes: size.size_bytes,
                    pending_bytes: size.pending_bytes,
                }
            })
            .collect();
        let last = runs.first();
        let ended = runs.iter().find(|run| run.result.is_some());
        MirrorStatus {
            name: mirror.name.clone(),
            state: state(last, ended, &targets),
            running: last.is_some_and(|run| run.result.is_none()),
            is_under_way: last.is_some_and(RunRecord::is_under_way),
            paused: mirror.is_paused,
            lag_seconds: targets.iter().map(|t| t.lag_seconds).max().unwrap_or(0),
            max_lag_seconds: mirror.max_lag.as_secs().try_into().unwrap_or(i64::MAX),
            interval_seconds: mirror.interval_seconds(config.timezone, now),
            next_run: mirror.next_run(config.timezone, now),
            size_bytes: targets.iter().map(|t| t.size_bytes).max().unwrap_or(0),
            targets,
            last_success: *last_success,
            last_attempt: last.map(|run| run.started_at),
            last_result: last.map(RunState::of),
            last_error: ended.and_then(|run| run.error_message.clone()),
            last_error_class: ended.and_then(|run| run.error_class.clone()),
            last_error_registry: ended.and_then(|run| run.error_registry.clone()),
            last_checked: *last_checked,
            behind: self.behind.iter().map(|tag| behind(tag, now)).collect(),
            mismatched: self.mismatched.clone(),
            damaged: self.damaged.iter().map(damaged).collect(),
            runs: runs.iter().rev().map(mark).collect(),
        }
    }
}

impl Status {
    /// Mirrors that are not in sync.
    pub fn others(&self) -> usize {
        let is_other = |mirror: &&MirrorStatus| mirror.state != State::InSync;
        self.mirrors.iter().filter(is_other).count()
    }

    /// Mirrors that no run has ever left equal to their source.
    pub fn never_in_sync(&self) -> usize {
        let is_never = |mirror: &&MirrorStatus| mirror.last_success.is_none();
        self.mirrors.iter().filter(is_never).count()
    }

    /// The mirrors, worst first: by lag, then those that fail, then by name.
    pub fn worst_first(&self) -> Vec<&MirrorStatus> {
        let mut mirrors: Vec<&MirrorStatus> = self.mirrors.iter().collect();
        mirrors.sort_by_key(|mirror| {
            let is_fine = mirror.state == State::InSync;
            (-mirror.lag_seconds, is_fine, mirror.name.clone())
        });
        mirrors
    }
}

impl MirrorStatus {
    /// Whether it lags less than is accepted.
    pub fn is_within_objective(&self) -> bool {
        self.lag_seconds <= self.max_lag_seconds
    }

    /// Whether its source was compared lately. If not, its lag is unknown.
    pub fn is_compared(&self, now: i64) -> bool {
        self.last_checked.is_some() && !self.is_stale(now)
    }

    /// Whether its source was not compared for several intervals, though it was before. A run in
    /// flight does not excuse it: a run records the comparison before it copies the last image.
    pub fn is_stale(&self, now: i64) -> bool {
        let patience = self.patience_seconds();
        !self.paused && self.last_checked.is_some_and(|at| now - at > patience)
    }

    /// How long its source may go without being compared.
    pub fn patience_seconds(&self) -> i64 {
        STALE_INTERVALS * self.interval_seconds
    }

    /// The first error of the last run that ended, for people.
    pub(crate) fn error(&self, language: Language) -> Option<String> {
        let class = self.last_error_class.as_deref();
        let class = class.and_then(|class| class.parse().ok());
        let message = self.last_error.as_deref()?;
        Some(language.error(class, message))
    }

    /// Tags that are behind, at all targets.
    pub fn behind_tags(&self) -> u64 {
        self.targets.iter().map(|target| target.behind).sum()
    }

    /// Tags that are damaged, at all targets.
    pub fn damaged_tags(&self) -> u64 {
        self.targets.iter().map(|target| target.damaged).sum()
    }
}

impl RunState {
    fn of(run: &RunRecord) -> Self {
        run.result.map_or(Self::Unfinished, Self::Ended)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended(result) => result.as_str(),
            Self::Unfinished => "unfinished",
            Self::Running => "running",
        }
    }
}

impl Serialize for RunState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl State {
    /// Every state, the worst first.
    pub const WORST_FIRST: [Self; 6] = [
        Self::Failing,
        Self::Behind,
        Self::Damaged,
        Self::Unfinished,
        Self::NeverSynced,
        Self::InSync,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in sync",
            Self::Behind => "behind",
            Self::Damaged => "damaged",
            Self::Failing => "failing",
            Self::Unfinished => "unfinished",
            Self::NeverSynced => "never synced",
        }
    }
}

fn state(last: Option<&RunRecord>, ended: Option<&RunRecord>, targets: &[TargetStatus]) -> State {
    let is_behind = targets.iter().any(|target| target.behind > 0);
    let is_damaged = targets.iter().any(|target| target.damaged > 0);
    match ended.and_then(|run| run.result) {
        _ if last.is_none() => State::NeverSynced,
        _ if is_behind => State::Behind,
        Some(RunResult::Ok) if is_damaged => State::Damaged,
        Some(RunResult::Ok) => State::InSync,
        None | Some(RunResult::Interrupted) => State::Unfinished,
        Some(RunResult::Partial | RunResult::Failed) => State::Failing,
    }
}

fn behind(tag: &BehindTag, now: i64) -> Behind {
    Behind {
        source: tag.source.clone(),
        reference: tag.reference.clone(),
        lag_seconds: Lag::at(now, Some(tag.lagging_since), None).at_least,
        class: tag.error_class.clone(),
        message: tag.error_message.clone(),
    }
}

fn damaged(tag: &DamagedTag) -> Damaged {
    Damaged {
        reference: tag.reference.clone(),
        damaged_at: tag.damaged_at,
    }
}

fn mark(run: &RunRecord) -> RunMark {
    RunMark {
        started_at: run.started_at,
        finished_at: run.finished_at,
        result: RunState::of(run),
        copied: run.copied,
        failed: run.failed,
    }
}
