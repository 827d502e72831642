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
pub(crate) mod pagination;
mod probe;
pub(crate) mod quota;
pub(crate) mod rate_limit;
pub(crate) mod redirect_policy;
pub(crate) mod retry;
mod tls;
pub(crate) mod upload;
pub(crate) mod vendor;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::{Method, header::HeaderMap};
use url::Url;

pub use crate::concurrency::priority_semaphore::WaiterCount;
pub use crate::content::blob_pull::{BlobSize, BlobStream};
pub use crate::content::deletions::TagDeletion;
pub use crate::content::manifests::ManifestHead;
pub use crate::content::referrers::Referrer;
pub use crate::error::{Error, ErrorClass, Kind, Operation, UnknownClass};
pub use crate::health::RegistryHealth;
pub use crate::http::RequestCounter;
pub use crate::listing::tags::TagListing;
pub use crate::observer::Observer;
pub use crate::quota::ImagePermit;
pub use crate::quota::retry_after::retry_after;
pub use crate::rate_limit::{Direction, Traffic};
pub use crate::retry::{RetryPolicy, TransferPermit};
pub use crate::upload::body::UploadBody;
pub use crate::upload::capabilities::LearnedCapabilities;
pub use crate::upload::chunks::{SessionRetry, UploadProgress};
pub use crate::upload::session::{SavedUpload, UploadSession, UploadStart};
pub use probe::{Identity, ManifestProbe, Quota, Reachability};

use crate::{
    auth::{Auth, Scope},
    client::{RegistryClient, Request},
    content::referrers::ReferrersApi,
    health::HealthState,
    http::HttpClient,
    oci::{RegistryName, Repository},
    rate_limit::{ProcessLimits, RateLimiter},
    retry::RequestLimits,
    settings::{RegistrySettings, Settings},
    upload::capabilities::UploadCapabilities,
    vendor::BulkApi,
};

/// Most bytes of a page of a listing: Artifact Registry's alone comes near, which tells of every
/// manifest at once.
const PAGE_BYTES: usize = 32 << 20;

/// Every registry that was spoken to, each opened once: connections, tokens and limits are shared
/// by all runs of the process.
#[derive(Debug)]
pub struct Registries {
    configs: Mutex<HashMap<RegistryName, RegistrySettings>>,
    observer: Arc<dyn Observer>,
    retry: RetryPolicy,
    process_limits: Arc<ProcessLimits>,
    open: Mutex<HashMap<RegistryName, Arc<RegistryClient>>>,
    upload_capabilities: Mutex<HashMap<RegistryName, Arc<UploadCapabilities>>>,
    health: Mutex<HashMap<RegistryName, Arc<HealthState>>>,
}

/// One registry, and the meter that counts what is asked of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Arc<RegistryClient>,
    http: HttpClient,
}

impl Registries {
    /// Registries with these settings, and with what earlier processes learned; none is contacted
    /// yet.
    pub fn new(
        settings: Settings,
        observer: Arc<dyn Observer>,
        retry: RetryPolicy,
        learned: Vec<(RegistryName, LearnedCapabilities)>,
    ) -> Self {
        // A second call finds the provider installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let upload_capabilities = learned.into_iter().map(|(name, upload_capabilities)| {
            let upload_capabilities = Arc::new(UploadCapabilities::new(&name, upload_capabilities));
            (name, upload_capabilities)
        });
        let process_limits = ProcessLimits::default();
        process_limits.bandwidth_limiter.set(settings.bandwidth);
        Self {
            upload_capabilities: Mutex::new(upload_capabilities.collect()),
            configs: Mutex::new(settings.registries),
            health: Mutex::default(),
            observer,
            retry,
            process_limits: Arc::new(process_limits),
            open: Mutex::default(),
        }
    }

    /// One registry; what is asked of it is counted by `meter`.
    pub fn open(
        &self,
        name: &RegistryName,
        counter: Arc<RequestCounter>,
    ) -> Result<Registry, Error> {
        let mut open = self.open.lock();
        let client = match open.get(name) {
            Some(client) => client.clone(),
            None => {
                let configs = self.configs.lock();
                let config = configs.get(name).cloned().unwrap_or_default();
                drop(configs);
                let rate_limiter = Arc::new(RateLimiter::new(
                    config.requests_per_second_of(name),
                    config.bandwidth.clone(),
                    self.process_limits.clone(),
                ));
                let client = Arc::new(RegistryClient {
                    http: HttpClient::new(name, &config, rate_limiter, self.observer.clone())?,
                    auth: Auth::new(config.login),
                    limits: RequestLimits::new(config.connections),
                    referrers_api: ReferrersApi::default(),
                    bulk_api: BulkApi::default(),
                    retry: self.retry,
                    health: self.health_state(name),
                    upload_capabilities: self.upload_capabilities(name),
                    part_size: config.chunk,
                });
                open.insert(name.clone(), client.clone());
                client
            }
        };
        let http = HttpClient {
            counter,
            ..client.http.clone()
        };
        Ok(Registry { client, http })
    }
}

