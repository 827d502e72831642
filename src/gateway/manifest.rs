//! Manifests: from memory, the store or the target, else from the upstream, once for all who ask.

use std::{sync::Arc, time::Duration};

use chrono::Utc;

use crate::{
    gateway::{
        Gateway, Pull,
        answer::{PullError, PullOutcome},
        cache::GenerationCache,
        resolution::is_outage,
        small_cache,
    },
    oci::{Content, Descriptor, Digest, Manifest, Repository},
    store::{PulledContent, StoreEvent},
    sync::copy::single_flight::SingleFlight,
};

/// Bytes of manifests that are remembered in one generation.
const BYTES: usize = 16 << 20;
/// Blobs of which it is remembered which manifest led to them.
const LINKS: usize = 100_000;
/// How long a target, and an upstream, may take for a manifest.
const TARGET: Duration = Duration::from_secs(3);
const UPSTREAM: Duration = Duration::from_secs(10);

type ManifestName = (Repository, Digest);

/// What was served lately.
#[derive(Debug)]
pub(crate) struct ManifestCache {
    manifests: GenerationCache<ManifestName, Arc<Manifest>>,
    links: GenerationCache<ManifestName, BlobLink>,
    flights: SingleFlight<ManifestName>,
}

/// A blob that a manifest of its repository leads to: no other is served.
#[derive(Clone, Debug)]
pub(crate) struct BlobLink {
    pub(crate) blob: Descriptor,
    /// The target repository, if there is one.
    pub(crate) to: Option<Repository>,
}

impl Default for ManifestCache {
    fn default() -> Self {
        Self {
            manifests: GenerationCache::new(BYTES),
            links: small_cache(LINKS),
            flights: SingleFlight::default(),
        }
    }
}

impl Gateway {
    /// A manifest of a repository.
    pub(crate) async fn manifest(
        &self,
        pull: &Pull,
        digest: &Digest,
    ) -> Result<(Arc<Manifest>, PullOutcome), PullError> {
        let name = (pull.repository.clone(), digest.clone());
        let mut outcome = PullOutcome::Hit;
        loop {
            if let Some(known) = self.manifests.manifests.get(&name) {
                return Ok((known, outcome));
            }
            let Some(_lead) = self.manifests.flights.lead_or_wait(&name).await else {
                outcome = PullOutcome::Coalesced;
                continue;
            };
            if let Some(known) = self.manifests.manifests.get(&name) {
                return Ok((known, outcome));
            }
            if let Some(manifest) = self.kept_manifest(pull, digest).await {
                return Ok((self.remember(pull, manifest), PullOutcome::Hit));
            }
            let manifest = self.pull_manifest(pull, digest).await?;
            return Ok((self.remember(pull, manifest), PullOutcome::Miss));
        }
    }

    /// A manifest that the store or the target has.
    async fn kept_manifest(&self, pull: &Pull, digest: &Digest) -> Option<Manifest> {
        let pending = self
            .context
            .store
            .pending_manifest(&pull.repository, digest)
            .await;
        if let Ok(Some(manifest)) = pending
            && digest.matches(&manifest.bytes)
        {
            return Some(manifest);
        }
        let copy = pull.copy.as_ref().map(|copy| &copy.repository);
        let (registry, to) = self.target(copy)?;
        let reference = to.digest(digest);
        match tokio::time::timeout(TARGET, registry.get_manifest(&reference)).await {
            Ok(Ok(manifest)) => manifest,
            Ok(Err(error)) => {
                if is_outage(&error) {
                    self.pause_target(registry.name(), &error);
                }
                None
            }
            Err(_) => {
                self.pause_target(registry.name(), &"it does not answer in time");
                None
            }
        }
    }

