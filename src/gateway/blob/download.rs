//! Downloads in flight: each blob once, with its upload to the target beside the clients.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    gateway::{
        Gateway, Pull,
        answer::PullError,
        blob::window::{BlobWindow, UploadPace},
        manifest::BlobLink,
    },
    oci::{Digest, Hasher, RegistryName, Repository},
    registry::{BlobStream, Registry},
    status::LiveDownload,
    sync::{Error, copy::deposit::DepositStart, traffic_budget::Reservation},
};

/// Downloads at a time: their windows bound the memory of all.
const DOWNLOADS: usize = 32;
/// Of these, most of one upstream: one that sends a byte now and then leaves room for others.
const OF_ONE: usize = 24;
/// How long a download waits for its turn: clients still have time to go elsewhere then.
const TURN: Duration = Duration::from_secs(8);

type BlobName = (Repository, Digest);

/// Downloads in flight.
#[derive(Debug)]
pub(crate) struct Downloads {
    windows: Mutex<HashMap<BlobName, BlobInFlight>>,
    turns: Arc<Semaphore>,
    ended: AtomicU64,
}

/// A blob on its way.
#[derive(Clone, Debug)]
struct BlobInFlight {
    window: Arc<BlobWindow>,
    size: u64,
}

impl Default for Downloads {
    fn default() -> Self {
        Self {
            windows: Mutex::default(),
            turns: Arc::new(Semaphore::new(DOWNLOADS)),
            ended: AtomicU64::new(0),
        }
    }
}

impl Downloads {
    /// The download of a blob, if it is in flight.
    pub(crate) fn find(&self, name: &BlobName) -> Option<Arc<BlobWindow>> {
        let known = self.lock().get(name).map(|known| known.window.clone());
        // One that failed is begun again by the next client.
        known.filter(|window| !matches!(window.ended(), Some(Err(_))))
    }

    /// Whether an upstream has as many downloads as one may have.
    fn is_full(&self, upstream: &RegistryName) -> bool {
        let windows = self.lock();
        let own = windows
            .keys()
            .filter(|(known, _)| known.registry() == upstream);
        own.count() >= OF_ONE
    }

    /// Whether anything of a repository is being downloaded.
    pub(crate) fn is_busy(&self, repository: &Repository) -> bool {
        self.lock().keys().any(|(known, _)| known == repository)
    }

    /// Downloads, and clients that read them.
    pub(crate) fn count(&self) -> (usize, usize) {
        let windows = self.lock();
        let followers = windows.values().map(|known| known.window.followers()).sum();
        (windows.len(), followers)
    }

    /// The downloads of now.
    pub(crate) fn live(&self) -> Vec<LiveDownload> {
        let windows = self.lock();
        let live = windows
            .iter()
            .map(|((repository, digest), known)| LiveDownload {
                repository: repository.to_string(),
                digest: digest.to_string(),
                size: known.size,
                received: known.window.received(),
                followers: known.window.followers(),
            });
        live.collect()
    }

    fn insert(&self, name: BlobName, window: Arc<BlobWindow>, size: u64) {
        self.lock().insert(name, BlobInFlight { window, size });
    }

    /// How many have ended: a look at the target that began before the last end may be out of date.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    fn remove(&self, name: &BlobName, window: &Arc<BlobWindow>) {
        self.ended.fetch_add(1, Ordering::Release);
        let mut windows = self.lock();
        if windows
            .get(name)
            .is_some_and(|known| Arc::ptr_eq(&known.window, window))
        {
            windows.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BlobName, BlobInFlight>> {
        self.windows.lock()
    }
}

/// One blob on its way from the upstream.
struct Download {
    pull: Pull,
    link: BlobLink,
    source: Registry,
    window: Arc<BlobWindow>,
    _turn: OwnedSemaphorePermit,
    _reserved: Reservation,
}

impl Gateway {
    /// The download of a blob: the one in flight, or a new one that outlives the client.
    pub(crate) async fn download(
        self: &Arc<Self>,
        pull: &Pull,
        link: &BlobLink,
    ) -> Result<(Arc<BlobWindow>, bool), PullError> {
        let name = (pull.repository.clone(), link.blob.digest.clone());
        if let Some(window) = self.downloads.find(&name) {
            return Ok((window, false));
        }
        self.check_budget(&pull.config).await?;
        if self.downloads.is_full(pull.repository.registry()) {
            let text = "too many downloads of this upstream are in flight; this one was not begun";
            return Err(PullError::unavailable(text));
        }
        let turn = self.downloads.turns.clone().acquire_owned();
        let turn = tokio::time::timeout(TURN, turn).await;
        let Ok(Ok(turn)) = turn else {
            let text = "too many downloads are in flight; this one was not begun";
            return Err(PullError::unavailable(text));
        };
        let source = self.registry(pull.repository.registry())?;
        let target = self.target(link.to.as_ref());
        let size = link.blob.size;
        let reserved = self.reserve(&pull.config, size, target.is_some()).await?;
        // Somebody else may have begun it while this waited.
        if let Some(window) = self.downloads.find(&name) {
            return Ok((window, false));
        }
        let pace = match target {
            Some(_) => UploadPace::At(0),
            None => UploadPace::None,
        };
        let window = BlobWindow::new(0, pace);
        self.downloads.insert(name, window.clone(), link.blob.size);
        let download = Download {
            pull: pull.clone(),
            link: link.clone(),
            source,
            window: window.clone(),
            _turn: turn,
            _reserved: reserved,
        };
        let gateway = self.clone();
        self.tasks.spawn(async move {
            let stop = gateway.stop.clone();
            stop.run_until_cancelled(gateway.run_download(download, target))
                .await;
        });
        Ok((window, true))
    }