impl Registries {
    fn upload_capabilities(&self, name: &RegistryName) -> Arc<UploadCapabilities> {
        let mut upload_capabilities = self.upload_capabilities.lock();
        let new = || {
            Arc::new(UploadCapabilities::new(
                name,
                LearnedCapabilities::default(),
            ))
        };
        upload_capabilities
            .entry(name.clone())
            .or_insert_with(new)
            .clone()
    }
}

impl Registries {
    /// Applies new settings. Registries whose settings are unchanged keep their connections and
    /// limits, and requests in flight keep what they started with.
    pub fn reload(&self, settings: Settings) {
        let mut configs = self.configs.lock();
        let before = std::mem::replace(&mut *configs, settings.registries.clone());
        drop(configs);
        let of = |configs: &HashMap<RegistryName, RegistrySettings>, name: &RegistryName| {
            configs.get(name).cloned().unwrap_or_default()
        };
        let mut open = self.open.lock();
        open.retain(|name, _| of(&before, name) == of(&settings.registries, name));
        self.process_limits
            .bandwidth_limiter
            .set(settings.bandwidth);
    }

    /// What was moved from and to all of them.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.process_limits.traffic
    }
}

impl Registries {
    /// Whether a registry can be used now, as its latest answers showed.
    pub fn health(&self, name: &RegistryName) -> RegistryHealth {
        self.health_state(name).now()
    }

    /// Takes a registry's login for refused until the registry accepts it: an earlier process found
    /// it refused.
    pub fn assume_login_refused(&self, name: &RegistryName) {
        self.health_state(name).set_login_refused(true);
    }

    fn health_state(&self, name: &RegistryName) -> Arc<HealthState> {
        let mut health = self.health.lock();
        health.entry(name.clone()).or_default().clone()
    }
}

impl Registries {
    /// Tries logins again that were refused: somebody may have put things right at the registry.
    pub fn forget_refusals(&self) {
        let open = self.open.lock();
        open.values()
            .for_each(|registry| registry.auth.forget_refusal());
    }
}

impl Registry {
    /// Its name.
    pub fn name(&self) -> &RegistryName {
        &self.http.name
    }

    /// How its failures are tried again.
    pub fn retry(&self) -> RetryPolicy {
        self.client.retry
    }

    /// Waits for the right to fetch a blob of this size.
    pub async fn pull_permit(&self, size: u64) -> TransferPermit {
        self.client.limits.pull(size).await
    }

    /// Waits for the right to send a blob of this size.
    pub async fn push_permit(&self, size: u64) -> TransferPermit {
        self.client.limits.push(size).await
    }

    /// Waits for the right to begin the upload of a blob of this size, before there is a flow for
    /// it. What many want comes first, and then what is large.
    pub async fn session_permit(&self, size: u64, waiters: WaiterCount) -> TransferPermit {
        self.client.limits.session(size, waiters).await
    }

    /// A call on a path under `/v2/REPOSITORY/`.
    fn request(
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
