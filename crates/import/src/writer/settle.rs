//! What happens to entries before they are written: repeated ones are left out, and targets of one
//! source stand together.

use std::collections::{HashMap, HashSet};

use super::placement;
use crate::{
    model::{Entry, Item, Keys, Setting},
    reference::Repository,
};

/// What was selected of a source for a target with the same keys.
#[derive(Default)]
struct Selected {
    names: HashSet<String>,
    /// Whether every tag is selected, so that names add nothing.
    is_all: bool,
}

/// Leaves out what an earlier entry selects already, and pulls once for several targets.
pub(super) fn settle(items: Vec<Item>) -> Vec<Item> {
    let mut settled: Vec<Item> = Vec::new();
    let mut earlier: HashMap<(Repository, Vec<Repository>, Keys), Selected> = HashMap::new();
    for item in items {
        let Item::Entry(mut entry) = item else {
            settled.push(item);
            continue;
        };
        let key = |keys: &[(&'static str, Setting)]| {
            (entry.source.clone(), entry.targets.clone(), keys.to_vec())
        };
        let every = ("tags", Setting::Text("*".into()));
        let (listed, others) = match entry.keys.split_first() {
            Some((first, others)) if *first == every && entry.tags.is_empty() => (true, others),
            _ => (false, entry.keys.as_slice()),
        };
        let known = earlier.entry(key(others)).or_default();
        let adds = if listed {
            !std::mem::replace(&mut known.is_all, true)
        } else if entry.tags.is_empty() {
            known.names.insert(String::new())
        } else {
            entry.tags.retain(|tag| known.names.insert(tag.clone()));
            !entry.tags.is_empty() && !known.is_all
        };
        match settled.last_mut() {
            _ if !adds => settled.extend(entry.remarks.into_iter().map(Item::Lost)),
            Some(Item::Entry(last)) if joins(last, &entry) => {
                last.targets.append(&mut entry.targets)
            }
            _ => settled.push(Item::Entry(entry)),
        }
    }
    settled
}

/// Whether an entry says the same as the one before it for another target, and one `path` fits
/// both.
fn joins(last: &Entry, next: &Entry) -> bool {
    let is_same = last.source == next.source
        && last.tags == next.tags
        && last.keys == next.keys
        && last.place == next.place
        && last.refused.is_none()
        && next.remarks.is_empty();
    is_same && placement::has_one_path(&last.source, &[&last.targets[..], &next.targets].concat())
}
