//! Images that an entry mirrors come from the target.

use reqwest::Method;

use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::registries::corpus::{Image, OCI_MANIFEST};

#[test]
fn mirrored_image_costs_no_upstream_request() {
    let stage = GatewayStage::start("", |_| {});
    let image = Image::oci("app");
    for _ in 0..1000 {
        let reply = stage.client.get("/v2/app/manifests/v1");
        assert_eq!((reply.status.as_u16(), &reply.body), (200, &image.bytes));
    }
    for blob in &image.blobs {
        let reply = stage
            .client
            .get(&format!("/v2/app/blobs/{}", blob.digest()));
        assert_eq!((reply.status.as_u16(), &reply.body), (200, &blob.bytes));
        assert!(!reply.is_broken);
    }
    assert_eq!(stage.source.new_requests(), []);
    assert!(stage.pulls("manifest", "hit") >= 1000.0);
}

#[test]
fn every_form_of_address_serves_one_image() {
    let stage = GatewayStage::start("", |_| {});
    let image = Image::oci("app");
    let host = stage.source.host();
    let escaped = host.replace(':', "%3A");
    for path in [
        "/v2/app/manifests/v1".to_owned(),
        format!("/v2/app/manifests/v1?ns={escaped}"),
        format!("/v2/{host}/app/manifests/v1"),
        format!("/{host}/v2/app/manifests/v1"),
        format!("/v2/{host}/app/manifests/v1?ns={escaped}"),
        format!("/v2/app/manifests/{}", image.digest()),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let reply = stage.client.ask(method.clone(), &path, &[]);
            assert_eq!(reply.status, 200, "{path}");
            assert_eq!(
                reply.header("docker-content-digest"),
                image.digest(),
                "{path}"
            );
            assert_eq!(reply.header("content-type"), OCI_MANIFEST);
            assert_eq!(
                reply.header("content-length"),
                image.bytes.len().to_string()
            );
            assert_eq!(reply.header("oci-namespace"), host);
            assert_eq!(reply.body.is_empty(), method == Method::HEAD);
        }
    }
}

#[test]
fn ranges_of_a_stored_blob_are_right() {
    let stage = GatewayStage::start("", |_| {});
    let blob = &Image::oci("app").blobs[1];
    assert_eq!(blob.bytes.len(), 3000);
    let path = format!("/v2/app/blobs/{}", blob.digest());
    let table = [
        ("bytes=500-1499", 206, 500..1500, "bytes 500-1499/3000"),
        ("bytes=500-", 206, 500..3000, "bytes 500-2999/3000"),
        ("bytes=-500", 206, 2500..3000, "bytes 2500-2999/3000"),
        ("bytes=2500-9999", 206, 2500..3000, "bytes 2500-2999/3000"),
        ("bytes=500-0", 200, 0..3000, ""),
    ];
    for (range, status, bytes, content_range) in table {
        let reply = stage.client.ask(Method::GET, &path, &[("range", range)]);
        assert_eq!(reply.status, status, "{range}");
        assert_eq!(reply.body, blob.bytes.slice(bytes), "{range}");
        assert_eq!(reply.header("content-range"), content_range, "{range}");
    }
    let beyond = stage
        .client
        .ask(Method::GET, &path, &[("range", "bytes=3000-")]);
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), "bytes */3000");
}

#[test]
fn trimmed_mirror_serves_upstream_index_by_digest() {
    let keys = "allow = [\"SOURCE/**\"]\nplatforms = [\"linux/amd64\"]\ntarget = \"TARGET/cache\"";
    let index = Image::two_platforms("multi");
    let stage = GatewayStage::start(keys, |source| source.client().push("multi", "v1", &index));
    // The first pull brings the image, and its mirror keeps one platform.
    assert_eq!(stage.client.get("/v2/multi/manifests/v1").body, index.bytes);
    stage.until_mirrored("cache/multi", "v1");
    let trimmed = stage.target.client().manifest("cache/multi", "v1").unwrap();
    assert_ne!(trimmed.digest, index.digest());
    stage
        .daemon()
        .until_true("the tag to stand for what was written", |_| {
            let reply = stage.client.get("/v2/multi/manifests/v1");
            reply.header("docker-content-digest") == trimmed.digest
        });
    let original = stage
        .client
        .get(&format!("/v2/multi/manifests/{}", index.digest()));
    assert_eq!(
        (original.status.as_u16(), &original.body),
        (200, &index.bytes)
    );
}

#[test]
fn tags_are_listed_in_pages() {
    let stage = GatewayStage::start(OPEN, |source| {
        for tag in ["b", "a", "c"] {
            source.client().push("app", tag, &Image::oci("app"));
        }
    });
    let whole = stage.client.get("/v2/app/tags/list");
    let tags: serde_json::Value = serde_json::from_slice(&whole.body).unwrap();
    assert_eq!(tags["tags"], serde_json::json!(["a", "b", "c", "v1"]));
    let page = stage.client.get("/v2/app/tags/list?n=2&last=a");
    let tags: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
    assert_eq!(tags["tags"], serde_json::json!(["b", "c"]));
    assert!(
        page.header("link").contains("last=c"),
        "{}",
        page.header("link")
    );
}

#[test]
fn referrers_are_always_an_index() {
    let stage = GatewayStage::start(OPEN, |source| {
        let image = Image::oci("signed");
        let signature = Image::referring("application/vnd.example.signature", &image);
        source.client().push("signed", "v1", &image);
        // Where a registry has no referrers API, a tag stands for the list.
        let list = Image::index(vec![signature]);
        source
            .client()
            .push("signed", &image.digest().replace(':', "-"), &list);
    });
    let signed = Image::oci("signed").digest();
    let reply = stage.client.get(&format!("/v2/signed/referrers/{signed}"));
    assert_eq!(reply.status, 200);
    let index: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
    let none = stage.client.get(&format!("/v2/app/referrers/{signed}"));
    assert_eq!(none.status, 200);
    assert_eq!(
        none.header("content-type"),
        "application/vnd.oci.image.index.v1+json"
    );
}

#[test]
fn blobs_can_be_fetched_from_the_target() {
    let stage = GatewayStage::start("blobs = \"redirect\"", |_| {});
    let image = Image::oci("app");
    stage.client.get("/v2/app/manifests/v1");
    let digest = image.blobs[1].digest();
    let reply = stage.client.get(&format!("/v2/app/blobs/{digest}"));
    assert_eq!(reply.status, 307);
    let expected = format!(
        "http://{}/v2/mirror/app/blobs/{digest}",
        stage.target.host()
    );
    assert_eq!(reply.header("location"), expected);
}
