//! Kinds of input that people have: charts, operators, pods, CRDs, lists.

use super::*;

#[test]
fn deployment_of_a_rendered_chart() {
    let chart = "---\n# Source: web/templates/deployment.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  \
                 name: web\nspec:\n  template:\n    spec:\n      initContainers:\n        - name: wait\n          \
                 image: \"busybox:1.36\"\n      containers:\n        - name: web\n          image: \
                 ghcr.io/acme/web:v2\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
    assert_eq!(
        found(chart),
        certain(&["busybox:1.36", "ghcr.io/acme/web:v2"])
    );
}

#[test]
fn cron_job() {
    let job = "kind: CronJob\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          \
               containers:\n          - image: registry.k8s.io/kubectl:v1.33.0\n";
    assert_eq!(found(job), certain(&["registry.k8s.io/kubectl:v1.33.0"]));
}

#[test]
fn pod_with_an_ephemeral_container_and_an_image_volume() {
    let pod = "{\"kind\":\"Pod\",\"spec\":{\"ephemeralContainers\":[{\"image\":\"debug:1\"}],\"volumes\":\
               [{\"name\":\"model\",\"image\":{\"reference\":\"quay.io/models/m:1\",\"pullPolicy\":\"Always\"}}]}}";
    assert_eq!(found(pod), certain(&["debug:1", "quay.io/models/m:1"]));
}

#[test]
fn custom_resource_with_a_pod_template() {
    let sts = "kind: RayCluster\nspec:\n  headGroupSpec:\n    template:\n      spec:\n        containers:\n        \
               - image: rayproject/ray:2.9.0\n";
    assert_eq!(found(sts), certain(&["rayproject/ray:2.9.0"]));
}

#[test]
fn custom_resources_with_image_keys() {
    let prometheus = "kind: Prometheus\nspec:\n  image: quay.io/prometheus/prometheus:v3.1.0\n  thanos:\n    image: \
                      quay.io/thanos/thanos:v0.37.0\n---\nkind: Installation\nspec:\n  apiserverImage: \
                      quay.io/calico/apiserver:v3.29\n  replicas: 2\n";
    let images = [
        "quay.io/calico/apiserver:v3.29",
        "quay.io/prometheus/prometheus:v3.1.0",
        "quay.io/thanos/thanos:v0.37.0",
    ];
    assert_eq!(found(prometheus), likely(&images));
}

#[test]
fn values_of_a_chart_split_images() {
    let values = "image:\n  registry: docker.io\n  repository: bitnami/redis\n  tag: 7.20\ncontroller:\n  image:\n    \
                  repository: ingress-nginx/controller\n    registry: registry.k8s.io\n    tag: \"v1.12\"\n    digest: \"\"\n\
                  empty: {repository: a/b, tag: \"\"}\n";
    let images = [
        "docker.io/bitnami/redis:7.20",
        "registry.k8s.io/ingress-nginx/controller:v1.12",
    ];
    assert_eq!(found(values), likely(&images));
}

#[test]
fn list_of_kubeadm() {
    let list = "registry.k8s.io/kube-apiserver:v1.34.2\nregistry.k8s.io/etcd:3.6.5-0\n";
    assert_eq!(
        found(list),
        certain(&[
            "registry.k8s.io/etcd:3.6.5-0",
            "registry.k8s.io/kube-apiserver:v1.34.2"
        ])
    );
}

#[test]
fn list_with_comments_and_windows_line_ends() {
    let list = "# core\r\nrancher/shell:v0.3.0\r\n\r\nrancher/fleet:v0.11.2  # agent\r\n";
    assert_eq!(
        found(list),
        certain(&["rancher/fleet:v0.11.2", "rancher/shell:v0.3.0"])
    );
}

#[test]
fn yaml_list_and_images_key() {
    assert_eq!(
        found("- nginx:1\n- redis:7\n"),
        certain(&["nginx:1", "redis:7"])
    );
    let config = "kind: Images\nimages:\n- nginx:1\n- {name: x, image: redis:7}\n";
    assert_eq!(found(config), likely(&["nginx:1", "redis:7"]));
}

#[test]
fn json_lines() {
    let lines = "{\"image\":\"nginx:1\"}\n{\"image\":\"redis:7\"}\n";
    assert_eq!(found(lines), likely(&["nginx:1", "redis:7"]));
}

#[test]
fn digests_and_ports() {
    let digest = "a".repeat(64);
    let list = format!("localhost:5000/a/b\nquay.io/a/b@sha256:{digest}\n");
    let pinned = format!("quay.io/a/b@sha256:{digest}");
    assert_eq!(found(&list), certain(&["localhost:5000/a/b", &pinned]));
}

#[test]
fn other_keys_are_no_images() {
    let other = "kind: ConfigMap\ndata:\n  image: not an image\n  url: http://a.b/c:1\nspec: {imagePullPolicy: Always}\n";
    assert_eq!(found(other), []);
}

#[test]
fn document_that_is_empty_has_none() {
    assert_eq!(found(""), []);
    assert_eq!(found("---\n---\n"), []);
    assert_eq!(found("{}"), []);
}

#[test]
fn allow_list_of_patterns() {
    let list = "docker.io/library/*\nquay.io/prometheus/**\nregistry.k8s.io/pause\n";
    let inventory = read(list.as_bytes()).unwrap();
    let patterns: Vec<&str> = inventory.patterns().collect();
    assert_eq!(patterns, ["docker.io/library/*", "quay.io/prometheus/**"]);
    assert_eq!(found(list), certain(&["registry.k8s.io/pause"]));
}
