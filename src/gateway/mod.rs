//! The gateway: the pull side of the distribution API before the target. Mirrored images come from
//! the target, with a known age. Others that are allowed come through from the upstream, once for all
//! who ask, and are mirrored from then on.

mod access;
mod answer;
mod blob;
mod cache;
mod demand;
mod listing;
mod manifest;
mod request;
mod resolution;
mod server;
mod tls;
mod traffic;

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{
    body::Body,
    http::{
        HeaderName, Method, Request, Response, StatusCode,
        header::{HOST, RANGE},
        request::Parts,
    },
};
use chrono::Utc;
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use demand::{ImageDemand, board::PullBoard};
use server::HeldPermit;
pub use server::{bind, serve};

use crate::{
    config::{AllowList, BlobDelivery, Config, GatewayConfig, ImagePatterns, ON_DEMAND},
    gateway::{
        access::{
            challenge::Visit,
            endpoint::TOKEN_PATH,
            token::TokenKey,
            users::Users,
            visibility::{VisibilityTable, apart, is_tag, private_text},
            visitor::Visitor,
        },
        answer::{PullError, PullOutcome, kind_of, of_repository, ping},
        blob::download::Downloads,
        cache::GenerationCache,
        demand::{Demand, board::ClientRefusal},
        manifest::ManifestCache,
        request::{
            address::{Address, AddressForm, Naming, RequestLine, WantedContent},
            limits::{ClientPermit, ClientTable, client_of},
            policy::{Copied, Policy, PullDecision},
        },
        resolution::Heads,
    },
    metrics::Metrics,
    oci::{Manifest, RegistryName, Repository, Version},
    peers::unread::UnreadBudget,
    registry::{PullCause, Registry, RequestCounter},
    store::{Store, StoreWriter},
    sync::Sync,
};

/// How long a target that failed is left alone: everything streams through meanwhile.
const TARGET_PAUSE: Duration = Duration::from_secs(10);
/// Most bytes of manifests and lists that clients have not read yet.
const UNREAD_BYTES: usize = 32 << 20;
/// Lists that are made at a time: they are large while they are.
const LISTS: usize = 4;
/// Blobs that targets are asked for at a time, until they begin each. More would wait for each other there, and
/// the target would look as if it were down.
const OPENS: usize = 32;

/// What the gateway stands on.
#[derive(Clone, Debug)]
pub struct GatewayContext {
    /// The configuration in force.
    pub config: Arc<ArcSwap<Config>>,
    /// Registries, uploads and what is moving.
    pub sync: Arc<Sync>,
    /// The database.
    pub store: Store,
    /// Its writer.
    pub writer: Arc<StoreWriter>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The tally of pulls.
    pub board: Arc<PullBoard>,
    /// Where images go that are to be mirrored now.
    pub orders: mpsc::Sender<ImageDemand>,
}

/// The gateway of a process.
#[derive(Debug)]
pub(crate) struct Gateway {
    context: GatewayContext,
    clients: ClientTable,
    heads: Heads,
    manifests: ManifestCache,
    downloads: Downloads,
    demand: Demand,
    tokens: TokenKey,
    users: Users,
    visibility: VisibilityTable,
    unread: UnreadBudget,
    lists: Semaphore,
    opens: Semaphore,
    /// The patterns of an allow list that is a file.
    allowed: ArcSwap<ImagePatterns>,
    /// Targets that failed, and until when they are left alone.
    paused_targets: Mutex<HashMap<RegistryName, Instant>>,
    /// Whether the traffic budget is spent, and when that was looked at.
    budget: Mutex<Option<(bool, Instant)>>,
    /// Requests to registries count as those of clients.
    counter: Arc<RequestCounter>,
    /// One pull reads the database at a time: the other connection is left to the daemon.
    reads: Semaphore,
    /// Downloads outlive the clients that began them.
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// One request about a repository that may be pulled.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) config: Arc<Config>,
    pub(crate) repository: Repository,
    /// Where its copy is, if it has one.
    pub(crate) copy: Option<Copied>,
    /// The mirror that has it or will have it.
    pub(crate) mirror: Option<Arc<str>>,
    pub(crate) is_head: bool,
    pub(crate) range: Option<String>,
    pub(crate) query: String,
}

