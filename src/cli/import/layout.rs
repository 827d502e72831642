//! The lines of a `mirror.toml`, and what of the import each belongs to.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use super::{
    model::{Entry, Import, Item, Keys, Login, Referrers, Registry, Remark, Secret, Source, Tags},
    place::{self, Placed, USUAL_PATH},
};

/// Columns of a line of comment.
const WIDTH: usize = 98;

/// Tags in one pair of braces.
const MOST_IN_BRACES: usize = 12;

/// What a line belongs to, by its place in the import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    Registry(usize),
    Entries(Vec<usize>),
}

/// All lines.
pub(super) struct Layout {
    lines: Vec<(String, Owner)>,
    /// The file that says what is mirrored; of another remarks tell the name.
    file: Option<Rc<str>>,
}

/// Entries that stand in one `[[mirror]]`.
struct Block<'a> {
    items: Vec<usize>,
    entries: Vec<&'a Entry>,
    placed: Placed,
}

impl Layout {
    /// The whole file.
    pub(super) fn of(import: &Import, title: &str, variables: &[(String, String)]) -> Self {
        let mut items = import.items.iter();
        let mut layout = Self {
            lines: Vec::new(),
            file: items.next().map(|item| item.place().file.clone()),
        };
        layout.comment(title, &Owner::Nobody);
        for remark in &import.remarks {
            layout.comment("", &Owner::Nobody);
            layout.remark(remark, &Owner::Nobody);
        }
        for (at, registry) in import.registries.iter().enumerate() {
            layout.registry(registry, &Owner::Registry(at), variables);
        }
        let entries = || {
            import
                .items
                .iter()
                .enumerate()
                .filter_map(|(at, item)| match item {
                    Item::Entry(entry) => Some((at, &**entry)),
                    Item::Lost(_) => None,
                })
        };
        let live = || {
            entries()
                .map(|(_, entry)| entry)
                .filter(|e| e.refused.is_none())
        };
        let default =
            place::default_of(live()).or_else(|| place::default_of(entries().map(|e| e.1)));
        let shared = shared_keys(live());
        if let Some(default) = &default {
            layout.defaults(default, &shared);
            layout.mirrors(import, default, &shared);
        } else {
            layout.mirrors(
                import,
                &Placed {
                    targets: Vec::new(),
                    path: String::new(),
                },
                &shared,
            );
        }
        layout
    }

    /// One entry alone; none for what is no entry, or is refused already.
    pub(super) fn of_one(
        import: &Import,
        at: usize,
        variables: &[(String, String)],
    ) -> Option<Self> {
        let Item::Entry(entry) = &import.items[at] else {
            return None;
        };
        let alone = Import {
            items: vec![Item::Entry(entry.clone())],
            ..Import::default()
        };
        entry
            .refused
            .is_none()
            .then(|| Self::of(&alone, "", variables))
    }

    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter().map(|(line, _)| line.as_str());
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// What a line belongs to, counted from 0.
    pub(super) fn owner(&self, line: usize) -> &Owner {
        self.lines
            .get(line)
            .map_or(&Owner::Nobody, |(_, owner)| owner)
    }

    fn push(&mut self, line: impl Into<String>, owner: &Owner) {
        self.lines.push((line.into(), owner.clone()));
    }

    /// A comment in as many lines as it takes. Whatever is quoted in it, none of them is anything else.
    fn comment(&mut self, text: &str, owner: &Owner) {
        let mut line = "#".to_owned();
        let is_gap = |c: char| c.is_whitespace() || c.is_control();
        for word in text.split(is_gap).filter(|word| !word.is_empty()) {
            if line.chars().count() + word.chars().count() >= WIDTH && line.len() > 1 {
                self.push(std::mem::replace(&mut line, "#".into()), owner);
            }
            line.push(' ');
            line.push_str(word);
        }
        self.push(line, owner);
    }

