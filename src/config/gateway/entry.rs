//! Reads and validates the keys of `[gateway]`.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytesize::ByteSize;
use toml::Spanned;

use super::{
    AllowList, BlobDelivery, ClientLimits, ClientNetwork, GatewayConfig, ImagePatterns, OnDemand,
    TlsFiles,
};
use crate::{
    config::{
        gateway::{
            exposure,
            users::{self, UsersEntry},
        },
        mirror::{entry, placement::Placement, platforms, prune},
        parse::{
            bounded_file::{self, MAX_FILE_BYTES},
            diagnostics::Problems,
            file::{MirrorEntry, Strings},
            table_reader::TableReader,
        },
        schedule::timing,
    },
    oci::{NameError, RegistryName},
};

/// Loopback: a gateway for others is opened on purpose.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
const FRESH: Duration = Duration::from_secs(10 * 60);
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);
const NETWORK_HELP: &str = "write an address or a network, as in \"10.0.0.0/8\" or \"::1\"";
const TARGET_HELP: &str = "write the registry's host and a path, as in \"registry.example.com/cache\"; or \
                           \"none\" to keep nothing";
const ALLOW_HELP: &str = "write patterns such as \"quay.io/prometheus/*\", or { file = \"/path\" }";

/// `[gateway]` as written.
#[derive(Debug)]
pub(crate) struct GatewayEntry {
    span: Range<usize>,
    listen: Option<Spanned<String>>,
    tls: Option<TlsEntry>,
    clients: Option<Strings>,
    registry: Option<Spanned<String>>,
    hosts: Option<Spanned<BTreeMap<String, String>>>,
    allow: Option<ListEntry>,
    deny: Option<Strings>,
    target: Option<Spanned<String>>,
    keep: Option<Spanned<String>>,
    platforms: Option<Strings>,
    fresh: Option<Spanned<String>>,
    stale: Option<Spanned<String>>,
    blobs: Option<Spanned<String>>,
    max_image: Option<Spanned<String>>,
    client_limits: Option<ClientLimitsEntry>,
    trusted_proxies: Option<Strings>,
    users: Option<UsersEntry>,
    public: Option<Strings>,
}

#[derive(Debug)]
struct TlsEntry {
    span: Range<usize>,
    cert_file: Option<Spanned<String>>,
    key_file: Option<Spanned<String>>,
}

#[derive(Debug)]
enum ListEntry {
    Patterns(Strings),
    File(Option<Spanned<String>>, Range<usize>),
}

#[derive(Debug)]
struct ClientLimitsEntry {
    requests_per_second: Option<Spanned<f64>>,
    concurrent: Option<Spanned<i64>>,
    bytes_per_day: Option<Spanned<String>>,
}

/// Reads `[gateway]`.
pub(crate) fn read(mut section: TableReader<'_, '_>) -> GatewayEntry {
    let entry = GatewayEntry {
        span: section.span(),
        listen: section.take("listen", "an address such as \"0.0.0.0:5000\""),
        tls: section.section("tls").map(|mut tls| {
            let entry = TlsEntry {
                span: tls.span(),
                cert_file: tls.take("cert_file", "a path as a string"),
                key_file: tls.take("key_file", "a path as a string"),
            };
            tls.finish();
            entry
        }),
        clients: section.strings("clients"),
        registry: section.take("registry", "a registry's host such as \"docker.io\""),
        hosts: section.take(
            "hosts",
            "a table such as { \"k8s.m.example.com\" = \"registry.k8s.io\" }",
        ),
        allow: section
            .strings_or_section("allow")
            .map(|allow| match allow {
                Err(patterns) => ListEntry::Patterns(patterns),
                Ok(mut table) => {
                    let span = table.span();
                    let file = table.take("file", "a path as a string");
                    table.finish();
                    ListEntry::File(file, span)
                }
            }),
        deny: section.strings("deny"),
        target: section.take("target", "a registry and a path as a string"),
        keep: section.take("keep", "a duration such as \"30d\""),
        platforms: section.strings("platforms"),
        fresh: section.take("fresh", "a duration such as \"10m\""),
        stale: section.take("stale", "a duration such as \"7d\""),
        blobs: section.take("blobs", "\"proxy\" or \"redirect\""),
        max_image: section.take("max_image", "a size such as \"20 GiB\""),
        client_limits: section.section("client_limits").map(|mut limits| {
            let entry = ClientLimitsEntry {
                requests_per_second: limits
                    .take("requests_per_second", "a number such as 20 or 0.5"),
                concurrent: limits.take("concurrent", "a whole number such as 16"),
                bytes_per_day: limits.take("bytes_per_day", "a size such as \"100 GiB\""),
            };
            limits.finish();
            entry
        }),
        trusted_proxies: section.strings("trusted_proxies"),
        users: section.section("users").map(users::read),
        public: section.strings("public"),
    };
    section.finish();
    entry
}