    /// Pulls a manifest through. It is kept until it stands at the target.
    async fn pull_manifest(&self, pull: &Pull, digest: &Digest) -> Result<Manifest, PullError> {
        self.check_budget(&pull.config).await?;
        let registry = self.registry(pull.repository.registry())?;
        let reference = pull.repository.digest(digest);
        let pulled = tokio::time::timeout(UPSTREAM, registry.get_manifest(&reference)).await;
        let text = || format!("{reference}: the upstream does not answer in time");
        let failed = match &pulled {
            Err(_) => Some(text()),
            Ok(Err(error)) if is_outage(error) => Some(error.to_string()),
            Ok(_) => None,
        };
        let (board, name) = (&self.context.board, pull.repository.registry());
        match failed {
            Some(why) => board.upstream_failed(name, &why, Utc::now().timestamp()),
            None => board.upstream_answered(name),
        }
        let manifest = pulled
            .map_err(|_| PullError::unavailable(text()))?
            .map_err(|error| PullError::of_upstream(&error, "MANIFEST_UNKNOWN"))?;
        let Some(manifest) = manifest else {
            let text = format!("neither the target nor the upstream has {reference}");
            return Err(PullError::not_found("MANIFEST_UNKNOWN", text));
        };
        check_size(pull, &manifest)?;
        if pull.copy.is_some() {
            let pulled = PulledContent::Manifest {
                repository: pull.repository.clone(),
                manifest: manifest.clone(),
                at: Utc::now().timestamp(),
            };
            self.context.writer.note(StoreEvent::Pulled(pulled));
        }
        Ok(manifest)
    }

    fn remember(&self, pull: &Pull, manifest: Manifest) -> Arc<Manifest> {
        self.link(pull, &manifest);
        let manifest = Arc::new(manifest);
        let name = (pull.repository.clone(), manifest.digest.clone());
        let weight = manifest.bytes.len() + 256;
        self.manifests
            .manifests
            .insert(name, manifest.clone(), weight);
        manifest
    }

    /// Takes note of the blobs that a manifest leads to.
    fn link(&self, pull: &Pull, manifest: &Manifest) {
        let blobs = match manifest.content() {
            Ok(Content::Image(blobs)) => blobs,
            // The entries of a cache are layers.
            Ok(Content::Index(children)) => children
                .into_iter()
                .filter(|child| !child.is_manifest())
                .collect(),
            Err(_) => Vec::new(),
        };
        for blob in blobs {
            let name = (pull.repository.clone(), blob.digest.clone());
            let to = pull.copy.as_ref().map(|copy| copy.repository.clone());
            self.manifests.links.insert(name, BlobLink { blob, to }, 1);
        }
    }

    /// The blob of this digest, if a manifest of the repository that was served leads to it.
    pub(crate) async fn linked(&self, pull: &Pull, digest: &Digest) -> Option<BlobLink> {
        let name = (pull.repository.clone(), digest.clone());
        if let Some(link) = self.manifests.links.get(&name) {
            return Some(link);
        }
        // A client may have begun before this process did.
        let pending = self.context.store.pending_manifests(&pull.repository).await;
        for manifest in pending.unwrap_or_default() {
            self.link(pull, &manifest);
        }
        self.manifests.links.get(&name)
    }
}

/// Refuses an image that is larger than the operator allows, before its first byte.
fn check_size(pull: &Pull, manifest: &Manifest) -> Result<(), PullError> {
    let Some(most) = pull.gateway().and_then(|gateway| gateway.max_image) else {
        return Ok(());
    };
    let Ok(Content::Image(blobs)) = manifest.content() else {
        return Ok(());
    };
    let size: u64 = blobs.iter().map(|blob| blob.size).sum();
    if size <= most {
        return Ok(());
    }
    let (size, most) = (bytesize::ByteSize(size), bytesize::ByteSize(most));
    let text = format!(
        "{} has {size}, more than `max_image` of [gateway] allows ({most})",
        pull.repository
    );
    let status = axum::http::StatusCode::NOT_FOUND;
    Err(PullError::new(
        status,
        "NAME_UNKNOWN",
        text,
        PullOutcome::Refused,
    ))
}
