//! Names: registries, repositories, tags, and references made of them.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Serialize, Serializer};

use super::Digest;

/// A registry's name, a host with an optional port, as it stands in references.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryName(Arc<str>);

/// One repository on one registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: RegistryName,
    path: Arc<str>,
}

/// A tag of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// What a reference selects in its repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// A name that may move.
    Tag(Tag),
    /// An identity.
    Digest(Digest),
}

/// A repository and one version in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Where it lives.
    pub repository: Repository,
    /// Which one it is.
    pub version: Version,
}

/// A text that is no legal name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a reference by the grammar that docker uses.
    #[error("`{name}` is not an image reference: {reason}")]
    Reference {
        /// The text.
        name: String,
        /// Which rule of the grammar it breaks.
        reason: String,
    },
    /// Not a tag.
    #[error("`{0}` is not a tag (letters, digits, `_`, `.`, `-`; at most 128)")]
    Tag(String),
    /// Not a registry.
    #[error("`{0}` is not a registry's host name")]
    Registry(String),
}

/// Longest path of a repository
/// ([reference.go](https://github.com/distribution/reference/blob/v0.6.0/reference.go)).
const PATH_LIMIT: usize = 255;

/// Parses what users write, `nginx`, `ghcr.io/a/b` or `quay.io/a/b:1`, with docker's defaults
/// for the registry and the `library/` namespace. A version that is not written is `None`.
///
/// The grammar is docker's. It is parsed by hand, because the equivalent regular expression takes
/// 20 MB of memory for the life of the process.
pub fn parse_image(text: &str) -> Result<(Repository, Option<Version>), NameError> {
    let wrong = |reason: &str| NameError::Reference {
        name: text.into(),
        reason: reason.into(),
    };
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (
            rest,
            Some(
                digest
                    .parse::<Digest>()
                    .map_err(|e| wrong(&e.to_string()))?,
            ),
        ),
        None => (text, None),
    };
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag.parse::<Tag>()?)),
        _ => (rest, None),
    };
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("docker.io", name),
    };
    let registry: RegistryName = host.parse()?;
    let path = match registry.as_str() {
        "docker.io" if !path.contains('/') => format!("library/{path}"),
        _ => path.to_owned(),
    };
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(wrong("a repository's name is in lower case"));
    }
    if path.len() > PATH_LIMIT || !path.split('/').all(is_path_component) {
        return Err(wrong(
            "a repository's name is made of letters, digits and single `.`, `_`, `-` or `__` \
             between them, parted by `/`",
        ));
    }
    let path = path.into();
    let version = digest.map(Version::Digest).or(tag.map(Version::Tag));
    Ok((Repository { registry, path }, version))
}

/// Words of letters and digits, with `.`, `_`, `__` or any number of `-` between two of them.
fn is_path_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator =
        |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|b| b == b'-');
    let inner = text.trim_matches(is_word);
    let starts_and_ends = text.starts_with(is_word) && text.ends_with(is_word);
    starts_and_ends
        && inner
            .split(is_word)
            .all(|part| part.is_empty() || is_separator(part))
}

/// A host, perhaps with a port: labels of letters, digits and inner `-`, parted by dots.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok() && !port.starts_with('+');
    host.split('.').all(is_label)
        && port.is_none_or(is_port)
        && (text.contains(['.', ':']) || text == "localhost")
        // What ends in a number has to be an address.
        && url::Host::parse(host).is_ok()
}

impl RegistryName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegistryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "index.docker.io" || text == "registry-1.docker.io" {
            return Ok(Self("docker.io".into()));
        }
        if is_host(text) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Registry(text.into()))
        }
    }
}

impl Repository {
    /// The registry that holds it.
    pub fn registry(&self) -> &RegistryName {
        &self.registry
    }

    /// Its path on the registry, without a leading slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The reference to one tag of it.
    pub fn tag(&self, tag: &Tag) -> Reference {
        Reference {
            repository: self.clone(),
            version: Version::Tag(tag.clone()),
        }
    }

    /// The reference to one digest of it.
    pub fn digest(&self, digest: &Digest) -> Reference {
        Reference {
            repository: self.clone(),
            version: Version::Digest(digest.clone()),
        }
    }
}

impl FromStr for Repository {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match parse_image(text)? {
            (repository, None) => Ok(repository),
            (_, Some(_)) => Err(NameError::Reference {
                name: text.into(),
                reason: "a repository has no tag or digest".into(),
            }),
        }
    }
}

impl Tag {
    /// The tag as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let legal = text.len() <= 128
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if legal {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Tag(text.into()))
        }
    }
}

impl Version {
    /// The text that stands in a registry's URL.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

impl fmt::Display for RegistryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Version::Digest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

macro_rules! serialize_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
serialize_as_text!(RegistryName, Repository, Tag, Reference);
