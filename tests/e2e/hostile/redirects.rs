//! Ways that a hostile registry points out: redirects, token servers and upload sessions elsewhere.

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::{Value, json};

use crate::support::programs::pair::{all_tags_of, between, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Finished, Transship};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{Endless, answer, redirect, refusal};
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::requests::{Request, assert_only_reads, count};

const PLAIN: &str = "plain_http = true";
const LOGIN: &str = "plain_http = true\nusername = \"robot\"\npassword = { env = \"PASSWORD\" }";

/// A source with `app:v1`, a target, and the binary between them, with a login at the source.
fn stage() -> (Fake, Fake, Transship) {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("elsewhere"));
    let text = mirror_toml_with(LOGIN, PLAIN, &all_tags_of("app"));
    let mut transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    transship.set_env("PASSWORD", "right-horse-battery");
    (source, target, transship)
}

/// What a source answers to whoever has no token.
fn demand(source: &Fake, challenge: String) {
    source.rule(move |request| {
        if request.authorization.is_some() || request.path == "/token" {
            return Verdict::Serve;
        }
        let mut response = refusal(401, "UNAUTHORIZED");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
        Verdict::Answer(response)
    });
}

#[test]
fn redirect_loop_is_an_error() {
    let (source, _target, transship) = stage();
    source.rule(|request| match request.is_blob_get() {
        true => Verdict::Answer(redirect(&request.path)),
        false => Verdict::Serve,
    });
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["redirects more than 10 times"]);
    let mut gets: Vec<_> = source
        .requests()
        .into_iter()
        .filter(Request::is_blob_get)
        .collect();
    gets.sort_by(|a, b| a.path.cmp(&b.path));
    for blob in gets.chunk_by(|a, b| a.path == b.path) {
        assert!(
            blob.len() <= 12,
            "a blob was asked for {} times",
            blob.len()
        );
    }
}

#[test]
fn redirect_drops_credentials() {
    let (source, target, transship) = stage();
    source.demand_tokens(Habits::default());
    let other = Fake::start();
    other.client().push("app", "v1", &Image::oci("elsewhere"));
    let host = other.host().to_owned();
    source.rule(move |request| match request.is_blob_get() {
        true => Verdict::Answer(redirect(&format!("http://{host}{}", request.path))),
        false => Verdict::Serve,
    });
    transship.sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    assert_asked_without_login(&other);
}

#[test]
fn redirect_to_other_scheme_is_refused() {
    for location in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1:1/_x",
    ] {
        let (source, _target, transship) = stage();
        source.rule(move |request| match request.is_blob_get() {
            true => Verdict::Answer(redirect(location)),
            false => Verdict::Serve,
        });
        transship.run(&["sync"]).expect_code(2);
    }
}

#[test]
fn redirect_to_loopback_is_refused() {
    let (source, target, other) = (Fake::start(), Fake::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("elsewhere"));
    let host = other.host().to_owned();
    source.rule(move |request| match request.is_blob_get() {
        true => Verdict::Answer(redirect(&format!("http://{host}{}", request.path))),
        false => Verdict::Serve,
    });
    // The source is a name that is not of this machine, behind a proxy that is.
    let keys = format!("{PLAIN}\nproxy = \"http://{}\"", source.host());
    let text = mirror_toml_with(&keys, PLAIN, &all_tags_of("app"));
    let transship = Transship::new(&fill_in(&text, "registry.invalid", target.host()));
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&[&host_of(&other), "an address of this machine"]);
    assert!(other.requests().is_empty(), "{:?}", other.requests());
    assert!(target.blobs().is_empty());
}

fn assert_asked_without_login(fake: &Fake) {
    let seen = fake.requests();
    assert!(!seen.is_empty());
    let is_open = |request: &Request| request.authorization.is_none();
    assert!(seen.iter().all(is_open), "{seen:?}");
}

fn host_of(fake: &Fake) -> String {
    format!("http://{}", fake.host())
}

#[test]
fn login_never_goes_to_foreign_plain_http() {
    let (source, target, transship) = stage();
    let other = Fake::start();
    let elsewhere = other.host().replace("127.0.0.1", "localhost");
    demand(
        &source,
        format!("Bearer realm=\"http://{elsewhere}/token\",service=\"fake\""),
    );
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["another host and has no TLS", "localhost"]);
    assert!(other.requests().is_empty(), "{:?}", other.requests());
    assert_only_reads(&target.requests());
}

#[test]
fn token_url_with_userinfo_is_refused() {
    let (source, _target, transship) = stage();
    let realm = format!("http://evil:pw@{}/token", source.host());
    demand(&source, format!("Bearer realm=\"{realm}\""));
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["a login of its own"]);
    assert_eq!(
        count(&source.requests(), |request| request.path == "/token"),
        0
    );
}

