//! Blob uploads: in one request, or in chunks that are acknowledged one by one.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, future, stream};
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION},
};

use crate::{
    BlobStream, Direction, Error, Kind, LearnedCapabilities, Operation, Registry, UploadBody,
    UploadSession,
    client::Request,
    http::HeadWait,
    oci::Descriptor,
    upload::{
        capabilities::UploadAttempt,
        stall_watchdog::{StallWatchdog, UploadLength, observe_body},
    },
};

/// The progress of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadProgress {
    /// The registry acknowledged another chunk.
    Chunk,
    /// The registry has the whole blob.
    Complete,
}

/// What to expect of a new session after one failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRetry {
    /// The same failure, as far as the error shows.
    Same,
    /// The old one was lost, or a request in it broke: a new one may succeed.
    Fresh,
    /// The upload capabilities of the registry changed: blobs are sent in another way now.
    Different,
}

impl Registry {
    /// Whether a blob of this size, in bytes, is sent in chunks.
    pub fn sends_parts(&self, size: u64) -> bool {
        self.part(size, 0).is_some()
    }

    /// Sends the next chunk of a blob into its session, or the whole blob if it is small or the
    /// registry takes no chunks. Hold a [push permit](Self::push_permit), and call it until it
    /// returns [`UploadProgress::Complete`]. `bytes` start where the acknowledged bytes end.
    pub async fn send(
        &self,
        upload: &mut UploadSession,
        blob: &Descriptor,
        bytes: &UploadBody,
    ) -> Result<UploadProgress, Error> {
        if blob.size == 0 && !blob.digest.matches(b"") {
            let text = "it is said to be empty, and its digest is not that of nothing".into();
            let subject = format!("{} to {}", blob.digest, upload.repository);
            return Err(self
                .http
                .error(Operation::UploadBlob, subject, Kind::Manifest(text)));
        }
        // If the request breaks, the offset has to be asked for.
        upload.is_offset_unknown = true;
        let in_parts = upload.acknowledged.length() + upload.surplus > 0;
        let mut attempt = UploadAttempt {
            length: blob.size,
            in_parts: true,
            had_parts: in_parts,
            least: upload.min_chunk,
        };
        let part = match self.part(blob.size, upload.min_chunk) {
            None if in_parts => blob.size,
            None => {
                attempt.in_parts = false;
                upload.last_attempt = Some(attempt);
                let watchdog = Arc::new(StallWatchdog::default());
                let remaining = Some(bytes.remaining().boxed());
                let done = self.complete(upload, blob, remaining, &watchdog).await;
                upload.is_all_sent = watchdog.sent() == blob.size;
                return done.map(|()| UploadProgress::Complete);
            }
            Some(part) => part,
        };
        bytes.pass(std::mem::take(&mut upload.surplus)).await?;
        *upload.acknowledged = bytes.hashed();
        let missing = blob.size - upload.acknowledged.length();
        attempt.length = missing.min(part);
        upload.last_attempt = Some(attempt);
        if missing > 0 {
            self.send_chunk(upload, blob, bytes, attempt.length).await?;
            upload.is_offset_unknown = false;
            if upload.names_next_byte.is_none() && missing > attempt.length {
                self.learn_counting(upload, blob).await;
            }
            return Ok(UploadProgress::Chunk);
        }
        bytes.end().await?;
        self.complete(upload, blob, None, &Arc::default()).await?;
        self.client.upload_capabilities.took_parts();
        Ok(UploadProgress::Complete)
    }

    /// What to expect of a new session after this error, and learns upload capabilities from it. A
    /// session that is refused between two chunks was lost. If that happens to the next one, too
    /// (`is_again`), the registry takes no chunks.
    pub fn session_retry(
        &self,
        error: &Error,
        upload: &UploadSession,
        is_again: bool,
    ) -> SessionRetry {
        let Some(last) = upload.last_attempt.filter(|_| self.speaks_of_bytes(error)) else {
            return SessionRetry::Same;
        };
        let is_refusal = matches!(
            *error.kind,
            Kind::NotFound(_) | Kind::Rejected { .. } | Kind::Protocol(_)
        );
        let is_too_large = matches!(*error.kind, Kind::Rejected { status: 413, .. });
        let is_lost = last.had_parts
            && (error.operation == Operation::UploadChunk && !is_too_large
                || matches!(*error.kind, Kind::NotFound(_)));
        if !is_refusal {
            SessionRetry::Same
        } else if upload.has_broken || is_lost && !is_again {
            SessionRetry::Fresh
        } else if self.client.upload_capabilities.learn(error, last) {
            SessionRetry::Different
        } else if is_lost {
            SessionRetry::Fresh
        } else {
            SessionRetry::Same
        }
    }

    /// Whether an error is this registry's response to blob bytes.
    pub fn speaks_of_bytes(&self, error: &Error) -> bool {
        error.registry == self.http.name
            && [Operation::UploadBlob, Operation::UploadChunk].contains(&error.operation)
    }

    /// Whether an error is this registry's response about a session, not about bytes: a new session may
    /// succeed. A registry that reports the offset and then refuses the bytes refuses the blob, and
    /// would do so in any session.
    pub fn refuses_session(&self, error: &Error) -> bool {
        error.operation == Operation::ResumeUpload
            && error.registry == self.http.name
            && matches!(
                *error.kind,
                Kind::Server { .. } | Kind::Denied(_) | Kind::Protocol(_)
            )
    }

