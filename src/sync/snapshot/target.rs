//! What a target holds now.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{HEADS, Records, SourceTag, View, is_due};
use crate::{
    oci::{Digest, Repository, Tag},
    registry::{self, Registry},
    store::{RepositoryState, TagRecord},
    sync::Error,
};

/// One target repository.
#[derive(Debug)]
pub(in crate::sync) struct TargetSnapshot {
    /// Which one.
    pub repository: Repository,
    /// What it holds.
    pub holds: Result<TargetHolds, registry::Error>,
}

/// What a target repository holds, by its own word and by the store's.
#[derive(Debug, Default)]
pub(in crate::sync) struct TargetHolds {
    /// Whether it lists no tag at all.
    pub is_empty: bool,
    /// Every tag that it lists, by its name at the source.
    pub listing: HashSet<Tag>,
    /// The digests that its listing tells.
    pub told: HashMap<Tag, Digest>,
    /// Tags that the store knows, by a name that the mirror no longer gives.
    pub strangers: Vec<Tag>,
    /// What the store knows of its tags, by their names at the source.
    pub records: HashMap<Tag, TagRecord>,
    /// What it said of the tags that it was asked about; `None` is "not there".
    pub asked: HashMap<Tag, Option<Digest>>,
    /// What the store knows of its blobs.
    pub state: RepositoryState,
}

/// What a target holds, by the names that its tags have at the source.
pub(super) async fn list_target(
    target: &Repository,
    registry: &Registry,
    stored: Records,
    view: &View<'_>,
) -> Result<TargetSnapshot, Error> {
    let listing = match registry.list_tags(target).await {
        Ok(listing) => listing.unwrap_or_default(),
        Err(error) => {
            return Ok(TargetSnapshot {
                repository: target.clone(),
                holds: Err(error),
            });
        }
    };
    let mirror = view.mirror;
    let mut records = HashMap::new();
    let mut strangers = Vec::new();
    for (tag, record) in stored {
        match mirror.source_tag(&tag) {
            Some(source) => {
                records.insert(source, record);
            }
            None if record.mirror == *mirror.name => strangers.push(tag),
            None => {}
        }
    }
    let holds = TargetHolds {
        is_empty: listing.tags.is_empty(),
        listing: listing
            .tags
            .iter()
            .filter_map(|tag| mirror.source_tag(tag))
            .collect(),
        told: listing
            .digests
            .into_iter()
            .filter_map(|(tag, digest)| Some((mirror.source_tag(&tag)?, digest?)))
            .collect(),
        records,
        strangers,
        asked: HashMap::new(),
        state: view.store.repository(target).await?,
    };
    Ok(TargetSnapshot {
        repository: target.clone(),
        holds: Ok(holds),
    })
}

/// Asks the target itself about the tags on which the store has no word, or an old one.
pub(super) async fn ask(
    target: &Repository,
    registry: &Registry,
    tags: &[SourceTag],
    holds: &TargetHolds,
    view: &View<'_>,
) -> Result<HashMap<Tag, Option<Digest>>, registry::Error> {
    let doubtful = tags
        .iter()
        .filter(|source| needs_asking(source, holds, view.now));
    stream::iter(
        doubtful
            .map(|source| source.tag.clone())
            .collect::<Vec<_>>(),
    )
    .map(|tag| async move {
        // A name that is too long for a tag is told when it is to be written.
        let Ok(name) = view.mirror.target_tag(&tag) else {
            return Ok((tag, None));
        };
        let head = registry.head_manifest(&target.tag(&name)).await?;
        Ok((tag, head.map(|head| head.digest)))
    })
    .buffer_unordered(HEADS)
    .try_collect()
    .await
}

fn needs_asking(source: &SourceTag, holds: &TargetHolds, now: i64) -> bool {
    let Ok(digest) = &source.digest else {
        return false;
    };
    if !holds.listing.contains(&source.tag) {
        return false;
    }
    match holds.records.get(&source.tag) {
        Some(record) if record.source.is_some() => {
            let told = holds.told.get(&source.tag);
            let is_moved = told.is_some_and(|told| record.written.as_ref() != Some(told));
            record.source.as_ref() == Some(digest)
                && (is_moved || is_due(record.verified_at, &source.tag, now))
        }
        _ => true,
    }
}
