//! Blob downloads: streamed, counted, verified, and resumed after a break.

use std::time::Duration;

use bytes::Bytes;
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE},
};

use crate::{
    Direction, Error, Kind, Operation, Registry,
    client::Request,
    concurrency::request_limits::is_large,
    found, header,
    oci::{Descriptor, Digest, Hasher, Repository},
    retry::Retries,
};

/// Bytes of progress after which earlier breaks no longer count.
const PROGRESS: u64 = 1 << 20;

/// A blob's bytes. The last frame is withheld until size and digest are known to be right, so that a
/// reader that expects the announced length never completes a wrong blob.
pub type BlobStream = BoxStream<'static, Result<Bytes, Error>>;

type Frames = BoxStream<'static, Result<Bytes, Kind>>;
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
        let source = BlobSource {
            registry,
            request: self.request(Operation::PullBlob, subject, Method::GET, repository, &path),
            digest: blob.digest.clone(),
            size: blob.size,
        };
        let download = BlobDownload {
            frames: Box::pin(source.open(guard.received())).await?,
            source,
            received_at_break: guard.received(),
            retries: self.retry().start(),
            guard,
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
    source: BlobSource,
    frames: Frames,
    guard: DigestGuard,
    /// Bytes received when the last connection broke.
    received_at_break: u64,
    /// Breaks without progress between them.
    retries: Retries,
}

/// Where a blob can be fetched from, starting at any byte.
struct BlobSource {
    registry: Registry,
    request: Request,
    digest: Digest,
    size: u64,
}

impl BlobDownload {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let stall = self.source.registry.http.stall;
            let kind = match tokio::time::timeout(stall, self.frames.next()).await {
                Err(_) => self.source.stalled(stall),
                Ok(Some(Err(kind))) => kind,
                Ok(Some(Ok(frame))) => match self.guard.take(frame) {
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
        Ok(())
    }
}

impl BlobSource {
    /// The bytes from an offset on. If a registry ignores the range, or answers with another one, the
    /// whole blob is read and the known bytes are skipped.
    async fn open(&self, offset: u64) -> Result<Frames, Error> {
        // Registries answer in odd ways for the blob of no bytes, which everybody knows.
        let is_nothing = self.size == 0 && self.digest.matches(&[]);
        if offset == self.size && (offset > 0 || is_nothing) {
            return Ok(stream::empty().boxed());
        }
        let mut response = self.ask(offset).await?;
        let mut skip = offset;
        if response.status() == StatusCode::PARTIAL_CONTENT {
            match offset > 0 && starts_at(&response) == Some(offset) {
                true => skip = 0,
                false => response = self.ask(0).await?,
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
        let http = &self.registry.http;
        let (counter, observer) = (http.counter.clone(), http.observer.clone());
        let name = http.name.clone();
        let count = move |frame: &Bytes| {
            counter.add_bytes(frame.len() as u64);
            observer.on_transfer(&name, Direction::Received, frame.len() as u64);
        };
        let frames = response.bytes_stream().map_err(|e| Kind::from(&e));
        Ok(without_first(frames.inspect_ok(count).boxed(), skip))
    }

    async fn ask(&self, offset: u64) -> Result<Response, Error> {
        let mut request = self.request.clone();
        if offset > 0 {
            let range = HeaderValue::try_from(format!("bytes={offset}-"));
            request
                .headers
                .extend(range.ok().map(|range| (RANGE, range)));
        }
        let http = &self.registry.http;
        let body = || Some(Bytes::new().into());
        let client = &self.registry.client;
        client.execute(http, &request, Some(http.stall), body).await
    }

    fn stalled(&self, stall: Duration) -> Kind {
        let kind = Kind::Stalled(stall);
        self.registry.client.record_failure(&kind);
        kind
    }

    fn fail(&self, kind: Kind) -> Error {
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

/// The frames without the first `skip` bytes.
fn without_first(frames: Frames, mut skip: u64) -> Frames {
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
