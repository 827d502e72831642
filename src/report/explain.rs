//! Whether an image is mirrored, where to, how current it is there; and what to write if it is not.

use serde::Serialize;

use crate::{
    config::{Config, Mirror, Route},
    oci::{NameError, Repository, Tag, Version, parse_image},
    store::{self, Store, TagRecord},
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
}

/// Whether an image is mirrored.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// An entry mirrors it.
    Mirrored {
        /// The entry.
        mirror: String,
        /// The image at the source.
        source: String,
        /// Where it is, or will be.
        copies: Vec<Copy>,
    },
    /// Its repository is mirrored, and this tag is not selected.
    NotSelected {
        /// The entry that mirrors the repository.
        mirror: String,
        /// What to add to mirror.toml.
        toml: String,
    },
    /// No entry mirrors it.
    NotMirrored {
        /// What to add to mirror.toml.
        toml: String,
    },
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
}

/// How current an image is at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// It is what the source had at the last check.
    Current,
    /// The source has moved on.
    Behind,
    /// It was not copied yet.
    NotYet,
    /// The source no longer has it.
    Orphaned,
}

/// Explains any reference: what users write for the source, or a reference at a target. No registry
/// is asked.
pub async fn explain(
    text: &str,
    config: &Config,
    store: Option<&Store>,
) -> Result<Explanation, Failure> {
    let (repository, version) = parse_image(text.trim())?;
    let tag = match version {
        Some(Version::Tag(tag)) => tag,
        Some(Version::Digest(_)) => return Err(Failure::Digest),
        None => "latest".parse()?,
    };
    let found = find(config, &repository, &tag);
    let image = found.as_ref().map_or_else(
        || repository.tag(&tag),
        |found| found.route.source.tag(&found.tag),
    );
    let answer = match found {
        None => Answer::NotMirrored {
            toml: toml(&image.to_string()),
        },
        Some(found) if !allows(&found.route, &found.tag) => Answer::NotSelected {
            mirror: found.mirror.name.to_string(),
            toml: toml(&image.to_string()),
        },
        Some(found) => Answer::Mirrored {
            mirror: found.mirror.name.to_string(),
            source: image.to_string(),
            copies: copies(&found, store).await?,
        },
    };
    let image = image.to_string();
    Ok(Explanation { image, answer })
}

/// Why nothing can be said of an image.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It is no name of an image.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It has no tag.
    #[error("tags are mirrored; name the image by a tag instead of a digest")]
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

/// The route of a repository: one that takes the tag, else one that does not.
fn find<'a>(config: &'a Config, repository: &Repository, tag: &Tag) -> Option<Found<'a>> {
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
            found.extend(tag.map(|tag| Found { mirror, route, tag }));
        }
    }
    let best = found
        .iter()
        .position(|found| allows(&found.route, &found.tag));
    match found.is_empty() {
        true => None,
        false => Some(found.swap_remove(best.unwrap_or(0))),
    }
}

async fn copies(found: &Found<'_>, store: Option<&Store>) -> Result<Vec<Copy>, Failure> {
    let name = found.mirror.target_tag(&found.tag)?;
    let mut copies = Vec::new();
    for target in &found.route.targets {
        let record = match store {
            Some(store) => store.tags(target).await?.remove(&name),
            None => None,
        };
        let reference = target.tag(&name).to_string();
        copies.push(Copy {
            pull: format!("docker pull {reference}"),
            reference,
            state: state(record.as_ref()),
            digest: record
                .as_ref()
                .and_then(|r| Some(r.source.as_ref()?.to_string())),
            lagging_since: record.and_then(|record| record.lagging_since),
        });
    }
    Ok(copies)
}

fn state(record: Option<&TagRecord>) -> CopyState {
    match record {
        Some(record) if record.source.is_none() => CopyState::NotYet,
        None => CopyState::NotYet,
        Some(record) if record.is_orphaned => CopyState::Orphaned,
        Some(record) if record.lagging_since.is_some() => CopyState::Behind,
        Some(_) => CopyState::Current,
    }
}

fn toml(image: &str) -> String {
    format!("[[mirror]]\nfrom = \"{image}\"\n")
}
