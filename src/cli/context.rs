//! Opens what commands need: the config, the chosen mirrors, the store, the pipeline.

use std::{collections::HashSet, path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Global, Refusal, run::sync::interrupt},
    config::{Config, LoadOptions, Mirror, closest},
    daemon::Lock,
    metrics::Metrics,
    registry::{Registries, RetryPolicy},
    store::{self, Store, StoreWriter},
    sync::{self, Sync},
};

/// The pipeline, and the store's writer, which is closed last.
pub(crate) struct Pipeline {
    pub(crate) sync: Sync,
    pub(crate) recorder: Arc<StoreWriter>,
    pub(crate) stop: CancellationToken,
}

/// Reads the config, and shows what is doubtful in it.
pub(crate) fn config(global: &Global) -> anyhow::Result<Arc<Config>> {
    let config = Config::load(global.config.as_deref())?;
    if !config.warnings.is_empty() {
        tracing::warn!("{}", config.warnings);
    }
    Ok(Arc::new(config))
}

/// Reads the config, with the mirror of what clients pulled through the gateway.
pub(crate) async fn config_with_demand(global: &Global) -> anyhow::Result<Arc<Config>> {
    let config = config(global)?;
    Ok(with_demand(&config).await.map_or(config, Arc::new))
}

/// The same for a command that talks to nobody.
pub(crate) async fn known_config(global: &Global) -> anyhow::Result<Config> {
    let config = config_without_secrets(global)?;
    Ok(with_demand(&config).await.unwrap_or(config))
}

/// A config with what the store knows of pulls, where there is anything.
async fn with_demand(config: &Config) -> Option<Config> {
    config.gateway.as_ref()?;
    let read = async {
        match Store::open_existing(&config.state_path).await? {
            None => Ok(None),
            Some(store) => {
                let now = chrono::Utc::now().timestamp();
                sync::with_demand(config, &store, now).await.map(Some)
            }
        }
    };
    match read.await {
        Ok(known) => known.map(|known| known.config),
        Err(error) => {
            let error: store::Error = error;
            tracing::warn!(%error, "the mirror `on-demand` is left out");
            None
        }
    }
}

/// Reads the config for a command that talks to nobody.
pub(crate) fn config_without_secrets(global: &Global) -> anyhow::Result<Config> {
    let path = global.config.as_deref();
    Ok(Config::load_with(path, LoadOptions::WITHOUT_SECRETS)?)
}

/// Opens the store and what stands on it.
pub(crate) async fn pipeline(config: &Arc<Config>) -> anyhow::Result<Pipeline> {
    let stop = CancellationToken::new();
    let (store, recorder) = store(&config.state_path, &stop).await?;
    let (metrics, recorder) = (Arc::new(Metrics::new()?), Arc::new(recorder));
    let learned = store.dialects().await?;
    let registries = Registries::new(
        config.registry_settings(),
        metrics.clone(),
        RetryPolicy::default(),
        learned,
    );
    let sync = Sync::new(
        registries,
        store,
        recorder.clone(),
        metrics,
        Arc::default(),
        [stop.clone(), stop.clone()],
    );
    Ok(Pipeline {
        sync,
        recorder,
        stop,
    })
}

/// Opens the store. One that is damaged is replaced, unless a daemon still uses it.
async fn store(path: &Path, stop: &CancellationToken) -> anyhow::Result<(Store, StoreWriter)> {
    match Store::open(path, stop.clone()).await {
        Err(store::Error::Damaged { .. }) => {
            let _lock = Lock::take(path)?;
            Ok(Store::open_or_replace(path, stop.clone()).await?)
        }
        opened => Ok(opened?),
    }
}

impl Pipeline {
    /// Writes what is left to the store and closes it, and tells if that failed. Whoever interrupts
    /// this waits no longer than the store does.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        drop(self.sync);
        tokio::select! {
            closed = self.recorder.close() => Ok(closed?),
            () = interrupt(&self.stop) => Err(Refusal::Interrupted.into()),
        }
    }
}

/// The mirrors of these names, or all of them.
pub(crate) fn mirrors<'a>(config: &'a Config, names: &[String]) -> anyhow::Result<Vec<&'a Mirror>> {
    if names.is_empty() {
        return Ok(config.mirrors.iter().collect());
    }
    let known: HashSet<&str> = config.mirrors.iter().map(|mirror| &*mirror.name).collect();
    check_names("mirror", names, &known, config)?;
    Ok(config
        .mirrors
        .iter()
        .filter(|mirror| names.iter().any(|name| **name == *mirror.name))
        .collect())
}

/// The names of these channels, or of all of them.
pub(crate) fn channels(config: &Config, names: &[String]) -> anyhow::Result<Vec<Arc<str>>> {
    let all = || config.channels.iter().map(|channel| &channel.name);
    let known: HashSet<&str> = all().map(|name| &**name).collect();
    if known.is_empty() {
        let file = config.path.display();
        let help = "add a [notify.NAME]; `mirror.toml` in the source tree has examples";
        return Err(Refusal::mistake(format!("no channel in {file}"), help).into());
    }
    check_names("channel", names, &known, config)?;
    let is_wanted = |name: &&Arc<str>| names.is_empty() || names.iter().any(|n| **n == ***name);
    Ok(all().filter(is_wanted).cloned().collect())
}

/// Refuses the first name that is not known, and tells the one that was most likely meant.
fn check_names(
    noun: &str,
    names: &[String],
    known: &HashSet<&str>,
    config: &Config,
) -> anyhow::Result<()> {
    let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) else {
        return Ok(());
    };
    let help = match closest(unknown, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            let mut known: Vec<&str> = known.iter().copied().collect();
            known.sort_unstable();
            format!("there are: {}", known.join(", "))
        }
    };
    let file = config.path.display();
    Err(Refusal::mistake(format!("no {noun} `{unknown}` in {file}"), help).into())
}
