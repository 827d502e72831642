//! `mirror.toml`, parsed and validated: what the rest of the program does.

mod cluster;
pub(crate) mod conflicts;
mod daemon;
pub(crate) mod gateway;
mod limits;
mod load;
pub(crate) mod mirror;
mod moved;
pub(crate) mod notify;
pub(crate) mod parse;
pub(crate) mod registry;
pub(crate) mod schedule;
mod validate;

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono_tz::Tz;
use secrecy::SecretString;
use semver::VersionReq;

use crate::{
    config::parse::config_file::FileOrigin,
    oci::{Digest, NameError, Platform, RegistryName, Repository, Tag},
    registry::settings::RegistrySettings,
};

pub use crate::config::conflicts::{Claim, Clash};
pub use crate::config::mirror::discovery::Discovery;
pub use crate::config::mirror::patterns::{Expressions, Globs};
pub use crate::config::mirror::prune::Prune;
pub use crate::config::mirror::rename::Rename;
pub use crate::config::notify::{
    BodyTemplate, Channel, Email, Grouping, QuietHours, Relay, ReportConfig, SecretText, SecretUrl,
    Security, Service, Topic, Webhook,
};
pub use crate::config::parse::diagnostics::{ProblemRecord, ProblemReport};
pub use crate::config::parse::table_reader::closest;
pub use crate::config::schedule::Schedule;
pub use crate::config::schedule::cron::BadSchedule;
pub use cluster::WorkerConfig;
pub use daemon::HttpConfig;
pub use gateway::{
    AllowList, BlobDelivery, ClientLimits, ClientNetwork, GatewayConfig, GatewayUsers,
    ImagePatterns, ON_DEMAND, OnDemand, PulledImages, TlsFiles, UserTable, kept_tag,
};
pub use limits::{Counted, Limits, Period, TrafficBudget};

/// Where `mirror.toml` is looked for when no file is named.
pub const DEFAULT_PATHS: [&str; 2] = ["mirror.toml", "/etc/transship/mirror.toml"];

/// A valid `mirror.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Who chose that file.
    pub(crate) origin: FileOrigin,
    /// What the file held then; there may be passwords in it.
    pub text: SecretString,
    /// The zone of every schedule and report.
    pub timezone: Tz,
    /// The file of the store.
    pub state_path: PathBuf,
    /// How long transfers in flight may last when the daemon is asked to end.
    pub drain: Duration,
    /// Where metrics, the status page and the API are served.
    pub http: HttpConfig,
    /// Where images are pulled through; `None` where nobody may.
    pub gateway: Option<GatewayConfig>,
    /// What this worker shares with others; `None` on a machine that shares nothing.
    pub cluster: Option<WorkerConfig>,
    /// What all registries together may move.
    pub limits: Limits,
    /// The registries that differ from the default.
    pub registries: HashMap<RegistryName, RegistrySettings>,
    /// The mirrors, in the order of the file.
    pub mirrors: Vec<Mirror>,
    /// When the report is made, and where it goes.
    pub report: ReportConfig,
    /// Where reports and alarms can go.
    pub channels: Vec<Channel>,
    /// What works and should not stay so.
    pub warnings: ProblemReport,
}

/// One `[[mirror]]` entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Unique in the file.
    pub name: Arc<str>,
    /// When it runs.
    pub schedule: Schedule,
    /// How late a run may start; each starts at random within it.
    pub jitter: Duration,
    /// The lag that is an alarm.
    pub max_lag: Duration,
    /// Whether no schedule starts it.
    pub is_paused: bool,
    /// Its source repositories, each with the target repositories it goes to.
    pub routes: Vec<Route>,
    /// Patterns of further source repositories, which are found when a run starts.
    pub discoveries: Vec<Discovery>,
    /// The platforms to keep; `None` keeps everything, byte-identical.
    pub platforms: Option<Arc<[Platform]>>,
    /// Tags that never move: once mirrored, the source is not asked for them again.
    pub immutable: Option<Globs>,
    /// What tags are called at the target; `None` leaves them their names.
    pub rename: Option<Rename>,
    /// What becomes of the attestations in indexes.
    pub attestations: Attestations,
    /// Which referrers are mirrored along; `None` mirrors none.
    pub referrers: Option<Referrers>,
    /// Which tags that are no longer mirrored are deleted at the target; `None` keeps all.
    pub prune: Option<Prune>,
    /// What the old image of a tag is called at the target, by the tag's name there, when another
    /// takes its place; `None` gives it no name.
    pub backup: Option<Rename>,
    /// How often the daemon verifies all that each tag leads to; `None` is never.
    pub verify_blobs_every: Option<Duration>,
}

