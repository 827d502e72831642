//! A target repository is judged whole: over all routes that write there, on evidence alone.

use serde_json::{Value, json};

use crate::support::programs::pair::{Pair, between, fill_in, mirror_toml};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, refusal};

/// Two fakes, and `transship` between them, which has mirrored these tags of `app`.
fn mirrored(tags: &[&str], mirrors: &str) -> (Fake, Fake, Transship) {
    let (source, target) = (Fake::start(), Fake::start());
    for tag in tags {
        source.client().push("app", tag, &Image::oci(tag));
    }
    let transship = between(source.host(), target.host(), mirrors);
    transship.sync();
    (source, target, transship)
}

fn reconfigure(transship: &Transship, source: &Fake, target: &Fake, mirrors: &str) {
    let text = fill_in(&mirror_toml(mirrors), source.host(), target.host());
    transship.write("mirror.toml", &text);
}

fn delete(source: &Fake, tag: &str) {
    source
        .client()
        .delete_manifest("app", &Image::oci(tag).digest());
}

/// Syncs, lets eight days pass for what is to be pruned, and syncs again.
fn sync_a_week_apart(transship: &Transship) {
    transship.run(&["sync"]);
    transship.let_prunable_tags_wait(8);
    transship.run(&["sync"]);
}

fn lists(
    tags: &'static [&'static str],
) -> impl FnMut(&crate::support::registries::requests::Request) -> Verdict {
    move |request| match request.is_tag_list() {
        true => Verdict::Answer(answer(200, &json!({ "name": "app", "tags": tags }))),
        false => Verdict::Serve,
    }
}

fn first_target(status: &Value) -> &Value {
    &status["mirrors"][0]["targets"][0]
}

