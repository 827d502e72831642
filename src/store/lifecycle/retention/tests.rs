use std::sync::Arc;

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use crate::{
    oci::{Digest, Repository},
    store::{
        ChangeKind, Check, EndedRun, NewChange, RunCounts, RunResult, Store, StoreEvent,
        StoreWriter, TagKey, Upkeep, lifecycle::retention::*,
    },
};

struct RetentionBench {
    _folder: tempfile::TempDir,
    store: Store,
    recorder: StoreWriter,
    now: i64,
}

async fn bench() -> RetentionBench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    RetentionBench {
        _folder: folder,
        store,
        recorder,
        now: Utc::now().timestamp(),
    }
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn repository(name: &str) -> Repository {
    format!("m.example.com/{name}").parse().unwrap()
}

impl RetentionBench {
    async fn record(&self, facts: impl IntoIterator<Item = StoreEvent>) {
        for fact in facts {
            self.recorder.record(fact).await;
        }
        self.recorder.flush().await;
        let failure = self.recorder.failure();
        assert!(failure.is_none(), "{failure:?}");
    }

    /// Thins the store after so many days.
    async fn thin_after(&self, days: i64) {
        let now = self.now + days * DAY;
        self.record([StoreEvent::Upkeep(Upkeep::Thinned { now })])
            .await;
    }

    /// A tag of a mirror, in a repository of the mirror's name, that stands for an image.
    fn mirrored(&self, mirror: &str, image: &str) -> StoreEvent {
        let key = TagKey {
            source_tag: None,
            mirror: mirror.into(),
            source: "quay.io/a/b".parse().unwrap(),
            target: repository(mirror),
            tag: "1".parse().unwrap(),
        };
        let (source, written) = (digest(image), digest(image));
        StoreEvent::Mirrored {
            key,
            source,
            written,
            shape: String::new(),
            at: self.now,
            is_new: true,
        }
    }

    /// A run of a mirror that began and ended at a moment.
    async fn run(&self, mirror: &str, at: i64) {
        let mirror: Arc<str> = mirror.into();
        let run = self.recorder.begin_run(&mirror, None, at).await.unwrap();
        let ended = EndedRun {
            run,
            at,
            result: RunResult::Ok,
            counts: RunCounts::default(),
            targets: Vec::new(),
            error: None,
        };
        self.record([StoreEvent::RunEnded(ended)]).await;
    }

    async fn knows_age(&self, image: &str) -> bool {
        let age = self.store.created(&digest(image)).await.unwrap();
        age.is_some()
    }
}

#[tokio::test]
async fn untagged_image_expires() {
    let bench = bench().await;
    bench.record([bench.mirrored("m", "kept")]).await;
    for image in ["kept", "left"] {
        let (image, at) = (digest(image), Some(7));
        bench.record([StoreEvent::Created { image, at }]).await;
    }
    bench.thin_after(170).await;
    assert!(bench.knows_age("left").await);
    bench.thin_after(190).await;
    assert!(!bench.knows_age("left").await && bench.knows_age("kept").await);
}

#[tokio::test]
async fn unused_age_expires_after_a_month() {
    let bench = bench().await;
    let (image, at) = (digest("old"), None);
    bench.record([StoreEvent::Created { image, at }]).await;
    let is_fading = async || {
        let age = bench.store.created(&digest("old")).await.unwrap();
        age.unwrap().is_fading
    };
    assert!(!is_fading().await);
    let path = bench._folder.path().join("state.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut db = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("UPDATE images SET named_at = named_at - 31 * 24 * 3600")
        .execute(&mut db)
        .await
        .unwrap();
    assert!(is_fading().await);
}

#[tokio::test]
async fn unused_repository_forgets_its_blobs() {
    let bench = bench().await;
    for name in ["alive", "gone"] {
        let here = || repository(name);
        let doubt = Check::Suspect(here(), digest("wrong"));
        let facts = [
            StoreEvent::Empty(here()),
            StoreEvent::Holds(here(), digest("blob")),
            bench.mirrored(name, name),
            StoreEvent::Check(doubt),
        ];
        bench.record(facts).await;
        bench.run(name, bench.now).await;
    }
    let state = async |name| {
        let state = bench.store.repository(&repository(name)).await.unwrap();
        let doubts = bench.store.doubts(&repository(name)).await.unwrap();
        (state.is_complete, state.has_blobs, doubts.len())
    };
    bench.run("alive", bench.now + 120 * DAY).await;
    assert_eq!(state("gone").await, (true, true, 1));
    bench.run("alive", bench.now + 300 * DAY).await;
    assert_eq!(state("alive").await, (true, true, 1));
    assert_eq!(state("gone").await, (false, false, 1));
}

#[tokio::test]
async fn the_end_of_a_run_thins_the_store_once_a_day() {
    let bench = bench().await;
    let (first, hour) = (bench.now + 200 * DAY, 3600);
    for (image, at, is_left) in [
        ("a", first, false),
        ("b", first + hour, true),
        ("c", first + DAY - 1, true),
        ("d", first + DAY, false),
    ] {
        let made = StoreEvent::Created {
            image: digest(image),
            at: Some(7),
        };
        bench.record([made]).await;
        bench.run("m", at).await;
        assert_eq!(bench.knows_age(image).await, is_left, "{image}");
    }
}

#[tokio::test]
async fn changes_of_a_mirror_are_bounded() {
    let bench = bench().await;
    let change = |mirror: &str, tag: i64| {
        let tag: crate::oci::Tag = format!("v{tag}").parse().unwrap();
        StoreEvent::Changed(NewChange {
            key: TagKey {
                mirror: Arc::from(mirror),
                source: repository("source"),
                target: repository("target"),
                source_tag: Some(tag.clone()),
                tag,
            },
            kind: ChangeKind::New,
            old: None,
            new: Some(digest("new")),
            at: bench.now,
        })
    };
    let many = (0..CHANGES + 5).map(|tag| change("many", tag));
    bench.record(many.chain([change("few", 0)])).await;
    bench.thin_after(0).await;
    let kept = async |mirror| {
        let changes = bench.store.changes(Some(mirror), 0, i64::MAX, i64::MAX);
        changes.await.unwrap()
    };
    let many = kept("many").await;
    assert_eq!(many.len() as i64, CHANGES);
    assert_eq!(many[0].tag, format!("v{}", CHANGES + 4));
    assert_eq!(kept("few").await.len(), 1);
}
