//! `/api/v1/coverage`: clusters send which images they use, and learn which are not mirrored.

use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::CONTENT_LENGTH},
    middleware,
    response::{IntoResponse as _, Response},
    routing::post,
};
use chrono::Utc;
use futures::StreamExt as _;
use serde_json::json;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use crate::{
    inventory::{self, Inventory},
    status::{ClusterError, ClusterStatus},
    store::ClusterRecord,
    web::{App, api},
};

/// Most bytes of a list.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// Most letters of a cluster's name, as in a DNS label.
const MAX_NAME: usize = 63;
/// Lists that are read at a time.
const MAX_READS: usize = 2;
/// Parts of a list that wait to be read.
const WAITING_CHUNKS: usize = 4;
/// How long a client may send nothing.
const IDLE: Duration = Duration::from_secs(20);
/// How long a client may take to send a list.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a list may be.
const FORMS: &str = "send a list with an image a line, or JSON or YAML of Kubernetes objects";

/// Why a request is refused.
type RefusedList = (StatusCode, String);

/// What the route that takes lists shares.
#[derive(Clone, Debug)]
struct Lists {
    app: App,
    reads: Arc<Semaphore>,
}

/// The route that takes lists. It may take longer and read more than the others.
pub(crate) fn lists(app: App) -> Router {
    let reads = Arc::new(Semaphore::new(MAX_READS));
    Router::new()
        .route("/api/v1/coverage/{cluster}", post(receive))
        .layer(middleware::map_response(api::json_error))
        .with_state(Lists { app, reads })
}

/// Lists every cluster, with its counts and the age of its list.
pub(crate) async fn all(State(app): State<App>) -> Response {
    let now = Utc::now().timestamp();
    let clusters = app.board.clusters().all();
    let clusters: Vec<_> = clusters
        .iter()
        .map(|cluster| summary(cluster, now))
        .collect();
    Json(json!({ "clusters": clusters })).into_response()
}

fn summary(cluster: &ClusterStatus, now: i64) -> serde_json::Value {
    json!({
        "cluster": cluster.cluster,
        "received_at": cluster.received_at,
        "age_seconds": (now - cluster.received_at).max(0),
        "images": cluster.images,
        "counts": cluster.counts,
    })
}

/// Returns how it stands with the images of a cluster.
pub(crate) async fn one(State(app): State<App>, Path(cluster): Path<String>) -> Response {
    match app.board.clusters().get(&cluster) {
        Some(status) => Json(&*status).into_response(),
        None => unknown(&cluster),
    }
}

/// Forgets a cluster.
pub(crate) async fn forget(
    State(app): State<App>,
    Path(cluster): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err((status, text)) = api::authorize(&app, &headers) {
        return api::refuse(status, text);
    }
    match app.board.clusters().forget(&cluster).await {
        true => StatusCode::NO_CONTENT.into_response(),
        false => unknown(&cluster),
    }
}

fn unknown(cluster: &str) -> Response {
    let text = format!("cluster `{cluster}` has sent no list");
    api::refuse(StatusCode::NOT_FOUND, &text)
}

/// Takes the list of a cluster: what `transship explain -` reads.
async fn receive(
    State(lists): State<Lists>,
    Path(cluster): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match lists.take(cluster, &headers, body).await {
        Ok(status) => Json(&*status).into_response(),
        Err((status, text)) => api::refuse(status, &text),
    }
}

impl Lists {
    async fn take(
        &self,
        name: String,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Arc<ClusterStatus>, RefusedList> {
        let app = &self.app;
        api::authorize(app, headers).map_err(|(status, text)| (status, text.to_owned()))?;
        if !is_name(&name) {
            let text = "the name of a cluster has 1 to 63 of the letters a-z, 0-9 and -";
            return Err((StatusCode::BAD_REQUEST, text.into()));
        }
        let length = headers.get(CONTENT_LENGTH);
        let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > MAX_LIST_BYTES) {
            return Err(too_large());
        }
        let Ok(_read) = self.reads.try_acquire() else {
            let text = "other lists are being read; send this one again in a minute";
            return Err((StatusCode::SERVICE_UNAVAILABLE, text.into()));
        };
        let inventory = read(body).await?;
        let received_at = Utc::now().timestamp();
        let record = ClusterRecord { name, received_at };
        let config = app.config.load_full();
        let clusters = app.board.clusters();
        let received = clusters.receive(&config, record, inventory).await;
        received.map_err(|error| {
            let status = match error {
                ClusterError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
                ClusterError::TooMany(_) => StatusCode::CONFLICT,
            };
            (status, error.to_string())
        })
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_letter)
}

fn too_large() -> RefusedList {
    let text = "the list is larger than 64 MiB; send only the images: kubectl get pods -A \
                -o jsonpath='{range .items[*].spec.containers[*]}{.image}{\"\\n\"}{end}'";
    (StatusCode::PAYLOAD_TOO_LARGE, text.into())
}

/// Reads a list while it arrives.
async fn read(body: Body) -> Result<Inventory, RefusedList> {
    let (sender, chunks) = mpsc::channel(WAITING_CHUNKS);
    let input = ChunkReader {
        chunks,
        current: Bytes::new(),
        is_complete: false,
    };
    let reading = tokio::task::spawn_blocking(move || inventory::read(input));
    let fed = timeout(PATIENCE, feed(body, sender)).await;
    // Without the rest of the list, the reader ends with an error.
    let read = reading.await;
    fed.unwrap_or_else(|_| {
        let text = "the list took longer than two minutes";
        Err((StatusCode::REQUEST_TIMEOUT, text.into()))
    })?;
    let bad = |text: String| (StatusCode::BAD_REQUEST, text);
    let read = read.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let inventory = read.map_err(|error| bad(format!("{error}; {FORMS}")))?;
    let is_empty = inventory.images().len() == 0;
    match is_empty {
        true => Err(bad(format!("no image in it; {FORMS}"))),
        false => Ok(inventory),
    }
}

/// Hands over a body to the reader, until it ends or the reader needs no more.
async fn feed(body: Body, chunks: mpsc::Sender<Chunk>) -> Result<(), RefusedList> {
    let mut stream = body.into_data_stream();
    let mut total = 0;
    loop {
        let Ok(next) = timeout(IDLE, stream.next()).await else {
            let text = "nothing of the list came for 20 seconds";
            return Err((StatusCode::REQUEST_TIMEOUT, text.into()));
        };
        let chunk = match next {
            None => Chunk::End,
            Some(Ok(bytes)) => Chunk::Bytes(bytes),
            Some(Err(error)) => {
                let text = format!("the list broke off: {error}");
                return Err((StatusCode::BAD_REQUEST, text));
            }
        };
        let is_end = matches!(chunk, Chunk::End);
        if let Chunk::Bytes(bytes) = &chunk {
            total += bytes.len() as u64;
        }
        if total > MAX_LIST_BYTES {
            return Err(too_large());
        }
        if chunks.send(chunk).await.is_err() || is_end {
            return Ok(());
        }
    }
}

/// A part of a list, or its end: a channel that is closed is no end.
enum Chunk {
    Bytes(Bytes),
    End,
}

/// Reads what arrives, on a blocking thread.
struct ChunkReader {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
    is_complete: bool,
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.is_complete {
            match self.chunks.blocking_recv() {
                Some(Chunk::Bytes(bytes)) => self.current = bytes,
                Some(Chunk::End) => self.is_complete = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
