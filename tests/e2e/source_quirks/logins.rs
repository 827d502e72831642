//! What registries ask for as authorization, and how they say that what they got is good no longer.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::json;

use crate::support::programs::pair::{all_tags_of, between, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Transship, mirror, mirrors, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, parameter, refusal};
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::requests::{Request, assert_only_reads, count};

const PLAIN: &str = "plain_http = true";
const LOGIN: &str = "plain_http = true\nusername = \"robot\"\npassword = { env = \"PASSWORD\" }";

/// A source with `v1` in each of these repositories, a target, and the binary, which has a login.
fn stage(repositories: &[&str]) -> (Fake, Fake, Transship) {
    let (source, target) = (Fake::start(), Fake::start());
    for name in repositories {
        source.client().push(name, "v1", &Image::oci(name));
    }
    let entries: Vec<_> = repositories.iter().map(|name| all_tags_of(name)).collect();
    let text = mirror_toml_with(LOGIN, PLAIN, &entries.concat());
    let mut transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    transship.set_env("PASSWORD", "right-horse-battery");
    (source, target, transship)
}

fn assert_arrived(source: &Fake, target: &Fake, repository: &str) {
    let (from, to) = (source.client(), target.client());
    let copy = format!("mirror/{repository}");
    assert_mirrored(&from, repository, &to, &copy, "v1");
}

fn is_token_request(request: &Request) -> bool {
    request.path.ends_with("/token")
}

/// A 401 with these challenges, and a body of HTML.
fn refused(challenges: &[String]) -> Response<Body> {
    let mut builder = Response::builder()
        .status(401)
        .header(header::CONTENT_TYPE, "text/html");
    for challenge in challenges {
        builder = builder.header(header::WWW_AUTHENTICATE, challenge.as_str());
    }
    let page = "<html><head><title>401 Authorization Required</title></head></html>";
    builder.body(Body::from(page)).unwrap()
}

fn bearer(source: &Fake) -> String {
    let realm = format!("http://{}/token", source.host());
    format!("Bearer realm=\"{realm}\",service=\"fake\"")
}

/// Gives out a token with a number for each that is asked for. Who has none gets the challenge;
/// who has the first, which is good for `good` requests, is refused in this way from then on.
fn end_the_first_token(source: &Fake, mut good: usize, ended: &'static [&'static str]) {
    let (challenge, mut issued) = (bearer(source), 0);
    source.rule(move |request| {
        if is_token_request(request) {
            issued += 1;
            return Verdict::Answer(answer(200, &json!({ "token": format!("t{issued}") })));
        }
        match request.authorization.as_deref() {
            None => Verdict::Answer(refused(std::slice::from_ref(&challenge))),
            Some("Bearer t1") if good == 0 => Verdict::Answer(refused(
                &ended.iter().map(|&t| t.into()).collect::<Vec<_>>(),
            )),
            Some("Bearer t1") => {
                good -= 1;
                Verdict::Serve
            }
            Some(other) => {
                assert!(other.starts_with("Bearer t"), "{other}");
                Verdict::Serve
            }
        }
    });
}

#[test]
fn renews_token_after_any_challenge() {
    const WAYS: [&[&str]; 4] = [
        &["Basic realm=\"harbor\""],
        &[],
        &[""],
        &["Negotiate", "Basic realm=\"harbor\""],
    ];
    for ended in WAYS {
        for good in [1, 2, 3] {
            let (source, target, transship) = stage(&["app"]);
            end_the_first_token(&source, good, ended);
            transship.sync();
            assert_arrived(&source, &target, "app");
            let requests = source.requests();
            assert_eq!(count(&requests, is_token_request), 2, "{ended:?} {good}");
            let is_password = |request: &Request| {
                let sent = request.authorization.as_deref();
                sent.is_some_and(|sent| sent.starts_with("Basic ")) && !is_token_request(request)
            };
            assert_eq!(count(&requests, is_password), 0, "a password was sent");
        }
    }
}

