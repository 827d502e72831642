//! Images that come through from the upstream: once for all who ask, whole or not at all.

use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use tokio::sync::watch;

use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::registries::corpus::{Image, layer};

use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{held, truncated};
use crate::support::registries::requests::{Request, count};
use crate::support::wait_for;

/// An image with a layer that no window holds, and neither do the buffers of a connection.
fn large() -> Image {
    image_with(24 << 20)
}

fn image_with(large_bytes: usize) -> Image {
    let layers = [("small", 5000), ("large", large_bytes), ("mid", 1 << 20)];
    let layers = layers.map(|(name, bytes)| layer(name, bytes));
    Image::oci_with("large", layers.into())
}

fn blob_path(image: &Image, at: usize) -> String {
    format!("/v2/tool/blobs/{}", image.blobs[at].digest())
}

/// Whether a request is for the bytes of a blob.
fn is_get_of(digest: &str) -> impl Fn(&Request) -> bool + Send + 'static + use<> {
    let digest = digest.to_owned();
    move |request| request.method == "GET" && request.path.ends_with(&digest)
}

/// A gateway that keeps what comes through, `tool:v1`, at a fake with these keys.
fn storing_at(kept: &Fake, target_keys: &str, image: &Image) -> GatewayStage {
    let keys = format!(
        "allow = [\"SOURCE/**\"]\ntarget = \"{}/cache\"",
        kept.host()
    );
    let table = format!(
        "[registries.\"{}\"]\nplain_http = true\n{target_keys}",
        kept.host()
    );
    GatewayStage::with(&keys, &table, |source| {
        source.client().push("tool", "v1", image);
    })
}

fn gets_of(requests: &[Request], digest: &str) -> usize {
    count(requests, |request| {
        request.is_blob_get() && request.path.ends_with(digest)
    })
}

#[test]
fn fifty_clients_are_one_download() {
    // Two windows for each of fifty.
    let image = image_with(4 << 20);
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    for reply in stage.client.herd(50, "/v2/tool/manifests/v1") {
        assert_eq!((reply.status.as_u16(), &reply.body), (200, &image.bytes));
    }
    for (at, blob) in image.blobs.iter().enumerate() {
        for reply in stage.client.herd(50, &blob_path(&image, at)) {
            assert_eq!(reply.status, 200);
            assert!(
                !reply.is_broken && reply.body == blob.bytes,
                "{} bytes",
                reply.body.len()
            );
        }
    }
    stage.until_mirrored("cache/tool", "v1");
    let requests = stage.source.requests();
    for blob in &image.blobs {
        assert_eq!(gets_of(&requests, &blob.digest()), 1, "{requests:#?}");
    }
    let is_pull = |request: &Request| {
        let is_manifest = request.path.contains("tool/manifests/");
        request.method == "GET" && is_manifest && request.status == 200
    };
    // One counted pull for the clients; the mirror that follows reads the manifest once more.
    assert!(count(&requests, is_pull) <= 2, "{requests:#?}");
}

#[test]
fn slow_client_reads_the_rest_from_the_target() {
    let image = large();
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    stage.client.get("/v2/tool/manifests/v1");
    let blob = &image.blobs[2];
    let reply = stage.client.pausing(&blob_path(&image, 2), || {
        // The copy is complete though a client has read next to nothing.
        wait_for("the target to have the blob", || {
            stage.target.has_blob(&blob.digest()).then_some(())
        });
    });
    assert!(
        !reply.is_broken && reply.body == blob.bytes,
        "{} bytes",
        reply.body.len()
    );
    assert_eq!(gets_of(&stage.source.requests(), &blob.digest()), 1);
}

#[test]
fn first_bytes_come_before_the_upstream_is_done() {
    let image = large();
    let (open, gate) = watch::channel(false);
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    let (digest, bytes) = (image.blobs[2].digest(), image.blobs[2].bytes.clone());
    stage
        .source
        .rule(move |request| match request.path.ends_with(&digest) {
            true if request.method == "GET" => Verdict::Answer(held(&bytes, gate.clone())),
            _ => Verdict::Serve,
        });
    stage.client.get("/v2/tool/manifests/v1");
    let reply = stage.client.pausing(&blob_path(&image, 2), || {
        open.send_replace(true);
    });
    assert!(!reply.is_broken && reply.body == image.blobs[2].bytes);
}

