//! `transship cluster apply`: publishes the mirrors of the file, so that every worker runs them.

use std::{collections::HashSet, sync::Arc};

use serde_json::json;

use crate::{
    cli::{Exit, Global, Refusal, output},
    config::{Config, Mirror},
    coordination::{
        LEVEL, NOT_DUE,
        database::{Cluster, ConfigRecord, NewConfig},
        units_of,
    },
};

/// Arguments of `cluster apply`.
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {}

impl ApplyArgs {
    pub(crate) async fn run(
        self,
        config: &Arc<Config>,
        cluster: &Cluster,
        global: &Global,
    ) -> anyhow::Result<Exit> {
        let file = config.path.display();
        if config.mirrors.is_empty() {
            // Every worker would forget what it mirrors.
            let message = format!("{file} has no [[mirror]]: there is nothing to publish");
            let help = "name the file with the mirrors: --config FILE";
            return Err(Refusal::mistake(message, help).into());
        }
        let before = cluster.newest_config(LEVEL).await?;
        let changed = changed(config, before.as_ref());
        let mut units = units_of(config);
        for unit in &mut units {
            if !changed.contains(&*unit.mirror) {
                // The earlier time at which it is due stays.
                unit.due_in = NOT_DUE;
            }
        }
        let count = units.len();
        let by = config.cluster.as_ref().map(|worker| worker.name.clone());
        let published = NewConfig {
            body: config.shared_text()?,
            level: LEVEL,
            by: by.unwrap_or_default(),
            units,
        };
        let version = cluster.publish(&published).await?;
        if global.json {
            let version = version.to_string();
            output::json(&json!({ "version": version, "units": count }))?;
            return Ok(Exit::Ok);
        }
        output::line(&format!(
            "version {version} is published: {} mirrors, {count} units",
            config.mirrors.len()
        ))?;
        Ok(Exit::Ok)
    }
}

/// The mirrors that are different now. Their schedule may be, too: they are due at once.
fn changed<'a>(config: &'a Config, before: Option<&ConfigRecord>) -> HashSet<&'a str> {
    let before = before.and_then(|before| Config::parse_published(&before.body).ok());
    let is_new = |mirror: &&Mirror| {
        let mut known = before.iter().flat_map(|before| &before.mirrors);
        !known.any(|known| known == *mirror)
    };
    let mirrors = config.mirrors.iter().filter(is_new);
    mirrors.map(|mirror| &*mirror.name).collect()
}
