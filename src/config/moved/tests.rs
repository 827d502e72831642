use super::*;

fn message(name: &str) -> Option<String> {
    warning(&name.parse().unwrap()).map(|(message, help)| format!("{message}; {help}"))
}

#[test]
fn frozen_upstreams_are_named_with_the_new_place() {
    let said = message("k8s.gcr.io/pause").unwrap();
    assert!(
        said.contains("frozen") && said.contains("registry.k8s.io"),
        "{said}"
    );
    assert!(
        message("docker.io/bitnami/redis")
            .unwrap()
            .contains("bitnamilegacy")
    );
    assert!(
        message("docker.io/bitnamilegacy/redis")
            .unwrap()
            .contains("frozen")
    );
    assert!(
        message("quay.io/coreos/etcd")
            .unwrap()
            .contains("gcr.io/etcd-development")
    );
}

#[test]
fn living_upstreams_have_no_warning() {
    for name in [
        "registry.k8s.io/pause",
        "quay.io/coreos/clair",
        "docker.io/bitnamix/a",
    ] {
        assert_eq!(message(name), None, "{name}");
    }
}
