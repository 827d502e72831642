//! Where a registry may send us: redirects and token servers, and the addresses behind their names.

pub(crate) mod forbidden_addresses;

use std::{
    env,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::{
    Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::LOCATION,
};
use secrecy::ExposeSecret as _;
use url::{Host, Url};

use crate::{
    redirect_policy::forbidden_addresses::{Place, place, place_of_name},
    settings::Proxy,
};

/// Most redirects of one request.
const REDIRECTS: usize = 10;
/// The variables that name a proxy, in either case.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// A way that a registry pointed out and that is not gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefusedRedirect {
    /// Back from TLS.
    #[error("it leads from https to {0}, which has no TLS; that is not followed")]
    NoTls(String),
    /// Neither http nor https.
    #[error("it leads to {0}, which is no address of the web; that is not followed")]
    Scheme(String),
    /// To this machine, its link, or its cloud.
    #[error(
        "it leads to {0}, an address of this machine or of its link; only a registry that is there \
         itself may do that"
    )]
    Inside(String),
    /// To a service of the cloud, or to no host at all.
    #[error("it leads to {0}, where no registry sends anybody; that is not followed")]
    Forbidden(String),
    /// Again and again.
    #[error("it redirects more than {REDIRECTS} times")]
    Circle,
}

/// What is known of where one registry is.
#[derive(Debug)]
pub(crate) struct SsrfGuard {
    /// Names that were not the registry's choice: its own, and those of proxies.
    chosen: Vec<String>,
    own: String,
    /// Whether the registry was found on an address of this machine, and elsewhere. A name that
    /// was ever elsewhere is not believed to be here: its owner may change it at will.
    was_inside: AtomicBool,
    was_outside: AtomicBool,
}

impl SsrfGuard {
    /// The boundary of the registry at `base`, which is reached through `proxy`.
    pub(crate) fn new(base: &Url, proxy: &Proxy) -> Arc<Self> {
        let own = base.host_str().unwrap_or_default().to_ascii_lowercase();
        let is_inside = base.host().and_then(|host| place_of_host(&host)) == Some(Place::Near);
        let mut chosen = proxies(proxy);
        chosen.push(own.clone());
        Arc::new(Self {
            chosen,
            own,
            was_inside: AtomicBool::new(is_inside),
            was_outside: AtomicBool::new(false),
        })
    }

    /// Whether the way from one URL to another may be gone.
    pub(crate) fn admit(&self, from: &Url, to: &Url) -> Result<(), RefusedRedirect> {
        judge(from, to, self.is_home())
    }

    /// Whether a redirect may be followed, the `hop`th of a request.
    pub(crate) fn admit_redirect(
        &self,
        hop: usize,
        from: &Url,
        to: &Url,
    ) -> Result<(), RefusedRedirect> {
        match hop > REDIRECTS {
            true => Err(RefusedRedirect::Circle),
            false => self.admit(from, to),
        }
    }

    /// Whether the registry itself is on this machine or its link.
    fn is_home(&self) -> bool {
        self.was_inside.load(Ordering::Relaxed) && !self.was_outside.load(Ordering::Relaxed)
    }

    /// Takes note of the registry's own addresses; of others', leaves out those inside.
    fn sift(
        &self,
        name: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, RefusedRedirect> {
        let name = name.to_ascii_lowercase();
        let is_near = |address: &SocketAddr| place(address.ip()) == Some(Place::Near);
        if name == self.own && !addresses.is_empty() {
            match addresses.iter().all(is_near) {
                true => self.was_inside.store(true, Ordering::Relaxed),
                false => self.was_outside.store(true, Ordering::Relaxed),
            }
        }
        if self.chosen.contains(&name) {
            return Ok(addresses);
        }
        let is_home = self.is_home();
        let is_open = |place: Option<Place>| match place {
            None => true,
            Some(Place::Near) => is_home,
            Some(Place::Cloud | Place::Nowhere) => false,
        };
        let first = addresses.first().and_then(|first| place(first.ip()));
        let mut open = addresses;
        open.retain(|address| is_open(place(address.ip())));
        match first {
            Some(Place::Near) if open.is_empty() => Err(RefusedRedirect::Inside(name)),
            Some(_) if open.is_empty() => Err(RefusedRedirect::Forbidden(name)),
            _ => Ok(open),
        }
    }
}

/// Resolves names within a boundary.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver(pub(crate) Arc<SsrfGuard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let ssrf_guard = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let sifted = ssrf_guard.sift(name.as_str(), found.collect())?;
            Ok(Box::new(sifted.into_iter()) as Addrs)
        })
    }
}

/// Where a response redirects a request that reads
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-15.4)).
pub(crate) fn redirected(response: &Response) -> Option<Url> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
    // Some servers write it as UTF-8 instead of encoding it.
    let location = std::str::from_utf8(location.as_bytes()).ok()?;
    response.url().join(location).ok()
}

/// Whether somebody at `from` may send us on to `to`; `is_home` says that the registry is on this
/// machine or its link itself.
fn judge(from: &Url, to: &Url, is_home: bool) -> Result<(), RefusedRedirect> {
    let origin = || to.origin().ascii_serialization();
    if !matches!(to.scheme(), "http" | "https") {
        return Err(RefusedRedirect::Scheme(to.scheme().to_owned()));
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(RefusedRedirect::NoTls(origin()));
    }
    match to.host().and_then(|host| place_of_host(&host)) {
        Some(Place::Near) if !is_home => Err(RefusedRedirect::Inside(origin())),
        Some(Place::Cloud | Place::Nowhere) => Err(RefusedRedirect::Forbidden(origin())),
        Some(Place::Near) | None => Ok(()),
    }
}

/// What a host is, as it is written, if it is forbidden.
fn place_of_host(host: &Host<&str>) -> Option<Place> {
    match host {
        Host::Ipv4(address) => place(IpAddr::V4(*address)),
        Host::Ipv6(address) => place(IpAddr::V6(*address)),
        Host::Domain(name) => place_of_name(name),
    }
}

/// The names of the proxies on the way, which may well be on this machine.
fn proxies(proxy: &Proxy) -> Vec<String> {
    let urls: Vec<String> = match proxy {
        Proxy::Direct => Vec::new(),
        Proxy::Url(url) => vec![url.expose_secret().to_owned()],
        Proxy::Environment => PROXIES
            .iter()
            .flat_map(|name| [(*name).to_owned(), name.to_ascii_uppercase()])
            .filter_map(|name| env::var(name).ok())
            .collect(),
    };
    let host = |text: &String| {
        // A proxy in the environment may be written without a scheme.
        let url = Url::parse(text).ok().filter(Url::has_host);
        let url = url.or_else(|| Url::parse(&format!("http://{text}")).ok())?;
        Some(url.host_str()?.to_ascii_lowercase())
    };
    urls.iter().filter_map(host).collect()
}

#[cfg(test)]
mod tests;
