//! A store that an earlier version wrote is opened, and keeps its rows.

use sqlx::migrate::Migrator;

use super::*;

/// The last migration of version 0.1 before checks had errors of their own.
const EARLIER: i64 = 11;

const ROWS: &str = "
INSERT INTO repositories (id, registry, path, is_complete, named_at)
    VALUES (1, 'm.example.com', 'a/b', 1, 7);
INSERT INTO tags (repository_id, tag, mirror, source, seen_digest, source_digest, written_digest,
                  mirrored_at, checked_at)
    VALUES (1, 'v1', 'm', 'quay.io/a/b', 'DIGEST', 'DIGEST', 'DIGEST', 50, 60);
INSERT INTO runs (id, mirror, started_at, finished_at, result, copied, is_checked)
    VALUES (1, 'm', 40, 60, 'ok', 1, 1);
INSERT INTO run_targets (run_id, registry, unchanged, copied, failed)
    VALUES (1, 'm.example.com', 0, 1, 0);
INSERT INTO alarms (topic, subject, since, message) VALUES ('lag', 'm', 30, 'm lags');
INSERT INTO dialects (registry, takes_parts, largest_body, learned_at)
    VALUES ('m.example.com', 1, 1000, 20);
";

/// Writes the store as the earlier version did.
async fn write_earlier(path: &Path) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let pool = SqlitePoolOptions::new()
        .connect_with(options)
        .await
        .unwrap();
    let all = migrations();
    let earlier = all.iter().filter(|one| one.version <= EARLIER).cloned();
    let earlier = Migrator::with_migrations(earlier.collect());
    assert_eq!(earlier.iter().count(), 11);
    assert!(all.iter().count() > 11, "nothing is upgraded");
    earlier.run(&pool).await.unwrap();
    let rows = ROWS.replace("DIGEST", &digest("image").to_string());
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows))
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

#[tokio::test]
async fn upgrade_keeps_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    write_earlier(&path).await;
    // A reader leaves the upgrade to whoever writes.
    let read = Store::open_existing(&path).await;
    assert!(matches!(read, Err(Error::Old { .. })), "{read:?}");
    let (store, _writer) = Store::open(&path, CancellationToken::new()).await.unwrap();
    let tags = store.tags(&target()).await.unwrap();
    let tag = &tags[&"v1".parse().unwrap()];
    assert_eq!(tag.source_repository, "quay.io/a/b");
    assert_eq!(tag.source, Some(digest("image")));
    let standing = store.standing("m", 5, 100).await.unwrap();
    assert_eq!(
        (standing.last_checked, standing.last_success),
        (Some(40), Some(60))
    );
    assert_eq!(standing.runs.len(), 1);
    assert_eq!(standing.targets.len(), 1);
    let look = store.last_look("m").await.unwrap().unwrap();
    assert!(look.is_checked && look.selection.is_none());
    let alarms = store.alarms().await.unwrap();
    assert_eq!(alarms[0].message, "m lags");
    assert_eq!(store.dialects().await.unwrap().len(), 1);
}
