//! What runs once left behind, or did not tell: each stays mended.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::programs::pair::{Pair, all_tags_of, between};
use crate::support::programs::transship::{Transship, mirror, mirrors, number, sum};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, count};
use crate::support::wait_for;

/// Fails the test unless the only mirror's only target stands so; tells its lag in seconds.
#[track_caller]
fn lag_with(transship: &Transship, behind: u64) -> u64 {
    let status = transship.status();
    let target = &mirrors(&status)[0]["targets"][0];
    assert_eq!(number(target, "/behind"), behind, "{status:#}");
    number(target, "/lag_seconds")
}

#[test]
fn platform_subset_stays_unchanged_over_time() {
    let pair = Pair::mirroring(
        "[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nplatforms = [\"linux/amd64\"]\n",
    );
    pair.from.push("app", "v1", &Image::two_platforms("subset"));
    pair.transship.sync();
    for _ in 0..2 {
        pair.transship.let_a_year_pass();
        pair.ignore_requests();
        let report = pair.transship.sync();
        assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
        let requests = pair.target.new_requests();
        assert_only_reads(&requests);
        let asks = |request: &Request| request.line() == "HEAD /v2/mirror/app/manifests/v1";
        assert_eq!(count(&requests, asks), 1, "{requests:#?}");
    }
}

/// A pair that mirrors `app:kept` and `app:other`, each by its name.
fn two_literal_tags() -> Pair {
    let entry = |tag| format!("[[mirror]]\nname = \"{tag}\"\nfrom = \"SOURCE/app:{tag}\"\n");
    Pair::mirroring(&["kept", "other"].map(entry).concat())
}

