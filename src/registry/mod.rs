//! The only code that talks to registries.

pub(crate) mod auth;
pub(crate) mod client;
pub(crate) mod concurrency;
pub(crate) mod content;
pub(crate) mod error;
pub(crate) mod http;
pub(crate) mod listing;
pub(crate) mod pagination;
mod probe;
pub(crate) mod quota;
pub(crate) mod rate_limit;
pub(crate) mod redirect_policy;
pub(crate) mod retry;
pub(crate) mod upload;
pub(crate) mod vendor;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use reqwest::{Method, header::HeaderMap};
use url::Url;

pub use crate::registry::concurrency::priority_semaphore::WaiterCount;
pub use crate::registry::content::blob_pull::{BlobSize, BlobStream};
pub use crate::registry::content::deletions::Deleted;
pub use crate::registry::content::manifests::Head;
pub use crate::registry::content::referrers::Referrer;
pub use crate::registry::error::{Error, Kind};
pub use crate::registry::http::RequestCounter;
pub use crate::registry::listing::tags::{Listing, Tags};
pub use crate::registry::quota::ImagePermit;
pub(crate) use crate::registry::quota::retry_after::{go_seconds, retry_after};
pub use crate::registry::rate_limit::Traffic;
pub use crate::registry::retry::{RetryPolicy, TransferPermit};
pub use crate::registry::upload::body::Outgoing;
pub use crate::registry::upload::capabilities::LearnedCapabilities;
pub use crate::registry::upload::chunks::{Sent, SessionRetry};
pub use crate::registry::upload::session::{SavedUpload, UploadSession, UploadStart};
pub use probe::{Identity, Quota, Reach, Seen};

use crate::{
    config::{Config, RegistryConfig},
    metrics::Metrics,
    oci::{RegistryName, Repository},
    registry::{
        auth::{Auth, Scope},
        client::{RegistryClient, Request},
        content::referrers::ReferrersApi,
        http::HttpClient,
        rate_limit::{ProcessLimits, RateLimiter},
        retry::Limits,
        upload::capabilities::UploadCapabilities,
        vendor::BulkApi,
    },
};

/// Most bytes of a page of a listing: Artifact Registry's alone comes near, which tells of every
/// manifest at once.
const PAGE_BYTES: usize = 32 << 20;

/// Every registry that was spoken to, each opened once: connections, tokens and limits are shared
/// by all runs of the process.
#[derive(Debug)]
pub struct Registries {
    configs: Mutex<HashMap<RegistryName, RegistryConfig>>,
    metrics: Arc<Metrics>,
    retry: RetryPolicy,
    whole: Arc<ProcessLimits>,
    open: Mutex<HashMap<RegistryName, Arc<RegistryClient>>>,
    dialects: Mutex<HashMap<RegistryName, Arc<UploadCapabilities>>>,
}

/// One registry, and the meter that counts what is asked of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    transport: Arc<RegistryClient>,
    wire: HttpClient,
}

impl Registries {
    /// Registries as the config describes them, and as they taught earlier processes; none is
    /// contacted yet.
    pub fn new(
        config: &Config,
        metrics: Arc<Metrics>,
        retry: RetryPolicy,
        learned: Vec<(RegistryName, LearnedCapabilities)>,
    ) -> Self {
        // A second call finds the provider installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dialects = learned.into_iter().map(|(name, dialect)| {
            let dialects = Arc::new(UploadCapabilities::new(&name, dialect));
            (name, dialects)
        });
        let whole = ProcessLimits::default();
        whole.lane.set(config.limits.bandwidth.clone());
        Self {
            dialects: Mutex::new(dialects.collect()),
            configs: Mutex::new(config.registries.clone()),
            metrics,
            retry,
            whole: Arc::new(whole),
            open: Mutex::default(),
        }
    }

    /// One registry; what is asked of it is counted by `meter`.
    pub fn open(&self, name: &RegistryName, meter: Arc<RequestCounter>) -> Result<Registry, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let transport = match open.get(name) {
            Some(transport) => transport.clone(),
            None => {
                let configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
                let config = configs.get(name).cloned().unwrap_or_default();
                drop(configs);
                let pace = Arc::new(RateLimiter::new(
                    config.requests_per_second_of(name),
                    config.bandwidth.clone(),
                    self.whole.clone(),
                ));
                let transport = Arc::new(RegistryClient {
                    wire: HttpClient::new(name, &config, pace, self.metrics.clone())?,
                    auth: Auth::new(config.login),
                    limits: Limits::new(config.connections),
                    referrers_api: ReferrersApi::default(),
                    bulk_api: BulkApi::default(),
                    retry: self.retry,
                    dialect: self.dialect(name),
                    part_size: config.chunk,
                });
                open.insert(name.clone(), transport.clone());
                transport
            }
        };
        let wire = HttpClient {
            meter,
            ..transport.wire.clone()
        };
        Ok(Registry { transport, wire })
    }
}

impl Registries {
    fn dialect(&self, name: &RegistryName) -> Arc<UploadCapabilities> {
        let mut dialects = self.dialects.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(UploadCapabilities::new(
                name,
                LearnedCapabilities::default(),
            ))
        };
        dialects.entry(name.clone()).or_insert_with(new).clone()
    }
}

impl Registries {
    /// Goes by another config from now on. A registry whose settings are what they were stays
    /// open, and keeps its limits; what is under way goes on with what it has.
    pub fn reload(&self, config: &Config) {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *configs, config.registries.clone());
        drop(configs);
        let of = |configs: &HashMap<RegistryName, RegistryConfig>, name: &RegistryName| {
            configs.get(name).cloned().unwrap_or_default()
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|name, _| of(&before, name).is_same(&of(&config.registries, name)));
        self.whole.lane.set(config.limits.bandwidth.clone());
    }

    /// What was moved from and to all of them.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.whole.traffic
    }
}

impl Registries {
    /// Tries logins again that were refused: somebody may have put things right at the registry.
    pub fn forget_refusals(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values()
            .for_each(|registry| registry.auth.forget_refusal());
    }
}

impl Registry {
    /// Its name.
    pub fn name(&self) -> &RegistryName {
        &self.wire.name
    }

    /// How its failures are tried again.
    pub fn retry(&self) -> RetryPolicy {
        self.transport.retry
    }

    /// Waits for the right to fetch a blob of this size.
    pub async fn pull_flow(&self, size: u64) -> TransferPermit {
        self.transport.limits.pull(size).await
    }

    /// Waits for the right to send a blob of this size.
    pub async fn push_flow(&self, size: u64) -> TransferPermit {
        self.transport.limits.push(size).await
    }

    /// Waits for the right to begin the upload of a blob of this size, before there is a flow for
    /// it. What many want comes first, and then what is large.
    pub async fn upload_session(&self, size: u64, wanted: WaiterCount) -> TransferPermit {
        self.transport.limits.session(size, wanted).await
    }

    /// A call on a path under `/v2/REPOSITORY/`.
    fn request(
        &self,
        operation: &'static str,
        subject: String,
        method: Method,
        repository: &Repository,
        path: &str,
    ) -> Request {
        let mut url = Url::clone(&self.wire.base);
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
            most: PAGE_BYTES,
        }
    }
}

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
