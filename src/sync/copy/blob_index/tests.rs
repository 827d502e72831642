use tokio_util::sync::CancellationToken;

use crate::sync::copy::blob_index::*;

struct IndexBench {
    _folder: tempfile::TempDir,
    holdings: BlobIndex,
}

async fn bench() -> IndexBench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    IndexBench {
        _folder: folder,
        holdings: BlobIndex::new(store, Arc::new(recorder)),
    }
}

fn repository(name: &str) -> Repository {
    format!("m.example.com/{name}").parse().unwrap()
}

fn blob() -> Digest {
    Digest::of(b"blob")
}

fn missing(elsewhere: Option<&str>) -> Holding {
    Holding::Missing {
        elsewhere: elsewhere.map(repository),
    }
}

#[tokio::test]
async fn an_empty_repository_lacks_what_it_was_not_given() {
    let IndexBench { holdings, .. } = &bench().await;
    let here = repository("a");
    holdings.hold(&here, BlobKnowledge::Empty).await;
    assert_eq!(
        holdings.look_up(&here, &blob()).await.unwrap(),
        missing(None)
    );
    holdings.learn(&here, &blob(), true).await;
    assert_eq!(
        holdings.look_up(&here, &blob()).await.unwrap(),
        Holding::Held
    );
    let other = repository("b");
    assert_eq!(
        holdings.look_up(&other, &blob()).await.unwrap(),
        Holding::Unknown
    );
    holdings.hold(&other, BlobKnowledge::Empty).await;
    assert_eq!(
        holdings.look_up(&other, &blob()).await.unwrap(),
        missing(Some("a"))
    );
}

#[tokio::test]
async fn doubt_asks_for_stored_blobs_again() {
    let IndexBench { holdings, .. } = &bench().await;
    let (here, other) = (repository("a"), repository("b"));
    holdings.learn(&here, &blob(), true).await;
    holdings.release(&here).await;
    assert_eq!(
        holdings.look_up(&here, &blob()).await.unwrap(),
        Holding::Held
    );
    holdings.hold(&other, BlobKnowledge::Complete).await;
    assert_eq!(
        holdings.look_up(&other, &blob()).await.unwrap(),
        missing(Some("a"))
    );
    holdings.hold(&here, BlobKnowledge::Doubtful).await;
    assert_eq!(
        holdings.look_up(&here, &blob()).await.unwrap(),
        Holding::Unknown
    );
    holdings.learn(&here, &blob(), false).await;
    assert_eq!(
        holdings.look_up(&here, &blob()).await.unwrap(),
        missing(None)
    );
    assert_eq!(
        holdings.look_up(&other, &blob()).await.unwrap(),
        missing(None)
    );
}

#[tokio::test]
async fn a_repository_that_lost_something_is_not_believed() {
    let IndexBench { holdings, .. } = &bench().await;
    let here = repository("a");
    holdings.hold(&here, BlobKnowledge::Empty).await;
    holdings.learn(&here, &blob(), true).await;
    holdings.distrust(&here).await;
    assert_eq!(
        holdings.look_up(&here, &blob()).await.unwrap(),
        Holding::Unknown
    );
}

#[tokio::test]
async fn suspect_blob_is_neither_held_nor_mounted() {
    let IndexBench { holdings, .. } = &bench().await;
    let (here, other) = (repository("a"), repository("b"));
    let doubt = Check::Suspect(here.clone(), blob());
    holdings.recorder.record(StoreEvent::Check(doubt)).await;
    holdings.recorder.flush().await;
    holdings.hold(&here, BlobKnowledge::Complete).await;
    holdings.hold(&other, BlobKnowledge::Doubtful).await;
    holdings.learn(&other, &blob(), true).await;
    holdings.learn(&here, &blob(), true).await;
    assert_eq!(
        holdings.look_up(&here, &blob()).await.unwrap(),
        missing(None)
    );
    holdings.prove(&here, &blob()).await;
    assert_eq!(
        holdings.look_up(&here, &blob()).await.unwrap(),
        Holding::Held
    );
}

#[tokio::test]
async fn deletion_and_writes_exclude_each_other() {
    let IndexBench { holdings, .. } = &bench().await;
    let (here, other) = (repository("a"), repository("b"));
    let clearing = holdings.clear(&here, &[]).await.unwrap();
    holdings.hold(&other, BlobKnowledge::Complete).await;
    assert!(holdings.clear(&other, &[]).await.is_none());
    let begins = || holdings.lock().hold(&here, BlobKnowledge::Complete, vec![]);
    assert!(!begins());
    let mut second = std::pin::pin!(holdings.clear(&here, &[]));
    assert!(futures::poll!(&mut second).is_pending());
    drop(clearing);
    let clearing = second.await.unwrap();
    assert!(!begins());
    let deleted = async {
        while holdings.cleared.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        drop(clearing);
    };
    futures::join!(holdings.hold(&here, BlobKnowledge::Complete), deleted);
    assert!(holdings.clear(&here, &[]).await.is_none());
    holdings.release(&here).await;
    assert!(holdings.clear(&here, &[]).await.is_some());
}
