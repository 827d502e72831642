//! Logins from docker's config and from credential helpers.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    oci::RegistryName,
    settings::{
        PathLogin, auth_file,
        bounded_file::{self, MAX_FILE_BYTES},
        credential_helper::{self, Failure},
    },
};

/// A credential for a registry.
#[derive(Clone, Debug, Default)]
pub enum Credential {
    /// No login.
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
    /// A token that is sent to the registry as it is, `registrytoken` in docker's file.
    RegistryToken(SecretString),
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
            (Self::IdentityToken(a), Self::IdentityToken(b))
            | (Self::RegistryToken(a), Self::RegistryToken(b)) => same(a, b),
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
    /// Whether it may be readable a moment later, without any change.
    pub may_pass: bool,
}

/// How to log in to a registry, and where to read the login again.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The credential, as it was read last.
    pub credential: Credential,
    /// Logins for paths of the registry. They take precedence; the longest paths come first.
    pub paths: Vec<PathLogin>,
    /// Where to read it again when the registry refuses it: credentials of helpers are short-lived.
    pub renewal: Option<Renewal>,
    /// Whether there is no credential yet, and `renewal` has to be read first.
    pub is_pending: bool,
}

/// A login that is stored elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    registry: RegistryName,
    source: LoginSource,
}

/// Where a login is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginSource {
    /// Docker's config or podman's auth.json, which may name a helper.
    DockerConfig,
    /// The helper `docker-credential-NAME`.
    Helper(String),
}

impl Login {
    /// Reads a login from where it is stored.
    pub fn from_source(renewal: Renewal) -> Result<Self, Unreadable> {
        let (credential, paths) = renewal.read()?;
        Ok(Self {
            credential,
            paths,
            renewal: Some(renewal),
            is_pending: false,
        })
    }

    /// A login that could not be read, and is read again when it is needed.
    pub fn pending(renewal: Renewal) -> Self {
        Self {
            credential: Credential::Anonymous,
            paths: Vec::new(),
            renewal: Some(renewal),
            is_pending: true,
        }
    }
}

impl PartialEq for Login {
    /// Whether both have the same credential, or the same source.
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
            paths: Vec::new(),
            renewal: None,
            is_pending: false,
        }
    }
}

impl Renewal {
    /// The login of a registry in a source.
    pub fn new(registry: &RegistryName, source: LoginSource) -> Self {
        Self {
            registry: registry.clone(),
            source,
        }
    }

    /// Where the login is stored.
    pub fn source(&self) -> &LoginSource {
        &self.source
    }

    /// Reads the login again. It may run a helper and blocks until that ends. The error is the reason
    /// why there is no login.
    pub fn renew(&self) -> Result<(Credential, Vec<PathLogin>), String> {
        self.read().map_err(|unreadable| unreadable.message)
    }

    fn read(&self) -> Result<(Credential, Vec<PathLogin>), Unreadable> {
        match &self.source {
            LoginSource::DockerConfig => from_files(&self.registry),
            LoginSource::Helper(name) => {
                let found = from_helper(name, &self.registry)?;
                let credential = found.ok_or_else(|| no_login(name, &self.registry))?;
                Ok((credential, Vec::new()))
            }
        }
    }
}

/// The name of a registry in docker's config and for its helpers.
fn server(registry: &RegistryName) -> &str {
    match registry.as_str() {
        "docker.io" => "https://index.docker.io/v1/",
        other => other,
    }
}

/// The login that a helper has for a registry, or `None`.
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

/// The logins that `docker login`, `podman login` and `skopeo login` left for a registry: those of
/// the first file that has any.
fn from_files(registry: &RegistryName) -> Result<(Credential, Vec<PathLogin>), Unreadable> {
    let unusable = |reason: &str| Unreadable {
        message: format!("docker's config has no usable login for {registry}: {reason}"),
        help: format!(
            "run `docker login {registry}` as this user, or set $DOCKER_CONFIG; podman's auth.json is \
             read where $REGISTRY_AUTH_FILE or $XDG_RUNTIME_DIR leads to it"
        ),
        may_pass: false,
    };
    let mut reasons = Vec::new();
    for path in login_files() {
        let place = path.display();
        match from_file(&path, registry) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => reasons.push(format!("{place} has none")),
            Err(FileFailure::Helper(unreadable)) => return Err(unreadable),
            Err(FileFailure::Unusable(reason)) => reasons.push(format!("{place}: {reason}")),
            Err(FileFailure::Broken(reason)) => return Err(unusable(&format!("{place} {reason}"))),
        }
    }
    match reasons.is_empty() {
        true => Err(unusable("neither $HOME nor $DOCKER_CONFIG")),
        false => Err(unusable(&reasons.join("; "))),
    }
}

/// Why a file gives no login.
enum FileFailure {
    /// It is not there, or cannot be read: another may be.
    Unusable(String),
    /// It has mistakes.
    Broken(String),
    /// Its helper fails.
    Helper(Unreadable),
}

/// The logins of one file. Its helpers go first, as docker has it; where the store of all logins
/// has none, one in the file is taken.
fn from_file(
    path: &Path,
    registry: &RegistryName,
) -> Result<Option<(Credential, Vec<PathLogin>)>, FileFailure> {
    let text = bounded_file::read_text(path, MAX_FILE_BYTES)
        .map_err(|error| FileFailure::Unusable(error.to_string()))?;
    let found = auth_file::find(&text, registry).map_err(FileFailure::Broken)?;
    let mut whole = found.whole;
    if let Some(name) = found.helper {
        check_helper_name(&name)
            .map_err(|reason| FileFailure::Broken(format!("names: {reason}")))?;
        whole = from_helper(&name, registry)
            .map_err(FileFailure::Helper)?
            .or(whole);
    }
    let is_found = whole.is_some() || !found.paths.is_empty();
    Ok(is_found.then(|| (whole.unwrap_or_default(), found.paths)))
}

/// The files that may hold logins: the one that is named, docker's, and podman's
/// ([containers-auth.json](https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md)).
fn login_files() -> Vec<PathBuf> {
    let folder = |name: &str| {
        env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let home = folder("HOME");
    let in_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let podman = Path::new("containers/auth.json");
    let files = [
        folder("REGISTRY_AUTH_FILE"),
        folder("DOCKER_CONFIG")
            .or_else(|| in_home(".docker"))
            .map(|folder| folder.join("config.json")),
        folder("XDG_RUNTIME_DIR").map(|folder| folder.join(podman)),
        folder("XDG_CONFIG_HOME")
            .or_else(|| in_home(".config"))
            .map(|folder| folder.join(podman)),
    ];
    let mut files: Vec<PathBuf> = files.into_iter().flatten().collect();
    // Nobody has a runtime directory in a system service: podman uses this one then.
    let own = std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own));
    files.extend(own.map(|uid| PathBuf::from(format!("/run/containers/{uid}/auth.json"))));
    files
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
