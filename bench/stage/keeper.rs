//! A target that keeps what arrives of a request that breaks, as the distribution specification has it: distribution 2
//! does not. It hashes blobs and holds none of their bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::support::net::server::Server;
use crate::support::registries::client::digest_of;

type Shared = Arc<Mutex<KeeperContents>>;

#[derive(Default)]
struct KeeperContents {
    requests: usize,
    sessions: HashMap<String, Session>,
    blobs: Vec<String>,
    /// By repository and tag or digest.
    manifests: HashMap<String, (String, Bytes)>,
}

#[derive(Clone, Default)]
struct Session {
    length: u64,
    hash: Sha256,
}

/// A running one; it ends with the value.
pub struct Keeper {
    contents: Shared,
    server: Server,
}

impl Keeper {
    pub fn start() -> Self {
        let contents = Shared::default();
        let app = Router::new().fallback(handle).with_state(contents.clone());
        Self {
            contents,
            server: Server::start(|_| app),
        }
    }

    pub fn host(&self) -> &str {
        self.server.host()
    }

    /// Requests since the last call.
    pub fn new_requests(&self) -> usize {
        std::mem::take(&mut lock(&self.contents).requests)
    }
}

fn lock(contents: &Shared) -> MutexGuard<'_, KeeperContents> {
    contents.lock().unwrap()
}

async fn handle(State(contents): State<Shared>, request: Request) -> Response<Body> {
    lock(&contents).requests += 1;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches("/v2/").to_owned();
    let query = parts.uri.query().unwrap_or_default();
    if let Some((repository, session)) = path.split_once("/blobs/uploads/") {
        return upload(&contents, &parts.method, (repository, session), query, body).await;
    }
    if let Some((_, digest)) = path.split_once("/blobs/") {
        let is_held = lock(&contents).blobs.iter().any(|held| held == digest);
        return answer(if is_held { 200 } else { 404 });
    }
    let Some((repository, reference)) = path.split_once("/manifests/") else {
        let is_list = path.ends_with("/tags/list");
        return answer(if is_list { 404 } else { 200 });
    };
    if parts.method == Method::PUT {
        let media_type = parts.headers[header::CONTENT_TYPE].to_str().unwrap();
        let bytes = axum::body::to_bytes(body, 4 << 20).await.unwrap();
        let (digest, mut contents) = (digest_of(&bytes), lock(&contents));
        for name in [reference, &digest] {
            let manifest = (media_type.to_owned(), bytes.clone());
            contents
                .manifests
                .insert(format!("{repository}:{name}"), manifest);
        }
        return answer(201);
    }
    let key = format!("{repository}:{reference}");
    match lock(&contents).manifests.get(&key) {
        None => answer(404),
        Some((media_type, bytes)) => Response::builder()
            .header(header::CONTENT_TYPE, media_type)
            .header(header::CONTENT_LENGTH, bytes.len())
            .header("docker-content-digest", digest_of(bytes))
            .body(Body::from(bytes.clone()))
            .unwrap(),
    }
}

async fn upload(
    contents: &Shared,
    method: &Method,
    (repository, session): (&str, &str),
    query: &str,
    body: Body,
) -> Response<Body> {
    let name = match *method {
        Method::POST => format!("s{}", fastrand::u64(..)),
        _ => session.to_owned(),
    };
    let known = lock(contents).sessions.get(&name).cloned();
    if known.is_none() && *method != Method::POST {
        return answer(404);
    }
    let mut upload = known.unwrap_or_default();
    let mut frames = body.into_data_stream();
    while let Some(Ok(frame)) = frames.next().await {
        upload.hash.update(&frame);
        upload.length += frame.len() as u64;
    }
    lock(contents).sessions.insert(name.clone(), upload.clone());
    if *method == Method::PUT {
        return complete(contents, &name, upload, query);
    }
    Response::builder()
        .status(StatusCode::ACCEPTED)
        .header(
            header::LOCATION,
            format!("/v2/{repository}/blobs/uploads/{name}"),
        )
        .header(
            header::RANGE,
            format!("0-{}", upload.length.saturating_sub(1)),
        )
        .body(Body::empty())
        .unwrap()
}

fn complete(contents: &Shared, name: &str, upload: Session, query: &str) -> Response<Body> {
    let hex: String = upload
        .hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let digest = format!("sha256:{hex}");
    if !query.replace("%3A", ":").contains(&digest) {
        return answer(400);
    }
    let mut contents = lock(contents);
    contents.sessions.remove(name);
    contents.blobs.push(digest);
    answer(201)
}

fn answer(status: u16) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}