#[test]
fn range_is_served_while_the_blob_is_in_flight() {
    let image = large();
    let (open, gate) = watch::channel(false);
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    let (digest, bytes) = (image.blobs[2].digest(), image.blobs[2].bytes.clone());
    stage
        .source
        .rule(move |request| match request.path.ends_with(&digest) {
            true if request.method == "GET" => Verdict::Answer(held(&bytes, gate.clone())),
            _ => Verdict::Serve,
        });
    stage.client.get("/v2/tool/manifests/v1");
    let path = blob_path(&image, 2);
    let reply = stage.client.pausing(&path, || {
        open.send_replace(true);
        let part = stage
            .client
            .ask(Method::GET, &path, &[("range", "bytes=20000000-20000009")]);
        assert_eq!(part.status, 206);
        assert_eq!(
            part.body,
            image.blobs[2].bytes.slice(20_000_000..20_000_010)
        );
    });
    assert!(!reply.is_broken && reply.body == image.blobs[2].bytes);
    assert_eq!(
        gets_of(&stage.source.requests(), &image.blobs[2].digest()),
        1
    );
}

#[test]
fn wrong_body_is_never_complete() {
    let image = Image::oci_with("tool", vec![layer("rotten", 3 << 20)]);
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    let digest = image.blobs[1].digest();
    stage.source.rot_blob("tool", &digest);
    stage.client.get("/v2/tool/manifests/v1");
    for reply in stage.client.herd(5, &blob_path(&image, 1)) {
        assert!(
            reply.is_broken || reply.status != 200,
            "a wrong body of {} bytes",
            reply.body.len()
        );
        assert!(reply.body.len() < image.blobs[1].bytes.len());
    }
    assert!(!stage.target.has_blob(&digest));
    let is_cancelled = |request: &Request| {
        request.method == "DELETE" && request.path.contains("/cache/tool/blobs/uploads/")
    };
    wait_for("the upload to be cancelled", || {
        stage
            .target
            .new_requests()
            .iter()
            .any(is_cancelled)
            .then_some(())
    });
    // Once the upstream is right, so is the pull.
    stage.source.rot_blob("tool", &digest);
    let healed = stage.client.get(&blob_path(&image, 1));
    assert!(!healed.is_broken && healed.body == image.blobs[1].bytes);
}

#[test]
fn broken_upstream_is_healed_inside_the_answer() {
    let image = large();
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    let (digest, bytes) = (image.blobs[2].digest(), image.blobs[2].bytes.clone());
    let broken = Arc::new(Mutex::new(false));
    stage.source.rule(move |request| {
        let is_first = request.method == "GET"
            && request.path.ends_with(&digest)
            && !std::mem::replace(&mut *broken.lock().unwrap(), true);
        match is_first {
            true => Verdict::Answer(truncated(&bytes)),
            false => Verdict::Serve,
        }
    });
    stage.client.get("/v2/tool/manifests/v1");
    let reply = stage.client.get(&blob_path(&image, 2));
    assert!(
        !reply.is_broken && reply.body == image.blobs[2].bytes,
        "{} bytes",
        reply.body.len()
    );
    let requests = stage.source.requests();
    let resumed = requests.iter().filter(|request| request.is_blob_get());
    let resumed: Vec<_> = resumed
        .filter_map(|request| request.range.clone())
        .collect();
    assert!(
        resumed.iter().any(|range| range.starts_with("bytes=")),
        "{requests:#?}"
    );
}

#[test]
fn copy_goes_on_when_its_client_leaves() {
    let image = large();
    let stage = GatewayStage::start(OPEN, |source| source.client().push("tool", "v1", &image));
    stage.client.get("/v2/tool/manifests/v1");
    stage.client.leave(&blob_path(&image, 2));
    let digest = image.blobs[2].digest();
    wait_for("the target to have the blob", || {
        stage.target.has_blob(&digest).then_some(())
    });
    assert_eq!(gets_of(&stage.source.requests(), &digest), 1);
}

