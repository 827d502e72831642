//! Deletes tags of a target that the plan gives up, and never what another tag needs.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use crate::{
    oci::{Content, Descriptor, Digest, Tag},
    registry::{self, Deleted, Kind},
    sync::{
        Error,
        copy::{CopyContext, Transfer},
    },
};

/// Requests prepared at a time.
const REQUESTS: usize = 16;
/// How deep indexes may nest; real ones nest once or twice.
const DEPTH: usize = 8;

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
}

/// What became of a tag that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeleteOutcome {
    /// It was deleted.
    Deleted,
    /// It was not there any more.
    Absent,
    /// It stays, for this reason.
    Left(String),
}

impl Transfer {
    /// Deletes tags of the lane's target repository, each alone where the registry can.
    pub(crate) async fn delete(
        &self,
        lane: CopyContext<'_>,
        deletions: Vec<Deletion>,
    ) -> Vec<(Deletion, Result<DeleteOutcome, Error>)> {
        let mut done = Vec::new();
        let mut by_digest = Vec::new();
        for deletion in deletions {
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
        let Some(_clearing) = self.holdings.clear(lane.to) else {
            let left = deletions.into_iter();
            let left = left.map(|deletion| (deletion, Ok(needed_by_another_run())));
            return left.collect();
        };
        let Some(_alone) = self.presence.alone() else {
            let left = deletions.into_iter();
            let left = left.map(|deletion| (deletion, Ok(needed_by_another_process())));
            return left.collect();
        };
        let going: HashSet<&Tag> = deletions.iter().map(|deletion| &deletion.tag).collect();
        let needed = needed(lane, &going).await;
        let mut done = Vec::new();
        let mut deleted: HashMap<Digest, Result<DeleteOutcome, Error>> = HashMap::new();
        for deletion in deletions {
            let digest = &deletion.digest;
            let gone = match &needed {
                Err(error) => Err(error.clone().into()),
                Ok(needed) => match (needed.get(digest), deleted.get(digest)) {
                    (Some(other), _) => Ok(left_to(other)),
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

/// Deletes a tag alone; `None` where that takes its digest along. A list may have been cut off
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
            let text = "the source has it, and leaves it out of its list of tags";
            return Ok(Some(DeleteOutcome::Left(text.into())));
        }
    }
    let found = lane
        .target
        .head_manifest(&lane.to.tag(&deletion.tag))
        .await?;
    let Some(found) = found else {
        return Ok(Some(DeleteOutcome::Absent));
    };
    if found.digest != deletion.digest {
        let text = "somebody else has moved it since it was mirrored";
        return Ok(Some(DeleteOutcome::Left(text.into())));
    }
    let deleted = lane.target.delete_tag(lane.to, &deletion.tag).await?;
    Ok(match (deleted, &deletion.shared_with) {
        (Deleted::Gone, _) => Some(DeleteOutcome::Deleted),
        (Deleted::Never(text), _) => Some(DeleteOutcome::Left(text.into())),
        (Deleted::DigestsAlone, Some(other)) => Some(left_to(other)),
        (Deleted::DigestsAlone, None) => None,
    })
}

fn needed_by_another_run() -> DeleteOutcome {
    DeleteOutcome::Left("another run writes to the repository now, and may need its digest".into())
}

fn needed_by_another_process() -> DeleteOutcome {
    let text = "another transship writes by the same store now, and may need its digest; prune \
                again when its run is over";
    DeleteOutcome::Left(text.into())
}

fn left_to(other: &Tag) -> DeleteOutcome {
    DeleteOutcome::Left(format!(
        "the tag {other} needs its digest, and this registry deletes no tag alone"
    ))
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
        return Err(registry::Error::new("list tags of", lane.to, name, kind));
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
        let parts = parts(lane, digest, 0).await?;
        Ok::<_, registry::Error>((parts, tag))
    });
    let mut leads = leads.buffer_unordered(REQUESTS);
    while let Some((parts, tag)) = leads.try_next().await? {
        needed.extend(parts.into_iter().map(|part| (part, tag.clone())));
    }
    Ok(needed)
}

/// Every manifest that an index leads to; none for what is no index.
fn parts(
    lane: CopyContext<'_>,
    digest: Digest,
    depth: usize,
) -> BoxFuture<'_, Result<Vec<Digest>, registry::Error>> {
    Box::pin(async move {
        let reference = lane.to.digest(&digest);
        let fail = |kind| registry::Error::new("read", &reference, lane.target.name(), kind);
        if depth > DEPTH {
            let text = format!("its indexes nest more than {DEPTH} deep");
            return Err(fail(Kind::Manifest(text)));
        }
        let manifest = lane.target.get_manifest(&reference).await?;
        let gone = || fail(Kind::NotFound("it is named, and not there".into()));
        let manifest = manifest.ok_or_else(gone)?;
        let content = manifest.content().map_err(|error| fail(error.into()))?;
        let Content::Index(children) = content else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        // Layers of a build cache are no manifests.
        for child in children.into_iter().filter(Descriptor::is_manifest) {
            let is_index = |part| child.media_type.contains(part);
            if child.media_type.is_empty() || is_index("index") || is_index("list") {
                all.extend(parts(lane, child.digest.clone(), depth + 1).await?);
            }
            all.push(child.digest);
        }
        Ok(all)
    })
}
