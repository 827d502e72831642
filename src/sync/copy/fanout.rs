//! Targets that want the same blob at the same time: it is pulled once and sent to all of them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    future::{BoxFuture, Either, Shared, join_all, select},
    pin_mut,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{OnceCell, mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    oci::{Descriptor, Digest, Manifest, Reference, RegistryName},
    registry::{BlobStream, Error, Kind, Operation, TransferPermit},
};

/// How long targets wait for each other before a pull. Who is slower pulls for itself.
const GATHERING: Duration = Duration::from_secs(5);
/// How long a target may hold the others up during a pull.
const PATIENCE: Duration = Duration::from_secs(2);
/// Frames that a target may be behind the others.
const FRAMES: usize = 16;

/// Manifests kept for the targets that come later.
const MANIFESTS: usize = 256;

/// What targets bring together, whichever route they bring it for.
#[derive(Debug)]
pub(crate) struct Fanout {
    state: Mutex<FanoutState>,
    changed: watch::Sender<()>,
    /// The manifests that were pulled last.
    manifests: Mutex<VecDeque<(Reference, SharedManifest)>>,
}

/// A manifest that is being pulled, or was.
type SharedManifest = Arc<OnceCell<Manifest>>;

#[derive(Debug, Default)]
struct FanoutState {
    /// Routes under way.
    routes: usize,
    /// By their digests at the source, until all targets are done with them.
    images: HashMap<Digest, Copies>,
    /// Of the blobs of those images.
    blobs: HashMap<Digest, Gathering>,
}

/// Who copies an image.
#[derive(Debug, Default)]
struct Copies {
    /// The targets that are not done with it, each with the tags for which it will be copied.
    targets: HashMap<RegistryName, usize>,
    /// Its blobs that targets gathered for.
    blobs: HashSet<Digest>,
}

#[derive(Debug, Default)]
struct Gathering {
    /// How many of the images have the blob.
    images: usize,
    /// The targets that need not bring it.
    passed: HashSet<RegistryName>,
    /// The targets that wait for the others.
    seats: Vec<(RegistryName, oneshot::Sender<Branch>)>,
    is_closed: bool,
}

/// Keeps what targets share until the last route that shares is done.
#[derive(Debug)]
pub(crate) struct Sharing<'a>(&'a Fanout);

/// Keeps a target among those that copy an image until it is dropped.
pub(crate) struct Copying<'a> {
    fanout: &'a Fanout,
    image: &'a Digest,
    target: &'a RegistryName,
}

/// A target's part in a common pull.
pub(crate) enum Part {
    /// It pulls, for itself and for these.
    Leader(Vec<oneshot::Sender<Branch>>),
    /// Somebody else pulls.
    Follow(Branch),
    /// It pulls for itself.
    Alone,
}

impl Default for Fanout {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: watch::channel(()).0,
            manifests: Mutex::default(),
        }
    }
}

impl FanoutState {
    /// Where the targets gather for a blob of an image; `None` if nobody said that it is copied.
    fn gathering(&mut self, image: &Digest, blob: &Digest) -> Option<&mut Gathering> {
        let copies = self.images.get_mut(image)?;
        let gathering = self.blobs.entry(blob.clone()).or_default();
        gathering.images += usize::from(copies.blobs.insert(blob.clone()));
        Some(gathering)
    }

    /// Takes note that a target is done with an image. After the last of them nothing is kept of it.
    fn finish(&mut self, image: &Digest, target: &RegistryName) {
        let Some(copies) = self.images.get_mut(image) else {
            return;
        };
        if let Some(tags) = copies.targets.get_mut(target) {
            *tags -= 1;
            if *tags == 0 {
                copies.targets.remove(target);
            }
        }
        if !copies.targets.is_empty() {
            return;
        }
        let copies = self.images.remove(image).unwrap_or_default();
        for blob in copies.blobs {
            if let Some(gathering) = self.blobs.get_mut(&blob) {
                gathering.images -= 1;
                if gathering.images == 0 {
                    self.blobs.remove(&blob);
                }
            }
        }
    }
}

