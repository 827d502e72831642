//! Uploads in parts that a registry refuses, loses, or takes without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::resume::uploads::{PART, SIZE, UploadStage, config};
use crate::support::programs::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::Transship;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{refusal, truncated};
use crate::support::registries::fake_contents::{BrokenParts, Oddities};
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::requests::Request;

/// The target does with the part of this number, counted from 1, what `verdict` says.
fn at_part(stage: &UploadStage, number: usize, verdict: impl Fn() -> Verdict + Send + 'static) {
    let mut parts = 0;
    stage.target.rule(move |request| {
        parts += usize::from(request.method == "PATCH");
        match request.method == "PATCH" && parts == number {
            true => verdict(),
            false => Verdict::Serve,
        }
    });
}

fn ends_an_upload(request: &Request) -> bool {
    request.method == "PUT" && request.query.contains("digest=") && request.received == 0
}

#[test]
fn parallel_blobs_fall_back_to_monolithic() {
    let (source, target) = (Fake::start(), Fake::start());
    let layers = ["a", "b", "c", "d", "e", "f"].map(|name| layer(name, SIZE));
    let image = Image::oci_with("many", layers.to_vec());
    source.client().push("app", "v1", &image);
    target.rule(|request| match request.method.as_str() {
        "PATCH" => Verdict::Answer(refusal(405, "UNSUPPORTED")),
        _ => Verdict::Serve,
    });
    Transship::new(&config(source.host(), target.host())).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn lost_session_restarts_without_lesson() {
    let stage = UploadStage::with(Oddities::default());
    at_part(&stage, 3, || {
        Verdict::Answer(refusal(404, "BLOB_UPLOAD_UNKNOWN"))
    });
    stage.assert_synced();
    assert_eq!(stage.sent(), SIZE + 3 * PART);
    let learned = "SELECT takes_parts FROM dialects";
    assert_eq!(stage.transship.ask_store(learned), "1", "parts are taken");
}

#[test]
fn single_chunk_registry_gets_monolithic() {
    let stage = UploadStage::with(Oddities::default());
    stage.target.rule(|request| {
        let is_first = request
            .range
            .as_deref()
            .is_some_and(|range| range.starts_with("0-"));
        match request.method == "PATCH" && !is_first {
            true => Verdict::Answer(refusal(416, "RANGE_INVALID")),
            false => Verdict::Serve,
        }
    });
    stage.assert_synced();
    let learned = "SELECT takes_parts FROM dialects";
    assert_eq!(stage.transship.ask_store(learned), "0");
}

#[test]
fn refused_resume_restarts_upload() {
    let stage = UploadStage::with(Oddities {
        broken_parts: BrokenParts::Kept,
        ..Oddities::default()
    });
    let is_refused = AtomicBool::new(false);
    at_part(&stage, 2, || Verdict::ServeBut(refusal(502, "UNKNOWN")));
    stage.target.rule(move |request| {
        match ends_an_upload(request) && !is_refused.swap(true, Ordering::Relaxed) {
            true => Verdict::Answer(refusal(400, "DIGEST_INVALID")),
            false => Verdict::Serve,
        }
    });
    stage.assert_synced();
    assert_eq!(stage.sent(), 2 * SIZE);
}

#[test]
fn lost_final_answer_sends_nothing_again() {
    let stage = UploadStage::with(Oddities::default());
    let is_lost = AtomicBool::new(false);
    stage.target.rule(move |request| {
        match ends_an_upload(request) && !is_lost.swap(true, Ordering::Relaxed) {
            true => Verdict::ServeBut(refusal(502, "UNKNOWN")),
            false => Verdict::Serve,
        }
    });
    stage.assert_synced();
    assert_eq!(stage.sent(), SIZE);
}

#[test]
fn source_failure_keeps_upload_session() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = reads.clone();
    let stage =
        UploadStage::reading(
            move |_, bytes| match counted.fetch_add(1, Ordering::Relaxed) {
                0 => Some(truncated(bytes)),
                1 => Some(refusal(404, "BLOB_UNKNOWN")),
                _ => None,
            },
        );
    stage.transship.run(&["sync"]).expect_code(2);
    let sent = stage.sent();
    assert_eq!(sent, SIZE / 2);
    stage.assert_synced();
    assert!(stage.sent() <= SIZE + PART, "{} bytes", stage.sent());
    let goes_on = Some(format!("bytes={}-", SIZE / 2 / PART * PART));
    assert_eq!(stage.reads().last(), Some(&goes_on));
}

