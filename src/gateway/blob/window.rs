//! One download, read by any number of clients: the latest verified frames, in bounded memory.
//!
//! The download waits for whoever sets its pace: the upload to the target, which must not miss a
//! byte; without one, the client that is furthest. Everybody else may fall behind the window, and goes
//! on elsewhere from the byte where they are, with the hash of all before it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::watch, time::Instant};

use crate::{
    oci::{Hasher, RegistryName},
    registry::{BlobStream, Error, Kind, Operation},
};

/// Bytes that one window holds at the most, and one frame more.
pub(crate) const WINDOW: u64 = 2 << 20;
/// Most frames of a window: an upstream may send single bytes, and each frame has its own hash.
const FRAMES: usize = 1024;
/// Frames are joined up to this size where there are too many.
const JOINED: usize = 64 << 10;
/// How long a download waits for an upload that takes nothing, while clients wait for the download.
const UPLOAD_STALL: Duration = Duration::from_secs(10);

/// The latest frames of one download.
#[derive(Debug)]
pub(crate) struct BlobWindow {
    state: Mutex<WindowState>,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct WindowState {
    frames: VecDeque<WindowFrame>,
    /// The first byte that is held, and the one after the last that came.
    first: u64,
    end: u64,
    /// How the download ended.
    ended: Option<Result<(), Error>>,
    upload: UploadPace,
    followers: usize,
    /// The byte that the fastest follower reads next.
    furthest: u64,
}

#[derive(Clone, Debug)]
struct WindowFrame {
    start: u64,
    bytes: Bytes,
    /// Has taken in every byte up to the frame's end.
    hashed: Hasher,
}

impl WindowState {
    /// Joins frames that are small. Who reads in the middle of one goes on there.
    fn join_small_frames(&mut self) {
        let mut joined: VecDeque<WindowFrame> = VecDeque::new();
        let mut bytes = Vec::new();
        for frame in self.frames.drain(..) {
            let is_small = frame.bytes.len() < JOINED / 2;
            let fits = !bytes.is_empty() && bytes.len() + frame.bytes.len() <= JOINED;
            match joined.back_mut() {
                Some(last) if is_small && fits => {
                    bytes.extend_from_slice(&frame.bytes);
                    last.hashed = frame.hashed;
                    continue;
                }
                Some(last) if !bytes.is_empty() => last.bytes = std::mem::take(&mut bytes).into(),
                _ => {}
            }
            if is_small {
                bytes.extend_from_slice(&frame.bytes);
            }
            joined.push_back(frame);
        }
        if let Some(last) = joined.back_mut().filter(|_| !bytes.is_empty()) {
            last.bytes = bytes.into();
        }
        self.frames = joined;
    }
}

/// How far the upload to the target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadPace {
    /// It reads from this byte on.
    At(u64),
    /// The target has the blob.
    Stored,
    /// There is none, or it was given up.
    None,
}

/// What a follower reads next.
#[derive(Debug)]
pub(crate) enum NextRead {
    /// Bytes, and the hash of all up to their end.
    Frame(Bytes, Hasher),
    /// Nothing more comes.
    End,
    /// The bytes are no longer held.
    Behind,
    /// The download failed.
    Failed(Error),
}

/// One reader of a window.
#[derive(Debug)]
pub(crate) struct Follower {
    window: Arc<BlobWindow>,
    changes: watch::Receiver<()>,
    position: u64,
    is_upload: bool,
}

