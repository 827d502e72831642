//! Listings that never end, lead in circles, or name what would break out of a path.

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::{Value, json};

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::Transship;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{Endless, answer, parameter};
use crate::support::registries::requests::{Request, assert_only_reads, count};

/// `{"tags":["v1"]}`, packed.
const GZIP: [u8; 35] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 73, 76, 47, 86, 178, 138, 86, 42, 51, 84, 138,
    173, 5, 0, 200, 130, 139, 121, 15, 0, 0, 0,
];

/// A source with `app:v1`, a target, and the binary between them.
fn stage() -> (Fake, Fake, Transship) {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("listed"));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    (source, target, transship)
}

/// Answers every page of a listing whose path ends so.
fn list(
    fake: &Fake,
    end: &'static str,
    page: impl Fn(&Request) -> Response<Body> + Send + 'static,
) {
    fake.rule(move |request| match request.path.ends_with(end) {
        true => Verdict::Answer(page(request)),
        false => Verdict::Serve,
    });
}

/// A page that leads to another, which is always a new one.
fn leading_on(request: &Request, body: &Value) -> Response<Body> {
    let page = parameter(&request.query, "page").and_then(|text| text.parse().ok());
    let next = page.unwrap_or(0_u64) + 1;
    let mut response = answer(200, body);
    let link = format!("<{}?page={next}>; rel=\"next\"", request.path);
    let headers = response.headers_mut();
    headers.insert(header::LINK, link.parse().unwrap());
    response
}

#[test]
fn endless_tag_list_is_cut() {
    for is_source in [true, false] {
        let (source, target, transship) = stage();
        let endless = Endless::default();
        let answers = endless.clone();
        let fake = if is_source { &source } else { &target };
        list(fake, "/tags/list", move |_| {
            answers.answer(&[b' '; 64 << 10], None)
        });
        let finished = transship.run(&["sync"]).expect_code(2);
        finished.expect_stderr(&["app", "larger than 32.0 MiB"]);
        let taken = endless.taken();
        assert!(taken < 64 << 20, "{taken} bytes were taken");
        assert_only_reads(&target.requests());
    }
}

#[test]
fn endless_pages_end_at_a_million_tags() {
    let (source, target, transship) = stage();
    list(&source, "/tags/list", |request| {
        let tags: Vec<_> = (0..100_000).map(|number| format!("{number}")).collect();
        leading_on(request, &json!({ "tags": tags }))
    });
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["app", "more than 1000000 entries"]);
    assert!(count(&source.requests(), Request::is_tag_list) <= 11);
    assert_only_reads(&target.requests());
}

#[test]
fn endless_catalog_is_cut() {
    let (source, target) = (Fake::start(), Fake::start());
    let mirrors = "[[mirror]]\nfrom = \"SOURCE/team/*\"\ntags = \"*\"\n";
    let transship = between(source.host(), target.host(), mirrors);
    list(&source, "/_catalog", |request| {
        leading_on(request, &json!({ "repositories": ["team/one"] }))
    });
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["team", "more than 1000 pages"]);
    assert!(target.requests().is_empty());
}

#[test]
fn illegal_catalog_names_are_skipped() {
    let (source, target) = (Fake::start(), Fake::start());
    let mirrors = "[[mirror]]\nfrom = \"SOURCE/team/**\"\ntags = \"*\"\n";
    let transship = between(source.host(), target.host(), mirrors);
    source.client().push("team/one", "v1", &Image::oci("one"));
    list(&source, "/_catalog", |_| {
        let long = format!("team/{}", "x".repeat(10_000));
        let odd = [
            "team/../x",
            "team/a b",
            "team/%2e%2e",
            "team//x",
            "team/UP",
            "team/a\r\nb",
            &long,
        ];
        let names: Vec<_> = ["team/one"].iter().chain(&odd).collect();
        answer(200, &json!({ "repositories": names }))
    });
    transship.sync();
    assert_eq!(target.client().tags("mirror/team/one"), ["v1"]);
    let strange = |request: &Request| {
        request.path != "/v2/_catalog" && !request.path.starts_with("/v2/team/one/")
    };
    assert_eq!(
        count(&source.requests(), strange),
        0,
        "{:?}",
        source.requests()
    );
}

#[test]
fn oversized_link_is_not_followed() {
    let (source, _target, transship) = stage();
    list(&source, "/tags/list", |request| {
        let mut response = answer(200, &json!({ "tags": ["v1"] }));
        let link = format!(
            "<{}?last={}>; rel=\"next\"",
            request.path,
            "x".repeat(10_000)
        );
        let headers = response.headers_mut();
        headers.insert(header::LINK, link.parse().unwrap());
        response
    });
    let finished = transship.run(&["sync"]).expect_code(2);
    let finished = finished.expect_stderr(&["address of more than 8192 letters"]);
    assert!(finished.stderr.len() < 20_000);
    assert_eq!(count(&source.requests(), Request::is_tag_list), 1);
}

#[test]
fn invalid_tags_are_never_requested() {
    let (source, target, transship) = stage();
    list(&source, "/tags/list", |_| {
        let long = "x".repeat(10_000);
        let odd = [
            "../x",
            "a b",
            "%2e%2e",
            "a\nb",
            "a\r\nX-Evil: 1",
            "..",
            "",
            "-x",
            "\u{202e}x",
            &long,
        ];
        let tags: Vec<_> = ["v1"].iter().chain(&odd).collect();
        answer(200, &json!({ "tags": tags }))
    });
    transship.sync();
    assert_eq!(target.client().tags("mirror/app"), ["v1"]);
    let about_tags = |request: &Request| {
        request.path.contains("/manifests/")
            && !request.path.ends_with("/v1")
            && !request.path.contains("sha256:")
    };
    assert_eq!(count(&source.requests(), about_tags), 0);
}

#[test]
fn compressed_listing_is_not_inflated() {
    let (source, _target, transship) = stage();
    list(&source, "/tags/list", |_| {
        let builder = Response::builder().header("content-encoding", "gzip");
        builder.body(Body::from(GZIP.to_vec())).unwrap()
    });
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["tag list makes no sense"]);
}
