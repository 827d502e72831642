//! Deletes tags of a target that the plan gives up, and never what another tag needs.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    oci::{Digest, Tag},
    registry::{self, Kind, TagDeletion},
    sync::{
        Error,
        copy::{CopyContext, Transfer},
        index_walker::{WalkError, manifests_below},
        prune::decide::Leave,
    },
};

/// Requests prepared at a time.
const REQUESTS: usize = 16;

/// A tag that is to be deleted.
#[derive(Clone, Debug)]
pub(crate) struct Deletion {
    /// Its name at the target.
    pub(crate) tag: Tag,
    /// What was written for it; if another digest stands there, it is somebody else's.
    pub(crate) digest: Digest,
    /// Its name at the source, where the source is said to have it no longer.
    pub(crate) orphan: Option<Tag>,
    /// A tag that stays and stands for the same digest, as the store knows.
    pub(crate) shared_with: Option<Tag>,
    /// The mirror that it belongs to.
    pub(crate) mirror: Arc<str>,
}

/// What became of a tag that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeleteOutcome {
    /// It was deleted.
    Deleted,
    /// It was not there any more.
    Absent,
    /// It stays, for this reason.
    Left(Leave),
}

impl Transfer {
    /// Deletes tags of the lane's target repository, each by itself where the registry can. Where it
    /// deletes only digests, `others` that are due, too, go in the same step: of several mirrors that
    /// write there, only the last one to end may delete digests, and deletes what the others left.
    pub(crate) async fn delete(
        &self,
        lane: CopyContext<'_>,
        deletions: Vec<Deletion>,
        others: Vec<Deletion>,
    ) -> Vec<(Deletion, Result<DeleteOutcome, Error>)> {
        let mut done = Vec::new();
        let mut by_digest = Vec::new();
        let mut deferred = self.holdings.take_deferred(lane.to);
        for deletion in deletions.iter().chain(&others) {
            deferred.remove(&deletion.tag);
        }
        let own = deletions.len();
        let theirs = own..own + others.len();
        let all = deletions
            .into_iter()
            .chain(others)
            .chain(deferred.into_values());
        for (at, deletion) in all.enumerate() {
            // Others delete their own tags where each is deleted singly.
            if theirs.contains(&at) && by_digest.is_empty() && own > 0 {
                continue;
            }
            if let Err(error) = lane.admit_tag().await {
                done.push((deletion, Err(error)));
                continue;
            }
            match delete_tag(lane, &deletion).await {
                Ok(Some(gone)) => done.push((deletion, Ok(gone))),
                Ok(None) => by_digest.push(deletion),
                Err(error) => done.push((deletion, Err(error.into()))),
            }
        }
        if !by_digest.is_empty() {
            done.extend(self.delete_digests(lane, by_digest).await);
        }
        done
    }

    /// Deletes tags with their digests, where no other tag of the repository needs those. Runs that
    /// want to write to it wait until then.
    async fn delete_digests(
        &self,
        lane: CopyContext<'_>,
        deletions: Vec<Deletion>,
    ) -> Vec<(Deletion, Result<DeleteOutcome, Error>)> {
        let leave = |left: Leave| {
            let left = move |deletion| (deletion, Ok(DeleteOutcome::Left(left.clone())));
            deletions.iter().cloned().map(left).collect()
        };
        let Some(_clearing) = self.holdings.clear(lane.to, &deletions).await else {
            return leave(Leave::AnotherRun);
        };
        // Nothing keeps the workers of a cluster from writing meanwhile.
        if lane.config.cluster.is_some() {
            return leave(Leave::OtherWorkers);
        }
        let Some(_exclusive) = self.presence.exclusive() else {
            return leave(Leave::AnotherProcess);
        };
        // Another mirror may have deleted some of them meanwhile.
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for deletion in deletions {
            match found(lane, &deletion).await {
                Ok(None) => left.push(deletion),
                Ok(Some(gone)) => done.push((deletion, Ok(gone))),
                Err(error) => done.push((deletion, Err(error.into()))),
            }
        }
        let going: HashSet<&Tag> = left.iter().map(|deletion| &deletion.tag).collect();
        let needed = needed(lane, &going).await;
        let mut deleted: HashMap<Digest, Result<DeleteOutcome, Error>> = HashMap::new();
        for deletion in left {
            let digest = &deletion.digest;
            let gone = match &needed {
                Err(error) => Err(error.clone().into()),
                Ok(needed) => match (needed.get(digest), deleted.get(digest)) {
                    (Some(other), _) => Ok(needed_by(other)),
                    (None, Some(Ok(gone))) => Ok(gone.clone()),
                    (None, _) => {
                        let gone = lane.target.delete_digest(lane.to, digest).await;
                        let gone = gone.map(|()| DeleteOutcome::Deleted).map_err(Error::from);
                        if gone.is_ok() {
                            self.holdings.learn(lane.to, digest, false).await;
                            deleted.insert(digest.clone(), Ok(DeleteOutcome::Deleted));
                        }
                        gone
                    }
                },
            };
            done.push((deletion, gone));
        }
        // Whoever writes next reads in the store what is gone.
        self.recorder.flush().await;
        done
    }
}

