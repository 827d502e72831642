//! Tags that are no longer mirrored are deleted in two steps, and never on a listing's bad word.

use serde_json::{Value, json};

use crate::support::programs::pair::{Pair, between};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, refusal};
use crate::support::registries::requests::{assert_only_reads, count};

const PRUNED: &str =
    "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nprune = { after = \"7d\" }\n";

/// What `prune` says of the tags of the only target repository, as `(tag, action)`.
fn fates(report: &Value) -> Vec<(String, String)> {
    let tags = report["mirrors"][0]["targets"][0]["tags"].as_array();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let tags = tags.into_iter().flatten();
    tags.map(|tag| (word(&tag["tag"]), word(&tag["action"])))
        .collect()
}

fn pruned(transship: &Transship) -> String {
    transship.ask_store("SELECT tag FROM changes WHERE kind = 'pruned' ORDER BY tag")
}

/// A pair that mirrored `old` and `new`, of which the source has lost `old`.
fn orphaning() -> Pair {
    let pair = Pair::mirroring(PRUNED);
    for tag in ["old", "new"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.from
        .delete_manifest("app", &Image::oci("old").digest());
    pair
}

#[test]
fn deletes_orphan_after_wait_and_recheck() {
    let pair = orphaning();
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["new", "old"]);
    let said = pair.transship.run(&["prune"]).expect_code(0);
    said.expect_stdout(&["stays until", "no longer at the source"]);
    pair.transship.let_prunable_tags_wait(6);
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["new", "old"]);
    pair.transship.let_prunable_tags_wait(2);
    let plan = pair.transship.run(&["plan"]).expect_code(0);
    plan.expect_stdout(&["delete: no longer at the source"]);
    let report = pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["new"]);
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
    assert_eq!(pruned(&pair.transship), "old");
    assert_eq!(sum(&pair.transship.sync(), "/tags/orphaned"), 0);
}

#[test]
fn prune_without_apply_writes_nothing() {
    let pair = orphaning();
    pair.transship.sync();
    pair.transship.let_prunable_tags_wait(8);
    pair.ignore_requests();
    let dry = pair.transship.run(&["--json", "prune"]).expect_code(0);
    assert_eq!(fates(&dry.json()), [("old".into(), "delete".into())]);
    assert_only_reads(&pair.target.new_requests());
    assert_eq!(pair.to.tags("mirror/app"), ["new", "old"]);
    let done = pair.transship.run(&["prune", "--apply"]).expect_code(0);
    done.expect_stdout(&["old", "deleted: no longer at the source"]);
    assert_eq!(pair.to.tags("mirror/app"), ["new"]);
    let again = pair.transship.run(&["prune", "--apply"]).expect_code(0);
    again.expect_stdout(&["every tag is mirrored"]);
}

#[test]
fn returning_tag_is_not_pruned() {
    let pair = orphaning();
    pair.transship.sync();
    pair.from.push("app", "old", &Image::oci("old"));
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.sync();
    let since = "SELECT COUNT(*) FROM tags WHERE prunable_since IS NOT NULL";
    assert_eq!(pair.transship.ask_store(since), "0");
    assert_eq!(pair.to.tags("mirror/app"), ["new", "old"]);
}

#[test]
fn never_deletes_without_prune() {
    let pair = orphaning();
    pair.reconfigure("\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\n");
    pair.transship.sync();
    let said = pair.transship.run(&["prune", "--apply"]).expect_code(0);
    said.expect_stdout(&["no mirror has `prune`"]);
    let since = "SELECT COUNT(*) FROM tags WHERE prunable_since IS NOT NULL";
    assert_eq!(pair.transship.ask_store(since), "0");
}

#[test]
fn prunes_deselected_but_keeps_newest() {
    let pair = Pair::mirroring(PRUNED);
    for tag in ["v1", "v2", "v3", "v4"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    let ages = "UPDATE tags SET mirrored_at = mirrored_at - 100 * (5 - substr(tag, 2))";
    pair.transship.ask_store(ages);
    pair.reconfigure(
        "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v4\"\nprune = { keep = 2, after = \"7d\" }\n",
    );
    pair.transship.sync();
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["v2", "v3", "v4"]);
}

