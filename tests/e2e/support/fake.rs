//! An in-memory registry inside the test: it checks nothing, records everything and misbehaves when told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::json;

use super::client::{Client, USER_AGENT, digest_of};
use super::fake_tokens::Tokens;
use super::requests::Request;

/// What a rule makes of a request.
pub enum Verdict {
    /// Answer as a registry would.
    Serve,
    /// Answer with this instead.
    Answer(Response<Body>),
    /// Answer as a registry would, but not before this moment.
    ServeAt(Instant),
}

type Rule = Box<dyn FnMut(&Request) -> Verdict + Send>;

/// How a listing names its next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Relative,
    Absolute,
    /// Always the page that it stands on.
    Loop,
    /// The next page, at a host that is somebody else's.
    OtherHost,
}

/// The ways in which it is not like a well-behaved registry.
#[derive(Default)]
pub struct Oddities {
    /// Tags a page, and how the next page is named.
    pub pages: Option<(usize, Link)>,
    /// Answers without `Docker-Content-Digest`.
    pub no_digest_header: bool,
    /// A mount is answered with 202 and an upload session.
    pub mounts_become_uploads: bool,
    /// The host that `Link::OtherHost` names.
    pub other_host: String,
}

#[derive(Default)]
struct Contents {
    blobs: BTreeMap<(String, String), Bytes>,
    manifests: BTreeMap<(String, String), (String, Bytes)>,
    uploads: BTreeMap<String, Vec<u8>>,
    sessions: Sessions,
    requests: Vec<Request>,
    rules: Vec<Rule>,
    oddities: Oddities,
    tokens: Option<Tokens>,
}

/// How many upload sessions were opened, and how many of them became a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    pub opened: usize,
    pub completed: usize,
}

#[derive(Clone)]
struct Shared {
    host: String,
    contents: Arc<Mutex<Contents>>,
}

/// A running fake; it ends with the value.
pub struct Fake {
    shared: Shared,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Fake {
    pub fn start() -> Self {
        Self::with(Oddities::default())
    }

    pub fn with(oddities: Oddities) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let contents = Contents { oddities, ..Contents::default() };
        let shared = Shared { host, contents: Arc::new(Mutex::new(contents)) };
        let app = axum::Router::new().fallback(handle).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { shared, runtime: Some(runtime) }
    }

    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// A client that is neither recorded nor asked for tokens nor subject to rules.
    pub fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.shared.host))
    }

    /// Puts a rule over every request from now on; the first rule that does not say `Serve` decides.
    pub fn rule(&self, rule: impl FnMut(&Request) -> Verdict + Send + 'static) {
        self.shared.lock().rules.push(Box::new(rule));
    }

    /// Demands bearer tokens from now on.
    pub fn demand_tokens(&self, tokens: Tokens) {
        self.shared.lock().tokens = Some(tokens);
    }

    /// What the token server has to tell.
    pub fn tokens<T>(&self, question: impl FnOnce(&Tokens) -> T) -> T {
        question(self.shared.lock().tokens.as_ref().expect("tokens are demanded"))
    }

    /// Everything it was asked so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Everything since the last call.
    pub fn new_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.lock().requests)
    }

    pub fn sessions(&self) -> Sessions {
        self.shared.lock().sessions
    }

    /// Every blob that it holds, as `(repository, digest)`.
    pub fn blobs(&self) -> Vec<(String, String)> {
        self.shared.lock().blobs.keys().cloned().collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A short answer with a body of JSON.
pub fn answer(status: u16, body: &serde_json::Value) -> Response<Body> {
    let builder = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    builder.body(Body::from(body.to_string())).unwrap()
}

/// An answer in the form of the distribution specification's errors.
pub fn refusal(status: u16, code: &str) -> Response<Body> {
    answer(status, &json!({ "errors": [{ "code": code, "message": code.to_lowercase() }] }))
}

/// A 200 that promises all of `bytes` and breaks the connection after half of them.
pub fn truncated(bytes: &Bytes) -> Response<Body> {
    let half = bytes.slice(..bytes.len() / 2);
    let broken = std::io::Error::other("the connection breaks here");
    let frames = futures::stream::iter([Ok(half), Err(broken)]);
    Response::builder().header(header::CONTENT_LENGTH, bytes.len()).body(Body::from_stream(frames)).unwrap()
}

async fn handle(State(shared): State<Shared>, request: axum::extract::Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let ours = parts.headers.get(header::USER_AGENT).is_some_and(|agent| agent == USER_AGENT);
    let mut seen = Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        status: 0,
        authorization: parts.headers.get(header::AUTHORIZATION).map(|v| v.to_str().unwrap().to_owned()),
    };
    let place = if ours { None } else { Some(shared.record(&seen)) };
    // A body that ends early is an upload that never was.
    let response = match to_bytes(body, usize::MAX).await {
        Err(_) => refusal(400, "BLOB_UPLOAD_INVALID"),
        Ok(_) if !ours && shared.refuses(&seen) => shared.lock().tokens.as_mut().unwrap().challenge(&seen, &shared.host),
        Ok(body) => match if ours { Verdict::Serve } else { shared.judge(&seen) } {
            Verdict::Answer(response) => response,
            Verdict::Serve => shared.serve(&parts.method, &seen, &parts.headers, body),
            Verdict::ServeAt(moment) => {
                tokio::time::sleep_until(moment.into()).await;
                shared.serve(&parts.method, &seen, &parts.headers, body)
            }
        },
    };
    seen.status = response.status().as_u16();
    if let Some(place) = place
        && let Some(recorded) = shared.lock().requests.get_mut(place)
    {
        *recorded = seen;
    }
    response
}

