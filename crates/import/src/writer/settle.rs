//! What happens to entries before they are written: repeated ones are left out, and targets of one
//! source stand together.

use std::collections::HashSet;

use super::placement;
use crate::model::{Entry, Item};

/// Leaves out what an earlier entry selects already, and pulls once for several targets.
pub(super) fn settle(items: Vec<Item>) -> Vec<Item> {
    let mut settled: Vec<Item> = Vec::new();
    let mut known = HashSet::new();
    for item in items {
        let Item::Entry(mut entry) = item else {
            settled.push(item);
            continue;
        };
        let base = (
            entry.source.clone(),
            entry.targets.clone(),
            entry.keys.clone(),
        );
        let mut is_new = |tag: &str| known.insert((base.clone(), tag.to_owned()));
        let is_listed = entry.tags.is_empty() && is_new("");
        entry.tags.retain(|tag| is_new(tag));
        match settled.last_mut() {
            _ if !is_listed && entry.tags.is_empty() => {
                settled.extend(entry.remarks.into_iter().map(Item::Lost));
            }
            Some(Item::Entry(last)) if joins(last, &entry) => {
                last.targets.append(&mut entry.targets);
            }
            _ => settled.push(Item::Entry(entry)),
        }
    }
    settled
}

/// Whether an entry says the same as the one before it for another target, and one `path` fits.
fn joins(last: &Entry, next: &Entry) -> bool {
    let says = |entry: &Entry| (entry.place.clone(), entry.tags.clone(), entry.keys.clone());
    let targets = [&last.targets[..], &next.targets].concat();
    last.source == next.source
        && says(last) == says(next)
        && next.remarks.is_empty()
        && placement::has_one_path(&last.source, &targets)
}
