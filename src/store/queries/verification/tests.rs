use tokio_util::sync::CancellationToken;

use crate::store::{Pruning, StoreEvent, StoreWriter, TagKey, queries::verification::*};

struct VerificationBench {
    _folder: tempfile::TempDir,
    store: Store,
    recorder: StoreWriter,
}

async fn bench(facts: impl IntoIterator<Item = StoreEvent>) -> VerificationBench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    let bench = VerificationBench {
        _folder: folder,
        store,
        recorder,
    };
    bench.record(facts).await;
    bench
}

impl VerificationBench {
    async fn record(&self, facts: impl IntoIterator<Item = StoreEvent>) {
        for fact in facts {
            self.recorder.record(fact).await;
        }
        self.recorder.flush().await;
        let failure = self.recorder.failure();
        assert!(failure.is_none(), "{failure:?}");
    }

    async fn due(&self, due: i64, limit: i64) -> Vec<String> {
        let tags = self.store.written_tags("m", None, due, limit).await;
        let tags = tags.unwrap().into_iter();
        tags.map(|tag| tag.tag.to_string()).collect()
    }

    async fn doubted(&self, name: &str) -> usize {
        let doubts = self.store.doubts(&repository(name)).await;
        doubts.unwrap().len()
    }
}

fn repository(name: &str) -> Repository {
    format!("m.example.com/{name}").parse().unwrap()
}

fn blob() -> Digest {
    Digest::of(b"blob")
}

fn mirrored(tag: &str, at: i64) -> StoreEvent {
    StoreEvent::Mirrored {
        key: TagKey {
            source_tag: None,
            mirror: "m".into(),
            source: "quay.io/a/b".parse().unwrap(),
            target: repository("a"),
            tag: tag.parse().unwrap(),
        },
        source: blob(),
        written: blob(),
        shape: String::new(),
        at,
        is_new: true,
    }
}

fn examined(tag: &str, at: i64, is_damaged: bool) -> StoreEvent {
    StoreEvent::Check(Check::Examined {
        repository: repository("a"),
        tag: tag.parse().unwrap(),
        at,
        is_damaged,
    })
}

#[tokio::test]
async fn wrong_bytes_are_suspect_everywhere() {
    let elsewhere: Repository = "other.example.com/a".parse().unwrap();
    let bench = bench([
        StoreEvent::Holds(repository("a"), blob()),
        StoreEvent::Holds(repository("b"), blob()),
        StoreEvent::Holds(elsewhere.clone(), blob()),
        StoreEvent::Check(Check::Corrupt(repository("a"), blob())),
    ])
    .await;
    assert_eq!((bench.doubted("a").await, bench.doubted("b").await), (1, 1));
    assert_eq!(bench.store.doubts(&elsewhere).await.unwrap(), []);
    let here = repository("a");
    let holders = bench.store.holders(here.registry(), &blob(), &here).await;
    assert_eq!(holders.unwrap(), []);
    // That something stands there, or was sent, says nothing of its bytes.
    bench
        .record([StoreEvent::Holds(repository("b"), blob())])
        .await;
    assert_eq!((bench.doubted("a").await, bench.doubted("b").await), (1, 1));
    let holders = bench.store.holders(here.registry(), &blob(), &here).await;
    assert_eq!(holders.unwrap(), []);
    let proven = Check::Verified(repository("b"), blob());
    bench.record([StoreEvent::Check(proven)]).await;
    assert_eq!((bench.doubted("a").await, bench.doubted("b").await), (1, 0));
    let holders = bench.store.holders(here.registry(), &blob(), &here).await;
    assert_eq!(holders.unwrap(), [repository("b")]);
}

#[tokio::test]
async fn unaware_write_keeps_damage() {
    let doubt = StoreEvent::Check(Check::Suspect(repository("a"), blob()));
    let bench = bench([mirrored("1", 10), doubt, examined("1", 20, true)]).await;
    let is_damaged = async || {
        let tags = bench.store.tags(&repository("a")).await.unwrap();
        tags[&"1".parse().unwrap()].is_damaged
    };
    bench.record([mirrored("1", 30)]).await;
    assert!(is_damaged().await);
    let proven = StoreEvent::Check(Check::Verified(repository("a"), blob()));
    bench.record([proven, mirrored("1", 40)]).await;
    assert!(!is_damaged().await);
}

#[tokio::test]
async fn what_was_damaged_stays_so_until_it_is_written_anew() {
    let bench = bench([
        mirrored("1", 10),
        examined("1", 20, true),
        examined("1", 30, false),
    ])
    .await;
    let record = async || {
        let tags = bench.store.tags(&repository("a")).await.unwrap();
        tags[&"1".parse().unwrap()].clone()
    };
    assert!(record().await.is_damaged);
    let prunable = Pruning::Prunable {
        repository: repository("a"),
        tag: "1".parse().unwrap(),
        since: Some(35),
    };
    bench.record([StoreEvent::Pruning(prunable)]).await;
    assert_eq!(record().await.prunable_since, Some(35));
    bench.record([mirrored("1", 40)]).await;
    assert!(!record().await.is_damaged);
    assert_eq!(record().await.prunable_since, None);
}

#[tokio::test]
async fn tags_are_due_those_looked_at_longest_ago_first() {
    let bench = bench([
        mirrored("late", 50),
        mirrored("early", 10),
        mirrored("examined", 5),
        examined("examined", 30, false),
    ])
    .await;
    assert_eq!(bench.due(100, -1).await, ["early", "examined", "late"]);
    assert_eq!(bench.due(30, -1).await, ["early", "examined"]);
    assert_eq!(bench.due(100, 1).await, ["early"]);
}

#[tokio::test]
async fn a_round_of_readings_begins_and_ends() {
    let began = Check::RoundBegan {
        mirror: "m".into(),
        at_ms: 7,
    };
    let registry = repository("a").registry().clone();
    let read = |at_ms, is_wrong| {
        StoreEvent::Check(Check::Read {
            registry: registry.clone(),
            digest: blob(),
            at_ms,
            is_wrong,
        })
    };
    let bench = bench([StoreEvent::Check(began), read(8, true), read(9, false)]).await;
    assert_eq!(bench.store.round("m").await.unwrap(), Some(7));
    let reading = bench.store.reading(&registry, &blob()).await.unwrap();
    let expected = Reading {
        at_ms: 9,
        is_wrong: false,
    };
    assert_eq!(reading, Some(expected));
    let ended = StoreEvent::Check(Check::RoundEnded("m".into()));
    bench.record([ended]).await;
    assert_eq!(bench.store.round("m").await.unwrap(), None);
}
