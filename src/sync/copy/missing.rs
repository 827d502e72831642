//! How much of an image a target lacks, before anything of it is moved.

use std::collections::HashSet;

use crate::{
    oci::{Content, Digest, Manifest},
    sync::{
        copy::{CopyContext, Error, Transfer, blob_index::Holding, image},
        traffic_budget::{Allowance, too_large},
    },
};

impl Transfer {
    /// Refuses an image of which more would have to be moved than the budget of traffic allows.
    pub(crate) async fn admit(
        &self,
        lane: CopyContext<'_>,
        manifest: &Manifest,
        allowance: Allowance,
    ) -> Result<(), Error> {
        match allowance {
            Allowance::All => Ok(()),
            Allowance::Small(usage) => match self.lacks(lane, manifest, usage.small_bytes()).await?
            {
                true => Err(too_large(usage, lane.target.name())),
                false => Ok(()),
            },
        }
    }

    /// Whether the target's registry lacks more bytes of an image than `most`. The manifests of an
    /// index are asked for, and again when it is copied: this is for hard times only.
    async fn lacks(
        &self,
        lane: CopyContext<'_>,
        manifest: &Manifest,
        most: u64,
    ) -> Result<bool, Error> {
        let mut seen: HashSet<Digest> = HashSet::new();
        let mut bytes = 0_u64;
        let mut manifests = vec![manifest.clone()];
        while let Some(manifest) = manifests.pop() {
            let reference = lane.from.digest(&manifest.digest);
            let content = manifest.content();
            match content.map_err(|error| image::broken(lane, &reference, error))? {
                Content::Image(blobs) => {
                    for blob in blobs {
                        let is_new = seen.insert(blob.digest.clone());
                        if is_new && !self.is_at_hand(lane, &blob.digest).await? {
                            bytes = bytes.saturating_add(blob.size);
                        }
                    }
                }
                Content::Index(children) => {
                    for child in children {
                        if !child.is_manifest() {
                            let is_new = seen.insert(child.digest.clone());
                            if is_new && !self.is_at_hand(lane, &child.digest).await? {
                                bytes = bytes.saturating_add(child.size);
                            }
                            continue;
                        }
                        let held = self.holdings.look_up(lane.to, &child.digest).await?;
                        if seen.insert(child.digest.clone()) && held != Holding::Held {
                            let child = lane.from.digest(&child.digest);
                            manifests.push(image::pull(lane, &child).await?);
                        }
                    }
                }
            }
            if bytes > most {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a blob is at the target, or can be mounted there.
    async fn is_at_hand(&self, lane: CopyContext<'_>, digest: &Digest) -> Result<bool, Error> {
        match self.holdings.look_up(lane.to, digest).await? {
            Holding::Held => Ok(true),
            Holding::Missing { elsewhere } => Ok(elsewhere.is_some()),
            Holding::Unknown => {
                let is_held = lane.target.has_blob(lane.to, digest).await?;
                self.holdings.learn(lane.to, digest, is_held).await;
                Ok(is_held)
            }
        }
    }
}
