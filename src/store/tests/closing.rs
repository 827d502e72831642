//! Tests of how a store is closed, and of one that another process holds.

use std::{fs, path::Path};

use sqlx::Executor as _;
use tokio_util::sync::CancellationToken;

use crate::store::*;

fn run(at: i64) -> StoreEvent {
    StoreEvent::Upkeep(Upkeep::Reported {
        day: at.to_string(),
        at,
        body: "{}".into(),
    })
}

/// A connection of somebody else's.
async fn stranger(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    options.connect().await.unwrap()
}

/// A store whose recorder soon learns that another process holds it.
async fn impatient(path: &Path, stop: &CancellationToken) -> (Store, StoreWriter) {
    let (store, recorder) = Store::open(path, stop.clone()).await.unwrap();
    recorder.close().await.unwrap();
    let patience = Duration::from_millis(20);
    let options = SqliteConnectOptions::new().filename(path);
    let db = options.busy_timeout(patience).connect().await.unwrap();
    let failure = StoreFailure::new(path, stop.clone());
    let recorder = StoreWriter::start(db, store.readers.clone(), failure);
    (store, recorder)
}

#[tokio::test]
async fn a_store_that_is_closed_leaves_no_log_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    recorder.record(run(7)).await;
    recorder.flush().await;
    store.report_before("9", 0).await.unwrap();
    recorder.close().await.unwrap();
    let names = fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["state.db"]);
    assert!(!corruption::is_left_open(&path));
}

#[tokio::test]
async fn held_store_delays_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let stop = CancellationToken::new();
    let (_, recorder) = impatient(&path, &stop).await;
    let mut stranger = stranger(&path).await;
    stranger.execute("BEGIN EXCLUSIVE").await.unwrap();
    // The work waits once thousands wait; what goes through `note` never does.
    for at in 0..100 {
        recorder.record(run(at)).await;
    }
    recorder.flush().await;
    recorder.note(run(100));
    assert!(recorder.failure().is_none());
    stranger.execute("ROLLBACK").await.unwrap();
    recorder.close().await.unwrap();
    assert!(!stop.is_cancelled());
    let written = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM reports");
    assert_eq!(written.fetch_one(&mut stranger).await.unwrap(), 101);
}

#[tokio::test]
async fn held_store_is_given_up_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let stop = CancellationToken::new();
    let (_, recorder) = impatient(&path, &stop).await;
    let mut stranger = stranger(&path).await;
    stranger.execute("BEGIN EXCLUSIVE").await.unwrap();
    stop.cancel();
    // More than may wait: nobody is left waiting.
    for at in 0..5000 {
        recorder.record(run(at)).await;
    }
    let error = recorder.close().await.unwrap_err();
    assert!(matches!(error, Error::Held { .. }), "{error}");
    let reported = error.to_string();
    assert!(reported.contains(&path.display().to_string()), "{reported}");
    assert!(
        reported.contains("help: another process holds it"),
        "{reported}"
    );
}
