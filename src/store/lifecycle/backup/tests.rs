use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::store::StoreWriter;

async fn open(path: &Path) -> (Store, StoreWriter) {
    Store::open(path, CancellationToken::new()).await.unwrap()
}

/// Begins and ends nothing but a run, which is a row.
async fn begin_run(writer: &StoreWriter) -> i64 {
    writer.begin_run(&"m".into(), None, 1).await.unwrap()
}

async fn close(store: Store, writer: StoreWriter) {
    writer.close().await.unwrap();
    store.readers.close().await;
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[tokio::test]
async fn backs_up_a_store_that_is_written_to() {
    let folder = Folder::new();
    let (path, copy) = (folder.path("state.db"), folder.path("copy.db"));
    let (store, writer) = open(&path).await;
    assert_eq!(begin_run(&writer).await, 1);
    let bytes = Store::back_up(&path, &copy).await.unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().len(), bytes);
    assert_eq!(private_file::mode(&copy), 0o600);
    assert_eq!(begin_run(&writer).await, 2);
    close(store, writer).await;

    let (store, writer) = open(&copy).await;
    assert_eq!(
        begin_run(&writer).await,
        2,
        "the copy holds the first run only"
    );
    close(store, writer).await;
}

#[tokio::test]
async fn restored_store_holds_what_was_backed_up() {
    let folder = Folder::new();
    let (path, copy) = (folder.path("state.db"), folder.path("copy.db"));
    let (store, writer) = open(&path).await;
    begin_run(&writer).await;
    Store::back_up(&path, &copy).await.unwrap();
    begin_run(&writer).await;
    close(store, writer).await;

    let replaced = Store::restore(&copy, &path).await.unwrap().unwrap();
    let (store, writer) = open(&path).await;
    assert_eq!(begin_run(&writer).await, 2);
    close(store, writer).await;
    let (store, writer) = open(&replaced).await;
    assert_eq!(begin_run(&writer).await, 3, "the old store is kept");
    close(store, writer).await;
}

#[tokio::test]
async fn backup_overwrites_no_file() {
    let folder = Folder::new();
    let (path, copy) = (folder.path("state.db"), folder.path("notes.txt"));
    let (store, writer) = open(&path).await;
    fs::write(&copy, "mine").unwrap();
    let refused = Store::back_up(&path, &copy).await.unwrap_err();
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
    assert_eq!(fs::read_to_string(&copy).unwrap(), "mine");
    close(store, writer).await;
}

#[tokio::test]
async fn damaged_backup_is_refused_and_the_store_stays() {
    let folder = Folder::new();
    let (path, copy) = (folder.path("state.db"), folder.path("copy.db"));
    let (store, writer) = open(&path).await;
    begin_run(&writer).await;
    Store::back_up(&path, &copy).await.unwrap();
    close(store, writer).await;
    let mut bytes = fs::read(&copy).unwrap();
    bytes[8192..].fill(0xa5);
    fs::write(&copy, bytes).unwrap();

    Store::restore(&copy, &path).await.unwrap_err();
    let (store, writer) = open(&path).await;
    assert_eq!(begin_run(&writer).await, 2);
    close(store, writer).await;
}

#[tokio::test]
async fn missing_store_makes_no_backup() {
    let folder = Folder::new();
    let copy = folder.path("copy.db");
    let refused = Store::back_up(&folder.path("state.db"), &copy)
        .await
        .unwrap_err();
    assert!(matches!(refused, BackupError::NoStore(_)), "{refused}");
    assert!(!copy.exists());
}
