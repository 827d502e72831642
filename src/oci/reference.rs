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
        /// What the grammar says.
        reason: String,
    },
    /// Not a tag.
    #[error("`{0}` is not a tag (letters, digits, `_`, `.`, `-`; at most 128)")]
    Tag(String),
    /// Not a registry.
    #[error("`{0}` is not a registry's host name")]
    Registry(String),
}

/// Parses what users write, `nginx`, `ghcr.io/a/b` or `quay.io/a/b:1`, with docker's defaults
/// for the registry and the `library/` namespace. A version that is not written is `None`.
pub fn parse_image(text: &str) -> Result<(Repository, Option<Version>), NameError> {
    let wrong = |reason: String| NameError::Reference {
        name: text.into(),
        reason,
    };
    let parsed = oci_client::Reference::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let repository = Repository {
        registry: RegistryName(parsed.registry().into()),
        path: parsed.repository().into(),
    };
    let last = text.rsplit('/').next().unwrap_or(text);
    let version = match (parsed.digest(), parsed.tag()) {
        (Some(digest), _) => Some(Version::Digest(
            digest.parse().map_err(|e| wrong(format!("{e}")))?,
        )),
        (None, Some(tag)) if last.contains(':') => Some(Version::Tag(tag.parse()?)),
        _ => None,
    };
    Ok((repository, version))
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
        match oci_client::Reference::from_str(&format!("{text}/x")) {
            Ok(parsed) if parsed.registry() == text => Ok(Self(text.into())),
            _ => Err(NameError::Registry(text.into())),
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
