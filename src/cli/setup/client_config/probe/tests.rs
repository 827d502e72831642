use std::path::Path;

use super::*;
use crate::cli::setup::client_config::upstream;

const MIRRORS: &str = "[gateway]\nhosts = { \"k8s.gw.example\" = \"registry.k8s.io\" }\n\
                       [defaults]\ntarget = \"registry.example.com/mirror\"\n\
                       [[mirror]]\nfrom = \"docker.io/library/nginx\"\ntags = \"*\"\n\
                       [[mirror]]\nfrom = \"docker.io/library/redis:7\"\n\
                       [[mirror]]\nfrom = \"registry.k8s.io/pause:3.10\"\n";

fn config() -> Config {
    Config::parse(Path::new("mirror.toml"), MIRRORS).unwrap_or_else(|error| panic!("{error}"))
}

fn asked(client: Client, gateway: &str, registry: &str, path: &str) -> String {
    let upstreams = upstream::behind_gateway(vec![registry.into()], &gateway.parse().unwrap());
    let (base, query) = address(client, &config(), &upstreams[0], path);
    base + &query
}

#[test]
fn each_client_asks_in_its_own_form() {
    let gateway = "https://gw.example:5000";
    let table = [
        (Client::Docker, "docker.io", "/v2/library/nginx"),
        (Client::Docker, "quay.io", "/v2/library/nginx?ns=quay.io"),
        (
            Client::Containerd,
            "docker.io",
            "/v2/library/nginx?ns=docker.io",
        ),
        (Client::K3s, "quay.io", "/v2/library/nginx?ns=quay.io"),
        (Client::Podman, "docker.io", "/v2/docker.io/library/nginx"),
        (
            Client::Kubeadm,
            "registry.k8s.io",
            "/v2/registry.k8s.io/library/nginx",
        ),
    ];
    for (client, registry, expected) in table {
        let found = asked(client, gateway, registry, "library/nginx");
        assert_eq!(found, format!("{gateway}{expected}"), "{client:?}");
    }
    let domain = asked(
        Client::Podman,
        "http://k8s.gw.example",
        "registry.k8s.io",
        "pause",
    );
    assert_eq!(domain, "http://k8s.gw.example/v2/pause");
}

#[test]
fn direct_form_has_the_path_of_the_target() {
    let (upstreams, _) = upstream::at_target(&config(), &["registry.k8s.io".into()]);
    let (base, query) = address(Client::Podman, &config(), &upstreams[0], "pause");
    assert_eq!(
        base,
        "https://registry.example.com/v2/mirror/registry.k8s.io/pause"
    );
    assert_eq!(query, "");
}

#[test]
fn entry_that_names_its_tag_is_tried_first() {
    let (repository, tag) = mirrored(&config(), "docker.io").unwrap();
    assert_eq!(repository.to_string(), "docker.io/library/redis");
    assert_eq!(tag.unwrap().to_string(), "7");
    assert!(mirrored(&config(), "quay.io").is_none());
}

#[test]
fn reads_parameters_of_a_challenge() {
    let challenge = "Bearer realm=\"https://gw/token\",service=\"gw\",scope=\"repository:a:pull\"";
    assert_eq!(
        parameter(challenge, "realm").as_deref(),
        Some("https://gw/token")
    );
    assert_eq!(
        parameter(challenge, "scope").as_deref(),
        Some("repository:a:pull")
    );
    assert_eq!(parameter(challenge, "error"), None);
}
