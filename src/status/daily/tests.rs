use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{
    coordination::database::{RunChange, RunSum},
    locales::Language,
    oci::{Digest, Repository, Tag},
    status::{StoredStatus, daily::*},
    store::{
        ChangeKind, EndedRun, NewChange, RunCounts, RunError, RunResult, StoreEvent, StoreWriter,
        TagKey, TargetCounts, Verdict,
    },
};

const NOW: i64 = 1_795_000_000;

struct ReportBench {
    _folder: tempfile::TempDir,
    store: Store,
    recorder: StoreWriter,
    config: Config,
}

async fn bench() -> ReportBench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    let text = "timezone = \"Asia/Shanghai\"\n[[mirror]]\nname = \"app\"\n\
                from = \"s.example/app\"\ntags = \"*\"\ntarget = \"t.example/m\"\nmax_lag = \"1h\"\n\
                schedule = \"@hourly\"";
    ReportBench {
        _folder: folder,
        store,
        recorder,
        config: Config::parse(Path::new("mirror.toml"), text).unwrap(),
    }
}

impl ReportBench {
    /// A run that ended well at a time, or left one tag failed.
    async fn run(&self, at: i64, failed: u64) {
        let run = self
            .recorder
            .begin_run(&"app".into(), None, at)
            .await
            .unwrap();
        let targets = vec![TargetCounts {
            registry: "t.example".into(),
            unchanged: 3,
            copied: 1,
            failed,
        }];
        let counts = RunCounts {
            copied: 1,
            failed,
            uploaded_bytes: 2 << 20,
            ..RunCounts::default()
        };
        let error = (failed > 0).then(|| RunError {
            class: "denied".into(),
            message: "push is denied".into(),
            reference: "s.example/app:v1".into(),
            registry: "t.example".into(),
        });
        let ended = EndedRun {
            run,
            at: at + 5,
            result: if failed > 0 {
                RunResult::Partial
            } else {
                RunResult::Ok
            },
            counts,
            targets,
            error,
        };
        self.recorder.record(StoreEvent::RunEnded(ended)).await;
    }

    async fn moved(&self, at: i64) {
        let change = NewChange {
            key: key(),
            kind: ChangeKind::Moved,
            old: Some(Digest::of(b"old")),
            new: Some(Digest::of(b"new")),
            at,
        };
        self.recorder.record(StoreEvent::Changed(change)).await;
    }

    async fn day(&self) -> Day {
        self.recorder.flush().await;
        let known = StoredStatus::read(&self.store, "app", NOW).await.unwrap();
        let status = Status {
            now: NOW,
            mirrors: vec![known.at(&self.config, &self.config.mirrors[0], NOW)],
            clusters: Vec::new(),
        };
        Day::read(&self.store, &self.config, &status, Vec::new(), None)
            .await
            .unwrap()
    }
}

fn key() -> TagKey {
    let repository = |text: &str| text.parse::<Repository>().unwrap();
    TagKey {
        source_tag: None,
        mirror: "app".into(),
        source: repository("s.example/app"),
        target: repository("t.example/m/app"),
        tag: "v1".parse::<Tag>().unwrap(),
    }
}

#[tokio::test]
async fn quiet_day_is_three_lines() {
    let bench = bench().await;
    bench.run(NOW - 1800, 0).await;
    bench.moved(NOW - 1799).await;
    let day = bench.day().await;
    let text = day.document(Detail::Brief, Language::English).to_text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("1 mirror, all in sync"), "{text}");
    let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
    let moved = format!("t.example/m/app:v1 {} -> {}", old.short(), new.short());
    assert!(lines[1].contains(&moved), "{text}");
    assert!(lines[1].contains("sent 2.0 MiB"), "{text}");
    assert!(
        lines[2].contains("next run: app at ") && lines[2].contains("Asia/Shanghai"),
        "{text}"
    );
    assert_eq!(day.mood(), Severity::Good);
}

#[tokio::test]
async fn never_synced_is_not_within_objective() {
    let bench = bench().await;
    let never_run = bench.day().await;
    bench.run(NOW - 1800, 1).await;
    let only_failed = bench.day().await;
    for day in [never_run, only_failed] {
        let text = day.document(Detail::Brief, Language::English).to_text();
        let headline = text.lines().next().unwrap();
        assert!(
            headline.ends_with("1 never in sync") || headline.ends_with("1 mirror never in sync"),
            "{headline}"
        );
        assert_eq!(day.mood(), Severity::Warning);
        assert_eq!(day.within_objective, 0);
    }
    bench.run(NOW - 60, 0).await;
    bench.run(NOW - 30, 1).await;
    let once = bench
        .day()
        .await
        .document(Detail::Brief, Language::English)
        .to_text();
    assert!(once.contains("1 of 1 mirror failing"), "{once}");
}

#[tokio::test]
async fn title_counts_stale_mirrors() {
    let bench = bench().await;
    bench.run(NOW - 4 * 3600, 0).await;
    let day = bench.day().await;
    let text = day.document(Detail::Brief, Language::English).to_text();
    let title = text.lines().next().unwrap();
    assert!(title.ends_with(": 1 of 1 mirror stale"), "{title}");
    assert_eq!((day.within_objective, day.mood()), (0, Severity::Bad));
}

