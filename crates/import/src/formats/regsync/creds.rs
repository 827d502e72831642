//! The `creds` of regsync's file.

use crate::{
    diagnostics::Error,
    model::{self, Registry, Toml},
    reader::Reader,
    reference,
    template::Syntax,
    yaml::{self, Text, given, line},
};

/// Keys without which the same is mirrored.
const NEEDLESS: &str = "repoAuth credExpire blobMax priority api";

yaml::record! {
    /// One entry of `creds`.
    pub(super) struct Cred {
        registry: Option<Text> = "registry",
        hostname: Option<Text> = "hostname",
        user: Option<Text> = "user",
        pass: Option<Text> = "pass",
        helper: Option<Text> = "credHelper",
        tls: Option<Text> = "tls",
        rate: Option<f64> = "reqPerSec",
        connections: Option<f64> = "reqConcurrent",
        chunk: Option<f64> = "blobChunk",
    }
}

impl Cred {
    /// The registry. None where its name needs a variable that has no value.
    pub(super) fn registry(
        &self,
        at: usize,
        reader: &Reader<'_>,
    ) -> Result<Option<Registry>, Error> {
        let what = "an entry of `creds` has no `registry`";
        let name = reader.needed(given(&self.registry), at, what)?;
        let Ok(name) = reader.fill(name, Syntax::Go, at, &[]) else {
            return Ok(None);
        };
        let mut registry = reader.registry(&reference::host(&name), at);
        let login = [&self.user, &self.pass].map(given);
        registry.read_login(login, Syntax::Go, reader);
        if let Some(helper) = given(&self.helper) {
            let short = helper.strip_prefix("docker-credential-").unwrap_or(helper);
            registry.login = vec![("login", Toml::elsewhere("helper", short))];
            registry.password = None;
        }
        let is_http = given(&self.tls) == Some("disabled");
        if !is_http && !matches!(given(&self.tls), None | Some("enabled")) {
            let text = "`tls`: certificates are always verified: name the CA with `ca_file`";
            let at = self.tls.as_ref().map_or(at, line);
            reader.lose(at, text);
        }
        let scheme = if is_http { "http" } else { "https" };
        let endpoint = given(&self.hostname).filter(|host| *host != name);
        let endpoint = endpoint.map(|host| Toml::text(format!("{scheme}://{host}")));
        let positive = |n: Option<f64>| n.filter(|n| n.is_finite() && *n > 0.0);
        let connections = positive(self.connections).map(|n| n.clamp(1.0, 256.0).floor());
        let size = |bytes: u64| match bytes % (1 << 20) {
            0 => Toml::text(format!("{} MiB", bytes >> 20)),
            _ => Toml::text(format!("{bytes} B")),
        };
        let chunk = positive(self.chunk).map(|bytes| size(bytes as u64));
        registry.keys = model::keys([
            ("plain_http", is_http.then(Toml::yes)),
            ("endpoint", endpoint),
            ("connections", connections.map(Toml::number)),
            ("requests_per_second", positive(self.rate).map(Toml::number)),
            ("chunk", chunk),
        ]);
        reader.unread(&self.other, NEEDLESS);
        Ok(Some(registry))
    }
}
