//! PgBouncer in transaction mode: no call may need a session.

use transship_cluster::{BudgetKey, Cluster, Flight, NoticeKey};
use transship_postgres::Pooler;

use crate::support::{
    TestDatabase, behind, blob, empty_database, in_sync, number, publish, server, settings, unit,
    units, worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_two_connections() {
    let database = TestDatabase::new().await;
    let pooler = Pooler::start(server());
    let url = pooler.url(&database.name);
    let first = Cluster::open(&settings(&url)).await.unwrap();
    publish(&first, units(24)).await;
    let mut tasks = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let cluster = Cluster::open(&settings(&url)).await.unwrap();
        tasks.push(tokio::spawn(async move { work(&cluster, name).await }));
    }
    let mut runs = 0;
    for task in tasks {
        runs += task.await.unwrap();
    }
    assert!(runs >= 24, "{runs}");
    assert_eq!(first.status().await.unwrap().workers.len(), 4);
    // No session of the server keeps a statement of ours.
    let statements = "SELECT count(*) FROM pg_prepared_statements";
    assert_eq!(number(&url, statements).await, 0);
}

/// Every kind of call.
async fn work(cluster: &Cluster, name: &str) -> usize {
    let worker = worker(cluster, name).await;
    let mut runs = 0;
    loop {
        worker.renew().await.unwrap();
        let claims = worker.claim(4).await.unwrap();
        if claims.is_empty() || runs > 24 {
            worker.leave().await.unwrap();
            return runs;
        }
        for claim in claims {
            runs += 1;
            let key = blob(&format!("{}-{}", claim.key, claim.fence));
            let blobs = worker.blobs();
            assert_eq!(
                blobs.begin_flight(&claim, &key).await.unwrap(),
                Flight::Lead
            );
            blobs.land(&claim, &key).await.unwrap();
            worker.release(&claim, &behind(&["1"])).await.unwrap();
        }
        let budget = BudgetKey {
            egress: "hk".into(),
            period: "2026-12".into(),
        };
        worker
            .limits()
            .draw_budget(&budget, 1 << 40, 0..=1)
            .await
            .unwrap();
        let notice = NoticeKey {
            kind: "report".into(),
            key: "2026-11-30".into(),
        };
        worker.notices().begin(&notice).await.unwrap();
        cluster.overdue(1).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_is_made_through_it() {
    let name = empty_database("template1").await;
    let pooler = Pooler::start(server());
    let cluster = Cluster::open(&settings(&pooler.url(&name))).await.unwrap();
    publish(&cluster, vec![unit("a")]).await;
    let a = worker(&cluster, "a").await;
    for claim in a.claim(10).await.unwrap() {
        a.release(&claim, &in_sync()).await.unwrap();
    }
}