#[test]
fn redirected_token_request_drops_login() {
    let (source, _target, transship) = stage();
    let other = Fake::start();
    let host = other.host().to_owned();
    demand(
        &source,
        format!("Bearer realm=\"http://{}/token\"", source.host()),
    );
    source.rule(move |request| match request.path == "/token" {
        true => Verdict::Answer(redirect(&format!("http://{host}/token"))),
        false => Verdict::Serve,
    });
    transship.run(&["sync"]).expect_code(2);
    assert_asked_without_login(&other);
}

#[test]
fn invalid_challenges_fail_cleanly() {
    for challenge in [
        format!("Bearer realm=\"{}", "\\\"".repeat(50_000)),
        format!("Bearer {}", "a=b,".repeat(25_000)),
        format!("Bearer {}", "=\"".repeat(50_000)),
        "Bearer realm=\"javascript:alert(1)\"".to_owned(),
        "Bearer realm=\"file:///etc/passwd\"".to_owned(),
        "Bearer realm=\"\"".to_owned(),
    ] {
        let (source, target, transship) = stage();
        demand(&source, challenge);
        let finished = transship.run(&["sync"]);
        assert!(matches!(finished.code, Some(2 | 3)), "{finished}");
        assert!(finished.stderr.len() < 20_000);
        assert!(source.requests().len() < 20);
        assert_only_reads(&target.requests());
    }
}

/// Syncs from a source whose token server answers so.
#[track_caller]
fn with_token_answer(answer: impl Fn() -> Response<Body> + Send + 'static) -> Finished {
    let (source, target, transship) = stage();
    demand(
        &source,
        format!("Bearer realm=\"http://{}/token\"", source.host()),
    );
    source.rule(move |request| match request.path == "/token" {
        true => Verdict::Answer(answer()),
        false => Verdict::Serve,
    });
    let finished = transship.run(&["sync"]).expect_code(2);
    assert!(finished.stderr.len() < 20_000, "{}", finished.stderr.len());
    assert_only_reads(&target.requests());
    finished
}

#[test]
fn invalid_token_answers_are_refused() {
    let long = "x".repeat(200_000);
    for (body, words) in [
        (json!({ "token": "a\r\nX-Evil: 1" }), "fits in no header"),
        (json!({ "token": "a\u{0}b" }), "fits in no header"),
        (json!({ "token": long }), "fits in no header"),
        (json!({ "token": 7 }), "makes no sense"),
        (json!({ "token": ["a"] }), "makes no sense"),
        (json!({ "token": "" }), "holds no token"),
        (json!({}), "holds no token"),
        (json!(["a"]), "makes no sense"),
        (Value::Null, "makes no sense"),
    ] {
        with_token_answer(move || answer(200, &body)).expect_stderr(&[words]);
    }
}

#[test]
fn endless_token_answer_is_cut() {
    let endless = Endless::default();
    let answers = endless.clone();
    let finished = with_token_answer(move || answers.answer(&[b' '; 16 << 10], None));
    finished.expect_stderr(&["larger than 1.0 MiB"]);
    let taken = endless.taken();
    assert!(taken < 24 << 20, "{taken} bytes were taken");
}

#[test]
fn upload_location_stays_on_registry() {
    let other = Fake::start();
    for location in [
        format!("http://{}/v2/x/blobs/uploads/1", other.host()),
        format!("https://{}/v2/x/blobs/uploads/1", other.host()),
        format!("//{}/v2/x/blobs/uploads/1", other.host()),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://localhost/v2/x/blobs/uploads/1".to_owned(),
        "http://evil:pw@TARGET/v2/x/blobs/uploads/1".to_owned(),
        "file:///etc/passwd".to_owned(),
        "data:text/plain,x".to_owned(),
    ] {
        let (source, target) = (Fake::start(), Fake::start());
        source.client().push("app", "v1", &Image::oci("uploaded"));
        let location = location.replace("TARGET", target.host());
        target.rule(move |request| match request.is_blob_post() {
            true => {
                let builder = Response::builder().status(202);
                let builder = builder.header(header::LOCATION, location.as_str());
                Verdict::Answer(builder.body(Body::empty()).unwrap())
            }
            false => Verdict::Serve,
        });
        let transship = between(source.host(), target.host(), &all_tags_of("app"));
        let finished = transship.run(&["sync"]).expect_code(2);
        finished.expect_stderr(&["wants the upload at another host"]);
        assert_eq!(count(&target.requests(), Request::is_blob_body), 0);
        assert!(target.blobs().is_empty());
    }
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}

#[test]
fn wrong_stored_digest_is_an_error() {
    let (source, target, transship) = stage();
    target.rule(|request| match request.is_manifest_put() {
        true => {
            let lie = format!("sha256:{}", "0".repeat(64));
            let builder = Response::builder().status(201);
            let builder = builder.header("docker-content-digest", lie);
            Verdict::Answer(builder.body(Body::empty()).unwrap())
        }
        false => Verdict::Serve,
    });
    let finished = transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["it was stored as"]);
    assert!(!source.requests().is_empty());
}
