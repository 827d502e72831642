//! Whether a source's answers are evidence that tags are gone: a repository that answers 404, an empty
//! or a short listing is none.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};

use super::{
    HEADS, SourceTag, View, is_at_source,
    source_list::{Known, is_current},
};
use crate::{config::Route, oci::Tag, sync::plan::wanted::Wanted};

/// What the target repositories are to hold; `None` where the source gave no evidence.
pub(crate) async fn gather(
    view: &View<'_>,
    tags: &[SourceTag],
    listing: Option<Arc<HashSet<Tag>>>,
    known: &Known<'_>,
    asked: HashMap<Tag, Arc<str>>,
    open: Vec<Route>,
) -> Option<Wanted> {
    let is_absent =
        |source: &&SourceTag| matches!(&source.digest, Err(error) if error.is_not_found());
    let absent = tags
        .iter()
        .filter(is_absent)
        .map(|source| source.tag.clone());
    let absent: HashSet<Tag> = absent.collect();
    let listing = match listing {
        // The repository itself may be gone: tags that are there prove that it is not.
        None if !absent.is_empty() => {
            let listed = view.sides.source.list_tags(&view.group.source).await;
            let tags = listed.ok().flatten()?.tags;
            Some(Arc::new(tags.into_iter().collect()))
        }
        other => other,
    };
    // A source that has nothing of what it lists is not believed.
    let is_contradicted = |listing: &HashSet<Tag>| {
        let is_none_there = tags.iter().all(|source| source.digest.is_err());
        is_none_there && absent.iter().any(|tag| listing.contains(tag))
    };
    if listing.as_deref().is_some_and(is_contradicted) {
        return None;
    }
    let has_answered = match &listing {
        Some(listing) => !listing.is_empty(),
        // What nobody pulls any more leaves whether or not its source still answers.
        None => view.group.is_leaving() || tags.iter().any(|source| source.digest.is_ok()),
    };
    if !has_answered {
        return None;
    }
    let unlisted = match &listing {
        Some(listing) => unlisted(view, tags, listing, known).await,
        None => HashSet::new(),
    };
    let found = tags.iter().filter(|source| source.digest.is_ok());
    let found = found.map(|source| source.tag.clone()).collect();
    Some(Wanted {
        asked,
        open,
        listing,
        found,
        absent,
        unlisted,
    })
}

/// Tags that a listing leaves out and the source has: each that was mirrored is asked for, once.
async fn unlisted(
    view: &View<'_>,
    tags: &[SourceTag],
    listing: &HashSet<Tag>,
    known: &Known<'_>,
) -> HashSet<Tag> {
    let own: HashSet<&Tag> = tags.iter().map(|source| &source.tag).collect();
    // One that could not be asked for may be there.
    let is_absent =
        |source: &&SourceTag| matches!(&source.digest, Err(error) if error.is_not_found());
    let found = tags.iter().filter(|source| !is_absent(source));
    let found = found.map(|source| &source.tag);
    let found = found.filter(|tag| !listing.contains(*tag)).cloned();
    let mut unlisted: HashSet<Tag> = found.collect();
    let missed: Vec<Tag> = known
        .iter()
        .filter(|(tag, record)| {
            let is_missed = is_current(record) && !listing.contains(*tag) && !own.contains(tag);
            is_missed && view.group.allows(tag)
        })
        .map(|(tag, _)| tag.clone())
        .collect();
    let asked = stream::iter(missed).map(async |tag| (is_at_source(view, &tag).await, tag));
    let asked: Vec<(bool, Tag)> = asked.buffer_unordered(HEADS).collect().await;
    unlisted.extend(
        asked
            .into_iter()
            .filter_map(|(is_there, tag)| is_there.then_some(tag)),
    );
    unlisted
}
