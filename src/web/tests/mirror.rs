use axum::http::StatusCode;

use crate::{
    store::{ChangeKind, LagChange, NewChange, Release, StoreEvent, Upkeep},
    web::tests::bench::{WebBench, digest, harbour, key},
};

#[tokio::test]
async fn mirror_page_shows_state_targets_and_lag() {
    let page = harbour().await.get("/mirrors/kubernetes").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "▲ behind late",
        "behind for 1h 12m equal 2h 13m ago",
        "accepted: 30m",
        "Sources registry.k8s.io/kube-proxy → m.example.com/a/registry.k8s.io/kube-proxy",
        "Schedule every 2h at minute 17 17 */2 * * *",
        "Selected tags semver = ",
        "Platforms all, byte for byte Prune off",
        "Targets Target Lag Tags Behind Failed Orphaned Failures in a row Size Pending \
         m.example.com behind for 1h 12m equal 2h 13m ago 2 1 1 0 1 128.0 MiB",
        "What is behind, and why registry.k8s.io/kube-proxy:v1.32.0 1h 12m timeout Tags 2",
    ] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
}

#[tokio::test]
async fn mirror_page_shows_an_error_once() {
    let page = harbour().await.get("/mirrors/kubernetes").await.text();
    assert_eq!(
        page.matches("connection reset by peer").count(),
        1,
        "{page}"
    );
    let page = harbour().await.get("/mirrors/monitoring").await.text();
    assert_eq!(page.matches("list tags quay.io").count(), 1, "{page}");
    assert!(page.contains("failed timeout 1m"), "{page}");
}

#[tokio::test]
async fn mirror_page_draws_lag() {
    let bench = harbour().await;
    assert!(
        !bench
            .get("/mirrors/nginx")
            .await
            .body
            .contains("id=\"history\"")
    );
    let change = |ago: i64, lagging_since| {
        StoreEvent::Upkeep(Upkeep::LagChanged(LagChange {
            mirror: "nginx".into(),
            at: bench.now - ago,
            lagging_since,
            is_known: true,
        }))
    };
    let changes = [
        change(86_400, None),
        change(43_200, Some(bench.now - 43_200)),
        change(21_600, None),
    ];
    bench.record(changes).await;
    bench.settle().await;
    let page = bench.get("/mirrors/nginx").await;
    for text in [
        "24 hours in sync 75.0 % of the time worst lag 6h",
        "24 hours ago ↕ 6h 36m now",
        "7 days in sync 75.0 % of the time",
        "30 days in sync",
    ] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    assert_eq!(page.body.matches("<path class=\"lagged\" d=\"M").count(), 3);
    let chinese = bench.get("/mirrors/nginx?lang=zh").await.text();
    assert!(
        chinese.contains("24 小时 75.0% 的时间处于同步"),
        "{chinese}"
    );
}

#[tokio::test]
async fn mirror_page_shows_lagging_tags_first() {
    let page = harbour().await.get("/mirrors/kubernetes").await;
    let (source, written) = (digest("proxy 1.31"), digest("proxy 1.31, written"));
    for digest in [source.as_str(), written.as_str()] {
        let short = &digest["sha256:".len()..][..12];
        let shown = format!("<code class=\"digest\" title=\"{digest}\">{short}</code>");
        assert!(page.body.contains(&shown), "{shown}");
    }
    let text = page.text();
    let (_, tags) = text.split_once("Mirrored").unwrap();
    let behind = tags.find("kube-proxy:v1.32.0 ▲ behind for 1h 12m").unwrap();
    assert!(behind < tags.find("kube-proxy:v1.31.0 ● in sync").unwrap());
}

#[tokio::test]
async fn mirror_page_separates_orphaned_and_uncopied_tags() {
    let bench = harbour().await;
    let gone = key("kubernetes", "registry.k8s.io/kube-proxy", "v1.31.0");
    let released = StoreEvent::Released(Release {
        repository: gone.target,
        tag: gone.tag,
        mirror: gone.mirror,
        is_orphaned: true,
        is_asked_for: false,
    });
    bench.record([released]).await;
    let new = key("kubernetes", "registry.k8s.io/kube-proxy", "v1.33.0");
    bench.moved(&new, "proxy 1.33", 605, None).await;
    bench.settle().await;
    let page = bench.get("/mirrors/kubernetes").await.text();
    assert!(
        page.contains("kube-proxy:v1.31.0 ◌ no longer at the source"),
        "{page}"
    );
    assert!(
        page.contains("kube-proxy:v1.33.0 ○ not copied yet for 10m"),
        "{page}"
    );
    assert!(
        page.contains("kube-proxy:v1.33.0 10m not tried since"),
        "{page}"
    );
}