impl Shared {
    fn record(&self, request: &Request) -> usize {
        let requests = &mut self.lock().requests;
        requests.push(request.clone());
        requests.len() - 1
    }

    fn refuses(&self, request: &Request) -> bool {
        request.path != "/token" && self.lock().tokens.as_mut().is_some_and(|tokens| !tokens.admit(request))
    }

    fn judge(&self, request: &Request) -> Verdict {
        let mut contents = self.lock();
        let verdicts = contents.rules.iter_mut().map(|rule| rule(request));
        verdicts.into_iter().find(|verdict| !matches!(verdict, Verdict::Serve)).unwrap_or(Verdict::Serve)
    }

    fn serve(&self, method: &Method, request: &Request, headers: &HeaderMap, body: Bytes) -> Response<Body> {
        let mut contents = self.lock();
        if request.path == "/token" {
            return contents.tokens.as_mut().map_or_else(|| refusal(404, "NOT_FOUND"), |tokens| tokens.issue(request));
        }
        let Some(path) = request.path.strip_prefix("/v2/") else { return refusal(404, "NOT_FOUND") };
        let reading = matches!(*method, Method::GET | Method::HEAD);
        if path.is_empty() {
            answer(200, &json!({}))
        } else if let Some(repository) = path.strip_suffix("/tags/list") {
            contents.tag_list(repository, &request.query, &self.host)
        } else if let Some((repository, reference)) = path.split_once("/manifests/") {
            match reading {
                true => contents.read_manifest(repository, reference),
                false => contents.write_manifest(repository, reference, headers, body),
            }
        } else if let Some((repository, session)) = path.split_once("/blobs/uploads") {
            contents.upload(method, repository, session.trim_start_matches('/'), &request.query, &body)
        } else if let Some((repository, digest)) = path.split_once("/blobs/") {
            contents.read_blob(repository, digest, headers)
        } else {
            refusal(404, "NOT_FOUND")
        }
    }
}

impl Contents {
    fn tag_list(&self, repository: &str, query: &str, host: &str) -> Response<Body> {
        let of_repository = self.manifests.keys().filter(|(name, _)| name == repository);
        let tags: Vec<_> = of_repository.map(|(_, reference)| reference).filter(|name| !name.contains(':')).collect();
        if tags.is_empty() {
            return refusal(404, "NAME_UNKNOWN");
        }
        let last = parameter(query, "last").unwrap_or_default();
        let (size, link) = self.oddities.pages.unwrap_or((usize::MAX, Link::Relative));
        let later: Vec<_> = tags.into_iter().filter(|tag| **tag > last).collect();
        let page: Vec<_> = later.iter().take(size).collect();
        let mut response = answer(200, &json!({ "name": repository, "tags": page }));
        if later.len() > page.len() || link == Link::Loop {
            let last = if link == Link::Loop { last.as_str() } else { page[page.len() - 1] };
            let next = format!("/v2/{repository}/tags/list?last={last}&n={size}");
            let base = match link {
                Link::Relative => String::new(),
                Link::Absolute | Link::Loop => format!("http://{host}"),
                Link::OtherHost => format!("http://{}", self.oddities.other_host),
            };
            response.headers_mut().insert(header::LINK, format!("<{base}{next}>; rel=\"next\"").parse().unwrap());
        }
        response
    }

