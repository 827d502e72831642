use axum::http::{Method, StatusCode};

use crate::web::tests::bench::harbour;

const PAGES: [&str; 7] = [
    "/",
    "/mirrors/kubernetes",
    "/search?image=nginx:1.27",
    "/report/latest",
    "/api/v1/status",
    "/style.css",
    "/no-such-page",
];

#[tokio::test]
async fn pages_have_security_headers() {
    let bench = harbour().await;
    for uri in PAGES {
        let answer = bench.get(uri).await;
        let policy = answer.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "style-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(rule), "{uri}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{uri}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{uri}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{uri}");
    }
}

#[tokio::test]
async fn pages_have_no_inline_script_or_style() {
    let bench = harbour().await;
    for uri in &PAGES[..4] {
        let body = bench.get(uri).await.body;
        for part in ["<script", "<style", " style=", " onclick=", "javascript:"] {
            assert!(!body.contains(part), "{uri} has {part}");
        }
    }
}

#[tokio::test]
async fn head_has_no_body() {
    let bench = harbour().await;
    for uri in PAGES {
        let (head, get) = (bench.ask(Method::HEAD, uri).await, bench.get(uri).await);
        assert_eq!(head.status, get.status, "{uri}");
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{uri}"
        );
        assert_eq!(head.body, "", "{uri}");
    }
}

#[tokio::test]
async fn unknown_address_gets_small_page() {
    let bench = harbour().await;
    for uri in ["/no-such-page", "/mirrors", "/mirrors/", "//evil.example/x"] {
        let page = bench.get(uri).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{uri}");
        assert!(page.text().contains("There is no such page"), "{uri}");
        assert!(!page.body.contains("href=\"//"), "{uri}");
        assert!(page.body.len() < 2000, "{uri}");
    }
    let chinese = bench.get("/nothing?lang=zh").await;
    assert!(chinese.text().contains("没有这个页面"));
}

#[tokio::test]
async fn pages_refuse_other_methods() {
    let bench = harbour().await;
    for uri in &PAGES[..6] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let answer = bench.ask(method, uri).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{uri}");
        }
    }
}

#[tokio::test]
async fn style_sheet_is_cacheable() {
    let bench = harbour().await;
    let page = bench.get("/").await.body;
    let (_, rest) = page.split_once("href=\"/style.css?v=").unwrap();
    let (version, _) = rest.split_once('"').unwrap();
    assert!(version.len() > 8, "{version}");
    let style = bench.get(&format!("/style.css?v={version}")).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(style.header("cache-control").contains("immutable"));
    assert!(style.body.contains("prefers-color-scheme: dark"));
    let icon = bench.get("/icon.svg").await;
    assert_eq!(icon.header("content-type"), "image/svg+xml");
    assert!(page.contains("href=\"/icon.svg\""));
}
