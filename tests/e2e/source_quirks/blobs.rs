//! Blobs that a registry keeps elsewhere, behind URLs that it signs for a while.

use std::sync::Mutex;

use bytes::Bytes;

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::{Transship, mirrors};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{parameter, redirect, refusal, truncated};
use crate::support::registries::requests::{Request, count};

const SIZE: usize = 300_000;

/// What a store makes of a request for the layer, by the number of the URL that was signed for it.
type Fault = fn(u32, &Request, &Bytes) -> Verdict;

/// A source that sends everybody who wants its layer to a store, a target, and the binary.
struct BlobStage {
    source: Fake,
    store: Fake,
    target: Fake,
    digest: String,
    transship: Transship,
}

impl BlobStage {
    fn with(fault: Fault) -> Self {
        let (source, store, target) = (Fake::start(), Fake::start(), Fake::start());
        let large = layer("kept elsewhere", SIZE);
        let image = Image::oci_with("kept elsewhere", vec![large.clone()]);
        for holder in [&source, &store] {
            holder.client().push("app", "v1", &image);
        }
        let (digest, host) = (large.digest(), store.host().to_owned());
        let (wanted, signed) = (digest.clone(), Mutex::new(0));
        source.rule(move |request| {
            if request.method != "GET" || !request.path.ends_with(&wanted) {
                return Verdict::Serve;
            }
            let mut signed = signed.lock().unwrap();
            *signed += 1;
            let url = format!("http://{host}{}?signature={signed}", request.path);
            Verdict::Answer(redirect(&url))
        });
        store.rule(move |request| {
            let signature = parameter(&request.query, "signature").expect("it was signed");
            fault(signature.parse().unwrap(), request, &large.bytes)
        });
        let transship = between(source.host(), target.host(), &all_tags_of("app"));
        Self {
            source,
            store,
            target,
            digest,
            transship,
        }
    }

    fn assert_synced(&self) {
        self.transship.sync();
        let (from, to) = (self.source.client(), self.target.client());
        assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    }

    /// How often the registry, or its store, was asked for the layer, and from which byte on.
    fn reads(&self, of: &Fake) -> Vec<Option<String>> {
        let requests = of.requests().into_iter();
        let reads = requests.filter(|r| r.method == "GET" && r.path.ends_with(&self.digest));
        reads.map(|read| read.range).collect()
    }
}

#[test]
fn expired_url_mid_download_is_renewed() {
    let stage = BlobStage::with(|signature, _, bytes| match signature {
        1 => Verdict::Answer(truncated(bytes)),
        // The registry may give out one that has ended from a cache.
        2 => Verdict::Answer(refusal(403, "AccessDenied")),
        _ => Verdict::Serve,
    });
    stage.assert_synced();
    let half = Some(format!("bytes={}-", SIZE / 2));
    let expected = [None, half.clone(), half];
    assert_eq!(stage.reads(&stage.source), expected);
    assert_eq!(stage.reads(&stage.store), expected);
    let bodies = stage.target.requests().into_iter();
    let received: Vec<_> = bodies
        .filter(|r| r.is_blob_body() && r.received >= SIZE / 2)
        .map(|r| r.received)
        .collect();
    assert_eq!(received, [SIZE], "the upload never noticed");
}

#[test]
fn expired_url_before_use_is_renewed() {
    for refuse in [
        (|signature, _, _| refuse_the_first(signature, 400)) as Fault,
        |signature, _, _| refuse_the_first(signature, 401),
        |signature, _, _| refuse_the_first(signature, 403),
    ] {
        let stage = BlobStage::with(refuse);
        stage.assert_synced();
        assert_eq!(stage.reads(&stage.source), [None, None]);
    }
}

fn refuse_the_first(signature: u32, status: u16) -> Verdict {
    match signature {
        1 => Verdict::Answer(refusal(status, "ExpiredToken")),
        _ => Verdict::Serve,
    }
}

#[test]
fn blob_store_refusal_is_named() {
    for fault in [
        (|_, _, _| Verdict::Answer(refusal(401, "AccessDenied"))) as Fault,
        |_, _, _| Verdict::Answer(refusal(403, "AccessDenied")),
    ] {
        let stage = BlobStage::with(fault);
        let finished = stage.transship.run(&["--json", "sync"]).expect_code(2);
        let words = [
            "app:v1",
            stage.store.host(),
            "does not accept the URL that it signed",
        ];
        let report = finished.expect_stderr(&words).json();
        let class = mirrors(&report)[0]["errors"][0]["class"].as_str();
        assert_eq!(class, Some("server"), "{report:#}");
        let reads = stage.reads(&stage.source).len();
        assert!((2..=10).contains(&reads), "{reads} URLs were signed");
        let is_token = |request: &Request| request.path == "/token";
        assert_eq!(count(&stage.source.requests(), is_token), 0);
    }
}

#[test]
fn blob_missing_in_store_fails_at_once() {
    let stage = BlobStage::with(|_, _, _| Verdict::Answer(refusal(404, "NoSuchKey")));
    let finished = stage.transship.run(&["--json", "sync"]).expect_code(2);
    let report = finished.expect_stderr(&["app:v1", "not found"]).json();
    let class = mirrors(&report)[0]["errors"][0]["class"].as_str();
    assert_eq!(class, Some("not_found"), "{report:#}");
    assert_eq!(stage.reads(&stage.source), [None]);
}

#[test]
fn never_heads_source_blobs() {
    let (source, target) = (Fake::start(), Fake::start());
    let image = Image::two_platforms("read alone");
    source.client().push("app", "v1", &image);
    let is_blob_head = |request: &Request| request.method == "HEAD" && !is_manifest(request);
    source.rule(move |request| match is_blob_head(request) {
        true => Verdict::Answer(refusal(401, "UNAUTHORIZED")),
        false => Verdict::Serve,
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    transship.let_a_year_pass();
    transship.sync();
    transship.run(&["verify"]).expect_code(0);
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    let requests = source.requests();
    assert!(count(&requests, Request::is_blob_get) > 0);
    assert_eq!(count(&requests, is_blob_head), 0, "{requests:#?}");
}

fn is_manifest(request: &Request) -> bool {
    request.path.contains("/manifests/")
}

/// An image with a layer of no bytes, and the end of that layer's address.
fn with_nothing() -> (Image, String) {
    let nothing = layer("nothing", 0);
    let end = format!("/blobs/{}", nothing.digest());
    (Image::oci_with("nothing", vec![nothing]), end)
}

#[test]
fn empty_blob_is_never_pulled() {
    let (image, end) = with_nothing();
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &image);
    source.rule(move |request| match request.path.ends_with(&end) {
        true => Verdict::Answer(refusal(404, "BLOB_UNKNOWN")),
        false => Verdict::Serve,
    });
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    let (from, to) = (source.client(), target.client());
    let written = to.manifest("mirror/app", "v1").unwrap();
    assert_eq!(written.digest, from.manifest("app", "v1").unwrap().digest);
}

#[test]
fn refused_empty_blob_names_remedy() {
    let (image, _) = with_nothing();
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &image);
    target.rule(
        |request| match request.method == "PUT" && request.is_blob_body() {
            true if request.query.contains("e3b0c442") => {
                Verdict::Answer(refusal(400, "EmptyUploadException"))
            }
            _ => Verdict::Serve,
        },
    );
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["the blob is empty", "`exclude`"]);
}
