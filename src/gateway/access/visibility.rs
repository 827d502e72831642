//! Which images everybody may have: those that their registry gives to everybody.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    config::Config,
    gateway::{
        Gateway, Pull,
        answer::PullError,
        cache::GenerationCache,
        request::{address::WantedContent, policy::Policy},
        small_cache,
    },
    oci::{RegistryName, Repository, Version},
    registry::{
        Error, Kind, Registries, Registry, RequestCounter, RetryPolicy,
        settings::{Credential, Login, Settings},
    },
    sync::copy::single_flight::SingleFlight,
};

/// Repositories that are remembered in one generation.
const REPOSITORIES: usize = 20_000;
/// How long an answer to an anonymous request is believed.
const PUBLIC: Duration = Duration::from_secs(3600);
const PRIVATE: Duration = Duration::from_secs(300);
const MISSING: Duration = Duration::from_secs(30);
/// How long everything of a repository stays closed after its registry refused a tag.
const REFUSED: Duration = Duration::from_secs(60);
/// How long the registry may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// One lost packet is no verdict.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 2,
    first_pause: Duration::from_millis(200),
};

/// What a registry says of a repository to those who do not log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visibility {
    Public,
    Private,
}

/// What is known of repositories of registries with a login.
#[derive(Debug)]
pub(crate) struct VisibilityTable {
    /// The registries without any login, and the configuration that they are of.
    anonymous: Mutex<Option<(Arc<Config>, Arc<Registries>)>>,
    known: GenerationCache<Repository, (Visibility, Instant)>,
    /// What the registry does not have for everybody. It says nothing of the rest of a repository.
    missing: GenerationCache<(Repository, String), Instant>,
    refused: GenerationCache<Repository, Option<Instant>>,
    flights: SingleFlight<Repository>,
}

impl Default for VisibilityTable {
    fn default() -> Self {
        Self {
            anonymous: Mutex::default(),
            known: small_cache(REPOSITORIES),
            missing: small_cache(REPOSITORIES),
            refused: small_cache(REPOSITORIES),
            flights: SingleFlight::default(),
        }
    }
}

impl VisibilityTable {
    /// Takes note that a registry refuses a repository, or serves it again.
    pub(crate) fn note_refusal(&self, repository: &Repository, is_refused: bool) {
        let is_news = is_refused || self.refused.get(repository).flatten().is_some();
        if is_news {
            let at = is_refused.then(Instant::now);
            self.refused.insert(repository.clone(), at, 1);
        }
    }

    /// Whether the registry refused the repository a moment ago.
    fn is_refused(&self, repository: &Repository) -> bool {
        let at = self.refused.get(repository).flatten();
        at.is_some_and(|at| at.elapsed() < REFUSED)
    }

    fn known(&self, repository: &Repository) -> Option<Visibility> {
        let (visibility, at) = self.known.get(repository)?;
        let life = match visibility {
            Visibility::Public => PUBLIC,
            Visibility::Private => PRIVATE,
        };
        (at.elapsed() < life).then_some(visibility)
    }

    /// The client of a registry without a login.
    fn registry(&self, config: &Arc<Config>, name: &RegistryName) -> Result<Registry, Error> {
        let mut anonymous = self.anonymous.lock();
        let registries = match anonymous.as_mut() {
            Some((known, registries)) => {
                if !Arc::ptr_eq(known, config) {
                    registries.reload(without_logins(config));
                    *known = config.clone();
                }
                registries.clone()
            }
            None => {
                let settings = without_logins(config);
                // Not observed: a refusal here is an answer, and no trouble of a login.
                let registries =
                    Arc::new(Registries::new(settings, Arc::new(()), RETRY, Vec::new()));
                *anonymous = Some((config.clone(), registries.clone()));
                registries
            }
        };
        drop(anonymous);
        registries.open(name, Arc::<RequestCounter>::default())
    }
}

/// Whether an error is the registry's refusal.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(&*error.kind, Kind::Unauthorized(_) | Kind::Denied(_))
}

/// The settings of registries as everybody has them.
fn without_logins(config: &Config) -> Settings {
    let mut settings = config.registry_settings();
    for registry in settings.registries.values_mut() {
        registry.login = Login::default();
        registry.client_identity = None;
    }
    settings
}

/// Whether a registry is used with a login or a client certificate.
pub(crate) fn has_login(config: &Config, registry: &RegistryName) -> bool {
    let settings = config.registry(registry);
    let login = &settings.login;
    !matches!(login.credential, Credential::Anonymous)
        || !login.paths.is_empty()
        || login.renewal.is_some()
        || login.is_pending
        || settings.client_identity.is_some()
}

