//! Turns the file as written into a `Config`, and finds every mistake on the way.

use std::{
    collections::{HashMap, HashSet},
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono_tz::Tz;
use secrecy::ExposeSecret as _;
use toml::Spanned;

use super::{
    Config, FileContext, GatewayConfig, HelperFailure, LoadOptions, ON_DEMAND, SecretLoading,
    closest, cluster, daemon, gateway, limits,
};
use crate::{
    config::{
        conflicts,
        mirror::entry::{self, Validated},
        notify,
        parse::{
            bounded_file::{self, MAX_FILE_BYTES},
            config_file::FileOrigin,
            diagnostics::{ProblemReport, Problems},
            file::{File, LoginEntry, MirrorEntry, RegistryEntry},
        },
        registry::{
            network,
            secret::{self, SecretSource, is_world_readable},
        },
    },
    oci::RegistryName,
    registry::settings::{
        Credential, Login, LoginSource, Proxy, RegistrySettings, Renewal, Unreadable,
        check_helper_name,
    },
};

/// Letters in which a misspelt host differs; more would make one registry another.
const SLIPS: usize = 1;

/// Validates the whole file. What is returned is of use only if no error was noted.
pub(crate) fn validate(file: File, context: FileContext<'_>, problems: &mut Problems) -> Config {
    let mut names = MirrorNames::default();
    let mut validated: Vec<Validated> = Vec::new();
    for own in &file.mirrors {
        let name = names.claim(own, problems);
        validated.push(entry::validate(
            &own.clone().or(&file.defaults),
            own,
            name,
            problems,
        ));
    }
    // A worker runs mirrors that are published.
    if file.mirrors.is_empty() && file.cluster.is_none() && !problems.has_errors() {
        let help = "add a [[mirror]] with `from` and `target`";
        problems.error(0..0, "this file mirrors nothing", help);
    }
    conflicts::settle(&mut validated, problems);
    let names: Vec<Arc<str>> = validated.iter().map(|v| v.mirror.name.clone()).collect();
    let (channels, report) =
        notify::validate(&file.channels, &file.report, &names, context, problems);
    let timezone = timezone(file.timezone.as_ref(), problems);
    let registries = registries(&file.registries, timezone, context, problems);
    warn_of_slips(&file.registries, &validated, problems);
    let gateway = gateway(&file, problems);
    let cluster = file.cluster.as_ref();
    let cluster = cluster.map(|entry| cluster::validate(entry, context, problems));
    Config {
        path: context.path.into(),
        origin: FileOrigin::default(),
        text: "".into(),
        timezone,
        state_path: state_path(file.state_path),
        drain: daemon::drain(file.drain.as_ref(), problems),
        http: daemon::http(&file.http, context, problems),
        gateway,
        cluster,
        limits: limits::validate(&file.limits, timezone, problems),
        registries,
        mirrors: validated.into_iter().map(|v| v.mirror).collect(),
        report,
        channels,
        warnings: ProblemReport::default(),
    }
}

fn gateway(file: &File, problems: &mut Problems) -> Option<GatewayConfig> {
    let entry = file.gateway.as_ref()?;
    for mirror in &file.mirrors {
        let name = mirror.name.as_ref();
        if let Some(name) = name.filter(|name| name.get_ref() == ON_DEMAND) {
            let message = format!("the gateway's own mirror is named `{ON_DEMAND}`");
            problems.error(name.span(), message, "give the entry another name");
        }
    }
    Some(gateway::entry::validate(entry, &file.defaults, problems))
}

fn timezone(text: Option<&Spanned<String>>, problems: &mut Problems) -> Tz {
    let Some(text) = text else { return Tz::UTC };
    text.get_ref().parse().unwrap_or_else(|_| {
        let message = format!("unknown timezone `{}`", text.get_ref());
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let help = match (usual_zone(text.get_ref()), closest(text.get_ref(), names)) {
            (Some(zone), _) => format!("write {zone}"),
            (None, Some(zone)) => format!("did you mean \"{zone}\"?"),
            (None, None) => "use a name of the tz database, such as \"Asia/Shanghai\"".into(),
        };
        problems.error(text.span(), message, help);
        Tz::UTC
    })
}

/// The zone of the tz database for what people write in its place.
fn usual_zone(written: &str) -> Option<&'static str> {
    let plain: String = written
        .to_ascii_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '_')
        .collect();
    Some(match plain.as_str() {
        "cst" => "\"Asia/Shanghai\" for China, or \"America/Chicago\" for US Central Time",
        "asia/beijing" | "asia/peking" | "asia/shenzhen" | "asia/guangzhou" | "asia/hangzhou"
        | "beijing" | "shanghai" | "china" | "cn" | "utc+8" | "utc+08:00" | "gmt+8"
        | "gmt+08:00" | "+08:00" | "+8" | "+0800" | "北京" | "上海" => "\"Asia/Shanghai\"",
        "jst" => "\"Asia/Tokyo\"",
        "kst" => "\"Asia/Seoul\"",
        "sgt" => "\"Asia/Singapore\"",
        "ist" => "\"Asia/Kolkata\"",
        "edt" => "\"America/New_York\"",
        "pst" | "pdt" => "\"America/Los_Angeles\"",
        "cest" => "\"Europe/Berlin\"",
        "bst" => "\"Europe/London\"",
        _ => return None,
    })
}

