//! Units: what one worker runs at a time. A unit is what a mirror brings from one source repository, or
//! finds what the patterns of a mirror stand for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use transship_cluster::{
    BlobKey, Claim, Error, FLIGHT_MIN_BYTES, FLIGHT_POLL, Flight, LaggingTag, RunEnd, UnitSpec,
    UploadRecord, Worker,
};

use crate::{
    config::{Config, Discovery, Mirror, Route},
    coordination::{DATABASE_PATIENCE, Lease, LeaseClock},
    oci::{Digest, Repository},
    registry::SavedUpload,
};

/// What stands in the key of the unit that finds what the patterns of a mirror stand for.
const FIND: &str = "*";
/// A unit that is overdue by this part of its accepted lag is anyone's.
const STEAL: u32 = 4;
/// Or by this, if that is less: a worker without work costs more than one with a cold store.
const MOST_STEAL: Duration = Duration::from_secs(300);
/// The wait of what is not due by itself: a paused mirror, or one without a schedule. `transship trigger`
/// still runs it.
pub const NOT_DUE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How soon a unit is given back again after that failed.
const RETRY: Duration = Duration::from_secs(2);
/// How the state of a hash is encoded. Another version may do that otherwise.
const HASH_KIND: &str = "sha2-0.11";

/// The units of a configuration.
pub fn units_of(config: &Config) -> Vec<UnitSpec> {
    config.mirrors.iter().flat_map(units_of_mirror).collect()
}

fn units_of_mirror(mirror: &Mirror) -> Vec<UnitSpec> {
    let mut units = units_of_routes(mirror, &mirror.routes);
    if !mirror.discoveries.is_empty() {
        let first = mirror.discoveries.iter().map(Discovery::registry).next();
        let registry = first.map(ToString::to_string).unwrap_or_default();
        units.push(unit(mirror, FIND, registry, mirror.target_registries()));
    }
    units
}

