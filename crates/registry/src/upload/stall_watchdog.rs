//! The watchdog of an upload: nothing moves, or no answer comes.

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

/// Bytes a second at which a registry stores, at the least, what it was sent: some hash it all
/// again, and copy it to an object store.
const COMMIT_RATE: u64 = 4 << 20;

/// What the body of an upload tells its watchdog.
#[derive(Debug, Default)]
pub(crate) struct StallWatchdog {
    /// Bytes that the connection took.
    sent: AtomicU64,
    /// Whether the connection asked for the first of them: until then nothing can stall.
    is_sending: AtomicBool,
    /// Whether it waits for the source, which has a watchdog of its own.
    is_waiting: AtomicBool,
}

/// The body of an upload: counts what the connection takes.
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
    /// Bytes that the connection took so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends when the connection has taken nothing for `stall`, or the registry has not answered
    /// for as long after the last byte of `size`, and for what it may take to store `stored`. Total
    /// time is never limited.
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
