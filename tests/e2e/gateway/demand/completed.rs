//! What is pulled through becomes a mirror.

use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;

fn pull(stage: &GatewayStage, repository: &str, image: &Image) {
    assert_eq!(
        stage
            .client
            .get(&format!("/v2/{repository}/manifests/v1"))
            .body,
        image.bytes
    );
    for blob in &image.blobs {
        let reply = stage
            .client
            .get(&format!("/v2/{repository}/blobs/{}", blob.digest()));
        assert_eq!((reply.status.as_u16(), &reply.body), (200, &blob.bytes));
    }
}

#[test]
fn pulled_image_is_mirrored_from_then_on() {
    let image = Image::oci("tool");
    let mut stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    pull(&stage, "tool", &image);
    stage.until_mirrored("cache/tool", "v1");
    let (from, to) = (stage.source.client(), stage.target.client());
    assert_mirrored(&from, "tool", &to, "cache/tool", "v1");
    let name = |stage: &GatewayStage| stage.daemon().status()["mirrors"][1]["name"].clone();
    stage
        .daemon()
        .until_true("the mirror to be shown", |_| name(&stage) == "on-demand");
    stage.daemon().until_metric(
        "transship_sync_lag_seconds",
        &[("mirror", "on-demand")],
        |lag| lag == 0.0,
    );
    // The next daemon knows it, too.
    stage.daemon.take().unwrap().kill();
    stage.serve();
    assert_eq!(name(&stage), "on-demand");
    let rows = stage
        .transship
        .ask_store("SELECT version, pulls FROM demand");
    assert_eq!(rows.trim(), "v1|1");
}

#[test]
fn moved_tag_is_mirrored_when_somebody_pulls_it() {
    let keys = format!("{OPEN}\nfresh = \"0s\"");
    let stage = GatewayStage::start(&keys, |_| {});
    let moved = Image::oci("moved");
    stage.source.client().push("app", "v1", &moved);
    pull(&stage, "app", &moved);
    stage.daemon().until_true("the target's tag to move", |_| {
        let found = stage.target.client().manifest("mirror/app", "v1");
        found.is_some_and(|found| found.digest == moved.digest())
    });
}

#[test]
fn every_platform_is_completed() {
    let index = Image::two_platforms("multi");
    let stage = GatewayStage::start(OPEN, |source| source.client().push("multi", "v1", &index));
    stage.client.get("/v2/multi/manifests/v1");
    let child = &index.children[0];
    stage
        .client
        .get(&format!("/v2/multi/manifests/{}", child.digest()));
    for blob in &child.blobs {
        stage
            .client
            .get(&format!("/v2/multi/blobs/{}", blob.digest()));
    }
    stage.until_mirrored("cache/multi", "v1");
    let (from, to) = (stage.source.client(), stage.target.client());
    assert_mirrored(&from, "multi", &to, "cache/multi", "v1");
}
