//! Large blobs over connections that break: what was sent is not sent again.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Response, header};
use bytes::Bytes;
use tokio::sync::watch;

use crate::support::net::tunnel::Tunnel;
use crate::support::programs::daemon::{Daemon, mirror_of, serving};
use crate::support::programs::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::Transship;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Blob, Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{held, refusal, truncated};
use crate::support::registries::fake_contents::{BrokenParts, Oddities};
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, count};
use crate::support::wait_for;

pub const PART: usize = 65536;
pub const SIZE: usize = 300_000;

/// A source with `app:v1`, which has one large layer, and a target that gets it in parts.
pub struct UploadStage {
    pub source: Fake,
    pub target: Fake,
    pub layer: Blob,
    pub transship: Transship,
}

impl UploadStage {
    pub fn with(oddities: Oddities) -> Self {
        Self::through(oddities, |_| None)
    }

    /// The way to the target breaks so many times, after 100,000 bytes each.
    fn breaking(oddities: Oddities, times: usize) -> Self {
        Self::through(oddities, |target| {
            Some(Tunnel::breaking(target.host(), 100_000, times))
        })
    }

    /// The target is reached through the tunnel, if there is one.
    fn through(oddities: Oddities, tunnel: impl FnOnce(&Fake) -> Option<Tunnel>) -> Self {
        let (source, target) = (Fake::start(), Fake::with(oddities));
        let layer = layer("large", SIZE);
        let image = Image::oci_with("large", vec![layer.clone()]);
        source.client().push("app", "v1", &image);
        let tunnel = tunnel(&target);
        let host = tunnel.as_ref().map_or(target.host(), Tunnel::host);
        let transship = Transship::new(&config(source.host(), host));
        Self {
            source,
            target,
            layer,
            transship,
        }
    }

    /// The same between a source that misbehaves once, when the layer is read, and a target.
    pub fn reading(
        fault: impl Fn(&Request, &Bytes) -> Option<Response<Body>> + Send + 'static,
    ) -> Self {
        let stage = Self::with(Oddities::default());
        let (digest, bytes) = (stage.layer.digest(), stage.layer.bytes.clone());
        stage.source.rule(move |request| {
            let is_asked_for = request.method == "GET" && request.path.ends_with(&digest);
            let answer = is_asked_for.then(|| fault(request, &bytes)).flatten();
            answer.map_or(Verdict::Serve, Verdict::Answer)
        });
        stage
    }

    pub fn assert_synced(&self) {
        self.transship.sync();
        self.assert_mirrored();
    }

    pub fn assert_mirrored(&self) {
        let (from, to) = (self.source.client(), self.target.client());
        assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    }

    /// How often the layer was asked for at the source, and from which byte on.
    pub fn reads(&self) -> Vec<Option<String>> {
        let digest = self.layer.digest();
        let requests = self.source.requests().into_iter();
        let reads = requests.filter(|r| r.method == "GET" && r.path.ends_with(&digest));
        reads.map(|read| read.range).collect()
    }

    /// Bytes that the target was sent in parts, in vain or not.
    pub fn sent(&self) -> usize {
        let requests = self.target.requests().into_iter();
        let parts = requests.filter(|request| request.method == "PATCH");
        parts.map(|part| part.received).sum()
    }

    /// Starts a process and kills it when the target has got a request that it will never answer,
    /// the first for which `is_last` holds, and `known` bytes are in the store.
    pub fn kill_at(
        &self,
        known: usize,
        mut is_last: impl FnMut(&Request) -> bool + Send + 'static,
    ) {
        let (gate, closed) = mpsc::channel();
        let mut is_over = false;
        self.target.rule(move |request| {
            if is_over || !is_last(request) {
                return Verdict::Serve;
            }
            is_over = true;
            let _ = gate.send(());
            Verdict::ServeAt(Instant::now() + Duration::from_secs(3600))
        });
        let process = self.transship.start(&["sync"]);
        closed.recv().unwrap();
        wait_for("the offset in the store", || {
            let offset = self.transship.ask_store("SELECT offset FROM uploads");
            (offset == known.to_string()).then_some(())
        });
        drop(process);
    }

    pub fn part_count(&self) -> usize {
        count(&self.target.requests(), |r| r.method == "PATCH")
    }
}

pub fn config(source: &str, target: &str) -> String {
    let keys = "plain_http = true\nchunk = \"64 KiB\"";
    let text = mirror_toml_with("plain_http = true", keys, &all_tags_of("app"));
    fill_in(&text, source, target)
}

/// All of `bytes`, as the part that begins with byte `first`.
fn partial(bytes: &Bytes, first: usize) -> Response<Body> {
    let range = format!("bytes {first}-{}/{}", bytes.len() - 1, bytes.len());
    let builder = Response::builder().status(206);
    let builder = builder.header(header::CONTENT_RANGE, range);
    builder.body(Body::from(bytes.slice(first..))).unwrap()
}

