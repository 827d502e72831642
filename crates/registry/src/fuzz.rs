//! Hostile headers and bodies.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, LINK, RETRY_AFTER, WWW_AUTHENTICATE};
use transship_fuzz::fuzz;
use url::Url;

use super::probe::quota;
use crate::{
    auth::{challenge::Challenge, token::read_token},
    error::words,
    listing::tags::{next_page, page_names},
    quota::retry_after::retry_after,
};

/// A header of this text, where it is one.
fn one(name: reqwest::header::HeaderName, text: &str) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    Some([(name, value)].into_iter().collect())
}

#[test]
fn a_challenge_is_read_or_none_whatever_it_holds() {
    fuzz("challenge", |text| {
        let read = one(WWW_AUTHENTICATE, text).and_then(|headers| Challenge::read(&headers));
        if let Some(Challenge::Bearer { realm, .. }) = &read {
            assert_eq!(&Url::parse(realm.as_str()).unwrap(), realm);
        }
        read.is_some()
    });
}

#[test]
fn challenges_without_end_are_read_to_their_end() {
    for text in [
        "Bearer realm=\"https://a.example/t\",".repeat(5_000),
        "Basic realm=\"x\", ".repeat(10_000),
        format!("Bearer realm=\"{}", "\\\"".repeat(100_000)),
        format!("Bearer {}", "=".repeat(200_000)),
        format!("Bearer {}", "a=\"\",".repeat(40_000)),
        format!("Bearer realm=\"https://{}\"", "a.".repeat(100_000)),
    ] {
        let headers = one(WWW_AUTHENTICATE, &text).unwrap();
        let _ = Challenge::read(&headers);
    }
    let mut headers = HeaderMap::new();
    for number in 0..5_000 {
        let text = format!("Bearer service=\"{number}");
        headers.append(WWW_AUTHENTICATE, text.parse().unwrap());
    }
    assert_eq!(Challenge::read(&headers), None);
}

#[test]
fn a_listing_never_leaves_its_host() {
    let current = Url::parse("https://r.example:5000/v2/a/tags/list?n=2").unwrap();
    fuzz("link", |text| {
        let Some(headers) = one(LINK, text) else {
            return false;
        };
        let Ok(Some(next)) = next_page(&current, &headers) else {
            return false;
        };
        assert_eq!(next.origin(), current.origin());
        assert!(next.username().is_empty() && next.password().is_none());
        true
    });
}

#[test]
fn a_page_of_tags_holds_legal_tags_alone() {
    fuzz("tag_list", |text| match page_names(text.as_bytes()) {
        Ok(tags) => {
            assert!(
                tags.iter()
                    .all(|tag| tag.as_str().parse().as_ref() == Ok(tag))
            );
            !tags.is_empty()
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    });
}

#[test]
fn a_pause_is_never_longer_than_a_day() {
    let day = Duration::from_secs(24 * 3600);
    fuzz("retry_after", |text| {
        let Some(headers) = one(RETRY_AFTER, text) else {
            return false;
        };
        let pause = retry_after(&headers);
        assert!(pause.is_none_or(|pause| pause <= day));
        let _ = one("ratelimit-remaining".parse().unwrap(), text).map(|headers| quota(&headers));
        pause.is_some()
    });
}

#[test]
fn a_token_is_one_line_and_ends() {
    fuzz("token", |text| match read_token(text.as_bytes()) {
        Ok(token) => {
            assert!(token.header.is_sensitive());
            assert!(
                token
                    .header
                    .as_bytes()
                    .iter()
                    .all(|b| !b.is_ascii_control() || *b == b'\t')
            );
            true
        }
        Err(reason) => {
            assert!(!reason.is_empty());
            false
        }
    });
}

#[test]
fn what_a_refusal_says_is_short_and_moves_no_cursor() {
    fuzz("refusal", |text| {
        let said = words(418, text.as_bytes());
        assert!(said.chars().count() <= 601, "{said}");
        assert!(!said.chars().any(char::is_control), "{said:?}");
        !said.starts_with("status")
    });
}