    fn remark(&mut self, remark: &Remark, owner: &Owner) {
        let kind = if remark.is_loss { "left out, " } else { "" };
        let file = match &self.file {
            Some(file) if *file != remark.place.file => format!("{} ", remark.place.file),
            _ => String::new(),
        };
        let place = match remark.place.line {
            0 => String::new(),
            line => format!("{file}line {line}: "),
        };
        self.comment(&format!("{kind}{place}{}", remark.text), owner);
    }

    /// Lines of a table, as a comment where there is a reason.
    fn table(&mut self, lines: Vec<(String, Owner)>, refused: Option<(usize, &String)>) {
        let Some((line, reason)) = refused else {
            self.lines.extend(lines);
            return;
        };
        self.comment(&format!("left out, line {line}: {reason}"), &Owner::Nobody);
        for (line, owner) in lines {
            self.push(format!("# {line}"), &owner);
        }
    }

    fn registry(&mut self, registry: &Registry, owner: &Owner, variables: &[(String, String)]) {
        let mut lines = vec![format!("[registries.{}]", quoted(&registry.name))];
        match &registry.login {
            Login::None => {}
            Login::Helper(name) => lines.push(format!("login = {{ helper = {} }}", quoted(name))),
            Login::Password { username, secret } => {
                lines.push(format!("username = {}", quoted(username)));
                let source = match secret {
                    Secret::Env(name) => format!("env = {}", quoted(name)),
                    Secret::File(path) => format!("file = {}", quoted(path)),
                    Secret::Given(_) => {
                        let known = variables.iter().find(|(_, of)| *of == registry.name);
                        format!("env = {}", quoted(known.map_or("", |(name, _)| name)))
                    }
                };
                lines.push(format!("password = {{ {source} }}"));
            }
        }
        if registry.plain_http {
            lines.push("plain_http = true".into());
        }
        let text = |key: &str, value: Option<String>| value.map(|value| format!("{key} = {value}"));
        lines.extend(text("endpoint", registry.endpoint.as_deref().map(quoted)));
        lines.extend(text(
            "connections",
            registry.connections.map(|n| n.to_string()),
        ));
        let rate = registry.requests_per_second;
        lines.extend(text(
            "requests_per_second",
            rate.map(|rate| rate.to_string()),
        ));
        lines.extend(text("chunk", registry.chunk_bytes.map(size)));
        self.push("", &Owner::Nobody);
        for remark in &registry.remarks {
            self.remark(remark, owner);
        }
        if lines.len() > 1 {
            let lines = lines
                .into_iter()
                .map(|line| (line, owner.clone()))
                .collect();
            let line = registry.place.line;
            self.table(
                lines,
                registry.refused.as_ref().map(|reason| (line, reason)),
            );
        }
    }

    fn defaults(&mut self, default: &Placed, shared: &Keys) {
        let nobody = &Owner::Nobody;
        self.push("", nobody);
        self.push("[defaults]", nobody);
        self.push(
            format!("target = {}", one_or_list(&default.targets)),
            nobody,
        );
        if default.path != USUAL_PATH {
            self.push(format!("path = {}", quoted(&default.path)), nobody);
        }
        for line in keys(shared, &Keys::default()) {
            self.push(line, nobody);
        }
    }

    fn mirrors(&mut self, import: &Import, default: &Placed, shared: &Keys) {
        let mut names = HashSet::new();
        for block in blocks(import, default) {
            self.push("", &Owner::Nobody);
            let Some(block) = block
                .as_ref()
                .map_err(|remark| self.remark(remark, &Owner::Nobody))
                .ok()
            else {
                continue;
            };
            self.block(block, default, shared, &mut names);
        }
    }

