//! A made-up daemon: a config, a store with a history, and a way to ask.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header::ACCEPT_LANGUAGE},
};
use chrono::Utc;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    metrics::Metrics,
    oci::{Digest, Repository},
    registry::{Registries, RetryPolicy},
    status::{RejectedConfig, StatusCache},
    store::{
        ChangeKind, EndedRun, NewChange, RunCounts, RunError, RunResult, Store, StoreEvent,
        StoreWriter, TagKey, TargetCounts, Verdict,
    },
    sync::Sync,
    web::{App, Health, SyncRequest, router},
};

/// What every bench's file begins with.
const DEFAULTS: &str = "timezone = \"Asia/Shanghai\"\n[defaults]\ntarget = \"m.example.com/a\"\n\
                        schedule = \"17 */2 * * *\"\nmax_lag = \"30m\"\n";

/// A daemon without its clockwork.
pub(crate) struct WebBench {
    _folder: tempfile::TempDir,
    pub(crate) app: App,
    pub(crate) orders: mpsc::Receiver<SyncRequest>,
    /// When it was made, in seconds since 1970.
    pub(crate) now: i64,
    recorder: Arc<StoreWriter>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct PageAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A tag of a mirror.
pub(crate) fn key(mirror: &str, source: &str, tag: &str) -> TagKey {
    let source: Repository = source.parse().unwrap();
    TagKey {
        mirror: mirror.into(),
        target: format!("m.example.com/a/{source}").parse().unwrap(),
        tag: tag.parse().unwrap(),
        source_tag: None,
        source,
    }
}

pub(crate) fn digest(content: &str) -> Digest {
    Digest::of(content.as_bytes())
}

impl WebBench {
    /// Nothing was ever run.
    pub(crate) async fn new(entries: &str) -> Self {
        Self::with(&format!("{DEFAULTS}{entries}")).await
    }

    /// The same with a whole file.
    pub(crate) async fn with(file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse(&folder.path().join("mirror.toml"), file);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let stop = CancellationToken::new();
        let opened = Store::open(&folder.path().join("state.db"), stop.clone()).await;
        let (store, recorder) = opened.unwrap();
        let (recorder, metrics) = (Arc::new(recorder), Arc::new(Metrics::new().unwrap()));
        let registries = Registries::new(
            config.registry_settings(),
            metrics.clone(),
            RetryPolicy::default(),
            Vec::new(),
        );
        let (shop, writer, counts) = (store.clone(), recorder.clone(), metrics.clone());
        let sync = Sync::new(
            registries,
            shop,
            writer,
            counts,
            Arc::default(),
            [stop.clone(), stop],
        );
        let (sender, orders) = mpsc::channel(1);
        let app = App {
            board: Arc::new(StatusCache::new(
                store.clone(),
                recorder.clone(),
                metrics.clone(),
            )),
            alarms: Arc::default(),
            coordination: Arc::default(),
            config: Arc::new(ArcSwap::from_pointee(config)),
            sync: Arc::new(sync),
            pulls: Arc::default(),
            health: Arc::new(Health::default()),
            orders: sender,
            store,
            writer: recorder.clone(),
            metrics,
        };
        Self {
            _folder: folder,
            app,
            orders,
            now: Utc::now().timestamp(),
            recorder,
        }
    }

    pub(crate) async fn record(&self, facts: impl IntoIterator<Item = StoreEvent>) {
        for fact in facts {
            self.recorder.record(fact).await;
        }
    }

    /// A tag that was mirrored so many seconds ago.
    pub(crate) async fn mirrored(&self, key: &TagKey, content: &str, ago: i64) {
        let at = self.now - ago;
        let mirrored = StoreEvent::Mirrored {
            key: key.clone(),
            source: digest(content),
            written: digest(&format!("{content}, written")),
            shape: String::new(),
            at,
            is_new: true,
        };
        let sized = StoreEvent::Sized(digest(&format!("{content}, written")), 64 << 20);
        let changed = StoreEvent::Changed(NewChange {
            key: key.clone(),
            kind: ChangeKind::New,
            old: None,
            new: Some(digest(content)),
            at,
        });
        self.record([mirrored, sized, changed]).await;
    }

    /// The source moved on so many seconds ago, and the tag was not copied since.
    pub(crate) async fn moved(&self, key: &TagKey, content: &str, ago: i64, error: Option<&str>) {
        let at = self.now - ago;
        let seen = StoreEvent::Seen {
            key: key.clone(),
            seen: digest(content),
            verdict: Verdict::Differs,
            at,
        };
        let failed = error.map(|message| StoreEvent::Failed {
            key: key.clone(),
            class: "timeout",
            message: message.into(),
            at,
        });
        self.record(std::iter::once(seen).chain(failed)).await;
    }

    /// A run of a minute that began so many seconds ago.
    pub(crate) async fn ran(&self, mirror: &str, ago: i64, result: RunResult, error: &str) {
        self.ran_at("", (mirror, ago), result, error).await;
    }

