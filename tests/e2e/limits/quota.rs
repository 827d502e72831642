//! A registry that gives out so many manifests in a window of time is asked for no more, and what
//! it gives goes where it does most good.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::Value;

use crate::support::programs::pair::{all_tags_of, between, fill_in, mirror_toml};
use crate::support::programs::transship::{Transship, mirrors, sum};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, count};

const TAGS: [&str; 5] = ["v1", "v2", "v3", "v4", "v5"];

/// A registry that gives out `pulls` manifests and says of each answer how many are left.
fn metered(pulls: u64, images: &[(&str, Image)]) -> (Fake, Arc<AtomicU64>) {
    let source = Fake::start();
    let mut manifests = HashMap::new();
    for (tag, image) in images {
        source.client().push("app", tag, image);
        manifests.insert((*tag).to_owned(), image.clone());
        for part in image.children.iter().chain([image]) {
            manifests.insert(part.digest(), part.clone());
        }
    }
    let left = Arc::new(AtomicU64::new(pulls));
    let counted = left.clone();
    source.rule(move |request| {
        let Some((_, name)) = request.path.split_once("/manifests/") else {
            return Verdict::Serve;
        };
        let left = counted.load(Ordering::SeqCst);
        let is_pull = request.method == "GET";
        if is_pull && left == 0 {
            return Verdict::Answer(refusal(429, "TOOMANYREQUESTS"));
        }
        let left = left - u64::from(is_pull);
        counted.store(left, Ordering::SeqCst);
        let image = &manifests[name];
        let body = if is_pull {
            image.bytes.clone()
        } else {
            Default::default()
        };
        let answer = Response::builder()
            .header(header::CONTENT_TYPE, &image.media_type)
            .header("docker-content-digest", image.digest())
            .header("ratelimit-limit", "100;w=21600")
            .header("ratelimit-remaining", format!("{left};w=21600"));
        Verdict::Answer(answer.body(Body::from(body)).unwrap())
    });
    (source, left)
}

fn classes(report: &Value) -> Vec<&str> {
    let errors = mirrors(report)[0]["errors"].as_array().unwrap().iter();
    errors
        .map(|error| error["class"].as_str().unwrap())
        .collect()
}

fn pulls(source: &Fake) -> usize {
    count(&source.new_requests(), |request| {
        request.method == "GET" && request.path.contains("/manifests/")
    })
}

#[test]
fn exhausted_quota_defers_pulls_to_a_later_run() {
    let (source, left) = metered(2, &TAGS.map(|tag| (tag, Image::oci(tag))));
    let target = Registry::start();
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let finished = transship.run(&["--json", "sync"]).expect_code(1);
    let report = finished.json();
    assert_eq!(sum(&report, "/tags/copied"), 2, "{report:#}");
    assert_eq!(classes(&report), ["quota"; 3]);
    assert_eq!(sum(&report, "/throttled"), 0, "none was refused");
    assert_eq!(pulls(&source), 2);
    finished.expect_stderr(&["the registry allows 100 pulls in 6h", "tried in 36m"]);
    // The heads of the next run tell that some came back.
    left.store(3, Ordering::SeqCst);
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/copied"), 3, "{report:#}");
    assert_eq!(pulls(&source), 3);
}

#[test]
fn quota_refusal_stops_further_pulls() {
    let source = Fake::start();
    for tag in TAGS {
        source.client().push("app", tag, &Image::oci(tag));
    }
    source.rule(|request| {
        if request.method != "GET" || !request.path.contains("/manifests/") {
            return Verdict::Serve;
        }
        let mut response = refusal(429, "TOOMANYREQUESTS");
        let left = "0;w=21600".parse().unwrap();
        response.headers_mut().insert("ratelimit-remaining", left);
        Verdict::Answer(response)
    });
    let target = Registry::start();
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.run(&["--json", "sync"]).expect_code(2).json();
    assert_eq!(classes(&report), ["quota"; 5]);
    // Those that were under way together are refused, and none of them twice.
    assert!(pulls(&source) <= 5);
    let is_head = |request: &Request| request.method == "HEAD";
    assert_eq!(count(&source.requests(), is_head), 5);
}

#[test]
fn remaining_pulls_go_to_whole_images() {
    let images = TAGS.map(|tag| (tag, Image::two_platforms(tag)));
    let (source, _) = metered(6, &images);
    let target = Registry::start();
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.run(&["--json", "sync"]).expect_code(1).json();
    assert_eq!(sum(&report, "/tags/copied"), 2, "{report:#}");
    assert_eq!(classes(&report), ["quota"; 3]);
    assert_eq!(pulls(&source), 6, "an index and two images each");
}

#[test]
fn most_lagging_tag_pulls_first() {
    let (source, left) = metered(0, &TAGS.map(|tag| (tag, Image::oci(tag))));
    let target = Registry::start();
    let text = |tags: &str| {
        let mirror = format!("\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"{tags}\"\n");
        fill_in(&mirror_toml(&mirror), source.host(), target.host())
    };
    let transship = Transship::new(&text("v4"));
    transship.run(&["sync"]).expect_code(2);
    transship.let_the_lag_be_an_hour_older();
    transship.write("mirror.toml", &text("v*"));
    left.store(1, Ordering::SeqCst);
    let report = transship.run(&["--json", "sync"]).expect_code(1).json();
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    assert_eq!(target.client().tags("mirror/app"), ["v4"]);
}

#[test]
fn targets_share_one_pull() {
    let images = TAGS.map(|tag| (tag, Image::two_platforms(tag)));
    let (source, _) = metered(6, &images);
    let (one, other) = (Registry::start(), Registry::start());
    let mirror = format!(
        "{}target = [\"TARGET/x\", \"{}/x\"]\n",
        all_tags_of("app"),
        other.host()
    );
    let plain = format!("[registries.\"{}\"]\nplain_http = true\n", other.host());
    let text = format!("{plain}{}", mirror_toml(&mirror));
    let transship = Transship::new(&fill_in(&text, source.host(), one.host()));
    let report = transship.run(&["--json", "sync"]).expect_code(1).json();
    assert_eq!(sum(&report, "/tags/copied"), 4, "{report:#}");
    assert_eq!(one.client().tags("x/app"), other.client().tags("x/app"));
    assert_eq!(pulls(&source), 6, "an index and two images each");
}
