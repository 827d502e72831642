//! Manifests as registries really serve them: without HEAD, with digests of their own kind, and absent in many words.

use axum::body::Body;
use axum::http::{Response, header};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::{Transship, mirrors, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;
use crate::support::registries::requests::{Request, assert_only_reads, count};

/// A source with this image as `app:v1`, a target, and the binary.
fn stage(image: &Image) -> (Fake, Fake, Transship) {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", image);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    (source, target, transship)
}

fn is_manifest_head(request: &Request) -> bool {
    request.method == "HEAD" && request.path.contains("/manifests/")
}

/// Fails the test unless `app:v1` is mirrored, and found unchanged by the next run.
fn assert_mirrored_once(source: &Fake, target: &Fake, transship: &Transship) {
    transship.sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    target.new_requests();
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    assert_only_reads(&target.new_requests());
}

#[test]
fn falls_back_from_head_to_get() {
    for status in [404, 405, 501] {
        let (source, target, transship) = stage(&Image::two_platforms("without heads"));
        source.rule(move |request| match is_manifest_head(request) {
            true => Verdict::Answer(refusal(status, "UNSUPPORTED")),
            false => Verdict::Serve,
        });
        let pull = transship.run(&["check", "--online"]).expect_code(0);
        pull.expect_stdout(&[source.host()]);
        assert_mirrored_once(&source, &target, &transship);
        assert!(count(&source.requests(), is_manifest_head) > 0);
    }
}

/// Serves a manifest under `app:v1`, and under the digest that is told of it.
fn serve(source: &Fake, image: &Image, told: String) {
    let bytes = image.bytes.clone();
    source.rule(move |request| {
        let reference = request.path.strip_prefix("/v2/app/manifests/");
        if !reference.is_some_and(|name| name == "v1" || name == told) {
            return Verdict::Serve;
        }
        let builder = Response::builder()
            .header("docker-content-digest", told.as_str())
            .header(header::ETAG, "W/\"sha256:weak\"")
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header(header::CONTENT_LENGTH, bytes.len());
        Verdict::Answer(builder.body(Body::from(bytes.clone())).unwrap())
    });
}

#[test]
fn hashes_body_for_invalid_digest_header() {
    let image = Image::oci("told oddly");
    for told in [
        String::new(),
        "latest".to_owned(),
        "sha256:short".to_owned(),
        format!("\"{}\"", image.digest()),
        format!("md5:{}", "0".repeat(32)),
    ] {
        let (source, target, transship) = stage(&image);
        serve(&source, &image, told);
        assert_mirrored_once(&source, &target, &transship);
    }
}

#[test]
fn mirrors_sha512_digests() {
    let image = Image::two_platforms("told in sha512");
    let (source, target, transship) = stage(&image);
    let hash = Bytes::copy_from_slice(&Sha512::digest(&image.bytes));
    let digest = format!("sha512:{hash:x}");
    // A registry that stored it as that knows no other name of it.
    let other = image.digest();
    source.rule(move |request| match request.path.ends_with(&other) {
        true => Verdict::Answer(refusal(404, "MANIFEST_UNKNOWN")),
        false => Verdict::Serve,
    });
    serve(&source, &image, digest);
    assert_mirrored_once(&source, &target, &transship);
    transship.let_a_year_pass();
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    assert_only_reads(&target.new_requests());
    transship.run(&["verify"]).expect_code(0);
}

#[test]
fn understands_every_not_found() {
    for words in [
        r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
        r#"{"errors":[{"code":"NOT_FOUND","message":"artifact app:gone not found"}]}"#,
        r#"{"message":"no"}"#,
        "<html>404 page not found</html>",
        "",
    ] {
        let (source, target) = (Fake::start(), Fake::start());
        source.rule(move |_| {
            let builder = Response::builder().status(404);
            Verdict::Answer(builder.body(Body::from(words)).unwrap())
        });
        let entry = "[[mirror]]\nfrom = \"SOURCE/app:gone\"\n";
        let transship = between(source.host(), target.host(), entry);
        let finished = transship.run(&["--json", "sync"]).expect_code(2);
        let report = finished.expect_stderr(&["app:gone", "not found"]).json();
        let class = mirrors(&report)[0]["errors"][0]["class"].as_str();
        assert_eq!(class, Some("not_found"), "{report:#}");
        assert_only_reads(&target.requests());
    }
}

/// The image with a manifest that was changed, as a builder may have written it.
fn changed(mut image: Image, change: impl FnOnce(&mut Value)) -> Image {
    let mut manifest: Value = serde_json::from_slice(&image.bytes).unwrap();
    change(&mut manifest);
    image.bytes = Bytes::from(manifest.to_string());
    image
}

#[test]
fn copies_blobs_of_wrong_sizes_if_digests_are_right() {
    for size in [json!(9), json!(9_000_000), json!(-1), json!(0), json!(null)] {
        let image = changed(Image::oci("measured wrongly"), |manifest| {
            manifest["layers"][1]["size"] = size;
        });
        let (source, target, transship) = stage(&image);
        assert_mirrored_once(&source, &target, &transship);
        transship.run(&["verify"]).expect_code(0);
        transship.run(&["verify", "--deep"]).expect_code(0);
    }
}

#[test]
fn two_targets_get_a_blob_of_wrong_size() {
    let image = changed(Image::oci("measured wrongly"), |manifest| {
        manifest["layers"][0]["size"] = json!(1);
    });
    let (source, target, other) = (Fake::start(), Fake::start(), Fake::start());
    source.client().push("app", "v1", &image);
    let entry = format!(
        "[registries.\"{0}\"]\nplain_http = true\n{1}target = [\"TARGET/mirror\", \"{0}/mirror\"]\n",
        other.host(),
        all_tags_of("app")
    );
    between(source.host(), target.host(), &entry).sync();
    for to in [target.client(), other.client()] {
        assert_mirrored(&source.client(), "app", &to, "mirror/app", "v1");
    }
}

/// What a change makes of a manifest.
type Change = fn(&mut Value);

#[test]
fn copies_manifests_whose_lists_are_null() {
    let changes: [(&str, Change); 4] = [
        ("no layers", |manifest| manifest["layers"] = json!(null)),
        ("an index's list", |manifest| {
            manifest["manifests"] = json!(null);
        }),
        ("of no type", |manifest| {
            manifest["layers"][0]["mediaType"] = json!(null);
            manifest["config"]["platform"] = json!({ "os": null });
        }),
        ("annotations", |manifest| {
            manifest["annotations"] = json!(null);
        }),
    ];
    for (name, change) in changes {
        let (source, target, transship) = stage(&changed(Image::oci(name), change));
        assert_mirrored_once(&source, &target, &transship);
    }
    let empty = changed(Image::index(Vec::new()), |index| {
        index["manifests"] = json!(null);
    });
    let (source, target, transship) = stage(&empty);
    assert_mirrored_once(&source, &target, &transship);
    transship.run(&["verify"]).expect_code(0);
}

/// A manifest of a type that OCI 1.1 had in its candidates.
fn withdrawn(name: &str) -> Image {
    let kind = "application/vnd.oci.artifact.manifest.v1+json";
    let mut image = changed(Image::artifact(name), |manifest| {
        let blobs = manifest["layers"].take();
        *manifest = json!({ "mediaType": kind, "artifactType": "a/b", "blobs": blobs });
    });
    image.media_type = kind.into();
    image
}

#[test]
fn copies_artifacts_of_withdrawn_types() {
    let (source, target, transship) = stage(&withdrawn("candidate"));
    // A registry shows no type that nobody asked for.
    source.rule(|request| {
        let accept = request.accept.as_deref().unwrap_or_default();
        let asks = accept.contains("artifact.manifest");
        match request.path.contains("/manifests/") && !asks {
            true => Verdict::Answer(refusal(404, "MANIFEST_UNKNOWN")),
            false => Verdict::Serve,
        }
    });
    assert_mirrored_once(&source, &target, &transship);
}

#[test]
fn refused_withdrawn_type_names_remedy() {
    let (_source, target, transship) = stage(&withdrawn("candidate"));
    target.rule(|request| match request.is_manifest_put() {
        true => Verdict::Answer(refusal(400, "MANIFEST_INVALID")),
        false => Verdict::Serve,
    });
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["withdrew before its release", "`exclude`"]);
}
