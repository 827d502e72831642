//! What is moving right now, for progress bars and pages to look at.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures::StreamExt as _;
use parking_lot::Mutex;
use prometheus::IntGauge;

use crate::{
    oci::{Descriptor, Digest, RegistryName, Repository},
    registry::BlobStream,
    sync::copy::CopyContext,
};

/// What is moving, and how much of the work is done.
#[derive(Debug, Default)]
pub struct Activity {
    tags_planned: AtomicU64,
    tags_done: AtomicU64,
    bytes_moved: AtomicU64,
    next: AtomicU64,
    moving: Mutex<BTreeMap<u64, Arc<Moving>>>,
}

/// A blob in flight.
#[derive(Debug)]
pub struct Moving {
    /// The mirror that it is copied for.
    pub mirror: Arc<str>,
    /// The image that it is a part of, by its name at the source.
    pub image: String,
    /// Where from.
    pub source: RegistryName,
    /// Which one.
    pub digest: Digest,
    /// Where to.
    pub target: Repository,
    /// Its length.
    pub size_bytes: u64,
    started: Instant,
    sent_bytes: AtomicU64,
}

/// Keeps a blob on the list until it is dropped.
pub(crate) struct Entry<'a> {
    activity: &'a Activity,
    gauge: &'a IntGauge,
    id: u64,
    moving: Arc<Moving>,
}

impl Activity {
    /// Tags that are to be written or were found in order, and those of them that are done.
    pub fn tags(&self) -> (u64, u64) {
        (
            self.tags_planned.load(Ordering::Relaxed),
            self.tags_done.load(Ordering::Relaxed),
        )
    }

    /// Blob bytes that were sent to targets.
    pub fn bytes_moved(&self) -> u64 {
        self.bytes_moved.load(Ordering::Relaxed)
    }

    /// The blobs under way, by a number that is never used again.
    pub fn moving(&self) -> BTreeMap<u64, Arc<Moving>> {
        self.moving.lock().clone()
    }

    pub(crate) fn plan_tags(&self, count: usize) {
        self.tags_planned.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn finish_tag(&self) {
        self.tags_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn enter<'a>(
        &'a self,
        gauge: &'a IntGauge,
        blob: &Descriptor,
        lane: CopyContext<'_>,
    ) -> Entry<'a> {
        gauge.inc();
        let moving = Arc::new(Moving {
            mirror: lane.mirror.name.clone(),
            image: lane.image_name(),
            source: lane.from.registry().clone(),
            digest: blob.digest.clone(),
            target: lane.to.clone(),
            size_bytes: blob.size,
            started: Instant::now(),
            sent_bytes: AtomicU64::new(0),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.moving.lock().insert(id, moving.clone());
        Entry {
            activity: self,
            gauge,
            id,
            moving,
        }
    }
}

impl Moving {
    /// How much of it was sent.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Bytes a second since it began.
    pub fn bytes_per_second(&self) -> f64 {
        self.sent_bytes() as f64 / self.started.elapsed().as_secs_f64().max(0.1)
    }
}

impl Entry<'_> {
    /// Counts the bytes as they pass.
    pub(crate) fn count(&self, bytes: BlobStream) -> BlobStream {
        let moving = self.moving.clone();
        let count = move |frame: &Result<bytes::Bytes, _>| {
            let length = frame.as_ref().map_or(0, |frame| frame.len() as u64);
            moving.sent_bytes.fetch_add(length, Ordering::Relaxed);
        };
        bytes.inspect(count).boxed()
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.gauge.dec();
        let moved = self.moving.sent_bytes();
        self.activity
            .bytes_moved
            .fetch_add(moved, Ordering::Relaxed);
        self.activity.moving.lock().remove(&self.id);
    }
}
