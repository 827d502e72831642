//! Pruning as it is done: what the plan gave up is noted, and deleted when its time has come.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use serde::Serialize;

use crate::{
    config::{Config, Mirror, Prune},
    coordination::Lease,
    oci::{Repository, Tag},
    registry::{self, Registry},
    sync::{
        Catalogs, Depth, MIRRORS, Plan, ROUTES, Sides, Sync,
        copy::{CopyContext, DeleteOutcome, Deletion, RunCounters},
        outcome::{Failure, Progress},
        plan::{TargetPlan, action::Action},
        prune::decide::{Cause, Decision, Leave, Prunable},
        record::{Record, route_failed},
        route_group::RouteGroup,
    },
};

/// Requests prepared at a time.
const REQUESTS: usize = 16;

/// What a pruning of mirrors may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// Nothing: it says what it would do.
    Nothing,
    /// What the plan says, at the end of a run.
    Run,
    /// What the plan says.
    Planned,
    /// The same, however many tags of a repository that are.
    IgnoreMaxShare,
}

/// What became of the pruning of one mirror.
#[derive(Debug, Serialize)]
pub struct MirrorPruning {
    /// The mirror.
    pub name: Arc<str>,
    /// Whether it prunes at all.
    pub is_set: bool,
    /// Each target repository with tags that are no longer mirrored.
    pub targets: Vec<TargetPruning>,
    /// What could not be looked at, or deleted.
    pub errors: Vec<Failure>,
}

/// What became of the pruning of one target repository.
#[derive(Debug, Serialize)]
pub struct TargetPruning {
    /// Which one.
    pub repository: Repository,
    /// Its tags that are no longer mirrored.
    pub tags: Vec<PrunedTag>,
}

/// What became of one tag that is no longer mirrored.
#[derive(Debug, Serialize)]
pub struct PrunedTag {
    /// The tag, and what the plan says of it.
    #[serde(flatten)]
    pub tag: Prunable,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// Why it stays although it was to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

impl Sync {
    /// Prunes mirrors, or says what that would do.
    pub async fn prune(
        &self,
        config: &Config,
        mirrors: &[&Mirror],
        apply: Apply,
    ) -> Vec<MirrorPruning> {
        let prunings = stream::iter(mirrors).map(|mirror| self.prune_mirror(config, mirror, apply));
        prunings.buffered(MIRRORS).collect().await
    }

    async fn prune_mirror(&self, config: &Config, mirror: &Mirror, apply: Apply) -> MirrorPruning {
        let mut pruning = MirrorPruning {
            name: mirror.name.clone(),
            is_set: mirror.prune.is_some(),
            targets: Vec::new(),
            errors: Vec::new(),
        };
        if mirror.prune.is_none() {
            return pruning;
        }
        let Some(rule) = self.prune_rule(config, mirror).await else {
            if apply != Apply::Nothing {
                self.order_seen(mirror).await;
            }
            return pruning;
        };
        let tally = RunCounters::default();
        let catalogs = Catalogs::default();
        let routes = self.routes(config, mirror, &catalogs, &tally.source).await;
        let max_share = match apply {
            // No limit, whatever others set that write to the same repository.
            Apply::IgnoreMaxShare => f64::INFINITY,
            _ => rule.max_share,
        };
        let rule = Prune { max_share, ..rule };
        let (groups, refused) = RouteGroup::all(config, mirror, routes, Some(rule));
        for refused in refused {
            let (failure_log, name) = (&tally.failure_log, &mirror.name);
            let (source, error) = (&refused.source, &refused.error);
            let progress = route_failed(&self.metrics, failure_log, name, source, error);
            pruning.errors.extend(progress.failures);
        }
        let prunings = stream::iter(0..groups.len())
            .map(|at| self.prune_group(config, &groups[at], apply, &tally));
        let mut prunings = prunings.buffered(ROUTES);
        while let Some((targets, errors)) = prunings.next().await {
            pruning.targets.extend(targets);
            pruning.errors.extend(errors);
        }
        tally.failure_log.end(&mirror.name);
        pruning
    }

