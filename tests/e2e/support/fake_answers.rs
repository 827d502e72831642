//! The answers that a fake registry gives.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde_json::json;
use tokio::sync::watch;

/// A short answer with a body of JSON.
pub fn answer(status: u16, body: &serde_json::Value) -> Response<Body> {
    let builder = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json");
    builder.body(Body::from(body.to_string())).unwrap()
}

/// An answer in the form of the distribution specification's errors.
pub fn refusal(status: u16, code: &str) -> Response<Body> {
    answer(
        status,
        &json!({ "errors": [{ "code": code, "message": code.to_lowercase() }] }),
    )
}

/// A 200 that promises all of `bytes` and breaks the connection after half of them.
pub fn truncated(bytes: &Bytes) -> Response<Body> {
    let half = bytes.slice(..bytes.len() / 2);
    let broken = std::io::Error::other("the connection breaks here");
    let rest = stream::once(async {
        // What was written so far leaves before the connection breaks.
        tokio::task::yield_now().await;
        Err(broken)
    });
    let frames = stream::iter([Ok(half)]).chain(rest);
    Response::builder()
        .header(header::CONTENT_LENGTH, bytes.len())
        .body(Body::from_stream(frames))
        .unwrap()
}

/// A 200 that sends half of `bytes`, and the other half when the gate opens.
pub fn held(bytes: &Bytes, mut gate: watch::Receiver<bool>) -> Response<Body> {
    let (half, rest) = (
        bytes.slice(..bytes.len() / 2),
        bytes.slice(bytes.len() / 2..),
    );
    let rest = stream::once(async move {
        // A gate that is gone never opens.
        if gate.wait_for(|is_open| *is_open).await.is_err() {
            std::future::pending::<()>().await;
        }
        Ok::<_, std::io::Error>(rest)
    });
    let frames = stream::iter([Ok(half)]).chain(rest);
    Response::builder()
        .header(header::CONTENT_LENGTH, bytes.len())
        .body(Body::from_stream(frames))
        .unwrap()
}

/// A 201 for what was stored.
pub fn created(location: &str, digest: &str) -> Response<Body> {
    let builder = Response::builder()
        .status(StatusCode::CREATED)
        .header(header::LOCATION, location);
    builder
        .header("docker-content-digest", digest)
        .body(Body::empty())
        .unwrap()
}

/// The decoded value of a parameter in a query.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs
        .into_iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
