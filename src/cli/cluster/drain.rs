//! `transship cluster drain`: a worker ends what it runs and takes nothing more.

use serde_json::json;

use crate::{
    cli::{Exit, Global, Refusal, output},
    config::{Config, closest},
    coordination::database::Cluster,
};

/// Arguments of `cluster drain`.
#[derive(Debug, clap::Args)]
pub(crate) struct DrainArgs {
    /// The worker, as `transship cluster status` names it
    name: String,
}

impl DrainArgs {
    pub(crate) async fn run(
        self,
        config: &Config,
        cluster: &Cluster,
        global: &Global,
    ) -> anyhow::Result<Exit> {
        let drained = cluster.drain(&self.name).await?;
        if drained == 0 {
            return Err(self.unknown(config, cluster).await?.into());
        }
        if global.json {
            output::json(&json!({ "worker": self.name, "drained": drained }))?;
            return Ok(Exit::Ok);
        }
        output::line(&format!(
            "{} takes nothing more; what it runs ends, and it takes units again after a restart",
            self.name
        ))?;
        Ok(Exit::Ok)
    }

    async fn unknown(&self, config: &Config, cluster: &Cluster) -> anyhow::Result<Refusal> {
        let status = cluster.status().await?;
        let live = status.workers.iter();
        let live = live.filter(|worker| worker.is_live());
        let names: Vec<&str> = live.map(|worker| &*worker.name).collect();
        let help = match closest(&self.name, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if names.is_empty() => "no worker lives".into(),
            None => format!("there are: {}", names.join(", ")),
        };
        let file = config.path.display();
        let message = format!("no worker `{}` lives in the cluster of {file}", self.name);
        Ok(Refusal::mistake(message, help))
    }
}
