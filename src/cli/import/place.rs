//! Where things go: the `target` and `path` by which a source lands where the original puts it.

use std::collections::HashMap;

use super::model::{Entry, Source, Target};
use crate::oci::Repository;

/// What `path` is unless said otherwise.
pub(super) const USUAL_PATH: &str = "{registry}/{repository}";

/// Paths to try, the most telling first.
const PATHS: [&str; 4] = [USUAL_PATH, "{repository}", "{name}", "{repository|flatten}"];

/// A `target` and a `path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Placed {
    pub(super) targets: Vec<String>,
    pub(super) path: String,
}

/// What most entries share, for `[defaults]`.
pub(super) fn default_of<'a>(entries: impl Iterator<Item = &'a Entry> + Clone) -> Option<Placed> {
    let by_template: Vec<Placed> = entries.clone().flat_map(by_template).collect();
    if !by_template.is_empty() {
        let rank = |placed: &Placed| PATHS.iter().rev().position(|path| *path == placed.path);
        return most_frequent(by_template, rank);
    }
    // At least the target may be one.
    let parents: Vec<Placed> = entries.map(apart).map(without_path).collect();
    most_frequent(parents, |_| None)
}

fn without_path(placed: Placed) -> Placed {
    Placed {
        path: USUAL_PATH.into(),
        ..placed
    }
}

/// The one that occurs most; of several the one of the highest rank, then the first.
fn most_frequent(all: Vec<Placed>, rank: impl Fn(&Placed) -> Option<usize>) -> Option<Placed> {
    let mut counts: HashMap<&Placed, usize> = HashMap::new();
    for placed in &all {
        *counts.entry(placed).or_default() += 1;
    }
    let best = all
        .iter()
        .rev()
        .max_by_key(|placed| (counts[placed], rank(placed)));
    best.cloned()
}

/// The `target` and `path` of an entry, as near to the default as can be.
pub(super) fn place(entry: &Entry, default: &Placed) -> Placed {
    let fitting = by_template(entry);
    if fitting.contains(default) {
        return default.clone();
    }
    let mut shared = fitting
        .iter()
        .filter(|placed| placed.targets == default.targets);
    let found = shared.next().cloned();
    found
        .or_else(|| below(entry, &default.targets))
        .or_else(|| fitting.into_iter().next())
        .unwrap_or_else(|| apart(entry))
}

/// Whether one `path` can do for all targets of an entry.
pub(super) fn has_one_path(entry: &Entry) -> bool {
    let last = |target: &Target| {
        target
            .path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let first = entry.targets.first().map(last);
    !by_template(entry).is_empty()
        || entry
            .targets
            .iter()
            .all(|target| Some(last(target)) == first)
}

fn by_template(entry: &Entry) -> Vec<Placed> {
    let source = match &entry.source {
        Source::Repository(source) => source,
        // What is found there keeps its path.
        Source::Pattern(_) => {
            return vec![Placed {
                targets: entry.targets.iter().map(written).collect(),
                path: "{repository}".into(),
            }];
        }
    };
    let placed = PATHS.iter().filter_map(|path| {
        let ending = render(path, source);
        let targets = entry.targets.iter().map(|target| {
            let prefix = target.path.strip_suffix(ending.as_str())?;
            let is_part = prefix.is_empty() || prefix.ends_with('/');
            is_part.then(|| {
                written(&Target {
                    registry: target.registry.clone(),
                    path: prefix.trim_end_matches('/').into(),
                })
            })
        });
        Some(Placed {
            targets: targets.collect::<Option<_>>()?,
            path: (*path).to_owned(),
        })
    });
    placed.collect()
}

/// What one of the paths above makes of a source.
fn render(path: &str, source: &Repository) -> String {
    let registry = source.registry().as_str().replace(':', "-").to_lowercase();
    let repository = source.path();
    path.replace("{registry}", &registry)
        .replace("{repository}", repository)
        .replace("{repository|flatten}", &repository.replace('/', "-"))
        .replace(
            "{name}",
            repository.rsplit('/').next().unwrap_or(repository),
        )
}

/// The path written out below given targets, if it is one.
fn below(entry: &Entry, targets: &[String]) -> Option<Placed> {
    if entry.targets.len() != targets.len() || matches!(entry.source, Source::Pattern(_)) {
        return None;
    }
    let mut paths = entry.targets.iter().zip(targets).map(|(target, above)| {
        let whole = written(target);
        let path = whole.strip_prefix(above.as_str())?.strip_prefix('/')?;
        Some(path.to_owned())
    });
    let path = paths.next()??;
    paths
        .all(|other| other.as_ref() == Some(&path))
        .then(|| Placed {
            targets: targets.to_vec(),
            path,
        })
}

/// The last part of the path written out, and a target of its own above it.
fn apart(entry: &Entry) -> Placed {
    if matches!(entry.source, Source::Pattern(_)) {
        return by_template(entry).swap_remove(0);
    }
    let parts: Vec<(String, &str)> = entry
        .targets
        .iter()
        .map(|target| {
            let (above, last) = target.path.rsplit_once('/').unwrap_or(("", &target.path));
            let above = Target {
                registry: target.registry.clone(),
                path: above.into(),
            };
            (written(&above), last)
        })
        .collect();
    Placed {
        path: parts
            .first()
            .map(|(_, last)| (*last).to_owned())
            .unwrap_or_default(),
        targets: parts.into_iter().map(|(above, _)| above).collect(),
    }
}

fn written(target: &Target) -> String {
    match target.path.as_str() {
        "" => target.registry.clone(),
        path => format!("{}/{path}", target.registry),
    }
}