impl Fanout {
    /// Begins the sharing of one route.
    pub(crate) fn share(&self) -> Sharing<'_> {
        self.lock().routes += 1;
        Sharing(self)
    }

    /// Announces that a target will copy an image for a tag.
    pub(crate) fn expect(&self, image: &Digest, target: &RegistryName) {
        let mut state = self.lock();
        let copies = state.images.entry(image.clone()).or_default();
        *copies.targets.entry(target.clone()).or_default() += 1;
    }

    /// Keeps one announcement until the guard is dropped.
    pub(crate) fn copy<'a>(&'a self, image: &'a Digest, target: &'a RegistryName) -> Copying<'a> {
        Copying {
            fanout: self,
            image,
            target,
        }
    }

    /// A manifest, pulled once for all targets: registries count these requests.
    pub(crate) async fn manifest<E>(
        &self,
        reference: &Reference,
        pull: impl Future<Output = Result<Manifest, E>>,
    ) -> Result<Manifest, E> {
        let pulled = {
            let mut manifests = self.manifests.lock();
            match manifests.iter().find(|(known, _)| known == reference) {
                Some((_, pulled)) => pulled.clone(),
                None => {
                    let pulled = SharedManifest::default();
                    manifests.truncate(MANIFESTS - 1);
                    manifests.push_front((reference.clone(), pulled.clone()));
                    pulled
                }
            }
        };
        pulled.get_or_try_init(|| pull).await.cloned()
    }

    /// Tells the others not to wait for a target: it has the blob.
    pub(crate) fn pass(&self, image: &Digest, blob: &Digest, target: &RegistryName) {
        if let Some(gathering) = self.lock().gathering(image, blob) {
            gathering.passed.insert(target.clone());
        }
        self.changed.send_replace(());
    }

    /// Waits for the other targets that copy the image, and then for the target's own flow. The
    /// first that has one pulls for those that sit there: nobody waits for the flow of another.
    pub(crate) async fn gather<T>(
        &self,
        image: &Digest,
        blob: &Digest,
        target: &RegistryName,
        flow: impl Future<Output = T>,
    ) -> (Part, T) {
        let Some(branch) = self.sit(image, blob, target) else {
            return (Part::Alone, flow.await);
        };
        pin_mut!(flow);
        let complete = timeout(GATHERING, self.complete(image, blob, target));
        pin_mut!(complete);
        let branch = match select(branch, complete).await {
            Either::Left((branch, _)) => return follow(branch.ok(), flow).await,
            Either::Right((_, branch)) => branch,
        };
        match select(branch, flow).await {
            Either::Left((branch, flow)) => follow(branch.ok(), flow).await,
            Either::Right((flow, branch)) => match self.close(blob, target) {
                Some(others) => (Part::Leader(others), flow),
                // Somebody else closed it just now.
                None => (branch.await.map_or(Part::Alone, Part::Follow), flow),
            },
        }
    }

    /// Takes a seat among the targets that gather for a blob; `None` where it is too late for that.
    fn sit(
        &self,
        image: &Digest,
        blob: &Digest,
        target: &RegistryName,
    ) -> Option<oneshot::Receiver<Branch>> {
        let (seat, branch) = oneshot::channel();
        let mut state = self.lock();
        let gathering = state.gathering(image, blob).filter(|g| !g.is_closed)?;
        gathering.seats.push((target.clone(), seat));
        drop(state);
        self.changed.send_replace(());
        Some(branch)
    }

    async fn complete(&self, image: &Digest, blob: &Digest, target: &RegistryName) {
        let mut changed = self.changed.subscribe();
        loop {
            let is_complete = {
                let state = self.lock();
                let here = state.blobs.get(blob);
                let has_come = |other: &RegistryName| {
                    here.is_none_or(|g| {
                        g.passed.contains(other) || g.seats.iter().any(|(name, _)| name == other)
                    })
                };
                let copies = state.images.get(image);
                let mut others = copies.into_iter().flat_map(|copies| copies.targets.keys());
                others.all(|other| other == target || has_come(other))
            };
            if is_complete || changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends a gathering; the seats of the others, unless it has ended.
    fn close(&self, blob: &Digest, target: &RegistryName) -> Option<Vec<oneshot::Sender<Branch>>> {
        let mut state = self.lock();
        let gathering = state
            .blobs
            .get_mut(blob)
            .filter(|gathering| !gathering.is_closed)?;
        gathering.is_closed = true;
        let seats = std::mem::take(&mut gathering.seats).into_iter();
        Some(
            seats
                .filter(|(name, _)| name != target)
                .map(|(_, seat)| seat)
                .collect(),
        )
    }

    fn lock(&self) -> MutexGuard<'_, FanoutState> {
        self.state.lock()
    }
}

