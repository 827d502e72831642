//! What `mirror.toml` says of a mirror, for its page.

use std::collections::BTreeSet;

use crate::{
    config::{Discovery, Mirror, Selection},
    locales::Language,
    web::pages::rows::schedule,
};

/// One mirror's entry.
#[derive(Debug)]
pub(crate) struct EntryFacts {
    /// When it runs, in words if there are any.
    pub(crate) schedule: String,
    /// Its expression, if words stand for it.
    pub(crate) expression: Option<String>,
    /// The selectors, as the file has them. Each of them is one of a route.
    pub(crate) selectors: Vec<String>,
    pub(crate) prune: String,
    pub(crate) platforms: String,
    /// Each source with its targets, by name.
    pub(crate) routes: Vec<RouteRow>,
}

/// A source, and where it goes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteRow {
    pub(crate) source: String,
    pub(crate) targets: Vec<String>,
}

impl EntryFacts {
    /// The entry of a mirror.
    pub(crate) fn new(mirror: &Mirror, language: Language) -> Self {
        let words = &language.words().mirror;
        let expression = mirror.schedule.to_string();
        let in_words = schedule::words(&mirror.schedule, language);
        let duration = |seconds: u64| language.duration(seconds.try_into().unwrap_or(i64::MAX));
        let (schedule, expression) = match in_words {
            _ if mirror.is_paused => (words.paused.to_owned(), Some(expression)),
            Some(text) if expression.starts_with("every ") => (text, None),
            Some(text) => (text, Some(expression)),
            None => (expression, None),
        };
        Self {
            schedule,
            expression,
            selectors: selectors(mirror),
            prune: match &mirror.prune {
                None => words.off.into(),
                Some(prune) => words.keeps(prune.keep, duration(prune.after.as_secs())),
            },
            platforms: match &mirror.platforms {
                None => words.all_platforms.into(),
                Some(platforms) => {
                    let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
                    names.join(", ")
                }
            },
            routes: routes(mirror),
        }
    }
}

fn routes(mirror: &Mirror) -> Vec<RouteRow> {
    let named = mirror.routes.iter().filter_map(|route| {
        let source = match (&route.pin, &route.selection) {
            (Some(digest), _) => route.source.digest(digest).to_string(),
            (None, Selection::Tag(tag)) => route.source.tag(tag).to_string(),
            (None, Selection::Matching(_)) => route.source.to_string(),
            (None, Selection::Nothing) => return None,
        };
        let targets = route.targets.iter().map(ToString::to_string).collect();
        Some(RouteRow { source, targets })
    });
    let found = mirror.discoveries.iter().map(|discovery| RouteRow {
        source: discovery.to_string(),
        targets: discovery.target_registries().collect(),
    });
    let mut routes: Vec<RouteRow> = named.chain(found).collect();
    routes.sort();
    routes.dedup();
    routes
}

/// The selectors of all routes, each once.
fn selectors(mirror: &Mirror) -> Vec<String> {
    let mut texts = BTreeSet::new();
    let of_routes = mirror.routes.iter().map(|route| &route.selection);
    let of_found = mirror.discoveries.iter().map(Discovery::selection);
    for selection in of_routes.chain(of_found) {
        if let Selection::Matching(selectors) = selection {
            texts.insert(selectors.to_string());
        }
    }
    texts.into_iter().collect()
}