    async fn run_download(&self, download: Download, target: Option<(Registry, Repository)>) {
        let name = (
            download.pull.repository.clone(),
            download.link.blob.digest.clone(),
        );
        let (pull, link, window) = (&download.pull, &download.link, &download.window);
        let mut begun = false;
        if let Some((registry, to)) = target {
            let (send, start) = tokio::sync::oneshot::channel();
            let begin = |start: DepositStart| {
                let is_wanted = matches!(start, DepositStart::Bytes(_));
                let first = match &start {
                    DepositStart::Bytes(hashed) => hashed.length(),
                    DepositStart::Mounted => 0,
                };
                window.begin_at(first);
                // The other end waits below.
                let _ = send.send(start);
                is_wanted.then(|| window.upload().into_stream())
            };
            let deposit =
                self.context
                    .sync
                    .deposit(&pull.config, (&registry, &to), &link.blob, begin);
            let fill = async {
                let Ok(start) = start.await else {
                    return false;
                };
                match start {
                    DepositStart::Mounted => window.finish(Ok(())),
                    DepositStart::Bytes(hashed) => self.fill(&download, *hashed).await,
                }
                true
            };
            let (stored, filled) = futures::join!(deposit, fill);
            begun = filled;
            self.stored(&download, &registry, stored);
        }
        if !begun {
            self.fill(&download, link.blob.digest.hasher()).await;
        }
        self.context.sync.budget().write(&pull.config).await;
        self.downloads.remove(&name, window);
    }

    /// Takes note of what became of the upload.
    fn stored(&self, download: &Download, target: &Registry, stored: Result<bool, Error>) {
        let window = &download.window;
        match stored {
            Ok(true) => window.set_upload(UploadPace::Stored),
            // A run brings it.
            Ok(false) => window.set_upload(UploadPace::None),
            Err(error) => {
                window.set_upload(UploadPace::None);
                let digest = &download.link.blob.digest;
                let name = target.name();
                tracing::warn!(%error, "{digest} was pulled through, and is not at {name} yet");
                if let Error::Registry(error) = &error
                    && error.registry == *name
                    && crate::gateway::resolution::is_outage(error)
                {
                    self.pause_target(name, error);
                }
            }
        }
    }

    /// Downloads what follows the bytes that were hashed.
    async fn fill(&self, download: &Download, hashed: Hasher) {
        let (pull, link) = (&download.pull, &download.link);
        let opened = download
            .source
            .pull_blob(&pull.repository, &link.blob, hashed.clone())
            .await;
        match opened {
            Ok(bytes) => {
                let bytes = self.counted(bytes, &pull.repository);
                download.window.fill(bytes, hashed).await;
            }
            Err(error) => {
                let (board, registry) = (&self.context.board, pull.repository.registry());
                if crate::gateway::resolution::is_outage(&error) {
                    board.upstream_failed(registry, &error.to_string(), Utc::now().timestamp());
                }
                download.window.finish(Err(error));
            }
        }
    }

    /// Counts what comes from an upstream.
    pub(crate) fn counted(&self, bytes: BlobStream, from: &Repository) -> BlobStream {
        use futures::StreamExt as _;
        let (metrics, board) = (self.context.metrics.clone(), self.context.board.clone());
        let from = from.clone();
        let count = move |frame: &Result<bytes::Bytes, crate::registry::Error>| {
            let length = frame.as_ref().map_or(0, |frame| frame.len() as u64);
            metrics.pulled_bytes("upstream", length);
            board.moved(&from, length, 0, Utc::now().timestamp());
        };
        bytes.inspect(count).boxed()
    }
}
