//! Answers requests for blobs.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderValue, Response, StatusCode,
        header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION},
    },
};

use crate::{
    gateway::{
        Gateway, Pull,
        answer::{DIGEST, PullError, PullOutcome},
        blob::body::BlobBody,
        manifest::BlobLink,
        request::{limits::ClientPermit, range::ByteRange},
        resolution::is_outage,
    },
    oci::{Descriptor, Digest, Repository},
    registry::{BlobStream, Error, Registry},
};

/// How long a target may take to begin a blob.
const TARGET: Duration = Duration::from_secs(5);
/// How long the first byte of a download may take: clients still have time to go elsewhere then.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// How long a client waits for the copy that a run is sending, and how large that may be: what is larger
/// would not come in time, and clients still have time to go elsewhere then.
const RUN: Duration = Duration::from_secs(5);
const RUN_BYTES: u64 = 64 << 20;

type Answered = Result<(Response<Body>, PullOutcome), PullError>;

impl Gateway {
    /// A blob, or a part of it.
    pub(crate) async fn serve_blob(
        self: Arc<Self>,
        pull: Pull,
        digest: Digest,
        permit: ClientPermit,
    ) -> Answered {
        let link = self.linked(&pull, &digest).await;
        let name = (pull.repository.clone(), digest.clone());
        let ended = self.downloads.ended();
        let in_flight = link.as_ref().and_then(|_| self.downloads.find(&name));
        if in_flight.is_none()
            && let Some(answer) = self.blob_at_target(&pull, &digest, link.as_ref()).await
        {
            return Ok((answer.into_response(&self, pull, permit), PullOutcome::Hit));
        }
        let Some(link) = link else {
            let text = format!(
                "no manifest of {} that was served leads to {digest}",
                pull.repository
            );
            return Err(PullError::not_found("BLOB_UNKNOWN", text));
        };
        let range = ByteRange::parse(pull.range.as_deref(), link.blob.size);
        if range == ByteRange::Unsatisfiable {
            return Ok((unsatisfiable(link.blob.size), PullOutcome::Hit));
        }
        if pull.is_head || link.blob.size == 0 {
            return Ok((head(&link.blob, range), PullOutcome::Hit));
        }
        // Another client's download may have begun meanwhile, which is followed, or have ended.
        if self.downloads.find(&name).is_none()
            && (self.is_sent_by_run(&link).await || self.downloads.ended() != ended)
            && let Some(answer) = self.blob_at_target(&pull, &digest, Some(&link)).await
        {
            let response = answer.into_response(&self, pull, permit);
            return Ok((response, PullOutcome::Coalesced));
        }
        let (window, is_new) = self.download(&pull, &link).await?;
        let (first, length) = part(range, link.blob.size);
        let follower = window.follow(first);
        let began = tokio::time::timeout(FIRST_BYTE, window.began()).await;
        let text = || format!("{digest}: the upstream sent nothing in time");
        began
            .map_err(|_| PullError::unavailable(text()))?
            .map_err(|error| PullError::of_upstream(&error, "BLOB_UNKNOWN"))?;
        let head = head(&link.blob, range);
        let body = BlobBody::of_window(&self, pull, link, follower, (length, permit));
        let response = head.map(|_| Body::from_stream(body.into_stream()));
        let outcome = match is_new {
            true => PullOutcome::Miss,
            false => PullOutcome::Coalesced,
        };
        Ok((response, outcome))
    }

    /// Whether a run was sending a blob to the target, and is done with it.
    async fn is_sent_by_run(&self, link: &BlobLink) -> bool {
        let Some(to) = link.to.as_ref().filter(|_| link.blob.size <= RUN_BYTES) else {
            return false;
        };
        let digest = &link.blob.digest;
        let Some(upload) = self.context.sync.upload_of(to.registry(), digest) else {
            return false;
        };
        tracing::info!("a pull waits for the copy of {digest} that a run is sending");
        tokio::time::timeout(RUN, upload).await.is_ok()
    }