/// The units of routes of a mirror: one for each source repository.
pub fn units_of_routes(mirror: &Mirror, routes: &[Route]) -> Vec<UnitSpec> {
    let mut units: Vec<UnitSpec> = Vec::new();
    let mut places = HashMap::new();
    for route in routes {
        let place = *places.entry(&route.source).or_insert_with(|| {
            let (source, registry) = (route.source.to_string(), route.source.registry());
            units.push(unit(mirror, &source, registry.to_string(), Vec::new()));
            units.len() - 1
        });
        let targets = &mut units[place].targets;
        for target in &route.targets {
            let target = target.registry().to_string();
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    units
}

fn unit(mirror: &Mirror, what: &str, registry: String, targets: Vec<String>) -> UnitSpec {
    UnitSpec {
        key: format!("{} {what}", mirror.name),
        mirror: mirror.name.to_string(),
        source: registry,
        targets,
        due_in: match mirror.is_paused {
            true => NOT_DUE,
            false => mirror.jitter.mul_f64(fastrand::f64()),
        },
        steal_after: (mirror.max_lag / STEAL).min(MOST_STEAL),
    }
}

/// A unit that this worker claimed, until it is given back.
#[derive(Debug)]
pub struct OwnedUnit {
    owner: UnitOwner,
    /// How long it may be written.
    pub lease: Lease,
}

/// Who owns a unit, for what is written to the database about it.
#[derive(Clone, Debug)]
pub struct UnitOwner {
    worker: Worker,
    claim: Claim,
    /// Cancelled once another worker owns it.
    revoked: CancellationToken,
}

impl OwnedUnit {
    pub(crate) fn new(
        worker: &Worker,
        claim: Claim,
        clock: Arc<LeaseClock>,
        revoked: CancellationToken,
    ) -> Self {
        let tags_wait = claim.tags_wait_left();
        let owner = UnitOwner {
            worker: worker.clone(),
            claim,
            revoked: revoked.clone(),
        };
        let lease = Lease::of_unit(clock, revoked, tags_wait, owner.clone());
        Self { owner, lease }
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.owner.claim.key
    }

    /// The mirror that it is a part of.
    pub fn mirror(&self) -> &str {
        &self.owner.claim.mirror
    }

    /// The source repository; `None` if it is to find those.
    pub fn source(&self) -> Option<Repository> {
        let (_, source) = self.owner.claim.key.rsplit_once(' ')?;
        source.parse().ok()
    }

    /// Whether it finds what the patterns of its mirror stand for.
    pub fn is_discovery(&self) -> bool {
        let what = self.owner.claim.key.rsplit_once(' ');
        what.is_some_and(|(_, what)| what == FIND)
    }

    /// Makes the units that were found the ones that this one stands for.
    pub async fn discovered(&self, units: &[UnitSpec]) {
        let owner = &self.owner;
        let written = owner.worker.discovered(&owner.claim, units).await;
        owner.note(written);
    }

    /// Whether its former owner died.
    pub fn is_takeover(&self) -> bool {
        self.owner.claim.is_takeover
    }

    /// Writes down what is behind, before it is brought.
    pub async fn record_lag(&self, tags: &[LaggingTag]) {
        let owner = &self.owner;
        let recorded = owner.worker.record_lag(&owner.claim, tags).await;
        owner.note(recorded);
    }

    /// Takes note that content which may have been wrong is right.
    pub(crate) async fn clear_suspect(&self, content: &BlobKey) -> Result<(), Error> {
        let owner = &self.owner;
        let blobs = owner.worker.blobs();
        blobs.clear_suspect(&owner.claim, content).await
    }

    /// Gives the unit back with what its run found. Goes on trying while the lease lasts. Returns
    /// whether it was still this worker's.
    pub async fn release(&self, end: &RunEnd) -> bool {
        let owner = &self.owner;
        loop {
            match owner.worker.release(&owner.claim, end).await {
                Err(error) if error.is_transient() && self.lease.covers_request() => {
                    sleep(RETRY).await;
                }
                released => {
                    let is_owner = released.is_ok();
                    owner.note(released);
                    return is_owner;
                }
            }
        }
    }
}

impl UnitOwner {
    /// Takes note of an answer of the database: another worker may own the unit.
    fn note(&self, answer: Result<(), Error>) {
        match answer {
            Ok(()) => {}
            Err(error @ (Error::FenceLost { .. } | Error::LeaseLost { .. })) => {
                tracing::warn!(unit = self.claim.key, %error, "the run of this unit is cut off");
                self.revoked.cancel();
            }
            Err(error) => {
                tracing::warn!(unit = self.claim.key, %error, "the database took no note of a unit");
            }
        }
    }

    /// Writes down how far an upload is, or that it is over, so that another worker can resume it.
    pub(crate) fn note_upload<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        saved: Option<&'a SavedUpload>,
    ) -> BoxFuture<'a, ()> {
        self.write_upload(repository, digest, saved).boxed()
    }

    async fn write_upload(
        &self,
        repository: &Repository,
        digest: &Digest,
        saved: Option<&SavedUpload>,
    ) {
        let key = blob_key(repository, digest);
        let noting = async {
            match saved {
                None => self.worker.blobs().forget_upload(&self.claim, &key).await,
                Some(saved) => {
                    let record = UploadRecord {
                        location: saved.location.clone(),
                        offset: saved.offset,
                        hash_state: saved.hash_state.clone(),
                        hash_kind: HASH_KIND.into(),
                        names_next_byte: saved.names_next_byte,
                    };
                    let blobs = self.worker.blobs();
                    blobs.save_upload(&self.claim, &key, &record).await
                }
            }
        };
        if let Ok(noted) = timeout(DATABASE_PATIENCE, noting).await {
            self.note(noted);
        }
    }

    /// The upload that another worker left, if there is one.
    pub(crate) fn take_upload<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Option<SavedUpload>> {
        self.read_upload(repository, digest).boxed()
    }

    async fn read_upload(&self, repository: &Repository, digest: &Digest) -> Option<SavedUpload> {
        let key = blob_key(repository, digest);
        let blobs = self.worker.blobs();
        let taking = blobs.take_upload(&self.claim, &key, HASH_KIND);
        let record = timeout(DATABASE_PATIENCE, taking).await.ok()?.ok()??;
        Some(SavedUpload {
            location: record.location,
            offset: record.offset,
            hash_state: record.hash_state,
            names_next_byte: record.names_next_byte,
        })
    }

    /// Whether workers send blobs of this size one after the other.
    pub(crate) fn shares(size_bytes: u64) -> bool {
        size_bytes >= FLIGHT_MIN_BYTES
    }

    /// Waits while another worker sends a large blob to the registry. Returns the repository that has
    /// it, or `None` if this worker is to send it. Without the database it is sent: twice at worst.
    pub(crate) fn begin_flight<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Option<Repository>> {
        self.await_flight(repository, digest).boxed()
    }

    async fn await_flight(&self, repository: &Repository, digest: &Digest) -> Option<Repository> {
        let (key, blobs) = (blob_key(repository, digest), self.worker.blobs());
        loop {
            match blobs.begin_flight(&self.claim, &key).await {
                Ok(Flight::Lead) => return None,
                Ok(Flight::Held { repository }) => {
                    return format!("{}/{repository}", key.registry).parse().ok();
                }
                Ok(Flight::Busy) => sleep(FLIGHT_POLL).await,
                Err(error) => {
                    self.note(Err(error));
                    return None;
                }
            }
        }
    }

    /// Ends what [`Self::begin_flight`] began: the repository has the blob, or not.
    pub(crate) fn end_flight<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        is_held: bool,
    ) -> BoxFuture<'a, ()> {
        let (key, blobs) = (blob_key(repository, digest), self.worker.blobs());
        let ending = async move {
            let ended = async {
                match is_held {
                    true => blobs.land(&self.claim, &key).await,
                    false => blobs.abort_flight(&self.claim, &key).await,
                }
            };
            if let Ok(ended) = timeout(DATABASE_PATIENCE, ended).await {
                self.note(ended);
            }
        };
        ending.boxed()
    }

    /// Takes note that a repository lacks a blob that others were told it has.
    pub(crate) fn forget_held<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, ()> {
        let (key, blobs) = (blob_key(repository, digest), self.worker.blobs());
        let forgetting = async move {
            if let Ok(forgotten) = timeout(DATABASE_PATIENCE, blobs.forget_held(&key)).await {
                self.note(forgotten);
            }
        };
        forgetting.boxed()
    }
}

fn blob_key(repository: &Repository, digest: &Digest) -> BlobKey {
    BlobKey {
        registry: repository.registry().to_string(),
        repository: repository.path().to_owned(),
        digest: digest.to_string(),
    }
}

#[cfg(test)]
mod tests;
