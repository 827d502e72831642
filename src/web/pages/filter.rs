//! Which mirrors are shown: those in a state, and those with a word in their names.

use std::collections::HashSet;

use crate::{
    config::{Config, Mirror},
    status::{MirrorStatus, State, Status},
    web::{
        locales::words::Words,
        pages::{
            mirror_row::{self, Flag},
            page_request::Visit,
        },
    },
};

/// A link that shows a part of the mirrors.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) text: &'static str,
    pub(crate) count: usize,
    pub(crate) href: String,
    pub(crate) is_chosen: bool,
}

/// A part of the mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    State(State),
    Flag(Flag),
}

/// The parts, by their names in `?state=`.
const PARTS: [(&str, Part); 10] = [
    ("behind", Part::State(State::Behind)),
    ("damaged", Part::State(State::Damaged)),
    ("failing", Part::State(State::Failing)),
    ("late", Part::Flag(Flag::Late)),
    ("stale", Part::Flag(Flag::Stale)),
    ("unfinished", Part::State(State::Unfinished)),
    ("never-synced", Part::State(State::NeverSynced)),
    ("in-sync", Part::State(State::InSync)),
    ("running", Part::Flag(Flag::Running)),
    ("paused", Part::Flag(Flag::Paused)),
];

/// A state as `?state=` names it. One that does not exist is `none`, in which no mirror is.
pub(crate) fn known_state(name: &str) -> &'static str {
    let part = PARTS.iter().find(|(known, _)| *known == name);
    part.map_or("none", |(known, _)| known)
}

/// The links to the parts that are not empty, and to all mirrors.
pub(crate) fn choices(status: &Status, visit: &Visit) -> Vec<Choice> {
    let chosen = visit.get("state");
    let all = Choice {
        text: visit.words().overview.all,
        count: status.mirrors.len(),
        href: visit.here("state", None),
        is_chosen: chosen.is_none(),
    };
    let parts = PARTS.iter().map(|(name, part)| Choice {
        text: part.word(visit.words()),
        count: status
            .mirrors
            .iter()
            .filter(|m| part.has(m, status.now))
            .count(),
        href: visit.here("state", Some(name)),
        is_chosen: chosen == Some(name),
    });
    let parts = parts.filter(|choice| choice.count > 0 || choice.is_chosen);
    std::iter::once(all).chain(parts).collect()
}

/// The mirrors that are asked for, worst first. A part that does not exist has none.
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
        let part = PARTS.iter().find(|(known, _)| *known == name);
        mirrors.retain(|mirror| part.is_some_and(|(_, part)| part.has(mirror, status.now)));
    }
    mirrors
}

/// What a mirror may be looked for by: its name, its sources and its targets.
fn names(mirror: &Mirror) -> impl Iterator<Item = String> {
    let routes = mirror.routes.iter();
    let repositories =
        routes.flat_map(|route| std::iter::once(&route.source).chain(&route.targets));
    let patterns = mirror.discoveries.iter().map(ToString::to_string);
    std::iter::once(mirror.name.to_string())
        .chain(repositories.map(ToString::to_string))
        .chain(patterns)
}

impl Part {
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
