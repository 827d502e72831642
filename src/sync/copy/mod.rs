//! Performs a plan's steps: children before indexes, blobs before manifests, the tag last.

mod activity;
mod blob;
pub(crate) mod blob_index;
pub(crate) mod deposit;
mod fanout;
mod image;
mod missing;
mod referrer_list;
mod referrers;
pub(crate) mod refusing_targets;
pub(crate) mod single_flight;
mod upload;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

pub use crate::sync::copy::activity::{Activity, Moving};
pub(crate) use crate::sync::copy::fanout::Sharing;
pub(crate) use crate::sync::copy::referrers::ReferringTag;
pub(crate) use crate::sync::prune::delete::{DeleteOutcome, Deletion};
use crate::{
    config::{Config, Mirror},
    coordination::Lease,
    metrics::Metrics,
    oci::{Digest, Reference, RegistryName, Repository, Tag, Version},
    registry::{self, ImagePermit, Kind, Registry, RequestCounter},
    store::{Presence, Store, StoreWriter},
    sync::{
        Error,
        copy::{
            blob_index::BlobIndex,
            fanout::Fanout,
            refusing_targets::RefusingTargets,
            single_flight::{Leader, SingleFlight},
        },
        failure_log::FailureLog,
        plan::{BlobKnowledge, Plan, Step, action::Action},
        route_group::RouteGroup,
        traffic_budget::Budget,
    },
};

/// Images in flight at a time, over all runs.
const IMAGES: usize = 64;

/// Content that a target repository is to hold.
type Want = (Repository, Digest);

/// Everything that transfers share, whichever run they belong to.
#[derive(Debug)]
pub struct Transfer {
    /// Content that is being brought into a repository.
    wants: SingleFlight<Want>,
    /// Blobs that are being uploaded to a registry, by registry and digest.
    uploads: SingleFlight<(RegistryName, Digest)>,
    pub(crate) holdings: BlobIndex,
    /// Other processes that write by the same store.
    pub(crate) presence: Presence,
    fanout: Fanout,
    images: Semaphore,
    store: Store,
    pub(crate) recorder: Arc<StoreWriter>,
    /// Once cancelled, nothing more is begun.
    stop: CancellationToken,
    metrics: Arc<Metrics>,
    activity: Activity,
    budget: Budget,
}

/// What one run of one mirror did, counted as it goes.
#[derive(Debug, Default)]
pub struct RunCounters {
    /// What was asked of sources.
    pub source: Arc<RequestCounter>,
    /// What was asked of targets.
    pub target: Arc<RequestCounter>,
    /// Blobs uploaded.
    pub blobs_copied: AtomicU64,
    /// Blobs mounted from another repository.
    pub blobs_mounted: AtomicU64,
    /// Wanted blobs that were there already.
    pub blobs_present: AtomicU64,
    /// Bytes of wanted blobs that were not uploaded.
    pub saved_bytes: AtomicU64,
    /// Referrers written just now.
    pub referrers_copied: AtomicU64,
    /// Referrers whose type the mirror does not list.
    pub referrers_left_out: AtomicU64,
    /// Targets that cannot store anything, for the rest of the run.
    pub refusing: RefusingTargets,
    /// What log lines reported.
    pub failure_log: FailureLog,
}

/// One source repository, one target repository, and the run that they are copied for.
#[derive(Clone, Copy, Debug)]
pub struct CopyContext<'a> {
    /// The source's registry.
    pub source: &'a Registry,
    /// The source repository.
    pub from: &'a Repository,
    /// The target's registry.
    pub target: &'a Registry,
    /// The target repository.
    pub to: &'a Repository,
    /// The config of the run.
    pub config: &'a Config,
    /// The mirror, which says what of an image is kept.
    pub mirror: &'a Mirror,
    /// How long the run may write.
    pub(crate) lease: &'a Lease,
    /// All routes that write to the target repository.
    pub(crate) group: &'a RouteGroup<'a>,
    /// Every tag that the source lists, where it was listed.
    pub listing: Option<&'a HashSet<Tag>>,
    /// What several targets pull together.
    pub(crate) fanout: Option<&'a Fanout>,
    /// The image that is being copied, by its digest at the source.
    pub(crate) image: Option<&'a Digest>,
    /// The tag that is written for that image.
    pub(crate) tag: Option<&'a Tag>,
    /// The right to pull that image's manifests.
    pub(crate) turn: Option<&'a ImagePermit>,
    /// Where the run counts.
    pub tally: &'a RunCounters,
}

