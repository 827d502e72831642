//! Writes `mirror.toml` the way a person would: what entries share stands once, at the top.
//!
//! The caller checks what is written. What it refuses becomes a comment with the reason, so that
//! the rest of the file is accepted.

mod page;
mod placement;
mod settle;
mod table;

use std::collections::{BTreeSet, HashSet};

use self::page::Page;
use crate::{
    diagnostics::{Place, Remark},
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
        let refusals = check(&page.text);
        if !refuse(&mut import, &page, &refusals, check) {
            return Rendered {
                toml: page.text,
                remarks: remarks(&import),
                variables,
            };
        }
    }
}

/// Refuses what a line belongs to. Where that may be several, each is checked by itself, and then
/// written by itself. Returns whether anything is new.
fn refuse(import: &mut Import, page: &Page, refusals: &[Refusal], check: Check<'_>) -> bool {
    let (mut is_new, mut suspects) = (false, BTreeSet::new());
    for Refusal { line, reason } in refusals {
        match page.block_at(*line) {
            [] => suspects.extend(0..import.items.len()),
            [at] => {
                if let Item::Entry(entry) = &mut import.items[*at] {
                    is_new |= mark(&mut entry.refused, Some(reason.clone()));
                }
            }
            several => suspects.extend(several),
        }
    }
    if is_new {
        import.rejoin();
        return true;
    }
    let reason = |import: Import| {
        let refusals = check(&Page::of(&import, "", &[]).text).into_iter();
        // The first line is about the whole file.
        let mut refusals = refusals.filter(|refusal| refusal.line > 1);
        refusals.next().map(|refusal| refusal.reason)
    };
    if suspects.len() == import.items.len() {
        for registry in &mut import.registries {
            let mut single = Import::default();
            single.registries.push(registry.clone());
            is_new |= mark(&mut registry.refused, reason(single));
        }
    }
    let mut are_parted = false;
    for at in suspects {
        if let Item::Entry(entry) = &mut import.items[at] {
            let mut single = Import::default();
            single.items.push(Item::Entry(entry.clone()));
            is_new |= entry.refused.is_none() && mark(&mut entry.refused, reason(single));
            are_parted |= !std::mem::replace(&mut entry.is_alone, true);
        }
    }
    if is_new {
        import.rejoin();
    }
    is_new || are_parted
}

fn mark(refused: &mut Option<String>, reason: Option<String>) -> bool {
    let is_new = refused.is_none() && reason.is_some();
    *refused = refused.take().or(reason);
    is_new
}

/// All remarks, and what was refused.
fn remarks(import: &Import) -> Vec<Remark> {
    let mut all = import.remarks.clone();
    let mut refused = |place: &Place, name: &str, reason: &Option<String>| {
        let text = reason.as_ref().map(|reason| format!("{name}{reason}"));
        all.extend(text.map(|text| Remark {
            place: place.clone(),
            text: transship_text::one_line(&text),
            is_loss: true,
        }));
    };
    for registry in &import.registries {
        let name = format!("{}: ", registry.name);
        refused(&registry.place, &name, &registry.refused);
    }
    for entry in import.items.iter().filter_map(Item::entry) {
        refused(&entry.place, "", &entry.refused);
    }
    let registries = import.registries.iter();
    all.extend(registries.flat_map(|registry| registry.remarks.clone()));
    all.extend(import.items.iter().flat_map(Item::remarks).cloned());
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
        let upper = registry.name.to_ascii_uppercase();
        let word = upper.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let starts_with_digit = word.starts_with(|c: char| c.is_ascii_digit());
        let prefix = if starts_with_digit { "REGISTRY_" } else { "" };
        let name = unique(format!("{prefix}{word}_PASSWORD"), "_", &mut taken);
        let registry = registry.name.clone();
        Variable { name, registry }
    });
    named.collect()
}

/// A name that was not taken, with a number behind it if need be.
fn unique(base: String, gap: &str, taken: &mut HashSet<String>) -> String {
    let mut name = base.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{base}{gap}{count}");
    }
    name
}
