//! The files of each client. Their forms are those of each client's own documents.

use clap::ValueEnum;

use crate::cli::setup::client_config::upstream::Upstream;

/// A client, by the program that pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// Docker Engine.
    Docker,
    /// containerd, nerdctl.
    Containerd,
    /// Podman, Buildah, skopeo.
    Podman,
    /// CRI-O.
    Crio,
    /// k3s.
    K3s,
    /// RKE2.
    Rke2,
    /// Talos Linux.
    Talos,
    /// kubeadm.
    Kubeadm,
    /// BuildKit.
    Buildkit,
    /// Kyverno, for clusters whose nodes cannot be configured.
    Kyverno,
}

/// A file, where it goes, and what to do then.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct ClientFile {
    pub(crate) path: String,
    pub(crate) text: String,
    /// What takes the file up; a line.
    pub(crate) then: String,
}

/// The folder where containerd looks for hosts.
const CONTAINERD: &str = "/etc/containerd/certs.d";
const EACH_PULL: &str = "nothing to restart: it is read at each pull";

/// The files of a client for these upstreams.
pub(crate) fn files(client: Client, upstreams: &[Upstream]) -> Vec<ClientFile> {
    match client {
        Client::Docker => docker(upstreams),
        Client::Containerd => containerd(upstreams),
        Client::Podman => vec![registries_conf(upstreams, EACH_PULL)],
        Client::Crio => vec![registries_conf(upstreams, "systemctl reload crio")],
        Client::K3s => vec![registries_yaml(upstreams, "k3s")],
        Client::Rke2 => vec![registries_yaml(upstreams, "rke2")],
        Client::Talos => vec![talos(upstreams)],
        Client::Kubeadm => kubeadm(upstreams),
        Client::Buildkit => vec![buildkit(upstreams)],
        Client::Kyverno => vec![kyverno(upstreams)],
    }
}

/// `registry-mirrors` is for Docker Hub only
/// ([Docker](https://docs.docker.com/docker-hub/image-library/mirror/)); since version 28 with the
/// containerd image store, `hosts.toml` serves every registry.
fn docker(upstreams: &[Upstream]) -> Vec<ClientFile> {
    let mut files = Vec::new();
    let hub = upstreams
        .iter()
        .find(|upstream| upstream.registry == "docker.io");
    if let Some(hub) = hub.filter(|hub| hub.prefix.is_empty()) {
        let json = serde_json::json!({ "registry-mirrors": [hub.origin()] });
        files.push(ClientFile {
            path: "/etc/docker/daemon.json".into(),
            text: format!("{json:#}\n"),
            then: "systemctl reload docker; Docker Hub only".into(),
        });
    }
    files.extend(upstreams.iter().map(|upstream| ClientFile {
        path: format!("/etc/docker/certs.d/{}/hosts.toml", upstream.registry),
        text: hosts_toml(upstream),
        then: "nothing to restart; Docker 28 or newer with the containerd image store".into(),
    }));
    files
}

fn containerd(upstreams: &[Upstream]) -> Vec<ClientFile> {
    let mut files = vec![ClientFile {
        path: "/etc/containerd/config.toml".into(),
        text: format!(
            "# containerd 2; in version 1 the table is [plugins.\"io.containerd.grpc.v1.cri\".registry]\n\
             [plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"{CONTAINERD}\"\n"
        ),
        then: "add the key, then systemctl restart containerd, once".into(),
    }];
    files.extend(upstreams.iter().map(|upstream| ClientFile {
        path: format!("{CONTAINERD}/{}/hosts.toml", upstream.registry),
        text: hosts_toml(upstream),
        then: EACH_PULL.into(),
    }));
    files
}

/// With a path in the host, containerd puts it before the name; `override_path` keeps it from
/// adding `/v2` once more ([hosts](https://github.com/containerd/containerd/blob/main/docs/hosts.md)).
fn hosts_toml(upstream: &Upstream) -> String {
    let (host, path) = match upstream.prefix.as_str() {
        "" => (upstream.origin(), ""),
        prefix => (
            format!("{}/v2/{prefix}", upstream.origin()),
            "  override_path = true\n",
        ),
    };
    format!(
        "server = \"{}\"\n\n[host.\"{host}\"]\n  capabilities = [\"pull\", \"resolve\"]\n{path}  dial_timeout = \
         \"2s\"\n",
        upstream.server()
    )
}

/// [registries.conf](https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md)
fn registries_conf(upstreams: &[Upstream], then: &str) -> ClientFile {
    let tables = upstreams.iter().map(|upstream| {
        let insecure = if upstream.is_plain() {
            "insecure = true\n"
        } else {
            ""
        };
        format!(
            "[[registry]]\nlocation = \"{}\"\n\n[[registry.mirror]]\nlocation = \"{}\"\n{insecure}",
            upstream.registry,
            upstream.location()
        )
    });
    ClientFile {
        path: "/etc/containers/registries.conf.d/50-transship.conf".into(),
        text: tables.collect::<Vec<_>>().join("\n"),
        then: then.into(),
    }
}

