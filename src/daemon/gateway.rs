//! The gateway's place in the daemon: its listener, and what it is asked for as a mirror.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Mirror, ON_DEMAND},
    daemon::{
        Daemon, Error, HttpServer,
        services::{Services, find_mirror, now},
    },
    gateway::{self, GatewayContext, ImageDemand},
    store::{PulledContent, StoreEvent},
    sync::{self, Scope},
};

/// Starts the gateway, if the configuration has one.
pub(crate) async fn start(
    services: &Services,
    orders: mpsc::Sender<ImageDemand>,
) -> Result<Option<HttpServer>, Error> {
    let config = services.config();
    let Some(gateway) = &config.gateway else {
        return Ok(None);
    };
    let address = gateway.listen;
    let fail = |error| Error::Gateway { address, error };
    let (listener, tls) = gateway::bind(gateway).await.map_err(fail)?;
    let address = listener.local_addr().unwrap_or(address);
    let context = GatewayContext {
        config: services.active.clone(),
        sync: services.sync.clone(),
        store: services.store.clone(),
        writer: services.writer.clone(),
        metrics: services.metrics.clone(),
        board: services.pulls.clone(),
        orders,
    };
    let stop = CancellationToken::new();
    Ok(Some(HttpServer {
        address,
        task: tokio::spawn(gateway::serve(listener, tls, context, stop.clone())),
        stop,
    }))
}

impl Services {
    /// A configuration with the mirror of what was pulled through lately and no entry mirrors. What is
    /// gone from the target is forgotten.
    pub(crate) async fn with_demand(&self, config: Config) -> Config {
        if config.gateway.is_none() {
            return config;
        }
        let known = match sync::with_demand(&config, &self.store, now()).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%error, "what was pulled through is not mirrored now");
                return config;
            }
        };
        for image in known.left {
            let left = PulledContent::Left {
                repository: image.repository,
                version: image.version,
                since: known.since,
            };
            self.writer.note(StoreEvent::Pulled(left));
        }
        known.config
    }
}

impl Daemon {
    /// Puts the mirror of what was pulled through in force, as the store knows it now. Returns whether
    /// it is another one.
    pub(crate) async fn adopt_demand(&mut self) -> bool {
        let config = self.services.config();
        if config.gateway.is_none() {
            return false;
        }
        let new = self.services.with_demand(Config::clone(&config)).await;
        let is_new = mirror(&config) != mirror(&new);
        if is_new {
            self.services.active.store(Arc::new(new));
        }
        is_new
    }

    /// The same before a run of that mirror: what nobody pulled for long leaves with it.
    pub(crate) async fn renew_demand(&mut self, name: &str) {
        if *name != *ON_DEMAND || !self.adopt_demand().await {
            return;
        }
        if let Err(error) = self.apply_config().await {
            tracing::warn!(%error, "status pages and metrics are stale");
        }
    }

    /// Mirrors an image that a client pulled.
    pub(crate) async fn demanded(&mut self, image: ImageDemand) {
        self.renew_demand(&image.mirror).await;
        let config = self.services.config();
        // An entry may have taken the image over, or was removed meanwhile.
        if find_mirror(&config, &image.mirror).is_none() {
            return;
        }
        let scope = Scope::Image(image.repository, image.tag);
        self.runs
            .start_image(&image.mirror, scope, &self.services, &mut self.work);
    }

    /// Stops the gateway. Its clients get a moment.
    pub(crate) async fn stop_gateway(&mut self) {
        let Some(gateway) = self.gateway.take() else {
            return;
        };
        gateway.stop.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(12), gateway.task).await;
    }
}

/// The mirror of what was pulled through.
fn mirror(config: &Config) -> Option<&Mirror> {
    find_mirror(config, ON_DEMAND)
}
