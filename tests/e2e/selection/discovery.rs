//! `*` in `from`: what a catalog names is mirrored, and a catalog that says nothing fails its mirror alone.

use axum::http::header;
use serde_json::{Value, json};

use crate::support::programs::pair::{
    Pair, all_tags_of, behind_proxy, between, fill_in, mirror_toml_with,
};
use crate::support::programs::transship::{Transship, mirror, number};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, parameter, refusal};
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::registry::{Guard, Registry};
use crate::support::registries::requests::{Request, count};

const TEAM: &str = "[[mirror]]\nname = \"team\"\nfrom = \"SOURCE/team/*\"\ntags = \"*\"\n";

/// Answers a path with JSON, whatever the query.
fn serve(fake: &Fake, path: &'static str, body: impl Fn(&Request) -> Value + Send + 'static) {
    fake.rule(move |request| match request.path == path {
        true => Verdict::Answer(answer(200, &body(request))),
        false => Verdict::Serve,
    });
}

fn push(fake: &Fake, repositories: &[&str]) {
    for repository in repositories {
        fake.client()
            .push(repository, "v1", &Image::oci(repository));
    }
}

#[test]
fn star_matches_one_path_part() {
    let pair = Pair::mirroring(TEAM);
    for name in [
        "team/one",
        "team/two",
        "team/deep/three",
        "other/four",
        "teams/five",
    ] {
        pair.from.push(name, "v1", &Image::oci(name));
    }
    let plan = pair.transship.run(&["plan"]).expect_code(0);
    plan.expect_stdout(&["team/one", "team/two"]);
    pair.transship.sync();
    assert_eq!(
        pair.to.repositories(),
        ["mirror/team/one", "mirror/team/two"]
    );
    pair.assert_mirrored(&[("team/one", "v1"), ("team/two", "v1")]);
}

#[test]
fn new_repository_is_discovered() {
    let pair = Pair::mirroring(&TEAM.replace("team/*", "team/**"));
    pair.from.push("team/one", "v1", &Image::oci("one"));
    pair.transship.sync();
    pair.from.push("team/deep/two", "v1", &Image::oci("two"));
    pair.transship.sync();
    pair.assert_mirrored(&[("team/one", "v1"), ("team/deep/two", "v1")]);
}

#[test]
fn catalog_is_read_once() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, &["team/a", "team/b", "team/c"]);
    source.rule(|request| {
        if request.path != "/v2/_catalog" {
            return Verdict::Serve;
        }
        let last = parameter(&request.query, "last");
        let (names, next) = match last.as_deref() {
            None => (["team/a", "team/b"].as_slice(), Some("team/b")),
            Some(_) => (["team/c"].as_slice(), None),
        };
        let mut response = answer(200, &json!({ "repositories": names }));
        if let Some(next) = next {
            let link = format!("</v2/_catalog?last={next}&n=2>; rel=\"next\"");
            response
                .headers_mut()
                .insert(header::LINK, link.parse().unwrap());
        }
        Verdict::Answer(response)
    });
    let mirrors = format!("{TEAM}[[mirror]]\nfrom = \"SOURCE/team/*:v1\"\n");
    between(source.host(), target.host(), &mirrors).sync();
    assert_eq!(target.client().repositories().len(), 3);
    assert_eq!(count(&source.requests(), |r| r.path == "/v2/_catalog"), 2);
}

#[test]
fn refused_catalog_fails_only_its_mirror() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, &["team/app", "app"]);
    source.rule(|request| match request.path.as_str() {
        "/v2/_catalog" => Verdict::Answer(refusal(403, "DENIED")),
        _ => Verdict::Serve,
    });
    let mirrors =
        format!("{TEAM}[[mirror]]\nname = \"named\"\nfrom = \"SOURCE/app\"\ntags = \"*\"\n");
    let transship = between(source.host(), target.host(), &mirrors);
    let finished = transship.run(&["--json", "sync"]).expect_code(1);
    let finished = finished.expect_stderr(&["team/*", "DENIED"]);
    let report = finished.json();
    assert_eq!(mirror(&report, "team")["result"], "failed");
    assert_eq!(mirror(&report, "team")["errors"][0]["class"], "denied");
    assert_eq!(number(mirror(&report, "named"), "/tags/copied"), 1);
    transship
        .run(&["plan"])
        .expect_code(1)
        .expect_stderr(&["DENIED"]);
}

#[test]
fn private_catalog_keeps_public_mirrors() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, &["team/app", "app"]);
    source.rule(|request| match request.path.as_str() {
        "/v2/_catalog" => {
            let mut response = refusal(401, "UNAUTHORIZED");
            let basic = "Basic realm=\"catalog\"".parse().unwrap();
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, basic);
            Verdict::Answer(response)
        }
        _ => Verdict::Serve,
    });
    let mirrors =
        format!("{TEAM}[[mirror]]\nname = \"named\"\nfrom = \"SOURCE/app\"\ntags = \"*\"\n");
    let transship = between(source.host(), target.host(), &mirrors);
    transship
        .run(&["sync", "team"])
        .expect_code(3)
        .expect_stderr(&["wants a login"]);
    let report = transship.run(&["--json", "sync"]).expect_code(3).json();
    assert_eq!(number(mirror(&report, "named"), "/tags/copied"), 1);
}

