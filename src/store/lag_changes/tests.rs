use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreEvent, StoreWriter, Upkeep, lag_changes::*};

const NOW: i64 = 1_795_000_000;

async fn open(folder: &tempfile::TempDir) -> (Store, StoreWriter) {
    let path = folder.path().join("state.db");
    Store::open(&path, CancellationToken::new()).await.unwrap()
}

async fn changed(writer: &StoreWriter, at: i64, lagging_since: Option<i64>) {
    let change = LagChange {
        mirror: "app".into(),
        at,
        lagging_since,
        is_known: true,
    };
    let event = StoreEvent::Upkeep(Upkeep::LagChanged(change));
    writer.record(event).await;
}

async fn times(store: &Store, from: i64) -> Vec<i64> {
    let changes = store.lag_changes("app", from).await.unwrap();
    changes.iter().map(|change| change.at).collect()
}

#[tokio::test]
async fn history_starts_with_what_holds_then() {
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = open(&folder).await;
    assert_eq!(times(&store, 0).await, [0; 0]);
    for at in [100, 200, 300] {
        changed(&writer, at, Some(at)).await;
    }
    writer.flush().await;
    assert_eq!(times(&store, 250).await, [200, 300]);
    assert_eq!(times(&store, 200).await, [200, 300]);
    assert_eq!(times(&store, 50).await, [100, 200, 300]);
    assert_eq!(times(&store, 999).await, [300]);
    let last = store.last_lag_changes().await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].at, 300);
}

#[tokio::test]
async fn old_history_is_thinned() {
    let folder = tempfile::tempdir().unwrap();
    let (store, writer) = open(&folder).await;
    let hour = (NOW - 10 * DAY) / 3600 * 3600;
    for (at, since) in [
        // Two that are too old, of which the last holds at the start of what is kept.
        (NOW - 60 * DAY, None),
        (NOW - 40 * DAY, Some(NOW - 40 * DAY)),
        // An hour of ten days ago: its worst and its last stay.
        (hour, Some(hour - 50)),
        (hour + 100, None),
        (hour + 200, Some(hour - 900)),
        (hour + 300, None),
        (hour + 400, Some(hour + 400)),
        (hour + 500, None),
        // Of yesterday all stay.
        (NOW - DAY, Some(NOW - DAY)),
        (NOW - DAY + 10, None),
    ] {
        changed(&writer, at, since).await;
    }
    let thinned = StoreEvent::Upkeep(Upkeep::Thinned { now: NOW });
    writer.record(thinned).await;
    writer.flush().await;
    let kept = [
        NOW - 40 * DAY,
        hour + 200,
        hour + 500,
        NOW - DAY,
        NOW - DAY + 10,
    ];
    assert_eq!(times(&store, 0).await, kept);
}
