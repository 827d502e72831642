//! Blobs on their way into a registry: mounts, upload sessions, streamed uploads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future};
use reqwest::{
    Body, Method, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION},
};
use url::Url;

use super::{
    BlobStream, Error, Kind, Registry, header,
    pacing::Direction,
    transport::{Answer, Call, keep_to_origin},
    wire::Wire,
};
use crate::oci::{Descriptor, Digest, Repository};

/// How long a registry may take to store what it was sent whole: some hash it all again, and
/// copy it to an object store.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(600);
/// How long the end of a session is waited for.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// An upload session of a registry.
#[derive(Clone, Debug)]
pub struct Upload {
    repository: Repository,
    location: Url,
}

/// What became of the wish to mount a blob, or to begin its upload.
#[derive(Debug)]
pub enum Started {
    /// The registry had the blob in the other repository, and now has it here too.
    Mounted,
    /// The bytes have to be sent.
    Session(Upload),
}

impl Registry {
    /// Begins an upload into a repository. Where another repository of the registry holds the
    /// blob, `mount_from` names it, and the registry may need no upload.
    pub async fn start_upload(
        &self,
        repository: &Repository,
        digest: &Digest,
        mount_from: Option<&Repository>,
    ) -> Result<Started, Error> {
        let subject = format!("{digest} to {repository}");
        let mut call = self.request(
            "start upload of",
            subject,
            Method::POST,
            repository,
            "blobs/uploads/",
        );
        // Without it, Go's servers answer 411 to a POST that has no body.
        call.headers
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let plain = call.clone();
        if let Some(from) = mount_from {
            call.operation = "mount";
            call.scope.from = Some(from.path().into());
            call.url
                .query_pairs_mut()
                .append_pair("mount", digest.as_str())
                .append_pair("from", from.path());
        }
        let answer = match self.transport.call(&self.wire, &call).await {
            // Harbor answers 401 to a mount from a project it does not know, Docker Hub 400: the
            // mount was a shortcut, and the plain way is left.
            Err(error) if mount_from.is_some() && !error.is_transient() => {
                tracing::debug!(%error, "no mount; uploading");
                self.transport.call(&self.wire, &plain).await?
            }
            other => other?,
        };
        if mount_from.is_some() && answer.status == StatusCode::CREATED {
            return Ok(Started::Mounted);
        }
        if answer.status != StatusCode::ACCEPTED && answer.status != StatusCode::CREATED {
            let text = format!("the start of an upload was answered {}", answer.status);
            return Err(self
                .wire
                .error(call.operation, call.subject, Kind::Protocol(text)));
        }
        let location = self.location(&call, &answer)?;
        Ok(Started::Session(Upload {
            repository: repository.clone(),
            location,
        }))
    }

    /// Sends a blob into an upload session, in one request. The caller holds a flow of this
    /// registry. A failed session is cancelled.
    pub async fn upload(
        &self,
        upload: &Upload,
        blob: &Descriptor,
        bytes: BlobStream,
    ) -> Result<(), Error> {
        let result = self.put_blob(upload, blob, bytes).await;
        if result.is_err() {
            self.cancel(upload).await;
        }
        result
    }