/// What becomes of the attestations that builders put into indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestations {
    /// They are copied.
    #[default]
    Keep,
    /// They are left out, which writes another index.
    Drop,
    /// They are copied, and left out where the target refuses them.
    IfAccepted,
}

/// Which referrers (signatures, SBOMs, attestations) are mirrored along with an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referrers {
    /// Globs for artifact types; `None` takes every type. `.sig`, `.att` and `.sbom` stand for
    /// the tags that cosign writes.
    pub types: Option<Globs>,
}

impl Mirror {
    /// What a source's tag is called at the target.
    pub fn target_tag(&self, source: &Tag) -> Result<Tag, NameError> {
        match &self.rename {
            Some(rename) => rename.target(source),
            None => Ok(source.clone()),
        }
    }

    /// The source's tag that has this name at the target, if it can be one.
    pub fn source_tag(&self, target: &Tag) -> Option<Tag> {
        match &self.rename {
            Some(rename) => rename.source(target),
            None => Some(target.clone()),
        }
    }

    /// Whether every image is written as it stands at the source, and so under its digest.
    pub fn is_verbatim(&self) -> bool {
        self.platforms.is_none() && self.attestations == Attestations::Keep
    }

    /// What of an image is written, as the store keeps it; empty for all of it.
    pub fn shape(&self) -> String {
        let platforms = self.platforms.iter().flat_map(|platforms| platforms.iter());
        let mut parts: Vec<String> = platforms.map(ToString::to_string).collect();
        parts.sort();
        match self.attestations {
            Attestations::Keep => {}
            Attestations::Drop => parts.push("no attestations".into()),
            Attestations::IfAccepted => parts.push("attestations if accepted".into()),
        }
        parts.join(",")
    }
}

impl Mirror {
    /// The target registries that the file names, in its order, each once.
    pub fn target_registries(&self) -> Vec<String> {
        let routes = self.routes.iter().flat_map(|route| &route.targets);
        let named = routes.map(|target| target.registry().to_string());
        let found = self
            .discoveries
            .iter()
            .flat_map(Discovery::target_registries);
        let mut registries: Vec<String> = Vec::new();
        for registry in named.chain(found) {
            if !registries.contains(&registry) {
                registries.push(registry);
            }
        }
        registries
    }

    /// Whether the mirror goes from a source repository to a target repository.
    pub fn goes(&self, source: &Repository, target: &Repository) -> bool {
        self.routes_from(source)
            .any(|route| route.targets.contains(target))
    }

    /// The routes from a source repository, by its name or by a pattern.
    pub fn routes_from(&self, source: &Repository) -> impl Iterator<Item = Route> {
        let named = self.routes.iter().filter(|route| route.source == *source);
        let found = self
            .discoveries
            .iter()
            .filter(|found| found.matches(source));
        let found = found.filter_map(|found| found.route(source).ok());
        named.cloned().chain(found)
    }

    /// A hash of which tags go where, to compare a run with the next one.
    pub fn selection_mark(&self) -> String {
        let routes = self.routes.iter().map(|route| {
            let targets: Vec<String> = route.targets.iter().map(ToString::to_string).collect();
            let taken: Vec<String> = route.taken.iter().map(ToString::to_string).collect();
            let (source, selection) = (&route.source, &route.selection);
            format!("{source} {targets:?} {selection} {taken:?}\n")
        });
        let found = self.discoveries.iter().map(Discovery::written);
        let rename = format!("{:?}", self.rename);
        let all: String = routes.chain(found).chain([rename]).collect();
        Digest::of(all.as_bytes()).to_string()
    }

    /// Every registry that the mirror speaks to.
    pub fn registries(&self) -> impl Iterator<Item = String> {
        let sources = self.source_registries().map(ToString::to_string);
        sources.chain(self.target_registries())
    }

    /// The registries that it reads from, some of them more than once.
    pub fn source_registries(&self) -> impl Iterator<Item = &RegistryName> {
        let named = self.routes.iter().map(|route| route.source.registry());
        named.chain(self.discoveries.iter().map(Discovery::registry))
    }
}

