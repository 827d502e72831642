//! Upstreams that are frozen or have moved: their newest images are elsewhere.

use crate::oci::Repository;

/// A registry or a path on it, what became of it, and where its images are now.
struct MovedUpstream {
    prefix: &'static str,
    fate: &'static str,
    now: &'static str,
}

/// The known ones, longest prefix first. The sources are the announcements of their owners.
const MOVED: [MovedUpstream; 9] = [
    // https://kubernetes.io/blog/2023/02/06/k8s-gcr-io-freeze-announcement/
    MovedUpstream {
        prefix: "k8s.gcr.io",
        fate: "is frozen since April 2023",
        now: "the same images are at registry.k8s.io",
    },
    MovedUpstream {
        prefix: "gcr.io/google-containers",
        fate: "is frozen",
        now: "the images of Kubernetes are at registry.k8s.io",
    },
    MovedUpstream {
        prefix: "gcr.io/google_containers",
        fate: "is frozen",
        now: "the images of Kubernetes are at registry.k8s.io",
    },
    // https://github.com/kubernetes-sigs/kubebuilder/discussions/3907
    MovedUpstream {
        prefix: "gcr.io/kubebuilder/kube-rbac-proxy",
        fate: "is no longer published",
        now: "it is at quay.io/brancz/kube-rbac-proxy",
    },
    // https://github.com/bitnami/containers/issues/83267
    MovedUpstream {
        prefix: "docker.io/bitnami",
        fate: "no longer gets versioned tags since September 2025",
        now: "the old tags are at docker.io/bitnamilegacy, which is frozen",
    },
    MovedUpstream {
        prefix: "docker.io/bitnamilegacy",
        fate: "is frozen since September 2025",
        now: "choose another publisher for updates",
    },
    MovedUpstream {
        prefix: "quay.io/coreos/etcd",
        fate: "is frozen",
        now: "it is at gcr.io/etcd-development/etcd",
    },
    MovedUpstream {
        prefix: "quay.io/coreos/flannel",
        fate: "is frozen",
        now: "it is at ghcr.io/flannel-io/flannel",
    },
    MovedUpstream {
        prefix: "quay.io/coreos/kube-state-metrics",
        fate: "is frozen",
        now: "it is at registry.k8s.io/kube-state-metrics/kube-state-metrics",
    },
];

/// What became of an upstream, and what to do; `None` for one that is not known to have moved.
pub(crate) fn warning(repository: &Repository) -> Option<(String, String)> {
    let name = repository.to_string();
    let is_below = |prefix: &str| {
        let rest = name.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let moved = MOVED.iter().find(|moved| is_below(moved.prefix))?;
    let message = format!("{} {}", moved.prefix, moved.fate);
    Some((message, moved.now.into()))
}

#[cfg(test)]
mod tests;
