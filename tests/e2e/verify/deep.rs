//! Reading every blob of a target: what that finds, how it goes on, and what heals.

use std::collections::BTreeMap;

use axum::http::header::CONTENT_TYPE;
use tokio::sync::watch;

use crate::support::programs::pair::{Pair, all_tags_of, between, fill_in, mirror_toml};
use crate::support::programs::transship::{number, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{held, refusal};
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, blob_gets};
use crate::support::wait_for;
use crate::verify::findings::findings;

fn found(tag: &str, class: &str) -> (String, String) {
    (tag.into(), class.into())
}

fn total(gets: &BTreeMap<String, usize>) -> usize {
    gets.values().sum()
}

#[test]
fn deep_verify_finds_wrong_bytes() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    pair.target.rot_blob(&image.blobs[1].digest());
    assert_eq!(findings(&pair.transship, &[], 0), []);
    let wrong = [found("v1", "wrong_bytes")];
    assert_eq!(findings(&pair.transship, &["--deep"], 1), wrong);
}

#[test]
fn heals_replaceable_wrong_bytes() {
    let (source, target) = (Fake::start(), Fake::start());
    let image = Image::two_platforms("two");
    source.client().push("app", "v1", &image);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    let rotten = image.children[1].blobs[1].digest();
    target.rot_blob("mirror/app", &rotten);
    let wrong = [found("v1", "wrong_bytes")];
    assert_eq!(findings(&transship, &["--deep"], 1), wrong);
    let report = transship.sync();
    assert_eq!(sum(&report, "/blobs/copied"), 1, "{report:#}");
    assert_eq!(findings(&transship, &["--deep"], 0), []);
}

/// How many tags are damaged, by `status`.
fn damaged(pair: &Pair) -> u64 {
    number(&pair.transship.status(), "/mirrors/0/targets/0/damaged")
}

#[test]
fn blob_repaired_by_others_is_well_again() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    let rotten = image.blobs[1].digest();
    pair.target.rot_blob(&rotten);
    findings(&pair.transship, &["--deep"], 1);
    // Whether a blob is there says nothing of its bytes.
    findings(&pair.transship, &[], 0);
    assert_eq!(damaged(&pair), 1);
    // Twice is back.
    pair.target.rot_blob(&rotten);
    assert_eq!(findings(&pair.transship, &["--deep"], 0), []);
    assert_eq!(damaged(&pair), 0);
    pair.ignore_requests();
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    let requests = pair.target.new_requests();
    assert!(!requests.iter().any(|request| request.is_blob_body()));
}

#[test]
fn missing_blob_that_is_back_is_well_again() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    pair.target.lose_blob(&image.blobs[1].digest());
    findings(&pair.transship, &[], 1);
    assert_eq!(damaged(&pair), 1);
    pair.to.push("mirror/app", "v1", &image);
    assert_eq!(findings(&pair.transship, &[], 0), []);
    assert_eq!(damaged(&pair), 0);
}

#[test]
fn sticky_wrong_bytes_fail_until_deleted() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    let rotten = image.blobs[1].digest();
    pair.target.rot_blob(&rotten);
    findings(&pair.transship, &["--deep"], 1);
    for _ in 0..2 {
        let run = pair.transship.run(&["--json", "sync"]);
        let failed = run.expect_code(2).json();
        let error = &failed["mirrors"][0]["errors"][0];
        assert_eq!(error["class"], "kept", "{failed:#}");
    }
    // Once refused, the blob is not sent again for a while.
    pair.target.new_requests();
    pair.transship.run(&["sync"]);
    let requests = pair.target.new_requests();
    assert!(!requests.iter().any(|request| request.is_blob_body()));
    pair.target.lose_blob(&rotten);
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
    assert_eq!(findings(&pair.transship, &["--deep"], 0), []);
}

/// A GET of the image's manifest gets half of it, and the other half when the gate opens.
fn hold_back(source: &Fake, image: Image) -> watch::Sender<bool> {
    let (gate, opened) = watch::channel(false);
    source.rule(move |request| {
        if request.method != "GET" || !request.path.ends_with(&image.digest()) {
            return Verdict::Serve;
        }
        let mut answer = held(&image.bytes, opened.clone());
        let media_type = image.media_type.parse().unwrap();
        answer.headers_mut().insert(CONTENT_TYPE, media_type);
        Verdict::Answer(answer)
    });
    gate
}

