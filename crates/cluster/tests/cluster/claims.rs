//! Which worker runs which unit.

use std::{collections::HashSet, time::Duration};

use transship_cluster::{RunEnd, WorkerInfo};

use crate::support::{
    HOUR, TOO_LONG, TestDatabase, behind, claim_one, in_sync, keys, publish, unit, units, worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_claims_share_nothing() {
    let database = TestDatabase::new().await;
    publish(&database.cluster().await, units(60)).await;
    let mut tasks = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        // Connections of its own: nothing but the database puts their claims in an order.
        let cluster = database.cluster().await;
        tasks.push(tokio::spawn(async move {
            let worker = worker(&cluster, name).await;
            let mut mine = Vec::new();
            loop {
                let claims = worker.claim(3).await.unwrap();
                if claims.is_empty() {
                    return (worker, mine);
                }
                mine.extend(claims);
            }
        }));
    }
    let mut all = Vec::new();
    let mut workers = Vec::new();
    for task in tasks {
        let (worker, mine) = task.await.unwrap();
        all.extend(mine);
        workers.push(worker);
    }
    // What was locked by another claim at the moment is still there.
    all.extend(workers[0].claim(60).await.unwrap());
    assert_eq!(all.len(), 60);
    let unique: HashSet<&str> = all.iter().map(|claim| claim.key.as_str()).collect();
    assert_eq!(unique.len(), 60);
    assert!(all.iter().all(|claim| claim.fence == 1));
}

#[tokio::test]
async fn claims_at_most_what_was_asked() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(5)).await;
    let worker = worker(&cluster, "a").await;
    assert_eq!(worker.claim(2).await.unwrap().len(), 2);
    assert_eq!(worker.claim(10).await.unwrap().len(), 3);
    assert_eq!(worker.claim(10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn units_stay_with_the_name_that_ran_them() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let claim = claim_one(&a).await;
    assert!(claim.was_other);
    a.release(&claim, &in_sync()).await.unwrap();
    assert!(b.claim(10).await.unwrap().is_empty());
    let claim = claim_one(&a).await;
    assert!(!claim.was_other && !claim.is_takeover);
}

#[tokio::test]
async fn overdue_units_are_stolen() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let claim = claim_one(&a).await;
    a.release(&claim, &in_sync()).await.unwrap();
    database
        .sql("UPDATE transship.units SET due_at = due_at - interval '61 minutes'")
        .await;
    let stolen = claim_one(&b).await;
    assert!(stolen.was_other && !stolen.is_takeover);
}

#[tokio::test]
async fn units_of_gone_names_are_anyones() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    a.release(&claim, &in_sync()).await.unwrap();
    a.leave().await.unwrap();
    assert!(claim_one(&worker(&cluster, "b").await).await.was_other);
}

