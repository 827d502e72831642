//! One registry, as callers hold it.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Method, header::HeaderMap};
use url::Url;

use crate::{
    Kind, Operation, RequestCounter, Reservation, RetryPolicy, TransferPermit, WaiterCount,
    auth::Scope,
    client::{RegistryClient, Request},
    http::HttpClient,
    listing::pagination::PAGE_BYTES,
    oci::{RegistryName, Repository},
};

/// One registry, and the counter of the requests that are made through this handle. Cheap to clone.
/// Get one from [`Registries::open`](crate::Registries::open).
///
/// Every method retries transient failures by the [`RetryPolicy`], honours `Retry-After`, and keeps
/// to the registry's limits. Each returns an [`Error`](crate::Error) with the operation and its
/// subject.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) client: Arc<RegistryClient>,
    pub(crate) http: HttpClient,
}

impl Registry {
    pub(crate) fn new(client: Arc<RegistryClient>, counter: Arc<RequestCounter>) -> Self {
        let http = client.http.clone().counted_by(counter);
        Self { client, http }
    }

    /// Memory for what is held of an image while it is copied.
    pub fn image_memory(&self) -> Reservation {
        self.http.memory.answers.reserve()
    }

    /// Draws memory for so many bytes of an image in all, or fails if there is none in time.
    pub async fn draw(&self, memory: &Reservation, bytes: u64) -> Result<(), Kind> {
        memory
            .cover(usize::try_from(bytes).unwrap_or(usize::MAX))
            .await
    }

    /// The registry's name.
    pub fn name(&self) -> &RegistryName {
        &self.http.name
    }

    /// How transient failures are retried.
    pub fn retry(&self) -> RetryPolicy {
        self.client.retry
    }

    /// Waits for a permit to fetch a blob of this size, in bytes. Hold it while
    /// [`Self::pull_blob`]'s stream is read.
    pub async fn pull_permit(&self, size: u64) -> TransferPermit {
        self.client.limits.pull(size).await
    }

    /// Waits for a permit to send a blob of this size, in bytes. Hold it during [`Self::send`].
    pub async fn push_permit(&self, size: u64) -> TransferPermit {
        self.client.limits.push(size).await
    }

    /// Waits for a permit to start the upload of a blob of this size, in bytes. Get it before
    /// [`Self::start_upload`]. Blobs with more waiters come first, then larger ones.
    pub async fn session_permit(&self, size: u64, waiters: WaiterCount) -> TransferPermit {
        self.client.limits.session(size, waiters).await
    }

    /// A request for a path under `/v2/REPOSITORY/`.
    pub(crate) fn request(
        &self,
        operation: Operation,
        subject: String,
        method: Method,
        repository: &Repository,
        path: &str,
    ) -> Request {
        let mut url = Url::clone(&self.http.base);
        url.set_path(&format!("/v2/{}/{path}", repository.path()));
        Request {
            operation,
            subject,
            url,
            scope: Scope {
                repository: repository.path().into(),
                writes: method != Method::GET && method != Method::HEAD,
                deletes: false,
                from: None,
            },
            method,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_bytes: PAGE_BYTES,
        }
    }
}
