//! Upload sessions: started, replaced by a mount, resumed, cancelled.

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
    http::HeadWait,
    oci::{Descriptor, Digest, Hasher, Repository},
    upload::capabilities::UploadAttempt,
};

/// Timeout of a cancellation.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// An upload session of a registry.
#[derive(Clone, Debug)]
pub struct UploadSession {
    pub(crate) repository: Repository,
    pub(crate) location: Url,
    /// The hash of all acknowledged bytes.
    pub(crate) acknowledged: Box<Hasher>,
    /// Bytes that the registry has beyond those: the part of a broken request that arrived.
    pub(crate) surplus: u64,
    /// Minimum bytes per request.
    pub(crate) min_chunk: u64,
    /// Whether the registry reports the next byte instead of the last one; `None` until an
    /// acknowledged chunk showed it.
    pub(crate) names_next_byte: Option<bool>,
    /// Whether a request broke since the registry last reported the offset.
    pub(crate) is_offset_unknown: bool,
    /// Whether any request of it ever broke: a refusal may be due to that.
    pub(crate) has_broken: bool,
    /// Whether all bytes of the blob were sent in one request, which failed.
    pub(crate) is_all_sent: bool,
    /// The last attempt to send bytes.
    pub(crate) last_attempt: Option<UploadAttempt>,
    /// By what factor limits of silence are longer; `None` if only `stall` ends a silence.
    pub(crate) patience: Option<u32>,
}

/// What another process needs to resume an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedUpload {
    /// The URL of the session.
    pub location: String,
    /// Bytes that the registry acknowledged.
    pub offset: u64,
    /// The state of the hash over those bytes.
    pub hash_state: Vec<u8>,
    /// Whether the registry reports the next byte, if that is known.
    pub names_next_byte: Option<bool>,
}

impl SavedUpload {
    /// Whether another is of the same session, and further.
    pub fn is_behind(&self, other: &Self) -> bool {
        // What follows the path is a state that changes with each chunk.
        let session = |saved: &Self| saved.location.split('?').next().map(str::to_owned);
        session(self) == session(other) && self.offset < other.offset
    }
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
            patience: None,
        }
    }

    /// The hash of all acknowledged bytes. The next byte to send is at its length.
    pub fn acknowledged(&self) -> &Hasher {
        &self.acknowledged
    }

    /// Whether all bytes of the blob were sent in one request, whose response may be lost.
    pub fn is_all_sent(&self) -> bool {
        self.is_all_sent
    }

    /// Lets requests fail before `stall` if their connection is dead while others move. `earlier` is
    /// how often that happened to this blob: each time, it takes twice as long.
    pub fn fail_early(&mut self, earlier: u32) {
        self.patience = Some(2_u32.saturating_pow(earlier));
    }

    /// Whether [`Registry::resume`] has to ask for the offset.
    pub fn is_offset_unknown(&self) -> bool {
        self.is_offset_unknown
    }

    /// The state for [`Registry::restore`] in another process.
    pub fn save(&self) -> SavedUpload {
        SavedUpload {
            location: self.location.to_string(),
            offset: self.acknowledged.length(),
            hash_state: self.acknowledged.save(),
            names_next_byte: self.names_next_byte,
        }
    }

    /// Whether the registry reports the next byte or the last one, from its report of a session without
    /// breaks. ECR always reports the same byte, which shows nothing.
    fn counts(&self, named: u64) -> Option<bool> {
        let next = self.acknowledged.length();
        match named {
            _ if named == next => Some(true),
            _ if named.checked_add(1) == Some(next) => Some(false),
            _ => None,
        }
    }

    /// Applies the byte that the registry reports as its offset. `None` if it is less than it
    /// acknowledged, or more than the blob has, or if it is unknown how the registry counts: an offset
    /// that is wrong by one byte would corrupt the blob.
    fn apply_offset(&mut self, named: u64, size: u64) -> Option<()> {
        let known = self.acknowledged.length();
        let held = match self.names_next_byte {
            Some(true) => named,
            Some(false) => named.checked_add(1)?,
            // A new session costs only what a registry without a usable report holds.
            None => return None,
        };
        self.surplus = held.checked_sub(known).filter(|_| held <= size)?;
        self.is_offset_unknown = false;
        Some(())
    }
}

/// The outcome of starting an upload.
#[derive(Debug)]
pub enum UploadStart {
    /// The blob was mounted from another repository. Nothing has to be sent.
    Mounted,
    /// The bytes have to be sent.
    Session(UploadSession),
}

impl Registry {
    /// Starts an upload into a repository. `mount_from` is another repository of the registry that
    /// holds the blob: the registry may then mount it instead.
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
        // Without it, Go's servers answer 411 to a POST without a body.
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
            // Harbor answers 401 to a mount from an unknown project, Docker Hub 400. A plain upload
            // still works.
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

    /// Asks for the offset of a session in which a request broke, or that another process started.
    /// False if the registry lost the session, or acknowledged bytes of it: start a new one then.
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

    /// Learns how the registry reports offsets, in a session without breaks. The range in the response
    /// to a chunk does not show it: Quay counts differently there.
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

    /// The status of a session; `None` if it is lost.
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

    /// Restores a session that another process saved. `None` if it is not of this registry.
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

    /// Cancels a session. Failures are ignored: registries expire old sessions themselves.
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
        // A token of its own, so that a refusal does not invalidate the token of uploads.
        request.scope.deletes = true;
        let body = || Some(bytes::Bytes::new().into());
        let work = self
            .client
            .execute(&self.http, &request, HeadWait::ByCaller, body);
        if !matches!(tokio::time::timeout(CANCEL_TIMEOUT, work).await, Ok(Ok(_))) {
            tracing::debug!(url = %request.url.path(), "the upload session is left behind");
        }
    }

    /// The next URL of a session. Requests there carry the registry's authorization, so that it must be
    /// on the registry's host.
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
            // The rest of the URL may grant access to the upload.
            let host = location.host_str().unwrap_or(location.scheme());
            return Err(fail(format!(
                "it wants the upload at another host, `{host}`"
            )));
        }
        Ok(location)
    }
}

/// The byte that a registry reports as its offset: `Range: 0-1023`, some with `bytes=`.
pub(crate) fn last_byte(headers: &HeaderMap) -> Option<u64> {
    let range = header(headers, RANGE.as_str())?.trim();
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    range.split_once('-')?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests;
