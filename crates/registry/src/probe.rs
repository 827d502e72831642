//! Probes that show whether a registry can be used, and leave no content behind.

use std::{error::Error as StdError, io, time::Duration};

use reqwest::{Method, header::HeaderMap};

use super::{Error, Kind, Registry, TagListing, UploadStart, found, header};
use crate::{
    Operation,
    auth::LoginKind,
    content::manifests::is_head_refused,
    oci::{Digest, Reference, Repository, Tag},
};

/// Whether a registry answers.
#[derive(Clone, Debug)]
pub enum Reachability {
    /// It answers, with any status.
    Reachable,
    /// It accepts connections, but TLS fails.
    NoTls(Error),
    /// It accepts no connection.
    Unreachable(Error),
}

/// The identity that requests to a registry carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// In words, without a secret.
    pub who: String,
    /// Whether a login is configured.
    pub has_login: bool,
    /// Whether the registry has asked for authorization so far.
    pub is_asked_for: bool,
    /// Whether requests use TLS.
    pub is_secure: bool,
}

/// A pull quota, as Docker Hub reports it
/// ([usage](https://docs.docker.com/docker-hub/usage/pulls/)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Pulls per window, if reported.
    pub limit: Option<u64>,
    /// Pulls left in the window.
    pub remaining: u64,
    /// The length of the window, if reported.
    pub window: Option<Duration>,
}

/// The result of probing a manifest that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestProbe {
    /// The pull quota, if the registry reports it.
    pub quota: Option<Quota>,
}

impl Registry {
    /// Checks whether anything answers at the registry's address, without logging in.
    pub async fn probe_reach(&self) -> Reachability {
        let mut url = url::Url::clone(&self.http.base);
        url.set_path("/v2/");
        let request = self.http.request(&Method::GET, url);
        let request = request.timeout(self.http.stall);
        let Err(error) = request.send().await else {
            return Reachability::Reachable;
        };
        let name = self.http.name.to_string();
        let failure = self.http.error(Operation::Reach, name, Kind::from(&error));
        match is_tls(&error) {
            true => Reachability::NoTls(failure),
            false => Reachability::Unreachable(failure),
        }
    }

    /// The first page of a repository's tags; `None` if there is no such repository.
    pub async fn probe_tags(&self, repository: &Repository) -> Result<Option<Vec<Tag>>, Error> {
        let request = self.tags_request(repository);
        let Some(answer) = found(self.client.send(&self.http, &request).await)? else {
            return Ok(None);
        };
        let mut listing = TagListing::default();
        listing.read_page(&answer).map_err(|kind| {
            let (operation, subject) = (request.operation, request.subject.clone());
            self.http.error(operation, subject, kind)
        })?;
        Ok(Some(listing.tags))
    }

    /// Checks a manifest with a HEAD, which costs no pull; `None` if it does not exist. Falls back to a
    /// GET if the HEAD finds nothing or is not supported.
    pub async fn probe_manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<ManifestProbe>, Error> {
        let request = self.manifest_request(Operation::CheckManifest, reference, Method::HEAD);
        match found(self.client.send(&self.http, &request).await) {
            Ok(Some(answer)) => Ok(Some(ManifestProbe {
                quota: quota(&answer.headers),
            })),
            Err(error) if !is_head_refused(&error) => Err(error),
            Ok(None) | Err(_) => {
                let manifest = self.get_manifest(reference).await?;
                Ok(manifest.map(|_| ManifestProbe { quota: None }))
            }
        }
    }

    /// Starts an upload into a repository and cancels it. It creates no blob and no repository, but
    /// distribution keeps a few bytes of the session in its upload folder.
    pub async fn probe_push(&self, repository: &Repository) -> Result<(), Error> {
        let digest = Digest::of(b"");
        match self.start_upload(repository, &digest, None).await? {
            UploadStart::Session(upload) => self.cancel(&upload).await,
            UploadStart::Mounted => {}
        }
        Ok(())
    }

    /// The identity that requests to a registry carry.
    pub fn identity(&self) -> Identity {
        let (who, has_login) = match self.client.auth.login_kind() {
            LoginKind::Anonymous => ("anonymous".to_owned(), false),
            LoginKind::User(name) => (format!("as `{name}`"), true),
            LoginKind::Token => ("with an identity token".to_owned(), true),
        };
        Identity {
            who,
            has_login,
            is_asked_for: self.client.auth.is_asked_for(),
            is_secure: self.http.is_secure(),
        }
    }
}

/// Reads `ratelimit-remaining: 76;w=21600` and `ratelimit-limit`.
pub(crate) fn quota(headers: &HeaderMap) -> Option<Quota> {
    let (remaining, window) = count(header(headers, "ratelimit-remaining")?)?;
    let limit = header(headers, "ratelimit-limit").and_then(count);
    Some(Quota {
        limit: limit.map(|(limit, _)| limit),
        remaining,
        window: window.or(limit.and_then(|(_, window)| window)),
    })
}

fn count(text: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = text.split(';').map(str::trim);
    let count = parts.next()?.parse().ok()?;
    let seconds = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
    Some((count, seconds.map(Duration::from_secs)))
}

/// Whether the cause of an error is TLS. The source of an `io::Error` skips the error it wraps.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = cause {
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if error.is::<rustls::Error>() || wrapped.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        // An error that is wrapped twice is followed by its inner name.
        cause = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests;
