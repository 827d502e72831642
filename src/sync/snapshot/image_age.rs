//! When images were made, for `max_age`: by the store, else by their configs.

use std::collections::HashMap;

use chrono::DateTime;
use futures::{StreamExt as _, stream};
use serde::Deserialize;

use crate::{
    oci::{Content, Digest, Manifest, Repository, Tag},
    registry::{self, Registry},
    store::{Store, StoreEvent, StoreWriter},
    sync::{Error, snapshot::SourceTag},
};

/// Images that are asked about at a time; the registry's own limits let fewer through.
const IMAGES: usize = 64;
/// How deep indexes may nest.
const DEPTH: usize = 4;
/// The first of January 2013, before the first image: builds that want the same bytes every time
/// write times before it, which say nothing.
const FIRST_IMAGE: i64 = 1_356_998_400;

/// When each tag was pushed or its image made, in seconds since 1970, where that is known.
pub(crate) type Times = HashMap<Tag, i64>;

#[derive(Deserialize)]
struct ImageConfig {
    created: Option<String>,
}

/// Looks up when the images of these tags were made. A digest that is not in the store is asked
/// for, once: the answer is recorded. What cannot be found out is left out.
pub(crate) async fn times(
    repository: &Repository,
    source: &Registry,
    tags: &[SourceTag],
    store: &Store,
    recorder: &StoreWriter,
) -> Result<Times, Error> {
    let mut by_digest: HashMap<&Digest, Vec<&Tag>> = HashMap::new();
    for tag in tags {
        if let Ok(digest) = &tag.digest {
            by_digest.entry(digest).or_default().push(&tag.tag);
        }
    }
    let mut known = HashMap::new();
    for digest in by_digest.keys() {
        if let Some(age) = store.created(digest).await? {
            let (image, at) = ((*digest).clone(), age.created);
            known.insert(image.clone(), at);
            if age.is_fading {
                recorder.record(StoreEvent::Created { image, at }).await;
            }
        }
    }
    let unknown = by_digest
        .keys()
        .filter(|digest| !known.contains_key(**digest));
    let asked: Vec<(Digest, Result<Option<i64>, registry::Error>)> =
        stream::iter(unknown.map(|digest| (*digest).clone()).collect::<Vec<_>>())
            .map(|digest| async move {
                let created = created(repository, source, &digest).await;
                (digest, created)
            })
            .buffer_unordered(IMAGES)
            .collect()
            .await;
    for (digest, created) in asked {
        match created {
            Ok(at) => {
                let fact = StoreEvent::Created {
                    image: digest.clone(),
                    at,
                };
                recorder.record(fact).await;
                known.insert(digest, at);
            }
            Err(error) => tracing::warn!("the age of {repository}@{digest} is unknown: {error}"),
        }
    }
    let mut times = Times::new();
    for (digest, at) in known {
        let tags = by_digest.remove(&digest).into_iter().flatten();
        times.extend(tags.filter_map(|tag| Some((tag.clone(), at?))));
    }
    Ok(times)
}

/// What the config of an image says; of an index, that of its first child that is an image.
async fn created(
    repository: &Repository,
    source: &Registry,
    digest: &Digest,
) -> Result<Option<i64>, registry::Error> {
    let mut digest = digest.clone();
    for _ in 0..DEPTH {
        let Some(manifest) = source.get_manifest(&repository.digest(&digest)).await? else {
            return Ok(None);
        };
        let Some(child) = first_image(&manifest) else {
            let Some(config) = manifest.config() else {
                return Ok(None);
            };
            let config = source.get_config(repository, &config).await?;
            return Ok(said(&config));
        };
        digest = child;
    }
    Ok(None)
}

/// The first child of an index that is for a platform; attestations are for none.
fn first_image(manifest: &Manifest) -> Option<Digest> {
    let Ok(Content::Index(children)) = manifest.content() else {
        return None;
    };
    let is_image = |platform: &crate::oci::Platform| !platform.is_unknown();
    let mut images = children
        .into_iter()
        .filter(|child| child.is_manifest() && child.platform.as_ref().is_none_or(is_image));
    images.next().map(|child| child.digest)
}

fn said(config: &[u8]) -> Option<i64> {
    let config: ImageConfig = serde_json::from_slice(config).ok()?;
    let created = DateTime::parse_from_rfc3339(&config.created?).ok()?;
    Some(created.timestamp()).filter(|at| *at >= FIRST_IMAGE)
}

#[cfg(test)]
mod tests;
