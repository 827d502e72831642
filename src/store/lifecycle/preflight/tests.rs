use std::fs;

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokio_util::sync::CancellationToken;

use crate::store::lifecycle::preflight::*;

async fn unusable(path: &Path) -> String {
    let unusable = Store::unusable(path).await;
    unusable.map_or_else(String::new, |error| error.to_string())
}

#[tokio::test]
async fn preflight_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    assert_eq!(unusable(&path).await, "");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    assert_eq!(unusable(&path).await, "");
    drop(store);
    recorder.close().await.unwrap();
    assert_eq!(unusable(&path).await, "");
}

/// A store as it is before its last migrations, with or without a run.
async fn old(path: &Path, run: Option<&str>) {
    let (store, recorder) = Store::open(path, CancellationToken::new()).await.unwrap();
    if let Some(mirror) = run {
        recorder.begin_run(&mirror.into(), None, 1).await.unwrap();
    }
    drop(store);
    recorder.close().await.unwrap();
    let options = SqliteConnectOptions::new().filename(path);
    let mut db = options.connect().await.unwrap();
    let back = "DELETE FROM _sqlx_migrations WHERE version > 1";
    sqlx::raw_sql(back).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn older_store_names_its_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    old(&path, Some("app")).await;
    let error = Store::open_existing(&path).await.unwrap_err().to_string();
    assert!(
        error.contains("an older version") && error.contains("transship sync"),
        "{error}"
    );
    assert_eq!(unusable(&path).await, "");
}

#[tokio::test]
async fn a_store_that_is_being_made_holds_nothing_yet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    old(&path, None).await;
    assert!(Store::open_existing(&path).await.unwrap().is_none());
    let mut db = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    let first = "PRAGMA foreign_keys = OFF; DELETE FROM _sqlx_migrations; DROP TABLE runs";
    sqlx::raw_sql(first).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    assert!(Store::open_existing(&path).await.unwrap().is_none());
}

#[tokio::test]
async fn what_would_fail_a_sync_is_told_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let missing = unusable(&folder.path().join("no/where/state.db")).await;
    assert!(
        missing.contains("no folder") && missing.contains("mkdir -p"),
        "{missing}"
    );
    let blocker = folder.path().join("blocker");
    fs::write(&blocker, "a file").unwrap();
    let below = unusable(&blocker.join("state.db")).await;
    assert!(below.contains("no folder"), "{below}");
    let itself = unusable(folder.path()).await;
    assert!(itself.contains("it is a folder"), "{itself}");
    let text = unusable(&blocker).await;
    assert!(text.contains("the file is a text and no store"), "{text}");
}
