//! Manifests that a hostile registry serves: too large, too deep, too many, and of other bytes than they say.

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::{Finished, Transship};
use crate::support::registries::client::{assert_mirrored, digest_of};
use crate::support::registries::corpus::{Image, OCI_INDEX, OCI_MANIFEST, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{Endless, answer};
use crate::support::registries::requests::{Request, count};

/// More than a manifest of 4 MiB and the buffers of a connection, and far less than 100 MB.
const LITTLE: u64 = 24 << 20;

/// A source, a target that checks nothing, and the binary between them.
fn stage() -> (Fake, Fake, Transship) {
    let (source, target) = (Fake::start(), Fake::start());
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    (source, target, transship)
}

/// Syncs in vain: the reason is told, and the target has no manifest.
#[track_caller]
fn expect_refused(target: &Fake, transship: &Transship, words: &[&str]) -> Finished {
    let finished = transship.run(&["sync"]).expect_code(2).expect_stderr(words);
    assert_eq!(count(&target.requests(), Request::is_manifest_put), 0);
    finished
}

/// A manifest of these bytes as `app:v1`, and what becomes of it.
#[track_caller]
fn expect_manifest_refused(media_type: &str, manifest: &Value, words: &[&str]) {
    let (source, target, transship) = stage();
    let bytes = Bytes::from(manifest.to_string());
    source
        .client()
        .put_manifest("app", "v1", media_type, &bytes);
    expect_refused(&target, &transship, words);
}

fn reads_a_manifest(request: &Request) -> bool {
    request.method == "GET" && request.path.contains("/manifests/")
}

/// A rule that answers every reading of a manifest without end.
fn endless(fake: &Fake, announced: Option<u64>) -> Endless {
    let endless = Endless::default();
    let answers = endless.clone();
    let frame: &[u8] = &[b' '; 16 << 10];
    fake.rule(move |request| match reads_a_manifest(request) {
        true => Verdict::Answer(answers.answer(frame, announced)),
        false => Verdict::Serve,
    });
    endless
}

#[test]
fn endless_manifest_is_cut() {
    let (source, target, transship) = stage();
    source.client().push("app", "v1", &Image::oci("endless"));
    let endless = endless(&source, None);
    expect_refused(&target, &transship, &["app", "larger than 4.0 MiB"]);
    let taken = endless.taken();
    assert!(taken < LITTLE, "{taken} bytes were taken");
}

#[test]
fn announced_huge_manifest_is_refused() {
    let (source, target, transship) = stage();
    source.client().push("app", "v1", &Image::oci("announced"));
    let endless = endless(&source, Some(100_000_000));
    expect_refused(&target, &transship, &["app", "larger than 4.0 MiB"]);
    let taken = endless.taken();
    assert!(taken < LITTLE, "{taken} bytes were taken");
}

#[test]
fn endless_target_manifest_is_cut() {
    let (source, target, transship) = stage();
    source.client().push("app", "v1", &Image::oci("a retag"));
    transship.sync();
    source.client().push("app", "v2", &Image::oci("a retag"));
    let endless = endless(&target, None);
    transship
        .run(&["sync"])
        .expect_code(1)
        .expect_stderr(&["v2", "larger than 4.0 MiB"]);
    let taken = endless.taken();
    assert!(taken < LITTLE, "{taken} bytes were taken");
}

#[test]
fn huge_error_body_prints_one_line() {
    let (source, target, transship) = stage();
    source.client().push("app", "v1", &Image::oci("refused"));
    source.rule(|request| match reads_a_manifest(request) {
        true => {
            let message = "go away ".repeat(2_000_000);
            let error = json!({ "errors": [{ "code": "DENIED", "message": message }] });
            Verdict::Answer(answer(403, &error))
        }
        false => Verdict::Serve,
    });
    let finished = expect_refused(&target, &transship, &["app", "access denied"]);
    assert!(finished.stderr.len() < 20_000, "{}", finished.stderr.len());
    assert!(finished.stdout.len() < 20_000, "{}", finished.stdout.len());
}

#[test]
fn deep_index_nesting_is_refused() {
    let (source, target, transship) = stage();
    let nested = (0..20).fold(Image::oci("the core"), |inner, _| Image::index(vec![inner]));
    source.client().push("app", "v1", &nested);
    expect_refused(&target, &transship, &["nest more than 8 deep"]);
    let read = count(&source.requests(), reads_a_manifest);
    assert!(read < 20, "{read} manifests were read");
}

#[test]
fn self_naming_index_is_a_mismatch() {
    let (source, target, transship) = stage();
    let named = digest_of(b"a digest that nothing has");
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        { "mediaType": OCI_INDEX, "digest": named, "size": 7 },
    ]});
    let bytes = Bytes::from(index.to_string());
    // The index is served under its own digest, and under the one that it names.
    for reference in ["v1", &named] {
        source
            .client()
            .put_manifest("app", reference, OCI_INDEX, &bytes);
    }
    expect_refused(&target, &transship, &["wrong bytes"]);
    assert!(count(&source.requests(), reads_a_manifest) < 10);
}