    async fn put_blob(
        &self,
        upload: &Upload,
        blob: &Descriptor,
        bytes: BlobStream,
    ) -> Result<(), Error> {
        let subject = format!("{} to {}", blob.digest, upload.repository);
        let mut call = self.request(
            "upload blob",
            subject,
            Method::PUT,
            &upload.repository,
            "blobs/uploads/",
        );
        call.url = upload.location.clone();
        call.url
            .query_pairs_mut()
            .append_pair("digest", blob.digest.as_str());
        call.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(blob.size));
        call.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        let watch = Arc::new(Watch::default());
        // Its watchdog takes the wait for a turn for what it is: a wait for bytes to send.
        let bytes = self.wire.pace.keep(Direction::Sent, bytes);
        let mut body = Some(watched(bytes, &self.wire, watch.clone()));
        let send = self.transport.open(&self.wire, &call, None, || body.take());
        let silence = watch.silence(blob.size, self.wire.stall);
        futures::pin_mut!(send, silence);
        let fail = |kind| self.wire.error(call.operation, call.subject.clone(), kind);
        let response: Response = match future::select(send, silence).await {
            future::Either::Left((result, _)) => result?,
            future::Either::Right((stalled, _)) => return Err(fail(stalled)),
        };
        let status = response.status();
        let _ = self.wire.body(response).await.map_err(fail)?;
        match status {
            StatusCode::CREATED | StatusCode::NO_CONTENT | StatusCode::OK => Ok(()),
            other => Err(fail(Kind::Protocol(format!(
                "an upload was answered {other}"
            )))),
        }
    }

    /// Tells the registry that a session will not be finished. It is a courtesy: registries drop
    /// old sessions by themselves, so that failure means nothing.
    pub async fn cancel(&self, upload: &Upload) {
        let subject = upload.repository.to_string();
        let mut call = self.request(
            "cancel upload to",
            subject,
            Method::DELETE,
            &upload.repository,
            "blobs/uploads/",
        );
        call.url = upload.location.clone();
        let body = || Some(bytes::Bytes::new().into());
        let work = self.transport.open(&self.wire, &call, None, body);
        if !matches!(tokio::time::timeout(CANCEL_TIMEOUT, work).await, Ok(Ok(_))) {
            tracing::debug!(url = %call.url.path(), "the upload session is left behind");
        }
    }

    /// Where an upload goes on. Requests there carry the registry's authorization, so that it has
    /// to be the registry's host.
    fn location(&self, call: &Call, answer: &Answer) -> Result<Url, Error> {
        let fail = |text: String| {
            self.wire
                .error(call.operation, call.subject.clone(), Kind::Protocol(text))
        };
        let text = header(&answer.headers, LOCATION.as_str())
            .ok_or_else(|| fail(format!("answered {} without a Location", answer.status)))?;
        let mut location = call
            .url
            .join(text)
            .map_err(|e| fail(format!("its Location `{text}` is no URL: {e}")))?;
        if !keep_to_origin(&self.wire.base, &mut location) {
            return Err(fail(format!(
                "it wants the upload at another host, {location}"
            )));
        }
        Ok(location)
    }
}

/// What the body of an upload tells its watchdog.
#[derive(Debug, Default)]
struct Watch {
    /// Bytes that the connection took.
    sent: AtomicU64,
    /// Whether the connection asked for the first of them: until then nothing can stall.
    is_sending: AtomicBool,
    /// Whether it waits for the source, which has a watchdog of its own.
    is_waiting: AtomicBool,
}

/// The body of an upload: counts what the connection takes.
fn watched(bytes: BlobStream, wire: &Wire, watch: Arc<Watch>) -> Body {
    let wire = wire.clone();
    let mut bytes = bytes;
    let frames = futures::stream::poll_fn(move |context| {
        let polled = bytes.poll_next_unpin(context);
        watch.is_sending.store(true, Ordering::Relaxed);
        watch
            .is_waiting
            .store(polled.is_pending(), Ordering::Relaxed);
        if let std::task::Poll::Ready(Some(Ok(frame))) = &polled {
            watch.sent.fetch_add(frame.len() as u64, Ordering::Relaxed);
            wire.meter.add_bytes(frame.len() as u64);
            wire.metrics
                .transferred(wire.name.as_str(), "uploaded", frame.len() as u64);
        }
        polled
    });
    Body::wrap_stream(frames)
}

impl Watch {
    /// Ends when the connection has taken nothing for `stall`, or the registry has not answered
    /// for [`COMMIT_TIMEOUT`] after the last byte of `size`. Total time is never limited.
    async fn silence(&self, size: u64, stall: Duration) -> Kind {
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
                COMMIT_TIMEOUT.max(stall)
            };
            if last.1.elapsed() >= limit {
                return Kind::Stalled(limit);
            }
        }
    }
}
