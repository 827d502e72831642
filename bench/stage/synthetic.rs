//! A registry in the memory of the benchmark, over plain HTTP: it holds more tags than a real one can be filled with in
//! reasonable time, and answers so fast that it limits nobody.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::net::server::Server;
use crate::support::registries::client::digest_of;
use crate::support::registries::corpus::OCI_MANIFEST;
use crate::support::registries::fake_answers::{answer, created, parameter, refusal};

/// Most bytes of a body.
const BODY: usize = 4 << 20;

type SharedContents = Arc<Mutex<SyntheticContents>>;

#[derive(Default)]
struct SyntheticContents {
    requests: usize,
    blobs: HashMap<String, Bytes>,
    /// By repository and tag or digest.
    manifests: HashMap<String, Bytes>,
    tags: HashMap<String, BTreeSet<String>>,
}

/// A running one; it ends with the value.
pub struct Synthetic {
    contents: SharedContents,
    server: Server,
}

impl Synthetic {
    pub fn start() -> Self {
        let contents = SharedContents::default();
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

    /// Lets a tag be an image of one small blob, the config, which follows from these names.
    pub fn put_image(&self, repository: &str, tag: &str, generation: usize) {
        let config = json!({
            "os": "linux", "architecture": "amd64", "rootfs": { "type": "layers", "diff_ids": [] },
            "config": { "Labels": { "name": format!("{repository}:{tag} {generation}") } },
        });
        let config = Bytes::from(config.to_string());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_of(&config), "size": config.len(),
            },
        });
        let mut contents = lock(&self.contents);
        contents.blobs.insert(digest_of(&config), config);
        contents.write_manifest(repository, tag, manifest.to_string().into());
    }

    /// How many tags of `bench/` have the same manifest below `mirror/` at the target.
    pub fn count_same(&self, target: &Self) -> usize {
        let (own, there) = (lock(&self.contents), lock(&target.contents));
        let names = own.manifests.iter().filter(|(name, _)| !name.contains('@'));
        names
            .filter(|(name, bytes)| {
                let copy = name.replacen("bench/", "mirror/", 1);
                there.manifests.get(&copy) == Some(*bytes)
            })
            .count()
    }
}

fn lock(contents: &SharedContents) -> MutexGuard<'_, SyntheticContents> {
    contents.lock().unwrap()
}

async fn handle(State(contents): State<SharedContents>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY).await.unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let path = parts.uri.path().trim_start_matches("/v2/").to_owned();
    let mut contents = lock(&contents);
    contents.requests += 1;
    match parts.method {
        Method::POST => contents.open(&path, query),
        Method::PUT => contents.write(&path, query, body),
        _ => contents.read(&path),
    }
}

impl SyntheticContents {
    /// Opens a session for the bytes of a blob, or mounts a blob that any repository has.
    fn open(&self, path: &str, query: &str) -> Response<Body> {
        let mounted = parameter(query, "mount").filter(|digest| self.blobs.contains_key(digest));
        if let Some(digest) = mounted {
            return created(path, &digest);
        }
        Response::builder()
            .status(StatusCode::ACCEPTED)
            .header(
                header::LOCATION,
                format!("/v2/{}/session", path.trim_end_matches('/')),
            )
            .body(Body::empty())
            .unwrap()
    }

    fn write(&mut self, path: &str, query: &str, body: Bytes) -> Response<Body> {
        let digest = digest_of(&body);
        match path.split_once("/manifests/") {
            Some((repository, reference)) => self.write_manifest(repository, reference, body),
            None => drop(self.blobs.insert(digest.clone(), body)),
        }
        match parameter(query, "digest").is_none_or(|named| named == digest) {
            true => created(path, &digest),
            false => refusal(400, "DIGEST_INVALID"),
        }
    }

    fn write_manifest(&mut self, repository: &str, reference: &str, body: Bytes) {
        let by_digest = format!("{repository}@{}", digest_of(&body));
        self.manifests.insert(by_digest, body.clone());
        if !reference.contains(':') {
            let tags = self.tags.entry(repository.to_owned()).or_default();
            tags.insert(reference.to_owned());
            self.manifests
                .insert(format!("{repository}:{reference}"), body);
        }
    }

    fn read(&self, path: &str) -> Response<Body> {
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return match self.tags.get(repository) {
                Some(tags) => answer(200, &json!({ "name": repository, "tags": tags })),
                None => refusal(404, "NAME_UNKNOWN"),
            };
        }
        if let Some((_, digest)) = path.split_once("/blobs/") {
            return match self.blobs.get(digest) {
                Some(bytes) => found(bytes, "application/octet-stream"),
                None => refusal(404, "BLOB_UNKNOWN"),
            };
        }
        let Some((repository, reference)) = path.split_once("/manifests/") else {
            return answer(200, &Value::Null);
        };
        let separator = if reference.contains(':') { '@' } else { ':' };
        match self
            .manifests
            .get(&format!("{repository}{separator}{reference}"))
        {
            Some(bytes) => found(bytes, OCI_MANIFEST),
            None => refusal(404, "MANIFEST_UNKNOWN"),
        }
    }
}

fn found(bytes: &Bytes, media_type: &str) -> Response<Body> {
    Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(header::CONTENT_LENGTH, bytes.len())
        .header("docker-content-digest", digest_of(bytes))
        .body(Body::from(bytes.clone()))
        .unwrap()
}
