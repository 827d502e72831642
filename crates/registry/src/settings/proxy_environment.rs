//! The proxies of the environment, by the rules of Go's tools, which the peers of this program follow
//! ([httpproxy](https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config)).

use std::net::IpAddr;

use url::{Host, Url};

/// What `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in either case of letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyEnvironment {
    http: Option<Url>,
    https: Option<Url>,
    /// Whether `NO_PROXY` is `*`.
    excludes_all: bool,
    exclusions: Vec<Exclusion>,
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exclusion {
    /// `10.0.0.0/8`: the network and how many bits of it count.
    Network(IpAddr, u32),
    /// `10.1.2.3`, `10.1.2.3:5000`.
    Address(IpAddr, Option<u16>),
    /// `example.com`, `.example.com`, `*.example.com:5000`. The text begins with a dot.
    Domain {
        suffix: String,
        /// Whether the domain itself is meant, beside those below it.
        is_itself: bool,
        port: Option<u16>,
    },
}

impl ProxyEnvironment {
    /// Reads the environment. A variable that is empty counts as not set; upper case comes first.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            let names = [name.to_ascii_uppercase(), name.to_ascii_lowercase()];
            names
                .iter()
                .find_map(|name| variable(name).filter(|text| !text.is_empty()))
        };
        let proxy = |name: &str| parse_proxy(&either(name)?);
        // A web server's CGI hands a client's `Proxy` header over under this name.
        let is_cgi = variable("REQUEST_METHOD").is_some_and(|text| !text.is_empty());
        let all = proxy("all_proxy");
        let excluded = either("no_proxy").unwrap_or_default();
        Self {
            http: proxy("http_proxy")
                .filter(|_| !is_cgi)
                .or_else(|| all.clone()),
            https: proxy("https_proxy").or(all),
            excludes_all: excluded.split(',').any(|entry| entry.trim() == "*"),
            exclusions: excluded.split(',').filter_map(Exclusion::parse).collect(),
        }
    }

    /// The proxy for a URL, if it is not to be reached directly.
    pub(crate) fn proxy_for(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref()?,
            _ => self.http.as_ref()?,
        };
        self.uses_proxy(url).then_some(proxy)
    }

    fn uses_proxy(&self, url: &Url) -> bool {
        let Some(host) = url.host() else {
            return false;
        };
        let port = url.port_or_known_default();
        let (name, address) = match host {
            Host::Domain(name) => (name.trim_end_matches('.').to_ascii_lowercase(), None),
            Host::Ipv4(four) => (String::new(), Some(IpAddr::V4(four))),
            Host::Ipv6(six) => (String::new(), Some(IpAddr::V6(six).to_canonical())),
        };
        // This machine is never reached through a proxy.
        if name == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return false;
        }
        let is_excluded = |entry: &Exclusion| entry.matches(&name, address, port);
        !self.excludes_all && !self.exclusions.iter().any(is_excluded)
    }
}

impl Exclusion {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if let Some((network, bits)) = text.split_once('/')
            && let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>())
        {
            return (bits <= width(network)).then_some(Self::Network(network, bits));
        }
        let (host, port) = split_port(&text);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical(), port));
        }
        let host = host
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(host);
        let is_itself = !host.starts_with('.');
        let name = host.trim_start_matches('.');
        (!name.is_empty() && name != "*").then(|| Self::Domain {
            suffix: format!(".{name}"),
            is_itself,
            port,
        })
    }

    fn matches(&self, name: &str, address: Option<IpAddr>, at: Option<u16>) -> bool {
        let is_at = |port: &Option<u16>| port.is_none() || *port == at;
        match (self, address) {
            (Self::Network(network, bits), Some(address)) => is_within(address, *network, *bits),
            (Self::Address(own, port), Some(address)) => *own == address && is_at(port),
            (
                Self::Domain {
                    suffix,
                    is_itself,
                    port,
                },
                None,
            ) => {
                let is_it = *is_itself && *name == suffix[1..];
                (is_it || name.ends_with(suffix.as_str())) && is_at(port)
            }
            _ => false,
        }
    }
}

/// A host and its port, where it has one; an IPv6 address without brackets has none.
fn split_port(text: &str) -> (&str, Option<u16>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

/// A proxy as it is written, perhaps without a scheme.
fn parse_proxy(text: &str) -> Option<Url> {
    let is_usual = |url: &Url| {
        matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.has_host()
    };
    let url = Url::parse(text).ok().filter(is_usual);
    url.or_else(|| Url::parse(&format!("http://{text}")).ok().filter(is_usual))
}

fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Whether an address is in a network of the same family.
fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(four) => u128::from(four.to_bits()),
        IpAddr::V6(six) => six.to_bits(),
    };
    let shift = width(network) - bits;
    let leading = |address| number(address).checked_shr(shift).unwrap_or_default();
    width(address) == width(network) && leading(address) == leading(network)
}

#[cfg(test)]
mod tests;
