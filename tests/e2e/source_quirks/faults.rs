//! Registries that answer wrongly, late, in half or not at all, and what becomes of the copy.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{refusal, truncated};
use crate::support::registries::fake_contents::Oddities;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, count};

/// A fake source that holds `app:v1`, an honest target, and the binary.
fn from_fake(image: &Image) -> (Fake, Registry, Transship) {
    let (source, target) = (Fake::start(), Registry::start());
    source.client().push("app", "v1", image);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    (source, target, transship)
}

fn assert_synced(source: &Fake, target: &Registry, transship: &Transship) {
    transship.sync();
    assert_mirrored(
        &source.client(),
        "app",
        &target.client(),
        "mirror/app",
        "v1",
    );
}

/// Whether a request reads this blob.
fn reads(request: &Request, digest: &str) -> bool {
    request.method == "GET" && request.path.ends_with(digest)
}

/// A rule that answers the first request that `question` accepts with `fault`.
fn once(
    question: impl Fn(&Request) -> bool + Send + 'static,
    fault: impl Fn() -> Response<Body> + Send + 'static,
) -> impl FnMut(&Request) -> Verdict + Send + 'static {
    let mut done = false;
    move |request| {
        if done || !question(request) {
            return Verdict::Serve;
        }
        done = true;
        Verdict::Answer(fault())
    }
}

