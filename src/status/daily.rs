//! The daily report: what a day brought and how it ends. One model; `Document` renders it.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    locales::Localized,
    status::{
        clusters::ClusterStatus,
        coverage::ImageState,
        document::Severity,
        mirror_status::{MirrorStatus, State, Status},
    },
    store::{self, Change, ChangeKind, PullSums, Store, Sums},
};

mod rendering;
mod workers;

pub(crate) use workers::RunNote;
use workers::WorkerDay;

const DAY: i64 = 24 * 3600;
/// Repositories whose pulls were refused that a report names.
const REFUSED: i64 = 3;
/// Changes that a report keeps.
const CHANGES: i64 = 1000;
/// Most seconds since the report of the day before.
const YESTERDAY: i64 = 36 * 3600;

/// What a day brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Day {
    /// The day on which it ends, in the config's zone.
    pub day: NaiveDate,
    /// Its start and its end, in seconds since 1970.
    pub from: i64,
    /// See `from`.
    pub to: i64,
    /// The zone of the times.
    pub timezone: String,
    /// Mirrors.
    pub mirrors: usize,
    /// Mirrors that lag no more than `max_lag`, of those whose source was compared lately.
    pub within_objective: usize,
    /// Mirrors that lag more than `max_lag`.
    #[serde(default)]
    pub late: usize,
    /// Mirrors whose last run failed in part or in whole.
    #[serde(default)]
    pub failing: usize,
    /// Mirrors whose source was not compared for several intervals.
    #[serde(default)]
    pub stale: usize,
    /// Mirrors that no run has ever left equal to their source.
    #[serde(default)]
    pub never_in_sync: usize,
    /// Tags that verification found damaged, and that no run has brought again.
    #[serde(default)]
    pub damaged: u64,
    /// Trouble with mirrors, worst first.
    pub troubles: Vec<MirrorTrouble>,
    /// Trouble with registries, the disk and the config.
    pub alarms: Vec<Localized<String>>,
    /// The clusters, and how it stands with their images.
    #[serde(default)]
    pub clusters: Vec<ClusterLine>,
    /// Pulls through the gateway; none where nobody pulled.
    #[serde(default)]
    pub pulls: Option<PullDay>,
    /// Changes by kind: how many.
    pub counts: ChangeCounts,
    /// Changes, newest first.
    pub changes: Vec<ChangeLine>,
    /// What the runs did.
    pub work: Work,
    /// What each worker of a cluster did of that; none where one did all.
    #[serde(default)]
    pub workers: Vec<WorkerDay>,
    /// The work of the day before, if it is known.
    pub yesterday: Option<Work>,
    /// The next runs: mirror and time.
    pub next: Vec<(String, i64)>,
}

/// A mirror that is behind, damaged, failing or stale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MirrorTrouble {
    pub mirror: String,
    pub state: String,
    pub lag_seconds: i64,
    pub behind: u64,
    pub last_success: Option<i64>,
    pub reason: Option<String>,
    /// Its state; older reports have only the word.
    #[serde(default)]
    pub standing: Option<State>,
    #[serde(default)]
    pub is_stale: bool,
    /// The class of the error that is the reason.
    #[serde(default)]
    pub class: Option<String>,
    /// Tags that are damaged.
    #[serde(default)]
    pub damaged: u64,
}

/// A cluster, and how many of its images are in each state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterLine {
    pub cluster: String,
    /// When its list arrived, in seconds since 1970.
    pub received_at: i64,
    pub images: usize,
    pub not_mirrored: usize,
    pub not_at_target: usize,
    pub other_digest: usize,
    pub damaged: usize,
    pub behind: usize,
}

/// Pulls of a day through the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PullDay {
    /// What became of them.
    #[serde(flatten)]
    pub sums: PullSums,
    /// Bytes that no upstream had to send.
    pub saved_bytes: i64,
    /// Repositories that were refused most.
    pub refused: Vec<String>,
}

/// Changes by kind.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeCounts {
    pub new: u64,
    pub moved: u64,
    pub removed: u64,
    pub healed: u64,
    pub damaged: u64,
    pub repaired: u64,
    pub pruned: u64,
}