impl BlobWindow {
    /// The window of a download that begins with this byte.
    pub(crate) fn new(first: u64, upload: UploadPace) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(WindowState {
                frames: VecDeque::new(),
                first,
                end: first,
                ended: None,
                upload,
                followers: 0,
                furthest: first,
            }),
            changes: watch::channel(()).0,
        })
    }

    /// The download begins with this byte: the target has those before it.
    pub(crate) fn begin_at(&self, first: u64) {
        let mut state = self.lock();
        (state.first, state.end) = (first, first);
        state.furthest = state.furthest.max(first);
        if let UploadPace::At(position) = &mut state.upload {
            *position = first;
        }
        drop(state);
        self.changes.send_replace(());
    }

    /// Reads from a byte on.
    pub(crate) fn follow(self: &Arc<Self>, position: u64) -> Follower {
        self.lock().followers += 1;
        self.follower(position, false)
    }

    /// Reads all of the download for the target, from its first byte on.
    pub(crate) fn upload(self: &Arc<Self>) -> Follower {
        let first = self.lock().first;
        self.follower(first, true)
    }

    fn follower(self: &Arc<Self>, position: u64, is_upload: bool) -> Follower {
        Follower {
            window: self.clone(),
            changes: self.changes.subscribe(),
            position,
            is_upload,
        }
    }

    /// The byte after the last that came.
    pub(crate) fn received(&self) -> u64 {
        self.lock().end
    }

    /// How many clients read it.
    pub(crate) fn followers(&self) -> usize {
        self.lock().followers
    }

    /// Whether the download has ended, and how.
    pub(crate) fn ended(&self) -> Option<Result<(), Error>> {
        self.lock().ended.clone()
    }

    /// The upload ended.
    pub(crate) fn set_upload(&self, upload: UploadPace) {
        self.lock().upload = upload;
        self.changes.send_replace(());
    }

    /// Waits until the target has the blob, or is known not to get it now.
    pub(crate) async fn uploaded(&self) -> bool {
        let mut changes = self.changes.subscribe();
        loop {
            {
                let state = self.lock();
                match (&state.upload, &state.ended) {
                    (UploadPace::Stored, _) => return true,
                    (UploadPace::None, _) | (_, Some(Err(_))) => return false,
                    _ => {}
                }
            }
            if changes.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Waits until the first bytes are there, or the download ended.
    pub(crate) async fn began(&self) -> Result<(), Error> {
        let mut changes = self.changes.subscribe();
        loop {
            {
                let state = self.lock();
                match &state.ended {
                    Some(ended) => return ended.clone(),
                    None if state.end > state.first => return Ok(()),
                    None => {}
                }
            }
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Takes a download in, to its end or until nobody reads it. `hashed` has taken in what comes
    /// before its first byte.
    pub(crate) async fn fill(&self, mut bytes: BlobStream, mut hashed: Hasher) {
        let ended = loop {
            if !self.has_room().await {
                let kind = Kind::Network("nobody reads it any more".into());
                let error = Error::new(Operation::PullBlob, "", &nowhere(), kind);
                break Err(error);
            }
            match bytes.next().await {
                Some(Ok(frame)) => {
                    hashed.update(&frame);
                    self.push(frame, hashed.clone());
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        self.finish(ended);
    }

    /// The download ended.
    pub(crate) fn finish(&self, ended: Result<(), Error>) {
        let mut state = self.lock();
        if state.ended.is_none() {
            state.ended = Some(ended);
        }
        drop(state);
        self.changes.send_replace(());
    }

    fn push(&self, bytes: Bytes, hashed: Hasher) {
        let mut state = self.lock();
        let start = state.end;
        state.end += bytes.len() as u64;
        state.frames.push_back(WindowFrame {
            start,
            bytes,
            hashed,
        });
        if state.frames.len() > FRAMES {
            state.join_small_frames();
        }
        while state.end - state.first > WINDOW && state.frames.len() > 1 {
            state.frames.pop_front();
            state.first = state.frames.front().map_or(state.end, |frame| frame.start);
        }
        drop(state);
        self.changes.send_replace(());
    }

    /// Waits until whoever sets the pace has read enough. False once nobody reads.
    async fn has_room(&self) -> bool {
        let mut changes = self.changes.subscribe();
        let mut waiting = (0, Instant::now());
        loop {
            {
                let mut state = self.lock();
                let pace = match state.upload {
                    UploadPace::At(position) => position,
                    UploadPace::Stored | UploadPace::None if state.followers == 0 => return false,
                    UploadPace::Stored | UploadPace::None => state.furthest,
                };
                if state.end.saturating_sub(pace) < WINDOW / 2 {
                    return true;
                }
                if pace != waiting.0 {
                    waiting = (pace, Instant::now());
                }
                let is_stalled = waiting.1.elapsed() >= UPLOAD_STALL && state.followers > 0;
                if is_stalled && matches!(state.upload, UploadPace::At(_)) {
                    state.upload = UploadPace::None;
                    drop(state);
                    self.changes.send_replace(());
                    continue;
                }
            }
            // The stall is looked for though nothing changes.
            let _ = tokio::time::timeout(UPLOAD_STALL, changes.changed()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, WindowState> {
        self.state.lock()
    }
}

impl Follower {
    /// The byte that it reads next.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The window that it reads.
    pub(crate) fn window(&self) -> &Arc<BlobWindow> {
        &self.window
    }

    /// Waits for the next bytes.
    pub(crate) async fn next(&mut self) -> NextRead {
        loop {
            self.changes.borrow_and_update();
            if let Some(next) = self.take() {
                return next;
            }
            if self.changes.changed().await.is_err() {
                return NextRead::End;
            }
        }
    }

    fn take(&mut self) -> Option<NextRead> {
        let mut state = self.window.lock();
        if self.is_upload && state.upload == UploadPace::None {
            return Some(NextRead::Behind);
        }
        if self.position < state.first {
            return Some(NextRead::Behind);
        }
        if self.position >= state.end {
            return match &state.ended {
                Some(Ok(())) => Some(NextRead::End),
                Some(Err(error)) => Some(NextRead::Failed(error.clone())),
                None => None,
            };
        }
        let at = state
            .frames
            .partition_point(|frame| frame.start <= self.position);
        let frame = state.frames.get(at.checked_sub(1)?)?.clone();
        let skip = usize::try_from(self.position - frame.start).unwrap_or_default();
        let bytes = frame.bytes.slice(skip.min(frame.bytes.len())..);
        self.position = frame.start + frame.bytes.len() as u64;
        if self.is_upload {
            if let UploadPace::At(position) = &mut state.upload {
                *position = self.position;
            }
        } else {
            state.furthest = state.furthest.max(self.position);
        }
        drop(state);
        self.window.changes.send_replace(());
        Some(NextRead::Frame(bytes, frame.hashed))
    }

    /// The bytes as a target's client takes them.
    pub(crate) fn into_stream(self) -> BlobStream {
        futures::stream::try_unfold(self, |mut follower| async move {
            match follower.next().await {
                NextRead::Frame(bytes, _) => Ok(Some((bytes, follower))),
                NextRead::End => Ok(None),
                NextRead::Failed(error) => Err(error),
                NextRead::Behind => {
                    let kind = Kind::Network("the upload is too slow for those who pull".into());
                    Err(Error::new(Operation::UploadBlob, "", &nowhere(), kind))
                }
            }
        })
        .boxed()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.window.lock();
        if self.is_upload {
            if let UploadPace::At(_) = state.upload
                && !matches!(state.ended, Some(Ok(())))
            {
                state.upload = UploadPace::None;
            }
        } else {
            state.followers -= 1;
        }
        drop(state);
        self.window.changes.send_replace(());
    }
}

/// The registry of an error that is no registry's.
fn nowhere() -> RegistryName {
    "gateway.invalid"
        .parse()
        .unwrap_or_else(|_| unreachable!("it is a constant"))
}

#[cfg(test)]
mod tests;
