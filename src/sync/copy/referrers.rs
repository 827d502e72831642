//! Brings what refers to an image: signatures, SBOMs and attestations, by the referrers API, by
//! its fallback tag, and by the tags that cosign writes.

use std::{
    collections::{HashSet, VecDeque},
    sync::atomic::Ordering,
};

use serde_json::Value;

use crate::{
    config::Referrers,
    oci::{Content, Digest, Manifest, Tag},
    registry::{self, Kind, Referrer, ReferrerList},
    sync::{
        copy::{
            CopyContext, Error, Transfer,
            blob_index::Holding,
            image::{Descent, PulledManifests},
            referrer_list::{entries_of, entry_of, fallback_index, fallback_tag, is_same_list},
        },
        index_walker::{WalkError, manifests_below},
    },
};

/// Most manifests that are looked at for one image: a hostile source could name ever more.
const LIMIT: usize = 2000;
/// Most bytes of the entries of new referrers that are kept.
const ENTRIES: usize = 256 << 10;
/// Most bytes of a list of referrers: registries take no larger manifest.
const LIST: usize = 4 << 20;
/// How many times its bytes a list takes when its entries are read.
const VALUES: u64 = 6;
/// The tags that cosign writes beside an image, `sha256-<hex>` and one of these.
const SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// The type of an empty config, which says nothing of an artifact.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The types of the configs of images.
const IMAGE_CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// A tag that was brought because it refers to an image.
pub(crate) struct ReferringTag {
    pub(crate) tag: Tag,
    pub(crate) digest: Digest,
    /// Whether it was written just now.
    pub(crate) is_new: bool,
}

/// What a source lists of the referrers of one manifest.
struct Listed {
    referrers: ReferrerList,
    /// The fallback tag's manifest, where the source has no API.
    fallback: Option<Manifest>,
    has_api: bool,
}

/// A referrer that the target holds.
struct Brought {
    digest: Digest,
    /// Its entry for a list, if it was pulled just now and there is room.
    entry: Option<Value>,
}

impl Listed {
    /// Whether the manifest itself has to be asked for its type. Lists without the API are written
    /// by clients, some of which put the type of the empty config there.
    fn is_hint(&self, kind: &str) -> bool {
        !self.has_api || kind.is_empty() || kind == EMPTY_TYPE || IMAGE_CONFIGS.contains(&kind)
    }
}

