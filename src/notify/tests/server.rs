//! A server that takes whatever is sent to it, and answers as scripted.

use std::{collections::VecDeque, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The path and the query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A status, headers and a body.
pub(crate) type ScriptedAnswer = (u16, Vec<(&'static str, String)>, String);

#[derive(Default)]
struct Book {
    seen: Vec<Seen>,
    /// Answers for the next requests, before the usual one.
    next: VecDeque<ScriptedAnswer>,
    usual: ScriptedAnswer,
}

type Shared = Arc<Mutex<Book>>;

/// It ends with the value.
pub(crate) struct Server {
    base: String,
    book: Shared,
    task: JoinHandle<()>,
}

impl Server {
    /// A server that answers 200 with this.
    pub(crate) async fn answering(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let book = Shared::default();
        lock(&book).usual = (200, Vec::new(), body.to_owned());
        let app = Router::new().fallback(take).with_state(book.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, book, task }
    }

    /// The next request is answered like this.
    pub(crate) fn then(self, status: u16, body: &str) -> Self {
        self.then_with(status, &[], body)
    }

    /// The next request is answered like this, with headers.
    pub(crate) fn then_with(
        self,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Self {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (*name, (*value).to_owned()));
        let answer = (status, headers.collect(), body.to_owned());
        lock(&self.book).next.push_back(answer);
        self
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.book).seen.clone()
    }

    /// The one request that came.
    #[track_caller]
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.into_iter().next().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(book: &Shared) -> MutexGuard<'_, Book> {
    book.lock()
}

async fn take(State(book): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let headers = parts.headers.iter();
    let seen = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let mut book = lock(&book);
    book.seen.push(seen);
    let (status, headers, body) = book.next.pop_front().unwrap_or_else(|| book.usual.clone());
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}
