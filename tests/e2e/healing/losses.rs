//! A target or a store that lost something is healed by the next run, without a human.

use crate::support::programs::pair::Pair;
use crate::support::programs::transship::sum;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::requests::{Request, count};

#[test]
fn restores_wiped_target_in_one_run() {
    let pair = Pair::of_repositories(&["app", "lib"]);
    let base = layer("base of both", 3000);
    pair.from
        .push("app", "v1", &Image::oci_with("app", vec![base.clone()]));
    pair.from
        .push("app", "v2", &Image::two_platforms("app two"));
    pair.from
        .push("lib", "v1", &Image::oci_with("lib", vec![base]));
    pair.transship.sync();
    pair.target.wipe();
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1"), ("app", "v2"), ("lib", "v1")]);
    assert_eq!(sum(&report, "/tags/copied"), 3, "{report:#}");
    assert_eq!(sum(&pair.transship.sync(), "/tags/unchanged"), 3);
}

#[test]
fn restores_tag_deleted_at_target() {
    let pair = Pair::of_repositories(&["app"]);
    for tag in ["kept", "lost"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.to
        .delete_manifest("mirror/app", &Image::oci("lost").digest());
    assert_eq!(pair.to.tags("mirror/app"), ["kept"]);
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "kept"), ("app", "lost")]);
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
}

#[test]
fn restores_last_tag_of_repository() {
    let image = Image::oci("only");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    pair.to.delete_manifest("mirror/app", &image.digest());
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
}

#[test]
fn lost_store_resends_no_blob() {
    let pair = Pair::of_repositories(&["app", "lib"]);
    pair.from.push("app", "v1", &Image::oci("app"));
    pair.from.push("lib", "v1", &Image::two_platforms("lib"));
    pair.transship.sync();
    pair.ignore_requests();
    pair.transship.forget();
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1"), ("lib", "v1")]);
    let (source, target) = (pair.source.new_requests(), pair.target.new_requests());
    assert_eq!(count(&target, Request::is_blob_body), 0, "{target:#?}");
    assert_eq!(count(&source, Request::is_blob_get), 0, "{source:#?}");
    assert_eq!(sum(&report, "/bytes/uploaded"), 0, "{report:#}");
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
}

#[test]
fn copies_tag_moved_without_store() {
    let pair = Pair::holding(&Image::oci("before"));
    pair.transship.sync();
    pair.transship.forget();
    pair.from.push("app", "v1", &Image::oci("after"));
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
}

#[test]
fn resends_lost_blob_for_manifest() {
    let base = layer("base that gets lost", 3000);
    let pair = Pair::holding(&Image::oci_with("old", vec![base.clone()]));
    pair.transship.sync();
    pair.target.lose_blob(&base.digest());
    pair.from
        .push("app", "v1", &Image::oci_with("new", vec![base.clone()]));
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
    assert!(pair.target.has_blob(&base.digest()));
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
}

#[test]
fn resends_lost_blob_for_other_repository() {
    let base = layer("base of another", 3000);
    let pair = Pair::of_repositories(&["app", "lib"]);
    pair.from
        .push("app", "v1", &Image::oci_with("app", vec![base.clone()]));
    pair.from.push("lib", "v0", &Image::oci("unrelated"));
    pair.transship.sync();
    pair.target.lose_blob(&base.digest());
    pair.from
        .push("lib", "v1", &Image::oci_with("lib", vec![base]));
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1"), ("lib", "v0"), ("lib", "v1")]);
}

#[test]
fn resends_lost_child_for_index() {
    let child = Image::oci_for("child", "linux/amd64");
    let old = Image::index(vec![child.clone(), Image::oci_for("old", "linux/arm64")]);
    let pair = Pair::holding(&old);
    pair.transship.sync();
    pair.to.delete_manifest("mirror/app", &child.digest());
    pair.from.push(
        "app",
        "v1",
        &Image::index(vec![child, Image::oci_for("new", "linux/arm64")]),
    );
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
}

#[test]
fn next_run_copies_failed_tag() {
    let pair = Pair::of_repositories(&["app"]);
    let (good, bad) = (Image::oci("good"), Image::oci("bad"));
    pair.from.push("app", "good", &good);
    pair.from.push("app", "bad", &bad);
    pair.source.lose_blob(&bad.blobs[1].digest());
    pair.transship.run(&["--json", "sync"]).expect_code(1);
    pair.from.push("app", "bad", &bad);
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "good"), ("app", "bad")]);
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
}
