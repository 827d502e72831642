//! Manifests: checked, pulled and pushed verbatim.

use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use tokio::time::Instant;

use crate::{
    Error, ImagePermit, Kind, Operation, Registry,
    client::Request,
    found, header,
    oci::{ACCEPTED_MEDIA_TYPES, Digest, Manifest, Reference, Version},
    probe::quota,
};

const DIGEST_HEADER: &str = "docker-content-digest";

/// Maximum size of a manifest: registries refuse more.
const SIZE_LIMIT: usize = 4 << 20;

/// What a HEAD returns about a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// The digest that the reference has now.
    pub digest: Digest,
}

impl Registry {
    /// The digest that a reference has now; `None` if it does not exist. Costs no pull of a quota, unless
    /// the registry omits the digest from its response.
    pub async fn head_manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<ManifestHead>, Error> {
        let request = self.manifest_request(Operation::CheckManifest, reference, Method::HEAD);
        let answer = match found(self.client.send(&self.http, &request).await) {
            Err(error) if is_head_refused(&error) => None,
            Err(error) => return Err(error),
            Ok(None) => return Ok(None),
            Ok(Some(answer)) => Some(answer),
        };
        let announced = answer
            .as_ref()
            .and_then(|a| header(&a.headers, DIGEST_HEADER));
        match announced.and_then(|text| text.parse().ok()) {
            Some(digest) => Ok(Some(ManifestHead { digest })),
            // The header is optional: the body has the digest then.
            None => Ok(self
                .get_manifest(reference)
                .await?
                .map(|m| ManifestHead { digest: m.digest })),
        }
    }

    /// Waits until the pull quota covers one more image. If pulls are few, images that are awaited
    /// longest come first: `since` is in seconds since 1970.
    pub async fn admit_image(&self, image: &Digest, since: i64) -> Option<ImagePermit> {
        self.http.quota.admit_image(image, since).await
    }

    /// Pulls a manifest, verbatim; `None` if it does not exist. One that is asked for by digest is
    /// verified.
    pub async fn get_manifest(&self, reference: &Reference) -> Result<Option<Manifest>, Error> {
        let request = self.manifest_request(Operation::PullManifest, reference, Method::GET);
        let fail = |kind| {
            self.http
                .error(request.operation, request.subject.clone(), kind)
        };
        let pull = self.http.quota.pull().await.map_err(fail)?;
        let asked_at = Instant::now();
        let answer = found(self.client.send(&self.http, &request).await);
        if let Ok(Some(answer)) = &answer {
            let cause = self.http.counter.cause();
            self.http.observer.on_manifest_pull(&self.http.name, cause);
            if quota(&answer.headers).is_none() {
                self.http.quota.pull_granted(asked_at);
            }
        }
        drop(pull);
        let Some(answer) = answer? else {
            return Ok(None);
        };
        let content_type = header(&answer.headers, CONTENT_TYPE.as_str());
        let (size, body) = (answer.body.len(), answer.body);
        let read = || Manifest::new(body, content_type);
        let manifest = self.http.memory.parse(size, read).await;
        let mut manifest = manifest.map_err(|e| fail(Kind::from(e)))?;
        if let Version::Digest(expected) = &reference.version {
            if !expected.matches(&manifest.bytes) {
                let (expected, found) = (expected.clone(), manifest.digest);
                return Err(fail(Kind::Mismatch { expected, found }));
            }
            manifest.digest = expected.clone();
        }
        Ok(Some(manifest))
    }

    /// Pushes a manifest under a tag or its digest. Succeeds for an immutable tag that has this
    /// manifest already.
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let mut request = self.manifest_request(Operation::PushManifest, reference, Method::PUT);
        let fail = |kind| {
            self.http
                .error(Operation::PushManifest, reference.to_string(), kind)
        };
        let media_type = HeaderValue::from_str(&manifest.media_type)
            .map_err(|_| fail(Kind::Manifest("its media type is no legal header".into())))?;
        request.headers.insert(CONTENT_TYPE, media_type);
        request.body = manifest.bytes.clone();
        let answer = match self.client.send(&self.http, &request).await {
            // Some refuse to write a tag that is immutable even where nothing would change.
            Err(error) if error.is_blocked() => {
                let there = self.head_manifest(reference).await.ok().flatten();
                let is_settled = there.is_some_and(|head| head.digest == manifest.digest);
                return if is_settled { Ok(()) } else { Err(error) };
            }
            other => other?,
        };
        let announced =
            header(&answer.headers, DIGEST_HEADER).and_then(|t| t.parse::<Digest>().ok());
        let is_stored = match answer.status {
            StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => true,
            status => status == StatusCode::OK && announced.is_some(),
        };
        if !is_stored {
            let text = format!(
                "answered {}, which is no word of a manifest stored",
                answer.status
            );
            return Err(fail(Kind::Protocol(text)));
        }
        match announced {
            // It may be named in another algorithm than the one that was asked for.
            Some(found) if found != manifest.digest && !found.matches(&manifest.bytes) => {
                let text = format!("it was stored as {found} and not as {}", manifest.digest);
                Err(fail(Kind::Protocol(text)))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn manifest_request(
        &self,
        operation: Operation,
        reference: &Reference,
        method: Method,
    ) -> Request {
        let path = format!("manifests/{}", reference.version.as_str());
        let subject = reference.to_string();
        let mut request = self.request(operation, subject, method, &reference.repository, &path);
        request.max_bytes = SIZE_LIMIT;
        if let Ok(accept) = HeaderValue::from_str(&ACCEPTED_MEDIA_TYPES.join(", ")) {
            request.headers.insert(ACCEPT, accept);
        }
        request
    }
}

/// Whether a server does not implement HEAD.
pub(crate) fn is_head_refused(error: &Error) -> bool {
    matches!(
        &*error.kind,
        Kind::Rejected {
            status: 405 | 501,
            ..
        }
    )
}
