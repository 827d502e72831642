//! Logins that others keep: docker's config, and credential helpers.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use docker_credential::DockerCredential;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::{
    oci::RegistryName,
    settings::{
        bounded_file::{self, MAX_FILE_BYTES},
        credential_helper::{self, Failure},
    },
};

/// What to log in to a registry with.
#[derive(Clone, Debug, Default)]
pub enum Credential {
    /// Nothing.
    #[default]
    Anonymous,
    /// A name and a password.
    Basic {
        /// The user's name.
        username: String,
        /// The password or access token.
        password: SecretString,
    },
    /// A refresh token, as `docker login` leaves it for some registries.
    IdentityToken(SecretString),
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
        match (self, other) {
            (Self::Anonymous, Self::Anonymous) => true,
            (
                Self::Basic { username, password },
                Self::Basic {
                    username: other,
                    password: theirs,
                },
            ) => username == other && same(password, theirs),
            (Self::IdentityToken(a), Self::IdentityToken(b)) => same(a, b),
            _ => false,
        }
    }
}

/// Why a secret cannot be read, and what to do.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// What failed, and why.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Whether it may be readable a moment later, without a change of anything.
    pub may_pass: bool,
}

/// How to log in to a registry, and where the login is kept if it can be read again.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// What to log in with, as found when the file was read.
    pub credential: Credential,
    /// Where to look again when the registry refuses it: what helpers give out is short-lived.
    pub renewal: Option<Renewal>,
    /// Whether there is nothing to log in with yet, and `renewal` has to be asked first.
    pub is_pending: bool,
}

/// A login that is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    registry: RegistryName,
    source: LoginSource,
}

/// Who keeps a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginSource {
    /// Docker's config, which may send us to a helper.
    DockerConfig,
    /// The helper `docker-credential-NAME`.
    Helper(String),
}

impl Login {
    /// Reads a login from where it is kept.
    pub fn from_source(renewal: Renewal) -> Result<Self, Unreadable> {
        Ok(Self {
            credential: renewal.read()?,
            renewal: Some(renewal),
            is_pending: false,
        })
    }

    /// A login that could not be had, and is asked for when it is needed.
    pub fn pending(renewal: Renewal) -> Self {
        Self {
            credential: Credential::Anonymous,
            renewal: Some(renewal),
            is_pending: true,
        }
    }
}

impl PartialEq for Login {
    /// Whether both log in with the same credential, or with what the same source gives out.
    fn eq(&self, other: &Self) -> bool {
        match (&self.renewal, &other.renewal) {
            (None, None) => self.credential == other.credential,
            (own, theirs) => own == theirs,
        }
    }
}

impl From<Credential> for Login {
    fn from(credential: Credential) -> Self {
        Self {
            credential,
            renewal: None,
            is_pending: false,
        }
    }
}

impl Renewal {
    /// A login of a registry, and who keeps it.
    pub fn new(registry: &RegistryName, source: LoginSource) -> Self {
        Self {
            registry: registry.clone(),
            source,
        }
    }

    /// Reads the login again, or says why it cannot be had. It may run a program and wait for it:
    /// not for a thread that others wait for.
    pub fn renew(&self) -> Result<Credential, String> {
        self.read().map_err(|unreadable| unreadable.message)
    }

    fn read(&self) -> Result<Credential, Unreadable> {
        match &self.source {
            LoginSource::DockerConfig => from_docker_config(&self.registry),
            LoginSource::Helper(name) => {
                from_helper(name, &self.registry)?.ok_or_else(|| no_login(name, &self.registry))
            }
        }
    }
}

/// What docker calls a registry, to its helpers and in its config.
fn server(registry: &RegistryName) -> &str {
    match registry.as_str() {
        "docker.io" => "https://index.docker.io/v1/",
        other => other,
    }
}

