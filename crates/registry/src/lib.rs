//! A client for container registries.

pub mod oci;
pub mod settings;

pub(crate) mod auth;
pub(crate) mod client;
pub(crate) mod concurrency;
pub(crate) mod content;
pub(crate) mod error;
pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod listing;
pub(crate) mod observer;
mod probe;
pub(crate) mod quota;
pub(crate) mod redirect_policy;
mod registries;
mod registry;
pub(crate) mod retry;
mod tls;
pub(crate) mod upload;
pub(crate) mod vendor;

use reqwest::header::HeaderMap;

pub use crate::concurrency::once_map::OnceMap;
pub use crate::concurrency::priority_semaphore::WaiterCount;
pub use crate::concurrency::rate_limit::{Direction, Traffic};
pub use crate::concurrency::request_limits::TransferPermit;
pub use crate::content::blob_pull::{BlobSize, BlobStream};
pub use crate::content::deletions::TagDeletion;
pub use crate::content::manifests::ManifestHead;
pub use crate::content::referrers::Referrer;
pub use crate::error::{Error, ErrorClass, Kind, Operation, UnknownClass};
pub use crate::health::RegistryHealth;
pub use crate::http::RequestCounter;
pub use crate::listing::tags::TagListing;
pub use crate::observer::Observer;
pub use crate::probe::{Identity, ManifestProbe, Quota, Reachability};
pub use crate::quota::ImagePermit;
pub use crate::quota::retry_after::retry_after;
pub use crate::registries::Registries;
pub use crate::registry::Registry;
pub use crate::retry::{Retries, RetryPolicy};
pub use crate::upload::body::UploadBody;
pub use crate::upload::capabilities::LearnedCapabilities;
pub use crate::upload::chunks::{SessionRetry, UploadProgress};
pub use crate::upload::session::{SavedUpload, UploadSession, UploadStart};

/// Turns "not there" into `None`.
fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A header's text.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod fuzz;
