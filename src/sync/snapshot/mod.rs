//! What both sides of a route hold now. Reads only.

mod evidence;
pub(crate) mod image_age;
mod selection;
pub(crate) mod source_comparison;
mod source_list;
mod target;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, future::try_join_all, stream};

use self::{
    selection::There,
    source_list::SourceList,
    target::{ask, list_target},
};
use super::{Error, Refused, Sides};
use crate::{
    config::{Mirror, Selection},
    oci::{Digest, Reference, Repository, Tag},
    registry::{self, Kind, ListMemory, Registry, TagListing},
    store::{Store, StoreWriter, TagRecord},
    sync::{
        plan::{
            select::{Clock, Dropped, OrderedTag, needs_times, undated},
            wanted::Wanted,
        },
        route_group::RouteGroup,
    },
};

pub(crate) use self::target::{Row, TargetHolds, TargetSnapshot};

/// HEADs prepared at a time; the registry's own limits let fewer through.
const HEADS: usize = 256;
/// How long, in seconds, the target's word on a tag is taken on trust, and no signature is looked
/// for that came after the image.
const VERIFY_EVERY: i64 = 24 * 3600;
/// So far ahead, in seconds, a time may be of a run at the same time.
const AHEAD: i64 = 3600;

/// A group of routes and what both of its sides hold.
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
    /// Routes whose selection is refused.
    pub refused: Vec<Refused>,
    /// Every tag that the source lists; `None` when nothing was listed.
    pub listing: Option<Arc<HashSet<Tag>>>,
    /// What the target repositories are to hold; `None` when the source gave no evidence.
    pub wanted: Option<Wanted>,
    /// Each target.
    pub targets: Vec<TargetSnapshot>,
    /// When it was taken.
    pub now: i64,
    /// Whether the source did not tell what decides which tags are the newest.
    pub is_guess: bool,
    /// The memory of the listing.
    pub memory: ListMemory,
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
    pub(crate) group: &'a RouteGroup<'a>,
    pub(crate) sides: &'a Sides,
    pub(crate) store: &'a Store,
    pub(crate) recorder: &'a StoreWriter,
    pub(crate) now: i64,
    /// Whether all of the group is looked at.
    pub(crate) is_whole: bool,
}

/// What the store knows of a target's tags, by their names there.
type Records = HashMap<Tag, TagRecord>;

/// Digests of the source, and why there are none, by tag.
type Digests = HashMap<Tag, Result<Digest, registry::Error>>;

/// Reads both sides of a group. A target that cannot be read does not hide the others.
pub(crate) async fn take(view: &View<'_>) -> Result<Snapshot, Error> {
    let group = view.group;
    let records = group.targets.iter().map(|target| view.store.tags(target));
    let records = try_join_all(records).await?;
    let known = source_list::known(view, &records);
    let (SourceList { listing, failure }, mut snapshots) = list(view, &records, &known).await?;
    let lists = listing.is_some();
    let mut listing = listing.unwrap_or_default();
    let mut routes = group.routes();
    let needs_times = routes.any(|(_, route)| needs_times(route, &listing.tags));
    let is_guess = listing.lacks_times && needs_times;
    if is_guess {
        stay_newest(&group.source, &mut listing, &snapshots);
    }
    let TagListing {
        tags: listing,
        digests: listed,
        pushed: mut times,
        memory,
        ..
    } = listing;
    let mut settled = settled(view, &listed, &snapshots);
    add_ages(view, &listing, &mut times, &mut settled).await?;
    let clock = Clock {
        now: view.now,
        times: &times,
    };
    let there = selection::there(view, lists.then_some(listing), failure, clock, settled).await;
    let There {
        listing,
        selection,
        tags,
        absent,
    } = there;
    for (snapshot, registry) in snapshots.iter_mut().zip(&view.sides.targets) {
        ask(snapshot, registry, &tags, view).await;
    }
    let listing = listing.map(|listing| Arc::new(listing.into_iter().collect()));
    let is_certain = view.is_whole && selection.refused.is_empty() && !is_guess;
    let (asked, open) = (selection.asked, selection.open);
    let wanted = match is_certain {
        true => evidence::gather(view, &tags, listing.clone(), &known, asked, open).await,
        false => None,
    };
    Ok(Snapshot {
        source: group.source.clone(),
        tags,
        dropped: selection.dropped,
        undated: selection.undated,
        order: selection.order,
        absent,
        refused: selection.refused,
        listing,
        wanted,
        targets: snapshots,
        now: view.now,
        is_guess,
        memory,
    })
}

/// Lists the source and each target.
async fn list(
    view: &View<'_>,
    records: &[Records],
    known: &source_list::Known<'_>,
) -> Result<(SourceList, Vec<TargetSnapshot>), Error> {
    let sides = view.group.targets.iter().zip(&view.sides.targets);
    let targets = sides.zip(records.to_vec());
    let targets =
        targets.map(|((target, registry), records)| list_target(target, registry, records, view));
    let listed = source_list::read(view, known, saves(view, records));
    futures::try_join!(listed, try_join_all(targets))
}

