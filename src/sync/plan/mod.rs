//! What a sync would do, and why. A pure value: it prints, it serialises, and nothing below it
//! decides whether to copy.

pub(crate) mod action;
pub(crate) mod referrers;
mod release;
pub(crate) mod select;
pub(crate) mod tag_version;
pub(crate) mod wanted;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Serialize;

use super::snapshot::{Snapshot, SourceTag, TargetHolds, TargetSnapshot, is_due};
use crate::{
    config::Mirror,
    oci::{Digest, Repository, Tag},
    registry::{self, ErrorClass, ListMemory},
    store::{Release, RepositoryState, TagRecord},
    sync::{
        Refused,
        plan::{
            action::{Action, Reason, Unchanged},
            select::{Dropped, OrderedTag},
            wanted::Wanted,
        },
        prune::decide::{Decision, Prunable, PrunePolicy, Pruned, is_referring},
        route_group::RouteGroup,
    },
};

/// The plan of one source repository and the target repositories it goes to.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The source repository.
    pub source: Repository,
    /// What each selector dropped.
    pub dropped: Vec<Dropped>,
    /// Tags that `max_age` kept because nobody knows how old they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undated: Vec<Tag>,
    /// The tags from which `latest` chose, newest first; shown on request.
    #[serde(skip)]
    pub order: Vec<OrderedTag>,
    /// Tags that the source lists and, asked for them, does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Tag>,
    /// What is to be done at each target.
    pub targets: Vec<TargetPlan>,
    /// Referrers by the filter of the mirror, where it has one and the source lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrers: Option<referrers::ReferrerPlan>,
    /// Every tag that the source lists, where it was listed.
    #[serde(skip)]
    pub listing: Option<Arc<HashSet<Tag>>>,
    /// Routes whose selection is refused.
    #[serde(skip)]
    pub refused: Vec<Refused>,
    /// Whether the source did not tell what decides which tags are the newest.
    #[serde(skip)]
    pub is_guess: bool,
    /// The memory of the listing.
    #[serde(skip)]
    pub memory: ListMemory,
}

/// What is to be done at one target repository.
#[derive(Debug, Serialize)]
pub struct TargetPlan {
    /// Which one.
    pub repository: Repository,
    /// One step a tag: copies first, and of those the tags that lag most.
    pub steps: Vec<Step>,
    /// Tags that were mirrored and that the source no longer has.
    pub orphaned: Vec<Tag>,
    /// What becomes of tags that are no longer mirrored, where they are pruned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Pruned>,
    /// Tags whose lag ends: orphaned, or no longer asked for.
    #[serde(skip)]
    pub released: Vec<Release>,
    /// Tags of the target that no route asks for and the target does not list.
    #[serde(skip)]
    pub unlisted: Vec<Tag>,
    /// What is known of the repository's blobs.
    #[serde(skip)]
    pub knowledge: BlobKnowledge,
}

/// What is to be done about one tag of a target.
#[derive(Debug, Serialize)]
pub struct Step {
    /// The tag, by its name at the source.
    pub tag: Tag,
    /// Its digest at the source; none if it could not be read.
    pub digest: Option<Digest>,
    /// What is to be done.
    #[serde(flatten)]
    pub action: Action,
    /// Whether the store has to learn what was seen.
    #[serde(skip)]
    pub is_news: bool,
    /// Its digest at the target, where that is known.
    #[serde(skip)]
    pub written: Option<Digest>,
    /// Whether signatures and the like are to be looked for.
    pub referrers: bool,
    /// When a difference was first seen that is not mirrored since: now, if there was none.
    #[serde(skip)]
    pub since: i64,
}

/// How much is known of a target repository's blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlobKnowledge {
    /// It is empty.
    Empty,
    /// What is not known to be there is known to be missing.
    Complete,
    /// What is known to be there is there; the rest is unknown.
    #[default]
    Partial,
    /// What is believed to be there may be gone.
    Doubtful,
}