#[test]
fn empty_listed_repository_is_no_failure() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, &["team/app"]);
    serve(
        &source,
        "/v2/_catalog",
        |_| json!({ "repositories": ["team/app", "team/gone"] }),
    );
    between(source.host(), target.host(), TEAM).sync();
    assert_eq!(target.client().repositories(), ["mirror/team/app"]);
}

#[test]
fn empty_catalog_fails_its_mirror() {
    let (source, target) = (Registry::start(), Registry::start());
    let finished = between(source.host(), target.host(), TEAM).run(&["sync"]);
    finished
        .expect_code(2)
        .expect_stderr(&["team/*", "no repository that matches"]);
}

#[test]
fn catalog_uses_the_login() {
    let (source, target) = (Registry::guarded(Guard::Login), Registry::start());
    source
        .client()
        .push("team/app", "v1", &Image::oci("guarded"));
    let keys = format!(
        "plain_http = true\nusername = \"{}\"\npassword = \"{}\"",
        crate::support::registries::registry::USERNAME,
        crate::support::registries::registry::PASSWORD
    );
    let text = mirror_toml_with(&keys, "plain_http = true", TEAM);
    Transship::new(&fill_in(&text, source.host(), target.host())).sync();
    assert_eq!(target.client().tags("mirror/team/app"), ["v1"]);
}

#[test]
fn catalog_token_has_its_scope() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, &["team/app"]);
    serve(
        &source,
        "/v2/_catalog",
        |_| json!({ "repositories": ["team/app"] }),
    );
    source.demand_tokens(Habits::default());
    between(source.host(), target.host(), TEAM).sync();
    let asked = |request: &Request| {
        request.path == "/token"
            && parameter(&request.query, "scope").as_deref() == Some("registry:catalog:*")
    };
    assert_eq!(count(&source.requests(), asked), 1);
}

#[test]
fn discovers_harbor_project() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, &["team/app", "team/app150"]);
    source.rule(|request| match request.path.as_str() {
        "/v2/_catalog" => Verdict::Answer(refusal(401, "UNAUTHORIZED")),
        _ => Verdict::Serve,
    });
    serve(&source, "/api/v2.0/projects/team/repositories", |request| {
        let page: usize = parameter(&request.query, "page").unwrap().parse().unwrap();
        let all = (1..=150).map(|n| json!({ "name": format!("team/x{n}") }));
        let all = all.chain([
            json!({ "name": "team/app" }),
            json!({ "name": "team/app150" }),
        ]);
        all.skip((page - 1) * 100).take(100).collect()
    });
    let app = TEAM.replace("team/*", "team/app*");
    between(source.host(), target.host(), &app).sync();
    assert_eq!(
        target.client().repositories(),
        ["mirror/team/app", "mirror/team/app150"]
    );
}

#[test]
fn discovers_docker_hub_namespace() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, &["acme/one", "acme/two"]);
    serve(
        &source,
        "/v2/namespaces/acme/repositories",
        |request| match request.query.contains("page=2") {
            false => json!({
                "next": "https://hub.docker.com/v2/namespaces/acme/repositories?page=2&page_size=100",
                "results": [{ "name": "one" }],
            }),
            true => json!({ "next": null, "results": [{ "name": "two" }] }),
        },
    );
    behind_proxy(
        source.host(),
        target.host(),
        "docker.io",
        &all_tags_of("acme/*"),
    )
    .sync();
    assert_eq!(
        target.client().repositories(),
        ["mirror/acme/one", "mirror/acme/two"]
    );
    let asked = source.requests();
    assert_eq!(count(&asked, |r| r.path == "/v2/_catalog"), 0);
}

#[test]
fn discovers_quay_namespace() {
    let (source, target) = (Fake::start(), Registry::start());
    push(&source, &["acme/one", "acme/two"]);
    serve(&source, "/api/v1/repository", |request| {
        assert_eq!(
            parameter(&request.query, "namespace").as_deref(),
            Some("acme")
        );
        match parameter(&request.query, "next_page").as_deref() {
            None => json!({ "next_page": "opaque=", "repositories": [{ "name": "one" }] }),
            Some(_) => json!({ "repositories": [{ "name": "two" }] }),
        }
    });
    behind_proxy(
        source.host(),
        target.host(),
        "quay.io",
        &all_tags_of("acme/*"),
    )
    .sync();
    assert_eq!(
        target.client().repositories(),
        ["mirror/acme/one", "mirror/acme/two"]
    );
}

#[test]
fn clashing_discovered_repository_fails() {
    let pair =
        Pair::mirroring("[[mirror]]\nfrom = \"SOURCE/*/app\"\ntags = \"*\"\npath = \"{name}\"\n");
    pair.from.push("a/app", "v1", &Image::oci("a"));
    pair.from.push("b/app", "v2", &Image::oci("b"));
    let finished = pair.transship.run(&["sync"]).expect_code(1);
    finished.expect_stderr(&["b/app", "would be written to", "path"]);
    assert_eq!(pair.to.tags("mirror/app"), ["v1"]);
}
