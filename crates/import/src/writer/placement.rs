//! Where images go: the `target` and `path` by which a source lands where the original puts it.

use std::collections::HashMap;

use crate::{model::Entry, reference::Repository};

/// The default of `path`.
pub(super) const DEFAULT_PATH: &str = "{registry}/{repository}";

/// Paths to try, the most general first.
const PATHS: [&str; 4] = [
    DEFAULT_PATH,
    "{repository}",
    "{name}",
    "{repository|flatten}",
];

/// A `target` and a `path`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Placement {
    pub(super) targets: Vec<String>,
    pub(super) path: String,
}

/// The placement that most entries share, for `[defaults]`.
pub(super) fn default_of(entries: &[&Entry]) -> Option<Placement> {
    let fitting = entries
        .iter()
        .flat_map(|entry| by_template(&entry.source, &entry.targets));
    let mut all: Vec<Placement> = fitting.collect();
    if all.is_empty() {
        // At least the target may be shared.
        let general = entries.iter().map(|entry| Placement {
            path: DEFAULT_PATH.into(),
            ..written_out(&entry.targets)
        });
        all.extend(general);
    }
    let mut counts: HashMap<&Placement, usize> = HashMap::new();
    for placement in &all {
        *counts.entry(placement).or_default() += 1;
    }
    let rank = |path: &str| PATHS.iter().rev().position(|known| *known == path);
    // The most frequent one. Of several the most general, then the first.
    let best = all
        .iter()
        .rev()
        .max_by_key(|one| (counts[one], rank(&one.path)));
    best.cloned()
}

/// The placement of an entry, as near to the default as possible.
pub(super) fn place(entry: &Entry, default: &Placement) -> Placement {
    let fitting = by_template(&entry.source, &entry.targets);
    if fitting.contains(default) {
        return default.clone();
    }
    let is_shared = |placement: &&Placement| placement.targets == default.targets;
    if let Some(shared) = fitting.iter().find(is_shared) {
        return shared.clone();
    }
    let below = match (entry.targets.as_slice(), default.targets.as_slice()) {
        ([target], [above]) if !entry.source.is_pattern() => {
            let target = target.to_string();
            let path = target
                .strip_prefix(above)
                .and_then(|path| path.strip_prefix('/'));
            path.map(String::from)
        }
        _ => None,
    };
    let below = below.map(|path| Placement {
        path,
        ..default.clone()
    });
    below
        .or_else(|| fitting.into_iter().next())
        .unwrap_or_else(|| written_out(&entry.targets))
}

/// Whether one `path` fits all targets of a source.
pub(super) fn has_one_path(source: &Repository, targets: &[Repository]) -> bool {
    let is_same_name = |pair: &[Repository]| pair[0].name() == pair[1].name();
    !by_template(source, targets).is_empty() || targets.windows(2).all(is_same_name)
}

fn by_template(source: &Repository, targets: &[Repository]) -> Vec<Placement> {
    if source.is_pattern() {
        // What is found there keeps its path.
        let targets = targets.iter().map(Repository::to_string).collect();
        let path = "{repository}".to_owned();
        return vec![Placement { targets, path }];
    }
    let registry = source.registry.replace(':', "-").to_lowercase();
    let placements = PATHS.iter().filter_map(|path| {
        let ending = path
            .replace("{registry}", &registry)
            .replace("{repository}", &source.path)
            .replace("{repository|flatten}", &source.path.replace('/', "-"))
            .replace("{name}", source.name());
        let targets = targets.iter().map(|target| {
            let above = target.path.strip_suffix(&ending)?;
            let is_whole = above.is_empty() || above.ends_with('/');
            is_whole.then(|| Repository::new(&target.registry, above).to_string())
        });
        Some(Placement {
            targets: targets.collect::<Option<_>>()?,
            path: (*path).to_owned(),
        })
    });
    placements.collect()
}

/// The last part of the path written out, and targets of their own above it.
fn written_out(targets: &[Repository]) -> Placement {
    let above = targets.iter().map(|target| {
        let path = target.path.rsplit_once('/').map_or("", |(above, _)| above);
        Repository::new(&target.registry, path).to_string()
    });
    Placement {
        targets: above.collect(),
        path: targets.first().map_or("", Repository::name).into(),
    }
}
