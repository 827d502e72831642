//! `transship serve`: the daemon.

use std::sync::Arc;

use crate::{
    cli::{Exit, Global},
    config::{Config, LoadOptions},
    daemon,
    metrics::Metrics,
};

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {}

impl ServeArgs {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<Exit> {
        let config = Config::load_with(global.config.as_deref(), LoadOptions::DAEMON)?;
        if !config.warnings.is_empty() {
            tracing::warn!("{}", config.warnings);
        }
        let metrics = match &config.cluster {
            None => Metrics::new()?,
            Some(worker) => Metrics::of_worker(&worker.name, &worker.egress)?,
        };
        daemon::serve(config, Arc::new(metrics)).await?;
        Ok(Exit::Ok)
    }
}