    fn read_manifest(&self, repository: &str, reference: &str) -> Response<Body> {
        let Some((media_type, bytes)) = self.manifests.get(&(repository.to_owned(), reference.to_owned())) else {
            return refusal(404, "MANIFEST_UNKNOWN");
        };
        let mut builder = Response::builder().header(header::CONTENT_TYPE, media_type);
        if !self.oddities.no_digest_header {
            builder = builder.header("docker-content-digest", digest_of(bytes));
        }
        // Hyper sends no body in answer to a HEAD, but its length.
        builder.header(header::CONTENT_LENGTH, bytes.len()).body(Body::from(bytes.clone())).unwrap()
    }

    fn write_manifest(&mut self, repository: &str, reference: &str, headers: &HeaderMap, body: Bytes) -> Response<Body> {
        let media_type = headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let digest = digest_of(&body);
        for name in [digest.as_str(), reference] {
            self.manifests.insert((repository.to_owned(), name.to_owned()), (media_type.clone(), body.clone()));
        }
        created(&format!("/v2/{repository}/manifests/{digest}"), &digest)
    }

    fn read_blob(&self, repository: &str, digest: &str, headers: &HeaderMap) -> Response<Body> {
        let Some(bytes) = self.blobs.get(&(repository.to_owned(), digest.to_owned())) else {
            return refusal(404, "BLOB_UNKNOWN");
        };
        let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
        let from = range.and_then(|range| range.split('-').next()?.parse::<usize>().ok());
        match from.filter(|from| *from < bytes.len()) {
            None => Response::new(Body::from(bytes.clone())),
            Some(from) => Response::builder()
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()))
                .body(Body::from(bytes.slice(from..)))
                .unwrap(),
        }
    }

    fn upload(&mut self, method: &Method, repository: &str, session: &str, query: &str, body: &Bytes) -> Response<Body> {
        match *method {
            Method::POST => self.open_upload(repository, query),
            Method::PATCH => self.append(repository, session, body),
            Method::PUT => self.complete(repository, session, query, body),
            Method::DELETE => {
                self.uploads.remove(session);
                Response::builder().status(StatusCode::NO_CONTENT).body(Body::empty()).unwrap()
            }
            _ => self.append(repository, session, &Bytes::new()),
        }
    }

    fn open_upload(&mut self, repository: &str, query: &str) -> Response<Body> {
        let (digest, from) = (parameter(query, "mount"), parameter(query, "from"));
        if let (Some(digest), Some(from), false) = (digest, from, self.oddities.mounts_become_uploads)
            && let Some(bytes) = self.blobs.get(&(from, digest.clone())).cloned()
        {
            self.blobs.insert((repository.to_owned(), digest.clone()), bytes);
            return created(&format!("/v2/{repository}/blobs/{digest}"), &digest);
        }
        self.sessions.opened += 1;
        let session = format!("session-{}", self.sessions.opened);
        self.uploads.insert(session.clone(), Vec::new());
        self.append(repository, &session, &Bytes::new())
    }

    fn append(&mut self, repository: &str, session: &str, body: &Bytes) -> Response<Body> {
        let Some(upload) = self.uploads.get_mut(session) else { return refusal(404, "BLOB_UPLOAD_UNKNOWN") };
        upload.extend_from_slice(body);
        Response::builder()
            .status(StatusCode::ACCEPTED)
            .header(header::LOCATION, format!("/v2/{repository}/blobs/uploads/{session}"))
            .header("docker-upload-uuid", session)
            .header(header::RANGE, format!("0-{}", upload.len().saturating_sub(1)))
            .body(Body::empty())
            .unwrap()
    }

    fn complete(&mut self, repository: &str, session: &str, query: &str, body: &Bytes) -> Response<Body> {
        let Some(mut upload) = self.uploads.remove(session) else { return refusal(404, "BLOB_UPLOAD_UNKNOWN") };
        let Some(digest) = parameter(query, "digest") else { return refusal(400, "DIGEST_INVALID") };
        upload.extend_from_slice(body);
        self.sessions.completed += 1;
        self.blobs.insert((repository.to_owned(), digest.clone()), upload.into());
        created(&format!("/v2/{repository}/blobs/{digest}"), &digest)
    }
}

fn created(location: &str, digest: &str) -> Response<Body> {
    let builder = Response::builder().status(StatusCode::CREATED).header(header::LOCATION, location);
    builder.header("docker-content-digest", digest).body(Body::empty()).unwrap()
}

/// The decoded value of a parameter in a query.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
