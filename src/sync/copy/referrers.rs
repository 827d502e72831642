//! Brings what refers to an image: signatures, SBOMs and attestations, by the referrers API, by
//! its fallback tag, and by the tags that cosign writes.

use std::{
    collections::{HashSet, VecDeque},
    sync::atomic::AtomicU64,
};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    config::Referrers,
    oci::{Content, Digest, Manifest, Tag},
    registry::{self, Kind, Referrer},
    sync::copy::{CopyContext, Error, Transfer, blob_index::Holding, image::Descent},
};

/// Most manifests that are looked at for one image: a hostile source could name ever more.
const LIMIT: usize = 2000;
/// The tags that cosign writes beside an image, `sha256-<hex>` and one of these.
const SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// A tag that was brought because it refers to an image.
pub(crate) struct ReferringTag {
    pub(crate) tag: Tag,
    pub(crate) digest: Digest,
    /// Whether it was written just now.
    pub(crate) is_new: bool,
}

/// What a source tells of the referrers of one manifest.
struct Listed {
    referrers: Vec<Referrer>,
    /// The fallback tag's manifest, where the source has no API.
    fallback: Option<Manifest>,
}

impl Transfer {
    /// Brings everything that refers to an image or to a part of it, and what refers to that, to
    /// any depth. `written` is what stands at the target for the source's `digest`: what refers
    /// to an index that was written anew does not hold for it, and stays behind.
    pub(crate) async fn bring_referrers(
        &self,
        lane: CopyContext<'_>,
        wanted: &Referrers,
        digest: &Digest,
        written: &Digest,
    ) -> Result<Vec<ReferringTag>, Error> {
        let mut tags = Vec::new();
        let mut seen = HashSet::new();
        let mut subjects: VecDeque<Digest> = self.parts(lane, written).await?.into();
        if digest == written {
            subjects.push_front(digest.clone());
        }
        while let Some(subject) = subjects.pop_front() {
            if !seen.insert(subject.clone()) {
                continue;
            }
            if seen.len() > LIMIT {
                let text = format!("more than {LIMIT} manifests refer to it");
                return Err(fail(lane, digest, Kind::Manifest(text)));
            }
            subjects.extend(self.bring_listed(lane, wanted, &subject).await?);
            for tag in self.bring_cosign_tags(lane, wanted, &subject).await? {
                subjects.push_back(tag.digest.clone());
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// The manifests that an index at the target leads to.
    async fn parts(&self, lane: CopyContext<'_>, written: &Digest) -> Result<Vec<Digest>, Error> {
        let mut parts = Vec::new();
        let mut indexes = VecDeque::from([written.clone()]);
        while let Some(digest) = indexes.pop_front() {
            let Some(manifest) = lane.target.get_manifest(&lane.to.digest(&digest)).await? else {
                continue;
            };
            if let Ok(Content::Index(children)) = manifest.content() {
                for child in children {
                    if child.media_type.contains("index") || child.media_type.contains("list") {
                        indexes.push_back(child.digest.clone());
                    }
                    parts.push(child.digest);
                }
            }
            if parts.len() > LIMIT {
                let text = format!("its indexes name more than {LIMIT} manifests");
                return Err(fail(lane, written, Kind::Manifest(text)));
            }
        }
        Ok(parts)
    }

    /// Brings what the API or the fallback tag lists. Returns the digests, which may be subjects
    /// themselves.
    async fn bring_listed(
        &self,
        lane: CopyContext<'_>,
        wanted: &Referrers,
        subject: &Digest,
    ) -> Result<Vec<Digest>, Error> {
        let listed = listed(lane, subject).await?;
        let mut brought = Vec::new();
        for referrer in listed.referrers {
            if self.bring_referrer(lane, wanted, &referrer).await? {
                brought.push(referrer);
            }
        }
        if !brought.is_empty() {
            self.list_at_target(lane, subject, &brought, listed.fallback)
                .await?;
        }
        Ok(brought
            .into_iter()
            .map(|referrer| referrer.digest)
            .collect())
    }

    /// Brings one referrer, if it is wanted and there: a fallback index may name what is not.
    async fn bring_referrer(
        &self,
        lane: CopyContext<'_>,
        wanted: &Referrers,
        referrer: &Referrer,
    ) -> Result<bool, Error> {
        if referrer
            .artifact_type
            .as_ref()
            .is_some_and(|kind| !wanted.wants(kind))
        {
            return Ok(false);
        }
        let _lead = self.lead(lane, &referrer.digest).await;
        if self.holdings.look_up(lane.to, &referrer.digest).await? == Holding::Held {
            return Ok(true);
        }
        let from = lane.from.digest(&referrer.digest);
        let Some(manifest) = lane.source.get_manifest(&from).await? else {
            tracing::warn!("the source lists {from} as a referrer and does not have it");
            return Ok(false);
        };
        let kind = referrer
            .artifact_type
            .clone()
            .or_else(|| manifest.artifact_type());
        if !wanted.wants(&kind.unwrap_or_default()) {
            return Ok(false);
        }
        let allowance = self.budget.allowance(lane.config, lane.target.name());
        self.admit(lane, &manifest, allowance.await?).await?;
        let (pulled, to) = (AtomicU64::new(0), lane.to.digest(&referrer.digest));
        self.bring_manifest(lane, &manifest, &to, Descent::from_top(&pulled))
            .await?;
        tracing::info!(digest = %referrer.digest, "copied a referrer to {}", lane.to);
        Ok(true)
    }

    /// Sees to it that a target without the referrers API lists them under the fallback tag. What
    /// is listed there already stays; the source's own index is used where it says the same.
    async fn list_at_target(
        &self,
        lane: CopyContext<'_>,
        subject: &Digest,
        brought: &[Referrer],
        fallback: Option<Manifest>,
    ) -> Result<(), Error> {
        if lane
            .target
            .list_referrers(lane.to, subject)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let Some(tag) = fallback_tag(subject) else {
            return Ok(());
        };
        let reference = lane.to.tag(&tag);
        let existing = lane.target.get_manifest(&reference).await?;
        let mut entries = existing.as_ref().map_or_else(Vec::new, referrers_of);
        let before = entries.len();
        for referrer in brought {
            if entries.iter().all(|known| known.digest != referrer.digest) {
                entries.push(referrer.clone());
            }
        }
        if entries.len() == before {
            return Ok(());
        }
        let digests = |list: &[Referrer]| -> HashSet<Digest> {
            list.iter()
                .map(|referrer| referrer.digest.clone())
                .collect()
        };
        let is_same = |index: &Manifest| digests(&referrers_of(index)) == digests(&entries);
        let index = match fallback.filter(is_same) {
            Some(index) => index,
            None => fallback_index(&entries).map_err(|kind| fail(lane, subject, kind))?,
        };
        lane.target.put_manifest(&reference, &index).await?;
        Ok(())
    }

    /// Brings the tags that cosign wrote for a digest. They move when a signature is added.
    async fn bring_cosign_tags(
        &self,
        lane: CopyContext<'_>,
        wanted: &Referrers,
        subject: &Digest,
    ) -> Result<Vec<ReferringTag>, Error> {
        let mut brought = Vec::new();
        for suffix in SUFFIXES.into_iter().filter(|suffix| wanted.wants(suffix)) {
            let name = fallback_tag(subject).map(|tag| format!("{tag}{suffix}"));
            let Some(tag) = name.and_then(|name| name.parse::<Tag>().ok()) else {
                continue;
            };
            if lane.listing.is_some_and(|listing| !listing.contains(&tag)) {
                continue;
            }
            let Some(head) = lane.source.head_manifest(&lane.from.tag(&tag)).await? else {
                continue;
            };
            let there = lane.target.head_manifest(&lane.to.tag(&tag)).await?;
            let is_doubted = self.holdings.doubt(lane.to, &head.digest).is_some();
            let is_new = is_doubted || there.is_none_or(|there| there.digest != head.digest);
            if is_new {
                self.copy_image(lane, &tag, &head.digest).await?;
            }
            brought.push(ReferringTag {
                tag,
                digest: head.digest,
                is_new,
            });
        }
        Ok(brought)
    }
}

/// What the source lists: by its API, else under the fallback tag.
async fn listed(lane: CopyContext<'_>, subject: &Digest) -> Result<Listed, Error> {
    if let Some(referrers) = lane.source.list_referrers(lane.from, subject).await? {
        return Ok(Listed {
            referrers,
            fallback: None,
        });
    }
    let tag = fallback_tag(subject);
    let tag = tag.filter(|tag| lane.listing.is_none_or(|listing| listing.contains(tag)));
    let fallback = match tag {
        Some(tag) => lane.source.get_manifest(&lane.from.tag(&tag)).await?,
        None => None,
    };
    let referrers = fallback.as_ref().map_or_else(Vec::new, referrers_of);
    Ok(Listed {
        referrers,
        fallback,
    })
}

/// The tag that stands in for the API: the digest with a `-`
/// ([spec.md](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema)).
fn fallback_tag(subject: &Digest) -> Option<Tag> {
    let name: String = subject
        .as_str()
        .replace(':', "-")
        .chars()
        .take(128)
        .collect();
    name.parse().ok()
}

fn referrers_of(index: &Manifest) -> Vec<Referrer> {
    serde_json::from_slice::<Value>(&index.bytes)
        .map_or_else(|_| Vec::new(), |v| Referrer::all_of(&v))
}

fn fallback_index(entries: &[Referrer]) -> Result<Manifest, Kind> {
    let entries: Vec<&Value> = entries.iter().map(|referrer| &referrer.entry).collect();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE,
        "manifests": entries,
    });
    Manifest::new(Bytes::from(index.to_string()), None).map_err(Kind::from)
}

fn fail(lane: CopyContext<'_>, subject: &Digest, kind: Kind) -> Error {
    let subject = lane.from.digest(subject);
    registry::Error::new("copy referrers of", subject, lane.source.name(), kind).into()
}