/// The login that a helper has for a registry, or nothing where it has none.
fn from_helper(name: &str, registry: &RegistryName) -> Result<Option<Credential>, Unreadable> {
    let program = OsString::from(format!("docker-credential-{name}"));
    let server = server(registry);
    match credential_helper::get(&program, server, credential_helper::PATIENCE) {
        Ok(credential) => Ok(Some(credential)),
        Err(Failure::NoLogin) => Ok(None),
        Err(Failure::NotInstalled) => Err(Unreadable {
            message: format!("the credential helper docker-credential-{name} is not installed"),
            help: format!(
                "install docker-credential-{name} into a folder of $PATH, which is {} here",
                env::var("PATH").unwrap_or_default()
            ),
            may_pass: false,
        }),
        Err(Failure::Broken(reason)) => Err(Unreadable {
            message: format!("the credential helper docker-credential-{name} {reason}"),
            help: format!(
                "find out why, as this user: echo {server} | docker-credential-{name} get"
            ),
            may_pass: true,
        }),
    }
}

fn no_login(name: &str, registry: &RegistryName) -> Unreadable {
    Unreadable {
        message: format!(
            "the credential helper docker-credential-{name} has no login for {registry}"
        ),
        help: format!("give it one, with `docker login {registry}` or as its manual says"),
        may_pass: false,
    }
}

/// What docker's config says of a registry. Its own helpers go first, as docker has it; where the
/// store of all logins has none, one in the file is taken.
fn from_docker_config(registry: &RegistryName) -> Result<Credential, Unreadable> {
    let unusable = |reason: &str| Unreadable {
        message: format!("docker's config has no usable login for {registry}: {reason}"),
        help: format!("run `docker login {registry}` as this user, or set $DOCKER_CONFIG"),
        may_pass: false,
    };
    let path = docker_config_file().ok_or_else(|| unusable("neither $HOME nor $DOCKER_CONFIG"))?;
    let place = path.display();
    let text = bounded_file::read_text(&path, MAX_FILE_BYTES)
        .map_err(|e| unusable(&format!("{place}: {e}")))?;
    let mut config: Value = serde_json::from_str(&text)
        .map_err(|e| unusable(&format!("{place} is not JSON, at line {}", e.line())))?;
    if let Some(name) = take_helper(&mut config, registry) {
        if let Err(reason) = check_helper_name(&name) {
            return Err(unusable(&format!("{place}: {reason}")));
        }
        if let Some(credential) = from_helper(&name, registry)? {
            return Ok(credential);
        }
    }
    // What is left names no helper, so that the crate runs none: it would wait for one for ever.
    match docker_credential::get_credential_from_reader(
        config.to_string().as_bytes(),
        server(registry),
    ) {
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Credential::Basic {
            username,
            password: password.into(),
        }),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Credential::IdentityToken(token.into())),
        Err(error) => Err(unusable(&error.to_string())),
    }
}

fn docker_config_file() -> Option<PathBuf> {
    let at_home = || env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    Some(folder.or_else(at_home)?.join("config.json"))
}

/// Takes every helper out of docker's config, and tells the one that this registry has. An empty
/// name means none, as docker has it.
fn take_helper(config: &mut Value, registry: &RegistryName) -> Option<String> {
    let config = config.as_object_mut()?;
    let helpers = config.remove("credHelpers");
    let store = config.remove("credsStore");
    let host = registry.as_str();
    let names = match host {
        "docker.io" => vec![server(registry), "index.docker.io", host],
        _ => vec![host],
    };
    let own = helpers.and_then(|helpers| names.iter().find_map(|name| helpers.get(name).cloned()));
    let name = own.or(store)?.as_str()?.to_owned();
    (!name.is_empty()).then_some(name)
}

/// Whether a name is that of a program in `$PATH`, and of nothing else.
pub fn check_helper_name(name: &str) -> Result<(), String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(is_legal) {
        return Err(format!("`{name}` is no credential helper's name"));
    }
    match name.strip_prefix("docker-credential-") {
        Some(short) => Err(format!("a helper's name is `{short}`, without its prefix")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
