use crate::config::mirror::path::*;

fn render(template: &str, source: &str) -> String {
    let template = PathTemplate::parse(template).unwrap_or_else(|e| panic!("{e}"));
    template.render(&source.parse().unwrap())
}

/// The rules that mirrors in the field use, each in one line; the README lists them.
#[test]
fn the_usual_rules_are_one_line_each() {
    let table = [
        (
            "{registry}/{repository}",
            "quay.io/coreos/etcd",
            "quay.io/coreos/etcd",
        ),
        (
            "{registry|short}/{repository}",
            "registry.k8s.io/coredns/coredns",
            "k8s/coredns/coredns",
        ),
        (
            "{registry|short}/{repository}",
            "mcr.microsoft.com/dotnet/sdk",
            "mcr/dotnet/sdk",
        ),
        (
            "{registry|short}/{repository}",
            "k8s.gcr.io/pause",
            "k8s-gcr/pause",
        ),
        (
            "{registry|short}/{repository}",
            "r.example.com/a",
            "r.example.com/a",
        ),
        (
            "google_containers/{name}",
            "registry.k8s.io/coredns/coredns",
            "google_containers/coredns",
        ),
        (
            "google-containers.{repository|dots}",
            "k8s.gcr.io/pause",
            "google-containers.pause",
        ),
        (
            "{registry|short}.{repository|dots}",
            "quay.io/coreos/etcd",
            "quay.coreos.etcd",
        ),
        (
            "{registry}_{repository|underscores}",
            "gcr.io/istio-release/pilot",
            "gcr.io_istio-release_pilot",
        ),
        ("n/{repository|drop(1)}", "r.io/a/b/c/img", "n/b/c/img"),
        ("n/{repository|drop(9)}", "r.io/a/b/c/img", "n/img"),
        ("n/{repository|last}", "r.io/a/b/c/img", "n/img"),
        ("{repository|drop(1)|flatten}", "r.io/a/b/c", "b-c"),
    ];
    for (template, source, expected) in table {
        assert_eq!(render(template, source), expected, "{template} of {source}");
    }
}

#[test]
fn a_filter_that_makes_no_sense_is_refused() {
    for (template, words) in [
        ("{repository|dot}", "unknown filter `dot`"),
        ("{repository|drop(x)}", "does not say how many"),
        ("{repository|drop(-1)}", "does not say how many"),
        ("{name|short}", "for {registry} only"),
        ("{repository|}", "unknown filter ``"),
    ] {
        let error = PathTemplate::parse(template).unwrap_err();
        assert!(error.contains(words), "{template}: {error}");
    }
}
