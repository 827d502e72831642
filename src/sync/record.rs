//! Turns plans and outcomes into facts for the store, metrics and log lines.

use crate::registry::ErrorClass;
use std::time::Duration;

use chrono::Utc;
use transship_text::one_line_of;

use super::{
    Error,
    outcome::{Failure, MirrorReport, Progress},
};
use crate::{
    config::Mirror,
    metrics::Metrics,
    oci::{Digest, Repository, Tag},
    store::{
        ChangeKind, EndedRun, NewChange, Pruning, RunError, RunResult, StoreEvent, StoreWriter,
        TagKey,
    },
    sync::{
        copy::{CopyContext, DeleteOutcome, Deletion, ReferringTag},
        failure_log::{FailureLog, Telling},
        plan::{
            Step, TargetPlan,
            action::{Action, Reason},
        },
        prune::decide::{Leave, Pruned},
        scope::Scope,
    },
};

/// Maximum bytes of a message: a name, and what a registry may say.
const MESSAGE: usize = 1000;

/// Where the outcomes of one route at one target go.
pub(crate) struct Record<'a> {
    pub(crate) recorder: &'a StoreWriter,
    pub(crate) metrics: &'a Metrics,
    pub(crate) failure_log: &'a FailureLog,
    pub(crate) mirror: &'a Mirror,
    pub(crate) source: &'a Repository,
    pub(crate) target: &'a Repository,
    pub(crate) shape: String,
    pub(crate) at: i64,
}

impl<'a> Record<'a> {
    /// Where the outcomes of a lane go, from now on.
    pub(crate) fn new(
        recorder: &'a StoreWriter,
        metrics: &'a Metrics,
        lane: CopyContext<'a>,
    ) -> Self {
        Self {
            recorder,
            metrics,
            failure_log: &lane.tally.failure_log,
            mirror: lane.mirror,
            source: lane.from,
            target: lane.to,
            shape: lane.mirror.shape(),
            at: Utc::now().timestamp(),
        }
    }
}

