use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parse(line: &str, host: &str) -> Result<Address, AddressError> {
    let registry = "docker.io".parse().unwrap();
    let hosts = [(
        "k8s.m.example.com".to_owned(),
        "registry.k8s.io".parse().unwrap(),
    )];
    let hosts = hosts.into_iter().collect();
    let known = [
        "docker.io",
        "quay.io",
        "ghcr.io",
        "registry.k8s.io",
        "127.0.0.1:5001",
    ];
    let knows = |registry: &RegistryName| known.contains(&registry.as_str());
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let naming = Naming {
        registry: &registry,
        hosts: &hosts,
        knows: &knows,
    };
    Address::parse(RequestLine { path, query, host }, naming)
}

#[track_caller]
fn image(line: &str, host: &str) -> String {
    match parse(line, host) {
        Ok(Address::Content {
            repository, wanted, ..
        }) => format!("{repository} {wanted:?}"),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn every_form_is_one_key() {
    let table = [
        // Docker's registry-mirrors; containerd with and without `override_path`.
        ("/v2/library/nginx/manifests/1", "gw"),
        ("/v2/nginx/manifests/1", "gw"),
        ("/v2/library/nginx/manifests/1?ns=docker.io", "gw"),
        ("/v2/library/nginx/manifests/1?ns=index.docker.io", "gw"),
        (
            "/v2/library/nginx/manifests/1?ns=registry-1.docker.io",
            "gw",
        ),
        ("/docker.io/v2/library/nginx/manifests/1?ns=docker.io", "gw"),
        ("/v2/docker.io/library/nginx/manifests/1?ns=docker.io", "gw"),
        // podman, Helm, people.
        ("/v2/docker.io/library/nginx/manifests/1", "gw"),
        ("/v2/docker.io/nginx/manifests/1", "gw"),
        ("/docker.io/v2/nginx/manifests/1", "gw"),
        (
            "/v2/docker.io/nginx/manifests/1?ns=gw.example.com",
            "gw.example.com",
        ),
    ];
    for (line, host) in table {
        let key = image(line, host);
        let expected = "docker.io/library/nginx Manifest(Tag(Tag(\"1\")))";
        assert_eq!(key, expected, "{line} at {host}");
    }
}

#[test]
fn registries_are_named_by_prefix_ns_and_domain() {
    let table = [
        ("/v2/quay.io/a/b/tags/list", "gw", "quay.io/a/b"),
        ("/v2/a/b/tags/list?ns=quay.io", "gw", "quay.io/a/b"),
        (
            "/v2/a/b/tags/list?ns=127.0.0.1%3A5001",
            "gw",
            "127.0.0.1:5001/a/b",
        ),
        (
            "/v2/127.0.0.1%3A5001/a/b/tags/list",
            "gw",
            "127.0.0.1:5001/a/b",
        ),
        (
            "/v2/pause/tags/list",
            "k8s.m.example.com",
            "registry.k8s.io/pause",
        ),
        (
            "/v2/pause/tags/list",
            "K8s.m.example.com.:443",
            "registry.k8s.io/pause",
        ),
        (
            "/v2/registry.k8s.io/pause/tags/list",
            "k8s.m.example.com",
            "registry.k8s.io/pause",
        ),
        ("/v2/unknown.example/a/tags/list", "gw", "unknown.example/a"),
        (
            "/v2/a/tags/list?ns=unknown.example",
            "gw",
            "unknown.example/a",
        ),
    ];
    for (line, host, expected) in table {
        assert_eq!(
            image(line, host),
            format!("{expected} Tags"),
            "{line} at {host}"
        );
    }
}

#[test]
fn endpoints_are_told_apart() {
    assert_eq!(parse("/v2/", "gw"), Ok(Address::Ping));
    assert_eq!(parse("/v2", "gw"), Ok(Address::Ping));
    assert_eq!(parse("/quay.io/v2/", "gw"), Ok(Address::Ping));
    let blob = image(&format!("/v2/a/b/blobs/{DIGEST}"), "gw");
    assert_eq!(blob, format!("docker.io/a/b Blob({DIGEST})"));
    let escaped = image(
        &format!("/v2/a/b/blobs/{}", DIGEST.replace(':', "%3A")),
        "gw",
    );
    assert_eq!(escaped, blob);
    let referrers = image(&format!("/v2/a/b/referrers/{DIGEST}"), "gw");
    assert_eq!(referrers, format!("docker.io/a/b Referrers({DIGEST})"));
    // A repository may be called as an endpoint is.
    assert!(image("/v2/a/manifests/manifests/v1", "gw").starts_with("docker.io/a/manifests "));
}

#[test]
fn forms_tell_who_has_another_host() {
    let form = |line: &str, host: &str| match parse(line, host) {
        Ok(Address::Content { form, .. }) => form,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        form("/v2/a/b/tags/list?ns=quay.io", "gw"),
        AddressForm::Mirror
    );
    assert_eq!(form("/v2/a/b/tags/list", "gw"), AddressForm::Mirror);
    assert_eq!(form("/v2/quay.io/b/tags/list", "gw"), AddressForm::Named);
    assert_eq!(
        form("/v2/b/tags/list", "k8s.m.example.com"),
        AddressForm::Named
    );
}

#[test]
fn hostile_names_have_no_address() {
    let traversal = format!("/v2/a/b/blobs/sha256:../../{}", &DIGEST[7..]);
    let lines = [
        "/v2/../etc/passwd/manifests/1",
        "/v2/a/../../b/manifests/1",
        "/v2/%2e%2e/a/manifests/1",
        "/v2/a%2fb/manifests/1",
        "/v2/a/b/manifests/..",
        "/v2/a/b/manifests/v1%00",
        "/v2/a/b/blobs/sha256:abc",
        "/v2/a/b/blobs/md5:d41d8cd98f00b204e9800998ecf8427e",
        "/v2/A/b/manifests/1",
        "/v2/a@b/manifests/1",
        "/v2//a/manifests/1",
        "/v2/a/tags/list?ns=http://169.254.169.254/",
        "/v2/a/tags/list?ns=a%20b",
        "/v2/a/tags/list?ns=user@quay.io",
    ];
    for line in lines {
        assert!(
            matches!(parse(line, "gw"), Err(AddressError::Name(_))),
            "{line}"
        );
    }
    assert_eq!(parse("/v2/_catalog", "gw"), Err(AddressError::Catalog));
    for line in [
        "/",
        "/v1/search",
        "/v2/a",
        "/v2x/a/tags/list",
        "/a/b/v2/c/tags/list",
    ] {
        assert_eq!(parse(line, "gw"), Err(AddressError::Unsupported), "{line}");
    }
    assert_eq!(parse(&traversal, "gw"), Err(AddressError::Unsupported));
    let two = parse("/v2/quay.io/a/tags/list?ns=ghcr.io", "gw");
    assert!(matches!(two, Err(AddressError::Ambiguous(_))), "{two:?}");
}
