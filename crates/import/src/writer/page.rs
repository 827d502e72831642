//! The lines of a `mirror.toml`, and what each belongs to.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use toml_edit::Key;

use super::placement;
use crate::{
    diagnostics::Remark,
    model::{self, Entry, Import, Keys, Toml, WIDTH},
};

/// Most bytes of a comment.
const COMMENT: usize = 4 << 10;
/// Most tags in one pair of braces.
const MAX_IN_BRACES: usize = 12;

/// Keys that stand in `[defaults]` where all entries have them.
const SHARED: [&str; 4] = ["tag", "platforms", "referrers", "backup_tag"];

/// How entries are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What they share stands once.
    Shared,
    /// Each by itself.
    Single,
}

/// Whose table it is, by the index.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Registry(usize),
    Entry(usize),
}

/// The text of the file.
pub(super) struct Page {
    pub(super) text: String,
    /// Where each table begins in the text.
    tables: Vec<(usize, Owner)>,
    /// The file with the images. Remarks about another name it.
    file: Arc<str>,
}

/// Entries that stand in one `[[mirror]]`: they differ only in their sources.
struct Block<'a> {
    at: usize,
    keys: Keys,
    members: Vec<&'a Entry>,
}

impl Page {
    pub(super) fn of(import: &Import, form: Form) -> Self {
        let mut page = Self {
            text: String::new(),
            tables: Vec::new(),
            file: import.file.clone(),
        };
        page.comment(&import.title);
        for remark in &import.remarks {
            page.text.push('\n');
            page.remark(remark);
        }
        for (at, registry) in import.registries.iter().enumerate() {
            let keys = registry.login.iter().chain(&registry.keys);
            let header = format!("[registries.{}]", Key::new(&registry.name));
            page.tables.push((page.text.len(), Owner::Registry(at)));
            page.table(&header, keys, registry.refused.as_ref());
        }
        let implied = ("path", Toml::text(placement::DEFAULT_PATH));
        let (mut place, mut shared) = (Keys::new(), vec![implied.clone()]);
        if form == Form::Shared {
            let entries = import.entries.iter();
            let live: Vec<&Entry> = entries.filter(|entry| entry.refused.is_none()).collect();
            place = placement::most_common(&live);
            let common = [place.clone(), shared_keys(&live)].concat();
            let written = common.iter().filter(|key| **key != implied);
            page.table("[defaults]", written, None);
            if !place.is_empty() {
                shared.clear();
            }
            shared.extend(common);
        }
        let mut names = HashSet::new();
        for block in blocks(&import.entries, &place, form) {
            let (name, from) = (block.name(&mut names), Some(block.from()));
            let mut keys = model::keys([("name", name.map(Toml::text)), ("from", from)]);
            let own = block.keys.into_iter().filter(|key| !shared.contains(key));
            keys.extend(own);
            page.tables.push((page.text.len(), Owner::Entry(block.at)));
            page.table("[[mirror]]", &keys, block.members[0].refused.as_ref());
        }
        page
    }

    /// Whose table a line is in, counted from 1.
    pub(super) fn owner(&self, line: usize) -> Option<Owner> {
        let lines = self.text.split_inclusive('\n').take(line);
        let end: usize = lines.map(str::len).sum();
        let before = self.tables.partition_point(|(start, _)| *start < end);
        self.tables[..before].last().map(|(_, owner)| *owner)
    }

    /// A comment in as many lines as it needs. Nothing that it quotes can end it.
    fn comment(&mut self, text: &str) {
        let mut column = 1;
        self.text.push('#');
        for word in transship_text::one_line_of(text, COMMENT).split_whitespace() {
            column += 1 + word.chars().count();
            if column > WIDTH {
                self.text.push_str("\n#");
                column = 2 + word.chars().count();
            }
            self.text.extend([" ", word]);
        }
        self.text.push('\n');
    }

    fn remark(&mut self, remark: &Remark) {
        let kind = if remark.is_loss { "left out, " } else { "" };
        let place = match (&remark.place.file, remark.place.line) {
            (_, 0) => String::new(),
            (file, line) if *file == self.file => format!("line {line}: "),
            (file, line) => format!("{file} line {line}: "),
        };
        self.comment(&format!("{kind}{place}{}", remark.text));
    }

    /// Adds a table that has keys, as a comment where there is a reason.
    fn table<'k>(
        &mut self,
        header: &str,
        keys: impl IntoIterator<Item = &'k (&'static str, Toml)>,
        refused: Option<&Remark>,
    ) {
        let keys = keys.into_iter();
        let keys: String = keys
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        if keys.is_empty() {
            return;
        }
        self.text.push('\n');
        refused.into_iter().for_each(|reason| self.remark(reason));
        let mark = if refused.is_some() { "# " } else { "" };
        for line in [header].into_iter().chain(keys.lines()) {
            self.text.extend([mark, line, "\n"]);
        }
    }
}

/// The entries by what they have in common. A comment with its reason stands by itself, and so does
/// one tag with another name.
fn blocks<'a>(entries: &'a [Entry], place: &Keys, form: Form) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut known = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let keys = [placement::place(entry, place), entry.keys.clone()].concat();
        let is_own = form == Form::Single || entry.refused.is_some() || keys.iter().any(is_fixed);
        let group = entry.name.as_ref().unwrap_or(&entry.source.registry);
        let own = is_own.then_some(at);
        let likeness = (keys.clone(), group, entry.tags.is_empty(), own);
        let index = *known.entry(likeness).or_insert(blocks.len());
        match blocks.get_mut(index) {
            Some(block) => block.members.push(entry),
            None => blocks.push(Block {
                at,
                keys,
                members: vec![entry],
            }),
        }
    }
    blocks
}

/// Whether a key is a `tag` that is one name, and not a template.
fn is_fixed((key, value): &(&'static str, Toml)) -> bool {
    *key == "tag" && !value.is_template()
}

/// The keys that every entry has alike, and the schedule that most have.
fn shared_keys(entries: &[&Entry]) -> Keys {
    let first = entries.first().into_iter().flat_map(|entry| &entry.keys);
    let alike = first.filter(|key| SHARED.contains(&key.0) && !is_fixed(key));
    let alike = alike.filter(|key| entries.iter().all(|entry| entry.keys.contains(key)));
    let all = entries.iter().flat_map(|entry| &entry.keys);
    let schedules = all.filter(|(key, _)| matches!(*key, "every" | "schedule"));
    alike.chain(placement::most(schedules)).cloned().collect()
}

impl Block<'_> {
    /// The name, where the sources do not give one.
    fn name(&self, taken: &mut HashSet<String>) -> Option<String> {
        let first = self.members[0];
        let of_several = (self.members.len() > 1).then(|| first.source.registry.clone());
        let base = first.name.clone().or(of_several)?;
        Some(super::unique(base, " ", taken))
    }

    fn from(&self) -> Toml {
        let mut names = Vec::new();
        for Entry { source, tags, .. } in &self.members {
            if tags.is_empty() {
                names.push(source.to_string());
            }
            names.extend(tags.chunks(MAX_IN_BRACES).map(|tags| match tags {
                [tag] => format!("{source}:{tag}"),
                tags => format!("{source}:{{{}}}", tags.join(",")),
            }));
        }
        match names.as_slice() {
            [name] => Toml::text(name),
            names => Toml::lines(names, 0),
        }
    }
}
