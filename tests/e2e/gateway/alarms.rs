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
    // `app` takes 8 kB of it on its way.
    let limits = "[limits]\ntraffic = { bytes = \"12 kB\", per = \"day\" }\n";
    let large = Image::oci_with("large", vec![layer("large", 20_000)]);
    let stage = alarming(&ops, OPEN, limits, |source| {
        source.client().push("large", "v1", &large);
    });
    stage.client.get("/v2/large/manifests/v1");
    let layer = format!("/v2/large/blobs/{}", large.blobs[1].digest());
    assert_eq!(stage.client.get(&layer).body, large.blobs[1].bytes);
    // What is known of the budget may be some seconds old: each pull needs the upstream.
    let mut numbers = 0..;
    stage.daemon().until_true("the budget to be spent", |_| {
        let number: u64 = numbers.next().unwrap();
        let path = format!("/v2/tool/manifests/sha256:{number:064x}");
        let reply = stage.client.get(&path);
        reply.status == 503 && reply.error().1.contains("the traffic budget is spent")
    });
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
