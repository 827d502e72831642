//! What both sides of a route hold now. Reads only.

pub(crate) mod image_age;
pub(crate) mod source_comparison;
mod target;

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, future::try_join_all, stream};

use self::target::{ask, list_target};
use super::{Error, Sides};
use crate::{
    config::{Mirror, Origin, Prune, Route, Selection},
    oci::{Digest, Reference, Repository, Tag},
    registry::{self, Kind, Listing, Registry, Tags},
    store::{Store, StoreWriter, TagRecord},
    sync::plan::select::{Clock, Dropped, OrderedTag, Selected, needs_times, select, undated},
};

pub(crate) use self::target::{Lists, TargetHolds, TargetSnapshot};

/// HEADs prepared at a time; the registry's own limits let fewer through.
const HEADS: usize = 256;
/// How long, in seconds, the target's word on a tag is taken on trust, and no signature is looked
/// for that came after the image.
const VERIFY_EVERY: i64 = 24 * 3600;
/// How often tags are selected again without those that are not there.
const RESELECTIONS: usize = 16;

/// A route and what both of its sides hold.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The source repository.
    pub source: Repository,
    /// The selected tags and their digests.
    pub tags: Vec<SourceTag>,
    /// What each selector dropped.
    pub dropped: Vec<Dropped>,
    /// Tags that are kept because nobody knows how old they are.
    pub undated: Vec<Tag>,
    /// The tags from which `latest` chose, newest first.
    pub order: Vec<OrderedTag>,
    /// Tags that the source lists and, asked for them, does not have.
    pub absent: Vec<Tag>,
    /// Every tag that the source lists; `None` when nothing was listed.
    pub listing: Option<HashSet<Tag>>,
    /// Each target, or why it could not be read.
    pub targets: Vec<TargetSnapshot>,
    /// What of an image is written; empty for all of it.
    pub shape: String,
    /// When it was taken.
    pub now: i64,
    /// Whether referrers are mirrored.
    pub has_referrers: bool,
    /// Which tags are pruned that are no longer mirrored.
    pub prune: Option<Prune>,
    /// Whether the source did not tell what decides which tags are the newest.
    pub is_guess: bool,
}

/// A selected tag and its digest at the source.
#[derive(Clone, Debug)]
pub(crate) struct SourceTag {
    /// The tag.
    pub tag: Tag,
    /// Its digest, or why there is none.
    pub digest: Result<Digest, registry::Error>,
}

/// What a snapshot is taken of, and where what is known is kept.
pub(crate) struct View<'a> {
    pub(crate) mirror: &'a Mirror,
    pub(crate) route: &'a Route,
    pub(crate) sides: &'a Sides,
    pub(crate) store: &'a Store,
    pub(crate) recorder: &'a StoreWriter,
    pub(crate) lists: &'a Lists,
    pub(crate) now: i64,
    pub(crate) prune: Option<Prune>,
}

/// What the store knows of a target's tags, by their names there.
type Records = HashMap<Tag, TagRecord>;

/// Digests of the source, and why there are none, by tag.
type Digests = HashMap<Tag, Result<Digest, registry::Error>>;

/// Reads both sides of a route. A target that cannot be read does not hide the others.
pub(crate) async fn take(view: &View<'_>) -> Result<Snapshot, Error> {
    let Sides { source, targets } = view.sides;
    let route = view.route;
    let records = route.targets.iter().map(|target| view.store.tags(target));
    let records = try_join_all(records).await?;
    let saves = saves(view, &records);
    let target_side = route.targets.iter().zip(targets).zip(records);
    let target_side = try_join_all(
        target_side
            .map(|((target, registry), records)| list_target(target, registry, records, view)),
    );
    let (listing, mut snapshots): (_, Vec<TargetSnapshot>) =
        futures::try_join!(list_source(route, source, saves), target_side)?;
    let listing = confirmed(view, listing, &snapshots).await?;
    let lists = listing.is_some();
    let mut listing = listing.unwrap_or_default();
    let is_guess = listing.lacks_times && needs_times(route, &listing.tags);
    if is_guess {
        stay_newest(route, &mut listing, &snapshots);
    }
    let Listing {
        tags: listing,
        digests: told,
        pushed: mut times,
        ..
    } = listing;
    let mut known = settled(view, &told, &snapshots);
    let undated = undated(route, &listing, &times);
    if !undated.is_empty() {
        let dated = digests(&route.source, source, undated, &mut known).await;
        let made = image_age::times(&route.source, source, &dated, view.store, view.recorder);
        times.extend(made.await?);
        known.extend(dated.into_iter().map(|source| (source.tag, source.digest)));
    }
    let clock = Clock {
        now: view.now,
        times: &times,
    };
    let there = there(route, source, listing, clock, known).await?;
    let There {
        listing,
        selected,
        tags,
        absent,
    } = there;
    for (snapshot, registry) in snapshots.iter_mut().zip(targets) {
        ask(snapshot, registry, &tags, view).await;
    }
    Ok(Snapshot {
        source: route.source.clone(),
        tags,
        dropped: selected.dropped,
        undated: selected.undated,
        order: selected.order,
        absent,
        listing: lists.then(|| listing.into_iter().collect()),
        targets: snapshots,
        shape: view.mirror.shape(),
        now: view.now,
        has_referrers: view.mirror.referrers.is_some(),
        prune: view.prune,
        is_guess,
    })
}