#[test]
fn denied_repository_does_not_loop() {
    // Harbor's project that is not there, Docker Hub's repository, and one that says nothing.
    for told in [
        Some(String::new()),
        Some("Bearer REALM,error=\"insufficient_scope\"".to_owned()),
        None,
    ] {
        let (source, target, transship) = stage(&["app", "absent"]);
        let realm = bearer(&source);
        let told: Vec<String> = told
            .map(|told| told.replace("Bearer REALM", &realm))
            .into_iter()
            .collect();
        source.rule(move |request| {
            let is_absent = request.path.starts_with("/v2/absent/");
            match is_absent && request.authorization.is_some() {
                true => Verdict::Answer(refused(&told)),
                false => Verdict::Serve,
            }
        });
        source.demand_tokens(Habits::default());
        let finished = transship.run(&["--json", "sync"]).expect_code(1);
        let words = ["absent", "check the name, and what the account may do"];
        let report = finished.expect_stderr(&words).json();
        let errors = mirrors(&report).iter().map(|mirror| &mirror["errors"][0]);
        let classes: Vec<_> = errors.filter_map(|error| error["class"].as_str()).collect();
        assert_eq!(classes, ["denied"], "{report:#}");
        assert_arrived(&source, &target, "app");
        let asks = |request: &Request| {
            let scope = parameter(&request.query, "scope").unwrap_or_default();
            is_token_request(request) && scope.contains("absent")
        };
        assert!(count(&source.requests(), asks) <= 2);
    }
}

#[test]
fn unauthorized_without_challenge_asks_the_base() {
    let (source, target, transship) = stage(&["app", "other"]);
    let challenge = bearer(&source);
    source.rule(
        move |request| match (request.authorization.is_some(), request.path.as_str()) {
            (true, "/token") => Verdict::Answer(answer(200, &json!({ "token": "good" }))),
            (true, _) => Verdict::Serve,
            (false, "/v2/") => Verdict::Answer(refused(std::slice::from_ref(&challenge))),
            (false, _) => Verdict::Answer(refused(&[])),
        },
    );
    transship.sync();
    assert_arrived(&source, &target, "app");
    assert_arrived(&source, &target, "other");
}

#[test]
fn unauthorized_without_any_challenge_fails() {
    for is_base_open in [true, false] {
        let (source, target, transship) = stage(&["app"]);
        source.rule(
            move |request| match request.path == "/v2/" && is_base_open {
                true => Verdict::Serve,
                false => Verdict::Answer(refused(&[])),
            },
        );
        let finished = transship.run(&["sync"]).expect_code(2);
        finished.expect_stderr(&["app", "access denied", "status 401 with an HTML page"]);
        assert!(source.requests().len() < 6, "{:#?}", source.requests());
        assert_only_reads(&target.requests());
    }
}

#[test]
fn repository_scope_replaces_realm_scope() {
    let names = ["one", "two", "three"];
    let (source, target, transship) = stage(&names);
    let host = source.host().to_owned();
    // As nvcr.io does: no service, a query of its own, and the first scope alone counts.
    source.rule(move |request| {
        let repository = request.path.split('/').nth(2).unwrap_or_default();
        if is_token_request(request) {
            assert!(request.query.starts_with("account=%24oauthtoken"));
            let scope = parameter(&request.query, "scope").unwrap_or_default();
            let repository = scope.split(':').nth(1).unwrap_or_default().to_owned();
            return Verdict::Answer(answer(200, &json!({ "token": repository })));
        }
        match request.authorization.as_deref() == Some(&format!("Bearer {repository}")) {
            true => Verdict::Serve,
            false => {
                let scope = format!("account=%24oauthtoken&scope=repository:{repository}:pull");
                let realm = format!("http://{host}/proxy_auth/token?{scope}");
                Verdict::Answer(refused(&[format!("Bearer realm=\"{realm}\"")]))
            }
        }
    });
    transship.sync();
    for name in names {
        assert_arrived(&source, &target, name);
    }
    let requests = source.requests();
    let asked: Vec<_> = requests.iter().filter(|r| is_token_request(r)).collect();
    for request in &asked {
        assert_eq!(request.query.matches("scope=").count(), 1, "{request:?}");
    }
}

#[test]
fn bearer_beats_basic_challenge() {
    for is_one_header in [true, false] {
        let (source, target, transship) = stage(&["app"]);
        let both = [bearer(&source), "Basic realm=\"gitea\"".to_owned()];
        let challenges = match is_one_header {
            true => vec![both.join(", ")],
            false => both.to_vec(),
        };
        source.rule(move |request| {
            let token = request.authorization.as_deref() == Some("Bearer good");
            match (request.method.as_str(), request.path.as_str()) {
                ("GET", "/token") => Verdict::Answer(answer(200, &json!({ "token": "good" }))),
                (_, "/token") => Verdict::Answer(refusal(404, "NOT_FOUND")),
                _ if token => Verdict::Serve,
                _ => Verdict::Answer(refused(&challenges)),
            }
        });
        transship.sync();
        assert_arrived(&source, &target, "app");
        let lines: BTreeSet<_> = source
            .requests()
            .iter()
            .filter(|r| is_token_request(r))
            .map(Request::line)
            .collect();
        assert_eq!(Vec::from_iter(lines), ["GET /token"]);
    }
}

