use axum::http::StatusCode;

use crate::{
    alarms::{Alarm, AlarmSubject},
    config::Topic,
    store::RunResult,
    web::tests::bench::{WebBench, harbour, key},
};

#[tokio::test]
async fn overview_shows_verdict_first() {
    let page = harbour().await.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    let texts = [
        "1 of 3 behind, 1 failing, worst kubernetes 1h 12m",
        "Is this image mirrored?",
        "kubernetes",
        "monitoring",
        "nginx",
    ];
    let table = page.text();
    let table = table.split("Last runs").nth(1).unwrap();
    let places: Vec<usize> = texts[2..]
        .iter()
        .map(|name| table.find(name).unwrap())
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(page.places(&texts[..2]).is_sorted());
}

#[tokio::test]
async fn row_shows_lag_bounds_and_failed_attempt() {
    let page = harbour().await.get("/").await;
    for text in [
        "behind for 1h 12m equal 2h 13m ago",
        "tried 1h 12m ago: partly failed",
        "push blob m.example.com/a/registry.k8s.io/kube-proxy: connection reset by peer",
        "equal 12m ago",
        "list tags quay.io/prometheus/prometheus: 502",
        "64.0 MiB",
    ] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    assert!(page.body.contains("late</small>"), "{}", page.body);
    assert!(
        page.body
            .contains(": partly failed, 1 copied, 1 failed</title>")
    );
}

#[tokio::test]
async fn overview_when_all_in_sync() {
    let bench = WebBench::new("[[mirror]]\nname = \"a\"\nfrom = \"nginx:1\"\n[[mirror]]\nname = \"b\"\nfrom = \"redis:7\"\n").await;
    bench.ran("a", 100, RunResult::Ok, "").await;
    bench.ran("b", 100, RunResult::Ok, "").await;
    bench.settle().await;
    assert!(
        bench
            .get("/")
            .await
            .text()
            .contains("All 2 mirrors in sync")
    );
    let chinese = bench.get("/?lang=zh").await;
    assert!(
        chinese.text().contains("全部 2 个同步项均已同步"),
        "{}",
        chinese.text()
    );
}

#[tokio::test]
async fn overview_without_runs() {
    let bench = WebBench::new("[[mirror]]\nname = \"a\"\nfrom = \"nginx:1\"\n").await;
    bench.settle().await;
    let page = bench.get("/").await;
    assert!(
        page.text().contains("1 of 1 never synced"),
        "{}",
        page.text()
    );
    assert!(page.text().contains("never confirmed equal"));
}

#[tokio::test]
async fn running_mirror_keeps_its_state() {
    let bench = harbour().await;
    bench.began("nginx", 5).await;
    bench.settle().await;
    let page = bench.get("/?q=nginx").await.text();
    assert!(page.contains("● in sync running"), "{page}");
}

#[tokio::test]
async fn overview_in_chinese() {
    let bench = harbour().await;
    let page = bench.get_in("/", "zh-CN,zh;q=0.9,en;q=0.8").await;
    assert_eq!(page.header("content-language"), "zh-CN");
    assert_eq!(page.header("vary"), "accept-language");
    assert!(page.body.contains("<html lang=\"zh-CN\">"));
    for text in [
        "3 个同步项中有 1 个落后，1 个失败，延迟最大：kubernetes（1 小时 12 分）",
        "已落后 1 小时 12 分",
        "2 小时 13 分前一致",
        "1 小时 12 分前尝试：部分失败",
        "这个镜像同步了吗？",
    ] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    let overruled = bench.get_in("/?lang=en", "zh-CN").await;
    assert_eq!(overruled.header("content-language"), "en");
    assert!(
        overruled
            .body
            .contains("href=\"/mirrors/kubernetes?lang=en\"")
    );
}

#[tokio::test]
async fn filters_mirrors_by_text_and_state() {
    let bench = harbour().await;
    for (uri, shown, hidden) in [
        ("/?q=KUBE", "/mirrors/kubernetes", "/mirrors/nginx"),
        ("/?q=quay.io", "/mirrors/monitoring", "/mirrors/nginx"),
        (
            "/?q=m.example.com/a/docker.io",
            "/mirrors/nginx",
            "/mirrors/monitoring",
        ),
        ("/?state=behind", "/mirrors/kubernetes", "/mirrors/nginx"),
        (
            "/?state=failing",
            "/mirrors/monitoring",
            "/mirrors/kubernetes",
        ),
        ("/?state=in-sync", "/mirrors/nginx", "/mirrors/kubernetes"),
        ("/?state=late", "/mirrors/kubernetes", "/mirrors/monitoring"),
    ] {
        let page = bench.get(uri).await.body;
        assert!(
            page.contains(&format!("href=\"{shown}\"")),
            "{uri} lacks {shown}"
        );
        assert!(
            !page.contains(&format!("href=\"{hidden}\"")),
            "{uri} has {hidden}"
        );
    }
    for uri in [
        "/?q=nothing-like-it",
        "/?state=in-sync&q=kube",
        "/?state=no-such-state",
    ] {
        assert!(
            bench.get(uri).await.text().contains("No mirror matches."),
            "{uri}"
        );
    }
}

