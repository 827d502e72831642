//! The mirror of what clients pulled through: which images it has, and which leave it.

use std::collections::HashSet;

use crate::{
    config::{Config, ON_DEMAND, PulledImages, kept_tag},
    oci::{Repository, Tag, Version},
    store::{self, DemandRecord, Store},
    sync::plan::select::allows,
};

/// A configuration with the mirror of what clients pulled.
#[derive(Debug)]
pub struct WithDemand {
    /// The configuration.
    pub config: Config,
    /// Images of which nothing is left, and until when somebody pulled them.
    pub left: Vec<DemandRecord>,
    /// The time before which the last pull of an image that leaves was, in seconds since 1970.
    pub since: i64,
}

/// Adds the mirror of what clients pulled through, as the store knows it at `now`, in seconds since
/// 1970. The daemon and every command see the same one.
pub async fn with_demand(
    config: &Config,
    store: &Store,
    now: i64,
) -> Result<WithDemand, store::Error> {
    let keep = config.gateway.as_ref().map(|gateway| gateway.keep);
    let Some(keep) = keep else {
        let config = config.clone().with_on_demand(&PulledImages::default());
        return Ok(WithDemand {
            config,
            left: Vec::new(),
            since: now,
        });
    };
    let since = now.saturating_sub(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX));
    let at_target = store.kept_tags(ON_DEMAND).await?.into_iter().collect();
    let (images, left) = sorted(config, store.demand().await?, &at_target, since);
    Ok(WithDemand {
        config: config.clone().with_on_demand(&images),
        left,
        since,
    })
}

/// What the mirror has, and what of the rest is gone from the target.
fn sorted(
    config: &Config,
    demand: Vec<DemandRecord>,
    at_target: &HashSet<(Repository, Tag)>,
    since: i64,
) -> (PulledImages, Vec<DemandRecord>) {
    let on_demand = config.gateway.as_ref().and_then(|g| g.on_demand.as_ref());
    let mut images = PulledImages::default();
    let mut left = Vec::new();
    for image in demand {
        let is_pulled = image.last_pull >= since;
        if is_pulled && !is_covered(config, &image) {
            images.kept.push((image.repository, image.version));
            continue;
        }
        let target = on_demand.and_then(|on_demand| on_demand.target(&image.repository));
        let place = target.zip(kept_tag(&image.version));
        if place.is_some_and(|place| at_target.contains(&place)) {
            if !images.leaving.contains(&image.repository) {
                images.leaving.push(image.repository);
            }
        } else if !is_pulled {
            left.push(image);
        }
    }
    (images, left)
}

/// Whether an entry of the file mirrors an image by now. A digest belongs to no entry: entries mirror
/// tags.
fn is_covered(config: &Config, image: &DemandRecord) -> bool {
    let Version::Tag(tag) = &image.version else {
        return false;
    };
    let mut entries = config
        .mirrors
        .iter()
        .filter(|mirror| *mirror.name != *ON_DEMAND);
    entries.any(|mirror| {
        let mut routes = mirror.routes_from(&image.repository);
        routes.any(|route| allows(&route, tag)) && mirror.target_tag(tag).is_ok()
    })
}

#[cfg(test)]
mod tests;
