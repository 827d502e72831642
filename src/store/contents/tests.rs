use std::sync::Arc;

use crate::{
    oci::Digest,
    store::{ContentPart, StoreEvent, TagKey, Verdict, tests::bench},
};

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn key(mirror: &str, target: &str, tag: &str) -> TagKey {
    TagKey {
        mirror: Arc::from(mirror),
        source: "quay.io/a/b".parse().unwrap(),
        target: target.parse().unwrap(),
        tag: tag.parse().unwrap(),
        source_tag: None,
    }
}

fn mirrored(key: TagKey, content: &str) -> StoreEvent {
    let (source, written) = (digest(content), digest(content));
    StoreEvent::Mirrored {
        key,
        source,
        written,
        shape: String::new(),
        at: 100,
        is_new: true,
    }
}

fn behind(key: TagKey, content: &str) -> StoreEvent {
    StoreEvent::Seen {
        key,
        seen: digest(content),
        verdict: Verdict::Differs,
        at: 200,
    }
}

/// A manifest of blobs, or an index of children, which have no size of their own.
fn made(whole: &str, parts: &[(&str, Option<u64>)]) -> StoreEvent {
    let parts = parts.iter().map(|(text, bytes)| ContentPart {
        digest: digest(text),
        bytes: *bytes,
    });
    StoreEvent::Made(digest(whole), parts.collect())
}

const A: &str = "m.example.com/a";

#[tokio::test]
async fn shared_blob_counts_once() {
    let bench = bench().await;
    let events = [
        made("one", &[("base", Some(1000)), ("x", Some(10))]),
        made("two", &[("base", Some(1000)), ("y", Some(7))]),
        made("index", &[("one", None), ("two", None)]),
        StoreEvent::Sized(digest("index"), 2017),
        mirrored(key("m", A, "1"), "one"),
        mirrored(key("m", A, "2"), "two"),
        mirrored(key("m", A, "3"), "index"),
        mirrored(key("m", "other.example.com/a", "1"), "one"),
        mirrored(key("n", "m.example.com/n", "1"), "two"),
    ];
    bench.record(events).await;
    let sizes = bench.store.sizes("m").await.unwrap();
    let sizes: Vec<_> = sizes.iter().map(|s| (&*s.registry, s.size_bytes)).collect();
    assert_eq!(
        sizes,
        [("m.example.com", 1017), ("other.example.com", 1010)]
    );
    let total = async |mirrors: &[&str]| bench.store.total_size(mirrors).await.unwrap();
    assert_eq!(total(&["m", "n"]).await, 1017);
    assert_eq!(total(&["n"]).await, 1007);
}

#[tokio::test]
async fn pending_blob_counts_once() {
    let bench = bench().await;
    let events = [
        made("old", &[("o", Some(5))]),
        made("new", &[("base", Some(1000)), ("x", Some(10))]),
        mirrored(key("m", A, "1"), "old"),
        mirrored(key("m", A, "2"), "old"),
        behind(key("m", A, "1"), "new"),
        behind(key("m", A, "2"), "new"),
    ];
    bench.record(events).await;
    let sizes = bench.store.sizes("m").await.unwrap();
    assert_eq!((sizes[0].size_bytes, sizes[0].pending_bytes), (5, 1010));
}

#[tokio::test]
async fn image_of_older_version_counts_with_its_own_size() {
    let bench = bench().await;
    let events = [
        StoreEvent::Sized(digest("child"), 40),
        StoreEvent::Sized(digest("plain"), 2),
        made("index", &[("child", None), ("new child", None)]),
        made("new child", &[("x", Some(10))]),
        mirrored(key("m", A, "1"), "index"),
        mirrored(key("m", A, "2"), "plain"),
    ];
    bench.record(events).await;
    let sizes = bench.store.sizes("m").await.unwrap();
    assert_eq!(sizes[0].size_bytes, 52);
    assert_eq!(bench.store.total_size(&["m"]).await.unwrap(), 52);
}

#[tokio::test]
async fn unnamed_content_is_forgotten() {
    let bench = bench().await;
    let events = [
        made("kept", &[("x", Some(10))]),
        made("gone", &[("y", Some(7))]),
        mirrored(key("m", A, "1"), "kept"),
        StoreEvent::Holds(A.parse().unwrap(), digest("x")),
        StoreEvent::Upkeep(crate::store::Upkeep::Thinned { now: 300 }),
    ];
    bench.record(events).await;
    assert_eq!(bench.store.sizes("m").await.unwrap()[0].size_bytes, 10);
    let left = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM contents");
    assert_eq!(left.fetch_one(&bench.store.readers).await.unwrap(), 2);
}