/// Validates `[gateway]`; `defaults` are those of the mirrors.
pub(crate) fn validate(
    entry: &GatewayEntry,
    defaults: &MirrorEntry,
    problems: &mut Problems,
) -> GatewayConfig {
    let listen = listen(entry.listen.as_ref(), problems);
    let clients = entry.clients.as_ref();
    let gateway = GatewayConfig {
        listen,
        tls: entry.tls.as_ref().and_then(|tls| tls_files(tls, problems)),
        clients: clients.map_or_else(ClientNetwork::private, |list| networks(list, problems)),
        registry: registry(entry.registry.as_ref(), problems),
        hosts: hosts(entry.hosts.as_ref(), problems),
        allow: allow(entry.allow.as_ref(), problems),
        deny: entry
            .deny
            .as_ref()
            .map(|list| patterns(list, "deny", problems))
            .unwrap_or_default(),
        users: entry
            .users
            .as_ref()
            .and_then(|entry| users::validate(entry, problems)),
        public: entry
            .public
            .as_ref()
            .map(|list| patterns(list, "public", problems))
            .unwrap_or_default(),
        on_demand: on_demand(entry, defaults, problems),
        keep: duration(entry.keep.as_ref(), KEEP, problems),
        fresh: duration(entry.fresh.as_ref(), FRESH, problems),
        stale: duration(entry.stale.as_ref(), STALE, problems),
        blobs: blobs(entry.blobs.as_ref(), problems),
        max_image: entry
            .max_image
            .as_ref()
            .and_then(|text| size(text, problems)),
        client_limits: entry
            .client_limits
            .as_ref()
            .map(|limits| client_limits(limits, problems))
            .unwrap_or_default(),
        trusted_proxies: entry
            .trusted_proxies
            .as_ref()
            .map(|list| networks(list, problems))
            .unwrap_or_default(),
    };
    let listen = entry
        .listen
        .as_ref()
        .map_or(entry.span.clone(), Spanned::span);
    let clients = clients.map_or(entry.span.clone(), Spanned::span);
    exposure::warn(&gateway, (listen, clients), problems);
    gateway
}

fn listen(written: Option<&Spanned<String>>, problems: &mut Problems) -> SocketAddr {
    let Some(written) = written else {
        return LISTEN;
    };
    written.get_ref().parse().unwrap_or_else(|_| {
        let message = format!("`{}` is not an address to listen on", written.get_ref());
        let help = "write an IP address and a port, as in \"127.0.0.1:5000\", or \"0.0.0.0:5000\" \
                    for every address of this machine";
        problems.error(written.span(), message, help);
        LISTEN
    })
}

