//! `transship check`: is mirror.toml valid, and can its registries be used?

pub(crate) mod online;
pub(crate) mod verdict;

use serde_json::json;

use crate::{
    cli::{Exit, Global, error::CommandFailure, output, setup::check::verdict::RegistryReport},
    config::Config,
    store::{self, Store},
};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Ask each registry, too: is it reachable, does it know us, may we list, pull and push
    #[arg(long)]
    online: bool,
}

impl CheckArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = match Config::load(global.config.as_deref()) {
            Ok(config) => config,
            Err(error) if global.json => {
                let mut printed = json!(CommandFailure::of(&error.into()));
                printed["valid"] = false.into();
                output::json(&printed)?;
                return Ok(Exit::Config);
            }
            Err(error) => return Err(error.into()),
        };
        let unusable = Store::unusable(&config.state_path).await;
        let reports = match self.online {
            true => Some(online::ask(&config).await?),
            false => None,
        };
        if global.json {
            let mut printed = json!({
                "valid": true,
                "error": null,
                "problems": config.warnings.records(),
                "store": unusable.map(|error| CommandFailure::of(&error.into())),
            });
            if let Some(reports) = &reports {
                printed["registries"] = json!(reports);
            }
            output::json(&printed)?;
        } else {
            print(&config, unusable, reports.as_deref().unwrap_or_default())?;
        }
        Ok(verdict::exit(reports.as_deref().unwrap_or_default()))
    }
}

fn print(
    config: &Config,
    unusable: Option<store::Error>,
    reports: &[RegistryReport],
) -> anyhow::Result<()> {
    if !config.warnings.is_empty() {
        output::line(config.warnings.to_string().trim_end())?;
    }
    let routes: usize = config.mirrors.iter().map(|m| m.routes.len()).sum();
    let mirrors = output::count(config.mirrors.len() as u64, "mirror");
    let repositories = match routes {
        1 => "1 repository".to_owned(),
        count => format!("{count} repositories"),
    };
    let discoveries: usize = config.mirrors.iter().map(|m| m.discoveries.len()).sum();
    let patterns = match discoveries {
        0 => String::new(),
        count => format!(" and {}", output::count(count as u64, "pattern")),
    };
    output::line(&format!(
        "{}: ok, {mirrors} of {repositories}{patterns}",
        config.path.display()
    ))?;
    if let Some(error) = unusable {
        output::line(&format!("no sync can run here by this user: {error}"))?;
    }
    verdict::lines(reports)
        .iter()
        .try_for_each(|line| output::line(line))
}
