//! Whether an image is mirrored, where to, how current it is there; and what to write if it is not.

use std::collections::HashSet;

use chrono::Utc;
use serde::Serialize;

use crate::{
    config::{Config, Mirror, Route, Selection},
    oci::{Digest, NameError, Repository, Tag, Version, parse_image},
    status::{
        pulls::ImagePullFacts,
        why_missing::{absence, is_left_out},
    },
    store::{self, CopyRecord, Store},
    sync::allows,
};

/// What is known of an image.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The image, written out: registry, repository and tag.
    pub image: String,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// What is known of its pulls through the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulls: Option<ImagePullFacts>,
}

/// Whether an image is mirrored.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// An entry mirrors it.
    Mirrored {
        /// The entry that names its tag, otherwise the first one in the file.
        #[serde(flatten)]
        entry: TakingEntry,
        /// The other entries that take it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        others: Vec<TakingEntry>,
    },
    /// Its repository is mirrored, and this tag is not selected.
    NotSelected {
        /// The entry that mirrors the repository.
        mirror: String,
        /// What to add to mirror.toml.
        toml: String,
    },
    /// It lies where an entry mirrors to, and none mirrors anything to this name.
    AtTarget {
        /// The entry.
        mirror: String,
    },
    /// No entry mirrors it.
    NotMirrored {
        /// What to add to mirror.toml.
        toml: String,
    },
}

/// An entry that takes an image.
#[derive(Clone, Debug, Serialize)]
pub struct TakingEntry {
    /// The entry.
    pub mirror: String,
    /// The image at the source.
    pub source: String,
    /// Where it is, or will be.
    pub copies: Vec<Copy>,
}

/// An image at a target.
#[derive(Clone, Debug, Serialize)]
pub struct Copy {
    /// Where.
    pub reference: String,
    /// How current it is.
    pub state: CopyState,
    /// The line to copy.
    pub pull: String,
    /// The source's digest that is mirrored there.
    pub digest: Option<String>,
    /// Since when it differs from the source, in seconds since 1970.
    pub lagging_since: Option<i64>,
    /// When verification found it damaged, in seconds since 1970.
    pub damaged_at: Option<i64>,
    /// Why it has not come, where that is known.
    pub reason: Option<String>,
}

/// How far an image that an entry takes has come, over all its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Some target has it.
    Come,
    /// None has it yet.
    ToCome,
    /// None has it, and none will.
    Never,
}

impl Arrival {
    /// How far an image has come of which these are the copies.
    pub fn of(copies: &[Copy]) -> Self {
        if copies.iter().any(|copy| copy.digest.is_some()) {
            Self::Come
        } else if copies.iter().any(|copy| copy.state == CopyState::NotYet) {
            Self::ToCome
        } else {
            Self::Never
        }
    }
}

/// How current an image is at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// It is what the source had at the last check.
    Current,
    /// The source has moved on.
    Behind,
    /// Something of it is missing or wrong, by the last verification.
    Damaged,
    /// It was not copied yet.
    NotYet,
    /// It was not at the source when all of the source was last looked at.
    Absent,
    /// `latest` leaves it out.
    LeftOut,
    /// The source no longer has it.
    Orphaned,
}

/// Explains any reference: what users write for the source, a reference at a target, or a digest
/// only. No registry is asked.
pub async fn explain(
    text: &str,
    config: &Config,
    store: Option<&Store>,
) -> Result<Explanation, ExplainError> {
    let (text, now) = (text.trim(), Utc::now().timestamp());
    let images = named(text, store).await?;
    let mut found: Vec<Found<'_>> = Vec::new();
    for (repository, tag) in &images {
        for entry in find(config, repository, tag, store).await? {
            if !found.iter().any(|known| known.is_same(&entry)) {
                found.push(entry);
            }
        }
    }
    let Some((repository, tag)) = images.first() else {
        return Err(ExplainError::Digest);
    };
    // The order of runs of one image: the entry that names the tag, otherwise the first.
    found.sort_by_key(|entry| (!entry.takes(), !entry.names_tag()));
    let (source, version) = match found.first() {
        Some(entry) => (&entry.route.source, entry.version()),
        None => (repository, Version::Tag(tag.clone())),
    };
    let pulls = match store {
        Some(store) => ImagePullFacts::read(store, source, &version, now).await?,
        None => None,
    };
    let image = match version {
        Version::Tag(tag) => source.tag(&tag).to_string(),
        Version::Digest(digest) => source.digest(&digest).to_string(),
    };
    let answer = match found.first() {
        None => match lies_at_target(config, repository) {
            Some(mirror) => Answer::AtTarget {
                mirror: mirror.name.to_string(),
            },
            None => Answer::NotMirrored { toml: toml(&image) },
        },
        Some(entry) if !entry.takes() => Answer::NotSelected {
            mirror: entry.mirror.name.to_string(),
            toml: toml(&image),
        },
        Some(entry) => {
            let mut others = Vec::new();
            for other in found[1..].iter().filter(|other| other.takes()) {
                others.push(other.explain(config, store).await?);
            }
            let entry = entry.explain(config, store).await?;
            Answer::Mirrored { entry, others }
        }
    };
    Ok(Explanation {
        image,
        answer,
        pulls,
    })
}