#[test]
fn resumes_download_with_range() {
    let stage =
        UploadStage::reading(|request, bytes| request.range.is_none().then(|| truncated(bytes)));
    stage.assert_synced();
    let half = format!("bytes={}-", SIZE / 2);
    assert_eq!(stage.reads(), [None, Some(half)]);
    assert_eq!(stage.sent(), SIZE, "the upload never noticed");
}

#[test]
fn silent_download_is_hedged_from_its_byte() {
    let (_gate, closed) = watch::channel(false);
    let stage = UploadStage::reading(move |request, bytes| {
        request.range.is_none().then(|| held(bytes, closed.clone()))
    });
    // Nobody waits for this.
    let keys = "plain_http = true\nstall = \"1h\"";
    let text = config(stage.source.host(), stage.target.host());
    let text = text.replace("plain_http = true", keys);
    stage.transship.write("mirror.toml", &text);
    stage.assert_synced();
    let half = format!("bytes={}-", SIZE / 2);
    assert_eq!(stage.reads(), [None, Some(half)]);
    assert_eq!(stage.sent(), SIZE, "the upload never noticed");
}

#[test]
fn skips_known_bytes_without_range_support() {
    let stage = UploadStage::reading(|request, bytes| match request.range {
        None => Some(truncated(bytes)),
        Some(_) => Some(Response::new(Body::from(bytes.clone()))),
    });
    stage.assert_synced();
    assert_eq!(stage.sent(), SIZE);
}

#[test]
fn rejects_range_from_wrong_offset() {
    let stage = UploadStage::reading({
        let is_broken = std::sync::atomic::AtomicBool::new(false);
        move |request, bytes| match request.range {
            Some(_) => Some(partial(bytes, 7)),
            None if !is_broken.swap(true, std::sync::atomic::Ordering::Relaxed) => {
                Some(truncated(bytes))
            }
            None => None,
        }
    });
    stage.assert_synced();
    assert_eq!(stage.reads().len(), 3);
}

#[test]
fn endless_breaks_without_progress_fail() {
    let stage = UploadStage::reading(|request, bytes| match request.range {
        None => Some(truncated(bytes)),
        Some(_) => Some(truncated(&bytes.slice(bytes.len() / 2..).slice(..0))),
    });
    stage.transship.run(&["sync"]).expect_code(2);
}

#[test]
fn only_large_blobs_are_chunked() {
    let stage = UploadStage::with(Oddities::default());
    stage.assert_synced();
    let requests = stage.target.requests();
    let parts: Vec<_> = requests.iter().filter(|r| r.method == "PATCH").collect();
    let ranges: Vec<_> = parts
        .iter()
        .map(|part| part.range.clone().unwrap())
        .collect();
    assert_eq!(ranges[0], "0-65535");
    assert_eq!(ranges.last().unwrap(), &format!("262144-{}", SIZE - 1));
    assert_eq!(parts.len(), SIZE.div_ceil(PART));
    assert_eq!(
        count(&requests, Request::is_blob_upload),
        2,
        "the config too"
    );
}

#[test]
fn resumes_upload_after_last_kept_byte() {
    let oddities = Oddities {
        broken_parts: BrokenParts::Kept,
        ..Oddities::default()
    };
    let stage = UploadStage::breaking(oddities, 1);
    stage.assert_synced();
    assert_eq!(stage.sent(), SIZE, "no byte was sent twice");
    assert!(stage.part_count() > SIZE.div_ceil(PART));
}

#[test]
fn resumes_upload_after_last_acknowledged_chunk() {
    let stage = UploadStage::breaking(Oddities::default(), 2);
    stage.assert_synced();
    assert!(stage.sent() <= SIZE + 2 * PART, "{} bytes", stage.sent());
    assert_eq!(
        stage.target.sessions().opened,
        2,
        "the layer's, and the config's"
    );
}

#[test]
fn lost_session_restarts_upload() {
    let oddities = Oddities {
        broken_parts: BrokenParts::EndTheSession,
        ..Oddities::default()
    };
    let stage = UploadStage::breaking(oddities, 1);
    stage.assert_synced();
    assert_eq!(stage.target.sessions().opened, 3);
}

#[test]
fn accepts_status_without_location() {
    let oddities = Oddities {
        counts_like_quay: true,
        broken_parts: BrokenParts::Kept,
        ..Oddities::default()
    };
    let stage = UploadStage::breaking(oddities, 1);
    stage.assert_synced();
    assert_eq!(stage.sent(), SIZE);
}

#[test]
fn resumes_upload_after_kill() {
    let stage = UploadStage::with(Oddities::default());
    let (known, mut parts) = (3 * PART, 0);
    stage.kill_at(known, move |request| {
        parts += usize::from(request.method == "PATCH");
        parts == 4
    });
    let sent = stage.sent();
    stage.target.new_requests();
    stage.assert_synced();
    let again: usize = stage.sent() - sent;
    assert_eq!(again, SIZE - known);
    assert_eq!(
        stage.reads().last().unwrap(),
        &Some(format!("bytes={known}-"))
    );
    assert_eq!(
        stage.transship.ask_store("SELECT COUNT(*) FROM uploads"),
        "0"
    );
}