#[tokio::test]
async fn mirror_page_shows_newest_runs_first() {
    let bench = harbour().await;
    let moved = NewChange {
        key: key("kubernetes", "registry.k8s.io/kube-proxy", "v1.31.0"),
        kind: ChangeKind::Moved,
        old: Some(digest("old")),
        new: Some(digest("proxy 1.31")),
        at: bench.now - 30,
    };
    bench.record([StoreEvent::Changed(moved)]).await;
    bench.began("kubernetes", 10).await;
    bench.settle().await;
    let page = bench.get("/mirrors/kubernetes").await;
    let text = page.text();
    let (_, runs) = text.split_once("Runs Started Result").unwrap();
    let (runs, changes) = runs.split_once("Changes Time").unwrap();
    let places = [
        "running",
        "partly failed timeout 1m 4 1 1 3.0 MiB",
        "ok 1m 4 1 0",
    ];
    let places: Vec<usize> = places
        .iter()
        .map(|sought| runs.find(sought).unwrap_or_else(|| panic!("{runs}")))
        .collect();
    assert!(places.is_sorted(), "{runs}");
    let short = |text: &str| digest(text).as_str()["sha256:".len()..][..12].to_owned();
    let moved = format!(
        "moved m.example.com/a/registry.k8s.io/kube-proxy:v1.31.0 {} {}",
        short("old"),
        short("proxy 1.31")
    );
    let places = [changes.find(&moved), changes.find(" new ")];
    assert!(places[0].is_some() && places.is_sorted(), "{changes}");
}

#[tokio::test]
async fn mirror_page_splits_many_tags() {
    let bench =
        WebBench::new("[[mirror]]\nname = \"many\"\nfrom = \"quay.io/a/b\"\ntags = \"*\"\n").await;
    for number in 0..450 {
        let tag = key("many", "quay.io/a/b", &format!("t{number:03}"));
        bench.mirrored(&tag, &number.to_string(), 1000).await;
    }
    bench
        .moved(&key("many", "quay.io/a/b", "t449"), "moved", 90, None)
        .await;
    bench.settle().await;
    let tags = |page: &str| page.matches("title=\"Source: quay.io/a/b\"").count();
    let first = bench.get("/mirrors/many").await;
    assert_eq!(tags(&first.body), 200);
    assert!(first.text().contains("Tags 450"));
    assert!(first.text().contains("page 1 of 3"));
    assert!(first.places(&["b:t449", "b:t000", "b:t198"]).is_sorted());
    let last = bench.get("/mirrors/many?page=3&lang=en").await;
    assert_eq!(tags(&last.body), 50);
    assert!(
        last.body
            .contains("href=\"/mirrors/many?lang=en&#38;page=2\""),
        "{}",
        last.body
    );
}

#[tokio::test]
async fn mirror_page_without_runs() {
    let bench = WebBench::new("[[mirror]]\nname = \"idle\"\nfrom = \"nginx:1\"\n").await;
    bench.settle().await;
    let page = bench.get("/mirrors/idle").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "○ never synced",
        "never confirmed equal",
        "No runs yet.",
        "No changes yet.",
    ] {
        assert!(page.text().contains(text), "{text}");
    }
}

#[tokio::test]
async fn unknown_mirror_gets_suggestions() {
    let bench = harbour().await;
    for (uri, text) in [
        (
            "/mirrors/kubernets",
            "There is no mirror `kubernets` Did you mean kubernetes",
        ),
        ("/mirrors/monitor", "Did you mean monitoring"),
        (
            "/mirrors/something-else?lang=zh",
            "没有名为 `something-else` 的同步项 全部同步项",
        ),
    ] {
        let page = bench.get(uri).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(page.text().contains(text), "{}", page.text());
    }
}

#[tokio::test]
async fn mirror_page_in_chinese() {
    let page = harbour()
        .await
        .get("/mirrors/kubernetes?lang=zh")
        .await
        .text();
    for text in [
        "▲ 落后 延迟超限",
        "允许：30 分",
        "落后的标签及原因",
        "部分失败 timeout 1 分",
        "连续失败",
        "全部同步项",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}
