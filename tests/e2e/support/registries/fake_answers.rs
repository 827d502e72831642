//! The answers that a fake registry gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Answers without end, and how much of them was taken.
#[derive(Clone, Default)]
pub struct Endless(Arc<AtomicU64>);

impl Endless {
    /// A 200 whose body is `frame`, again and again; it may announce a length.
    pub fn answer(&self, frame: &'static [u8], announced: Option<u64>) -> Response<Body> {
        let taken = self.0.clone();
        let frames = stream::repeat_with(move || {
            taken.fetch_add(frame.len() as u64, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(frame))
        });
        let mut response = Response::new(Body::from_stream(frames));
        if let Some(length) = announced {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        response
    }

    /// Bytes that were taken, into the buffers of the connections, too.
    pub fn taken(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A 307 that leads elsewhere.
pub fn redirect(location: &str) -> Response<Body> {
    let builder = Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
    let builder = builder.header(header::LOCATION, location);
    builder.body(Body::empty()).unwrap()
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
