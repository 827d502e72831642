//! What verification finds at targets, and how the next run puts it right.

use serde_json::{Value, json};

use crate::support::programs::pair::{Pair, all_tags_of, between};
use crate::support::programs::transship::{Transship, mirrors, sum};
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, refusal};
use crate::support::registries::requests::{Request, assert_only_reads, count};

/// What a verification finds, as `(tag, class)`, sorted; it ends with `code`.
#[track_caller]
pub fn findings(transship: &Transship, arguments: &[&str], code: i32) -> Vec<(String, String)> {
    let arguments = [&["--json", "verify"], arguments].concat();
    let report = transship.run(&arguments).expect_code(code).json();
    let of = |finding: &Value| {
        let reference = finding["reference"].as_str().unwrap();
        let tag = reference.rsplit(':').next().unwrap();
        (
            tag.to_owned(),
            finding["class"].as_str().unwrap().to_owned(),
        )
    };
    let mut found: Vec<_> = mirrors(&report)
        .iter()
        .flat_map(|mirror| mirror["findings"].as_array().unwrap())
        .map(of)
        .collect();
    found.sort();
    found
}

fn found(tag: &str, class: &str) -> (String, String) {
    (tag.into(), class.into())
}

/// Fails the test unless one run puts right what was found, and nothing is found then.
#[track_caller]
fn assert_healed(pair: &Pair, tags: &[(&str, &str)]) {
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
    pair.assert_mirrored(tags);
    assert_eq!(findings(&pair.transship, &[], 0), []);
}

#[test]
fn intact_target_has_no_findings() {
    let pair = Pair::of_repositories(&["app"]);
    pair.from.push("app", "v1", &Image::oci("one"));
    pair.from.push("app", "v2", &Image::two_platforms("two"));
    pair.transship.sync();
    pair.ignore_requests();
    let said = pair.transship.run(&["verify"]).expect_code(0);
    said.expect_stdout(&["2 of 2 tags verified", "all is well"]);
    let (source, target) = (pair.source.new_requests(), pair.target.new_requests());
    assert_only_reads(&target);
    assert_eq!(count(&target, Request::is_blob_get), 0);
    assert_eq!(count(&source, Request::is_blob_get), 0);
    assert_only_reads(&source);
}

#[test]
fn verify_creates_no_store() {
    let pair = Pair::of_repositories(&["app"]);
    let said = pair.transship.run(&["verify"]).expect_code(2);
    said.expect_stderr(&["nothing was mirrored yet, so nothing was verified", "help:"]);
    let files = pair.transship.files();
    assert_eq!(files.len(), 1, "mirror.toml alone: {files:?}");
    pair.source.client().push("other", "v1", &Image::oci("one"));
    pair.transship.run(&["sync"]);
    let said = pair.transship.run(&["verify"]).expect_code(2);
    said.expect_stdout(&["nothing was mirrored yet, so nothing was verified"]);
}

#[test]
fn shared_blob_is_verified_once() {
    let pair = Pair::of_repositories(&["app"]);
    let base = layer("base of all", 2000);
    for tag in ["v1", "v2", "v3"] {
        let image = Image::oci_with(tag, vec![base.clone()]);
        pair.from.push("app", tag, &image);
    }
    pair.transship.sync();
    pair.ignore_requests();
    assert_eq!(findings(&pair.transship, &[], 0), []);
    let is_base = |request: &Request| request.path.ends_with(&base.digest());
    assert_eq!(count(&pair.target.new_requests(), is_base), 1);
}

#[test]
fn lost_blob_is_found_and_restored() {
    let pair = Pair::of_repositories(&["app"]);
    let (one, two) = (Image::oci("one"), Image::two_platforms("two"));
    pair.from.push("app", "v1", &one);
    pair.from.push("app", "v2", &two);
    pair.transship.sync();
    pair.target.lose_blob(&one.blobs[1].digest());
    pair.target.lose_blob(&two.children[1].blobs[1].digest());
    let missing = [found("v1", "missing_blob"), found("v2", "missing_blob")];
    assert_eq!(findings(&pair.transship, &[], 1), missing);
    assert_healed(&pair, &[("app", "v1"), ("app", "v2")]);
}

