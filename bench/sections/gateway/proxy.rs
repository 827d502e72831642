//! The proxies that are measured, and how each is set up to pull from the source.

use std::path::PathBuf;

use serde_json::json;

use crate::tools::{self, Address};

/// What answers pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    Transship,
    /// Debian's docker-registry, distribution 2.
    DockerRegistry,
    /// distribution 3, as `registry` on the PATH.
    Distribution,
    Zot,
}

pub const PROXIES: [Proxy; 4] = [
    Proxy::Transship,
    Proxy::DockerRegistry,
    Proxy::Distribution,
    Proxy::Zot,
];

impl Proxy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Transship => "transship",
            Self::DockerRegistry => "docker-registry",
            Self::Distribution => "registry",
            Self::Zot => "zot",
        }
    }

    pub fn program(self) -> Option<PathBuf> {
        match self {
            Self::Transship => Some(tools::transship()),
            Self::DockerRegistry | Self::Distribution | Self::Zot => tools::on_path(self.name()),
        }
    }

    /// The file that configures it, and the arguments that start it.
    pub fn configured(
        self,
        upstream: &Address,
        target: &Address,
        port: u16,
    ) -> (String, &'static [&'static str]) {
        match self {
            Self::Transship => (
                transship_toml(upstream, target, port),
                &["--config", "proxy.conf", "serve"],
            ),
            Self::DockerRegistry | Self::Distribution => {
                let text = format!(
                    "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                     storage: {{filesystem: {{rootdirectory: data}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n\
                     proxy: {{remoteurl: \"{}\"}}\n",
                    upstream.base()
                );
                (text, &["serve", "proxy.conf"])
            }
            Self::Zot => (zot_json(upstream, port), &["serve", "proxy.conf"]),
        }
    }
}

fn transship_toml(upstream: &Address, target: &Address, port: u16) -> String {
    let (upstream, target) = (
        (upstream.toml(""), &upstream.host),
        (target.toml(""), &target.host),
    );
    let ((upstream_table, upstream), (target_table, target)) = (upstream, target);
    format!(
        "[state]\npath = \"state.db\"\n[http]\nlisten = \"127.0.0.1:0\"\n{upstream_table}{target_table}\
         [defaults]\ntarget = \"{target}/mirror\"\n\
         [gateway]\nlisten = \"127.0.0.1:{port}\"\nregistry = \"{upstream}\"\nallow = [\"{upstream}/**\"]\n\
         target = \"{target}/cache\"\n[[mirror]]\nfrom = \"{upstream}/bench/listed\"\ntags = \"*\"\n"
    )
}

fn zot_json(upstream: &Address, port: u16) -> String {
    let registry = json!({
        "urls": [upstream.base()], "onDemand": true, "tlsVerify": upstream.has_tls(),
        "content": [{"prefix": "**"}],
    });
    let config = json!({
        "storage": {"rootDirectory": "data", "gc": false},
        "http": {"address": "127.0.0.1", "port": port.to_string(), "compat": ["docker2s2"]},
        "log": {"level": "error"},
        "extensions": {"sync": {"enable": true, "registries": [registry]}},
    });
    config.to_string()
}
