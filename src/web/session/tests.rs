use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use secrecy::SecretString;

use crate::web::session::*;

const NOW: i64 = 1_795_000_000;

fn token() -> SecretString {
    "open-sesame-0123456789".to_owned().into()
}

fn sent(cookie: &HeaderValue) -> HeaderMap {
    let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, format!("theme=dark; {pair}").parse().unwrap());
    headers
}

#[test]
fn session_ends_with_its_time_and_its_token() {
    let headers = sent(&cookie(&token(), NOW, false).unwrap());
    assert!(is_open(&token(), &headers, NOW));
    assert!(is_open(&token(), &headers, NOW + LIFETIME - 1));
    assert!(!is_open(&token(), &headers, NOW + LIFETIME + 1));
    let other: SecretString = "another-token-0123456789".to_owned().into();
    assert!(!is_open(&other, &headers, NOW));
    assert!(!is_open(&token(), &HeaderMap::new(), NOW));
}

#[test]
fn altered_cookie_opens_nothing() {
    let ends = NOW + LIFETIME;
    let good = signature(&token(), ends);
    for value in [
        format!("{}.{good}", ends + 1),
        format!("{ends}.{}", good.replace('a', "b").replace('1', "2")),
        format!("{ends}."),
        format!("{ends}"),
        String::new(),
        // A session that was signed for longer than any lasts.
        format!("{}.{}", ends + 9, signature(&token(), ends + 9)),
    ] {
        assert!(!is_valid(&token(), &value, NOW), "{value}");
    }
    assert!(is_valid(&token(), &format!("{ends}.{good}"), NOW));
}

#[test]
fn cookie_is_for_this_site_and_no_script() {
    let plain = cookie(&token(), NOW, false).unwrap();
    let plain = plain.to_str().unwrap();
    assert!(
        plain.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"),
        "{plain}"
    );
    let https = cookie(&token(), NOW, true).unwrap();
    assert!(https.to_str().unwrap().ends_with("; Secure"));
    assert!(ended().unwrap().to_str().unwrap().contains("Max-Age=0"));
}