/// An answer, and what became of the pull.
type Served = Result<(Response<Body>, PullOutcome), PullError>;

impl Pull {
    /// Whether it is mirrored because somebody pulled it.
    pub(crate) fn is_on_demand(&self) -> bool {
        self.mirror.as_deref() == Some(ON_DEMAND)
    }

    /// The keys of `[gateway]`. A configuration without them serves nobody.
    pub(crate) fn gateway(&self) -> Option<&GatewayConfig> {
        self.config.gateway.as_ref()
    }

    /// Whether clients fetch blobs from the target themselves.
    pub(crate) fn redirects(&self) -> bool {
        self.gateway()
            .is_some_and(|gateway| gateway.blobs == BlobDelivery::Redirect)
    }
}

impl Gateway {
    pub(crate) fn new(context: GatewayContext, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            context,
            clients: ClientTable::default(),
            heads: Heads::default(),
            manifests: ManifestCache::default(),
            downloads: Downloads::default(),
            demand: Demand::default(),
            tokens: TokenKey::new(),
            users: Users::default(),
            visibility: VisibilityTable::default(),
            unread: UnreadBudget::new(UNREAD_BYTES),
            lists: Semaphore::new(LISTS),
            opens: Semaphore::new(OPENS),
            allowed: ArcSwap::from_pointee(ImagePatterns::default()),
            paused_targets: Mutex::default(),
            budget: Mutex::default(),
            counter: Arc::new(RequestCounter::caused_by(PullCause::Pull)),
            reads: Semaphore::new(1),
            tasks: TaskTracker::new(),
            stop,
        })
    }

    /// Answers one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Body>,
        visit: Visit,
    ) -> Response<Body> {
        let started = Instant::now();
        let kind = kind_of(request.uri().path());
        let is_head = request.method() == Method::HEAD;
        let served = self.clone().serve(request, visit).await;
        let (mut response, outcome) = match served {
            Ok(served) => served,
            Err(error) => {
                let (status, message) = (error.status.as_u16(), &error.message);
                tracing::debug!(status, code = error.code, message, "a pull was not served");
                (error.response(), error.outcome)
            }
        };
        self.context
            .metrics
            .pulled(kind, outcome.as_str(), started.elapsed());
        if is_head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn serve(self: Arc<Self>, request: Request<Body>, visit: Visit) -> Served {
        let (request, body) = request.into_parts();
        let config = self.context.config.load_full();
        let Some(gateway) = &config.gateway else {
            let text = "mirror.toml has no [gateway] any more";
            return Err(PullError::unavailable(text));
        };
        let client = admitted(gateway, &request, visit.peer).inspect_err(|error| {
            if error.status == StatusCode::FORBIDDEN {
                self.refuse_client(ClientRefusal::Network);
            }
        })?;
        if request.uri.path() == TOKEN_PATH {
            let _permit = self.permit(gateway, client, AddressForm::Named)?;
            return self.give_token(gateway, (&request, body), client).await;
        }
        answer::check_length(&request.uri)?;
        let allow = self.allow_list(gateway);
        let policy = Policy {
            config: &config,
            gateway,
            allow: &allow,
        };
        let address = address(policy, &request)?;
        let form = match &address {
            Address::Ping => AddressForm::Mirror,
            Address::Content { form, .. } => *form,
        };
        let permit = self.permit(gateway, client, form)?;
        let visitor = self.visitor(gateway, &request, (visit, client)).await?;
        let Address::Content {
            repository, wanted, ..
        } = address
        else {
            return Ok((ping(), PullOutcome::Hit));
        };
        let (copy, mirror) = self.decided(policy, &repository, &wanted)?;
        let pull = Pull {
            repository,
            copy,
            mirror,
            is_head: request.method == Method::HEAD,
            range: header(&request, RANGE).map(str::to_owned),
            query: request.uri.query().unwrap_or_default().to_owned(),
            config: config.clone(),
        };
        self.check_refused(&pull.repository)
            .or_else(|error| if is_tag(&wanted) { Ok(()) } else { Err(error) })?;
        if visitor == Visitor::Anonymous && !self.is_public(&pull, &wanted).await? {
            let text = private_text(&pull.repository);
            return Err(self.refuse_private(gateway, &request, visit, text));
        }
        self.pull(apart(policy, pull, &wanted), wanted, permit)
            .await
    }

    /// Where the copy is, and the mirror that has it; an error where it may not be pulled.
    fn decided(
        &self,
        policy: Policy<'_>,
        repository: &Repository,
        wanted: &WantedContent,
    ) -> Result<(Option<Copied>, Option<Arc<str>>), PullError> {
        let version = match wanted {
            WantedContent::Manifest(version) => Some(version),
            WantedContent::Blob(_) | WantedContent::Tags | WantedContent::Referrers(_) => None,
        };
        match policy.decide(repository, version) {
            PullDecision::Mirrored { mirror, copy } => Ok((Some(copy), Some(mirror.name.clone()))),
            PullDecision::Allowed { copy } => {
                let mirror = copy.as_ref().map(|_| ON_DEMAND.into());
                Ok((copy, mirror))
            }
            PullDecision::Refused(refusal) => {
                self.context.metrics.pull_refused(refusal.as_str());
                self.context
                    .board
                    .refused(repository, refusal, Utc::now().timestamp());
                Err(PullError::refused(refusal, repository))
            }
        }
    }

    async fn pull(
        self: Arc<Self>,
        pull: Pull,
        wanted: WantedContent,
        permit: ClientPermit,
    ) -> Served {
        let repository = pull.repository.clone();
        let (mut response, outcome) = match wanted {
            WantedContent::Blob(digest) => {
                let (response, outcome) = self.serve_blob(pull, digest, permit).await?;
                return Ok((of_repository(response, &repository, None), outcome));
            }
            WantedContent::Manifest(version) => {
                let (response, outcome) = self.serve_manifest(&pull, &version).await?;
                (self.counted_answer(response).await?, outcome)
            }
            WantedContent::Tags | WantedContent::Referrers(_) => {
                self.serve_list(&pull, &wanted).await?
            }
        };
        response = of_repository(response, &repository, None);
        response
            .extensions_mut()
            .insert(HeldPermit(Arc::new(permit)));
        Ok((response, outcome))
    }

    fn refuse_client(&self, refusal: ClientRefusal) {
        self.context.metrics.pull_refused(refusal.as_str());
        self.context
            .board
            .client_refused(refusal, Utc::now().timestamp());
    }

    async fn serve_manifest(&self, pull: &Pull, version: &Version) -> Served {
        let served = self.find_manifest(pull, version).await;
        let (manifest, warning, outcome) = served.inspect_err(|error| {
            if error.outcome == PullOutcome::Failed {
                self.context
                    .board
                    .failed(&pull.repository, Utc::now().timestamp());
            }
        })?;
        let pulled = self.demand.image(pull, version, &manifest, outcome);
        if let Some((image, outcome)) = pulled {
            let (board, why) = (&self.context.board, warning.as_deref());
            board.pulled(
                &pull.repository,
                &image,
                outcome,
                why,
                Utc::now().timestamp(),
            );
            self.demand.pulled(pull, &image, outcome);
        }
        let response = answer::manifest(&manifest);
        let response = of_repository(response, &pull.repository, warning.as_deref());
        Ok((response, outcome))
    }

    /// A manifest, what a client is to know of its age, and where it came from.
    async fn find_manifest(
        &self,
        pull: &Pull,
        version: &Version,
    ) -> Result<(Arc<Manifest>, Option<String>, PullOutcome), PullError> {
        let (digest, warning, mut outcome) = match version {
            Version::Digest(digest) => (digest.clone(), None, PullOutcome::Hit),
            Version::Tag(tag) => {
                let resolved = self.resolve(pull, tag).await?;
                (resolved.digest, resolved.warning, resolved.outcome)
            }
        };
        let (manifest, from) = self.manifest(pull, &digest).await?;
        if outcome == PullOutcome::Hit {
            outcome = from;
        }
        Ok((manifest, warning, outcome))
    }
}

