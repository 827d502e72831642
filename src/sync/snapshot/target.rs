//! What a target holds now.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::OnceCell;

use super::{HEADS, Records, SourceTag, View, is_due};
use crate::{
    config::Route,
    oci::{Digest, Repository, Tag},
    registry::{self, Listing, Registry},
    store::{RepositoryState, TagRecord},
    sync::Error,
};

/// Tags that a target may fail at before it is taken to fail altogether.
const FAILURES: usize = 16;

/// One target repository.
#[derive(Debug)]
pub(crate) struct TargetSnapshot {
    /// Which one.
    pub repository: Repository,
    /// What it holds.
    pub holds: Result<TargetHolds, registry::Error>,
}

/// What a target repository holds, by its own word and by the store's.
#[derive(Debug, Default)]
pub(crate) struct TargetHolds {
    /// Whether it lists no tag at all, as far as is known now.
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
    pub asked: Asked,
    /// What the store knows of its blobs.
    pub state: RepositoryState,
}

impl TargetHolds {
    /// Whether the target says nothing of any tag that it was asked about: it may fail altogether.
    pub(crate) fn answers_nothing(&self) -> bool {
        let fails = |found: &Result<_, registry::Error>| match found {
            Err(error) => !error.is_policy(),
            Ok(_) => false,
        };
        !self.asked.is_empty() && self.asked.values().all(fails)
    }
}

/// What a target said of tags, or why it could not.
pub(crate) type Asked = HashMap<Tag, Result<Option<Digest>, registry::Error>>;

/// The lists of target repositories that several routes of a run write to, each read once.
#[derive(Debug, Default)]
pub(crate) struct Lists(HashMap<Repository, OnceCell<Result<Listing, registry::Error>>>);

impl Lists {
    /// Nothing is read yet.
    pub(crate) fn of<'a>(routes: impl Iterator<Item = &'a Route>) -> Self {
        let (mut once, mut lists) = (HashSet::new(), HashMap::new());
        for target in routes.flat_map(|route| &route.targets) {
            if !once.insert(target) {
                lists.insert(target.clone(), OnceCell::new());
            }
        }
        Self(lists)
    }

    /// A target's list, and whether it was read just now: since an older one, the routes of the
    /// run may have written there.
    async fn read(
        &self,
        target: &Repository,
        registry: &Registry,
    ) -> Result<(Cow<'_, Listing>, bool), registry::Error> {
        let mut is_new = false;
        let mut read = async || {
            is_new = true;
            Ok(registry.list_tags(target).await?.unwrap_or_default())
        };
        let listing = match self.0.get(target) {
            Some(cell) => match cell.get_or_init(read).await {
                Ok(listing) => Cow::Borrowed(listing),
                Err(error) => return Err(error.clone()),
            },
            None => Cow::Owned(read().await?),
        };
        Ok((listing, is_new))
    }
}

/// What a target holds, by the names that its tags have at the source.
pub(crate) async fn list_target(
    target: &Repository,
    registry: &Registry,
    stored: Records,
    view: &View<'_>,
) -> Result<TargetSnapshot, Error> {
    let (listing, is_new) = match view.lists.read(target, registry).await {
        Ok(listing) => listing,
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
    let state = view.store.repository(target).await?;
    let holds = TargetHolds {
        is_empty: listing.tags.is_empty() && (is_new || !state.has_blobs),
        listing: listing
            .tags
            .iter()
            .filter_map(|tag| mirror.source_tag(tag))
            .collect(),
        told: listing
            .digests
            .iter()
            .filter_map(|(tag, digest)| Some((mirror.source_tag(tag)?, digest.clone()?)))
            .collect(),
        records,
        strangers,
        asked: HashMap::new(),
        state,
    };
    Ok(TargetSnapshot {
        repository: target.clone(),
        holds: Ok(holds),
    })
}

/// Asks the target itself about the tags on which the store has no word, or an old one. One that
/// fails at a few of them, and not at others, is asked for the others all the same.
pub(crate) async fn ask(
    snapshot: &mut TargetSnapshot,
    registry: &Registry,
    tags: &[SourceTag],
    view: &View<'_>,
) {
    if let Ok(holds) = &mut snapshot.holds {
        match answers(&snapshot.repository, registry, tags, holds, view).await {
            Ok(asked) => holds.asked = asked,
            Err(error) => snapshot.holds = Err(error),
        }
    }
}

async fn answers(
    target: &Repository,
    registry: &Registry,
    tags: &[SourceTag],
    holds: &TargetHolds,
    view: &View<'_>,
) -> Result<Asked, registry::Error> {
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
            return Ok((tag, Ok(None)));
        };
        match registry.head_manifest(&target.tag(&name)).await {
            Ok(head) => Ok((tag, Ok(head.map(|head| head.digest)))),
            // It is there, and nobody may pull it: what was written or is listed is believed.
            Err(error) if error.is_policy() => {
                let written = holds
                    .records
                    .get(&tag)
                    .and_then(|record| record.written.clone());
                let known = holds.told.get(&tag).cloned().or(written);
                Ok((tag, known.map_or(Err(error), |digest| Ok(Some(digest)))))
            }
            Err(error) if error.is_of_one_thing() || error.is_read_forbidden() => {
                Ok((tag, Err(error)))
            }
            Err(error) => Err(error),
        }
    })
    .buffer_unordered(HEADS)
    .try_fold(Asked::new(), async |mut asked, (tag, found)| {
        let is_failure = |error: &registry::Error| !error.is_read_forbidden();
        let failed = || asked.values().filter_map(|found| found.as_ref().err());
        match found {
            Err(error)
                if is_failure(&error) && failed().filter(|e| is_failure(e)).count() >= FAILURES =>
            {
                Err(error)
            }
            found => {
                asked.insert(tag, found);
                Ok(asked)
            }
        }
    })
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
