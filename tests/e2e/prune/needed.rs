//! How a tag is deleted, and the digests that other tags need; and the name of the image before.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;

use crate::support::programs::pair::{Pair, between, fill_in, mirror_toml};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, redirect, refusal};
use crate::support::registries::fake_tokens::Habits;

fn selecting(tags: &str) -> String {
    format!("\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = {tags}\nprune = {{ after = \"7d\" }}\n")
}

/// Prunes what is no longer selected, once its time has come; what the command says.
fn prune(transship: &Transship) -> crate::support::programs::transship::Finished {
    transship.sync();
    transship.let_prunable_tags_wait(8);
    transship.run(&["prune", "--apply"]).expect_code(0)
}

#[test]
fn keeps_digest_shared_with_mirrored_tag() {
    let pair = Pair::mirroring(&selecting("\"*\""));
    for tag in ["v1", "v2"] {
        pair.from.push("app", tag, &Image::oci("one"));
    }
    pair.transship.sync();
    pair.reconfigure(&selecting("\"v2\""));
    prune(&pair.transship).expect_stdout(&["stays: the tag v2 needs its digest"]);
    pair.assert_mirrored(&[("app", "v2")]);
}

#[test]
fn keeps_digest_of_foreign_tag() {
    let pair = Pair::mirroring(&selecting("\"*\""));
    pair.from.push("app", "v1", &Image::oci("one"));
    pair.from.push("app", "v2", &Image::oci("two"));
    pair.transship.sync();
    pair.to.push("mirror/app", "theirs", &Image::oci("one"));
    pair.reconfigure(&selecting("\"v2\""));
    prune(&pair.transship).expect_stdout(&["stays: the tag theirs needs its digest"]);
    assert_eq!(pair.to.tags("mirror/app"), ["theirs", "v1", "v2"]);
}

#[test]
fn keeps_child_of_remaining_index() {
    let pair = Pair::mirroring(&selecting("\"*\""));
    let child = Image::oci_for("child", "linux/amd64");
    let index = Image::index(vec![child.clone(), Image::oci_for("b", "linux/arm64")]);
    pair.from.push("app", "multi", &index);
    pair.from.push("app", "amd64", &child);
    pair.transship.sync();
    pair.reconfigure(&selecting("\"multi\""));
    prune(&pair.transship).expect_stdout(&["stays: the tag multi needs its digest"]);
    pair.assert_mirrored(&[("app", "multi")]);
}

#[test]
fn deletes_tags_of_one_digest_together() {
    let pair = Pair::mirroring(&selecting("\"*\""));
    for (tag, image) in [("a", "one"), ("b", "one"), ("c", "two")] {
        pair.from.push("app", tag, &Image::oci(image));
    }
    pair.transship.sync();
    pair.reconfigure(&selecting("\"c\""));
    prune(&pair.transship);
    assert_eq!(pair.to.tags("mirror/app"), ["c"]);
    pair.assert_mirrored(&[("app", "c")]);
}

/// A fake target with `v1` and `v2` of one image, of which `v2` alone is selected now.
fn sharing() -> (Fake, Fake, Transship) {
    let (source, target) = (Fake::start(), Fake::start());
    for tag in ["v1", "v2"] {
        source.client().push("app", tag, &Image::oci("one"));
    }
    let transship = between(source.host(), target.host(), &selecting("\"*\""));
    transship.sync();
    let text = std::fs::read_to_string(transship.path().join("mirror.toml")).unwrap();
    transship.write(
        "mirror.toml",
        &text.replace("tags = \"*\"", "tags = \"v2\""),
    );
    (source, target, transship)
}

#[test]
fn deletes_single_tag_where_supported() {
    let (_source, target, transship) = sharing();
    prune(&transship).expect_stdout(&["v1", "deleted"]);
    assert_eq!(target.client().tags("mirror/app"), ["v2"]);
}

