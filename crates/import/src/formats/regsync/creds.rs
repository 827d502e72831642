//! The `creds` of regsync's file.

use crate::{
    diagnostics::Error,
    formats::Reader,
    model::{self, Registry, Setting},
    reference,
    template::Syntax,
    yaml::{self, Text, given, line},
};

/// Keys without which the same is mirrored.
const NEEDLESS: [&str; 5] = ["repoAuth", "credExpire", "blobMax", "priority", "api"];

yaml::record! {
    struct CredKeys {
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

/// One entry of `creds`.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Cred(CredKeys);

impl Cred {
    /// The registry. None where its name needs a variable that has no value.
    pub(super) fn registry(
        &self,
        at: usize,
        reader: &Reader<'_>,
    ) -> Result<Option<Registry>, Error> {
        let keys = &self.0;
        let what = "an entry of `creds` has no `registry`";
        let name = reader.needed(given(&keys.registry), at, what)?;
        let Ok(name) = reader.fill(name, Syntax::Go, at) else {
            return Ok(None);
        };
        let mut registry = reader.registry(&reference::host(&name), at);
        let login = [&keys.user, &keys.pass].map(given);
        registry.read_login(login, Syntax::Go, reader);
        if let Some(helper) = given(&keys.helper) {
            let short = helper.strip_prefix("docker-credential-").unwrap_or(helper);
            registry.login = vec![("login", Setting::Elsewhere("helper", short.into()))];
        }
        let is_http = given(&keys.tls) == Some("disabled");
        if !is_http && !matches!(given(&keys.tls), None | Some("enabled")) {
            let text = "`tls`: certificates are always verified: name the CA with `ca_file`";
            let at = keys.tls.as_ref().map_or(at, line);
            registry.remarks.push(reader.loss(at, text));
        }
        let scheme = if is_http { "http" } else { "https" };
        let endpoint = given(&keys.hostname).filter(|host| *host != name);
        let endpoint = endpoint.map(|host| Setting::Text(format!("{scheme}://{host}")));
        let positive = |n: Option<f64>| n.filter(|n| n.is_finite() && *n > 0.0);
        let connections = positive(keys.connections).map(|n| n.clamp(1.0, 256.0).floor());
        let number = |n: f64| Setting::Number(n.to_string());
        let size = |bytes: u64| match bytes % (1 << 20) {
            0 => Setting::Text(format!("{} MiB", bytes >> 20)),
            _ => Setting::Text(format!("{bytes} B")),
        };
        registry.keys = model::keys([
            ("plain_http", is_http.then_some(Setting::True)),
            ("endpoint", endpoint),
            ("connections", connections.map(number)),
            ("requests_per_second", positive(keys.rate).map(number)),
            (
                "chunk",
                positive(keys.chunk).map(|bytes| size(bytes as u64)),
            ),
        ]);
        registry
            .remarks
            .extend(reader.unread(&keys.other, &NEEDLESS));
        Ok(Some(registry))
    }
}