impl CopyContext<'_> {
    /// The image that is being copied, by its name at the source.
    fn image_name(&self) -> String {
        let source_tag = |tag| self.mirror.source_tag(tag);
        match self.tag.and_then(source_tag) {
            Some(tag) => self.from.tag(&tag).to_string(),
            None => self.from.to_string(),
        }
    }

    /// Waits until a reference of the target may be written. What a digest names never changes; a tag
    /// moves only while the lease covers the request.
    async fn admit_write(&self, to: &Reference) -> Result<(), Error> {
        match to.version {
            Version::Digest(_) => Ok(()),
            Version::Tag(_) => self.admit_tag().await,
        }
    }

    /// The same for any tag.
    pub(crate) async fn admit_tag(&self) -> Result<(), Error> {
        let is_admitted = self.lease.admits_tag().await;
        is_admitted.then_some(()).ok_or(Error::Interrupted)
    }
}

impl Transfer {
    /// Nothing in flight.
    pub(crate) fn new(
        store: Store,
        recorder: Arc<StoreWriter>,
        metrics: Arc<Metrics>,
        budget: Budget,
        stop: CancellationToken,
    ) -> Self {
        Self {
            wants: SingleFlight::default(),
            uploads: SingleFlight::default(),
            holdings: BlobIndex::new(store.clone(), recorder.clone()),
            presence: store.presence(),
            fanout: Fanout::default(),
            images: Semaphore::new(IMAGES),
            store,
            recorder,
            stop,
            metrics,
            activity: Activity::default(),
            budget,
        }
    }

