//! How much of a mirror a run is about, and which tags it may say an end to.

use std::collections::HashSet;

use crate::{
    config::{Mirror, Route, Selection},
    oci::{Repository, Tag},
    sync::{Error, Refused, plan::select},
};

/// How much of a mirror a run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Whole,
    /// One tag of a source repository.
    Image(Repository, Tag),
}

/// Which tags of a mirror a route may release, because it no longer selects them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReleasePolicy {
    /// None: another route of the mirror selects there too, or only a part of it is looked at.
    Nothing,
    /// All but those that other routes of the mirror name.
    AllBut(HashSet<Tag>),
}

impl Scope {
    /// The routes that are left of a mirror's.
    pub(crate) fn narrow(
        &self,
        routes: Vec<Result<Route, Refused>>,
    ) -> Vec<Result<Route, Refused>> {
        let Self::Image(source, tag) = self else {
            return routes;
        };
        let found = routes.into_iter().flatten();
        let found = found.filter(|route| route.source == *source && select::allows(route, tag));
        let mut narrowed: Vec<_> = found
            .map(|route| {
                Ok(Route {
                    selection: Selection::Tag(tag.clone()),
                    ..route
                })
            })
            .collect();
        narrowed.truncate(1);
        if narrowed.is_empty() {
            let error = Error::Refused("the mirror does not select it".into());
            let source = source.tag(tag).to_string();
            narrowed.push(Err(Refused { source, error }));
        }
        narrowed
    }

    /// The image, where the run is about one.
    pub(crate) fn image(&self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Image(source, tag) => Some(source.tag(tag).to_string()),
        }
    }
}

impl ReleasePolicy {
    /// What one route of a mirror may release in a run.
    pub(crate) fn of(mirror: &Mirror, route: &Route, scope: &Scope) -> Self {
        if *scope != Scope::Whole {
            return Self::Nothing;
        }
        let meets = |other: &&Route| other.targets.iter().any(|t| route.targets.contains(t));
        let is_other = |other: &&Route| !select::is_same(&other.selection, &route.selection);
        // What a pattern stands for counts whether or not its catalog could be read.
        let patterns = mirror.discoveries.iter();
        let patterns = patterns.filter(|pattern| pattern.matches(&route.source));
        let found: Vec<Route> = patterns
            .filter_map(|pattern| pattern.route(&route.source).ok())
            .collect();
        let others = mirror.routes.iter().chain(&found);
        let mut named = HashSet::new();
        for other in others.filter(meets).filter(is_other) {
            match &other.selection {
                Selection::Tag(tag) => named.insert(tag.clone()),
                Selection::Matching(_) => return Self::Nothing,
            };
        }
        Self::AllBut(named)
    }

    /// Whether a tag that the route does not select may be released.
    pub(crate) fn allow(&self, tag: &Tag) -> bool {
        match self {
            Self::Nothing => false,
            Self::AllBut(named) => !named.contains(tag),
        }
    }
}

#[cfg(test)]
mod tests;
