//! The lines of a `mirror.toml`, and what each belongs to.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    Variable,
    placement::{self, Placement},
    table,
};
use crate::{
    diagnostics::Remark,
    model::{Entry, Import, Item, Keys, Registry, Setting},
    reference::Repository,
};

/// Most tags in one pair of braces.
const MAX_IN_BRACES: usize = 12;

/// Keys that stand in `[defaults]` where all entries have them.
const SHARED: [&str; 6] = [
    "tag",
    "platforms",
    "referrers",
    "backup_tag",
    "every",
    "schedule",
];

/// What a line belongs to, by its index in the import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    Registry(usize),
    Entries(Vec<usize>),
}

/// All lines.
pub(super) struct Page {
    lines: Vec<(String, Owner)>,
    /// The file with the images. Remarks about another name it.
    file: Option<Arc<str>>,
}

/// Entries that stand in one `[[mirror]]`: they differ only in their sources.
struct Block<'a> {
    placement: Placement,
    members: Vec<(usize, &'a Entry)>,
}

impl Page {
    /// The whole file.
    pub(super) fn of(import: &Import, title: &str, variables: &[Variable]) -> Self {
        let file = import.items.first().map(|item| item.place().file.clone());
        let lines = Vec::new();
        let mut page = Self { lines, file };
        page.comment(title);
        for remark in &import.remarks {
            page.push("", &Owner::Nobody);
            page.remark(remark);
        }
        for (at, registry) in import.registries.iter().enumerate() {
            let mut variables = variables.iter();
            let variable = variables.find(|variable| variable.registry == registry.name);
            page.registry(registry, variable, &Owner::Registry(at));
        }
        let all = import.items.iter().filter_map(|item| match item {
            Item::Entry(entry) => Some(&**entry),
            Item::Lost(_) => None,
        });
        let all: Vec<&Entry> = all.collect();
        let live = all.iter().copied().filter(|entry| entry.refused.is_none());
        let live: Vec<&Entry> = live.collect();
        let default = placement::default_of(&live).or_else(|| placement::default_of(&all));
        let shared = shared(&live);
        if let Some(default) = &default {
            page.push("", &Owner::Nobody);
            page.push(&table::defaults(default, &shared), &Owner::Nobody);
        }
        let mut names = HashSet::new();
        let default = default.unwrap_or_default();
        for block in blocks(import, &default) {
            page.push("", &Owner::Nobody);
            match block {
                Ok(block) => page.block(&block, &default, &shared, &mut names),
                Err(remark) => page.remark(remark),
            }
        }
        page
    }

    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter();
        lines.flat_map(|(line, _)| [line.as_str(), "\n"]).collect()
    }

    /// What a line belongs to, counted from 1.
    pub(super) fn owner(&self, line: usize) -> &Owner {
        let line = line.checked_sub(1).and_then(|at| self.lines.get(at));
        line.map_or(&Owner::Nobody, |(_, owner)| owner)
    }

    /// Adds the lines of a text.
    fn push(&mut self, text: &str, owner: &Owner) {
        let lines = text
            .split('\n')
            .map(|line| (line.to_owned(), owner.clone()));
        self.lines.extend(lines);
    }

    /// A comment in as many lines as it needs. Nothing that it quotes can end it.
    fn comment(&mut self, text: &str) {
        let mut line = "#".to_owned();
        let is_gap = |c: char| c.is_whitespace() || c.is_control();
        for word in text.split(is_gap).filter(|word| !word.is_empty()) {
            if line.chars().count() + word.chars().count() >= table::WIDTH && line.len() > 1 {
                self.push(&line, &Owner::Nobody);
                line = "#".into();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.push(&line, &Owner::Nobody);
    }

    fn remark(&mut self, remark: &Remark) {
        let kind = if remark.is_loss { "left out, " } else { "" };
        let file = match &self.file {
            Some(file) if *file != remark.place.file => format!("{} ", remark.place.file),
            _ => String::new(),
        };
        let place = match remark.place.line {
            0 => String::new(),
            line => format!("{file}line {line}: "),
        };
        self.comment(&format!("{kind}{place}{}", remark.text));
    }

    /// Adds a table, as a comment where there is a reason.
    fn table(&mut self, text: &str, owner: &Owner, refused: Option<(usize, &String)>) {
        match refused {
            None => self.push(text, owner),
            Some((line, reason)) => {
                self.comment(&format!("left out, line {line}: {reason}"));
                let commented: Vec<String> = text.lines().map(|line| format!("# {line}")).collect();
                self.push(&commented.join("\n"), &Owner::Nobody);
            }
        }
    }

    fn registry(&mut self, registry: &Registry, variable: Option<&Variable>, owner: &Owner) {
        let table = table::registry(registry, variable.map(|variable| variable.name.as_str()));
        if table.is_empty() && registry.remarks.is_empty() {
            return;
        }
        self.push("", &Owner::Nobody);
        for remark in &registry.remarks {
            self.remark(remark);
        }
        if !table.is_empty() {
            let refused = registry.refused.as_ref();
            self.table(
                &table,
                owner,
                refused.map(|reason| (registry.place.line, reason)),
            );
        }
    }

    fn block(
        &mut self,
        block: &Block<'_>,
        default: &Placement,
        shared: &Keys,
        names: &mut HashSet<String>,
    ) {
        let first = block.members[0].1;
        let name = block.name(names);
        let from = block.from();
        let text = table::mirror(name, &from, &block.placement, &first.keys, default, shared);
        for remark in block.members.iter().flat_map(|(_, entry)| &entry.remarks) {
            self.remark(remark);
        }
        let owner = Owner::Entries(block.members.iter().map(|(at, _)| *at).collect());
        let refused = first.refused.as_ref();
        self.table(
            &text,
            &owner,
            refused.map(|reason| (first.place.line, reason)),
        );
    }
}

/// The blocks, and what was lost between them. A comment with its reason stands by itself, and so
/// does one tag with another name.
fn blocks<'a>(import: &'a Import, default: &Placement) -> Vec<Result<Block<'a>, &'a Remark>> {
    let mut blocks: Vec<Result<Block<'_>, &Remark>> = Vec::new();
    let mut known = HashMap::new();
    for (at, item) in import.items.iter().enumerate() {
        let entry = match item {
            Item::Entry(entry) => &**entry,
            Item::Lost(remark) => {
                blocks.push(Err(remark));
                continue;
            }
        };
        let placement = placement::place(entry, default);
        let is_own = entry.is_alone || entry.refused.is_some() || entry.keys.iter().any(is_fixed);
        let group = entry.name.as_ref().unwrap_or(&entry.source.registry);
        let own = is_own.then_some(at);
        let likeness = (
            placement.clone(),
            &entry.keys,
            group,
            entry.tags.is_empty(),
            own,
        );
        let index = *known.entry(likeness).or_insert(blocks.len());
        if let Some(Ok(block)) = blocks.get_mut(index) {
            block.members.push((at, entry));
        } else {
            let members = vec![(at, entry)];
            blocks.push(Ok(Block { placement, members }));
        }
    }
    blocks
}

