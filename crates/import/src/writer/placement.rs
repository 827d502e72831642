//! Where images go: the `target` and `path` by which a source lands where the original puts it.

use std::{collections::HashMap, hash::Hash};

use crate::{
    model::{self, Entry, Keys, Toml},
    reference::Repository,
};

/// The `path` where none is written.
pub(super) const DEFAULT_PATH: &str = "{registry}/{repository}";

/// The values of `path` to try, the most general first.
const PATHS: [&str; 4] = [
    DEFAULT_PATH,
    "{repository}",
    "{name}",
    "{repository|flatten}",
];

/// What most entries can have, for `[defaults]`: of several the most general.
pub(super) fn most_common(entries: &[&Entry]) -> Keys {
    let all = entries.iter();
    let all = all.flat_map(|entry| fitting(&entry.source, &entry.targets));
    let general = all.filter(|keys| keys.iter().any(|(_, value)| value.is_template()));
    most(general).unwrap_or_default()
}

/// The most frequent one. Of several the first.
pub(super) fn most<T: Clone + Eq + Hash>(all: impl Iterator<Item = T>) -> Option<T> {
    let all: Vec<T> = all.collect();
    let mut counts: HashMap<&T, usize> = HashMap::new();
    for one in &all {
        *counts.entry(one).or_default() += 1;
    }
    all.iter().rev().max_by_key(|one| counts[one]).cloned()
}

/// The keys of an entry, as near to the default as possible.
pub(super) fn place(entry: &Entry, default: &Keys) -> Keys {
    let fitting = fitting(&entry.source, &entry.targets);
    let same = fitting.iter().find(|keys| *keys == default);
    let near = fitting.iter().find(|keys| keys.first() == default.first());
    let found = same.or(near).or(fitting.first());
    found.cloned().unwrap_or_default()
}

/// The keys that put a source at its targets, the most general first. None if only several entries
/// can. For one target the last names the path.
pub(super) fn fitting(source: &Repository, targets: &[Repository]) -> Vec<Keys> {
    let keys = |targets: &[String], path: &str| {
        let path = Some(Toml::text(path));
        model::keys([("target", Toml::texts(targets)), ("path", path)])
    };
    if source.is_pattern() {
        // What is found there keeps its path.
        let targets: Vec<String> = targets.iter().map(Repository::to_string).collect();
        return vec![keys(&targets, "{repository}")];
    }
    let registry = source.registry.replace(':', "-").to_lowercase();
    let endings = PATHS.iter().map(|path| {
        let ending = path
            .replace("{registry}", &registry)
            .replace("{repository}", &source.path)
            .replace("{repository|flatten}", &source.path.replace('/', "-"))
            .replace("{name}", source.name());
        (*path, ending)
    });
    let name = targets.first().map_or("", Repository::name);
    let all = endings.chain([(name, name.to_owned())]);
    let fitting = all.filter_map(|(path, ending)| {
        let above = targets.iter().map(|target| {
            let above = target.path.strip_suffix(&ending)?;
            let is_whole = above.is_empty() || above.ends_with('/');
            is_whole.then(|| Repository::new(&target.registry, above).to_string())
        });
        Some(keys(&above.collect::<Option<Vec<_>>>()?, path))
    });
    fitting.collect()
}
