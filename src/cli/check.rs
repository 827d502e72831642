//! `transship check`: is mirror.toml valid, and can its registries be used?

use serde_json::json;

use super::{
    Exit, Global, online, text,
    verdict::{self, Report},
};
use crate::config::{Config, Error};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Ask each registry, too: is it reachable, does it know us, may we list, pull and push
    #[arg(long)]
    online: bool,
}

impl Check {
    pub(super) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let loaded = Config::load(global.config.as_deref());
        let reports = match &loaded {
            Ok(config) if self.online => Some(online::ask(config).await?),
            _ => None,
        };
        if global.json {
            return print_json(&loaded, reports.as_deref());
        }
        let config = loaded?;
        if !config.warnings.is_empty() {
            text::line(config.warnings.to_string().trim_end())?;
        }
        let routes = config
            .mirrors
            .iter()
            .map(|mirror| mirror.routes.len() as u64)
            .sum();
        let mirrors = text::count(config.mirrors.len() as u64, "mirror");
        let repositories = match routes {
            1 => "1 repository".to_owned(),
            count => format!("{count} repositories"),
        };
        let discoveries: usize = config.mirrors.iter().map(|m| m.discoveries.len()).sum();
        let patterns = match discoveries {
            0 => String::new(),
            count => format!(" and {}", text::count(count as u64, "pattern")),
        };
        text::line(&format!(
            "{}: ok, {mirrors} of {repositories}{patterns}",
            config.path.display()
        ))?;
        let reports = reports.unwrap_or_default();
        for line in verdict::lines(&reports) {
            text::line(&line)?;
        }
        Ok(verdict::exit(&reports))
    }
}

fn print_json(loaded: &Result<Config, Error>, reports: Option<&[Report]>) -> anyhow::Result<Exit> {
    let (is_valid, problems) = match loaded {
        Ok(config) => (true, config.warnings.records()),
        Err(Error::Invalid(report)) => (false, report.records()),
        Err(_) => (false, Vec::new()),
    };
    let error = match loaded {
        Err(error @ (Error::NotFound(_) | Error::Unreadable { .. })) => Some(error.to_string()),
        _ => None,
    };
    let mut printed = json!({ "valid": is_valid, "error": error, "problems": problems });
    if let Some(reports) = reports {
        printed["registries"] = json!(reports);
    }
    text::json(&printed)?;
    Ok(match is_valid {
        true => verdict::exit(reports.unwrap_or_default()),
        false => Exit::Config,
    })
}
