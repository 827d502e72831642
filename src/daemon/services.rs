//! What every part of the daemon uses: the configuration, the store, the pipeline, the channels.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use chrono::Utc;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Mirror},
    coordination::Coordination,
    daemon::{Tasks, event_loop::Event},
    gateway::PullBoard,
    metrics::Metrics,
    notify::Notifier,
    status::{Status, StatusCache},
    store::{self, Store, StoreEvent, StoreWriter, Upkeep},
    sync::Sync,
    web::Health,
};

/// What every part of the daemon uses.
pub(crate) struct Services {
    pub(crate) active: Arc<ArcSwap<Config>>,
    pub(crate) store: Store,
    pub(crate) writer: Arc<StoreWriter>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) status: Arc<StatusCache>,
    pub(crate) sync: Arc<Sync>,
    /// With whom the targets are shared.
    pub(crate) coordination: Arc<Coordination>,
    pub(crate) health: Arc<Health>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) pulls: Arc<PullBoard>,
    /// Cancelled at shutdown: nothing new starts.
    pub(crate) stop: CancellationToken,
}

impl Services {
    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.active.load_full()
    }

    /// The status of every mirror.
    pub(crate) fn status(&self) -> Status {
        self.status.status(&self.config(), now())
    }

    /// Updates what pages and metrics show of a mirror.
    pub(crate) async fn refresh(&self, name: &str) {
        let config = self.config();
        let Some(mirror) = find_mirror(&config, name) else {
            return;
        };
        if let Err(error) = self.status.refresh(&config, mirror, now()).await {
            tracing::warn!(%error, mirror = name, "status pages and metrics are stale");
        }
    }

    /// Compares the lists of clusters, beside everything else, if a mirror changed since.
    pub(crate) fn compare_clusters(&self, work: &mut Tasks) {
        if !self.status.clusters().begin() {
            return;
        }
        let (status, config) = (self.status.clone(), self.config());
        let stop = self.stop.clone();
        work.spawn(async move {
            let judged = stop.run_until_cancelled(status.clusters().judge(&config));
            if let Some(Err(error)) = judged.await {
                tracing::warn!(%error, "what clusters use is not compared");
            }
            Event::Compared
        });
    }

    /// Removes the series of mirrors and registries that the configuration no longer names.
    pub(crate) fn keep_series(&self, config: &Config) {
        let mirrors: Vec<_> = config
            .mirrors
            .iter()
            .map(|mirror| (mirror.name.clone(), mirror.target_registries()))
            .collect();
        let registries = config.mirrors.iter().flat_map(|mirror| mirror.registries());
        let registries: HashSet<String> = registries.collect();
        self.metrics.keep(&mirrors, &registries);
    }

    /// Clears the lag of routes that the configuration no longer has.
    pub(crate) async fn release_left_routes(&self, config: &Config) -> Result<(), store::Error> {
        for (name, source, target) in self.store.lagging().await? {
            let mirror = find_mirror(config, &name);
            // The history of a removed mirror stays as it is.
            if mirror.is_some_and(|mirror| !mirror.goes(&source, &target)) {
                let left = Upkeep::Left {
                    mirror: name,
                    source: source.to_string(),
                    target,
                };
                self.writer.note(StoreEvent::Upkeep(left));
            }
        }
        self.writer.flush().await;
        Ok(())
    }
}

/// The mirror of this name.
pub(crate) fn find_mirror<'a>(config: &'a Config, name: &str) -> Option<&'a Mirror> {
    config.mirrors.iter().find(|mirror| *mirror.name == *name)
}

/// The time, in seconds since 1970.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp()
}
