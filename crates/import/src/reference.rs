//! Names of images as docker writes them. Whether a name is legal is left to the check of the
//! `mirror.toml` that it stands in.

use std::fmt;

/// The name of Docker Hub's registry.
const HUB: &str = "docker.io";

/// Other names of it.
const HUB_HOSTS: [&str; 4] = [
    "registry.hub.docker.com",
    "hub.docker.com",
    "index.docker.io",
    "registry-1.docker.io",
];

/// A repository on a registry, a pattern of them, or a place above some.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Repository {
    pub(crate) registry: String,
    pub(crate) path: String,
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.registry),
            path => write!(f, "{}/{path}", self.registry),
        }
    }
}

impl Repository {
    pub(crate) fn new(registry: &str, path: &str) -> Self {
        let path = path.trim_matches('/').to_owned();
        let registry = host(registry);
        Self { registry, path }
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// A place below this one.
    pub(crate) fn below(&self, path: &str) -> Self {
        Self::new(&self.registry, &format!("{}/{path}", self.path))
    }

    /// Whether it stands for what a listing has.
    pub(crate) fn is_pattern(&self) -> bool {
        self.path.contains('*')
    }
}

/// Reads a name with a tag or without one, or returns why it cannot be mirrored.
pub(crate) fn parse(text: &str) -> Result<(Repository, Option<String>), String> {
    let text = text.trim();
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("`{scheme}://` is not a registry"));
    }
    if text.contains('@') {
        return Err(OF_DIGEST.into());
    }
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    };
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(format!("`{tag}` is not a tag"));
    }
    let mut repository = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
            Repository::new(first, path)
        }
        _ => Repository::new(HUB, name),
    };
    if repository.registry == HUB && !repository.path.contains('/') {
        repository.path.insert_str(0, "library/");
    }
    Ok((repository, tag.map(String::from)))
}

/// Why an image named by its digest is left out.
pub(crate) const OF_DIGEST: &str =
    "a digest never moves, so there is nothing to mirror: copy it once, or name its tag";

/// The usual name of a registry, without a scheme or an API path around it.
pub(crate) fn host(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    let text = text.split_once("://").map_or(text, |(_, host)| host);
    let bare = text.strip_suffix("/v1").unwrap_or(text);
    let is_hub = HUB_HOSTS.contains(&bare);
    if is_hub { HUB.into() } else { text.into() }
}

/// Whether a text is a tag.
pub(crate) fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_legal = |c: char| is_word(c) || c == '.' || c == '-';
    text.len() <= 128 && text.starts_with(is_word) && text.chars().all(is_legal)
}

/// The `tag` that gives a tag another name: a template where the new name holds the old one. None
/// if the name stays.
pub(crate) fn rename(source: &str, target: &str) -> Option<String> {
    let template = target.split_once(source);
    let template = template.map(|(before, after)| format!("{before}{{tag}}{after}"));
    (source != target).then(|| template.unwrap_or(target.into()))
}