impl Referrers {
    /// Whether a type is wanted.
    pub fn wants(&self, artifact_type: &str) -> bool {
        self.types
            .as_ref()
            .is_none_or(|types| types.is_match(artifact_type))
    }
}

/// One source repository, the target repositories it goes to, and which tags go.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Where from.
    pub source: Repository,
    /// How the source is known.
    pub origin: Origin,
    /// Where to; never empty.
    pub targets: Vec<Repository>,
    /// Which tags.
    pub selection: Selection,
    /// What other routes from this source to these targets bring, so that this one does not.
    pub taken: Vec<Selection>,
    /// The digest for which its tag stands, which the source knows by no tag.
    pub pin: Option<Digest>,
}

/// How a source repository is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file names it: that it is not there is an error.
    Named,
    /// A catalog named it: some keep the names of repositories whose last tag was deleted.
    Found,
}

/// Which tags of a source repository are mirrored.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// One, named in `from`; nothing is listed.
    Tag(Tag),
    /// None any more: what was mirrored leaves.
    Nothing,
    /// Those that pass every selector.
    Matching(Arc<Selectors>),
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Matching(selectors) => selectors.fmt(f),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// The selectors of one entry; a tag passes all of them, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selectors {
    /// Any of these globs.
    pub tags: Option<Globs>,
    /// An anchored regular expression.
    pub regex: Option<Expressions>,
    /// A range of versions.
    pub semver: Option<VersionReq>,
    /// None of these globs.
    pub exclude: Option<Globs>,
    /// None of these anchored regular expressions.
    pub exclude_regex: Option<Expressions>,
    /// None that are older.
    pub max_age: Option<Duration>,
    /// Only the newest of what is left.
    pub latest: Option<usize>,
    /// A selection of fewer is a mistake.
    pub min_tags: Option<usize>,
    /// A selection of more is a mistake.
    pub max_tags: Option<usize>,
}

impl Selectors {
    /// Whether the age of a tag decides.
    pub fn needs_age(&self) -> bool {
        self.max_age.is_some()
    }
}

/// What a load does beside reading the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether secrets are read.
    pub secrets: SecretLoading,
    /// What becomes of a credential helper that fails.
    pub helpers: HelperFailure,
}

/// Whether a load reads the secrets that the file names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretLoading {
    /// They are read, and helpers are run.
    #[default]
    Read,
    /// They stay where they are, and need not be readable. The config has no logins and channels.
    Leave,
}

/// What becomes of a credential helper that fails or does not answer in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HelperFailure {
    /// It is an error.
    #[default]
    Error,
    /// It is a warning, and the helper runs again before its registry is used: the daemon outlives
    /// a failure of a moment.
    Retry,
}

impl LoadOptions {
    /// Of the daemon.
    pub const DAEMON: Self = Self {
        secrets: SecretLoading::Read,
        helpers: HelperFailure::Retry,
    };
    /// Of a command that connects to nothing.
    pub const WITHOUT_SECRETS: Self = Self {
        secrets: SecretLoading::Leave,
        helpers: HelperFailure::Error,
    };
}

/// The file that is validated, and how it is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileContext<'a> {
    pub(crate) path: &'a Path,
    pub(crate) options: LoadOptions,
}

const NAME_FILE: &str = "`transship init` writes a first one; or name a file with --config FILE";

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No file was found.
    #[error("no mirror.toml: looked for {0}\n  help: {NAME_FILE}")]
    NotFound(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {error}\n  help: {help}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
        /// What to do.
        help: String,
    },
    /// The file has mistakes.
    #[error("{0}")]
    Invalid(ProblemReport),
}

impl Error {
    /// The first error of the file in one line.
    pub fn summary(&self) -> String {
        let first = match self {
            Self::Invalid(report) => report.first_summary().map(String::from),
            Self::NotFound(_) => None,
            Self::Unreadable { path, error, .. } => {
                Some(format!("cannot read {}: {error}", path.display()))
            }
        };
        first.unwrap_or_else(|| "the file is missing".into())
    }

    /// What to do about it. `None` for an invalid file: each of its problems has a remedy.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::NotFound(_) => Some(NAME_FILE),
            Self::Unreadable { help, .. } => Some(help),
            Self::Invalid(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
