//! Filters mirrors by state and by text.

use std::collections::HashSet;

use crate::{
    config::{Config, Mirror},
    locales::words::Words,
    status::{MirrorStatus, State, Status},
    web::pages::{
        page_request::PageRequest,
        rows::mirror_row::{self, Flag},
    },
};

/// A link to the mirrors that match a filter.
#[derive(Debug)]
pub(crate) struct FilterLink {
    pub(crate) text: &'static str,
    pub(crate) count: usize,
    pub(crate) href: String,
    pub(crate) is_chosen: bool,
}

/// A filter by state or flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MirrorFilter {
    State(State),
    Flag(Flag),
}

/// The filters, by their names in `?state=`.
const FILTERS: [(&str, MirrorFilter); 10] = [
    ("behind", MirrorFilter::State(State::Behind)),
    ("damaged", MirrorFilter::State(State::Damaged)),
    ("failing", MirrorFilter::State(State::Failing)),
    ("late", MirrorFilter::Flag(Flag::Late)),
    ("stale", MirrorFilter::Flag(Flag::Stale)),
    ("unfinished", MirrorFilter::State(State::Unfinished)),
    ("never-synced", MirrorFilter::State(State::NeverSynced)),
    ("in-sync", MirrorFilter::State(State::InSync)),
    ("running", MirrorFilter::Flag(Flag::Running)),
    ("paused", MirrorFilter::Flag(Flag::Paused)),
];

/// Parses `?state=`. An unknown state is `none`, which matches no mirror.
pub(crate) fn known_state(name: &str) -> &'static str {
    let part = FILTERS.iter().find(|(known, _)| *known == name);
    part.map_or("none", |(known, _)| known)
}

/// The links to all mirrors, and to each filter that matches some.
pub(crate) fn choices(status: &Status, request: &PageRequest) -> Vec<FilterLink> {
    let chosen = request.get("state");
    let all = FilterLink {
        text: request.words().overview.all,
        count: status.mirrors.len(),
        href: request.here("state", None),
        is_chosen: chosen.is_none(),
    };
    let parts = FILTERS.iter().map(|(name, part)| FilterLink {
        text: part.word(request.words()),
        count: status
            .mirrors
            .iter()
            .filter(|m| part.has(m, status.now))
            .count(),
        href: request.here("state", Some(name)),
        is_chosen: chosen == Some(name),
    });
    let parts = parts.filter(|choice| choice.count > 0 || choice.is_chosen);
    std::iter::once(all).chain(parts).collect()
}

/// The matching mirrors, worst first.
pub(crate) fn found<'a>(
    status: &'a Status,
    config: &Config,
    sought: &str,
    part: Option<&str>,
) -> Vec<&'a MirrorStatus> {
    let sought = sought.to_lowercase();
    let mut mirrors = status.worst_first();
    if !sought.is_empty() {
        let has_word =
            |mirror: &&Mirror| names(mirror).any(|name| name.to_lowercase().contains(&sought));
        let named = config.mirrors.iter().filter(has_word);
        let named: HashSet<&str> = named.map(|mirror| &*mirror.name).collect();
        mirrors.retain(|mirror| named.contains(&*mirror.name));
    }
    if let Some(name) = part {
        let part = FILTERS.iter().find(|(known, _)| *known == name);
        mirrors.retain(|mirror| part.is_some_and(|(_, part)| part.has(mirror, status.now)));
    }
    mirrors
}

/// The texts that a mirror is found by: its name, its sources and its targets.
fn names(mirror: &Mirror) -> impl Iterator<Item = String> {
    let routes = mirror.routes.iter();
    let repositories =
        routes.flat_map(|route| std::iter::once(&route.source).chain(&route.targets));
    let patterns = mirror.discoveries.iter().map(ToString::to_string);
    std::iter::once(mirror.name.to_string())
        .chain(repositories.map(ToString::to_string))
        .chain(patterns)
}

impl MirrorFilter {
    fn has(self, mirror: &MirrorStatus, now: i64) -> bool {
        match self {
            Self::State(state) => mirror.state == state,
            Self::Flag(flag) => mirror_row::flags(mirror, now).contains(&flag),
        }
    }

    fn word(self, words: &'static Words) -> &'static str {
        match self {
            Self::State(state) => mirror_row::word(state, words),
            Self::Flag(flag) => flag.word(words),
        }
    }
}