impl Record<'_> {
    /// What the snapshot saw, before anything is done about it: a crash does not lose since when
    /// a tag lags.
    pub(crate) async fn seen(&self, plan: &TargetPlan) {
        for step in plan.steps.iter().filter(|step| step.is_news) {
            if let Some(seen) = step.digest.clone() {
                let (key, verdict, at) = (self.key(step), step.action.verdict(), self.at);
                let fact = StoreEvent::Seen {
                    key,
                    seen,
                    verdict,
                    at,
                };
                self.recorder.record(fact).await;
            }
        }
        for release in &plan.released {
            if release.is_orphaned {
                let key = self.key_of(release.tag.clone());
                self.changed(key, ChangeKind::Removed, [None, None]).await;
            }
            let fact = StoreEvent::Released(release.clone());
            self.recorder.record(fact).await;
        }
        for tag in &plan.unlisted {
            let fact = Pruning::Pruned(self.target.clone(), tag.clone());
            self.recorder.record(StoreEvent::Pruning(fact)).await;
        }
    }

    /// What became of one step.
    pub(crate) async fn outcome(
        &self,
        step: &Step,
        result: Result<Option<Digest>, Error>,
    ) -> Progress {
        let mut progress = Progress::default();
        match (&step.action, result) {
            (
                Action::Fail {
                    class,
                    message,
                    registry,
                },
                _,
            ) => {
                let (message, registry) = (message.clone(), registry.clone());
                progress.unchecked += u64::from(step.is_unchecked());
                progress.fail(self.failed(step, *class, message, registry).await);
            }
            (_, Err(error)) => {
                let registry = error.registry().to_owned();
                let failure = self
                    .failed(step, error.class(), bounded(&error), registry)
                    .await;
                progress.fail(failure);
            }
            (Action::Skip { .. }, Ok(_)) => {
                progress.tags.unchanged += 1;
                if step.is_news
                    && let Some(digest) = &step.digest
                {
                    let written = step.written.as_ref().unwrap_or(digest);
                    self.mirrored(self.key(step), digest, written, false).await;
                }
            }
            (_, Ok(written)) => {
                progress.tags.copied += 1;
                if let (Some(digest), Some(written)) = (&step.digest, written) {
                    self.copied(step, digest, &written).await;
                }
            }
        }
        progress
    }

    async fn copied(&self, step: &Step, digest: &Digest, written: &Digest) {
        let target = self.target.tag(&self.name(&step.tag));
        if self.failure_log.has_line() {
            tracing::info!(mirror = %self.mirror.name, %digest, "copied {} to {target}", self.source.tag(&step.tag));
        }
        let after = Utc::now().timestamp() - step.since;
        self.metrics
            .tag_copied(&self.mirror.name, self.target.registry().as_str(), after);
        self.mirrored(self.key(step), digest, written, true).await;
        if let Action::Copy { reason } | Action::Retag { reason, .. } = &step.action {
            let (kind, old) = match reason {
                Reason::New => (ChangeKind::New, None),
                Reason::Moved { from } => (ChangeKind::Moved, Some(from.clone())),
                Reason::Lost | Reason::Overwritten { .. } | Reason::Unreadable { .. } => {
                    (ChangeKind::Healed, None)
                }
                Reason::Shape => (ChangeKind::Reshaped, None),
                Reason::Damaged => (ChangeKind::Repaired, None),
            };
            self.changed(self.key(step), kind, [old, Some(digest.clone())])
                .await;
        }
    }

    async fn changed(&self, key: TagKey, kind: ChangeKind, [old, new]: [Option<Digest>; 2]) {
        if !self.failure_log.has_change() {
            return;
        }
        let at = Utc::now().timestamp();
        let change = NewChange {
            key,
            kind,
            old,
            new,
            at,
        };
        self.recorder.record(StoreEvent::Changed(change)).await;
    }

    async fn mirrored(&self, key: TagKey, source: &Digest, written: &Digest, is_new: bool) {
        let fact = StoreEvent::Mirrored {
            key,
            source: source.clone(),
            written: written.clone(),
            shape: self.shape.clone(),
            at: self.at,
            is_new,
        };
        self.recorder.record(fact).await;
    }

    /// What became of a tag's referrers. A tag that refers is kept like any other.
    pub(crate) async fn referrers(
        &self,
        step: &Step,
        brought: Result<Vec<ReferringTag>, Error>,
    ) -> Progress {
        let mut progress = Progress::default();
        let (repository, tag) = (self.target.clone(), self.name(&step.tag));
        match brought {
            Ok(tags) => {
                for referring in tags {
                    let key = self.key_of(referring.tag);
                    let digest = &referring.digest;
                    self.mirrored(key, digest, digest, referring.is_new).await;
                }
                let at = self.at;
                self.recorder
                    .record(StoreEvent::Referred {
                        repository,
                        tag,
                        at,
                    })
                    .await;
            }
            Err(error) => {
                let (class, message) = (error.class(), bounded(&error));
                let reference = repository.tag(&tag).to_string();
                let telling = Telling {
                    mirror: &self.mirror.name,
                    registry: error.registry(),
                    class,
                    message: &message,
                };
                self.failure_log.failed(&reference, telling);
                self.metrics.error(error.registry(), class);
                progress.fail(Failure {
                    reference,
                    class,
                    message,
                    registry: error.registry().into(),
                });
            }
        }
        progress
    }

    async fn failed(
        &self,
        step: &Step,
        class: ErrorClass,
        message: String,
        registry: String,
    ) -> Failure {
        let reference = self.target.tag(&self.name(&step.tag)).to_string();
        let telling = Telling {
            mirror: &self.mirror.name,
            registry: &registry,
            class,
            message: &message,
        };
        self.failure_log.failed(&reference, telling);
        self.metrics.error(&registry, class);
        if class == ErrorClass::DigestMismatch {
            self.metrics
                .digest_mismatch(&self.mirror.name, self.target.registry().as_str());
        }
        // A run that was stopped says nothing about the tag.
        if class != ErrorClass::Interrupted {
            let message = self.failure_log.kept_message(&message);
            let (key, at) = (self.key(step), self.at);
            self.recorder
                .record(StoreEvent::Failed {
                    key,
                    class: class.as_str(),
                    message,
                    at,
                })
                .await;
        }
        Failure {
            reference,
            class,
            message,
            registry,
        }
    }

    /// Since when tags are no longer mirrored, and which are again.
    pub(crate) async fn prunable(&self, pruned: &Pruned) {
        let tags = pruned.tags.iter().chain(&pruned.others);
        let new = tags.filter(|tag| tag.is_news());
        let new = new.map(|tag| (&tag.target_tag, Some(tag.since)));
        let reprieved = pruned.reprieved.iter().map(|tag| (tag, None));
        for (tag, since) in new.chain(reprieved) {
            let fact = Pruning::Prunable {
                repository: self.target.clone(),
                tag: tag.clone(),
                since,
            };
            self.recorder.record(StoreEvent::Pruning(fact)).await;
        }
    }

    /// What became of a tag that was to be deleted.
    pub(crate) async fn pruned(&self, deletion: &Deletion, gone: &DeleteOutcome) {
        let Deletion {
            tag,
            digest,
            mirror,
            ..
        } = deletion;
        let reference = self.target.tag(tag);
        if let DeleteOutcome::Left(left) = gone {
            if self.failure_log.has_line() {
                tracing::info!(%mirror, "{reference} is not pruned: {left}");
            }
            let needed_by = match left {
                Leave::NeededBy(other) => Some(other.clone()),
                Leave::NoDeletion(_) => None,
                _ => return,
            };
            let fact = Pruning::Kept {
                repository: self.target.clone(),
                tag: tag.clone(),
                needed_by,
            };
            self.recorder.record(StoreEvent::Pruning(fact)).await;
            return;
        }
        let fact = Pruning::Pruned(self.target.clone(), tag.clone());
        self.recorder.record(StoreEvent::Pruning(fact)).await;
        if *gone == DeleteOutcome::Deleted {
            // What referred to the image may be gone with it, and its blobs are when the registry
            // collects garbage: what the repository holds is asked for again.
            let lost = StoreEvent::Lost(self.target.clone());
            self.recorder.record(lost).await;
            if self.failure_log.has_line() {
                tracing::info!(%mirror, %digest, "pruned {reference}");
            }
            self.metrics
                .tag_pruned(mirror, self.target.registry().as_str());
            let key = TagKey {
                mirror: mirror.clone(),
                ..self.key_of(tag.clone())
            };
            self.changed(key, ChangeKind::Pruned, [Some(digest.clone()), None])
                .await;
        }
    }

    /// A tag that could not be deleted.
    pub(crate) fn not_pruned(&self, deletion: &Deletion, error: &Error) -> Failure {
        let reference = self.target.tag(&deletion.tag).to_string();
        let (class, message) = (error.class(), bounded(error));
        if self.failure_log.has_line() {
            tracing::warn!(mirror = %deletion.mirror, %class, "{reference} is not pruned: {message}");
        }
        self.metrics.error(error.registry(), class);
        Failure {
            reference,
            class,
            message,
            registry: error.registry().into(),
        }
    }

    /// A tag's name at the target; its own where that cannot be one, which failed by then.
    pub(crate) fn name(&self, tag: &Tag) -> Tag {
        self.mirror.target_tag(tag).unwrap_or_else(|_| tag.clone())
    }

    fn key(&self, step: &Step) -> TagKey {
        self.key_of(self.name(&step.tag))
    }

    fn key_of(&self, tag: Tag) -> TagKey {
        TagKey {
            mirror: self.mirror.name.clone(),
            source: self.source.clone(),
            target: self.target.clone(),
            source_tag: self.mirror.source_tag(&tag),
            tag,
        }
    }
}

