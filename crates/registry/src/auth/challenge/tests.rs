use crate::auth::challenge::*;

fn read(values: &[&str]) -> Option<Challenge> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
    }
    Challenge::read(&headers)
}

fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
    Some(Challenge::Bearer {
        realm: realm.parse().unwrap(),
        service: service.map(Into::into),
    })
}

#[test]
fn a_bearer_challenge_names_realm_and_service() {
    let header =
        r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a,b""#;
    assert_eq!(
        read(&[header]),
        bearer("https://auth.docker.io/token", Some("registry.docker.io"))
    );
}

#[test]
fn a_realm_without_service_is_enough() {
    let header = r#"Bearer realm="https://nvcr.io/proxy_auth?scope=x""#;
    assert_eq!(
        read(&[header]),
        bearer("https://nvcr.io/proxy_auth?scope=x", None)
    );
}

#[test]
fn bearer_wins_over_basic_in_any_order() {
    let bearer_text = r#"Bearer realm="https://a.example/t""#;
    for headers in [
        ["Basic realm=\"x\"", bearer_text],
        [bearer_text, "Basic realm=\"x\""],
    ] {
        assert_eq!(read(&headers), bearer("https://a.example/t", None));
    }
}

#[test]
fn odd_challenges_are_none_and_end() {
    for odd in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer realm=",
        "Negotiate",
        "Bearer realm=\"",
        "Bearer ===,,=\"\\",
    ] {
        assert_eq!(read(&[odd]), None, "{odd}");
    }
    assert_eq!(read(&["basic"]), Some(Challenge::Basic));
}
