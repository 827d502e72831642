//! Loads `mirror.toml`, by itself or with the mirrors that workers share.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use crate::{
    config::{
        Config, Error, FileContext, LoadOptions,
        parse::{
            config_file::FileOrigin,
            diagnostics::Problems,
            file::{self, File},
        },
        validate,
    },
    oci::RegistryName,
    registry::settings::{RegistrySettings, Settings},
};

/// The keys at the top of the file that workers share.
const SHARED: [&str; 3] = ["timezone", "defaults", "mirror"];
/// What messages call the text of the mirrors that workers share.
const PUBLISHED: &str = "published mirror.toml";

impl Config {
    /// Reads the named file, or the first of [`DEFAULT_PATHS`](crate::config::DEFAULT_PATHS) that exists.
    pub fn load(path: Option<&Path>) -> Result<Self, Error> {
        Self::load_with(path, LoadOptions::default())
    }

    /// The same with other options than the default.
    pub fn load_with(path: Option<&Path>, options: LoadOptions) -> Result<Self, Error> {
        let (origin, path, text) = read(path)?;
        Self::parse_with(&path, &text, options).map(|config| Self { origin, ..config })
    }

    /// Parses and validates a text that was read from `path`, or is to be written there.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        Self::parse_with(path, text, LoadOptions::default())
    }

    /// The same for a text whose secrets stay where they are.
    pub fn parse_without_secrets(path: &Path, text: &str) -> Result<Self, Error> {
        Self::parse_with(path, text, LoadOptions::WITHOUT_SECRETS)
    }

    /// The same with other options than the default.
    pub fn parse_with(path: &Path, text: &str, options: LoadOptions) -> Result<Self, Error> {
        let mut problems = Problems::default();
        let file = file::read(text, &mut problems);
        Self::validated(file, text, FileContext { path, options }, problems)
    }

    /// The configuration of a worker: the tables of its own file, with the mirrors that were
    /// published for all workers. It has none before any were.
    pub fn parse_worker(
        path: &Path,
        text: &str,
        published: Option<&str>,
        options: LoadOptions,
    ) -> Result<Self, Error> {
        if let Some(published) = published {
            // Mistakes are shown where they are. A later version may publish what this one does not know.
            Self::parse_published(published)?;
        }
        let published = published.unwrap_or_default();
        let shared = file::read(published, &mut Problems::default());
        let mut problems = Problems::default();
        let own = file::read(text, &mut problems);
        let file = File {
            timezone: shared.timezone.or(own.timezone),
            defaults: shared.defaults,
            mirrors: shared.mirrors,
            ..own
        };
        Self::validated(file, text, FileContext { path, options }, problems)
    }

    /// Parses and validates a text that was published for all workers.
    pub fn parse_published(text: &str) -> Result<Self, Error> {
        Self::parse_without_secrets(Path::new(PUBLISHED), text)
    }

    /// What workers share of the file: its time zone, its defaults and its mirrors. None of them
    /// holds a secret.
    pub fn shared_text(&self) -> Result<String, toml::ser::Error> {
        let mut table: toml::Table = toml::from_str(self.text.expose_secret()).unwrap_or_default();
        table.retain(|key, _| SHARED.contains(&key));
        toml::to_string(&table)
    }

    fn validated(
        file: File,
        text: &str,
        context: FileContext<'_>,
        mut problems: Problems,
    ) -> Result<Self, Error> {
        let validated = validate::validate(file, context, &mut problems);
        let has_errors = problems.has_errors();
        let report = problems.into_report(context.path, text);
        if has_errors {
            return Err(Error::Invalid(report));
        }
        Ok(Self {
            text: text.into(),
            warnings: report,
            ..validated
        })
    }

    /// The settings of a registry, the defaults where the file has none.
    pub fn registry(&self, name: &RegistryName) -> RegistrySettings {
        self.registries.get(name).cloned().unwrap_or_default()
    }

    /// What the file says of registries, for their client.
    pub fn registry_settings(&self) -> Settings {
        Settings {
            registries: self.registries.clone(),
            bandwidth: self.limits.bandwidth.clone(),
        }
    }
}

/// The file that is meant, and its text.
fn read(path: Option<&Path>) -> Result<(FileOrigin, PathBuf, String), Error> {
    let (origin, path) = FileOrigin::find(path)?;
    let text = origin.read(&path)?;
    Ok((origin, path, text))
}
