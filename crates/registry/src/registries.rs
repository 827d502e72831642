//! Every registry of a process.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

use crate::{
    Error, LearnedCapabilities, Observer, Quota, Registry, RegistryHealth, RequestCounter,
    RetryPolicy, SharedAccounts, Traffic,
    auth::Auth,
    client::RegistryClient,
    concurrency::{
        once_map::OnceMap,
        rate_limit::{ProcessLimits, RateLimiter},
        request_limits::RequestLimits,
    },
    content::referrers::ReferrersApi,
    health::HealthState,
    http::HttpClient,
    oci::RegistryName,
    quota::{PullQuota, shared::PullSource},
    settings::{Credential, RegistrySettings, Settings},
    upload::capabilities::UploadCapabilities,
    vendor::BulkApi,
};

/// Every registry of a process. Each is opened once, and everybody who opens it shares its
/// connections, tokens, quotas and limits. Create one of these in a process.
#[derive(Debug)]
pub struct Registries {
    settings: Mutex<HashMap<RegistryName, RegistrySettings>>,
    observer: Arc<dyn Observer>,
    retry: RetryPolicy,
    process_limits: Arc<ProcessLimits>,
    /// Who grants pulls, where several processes share quotas.
    shared_accounts: OnceLock<Arc<dyn SharedAccounts>>,
    clients: OnceMap<RegistryName, RegistryClient>,
    upload_capabilities: OnceMap<RegistryName, UploadCapabilities>,
    health: OnceMap<RegistryName, HealthState>,
}

impl Registries {
    /// Creates the registries with these settings. Nothing is contacted yet. `learned` is what
    /// [`Registry::take_upload_capabilities`] returned to earlier processes.
    pub fn new(
        settings: Settings,
        observer: Arc<dyn Observer>,
        retry: RetryPolicy,
        learned: Vec<(RegistryName, LearnedCapabilities)>,
    ) -> Self {
        // A second call fails because a provider is installed, which is the purpose.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let learned = learned.into_iter().map(|(name, learned)| {
            let capabilities = UploadCapabilities::new(&name, learned);
            (name, capabilities)
        });
        let process_limits = ProcessLimits::default();
        process_limits.bandwidth_limiter.set(settings.bandwidth);
        Self {
            settings: Mutex::new(settings.registries),
            observer,
            retry,
            process_limits: Arc::new(process_limits),
            shared_accounts: OnceLock::new(),
            clients: OnceMap::default(),
            upload_capabilities: learned.collect(),
            health: OnceMap::default(),
        }
    }

    /// Shares pull quotas and request rates with other processes. Call this before a registry is opened.
    pub fn share_accounts(&self, accounts: Arc<dyn SharedAccounts>) {
        // The first one counts.
        let _ = self.shared_accounts.set(accounts);
    }

    /// Reports pulls that were made, and gives back those that were drawn and that nobody uses at the
    /// moment. Call this every few seconds where pulls are shared.
    pub async fn settle_pulls(&self) {
        for client in self.clients.values() {
            client.http.quota.settle().await;
        }
    }

    /// Opens a registry. `counter` counts the requests that are made through the returned handle.
    /// Fails if the settings name an unusable certificate or proxy; nothing is contacted.
    pub fn open(
        &self,
        name: &RegistryName,
        counter: Arc<RequestCounter>,
    ) -> Result<Registry, Error> {
        let create = || self.create_client(name);
        let client = self.clients.get_or_try_create(name, create)?;
        Ok(Registry::new(client, counter))
    }

    fn create_client(&self, name: &RegistryName) -> Result<RegistryClient, Error> {
        let settings = self.settings.lock().get(name).cloned().unwrap_or_default();
        let source = self.pull_source(name, &settings.login.credential);
        let rate_limiter = RateLimiter::new(
            settings.requests_per_second_of(name),
            settings.bandwidth.clone(),
            self.process_limits.clone(),
        );
        let rate_limiter = Arc::new(rate_limiter.shared_by(source.clone()));
        let new = || UploadCapabilities::new(name, LearnedCapabilities::default());
        let quota = source.map_or_else(PullQuota::default, PullQuota::shared);
        let mut http = HttpClient::new(name, &settings, rate_limiter, self.observer.clone())?;
        http.quota = Arc::new(quota);
        Ok(RegistryClient {
            http,
            auth: Auth::new(settings.login),
            limits: RequestLimits::new(settings.connections),
            referrers_api: ReferrersApi::default(),
            bulk_api: BulkApi::default(),
            range_memory: Mutex::default(),
            retry: self.retry,
            health: self.health.get(name),
            upload_capabilities: self.upload_capabilities.get_or_create(name, new),
            chunk_size: settings.chunk,
        })
    }

    /// Who grants pulls of a registry, where several processes share its quotas and rates.
    fn pull_source(&self, name: &RegistryName, credential: &Credential) -> Option<PullSource> {
        let accounts = self.shared_accounts.get()?.clone();
        let user = match credential {
            Credential::Basic { username, .. } => Some(username.as_str().into()),
            _ => None,
        };
        Some(PullSource {
            accounts,
            registry: name.clone(),
            user,
        })
    }

    /// Applies new settings. Registries whose settings are unchanged keep their connections and
    /// limits, and requests in flight keep what they started with.
    pub fn reload(&self, settings: Settings) {
        let before = std::mem::replace(&mut *self.settings.lock(), settings.registries.clone());
        let of = |all: &HashMap<RegistryName, RegistrySettings>, name: &RegistryName| {
            all.get(name).cloned().unwrap_or_default()
        };
        self.clients
            .retain(|name| of(&before, name) == of(&settings.registries, name));
        self.process_limits
            .bandwidth_limiter
            .set(settings.bandwidth);
    }

    /// Blob bytes moved from and to all registries.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.process_limits.traffic
    }

    /// Whether a registry can be used now, as its latest responses showed.
    pub fn health(&self, name: &RegistryName) -> RegistryHealth {
        self.health.get(name).now()
    }

    /// The pull quota that a registry reported last; `None` if it reported none in this process.
    pub fn quota(&self, name: &RegistryName) -> Option<Quota> {
        let clients = self.clients.values();
        let client = clients.iter().find(|client| client.http.name == *name)?;
        client.http.quota.reported()
    }

    /// Reports a registry's login as refused until the registry accepts it. Call this for a login
    /// that an earlier process found refused.
    pub fn assume_login_refused(&self, name: &RegistryName) {
        self.health.get(name).set_login_refused(true);
    }

    /// Tries refused logins again at the next request. Otherwise they rest for ten minutes, because
    /// Docker Hub locks accounts after a few failed logins.
    pub fn forget_refusals(&self) {
        for client in self.clients.values() {
            client.auth.forget_refusal();
        }
    }
}
