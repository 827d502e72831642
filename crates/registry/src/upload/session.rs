//! Upload sessions of a registry: begun, replaced by a mount, found again, cancelled.

use std::time::Duration;

use reqwest::{
    Method, StatusCode,
    header::{CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION, RANGE},
};
use url::Url;

use crate::{
    Error, Kind, Operation, Registry,
    client::{Request, keep_to_origin},
    header,
    oci::{Descriptor, Digest, Hasher, Repository},
    upload::capabilities::UploadAttempt,
};

/// How long the end of a session is waited for.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// An upload session of a registry.
#[derive(Clone, Debug)]
pub struct UploadSession {
    pub(crate) repository: Repository,
    pub(crate) location: Url,
    /// Has taken in all bytes that the registry acknowledged.
    pub(crate) acknowledged: Box<Hasher>,
    /// Bytes that it has beyond those: part of a request that broke.
    pub(crate) surplus: u64,
    /// The least bytes that it takes in one request.
    pub(crate) min_chunk: u64,
    /// Whether it names the byte that comes next where others name the last; nothing until an
    /// acknowledged part showed it.
    pub(crate) names_next_byte: Option<bool>,
    /// Whether something broke since it last told how far it is.
    pub(crate) is_offset_unknown: bool,
    /// Whether something ever broke in it: what it is refused for then may be due to that.
    pub(crate) has_broken: bool,
    /// Whether all bytes of the blob went out in one request that has failed since.
    pub(crate) is_all_sent: bool,
    /// How bytes were last sent.
    pub(crate) last_attempt: Option<UploadAttempt>,
}

/// What another process needs to go on with an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedUpload {
    /// Where it goes on.
    pub location: String,
    /// Bytes that the registry acknowledged.
    pub offset: u64,
    /// The state of the hash over those bytes.
    pub hash_state: Vec<u8>,
    /// Whether the registry names the byte that comes next, where that is known.
    pub names_next_byte: Option<bool>,
}

impl UploadSession {
    fn new(repository: &Repository, digest: &Digest, location: Url) -> Self {
        Self {
            repository: repository.clone(),
            location,
            acknowledged: Box::new(digest.hasher()),
            surplus: 0,
            min_chunk: 0,
            names_next_byte: None,
            is_offset_unknown: false,
            has_broken: false,
            is_all_sent: false,
            last_attempt: None,
        }
    }

    /// Has taken in all bytes that the registry acknowledged: what is sent next begins there.
    pub fn acknowledged(&self) -> &Hasher {
        &self.acknowledged
    }

    /// Whether all bytes of the blob went out in one request, of which the answer may be lost.
    pub fn is_all_sent(&self) -> bool {
        self.is_all_sent
    }

    /// Whether [`Registry::resume`] has to ask how far it is.
    pub fn is_offset_unknown(&self) -> bool {
        self.is_offset_unknown
    }

    /// What is needed to go on after this process.
    pub fn save(&self) -> SavedUpload {
        SavedUpload {
            location: self.location.to_string(),
            offset: self.acknowledged.length(),
            hash_state: self.acknowledged.save(),
            names_next_byte: self.names_next_byte,
        }
    }

    /// How a registry counts, from what it names when it is asked how far a session is in which
    /// nothing broke. ECR names the same byte again and again: that shows nothing.
    fn counts(&self, named: u64) -> Option<bool> {
        let next = self.acknowledged.length();
        match named {
            _ if named == next => Some(true),
            _ if named.checked_add(1) == Some(next) => Some(false),
            _ => None,
        }
    }

    /// Takes note of the byte that the registry names when it is asked how far it is. Nothing where
    /// that is less than it acknowledged or more than there is, or where nobody knows how it counts:
    /// one byte too many or too few would be a wrong blob.
    fn apply_offset(&mut self, named: u64, size: u64) -> Option<()> {
        let known = self.acknowledged.length();
        let held = match self.names_next_byte {
            Some(true) => named,
            Some(false) => named.checked_add(1)?,
            // Nothing is lost by beginning anew, or only what a registry that names nothing holds.
            None => return None,
        };
        self.surplus = held.checked_sub(known).filter(|_| held <= size)?;
        self.is_offset_unknown = false;
        Some(())
    }
}

/// What became of the wish to mount a blob, or to begin its upload.
#[derive(Debug)]
pub enum UploadStart {
    /// The registry had the blob in the other repository, and now has it here too.
    Mounted,
    /// The bytes have to be sent.
    Session(UploadSession),
}