#[test]
fn deletes_through_harbor_api() {
    let (_source, target, transship) = sharing();
    target.rule(|request| match request.method.as_str() {
        "DELETE" if request.path.starts_with("/api/v2.0/") => {
            Verdict::Answer(answer(200, &json!({})))
        }
        "DELETE" => Verdict::Answer(refusal(405, "UNSUPPORTED")),
        _ => Verdict::Serve,
    });
    prune(&transship).expect_stdout(&["v1", "deleted"]);
    let requests = target.requests();
    let deletes = requests.iter().filter(|r| r.method == "DELETE");
    assert_eq!(
        deletes.map(|r| r.path.as_str()).collect::<Vec<_>>(),
        [
            "/v2/mirror/app/manifests/v1",
            "/api/v2.0/projects/mirror/repositories/app/artifacts/v1/tags/v1"
        ]
    );
}

fn deletes_with(habits: Habits) {
    let (_source, target, transship) = sharing();
    target.demand_tokens(habits);
    prune(&transship).expect_stdout(&["v1", "deleted"]);
    assert_eq!(target.client().tags("mirror/app"), ["v2"]);
}

#[test]
fn requests_delete_scope() {
    deletes_with(Habits::default());
}

#[test]
fn works_without_delete_scope() {
    deletes_with(Habits {
        is_quay: true,
        ..Habits::default()
    });
}

#[test]
fn redirected_delete_is_no_deletion() {
    let (_source, target, transship) = sharing();
    target.rule(|request| match request.method.as_str() {
        "DELETE" => Verdict::Answer(redirect("/login")),
        _ => Verdict::Serve,
    });
    transship.sync();
    transship.let_prunable_tags_wait(8);
    let said = transship.run(&["prune", "--apply"]).expect_code(1);
    said.expect_stdout(&["the write was redirected"]);
}

#[test]
fn forbidden_delete_fails_only_itself() {
    let (_source, target, transship) = sharing();
    target.rule(|request| match request.method.as_str() {
        "DELETE" => Verdict::Answer(refusal(403, "DENIED")),
        _ => Verdict::Serve,
    });
    transship.sync();
    transship.let_prunable_tags_wait(8);
    let failed = transship.run(&["--json", "sync"]).expect_code(1).json();
    assert_eq!(sum(&failed, "/tags/unchanged"), 1, "{failed:#}");
    assert_eq!(failed["mirrors"][0]["errors"][0]["class"], "denied");
    assert_eq!(target.client().tags("mirror/app"), ["v1", "v2"]);
}

#[test]
fn backup_tag_keeps_previous_image() {
    let pair = Pair::mirroring(
        "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"latest\"\nbackup_tag = \"{tag}.prev\"\n",
    );
    pair.from.push("app", "latest", &Image::oci("before"));
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["latest"]);
    pair.from.push("app", "latest", &Image::oci("after"));
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "latest")]);
    let kept = pair.to.manifest("mirror/app", "latest.prev").unwrap();
    assert_eq!(kept.digest, Image::oci("before").digest());
    pair.transship.sync();
    let kept = pair.to.manifest("mirror/app", "latest.prev").unwrap();
    assert_eq!(kept.digest, Image::oci("before").digest());
}

#[test]
fn selection_never_prunes_signatures() {
    let keys = "tags = \"v*\"\nreferrers = true\nprune = { after = \"7d\" }\n";
    let pair = Pair::mirroring(&format!("\n[[mirror]]\nfrom = \"SOURCE/app\"\n{keys}"));
    let image = Image::oci("app");
    let tag = image.digest().replace(':', "-") + ".sig";
    pair.from.push("app", "v1", &image);
    pair.from.push("app", &tag, &Image::artifact("signature"));
    pair.transship.sync();
    prune(&pair.transship).expect_stdout(&["every tag is mirrored"]);
    pair.assert_mirrored(&[("app", "v1"), ("app", &tag)]);
}