#[tokio::test]
async fn late_mirror_has_age_and_reason() {
    let bench = bench().await;
    let seen = StoreEvent::Seen {
        key: key(),
        seen: Digest::of(b"new"),
        verdict: Verdict::Differs,
        at: NOW - 7200,
    };
    bench.recorder.record(seen).await;
    bench.run(NOW - 1800, 1).await;
    let day = bench.day().await;
    assert_eq!(day.mood(), Severity::Bad);
    let text = day.document(Detail::Brief, Language::English).to_text();
    let late = "1 of 1 mirror late, 1 never in sync";
    assert!(text.contains(late), "{text}");
    assert!(
        text.contains("2h") && text.contains("push is denied"),
        "{text}"
    );
}

#[tokio::test]
async fn report_leaves_out_older_changes() {
    let bench = bench().await;
    bench.run(NOW - 3 * 86400, 0).await;
    bench.moved(NOW - 3 * 86400).await;
    bench.run(NOW - 60, 0).await;
    let day = bench.day().await;
    assert_eq!((day.work.runs, day.counts.moved), (1, 0));
    assert!(
        day.document(Detail::Full, Language::English)
            .to_text()
            .contains("no tag changed")
    );
}

#[tokio::test]
async fn report_compares_with_the_day_before() {
    let bench = bench().await;
    bench.run(NOW - 60, 0).await;
    let mut before = bench.day().await;
    before.work.uploaded_bytes = 5 << 30;
    let body = serde_json::to_string(&before).unwrap();
    let reported = crate::store::Upkeep::Reported {
        day: "2026-11-17".into(),
        at: NOW - 86400,
        body,
    };
    bench.recorder.record(StoreEvent::Upkeep(reported)).await;
    let text = bench
        .day()
        .await
        .document(Detail::Brief, Language::English)
        .to_text();
    assert!(text.contains("the day before: 5.0 GiB"), "{text}");
}

#[tokio::test]
async fn findings_of_verify_have_a_section() {
    let bench = bench().await;
    for kind in [
        ChangeKind::Damaged,
        ChangeKind::Repaired,
        ChangeKind::Pruned,
    ] {
        let change = NewChange {
            key: key(),
            kind,
            old: None,
            new: None,
            at: NOW - 60,
        };
        bench.recorder.record(StoreEvent::Changed(change)).await;
    }
    bench.run(NOW - 60, 0).await;
    let text = bench
        .day()
        .await
        .document(Detail::Full, Language::English)
        .to_text();
    let counts = "tags: 1 found damaged, 1 repaired, 1 pruned";
    assert!(text.contains(counts), "{text}");
    let (_, sections) = text.split_once("Found and repaired").unwrap();
    let (found, others) = sections.split_once("Changes").unwrap();
    assert!(
        found.contains("damaged") && found.contains("repaired"),
        "{text}"
    );
    assert!(
        others.contains("pruned") && !others.contains("damaged"),
        "{text}"
    );
}

#[tokio::test]
async fn report_in_chinese() {
    let bench = bench().await;
    bench.run(NOW - 7200, 0).await;
    bench.moved(NOW - 7000).await;
    bench.run(NOW - 60, 1).await;
    let day = bench.day().await;
    let text = day.document(Detail::Full, Language::Chinese).to_text();
    for sought in [
        "：1 个同步项中有 1 个失败",
        "运行 2 次，其中 1 次有失败；标签：1 个更新（t.example/m/app:v1",
        "下次运行：app，",
        "落后、损坏、失败或久未检查",
        "失败  -",
        "没有权限：push is denied（建议：检查仓库名称和账号权限）",
        "变更",
    ] {
        assert!(text.contains(sought), "{sought}: {text}");
    }
    let words = ["failing", "run", "next", "mirror", "lag", "moved", "reason"];
    assert!(!words.iter().any(|word| text.contains(word)), "{text}");
}

#[tokio::test]
async fn report_has_the_work_of_every_worker() {
    let bench = bench().await;
    bench.run(NOW - 3600, 0).await;
    let mut day = bench.day().await;
    let own = day.work.clone();
    let note = RunNote::read(&bench.store, own.clone(), NOW - 7200, NOW)
        .await
        .unwrap();
    let note = serde_json::to_value(note).unwrap();
    let sums = note["sums"].as_object().unwrap().iter();
    let sums = sums.map(|(name, sum)| RunSum {
        worker: "sg-1".into(),
        name: name.clone(),
        sum: sum.as_u64().unwrap(),
    });
    let change = ChangeLine {
        at: NOW - 60,
        kind: ChangeKind::Moved,
        reference: "t.example/m/app:v1".into(),
        old_digest: None,
        new_digest: None,
    };
    let text = serde_json::to_string(&change).unwrap();
    let changes = ["hk-1", "sg-1"].map(|worker| RunChange {
        worker: worker.into(),
        text: text.clone(),
    });
    day.add_others("hk-1", sums.collect(), &changes);
    assert_eq!(day.work.runs, own.runs * 2);
    assert_eq!(day.work.uploaded_bytes, own.uploaded_bytes * 2);
    let changed = day.changes.iter().filter(|found| found.at == change.at);
    assert_eq!(changed.count(), 1, "its own are in its store");
    let workers: Vec<_> = day.workers.iter().map(|line| &*line.worker).collect();
    assert_eq!(workers, ["hk-1", "sg-1"]);
    let text = day.document(Detail::Brief, Language::English).to_text();
    assert!(text.contains("sg-1"), "{text}");
}
