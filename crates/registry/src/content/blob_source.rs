//! Where a blob is fetched from: requests that start at any byte, and their frames.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, HeaderValue, RANGE},
};

use tokio::time::Instant;

use crate::{
    Direction, Error, Kind, Registry,
    client::Request,
    concurrency::memory_budget::RANGES,
    content::{
        range_count::RangeCount,
        ranges::{RangeHold, RangeSource, Ranges},
    },
    header,
    hedge::race::{Frames, hedged_frame},
    http::HeadWait,
    oci::Digest,
};

/// Bytes that have to be left for parallel ranges to be worth their requests.
const LEAST_BYTES: u64 = 32 << 20;
/// Seconds that one connection has to need for them.
const LEAST_SECONDS: f64 = 4.0;

/// Bytes of a block in which a range is held.
const BLOCK: usize = 64 << 10;

/// Where a blob can be fetched from, starting at any byte.
pub(crate) struct BlobSource {
    pub(crate) registry: Registry,
    pub(crate) request: Request,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl BlobSource {
    /// The bytes from an offset on. If a registry ignores the range, or answers with another one, the
    /// whole blob is read and the known bytes are skipped.
    pub(crate) async fn open(&self, offset: u64) -> Result<Frames, Error> {
        // Registries answer in odd ways for the blob of no bytes, which everybody knows.
        let is_nothing = self.size == 0 && self.digest.matches(&[]);
        if offset == self.size && (offset > 0 || is_nothing) {
            return Ok(stream::empty().boxed());
        }
        let from = |offset| (offset > 0).then(|| format!("bytes={offset}-"));
        let mut response = self.ask(from(offset)).await?;
        let mut skip = offset;
        if response.status() == StatusCode::PARTIAL_CONTENT {
            match offset > 0 && starts_at(&response) == Some(offset) {
                true => skip = 0,
                false => response = self.ask(None).await?,
            }
        }
        let expected = self.size - (offset - skip);
        if let Some(found) = response.content_length().filter(|found| *found != expected) {
            let is_whole = offset == 0 && response.status() == StatusCode::OK;
            return Err(self.fail(match is_whole {
                true => Kind::Size {
                    said: expected,
                    served: found,
                },
                false => Kind::Length { expected, found },
            }));
        }
        Ok(without_first(self.body(response), skip))
    }

    /// A range of the blob, of which the registry may send only the beginning. Fails for good if the
    /// answer is another range, or one of a blob of another size.
    async fn open_range(&self, range: Range<u64>) -> Result<Frames, Error> {
        let text = format!("bytes={}-{}", range.start, range.end - 1);
        let response = self.ask(Some(text)).await?;
        let is_right = sent_range(&response).is_some_and(|(sent, size)| {
            sent.start == range.start && sent.end <= range.end && size == self.size
        });
        match is_right && response.status() == StatusCode::PARTIAL_CONTENT {
            true => Ok(self.body(response)),
            false => Err(self.fail(Kind::Protocol("it sends no ranges of this blob".into()))),
        }
    }

    /// Pulls a range, on one connection after another until it is whole. Counts its bytes as they
    /// come. An error is final if ranges are of no use here.
    pub(crate) async fn fetch_range(
        self: Arc<Self>,
        range: Range<u64>,
        received: Arc<AtomicU64>,
    ) -> Result<VecDeque<Bytes>, Error> {
        let (mut at, end) = (range.start, range.end);
        let mut retries = self.registry.retry().start();
        // The blob holds a permit, so that a pause that the registry asks for is not waited for.
        let may_retry = |error: &Error| !matches!(*error.kind, Kind::Throttled { .. });
        let mut frames = match self.open_range(range).await {
            Ok(frames) => frames,
            Err(error) => {
                let open = || self.open_range(at..end);
                retries.resume(error, may_retry, open).await?
            }
        };
        let mut whole = RangeBytes::default();
        while at < end {
            let open = || self.open_range(at..end);
            let kind = match self.frame(&mut frames, open).await {
                Ok(Some(frame)) if frame.len() as u64 <= end - at => {
                    at += frame.len() as u64;
                    received.fetch_add(frame.len() as u64, Ordering::Relaxed);
                    whole.add(&frame);
                    continue;
                }
                Ok(Some(_)) => Kind::Protocol("it sends more than the range".into()),
                Ok(None) => Kind::Length {
                    expected: end,
                    found: at,
                },
                Err(kind) => kind,
            };
            let open = || self.open_range(at..end);
            frames = retries.resume(self.fail(kind), may_retry, open).await?;
        }
        Ok(whole.finish())
    }

    /// The frames of a response, counted.
    fn body(&self, response: Response) -> Frames {
        let http = &self.registry.http;
        let (counter, observer) = (http.counter.clone(), http.observer.clone());
        let name = http.name.clone();
        let count = move |frame: &Bytes| {
            counter.add_bytes(frame.len() as u64);
            observer.on_transfer(&name, Direction::Received, frame.len() as u64);
        };
        let frames = response.bytes_stream().map_err(|e| Kind::from(&e));
        frames.inspect_ok(count).boxed()
    }

    async fn ask(&self, range: Option<String>) -> Result<Response, Error> {
        let mut request = self.request.clone();
        let range = range.and_then(|range| HeaderValue::try_from(range).ok());
        request.headers.extend(range.map(|range| (RANGE, range)));
        let http = &self.registry.http;
        let body = || Some(Bytes::new().into());
        let client = &self.registry.client;
        client
            .execute(http, &request, HeadWait::Watched, body)
            .await
    }

    /// The next frame of a body. If the connection falls silent while others move, `open` opens one
    /// that continues at the same byte, and the first of both is read on.
    pub(crate) async fn frame<F>(
        &self,
        frames: &mut Frames,
        open: impl FnOnce() -> F,
    ) -> Result<Option<Bytes>, Kind>
    where
        F: Future<Output = Result<Frames, Error>>,
    {
        let http = &self.registry.http;
        let open = || async { open().await.map_err(|error| *error.kind) };
        let on_outcome = |outcome| http.observer.on_hedge(&http.name, outcome);
        let frame = hedged_frame(&http.line, frames, open, on_outcome).await;
        if let Err(kind @ Kind::Stalled(_)) = &frame {
            self.registry.client.record_failure(kind);
        }
        frame
    }

    /// Parallel ranges from behind this byte on, if they may bring more than one connection at this
    /// rate in bytes per second. That connection goes on for as long as the first ranges take.
    pub(crate) fn ranges(self: &Arc<Self>, received: u64, rate: f64) -> Option<Ranges> {
        let (registry, now) = (&self.registry, Instant::now());
        let left = self.size.saturating_sub(received);
        if left < LEAST_BYTES || left as f64 <= rate * LEAST_SECONDS {
            return None;
        }
        let first = registry.client.range_memory.lock().first(now)?;
        let connections = registry.client.limits.connections;
        let bytes = (RANGES / connections.max(1)).clamp(1 << 20, 4 << 20);
        let source = self.clone().range_source(bytes);
        // Where nothing is free for a range now, the connection is not given up for one.
        drop((source.admit)(true)?);
        let count = RangeCount::new(first, connections, rate, now);
        let bytes = bytes as u64;
        Some(Ranges::new(
            source,
            received + bytes..self.size,
            bytes,
            count,
        ))
    }

    fn range_source(self: Arc<Self>, bytes: usize) -> RangeSource {
        let registry = self.registry.clone();
        let admit = move |needs_permit: bool| {
            let memory = registry.http.memory.ranges.try_reserve(bytes)?;
            let permit = match needs_permit {
                true => Some(registry.client.limits.try_pull_range(bytes as u64)?),
                false => None,
            };
            Some(RangeHold { permit, memory })
        };
        let fetch = move |range, received| self.clone().fetch_range(range, received).boxed();
        RangeSource {
            fetch: Box::new(fetch),
            admit: Box::new(admit),
        }
    }

    /// Remembers what ranges brought. After a final error, they are not tried for a while.
    pub(crate) fn learn(&self, ranges: &Ranges, error: Option<&Error>) {
        let is_refused = error.is_some_and(|error| !error.is_transient());
        let count = if is_refused { 1 } else { ranges.count() };
        let name = &self.registry.http.name;
        match error {
            Some(error) => tracing::debug!(%error, "ranges of a blob ended early"),
            None => tracing::debug!(count, "parallel ranges of a blob of {name} ended"),
        }
        let mut memory = self.registry.client.range_memory.lock();
        memory.learn(count, Instant::now());
    }

    pub(crate) fn fail(&self, kind: Kind) -> Error {
        let subject = self.request.subject.clone();
        self.registry
            .http
            .error(self.request.operation, subject, kind)
    }
}

/// The byte that a partial answer begins with
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#field.content-range)).
fn starts_at(response: &Response) -> Option<u64> {
    let range = header(response.headers(), CONTENT_RANGE.as_str())?;
    let (first, _) = range.trim().strip_prefix("bytes ")?.split_once('-')?;
    first.trim().parse().ok()
}

/// The bytes of a range, in blocks of their own: a frame may hold on to a larger buffer.
#[derive(Debug, Default)]
struct RangeBytes {
    blocks: VecDeque<Bytes>,
    block: BytesMut,
}

impl RangeBytes {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.block.capacity() == 0 {
                self.block.reserve(BLOCK);
            }
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            if self.block.len() == BLOCK {
                self.blocks
                    .push_back(std::mem::take(&mut self.block).freeze());
            }
            bytes = later;
        }
    }

    fn finish(mut self) -> VecDeque<Bytes> {
        if !self.block.is_empty() {
            self.blocks.push_back(self.block.freeze());
        }
        self.blocks
    }
}

/// The range of a partial answer, and the size of the whole.
fn sent_range(response: &Response) -> Option<(Range<u64>, u64)> {
    let range = header(response.headers(), CONTENT_RANGE.as_str())?;
    let (range, size) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let [first, last, size] = [first, last, size].map(|number| number.trim().parse().ok());
    Some((first?..u64::checked_add(last?, 1)?, size?))
}

/// The frames without the first `skip` bytes.
pub(crate) fn without_first(frames: Frames, mut skip: u64) -> Frames {
    if skip == 0 {
        return frames;
    }
    // Empty frames are kept: each one shows that the connection is alive.
    let rest = frames.map_ok(move |mut frame| {
        let gone = skip.min(frame.len() as u64);
        skip -= gone;
        // `gone` is at most the frame's length.
        frame.split_off(usize::try_from(gone).unwrap_or(frame.len()))
    });
    rest.boxed()
}

#[cfg(test)]
mod tests;
