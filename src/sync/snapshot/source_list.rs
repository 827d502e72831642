//! The tags that a source lists, and whether its listing is believed.

use std::collections::{HashMap, HashSet};

use super::{Records, View, is_at_source};
use crate::{
    config::Origin,
    oci::Tag,
    registry::{self, Kind, TagListing},
    store::TagRecord,
    sync::{
        Error,
        plan::select::{self, needs_times},
        prune::decide::is_referring,
    },
};

/// Tags that are asked for before a repository is believed to be empty.
const ASKED: usize = 16;

/// What a source lists, or why a route that needs the listing has to do without.
#[derive(Debug, Default)]
pub(crate) struct SourceList {
    pub(crate) listing: Option<TagListing>,
    pub(crate) failure: Option<Error>,
}

/// What the store knows of the tags that were mirrored from the source, by their names there.
pub(crate) type Known<'a> = HashMap<Tag, &'a TagRecord>;

/// The known tags of a group: where targets differ, one that is neither orphaned nor released.
pub(crate) fn known<'a>(view: &View<'_>, records: &'a [Records]) -> Known<'a> {
    let (mirror, source) = (view.group.mirror, view.group.source.to_string());
    let mut known = Known::new();
    for (name, record) in records.iter().flatten() {
        if view.group.is_apart(name, &record.mirror) {
            continue;
        }
        let tag = mirror.source_tag(name).filter(|tag| !is_referring(tag));
        let (Some(tag), true) = (tag, record.source_repository == source) else {
            continue;
        };
        match known.get(&tag) {
            Some(other) if is_current(other) => {}
            _ => {
                known.insert(tag, record);
            }
        }
    }
    known
}

/// Whether a tag was asked for and at the source when it was last looked at.
pub(crate) fn is_current(record: &TagRecord) -> bool {
    !record.is_orphaned && !record.is_released
}

/// Lists the source where a selection needs it, or where tags are known that no route names.
pub(crate) async fn read(
    view: &View<'_>,
    known: &Known<'_>,
    saves: usize,
) -> Result<SourceList, Error> {
    let group = view.group;
    let is_needed = group.lists();
    if !(is_needed || view.is_whole && has_leftovers(view, known)) {
        return Ok(SourceList::default());
    }
    match believed(view, known, saves).await {
        Ok(listing) => Ok(SourceList {
            listing: Some(listing),
            failure: None,
        }),
        // Tags that the file names do without.
        Err(_) if !is_needed => Ok(SourceList::default()),
        Err(error) if group.named().is_empty() => Err(error),
        Err(error) => Ok(SourceList {
            listing: None,
            failure: Some(error),
        }),
    }
}

/// Whether tags of the mirror, or of none that writes there, are named by no route.
fn has_leftovers(view: &View<'_>, known: &Known<'_>) -> bool {
    let (group, named) = (view.group, view.group.named());
    let is_others = |record: &TagRecord| {
        record.mirror != *group.mirror.name && group.is_written_by(&record.mirror)
    };
    let mut known = known.iter();
    known.any(|(tag, record)| !named.contains(tag) && !is_others(record))
}

async fn believed(view: &View<'_>, known: &Known<'_>, saves: usize) -> Result<TagListing, Error> {
    let (group, source) = (view.group, &view.sides.source);
    let mut listing = is_there(view, source.list_source_tags(&group.source, saves).await?)?;
    let mut routes = group.routes();
    if listing.has_more && routes.any(|(_, route)| needs_times(route, &listing.tags)) {
        let listed = source.list_source_tags(&group.source, usize::MAX).await?;
        listing = is_there(view, listed)?;
    }
    let listing = confirmed(view, listing, known).await?;
    if listing.tags.is_empty() && view.is_whole {
        not_emptied(view, known).await?;
    }
    Ok(listing)
}

/// A repository that has no listing is an error, unless a catalog named it.
fn is_there(view: &View<'_>, listed: Option<TagListing>) -> Result<TagListing, Error> {
    let source = &view.group.source;
    match listed {
        Some(listing) => Ok(listing),
        None if view.group.origin == Origin::Found => Ok(TagListing::default()),
        None => {
            let kind = Kind::NotFound("there is no such repository".into());
            Err(registry::Error::new(
                registry::Operation::ListTags,
                source,
                source.registry(),
                kind,
            )
            .into())
        }
    }
}

/// A listing that is second-hand, and lacks a tag that was mirrored, is not the last word on which
/// tags there are: the registry's own is.
async fn confirmed(
    view: &View<'_>,
    listing: TagListing,
    known: &Known<'_>,
) -> Result<TagListing, Error> {
    let names: HashSet<&Tag> = listing.tags.iter().collect();
    let is_missed = |(tag, record): (&Tag, &&TagRecord)| {
        record.source.is_some() && is_current(record) && !names.contains(tag)
    };
    if !listing.is_second_hand || !known.iter().any(is_missed) {
        return Ok(listing);
    }
    let own = view.sides.source.list_tags(&view.group.source).await?;
    let tags = is_there(view, own)?.tags;
    Ok(TagListing { tags, ..listing })
}

/// An empty listing of a repository with mirrored tags is not believed. One that a catalog named may
/// have lost them all: then it has none of them when it is asked.
async fn not_emptied(view: &View<'_>, known: &Known<'_>) -> Result<(), Error> {
    let group = view.group;
    let is_mirrored = |(tag, record): &(&Tag, &&TagRecord)| {
        let mut own = group.own.iter();
        record.source.is_some() && is_current(record) && own.any(|r| select::allows(r, tag))
    };
    let mut mirrored: Vec<&Tag> = known
        .iter()
        .filter(is_mirrored)
        .map(|(tag, _)| tag)
        .collect();
    mirrored.sort();
    let refuse = || {
        let (source, count) = (&group.source, mirrored.len());
        Err(Error::Refused(format!(
            "{source} lists no tags, but {count} of its tags are mirrored: nothing is concluded from \
             an empty list; check the repository and the account's access, or remove it from `from`"
        )))
    };
    if mirrored.is_empty() {
        return Ok(());
    }
    if group.origin == Origin::Named {
        return refuse();
    }
    for tag in mirrored.iter().take(ASKED) {
        if is_at_source(view, tag).await {
            return refuse();
        }
    }
    Ok(())
}
