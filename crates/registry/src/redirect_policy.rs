//! Where a registry may send us: redirects and token servers, and the addresses behind their names.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::{Attempt, Policy},
};
use secrecy::ExposeSecret as _;
use url::{Host, Url};

use crate::settings::Proxy;

/// Most redirects of one request.
const REDIRECTS: usize = 10;
/// The IPv4 addresses inside this prefix are reached through NAT64
/// ([RFC 6052](https://www.rfc-editor.org/rfc/rfc6052#section-2.1)).
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
/// Where clouds keep what their machines alone may know, apart from the link-local addresses.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
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
        let is_inside = base.host().is_some_and(|host| names_inside(&host));
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

    /// The redirects that may be followed.
    pub(crate) fn policy(self: &Arc<Self>) -> Policy {
        let ssrf_guard = self.clone();
        Policy::custom(move |attempt: Attempt<'_>| {
            let admitted = match attempt.previous() {
                previous if previous.len() > REDIRECTS => Err(RefusedRedirect::Circle),
                [.., from] => ssrf_guard.admit(from, attempt.url()),
                [] => Ok(()),
            };
            match admitted {
                Ok(()) => attempt.follow(),
                Err(refusal) => attempt.error(refusal),
            }
        })
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
        let is_inside = |address: &SocketAddr| is_inside(address.ip());
        if name == self.own && !addresses.is_empty() {
            match addresses.iter().all(is_inside) {
                true => self.was_inside.store(true, Ordering::Relaxed),
                false => self.was_outside.store(true, Ordering::Relaxed),
            }
        }
        if self.chosen.contains(&name) || self.is_home() {
            return Ok(addresses);
        }
        let were_some = !addresses.is_empty();
        let outside: Vec<_> = addresses.into_iter().filter(|a| !is_inside(a)).collect();
        match were_some && outside.is_empty() {
            true => Err(RefusedRedirect::Inside(name)),
            false => Ok(outside),
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
    match to.host() {
        Some(host) if names_inside(&host) && !is_home => Err(RefusedRedirect::Inside(origin())),
        _ => Ok(()),
    }
}

/// Whether a host, as it is written, is this machine, its link or its cloud.
fn names_inside(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => is_inside(IpAddr::V4(*address)),
        Host::Ipv6(address) => is_inside(IpAddr::V6(*address)),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

fn is_inside(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => embedded(six).map_or(address, IpAddr::V4),
    };
    let is_near = match address {
        // All of 0.0.0.0/8 is "this network".
        IpAddr::V4(four) => four.is_loopback() || four.is_link_local() || four.octets()[0] == 0,
        IpAddr::V6(six) => six.is_loopback() || six.is_unspecified() || six.is_unicast_link_local(),
    };
    is_near || METADATA.contains(&address)
}

/// The IPv4 address that stands in an IPv6 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let last = Ipv4Addr::from_bits((u32::from(parts[6]) << 16) | u32::from(parts[7]));
    match parts[..6] == NAT64 {
        true => Some(last),
        false => address.to_ipv4_mapped(),
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
