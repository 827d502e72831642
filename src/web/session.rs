//! Proofs of the token of `[http]`: the token itself, and the cookie of a browser that sent it once.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// The name of the cookie.
const NAME: &str = "transship_session";
/// How long, in seconds, a session lasts.
const LIFETIME: i64 = 12 * 3600;

/// Compares what a client sent with the token, in constant time.
pub(crate) fn is_token(token: &SecretString, given: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"transship");
    let expected = hmac::sign(&key, token.expose_secret().as_bytes());
    hmac::verify(&key, given.trim().as_bytes(), expected.as_ref()).is_ok()
}

/// The cookie of a session that starts at `now`, in seconds since 1970: its end, and a signature by the
/// token. Another token ends every session. Browsers send it with requests of this site only
/// ([SameSite](https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis)), and show it to
/// no script.
pub(crate) fn cookie(token: &SecretString, now: i64, is_https: bool) -> Option<HeaderValue> {
    let ends = now + LIFETIME;
    set(
        &format!("{ends}.{}", signature(token, ends)),
        LIFETIME,
        is_https,
    )
}

/// The cookie that ends a session.
pub(crate) fn ended() -> Option<HeaderValue> {
    set("", 0, false)
}

fn set(value: &str, seconds: i64, is_https: bool) -> Option<HeaderValue> {
    let secure = if is_https { "; Secure" } else { "" };
    let cookie =
        format!("{NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    cookie.parse().ok()
}

/// Whether a request brings the cookie of a session that has not ended.
pub(crate) fn is_open(token: &SecretString, headers: &HeaderMap, now: i64) -> bool {
    let cookies = headers.get_all(COOKIE).iter();
    let cookies = cookies.filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.any(|pair| {
        let value = pair.trim().strip_prefix(NAME);
        let value = value.and_then(|value| value.strip_prefix('='));
        value.is_some_and(|value| is_valid(token, value, now))
    })
}

fn is_valid(token: &SecretString, value: &str, now: i64) -> bool {
    let parsed = value
        .split_once('.')
        .and_then(|(ends, signature)| Some((ends.parse::<i64>().ok()?, signature)));
    let Some((ends, given)) = parsed else {
        return false;
    };
    let expected = signature(token, ends);
    // Compared as a token is: in constant time.
    let is_signed = is_token(&expected.into(), given);
    is_signed && (now..=now + LIFETIME).contains(&ends)
}

fn signature(token: &SecretString, ends: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose_secret().as_bytes());
    let signed = hmac::sign(&key, format!("session {ends}").as_bytes());
    let bytes = signed.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
