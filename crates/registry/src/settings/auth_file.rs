//! Files with logins: docker's config.json and podman's auth.json
//! ([containers-auth.json](https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md)).

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

use crate::{oci::RegistryName, settings::Credential};

/// The names under which docker keeps Docker Hub.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// Decodes logins as tools write them, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A login for what begins with a path of a registry.
#[derive(Clone, Debug, PartialEq)]
pub struct PathLogin {
    /// A namespace or a repository.
    pub path: String,
    /// Its login.
    pub credential: Credential,
}

/// The logins of one registry in one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundLogins {
    /// For the registry as a whole.
    pub(crate) whole: Option<Credential>,
    /// For parts of it.
    pub(crate) paths: Vec<PathLogin>,
    /// The credential helper to ask first.
    pub(crate) helper: Option<String>,
}

/// Finds the logins of a registry. The error is what is wrong with the file.
pub(crate) fn find(text: &str, registry: &RegistryName) -> Result<FoundLogins, String> {
    let text = text.trim_start_matches('\u{feff}');
    let file: Map<String, Value> = match serde_json::from_str(text) {
        Ok(Value::Object(file)) => file,
        Ok(_) => return Err("holds no JSON object".into()),
        Err(error) => return Err(format!("is not JSON, at line {}", error.line())),
    };
    let mut found = FoundLogins {
        helper: helper(&file, registry),
        ..FoundLogins::default()
    };
    // Before docker 1.7 the whole file was what `auths` is.
    let auths = match file.get("auths") {
        Some(Value::Object(auths)) => auths,
        Some(_) => return Ok(found),
        None => &file,
    };
    let mut best = None;
    for (key, entry) in auths {
        let Some((rank, path)) = place(key, registry) else {
            continue;
        };
        let Some(credential) = credential(entry) else {
            continue;
        };
        match path {
            "" if best.is_none_or(|known| rank < known) => {
                best = Some(rank);
                found.whole = Some(credential);
            }
            "" => {}
            path => found.paths.push(PathLogin {
                path: path.to_owned(),
                credential,
            }),
        }
    }
    found
        .paths
        .sort_by_key(|login| std::cmp::Reverse(login.path.len()));
    Ok(found)
}

/// How exactly a key names a registry, 0 being best, and the path that follows.
fn place<'a>(key: &'a str, registry: &RegistryName) -> Option<(u8, &'a str)> {
    let scheme = ["https://", "http://"]
        .iter()
        .find_map(|scheme| key.strip_prefix(scheme));
    let rest = scheme.unwrap_or(key);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    let is_hub = registry.as_str() == "docker.io";
    let is_own = match is_hub {
        true => DOCKER_HUB
            .iter()
            .any(|name| host.eq_ignore_ascii_case(name)),
        false => host.eq_ignore_ascii_case(registry.as_str()),
    };
    // docker's keys with a scheme, and `/v1/`, mean the registry as a whole.
    let path = match path {
        "v1" | "v2" => "",
        _ if scheme.is_some() => "",
        path => path,
    };
    let rank = match key {
        "https://index.docker.io/v1/" if is_hub => 0,
        _ => u8::from(scheme.is_some()) + 2 * u8::from(host != registry.as_str()),
    };
    is_own.then_some((rank, path))
}

/// The login of an entry: a token for the registry, one that refreshes, else what `auth` holds, else name and password.
fn credential(entry: &Value) -> Option<Credential> {
    let text = |key: &str| entry[key].as_str().filter(|text| !text.is_empty());
    if let Some(token) = text("registrytoken") {
        return Some(Credential::RegistryToken(token.into()));
    }
    if let Some(token) = text("identitytoken") {
        return Some(Credential::IdentityToken(token.into()));
    }
    let (username, password) = match text("auth") {
        Some(auth) => decode(auth)?,
        None => (text("username")?.to_owned(), text("password")?.to_owned()),
    };
    if username == "<token>" {
        return Some(Credential::IdentityToken(password.into()));
    }
    (!username.is_empty() || !password.is_empty()).then(|| Credential::Basic {
        username,
        password: password.into(),
    })
}

fn decode(auth: &str) -> Option<(String, String)> {
    let auth: String = auth.split_ascii_whitespace().collect();
    let pair = String::from_utf8(LENIENT.decode(auth).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    // Old dockers padded with zero bytes.
    let clean = |text: &str| text.trim_matches('\0').to_owned();
    Some((clean(username), clean(password)))
}

/// The helper of a registry, else that of all. An empty name means none, as docker has it.
fn helper(file: &Map<String, Value>, registry: &RegistryName) -> Option<String> {
    let own = file.get("credHelpers").and_then(Value::as_object);
    let own = own.and_then(|helpers| {
        let mut names = helpers.iter();
        names.find(|(key, _)| place(key, registry).is_some_and(|(_, path)| path.is_empty()))
    });
    let name = own
        .map(|(_, name)| name)
        .or_else(|| file.get("credsStore"))?;
    name.as_str()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests;
