//! The HTTP client of one registry: connection pools, timeouts, bounds and counters.

mod origin_clients;
pub(crate) mod request_counter;

use std::{
    sync::{Arc, OnceLock, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, PROXY_AUTHORIZATION},
};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::{
    Operation,
    concurrency::{
        latency_limit::LatencyLimit,
        memory_budget::{DrawnBytes, MemoryBudgets},
        rate_limit::RateLimiter,
    },
    error::{Error, Kind},
    hedge::{
        LineMonitor, WaitKind,
        race::{OnSilence, given_up, hedged},
    },
    http::{
        origin_clients::{OriginClients, TlsConfigs},
        request_counter::RequestCounter,
    },
    observer::Observer,
    oci::RegistryName,
    probe::quota,
    quota::PullQuota,
    redirect_policy::{SsrfGuard, redirected},
    settings::proxy_environment::ProxyEnvironment,
    settings::{Proxy, RegistrySettings},
};

/// Maximum bytes of a small response: a token, the status of an upload.
const ANSWER_LIMIT: usize = 1 << 20;
/// Bytes of a failed response that are read: codes and messages are at its beginning.
const WORDS_LIMIT: usize = 64 << 10;
/// Idle connections that are kept for writes and for blobs, for each flow.
const IDLE: usize = 5;
/// Total timeout of a small response: one that comes byte by byte never stalls.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(900);
/// Redirects of one request that are followed at the own host in the place of another.
const HOME_REDIRECTS: usize = 5;
/// Maximum bytes by which the buffer of a body grows at a time.
const GROWTH: usize = 64 << 10;

/// Who ends the wait for the headers of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadWait {
    /// The client: a silent request is hedged, or fails after `stall` at the latest.
    Watched,
    /// The caller, who knows how much is to be sent.
    ByCaller,
}

/// The connection pools of one registry, its name, and the counter of its requests.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    pub(crate) name: RegistryName,
    read_clients: OriginClients,
    /// For requests that write: they are never redirected to another host.
    write_clients: OriginClients,
    /// For blob downloads: their connections keep a large buffer.
    blob_clients: OriginClients,
    /// For second requests beside silent ones: each opens a connection, as an idle one may be dead, too.
    hedge_clients: OriginClients,
    pub(crate) base: Arc<Url>,
    /// The address with TLS, once the registry redirected a plain request to it.
    pub(crate) upgraded: Arc<OnceLock<Url>>,
    /// The proxy, without its login.
    pub(crate) proxy_display: Option<Arc<str>>,
    pub(crate) ssrf_guard: Arc<SsrfGuard>,
    pub(crate) stall: Duration,
    pub(crate) line: Arc<LineMonitor>,
    pub(crate) rate_limiter: Arc<RateLimiter>,
    pub(crate) memory: Arc<MemoryBudgets>,
    pub(crate) quota: Arc<PullQuota>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) counter: Arc<RequestCounter>,
}

impl HttpClient {
    pub(crate) fn new(
        name: &RegistryName,
        config: &RegistrySettings,
        rate_limiter: Arc<RateLimiter>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let fail = |text: String| Error::new(Operation::SetUp, name, name, Kind::Protocol(text));
        let base = config.api_url(name).map_err(|e| fail(e.to_string()))?;
        let ssrf_guard = SsrfGuard::new(&base, &config.proxy);
        let environment = ProxyEnvironment::read(|name| std::env::var(name).ok());
        let proxy_display = proxy_display(config, &environment, &base);
        let tls = TlsConfigs::of(config).map_err(fail)?;
        let guards = (&ssrf_guard, &environment);
        let clients = |idle| OriginClients::new(config, &base, &tls, guards, idle).map_err(fail);
        let idle = IDLE * config.connections;
        // A round of answers over a far line comes at once, and all connections are idle for a moment.
        let read_idle = idle.max(LatencyLimit::most(config.connections));
        let (read_clients, write_clients, blob_clients) =
            (clients(read_idle)?, clients(idle)?, clients(idle)?);
        let hedge_clients = clients(0)?;
        let (name, base) = (name.clone(), Arc::new(base));
        Ok(Self {
            name,
            read_clients,
            write_clients,
            blob_clients,
            hedge_clients,
            base,
            upgraded: Arc::default(),
            proxy_display,
            ssrf_guard,
            stall: config.stall,
            line: Arc::new(LineMonitor::new(config.stall)),
            memory: rate_limiter.memory(),
            rate_limiter,
            quota: Arc::default(),
            observer,
            counter: Arc::default(),
        })
    }

