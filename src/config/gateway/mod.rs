//! `[gateway]`: who may pull through the mirror, what, and where it is kept.

pub(crate) mod entry;
mod exposure;
mod network;
mod patterns;
mod users;

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use network::ClientNetwork;
pub use patterns::ImagePatterns;
pub use users::{GatewayUsers, UserTable};

use crate::{
    config::{
        Attestations, Config, Mirror, Origin, Prune, Referrers, Route, Schedule, Selection,
        mirror::placement::Placement,
    },
    oci::{Platform, RegistryName, Repository, Tag, Version},
};

/// The name of the mirror that holds what was pulled through.
pub const ON_DEMAND: &str = "on-demand";

/// A valid `[gateway]`.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayConfig {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate, where clients use TLS.
    pub tls: Option<TlsFiles>,
    /// Networks whose addresses may pull.
    pub clients: Vec<ClientNetwork>,
    /// What a name without a registry means.
    pub registry: RegistryName,
    /// Host names of the gateway that stand for one registry, in lower case.
    pub hosts: HashMap<String, RegistryName>,
    /// Repositories that may be pulled beyond what a mirror covers.
    pub allow: AllowList,
    /// Repositories that may not be pulled.
    pub deny: ImagePatterns,
    /// Who logs in; `None` asks nobody.
    pub users: Option<GatewayUsers>,
    /// Repositories that every client may pull, though their registry asks for a login.
    pub public: ImagePatterns,
    /// Where what is pulled through is kept, and how it is refreshed; `None` keeps nothing.
    pub on_demand: Option<OnDemand>,
    /// How long an image stays mirrored after its last pull.
    pub keep: Duration,
    /// A check that is younger answers a tag without a request to the upstream.
    pub fresh: Duration,
    /// How old a copy may be that is served while the upstream fails.
    pub stale: Duration,
    /// How blobs of the target reach clients.
    pub blobs: BlobDelivery,
    /// The largest image that is pulled through, in bytes.
    pub max_image: Option<u64>,
    /// What one client may ask for.
    pub client_limits: ClientLimits,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<ClientNetwork>,
}

/// The certificate of the listener and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// Repositories that may be pulled.
#[derive(Clone, Debug, PartialEq)]
pub enum AllowList {
    /// They stand in `mirror.toml`.
    Patterns(ImagePatterns),
    /// They stand in a file, one on a line, which is read again when it changes.
    File(PathBuf),
}

/// How blobs of the target reach clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobDelivery {
    /// Through the gateway.
    Proxy,
    /// By a redirect to the target.
    Redirect,
}

/// What one client address may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientLimits {
    /// Requests per second.
    pub requests_per_second: Option<f64>,
    /// Requests at a time.
    pub concurrent: Option<usize>,
    /// Bytes of blobs in a day.
    pub bytes_per_day: Option<u64>,
}

/// Where what is pulled through is kept, and how it is refreshed.
#[derive(Clone, Debug, PartialEq)]
pub struct OnDemand {
    pub(crate) placement: Arc<Placement>,
    pub(crate) schedule: Schedule,
    pub(crate) jitter: Duration,
    pub(crate) max_lag: Duration,
    pub(crate) prune: Option<Prune>,
    pub(crate) platforms: Option<Arc<[Platform]>>,
}

/// What the mirror `on-demand` is made of.
#[derive(Clone, Debug, Default)]
pub struct PulledImages {
    /// What somebody pulled lately, and no entry mirrors.
    pub kept: Vec<(Repository, Version)>,
    /// Source repositories of which the target has images that nobody pulled lately.
    pub leaving: Vec<Repository>,
}

impl OnDemand {
    /// The target repository of a source repository, unless it has no place there.
    pub fn target(&self, source: &Repository) -> Option<Repository> {
        self.placement.place(source).into_iter().next()?.ok()
    }

    /// The mirror of these images.
    fn mirror(&self, images: &PulledImages) -> Mirror {
        let route = |source: &Repository, selection, pin| {
            Some(Route {
                source: source.clone(),
                origin: Origin::Named,
                targets: vec![self.target(source)?],
                selection,
                taken: Vec::new(),
                pin,
            })
        };
        let kept = images.kept.iter().filter_map(|(source, version)| {
            let pin = match version {
                Version::Tag(_) => None,
                Version::Digest(digest) => Some(digest.clone()),
            };
            route(source, Selection::Tag(kept_tag(version)?), pin)
        });
        let leaving = images.leaving.iter();
        let leaving = leaving.filter_map(|source| route(source, Selection::Nothing, None));
        let routes = kept.chain(leaving);
        Mirror {
            name: ON_DEMAND.into(),
            schedule: self.schedule.clone(),
            jitter: self.jitter,
            max_lag: self.max_lag,
            is_paused: false,
            routes: routes.collect(),
            discoveries: Vec::new(),
            platforms: self.platforms.clone(),
            immutable: None,
            rename: None,
            attestations: Attestations::default(),
            referrers: Some(Referrers::default()),
            prune: self.prune,
            backup: None,
            verify_blobs_every: None,
        }
    }
}

/// The tag under which the target keeps what was pulled: a digest needs one, for registries remove
/// what no tag leads to.
pub fn kept_tag(version: &Version) -> Option<Tag> {
    match version {
        Version::Tag(tag) => Some(tag.clone()),
        Version::Digest(digest) => {
            let hex = digest.as_str().rsplit(':').next()?;
            let hex = hex.get(..64).unwrap_or(hex);
            format!("pinned-{hex}").parse().ok()
        }
    }
}

impl Config {
    /// The same with a mirror of what was pulled through, unless there is nothing.
    pub fn with_on_demand(mut self, images: &PulledImages) -> Self {
        self.mirrors.retain(|mirror| *mirror.name != *ON_DEMAND);
        let on_demand = self
            .gateway
            .as_ref()
            .and_then(|gateway| gateway.on_demand.as_ref());
        let mirror = on_demand.map(|on_demand| on_demand.mirror(images));
        self.mirrors
            .extend(mirror.filter(|mirror| !mirror.routes.is_empty()));
        self
    }
}
