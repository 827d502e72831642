//! Targets that want the same blob at the same time: it is pulled once and sent to all of them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    future::{BoxFuture, Shared, join_all},
};
use tokio::{
    sync::{OnceCell, mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    oci::{Descriptor, Digest, Manifest, Reference, RegistryName},
    registry::{BlobStream, Error, Flow, Kind},
};

/// How long targets wait for each other before a pull. Who is slower pulls for itself.
const GATHERING: Duration = Duration::from_secs(5);
/// How long a target may hold the others up during a pull.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Frames that a target may be behind the others.
const FRAMES: usize = 16;

/// Manifests kept for the targets that come later.
const MANIFESTS: usize = 256;

/// What targets bring together, whichever route they bring it for.
#[derive(Debug)]
pub(in crate::sync) struct Fanout {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// The manifests that were pulled last.
    manifests: Mutex<VecDeque<(Reference, Pulled)>>,
}

/// A manifest that is being pulled, or was.
type Pulled = Arc<OnceCell<Manifest>>;

#[derive(Debug, Default)]
struct State {
    /// Routes under way.
    routes: usize,
    /// The targets that copy an image, by its digest at the source, until they are done with it.
    copying: HashMap<Digest, HashSet<RegistryName>>,
    blobs: HashMap<Digest, Gathering>,
}

#[derive(Debug, Default)]
struct Gathering {
    /// The targets that need not bring it.
    passed: HashSet<RegistryName>,
    /// The targets that wait for the others.
    seats: Vec<(RegistryName, oneshot::Sender<Branch>)>,
    is_closed: bool,
}

/// Keeps what targets share until the last route that shares is done.
#[derive(Debug)]
pub(in crate::sync) struct Sharing<'a>(&'a Fanout);

/// Keeps a target among those that copy an image until it is dropped.
pub(in crate::sync) struct Copying<'a> {
    fanout: &'a Fanout,
    image: &'a Digest,
    target: &'a RegistryName,
}

/// A target's part in a common pull.
pub(super) enum Part {
    /// It pulls, for itself and for these.
    Lead(Vec<oneshot::Sender<Branch>>),
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

impl Fanout {
    /// Begins the sharing of one route.
    pub(super) fn share(&self) -> Sharing<'_> {
        self.lock().routes += 1;
        Sharing(self)
    }

    /// Announces that a target will copy an image.
    pub(in crate::sync) fn expect(&self, image: &Digest, target: &RegistryName) {
        self.lock()
            .copying
            .entry(image.clone())
            .or_default()
            .insert(target.clone());
    }

    /// Keeps the announcement until the guard is dropped.
    pub(in crate::sync) fn copy<'a>(
        &'a self,
        image: &'a Digest,
        target: &'a RegistryName,
    ) -> Copying<'a> {
        Copying {
            fanout: self,
            image,
            target,
        }
    }

    /// A manifest, pulled once for all targets: registries count these requests.
    pub(super) async fn manifest<E>(
        &self,
        reference: &Reference,
        pull: impl Future<Output = Result<Manifest, E>>,
    ) -> Result<Manifest, E> {
        let pulled = {
            let mut manifests = self
                .manifests
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match manifests.iter().find(|(known, _)| known == reference) {
                Some((_, pulled)) => pulled.clone(),
                None => {
                    let pulled = Pulled::default();
                    manifests.truncate(MANIFESTS - 1);
                    manifests.push_front((reference.clone(), pulled.clone()));
                    pulled
                }
            }
        };
        pulled.get_or_try_init(|| pull).await.cloned()
    }

    /// Tells the others not to wait for a target: it has the blob.
    pub(super) fn pass(&self, blob: &Digest, target: &RegistryName) {
        self.lock()
            .blobs
            .entry(blob.clone())
            .or_default()
            .passed
            .insert(target.clone());
        self.changed.send_replace(());
    }

    /// Waits for the other targets that copy the image, and shares out who pulls.
    pub(super) async fn gather(
        &self,
        image: &Digest,
        blob: &Digest,
        target: &RegistryName,
    ) -> Part {
        let (seat, branch) = oneshot::channel();
        {
            let mut state = self.lock();
            let gathering = state.blobs.entry(blob.clone()).or_default();
            if gathering.is_closed {
                return Part::Alone;
            }
            gathering.seats.push((target.clone(), seat));
        }
        self.changed.send_replace(());
        let complete = timeout(GATHERING, self.complete(image, blob, target));
        futures::pin_mut!(complete);
        match futures::future::select(branch, complete).await {
            futures::future::Either::Left((branch, _)) => branch.map_or(Part::Alone, Part::Follow),
            futures::future::Either::Right((_, branch)) => match self.close(blob, target) {
                Some(others) => Part::Lead(others),
                // Somebody else closed it just now.
                None => branch.await.map_or(Part::Alone, Part::Follow),
            },
        }
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
                let mut others = state.copying.get(image).into_iter().flatten();
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Sharing<'a> {
    /// What is shared.
    pub(in crate::sync) fn fanout(&self) -> &'a Fanout {
        self.0
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.routes = state.routes.saturating_sub(1);
        if state.routes == 0 {
            *state = State::default();
            let manifests = self.0.manifests.lock();
            manifests.unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        if let Some(targets) = self.fanout.lock().copying.get_mut(self.image) {
            targets.remove(self.target);
        }
        self.fanout.changed.send_replace(());
    }
}

/// What moves the bytes of a common pull: whoever reads a branch drives it.
type Pump = Shared<BoxFuture<'static, ()>>;

/// One target's share of a common pull.
#[derive(Debug)]
pub(super) struct Branch {
    /// `None` once it has ended.
    pump: Option<Pump>,
    frames: mpsc::Receiver<Result<Bytes, Error>>,
    missing_bytes: u64,
    /// Told when the branch ends early: its target was too slow, and comes back alone.
    behind: Option<Error>,
}

/// Splits a pull into a branch for the leader and one for each seat. The source's flow is given
/// back when the pull ends, whoever of the targets is left by then.
pub(super) fn split(
    bytes: BlobStream,
    flow: Flow,
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
    _flow: Flow,
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

/// What a target is told that was too slow for the others.
pub(super) fn fell_behind(target: &RegistryName, subject: String) -> Error {
    let text = "it fell behind the other targets, and goes on alone".into();
    Error::new("upload blob", subject, target, Kind::Network(text))
}

#[cfg(test)]
#[path = "fanout_tests.rs"]
mod tests;
