//! Copies one image: its children, its blobs, its manifests, and last of all its tag.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};

use crate::{
    config::{Attestations, Mirror},
    oci::{Content, Descriptor, Digest, EntryKind, Manifest, ManifestError, Reference, Tag},
    registry::{self, Kind, Registry, Reservation},
    sync::{
        copy::{CopyContext, Error, Transfer, blob_index::Holding},
        index_walker::MAX_DEPTH,
    },
};

/// Blobs or children of one manifest that are seen to at a time.
const PARTS: usize = 16;

/// Bytes of each manifest that are not drawn with its body.
const UNCOUNTED: u64 = 64 << 10;
/// Most bytes of the manifests of one image together, of which many are held at a time.
const MANIFESTS: u64 = 32 << 20;

/// How far into an image a copy is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent<'a> {
    depth: usize,
    pulled: &'a PulledManifests,
}

/// The manifests of one image that were pulled so far, and the memory that they take.
#[derive(Debug)]
pub(crate) struct PulledManifests {
    bytes: AtomicU64,
    /// Bytes that no budget counts while a body is held: all of a small one.
    uncounted: AtomicU64,
    memory: Reservation,
}

impl PulledManifests {
    /// None so far.
    pub(crate) fn of(source: &Registry) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            uncounted: AtomicU64::new(0),
            memory: source.image_memory(),
        }
    }
}

impl<'a> Descent<'a> {
    /// At the top of an image, of whose parts `pulled` counts the manifests.
    pub(crate) fn from_top(pulled: &'a PulledManifests) -> Self {
        Self { depth: 0, pulled }
    }

    fn down(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }

    /// Refuses to go deeper than indexes nest.
    fn check(self) -> Result<(), Kind> {
        let text = || format!("its indexes nest more than {MAX_DEPTH} deep");
        (self.depth <= MAX_DEPTH)
            .then_some(())
            .ok_or_else(|| Kind::Manifest(text()))
    }

    /// Takes note of a manifest that was pulled.
    async fn took(self, source: &Registry, manifest: &Manifest) -> Result<(), Kind> {
        let size = manifest.bytes.len() as u64;
        let sum = self.pulled.bytes.fetch_add(size, Ordering::Relaxed) + size;
        if sum > MANIFESTS {
            let most = bytesize::ByteSize(MANIFESTS);
            let text = format!("its manifests are together larger than {most}");
            return Err(Kind::Manifest(text));
        }
        let size = size.min(UNCOUNTED);
        let sum = self.pulled.uncounted.fetch_add(size, Ordering::Relaxed) + size;
        source.draw(&self.pulled.memory, sum).await
    }
}

impl Transfer {
    /// Copies the image that `digest` names at the source, and writes `tag` for it. Returns the
    /// digest that was written, which differs where platforms are left out.
    pub(crate) async fn copy_image(
        &self,
        lane: CopyContext<'_>,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<Digest, Error> {
        let allowance = self.budget.allowance(lane.config, lane.target.name());
        let allowance = allowance.await?;
        let lane = CopyContext {
            image: Some(digest),
            tag: Some(tag),
            ..lane
        };
        let _lead = self.lead(lane, digest).await;
        let reference = lane.from.digest(digest);
        let whole = Box::pin(pull(lane, &reference)).await?;
        let broken = |error| broken(lane, &reference, error);
        let shape = |attestations| {
            let mut manifest = shape(&whole, lane.mirror, attestations).map_err(broken)?;
            // Of what a tag names, targets tell SHA-256, whatever the source tells.
            manifest.digest = Digest::of(&manifest.bytes);
            Ok::<_, Error>(manifest)
        };
        let manifest = shape(lane.mirror.attestations)?;
        let to = lane.to.tag(tag);
        Box::pin(self.admit(lane, &manifest, allowance)).await?;
        let pulled = PulledManifests::of(lane.source);
        let top = Descent::from_top(&pulled);
        match Box::pin(self.bring_manifest(lane, &manifest, &to, top)).await {
            Err(error)
                if is_about_attestations(&error)
                    && lane.mirror.attestations == Attestations::IfAccepted =>
            {
                if lane.tally.failure_log.has_line() {
                    tracing::info!(%error, "{to} is written without attestations");
                }
                let manifest = shape(Attestations::Drop)?;
                Box::pin(self.bring_manifest(lane, &manifest, &to, top)).await?;
                Ok(manifest.digest)
            }
            other => other.map(|_| manifest.digest),
        }
    }

