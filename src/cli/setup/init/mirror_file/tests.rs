use std::path::Path;

use clap::ValueEnum as _;

use super::*;
use crate::{cli::setup::init::vendor::Vendor, config::Config};

fn file<'a>(
    target: &'a str,
    login: &'a Login,
    vendor: Vendor,
    images: &'a [String],
) -> MirrorFile<'a> {
    MirrorFile {
        timezone: "Asia/Shanghai",
        state: None,
        target,
        login,
        needs: vendor.needs(),
        images,
    }
}

fn images(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn file_is_valid_for_every_vendor() {
    let images = images(&[
        "registry.k8s.io/coredns/coredns",
        "docker.io/library/nginx:1.27",
    ]);
    for vendor in Vendor::value_variants() {
        let login = Login::Password {
            user: "robot$mirror".into(),
            file: "/etc/transship/a.password".into(),
        };
        let text = file("registry.example.com/acme", &login, *vendor, &images).render();
        let parsed = Config::parse_without_secrets(Path::new("mirror.toml"), &text);
        let config = parsed.unwrap_or_else(|error| panic!("{vendor:?}: {error}\n{text}"));
        assert!(
            config.warnings.is_empty(),
            "{vendor:?}: {}",
            config.warnings
        );
        let routes: usize = config
            .mirrors
            .iter()
            .map(|mirror| mirror.routes.len())
            .sum();
        assert_eq!(routes, 2);
    }
}

#[test]
fn each_vendor_has_its_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/registries");
    for vendor in Vendor::value_variants() {
        let page = docs.join(vendor.needs().page).with_extension("md");
        assert!(page.exists(), "{}", page.display());
    }
}

#[test]
fn quotes_and_backslashes_stay_text() {
    let login = Login::Password {
        user: "a\"b\\c".into(),
        file: "/tmp/x".into(),
    };
    let images = images(&["quay.io/a/b"]);
    let text = file("registry.example.com/m", &login, Vendor::Harbor, &images).render();
    let parsed: toml::Table = text.parse().unwrap();
    let registry = &parsed["registries"]["registry.example.com"];
    assert_eq!(registry["username"].as_str(), Some("a\"b\\c"));
}

#[test]
fn registries_on_loopback_speak_no_tls() {
    let images = images(&["127.0.0.1:5001/app:1"]);
    let text = file(
        "localhost:5000/m",
        &Login::None,
        Vendor::Distribution,
        &images,
    )
    .render();
    let parsed: toml::Table = text.parse().unwrap();
    for host in ["localhost:5000", "127.0.0.1:5001"] {
        assert_eq!(
            parsed["registries"][host]["plain_http"].as_bool(),
            Some(true),
            "{text}"
        );
    }
}

#[test]
fn port_of_a_registry_is_no_tag() {
    assert!(!has_tag("localhost:5000/a/b"));
    assert!(has_tag("localhost:5000/a/b:1"));
    assert!(has_tag("quay.io/a/b@sha256:0000"));
}

#[test]
fn vendors_are_known_by_their_hosts() {
    let vendor = |host: &str| Vendor::of_host(host);
    assert_eq!(
        vendor("registry.cn-hangzhou.aliyuncs.com"),
        Some(Vendor::AliyunAcr)
    );
    assert_eq!(
        vendor("1.dkr.ecr.eu-central-1.amazonaws.com"),
        Some(Vendor::Ecr)
    );
    assert_eq!(vendor("docker.io"), Some(Vendor::DockerHub));
    assert_eq!(vendor("notdocker.io"), None);
    assert_eq!(vendor("registry.example.com:5000"), None);
}
