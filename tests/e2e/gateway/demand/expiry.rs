//! Images that nobody pulls any more leave the target in two steps, and what commands know of the mirror
//! of what was pulled.

use reqwest::Method;

use crate::support::programs::gateway::{GatewayStage, OPEN, gateway_toml};
use crate::support::registries::corpus::Image;

/// A stage whose target has `tool:v1`, which a client pulled, and no daemon any more.
fn pulled_once(keys: &str, repository: &str) -> GatewayStage {
    let image = Image::oci("tool");
    let mut stage = GatewayStage::start(keys, |source| source.client().push("tool", "v1", &image));
    pull(&stage, "v1", &image);
    stage.until_mirrored(repository, "v1");
    stop(&mut stage);
    stage
}

fn pull(stage: &GatewayStage, version: &str, image: &Image) {
    let path = format!("/v2/tool/manifests/{version}");
    assert_eq!(stage.client.get(&path).body, image.bytes);
    for blob in &image.blobs {
        let path = format!("/v2/tool/blobs/{}", blob.digest());
        assert_eq!(stage.client.get(&path).body, blob.bytes);
    }
}

/// Ends the daemon, which writes down what it knows of pulls.
fn stop(stage: &mut GatewayStage) {
    let mut daemon = stage.daemon.take().unwrap();
    daemon.signal("-TERM");
    assert!(daemon.wait().success());
}

/// Lets the last pull of everything be so many days ago.
fn let_pulls_age(stage: &GatewayStage, days: i64) {
    let seconds = days * 24 * 3600;
    let change = format!("UPDATE demand SET last_pull = last_pull - {seconds}");
    stage.transship.ask_store(&change);
}

fn tags(stage: &GatewayStage, repository: &str) -> Vec<String> {
    stage.target.client().tags(repository)
}

#[test]
fn image_that_nobody_pulls_leaves_in_two_steps() {
    let stage = pulled_once(OPEN, "cache/tool");
    let sync = || {
        stage.transship.run(&["sync", "on-demand"]).expect_code(0);
    };
    let_pulls_age(&stage, 29);
    sync();
    let kept = stage.transship.run(&["prune", "on-demand"]).expect_code(0);
    kept.expect_stdout(&["every tag is mirrored"]);
    let_pulls_age(&stage, 2);
    sync();
    assert_eq!(tags(&stage, "cache/tool"), ["v1"]);
    let marked = stage.transship.run(&["prune", "on-demand"]).expect_code(0);
    marked.expect_stdout(&["stays until", "nobody pulled it for long"]);
    stage.transship.let_prunable_tags_wait(8);
    sync();
    assert!(stage.target.client().manifest("cache/tool", "v1").is_none());
    assert_eq!(tags(&stage, "mirror/app"), ["v1"]);
}

#[test]
fn image_leaves_though_its_source_is_gone() {
    let stage = pulled_once(OPEN, "cache/tool");
    stage
        .source
        .client()
        .delete_manifest("tool", &Image::oci("tool").digest());
    let_pulls_age(&stage, 31);
    stage.transship.run(&["sync", "on-demand"]).expect_code(0);
    stage.transship.let_prunable_tags_wait(8);
    stage.transship.run(&["sync", "on-demand"]).expect_code(0);
    assert!(stage.target.client().manifest("cache/tool", "v1").is_none());
}

#[test]
fn pull_saves_an_image_that_is_to_leave() {
    let mut stage = pulled_once(OPEN, "cache/tool");
    let_pulls_age(&stage, 31);
    stage.transship.run(&["sync", "on-demand"]).expect_code(0);
    let since = "SELECT COUNT(*) FROM tags WHERE prunable_since IS NOT NULL";
    assert_eq!(stage.transship.ask_store(since), "1");
    stage.serve();
    pull(&stage, "v1", &Image::oci("tool"));
    stop(&mut stage);
    stage.transship.let_prunable_tags_wait(8);
    stage.transship.run(&["sync", "on-demand"]).expect_code(0);
    assert_eq!(tags(&stage, "cache/tool"), ["v1"]);
    assert_eq!(stage.transship.ask_store(since), "0");
}

