//! The proxy, the IP family and the client certificate of a registry.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// The proxy to a registry.
#[derive(Clone, Debug, Default)]
pub enum Proxy {
    /// The one of the usual environment variables (`HTTPS_PROXY`, `NO_PROXY` and so on).
    #[default]
    Environment,
    /// No proxy, even if the environment names one.
    Direct,
    /// This proxy; its URL may hold a password.
    Url(SecretString),
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Url(a), Self::Url(b)) => a.expose_secret() == b.expose_secret(),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// Which addresses of a registry are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpFamily {
    /// All of them.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// A client certificate and its private key.
#[derive(Clone)]
pub struct ClientIdentity(SecretString);

impl ClientIdentity {
    /// The certificate chain followed by the key, PEM. It is parsed when the registry is opened.
    pub fn from_pem(pem: String) -> Self {
        Self(pem.into())
    }

    /// The chain and the key, PEM.
    pub fn pem(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.pem() == other.pem()
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}
