//! A worker that is gone in the middle of a large layer: another resumes, and the stale one writes nothing.

use std::time::Duration;

use crate::cluster::Workers;
use crate::support::net::held::half_of_each_read;
use crate::support::programs::daemon::{Daemon, EVERY_OTHER_SECOND, mirror_of};
use crate::support::programs::transship::Transship;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Blob, Image, layer};
use crate::support::registries::fake::Fake;
use crate::support::registries::requests::count;
use crate::support::{PAUSE, wait_until};

const SIZE: usize = 300_000;
/// What is acknowledged when half of the layer has come: two parts of 64 KiB.
const ACKNOWLEDGED: usize = 2 * 65_536;
/// The lease of a worker, and what a successor waits before its first tag.
const LEASE: u32 = 60;
/// A lease that ends, a claim, the wait before the first tag, and a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(180);
/// Set to `real`, leases end by themselves, and the wait before the first tag is waited for.
const LEASES: &str = "TRANSSHIP_LEASES";

fn are_leases_real() -> bool {
    std::env::var(LEASES).is_ok_and(|leases| leases == "real")
}

/// A source that stops in the middle of a layer until it is read from where it stopped.
struct TakeoverStage {
    source: Fake,
    target: Fake,
    layer: Blob,
    workers: Workers,
}

impl TakeoverStage {
    fn new() -> Self {
        let (source, target) = (Fake::start(), Fake::start());
        let layer = layer("large", SIZE);
        let image = Image::oci_with("large", vec![layer.clone()]);
        source.client().push("app", "v1", &image);
        half_of_each_read(&source, "app", &layer);
        let entry = mirror_of("app").replace("tags =", "max_lag = \"8s\"\ntags =");
        let workers = Workers::between(source.host(), target.host(), EVERY_OTHER_SECOND, &entry);
        Self {
            source,
            target,
            layer,
            workers,
        }
    }

    /// A worker in the middle of the layer.
    fn stuck(&self) -> (Transship, Daemon) {
        self.workers.publish();
        let (worker, daemon) = self.workers.start("a");
        daemon.until_true("two parts to be acknowledged", |_| {
            let offset = "SELECT acknowledged FROM transship.uploads";
            self.workers.postgres.ask(offset) == ACKNOWLEDGED.to_string()
        });
        (worker, daemon)
    }

    /// Ends the lease of the worker that is gone.
    fn end_lease(&self) {
        if !are_leases_real() {
            self.workers.postgres.advance_clock(LEASE + 1);
        }
    }

    /// Lets the unit look as if nobody had held it, so that nobody waits before its first tag.
    fn skip_wait(&self) {
        if !are_leases_real() {
            let free = "UPDATE transship.units SET worker = NULL";
            self.workers.postgres.ask(free);
        }
    }

    #[track_caller]
    fn until(&self, what: &str, by: &Daemon, condition: impl Fn() -> bool) {
        let found = wait_until(TAKE_OVER, PAUSE, || condition().then_some(()));
        assert!(found.is_some(), "waited in vain for {what}\n{}", by.log());
    }

    fn has_tag(&self, image: &Image) -> bool {
        let manifest = self.target.client().manifest("mirror/app", "v1");
        manifest.is_some_and(|manifest| manifest.digest == image.digest())
    }

    fn lagging_since(&self) -> String {
        self.workers
            .postgres
            .ask("SELECT since FROM transship.lagging")
    }

    /// Whether the layer was read from the first byte that the target lacked.
    fn is_resumed(&self) -> bool {
        let from = format!("bytes={ACKNOWLEDGED}-");
        let mut requests = self.source.requests().into_iter();
        requests.any(|request| request.range.is_some_and(|range| range.starts_with(&from)))
    }

    /// Bytes that the target was sent in parts.
    fn sent(&self) -> usize {
        let requests = self.target.requests().into_iter();
        let parts = requests.filter(|request| request.method == "PATCH");
        parts.map(|part| part.received).sum()
    }
}

#[test]
fn another_worker_resumes_after_a_kill() {
    let stage = TakeoverStage::new();
    let (_directory, killed) = stage.stuck();
    killed.until_true("the lag to be recorded", |_| {
        !stage.lagging_since().is_empty()
    });
    let since = stage.lagging_since();
    let before = stage.sent();
    killed.kill();
    stage.end_lease();
    let (_worker, successor) = stage.workers.start("b");
    let digest = stage.layer.digest();
    let has_layer = || {
        let mut blobs = stage.target.blobs().into_iter();
        blobs.any(|(_, found)| found == digest)
    };
    stage.until("the layer to arrive", &successor, has_layer);
    let sent = stage.sent() - before;
    assert!(sent < SIZE, "{sent} bytes were sent after the take-over");
    assert!(stage.is_resumed(), "{:#?}", stage.source.requests());
    if !stage.lagging_since().is_empty() {
        assert_eq!(stage.lagging_since(), since, "the lag began again");
    }
    let log = successor.log();
    assert!(log.contains("taken over"), "{log}");
    let image = Image::oci_with("large", vec![stage.layer.clone()]);
    assert!(!stage.has_tag(&image), "the tag was written at once");
    if !are_leases_real() {
        return;
    }
    stage.until("the tag to be written", &successor, || {
        stage.has_tag(&image)
    });
    let (from, to) = (stage.source.client(), stage.target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn stale_worker_moves_no_tag_back() {
    let stage = TakeoverStage::new();
    let (_directory, stale) = stage.stuck();
    stale.signal("-STOP");
    stage.end_lease();
    stage.skip_wait();
    let (_worker, successor) = stage.workers.start("b");
    let first = Image::oci_with("large", vec![stage.layer.clone()]);
    stage.until("the tag to be written", &successor, || {
        stage.has_tag(&first)
    });
    let second = Image::oci("second");
    stage.source.client().push("app", "v1", &second);
    stage.until("the tag to be moved", &successor, || stage.has_tag(&second));
    stage.target.new_requests();
    stale.signal("-CONT");
    stale.until_true("the stale worker to notice", |stale| {
        stale.log().contains("the lease was lost")
    });
    stale.until_true("the stale worker to register again", |stale| {
        stale.log().matches("registered as worker a").count() == 2
    });
    assert!(stage.has_tag(&second), "{}", stale.log());
    let requests = stage.target.new_requests();
    let written = count(&requests, |r| r.is_manifest_put() || r.is_blob_upload());
    assert_eq!(written, 0, "{requests:#?}");
}