/// One change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangeLine {
    pub at: i64,
    pub kind: ChangeKind,
    pub reference: String,
    pub old_digest: Option<String>,
    pub new_digest: Option<String>,
}

/// What runs did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    pub runs: u64,
    pub failed_runs: u64,
    pub copied_tags: u64,
    pub uploaded_bytes: u64,
    pub saved_bytes: u64,
    pub throttled: u64,
}

/// How much a rendering shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Three lines, if nothing needs attention.
    Brief,
    /// Everything.
    Full,
}

impl Day {
    /// The day that ends now. It began `since`, when the one before ended, or 24 hours ago. It never
    /// covers more than two days. `alarms` are the messages of those that are about no mirror.
    pub async fn read(
        store: &Store,
        config: &Config,
        status: &Status,
        alarms: Vec<Localized<String>>,
        since: Option<i64>,
    ) -> Result<Self, store::Error> {
        let to = status.now;
        let from = since.unwrap_or(to - DAY).clamp(to - 2 * DAY, to);
        let zone = config.timezone;
        let end = DateTime::<Utc>::from_timestamp(to, 0).unwrap_or_default();
        let day = end.with_timezone(&zone).date_naive();
        let changes = store.changes(None, from, to + 1, CHANGES).await?;
        let before = store.report_before(&day.to_string(), to).await?;
        let before = before.filter(|(made_at, _)| to - made_at < YESTERDAY);
        let before = before.and_then(|(_, body)| serde_json::from_str::<Self>(&body).ok());
        let count = |is_counted: &dyn Fn(&MirrorStatus) -> bool| {
            let mirrors = status.mirrors.iter();
            mirrors.filter(|mirror| is_counted(mirror)).count()
        };
        let mut alarms = alarms;
        alarms.extend(store.set_aside(from, to + 1).iter().map(replaced));
        Ok(Self {
            day,
            from,
            to,
            timezone: zone.name().into(),
            mirrors: status.mirrors.len(),
            within_objective: count(&|mirror| {
                mirror.last_success.is_some()
                    && mirror.is_within_objective()
                    && mirror.is_compared(to)
            }),
            late: count(&|mirror| !mirror.is_within_objective()),
            failing: count(&|mirror| mirror.state == State::Failing),
            stale: count(&|mirror| mirror.is_stale(to)),
            never_in_sync: status.never_in_sync(),
            damaged: status.mirrors.iter().map(MirrorStatus::damaged_tags).sum(),
            troubles: troubles(status),
            clusters: status.clusters.iter().map(cluster).collect(),
            pulls: pulls(store, from).await?,
            alarms,
            counts: counts(&store.change_counts(from, to + 1).await?),
            changes: changes.into_iter().map(line).collect(),
            work: work(&store.sums(from, to + 1).await?),
            workers: Vec::new(),
            yesterday: before.map(|before| before.work),
            next: next(status),
        })
    }

    /// How serious it is.
    pub fn mood(&self) -> Severity {
        let failed = self.late + self.stale;
        if failed > 0 || !self.alarms.is_empty() {
            Severity::Bad
        } else if self.troubles.is_empty() {
            Severity::Good
        } else {
            Severity::Warning
        }
    }
}

impl ChangeLine {
    /// Whether verification found it, or it was put right after that.
    pub(crate) fn is_finding(&self) -> bool {
        matches!(self.kind, ChangeKind::Damaged | ChangeKind::Repaired)
    }

    /// The order of changes: moved tags come first.
    pub(crate) fn rank(&self) -> usize {
        match self.kind {
            ChangeKind::Moved => 0,
            ChangeKind::Damaged => 1,
            ChangeKind::Repaired => 2,
            ChangeKind::Removed => 3,
            ChangeKind::Pruned => 4,
            ChangeKind::Healed => 5,
            ChangeKind::New => 6,
            ChangeKind::Reshaped => 7,
        }
    }
}

