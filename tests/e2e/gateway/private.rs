//! Images that an upstream gives to our login only.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use tempfile::TempDir;

use crate::support::programs::gateway::{GatewayStage, PullReply};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Verdict;
use crate::support::registries::fake_answers::refusal;
use crate::support::registries::registry::{Guard, PASSWORD, Registry, USERNAME};

/// A second upstream, which asks for a login, with `vault:v1` that may be pulled.
fn private() -> (Registry, String) {
    let registry = Registry::guarded(Guard::Login);
    registry.client().push("vault", "v1", &Image::oci("vault"));
    let host = registry.host();
    let keys = format!(
        "\n[registries.\"{host}\"]\nplain_http = true\nusername = \"{USERNAME}\"\npassword = \"{PASSWORD}\"\n"
    );
    (registry, keys)
}

/// A gateway before both upstreams; `own` are keys of `[gateway]`.
fn stage(own: &str, private: &(Registry, String)) -> GatewayStage {
    let host = private.0.host();
    let keys = format!(
        "allow = [\"SOURCE/**\", \"{host}/**\"]\ntarget = \"TARGET/cache\"\n{own}\n{}",
        private.1
    );
    GatewayStage::start(&keys, |source| {
        source.client().push("vault", "v1", &Image::oci("open"));
    })
}

fn users(folder: &TempDir) -> String {
    let file = folder.path().join("users");
    let mut made = Command::new("htpasswd");
    let output = made
        .args(["-cbBC", "4"])
        .arg(&file)
        .args(["ann", "right-horse"])
        .output();
    assert!(output.unwrap().status.success());
    format!(
        "users = {{ file = \"{}\", anonymous = [\"127.0.0.0/8\"] }}",
        file.display()
    )
}

fn as_ann(stage: &GatewayStage, path: &str) -> PullReply {
    let login = format!("Basic {}", STANDARD.encode("ann:right-horse"));
    stage
        .client
        .ask(Method::GET, path, &[("authorization", &login)])
}

fn manifest(host: &str) -> String {
    format!("/v2/{host}/vault/manifests/v1")
}

#[test]
fn private_image_is_served_to_nobody_without_users() {
    let private = private();
    let stage = stage("", &private);
    let reply = stage.client.get(&manifest(private.0.host()));
    assert_eq!(reply.status, 404);
    let (code, message) = reply.error();
    assert_eq!(code, "NAME_UNKNOWN");
    assert!(
        message.contains("`users`") && message.contains("public = ["),
        "{message}"
    );
}

#[test]
fn private_image_is_for_users_only() {
    let (private, folder) = (private(), TempDir::new().unwrap());
    let stage = stage(&users(&folder), &private);
    let image = Image::oci("vault");
    let host = private.0.host();
    let blob = format!("/v2/{host}/vault/blobs/{}", image.blobs[1].digest());
    let by_digest = format!("/v2/{host}/vault/manifests/{}", image.digest());
    let reply = as_ann(&stage, &manifest(host));
    assert_eq!((reply.status.as_u16(), &reply.body), (200, &image.bytes));
    assert_eq!(as_ann(&stage, &blob).body, image.blobs[1].bytes);
    // What a user pulled is no copy for the others.
    for path in [&manifest(host), &by_digest, &blob] {
        let reply = stage.client.get(path);
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").starts_with("Bearer "));
    }
    // Public images of another registry are still for everybody.
    assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 200);
}

#[test]
fn digest_of_a_private_image_is_not_found_under_another_name() {
    let (private, folder) = (private(), TempDir::new().unwrap());
    let stage = stage(&users(&folder), &private);
    let image = Image::oci("vault");
    let host = private.0.host();
    assert_eq!(as_ann(&stage, &manifest(host)).status, 200);
    for blob in &image.blobs {
        let path = format!("/v2/{host}/vault/blobs/{}", blob.digest());
        assert_eq!(as_ann(&stage, &path).status, 200);
    }
    // Both upstreams have a `vault`, and `path` puts both into one repository of the target.
    stage.until_mirrored("cache/vault", "v1");
    for name in ["vault", "app"] {
        for path in [
            format!("/v2/{name}/manifests/{}", image.digest()),
            format!("/v2/{name}/blobs/{}", image.blobs[1].digest()),
        ] {
            assert_eq!(stage.client.get(&path).status, 404, "{path}");
            assert_eq!(as_ann(&stage, &path).status, 404, "{path}");
            assert_eq!(stage.client.get(&path).status, 404, "{path}, once more");
        }
    }
}

#[test]
fn operator_may_give_a_private_image_to_everybody() {
    let private = private();
    let own = format!("public = [\"{}/vault\"]", private.0.host());
    let stage = stage(&own, &private);
    assert_eq!(stage.client.get(&manifest(private.0.host())).status, 200);
}

#[test]
fn public_image_of_a_registry_with_a_login_is_for_everybody() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "anything").unwrap();
    // The fake asks for no login, and we have one: the usual way to use Docker Hub.
    let stage = GatewayStage::with_source(
        "",
        &format!(
            "username = \"us\"\npassword = {{ file = \"{}\" }}",
            secret.display()
        ),
    );
    for _ in 0..100 {
        assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 200);
    }
    // One anonymous request finds out.
    assert_eq!(stage.source.new_requests().len(), 1);
}

#[test]
fn copy_of_what_the_upstream_took_back_is_served_by_no_name() {
    let stage = GatewayStage::start("fresh = \"0s\"", |_| {});
    let image = Image::oci("app");
    stage
        .source
        .rule(|_| Verdict::Answer(refusal(403, "DENIED")));
    assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 404);
    for path in [
        format!("/v2/app/manifests/{}", image.digest()),
        format!("/v2/app/blobs/{}", image.blobs[1].digest()),
    ] {
        assert_eq!(stage.client.get(&path).status, 404, "{path}");
    }
}