/// The images that a text names. A digest may stand for several tags.
async fn named(text: &str, store: Option<&Store>) -> Result<Vec<(Repository, Tag)>, ExplainError> {
    if let Ok(digest) = text.trim_start_matches('@').parse::<Digest>() {
        return by_digest(text, None, &digest, store).await;
    }
    let (repository, version) = parse_image(text)?;
    match version {
        Some(Version::Tag(tag)) => Ok(vec![(repository, tag)]),
        Some(Version::Digest(digest)) => by_digest(text, Some(&repository), &digest, store).await,
        None => Ok(vec![(repository, "latest".parse()?)]),
    }
}

/// Why an image cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// It is no name of an image.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its digest was never seen there.
    #[error(
        "no tag is known that has, or had, this digest; name the image by a tag instead of a digest"
    )]
    Digest,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// An entry that mirrors a repository, and the tag's name at the source.
struct Found<'a> {
    mirror: &'a Mirror,
    route: Route,
    tag: Tag,
}

impl Found<'_> {
    fn takes(&self) -> bool {
        allows(&self.route, &self.tag)
    }

    /// The tag, or the digest that it keeps.
    fn version(&self) -> Version {
        match &self.route.pin {
            Some(digest) => Version::Digest(digest.clone()),
            None => Version::Tag(self.tag.clone()),
        }
    }

    fn names_tag(&self) -> bool {
        matches!(self.route.selection, Selection::Tag(_))
    }

    /// Whether both bring the same image to the same places.
    fn is_same(&self, other: &Self) -> bool {
        let image = |found: &Self| (found.route.source.clone(), found.tag.clone());
        self.mirror.name == other.mirror.name
            && image(self) == image(other)
            && self.route.targets == other.route.targets
    }

    async fn explain(
        &self,
        config: &Config,
        store: Option<&Store>,
    ) -> Result<TakingEntry, ExplainError> {
        Ok(TakingEntry {
            mirror: self.mirror.name.to_string(),
            source: match self.version() {
                Version::Tag(tag) => self.route.source.tag(&tag).to_string(),
                Version::Digest(digest) => self.route.source.digest(&digest).to_string(),
            },
            copies: copies(self, config, store).await?,
        })
    }
}

/// Every route that has a tag of a repository as its source or at a target.
async fn find<'a>(
    config: &'a Config,
    repository: &Repository,
    tag: &Tag,
    store: Option<&Store>,
) -> Result<Vec<Found<'a>>, ExplainError> {
    let mut found = routes(config, repository, tag);
    let by_store = find_by_store(config, repository, tag, store).await?;
    for entry in by_store {
        if !found.iter().any(|known| known.is_same(&entry)) {
            found.push(entry);
        }
    }
    Ok(found)
}

/// The routes that the file names, and those that its catalogs give to a source.
fn routes<'a>(config: &'a Config, repository: &Repository, tag: &Tag) -> Vec<Found<'a>> {
    let mut found: Vec<Found<'a>> = Vec::new();
    for mirror in &config.mirrors {
        let discovered = mirror.discoveries.iter();
        let discovered = discovered.filter(|discovery| discovery.matches(repository));
        let discovered = discovered.filter_map(|discovery| discovery.route(repository).ok());
        for route in mirror.routes.iter().cloned().chain(discovered) {
            let tag = if route.source == *repository {
                Some(tag.clone())
            } else if route.targets.contains(repository) {
                mirror.source_tag(tag)
            } else {
                None
            };
            let is_leaving = route.selection == Selection::Nothing;
            let tag = tag.filter(|_| !is_leaving);
            found.extend(tag.map(|tag| Found { mirror, route, tag }));
        }
    }
    found
}