#[test]
fn summary_counts_pruned_tags() {
    let tags = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nprune = { after = \"7d\" }\n";
    let (source, _target, transship) = mirrored(&tags, entry);
    delete(&source, "t7");
    transship.run(&["sync"]).expect_code(0);
    transship.let_prunable_tags_wait(8);
    let said = transship.run(&["sync"]).expect_code(0);
    said.expect_stdout(&["7 unchanged, 1 no longer at the source, 1 pruned"]);
}

#[test]
fn vanished_repository_prunes_no_named_tags() {
    let tags = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
    let from: Vec<String> = tags.iter().map(|t| format!("\"SOURCE/app:{t}\"")).collect();
    let entry = format!(
        "\n[[mirror]]\nfrom = [{}]\nprune = {{ after = \"7d\" }}\n",
        from.join(", ")
    );
    let (source, target, transship) = mirrored(&tags, &entry);
    source.rule(|request| match request.path.contains("/app/") {
        true => Verdict::Answer(refusal(404, "NAME_UNKNOWN")),
        false => Verdict::Serve,
    });
    for _ in 0..2 {
        let report = transship.run(&["--json", "sync"]).expect_code(2).json();
        assert_eq!(sum(&report, "/tags/failed"), 8, "{report:#}");
        transship.let_prunable_tags_wait(8);
    }
    assert_eq!(target.client().tags("mirror/app"), tags);
}

#[test]
fn max_share_counts_named_tags_together() {
    let tags = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
    let from: Vec<String> = tags.iter().map(|t| format!("\"SOURCE/app:{t}\"")).collect();
    let entry = format!(
        "\n[[mirror]]\nfrom = [{}]\nprune = {{ after = \"7d\" }}\n",
        from.join(", ")
    );
    let (source, target, transship) = mirrored(&tags, &entry);
    tags[..6].iter().for_each(|tag| delete(&source, tag));
    sync_a_week_apart(&transship);
    assert_eq!(target.client().tags("mirror/app"), tags);
    let said = transship.run(&["prune", "--apply"]);
    said.expect_stdout(&["6 of 8 tags at once look like a mistake"]);
}

#[test]
fn named_tag_is_pruned_beside_another_route() {
    let glob = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nprune = { after = \"7d\" }\n";
    let named =
        "\n[[mirror]]\nfrom = [\"SOURCE/app:a\", \"SOURCE/app:b\"]\nprune = { after = \"7d\" }\n";
    for entries in [named.to_owned(), format!("{named}{glob}")] {
        let (source, target, transship) = mirrored(&["a", "b"], &entries.replace("v*", "b*"));
        delete(&source, "a");
        // Checks every two days: none of them clears what another one noted.
        for _ in 0..5 {
            transship.run(&["sync"]);
            transship.let_prunable_tags_wait(2);
        }
        assert_eq!(target.client().tags("mirror/app"), ["b"], "{entries}");
        // It fails as long as the file names it.
        let failed = transship.run(&["--json", "sync"]).expect_code(1).json();
        let error = &failed["mirrors"][0]["errors"][0];
        assert_eq!(error["class"], "not_found");
    }
}

#[test]
fn empty_listing_fails_and_keeps_lag() {
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nmin_tags = 0\n";
    let (source, target, transship) = mirrored(&["a", "b"], entry);
    transship.ask_store("UPDATE tags SET lagging_since = 1000 WHERE tag = 'a'");
    source.rule(lists(&[]));
    let failed = transship.run(&["--json", "sync"]).expect_code(2).json();
    assert_eq!(failed["mirrors"][0]["errors"][0]["class"], "refused");
    let since = "SELECT lagging_since FROM tags WHERE tag = 'a'";
    assert_eq!(transship.ask_store(since), "1000");
    assert_eq!(target.client().tags("mirror/app"), ["a", "b"]);
}

#[test]
fn unlisted_tag_keeps_its_lag() {
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\n";
    let (source, _target, transship) = mirrored(&["a", "b"], entry);
    transship.ask_store("UPDATE tags SET lagging_since = 1000 WHERE tag = 'a'");
    source.rule(lists(&["b"]));
    transship.sync();
    let since = "SELECT lagging_since, is_orphaned FROM tags WHERE tag = 'a'";
    assert_eq!(transship.ask_store(since), "1000|0");
}

#[test]
fn lag_ends_where_no_route_writes() {
    let entry = |path: &str| {
        format!(
            "\n[[mirror]]\nname = \"m\"\nfrom = \"SOURCE/app\"\ntags = \"*\"\npath = \"{path}\"\n"
        )
    };
    let (source, target, transship) = mirrored(&["a"], &entry("one"));
    transship.ask_store("UPDATE tags SET lagging_since = 1000");
    reconfigure(&transship, &source, &target, &entry("two"));
    transship.sync();
    let status = transship.status();
    assert_eq!(first_target(&status)["lag_seconds"], 0);
    assert_eq!(first_target(&status)["tags"], 1);
}

#[test]
fn entries_that_delete_digests_do_not_fail_each_other() {
    let entry = |name: &str, tags: &str| {
        format!(
            "\n[[mirror]]\nname = \"{name}\"\nfrom = \"SOURCE/app\"\ntags = \"{tags}\"\nmin_tags = 0\nprune = {{ after = \"7d\" }}\n"
        )
    };
    let both = format!("{}{}", entry("first", "a*"), entry("second", "b*"));
    let pair = Pair::mirroring(&both);
    // `a1` and `b1` stand for one digest: neither goes without the other.
    for (tag, image) in [("a1", "one"), ("b1", "one"), ("a2", "two"), ("b2", "three")] {
        pair.from.push("app", tag, &Image::oci(image));
    }
    pair.from.push("app", "a3", &Image::oci("four"));
    pair.transship.sync();
    for image in ["one", "two", "three"] {
        pair.from
            .delete_manifest("app", &Image::oci(image).digest());
    }
    pair.transship.sync();
    pair.transship.let_prunable_tags_wait(8);
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
    assert_eq!(pair.to.tags("mirror/app"), ["a3"]);
    pair.transship.run(&["plan", "--exit-code"]).expect_code(0);
}

#[test]
fn deselected_tag_removed_by_hand_is_released() {
    let entry = |tags: &str| format!("\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"{tags}\"\n");
    let (source, target, transship) = mirrored(&["a", "b"], &entry("*"));
    reconfigure(&transship, &source, &target, &entry("a"));
    transship.sync();
    target
        .client()
        .delete_manifest("mirror/app", &Image::oci("b").digest());
    transship.run(&["verify"]);
    let damaged = |status: &Value| first_target(status)["damaged"].clone();
    assert_eq!(damaged(&transship.status()), 0);
    transship.sync();
    let status = transship.status();
    assert_eq!(
        (damaged(&status), &first_target(&status)["tags"]),
        (json!(0), &json!(1))
    );
}

#[test]
fn moved_source_clears_damage() {
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\n";
    let (source, target, transship) = mirrored(&["a"], entry);
    target
        .client()
        .delete_manifest("mirror/app", &Image::oci("a").digest());
    transship.run(&["verify"]);
    transship.ask_store("UPDATE tags SET damaged_at = damaged_at - 60");
    source.client().push("app", "a", &Image::oci("moved"));
    transship.sync();
    assert_eq!(first_target(&transship.status())["damaged"], 0);
}

/// Prunes what `before` mirrored and `after` no longer names; what is left at the target.
fn succeeded(before: &str, after: &str) -> Vec<String> {
    let (source, target, transship) = mirrored(&["a", "b", "c"], before);
    reconfigure(&transship, &source, &target, after);
    sync_a_week_apart(&transship);
    target.client().tags("mirror/app")
}

#[test]
fn successor_prunes_what_an_entry_left() {
    let entry = |name: &str, keys: &str| {
        format!(
            "\n[[mirror]]\nname = \"{name}\"\nfrom = \"SOURCE/app\"\n{keys}\nprune = {{ after = \"7d\" }}\n"
        )
    };
    let all = entry("old", "tags = \"*\"");
    assert_eq!(succeeded(&all, &entry("new", "tags = \"a\"")), ["a"]);
    let suffixed = entry("old", "tags = \"*\"\ntag = \"{tag}-x\"");
    let mut left = succeeded(&all, &suffixed);
    left.sort();
    assert_eq!(left, ["a-x", "b-x", "c-x"]);
    assert_eq!(succeeded(&suffixed, &all), ["a", "b", "c"]);
}

#[test]
fn what_slid_out_of_overlapping_globs_is_pruned() {
    let entries = "\n[[mirror]]\nname = \"newest\"\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nlatest = 1\n\
                   prune = { after = \"7d\" }\n\
                   [[mirror]]\nname = \"some\"\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nlatest = 2\n\
                   prune = { after = \"7d\" }\n";
    let (source, target, transship) = mirrored(&["v1", "v2"], entries);
    for tag in ["v3", "v4"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    sync_a_week_apart(&transship);
    assert_eq!(target.client().tags("mirror/app"), ["v3", "v4"]);
}

#[test]
fn backup_spares_a_mirrored_tag() {
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nbackup_tag = \"{tag}.prev\"\n";
    let (source, target, transship) = mirrored(&["a", "a.prev"], entry);
    source.client().push("app", "a", &Image::oci("moved"));
    transship.sync();
    let kept = target.client().manifest("mirror/app", "a.prev").unwrap();
    assert_eq!(
        kept.bytes,
        source.client().manifest("app", "a.prev").unwrap().bytes
    );
}

#[test]
fn plan_names_no_deletion_that_sync_leaves() {
    let entry = |tags: &str| {
        format!(
            "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"{tags}\"\nprune = {{ after = \"7d\" }}\n"
        )
    };
    let pair = Pair::mirroring(&entry("*"));
    for (tag, image) in [("a", "one"), ("b", "one"), ("c", "two"), ("d", "three")] {
        pair.from.push("app", tag, &Image::oci(image));
    }
    pair.transship.sync();
    pair.reconfigure(&entry("a"));
    pair.transship.sync();
    // `b` shares its digest with `a`, and somebody moves `c`.
    pair.to.push("mirror/app", "c", &Image::oci("moved"));
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["a", "b", "c"]);
    pair.transship.run(&["plan", "--exit-code"]).expect_code(0);
    let said = pair.transship.run(&["prune"]).expect_code(0);
    said.expect_stdout(&["the tag a needs its digest", "somebody else has moved it"]);
}

#[test]
fn returning_tag_is_no_orphan() {
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\n";
    let (source, _target, transship) = mirrored(&["a", "b"], entry);
    delete(&source, "a");
    transship.sync();
    assert_eq!(first_target(&transship.status())["orphaned"], 1);
    source.client().push("app", "a", &Image::oci("a"));
    transship.sync();
    assert_eq!(first_target(&transship.status())["orphaned"], 0);
}

#[test]
fn behind_names_the_tag_at_the_source() {
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\ntag = \"{tag}-x\"\n";
    let (source, _target, transship) = mirrored(&["a"], entry);
    transship.ask_store("UPDATE tags SET lagging_since = 1000");
    let behind = transship.status()["mirrors"][0]["behind"][0]["source"].clone();
    assert_eq!(behind, format!("{}/app:a", source.host()));
}

#[test]
fn referrer_comes_back_with_a_pruned_image() {
    let kind = "application/vnd.dev.cosign.artifact.sig.v1+json";
    let (image, other) = (Image::oci("app"), Image::oci("other"));
    let signature = Image::referring(kind, &image);
    let pair = Pair::mirroring(
        "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nreferrers = true\nprune = { after = \"7d\" }\n",
    );
    let list = Image::index(vec![signature.clone()]);
    let push = || {
        pair.from.push("app", "v1", &image);
        pair.from
            .push("app", &image.digest().replace(':', "-"), &list);
    };
    push();
    pair.from.push("app", "v2", &other);
    pair.transship.sync();
    pair.from.delete_manifest("app", &image.digest());
    pair.transship.sync();
    pair.transship.let_prunable_tags_wait(8);
    pair.transship.sync();
    assert_eq!(pair.to.manifest("mirror/app", "v1").map(|_| ()), None);
    // The registry takes along what referred to it.
    pair.to.delete_manifest("mirror/app", &signature.digest());
    push();
    pair.transship.sync();
    assert!(
        pair.to
            .manifest("mirror/app", &signature.digest())
            .is_some()
    );
}

#[test]
fn vanished_named_tag_fails_until_removed_from_the_file() {
    let entry = |from: &str| format!("\n[[mirror]]\nname = \"m\"\nfrom = [{from}]\n");
    let both = entry("\"SOURCE/app:a\", \"SOURCE/app:b\"");
    let (source, target, transship) = mirrored(&["a", "b"], &both);
    delete(&source, "a");
    for _ in 0..2 {
        let failed = transship.run(&["sync"]).expect_code(1);
        failed.expect_stdout(&["correct the tag in `from`, or remove it there"]);
        assert_ne!(transship.status()["mirrors"][0]["state"], "in sync");
    }
    reconfigure(&transship, &source, &target, &entry("\"SOURCE/app:b\""));
    transship.sync();
    assert_eq!(transship.status()["mirrors"][0]["state"], "in sync");
    transship.run(&["plan", "--exit-code"]).expect_code(0);
}

#[test]
fn repository_that_leaves_lags_no_longer() {
    let entry = |from: &str| format!("\n[[mirror]]\nname = \"m\"\nfrom = {from}\ntags = \"*\"\n");
    let lag = |before: &str, after: &str, catalog: Value| {
        let (source, target) = (Fake::start(), Fake::start());
        for name in ["app", "tool"] {
            source.client().push(name, "a", &Image::oci(name));
        }
        let found = std::sync::Arc::new(std::sync::Mutex::new(json!(["app", "tool"])));
        let listed = found.clone();
        source.rule(move |request| match request.path.ends_with("/_catalog") {
            true => {
                let names = listed.lock().unwrap().clone();
                Verdict::Answer(answer(200, &json!({ "repositories": names })))
            }
            false => Verdict::Serve,
        });
        let transship = between(source.host(), target.host(), &entry(before));
        transship.sync();
        transship.ask_store("UPDATE tags SET lagging_since = 1000 WHERE source LIKE '%/tool'");
        *found.lock().unwrap() = catalog;
        reconfigure(&transship, &source, &target, &entry(after));
        transship.sync();
        let status = transship.status();
        let shown = first_target(&status);
        (shown["lag_seconds"].clone(), shown["tags"].clone())
    };
    let both = "[\"SOURCE/app\", \"SOURCE/tool\"]";
    let left = (json!(0), json!(1));
    assert_eq!(lag(both, "\"SOURCE/app\"", json!([])), left);
    let all = "\"SOURCE/*\"";
    assert_eq!(lag(all, all, json!(["app"])), left);
}

#[test]
fn clock_that_was_ahead_delays_neither_prune_nor_repair() {
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nprune = { after = \"7d\" }\n";
    let (source, target, transship) = mirrored(&["a", "b"], entry);
    delete(&source, "a");
    transship.sync();
    let year = 366 * 24 * 3600;
    transship.ask_store(&format!(
        "UPDATE tags SET prunable_since = prunable_since + {year}, verified_at = verified_at + {year}"
    ));
    target
        .client()
        .push("mirror/app", "b", &Image::oci("moved"));
    sync_a_week_apart(&transship);
    assert_eq!(target.client().tags("mirror/app"), ["b"]);
    let found = target.client().manifest("mirror/app", "b").unwrap();
    assert_eq!(found.bytes, Image::oci("b").bytes);
}

#[test]
fn leftover_deleted_by_hand_takes_no_place_of_keep() {
    let entry = |tags: &str| {
        format!(
            "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"{tags}\"\nprune = {{ keep = 1, after = \"7d\" }}\n"
        )
    };
    let (source, target, transship) = mirrored(&["a", "b", "c"], &entry("*"));
    transship.ask_store("UPDATE tags SET mirrored_at = mirrored_at - 100 WHERE tag = 'a'");
    reconfigure(&transship, &source, &target, &entry("c"));
    transship.sync();
    transship.let_prunable_tags_wait(8);
    let last = Image::oci("b").digest();
    target.client().delete_manifest("mirror/app", &last);
    transship.sync();
    assert_eq!(target.client().tags("mirror/app"), ["a", "c"]);
}

#[test]
fn leftovers_that_nobody_prunes_count_for_no_share() {
    let tags = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "b0", "b1"];
    let entries = "\n[[mirror]]\nname = \"first\"\nfrom = \"SOURCE/app\"\ntags = \"a*\"\n\
                   [[mirror]]\nname = \"second\"\nfrom = \"SOURCE/app\"\ntags = \"b*\"\n\
                   prune = { after = \"7d\" }\n";
    let (source, target, transship) = mirrored(&tags, entries);
    tags[1..8].iter().for_each(|tag| delete(&source, tag));
    sync_a_week_apart(&transship);
    let left = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "b1"];
    assert_eq!(target.client().tags("mirror/app"), left);
}

#[test]
fn last_run_deletes_the_digests_that_others_left() {
    let entries = "\n[[mirror]]\nname = \"quick\"\nfrom = \"SOURCE/app\"\ntags = \"a*\"\n\
                   prune = { after = \"7d\" }\n\
                   [[mirror]]\nname = \"slow\"\nfrom = \"SOURCE/app\"\ntags = \"b*\"\n";
    let (source, target, transship) = mirrored(&["a1", "a2", "b1"], entries);
    delete(&source, "a1");
    transship.sync();
    transship.let_prunable_tags_wait(8);
    source.client().push("app", "b2", &Image::oci("b2"));
    let (open, gate) = tokio::sync::watch::channel(false);
    target.rule(move |request| {
        let is_last = request.path.ends_with("/manifests/b2") && request.method == "PUT";
        let is_tag = request.path.ends_with("/manifests/a1") && request.method == "DELETE";
        match (is_last, is_tag, *gate.borrow()) {
            // The slow run ends after the quick one has tried.
            (true, _, false) => Verdict::ServeBehind(gate.clone()),
            (_, true, _) => {
                let soon = open.clone();
                std::thread::spawn(move || {
                    std::thread::park_timeout(std::time::Duration::from_millis(300));
                    soon.send_replace(true);
                });
                Verdict::Answer(refusal(405, "UNSUPPORTED"))
            }
            _ => Verdict::Serve,
        }
    });
    transship.sync();
    assert_eq!(target.client().tags("mirror/app"), ["a2", "b1", "b2"]);
}
