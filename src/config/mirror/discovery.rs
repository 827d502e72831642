//! Repositories that are known only when a run starts: a pattern, and where what it finds goes.

use std::{fmt, sync::Arc};

use globset::{GlobBuilder, GlobMatcher};

use crate::{
    config::{Origin, Route, Selection, mirror::placement::Placement},
    oci::{RegistryName, Repository, Tag},
};

/// Registries that list the repositories of one namespace, and never all of them.
const NAMESPACES_ONLY: [&str; 2] = ["docker.io", "quay.io"];

const PATTERN_HELP: &str = "write `*` for any text within a part of the path, and `**` as a part of \
                            its own for any parts, as in \"quay.io/prometheus/*\"";

/// A `from` with a `*` in its repository: each repository that matches becomes a [`Route`].
#[derive(Clone, Debug, PartialEq)]
pub struct Discovery {
    pattern: Pattern,
    placement: Arc<Placement>,
    selection: Selection,
    excluded: Arc<Vec<RepositoryGlob>>,
}

/// A glob over the paths of repositories, or over their names with the registry before them.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryGlob(GlobMatcher);

/// A registry and a glob over its repositories: `*` stays within a part of the path, `**` does
/// not.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    registry: RegistryName,
    path: String,
    matcher: GlobMatcher,
}

impl Discovery {
    pub(crate) fn new(pattern: Pattern, placement: Arc<Placement>, selection: Selection) -> Self {
        Self {
            pattern,
            placement,
            selection,
            excluded: Arc::default(),
        }
    }

    /// The same without the repositories that match one of these.
    pub(crate) fn without(self, excluded: Arc<Vec<RepositoryGlob>>) -> Self {
        Self { excluded, ..self }
    }

    /// The registry whose repositories are meant.
    pub fn registry(&self) -> &RegistryName {
        &self.pattern.registry
    }

    /// The parts of the path that come before any `*`: no repository outside of them is meant.
    pub fn prefix(&self) -> &str {
        let path = &self.pattern.path;
        let literal = path.find('*').map_or(path.as_str(), |at| &path[..at]);
        literal.rsplit_once('/').map_or("", |(prefix, _)| prefix)
    }

    /// Whether a repository is meant.
    pub fn matches(&self, repository: &Repository) -> bool {
        *repository.registry() == self.pattern.registry
            && self.pattern.matcher.is_match(repository.path())
            && !self.excluded.iter().any(|glob| glob.is_match(repository))
    }

    /// The route of a repository that was found; or why it has no place at a target.
    pub fn route(&self, source: &Repository) -> Result<Route, String> {
        let placed = self.placement.place(source).into_iter();
        let targets = placed.collect::<Result<_, _>>();
        Ok(Route {
            source: source.clone(),
            origin: Origin::Found,
            targets: targets.map_err(|misplaced| misplaced.to_string())?,
            selection: self.selection.clone(),
            taken: Vec::new(),
            pin: None,
        })
    }

    /// Which tags of the repositories are meant.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// All that decides what it finds and where that goes, for [`Mirror::selection_mark`].
    ///
    /// [`Mirror::selection_mark`]: crate::config::Mirror::selection_mark
    pub(crate) fn written(&self) -> String {
        let excluded = self
            .excluded
            .iter()
            .map(|RepositoryGlob(glob)| glob.glob().glob());
        let excluded: Vec<&str> = excluded.collect();
        let (placement, selection) = (&self.placement, &self.selection);
        format!("{self} {placement:?} {selection} {excluded:?}\n")
    }

    /// The registries that it goes to.
    pub fn target_registries(&self) -> impl Iterator<Item = String> {
        self.placement
            .targets
            .iter()
            .map(|target| target.registry.to_string())
    }

    /// Whether a repository lies where what is found goes.
    pub fn goes_to(&self, repository: &Repository) -> bool {
        let mut targets = self.placement.targets.iter();
        targets.any(|target| {
            let below = repository.path().strip_prefix(target.prefix.as_str());
            let is_below =
                below.is_some_and(|rest| target.prefix.is_empty() || rest.starts_with('/'));
            target.registry == *repository.registry() && is_below
        })
    }

    /// Whether both could write to one repository, by where their targets are.
    pub fn may_meet(&self, other: &Self) -> bool {
        self.placement.shares_a_target(&other.placement)
    }
}

impl PartialEq for Pattern {
    /// Whether both match the same: the matcher is made from the path.
    fn eq(&self, other: &Self) -> bool {
        (&self.registry, &self.path) == (&other.registry, &other.path)
    }
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pattern.registry, self.pattern.path)
    }
}

impl Pattern {
    /// Reads a `from` that has a `*`, and its tag if it names one; or says what is wrong, and what
    /// to write.
    pub(crate) fn parse(text: &str) -> Result<(Self, Option<Tag>), (String, &'static str)> {
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (text, None),
        };
        let tag = tag.map(|tag| {
            tag.parse::<Tag>().map_err(|error| {
                let help = "choose tags with `tags`, as in tags = \"v*\"";
                (error.to_string(), help)
            })
        });
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", name),
        };
        let registry: RegistryName = host.parse().map_err(|error| {
            let help = "a `*` stands for repositories of one registry: name the registry";
            (format!("{error}"), help)
        })?;
        let path = match registry.as_str() {
            "docker.io" if !path.contains('/') => format!("library/{path}"),
            _ => path.to_owned(),
        };
        let matcher = matcher(&path)?;
        if NAMESPACES_ONLY.contains(&registry.as_str())
            && path
                .split('/')
                .next()
                .is_some_and(|first| first.contains('*'))
        {
            let message = format!("{registry} does not list all its repositories");
            let help = "name the namespace, as in \"quay.io/prometheus/*\"";
            return Err((message, help));
        }
        let pattern = Self {
            registry,
            path,
            matcher,
        };
        Ok((pattern, tag.transpose()?))
    }
}

impl PartialEq for RepositoryGlob {
    fn eq(&self, other: &Self) -> bool {
        self.0.glob() == other.0.glob()
    }
}

impl RepositoryGlob {
    /// Reads a glob, or returns what is wrong with it and what to write.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        // The host of a name with its registry may have a port.
        let (host, path) = text.split_once('/').unwrap_or(("", text));
        let checked = match host.contains([':', '.']) {
            true => path,
            false => text,
        };
        matcher(checked)?;
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        let glob = glob.map_err(|error| (error.kind().to_string(), PATTERN_HELP))?;
        Ok(Self(glob.compile_matcher()))
    }

    /// Whether it matches the name with its registry.
    pub(crate) fn matches_name(&self, repository: &Repository) -> bool {
        self.0.is_match(repository.to_string())
    }

    fn is_match(&self, repository: &Repository) -> bool {
        self.0.is_match(repository.path()) || self.0.is_match(repository.to_string())
    }
}

fn matcher(path: &str) -> Result<GlobMatcher, (String, &'static str)> {
    let is_legal = |part: &str| {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-*".contains(c);
        !part.is_empty() && part.chars().all(is_word) && (part == "**" || !part.contains("**"))
    };
    let fail = || {
        (
            format!("`{path}` is no pattern for repositories"),
            PATTERN_HELP,
        )
    };
    if !path.split('/').all(is_legal) {
        return Err(fail());
    }
    let glob = GlobBuilder::new(path).literal_separator(true).build();
    Ok(glob.map_err(|_| fail())?.compile_matcher())
}

#[cfg(test)]
mod tests;
