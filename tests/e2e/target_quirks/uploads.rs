//! Targets that take what they are given each in their own way, and get it all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::programs::pair::{all_tags_of, between, fill_in, mirror_toml_with};
use crate::support::programs::transship::Transship;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;
use crate::support::registries::fake_contents::Oddities;
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::requests::{Request, count};

const SIZE: usize = 250_000;

/// A source with `app:v1`, which has a layer of `SIZE`, and a target that gets it in parts of 64 KiB.
fn in_parts(oddities: Oddities) -> (Fake, Fake, Transship) {
    let (source, target) = (Fake::start(), Fake::with(oddities));
    let image = Image::oci_with("large", vec![layer("large", SIZE)]);
    source.client().push("app", "v1", &image);
    let keys = "plain_http = true\nchunk = \"64 KiB\"";
    let text = mirror_toml_with("plain_http = true", keys, &all_tags_of("app"));
    let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    (source, target, transship)
}

fn assert_v1(source: &Fake, target: &Fake, repository: &str) {
    let to = format!("mirror/{repository}");
    assert_mirrored(&source.client(), repository, &target.client(), &to, "v1");
}

/// The lengths of the parts that a target was sent.
fn parts(target: &Fake) -> Vec<usize> {
    let requests = target.requests().into_iter();
    let parts = requests.filter(|request| request.method == "PATCH");
    parts.map(|part| part.received).collect()
}

#[test]
fn retries_conflicting_first_pushes() {
    let (source, target) = (Fake::start(), Fake::start());
    let layers = ["a", "b", "c", "d"].map(|name| layer(name, 2000));
    let image = Image::oci_with("together", layers.into());
    source.client().push("app", "v1", &image);
    // Every second of the first writes into a new repository fails, as Gitea's did.
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    target.rule(move |request| {
        let number = match request.is_write() {
            true => counter.fetch_add(1, Ordering::Relaxed),
            false => return Verdict::Serve,
        };
        match number < 6 && number % 2 == 1 {
            true => Verdict::Answer(refusal(500, "UNKNOWN")),
            false => Verdict::Serve,
        }
    });
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_v1(&source, &target, "app");
    let refused = count(&target.requests(), |request| request.status == 500);
    assert_eq!(refused, 3);
}

#[test]
fn honours_minimum_chunk_length() {
    let (source, target, transship) = in_parts(Oddities {
        least_part: Some(100_000),
        ..Oddities::default()
    });
    transship.sync();
    assert_v1(&source, &target, "app");
    assert_eq!(parts(&target), [100_000, 100_000, 50_000]);
}

#[test]
fn uses_newest_location_with_query() {
    let (source, target, transship) = in_parts(Oddities {
        locations_move: true,
        ..Oddities::default()
    });
    transship.sync();
    assert_v1(&source, &target, "app");
    assert_eq!(parts(&target).iter().sum::<usize>(), SIZE);
    let requests = target.requests();
    let ends = requests.iter().filter(|request| request.is_blob_upload());
    for end in ends {
        assert!(end.query.starts_with("a=b%2Fc&_state="), "{end:#?}");
        assert!(end.query.contains("&digest=sha256"), "{end:#?}");
    }
}

#[test]
fn counts_bytes_when_range_stands_still() {
    let (source, target, transship) = in_parts(Oddities {
        range_stands_still: true,
        ..Oddities::default()
    });
    transship.sync();
    assert_v1(&source, &target, "app");
    assert_eq!(parts(&target).iter().sum::<usize>(), SIZE);
    let requests = target.requests();
    let sent = requests.iter().filter(|request| request.method == "PATCH");
    let ranges: Vec<_> = sent.filter_map(|part| part.range.clone()).collect();
    let expected = ["0-65535", "65536-131071", "131072-196607", "196608-249999"];
    assert_eq!(ranges, expected, "every part says where it begins");
}

#[test]
fn out_of_order_chunk_restarts_upload() {
    for status in [400, 416] {
        let (source, target, transship) = in_parts(Oddities::default());
        let mut parts = 0;
        target.rule(move |request| {
            parts += usize::from(request.method == "PATCH");
            match request.method == "PATCH" && parts == 2 {
                true => Verdict::Answer(refusal(status, "BLOB_UPLOAD_INVALID")),
                false => Verdict::Serve,
            }
        });
        transship.sync();
        assert_v1(&source, &target, "app");
        let sessions = target.sessions();
        assert_eq!(
            sessions.opened,
            sessions.completed + 1,
            "one was begun anew"
        );
    }
}

#[test]
fn unknown_harbor_project_mount_uploads() {
    let (source, target) = (Fake::start(), Fake::start());
    target.demand_tokens(Habits::default());
    let base = layer("shared", 3000);
    for name in ["one", "two"] {
        let image = Image::oci_with(name, vec![base.clone()]);
        source.client().push(name, "v1", &image);
    }
    target.rule(|request| match request.query.contains("mount=") {
        true => Verdict::Answer(refusal(401, "UNAUTHORIZED")),
        false => Verdict::Serve,
    });
    let mirrors = ["one", "two"].map(all_tags_of).concat();
    between(source.host(), target.host(), &mirrors).sync();
    for name in ["one", "two"] {
        assert_v1(&source, &target, name);
    }
    let is_refused = |request: &Request| request.query.contains("mount=") && request.status == 401;
    assert!(
        count(&target.requests(), is_refused) > 0,
        "no mount was tried"
    );
}