/// Copies `app:good` and `app:bad`, of which the source serves one blob as `served`, to a target that checks nothing.
fn assert_never_becomes_a_blob(served: fn(&Bytes) -> Bytes) {
    let (source, target) = (Fake::start(), Fake::start());
    let poisoned = layer("poisoned", 40_000);
    source.client().push("app", "good", &Image::oci("good"));
    source.client().push(
        "app",
        "bad",
        &Image::oci_with("bad", vec![poisoned.clone()]),
    );
    let digest = poisoned.digest();
    let wanted = digest.clone();
    source.rule(move |request| match reads(request, &wanted) {
        true => Verdict::Answer(Response::new(Body::from(served(&poisoned.bytes)))),
        false => Verdict::Serve,
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship
        .run(&["--json", "sync"])
        .expect_code(1)
        .expect_stderr(&["bad"])
        .json();
    assert!(
        !target.blobs().iter().any(|(_, held)| *held == digest),
        "the target was poisoned"
    );
    assert_eq!(
        [sum(&report, "/tags/copied"), sum(&report, "/tags/failed")],
        [1, 1],
        "{report:#}"
    );
    assert_mirrored(
        &source.client(),
        "app",
        &target.client(),
        "mirror/app",
        "good",
    );
    assert_eq!(target.client().tags("mirror/app"), ["good"]);
}

#[test]
fn wrong_bytes_never_become_a_blob() {
    assert_never_becomes_a_blob(|bytes| bytes.iter().map(|byte| byte ^ 1).collect());
}

#[test]
fn long_body_never_becomes_a_blob() {
    assert_never_becomes_a_blob(|bytes| [bytes, &b"and more"[..]].concat().into());
}

#[test]
fn short_body_never_becomes_a_blob() {
    assert_never_becomes_a_blob(|bytes| bytes.slice(..bytes.len() - 1));
}

#[test]
fn wrong_manifest_is_not_written() {
    let (source, target) = (Fake::start(), Fake::start());
    let child = Image::oci_for("forged", "linux/amd64");
    source
        .client()
        .push("app", "v1", &Image::index(vec![child.clone()]));
    let (digest, forged) = (child.digest(), Image::oci("forgery"));
    source.client().push("app", &forged.digest(), &forged);
    source.rule(move |request| match reads(request, &digest) {
        true => {
            let builder = Response::builder().header("content-type", forged.media_type.as_str());
            Verdict::Answer(builder.body(Body::from(forged.bytes.clone())).unwrap())
        }
        false => Verdict::Serve,
    });
    between(source.host(), target.host(), &all_tags_of("app"))
        .run(&["sync"])
        .expect_code(2);
    assert_eq!(count(&target.requests(), Request::is_manifest_put), 0);
}

#[test]
fn truncated_body_is_retried() {
    let large = layer("breaks off", 300_000);
    let (source, target, transship) =
        from_fake(&Image::oci_with("breaks off", vec![large.clone()]));
    let digest = large.digest();
    source.rule(once(
        move |request| reads(request, &digest),
        move || truncated(&large.bytes),
    ));
    assert_synced(&source, &target, &transship);
}

#[test]
fn truncated_body_never_poisons_lax_target() {
    let (source, target) = (Fake::start(), Fake::start());
    let large = layer("breaks off unseen", 300_000);
    source.client().push(
        "app",
        "v1",
        &Image::oci_with("breaks off unseen", vec![large.clone()]),
    );
    let digest = large.digest();
    source.rule(once(
        move |request| reads(request, &digest),
        move || truncated(&large.bytes),
    ));
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_mirrored(
        &source.client(),
        "app",
        &target.client(),
        "mirror/app",
        "v1",
    );
}

#[test]
fn honours_retry_after() {
    let throttled = layer("throttled", 500);
    let (source, target, transship) =
        from_fake(&Image::oci_with("throttled", vec![throttled.clone()]));
    let digest = throttled.digest();
    let mut until: Option<Instant> = None;
    let wanted = digest.clone();
    source.rule(move |request| {
        if !reads(request, &wanted)
            || Instant::now() >= *until.get_or_insert_with(|| Instant::now() + SECOND)
        {
            return Verdict::Serve;
        }
        let mut response = refusal(429, "TOOMANYREQUESTS");
        response
            .headers_mut()
            .insert("retry-after", "1".parse().unwrap());
        Verdict::Answer(response)
    });
    assert_synced(&source, &target, &transship);
    let statuses: Vec<_> = source
        .requests()
        .iter()
        .filter(|r| reads(r, &digest))
        .map(|r| r.status)
        .collect();
    assert_eq!(statuses, [429, 200]);
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn retries_transient_source_errors() {
    let layers: Vec<_> = (0..4)
        .map(|number| layer(&format!("retried {number}"), 200))
        .collect();
    let (source, target, transship) = from_fake(&Image::oci_with("retried", layers.clone()));
    for (layer, status) in layers.iter().zip([500, 502, 503, 429]) {
        let digest = layer.digest();
        source.rule(once(
            move |request| reads(request, &digest),
            move || refusal(status, "UNKNOWN"),
        ));
    }
    source.rule(once(
        |request| request.path.contains("/manifests/"),
        || refusal(503, "UNAVAILABLE"),
    ));
    source.rule(once(Request::is_tag_list, || refusal(502, "UNKNOWN")));
    assert_synced(&source, &target, &transship);
}

#[test]
fn retries_transient_target_errors() {
    let (source, target) = (Registry::start(), Fake::start());
    source
        .client()
        .push("app", "v1", &Image::two_platforms("retried at the target"));
    target.rule(once(Request::is_tag_list, || refusal(503, "UNAVAILABLE")));
    target.rule(once(Request::is_blob_post, || refusal(503, "UNAVAILABLE")));
    target.rule(once(Request::is_blob_body, || refusal(502, "UNKNOWN")));
    target.rule(once(Request::is_manifest_put, || refusal(500, "UNKNOWN")));
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_mirrored(
        &source.client(),
        "app",
        &target.client(),
        "mirror/app",
        "v1",
    );
}

#[test]
fn permanent_outage_ends_the_run() {
    let (source, target, transship) = from_fake(&Image::oci("never"));
    source.rule(|request| match request.is_blob_get() {
        true => Verdict::Answer(refusal(500, "UNKNOWN")),
        false => Verdict::Serve,
    });
    transship
        .run(&["sync"])
        .expect_code(2)
        .expect_stderr(&["app", "500"]);
    assert!(target.client().tags("mirror/app").is_empty());
}

#[test]
fn final_error_is_not_retried() {
    let (source, _target, transship) = from_fake(&Image::oci("denied"));
    source.rule(|request| match request.is_blob_get() {
        true => Verdict::Answer(refusal(403, "DENIED")),
        false => Verdict::Serve,
    });
    let finished = transship.run(&["sync"]);
    assert_ne!(finished.code, Some(0), "{finished}");
    let requests = source.requests();
    let paths: BTreeSet<_> = requests
        .iter()
        .filter(|r| r.is_blob_get())
        .map(|r| r.path.clone())
        .collect();
    assert_eq!(
        count(&requests, Request::is_blob_get),
        paths.len(),
        "{requests:#?}"
    );
}

#[test]
fn mirrors_source_without_digest_header() {
    let source = Fake::with(Oddities {
        no_digest_header: true,
        ..Oddities::default()
    });
    let target = Registry::start();
    source
        .client()
        .push("app", "v1", &Image::two_platforms("no digests"));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    assert_synced(&source, &target, &transship);
    target.new_requests();
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    assert_only_reads(&target.new_requests());
}

#[test]
fn mount_202_continues_in_its_session() {
    let source = Registry::start();
    let target = Fake::with(Oddities {
        mounts_become_uploads: true,
        ..Oddities::default()
    });
    let base = layer("not mounted", 3000);
    for name in ["one", "two", "three"] {
        source
            .client()
            .push(name, "v1", &Image::oci_with(name, vec![base.clone()]));
    }
    let mirrors = ["one", "two", "three"].map(all_tags_of).concat();
    between(source.host(), target.host(), &mirrors).sync();
    for name in ["one", "two", "three"] {
        assert_mirrored(
            &source.client(),
            name,
            &target.client(),
            &format!("mirror/{name}"),
            "v1",
        );
    }
    assert!(
        target
            .requests()
            .iter()
            .any(|request| request.query.contains("mount=")),
        "no mount was tried"
    );
    assert_eq!(
        target.sessions().opened,
        target.sessions().completed,
        "a session was left open"
    );
}

#[test]
fn refused_mount_uploads() {
    let (source, target) = (Registry::start(), Fake::start());
    let base = layer("refused", 3000);
    for name in ["one", "two"] {
        source
            .client()
            .push(name, "v1", &Image::oci_with(name, vec![base.clone()]));
    }
    target.rule(|request| match request.query.contains("mount=") {
        true => Verdict::Answer(refusal(400, "UNSUPPORTED")),
        false => Verdict::Serve,
    });
    between(
        source.host(),
        target.host(),
        &["one", "two"].map(all_tags_of).concat(),
    )
    .sync();
    for name in ["one", "two"] {
        assert_mirrored(
            &source.client(),
            name,
            &target.client(),
            &format!("mirror/{name}"),
            "v1",
        );
    }
}

#[test]
fn refused_manifest_fails_with_reason() {
    let (source, target) = (Registry::start(), Fake::start());
    source.client().push("app", "good", &Image::oci("taken"));
    source
        .client()
        .push("app", "bad", &Image::artifact("refused"));
    target.rule(
        |request| match request.is_manifest_put() && request.path.ends_with("bad") {
            true => Verdict::Answer(refusal(400, "MANIFEST_INVALID")),
            false => Verdict::Serve,
        },
    );
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship
        .run(&["sync"])
        .expect_code(1)
        .expect_stderr(&["bad", "400"]);
    assert_eq!(target.client().tags("mirror/app"), ["good"]);
}
