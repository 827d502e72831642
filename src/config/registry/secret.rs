//! Where passwords come from. A secret is read once, and never printed.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use toml::Spanned;

use crate::{
    config::{
        FileContext, LoadOptions, SecretLoading,
        parse::{
            bounded_file::{self, MAX_SECRET_BYTES},
            diagnostics::Problems,
        },
    },
    registry::settings::Unreadable,
};

/// Where a secret lies, as `mirror.toml` says it.
#[derive(Clone, Debug)]
pub(crate) enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file; one line end at its end does not count.
    File(PathBuf),
    /// A systemd credential, a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// The file itself.
    Inline(SecretString),
}

impl SecretSource {
    /// Reads the secret.
    pub(crate) fn read(&self) -> Result<SecretString, Unreadable> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::Env(name) => match env::var(name) {
                Ok(value) if !value.is_empty() => Ok(value.into()),
                _ => Err(Unreadable {
                    message: format!("the environment variable {name} is not set"),
                    help: format!("set {name}, or EnvironmentFile= in the unit"),
                    may_pass: false,
                }),
            },
            Self::File(path) => read_file(
                path,
                "make it a regular file of at most 64 KiB that this user can read",
            ),
            Self::Credential(name) => match env::var_os("CREDENTIALS_DIRECTORY") {
                Some(folder) => {
                    let help = format!("add LoadCredential={name}:/path to the unit");
                    read_file(&Path::new(&folder).join(name), &help)
                }
                None => Err(Unreadable {
                    message: format!("credential `{name}`: $CREDENTIALS_DIRECTORY is not set"),
                    help: format!(
                        "run under systemd with LoadCredential={name}:/path; elsewhere, set \
                         CREDENTIALS_DIRECTORY=/folder to the folder that holds {name}"
                    ),
                    may_pass: false,
                }),
            },
        }
    }
}

/// Reads a secret, and tells what is wrong or doubtful about where it lies; `what` is such as
/// "a password".
pub(crate) fn read(
    written: &Spanned<SecretSource>,
    what: &'static str,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> Option<SecretString> {
    if matches!(written.get_ref(), SecretSource::Inline(_)) && is_world_readable(file.path) {
        problems.readable_secret(written.span(), what);
    }
    read_open(written, file.options, problems)
}

/// Reads a value that may lie where a secret may, and is none.
pub(crate) fn read_open(
    written: &Spanned<SecretSource>,
    options: LoadOptions,
    problems: &mut Problems,
) -> Option<SecretString> {
    if options.secrets == SecretLoading::Leave {
        return None;
    }
    let read = written.get_ref().read();
    read.map_err(|unreadable| {
        problems.error(written.span(), unreadable.message, unreadable.help);
    })
    .ok()
}

/// Whether everybody on the machine can read a file.
pub(crate) fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

fn read_file(path: &Path, help: &str) -> Result<SecretString, Unreadable> {
    let unreadable = |reason: String| Unreadable {
        message: format!("{}: {reason}", path.display()),
        help: help.into(),
        may_pass: false,
    };
    let text = bounded_file::read_text(path, MAX_SECRET_BYTES)
        .map_err(|error| unreadable(error.to_string()))?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        Err(unreadable("the file is empty".into()))
    } else {
        Ok(secret.into())
    }
}
