//! What an application decides: how each registry is reached, what logs in to it, and its limits.

mod auth_file;
mod bandwidth;
pub mod bounded_file;
pub(crate) mod credential_helper;
pub(crate) mod login;
mod network;
pub(crate) mod proxy_environment;

use std::{collections::HashMap, time::Duration};

use url::Url;

pub use auth_file::PathLogin;
pub use bandwidth::{Bandwidth, BandwidthWindow};
pub use login::{Credential, Login, LoginSource, Renewal, Unreadable, check_helper_name};
pub use network::{ClientIdentity, IpFamily, Proxy};

use crate::{oci::RegistryName, vendor::Vendor};

/// The settings of all registries.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The registries that differ from the default.
    pub registries: HashMap<RegistryName, RegistrySettings>,
    /// Blob bytes per second of all registries together, in both directions.
    pub bandwidth: Option<Bandwidth>,
}

/// How to reach and use one registry.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistrySettings {
    /// Whether to use HTTP without TLS.
    pub plain_http: bool,
    /// Certificates to trust beside the system's, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The client certificate, for registries that ask for one.
    pub client_identity: Option<ClientIdentity>,
    /// Where requests go instead of to the host of the registry's name.
    pub endpoint: Option<Url>,
    /// The proxy. Default: the one of the environment.
    pub proxy: Proxy,
    /// Which addresses are used.
    pub ip: IpFamily,
    /// How to log in.
    pub login: Login,
    /// Maximum concurrent blob transfers, in each direction. Small requests have four permits for
    /// each, and on a far line up to sixteen, 256 at most.
    pub connections: usize,
    /// A connection that moves no byte for this long is broken. Default: 30 seconds.
    pub stall: Duration,
    /// Blobs larger than this are uploaded in chunks of this size, in bytes.
    pub chunk: u64,
    /// Maximum requests per second; `None` applies the vendor's known limit, if it has one.
    pub requests_per_second: Option<f64>,
    /// Maximum blob bytes per second.
    pub bandwidth: Option<Bandwidth>,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            plain_http: false,
            ca_pem: None,
            client_identity: None,
            endpoint: None,
            proxy: Proxy::Environment,
            ip: IpFamily::Any,
            login: Login::default(),
            connections: 16,
            stall: Duration::from_secs(30),
            chunk: 32 << 20,
            requests_per_second: None,
            bandwidth: None,
        }
    }
}

impl RegistrySettings {
    /// The URL of a registry's API with these settings; an error for a name that is no host.
    pub fn api_url(&self, registry: &RegistryName) -> Result<Url, url::ParseError> {
        if let Some(endpoint) = &self.endpoint {
            return Ok(endpoint.clone());
        }
        let host = Vendor::of(registry).api_host();
        let host = host.unwrap_or(registry.as_str());
        let scheme = if self.plain_http { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{host}/"))
    }

    /// Maximum requests per second to a registry with these settings; `None` for no limit.
    pub fn requests_per_second_of(&self, registry: &RegistryName) -> Option<f64> {
        let usual = || Vendor::of(registry).requests_per_second();
        self.requests_per_second.or_else(usual)
    }
}
