//! Blob downloads: streamed, counted, verified, and resumed after a break.

use std::sync::Arc;

use bytes::Bytes;
use futures::{
    StreamExt as _, TryStreamExt as _,
    future::{Either, select},
    stream::{self, BoxStream},
};
use reqwest::{Method, header::CONTENT_LENGTH};
use tokio::time::Instant;

use crate::{
    Direction, Error, Kind, Operation, Registry,
    concurrency::request_limits::is_large,
    content::{blob_source::BlobSource, range_count::FlowMeter, ranges::Ranges},
    found, header,
    hedge::race::Frames,
    oci::{Descriptor, Digest, Hasher, Repository},
    retry::Retries,
};

/// Bytes of progress after which earlier breaks no longer count.
const PROGRESS: u64 = 1 << 20;

/// A blob's bytes. The last frame is withheld until size and digest are known to be right, so that a
/// reader that expects the announced length never completes a wrong blob.
pub type BlobStream = BoxStream<'static, Result<Bytes, Error>>;

/// The size of a blob in bytes, if the registry reports it.
pub type BlobSize = Option<u64>;

impl Registry {
    /// Whether a repository holds a blob.
    pub async fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        Ok(self.head_blob(repository, digest).await?.is_some())
    }

    /// The size of a blob in a repository; `None` if it is not there.
    pub async fn head_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<BlobSize>, Error> {
        let subject = format!("{digest} in {repository}");
        let path = format!("blobs/{digest}");
        let request = self.request(
            Operation::CheckBlob,
            subject,
            Method::HEAD,
            repository,
            &path,
        );
        let answer = found(self.client.send(&self.http, &request).await)?;
        Ok(answer.map(|answer| {
            header(&answer.headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok())
        }))
    }

    /// Reads a blob, compares it with its descriptor, and drops the bytes. Takes a pull permit. A wrong
    /// size in the descriptor does no harm if the digest is right.
    pub async fn read_blob(&self, repository: &Repository, blob: &Descriptor) -> Result<(), Error> {
        let Err(error) = self.read_sized_blob(repository, blob).await else {
            return Ok(());
        };
        let Some(served) = blob.as_served(&error) else {
            return Err(error);
        };
        let read = self.read_sized_blob(repository, &served).await;
        read.map_err(|second| if second.is_mismatch() { error } else { second })
    }

    async fn read_sized_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<(), Error> {
        let open = || async {
            let permit = self.pull_permit(blob.size).await;
            let bytes = self.pull_blob(repository, blob, blob.digest.hasher());
            Ok((bytes.await?, permit))
        };
        let (mut bytes, _permit) = self.retry().run(open).await?;
        while bytes.try_next().await?.is_some() {}
        Ok(())
    }

    /// Fetches a blob, starting after the bytes that `hashed` has hashed. Hold a
    /// [pull permit](Self::pull_permit) while reading. A broken connection is replaced by one that
    /// continues at the last byte (HTTP Range), as often as there is progress.
    pub async fn pull_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        hashed: Hasher,
    ) -> Result<BlobStream, Error> {
        let guard = DigestGuard::new(blob, hashed);
        self.download(repository, blob, guard).await
    }

    /// The bytes of a blob from one on, to its end. They are not verified: for a part that begins
    /// anywhere, nobody knows the hash of what comes before it.
    pub async fn pull_blob_from(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        first: u64,
    ) -> Result<BlobStream, Error> {
        let guard = DigestGuard {
            expected: blob.digest.clone(),
            size: blob.size,
            received: first,
            hasher: None,
        };
        self.download(repository, blob, guard).await
    }

    async fn download(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        guard: DigestGuard,
    ) -> Result<BlobStream, Error> {
        let subject = format!("{} of {repository}", blob.digest);
        let path = format!("blobs/{}", blob.digest);
        let mut registry = self.clone();
        if is_large(blob.size) {
            registry.http = registry.http.for_blobs();
        }
        let source = Arc::new(BlobSource {
            registry,
            request: self.request(Operation::PullBlob, subject, Method::GET, repository, &path),
            digest: blob.digest.clone(),
            size: blob.size,
        });
        let download = BlobDownload {
            frames: Box::pin(source.open(guard.received())).await?,
            source,
            received_at_break: guard.received(),
            retries: self.retry().start(),
            guard,
            meter: FlowMeter::default(),
            ranges: None,
        };
        let frames = stream::try_unfold(download, |mut download| async move {
            let frame = download.next().await?;
            Ok(frame.map(|frame| (frame, download)))
        });
        Ok(self
            .http
            .rate_limiter
            .throttle(Direction::Received, frames.boxed()))
    }
}

/// A download in flight.
struct BlobDownload {
    source: Arc<BlobSource>,
    /// The body that is read; before the first range, if there are ranges.
    frames: Frames,
    guard: DigestGuard,
    /// Bytes received when the last connection broke.
    received_at_break: u64,
    /// Breaks without progress between them.
    retries: Retries,
    meter: FlowMeter,
    ranges: Option<Box<Ranges>>,
}

