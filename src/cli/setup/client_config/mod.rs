//! `transship client-config KIND`: the files that make a client pull from the mirror, and whether it can.

mod files;
mod probe;
mod upstream;

use serde_json::json;
use url::Url;

use crate::{
    cli::{
        Exit, Global, Refusal, context, output,
        setup::client_config::{
            files::{Client, ClientFile},
            probe::{ProbeArgs, ProbeResult},
            upstream::Upstream,
        },
    },
    config::Config,
};

/// Arguments of `client-config`.
#[derive(Debug, clap::Args)]
pub(crate) struct ClientConfigArgs {
    /// The client
    #[arg(value_enum)]
    client: Client,
    /// Where clients reach the gateway, such as https://mirror.example.com
    #[arg(long, value_name = "URL", required_unless_present = "direct")]
    gateway: Option<Url>,
    /// For this registry only; default: every registry that mirrors read from
    #[arg(long, value_name = "HOST")]
    registry: Vec<String>,
    /// Pull from the target itself, without a gateway, where the layout allows it
    #[arg(long, conflicts_with = "gateway")]
    direct: bool,
    #[command(flatten)]
    probe: ProbeArgs,
}

impl ClientConfigArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_without_secrets(global)?;
        let (upstreams, reasons) = self.upstreams(&config)?;
        if self.probe.is_wanted() {
            let client = (self.client, &config);
            let results = self.probe.ask(client, &upstreams).await?;
            if results.is_empty() {
                return Err(self.nothing(&reasons));
            }
            return report(global, &results, &reasons);
        }
        let files = files::files(self.client, &upstreams);
        if global.json {
            output::json(&json!({ "files": files, "left_out": reasons }))?;
        } else {
            print(&files, &reasons)?;
        }
        if files.is_empty() {
            return Err(self.nothing(&reasons));
        }
        Ok(match reasons.is_empty() {
            true => Exit::Ok,
            false => Exit::SomeFailed,
        })
    }

    /// Where clients find the images, and which registries are left out, and why.
    fn upstreams(&self, config: &Config) -> anyhow::Result<(Vec<Upstream>, Vec<String>)> {
        let Some(gateway) = &self.gateway else {
            return Ok(upstream::at_target(config, &self.registry));
        };
        let is_base = matches!(gateway.scheme(), "http" | "https")
            && gateway.has_host()
            && matches!(gateway.path(), "" | "/");
        if !is_base {
            let help = "write a scheme, a host and a port, as in https://mirror.example.com:5000";
            let message = format!("`{gateway}` is no address of a gateway");
            return Err(Refusal::mistake(message, help).into());
        }
        let registries = upstream::registries(config, &self.registry);
        Ok((upstream::behind_gateway(registries, gateway), Vec::new()))
    }

    fn nothing(&self, reasons: &[String]) -> anyhow::Error {
        let help = match (self.client, reasons.is_empty()) {
            (Client::Kubeadm, true) => "kubeadm pulls from registry.k8s.io, which no entry mirrors",
            (_, true) => "name registries that entries mirror from with --registry",
            (_, false) => {
                "use `path = \"{registry}/{repository}\"`, or a gateway: it finds each image by its \
                 name"
            }
        };
        Refusal::mistake("nothing to write for this client".into(), help).into()
    }
}

/// Shows what answered.
fn report(global: &Global, results: &[ProbeResult], reasons: &[String]) -> anyhow::Result<Exit> {
    if global.json {
        output::json(&json!({ "checks": results, "left_out": reasons }))?;
    } else {
        for result in results {
            match (&result.error, &result.remedy) {
                (None, _) => {
                    let image = result.image.as_deref().unwrap_or_default();
                    let digest = result.digest.as_deref().unwrap_or_default();
                    output::line(&format!("{}: ok, {image} is {digest}", result.registry))?;
                }
                (Some(error), remedy) => {
                    output::line(&format!("{}: failed, {error}", result.registry))?;
                    let remedy = remedy.as_deref().unwrap_or_default();
                    output::line(&format!("  help: {remedy}"))?;
                }
            }
            if let Some(warning) = &result.warning {
                output::line(&format!("  warning: {warning}"))?;
            }
        }
        for reason in reasons {
            eprintln!("left out: {reason}");
        }
    }
    let failed = results
        .iter()
        .filter(|result| result.error.is_some())
        .count();
    Ok(match failed {
        0 if reasons.is_empty() => Exit::Ok,
        failed if failed == results.len() => Exit::AllFailed,
        _ => Exit::SomeFailed,
    })
}

fn print(files: &[ClientFile], reasons: &[String]) -> anyhow::Result<()> {
    for file in files {
        output::line(&format!(
            "# {}\n# then: {}\n{}",
            file.path, file.then, file.text
        ))?;
    }
    for reason in reasons {
        eprintln!("left out: {reason}");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
