use axum::http::StatusCode;

use crate::web::tests::bench::harbour;

#[tokio::test]
async fn report_page_has_frame() {
    let page = harbour().await.get("/report/latest").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("<article class=\"report"),
        "{}",
        page.body
    );
    assert!(page.text().contains("transship Mirrors Search Report"));
    assert!(
        page.text().contains("Behind, damaged, failing or stale"),
        "{}",
        page.text()
    );
    assert!(page.body.contains("href=\"/report/latest?format=json\""));
}

#[tokio::test]
async fn report_has_other_formats() {
    let bench = harbour().await;
    let json = bench.get("/report/latest?format=json").await;
    assert_eq!(json.header("content-type"), "application/json");
    assert_eq!(json.json()["mirrors"], 3);
    for (format, kind) in [
        ("md", "text/markdown; charset=utf-8"),
        ("text", "text/plain; charset=utf-8"),
    ] {
        let answer = bench.get(&format!("/report/latest?format={format}")).await;
        assert_eq!(answer.header("content-type"), kind);
        assert!(answer.body.contains("kubernetes"), "{}", answer.body);
        assert!(!answer.body.contains('<'), "{}", answer.body);
    }
    let other = bench.get("/report/latest?format=pdf").await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
    assert!(
        other
            .text()
            .contains("There is no such format: json, md or text")
    );
}
