//! A source, a target and a `transship` between them: the usual stage of a test.

use crate::support::programs::transship::Transship;
use crate::support::registries::client::{Client, assert_mirrored};
use crate::support::registries::corpus::Image;
use crate::support::registries::registry::Registry;

const PLAIN: &str = "plain_http = true";

/// `mirror.toml` with these keys for the registries; a repository keeps its path below `mirror/`.
pub fn mirror_toml_with(source_keys: &str, target_keys: &str, mirrors: &str) -> String {
    format!(
        "[registries.\"SOURCE\"]\n{source_keys}\n\n[registries.\"TARGET\"]\n{target_keys}\n\n\
         [defaults]\ntarget = \"TARGET/mirror\"\npath = \"{{repository}}\"\n{mirrors}"
    )
}

/// The same over plain HTTP.
pub fn mirror_toml(mirrors: &str) -> String {
    mirror_toml_with(PLAIN, PLAIN, mirrors)
}

/// Puts the hosts in the places of `SOURCE` and `TARGET`.
pub fn fill_in(text: &str, source: &str, target: &str) -> String {
    text.replace("SOURCE", source).replace("TARGET", target)
}

/// The binary between any two hosts that speak plain HTTP.
pub fn between(source: &str, target: &str, mirrors: &str) -> Transship {
    Transship::new(&fill_in(&mirror_toml(mirrors), source, target))
}

/// The same with a host in the place of every other, by way of a proxy: `SOURCE` is the registry of
/// this name.
pub fn behind_proxy(source: &str, target: &str, registry: &str, mirrors: &str) -> Transship {
    let mut transship = between(registry, target, mirrors);
    transship.set_env("http_proxy", &format!("http://{source}"));
    transship.set_env("no_proxy", "127.0.0.1");
    transship
}

/// Two open registries and the binary.
pub struct Pair {
    pub source: Registry,
    pub target: Registry,
    pub transship: Transship,
    pub from: Client,
    pub to: Client,
}

impl Pair {
    /// A pair with these `[[mirror]]` entries; `SOURCE` and `TARGET` stand for the hosts.
    pub fn mirroring(mirrors: &str) -> Self {
        Self::configured(&mirror_toml(mirrors))
    }

    /// A pair with all of `mirror.toml` given.
    pub fn configured(text: &str) -> Self {
        let (source, target) = (Registry::start(), Registry::start());
        let transship = Transship::new(&fill_in(text, source.host(), target.host()));
        let (from, to) = (source.client(), target.client());
        Self {
            source,
            target,
            transship,
            from,
            to,
        }
    }

    /// A pair that mirrors every tag of the source's repositories of these names.
    pub fn of_repositories(names: &[&str]) -> Self {
        let entries: Vec<_> = names.iter().map(|name| all_tags_of(name)).collect();
        Self::mirroring(&entries.concat())
    }

    /// A pair whose only repository, `app`, holds this image as `v1`.
    pub fn holding(image: &Image) -> Self {
        let pair = Self::of_repositories(&["app"]);
        pair.from.push("app", "v1", image);
        pair
    }

    /// Replaces `mirror.toml`, with the usual defaults.
    pub fn reconfigure(&self, mirrors: &str) {
        let text = fill_in(
            &mirror_toml(mirrors),
            self.source.host(),
            self.target.host(),
        );
        self.transship.write("mirror.toml", &text);
    }

    /// Fails the test unless each `(repository, tag)` stands below `mirror/` at the target, bit for bit.
    pub fn assert_mirrored(&self, tags: &[(&str, &str)]) {
        for (repository, tag) in tags {
            assert_mirrored(
                &self.from,
                repository,
                &self.to,
                &format!("mirror/{repository}"),
                tag,
            );
        }
    }

    /// Forgets the requests so far.
    pub fn ignore_requests(&self) {
        self.source.new_requests();
        self.target.new_requests();
    }
}

/// An entry that mirrors every tag of one repository of the source.
pub fn all_tags_of(repository: &str) -> String {
    format!("\n[[mirror]]\nfrom = \"SOURCE/{repository}\"\ntags = \"*\"\n")
}
