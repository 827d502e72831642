use std::path::Path;

use super::*;
use crate::config::AllowList;

const CONFIG: &str = "
[gateway]
allow = [\"docker.io/library/*\", \"quay.io/**\"]
deny = [\"docker.io/library/*miner*\", \"quay.io/evil/*\"]
target = \"cache.example.com/pulled\"

[defaults]
target = \"registry.example.com/mirror\"

[[mirror]]
name = \"nginx\"
from = \"docker.io/library/nginx\"
tags = \"1.*\"

[[mirror]]
name = \"renamed\"
from = \"ghcr.io/acme/tool:v1\"
tag = \"{tag}-mirror\"

[[mirror]]
name = \"found\"
from = \"gcr.io/distroless/*\"
tags = \"*\"
";

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn config() -> Config {
    Config::parse_without_secrets(Path::new("mirror.toml"), CONFIG).unwrap()
}

/// What becomes of a reference: who mirrors it, and where it is.
fn decided(config: &Config, name: &str, version: &str) -> String {
    let gateway = config.gateway.as_ref().unwrap();
    let AllowList::Patterns(allow) = &gateway.allow else {
        panic!("{:?}", gateway.allow)
    };
    let policy = Policy {
        config,
        gateway,
        allow,
    };
    let version = match version.contains(':') {
        true => Version::Digest(version.parse().unwrap()),
        false => Version::Tag(version.parse().unwrap()),
    };
    let place = |copy: &Copied| match &copy.tag {
        Some(tag) => copy.repository.tag(tag).to_string(),
        None => copy.repository.to_string(),
    };
    match policy.decide(&name.parse().unwrap(), Some(&version)) {
        PullDecision::Mirrored { mirror, copy } => format!("{} {}", mirror.name, place(&copy)),
        PullDecision::Allowed { copy } => {
            format!("allowed {}", copy.as_ref().map_or_else(String::new, place))
        }
        PullDecision::Refused(refusal) => refusal.as_str().to_owned(),
    }
}

#[test]
fn decides_by_entry_then_allow_then_deny() {
    let config = config();
    let mirror = "registry.example.com/mirror";
    let table = [
        (
            "nginx",
            "1.27",
            format!("nginx {mirror}/docker.io/library/nginx:1.27"),
        ),
        (
            "nginx",
            DIGEST,
            format!("nginx {mirror}/docker.io/library/nginx"),
        ),
        // A tag that the entry does not select is pulled through.
        (
            "nginx",
            "latest",
            "allowed cache.example.com/pulled/docker.io/library/nginx:latest".into(),
        ),
        (
            "ghcr.io/acme/tool",
            "v1",
            format!("renamed {mirror}/ghcr.io/acme/tool:v1-mirror"),
        ),
        ("ghcr.io/acme/tool", "v2", "not_listed".into()),
        (
            "gcr.io/distroless/static",
            "a",
            format!("found {mirror}/gcr.io/distroless/static:a"),
        ),
        ("gcr.io/other/static", "a", "not_listed".into()),
        (
            "quay.io/a/b",
            "v1",
            "allowed cache.example.com/pulled/quay.io/a/b:v1".into(),
        ),
        ("quay.io/evil/b", "v1", "denied".into()),
        ("xminer", "v1", "denied".into()),
        ("docker.io/grafana/loki", "v1", "not_listed".into()),
        ("registry.k8s.io/pause", "3", "unknown_registry".into()),
        ("127.0.0.1/a", "v1", "unknown_registry".into()),
        ("169.254.169.254/a", "v1", "unknown_registry".into()),
    ];
    for (name, version, expected) in table {
        assert_eq!(
            decided(&config, name, version),
            expected,
            "{name} {version}"
        );
    }
}

#[test]
fn refusals_name_the_line_to_add() {
    let repository = "quay.io/a/b".parse().unwrap();
    for refusal in [PullRefusal::NotListed, PullRefusal::UnknownRegistry] {
        let text = refusal.text(&repository);
        assert!(text.contains("allow = [\"quay.io/a/b\"]"), "{text}");
    }
}
