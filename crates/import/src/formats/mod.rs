//! The formats: each reads its file into the model.

pub(crate) mod dregsy;
pub(crate) mod image_syncer;
pub(crate) mod regsync;
pub(crate) mod skopeo;

use crate::{
    diagnostics::Remark,
    model::{Entry, Import, Keys, Toml},
    reader::{Reader, Unread},
    reference::{self, Repository},
    tags::{Tags, pattern},
    yaml::{Text, line},
};

/// What skopeo's and dregsy's files do not say.
const ONE_PLATFORM: &str =
    "the original copies one platform by default: here all are copied, or `platforms`";

/// What regsync's and skopeo's files do not say.
const DOCKER_LOGINS: &str = "the original also uses the logins of `docker login`: for a registry \
                             that needs one, set `login = \"docker-config\"`";

/// Sources, and where each goes.
type Routes = Vec<(Repository, Repository)>;

/// What one thing of a file mirrors.
struct Mirrored {
    name: Option<String>,
    routes: Routes,
    /// The tags, or why they cannot be expressed: the entry is written as a comment then.
    tags: Result<Tags, String>,
    keys: Keys,
    /// The pattern of repositories that are left out of those that are found.
    exclude_repositories: Option<Toml>,
}

impl Mirrored {
    fn new(routes: Routes, tags: Result<Tags, String>) -> Self {
        Self {
            name: None,
            routes,
            tags,
            keys: Keys::new(),
            exclude_repositories: None,
        }
    }
}

impl Import {
    /// Adds an entry for each route and set of tags, or reports why there is none. A variable
    /// without a value is reported once, at the end.
    fn add(
        &mut self,
        line: usize,
        what: &str,
        read: Result<Mirrored, Unread>,
        reader: &Reader<'_>,
    ) {
        self.count += 1;
        let mirrored = match read {
            Ok(mirrored) => mirrored,
            Err(None) => return,
            Err(Some(reason)) => return reader.lose(line, format!("{what}: {reason}")),
        };
        let tags = mirrored.tags;
        let sets = tags.and_then(|tags| tags.sets(|lost| reader.lose(line, lost)));
        let (sets, refused) = match sets {
            Ok(sets) => (sets, None),
            Err(reason) => (
                vec![(Vec::new(), Keys::new())],
                Some(Remark::loss(
                    reader.place(line),
                    format!("{what}: {reason}"),
                )),
            ),
        };
        for (source, target) in mirrored.routes {
            let excluded = mirrored.exclude_repositories.iter();
            let excluded = excluded.filter(|_| source.is_pattern());
            let excluded = excluded.map(|globs| ("exclude_repositories", globs.clone()));
            for (tags, selectors) in &sets {
                let selectors = selectors.iter().chain(&mirrored.keys).cloned();
                self.entries.push(Entry {
                    place: reader.place(line),
                    name: mirrored.name.clone(),
                    source: source.clone(),
                    targets: vec![target.clone()],
                    tags: tags.clone(),
                    keys: excluded.clone().chain(selectors).collect(),
                    refused: refused.clone(),
                });
            }
        }
    }
}

/// The one platform of an entry, with a note about it.
fn platform(text: &Option<Text>, reader: &Reader<'_>) -> Option<String> {
    let text = text.as_ref().filter(|text| text.value != "all")?;
    let note = "`platform`: an index stays an index of the platforms that are named, where the \
                original puts the image itself in its place";
    reader.note(line(text), note);
    Some(text.value.clone())
}

/// The sources on a registry whose paths an expression matches, and where each goes below a place.
fn discovered(host: &str, whole: &str, below: &Repository) -> Result<Routes, String> {
    let patterns = pattern::repositories(whole);
    let patterns = patterns.ok_or_else(|| format!("no pattern of `from` says `{whole}`"))?;
    let route = |path: &String| {
        if path.contains('*') {
            return Ok((Repository::new(host, path), below.clone()));
        }
        let (source, _) = reference::parse(&format!("{host}/{path}"))?;
        let target = below.below(&source.path);
        Ok((source, target))
    };
    patterns.iter().map(route).collect()
}
