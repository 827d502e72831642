//! What `mirror.toml` asks for, as the model understands it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Every tag that a source may have, newest first: versions, then names in natural order.
pub const NEWEST_FIRST: [&str; 11] = [
    "v2.1.0",
    "v2.0.0",
    "v1.10.0",
    "v1.9.0",
    "v1.2.0",
    "v1.1.0",
    "v1.0.0",
    "nightly-2",
    "nightly-1",
    "latest",
    "edge",
];

/// Tags of a repository with their digests.
pub type Tags = BTreeMap<String, String>;

/// The tags of each repository of a registry.
pub type Repositories = BTreeMap<String, Tags>;

/// One target repository at every target that it is for, and the entries that write there. They share
/// a source, targets and a template, or the file would be refused.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which of the two source registries.
    pub home: usize,
    pub repository: &'static str,
    pub path: String,
    pub targets: Vec<usize>,
    /// What `{tag}` is followed by at the target.
    pub suffix: &'static str,
    pub has_backup: bool,
    pub max_share: f64,
    pub entries: Vec<Entry>,
}

/// One `[[mirror]]` entry.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub choice: Choice,
    pub prune: Option<Rule>,
}

/// What an entry selects.
#[derive(Clone, Debug)]
pub enum Choice {
    Named(Vec<&'static str>),
    Glob {
        tags: &'static str,
        exclude: Option<&'static str>,
        latest: Option<usize>,
    },
}

/// When an entry prunes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub after_hours: i64,
    pub keep: usize,
}

impl Choice {
    /// Whether the entry would take a tag by its name.
    pub fn allows(&self, tag: &str) -> bool {
        match self {
            Self::Named(named) => named.contains(&tag),
            Self::Glob { tags, exclude, .. } => {
                is_match(tags, tag) && !exclude.is_some_and(|exclude| is_match(exclude, tag))
            }
        }
    }

    /// The tags that it selects of those that a source lists, and of those that it has.
    pub fn select(&self, listed: &BTreeSet<String>, held: &BTreeSet<String>) -> Vec<String> {
        match self {
            Self::Named(named) => {
                let named = named.iter().map(|tag| (*tag).to_owned());
                named.filter(|tag| held.contains(tag)).collect()
            }
            Self::Glob { latest, .. } => {
                let found = NEWEST_FIRST.iter().filter(|tag| self.allows(tag));
                let found = found.filter(|tag| listed.contains(**tag));
                let found = found.take(latest.unwrap_or(usize::MAX));
                found.map(|tag| (*tag).to_owned()).collect()
            }
        }
    }

    pub fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }
}

/// A glob with at most one `*`, at its end.
fn is_match(glob: &str, tag: &str) -> bool {
    match glob.strip_suffix('*') {
        Some(prefix) => tag.starts_with(prefix),
        None => glob == tag,
    }
}

impl Place {
    /// Where it is mirrored from.
    pub fn source(&self) -> String {
        format!("{}/{}", self.home, self.repository)
    }

    /// The name of a source tag at the target.
    pub fn target_tag(&self, tag: &str) -> String {
        format!("{tag}{}", self.suffix)
    }

    /// The name at the source of a target tag, where the template can give it.
    pub fn source_tag<'a>(&self, target_tag: &'a str) -> Option<&'a str> {
        target_tag.strip_suffix(self.suffix)
    }

    /// The tags that the entries want at the target, by their names there, each with its name at the
    /// source and the entry that brings it: the one that names it, else the first.
    pub fn wanted(
        &self,
        listed: &BTreeSet<String>,
        held: &BTreeSet<String>,
        is_counted: impl Fn(&Entry) -> bool,
    ) -> BTreeMap<String, (String, String)> {
        let mut wanted = BTreeMap::new();
        let by_name = |entry: &&Entry| !entry.choice.is_named();
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(by_name);
        for entry in entries.into_iter().filter(|entry| is_counted(entry)) {
            for tag in entry.choice.select(listed, held) {
                let owner = || (tag.clone(), entry.name.clone());
                wanted.entry(self.target_tag(&tag)).or_insert_with(owner);
            }
        }
        wanted
    }

    /// The entry that a leftover belongs to: one that names it, though the source has lost it, else the
    /// one that kept it, else the first.
    pub fn heir(&self, target_tag: &str, keeper: &str) -> &Entry {
        let tag = self.source_tag(target_tag);
        let named = self.entries.iter().find(|entry| {
            entry.choice.is_named() && tag.is_some_and(|tag| entry.choice.allows(tag))
        });
        let kept = || self.entries.iter().find(|entry| entry.name == keeper);
        named.or_else(kept).unwrap_or(&self.entries[0])
    }

    /// The entries in the words of `mirror.toml`.
    pub fn toml(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            let Self {
                home, repository, ..
            } = self;
            let targets: Vec<_> = self.targets.iter().map(|t| format!("\"T{t}\"")).collect();
            writeln!(
                text,
                "\n[[mirror]]\nname = \"{}\"\npath = \"{}\"\ntarget = [{}]",
                entry.name,
                self.path,
                targets.join(", ")
            )
            .unwrap();
            match &entry.choice {
                Choice::Named(named) => {
                    let image = |tag| format!("\"S{home}/{repository}:{tag}\"");
                    let images: Vec<_> = named.iter().map(image).collect();
                    writeln!(text, "from = [{}]", images.join(", ")).unwrap();
                }
                Choice::Glob {
                    tags,
                    exclude,
                    latest,
                } => {
                    writeln!(
                        text,
                        "from = \"S{home}/{repository}\"\ntags = \"{tags}\"\nmin_tags = 0"
                    )
                    .unwrap();
                    if let Some(exclude) = exclude {
                        writeln!(text, "exclude = \"{exclude}\"").unwrap();
                    }
                    if let Some(latest) = latest {
                        writeln!(text, "latest = {latest}").unwrap();
                    }
                }
            }
            if !self.suffix.is_empty() {
                writeln!(text, "tag = \"{{tag}}{}\"", self.suffix).unwrap();
            }
            if self.has_backup {
                writeln!(text, "backup_tag = \"{{tag}}.prev\"").unwrap();
            }
            if let Some(Rule { after_hours, keep }) = entry.prune {
                let share = self.max_share;
                writeln!(
                    text,
                    "prune = {{ after = \"{after_hours}h\", keep = {keep}, max_share = {share:?} }}"
                )
                .unwrap();
            }
        }
        text
    }
}