impl Gateway {
    /// What may be pulled beyond the mirrors.
    fn allow_list(&self, gateway: &GatewayConfig) -> Arc<ImagePatterns> {
        match &gateway.allow {
            AllowList::Patterns(patterns) => Arc::new(patterns.clone()),
            AllowList::File(_) => self.allowed.load_full(),
        }
    }

    /// The client of a registry.
    pub(crate) fn registry(&self, name: &RegistryName) -> Result<Registry, PullError> {
        let opened = self
            .context
            .sync
            .registries()
            .open(name, self.counter.clone());
        opened.map_err(|error| PullError::unavailable(error.to_string()))
    }

    /// The target repository of a pull and its registry, unless it has none or it failed just now.
    pub(crate) fn target(&self, to: Option<&Repository>) -> Option<(Registry, Repository)> {
        let to = to?;
        let mut paused = self.paused_targets.lock();
        if let Some(until) = paused.get(to.registry()) {
            if Instant::now() < *until {
                return None;
            }
            paused.remove(to.registry());
        }
        drop(paused);
        Some((self.registry(to.registry()).ok()?, to.clone()))
    }

    /// Leaves a target alone for a while.
    pub(crate) fn pause_target(&self, name: &RegistryName, error: &dyn std::fmt::Display) {
        let mut paused = self.paused_targets.lock();
        paused.insert(name.clone(), Instant::now() + TARGET_PAUSE);
        tracing::warn!("pulls go past the target {name} for {TARGET_PAUSE:?}: {error}");
    }
}