impl Registry {
    /// Begins an upload into a repository. Where another repository of the registry holds the
    /// blob, `mount_from` names it, and the registry may need no upload.
    pub async fn start_upload(
        &self,
        repository: &Repository,
        digest: &Digest,
        mount_from: Option<&Repository>,
    ) -> Result<UploadStart, Error> {
        let subject = format!("{digest} to {repository}");
        let mut request = self.request(
            Operation::StartUpload,
            subject,
            Method::POST,
            repository,
            "blobs/uploads/",
        );
        // Without it, Go's servers answer 411 to a POST that has no body.
        request
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let plain = request.clone();
        if let Some(from) = mount_from {
            request.operation = Operation::MountBlob;
            request.scope.from = Some(from.path().into());
            request
                .url
                .query_pairs_mut()
                .append_pair("mount", digest.as_str())
                .append_pair("from", from.path());
        }
        let answer = match self.client.send(&self.http, &request).await {
            // Harbor answers 401 to a mount from a project it does not know, Docker Hub 400: the
            // mount was a shortcut, and the plain way is left.
            Err(error) if mount_from.is_some() && !error.is_transient() => {
                tracing::debug!(%error, "no mount; uploading");
                self.client.send(&self.http, &plain).await?
            }
            other => other?,
        };
        if mount_from.is_some() && answer.status == StatusCode::CREATED {
            return Ok(UploadStart::Mounted);
        }
        if answer.status != StatusCode::ACCEPTED && answer.status != StatusCode::CREATED {
            let text = format!("the start of an upload was answered {}", answer.status);
            return Err(self
                .http
                .error(request.operation, request.subject, Kind::Protocol(text)));
        }
        let location = self.location(&request, &answer.headers, answer.status)?;
        let min_chunk = header(&answer.headers, "oci-chunk-min-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or_default();
        Ok(UploadStart::Session(UploadSession {
            min_chunk,
            ..UploadSession::new(repository, digest, location)
        }))
    }

    /// Finds out how far a session is that something broke in, or that another process began.
    /// False when the registry no longer has it, or has less of it than it said.
    pub async fn resume(
        &self,
        upload: &mut UploadSession,
        blob: &Descriptor,
    ) -> Result<bool, Error> {
        upload.has_broken = true;
        let Some(headers) = self.session_state(upload, blob).await? else {
            return Ok(false);
        };
        let named = last_byte(&headers);
        Ok(named.is_some_and(|named| upload.apply_offset(named, blob.size).is_some()))
    }

    /// Finds out how the registry counts, in a session in which nothing broke: what it names after
    /// a part is counted in another way by Quay than what it names when it is asked.
    pub(crate) async fn learn_counting(&self, upload: &mut UploadSession, blob: &Descriptor) {
        let upload_capabilities = &self.client.upload_capabilities;
        upload.names_next_byte = match upload_capabilities.counting() {
            Some(known) => known,
            None => match self.session_state(upload, blob).await {
                Ok(headers) => {
                    let named = headers.and_then(|headers| last_byte(&headers));
                    upload_capabilities.counts(named.and_then(|named| upload.counts(named)))
                }
                Err(error) => {
                    tracing::debug!(%error, "how it counts is asked at the next part");
                    None
                }
            },
        };
    }

    /// What a registry tells of a session; nothing where it is lost.
    async fn session_state(
        &self,
        upload: &mut UploadSession,
        blob: &Descriptor,
    ) -> Result<Option<HeaderMap>, Error> {
        let subject = format!("{} to {}", blob.digest, upload.repository);
        let mut request = self.request(
            Operation::ResumeUpload,
            subject,
            Method::GET,
            &upload.repository,
            "blobs/uploads/",
        );
        request.scope.writes = true;
        request.url = upload.location.clone();
        let answer = match self.client.send(&self.http, &request).await {
            Ok(answer) => answer,
            Err(error) if matches!(*error.kind, Kind::NotFound(_) | Kind::Rejected { .. }) => {
                tracing::debug!(%error, "the upload session is lost");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if answer.headers.contains_key(LOCATION) {
            upload.location = self.location(&request, &answer.headers, answer.status)?;
        }
        Ok(Some(answer.headers))
    }

    /// A session that another process began, as it was saved.
    pub fn restore(
        &self,
        repository: &Repository,
        digest: &Digest,
        saved: &SavedUpload,
    ) -> Option<UploadSession> {
        let mut location = Url::parse(&saved.location).ok()?;
        let acknowledged = digest.hasher_at(saved.offset, &saved.hash_state)?;
        keep_to_origin(&self.http.base, &mut location).then(|| UploadSession {
            acknowledged: Box::new(acknowledged),
            names_next_byte: saved.names_next_byte,
            is_offset_unknown: true,
            ..UploadSession::new(repository, digest, location)
        })
    }

    /// Tells the registry that a session will not be finished. It is a courtesy: registries drop
    /// old sessions by themselves, so that failure means nothing.
    pub async fn cancel(&self, upload: &UploadSession) {
        let subject = upload.repository.to_string();
        let mut request = self.request(
            Operation::CancelUpload,
            subject,
            Method::DELETE,
            &upload.repository,
            "blobs/uploads/",
        );
        request.url = upload.location.clone();
        // A token of its own: a refusal does not cost the uploads theirs.
        request.scope.deletes = true;
        let body = || Some(bytes::Bytes::new().into());
        let work = self.client.execute(&self.http, &request, None, body);
        if !matches!(tokio::time::timeout(CANCEL_TIMEOUT, work).await, Ok(Ok(_))) {
            tracing::debug!(url = %request.url.path(), "the upload session is left behind");
        }
    }

    /// Where an upload goes on. Requests there carry the registry's authorization, so that it has
    /// to be the registry's host.
    pub(crate) fn location(
        &self,
        request: &Request,
        headers: &HeaderMap,
        status: StatusCode,
    ) -> Result<Url, Error> {
        let fail = |text: String| {
            self.http.error(
                request.operation,
                request.subject.clone(),
                Kind::Protocol(text),
            )
        };
        let text = header(headers, LOCATION.as_str())
            .ok_or_else(|| fail(format!("answered {status} without a Location")))?;
        let mut location = request
            .url
            .join(text)
            .map_err(|e| fail(format!("its Location `{text}` is no URL: {e}")))?;
        if !keep_to_origin(&self.http.base, &mut location) {
            // The rest of it may let whoever has it go on with the upload.
            let host = location.host_str().unwrap_or(location.scheme());
            return Err(fail(format!(
                "it wants the upload at another host, `{host}`"
            )));
        }
        Ok(location)
    }
}

/// The last byte of an upload that a registry says it has: `Range: 0-1023`, some with `bytes=`.
pub(crate) fn last_byte(headers: &HeaderMap) -> Option<u64> {
    let range = header(headers, RANGE.as_str())?.trim();
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    range.split_once('-')?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests;
