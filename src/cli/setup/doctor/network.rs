//! The network: names, IPv6, proxies, the clock.

use std::{
    collections::BTreeSet,
    env, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    cli::setup::doctor::finding::DoctorFinding,
    config::Config,
    oci::RegistryName,
    registry::settings::{IpFamily, Proxy},
};

/// How long a name or a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Registries that are asked at a time.
const AT_A_TIME: usize = 16;
/// A clock that is wrong by more, in seconds, makes schedules and lag wrong; by much more, certificates look expired.
const CLOCK_TOLERANCE_SECS: i64 = 30;
/// The variables that name proxies.
const PROXY_VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// A registry that is reached without a proxy.
struct Direct {
    name: String,
    host: String,
    port: u16,
    family: IpFamily,
    is_secure: bool,
}

/// All checks of the network.
pub(crate) async fn check(config: &Config) -> Vec<DoctorFinding> {
    let proxies = proxies_of_environment();
    let direct = direct(config, !proxies.is_empty());
    let mut findings = vec![proxy(&proxies)];
    findings.extend(silent_proxies(&proxies).await);
    let looked_up = stream::iter(&direct).map(look_up).buffered(AT_A_TIME);
    findings.extend(looked_up.collect::<Vec<_>>().await.into_iter().flatten());
    if direct.is_empty() {
        findings.push(DoctorFinding::skipped(
            "dns",
            "every registry is behind a proxy",
        ));
    }
    findings.push(clock(&direct).await);
    findings
}

/// The registries of the file that no proxy stands before.
fn direct(config: &Config, has_proxy_in_environment: bool) -> Vec<Direct> {
    let names = config.mirrors.iter().flat_map(|mirror| mirror.registries());
    let names: BTreeSet<String> = names.collect();
    let mut direct = Vec::new();
    for name in names {
        let Ok(parsed) = name.parse::<RegistryName>() else {
            continue;
        };
        let settings = config.registry(&parsed);
        let is_direct = match settings.proxy {
            Proxy::Direct => true,
            Proxy::Environment => !has_proxy_in_environment,
            Proxy::Url(_) => false,
        };
        let url = settings.api_url(&parsed).ok();
        let Some(url) = url.filter(|_| is_direct) else {
            continue;
        };
        if let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) {
            direct.push(Direct {
                host: host.trim_matches(['[', ']']).to_owned(),
                port,
                family: settings.ip,
                is_secure: url.scheme() == "https",
                name,
            });
        }
    }
    direct
}

/// The variables that are set, by name. Their values may hold passwords.
fn proxies_of_environment() -> Vec<&'static str> {
    let is_set = |name: &&str| env::var(name).is_ok_and(|value| !value.is_empty());
    PROXY_VARIABLES.into_iter().filter(is_set).collect()
}

fn proxy(variables: &[&str]) -> DoctorFinding {
    match variables {
        [] => DoctorFinding::ok("proxy", "no proxy in the environment"),
        set => DoctorFinding::warning(
            "proxy",
            format!("{} is set in this shell", set.join(", ")),
            "the service does not see this shell: write it into /etc/transship/environment, or set \
             `proxy` in [registries.\"HOST\"]",
        ),
    }
}

/// The proxies of the environment that do not answer. Only host and port are printed: the rest may be a password.
async fn silent_proxies(variables: &[&str]) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    for variable in variables {
        let value = env::var(variable).unwrap_or_default();
        if let Some((place, error)) = silent_proxy(&value).await {
            findings.push(DoctorFinding::failed(
                "proxy",
                format!("{variable} names {place}, which does not answer: {error}"),
                "repair the address, start the proxy, or unset the variable",
            ));
        }
    }
    findings
}

/// Where a proxy is and why it does not answer; none if it does.
async fn silent_proxy(value: &str) -> Option<(String, io::Error)> {
    let value = match value.contains("://") {
        true => value.to_owned(),
        false => format!("http://{value}"),
    };
    let url = url::Url::parse(&value).ok()?;
    let port = url.port_or_known_default().unwrap_or(1080);
    let place = format!("{}:{port}", url.host_str()?);
    let connected = match timeout(PATIENCE, TcpStream::connect(&place)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(io::Error::other("no answer within 5s")),
    };
    connected.err().map(|error| (place, error))
}

/// Whether a name leads to addresses, and each family of them to the registry.
async fn look_up(registry: &Direct) -> Vec<DoctorFinding> {
    let name = &registry.name;
    let found = timeout(
        PATIENCE,
        lookup_host((registry.host.as_str(), registry.port)),
    )
    .await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return vec![unknown(registry, &error.to_string())],
        Err(_) => return vec![unknown(registry, "no answer within 5s")],
    };
    let (four, six): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.into_iter().partition(SocketAddr::is_ipv4);
    let mut findings = vec![DoctorFinding::ok(
        "dns",
        format!("{name}: {} IPv4, {} IPv6 addresses", four.len(), six.len()),
    )];
    let uses_six = registry.family != IpFamily::V4;
    if let (Some(address), true) = (six.first(), uses_six) {
        findings.push(match connect(*address).await {
            Ok(()) => DoctorFinding::ok("ipv6", format!("{name} answers over IPv6")),
            Err(error) => broken_six(name, &error, !four.is_empty()),
        });
    }
    findings
}

fn unknown(registry: &Direct, cause: &str) -> DoctorFinding {
    DoctorFinding::failed(
        "dns",
        format!("{} has no address: {cause}", registry.host),
        "check the name, and /etc/resolv.conf; `proxy` or `endpoint` in [registries.\"HOST\"] name \
         another way",
    )
}

fn broken_six(name: &str, error: &io::Error, has_four: bool) -> DoctorFinding {
    let message = format!("{name} has IPv6 addresses, and does not answer there: {error}");
    match has_four {
        true => DoctorFinding::warning(
            "ipv6",
            message,
            format!("add `ip = \"4\"` to [registries.\"{name}\"], or repair the IPv6 route"),
        ),
        false => DoctorFinding::failed("ipv6", message, "repair the IPv6 route, or use a proxy"),
    }
}

async fn connect(address: SocketAddr) -> io::Result<()> {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(io::Error::other("no answer within 5s")),
    }
}

/// Compares the clock with the `Date` of the first registry that answers
/// ([RFC 9110, 6.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1)).
async fn clock(registries: &[Direct]) -> DoctorFinding {
    // A wrong clock makes certificates invalid: the answer counts, whoever gives it.
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .build();
    let Ok(client) = client else {
        return DoctorFinding::skipped("clock", "there is no HTTP client");
    };
    for registry in registries {
        let scheme = if registry.is_secure { "https" } else { "http" };
        let host = match registry.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => registry.host.clone(),
        };
        let url = format!("{scheme}://{host}:{}/v2/", registry.port);
        let Ok(answer) = client.get(url).send().await else {
            continue;
        };
        let date = answer
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            return skew(&registry.name, (Utc::now() - date.to_utc()).num_seconds());
        }
    }
    DoctorFinding::skipped("clock", "no registry reported the time")
}

fn skew(name: &str, seconds: i64) -> DoctorFinding {
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    match seconds.abs() {
        0..=CLOCK_TOLERANCE_SECS => DoctorFinding::ok("clock", format!("agrees with {name}")),
        off => DoctorFinding::failed(
            "clock",
            format!("{off} s {direction} {name}: schedules, lag and certificates depend on it"),
            "timedatectl set-ntp true; systemctl enable --now systemd-time-wait-sync",
        ),
    }
}

#[cfg(test)]
mod tests;