#[test]
fn damage_shows_until_repaired() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    pair.target.lose_blob(&image.blobs[1].digest());
    pair.transship.run(&["verify"]).expect_code(1);
    let named = format!("{}/app:v1", pair.source.host());
    let tell = |words: [&str; 3]| {
        let commands: [&[&str]; 3] = [&["status"], &["explain", &named], &["report"]];
        for (command, word) in commands.iter().zip(words) {
            let said = pair.transship.run(command).expect_code(0);
            said.expect_stdout(&[word]);
        }
    };
    let found = "mirror/app:v1: found by verify at";
    tell([found, "damaged, found by verify at", "1 tag damaged"]);
    let said = pair.transship.run(&["status"]).stdout;
    assert!(!said.contains("in sync"), "{said}");
    let status = pair.transship.status();
    let app = &mirrors(&status)[0];
    assert_eq!(
        (&app["state"], &app["lag_seconds"]),
        (&json!("damaged"), &json!(0))
    );
    assert_eq!(app["targets"][0]["damaged"], 1);
    assert!(app["damaged"][0]["damaged_at"].is_i64(), "{app:#}");
    pair.transship.sync();
    tell(["all in sync", "current, by the last check", "all in sync"]);
}

#[test]
fn sparse_store_still_heals() {
    let pair = Pair::of_repositories(&["app"]);
    let image = Image::two_platforms("two");
    pair.from.push("app", "v1", &image);
    pair.transship.sync();
    pair.transship.forget();
    pair.transship.sync();
    pair.target.lose_blob(&image.children[0].blobs[1].digest());
    assert_eq!(
        findings(&pair.transship, &[], 1),
        [found("v1", "missing_blob")]
    );
    assert_healed(&pair, &[("app", "v1")]);
}

#[test]
fn lost_child_is_found_and_restored() {
    let image = Image::two_platforms("two");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    pair.to
        .delete_manifest("mirror/app", &image.children[0].digest());
    let missing = [found("v1", "missing_child")];
    assert_eq!(findings(&pair.transship, &[], 1), missing);
    let said = pair.transship.run(&["plan"]).expect_code(0);
    said.expect_stdout(&["something of it is missing or wrong at the target"]);
    assert_healed(&pair, &[("app", "v1")]);
    let kinds = "SELECT group_concat(kind) FROM (SELECT kind FROM changes ORDER BY id)";
    let kinds = pair.transship.ask_store(kinds);
    assert_eq!(kinds, "new,damaged,repaired");
}

#[test]
fn moved_or_missing_tag_is_restored() {
    let pair = Pair::of_repositories(&["app"]);
    for tag in ["gone", "moved"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.to
        .delete_manifest("mirror/app", &Image::oci("gone").digest());
    pair.to.push("mirror/app", "moved", &Image::oci("theirs"));
    let wrong = [found("gone", "missing_tag"), found("moved", "wrong_digest")];
    assert_eq!(findings(&pair.transship, &[], 1), wrong);
    assert_healed(&pair, &[("app", "gone"), ("app", "moved")]);
}

#[test]
fn two_tags_of_one_image_are_restored() {
    let pair = Pair::of_repositories(&["app"]);
    let image = Image::oci("one");
    for tag in ["a", "b"] {
        pair.from.push("app", tag, &image);
    }
    pair.transship.sync();
    pair.target.lose_blob(&image.blobs[1].digest());
    let missing = [found("a", "missing_blob"), found("b", "missing_blob")];
    assert_eq!(findings(&pair.transship, &[], 1), missing);
    assert_healed(&pair, &[("app", "a"), ("app", "b")]);
}

#[test]
fn moved_source_tag_is_behind_not_damaged() {
    let pair = Pair::holding(&Image::oci("before"));
    pair.transship.sync();
    pair.from.push("app", "v1", &Image::oci("after"));
    assert_eq!(findings(&pair.transship, &[], 1), [found("v1", "behind")]);
    let damaged = "SELECT COUNT(*) FROM tags WHERE damaged_at IS NOT NULL";
    assert_eq!(pair.transship.ask_store(damaged), "0");
    assert_healed(&pair, &[("app", "v1")]);
}

#[test]
fn truncated_blob_has_wrong_size() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    pair.target.truncate_blob(&image.blobs[1].digest());
    assert_eq!(
        findings(&pair.transship, &[], 1),
        [found("v1", "wrong_size")]
    );
}

