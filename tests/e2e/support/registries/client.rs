//! A small blocking registry client that puts content in place and reads it back, byte by byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::registries::corpus::Image;

/// How the tests' own requests introduce themselves; registries leave them out of what they report.
pub const USER_AGENT: &str = "e2e-tests";

const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// The sha256 digest of `bytes`, as registries write it.
pub fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// A manifest as a registry served it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub media_type: String,
    pub digest: String,
    pub bytes: Bytes,
}

impl Manifest {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// A client of one registry.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    base: String,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// A client of the registry at `base`, such as `http://127.0.0.1:5000`; certificates are not checked.
    pub fn new(base: &str) -> Self {
        // Whether this call or another test's installed it makes no difference.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .tls_danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            http,
            base: base.to_owned(),
            authorization: None,
        }
    }

    /// The same client with a user name and a password.
    pub fn with_login(mut self, username: &str, password: &str) -> Self {
        let basic = format!(
            "Basic {}",
            STANDARD.encode(format!("{username}:{password}"))
        );
        self.authorization = Some(HeaderValue::from_str(&basic).unwrap());
        self
    }

    /// Pushes an image with its children and blobs, and tags it.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) {
        for child in &image.children {
            self.push(repository, &child.digest(), child);
        }
        for blob in &image.blobs {
            self.put_blob(repository, &blob.bytes);
        }
        self.put_manifest(repository, tag, &image.media_type, &image.bytes);
    }

    pub fn put_blob(&self, repository: &str, bytes: &Bytes) {
        let opened = self.send(
            Method::POST,
            &format!("/v2/{repository}/blobs/uploads/"),
            &[],
            Bytes::new(),
        );
        assert_eq!(
            opened.status,
            StatusCode::ACCEPTED,
            "open an upload in {repository}"
        );
        let location = opened.headers["location"].to_str().unwrap();
        let separator = if location.contains('?') { '&' } else { '?' };
        let location = format!("{location}{separator}digest={}", digest_of(bytes));
        let headers = [("content-type", "application/octet-stream")];
        let done = self.send(Method::PUT, &location, &headers, bytes.clone());
        assert_eq!(
            done.status,
            StatusCode::CREATED,
            "upload a blob to {repository}"
        );
    }

    pub fn put_manifest(&self, repository: &str, reference: &str, media_type: &str, bytes: &Bytes) {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let reply = self.send(
            Method::PUT,
            &path,
            &[("content-type", media_type)],
            bytes.clone(),
        );
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!(
            reply.status,
            StatusCode::CREATED,
            "push {repository} {reference}: {text}"
        );
    }

    /// The manifest under a tag or a digest, if it is there.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Manifest> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let reply = self.send(
            Method::GET,
            &path,
            &[("accept", MANIFEST_TYPES)],
            Bytes::new(),
        );
        if reply.status == StatusCode::NOT_FOUND {
            return None;
        }
        assert_eq!(
            reply.status,
            StatusCode::OK,
            "read {repository} {reference}"
        );
        let media_type = reply.headers["content-type"].to_str().unwrap().to_owned();
        Some(Manifest {
            media_type,
            digest: digest_of(&reply.body),
            bytes: reply.body,
        })
    }

    pub fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let reply = self.send(Method::GET, &path, &[], Bytes::new());
        (reply.status == StatusCode::OK).then_some(reply.body)
    }

    /// The tags of a repository, sorted; none when it is not there.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.list(&format!("/v2/{repository}/tags/list"), "tags")
    }

    /// The repositories of the registry, sorted.
    pub fn repositories(&self) -> Vec<String> {
        self.list("/v2/_catalog", "repositories")
    }

    /// Deletes a manifest and with it every tag that names it.
    pub fn delete_manifest(&self, repository: &str, digest: &str) {
        let path = format!("/v2/{repository}/manifests/{digest}");
        let reply = self.send(Method::DELETE, &path, &[], Bytes::new());
        assert_eq!(
            reply.status,
            StatusCode::ACCEPTED,
            "delete {digest} in {repository}"
        );
    }

    /// Sends a GET of any path, for its trace in the registry's log alone.
    pub fn touch(&self, path: &str) {
        self.send(Method::GET, path, &[], Bytes::new());
    }

    fn list(&self, path: &str, key: &str) -> Vec<String> {
        let reply = self.send(Method::GET, path, &[], Bytes::new());
        if reply.status == StatusCode::NOT_FOUND {
            return Vec::new();
        }
        assert_eq!(reply.status, StatusCode::OK, "list {path}");
        let listing: Value = serde_json::from_slice(&reply.body).unwrap();
        let mut names: Vec<String> =
            serde_json::from_value(listing[key].clone()).unwrap_or_default();
        names.sort();
        names
    }

    fn send(&self, method: Method, location: &str, headers: &[(&str, &str)], body: Bytes) -> Reply {
        let url = match location.starts_with('/') {
            true => format!("{}{location}", self.base),
            false => location.to_owned(),
        };
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        all.extend(
            self.authorization
                .clone()
                .map(|value| (reqwest::header::AUTHORIZATION, value)),
        );
        self.runtime.block_on(async {
            let response = self
                .http
                .request(method, url)
                .headers(all)
                .body(body)
                .send()
                .await
                .unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            Reply {
                status,
                headers,
                body: response.bytes().await.unwrap(),
            }
        })
    }
}

/// Fails the test unless `to:tag` at the target is what `from:tag` at the source is, down to the last blob.
pub fn assert_mirrored(source: &Client, from: &str, target: &Client, to: &str, tag: &str) {
    let expected = source
        .manifest(from, tag)
        .unwrap_or_else(|| panic!("the source holds no {from} {tag}"));
    let found = target
        .manifest(to, tag)
        .unwrap_or_else(|| panic!("the target holds no {to} {tag}"));
    assert_eq!(found, expected, "{to} {tag} differs from {from} {tag}");
    let manifest = expected.json();
    for child in manifest["manifests"].as_array().into_iter().flatten() {
        assert_mirrored(source, from, target, to, child["digest"].as_str().unwrap());
    }
    let layers = manifest["layers"].as_array().into_iter().flatten();
    for descriptor in layers.chain(manifest.get("config")) {
        let digest = descriptor["digest"].as_str().unwrap();
        let blob = target
            .blob(to, digest)
            .unwrap_or_else(|| panic!("the target holds no blob {digest} in {to}"));
        assert_eq!(
            digest_of(&blob),
            digest,
            "a blob of {to} {tag} has other bytes"
        );
        assert_eq!(Some(blob), source.blob(from, digest));
    }
}