#[test]
fn suspect_blob_is_not_mounted() {
    let (source, target) = (Fake::start(), Fake::start());
    let shared = layer("shared", 3000);
    let holding = |name: &str| Image::oci_with(name, vec![shared.clone()]);
    source.client().push("app", "v1", &holding("app"));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    let theirs = Image::oci_with("theirs", vec![shared.clone()]);
    target.client().push("mirror/lib", "theirs", &theirs);
    for repository in ["mirror/app", "mirror/lib"] {
        target.rot_blob(repository, &shared.digest());
    }
    let wrong = [found("v1", "wrong_bytes")];
    assert_eq!(findings(&transship, &["--deep"], 1), wrong);
    source.client().push("lib", "v1", &holding("lib"));
    let both = mirror_toml(&(all_tags_of("app") + &all_tags_of("lib")));
    transship.write("mirror.toml", &fill_in(&both, source.host(), target.host()));
    // By then the other repository is known to claim the blob.
    let gate = hold_back(&source, holding("app"));
    target.rule(move |request| {
        if request.is_manifest_put() && request.path.contains("/lib/") {
            gate.send_replace(true);
        }
        Verdict::Serve
    });
    target.new_requests();
    transship.sync();
    let requests = target.new_requests();
    let is_claimed = |r: &Request| r.method == "HEAD" && r.path.contains("/lib/blobs/");
    assert!(requests.iter().any(is_claimed), "{requests:#?}");
    assert!(!requests.iter().any(Request::is_mount), "{requests:#?}");
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn earlier_run_repairs_nothing() {
    let (source, target) = (Fake::start(), Registry::start());
    let shared = layer("shared", 3000);
    let push = |tag: &str| {
        let image = Image::oci_with(tag, vec![shared.clone()]);
        source.client().push("app", tag, &image);
        image
    };
    push("v1");
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    let new = push("v2");
    let gate = hold_back(&source, new);
    source.new_requests();
    let mut early = transship.start(&["sync"]);
    wait_for("the new image to be asked for", || {
        let requests = source.new_requests();
        let mut gets = requests.iter().filter(|request| request.method == "GET");
        gets.any(|get| get.path.contains("/manifests/"))
            .then_some(())
    });
    target.rot_blob(&shared.digest());
    let wrong = [found("v1", "wrong_bytes")];
    assert_eq!(findings(&transship, &["--deep"], 1), wrong);
    gate.send_replace(true);
    assert!(early.wait().success());
    // The target keeps what it has: nobody has repaired it, and it is not said to be so.
    let failed = transship.run(&["--json", "sync"]).expect_code(1).json();
    let error = &failed["mirrors"][0]["errors"][0];
    assert_eq!(error["class"], "kept", "{failed:#}");
}

#[test]
fn sticky_truncated_blob_fails_tag() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    let cut = image.blobs[1].digest();
    pair.target.truncate_blob(&cut);
    let wrong = [found("v1", "wrong_size")];
    assert_eq!(findings(&pair.transship, &["--deep"], 1), wrong);
    let failed = pair.transship.run(&["--json", "sync"]).expect_code(2);
    let error = &failed.json()["mirrors"][0]["errors"][0];
    assert_eq!(error["class"], "kept", "{failed}");
    pair.target.lose_blob(&cut);
    pair.transship.sync();
    assert_eq!(findings(&pair.transship, &["--deep"], 0), []);
}

#[test]
fn shared_blob_is_read_once() {
    let pair = Pair::of_repositories(&["app", "lib"]);
    let base = layer("base of both", 3000);
    for name in ["app", "lib"] {
        let image = Image::oci_with(name, vec![base.clone()]);
        pair.from.push(name, "v1", &image);
    }
    pair.transship.sync();
    pair.ignore_requests();
    assert_eq!(findings(&pair.transship, &["--deep"], 0), []);
    let gets = blob_gets(&pair.target.new_requests());
    let of_base = gets
        .iter()
        .filter(|(path, _)| path.ends_with(&base.digest()));
    assert_eq!(of_base.map(|(_, count)| count).sum::<usize>(), 1);
}

#[test]
fn interrupted_deep_verify_resumes() {
    let (source, target) = (Fake::start(), Fake::start());
    for tag in ["v1", "v2"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    let blobs = target.blobs().len();
    let held = Image::oci("v2").blobs[1].digest();
    let mut refusals = 1;
    target.rule(move |request| {
        let is_it = request.is_blob_get() && request.path.ends_with(&held);
        match is_it && refusals > 0 {
            true => {
                refusals -= 1;
                Verdict::Answer(refusal(403, "DENIED"))
            }
            false => Verdict::Serve,
        }
    });
    target.new_requests();
    let open = [found("v2", "unreachable")];
    assert_eq!(findings(&transship, &["--deep"], 1), open);
    assert_eq!(total(&blob_gets(&target.new_requests())), blobs);
    assert_eq!(findings(&transship, &["--deep"], 0), []);
    assert_eq!(total(&blob_gets(&target.new_requests())), 1);
    assert_eq!(findings(&transship, &["--deep"], 0), []);
    assert_eq!(total(&blob_gets(&target.new_requests())), blobs);
}