#[test]
fn kill_before_commit_sends_only_commit() {
    let stage = UploadStage::with(Oddities::default());
    stage.kill_at(SIZE, |request| {
        let ends = request.method == "PUT" && request.query.contains("digest=");
        ends && request.received == 0
    });
    stage.assert_synced();
    assert_eq!(stage.sent(), SIZE);
    assert_eq!(stage.reads(), [None]);
}

#[test]
fn refused_chunks_switch_to_monolithic() {
    let stage = UploadStage::with(Oddities::default());
    stage.target.rule(|request| match request.method.as_str() {
        "PATCH" => Verdict::Answer(refusal(405, "UNSUPPORTED")),
        _ => Verdict::Serve,
    });
    stage.assert_synced();
    assert_eq!(stage.part_count(), 1);
    let image = Image::oci_with("second", vec![layer("second", SIZE)]);
    stage.source.client().push("app", "v2", &image);
    stage.transship.sync();
    assert_eq!(stage.part_count(), 1, "another process knows it, too");
}

#[test]
fn last_chunk_wins_switches_to_monolithic() {
    let stage = UploadStage::with(Oddities {
        last_part_wins: true,
        ..Oddities::default()
    });
    stage.assert_synced();
}

#[test]
fn learns_smaller_chunks_from_413() {
    let stage = UploadStage::with(Oddities {
        largest_body: Some(1_200_000),
        ..Oddities::default()
    });
    // The part is larger than the layer, so that the layer goes whole at first.
    let text = config(stage.source.host(), stage.target.host()).replace("64 KiB", "64 MiB");
    stage.transship.write("mirror.toml", &text);
    let large = |name| Image::oci_with(name, vec![layer(name, 3_000_000)]);
    stage.source.client().push("app", "v2", &large("first"));
    stage.transship.sync();
    let to = stage.target.client();
    assert_mirrored(&stage.source.client(), "app", &to, "mirror/app", "v2");
    let refused = |requests: &[Request]| count(requests, |request| request.status == 413);
    assert!(refused(&stage.target.new_requests()) > 0);
    stage.source.client().push("app", "v3", &large("second"));
    stage.transship.sync();
    assert_eq!(
        refused(&stage.target.new_requests()),
        0,
        "another process knows it, too"
    );
}

#[test]
fn real_registry_takes_chunks() {
    let (source, target) = (Registry::start(), Registry::start());
    let image = Image::oci_with("large", vec![layer("large", SIZE)]);
    source.client().push("app", "v1", &image);
    Transship::new(&config(source.host(), target.host())).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    let requests = target.new_requests();
    assert_eq!(
        count(&requests, |r| r.method == "PATCH"),
        SIZE.div_ceil(PART)
    );
}

#[test]
fn real_registry_recovers_from_reset() {
    let (source, target) = (Registry::start(), Registry::start());
    let tunnel = Tunnel::breaking(target.host(), 100_000, 2);
    let image = Image::oci_with("large", vec![layer("large", SIZE)]);
    source.client().push("app", "v1", &image);
    Transship::new(&config(source.host(), tunnel.host())).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn daemon_stops_between_chunks_and_resumes() {
    let (source, target) = (Fake::start(), Registry::start());
    let large = layer("large", SIZE);
    let image = Image::oci_with("large", vec![large.clone()]);
    source.client().push("app", "v1", &image);
    let (gate, opened) = watch::channel(false);
    let (digest, bytes) = (large.digest(), large.bytes.clone());
    source.rule(move |request| {
        let is_first = request.path.ends_with(&digest) && request.range.is_none();
        match is_first {
            true => Verdict::Answer(held(&bytes, opened.clone())),
            false => Verdict::Serve,
        }
    });
    let keys = "plain_http = true\nchunk = \"64 KiB\"\nstall = \"1h\"";
    let text = serving("", &mirror_of("app")).replace("plain_http = true", keys);
    let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    let mut daemon = Daemon::start(&transship);
    // Half of the layer is two parts and something.
    let known = (2 * PART).to_string();
    daemon.until_true("two parts", |_| {
        transship.ask_store("SELECT offset FROM uploads") == known
    });
    daemon.signal("-TERM");
    daemon.until_true("the order to end to be heard", |daemon| {
        daemon.log().contains("shutting down")
    });
    gate.send_replace(true);
    assert!(daemon.wait().success());
    let offset = transship.ask_store("SELECT offset FROM uploads");
    assert_eq!(offset, (3 * PART).to_string());
    transship.sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    let parts = count(&target.new_requests(), |r| r.method == "PATCH");
    assert_eq!(parts, SIZE.div_ceil(PART), "no part was sent twice");
}