fn troubles(status: &Status) -> Vec<MirrorTrouble> {
    let mirrors = status.worst_first().into_iter();
    let in_trouble =
        mirrors.filter(|mirror| mirror.state != State::InSync || mirror.is_stale(status.now));
    in_trouble
        .map(|mirror| trouble(mirror, status.now))
        .collect()
}

fn trouble(mirror: &MirrorStatus, now: i64) -> MirrorTrouble {
    let is_stale = mirror.is_stale(now);
    let state = match is_stale {
        true => format!("{}, stale", mirror.state.as_str()),
        false => mirror.state.as_str().to_owned(),
    };
    let of_run = mirror.last_error.clone();
    let of_run = of_run.map(|message| (mirror.last_error_class.clone(), message));
    let of_tag = || {
        let mut tags = mirror.behind.iter();
        tags.find_map(|tag| Some((tag.class.clone(), tag.message.clone()?)))
    };
    let (class, reason) = of_run.or_else(of_tag).unzip();
    MirrorTrouble {
        mirror: mirror.name.to_string(),
        state,
        lag_seconds: mirror.lag_seconds,
        behind: mirror.behind_tags(),
        last_success: mirror.last_success,
        reason,
        standing: Some(mirror.state),
        is_stale,
        class: class.flatten(),
        damaged: mirror.damaged_tags(),
    }
}

/// The line about a damaged store that was replaced.
fn replaced(aside: &String) -> Localized<String> {
    Localized::new(|language| language.words().report.store_replaced(aside))
}

fn cluster(status: &Arc<ClusterStatus>) -> ClusterLine {
    ClusterLine {
        cluster: status.cluster.to_string(),
        received_at: status.received_at,
        images: status.images,
        not_mirrored: status.count(ImageState::NotMirrored),
        not_at_target: status.count(ImageState::NotAtTarget),
        other_digest: status.count(ImageState::OtherDigest),
        damaged: status.count(ImageState::Damaged),
        behind: status.count(ImageState::Behind),
    }
}

async fn pulls(store: &Store, from: i64) -> Result<Option<PullDay>, store::Error> {
    let sums = store.pull_sums(from, None).await?;
    let (refused, _) = store.refused_pulls(from, None, REFUSED).await?;
    let is_any = sums != PullSums::default() || !refused.is_empty();
    Ok(is_any.then(|| PullDay {
        saved_bytes: sums.saved_bytes(),
        refused: refused
            .iter()
            .map(|refused| refused.repository.to_string())
            .collect(),
        sums,
    }))
}

fn counts(counted: &[(ChangeKind, u64)]) -> ChangeCounts {
    let of = |kind: ChangeKind| {
        let found = counted.iter().find(|(known, _)| *known == kind);
        found.map_or(0, |(_, count)| *count)
    };
    ChangeCounts {
        new: of(ChangeKind::New),
        moved: of(ChangeKind::Moved),
        removed: of(ChangeKind::Removed),
        healed: of(ChangeKind::Healed),
        damaged: of(ChangeKind::Damaged),
        repaired: of(ChangeKind::Repaired),
        pruned: of(ChangeKind::Pruned),
    }
}

fn line(change: Change) -> ChangeLine {
    ChangeLine {
        at: change.at,
        reference: format!("{}:{}", change.target, change.tag),
        kind: change.kind,
        old_digest: change.old_digest,
        new_digest: change.new_digest,
    }
}

fn work(sums: &Sums) -> Work {
    Work {
        runs: sums.runs,
        failed_runs: sums.runs - sums.ok.min(sums.runs),
        copied_tags: sums.copied,
        uploaded_bytes: sums.uploaded_bytes,
        saved_bytes: sums.saved_bytes,
        throttled: sums.throttled,
    }
}

fn next(status: &Status) -> Vec<(String, i64)> {
    let next = |mirror: &MirrorStatus| Some((mirror.name.to_string(), mirror.next_run?));
    let mut runs: Vec<(String, i64)> = status.mirrors.iter().filter_map(next).collect();
    runs.sort_by_key(|(_, at)| *at);
    runs.truncate(10);
    runs
}

#[cfg(test)]
mod tests;