#[test]
fn missing_token_server_is_no_missing_tag() {
    for status in [400, 404, 405, 410] {
        let (source, target) = (Fake::start(), Fake::start());
        source.client().push("app", "v1", &Image::oci("app"));
        let named = "[[mirror]]\nname = \"named\"\nfrom = \"SOURCE/app:v1\"\n";
        let mirrors = format!("{named}{}", all_tags_of("app"));
        let transship = between(source.host(), target.host(), &mirrors);
        transship.sync();
        target.new_requests();
        source.demand_tokens(Habits::default());
        source.rule(move |request| match is_token_request(request) {
            true => Verdict::Answer(refusal(status, "NAME_UNKNOWN")),
            false => Verdict::Serve,
        });
        let finished = transship.run(&["--json", "sync"]).expect_code(2);
        let text = status.to_string();
        let report = finished
            .expect_stderr(&["its token server gives no token", &text])
            .json();
        assert_eq!(sum(&report, "/tags/orphaned"), 0, "{report:#}");
        let error = &mirror(&report, "named")["errors"][0];
        assert_eq!(error["class"], "protocol", "{report:#}");
        assert_only_reads(&target.new_requests());
    }
}

#[test]
fn follows_moved_token_server() {
    let (source, target, transship) = stage(&["app"]);
    let host = source.host().to_owned();
    let mut seen = 0;
    source.rule(move |request| {
        let path = request.path.as_str();
        if is_token_request(request) {
            let token = if path == "/old/token" { "old" } else { "new" };
            return Verdict::Answer(answer(200, &json!({ "token": token })));
        }
        let is_new = request.authorization.as_deref() == Some("Bearer new");
        let is_old = request.authorization.as_deref() == Some("Bearer old");
        seen += usize::from(is_old);
        if is_new || (is_old && seen <= 2) {
            return Verdict::Serve;
        }
        let place = if seen > 2 { "new" } else { "old" };
        let realm = format!("Bearer realm=\"http://{host}/{place}/token\"");
        Verdict::Answer(refused(&[realm]))
    });
    transship.sync();
    assert_arrived(&source, &target, "app");
}

#[test]
fn honours_scope_of_challenge_for_tag_lists() {
    let (source, target, transship) = stage(&["app"]);
    let realm = bearer(&source);
    source.rule(move |request| {
        if is_token_request(request) {
            let wants_lists = request.query.contains("metadata_read");
            let token = if wants_lists { "lists" } else { "pulls" };
            // The life as a text of digits, as some token servers write it.
            let body = json!({ "token": token, "expires_in": "3600" });
            return Verdict::Answer(answer(200, &body));
        }
        let used = request.authorization.as_deref();
        let action = if request.is_tag_list() {
            "metadata_read"
        } else {
            "pull"
        };
        match used {
            Some("Bearer lists") => Verdict::Serve,
            Some("Bearer pulls") if !request.is_tag_list() => Verdict::Serve,
            _ => Verdict::Answer(refused(&[format!(
                "{realm},scope=\"repository:app:{action}\""
            )])),
        }
    });
    transship.sync();
    assert_arrived(&source, &target, "app");
}

#[test]
fn registry_token_of_docker_config_is_sent_as_it_is() {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("app"));
    source.rule(
        |request| match request.authorization.as_deref() == Some("Bearer zebra") {
            true => Verdict::Serve,
            // Nobody is there to give out tokens.
            false => Verdict::Answer(refused(&["Bearer realm=\"http://127.0.0.1:1/\"".into()])),
        },
    );
    let keys = "plain_http = true\nlogin = \"docker-config\"";
    let text = mirror_toml_with(keys, PLAIN, &all_tags_of("app"));
    let mut transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    let file = json!({ "auths": { source.host(): { "registrytoken": "zebra" } } }).to_string();
    let file = transship.write("auth.json", &file);
    transship.set_env("REGISTRY_AUTH_FILE", file.to_str().unwrap());
    transship.sync();
    assert_arrived(&source, &target, "app");
}
