//! A daemon whose gateway stands between a fake upstream and a real target, and a client of it.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::support::programs::daemon::Daemon;
use crate::support::programs::transship::Transship;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Fake;
use crate::support::registries::registry::Registry;

const PULLS: &str = "pulls are answered on ";

/// `mirror.toml` of a gateway with these keys: `app` is mirrored, and everything else of the source
/// may be pulled.
pub fn gateway_toml(keys: &str, target_keys: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\nregistry = \"SOURCE\"\n{keys}\n\n\
         [registries.\"SOURCE\"]\nplain_http = true\nstall = \"5s\"\n\n\
         [registries.\"TARGET\"]\nplain_http = true\n{target_keys}\n\n\
         [defaults]\ntarget = \"TARGET/mirror\"\npath = \"{{repository}}\"\n\
         schedule = \"0 0 1 1 *\"\njitter = \"0s\"\n\n\
         [[mirror]]\nname = \"app\"\nfrom = \"SOURCE/app\"\ntags = \"*\"\nmin_tags = 0\n"
    )
}

/// The keys that let everything of the source through.
pub const OPEN: &str = "allow = [\"SOURCE/**\"]\ntarget = \"TARGET/cache\"";

/// An upstream, a target, and the daemon between them.
pub struct GatewayStage {
    pub source: Fake,
    pub target: Registry,
    pub transship: Transship,
    pub daemon: Option<Daemon>,
    pub client: PullClient,
}

impl GatewayStage {
    /// A gateway with these keys, after the source was filled and `app` is mirrored.
    pub fn start(keys: &str, fill: impl FnOnce(&Fake)) -> Self {
        Self::with(keys, "", fill)
    }

    /// The same with keys for the source.
    pub fn with_source(keys: &str, source_keys: &str) -> Self {
        let stall = "stall = \"5s\"";
        Self::of(
            keys,
            "",
            |_| {},
            |text| text.replace(stall, &format!("{stall}\n{source_keys}")),
        )
    }

    /// The same with keys for the target.
    pub fn with(keys: &str, target_keys: &str, fill: impl FnOnce(&Fake)) -> Self {
        Self::of(keys, target_keys, fill, |text| text)
    }

    fn of(
        keys: &str,
        target_keys: &str,
        fill: impl FnOnce(&Fake),
        edit: impl FnOnce(String) -> String,
    ) -> Self {
        let text = edit(gateway_toml(keys, target_keys));
        Self::configured(&text, |source, _| fill(source))
    }

    /// The same with this `mirror.toml`, once what the daemon runs in is prepared.
    pub fn configured(text: &str, prepare: impl FnOnce(&Fake, &mut Transship)) -> Self {
        let (source, target) = (Fake::start(), Registry::start());
        source.client().push("app", "v1", &Image::oci("app"));
        let text = text.replace("SOURCE", source.host());
        let mut transship = Transship::new(&text.replace("TARGET", target.host()));
        prepare(&source, &mut transship);
        let mut stage = Self {
            source,
            target,
            transship,
            daemon: None,
            client: PullClient::new(),
        };
        stage.serve();
        stage.daemon().until_true("app to be mirrored", |daemon| {
            !daemon.status()["mirrors"][0]["last_success"].is_null()
        });
        stage.source.new_requests();
        stage.target.new_requests();
        stage
    }

