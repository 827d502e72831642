//! Registries behind a token server: how tokens are asked for, kept and renewed.

use std::time::{Duration, Instant};

use crate::support::programs::pair::{all_tags_of, between, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::parameter;
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, count};

/// A source behind tokens with so many tags in `app`, an open target, and the binary.
struct AuthStage {
    source: Fake,
    target: Registry,
    transship: Transship,
    tags: Vec<String>,
}

impl AuthStage {
    fn with(tags: usize, habits: Habits) -> Self {
        let (source, target) = (Fake::start(), Registry::start());
        let tags: Vec<_> = (0..tags).map(|number| format!("v{number}")).collect();
        for tag in &tags {
            source.client().push("app", tag, &Image::oci(tag));
        }
        source.demand_tokens(habits);
        let transship = between(source.host(), target.host(), &all_tags_of("app"));
        Self {
            source,
            target,
            transship,
            tags,
        }
    }

    fn assert_synced(&self) {
        let report = self.transship.sync();
        assert_eq!(
            sum(&report, "/tags/copied"),
            self.tags.len() as u64,
            "{report:#}"
        );
        for tag in &self.tags {
            assert_mirrored(
                &self.source.client(),
                "app",
                &self.target.client(),
                "mirror/app",
                tag,
            );
        }
    }

    fn token_requests(&self) -> usize {
        self.source.tokens(|tokens| tokens.requests())
    }
}

fn is_token_request(request: &Request) -> bool {
    request.path == "/token"
}

#[test]
fn one_token_per_repository() {
    let stage = AuthStage::with(20, Habits::default());
    stage.assert_synced();
    let asked = stage.token_requests();
    assert!((1..=3).contains(&asked), "{asked} tokens were asked for");
}

#[test]
fn renews_revoked_tokens_in_flight() {
    let stage = AuthStage::with(
        12,
        Habits {
            revoke_after: 20,
            ..Habits::default()
        },
    );
    stage.assert_synced();
    let asked = stage.token_requests();
    assert!((2..=6).contains(&asked), "{asked} tokens were asked for");
}

#[test]
fn renews_expired_token() {
    let stage = AuthStage::with(
        1,
        Habits {
            expires_in: Some(1.into()),
            ..Habits::default()
        },
    );
    // The manifest arrives when the token that fetched it has expired; the blobs come after the manifest.
    stage.source.rule(|request| {
        match request.method == "GET" && request.path.contains("/manifests/") {
            true => Verdict::ServeAt(Instant::now() + Duration::from_millis(2200)),
            false => Verdict::Serve,
        }
    });
    stage.assert_synced();
    assert!(stage.token_requests() >= 2);
    assert_eq!(
        stage.source.tokens(|tokens| tokens.expired_uses()),
        0,
        "an expired token was used"
    );
}

#[test]
fn accepts_token_without_expiry() {
    AuthStage::with(
        3,
        Habits {
            expires_in: None,
            ..Habits::default()
        },
    )
    .assert_synced();
}

#[test]
fn accepts_access_token() {
    AuthStage::with(
        3,
        Habits {
            members: &["access_token"],
            ..Habits::default()
        },
    )
    .assert_synced();
}

#[test]
fn keeps_the_realm_query() {
    let stage = AuthStage::with(
        2,
        Habits {
            realm_query: "tenant=acme",
            ..Habits::default()
        },
    );
    stage.assert_synced();
    let requests = stage.source.requests();
    for request in requests.iter().filter(|request| is_token_request(request)) {
        assert_eq!(
            parameter(&request.query, "tenant").as_deref(),
            Some("acme"),
            "{request:?}"
        );
        assert_eq!(
            parameter(&request.query, "service").as_deref(),
            Some("fake"),
            "{request:?}"
        );
    }
}

#[test]
fn refused_token_request_is_not_retried() {
    let stage = AuthStage::with(
        5,
        Habits {
            refuses: true,
            ..Habits::default()
        },
    );
    let finished = stage.transship.run(&["sync"]).expect_code(3);
    finished.expect_stderr(&[stage.source.host()]);
    assert_eq!(stage.token_requests(), 1);
    assert!(stage.target.client().repositories().is_empty());
}

#[test]
fn password_goes_only_to_token_server() {
    let (source, target) = (Fake::start(), Registry::start());
    source
        .client()
        .push("app", "v1", &Image::oci("with a login"));
    source.demand_tokens(Habits::default());
    let keys = "plain_http = true\nusername = \"robot\"\npassword = { env = \"REGISTRY_TOKEN\" }";
    let text = mirror_toml_with(keys, "plain_http = true", &all_tags_of("app"));
    let mut transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    transship.set_env("REGISTRY_TOKEN", "right-horse-battery");
    transship.sync();
    let is_basic = |request: &Request| {
        request
            .authorization
            .as_deref()
            .is_some_and(|value| value.starts_with("Basic "))
    };
    for request in source.requests() {
        assert_eq!(
            is_basic(&request),
            is_token_request(&request),
            "{request:?}"
        );
    }
}

#[test]
fn pushes_with_tokens() {
    let (source, target) = (Registry::start(), Fake::start());
    let base = layer("base behind tokens", 2000);
    for name in ["one", "two"] {
        source
            .client()
            .push(name, "v1", &Image::oci_with(name, vec![base.clone()]));
    }
    target.demand_tokens(Habits::default());
    let mirrors = format!("{}{}", all_tags_of("one"), all_tags_of("two"));
    between(source.host(), target.host(), &mirrors).sync();
    for name in ["one", "two"] {
        assert_mirrored(
            &source.client(),
            name,
            &target.client(),
            &format!("mirror/{name}"),
            "v1",
        );
    }
    let asked = count(&target.requests(), is_token_request);
    assert!(asked <= 6, "{asked} tokens were asked for");
}
