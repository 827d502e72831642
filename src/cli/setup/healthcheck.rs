//! `transship healthcheck`: does the daemon of this mirror.toml work? For container runtimes.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use serde_json::json;

use crate::cli::{Exit, Global, context, error::Refusal, output};

/// How long the daemon may take to answer, in seconds.
const DEFAULT_TIMEOUT_SECS: u64 = 5;

/// Arguments of `healthcheck`.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthcheckArgs {
    /// Where the daemon listens; default: `[http] listen` of mirror.toml
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
    /// How long to wait for its answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT_SECS)]
    timeout: u64,
}

impl HealthcheckArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let address = match self.address {
            Some(address) => address,
            None => context::config_without_secrets(global)?.http.listen,
        };
        if address.port() == 0 {
            let help = "name it with --address, or set a port in [http] listen";
            let message = "`listen` has port 0: the real one is not known".into();
            return Err(Refusal::mistake(message, help).into());
        }
        let health = ask(reachable(address), Duration::from_secs(self.timeout)).await;
        if global.json {
            let error = health.as_ref().err();
            output::json(&json!({ "healthy": error.is_none(), "error": error }))?;
        } else {
            match &health {
                Ok(()) => output::line("ok")?,
                Err(error) => eprintln!("{error}"),
            }
        }
        Ok(match health {
            Ok(()) => Exit::Ok,
            Err(_) => Exit::SomeFailed,
        })
    }
}

/// The address at which this machine reaches a listener: one on all addresses is on loopback, too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What is wrong with the daemon at this address, if anything is.
async fn ask(address: SocketAddr, timeout: Duration) -> Result<(), String> {
    let url = format!("http://{address}/healthz");
    let unreachable = |error: reqwest::Error| {
        let cause = match error.is_timeout() {
            true => format!("no answer within {}", humantime::format_duration(timeout)),
            false => root_cause(&error),
        };
        format!("unhealthy: {url}: {cause}")
    };
    let client = reqwest::Client::builder().no_proxy().timeout(timeout);
    let client = client.build().map_err(unreachable)?;
    let answer = client.get(&url).send().await.map_err(unreachable)?;
    let status = answer.status();
    let text = answer.text().await.map_err(unreachable)?;
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("unhealthy: {url}: {status}: {}", text.trim())),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
