//! The formats: each reads its file into the model.

pub(crate) mod dregsy;
pub(crate) mod image_syncer;
pub(crate) mod regsync;
pub(crate) mod skopeo;

use std::sync::Arc;

use crate::{
    diagnostics::{Error, Place, Remark},
    model::{Entry, Import, Item, Keys, Registry, Setting},
    reference::{self, Repository},
    tags::{TagSets, pattern},
    template::{Syntax, Unfilled, Variables},
    yaml::{Text, line},
};

/// Keys without an equivalent that have one of another kind.
const HINTS: [(&str, &str); 9] = [
    ("regcert", "save it as a file for `ca_file`"),
    ("clientCert", "save it as a file for `client_cert`"),
    ("clientKey", "save it as a file for `client_key`"),
    ("cert-dir", "name its files with `ca_file`, `client_cert`"),
    ("scheme", "set `plain_http = true` if it is http"),
    ("mirrors", "set `endpoint` to send requests elsewhere"),
    ("hooks", "[notify] reports runs"),
    ("pathPrefix", "write it into each `from`"),
    ("mappings_file", "copy its mappings into this file first"),
];

/// Reads one file: makes remarks and errors, and fills in variables.
pub(crate) struct Reader<'a> {
    pub(crate) file: Arc<str>,
    variables: &'a Variables<'a>,
}

/// Sources with their targets.
type Routes = Vec<(Repository, Vec<Repository>)>;

/// What one thing of a file mirrors.
#[derive(Default)]
struct Mirrored {
    name: Option<String>,
    routes: Routes,
    tags: TagSets,
    exclude_repositories: Option<Setting>,
    keys: Keys,
    remarks: Vec<Remark>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &str, variables: &'a Variables<'a>) -> Self {
        let file = transship_text::one_line(file).into();
        Self { file, variables }
    }

    pub(crate) fn place(&self, line: usize) -> Place {
        let file = self.file.clone();
        Place { file, line }
    }

    /// Something that the output does not do.
    pub(crate) fn loss(&self, line: usize, text: impl AsRef<str>) -> Remark {
        let is_loss = true;
        let note = self.note(line, text);
        Remark { is_loss, ..note }
    }

    /// Something to know, or to do.
    pub(crate) fn note(&self, line: usize, text: impl AsRef<str>) -> Remark {
        let (place, text) = (self.place(line), transship_text::one_line(text.as_ref()));
        let is_loss = false;
        Remark {
            place,
            text,
            is_loss,
        }
    }

    pub(crate) fn error(&self, line: usize, message: impl AsRef<str>, help: &'static str) -> Error {
        let message = transship_text::one_line(message.as_ref());
        let place = self.place(line.max(1));
        Error::File {
            place,
            message,
            help,
        }
    }

    pub(crate) fn registry(&self, name: &str, line: usize) -> Registry {
        Registry {
            name: name.into(),
            place: self.place(line),
            ..Registry::default()
        }
    }

    /// A loss for each key that was not read and is not `needless`.
    fn unread(&self, other: &[Text], needless: &[&str]) -> Vec<Remark> {
        let mut losses = Vec::new();
        for key in other {
            let name = key.value.as_str();
            let hint = HINTS.iter().find(|(known, _)| *known == name);
            let hint = hint.map_or(String::new(), |(_, hint)| format!(": {hint}"));
            if !name.starts_with("x-") && !needless.contains(&name) {
                let text = format!("`{name}` has no equivalent{hint}");
                losses.push(self.loss(line(key), text));
            }
        }
        losses
    }

    /// A text that has to be there.
    fn needed<'t>(&self, text: Option<&'t str>, line: usize, what: &str) -> Result<&'t str, Error> {
        let help = "add it, or remove the entry";
        text.ok_or_else(|| self.error(line, what, help))
    }

    /// A text with its variables filled in.
    fn fill(&self, text: &str, syntax: Syntax, line: usize) -> Result<String, Unfilled> {
        self.variables.fill(text, syntax, line, &[])
    }

    /// Adds an entry for each route and set of tags, or the reason why there is none. A variable
    /// without a value is reported once, at the end.
    fn add(&self, to: &mut Import, line: usize, what: &str, read: Result<Mirrored, Unfilled>) {
        let mirrored = match read {
            Ok(mirrored) => mirrored,
            Err(Unfilled::Missing) => return,
            Err(Unfilled::Wrong(reason)) => {
                let loss = self.loss(line, format!("{what}: {reason}"));
                to.items.push(Item::Lost(loss));
                return;
            }
        };
        let mut remarks = mirrored.remarks;
        let lost = mirrored.tags.lost.iter();
        remarks.extend(lost.map(|lost| self.loss(line, lost)));
        for (source, targets) in mirrored.routes {
            for (tags, selectors) in &mirrored.tags.sets {
                let mut keys = Keys::new();
                if let (true, Some(globs)) = (source.is_pattern(), &mirrored.exclude_repositories) {
                    keys.push(("exclude_repositories", globs.clone()));
                }
                keys.extend(selectors.iter().chain(&mirrored.keys).cloned());
                to.items.push(Item::Entry(Box::new(Entry {
                    place: self.place(line),
                    name: mirrored.name.clone(),
                    source: source.clone(),
                    targets: targets.clone(),
                    tags: tags.clone(),
                    keys,
                    remarks: std::mem::take(&mut remarks),
                    is_alone: false,
                    refused: mirrored.tags.refused.clone(),
                })));
            }
        }
        to.items.extend(remarks.into_iter().map(Item::Lost));
    }

    /// The one platform of an entry, and a note about it.
    fn platform(&self, text: &Option<Text>) -> Option<(String, Remark)> {
        let text = text.as_ref().filter(|text| text.value != "all")?;
        let note = "`platform`: an index stays an index of the platforms that are named, where the \
                    original puts the image itself in its place";
        Some((text.value.clone(), self.note(line(text), note)))
    }
}

/// The sources on a registry whose paths an expression matches, and where each goes below a place.
fn discovered(host: &str, whole: &str, below: &Repository) -> Result<Routes, String> {
    let patterns = pattern::repositories(whole);
    let patterns = patterns.ok_or_else(|| format!("no pattern of `from` says `{whole}`"))?;
    let route = |path: &String| {
        if path.contains('*') {
            return Ok((Repository::new(host, path), vec![below.clone()]));
        }
        let (source, _) = reference::parse(&format!("{host}/{path}"))?;
        let target = below.below(&source.path);
        Ok((source, vec![target]))
    };
    patterns.iter().map(route).collect()
}
