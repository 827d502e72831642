//! What is to be seen to before anything is written: what is said twice, and what can be no entry.

use std::collections::{HashMap, HashSet};

use super::{
    model::{Entry, Item, Selectors, Source, Tags},
    place,
};
use crate::oci::{RegistryName, Repository};

/// Takes what an earlier entry says already out of the later ones, parts targets that no one
/// `path` leads to, and refuses targets that are no names.
pub(super) fn settle(items: Vec<Item>) -> Vec<Item> {
    let mut settled: Vec<Item> = Vec::new();
    let mut earlier: HashMap<String, Vec<Tags>> = HashMap::new();
    for item in items {
        let entry = match item {
            Item::Entry(entry) => *entry,
            lost => {
                settled.push(lost);
                continue;
            }
        };
        for mut entry in parted(entry).into_iter().map(checked) {
            if entry.refused.is_none() {
                let alike = (&entry.source, &entry.targets, &entry.keys);
                let alike = earlier.entry(format!("{alike:?}")).or_default();
                if !says_more(&mut entry.tags, alike) {
                    settled.extend(entry.remarks.into_iter().map(Item::Lost));
                    continue;
                }
                alike.push(entry.tags.clone());
            }
            settled.push(Item::Entry(Box::new(entry)));
        }
    }
    settled
}

/// One entry for each target where one `path` cannot do for all.
fn parted(entry: Entry) -> Vec<Entry> {
    if entry.targets.len() == 1 || place::has_one_path(&entry) {
        return vec![entry];
    }
    let targets = entry.targets.iter();
    let parts = targets.map(|target| Entry {
        targets: vec![target.clone()],
        ..entry.clone()
    });
    parts.collect()
}

fn checked(mut entry: Entry) -> Entry {
    let wrong = entry.targets.iter().find_map(|target| {
        let name = format!("{}/{}", target.registry, target.path);
        match &entry.source {
            Source::Repository(_) => name.parse::<Repository>().err(),
            Source::Pattern(_) => target.registry.parse::<RegistryName>().err(),
        }
    });
    entry.refused = entry.refused.or(wrong.map(|error| error.to_string()));
    entry
}

/// Whether tags are any that those before are not, which they are left with.
fn says_more(tags: &mut Tags, earlier: &[Tags]) -> bool {
    let every = Tags::Listed(Selectors::all());
    if earlier.contains(&every) || earlier.contains(tags) {
        return false;
    }
    if let Tags::Named(names) = tags {
        let mut known: HashSet<String> = HashSet::new();
        for other in earlier {
            if let Tags::Named(names) = other {
                known.extend(names.iter().cloned());
            }
        }
        names.retain(|name| known.insert(name.clone()));
        return !names.is_empty();
    }
    true
}