/// The selected tags that are there.
struct There {
    /// The listing without what is not there.
    listing: Vec<Tag>,
    selected: Selected,
    tags: Vec<SourceTag>,
    absent: Vec<Tag>,
}

/// Selects tags, and selects again without those that are listed and not there, so that they take
/// no place of `latest`. If none is there, the listing is not believed: each of them fails.
async fn there(
    route: &Route,
    source: &Registry,
    listing: Vec<Tag>,
    clock: Clock<'_>,
    mut known: Digests,
) -> Result<There, Error> {
    let is_listed = matches!(route.selection, Selection::Matching(_));
    let mut first: Option<There> = None;
    let (mut left, mut absent) = (listing, Vec::new());
    for _ in 0..RESELECTIONS {
        let mut selected = match (select(route, &left, clock), first.take()) {
            (Ok(selected), before) => {
                first = before;
                selected
            }
            (Err(_), Some(first)) => return Ok(first),
            (Err(refused), None) => return Err(Error::Refused(refused)),
        };
        let asked = std::mem::take(&mut selected.tags);
        let tags = digests(&route.source, source, asked, &mut known).await;
        let missing: HashSet<Tag> = tags.iter().filter_map(missing).cloned().collect();
        let there = There {
            listing: left.clone(),
            selected,
            tags,
            absent: absent.clone(),
        };
        if missing.is_empty() || !is_listed {
            return Ok(match first {
                Some(first) if there.tags.is_empty() => first,
                _ => there,
            });
        }
        left.retain(|tag| !missing.contains(tag));
        absent.extend(missing);
        absent.sort_unstable();
        let answers = there.tags.iter().cloned();
        known.extend(answers.map(|source| (source.tag, source.digest)));
        first.get_or_insert(there);
    }
    // So many are missing that the listing is not believed.
    first.ok_or_else(|| Error::Refused("none of its listed tags is there".into()))
}

/// A tag that the source, asked for it, does not have.
fn missing(source: &SourceTag) -> Option<&Tag> {
    let is_missing = matches!(&source.digest, Err(error) if error.is_not_found());
    is_missing.then_some(&source.tag)
}

/// Digests that the source need not be asked for, because each target that can be read was given
/// the image: those of tags that never move, and those that the source's listing tells. A listing
/// is believed in that alone: what it tells is never copied, so that one which lies costs
/// requests, and no more than [`VERIFY_EVERY`].
fn settled(
    view: &View<'_>,
    told: &HashMap<Tag, Option<Digest>>,
    snapshots: &[TargetSnapshot],
) -> Digests {
    let holds = snapshots.iter().filter_map(|s| s.holds.as_ref().ok());
    let holds: Vec<&TargetHolds> = holds.collect();
    let Some(first) = holds.first() else {
        return Digests::new();
    };
    let (source, shape) = (view.route.source.to_string(), view.mirror.shape());
    let never_moves = |tag: &Tag| never_moves(view.mirror, tag);
    let is_told = |tag: &Tag, digest: &Digest| {
        let told = told.get(tag).and_then(Option::as_ref);
        told.is_some_and(|told| told == digest)
    };
    let is_settled = |holds: &TargetHolds, tag: &Tag, digest: &Digest| {
        holds.listing.contains(tag)
            && holds.records.get(tag).is_some_and(|record| {
                let is_fresh =
                    record.lagging_since.is_none() && !is_due(record.verified_at, tag, view.now);
                record.source.as_ref() == Some(digest)
                    && record.source_repository == source
                    && record.shape == shape
                    && (is_fresh || never_moves(tag))
            })
    };
    let records = first.records.iter();
    records
        .filter_map(|(tag, record)| Some((tag, record.source.as_ref()?)))
        .filter(|(tag, digest)| never_moves(tag) || is_told(tag, digest))
        .filter(|(tag, digest)| holds.iter().all(|holds| is_settled(holds, tag, digest)))
        .map(|(tag, digest)| (tag.clone(), Ok(digest.clone())))
        .collect()
}

/// How many requests the digests of a listing may save: all of them, where ages decide.
fn saves(view: &View<'_>, records: &[Records]) -> usize {
    let selections = std::iter::once(&view.route.selection).chain(&view.route.taken);
    let mut selections = selections.filter_map(|selection| match selection {
        Selection::Matching(selectors) => Some(selectors),
        Selection::Tag(_) => None,
    });
    if selections.any(|selectors| selectors.max_age.is_some()) {
        return usize::MAX;
    }
    let source = view.route.source.to_string();
    let is_asked_for = |(tag, record): &(&Tag, &TagRecord)| {
        let tag = view.mirror.source_tag(tag);
        record.source.is_some()
            && record.source_repository == source
            && tag.is_some_and(|tag| !never_moves(view.mirror, &tag))
    };
    let counts = records
        .iter()
        .map(|records| records.iter().filter(is_asked_for).count());
    counts.max().unwrap_or_default()
}

