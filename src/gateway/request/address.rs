//! The address of a request: every form of it becomes one key.

use std::collections::HashMap;

use url::form_urlencoded;

use crate::oci::{Digest, RegistryName, Repository, Tag, Version};

/// What is asked of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Whether there is a registry.
    Ping,
    /// Something of a repository.
    Content {
        /// The source repository.
        repository: Repository,
        /// What of it.
        wanted: WantedContent,
        /// How the registry was named.
        form: AddressForm,
    },
}

/// What of a repository is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WantedContent {
    Manifest(Version),
    Blob(Digest),
    Tags,
    Referrers(Digest),
}

/// How the registry was named. Clients that use the gateway as a mirror have another host to go to,
/// those that write its name into the image do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressForm {
    /// As a mirror: by `ns`, or not at all.
    Mirror,
    /// In the image's name, or by a host name of the gateway.
    Named,
}

/// Why a request has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    /// No route of the API.
    Unsupported,
    /// The catalog, which is not shown.
    Catalog,
    /// A name, tag or digest that is none.
    Name(String),
    /// Two registries are named.
    Ambiguous(String),
}

/// How names are read.
#[derive(Clone, Copy)]
pub(crate) struct Naming<'a> {
    /// What a name without a registry means.
    pub(crate) registry: &'a RegistryName,
    /// Host names that stand for one registry.
    pub(crate) hosts: &'a HashMap<String, RegistryName>,
    /// Whether a registry is one that the configuration names.
    pub(crate) knows: &'a dyn Fn(&RegistryName) -> bool,
}

/// A request line and the host that it was sent to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLine<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// The `Host` header, or the authority of the URL.
    pub(crate) host: &'a str,
}

impl Address {
    /// Reads an address.
    pub(crate) fn parse(line: RequestLine<'_>, naming: Naming<'_>) -> Result<Self, AddressError> {
        // containerd escapes the colon of a digest and of a port.
        let path = line.path.replace("%3A", ":").replace("%3a", ":");
        let (before, rest) = match path.strip_prefix("/v2") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => (None, rest),
            _ => {
                let path = path.strip_prefix('/').unwrap_or(&path);
                let (host, rest) = path.split_once("/v2").ok_or(AddressError::Unsupported)?;
                if host.contains('/') || !(rest.is_empty() || rest.starts_with('/')) {
                    return Err(AddressError::Unsupported);
                }
                (Some(host), rest)
            }
        };
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Ok(Self::Ping);
        }
        if rest == "_catalog" {
            return Err(AddressError::Catalog);
        }
        let (name, wanted) = split(rest)?;
        // What stands before `/v2` is a part of the name as what stands after it.
        let name = match before {
            Some(host) => format!("{host}/{name}"),
            None => name.to_owned(),
        };
        let (repository, form) = repository(&name, line, naming)?;
        Ok(Self::Content {
            repository,
            wanted,
            form,
        })
    }
}

/// The repository in a path, as the client wrote it after `/v2/`: what its tokens are for.
pub(crate) fn written_name(path: &str) -> Option<String> {
    let path = path.replace("%3A", ":").replace("%3a", ":");
    let (_, rest) = path.split_once("/v2/")?;
    Some(split(rest).ok()?.0.to_owned())
}

/// The name in a path, and what of it is wanted.
fn split(rest: &str) -> Result<(&str, WantedContent), AddressError> {
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Ok((name, WantedContent::Tags));
    }
    let (path, last) = rest.rsplit_once('/').ok_or(AddressError::Unsupported)?;
    let (name, kind) = path.rsplit_once('/').ok_or(AddressError::Unsupported)?;
    let digest = || {
        last.parse::<Digest>()
            .map_err(|error| AddressError::Name(error.to_string()))
    };
    let wanted = match kind {
        "manifests" if last.contains(':') => WantedContent::Manifest(Version::Digest(digest()?)),
        "manifests" => {
            let tag = last.parse::<Tag>();
            let tag = tag.map_err(|error| AddressError::Name(error.to_string()))?;
            WantedContent::Manifest(Version::Tag(tag))
        }
        "blobs" => WantedContent::Blob(digest()?),
        "referrers" => WantedContent::Referrers(digest()?),
        _ => return Err(AddressError::Unsupported),
    };
    Ok((name, wanted))
}

/// The repository that a name stands for: by the host that was asked, by `ns`, by the registry in
/// the name, or by default. A registry named twice counts once.
fn repository(
    name: &str,
    line: RequestLine<'_>,
    naming: Naming<'_>,
) -> Result<(Repository, AddressForm), AddressError> {
    let (first, below) = name.split_once('/').unwrap_or((name, ""));
    let looks_like_host = first.contains(['.', ':']) || first == "localhost";
    let prefix = first
        .parse::<RegistryName>()
        .ok()
        .filter(|_| looks_like_host);
    let known_prefix = prefix.as_ref().filter(|registry| (naming.knows)(registry));
    let mut pairs = form_urlencoded::parse(line.query.as_bytes());
    let ns = pairs
        .find(|(key, _)| key == "ns")
        .map(|(_, value)| value.into_owned());
    let ns = match ns.filter(|ns| !ns.is_empty()) {
        Some(text) => {
            let parsed = text.parse::<RegistryName>();
            Some(parsed.map_err(|error| AddressError::Name(error.to_string()))?)
        }
        None => None,
    };
    let domain = naming.hosts.get(&host_name(line.host));
    match (domain.cloned().or(ns), known_prefix, prefix.as_ref()) {
        (Some(registry), Some(prefix), _) if registry == *prefix => {
            Ok((canonical(&registry, below)?, form(domain)))
        }
        // `ns` is the gateway's own name where its host is written into the image.
        (Some(registry), Some(prefix), _) if !(naming.knows)(&registry) => {
            Ok((canonical(prefix, below)?, AddressForm::Named))
        }
        (Some(registry), Some(prefix), _) => Err(AddressError::Ambiguous(format!(
            "the request names two registries, {registry} and {prefix}"
        ))),
        (Some(registry), None, _) => Ok((canonical(&registry, name)?, form(domain))),
        (None, Some(prefix), _) | (None, None, Some(prefix)) => {
            Ok((canonical(prefix, below)?, AddressForm::Named))
        }
        (None, None, None) => Ok((canonical(naming.registry, name)?, AddressForm::Mirror)),
    }
}

fn form(domain: Option<&RegistryName>) -> AddressForm {
    match domain {
        Some(_) => AddressForm::Named,
        None => AddressForm::Mirror,
    }
}

/// A host without its port, in lower case.
fn host_name(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A repository by the grammar of names, with `library/` where Docker Hub needs it.
fn canonical(registry: &RegistryName, path: &str) -> Result<Repository, AddressError> {
    let wrong = || AddressError::Name(format!("`{path}` is not a repository's name"));
    if path.is_empty() || path.contains([':', '@', '%']) {
        return Err(wrong());
    }
    // A registry without a dot, such as `registry`, would be read as a part of the path.
    let name = format!("{registry}/{path}");
    let repository = name.parse::<Repository>().map_err(|_| wrong())?;
    match repository.registry() == registry {
        true => Ok(repository),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests;
