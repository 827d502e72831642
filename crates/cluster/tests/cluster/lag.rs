//! Since when tags are behind, whoever runs their unit.

use std::time::Duration;

use transship_cluster::RunEnd;

use crate::support::{
    HOUR, TOO_LONG, TestDatabase, behind, claim_one, in_sync, lagging_tag, publish, units, worker,
};

#[tokio::test]
async fn first_moment_survives_a_take_over() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    a.record_lag(&claim, &[lagging_tag("1"), lagging_tag("2")])
        .await
        .unwrap();
    let first = a.lagging(&claim).await.unwrap();
    // It dies in the middle of the run.
    database.pass(TOO_LONG).await;
    let b = worker(&cluster, "b").await;
    let taken = claim_one(&b).await;
    assert!(taken.is_takeover);
    assert_eq!(taken.behind, 2);
    assert_eq!(taken.lagging_since, Some(first[0].since));
    assert_eq!(b.lagging(&taken).await.unwrap(), first);
    // The new owner compares: the source moved on, and one tag was mirrored meanwhile.
    let mut end = behind(&["2"]);
    end.lagging.as_mut().unwrap()[0].seen = "sha256:def".into();
    b.release(&taken, &end).await.unwrap();
    let claim = claim_one(&b).await;
    let left = b.lagging(&claim).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].tag, "2");
    assert_eq!(left[0].seen, "sha256:def");
    assert_eq!(left[0].since, first[1].since);
}

#[tokio::test]
async fn lag_ends_when_nothing_is_behind() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    a.release(&claim, &behind(&["1"])).await.unwrap();
    let claim = claim_one(&a).await;
    assert!(claim.lagging_since.is_some() && claim.last_in_sync.is_none());
    assert!(claim.last_checked.is_some());
    a.release(&claim, &in_sync()).await.unwrap();
    let claim = claim_one(&a).await;
    assert!(claim.lagging_since.is_none() && claim.last_in_sync.is_some());
    assert_eq!(claim.behind, 0);
    // Behind again: a new moment.
    database.pass(Duration::from_secs(30)).await;
    let mut again = behind(&["1"]);
    again.lagging.as_mut().unwrap()[0].lagging_for = Duration::from_secs(10);
    a.release(&claim, &again).await.unwrap();
    let later = claim_one(&a).await;
    assert!(later.lagging_since > claim.last_in_sync);
}

#[tokio::test]
async fn unchecked_runs_keep_the_lag() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    let mut end = behind(&["1"]);
    (end.tags, end.failed) = (9, 1);
    a.release(&claim, &end).await.unwrap();
    let before = claim_one(&a).await;
    a.release(&before, &RunEnd::unchecked(Duration::ZERO))
        .await
        .unwrap();
    let after = claim_one(&a).await;
    assert_eq!(after.lagging_since, before.lagging_since);
    assert_eq!(after.last_checked, before.last_checked);
    assert_eq!(after.behind, 1);
    let mirrors = cluster.status().await.unwrap().mirrors;
    assert_eq!((mirrors[0].tags, mirrors[0].behind), (9, 1));
}

#[tokio::test]
async fn errors_are_kept_with_the_tag() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    let mut failed = lagging_tag("1");
    failed.class = Some("denied".into());
    failed.message = Some("403 denied".into());
    failed.lagging_for = HOUR;
    // The same tag twice is one.
    a.record_lag(&claim, &[failed.clone(), failed])
        .await
        .unwrap();
    let records = a.lagging(&claim).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].class.as_deref(), Some("denied"));
    assert_eq!(records[0].message.as_deref(), Some("403 denied"));
    let age = cluster.status().await.unwrap().now - records[0].since;
    assert!(age.to_std().unwrap() >= HOUR);
}

#[tokio::test]
async fn runs_are_recorded_once() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    a.record_lag(&claim, &[]).await.unwrap();
    let end = RunEnd {
        took: Duration::from_millis(1500),
        result: "ok".into(),
        body: "{}".into(),
        ..in_sync()
    };
    a.release(&claim, &end).await.unwrap();
    assert!(a.release(&claim, &end).await.is_err());
    let runs = cluster.runs_since(HOUR).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].took, Duration::from_millis(1500));
    assert_eq!(
        (runs[0].worker.as_str(), runs[0].result.as_str()),
        ("a", "ok")
    );
    database.pass(2 * HOUR).await;
    assert!(cluster.runs_since(HOUR).await.unwrap().is_empty());
    cluster.sweep(HOUR).await.unwrap();
    assert_eq!(
        database.number("SELECT count(*) FROM transship.runs").await,
        0
    );
}

#[tokio::test]
async fn lag_is_known_for_each_target_registry() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    let mut elsewhere = lagging_tag("1");
    elsewhere.target = "quay.example.com/alpine".into();
    elsewhere.class = Some("denied".into());
    let tags = [lagging_tag("1"), lagging_tag("2"), elsewhere];
    a.record_lag(&claim, &tags).await.unwrap();
    let status = cluster.status().await.unwrap();
    let targets = status.mirrors[0].targets.iter();
    let targets: Vec<_> = targets
        .map(|target| (&*target.registry, target.behind, target.failed))
        .collect();
    assert_eq!(
        targets,
        [("harbor.example.com", 2, 0), ("quay.example.com", 1, 1)]
    );
}

#[tokio::test]
async fn work_of_all_runs_is_added_up() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(3)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let bodies = [
        (&a, r#"{"sums":{"runs":1,"copied":2},"changes":[{"n":1}]}"#),
        (&a, r#"{"sums":{"runs":1},"changes":[]}"#),
        (&b, ""),
    ];
    for (worker, body) in bodies {
        let claim = worker.claim(1).await.unwrap().remove(0);
        let end = RunEnd {
            body: body.into(),
            ..RunEnd::unchecked(HOUR)
        };
        worker.release(&claim, &end).await.unwrap();
    }
    let sums = cluster.sums_since(HOUR).await.unwrap();
    let sums = sums.iter().map(|sum| (&*sum.worker, &*sum.name, sum.sum));
    assert_eq!(
        sums.collect::<Vec<_>>(),
        [("a", "copied", 2), ("a", "runs", 2)]
    );
    let changes = cluster.changes_since(HOUR, 10).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (&*changes[0].worker, &*changes[0].text),
        ("a", r#"{"n": 1}"#)
    );
}