/// The message of an error, as logs, the store and reports have it.
fn bounded(error: &Error) -> String {
    one_line_of(&error.to_string(), MESSAGE)
}

/// A route that could not be looked at.
pub(crate) fn route_failed(
    metrics: &Metrics,
    failure_log: &FailureLog,
    mirror: &str,
    source: &str,
    error: &Error,
) -> Progress {
    let class = error.class();
    let message = bounded(error);
    let telling = Telling {
        mirror,
        registry: error.registry(),
        class,
        message: &message,
    };
    failure_log.failed(source, telling);
    metrics.error(error.registry(), class);
    let mut progress = Progress {
        unchecked: u64::from(class != ErrorClass::NotFound),
        ..Progress::default()
    };
    progress.fail(Failure {
        reference: source.to_string(),
        class,
        message,
        registry: error.registry().into(),
    });
    progress
}

/// Counts a run of a whole mirror that came to its own end.
pub(crate) fn run_counted(metrics: &Metrics, report: &MirrorReport) {
    for (target, tags) in &report.targets {
        metrics.sync(&report.name, target, tags.result().label());
    }
    let took = Duration::from_secs_f64(report.duration_seconds.max(0.0));
    metrics.sync_took(report.result.label(), took);
}

/// The begin of a run, and what it selects. Returns its id.
pub(crate) async fn run_begun(
    recorder: &StoreWriter,
    mirror: &Mirror,
    scope: &Scope,
) -> Option<i64> {
    let now = Utc::now().timestamp();
    let run = recorder.begin_run(&mirror.name, scope.image(), now).await?;
    let selects = StoreEvent::Selects(run, mirror.selection_mark());
    recorder.record(selects).await;
    Some(run)
}

/// The end of a run.
pub(crate) async fn run_ended(recorder: &StoreWriter, report: &MirrorReport, run: i64, at: i64) {
    let error = report.errors.first().map(|error| RunError {
        class: error.class.to_string(),
        message: error.message.clone(),
        reference: error.reference.clone(),
        registry: error.registry.clone(),
    });
    // A run that was only cut off says nothing against the mirror.
    let result = match report.is_cut() {
        true => RunResult::Interrupted,
        false => report.result,
    };
    let counts = report.run_counts();
    recorder
        .record(StoreEvent::RunEnded(EndedRun {
            run,
            at,
            result,
            counts,
            targets: report.target_counts(),
            error,
        }))
        .await;
}
