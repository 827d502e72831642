//! `explain`: what is said of an image, as far as the store knows.

use crate::support::programs::pair::{Pair, all_tags_of};
use crate::support::programs::transship::Finished;
use crate::support::registries::corpus::Image;

/// What is said of an image; `SOURCE` and `TARGET` stand for the hosts.
#[track_caller]
fn explained(pair: &Pair, image: &str) -> Finished {
    let image = image.replace("SOURCE", pair.source.host());
    let image = image.replace("TARGET", pair.target.host());
    pair.transship.run(&["explain", &image]).expect_code(0)
}

#[test]
fn explains_uncopied_tag() {
    let pair = Pair::mirroring(
        "[[mirror]]\nname = \"apps\"\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nlatest = 2\n",
    );
    for tag in ["v1", "v2", "v3"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    explained(&pair, "SOURCE/app:v1").expect_stdout(&["is to be mirrored", "not copied yet"]);
    pair.transship.sync();
    let old = explained(&pair, "SOURCE/app:v1");
    let old = old.expect_stdout(&["is not mirrored", "left out by `latest`"]);
    assert!(!old.stdout.contains("docker pull"), "{old}");
    explained(&pair, "SOURCE/app:v9").expect_stdout(&[
        "is not mirrored",
        "the selection of `apps` would take it, but it was not at the source at the last check",
    ]);
    explained(&pair, "SOURCE/app:v3").expect_stdout(&["is mirrored by `apps`", "docker pull"]);
    pair.from.push("app", "v4", &Image::oci("v4"));
    pair.transship.sync();
    explained(&pair, "SOURCE/app:v2").expect_stdout(&["kept; left out by `latest` since"]);
}

#[test]
fn explains_unreadable_source() {
    let pair = Pair::of_repositories(&["app"]);
    pair.transship.run(&["sync"]).expect_code(2);
    explained(&pair, "SOURCE/app:v1").expect_stdout(&[
        "not copied yet: the last run could not read all of the source:",
        "there is no such repository",
    ]);
}

#[test]
fn explains_failed_copy() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.source.lose_blob(&image.blobs[1].digest());
    pair.transship.run(&["sync"]).expect_code(2);
    let lost = image.blobs[1].digest();
    explained(&pair, "SOURCE/app:v1").expect_stdout(&["not copied yet:", &lost]);
}

#[test]
fn target_name_is_not_mirrored_again() {
    let team = "[[mirror]]\nname = \"team\"\nfrom = \"SOURCE/team/*\"\ntags = \"*\"\n";
    let pair = Pair::mirroring(&format!("{team}{}", all_tags_of("app")));
    pair.from.push("team/a", "v1", &Image::oci("a"));
    pair.from.push("app", "v1", &Image::oci("app"));
    pair.transship.sync();
    let said = explained(&pair, "TARGET/mirror/other:v1");
    let said = said.expect_stdout(&["is not mirrored", "lies where"]);
    assert!(!said.stdout.contains("[[mirror]]"), "{said}");
    let found = explained(&pair, "TARGET/mirror/team/a:v1");
    found.expect_stdout(&["is mirrored by `team`", "current"]);
    explained(&pair, "TARGET/elsewhere/app:v1").expect_stdout(&["[[mirror]]"]);
}

#[test]
fn finds_image_by_digest() {
    let image = Image::oci("one");
    let pair = Pair::holding(&image);
    pair.from.push("app", "also", &image);
    pair.transship.sync();
    let digest = image.digest();
    for name in ["SOURCE/app:v1", "TARGET/mirror/app:v1", "SOURCE/app"] {
        let said = explained(&pair, &format!("{name}@{digest}"));
        let said = said.expect_stdout(&["is mirrored by", "current, by the last check"]);
        let is_v1 = said.stdout.contains("/app:v1 is mirrored");
        assert!(is_v1 || name == "SOURCE/app", "{said}");
    }
    let other = format!(
        "{}/app:v1@{}",
        pair.source.host(),
        Image::oci("two").digest()
    );
    let said = pair.transship.run(&["explain", &other]).expect_code(64);
    said.expect_stderr(&["no tag is known that has, or had, this digest"]);
}

/// Two entries take one repository; the second names a tag, and gives it another name.
fn shared_repository() -> Pair {
    let two = "[[mirror]]\nname = \"all\"\nfrom = \"SOURCE/app\"\ntags = \"v*\"\n\
               [[mirror]]\nname = \"stable\"\nfrom = \"SOURCE/app:v1\"\ntag = \"stable\"\n\
               target = [\"TARGET/first\", \"TARGET/second\"]\n";
    let pair = Pair::mirroring(two);
    pair.from.push("app", "v1", &Image::oci("one"));
    pair.from.push("app", "v2", &Image::oci("two"));
    pair.transship.sync();
    pair
}

#[test]
fn explains_every_entry_of_an_image() {
    let pair = shared_repository();
    let said = explained(&pair, "SOURCE/app:v1");
    let said = said.expect_stdout(&["is mirrored by `stable`", "is mirrored by `all`"]);
    assert_eq!(said.stdout.matches("docker pull").count(), 3, "{said}");
    let image = format!("{}/app:v1", pair.source.host());
    let answer = pair.transship.run(&["--json", "explain", &image]).json();
    assert_eq!(answer["mirror"], "stable");
    assert_eq!(answer["others"][0]["mirror"], "all");
    let one = explained(&pair, "SOURCE/app:v2").expect_stdout(&["is mirrored by `all`"]);
    assert!(!one.stdout.contains("stable"), "{one}");
}

#[test]
fn explains_name_at_every_target() {
    let pair = shared_repository();
    for name in ["first", "second"] {
        let said = explained(&pair, &format!("TARGET/{name}/app:stable"));
        let said = said.expect_stdout(&["app:v1 is mirrored by `stable`", "current"]);
        assert!(!said.stdout.contains("[[mirror]]"), "{said}");
    }
}

#[test]
fn finds_image_by_digest_alone() {
    let image = Image::oci("one");
    let pair = shared_repository();
    let digest = image.digest();
    for name in [digest.clone(), format!("@{digest}")] {
        explained(&pair, &name).expect_stdout(&[
            "app:v1 is mirrored by `stable`",
            "app:v1 is mirrored by `all`",
        ]);
    }
    let other = Image::oci("three").digest();
    let said = pair.transship.run(&["explain", &other]).expect_code(64);
    said.expect_stderr(&["no tag is known that has, or had, this digest"]);
}