fn tls_files(entry: &TlsEntry, problems: &mut Problems) -> Option<TlsFiles> {
    let (Some(cert), Some(key)) = (&entry.cert_file, &entry.key_file) else {
        let message = "`tls` needs a certificate and its key";
        let help = "write tls = { cert_file = \"/path.pem\", key_file = \"/path.key\" }";
        problems.error(entry.span.clone(), message, help);
        return None;
    };
    for file in [cert, key] {
        if let Err(error) = bounded_file::read_bytes(Path::new(file.get_ref()), MAX_FILE_BYTES) {
            let message = format!("cannot read {}: {error}", file.get_ref());
            let help = "name a PEM file that the user of the service can read";
            problems.error(file.span(), message, help);
        }
    }
    Some(TlsFiles {
        cert_file: PathBuf::from(cert.get_ref()),
        key_file: PathBuf::from(key.get_ref()),
    })
}

pub(crate) fn networks(list: &Strings, problems: &mut Problems) -> Vec<ClientNetwork> {
    let mut networks = Vec::new();
    for text in list.get_ref() {
        match text.get_ref().parse() {
            Ok(network) => networks.push(network),
            Err(()) => {
                let message = format!("`{}` is not a network of addresses", text.get_ref());
                problems.error(text.span(), message, NETWORK_HELP);
            }
        }
    }
    networks
}

fn registry(written: Option<&Spanned<String>>, problems: &mut Problems) -> RegistryName {
    let text = written.map_or("docker.io", |written| written.get_ref());
    text.parse().unwrap_or_else(|error: NameError| {
        let span = written.map(Spanned::span).unwrap_or_default();
        problems.error(
            span,
            format!("{error}"),
            "write a host such as \"docker.io\"",
        );
        parsed("docker.io")
    })
}

/// The registry of a constant name.
fn parsed(name: &'static str) -> RegistryName {
    name.parse()
        .unwrap_or_else(|_| unreachable!("it is a constant"))
}

fn hosts(
    written: Option<&Spanned<BTreeMap<String, String>>>,
    problems: &mut Problems,
) -> HashMap<String, RegistryName> {
    let mut hosts = HashMap::new();
    for (name, registry) in written.into_iter().flat_map(Spanned::get_ref) {
        let span = written.map(Spanned::span).unwrap_or_default();
        let is_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        match registry.parse() {
            Ok(registry) if !name.is_empty() && name.chars().all(is_label) => {
                hosts.insert(name.to_ascii_lowercase(), registry);
            }
            _ => {
                let message = format!("`{name}` = `{registry}` is not a host and a registry");
                let help = "write names without scheme and port, as in { \"k8s.m.example.com\" = \
                            \"registry.k8s.io\" }";
                problems.error(span, message, help);
            }
        }
    }
    hosts
}

fn allow(written: Option<&ListEntry>, problems: &mut Problems) -> AllowList {
    match written {
        None => AllowList::Patterns(ImagePatterns::default()),
        Some(ListEntry::Patterns(list)) => AllowList::Patterns(patterns(list, "allow", problems)),
        Some(ListEntry::File(None, span)) => {
            problems.error(span.clone(), "`allow` names no file", ALLOW_HELP);
            AllowList::Patterns(ImagePatterns::default())
        }
        Some(ListEntry::File(Some(file), _)) => {
            let path = PathBuf::from(file.get_ref());
            let wrong = match ImagePatterns::read_file(&path) {
                Ok((_, wrong)) => wrong,
                Err(error) => vec![error.to_string()],
            };
            if let Some(first) = wrong.first() {
                let message = format!("`allow` file {}: {first}", file.get_ref());
                let help = "write one pattern on a line, as in quay.io/prometheus/*";
                problems.error(file.span(), message, help);
            }
            AllowList::File(path)
        }
    }
}

fn patterns(list: &Strings, key: &str, problems: &mut Problems) -> ImagePatterns {
    let mut patterns = ImagePatterns::default();
    for text in list.get_ref() {
        if let Err((message, help)) = patterns.add(text.get_ref()) {
            problems.error(text.span(), format!("bad `{key}`: {message}"), help);
        }
    }
    patterns
}