#[test]
fn refused_mount_keeps_saved_session() {
    let stage = UploadStage::with(Oddities {
        mounts_become_uploads: true,
        ..Oddities::default()
    });
    let known = 3 * PART;
    let mut parts = 0;
    stage.kill_at(known, move |request| {
        parts += usize::from(request.method == "PATCH");
        parts == 4
    });
    // Now another repository of the target has the blob.
    let image = Image::oci_with("other", vec![stage.layer.clone()]);
    stage.source.client().push("other", "v1", &image);
    let keys = "plain_http = true\nchunk = \"64 KiB\"";
    let text = |name| {
        let text = mirror_toml_with("plain_http = true", keys, &all_tags_of(name));
        fill_in(&text, stage.source.host(), stage.target.host())
    };
    stage.transship.write("mirror.toml", &text("other"));
    stage.transship.sync();
    stage.transship.write("mirror.toml", &text("app"));
    let sent = stage.sent();
    stage.assert_synced();
    assert_eq!(stage.sent() - sent, SIZE - known);
}

#[test]
fn lost_monolithic_answer_sends_nothing_again() {
    let (source, target) = (Fake::start(), Fake::start());
    let large = layer("large", SIZE);
    let image = Image::oci_with("large", vec![large.clone()]);
    source.client().push("app", "v1", &image);
    let (digest, is_lost) = (large.digest().replace(':', "%3A"), AtomicBool::new(false));
    target.rule(move |request| {
        let is_sent = request.method == "PUT" && request.query.contains(&digest);
        match is_sent && !is_lost.swap(true, Ordering::Relaxed) {
            true => Verdict::ServeBut(refusal(504, "UNKNOWN")),
            false => Verdict::Serve,
        }
    });
    let text = config(source.host(), target.host()).replace("64 KiB", "64 MiB");
    Transship::new(&text).sync();
    let requests = target.requests();
    let sent = requests.iter().filter(|request| request.received == SIZE);
    assert_eq!(sent.count(), 1);
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn token_server_failure_keeps_upload_session() {
    let stage = UploadStage::with(Oddities::default());
    stage.target.demand_tokens(Habits::default());
    let is_down = Arc::new(AtomicBool::new(true));
    let (down, mut parts) = (is_down.clone(), 0);
    stage.target.rule(move |request| {
        let is_part = request.method == "PATCH";
        parts += usize::from(is_part);
        let is_late = parts > 3 && down.load(Ordering::Relaxed);
        match (is_late, is_part, request.path == "/token") {
            (true, true, _) => Verdict::Answer(refusal(401, "UNAUTHORIZED")),
            (true, _, true) => Verdict::Answer(refusal(404, "GONE")),
            _ => Verdict::Serve,
        }
    });
    stage.transship.run(&["sync"]).expect_code(2);
    is_down.store(false, Ordering::Relaxed);
    stage.assert_synced();
    assert!(stage.sent() <= SIZE + PART, "{} bytes", stage.sent());
}

/// A target that fails every request of one kind in the session that a killed process left there.
fn failing_in_the_old_session(method: &'static str, status: u16) -> UploadStage {
    let stage = UploadStage::with(Oddities::default());
    let mut parts = 0;
    stage.kill_at(3 * PART, move |request| {
        parts += usize::from(request.method == "PATCH");
        parts == 4
    });
    let requests = stage.target.requests();
    let old = requests.iter().find(|request| request.method == "PATCH");
    let old = old.unwrap().path.clone();
    stage.target.rule(
        move |request| match request.method == method && request.path == old {
            true => Verdict::Answer(refusal(status, "UNKNOWN")),
            false => Verdict::Serve,
        },
    );
    stage
}

#[test]
fn unknown_session_is_replaced() {
    let stage = failing_in_the_old_session("GET", 403);
    let sent = stage.sent();
    stage.assert_synced();
    assert_eq!(stage.sent() - sent, SIZE);
    let kept = "SELECT COUNT(*) FROM uploads";
    assert_eq!(stage.transship.ask_store(kept), "0");
}

#[test]
fn refused_upload_is_sent_once() {
    let stage = UploadStage::with(Oddities::default());
    let mut session = String::new();
    stage.target.rule(move |request| {
        if request.method == "PATCH" {
            session.clone_from(&request.path);
        }
        // A project without room may say so only here.
        match request.method == "PUT" && request.path == session {
            true => Verdict::Answer(refusal(403, "DENIED")),
            false => Verdict::Serve,
        }
    });
    stage.transship.run(&["sync"]).expect_code(2);
    let sent = stage.sent();
    assert!(sent >= SIZE, "{sent}");
    stage.transship.run(&["sync"]).expect_code(2);
    assert_eq!(stage.sent(), sent);
}

#[test]
fn session_survives_failed_restart() {
    let stage = failing_in_the_old_session("GET", 403);
    let kept = "SELECT location, offset FROM uploads";
    let before = stage.transship.ask_store(kept);
    stage.target.rule(|request| match request.method.as_str() {
        "POST" => Verdict::Answer(refusal(403, "DENIED")),
        _ => Verdict::Serve,
    });
    stage.transship.run(&["sync"]).expect_code(2);
    assert!(before.ends_with(&format!("|{}", 3 * PART)), "{before}");
    assert_eq!(stage.transship.ask_store(kept), before);
}
