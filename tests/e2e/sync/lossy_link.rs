//! Links on which connections are reset and fall silent, between the binary and real registries.

use std::time::Duration;

use crate::support::net::link::{Link, LinkQuality};
use crate::support::programs::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::Transship;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::registry::Registry;

/// A download that is silent for so long is begun anew.
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

#[test]
fn arrives_over_resets_and_stalls() {
    let (source, target) = (Registry::start(), Registry::start());
    let images = images();
    for (number, image) in images.iter().enumerate() {
        source.client().push("app", &format!("v{number}"), image);
    }
    let lossy = LinkQuality {
        round_trip: Duration::from_millis(10),
        flow_rate: Some(50 << 20),
        total_rate: Some(100 << 20),
        reset_every: Some(2_000_000),
        stall_every: None,
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
    let (from, to) = (source.client(), target.client());
    for number in 0..images.len() {
        assert_mirrored(&from, "app", &to, "mirror/app", &format!("v{number}"));
    }
}

#[test]
fn silent_connections_cost_no_stall() {
    let (source, target) = (Registry::start(), Registry::start());
    let images = images();
    for (number, image) in images.iter().enumerate() {
        source.client().push("app", &format!("v{number}"), image);
    }
    let silent = LinkQuality {
        round_trip: Duration::from_millis(10),
        flow_rate: Some(50 << 20),
        total_rate: Some(100 << 20),
        reset_every: None,
        stall_every: Some(2_500_000),
    };
    let (down, up) = (
        Link::to(source.host(), silent),
        Link::to(target.host(), silent),
    );
    // Nobody waits for this: what is silent is hedged, or begun anew.
    let keys = "plain_http = true\nstall = \"1h\"";
    let text = mirror_toml_with(keys, keys, &all_tags_of("app"));
    Transship::new(&fill_in(&text, down.host(), up.host())).sync();
    assert!(down.crossed().stalls > 0, "{:?}", down.crossed());
    assert!(up.crossed().stalls > 0, "{:?}", up.crossed());
    let (from, to) = (source.client(), target.client());
    for number in 0..images.len() {
        assert_mirrored(&from, "app", &to, "mirror/app", &format!("v{number}"));
    }
}