    /// Starts the daemon, once more if it was killed.
    pub fn serve(&mut self) {
        let daemon = Daemon::start(&self.transship);
        let log = daemon.log();
        let rest = log.split_once(PULLS).expect("the gateway listens").1;
        let address = rest.split_whitespace().next().unwrap().to_owned();
        self.client.base = format!("http://{address}");
        self.daemon = Some(daemon);
    }

    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the daemon runs")
    }

    /// `127.0.0.1:PORT` of the gateway.
    pub fn address(&self) -> &str {
        self.client.base.strip_prefix("http://").unwrap()
    }

    /// Waits until the target has a tag.
    #[track_caller]
    pub fn until_mirrored(&self, repository: &str, tag: &str) {
        let to = self.target.client();
        self.daemon().until_true("the image to be mirrored", |_| {
            to.manifest(repository, tag).is_some()
        });
    }

    /// How often pulls ended so.
    pub fn pulls(&self, kind: &str, outcome: &str) -> f64 {
        let labels = [("kind", kind), ("outcome", outcome)];
        let metrics = self.daemon().metrics();
        metrics
            .find("transship_gateway_requests_total", &labels)
            .unwrap_or_default()
    }
}

/// What a client was answered.
#[derive(Clone, Debug)]
pub struct PullReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the connection broke before the end of the body.
    pub is_broken: bool,
}

impl PullReply {
    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The first error's code and message.
    pub fn error(&self) -> (String, String) {
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("errors are JSON");
        let text = |key: &str| body["errors"][0][key].as_str().unwrap().to_owned();
        (text("code"), text("message"))
    }
}

/// A client that pulls, as many at a time as a test wants.
pub struct PullClient {
    pub base: String,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl PullClient {
    fn new() -> Self {
        // Whether this call or another test's installed it makes no difference.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        Self {
            base: String::new(),
            http: client.timeout(Duration::from_secs(90)).build().unwrap(),
            runtime: runtime.unwrap(),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.base);
        let request = self.http.request(method, url);
        headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
    }

    fn open(&self, path: &str) -> reqwest::Response {
        let request = self.request(Method::GET, path, &[]);
        self.runtime
            .block_on(async { request.send().await })
            .unwrap()
    }

    pub fn get(&self, path: &str) -> PullReply {
        self.ask(Method::GET, path, &[])
    }

    pub fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> PullReply {
        self.runtime
            .block_on(answered(self.request(method, path, headers)))
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> PullReply {
        let request = self.request(Method::POST, path, headers);
        self.runtime
            .block_on(answered(request.body(body.to_owned())))
    }

    /// Asks for the same this many times at once.
    pub fn herd(&self, count: usize, path: &str) -> Vec<PullReply> {
        let asks = (0..count).map(|_| answered(self.request(Method::GET, path, &[])));
        let asks: Vec<_> = asks.map(|ask| self.runtime.spawn(ask)).collect();
        self.runtime.block_on(async {
            let mut replies = Vec::new();
            for ask in asks {
                replies.push(ask.await.unwrap());
            }
            replies
        })
    }

    /// Reads the first bytes of a body, does something else, and reads the rest.
    pub fn pausing(&self, path: &str, pause: impl FnOnce()) -> PullReply {
        let response = self.open(path);
        let (status, headers) = (response.status(), response.headers().clone());
        let mut frames = response.bytes_stream();
        let mut body = Vec::new();
        body.extend(self.runtime.block_on(frames.next()).unwrap().unwrap());
        pause();
        let mut is_broken = false;
        while let Some(frame) = self.runtime.block_on(frames.next()) {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame),
                Err(_) => is_broken = true,
            }
        }
        PullReply {
            status,
            headers,
            body: body.into(),
            is_broken,
        }
    }

    /// Reads the first bytes of a body and goes away.
    pub fn leave(&self, path: &str) {
        let response = self.open(path);
        let mut frames = response.bytes_stream();
        self.runtime.block_on(frames.next()).unwrap().unwrap();
    }
}

async fn answered(request: reqwest::RequestBuilder) -> PullReply {
    let response = request.send().await.expect("the gateway answers");
    let (status, headers) = (response.status(), response.headers().clone());
    let mut frames = response.bytes_stream();
    let (mut body, mut is_broken) = (Vec::new(), false);
    while let Some(frame) = frames.next().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame),
            Err(_) => {
                is_broken = true;
                break;
            }
        }
    }
    PullReply {
        status,
        headers,
        body: body.into(),
        is_broken,
    }
}