#[test]
fn unreachable_target_is_no_damage() {
    let mut pair = Pair::holding(&Image::oci("one"));
    pair.transship.sync();
    pair.target.stop();
    assert_eq!(
        findings(&pair.transship, &[], 2),
        [found("v1", "unreachable")]
    );
    pair.target.start_again();
    let damaged = "SELECT COUNT(*) FROM tags WHERE damaged_at IS NOT NULL";
    assert_eq!(pair.transship.ask_store(damaged), "0");
    assert_eq!(findings(&pair.transship, &[], 0), []);
}

#[test]
fn refused_login_has_own_status() {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("one"));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    target.rule(|_| {
        let mut refused = refusal(401, "UNAUTHORIZED");
        let challenge = "Basic realm=\"fake\"".parse().unwrap();
        refused.headers_mut().insert("www-authenticate", challenge);
        Verdict::Answer(refused)
    });
    let found = findings(&transship, &[], 3);
    assert_eq!(found[0].1, "unreachable");
}

#[test]
fn damaged_signature_is_restored() {
    let keys = "tags = \"v*\"\nreferrers = true\n";
    let pair = Pair::mirroring(&format!("\n[[mirror]]\nfrom = \"SOURCE/app\"\n{keys}"));
    let (image, signature) = (Image::oci("app"), Image::artifact("signature"));
    let tag = image.digest().replace(':', "-") + ".sig";
    pair.from.push("app", "v1", &image);
    pair.from.push("app", &tag, &signature);
    pair.transship.sync();
    let lost = &signature.blobs.last().unwrap().digest();
    pair.target.lose_blob(lost);
    assert_eq!(
        findings(&pair.transship, &[], 1),
        [found(&tag, "missing_blob")]
    );
    assert_healed(&pair, &[("app", "v1"), ("app", &tag)]);
}

#[test]
fn unrepairable_damage_is_reported() {
    let pair = Pair::of_repositories(&["app"]);
    for tag in ["gone", "kept"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    let gone = Image::oci("gone");
    pair.from.delete_manifest("app", &gone.digest());
    pair.transship.sync();
    pair.target.lose_blob(&gone.blobs[1].digest());
    let said = pair.transship.run(&["verify"]).expect_code(1);
    said.expect_stdout(&["gone", "(missing_blob)", "no sync copies it again"]);
}

#[test]
fn wiped_target_verifies_after_next_run() {
    let pair = Pair::of_repositories(&["app"]);
    for tag in ["v1", "v2"] {
        pair.from.push("app", tag, &Image::two_platforms(tag));
    }
    pair.transship.sync();
    pair.target.wipe();
    let gone = [found("v1", "missing_tag"), found("v2", "missing_tag")];
    assert_eq!(findings(&pair.transship, &[], 1), gone);
    assert_healed(&pair, &[("app", "v1"), ("app", "v2")]);
}

#[test]
fn wrong_manifest_bytes_are_rewritten() {
    let (source, target) = (Fake::start(), Fake::start());
    let image = Image::two_platforms("two");
    source.client().push("app", "v1", &image);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    let child = image.children[0].digest();
    // It is so until somebody writes it anew.
    let mut is_wrong = true;
    target.rule(move |request| {
        let is_it = request.path.ends_with(&child);
        is_wrong &= !(is_it && request.method == "PUT");
        match is_wrong && is_it && request.method == "GET" {
            true => Verdict::Answer(answer(200, &json!({ "layers": [] }))),
            false => Verdict::Serve,
        }
    });
    assert_eq!(
        findings(&transship, &[], 1),
        [found("v1", "wrong_manifest")]
    );
    transship.sync();
    assert_eq!(findings(&transship, &[], 0), []);
}
