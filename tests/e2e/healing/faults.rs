//! A store that is damaged, tags that move at the wrong moment, targets that forget: the next run heals it, and says so.

use std::fs;

use axum::body::Body;
use axum::http::Response;

use crate::support::programs::daemon::{Daemon, Service, mirror_of, serving};
use crate::support::programs::pair::{Pair, all_tags_of, between};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{parameter, refusal};
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, count};

/// Turns most of the store into noise, and takes its log away, in which all of it may be.
fn damage_store(transship: &Transship) {
    let path = transship.path().join("transship.db");
    for log in ["transship.db-wal", "transship.db-shm"] {
        // It is not there when the store was closed well.
        drop(fs::remove_file(transship.path().join(log)));
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[50..].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(path, bytes).unwrap();
}

/// How many stores were set aside.
fn set_aside(transship: &Transship) -> usize {
    let files = transship.files();
    let names = files.iter().map(|path| path.to_string_lossy());
    names
        .filter(|name| name.contains("transship.db.damaged-"))
        .count()
}

/// Fails the test unless the day's report has these words.
#[track_caller]
fn expect_report(transship: &Transship, words: &[&str]) {
    transship
        .run(&["report"])
        .expect_code(0)
        .expect_stdout(words);
}

#[test]
fn rebuilds_corrupt_store_without_upload() {
    let pair = Pair::of_repositories(&["app"]);
    for tag in ["v1", "v2"] {
        pair.from.push("app", tag, &Image::two_platforms(tag));
    }
    pair.transship.sync();
    pair.ignore_requests();
    damage_store(&pair.transship);
    for command in ["status", "report"] {
        let finished = pair.transship.run(&[command]);
        assert_ne!(finished.code, Some(0), "{finished}");
        finished.expect_stderr(&["transship.db", "damaged", "transship sync"]);
    }
    assert_eq!(
        set_aside(&pair.transship),
        0,
        "who only reads leaves it alone"
    );
    let finished = pair.transship.run(&["--json", "sync"]).expect_code(0);
    let report = finished.expect_stderr(&["damaged", "set aside as", "transship.db.damaged-"]);
    let report = report.json();
    assert_eq!(sum(&report, "/bytes/uploaded"), 0, "{report:#}");
    let target = pair.target.new_requests();
    assert_eq!(count(&target, Request::is_blob_body), 0, "{target:#?}");
    assert_eq!(set_aside(&pair.transship), 1);
    expect_report(
        &pair.transship,
        &["store was damaged", "transship.db.damaged-"],
    );
    assert_eq!(sum(&pair.transship.sync(), "/tags/unchanged"), 2);
    assert_eq!(set_aside(&pair.transship), 1);
}

#[test]
fn daemon_sets_corrupt_store_aside() {
    let text = serving("", &mirror_of("app"));
    let Service { pair, mut daemon } = Service::in_sync(&text, |pair| {
        pair.from.push("app", "v1", &Image::oci("app"));
    });
    daemon.signal("-TERM");
    daemon.wait();
    damage_store(&pair.transship);
    let daemon = Daemon::start(&pair.transship);
    daemon.until_true("the mirror to be in sync", |daemon| {
        !daemon.status()["mirrors"][0]["last_success"].is_null()
    });
    assert_eq!(set_aside(&pair.transship), 1, "{}", daemon.log());
    assert!(daemon.log().contains("set aside"), "{}", daemon.log());
}

#[test]
fn corrupt_store_in_use_stays() {
    let text = serving("", &mirror_of("app"));
    let service = Service::in_sync(&text, |pair| {
        pair.from.push("app", "v1", &Image::oci("app"));
    });
    let transship = &service.pair.transship;
    transship.write("transship.db.damaged", "somebody met damage");
    let finished = transship.run(&["sync"]);
    assert_ne!(finished.code, Some(0), "{finished}");
    finished.expect_stderr(&["transship.db", &service.daemon.pid().to_string()]);
    assert_eq!(set_aside(transship), 0);
}

#[test]
fn follows_source_rollback() {
    let (old, new) = (Image::oci("old"), Image::oci("new"));
    let pair = Pair::holding(&old);
    pair.transship.sync();
    for image in [&new, &old] {
        pair.from.push("app", "v1", image);
        pair.ignore_requests();
        pair.transship.sync();
        pair.assert_mirrored(&[("app", "v1")]);
    }
    let bodies = count(&pair.target.new_requests(), Request::is_blob_body);
    assert_eq!(bodies, 0, "all of it was there before");
    expect_report(&pair.transship, &["2 moved"]);
}

#[test]
fn tag_moving_during_copy_stays_whole() {
    let (source, target) = (Fake::start(), Registry::start());
    let (old, new) = (Image::two_platforms("old"), Image::two_platforms("new"));
    source.client().push("app", "v1", &old);
    source.client().push("app", "v1", &new);
    let (told, size) = (old.digest(), old.bytes.len());
    let mut is_first = true;
    source.rule(move |request| {
        let asks = request.method == "HEAD" && request.path.ends_with("/manifests/v1");
        if !asks || !std::mem::take(&mut is_first) {
            return Verdict::Serve;
        }
        let builder = Response::builder()
            .header("docker-content-digest", &told)
            .header("content-type", "application/vnd.oci.image.index.v1+json")
            .header("content-length", size);
        Verdict::Answer(builder.body(Body::from(vec![b' '; size])).unwrap())
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    let (from, to) = (source.client(), target.client());
    let written = to.manifest("mirror/app", "v1").expect("it was copied");
    assert!([old.digest(), new.digest()].contains(&written.digest));
    transship.sync();
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    assert_eq!(
        to.manifest("mirror/app", "v1").unwrap().digest,
        new.digest()
    );
}

#[test]
fn restores_tag_moved_at_target() {
    let pair = Pair::holding(&Image::oci("ours"));
    pair.transship.sync();
    pair.to.push("mirror/app", "v1", &Image::oci("theirs"));
    pair.transship.let_a_year_pass();
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
    expect_report(&pair.transship, &["1 healed", "app:v1"]);
}

#[test]
fn reports_healed_wiped_target() {
    let pair = Pair::of_repositories(&["app"]);
    for tag in ["v1", "v2", "v3"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.target.wipe();
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1"), ("app", "v2"), ("app", "v3")]);
    expect_report(&pair.transship, &["3 healed"]);
}

#[test]
fn resends_blob_collected_before_manifest() {
    for code in ["BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"] {
        let (source, target) = (Registry::start(), Fake::start());
        let taken = layer("taken", 2000);
        let image = Image::oci_with("collected", vec![taken.clone()]);
        source.client().push("app", "v1", &image);
        let (digest, mut sent, mut is_collected) = (taken.digest(), 0, false);
        target.rule(move |request| {
            let is_body = request.is_blob_body() && request.method == "PUT";
            sent += usize::from(
                is_body && parameter(&request.query, "digest").is_some_and(|of| of == digest),
            );
            let is_gone = is_collected && sent < 2;
            is_collected |= request.is_manifest_put();
            if request.is_manifest_put() && sent < 2 {
                Verdict::Answer(refusal(400, code))
            } else if is_gone && request.method == "HEAD" && request.path.ends_with(&digest) {
                Verdict::Answer(refusal(404, "BLOB_UNKNOWN"))
            } else {
                Verdict::Serve
            }
        });
        let transship = between(source.host(), target.host(), &all_tags_of("app"));
        let report = transship.sync();
        let (from, to) = (source.client(), target.client());
        assert_mirrored(&from, "app", &to, "mirror/app", "v1");
        assert_eq!(sum(&report, "/tags/failed"), 0, "{code}: {report:#}");
        target.new_requests();
        assert_eq!(sum(&transship.sync(), "/tags/unchanged"), 1);
        assert_only_reads(&target.new_requests());
    }
}

#[test]
fn failing_tag_does_not_stop_others() {
    let (source, target) = (Registry::start(), Fake::start());
    for tag in ["v1", "v2", "v3"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    transship.let_a_year_pass();
    let mut is_written = false;
    target.rule(move |request| {
        let is_bad = request.path.ends_with("/manifests/v1");
        is_written |= is_bad && request.method == "PUT";
        match is_bad && !is_written {
            true => Verdict::Answer(refusal(500, "UNKNOWN")),
            false => Verdict::Serve,
        }
    });
    let moved = Image::oci("moved");
    source.client().push("app", "v2", &moved);
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/copied"), 2, "{report:#}");
    assert_eq!(sum(&report, "/blobs/copied"), moved.blobs.len() as u64);
    for tag in ["v1", "v2"] {
        assert_mirrored(&source.client(), "app", &target.client(), "mirror/app", tag);
    }
    expect_report(&transship, &["v1", "healed"]);
}

#[test]
fn failing_target_spends_no_pulls() {
    let (source, target) = (Registry::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("v1"));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    transship.let_a_year_pass();
    target.rule(|request| match request.path.contains("/manifests/") {
        true => Verdict::Answer(refusal(500, "UNKNOWN")),
        false => Verdict::Serve,
    });
    source.new_requests();
    transship.run(&["sync"]).expect_code(2);
    let is_pull = |request: &Request| request.method == "GET" && !request.is_tag_list();
    assert_eq!(count(&source.new_requests(), is_pull), 0);
    let lagging = "SELECT COUNT(*) FROM tags WHERE lagging_since IS NOT NULL";
    assert_eq!(transship.ask_store(lagging), "0");
}
