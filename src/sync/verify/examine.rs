//! Reads one target repository: tags, the manifests that they lead to, and the blobs of those. Each
//! manifest and each blob is asked for once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::Utc;
use futures::{StreamExt as _, future::BoxFuture, stream};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::finding::Fault;
use crate::{
    oci::{Content, Descriptor, Digest, Repository, Tag},
    registry::{BlobSize, OnceMap, Registry},
    store::{self, Check, Store, StoreEvent, StoreWriter},
};

/// Parts of one manifest that are looked for at a time.
const PARTS: usize = 16;
/// How deep indexes may nest; real ones nest once or twice.
const DEPTH: usize = 8;

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerifyDepth {
    /// Whether everything is there.
    Presence,
    /// The bytes of blobs, too.
    Bytes {
        /// Blobs read since then need not be read again, in milliseconds.
        since_ms: i64,
        /// When this run began, in milliseconds.
        now_ms: i64,
    },
}

/// A fault, and the manifests below the first one that lead to it.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) fault: Fault,
    pub(crate) path: Vec<Digest>,
}

/// What is wrong with one manifest or blob; nothing, most often.
type Traces = Arc<[Trace]>;

/// One target repository that is being read.
pub(crate) struct Examination<'a> {
    pub(crate) target: &'a Registry,
    pub(crate) repository: &'a Repository,
    pub(crate) depth: VerifyDepth,
    pub(crate) store: &'a Store,
    pub(crate) recorder: &'a StoreWriter,
    /// What was found of each manifest and each blob.
    found: OnceMap<Digest, OnceCell<Traces>>,
    /// What manifests lead to; kept only where a tag that is damaged may be well again.
    parts: Option<Mutex<HashMap<Digest, Vec<Digest>>>>,
    /// Blobs looked for.
    pub(crate) blobs: AtomicU64,
    /// Blobs read.
    pub(crate) read_blobs: AtomicU64,
}

impl<'a> Examination<'a> {
    /// Nothing was read yet.
    pub(crate) fn new(
        target: &'a Registry,
        repository: &'a Repository,
        depth: VerifyDepth,
        store: &'a Store,
        recorder: &'a StoreWriter,
    ) -> Self {
        Self {
            target,
            repository,
            depth,
            store,
            recorder,
            found: OnceMap::default(),
            parts: None,
            blobs: AtomicU64::new(0),
            read_blobs: AtomicU64::new(0),
        }
    }

    /// The same, which also keeps what manifests lead to.
    pub(crate) fn with_parts(self) -> Self {
        let parts = Some(Mutex::default());
        Self { parts, ..self }
    }

    /// A manifest that was read, and all that it leads to.
    pub(crate) fn contents(&self, manifest: &Digest) -> Vec<Digest> {
        let parts = self.parts.as_ref().map(Mutex::lock);
        let mut contents = vec![manifest.clone()];
        let mut at = 0;
        while let Some(digest) = contents.get(at).cloned() {
            let below = parts.as_ref().and_then(|parts| parts.get(&digest));
            for part in below.into_iter().flatten() {
                if !contents.contains(part) {
                    contents.push(part.clone());
                }
            }
            at += 1;
        }
        contents
    }

    /// What is wrong with a tag for which `written` was written.
    pub(crate) async fn tag(&self, tag: &Tag, written: &Digest) -> Result<Traces, store::Error> {
        let head = self.target.head_manifest(&self.repository.tag(tag)).await;
        let fault = match head {
            Err(error) => Fault::unreachable(&error),
            Ok(None) => Fault::MissingTag,
            Ok(Some(head)) if head.digest != *written => Fault::WrongDigest {
                found: head.digest,
                expected: written.clone(),
            },
            Ok(Some(_)) => return self.manifest(written.clone(), 0).await,
        };
        Ok(one(fault))
    }

