//! What pages, the API and commands say of pulls, and clients that meet a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::sync::watch;

use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::Verdict;
use crate::support::registries::fake_answers::{held, refusal};
use crate::support::registries::requests::count;
use crate::support::wait_for;

/// Lets the daemon write down what it knows of pulls, and starts the next one.
fn restart(stage: &mut GatewayStage) {
    let mut daemon = stage.daemon.take().unwrap();
    daemon.signal("-TERM");
    assert!(daemon.wait().success());
    stage.serve();
}

fn pull(stage: &GatewayStage, image: &Image) {
    stage.client.get("/v2/tool/manifests/v1");
    for blob in &image.blobs {
        let path = format!("/v2/tool/blobs/{}", blob.digest());
        assert_eq!(stage.client.get(&path).body, blob.bytes);
    }
}

#[test]
fn pulls_are_counted_explained_and_shown() {
    let image = Image::oci("tool");
    let keys = "allow = [\"SOURCE/tool\"]\ntarget = \"TARGET/cache\"";
    let mut stage = GatewayStage::start(keys, |source| source.client().push("tool", "v1", &image));
    pull(&stage, &image);
    stage.until_mirrored("cache/tool", "v1");
    pull(&stage, &image);
    for _ in 0..3 {
        assert_eq!(stage.client.get("/v2/other/manifests/v1").status, 404);
    }
    restart(&mut stage);
    let pulls = stage.daemon().get("/api/v1/pulls").json();
    let source = stage.source.host();
    let tool = &pulls["images"][0];
    assert_eq!(tool["image"], format!("{source}/tool:v1"), "{pulls:#}");
    assert_eq!((&tool["misses"], &tool["hits"]), (&1.into(), &1.into()));
    assert_eq!(tool["outcome"], "hit");
    let bytes: usize = image.blobs.iter().map(|blob| blob.bytes.len()).sum();
    assert_eq!(pulls["sums"]["upstream_bytes"], bytes, "{pulls:#}");
    assert_eq!(pulls["sums"]["client_bytes"], 2 * bytes);
    assert_eq!(pulls["saved_bytes"], bytes);
    let refused = &pulls["refused"][0];
    assert_eq!(refused["reason"], "not_listed", "{pulls:#}");
    assert_eq!(refused["refusals"], 3);
    let allow = format!("allow = [\"{source}/other\"]");
    assert!(refused["toml"].as_str().unwrap().contains(&allow));
    let explain = |image: &str| {
        let image = format!("{source}/{image}");
        stage.transship.run(&["explain", &image]).expect_code(0)
    };
    explain("tool:v1").expect_stdout(&["1 hit, 0 coalesced, 1 miss", "who pulled is not stored"]);
    explain("other:v1").expect_stdout(&["refused to 3 requests", &allow]);
    let page = stage.daemon().get("/pulls").body;
    assert!(page.contains("2 pulls in 24 hours"), "{page}");
    assert!(page.contains("Who pulled is not stored."));
    let report = stage.transship.run(&["report"]).expect_code(0);
    report.expect_stdout(&["2 pulls in 24 hours", "refused most"]);
}

#[test]
fn failing_upstream_is_told_until_it_answers() {
    let keys = format!("{OPEN}\nfresh = \"0s\"");
    let stage = GatewayStage::start(&keys, |_| {});
    let is_down = Arc::new(AtomicBool::new(true));
    let down = is_down.clone();
    stage
        .source
        .rule(move |_| match down.load(Ordering::Relaxed) {
            true => Verdict::Answer(refusal(503, "UNAVAILABLE")),
            false => Verdict::Serve,
        });
    for _ in 0..3 {
        assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 200);
    }
    let live = || stage.daemon().get("/api/v1/pulls").json()["live"].clone();
    let upstream = live()["upstreams"][0].clone();
    assert_eq!(upstream["registry"], stage.source.host());
    assert_eq!(
        (&upstream["pulls"], &upstream["stale"]),
        (&3.into(), &3.into())
    );
    let labels = [("registry", stage.source.host())];
    let failing = "transship_gateway_upstream_failing";
    stage
        .daemon()
        .until_metric(failing, &labels, |count| count == 3.0);
    let page = stage.daemon().get("/pulls").body;
    assert!(page.contains("fails for clients that pull"), "{page}");
    is_down.store(false, Ordering::Relaxed);
    stage.daemon().until_true("the upstream to answer", |_| {
        stage.client.get("/v2/app/manifests/v1");
        live()["upstreams"].as_array().unwrap().is_empty()
    });
}

#[test]
fn client_waits_for_the_blob_that_a_run_sends() {
    let image = Image::oci_with("next", vec![layer("next", 1 << 20)]);
    let (open, gate) = watch::channel(false);
    let stage = GatewayStage::start(OPEN, |_| {});
    stage.source.client().push("app", "v2", &image);
    stage.source.new_requests();
    let (digest, bytes) = (image.blobs[1].digest(), image.blobs[1].bytes.clone());
    let is_of_blob = {
        let digest = digest.clone();
        move |path: &str, method: &str| method == "GET" && path.ends_with(&digest)
    };
    let matches = is_of_blob.clone();
    stage.source.rule(
        move |request| match matches(&request.path, &request.method) {
            true => Verdict::Answer(held(&bytes, gate.clone())),
            false => Verdict::Serve,
        },
    );
    // The manifest is all that the client asks for at first, and the run brings the rest.
    assert_eq!(stage.client.get("/v2/app/manifests/v2").status, 200);
    let gets = || count(&stage.source.requests(), |r| is_of_blob(&r.path, &r.method));
    wait_for("the run to read the blob", || (gets() == 1).then_some(()));
    let path = format!("/v2/app/blobs/{digest}");
    thread::scope(|threads| {
        let client = threads.spawn(|| stage.client.get(&path));
        stage.daemon().until_true("the client to wait", |daemon| {
            daemon.log().contains("waits for the copy of")
        });
        open.send_replace(true);
        let reply = client.join().unwrap();
        assert!(!reply.is_broken && reply.body == image.blobs[1].bytes);
    });
    assert_eq!(gets(), 1);
}