/// Makes the plan.
pub(crate) fn make(group: &RouteGroup<'_>, snapshot: Snapshot) -> Plan {
    let Snapshot {
        source,
        tags,
        dropped,
        undated,
        order,
        absent: unlisted,
        refused,
        listing,
        wanted,
        targets,
        now,
        is_guess,
        memory,
    } = snapshot;
    let context = Context {
        group,
        mirror: group.mirror,
        wanted: wanted.as_ref(),
        now,
        tags: &tags,
        shape: &group.mirror.shape(),
        referrers_due: group.mirror.referrers.is_some().then_some(now),
    };
    let targets = targets.into_iter().map(|t| context.target(t)).collect();
    Plan {
        source,
        dropped,
        undated,
        order,
        absent: unlisted,
        targets,
        referrers: None,
        listing,
        refused,
        is_guess,
        memory,
    }
}

struct Context<'a> {
    group: &'a RouteGroup<'a>,
    mirror: &'a Mirror,
    /// What all routes ask for; `None` where the source gave no evidence of what is gone.
    wanted: Option<&'a Wanted>,
    now: i64,
    tags: &'a [SourceTag],
    shape: &'a str,
    /// The time, where referrers are mirrored.
    referrers_due: Option<i64>,
}

impl Context<'_> {
    fn target(&self, target: TargetSnapshot) -> TargetPlan {
        let TargetSnapshot {
            repository,
            holds,
            failure,
        } = target;
        let released = self.released(&repository, &holds);
        match failure {
            None => TargetPlan {
                steps: self.steps(&holds),
                orphaned: self.orphaned(&holds.records),
                pruned: self.pruned(&holds),
                released,
                unlisted: self.unlisted(&holds),
                knowledge: knowledge(holds.is_empty, holds.state),
                repository,
            },
            Some(error) => TargetPlan {
                repository,
                steps: self
                    .tags
                    .iter()
                    .map(|source| fail(source, &error, self.now))
                    .collect(),
                orphaned: Vec::new(),
                pruned: None,
                released,
                unlisted: Vec::new(),
                knowledge: BlobKnowledge::Partial,
            },
        }
    }

    fn steps(&self, holds: &TargetHolds) -> Vec<Step> {
        let mut held = self.held(holds);
        let named = self.group.named();
        // One that the file names fails as long as the source lacks it.
        let is_orphan = |source: &&SourceTag| {
            let record = holds.records.get(&source.tag);
            let is_mirrored = record.is_some_and(|record| record.source.is_some());
            !named.contains(&source.tag) && self.is_absent(&source.tag) && is_mirrored
        };
        let since = |source: &&SourceTag| self.since(holds.records.get(&source.tag));
        let mut tags: Vec<_> = self.tags.iter().filter(|tag| !is_orphan(tag)).collect();
        tags.sort_by_key(since);
        let step = |source| self.step(source, holds, &mut held);
        let mut steps: Vec<Step> = tags.into_iter().map(step).collect();
        steps.sort_by_key(|step| !matches!(step.action, Action::Copy { .. }));
        steps
    }

    /// The digests that the target's tags stand for, so that one more tag needs no copy.
    fn held(&self, holds: &TargetHolds) -> HashMap<Digest, Option<Digest>> {
        let damaged = holds.records.values().filter(|record| record.is_damaged);
        let damaged: HashSet<_> = damaged.map(|record| &record.written).collect();
        let is_held = |tag: &Tag, record: &TagRecord| {
            let asked = holds.asked.get(tag);
            holds.listing.contains(tag)
                && record.shape == self.shape
                && !damaged.contains(&record.written)
                && asked.is_none_or(|found| found.as_ref().is_ok_and(|f| *f == record.written))
        };
        let records = holds
            .records
            .iter()
            .filter(|(tag, record)| is_held(tag, record));
        records
            .filter_map(|(_, record)| Some((record.source.clone()?, record.written.clone())))
            .collect()
    }

    fn step(
        &self,
        source: &SourceTag,
        holds: &TargetHolds,
        held: &mut HashMap<Digest, Option<Digest>>,
    ) -> Step {
        let digest = match &source.digest {
            Ok(digest) => digest.clone(),
            Err(error) => return self.unreadable(source, error),
        };
        let record = holds.records.get(&source.tag);
        // One that answers for others fails only at this tag, which is written again.
        if let Some(Err(error)) = holds.asked.get(&source.tag)
            && holds.answers_nothing()
        {
            return fail(source, error, self.now);
        }
        let action = match self.compare(&source.tag, &digest, record, holds) {
            Ok(reason) => Action::Skip { reason },
            Err(reason) => match held.get(&digest) {
                Some(written) => Action::Retag {
                    reason,
                    written: written.clone(),
                },
                None => {
                    held.insert(digest.clone(), None);
                    Action::Copy { reason }
                }
            },
        };
        let was_lagging = record.is_some_and(|record| record.lagging_since.is_some());
        // A tag that another mirror kept until now is this one's.
        let source_repository = self.group.source.to_string();
        let is_taken_over = record.is_some_and(|record| {
            record.mirror != *self.mirror.name || record.source_repository != source_repository
        });
        let is_back = record.is_some_and(|record| record.is_orphaned || record.is_released);
        let is_news = was_lagging
            || is_taken_over
            || is_back
            || !matches!(
                action,
                Action::Skip {
                    reason: Unchanged::Unchanged
                }
            );
        let referrers_at = match action {
            Action::Skip { .. } => record.and_then(|record| record.referrers_at),
            _ => None,
        };
        let is_due = |now| is_due(referrers_at, &source.tag, now);
        Step {
            tag: source.tag.clone(),
            written: record.and_then(|record| record.written.clone()),
            digest: Some(digest),
            action,
            is_news,
            referrers: self.referrers_due.is_some_and(is_due),
            since: self.since(record),
        }
    }

    /// A tag that the source does not give out. One that the file names stays wrong until it is edited.
    fn unreadable(&self, source: &SourceTag, error: &registry::Error) -> Step {
        let mut step = fail(source, error, self.now);
        if let Action::Fail { message, .. } = &mut step.action
            && error.is_not_found()
            && self.group.named().contains(&source.tag)
        {
            message.push_str("; correct the tag in `from`, or remove it there");
        }
        step
    }

    /// When a difference of a tag was first seen that is not mirrored since; now, if there is none.
    fn since(&self, record: Option<&TagRecord>) -> i64 {
        let lagging_since = record.and_then(|record| record.lagging_since);
        lagging_since.unwrap_or(self.now)
    }

    /// Why a tag may stay, or why (`Err`) it has to be written.
    fn compare(
        &self,
        tag: &Tag,
        digest: &Digest,
        record: Option<&TagRecord>,
        holds: &TargetHolds,
    ) -> Result<Unchanged, Reason> {
        let mirrored = record.and_then(|record| Some((record, record.source.as_ref()?)));
        let is_listed = holds.listing.contains(tag);
        let asked = match holds.asked.get(tag) {
            Some(Err(error)) => {
                let error = error.to_string();
                return Err(Reason::Unreadable { error });
            }
            Some(Ok(found)) => Some(found.as_ref()),
            None => None,
        };
        match (mirrored, is_listed, asked) {
            (None, true, Some(Some(found))) if found == digest => Ok(Unchanged::Verified),
            (None, true, Some(Some(found))) => Err(Reason::Overwritten {
                found: found.clone(),
            }),
            (None, _, _) => Err(Reason::New),
            (Some((_, from)), true, _) if from != digest => {
                Err(Reason::Moved { from: from.clone() })
            }
            (Some(_), false, _) | (Some(_), true, Some(None)) => Err(Reason::Lost),
            (Some((record, _)), true, _) if record.shape != self.shape => Err(Reason::Shape),
            (Some((record, _)), true, Some(Some(found)))
                if record.written.as_ref() == Some(found) =>
            {
                match record.is_damaged {
                    true => Err(Reason::Damaged),
                    false => Ok(Unchanged::Verified),
                }
            }
            (Some(_), true, Some(Some(found))) => Err(Reason::Overwritten {
                found: found.clone(),
            }),
            (Some((record, _)), true, None) if record.is_damaged => Err(Reason::Damaged),
            (Some(_), true, None) => Ok(Unchanged::Unchanged),
        }
    }

    fn orphaned(&self, records: &HashMap<Tag, TagRecord>) -> Vec<Tag> {
        let gone = records.iter().filter(|(tag, record)| {
            let is_own = record.mirror == *self.mirror.name && !is_referring(tag);
            is_own && record.source.is_some() && self.is_gone(tag, record)
        });
        let mut orphaned: Vec<Tag> = gone.map(|(tag, _)| tag.clone()).collect();
        orphaned.sort();
        orphaned
    }

    fn pruned(&self, holds: &TargetHolds) -> Option<Pruned> {
        let policy = PrunePolicy {
            group: self.group,
            wanted: self.wanted?,
            now: self.now,
        };
        policy.judge(holds)
    }

    /// Whether the source, asked for a selected tag, does not have it, and is believed.
    fn is_absent(&self, tag: &Tag) -> bool {
        self.wanted
            .is_some_and(|wanted| wanted.absent.contains(tag))
    }

    /// Whether the source no longer has a tag; as before, where it gave no evidence.
    fn is_gone(&self, tag: &Tag, record: &TagRecord) -> bool {
        let gone = self.wanted.and_then(|wanted| wanted.is_gone(tag));
        gone.unwrap_or(record.is_orphaned)
    }
}