impl Gateway {
    /// Whether everybody may have something of a repository. What is pulled without a login is public;
    /// else its registry is asked without one, once in a while.
    pub(crate) async fn is_public(
        &self,
        pull: &Pull,
        wanted: &WantedContent,
    ) -> Result<bool, PullError> {
        let repository = &pull.repository;
        let is_shared = pull
            .gateway()
            .is_some_and(|gateway| gateway.public.matches(repository));
        if is_shared || !has_login(&pull.config, repository.registry()) {
            return Ok(true);
        }
        let thing = (repository.clone(), format!("{wanted:?}"));
        let _lead = loop {
            if let Some(known) = self.visibility.known(repository) {
                return Ok(known == Visibility::Public);
            }
            let missing = self.visibility.missing.get(&thing);
            if missing.is_some_and(|at| at.elapsed() < MISSING) {
                return Ok(false);
            }
            if let Some(lead) = self.visibility.flights.lead_or_wait(repository).await {
                break lead;
            }
        };
        let asked = self.ask_anonymously(pull, wanted);
        let visibility = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(true)) => Visibility::Public,
            Ok(Ok(false)) => {
                self.visibility.missing.insert(thing, Instant::now(), 1);
                return Ok(false);
            }
            Ok(Err(error)) if is_refusal(&error) => Visibility::Private,
            Ok(Err(error)) => return Err(unknown(repository, &error)),
            Err(_) => return Err(unknown(repository, &"it does not answer in time")),
        };
        let now = (visibility, Instant::now());
        self.visibility.known.insert(repository.clone(), now, 1);
        Ok(visibility == Visibility::Public)
    }

    /// Whether the registry gives it to who does not log in.
    async fn ask_anonymously(&self, pull: &Pull, wanted: &WantedContent) -> Result<bool, Error> {
        let repository = &pull.repository;
        let registry = self
            .visibility
            .registry(&pull.config, repository.registry())?;
        let reference = match wanted {
            WantedContent::Manifest(Version::Tag(tag)) => repository.tag(tag),
            WantedContent::Manifest(Version::Digest(digest)) | WantedContent::Referrers(digest) => {
                repository.digest(digest)
            }
            WantedContent::Blob(digest) => return registry.has_blob(repository, digest).await,
            WantedContent::Tags => return Ok(registry.probe_tags(repository).await?.is_some()),
        };
        Ok(registry.head_manifest(&reference).await?.is_some())
    }

    /// Fails where the registry refused the repository a moment ago: what it took back is not served
    /// from the copy.
    pub(crate) fn check_refused(&self, repository: &Repository) -> Result<(), PullError> {
        match self.visibility.is_refused(repository) {
            false => Ok(()),
            true => {
                let text =
                    format!("{repository} is refused by its registry, so its copy is not served");
                Err(PullError::not_found("NAME_UNKNOWN", text))
            }
        }
    }
}

/// Nobody knows whether an image is public.
fn unknown(repository: &Repository, error: &dyn std::fmt::Display) -> PullError {
    PullError::unavailable(format!(
        "whether {repository} is public is not known: {error}; if every client may have it, add it \
         to `public` of [gateway] in mirror.toml"
    ))
}

/// Why an image is not for everybody, and what an operator does.
pub(crate) fn private_text(repository: &Repository) -> String {
    format!(
        "{repository} is private at its registry; set `users` of [gateway] in mirror.toml and log in, \
         or add public = [\"{repository}\"] if every client may have it"
    )
}

/// A pull that looks at the upstream instead of a target repository that it shares with private
/// images: a digest there may be one of theirs.
pub(crate) fn apart(policy: Policy<'_>, pull: Pull, wanted: &WantedContent) -> Pull {
    let is_shared = pull.copy.as_ref().is_some_and(|copy| {
        let place = &copy.repository;
        policy
            .neighbours(&pull.repository, place)
            .iter()
            .any(|other| {
                has_login(policy.config, other.registry()) && !policy.gateway.public.matches(other)
            })
    });
    match is_shared && !is_tag(wanted) {
        true => Pull { copy: None, ..pull },
        false => pull,
    }
}

/// Whether an image is asked for by its tag.
pub(crate) fn is_tag(wanted: &WantedContent) -> bool {
    matches!(wanted, WantedContent::Manifest(Version::Tag(_)))
}
