use axum::http::StatusCode;

use crate::{
    store::{Release, StoreEvent},
    web::tests::bench::{digest, harbour, key},
};

const PULL: &str = "docker pull m.example.com/a/docker.io/library/nginx:1.27";

#[tokio::test]
async fn search_shows_pull_command() {
    let bench = harbour().await;
    for image in [
        "nginx:1.27",
        "docker.io%2Flibrary%2Fnginx:1.27",
        "+m.example.com/a/docker.io/library/nginx:1.27+",
    ] {
        let page = bench.get(&format!("/search?image={image}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(
            page.body.contains(&format!("<code>{PULL}</code>")),
            "{}",
            page.body
        );
        for text in [
            "docker.io/library/nginx:1.27 is mirrored",
            "Mirrored by nginx",
            "● current as of the check 12m ago",
        ] {
            assert!(page.text().contains(text), "{text}: {}", page.text());
        }
        assert!(page.body.contains(digest("nginx 1.27").as_str()));
    }
}

#[tokio::test]
async fn search_shows_how_current_an_image_is() {
    let bench = harbour().await;
    let behind = bench
        .get("/search?image=registry.k8s.io/kube-proxy:v1.32.0")
        .await;
    assert!(
        behind.text().contains("▲ behind for 1h 12m"),
        "{}",
        behind.text()
    );
    assert!(behind.body.contains("class=\"verdict warning\""));
    let missing = bench
        .get("/search?image=registry.k8s.io/kube-proxy:v1.40.0")
        .await;
    assert!(
        missing.text().contains("○ not copied yet"),
        "{}",
        missing.text()
    );
    assert!(missing.text().contains("is selected, and not copied yet"));
    // There is nothing yet to pull.
    assert!(!missing.body.contains("docker pull"));
    let gone = key("nginx", "docker.io/library/nginx", "1.27");
    let released = StoreEvent::Released(Release {
        repository: gone.target,
        tag: gone.tag,
        mirror: gone.mirror,
        is_orphaned: true,
        is_asked_for: false,
    });
    bench.record([released]).await;
    bench.settle().await;
    let gone = bench.get("/search?image=nginx:1.27").await.text();
    assert!(gone.contains("◌ no longer at the source"), "{gone}");
}

#[tokio::test]
async fn search_shows_entry_to_add() {
    let bench = harbour().await;
    let toml = "<pre class=\"take\"><code>[[mirror]]\nfrom = &#34;docker.io/library/redis:7&#34;\n</code></pre>";
    let other = bench.get("/search?image=redis:7").await;
    assert_eq!(other.status, StatusCode::OK);
    assert!(
        other
            .text()
            .contains("docker.io/library/redis:7 is not mirrored")
    );
    assert!(other.body.contains(toml), "{}", other.body);
    let tag = bench
        .get("/search?image=quay.io/prometheus/prometheus:latest")
        .await;
    for text in [
        "is not selected",
        "Its repository is mirrored by monitoring",
        "No selector matches this tag",
    ] {
        assert!(tag.text().contains(text), "{text}: {}", tag.text());
    }
    let chinese = bench.get("/search?image=redis:7&lang=zh").await;
    assert!(
        chinese
            .text()
            .contains("docker.io/library/redis:7 没有同步 如需同步，请在 mirror.toml 中加入：")
    );
}

#[tokio::test]
async fn search_refuses_invalid_image() {
    let bench = harbour().await;
    for (image, reason) in [
        ("Nginx", "a repository's name is in lower case"),
        ("nginx:1.27+rc", "is not a tag"),
        (
            &*format!("nginx@{}", digest("x")),
            "name the image by a tag instead of a digest",
        ),
    ] {
        let image: String = url::form_urlencoded::byte_serialize(image.as_bytes()).collect();
        let page = bench.get(&format!("/search?image={image}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        let text = page.text().replace("&#39;", "'");
        assert!(text.contains("That is not an image"), "{text}");
        assert!(text.contains(reason), "{text}");
    }
    let empty = bench.get("/search?image=++").await;
    assert_eq!(empty.status, StatusCode::OK);
    assert!(!empty.body.contains("notice"));
}

#[tokio::test]
async fn search_keeps_query_and_language() {
    let page = harbour().await.get("/search?image=redis:7&lang=zh").await;
    assert!(page.body.contains("value=\"redis:7\""));
    assert!(
        page.body
            .contains("<input type=\"hidden\" name=\"lang\" value=\"zh\">")
    );
}

#[tokio::test]
async fn api_explains_image() {
    let bench = harbour().await;
    let answer = bench.get("/api/v1/explain?image=nginx:1.27").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let answer = answer.json();
    assert_eq!(answer["image"], "docker.io/library/nginx:1.27");
    assert_eq!(answer["answer"], "mirrored");
    assert_eq!(answer["mirror"], "nginx");
    assert_eq!(answer["copies"][0]["pull"], PULL);
    assert_eq!(answer["copies"][0]["state"], "current");
    let other = bench.get("/api/v1/explain?image=redis:7").await.json();
    assert_eq!(other["answer"], "not_mirrored");
    assert_eq!(
        other["toml"],
        "[[mirror]]\nfrom = \"docker.io/library/redis:7\"\n"
    );
    for uri in ["/api/v1/explain?image=UPPER", "/api/v1/explain"] {
        let refused = bench.get(uri).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{uri}");
        assert!(refused.json()["error"].is_string());
    }
}
