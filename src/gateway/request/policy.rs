//! Which repositories may be pulled, and where their copies are.

use std::collections::HashSet;

use crate::{
    config::{Config, GatewayConfig, ImagePatterns, Mirror},
    oci::{RegistryName, Repository, Tag, Version},
    sync::allows,
};

/// What may be done about a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PullDecision<'a> {
    /// An entry mirrors it.
    Mirrored {
        /// The entry.
        mirror: &'a Mirror,
        /// Where it is.
        copy: Copied,
    },
    /// It may be pulled through.
    Allowed {
        /// Where it is kept, if it is.
        copy: Option<Copied>,
    },
    /// It may not.
    Refused(PullRefusal),
}

/// Where the copy of an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    /// The target repository.
    pub(crate) repository: Repository,
    /// What the tag is called there; `None` for a digest.
    pub(crate) tag: Option<Tag>,
}

/// Why something may not be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PullRefusal {
    /// `deny` names it.
    Denied,
    /// Nothing names its registry.
    UnknownRegistry,
    /// Nothing names it.
    NotListed,
}

impl PullRefusal {
    /// Every refusal.
    pub(crate) const ALL: [Self; 3] = [Self::Denied, Self::UnknownRegistry, Self::NotListed];

    /// The label in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::UnknownRegistry => "unknown_registry",
            Self::NotListed => "not_listed",
        }
    }

    /// Why, and what an operator adds to `mirror.toml`.
    pub(crate) fn text(self, repository: &Repository) -> String {
        match self {
            Self::Denied => format!("{repository} is refused by `deny` of [gateway]"),
            Self::UnknownRegistry => format!(
                "no mirror and no `allow` names the registry {}; to let it through, add allow = \
                 [\"{repository}\"] to [gateway] in mirror.toml",
                repository.registry()
            ),
            Self::NotListed => format!(
                "{repository} is not mirrored and not allowed; to let it through, add allow = \
                 [\"{repository}\"] to [gateway] in mirror.toml, or mirror it with [[mirror]] from \
                 = \"{repository}\""
            ),
        }
    }
}

/// The rules in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy<'a> {
    pub(crate) config: &'a Config,
    pub(crate) gateway: &'a GatewayConfig,
    /// What may be pulled beyond the mirrors.
    pub(crate) allow: &'a ImagePatterns,
}

impl<'a> Policy<'a> {
    /// Decides about a version of a repository; none is asked for where its tags are listed.
    pub(crate) fn decide(
        self,
        repository: &Repository,
        version: Option<&Version>,
    ) -> PullDecision<'a> {
        if self.gateway.deny.matches(repository) {
            return PullDecision::Refused(PullRefusal::Denied);
        }
        if let Some((mirror, copy)) = self.mirrored(repository, version) {
            return PullDecision::Mirrored { mirror, copy };
        }
        if self.allow.matches(repository) {
            let target = self.gateway.on_demand.as_ref();
            let target = target.and_then(|on_demand| on_demand.target(repository));
            let copy = target.map(|repository| Copied {
                repository,
                tag: tag_of(version).cloned(),
            });
            return PullDecision::Allowed { copy };
        }
        PullDecision::Refused(match self.registries().contains(repository.registry()) {
            true => PullRefusal::NotListed,
            false => PullRefusal::UnknownRegistry,
        })
    }

    /// The entry that mirrors it. A digest belongs to the first entry of its repository.
    fn mirrored(
        self,
        repository: &Repository,
        version: Option<&Version>,
    ) -> Option<(&'a Mirror, Copied)> {
        let tag = tag_of(version);
        self.config.mirrors.iter().find_map(|mirror| {
            let named = mirror
                .routes
                .iter()
                .filter(|route| route.source == *repository);
            let found = mirror
                .discoveries
                .iter()
                .filter(|found| found.matches(repository));
            let found = found.filter_map(|found| found.route(repository).ok());
            let mut routes = named.cloned().chain(found);
            let route = routes.find(|route| tag.is_none_or(|tag| allows(route, tag)))?;
            let tag = match tag {
                Some(tag) => Some(mirror.target_tag(tag).ok()?),
                None => None,
            };
            let repository = route.targets.into_iter().next()?;
            Some((mirror, Copied { repository, tag }))
        })
    }

    /// Other repositories whose images are kept in the same target repository, or may be.
    pub(crate) fn neighbours(self, repository: &Repository, place: &Repository) -> Vec<Repository> {
        let routes = self.config.mirrors.iter().flat_map(|mirror| &mirror.routes);
        let mirrored = routes.filter(|route| route.targets.contains(place));
        let mirrored = mirrored.map(|route| route.source.clone());
        let on_demand = self.gateway.on_demand.as_ref();
        let elsewhere = self.registries().into_iter().filter_map(|registry| {
            let other: Repository = format!("{registry}/{}", repository.path()).parse().ok()?;
            let found = self
                .config
                .mirrors
                .iter()
                .flat_map(|mirror| &mirror.discoveries);
            let mut found = found.filter(|found| found.matches(&other));
            let is_found = found.any(|found| {
                found
                    .route(&other)
                    .is_ok_and(|route| route.targets.contains(place))
            });
            let is_kept = || {
                on_demand?
                    .target(&other)
                    .filter(|_| self.allow.matches(&other))
            };
            (is_found || is_kept().as_ref() == Some(place)).then_some(other)
        });
        let mut all: Vec<_> = mirrored.chain(elsewhere).collect();
        all.retain(|other| other != repository);
        all
    }

    /// The registries that the configuration names: no other is ever contacted.
    pub(crate) fn registries(self) -> HashSet<RegistryName> {
        let mirrors = self.config.mirrors.iter();
        let sources = mirrors.flat_map(Mirror::source_registries);
        let hosts = self.gateway.hosts.values().chain([&self.gateway.registry]);
        let allowed = self.allow.registries().into_iter();
        let allowed = allowed.filter_map(|name| name.parse().ok());
        sources.chain(hosts).cloned().chain(allowed).collect()
    }
}

fn tag_of(version: Option<&Version>) -> Option<&Tag> {
    match version {
        Some(Version::Tag(tag)) => Some(tag),
        Some(Version::Digest(_)) | None => None,
    }
}

#[cfg(test)]
mod tests;
