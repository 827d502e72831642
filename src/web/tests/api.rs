use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header::AUTHORIZATION},
};
use tokio::time::timeout;

use crate::{
    sync::Scope,
    web::{
        SyncReply, SyncRequest,
        tests::bench::{PageAnswer, WebBench, harbour},
    },
};

const ENTRIES: &str = "[defaults]\ntarget = \"m.example.com/a\"\n\
                       [[mirror]]\nname = \"nginx\"\nfrom = \"docker.io/library/nginx\"\ntags = \"1.*\"\n";

async fn bench() -> WebBench {
    WebBench::with(&format!(
        "[http]\ntoken = \"open-sesame-0123456789\"\n{ENTRIES}"
    ))
    .await
}

impl WebBench {
    async fn order(&self, token: Option<&str>, body: impl Into<Body>) -> PageAnswer {
        let request = Request::post("/api/v1/sync");
        let request = match token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Orders something, and lets the daemon answer.
    async fn order_and(
        &mut self,
        body: &'static str,
        accepted: SyncReply,
    ) -> (PageAnswer, SyncRequest) {
        let (sender, mut orders) = tokio::sync::mpsc::channel(1);
        let app = self.app.clone();
        self.app.orders = sender;
        let daemon = async {
            let order: SyncRequest = orders.recv().await.unwrap();
            let (reply, _) = tokio::sync::oneshot::channel();
            let kept = SyncRequest {
                reply,
                mirror: order.mirror.clone(),
                scope: order.scope.clone(),
            };
            order.reply.send(accepted).unwrap();
            kept
        };
        let both = async { tokio::join!(self.order(Some("open-sesame-0123456789"), body), daemon) };
        let done = timeout(Duration::from_secs(20), both).await.unwrap();
        self.app = app;
        done
    }
}

#[tokio::test]
async fn sync_requires_token() {
    let bench = bench().await;
    let body = r#"{"mirror": "nginx"}"#;
    for token in [
        None,
        Some("wrong"),
        Some(""),
        Some("open-sesame-0123456789-and-more"),
    ] {
        let refused = bench.order(token, body).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{token:?}");
        assert!(!refused.body.contains("open-sesame-0123456789"));
    }
    let open = WebBench::with(ENTRIES).await;
    let refused = open.order(Some("anything"), body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("set [http] token"));
}

#[tokio::test]
async fn sync_accepts_mirror_or_allowed_image() {
    let mut bench = bench().await;
    let (answer, order) = bench
        .order_and(r#"{"mirror": "nginx"}"#, SyncReply::Started)
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json()["result"], "started");
    assert_eq!((&*order.mirror, order.scope), ("nginx", Scope::Whole));
    let (answer, order) = bench
        .order_and(r#"{"image": "nginx:1.27"}"#, SyncReply::Started)
        .await;
    assert_eq!(answer.json()["mirror"], "nginx");
    let expected = Scope::Image(
        "docker.io/library/nginx".parse().unwrap(),
        "1.27".parse().unwrap(),
    );
    assert_eq!(order.scope, expected);
    let (answer, _) = bench
        .order_and(r#"{"mirror": "nginx"}"#, SyncReply::Running)
        .await;
    assert_eq!(
        (answer.status, answer.json()["result"].clone()),
        (StatusCode::CONFLICT, "running".into())
    );
    let (answer, _) = bench
        .order_and(r#"{"mirror": "nginx"}"#, SyncReply::Refused)
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn invalid_sync_request_is_refused() {
    let bench = bench().await;
    for (body, status, reason) in [
        (
            r#"{"mirror": "apache"}"#,
            StatusCode::NOT_FOUND,
            "there is no mirror `apache`",
        ),
        (
            r#"{"image": "redis:7"}"#,
            StatusCode::NOT_FOUND,
            "no entry of mirror.toml allows redis:7",
        ),
        (
            r#"{"image": "nginx:latest"}"#,
            StatusCode::NOT_FOUND,
            "no entry of mirror.toml allows",
        ),
        (
            r#"{"image": "nginx"}"#,
            StatusCode::BAD_REQUEST,
            "name the image with its tag",
        ),
        (
            r#"{"image": "NGINX:1"}"#,
            StatusCode::BAD_REQUEST,
            "lower case",
        ),
        (
            r#"{"mirror": "nginx", "image": "nginx:1.27"}"#,
            StatusCode::BAD_REQUEST,
            "name either",
        ),
        ("{}", StatusCode::BAD_REQUEST, "name either"),
        ("nginx", StatusCode::BAD_REQUEST, "bad JSON"),
        (r#"{"mirrors": []}"#, StatusCode::BAD_REQUEST, "bad JSON"),
    ] {
        let answer = bench.order(Some("open-sesame-0123456789"), body).await;
        assert_eq!(answer.status, status, "{body}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(reason), "{body}: {error}");
    }
}

#[tokio::test]
async fn large_body_is_refused() {
    let bench = bench().await;
    let body = format!("{{\"mirror\": \"{}\"}}", "x".repeat(65 << 10));
    let answer = bench.order(Some("open-sesame-0123456789"), body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.json()["error"].is_string());
}

#[tokio::test]
async fn api_errors_are_json() {
    let bench = bench().await;
    for (method, uri, status, reason) in [
        (
            Method::GET,
            "/api/v2/status",
            404,
            "nothing at this address",
        ),
        (Method::GET, "/api", 404, "nothing at this address"),
        (Method::DELETE, "/api/v1/runs", 405, "Method Not Allowed"),
        (Method::GET, "/api/v1/sync", 405, "Method Not Allowed"),
        (Method::GET, "/api/v1/runs?limit=many", 400, "limit"),
        (Method::GET, "/api/v1/runs?mirrors=nginx", 400, "mirrors"),
    ] {
        let answer = bench.ask(method, uri).await;
        assert_eq!(answer.status, status, "{uri}");
        assert_eq!(answer.header("content-type"), "application/json", "{uri}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(reason), "{uri}: {error}");
    }
    let refused = bench.ask(Method::DELETE, "/api/v1/runs").await;
    assert_eq!(refused.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn sync_fails_without_daemon() {
    let mut bench = bench().await;
    bench.orders.close();
    let answer = bench
        .order(Some("open-sesame-0123456789"), r#"{"mirror": "nginx"}"#)
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["result"], "refused");
}

#[tokio::test]
async fn api_returns_status() {
    let bench = harbour().await;
    bench.reject_config("unknown key");
    let status = bench.get("/api/v1/status").await.json();
    assert!(status["now"].as_i64().unwrap() >= bench.now);
    let names: Vec<&str> = status["mirrors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["monitoring", "nginx", "kubernetes"]);
    let kubernetes = &status["mirrors"][2];
    assert_eq!(kubernetes["state"], "behind");
    assert_eq!(kubernetes["max_lag_seconds"], 1800);
    assert_eq!(kubernetes["targets"][0]["behind"], 1);
    assert_eq!(kubernetes["runs"].as_array().unwrap().len(), 2);
    assert_eq!(status["config_error"], "unknown key");
    assert_eq!(status["alarms"], serde_json::json!([]));
}

#[tokio::test]
async fn api_returns_runs() {
    let bench = harbour().await;
    let all = bench.get("/api/v1/runs").await.json();
    assert_eq!(all["runs"].as_array().unwrap().len(), 5);
    assert_eq!(all["runs"][0]["mirror"], "monitoring");
    assert_eq!(all["runs"][0]["class"], "timeout");
    let some = bench
        .get("/api/v1/runs?mirror=kubernetes&limit=1")
        .await
        .json();
    assert_eq!(some["runs"].as_array().unwrap().len(), 1);
    assert_eq!(some["runs"][0]["result"], "partial");
    assert_eq!(some["runs"][0]["tags"]["copied"], 1);
    assert_eq!(
        bench.get("/api/v1/runs?limit=x").await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn health_differs_from_readiness() {
    let bench = harbour().await;
    bench.app.health.beat();
    let health = bench.get("/healthz").await;
    assert_eq!((health.status, &*health.body), (StatusCode::OK, "ok\n"));
    assert_eq!(
        bench.get("/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    bench.app.health.ready();
    let ready = bench.get("/readyz").await;
    assert_eq!((ready.status, &*ready.body), (StatusCode::OK, "ok\n"));
    let metrics = bench.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4");
    assert!(metrics.body.contains("transship_"));
}

#[tokio::test]
async fn tunasync_json_has_its_format() {
    let bench = harbour().await;
    let jobs = bench.get("/tunasync.json").await.json();
    let kubernetes = &jobs[2];
    assert_eq!(kubernetes["name"], "kubernetes");
    assert_eq!(kubernetes["status"], "failed");
    assert_eq!(kubernetes["is_master"], true);
    assert_eq!(kubernetes["upstream"], "registry.k8s.io/kube-proxy");
    assert_eq!(kubernetes["size"], "128.00M");
    assert_eq!(kubernetes["last_update_ts"], bench.now - 8000 + 60);
    assert_eq!(kubernetes["last_started_ts"], bench.now - 4325);
    let next = kubernetes["next_schedule_ts"].as_i64().unwrap();
    assert!(next > bench.now && next <= bench.now + 7200 + 60, "{next}");
    assert!(
        kubernetes["last_update"]
            .as_str()
            .unwrap()
            .ends_with(" +0800")
    );
    assert_eq!(jobs[1]["status"], "success");
}