    /// A request, to be sent by [`Self::head`].
    pub(crate) fn request(&self, method: &Method, url: Url) -> RequestBuilder {
        self.read_clients.builder(method, url)
    }

    /// The same client with another counter.
    pub(crate) fn counted_by(self, counter: Arc<RequestCounter>) -> Self {
        Self { counter, ..self }
    }

    /// The same client with the connections of blob downloads.
    pub(crate) fn for_blobs(mut self) -> Self {
        self.read_clients = self.blob_clients.clone();
        self
    }

    fn clients(&self, method: &Method) -> &OriginClients {
        match is_read(method) {
            true => &self.read_clients,
            false => &self.write_clients,
        }
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// An error of this registry. One of another registry stays as it is.
    pub(crate) fn error(&self, operation: Operation, subject: String, kind: Kind) -> Error {
        match kind {
            Kind::Elsewhere(error) => *error,
            kind => {
                let remedy = self.proxy_remedy(&kind);
                Error::new(operation, subject, &self.name, kind).with_remedy(remedy)
            }
        }
    }

    /// Names the proxy in a failure that it may have caused.
    fn proxy_remedy(&self, kind: &Kind) -> Option<String> {
        let proxy_display = self.proxy_display.as_ref()?;
        let may_be_its = match kind {
            Kind::Network(_) | Kind::Stalled(_) | Kind::Server { .. } => true,
            Kind::Rejected { status, .. } => *status == 407,
            Kind::Denied(said) => said.contains("HTML"),
            _ => false,
        };
        may_be_its.then(|| {
            format!(
                "it was asked through the proxy {proxy_display}; `proxy = \"direct\"` or NO_PROXY leaves it out"
            )
        })
    }

    /// The current form of a URL of the registry: with TLS, once the registry redirected there.
    pub(crate) fn current(&self, url: &Url) -> Url {
        match self.upgraded.get() {
            Some(secure) if url.origin() == self.base.origin() => {
                let mut moved = url.clone();
                let is_moved =
                    moved.set_scheme("https").is_ok() && moved.set_port(secure.port()).is_ok();
                if is_moved { moved } else { url.clone() }
            }
            _ => url.clone(),
        }
    }

    /// Sends one request and waits for the headers of the response.
    pub(crate) async fn head(
        &self,
        request: RequestBuilder,
        wait: HeadWait,
    ) -> Result<Response, Kind> {
        let request = request.build().map_err(|e| Kind::from(&e))?;
        let clients = self.clients(request.method());
        self.rate_limiter.request().await;
        if wait == HeadWait::ByCaller {
            return self.send(request, clients).await;
        }
        let (method, started) = (request.method().clone(), Instant::now());
        let (spare, name) = (request.try_clone(), &self.name);
        let (on_silence, kind) = (self.on_silence(&request), WaitKind::Answer);
        let first = Box::pin(self.send(request, clients));
        let result = match (on_silence, spare) {
            (OnSilence::Hedge, Some(spare)) => {
                let second = || async {
                    self.rate_limiter.request().await;
                    self.send(spare, &self.hedge_clients).await
                };
                let on_outcome = |outcome| self.observer.on_hedge(name, outcome);
                hedged(&self.line, kind, first, second, on_outcome).await
            }
            (OnSilence::GiveUp, _) => {
                let on_early_stall = || self.observer.on_early_stall(name);
                given_up(&self.line, kind, first, || self.probe(), on_early_stall).await
            }
            _ => {
                let sent = tokio::time::timeout(self.stall, first).await;
                sent.unwrap_or(Err(Kind::Stalled(self.stall)))
            }
        };
        if matches!(result, Err(Kind::Stalled(_))) {
            let took = started.elapsed();
            self.observer.on_request(name, method.as_str(), None, took);
        }
        result
    }

    /// What is done about a request without an answer. What changes nothing when it is repeated is
    /// hedged, unless the registry counts it as a pull: fewer may be left than images that wait.
    fn on_silence(&self, request: &reqwest::Request) -> OnSilence {
        let is_pull = request.method() == Method::GET && request.url().path().contains(MANIFESTS);
        match *request.method() {
            _ if is_pull && self.quota.reported().is_some() => OnSilence::Wait,
            Method::GET | Method::HEAD | Method::PUT => OnSilence::Hedge,
            _ => OnSilence::GiveUp,
        }
    }

    /// Sends one request by these clients, and counts it.
    async fn send(
        &self,
        request: reqwest::Request,
        clients: &OriginClients,
    ) -> Result<Response, Kind> {
        let (method, started) = (request.method().clone(), Instant::now());
        self.counter.requests.fetch_add(1, Ordering::Relaxed);
        self.line.on_request();
        let result = self.follow(request, clients).await;
        let code = result
            .as_ref()
            .ok()
            .map(|response| response.status().as_u16());
        self.observer
            .on_request(&self.name, method.as_str(), code, started.elapsed());
        if code == Some(429) {
            self.counter.throttled.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(quota) = result.as_ref().ok().and_then(|r| quota(r.headers())) {
            self.quota.update(quota, started.into());
            self.observer.on_quota(&self.name, quota);
        }
        result
    }

    /// The address of the API itself: it needs a login where the registry does.
    pub(crate) fn api_root(&self) -> Url {
        let mut url = Url::clone(&self.base);
        url.set_path("/v2/");
        url
    }

    /// Whether the registry answers at all, on a connection of its own.
    pub(crate) async fn probe(&self) -> bool {
        let request = reqwest::Request::new(Method::GET, self.api_root());
        let started = Instant::now();
        let sent = tokio::time::timeout(self.stall, self.send(request, &self.hedge_clients));
        let is_alive = matches!(sent.await, Ok(Ok(_)));
        if is_alive {
            self.line.on_movement(WaitKind::Answer, started.elapsed());
        }
        is_alive
    }

    /// Sends a request, and follows redirects if it only reads. Each host gets the client for its
    /// origin: what identifies us to the registry is shown to no other host.
    async fn follow(
        &self,
        mut request: reqwest::Request,
        clients: &OriginClients,
    ) -> Result<Response, Kind> {
        let mut hops = 0;
        let mut own: Option<reqwest::Request> = None;
        loop {
            let next = is_read(request.method()).then(|| request.try_clone());
            let url = request.url().clone();
            let response = match (clients.execute(request).await, own.take()) {
                (Err(Kind::Network(_) | Kind::Protocol(_)), Some(at_home)) => {
                    request = at_home;
                    continue;
                }
                (response, _) => response?,
            };
            bounded_head(response.headers())?;
            let (Some(mut next), Some(to)) = (next.flatten(), redirected(&response)) else {
                return Ok(response);
            };
            hops += 1;
            let at_home = self.at_home(&next, &to);
            if let Err(refusal) = self.ssrf_guard.admit_redirect(hops, &url, &to) {
                let refused = Kind::Protocol(refusal.to_string());
                request = at_home.filter(|_| hops < HOME_REDIRECTS).ok_or(refused)?;
                continue;
            }
            own = at_home.filter(|_| to.origin() != url.origin());
            if to.origin() != url.origin() {
                LOGINS
                    .iter()
                    .for_each(|name| drop(next.headers_mut().remove(name)));
            }
            *next.url_mut() = to;
            request = next;
        }
    }

    /// The request for a list or a manifest at the own host, by the path and query of a redirect. Behind
    /// a proxy, registries redirect to the host or scheme that they believe to be theirs.
    fn at_home(&self, request: &reqwest::Request, to: &Url) -> Option<reqwest::Request> {
        let asked = request.url();
        let is_listed = ["/tags/list", "/_catalog", "/referrers/", MANIFESTS]
            .iter()
            .any(|kind| asked.path().contains(kind));
        if !is_listed || asked.host() != self.base.host() {
            return None;
        }
        let mut own = asked.clone();
        own.set_path(to.path());
        own.set_query(to.query());
        let mut request = request.try_clone().filter(|_| own != *asked)?;
        *request.url_mut() = own;
        Some(request)
    }

    /// Sends one small request and reads the response.
    pub(crate) async fn exchange(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Kind> {
        let response = self.head(request, HeadWait::Watched).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok((status, headers, self.body(response).await?))
    }

    /// Reads the body of a small response.
    pub(crate) async fn body(&self, response: Response) -> Result<Bytes, Kind> {
        self.read(response, ANSWER_LIMIT).await
    }

    /// Reads an answer's body, within bounds of size, silence and time. One that announces more
    /// than `most` bytes is not begun.
    pub(crate) async fn read(
        &self,
        mut response: Response,
        max_bytes: usize,
    ) -> Result<Bytes, Kind> {
        let too_large = || {
            let max_bytes = bytesize::ByteSize(max_bytes as u64);
            Kind::Protocol(format!(
                "its answer is larger than {max_bytes}, and is not read"
            ))
        };
        let announced = response.content_length().unwrap_or_default();
        if announced > max_bytes as u64 {
            return Err(too_large());
        }
        let read = async {
            let drawn = self.memory.answers.reserve();
            let mut bytes = Vec::new();
            loop {
                match self.chunk(&mut response).await? {
                    None => return Ok(DrawnBytes { bytes, drawn }.freeze()),
                    Some(chunk) if bytes.len() + chunk.len() > max_bytes => {
                        return Err(too_large());
                    }
                    Some(chunk) => {
                        drawn.cover(bytes.len() + chunk.len()).await?;
                        append(&mut bytes, &chunk);
                    }
                }
            }
        };
        let ended = tokio::time::timeout(ANSWER_TIMEOUT, read).await;
        ended.unwrap_or(Err(Kind::Stalled(ANSWER_TIMEOUT)))
    }

    /// The next bytes of a small response.
    async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Kind> {
        let chunk = async { response.chunk().await.map_err(|e| Kind::from(&e)) };
        let on_early_stall = || self.observer.on_early_stall(&self.name);
        let (line, kind, probe) = (&self.line, WaitKind::Received, || self.probe());
        given_up(line, kind, chunk, probe, on_early_stall).await
    }

    /// The beginning of the body of a failed response; empty if it cannot be read.
    pub(crate) async fn beginning(&self, mut response: Response) -> Bytes {
        let mut said = BytesMut::new();
        while said.len() < WORDS_LIMIT {
            match tokio::time::timeout(self.stall, response.chunk()).await {
                Ok(Ok(Some(chunk))) => said.extend_from_slice(&chunk),
                _ => break,
            }
        }
        said.truncate(WORDS_LIMIT);
        said.freeze()
    }
}

/// Adds to a body. By itself, a vector reserves up to twice what was drawn for it.
fn append(bytes: &mut Vec<u8>, chunk: &[u8]) {
    if bytes.capacity() - bytes.len() < chunk.len() {
        bytes.reserve_exact(chunk.len().max(bytes.len().min(GROWTH)));
    }
    bytes.extend_from_slice(chunk);
}

/// What the path of a manifest holds.
const MANIFESTS: &str = "/manifests/";

/// Headers with a login.
const LOGINS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
/// Maximum bytes of the headers of a response.
const HEAD_LIMIT: usize = 64 << 10;

fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

/// Refuses headers that are larger than any registry's: they are kept while a body is read.
fn bounded_head(headers: &HeaderMap) -> Result<(), Kind> {
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    match sizes.sum::<usize>() <= HEAD_LIMIT {
        true => Ok(()),
        false => Err(Kind::Protocol(format!(
            "the headers of its answer are larger than {}, and are not read",
            bytesize::ByteSize(HEAD_LIMIT as u64)
        ))),
    }
}

/// The proxy to the registry, without its login.
fn proxy_display(
    config: &RegistrySettings,
    environment: &ProxyEnvironment,
    base: &Url,
) -> Option<Arc<str>> {
    let proxy = match &config.proxy {
        Proxy::Direct => return None,
        Proxy::Environment => environment.proxy_for(base)?.clone(),
        Proxy::Url(url) => Url::parse(url.expose_secret()).ok()?,
    };
    let port = proxy
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    Some(format!("{}://{}{port}", proxy.scheme(), proxy.host_str()?).into())
}
