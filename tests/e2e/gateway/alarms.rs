//! Alarms about pulls.

use crate::daemon::faults::Ops;
use crate::support::programs::gateway::{GatewayStage, OPEN, gateway_toml};
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;

/// A stage with a channel that gets every alarm at once.
fn alarming(ops: &Ops, keys: &str, more: &str, fill: impl FnOnce(&Fake)) -> GatewayStage {
    let channel = ops.channel();
    let text = gateway_toml(keys, "");
    let text = format!("{text}\n[report]\ngroup_wait = \"0s\"\n{channel}{more}");
    GatewayStage::configured(&text, |source, _| fill(source))
}

/// Waits until a message with these words was sent.
#[track_caller]
fn until_told(stage: &GatewayStage, ops: &Ops, words: &str) {
    stage.daemon().until_true(words, |_| {
        let (alarms, _) = ops.messages();
        alarms.iter().any(|alarm| alarm.to_string().contains(words))
    });
}

#[test]
fn upstream_that_fails_for_pulls_is_an_alarm() {
    let ops = Ops::start();
    let keys = format!("{OPEN}\nfresh = \"0s\"");
    let stage = alarming(&ops, &keys, "", |_| {});
    stage
        .source
        .rule(|_| Verdict::Answer(refusal(503, "UNAVAILABLE")));
    for _ in 0..3 {
        assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 200);
    }
    until_told(&stage, &ops, "fails for clients that pull");
    assert_eq!(ops.told(), ["alarm gateway"]);
}

#[test]
fn spent_budget_of_pulls_is_an_alarm() {
    let ops = Ops::start();
    // `app` takes 8 kB of it on its way, and each of the large ones 40 kB.
    let limits = "[limits]\ntraffic = { bytes = \"70 kB\", per = \"day\" }\n";
    let [first, second] =
        ["one", "two"].map(|name| Image::oci_with(name, vec![layer(name, 20_000)]));
    let stage = alarming(&ops, OPEN, limits, |source| {
        source.client().push("large", "v1", &first);
        source.client().push("large", "v2", &second);
    });
    let layer_of = |image: &Image| format!("/v2/large/blobs/{}", image.blobs[1].digest());
    for tag in ["v1", "v2"] {
        stage.client.get(&format!("/v2/large/manifests/{tag}"));
    }
    assert_eq!(
        stage.client.get(&layer_of(&first)).body,
        first.blobs[1].bytes
    );
    let refused = stage.client.get(&layer_of(&second));
    assert_eq!(refused.status, 503);
    let why = refused.error().1;
    assert!(
        why.contains("has less left than this blob of 20.0 kB"),
        "{why}"
    );
    // Nor is a manifest served whose blobs would not be.
    let reply = stage
        .client
        .get(&format!("/v2/tool/manifests/sha256:{:064x}", 1));
    assert_eq!(reply.status, 503);
    until_told(&stage, &ops, "the traffic budget is spent");
    let spent = stage.daemon().metric("transship_gateway_budget_spent", &[]);
    assert_eq!(spent, 1.0);
    // What is mirrored is served.
    assert_eq!(stage.client.get("/v2/app/manifests/v1").status, 200);
}

#[test]
fn many_refused_requests_are_one_alarm() {
    let ops = Ops::start();
    let stage = alarming(&ops, "", "", |_| {});
    for _ in 0..100 {
        assert_eq!(stage.client.get("/v2/unlisted/manifests/v1").status, 404);
    }
    until_told(&stage, &ops, "100 requests of clients were refused");
    assert_eq!(ops.told(), ["alarm gateway"]);
}
