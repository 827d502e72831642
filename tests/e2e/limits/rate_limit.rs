//! Registries are asked no faster than they may be.

use std::time::{Duration, Instant};

use crate::support::programs::pair::{Pair, all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::Fake;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, count};

const PLAIN: &str = "plain_http = true";
const TAGS: [&str; 5] = ["v1", "v2", "v3", "v4", "v5"];

#[test]
fn rate_limit_spaces_requests() {
    let (source, target) = (Fake::start(), Registry::start());
    for tag in TAGS {
        source
            .client()
            .push("app", tag, &Image::without_layers(tag));
    }
    let keys = format!("{PLAIN}\nrequests_per_second = 50");
    let text = mirror_toml_with(&keys, PLAIN, &all_tags_of("app"));
    let begun = Instant::now();
    Transship::new(&fill_in(&text, source.host(), target.host())).sync();
    let took = begun.elapsed();
    let requests = u32::try_from(source.requests().len()).unwrap();
    assert!(requests > 10, "{requests}");
    // Turns cannot be shorter, whatever else the machine does.
    let least = Duration::from_millis(20) * (requests - 1);
    assert!(took >= least, "{requests} requests in {took:?}");
}

#[test]
fn waiting_for_rate_limit_is_no_stall() {
    let layers = (0..6).map(|number| layer(&format!("slow {number}"), 60_000));
    let pair = Pair::holding(&Image::oci_with("slow", layers.collect()));
    let keys = format!("{PLAIN}\nbandwidth = \"100 kB/s\"\nstall = \"1s\"");
    let text = mirror_toml_with(PLAIN, &keys, &all_tags_of("app"));
    let text = fill_in(&text, pair.source.host(), pair.target.host());
    pair.transship.write("mirror.toml", &text);
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
    assert_eq!(
        count(&pair.target.new_requests(), Request::is_blob_upload),
        7
    );
    assert!(
        sum(&report, "/bytes/uploaded") < 370_000,
        "nothing went twice"
    );
}