    /// The same, with an error that a registry gave.
    pub(crate) async fn ran_at(
        &self,
        registry: &str,
        (mirror, ago): (&str, i64),
        result: RunResult,
        error: &str,
    ) {
        let run = self.began(mirror, ago).await;
        let failed = u64::from(result != RunResult::Ok);
        let counts = RunCounts {
            unchanged: 4,
            copied: 1,
            failed,
            uploaded_bytes: 3 << 20,
            ..RunCounts::default()
        };
        let target = TargetCounts {
            registry: "m.example.com".into(),
            unchanged: 4,
            copied: 1,
            failed,
        };
        let ended = StoreEvent::RunEnded(EndedRun {
            run,
            at: self.now - ago + 60,
            result,
            counts,
            targets: vec![target],
            error: (failed > 0).then(|| RunError {
                class: "timeout".into(),
                message: error.into(),
                reference: String::new(),
                registry: registry.into(),
            }),
        });
        self.record([ended]).await;
    }

    /// A run that began that many seconds ago and is running.
    pub(crate) async fn began(&self, mirror: &str, ago: i64) -> i64 {
        let (mirror, at) = (mirror.into(), self.now - ago);
        let run = self.recorder.begin_run(&mirror, None, at);
        run.await.unwrap()
    }

    /// Writes everything down and shows it on the board.
    pub(crate) async fn settle(&self) {
        self.recorder.flush().await;
        assert!(
            self.recorder.failure().is_none(),
            "{:?}",
            self.recorder.failure()
        );
        let config = self.app.config.load();
        self.app.board.keep(&config, self.now).await.unwrap();
    }

    /// Asks for a page, in English.
    /// Sets that the edit of `mirror.toml` is not in force.
    pub(crate) fn reject_config(&self, report: &str) {
        let (summary, report) = (report.to_owned(), report.to_owned());
        let rejected = RejectedConfig { summary, report };
        self.app.board.set_rejected_config(Some(rejected));
    }

    pub(crate) async fn get(&self, uri: &str) -> PageAnswer {
        self.get_in(uri, "en").await
    }

    pub(crate) async fn get_in(&self, uri: &str, language: &str) -> PageAnswer {
        let request = Request::get(uri).header(ACCEPT_LANGUAGE, language);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn ask(&self, method: Method, uri: &str) -> PageAnswer {
        let request = Request::builder().method(method).uri(uri);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> PageAnswer {
        let service = TowerToHyperService::new(router(self.app.clone()));
        let (parts, body) = service.call(request).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        PageAnswer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

impl PageAnswer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The page as its readers see it.
    pub(crate) fn text(&self) -> String {
        visible(&self.body)
    }

    /// Where each of some texts stands in the page; it holds all of them.
    pub(crate) fn places(&self, texts: &[&str]) -> Vec<usize> {
        let text = self.text();
        let place = |sought: &&str| {
            text.find(*sought)
                .unwrap_or_else(|| panic!("no {sought} in {text}"))
        };
        texts.iter().map(place).collect()
    }
}

/// A page without tags, and with single spaces.
pub(crate) fn visible(html: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for c in html.chars() {
        match c {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            c if !is_tag => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Three mirrors: one behind for 72 minutes, one that fails, one in sync.
pub(crate) async fn harbour() -> WebBench {
    let bench = WebBench::new(
        "[[mirror]]\nname = \"monitoring\"\nfrom = \"quay.io/prometheus/prometheus\"\ntags = \"v*\"\n\
         [[mirror]]\nname = \"nginx\"\nfrom = \"docker.io/library/nginx:1.27\"\n\
         [[mirror]]\nname = \"kubernetes\"\nfrom = \"registry.k8s.io/kube-proxy\"\nsemver = \">=1.31\"\n",
    )
    .await;
    let nginx = key("nginx", "docker.io/library/nginx", "1.27");
    bench.mirrored(&nginx, "nginx 1.27", 86_400).await;
    bench.ran("nginx", 725, RunResult::Ok, "").await;
    let proxy = |tag| key("kubernetes", "registry.k8s.io/kube-proxy", tag);
    bench
        .mirrored(&proxy("v1.31.0"), "proxy 1.31", 86_400)
        .await;
    bench
        .mirrored(&proxy("v1.32.0"), "proxy 1.32", 86_400)
        .await;
    bench.ran("kubernetes", 8000, RunResult::Ok, "").await;
    let error = "push blob m.example.com/a/registry.k8s.io/kube-proxy: connection reset by peer";
    bench
        .moved(&proxy("v1.32.0"), "proxy 1.32, again", 4325, Some(error))
        .await;
    bench
        .ran("kubernetes", 4325, RunResult::Partial, error)
        .await;
    let prometheus = key("monitoring", "quay.io/prometheus/prometheus", "v3.0.0");
    bench.mirrored(&prometheus, "prometheus", 3600).await;
    bench.ran("monitoring", 3600, RunResult::Ok, "").await;
    bench
        .ran(
            "monitoring",
            125,
            RunResult::Failed,
            "list tags quay.io/prometheus/prometheus: 502",
        )
        .await;
    bench.settle().await;
    bench
}
