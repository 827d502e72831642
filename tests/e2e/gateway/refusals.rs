//! What is refused, why, and what a client that misbehaves gets.

use reqwest::Method;

use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::registries::corpus::Image;

#[test]
fn registries_that_nothing_names_are_never_contacted() {
    let stage = GatewayStage::start("", |_| {});
    // Whoever is contacted here would be seen: it is the source under other names.
    let port = stage.source.host().rsplit_once(':').unwrap().1;
    for ns in [
        "localhost",
        "127.0.0.2",
        "[::1]",
        "169.254.169.254",
        "metadata.google.internal",
    ] {
        let host = format!("{ns}:{port}").replace(':', "%3A");
        let reply = stage.client.get(&format!("/v2/app/manifests/v1?ns={host}"));
        assert_eq!(reply.status, 404, "{ns}");
    }
    let reply = stage.client.get("/v2/unknown.example/app/manifests/v1");
    let (code, message) = reply.error();
    assert_eq!(
        (reply.status.as_u16(), code.as_str()),
        (404, "NAME_UNKNOWN")
    );
    assert!(
        message.contains("allow = [\"unknown.example/app\"]"),
        "{message}"
    );
    assert_eq!(stage.source.new_requests(), []);
}

#[test]
fn refused_images_name_the_line_to_add() {
    let keys = "allow = [\"SOURCE/*\"]\ndeny = [\"SOURCE/*miner*\"]\ntarget = \"TARGET/cache\"";
    let stage = GatewayStage::start(keys, |source| {
        source.client().push("xminer", "v1", &Image::oci("xminer"));
        source.client().push("deep/er", "v1", &Image::oci("deeper"));
    });
    let denied = stage.client.get("/v2/xminer/manifests/v1");
    assert_eq!(denied.status, 404);
    assert!(denied.error().1.contains("`deny`"), "{:?}", denied.error());
    let unlisted = stage.client.get("/v2/deep/er/manifests/v1");
    assert_eq!(unlisted.status, 404);
    let line = format!("allow = [\"{}/deep/er\"]", stage.source.host());
    assert!(unlisted.error().1.contains(&line), "{:?}", unlisted.error());
    assert_eq!(stage.source.new_requests(), []);
}

#[test]
fn gateway_is_read_only_and_lists_no_repositories() {
    let stage = GatewayStage::start(OPEN, |_| {});
    for (method, path) in [
        (Method::POST, "/v2/app/blobs/uploads/"),
        (Method::PUT, "/v2/app/manifests/v1"),
        (Method::PATCH, "/v2/app/blobs/uploads/1"),
        (Method::DELETE, "/v2/app/manifests/v1"),
    ] {
        let reply = stage.client.ask(method.clone(), path, &[]);
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.error().0, "UNSUPPORTED");
    }
    assert_eq!(stage.client.get("/v2/_catalog").status, 404);
    let ping = stage.client.get("/v2/");
    assert_eq!((ping.status.as_u16(), &ping.body[..]), (200, &b"{}"[..]));
    assert_eq!(
        ping.header("docker-distribution-api-version"),
        "registry/2.0"
    );
}

#[test]
fn long_path_and_query_are_refused() {
    let stage = GatewayStage::start(OPEN, |_| {});
    let long = "x".repeat(2100);
    for path in [
        format!("/v2/{long}/manifests/v1"),
        format!("/v2/app/manifests/v1?ns={long}"),
    ] {
        let reply = stage.client.get(&path);
        assert_eq!(
            (reply.status.as_u16(), reply.error().0.as_str()),
            (414, "NAME_INVALID")
        );
        assert!(reply.body.len() < 200);
    }
    assert_eq!(stage.source.new_requests(), []);
}

#[test]
fn foreign_login_reaches_nobody() {
    let image = Image::oci("tool");
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    let login = [("authorization", "Basic c2VjcmV0OnNlY3JldA==")];
    for path in [
        "/v2/".to_owned(),
        "/v2/tool/manifests/v1".to_owned(),
        format!("/v2/tool/blobs/{}", image.blobs[1].digest()),
    ] {
        assert_eq!(
            stage.client.ask(Method::GET, &path, &login).status,
            200,
            "{path}"
        );
    }
    let requests = stage.source.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.authorization.is_none()),
        "{requests:#?}"
    );
    assert!(!stage.daemon().log().contains("c2VjcmV0"));
}

#[test]
fn clients_of_other_networks_are_refused() {
    let stage = GatewayStage::start("clients = [\"203.0.113.0/24\"]", |_| {});
    let reply = stage.client.get("/v2/app/manifests/v1");
    assert_eq!(reply.status, 403);
    assert!(reply.error().1.contains("`clients`"), "{:?}", reply.error());
}

#[test]
fn client_over_its_limit_is_told_in_its_own_way() {
    let keys = "client_limits = { requests_per_second = 0.01 }";
    let stage = GatewayStage::start(keys, |_| {});
    assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 200);
    // As a mirror it has another host to go to.
    assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 503);
    let named = stage
        .client
        .get(&format!("/v2/{}/app/manifests/v1", stage.source.host()));
    assert_eq!(named.status, 429);
    assert!(!named.header("retry-after").is_empty());
}

#[test]
fn flood_of_misses_asks_the_upstream_for_nothing_refused() {
    let stage = GatewayStage::start("", |_| {});
    for at in 0..1000 {
        let reply = stage.client.get(&format!("/v2/miss-{at}/manifests/v1"));
        assert_eq!(reply.status, 404);
    }
    assert_eq!(stage.source.new_requests(), []);
    assert_eq!(
        stage
            .transship
            .ask_store("SELECT COUNT(*) FROM demand")
            .trim(),
        "0"
    );
}

#[test]
fn allow_list_of_a_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("allows.txt");
    std::fs::write(&file, "# nothing yet\n").unwrap();
    let keys = format!(
        "target = \"TARGET/cache\"\nallow = {{ file = \"{}\" }}",
        file.display()
    );
    let stage = GatewayStage::start(&keys, |source| {
        source.client().push("tool", "v1", &Image::oci("tool"));
    });
    assert_eq!(stage.client.get("/v2/tool/manifests/v1").status, 404);
    std::fs::write(&file, format!("{}/*\n", stage.source.host())).unwrap();
    stage.daemon().until_true("the list to be read", |_| {
        stage.client.get("/v2/tool/manifests/v1").status == 200
    });
}
