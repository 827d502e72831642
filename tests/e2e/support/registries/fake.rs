//! An in-memory registry inside the test: it checks nothing, records everything and misbehaves when told to.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::sync::watch;

use crate::support::net::server::Server;
use crate::support::registries::client::{Client, USER_AGENT};
use crate::support::registries::fake_answers::refusal;
use crate::support::registries::fake_contents::{Contents, Oddities, Sessions};
use crate::support::registries::fake_tokens::{Habits, Tokens};
use crate::support::registries::faults;
use crate::support::registries::requests::Request;

/// What a rule makes of a request.
pub enum Verdict {
    /// Answer as a registry would.
    Serve,
    /// Answer with this instead.
    Answer(Response<Body>),
    /// Do as a registry would, but answer with this: a proxy that lost the answer.
    ServeBut(Response<Body>),
    /// Answer as a registry would, but not before this moment.
    ServeAt(Instant),
    /// Answer as a registry would, once the gate is open.
    ServeBehind(watch::Receiver<bool>),
}

type RequestRule = Box<dyn FnMut(&Request) -> Verdict + Send>;

#[derive(Default)]
struct State {
    contents: Contents,
    requests: Vec<Request>,
    told: usize,
    rules: Vec<RequestRule>,
    tokens: Option<Tokens>,
}

#[derive(Clone)]
struct Shared {
    host: String,
    state: Arc<Mutex<State>>,
}

/// A running fake; it ends with the value.
pub struct Fake {
    shared: Shared,
    _server: Server,
}

impl Fake {
    pub fn start() -> Self {
        Self::with(Oddities::default())
    }

    pub fn with(oddities: Oddities) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = |host: &str| Shared {
            host: host.to_owned(),
            state: state.clone(),
        };
        let server = Server::start(|host| {
            axum::Router::new()
                .fallback(handle)
                .with_state(shared(host))
        });
        let shared = shared(server.host());
        shared.lock().contents.oddities = oddities;
        Self {
            shared,
            _server: server,
        }
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
    pub fn demand_tokens(&self, habits: Habits) {
        self.shared.lock().tokens = Some(Tokens::new(habits));
    }

    /// What the token server has to tell.
    pub fn tokens<T>(&self, question: impl FnOnce(&Tokens) -> T) -> T {
        let state = self.shared.lock();
        question(state.tokens.as_ref().expect("tokens are demanded"))
    }

    /// Everything it was asked so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Everything since the last call.
    pub fn new_requests(&self) -> Vec<Request> {
        let mut state = self.shared.lock();
        let seen = state.requests.len();
        let told = std::mem::replace(&mut state.told, seen);
        state.requests[told..].to_vec()
    }

    pub fn sessions(&self) -> Sessions {
        self.shared.lock().contents.sessions
    }

    /// Turns the bytes of a blob into others, behind everybody's back.
    pub fn rot_blob(&self, repository: &str, digest: &str) {
        let mut state = self.shared.lock();
        let key = (repository.to_owned(), digest.to_owned());
        let blob = state.contents.blobs.get_mut(&key).expect("it is there");
        *blob = blob.iter().map(|byte| !byte).collect();
    }

    /// Asks what it holds, or changes it, behind everybody's back.
    pub fn contents<T>(&self, question: impl FnOnce(&mut Contents) -> T) -> T {
        question(&mut self.shared.lock().contents)
    }

    /// Every blob that it holds, as `(repository, digest)`.
    pub fn blobs(&self) -> Vec<(String, String)> {
        self.shared.lock().contents.blobs.keys().cloned().collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn handle(
    axum::extract::State(shared): axum::extract::State<Shared>,
    request: axum::extract::Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut seen = seen(&parts);
    let agent = parts.headers.get(header::USER_AGENT);
    let ours = agent.is_some_and(|agent| agent == USER_AGENT);
    let place = (!ours).then(|| shared.record(&seen));
    // A body that ends early is an upload that never was.
    let (body, is_whole) = read(body).await;
    seen.received = body.len();
    let response = match is_whole {
        false => {
            shared.lock().contents.broke_off(&parts, &body);
            refusal(400, "BLOB_UPLOAD_INVALID")
        }
        true if ours => shared.serve(&parts, &seen, body),
        true => shared.respond(&parts, &seen, body).await,
    };
    seen.status = response.status().as_u16();
    if let Some(place) = place {
        shared.lock().requests[place] = seen;
    }
    response
}

/// What comes of a body, and whether that is all of it.
async fn read(body: Body) -> (Bytes, bool) {
    let mut frames = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(frame) = frames.next().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame),
            Err(_) => return (bytes.freeze(), false),
        }
    }
    (bytes.freeze(), true)
}

fn seen(parts: &Parts) -> Request {
    let text = |name| {
        let value: Option<&HeaderValue> = parts.headers.get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        status: 0,
        authorization: text(header::AUTHORIZATION),
        accept: text(header::ACCEPT),
        range: text(header::RANGE).or_else(|| text(header::CONTENT_RANGE)),
        received: 0,
        answered_bytes: 0,
    }
}

impl Shared {
    fn record(&self, request: &Request) -> usize {
        let requests = &mut self.lock().requests;
        requests.push(request.clone());
        requests.len() - 1
    }

    /// Answers a stranger, who needs a token and is subject to the rules.
    async fn respond(&self, parts: &Parts, request: &Request, body: Bytes) -> Response<Body> {
        if let Some(challenge) = self.challenge(request) {
            return challenge;
        }
        match self.judge(request) {
            Verdict::Answer(response) => return response,
            Verdict::ServeBut(response) => {
                self.serve(parts, request, body);
                return response;
            }
            Verdict::ServeAt(moment) => tokio::time::sleep_until(moment.into()).await,
            Verdict::ServeBehind(mut gate) => {
                // A gate that its test has left stays shut no longer.
                let _ = gate.wait_for(|is_open| *is_open).await;
            }
            Verdict::Serve => {}
        }
        self.serve(parts, request, body)
    }

    fn challenge(&self, request: &Request) -> Option<Response<Body>> {
        let mut state = self.lock();
        let tokens = state.tokens.as_mut()?;
        // What is beside the registry knows no tokens.
        let admitted = !request.path.starts_with("/v2/") || tokens.admit(request);
        (!admitted).then(|| tokens.challenge(request, &self.host))
    }

    fn judge(&self, request: &Request) -> Verdict {
        let mut state = self.lock();
        let mut verdicts = state.rules.iter_mut().map(|rule| rule(request));
        let decided = verdicts.find(|verdict| !matches!(verdict, Verdict::Serve));
        decided
            .inspect(|_| faults::injected())
            .unwrap_or(Verdict::Serve)
    }

    fn serve(&self, parts: &Parts, request: &Request, body: Bytes) -> Response<Body> {
        let mut state = self.lock();
        match &mut state.tokens {
            Some(tokens) if request.path == "/token" => {
                tokens.issue(request, &String::from_utf8_lossy(&body))
            }
            _ => state.contents.serve(parts, request, body, &self.host),
        }
    }
}
