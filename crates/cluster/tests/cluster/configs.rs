//! Configurations, the units that they name, and what the status shows of them.

use transship_cluster::{NewConfig, WorkerInfo};

use crate::support::{
    HOUR, TOO_LONG, TestDatabase, behind, claim_one, in_sync, keys, publish, unit, units, worker,
};

fn config(body: &str, level: i32) -> NewConfig {
    NewConfig {
        body: body.into(),
        level,
        by: "ann".into(),
        units: vec![unit("a")],
    }
}

#[tokio::test]
async fn equal_configurations_are_one() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    assert!(cluster.newest_config(1).await.unwrap().is_none());
    let first = cluster.publish(&config("one", 1)).await.unwrap();
    assert_eq!(cluster.publish(&config("one", 1)).await.unwrap(), first);
    let second = cluster.publish(&config("two", 1)).await.unwrap();
    assert!(second > first);
    let newest = cluster.newest_config(1).await.unwrap().unwrap();
    assert_eq!(
        (newest.version, newest.body.as_str(), newest.by.as_str()),
        (second, "two", "ann")
    );
    // Back to the first text: a version of its own.
    assert!(cluster.publish(&config("one", 1)).await.unwrap() > second);
}

#[tokio::test]
async fn older_workers_take_nothing_that_they_do_not_understand() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    let first = cluster.publish(&config("one", 1)).await.unwrap();
    let old = worker(&cluster, "old").await;
    assert_eq!(old.renew().await.unwrap().newest_config, Some(first));
    let second = cluster.publish(&config("two", 2)).await.unwrap();
    assert_eq!(old.renew().await.unwrap().newest_config, Some(first));
    assert_eq!(
        cluster.newest_config(1).await.unwrap().unwrap().version,
        first
    );
    assert!(old.claim(10).await.unwrap().is_empty());
    // Whatever it is configured to run.
    old.set_config(second);
    assert!(old.claim(10).await.unwrap().is_empty());
    let new = cluster.register(WorkerInfo::new("new", 2)).await.unwrap();
    assert!(new.claim(10).await.unwrap().is_empty());
    new.set_config(first);
    assert!(new.claim(10).await.unwrap().is_empty());
    new.set_config(second);
    assert_eq!(claim_one(&new).await.config, second);
}

#[tokio::test]
async fn discovered_units_follow_their_discovery() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, vec![unit("discovery")]).await;
    let a = worker(&cluster, "a").await;
    let discovery = claim_one(&a).await;
    a.discovered(&discovery, &units(3)).await.unwrap();
    let claims = a.claim(10).await.unwrap();
    assert_eq!(claims.len(), 3);
    a.release(&claims[0], &behind(&["1"])).await.unwrap();
    // The same list changes nothing, a shorter one removes a unit.
    let changed = "SELECT sum(xmin::text::bigint)::bigint FROM transship.units";
    let before = database.number(changed).await;
    a.discovered(&discovery, &units(3)).await.unwrap();
    assert_eq!(database.number(changed).await, before);
    a.discovered(&discovery, &units(2)).await.unwrap();
    assert!(a.release(&claims[2], &in_sync()).await.is_err());
    let again = claim_one(&a).await;
    assert_eq!(
        (again.key.as_str(), again.behind),
        (claims[0].key.as_str(), 1)
    );
    // Without its discovery, nothing of a mirror is left.
    publish(&cluster, vec![unit("other")]).await;
    assert_eq!(
        database
            .number("SELECT count(*) FROM transship.units")
            .await,
        1
    );
    assert_eq!(
        database
            .number("SELECT count(*) FROM transship.lagging")
            .await,
        0
    );
}

#[tokio::test]
async fn changed_units_keep_their_lag() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, vec![unit("a")]).await;
    let first = worker(&cluster, "first").await;
    let claim = claim_one(&first).await;
    first.release(&claim, &behind(&["1"])).await.unwrap();
    let mut moved = unit("a");
    moved.targets = Vec::new();
    publish(&cluster, vec![moved, unit("b")]).await;
    let newest = cluster.newest_config(1).await.unwrap().unwrap().version;
    // The configuration that it runs is too old for these units.
    assert!(first.claim(10).await.unwrap().is_empty());
    first.set_config(newest);
    let claims = first.claim(10).await.unwrap();
    assert_eq!(keys(&claims), ["a", "b"]);
    assert!(claims[0].lagging_since.is_some());
}

#[tokio::test]
async fn status_shows_workers_and_mirrors() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    let mut other = unit("z");
    other.mirror = "other".into();
    let version = publish(&cluster, vec![unit("a"), unit("b"), unit("c"), other]).await;
    let a = worker(&cluster, "a").await;
    let claims = a.claim(10).await.unwrap();
    let at = |key: &str| claims.iter().find(|claim| claim.key == key).unwrap();
    a.release(at("a"), &in_sync()).await.unwrap();
    a.release(at("b"), &behind(&["1", "2"])).await.unwrap();
    a.release(at("z"), &in_sync()).await.unwrap();
    a.renew().await.unwrap();
    let status = cluster.status().await.unwrap();
    assert_eq!(status.newest_config, Some(version));
    let shown = &status.workers[0];
    assert_eq!(
        (shown.id, shown.units_held, shown.config),
        (a.id(), 1, Some(version))
    );
    assert!(!shown.lease_left.is_zero());
    let mirror = &status.mirrors[0];
    assert_eq!((mirror.units, mirror.held, mirror.due), (3, 1, 2));
    assert_eq!(mirror.behind, 2);
    assert!(mirror.lagging_since.is_some() && mirror.overdue_since.is_some());
    // One of its units was never in sync.
    assert!(mirror.last_in_sync.is_none() && mirror.last_checked.is_none());
    assert!(status.mirrors[1].last_in_sync.is_some());
    let held = cluster.held(a.id()).await.unwrap();
    assert_eq!((held.len(), held[0].key.as_str()), (1, "c"));
    assert_eq!(cluster.overdue(2).await.unwrap().len(), 2);
    // A dead worker holds nothing, and is shown for a day.
    database.pass(TOO_LONG).await;
    let status = cluster.status().await.unwrap();
    assert!(status.workers[0].lease_left.is_zero());
    assert_eq!((status.mirrors[0].held, status.mirrors[0].due), (0, 3));
    assert_eq!(cluster.overdue(10).await.unwrap().len(), 4);
    database.pass(25 * HOUR).await;
    assert!(cluster.status().await.unwrap().workers.is_empty());
}

#[tokio::test]
async fn sweeping_keeps_owners_of_units() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, _b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    claim_one(&a).await;
    database.pass(25 * HOUR).await;
    cluster.sweep(HOUR).await.unwrap();
    assert_eq!(
        database
            .number("SELECT count(*) FROM transship.workers")
            .await,
        1
    );
    // Its unit is anyone's.
    assert!(claim_one(&worker(&cluster, "c").await).await.is_takeover);
}
