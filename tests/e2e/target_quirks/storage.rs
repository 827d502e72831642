//! Targets that can store nothing: a full quota, a full disk, a read-only mode; and writes that are redirected.

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::json;

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::{mirrors, number};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::answer;

/// A source with tags of 100 KB each, and a target that answers to uploads in this way.
fn failing(tags: usize, refusal: fn() -> Response<Body>) -> (Fake, Fake) {
    let (source, target) = (Fake::start(), Fake::start());
    for at in 0..tags {
        let name = format!("v{at}");
        let image = Image::oci_with(&name, vec![layer(&name, 100_000)]);
        source.client().push("app", &name, &image);
    }
    target.rule(move |request| {
        let sends = request.method == "PUT" || request.method == "PATCH";
        match sends && request.path.contains("/blobs/") {
            true => Verdict::Answer(refusal()),
            false => Verdict::Serve,
        }
    });
    (source, target)
}

fn disk_full() -> Response<Body> {
    let detail = json!({ "DriverName": "filesystem", "Enclosed": { "Op": "write", "Err": 28 } });
    let error = json!({ "code": "UNKNOWN", "message": "unknown error", "detail": detail });
    answer(500, &json!({ "errors": [error] }))
}

fn quota_full() -> Response<Body> {
    let text = "adding 1 MiB of storage resource will exceed the configured upper limit of 1 GiB";
    answer(
        403,
        &json!({ "errors": [{ "code": "DENIED", "message": text }] }),
    )
}

fn read_only() -> Response<Body> {
    let text = "The system is in read only mode. Any modification is prohibited.";
    answer(
        403,
        &json!({ "errors": [{ "code": "DENIED", "message": text }] }),
    )
}

#[test]
fn names_class_of_what_cannot_be_stored() {
    type Refuse = fn() -> Response<Body>;
    let rows: [(Refuse, &str, &str); 3] = [
        (disk_full, "disk_full", "make room"),
        (quota_full, "storage_quota", "raise the quota"),
        (read_only, "read_only", "read-only mode"),
    ];
    for (refusal, class, help) in rows {
        let (source, target) = failing(1, refusal);
        let transship = between(source.host(), target.host(), &all_tags_of("app"));
        let report = transship.run(&["--json", "sync"]).expect_code(2).json();
        let error = &mirrors(&report)[0]["errors"][0];
        assert_eq!(error["class"], class, "{report:#}");
        assert!(
            error["message"].as_str().unwrap().contains(help),
            "{report:#}"
        );
    }
}

#[test]
fn full_target_is_left_alone_for_the_run() {
    let (source, target) = failing(30, disk_full);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.run(&["--json", "sync"]).expect_code(2).json();
    let pulled = number(&report, "/totals/bytes/downloaded");
    assert!(pulled <= 30 * 120_000, "{pulled} bytes pulled in vain");
    let said = &mirrors(&report)[0]["errors"][29]["message"];
    assert!(said.as_str().unwrap().contains("disk is full"), "{said}");
}

#[test]
fn redirected_writes_on_one_host_are_followed() {
    let (source, target) = (Fake::start(), Fake::start());
    source
        .client()
        .push("app", "v1", &Image::two_platforms("moved"));
    target.rule(|request| {
        let begins = request.method == "POST" && request.path.ends_with("/blobs/uploads/");
        let is_moved = request.path.starts_with("/v2/mirror/app/") && request.query != "again";
        if !is_moved || !(begins || request.is_manifest_put()) {
            return Verdict::Serve;
        }
        let moved = Response::builder().status(307);
        let moved = moved.header(header::LOCATION, format!("{}?again", request.path));
        Verdict::Answer(moved.body(Body::empty()).unwrap())
    });
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}