fn on_demand(
    entry: &GatewayEntry,
    defaults: &MirrorEntry,
    problems: &mut Problems,
) -> Option<OnDemand> {
    let platforms = platforms::validate(entry.platforms.as_ref(), problems);
    let own = entry.target.as_ref();
    if own.is_some_and(|target| target.get_ref() == "none") {
        return None;
    }
    let usual = defaults
        .target
        .as_ref()
        .and_then(|list| list.get_ref().first());
    let Some(written) = own.or(usual) else {
        let message = "`[gateway]` has no `target` to keep what is pulled through";
        problems.error(entry.span.clone(), message, TARGET_HELP);
        return None;
    };
    let Some(target) = entry::target_prefix(written.get_ref()) else {
        // A bad default is reported where it stands.
        if own.is_some() {
            let message = format!(
                "bad `target`: `{}` begins with no registry",
                written.get_ref()
            );
            problems.error(written.span(), message, TARGET_HELP);
        }
        return None;
    };
    let timing = timing::validate(&defaults.timing, problems);
    Some(OnDemand {
        placement: Arc::new(Placement {
            targets: vec![target],
            template: entry::template(defaults.path.as_ref(), problems),
        }),
        schedule: timing.schedule,
        jitter: timing.jitter,
        max_lag: timing.max_lag,
        prune: prune::of_pulled(&defaults.upkeep, problems),
        platforms,
    })
}

fn duration(
    written: Option<&Spanned<String>>,
    default: Duration,
    problems: &mut Problems,
) -> Duration {
    let Some(written) = written else {
        return default;
    };
    humantime::parse_duration(written.get_ref()).unwrap_or_else(|_| {
        let message = format!("`{}` is not a duration", written.get_ref());
        problems.error(
            written.span(),
            message,
            "write a duration such as \"10m\" or \"7d\"",
        );
        default
    })
}

fn blobs(written: Option<&Spanned<String>>, problems: &mut Problems) -> BlobDelivery {
    match written.map(|written| (written, written.get_ref().as_str())) {
        None | Some((_, "proxy")) => BlobDelivery::Proxy,
        Some((_, "redirect")) => BlobDelivery::Redirect,
        Some((written, other)) => {
            let message = format!("unknown `blobs = \"{other}\"`");
            problems.error(written.span(), message, "write \"proxy\" or \"redirect\"");
            BlobDelivery::Proxy
        }
    }
}

fn size(written: &Spanned<String>, problems: &mut Problems) -> Option<u64> {
    match written.get_ref().parse::<ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Some(size.as_u64()),
        _ => {
            let message = format!("`{}` is not a size above 0", written.get_ref());
            problems.error(written.span(), message, "write a size such as \"20 GiB\"");
            None
        }
    }
}

fn client_limits(entry: &ClientLimitsEntry, problems: &mut Problems) -> ClientLimits {
    let rate = entry.requests_per_second.as_ref();
    let rate = rate.and_then(|rate| {
        let is_rate = (0.01..=100_000.0).contains(rate.get_ref());
        if !is_rate {
            let message = format!("`requests_per_second = {}` is out of range", rate.get_ref());
            problems.error(rate.span(), message, "write a number from 0.01 to 100000");
        }
        is_rate.then_some(*rate.get_ref())
    });
    let concurrent = entry.concurrent.as_ref().and_then(|count| {
        let parsed = usize::try_from(*count.get_ref())
            .ok()
            .filter(|count| *count > 0);
        if parsed.is_none() {
            let message = format!("`concurrent = {}` lets nobody in", count.get_ref());
            problems.error(
                count.span(),
                message,
                "write a whole number above 0, such as 16",
            );
        }
        parsed
    });
    ClientLimits {
        requests_per_second: rate,
        concurrent,
        bytes_per_day: entry
            .bytes_per_day
            .as_ref()
            .and_then(|text| size(text, problems)),
    }
}

#[cfg(test)]
mod tests;