    /// Writes a tag for an image that the repository holds already, or holds once a copy that is
    /// under way is done. Copies the image if it turns out not to.
    pub(crate) async fn retag(
        &self,
        lane: CopyContext<'_>,
        tag: &Tag,
        digest: &Digest,
        written: Option<&Digest>,
    ) -> Result<Digest, Error> {
        // A copy in flight leads, and is waited for. What is written for a part of
        // an image is only known to that copy.
        drop(self.lead(lane, digest).await);
        let written = match written {
            Some(written) => written,
            None if lane.mirror.is_verbatim() => digest,
            None => return self.copy_image(lane, tag, digest).await,
        };
        let held = match self.holdings.look_up(lane.to, written).await? {
            Holding::Missing { .. } => None,
            _ => match lane.target.get_manifest(&lane.to.digest(written)).await {
                Err(error) if error.is_read_forbidden() => None,
                found => found?,
            },
        };
        let Some(manifest) = held else {
            return self.copy_image(lane, tag, digest).await;
        };
        lane.admit_tag().await?;
        match lane.target.put_manifest(&lane.to.tag(tag), &manifest).await {
            Ok(()) => Ok(manifest.digest),
            Err(error) if error.is_missing_content() => {
                self.holdings.distrust(lane.to).await;
                self.copy_image(lane, tag, digest).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a manifest after all that it names. A target that says it lacks something which it
    /// was believed to hold is believed: nothing is taken for granted the second time. Returns how
    /// large the image is, in bytes.
    pub(crate) async fn bring_manifest(
        &self,
        lane: CopyContext<'_>,
        manifest: &Manifest,
        to: &Reference,
        descent: Descent<'_>,
    ) -> Result<u64, Error> {
        // Whoever knew the doubt before the parts were looked for brought those in doubt, too.
        let doubt = self.holdings.doubt(lane.to, &manifest.digest);
        let size = self.bring_parts(lane, manifest, to, descent).await?;
        lane.admit_write(to).await?;
        match Box::pin(lane.target.put_manifest(to, manifest)).await {
            Err(error) if error.is_missing_content() => {
                if lane.tally.failure_log.has_line() {
                    tracing::warn!(%error, "the target lost content; it is brought again");
                }
                self.holdings.distrust(lane.to).await;
                // Some targets go on claiming, when asked, what they have lost.
                for part in parts(manifest).map_err(|e| broken(lane, to, e))? {
                    self.holdings.learn(lane.to, &part.digest, false).await;
                }
                Box::pin(self.bring_parts(lane, manifest, to, descent)).await?;
                lane.admit_write(to).await?;
                Box::pin(lane.target.put_manifest(to, manifest)).await?;
            }
            other => other?,
        }
        if doubt.is_some() {
            self.holdings.prove(lane.to, &manifest.digest).await;
        }
        self.holdings.learn(lane.to, &manifest.digest, true).await;
        Ok(size)
    }

    /// Brings the blobs or the children of a manifest; how large they are together.
    async fn bring_parts(
        &self,
        lane: CopyContext<'_>,
        manifest: &Manifest,
        to: &Reference,
        descent: Descent<'_>,
    ) -> Result<u64, Error> {
        let content = manifest.content().map_err(|e| broken(lane, to, e))?;
        if let Some(turn) = lane.turn {
            let children: &[Descriptor] = match &content {
                Content::Image(_) => &[],
                Content::Index(children) => children,
            };
            let children = children.iter().filter(|child| child.is_manifest());
            turn.needs(children.map(|child| &child.digest));
        }
        match content {
            Content::Image(blobs) => {
                let size = blobs
                    .iter()
                    .fold(0, |sum, blob| blob.size.saturating_add(sum));
                self.holdings.sized(&manifest.digest, size).await;
                self.holdings.made(&manifest.digest, &blobs).await;
                let brought = stream::iter(blobs)
                    .map(|blob| async move { self.bring_blob(lane, &blob).await });
                let () = brought.buffer_unordered(PARTS).try_collect().await?;
                Ok(size)
            }
            Content::Index(children) => {
                self.holdings.made(&manifest.digest, &children).await;
                let brought = stream::iter(children)
                    .map(|child| self.bring_entry(lane, manifest, child, descent.down()));
                let sum = |sum: u64, size| async move { Ok(sum.saturating_add(size)) };
                let size = brought.buffer_unordered(PARTS).try_fold(0, sum).await?;
                self.holdings.sized(&manifest.digest, size).await;
                Ok(size)
            }
        }
    }

    /// Brings what an index names: a manifest, or a layer as indexes of build caches have them.
    async fn bring_entry<'a>(
        &'a self,
        lane: CopyContext<'a>,
        index: &'a Manifest,
        entry: Descriptor,
        descent: Descent<'a>,
    ) -> Result<u64, Error> {
        if entry.is_manifest() {
            return self.bring_child(lane, index, entry, descent).await;
        }
        match self.bring_blob(lane, &entry).await {
            Err(Error::Registry(mut error)) if error.is_not_found() => {
                let kind = &entry.media_type;
                error.remedy = Some(format!(
                    "its index names it as `{kind}`, as build caches do; `exclude` leaves its tag out"
                ).into());
                Err(error.into())
            }
            other => other.map(|()| entry.size),
        }
    }

    /// Brings a child of an index, unless the repository has it; how large it is.
    fn bring_child<'a>(
        &'a self,
        lane: CopyContext<'a>,
        index: &'a Manifest,
        child: Descriptor,
        descent: Descent<'a>,
    ) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            let (from, to) = (
                lane.from.digest(&child.digest),
                lane.to.digest(&child.digest),
            );
            descent.check().map_err(|kind| fail(lane, &from, kind))?;
            let _lead = self.lead(lane, &child.digest).await;
            let needs_no_pull = || {
                if let Some(turn) = lane.turn {
                    turn.has(&child.digest);
                }
            };
            let held = Box::pin(self.look_for_child(lane, &child.digest, &to));
            if let Some(size) = held.await? {
                needs_no_pull();
                return Ok(size);
            }
            let manifest = match Box::pin(find(lane, &from)).await? {
                Some(manifest) => manifest,
                None => return Err(withdrawn(lane, &from, index.entry_kind(&child.digest))),
            };
            needs_no_pull();
            let took = descent.took(lane.source, &manifest).await;
            took.map_err(|kind| fail(lane, &from, kind))?;
            self.bring_manifest(lane, &manifest, &to, descent).await
        })
    }

    /// How large a child of an index is, if the repository has it.
    async fn look_for_child(
        &self,
        lane: CopyContext<'_>,
        child: &Digest,
        to: &Reference,
    ) -> Result<Option<u64>, Error> {
        let is_held = match self.holdings.look_up(lane.to, child).await? {
            Holding::Held => true,
            Holding::Missing { .. } => false,
            Holding::Unknown => {
                match lane.target.head_manifest(to).await {
                    // Some say 403 of what is not there, others 412 of what nobody may pull.
                    Err(error) if error.is_read_forbidden() => false,
                    found => {
                        let is_held = found?.is_some();
                        self.holdings.learn(lane.to, child, is_held).await;
                        is_held
                    }
                }
            }
        };
        match is_held {
            true => Ok(Some(self.holdings.size(child).await?)),
            false => Ok(None),
        }
    }
}

