use super::*;

#[tokio::test]
async fn sizes_that_no_image_has_break_no_sum() {
    let bench = bench().await;
    let behind = |tag: &str| StoreEvent::Seen {
        key: key(tag),
        seen: digest("x"),
        verdict: Verdict::Differs,
        at: 100,
    };
    let facts = [
        behind("1"),
        behind("2"),
        StoreEvent::Sized(digest("x"), u64::MAX),
    ];
    bench.record(facts).await;
    let sizes = bench.store.sizes("m").await.unwrap();
    assert_eq!(sizes[0].pending_bytes, i64::MAX as u64);
}