#[test]
fn vanished_literal_tag_is_orphaned() {
    let pair = two_literal_tags();
    for tag in ["kept", "other"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    let digest = Image::oci("other").digest();
    pair.from.delete_manifest("app", &digest);
    let finished = pair.transship.run(&["--json", "sync"]).expect_code(1);
    let report = finished.expect_stderr(&["app:other"]).json();
    assert_eq!(sum(&report, "/tags/orphaned"), 1, "{report:#}");
    assert_eq!(sum(&report, "/tags/failed"), 1, "{report:#}");
    let status = pair.transship.status();
    let target = &mirror(&status, "other")["targets"][0];
    assert_eq!(number(target, "/behind"), 0, "{status:#}");
    assert_eq!(number(target, "/orphaned"), 1, "{status:#}");
    assert_eq!(pair.to.tags("mirror/app"), ["kept", "other"]);
}

#[test]
fn unknown_literal_tag_fails() {
    let pair = two_literal_tags();
    pair.from.push("app", "kept", &Image::oci("kept"));
    let finished = pair.transship.run(&["--json", "sync"]).expect_code(1);
    let report = finished.expect_stderr(&["app:other"]).json();
    assert_eq!(mirror(&report, "other")["errors"][0]["class"], "not_found");
    assert_eq!(sum(&report, "/tags/orphaned"), 0, "{report:#}");
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
}

/// Fails the test unless a registry that `stop` makes away with after all was equal makes no lag.
fn assert_no_lag_without(stop: impl FnOnce(Registry, Registry) -> Registry) {
    let named = "\n[[mirror]]\nname = \"named\"\nfrom = \"SOURCE/app:v1\"\n";
    let pair = Pair::mirroring(&[named, &all_tags_of("lib")].concat());
    for name in ["app", "lib"] {
        pair.from.push(name, "v1", &Image::oci(name));
    }
    pair.transship.sync();
    let _other = stop(pair.source, pair.target);
    pair.transship.run(&["sync"]).expect_code(2);
    let status = pair.transship.status();
    for mirror in mirrors(&status) {
        let target = &mirror["targets"][0];
        assert_eq!(number(target, "/behind"), 0, "{status:#}");
        assert_eq!(number(target, "/lag_seconds"), 0, "{status:#}");
    }
}

#[test]
fn dead_source_makes_no_lag() {
    assert_no_lag_without(|_source, target| target);
}

#[test]
fn dead_target_in_sync_makes_no_lag() {
    assert_no_lag_without(|source, _target| source);
}

#[test]
fn dead_target_lags_from_first_difference() {
    let Pair {
        source: _source,
        target,
        transship,
        from,
        ..
    } = Pair::of_repositories(&["app"]);
    from.push("app", "v1", &Image::oci("before"));
    transship.sync();
    from.push("app", "v1", &Image::oci("after"));
    drop(target);
    transship.run(&["sync"]).expect_code(2);
    assert!(lag_with(&transship, 1) < 3600);
    transship.let_the_lag_be_an_hour_older();
    transship.run(&["sync"]).expect_code(2);
    assert!(lag_with(&transship, 1) >= 3600);
}

#[test]
fn unhealed_tag_lags_from_first_miss() {
    let image = Image::oci("lost on both sides");
    let pair = Pair::holding(&image);
    pair.transship.sync();
    pair.target.wipe();
    pair.source.lose_blob(&image.blobs[1].digest());
    pair.transship.run(&["sync"]).expect_code(2);
    assert!(lag_with(&pair.transship, 1) < 3600);
    pair.transship.let_the_lag_be_an_hour_older();
    pair.transship.run(&["sync"]).expect_code(2);
    assert!(lag_with(&pair.transship, 1) >= 3600);
}

#[test]
fn interrupt_blames_no_tag() {
    let (source, target) = (Fake::start(), Registry::start());
    source.client().push("app", "v1", &Image::oci("never"));
    source.rule(|request| match request.is_blob_get() {
        true => Verdict::ServeAt(Instant::now() + Duration::from_secs(3600)),
        false => Verdict::Serve,
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let mut running = transship.start(&["sync"]);
    wait_for("the first request for a blob", || {
        source.requests().iter().find(|r| r.is_blob_get()).map(drop)
    });
    running.interrupt();
    let code = running.wait().code();
    assert!(matches!(code, Some(1 | 2)), "exit {code:?}");
    assert_eq!(target.client().tags("mirror/app"), [""; 0]);
    let status = transship.status();
    let behind = mirrors(&status)[0]["behind"].as_array().unwrap();
    assert_eq!(behind.len(), 1, "{status:#}");
    assert_eq!(behind[0]["class"], Value::Null, "{status:#}");
    assert_eq!(behind[0]["message"], Value::Null, "{status:#}");
}

/// The names of all that lies in the directory of the binary.
fn names_in(transship: &Transship) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(transship.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn status_creates_no_store() {
    let pair = Pair::of_repositories(&["app"]);
    let finished = pair.transship.run(&["status"]).expect_code(0);
    finished.expect_stdout(&["app", "never synced"]);
    pair.transship.status();
    assert_eq!(names_in(&pair.transship), ["mirror.toml"]);
}

/// Two mirrors, of which `typo` selects none of the four tags of its repository.
fn with_a_typo(keys: &str) -> Pair {
    let pair = Pair::mirroring(&format!(
        "[[mirror]]\nname = \"typo\"\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nexclude = \"*-rc*\"\n{keys}\n\
         [[mirror]]\nname = \"fine\"\nfrom = \"SOURCE/fine\"\ntags = \"*\"\n"
    ));
    for tag in ["1.0", "1.1", "1.2", "v2-rc1"] {
        pair.from.push("app", tag, &Image::without_layers("app"));
    }
    pair.from.push("fine", "1.0", &Image::oci("fine"));
    pair
}

#[test]
fn empty_selection_fails_with_reason() {
    let pair = with_a_typo("");
    let dropped = ["none of its 4 tags", "3 by tags", "1 by exclude"];
    let finished = pair.transship.run(&["--json", "sync"]).expect_code(1);
    let report = finished.expect_stderr(&dropped).json();
    assert_eq!(mirror(&report, "typo")["result"], "failed");
    assert_eq!(number(mirror(&report, "fine"), "/tags/copied"), 1);
    pair.assert_mirrored(&[("fine", "1.0")]);
    let alone = pair.transship.run(&["sync", "typo"]).expect_code(2);
    alone.expect_stderr(&["min_tags = 0"]);
}

#[test]
fn min_tags_0_allows_empty_selection() {
    let pair = with_a_typo("min_tags = 0");
    let report = pair.transship.sync();
    assert_eq!(number(mirror(&report, "typo"), "/tags/failed"), 0);
    assert_eq!(pair.to.repositories(), ["mirror/fine"]);
}
