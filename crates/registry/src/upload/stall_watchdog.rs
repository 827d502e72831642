//! The stall watchdog of an upload: no byte moves, or no response comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use parking_lot::Mutex;
use reqwest::Body;
use tokio::time::Instant;

use crate::{
    Direction, Error, Kind,
    hedge::{LineMonitor, Silence, SilenceWatch, WaitKind},
    http::HttpClient,
};

/// How often the body is looked at.
const TICK: Duration = Duration::from_millis(250);
/// Minimum rate, in bytes per second, at which a registry stores a blob after the last byte: some
/// hash it again and copy it to an object store.
const COMMIT_RATE: u64 = 4 << 20;

/// The state of an upload's body, as its watchdog sees it.
#[derive(Debug, Default)]
pub(crate) struct StallWatchdog {
    /// Bytes that the connection accepted.
    sent: AtomicU64,
    /// When it accepted the last of them.
    sent_at: Mutex<Option<Instant>>,
    /// Whether the connection asked for the first byte. Nothing can stall before.
    is_sending: AtomicBool,
    /// Whether the body waits for the source, which has its own watchdog.
    is_waiting: AtomicBool,
}

/// The body of an upload, observed: counts the bytes that the connection accepts.
pub(crate) fn observe_body(
    mut bytes: impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + 'static,
    http: &HttpClient,
    watchdog: Arc<StallWatchdog>,
) -> Body {
    let http = http.clone();
    let frames = futures::stream::poll_fn(move |context| {
        let polled = bytes.poll_next_unpin(context);
        watchdog.is_sending.store(true, Ordering::Relaxed);
        watchdog
            .is_waiting
            .store(polled.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            watchdog
                .sent
                .fetch_add(frame.len() as u64, Ordering::Relaxed);
            *watchdog.sent_at.lock() = Some(Instant::now());
            http.counter.add_bytes(frame.len() as u64);
            http.observer
                .on_transfer(&http.name, Direction::Sent, frame.len() as u64);
        }
        polled
    });
    Body::wrap_stream(frames)
}

impl StallWatchdog {
    /// Bytes that the connection accepted so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The registry responded.
    pub(crate) fn on_response(&self, upload: UploadLength, line: &LineMonitor) {
        let sent_at = self.sent_at.lock().filter(|_| self.sent() == upload.sent);
        if let Some(sent_at) = sent_at {
            line.on_movement(WaitKind::Stored(upload.stored), sent_at.elapsed());
        }
    }

    /// Ends when the connection accepted nothing for `stall`, or when the registry did not respond
    /// within `stall` after the last byte, plus the time to store the blob. The total time is not
    /// limited. With `patience`, it ends as soon as the connection is dead, as other connections
    /// show, or `probe` where there are no others.
    pub(crate) async fn silence<P>(
        &self,
        upload: UploadLength,
        line: &LineMonitor,
        patience: Option<u32>,
        probe: impl Fn() -> P,
    ) -> Kind
    where
        P: Future<Output = bool>,
    {
        let mut last = self.sent();
        let mut watch = upload.watch(line, last, patience);
        loop {
            tokio::time::sleep(TICK.min(line.stall() / 4)).await;
            let sent = self.sent();
            let is_sending = self.is_sending.load(Ordering::Relaxed) || upload.sent == 0;
            if sent != last || !is_sending || self.is_waiting.load(Ordering::Relaxed) {
                if sent != last {
                    line.on_movement(WaitKind::Sent, watch.lasted());
                }
                last = sent;
                watch = upload.watch(line, last, patience);
                continue;
            }
            let is_dead = match watch.judge() {
                None => false,
                Some(Silence::Stalled(limit)) => return Kind::Stalled(limit),
                Some(Silence::Dead) => true,
                Some(Silence::Unknown) => probe().await && self.sent() == last,
            };
            if is_dead {
                return watch.given_up();
            }
        }
    }
}

/// The bytes of an upload request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadLength {
    /// Bytes of its body.
    pub(crate) sent: u64,
    /// Bytes that the registry has to store before it responds.
    pub(crate) stored: u64,
}

impl UploadLength {
    /// Watches for the next bytes, or for the response after the last one.
    fn watch<'a>(
        self,
        line: &'a LineMonitor,
        sent: u64,
        patience: Option<u32>,
    ) -> SilenceWatch<'a> {
        let (kind, commit) = match sent < self.sent {
            true => (WaitKind::Sent, Duration::ZERO),
            false => (
                WaitKind::Stored(self.stored),
                Duration::from_secs(self.stored / COMMIT_RATE),
            ),
        };
        line.watch(kind).with_patience(patience).longer_by(commit)
    }
}

#[cfg(test)]
mod tests;