fn knowledge(is_empty: bool, state: RepositoryState) -> BlobKnowledge {
    match (is_empty, state) {
        (
            true,
            RepositoryState {
                has_blobs: false, ..
            },
        ) => BlobKnowledge::Empty,
        (true, _) => BlobKnowledge::Doubtful,
        (
            false,
            RepositoryState {
                is_complete: true, ..
            },
        ) => BlobKnowledge::Complete,
        (false, _) => BlobKnowledge::Partial,
    }
}

/// A step that cannot be taken. What the source said is news all the same: lag grows.
fn fail(source: &SourceTag, error: &registry::Error, now: i64) -> Step {
    let digest = source.digest.as_ref().ok().cloned();
    let action = Action::Fail {
        class: error.class(),
        message: error.to_string(),
        registry: error.registry.to_string(),
    };
    Step {
        tag: source.tag.clone(),
        is_news: digest.is_some(),
        digest,
        action,
        written: None,
        referrers: false,
        since: now,
    }
}

impl Plan {
    /// Whether all of the source was compared.
    pub(crate) fn is_whole(&self) -> bool {
        let mut steps = self.targets.iter().flat_map(|target| &target.steps);
        !self.is_guess && !steps.any(Step::is_unchecked)
    }
}

impl TargetPlan {
    /// The tags that are to be deleted.
    pub fn deleted(&self) -> impl Iterator<Item = &Prunable> {
        let pruned = self.pruned.iter().flat_map(|pruned| &pruned.tags);
        pruned.filter(|tag| tag.fate == Decision::Delete)
    }
}

impl Step {
    /// Whether the source could not be compared. One that says it has no such tag was.
    pub(crate) fn is_unchecked(&self) -> bool {
        let class = match &self.action {
            Action::Fail { class, .. } => Some(*class),
            _ => None,
        };
        self.digest.is_none() && class.is_some_and(|class| class != ErrorClass::NotFound)
    }

    /// Whether the target has another image there, which it is to lose.
    pub fn is_overwriting(&self) -> bool {
        let (Action::Copy { reason } | Action::Retag { reason, .. }) = &self.action else {
            return false;
        };
        ![Reason::New, Reason::Lost, Reason::Damaged].contains(reason)
    }
}

impl Plan {
    /// Whether anything is to be written, or cannot be compared.
    pub fn has_differences(&self) -> bool {
        let mut steps = self.targets.iter().flat_map(|target| &target.steps);
        steps.any(|step| !matches!(step.action, Action::Skip { .. }))
            || self
                .targets
                .iter()
                .any(|target| target.deleted().next().is_some())
    }
}

#[cfg(test)]
mod tests;
