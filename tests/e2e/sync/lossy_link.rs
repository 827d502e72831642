//! Links on which connections are reset and fall silent, between the binary and real registries.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;

use crate::support::net::link::{Link, LinkQuality};
use crate::support::programs::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::Transship;
use crate::support::registries::client::{Client, assert_mirrored};
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::count;

/// A download that is silent for so long starts again.
const KEYS: &str = "plain_http = true\nstall = \"1s\"";

/// Images with a layer that they share and one of their own, together more than the links let pass without a fault.
fn images() -> Vec<Image> {
    let image = |number: usize| {
        let own = layer(&format!("own {number}"), 300_000);
        Image::oci_with(
            &format!("image {number}"),
            vec![layer("base", 100_000), own],
        )
    };
    (0..15).map(image).collect()
}

/// A source with these images as tags of `app`, and an empty target.
fn filled() -> (Registry, Registry) {
    let (source, target) = (Registry::start(), Registry::start());
    for (number, image) in images().iter().enumerate() {
        source.client().push("app", &format!("v{number}"), image);
    }
    (source, target)
}

#[track_caller]
fn assert_all_mirrored(source: &Registry, target: &Registry) {
    for number in 0..images().len() {
        assert_app_mirrored(&source.client(), target, &format!("v{number}"));
    }
}

#[track_caller]
fn assert_app_mirrored(source: &Client, target: &Registry, tag: &str) {
    assert_mirrored(source, "app", &target.client(), "mirror/app", tag);
}

/// A short line that breaks nothing by itself.
const WIDE: LinkQuality = LinkQuality {
    round_trip: Duration::from_millis(10),
    flow_rate: Some(50 << 20),
    total_rate: Some(100 << 20),
    reset_every: None,
    stall_every: None,
};

#[test]
fn arrives_over_resets_and_stalls() {
    let (source, target) = filled();
    let lossy = LinkQuality {
        reset_every: Some(2_000_000),
        ..WIDE
    };
    let silent = LinkQuality {
        stall_every: Some(2_500_000),
        ..lossy
    };
    let down = Link::to(source.host(), silent);
    let up = Link::to(target.host(), lossy);
    let text = mirror_toml_with(KEYS, KEYS, &all_tags_of("app"));
    let transship = Transship::new(&fill_in(&text, down.host(), up.host()));
    // A blob may break as often as it is tried; the next run has it then.
    let is_well = (0..5).any(|_| transship.run(&["sync"]).code == Some(0));
    assert!(is_well, "five runs, and there are still failures");
    let (down, up) = (down.crossed(), up.crossed());
    assert!(down.stalls > 0 && down.resets > 0, "{down:?}");
    assert!(up.resets > 0, "{up:?}");
    assert_all_mirrored(&source, &target);
}

#[test]
fn silent_connections_cost_no_stall() {
    let (source, target) = filled();
    let silent = LinkQuality {
        stall_every: Some(2_500_000),
        ..WIDE
    };
    let (down, up) = (
        Link::to(source.host(), silent),
        Link::to(target.host(), silent),
    );
    // Nobody waits for this: what is silent is hedged, or starts again.
    let keys = "plain_http = true\nstall = \"1h\"";
    let text = mirror_toml_with(keys, keys, &all_tags_of("app"));
    Transship::new(&fill_in(&text, down.host(), up.host())).sync();
    assert!(down.crossed().stalls > 0, "{:?}", down.crossed());
    assert!(up.crossed().stalls > 0, "{:?}", up.crossed());
    assert_all_mirrored(&source, &target);
}

/// A line of which one connection gets a tenth.
const NARROW: LinkQuality = LinkQuality {
    round_trip: Duration::from_millis(20),
    flow_rate: Some(6_000_000),
    total_rate: Some(60_000_000),
    reset_every: None,
    stall_every: None,
};

#[test]
fn large_blob_is_pulled_in_parallel_ranges() {
    let (source, target) = (Registry::start(), Registry::start());
    let image = Image::oci_with("large", vec![layer("large", 44 << 20)]);
    source.client().push("app", "v1", &image);
    let broken = LinkQuality {
        reset_every: Some(11 << 20),
        ..NARROW
    };
    let down = Link::to(source.host(), broken);
    let text = mirror_toml_with(KEYS, KEYS, &all_tags_of("app"));
    let transship = Transship::new(&fill_in(&text, down.host(), target.host()));
    source.new_requests();
    transship.sync();
    assert_app_mirrored(&source.client(), &target, "v1");
    let requests = source.new_requests();
    let digest = image.blobs.iter().max_by_key(|blob| blob.bytes.len());
    let digest = digest.unwrap().digest();
    let ranges = count(&requests, |r| {
        r.method == "GET" && r.path.ends_with(&digest)
    });
    assert!(ranges > 6, "{ranges} requests for the layer");
    let down = down.crossed();
    assert!(down.resets > 0, "{down:?}");
    assert!(down.down < 50 << 20, "little is sent twice: {down:?}");
}

#[test]
fn large_blob_needs_no_ranges() {
    let (source, target) = (Fake::start(), Registry::start());
    let image = Image::oci_with("large", vec![layer("large", 38 << 20)]);
    source.client().push("app", "v1", &image);
    // It answers ranges with all of the blob.
    source.rule(|request| match request.range {
        Some(_) => Verdict::Answer(Response::new(Body::from("all of it"))),
        None => Verdict::Serve,
    });
    let down = Link::to(source.host(), NARROW);
    let text = mirror_toml_with(KEYS, KEYS, &all_tags_of("app"));
    Transship::new(&fill_in(&text, down.host(), target.host())).sync();
    assert_app_mirrored(&source.client(), &target, "v1");
    // The first ranges are asked for together, and none after the first answer: a blob of 38 MiB has more.
    let ranges = count(&source.requests(), |r| r.range.is_some());
    assert!((1..=5).contains(&ranges), "{ranges} requests for ranges");
}
