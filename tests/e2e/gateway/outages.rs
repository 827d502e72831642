//! What is served while an upstream or the target fails, and how old it is.

use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;

/// A check is never fresh: each pull of a tag asks the upstream.
const NEVER_FRESH: &str = "fresh = \"0s\"";

fn failing(source: &Fake, status: u16) {
    source.rule(move |_| Verdict::Answer(refusal(status, "UNAVAILABLE")));
}

fn app_answers(status: u16) -> crate::support::programs::gateway::PullReply {
    let stage = GatewayStage::start(NEVER_FRESH, |_| {});
    failing(&stage.source, status);
    stage.client.get("/v2/app/manifests/v1")
}

#[test]
fn failing_upstream_leaves_the_copy_with_its_age() {
    for status in [429, 500, 503] {
        let reply = app_answers(status);
        assert_eq!(reply.status, 200, "{status}");
        assert_eq!(reply.body, Image::oci("app").bytes);
        let warning = reply.header("warning");
        assert!(warning.starts_with("299 - \"stale copy of "), "{warning}");
        assert!(warning.contains("last checked"), "{warning}");
    }
}

#[test]
fn forbidden_upstream_is_not_served_from_the_copy() {
    for status in [401, 403] {
        let reply = app_answers(status);
        assert_eq!(reply.status, 404, "{status}");
        assert!(!reply.headers.contains_key("www-authenticate"));
    }
}

#[test]
fn copy_that_is_too_old_is_not_served() {
    let keys = format!("{NEVER_FRESH}\nstale = \"1h\"");
    let stage = GatewayStage::start(&keys, |_| {});
    stage
        .transship
        .ask_store("UPDATE tags SET checked_at = 1; UPDATE runs SET started_at = 1");
    failing(&stage.source, 500);
    let reply = stage.client.get("/v2/app/manifests/v1");
    assert_eq!(reply.status, 503);
    assert!(reply.error().1.contains("too old"), "{:?}", reply.error());
}

#[test]
fn failing_upstream_without_a_copy_is_unavailable() {
    let stage = GatewayStage::start(OPEN, |_| {});
    failing(&stage.source, 429);
    let reply = stage.client.get("/v2/tool/manifests/v1");
    // Not 429: clients would wait here, and have another host.
    assert_eq!(reply.status, 503);
    assert_eq!(reply.error().0, "UNAVAILABLE");
}

#[test]
fn removed_tag_is_the_last_copy() {
    let stage = GatewayStage::start(NEVER_FRESH, |_| {});
    stage
        .source
        .rule(|request| match request.path.contains("/manifests/v1") {
            true => Verdict::Answer(refusal(404, "MANIFEST_UNKNOWN")),
            false => Verdict::Serve,
        });
    let reply = stage.client.get("/v2/app/manifests/v1");
    assert_eq!(reply.status, 200);
    assert!(reply.header("warning").contains("no longer at its source"));
}

#[test]
fn pulls_go_past_a_target_that_is_down() {
    let image = Image::oci("tool");
    let mut stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    stage.target.stop();
    let reply = stage.client.get("/v2/tool/manifests/v1");
    assert_eq!((reply.status.as_u16(), &reply.body), (200, &image.bytes));
    for blob in &image.blobs {
        let reply = stage
            .client
            .get(&format!("/v2/tool/blobs/{}", blob.digest()));
        assert_eq!((reply.status.as_u16(), &reply.body), (200, &blob.bytes));
    }
    // What is mirrored comes from the upstream, too.
    let app = Image::oci("app");
    assert_eq!(stage.client.get("/v2/app/manifests/v1").body, app.bytes);
    let blob = &app.blobs[1];
    let reply = stage
        .client
        .get(&format!("/v2/app/blobs/{}", blob.digest()));
    assert_eq!((reply.status.as_u16(), &reply.body), (200, &blob.bytes));
}

#[test]
fn lost_store_leaves_target_and_upstream() {
    let image = Image::oci("tool");
    let mut stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    stage.daemon.take().unwrap().kill();
    stage.transship.forget();
    failing(&stage.source, 503);
    stage.serve();
    let reply = stage.client.get("/v2/app/manifests/v1");
    assert_eq!(
        (reply.status.as_u16(), &reply.body),
        (200, &Image::oci("app").bytes)
    );
    assert!(
        reply.header("warning").contains("unknown time"),
        "{}",
        reply.header("warning")
    );
}