    async fn prune_group(
        &self,
        config: &Config,
        group: &RouteGroup<'_>,
        apply: Apply,
        tally: &RunCounters,
    ) -> (Vec<TargetPruning>, Vec<Failure>) {
        let mirror = group.mirror;
        let looked = async {
            let sides = self.open(group, tally)?;
            Ok((self.look(group, &sides, Depth::Whole).await?, sides))
        };
        let fail = |source: &str, error: &_| {
            route_failed(
                &self.metrics,
                &tally.failure_log,
                &mirror.name,
                source,
                error,
            )
            .failures
        };
        let (plan, sides) = match looked.await {
            Ok(looked) => looked,
            Err(error) => return (Vec::new(), fail(&group.source.to_string(), &error)),
        };
        let (mut targets, mut errors) = (Vec::new(), Vec::new());
        let lease = Lease::unlimited();
        for refused in &plan.refused {
            errors.extend(fail(&refused.source, &refused.error));
        }
        for (target, registry) in plan.targets.iter().zip(&sides.targets) {
            errors.extend(unread(target));
            let lane = CopyContext {
                source: &sides.source,
                from: &plan.source,
                target: registry,
                to: &target.repository,
                mirror,
                lease: &lease,
                config,
                group,
                listing: plan.listing.as_deref(),
                fanout: None,
                image: None,
                tag: None,
                turn: None,
                tally,
            };
            let (pruning, failures) = self.prune_target(lane, target, apply).await;
            errors.extend(failures);
            targets.extend(pruning.filter(|pruning| !pruning.tags.is_empty()));
        }
        (targets, errors)
    }

    /// Asks for what is due, on both sides: a plan names no deletion that a run leaves. Tags that
    /// nobody asks for and the target does not list are forgotten, where it does not have them.
    pub(crate) async fn confirm(&self, plan: &mut Plan, sides: &Sides) {
        let source = plan.source.clone();
        for (target, registry) in plan.targets.iter_mut().zip(&sides.targets) {
            let repository = &target.repository;
            let unlisted = std::mem::take(&mut target.unlisted);
            let asked = stream::iter(unlisted).map(async |tag| {
                let head = registry.head_manifest(&repository.tag(&tag)).await;
                matches!(head, Ok(None)).then_some(tag)
            });
            let absent: Vec<Option<Tag>> = asked.buffer_unordered(REQUESTS).collect().await;
            target.unlisted = absent.into_iter().flatten().collect();
            let Some(pruned) = &mut target.pruned else {
                continue;
            };
            let is_there = |tag: &Prunable| !target.unlisted.contains(&tag.target_tag);
            pruned.tags.retain(is_there);
            pruned.others.retain(is_there);
            let at = (&source, repository);
            for tags in [&mut pruned.tags, &mut pruned.others] {
                let asked = stream::iter(std::mem::take(tags))
                    .map(|tag| confirmed(tag, at, (&sides.source, registry)));
                *tags = asked.buffered(REQUESTS).collect().await;
            }
        }
    }

    /// Prunes after a run of a mirror.
    pub(crate) async fn prune_after(&self, lane: CopyContext<'_>, plan: &TargetPlan) -> Progress {
        let mut progress = Progress::default();
        if self.stop.is_cancelled() || !lane.lease.covers_request() {
            return progress;
        }
        let (pruning, failures) = self.prune_target(lane, plan, Apply::Run).await;
        let tags = || pruning.iter().flat_map(|pruning| &pruning.tags);
        progress.tags.pruned = tags().filter(|tag| tag.is_deleted).count() as u64;
        let refused = tags().find_map(|tag| match tag.tag.fate {
            Decision::Refuse { new, of } => Some((new, of)),
            _ => None,
        });
        if let Some((new, of)) = refused {
            let (mirror, to) = (&lane.mirror.name, lane.to);
            tracing::warn!(
                %mirror,
                "{new} of {of} tags of {to} are no longer mirrored: that looks like a mistake, and \
                 none of them is pruned; see `transship prune`"
            );
        }
        failures
            .into_iter()
            .for_each(|failure| progress.fail(failure));
        progress
    }

    async fn prune_target(
        &self,
        lane: CopyContext<'_>,
        plan: &TargetPlan,
        apply: Apply,
    ) -> (Option<TargetPruning>, Vec<Failure>) {
        let (mut left, failures) = self.delete(lane, plan, apply).await;
        let Some(pruned) = &plan.pruned else {
            return (None, failures);
        };
        let tags = pruned.tags.iter().map(|tag| {
            let gone = left.remove(&tag.target_tag);
            PrunedTag {
                tag: tag.clone(),
                is_deleted: matches!(gone, Some(DeleteOutcome::Deleted | DeleteOutcome::Absent)),
                left: match (gone, &tag.fate) {
                    (Some(DeleteOutcome::Left(reason)), _) => Some(reason.to_string()),
                    (None, Decision::Leave { left }) => Some(left.to_string()),
                    _ => None,
                },
            }
        });
        let repository = plan.repository.clone();
        let tags = tags.collect();
        (Some(TargetPruning { repository, tags }), failures)
    }

