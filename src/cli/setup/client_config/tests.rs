use std::path::Path;

use super::*;

const MIRRORS: &str = "[defaults]\ntarget = \"registry.example.com/mirror\"\n\
                       [[mirror]]\nfrom = \"docker.io/library/nginx:1.27\"\n\
                       [[mirror]]\nfrom = \"registry.k8s.io/pause:3.10\"\n";

fn config(text: &str) -> Config {
    Config::parse(Path::new("mirror.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

fn gateway() -> Vec<Upstream> {
    let registries = upstream::registries(&config(MIRRORS), &[]);
    upstream::behind_gateway(registries, &"https://gw.example:5000".parse().unwrap())
}

fn text(client: Client, upstreams: &[Upstream], path: &str) -> String {
    let files = files::files(client, upstreams);
    let file = files.iter().find(|file| file.path == path);
    file.unwrap_or_else(|| panic!("no {path} in {files:#?}"))
        .text
        .clone()
}

#[test]
fn containerd_asks_the_gateway_first_and_the_registry_last() {
    let path = "/etc/containerd/certs.d/docker.io/hosts.toml";
    let parsed: toml::Table = text(Client::Containerd, &gateway(), path).parse().unwrap();
    assert_eq!(
        parsed["server"].as_str(),
        Some("https://registry-1.docker.io")
    );
    assert!(
        parsed["host"]["https://gw.example:5000"]
            .get("override_path")
            .is_none()
    );
}

#[test]
fn podman_names_the_registry_in_the_path() {
    let path = "/etc/containers/registries.conf.d/50-transship.conf";
    let parsed: toml::Table = text(Client::Podman, &gateway(), path).parse().unwrap();
    let first = &parsed["registry"][0];
    assert_eq!(first["location"].as_str(), Some("docker.io"));
    assert_eq!(
        first["mirror"][0]["location"].as_str(),
        Some("gw.example:5000/docker.io")
    );
}

#[test]
fn registries_of_allow_are_behind_the_gateway() {
    let text = format!("{MIRRORS}[gateway]\nallow = [\"quay.io/**\"]\n");
    let registries = upstream::registries(&config(&text), &[]);
    assert_eq!(registries, ["docker.io", "quay.io", "registry.k8s.io"]);
}

#[test]
fn docker_hub_has_its_own_key() {
    let json = text(Client::Docker, &gateway(), "/etc/docker/daemon.json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["registry-mirrors"][0], "https://gw.example:5000");
}

#[test]
fn direct_layout_is_a_path_below_the_target() {
    let (upstreams, reasons) = upstream::at_target(&config(MIRRORS), &[]);
    assert!(reasons.is_empty());
    let path = "/etc/containerd/certs.d/registry.k8s.io/hosts.toml";
    let parsed: toml::Table = text(Client::Containerd, &upstreams, path).parse().unwrap();
    let host = &parsed["host"]["https://registry.example.com/v2/mirror/registry.k8s.io"];
    assert_eq!(host["override_path"].as_bool(), Some(true));
    let yaml = text(Client::K3s, &upstreams, "/etc/rancher/k3s/registries.yaml");
    assert!(
        yaml.contains("\"^(.*)$\": \"mirror/docker.io/$1\""),
        "{yaml}"
    );
}

#[test]
fn flat_layout_cannot_be_pulled_from_directly() {
    let flat = MIRRORS.replace(
        "[defaults]\n",
        "[defaults]\npath = \"{repository|flatten}\"\n",
    );
    let (upstreams, reasons) = upstream::at_target(&config(&flat), &[]);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].starts_with("docker.io: "), "{reasons:?}");
    assert_eq!(upstreams.len(), 1, "a path of one part stays as it is");
}

#[test]
fn registry_in_two_places_cannot_be_pulled_from_directly() {
    let two = format!(
        "{MIRRORS}[[mirror]]\nfrom = \"docker.io/library/redis:7\"\ntarget = \"other.example.com/x\"\n"
    );
    let (_, reasons) = upstream::at_target(&config(&two), &[]);
    assert!(reasons[0].contains("other.example.com/x"), "{reasons:?}");
}

#[test]
fn plain_gateway_is_insecure_for_podman_and_buildkit() {
    let registries = vec!["quay.io".to_owned()];
    let upstreams = upstream::behind_gateway(registries, &"http://127.0.0.1:5000".parse().unwrap());
    let path = "/etc/containers/registries.conf.d/50-transship.conf";
    assert!(text(Client::Podman, &upstreams, path).contains("insecure = true"));
    let toml = text(Client::Buildkit, &upstreams, "/etc/buildkit/buildkitd.toml");
    let parsed: toml::Table = toml.parse().unwrap();
    assert_eq!(
        parsed["registry"]["127.0.0.1:5000"]["http"].as_bool(),
        Some(true)
    );
}

#[test]
fn kubernetes_clients_get_yaml() {
    let yaml = text(Client::Kubeadm, &gateway(), "kubeadm.yaml");
    assert!(
        yaml.contains("imageRepository: gw.example:5000/registry.k8s.io\n"),
        "{yaml}"
    );
    let yaml = text(Client::Talos, &gateway(), "registry-mirrors.yaml");
    assert_eq!(yaml.matches("kind: RegistryMirrorConfig").count(), 2);
    let yaml = text(Client::Kyverno, &gateway(), "pull-from-mirror.yaml");
    assert!(
        yaml.contains("regex_replace_all('^docker\\\\.io/(.*)$'"),
        "{yaml}"
    );
}