#[test]
fn shared_tag_goes_with_last_route() {
    let named = |tags: &[&str]| {
        let from: Vec<_> = tags
            .iter()
            .map(|tag| format!("\"SOURCE/app:{tag}\""))
            .collect();
        let from = from.join(", ");
        format!("\n[[mirror]]\nname = \"m\"\nfrom = [{from}]\nprune = {{ after = \"7d\" }}\n")
    };
    let pair = Pair::mirroring(&named(&["v1", "v2", "v3"]));
    for tag in ["v1", "v2", "v3"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.reconfigure(&named(&["v2", "v3"]));
    pair.transship.sync();
    pair.transship.let_prunable_tags_wait(8);
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
    assert_eq!(pair.to.tags("mirror/app"), ["v2", "v3"]);
}

/// Two mirrors of one repository, each with its tags, the first of them pruned.
fn two_mirrors(first: &str, second: &str) -> String {
    let entry = |name: &str, tags: &str, keys: &str| {
        format!("\n[[mirror]]\nname = \"{name}\"\nfrom = \"SOURCE/app\"\ntags = {tags}\n{keys}")
    };
    entry("first", first, "prune = { after = \"7d\" }\n") + &entry("second", second, "")
}

#[test]
fn keeps_tag_selected_by_other_entry() {
    let pair = Pair::mirroring(&two_mirrors("[\"a\", \"b\"]", "\"c\""));
    for tag in ["a", "b", "c"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.reconfigure(&two_mirrors("\"a\"", "[\"b\", \"c\"]"));
    // The other mirror has not run since.
    pair.transship.run(&["sync", "first"]).expect_code(0);
    pair.transship.let_prunable_tags_wait(8);
    let left = pair.transship.run(&["prune", "--apply", "first"]);
    left.expect_code(0)
        .expect_stdout(&["every tag is mirrored"]);
    pair.transship.run(&["sync", "second"]).expect_code(0);
    let owner = "SELECT mirror FROM tags WHERE tag = 'b' AND prunable_since IS NULL";
    assert_eq!(pair.transship.ask_store(owner), "second");
    let said = pair.transship.run(&["prune"]).expect_code(0);
    said.expect_stdout(&["every tag is mirrored"]);
    assert_eq!(pair.to.tags("mirror/app"), ["a", "b", "c"]);
}

#[test]
fn keeps_digest_needed_since_deletion_began() {
    let (source, target) = (Fake::start(), Fake::start());
    let child = Image::oci("child");
    let index = Image::index(vec![child.clone(), Image::oci_for("b", "linux/arm64")]);
    let images = [("v1", &child), ("v2", &Image::oci("v2")), ("multi", &index)];
    for (tag, image) in images {
        source.client().push("app", tag, image);
    }
    let text = |first| two_mirrors(first, "\"multi\"");
    let transship = between(source.host(), target.host(), &text("[\"v1\", \"v2\"]"));
    transship.run(&["sync", "first"]).expect_code(0);
    let config = fill_in(&mirror_toml(&text("\"v2\"")), source.host(), target.host());
    transship.write("mirror.toml", &config);
    transship.run(&["sync", "first"]).expect_code(0);
    transship.let_prunable_tags_wait(8);
    // The second mirror looks at its source once the first reads what the tags lead to.
    let (gate, opened) = watch::channel(false);
    source.rule(move |request| match request.path.ends_with("/multi") {
        true => Verdict::ServeBehind(opened.clone()),
        false => Verdict::Serve,
    });
    let v2 = Image::oci("v2").digest();
    target.rule(move |request| match request.method.as_str() {
        "DELETE" if !request.path.contains("sha256:") => {
            Verdict::Answer(refusal(405, "UNSUPPORTED"))
        }
        "GET" if request.path.ends_with(&v2) => {
            gate.send_replace(true);
            // Time enough for a run that does not wait.
            Verdict::ServeAt(Instant::now() + Duration::from_secs(1))
        }
        _ => Verdict::Serve,
    });
    transship.sync();
    let requests = target.requests();
    let deletes = requests.iter().filter(|r| r.method == "DELETE");
    assert!(deletes.clone().any(|r| r.path.ends_with(&child.digest())));
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "multi");
    assert!(to.manifest("mirror/app", &child.digest()).is_some());
}
