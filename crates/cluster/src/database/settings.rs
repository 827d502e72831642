//! Where the database is: its URL, and how far TLS is verified.

use std::{net::IpAddr, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use url::Url;

use crate::Error;

/// Where the database of the cluster is.
#[derive(Clone, Debug)]
pub struct Settings {
    url: SecretString,
}

impl Settings {
    /// `postgres://user:password@host:port/database`, with the parameters of libpq: `sslmode`,
    /// `sslrootcert`, `sslcert`, `sslkey`, `host`. What it does not name comes from the environment
    /// (`PGUSER`, `PGPASSWORD`, …), as for `psql`.
    ///
    /// Unless it names a `sslmode`, TLS is verified (`verify-full`), but to this machine itself.
    pub fn new(url: SecretString) -> Self {
        Self { url }
    }

    pub(crate) fn options(&self) -> Result<PgConnectOptions, Error> {
        let invalid = |reason: String| Error::Settings { reason };
        let text = self.url.expose_secret().trim();
        let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
        if !["postgres", "postgresql"].contains(&url.scheme()) {
            let scheme = url.scheme();
            return Err(invalid(format!("`{scheme}:` instead of `postgres:`")));
        }
        let options = PgConnectOptions::from_str(text).map_err(|error| match error {
            sqlx::Error::Configuration(cause) => invalid(cause.to_string()),
            other => invalid(other.to_string()),
        })?;
        let options = match names_mode(&url) {
            true => options,
            false => {
                let mode = default_mode(&options);
                options.ssl_mode(mode)
            }
        };
        // Poolers refuse parameters of a session that they do not know.
        let options = options.extra_float_digits(None).statement_cache_capacity(0);
        Ok(options
            .application_name("transship")
            .disable_statement_logging())
    }
}

fn names_mode(url: &Url) -> bool {
    let mut parameters = url.query_pairs();
    parameters.any(|(key, _)| key == "sslmode" || key == "ssl-mode")
        || std::env::var_os("PGSSLMODE").is_some()
}

fn default_mode(options: &PgConnectOptions) -> PgSslMode {
    let host = options.get_host();
    let is_address_here = IpAddr::from_str(host).is_ok_and(|address| address.is_loopback());
    let is_socket = options.get_socket().is_some() || host.starts_with('/');
    match is_socket || is_address_here || host == "localhost" {
        true => PgSslMode::Prefer,
        false => PgSslMode::VerifyFull,
    }
}

/// Host, port and database, for logs and errors.
pub(crate) fn label(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests;
