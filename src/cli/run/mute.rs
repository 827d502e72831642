//! `transship mute` and `unmute`: no alarms of a mirror or a registry for a time.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    alarms::find_muted,
    cli::{Exit, Global, Refusal, context, output},
    config::{Config, closest},
    status::format,
    store::{Mute, Store, StoreEvent, Upkeep},
};

/// Arguments of `mute`.
#[derive(Debug, clap::Args)]
pub(crate) struct MuteArgs {
    /// A mirror, or a registry with the mirrors that fail because of it
    #[arg(value_name = "MIRROR|REGISTRY", required_unless_present = "list")]
    name: Option<String>,
    /// For how long: 2h, 30m, 1day
    #[arg(value_parser = humantime::parse_duration, required_unless_present = "list")]
    duration: Option<Duration>,
    /// Show what is muted
    #[arg(long, conflicts_with_all = ["name", "duration"])]
    list: bool,
}

/// Arguments of `unmute`.
#[derive(Debug, clap::Args)]
pub(crate) struct UnmuteArgs {
    /// A mirror or a registry
    #[arg(value_name = "MIRROR|REGISTRY")]
    name: String,
}

impl MuteArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::known_config(global).await?;
        let (Some(name), Some(duration)) = (&self.name, self.duration) else {
            return list(&config, global).await;
        };
        let mute = set(&config, name, duration).await?;
        if global.json {
            output::json(&mute)?;
            return Ok(Exit::Ok);
        }
        output::line(&line(&mute, &config))?;
        Ok(Exit::Ok)
    }
}

impl UnmuteArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::known_config(global).await?;
        let mute = set(&config, &self.name, Duration::ZERO).await?;
        if global.json {
            output::json(&mute)?;
            return Ok(Exit::Ok);
        }
        output::line(&format!("alarms of {} are sent again", mute.name))?;
        Ok(Exit::Ok)
    }
}

async fn list(config: &Config, global: &Global) -> anyhow::Result<Exit> {
    let store = Store::open_existing(&config.state_path).await?;
    let mutes = match store {
        Some(store) => store.mutes(Utc::now().timestamp()).await?,
        None => Vec::new(),
    };
    if global.json {
        output::json(&json!({ "mutes": mutes }))?;
        return Ok(Exit::Ok);
    }
    if mutes.is_empty() {
        output::line("nothing is muted")?;
    }
    for mute in &mutes {
        output::line(&line(mute, config))?;
    }
    Ok(Exit::Ok)
}

fn line(mute: &Mute, config: &Config) -> String {
    let until = format::clock(mute.until, config.timezone);
    let (kind, name) = (mute.kind.as_str(), &mute.name);
    format!("no alarms of {kind} {name} are sent until {until}")
}

/// Notes a mute in the store, where the daemon finds it.
async fn set(config: &Config, name: &str, duration: Duration) -> anyhow::Result<Mute> {
    let Some((kind, name)) = find_muted(config, name) else {
        return Err(unknown(config, name).into());
    };
    let now = Utc::now().timestamp();
    let until = now.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
    let mute = Mute { kind, name, until };
    let (store, writer) = Store::open(&config.state_path, CancellationToken::new()).await?;
    let muted = Upkeep::Muted {
        mute: mute.clone(),
        now,
    };
    writer.record(StoreEvent::Upkeep(muted)).await;
    drop(store);
    writer.close().await?;
    Ok(mute)
}

fn unknown(config: &Config, name: &str) -> Refusal {
    let mirrors = config.mirrors.iter().map(|mirror| mirror.name.clone());
    let registries = config.mirrors.iter().flat_map(|mirror| mirror.registries());
    let mut names: Vec<Arc<str>> = mirrors.chain(registries.map(Arc::from)).collect();
    names.sort();
    names.dedup();
    let help = match closest(name, names.iter().map(|name| &**name)) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are: {}", names.join(", ")),
    };
    let file = config.path.display();
    Refusal::mistake(
        format!("no mirror and no registry `{name}` in {file}"),
        help,
    )
}
