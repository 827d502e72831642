//! Tests of stores that are damaged: how that is found, and what becomes of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use crate::store::{lifecycle::corruption, *};

/// A store with something in it, which nobody uses.
async fn store_in(folder: &Path) -> PathBuf {
    let path = folder.join("state.db");
    let (_, recorder) = open(&path).await.unwrap();
    let id = recorder.begin_run(&"m".into(), None, 1).await;
    assert!(id.is_some());
    recorder.close().await.unwrap();
    path
}

async fn open(path: &Path) -> Result<(Store, StoreWriter), Error> {
    Store::open(path, CancellationToken::new()).await
}

fn damage(path: &Path, from: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[from..].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

/// The names of what stands in the folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Fails the test unless a new store takes the place of this one; tells the names of the old.
async fn assert_replaced(path: &Path) -> Vec<String> {
    let opened = Store::open_or_replace(path, CancellationToken::new()).await;
    let (store, recorder) = opened.unwrap();
    assert_eq!(recorder.begin_run(&"m".into(), None, 1).await, Some(1));
    recorder.close().await.unwrap();
    store.readers.close().await;
    assert_eq!(corruption::marked(path), None);
    open(path).await.unwrap();
    let mut names = files(path.parent().unwrap());
    names.retain(|name| name.starts_with("state.db.damaged-20"));
    assert!(!names.is_empty());
    names
}

#[tokio::test]
async fn a_store_whose_head_is_gone_is_told_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_in(folder.path()).await;
    fs::write(&path, [0; 20_000]).unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("set it aside"), "{error}");
    assert_replaced(&path).await;
}

#[tokio::test]
async fn a_store_that_is_cut_off_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_in(folder.path()).await;
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..5000]).unwrap();
    assert_replaced(&path).await;
}

#[tokio::test]
async fn unclosed_store_is_checked_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_in(folder.path()).await;
    damage(&path, 4096 * 20);
    fs::write(format!("{}-wal", path.display()), "left open").unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_replaced(&path).await;
}

#[tokio::test]
async fn corruption_ends_work_and_replaces_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_in(folder.path()).await;
    let (store, recorder) = open(&path).await.unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'dialects'";
    let root = sqlx::query_scalar::<_, i64>(root).fetch_one(&store.readers);
    let root = usize::try_from(root.await.unwrap()).unwrap();
    recorder.close().await.unwrap();
    store.readers.close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096 * (root - 1)..4096 * root].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let stop = CancellationToken::new();
    // It was closed well, so nobody looks at it first.
    let (store, recorder) = Store::open(&path, stop.clone()).await.unwrap();
    let met = store.dialects().await.err();
    assert!(matches!(met, Some(Error::Damaged { .. })), "{met:?}");
    assert!(stop.is_cancelled());
    assert!(recorder.failure().is_some());
    assert!(recorder.close().await.is_err());
    store.readers.close().await;
    assert!(corruption::marked(&path).is_some());
    fs::write(format!("{}-wal", path.display()), "its log").unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    let names = assert_replaced(&path).await;
    let log = names.iter().find(|name| name.ends_with("-wal")).unwrap();
    let log = fs::read_to_string(folder.path().join(log)).unwrap();
    assert_eq!(log, "its log", "{names:?}");
}

#[tokio::test]
async fn a_text_in_the_place_of_the_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let text = "not a database at all, but long enough to be read as one".repeat(50);
    fs::write(&path, &text).unwrap();
    let opened = Store::open_or_replace(&path, CancellationToken::new()).await;
    let error = opened.unwrap_err().to_string();
    assert!(error.contains("move it away"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(files(folder.path()), ["state.db"]);
}
