use super::*;

fn behind(mirror: &str, source: &str, tag: &str) -> StoreEvent {
    StoreEvent::Seen {
        key: TagKey {
            mirror: Arc::from(mirror),
            source: source.parse().unwrap(),
            target: format!("t.example/{mirror}/{source}").parse().unwrap(),
            tag: tag.parse().unwrap(),
            source_tag: None,
        },
        seen: digest("x"),
        verdict: Verdict::Differs,
        at: 100,
    }
}

#[tokio::test]
async fn names_what_is_behind_one_source_repository() {
    let bench = bench().await;
    let events = [
        behind("m", "s.example/a", "1"),
        behind("m", "s.example/a/b", "2"),
        behind("m", "s.example/b", "3"),
        behind("n", "s.example/a", "4"),
    ];
    bench.record(events).await;
    let source: Repository = "s.example/a".parse().unwrap();
    let behind = bench.store.behind_source("m", &source).await.unwrap();
    let behind: Vec<_> = behind.iter().map(|tag| &*tag.source).collect();
    assert_eq!(behind, ["s.example/a:1"]);
}