#[tokio::test]
async fn sorts_mirrors_by_column() {
    let bench = harbour().await;
    let names = ["kubernetes", "monitoring", "nginx"];
    for (sort, order) in [
        ("", [0, 1, 2]),
        ("name", [0, 1, 2]),
        ("-name", [2, 1, 0]),
        ("-state", [2, 1, 0]),
        ("success", [0, 1, 2]),
        ("size", [0, 1, 2]),
        ("no-such-column", [0, 1, 2]),
    ] {
        let page = bench.get(&format!("/?sort={sort}&lang=en")).await.body;
        let at = |index: usize| {
            let href = format!("href=\"/mirrors/{}?lang=en\"", names[index]);
            page.find(&href).unwrap_or_else(|| panic!("{href}: {page}"))
        };
        let places = order.map(at);
        assert!(places.is_sorted(), "{sort}: {places:?}");
    }
    let page = bench.get("/?sort=name").await.body;
    assert!(
        page.contains("aria-sort=\"ascending\"><a href=\"/?sort=-name\">"),
        "{page}"
    );
}

#[tokio::test]
async fn running_mirror_refreshes_page() {
    let bench = harbour().await;
    assert_eq!(bench.get("/").await.header("refresh"), "");
    bench.began("nginx", 5).await;
    bench.settle().await;
    for uri in ["/", "/mirrors/nginx"] {
        assert_eq!(bench.get(uri).await.header("refresh"), "10", "{uri}");
        let page = bench.get(&format!("{uri}?refresh=off")).await;
        assert_eq!(page.header("refresh"), "", "{uri}");
        assert!(page.text().contains("Refresh every 10s"), "{}", page.text());
    }
    assert_eq!(bench.get("/mirrors/kubernetes").await.header("refresh"), "");
}

#[tokio::test]
async fn overview_shows_registries() {
    let bench = WebBench::with(
        "[registries.\"docker.io\"]\nusername = \"acme\"\npassword = \"secret-0123456789\"\n\
         [limits]\ntraffic = { bytes = \"1 TB\", per = \"month\" }\n\
         [defaults]\ntarget = \"m.example.com/a\"\n[[mirror]]\nname = \"nginx\"\nfrom = \"nginx:1\"\n",
    )
    .await;
    let refused = bench.app.config.load();
    let name = refused.mirrors[0].routes[0].targets[0].registry().clone();
    bench.app.sync.registries().assume_login_refused(&name);
    bench.settle().await;
    let page = bench.get("/").await;
    for text in [
        "docker.io ● ok as acme",
        "m.example.com ✕ login refused anonymous",
        "0 % of the traffic budget of 1.0 TB is used. It starts over on",
    ] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    assert!(!page.body.contains("secret-0123456789"));
}

#[tokio::test]
async fn pages_have_skip_link_version_and_logs() {
    let page = harbour().await.get("/search").await;
    assert!(page.body.contains("<a class=\"skip\" href=\"#main\">"));
    assert!(page.body.contains("<main id=\"main\""));
    let foot = format!("transship {}", env!("CARGO_PKG_VERSION"));
    for text in [foot.as_str(), "Log: journalctl -u transship"] {
        assert!(page.text().contains(text), "{}", page.text());
    }
}

#[tokio::test]
async fn filter_links_keep_query() {
    let page = harbour().await.get("/?q=e&refresh=30").await;
    assert!(
        page.body
            .contains("href=\"/?q=e&#38;refresh=30&#38;state=behind\""),
        "{}",
        page.body
    );
    assert!(
        page.text().contains("all 3 behind 1 failing 1 late 1"),
        "{}",
        page.text()
    );
    assert!(page.body.contains("name=\"refresh\" value=\"30\""));
}

