//! Writes `mirror.toml` the way a person would: what entries share stands once, at the top.
//!
//! The caller checks what is written. What it refuses becomes a comment with the reason, so that
//! the rest of the file is accepted.

mod page;
mod placement;

use std::collections::HashSet;

use self::page::{Form, Owner, Page};
use crate::{
    diagnostics::Remark,
    model::{Entry, Import, Registry, Toml},
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

/// Writes the file. `check` returns what is wrong with a text.
pub(crate) fn write(mut import: Import, check: &dyn Fn(&str) -> Vec<Refusal>) -> Rendered {
    import.entries = settle(import.entries);
    import.remarks = in_order(import.remarks);
    let variables = name_variables(&mut import.registries);
    let toml = loop {
        let page = Page::of(&import, Form::Shared);
        if check(&page.text).is_empty() {
            break page.text;
        }
        // A table of its own for each entry shows which are refused.
        let single = Page::of(&import, Form::Single);
        let refusals = check(&single.text);
        if !refuse(&mut import, &single, refusals) {
            break page.text;
        }
    };
    let registries = import.registries.into_iter();
    let mut remarks = import.remarks;
    remarks.extend(registries.filter_map(|registry| registry.refused));
    let entries = import.entries.into_iter();
    remarks.extend(entries.filter_map(|entry| entry.refused));
    Rendered {
        toml,
        remarks: in_order(remarks),
        variables,
    }
}

/// Remarks in the order of the file, each once.
fn in_order(mut remarks: Vec<Remark>) -> Vec<Remark> {
    remarks.sort_by(|a, b| a.place.cmp(&b.place));
    remarks.dedup();
    remarks
}

/// Marks what the refused lines belong to. Returns whether anything is new.
fn refuse(import: &mut Import, page: &Page, refusals: Vec<Refusal>) -> bool {
    let mut is_new = false;
    for Refusal { line, reason } in refusals {
        let (refused, place) = match page.owner(line) {
            Some(Owner::Entry(at)) => {
                let entry = &mut import.entries[at];
                (&mut entry.refused, &entry.place)
            }
            Some(Owner::Registry(at)) => {
                let registry = &mut import.registries[at];
                (&mut registry.refused, &registry.place)
            }
            None => continue,
        };
        if refused.is_none() {
            *refused = Some(Remark::loss(place.clone(), reason));
            is_new = true;
        }
    }
    is_new
}

/// Leaves out what an earlier entry selects already, and pulls once for several targets.
fn settle(entries: Vec<Entry>) -> Vec<Entry> {
    let mut settled: Vec<Entry> = Vec::new();
    let mut known = HashSet::new();
    for mut entry in entries {
        let (source, targets) = (entry.source.clone(), entry.targets.clone());
        let base = (source, targets, entry.keys.clone());
        let mut is_new = |tag: &str| known.insert((base.clone(), tag.to_owned()));
        let is_listed = entry.tags.is_empty() && is_new("");
        entry.tags.retain(|tag| is_new(tag));
        match settled.last_mut() {
            _ if entry.refused.is_none() && !is_listed && entry.tags.is_empty() => {}
            Some(last) if joins(last, &entry) => last.targets.append(&mut entry.targets),
            _ => settled.push(entry),
        }
    }
    settled
}

/// Whether an entry says the same as the one before it for another target, and one `path` fits.
fn joins(last: &Entry, next: &Entry) -> bool {
    let targets = [&last.targets[..], &next.targets].concat();
    last.source == next.source
        && (&last.place, &last.refused) == (&next.place, &next.refused)
        && (&last.tags, &last.keys) == (&next.tags, &next.keys)
        && !placement::fitting(&last.source, &targets).is_empty()
}

/// Names a variable for each password that was in the file.
fn name_variables(registries: &mut [Registry]) -> Vec<Variable> {
    let mut taken = HashSet::new();
    let mut variables = Vec::new();
    for known in registries {
        if known.password.is_some() {
            let registry = known.name.clone();
            let upper = registry.to_ascii_uppercase();
            let word = upper.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let starts_with_digit = word.starts_with(|c: char| c.is_ascii_digit());
            let prefix = if starts_with_digit { "REGISTRY_" } else { "" };
            let name = unique(format!("{prefix}{word}_PASSWORD"), "_", &mut taken);
            known
                .login
                .push(("password", Toml::elsewhere("env", &name)));
            variables.push(Variable { name, registry });
        }
    }
    variables
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
