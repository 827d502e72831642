//! What chat services, webhooks and healthchecks look like from outside: something that takes POSTs.

use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;

use crate::support::net::server::Server;

/// An answer that every service would give to a message that it took.
const TAKEN: &str = r#"{"errcode":0,"code":0,"ok":true}"#;

type Book = Arc<Mutex<Vec<(String, String)>>>;

/// A running receiver; it ends with the value.
pub struct Receiver {
    book: Book,
    server: Server,
}

impl Receiver {
    /// Takes everything, but says of paths that start with `/gone` that they are not there.
    pub fn start() -> Self {
        let book = Book::default();
        let app = axum::Router::new().fallback(take).with_state(book.clone());
        Self {
            book,
            server: Server::start(|_| app),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.host())
    }

    /// Path and body of everything that came so far, in the order of the paths.
    pub fn received(&self) -> Vec<(String, String)> {
        let mut received = self.book.lock().unwrap().clone();
        received.sort();
        received
    }
}

async fn take(State(book): State<Book>, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let (path, body) = (parts.uri.path(), String::from_utf8_lossy(&body));
    let is_gone = path.starts_with("/gone");
    let answer = match is_gone {
        // Some services repeat what they were asked for.
        true => (StatusCode::NOT_FOUND, format!("no hook at {path}")),
        false => (StatusCode::OK, TAKEN.to_owned()),
    };
    let received = (path.to_owned(), body.into_owned());
    book.lock().unwrap().push(received);
    answer
}
