//! Where the images of a registry are for clients: behind a gateway, or at the target itself.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::{
    config::{AllowList, Config, ImagePatterns, Mirror},
    registry::settings::RegistrySettings,
};

/// Where clients find the images of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// The registry, such as `docker.io`.
    pub(crate) registry: String,
    /// Scheme, host and port of the mirror.
    pub(crate) base: Url,
    /// What stands before the repository's path there; empty for a gateway that reads `ns`.
    pub(crate) prefix: String,
}

impl Upstream {
    /// The mirror's host and port.
    pub(crate) fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The place of a repository, for clients that put a name below a path:
    /// `mirror.example.com/docker.io`.
    pub(crate) fn location(&self) -> String {
        match self.prefix.as_str() {
            "" => format!("{}/{}", self.host(), self.registry),
            prefix => format!("{}/{prefix}", self.host()),
        }
    }

    /// The address of the mirror without a path: `https://mirror.example.com`.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.base.scheme(), self.host())
    }

    /// The registry's own address, where clients go if the mirror fails.
    pub(crate) fn server(&self) -> String {
        let url = self.registry.parse().ok();
        let url = url.and_then(|name| RegistrySettings::default().api_url(&name).ok());
        match url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("https://{}", self.registry),
        }
    }

    /// Whether the mirror is reached without TLS.
    pub(crate) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }
}

/// The registries that mirrors read from and the gateway lets through, in order; those named by the
/// operator only, if any are.
pub(crate) fn registries(config: &Config, only: &[String]) -> Vec<String> {
    if !only.is_empty() {
        return only.to_vec();
    }
    let mirrors = config.mirrors.iter();
    let sources = mirrors.flat_map(Mirror::source_registries);
    let sources = sources.map(ToString::to_string);
    let allowed = config.gateway.iter().flat_map(|gateway| {
        let patterns = match &gateway.allow {
            AllowList::Patterns(patterns) => patterns.clone(),
            // `check` tells what is wrong with it.
            AllowList::File(path) => ImagePatterns::read_file(path).unwrap_or_default().0,
        };
        let names = patterns.registries().into_iter().map(str::to_owned);
        names.collect::<Vec<_>>()
    });
    sources
        .chain(allowed)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Every registry behind one gateway.
pub(crate) fn behind_gateway(registries: Vec<String>, gateway: &Url) -> Vec<Upstream> {
    let upstreams = registries.into_iter().map(|registry| Upstream {
        registry,
        base: gateway.clone(),
        prefix: String::new(),
    });
    upstreams.collect()
}

/// The registries whose repositories keep their paths below one place of one target; for the
/// others, why a client cannot be told.
pub(crate) fn at_target(config: &Config, only: &[String]) -> (Vec<Upstream>, Vec<String>) {
    let mut places: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    let mut reasons = Vec::new();
    for route in config.mirrors.iter().flat_map(|mirror| &mirror.routes) {
        let registry = route.source.registry().to_string();
        if !only.is_empty() && !only.contains(&registry) {
            continue;
        }
        let (source, target) = (route.source.path(), route.targets.first());
        let Some(target) = target else { continue };
        let prefix = target.path().strip_suffix(source);
        let prefix = prefix.filter(|prefix| prefix.is_empty() || prefix.ends_with('/'));
        let Some(prefix) = prefix else {
            reasons.push(format!(
                "{registry}: {target} does not end with the path {source}, and clients rewrite \
                 registries, not names"
            ));
            continue;
        };
        let place = (
            target.registry().to_string(),
            prefix.trim_end_matches('/').to_owned(),
        );
        places.entry(registry).or_default().insert(place);
    }
    let mut upstreams = Vec::new();
    for (registry, found) in places {
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some((host, prefix)), None) => {
                if let Some(base) = base_of(config, &host) {
                    upstreams.push(Upstream {
                        registry,
                        base,
                        prefix,
                    });
                }
            }
            (Some((a, x)), Some((b, y))) => reasons.push(format!(
                "{registry}: its repositories are at {a}/{x} and at {b}/{y}; a client knows one \
                 place for a registry"
            )),
            _ => {}
        }
    }
    (upstreams, reasons)
}

/// The address of a target.
fn base_of(config: &Config, host: &str) -> Option<Url> {
    let settings = config.registry(&host.parse().ok()?);
    let scheme = if settings.plain_http { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{host}")).ok()
}
