//! `transship trigger`: asks the running daemon for a run.

use std::{net::SocketAddr, time::Duration};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    cli::{Exit, Global, Refusal, context, output},
    config::{Config, closest},
    daemon::Holder,
};

/// How long the daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Arguments of `trigger`.
#[derive(Debug, clap::Args)]
pub(crate) struct TriggerArgs {
    /// A mirror, or an image that an entry allows
    #[arg(value_name = "MIRROR|IMAGE")]
    name: String,
}

impl TriggerArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_with_demand(global).await?;
        let name = &self.name;
        let is_mirror = config.mirrors.iter().any(|mirror| *mirror.name == **name);
        let wanted = match is_mirror {
            true => json!({ "mirror": name }),
            false => json!({ "image": name }),
        };
        let (status, answer) = self.ask(&config, &wanted).await?;
        let result = answer["result"].as_str();
        let mirror = answer["mirror"].as_str().unwrap_or(name);
        match result {
            Some("started" | "running") if global.json => output::json(&answer)?,
            Some("started") => output::line(&format!("{mirror}: the run started"))?,
            Some("running") => output::line(&format!("{mirror} already runs"))?,
            Some(_) => {
                let said = "the daemon shuts down, or no longer has this mirror";
                return Err(Refusal::Usage(format!("{name}: {said}")).into());
            }
            None => return Err(refusal(&config, name, status, &answer).into()),
        }
        Ok(Exit::Ok)
    }

    /// Asks the daemon, and returns status and body of its answer.
    async fn ask(&self, config: &Config, wanted: &Value) -> anyhow::Result<(u16, Value)> {
        let Some(token) = &config.http.token else {
            let file = config.path.display();
            let help = "set `token = { file = \"/path\" }` in [http] of mirror.toml";
            let message = format!("{file} has no token for the daemon's API");
            return Err(Refusal::mistake(message, help).into());
        };
        let address = address(config, &self.name)?;
        // A second call finds the provider installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT);
        let request = client
            .build()?
            .post(format!("http://{address}/api/v1/sync"))
            .bearer_auth(token.expose_secret())
            .header("content-type", "application/json")
            .body(wanted.to_string());
        let response = request.send().await;
        let response = response.map_err(|error| Refusal::NoDaemon {
            address,
            error: error.without_url(),
        })?;
        let status = response.status().as_u16();
        let body = response.text().await?;
        Ok((status, serde_json::from_str(&body).unwrap_or(Value::Null)))
    }
}

/// Where the daemon serves.
fn address(config: &Config, name: &str) -> anyhow::Result<SocketAddr> {
    let noted = match Holder::of(&config.state_path) {
        Holder::None => {
            let path = config.state_path.display();
            let help = format!("start it, or run `transship sync {name}` here");
            let message = format!("no daemon uses the store {path}");
            return Err(Refusal::mistake(message, help).into());
        }
        Holder::Running { address, .. } => address,
        Holder::Unknown => None,
    };
    let mut address = noted.unwrap_or(config.http.listen);
    // One that listens on every address is reached on this machine's own.
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

fn refusal(config: &Config, name: &str, status: u16, answer: &Value) -> Refusal {
    let said = answer["error"].as_str().unwrap_or("it gave no reason");
    let help = match status {
        401 => {
            "the daemon has another token: reload it after a change of `[http] token`".to_owned()
        }
        403 => "set `[http] token` in the file that the daemon reads, and reload it".to_owned(),
        _ => {
            let names: Vec<&str> = config.mirrors.iter().map(|mirror| &*mirror.name).collect();
            match closest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the mirrors are: {}", names.join(", ")),
            }
        }
    };
    Refusal::mistake(format!("{name}: {said}"), help)
}
