//! Registries that tell digests and push times of many tags at once: what that saves, and that it harms nobody.

use serde_json::{Value, json};

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::bulk::{push, row, uploads};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::answer;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, count, lines};

fn is_manifest_head(request: &Request) -> bool {
    request.method == "HEAD" && request.path.contains("/manifests/")
}

fn is_manifest_get(request: &Request) -> bool {
    request.method == "GET" && request.path.contains("/manifests/")
}

/// Answers the tag list of every repository with the same page from now on.
fn tell(source: &Fake, page: Value) {
    source.rule(move |request| match request.is_tag_list() {
        true => Verdict::Answer(answer(200, &page)),
        false => Verdict::Serve,
    });
}

fn mirroring_app(source: &Fake, target: &Registry) -> Transship {
    between(source.host(), target.host(), &all_tags_of("app"))
}

#[test]
fn bulk_digests_save_heads() {
    let (source, target) = (Fake::start(), Registry::start());
    let rows = push(&source, "app", &["v1", "v2", "v3"]);
    tell(&source, uploads(&rows));
    let transship = mirroring_app(&source, &target);
    transship.sync();
    source.new_requests();
    target.new_requests();
    let report = transship.sync();
    assert_eq!(lines(&source.new_requests()), ["GET /v2/app/tags/list"]);
    assert_eq!(sum(&report, "/tags/unchanged"), 3, "{report:#}");
    assert_only_reads(&target.new_requests());
    transship.let_a_year_pass();
    transship.sync();
    assert_eq!(count(&source.new_requests(), is_manifest_head), 3);
    assert_eq!(count(&target.new_requests(), is_manifest_head), 3);
    transship.sync();
    assert_eq!(count(&source.new_requests(), is_manifest_head), 0);
}

#[test]
fn ambiguous_bulk_digest_is_headed() {
    let (source, target) = (Fake::start(), Registry::start());
    let mut rows = push(&source, "app", &["none", "two", "one"]);
    rows[0].digest = None;
    rows.push(row("two", &Image::oci("another")));
    tell(&source, uploads(&rows));
    let transship = mirroring_app(&source, &target);
    transship.sync();
    source.new_requests();
    transship.sync();
    let expected = [
        "GET /v2/app/tags/list",
        "HEAD /v2/app/manifests/none",
        "HEAD /v2/app/manifests/two",
    ];
    assert_eq!(lines(&source.new_requests()), expected);
}

#[test]
fn bulk_digest_is_confirmed_before_copy() {
    let (source, target) = (Fake::start(), Registry::start());
    let mut rows = push(&source, "app", &["v1"]);
    rows[0].digest = Some(Image::oci("nowhere").digest());
    tell(&source, uploads(&rows));
    let transship = mirroring_app(&source, &target);
    for unchanged in [0, 1, 1] {
        let report = transship.sync();
        assert_eq!(sum(&report, "/tags/unchanged"), unchanged, "{report:#}");
    }
    assert_eq!(count(&source.requests(), is_manifest_get), 1);
    let digest = Image::oci("v1").digest();
    assert_eq!(
        target.client().manifest("mirror/app", "v1").unwrap().digest,
        digest
    );
}

#[test]
fn wrong_bulk_digest_is_found_in_a_day() {
    let (source, target) = (Fake::start(), Registry::start());
    tell(&source, uploads(&push(&source, "app", &["v1"])));
    let transship = mirroring_app(&source, &target);
    transship.sync();
    let moved = Image::oci("moved");
    source.client().push("app", "v1", &moved);
    assert_eq!(sum(&transship.sync(), "/tags/unchanged"), 1);
    transship.let_a_year_pass();
    assert_eq!(sum(&transship.sync(), "/tags/copied"), 1);
    assert_eq!(sum(&transship.sync(), "/tags/unchanged"), 1);
    let held = target.client().manifest("mirror/app", "v1").unwrap().digest;
    assert_eq!(held, moved.digest());
}

#[test]
fn invalid_manifest_map_is_ignored() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, "app", &["v1", "v2"]);
    tell(
        &source,
        json!({ "tags": ["v1", "v2"], "manifest": { "x": { "tag": 7 } } }),
    );
    let transship = mirroring_app(&source, &target);
    transship.sync();
    source.new_requests();
    transship.sync();
    assert_eq!(count(&source.new_requests(), is_manifest_head), 2);
}

#[test]
fn target_bulk_digest_finds_moved_tag() {
    let (source, target) = (Registry::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("v1"));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    let moved = Image::oci("moved");
    target.client().push("mirror/app", "v1", &moved);
    tell(&target, uploads(&[row("v1", &moved)]));
    assert_eq!(sum(&transship.sync(), "/tags/copied"), 1);
    let held = target.client().manifest("mirror/app", "v1").unwrap();
    assert_eq!(held.digest, Image::oci("v1").digest());
    // The listing goes on telling it: the target itself is believed.
    assert_eq!(sum(&transship.sync(), "/tags/unchanged"), 1);
}