impl<'a> Sharing<'a> {
    /// What is shared.
    pub(crate) fn fanout(&self) -> &'a Fanout {
        self.0
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.routes = state.routes.saturating_sub(1);
        if state.routes == 0 {
            *state = FanoutState::default();
            self.0.manifests.lock().clear();
        }
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        self.fanout.lock().finish(self.image, self.target);
        self.fanout.changed.send_replace(());
    }
}

/// Waits for the flow of a target that others pull for, and not for long.
async fn follow<T>(branch: Option<Branch>, mut flow: impl Future<Output = T> + Unpin) -> (Part, T) {
    let Some(branch) = branch else {
        return (Part::Alone, flow.await);
    };
    match timeout(PATIENCE, &mut flow).await {
        Ok(flow) => (Part::Follow(branch), flow),
        Err(_) => {
            // A pull that nobody reads may hold the flow that others wait for.
            drop(branch);
            (Part::Alone, flow.await)
        }
    }
}

/// What moves the bytes of a common pull: whoever reads a branch drives it.
type Pump = Shared<BoxFuture<'static, ()>>;

/// One target's share of a common pull.
#[derive(Debug)]
pub(crate) struct Branch {
    /// `None` once it has ended.
    pump: Option<Pump>,
    frames: mpsc::Receiver<Result<Bytes, Error>>,
    missing_bytes: u64,
    /// Signals that the branch ends early: its target was too slow, and copies by itself.
    behind: Option<Error>,
}

/// Splits a pull into a branch for the leader and one for each seat. The source's flow is given
/// back when the pull ends, whoever of the targets is left by then.
pub(crate) fn split(
    bytes: BlobStream,
    flow: TransferPermit,
    blob: &Descriptor,
    seats: Vec<oneshot::Sender<Branch>>,
    behind: &Error,
) -> Branch {
    let channels = (0..=seats.len()).map(|_| mpsc::channel(FRAMES));
    let (senders, receivers): (Vec<_>, Vec<_>) = channels.unzip();
    let pump = pump(bytes, flow, senders).boxed().shared();
    let mut branches = receivers.into_iter().map(|frames| Branch {
        pump: Some(pump.clone()),
        frames,
        missing_bytes: blob.size,
        behind: Some(behind.clone()),
    });
    for (seat, branch) in seats.into_iter().zip(branches.by_ref()) {
        // Nobody sits there any more: the pump notices.
        let _ = seat.send(branch);
    }
    branches
        .next()
        .unwrap_or_else(|| unreachable!("there is one more than seats"))
}

async fn pump(
    mut bytes: BlobStream,
    _flow: TransferPermit,
    mut targets: Vec<mpsc::Sender<Result<Bytes, Error>>>,
) {
    while let Some(frame) = bytes.next().await {
        let sends = targets
            .iter()
            .map(|target| target.send_timeout(frame.clone(), PATIENCE));
        let sent = join_all(sends).await;
        let mut sent = sent.into_iter();
        targets.retain(|_| sent.next().is_some_and(|result| result.is_ok()));
        if targets.is_empty() || frame.is_err() {
            return;
        }
    }
}

impl Stream for Branch {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self
            .pump
            .as_mut()
            .is_some_and(|pump| pump.poll_unpin(context).is_ready())
        {
            self.pump = None;
        }
        match self.frames.poll_recv(context) {
            Poll::Ready(Some(frame)) => {
                let length = frame.as_ref().map_or(0, |frame| frame.len() as u64);
                self.missing_bytes = self.missing_bytes.saturating_sub(length);
                if frame.is_err() {
                    self.behind = None;
                }
                Poll::Ready(Some(frame))
            }
            Poll::Ready(None) if self.missing_bytes > 0 => Poll::Ready(self.behind.take().map(Err)),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The message for a target that was too slow for the others.
pub(crate) fn fell_behind(target: &RegistryName, subject: String) -> Error {
    let text = "it fell behind the other targets, and copies by itself".into();
    Error::new(Operation::UploadBlob, subject, target, Kind::Network(text))
}

#[cfg(test)]
mod tests;
