//! Manifests: from memory, the store or the target, else from the upstream, once for all who ask.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::Utc;
use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};

use crate::{
    gateway::{
        Gateway, Pull,
        answer::{PullError, PullOutcome},
        cache::GenerationCache,
        resolution::is_outage,
        small_cache,
    },
    oci::{Content, Descriptor, Digest, Manifest, Platform, Repository},
    store::{PulledContent, StoreEvent},
    sync::copy::single_flight::SingleFlight,
};

/// Bytes of manifests that are remembered in one generation.
const BYTES: usize = 16 << 20;
/// Blobs of which it is remembered which manifest led to them.
const LINKS: usize = 40_000;
/// Repositories of which it is remembered when the store was searched for links, and how long that
/// counts: clients may ask for blobs that nothing leads to.
const SEARCHES: usize = 1000;
const SEARCHED: Duration = Duration::from_secs(30);
/// How long a target, and an upstream, may take for a manifest.
const TARGET: Duration = Duration::from_secs(3);
const UPSTREAM: Duration = Duration::from_secs(10);

/// KiB of manifests that wait to be written down: of small ones, and of all larger than `SMALL` bytes.
/// What an upstream sends fills neither memory nor the queue of the store, on which the daemon waits.
const WRITES_KIB: usize = 4 << 10;
const SMALL: usize = 64 << 10;

type ManifestName = (Repository, Digest);

/// What was served lately.
#[derive(Debug)]
pub(crate) struct ManifestCache {
    manifests: GenerationCache<ManifestName, Arc<Manifest>>,
    links: GenerationCache<ManifestName, BlobLink>,
    searches: GenerationCache<Repository, Arc<Mutex<Option<Instant>>>>,
    flights: SingleFlight<ManifestName>,
    small_writes: Arc<Semaphore>,
    large_writes: Arc<Semaphore>,
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
            searches: small_cache(SEARCHES),
            flights: SingleFlight::default(),
            small_writes: Arc::new(Semaphore::new(WRITES_KIB)),
            large_writes: Arc::new(Semaphore::new(WRITES_KIB)),
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
        let turn = self.reads.acquire().await;
        let pending = self
            .context
            .store
            .pending_manifest(&pull.repository, digest)
            .await;
        drop(turn);
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
        self.check_size(pull, &manifest).await?;
        if pull.copy.is_some() {
            let pulled = PulledContent::Manifest {
                repository: pull.repository.clone(),
                manifest: manifest.clone(),
                at: Utc::now().timestamp(),
            };
            self.keep_pending(manifest.bytes.len(), pulled).await;
        }
        Ok(manifest)
    }

    /// Refuses an image that is larger than the operator allows, before its first byte. The size is that
    /// of one platform; of an index, one child is looked at, so that clients can still go elsewhere.
    async fn check_size(&self, pull: &Pull, manifest: &Manifest) -> Result<(), PullError> {
        let has_limit = pull
            .gateway()
            .is_some_and(|gateway| gateway.max_image.is_some());
        let is_mirrored = pull.mirror.is_some() && !pull.is_on_demand();
        if !has_limit || is_mirrored {
            return Ok(());
        }
        let too_large = match manifest.content() {
            Ok(Content::Index(children)) => match typical(children) {
                Some(child) => match Box::pin(self.manifest(pull, &child.digest)).await {
                    Ok((child, _)) => too_large(pull, &child),
                    Err(refused) if refused.outcome == PullOutcome::Refused => return Err(refused),
                    // The client finds out itself.
                    Err(_) => None,
                },
                None => None,
            },
            _ => too_large(pull, manifest),
        };
        let Some((size, most)) = too_large else {
            return Ok(());
        };
        let text = format!(
            "{} has {}, more than `max_image` of [gateway] allows ({})",
            pull.repository,
            bytesize::ByteSize(size),
            bytesize::ByteSize(most)
        );
        let status = axum::http::StatusCode::NOT_FOUND;
        let outcome = PullOutcome::Refused;
        Err(PullError::new(status, "NAME_UNKNOWN", text, outcome))
    }

    /// Writes a manifest down. Waits while too many wait for that.
    async fn keep_pending(&self, bytes: usize, pulled: PulledContent) {
        let writes = match bytes <= SMALL {
            true => &self.manifests.small_writes,
            false => &self.manifests.large_writes,
        };
        let kib = bytes.div_ceil(1024).clamp(1, WRITES_KIB);
        let place = writes.clone().acquire_many_owned(kib as u32).await;
        if let Ok(place) = place {
            let writer = &self.context.writer;
            writer.note_with(StoreEvent::Pulled(pulled), place);
        }
    }

    fn remember(&self, pull: &Pull, manifest: Manifest) -> Arc<Manifest> {
        self.link(pull, &manifest);
        // A copy of its own: what is remembered holds no memory that runs draw from.
        let manifest = Arc::new(Manifest {
            bytes: Bytes::copy_from_slice(&manifest.bytes),
            ..manifest
        });
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
            // Types and annotations may be as long as a manifest.
            let blob = Descriptor {
                media_type: String::new(),
                platform: None,
                artifact_type: None,
                ..blob
            };
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
        let search = self
            .manifests
            .searches
            .get_or_insert(&pull.repository, Arc::default);
        let mut searched = search.lock().await;
        if searched.is_some_and(|at| at.elapsed() < SEARCHED) {
            return self.manifests.links.get(&name);
        }
        *searched = Some(Instant::now());
        let _turn = self.reads.acquire().await;
        let pending = self.context.store.pending_manifests(&pull.repository).await;
        for manifest in pending.unwrap_or_default() {
            self.link(pull, &manifest);
        }
        self.manifests.links.get(&name)
    }
}

/// The size that is too large for `max_image`, and that limit. What an entry mirrors has none.
fn too_large(pull: &Pull, manifest: &Manifest) -> Option<(u64, u64)> {
    let most = pull.gateway()?.max_image?;
    let Ok(Content::Image(blobs)) = manifest.content() else {
        return None;
    };
    let size: u64 = blobs.iter().map(|blob| blob.size).sum();
    (size > most).then_some((size, most))
}

/// The image of an index that stands for all: clients pull one, and linux/amd64 most of all. An index
/// in an index is not looked into.
fn typical(children: Vec<Descriptor>) -> Option<Descriptor> {
    let is_image = |child: &Descriptor| {
        let platform = child.platform.as_ref();
        let is_unknown = platform.is_some_and(Platform::is_unknown);
        child.is_manifest() && !child.may_be_index() && !is_unknown
    };
    let mut images: Vec<_> = children.into_iter().filter(is_image).collect();
    let usual: Option<Platform> = "linux/amd64".parse().ok();
    let usual = images.iter().position(|child| {
        let (usual, platform) = (usual.as_ref(), child.platform.as_ref());
        usual
            .zip(platform)
            .is_some_and(|(usual, platform)| usual.selects(platform))
    });
    (!images.is_empty()).then(|| images.swap_remove(usual.unwrap_or_default()))
}