    /// What is moving now.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// The budget of traffic.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Announces what the targets of a route copy, so that they pull it together. Targets on one
    /// registry need none of it: the second of them mounts what the first was given.
    pub(crate) fn share(&self, plan: &Plan) -> Option<Sharing<'_>> {
        let registries: HashSet<_> = plan
            .targets
            .iter()
            .map(|t| t.repository.registry())
            .collect();
        if registries.len() < 2 {
            return None;
        }
        let sharing = self.fanout.share();
        for target in &plan.targets {
            for image in target.steps.iter().filter_map(announced) {
                self.fanout.expect(image, target.repository.registry());
            }
        }
        Some(sharing)
    }

    /// Takes note of steps that will be performed on a target repository, until
    /// [`Self::release`].
    pub(crate) async fn hold(&self, target: &Repository, knowledge: BlobKnowledge, steps: usize) {
        self.presence.enter().await;
        self.holdings.hold(target, knowledge).await;
        self.activity.plan_tags(steps);
    }

    /// The steps on a target repository are done.
    pub(crate) async fn release(&self, target: &Repository) {
        self.holdings.release(target).await;
        self.presence.leave();
    }

    /// Waits for the right to pull the manifests of a step's image, if it may need any: the tag that
    /// lags most comes first where a registry gives out few pulls.
    pub(crate) async fn pulls(&self, lane: CopyContext<'_>, step: &Step) -> Option<ImagePermit> {
        let digest = step.digest.as_ref()?;
        match step.action {
            Action::Copy { .. } | Action::Retag { written: None, .. } => {
                lane.source.admit_image(digest, step.since).await
            }
            _ => None,
        }
    }

    /// Waits for the right to copy an image, which lasts until it is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.images.acquire().await.ok()
    }

    /// Writes one tag, whichever way the plan says. Returns the digest that was written.
    pub async fn perform(
        &self,
        lane: CopyContext<'_>,
        step: &Step,
    ) -> Result<Option<Digest>, Error> {
        // However it ends, the other targets wait for it no longer.
        let _copying = match (lane.fanout, announced(step)) {
            (Some(fanout), Some(image)) => Some(fanout.copy(image, lane.target.name())),
            _ => None,
        };
        lane.tally.refusing.check(lane.target.name())?;
        let tag = lane.mirror.target_tag(&step.tag).map_err(|error| {
            let (name, kind) = (lane.target.name(), Kind::Protocol(error.to_string()));
            registry::Error::new(
                registry::Operation::Application("name a tag of"),
                lane.to,
                name,
                kind,
            )
        })?;
        self.back_up(lane, &tag, step).await?;
        match (&step.action, &step.digest) {
            (Action::Copy { .. }, Some(digest)) => {
                self.copy_image(lane, &tag, digest).await.map(Some)
            }
            (Action::Retag { written, .. }, Some(digest)) => self
                .retag(lane, &tag, digest, written.as_ref())
                .await
                .map(Some),
            _ => Ok(None),
        }
    }

    /// Gives the image that a tag stands for now its own name, where the mirror has one for it and
    /// another image is to take its place.
    async fn back_up(&self, lane: CopyContext<'_>, tag: &Tag, step: &Step) -> Result<(), Error> {
        let Some(backup) = lane
            .mirror
            .backup
            .as_ref()
            .filter(|_| step.is_overwriting())
        else {
            return Ok(());
        };
        let name = backup.target(tag).map_err(|error| {
            let (name, kind) = (lane.target.name(), Kind::Protocol(error.to_string()));
            registry::Error::new(
                registry::Operation::Application("name the backup of"),
                lane.to.tag(tag),
                name,
                kind,
            )
        })?;
        if is_mirrored(lane, &name).await? {
            let (image, name) = (lane.to.tag(tag), lane.to.tag(&name));
            if lane.tally.failure_log.has_line() {
                tracing::warn!(
                    "the image before {image} is not kept: {name} is mirrored itself; give \
                     `backup_tag` another template"
                );
            }
            return Ok(());
        }
        let Some(old) = lane.target.get_manifest(&lane.to.tag(tag)).await? else {
            return Ok(());
        };
        if Some(&old.digest) == step.digest.as_ref() {
            return Ok(());
        }
        lane.admit_tag().await?;
        match lane.target.put_manifest(&lane.to.tag(&name), &old).await {
            // What it leads to is lost already.
            Err(error) if error.is_missing_content() => {
                if lane.tally.failure_log.has_line() {
                    tracing::warn!(%error, "the image before {} is not kept", lane.to.tag(tag));
                }
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Waits for whoever brings this content into the lane's target repository now, and leads
    /// then.
    async fn lead(&self, lane: CopyContext<'_>, digest: &Digest) -> Leader<'_, Want> {
        let want = (lane.to.clone(), digest.clone());
        loop {
            if let Some(lead) = self.wants.lead_or_wait(&want).await {
                return lead;
            }
        }
    }
}

/// Whether a tag of the target is one that a route brings.
async fn is_mirrored(lane: CopyContext<'_>, name: &Tag) -> Result<bool, registry::Error> {
    let tag = lane.mirror.source_tag(name);
    match (tag.filter(|tag| lane.group.allows(tag)), lane.listing) {
        (None, _) => Ok(false),
        (Some(tag), Some(listing)) => Ok(listing.contains(&tag)),
        (Some(tag), None) => {
            let found = lane.source.head_manifest(&lane.from.tag(&tag)).await?;
            Ok(found.is_some())
        }
    }
}

/// The image that a step copies, which the other targets learn before.
fn announced(step: &Step) -> Option<&Digest> {
    let image = step.digest.as_ref();
    image.filter(|_| matches!(step.action, Action::Copy { .. }))
}

impl RunCounters {
    fn count(&self, counter: &AtomicU64, saved_bytes: u64) {
        counter.fetch_add(1, Ordering::Relaxed);
        self.saved_bytes.fetch_add(saved_bytes, Ordering::Relaxed);
    }
}
