//! The `creds` of regsync's file.

use crate::{
    diagnostics::Error,
    formats::Reader,
    model::{Registry, Setting},
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
        let mut registry = Registry::new(&reference::host(&name), reader.place(at));
        registry.read_login(given(&keys.user), given(&keys.pass), Syntax::Go, reader);
        if let Some(helper) = given(&keys.helper) {
            let short = helper.strip_prefix("docker-credential-").unwrap_or(helper);
            registry.login = vec![("login", Setting::Elsewhere("helper", short.into()))];
        }
        let mut set = |key, setting| registry.keys.push((key, setting));
        let mut scheme = "https";
        match given(&keys.tls) {
            None | Some("enabled") => {}
            Some("disabled") => {
                scheme = "http";
                set("plain_http", Setting::True);
            }
            Some(_) => {
                let text = "`tls`: certificates are always verified: name the CA with `ca_file`";
                let at = keys.tls.as_ref().map_or(at, line);
                registry.remarks.push(reader.loss(at, text));
            }
        }
        if let Some(host) = given(&keys.hostname).filter(|host| *host != name) {
            set("endpoint", Setting::Text(format!("{scheme}://{host}")));
        }
        let positive = |n: Option<f64>| n.filter(|n| n.is_finite() && *n > 0.0);
        if let Some(count) = positive(keys.connections) {
            let count = count.clamp(1.0, 256.0).floor();
            set("connections", Setting::Number(count.to_string()));
        }
        if let Some(rate) = positive(keys.rate) {
            set("requests_per_second", Setting::Number(rate.to_string()));
        }
        if let Some(bytes) = positive(keys.chunk).map(|bytes| bytes as u64) {
            let size = match bytes % (1 << 20) {
                0 => format!("{} MiB", bytes >> 20),
                _ => format!("{bytes} B"),
            };
            set("chunk", Setting::Text(size));
        }
        registry
            .remarks
            .extend(reader.unread(&keys.other, &NEEDLESS));
        Ok(Some(registry))
    }
}