#[test]
fn never_prunes_foreign_tags() {
    let pair = orphaning();
    pair.to.push("mirror/app", "theirs", &Image::oci("theirs"));
    pair.transship.sync();
    pair.to.push("mirror/app", "old", &Image::oci("moved"));
    pair.transship.let_prunable_tags_wait(8);
    let said = pair.transship.run(&["prune", "--apply"]).expect_code(0);
    said.expect_stdout(&["somebody else has moved it"]);
    assert_eq!(pair.to.tags("mirror/app"), ["new", "old", "theirs"]);
}

/// A fake source that lists what the rule says, and a real one's tags `a`, `b` and `c` mirrored;
/// `a` is due to be pruned before the listing goes bad.
fn due_before(bad: impl Fn() -> axum::http::Response<axum::body::Body> + Send + 'static) {
    let (source, target) = (Fake::start(), Fake::start());
    for tag in ["a", "b", "c"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    let transship = between(source.host(), target.host(), PRUNED);
    transship.sync();
    source
        .client()
        .delete_manifest("app", &Image::oci("a").digest());
    transship.sync();
    transship.let_prunable_tags_wait(8);
    source.rule(move |request| match request.is_tag_list() {
        true => Verdict::Answer(bad()),
        false => Verdict::Serve,
    });
    transship.run(&["sync"]);
    transship.run(&["prune", "--apply"]);
    assert_eq!(target.client().tags("mirror/app"), ["a", "b", "c"]);
}

#[test]
fn failed_listing_prunes_nothing() {
    due_before(|| refusal(403, "DENIED"));
}

#[test]
fn empty_listing_prunes_nothing() {
    due_before(|| answer(200, &json!({ "name": "app", "tags": [] })));
    due_before(|| answer(200, &json!({ "name": "app", "tags": null })));
}

#[test]
fn truncated_listing_prunes_nothing() {
    due_before(|| {
        let mut page = answer(200, &json!({ "name": "app", "tags": ["b"] }));
        let next = "</v2/app/tags/list?last=b>; rel=\"next\"".parse().unwrap();
        page.headers_mut().insert("link", next);
        page
    });
    due_before(|| refusal(404, "NAME_UNKNOWN"));
}

#[test]
fn max_share_refuses_mass_deletion() {
    let (source, target) = (Fake::start(), Fake::start());
    let tags: Vec<String> = (0..12).map(|number| format!("t{number:02}")).collect();
    for tag in &tags {
        source.client().push("app", tag, &Image::oci(tag));
    }
    let transship = between(source.host(), target.host(), PRUNED);
    transship.sync();
    for tag in &tags[2..] {
        let digest = Image::oci(tag).digest();
        source.client().delete_manifest("app", &digest);
    }
    transship.sync();
    transship.let_prunable_tags_wait(8);
    transship.sync();
    let refused = transship.run(&["prune", "--apply"]).expect_code(1);
    refused.expect_stdout(&[
        "10 of 12 tags at once look like a mistake",
        "--ignore-max-share",
    ]);
    assert_eq!(target.client().tags("mirror/app"), tags);
    transship
        .run(&["prune", "--apply", "--however-many"])
        .expect_code(0);
    transship.let_prunable_tags_wait(8);
    transship.sync();
    assert_eq!(target.client().tags("mirror/app"), ["t00", "t01"]);
    let deletes = count(&target.requests(), |request| request.method == "DELETE");
    assert_eq!(deletes, 10);
}

/// A source whose list lacks the tag `a`, which it has, as far as GET finds it.
fn unlisted(finds_by_head: bool) {
    let (source, target) = (Fake::start(), Fake::start());
    for tag in ["a", "b"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    let transship = between(source.host(), target.host(), PRUNED);
    transship.sync();
    source.rule(move |request| {
        let is_asked = request.method == "HEAD" && request.path.ends_with("/manifests/a");
        match request.is_tag_list() {
            true => Verdict::Answer(answer(200, &json!({ "tags": ["b"] }))),
            false if is_asked && !finds_by_head => {
                Verdict::Answer(refusal(404, "MANIFEST_UNKNOWN"))
            }
            false => Verdict::Serve,
        }
    });
    transship.sync();
    transship.let_prunable_tags_wait(8);
    let said = transship.run(&["prune", "--apply"]).expect_code(0);
    said.expect_stdout(&["the source has it, and leaves it out of its list of tags"]);
    assert_eq!(target.client().tags("mirror/app"), ["a", "b"]);
}

#[test]
fn unlisted_but_present_tag_is_not_pruned() {
    unlisted(true);
}

#[test]
fn slow_cache_tag_is_not_pruned() {
    unlisted(false);
}

#[test]
fn patterns_of_one_entry_keep_each_other() {
    let pair = Pair::mirroring(
        "\n[[mirror]]\nfrom = [\"SOURCE/team/*:latest\", \"SOURCE/team/*:stable\"]\n\
         prune = { after = \"7d\" }\n",
    );
    for tag in ["latest", "stable"] {
        pair.from.push("team/app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.transship.sync();
    let since = "SELECT COUNT(*) FROM tags WHERE prunable_since IS NOT NULL";
    assert_eq!(pair.transship.ask_store(since), "0");
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/team/app"), ["latest", "stable"]);
}

#[test]
fn prunes_nothing_once_after_tag_order_changed() {
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\nlatest = 1\nprune = { after = \"7d\" }\n";
    let pair = Pair::mirroring(entry);
    for tag in ["1.0.0", "1.1.0"] {
        pair.from.push("app", tag, &Image::oci(tag));
        pair.transship.sync();
    }
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.forget_tag_order();
    let said = pair.transship.run(&["sync"]).expect_code(0);
    said.expect_stderr(&["the order by which `latest` chooses tags changed"]);
    assert_eq!(pair.to.tags("mirror/app"), ["1.0.0", "1.1.0"]);
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["1.1.0"]);
}

#[test]
fn renamed_mirror_skips_one_prune() {
    let entry = |name: &str| {
        format!(
            "\n[[mirror]]\nname = \"{name}\"\nfrom = \"SOURCE/app\"\nlatest = 1\nprune = {{ after = \"7d\" }}\n"
        )
    };
    let pair = Pair::mirroring(&entry("old"));
    for tag in ["1.0.0", "1.1.0"] {
        pair.from.push("app", tag, &Image::oci(tag));
        pair.transship.sync();
    }
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.forget_tag_order();
    pair.reconfigure(&entry("new"));
    let said = pair.transship.run(&["sync"]).expect_code(0);
    said.expect_stderr(&["the order by which `latest` chooses tags changed"]);
    assert_eq!(pair.to.tags("mirror/app"), ["1.0.0", "1.1.0"]);
    let said = pair.transship.run(&["sync"]).expect_code(0);
    assert!(!said.stderr.contains("chooses tags changed"), "{said}");
    assert_eq!(pair.to.tags("mirror/app"), ["1.1.0"]);
}

#[test]
fn renamed_entry_keeps_its_wait() {
    let entries = |name: &str| {
        format!(
            "\n[[mirror]]\nname = \"quick\"\nfrom = \"SOURCE/app\"\ntags = \"b*\"\n\
             prune = {{ after = \"1h\" }}\n\
             [[mirror]]\nname = \"{name}\"\nfrom = [\"SOURCE/app:a\"]\nprune = {{ after = \"7d\" }}\n"
        )
    };
    let pair = Pair::mirroring(&entries("slow"));
    pair.from.push("app", "a", &Image::oci("a"));
    pair.from.push("app", "b", &Image::oci("b"));
    pair.transship.sync();
    let lost = Image::oci("a").digest();
    pair.from.delete_manifest("app", &lost);
    pair.transship.run(&["sync"]).expect_code(1);
    pair.transship.let_prunable_tags_wait(2);
    pair.reconfigure(&entries("renamed"));
    pair.transship.run(&["sync"]).expect_code(1);
    assert_eq!(pair.to.tags("mirror/app"), ["a", "b"]);
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.run(&["sync"]).expect_code(1);
    assert_eq!(pair.to.tags("mirror/app"), ["b"]);
}

#[test]
fn lowest_max_share_refuses_for_all_entries() {
    let entry = |part: &str, share: &str| {
        format!(
            "\n[[mirror]]\nname = \"{part}\"\nfrom = \"SOURCE/app\"\ntags = \"{part}*\"\n\
             prune = {{ after = \"7d\", max_share = {share} }}\n"
        )
    };
    let pair = Pair::mirroring(&(entry("a", "0.5") + &entry("b", "1.0")));
    let tags = ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"];
    for tag in tags {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    for tag in tags.into_iter().filter(|tag| !tag.ends_with('0')) {
        pair.from.delete_manifest("app", &Image::oci(tag).digest());
    }
    for _ in 0..3 {
        pair.transship.sync();
        pair.transship.let_prunable_tags_wait(8);
    }
    assert_eq!(pair.to.tags("mirror/app"), tags);
    let ignoring = ["prune", "--apply", "--ignore-max-share"];
    pair.transship.run(&ignoring).expect_code(0);
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["a0", "b0"]);
}
