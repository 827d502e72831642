//! `transship cluster`: the workers that share their work over a database.

mod apply;
mod drain;
mod status;

use clap::Subcommand;

use crate::{
    cli::{Exit, Global, Refusal, context},
    config::Config,
    coordination::database::{Cluster, Settings},
};

/// Arguments of `cluster`.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Show the workers, what each holds, and what is overdue
    Status(status::ClusterStatusArgs),
    /// Publish the mirrors of mirror.toml for all workers
    Apply(apply::ApplyArgs),
    /// Let a worker end what it runs and take nothing more
    Drain(drain::DrainArgs),
}

impl ClusterArgs {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config(global)?;
        let cluster = open(&config).await?;
        let done = match self.command {
            ClusterCommand::Status(status) => status.run(&cluster, global).await,
            ClusterCommand::Apply(apply) => apply.run(&config, &cluster, global).await,
            ClusterCommand::Drain(drain) => drain.run(&config, &cluster, global).await,
        };
        cluster.close().await;
        done
    }
}

/// Connects to the database of the workers.
async fn open(config: &Config) -> anyhow::Result<Cluster> {
    let Some(worker) = &config.cluster else {
        let message = format!("{} has no [cluster]", config.path.display());
        let help = "add it, with the `database` that the workers share";
        return Err(Refusal::mistake(message, help).into());
    };
    let settings = Settings::new(worker.database.clone());
    Ok(Cluster::open(&settings).await?)
}
