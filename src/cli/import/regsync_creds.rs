//! The `creds` of regsync's file.

use super::{
    image,
    model::{Fields, Login, Registry, Remark, Secret, Teller},
    template::{self, Elsewhere},
    yaml::{BadYaml, Node},
};

/// Keys without which nothing is missing.
const NEEDLESS: [(&str, &str); 5] = [
    ("repoAuth", "each repository has a token of its own anyway"),
    (
        "credExpire",
        "a helper is asked again when its login is refused",
    ),
    ("blobMax", "a blob above `chunk` is sent in parts"),
    ("priority", "there are no mirrors to be sorted"),
    ("api", "there is one API"),
];

/// Keys that ask for what is not there, or for a file.
const LOST: [(&str, &str); 7] = [
    ("regcert", "save it as a file and name that with `ca_file`"),
    (
        "clientCert",
        "save it as a file and name that with `client_cert`",
    ),
    (
        "clientKey",
        "save it as a file and name that with `client_key`",
    ),
    ("pathPrefix", "write it into each `from`"),
    (
        "mirrors",
        "images come from the registry itself; `endpoint` sends requests elsewhere",
    ),
    ("token", "log in with `username` and `password`"),
    ("scheme", "set `plain_http = true` if it is http"),
];

/// Reads one entry.
pub(super) fn read(node: &Node, teller: &Teller) -> Result<Registry, BadYaml> {
    let mut fields = Fields::new(node, "an entry of `creds`")?;
    let name = image::host(fields.needed("registry")?);
    let mut registry = Registry::new(name, teller.place(node.line));
    (registry.login, registry.remarks) = login(&mut fields, teller)?;
    let tls = fields.get("tls");
    match tls.and_then(Node::text).unwrap_or_default() {
        "" | "enabled" => {}
        "disabled" => registry.plain_http = true,
        _ => {
            let line = tls.map_or(node.line, |tls| tls.line);
            let text = "`tls`: certificates are always verified; name the CA with `ca_file`";
            registry.remarks.push(teller.loss(line, text));
        }
    }
    let hostname = fields
        .text("hostname")?
        .filter(|host| *host != registry.name);
    let scheme = if registry.plain_http { "http" } else { "https" };
    registry.endpoint = hostname.map(|host| format!("{scheme}://{host}"));
    let positive = |number: Option<f64>| number.filter(|number| *number > 0.0);
    registry.requests_per_second = positive(fields.number("reqPerSec")?);
    let connections = positive(fields.number("reqConcurrent")?);
    registry.connections = connections.map(|count| count.clamp(1.0, 256.0) as u64);
    registry.chunk_bytes = positive(fields.number("blobChunk")?).map(|bytes| bytes as u64);
    registry.remarks.extend(fields.notes(teller, &NEEDLESS));
    registry.remarks.extend(fields.losses(teller, &LOST));
    registry.remarks.extend(fields.unknown(teller));
    Ok(registry)
}

fn login(fields: &mut Fields<'_>, teller: &Teller) -> Result<(Login, Vec<Remark>), BadYaml> {
    let line = fields.line();
    let lost = |text: &str| Ok((Login::None, vec![teller.loss(line, text)]));
    let (username, password) = (fields.text("user")?, fields.text("pass")?);
    if let Some(helper) = fields.text("credHelper")? {
        let short = helper.strip_prefix("docker-credential-").unwrap_or(helper);
        return Ok((Login::Helper(short.into()), Vec::new()));
    }
    match (username, password) {
        (None, None) => Ok((Login::None, Vec::new())),
        (Some(username), Some(password)) if !username.contains("{{") => {
            let secret = match template::elsewhere(password) {
                Some(Elsewhere::Env(name)) => Secret::Env(name),
                Some(Elsewhere::File(path)) => Secret::File(path),
                None if password.contains("{{") => {
                    return lost(
                        "`pass` is computed: set `username` and `password`, the latter as { env }, \
                         { file } or { credential }",
                    );
                }
                None => Secret::Given(password.into()),
            };
            let username = username.into();
            Ok((Login::Password { username, secret }, Vec::new()))
        }
        (Some(_), Some(_)) => lost(
            "`user` is computed: set `username` as a text, and `password` as { env }, { file } or \
             { credential }",
        ),
        _ => lost("`user` and `pass` are no login without each other"),
    }
}
