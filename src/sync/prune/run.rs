//! Pruning as it is done: what the plan gave up is noted, and deleted when its time has come.

use std::{collections::HashMap, sync::Arc};

use futures::{StreamExt as _, stream};
use serde::Serialize;

use crate::{
    config::{Config, Mirror, Prune, Route},
    oci::{Repository, Tag},
    sync::{
        Catalogs, MIRRORS, ROUTES, Refused, Sync,
        copy::{CopyContext, DeleteOutcome, Deletion, RunCounters},
        outcome::{Failure, Progress},
        plan::{TargetPlan, action::Action, select},
        prune::decide::{Cause, Decision, Prunable},
        record::{Record, route_failed},
        release_policy::{ReleasePolicy, Scope},
        snapshot::Lists,
    },
};

/// What a pruning of mirrors may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apply {
    /// Nothing: it says what it would do.
    Nothing,
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
        let Some(rule) = self.prune_rule(mirror).await else {
            if apply != Apply::Nothing {
                self.order_seen(mirror).await;
            }
            return pruning;
        };
        let tally = RunCounters::default();
        let catalogs = Catalogs::default();
        let routes = self.routes(config, mirror, &catalogs, &tally.source).await;
        let lists = Lists::of(routes.iter().flatten());
        let routes = stream::iter(routes)
            .map(|route| self.prune_route(config, mirror, route, (rule, apply), (&tally, &lists)));
        let mut routes = routes.buffered(ROUTES);
        while let Some((targets, errors)) = routes.next().await {
            pruning.targets.extend(targets);
            pruning.errors.extend(errors);
        }
        tally.told.end(&mirror.name);
        pruning
    }

    async fn prune_route(
        &self,
        config: &Config,
        mirror: &Mirror,
        route: Result<Route, Refused>,
        (mut rule, apply): (Prune, Apply),
        (tally, lists): (&RunCounters, &Lists),
    ) -> (Vec<TargetPruning>, Vec<Failure>) {
        let looked = async {
            let route = route.map_err(|refused| (refused.source, refused.error))?;
            let fail = |error| (route.source.to_string(), error);
            let sides = self.open(&route, tally).map_err(fail)?;
            let releases = ReleasePolicy::of(mirror, &route, &Scope::Whole);
            if apply == Apply::IgnoreMaxShare {
                rule.max_share = 1.0;
            }
            let look = self.look(mirror, &route, &sides, lists, releases, Some(rule));
            Ok((look.await.map_err(fail)?, sides))
        };
        let (plan, sides) = match looked.await {
            Ok(looked) => looked,
            Err((source, error)) => {
                let (told, name) = (&tally.told, &mirror.name);
                let progress = route_failed(&self.metrics, told, name, &source, &error);
                return (Vec::new(), progress.failures);
            }
        };
        let (mut targets, mut errors) = (Vec::new(), Vec::new());
        for (target, registry) in plan.targets.iter().zip(&sides.targets) {
            errors.extend(unread(target));
            let lane = CopyContext {
                source: &sides.source,
                from: &plan.source,
                target: registry,
                to: &target.repository,
                mirror,
                config,
                listing: plan.listing.as_ref(),
                fanout: None,
                image: None,
                turn: None,
                tally,
            };
            let (pruning, failures) = self.prune_target(lane, target, apply).await;
            errors.extend(failures);
            targets.extend(pruning.filter(|pruning| !pruning.tags.is_empty()));
        }
        (targets, errors)
    }

    /// Prunes after a run of a mirror.
    pub(crate) async fn prune_after(&self, lane: CopyContext<'_>, plan: &TargetPlan) -> Progress {
        let mut progress = Progress::default();
        if self.stop.is_cancelled() {
            return progress;
        }
        let (pruning, failures) = self.prune_target(lane, plan, Apply::Planned).await;
        let mut tags = pruning.iter().flat_map(|pruning| &pruning.tags);
        let refused = tags.find_map(|tag| match tag.tag.fate {
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
        let Some(pruned) = &plan.pruned else {
            return (None, Vec::new());
        };
        let record = Record::new(&self.recorder, &self.metrics, lane);
        let mut failures = Vec::new();
        let mut done = Vec::new();
        if apply != Apply::Nothing {
            record.prunable(pruned).await;
            let going = plan.deleted().map(|tag| Deletion {
                tag: record.name(&tag.tag),
                digest: tag.digest.clone(),
                orphan: (tag.cause == Cause::Orphaned).then(|| tag.tag.clone()),
                shared_with: tag.shared_with.as_ref().map(|other| record.name(other)),
            });
            let (claimed, going): (Vec<_>, Vec<_>) =
                going.partition(|deletion| claimant(lane, &deletion.tag).is_some());
            done = self.transfer.delete(lane, going).await;
            done.extend(claimed.into_iter().map(|deletion| {
                let by = claimant(lane, &deletion.tag).map_or("", |mirror| &*mirror.name);
                let left = DeleteOutcome::Left(format!("the mirror {by} selects it"));
                (deletion, Ok(left))
            }));
        }

        let mut left = HashMap::new();
        for (deletion, gone) in done {
            let what = match gone {
                Ok(gone) => {
                    record.pruned(&deletion, &gone).await;
                    gone
                }
                Err(error) => {
                    failures.push(record.not_pruned(&deletion, &error));
                    DeleteOutcome::Left(error.to_string())
                }
            };
            left.insert(deletion.tag, what);
        }
        let tags = pruned.tags.iter().map(|tag| {
            let gone = left.remove(&record.name(&tag.tag));
            PrunedTag {
                tag: tag.clone(),
                is_deleted: matches!(gone, Some(DeleteOutcome::Deleted | DeleteOutcome::Absent)),
                left: match gone {
                    Some(DeleteOutcome::Left(reason)) => Some(reason),
                    _ => None,
                },
            }
        });
        let repository = plan.repository.clone();
        let tags = tags.collect();
        (Some(TargetPruning { repository, tags }), failures)
    }
}

/// Another mirror that brings a tag of the lane's target repository, for all that can be told without
/// a listing: one that ran too late, or failed, to take the tag over.
fn claimant<'a>(lane: CopyContext<'a>, tag: &Tag) -> Option<&'a Mirror> {
    let brings = |mirror: &Mirror, route: &Route| {
        let name = mirror.source_tag(tag);
        let takes = name.is_some_and(|name| select::allows(route, &name));
        takes && route.targets.contains(lane.to)
    };
    let others = lane.config.mirrors.iter();
    let mut others = others.filter(|other| other.name != lane.mirror.name);
    others.find(|other| {
        let found = other.discoveries.iter();
        let found = found.filter(|found| found.matches(lane.from));
        let mut found = found.filter_map(|found| found.route(lane.from).ok());
        other.routes.iter().any(|route| brings(other, route))
            || found.any(|route| brings(other, &route))
    })
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
