mod behind;
mod clock;
#[cfg(test)]
mod closing;
#[cfg(test)]
mod sums;
#[cfg(test)]
mod upgrade;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::oci::{Digest, Repository};

/// Later than all that tests note.
const NOW: i64 = 1_000_000;

/// A store of its own.
pub(crate) struct Bench {
    _folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) recorder: StoreWriter,
}

pub(crate) async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let (store, recorder) = Store::open(&folder.path().join("state.db"), CancellationToken::new())
        .await
        .unwrap();
    Bench {
        _folder: folder,
        store,
        recorder,
    }
}

fn key(tag: &str) -> TagKey {
    TagKey {
        mirror: Arc::from("m"),
        source: "quay.io/a/b".parse().unwrap(),
        target: target(),
        tag: tag.parse().unwrap(),
        source_tag: None,
    }
}

fn target() -> Repository {
    "m.example.com/a/b".parse().unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

#[tokio::test]
async fn store_files_are_private() {
    let bench = bench().await;
    bench.record([]).await;
    for entry in std::fs::read_dir(bench._folder.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(private_file::mode(&path), 0o600, "{}", path.display());
    }
}

impl Bench {
    pub(crate) async fn record(&self, facts: impl IntoIterator<Item = StoreEvent>) {
        for fact in facts {
            self.recorder.record(fact).await;
        }
        self.recorder.flush().await;
        assert!(
            self.recorder.failure().is_none(),
            "{:?}",
            self.recorder.failure()
        );
    }

    async fn tag(&self, tag: &str) -> TagRecord {
        self.store
            .tags(&target())
            .await
            .unwrap()
            .remove(&tag.parse().unwrap())
            .unwrap()
    }
}

fn seen(content: &str, at: i64) -> StoreEvent {
    StoreEvent::Seen {
        key: key("1"),
        seen: digest(content),
        verdict: Verdict::Differs,
        at,
    }
}

fn check(content: &str, verdict: Verdict, at: i64) -> StoreEvent {
    StoreEvent::Seen {
        key: key("1"),
        seen: digest(content),
        verdict,
        at,
    }
}

fn mirrored(content: &str, at: i64) -> StoreEvent {
    let (source, written) = (digest(content), digest(content));
    StoreEvent::Mirrored {
        key: key("1"),
        source,
        written,
        shape: String::new(),
        at,
        is_new: true,
    }
}

#[tokio::test]
async fn lag_lasts_from_difference_to_equality() {
    let bench = bench().await;
    bench.record([seen("x", 100)]).await;
    assert_eq!(bench.tag("1").await.lagging_since, Some(100));
    bench.record([seen("y", 200)]).await;
    assert_eq!(bench.tag("1").await.lagging_since, Some(100));
    bench.record([mirrored("y", 210)]).await;
    assert_eq!(bench.tag("1").await.lagging_since, None);
    bench
        .record([seen("z", 300), check("y", Verdict::Equal, 400)])
        .await;
    assert_eq!(bench.tag("1").await.lagging_since, None);
}

#[tokio::test]
async fn unreachable_target_keeps_lag() {
    let bench = bench().await;
    bench
        .record([mirrored("x", 100), check("x", Verdict::Unknown, 200)])
        .await;
    assert_eq!(bench.tag("1").await.lagging_since, None);
    bench
        .record([
            check("y", Verdict::Unknown, 300),
            check("y", Verdict::Unknown, 400),
        ])
        .await;
    assert_eq!(bench.tag("1").await.lagging_since, Some(300));
}

#[tokio::test]
async fn a_heal_that_keeps_failing_lags_since_the_loss() {
    let bench = bench().await;
    let failed = |at| StoreEvent::Failed {
        key: key("1"),
        class: "network",
        message: "no".into(),
        at,
    };
    bench
        .record([mirrored("x", 100), seen("x", 200), failed(201)])
        .await;
    bench.record([seen("x", 300), failed(301)]).await;
    assert_eq!(bench.tag("1").await.lagging_since, Some(200));
}

#[tokio::test]
async fn a_source_that_cannot_be_asked_is_no_lag() {
    let bench = bench().await;
    let failed = StoreEvent::Failed {
        key: key("1"),
        class: "network",
        message: "no".into(),
        at: 200,
    };
    bench.record([mirrored("x", 100), failed]).await;
    assert_eq!(bench.tag("1").await.lagging_since, None);
}

#[tokio::test]
async fn a_failure_keeps_the_lag_and_tells_why() {
    let bench = bench().await;
    let message = "pull manifest: denied".to_owned();
    let failed = StoreEvent::Failed {
        key: key("1"),
        class: "denied",
        message,
        at: 150,
    };
    bench.record([seen("x", 100), failed]).await;
    let behind = bench.store.behind("m", 10).await.unwrap();
    assert_eq!((behind.len(), behind[0].lagging_since), (1, 100));
    assert_eq!(behind[0].error_class.as_deref(), Some("denied"));
    let state = bench.store.standing("m", 1, NOW).await.unwrap().targets;
    assert_eq!((state[0].behind, state[0].failed), (1, 1));
    assert_eq!(state[0].lagging_since, Some(100));
}

#[tokio::test]
async fn an_orphan_is_kept_and_does_not_lag() {
    let bench = bench().await;
    let released = |tag: &str| {
        StoreEvent::Released(Release {
            repository: target(),
            tag: tag.parse().unwrap(),
            mirror: Arc::from("m"),
            is_orphaned: true,
            is_asked_for: false,
        })
    };
    let never = StoreEvent::Seen {
        key: key("2"),
        seen: digest("x"),
        verdict: Verdict::Differs,
        at: 1,
    };
    bench
        .record([
            mirrored("x", 100),
            seen("y", 200),
            never,
            released("1"),
            released("2"),
        ])
        .await;
    let tag = bench.tag("1").await;
    assert_eq!((tag.lagging_since, tag.is_orphaned), (None, true));
    assert_eq!(bench.store.tags(&target()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_repository_holds_is_known_until_it_is_lost() {
    let bench = bench().await;
    let other: Repository = "m.example.com/c".parse().unwrap();
    let blob = digest("blob");
    let holds = |r: &Repository| StoreEvent::Holds(r.clone(), blob.clone());
    bench
        .record([StoreEvent::Empty(target()), holds(&target()), holds(&other)])
        .await;
    let registry = target().registry().clone();
    let holders = bench.store.holders(&registry, &blob, &other).await.unwrap();
    assert_eq!(holders, [other.clone(), target()]);
    let state = bench.store.repository(&target()).await.unwrap();
    assert_eq!(
        state,
        RepositoryState {
            is_complete: true,
            has_blobs: true
        }
    );
    bench
        .record([
            StoreEvent::Lost(target()),
            StoreEvent::Lacks(other.clone(), blob.clone()),
        ])
        .await;
    assert!(
        bench
            .store
            .holders(&registry, &blob, &other)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        bench.store.repository(&target()).await.unwrap(),
        RepositoryState::default()
    );
}

#[tokio::test]
async fn a_run_that_never_ended_is_no_success() {
    let bench = bench().await;
    let mirror: Arc<str> = "m".into();
    let first = bench.recorder.begin_run(&mirror, None, 10).await.unwrap();
    let counts = RunCounts {
        copied: 3,
        ..RunCounts::default()
    };
    bench
        .record([StoreEvent::RunEnded(EndedRun {
            run: first,
            at: 20,
            result: RunResult::Ok,
            counts,
            targets: Vec::new(),
            error: None,
        })])
        .await;
    let second = bench.recorder.begin_run(&mirror, None, 30).await.unwrap();
    let standing = bench.store.standing("m", 1, NOW).await.unwrap();
    assert_eq!(
        (standing.runs[0].id, standing.last_success),
        (second, Some(20))
    );
}

#[tokio::test]
async fn targets_are_in_sync_each_by_itself() {
    let bench = bench().await;
    let mirror: Arc<str> = "m".into();
    let registry = target().registry().to_string();
    for (at, failed) in [(10, 0), (20, 0), (30, 1)] {
        let run = bench.recorder.begin_run(&mirror, None, at).await.unwrap();
        let here = TargetCounts {
            registry: registry.clone(),
            failed,
            ..TargetCounts::default()
        };
        let dead = TargetCounts {
            registry: "dead.example".into(),
            failed: 1,
            ..here.clone()
        };
        let (counts, targets) = (RunCounts::default(), vec![here, dead]);
        let ended = StoreEvent::RunEnded(EndedRun {
            run,
            at,
            result: RunResult::Partial,
            counts,
            targets,
            error: None,
        });
        bench.record([mirrored("x", at), ended]).await;
    }
    let state = bench.store.standing("m", 1, NOW).await.unwrap().targets;
    let here = state
        .iter()
        .find(|target| target.registry == registry)
        .unwrap();
    assert_eq!((here.last_in_sync, here.failures), (Some(20), 1));
    let dead = state
        .iter()
        .find(|target| target.registry == "dead.example")
        .unwrap();
    assert_eq!((dead.last_in_sync, dead.failures), (None, 3));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(&folder.path().join("no/state.db"), CancellationToken::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("make the folder"), "{error}");
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    recorder.close().await.unwrap();
    store.readers.close().await;
    let url = format!("sqlite://{}", path.display());
    let db = SqlitePool::connect(&url).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', 1, x'00', 0)")
        .execute(&db).await.unwrap();
    db.close().await;
    let error = Store::open(&path, CancellationToken::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("newer version"), "{error}");
}

#[tokio::test]
async fn a_full_disk_ends_the_recording_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    recorder.close().await.unwrap();
    let mut db: SqliteConnection = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    let stop = CancellationToken::new();
    sqlx::query("PRAGMA max_page_count = 1")
        .execute(&mut db)
        .await
        .unwrap();
    let recorder = StoreWriter::start(db, store.readers, StoreFailure::new(&path, stop.clone()));
    for n in 0..2000 {
        recorder
            .record(StoreEvent::Holds(target(), digest(&n.to_string())))
            .await;
    }
    stop.cancelled().await;
    let error = recorder.close().await.unwrap_err().to_string();
    assert!(
        error.contains("full") && error.contains("free some space"),
        "{error}"
    );
}

#[tokio::test]
async fn what_an_image_says_of_its_age_is_kept_by_digest() {
    let bench = bench().await;
    let created = |content: &str, at| StoreEvent::Created {
        image: digest(content),
        at,
    };
    bench
        .record([created("x", Some(7)), created("y", None)])
        .await;
    let known = async |content: &str| {
        let age = bench.store.created(&digest(content)).await.unwrap();
        age.map(|age| age.created)
    };
    assert_eq!(known("x").await, Some(Some(7)));
    assert_eq!(known("y").await, Some(None));
    assert_eq!(known("z").await, None);
}

#[tokio::test]
async fn history_is_thinned_and_keeps_the_last() {
    let bench = bench().await;
    let day = 24 * 3600;
    let now = 200 * day;
    let mirror: Arc<str> = "m".into();
    for (age, copied) in [(150, 0), (120, 3), (60, 0), (60, 3), (20, 0), (1, 0)] {
        let at = now - age * day;
        let run = bench.recorder.begin_run(&mirror, None, at).await.unwrap();
        let counts = RunCounts {
            copied,
            ..RunCounts::default()
        };
        let ended = EndedRun {
            run,
            at,
            result: RunResult::Ok,
            counts,
            targets: Vec::new(),
            error: None,
        };
        bench.record([StoreEvent::RunEnded(ended)]).await;
    }
    let thinned = StoreEvent::Upkeep(Upkeep::Thinned { now });
    bench.record([thinned]).await;
    let runs = bench.store.runs(Some("m"), 10).await.unwrap();
    let ages: Vec<i64> = runs.iter().map(|r| (now - r.started_at) / day).collect();
    assert_eq!(ages, [1, 60]);
}

#[tokio::test]
async fn a_run_that_was_killed_is_told_apart_from_one_under_way() {
    let bench = bench().await;
    let mirror: Arc<str> = "m".into();
    let begin = || bench.recorder.begin_run(&mirror, None, 10);
    begin().await.unwrap();
    bench.record([StoreEvent::Upkeep(Upkeep::Abandoned)]).await;
    begin().await.unwrap();
    let runs = bench.store.runs(Some("m"), 10).await.unwrap();
    let results: Vec<_> = runs.iter().map(|run| run.result).collect();
    assert_eq!(results, [None, Some(RunResult::Interrupted)]);
}

#[tokio::test]
async fn trouble_is_kept_until_it_is_over() {
    let bench = bench().await;
    let alarm = AlarmRecord {
        topic: "lag".into(),
        subject: "m".into(),
        since: 7,
        message: "m lags".into(),
    };
    bench
        .record([StoreEvent::Upkeep(Upkeep::Raised(alarm.clone()))])
        .await;
    assert_eq!(bench.store.alarms().await.unwrap(), [alarm]);
    let cleared = Upkeep::Cleared("lag".into(), "m".into());
    bench.record([StoreEvent::Upkeep(cleared)]).await;
    assert_eq!(bench.store.alarms().await.unwrap(), []);
}

#[tokio::test]
async fn the_size_of_what_is_behind_is_what_is_known_of_it() {
    let bench = bench().await;
    let sized = |content: &str, bytes| StoreEvent::Sized(digest(content), bytes);
    bench
        .record([mirrored("x", 100), sized("x", 1000), sized("y", 2000)])
        .await;
    let targets = bench.store.sizes("m").await.unwrap();
    assert_eq!((targets[0].size_bytes, targets[0].pending_bytes), (1000, 0));
    bench.record([seen("y", 200)]).await;
    let targets = bench.store.sizes("m").await.unwrap();
    assert_eq!(
        (targets[0].size_bytes, targets[0].pending_bytes),
        (1000, 2000)
    );
}
