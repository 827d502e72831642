//! A registry that has as many repositories as it is asked for, all of them with the same tags: cheap to ask, however large.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, header};
use bytes::Bytes;
use serde_json::json;

use crate::support::net::server::Server;
use crate::support::registries::client::digest_of;
use crate::support::registries::corpus::{Image, OCI_MANIFEST};
use crate::support::registries::fake_answers::{answer, created, parameter, refusal};

/// So many images stand behind the tags.
const IMAGES: usize = 4;

struct ManyContents {
    tags: usize,
    images: Vec<Image>,
    /// What was written, by its path.
    written: Mutex<HashMap<String, Bytes>>,
    /// The tags among it, by their repository.
    listed: Mutex<HashMap<String, BTreeSet<String>>>,
}

/// A running one; it ends with the value.
pub struct Plenty {
    contents: Arc<ManyContents>,
    server: Server,
}

impl Plenty {
    /// With so many tags in each repository; none makes it an empty target.
    pub fn start(tags: usize) -> Self {
        let images = (0..IMAGES).map(|image| Image::without_layers(&format!("image {image}")));
        let contents = Arc::new(ManyContents {
            tags,
            images: images.collect(),
            written: Mutex::default(),
            listed: Mutex::default(),
        });
        let app = axum::Router::new()
            .fallback(handle)
            .with_state(contents.clone());
        Self {
            contents,
            server: Server::start(|_| app),
        }
    }

    pub fn host(&self) -> &str {
        self.server.host()
    }

    /// How many tags were written to it.
    pub fn written_tags(&self) -> usize {
        let listed = self.contents.listed.lock().unwrap();
        listed.values().map(BTreeSet::len).sum()
    }
}

async fn handle(State(contents): State<Arc<ManyContents>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20)
        .await
        .unwrap_or_default();
    let path = parts.uri.path();
    match parts.method {
        Method::POST => accepted(path),
        Method::PUT => contents.write(path, parts.uri.query().unwrap_or_default(), body),
        _ => contents.read(path),
    }
}

/// A session for the bytes of a blob; nothing is ever mounted.
fn accepted(path: &str) -> Response<Body> {
    let location = format!("{}/session", path.trim_end_matches('/'));
    let builder = Response::builder().status(202);
    builder
        .header(header::LOCATION, location)
        .body(Body::empty())
        .unwrap()
}

impl ManyContents {
    fn write(&self, path: &str, query: &str, body: Bytes) -> Response<Body> {
        let digest = digest_of(&body);
        let mut written = self.written.lock().unwrap();
        if let Some((repository, _)) = path.split_once("/blobs/uploads") {
            let named = parameter(query, "digest").unwrap_or_default();
            let path = format!("{repository}/blobs/{named}");
            written.insert(path.clone(), body);
            return created(&path, &named);
        }
        if let Some((repository, reference)) = path.split_once("/manifests/") {
            if !reference.contains(':') {
                let mut listed = self.listed.lock().unwrap();
                let tags = listed.entry(repository.to_owned()).or_default();
                tags.insert(reference.to_owned());
            }
            written.insert(format!("{repository}/manifests/{digest}"), body.clone());
        }
        written.insert(path.to_owned(), body);
        created(path, &digest)
    }

    fn read(&self, path: &str) -> Response<Body> {
        if path == "/v2/" {
            return answer(200, &json!({}));
        }
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return self.list(repository);
        }
        let written = self.written.lock().unwrap().get(path).cloned();
        let Some(bytes) = written.or_else(|| self.made(path)) else {
            return refusal(404, "NOT_FOUND");
        };
        let builder = Response::builder().header(header::CONTENT_LENGTH, bytes.len());
        let builder = match path.contains("/manifests/") {
            true => builder
                .header(header::CONTENT_TYPE, OCI_MANIFEST)
                .header("docker-content-digest", digest_of(&bytes)),
            false => builder,
        };
        builder.body(Body::from(bytes)).unwrap()
    }

    fn list(&self, repository: &str) -> Response<Body> {
        let tags = match self.tags {
            0 => self.listed.lock().unwrap().get(repository).cloned(),
            tags => Some((0..tags).map(|tag| format!("v{tag}")).collect()),
        };
        match tags {
            Some(tags) => answer(200, &json!({ "name": "any", "tags": tags })),
            None => refusal(404, "NAME_UNKNOWN"),
        }
    }

    /// What the source has without anybody having written it.
    fn made(&self, path: &str) -> Option<Bytes> {
        let (rest, reference) = path.rsplit_once('/')?;
        if self.tags == 0 {
            return None;
        }
        if rest.ends_with("/blobs") {
            let mut blobs = self.images.iter().flat_map(|image| &image.blobs);
            return Some(blobs.find(|blob| blob.digest() == reference)?.bytes.clone());
        }
        if let Some(number) = reference.strip_prefix('v') {
            let number: usize = number.parse().ok()?;
            return (number < self.tags).then(|| self.images[number % IMAGES].bytes.clone());
        }
        let mut images = self.images.iter().map(|image| &image.bytes);
        images.find(|bytes| digest_of(bytes) == reference).cloned()
    }
}
