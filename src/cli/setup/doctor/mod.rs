//! `transship doctor`: what on this machine keeps transship from its work, or slows it down.

mod finding;
mod machine;
mod network;
mod unit;

use serde_json::json;

use crate::{
    cli::{
        Exit, Global, context, output,
        setup::{
            check::{online, verdict},
            doctor::finding::{DoctorFinding, DoctorVerdict},
        },
    },
    config::Config,
};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Look at the systemd unit only
    #[arg(long)]
    unit: bool,
    /// Do not ask the registries
    #[arg(long)]
    offline: bool,
}

impl DoctorArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_without_secrets(global)?;
        let mut findings = Vec::new();
        if !self.unit {
            findings.extend(machine::check(&config).await);
        }
        findings.extend(unit::check(&config).await);
        let asks = !self.unit && !self.offline;
        if asks {
            findings.extend(network::check(&config).await);
        }
        let reports = match asks {
            true => self.registries(global, &mut findings).await?,
            false => Vec::new(),
        };
        let has_failed = findings
            .iter()
            .any(|finding| finding.verdict == DoctorVerdict::Failed);
        if global.json {
            output::json(&json!({ "findings": findings, "registries": reports }))?;
        } else {
            let lines = findings.iter().flat_map(DoctorFinding::lines);
            let lines = lines.chain(verdict::lines(&reports));
            lines.into_iter().try_for_each(|line| output::line(&line))?;
        }
        Ok(match (has_failed, verdict::exit(&reports)) {
            (true, Exit::Ok) => Exit::SomeFailed,
            (_, exit) => exit,
        })
    }

    /// Asks the registries, which takes the secrets of the file.
    async fn registries(
        &self,
        global: &Global,
        findings: &mut Vec<DoctorFinding>,
    ) -> anyhow::Result<Vec<verdict::RegistryReport>> {
        match Config::load(global.config.as_deref()) {
            Ok(config) => online::ask(&config).await,
            Err(error) => {
                findings.push(DoctorFinding::failed(
                    "registries",
                    error.to_string(),
                    "mend this first; `transship doctor --offline` leaves it out",
                ));
                Ok(Vec::new())
            }
        }
    }
}
