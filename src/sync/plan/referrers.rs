//! How many referrers a filter by type lets pass, as the source lists them.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use serde::Serialize;

use crate::{
    config::Mirror,
    oci::{Digest, Repository},
    registry::Registry,
    sync::plan::Plan,
};

/// Images of one repository whose referrers a plan counts: each costs a request.
const IMAGES: usize = 200;
/// Images that are asked for at a time.
const AT_ONCE: usize = 8;

/// The referrers of the images whose referrers the next run looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReferrerPlan {
    /// Those that the filter lets pass. Some of them may be at the target.
    pub wanted: u64,
    /// Those of other types.
    pub left_out: u64,
}

/// Counts what a filter leaves out; `None` without a filter, or without a referrers API: a plan pulls
/// no manifests, which registries meter.
pub(crate) async fn count(
    source: &Registry,
    repository: &Repository,
    mirror: &Mirror,
    plan: &Plan,
) -> Option<ReferrerPlan> {
    let wanted = mirror.referrers.as_ref()?;
    wanted.types.as_ref()?;
    let steps = plan.targets.iter().flat_map(|target| &target.steps);
    let due = steps.filter(|step| step.referrers);
    let images: BTreeSet<&Digest> = due.filter_map(|step| step.digest.as_ref()).collect();
    let listed = stream::iter(images.into_iter().take(IMAGES))
        .map(|image| source.list_referrers(repository, image));
    let mut listed = listed.buffered(AT_ONCE);
    let mut sum = None;
    while let Some(found) = listed.next().await {
        let referrers = found.ok().flatten()?;
        let sum: &mut ReferrerPlan = sum.get_or_insert_default();
        for referrer in referrers.iter() {
            match wanted.wants(referrer.artifact_type.as_deref().unwrap_or_default()) {
                true => sum.wanted += 1,
                false => sum.left_out += 1,
            }
        }
    }
    sum
}
