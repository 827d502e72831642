//! Reads `mirror.toml` again, and finds what is different.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret as _;

use crate::{
    config::{self, Config, LoadOptions, WorkerConfig, parse::config_file::FileOrigin},
    coordination::{PublishedConfig, database::ConfigVersion},
};

/// What the file holds, and what is made of it.
pub(crate) struct Loaded {
    pub(crate) text: String,
    pub(crate) config: Result<Config, config::Error>,
    /// The published mirrors in it, where workers share them.
    pub(crate) published: Option<ConfigVersion>,
}

/// Whose mirrors are loaded.
#[derive(Clone, Debug)]
pub(crate) enum MirrorSource {
    /// Those of the file.
    File,
    /// Those that were published for all workers, if any were.
    Published(Option<PublishedConfig>),
}

impl MirrorSource {
    /// The version that was published.
    pub(crate) fn version(&self) -> Option<ConfigVersion> {
        match self {
            Self::File => None,
            Self::Published(published) => published.as_ref().map(|published| published.version),
        }
    }

    fn parse(&self, path: &Path, text: &str) -> Result<Config, config::Error> {
        match self {
            Self::File => Config::parse_with(path, text, LoadOptions::DAEMON),
            Self::Published(published) => {
                let published = published.as_ref().map(|published| &*published.text);
                Config::parse_worker(path, text, published, LoadOptions::DAEMON)
            }
        }
    }
}

/// Parses what was read. May wait for credential helpers: not for a thread that others wait for.
pub(crate) fn load(
    path: &Path,
    origin: FileOrigin,
    read: Result<String, config::Error>,
    mirrors: &MirrorSource,
) -> Loaded {
    let published = mirrors.version();
    match read {
        Ok(text) => Loaded {
            config: mirrors
                .parse(path, &text)
                .map(|config| Config { origin, ..config }),
            text,
            published,
        },
        Err(error) => Loaded {
            text: String::new(),
            config: Err(error),
            published,
        },
    }
}

/// Logs what a new configuration changes, and its warnings.
pub(crate) fn log_differences(before: &Config, after: &Config) {
    let differences = differences(before, after);
    for difference in &differences {
        tracing::info!("mirror.toml: {difference}");
    }
    if differences.is_empty() {
        tracing::info!("mirror.toml was read again and changes nothing");
    }
    if !after.warnings.is_empty() {
        tracing::warn!("{}", after.warnings);
    }
}

/// What is different, one line each; empty if nothing is.
fn differences(before: &Config, after: &Config) -> Vec<String> {
    let mut said = mirrors(before, after);
    let registries = before.registries.keys().chain(after.registries.keys());
    let mut registries: Vec<_> = registries.collect();
    registries.sort();
    registries.dedup();
    for name in registries {
        if before.registry(name) != after.registry(name) {
            said.push(format!("registry {name} is different"));
        }
    }
    said.extend(channels(before, after));
    if before.timezone != after.timezone {
        said.push(format!("the timezone is {}", after.timezone.name()));
    }
    let token = |config: &Config| {
        let token = config.http.token.as_ref();
        token.map(|token| token.expose_secret().to_owned())
    };
    let others = [
        ("[limits] are", before.limits != after.limits),
        ("[report] is", before.report != after.report),
        (
            "[http] external_url is",
            before.http.external_url != after.http.external_url,
        ),
        ("[http] hosts are", before.http.hosts != after.http.hosts),
        ("[http] token is", token(before) != token(after)),
        ("[gateway] is", before.gateway != after.gateway),
        ("[state] drain is", before.drain != after.drain),
    ];
    let others = others.iter().filter(|(_, is_different)| *is_different);
    said.extend(others.map(|(what, _)| format!("{what} different")));
    let begun = Begun::of(before);
    let late = begun.waiting_for_restart(after).into_iter();
    said.extend(late.map(|key| format!("{key} is different, which takes a restart")));
    let listener = |config: &Config| {
        let gateway = config.gateway.as_ref();
        gateway.map(|gateway| (gateway.listen, gateway.tls.clone()))
    };
    if listener(before) != listener(after) {
        said.push("[gateway] listen or tls is different, which takes a restart".into());
    }
    said
}

/// What the daemon started with, and keeps until it ends.
pub(crate) struct Begun {
    state_path: PathBuf,
    listen: SocketAddr,
    cluster: Option<WorkerConfig>,
}

impl Begun {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            state_path: config.state_path.clone(),
            listen: config.http.listen,
            cluster: config.cluster.clone(),
        }
    }

    /// The keys of a configuration that take effect at the next start.
    pub(crate) fn waiting_for_restart(&self, config: &Config) -> Vec<&'static str> {
        let keys = [
            ("[state] path", self.state_path != config.state_path),
            ("[http] listen", self.listen != config.http.listen),
            ("[cluster]", self.cluster != config.cluster),
        ];
        let keys = keys.into_iter().filter(|(_, is_different)| *is_different);
        keys.map(|(key, _)| key).collect()
    }
}

fn mirrors(before: &Config, after: &Config) -> Vec<String> {
    let mut said = Vec::new();
    for mirror in &after.mirrors {
        match before.mirrors.iter().find(|old| old.name == mirror.name) {
            None => said.push(format!("mirror {} is new", mirror.name)),
            Some(old) if old != mirror => {
                said.push(format!("mirror {} is different", mirror.name));
            }
            Some(_) => {}
        }
    }
    for mirror in &before.mirrors {
        if after.mirrors.iter().all(|new| new.name != mirror.name) {
            said.push(format!("mirror {} is gone; its history stays", mirror.name));
        }
    }
    said
}

fn channels(before: &Config, after: &Config) -> Vec<String> {
    let mut said = Vec::new();
    for channel in &after.channels {
        match before.channels.iter().find(|old| old.name == channel.name) {
            None => said.push(format!("channel {} is new", channel.name)),
            Some(old) if old != channel => {
                said.push(format!("channel {} is different", channel.name));
            }
            Some(_) => {}
        }
    }
    for channel in &before.channels {
        if after.channels.iter().all(|new| new.name != channel.name) {
            said.push(format!("channel {} is gone", channel.name));
        }
    }
    said
}

#[cfg(test)]
mod tests;
