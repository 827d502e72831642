//! Targets that refuse what is written, and what is told of it.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::{mirrors, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{DOCKER_MANIFEST, Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::answer;
use crate::support::registries::fake_contents::Oddities;
use crate::support::registries::requests::{Request, assert_only_reads, count};

/// A refusal as registries word it.
fn refused(status: u16, code: &str, message: &str) -> Response<Body> {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    answer(status, &body)
}

/// A source that holds `app:v1`, and a target that holds nothing.
fn holding(image: &Image) -> (Fake, Fake) {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", image);
    (source, target)
}

/// Answers what `question` accepts in this way.
fn refuse(
    target: &Fake,
    question: impl Fn(&Request) -> bool + Send + 'static,
    refusal: impl Fn() -> Response<Body> + Send + 'static,
) {
    target.rule(move |request| match question(request) {
        true => Verdict::Answer(refusal()),
        false => Verdict::Serve,
    });
}

fn writes(tag: &'static str) -> impl Fn(&Request) -> bool + Send + 'static {
    move |request| request.is_manifest_put() && request.path.ends_with(&format!("/{tag}"))
}

/// The only failure of a report, as its class and its message.
#[track_caller]
fn only_failure(report: &Value) -> (&str, &str) {
    let errors = mirrors(report)[0]["errors"].as_array().unwrap();
    let [error] = &errors[..] else {
        panic!("one failure and no more: {report:#}")
    };
    let text = |key: &str| error[key].as_str().unwrap();
    (text("class"), text("message"))
}

#[test]
fn immutable_tag_is_blocked_without_retry() {
    let (source, target) = holding(&Image::oci("first"));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    source.client().push("app", "v1", &Image::oci("second"));
    source.client().push("app", "v2", &Image::oci("new"));
    refuse(&target, writes("v1"), || {
        let text = "Failed to process request due to 'app:v1' configured as immutable.";
        refused(412, "PRECONDITION", text)
    });
    let report = transship.run(&["--json", "sync"]).expect_code(1).json();
    let (class, message) = only_failure(&report);
    assert_eq!(class, "blocked", "{report:#}");
    for words in [
        "mirror/app:v1",
        "configured as immutable",
        "`immutable` or `exclude`",
    ] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v2");
    let there = to.manifest("mirror/app", "v1").unwrap();
    assert_eq!(there.digest, Image::oci("first").digest());
    let tries = count(&target.requests(), |r| writes("v1")(r) && r.status == 412);
    assert_eq!(tries, 1);
}

#[test]
fn same_immutable_tag_is_not_written() {
    let image = Image::two_platforms("the same");
    let (source, target) = holding(&image);
    target.client().push("mirror/app", "v1", &image);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    assert_only_reads(&target.requests());
}

#[test]
fn refused_equal_immutable_tag_is_no_failure() {
    let (source, target) = holding(&Image::two_platforms("a part"));
    let entry = all_tags_of("app") + "platforms = [\"linux/amd64\"]\n";
    let transship = between(source.host(), target.host(), &entry);
    transship.sync();
    // Without the store, nobody knows that the tag is what would be written.
    transship.forget();
    refuse(&target, writes("v1"), || {
        let text = "The image tag 'v1' already exists and cannot be overwritten";
        refused(400, "TAG_INVALID", text)
    });
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    let is_refused = |request: &Request| request.status == 400;
    assert_eq!(count(&target.requests(), is_refused), 1);
}

#[test]
fn names_what_to_create_first() {
    for (status, code, said, class, expected) in [
        // ECR
        (
            404,
            "NAME_UNKNOWN",
            "The repository with name 'mirror/app' does not exist in the registry",
            "not_found",
            "create the repository `mirror/app`",
        ),
        // Harbor
        (
            404,
            "NOT_FOUND",
            "project mirror not found",
            "not_found",
            "create the project `mirror`",
        ),
        // Huawei SWR
        (
            400,
            "DENIED",
            "the organization does not exist",
            "rejected",
            "create the organization `mirror`",
        ),
        // Aliyun ACR, Tencent TCR
        (
            403,
            "DENIED",
            "namespace not found",
            "denied",
            "create the namespace `mirror`",
        ),
        // Quay, and whoever says no more
        (
            403,
            "DENIED",
            "requested access to the resource is denied",
            "denied",
            "where a project, namespace or organization has to be there first, create `mirror`",
        ),
    ] {
        let (source, target) = holding(&Image::without_layers("nowhere to go"));
        refuse(&target, Request::is_blob_post, move || {
            refused(status, code, said)
        });
        let transship = between(source.host(), target.host(), &all_tags_of("app"));
        let report = transship.run(&["--json", "sync"]).expect_code(2).json();
        let (found, message) = only_failure(&report);
        assert_eq!(found, class, "{message}");
        assert!(
            message.contains(said) && message.contains(expected),
            "{message}"
        );
        assert_eq!(
            count(&target.requests(), Request::is_blob_post),
            1,
            "{said}"
        );
    }
}

#[test]
fn online_check_names_what_to_create_first() {
    let (source, target) = holding(&Image::oci("nowhere to go"));
    refuse(&target, Request::is_blob_post, || {
        refused(404, "NOT_FOUND", "project mirror not found")
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship
        .run(&["check", "--online"])
        .expect_code(1)
        .expect_stdout(&["create the project `mirror` there first"]);
}

/// Syncs an image that a target refuses with these words; what is told of it.
fn told_of(image: &Image, status: u16, code: &'static str, said: &'static str) -> String {
    let (source, target) = holding(image);
    refuse(&target, writes("v1"), move || refused(status, code, said));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.run(&["--json", "sync"]).expect_code(2).json();
    let (_, message) = only_failure(&report);
    assert!(message.contains(said), "{message}");
    message.to_owned()
}

#[test]
fn refused_manifest_type_names_remedy() {
    let image = Image::oci_for("attested", "linux/amd64");
    let attested = Image::index(vec![image.clone(), Image::attestation(&image)]);
    let docker = Image::docker("docker's").on("linux/amd64");
    assert_eq!(docker.media_type, DOCKER_MANIFEST);
    let swr = "fail to parse 'manifest.json'";
    for (image, status, code, said, expected) in [
        (
            &attested,
            400,
            "MANIFEST_INVALID",
            swr,
            "`attestations = \"drop\"`",
        ),
        (
            &Image::artifact("chart"),
            415,
            "MANIFEST_INVALID",
            "invalid config",
            "`exclude`",
        ),
        (
            &Image::zstd("zstd"),
            400,
            "MANIFEST_INVALID",
            "unsupported layer",
            "zstd; `exclude`",
        ),
        (
            &docker,
            415,
            "MANIFEST_INVALID",
            "manifest invalid",
            "zot takes where its config",
        ),
        (
            &Image::index(vec![docker.clone()]),
            400,
            "MANIFEST_INVALID",
            "manifest invalid",
            "an OCI index of docker's images; `exclude`",
        ),
    ] {
        let message = told_of(image, status, code, said);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn refused_referrer_names_remedy() {
    let oddities = || Oddities {
        referrers: Some(9),
        ..Oddities::default()
    };
    let (source, target) = (Fake::with(oddities()), Fake::with(oddities()));
    let image = Image::oci("signed");
    let signature = Image::referring("application/vnd.example.signature", &image);
    source.client().push("app", "v1", &image);
    source.client().push("app", &signature.digest(), &signature);
    let digest = signature.digest();
    let is_refused = move |r: &Request| r.is_manifest_put() && r.path.ends_with(&digest);
    refuse(&target, is_refused, || {
        refused(400, "MANIFEST_INVALID", "unknown field subject")
    });
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nreferrers = true\n";
    let transship = between(source.host(), target.host(), entry);
    let report = transship.run(&["--json", "sync"]).expect_code(1).json();
    let (class, message) = only_failure(&report);
    assert_eq!(class, "rejected", "{message}");
    assert!(message.contains("unknown field subject"), "{message}");
    assert!(message.contains("`referrers = false`"), "{message}");
}

#[test]
fn manifest_413_keeps_chunk_size() {
    let (source, target) = holding(&Image::with_a_large_manifest("large"));
    let is_large = |r: &Request| r.is_manifest_put() && r.received > 1 << 20;
    refuse(&target, is_large, || {
        let page = Body::from("<html>413 Request Entity Too Large</html>");
        Response::builder().status(413).body(page).unwrap()
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.run(&["--json", "sync"]).expect_code(2).json();
    let (class, message) = only_failure(&report);
    assert_eq!(class, "rejected", "{message}");
    assert!(message.contains("its manifest has 1.4 MiB"), "{message}");
    assert_eq!(count(&target.requests(), is_large), 1);
    let image = Image::oci_with("blobs", vec![layer("large", 3_000_000)]);
    source.client().push("app", "v2", &image);
    transship.run(&["sync"]).expect_code(1);
    assert_eq!(count(&target.requests(), |r| r.method == "PATCH"), 0);
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v2");
}

#[test]
fn undeletable_tag_fails_only_itself() {
    let (source, target) = holding(&Image::oci("kept for good"));
    source.client().push("app", "v2", &Image::oci("another"));
    let entry = |tags: &str| {
        format!(
            "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"{tags}\"\nprune = {{ after = \"7d\" }}\n"
        )
    };
    let transship = between(source.host(), target.host(), &entry("*"));
    transship.sync();
    let text = std::fs::read_to_string(transship.path().join("mirror.toml")).unwrap();
    transship.write(
        "mirror.toml",
        &text.replace("tags = \"*\"", "tags = \"v2\""),
    );
    refuse(
        &target,
        |request| request.method == "DELETE" && request.path.starts_with("/v2/"),
        || refused(405, "UNSUPPORTED", "unsupported"),
    );
    refuse(
        &target,
        |request| request.method == "DELETE",
        || {
            refused(
                412,
                "PRECONDITION",
                "the tag v1 configured immutable, cannot be deleted",
            )
        },
    );
    transship.sync();
    transship.let_prunable_tags_wait(8);
    let report = transship.run(&["--json", "sync"]).expect_code(1).json();
    let (class, message) = only_failure(&report);
    assert_eq!(class, "blocked", "{message}");
    assert!(message.contains("configured immutable"), "{message}");
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    assert_eq!(target.client().tags("mirror/app"), ["v1", "v2"]);
}