    /// A blob that the target has; `None` where it does not, or fails.
    async fn blob_at_target(
        &self,
        pull: &Pull,
        digest: &Digest,
        link: Option<&BlobLink>,
    ) -> Option<TargetAnswer> {
        let copy = pull.copy.as_ref().map(|copy| &copy.repository);
        let to = link.and_then(|link| link.to.as_ref()).or(copy);
        let (registry, to) = self.target(to)?;
        let opened = open(pull, &registry, &to, digest, link);
        // A wait for other clients is no wait for the target.
        let _turn = self.opens.acquire().await;
        match tokio::time::timeout(TARGET, opened).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                if is_outage(&error) {
                    self.pause_target(registry.name(), &error);
                }
                None
            }
            Err(_) => {
                self.pause_target(registry.name(), &"it does not answer in time");
                None
            }
        }
    }
}

/// What the target has of what is asked for.
enum TargetAnswer {
    /// The head is all of the answer.
    Head(Response<Body>),
    /// Bytes follow.
    Bytes {
        head: Response<Body>,
        link: BlobLink,
        bytes: BlobStream,
        length: u64,
    },
}

impl TargetAnswer {
    fn into_response(
        self,
        gateway: &Arc<Gateway>,
        pull: Pull,
        permit: ClientPermit,
    ) -> Response<Body> {
        match self {
            Self::Head(response) => response,
            Self::Bytes {
                head,
                link,
                bytes,
                length,
            } => {
                let body = BlobBody::of_stream(gateway, pull, link, bytes, (length, permit));
                head.map(|_| Body::from_stream(body.into_stream()))
            }
        }
    }
}

/// Opens a blob at the target. A whole one is verified on its way; a part cannot be.
async fn open(
    pull: &Pull,
    registry: &Registry,
    to: &Repository,
    digest: &Digest,
    link: Option<&BlobLink>,
) -> Result<Option<TargetAnswer>, Error> {
    let is_asked_first = link.is_none() || pull.is_head || pull.redirects();
    let told = match is_asked_first {
        true => match registry.head_blob(to, digest).await? {
            Some(size) => size,
            None => return Ok(None),
        },
        false => None,
    };
    let Some(size) = link.map(|link| link.blob.size).or(told) else {
        return Ok(None);
    };
    let blob = Descriptor {
        media_type: String::new(),
        digest: digest.clone(),
        size,
        platform: None,
        artifact_type: None,
    };
    let range = ByteRange::parse(pull.range.as_deref(), size);
    if range == ByteRange::Unsatisfiable {
        return Ok(Some(TargetAnswer::Head(unsatisfiable(size))));
    }
    if pull.is_head {
        return Ok(Some(TargetAnswer::Head(head(&blob, range))));
    }
    if pull.redirects() {
        return Ok(Some(TargetAnswer::Head(redirect(pull, to, digest))));
    }
    let (first, length) = part(range, size);
    let opened = match first {
        0 => registry.pull_blob(to, &blob, digest.hasher()).await,
        first => registry.pull_blob_from(to, &blob, first).await,
    };
    let bytes = match opened {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let link = BlobLink {
        blob: blob.clone(),
        to: Some(to.clone()),
    };
    let head = head(&blob, range);
    Ok(Some(TargetAnswer::Bytes {
        head,
        link,
        bytes,
        length,
    }))
}

/// The first byte of a range, and how many there are.
fn part(range: ByteRange, size: u64) -> (u64, u64) {
    match range {
        ByteRange::Part { first, last } => (first, last - first + 1),
        ByteRange::Whole | ByteRange::Unsatisfiable => (0, size),
    }
}

/// The head of a blob's answer.
fn head(blob: &Descriptor, range: ByteRange) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let (first, length) = part(range, blob.size);
    if let ByteRange::Part { last, .. } = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {first}-{last}/{}", blob.size);
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(CONTENT_RANGE, value);
        }
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if let Ok(digest) = HeaderValue::from_str(blob.digest.as_str()) {
        headers.insert(DIGEST, digest);
    }
    response
}

fn unsatisfiable(size: u64) -> Response<Body> {
    let text = "the blob has no such bytes";
    let error = PullError::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "BLOB_UNKNOWN",
        text,
        PullOutcome::Refused,
    );
    let mut response = error.response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}

/// Where a client finds the blob at the target itself.
fn redirect(pull: &Pull, to: &Repository, digest: &Digest) -> Response<Body> {
    let settings = pull.config.registry(to.registry());
    let base = match &settings.endpoint {
        Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
        None if settings.plain_http => format!("http://{}", to.registry()),
        None => format!("https://{}", to.registry()),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let location = format!("{base}/v2/{}/blobs/{digest}", to.path());
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