impl BlobDownload {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let kind = match self.frame().await {
                Err(kind) => kind,
                Ok(Some(frame)) => match self.guard.take(frame) {
                    Ok(None) => continue,
                    passed => return passed.map_err(|kind| self.source.fail(kind)),
                },
                Ok(None) => match self.guard.finish() {
                    Err(kind @ Kind::Length { .. }) => kind,
                    done => return done.map_err(|kind| self.source.fail(kind)),
                },
            };
            // Breaks are few: what a new connection takes is not kept for every download.
            Box::pin(self.reconnect(self.source.fail(kind))).await?;
        }
    }

    /// The next frame: of the one connection, or of the ranges.
    async fn frame(&mut self) -> Result<Option<Bytes>, Kind> {
        let received = self.guard.received();
        loop {
            match self.ranges.as_deref().map(Ranges::first) {
                None => return self.frame_of_one(received).await,
                Some(first) if received < first => {
                    if let Some(frame) = Box::pin(self.frame_before_ranges(received)).await {
                        return frame;
                    }
                }
                Some(_) => {
                    if let Some(frame) = Box::pin(self.frame_of_ranges(received)).await? {
                        return Ok(Some(frame));
                    }
                }
            }
        }
    }

    async fn frame_of_one(&mut self, received: u64) -> Result<Option<Bytes>, Kind> {
        let asked = Instant::now();
        let open = || self.source.open(received);
        let frame = self.source.frame(&mut self.frames, open).await?;
        let bytes = frame.as_ref().map_or(0, |frame| frame.len() as u64);
        if let Some(rate) = self.meter.on_frame(bytes, asked) {
            self.ranges = self.source.ranges(received + bytes, rate).map(Box::new);
        }
        Ok(frame)
    }

    /// A frame of the connection that was first, up to the first range. `None` if a range failed:
    /// then this connection is read to the end.
    async fn frame_before_ranges(&mut self, received: u64) -> Option<Result<Option<Bytes>, Kind>> {
        let ranges = self.ranges.as_mut()?;
        let open = || self.source.open(received);
        let frame = self.source.frame(&mut self.frames, open);
        let raced = {
            let pull = ranges.pull();
            futures::pin_mut!(frame, pull);
            match select(frame, pull).await {
                Either::Left((frame, _)) => Ok(frame),
                Either::Right((error, _)) => Err(error),
            }
        };
        let mut frame = match raced {
            Ok(frame) => frame,
            Err(error) => {
                self.end_ranges(Some(&error));
                return None;
            }
        };
        if let Ok(Some(frame)) = &mut frame {
            let missing = ranges.first() - received;
            frame.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
            ranges.add_received(frame.len() as u64);
            if frame.len() as u64 == missing {
                ranges.close_first();
                self.frames = stream::empty().boxed();
            }
        }
        Some(frame)
    }

    /// A frame of the ranges. `None` if they ended: then one connection goes on.
    async fn frame_of_ranges(&mut self, received: u64) -> Result<Option<Bytes>, Kind> {
        let Some(ranges) = &mut self.ranges else {
            return Ok(None);
        };
        match ranges.next().await {
            Ok(Some(frame)) => {
                if received + frame.len() as u64 == self.source.size {
                    self.end_ranges(None);
                }
                return Ok(Some(frame));
            }
            Ok(None) => self.end_ranges(None),
            Err(error) => self.end_ranges(Some(&error)),
        }
        let opened = self.source.open(received).await;
        self.frames = opened.map_err(|error| *error.kind)?;
        Ok(None)
    }

    fn end_ranges(&mut self, error: Option<&Error>) {
        if let Some(ranges) = self.ranges.take() {
            self.source.learn(&ranges, error);
        }
        self.meter = FlowMeter::default();
    }

    /// Opens another connection after one that broke. Returns the error if it is no break, or if
    /// too many breaks came without progress between them.
    async fn reconnect(&mut self, error: Error) -> Result<(), Error> {
        let received = self.guard.received();
        if received >= self.received_at_break + PROGRESS {
            self.retries.reset();
        }
        self.received_at_break = received;
        // The caller holds a permit, so that a pause that the registry asks for is not waited for.
        let may_retry = |error: &Error| !matches!(*error.kind, Kind::Throttled { .. });
        let source = &self.source;
        let open = || source.open(received);
        self.frames = self.retries.resume(error, may_retry, open).await?;
        self.meter = FlowMeter::default();
        Ok(())
    }
}

/// Withholds the last frame until size and digest are known to be right.
struct DigestGuard {
    expected: Digest,
    size: u64,
    received: u64,
    /// `None` once everything was verified.
    hasher: Option<Hasher>,
}

impl DigestGuard {
    fn new(blob: &Descriptor, hasher: Hasher) -> Self {
        Self {
            expected: blob.digest.clone(),
            size: blob.size,
            received: hasher.length(),
            hasher: Some(hasher),
        }
    }

    /// Bytes received so far.
    fn received(&self) -> u64 {
        self.received
    }

    /// Hashes a frame and returns it. The last one is returned only if the digest matches.
    fn take(&mut self, frame: Bytes) -> Result<Option<Bytes>, Kind> {
        self.received += frame.len() as u64;
        if self.received > self.size {
            return Err(self.length());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&frame);
        }
        if self.received == self.size {
            self.verify()?;
        }
        Ok(Some(frame).filter(|frame| !frame.is_empty()))
    }

    /// Checks size and digest at the end of the stream.
    fn finish(&mut self) -> Result<Option<Bytes>, Kind> {
        match self.received == self.size {
            true => self.verify().map(|()| None),
            false => Err(self.short()),
        }
    }

    /// Why all that came is too short: its end is lost, unless the digest is right as it is.
    fn short(&mut self) -> Kind {
        let is_all = |hasher: Hasher| hasher.finish() == self.expected;
        match self.hasher.clone().is_some_and(is_all) {
            true => Kind::Size {
                said: self.size,
                served: self.received,
            },
            false => self.length(),
        }
    }

    fn verify(&mut self) -> Result<(), Kind> {
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.expected => Err(Kind::Mismatch {
                expected: self.expected.clone(),
                found,
            }),
            _ => Ok(()),
        }
    }

    fn length(&self) -> Kind {
        Kind::Length {
            expected: self.size,
            found: self.received,
        }
    }
}

#[cfg(test)]
mod tests;