    fn manifest(
        &self,
        digest: Digest,
        depth: usize,
    ) -> BoxFuture<'_, Result<Traces, store::Error>> {
        Box::pin(async move {
            let cell = self.found.get(&digest);
            let read = cell.get_or_try_init(|| self.read_manifest(&digest, depth));
            Ok(read.await?.clone())
        })
    }

    async fn read_manifest(&self, digest: &Digest, depth: usize) -> Result<Traces, store::Error> {
        let wrong = |text: String| Ok(one(Fault::WrongManifest(digest.clone(), text)));
        if depth > DEPTH {
            return wrong(format!("its indexes nest more than {DEPTH} deep"));
        }
        let reference = self.repository.digest(digest);
        let manifest = match self.target.get_manifest(&reference).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Ok(one(Fault::MissingChild(digest.clone()))),
            Err(error) => return Ok(one(Fault::of_manifest(&error, digest))),
        };
        let (parts, is_index) = match manifest.content() {
            Ok(Content::Image(blobs)) => (blobs, false),
            Ok(Content::Index(children)) => (children, true),
            Err(error) => return wrong(error.to_string()),
        };
        if let Some(known) = &self.parts {
            let below = parts.iter().map(|part| part.digest.clone()).collect();
            known.lock().insert(digest.clone(), below);
        }
        let examined = stream::iter(parts).map(async |part| match is_index && part.is_manifest() {
            true => {
                let traces = self.manifest(part.digest.clone(), depth + 1).await?;
                Ok(under(&part.digest, &traces))
            }
            false => Ok(self.blob(&part).await?.to_vec()),
        });
        let mut examined = examined.buffer_unordered(PARTS);
        let mut traces = Vec::new();
        while let Some(found) = examined.next().await {
            traces.extend(found?);
        }
        Ok(traces.into())
    }

    async fn blob(&self, blob: &Descriptor) -> Result<Traces, store::Error> {
        let cell = self.found.get(&blob.digest);
        let look = cell.get_or_try_init(|| self.look_for_blob(blob));
        Ok(look.await?.clone())
    }

    async fn look_for_blob(&self, blob: &Descriptor) -> Result<Traces, store::Error> {
        self.blobs.fetch_add(1, Ordering::Relaxed);
        let digest = &blob.digest;
        let size: Option<BlobSize> = match self.target.head_blob(self.repository, digest).await {
            Ok(size) => size,
            Err(error) => return Ok(one(Fault::unreachable(&error))),
        };
        let fault = match (size, self.depth) {
            (None, _) => Some(Fault::MissingBlob(digest.clone())),
            // Either the blob is wrong, or the manifest is: its bytes decide.
            (Some(Some(found)), _) if found != blob.size => {
                let read = self.target.read_blob(self.repository, blob).await;
                read.err().map(|error| Fault::of_blob(&error, digest))
            }
            (Some(_), VerifyDepth::Presence) => None,
            (Some(_), VerifyDepth::Bytes { since_ms, now_ms }) => {
                self.read(blob, since_ms, now_ms).await?
            }
        };
        Ok(fault.map_or_else(|| Vec::new().into(), one))
    }

    /// Reads a blob's bytes, unless they were read since.
    async fn read(
        &self,
        blob: &Descriptor,
        since_ms: i64,
        now_ms: i64,
    ) -> Result<Option<Fault>, store::Error> {
        let (registry, digest) = (self.target.name(), &blob.digest);
        match self.store.reading(registry, digest).await? {
            Some(reading) if !reading.is_wrong && reading.at_ms >= since_ms => return Ok(None),
            // What was wrong before this run may have been put right.
            Some(reading) if reading.is_wrong && reading.at_ms >= now_ms => {
                return Ok(Some(Fault::WrongBytes(digest.clone())));
            }
            _ => {}
        }
        self.read_blobs.fetch_add(1, Ordering::Relaxed);
        let read = self.target.read_blob(self.repository, blob).await;
        let fault = read.err().map(|error| Fault::of_blob(&error, digest));
        if fault.as_ref().is_none_or(Fault::is_damage) {
            let check = Check::Read {
                registry: registry.clone(),
                digest: digest.clone(),
                at_ms: Utc::now().timestamp_millis(),
                is_wrong: fault.is_some(),
            };
            self.recorder.record(StoreEvent::Check(check)).await;
        }
        Ok(fault)
    }
}

fn one(fault: Fault) -> Traces {
    let path = Vec::new();
    Arc::new([Trace { fault, path }])
}

/// What is wrong with a child, seen from the index that leads to it.
fn under(child: &Digest, traces: &[Trace]) -> Vec<Trace> {
    let under = traces.iter().map(|trace| Trace {
        fault: trace.fault.clone(),
        path: std::iter::once(child).chain(&trace.path).cloned().collect(),
    });
    under.collect()
}
