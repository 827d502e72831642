//! What a worker may still write after it lost its lease.

use std::time::Duration;

use transship_cluster::{Error, LEASE, UploadRecord};

use crate::support::{
    HOUR, TOO_LONG, TestDatabase, behind, blob, claim_one, in_sync, lagging_tag, publish, unit,
    units, worker,
};

#[tokio::test]
async fn dead_workers_are_taken_over_after_their_lease() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let lost = claim_one(&a).await;
    database.pass(Duration::from_secs(45)).await;
    b.renew().await.unwrap();
    assert!(b.claim(10).await.unwrap().is_empty());
    database.pass(Duration::from_secs(16)).await;
    let claim = claim_one(&b).await;
    assert!(claim.is_takeover && claim.was_other);
    assert_eq!(claim.fence, lost.fence + 1);
    // A request of the dead worker may still be on its way.
    assert!(claim.tags_wait_left() > LEASE / 2);
    assert_eq!(lost.tags_wait_left(), Duration::ZERO);
}

#[tokio::test]
async fn renewed_leases_are_kept() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let claim = claim_one(&a).await;
    for _ in 0..4 {
        database.pass(Duration::from_secs(30)).await;
        a.renew().await.unwrap();
        b.renew().await.unwrap();
    }
    assert!(b.claim(10).await.unwrap().is_empty());
    a.holds(&claim).await.unwrap();
    a.release(&claim, &in_sync()).await.unwrap();
}

#[tokio::test]
async fn stale_workers_write_nothing() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, stale) = (worker(&cluster, "a").await, worker(&cluster, "stale").await);
    let lost = claim_one(&stale).await;
    database.pass(TOO_LONG).await;
    drop(a);
    let b = worker(&cluster, "b").await;
    let claim = claim_one(&b).await;
    let key = blob("sha256:1");
    let upload = UploadRecord {
        location: "https://harbor.example.com/upload".into(),
        offset: 1,
        hash_state: vec![1],
        hash_kind: "sha2-0.11".into(),
        names_next_byte: None,
    };
    let blobs = stale.blobs();
    let results = [
        ("release", stale.release(&lost, &behind(&["1"])).await),
        (
            "record_lag",
            stale.record_lag(&lost, &[lagging_tag("1")]).await,
        ),
        (
            "discovered",
            stale.discovered(&lost, &[unit("found")]).await,
        ),
        ("holds", stale.holds(&lost).await),
        ("save_upload", blobs.save_upload(&lost, &key, &upload).await),
        ("forget_upload", blobs.forget_upload(&lost, &key).await),
        (
            "begin_flight",
            blobs.begin_flight(&lost, &key).await.map(|_| ()),
        ),
        ("land", blobs.land(&lost, &key).await),
        ("clear_suspect", blobs.clear_suspect(&lost, &key).await),
    ];
    for (call, result) in results {
        assert!(
            matches!(result, Err(Error::FenceLost { .. })),
            "{call}: {result:?}"
        );
    }
    for table in ["lagging", "runs", "uploads", "flights", "held"] {
        let rows = format!("SELECT count(*) FROM transship.{table}");
        assert_eq!(database.number(&rows).await, 0, "{table}");
    }
    assert_eq!(
        database
            .number("SELECT count(*) FROM transship.units")
            .await,
        1
    );
    b.holds(&claim).await.unwrap();
    b.release(&claim, &in_sync()).await.unwrap();
}

#[tokio::test]
async fn own_earlier_claims_are_stale() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let first = claim_one(&a).await;
    a.release(&first, &in_sync()).await.unwrap();
    let second = claim_one(&a).await;
    let twice = a.release(&first, &in_sync()).await.unwrap_err();
    assert!(
        matches!(&twice, Error::FenceLost { unit } if *unit == first.key),
        "{twice}"
    );
    a.holds(&second).await.unwrap();
}

#[tokio::test]
async fn fences_given_twice_tell_workers_apart() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let lost = claim_one(&a).await;
    // A failover that lost the last instants: the claim never was.
    database
        .sql("UPDATE transship.units SET worker = NULL, fence = 0, last_worker = NULL")
        .await;
    let claim = claim_one(&b).await;
    assert_eq!(claim.fence, lost.fence);
    assert!(a.release(&lost, &in_sync()).await.is_err());
    b.release(&claim, &in_sync()).await.unwrap();
}

#[tokio::test]
async fn expired_leases_are_not_renewed() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    assert!(a.lease_left() <= LEASE && a.lease_left() > LEASE / 2);
    // Nine seconds are left: a renewal could cross with a take-over.
    database.pass(Duration::from_secs(51)).await;
    let error = a.renew().await.unwrap_err();
    assert!(
        matches!(&error, Error::LeaseLost { name } if name == "a"),
        "{error}"
    );
    let again = worker(&cluster, "a").await;
    assert_ne!(again.id(), a.id());
    again.renew().await.unwrap();
}

#[tokio::test]
async fn clocks_set_back_keep_no_dead_owner() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let lost = claim_one(&a).await;
    database.set_back(HOUR).await;
    let b = worker(&cluster, "b").await;
    // Nothing is due before the hour has passed again.
    database
        .sql("UPDATE transship.units SET due_at = due_at - interval '1 hour'")
        .await;
    assert!(claim_one(&b).await.is_takeover);
    // If it lives after all, it stops.
    assert!(matches!(a.renew().await, Err(Error::LeaseLost { .. })));
    assert!(a.release(&lost, &in_sync()).await.is_err());
    b.renew().await.unwrap();
}

#[tokio::test]
async fn clocks_set_forward_end_all_leases() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let lost = claim_one(&a).await;
    database.pass(HOUR).await;
    for worker in [&a, &b] {
        assert!(matches!(worker.renew().await, Err(Error::LeaseLost { .. })));
        assert!(worker.claim(10).await.unwrap().is_empty());
    }
    let again = worker(&cluster, "a").await;
    assert_eq!(claim_one(&again).await.fence, lost.fence + 1);
}

#[tokio::test]
async fn removed_units_end_their_runs() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(2)).await;
    let a = worker(&cluster, "a").await;
    let claims = a.claim(10).await.unwrap();
    publish(&cluster, vec![unit(&claims[0].key)]).await;
    a.release(&claims[0], &in_sync()).await.unwrap();
    let removed = a.release(&claims[1], &in_sync()).await.unwrap_err();
    assert!(matches!(removed, Error::FenceLost { .. }), "{removed}");
}