fn never_moves(mirror: &Mirror, tag: &Tag) -> bool {
    let immutable = mirror.immutable.as_ref();
    immutable.is_some_and(|immutable| immutable.is_match(tag.as_str()))
}

async fn list_source(
    route: &Route,
    source: &Registry,
    saves: usize,
) -> Result<Option<Listing>, Error> {
    let lists = |selection: &Selection| matches!(selection, Selection::Matching(_));
    if !lists(&route.selection) && !route.taken.iter().any(lists) {
        return Ok(None);
    }
    let listed = source.list_source_tags(&route.source, saves).await?;
    let listing = is_there(route, listed)?;
    if !listing.has_more || !needs_times(route, &listing.tags) {
        return Ok(Some(listing));
    }
    let listed = source.list_source_tags(&route.source, usize::MAX).await?;
    is_there(route, listed).map(Some)
}

/// A repository that has no listing is an error, unless a catalog named it.
fn is_there(route: &Route, listed: Tags) -> Result<Listing, Error> {
    match listed {
        Some(listing) => Ok(listing),
        None if route.origin == Origin::Found => Ok(Listing::default()),
        None => {
            let kind = Kind::NotFound("there is no such repository".into());
            let registry = route.source.registry();
            Err(registry::Error::new("list tags of", &route.source, registry, kind).into())
        }
    }
}

/// A listing that is second-hand, and lacks a tag that was mirrored, is not the last word on which
/// tags there are: the registry's own is.
async fn confirmed(
    view: &View<'_>,
    listing: Option<Listing>,
    snapshots: &[TargetSnapshot],
) -> Result<Option<Listing>, Error> {
    let Some(listing) = listing else {
        return Ok(None);
    };
    let (route, source) = (view.route, view.route.source.to_string());
    let names: HashSet<&Tag> = listing.tags.iter().collect();
    let is_missed = |(tag, record): (&Tag, &TagRecord)| {
        record.mirror == *view.mirror.name
            && record.source_repository == source
            && record.source.is_some()
            && !record.is_orphaned
            && !names.contains(tag)
    };
    let holds = snapshots.iter().filter_map(|s| s.holds.as_ref().ok());
    let mut records = holds.flat_map(|holds| &holds.records);
    if !listing.is_second_hand || !records.any(is_missed) {
        return Ok(Some(listing));
    }
    let own = view.sides.source.list_tags(&route.source).await?;
    let tags = is_there(route, own)?.tags;
    Ok(Some(Listing { tags, ..listing }))
}

/// While the push times that `latest` chooses by are not told, the tags that are mirrored are the
/// newest, by the times at which they were: nobody knows anything of the others.
fn stay_newest(route: &Route, listing: &mut Listing, snapshots: &[TargetSnapshot]) {
    let source = route.source.to_string();
    tracing::warn!(
        "the push times of {source} are not told now, by which `latest` chooses: what is mirrored \
         stays the newest until they are"
    );
    let holds = snapshots.iter().filter_map(|s| s.holds.as_ref().ok());
    for (tag, record) in holds.flat_map(|holds| &holds.records) {
        let is_mirrored = record.source.is_some() && record.source_repository == source;
        if let Some(at) = record.mirrored_at.filter(|_| is_mirrored) {
            listing.pushed.entry(tag.clone()).or_insert(at);
        }
    }
}

/// The digests of tags: those that are known, and for the others what the source says.
async fn digests(
    repository: &Repository,
    source: &Registry,
    tags: Vec<Tag>,
    known: &mut Digests,
) -> Vec<SourceTag> {
    let tags: Vec<_> = tags
        .into_iter()
        .map(|tag| (known.remove(&tag), tag))
        .collect();
    stream::iter(tags)
        .map(|(known, tag)| async move {
            if let Some(digest) = known {
                return SourceTag { tag, digest };
            }
            let reference = repository.tag(&tag);
            let digest = match source.head_manifest(&reference).await {
                Ok(Some(head)) => Ok(head.digest),
                Ok(None) => read_through(source, &reference).await,
                Err(error) => Err(error),
            };
            SourceTag { tag, digest }
        })
        .buffered(HEADS)
        .collect()
        .await
}

/// The digest of a tag that a HEAD does not find: a proxy before a registry may know only what was
/// read through it.
async fn read_through(source: &Registry, reference: &Reference) -> Result<Digest, registry::Error> {
    let missing = || {
        let kind = Kind::NotFound("there is no such tag".into());
        registry::Error::new("check", reference, source.name(), kind)
    };
    let manifest = source.get_manifest(reference).await?;
    manifest.map(|found| found.digest).ok_or_else(missing)
}

/// Whether what was last looked at then is to be looked at again.
pub(crate) fn is_due(last: Option<i64>, tag: &Tag, now: i64) -> bool {
    last.is_none_or(|at| now >= at + VERIFY_EVERY - spread(tag))
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