fn state_path(written: Option<Spanned<String>>) -> PathBuf {
    let in_state_directory = || {
        let folders = env::var_os("STATE_DIRECTORY")?;
        let first = env::split_paths(&folders).next()?;
        Some(first.join("state.db"))
    };
    written
        .map(|path| PathBuf::from(path.into_inner()))
        .or_else(in_state_directory)
        .unwrap_or_else(|| "transship.db".into())
}

fn registries(
    entries: &[RegistryEntry],
    timezone: Tz,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> HashMap<RegistryName, RegistrySettings> {
    let mut registries = HashMap::new();
    for entry in entries {
        match entry.name.get_ref().parse::<RegistryName>() {
            Ok(name) => {
                let mut config = registry(&name, entry, file, problems);
                config.bandwidth = limits::bandwidth(entry.bandwidth.as_ref(), timezone, problems);
                if registries.insert(name.clone(), config).is_some() {
                    let message = format!("{name} is configured twice");
                    problems.error(entry.name.span(), message, "merge the two tables");
                }
            }
            Err(error) => {
                let help = "write the host, with a port where it has one, in quotes";
                problems.error(entry.name.span(), error.to_string(), help);
            }
        }
    }
    registries
}

/// Warns of tables for a registry that no mirror names, where a slip of the fingers would make it
/// one that a mirror does name. Any other may be there for mirrors that come or went, and one with
/// a table of its own was not meant.
fn warn_of_slips(entries: &[RegistryEntry], validated: &[Validated], problems: &mut Problems) {
    let parsed = |entry: &RegistryEntry| entry.name.get_ref().parse::<RegistryName>().ok();
    let configured: HashSet<String> = entries
        .iter()
        .filter_map(|entry| Some(parsed(entry)?.to_string()))
        .collect();
    let mirrors = validated.iter().map(|validated| &validated.mirror);
    let named: HashSet<String> = mirrors.flat_map(|mirror| mirror.registries()).collect();
    for entry in entries {
        let Some(name) = parsed(entry).map(|name| name.to_string()) else {
            continue;
        };
        let others = named.difference(&configured).map(String::as_str);
        let slips = others.map(|other| (strsim::damerau_levenshtein(&name, other), other));
        let meant = slips.filter(|(slips, _)| *slips <= SLIPS).min();
        if let Some((_, meant)) = meant.filter(|_| !named.contains(&name)) {
            let message = format!("no mirror names {name}");
            let help = format!("did you mean \"{meant}\"?");
            problems.warning(entry.name.span(), message, help);
        }
    }
}

fn registry(
    name: &RegistryName,
    entry: &RegistryEntry,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> RegistrySettings {
    let default = RegistrySettings::default();
    let is_plain = entry.plain_http.as_ref().is_some_and(|p| *p.get_ref());
    if let Some(file) = entry.ca_file.as_ref().filter(|_| is_plain) {
        let help = "leave one out: plain HTTP has no certificates";
        problems.error(file.span(), "`ca_file` beside `plain_http = true`", help);
    }
    RegistrySettings {
        plain_http: entry
            .plain_http
            .as_ref()
            .is_some_and(|plain| *plain.get_ref()),
        ca_pem: entry
            .ca_file
            .as_ref()
            .and_then(|file| ca_pem(file, problems)),
        client_identity: network::client_identity(
            entry.client_cert.as_ref(),
            entry.client_key.as_ref(),
            problems,
        ),
        endpoint: network::endpoint(entry.endpoint.as_ref(), entry.plain_http.as_ref(), problems),
        proxy: proxy(entry.proxy.as_ref(), file.path, problems),
        ip: network::ip_family(entry.ip.as_ref(), problems),
        login: login(name, entry, file, problems),
        connections: network::connections(
            entry.connections.as_ref(),
            default.connections,
            problems,
        ),
        stall: network::stall(entry.stall.as_ref(), default.stall, problems),
        chunk: network::chunk(entry.chunk.as_ref(), default.chunk, problems),
        requests_per_second: limits::requests_per_second(
            entry.requests_per_second.as_ref(),
            problems,
        ),
        bandwidth: None,
    }
}

fn proxy(written: Option<&Spanned<String>>, path: &Path, problems: &mut Problems) -> Proxy {
    if let Some(written) = written.filter(|written| written.get_ref().contains('@'))
        && is_world_readable(path)
    {
        problems.readable_secret(written.span(), "a proxy's login");
    }
    network::proxy(written, problems)
}

fn ca_pem(file: &Spanned<String>, problems: &mut Problems) -> Option<Vec<u8>> {
    let wrong = match bounded_file::read_bytes(Path::new(file.get_ref()), MAX_FILE_BYTES) {
        Ok(pem) if pem.windows(27).any(|w| w == b"-----BEGIN CERTIFICATE-----") => {
            return Some(pem);
        }
        Ok(_) => "no certificate in it".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("`ca_file` {}: {wrong}", file.get_ref());
    problems.error(
        file.span(),
        message,
        "name a readable PEM file with the CA's certificate",
    );
    None
}

fn login(
    name: &RegistryName,
    entry: &RegistryEntry,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> Login {
    if let Some(login) = &entry.login {
        if entry.username.is_some() || entry.password.is_some() {
            let help = "keep either `login`, or `username` and `password`";
            problems.error(login.span(), "two ways to log in", help);
            return Login::default();
        }
        return kept_login(name, login, file.options, problems);
    }
    match (&entry.username, &entry.password) {
        (None, None) => {}
        (Some(username), Some(password)) => {
            return basic(username, password, file, problems).into();
        }
        // What is missing may be there, and not be readable.
        _ if !entry.is_whole => {}
        (Some(single), None) => {
            let help = "add `password = { env = \"NAME\" }`, a file or a credential";
            problems.error(single.span(), "`username` without a `password`", help);
        }
        (None, Some(single)) => {
            let message = "`password` without a `username`";
            problems.error(single.span(), message, "add `username`");
        }
    }
    Login::default()
}

/// A login that is not in the file.
fn kept_login(
    name: &RegistryName,
    entry: &Spanned<LoginEntry>,
    options: LoadOptions,
    problems: &mut Problems,
) -> Login {
    let (keeper, span) = match entry.get_ref() {
        LoginEntry::Word(word) if word == "anonymous" => return Login::default(),
        LoginEntry::Word(word) if word == "docker-config" => {
            (LoginSource::DockerConfig, entry.span())
        }
        LoginEntry::Word(word) => {
            let known = ["docker-config", "anonymous"].into_iter();
            let message = if closest(word, known).is_some() {
                format!("unknown `login = \"{word}\"`")
            } else {
                // It may be a password.
                problems.hide(entry.span());
                "unknown `login`".to_owned()
            };
            let help = "write \"docker-config\", \"anonymous\" or { helper = \"NAME\" }";
            problems.error(entry.span(), message, help);
            return Login::default();
        }
        LoginEntry::Helper(helper) => {
            if let Err(message) = check_helper_name(helper.get_ref()) {
                let help = "write NAME for the program docker-credential-NAME";
                problems.error(helper.span(), message, help);
                return Login::default();
            }
            (LoginSource::Helper(helper.get_ref().clone()), helper.span())
        }
    };
    if options.secrets == SecretLoading::Leave {
        return Login::default();
    }
    let renewal = Renewal::new(name, keeper);
    Login::from_source(renewal.clone()).unwrap_or_else(|unreadable| {
        let Unreadable { message, help, .. } = unreadable;
        if unreadable.may_pass && options.helpers == HelperFailure::Retry {
            let message = format!("{message}, so that there is no login for {name} yet");
            let help = format!("it is asked again before {name} is; {help}");
            problems.warning(span, message, help);
            return Login::pending(renewal);
        }
        problems.error(span, message, help);
        Login::default()
    })
}

fn basic(
    username: &Spanned<SecretSource>,
    password: &Spanned<SecretSource>,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> Credential {
    let username = secret::read_open(username, file.options, problems);
    let password = secret::read(password, "a password", file, problems);
    match username.zip(password) {
        Some((username, password)) => Credential::Basic {
            username: username.expose_secret().to_owned(),
            password,
        },
        None => Credential::Anonymous,
    }
}

/// Gives each entry a name that no other has.
#[derive(Default)]
struct MirrorNames(HashSet<String>);

impl MirrorNames {
    fn claim(&mut self, entry: &MirrorEntry, problems: &mut Problems) -> Arc<str> {
        if let Some(name) = &entry.name {
            let is_new = self.0.insert(name.get_ref().clone());
            if !transship_text::is_clean(name.get_ref()) {
                let message = "a `name` of more than one line, or with control characters";
                problems.error(name.span(), message, "write it in one line");
            } else if name.get_ref().is_empty() {
                problems.error(
                    name.span(),
                    "an empty `name`",
                    "name it, or leave the key out",
                );
            } else if !is_new {
                let message = format!("two mirrors are named `{}`", name.get_ref());
                problems.error(name.span(), message, "give one of them another name");
            }
            return name.get_ref().as_str().into();
        }
        let first = entry.from.as_ref().and_then(|from| from.get_ref().first());
        let base = first.map_or("mirror", |text| text.get_ref());
        let mut name = base.to_owned();
        let mut count = 1;
        while !self.0.insert(name.clone()) {
            count += 1;
            name = format!("{base}#{count}");
        }
        name.into()
    }
}
