//! Writes `mirror.toml` the way a person would: what entries share once, at the top.
//!
//! What is written is read by the parser of `mirror.toml` before anybody sees it. What that refuses
//! becomes a comment with the parser's reason, so that the file as a whole is always accepted.

use std::{collections::HashSet, path::Path};

use super::{
    layout::{Layout, Owner},
    model::{Import, Item, Login, Remark, Secret, printable},
    settle,
};
use crate::config::{Config, Error};

/// What was made of a file.
#[derive(Debug)]
pub(super) struct Written {
    /// `mirror.toml`.
    pub(super) text: String,
    /// All that is told, in the order of the file.
    pub(super) remarks: Vec<Remark>,
    /// The environment variables that are to have passwords, each with its registry.
    pub(super) variables: Vec<(String, String)>,
}

/// Writes it; `title` is what the first line says.
pub(super) fn write(mut import: Import, title: &str) -> Written {
    import.items = settle::settle(import.items);
    for item in &mut import.items {
        if let Item::Entry(entry) = item {
            entry.refused = entry.refused.take().map(|reason| printable(&reason));
        }
    }
    import.registries.retain(|registry| !registry.is_empty());
    let variables = variables(&import);
    loop {
        let layout = Layout::of(&import, title, &variables);
        let refused = refusals(&layout);
        if !refuse(&mut import, &layout, refused, &variables) {
            return Written {
                text: layout.text(),
                remarks: remarks(&import),
                variables,
            };
        }
    }
}

/// The lines that the parser has an error for, counted from 0, with what it says.
fn refusals(layout: &Layout) -> Vec<(usize, String)> {
    match Config::parse_without_secrets(Path::new("mirror.toml"), &layout.text()) {
        Err(Error::Invalid(report)) => {
            let records = report.records().into_iter();
            let errors = records.filter(|record| record.severity == "error");
            let said = errors.map(|record| {
                let text = format!("{}; {}", record.message, record.remedy);
                (record.line - 1, printable(&text))
            });
            said.collect()
        }
        _ => Vec::new(),
    }
}

/// Marks what the parser refuses; whether there was anything new.
fn refuse(
    import: &mut Import,
    layout: &Layout,
    refused: Vec<(usize, String)>,
    variables: &[(String, String)],
) -> bool {
    let (mut is_new, mut is_shared) = (false, false);
    for (line, reason) in refused {
        match layout.owner(line) {
            Owner::Nobody => is_shared = true,
            Owner::Registry(at) => {
                let registry = &mut import.registries[*at];
                is_new |= registry.refused.is_none();
                registry.refused.get_or_insert(reason);
            }
            Owner::Entries(items) => {
                for at in items {
                    is_new |= mark(&mut import.items[*at], &reason);
                }
            }
        }
    }
    if is_new || !is_shared {
        return is_new;
    }
    // A key of [defaults] is at fault for some: each is tried alone.
    for at in 0..import.items.len() {
        let alone = Layout::of_one(import, at, variables);
        if let Some((_, reason)) = alone.and_then(|layout| refusals(&layout).into_iter().next()) {
            is_new |= mark(&mut import.items[at], &reason);
        }
    }
    is_new
}

fn mark(item: &mut Item, reason: &str) -> bool {
    let Item::Entry(entry) = item else {
        return false;
    };
    let is_new = entry.refused.is_none();
    entry.refused.get_or_insert_with(|| reason.to_owned());
    is_new
}

/// All that is told.
fn remarks(import: &Import) -> Vec<Remark> {
    let mut all = import.remarks.clone();
    for registry in &import.registries {
        all.extend(registry.remarks.iter().cloned());
        all.extend(registry.refused.iter().map(|reason| Remark {
            place: registry.place.clone(),
            text: format!("{}: {reason}", registry.name),
            is_loss: true,
        }));
    }
    for item in &import.items {
        match item {
            Item::Lost(remark) => all.push(remark.clone()),
            Item::Entry(entry) => {
                all.extend(entry.remarks.iter().cloned());
                all.extend(entry.refused.iter().map(|reason| Remark {
                    place: entry.place.clone(),
                    text: reason.clone(),
                    is_loss: true,
                }));
            }
        }
    }
    all.sort_by(|a, b| {
        a.place
            .file
            .cmp(&b.place.file)
            .then(a.place.line.cmp(&b.place.line))
    });
    all.dedup();
    all
}

/// A name for each password that was in the file.
fn variables(import: &Import) -> Vec<(String, String)> {
    let mut taken = HashSet::new();
    let given = import.registries.iter().filter(|registry| {
        let login = &registry.login;
        matches!(
            login,
            Login::Password {
                secret: Secret::Given(_),
                ..
            }
        )
    });
    let named = given.map(|registry| {
        let upper = registry.name.to_uppercase();
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let word: String = upper.chars().map(word).collect();
        let prefix = if word.starts_with(|c: char| c.is_ascii_digit()) {
            "REGISTRY_"
        } else {
            ""
        };
        let base = format!("{prefix}{word}_PASSWORD");
        let mut name = base.clone();
        let mut count = 1;
        while !taken.insert(name.clone()) {
            count += 1;
            name = format!("{base}_{count}");
        }
        (name, registry.name.clone())
    });
    named.collect()
}