/// Whether a key is a `tag` that is one name, and not a template.
fn is_fixed((key, setting): &(&'static str, Setting)) -> bool {
    *key == "tag" && !matches!(setting, Setting::Text(text) if text.contains('{'))
}

/// The keys that every entry has alike. Entries that wait for a command need no schedule.
fn shared(entries: &[&Entry]) -> Keys {
    let is_paused = |entry: &Entry| entry.keys.iter().any(|(key, _)| *key == "paused");
    let first = entries.iter().find(|entry| !is_paused(entry));
    let keys = first.map_or(&[][..], |entry| &entry.keys);
    let is_shared = |key: &&(&'static str, Setting)| {
        let is_schedule = matches!(key.0, "every" | "schedule");
        let has = |entry: &&Entry| entry.keys.contains(key) || is_schedule && is_paused(entry);
        SHARED.contains(&key.0) && !is_fixed(key) && entries.iter().all(has)
    };
    keys.iter().filter(is_shared).cloned().collect()
}

impl Block<'_> {
    /// The name, where the sources do not give one.
    fn name(&self, taken: &mut HashSet<String>) -> Option<String> {
        let first = self.members[0].1;
        let of_several = (self.members.len() > 1).then(|| first.source.registry.clone());
        let base = first.name.clone().or(of_several)?;
        let mut name = base.clone();
        let mut count = 1;
        while !taken.insert(name.clone()) {
            count += 1;
            name = format!("{base} {count}");
        }
        (!name.is_empty()).then_some(name)
    }

    fn from(&self) -> Vec<String> {
        let mut sources: Vec<(&Repository, Vec<&str>)> = Vec::new();
        for (_, Entry { source, tags, .. }) in &self.members {
            let tags = tags.iter().map(String::as_str);
            match sources.last_mut() {
                Some((last, known)) if *last == source => known.extend(tags),
                _ => sources.push((source, tags.collect())),
            }
        }
        let names = sources
            .iter()
            .flat_map(|(source, tags)| match tags.as_slice() {
                [] => vec![source.to_string()],
                [tag] => vec![format!("{source}:{tag}")],
                tags => {
                    let few = tags.chunks(MAX_IN_BRACES);
                    few.map(|tags| format!("{source}:{{{}}}", tags.join(",")))
                        .collect()
                }
            });
        names.collect()
    }
}
