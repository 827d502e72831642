//! Questions that show whether a registry can be used, and leave no content behind there.

use std::{error::Error as StdError, io, time::Duration};

use reqwest::{Method, header::HeaderMap};

use super::{Error, Kind, Registry, TagListing, UploadStart, found, header};
use crate::{
    Operation,
    auth::LoginKind,
    content::manifests::is_head_refused,
    oci::{Digest, Reference, Repository, Tag},
};

/// Whether a registry answers at all.
#[derive(Clone, Debug)]
pub enum Reachability {
    /// It does, whatever it says.
    Reachable,
    /// There is a connection, but no TLS on it.
    NoTls(Error),
    /// There is no connection.
    Unreachable(Error),
}

/// Who the registry takes us for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// In words, without any secret.
    pub who: String,
    /// Whether there is a login in the config.
    pub has_login: bool,
    /// Whether the registry has asked for authorization so far.
    pub is_asked_for: bool,
    /// Whether there is TLS around what we say.
    pub is_secure: bool,
}

/// What is left of what a registry gives out in a time, as Docker Hub tells it
/// ([usage](https://docs.docker.com/docker-hub/usage/pulls/)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Pulls in all, where it is told.
    pub limit: Option<u64>,
    /// Pulls left.
    pub remaining: u64,
    /// In what time.
    pub window: Option<Duration>,
}

/// A manifest that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestProbe {
    /// What quota is left, where the registry tells.
    pub quota: Option<Quota>,
}

impl Registry {
    /// Whether anything answers at the registry's address. Nobody logs in.
    pub async fn probe_reach(&self) -> Reachability {
        let mut url = url::Url::clone(&self.http.base);
        url.set_path("/v2/");
        let request = self.http.read_client.get(url).timeout(self.http.stall);
        let Err(error) = request.send().await else {
            return Reachability::Reachable;
        };
        let name = self.http.name.to_string();
        let told = self.http.error(Operation::Reach, name, Kind::from(&error));
        match is_tls(&error) {
            true => Reachability::NoTls(told),
            false => Reachability::Unreachable(told),
        }
    }

    /// The first page of a repository's tags; `None` when there is no such repository.
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

    /// Asks for a manifest by HEAD, which no quota counts: whether it is there, and what quota is
    /// left for others. Where a HEAD finds nothing, or is not known, the manifest itself is asked
    /// for.
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

    /// Begins an upload into a repository and cancels it. No blob and no repository comes of it;
    /// distribution keeps a few bytes of a session in its own upload folder even so.
    pub async fn probe_push(&self, repository: &Repository) -> Result<(), Error> {
        let digest = Digest::of(b"");
        match self.start_upload(repository, &digest, None).await? {
            UploadStart::Session(upload) => self.cancel(&upload).await,
            UploadStart::Mounted => {}
        }
        Ok(())
    }

    /// Who the registry takes us for.
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

/// Reads `ratelimit-remaining: 76;w=21600` and its fellow.
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

/// Whether the cause of an error is TLS. `io::Error` skips what it wraps when it tells its cause.
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
