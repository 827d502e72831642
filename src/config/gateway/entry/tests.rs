use std::path::Path;

use super::*;
use crate::config::{Config, Error, PulledImages};

const MIRROR: &str = "[defaults]\ntarget = \"registry.example.com/mirror\"\n\n[[mirror]]\nfrom = \
                      \"docker.io/library/busybox:1\"\n";

fn parse(gateway: &str) -> Result<Config, Error> {
    let text = format!("[gateway]\n{gateway}\n\n{MIRROR}");
    Config::parse_without_secrets(Path::new("mirror.toml"), &text)
}

fn gateway(text: &str) -> GatewayConfig {
    let parsed = parse(text);
    parsed
        .unwrap_or_else(|error| panic!("{error}"))
        .gateway
        .unwrap()
}

#[test]
fn is_off_without_its_table() {
    let config = Config::parse_without_secrets(Path::new("mirror.toml"), MIRROR).unwrap();
    assert!(config.gateway.is_none());
}

#[test]
fn empty_table_has_closed_defaults() {
    let gateway = gateway("");
    assert_eq!(gateway.listen, LISTEN);
    assert_eq!(gateway.clients, ClientNetwork::private());
    assert_eq!(gateway.registry.as_str(), "docker.io");
    assert_eq!(gateway.allow, AllowList::Patterns(ImagePatterns::default()));
    assert_eq!((gateway.fresh, gateway.stale), (FRESH, STALE));
    let source = "quay.io/prometheus/prometheus".parse().unwrap();
    let target = gateway.on_demand.unwrap().target(&source).unwrap();
    assert_eq!(
        target.to_string(),
        "registry.example.com/mirror/quay.io/prometheus/prometheus"
    );
}

#[test]
fn every_key_is_read() {
    let gateway = gateway(
        "listen = \"0.0.0.0:5001\"\nclients = [\"203.0.113.0/24\"]\nregistry = \"quay.io\"\n\
         hosts = { \"K8s.m.example.com\" = \"registry.k8s.io\" }\n\
         allow = [\"docker.io/library/*\", \"quay.io/**\"]\ndeny = [\"docker.io/*/*miner*\"]\n\
         target = \"cache.example.com/pulled\"\nkeep = \"1d\"\nplatforms = [\"linux/amd64\"]\n\
         fresh = \"1m\"\nstale = \"1h\"\nblobs = \"redirect\"\nmax_image = \"1 GiB\"\n\
         client_limits = { requests_per_second = 20, concurrent = 16, bytes_per_day = \"1 GiB\" }\n\
         trusted_proxies = [\"127.0.0.1\"]",
    );
    assert_eq!(gateway.listen.port(), 5001);
    assert_eq!(
        gateway.hosts["k8s.m.example.com"].as_str(),
        "registry.k8s.io"
    );
    assert_eq!(gateway.max_image, Some(1 << 30));
    assert_eq!(gateway.blobs, BlobDelivery::Redirect);
    assert_eq!(gateway.client_limits.concurrent, Some(16));
    let AllowList::Patterns(allow) = &gateway.allow else {
        panic!("{:?}", gateway.allow)
    };
    assert!(allow.matches(&"quay.io/a/b/c".parse().unwrap()));
    assert!(!allow.matches(&"docker.io/other/busybox".parse().unwrap()));
    assert!(
        gateway
            .deny
            .matches(&"docker.io/x/xminer1".parse().unwrap())
    );
    let target = gateway
        .on_demand
        .unwrap()
        .target(&"nginx".parse().unwrap())
        .unwrap();
    assert_eq!(
        target.to_string(),
        "cache.example.com/pulled/docker.io/library/nginx"
    );
}

#[test]
fn no_target_keeps_nothing() {
    assert!(gateway("target = \"none\"").on_demand.is_none());
}

#[test]
fn mistakes_come_with_a_remedy() {
    let table = [
        ("listen = \"5000\"", "not an address to listen on"),
        ("clients = [\"10.0.0.0/40\"]", "not a network of addresses"),
        ("allow = [\"library/*\"]", "names no registry"),
        ("allow = [\"**\"]", "names no registry"),
        (
            "allow = { file = \"/nowhere/allows.txt\" }",
            "/nowhere/allows.txt",
        ),
        (
            "deny = [\"docker.io/UPPER\"]",
            "no pattern for repositories",
        ),
        ("target = \"x y/cache\"", "bad `target`"),
        ("fresh = \"soon\"", "not a duration"),
        ("blobs = \"copy\"", "unknown `blobs"),
        ("max_image = \"big\"", "not a size"),
        (
            "tls = { cert_file = \"/nowhere.pem\" }",
            "a certificate and its key",
        ),
        ("client_limits = { concurrent = 0 }", "lets nobody in"),
        (
            "hosts = { \"a b\" = \"quay.io\" }",
            "not a host and a registry",
        ),
        ("lisen = \"127.0.0.1:1\"", "did you mean `listen`"),
    ];
    for (text, expected) in table {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("help:"), "{text}: {error}");
    }
}

#[test]
fn demand_becomes_a_mirror() {
    let config = parse("").unwrap();
    let image = (
        "quay.io/a/b".parse().unwrap(),
        crate::oci::Version::Tag("v1".parse().unwrap()),
    );
    let images = |kept| PulledImages {
        kept,
        leaving: Vec::new(),
    };
    let config = config.with_on_demand(&images(vec![image]));
    let mirror = config.mirrors.last().unwrap();
    assert_eq!(&*mirror.name, super::super::ON_DEMAND);
    assert_eq!(
        mirror.routes[0].targets[0].to_string(),
        "registry.example.com/mirror/quay.io/a/b"
    );
    assert_eq!(config.with_on_demand(&images(Vec::new())).mirrors.len(), 1);
}
