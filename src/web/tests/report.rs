use axum::http::StatusCode;

use crate::{
    store::{StoreEvent, Upkeep},
    web::tests::bench::harbour,
};

#[tokio::test]
async fn report_page_has_frame() {
    let page = harbour().await.get("/report/latest").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("<article class=\"report"),
        "{}",
        page.body
    );
    assert!(
        page.text()
            .contains("transship Mirrors Pulls Search Report")
    );
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

#[tokio::test]
async fn past_reports_are_kept() {
    let bench = harbour().await;
    let json = bench.get("/report/latest?format=json").await.json();
    let mut json = json.clone();
    json["day"] = "2026-11-20".into();
    let reported = StoreEvent::Upkeep(Upkeep::Reported {
        day: "2026-11-20".into(),
        at: bench.now,
        body: json.to_string(),
    });
    bench.record([reported]).await;
    bench.settle().await;
    let latest = bench.get("/report/latest").await.body;
    assert!(latest.contains("href=\"/report/2026-11-20\""), "{latest}");
    let page = bench.get("/report/2026-11-20").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("2026-11-20: "), "{}", page.text());
    assert!(page.body.contains("href=\"/report/2026-11-20?format=md\""));
    let json = bench.get("/report/2026-11-20?format=json").await.json();
    assert_eq!(json["mirrors"], 3);
    for day in ["2026-11-21", "yesterday"] {
        let page = bench.get(&format!("/report/{day}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(
            page.text()
                .contains(&format!("There is no report of {day}"))
        );
    }
}
