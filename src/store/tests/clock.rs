//! A clock that was ahead for a while, and was set back.

use std::sync::Arc;

use crate::{
    oci::{Digest, Repository},
    store::{
        tests::{Bench, bench},
        *,
    },
};

/// What the right clock says, in seconds since 1970, and how far the wrong one was ahead.
const NOW: i64 = 1_795_000_000;
const AHEAD: i64 = 8 * 3600;

fn target() -> Repository {
    "t.example/m/app".parse().unwrap()
}

impl Bench {
    /// A run that began at a time and ended ten seconds later.
    async fn run(&self, at: i64, result: RunResult) -> i64 {
        let mirror: Arc<str> = "m".into();
        let run = self.recorder.begin_run(&mirror, None, at).await.unwrap();
        let failed = u64::from(result != RunResult::Ok);
        let targets = vec![TargetCounts {
            registry: target().registry().to_string(),
            failed,
            ..TargetCounts::default()
        }];
        let counts = RunCounts {
            failed,
            unchecked: failed,
            ..RunCounts::default()
        };
        let ended = EndedRun {
            run,
            at: at + 10,
            result,
            counts,
            targets,
            error: None,
        };
        self.record([StoreEvent::RunEnded(ended)]).await;
        run
    }

    async fn standing(&self, now: i64) -> Standing {
        self.store.standing("m", 10, now).await.unwrap()
    }

    async fn reported(&self, day: &str, at: i64) {
        let body = format!("\"{day}\"");
        let day = day.into();
        self.record([StoreEvent::Upkeep(Upkeep::Reported { day, at, body })])
            .await;
    }

    async fn seen(&self, verdict: Verdict, at: i64) {
        let key = TagKey {
            source_tag: None,
            mirror: "m".into(),
            source: "s.example/app".parse().unwrap(),
            target: target(),
            tag: "1".parse().unwrap(),
        };
        let seen = Digest::of(b"new");
        let fact = StoreEvent::Seen {
            key,
            seen,
            verdict,
            at,
        };
        self.record([fact]).await;
    }
}

#[tokio::test]
async fn future_run_sets_no_check_time() {
    let bench = bench().await;
    bench.run(NOW - 3600, RunResult::Ok).await;
    bench.run(NOW + AHEAD, RunResult::Ok).await;
    let standing = bench.standing(NOW).await;
    assert_eq!(standing.last_checked, Some(NOW - 3600));
    let there = &standing.targets[0];
    assert_eq!(there.last_in_sync, Some(NOW - 3600));
    assert_eq!(there.last_success, Some(NOW - 3590));
}

#[tokio::test]
async fn failures_after_future_run_count() {
    let bench = bench().await;
    bench.run(NOW + AHEAD, RunResult::Ok).await;
    for minutes in 1..=3 {
        bench.run(NOW + minutes * 60, RunResult::Failed).await;
    }
    let standing = bench.standing(NOW + 240).await;
    assert_eq!(standing.targets[0].failures, 3);
}

#[tokio::test]
async fn runs_are_ordered_by_start_not_clock() {
    let bench = bench().await;
    let ahead = bench.run(NOW + AHEAD, RunResult::Ok).await;
    let last = bench.run(NOW, RunResult::Ok).await;
    let ids = |runs: Vec<RunRecord>| runs.iter().map(|run| run.id).collect::<Vec<_>>();
    let standing = bench.standing(NOW).await;
    assert_eq!(standing.last_success, Some(NOW + 10));
    assert_eq!(ids(standing.runs), [last, ahead]);
    assert_eq!(
        ids(bench.store.runs(None, 10).await.unwrap()),
        [last, ahead]
    );
}

#[tokio::test]
async fn future_difference_lags_from_next_check() {
    let bench = bench().await;
    bench.seen(Verdict::Differs, NOW + AHEAD).await;
    bench.seen(Verdict::Differs, NOW + 60).await;
    let since = bench.standing(NOW + 60).await.targets[0].lagging_since;
    assert_eq!(since, Some(NOW + 60));
    bench.seen(Verdict::Differs, NOW + 3600).await;
    let since = bench.standing(NOW + 3600).await.targets[0].lagging_since;
    assert_eq!(since, Some(NOW + 60));
}

#[tokio::test]
async fn a_report_of_a_clock_that_was_ahead_is_not_the_last_one() {
    let bench = bench().await;
    bench.reported("2026-11-17", NOW - 3600).await;
    bench.reported("2026-11-18", NOW + AHEAD).await;
    let last = bench.store.report_before("9999", NOW).await.unwrap();
    assert_eq!(last.map(|(made_at, _)| made_at), Some(NOW - 3600));
}
