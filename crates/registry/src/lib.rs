//! A client library for container registries, for programs that move many images.
//!
//! [`Registries`] opens each [`Registry`] once and shares its connections, tokens, quotas and limits.
//! A [`Registry`] lists, checks, pulls, pushes and deletes. Names, digests and manifests are in
//! [`oci`], what an application configures is in [`settings`].
//!
//! # Guarantees
//!
//! - **Content is verified.** A [`BlobStream`] withholds its last frame until size and digest are
//!   known to be right, so that a wrong blob is never completed at a target. A manifest that is asked
//!   for by digest is compared with it. Manifests are kept verbatim.
//! - **Transfers resume.** A download that breaks continues at its last byte. An [`UploadSession`]
//!   continues after the last acknowledged chunk. [`UploadSession::save`] and [`Registry::restore`]
//!   carry it into another process.
//! - **Retries are bounded.** Transient failures are retried by one [`RetryPolicy`]. `Retry-After` is
//!   waited for up to two minutes. Longer pauses fail with [`ErrorClass::Throttled`].
//! - **Limits are kept.** Permits bound concurrent transfers, and their number adapts to what the
//!   registry takes. Rates, bandwidths and pull quotas hold for all handles of a registry.
//! - **Registries are not trusted.** Redirects and token servers are checked, no credential goes to
//!   another host, and every response is bounded in size and time.
//!
//! An [`Error`] names operation, subject and cause, and often a remedy. [`Error::class`] is a closed
//! set for metrics and decisions.
//!
//! # Example
//!
//! Resolves a tag to its digest:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use transship_registry::{
//!     Registries, RequestCounter, RetryPolicy, oci::Repository, settings::Settings,
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings::default();
//! let registries = Registries::new(settings, Arc::new(()), RetryPolicy::default(), Vec::new());
//! let repository: Repository = "quay.io/prometheus/node-exporter".parse()?;
//! let counter = Arc::new(RequestCounter::default());
//! let registry = registries.open(repository.registry(), counter)?;
//!
//! let reference = repository.tag(&"v1.9.1".parse()?);
//! match registry.head_manifest(&reference).await? {
//!     Some(manifest) => println!("{reference} is {}", manifest.digest),
//!     None => println!("{reference} does not exist"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/copy_image.rs` copies an image between two registries. The README shows how to run it.
//!
//! # Runtime
//!
//! Every async function needs tokio with timers and I/O enabled. Dropping a future cancels its work:
//! permits are given back, and an upload session can be continued with [`Registry::resume`].

pub mod oci;
pub mod settings;

pub(crate) mod auth;
pub(crate) mod client;
pub(crate) mod concurrency;
pub(crate) mod content;
pub(crate) mod error;
pub(crate) mod health;
pub(crate) mod hedge;
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

pub use crate::concurrency::memory_budget::{ListMemory, Reservation};
pub use crate::concurrency::once_map::OnceMap;
pub use crate::concurrency::priority_semaphore::WaiterCount;
pub use crate::concurrency::rate_limit::{Direction, Traffic};
pub use crate::concurrency::request_limits::TransferPermit;
pub use crate::content::blob_pull::{BlobSize, BlobStream};
pub use crate::content::deletions::TagDeletion;
pub use crate::content::manifests::ManifestHead;
pub use crate::content::referrers::{Referrer, ReferrerList};
pub use crate::error::{Error, ErrorClass, Kind, Operation, UnknownClass};
pub use crate::health::RegistryHealth;
pub use crate::hedge::race::HedgeOutcome;
pub use crate::http::request_counter::{PullCause, RequestCounter};
pub use crate::listing::tags::TagListing;
pub use crate::observer::Observer;
pub use crate::probe::{Identity, ManifestProbe, Quota, Reachability};
pub use crate::quota::ImagePermit;
pub use crate::quota::retry_after::retry_after;
pub use crate::quota::shared::{PullDraw, PullGrant, SharedAccounts};
pub use crate::registries::Registries;
pub use crate::registry::Registry;
pub use crate::retry::{Retries, RetryPolicy};
pub use crate::upload::body::UploadBody;
pub use crate::upload::capabilities::LearnedCapabilities;
pub use crate::upload::chunks::{SessionRetry, UploadProgress};
pub use crate::upload::session::{SavedUpload, UploadSession, UploadStart};

/// Turns a "not found" into `None`.
fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text of a header. `None` if it is missing or not ASCII.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod fuzz;
