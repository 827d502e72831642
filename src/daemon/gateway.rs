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
    sync::Scope,
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
    /// A configuration with the mirror of what was pulled through lately and no entry mirrors.
    pub(crate) async fn with_demand(&self, config: Config) -> Config {
        let Some(keep) = config.gateway.as_ref().map(|gateway| gateway.keep) else {
            return config;
        };
        let since = now() - i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
        let images = self.store.demand(since).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was pulled through is not mirrored now");
            Vec::new()
        });
        config.with_on_demand(&images)
    }
}

impl Daemon {
    /// Puts the mirror of what was pulled through in force, as the store knows it now.
    pub(crate) async fn adopt_demand(&mut self) {
        let config = self.services.config();
        if config.gateway.is_none() {
            return;
        }
        let new = self.services.with_demand(Config::clone(&config)).await;
        if mirror(&config) != mirror(&new) {
            self.services.active.store(Arc::new(new));
        }
    }

    /// Mirrors an image that a client pulled.
    pub(crate) async fn demanded(&mut self, image: ImageDemand) {
        if *image.mirror == *ON_DEMAND {
            self.adopt_demand().await;
            if let Err(error) = self.apply_config().await {
                tracing::warn!(%error, "status pages and metrics are stale");
            }
        }
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
