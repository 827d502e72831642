//! Why an image that an entry would take is not at its target, as far as the store knows.

use std::collections::HashMap;

use chrono_tz::Tz;

use crate::{
    config::{Config, Mirror, Route, Selection},
    oci::{Repository, Tag},
    status::{CopyState, format},
    store::{Error, LastLook, Store},
    sync::{Clock, select},
};

/// What is known of a tag that no run has copied to a target: a state, and the reason in a
/// sentence where there is one.
pub(crate) async fn absence(
    store: &Store,
    config: &Config,
    mirror: &Mirror,
    route: &Route,
    tag: &Tag,
    target: &Repository,
) -> Result<(CopyState, Option<String>), Error> {
    let Some(look) = store.last_look(&mirror.name).await? else {
        return Ok((CopyState::NotYet, None));
    };
    let name = &mirror.name;
    Ok(match judge(look, mirror, route) {
        Look::Unmarked => {
            let reason = format!(
                "an earlier version ran `{name}` last and did not store its selection, so it is \
                 not known whether that run looked for it: the next run does"
            );
            (CopyState::NotYet, Some(reason))
        }
        Look::Edited => {
            let reason = format!(
                "`{name}` selects other tags or targets since its last run: the next run looks for \
                 it"
            );
            (CopyState::NotYet, Some(reason))
        }
        Look::Partial(error) => {
            let reason = error
                .map(|error| format!("the last run could not read all of the source: {error}"));
            (CopyState::NotYet, reason)
        }
        Look::Whole(_) if is_left_out(store, mirror, route, tag, target).await? => {
            (CopyState::LeftOut, None)
        }
        Look::Whole(at) => {
            let reason = not_there(mirror, route, at, config.timezone);
            (CopyState::Absent, Some(reason))
        }
    })
}

/// Whether `latest` leaves a tag out, by its name and those of the tags that are known to be at the
/// source.
pub(crate) async fn is_left_out(
    store: &Store,
    mirror: &Mirror,
    route: &Route,
    tag: &Tag,
    target: &Repository,
) -> Result<bool, Error> {
    let Selection::Matching(selectors) = &route.selection else {
        return Ok(false);
    };
    if selectors.latest.is_none() {
        return Ok(false);
    }
    let source = route.source.to_string();
    let known = store.tags(target).await?.into_iter();
    let known =
        known.filter(|(_, record)| !record.is_orphaned && record.source_repository == source);
    let mut listing: Vec<Tag> = known
        .filter_map(|(name, _)| mirror.source_tag(&name))
        .collect();
    listing.push(tag.clone());
    let clock = Clock {
        now: 0,
        times: &HashMap::new(),
    };
    // Whether the guards of the entry hold is no matter here.
    let selected = select(route, &listing, clock);
    Ok(selected.is_ok_and(|selected| !selected.tags.contains(tag)))
}

/// What the last look at a source says of the entry of now.
enum Look {
    /// It is not known what the run selected.
    Unmarked,
    /// It was by another selection.
    Edited,
    /// It was not of all of the source, because of this.
    Partial(Option<String>),
    /// All of the source was compared, at this time in seconds since 1970.
    Whole(i64),
}

fn judge(look: LastLook, mirror: &Mirror, route: &Route) -> Look {
    // A run that finds no such repository has compared all of the source, and its error explains it.
    let source = route.source.to_string();
    let is_about_source = look.error_reference.is_some_and(|about| about == source);
    match look.selection {
        None => Look::Unmarked,
        Some(mark) if mark != mirror.selection_mark() => Look::Edited,
        Some(_) if look.is_checked && !is_about_source => Look::Whole(look.started_at),
        Some(_) => Look::Partial(look.error),
    }
}

fn not_there(mirror: &Mirror, route: &Route, at: i64, zone: Tz) -> String {
    let age = match &route.selection {
        Selection::Matching(selectors) if selectors.needs_age() => ", or was too old for `max_age`",
        _ => "",
    };
    let (name, at) = (&mirror.name, format::time(at, zone));
    format!(
        "the selection of `{name}` would take it, but it was not at the source at the last check \
         ({at}){age}"
    )
}

#[cfg(test)]
mod tests;