#[test]
fn entry_keeps_the_tag_that_it_mirrors_meanwhile() {
    let keys = "allow = [\"SOURCE/**\"]\ntarget = \"TARGET/mirror\"";
    let stage = pulled_once(keys, "mirror/tool");
    let entry = "\n[[mirror]]\nname = \"tool\"\nfrom = \"SOURCE/tool\"\ntags = \"*\"\n";
    let text = format!("{}{entry}", gateway_toml(keys, ""));
    let text = text.replace("SOURCE", stage.source.host());
    let text = text.replace("TARGET", stage.target.host());
    stage.transship.write("mirror.toml", &text);
    let_pulls_age(&stage, 31);
    for _ in 0..2 {
        stage.transship.sync();
        stage.transship.let_prunable_tags_wait(8);
    }
    assert_eq!(tags(&stage, "mirror/tool"), ["v1"]);
    let mirror = "SELECT mirror FROM tags JOIN repositories ON repositories.id = repository_id
                  WHERE path = 'mirror/tool'";
    assert_eq!(stage.transship.ask_store(mirror), "tool");
}

#[test]
fn digest_that_was_pulled_by_no_tag_is_kept_under_one() {
    let image = Image::oci("tool");
    let mut stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    pull(&stage, &image.digest(), &image);
    let pin = format!("pinned-{}", &image.digest()["sha256:".len()..]);
    stage.until_mirrored("cache/tool", &pin);
    assert_eq!(tags(&stage, "cache/tool"), std::slice::from_ref(&pin));
    stop(&mut stage);
    // The source moves on, and no longer has it.
    stage
        .source
        .client()
        .delete_manifest("tool", &image.digest());
    stage.transship.run(&["sync", "on-demand"]).expect_code(0);
    stage.serve();
    pull(&stage, &image.digest(), &image);
    stop(&mut stage);
    let_pulls_age(&stage, 31);
    stage.transship.run(&["sync", "on-demand"]).expect_code(0);
    stage.transship.let_prunable_tags_wait(8);
    stage.transship.run(&["sync", "on-demand"]).expect_code(0);
    assert!(stage.target.client().manifest("cache/tool", &pin).is_none());
}

#[test]
fn image_is_mirrored_whose_tag_was_looked_up_and_digest_pulled() {
    let image = Image::two_platforms("tool");
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    // As containerd does it: HEAD of the tag, then the index, then one platform.
    let head = stage.client.ask(Method::HEAD, "/v2/tool/manifests/v1", &[]);
    assert_eq!(head.header("docker-content-digest"), image.digest());
    let child = &image.children[0];
    for digest in [image.digest(), child.digest()] {
        let path = format!("/v2/tool/manifests/{digest}");
        assert_eq!(stage.client.get(&path).status, 200);
    }
    for blob in &child.blobs {
        let path = format!("/v2/tool/blobs/{}", blob.digest());
        assert_eq!(stage.client.get(&path).body, blob.bytes);
    }
    stage.until_mirrored("cache/tool", "v1");
    let rows = stage
        .transship
        .ask_store("SELECT version, pulls FROM demand");
    assert_eq!(rows, "v1|1");
}

#[test]
fn commands_know_what_was_pulled() {
    let stage = pulled_once(OPEN, "cache/tool");
    let name = format!("{}/tool:v1", stage.source.host());
    let run = |arguments: &[&str]| stage.transship.run(arguments).expect_code(0);
    run(&["status"]).expect_stdout(&["app", "on-demand"]);
    run(&["plan", "on-demand"]).expect_stdout(&["on-demand"]);
    run(&["verify", "on-demand"]).expect_stdout(&["on-demand: 1 of 1 tag verified"]);
    run(&["explain", &name]).expect_stdout(&["is mirrored by `on-demand`", "/cache/tool:v1"]);
    let day = run(&["--json", "report"]).json();
    assert_eq!(day["mirrors"], 2, "{day:#}");
}