    /// Upload capabilities that were learned since the last call. Save them for
    /// [`Registries::new`](crate::Registries::new).
    pub fn take_upload_capabilities(&self) -> Option<LearnedCapabilities> {
        self.client.upload_capabilities.take_changes()
    }

    fn part(&self, size: u64, least: u64) -> Option<u64> {
        let upload_capabilities = &self.client.upload_capabilities;
        upload_capabilities.part(size, self.client.chunk_size, least)
    }

    async fn send_chunk(
        &self,
        upload: &mut UploadSession,
        blob: &Descriptor,
        bytes: &UploadBody,
        length: u64,
    ) -> Result<(), Error> {
        let mut request =
            self.upload_request(Operation::UploadChunk, upload, blob, Method::PATCH, length);
        let first = upload.acknowledged.length();
        let range = HeaderValue::try_from(format!("{first}-{}", first + length - 1));
        request
            .headers
            .extend(range.ok().map(|range| (CONTENT_RANGE, range)));
        let lengths = UploadLength {
            sent: length,
            stored: length,
        };
        let (body, watchdog) = (bytes.part(length), Arc::default());
        let sent = self.put(&request, body, lengths, &watchdog, upload.patience);
        let (status, headers) = sent.await?;
        if headers.contains_key(LOCATION) {
            upload.location = self.location(&request, &headers, status)?;
        }
        let hashed = bytes.hashed();
        if hashed.length() != first + length {
            let text = "it took a part for done before it had all of it".into();
            return Err(self
                .http
                .error(request.operation, request.subject, Kind::Protocol(text)));
        }
        // The bytes that were sent count, whatever the response names.
        *upload.acknowledged = hashed;
        Ok(())
    }

    /// Ends a session: with the whole blob, or with an empty body after chunks.
    async fn complete(
        &self,
        upload: &UploadSession,
        blob: &Descriptor,
        bytes: Option<BlobStream>,
        watchdog: &Arc<StallWatchdog>,
    ) -> Result<(), Error> {
        let length = if bytes.is_some() { blob.size } else { 0 };
        let mut request =
            self.upload_request(Operation::UploadBlob, upload, blob, Method::PUT, length);
        request
            .url
            .query_pairs_mut()
            .append_pair("digest", blob.digest.as_str());
        let bytes = bytes.unwrap_or_else(|| stream::empty().boxed());
        let lengths = UploadLength {
            sent: length,
            stored: blob.size,
        };
        let sent = self.put(&request, bytes, lengths, watchdog, upload.patience);
        sent.await.map(|_| ())
    }

    fn upload_request(
        &self,
        operation: Operation,
        upload: &UploadSession,
        blob: &Descriptor,
        method: Method,
        length: u64,
    ) -> Request {
        let subject = format!("{} to {}", blob.digest, upload.repository);
        let path = "blobs/uploads/";
        let mut request = self.request(operation, subject, method, &upload.repository, path);
        request.url = upload.location.clone();
        request
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        request.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        request
    }

    /// Sends a body without a total timeout. With `patience`, a dead connection is given up before
    /// `stall`.
    async fn put(
        &self,
        request: &Request,
        bytes: impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + 'static,
        lengths: UploadLength,
        watchdog: &Arc<StallWatchdog>,
        patience: Option<u32>,
    ) -> Result<(StatusCode, HeaderMap), Error> {
        let fail = |kind| {
            self.http
                .error(request.operation, request.subject.clone(), kind)
        };
        // A pause that the registry asked for is not a stall.
        self.client.wait_for_backoff().await.map_err(fail)?;
        // The watchdog is outside: waiting for bandwidth counts as waiting for the source, not as a stall.
        let bytes = self
            .http
            .rate_limiter
            .throttle(Direction::Sent, bytes.boxed());
        let mut body = Some(observe_body(bytes, &self.http, watchdog.clone()));
        let send = self
            .client
            .execute(&self.http, request, HeadWait::ByCaller, || body.take());
        let (line, probe) = (&self.http.line, || self.http.probe());
        let silence = watchdog.silence(lengths, line, patience, probe);
        futures::pin_mut!(send, silence);
        let response = match future::select(send, silence).await {
            future::Either::Left((result, _)) => result?,
            future::Either::Right((stalled, _)) => {
                if stalled.is_early_stall(self.http.stall) {
                    self.http.observer.on_early_stall(&self.http.name);
                }
                self.client.record_failure(&stalled);
                return Err(fail(stalled));
            }
        };
        watchdog.on_response(lengths, line);
        let (status, headers) = (response.status(), response.headers().clone());
        let _ = self.http.body(response).await.map_err(fail)?;
        let is_taken = match request.method {
            Method::PATCH => status.is_success(),
            _ => [StatusCode::CREATED, StatusCode::NO_CONTENT, StatusCode::OK].contains(&status),
        };
        match is_taken {
            true => Ok((status, headers)),
            false => Err(fail(Kind::Protocol(format!(
                "an upload was answered {status}"
            )))),
        }
    }
}