#[test]
fn killed_daemon_resumes_the_upload() {
    let image = Image::oci_with("tool", vec![layer("large", 2 << 20)]);
    // docker-registry refuses a session in which a request broke. This target keeps what arrived.
    let kept = Fake::start();
    let mut stage = storing_at(&kept, "chunk = \"256 KiB\"", &image);
    let (open, gate) = watch::channel(false);
    let (digest, bytes) = (image.blobs[1].digest(), image.blobs[1].bytes.clone());
    let first = Arc::new(Mutex::new(true));
    stage.source.rule(move |request| {
        let is_get = request.method == "GET" && request.path.ends_with(&digest);
        match is_get && std::mem::replace(&mut *first.lock().unwrap(), false) {
            true => Verdict::Answer(held(&bytes, gate.clone())),
            false => Verdict::Serve,
        }
    });
    stage.client.get("/v2/tool/manifests/v1");
    stage.client.leave(&blob_path(&image, 1));
    stage.daemon().until_true("a part to be written down", |_| {
        let saved = stage.transship.ask_store("SELECT MAX(offset) FROM uploads");
        saved
            .trim()
            .parse::<u64>()
            .is_ok_and(|offset| offset >= 512 << 10)
    });
    stage.daemon.take().unwrap().kill();
    drop(open);
    stage.serve();
    let reply = stage.client.get(&blob_path(&image, 1));
    assert!(
        !reply.is_broken && reply.body == image.blobs[1].bytes,
        "{} bytes",
        reply.body.len()
    );
    let requests = stage.source.requests();
    let ranges: Vec<_> = requests
        .iter()
        .filter_map(|request| request.range.as_deref())
        .collect();
    assert!(
        ranges
            .iter()
            .any(|range| range.ends_with('-') && *range != "bytes=0-"),
        "{ranges:?}"
    );
    assert_eq!(
        gets_of(&requests, &image.blobs[1].digest()),
        2,
        "{requests:#?}"
    );
}

#[test]
fn nothing_is_kept_without_a_target() {
    let image = large();
    let keys = "allow = [\"SOURCE/**\"]\ntarget = \"none\"";
    let stage = GatewayStage::start(keys, |source| source.client().push("tool", "v1", &image));
    assert_eq!(stage.client.get("/v2/tool/manifests/v1").body, image.bytes);
    for reply in stage.client.herd(10, &blob_path(&image, 2)) {
        assert!(!reply.is_broken && reply.body == image.blobs[2].bytes);
    }
    assert!(!stage.target.has_blob(&image.blobs[2].digest()));
    assert_eq!(stage.target.client().repositories(), ["mirror/app"]);
}

#[test]
fn blob_needs_a_manifest_of_its_repository() {
    let secret = Image::oci("secret");
    let stage = GatewayStage::start(OPEN, |source| {
        source.client().push("secret", "v1", &secret);
        source.client().push("tool", "v1", &Image::oci("tool"));
    });
    stage.client.get("/v2/tool/manifests/v1");
    let path = format!("/v2/tool/blobs/{}", secret.blobs[1].digest());
    let reply = stage.client.get(&path);
    assert_eq!(reply.status, 404);
    assert_eq!(reply.error().0, "BLOB_UNKNOWN");
    assert_eq!(
        count(&stage.source.requests(), Request::is_blob_get),
        3,
        "app alone was read"
    );
}

#[test]
fn missing_tag_is_asked_for_once() {
    let stage = GatewayStage::start(OPEN, |_| {});
    for _ in 0..20 {
        let reply = stage.client.get("/v2/tool/manifests/nowhere");
        assert_eq!(reply.status, 404);
        assert_eq!(reply.error().0, "MANIFEST_UNKNOWN");
    }
    let requests = stage.source.new_requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
}

#[test]
fn image_above_the_limit_is_refused_before_its_first_byte() {
    let image = large();
    let keys = format!("{OPEN}\nmax_image = \"1 MiB\"");
    let stage = GatewayStage::start(&keys, |source| source.client().push("tool", "v1", &image));
    let reply = stage.client.get("/v2/tool/manifests/v1");
    assert_eq!(reply.status, 404);
    assert!(reply.error().1.contains("max_image"), "{:?}", reply.error());
    let other = stage.client.get(&blob_path(&image, 2));
    assert_eq!(other.status, 404);
}

