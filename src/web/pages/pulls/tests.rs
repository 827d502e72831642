use crate::{
    oci::Version,
    store::{
        HourOfPulls, ImagePulls, PullCounts, PullResult, PulledContent, RefusalReason,
        RefusedPulls, StoreEvent,
    },
    web::tests::bench::WebBench,
};

const ENTRY: &str = "[[mirror]]\nname = \"nginx\"\nfrom = \"docker.io/library/nginx:1\"\n[gateway]\n\
                     target = \"m.example.com/cache\"\n";

fn image(at: i64, name: &str, outcome: PullResult) -> StoreEvent {
    let (repository, tag) = name.split_once(':').unwrap();
    StoreEvent::Pulled(PulledContent::Counted(ImagePulls {
        repository: repository.parse().unwrap(),
        version: Version::Tag(tag.parse().unwrap()),
        first_pull: at - 100,
        last_pull: at,
        counts: PullCounts {
            hits: 3,
            stale: 1,
            ..PullCounts::default()
        },
        outcome: Some(outcome),
        why: Some("stale copy, last checked 90 s ago: <503>".into()),
    }))
}

fn refused(at: i64, name: &str, reason: RefusalReason) -> StoreEvent {
    StoreEvent::Pulled(PulledContent::Refused(RefusedPulls {
        repository: name.parse().unwrap(),
        reason,
        first_at: at,
        last_at: at,
        refusals: 7,
    }))
}

async fn bench() -> WebBench {
    let bench = WebBench::new(ENTRY).await;
    let at = bench.now - 60;
    let hour = HourOfPulls {
        repository: "quay.io/a/b".parse().unwrap(),
        at,
        counts: PullCounts {
            hits: 3,
            stale: 1,
            ..PullCounts::default()
        },
        upstream_bytes: 1 << 20,
        client_bytes: 5 << 20,
    };
    bench
        .record([
            image(at, "quay.io/a/b:v1", PullResult::Stale),
            StoreEvent::Pulled(PulledContent::Hour(hour)),
            refused(at, "ghcr.io/x/y", RefusalReason::UnknownRegistry),
            refused(at, "quay.io/bad/miner", RefusalReason::Denied),
        ])
        .await;
    bench.app.writer.flush().await;
    bench
}

#[tokio::test]
async fn page_shows_pulls_and_the_lines_for_what_is_refused() {
    let bench = bench().await;
    let page = bench.get("/pulls").await;
    for text in [
        "4 pulls in 24 hours, 4.0 MiB saved",
        "Who pulled is not stored.",
        "stale copy, last checked 90 s ago: &#60;503&#62;",
        "nothing names its registry",
        "`deny` names it",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let allow = "allow = [\n    &quot;ghcr.io/x/y&quot;,\n]";
    let plain = page.body.replace("&#34;", "&quot;");
    assert!(plain.contains(allow), "{plain}");
    let chinese = bench.get("/pulls?lang=zh").await;
    assert!(chinese.body.contains("不保存由谁拉取"), "{}", chinese.body);
    let overview = bench.get("/").await;
    assert!(overview.body.contains("href=\"/pulls\""));
}

#[tokio::test]
async fn rows_are_bounded_and_the_rest_is_counted() {
    let bench = bench().await;
    let many = (0..40).map(|n| image(bench.now, &format!("quay.io/a/n{n}:v1"), PullResult::Hit));
    bench.record(many).await;
    bench.app.writer.flush().await;
    let answer: serde_json::Value =
        serde_json::from_str(&bench.get("/api/v1/pulls").await.body).unwrap();
    assert_eq!(answer["images"].as_array().unwrap().len(), 25);
    assert_eq!(answer["more_images"], 16);
    let page = bench.get("/pulls").await;
    assert!(page.text().contains("16 more"), "{}", page.text());
}

#[tokio::test]
async fn search_says_what_became_of_pulls() {
    let bench = bench().await;
    let page = bench.get("/search?image=quay.io/a/b:v1").await;
    assert!(page.text().contains("3 hit"), "{}", page.text());
    assert!(page.text().contains("4.0 MiB"), "{}", page.text());
    let refused = bench.get("/search?image=ghcr.io/x/y:v1").await;
    assert!(refused.text().contains("nothing names its registry"));
}