/// The client of a request that only reads, if it may pull at all.
fn admitted(gateway: &GatewayConfig, request: &Parts, peer: IpAddr) -> Result<IpAddr, PullError> {
    let refused =
        |status, code, text: &str| Err(PullError::new(status, code, text, PullOutcome::Refused));
    let asks_for_token = request.uri.path() == TOKEN_PATH && request.method == Method::POST;
    if request.method != Method::GET && request.method != Method::HEAD && !asks_for_token {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return refused(status, "UNSUPPORTED", "the gateway is read-only");
    }
    let client = client_of(peer, &request.headers, &gateway.trusted_proxies);
    let mut networks = gateway.clients.iter();
    if !networks.any(|network| network.contains(client)) {
        let text = format!("{client} is in no network of `clients` of [gateway] in mirror.toml");
        return refused(StatusCode::FORBIDDEN, "DENIED", &text);
    }
    Ok(client)
}

/// The address of a request.
fn address(policy: Policy<'_>, request: &Parts) -> Result<Address, PullError> {
    let registries = policy.registries();
    let host = request.uri.host().or_else(|| header(request, HOST));
    let line = RequestLine {
        path: request.uri.path(),
        query: request.uri.query().unwrap_or_default(),
        host: host.unwrap_or_default(),
    };
    let naming = Naming {
        registry: &policy.gateway.registry,
        hosts: &policy.gateway.hosts,
        knows: &|registry| registries.contains(registry),
    };
    Ok(Address::parse(line, naming)?)
}

/// A header's text.
fn header(request: &Parts, name: HeaderName) -> Option<&str> {
    request.headers.get(name)?.to_str().ok()
}

/// A cache of what weighs the same.
fn small_cache<K: Eq + std::hash::Hash + Clone, V: Clone>(entries: usize) -> GenerationCache<K, V> {
    GenerationCache::new(entries)
}
