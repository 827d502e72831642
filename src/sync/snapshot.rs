//! What both sides of a route hold now. Reads only.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Error, Sides,
    select::{Dropped, select},
};
use crate::{
    config::{Route, Selection},
    oci::{Digest, Platform, Repository, Tag},
    registry::{self, Kind, Registry},
    store::{RepositoryState, Store, TagRecord},
};

/// HEADs prepared at a time; the registry's own limits let fewer through.
const HEADS: usize = 256;
/// How long the target's word on a tag is taken on trust, in seconds.
const VERIFY_EVERY: i64 = 24 * 3600;

/// A route and what both of its sides hold.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The source repository.
    pub source: Repository,
    /// The selected tags and their digests.
    pub tags: Vec<SourceTag>,
    /// What each selector dropped.
    pub dropped: Vec<Dropped>,
    /// Every tag that the source lists; `None` when nothing was listed.
    pub listing: Option<HashSet<Tag>>,
    /// Each target, or why it could not be read.
    pub targets: Vec<TargetSnapshot>,
    /// The platforms that are kept, comma-separated; empty for all.
    pub platforms: String,
}

/// A selected tag and its digest at the source.
#[derive(Clone, Debug)]
pub(super) struct SourceTag {
    /// The tag.
    pub tag: Tag,
    /// Its digest, or why there is none.
    pub digest: Result<Digest, registry::Error>,
}

/// One target repository.
#[derive(Debug)]
pub(super) struct TargetSnapshot {
    /// Which one.
    pub repository: Repository,
    /// What it holds.
    pub holds: Result<TargetHolds, registry::Error>,
}

/// What a target repository holds, by its own word and by the store's.
#[derive(Debug, Default)]
pub(super) struct TargetHolds {
    /// Every tag that it lists.
    pub listing: HashSet<Tag>,
    /// What the store knows of its tags.
    pub records: HashMap<Tag, TagRecord>,
    /// What it said of the tags that it was asked about; `None` is "not there".
    pub asked: HashMap<Tag, Option<Digest>>,
    /// What the store knows of its blobs.
    pub state: RepositoryState,
}

/// Reads both sides of a route. A target that cannot be read does not hide the others.
pub(super) async fn take(
    route: &Route,
    platforms: Option<&[Platform]>,
    Sides { source, targets }: &Sides,
    store: &Store,
    now: i64,
) -> Result<Snapshot, Error> {
    let source_side = async {
        let listing = list_source(route, source).await?;
        let selected = select(route, listing.clone().unwrap_or_default());
        let digests = digests(&route.source, source, selected.tags).await;
        Ok::<_, Error>((listing, selected.dropped, digests))
    };
    let target_side = async {
        let pairs = stream::iter(route.targets.iter().zip(targets));
        pairs
            .then(|(target, registry)| list_target(target, registry, store))
            .try_collect()
            .await
    };
    let ((listing, dropped, tags), mut snapshots): (_, Vec<TargetSnapshot>) =
        futures::try_join!(source_side, target_side)?;
    for (snapshot, registry) in snapshots.iter_mut().zip(targets) {
        if let Ok(holds) = &mut snapshot.holds {
            match ask(&snapshot.repository, registry, &tags, holds, now).await {
                Ok(asked) => holds.asked = asked,
                Err(error) => snapshot.holds = Err(error),
            }
        }
    }
    Ok(Snapshot {
        source: route.source.clone(),
        tags,
        dropped,
        listing: listing.map(|tags| tags.into_iter().collect()),
        targets: snapshots,
        platforms: describe(platforms),
    })
}

/// A set of platforms as the store keeps it.
pub(super) fn describe(platforms: Option<&[Platform]>) -> String {
    let mut names: Vec<String> = platforms
        .iter()
        .flat_map(|list| list.iter())
        .map(ToString::to_string)
        .collect();
    names.sort();
    names.join(",")
}

async fn list_source(route: &Route, source: &Registry) -> Result<Option<Vec<Tag>>, Error> {
    let lists = |selection: &Selection| matches!(selection, Selection::Matching(_));
    if !lists(&route.selection) && !route.taken.iter().any(lists) {
        return Ok(None);
    }
    match source.list_tags(&route.source).await? {
        Some(tags) => Ok(Some(tags)),
        None => Err(Error::Registry(registry::Error {
            operation: "list tags of",
            subject: route.source.to_string(),
            registry: route.source.registry().clone(),
            kind: Box::new(Kind::NotFound("there is no such repository".into())),
        })),
    }
}

async fn digests(repository: &Repository, source: &Registry, tags: Vec<Tag>) -> Vec<SourceTag> {
    stream::iter(tags)
        .map(|tag| async move {
            let reference = repository.tag(&tag);
            let digest = match source.head_manifest(&reference).await {
                Ok(Some(head)) => Ok(head.digest),
                Ok(None) => Err(registry::Error {
                    operation: "check",
                    subject: reference.to_string(),
                    registry: repository.registry().clone(),
                    kind: Box::new(Kind::NotFound("there is no such tag".into())),
                }),
                Err(error) => Err(error),
            };
            SourceTag { tag, digest }
        })
        .buffered(HEADS)
        .collect()
        .await
}

async fn list_target(
    target: &Repository,
    registry: &Registry,
    store: &Store,
) -> Result<TargetSnapshot, Error> {
    let holds = match registry.list_tags(target).await {
        Ok(listing) => Ok(TargetHolds {
            listing: listing.into_iter().flatten().collect(),
            records: store.tags(target).await?,
            asked: HashMap::new(),
            state: store.repository(target).await?,
        }),
        Err(error) => Err(error),
    };
    Ok(TargetSnapshot {
        repository: target.clone(),
        holds,
    })
}

/// Asks the target itself about the tags on which the store has no word, or an old one.
async fn ask(
    target: &Repository,
    registry: &Registry,
    tags: &[SourceTag],
    holds: &TargetHolds,
    now: i64,
) -> Result<HashMap<Tag, Option<Digest>>, registry::Error> {
    let doubtful = tags
        .iter()
        .filter(|source| needs_asking(source, holds, now));
    stream::iter(
        doubtful
            .map(|source| source.tag.clone())
            .collect::<Vec<_>>(),
    )
    .map(|tag| async move {
        let head = registry.head_manifest(&target.tag(&tag)).await?;
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
            let due = record
                .verified_at
                .map_or(now, |at| at + VERIFY_EVERY - spread(&source.tag));
            record.source.as_ref() == Some(digest) && now >= due
        }
        _ => true,
    }
}

/// Up to a quarter of [`VERIFY_EVERY`], by the tag's name: what was mirrored in one run is not
/// verified in one run.
fn spread(tag: &Tag) -> i64 {
    let sum = tag
        .as_str()
        .bytes()
        .fold(7_i64, |sum, b| (sum * 31 + i64::from(b)) % 1_000_003);
    sum % (VERIFY_EVERY / 4)
}