/// Adds the ages of images that no listing dates, where a selector needs them.
async fn add_ages(
    view: &View<'_>,
    listing: &[Tag],
    times: &mut HashMap<Tag, i64>,
    settled: &mut Digests,
) -> Result<(), Error> {
    let routes = view.group.routes();
    let undated: HashSet<Tag> = routes
        .flat_map(|(_, route)| undated(route, listing, times))
        .collect();
    if undated.is_empty() {
        return Ok(());
    }
    let (repository, source) = (&view.group.source, &view.sides.source);
    let dated = digests(repository, source, undated.into_iter().collect(), settled).await;
    let made = image_age::times(repository, source, &dated, view.store, view.recorder);
    times.extend(made.await?);
    settled.extend(dated.into_iter().map(|source| (source.tag, source.digest)));
    Ok(())
}

/// Digests that the source need not be asked for, because each target that can be read was given
/// the image: those of tags that never move, and those that the source's listing tells. A listing
/// is believed only in that: what it shows is never copied, so that one which lies costs
/// requests, and no more than [`VERIFY_EVERY`].
fn settled(
    view: &View<'_>,
    listed: &HashMap<Tag, Option<Digest>>,
    snapshots: &[TargetSnapshot],
) -> Digests {
    let pins = view.group.pins();
    let pins = pins.map(|(tag, digest)| (tag.clone(), Ok(digest.clone())));
    let mut settled = unmoved(view, listed, snapshots);
    settled.extend(pins);
    settled
}

fn unmoved(
    view: &View<'_>,
    listed: &HashMap<Tag, Option<Digest>>,
    snapshots: &[TargetSnapshot],
) -> Digests {
    let holds: Vec<&TargetHolds> = snapshots
        .iter()
        .filter_map(TargetSnapshot::readable)
        .collect();
    let Some(first) = holds.first() else {
        return Digests::new();
    };
    let mirror = view.group.mirror;
    let (source, shape) = (view.group.source.to_string(), mirror.shape());
    let never_moves = |tag: &Tag| never_moves(mirror, tag);
    let is_told = |tag: &Tag, digest: &Digest| {
        let listed = listed.get(tag).and_then(Option::as_ref);
        listed.is_some_and(|listed| listed == digest)
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
    let routes = view.group.routes();
    let mut selectors = routes.filter_map(|(_, route)| match &route.selection {
        Selection::Matching(selectors) => Some(selectors),
        Selection::Tag(_) | Selection::Nothing => None,
    });
    if selectors.any(|selectors| selectors.needs_age()) {
        return usize::MAX;
    }
    let (mirror, source) = (view.group.mirror, view.group.source.to_string());
    let is_asked_for = |(tag, record): &(&Tag, &TagRecord)| {
        let tag = mirror.source_tag(tag);
        record.source.is_some()
            && record.source_repository == source
            && tag.is_some_and(|tag| !never_moves(mirror, &tag))
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

/// While the push times that `latest` chooses by are not known, the tags that are mirrored are the
/// newest, by the times at which they were: nobody knows anything of the others.
fn stay_newest(source: &Repository, listing: &mut TagListing, snapshots: &[TargetSnapshot]) {
    let source = source.to_string();
    tracing::warn!(
        "the push times of {source} are not known now, by which `latest` chooses: what is mirrored \
         stays the newest until they are"
    );
    let holds = snapshots.iter().filter_map(TargetSnapshot::readable);
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

/// Whether the source has a tag. What cannot be found out counts as there.
async fn is_at_source(view: &View<'_>, tag: &Tag) -> bool {
    let reference = view.group.source.tag(tag);
    let source = &view.sides.source;
    match source.head_manifest(&reference).await {
        Ok(None) => {
            !matches!(read_through(source, &reference).await, Err(error) if error.is_not_found())
        }
        Ok(Some(_)) | Err(_) => true,
    }
}

/// The digest of a tag that a HEAD does not find: a proxy before a registry may know only what was
/// read through it.
async fn read_through(source: &Registry, reference: &Reference) -> Result<Digest, registry::Error> {
    let missing = || {
        let kind = Kind::NotFound("there is no such tag".into());
        registry::Error::new(
            registry::Operation::CheckManifest,
            reference,
            source.name(),
            kind,
        )
    };
    let manifest = source.get_manifest(reference).await?;
    manifest.map(|found| found.digest).ok_or_else(missing)
}

/// Whether what was last looked at then is to be looked at again. A time that is yet to come is that
/// of a clock that was ahead.
pub(crate) fn is_due(last: Option<i64>, tag: &Tag, now: i64) -> bool {
    last.is_none_or(|at| at > now + AHEAD || now >= at + VERIFY_EVERY - spread(tag))
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
