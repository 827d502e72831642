//! `transship check`: is mirror.toml valid?

use serde_json::json;

use super::{Exit, Global, text};
use crate::config::{Config, Error};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {}

impl Check {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let loaded = Config::load(global.config.as_deref());
        if global.json {
            return self.print_json(loaded);
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
        Ok(Exit::Ok)
    }

    fn print_json(&self, loaded: Result<Config, Error>) -> anyhow::Result<Exit> {
        let (is_valid, problems) = match &loaded {
            Ok(config) => (true, config.warnings.records()),
            Err(Error::Invalid(report)) => (false, report.records()),
            Err(_) => (false, Vec::new()),
        };
        let error = match &loaded {
            Err(error @ (Error::NotFound(_) | Error::Unreadable { .. })) => Some(error.to_string()),
            _ => None,
        };
        text::json(&json!({ "valid": is_valid, "error": error, "problems": problems }))?;
        Ok(if is_valid { Exit::Ok } else { Exit::Config })
    }
}
