//! Writes `mirror.toml` the way a person would: what entries share stands once, at the top.
//!
//! The caller checks what is written. What it refuses becomes a comment with the reason, so that
//! the rest of the file is accepted.

mod page;
mod placement;
mod settle;
mod table;

use std::collections::HashSet;

use self::page::{Owner, Page};
use crate::{
    diagnostics::{Remark, printable},
    model::{Import, Item, Setting},
};

/// What was made of a file.
#[derive(Debug)]
pub struct Rendered {
    /// The text of `mirror.toml`.
    pub toml: String,
    /// All remarks, in the order of the file.
    pub remarks: Vec<Remark>,
    /// The environment variables that need a password.
    pub variables: Vec<Variable>,
}

/// An environment variable for a password that was in the file. The password is not printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The variable's name.
    pub name: String,
    /// The registry that the password is for.
    pub registry: String,
}

/// A line of a `mirror.toml` that is not accepted.
#[derive(Debug)]
pub struct Refusal {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, in one line.
    pub reason: String,
}

/// Returns what is wrong with the text of a `mirror.toml`.
pub(crate) type Check<'a> = &'a dyn Fn(&str) -> Vec<Refusal>;

/// Writes the file. `title` is its first line.
pub(crate) fn write(mut import: Import, title: &str, check: Check<'_>) -> Rendered {
    import.items = settle::settle(import.items);
    let variables = variables(&import);
    loop {
        let page = Page::of(&import, title, &variables);
        let refusals = check(&page.text());
        if !mark_all(&mut import, &page, refusals, check) {
            return Rendered {
                toml: page.text(),
                remarks: remarks(&import),
                variables,
            };
        }
    }
}

/// Marks what is refused. Returns whether anything is new.
fn mark_all(import: &mut Import, page: &Page, refusals: Vec<Refusal>, check: Check<'_>) -> bool {
    let (mut is_new, mut is_shared, mut is_refused) = (false, false, false);
    for Refusal { line, reason } in refusals {
        match page.owner(line) {
            Owner::Nobody => is_shared = true,
            Owner::Registry(at) => is_new |= mark(&mut import.registries[*at].refused, &reason),
            Owner::Entries(items) => {
                for at in items {
                    if let Item::Entry(entry) = &mut import.items[*at] {
                        // Of several in one block the next round shows which is wrong.
                        is_new |= !std::mem::replace(&mut entry.is_alone, true);
                        if items.len() == 1 {
                            is_refused |= mark(&mut entry.refused, &reason);
                        }
                    }
                }
            }
        }
    }
    if is_refused {
        // Those that remain may stand together again.
        for item in &mut import.items {
            if let Item::Entry(entry) = item {
                entry.is_alone = false;
            }
        }
    }
    is_new |= is_refused;
    if is_new || !is_shared {
        return is_new;
    }
    // A key of [defaults] is wrong for some entries: each is checked by itself.
    for item in &mut import.items {
        if let Item::Entry(entry) = item
            && entry.refused.is_none()
        {
            let items = vec![Item::Entry(entry.clone())];
            let nothing = Import::default();
            let page = Page::of(&Import { items, ..nothing }, "", &[]);
            if let Some(refusal) = check(&page.text()).into_iter().next() {
                is_new |= mark(&mut entry.refused, &refusal.reason);
            }
        }
    }
    is_new
}

fn mark(refused: &mut Option<String>, reason: &str) -> bool {
    let is_new = refused.is_none();
    refused.get_or_insert_with(|| printable(reason));
    is_new
}

/// All remarks, and what was refused.
fn remarks(import: &Import) -> Vec<Remark> {
    let mut all = import.remarks.clone();
    let loss = |place: &crate::Place, text: String| Remark {
        place: place.clone(),
        text: printable(&text),
        is_loss: true,
    };
    for registry in &import.registries {
        all.extend(registry.remarks.iter().cloned());
        let refused = registry.refused.iter();
        all.extend(refused.map(|why| loss(&registry.place, format!("{}: {why}", registry.name))));
    }
    for item in &import.items {
        match item {
            Item::Lost(remark) => all.push(remark.clone()),
            Item::Entry(entry) => {
                all.extend(entry.remarks.iter().cloned());
                let refused = entry.refused.iter();
                all.extend(refused.map(|why| loss(&entry.place, why.clone())));
            }
        }
    }
    all.sort_by(|a, b| a.place.cmp(&b.place));
    all.dedup();
    all
}

/// A variable for each password that was in the file.
fn variables(import: &Import) -> Vec<Variable> {
    let mut taken = HashSet::new();
    let is_password = |(_, setting): &(_, Setting)| matches!(setting, Setting::Password(_));
    let registries = import.registries.iter();
    let with_password = registries.filter(|registry| registry.login.iter().any(is_password));
    let named = with_password.map(|registry| {
        let word = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        };
        let word: String = registry.name.chars().map(word).collect();
        let starts_with_digit = word.starts_with(|c: char| c.is_ascii_digit());
        let prefix = if starts_with_digit { "REGISTRY_" } else { "" };
        let base = format!("{prefix}{word}_PASSWORD");
        let mut name = base.clone();
        let mut count = 1;
        while !taken.insert(name.clone()) {
            count += 1;
            name = format!("{base}_{count}");
        }
        let registry = registry.name.clone();
        Variable { name, registry }
    });
    named.collect()
}
