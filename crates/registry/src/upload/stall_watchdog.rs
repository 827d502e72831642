//! The stall watchdog of an upload: no byte moves, or no response comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use reqwest::Body;

use crate::{Direction, Error, Kind, http::HttpClient};

/// Minimum rate, in bytes per second, at which a registry stores a blob after the last byte: some
/// hash it again and copy it to an object store.
const COMMIT_RATE: u64 = 4 << 20;

/// The state of an upload's body, as its watchdog sees it.
#[derive(Debug, Default)]
pub(crate) struct StallWatchdog {
    /// Bytes that the connection accepted.
    sent: AtomicU64,
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

    /// Ends when the connection accepted nothing for `stall`, or when the registry did not respond
    /// within `stall` after the last byte of `size`, plus the time to store `stored` bytes. The total
    /// time is not limited.
    pub(crate) async fn silence(&self, size: u64, stored: u64, stall: Duration) -> Kind {
        let mut last = (0, Instant::now());
        loop {
            tokio::time::sleep(stall / 4).await;
            let sent = self.sent.load(Ordering::Relaxed);
            let is_sending = self.is_sending.load(Ordering::Relaxed) || size == 0;
            if sent != last.0 || !is_sending || self.is_waiting.load(Ordering::Relaxed) {
                last = (sent, Instant::now());
            }
            let limit = if sent < size {
                stall
            } else {
                stall + Duration::from_secs(stored / COMMIT_RATE)
            };
            if last.1.elapsed() >= limit {
                return Kind::Stalled(limit);
            }
        }
    }
}