impl Transfer {
    /// Brings everything that refers to an image or to a part of it, and what refers to that, to
    /// any depth. `written` is what stands at the target for the source's `digest`: what refers
    /// to an index that was written again does not hold for it, and stays behind.
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
                return Err(fail(lane, digest, too_many()));
            }
            subjects.extend(self.bring_listed(lane, wanted, &subject).await?);
            if subjects.len() > LIMIT * 10 {
                return Err(fail(lane, digest, too_many()));
            }
            for tag in self.bring_cosign_tags(lane, wanted, &subject).await? {
                subjects.push_back(tag.digest.clone());
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// The manifests that an index at the target leads to.
    async fn parts(&self, lane: CopyContext<'_>, written: &Digest) -> Result<Vec<Digest>, Error> {
        let pull = |digest: Digest| async move {
            match lane.target.get_manifest(&lane.to.digest(&digest)).await {
                // A policy may forbid to pull what was just written. The source has it, too.
                Err(error) if error.is_read_forbidden() => {
                    lane.source.get_manifest(&lane.from.digest(&digest)).await
                }
                found => found,
            }
        };
        let below = manifests_below(written, LIMIT, pull).await;
        below.map_err(|error| match error {
            WalkError::Pull(error) => error.into(),
            WalkError::Limit { reason, .. } => fail(lane, written, Kind::Manifest(reason)),
        })
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
        let (mut brought, mut entries): (Vec<Brought>, usize) = (Vec::new(), 0);
        for referrer in listed.referrers.iter() {
            let found = self.bring_referrer(lane, wanted, subject, &listed, referrer);
            let Some(mut found) = found.await? else {
                continue;
            };
            entries += found
                .entry
                .as_ref()
                .map_or(0, |entry| entry.to_string().len());
            // What is not kept is read again from the target, if it needs a list.
            found.entry.take_if(|_| entries > ENTRIES);
            brought.push(found);
        }
        if !brought.is_empty() {
            self.list_at_target(lane, subject, &brought, listed.fallback)
                .await?;
        }
        Ok(brought.into_iter().map(|brought| brought.digest).collect())
    }

    /// Brings one referrer, if it is wanted and there: a fallback index may name what is not.
    async fn bring_referrer(
        &self,
        lane: CopyContext<'_>,
        wanted: &Referrers,
        subject: &Digest,
        listed: &Listed,
        referrer: &Referrer,
    ) -> Result<Option<Brought>, Error> {
        let left_out = || {
            lane.tally
                .referrers_left_out
                .fetch_add(1, Ordering::Relaxed);
            Ok(None)
        };
        let is_unwanted = |kind: &str| !wanted.wants(kind);
        if let Some(kind) = &referrer.artifact_type
            && is_unwanted(kind)
            && !listed.is_hint(kind)
        {
            return left_out();
        }
        let _lead = self.lead(lane, &referrer.digest).await;
        let digest = referrer.digest.clone();
        if self.holdings.look_up(lane.to, &digest).await? == Holding::Held {
            let entry = None;
            return Ok(Some(Brought { digest, entry }));
        }
        let from = lane.from.digest(&digest);
        let Some(manifest) = lane.source.get_manifest(&from).await? else {
            if lane.tally.failure_log.has_line() {
                tracing::warn!("the source lists {from} as a referrer and does not have it");
            }
            return Ok(None);
        };
        if !refers_to(&manifest, subject, referrer) {
            return Ok(None);
        }
        if is_unwanted(&manifest.artifact_type().unwrap_or_default()) {
            return left_out();
        }
        let allowance = self.budget.allowance(lane.config, lane.target.name());
        self.admit(lane, &manifest, allowance.await?).await?;
        let (pulled, to) = (PulledManifests::of(lane.source), lane.to.digest(&digest));
        self.bring_manifest(lane, &manifest, &to, Descent::from_top(&pulled))
            .await?;
        lane.tally.referrers_copied.fetch_add(1, Ordering::Relaxed);
        if lane.tally.failure_log.has_line() {
            tracing::info!(%digest, "copied a referrer to {}", lane.to);
        }
        let entry = Some(entry_of(&manifest));
        Ok(Some(Brought { digest, entry }))
    }

    /// Lists referrers under the fallback tag of a target without the referrers API. What is listed
    /// there already stays. The source's own index is written if it has the same entries.
    async fn list_at_target(
        &self,
        lane: CopyContext<'_>,
        subject: &Digest,
        brought: &[Brought],
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
        if existing
            .as_ref()
            .is_some_and(|there| !is_list(there, subject))
        {
            if lane.tally.failure_log.has_line() {
                tracing::warn!(
                    "{reference} is an image and no list of referrers; it stays as it is"
                );
            }
            return Ok(());
        }
        // Read as values, a list takes several times the bytes that it has.
        let memory = lane.target.image_memory();
        let bytes = existing
            .as_ref()
            .map_or(0, |there| there.bytes.len() as u64);
        let drawn = lane.target.draw(&memory, bytes * VALUES).await;
        drawn.map_err(|kind| fail(lane, subject, kind))?;
        let mut entries = existing.as_ref().map_or_else(Vec::new, entries_of);
        let before = entries.clone();
        let size = existing.as_ref().map_or(0, |there| there.bytes.len());
        add_entries(lane, subject, brought, &mut entries, size).await?;
        if entries == before {
            return Ok(());
        }
        let is_same = |index: &Manifest| is_same_list(&entries_of(index), &entries);
        let index = match fallback.filter(is_same) {
            Some(index) => index,
            None => fallback_index(&entries).map_err(|kind| fail(lane, subject, kind))?,
        };
        lane.admit_write(&reference).await?;
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
            let reference = lane.from.tag(&tag);
            let Some(head) = guessed(lane, lane.source.head_manifest(&reference).await)? else {
                continue;
            };
            let there = match lane.target.head_manifest(&lane.to.tag(&tag)).await {
                Err(error) if error.is_read_forbidden() => None,
                there => there?,
            };
            let is_doubted = self.holdings.doubt(lane.to, &head.digest).is_some();
            let is_new = is_doubted || there.is_none_or(|there| there.digest != head.digest);
            if is_new {
                self.copy_image(lane, &tag, &head.digest).await?;
                lane.tally.referrers_copied.fetch_add(1, Ordering::Relaxed);
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

fn too_many() -> Kind {
    Kind::Manifest(format!("more than {LIMIT} manifests refer to it"))
}

/// Adds what was brought to the entries of a list, which has `size` bytes so far.
async fn add_entries(
    lane: CopyContext<'_>,
    subject: &Digest,
    brought: &[Brought],
    entries: &mut Vec<Value>,
    mut size: usize,
) -> Result<(), Error> {
    for brought in brought {
        let is_known = entries
            .iter()
            .any(|known| known["digest"] == *brought.digest.as_str());
        let entry = match &brought.entry {
            Some(entry) => Some(entry.clone()),
            None if is_known => continue,
            None => {
                let reference = lane.to.digest(&brought.digest);
                let manifest = lane.target.get_manifest(&reference).await?;
                manifest.as_ref().map(entry_of)
            }
        };
        let Some(entry) = entry else { continue };
        size += entry.to_string().len();
        if size > LIST {
            let text = "the list of them is larger than 4 MiB".to_owned();
            return Err(fail(lane, subject, Kind::Manifest(text)));
        }
        match entries
            .iter_mut()
            .find(|known| known["digest"] == entry["digest"])
        {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
    Ok(())
}

/// What the source lists: by its API, else under the fallback tag.
async fn listed(lane: CopyContext<'_>, subject: &Digest) -> Result<Listed, Error> {
    if let Some(referrers) = lane.source.list_referrers(lane.from, subject).await? {
        return Ok(Listed {
            referrers,
            fallback: None,
            has_api: true,
        });
    }
    let tag = fallback_tag(subject);
    let tag = tag.filter(|tag| lane.listing.is_none_or(|listing| listing.contains(tag)));
    let fallback = match tag {
        Some(tag) => guessed(lane, lane.source.get_manifest(&lane.from.tag(&tag)).await)?,
        None => None,
    };
    let fallback = fallback.filter(|found| is_list(found, subject));
    let referrers = fallback
        .as_ref()
        .map_or_else(ReferrerList::default, |index| {
            ReferrerList::of_index(&index.bytes)
        });
    Ok(Listed {
        referrers,
        fallback,
        has_api: false,
    })
}

/// What a guessed name stands for: Artifactory answers 403 where nothing is.
fn guessed<T>(
    lane: CopyContext<'_>,
    found: Result<Option<T>, registry::Error>,
) -> Result<Option<T>, Error> {
    match found {
        Err(error) if error.is_read_forbidden() => {
            let source = lane.source.name();
            if lane.tally.failure_log.has_line() {
                tracing::warn!(
                    "{source} refuses a tag that may not exist; it is taken for absent: {error}"
                );
            }
            Ok(None)
        }
        other => Ok(other?),
    }
}

/// Whether a manifest under the fallback tag is a list of referrers: an index, and not the image
/// itself, which some builders push under that name.
fn is_list(manifest: &Manifest, subject: &Digest) -> bool {
    let is_index = matches!(manifest.content(), Ok(Content::Index(_)));
    is_index && manifest.digest != *subject
}

/// Whether a listed manifest refers to the subject. One that names none has to be listed as
/// something else than an image.
fn refers_to(manifest: &Manifest, subject: &Digest, listed: &Referrer) -> bool {
    let body: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
    match body["subject"]["digest"].as_str() {
        Some(digest) => digest == subject.as_str(),
        None => {
            let kind = listed
                .artifact_type
                .clone()
                .or_else(|| manifest.artifact_type());
            let is_image = |kind: &String| IMAGE_CONFIGS.contains(&kind.as_str());
            !listed.has_platform && kind.is_some_and(|kind| !is_image(&kind))
        }
    }
}

fn fail(lane: CopyContext<'_>, subject: &Digest, kind: Kind) -> Error {
    let subject = lane.from.digest(subject);
    registry::Error::new(
        registry::Operation::Application("copy referrers of"),
        subject,
        lane.source.name(),
        kind,
    )
    .into()
}