#[test]
fn oversized_manifest_tree_is_refused() {
    let (source, target, transship) = stage();
    let large = |number: usize| {
        let annotation = format!("{number}{}", "x".repeat(3_900_000));
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [],
            "annotations": { "a": annotation } });
        Bytes::from(index.to_string())
    };
    let mut entries = Vec::new();
    for number in 0..10 {
        let bytes = large(number);
        let digest = digest_of(&bytes);
        source
            .client()
            .put_manifest("app", &digest, OCI_INDEX, &bytes);
        entries.push(json!({ "mediaType": OCI_INDEX, "digest": digest, "size": bytes.len() }));
    }
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    let bytes = Bytes::from(index.to_string());
    source.client().put_manifest("app", "v1", OCI_INDEX, &bytes);
    transship
        .run(&["sync"])
        .expect_code(2)
        .expect_stderr(&["together larger than 32.0 MiB"]);
    assert!(target.client().tags("mirror/app").is_empty());
}

fn image_with(layers: Value) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": layers })
}

#[test]
fn too_many_descriptors_are_refused() {
    let blob = |number: usize| json!({ "digest": digest_of(&number.to_be_bytes()), "size": 1 });
    let layers: Vec<_> = (0..40_000).map(blob).collect();
    let words = ["names 40000 blobs or manifests, more than 10000"];
    expect_manifest_refused(OCI_MANIFEST, &image_with(json!(layers)), &words);
}

#[test]
fn impossible_sizes_are_refused() {
    for (size, words) in [
        (json!(u64::MAX), "which no blob has"),
        (json!(1e300), "not a manifest"),
        (json!("7"), "not a manifest"),
    ] {
        let layers = json!([{ "digest": digest_of(b"x"), "size": size }]);
        expect_manifest_refused(OCI_MANIFEST, &image_with(layers), &[words]);
    }
}

#[test]
fn size_mismatch_never_becomes_a_blob() {
    for size in [2_999, 3_001, 1_u64 << 40] {
        let (source, target, transship) = stage();
        let blob = layer("of another size", 3_000);
        let digest = layer("of other bytes", 3_000).digest();
        let path = format!("/v2/app/blobs/{digest}");
        source.rule(move |request| match request.path == path {
            true => Verdict::Answer(Response::new(Body::from(blob.bytes.clone()))),
            false => Verdict::Serve,
        });
        let layers = json!([{ "digest": digest, "size": size }]);
        let bytes = Bytes::from(image_with(layers).to_string());
        source
            .client()
            .put_manifest("app", "v1", OCI_MANIFEST, &bytes);
        let words = format!("gives it {size} bytes, and the registry serves 3000");
        expect_refused(&target, &transship, &[&words, "nor is it what its digest"]);
        assert!(target.blobs().is_empty());
    }
}

#[test]
fn path_like_digest_is_refused() {
    for digest in [
        "sha256:../../x",
        "../../etc/passwd",
        "sha256:aa\r\nX-Evil: 1",
    ] {
        let layers = json!([{ "digest": digest, "size": 1 }]);
        expect_manifest_refused(OCI_MANIFEST, &image_with(layers), &["not a manifest"]);
    }
}

#[test]
fn header_injection_is_refused() {
    let mut manifest = image_with(json!([]));
    manifest["mediaType"] = json!("application/vnd.x\r\nX-Evil: 1");
    expect_manifest_refused(OCI_MANIFEST, &manifest, &["no media type"]);
}

#[test]
fn huge_annotations_count_by_size() {
    let (source, target, transship) = stage();
    let mut manifest = image_with(json!([]));
    manifest["annotations"] = json!({ "x": "y".repeat(3_000_000) });
    let bytes = Bytes::from(manifest.to_string());
    source
        .client()
        .put_manifest("app", "v1", OCI_MANIFEST, &bytes);
    transship.sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn content_encoding_is_not_decoded() {
    let (source, target, transship) = stage();
    let image = Image::oci("not unpacked");
    source.client().push("app", "v1", &image);
    let bytes = image.bytes.clone();
    source.rule(move |request| match reads_a_manifest(request) {
        true => {
            let builder = Response::builder()
                .header("content-type", OCI_MANIFEST)
                .header("content-encoding", "gzip");
            Verdict::Answer(builder.body(Body::from(bytes.clone())).unwrap())
        }
        false => Verdict::Serve,
    });
    transship.sync();
    let held = target.client().manifest("mirror/app", "v1").unwrap();
    assert_eq!(held.bytes, image.bytes);
}

#[test]
fn false_digest_header_is_rejected() {
    let (source, target, transship) = stage();
    source.client().push("app", "v1", &Image::oci("the truth"));
    let lie = digest_of(b"a lie");
    source.rule(move |request| {
        let is_check = request.method == "HEAD" && request.path.contains("/manifests/");
        match is_check {
            true => {
                let builder = Response::builder()
                    .header("content-type", OCI_MANIFEST)
                    .header("docker-content-digest", lie.as_str());
                Verdict::Answer(builder.body(Body::empty()).unwrap())
            }
            false => Verdict::Serve,
        }
    });
    expect_refused(
        &target,
        &transship,
        &["app", "the source serves nothing under this digest"],
    );
}