/// The blobs or the children of a manifest.
fn parts(manifest: &Manifest) -> Result<Vec<Descriptor>, ManifestError> {
    Ok(match manifest.content()? {
        Content::Image(parts) | Content::Index(parts) => parts,
    })
}

/// What of an image is written: all of it, unless the mirror says otherwise.
fn shape(
    whole: &Manifest,
    mirror: &Mirror,
    attestations: Attestations,
) -> Result<Manifest, ManifestError> {
    let manifest = match &mirror.platforms {
        Some(platforms) => whole.for_platforms(platforms)?,
        None => whole.clone(),
    };
    match attestations {
        Attestations::Drop => manifest.without_attestations(),
        Attestations::Keep | Attestations::IfAccepted => Ok(manifest),
    }
}

/// Pulls a manifest that the source has to have.
pub(crate) async fn pull(lane: CopyContext<'_>, reference: &Reference) -> Result<Manifest, Error> {
    let found = find(lane, reference).await?;
    found.ok_or_else(|| {
        let text =
            "the source serves nothing under this digest; the next run compares the tag again";
        fail(lane, reference, Kind::NotFound(text.into()))
    })
}

async fn find(lane: CopyContext<'_>, reference: &Reference) -> Result<Option<Manifest>, Error> {
    let pull = async {
        let found = lane.source.get_manifest(reference).await?;
        found.ok_or_else(|| fail(lane, reference, Kind::NotFound("no such manifest".into())))
    };
    let pulled = match lane.fanout {
        Some(fanout) => fanout.manifest(reference, pull).await,
        None => pull.await,
    };
    match pulled {
        Err(Error::Registry(error)) if error.is_not_found() => Ok(None),
        other => other.map(Some),
    }
}

/// What it means that a source does not serve what its index names, and which key leaves it out.
fn withdrawn(lane: CopyContext<'_>, reference: &Reference, kind: EntryKind) -> Error {
    let (what, remedy) = match &kind {
        EntryKind::Attestation => (
            "an attestation".to_owned(),
            "`attestations = \"drop\"` leaves attestations out, and `\"if-accepted\"` does where they cannot be copied",
        ),
        EntryKind::Platform(platform) => (
            format!("the image for {platform}"),
            "list the platforms that are there in `platforms`, or leave the tag out with `exclude`",
        ),
        EntryKind::Other => ("it".to_owned(), "`exclude` leaves the tag out"),
    };
    let text = format!("the source's index names {what}, and the source does not serve it");
    let subject = reference.to_string();
    let kind_of = Kind::NotFound(text);
    let mut error = registry::Error::new(
        registry::Operation::PullManifest,
        subject,
        lane.source.name(),
        kind_of,
    );
    error.remedy = Some(remedy.into());
    Error::Withdrawn {
        error,
        is_attestation: kind == EntryKind::Attestation,
    }
}

/// Whether an image could be copied without its attestations.
fn is_about_attestations(error: &Error) -> bool {
    match error {
        Error::Registry(error) => error.is_attestation_refused(),
        Error::Withdrawn { is_attestation, .. } => *is_attestation,
        _ => false,
    }
}

pub(crate) fn broken(lane: CopyContext<'_>, reference: &Reference, error: ManifestError) -> Error {
    fail(lane, reference, Kind::from(error))
}

fn fail(lane: CopyContext<'_>, reference: &Reference, kind: Kind) -> Error {
    let subject = reference.to_string();
    registry::Error::new(
        registry::Operation::PullManifest,
        subject,
        lane.source.name(),
        kind,
    )
    .into()
}
