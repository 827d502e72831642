//! Why an image that an entry would take is not at its target, as far as the store knows.

use std::{collections::HashMap, fs, time::UNIX_EPOCH};

use chrono::Utc;
use chrono_tz::Tz;

use crate::{
    config::{Config, Mirror, Route, Selection},
    oci::{Repository, Tag},
    status::{CopyState, format},
    store::{Error, Standing, Store},
    sync::{Clock, select},
};

/// Runs that are looked through for the last one that ended.
const RUNS: i64 = 5;

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
    let now = Utc::now().timestamp();
    let standing = store.standing(&mirror.name, RUNS, now).await?;
    let Some(checked) = last_look(&standing, config, route) else {
        return Ok((CopyState::NotYet, None));
    };
    Ok(match checked {
        Look::Partial(error) => {
            let reason = format!("the last run could not read all of the source: {error}");
            (CopyState::NotYet, Some(reason))
        }
        Look::Whole(_) if is_left_out(store, mirror, route, tag, target).await? => {
            (CopyState::LeftOut, None)
        }
        Look::Whole(at) => (
            CopyState::Absent,
            Some(not_there(mirror, route, at, config.timezone)),
        ),
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

/// The last look at a source.
enum Look {
    /// All of it was compared, at this time in seconds since 1970.
    Whole(i64),
    /// It was not, because of this.
    Partial(String),
}

/// The last look at the source that an ended run had, if it went by the config of now.
fn last_look(standing: &Standing, config: &Config, route: &Route) -> Option<Look> {
    let ended = standing.runs.iter().find(|run| run.result.is_some())?;
    let whole = standing.last_checked.filter(|at| *at >= ended.started_at);
    let written = fs::metadata(&config.path).and_then(|file| file.modified());
    let written = written.ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    if i64::try_from(written).is_ok_and(|written| written > ended.started_at) {
        return None;
    }
    let error = ended.error_message.as_ref();
    // A run that finds no such repository has compared all of the source, and its error explains it.
    let source = route.source.to_string();
    let is_about_source = ended.error_reference.as_ref() == Some(&source);
    match whole {
        Some(at) if !is_about_source => Some(Look::Whole(at)),
        _ => error.cloned().map(Look::Partial),
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
