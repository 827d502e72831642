//! Images that were found, each once, with the surest place.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    inventory::Error,
    oci::{Digest, Repository, Tag, Version, parse_image},
};

/// Most different images.
const MAX_IMAGES: usize = 100_000;
/// Most digests that are kept of one image.
const MAX_DIGESTS: usize = 64;

/// How sure it is that a cluster pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// Text in an argument or a variable that looks like an image.
    Maybe,
    /// A key for images outside a container.
    Likely,
    /// The image of a container or a volume, or a line of a list.
    Certain,
}

impl Certainty {
    /// Its word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maybe => "maybe",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }

    /// The certainty of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Maybe, Self::Likely, Self::Certain]
            .into_iter()
            .find(|certainty| certainty.as_str() == word)
    }
}

/// An image, and where it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundImage {
    /// As it is written: `nginx`, `quay.io/a/b:1`.
    pub image: String,
    /// How sure it is.
    pub certainty: Certainty,
    /// The surest place: `Deployment prod/web: spec.template.spec.containers[0].image`.
    pub place: String,
    /// How many places there are.
    pub places: u64,
    /// The digests that run, by the status of pods.
    pub running: BTreeSet<String>,
}

impl FoundImage {
    /// Its repository, and the tag that a mirror of it names; no tag if it is named by a digest only.
    pub fn source(&self) -> Option<(Repository, Option<Tag>)> {
        let pinned = self.image.split_once('@');
        let named = pinned.map_or(&*self.image, |(name, _)| name);
        let (repository, version) = parse_image(named).ok()?;
        let tag = match version {
            Some(Version::Tag(tag)) => Some(tag),
            _ if pinned.is_some() => None,
            _ => "latest".parse().ok(),
        };
        Some((repository, tag))
    }
}

/// What an input names.
#[derive(Debug, Default)]
pub struct Inventory {
    images: BTreeMap<String, FoundImage>,
    patterns: BTreeSet<String>,
}

/// An image name as it is looked up: the same image is written in several ways.
fn key(repository: &Repository, version: Option<&Version>) -> String {
    match version {
        Some(Version::Tag(tag)) => repository.tag(tag).to_string(),
        Some(Version::Digest(digest)) => repository.digest(digest).to_string(),
        None => format!("{repository}:latest"),
    }
}

impl Inventory {
    /// The images, sorted by their full names.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &FoundImage> {
        self.images.values()
    }

    /// The patterns of repositories in a list, such as `docker.io/library/*`.
    pub fn patterns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.patterns.iter().map(String::as_str)
    }

    /// Adds a pattern of repositories.
    pub(crate) fn add_pattern(&mut self, pattern: &str) -> Result<(), Error> {
        if self.patterns.len() == MAX_IMAGES {
            return Err(Error::TooMuch("more than 100,000 patterns"));
        }
        self.patterns.insert(pattern.to_owned());
        Ok(())
    }

    /// Adds an image; `place` is asked for the place only if it is shown. Text that is no image is
    /// left out, and `false` returned.
    pub(crate) fn add(
        &mut self,
        image: &str,
        certainty: Certainty,
        place: impl FnOnce() -> String,
    ) -> Result<bool, Error> {
        let Ok((repository, version)) = parse_image(image) else {
            return Ok(false);
        };
        let key = key(&repository, version.as_ref());
        let is_full = self.images.len() == MAX_IMAGES;
        match self.images.get_mut(&key) {
            Some(known) => {
                known.places += 1;
                if known.certainty < certainty {
                    (known.certainty, known.place) = (certainty, place());
                }
            }
            None if is_full => {
                return Err(Error::TooMuch("more than 100,000 different images"));
            }
            None => {
                let found = FoundImage {
                    image: image.to_owned(),
                    certainty,
                    place: place(),
                    places: 1,
                    running: BTreeSet::new(),
                };
                self.images.insert(key, found);
            }
        }
        Ok(true)
    }

    /// Adds what was found in a part of the input.
    pub(crate) fn merge(&mut self, found: Self) -> Result<(), Error> {
        for image in found.images.into_values() {
            self.add(&image.image, image.certainty, || image.place)?;
        }
        Ok(())
    }

    /// Notes the digest that runs of an image which was added.
    pub(crate) fn runs(&mut self, image: &str, digest: &Digest) {
        let Ok((repository, version)) = parse_image(image) else {
            return;
        };
        let known = self.images.get_mut(&key(&repository, version.as_ref()));
        if let Some(known) = known.filter(|known| known.running.len() < MAX_DIGESTS) {
            known.running.insert(digest.to_string());
        }
    }
}

/// Images that were found before. Text that is no image is left out.
impl FromIterator<FoundImage> for Inventory {
    fn from_iter<T: IntoIterator<Item = FoundImage>>(found: T) -> Self {
        let images = found.into_iter().filter_map(|found| {
            let (repository, version) = parse_image(&found.image).ok()?;
            Some((key(&repository, version.as_ref()), found))
        });
        Self {
            images: images.collect(),
            ..Self::default()
        }
    }
}

/// Whether a text is an image with a tag or a digest. A digest alone is none.
pub(crate) fn has_version(text: &str) -> bool {
    // Most texts lack what every image with a version has.
    text.contains(':')
        && text.parse::<Digest>().is_err()
        && matches!(parse_image(text), Ok((_, Some(_))))
}

/// Whether a text is an image with a registry, and a tag or a digest.
pub(crate) fn is_complete(text: &str) -> bool {
    let host = text.split_once('/').map_or("", |(host, _)| host);
    has_version(text) && (host.contains(['.', ':']) || host == "localhost")
}
