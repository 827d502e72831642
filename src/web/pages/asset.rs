//! Files that browsers cache: the style sheet and the icon.

use axum::{
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};

const STYLE: &str = include_str!("../../../templates/style.css");
const ICON: &str = include_str!("../../../templates/icon.svg");

/// Fingerprint of the style sheet.
const VERSION: u64 = fingerprint(STYLE.as_bytes());

/// The address of the style sheet. It changes with its content, so that browsers can cache it forever.
pub(crate) fn style_path() -> String {
    format!("/style.css?v={VERSION:x}")
}

/// The style sheet.
pub(crate) async fn style() -> Response {
    kept(
        STYLE,
        "text/css; charset=utf-8",
        "public, max-age=31536000, immutable",
    )
}

/// The icon of the pages.
pub(crate) async fn icon() -> Response {
    kept(ICON, "image/svg+xml", "public, max-age=86400")
}

fn kept(text: &'static str, kind: &'static str, how: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, how)], text).into_response()
}

/// FNV-1a, 64 bits ([draft](https://datatracker.ietf.org/doc/html/draft-eastlake-fnv)).
const fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests;
