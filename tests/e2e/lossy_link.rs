//! A link on which connections are reset and fall silent, between the binary and a real registry.

use std::time::Duration;

use crate::support::client::assert_mirrored;
use crate::support::corpus::{Image, layer};
use crate::support::link::{Link, Weather};
use crate::support::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::registry::Registry;
use crate::support::transship::Transship;

/// Connections to both sides are given up when they are silent for so long.
const KEYS: &str = "plain_http = true\nstall = \"1s\"";

/// Layers that images share, and one that each has for itself.
fn images() -> Vec<Image> {
    let image = |number: usize| {
        let own = layer(&format!("own {number}"), 400_000);
        Image::oci_with(
            &format!("image {number}"),
            vec![layer("base", 600_000), own],
        )
    };
    (0..8).map(image).collect()
}

#[test]
fn everything_arrives_over_a_link_that_resets_and_stalls() {
    let (source, target) = (Registry::start(), Registry::start());
    let images = images();
    for (number, image) in images.iter().enumerate() {
        source.client().push("app", &format!("v{number}"), image);
    }
    let weather = Weather {
        round_trip: Duration::from_millis(10),
        flow_rate: Some(50 << 20),
        total_rate: Some(100 << 20),
        reset_every: Some(1_000_000),
        stall_every: Some(2_000_000),
    };
    let link = Link::to(target.host(), weather);
    let text = mirror_toml_with(KEYS, KEYS, &all_tags_of("app"));
    Transship::new(&fill_in(&text, source.host(), link.host())).sync();
    let crossed = link.crossed();
    assert!(crossed.resets > 0 && crossed.stalls > 0, "{crossed:?}");
    let (from, to) = (source.client(), target.client());
    for number in 0..images.len() {
        assert_mirrored(&from, "app", &to, "mirror/app", &format!("v{number}"));
    }
}
