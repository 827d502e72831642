//! What a target holds now.

use std::collections::{HashMap, HashSet};

use super::{HEADS, Records, SourceTag, View, is_due};
use crate::{
    config::Mirror,
    oci::{Digest, Repository, Tag},
    registry::{self, Registry},
    store::{RepositoryState, TagRecord},
    sync::{Error, prune::decide::is_referring},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

/// Tags that a target may fail at before it is taken to fail altogether.
const FAILURES: usize = 16;

/// One target repository.
#[derive(Debug)]
pub(crate) struct TargetSnapshot {
    /// Which one.
    pub repository: Repository,
    /// What it holds; only by the store where it could not be read.
    pub holds: TargetHolds,
    /// Why it could not be read.
    pub failure: Option<registry::Error>,
}

impl TargetSnapshot {
    /// What it holds, where it could be read.
    pub(crate) fn readable(&self) -> Option<&TargetHolds> {
        self.failure.is_none().then_some(&self.holds)
    }
}

/// What a target repository holds, by its own word and by the store's.
#[derive(Debug, Default)]
pub(crate) struct TargetHolds {
    /// Whether it lists no tag at all, as far as is known now.
    pub is_empty: bool,
    /// Every tag that it lists, by its name at the source.
    pub listing: HashSet<Tag>,
    /// The digests that its listing tells.
    pub listed: HashMap<Tag, Digest>,
    /// What the store knows of its tags whose names the mirror no longer gives.
    pub strangers: HashMap<Tag, TagRecord>,
    /// Those of its tags whose names the mirror does not give.
    pub foreign: HashSet<Tag>,
    /// What the store knows of its tags, by their names at the source.
    pub records: HashMap<Tag, TagRecord>,
    /// What it said of the tags that it was asked about; `None` is "not there".
    pub asked: TagAnswers,
    /// What the store knows of its blobs.
    pub state: RepositoryState,
}

/// One row of the store, by its names.
pub(crate) struct Row<'a> {
    /// Its name at the target.
    pub target_tag: Tag,
    /// Its name at the source, where the mirror gives it one.
    pub source_tag: Option<&'a Tag>,
    pub record: &'a TagRecord,
}

impl Row<'_> {
    /// Whether it is the tag of a signature or the like: it goes with no selection.
    pub(crate) fn is_referring(&self) -> bool {
        is_referring(&self.target_tag) || self.source_tag.is_some_and(is_referring)
    }
}

impl TargetHolds {
    /// Every tag that the store knows.
    pub(crate) fn rows<'a>(&'a self, mirror: &'a Mirror) -> impl Iterator<Item = Row<'a>> {
        let named = self.records.iter().filter_map(|(tag, record)| {
            Some(Row {
                target_tag: mirror.target_tag(tag).ok()?,
                source_tag: Some(tag),
                record,
            })
        });
        let strangers = self.strangers.iter().map(|(tag, record)| Row {
            target_tag: tag.clone(),
            source_tag: None,
            record,
        });
        named.chain(strangers)
    }

    /// Whether the target lists a tag that the store knows.
    pub(crate) fn is_listed(&self, row: &Row<'_>) -> bool {
        match row.source_tag {
            Some(tag) => self.listing.contains(tag),
            None => self.foreign.contains(&row.target_tag),
        }
    }

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
pub(crate) type TagAnswers = HashMap<Tag, Result<Option<Digest>, registry::Error>>;

/// What a target holds, by the names that its tags have at the source.
pub(crate) async fn list_target(
    target: &Repository,
    registry: &Registry,
    stored: Records,
    view: &View<'_>,
) -> Result<TargetSnapshot, Error> {
    let mirror = view.group.mirror;
    let mut holds = TargetHolds {
        state: view.store.repository(target).await?,
        ..TargetHolds::default()
    };
    for (tag, record) in stored {
        match mirror.source_tag(&tag) {
            Some(source) => holds.records.insert(source, record),
            None => holds.strangers.insert(tag, record),
        };
    }
    let failure = match registry.list_tags(target).await {
        Ok(listing) => {
            let listing = listing.unwrap_or_default();
            holds.is_empty = listing.tags.is_empty();
            for (tag, digest) in &listing.digests {
                if let (Some(tag), Some(digest)) = (mirror.source_tag(tag), digest) {
                    holds.listed.insert(tag, digest.clone());
                }
            }
            for tag in listing.tags {
                match mirror.source_tag(&tag) {
                    Some(source) => holds.listing.insert(source),
                    None => holds.foreign.insert(tag),
                };
            }
            None
        }
        Err(error) => Some(error),
    };
    Ok(TargetSnapshot {
        repository: target.clone(),
        holds,
        failure,
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
    if snapshot.failure.is_some() {
        return;
    }
    match answers(&snapshot.repository, registry, tags, &snapshot.holds, view).await {
        Ok(asked) => snapshot.holds.asked = asked,
        Err(error) => snapshot.failure = Some(error),
    }
}

async fn answers(
    target: &Repository,
    registry: &Registry,
    tags: &[SourceTag],
    holds: &TargetHolds,
    view: &View<'_>,
) -> Result<TagAnswers, registry::Error> {
    let doubtful = tags
        .iter()
        .filter(|source| needs_asking(source, holds, view.now));
    stream::iter(
        doubtful
            .map(|source| source.tag.clone())
            .collect::<Vec<_>>(),
    )
    .map(|tag| async move {
        // A name that is too long for a tag is reported when it is to be written.
        let Ok(name) = view.group.mirror.target_tag(&tag) else {
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
                let known = holds.listed.get(&tag).cloned().or(written);
                Ok((tag, known.map_or(Err(error), |digest| Ok(Some(digest)))))
            }
            Err(error) if error.is_of_one_thing() || error.is_read_forbidden() => {
                Ok((tag, Err(error)))
            }
            Err(error) => Err(error),
        }
    })
    .buffer_unordered(HEADS)
    .try_fold(TagAnswers::new(), async |mut asked, (tag, found)| {
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
            let listed = holds.listed.get(&source.tag);
            let is_moved = listed.is_some_and(|listed| record.written.as_ref() != Some(listed));
            record.source.as_ref() == Some(digest)
                && (is_moved || is_due(record.verified_at, &source.tag, now))
        }
        _ => true,
    }
}