#[tokio::test]
async fn draining_workers_take_nothing() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(2)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let claims = a.claim(1).await.unwrap();
    assert_eq!(cluster.drain("a").await.unwrap(), 1);
    assert_eq!(cluster.drain("nobody").await.unwrap(), 0);
    assert!(a.renew().await.unwrap().is_draining);
    assert!(!b.renew().await.unwrap().is_draining);
    assert!(a.claim(10).await.unwrap().is_empty());
    a.release(&claims[0], &in_sync()).await.unwrap();
    assert_eq!(b.claim(10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn workers_that_leave_give_back_at_once() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(3)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    assert_eq!(a.claim(10).await.unwrap().len(), 3);
    a.leave().await.unwrap();
    let claims = b.claim(10).await.unwrap();
    assert_eq!(claims.len(), 3);
    assert!(claims.iter().all(|claim| !claim.is_takeover));
}

#[tokio::test]
async fn pins_bound_what_a_worker_takes() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    let mut quay = unit("quay");
    quay.source = "quay.io".into();
    let mut both = unit("both");
    both.targets.push("acr.example.com".into());
    publish(&cluster, vec![unit("hub"), quay, both]).await;
    let pinned = WorkerInfo {
        sources: vec!["docker.io".into()],
        targets: vec!["harbor.example.com".into()],
        ..WorkerInfo::new("pinned", 1)
    };
    let pinned = cluster.register(pinned).await.unwrap();
    pinned.set_config(cluster.newest_config(1).await.unwrap().unwrap().version);
    assert_eq!(keys(&pinned.claim(10).await.unwrap()), ["hub"]);
    assert_eq!(
        worker(&cluster, "free")
            .await
            .claim(10)
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn what_lags_longest_comes_first() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(3)).await;
    let a = worker(&cluster, "a").await;
    let claims = a.claim(10).await.unwrap();
    a.release(&claims[0], &in_sync()).await.unwrap();
    let mut old = behind(&["1"]);
    old.lagging.as_mut().unwrap()[0].lagging_for = HOUR;
    a.release(&claims[1], &behind(&["1"])).await.unwrap();
    a.release(&claims[2], &old).await.unwrap();
    let again = a.claim(10).await.unwrap();
    let lag = |key: &str| again.iter().position(|claim| claim.key == key).unwrap();
    assert!(lag(&claims[2].key) < lag(&claims[1].key));
    assert!(lag(&claims[1].key) < lag(&claims[0].key));
    database
        .sql("UPDATE transship.units SET worker = NULL")
        .await;
    // `a` runs them, for all that it knows.
    assert!(a.claim(1).await.unwrap().is_empty());
    let same = worker(&cluster, "a").await;
    assert_eq!(same.claim(1).await.unwrap()[0].key, claims[2].key);
}

#[tokio::test]
async fn workers_of_one_name_are_two() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(2)).await;
    let (first, second) = (worker(&cluster, "a").await, worker(&cluster, "a").await);
    assert_ne!(first.id(), second.id());
    let (one, two) = (
        first.claim(1).await.unwrap(),
        second.claim(10).await.unwrap(),
    );
    assert_eq!((one.len(), two.len()), (1, 1));
    assert_ne!(one[0].key, two[0].key);
    assert!(second.release(&one[0], &in_sync()).await.is_err());
    // Both die: what they held is the next one's, though that has their name.
    database.pass(TOO_LONG).await;
    let third = worker(&cluster, "a").await;
    assert_eq!(third.claim(10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn asked_units_run_at_once_and_again() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    let tomorrow = RunEnd::unchecked(24 * HOUR);
    a.release(&claim, &tomorrow).await.unwrap();
    assert!(a.claim(10).await.unwrap().is_empty());
    assert_eq!(cluster.ask(Some("other")).await.unwrap(), 0);
    assert_eq!(cluster.ask(Some("mirror")).await.unwrap(), 1);
    let claim = claim_one(&a).await;
    cluster.ask(None).await.unwrap();
    a.release(&claim, &tomorrow).await.unwrap();
    let claim = claim_one(&a).await;
    a.release(&claim, &tomorrow).await.unwrap();
    assert!(a.claim(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn units_wait_until_they_are_due() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    let mut later = unit("later");
    later.due_in = Duration::from_secs(30);
    publish(&cluster, vec![later]).await;
    let a = worker(&cluster, "a").await;
    assert!(a.claim(10).await.unwrap().is_empty());
    database.pass(Duration::from_secs(31)).await;
    assert_eq!(a.claim(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn claim_whose_answer_was_lost_is_made_again() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let id = a.id();
    let claimed = format!("UPDATE transship.units SET worker = '{id}', fence = fence + 1");
    database.sql(&claimed).await;
    assert!(b.claim(10).await.unwrap().is_empty());
    let claim = claim_one(&a).await;
    assert!(a.claim(10).await.unwrap().is_empty(), "it runs");
    a.release(&claim, &in_sync()).await.unwrap();
    claim_one(&a).await;
}