/// [k3s](https://docs.k3s.io/installation/private-registry)
fn registries_yaml(upstreams: &[Upstream], kind: &str) -> ClientFile {
    let mut text = String::from("mirrors:\n");
    for upstream in upstreams {
        text += &format!(
            "  \"{}\":\n    endpoint: [\"{}\"]\n",
            upstream.registry,
            upstream.origin()
        );
        if !upstream.prefix.is_empty() {
            text += &format!(
                "    rewrite:\n      \"^(.*)$\": \"{}/$1\"\n",
                upstream.prefix
            );
        }
    }
    ClientFile {
        path: format!("/etc/rancher/{kind}/registries.yaml"),
        text,
        then: format!("systemctl restart {kind} (agents: {kind}-agent)"),
    }
}

/// [Talos](https://docs.siderolabs.com/talos/v1.12/reference/configuration/cri/registrymirrorconfig)
fn talos(upstreams: &[Upstream]) -> ClientFile {
    let documents = upstreams.iter().map(|upstream| {
        let (url, path) = match upstream.prefix.as_str() {
            "" => (upstream.origin(), ""),
            prefix => (
                format!("{}/v2/{prefix}", upstream.origin()),
                "    overridePath: true\n",
            ),
        };
        format!(
            "apiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: {}\nendpoints:\n  - url: {url}\n{path}\
             skipFallback: false\n",
            upstream.registry
        )
    });
    ClientFile {
        path: "registry-mirrors.yaml".into(),
        text: documents.collect::<Vec<_>>().join("---\n"),
        then: "talosctl patch machineconfig --patch @registry-mirrors.yaml; Talos 1.12 or newer"
            .into(),
    }
}

/// [kubeadm](https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/)
fn kubeadm(upstreams: &[Upstream]) -> Vec<ClientFile> {
    let upstream = upstreams
        .iter()
        .find(|upstream| upstream.registry == "registry.k8s.io");
    let Some(upstream) = upstream else {
        return Vec::new();
    };
    let place = upstream.location();
    vec![
        ClientFile {
            path: "kubeadm.yaml".into(),
            text: format!(
                "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nimageRepository: {place}\ndns:\n  \
                 imageRepository: {place}/coredns\n"
            ),
            then: "kubeadm init --config kubeadm.yaml".into(),
        },
        ClientFile {
            path: "/etc/containerd/config.toml".into(),
            text: format!(
                "# the pause image is containerd's own setting; in version 1 it is `sandbox_image`\n\
                 [plugins.\"io.containerd.cri.v1.images\".pinned_images]\n  sandbox = \"{place}/pause:3.10\"\n"
            ),
            then:
                "write the version that `kubeadm config images list` shows, then systemctl restart \
                   containerd"
                    .into(),
        },
    ]
}

/// [BuildKit](https://github.com/moby/buildkit/blob/master/docs/buildkitd.toml.md)
fn buildkit(upstreams: &[Upstream]) -> ClientFile {
    let mut text = String::new();
    for upstream in upstreams {
        let mirror = match upstream.prefix.as_str() {
            "" => upstream.host(),
            prefix => format!("{}/{prefix}", upstream.host()),
        };
        text += &format!(
            "[registry.\"{}\"]\n  mirrors = [\"{mirror}\"]\n\n",
            upstream.registry
        );
    }
    let plain = upstreams.iter().find(|upstream| upstream.is_plain());
    if let Some(plain) = plain {
        text += &format!("[registry.\"{}\"]\n  http = true\n", plain.host());
    }
    ClientFile {
        path: "/etc/buildkit/buildkitd.toml".into(),
        text: text.trim_end().to_owned() + "\n",
        then: "restart buildkitd; docker buildx create --buildkitd-config for a builder".into(),
    }
}

/// [Kyverno](https://kyverno.io/docs/policy-types/cluster-policy/mutate/): each container's image
/// gets the place of the mirror in front. Prefer the nodes' own settings: operators that compare
/// images do not expect other names.
fn kyverno(upstreams: &[Upstream]) -> ClientFile {
    let mut text = String::from(
        "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata:\n  name: pull-from-mirror\nspec:\n  rules:\n",
    );
    for upstream in upstreams {
        let name = upstream.registry.replace(['.', ':'], "-");
        let pattern = upstream.registry.replace('.', "\\\\.");
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            text += &format!(
                "    - name: {name}-{list}\n      match:\n        any:\n          - resources:\n              kinds: \
                 [Pod]\n      mutate:\n        foreach:\n          - list: request.object.spec.{list}\n            \
                 patchStrategicMerge:\n              spec:\n                {list}:\n                  - name: \
                 \"{{{{ element.name }}}}\"\n                    image: \"{{{{ regex_replace_all('^{pattern}/(.*)$', \
                 '{{{{element.image}}}}', '{}/$1') }}}}\"\n",
                upstream.location()
            );
        }
    }
    ClientFile {
        path: "pull-from-mirror.yaml".into(),
        text,
        then:
            "kubectl apply -f pull-from-mirror.yaml; prefer the nodes' own settings where you can"
                .into(),
    }
}
