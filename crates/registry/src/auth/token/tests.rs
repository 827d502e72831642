use crate::{
    auth::{Scope, token::*},
    concurrency::rate_limit::RateLimiter,
    oci::RegistryName,
    settings::RegistrySettings,
};

fn http(host: &str, plain_http: bool) -> HttpClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let name: RegistryName = host.parse().unwrap();
    let config = RegistrySettings {
        plain_http,
        ..RegistrySettings::default()
    };
    let rate_limiter = Arc::new(RateLimiter::new(None, None, Arc::default()));
    HttpClient::new(&name, &config, rate_limiter, Arc::new(())).unwrap()
}

fn login() -> Credential {
    Credential::Basic {
        username: "robot".into(),
        password: "right-horse-battery".to_owned().into(),
    }
}

fn admits(http: &HttpClient, credential: &Credential, realm: &str) -> bool {
    admit(http, credential, &realm.parse().unwrap()).is_ok()
}

#[test]
fn login_needs_tls_or_the_registry_itself() {
    let (secure, plain) = (http("r.example", false), http("r.example:5000", true));
    for (http, realm, is_admitted) in [
        (&secure, "https://r.example/token", true),
        (&secure, "https://auth.docker.io/token", true),
        (&secure, "http://r.example/token", false),
        (&secure, "http://auth.example/token", false),
        (&secure, "https://127.0.0.1/token", false),
        (&secure, "https://169.254.169.254/token", false),
        (&secure, "https://localhost:8080/token", false),
        (&secure, "https://me:pw@auth.example/token", false),
        (&plain, "http://r.example:5001/token", true),
        (&plain, "https://auth.example/token", true),
        (&plain, "http://auth.example/token", false),
        (&plain, "http://127.0.0.1/token", false),
        (&plain, "file:///etc/passwd", false),
    ] {
        assert_eq!(admits(http, &login(), realm), is_admitted, "{realm}");
    }
}

#[test]
fn anonymous_token_over_plain_http() {
    let nobody = Credential::Anonymous;
    let (secure, plain) = (http("r.example", false), http("r.example:5000", true));
    assert!(admits(&plain, &nobody, "http://auth.example/token"));
    assert!(!admits(&secure, &nobody, "http://auth.example/token"));
}

fn life(expires_in: &str) -> u64 {
    let text = format!("{{\"token\": \"x\", \"expires_in\": {expires_in}}}");
    let answer: TokenAnswer = serde_json::from_str(&text).unwrap();
    answer.life().as_secs()
}

#[test]
fn token_lifetime_is_bounded() {
    assert_eq!(life("300"), 300);
    assert_eq!(life("299.5"), 299);
    for (odd, expected) in [("-1", 60), ("0", 60), ("-1e300", 60), ("null", 60)] {
        assert_eq!(life(odd), expected, "{odd}");
    }
    for huge in ["1e300", "18446744073709551615", "99999999999999999999999"] {
        assert_eq!(life(huge), 24 * 3600, "{huge}");
    }
}

#[test]
fn a_token_that_ends_at_once_is_not_asked_for_without_end() {
    let token = read_token(br#"{"token": "x", "expires_in": 1e-9}"#).unwrap();
    assert!(token.renew_at > Instant::now() + SHORTEST_USE / 2);
}

#[test]
fn a_realm_keeps_its_query_but_for_its_scope() {
    let kept = |realm: &str| without_scope(realm.parse().unwrap()).to_string();
    assert_eq!(
        kept("https://r.example/t?a=%24b"),
        "https://r.example/t?a=%24b"
    );
    let odd = "https://r.example/t?scope=repository:a:pull&account=$oauthtoken&scope=x";
    assert_eq!(kept(odd), "https://r.example/t?account=%24oauthtoken");
}

#[test]
fn scope_asks_for_deletion_only_to_delete() {
    let scope = |writes, from: Option<&str>| Scope {
        repository: "a/b".into(),
        writes,
        deletes: false,
        from: from.map(Into::into),
    };
    assert_eq!(scope(false, None).texts(), ["repository:a/b:pull"]);
    assert_eq!(scope(true, None).texts(), ["repository:a/b:pull,push"]);
    let deletion = Scope {
        deletes: true,
        ..scope(true, None)
    };
    assert_eq!(deletion.texts(), ["repository:a/b:pull,push,delete"]);
    let mount = ["repository:a/b:pull,push", "repository:c:pull"];
    assert_eq!(scope(true, Some("c")).texts(), mount);
    assert_eq!(Scope::catalog().texts(), ["registry:catalog:*"]);
}

#[test]
fn a_login_that_has_ended_is_told_by_the_words_of_the_rfc() {
    assert!(is_grant_refused(
        br#"{"error": "invalid_grant", "error_description": "expired"}"#
    ));
    for other in [&br#"{"error": "invalid_scope"}"#[..], b"{}", b"<html>", b""] {
        assert!(!is_grant_refused(other));
    }
}
