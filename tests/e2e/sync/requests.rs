//! How few requests a sync sends: counted from the registries' own logs.

use std::collections::BTreeSet;

use crate::support::programs::pair::Pair;
use crate::support::programs::transship::sum;
use crate::support::registries::corpus::{Image, layer, unique_blobs};
use crate::support::registries::requests::{Request, assert_only_reads, blob_gets, count, lines};

#[test]
fn unchanged_costs_one_head_per_tag() {
    let pair = Pair::of_repositories(&["app", "lib/base"]);
    for tag in ["v1", "v2", "v3"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.from
        .push("lib/base", "latest", &Image::two_platforms("base"));
    pair.transship.sync();
    pair.ignore_requests();
    let report = pair.transship.sync();
    let (source, target) = (pair.source.new_requests(), pair.target.new_requests());
    let expected = [
        "GET /v2/app/tags/list",
        "GET /v2/lib/base/tags/list",
        "HEAD /v2/app/manifests/v1",
        "HEAD /v2/app/manifests/v2",
        "HEAD /v2/app/manifests/v3",
        "HEAD /v2/lib/base/manifests/latest",
    ];
    assert_eq!(lines(&source), expected);
    assert_eq!(
        lines(&target),
        [
            "GET /v2/mirror/app/tags/list",
            "GET /v2/mirror/lib/base/tags/list"
        ]
    );
    assert_eq!(sum(&report, "/requests/source"), 6, "{report:#}");
    assert_eq!(sum(&report, "/requests/target"), 2, "{report:#}");
}

#[test]
fn unselected_tags_cost_nothing() {
    let pair = Pair::mirroring("[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\n");
    for tag in ["v1", "nightly", "edge"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    let requests = pair.source.new_requests();
    assert_eq!(
        count(&requests, |request| request.path.ends_with("nightly")
            || request.path.ends_with("edge")),
        0
    );
}

#[test]
fn literal_tag_needs_no_listing() {
    let pair = Pair::mirroring("[[mirror]]\nfrom = \"SOURCE/app:v1\"\n");
    pair.from.push("app", "v1", &Image::oci("literal"));
    pair.from.push("app", "v2", &Image::oci("not asked for"));
    pair.transship.sync();
    assert_eq!(count(&pair.source.new_requests(), Request::is_tag_list), 0);
    assert_eq!(pair.to.tags("mirror/app"), ["v1"]);
    pair.ignore_requests();
    pair.transship.sync();
    assert_eq!(
        lines(&pair.source.new_requests()),
        ["HEAD /v2/app/manifests/v1"]
    );
    assert_eq!(
        lines(&pair.target.new_requests()),
        ["GET /v2/mirror/app/tags/list"]
    );
}

#[test]
fn literal_tags_share_target_listing() {
    let pair = Pair::mirroring("[[mirror]]\nfrom = \"SOURCE/app:{v1,v2,v3}\"\n");
    for tag in ["v1", "v2", "v3"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.ignore_requests();
    pair.transship.sync();
    assert_eq!(
        lines(&pair.target.new_requests()),
        ["GET /v2/mirror/app/tags/list"]
    );
}

#[test]
fn new_image_costs_post_and_put_per_blob() {
    let image = Image::two_platforms("budget");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    let (source, target) = (pair.source.new_requests(), pair.target.new_requests());
    let blobs = image.unique_blobs().len();
    assert_eq!(count(&target, Request::is_blob_post), blobs, "{target:#?}");
    assert_eq!(count(&target, Request::is_blob_body), blobs, "{target:#?}");
    assert_eq!(
        count(&target, |request| request.method == "HEAD"),
        0,
        "{target:#?}"
    );
    assert_eq!(count(&target, Request::is_manifest_put), 3, "{target:#?}");
    let gets = count(&source, |request| {
        request.method == "GET" && request.path.contains("/manifests/")
    });
    assert_eq!(gets, 3, "{source:#?}");
    assert_eq!(
        count(&source, |request| request.method == "HEAD"
            && request.path.contains("/blobs/")),
        0
    );
}

#[test]
fn tag_moves_last() {
    let pair = Pair::holding(&Image::index(vec![
        Image::two_platforms("inner"),
        Image::oci_for("x", "linux/s390x"),
    ]));
    pair.transship.sync();
    let writes: Vec<_> = pair
        .target
        .new_requests()
        .into_iter()
        .filter(Request::is_write)
        .collect();
    let last = writes.last().unwrap();
    assert_eq!(last.line(), "PUT /v2/mirror/app/manifests/v1");
    assert!(
        writes.iter().all(|request| request.status < 300),
        "something was refused on the way: {writes:#?}"
    );
}

#[test]
fn shared_blob_uploads_once_then_mounts() {
    let names = ["a", "b", "c/d", "e"];
    let pair = Pair::of_repositories(&names);
    let base = [layer("base one", 6000), layer("base two", 2000)];
    let images = names.map(|name| Image::oci_with(name, [&base[..], &[layer(name, 100)]].concat()));
    for (name, image) in names.iter().zip(&images) {
        pair.from.push(name, "v1", image);
    }
    pair.transship.sync();
    pair.assert_mirrored(&names.map(|name| (name, "v1")));
    let (source, target) = (pair.source.new_requests(), pair.target.new_requests());
    assert_eq!(
        count(&target, Request::is_blob_upload),
        unique_blobs(&images).len(),
        "{target:#?}"
    );
    assert_eq!(
        count(&target, Request::is_mount),
        base.len() * (names.len() - 1),
        "{target:#?}"
    );
    let gets = blob_gets(&source);
    let digests: BTreeSet<_> = gets
        .keys()
        .map(|path| path.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        gets.values().sum::<usize>(),
        digests.len(),
        "each blob is read once, wherever: {gets:#?}"
    );
}

#[test]
fn shared_blob_uploads_once() {
    let pair = Pair::of_repositories(&["app"]);
    let base = layer("shared base", 6000);
    let tags: Vec<_> = (0..8).map(|number| format!("v{number}")).collect();
    let images: Vec<_> = tags
        .iter()
        .map(|tag| Image::oci_with(tag, vec![base.clone(), layer(tag, 60)]))
        .collect();
    for (tag, image) in tags.iter().zip(&images) {
        pair.from.push("app", tag, image);
    }
    pair.transship.sync();
    let target = pair.target.new_requests();
    assert_eq!(
        count(&target, Request::is_blob_upload),
        unique_blobs(&images).len(),
        "{target:#?}"
    );
    assert_eq!(pair.to.tags("mirror/app"), tags);
}

#[test]
fn later_repository_mounts_known_blobs() {
    let pair = Pair::of_repositories(&["old", "new"]);
    let base = layer("old base", 6000);
    pair.from
        .push("old", "v1", &Image::oci_with("old", vec![base.clone()]));
    pair.from.push("new", "v0", &Image::oci("unrelated"));
    pair.transship.sync();
    pair.from
        .push("new", "v1", &Image::oci_with("new", vec![base]));
    pair.ignore_requests();
    pair.transship.sync();
    pair.assert_mirrored(&[("old", "v1"), ("new", "v0"), ("new", "v1")]);
    let target = pair.target.new_requests();
    assert_eq!(count(&target, Request::is_mount), 1, "{target:#?}");
    assert_eq!(
        count(&target, Request::is_blob_upload),
        1,
        "only the new config is sent: {target:#?}"
    );
}

#[test]
fn moved_tag_sends_only_new_blobs() {
    let base = layer("steady base", 6000);
    let pair = Pair::holding(&Image::oci_with(
        "old",
        vec![base.clone(), layer("old", 300)],
    ));
    pair.transship.sync();
    pair.from.push(
        "app",
        "v1",
        &Image::oci_with("new", vec![base, layer("new", 300)]),
    );
    pair.ignore_requests();
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
    let (source, target) = (pair.source.new_requests(), pair.target.new_requests());
    assert_eq!(
        count(&target, Request::is_blob_upload),
        2,
        "the config and a layer: {target:#?}"
    );
    assert_eq!(count(&source, Request::is_blob_get), 2, "{source:#?}");
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    assert_eq!(sum(&report, "/blobs/copied"), 2, "{report:#}");
}

#[test]
fn known_digest_costs_one_manifest_put() {
    let image = Image::oci("two names");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    pair.from.push("app", "stable", &image);
    pair.ignore_requests();
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1"), ("app", "stable")]);
    let (source, target) = (pair.source.new_requests(), pair.target.new_requests());
    let writes: Vec<_> = target.into_iter().filter(Request::is_write).collect();
    assert_eq!(lines(&writes), ["PUT /v2/mirror/app/manifests/stable"]);
    assert_eq!(count(&source, Request::is_blob_get), 0);
}

#[test]
fn never_writes_to_source() {
    let pair = Pair::holding(&Image::two_platforms("read only"));
    pair.transship.sync();
    assert_only_reads(&pair.source.new_requests());
}