/// Deletes only a tag. `None` where that takes its digest along. A list may have been cut off
/// without a word: what is no longer listed is asked for once more, by GET too, for a cache may have
/// to fetch it first.
async fn delete_tag(
    lane: CopyContext<'_>,
    deletion: &Deletion,
) -> Result<Option<DeleteOutcome>, registry::Error> {
    if let Some(orphan) = &deletion.orphan {
        let reference = lane.from.tag(orphan);
        let is_there = lane.source.head_manifest(&reference).await?.is_some()
            || lane.source.get_manifest(&reference).await?.is_some();
        if is_there {
            return Ok(Some(DeleteOutcome::Left(Leave::AtSource)));
        }
    }
    if let Some(gone) = found(lane, deletion).await? {
        return Ok(Some(gone));
    }
    let deleted = lane.target.delete_tag(lane.to, &deletion.tag).await?;
    Ok(match (deleted, &deletion.shared_with) {
        (TagDeletion::Deleted, _) => Some(DeleteOutcome::Deleted),
        (TagDeletion::Unsupported(text), _) => {
            Some(DeleteOutcome::Left(Leave::NoDeletion(text.into())))
        }
        (TagDeletion::DigestsOnly, Some(other)) => Some(needed_by(other)),
        (TagDeletion::DigestsOnly, None) => None,
    })
}

/// Why a tag need not or must not be deleted, by what the target has; `None` where it has what was
/// written.
async fn found(
    lane: CopyContext<'_>,
    deletion: &Deletion,
) -> Result<Option<DeleteOutcome>, registry::Error> {
    let reference = lane.to.tag(&deletion.tag);
    let Some(found) = lane.target.head_manifest(&reference).await? else {
        return Ok(Some(DeleteOutcome::Absent));
    };
    let is_moved = found.digest != deletion.digest;
    Ok(is_moved.then_some(DeleteOutcome::Left(Leave::Moved)))
}

fn needed_by(other: &Tag) -> DeleteOutcome {
    DeleteOutcome::Left(Leave::NeededBy(other.clone()))
}

/// Every manifest that the tags of the lane's target repository lead to, those that go left out;
/// each with one of the tags. The target itself is asked: what it cannot tell deletes nothing.
async fn needed(
    lane: CopyContext<'_>,
    going: &HashSet<&Tag>,
) -> Result<HashMap<Digest, Tag>, registry::Error> {
    let listing = lane.target.list_tags(lane.to).await?.unwrap_or_default();
    // They are there, as was asked just now: a list without them lacks others, too.
    if !going.iter().all(|tag| listing.tags.contains(tag)) {
        let text = "its list lacks tags that it has, so that nothing is deleted by it";
        let (name, kind) = (lane.target.name(), Kind::Protocol(text.into()));
        return Err(registry::Error::new(
            registry::Operation::ListTags,
            lane.to,
            name,
            kind,
        ));
    }
    let staying = listing.tags.into_iter().filter(|tag| !going.contains(tag));
    let heads = stream::iter(staying).map(async |tag| {
        let head = lane.target.head_manifest(&lane.to.tag(&tag)).await?;
        Ok::<_, registry::Error>(head.map(|head| (head.digest, tag)))
    });
    let heads: Vec<_> = heads.buffer_unordered(REQUESTS).try_collect().await?;
    let mut needed: HashMap<Digest, Tag> = heads.into_iter().flatten().collect();
    let roots: Vec<_> = needed.clone().into_iter().collect();
    let leads = stream::iter(roots).map(async |(digest, tag)| {
        let parts = parts(lane, &digest).await?;
        Ok::<_, registry::Error>((parts, tag))
    });
    let mut leads = leads.buffer_unordered(REQUESTS);
    while let Some((parts, tag)) = leads.try_next().await? {
        needed.extend(parts.into_iter().map(|part| (part, tag.clone())));
    }
    Ok(needed)
}

/// Every manifest that an index at the target leads to. One that is missing, or cannot be read, is
/// an error: what it needs is unknown.
async fn parts(lane: CopyContext<'_>, digest: &Digest) -> Result<Vec<Digest>, registry::Error> {
    let fail = |digest: &Digest, kind| {
        let operation = registry::Operation::Application("read");
        let reference = lane.to.digest(digest);
        registry::Error::new(operation, reference, lane.target.name(), kind)
    };
    let pull = |digest: Digest| async move {
        let manifest = lane.target.get_manifest(&lane.to.digest(&digest)).await?;
        let missing = || Kind::NotFound("it is named, and not there".into());
        let manifest = manifest.ok_or_else(|| fail(&digest, missing()))?;
        let content = manifest.content();
        content.map_err(|error| fail(&digest, error.into()))?;
        Ok(Some(manifest))
    };
    let below = manifests_below(digest, usize::MAX, pull).await;
    below.map_err(|error| match error {
        WalkError::Pull(error) => error,
        WalkError::Limit { index, reason } => fail(&index, Kind::Manifest(reason)),
    })
}
