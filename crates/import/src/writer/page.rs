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

/// Most bytes of a comment.
const COMMENT: usize = 4 << 10;
/// Most tags in one pair of braces.
const MAX_IN_BRACES: usize = 12;

/// Keys that stand in `[defaults]` where all entries have them.
const SHARED: [&str; 4] = ["tag", "platforms", "referrers", "backup_tag"];

/// The text of the file.
pub(super) struct Page {
    pub(super) text: String,
    /// The entries of each `[[mirror]]`, by their indices.
    blocks: Vec<Vec<usize>>,
    /// The file with the images. Remarks about another name it.
    file: Arc<str>,
}

/// Entries that stand in one `[[mirror]]`: they differ only in their sources.
struct Block<'a> {
    placement: Placement,
    members: Vec<(usize, &'a Entry)>,
}

impl Page {
    pub(super) fn of(import: &Import, title: &str, variables: &[Variable]) -> Self {
        let mut page = Self {
            text: String::new(),
            blocks: Vec::new(),
            file: import.file.clone(),
        };
        page.comment(title);
        for remark in &import.remarks {
            page.text.push('\n');
            page.remark(remark);
        }
        for registry in &import.registries {
            let mut variables = variables.iter();
            let variable = variables.find(|variable| variable.registry == registry.name);
            page.registry(registry, variable);
        }
        let all = import.items.iter().filter_map(Item::entry);
        let all: Vec<&Entry> = all.collect();
        let live = all.iter().copied().filter(|entry| entry.refused.is_none());
        let live: Vec<&Entry> = live.collect();
        let default = placement::default_of(&live).or_else(|| placement::default_of(&all));
        let shared = shared(&live);
        if let Some(default) = &default {
            page.text.push('\n');
            page.table(&table::defaults(default, &shared), None);
        }
        let mut names = HashSet::new();
        let default = default.unwrap_or_default();
        for block in blocks(import, &default) {
            page.text.push('\n');
            match block {
                Err(remark) => page.remark(remark),
                Ok(block) => {
                    let remarks = block.members.iter().flat_map(|(_, entry)| &entry.remarks);
                    remarks.for_each(|remark| page.remark(remark));
                    let first = block.members[0].1;
                    let (name, from) = (block.name(&mut names), block.from());
                    let placement = &block.placement;
                    let text =
                        table::mirror(name, &from, placement, &first.keys, &default, &shared);
                    let refused = first.refused.as_ref();
                    page.table(&text, refused.map(|reason| (first.place.line, reason)));
                    if refused.is_none() {
                        let members = block.members.iter();
                        page.blocks.push(members.map(|(at, _)| *at).collect());
                    }
                }
            }
        }
        page
    }

    /// The entries of the `[[mirror]]` at a line, counted from 1.
    pub(super) fn block_at(&self, line: usize) -> &[usize] {
        let before = self.text.lines().take(line);
        let count = before.filter(|line| *line == "[[mirror]]").count();
        let block = count.checked_sub(1).and_then(|at| self.blocks.get(at));
        block.map_or(&[], Vec::as_slice)
    }

    /// A comment in as many lines as it needs. Nothing that it quotes can end it.
    fn comment(&mut self, text: &str) {
        let mut column = 1;
        self.text.push('#');
        for word in transship_text::one_line_of(text, COMMENT).split_whitespace() {
            column += 1 + word.chars().count();
            if column > table::WIDTH {
                self.text.push_str("\n#");
                column = 2 + word.chars().count();
            }
            self.text.extend([" ", word]);
        }
        self.text.push('\n');
    }

    fn remark(&mut self, remark: &Remark) {
        let kind = if remark.is_loss { "left out, " } else { "" };
        let file = match &self.file {
            file if *file != remark.place.file => format!("{} ", remark.place.file),
            _ => String::new(),
        };
        let place = match remark.place.line {
            0 => String::new(),
            line => format!("{file}line {line}: "),
        };
        self.comment(&format!("{kind}{place}{}", remark.text));
    }

    /// Adds a table, as a comment where there is a reason.
    fn table(&mut self, text: &str, refused: Option<(usize, &String)>) {
        if let Some((line, reason)) = refused {
            self.comment(&format!("left out, line {line}: {reason}"));
        }
        for line in text.lines() {
            self.text
                .push_str(if refused.is_some() { "# " } else { "" });
            self.text.extend([line, "\n"]);
        }
    }

    fn registry(&mut self, registry: &Registry, variable: Option<&Variable>) {
        let table = table::registry(registry, variable.map(|variable| variable.name.as_str()));
        if table.is_empty() && registry.remarks.is_empty() {
            return;
        }
        self.text.push('\n');
        registry
            .remarks
            .iter()
            .for_each(|remark| self.remark(remark));
        let refused = registry.refused.as_ref().filter(|_| !table.is_empty());
        self.table(&table, refused.map(|reason| (registry.place.line, reason)));
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

/// The keys that every entry has alike, and the schedule that most have. Paused entries need none.
fn shared(entries: &[&Entry]) -> Keys {
    let Some(first) = entries.first() else {
        return Keys::new();
    };
    let is_shared = |key: &&(&'static str, Setting)| {
        let has = |entry: &&Entry| entry.keys.contains(key);
        SHARED.contains(&key.0) && !is_fixed(key) && entries.iter().all(has)
    };
    let mut shared: Keys = first.keys.iter().filter(is_shared).cloned().collect();
    let is_schedule = |key: &&(&'static str, Setting)| matches!(key.0, "every" | "schedule");
    let is_paused = |entry: &Entry| entry.keys.iter().any(|(key, _)| *key == "paused");
    let running = entries.iter().filter(|entry| !is_paused(entry));
    let schedules = running.map(|entry| entry.keys.iter().find(is_schedule));
    let schedules: Vec<_> = schedules.collect::<Option<_>>().unwrap_or_default();
    let count = |schedule| schedules.iter().filter(|other| **other == schedule).count();
    let most = schedules
        .iter()
        .rev()
        .max_by_key(|schedule| count(**schedule));
    shared.extend(most.map(|schedule| (*schedule).clone()));
    shared
}

impl Block<'_> {
    /// The name, where the sources do not give one.
    fn name(&self, taken: &mut HashSet<String>) -> Option<String> {
        let first = self.members[0].1;
        let of_several = (self.members.len() > 1).then(|| first.source.registry.clone());
        let base = first.name.clone().or(of_several)?;
        Some(super::unique(base, " ", taken))
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
        let mut names = Vec::new();
        for (source, tags) in sources {
            if tags.is_empty() {
                names.push(source.to_string());
            }
            names.extend(tags.chunks(MAX_IN_BRACES).map(|tags| match tags {
                [tag] => format!("{source}:{tag}"),
                tags => format!("{source}:{{{}}}", tags.join(",")),
            }));
        }
        names
    }
}
