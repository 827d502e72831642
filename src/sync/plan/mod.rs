//! What a sync would do, and why. A pure value: it prints, it serialises, and nothing below it
//! decides whether to copy.

pub(crate) mod action;
pub(crate) mod select;
pub(crate) mod tag_version;

use crate::registry::ErrorClass;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::snapshot::{Snapshot, SourceTag, TargetHolds, TargetSnapshot, is_due};
use crate::{
    config::Prune,
    oci::{Digest, Repository, Tag},
    registry,
    store::{RepositoryState, TagRecord},
    sync::{
        plan::{
            action::{Action, Reason, Unchanged},
            select::{Dropped, OrderedTag},
        },
        prune::decide::{Cause, Decision, Prunable, PrunePolicy, Pruned},
        release_policy::ReleasePolicy,
    },
};

/// The plan of one route.
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
    /// Every tag that the source lists, where it was listed.
    #[serde(skip)]
    pub listing: Option<HashSet<Tag>>,
    /// Whether the source did not tell what decides which tags are the newest.
    #[serde(skip)]
    pub is_guess: bool,
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
    /// Tags whose state in the store ends: orphaned, or no longer selected.
    #[serde(skip)]
    pub released: Vec<Released>,
    /// Tags of the target that the mirror no longer names so.
    #[serde(skip)]
    pub strangers: Vec<Tag>,
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
    /// Whether the store has to be told of what was seen.
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

/// A tag whose state in the store ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Released {
    /// The tag.
    pub tag: Tag,
    /// Whether the source no longer has it.
    pub is_orphaned: bool,
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
pub(crate) fn make(mirror: &str, snapshot: Snapshot, releases: &ReleasePolicy) -> Plan {
    let Snapshot {
        source,
        tags,
        dropped,
        undated,
        order,
        absent: unlisted,
        listing,
        targets,
        shape,
        now,
        has_referrers,
        prune,
        is_guess,
    } = snapshot;
    let context = Context {
        mirror,
        source: &source.to_string(),
        prune,
        releases,
        now,
        tags: &tags,
        listing: listing.as_ref(),
        absent: absent(&tags),
        shape: &shape,
        referrers_due: has_referrers.then_some(now),
    };
    let targets = targets.into_iter().map(|t| context.target(t)).collect();
    Plan {
        source,
        dropped,
        undated,
        order,
        absent: unlisted,
        targets,
        listing,
        is_guess,
    }
}

struct Context<'a> {
    mirror: &'a str,
    source: &'a str,
    prune: Option<Prune>,
    releases: &'a ReleasePolicy,
    now: i64,
    tags: &'a [SourceTag],
    listing: Option<&'a HashSet<Tag>>,
    /// Selected tags that the source, asked for them, does not have.
    absent: HashSet<&'a Tag>,
    shape: &'a str,
    /// The time, where referrers are mirrored.
    referrers_due: Option<i64>,
}

impl Context<'_> {
    fn target(&self, target: TargetSnapshot) -> TargetPlan {
        let TargetSnapshot { repository, holds } = target;
        match holds {
            Ok(holds) => TargetPlan {
                repository,
                steps: self.steps(&holds),
                orphaned: self.orphaned(&holds.records),
                pruned: self.pruned(&holds),
                released: self.released(&holds.records),
                knowledge: knowledge(holds.is_empty, holds.state),
                strangers: holds.strangers,
            },
            Err(error) => TargetPlan {
                repository,
                steps: self
                    .tags
                    .iter()
                    .map(|source| fail(source, &error, self.now))
                    .collect(),
                orphaned: Vec::new(),
                pruned: None,
                released: Vec::new(),
                knowledge: BlobKnowledge::Partial,
                strangers: Vec::new(),
            },
        }
    }

    fn steps(&self, holds: &TargetHolds) -> Vec<Step> {
        let mut held = self.held(holds);
        let is_orphan = |source: &&SourceTag| {
            let record = holds.records.get(&source.tag);
            self.is_gone(&source.tag) && record.is_some_and(|record| record.source.is_some())
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
            Err(error) => return fail(source, error, self.now),
        };
        let record = holds.records.get(&source.tag);
        // One that answers for others fails at this tag alone, which is written anew.
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
        let is_taken_over = record.is_some_and(|record| record.mirror != self.mirror);
        let is_news = was_lagging
            || is_taken_over
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
            record.mirror == self.mirror && record.source.is_some() && self.is_gone(tag)
        });
        let mut orphaned: Vec<Tag> = gone.map(|(tag, _)| tag.clone()).collect();
        orphaned.sort();
        orphaned
    }

    /// An empty listing tells of no tag that it is no longer mirrored.
    fn pruned(&self, holds: &TargetHolds) -> Option<Pruned> {
        let own: HashSet<&Tag> = self.tags.iter().map(|source| &source.tag).collect();
        let cause = |tag: &Tag| {
            if self.is_gone(tag) {
                Some(Cause::Orphaned)
            } else if !own.contains(tag) && self.releases.allow(tag) {
                Some(Cause::Unselected)
            } else {
                None
            }
        };
        let judge = PrunePolicy {
            rule: self.prune?,
            mirror: self.mirror,
            source: self.source,
            now: self.now,
        };
        let is_told = self.listing.is_none_or(|listing| !listing.is_empty());
        is_told.then(|| judge.judge(holds, cause))
    }

    fn released(&self, records: &HashMap<Tag, TagRecord>) -> Vec<Released> {
        let own: HashSet<&Tag> = self.tags.iter().map(|source| &source.tag).collect();
        let ends = records.iter().filter(|(tag, record)| {
            let is_news = record.lagging_since.is_some() || record.is_orphaned != self.is_gone(tag);
            let is_over = match own.contains(tag) {
                true => self.is_gone(tag),
                false => self.releases.allow(tag),
            };
            record.mirror == self.mirror && is_news && is_over
        });
        ends.map(|(tag, _)| Released {
            tag: tag.clone(),
            is_orphaned: self.is_gone(tag),
        })
        .collect()
    }

    /// Whether the source no longer has a tag, by its listing or by its own word on the tag. An
    /// empty listing says nothing.
    fn is_gone(&self, tag: &Tag) -> bool {
        let is_unlisted = |listing: &HashSet<Tag>| !listing.is_empty() && !listing.contains(tag);
        self.listing.is_some_and(is_unlisted) || self.absent.contains(tag)
    }
}

fn absent(tags: &[SourceTag]) -> HashSet<&Tag> {
    let is_absent =
        |source: &&SourceTag| matches!(&source.digest, Err(error) if error.is_not_found());
    tags.iter()
        .filter(is_absent)
        .map(|source| &source.tag)
        .collect()
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

/// A step that cannot be taken. What the source said is news all the same: lag goes on.
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