    /// Deletes what is due at a target, and what runs that ended before left to this one. Returns what
    /// became of each tag.
    async fn delete(
        &self,
        lane: CopyContext<'_>,
        plan: &TargetPlan,
        apply: Apply,
    ) -> (HashMap<Tag, DeleteOutcome>, Vec<Failure>) {
        let record = Record::new(&self.recorder, &self.metrics, lane);
        let (mut going, mut others) = (Vec::new(), Vec::new());
        if apply == Apply::Nothing {
            return (HashMap::new(), Vec::new());
        }
        if let Some(pruned) = &plan.pruned {
            record.prunable(pruned).await;
            let due = pruned.tags.iter().filter(|tag| tag.is_due());
            going = due.map(deletion).collect();
            let digests: HashSet<_> = pruned.tags.iter().map(|tag| &tag.digest).collect();
            // Whoever prunes one mirror by hand prunes of the others what stands for the same digest.
            let is_meant = |tag: &&Prunable| apply == Apply::Run || digests.contains(&tag.digest);
            let due = pruned.others.iter().filter(|tag| tag.is_due());
            others = due.filter(is_meant).map(deletion).collect();
        }
        let done = self.transfer.delete(lane, going, others).await;
        let (mut left, mut failures) = (HashMap::new(), Vec::new());
        for (deletion, gone) in done {
            let what = match gone {
                Ok(gone) => {
                    record.pruned(&deletion, &gone).await;
                    gone
                }
                Err(error) => {
                    failures.push(record.not_pruned(&deletion, &error));
                    DeleteOutcome::Left(Leave::Unreadable(error.to_string()))
                }
            };
            left.insert(deletion.tag, what);
        }
        (left, failures)
    }
}

fn deletion(tag: &Prunable) -> Deletion {
    Deletion {
        tag: tag.target_tag.clone(),
        digest: tag.digest.clone(),
        orphan: (tag.cause == Cause::Orphaned).then(|| tag.tag.clone()),
        shared_with: tag.shared_with.clone(),
        mirror: tag.mirror.clone(),
    }
}

/// A tag with what both registries say of it, where it is due.
async fn confirmed(
    mut tag: Prunable,
    at: (&Repository, &Repository),
    registries: (&Registry, &Registry),
) -> Prunable {
    if tag.fate == Decision::Delete {
        let left = match left(&tag, at, registries).await {
            Ok(left) => left,
            Err(error) => Some(Leave::Unreadable(error.to_string())),
        };
        if let Some(left) = left {
            tag.fate = Decision::Leave { left };
        }
    }
    tag
}

/// Why a tag that is due stays, by the word of both registries.
async fn left(
    tag: &Prunable,
    (from, to): (&Repository, &Repository),
    (source, target): (&Registry, &Registry),
) -> Result<Option<Leave>, registry::Error> {
    let found = target.head_manifest(&to.tag(&tag.target_tag)).await?;
    if found.is_some_and(|found| found.digest != tag.digest) {
        return Ok(Some(Leave::Moved));
    }
    if tag.cause == Cause::Orphaned {
        let reference = from.tag(&tag.tag);
        let is_there = source.head_manifest(&reference).await?.is_some()
            || source.get_manifest(&reference).await?.is_some();
        return Ok(is_there.then_some(Leave::AtSource));
    }
    Ok(None)
}

/// Why a target could not be read, once.
fn unread(target: &TargetPlan) -> Option<Failure> {
    let failed = target.steps.iter().find_map(|step| match &step.action {
        Action::Fail {
            class,
            message,
            registry,
        } if registry == target.repository.registry().as_str() => Some((*class, message.clone())),
        _ => None,
    });
    let (class, message) = failed.filter(|_| target.pruned.is_none())?;
    Some(Failure {
        reference: target.repository.to_string(),
        class,
        message,
        registry: target.repository.registry().to_string(),
    })
}
