use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::record;
use crate::{
    coordination::{SuspectContent, SuspectNews},
    oci::{Digest, Repository, Tag},
    store::{Store, StoreEvent, TagKey},
};

#[tokio::test]
async fn tag_that_another_worker_found_damaged_is_damaged_here() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, writer) = Store::open(&path, CancellationToken::new()).await.unwrap();
    let writer = Arc::new(writer);
    let target: Repository = "t.example/app".parse().unwrap();
    let (tag, written): (Tag, _) = ("1".parse().unwrap(), Digest::of(b"manifest"));
    let mirrored = StoreEvent::Mirrored {
        key: TagKey {
            mirror: "app".into(),
            source: "s.example/app".parse().unwrap(),
            target: target.clone(),
            tag: tag.clone(),
            source_tag: None,
        },
        source: written.clone(),
        written: written.clone(),
        shape: String::new(),
        at: 100,
        is_new: true,
    };
    writer.record(mirrored).await;
    writer.flush().await;
    let content = SuspectContent {
        repository: target.clone(),
        digest: written.clone(),
    };
    let is_damaged = async || store.tags(&target).await.unwrap()[&tag].is_damaged;

    let news = SuspectNews {
        found: vec![content.clone()],
        cleared: Vec::new(),
    };
    record(news, &store, &writer).await;
    assert!(is_damaged().await);
    assert_eq!(store.suspects().await.unwrap(), [(target.clone(), written)]);

    let news = SuspectNews {
        found: Vec::new(),
        cleared: vec![content],
    };
    record(news, &store, &writer).await;
    assert!(!is_damaged().await);
    assert!(store.suspects().await.unwrap().is_empty());
}
