//! Answers of registries that once broke a run, or were once believed: each stays mended.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::{Number, Value};

use crate::support::programs::pair::{all_tags_of, between, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Finished, Transship, mirrors, number, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{parameter, refusal};
use crate::support::registries::fake_contents::{Oddities, PageLink};
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, count};

const PLAIN: &str = "plain_http = true";
const LOGIN: &str = "plain_http = true\nusername = \"robot\"\npassword = { file = \"password\" }";

/// Fails the test unless `app:v1` crosses over from behind a token server with these habits.
fn assert_copied_under(habits: Habits) {
    let (source, target) = (Fake::start(), Registry::start());
    source.client().push("app", "v1", &Image::oci("tokens"));
    source.demand_tokens(habits);
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn token_with_both_names() {
    assert_copied_under(Habits {
        members: &["token", "access_token"],
        ..Habits::default()
    });
}

#[test]
fn token_lifetime_extremes() {
    for life in [Number::from_f64(299.5).unwrap(), u64::MAX.into()] {
        assert_copied_under(Habits {
            expires_in: Some(life),
            ..Habits::default()
        });
    }
}

/// A 401 that asks for a user name and a password.
fn wants_a_login() -> Response<Body> {
    let mut response = refusal(401, "UNAUTHORIZED");
    let challenge = "Basic realm=\"fake\"".parse().unwrap();
    let headers = response.headers_mut();
    headers.insert(header::WWW_AUTHENTICATE, challenge);
    response
}

fn is_private(request: &Request) -> bool {
    request.path.starts_with("/v2/private/")
}

/// Syncs `private`, `one` and `two` from a source with these keys and this rule, and tells the
/// class of the only error. The two that are not private must arrive.
fn class_of_the_private_one(
    keys: &str,
    code: i32,
    wants: impl Fn(&Request) -> bool + Send + 'static,
) -> String {
    let (source, target) = (Fake::start(), Registry::start());
    let names = ["private", "one", "two"];
    for name in names {
        source.client().push(name, "v1", &Image::oci(name));
    }
    source.rule(move |request| match wants(request) {
        true => Verdict::Answer(wants_a_login()),
        false => Verdict::Serve,
    });
    let text = mirror_toml_with(keys, PLAIN, &names.map(all_tags_of).concat());
    let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    transship.write("password", "right-horse-battery");
    let finished = transship.run(&["--json", "sync"]).expect_code(code);
    for name in ["one", "two"] {
        let (from, to) = (source.client(), target.client());
        assert_mirrored(&from, name, &to, &format!("mirror/{name}"), "v1");
    }
    let report = finished.expect_stderr(&["private"]).json();
    assert_eq!(sum(&report, "/tags/failed"), 1, "{report:#}");
    let failed = mirrors(&report)[0]["errors"][0]["class"].as_str();
    failed.expect("the private one failed").to_owned()
}

#[test]
fn private_repository_keeps_others_open() {
    assert_eq!(class_of_the_private_one(PLAIN, 3, is_private), "auth");
}

#[test]
fn private_repository_keeps_login_valid() {
    let wants = |request: &Request| request.authorization.is_none() || is_private(request);
    assert_eq!(class_of_the_private_one(LOGIN, 1, wants), "denied");
}

#[test]
fn endless_retry_after_fails() {
    let (source, target) = (Fake::start(), Registry::start());
    source.client().push("app", "v1", &Image::oci("paused"));
    source.rule(|request| {
        if !request.is_blob_get() {
            return Verdict::Serve;
        }
        let mut response = refusal(429, "TOOMANYREQUESTS");
        let wait = u64::MAX.to_string().parse().unwrap();
        response.headers_mut().insert(header::RETRY_AFTER, wait);
        Verdict::Answer(response)
    });
    let begun = Instant::now();
    between(source.host(), target.host(), &all_tags_of("app"))
        .run(&["sync"])
        .expect_code(2)
        .expect_stderr(&["app:v1", "asks to slow down", "it says to wait"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "it waited");
}

#[test]
fn refused_manifest_resends_claimed_blob() {
    let (source, target) = (Registry::start(), Fake::start());
    let claimed = layer("claimed", 2000);
    let image = Image::oci_with("claims", vec![claimed.clone()]);
    source.client().push("app", "v1", &image);
    target.client().push("mirror/app", "v0", &Image::oci("old"));
    let mut is_sent = false;
    target.rule(move |request| {
        is_sent |= request.is_blob_body()
            && parameter(&request.query, "digest").is_some_and(|sent| sent == claimed.digest());
        if request.method == "HEAD" && request.path.ends_with(&claimed.digest()) {
            let size = claimed.bytes.len();
            let builder = Response::builder().header(header::CONTENT_LENGTH, size);
            Verdict::Answer(builder.body(Body::from(claimed.bytes.clone())).unwrap())
        } else if request.is_manifest_put() && !is_sent {
            Verdict::Answer(refusal(400, "BLOB_UNKNOWN"))
        } else {
            Verdict::Serve
        }
    });
    let report = between(source.host(), target.host(), &all_tags_of("app")).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    let puts = count(&target.requests(), Request::is_manifest_put);
    assert_eq!(puts, 2, "{:#?}", target.requests());
}

/// Fails the test unless a tag whose manifest is answered so fails, run by run, and is behind.
fn assert_never_believed(answer: impl Fn() -> Response<Body> + Send + 'static) -> Finished {
    let (source, target) = (Registry::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("written"));
    target.rule(move |request| match request.is_manifest_put() {
        true => Verdict::Answer(answer()),
        false => Verdict::Serve,
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.run(&["sync"]).expect_code(2);
    target.new_requests();
    let finished = transship.run(&["sync"]).expect_code(2);
    let puts = count(&target.new_requests(), Request::is_manifest_put);
    assert_eq!(puts, 1, "the tag is tried again, once");
    let status = transship.status();
    let state: &Value = &mirrors(&status)[0]["targets"][0];
    assert_eq!(number(state, "/behind"), 1, "{status:#}");
    finished.expect_stderr(&["app:v1"])
}

#[test]
fn html_answer_is_no_stored_manifest() {
    let page = || Response::new(Body::from("<html>welcome</html>"));
    assert_never_believed(page).expect_stderr(&["200"]);
}

#[test]
fn manifest_put_does_not_follow_redirect() {
    let other = Fake::start();
    let place = format!("http://{}/v2/mirror/app/manifests/v1", other.host());
    let redirect = move || {
        let builder = Response::builder().status(302);
        let builder = builder.header(header::LOCATION, place.as_str());
        builder.body(Body::empty()).unwrap()
    };
    assert_never_believed(redirect).expect_stderr(&["302"]);
    assert!(other.requests().is_empty(), "{:#?}", other.requests());
}

#[test]
fn finds_next_among_several_links() {
    let source = Fake::with(Oddities {
        pages: Some((2, PageLink::AmongOthers)),
        ..Oddities::default()
    });
    let target = Registry::start();
    let (tags, image) = (
        ["v1", "v2", "v3", "v4", "v5"],
        Image::without_layers("same"),
    );
    for tag in tags {
        source.client().push("app", tag, &image);
    }
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_eq!(target.client().tags("mirror/app"), tags);
    assert_eq!(count(&source.requests(), Request::is_tag_list), 3);
}