/// The target repositories and the tags there of a digest: only the tag that was written beside it,
/// if it is one of them.
async fn by_digest(
    text: &str,
    repository: Option<&Repository>,
    digest: &Digest,
    store: Option<&Store>,
) -> Result<Vec<(Repository, Tag)>, ExplainError> {
    let mut known = match store {
        Some(store) => store.tags_of_digest(repository, digest).await?,
        None => Vec::new(),
    };
    let written = text.split_once('@').map(|(name, _)| parse_image(name));
    if let Some(Ok((_, Some(Version::Tag(tag))))) = written
        && known.iter().any(|(_, name)| *name == tag)
    {
        known.retain(|(_, name)| *name == tag);
    }
    match known.is_empty() {
        true => Err(ExplainError::Digest),
        false => Ok(known),
    }
}

/// The routes that brought a target repository, which a catalog named.
async fn find_by_store<'a>(
    config: &'a Config,
    repository: &Repository,
    tag: &Tag,
    store: Option<&Store>,
) -> Result<Vec<Found<'a>>, ExplainError> {
    let Some(store) = store else {
        return Ok(Vec::new());
    };
    let records = store.tags(repository).await?;
    let exact = records.get(tag).into_iter();
    let mut origins: Vec<_> = exact
        .chain(records.values())
        .map(|record| (&record.mirror, &record.source_repository))
        .collect();
    let mut seen = HashSet::new();
    origins.retain(|origin| seen.insert(*origin));
    let mut found = Vec::new();
    for (mirror, source) in origins {
        let mut mirrors = config.mirrors.iter();
        let mirror = mirrors.find(|known| *known.name == **mirror);
        let Some(name) = mirror.and_then(|mirror| mirror.source_tag(tag)) else {
            continue;
        };
        let Ok(source) = source.parse::<Repository>() else {
            continue;
        };
        let routes = routes(config, &source, &name).into_iter();
        found.extend(routes.filter(|found| found.route.targets.contains(repository)));
    }
    Ok(found)
}

/// The mirror that has a repository's namespace, or part of its registry, for a target.
fn lies_at_target<'a>(config: &'a Config, repository: &Repository) -> Option<&'a Mirror> {
    let space = |repository: &Repository| {
        let first = repository.path().split('/').next();
        (repository.registry().clone(), first.map(str::to_owned))
    };
    config.mirrors.iter().find(|mirror| {
        let mut named = mirror.routes.iter().flat_map(|route| &route.targets);
        named.any(|target| space(target) == space(repository))
            || mirror
                .discoveries
                .iter()
                .any(|found| found.goes_to(repository))
    })
}

async fn copies(
    found: &Found<'_>,
    config: &Config,
    store: Option<&Store>,
) -> Result<Vec<Copy>, ExplainError> {
    let name = found.mirror.target_tag(&found.tag)?;
    let mut copies = Vec::new();
    for target in &found.route.targets {
        let record = match store {
            Some(store) => store.copy(target, &name).await?,
            None => None,
        };
        let (mut state, mut reason) = (state(record.as_ref()), None);
        if let Some(store) = store {
            let (mirror, route, tag) = (found.mirror, &found.route, &found.tag);
            match (&record, state) {
                (None, _) => {
                    (state, reason) = absence(store, config, mirror, route, tag, target).await?;
                }
                (Some(record), CopyState::NotYet) => reason.clone_from(&record.error),
                (_, CopyState::Current)
                    if is_left_out(store, mirror, route, tag, target).await? =>
                {
                    state = CopyState::LeftOut;
                }
                _ => {}
            }
        }
        let reference = target.tag(&name).to_string();
        copies.push(Copy {
            pull: format!("docker pull {reference}"),
            reference,
            state,
            reason,
            digest: record
                .as_ref()
                .and_then(|r| Some(r.source.as_ref()?.to_string())),
            lagging_since: record.as_ref().and_then(|record| record.lagging_since),
            damaged_at: record.and_then(|record| record.damaged_at),
        });
    }
    Ok(copies)
}

fn state(record: Option<&CopyRecord>) -> CopyState {
    match record {
        Some(record) if record.source.is_none() => CopyState::NotYet,
        None => CopyState::NotYet,
        Some(record) if record.is_orphaned => CopyState::Orphaned,
        Some(record) if record.damaged_at.is_some() => CopyState::Damaged,
        Some(record) if record.lagging_since.is_some() => CopyState::Behind,
        Some(_) => CopyState::Current,
    }
}

fn toml(image: &str) -> String {
    format!("[[mirror]]\nfrom = \"{image}\"\n")
}
