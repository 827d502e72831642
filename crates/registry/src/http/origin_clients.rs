//! The HTTP clients of one registry: who we are is shown to the registry only.
//!
//! A client certificate is for the registry's own origin. The CAs of `ca_file` are for its host, at any
//! port, where token servers and stores of small installations are. Every other host that a registry
//! names gets a client with neither: it is trusted by the CAs of the system, and learns nothing of us.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, ClientBuilder, Method, Request, RequestBuilder, Response, redirect::Policy};
use rustls::ClientConfig;
use secrecy::ExposeSecret as _;
use url::{Host, Origin, Url};

use crate::{
    Kind,
    redirect_policy::{GuardedResolver, SsrfGuard},
    settings::proxy_environment::ProxyEnvironment,
    settings::{IpFamily, Proxy, RegistrySettings},
    tls,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A client for each degree of trust. Where two would be the same, they are one.
#[derive(Clone, Debug)]
pub(crate) struct OriginClients {
    origin: Origin,
    host: Option<Host<String>>,
    own: Client,
    same_host: Client,
    foreign: Client,
    has_ca: bool,
}

/// The TLS settings of the clients. Each reads the CAs of the system, so that they are made once.
pub(crate) struct TlsConfigs {
    own: ClientConfig,
    /// Without the client certificate, if there is one.
    same_host: Option<ClientConfig>,
    /// Without `ca_file`, too, if there is one.
    foreign: Option<ClientConfig>,
}

impl TlsConfigs {
    pub(crate) fn of(config: &RegistrySettings) -> Result<Self, String> {
        let (ca, identity) = (config.ca_pem.as_deref(), config.client_identity.as_ref());
        let without_identity = || tls::client_config(ca, None);
        let without_ca = || tls::client_config(None, None);
        Ok(Self {
            own: tls::client_config(ca, identity)?,
            same_host: identity.map(|_| without_identity()).transpose()?,
            foreign: ca.map(|_| without_ca()).transpose()?,
        })
    }
}

impl OriginClients {
    /// Clients that keep so many idle connections.
    pub(crate) fn new(
        config: &RegistrySettings,
        base: &Url,
        tls: &TlsConfigs,
        (ssrf_guard, environment): (&Arc<SsrfGuard>, &ProxyEnvironment),
        idle: usize,
    ) -> Result<Self, String> {
        let client = |tls: &ClientConfig| {
            let builder = builder(config, ssrf_guard, tls, environment)?;
            let client = builder.pool_max_idle_per_host(idle).build();
            client.map_err(|e| Kind::from(&e).to_string())
        };
        let own = client(&tls.own)?;
        let same_host = match &tls.same_host {
            Some(tls) => client(tls)?,
            None => own.clone(),
        };
        let foreign = match &tls.foreign {
            Some(tls) => client(tls)?,
            None => same_host.clone(),
        };
        Ok(Self {
            origin: base.origin(),
            host: base.host().map(|host| host.to_owned()),
            own,
            same_host,
            foreign,
            has_ca: tls.foreign.is_some(),
        })
    }

    /// A request that any of the clients may send.
    pub(crate) fn builder(&self, method: &Method, url: Url) -> RequestBuilder {
        self.own.request(method.clone(), url)
    }

    /// Sends a request by the client that is for its URL.
    pub(crate) async fn execute(&self, request: Request) -> Result<Response, Kind> {
        let url = request.url();
        let is_same_host = url.host().map(|host| host.to_owned()) == self.host;
        let client = match (url.origin() == self.origin, is_same_host) {
            (true, _) => &self.own,
            (false, true) => &self.same_host,
            (false, false) => &self.foreign,
        };
        let server = url.origin().ascii_serialization();
        client.execute(request).await.map_err(|error| {
            match Kind::from(&error) {
                // A remedy that names `ca_file` is none here.
                Kind::Certificate(text) if self.has_ca && !is_same_host => {
                    Kind::Certificate(format!(
                        "{server}, where the registry sends us: {text}; `ca_file` is for the registry's \
                         own host, add the CA to the system's"
                    ))
                }
                kind => kind,
            }
        })
    }
}

fn builder(
    config: &RegistrySettings,
    ssrf_guard: &Arc<SsrfGuard>,
    tls: &ClientConfig,
    environment: &ProxyEnvironment,
) -> Result<ClientBuilder, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("transship/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        // Each redirect may lead to a host that another client is for. No Referer is sent.
        .redirect(Policy::none())
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(GuardedResolver(ssrf_guard.clone()))
        .tcp_keepalive(Duration::from_secs(30))
        // What nobody acknowledges is not waited for, even where all of it fits into buffers.
        .tcp_user_timeout(config.stall);
    builder = match &config.proxy {
        Proxy::Environment => {
            let environment = environment.clone();
            let custom = move |url: &Url| environment.proxy_for(url).cloned();
            builder.no_proxy().proxy(reqwest::Proxy::custom(custom))
        }
        Proxy::Direct => builder.no_proxy(),
        Proxy::Url(url) => {
            // The error would name the URL, and a password in it.
            let proxy = reqwest::Proxy::all(url.expose_secret())
                .map_err(|_| "its proxy cannot be used".to_owned())?;
            builder.proxy(proxy)
        }
    };
    // A socket bound to one family's own address reaches addresses of that family alone.
    Ok(match config.ip {
        IpFamily::Any => builder,
        IpFamily::V4 => builder.local_address(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        IpFamily::V6 => builder.local_address(IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    })
}