#[tokio::test]
async fn overview_splits_many_mirrors() {
    let entry =
        |n: usize| format!("[[mirror]]\nname = \"mirror-{n:03}\"\nfrom = \"quay.io/a/b{n}:1\"\n");
    let bench = WebBench::new(&(0..250).map(entry).collect::<String>()).await;
    bench.settle().await;
    let count = |page: &str| page.matches("href=\"/mirrors/mirror-").count();
    let first = bench.get("/").await;
    assert_eq!(count(&first.body), 100);
    assert!(
        first.text().contains("page 1 of 3 next →"),
        "{}",
        first.text()
    );
    assert!(first.body.contains("href=\"/?page=2\""));
    let last = bench.get("/?page=3").await;
    assert_eq!(count(&last.body), 50);
    assert!(last.text().contains("← previous page 3 of 3"));
    let beyond = bench.get("/?page=99999999999").await;
    assert_eq!(count(&beyond.body), 50);
    assert_eq!(count(&bench.get("/?q=mirror-01&page=2").await.body), 10);
}

#[tokio::test]
async fn overview_shows_alarms_and_config_error() {
    let bench = harbour().await;
    let alarm = |topic, subject: &str, message: &str| Alarm {
        topic,
        subject: AlarmSubject::parse(topic, subject),
        since: bench.now - 605,
        message: message.into(),
        mirrors: Vec::new(),
    };
    bench.app.alarms.set(vec![
        alarm(
            Topic::Lag,
            "kubernetes",
            "kubernetes lags 1h 12m, more than 30m",
        ),
        alarm(Topic::Auth, "quay.io", "quay.io refuses the credentials"),
        alarm(Topic::Config, "", "mirror.toml was edited and has mistakes"),
    ]);
    let error = "  x unknown key `tgas`\n   ,-[mirror.toml:3:1]\n 3 | tgas = \"v*\"\n";
    bench.reject_config(error);
    let page = bench.get("/").await;
    assert!(page.body.contains("<h1 class=\"verdict bad\">"));
    let places = page.places(&[
        "An edit of mirror.toml is not in effect",
        "unknown key `tgas`",
        "Trouble",
        "kubernetes lags 1h 12m, more than 30m",
        "(10m ago)",
        "quay.io refuses the credentials",
        "Is this image mirrored?",
    ]);
    assert!(places.is_sorted(), "{places:?}");
    assert!(
        page.body
            .contains("<pre>  x unknown key `tgas`\n   ,-[mirror.toml:3:1]\n")
    );
    assert!(
        page.body
            .contains("<a href=\"/mirrors/kubernetes\">kubernetes lags")
    );
    // Its text tells more than the alarm.
    assert!(!page.body.contains("was edited and has mistakes"));
}

#[tokio::test]
async fn page_refreshes_on_request() {
    let bench = harbour().await;
    let still = bench.get("/").await;
    assert_eq!(still.header("refresh"), "");
    assert!(still.body.contains("href=\"/?refresh=10\""));
    let moving = bench.get("/?refresh=10").await;
    assert_eq!(moving.header("refresh"), "10");
    assert!(moving.text().contains("Refreshed every 10s; stop"));
    assert!(!moving.body.contains("http-equiv"));
}

#[tokio::test]
async fn mirror_links_encode_names() {
    let bench =
        WebBench::new("[[mirror]]\nname = \"web/nginx: #1 50%?\"\nfrom = \"nginx:1\"\n").await;
    let tag = key("web/nginx: #1 50%?", "docker.io/library/nginx", "1");
    bench.mirrored(&tag, "one", 50).await;
    bench.settle().await;
    let page = bench.get("/").await;
    let href = "/mirrors/web/nginx:%20%231%2050%25%3F";
    assert!(
        page.body.contains(&format!("href=\"{href}\"")),
        "{}",
        page.body
    );
    for uri in [href, "/mirrors/web%2Fnginx%3A%20%231%2050%25%3F"] {
        let page = bench.get(uri).await;
        assert_eq!(page.status, StatusCode::OK, "{uri}");
        assert!(page.text().contains("web/nginx: #1 50%?"));
    }
}

#[tokio::test]
async fn alarm_box_has_five_lines() {
    let bench = harbour().await;
    let alarm = |number: usize| Alarm {
        topic: Topic::Auth,
        subject: AlarmSubject::Registry(format!("r{number}.example")),
        since: bench.now,
        message: format!("r{number}.example refuses the credentials").into(),
        mirrors: Vec::new(),
    };
    bench.app.alarms.set((0..5).map(alarm).collect());
    let text = bench.get("/").await.text();
    assert_eq!(text.matches("refuses the credentials").count(), 5);
    bench.app.alarms.set((0..120).map(alarm).collect());
    let text = bench.get("/").await.text();
    assert_eq!(text.matches("refuses the credentials").count(), 4);
    assert!(text.contains("and 116 more"), "{text}");
}