#[test]
fn index_of_images_above_the_limit_is_refused_at_once() {
    let keys = format!("{OPEN}\nmax_image = \"1 MiB\"");
    let small = Image::two_platforms("small");
    let stage = GatewayStage::start(&keys, |source| {
        let index = Image::index(vec![
            large().on("linux/amd64"),
            Image::oci("s").on("linux/arm64"),
        ]);
        source.client().push("tool", "v1", &index);
        source.client().push("tool", "v2", &small);
    });
    let reply = stage.client.get("/v2/tool/manifests/v1");
    assert_eq!(reply.status, 404);
    assert!(reply.error().1.contains("max_image"), "{:?}", reply.error());
    // Two platforms together are no image.
    assert_eq!(stage.client.get("/v2/tool/manifests/v2").body, small.bytes);
}

#[test]
fn download_that_began_meanwhile_is_followed() {
    let image = image_with(1 << 20);
    let (digest, bytes) = (image.blobs[2].digest(), image.blobs[2].bytes.clone());
    let path = blob_path(&image, 2);
    let kept = Fake::start();
    let stage = storing_at(&kept, "", &image);
    // The target answers the first client only once the upstream is asked for the second.
    let (begun, is_begun) = watch::channel(false);
    let (open, gate) = watch::channel(false);
    let (of_source, of_target) = (is_get_of(&digest), is_get_of(&digest));
    stage.source.rule(move |request| match of_source(request) {
        true => {
            begun.send_replace(true);
            Verdict::Answer(held(&bytes, gate.clone()))
        }
        false => Verdict::Serve,
    });
    let mut looks = 0;
    kept.rule(move |request| {
        looks += usize::from(of_target(request));
        match looks {
            1 if of_target(request) => Verdict::ServeBehind(is_begun.clone()),
            _ => Verdict::Serve,
        }
    });
    stage.client.get("/v2/tool/manifests/v1");
    std::thread::scope(|threads| {
        let clients = threads.spawn(|| stage.client.herd(2, &path));
        stage.daemon().until_true("both to follow", |daemon| {
            let live = daemon.get("/api/v1/pulls").json();
            live["live"]["downloads"][0]["followers"] == 2
        });
        open.send_replace(true);
        for reply in clients.join().unwrap() {
            assert!(!reply.is_broken && reply.body == image.blobs[2].bytes);
        }
    });
    assert!(!stage.daemon().log().contains("that a run is sending"));
}

#[test]
fn download_that_ended_meanwhile_is_read_from_the_target() {
    let image = image_with(1 << 20);
    let (digest, path) = (image.blobs[2].digest(), blob_path(&image, 2));
    let kept = Fake::start();
    let stage = storing_at(&kept, "", &image);
    // The target takes its time to tell the first client that it has nothing.
    let (open, gate) = watch::channel(false);
    let (looked, has_looked) = std::sync::mpsc::channel();
    let is_look = is_get_of(&digest);
    let mut is_first = true;
    kept.rule(move |request| {
        if !is_look(request) || !std::mem::replace(&mut is_first, false) {
            return Verdict::Serve;
        }
        looked.send(()).unwrap();
        let mut missing = held(&"{\"errors\": []}".into(), gate.clone());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        Verdict::Answer(missing)
    });
    stage.client.get("/v2/tool/manifests/v1");
    std::thread::scope(|threads| {
        let first = threads.spawn(|| stage.client.get(&path));
        has_looked.recv().unwrap();
        assert_eq!(stage.client.get(&path).body, image.blobs[2].bytes);
        stage.daemon().until_true("the download to end", |daemon| {
            let live = daemon.get("/api/v1/pulls").json();
            live["live"]["downloads"].as_array().unwrap().is_empty()
        });
        open.send_replace(true);
        assert_eq!(first.join().unwrap().body, image.blobs[2].bytes);
    });
    assert_eq!(gets_of(&stage.source.requests(), &digest), 1);
}
