//! Which tags the routes of a group select.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use super::{Digests, SourceTag, View, digests};
use crate::{
    config::{Route, Selection},
    oci::Tag,
    sync::{
        Error, Refused,
        plan::select::{Clock, Dropped, OrderedTag, select},
        route_group::RouteGroup,
    },
};

/// How often tags are selected again without those that are not there.
const RESELECTIONS: usize = 16;

/// The selected tags that are there.
pub(crate) struct There {
    /// The listing, if there is one, without what is not there.
    pub(crate) listing: Option<Vec<Tag>>,
    pub(crate) selection: GroupSelection,
    pub(crate) tags: Vec<SourceTag>,
    /// Tags that are listed and not there.
    pub(crate) absent: Vec<Tag>,
}

/// Selects tags, and selects again without those that are listed and not there, so that they take
/// no place of `latest`. If none is there, the listing is not believed: each of them fails.
pub(crate) async fn there(
    view: &View<'_>,
    listing: Option<Vec<Tag>>,
    mut failure: Option<Error>,
    clock: Clock<'_>,
    mut known: Digests,
) -> There {
    let group = view.group;
    let is_listed = listing.is_some() && group.lists();
    let named = group.named();
    let mut first: Option<There> = None;
    let (mut left, mut absent) = (listing, Vec::new());
    let mut rounds = 0;
    loop {
        rounds += 1;
        let mut selection = select_all(group, left.as_deref(), failure.take(), clock);
        if let Some(first) = first.take_if(|first| {
            selection.refused.len() > first.selection.refused.len() || rounds > RESELECTIONS
        }) {
            return first;
        }
        let asked = std::mem::take(&mut selection.tags);
        let tags = digests(&group.source, &view.sides.source, asked, &mut known).await;
        let missing = tags.iter().filter_map(missing);
        let missing: HashSet<Tag> = missing
            .filter(|tag| !named.contains(tag))
            .cloned()
            .collect();
        let there = There {
            listing: left.clone(),
            selection,
            tags,
            absent: absent.clone(),
        };
        if missing.is_empty() || !is_listed {
            return match first {
                Some(first) if there.tags.is_empty() => first,
                _ => there,
            };
        }
        if let Some(left) = &mut left {
            left.retain(|tag| !missing.contains(tag));
        }
        absent.extend(missing);
        absent.sort_unstable();
        let answers = there.tags.iter().cloned();
        known.extend(answers.map(|source| (source.tag, source.digest)));
        first.get_or_insert(there);
    }
}

/// A tag that the source, asked for it, does not have.
fn missing(source: &SourceTag) -> Option<&Tag> {
    let is_missing = matches!(&source.digest, Err(error) if error.is_not_found());
    is_missing.then_some(&source.tag)
}

/// What the routes of a group select.
#[derive(Debug, Default)]
pub(crate) struct GroupSelection {
    /// The tags that the mirror brings.
    pub(crate) tags: Vec<Tag>,
    pub(crate) dropped: Vec<Dropped>,
    pub(crate) undated: Vec<Tag>,
    /// The tags from which `latest` chose, newest first.
    pub(crate) order: Vec<OrderedTag>,
    /// The mirror that asks for a tag.
    pub(crate) asked: HashMap<Tag, Arc<str>>,
    /// The mirror's routes that select nothing, because of a guard or without a listing.
    pub(crate) refused: Vec<Refused>,
    /// Routes of which nobody knows what they select.
    pub(crate) open: Vec<Route>,
}

/// Applies every selection to the tags that the source lists, if it was listed; `failure` tells why
/// it was not, where it had to be.
pub(crate) fn select_all(
    group: &RouteGroup<'_>,
    listing: Option<&[Tag]>,
    mut failure: Option<Error>,
    clock: Clock<'_>,
) -> GroupSelection {
    let mut all = GroupSelection::default();
    let is_known = |route: &Route| match route.selection {
        Selection::Tag(_) | Selection::Nothing => true,
        Selection::Matching(_) => listing.is_some(),
    };
    let listed = listing.unwrap_or_default();
    let mut refuse = |error| Refused {
        source: group.source.to_string(),
        error,
    };
    for route in &group.own {
        if !is_known(route) {
            all.refused.extend(failure.take().map(&mut refuse));
            all.open.push(route.clone());
            continue;
        }
        match select(route, listed, clock) {
            Ok(selected) => {
                all.dropped.extend(selected.dropped);
                all.undated.extend(selected.undated);
                all.order.extend(selected.order);
                for tag in selected.tags {
                    if let Entry::Vacant(free) = all.asked.entry(tag.clone()) {
                        free.insert(group.mirror.name.clone());
                        all.tags.push(tag);
                    }
                }
            }
            Err(text) => {
                all.refused.push(refuse(Error::Refused(text)));
                all.open.push(route.clone());
            }
        }
    }
    for (mirror, route) in &group.others {
        match select(route, listed, clock) {
            Ok(selected) if is_known(route) => {
                for tag in selected.tags {
                    let free = all.asked.entry(tag);
                    free.or_insert_with(|| mirror.name.clone());
                }
            }
            _ => all.open.push(route.clone()),
        }
    }
    all
}
