//! Runs: how they are written down.

use serde::Serialize;
use sqlx::{SqliteConnection, query};

use crate::{
    metrics::SyncLabel,
    store::{lifecycle::retention, locks::process},
};

/// How a run of a mirror ended, as the column `result` keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum RunResult {
    /// Everything is equal.
    Ok,
    /// Some actions failed.
    Partial,
    /// Everything failed.
    Failed,
    /// It was cut off. That says nothing against the mirror.
    Interrupted,
}

impl RunResult {
    /// The word in reports, logs and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// The label in metrics.
    pub(crate) fn label(self) -> SyncLabel {
        match self {
            Self::Ok => SyncLabel::Ok,
            Self::Partial => SyncLabel::Partial,
            Self::Failed => SyncLabel::Failed,
            Self::Interrupted => SyncLabel::Interrupted,
        }
    }
}

/// What one run of one mirror did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of `runs`")]
pub struct RunCounts {
    pub unchanged: u64,
    pub copied: u64,
    pub failed: u64,
    pub orphaned: u64,
    pub unchecked: u64,
    pub throttled: u64,
    pub blobs_copied: u64,
    pub blobs_mounted: u64,
    pub blobs_present: u64,
    pub downloaded_bytes: u64,
    pub uploaded_bytes: u64,
    pub saved_bytes: u64,
    pub source_requests: u64,
    pub target_requests: u64,
}

/// What a run did at one target registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of `run_targets`")]
pub struct TargetCounts {
    pub registry: String,
    pub unchanged: u64,
    pub copied: u64,
    pub failed: u64,
}

/// The first error of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of `runs`")]
pub struct RunError {
    pub class: String,
    pub message: String,
    /// The source repository or tag that it is about.
    pub reference: String,
    /// The registry that gave it; empty for errors of this host.
    pub registry: String,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct EndedRun {
    /// Its id.
    pub run: i64,
    /// When.
    pub at: i64,
    /// How.
    pub result: RunResult,
    /// What it did.
    pub counts: RunCounts,
    /// What it did at each target registry.
    pub targets: Vec<TargetCounts>,
    /// Its first error.
    pub error: Option<RunError>,
}

impl EndedRun {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let (run, at) = (self.run, self.at);
        run_ended(
            &mut *db,
            (run, at),
            self.result,
            &self.counts,
            self.error.as_ref(),
        )
        .await?;
        at_targets(db, run, &self.targets).await?;
        retention::thin_daily(db, at).await
    }
}

/// Begins a run; its id.
pub(crate) async fn begin_run(
    db: &mut SqliteConnection,
    mirror: &str,
    image: Option<&str>,
    at: i64,
) -> Result<i64, sqlx::Error> {
    let process = process::own();
    let made = query!(
        "INSERT INTO runs (mirror, image, started_at, process) VALUES (?, ?, ?, ?)",
        mirror,
        image,
        at,
        process
    )
    .execute(db)
    .await?;
    Ok(made.last_insert_rowid())
}

/// Writes down what a run selects.
pub(crate) async fn run_selects(
    db: &mut SqliteConnection,
    run: i64,
    mark: &str,
) -> Result<(), sqlx::Error> {
    query!("UPDATE runs SET selection = ? WHERE id = ?", mark, run)
        .execute(db)
        .await?;
    Ok(())
}

/// Writes down that a run has compared all of the source.
pub(crate) async fn run_checked(db: &mut SqliteConnection, run: i64) -> Result<(), sqlx::Error> {
    query!("UPDATE runs SET is_checked = 1 WHERE id = ?", run)
        .execute(db)
        .await?;
    Ok(())
}

/// Writes down what a run did.
async fn run_ended(
    db: &mut SqliteConnection,
    (run, at): (i64, i64),
    result: RunResult,
    counts: &RunCounts,
    error: Option<&RunError>,
) -> Result<(), sqlx::Error> {
    let c = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (unchanged, copied) = (c(counts.unchanged), c(counts.copied));
    let (failed, orphaned) = (c(counts.failed), c(counts.orphaned));
    let (blobs_copied, blobs_mounted) = (c(counts.blobs_copied), c(counts.blobs_mounted));
    let (blobs_present, saved) = (c(counts.blobs_present), c(counts.saved_bytes));
    let (downloaded, uploaded) = (c(counts.downloaded_bytes), c(counts.uploaded_bytes));
    let (at_source, at_target) = (c(counts.source_requests), c(counts.target_requests));
    let (unchecked, throttled) = (c(counts.unchecked), c(counts.throttled));
    let (class, message) = (
        error.map(|error| &error.class),
        error.map(|error| &error.message),
    );
    let reference = error.map(|error| &error.reference);
    let registry = error.map(|error| &error.registry);
    let is_checked = counts.unchecked == 0 && result != RunResult::Interrupted;
    query!(
        "UPDATE runs SET finished_at = ?, result = ?, unchanged = ?, copied = ?, failed = ?,
             orphaned = ?, blobs_copied = ?, blobs_mounted = ?, blobs_present = ?,
             downloaded_bytes = ?, uploaded_bytes = ?, saved_bytes = ?, source_requests = ?,
             target_requests = ?, unchecked = ?, throttled = ?, error_class = ?, error_message = ?,
             error_reference = ?, error_registry = ?,
             is_checked = MAX(is_checked, ?)
         WHERE id = ?",
        at,
        result,
        unchanged,
        copied,
        failed,
        orphaned,
        blobs_copied,
        blobs_mounted,
        blobs_present,
        downloaded,
        uploaded,
        saved,
        at_source,
        at_target,
        unchecked,
        throttled,
        class,
        message,
        reference,
        registry,
        is_checked,
        run
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes down what a run did at each target registry.
async fn at_targets(
    db: &mut SqliteConnection,
    run: i64,
    targets: &[TargetCounts],
) -> Result<(), sqlx::Error> {
    let c = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for target in targets {
        let (unchanged, copied, failed) = (c(target.unchanged), c(target.copied), c(target.failed));
        query!(
            "INSERT INTO run_targets (run_id, registry, unchanged, copied, failed)
             VALUES (?, ?, ?, ?, ?)",
            run,
            target.registry,
            unchanged,
            copied,
            failed
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