    fn block(
        &mut self,
        block: &Block<'_>,
        default: &Placed,
        shared: &Keys,
        names: &mut HashSet<String>,
    ) {
        let first = block.entries[0];
        let owner = Owner::Entries(block.items.clone());
        let mut lines = vec![("[[mirror]]".to_owned(), owner.clone())];
        lines.extend(name(block, names).map(|n| (format!("name = {}", quoted(&n)), owner.clone())));
        lines.extend(sources(block, &owner));
        let mut add = |line: String| lines.push((line, owner.clone()));
        if block.placed.targets != default.targets {
            add(format!("target = {}", one_or_list(&block.placed.targets)));
        }
        if block.placed.path != default.path {
            add(format!("path = {}", quoted(&block.placed.path)));
        }
        if let Tags::Listed(selectors) = &first.tags {
            let regex = selectors
                .regex
                .as_deref()
                .map(|text| format!("regex = {}", quoted(text)));
            let semver = selectors.semver.as_deref();
            let semver = semver.map(|text| format!("semver = {}", quoted(text)));
            let list = |key: &str, globs: &[String]| {
                (!globs.is_empty()).then(|| format!("{key} = {}", one_or_list(globs)))
            };
            list("tags", &selectors.tags).into_iter().for_each(&mut add);
            regex.into_iter().chain(semver).for_each(&mut add);
            list("exclude", &selectors.exclude)
                .into_iter()
                .for_each(&mut add);
            if selectors.may_be_empty {
                add("min_tags = 0".into());
            }
        }
        keys(&first.keys, shared).into_iter().for_each(&mut add);
        for remark in block.entries.iter().flat_map(|entry| &entry.remarks) {
            self.remark(remark, &owner);
        }
        self.table(lines, first.refused.as_ref().map(|r| (first.place.line, r)));
    }
}

/// What stands in a row: entries that differ in their sources alone are one.
fn blocks<'a>(import: &'a Import, default: &Placed) -> Vec<Result<Block<'a>, &'a Remark>> {
    let mut blocks: Vec<Result<Block<'_>, &Remark>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (at, item) in import.items.iter().enumerate() {
        let entry = match item {
            Item::Entry(entry) => &**entry,
            Item::Lost(remark) => {
                blocks.push(Err(remark));
                continue;
            }
        };
        let placed = place::place(entry, default);
        let place = *known
            .entry(likeness(at, entry, &placed))
            .or_insert(blocks.len());
        if let Some(Ok(block)) = blocks.get_mut(place) {
            block.items.push(at);
            block.entries.push(entry);
        } else {
            blocks.push(Ok(Block {
                items: vec![at],
                entries: vec![entry],
                placed,
            }));
        }
    }
    blocks
}

/// What entries of one block have in common. What stands as a comment stands alone, with its reason.
fn likeness(at: usize, entry: &Entry, placed: &Placed) -> String {
    let selectors = match &entry.tags {
        Tags::Named(_) => None,
        Tags::Listed(selectors) => Some(selectors),
    };
    let Entry {
        group, name, keys, ..
    } = entry;
    let alone = entry.refused.as_ref().map(|_| at);
    format!("{:?}", (placed, selectors, group, name, keys, alone))
}

/// The keys that every entry has alike, and the schedule that most have.
fn shared_keys<'a>(mut entries: impl Iterator<Item = &'a Entry> + Clone) -> Keys {
    let schedule = most_frequent_schedule(entries.clone());
    let Some(mut shared) = entries.next().map(|entry| entry.keys.clone()) else {
        return Keys::default();
    };
    shared.is_paused = false;
    shared.schedule = schedule;
    for Entry { keys, .. } in entries {
        shared.tag = shared.tag.filter(|tag| keys.tag.as_ref() == Some(tag));
        let referrers = shared.referrers.take();
        shared.referrers = referrers.filter(|wanted| keys.referrers.as_ref() == Some(wanted));
        let backup = shared.backup_tag.take();
        shared.backup_tag = backup.filter(|tag| keys.backup_tag.as_ref() == Some(tag));
        if shared.platforms != keys.platforms {
            shared.platforms.clear();
        }
    }
    shared
}

