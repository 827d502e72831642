use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header::AUTHORIZATION},
};
use futures::stream;

use crate::web::tests::bench::{PageAnswer, WebBench};

const TOKEN: &str = "open-sesame-0123456789";
const LIST: &str = "quay.io/acme/web:1\n";

async fn bench() -> WebBench {
    WebBench::with(&format!(
        "[http]\ntoken = \"{TOKEN}\"\n[[mirror]]\nfrom = \"quay.io/acme/db:1\"\n\
         target = \"m.example.com/a\"\n"
    ))
    .await
}

impl WebBench {
    async fn send_list(&self, cluster: &str, token: &str, body: impl Into<Body>) -> PageAnswer {
        let path = format!("/api/v1/coverage/{cluster}");
        let request = Request::post(path).header(AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Nothing of a refused list is kept, neither here nor in the store.
    async fn expect_nothing_kept(&self) {
        assert_eq!(self.app.store.clusters().await.unwrap(), []);
        let listed = Request::get("/api/v1/coverage").body(Body::empty());
        let listed = self.send(listed.unwrap()).await;
        assert_eq!(listed.json()["clusters"], serde_json::json!([]));
    }

    async fn expect_refused(&self, answer: PageAnswer, status: StatusCode, reason: &str) {
        assert_eq!(answer.status, status, "{answer:?}");
        let error = answer.json()["error"].to_string();
        assert!(error.contains(reason), "{error}");
        self.expect_nothing_kept().await;
    }
}

/// A body in parts, the last of which may be an error.
fn parts(parts: impl IntoIterator<Item = Result<String, std::io::Error>>) -> Body {
    let parts: Vec<_> = parts.into_iter().collect();
    Body::from_stream(stream::iter(parts))
}

#[tokio::test]
async fn list_needs_the_token() {
    let bench = bench().await;
    for token in ["", "wrong", "open-sesame-0123456789-and-more"] {
        let refused = bench.send_list("prod", token, LIST).await;
        bench
            .expect_refused(refused, StatusCode::UNAUTHORIZED, "token of [http]")
            .await;
    }
}

#[tokio::test]
async fn list_of_a_wrong_name_is_refused() {
    let bench = bench().await;
    for name in ["Prod", "a.b", "a%20b", "%F0%9F%9A%80", &"a".repeat(64)] {
        let refused = bench.send_list(name, TOKEN, LIST).await;
        bench
            .expect_refused(refused, StatusCode::BAD_REQUEST, "1 to 63")
            .await;
    }
}

#[tokio::test]
async fn broken_list_is_refused() {
    let bench = bench().await;
    let container = r#"{"containers": [{"image": "quay.io/acme/web:1"}]"#;
    for (body, reason) in [
        (format!("{container}\n"), "line 2"),
        ("{}".to_owned(), "no image in it"),
        (String::new(), "no image in it"),
        (
            format!("{}quay.io", "[".repeat(200)),
            "more than 100 levels",
        ),
    ] {
        let refused = bench.send_list("prod", TOKEN, body).await;
        bench
            .expect_refused(refused, StatusCode::BAD_REQUEST, reason)
            .await;
    }
}

#[tokio::test]
async fn list_that_breaks_off_is_refused() {
    let bench = bench().await;
    let broken = std::io::Error::other("reset");
    let body = parts([Ok(LIST.to_owned()), Err(broken)]);
    let refused = bench.send_list("prod", TOKEN, body).await;
    bench
        .expect_refused(refused, StatusCode::BAD_REQUEST, "broke off")
        .await;
}

#[tokio::test]
async fn list_above_the_limit_is_refused() {
    let bench = bench().await;
    let comment = format!("#{}\n", "-".repeat((1 << 20) - 2));
    let body = parts((0..65).map(|_| Ok(comment.clone())));
    let refused = bench.send_list("prod", TOKEN, body).await;
    bench
        .expect_refused(refused, StatusCode::PAYLOAD_TOO_LARGE, "64 MiB")
        .await;
    let announced = Request::post("/api/v1/coverage/prod")
        .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header("content-length", "67108865");
    let refused = bench.send(announced.body(LIST.into()).unwrap()).await;
    bench
        .expect_refused(refused, StatusCode::PAYLOAD_TOO_LARGE, "64 MiB")
        .await;
}

#[tokio::test]
async fn list_in_parts_is_read_and_kept() {
    let bench = bench().await;
    let body = parts(["quay.io/acme/w", "eb:1\nquay.io/acme/db:1"].map(|part| Ok(part.into())));
    let taken = bench.send_list("prod", TOKEN, body).await;
    assert_eq!(taken.status, StatusCode::OK, "{taken:?}");
    let counts = serde_json::json!({ "not_mirrored": 1, "not_at_target": 1 });
    assert_eq!(taken.json()["counts"], counts);
    assert_eq!(
        taken.json()["not_current"][0]["image"],
        "quay.io/acme/web:1"
    );
    let toml = taken.json()["toml"].to_string();
    assert!(toml.contains("quay.io/acme/web:1"), "{toml}");
    assert_eq!(
        bench.app.store.cluster_images("prod").await.unwrap().len(),
        2
    );

    let delete = |token: &str| {
        let request = Request::builder().method(Method::DELETE);
        let request = request.uri("/api/v1/coverage/prod");
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        bench.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(delete("wrong").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(delete(TOKEN).await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete(TOKEN).await.status, StatusCode::NOT_FOUND);
    bench.expect_nothing_kept().await;
}
