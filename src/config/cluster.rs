//! `[cluster]`: the database that several workers share, and what this worker is called there.

use std::fs;

use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;
use url::Url;

use crate::{
    config::{
        FileContext,
        parse::{
            diagnostics::Problems,
            file::{Strings, read_secret},
            table_reader::TableReader,
        },
        registry::secret::{self, SecretSource},
    },
    oci::RegistryName,
};

/// Maximum letters of a worker's name, as of a host's.
const NAME_LETTERS: usize = 63;
/// Where Linux keeps the name of the host.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

const URL_HELP: &str = "write where PostgreSQL is, as in \
                        \"postgres://transship@db.example.com/transship\"";

/// What a worker needs to share its work with others.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The URL of the database; there may be a password in it. Empty where secrets are not read.
    pub database: SecretString,
    /// What the worker is called, the same after each restart.
    pub name: String,
    /// The address that quotas and budgets count: workers behind one address have the same.
    pub egress: String,
    /// The registries that it may read from; all where there are none.
    pub sources: Vec<RegistryName>,
    /// The registries that it may write to; all where there are none.
    pub targets: Vec<RegistryName>,
}

impl PartialEq for WorkerConfig {
    fn eq(&self, other: &Self) -> bool {
        self.database.expose_secret() == other.database.expose_secret()
            && self.name == other.name
            && self.egress == other.egress
            && self.sources == other.sources
            && self.targets == other.targets
    }
}

/// `[cluster]` as written.
#[derive(Debug, Default)]
pub(crate) struct WorkerEntry {
    span: std::ops::Range<usize>,
    is_whole: bool,
    database: Option<Spanned<SecretSource>>,
    name: Option<Spanned<String>>,
    egress: Option<Spanned<String>>,
    sources: Option<Strings>,
    targets: Option<Strings>,
}

/// Reads `[cluster]`.
pub(crate) fn read(mut section: TableReader<'_, '_>) -> WorkerEntry {
    let entry = WorkerEntry {
        span: section.span(),
        is_whole: false,
        database: read_secret(&mut section, "database"),
        name: section.take("name", "a name such as \"hk-1\""),
        egress: section.take("egress", "a name such as \"hk\""),
        sources: section.strings("sources"),
        targets: section.strings("targets"),
    };
    WorkerEntry {
        is_whole: section.finish(),
        ..entry
    }
}

/// Validates `[cluster]`.
pub(crate) fn validate(
    entry: &WorkerEntry,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> WorkerConfig {
    let name = match &entry.name {
        Some(written) => label("name", written, problems),
        None => host_name().unwrap_or_else(|| {
            let help = "add `name`: this host has no name that a worker can have";
            problems.error(entry.span.clone(), "the worker has no name", help);
            String::new()
        }),
    };
    let egress = match &entry.egress {
        Some(written) => label("egress", written, problems),
        None => name.clone(),
    };
    WorkerConfig {
        database: database(entry, file, problems),
        name,
        egress,
        sources: registries(entry.sources.as_ref(), problems),
        targets: registries(entry.targets.as_ref(), problems),
    }
}

fn database(entry: &WorkerEntry, file: FileContext<'_>, problems: &mut Problems) -> SecretString {
    let Some(written) = &entry.database else {
        if entry.is_whole {
            let help = "add `database = { env = \"NAME\" }`, a file or a credential, with the URL \
                        of the PostgreSQL that all workers share";
            problems.error(entry.span.clone(), "[cluster] names no `database`", help);
        }
        return "".into();
    };
    let url = secret::read(written, "the URL of a database", file, problems);
    let url = url.unwrap_or_else(|| "".into());
    let parsed = Url::parse(url.expose_secret());
    let is_url = parsed.is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"));
    if !url.expose_secret().is_empty() && !is_url {
        let message = "the `database` is not the URL of a PostgreSQL database";
        problems.error(written.span(), message, URL_HELP);
    }
    url
}

/// A name that stands in the database, in metrics and on pages.
fn label(key: &str, written: &Spanned<String>, problems: &mut Problems) -> String {
    let name = written.get_ref();
    if !is_label(name) {
        let message = format!("`{name}` cannot be the `{key}` of a worker");
        let help = format!(
            "write 1 to {NAME_LETTERS} of the letters a-z, A-Z, 0-9, `.`, `_` and `-`, as in \"hk-1\""
        );
        problems.error(written.span(), message, help);
    }
    name.clone()
}

fn is_label(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=NAME_LETTERS).contains(&name.len()) && name.chars().all(is_letter)
}

fn host_name() -> Option<String> {
    let name = fs::read_to_string(HOST_NAME).ok()?;
    let name = name.trim();
    is_label(name).then(|| name.to_owned())
}

fn registries(written: Option<&Strings>, problems: &mut Problems) -> Vec<RegistryName> {
    let mut names = Vec::new();
    for written in written.into_iter().flat_map(Spanned::get_ref) {
        match written.get_ref().parse::<RegistryName>() {
            Ok(name) => names.push(name),
            Err(error) => {
                let help =
                    "write the host, with a port where it has one, as `from` and `target` have it";
                problems.error(written.span(), error.to_string(), help);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests;