/// None where an entry has no schedule, for it would get one.
fn most_frequent_schedule<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for entry in entries.filter(|entry| !entry.keys.is_paused) {
        let schedule = entry.keys.schedule.as_deref()?;
        match counts.iter_mut().find(|(known, _)| *known == schedule) {
            Some((_, count)) => *count += 1,
            None => counts.push((schedule, 1)),
        }
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    most.map(|(schedule, _)| (*schedule).to_owned())
}

/// The lines of keys, without those that are shared.
fn keys(keys: &Keys, shared: &Keys) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |key: &str, value: String| lines.push(format!("{key} = {value}"));
    if keys.platforms != shared.platforms {
        add("platforms", list(&keys.platforms));
    }
    let text = |own: &Option<String>, shared: &Option<String>| {
        own.as_deref()
            .filter(|own| Some(*own) != shared.as_deref())
            .map(quoted)
    };
    if let Some(tag) = text(&keys.tag, &shared.tag) {
        add("tag", tag);
    }
    if keys.referrers != shared.referrers {
        match &keys.referrers {
            None => {}
            Some(Referrers::All) => add("referrers", "true".into()),
            Some(Referrers::Types(types)) => add("referrers", list(types)),
        }
    }
    if let Some(tag) = text(&keys.backup_tag, &shared.backup_tag) {
        add("backup_tag", tag);
    }
    if let Some(schedule) = text(&keys.schedule, &shared.schedule) {
        add("schedule", schedule);
    }
    if keys.is_paused {
        add("paused", "true   # nothing started it but a command".into());
    }
    lines
}

/// The name of a `[[mirror]]`, where it does not go by what it is from.
fn name(block: &Block<'_>, taken: &mut HashSet<String>) -> Option<String> {
    let first = block.entries[0];
    let own = first.name.clone();
    let base = own.or_else(|| (block.entries.len() > 1).then(|| first.group.clone()))?;
    let mut name = base.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{base} {count}");
    }
    (!name.is_empty()).then_some(name)
}

/// The lines of `from`, one for each source where there are several.
fn sources(block: &Block<'_>, all: &Owner) -> Vec<(String, Owner)> {
    let mut texts: Vec<(String, Owner)> = Vec::new();
    for (at, entry) in block.items.iter().zip(&block.entries) {
        let source = match &entry.source {
            Source::Repository(repository) => repository.to_string(),
            Source::Pattern(pattern) => pattern.clone(),
        };
        let names = match &entry.tags {
            Tags::Listed(_) => vec![source],
            Tags::Named(names) => named(&source, names),
        };
        let owner = Owner::Entries(vec![*at]);
        texts.extend(names.into_iter().map(|name| (name, owner.clone())));
    }
    let mut seen = HashSet::new();
    texts.retain(|(text, _)| seen.insert(text.clone()));
    if let [(text, owner)] = texts.as_slice() {
        return vec![(format!("from = {}", quoted(text)), owner.clone())];
    }
    let mut lines = vec![("from = [".to_owned(), all.clone())];
    let texts = texts.into_iter();
    lines.extend(texts.map(|(text, owner)| (format!("    {},", quoted(&text)), owner)));
    lines.push(("]".into(), all.clone()));
    lines
}

fn named(source: &str, names: &[String]) -> Vec<String> {
    let few = names.chunks(MOST_IN_BRACES).map(|names| match names {
        [name] => format!("{source}:{name}"),
        names => format!("{source}:{{{}}}", names.join(",")),
    });
    few.collect()
}

fn one_or_list(texts: &[String]) -> String {
    match texts {
        [text] => quoted(text),
        texts => list(texts),
    }
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn size(bytes: u64) -> String {
    match bytes % (1 << 20) {
        0 => quoted(&format!("{} MiB", bytes >> 20)),
        _ => quoted(&format!("{bytes} B")),
    }
}

/// A TOML string; one with backslashes as it stands, where it may.
fn quoted(text: &str) -> String {
    let is_plain = !text.contains('\'') && !text.chars().any(char::is_control);
    if is_plain && text.contains(['\\', '"']) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
